# Killed in the middle of 100,000 lapses: afterwards every lapse has exactly one event.
use strict;
use warnings;

use AdaptyNode;
use PostgreSQL::Test::Utils;
use Test::More;

my $lapses = 100_000;
my $node = adapty_node('crash', conf => <<'CONF');
restart_after_crash = on
adapty.batch_size = 10
adapty.scheduler = off
CONF
$node->safe_psql('postgres', 'CREATE EXTENSION adapty');
add_lapses($node, $lapses, "now() - (random() * interval '1 hour')");
ok($node->poll_query_until('postgres', "SELECT state = 'off' FROM adapty.stats"), 'a scheduler is there, switched off');

# Waits until so many lapses have been announced.
sub wait_announced
{
	my ($count) = @_;
	ok($node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM adapty.events OFFSET $count)"), "$count lapses are announced");
	return;
}

# Switches the scheduler on or off: now, or at the next start of the workers.
sub switch_scheduler
{
	my ($value, $now) = @_;
	$node->append_conf('postgresql.conf', "adapty.scheduler = $value");
	$node->reload if $now;
	return;
}

# The server's state after a crash: the crash came in the middle, and no event is without its lapse.
# The workers have come back switched off; they go on from here.
sub is_in_the_middle
{
	my ($when) = @_;
	my $result = $node->safe_psql('postgres', <<'SQL');
SELECT (SELECT count(*) FROM adapty.access_grants WHERE state = 'active') > 0,
       (SELECT count(*) FROM adapty.access_grants WHERE state = 'ended') = (SELECT count(*) FROM adapty.events),
       (SELECT count(*) = count(DISTINCT profile_id) FROM adapty.events)
SQL
	is($result, 't|t|t', "$when: some are left, and every announced one has its event");
	switch_scheduler('on', 1);
	return;
}

switch_scheduler('on', 1);

# --- kill -9 of the scheduler: the server restarts itself ---
wait_announced(1000);
switch_scheduler('off', 0);
kill 'KILL', scheduler_pid($node);
$node->wait_for_log(qr/all server processes terminated; reinitializing/);
ok($node->poll_query_until('postgres', 'SELECT true'), 'the server is back');
is_in_the_middle('scheduler killed');

# --- the server stopped at once ---
wait_announced(5000);
switch_scheduler('off', 0);
$node->stop('immediate');
$node->start;
is_in_the_middle('server stopped immediately');

# --- kill -9 of the postmaster ---
wait_announced(10000);
switch_scheduler('off', 0);
my $postmaster = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];
kill 'KILL', $postmaster;
$node->{_pid} = undef;
# The new server starts as soon as the last process of the old one has noticed and gone.
my $started = 0;
for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	last if $started = $node->start(fail_ok => 1);
	$node->{_pid} = undef;
	select(undef, undef, undef, 0.1);
}
ok($started, 'the server starts after a kill -9');
is_in_the_middle('postmaster killed');

# --- catching up ---
ok($node->poll_query_until('postgres', 'SELECT due_now = 0 FROM adapty.stats'), 'the rest is caught up with');
wait_scheduler($node);
lapses_announced_once($node, $lapses, 'every lapse has exactly one event');
is(stat_of($node, 'batches > 1 AND processed <= batches * 10'), 't', 'in batches');
is($node->safe_psql('postgres', 'SELECT count(*) FROM adapty.events'), $lapses, 'and there are no other events');

$node->stop;
done_testing();
