-- :lapses active users whose access ends in a year.
SET client_min_messages = warning;
SET session_replication_role = replica;
TRUNCATE adapty.profiles, adapty.identities, adapty.access_grants, adapty.events CASCADE;
INSERT INTO adapty.profiles (profile_id) SELECT gen_random_uuid() FROM generate_series(1, :lapses);
INSERT INTO adapty.access_grants (profile_id, access_level_id, expires_at, state)
    SELECT profile_id, 'premium', now() + interval '1 year', 'active' FROM adapty.profiles;
VACUUM (FREEZE, ANALYZE) adapty.profiles;
VACUUM (FREEZE, ANALYZE) adapty.access_grants;
CHECKPOINT;
