-- Plain SQL on access_grants: every visible change is announced, what would break is refused.
CREATE FUNCTION pg_temp.days(t timestamptz) RETURNS numeric LANGUAGE sql STABLE AS
    $$ SELECT CASE WHEN isfinite(t) THEN round(extract(epoch FROM t - pg_catalog.now()) / 86400, 3) END $$;
CREATE VIEW pg_temp.announced AS
SELECT customer_user_id, access_level_id, was_active, is_active, pg_temp.days(expires_at) AS expires, pg_temp.days(previous_expires_at) AS previous,
       e.reason, e.event_datetime <= e.recorded_at AS in_time
FROM adapty.events e JOIN adapty.identities USING (profile_id) WHERE customer_user_id LIKE 'trigger-%' ORDER BY recorded_at, event_id;
SELECT count(adapty.create_profile('trigger-' || i)) FROM generate_series(1, 3) i;

BEGIN;
INSERT INTO adapty.access_grants (profile_id, access_level_id, expires_at, reason)
SELECT profile_id, 'premium', now() + interval '24 hours', 'by hand' FROM adapty.identities WHERE customer_user_id LIKE 'trigger-%' ORDER BY customer_user_id;
SELECT * FROM pg_temp.announced ORDER BY customer_user_id;
SELECT DISTINCT state, next_transition_at = expires_at AS due_at_end FROM adapty.access_grants WHERE reason = 'by hand';
-- a change of the end, of some
UPDATE adapty.access_grants SET expires_at = now() + interval '48 hours', reason = 'longer'
WHERE profile_id IN (SELECT profile_id FROM adapty.identities WHERE customer_user_id IN ('trigger-1', 'trigger-2'));
SELECT * FROM pg_temp.announced WHERE reason = 'longer' ORDER BY customer_user_id;
-- nothing visible: no event
UPDATE adapty.access_grants SET reason = 'quiet' WHERE reason = 'longer';
SELECT count(*) AS events FROM pg_temp.announced WHERE reason = 'quiet';
-- a second source that ends earlier is not seen, and taking it away is not either
INSERT INTO adapty.access_grants (profile_id, access_level_id, source, source_id, expires_at)
SELECT profile_id, 'premium', 'promo_code', 'x', now() + interval '1 hour' FROM adapty.identities WHERE customer_user_id = 'trigger-1';
DELETE FROM adapty.access_grants WHERE source_id = 'x';
SELECT count(*) AS events FROM pg_temp.announced;
-- the last source goes
DELETE FROM adapty.access_grants WHERE profile_id = (SELECT profile_id FROM adapty.identities WHERE customer_user_id = 'trigger-1');
SELECT was_active, is_active, expires, previous FROM pg_temp.announced WHERE customer_user_id = 'trigger-1' ORDER BY is_active;
-- a source moved from one level to another is two changes
INSERT INTO adapty.access_levels (access_level_id, title) VALUES ('silver', 'Silver');
UPDATE adapty.access_grants SET access_level_id = 'silver'
WHERE profile_id = (SELECT profile_id FROM adapty.identities WHERE customer_user_id = 'trigger-2');
SELECT access_level_id, was_active, is_active FROM pg_temp.announced WHERE customer_user_id = 'trigger-2' ORDER BY in_time, access_level_id, was_active, is_active;
-- the profile goes and takes its access along
CREATE TEMP TABLE gone ON COMMIT DROP AS SELECT profile_id FROM adapty.identities WHERE customer_user_id = 'trigger-3';
SELECT adapty.delete_profile('trigger-3');
SELECT was_active, is_active FROM adapty.events WHERE profile_id = (SELECT profile_id FROM gone) ORDER BY recorded_at;
ROLLBACK;
SELECT count(*) AS events FROM pg_temp.announced;

-- one statement that both begins and has ended: inserted in the past, nothing was ever to be seen
BEGIN;
INSERT INTO adapty.access_grants (profile_id, access_level_id, starts_at, expires_at)
SELECT profile_id, 'premium', now() - interval '48 hours', now() - interval '24 hours' FROM adapty.identities WHERE customer_user_id = 'trigger-1';
SELECT was_active, is_active, expires FROM pg_temp.announced;
SELECT state, next_transition_at FROM adapty.access_grants WHERE expires_at = now() - interval '24 hours';
-- what had lapsed unannounced is announced at its own time before a change is
UPDATE adapty.access_grants SET expires_at = 'infinity' WHERE expires_at = now() - interval '24 hours';
SELECT was_active, is_active, expires, previous FROM pg_temp.announced ORDER BY previous NULLS FIRST;
ROLLBACK;

-- refused: what the extension maintains, broken intervals, unknown levels, truncation
INSERT INTO adapty.access_grants (profile_id, access_level_id, state)
SELECT profile_id, 'premium', 'active' FROM adapty.identities WHERE customer_user_id = 'trigger-1';
BEGIN;
INSERT INTO adapty.access_grants (profile_id, access_level_id) SELECT profile_id, 'premium' FROM adapty.identities WHERE customer_user_id = 'trigger-1';
SAVEPOINT s;
UPDATE adapty.access_grants SET state = 'ended';
ROLLBACK TO s;
UPDATE adapty.access_grants SET test_clock_offset = 1;
ROLLBACK TO s;
UPDATE adapty.access_grants SET next_transition_at = now();
ROLLBACK TO s;
\set VERBOSITY terse
UPDATE adapty.access_grants SET expires_at = starts_at WHERE access_level_id = 'premium' AND expires_at = 'infinity' AND starts_at = now();
ROLLBACK;
\set VERBOSITY default
INSERT INTO adapty.access_grants (profile_id, access_level_id) VALUES ('00000000-0000-4000-8000-000000000000', 'premium');
INSERT INTO adapty.access_grants (profile_id, access_level_id) SELECT profile_id, 'bronze' FROM adapty.identities WHERE customer_user_id = 'trigger-1';
TRUNCATE adapty.access_grants;
DELETE FROM adapty.access_levels WHERE access_level_id = 'premium';

-- a user's own trigger sees what the functions write
BEGIN;
CREATE TABLE audit (op text, access_level_id text);
CREATE FUNCTION pg_temp.audit() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO public.audit VALUES (TG_OP, NEW.access_level_id); RETURN NULL; END $$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON adapty.access_grants FOR EACH ROW EXECUTE FUNCTION pg_temp.audit();
SELECT is_active FROM adapty.grant_access_level('trigger-1', 'premium', duration => '1 day');
SELECT is_active FROM adapty.grant_access_level('trigger-1', 'premium', duration => '1 day');
SELECT * FROM audit;
SELECT was_active, is_active FROM pg_temp.announced;
ROLLBACK;
-- and one that fails leaves nothing behind: plain SQL is announced as before
CREATE FUNCTION pg_temp.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not today'; END $$;
CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON adapty.access_grants FOR EACH ROW EXECUTE FUNCTION pg_temp.fail();
\set VERBOSITY terse
SELECT is_active FROM adapty.grant_access_level('trigger-1', 'premium', duration => '1 day');
\set VERBOSITY default
DROP TRIGGER fail ON adapty.access_grants;
SELECT is_active FROM adapty.grant_access_level('trigger-1', 'premium', duration => '1 day');
SELECT count(*) AS n FROM pg_temp.announced \gset
UPDATE adapty.access_grants g SET expires_at = expires_at + interval '1 day' FROM adapty.identities i WHERE i.profile_id = g.profile_id AND i.customer_user_id = 'trigger-1' AND g.access_level_id = 'premium';
SELECT count(*) - :n AS announced FROM pg_temp.announced;
