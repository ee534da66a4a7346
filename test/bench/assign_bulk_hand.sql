SELECT gen_random_uuid() AS test \gset
\timing on
INSERT INTO hand.assignments (profile_id, ab_test_id, position) SELECT profile_id, :'test', 1 + abs(hashtext(profile_id::text || :'test')) % 2 FROM hand.profiles ON CONFLICT DO NOTHING;
