-- Attributes of a user: default and custom, checked, merged, read back.

CREATE FUNCTION pg_temp.refused(statement text) RETURNS TABLE (state text, message text, detail text, hint text)
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN QUERY SELECT '00000'::text, 'not refused'::text, ''::text, ''::text;
EXCEPTION WHEN others THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
        detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN NEXT;
END $$;
\pset format unaligned
\pset tuples_only on
SELECT adapty.create_profile('attributes-u') AS u \gset

-- Values of every SQL type find their function without a cast
SELECT adapty.set_attribute('attributes-u', 'words_learned', 120);
SELECT adapty.set_attribute('attributes-u', 'ratio', 0.1);
SELECT adapty.set_attribute('attributes-u', 'big', 12345678901234567890);
SELECT adapty.set_attribute('attributes-u', 'lang', 'de');
SELECT adapty.set_attribute('attributes-u', 'is_pro', true);
SELECT adapty.set_attribute('attributes-u', 'from_json', pg_catalog.to_jsonb('text'::text));
SELECT adapty.set_attribute('attributes-u', 'x', NULL);
SELECT adapty.set_attribute('attributes-u', 'number_as_text', '7');
SELECT adapty.set_attribute(:'u'::uuid, 'by_profile_id', 1::bigint);
SELECT adapty.set_attribute(:'u'::uuid, 'by_profile_id_text', 'yes'::varchar);
SELECT adapty.set_attribute(customer_user_id => 'attributes-u', key => 'named', value => -1.5::real);
SELECT adapty.get_attributes('attributes-u');
SELECT adapty.get_attributes(:'u'::uuid) = adapty.get_attributes('attributes-u');
SELECT adapty.get_attribute('attributes-u', 'words_learned'), adapty.get_attribute(:'u'::uuid, 'lang');
SELECT adapty.get_attribute('attributes-u', 'never_set') IS NULL;
-- Prepared statements with untyped parameters, as drivers send them
PREPARE set_it AS SELECT adapty.set_attribute($1, $2, $3);
EXECUTE set_it ('attributes-u', 'prepared', 'value');
SELECT adapty.get_attribute('attributes-u', 'prepared');
DEALLOCATE set_it;

-- Null and an empty string delete
SELECT adapty.set_attribute('attributes-u', 'lang', NULL), adapty.set_attribute('attributes-u', 'number_as_text', ''),
       adapty.set_attribute('attributes-u', 'never_there', NULL);
SELECT adapty.set_attributes('attributes-u', '{"from_json": null, "prepared": "", "is_pro": false, "ratio": 2e-3, "zero": -0.0}');
SELECT adapty.get_attributes('attributes-u');

-- Default attributes by the same functions, all of a call at once
SELECT adapty.set_attributes('attributes-u', '{
    "first_name": "Ada", "last_name": "Lovelace", "gender": "f", "email": "ada@example.com",
    "phone_number": "+441234567", "birthday": "2000-02-29", "ip_country": "gb", "ip_v4_address": "192.0.2.1",
    "store_country": "US", "store": "app_store", "store_account_token": "3FA85F64-5717-4562-b3fc-2c963f66afa6",
    "att_status": 3, "analytics_disabled": true, "words_learned": 121}');
SELECT adapty.get_attributes('attributes-u') - ARRAY['big', 'by_profile_id', 'by_profile_id_text', 'named', 'is_pro', 'ratio', 'zero'];
SELECT gender, birthday = '2000-02-29', ip_country, ip_v4_address, att_status, analytics_disabled
    FROM adapty.profiles WHERE profile_id = :'u';
SELECT adapty.set_attribute('attributes-u', 'att_status', 1), adapty.set_attribute('attributes-u', 'analytics_disabled', '0'),
       adapty.set_attribute('attributes-u', 'email', NULL), adapty.set_attribute('attributes-u', 'phone_number', '');
SELECT adapty.get_attribute('attributes-u', 'att_status'), adapty.get_attribute('attributes-u', 'analytics_disabled'),
       adapty.get_attribute('attributes-u', 'email') IS NULL, adapty.get_attributes('attributes-u') ? 'phone_number';

-- What is refused changes nothing
SELECT adapty.get_attributes('attributes-u') AS before \gset
SELECT r.* FROM (VALUES
    ('first_name', '12'), ('first_name', '["a"]'), ('last_name', pg_catalog.to_jsonb(pg_catalog.repeat('x', 256))::text),
    ('gender', '"x"'), ('gender', '"F"'), ('email', '"no address"'), ('email', '"a@b@c"'), ('email', '"@example.com"'), ('email', '"a b@c"'),
    ('phone_number', 'true'), ('birthday', '"2001-02-29"'), ('birthday', '"1899-12-31"'), ('birthday', '"9999-01-01"'),
    ('birthday', '"01/02/2000"'), ('birthday', '20000101'), ('ip_country', '"GBR"'), ('ip_country', '"1A"'),
    ('ip_v4_address', '"256.1.1.1"'), ('ip_v4_address', '"1.2.3"'), ('ip_v4_address', '"01.2.3.4"'), ('ip_v4_address', '"::1"'),
    ('store', '"my store"'), ('store_account_token', '"abc"'), ('att_status', '4'), ('att_status', '1.5'), ('att_status', '{}'),
    ('analytics_disabled', '"maybe"'), ('analytics_disabled', '2')) v (key, value),
    LATERAL pg_temp.refused(pg_catalog.format('SELECT adapty.set_attributes(%L, %L)', 'attributes-u',
        pg_catalog.json_build_object('fine', 1, v.key, v.value::json))) r;
SELECT r.* FROM (VALUES
    ('a b', '1'), ('', '1'), ('ключ', '1'), (pg_catalog.repeat('k', 31), '1'), ('k', pg_catalog.to_jsonb(pg_catalog.repeat('ж', 51))::text),
    ('k', '{"nested": 1}'), ('k', '[1]'), ('k', '1e309'), ('k', '-1e400'),
    ('idfa', '"x"'), ('app_version', '"1.0"'), ('total_revenue_usd', '5'), ('customer_user_id', '"other"'), ('subscription_state', '"subscribed"'),
    ('custom_attributes', '{}')) v (key, value),
    LATERAL pg_temp.refused(pg_catalog.format('SELECT adapty.set_attributes(%L, %L)', 'attributes-u',
        pg_catalog.json_build_object('fine', 1, v.key, v.value::json))) r;
SELECT * FROM pg_temp.refused($$SELECT adapty.set_attribute('attributes-u', 'k', 'NaN'::float8)$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.set_attribute('attributes-u', 'k', '-Infinity'::float8)$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.set_attribute('attributes-u', 'k', '[1, 2]'::jsonb)$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.set_attribute('attributes-u', NULL, 'v')$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.set_attributes('attributes-u', NULL)$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.set_attributes('attributes-u', '[]')$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.set_attributes('attributes-u', '"text"')$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.set_attribute('attributes-nobody', 'k', 'v')$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.set_attribute('11111111-1111-1111-1111-111111111111'::uuid, 'k', 'v')$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.get_attributes('attributes-nobody')$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.get_attribute('attributes-u', NULL)$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.get_attribute('attributes-u', 'idfa')$$);
SELECT adapty.get_attributes('attributes-u') = :'before'::jsonb;

-- At most 30 custom attributes, keys of 30 characters, values of 50
SELECT adapty.create_profile('attributes-full') IS NOT NULL;
SELECT adapty.set_attributes('attributes-full', pg_catalog.jsonb_object_agg('key' || n, n)) FROM pg_catalog.generate_series(1, 30) n;
SELECT * FROM pg_temp.refused($$SELECT adapty.set_attribute('attributes-full', 'key31', 31)$$);
SELECT adapty.set_attribute('attributes-full', 'key30', 300), adapty.set_attribute('attributes-full', 'email', 'full@example.com');
SELECT adapty.set_attributes('attributes-full', '{"key1": null, "key31": 31}');
SELECT adapty.get_attribute('attributes-full', 'key1') IS NULL, adapty.get_attribute('attributes-full', 'key30'), adapty.get_attribute('attributes-full', 'key31');
SELECT * FROM pg_temp.refused($$SELECT adapty.set_attributes('attributes-full', '{"a": 1, "b": 2, "key2": null}')$$);
SELECT pg_catalog.count(*) FROM adapty.profiles p, pg_catalog.jsonb_object_keys(p.custom_attributes)
    WHERE p.profile_id = (SELECT profile_id FROM adapty.identities WHERE customer_user_id = 'attributes-full');
SELECT adapty.set_attributes('attributes-u', pg_catalog.jsonb_build_object(pg_catalog.repeat('k', 30), pg_catalog.repeat('ж', 50), 'A.b-c_9', 1));
SELECT pg_catalog.length(adapty.get_attribute('attributes-u', pg_catalog.repeat('k', 30)) ->> 0);

-- A number is kept as double precision has it, whatever the session's settings
SET extra_float_digits = -15;
SELECT adapty.set_attribute('attributes-u', 'exact', 0.1::float8 + 0.2::float8), adapty.set_attribute('attributes-u', 'long', 1234567890123456),
       adapty.set_attribute('attributes-u', 'third', 1 / 3.0::float8), adapty.set_attribute('attributes-u', 'least', 5e-324);
RESET extra_float_digits;
SELECT adapty.get_attribute('attributes-u', 'exact'), adapty.get_attribute('attributes-u', 'long'), adapty.get_attribute('attributes-u', 'third'),
       (adapty.get_attribute('attributes-u', 'least') #>> '{}')::float8 = 5e-324;

-- The domain alone guards plain SQL
SELECT r.* FROM (VALUES ('[]'), ('{"a": {}}'), ('{"a": true}'), ('{"a": null}'), ('{"a": ""}'), ('{"a b": 1}'), ('{"a": 1e400}'), ('1')) v (value),
    LATERAL pg_temp.refused(pg_catalog.format('SELECT %L::adapty.custom_attributes', v.value)) r;
SELECT '{"a": 1, "b": "x"}'::adapty.custom_attributes;
SELECT adapty.is_custom_attributes(pg_catalog.jsonb_object_agg('key' || n, n)) FROM pg_catalog.generate_series(1, 31) n;

-- Many users in one statement
SELECT pg_catalog.count(adapty.create_profile('attributes-many-' || n)) FROM pg_catalog.generate_series(1, 200) n;
SELECT pg_catalog.count(*) FROM (SELECT adapty.set_attribute('attributes-many-' || n, 'words_learned', n) FROM pg_catalog.generate_series(1, 200) n) done;
SELECT pg_catalog.sum((p.custom_attributes ->> 'words_learned')::integer) FROM adapty.profiles p JOIN adapty.identities i USING (profile_id)
    WHERE i.customer_user_id LIKE 'attributes-many-%';

-- Roles: the user of a JWT sets and reads its own attributes, nobody else's
SET ROLE adapty_sdk;
SELECT adapty.get_attributes('attributes-u');
SELECT pg_catalog.set_config('request.jwt.claims', '{"sub": "attributes-full"}', false);
SELECT adapty.set_attribute('attributes-full', 'key2', 'mine'), adapty.set_attributes('attributes-full', '{"gender": "o"}');
SELECT adapty.get_attribute('attributes-full', 'key2'), adapty.get_attributes('attributes-full') ->> 'gender';
SELECT adapty.set_attribute('attributes-u', 'key2', 'not mine');
\echo :LAST_ERROR_SQLSTATE
SELECT adapty.get_attribute('attributes-u', 'key2');
SELECT adapty.get_attributes('attributes-nobody');
SELECT adapty.set_attribute('attributes-full', 'total_revenue_usd', 1000000);
UPDATE adapty.profiles SET total_revenue_usd = 1000000;
-- "customer_user_id" goes before "sub"; claims that are no JSON name nobody
SELECT pg_catalog.set_config('request.jwt.claims', '{"sub": "attributes-full", "customer_user_id": "attributes-u"}', false);
SELECT adapty.get_attribute('attributes-u', 'words_learned');
SELECT adapty.get_attribute('attributes-full', 'key2');
SELECT pg_catalog.set_config('request.jwt.claims', '{"nested": {"sub": "attributes-full"}, "aud": ["attributes-full"]}', false);
SELECT adapty.get_attribute('attributes-full', 'key2');
SELECT pg_catalog.set_config('request.jwt.claims', '{"sub": "attributes-full"', false);
SELECT adapty.get_attribute('attributes-full', 'key2');
SET ROLE adapty_analyst;
SELECT adapty.get_attribute('attributes-full', 'key2');
SELECT adapty.set_attribute('attributes-full', 'key2', 'x');
SET ROLE adapty_server;
SELECT adapty.get_attribute('attributes-full', 'key2');
SELECT adapty.set_attribute('attributes-full', 'key2', NULL);
RESET ROLE;
RESET request.jwt.claims;

-- Not in a moved time
SET adapty.test_clock_offset = '1h';
SELECT * FROM pg_temp.refused($$SELECT adapty.set_attribute('attributes-u', 'k', 'v')$$);
SELECT adapty.get_attribute('attributes-u', 'words_learned');
RESET adapty.test_clock_offset;

SELECT pg_catalog.count(*) FROM (SELECT adapty.delete_profile(customer_user_id) FROM adapty.identities
    WHERE customer_user_id LIKE 'attributes-%') gone;
