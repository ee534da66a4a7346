-- :lapses users whose access has ended without anybody having announced it, as after a long time
-- without a scheduler; the same rows in copies of the tables, with all their indexes and constraints.
SET client_min_messages = warning;
SET session_replication_role = replica;     -- no event for what is made up here
TRUNCATE adapty.profiles, adapty.identities, adapty.access_grants, adapty.events CASCADE;
INSERT INTO adapty.profiles (profile_id) SELECT gen_random_uuid() FROM generate_series(1, :lapses);
INSERT INTO adapty.access_grants (profile_id, access_level_id, starts_at, expires_at, granted_at, updated_at, state)
    SELECT profile_id, 'premium', now() - interval '30 days', now() - random() * interval '1 day',
           now() - interval '30 days', now() - interval '30 days', 'active'
        FROM adapty.profiles;
DROP TABLE IF EXISTS hand.lapsing, hand.lapse_events;
CREATE TABLE hand.lapsing (LIKE adapty.access_grants INCLUDING ALL);
CREATE TABLE hand.lapse_events (LIKE adapty.events INCLUDING DEFAULTS, PRIMARY KEY (profile_id, recorded_at, event_id));
INSERT INTO hand.lapsing (profile_id, access_level_id, starts_at, expires_at, granted_at, updated_at, state)
    SELECT profile_id, access_level_id, starts_at, expires_at, granted_at, updated_at, state FROM adapty.access_grants;
VACUUM (FREEZE, ANALYZE) adapty.profiles;
VACUUM (FREEZE, ANALYZE) adapty.access_grants;
VACUUM (FREEZE, ANALYZE) hand.lapsing;
CHECKPOINT;
