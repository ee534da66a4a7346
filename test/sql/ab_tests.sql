-- A/B tests: drafts, life cycle, assignment.
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT count(adapty.define_paywall('AB ' || p)) FROM unnest(ARRAY['one', 'two', 'three', 'rest']) p;
SELECT adapty.define_placement('ab.' || p, paywall => 'AB rest') FROM unnest(ARRAY['home', 'menu']) p;
SELECT adapty.define_placement('ab.welcome', paywall => 'AB rest', placement_type => 'onboarding'),
       adapty.define_placement('ab.flow', paywall => 'AB rest', placement_type => 'flow');
-- 400 users with ids of their own
INSERT INTO adapty.profiles (profile_id) SELECT ('ab000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid FROM generate_series(1, 400) i;
CREATE TEMP VIEW ab_users AS SELECT profile_id FROM adapty.profiles WHERE profile_id::text LIKE 'ab000000-%';
GRANT SELECT ON ab_users TO adapty_server, adapty_analyst;

-- ---- the hash is what the documentation says: anybody can compute it ----
SELECT adapty.ab_test_bucket('00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000') AS zeroes,
       adapty.ab_test_bucket('11111111-2222-3333-4444-555555555555', '66666666-7777-8888-9999-aaaaaaaaaaaa') AS some,
       adapty.ab_test_bucket('66666666-7777-8888-9999-aaaaaaaaaaaa', '11111111-2222-3333-4444-555555555555') AS swapped,
       adapty.ab_test_bucket('ffffffff-ffff-ffff-ffff-ffffffffffff', 'ffffffff-ffff-ffff-ffff-ffffffffffff') AS ones;
SELECT adapty.ab_test_bucket(NULL, '00000000-0000-0000-0000-000000000000') IS NULL AS strict;

-- ---- drafts ----
SELECT adapty.define_ab_test('AB first', '{ab.home}', '[{"paywall": "AB one"}, {"paywall": "AB two"}, {"paywall": "AB three"}]') AS first \gset
SELECT name, weight FROM adapty.ab_test_variations WHERE ab_test_id = :'first' ORDER BY position;
-- rewritten
SELECT adapty.define_ab_test('AB first', '{ab.home}', '[{"name": "", "weight": 70, "paywall": "AB one"}, {"name": "Cheap", "weight": 30, "paywall": "AB two"}]',
    goal => 'more of them') = :'first' AS same;
SELECT adapty.show_ab_test('AB first') - 'ab_test_id' - 'created_at' - 'variations' AS test;
SELECT v -> 'name' AS name, v -> 'weight' AS weight, v #> '{paywalls,0,paywall}' AS paywall FROM jsonb_array_elements(adapty.show_ab_test('AB first') -> 'variations') v;
-- refusals
\set two '[{"paywall": "AB one"}, {"paywall": "AB two"}]'
SELECT adapty.define_ab_test('AB bad', '{ab.home}', '[{"paywall": "AB one"}]');
SELECT adapty.define_ab_test('AB bad', '{ab.home}', (SELECT jsonb_agg('{"paywall": "AB one"}'::jsonb) FROM generate_series(1, 21)));
SELECT adapty.define_ab_test('AB bad', '{ab.home}', '[{"paywall": "AB one", "weight": 50}, {"paywall": "AB two", "weight": 49.99}]');
SELECT adapty.define_ab_test('AB bad', '{ab.home}', '[{"paywall": "AB one", "weight": 50}, {"paywall": "AB two"}]');
SELECT adapty.define_ab_test('AB bad', '{ab.home}', '[{"paywall": "AB one", "weight": 33.333}, {"paywall": "AB two", "weight": 66.667}]');
SELECT adapty.define_ab_test('AB bad', '{ab.home}', '[{"paywall": "AB one", "weight": 0}, {"paywall": "AB two", "weight": 100}]');
SELECT adapty.define_ab_test('AB bad', '{ab.home}', '[{"paywall": "AB one", "name": "x"}, {"paywall": "AB two", "name": "x"}]');
SELECT adapty.define_ab_test('AB bad', '{ab.home}', '[{"paywall": "AB one"}, {"paywall": "AB none"}]');
SELECT adapty.define_ab_test('AB bad', '{ab.home}', '[{"name": "a"}, {"paywall": "AB two"}]');
SELECT adapty.define_ab_test('AB bad', '{ab.home}', '[{"paywalls": {"ab.home": "AB one", "ab.menu": "AB two"}}, {"paywall": "AB two"}]');
SELECT adapty.define_ab_test('AB bad', '{ab.home,ab.menu}', '[{"paywalls": {"ab.home": "AB one"}}, {"paywall": "AB two"}]');
SELECT adapty.define_ab_test('AB bad', '{ab.home}', '{}');
SELECT adapty.define_ab_test('AB bad', '{ab.none}', :'two');
SELECT adapty.define_ab_test('AB bad', '{}', :'two');
SELECT adapty.define_ab_test('AB bad', '{ab.home,ab.home}', :'two');
SELECT adapty.define_ab_test('AB bad', '{ab.home,ab.flow}', :'two');
SELECT adapty.define_ab_test('AB bad', '{ab.home,NULL}', :'two');
SELECT adapty.define_ab_test('AB bad', '{ab.home}', :'two', segment => 'ab no segment');
SELECT adapty.define_ab_test('01234567-89ab-cdef-0123-456789abcdef', '{ab.home}', :'two');
SELECT adapty.define_ab_test(repeat('x', 256), '{ab.home}', :'two');
SELECT count(*) FROM adapty.ab_tests WHERE name = 'AB bad';

-- ---- a regular test ----
SELECT adapty.assign_variation(profile_id, 'AB first') FROM ab_users LIMIT 1;
SELECT adapty.start_ab_test('AB first');
SELECT adapty.start_ab_test('AB first');
SELECT adapty.define_ab_test('AB first', '{ab.home}', :'two');
SELECT adapty.delete_ab_test('AB first');
SELECT adapty.archive_ab_test('AB first');
SELECT adapty.define_paywall('AB one', '[]', '[{"locale": "en", "data": "{}"}]') IS NOT NULL AS config_may_change;
SELECT adapty.define_product('AB product') IS NOT NULL AS made;
SELECT adapty.define_paywall('AB one', '["AB product"]');
SELECT adapty.delete_paywall('AB one');
SELECT adapty.delete_placement('ab.home');
SELECT adapty.define_placement('ab.home', paywall => 'AB rest');
SELECT adapty.define_placement('ab.home', '[{"ab_test": "AB first"}]');
SELECT adapty.define_placement('ab.menu', '[{"ab_test": "AB first"}]');
-- what users see is what the hash says, recorded once
SELECT count(*), count(*) FILTER (WHERE p ->> 'paywall_name' = CASE WHEN adapty.ab_test_bucket(:'first', profile_id) < 7000 THEN 'AB one' ELSE 'AB two' END) AS by_hash,
       count(*) FILTER (WHERE p ->> 'ab_test_name' = 'AB first') AS named
    FROM (SELECT profile_id, adapty.resolve_paywall(profile_id, 'ab.home') AS p FROM ab_users OFFSET 0) u;
SELECT count(*) FROM adapty.ab_test_assignments WHERE ab_test_id = :'first';
SELECT count(adapty.get_paywall(profile_id, 'ab.home')) FROM ab_users WHERE profile_id < 'ab000000-0000-7000-8000-000000000065';
SELECT count(*), bool_and((position = 1) = (adapty.ab_test_bucket(ab_test_id, profile_id) < 7000)) AS by_hash, bool_or(is_inherited) AS inherited
    FROM adapty.ab_test_assignments WHERE ab_test_id = :'first';
-- twice in one statement
SELECT adapty.get_paywall('ab000000-0000-7000-8000-000000000070'::uuid, 'ab.home') = adapty.get_paywall('ab000000-0000-7000-8000-000000000070'::uuid, 'ab.home') AS same;
-- by set and one by one: the same
SELECT adapty.assign_variations('AB first', array_agg(profile_id) || NULL || '00000000-0000-0000-0000-0000000000ab'::uuid) AS new FROM ab_users WHERE profile_id < 'ab000000-0000-7000-8000-0000000000c9';
SELECT count(*) FILTER (WHERE adapty.assign_variation(profile_id, :'first') = CASE WHEN adapty.ab_test_bucket(:'first', profile_id) < 7000 THEN 'Variant A' ELSE 'Cheap' END) FROM ab_users;
SELECT count(*), count(*) FILTER (WHERE position = 1) BETWEEN 240 AND 320 AS about_70_percent FROM adapty.ab_test_assignments WHERE ab_test_id = :'first';
-- who has a variation keeps it whatever becomes of the weights; others go by the new ones
BEGIN;
DELETE FROM adapty.ab_test_assignments WHERE ab_test_id = :'first' AND profile_id > 'ab000000-0000-7000-8000-0000000000c8';
CREATE TEMP TABLE before ON COMMIT DROP AS SELECT profile_id, position FROM adapty.ab_test_assignments WHERE ab_test_id = :'first';
UPDATE adapty.ab_test_variations SET weight = 100 - weight WHERE ab_test_id = :'first';
SELECT count(adapty.get_paywall(profile_id, 'ab.home')) FROM ab_users;
SELECT b.position IS NULL AS is_new, count(*), bool_and(a.position = COALESCE(b.position, CASE WHEN adapty.ab_test_bucket(:'first', profile_id) < 3000 THEN 1 ELSE 2 END)) AS right
    FROM adapty.ab_test_assignments a LEFT JOIN before b USING (profile_id) WHERE a.ab_test_id = :'first' GROUP BY 1 ORDER BY 1;
ROLLBACK;

-- ---- modified: the copy takes the place, users keep the variation of the same name ----
SELECT adapty.modify_ab_test('AB first', '[{"name": "Cheap", "weight": 50, "paywall": "AB three"}, {"name": "New", "weight": 50, "paywall": "AB one"}]') AS second \gset
SELECT revision, state, goal, previous_id = :'first' AS follows, winner FROM adapty.ab_tests WHERE name = 'AB first' ORDER BY revision;
SELECT count(DISTINCT adapty.get_paywall(profile_id, 'ab.home')) FROM ab_users;
SELECT o.name AS had, v.name AS has, a.is_inherited, bool_and(a.is_inherited OR (a.position = 1) = (adapty.ab_test_bucket(:'second', profile_id) < 5000)) AS by_hash
    FROM adapty.ab_test_assignments b JOIN adapty.ab_test_variations o USING (ab_test_id, position)
    JOIN adapty.ab_test_assignments a USING (profile_id) JOIN adapty.ab_test_variations v ON (v.ab_test_id, v.position) = (a.ab_test_id, a.position)
    WHERE b.ab_test_id = :'first' AND a.ab_test_id = :'second' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
-- by set as well
BEGIN;
CREATE TEMP TABLE one_by_one ON COMMIT DROP AS SELECT * FROM adapty.ab_test_assignments WHERE ab_test_id = :'second';
DELETE FROM adapty.ab_test_assignments WHERE ab_test_id = :'second';
SELECT adapty.assign_variations('AB first', array_agg(profile_id)) FROM ab_users;
SELECT count(*) FROM adapty.ab_test_assignments a JOIN one_by_one o USING (profile_id, ab_test_id, position, is_inherited);
ROLLBACK;
SELECT adapty.modify_ab_test(:'first');
SELECT paywall_name, ab_test_name, ab_test_revision, ab_test_variation FROM adapty.variations x, adapty.variation_info(x.variation_id) i WHERE x.ab_test_id = :'second' ORDER BY 4;

-- ---- stopped ----
SELECT adapty.stop_ab_test('AB first');
SELECT adapty.stop_ab_test('AB first', winner => 'Dear');
SELECT adapty.stop_ab_test('AB first', winner => 'Cheap', paywall => 'AB one');
SELECT adapty.stop_ab_test('AB first', winner => 'Cheap');
SELECT adapty.stop_ab_test('AB first', winner => 'Cheap');
SELECT DISTINCT adapty.get_paywall(profile_id, 'ab.home') ->> 'paywall_name' AS shown FROM ab_users;
SELECT adapty.show_ab_test('AB first') -> 'winner' AS winner;
SELECT adapty.modify_ab_test('AB first');
SELECT adapty.assign_variations('AB first', '{}');
SELECT adapty.archive_ab_test('AB first');
SELECT state, archived_at IS NOT NULL AS archived FROM adapty.ab_tests WHERE ab_test_id = :'second';
SELECT adapty.define_ab_test('AB first', '{ab.home}', :'two');
SELECT adapty.assign_variation('ab000000-0000-7000-8000-000000000001'::uuid, 'AB first') IS NOT NULL AS still_known;
SELECT adapty.show_ab_test('AB none');
SELECT adapty.start_ab_test(NULL);

-- ---- a draft goes, and a paywall with it ----
SELECT adapty.define_ab_test('AB draft', '{ab.home}', :'two') IS NOT NULL AS made;
SELECT adapty.delete_paywall('AB two');
SELECT adapty.delete_placement('ab.home');
SELECT adapty.delete_ab_test('AB draft');
SELECT adapty.delete_paywall('AB two');
SELECT count(*) FROM adapty.ab_tests WHERE name = 'AB draft';

-- ---- cross-placement: new users only, the same variation everywhere, 90 days ----
SELECT adapty.define_ab_test('AB cross', '{ab.menu,ab.welcome}', '[{"paywall": "AB one"}, {"paywall": "AB three"}]');
SELECT adapty.define_ab_test('AB cross', '{ab.home,ab.menu}', '[{"name": "A", "paywalls": {"ab.home": "AB one", "ab.menu": "AB three"}},
    {"name": "B", "paywalls": {"ab.home": "AB three", "ab.menu": "AB one"}}]') AS cross \gset
SELECT adapty.start_ab_test('AB cross');
-- all users have asked for a paywall before
SELECT DISTINCT adapty.get_paywall(profile_id, 'ab.menu') ->> 'paywall_name' AS shown FROM ab_users;
SELECT adapty.assign_variation('ab000000-0000-7000-8000-000000000001'::uuid, 'AB cross') IS NULL AS not_in_it;
SELECT adapty.assign_variations('AB cross', '{}');
-- new ones
INSERT INTO adapty.profiles (profile_id) SELECT ('ac000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid FROM generate_series(1, 100) i;
CREATE TEMP VIEW ac_users AS SELECT profile_id FROM adapty.profiles WHERE profile_id::text LIKE 'ac000000-%';
SELECT resolved = got AS same, count(*) FROM (SELECT adapty.resolve_paywall(profile_id, 'ab.menu') AS resolved, adapty.get_paywall(profile_id, 'ab.menu') AS got
    FROM ac_users WHERE profile_id < 'ac000000-0000-7000-8000-000000000033') u GROUP BY 1;
-- asked for another placement first: not new any more, but for who is in the test it is the same variation
SELECT count(adapty.get_paywall(profile_id, 'ab.flow')) FROM ac_users;
SELECT v.name, h ->> 'paywall_name' AS home, m ->> 'paywall_name' AS menu, h ->> 'ab_test_name' AS home_test, m ->> 'ab_test_name' AS menu_test, count(*) > 10 AS many
    FROM (SELECT profile_id, adapty.get_paywall(profile_id, 'ab.home') AS h, adapty.get_paywall(profile_id, 'ab.menu') AS m FROM ac_users) u
    LEFT JOIN adapty.ab_test_assignments a USING (profile_id) LEFT JOIN adapty.ab_test_variations v USING (ab_test_id, position)
    GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2;
SELECT count(*), bool_and((position = 1) = (adapty.ab_test_bucket(ab_test_id, profile_id) < 5000)) AS by_hash FROM adapty.ab_test_assignments WHERE ab_test_id = :'cross';
SELECT DISTINCT developer_id, ab_test_name, cross_placement_ab_test_name FROM adapty.variations x, adapty.variation_info(x.variation_id) i WHERE x.ab_test_id = :'cross' ORDER BY 1;
-- stopped without a winner: placements are as they were, but who is in it stays for 90 days
SELECT adapty.stop_ab_test('AB cross');
SELECT p ->> 'ab_test_name' AS test, count(*) FROM (SELECT adapty.get_paywall(profile_id, 'ab.home') AS p FROM ac_users) u GROUP BY 1 ORDER BY 1;
UPDATE adapty.ab_test_assignments SET assigned_at = assigned_at - interval '60 days' WHERE ab_test_id = :'cross';
SELECT count(*) FROM ac_users WHERE adapty.get_paywall(profile_id, 'ab.home') ->> 'ab_test_name' IS NOT NULL;
-- lowered: for all of them at once
SET adapty.cross_placement_stickiness = 50;
SELECT count(*) FROM ac_users WHERE adapty.get_paywall(profile_id, 'ab.home') ->> 'ab_test_name' IS NOT NULL;
RESET adapty.cross_placement_stickiness;
SET adapty.cross_placement_stickiness = 91;
SET adapty.test_clock_offset = '31 d';
SELECT count(*) FROM ac_users WHERE adapty.resolve_paywall(profile_id, 'ab.home') ->> 'ab_test_name' IS NOT NULL;
SELECT adapty.get_paywall('ac000000-0000-7000-8000-000000000001'::uuid, 'ab.home');
RESET adapty.test_clock_offset;
UPDATE adapty.ab_test_assignments SET assigned_at = assigned_at - interval '31 days' WHERE ab_test_id = :'cross';
SELECT count(*) FROM ac_users WHERE adapty.get_paywall(profile_id, 'ab.home') ->> 'ab_test_name' IS NOT NULL;
-- a winner becomes what all users see
SELECT adapty.define_ab_test('AB cross 2', '{ab.home,ab.menu}', '[{"name": "A", "paywalls": {"ab.home": "AB one", "ab.menu": "AB three"}}, {"name": "B", "paywall": "AB rest"}]') IS NOT NULL AS made;
SELECT adapty.start_ab_test('AB cross 2'), adapty.stop_ab_test('AB cross 2', winner => 'A');
SELECT DISTINCT adapty.get_paywall(profile_id, 'ab.home') ->> 'paywall_name' AS home, adapty.get_paywall(profile_id, 'ab.menu') ->> 'paywall_name' AS menu FROM ac_users;
-- the older test first
SELECT count(adapty.define_ab_test('AB cross ' || n, '{ab.home,ab.menu}', '[{"paywall": "AB one"}, {"paywall": "AB three"}]')) FROM generate_series(3, 4) n;
SELECT adapty.start_ab_test('AB cross 4');
SELECT adapty.start_ab_test('AB cross 3');
INSERT INTO adapty.profiles (profile_id) VALUES ('ad000000-0000-7000-8000-000000000001');
SELECT adapty.get_paywall('ad000000-0000-7000-8000-000000000001'::uuid, 'ab.home') ->> 'ab_test_name' AS test;
SELECT adapty.stop_ab_test('AB cross 3'), adapty.stop_ab_test('AB cross 4', paywall => 'AB rest');

-- ---- another test in the same audience ----
SELECT count(adapty.define_ab_test('AB slot ' || n, '{ab.home}', '[{"paywall": "AB one"}, {"paywall": "AB three"}]')) FROM generate_series(1, 2) n;
SELECT adapty.start_ab_test('AB slot 1');
SELECT adapty.start_ab_test('AB slot 2');
SELECT adapty.stop_ab_test('AB slot 1', paywall => 'AB rest');
SELECT adapty.start_ab_test('AB slot 2');
SELECT adapty.stop_ab_test('AB slot 2', winner => 'Variant B');

-- ---- tests for a segment ----
INSERT INTO adapty.profiles (profile_id, custom_attributes) SELECT ('ae000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid,
    CASE WHEN i % 2 = 0 THEN '{"kind": "ab"}'::jsonb ELSE '{}' END FROM generate_series(1, 100) i;
CREATE TEMP VIEW ae_users AS SELECT profile_id, custom_attributes <> '{}' AS is_in FROM adapty.profiles WHERE profile_id::text LIKE 'ae000000-%';
SELECT adapty.create_segment('AB kind', $$attr.kind = 'ab'$$) IS NOT NULL AS made;
SELECT adapty.define_placement('ab.home', '[{"segment": "Trial cancelled", "paywall": "AB rest"}, {"paywall": "AB rest"}]');
SELECT adapty.define_ab_test('AB segment', '{ab.home}', '[{"paywall": "AB one"}, {"paywall": "AB three"}]', segment => 'AB kind') AS segment \gset
SELECT adapty.drop_segment('AB kind');
SELECT adapty.start_ab_test('AB segment');
SELECT a ->> 'segment' AS segment, a ->> 'ab_test' AS ab_test FROM jsonb_array_elements(adapty.show_placement('ab.home') -> 'audiences') a;
SELECT is_in, count(p ->> 'ab_test_name') AS in_test FROM (SELECT is_in, adapty.get_paywall(profile_id, 'ab.home') AS p FROM ae_users WHERE profile_id < 'ae000000-0000-7000-8000-000000000033') u GROUP BY 1 ORDER BY 1;
SELECT is_in, count(adapty.assign_variation(profile_id, 'AB segment')) AS in_test FROM ae_users WHERE profile_id < 'ae000000-0000-7000-8000-000000000043' GROUP BY 1 ORDER BY 1;
SELECT adapty.assign_variations('AB segment', array_agg(profile_id)) AS new FROM ae_users;
SELECT adapty.assign_variations('AB segment', (SELECT array_agg(profile_id) FROM ae_users WHERE false)) AS nobody;
SELECT count(*), bool_and(is_in) AS all_in FROM adapty.ab_test_assignments JOIN ae_users USING (profile_id) WHERE ab_test_id = :'segment';
-- another for the same segment at the placement, and one for all users there
SELECT count(adapty.define_ab_test(name, '{ab.home}', '[{"paywall": "AB one"}, {"paywall": "AB three"}]', segment => segment)) FROM (VALUES ('AB segment 2', 'AB kind'), ('AB everybody', NULL)) t (name, segment);
SELECT adapty.start_ab_test('AB segment 2');
SELECT adapty.start_ab_test('AB everybody');
SELECT DISTINCT is_in, adapty.get_paywall(profile_id, 'ab.home') ->> 'ab_test_name' AS test FROM ae_users ORDER BY 1, 2;
-- stopped for nothing: the next audience
SELECT adapty.stop_ab_test('AB segment');
SELECT DISTINCT is_in, adapty.get_paywall(profile_id, 'ab.home') ->> 'ab_test_name' AS test FROM ae_users ORDER BY 1, 2;
SELECT adapty.stop_ab_test('AB everybody', paywall => 'AB rest'), adapty.delete_ab_test('AB segment 2');
-- a completed test keeps its segment, an archived one does not
SELECT adapty.drop_segment('AB kind');
SELECT adapty.archive_ab_test('AB segment');
SELECT adapty.show_ab_test('AB segment') -> 'segment' AS segment;
-- cross-placement: tests for a segment before those for all users
SELECT adapty.define_ab_test('AB cross all', '{ab.home,ab.menu}', '[{"paywall": "AB one"}, {"paywall": "AB three"}]') IS NOT NULL AS made,
       adapty.define_ab_test('AB cross kind', '{ab.home,ab.menu}', '[{"paywall": "AB one"}, {"paywall": "AB three"}]', segment => 'AB kind') IS NOT NULL AS made_too;
SELECT adapty.start_ab_test('AB cross all');
SELECT adapty.start_ab_test('AB cross kind');
INSERT INTO adapty.profiles (profile_id, custom_attributes) SELECT ('af000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid,
    CASE WHEN i % 2 = 0 THEN '{"kind": "ab"}'::jsonb ELSE '{}' END FROM generate_series(1, 10) i;
SELECT DISTINCT custom_attributes <> '{}' AS is_in, adapty.get_paywall(profile_id, 'ab.menu') ->> 'ab_test_name' AS test FROM adapty.profiles WHERE profile_id::text LIKE 'af000000-%' ORDER BY 1;
-- a winner for the segment becomes its audience
SELECT adapty.stop_ab_test('AB cross kind', winner => 'Variant A'), adapty.stop_ab_test('AB cross all');
SELECT a ->> 'segment' AS segment, a ->> 'paywall' AS paywall FROM jsonb_array_elements(adapty.show_placement('ab.menu') -> 'audiences') a;
SELECT adapty.archive_ab_test('AB cross kind'), adapty.define_placement('ab.menu', paywall => 'AB rest'), adapty.define_placement('ab.home', paywall => 'AB rest');
SELECT adapty.drop_segment('AB kind');
SELECT adapty.show_ab_test('AB segment') -> 'segment' AS gone;

-- ---- privileges ----
SET ROLE adapty_sdk;
SET request.jwt.claims = '{"profile_id": "ab000000-0000-7000-8000-000000000001"}';
SELECT adapty.get_paywall('ab000000-0000-7000-8000-000000000001'::uuid, 'ab.home') ->> 'paywall_name' AS own;
SELECT adapty.assign_variation('ab000000-0000-7000-8000-000000000001'::uuid, 'AB first');
SELECT adapty.stop_ab_test('AB first');
SELECT count(*) FROM adapty.ab_test_assignments;
RESET request.jwt.claims;
SET ROLE adapty_analyst;
SELECT count(*) > 0 AS reads FROM adapty.ab_test_assignments JOIN adapty.ab_tests USING (ab_test_id);
SELECT adapty.define_ab_test('AB analyst', '{ab.home}', :'two');
SET ROLE adapty_server;
SELECT adapty.define_ab_test('AB server', '{ab.home}', '[{"paywall": "AB one"}, {"paywall": "AB three"}]') IS NOT NULL AS made;
SELECT adapty.start_ab_test('AB server'), adapty.assign_variations('AB server', array_agg(profile_id)) FROM ab_users;
SELECT adapty.stop_ab_test('AB server', winner => 'Variant A');
RESET ROLE;
