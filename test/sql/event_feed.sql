-- The feed of events: every event once, in pages of any size; consumers with a stored position.
\set SHOW_CONTEXT never
SELECT adapty.event_cursor() AS start \gset
SELECT count(adapty.create_profile('feed-' || n)) FROM generate_series(1, 5) n;
SELECT count(adapty.grant_access_level('feed-' || n, 'premium', duration => '1 day', reason => 'first')) FROM generate_series(1, 5) n;
BEGIN;
SELECT is_active FROM adapty.grant_access_level('feed-1', 'premium', duration => '1 day', reason => 'second');
SELECT is_active FROM adapty.grant_access_level('feed-2', 'premium', duration => '1 day', reason => 'second');
COMMIT;
-- rolled back: never in the feed
BEGIN;
SELECT is_active FROM adapty.grant_access_level('feed-3', 'premium', duration => '1 day', reason => 'rolled back');
ROLLBACK;
-- subtransactions count as their transaction
BEGIN;
SAVEPOINT a;
SELECT is_active FROM adapty.grant_access_level('feed-4', 'premium', duration => '1 day', reason => 'released');
RELEASE a;
SAVEPOINT b;
SELECT is_active FROM adapty.grant_access_level('feed-4', 'premium', duration => '1 day', reason => 'undone');
ROLLBACK TO b;
COMMIT;
SELECT event_type, payload #>> '{customer_user_id}' AS customer_user_id, payload #>> '{event_properties,reason}' AS reason
    FROM adapty.event_feed(:'start');
-- a page of two, then the rest; the same cursor gives the same events
SELECT cursor AS second FROM adapty.event_feed(:'start', 2) OFFSET 1 \gset
SELECT count(*), min(payload #>> '{event_properties,reason}') FROM adapty.event_feed(:'second');
SELECT count(*), min(payload #>> '{event_properties,reason}') FROM adapty.event_feed(:'second');
-- by pages of one, each event comes once
WITH RECURSIVE page AS (
    SELECT 1 AS n, f.* FROM adapty.event_feed(:'start', 1) f
    UNION ALL
    SELECT page.n + 1, f.* FROM page, adapty.event_feed(page.cursor, 1) f)
SELECT count(*), count(DISTINCT event_id), (SELECT array_agg(event_id) FROM adapty.event_feed(:'start')) = array_agg(event_id ORDER BY n) AS same_order FROM page;
-- after the last one there is nothing; its cursor is the present
SELECT cursor AS last FROM adapty.event_feed(:'start') OFFSET 7 \gset
SELECT count(*) FROM adapty.event_feed(:'last');
SELECT is_active FROM adapty.revoke_access_level('feed-5', 'premium');
SELECT payload #>> '{customer_user_id}' AS customer_user_id FROM adapty.event_feed(:'last');
-- types
SELECT count(*) FROM adapty.event_feed(:'start', types => '{access_level_updated}');
SELECT count(*) FROM adapty.event_feed(:'start', types => '{subscription_started}');
-- without a cursor from the first event on
SELECT count(*) = (SELECT count(*) FROM adapty.events) AS all_of_them FROM adapty.event_feed(max_events => 100000);
-- a position taken inside a transaction does not count that transaction as read
BEGIN;
SELECT is_active FROM adapty.grant_access_level('feed-3', 'premium', duration => '1 day', reason => 'own');
SELECT adapty.event_cursor() AS inside \gset
COMMIT;
SELECT payload #>> '{event_properties,reason}' AS reason FROM adapty.event_feed(:'inside');
-- plain SQL by the owner
SELECT adapty.event_cursor() AS plain \gset
INSERT INTO adapty.events (event_datetime, event_type, event_id, profile_id)
    SELECT '2020-01-01 00:00+00', 'access_level_updated', '00000000-0000-7000-8000-000000000001', profile_id FROM adapty.identities WHERE customer_user_id = 'feed-1';
SELECT event_id FROM adapty.event_feed(:'plain');

-- what is no cursor
SELECT * FROM adapty.event_feed('');
SELECT * FROM adapty.event_feed('1');
SELECT * FROM adapty.event_feed('0:10:11');
SELECT * FROM adapty.event_feed('0:10:5,5');
SELECT * FROM adapty.event_feed('0:10:5,');
SELECT * FROM adapty.event_feed('0:10:/9:/1:1:00000000-0000-7000-8000-000000000001');
SELECT * FROM adapty.event_feed('0:10:/11:/1:1:nothing');
SELECT * FROM adapty.event_feed('0:99999999999999999999:');
SELECT * FROM adapty.event_feed('-1:10:');
SELECT * FROM adapty.event_feed('0:900000000000000:');
SELECT * FROM adapty.event_feed(NULL, 0);
SELECT * FROM adapty.event_feed(NULL, NULL);
SELECT * FROM adapty.event_feed(NULL, 100001);

-- consumers
SELECT adapty.define_event_consumer('crm') IS NOT NULL AS made;
SELECT count(*) FROM adapty.read_events('crm');
SELECT count(adapty.grant_access_level('feed-' || n, 'premium', duration => '1 day', reason => 'consumed')) FROM generate_series(1, 3) n;
SELECT payload #>> '{customer_user_id}' AS customer_user_id FROM adapty.read_events('crm', 2);
SELECT payload #>> '{customer_user_id}' AS customer_user_id FROM adapty.read_events('crm', 2);
SELECT adapty.acknowledge_events('crm', (SELECT cursor FROM adapty.read_events('crm', 2) OFFSET 1));
SELECT payload #>> '{customer_user_id}' AS customer_user_id FROM adapty.read_events('crm', 2);
BEGIN;
SELECT adapty.acknowledge_events('crm', (SELECT cursor FROM adapty.read_events('crm')));
SELECT count(*) FROM adapty.read_events('crm');
ROLLBACK;
SELECT count(*) FROM adapty.read_events('crm');
SELECT adapty.define_event_consumer('all', from_start => true);
SELECT count(*) = (SELECT count(*) FROM adapty.events) AS all_of_them FROM adapty.read_events('all', 100000);
SELECT adapty.define_event_consumer('all', types => '{subscription_started}');
SELECT count(*) FROM adapty.read_events('all') WHERE event_type <> 'subscription_started';
SELECT consumer_id, event_types, acknowledged, acknowledged_at IS NOT NULL AS has_acknowledged FROM adapty.event_consumers ORDER BY 1;
SELECT * FROM adapty.read_events('nobody');
SELECT adapty.acknowledge_events('nobody', adapty.event_cursor());
SELECT adapty.acknowledge_events('crm', 'x');
SELECT adapty.acknowledge_events('crm', NULL);
SELECT adapty.define_event_consumer('a b');
SELECT adapty.define_event_consumer(NULL);
SELECT adapty.define_event_consumer('crm', types => ARRAY[NULL]::adapty.event_type[]);

-- who may
SET ROLE adapty_server;
SELECT count(*) > 0 AS reads FROM adapty.event_feed();
SELECT adapty.define_event_consumer('server') IS NOT NULL AS made;
SELECT count(*) FROM adapty.read_events('server');
SELECT adapty.delete_event_consumer('server'), adapty.delete_event_consumer('server') AS again;
INSERT INTO adapty.event_consumers (consumer_id) VALUES ('x');
SET ROLE adapty_analyst;
SELECT count(*) FROM adapty.event_feed();
SELECT adapty.define_event_consumer('analyst');
SET ROLE adapty_sdk;
SELECT count(*) FROM adapty.event_feed();
RESET ROLE;
BEGIN READ ONLY;
SELECT count(*) > 0 AS reads FROM adapty.event_feed();
SELECT adapty.define_event_consumer('x');
ROLLBACK;
SELECT count(adapty.delete_event_consumer(c)) FROM unnest('{crm,all}'::text[]) c;
