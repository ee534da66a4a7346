-- set_transaction(): what was bought, the access that it gives, and its events.
\set VERBOSITY default
\set SHOW_CONTEXT never
-- Times mean the same whatever the session thinks.
SET TimeZone TO 'Pacific/Chatham';
SET DateStyle TO 'SQL, DMY';
SET IntervalStyle TO 'sql_standard';

SELECT adapty.define_access_level('tx_pro', 'Pro');
SELECT adapty.define_product('tx monthly', 'premium', 'monthly',
    '[{"store": "app_store", "store_product_id": "premium_monthly"},
      {"store": "stripe", "store_product_id": "prod_tx", "store_base_plan_id": "price_tx"},
      {"store": "play_store", "store_product_id": "tx", "store_base_plan_id": "monthly"}]') IS NOT NULL AS ok;
SELECT adapty.define_product('tx pro', 'tx_pro', 'monthly',
    '[{"store": "app_store", "store_product_id": "pro_monthly"},
      {"store": "play_store", "store_product_id": "tx", "store_base_plan_id": "pro"}]') IS NOT NULL AS ok;
SELECT adapty.define_product('tx lifetime', 'premium', 'lifetime',
    '[{"store": "app_store", "store_product_id": "premium_lifetime"}]') IS NOT NULL AS ok;
SELECT adapty.define_product('tx coins', period => 'consumable',
    store_products => '[{"store": "app_store", "store_product_id": "coins"}]') IS NOT NULL AS ok;

-- A subscription transaction with the changes that a test makes to it.
CREATE FUNCTION pg_temp.sub(id text, changes jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object(
        'purchase_type', 'subscription', 'store', 'app_store', 'environment', 'Production',
        'store_product_id', 'premium_monthly', 'store_transaction_id', id,
        'store_original_transaction_id', id, 'is_family_shared', false,
        'price', '{"country": "US", "currency": "USD", "value": 4.99}'::jsonb,
        'purchased_at', '2024-01-15T10:30:00Z', 'originally_purchased_at', '2024-01-15T10:30:00Z',
        'expires_at', '2099-02-15T10:30:00Z', 'renew_status', true) || changes $$;
-- A one-time purchase.
CREATE FUNCTION pg_temp.one(id text, changes jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object(
        'purchase_type', 'one_time_purchase', 'store', 'app_store', 'environment', 'Production',
        'store_product_id', 'premium_lifetime', 'store_transaction_id', id,
        'store_original_transaction_id', id, 'is_family_shared', false,
        'price', '{"country": "US", "currency": "USD", "value": 9.99}'::jsonb,
        'purchased_at', '2024-01-15T10:30:00Z', 'variation_id', 'variation_123', 'offer', null,
        'refunded_at', null, 'cancellation_reason', null) || changes $$;
-- What is known of a user, times in UTC.
CREATE FUNCTION pg_temp.profile(u text) RETURNS uuid LANGUAGE sql AS
    $$ SELECT profile_id FROM adapty.identities WHERE customer_user_id = u $$;
CREATE FUNCTION pg_temp.utc(t timestamptz) RETURNS text LANGUAGE sql AS
    $$ SELECT CASE WHEN isfinite(t) THEN to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') ELSE t::text END $$;
CREATE FUNCTION pg_temp.grants(u text) RETURNS TABLE (level text, source text, source_id text, starts text, ends text, state text, revoked boolean)
    LANGUAGE sql AS $$ SELECT access_level_id, source::text, source_id, pg_temp.utc(starts_at), pg_temp.utc(expires_at), state::text, revoked_at IS NOT NULL
        FROM adapty.access_grants WHERE profile_id = pg_temp.profile(u) ORDER BY 1, 2, 3 $$;
CREATE FUNCTION pg_temp.events(u text) RETURNS TABLE (event text, at text, source_id text, reason text)
    LANGUAGE sql AS $$ SELECT event_type::text, CASE WHEN event_datetime > now() - interval '1 hour' AND event_datetime < now() + interval '1 hour' THEN 'now' ELSE pg_temp.utc(event_datetime) END,
            source_id, event_properties->>'cancellation_reason'
        FROM adapty.events WHERE profile_id = pg_temp.profile(u) ORDER BY recorded_at, event_id $$;
CREATE FUNCTION pg_temp.user(u text) RETURNS TABLE (state text, revenue numeric)
    LANGUAGE sql AS $$ SELECT subscription_state::text, total_revenue_usd FROM adapty.profiles WHERE profile_id = pg_temp.profile(u) $$;

-- ---- the documentation's own examples ----
-- a subscription that is over since long: a trial, whose price is not revenue
SELECT adapty.create_profile('tx-doc') AS profile_id \gset
SELECT r->>'customer_user_id' AS customer_user_id, r->>'profile_id' = :'profile_id' AS is_profile, (r->>'total_revenue_usd')::numeric AS revenue,
       jsonb_array_length(r->'subscriptions') AS subscriptions, jsonb_array_length(r->'non_subscriptions') AS non_subscriptions
  FROM adapty.set_transaction('tx-doc', '{
    "purchase_type": "subscription",
    "store": "app_store",
    "environment": "Production",
    "store_product_id": "premium_monthly",
    "store_transaction_id": "1000000123456789",
    "store_original_transaction_id": "1000000123456789",
    "is_family_shared": false,
    "price": {"country": "US", "currency": "USD", "value": 4.99},
    "purchased_at": "2024-01-15T10:30:00Z",
    "originally_purchased_at": "2024-01-15T10:30:00Z",
    "expires_at": "2024-02-15T10:30:00Z",
    "renew_status": true,
    "renew_status_changed_at": null,
    "billing_issue_detected_at": null,
    "grace_period_expires_at": null,
    "variation_id": "variation_123",
    "offer": {"category": "introductory", "type": "free_trial", "id": "trial_offer_123"},
    "refunded_at": null,
    "cancellation_reason": null}') r;
SELECT * FROM pg_temp.grants('tx-doc');
SELECT * FROM pg_temp.events('tx-doc');
SELECT * FROM pg_temp.user('tx-doc');
SELECT adapty.has_access('tx-doc', 'premium');
-- the lifetime purchase; by profile_id
SELECT (r->>'total_revenue_usd')::numeric AS revenue, jsonb_array_length(r->'non_subscriptions') AS non_subscriptions
  FROM adapty.set_transaction(:'profile_id'::uuid, pg_temp.one('1000000123456780')) r;
SELECT * FROM pg_temp.grants('tx-doc');
SELECT * FROM pg_temp.events('tx-doc');
SELECT adapty.has_access('tx-doc', 'premium');
SELECT event_type, event_properties FROM adapty.events
    WHERE profile_id = :'profile_id' AND event_type IN ('trial_started', 'non_subscription_purchase') ORDER BY recorded_at;

-- ---- Case 1: a payment and an order in one transaction ----
CREATE TEMP TABLE orders (customer_user_id text, amount numeric);
SELECT adapty.create_profile('tx-order') IS NOT NULL AS ok;
BEGIN;
INSERT INTO orders VALUES ('tx-order', 9.99);
SELECT (adapty.set_transaction('tx-order', pg_temp.sub('tx-order-1'))->>'total_revenue_usd')::numeric;
SELECT adapty.has_access('tx-order', 'premium');
ROLLBACK;
SELECT adapty.has_access('tx-order', 'premium');
SELECT (SELECT count(*) FROM adapty.transactions WHERE store_transaction_id = 'tx-order-1') AS transactions,
       (SELECT count(*) FROM adapty.subscriptions WHERE store_transaction_id = 'tx-order-1') AS subscriptions,
       (SELECT count(*) FROM pg_temp.grants('tx-order')) AS grants, (SELECT count(*) FROM pg_temp.events('tx-order')) AS events;
BEGIN;
INSERT INTO orders VALUES ('tx-order', 9.99);
-- a Stripe price that is the only one of its product need not be named
SELECT (adapty.set_transaction('tx-order', pg_temp.sub('in_1', '{"store": "stripe", "store_product_id": "prod_tx"}'))->>'total_revenue_usd')::numeric;
COMMIT;
SELECT adapty.has_access('tx-order', 'premium');
SELECT * FROM pg_temp.grants('tx-order');
SELECT * FROM pg_temp.user('tx-order');

-- ---- the same again changes nothing ----
SELECT adapty.set_transaction('tx-order', pg_temp.sub('in_1', '{"store": "stripe", "store_product_id": "prod_tx"}')) IS NOT NULL AS ok;
SELECT * FROM pg_temp.events('tx-order');
SELECT t.updated_at = t.recorded_at AS untouched, g.updated_at = g.granted_at AS grant_untouched
    FROM adapty.transactions t JOIN adapty.access_grants g USING (profile_id) WHERE store_transaction_id = 'in_1';

-- ---- a chain: trial, conversion, renewal, cancelled, reactivated, billing issue and grace, refund ----
SELECT adapty.set_transaction('tx-chain', pg_temp.sub('c1', '{"expires_at": "2099-01-22T10:30:00Z", "offer": {"category": "introductory", "type": "free_trial"}}'), create_missing => true) IS NOT NULL AS ok;
SELECT * FROM pg_temp.user('tx-chain');
SELECT adapty.set_transaction('tx-chain', pg_temp.sub('c1', '{"expires_at": "2099-01-22T10:30:00Z", "renew_status": false, "renew_status_changed_at": "2024-01-16T00:00:00Z", "offer": {"category": "introductory", "type": "free_trial"}}')) IS NOT NULL AS ok;
SELECT * FROM pg_temp.user('tx-chain');
SELECT adapty.set_transaction('tx-chain', pg_temp.sub('c1', '{"expires_at": "2099-01-22T10:30:00Z", "renew_status_changed_at": "2024-01-17T00:00:00Z", "offer": {"category": "introductory", "type": "free_trial"}}')) IS NOT NULL AS ok;
SELECT adapty.set_transaction('tx-chain', pg_temp.sub('c2', '{"store_original_transaction_id": "c1", "purchased_at": "2099-01-22T10:30:00Z", "expires_at": "2099-02-22T10:30:00Z"}')) IS NOT NULL AS ok;
SELECT * FROM pg_temp.user('tx-chain');
SELECT adapty.set_transaction('tx-chain', pg_temp.sub('c3', '{"store_original_transaction_id": "c1", "purchased_at": "2099-02-22T10:30:00Z", "expires_at": "2099-03-22T10:30:00Z"}')) IS NOT NULL AS ok;
SELECT adapty.set_transaction('tx-chain', pg_temp.sub('c3', '{"store_original_transaction_id": "c1", "purchased_at": "2099-02-22T10:30:00Z", "expires_at": "2099-03-22T10:30:00Z", "renew_status": false}')) IS NOT NULL AS ok;
SELECT * FROM pg_temp.user('tx-chain');
SELECT renew_status, renewal_cancelled_at > now() - interval '1 hour' AS cancelled_now, store_transaction_id
    FROM adapty.subscriptions WHERE store_original_transaction_id = 'c1';
SELECT adapty.set_transaction('tx-chain', pg_temp.sub('c3', '{"store_original_transaction_id": "c1", "purchased_at": "2099-02-22T10:30:00Z", "expires_at": "2099-03-22T10:30:00Z", "renew_status": true}')) IS NOT NULL AS ok;
SELECT renew_status, renewal_cancelled_at FROM adapty.subscriptions WHERE store_original_transaction_id = 'c1';
-- an issue without grace does not move the end; with grace access lasts until its end
SELECT adapty.set_transaction('tx-chain', pg_temp.sub('c3', '{"store_original_transaction_id": "c1", "purchased_at": "2099-02-22T10:30:00Z", "expires_at": "2099-03-22T10:30:00Z", "grace_period_expires_at": "2099-04-07T10:30:00Z"}')) IS NOT NULL AS ok;
SELECT ends FROM pg_temp.grants('tx-chain');
SELECT adapty.set_transaction('tx-chain', pg_temp.sub('c3', '{"store_original_transaction_id": "c1", "purchased_at": "2099-02-22T10:30:00Z", "expires_at": "2099-03-22T10:30:00Z", "billing_issue_detected_at": "2024-03-01T00:00:00Z", "grace_period_expires_at": "2099-04-07T10:30:00Z"}')) IS NOT NULL AS ok;
SELECT * FROM pg_temp.grants('tx-chain');
SELECT * FROM pg_temp.user('tx-chain');
-- a late report of an older transaction changes history only
SELECT adapty.set_transaction('tx-chain', pg_temp.sub('c0', '{"store_original_transaction_id": "c1", "purchased_at": "2023-12-15T10:30:00Z", "expires_at": "2024-01-15T10:30:00Z", "renew_status": false, "renew_status_changed_at": "2024-01-01T00:00:00Z"}')) IS NOT NULL AS ok;
SELECT store_transaction_id, renew_status FROM adapty.subscriptions WHERE store_original_transaction_id = 'c1';
SELECT * FROM pg_temp.user('tx-chain');
-- so does the refund of an older one, but for the revenue
SELECT adapty.set_transaction('tx-chain', pg_temp.sub('c2', '{"store_original_transaction_id": "c1", "purchased_at": "2099-01-22T10:30:00Z", "expires_at": "2099-02-22T10:30:00Z", "refunded_at": "2099-01-23T00:00:00Z", "cancellation_reason": "refund"}')) IS NOT NULL AS ok;
SELECT starts, ends, state, revoked FROM pg_temp.grants('tx-chain');
SELECT * FROM pg_temp.user('tx-chain');
SELECT * FROM pg_temp.events('tx-chain');

-- ---- a refund ends access; a report that does not know of it does not bring it back ----
SELECT adapty.set_transaction('tx-refund', pg_temp.sub('r1'), true) IS NOT NULL AS ok;
SELECT adapty.set_transaction('tx-refund', pg_temp.sub('r1', '{"refunded_at": "2024-02-01T00:00:00Z", "cancellation_reason": "refund"}')) IS NOT NULL AS ok;
SELECT adapty.set_transaction('tx-refund', pg_temp.sub('r1')) IS NOT NULL AS ok;
SELECT * FROM pg_temp.grants('tx-refund');
SELECT * FROM pg_temp.events('tx-refund');
SELECT * FROM pg_temp.user('tx-refund');
SELECT adapty.has_access('tx-refund', 'premium');
-- the one-time purchase, with a refund from the first report on
SELECT adapty.set_transaction('tx-refund', pg_temp.one('r2', '{"refunded_at": "2024-02-01T00:00:00Z"}')) IS NOT NULL AS ok;
SELECT * FROM pg_temp.grants('tx-refund') WHERE source = 'one_time_purchase';
SELECT event, at, source_id FROM pg_temp.events('tx-refund') WHERE event LIKE 'non%';
-- refunded by hand: the transaction behind the access
SELECT adapty.set_transaction('tx-hand', pg_temp.sub('h1'), true) IS NOT NULL AS ok;
SELECT adapty.set_transaction('tx-hand', pg_temp.one('h2')) IS NOT NULL AS ok;
SELECT * FROM pg_temp.user('tx-hand');
SELECT access_level_id FROM adapty.revoke_access_level('tx-hand', 'premium', is_refund => true, reason => 'chargeback');
SELECT adapty.has_access('tx-hand', 'premium');
SELECT store_transaction_id, refunded_at IS NOT NULL AS refunded, cancellation_reason
    FROM adapty.transactions WHERE profile_id = pg_temp.profile('tx-hand') ORDER BY 1;
SELECT level, source, state, revoked FROM pg_temp.grants('tx-hand');
SELECT event, at, source_id, reason FROM pg_temp.events('tx-hand');
SELECT * FROM pg_temp.user('tx-hand');

-- ---- no access: consumable, unmapped; family sharing is nobody's revenue ----
SELECT adapty.set_transaction('tx-none', pg_temp.one('n1', '{"store_product_id": "coins"}'), true) IS NOT NULL AS ok;
SELECT adapty.set_transaction('tx-none', pg_temp.sub('n2', '{"store_product_id": "unknown", "store": "play_store"}')) IS NOT NULL AS ok;
SELECT adapty.set_transaction('tx-none', pg_temp.sub('n3', '{"store_product_id": "tx:weekly", "store": "play_store"}')) IS NOT NULL AS ok;
SELECT * FROM pg_temp.grants('tx-none');
SELECT * FROM pg_temp.events('tx-none');
SELECT * FROM pg_temp.user('tx-none');
-- mapped later, and reported again: access, and no second start
SELECT adapty.define_product('tx monthly', 'premium', 'monthly', '[{"store": "play_store", "store_product_id": "unknown"}]') IS NOT NULL AS ok;
SELECT adapty.set_transaction('tx-none', pg_temp.sub('n2', '{"store_product_id": "unknown", "store": "play_store"}')) IS NOT NULL AS ok;
SELECT * FROM pg_temp.grants('tx-none');
SELECT event FROM pg_temp.events('tx-none');
SELECT adapty.set_transaction('tx-family', pg_temp.sub('f1', '{"is_family_shared": true}'), true) IS NOT NULL AS ok;
SELECT * FROM pg_temp.events('tx-family');
SELECT * FROM pg_temp.user('tx-family');
-- sandbox and other currencies give access, and no revenue in dollars
SELECT adapty.set_transaction('tx-eur', pg_temp.sub('e1', '{"price": {"country": "DE", "currency": "EUR", "value": 5}}'), true) IS NOT NULL AS ok;
SELECT adapty.set_transaction('tx-eur', pg_temp.sub('e2', '{"environment": "Sandbox"}')) IS NOT NULL AS ok;
SELECT store_transaction_id, price_value, price_currency, price_usd FROM adapty.transactions WHERE profile_id = pg_temp.profile('tx-eur') ORDER BY 1;
SELECT * FROM pg_temp.user('tx-eur');

-- ---- Google Play's base plans; an upgrade in a chain moves to another level ----
SELECT adapty.set_transaction('tx-play', pg_temp.sub('GPA.1', '{"store": "play_store", "store_product_id": "tx:monthly"}'), true) IS NOT NULL AS ok;
SELECT store_product_id, store_base_plan_id FROM adapty.transactions WHERE store_transaction_id = 'GPA.1';
SELECT * FROM pg_temp.grants('tx-play');
SELECT adapty.set_transaction('tx-play', pg_temp.sub('GPA.1..0', '{"store": "play_store", "store_product_id": "tx:pro", "store_original_transaction_id": "GPA.1", "purchased_at": "2024-02-01T00:00:00Z"}')) IS NOT NULL AS ok;
SELECT * FROM pg_temp.grants('tx-play');
SELECT event, at, source_id FROM pg_temp.events('tx-play');

-- ---- whose transaction it is ----
SELECT adapty.configure_environment('Production', access_sharing => 'disabled');
SELECT adapty.create_profile('tx-thief') IS NOT NULL AS ok;
SELECT adapty.set_transaction('tx-thief', pg_temp.sub('c1')) IS NOT NULL AS ok;
SELECT adapty.set_transaction('tx-thief', pg_temp.one('1000000123456780')) IS NOT NULL AS ok;
SELECT adapty.set_transaction('tx-thief', pg_temp.sub('c9', '{"store_original_transaction_id": "c1"}')) IS NOT NULL AS ok;
SELECT count(*) FROM pg_temp.events('tx-thief');
SELECT adapty.has_access('tx-thief', 'premium'), (SELECT count(*) FROM adapty.transactions WHERE profile_id = pg_temp.profile('tx-thief'));
DELETE FROM adapty.environment_settings;
-- nobody's is claimed, with its chain, and is no second purchase
SELECT adapty.set_transaction('tx-gone', pg_temp.sub('g1'), true) IS NOT NULL AS ok;
SELECT adapty.set_transaction('tx-gone', pg_temp.sub('g2', '{"store_original_transaction_id": "g1", "purchased_at": "2024-02-15T10:30:00Z"}')) IS NOT NULL AS ok;
SELECT adapty.set_transaction('tx-gone', pg_temp.one('g3')) IS NOT NULL AS ok;
SELECT adapty.delete_profile('tx-gone');
SELECT adapty.set_transaction('tx-heir', pg_temp.sub('g2', '{"store_original_transaction_id": "g1", "purchased_at": "2024-02-15T10:30:00Z"}'), true) IS NOT NULL AS ok;
SELECT count(*) FROM adapty.transactions WHERE profile_id = pg_temp.profile('tx-heir');
SELECT adapty.set_transaction('tx-heir', pg_temp.one('g3')) IS NOT NULL AS ok;
SELECT store_transaction_id FROM adapty.transactions WHERE profile_id = pg_temp.profile('tx-heir') ORDER BY 1;
SELECT * FROM pg_temp.grants('tx-heir');
SELECT event FROM pg_temp.events('tx-heir');
SELECT * FROM pg_temp.user('tx-heir');
-- a new transaction of nobody's chain
SELECT adapty.delete_profile('tx-heir');
SELECT adapty.set_transaction('tx-heir2', pg_temp.sub('g4', '{"store_original_transaction_id": "g1", "purchased_at": "2024-03-15T10:30:00Z"}'), true) IS NOT NULL AS ok;
SELECT store_transaction_id FROM adapty.transactions WHERE profile_id = pg_temp.profile('tx-heir2') ORDER BY 1;
SELECT event FROM pg_temp.events('tx-heir2');

-- ---- times are strict, and mean UTC ----
SELECT adapty.set_transaction('tx-time', pg_temp.sub('t1', '{"purchased_at": "2024-01-15T10:30:00", "originally_purchased_at": "2024-01-15 10:30:00.123456789+05:30", "expires_at": "2099-12-31t23:59:59.9-0800"}'), true) IS NOT NULL AS ok;
SELECT pg_temp.utc(purchased_at) AS purchased_at, to_char(originally_purchased_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS originally_purchased_at,
       to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS expires_at FROM adapty.transactions WHERE store_transaction_id = 't1';
DO $$
DECLARE
    bad text;
    field text;
BEGIN
    FOREACH bad IN ARRAY ARRAY['now', 'infinity', '-infinity', 'epoch', 'today', '', '2024', '2024-01-15', '20240115T103000Z', '15/01/2024 10:30:00',
        '2024-13-01T00:00:00Z', '2024-02-30T00:00:00Z', '2023-02-29T00:00:00Z', '2024-01-15T24:00:00Z', '2024-01-15T10:60:00Z', '2024-01-15T10:30:60Z',
        '2024-01-15T10:30Z', '2024-01-15T10:30:00.Z', '2024-01-15T10:30:00.1234567890Z', '2024-01-15T10:30:00ZZ', '2024-01-15T10:30:00 UTC',
        '2024-01-15T10:30:00+5', '2024-01-15T10:30:00+16:00', '2024-01-15T10:30:00+01:60', ' 2024-01-15T10:30:00Z', '2024-01-15T10:30:00Z ', '0000-01-01T00:00:00Z',
        '-2024-01-15T10:30:00Z', '12024-01-15T10:30:00Z', '1705314600'] LOOP
        BEGIN
            PERFORM adapty.set_transaction('tx-time', pg_temp.sub('t2', jsonb_build_object('purchased_at', bad)));
            RAISE NOTICE 'taken: %', bad;
        EXCEPTION WHEN invalid_parameter_value THEN
            GET STACKED DIAGNOSTICS field = COLUMN_NAME;
            RAISE NOTICE '% (%)', SQLERRM, field;
        END;
    END LOOP;
END $$;

-- ---- every other refusal names the field ----
CREATE FUNCTION pg_temp.refused(tx jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    field text;
    detail text;
BEGIN
    PERFORM adapty.set_transaction('tx-time', tx);
    RETURN 'taken';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS field = COLUMN_NAME, detail = PG_EXCEPTION_DETAIL;
    RETURN format('%s %s: %s [%s]', SQLSTATE, field, SQLERRM, detail);
END $$;
SELECT f AS missing, pg_temp.refused(pg_temp.sub('t2') - f) FROM unnest(ARRAY['purchase_type', 'store', 'store_product_id', 'store_transaction_id',
    'store_original_transaction_id', 'price', 'purchased_at', 'originally_purchased_at', 'expires_at', 'renew_status']) f;
SELECT f AS nulled, pg_temp.refused(pg_temp.one('t2') || jsonb_build_object(f, NULL)) FROM unnest(ARRAY['purchase_type', 'store', 'store_product_id', 'store_transaction_id',
    'store_original_transaction_id', 'price', 'purchased_at']) f;
SELECT pg_temp.refused(pg_temp.sub('t2', c::jsonb)) FROM unnest(ARRAY[
    '{"purchase_type": "rent"}', '{"purchase_type": 1}', '{"environment": "sandbox"}', '{"store": "app store"}', '{"store": ""}', '{"store": ["app_store"]}',
    '{"store_product_id": ""}', '{"store_product_id": 5}', '{"store_transaction_id": ""}', '{"store_transaction_id": 12345}',
    '{"is_family_shared": "no"}', '{"is_family_shared": 0}', '{"renew_status": "true"}',
    '{"price": 4.99}', '{"price": []}', '{"price": {}}', '{"price": {"country": "US", "currency": "USD"}}',
    '{"price": {"country": "us", "currency": "USD", "value": 1}}', '{"price": {"country": "USA", "currency": "USD", "value": 1}}',
    '{"price": {"country": "US", "currency": "usd", "value": 1}}', '{"price": {"country": "US", "currency": "Dollar", "value": 1}}',
    '{"price": {"country": "US", "currency": "USD", "value": "4.99"}}', '{"price": {"country": "US", "currency": "USD", "value": -0.01}}',
    '{"price": {"country": "US", "currency": "USD", "value": 1e12}}', '{"price": {"country": "US", "currency": "USD", "value": 1e400}}',
    '{"price": {"country": "US", "currency": "USD", "value": 1, "tax": 2}}',
    '{"offer": "trial"}', '{"offer": {"category": "introductory"}}', '{"offer": {"type": "free_trial"}}', '{"offer": {"category": "x", "type": "free_trial"}}',
    '{"offer": {"category": "introductory", "type": "x"}}', '{"offer": {"category": "introductory", "type": "free_trial", "id": 1}}',
    '{"offer": {"category": "introductory", "type": "free_trial", "code": "A"}}',
    '{"cancellation_reason": "because"}', '{"variation_id": ""}', '{"variation_id": {}}',
    '{"expires_at": "2024-01-15T10:30:00Z"}', '{"expires_at": "2023-01-15T10:30:00Z"}', '{"expires_at": null}',
    '{"grace_period_expires_at": "2024-01-15T10:30:00Z"}', '{"refunded_at": "2024-01-15T10:29:59Z"}',
    '{"billing_issue_detected_at": true}', '{"expiresAt": "2099-01-01T00:00:00Z"}', '{"": 1}']) c;
SELECT left(pg_temp.refused(pg_temp.sub(repeat('x', 51))), 100);
SELECT pg_temp.refused(pg_temp.sub('t2', jsonb_build_object('store', repeat('x', 65)))) LIKE '22023 store: invalid value for "store"%at most 64%';
SELECT pg_temp.refused(pg_temp.sub('t2', jsonb_build_object('store_original_transaction_id', repeat(chr(233), 256)))) LIKE '22023 store_original_transaction_id: %256 characters; at most 255%';
SELECT pg_temp.refused(pg_temp.one('t2', '{"expires_at": "2099-01-01T00:00:00Z"}'));
-- what is known stays what it is
SELECT pg_temp.refused(pg_temp.one('t1'));
SELECT pg_temp.refused(pg_temp.sub('t1', '{"store_original_transaction_id": "t0"}'));
SELECT pg_temp.refused('[]'), pg_temp.refused('"x"'), pg_temp.refused('null');
SELECT adapty.set_transaction('tx-time', NULL);
SELECT adapty.set_transaction('tx-nobody', pg_temp.sub('t2'));
SELECT adapty.set_transaction('00000000-0000-0000-0000-00000000dead'::uuid, pg_temp.sub('t2'), create_missing => true);
SELECT adapty.set_transaction('', pg_temp.sub('t2'));
SELECT adapty.set_transaction(NULL::text, pg_temp.sub('t2'));
-- a bad report creates nobody
SELECT adapty.set_transaction('tx-nobody', '{}', true);
SELECT count(*) FROM adapty.identities WHERE customer_user_id = 'tx-nobody';
SELECT count(*) FROM adapty.transactions WHERE store_transaction_id = 't2';
SET adapty.test_clock_offset = 60;
SELECT adapty.set_transaction('tx-time', pg_temp.sub('t2'));
RESET adapty.test_clock_offset;

-- ---- who may ----
SELECT r.role, f.function, has_function_privilege(r.role, f.function, 'EXECUTE')
    FROM (VALUES ('adapty_server'), ('adapty_sdk'), ('adapty_analyst')) r(role),
         (VALUES ('adapty.set_transaction(text, jsonb, boolean, timestamptz)'), ('adapty.set_transaction(uuid, jsonb, boolean, timestamptz)')) f(function)
    ORDER BY 1, 2;
SELECT pg_temp.sub('s1') AS tx \gset
SET ROLE adapty_server;
SELECT adapty.set_transaction('tx-server', :'tx', true) IS NOT NULL AS ok;
SET ROLE adapty_sdk;
SELECT adapty.set_transaction('tx-server', :'tx', true);
RESET ROLE;
SELECT DISTINCT split_part(actor, '/', 1) FROM adapty.events WHERE profile_id = pg_temp.profile('tx-server');

-- ---- the end by the clock ----
SELECT adapty.set_transaction('tx-lapse', pg_temp.sub('l1'), true) IS NOT NULL AS ok;
SELECT adapty.set_transaction('tx-lapse', pg_temp.sub('l2', '{"renew_status": false, "store_product_id": "pro_monthly"}')) IS NOT NULL AS ok;
SELECT * FROM pg_temp.user('tx-lapse');
-- moving the end into the past is an end, once
SELECT adapty.set_transaction('tx-lapse', pg_temp.sub('l1', '{"expires_at": "2024-02-15T10:30:00Z"}')) IS NOT NULL AS ok;
SELECT adapty.set_transaction('tx-lapse', pg_temp.sub('l1', '{"expires_at": "2024-02-15T10:30:00Z"}')) IS NOT NULL AS ok;
SELECT * FROM pg_temp.grants('tx-lapse');
SELECT * FROM pg_temp.events('tx-lapse');
SELECT * FROM pg_temp.user('tx-lapse');
-- bought again after the end: a renewal
SELECT adapty.set_transaction('tx-lapse', pg_temp.sub('l3', '{"store_original_transaction_id": "l1", "purchased_at": "2024-03-15T10:30:00Z"}')) IS NOT NULL AS ok;
SELECT event, at, source_id FROM pg_temp.events('tx-lapse') OFFSET 6;
SELECT * FROM pg_temp.user('tx-lapse');

-- ---- the end by the clock, which a test moves on ----
SELECT adapty.set_transaction('tx-clock-on', pg_temp.sub('k1'), true) IS NOT NULL AS ok;
SELECT adapty.set_transaction('tx-clock-off', pg_temp.sub('k2', '{"renew_status": false}'), true) IS NOT NULL AS ok;
SELECT adapty.set_transaction('tx-clock-said', pg_temp.sub('k3', '{"renew_status": false, "cancellation_reason": "price_increase"}'), true) IS NOT NULL AS ok;
SELECT adapty.set_transaction('tx-clock-bill', pg_temp.sub('k4', '{"billing_issue_detected_at": "2024-03-01T00:00:00Z", "grace_period_expires_at": "2099-03-01T00:00:00Z"}'), true) IS NOT NULL AS ok;
SELECT adapty.set_transaction('tx-clock-trial', pg_temp.sub('k5', '{"renew_status": false, "offer": {"category": "introductory", "type": "free_trial"}}'), true) IS NOT NULL AS ok;
SELECT adapty.set_transaction('tx-clock-life', pg_temp.one('k6'), true) IS NOT NULL AS ok;
DO $$
DECLARE
    u text;
BEGIN
    FOR u IN SELECT customer_user_id FROM adapty.identities WHERE customer_user_id LIKE 'tx-clock-%' LOOP
        PERFORM adapty.set_test_clock(u, make_interval(days => 100 * 365));
    END LOOP;
    PERFORM adapty.process_due(1000);
END $$;
SELECT i.customer_user_id, e.event, e.at, e.source_id, e.reason
    FROM (VALUES ('tx-clock-on'), ('tx-clock-off'), ('tx-clock-said'), ('tx-clock-bill'), ('tx-clock-trial'), ('tx-clock-life')) i(customer_user_id),
         LATERAL pg_temp.events(i.customer_user_id) e
    WHERE e.event LIKE '%expired' OR e.event = 'entered_grace_period' ORDER BY 1, 2;
SELECT i.customer_user_id, u.state, u.revenue, adapty.has_access(i.customer_user_id, 'premium')
    FROM (VALUES ('tx-clock-on'), ('tx-clock-off'), ('tx-clock-said'), ('tx-clock-bill'), ('tx-clock-trial'), ('tx-clock-life')) i(customer_user_id),
         LATERAL pg_temp.user(i.customer_user_id) u ORDER BY 1;

-- ---- clean up ----
SELECT count(adapty.delete_profile(customer_user_id)) FROM (SELECT customer_user_id FROM adapty.identities WHERE customer_user_id LIKE 'tx-%') u;
DELETE FROM adapty.transactions WHERE profile_id = '00000000-0000-0000-0000-000000000000';
DELETE FROM adapty.subscriptions WHERE profile_id = '00000000-0000-0000-0000-000000000000';
DELETE FROM adapty.products WHERE title LIKE 'tx %';
SELECT adapty.delete_access_level('tx_pro');
