-- 30,000 users whose access ends at 1,000 a second, the first in 20 seconds.
SET client_min_messages = warning;
SET session_replication_role = replica;
TRUNCATE adapty.profiles, adapty.identities, adapty.access_grants, adapty.events CASCADE;
SET session_replication_role = origin;
BEGIN;
SELECT count(adapty.grant_access_level('late-' || n, 'premium', create_missing => true, reason => 'lateness',
        expires_at => now() + interval '20 seconds' + n * interval '1 millisecond'))
    FROM generate_series(1, 30000) n;
COMMIT;
VACUUM ANALYZE adapty.access_grants;
CHECKPOINT;
