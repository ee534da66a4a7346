# Events out by other ways: NOTIFY without the writers' doing, logical decoding messages, what retention takes.
use strict;
use warnings;

use AdaptyNode;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = adapty_node('output', init => { allows_streaming => 'logical' }, conf => "adapty.logical_messages = on\n");
$node->safe_psql('postgres', 'CREATE EXTENSION adapty');
wait_scheduler($node);
sub sql { return $node->safe_psql('postgres', $_[0]); }

# --- a session that listens is woken by the scheduler ---
my $listener = start_session($node);
$listener->query('LISTEN adapty_events');
my $scheduler = scheduler_pid($node);
my $before = stat_of($node, 'wakeups');
sql("SELECT adapty.create_profile('ann')");
sub notified
{
	for (1 .. 600)
	{
		my $output = $listener->query('SELECT 1');
		return $1 if $output =~ /Asynchronous notification "adapty_events" received from server process with PID (\d+)/;
		select undef, undef, undef, 0.05;
	}
	return '';
}
sql("SELECT adapty.grant_access_level('ann', 'premium', duration => '1 day')");
is(notified(), $scheduler, 'a commit that wrote an event is notified, by the scheduler');
sql("SELECT adapty.grant_access_level('ann', 'premium', duration => '1 day') FROM generate_series(1, 5)");
is(notified(), $scheduler, 'and so is the next one');
is(stat_of($node, 'wakeups'), $before, 'its own queue is left alone meanwhile');
$node->safe_psql('postgres', "BEGIN; SELECT adapty.grant_access_level('ann', 'premium', duration => '1 day'); ROLLBACK");
unlike($listener->query('SELECT pg_sleep(0.3)'), qr/notification/, 'what is rolled back is not');
sql("ALTER SYSTEM SET adapty.notify_events = off");
$node->reload;
ok($node->poll_query_until('postgres', "SELECT current_setting('adapty.notify_events') = 'off'"), 'switched off');
sql("SELECT adapty.grant_access_level('ann', 'premium', duration => '1 day')");
unlike($listener->query('SELECT pg_sleep(0.3)'), qr/notification/, 'nothing is notified');
$listener->quit;

# --- the stream of logical decoding, by pgoutput ---
sql("CREATE PUBLICATION events FOR TABLE adapty.events WITH (publish_via_partition_root = true)");
sql("SELECT pg_create_logical_replication_slot('adapty', 'pgoutput')");
sql("BEGIN; SELECT adapty.grant_access_level('ann', 'premium', duration => '1 day', reason => 'rolled back'); ROLLBACK");
sql("BEGIN; SELECT adapty.grant_access_level('ann', 'premium', duration => '1 day', reason => 'one'); SELECT adapty.grant_access_level('ann', 'premium', duration => '1 day', reason => 'two'); COMMIT");
my $stream = sql(<<'SQL');
SELECT chr(get_byte(data, 0)) || ' ' || CASE WHEN get_byte(data, 0) = ascii('M')
       THEN convert_from(substring(data FROM position('\x7b'::bytea IN data)), 'UTF8') ELSE '' END
  FROM pg_logical_slot_get_binary_changes('adapty', NULL, NULL, 'proto_version', '1', 'publication_names', 'events', 'messages', 'true')
SQL
my @messages = grep { /^M/ } split /\n/, $stream;
is(scalar @messages, 2, 'two messages, of the committed transaction');
like($messages[0], qr/^M \{"event_id": "[0-9a-f-]{36}", "event_type": "access_level_updated", "profile_id": "[0-9a-f-]{36}", "event_datetime": "[^"]+"\}|"event_type": "access_level_updated"/, 'that say which event');
my $events = sql("SELECT string_agg(event_id::text, ' ' ORDER BY recorded_at) FROM adapty.events WHERE reason IN ('one', 'two')");
is(join(' ', map { /"event_id": ?"([^"]+)"/ } @messages), $events, 'in their order');
is(scalar(grep { /^I/ } split /\n/, $stream), 2, 'beside the rows, published by the root');
like($stream, qr/^B.*C/s, 'within the transaction');
sql("SELECT pg_drop_replication_slot('adapty')");

# --- retention does not wait; it says what was lost ---
sql("SELECT adapty.define_event_consumer('reader', from_start => true)");
sql(<<'SQL');
CREATE TABLE adapty.events_2019_01 (LIKE adapty.events INCLUDING DEFAULTS);
ALTER TABLE adapty.events ATTACH PARTITION adapty.events_2019_01 FOR VALUES FROM ('2019-01-01 00:00+00') TO ('2019-02-01 00:00+00');
SET session_replication_role = replica;
INSERT INTO adapty.events (event_datetime, recorded_at, event_type, event_id, profile_id, xact_number)
SELECT '2019-01-05', timestamptz '2019-01-05 00:00+00' + n * interval '1 s', 'access_level_updated', gen_random_uuid(), profile_id, 3
  FROM adapty.profiles, generate_series(1, 10) n;
INSERT INTO adapty.events (event_datetime, recorded_at, event_type, event_id, profile_id, xact_number)
SELECT '2018-01-05', timestamptz '2018-01-05 00:00+00' + n * interval '1 s', 'access_level_updated', gen_random_uuid(), profile_id, 2
  FROM adapty.profiles, generate_series(1, 7) n;
SQL
is(sql("SELECT count(*) FROM adapty.read_events('reader', 17) WHERE recorded_at < '2020-01-01'"), '17', 'old events');
sql("SELECT adapty.acknowledge_events('reader', (SELECT cursor FROM adapty.read_events('reader', 4) OFFSET 3))");
sql("SELECT adapty.define_event_consumer('new')");
sql("ALTER SYSTEM SET adapty.event_retention = 365");
$node->reload;
ok($node->poll_query_until('postgres', "SELECT NOT adapty.maintain() AND to_regclass('adapty.events_2019_01') IS NULL AND NOT EXISTS (SELECT FROM adapty.events WHERE recorded_at < '2020-01-01')"), 'retention removes them');
is(sql("SELECT lost FROM adapty.event_consumers WHERE consumer_id = 'reader'"), '13', 'thirteen were not acknowledged');
is(sql("SELECT lost FROM adapty.event_consumers WHERE consumer_id = 'new'"), '0', 'one that began later has lost nothing');
is(sql("SELECT value FROM adapty.metrics WHERE metric = 'adapty_consumer_lost_total' AND labels ->> 'consumer' = 'reader'"), '13', 'the metrics say so');
is(sql("SELECT count(*) FROM adapty.metrics WHERE metric = 'adapty_scheduler_running' AND value = 1 AND type = 'gauge'"), '1', 'and that the scheduler runs');
$node->stop;

done_testing();
