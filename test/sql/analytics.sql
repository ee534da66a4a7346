-- Analytics on a small history of 2021 whose numbers were worked out by hand.
SET DateStyle = 'ISO';
SET TimeZone = 'Asia/Kolkata';	-- the session's zone must not matter
BEGIN;
DELETE FROM adapty.subscriptions;
DELETE FROM adapty.transactions;
INSERT INTO adapty.products (product_id, title, access_level_id, period) VALUES
    ('00000000-0000-0000-0000-00000000000a', 'analytics monthly', 'premium', 'monthly'),
    ('00000000-0000-0000-0000-00000000000b', 'analytics annual', 'premium', 'annual'),
    ('00000000-0000-0000-0000-00000000000c', 'analytics weekly', 'premium', 'weekly'),
    ('00000000-0000-0000-0000-00000000000d', 'analytics coins', NULL, 'consumable');
CREATE FUNCTION pg_temp.u(n integer) RETURNS uuid LANGUAGE sql AS
    $$ SELECT ('00000000-0000-0000-0000-0000000000' || lpad(n::text, 2, '0'))::uuid $$;
INSERT INTO adapty.profiles (profile_id, created_at) VALUES
    (pg_temp.u(1), '2021-01-01 00:00Z'), (pg_temp.u(2), '2021-01-01 00:00Z'), (pg_temp.u(3), '2021-01-10 00:00Z'),
    (pg_temp.u(4), '2021-01-01 03:00Z'), (pg_temp.u(5), '2021-01-05 00:00Z'), (pg_temp.u(6), '2021-01-01 00:00Z'),
    (pg_temp.u(7), '2021-01-02 00:00Z'), (pg_temp.u(8), '2021-01-05 00:00Z'), (pg_temp.u(9), '2021-01-06 00:00Z');
CREATE FUNCTION pg_temp.t(n integer, product text, id text, bought timestamptz, ends timestamptz, usd numeric, trial boolean DEFAULT false,
                          refunded timestamptz DEFAULT NULL, env adapty.environment DEFAULT 'Production', shared boolean DEFAULT false, reason text DEFAULT NULL)
    RETURNS void LANGUAGE sql AS $$
    INSERT INTO adapty.transactions (profile_id, purchased_at, originally_purchased_at, expires_at, refunded_at, purchase_type, environment, offer_type,
        product_id, renew_status, is_family_shared, store, store_transaction_id, store_original_transaction_id, store_product_id,
        price_country, price_currency, price_value, price_usd, cancellation_reason)
    VALUES (pg_temp.u(n), bought, bought, ends, refunded, CASE WHEN ends IS NULL THEN 'one_time_purchase' ELSE 'subscription' END::adapty.purchase_type,
        env, CASE WHEN trial THEN 'free_trial' END::adapty.offer_type, ('00000000-0000-0000-0000-00000000000' || product)::uuid,
        CASE WHEN ends IS NOT NULL THEN true END, shared, 'stripe', id, 'chain-' || n || CASE WHEN ends IS NULL THEN id ELSE '' END, 'p', 'US', 'USD',
        coalesce(usd, 9), usd, reason::adapty.cancellation_reason) $$;
-- 1: monthly, renews once, ends on March 1st
SELECT pg_temp.t(1, 'a', '1a', '2021-01-01 12:00Z', '2021-02-01 12:00Z', 10), pg_temp.t(1, 'a', '1b', '2021-02-01 12:00Z', '2021-03-01 12:00Z', 10) \gset ignored_
-- 2: a trial that converts and is refunded
SELECT pg_temp.t(2, 'a', '2a', '2021-01-02 00:00Z', '2021-01-09 00:00Z', 10, true), pg_temp.t(2, 'a', '2b', '2021-01-09 00:00Z', '2021-02-09 00:00Z', 10, refunded => '2021-01-20 10:00Z') \gset ignored_
-- 3: a trial that does not convert
SELECT pg_temp.t(3, 'a', '3a', '2021-01-10 06:00Z', '2021-01-17 06:00Z', 10, true) \gset ignored_
-- 4: annual, in the evening of January 2nd in New York
SELECT pg_temp.t(4, 'b', '4a', '2021-01-03 01:00Z', '2022-01-03 01:00Z', 120) \gset ignored_
-- 5: a week, a gap, another week
SELECT pg_temp.t(5, 'c', '5a', '2021-01-05 00:00Z', '2021-01-12 00:00Z', 3), pg_temp.t(5, 'c', '5b', '2021-01-20 00:00Z', '2021-01-27 00:00Z', 3) \gset ignored_
-- 6: coins, refunded
SELECT pg_temp.t(6, 'd', '6a', '2021-01-04 00:00Z', NULL, 5, refunded => '2021-02-02 00:00Z') \gset ignored_
-- 7: nothing that counts
SELECT pg_temp.t(7, 'a', '7a', '2021-01-02 00:00Z', '2021-02-02 00:00Z', 10, env => 'Sandbox'), pg_temp.t(7, 'a', '7b', '2021-01-02 00:00Z', '2021-02-02 00:00Z', 10, shared => true) \gset ignored_
-- 8: a trial that is paid for three days after its end
SELECT pg_temp.t(8, 'a', '8a', '2021-01-05 00:00Z', '2021-01-12 00:00Z', 10, true), pg_temp.t(8, 'a', '8b', '2021-01-15 00:00Z', '2021-02-15 00:00Z', 10) \gset ignored_
-- 9: in a currency whose rate is unknown
SELECT pg_temp.t(9, 'a', '9a', '2021-01-06 00:00Z', '2021-02-06 00:00Z', NULL) \gset ignored_
-- nobody known bought coins
SELECT pg_temp.t(0, 'd', '0a', '2021-01-04 00:00Z', NULL, 5) \gset ignored_

-- ---- per day in UTC ----
-- active: Jan 1: user 1; Jan 3: and 4; Jan 5: and 5; Jan 6: and 9; Jan 12: without 5; Jan 15: and 8; Jan 20: and 5 again; Jan 27: without
-- 5; Feb 6: without 9; Feb 15: without 8; Mar 1: without 1. 2 was refunded: new on Jan 9, active never.
SELECT * FROM adapty.daily_subscriptions('2020-12-31', '2021-01-28');
SELECT day, churned_subscriptions, active_subscriptions FROM adapty.daily_subscriptions('2021-01-31', '2022-01-04') WHERE churned_subscriptions > 0;
-- what is active is what has begun less what has ended
SELECT count(*) FROM (SELECT active_subscriptions - lag(active_subscriptions) OVER (ORDER BY day) AS change, churned_subscriptions, restarted_subscriptions,
        new_subscriptions - (day = '2021-01-09')::integer AS new FROM adapty.daily_subscriptions('2020-12-31', '2022-02-01')) d
    WHERE change <> new + restarted_subscriptions - churned_subscriptions;
SELECT * FROM adapty.daily_revenue('2021-01-01', '2021-02-03') WHERE purchases + refunds + new_profiles > 0;
-- a week for $3 is $13 a month
SELECT day, mrr_usd, arr_usd FROM (SELECT d.*, lag(mrr_usd) OVER (ORDER BY day) AS before FROM adapty.daily_mrr('2020-12-31', '2022-01-04') d) d
    WHERE mrr_usd IS DISTINCT FROM before;

-- ---- a named zone ----
-- in New York users 1 and 2 began on January 1st, 4 on the 2nd; the profile of 4 is of December 31st, and so are all of midnight UTC
SELECT day, new_subscriptions, new_trials, active_subscriptions, active_trials FROM adapty.daily_subscriptions('2020-12-31', '2021-01-03', 'America/New_York');
SELECT day, gross_usd, payers, new_profiles FROM adapty.daily_revenue('2020-12-31', '2021-01-03', 'America/New_York');
SELECT day, mrr_usd FROM adapty.daily_mrr('2021-01-01', '2021-01-04', 'Pacific/Kiritimati');
SAVEPOINT s;
SELECT * FROM adapty.daily_subscriptions('2021-01-01', '2021-01-02', 'Mars/Olympus');
ROLLBACK TO s;
-- across a change to summer time every day is there once
SELECT count(*), count(DISTINCT day), min(day), max(day) FROM adapty.daily_mrr('2021-03-10', '2021-03-20', 'America/New_York');

-- ---- cohorts ----
SELECT * FROM adapty.trial_conversion('2021-01-01', '2021-12-31');
SELECT * FROM adapty.trial_conversion('2021-01-05', '2021-01-31', 'America/New_York');
-- six subscriptions paid first in January, 1 and 5 paid twice
SELECT * FROM adapty.cohort_retention('2021-01-01', '2021-12-31');
SELECT * FROM adapty.cohort_retention('2021-01-01', '2021-12-31', cohort_unit => 'week');
\set VERBOSITY sqlstate
SELECT * FROM adapty.cohort_retention(cohort_unit => 'fortnight');
\set VERBOSITY default
ROLLBACK TO s;
-- nine profiles of January: 10 + (10 - 10) + 120 + 5 + 6 + 10 in the first 30 days of each; then 10 of user 1 and the refund of 5
SELECT * FROM adapty.cohort_revenue('2021-01-01', '2021-01-31') WHERE period < 3;
SELECT cohort, profiles, revenue_usd FROM adapty.cohort_revenue('2020-12-01', '2021-01-31', 'America/New_York') WHERE period = 0;
SELECT cohort, profiles, revenue_usd FROM adapty.cohort_revenue('2021-01-01', '2021-01-31', cohort_unit => 'day') WHERE period = 0;

-- ---- an upgrade ends the old period and takes nothing back from the past ----
SELECT pg_temp.t(3, 'a', '3b', '2021-04-01 00:00Z', '2021-05-01 00:00Z', 10, refunded => '2021-04-11 00:00Z', reason => 'upgraded'),
       pg_temp.t(3, 'b', '3c', '2021-04-11 00:00Z', '2022-04-11 00:00Z', 60) \gset ignored_
SELECT starts_at = '2021-04-01 00:00Z' AS starts, ends_at = '2022-04-11 00:00Z' AS ends, payments FROM adapty.subscription_runs WHERE profile_id = pg_temp.u(3);
SELECT day, mrr_usd FROM adapty.daily_mrr('2021-04-10', '2021-04-11');

-- ---- the views are the functions of all days so far, in UTC ----
SELECT (SELECT count(*) FROM (TABLE adapty.daily_subscriptions EXCEPT SELECT * FROM adapty.daily_subscriptions()) x) AS subscriptions,
       (SELECT count(*) FROM (TABLE adapty.daily_revenue EXCEPT SELECT * FROM adapty.daily_revenue()) x) AS revenue,
       (SELECT count(*) FROM (TABLE adapty.daily_mrr EXCEPT SELECT * FROM adapty.daily_mrr()) x) AS mrr;
SELECT min(day) AS first, max(day) = (now() AT TIME ZONE 'UTC')::date AS until_today FROM adapty.daily_mrr;

-- ---- an analyst reads all of it ----
SET LOCAL ROLE adapty_analyst;
SELECT active_subscriptions FROM adapty.daily_subscriptions WHERE day = '2021-01-20';
SELECT revenue_usd FROM adapty.daily_revenue WHERE day = '2021-01-20';
SELECT mrr_usd FROM adapty.daily_mrr WHERE day = '2021-01-20';
SELECT converted FROM adapty.trial_conversion WHERE day = '2021-01-02';
SELECT subscriptions FROM adapty.cohort_retention WHERE cohort = '2021-01-01' AND payment_number = 2;
SELECT revenue_usd FROM adapty.cohort_revenue WHERE cohort = '2021-01-01' AND period = 0;
SELECT count(*) FROM adapty.payments WHERE is_trial;
SELECT count(*) FROM adapty.subscription_runs;
-- segments too, joined with a table of the analyst's own
SELECT count(*) FROM adapty_segments."Never subscribed" s JOIN (SELECT profile_id FROM adapty.payments) mine USING (profile_id);
RESET ROLE;
ROLLBACK;

-- ---- and sees nobody's name, address or number, by whatever path ----
-- columns that analysts may read, of all that could say who somebody is
SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace IN ('adapty'::regnamespace, coalesce(to_regnamespace('adapty_segments'), 'adapty'::regnamespace))
      AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v')
      AND a.attname ~ 'mail|phone|first_name|last_name|birthday|ip_v4|customer_user_id|idf|android_id|android_app_set|advertising|user_agent|token|metadata|actor|^reason$|network_user|authorization|secret'
      AND has_column_privilege('adapty_analyst', c.oid, a.attnum, 'SELECT')
    ORDER BY 1, 2;
-- whole rows, and functions that would show them
SELECT adapty.create_profile('analyst-test', '{"email": "jane@example.com", "first_name": "Jane", "phone_number": "+1"}') AS id \gset
SET ROLE adapty_analyst;
SELECT p FROM adapty.profiles p;
SELECT to_jsonb(p) FROM adapty.profiles p;
SELECT email FROM adapty.profiles;
SELECT count(*) FROM adapty.profiles WHERE birthday IS NOT NULL;
SELECT count(*) FROM adapty.identities;
SELECT count(*) FROM adapty.integration_identifiers;
SELECT adapty.event_payload(e) FROM adapty.events e;
SELECT adapty.get_profile(:'id'::uuid);
SELECT adapty.get_attribute(:'id'::uuid, 'email');
SELECT adapty.get_attributes(:'id'::uuid);
SELECT adapty.export_profile(:'id'::uuid);
SELECT * FROM adapty.profile_status(:'id'::uuid);
SELECT count(*) FROM adapty.idempotency_keys;
COPY adapty.profiles TO STDOUT;
-- a function of one's own that takes the row sees no more of it
CREATE FUNCTION pg_temp.leak(p adapty.profiles) RETURNS text LANGUAGE sql AS 'SELECT ($1).email';
SELECT pg_temp.leak(p) FROM adapty.profiles p;
RESET ROLE;
-- what events keep
SELECT DISTINCT k FROM adapty.events, jsonb_object_keys(event_properties) k WHERE k ~ 'mail|phone|name|birthday|ip_' ORDER BY 1;
SELECT adapty.delete_profile('analyst-test');
