-- Who may do what.
SELECT count(adapty.create_profile('security-' || i, '{"email": "s@example.com", "custom_attributes": {"plan": "a"}}')) FROM generate_series(1, 2) i;
SELECT bool_and(is_active) FROM adapty.grant_access_level('security-1', 'premium', duration => '7 days');

-- nothing is PUBLIC's: no function, no table
SELECT p.oid::regprocedure AS public_function FROM pg_proc p
WHERE pronamespace = 'adapty'::regnamespace AND has_function_privilege('public', p.oid, 'EXECUTE')
ORDER BY 1;
SELECT c.oid::regclass AS public_relation FROM pg_class c
WHERE relnamespace = 'adapty'::regnamespace AND relkind IN ('r', 'p', 'v') AND has_table_privilege('public', c.oid, 'SELECT, INSERT, UPDATE, DELETE')
ORDER BY 1;
-- no role writes a table, but for the file of an import on its way in
SELECT r, c.oid::regclass FROM pg_class c, unnest(ARRAY['adapty_server', 'adapty_sdk', 'adapty_analyst']) r
WHERE relnamespace = 'adapty'::regnamespace AND relkind IN ('r', 'p', 'v') AND has_table_privilege(r, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
ORDER BY 1, 2;
-- every function and every relation has a COMMENT
SELECT p.oid::regprocedure AS without_comment FROM pg_proc p
WHERE pronamespace = 'adapty'::regnamespace AND proname NOT LIKE '\_%' AND obj_description(p.oid, 'pg_proc') IS NULL ORDER BY 1;
SELECT c.oid::regclass AS without_comment FROM pg_class c
WHERE relnamespace = 'adapty'::regnamespace AND relkind IN ('r', 'p', 'v') AND relname !~ '^events_[0-9]' AND obj_description(c.oid, 'pg_class') IS NULL ORDER BY 1;
-- what each role may call
\pset format unaligned
SELECT DISTINCT r AS role, proname AS function
FROM pg_proc p, unnest(ARRAY['adapty_sdk', 'adapty_analyst']) r
WHERE pronamespace = 'adapty'::regnamespace AND has_function_privilege(r, p.oid, 'EXECUTE') ORDER BY 1, 2;
\pset format aligned

-- the server
SET ROLE adapty_server;
SELECT adapty.has_access('security-1', 'premium');
SELECT is_active FROM adapty.grant_access_level('security-2', 'premium', duration => '1 hour');
SELECT count(*) FROM adapty.profiles JOIN adapty.identities USING (profile_id) WHERE customer_user_id LIKE 'security-%';
UPDATE adapty.access_grants SET expires_at = 'infinity';
DELETE FROM adapty.profiles;
SELECT * FROM adapty.idempotency_keys;
RESET ROLE;

-- a user's own device: its own profile, no grant
SET ROLE adapty_sdk;
SET request.jwt.claims = '{"role": "adapty_sdk", "sub": "security-1"}';
SELECT adapty.has_access('security-1', 'premium'), adapty.has_access((adapty.current_profile_id()), 'premium') AS by_id;
SELECT has_access FROM adapty.profile_status('security-1');
SELECT adapty.set_attribute('security-1', 'words_learned', 7) IS NOT NULL AS set;
SELECT count(*) FROM adapty.profiles;
SELECT adapty.has_access('security-2', 'premium');
SELECT * FROM adapty.profile_status('security-2');
SELECT * FROM adapty.access_levels('nobody');
SELECT adapty.get_profile('security-2');
SELECT adapty.set_attribute('security-2', 'words_learned', 7);
SELECT adapty.grant_access_level('security-1', 'premium', duration => '7 days');
SELECT adapty.revoke_access_level('security-1', 'premium');
SELECT adapty.set_transaction('security-1', '{}');
SELECT adapty.delete_profile('security-1');
SELECT adapty.export_profile('security-1');
SELECT adapty.process_due();
SELECT * FROM adapty.identities;
SELECT * FROM adapty.access_grants;
SELECT * FROM adapty.profile_access_levels;
-- no claims, broken claims, somebody else's: nothing
SET request.jwt.claims = '';
SELECT adapty.has_access('security-1', 'premium');
SELECT count(*) FROM adapty.profiles;
SET request.jwt.claims = '{"sub": ';
SELECT adapty.get_profile('security-1');
SET request.jwt.claims = '{"sub": null}';
SELECT adapty.get_profile('security-1');
SET request.jwt.claims = '{"profile_id": "00000000-0000-0000-0000-000000000000"}';
SELECT adapty.get_profile('security-1');
RESET request.jwt.claims;
RESET ROLE;

-- an analyst: everything that does not say who it is
SET ROLE adapty_analyst;
SELECT count(*) > 0 AS counted FROM adapty.profiles p LEFT JOIN adapty.profile_access_levels a USING (profile_id) WHERE p.custom_attributes ->> 'plan' = 'a';
SELECT email FROM adapty.profiles;
SELECT first_name FROM adapty.profiles;
SELECT last_name FROM adapty.profiles;
SELECT phone_number FROM adapty.profiles;
SELECT birthday FROM adapty.profiles;
SELECT ip_v4_address FROM adapty.profiles;
SELECT * FROM adapty.identities;
SELECT actor FROM adapty.events;
SELECT idfa FROM adapty.installations;
SELECT adapty.has_access('security-1', 'premium');
SELECT adapty.get_profile('security-1');
SELECT adapty.grant_access_level('security-1', 'premium', duration => '7 days');
RESET ROLE;

-- names in the caller's path are nobody's business
CREATE SCHEMA evil;
CREATE FUNCTION evil.boom() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil was called as %', current_user; END $$;
CREATE FUNCTION evil.eq(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT evil.boom()';
CREATE OPERATOR evil.= (leftarg = text, rightarg = text, function = evil.eq);
CREATE OPERATOR evil.<= (leftarg = timestamptz, rightarg = timestamptz, function = pg_catalog.timestamptz_ge);
CREATE TABLE evil.access_grants (x int);
SET search_path = evil, pg_catalog;
SELECT adapty.has_access('security-1', 'premium');
SELECT is_active FROM adapty.grant_access_level('security-1', 'premium', duration => '1 hour');
SELECT has_access FROM adapty.profile_status('security-1');
SELECT count(*) FROM adapty.explain_access('security-1', 'premium');
SET adapty.direct_access = off;
SELECT adapty.has_access('security-1', 'premium');
SELECT is_active FROM adapty.grant_access_level('security-1', 'premium', duration => '1 hour');
RESET adapty.direct_access;
RESET search_path;
\set VERBOSITY terse
DROP SCHEMA evil CASCADE;
