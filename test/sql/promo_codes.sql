-- Promo codes: made, redeemed, refused.
CREATE FUNCTION pg_temp.users(n integer) RETURNS bigint LANGUAGE sql AS
    $$ SELECT count(adapty.create_profile('promo-' || i)) FROM generate_series(1, n) i $$;
SELECT pg_temp.users(9);

-- ---- random codes ----
SELECT adapty.create_promo_codes('Winter', 'premium', duration => '7 days', codes => 1000) AS winter \gset
SELECT count(*), count(DISTINCT code), min(length(code)), max(length(code)),
       bool_and(code ~ '^[3479CDFGHJKMNPQRTVWXY]{16}$') AS no_look_alikes, max(redemptions) AS redemptions
    FROM adapty.promo_codes WHERE batch_id = :'winter';
-- all letters come up about as often
SELECT count(*) AS letters, min(n) > 16000 / 21 * 0.75 AS not_too_few, max(n) < 16000 / 21 * 1.25 AS not_too_many
    FROM (SELECT letter, count(*) AS n FROM adapty.promo_codes, regexp_split_to_table(code, '') letter
          WHERE batch_id = :'winter' GROUP BY letter) l;
SELECT adapty.add_promo_codes(:'winter', 500);
SELECT count(*) FROM adapty.promo_codes WHERE batch_id = :'winter';
SELECT title, access_level_id, duration = '7 days' AS a_week, starts_at, ends_at, max_redemptions, once_per_user, disabled_at
    FROM adapty.promo_code_batches WHERE batch_id = :'winter';

-- ---- redeeming ----
SELECT code AS c1 FROM adapty.promo_codes WHERE batch_id = :'winter' ORDER BY code LIMIT 1 \gset
SELECT code AS c2 FROM adapty.promo_codes WHERE batch_id = :'winter' ORDER BY code OFFSET 1 LIMIT 1 \gset
SELECT status, title, access_level_id, duration = '7 days' AS a_week, redemptions, max_redemptions, starts_at, ends_at FROM adapty.check_promo_code(:'c1');
-- as users type it: small letters, hyphens, spaces
SELECT access_level_id, is_active, is_lifetime, expires_at - starts_at = interval '7 days' AS a_week, source, active_sources
    FROM adapty.redeem_promo_code('promo-1', ' ' || lower(left(:'c1', 4)) || '-' || substr(:'c1', 5) || ' ');
SELECT adapty.has_access('promo-1', 'premium');
SELECT status, redemptions FROM adapty.check_promo_code(:'c1');
SELECT customer_user_id, code = :'c1' AS same_code, redeemed_at = now() AS now, redeemed_at > now() - interval '1 minute' AS recent
    FROM adapty.promo_code_redemptions JOIN adapty.identities USING (profile_id) WHERE batch_id = :'winter';
SELECT event_type, was_active, is_active, source, source_id = :'winter' AS is_batch, reason
    FROM adapty.events JOIN adapty.identities USING (profile_id) WHERE customer_user_id = 'promo-1';
-- a second one of the batch is refused, nothing is counted
\set VERBOSITY terse
DO $$
DECLARE
    said text;
    hint text;
BEGIN
    PERFORM adapty.redeem_promo_code('promo-1', (SELECT max(code) FROM adapty.promo_codes));
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS said = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
    RAISE NOTICE '% % %', SQLSTATE, regexp_replace(said, '[0-9A-Z]{16}', 'CODE'), hint;
END $$;
SELECT sum(redemptions) FROM adapty.promo_codes WHERE batch_id = :'winter';
\set VERBOSITY default

-- it adds to what the user has, as one source among others
SELECT round(extract(epoch FROM expires_at - now()) / 86400) AS days FROM adapty.grant_access_level('promo-2', 'premium', duration => '10 days');
SELECT round(extract(epoch FROM expires_at - now()) / 86400) AS days, source, active_sources FROM adapty.redeem_promo_code('promo-2', :'c2');
SELECT source, round(extract(epoch FROM expires_at - now()) / 86400) AS days, is_winner FROM adapty.explain_access('promo-2', 'premium') ORDER BY source;
SELECT is_active FROM adapty.revoke_access_level('promo-2', 'premium');

-- ---- shared codes ----
SELECT adapty.create_promo_codes('Podcast', 'premium', is_lifetime => true, code => 'pod-cast 20', max_redemptions => 3) AS podcast \gset
SELECT code FROM adapty.promo_codes WHERE batch_id = :'podcast';
SELECT is_lifetime, expires_at FROM adapty.redeem_promo_code('promo-3', 'PODCAST20');
SELECT is_lifetime FROM adapty.redeem_promo_code((SELECT profile_id FROM adapty.identities WHERE customer_user_id = 'promo-4'), 'podcast20');
\set VERBOSITY terse
SELECT is_lifetime FROM adapty.redeem_promo_code('promo-3', 'podcast20');
\set VERBOSITY default
SELECT is_lifetime FROM adapty.redeem_promo_code('promo-5', 'Pod-Cast-20');
SELECT status, redemptions, max_redemptions FROM adapty.check_promo_code('podcast20');
-- a deleted user's redemption stays counted
SELECT adapty.delete_profile('promo-4');
SELECT status, redemptions FROM adapty.check_promo_code('podcast20');
SELECT count(*) FROM adapty.promo_code_redemptions WHERE batch_id = :'podcast';

-- each code once: gift cards
SELECT adapty.create_promo_codes('Gift card', 'premium', duration => '30 days', codes => 3, once_per_user => false) AS gift \gset
SELECT count(adapty.redeem_promo_code('promo-6', code)) FROM adapty.promo_codes WHERE batch_id = :'gift';
SELECT replace(source_id, :'gift', 'BATCH') AS source_id, round(extract(epoch FROM expires_at - now()) / 86400) AS days
    FROM adapty.explain_access('promo-6', 'premium') ORDER BY expires_at;

-- idempotency: the same key again is the same redemption
SELECT adapty.create_promo_codes('Retry', 'premium', duration => '7 days', code => 'RETRY') \gset ignored_
SELECT expires_at AS first_end FROM adapty.redeem_promo_code('promo-7', 'RETRY', idempotency_key => 'k1') \gset
SELECT expires_at = :'first_end' AS same FROM adapty.redeem_promo_code('promo-7', 'retry', idempotency_key => 'k1');
SELECT redemptions FROM adapty.promo_codes WHERE code = 'RETRY';
SELECT adapty.redeem_promo_code('promo-7', 'PODCAST20', idempotency_key => 'k1');

-- ---- refused, all alike ----
SELECT adapty.create_promo_codes('Later', 'premium', duration => '7 days', code => 'LATER', starts_at => now() + interval '1 day') AS later \gset
SELECT adapty.create_promo_codes('Soon over', 'premium', duration => '7 days', code => 'SOONOVER', ends_at => now() + interval '1 day') AS soon \gset
SELECT adapty.create_promo_codes('Stopped', 'premium', duration => '7 days', code => 'STOPPED', max_redemptions => NULL) AS stopped \gset
SELECT adapty.create_promo_codes('One stopped', 'premium', duration => '7 days', code => 'ONESTOPPED') AS one \gset
SELECT adapty.disable_promo_codes(:'stopped');
SELECT adapty.disable_promo_code('one-stopped');
SELECT adapty.redeem_promo_code('promo-8', 'GUESS234');
SELECT adapty.redeem_promo_code('promo-8', 'LATER');
SELECT adapty.redeem_promo_code('promo-8', 'STOPPED');
SELECT adapty.redeem_promo_code('promo-8', 'ONESTOPPED');
SELECT adapty.redeem_promo_code('promo-8', 'PODCAST20');
SELECT adapty.redeem_promo_code('promo-8', 'no code; DROP TABLE adapty.promo_codes');
SELECT code, status FROM unnest(ARRAY['GUESS234', 'later', 'SOONOVER', 'STOPPED', 'ONESTOPPED', 'PODCAST20', 'é']) code, adapty.check_promo_code(code);
SELECT count(*) FROM adapty.promo_code_redemptions JOIN adapty.identities USING (profile_id) WHERE customer_user_id = 'promo-8';
-- the window goes by the user's clock
SELECT adapty.set_test_clock('promo-8', '2 days');
SELECT is_active FROM adapty.redeem_promo_code('promo-8', 'LATER');
SELECT adapty.redeem_promo_code('promo-8', 'SOONOVER');
SELECT adapty.redeem_promo_code('nobody', 'LATER');
SELECT adapty.redeem_promo_code(NULL::text, 'LATER');
SELECT adapty.redeem_promo_code('promo-9', NULL);
SELECT adapty.redeem_promo_code('promo-9', '');

-- ---- batches that make no sense ----
SELECT adapty.create_promo_codes('x', 'premium');
SELECT adapty.create_promo_codes('x', 'premium', duration => '1 day', is_lifetime => true);
\set VERBOSITY sqlstate
SELECT adapty.create_promo_codes('x', 'premium', duration => '-1 day');
\set VERBOSITY default
\set VERBOSITY terse
SELECT adapty.create_promo_codes('x', 'no_such_level', duration => '1 day');
\set VERBOSITY default
SELECT adapty.create_promo_codes('', 'premium', duration => '1 day');
SELECT adapty.create_promo_codes('x', 'premium', duration => '1 day', codes => 0);
SELECT adapty.create_promo_codes('x', 'premium', duration => '1 day', codes => 2, code => 'TWO2');
SELECT adapty.create_promo_codes('x', 'premium', duration => '1 day', code => 'abc');
SELECT adapty.create_promo_codes('x', 'premium', duration => '1 day', code => 'Ünique');
SELECT adapty.create_promo_codes('x', 'premium', duration => '1 day', code => 'pod cast-20');
SELECT adapty.create_promo_codes('x', 'premium', duration => '1 day', max_redemptions => 0);
SELECT adapty.create_promo_codes('x', 'premium', duration => '1 day', code_length => 7);
SELECT adapty.create_promo_codes('x', 'premium', duration => '1 day', starts_at => '2030-01-02 00:00+00', ends_at => '2030-01-02 00:00+00');
SELECT adapty.create_promo_codes('x', 'premium', duration => '1 day', ends_at => 'infinity');
SELECT count(*) FROM adapty.promo_code_batches WHERE title = 'x';
SELECT adapty.add_promo_codes('00000000-0000-0000-0000-000000000001', 5);
SELECT adapty.add_promo_codes(NULL, 5);
SELECT adapty.disable_promo_codes('00000000-0000-0000-0000-000000000001');
SELECT adapty.disable_promo_code('GUESS234');

-- a level that a batch gives cannot be deleted
SELECT adapty.define_access_level('promo_level');
SELECT adapty.create_promo_codes('Of a level', 'promo_level', duration => '1 day') \gset ignored_
SELECT adapty.delete_access_level('promo_level');

-- ---- everything held about a user has it ----
SELECT jsonb_array_length(adapty.export_profile('promo-6') -> 'promo_code_redemptions');

-- ---- who may ----
SET ROLE adapty_server;
SELECT status FROM adapty.check_promo_code('SOONOVER');
SELECT is_active FROM adapty.redeem_promo_code('promo-9', 'SOONOVER');
UPDATE adapty.promo_codes SET redemptions = 0;
RESET ROLE;
SET ROLE adapty_sdk;
SELECT adapty.redeem_promo_code('promo-9', 'SOONOVER');
SELECT adapty.check_promo_code('SOONOVER');
SELECT count(*) FROM adapty.promo_codes;
RESET ROLE;
SET ROLE adapty_analyst;
SELECT title, count(r.profile_id) FROM adapty.promo_code_batches b LEFT JOIN adapty.promo_code_redemptions r USING (batch_id)
    WHERE title = 'Gift card' GROUP BY title;
SELECT code FROM adapty.promo_code_redemptions;
SELECT code FROM adapty.promo_codes;
RESET ROLE;

SELECT count(adapty.delete_profile(customer_user_id)) FROM adapty.identities WHERE customer_user_id LIKE 'promo-%';
DELETE FROM adapty.promo_code_batches;
SELECT count(*) FROM adapty.promo_codes;
SELECT adapty.delete_access_level('promo_level');
