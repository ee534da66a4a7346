# Without shared_preload_libraries: reads are right, process_due() does the scheduler's work.
use strict;
use warnings;

use AdaptyNode;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = adapty_node('plain', preload => 0);
$node->safe_psql('postgres', 'CREATE EXTENSION adapty');

is(stat_of($node, 'scheduler_running, pid, state, wakeups, due_now'), 'f|||0|0', 'adapty.stats says that no scheduler runs');
is($node->safe_psql('postgres', 'SELECT count(*) FROM adapty.scheduler_stats()'), '0', 'there are no statistics of one');

$node->safe_psql('postgres', <<'SQL');
SELECT adapty.create_profile('ann');
SELECT adapty.grant_access_level('ann', 'premium', expires_at => clock_timestamp() + interval '1 s');
SQL
is($node->safe_psql('postgres', "SELECT adapty.has_access('ann', 'premium')"), 't', 'access is given');
ok($node->poll_query_until('postgres', "SELECT NOT adapty.has_access('ann', 'premium')"), 'and ends at its moment');
is(announced($node), '0', 'nobody has announced it');
is($node->safe_psql('postgres', 'SELECT adapty.process_due()'), '1', 'process_due() does');
is(announced($node), '1', 'with an event');
is($node->safe_psql('postgres', 'SELECT adapty.process_due()'), '0', 'once');

add_lapses($node, 25, 'clock_timestamp()');
is($node->safe_psql('postgres', 'SELECT adapty.process_due(10)'), '10', 'at most as many as asked for');
is(stat_of($node, 'due_now'), '15', 'the rest is still due');
is($node->safe_psql('postgres', 'SELECT adapty.process_due(max_rows => 100)'), '15', 'until they are done');
is(announced($node), '26', 'every one has its event');

# Settings are there as soon as the library is, and their prefix is reserved.
is($node->safe_psql('postgres', "LOAD 'adapty'; SHOW adapty.batch_size"), '1000', 'settings can be read');
my (undef, undef, $stderr) = $node->psql('postgres', "LOAD 'adapty'; SET adapty.no_such_setting = 1");
like($stderr, qr/invalid configuration parameter name "adapty.no_such_setting"/, 'misspelt ones are refused');
for my $bad ('batch_size = 0', 'batch_size = 100001', "max_sleep = '2min'", "max_sleep = '9ms'", 'event_retention = -1', 'idempotency_key_retention = -1')
{
	(undef, undef, $stderr) = $node->psql('postgres', "LOAD 'adapty'; ALTER SYSTEM SET adapty.$bad");
	like($stderr, qr/outside the valid range/, "refused: adapty.$bad");
}

# Databases can be dropped, renamed and copied as if the extension were not there.
$node->safe_psql('postgres', $_)
  for ('CREATE DATABASE one', 'ALTER DATABASE one RENAME TO two', 'CREATE DATABASE three TEMPLATE two', 'DROP DATABASE two', 'DROP DATABASE three WITH (FORCE)');
$node->safe_psql('postgres', 'DROP EXTENSION adapty');
pass('the extension is dropped');

$node->stop;
done_testing();
