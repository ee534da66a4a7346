-- Imports of historical transactions.
SELECT adapty.define_access_level('import_pro') IS NOT NULL AS level,
    adapty.define_product('Import premium', 'premium', 'monthly', '[{"store": "app_store", "store_product_id": "imp_premium"},
        {"store": "play_store", "store_product_id": "imp_premium", "store_base_plan_id": "monthly"},
        {"store": "stripe", "store_product_id": "imp_premium"}]') IS NOT NULL AS premium,
    adapty.define_product('Import pro', 'import_pro', 'annual', '[{"store": "app_store", "store_product_id": "imp_pro"}]') IS NOT NULL AS pro,
    adapty.define_product('Import coins', NULL, 'consumable', '[{"store": "app_store", "store_product_id": "imp_coins"}]') IS NOT NULL AS coins;
-- what an import has left of its rows and errors
CREATE FUNCTION pg_temp.errors(OUT line bigint, OUT column_name text, OUT reason text, OUT detail text) RETURNS SETOF record
    LANGUAGE sql AS $$
    SELECT e.line, e.column_name, e.reason, e.detail FROM adapty.import_errors e
    WHERE e.import_id = current_setting('adapty.import_id')::integer ORDER BY e.line $$;
-- a time as the comparison below may show it in any session
CREATE FUNCTION pg_temp.utc(timestamptz) RETURNS text LANGUAGE sql AS
    $$ SELECT to_char($1 AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') $$;

-- nothing goes where no import was begun
\copy adapty.import_transactions (user_id) FROM PROGRAM 'echo import-nobody' CSV
SELECT adapty.begin_import(repeat('x', 256));
SELECT adapty.begin_import('the documented format') > 0 AS begun;
SELECT name, loaded_at IS NULL AS is_new FROM adapty.imports WHERE import_id = current_setting('adapty.import_id')::integer;

-- The documented columns as they are: they say who the users are, and point to purchases in the stores.
COPY adapty.import_transactions (user_id, apple_original_transaction_id, created_at, birthday, email, gender, phone_number, country, first_name, last_name, last_seen, idfa, idfv, amplitude_user_id, branch_id, attribution_source, attribution_status, attribution_channel, custom_attributes) FROM STDIN WITH (FORMAT csv, HEADER match);
user_id,apple_original_transaction_id,created_at,birthday,email,gender,phone_number,country,first_name,last_name,last_seen,idfa,idfv,amplitude_user_id,branch_id,attribution_source,attribution_status,attribution_channel,custom_attributes
import-1,100000001,2019-12-31 23:59:59-06:00,2000-12-31,one@example.com,f,+15550001,us,Ann,One,2020-12-31T23:59:59-06:00,EA7583CD-A667-48BC-B806-42ECB2B48606,,amp-1,br-1,appsflyer,organic,ads,"{'string_value': 'it\'s ""some""', 'float_value': 123.0, 'int_value': 456, 'yes': True, 'no': False, 'none': None}"
import-1,100000002,,,other@example.com,,,,,,,,idfv-2,,,,,,"{""json"": 1}"
import-2,100000003,,,,,,,,,,,,,,,,,
\.
SELECT * FROM adapty.load_import(current_setting('adapty.import_id')::integer);
SELECT i.customer_user_id, pg_temp.utc(p.created_at) AS created_at, p.birthday = '2000-12-31'::date AS birthday, p.email, p.gender, p.phone_number, p.ip_country, p.first_name,
    p.last_name, pg_temp.utc(p.last_seen_at) AS last_seen_at, p.custom_attributes, p.subscription_state
    FROM adapty.profiles p JOIN adapty.identities i USING (profile_id) WHERE i.customer_user_id = 'import-1';
SELECT d.platform, d.idfa, d.idfv FROM adapty.installations d JOIN adapty.identities i USING (profile_id) WHERE i.customer_user_id = 'import-1' ORDER BY d.idfa;
SELECT n.name, n.value FROM adapty.integration_identifiers n JOIN adapty.identities i USING (profile_id) WHERE i.customer_user_id = 'import-1' ORDER BY n.name;
SELECT a.source, a.status, a.channel FROM adapty.attributions a JOIN adapty.identities i USING (profile_id) WHERE i.customer_user_id = 'import-1';
-- a file of the past fills what is empty and changes nothing else
COPY adapty.import_transactions (user_id, stripe_token, email, last_name, phone_number, custom_attributes, attribution_source, attribution_channel) FROM STDIN WITH (FORMAT csv, HEADER match);
user_id,stripe_token,email,last_name,phone_number,custom_attributes,attribution_source,attribution_channel
import-2,sub_1,two@example.com,Two,,"{""a"": 2}",,
import-1,sub_2,new@example.com,New,+1999,"{""int_value"": 7, ""a"": 1}",appsflyer,other
\.
SELECT * FROM adapty.load_import(current_setting('adapty.import_id')::integer);
SELECT i.customer_user_id, p.email, p.last_name, p.phone_number, p.custom_attributes, a.channel
    FROM adapty.profiles p JOIN adapty.identities i USING (profile_id) LEFT JOIN adapty.attributions a USING (profile_id)
    WHERE i.customer_user_id LIKE 'import-_' ORDER BY 1;

-- With the columns of set_transaction() beside them a store need not be asked.
SELECT adapty.begin_import('purchases') > 0 AS begun;
CREATE TEMP TABLE events_before AS SELECT count(*) AS n FROM adapty.events;
COPY adapty.import_transactions (user_id, apple_original_transaction_id, google_product_id, google_purchase_token, google_is_subscription, stripe_token, subscription_expiration_date, country, purchase_type, store, store_product_id, store_transaction_id, store_original_transaction_id, purchased_at, originally_purchased_at, expires_at, renew_status, price_currency, price_value, refunded_at) FROM STDIN WITH (FORMAT csv, HEADER match);
user_id,apple_original_transaction_id,google_product_id,google_purchase_token,google_is_subscription,stripe_token,subscription_expiration_date,country,purchase_type,store,store_product_id,store_transaction_id,store_original_transaction_id,purchased_at,originally_purchased_at,expires_at,renew_status,price_currency,price_value,refunded_at
import-3,imp-a1,,,,,2099-01-01T00:00:00Z,US,,,imp_premium,,,2026-01-01T00:00:00Z,,,true,USD,9.99,
import-4,,imp_premium:monthly,imp-token-that-is-longer-than-fifty-characters-as-those-of-google-are,1,,2099-01-01T00:00:00+02:00,DE,,,,,,2026-01-01T00:00:00Z,,,1,EUR,8.99,
import-5,,,,,pi_imp1,,US,,,imp_premium,,,2026-01-01T00:00:00Z,,,,USD,20,
import-6,,,,,sub_imp1,2020-02-01T00:00:00Z,US,,,imp_premium,,,2020-01-01T00:00:00Z,,,f,USD,5,
import-7,,,,,,,US,one_time_purchase,app_store,imp_coins,imp-c1,,2020-01-01T00:00:00Z,,,,USD,1,
import-7,,,,,,,US,one_time_purchase,app_store,imp_premium,imp-c2,,2020-01-01T00:00:00Z,,,,USD,50,2020-01-02T00:00:00Z
import-8,,,,,,,US,subscription,my.store,nowhere,imp-u1,,2020-01-01T00:00:00Z,,2099-01-01T00:00:00Z,yes,USD,1,
import-8,,,,,,,US,subscription,my.store,nowhere,imp-u2,imp-u1,2020-02-01T00:00:00Z,2020-01-01T00:00:00Z,2099-02-01T00:00:00Z,no,USD,1,
import-9,,,,,,,,,,,,,,,,,,,
\.
SELECT * FROM adapty.load_import(current_setting('adapty.import_id')::integer);
SELECT * FROM pg_temp.errors();
SELECT i.customer_user_id, t.store, t.store_transaction_id, t.store_original_transaction_id, t.store_product_id, t.store_base_plan_id, t.purchase_type,
    t.originally_purchased_at = t.purchased_at AS is_first, pg_temp.utc(t.expires_at) AS expires_at, t.renew_status, t.price_country, t.price_usd
    FROM adapty.transactions t JOIN adapty.identities i USING (profile_id) WHERE i.customer_user_id LIKE 'import-_' ORDER BY 1, t.purchased_at, 3;
SELECT i.customer_user_id, p.subscription_state, p.total_revenue_usd, CASE WHEN p.created_at < timestamptz '2026-01-02T00:00:00Z' THEN pg_temp.utc(p.created_at) END AS created_at, adapty.has_access(i.customer_user_id, 'premium')
    FROM adapty.profiles p JOIN adapty.identities i USING (profile_id) WHERE i.customer_user_id LIKE 'import-_' ORDER BY 1;
SELECT i.customer_user_id, g.source, g.source_id, g.state, g.revoked_at IS NOT NULL AS is_revoked
    FROM adapty.access_grants g JOIN adapty.identities i USING (profile_id) WHERE i.customer_user_id LIKE 'import-_' ORDER BY 1, 3;
-- all in silence, and nothing is left over
SELECT count(*) - (SELECT n FROM events_before) AS events FROM adapty.events;
SELECT count(*) FROM adapty.import_transactions;
-- what lapses later is announced as ever
SELECT adapty.set_test_clock('import-3', '100 years');
SELECT adapty.process_due() >= 0 AS processed;
SELECT e.event_type, e.is_active, pg_temp.utc(e.event_datetime) AS at FROM adapty.events e JOIN adapty.identities i USING (profile_id)
    WHERE i.customer_user_id = 'import-3' ORDER BY e.recorded_at;

-- The same rows again: nothing is new. Once their product is mapped, they give access.
SELECT adapty.begin_import('again') > 0 AS begun;
COPY adapty.import_transactions (user_id, store, purchase_type, store_product_id, store_transaction_id, store_original_transaction_id, purchased_at, originally_purchased_at, expires_at, renew_status, price_country, price_currency, price_value) FROM STDIN WITH (FORMAT csv, HEADER match);
user_id,store,purchase_type,store_product_id,store_transaction_id,store_original_transaction_id,purchased_at,originally_purchased_at,expires_at,renew_status,price_country,price_currency,price_value
import-8,my.store,subscription,nowhere,imp-u1,imp-u1,2020-01-01T00:00:00Z,2020-01-01T00:00:00Z,2099-01-01T00:00:00Z,true,US,USD,1
import-8,my.store,subscription,nowhere,imp-u2,imp-u1,2020-02-01T00:00:00Z,2020-01-01T00:00:00Z,2099-02-01T00:00:00Z,false,US,USD,1
\.
CREATE TEMP TABLE again AS SELECT user_id, store, purchase_type, store_product_id, store_transaction_id, store_original_transaction_id, purchased_at, originally_purchased_at, expires_at, renew_status, price_country, price_currency, price_value FROM adapty.import_transactions;
SELECT * FROM adapty.load_import(current_setting('adapty.import_id')::integer);
SELECT adapty.has_access('import-8', 'premium');
SELECT adapty.define_product('Nowhere', 'premium', 'monthly', '[{"store": "my.store", "store_product_id": "nowhere"}]') IS NOT NULL AS mapped;
INSERT INTO adapty.import_transactions (user_id, store, purchase_type, store_product_id, store_transaction_id, store_original_transaction_id, purchased_at, originally_purchased_at, expires_at, renew_status, price_country, price_currency, price_value) SELECT * FROM again;
SELECT * FROM adapty.load_import(current_setting('adapty.import_id')::integer);
SELECT adapty.has_access('import-8', 'premium');
INSERT INTO adapty.import_transactions (user_id, store, purchase_type, store_product_id, store_transaction_id, store_original_transaction_id, purchased_at, originally_purchased_at, expires_at, renew_status, price_country, price_currency, price_value) SELECT * FROM again;
SELECT * FROM adapty.load_import(current_setting('adapty.import_id')::integer);
-- a renewal of a chain that is known, an older transaction of it, and the same one twice in a file, the second time refunded
INSERT INTO adapty.import_transactions (user_id, store, purchase_type, store_product_id, store_transaction_id, store_original_transaction_id, purchased_at, originally_purchased_at, expires_at, renew_status, price_country, price_currency, price_value, refunded_at)
    VALUES ('import-8', 'my.store', 'subscription', 'nowhere', 'imp-u3', 'imp-u1', '2021-03-01T00:00:00Z', '2020-01-01T00:00:00Z', '2021-04-01T00:00:00Z', 'true', 'US', 'USD', '1', NULL),
           ('import-8', 'my.store', 'subscription', 'nowhere', 'imp-u0', 'imp-u1', '2019-03-01T00:00:00Z', '2019-03-01T00:00:00Z', '2019-04-01T00:00:00Z', 'true', 'US', 'USD', '1', NULL),
           ('import-8', 'my.store', 'subscription', 'nowhere', 'imp-v1', 'imp-v1', '2021-03-01T00:00:00Z', '2021-03-01T00:00:00Z', '2099-04-01T00:00:00Z', 'true', 'US', 'USD', '1', NULL),
           ('import-8', 'my.store', 'subscription', 'nowhere', 'imp-v1', 'imp-v1', '2021-03-01T00:00:00Z', '2021-03-01T00:00:00Z', '2099-04-01T00:00:00Z', 'true', 'US', 'USD', '1', '2021-03-02T00:00:00Z');
SELECT * FROM adapty.load_import(current_setting('adapty.import_id')::integer);
SELECT s.store_transaction_id, pg_temp.utc(s.expires_at) AS expires_at, pg_temp.utc(s.refunded_at) AS refunded_at, pg_temp.utc(g.starts_at) AS access_from, pg_temp.utc(g.expires_at) AS access_until, g.state
    FROM adapty.subscriptions s JOIN adapty.identities i USING (profile_id)
    JOIN adapty.access_grants g ON g.profile_id = s.profile_id AND g.source_id = s.store || ':' || s.store_original_transaction_id
    WHERE i.customer_user_id = 'import-8' ORDER BY 1;
SELECT count(*) FROM adapty.events e JOIN adapty.identities i USING (profile_id) WHERE i.customer_user_id = 'import-8';
-- somebody else's: shared as if it had been reported for both; what cannot be is refused
INSERT INTO adapty.import_transactions (user_id, store, purchase_type, store_product_id, store_transaction_id, store_original_transaction_id, purchased_at, originally_purchased_at, expires_at, renew_status, price_country, price_currency, price_value)
    VALUES ('import-9', 'my.store', 'subscription', 'nowhere', 'imp-u1', 'imp-u1', '2020-01-01T00:00:00Z', '2020-01-01T00:00:00Z', '2020-04-01T00:00:00Z', 'true', 'US', 'USD', '1'),
           ('import-9', 'my.store', 'subscription', 'nowhere', 'imp-u4', 'imp-u1', '2022-01-01T00:00:00Z', '2020-01-01T00:00:00Z', '2022-04-01T00:00:00Z', 'true', 'US', 'USD', '1'),
           ('import-9', 'my.store', 'subscription', 'nowhere', 'imp-w1', 'imp-w1', '2020-01-01T00:00:00Z', '2020-01-01T00:00:00Z', '2020-04-01T00:00:00Z', 'true', 'US', 'USD', '1'),
           ('import-8', 'my.store', 'one_time_purchase', 'nowhere', 'imp-u1', 'imp-u1', '2020-01-01T00:00:00Z', NULL, NULL, NULL, 'US', 'USD', '1'),
           ('import-9', 'my.store', 'subscription', 'nowhere', 'imp-w2', 'imp-w1', '2020-04-01T00:00:00Z', '2020-01-01T00:00:00Z', '2099-05-01T00:00:00Z', 'true', 'US', 'USD', '1');
SELECT * FROM adapty.load_import(current_setting('adapty.import_id')::integer);
SELECT * FROM pg_temp.errors();
SELECT i.customer_user_id, g.source, g.source_id, g.state FROM adapty.access_grants g JOIN adapty.identities i USING (profile_id) WHERE i.customer_user_id IN ('import-8', 'import-9') ORDER BY 1, 3;
SELECT i.customer_user_id, t.store_transaction_id FROM adapty.transactions t JOIN adapty.identities i USING (profile_id) WHERE t.store_original_transaction_id IN ('imp-u1', 'imp-w1') ORDER BY t.purchased_at, 2;
SELECT adapty.has_access('import-9', 'premium');
-- two users of one file have the same purchase: it is that of the earlier row
INSERT INTO adapty.import_transactions (user_id, store, purchase_type, store_product_id, store_transaction_id, store_original_transaction_id, purchased_at, originally_purchased_at, expires_at, renew_status, price_country, price_currency, price_value)
    VALUES ('import-share-b', 'my.store', 'subscription', 'nowhere', 'imp-x2', 'imp-x1', '2020-04-01T00:00:00Z', '2020-01-01T00:00:00Z', '2099-05-01T00:00:00Z', 'true', 'US', 'USD', '1'),
           ('import-share-a', 'my.store', 'subscription', 'nowhere', 'imp-x1', 'imp-x1', '2020-01-01T00:00:00Z', '2020-01-01T00:00:00Z', '2020-04-01T00:00:00Z', 'true', 'US', 'USD', '1');
SELECT * FROM adapty.load_import(current_setting('adapty.import_id')::integer);
SELECT i.customer_user_id, g.source, g.state, p.total_revenue_usd FROM adapty.access_grants g JOIN adapty.identities i USING (profile_id) JOIN adapty.profiles p USING (profile_id) WHERE i.customer_user_id LIKE 'import-share-%' ORDER BY 1;
SELECT count(*) FROM adapty.events e JOIN adapty.identities i USING (profile_id) WHERE i.customer_user_id ~ '^import-(8|9|share-.)$';

-- Every kind of row that is wrong. Each says what set_transaction() says.
SELECT adapty.begin_import('bad rows') > 0 AS begun;
CREATE TEMP TABLE good AS SELECT '{"user_id": "import-bad", "purchase_type": "subscription", "store": "app_store", "store_product_id": "imp_premium", "store_transaction_id": "imp-bad", "store_original_transaction_id": "imp-bad", "purchased_at": "2026-01-01T00:00:00Z", "originally_purchased_at": "2026-01-01T00:00:00Z", "expires_at": "2026-02-01T00:00:00Z", "renew_status": "true", "price_country": "US", "price_currency": "USD", "price_value": "9.99"}'::jsonb AS columns;
CREATE TEMP TABLE bad (n serial, change jsonb);
INSERT INTO bad (change) VALUES
    ('{"purchase_type": "gift"}'), ('{"store": "my store"}'), ('{"store": null}'), ('{"environment": "production"}'), ('{"store_product_id": null}'),
    ('{"store_transaction_id": "123456789012345678901234567890123456789012345678901"}'), ('{"is_family_shared": "maybe"}'),
    ('{"purchased_at": "yesterday"}'), ('{"purchased_at": null}'), ('{"originally_purchased_at": null, "store_original_transaction_id": "imp-other"}'),
    ('{"expires_at": "2025-01-01T00:00:00Z"}'), ('{"expires_at": "infinity"}'), ('{"renew_status": null}'), ('{"renew_status": "2"}'),
    ('{"renew_status_changed_at": "2026-13-01T00:00:00Z"}'), ('{"billing_issue_detected_at": "x"}'), ('{"grace_period_expires_at": "2025-01-01T00:00:00Z"}'),
    ('{"paused_at": "2025-01-01T00:00:00Z"}'), ('{"resumes_at": "2026-01-09T00:00:00Z"}'), ('{"paused_at": "2026-01-08T00:00:00Z", "resumes_at": "2026-01-08T00:00:00Z"}'),
    ('{"price_country": "us"}'), ('{"price_currency": "$"}'), ('{"price_value": null}'), ('{"price_value": "-1"}'), ('{"price_value": "1,99"}'), ('{"price_value": "NaN"}'), ('{"price_value": "1000000000000"}'),
    ('{"offer_category": "free", "offer_type": "free_trial"}'), ('{"offer_category": "introductory"}'), ('{"offer_id": "x"}'),
    ('{"refunded_at": "2025-01-01T00:00:00Z"}'), ('{"cancellation_reason": "bored"}'), ('{"purchase_type": "one_time_purchase"}'), ('{"purchase_type": null}');
INSERT INTO adapty.import_transactions (user_id, purchase_type, store, environment, store_product_id, store_transaction_id, store_original_transaction_id, is_family_shared, purchased_at, originally_purchased_at, expires_at, renew_status,
        renew_status_changed_at, billing_issue_detected_at, grace_period_expires_at, paused_at, resumes_at, price_country, price_currency, price_value, offer_category, offer_type, offer_id, variation_id, refunded_at, cancellation_reason)
    SELECT r.user_id, r.purchase_type, r.store, r.environment, r.store_product_id, r.store_transaction_id, r.store_original_transaction_id, r.is_family_shared, r.purchased_at, r.originally_purchased_at, r.expires_at, r.renew_status,
        r.renew_status_changed_at, r.billing_issue_detected_at, r.grace_period_expires_at, r.paused_at, r.resumes_at, r.price_country, r.price_currency, r.price_value, r.offer_category, r.offer_type, r.offer_id, r.variation_id, r.refunded_at, r.cancellation_reason
    FROM bad, good, jsonb_populate_record(NULL::adapty.import_transactions, good.columns || bad.change) r ORDER BY bad.n;
SELECT * FROM adapty.load_import(current_setting('adapty.import_id')::integer);
SELECT * FROM pg_temp.errors();
-- a row as the object that set_transaction() takes, and what that says
CREATE FUNCTION pg_temp.object(r jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_strip_nulls((r - ARRAY['user_id', 'price_country', 'price_currency', 'price_value', 'offer_category', 'offer_type', 'offer_id', 'renew_status', 'is_family_shared'])
        || jsonb_build_object('price', nullif(jsonb_strip_nulls(jsonb_build_object('country', r -> 'price_country', 'currency', r -> 'price_currency',
                'value', CASE WHEN r ->> 'price_value' ~ '^-?[0-9.]+$' THEN to_jsonb((r ->> 'price_value')::numeric) ELSE r -> 'price_value' END)), '{}'),
            'offer', nullif(jsonb_strip_nulls(jsonb_build_object('category', r -> 'offer_category', 'type', r -> 'offer_type', 'id', r -> 'offer_id')), '{}'),
            'renew_status', CASE WHEN r ->> 'renew_status' IN ('true', 'false') THEN to_jsonb((r ->> 'renew_status')::boolean) ELSE r -> 'renew_status' END,
            'is_family_shared', CASE WHEN r ->> 'is_family_shared' IN ('true', 'false') THEN to_jsonb((r ->> 'is_family_shared')::boolean) ELSE r -> 'is_family_shared' END)) $$;
CREATE FUNCTION pg_temp.refusal(r jsonb, OUT message text, OUT detail text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM adapty.set_transaction('import-1', pg_temp.object(r));
    RAISE EXCEPTION USING MESSAGE = 'accepted', ERRCODE = '22023';
EXCEPTION WHEN invalid_parameter_value THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
END $$;
SELECT bad.change, r.message, e.reason FROM bad CROSS JOIN good CROSS JOIN LATERAL pg_temp.refusal(good.columns || bad.change) r
    LEFT JOIN pg_temp.errors() e ON e.line = bad.n + 1
    WHERE (r.message <> 'accepted' OR e.reason IS NOT NULL) AND (e.reason IS DISTINCT FROM r.message OR e.detail IS DISTINCT FROM r.detail);
-- the user's own columns, and columns that contradict each other
SELECT adapty.begin_import('bad users') > 0 AS begun;
COPY adapty.import_transactions (user_id, apple_original_transaction_id, google_is_subscription, stripe_token, store, created_at, email, gender, birthday, country, idfa, amplitude_user_id, attribution_source, attribution_status, attribution_channel, custom_attributes) FROM STDIN WITH (FORMAT csv, HEADER match);
user_id,apple_original_transaction_id,google_is_subscription,stripe_token,store,created_at,email,gender,birthday,country,idfa,amplitude_user_id,attribution_source,attribution_status,attribution_channel,custom_attributes
,1,,,,,,,,,,,,,,
import-bad,1,,sub_1,,,,,,,,,,,,
import-bad,,2,,,,,,,,,,,,,
import-bad,1,,,stripe,,,,,,,,,,,
import-bad,,,,,yesterday,,,,,,,,,,
import-bad,,,,,,nobody,,,,,,,,,
import-bad,,,,,,,x,,,,,,,,
import-bad,,,,,,,,31.12.2000,,,,,,,
import-bad,,,,,,,,,USA,,,,,,
import-bad,,,,,,,,,,12345678901234567890123456789012345678901234567890123456789012345,,,,,
import-bad,,,,,,,,,,,,,,ads,
import-bad,,,,,,,,,,,,appsflyer,maybe,,
import-bad,,,,,,,,,,,,,,,"{'a': [1]}"
import-bad,,,,,,,,,,,,,,,"{'a b': 1}"
import-bad,,,,,,,,,,,,,,,{'a': 1
import-good,,,,,,,,,,,,,,,
\.
SELECT * FROM adapty.load_import(current_setting('adapty.import_id')::integer);
SELECT * FROM pg_temp.errors();
-- put right in place, they are loaded; the others keep their lines
UPDATE adapty.import_transactions SET user_id = 'import-good' WHERE line = 2;
DELETE FROM adapty.import_transactions WHERE line BETWEEN 3 AND 14;
SELECT loaded, without_purchase, rejected FROM adapty.load_import(current_setting('adapty.import_id')::integer);
SELECT * FROM pg_temp.errors();
SELECT name, loaded, known, without_purchase, unmapped, rejected, profiles_created FROM adapty.imports WHERE import_id = current_setting('adapty.import_id')::integer;
SELECT adapty.drop_import(current_setting('adapty.import_id')::integer);
SELECT count(*) FROM pg_temp.errors();
-- the session has none now; rows of one that is gone can be dropped
INSERT INTO adapty.import_transactions (user_id) VALUES ('import-nobody');
INSERT INTO adapty.import_transactions (import_id, user_id) VALUES (2000000000, 'import-nobody');
INSERT INTO adapty.import_transactions SELECT * FROM adapty.import_transactions;
SELECT adapty.load_import(2000000000);
SELECT adapty.drop_import(2000000000);
SELECT adapty.drop_import(-1);
SELECT adapty.load_import(-1);
SELECT adapty.load_import(NULL);

-- Coins come with events, so a silent import gives none.
BEGIN;
SET LOCAL client_min_messages = error;
SELECT adapty.define_virtual_currency('IMPORT_COIN', 'Import coins') IS NOT NULL AS defined;
SELECT adapty.link_virtual_currency('IMPORT_COIN', (SELECT product_id FROM adapty.products WHERE title = 'Import premium'), 10) IS NOT NULL AS linked;
SELECT adapty.begin_import('no coins') > 0 AS begun;
INSERT INTO adapty.import_transactions (user_id, store, purchase_type, store_product_id, store_transaction_id, store_original_transaction_id, purchased_at, originally_purchased_at, expires_at, renew_status, price_country, price_currency, price_value)
    VALUES ('import-silent', 'app_store', 'subscription', 'imp_premium', 'imp-s1', 'imp-s1', '2026-01-08T00:00:00Z', '2026-01-08T00:00:00Z', '2026-02-08T00:00:00Z', 'true', 'US', 'USD', '9.99');
SELECT loaded FROM adapty.load_import(current_setting('adapty.import_id')::integer);
INSERT INTO adapty.import_transactions (user_id, store, purchase_type, store_product_id, store_transaction_id, store_original_transaction_id, purchased_at, originally_purchased_at, expires_at, renew_status, price_country, price_currency, price_value)
    VALUES ('import-silent', 'app_store', 'subscription', 'imp_premium', 'imp-s2', 'imp-s1', '2026-02-08T00:00:00Z', '2026-01-08T00:00:00Z', '2099-02-08T00:00:00Z', 'true', 'US', 'USD', '9.99');
SELECT loaded FROM adapty.load_import(current_setting('adapty.import_id')::integer);
SELECT adapty.has_access('import-silent', 'premium'), adapty.get_virtual_currency_transactions('import-silent') -> 'data' AS coins;
INSERT INTO adapty.import_transactions (user_id, store, purchase_type, store_product_id, store_transaction_id, store_original_transaction_id, purchased_at, originally_purchased_at, expires_at, renew_status, price_country, price_currency, price_value)
    VALUES ('import-loud', 'app_store', 'subscription', 'imp_premium', 'imp-t1', 'imp-t1', '2026-01-08T00:00:00Z', '2026-01-08T00:00:00Z', '2099-02-08T00:00:00Z', 'true', 'US', 'USD', '9.99');
SELECT loaded FROM adapty.load_import(current_setting('adapty.import_id')::integer, with_events => true);
SELECT jsonb_array_length(adapty.get_virtual_currency_transactions('import-loud') -> 'data') AS credits;
ROLLBACK;

-- Events of the past, if asked for: those that set_transaction() would have written, with their own times.
SELECT adapty.begin_import('with events') > 0 AS begun;
INSERT INTO adapty.import_transactions (user_id, store, purchase_type, store_product_id, store_transaction_id, store_original_transaction_id, purchased_at, originally_purchased_at, expires_at, renew_status, price_country, price_currency, price_value, offer_category, offer_type)
    VALUES ('import-events', 'app_store', 'subscription', 'imp_premium', 'imp-e2', 'imp-e1', '2026-01-08T00:00:00Z', '2026-01-01T00:00:00Z', '2026-02-08T00:00:00Z', 'true', 'US', 'USD', '9.99', NULL, NULL),
           ('import-events', 'app_store', 'subscription', 'imp_premium', 'imp-e1', 'imp-e1', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z', '2026-01-08T00:00:00Z', 'true', 'US', 'USD', '9.99', 'introductory', 'free_trial'),
           ('import-events', 'app_store', 'subscription', 'imp_premium', 'imp-e3', 'imp-e1', '2026-02-08T00:00:00Z', '2026-01-01T00:00:00Z', '2099-02-08T00:00:00Z', 'true', 'US', 'USD', '9.99', NULL, NULL);
SELECT * FROM adapty.load_import(current_setting('adapty.import_id')::integer, with_events => true);
SELECT e.event_type, e.source_id, CASE WHEN e.event_type <> 'access_level_updated' THEN pg_temp.utc(e.event_datetime) END AS at
    FROM adapty.events e JOIN adapty.identities i USING (profile_id) WHERE i.customer_user_id = 'import-events'
    AND e.event_type::text ~ '^(trial_started|trial_converted|subscription_renewed|access_level_updated)$' ORDER BY e.recorded_at;

-- The same rows by both ways come to the same: "a" by set_transaction(), row by row, "b" by an import.
SELECT adapty.set_currency_rate('XTS', 3, '-infinity'), adapty.set_tax_rate('US', 0.1, 'app_store');
CREATE TEMP TABLE history AS
SELECT u, n, jsonb_strip_nulls(jsonb_build_object(
        'purchase_type', CASE WHEN kind = 9 THEN 'one_time_purchase' ELSE 'subscription' END, 'store', 'app_store',
        'environment', CASE WHEN u % 7 = 0 THEN 'Sandbox' END, 'is_family_shared', CASE WHEN u % 11 = 0 THEN 'true' END,
        'store_product_id', CASE WHEN kind = 8 THEN 'imp_unmapped' WHEN kind = 7 AND n = 2 OR kind = 6 AND n <> 2 THEN 'imp_pro' WHEN kind = 9 AND u / 24 % 3 = 0 THEN 'imp_coins' ELSE 'imp_premium' END,
        'store_transaction_id', format('#-imp-%s-%s', u, n), 'store_original_transaction_id', format('#-imp-%s-%s', u, CASE WHEN kind = 9 THEN n ELSE 1 END),
        'purchased_at', pg_temp.utc(start + (n - 1) * interval '30 days' - CASE WHEN kind = 7 AND n > 1 THEN interval '10 days' ELSE '0' END),
        'originally_purchased_at', CASE WHEN kind <> 9 THEN pg_temp.utc(start - CASE WHEN u % 13 = 0 THEN interval '400 days' WHEN u % 5 = 0 THEN interval '1 day' ELSE '0' END) END,
        'expires_at', CASE WHEN kind <> 9 THEN pg_temp.utc(start + CASE WHEN kind = 6 AND n = 1 THEN n * interval '30 days' - interval '5 days' ELSE n * interval '30 days' END) END,
        'renew_status', CASE WHEN kind <> 9 THEN (NOT (kind = 2 AND n = last))::text END,
        'renew_status_changed_at', CASE WHEN kind = 2 AND n = last THEN pg_temp.utc(start + n * interval '30 days' - interval '10 days') END,
        'billing_issue_detected_at', CASE WHEN kind IN (3, 4, 11) AND n = last THEN pg_temp.utc(start + n * interval '30 days' - interval '1 day') END,
        'grace_period_expires_at', CASE WHEN kind = 4 AND n = last THEN pg_temp.utc(start + n * interval '30 days' + interval '16 days') END,
        'paused_at', CASE WHEN kind = 10 AND n = last THEN pg_temp.utc(start + n * interval '30 days' - interval '5 days') END,
        'resumes_at', CASE WHEN kind = 10 AND n = last THEN pg_temp.utc(start + n * interval '30 days' + interval '60 days') END,
        'price_country', 'US', 'price_currency', CASE WHEN u % 4 = 0 THEN 'EUR' WHEN u % 9 = 1 THEN 'XTS' ELSE 'USD' END, 'price_value', (1.99 + u)::text,
        'offer_category', CASE WHEN kind IN (1, 5) AND n = 1 THEN 'introductory' END, 'offer_type', CASE WHEN kind IN (1, 5) AND n = 1 THEN 'free_trial' END,
        'refunded_at', CASE WHEN kind IN (5, 9) AND u / 12 % 2 = 0 AND n = last THEN pg_temp.utc(start + (n - 1) * interval '30 days' + interval '3 days') END,
        'cancellation_reason', CASE WHEN kind IN (5, 9) AND u / 12 % 2 = 0 AND n = last THEN 'refund' WHEN kind = 2 AND n = last THEN 'voluntarily_cancelled'
            WHEN kind = 11 AND n = last AND u % 5 = 0 THEN 'billing_error' WHEN kind = 1 AND n = last AND u % 5 = 0 THEN 'upgraded' END)) AS columns
FROM (SELECT u, u % 12 AS kind, 1 + u / 24 % 4 AS last,
          -- the last period is over, runs, or is in grace
          date_trunc('day', now(), 'UTC') - (1 + u / 24 % 4) * interval '30 days' + (u / 12 % 6 - 2) * interval '8 days' AS start
      FROM generate_series(1, 288) u) users, generate_series(1, last) n;
SET client_min_messages = error;
SELECT count(adapty.set_transaction('imp-a-' || u, pg_temp.object(replace(columns::text, '#', 'a')::jsonb), create_missing => true))
    FROM (SELECT * FROM history ORDER BY u, n) h;
SELECT adapty.begin_import('the same') > 0 AS begun;
INSERT INTO adapty.import_transactions (user_id, purchase_type, store, environment, store_product_id, store_transaction_id, store_original_transaction_id, is_family_shared, purchased_at, originally_purchased_at, expires_at, renew_status,
        renew_status_changed_at, billing_issue_detected_at, grace_period_expires_at, paused_at, resumes_at, price_country, price_currency, price_value, offer_category, offer_type, offer_id, variation_id, refunded_at, cancellation_reason)
    SELECT 'imp-b-' || u, r.purchase_type, r.store, r.environment, r.store_product_id, r.store_transaction_id, r.store_original_transaction_id, r.is_family_shared, r.purchased_at, r.originally_purchased_at, r.expires_at, r.renew_status,
        r.renew_status_changed_at, r.billing_issue_detected_at, r.grace_period_expires_at, r.paused_at, r.resumes_at, r.price_country, r.price_currency, r.price_value, r.offer_category, r.offer_type, r.offer_id, r.variation_id, r.refunded_at, r.cancellation_reason
    FROM history h, jsonb_populate_record(NULL::adapty.import_transactions, replace(h.columns::text, '#', 'b')::jsonb) r ORDER BY hashint4(u * 10 + n);
SELECT loaded = (SELECT count(*) FROM history) AS all_loaded, known, rejected, profiles_created FROM adapty.load_import(current_setting('adapty.import_id')::integer);
RESET client_min_messages;
-- rows of a table as JSON without what differs by its nature; ids of "a" and "b" made the same
CREATE FUNCTION pg_temp.same(r jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT regexp_replace((r - ARRAY['profile_id', 'purchase_id', 'recorded_at', 'updated_at', 'granted_at', 'created_at', 'actor', 'revoked_at'])::text, '[ab]-imp-', '#-imp-', 'g')
        || (r ->> 'revoked_at' IS NOT NULL)::text $$;
CREATE FUNCTION pg_temp.differences(a jsonb[], b jsonb[]) RETURNS SETOF text LANGUAGE sql AS $$
    (SELECT 'a: ' || pg_temp.same(x) FROM unnest(a) x EXCEPT ALL SELECT 'a: ' || pg_temp.same(x) FROM unnest(b) x)
    UNION ALL (SELECT 'b: ' || pg_temp.same(x) FROM unnest(b) x EXCEPT ALL SELECT 'b: ' || pg_temp.same(x) FROM unnest(a) x) $$;
CREATE FUNCTION pg_temp.rows_of(who text, relation regclass) RETURNS jsonb[] LANGUAGE plpgsql AS $$
DECLARE result jsonb[];
BEGIN
    EXECUTE format('SELECT array_agg(to_jsonb(r) ORDER BY i.customer_user_id) FROM %s r JOIN adapty.identities i USING (profile_id) WHERE i.customer_user_id LIKE %L', relation, 'imp-' || who || '-%') INTO result;
    RETURN result;
END $$;
SELECT relation, cardinality(pg_temp.rows_of('b', relation)) > 100 AS has_rows, d
    FROM unnest(ARRAY['adapty.transactions', 'adapty.subscriptions', 'adapty.access_grants', 'adapty.profiles']::regclass[]) relation
    LEFT JOIN LATERAL pg_temp.differences(pg_temp.rows_of('a', relation), pg_temp.rows_of('b', relation)) d ON true;
SELECT bool_or(t.is_after_first_year) AS some_after_first_year, bool_or(t.price_usd < t.price_value) AS some_converted, bool_or(t.price_usd IS NULL) AS some_unknown FROM adapty.transactions t JOIN adapty.identities i USING (profile_id) WHERE i.customer_user_id LIKE 'imp-b-%';
SELECT adapty.set_currency_rate('XTS', NULL, '-infinity'), adapty.set_tax_rate('US', NULL, 'app_store');
-- so do the timers, but for those that a later row has overtaken
CREATE FUNCTION pg_temp.timers_of(who text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT replace(s.store_original_transaction_id, who || '-imp-', '#-imp-') || ' ' || t.timer || ' ' || pg_temp.utc(t.fires_at)
    FROM adapty.subscription_timers t JOIN adapty.subscriptions s USING (profile_id, store, store_original_transaction_id, store_transaction_id) JOIN adapty.identities i USING (profile_id)
    WHERE i.customer_user_id LIKE 'imp-' || who || '-%' $$;
SELECT count(*) > 10 AS has_timers FROM pg_temp.timers_of('b');
(SELECT 'a', * FROM pg_temp.timers_of('a') EXCEPT ALL SELECT 'a', * FROM pg_temp.timers_of('b')) UNION ALL (SELECT 'b', * FROM pg_temp.timers_of('b') EXCEPT ALL SELECT 'b', * FROM pg_temp.timers_of('a'));
-- the states that were compared are of all kinds
SELECT DISTINCT p.subscription_state FROM adapty.profiles p JOIN adapty.identities i USING (profile_id) WHERE i.customer_user_id LIKE 'imp-b-%' ORDER BY 1;
SELECT DISTINCT adapty.subscription_lifecycle(s.profile_id, s.store, s.store_original_transaction_id) AS lifecycle FROM adapty.subscriptions s JOIN adapty.identities i USING (profile_id) WHERE i.customer_user_id LIKE 'imp-b-%' ORDER BY 1;
SELECT DISTINCT g.source, g.state, g.revoked_at IS NOT NULL AS is_revoked FROM adapty.access_grants g JOIN adapty.identities i USING (profile_id) WHERE i.customer_user_id LIKE 'imp-b-%' ORDER BY 1, 2, 3;

-- Who may.
SET ROLE adapty_server;
SELECT adapty.begin_import('as the server') > 0 AS begun;
COPY adapty.import_transactions (user_id, email) FROM STDIN WITH (FORMAT csv, HEADER match);
user_id,email
import-server,server@example.com
\.
SELECT * FROM adapty.load_import(current_setting('adapty.import_id')::integer);
SELECT actor LIKE 'adapty_server/%' AS is_servers FROM adapty.imports WHERE import_id = current_setting('adapty.import_id')::integer;
SET ROLE adapty_sdk;
SELECT adapty.begin_import();
SELECT adapty.load_import(1);
SELECT count(*) FROM adapty.import_transactions;
SET ROLE adapty_analyst;
SELECT adapty.drop_import(1);
INSERT INTO adapty.import_transactions (import_id, user_id) VALUES (1, 'x');
SELECT count(*) FROM adapty.import_errors;
RESET ROLE;
BEGIN READ ONLY;
SELECT adapty.load_import(1);
ROLLBACK;
-- who inherits is not left to the tests that count all of them
SELECT adapty.delete_profile('import-9') AND adapty.delete_profile('import-share-b') AS deleted;
