# Webhooks: crashes in the middle of 10,000 deliveries lose nothing; an endpoint that is down for longer
# than all retries disturbs nobody and gets everything in the end; a restored copy sends nothing.
use strict;
use warnings;

use lib 'test/perl';
use AdaptyNode;
use AdaptyReceiver;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $receiver = AdaptyReceiver->new(dir => PostgreSQL::Test::Utils::tempdir);
my $node = adapty_node('hooks', init => { allows_streaming => 1 },
	conf => "adapty.webhook_retry_delay = 200\nadapty.webhook_max_attempts = 3\nadapty.webhook_max_queue = 3000\nfsync = on\n"
	  . "restart_after_crash = on\n");
$node->safe_psql('postgres', 'CREATE EXTENSION adapty');
wait_scheduler($node);
sub sql { return $node->safe_psql('postgres', $_[0]); }
sub wait_for { my ($query, $name) = @_; ok($node->poll_query_until('postgres', $query), $name); return; }
sub crash_recovered
{
	my ($name) = @_;
	my $n = 0;
	while ($node->psql('postgres', 'SELECT 1') != 0) { die "no recovery" if ++$n > 1800; select undef, undef, undef, 0.1; }
	pass($name);
	return;
}

sql("SELECT adapty.define_webhook('live', '" . $receiver->url('/ok/live') . "')");
sql("SELECT adapty.define_webhook('dead', '" . $receiver->url('/toggle/dead') . "')");
sql("SELECT adapty.enable_webhook(w) FROM unnest(ARRAY['live', 'dead']) w");
wait_for("SELECT count(*) = 2 FROM adapty.webhooks WHERE state = 'enabled'", 'two endpoints, verified');

my $began = time;
# --- one is dead, the other does not notice ---
sql("SELECT adapty.create_profile('u' || n) FROM generate_series(1, 2000) n");
sql("SELECT adapty.grant_access_level('u' || n, 'premium', duration => '1 hour', reason => '0') FROM generate_series(1, 20) n");
wait_for("SELECT delivered = 20 FROM adapty.webhook_status WHERE webhook_id = 'live'", 'the live one gets its events');
wait_for("SELECT state = 'not answering' AND reason = 'HTTP status 503' FROM adapty.webhook_status WHERE webhook_id = 'dead'", 'the dead one is known to be so');
is(sql("SELECT waiting, parked FROM adapty.webhook_status WHERE webhook_id = 'dead'"), '20|0', 'its events wait');

# --- 10,000 events; the sender is killed, then the server ---
sql("SELECT adapty.grant_access_level('u' || n, 'premium', duration => '1 hour', reason => r::text) FROM generate_series(1, 5) r, generate_series(1, 2000) n");
wait_for("SELECT delivered > 1000 FROM adapty.webhook_status WHERE webhook_id = 'live'", 'deliveries are under way');
my $pid = sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'adapty webhooks'");
kill 'KILL', $pid;
crash_recovered('the sender was killed; the server has restarted');
wait_for("SELECT count(*) > 4000 FROM adapty.webhook_deliveries WHERE webhook_id = 'live' AND state = 'delivered'", 'it goes on by itself');
$node->stop('immediate');
$node->start;
wait_for("SELECT count(*) = 10020 FROM adapty.webhook_deliveries WHERE webhook_id = 'live' AND state = 'delivered'", 'after a crash of the server, too, until all are delivered');

# What the receiver of a path has got against what was written.
sub missing
{
	my ($path) = @_;
	my $got = $receiver->ids($path);
	return scalar grep { !$got->{$_} } split /\n/, sql('SELECT event_id FROM adapty.events');
}
is(missing('/ok/live'), 0, 'nothing is missing');
my $requests = 0;
$requests += $_ for values %{ $receiver->ids('/ok/live') };
cmp_ok($requests, '<', 10020 + 4 * 2 * 40, 'little came twice');

# --- the dead one: bounded, and nothing lost ---
wait_for("SELECT waiting = 3000 FROM adapty.webhook_status WHERE webhook_id = 'dead'", 'its queue ends at adapty.webhook_max_queue');
is(sql("SELECT parked FROM adapty.webhook_status WHERE webhook_id = 'dead'"), '0', 'nothing was given up');
my $tries = 0;
$tries += $_ for values %{ $receiver->ids('/toggle/dead') };
cmp_ok($tries, '<', 100 + 8 * (time - $began), 'it was not flooded with tries');
append_to_file("$receiver->{dir}/up", '');
wait_for("SELECT count(*) = 10020 FROM adapty.webhook_deliveries WHERE webhook_id = 'dead' AND state = 'delivered'", 'when it answers again, everything comes');
is(missing('/toggle/dead'), 0, 'nothing is missing');
my %last;
my $read = 0;
my $in_order = 1;
open my $in, '<', $receiver->{file} or die;
while (my $line = <$in>)
{
	next unless $line =~ m{"path":"/toggle/dead"} && $line =~ /\\"reason\\": ?\\"(\d+)\\"/;
	my $reason = $1;
	my ($user) = $line =~ /\\"customer_user_id\\": ?\\"(u\d+)\\"/;
	$in_order = 0 if $reason < ($last{$user} // 0);
	$last{$user} = $reason;
	$read++;
}
cmp_ok($read, '>', 10000, 'all were looked at');
ok($in_order, "each profile's events in their order, after the outage");

# --- an outage of the network: nobody listens ---
$receiver->stop;
sql("SELECT adapty.grant_access_level('u' || n, 'premium', duration => '1 hour', reason => '9') FROM generate_series(1, 100) n");
wait_for("SELECT count(*) = 2 FROM adapty.webhook_status WHERE state = 'not answering'", 'both are down');
$receiver->start;
wait_for("SELECT count(*) = 2 FROM adapty.webhook_status WHERE waiting = 0 AND delivered >= 10000 AND parked = 0", 'and get everything when they are back');
is(missing('/ok/live'), 0, 'nothing is missing');

# --- sent again, and taken away, by several while it is sent: nobody waits in a circle ---
my $again = "SELECT adapty.resend_events('live', (SELECT min(recorded_at) FROM adapty.events WHERE reason = '9'), now())";
my $script = PostgreSQL::Test::Utils::tempdir . '/again.sql';
append_to_file($script, "$again;\n");
$node->command_ok([ 'pgbench', '-n', '-c', '3', '-t', '60', '-f', $script, $node->connstr('postgres') ], 'the same events are sent again by three clients');
for (1 .. 20)
{
	# (in the table in an order of their own, and taken away while the sender records)
	sql("SELECT adapty.define_webhook('passing', '" . $receiver->url('/ok/passing') . "'); SELECT adapty.enable_webhook('passing')");
	$node->poll_query_until('postgres', "SELECT state = 'enabled' FROM adapty.webhooks WHERE webhook_id = 'passing'") or die 'not enabled';
	sql("INSERT INTO adapty.webhook_deliveries (webhook_id, event_id, profile_id, recorded_at)
		SELECT 'passing', event_id, profile_id, recorded_at FROM adapty.events WHERE reason = '1' ORDER BY event_id DESC;
		SELECT adapty.resend_event(event_id, 'passing') FROM adapty.events WHERE reason = '9' LIMIT 1");
	$node->poll_query_until('postgres', "SELECT delivered > 200 FROM adapty.webhook_progress WHERE webhook_id = 'passing'") or die 'not delivered';
	sql("SELECT adapty.delete_webhook('passing')");
}
wait_for("SELECT waiting = 0 FROM adapty.webhook_status WHERE webhook_id = 'live'", 'all of it is delivered');
unlike(slurp_file($node->logfile), qr/deadlock detected/, 'without a deadlock');

# --- memory is flat ---
$pid = sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'adapty webhooks'");
SKIP:
{
	skip 'no /proc', 1 unless -r "/proc/$pid/status";
	my ($kb) = slurp_file("/proc/$pid/status") =~ /RssAnon:\s+(\d+)/;
	cmp_ok($kb, '<', 60000, "the sender's own memory is small: $kb kB");
}

# --- a standby sends nothing, and takes over when it is promoted ---
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('hooks_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
is($standby->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'adapty%'"), '0', 'no sender on a standby');
is($standby->safe_psql('postgres', "SELECT count(*) > 10000 FROM adapty.event_feed(NULL, 100000)"), 't', 'but the feed can be read there');
$node->wait_for_catchup($standby);

# --- a restored copy sends nothing ---
sql('CREATE DATABASE copy');
my $dump = PostgreSQL::Test::Utils::tempdir . '/dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('postgres') ], 'dumped');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('copy'), $dump ], 'restored');
is($node->safe_psql('copy', "SELECT DISTINCT state FROM adapty.webhooks"), 'disabled', 'webhooks come back disabled');
is($node->safe_psql('copy', "SELECT count(*) FROM adapty.webhook_deliveries WHERE state = 'pending'"), '0', 'with their deliveries');
$node->safe_psql('copy', "SELECT adapty.grant_access_level('u1', 'premium', duration => '1 hour', reason => 'copy')");
$node->safe_psql('copy', "SELECT adapty.enable_webhook('live', catch_up => true)");
ok($node->poll_query_until('copy', "SELECT delivered > 10000 AND waiting = 0 FROM adapty.webhook_status WHERE webhook_id = 'live'"), 'enabled, it goes on where the dump was made');
# (the counters of the dump are there already: wait for the event itself)
ok($node->poll_query_until('copy', "SELECT count(*) = 1 FROM adapty.webhook_deliveries WHERE event_id = (SELECT event_id FROM adapty.events WHERE reason = 'copy') AND webhook_id = 'live' AND state = 'delivered'"), 'with what was written since');

unlike(slurp_file($node->logfile), qr/another adapty webhook sender/, 'there was one sender at a time');
$node->stop;
$standby->promote;
$standby->safe_psql('postgres', "SELECT adapty.grant_access_level('u1', 'premium', duration => '1 hour', reason => 'promoted')");
ok($standby->poll_query_until('postgres', "SELECT count(*) = 2 FROM adapty.events e JOIN adapty.webhook_deliveries d USING (event_id) WHERE e.reason = 'promoted' AND d.state = 'delivered'"), 'the promoted standby sends');
$standby->stop;
$receiver->stop;

done_testing();
