-- Segments: who is in one, the view, changing, privileges.
\set VERBOSITY terse
SET client_min_messages = warning;
-- A filter's members among the users of this test.
CREATE FUNCTION pg_temp.members(filter text) RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE result text;
BEGIN
    EXECUTE pg_catalog.format('SELECT string_agg(substr(i.customer_user_id, 5), '' '' ORDER BY i.customer_user_id)
        FROM (%s) s JOIN adapty.identities i USING (profile_id) WHERE i.customer_user_id LIKE ''seg-%%''', adapty.segment_sql(filter::adapty.segment_filter)) INTO result;
    RETURN coalesce(result, '-');
END $$;

CREATE FUNCTION pg_temp.plan(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE line text; plan text := '';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP plan := plan || line || chr(10); END LOOP;
    RETURN plan;
END $$;

-- us: two devices, attributions, words; de: one device; bare: nothing at all
SELECT count(adapty.create_profile('seg-' || n, a::jsonb)) FROM (VALUES
    ('us', '{"ip_country": "US", "store_country": "CA", "gender": "f", "custom_attributes": {"words": 120, "level": "gold"},
             "attributions": {"appsflyer": {"status": "non_organic", "channel": "Ads", "campaign": "summer"}, "adjust": {"status": "organic", "channel": "Web"}}}'),
    ('de', '{"ip_country": "DE", "gender": "m", "custom_attributes": {"words": "many", "level": "silver"}}'),
    ('bare', '{}')) v (n, a);
SELECT count(adapty.update_profile('seg-' || u, jsonb_build_object('installation_meta', m::jsonb))) FROM (VALUES
    ('us', '{"device_id": "11111111-0000-4000-8000-000000000001", "platform": "iOS", "device": "iPhone 15", "os": "iOS 17", "locale": "en-US", "app_version": "1.9.0"}'),
    ('us', '{"device_id": "11111111-0000-4000-8000-000000000002", "platform": "Android", "device": "Pixel 8", "os": "Android 14", "locale": "de", "app_version": "1.10.0"}'),
    ('us', '{"device_id": "11111111-0000-4000-8000-000000000001", "app_version": "2.0.0-rc.1"}'),
    ('de', '{"device_id": "11111111-0000-4000-8000-000000000003", "platform": "web", "locale": "fil-PH", "app_version": "26.03.4"}')) v (u, m);
UPDATE adapty.profiles p SET birthday = b, last_seen_at = l, created_at = c, total_revenue_usd = r, subscription_state = s::adapty.subscription_state
    FROM adapty.identities i, (VALUES
        ('seg-us', (now() AT TIME ZONE 'UTC' - interval '30 years')::date, now() - interval '31 days', timestamptz '2026-01-31 23:59:59.999999+00', 12.5, 'subscription_cancelled'),
        ('seg-de', (now() AT TIME ZONE 'UTC' - interval '30 years' + interval '1 day')::date, now() - interval '29 days', '2026-02-01 00:00:00+00', 0, 'never_subscribed'),
        ('seg-bare', NULL, NULL, '2026-01-31 00:00:00+00', 0, 'never_subscribed')) v (u, b, l, c, r, s)
    WHERE i.customer_user_id = v.u AND p.profile_id = i.profile_id;
SELECT customer_user_id, is_active FROM (VALUES ('seg-us', 'premium')) v (u, l), adapty.grant_access_level(u, l, duration => '1 day') g, adapty.identities i WHERE i.customer_user_id = u;

SELECT f AS filter, pg_temp.members(f) AS members FROM unnest(ARRAY[
    'everyone', 'not everyone',
    -- absent attributes: comparisons never match, "is not set" does, "not" is the complement
    'country = ''US''', 'country != ''US''', 'not country = ''US''', 'country is not set', 'not country is not set',
    'country != ''US'' or country is not set', 'country in (''US'', ''FR'')', 'country not in (''US'', ''FR'')', 'not (country in (''US''))',
    'store_country = ''CA''', 'gender = f', 'gender is set',
    -- typed comparison of custom attributes
    'attr.words >= 100', 'attr.words < 100', 'attr.words != 100', 'attr.words = 120', 'attr.words = ''many''', 'attr.words != ''few''',
    'attr.words is set', 'attr.words is not set', 'not attr.words >= 100', 'attr.words between 100 and 120', 'attr.words not between 100 and 119',
    'attr.level in (''gold'', ''silver'')', 'attr.level not in (''gold'')', 'attr.level = ''gold''', 'attr.words in (1, 120)', 'attr.nothing = 1',
    -- age in whole years; the birthday of "us" is today, that of "de" tomorrow
    'age = 30', 'age >= 30', 'age > 29', 'age < 30', 'age <= 29.5', 'age > 29.5', 'age != 30', 'age in (29, 30)', 'age between 29.5 and 30', 'age not between 1 and 29',
    'age is not set', 'age >= 0', 'age < 0', 'age < 1000', 'age = 29.5', 'age != 29.5', 'not age = 29.5',
    -- times: days are whole days in UTC, relative times are moments
    'created_at = ''2026-01-31''', 'created_at != ''2026-01-31''', 'created_at before ''2026-01-31''', 'created_at <= ''2026-01-31''', 'created_at after ''2026-01-31''',
    'created_at >= ''2026-01-31T23:59:59.999999Z''', 'created_at between ''2026-01-31'' and ''2026-01-31''', 'created_at between ''2026-01-30'' and ''2026-02-01''',
    'created_at = ''2026-02-01T00:00:00Z''', 'last_seen before 30 days ago', 'last_seen after 30 days ago', 'last_seen within last 30 days', 'last_seen is not set',
    'not last_seen before 30 days ago', 'last_seen before 1 month from now', 'last_seen not between 30 days ago and now',
    'total_revenue_usd > 12.4', 'total_revenue_usd = 12.5', 'total_revenue_usd < 0', 'subscription_state in (subscription_cancelled, active_trial)',
    'subscription_state != never_subscribed', 'customer_user_id is set', 'customer_user_id is not set',
    -- of one device: each condition of another device is not enough
    'app_version = ''2.0.0-rc.1''', 'app_version > ''1.10.0''', 'app_version > ''1.10.0'' and platform = Android', 'app_version >= ''1.10.0'' and platform = Android',
    'not (app_version > ''1.10.0'')', 'not (app_version > ''1.10.0'' and platform = iOS)', 'app_version is not set', 'app_version_on_install = ''1.9.0''', 'platform = iOS and platform = Android',
    'platform != iOS', 'platform is not set', 'platform is not set or country = ''DE''', 'language = ''en''', 'language is not set', 'language != ''en''', 'device = ''Pixel 8'' and os = ''Android 14''',
    'installed_at within last 1 hours', 'installed_at is not set', 'platform = web or platform = iOS', 'platform = iOS and (language = ''en'' or country = ''XX'')',
    -- of one attribution; none is "unknown"
    'attribution_channel = ''Ads''', 'attribution_channel = ''Ads'' and attribution_status = organic', 'attribution_channel = ''Web'' and attribution_status = organic',
    'attribution_status = unknown', 'attribution_status != unknown', 'attribution_status is not set', 'attribution_source = ''adjust'' and attribution_campaign is not set', 'attribution_campaign is not set',
    'attribution_channel = ''Ads'' or platform = web', '(attribution_channel = ''Ads'' or platform = web) and language is not set',
    '(attribution_status = unknown or platform = iOS) and attribution_channel is not set', 'not (attribution_status = unknown and platform is set) and app_version is not set',
    -- access, by the clock
    'access(''premium'')', 'not access(''premium'')', 'access()', 'access(''sports'', ''premium'')', 'access(''sports'')',
    'subscription_expires_at is set', 'subscription_expires_at is not set', 'subscription_product = ''x''', 'not (subscription_expires_at after now)']) WITH ORDINALITY AS x (f, n) ORDER BY n;

-- ends of subscriptions: the latest counts; products: those of active subscriptions
SELECT count(adapty.set_transaction('seg-' || u, jsonb_build_object('purchase_type', 'subscription', 'store', 'app_store', 'store_product_id', p,
    'store_transaction_id', t, 'store_original_transaction_id', t, 'price', '{"country": "US", "currency": "USD", "value": 1}'::jsonb, 'renew_status', true,
    'purchased_at', now() - interval '60 days', 'originally_purchased_at', now() - interval '60 days', 'expires_at', e)))
    FROM (VALUES ('us', 'old', 'seg-t1', now() - interval '10 days'), ('us', 'new', 'seg-t2', now() + interval '3 days'), ('de', 'old', 'seg-t3', now() - interval '40 days')) v (u, p, t, e);
SELECT f AS filter, pg_temp.members(f) AS members FROM unnest(ARRAY[
    'subscription_expires_at before now', 'subscription_expires_at after now', 'subscription_expires_at within next 3 days', 'subscription_expires_at within next 4 days', 'subscription_expires_at <= 30 days ago',
    'subscription_expires_at >= 3 days from now', 'subscription_expires_at != now', 'subscription_expires_at not between 50 days ago and now', 'subscription_expires_at is set', 'not (subscription_expires_at before now)',
    'subscription_product = ''new''', 'subscription_product = ''old''', 'subscription_product != ''old''', 'subscription_product is set', 'not (subscription_product is set)', 'subscription_product in (''new'', ''x'')']) WITH ORDINALITY AS x (f, n) ORDER BY n;

-- the session's clock moves times; a profile's own clock moves its access
SET adapty.test_clock_offset = '2d';
SELECT pg_temp.members('last_seen before 30 days ago') AS moved, pg_temp.members('access(''premium'')') AS moved_access;
RESET adapty.test_clock_offset;
SELECT adapty.set_test_clock('seg-us', '10 days');
SELECT pg_temp.members('access(''premium'')') AS own_clock;
SELECT adapty.set_test_clock('seg-us', NULL);

-- the planner sees through: indexes serve, and what hangs on a profile is joined
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT adapty.create_segment('plan 1', 'created_at within last 7 days') IS NOT NULL AS made, adapty.create_segment('plan 2', 'platform = iOS and not access(''premium'')') IS NOT NULL AS made;
SELECT name, string_agg(m[1], ', ' ORDER BY m[1]) AS by
    FROM unnest(ARRAY['Subscription cancelled', 'plan 1', 'plan 2']) AS n (name), unnest(string_to_array(pg_temp.plan(format('SELECT count(*) FROM adapty_segments.%I', name)), chr(10))) AS l (line),
        regexp_matches(line, '(Anti Join|profiles_(?:created_at|subscription_state)_idx|SubPlan)') AS m GROUP BY name ORDER BY name;
SELECT adapty.drop_segment('plan 1'), adapty.drop_segment('plan 2');
RESET enable_seqscan;
RESET enable_bitmapscan;

-- on one platform: only its devices count
SELECT adapty.create_segment('on platform', 'app_version >= ''1.10.0''') IS NOT NULL AS made;
SELECT pl AS platform, adapty.in_segment('seg-us', 'on platform', pl) AS us, adapty.in_segment('seg-de', 'on platform', pl) AS de
    FROM unnest(ARRAY['iOS', 'Android', 'web', NULL]::adapty.platform[]) WITH ORDINALITY AS x (pl, n) ORDER BY n;
SELECT adapty.alter_segment('on platform', 'app_version >= ''2.0.0'' or platform is not set');
SELECT pl AS platform, adapty.in_segment('seg-us', 'on platform', pl) AS us, adapty.in_segment('seg-de', 'on platform', pl) AS de
    FROM unnest(ARRAY['iOS', 'Android', 'web', NULL]::adapty.platform[]) WITH ORDINALITY AS x (pl, n) ORDER BY n;
SELECT adapty.in_segment('seg-us', 'no such', 'iOS');
SELECT adapty.in_segment('seg-us', 'on platform', 'Windows');
SELECT adapty.drop_segment('on platform');

-- making, changing, asking
SELECT adapty.create_segment('Learners "1"', 'attr.words >= 100', 'They learn.') IS NOT NULL AS made;
SELECT name, filter, description, is_predefined FROM adapty.segments ORDER BY is_predefined DESC, segment_id;
SELECT count(*) FROM adapty_segments."Learners ""1""" JOIN adapty.identities USING (profile_id) WHERE customer_user_id LIKE 'seg-%';
SELECT adapty.in_segment('seg-us', 'Learners "1"') AS us, adapty.in_segment('seg-de', 'Learners "1"') AS de, adapty.in_segment('nobody', 'Learners "1"') AS nobody;
SELECT adapty.in_segment(profile_id, 'Learners "1"') FROM adapty.identities WHERE customer_user_id = 'seg-us';
SELECT adapty.segment_count('Learners "1"') = (SELECT count(*) FROM adapty_segments."Learners ""1""") AS counted;
SELECT count(*), count(DISTINCT s), bool_and(adapty.in_segment(s, 'Learners "1"')) FROM adapty.segment_sample('Learners "1"', 1) s;
-- a change is seen by the next statement
SELECT adapty.set_attribute('seg-us', 'words', 99);
SELECT adapty.in_segment('seg-us', 'Learners "1"') AS left;
SELECT adapty.set_attribute('seg-us', 'words', 100);
SELECT adapty.in_segment('seg-us', 'Learners "1"') AS back;
CREATE VIEW pg_temp.on_top AS SELECT profile_id FROM adapty_segments."Learners ""1""";
SELECT adapty.alter_segment('Learners "1"', filter => 'country = ''DE''');
SELECT adapty.in_segment('seg-us', 'Learners "1"') AS us, adapty.in_segment('seg-de', 'Learners "1"') AS de, (SELECT count(*) FROM pg_temp.on_top JOIN adapty.identities USING (profile_id) WHERE customer_user_id LIKE 'seg-%') AS on_top;
SELECT filter, description, pg_catalog.obj_description('adapty_segments."Learners ""1"""'::regclass) FROM adapty.segments WHERE name = 'Learners "1"';
SELECT adapty.alter_segment('Learners "1"', description => 'They learn German.');
SELECT adapty.duplicate_segment('Learners "1"'), adapty.duplicate_segment('Learners "1"'), adapty.duplicate_segment('Never subscribed', 'never');
SELECT adapty.rename_segment('Learners "1"', 'learners');
SELECT adapty.rename_segment('learners', 'learners');
SELECT name, filter, description, has_table_privilege('adapty_analyst', 'adapty_segments.' || quote_ident(name), 'SELECT') AS readable FROM adapty.segments WHERE NOT is_predefined ORDER BY name;
SELECT adapty.in_segment('seg-de', 'Learners "1"');
SELECT adapty.in_segment('seg-de', 'learners') AS de;
-- a name is free again
SELECT adapty.drop_segment('Learners "1" (copy)'), adapty.drop_segment('Learners "1" (copy 2)');
SELECT adapty.create_segment('Learners "1" (copy)', 'everyone') IS NOT NULL AS made;
SELECT adapty.in_segment('seg-bare', 'Learners "1" (copy)') AS in;
SELECT adapty.drop_segment('Learners "1" (copy)');

-- refusals
SELECT adapty.create_segment('learners', 'everyone');
SELECT adapty.create_segment('', 'everyone');
SELECT adapty.create_segment(NULL, 'everyone');
SELECT adapty.create_segment('nothing', NULL);
SELECT adapty.create_segment(repeat('x', 64), 'everyone');
SELECT adapty.create_segment(E'a\nb', 'everyone');
SELECT adapty.alter_segment('nothing', 'everyone');
SELECT adapty.rename_segment('learners', 'never');
SELECT adapty.rename_segment('nothing', 'never');
SELECT adapty.drop_segment('nothing');
SELECT adapty.duplicate_segment('nothing');
SELECT adapty.segment_count('nothing');
SELECT adapty.segment_sample('nothing');
SELECT adapty.segment_sample('learners', 0);
SELECT adapty.in_segment('seg-us', NULL);
SELECT adapty.drop_segment('Never subscribed');
SELECT adapty.alter_segment('Never subscribed', 'everyone');
SELECT adapty.rename_segment('Trial cancelled', 'x');
DELETE FROM adapty.segments WHERE name = 'Trial cancelled';
UPDATE adapty.segments SET filter = 'everyone' WHERE name = 'Trial cancelled';
INSERT INTO adapty.segments (name, filter, is_predefined) VALUES ('x', 'everyone', true);
TRUNCATE adapty.segments CASCADE;
DROP EXTENSION adapty;
-- a segment in use
CREATE TABLE seg_user (id integer PRIMARY KEY, title text, segment_id uuid REFERENCES adapty.segments);
CREATE TABLE seg_user2 (place text, number integer, segment_name text REFERENCES adapty.segments (name) ON UPDATE CASCADE, PRIMARY KEY (place, number));
INSERT INTO seg_user SELECT n, 'Campaign ' || n, segment_id FROM adapty.segments, generate_series(1, 7) n WHERE name = 'learners';
INSERT INTO seg_user2 VALUES ('onboarding', 2, 'learners');
\set VERBOSITY default
SELECT adapty.drop_segment('learners');
\set VERBOSITY terse
SELECT adapty.rename_segment('learners', 'students');
SELECT segment_name FROM seg_user2;
DROP TABLE seg_user, seg_user2;
-- plain SQL keeps row and view in step as well
UPDATE adapty.segments SET name = 'pupils', filter = 'gender = m' WHERE name = 'students';
SELECT adapty.in_segment('seg-us', 'pupils') AS us, adapty.in_segment('seg-de', 'pupils') AS de;
DROP VIEW pg_temp.on_top;
DELETE FROM adapty.segments WHERE name = 'pupils';
SELECT count(*) FROM pg_catalog.pg_class WHERE relnamespace = 'adapty_segments'::regnamespace AND relname IN ('pupils', 'students', 'learners');

-- who may
SELECT adapty.create_segment('all kinds', 'attr.level = ''gold'' and attr.words > 1 and last_seen before 3 days ago and age > 20 and app_version > ''1.0.0'' and language = ''en'' and access() and created_at before now') IS NOT NULL AS made;
SET ROLE adapty_analyst;
SELECT count(*) AS "all kinds" FROM adapty_segments."all kinds" WHERE ip_country = 'US' AND total_revenue_usd = 12.5;
SELECT adapty.create_segment('mine', 'everyone');
SELECT adapty.drop_segment('never');
SELECT count(*) > 0 AS read FROM adapty_segments.never;
SELECT count(*) > 0 AS read FROM adapty_segments."Never subscribed";
SELECT adapty.segment_count('never') > 0 AS counted;
SELECT adapty.in_segment('seg-us', 'never');
SELECT adapty.in_segment(profile_id, 'never') FROM adapty_segments.never LIMIT 1;
SELECT email FROM adapty_segments.never;
CREATE VIEW adapty_segments.mine AS SELECT 1;
RESET ROLE;
SET ROLE adapty_sdk;
SELECT count(*) FROM adapty_segments.never;
SELECT adapty.in_segment('seg-us', 'never');
RESET ROLE;
SET ROLE adapty_server;
SELECT adapty.create_segment('by server', 'access()') IS NOT NULL AS made;
SELECT adapty.in_segment('seg-us', 'by server') AS us;
RESET ROLE;
SELECT pg_catalog.pg_get_userbyid(relowner) = pg_catalog.pg_get_userbyid((SELECT relowner FROM pg_catalog.pg_class WHERE oid = 'adapty.profiles'::regclass)) AS owners
    FROM pg_catalog.pg_class WHERE oid = 'adapty_segments."by server"'::regclass;
SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_catalog.pg_attribute WHERE attrelid = 'adapty_segments.never'::regclass AND attnum > 0;
BEGIN READ ONLY;
SELECT adapty.create_segment('x', 'everyone');
ROLLBACK;
SET default_transaction_read_only = on;
SELECT adapty.in_segment('seg-us', 'by server') AS us;
RESET default_transaction_read_only;
SELECT adapty.drop_segment('by server'), adapty.drop_segment('never'), adapty.drop_segment('all kinds');
SELECT count(adapty.delete_profile('seg-' || u)) FROM unnest(ARRAY['us', 'de', 'bare']) u;
