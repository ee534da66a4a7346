-- grant_access_level() and revoke_access_level(): every option, every mode, every refusal.
\set VERBOSITY default
-- whole days from now to a time; the transaction's now() makes them exact
CREATE FUNCTION pg_temp.days(t timestamptz) RETURNS numeric LANGUAGE sql STABLE AS
    $$ SELECT CASE WHEN isfinite(t) THEN round(extract(epoch FROM t - pg_catalog.now()) / 86400, 3) END $$;
SELECT adapty.define_access_level('gold', 'Gold') IS NOT NULL AS defined;
SELECT adapty.create_profile('grants-1') IS NOT NULL AS created;

-- a duration starts now
BEGIN;
SELECT access_level_id, is_active, is_lifetime, pg_temp.days(starts_at) AS starts, pg_temp.days(expires_at) AS expires,
       source, active_sources, will_renew, is_in_grace_period, store
FROM adapty.grant_access_level('grants-1', 'premium', duration => '7 days');
-- and the same transaction sees it
SELECT adapty.has_access('grants-1', 'premium');
-- a second one is added to the first; also twice in one statement
SELECT pg_temp.days(expires_at) FROM adapty.grant_access_level('grants-1', 'premium', duration => '7 days');
SELECT count(adapty.grant_access_level('grants-1', 'premium', duration => '1 day')) FROM generate_series(1, 3);
SELECT pg_temp.days(expires_at) AS expires FROM adapty.access_levels('grants-1');
-- expires_at sets, also to a shorter time
SELECT pg_temp.days(expires_at) FROM adapty.grant_access_level('grants-1', 'premium', expires_at => now() + '3 days');
-- lifetime
SELECT is_lifetime, expires_at FROM adapty.grant_access_level('grants-1', 'premium', is_lifetime => true);
-- of several ends the first counts: lifetime, expires_at, duration
SELECT is_lifetime FROM adapty.grant_access_level('grants-1', 'gold', is_lifetime => true, expires_at => now() + '1 day', duration => '2 days');
SELECT is_lifetime, pg_temp.days(expires_at)
FROM adapty.grant_access_level('grants-1', 'gold', is_lifetime => false, expires_at => now() + '1 day', duration => '2 days');
ROLLBACK;

-- modes, on 10 days that are there
BEGIN;
SELECT pg_temp.days(expires_at) AS expires FROM adapty.grant_access_level('grants-1', 'premium', duration => '10 days');
SAVEPOINT s;
SELECT 'replace' AS mode, pg_temp.days(expires_at) AS expires FROM adapty.grant_access_level('grants-1', 'premium', duration => '2 days', mode => 'replace');
ROLLBACK TO s;
SELECT 'max' AS mode, pg_temp.days(expires_at) AS expires FROM adapty.grant_access_level('grants-1', 'premium', duration => '2 days', mode => 'max');
SELECT 'max' AS mode, pg_temp.days(expires_at) AS expires FROM adapty.grant_access_level('grants-1', 'premium', duration => '12 days', mode => 'max');
ROLLBACK TO s;
SELECT 'keep' AS mode, pg_temp.days(expires_at) AS expires FROM adapty.grant_access_level('grants-1', 'premium', duration => '20 days', mode => 'keep');
SELECT 'extend' AS mode, pg_temp.days(expires_at) AS expires FROM adapty.grant_access_level('grants-1', 'premium', expires_at => now() + '2 days', mode => 'extend');
SELECT 'extend' AS mode, pg_temp.days(expires_at) AS expires FROM adapty.grant_access_level('grants-1', 'premium', expires_at => now() + '20 days', mode => 'extend');
ROLLBACK TO s;
-- keep gives where there is nothing
SELECT 'keep' AS mode, pg_temp.days(expires_at) AS expires FROM adapty.grant_access_level('grants-1', 'gold', duration => '20 days', mode => 'keep');
ROLLBACK;

-- starts in the future: to come, and nothing is lost when a grant for now follows
BEGIN;
SELECT is_active, pg_temp.days(starts_at) AS starts, pg_temp.days(expires_at) AS expires
FROM adapty.grant_access_level('grants-1', 'premium', duration => '5 days', starts_at => now() + '30 days');
SELECT adapty.has_access('grants-1', 'premium');
SELECT is_active, pg_temp.days(starts_at) AS starts, pg_temp.days(expires_at) AS expires
FROM adapty.grant_access_level('grants-1', 'premium', duration => '7 days');
SELECT source_id, pg_temp.days(starts_at) AS starts, pg_temp.days(expires_at) AS expires, is_active, is_winner
FROM adapty.explain_access('grants-1', 'premium');
-- replace leaves exactly one server-side grant
SELECT pg_temp.days(expires_at) AS expires FROM adapty.grant_access_level('grants-1', 'premium', duration => '1 day', mode => 'replace');
SELECT source_id, pg_temp.days(expires_at) AS expires, is_active FROM adapty.explain_access('grants-1', 'premium');
ROLLBACK;

-- months follow the calendar in UTC, days are 24 hours, whatever the session's zone
BEGIN;
SET LOCAL TimeZone = 'America/New_York';
SELECT expires_at = timestamptz '2030-02-28 12:00:00+00' AS month_end
FROM adapty.grant_access_level('grants-1', 'premium', starts_at => '2030-01-31 12:00:00+00', duration => '1 month');
SELECT extract(epoch FROM expires_at - starts_at) / 3600 AS hours
FROM adapty.grant_access_level('grants-1', 'gold', starts_at => '2030-03-08 12:00:00+00', duration => '7 days');
ROLLBACK;

-- what is kept with a grant
BEGIN;
SET LOCAL application_name = 'backend';
SELECT count(*) FROM adapty.grant_access_level('grants-1', 'premium', duration => '7 days', reason => 'referral bonus');
SELECT reason, actor = current_user || '/backend' AS actor FROM adapty.access_grants g
JOIN adapty.identities USING (profile_id) WHERE customer_user_id = 'grants-1';
SELECT event_type, was_active, is_active, pg_temp.days(expires_at) AS expires, reason, source, previous_expires_at
FROM adapty.events JOIN adapty.identities USING (profile_id) WHERE customer_user_id = 'grants-1';
ROLLBACK;

-- create_missing
SELECT is_active FROM adapty.grant_access_level('grants-2', 'premium', duration => '7 days', create_missing => true);
SELECT adapty.has_access('grants-2', 'premium');

-- by profile_id
SELECT is_active FROM adapty.grant_access_level(
    (SELECT profile_id FROM adapty.identities WHERE customer_user_id = 'grants-2'), 'gold', is_lifetime => true);
SELECT access_level_id, is_active FROM adapty.access_levels(
    (SELECT profile_id FROM adapty.identities WHERE customer_user_id = 'grants-2'));

-- idempotency keys: the same request once, another request never
BEGIN;
SELECT pg_temp.days(expires_at) FROM adapty.grant_access_level('grants-1', 'premium', duration => '7 days', idempotency_key => 'k1');
SELECT pg_temp.days(expires_at) FROM adapty.grant_access_level('grants-1', 'premium', duration => '7 days', idempotency_key => 'k1');
SELECT pg_temp.days(expires_at) FROM adapty.grant_access_level('grants-1', 'premium', duration => '7 days', idempotency_key => 'k2');
-- another user may use the same key
SELECT pg_temp.days(expires_at) > 0 FROM adapty.grant_access_level('grants-2', 'premium', duration => '7 days', idempotency_key => 'k1');
SELECT pg_temp.days(expires_at) FROM adapty.grant_access_level('grants-1', 'premium', duration => '8 days', idempotency_key => 'k1');
ROLLBACK;
BEGIN;
SELECT is_active FROM adapty.grant_access_level('grants-1', 'premium', duration => '7 days');
SELECT is_active FROM adapty.revoke_access_level('grants-1', 'premium', idempotency_key => 'r1');
SELECT is_active FROM adapty.revoke_access_level('grants-1', 'premium', idempotency_key => 'r1');
SELECT is_active FROM adapty.revoke_access_level('grants-1', 'premium', idempotency_key => 'r1', reason => 'x');
ROLLBACK;

-- revoke: now, later, and never what a store gives
BEGIN;
SELECT is_active FROM adapty.grant_access_level('grants-1', 'premium', duration => '7 days');
SELECT is_active, pg_temp.days(expires_at) AS expires FROM adapty.revoke_access_level('grants-1', 'premium', revoke_at => now() + '2 days', reason => 'end of contract');
SELECT is_active, active_sources FROM adapty.revoke_access_level('grants-1', 'premium');
SELECT adapty.has_access('grants-1', 'premium');
SELECT was_active, is_active, reason FROM adapty.events JOIN adapty.identities USING (profile_id)
WHERE customer_user_id = 'grants-1' ORDER BY recorded_at;
SELECT left(explanation, 21) AS explanation FROM adapty.explain_access('grants-1', 'premium');
-- it can be given again
SELECT is_active, pg_temp.days(expires_at) FROM adapty.grant_access_level('grants-1', 'premium', duration => '7 days');
ROLLBACK;
BEGIN;
SELECT adapty.define_product('Grants monthly', 'premium', 'monthly', '[{"store": "stripe", "store_product_id": "grants_monthly"}]') IS NOT NULL AS product;
SELECT adapty.set_transaction('grants-1', jsonb_build_object(
    'purchase_type', 'subscription', 'store', 'stripe', 'store_product_id', 'grants_monthly',
    'store_transaction_id', 'gt1', 'store_original_transaction_id', 'gt1',
    'price', jsonb_build_object('country', 'US', 'currency', 'USD', 'value', 9.99),
    'purchased_at', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'originally_purchased_at', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'expires_at', to_char((now() + interval '720 hours') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'renew_status', true)) IS NOT NULL AS recorded;
-- a promotion of 7 days follows the paid time
SELECT source, active_sources, pg_temp.days(expires_at) AS expires FROM adapty.grant_access_level('grants-1', 'premium', duration => '7 days');
SELECT source, active_sources, is_active, pg_temp.days(expires_at) AS expires, store, will_renew FROM adapty.revoke_access_level('grants-1', 'premium');
SELECT source, is_active, is_winner FROM adapty.explain_access('grants-1', 'premium');
-- a refund ends the purchase as well
SELECT is_active, cancellation_reason FROM adapty.revoke_access_level('grants-1', 'premium', is_refund => true);
SELECT total_revenue_usd, subscription_state FROM adapty.profiles JOIN adapty.identities USING (profile_id) WHERE customer_user_id = 'grants-1';
ROLLBACK;

-- refusals: a clear error, and nothing changes
SELECT adapty.grant_access_level('grants-1', 'premium');
SELECT adapty.grant_access_level('grants-1', 'platinum', duration => '7 days');
SELECT adapty.grant_access_level('nobody', 'premium', duration => '7 days');
SELECT adapty.grant_access_level('00000000-0000-4000-8000-000000000000'::uuid, 'premium', duration => '7 days');
SELECT adapty.grant_access_level('00000000-0000-4000-8000-000000000000'::uuid, 'premium', duration => '7 days', create_missing => true);
SELECT adapty.grant_access_level(NULL::text, 'premium', duration => '7 days');
SELECT adapty.grant_access_level('', 'premium', duration => '7 days');
SELECT adapty.grant_access_level(repeat('x', 256), 'premium', duration => '7 days', create_missing => true);
SELECT adapty.grant_access_level('grants-1', NULL, duration => '7 days');
SELECT adapty.grant_access_level('grants-1', '', duration => '7 days');
SET intervalstyle = 'postgres';
SELECT adapty.grant_access_level('grants-1', 'premium', duration => '-1 day');
SELECT adapty.grant_access_level('grants-1', 'premium', duration => '0');
SELECT adapty.grant_access_level('grants-1', 'premium', starts_at => '2030-03-01', duration => '1 month -31 days');
SELECT adapty.grant_access_level('grants-1', 'premium', starts_at => '2030-01-01 00:00+00', duration => '300000 years');
RESET intervalstyle;
SELECT adapty.grant_access_level('grants-1', 'premium', expires_at => 'infinity');
SELECT adapty.grant_access_level('grants-1', 'premium', expires_at => '-infinity');
SELECT adapty.grant_access_level('grants-1', 'premium', starts_at => 'infinity', duration => '1 day');
SELECT adapty.grant_access_level('grants-1', 'premium', starts_at => '2030-01-02 00:00+00', expires_at => '2030-01-01 00:00+00');
SELECT adapty.grant_access_level('grants-1', 'premium', starts_at => '2030-01-02 00:00+00', expires_at => '2030-01-02 00:00+00');
SELECT adapty.grant_access_level('grants-1', 'premium', duration => '1 day', mode => 'double');
SELECT adapty.grant_access_level('grants-1', 'premium', duration => '1 day', reason => repeat('x', 1001));
SELECT adapty.grant_access_level('grants-1', 'premium', duration => '1 day', idempotency_key => '');
SELECT adapty.grant_access_level('grants-1', 'premium', duration => '1 day', idempotency_key => repeat('x', 256));
SELECT adapty.revoke_access_level('grants-1', 'premium');
SELECT adapty.revoke_access_level('grants-1', 'platinum');
SELECT adapty.revoke_access_level('nobody', 'premium');
SELECT adapty.revoke_access_level('grants-1', 'premium', revoke_at => 'infinity');
BEGIN;
SELECT is_active FROM adapty.grant_access_level('grants-1', 'premium', starts_at => '2030-01-01 00:00+00', expires_at => '2030-01-02 00:00+00');
SELECT adapty.revoke_access_level('grants-1', 'premium', revoke_at => '2030-01-03 00:00+00');
ROLLBACK;
BEGIN READ ONLY;
SAVEPOINT s;
SELECT adapty.grant_access_level('grants-1', 'premium', duration => '1 day');
ROLLBACK TO s;
SELECT adapty.revoke_access_level('grants-1', 'premium');
ROLLBACK TO s;
SELECT adapty.process_due();
ROLLBACK TO s;
SELECT adapty.set_attribute('grants-1', 'a', 'b');
ROLLBACK;
SELECT count(*) AS grants FROM adapty.access_grants JOIN adapty.identities USING (profile_id) WHERE customer_user_id = 'grants-1';
SELECT count(*) AS events FROM adapty.events JOIN adapty.identities USING (profile_id) WHERE customer_user_id = 'grants-1';

-- a set is all or nothing
SELECT adapty.create_profile('grants-bulk-' || i) IS NULL AS missing FROM generate_series(1, 3) i GROUP BY 1;
SELECT adapty.grant_access_level(u, 'premium', duration => '7 days')
FROM unnest(ARRAY['grants-bulk-1', 'grants-bulk-2', 'nobody', 'grants-bulk-3']) u;
SELECT count(*) FILTER (WHERE adapty.has_access('grants-bulk-' || i, 'premium')) AS active FROM generate_series(1, 3) i;
SELECT count(adapty.grant_access_level('grants-bulk-' || i, 'premium', duration => '7 days')) AS granted FROM generate_series(1, 3) i;
SELECT count(*) FILTER (WHERE adapty.has_access('grants-bulk-' || i, 'premium')) AS active FROM generate_series(1, 3) i;
