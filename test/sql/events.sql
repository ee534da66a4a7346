-- Events: append-only, complete, in partitions that are made ahead and dropped behind.
SELECT adapty.create_profile('events-1') IS NOT NULL AS created;
SELECT is_active FROM adapty.grant_access_level('events-1', 'premium', starts_at => '2020-01-01 00:00+00', expires_at => '2100-01-01 00:00+00', reason => 'gift');
CREATE VIEW pg_temp.mine AS SELECT * FROM adapty.events WHERE profile_id = (SELECT profile_id FROM adapty.identities WHERE customer_user_id = 'events-1');
SELECT p - 'profile_id' - 'event_datetime' - 'event_properties' - 'profile_install_datetime' AS envelope,
       (p -> 'event_properties') - 'actor' - 'profile_id' - 'profile_event_id' - 'event_datetime' AS properties,
       (p -> 'event_properties' ->> 'profile_event_id')::uuid = event_id AS id, (p ->> 'event_datetime')::timestamptz = event_datetime AS at
FROM pg_temp.mine e, adapty.event_payload((SELECT x FROM adapty.events x WHERE x.event_id = e.event_id)) p;
-- ids are ordered by time and say their version
SELECT bool_and(substr(event_id::text, 15, 1) = '7') AS version_7 FROM adapty.events;

-- nothing changes what happened
UPDATE adapty.events SET reason = NULL;
DELETE FROM adapty.events;
TRUNCATE adapty.events;
DELETE FROM adapty.events_default;

-- no change, no event; an aborted change, no event
BEGIN;
SELECT is_active FROM adapty.grant_access_level('events-1', 'premium', duration => '1 day');
ROLLBACK;
SELECT is_active FROM adapty.grant_access_level('events-1', 'premium', duration => '1 day', mode => 'keep');
SELECT count(*) FROM pg_temp.mine;

-- due transitions, each at its own time, in order, although announced late
BEGIN;
SELECT adapty.create_profile('events-2') IS NOT NULL AS created;
SELECT is_active FROM adapty.grant_access_level('events-2', 'premium', duration => '1 hour');
SELECT is_active FROM adapty.grant_access_level('events-2', 'premium', starts_at => now() + interval '2 hours', duration => '1 hour', mode => 'replace');
SELECT adapty.set_test_clock('events-2', '4 hours');
SELECT was_active, is_active, round(extract(epoch FROM event_datetime - now()) / 3600) AS hours FROM adapty.events
JOIN adapty.identities USING (profile_id) WHERE customer_user_id = 'events-2' ORDER BY recorded_at;
ROLLBACK;

-- partitions: the months ahead, one step a call; retention drops the old ones
SELECT count(*) AS events FROM adapty.events \gset before_
SELECT count(adapty.maintain()) FROM generate_series(1, 6);
SELECT adapty.maintain() AS more;
-- this month's rows have gone to the month's own partition, and none is lost
SELECT count(*) AS in_default FROM ONLY adapty.events_default;
SELECT count(*) = :before_events AS all_there FROM adapty.events;
SELECT is_active FROM adapty.grant_access_level('events-1', 'premium', is_lifetime => true);
SELECT count(*) = :before_events + 1 AS one_more FROM adapty.events;
SELECT count(*) AS in_default FROM ONLY adapty.events_default;
SELECT count(*) >= 2 AS made_ahead, bool_and(c.relname ~ '^events_[0-9]{4}_[0-9]{2}$') AS names
FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 'adapty.events'::regclass AND c.relname <> 'events_default';
BEGIN;
CREATE TABLE adapty.events_2019_01 (LIKE adapty.events INCLUDING DEFAULTS);
ALTER TABLE adapty.events ATTACH PARTITION adapty.events_2019_01 FOR VALUES FROM ('2019-01-01 00:00+00') TO ('2019-02-01 00:00+00');
COMMIT;
SELECT adapty.maintain() AS more;
SELECT to_regclass('adapty.events_2019_01') IS NOT NULL AS still_there;
