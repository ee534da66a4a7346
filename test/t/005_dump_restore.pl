# Dumped and restored into a fresh server: the same rows, no event more, and it goes on working.
use strict;
use warnings;

use AdaptyNode;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $source = adapty_node('source');
$source->safe_psql('postgres', 'CREATE DATABASE app');
$source->safe_psql('app', 'CREATE EXTENSION adapty');
wait_scheduler($source, 'app');

# Monthly partitions are made at run time, once there are profiles: a new scheduler makes them.
$source->safe_psql('app', "SELECT adapty.create_profile('user' || n) FROM generate_series(1, 200) n");
$source->safe_psql('postgres', 'SELECT pg_terminate_backend(' . scheduler_pid($source, 'app') . ', 1000)');
my $partitions = "SELECT string_agg(c.relname, ' ' ORDER BY c.relname) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'adapty.events'::regclass";
ok( $source->poll_query_until('app', "SELECT count(*) > 1 FROM pg_inherits WHERE inhparent = 'adapty.events'::regclass"),
	'there are monthly partitions of events');

$source->safe_psql('app', <<'SQL');
UPDATE adapty.access_levels SET title = 'Gold & "more"' WHERE access_level_id = 'premium';
INSERT INTO adapty.access_levels (access_level_id, title) VALUES ('sports', 'Sports');
SELECT adapty.grant_access_level('user' || n, 'premium', duration => '30 days', reason => 'test') FROM generate_series(1, 100) n;
SELECT adapty.grant_access_level('user' || n, 'sports', is_lifetime => true) FROM generate_series(50, 150) n;
SELECT adapty.grant_access_level('user' || n, 'premium', starts_at => now() + interval '1 day', duration => '7 days') FROM generate_series(151, 160) n;
SELECT adapty.grant_access_level('user' || n, 'premium', expires_at => clock_timestamp() + interval '500 ms') FROM generate_series(161, 200) n;
SELECT adapty.revoke_access_level('user1', 'premium');
-- rates of revenue
SELECT adapty.set_currency_rate('EUR', 0.92, '2024-01-01'), adapty.set_store_commission('stripe', 0.029), adapty.set_tax_rate('DE', 0.19);
-- targeting: paywalls, a placement, a running test and who is in it
SELECT adapty.define_product('Monthly', 'premium', 'monthly', '[{"store": "app_store", "store_product_id": "m"}]');
SELECT adapty.define_offer('Monthly', 'Spring', store_offer_ids => '{"app_store": "spring"}');
SELECT adapty.define_paywall(p, '[{"product": "Monthly", "offer": "Spring"}]', '[{"locale": "en", "data": "{}"}]') FROM unnest(ARRAY['A', 'B']) p;
SELECT adapty.create_segment('targeted', 'attr.spent > 1');
SELECT adapty.define_placement('home', '[{"segment": "targeted", "paywall": "B"}, {"segment": "Never subscribed", "paywall": "B"}, {"paywall": "A"}]');
SELECT adapty.define_ab_test('Test', '{home}', '[{"paywall": "A"}, {"paywall": "B"}]');
SELECT adapty.start_ab_test('Test');
SELECT count(adapty.get_paywall('user' || n, 'home')) FROM generate_series(1, 50) n;
SELECT adapty.modify_ab_test('Test');
-- an event of a month that has no partition: it goes to the default one
SET session_replication_role = replica;
INSERT INTO adapty.events (event_datetime, recorded_at, event_type, event_id, profile_id, is_active, was_active)
SELECT '2020-02-03', '2020-02-03', 'access_level_updated', gen_random_uuid(), profile_id, true, false FROM adapty.profiles LIMIT 1;
SQL
ok($source->poll_query_until('app', 'SELECT due_now = 0 AND processed = 40 FROM adapty.stats'), 'some have lapsed');

is($source->safe_psql('app', 'SELECT count(*) FROM adapty.events_default'), '1', 'the default partition has a row');

# Everything that the extension holds, in an order of its own, as a checksum a table.
my $contents = <<'SQL';
SELECT string_agg(relname || ' ' || (xpath('/row/c/text()', query_to_xml(format(
         'SELECT count(*) || '' '' || coalesce(md5(string_agg(t::text, chr(10) ORDER BY t::text)), '''') AS c FROM adapty.%I t', relname), false, true, '')))[1],
         chr(10) ORDER BY relname)
  FROM pg_class WHERE relnamespace = 'adapty'::regnamespace AND relkind = 'r'
SQL
# Its definitions, as pg_dump sees them.
my $definitions = <<'SQL';
SELECT string_agg(line, chr(10) ORDER BY line) FROM (
    SELECT c.relname || ' ' || c.relkind::text || ' ' || coalesce(pg_get_expr(c.relpartbound, c.oid), '') || ' ' || coalesce(c.relacl::text, '') AS line
      FROM pg_class c WHERE relnamespace = 'adapty'::regnamespace
    UNION ALL
    SELECT pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class c ON c.oid = indrelid WHERE relnamespace = 'adapty'::regnamespace
    UNION ALL
    SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'adapty'::regnamespace
    UNION ALL
    SELECT tgrelid::regclass || ' ' || tgname || ' ' || tgenabled::text FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid WHERE relnamespace = 'adapty'::regnamespace AND NOT tgisinternal) AS all_lines
SQL

# A consumer that is half through, and numbers that the targets' transactions do not reach.
$source->safe_psql('app', <<'SQL');
SELECT adapty.define_event_consumer('half', from_start => true);
SELECT adapty.acknowledge_events('half', (SELECT cursor FROM adapty.read_events('half', 10) OFFSET 9));
SET session_replication_role = replica;
INSERT INTO adapty.events (event_datetime, event_type, event_id, profile_id, xact_number)
SELECT now(), 'access_level_updated', gen_random_uuid(), profile_id, 5000000000 FROM adapty.profiles LIMIT 1;
SQL
my $unread = $source->safe_psql('app', 'SELECT count(*) - 10 FROM adapty.events');

# A stable picture: nothing falls due while the dumps are made and restored.
my $expected = $source->safe_psql('app', $contents);
my $expected_definitions = $source->safe_psql('app', $definitions);
my $expected_partitions = $source->safe_psql('app', $partitions);
my $dir = PostgreSQL::Test::Utils::tempdir;
$source->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/app.dump", $source->connstr('app') ], 'pg_dump -Fc');
$source->command_ok([ 'pg_dump', '-f', "$dir/app.sql", $source->connstr('app') ], 'pg_dump in plain SQL');
$source->stop;

for my $way ('pg_restore', 'psql', 'parallel')
{
	my $target = adapty_node("target_$way");

	$target->safe_psql('postgres', 'CREATE DATABASE app');
	if ($way eq 'psql')
	{
		$target->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/app.sql", $target->connstr('app') ], "$way: restored");
	}
	else
	{
		# pg_dump does not tell pg_restore in which order an extension's tables reference each other:
		# one job for the data, several for the rest.
		my @parts = $way eq 'parallel' ? ('pre-data', 'data', 'post-data') : ('all');
		for my $part (@parts)
		{
			my @options = $part eq 'all' ? () : ("--section=$part");
			push @options, '-j', '2' if $part eq 'post-data';
			$target->command_ok(
				[ 'pg_restore', '--exit-on-error', @options, '-d', $target->connstr('app'), "$dir/app.dump" ],
				"$way: restored ($part)");
		}
	}
	wait_scheduler($target, 'app');
	is($target->safe_psql('app', $contents), $expected, "$way: the same rows, and no event more");
	is($target->safe_psql('app', $definitions), $expected_definitions, "$way: the same definitions");
	is($target->safe_psql('app', $partitions), $expected_partitions, "$way: the same partitions");
	is(stat_of($target, 'processed, failed', 'app'), '0|0', "$way: nothing was announced again");
	is( $target->safe_psql('app', "SELECT title FROM adapty.access_levels WHERE access_level_id = 'premium'"),
		'Gold & "more"', "$way: a changed title of premium survives");
	is( $target->safe_psql('app', "SELECT string_agg(adapty.has_access('user' || n, 'premium')::text, ' ' ORDER BY n) FROM unnest(ARRAY[1, 2, 155, 170]) n"),
		'false true false false', "$way: access as before");

	is($target->safe_psql('app', "SELECT count(*) FROM adapty.read_events('half', 100000)"), $unread, "$way: the consumer goes on where it was");
	my $cursor = $target->safe_psql('app', 'SELECT adapty.event_cursor()');
	is($target->safe_psql('app', "SELECT count(*) FROM adapty.event_feed('$cursor')"), '0', "$way: what was restored is the past");

	# behaviour
	my $events = $target->safe_psql('app', 'SELECT count(*) FROM adapty.events');
	$target->safe_psql('app', "SELECT adapty.grant_access_level('user170', 'premium', expires_at => clock_timestamp() + interval '1 s')");
	ok($target->poll_query_until('app', "SELECT count(*) = $events + 2 FROM adapty.events"), "$way: a lapse still happens");
	is(stat_of($target, 'processed', 'app'), '1', "$way: by the scheduler");
	is($target->safe_psql('app', "SELECT count(*) FROM adapty.event_feed('$cursor')"), '2', "$way: new events come after those that were restored");
	is($target->safe_psql('app', "SELECT count(*) FROM adapty.read_events('half', 100000)"), $unread + 2, "$way: for the consumer, too");
	my (undef, undef, $stderr) = $target->psql('app', "DELETE FROM adapty.access_levels WHERE access_level_id = 'premium'");
	like($stderr, qr/premium/, "$way: premium still cannot be deleted");
	$target->safe_psql('app', 'DROP EXTENSION adapty CASCADE');
	$target->stop;
}

done_testing();
