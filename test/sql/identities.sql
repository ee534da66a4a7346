-- From a customer_user_id to a profile, and from anonymous to known.

-- What a statement is refused with; ids that are made at random are hidden.
CREATE FUNCTION pg_temp.refused(statement text) RETURNS TABLE (state text, message text, detail text, hint text)
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN QUERY SELECT '00000'::text, 'not refused'::text, ''::text, ''::text;
EXCEPTION WHEN others THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
        detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    message := pg_catalog.regexp_replace(message, '[0-9a-f]{8}-[0-9a-f-]{27}', '<uuid>');
    RETURN NEXT;
END $$;
\pset format unaligned
\pset tuples_only on

-- A known profile
SELECT adapty.create_profile('identity-ada') AS ada \gset
SELECT profile_id = :'ada' FROM adapty.identities WHERE customer_user_id = 'identity-ada';
-- An id that exists, letter case counts
SELECT * FROM pg_temp.refused($$SELECT adapty.create_profile('identity-ada')$$);
SELECT adapty.create_profile('Identity-Ada') <> :'ada';
-- The id is an opaque text: any characters, up to 255 of them
SELECT adapty.create_profile('identity-' || pg_catalog.repeat('ж', 246)) IS NOT NULL;
SELECT * FROM pg_temp.refused($$SELECT adapty.create_profile('identity-' || pg_catalog.repeat('ж', 247))$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.create_profile('')$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.create_profile(E'a\u0000b')$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.create_profile(E'a\xff')$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.create_profile('identity-null', NULL)$$);
SELECT adapty.create_profile('identity ''"; --') IS NOT NULL;

-- profile_ids are version 7 UUIDs that ascend
SELECT pg_catalog.count(DISTINCT id) AS ids,
       pg_catalog.bool_and(id > previous) AS ascend,
       pg_catalog.bool_and(pg_catalog.substr(id::text, 15, 1) = '7' AND pg_catalog.substr(id::text, 20, 1) IN ('8', '9', 'a', 'b')) AS version_7
    FROM (SELECT id, pg_catalog.lag(id) OVER (ORDER BY n) AS previous
              FROM (SELECT n, adapty.create_profile() AS id FROM pg_catalog.generate_series(1, 1000) n) made) pairs;

-- Anonymous becomes known
SELECT adapty.create_profile() AS anonymous \gset
SELECT adapty.get_profile(:'anonymous'::uuid) -> 'customer_user_id';
SELECT adapty.identify(:'anonymous', 'identity-bob') = :'anonymous';
SELECT adapty.get_profile(:'anonymous'::uuid) -> 'customer_user_id';
-- the same again changes nothing
SELECT adapty.identify(:'anonymous', 'identity-bob') = :'anonymous';
SELECT pg_catalog.count(*) FROM adapty.identities WHERE profile_id = :'anonymous';
-- an id that exists: switches to its profile and merges nothing
SELECT adapty.create_profile(NULL, '{"first_name": "Nobody"}') AS second \gset
SELECT adapty.identify(:'second', 'identity-bob') = :'anonymous';
SELECT adapty.get_profile(:'second'::uuid) -> 'customer_user_id', adapty.get_attribute(:'second'::uuid, 'first_name'),
       adapty.get_attribute('identity-bob', 'first_name') IS NULL;
-- the anonymous profile can still become another user
SELECT adapty.identify(:'second', 'identity-carol') = :'second';
-- but a known one cannot
SELECT * FROM pg_temp.refused(pg_catalog.format($$SELECT adapty.identify(%L, 'identity-dave')$$, :'second'));
SELECT pg_catalog.count(*) FROM adapty.identities WHERE customer_user_id = 'identity-dave';
-- nobody
SELECT * FROM pg_temp.refused($$SELECT adapty.identify('11111111-1111-1111-1111-111111111111', 'identity-dave')$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.identify(NULL, 'identity-dave')$$);
SELECT * FROM pg_temp.refused(pg_catalog.format('SELECT adapty.identify(%L, NULL)', :'second'));
SELECT * FROM pg_temp.refused(pg_catalog.format('SELECT adapty.identify(%L, %L)', :'second', ''));
SELECT * FROM pg_temp.refused(pg_catalog.format('SELECT adapty.identify(%L, pg_catalog.repeat(%L, 256))', :'second', 'x'));
SELECT * FROM pg_temp.refused($$SELECT adapty.identify('no-uuid', 'identity-dave')$$);

-- Created and used in one statement
SELECT adapty.get_attributes(id) IS NOT NULL FROM (VALUES (:'ada'::uuid)) v (id);
SELECT adapty.update_profile(adapty.create_profile(), '{"last_name": "New"}') ->> 'customer_user_id' IS NULL;

-- A user that is not there, by either kind of id
SELECT * FROM pg_temp.refused($$SELECT adapty.get_profile('identity-nobody')$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.get_profile('11111111-1111-1111-1111-111111111111'::uuid)$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.update_profile('11111111-1111-1111-1111-111111111111'::uuid, '{}')$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.get_profile(NULL::text)$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.get_profile(NULL::uuid)$$);

-- Nothing is changed in a moved time
SET adapty.test_clock_offset = 3600;
SELECT * FROM pg_temp.refused($$SELECT adapty.create_profile('identity-late')$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.identify('11111111-1111-1111-1111-111111111111', 'identity-late')$$);
SELECT adapty.now() - pg_catalog.now() = interval '1 hour';
RESET adapty.test_clock_offset;
SELECT adapty.now() = pg_catalog.now();

-- Who may: the server's role makes and identifies users, the others do not
SET ROLE adapty_server;
SELECT adapty.create_profile() AS served \gset
SELECT adapty.identify(:'served', 'identity-served') = :'served';
SELECT pg_catalog.count(*) FROM adapty.identities WHERE customer_user_id = 'identity-served';
INSERT INTO adapty.identities VALUES ('identity-direct', :'served');
SET ROLE adapty_sdk;
SELECT pg_catalog.set_config('request.jwt.claims', '{"sub": "identity-ada"}', false) IS NOT NULL;
SELECT adapty.create_profile('identity-ada');
SELECT adapty.identify('11111111-1111-1111-1111-111111111111', 'identity-ada');
SELECT 1 FROM adapty.identities WHERE customer_user_id = 'identity-served';
SET ROLE adapty_analyst;
SELECT adapty.create_profile('identity-eve');
SELECT adapty.get_profile('identity-ada');
RESET ROLE;
RESET request.jwt.claims;

SELECT pg_catalog.count(*) > 0 FROM (SELECT adapty.delete_profile(customer_user_id) FROM adapty.identities
    WHERE customer_user_id ILIKE 'identity%') gone;
SELECT pg_catalog.count(*) FROM adapty.identities WHERE customer_user_id ILIKE 'identity%';
