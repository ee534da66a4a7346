-- All users enter a new test, as a set.
SELECT 'Set ' || clock_timestamp() AS name \gset
SELECT adapty.define_ab_test(:'name', '{bench2}', '[{"paywall": "Bench a"}, {"paywall": "Bench b"}]') \g /dev/null
SELECT adapty.start_ab_test(:'name') \g /dev/null
\timing on
SELECT adapty.assign_variations(:'name', array_agg(profile_id)) FROM adapty.profiles \g /dev/null
\timing off
SELECT adapty.stop_ab_test(:'name', winner => 'Variant A') \g /dev/null
