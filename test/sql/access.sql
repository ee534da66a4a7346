-- Readers: has_access(), access_levels(), profile_status(), explain_access(), the view.
CREATE FUNCTION pg_temp.days(t timestamptz) RETURNS numeric LANGUAGE sql STABLE AS
    $$ SELECT CASE WHEN isfinite(t) THEN round(extract(epoch FROM t - pg_catalog.now()) / 86400, 3) END $$;
SELECT adapty.define_access_level('gold', 'Gold') IS NOT NULL AS defined;
SELECT adapty.create_profile('access-1') IS NOT NULL AS created;

-- nobody, nothing, null: false and never an error
SELECT adapty.has_access('nobody', 'premium') AS nobody, adapty.has_access('access-1', 'no-such-level') AS no_level,
       adapty.has_access(NULL::text, 'premium') AS null_user, adapty.has_access('access-1', NULL) AS null_level,
       adapty.has_access('', 'premium') AS empty_user, adapty.has_access(NULL::uuid, 'premium') AS null_profile,
       adapty.has_access('00000000-0000-0000-0000-000000000000'::uuid, 'premium') AS nil_profile;
SELECT count(*) FROM adapty.access_levels('access-1');
SELECT has_access, active_access_levels, expires_at, will_renew, is_in_grace_period, subscription_state FROM adapty.profile_status('access-1');
SELECT count(*) FROM adapty.explain_access('access-1', 'premium');

-- half-open intervals: at the start yes, at the end no
BEGIN;
INSERT INTO adapty.access_grants (profile_id, access_level_id, starts_at, expires_at)
SELECT profile_id, 'premium', now(), now() + interval '1 day' FROM adapty.identities WHERE customer_user_id = 'access-1';
SELECT adapty.has_access('access-1', 'premium') AS at_start;
UPDATE adapty.access_grants SET starts_at = now() - interval '1 day', expires_at = now();
SELECT adapty.has_access('access-1', 'premium') AS at_end;
ROLLBACK;

-- lifetime wins, then the latest end; the union is active while any source is
BEGIN;
INSERT INTO adapty.access_grants (profile_id, access_level_id, source, source_id, starts_at, expires_at)
SELECT profile_id, 'premium', s::adapty.grant_source, i, now() - interval '240 hours', e
FROM adapty.identities, (VALUES ('promo_campaign', 'a', now() + interval '24 hours'), ('promo_code', 'b', now() + interval '72 hours'),
    ('server_grant', '', now() - interval '24 hours'), ('promo_code', 'c', 'infinity')) v (s, i, e)
WHERE customer_user_id = 'access-1';
SELECT access_level_id, is_active, is_lifetime, source, active_sources, expires_at FROM adapty.access_levels('access-1');
SELECT source, source_id, is_active, is_winner,
       regexp_replace(explanation, '[0-9]{4}-.*', '<time>') AS explanation FROM adapty.explain_access('access-1', 'premium');
DELETE FROM adapty.access_grants WHERE source_id = 'c';
SELECT is_active, is_lifetime, source, active_sources, pg_temp.days(expires_at) AS expires FROM adapty.access_levels('access-1');
SELECT has_access, active_access_levels, pg_temp.days(expires_at) AS expires FROM adapty.profile_status('access-1');
-- the future is known from the intervals
SELECT days, s.has_access, s.active_access_levels, pg_temp.days(s.expires_at) AS expires
FROM unnest(ARRAY[0, 1, 2, 3, 30]) days, adapty.profile_status('access-1', as_of => now() + days * interval '24 hours') s;
-- what functions say of a level is what the view says
SELECT count(*) AS differences FROM (
    (SELECT * FROM adapty.access_levels('access-1'))
    EXCEPT
    (SELECT access_level_id, is_active, is_lifetime, starts_at, expires_at, source, active_sources, will_renew, is_in_grace_period,
        store, store_product_id, store_base_plan_id, store_transaction_id, store_original_transaction_id, offer_category, offer_type,
        offer_id, purchased_at, originally_purchased_at, renewal_cancelled_at, billing_issue_detected_at, cancellation_reason
     FROM adapty.profile_access_levels)) d;
ROLLBACK;
BEGIN;
CREATE TEMP TABLE granted ON COMMIT DROP AS SELECT * FROM adapty.grant_access_level('access-1', 'gold', duration => '3 days');
SELECT count(*) AS differences FROM (SELECT * FROM granted EXCEPT SELECT * FROM adapty.access_levels('access-1')) d;
ROLLBACK;

-- the past is what was recorded, whatever the rows say now
SELECT is_active FROM adapty.grant_access_level('access-1', 'premium', duration => '10 days');
SELECT clock_timestamp() AS after_grant \gset
SELECT is_active FROM adapty.revoke_access_level('access-1', 'premium');
SELECT clock_timestamp() AS after_revoke \gset
SELECT is_active FROM adapty.grant_access_level('access-1', 'premium', is_lifetime => true);
SELECT has_access AS before_all FROM adapty.profile_status('access-1', as_of => :'after_grant'::timestamptz - interval '1 hour');
SELECT has_access AS when_granted, round(extract(epoch FROM expires_at - :'after_grant'::timestamptz) / 86400) AS days, will_renew
FROM adapty.profile_status('access-1', as_of => :'after_grant');
SELECT has_access AS when_revoked, active_access_levels FROM adapty.profile_status('access-1', as_of => :'after_revoke');
SELECT has_access AS now, expires_at FROM adapty.profile_status('access-1');
SELECT has_access FROM adapty.profile_status((SELECT profile_id FROM adapty.identities WHERE customer_user_id = 'access-1'), as_of => :'after_revoke');

-- refusals
SELECT * FROM adapty.profile_status('nobody');
SELECT * FROM adapty.profile_status('access-1', as_of => 'infinity');
SELECT * FROM adapty.access_levels('nobody');
SELECT * FROM adapty.access_levels(''::text);
SELECT * FROM adapty.access_levels(NULL::text);
SELECT * FROM adapty.explain_access('nobody', 'premium');
SELECT * FROM adapty.explain_access('access-1', NULL);

-- row-level security on a user's own table
CREATE TABLE lessons (title text, access_level_id text);
INSERT INTO lessons VALUES ('Hello', NULL), ('Past perfect', 'premium');
ALTER TABLE lessons ENABLE ROW LEVEL SECURITY;
CREATE POLICY paid ON lessons FOR SELECT
    USING (access_level_id IS NULL OR adapty.has_access(current_setting('app.user', true), access_level_id));
CREATE ROLE regress_adapty_app;
GRANT SELECT ON lessons TO regress_adapty_app;
GRANT USAGE ON SCHEMA adapty TO regress_adapty_app;
GRANT EXECUTE ON FUNCTION adapty.has_access(text, text) TO regress_adapty_app;
SELECT adapty.create_profile('access-free') IS NOT NULL AS created;
SET ROLE regress_adapty_app;
SELECT title FROM lessons ORDER BY title;
SELECT set_config('app.user', 'access-1', false);
SELECT title FROM lessons ORDER BY title;
SELECT set_config('app.user', 'access-free', false);
SELECT title FROM lessons ORDER BY title;
RESET ROLE;
SELECT is_active FROM adapty.grant_access_level('access-free', 'premium', duration => '1 hour');
SET ROLE regress_adapty_app;
SELECT title FROM lessons ORDER BY title;
RESET ROLE;
DROP TABLE lessons;
REVOKE EXECUTE ON FUNCTION adapty.has_access(text, text) FROM regress_adapty_app;
REVOKE USAGE ON SCHEMA adapty FROM regress_adapty_app;
DROP ROLE regress_adapty_app;

-- many at once, in parallel too, and after an error in a subtransaction
SELECT count(adapty.create_profile('access-many-' || i)) AS created FROM generate_series(1, 500) i;
SELECT count(adapty.grant_access_level('access-many-' || i, 'premium', duration => '1 day')) AS granted FROM generate_series(1, 500, 2) i;
SELECT count(*) FROM generate_series(1, 500) i WHERE adapty.has_access('access-many-' || i, 'premium');
CREATE TABLE many AS SELECT 'access-many-' || i AS u FROM generate_series(1, 500) i;
BEGIN;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SELECT count(*) FROM many WHERE adapty.has_access(u, 'premium');
ROLLBACK;
DO $$
DECLARE n int := 0; r record;
BEGIN
    FOR r IN SELECT u, row_number() OVER () AS i FROM many LOOP
        BEGIN
            IF adapty.has_access(r.u, 'premium') THEN n := n + 1; END IF;
            IF r.i % 7 = 0 THEN PERFORM adapty.grant_access_level('nobody', 'premium', duration => '1 day'); END IF;
        EXCEPTION WHEN SQLSTATE 'PT404' THEN NULL;
        END;
    END LOOP;
    RAISE NOTICE '% have access', n;
END $$;
DROP TABLE many;
