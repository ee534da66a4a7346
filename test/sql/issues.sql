-- What went wrong once.
\set VERBOSITY terse
SELECT adapty.create_profile('issues-1') AS profile_id \gset

-- A duration on top of the grant's own lifetime was refused as not positive.
SELECT is_lifetime FROM adapty.grant_access_level('issues-1', 'premium', is_lifetime => true);
SELECT is_lifetime FROM adapty.grant_access_level('issues-1', 'premium', duration => '7 days');
SELECT count(*) AS events FROM adapty.events WHERE profile_id = :'profile_id';

-- Mode keep overwrote what was still to begin.
SELECT adapty.create_profile('issues-2') IS NULL AS missing;
SELECT is_active FROM adapty.grant_access_level('issues-2', 'premium', duration => '7 days', starts_at => now() + interval '10 days');
SELECT is_active FROM adapty.grant_access_level('issues-2', 'premium', duration => '1 day', mode => 'keep');
SELECT is_active, expires_at - starts_at = interval '7 days' AS is_the_first FROM adapty.explain_access('issues-2', 'premium') ORDER BY starts_at;

-- adapty_server could give access but not change what it gave: the generated column's function was
-- looked for with the caller's rights.  Nor could it render an event.
SELECT adapty.create_profile('issues-3') AS profile_id \gset
SET ROLE adapty_server;
SELECT is_active FROM adapty.grant_access_level('issues-3', 'premium', duration => '7 days');
SELECT is_active FROM adapty.grant_access_level('issues-3', 'premium', duration => '7 days');
SELECT is_active FROM adapty.revoke_access_level('issues-3', 'premium');
SELECT is_active FROM adapty.grant_access_level('issues-3', 'premium', duration => '7 days');
SELECT adapty.event_payload(e) ->> 'event_type' AS event_type FROM adapty.events e WHERE profile_id = :'profile_id';
RESET ROLE;

-- A constraint that somebody added to a table was not obeyed.
BEGIN;
ALTER TABLE adapty.access_grants ADD CONSTRAINT mine CHECK (reason <> 'refused');
SAVEPOINT s;
SELECT is_active FROM adapty.grant_access_level('issues-3', 'premium', duration => '7 days', reason => 'refused');
ROLLBACK TO s;
SELECT is_active FROM adapty.grant_access_level('issues-3', 'premium', duration => '7 days', reason => 'taken');
ROLLBACK;

-- The past of access whose beginning retention has removed read as no access.
SELECT adapty.create_profile('issues-4') AS profile_id \gset
BEGIN;
SELECT is_lifetime FROM adapty.grant_access_level('issues-4', 'premium', is_lifetime => true, starts_at => now() - interval '30 days');
ALTER TABLE adapty.events DISABLE TRIGGER adapty_append_only;
DELETE FROM adapty.events WHERE profile_id = :'profile_id';
ALTER TABLE adapty.events ENABLE TRIGGER adapty_append_only;
SELECT is_active FROM adapty.revoke_access_level('issues-4', 'premium');
SELECT has_access, active_access_levels, expires_at FROM adapty.profile_status('issues-4', as_of => now() - interval '10 days');
SELECT has_access, active_access_levels, expires_at FROM adapty.profile_status('issues-4');
ROLLBACK;

-- Analysts could read device identifiers.
SET ROLE adapty_analyst;
SELECT count(platform) >= 0 AS may_count FROM adapty.installations;
SELECT device_id FROM adapty.installations;
RESET ROLE;
