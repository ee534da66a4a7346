-- API keys: made, listed, known again by pre_request(), revoked.
\set VERBOSITY default
SELECT adapty.create_api_key('secret', 'backend') AS secret_key \gset
SELECT adapty.create_api_key('public', 'web page') AS public_key \gset
SELECT adapty.create_api_key('secret', 'test bench', 'Sandbox') AS sandbox_key \gset
-- their form
SELECT :'secret_key' ~ '^secret_live_[A-Za-z0-9]{8}[.][A-Za-z0-9]{32}$' AS secret,
       :'public_key' ~ '^public_live_[A-Za-z0-9]{8}[.][A-Za-z0-9]{32}$' AS public,
       :'sandbox_key' ~ '^secret_test_[A-Za-z0-9]{8}[.][A-Za-z0-9]{32}$' AS sandbox;
-- a key is kept nowhere, only its hash
SELECT kind, environment, name, starts_with(:'secret_key', key_hint) OR kind = 'public' OR environment = 'Sandbox' AS hint,
       last_used_at IS NULL AS never_used, revoked_at IS NULL AS in_force
    FROM adapty.list_api_keys() ORDER BY name;
SELECT count(*) AS rows_with_the_key FROM adapty.api_keys k WHERE k::text LIKE '%' || split_part(:'secret_key', '.', 2) || '%';
SELECT count(*) AS by_hash FROM adapty.api_keys WHERE key_hash = sha256(convert_to(:'secret_key', 'UTF8'));
-- one that exists elsewhere, by its hash
SELECT adapty.add_api_key(encode(sha256('secret_live_old.key'), 'hex'), 'secret', 'from elsewhere') IS NOT NULL AS added;
SELECT adapty.add_api_key(encode(sha256('secret_live_old.key'), 'hex'), 'secret', 'again');
SELECT adapty.add_api_key('secret_live_old.key', 'secret', 'by mistake');
SELECT adapty.create_api_key('secret', NULL);
SELECT adapty.create_api_key('secret', '');
SELECT adapty.create_api_key(NULL, 'x');
SELECT adapty.create_api_key('other', 'x');

-- ---- pre_request: a login that may take the roles, as PostgREST's ----
CREATE ROLE regress_api_login NOINHERIT;
GRANT adapty_anon, adapty_server, adapty_sdk, adapty_analyst TO regress_api_login;
SET SESSION AUTHORIZATION regress_api_login;
BEGIN;
SET LOCAL ROLE adapty_anon;
SELECT set_config('request.headers', json_build_object('authorization', 'Api-Key ' || :'secret_key')::text, true) IS NULL AS x \gset
SELECT adapty.pre_request();
SELECT current_user, current_setting('request.api_key') AS api_key, current_setting('request.api_key_environment') AS environment;
COMMIT;
SELECT current_user, nullif(current_setting('request.api_key'), '') AS api_key;
BEGIN;
SET LOCAL ROLE adapty_anon;
SELECT set_config('request.headers', json_build_object('authorization', 'api-key   ' || :'public_key')::text, true) IS NULL AS x \gset
SELECT adapty.pre_request();
SELECT current_user, current_setting('request.api_key') AS api_key, current_setting('request.api_key_environment') AS environment;
COMMIT;
-- in a transaction that may only read: no note is taken
BEGIN READ ONLY;
SET LOCAL ROLE adapty_anon;
SELECT set_config('request.headers', json_build_object('authorization', 'Api-Key ' || :'sandbox_key')::text, true) IS NULL AS x \gset
SELECT adapty.pre_request();
SELECT current_user, current_setting('request.api_key') AS api_key, current_setting('request.api_key_environment') AS environment;
COMMIT;
-- refused: the API's body for the web server
SET ROLE adapty_anon;
DO $$
DECLARE
    header text;
    message text;
    detail text;
BEGIN
    FOREACH header IN ARRAY ARRAY[NULL, '', 'Api-Key', 'Api-Key ', 'Api-Key secret_live_AAAAAAAA.BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB',
            'Api-Key ''; DROP TABLE adapty.api_keys; --', 'Basic dXNlcjpwYXNz', 'Bearer ', 'Api-Key ' || repeat('x', 100000)] LOOP
        PERFORM set_config('request.headers', json_build_object('authorization', header)::text, false);
        BEGIN
            PERFORM adapty.pre_request();
            RAISE NOTICE '% was let in', left(header, 50);
        EXCEPTION WHEN SQLSTATE 'PGRST' THEN
            GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
            RAISE NOTICE '%: % %', left(header, 50), message, detail;
        END;
    END LOOP;
    -- headers that are no JSON are no headers
    PERFORM set_config('request.headers', '{"authorization":', false);
    BEGIN
        PERFORM adapty.pre_request();
    EXCEPTION WHEN SQLSTATE 'PGRST' THEN
        RAISE NOTICE 'no JSON: refused';
    END;
END $$;
-- roles of tokens are let through without a key; the anonymous one sees nothing by itself
RESET request.headers;
SET ROLE adapty_analyst;
SELECT adapty.pre_request();
SET ROLE adapty_anon;
SELECT count(*) FROM adapty.api_keys;
SELECT adapty.get_profile('jane');
SELECT adapty_api.v2_get_profile('');
-- who holds a key can neither see nor make others
SET ROLE adapty_server;
SELECT * FROM adapty.api_keys;
SELECT * FROM adapty.list_api_keys();
SELECT adapty.create_api_key('secret', 'another');
SELECT adapty.revoke_api_key('00000000-0000-0000-0000-000000000000');
RESET SESSION AUTHORIZATION;

-- used, and noted so where that could be written
SELECT name, last_used_at IS NOT NULL AS used FROM adapty.list_api_keys() ORDER BY name;

-- ---- revoked: at once and for ever ----
SELECT api_key_id AS id FROM adapty.list_api_keys() WHERE name = 'backend' \gset
SELECT adapty.revoke_api_key(:'id');
SELECT revoked_at AS first_revoked_at FROM adapty.api_keys WHERE name = 'backend' \gset
SELECT adapty.revoke_api_key(:'id');
SELECT revoked_at = :'first_revoked_at' AS unchanged FROM adapty.api_keys WHERE name = 'backend';
SELECT adapty.revoke_api_key('00000000-0000-0000-0000-000000000000');
SELECT adapty.revoke_api_key(NULL);
SET SESSION AUTHORIZATION regress_api_login;
SET ROLE adapty_anon;
SELECT set_config('request.headers', json_build_object('authorization', 'Api-Key ' || :'secret_key')::text, false) IS NULL AS x \gset
SELECT adapty.pre_request();
RESET SESSION AUTHORIZATION;
SELECT adapty.add_api_key(encode(sha256(convert_to(:'secret_key', 'UTF8')), 'hex'), 'secret', 'brought back');
-- a login that may not take the role gets nothing by a key
CREATE ROLE regress_api_stranger NOINHERIT;
GRANT adapty_anon TO regress_api_stranger;
SET SESSION AUTHORIZATION regress_api_stranger;
SET ROLE adapty_anon;
SELECT set_config('request.headers', json_build_object('authorization', 'Api-Key ' || :'sandbox_key')::text, false) IS NULL AS x \gset
SELECT adapty.pre_request();
RESET SESSION AUTHORIZATION;
RESET request.headers;

DROP ROLE regress_api_login, regress_api_stranger;
DELETE FROM adapty.api_keys;
