# A standby reads right and does nothing; promoted, it takes the work over.
use strict;
use warnings;

use AdaptyNode;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = adapty_node('primary', init => { allows_streaming => 1 });
$primary->safe_psql('postgres', 'CREATE EXTENSION adapty');
wait_scheduler($primary);
$primary->safe_psql('postgres', <<'SQL');
SELECT adapty.create_profile('ann');
SELECT adapty.grant_access_level('ann', 'premium', is_lifetime => true);
SELECT adapty.create_profile('bob');
SELECT adapty.define_paywall('Main'), adapty.define_placement('home', paywall => 'Main');
SQL

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

# From now on the primary announces nothing: what falls due is left for the standby.
$primary->safe_psql('postgres', "ALTER SYSTEM SET adapty.scheduler = off");
$primary->reload;
ok($primary->poll_query_until('postgres', "SELECT state = 'off' FROM adapty.stats"), 'the primary announces nothing');
$primary->safe_psql('postgres', "SELECT adapty.grant_access_level('bob', 'premium', expires_at => clock_timestamp() + interval '1 s')");
add_lapses($primary, 1000, 'clock_timestamp()');
$primary->wait_for_catchup($standby);

# --- reading on the standby ---
is($standby->safe_psql('postgres', "SELECT adapty.has_access('ann', 'premium')"), 't', 'access is read on the standby');
ok($standby->poll_query_until('postgres', "SELECT NOT adapty.has_access('bob', 'premium')"), 'and ends there at its moment');
is($standby->safe_psql('postgres', "SELECT adapty.has_access('nobody', 'premium')"), 'f', 'an unknown user has none');
is( $standby->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'adapty%'"),
	'0', 'no worker runs on the standby');
is(stat_of($standby, 'scheduler_running, due_now'), 'f|1001', 'adapty.stats says so');
my (undef, undef, $stderr) = $standby->psql('postgres', "SELECT adapty.grant_access_level('ann', 'premium', duration => '1 day')");
like($stderr, qr/read-only|during recovery/, 'a change is refused as on any standby');

is( $standby->safe_psql('postgres', "SELECT adapty.resolve_paywall('ann', 'home') ->> 'paywall_name'"),
	'Main', 'a paywall is resolved');
(undef, undef, $stderr) = $standby->psql('postgres', "SELECT adapty.get_paywall('ann', 'home')");
like($stderr, qr/read-only|during recovery/, 'and not recorded');
$primary->safe_psql('postgres', "SELECT adapty.define_paywall('Other'), adapty.define_placement('home', paywall => 'Other')");
$primary->wait_for_catchup($standby);
is( $standby->safe_psql('postgres', "SELECT adapty.resolve_paywall('ann', 'home') ->> 'paywall_name'"),
	'Other', 'as the primary has it now');

# --- promotion ---
$primary->stop('fast');
$standby->promote;
wait_scheduler($standby);
ok($standby->poll_query_until('postgres', 'SELECT due_now = 0 FROM adapty.stats'), 'promoted, it announces what was due');
is(announced($standby), '1001', 'once each');
$standby->safe_psql('postgres', "SELECT adapty.grant_access_level('bob', 'premium', expires_at => clock_timestamp() + interval '1 s')");
ok($standby->poll_query_until('postgres', "SELECT count(*) = 1002 FROM adapty.events WHERE NOT is_active"), 'and what falls due from now on');

$standby->stop;
done_testing();
