-- The type segment_filter: reading, the canonical form, JSON, the binary form, errors with their place.
\set VERBOSITY terse

-- what is read becomes canonical, and that reads back as itself
CREATE FUNCTION pg_temp.canonical(input text) RETURNS TABLE (canonical text, same boolean, "json" jsonb)
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT f::text,
           f::text::adapty.segment_filter OPERATOR(adapty.=) f AND f::jsonb::adapty.segment_filter OPERATOR(adapty.=) f
               AND f::jsonb::text::adapty.segment_filter OPERATOR(adapty.=) f,
           f::jsonb
      FROM (SELECT input::adapty.segment_filter) AS x (f)
    $$;
\x on
SELECT * FROM pg_temp.canonical($$ Subscription_State IN (Never_Subscribed, 'subscription_cancelled') AND attr.words_learned >= 1e2
    and country='us' and last_seen before 30 days ago and app_version > '1.10.0' and not access('premium') $$);
SELECT * FROM pg_temp.canonical($$everyone$$);
SELECT * FROM pg_temp.canonical($$not (country = 'US' or (country = 'DE' and (age > 18 and age <= 30.50)))$$);
SELECT * FROM pg_temp.canonical($$(country = 'US' or (country = 'DE' or country = 'FR')) and not not everyone$$);
SELECT * FROM pg_temp.canonical($$country != 'US' and country <> 'DE' and age between -0 and 1 and age not in (1, 2, 1.0) and age not between 3 and 1e3$$);
SELECT * FROM pg_temp.canonical($$age ≠ 1 and age ≤ 2 and age ≥ .5$$);
SELECT * FROM pg_temp.canonical($$age ≠ 1 and age ≤ 2 and age ≥ 0.5$$);
SELECT * FROM pg_temp.canonical($$created_at = '2026-11-27' and last_seen_at <= '2026-11-27T23:30:00.5+05:45' and installed_at after now
    and subscription_expires_at within next 1 week and created_at between '2000-02-29' and 1 month from now and last_seen within last 90 minutes$$);
SELECT * FROM pg_temp.canonical($$created_at >= '0001-01-01' and created_at < '9999-12-31' and created_at != '1999-12-31 23:59:59.999999'$$);
SELECT * FROM pg_temp.canonical($$platform in (ios, ANDROID) and gender = f and attribution_status = 'NON_ORGANIC' and language not in ('PT', 'en')$$);
SELECT * FROM pg_temp.canonical($$attr."my-key.1" = 'it''s "so" \ ✓' and attr._x is set and attr."9" is not set and attr.Case in (1, -2.5, 1e-7, 1e+300)$$);
SELECT * FROM pg_temp.canonical($$customer_user_id is not set and access() and access('a', 'b', 'a') and installed_app_version between '1.0.0-rc.1' and '1.0.0+build'$$);
\x off

-- equality and hash are those of the canonical form
SELECT 'age>1'::adapty.segment_filter OPERATOR(adapty.=) ' AGE  > 1.0 ' AS equal, 'age>1'::adapty.segment_filter OPERATOR(adapty.<>) 'age>2' AS different;
SELECT count(DISTINCT adapty._segment_filter_hash(f)), count(DISTINCT adapty._segment_filter_hash_extended(f, 7))
    FROM (VALUES ('age>1'::adapty.segment_filter), ('age > 1'), ('(age > 1)')) v (f);
SELECT f, count(*) FROM (VALUES ('age>1'::adapty.segment_filter), ('age > 1'), ('age > 2')) v (f) GROUP BY f ORDER BY f::text;

-- the binary form
SELECT encode(adapty._segment_filter_send('age > 1'), 'escape');
CREATE TEMPORARY TABLE filters (f adapty.segment_filter);
INSERT INTO filters VALUES ('age > 1'), ('attr.a = ''x'' or everyone'), (NULL);
\copy filters TO 'segment_filter.bin' WITH (FORMAT binary)
\copy filters FROM 'segment_filter.bin' WITH (FORMAT binary)
\! rm segment_filter.bin
SELECT f, count(*) FROM filters GROUP BY f ORDER BY f::text;

-- what comes in binary is read as anything else: another version, nonsense
CREATE TEMPORARY TABLE received (f adapty.segment_filter);
\! printf 'PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\010\001age = 1\377\377' > segment_filter.bin
\copy received FROM 'segment_filter.bin' WITH (FORMAT binary)
\! printf 'PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\010\002age = 1\377\377' > segment_filter.bin
\copy received FROM 'segment_filter.bin' WITH (FORMAT binary)
\! printf 'PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\010\001age = x\377\377' > segment_filter.bin
\copy received FROM 'segment_filter.bin' WITH (FORMAT binary)
\! rm segment_filter.bin
SELECT * FROM received;

-- errors are soft where the server asks for that
DO $$
DECLARE valid boolean; message text;
BEGIN
    IF pg_catalog.current_setting('server_version_num')::integer >= 160000 THEN
        EXECUTE $q$SELECT pg_catalog.pg_input_is_valid('age > 1', 'adapty.segment_filter') AND NOT pg_catalog.pg_input_is_valid('agee > 1', 'adapty.segment_filter')$q$ INTO valid;
        EXECUTE $q$SELECT message FROM pg_catalog.pg_input_error_info('age > 1 and ', 'adapty.segment_filter')$q$ INTO message;
        IF NOT valid OR message IS DISTINCT FROM 'invalid segment filter at character 13: the filter ends where a condition should follow' THEN
            RAISE EXCEPTION '% %', valid, message;
        END IF;
    END IF;
END $$;

-- the JSON form is liberal in what it takes
SELECT '{"access": "premium"}'::jsonb::adapty.segment_filter;
SELECT '{"and": [{"or": [{"access": []}]}]}'::jsonb::adapty.segment_filter;
SELECT '"country = ''US''"'::jsonb::adapty.segment_filter;
SELECT '{"operator": "after", "attribute": "last_seen", "value": "now"}'::adapty.segment_filter;
SELECT '{"attribute":"attr.a\u002db","operator":"=","value":"\u00e4\ud83d\ude00\n"}'::adapty.segment_filter;

-- errors, with their place
SELECT ''::adapty.segment_filter;
SELECT 'contry = ''US'''::adapty.segment_filter;
\set VERBOSITY default
SELECT 'country = ''US'' and contry = ''DE'''::adapty.segment_filter;
SELECT 'attr.ä = 1 or country'::adapty.segment_filter;
SELECT 'platform = ''Windows'''::adapty.segment_filter;
SELECT 'app_version > ''1.010.0'''::adapty.segment_filter;
\set VERBOSITY terse
SELECT 'country = US'::adapty.segment_filter;
SELECT 'country = ''USA'''::adapty.segment_filter;
SELECT 'country > ''US'''::adapty.segment_filter;
SELECT 'country is'::adapty.segment_filter;
SELECT 'country is not'::adapty.segment_filter;
SELECT 'country not = ''US'''::adapty.segment_filter;
SELECT 'country in ()'::adapty.segment_filter;
SELECT 'country in (''US'''::adapty.segment_filter;
SELECT '(country = ''US'''::adapty.segment_filter;
SELECT 'country = ''US'')'::adapty.segment_filter;
SELECT 'country = ''US'::adapty.segment_filter;
SELECT 'age = 10x'::adapty.segment_filter;
SELECT 'age = 1e999'::adapty.segment_filter;
SELECT 'age between 5 and 1'::adapty.segment_filter;
SELECT 'age = ''5'''::adapty.segment_filter;
SELECT 'age = 5 years ago'::adapty.segment_filter;
SELECT 'last_seen = 5'::adapty.segment_filter;
SELECT 'last_seen before 5 parsecs ago'::adapty.segment_filter;
SELECT 'last_seen before 5 days'::adapty.segment_filter;
SELECT 'last_seen before 1.5 days ago'::adapty.segment_filter;
SELECT 'last_seen before 201 years ago'::adapty.segment_filter;
SELECT 'last_seen before ''2026-02-29'''::adapty.segment_filter;
SELECT 'last_seen before ''yesterday'''::adapty.segment_filter;
SELECT 'last_seen in (''2026-01-01'')'::adapty.segment_filter;
SELECT 'created_at between ''2026-02-01'' and ''2026-01-01'''::adapty.segment_filter;
SELECT 'language = ''pt-BR'''::adapty.segment_filter;
SELECT 'customer_user_id = ''x'''::adapty.segment_filter;
SELECT 'attr.a > ''x'''::adapty.segment_filter;
SELECT 'attr.a in (1, ''x'')'::adapty.segment_filter;
SELECT 'attr.a = x'::adapty.segment_filter;
SELECT 'attr."a b" = 1'::adapty.segment_filter;
SELECT 'attr = 1'::adapty.segment_filter;
SELECT 'access(premium)'::adapty.segment_filter;
SELECT 'access(''no such level!'')'::adapty.segment_filter;
SELECT 'country = "US"'::adapty.segment_filter;
SELECT 'country = ''US''; DROP TABLE x'::adapty.segment_filter;
SELECT 'and country = ''US'''::adapty.segment_filter;
SELECT '{"and": []}'::adapty.segment_filter;
SELECT '{"attribute": "age", "operator": "=", "value": 1, "vlaue": 2}'::adapty.segment_filter;
SELECT '{"attribute": "age", "operator": "~", "value": 1}'::adapty.segment_filter;
SELECT '{"attribute": "age", "operator": "between", "values": [1]}'::adapty.segment_filter;
SELECT '{"attribute": "age", "operator": "="}'::adapty.segment_filter;
SELECT '{"attribute": "age", "attribute": "age"}'::adapty.segment_filter;
SELECT '{"attribute": "age", "operator": "=", "value": true}'::adapty.segment_filter;
SELECT '{"everyone": false}'::adapty.segment_filter;
SELECT '{"everyone": true}}'::adapty.segment_filter;
SELECT '{"everyone": true'::adapty.segment_filter;
SELECT '{"attribute": "last_seen", "operator": ">", "value": {"ago": "1 parsec"}}'::adapty.segment_filter;
SELECT '[1]'::jsonb::adapty.segment_filter;
SELECT '5'::jsonb::adapty.segment_filter;

-- limits
SELECT length((repeat('not ', 40) || 'age = 1')::adapty.segment_filter::text) AS even, length((repeat('not ', 41) || 'age = 1')::adapty.segment_filter::text) AS odd;
SELECT (repeat('(', 200) || 'age = 1' || repeat(')', 200))::adapty.segment_filter;
SELECT (repeat('not ', 100000) || 'age = 1')::adapty.segment_filter;
SELECT (repeat('{"not":', 100000))::adapty.segment_filter;
SELECT (repeat('age = 1 or ', 499) || 'age = 1')::adapty.segment_filter IS NOT NULL AS fits;
SELECT (repeat('age = 1 or ', 500) || 'age = 1')::adapty.segment_filter;
SELECT ('age in (' || (SELECT string_agg(i::text, ',') FROM generate_series(1, 1001) i) || ')')::adapty.segment_filter;
SELECT ('attr.a = ''' || repeat('x', 1025) || '''')::adapty.segment_filter;
SELECT (repeat(' ', 70000) || 'everyone')::adapty.segment_filter;

-- the order of versions is SemVer's; a leading zero or a missing part makes none
SELECT string_agg(v, ' < ' ORDER BY adapty.semver_key(v), v) FROM unnest(ARRAY['1.0.0', '1.0.0-alpha.beta', '1.0.0-alpha', '1.0.0-rc.1',
    '1.0.0-beta.11', '1.0.0-beta.2', '1.0.0-beta', '1.0.0-alpha.1', '0.9.10', '0.9.9', '1.10.0', '1.9.0', '10.0.0', '1.0.0-1', '1.0.0--']) v;
SELECT v, adapty.semver_key(v) IS NULL AS none FROM unnest(ARRAY['1.0', '01.0.0', '1.0.0-01', '1.0.0-', '1.0.0+', 'v1.0.0', '1.0.0 ', '', '1.0.0.0', '1..0', '1.0.0-a..b',
    '1.0.0-0a', '1.0.0+01', '99999999999999999999.0.0']) v;
SELECT adapty.semver_key('1.0.0+a') = adapty.semver_key('1.0.0+b') AS build_is_ignored;
SELECT adapty.semver_key(repeat('9', 256) || '.0.0') IS NULL AS too_long;
SELECT l, adapty.language_code(l) FROM unnest(ARRAY['en', 'EN-us', 'pt_BR', 'fil-PH', 'e', '', 'zh-Hant-TW', '12']) l;
