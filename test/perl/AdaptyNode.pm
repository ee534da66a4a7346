# AdaptyNode: servers with the extension, and what the tests of its workers do with them.
package AdaptyNode;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(
  adapty_node add_lapses announced lapses_announced_once scheduler_pid start_session
  stat_of wait_scheduler
);

# A server that preloads the library (preload => 0: does not), initialised and started with the
# lines of conf; start => 0 leaves it stopped.
sub adapty_node
{
	my ($name, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(%{ $options{init} // {} });
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'adapty'")
	  if $options{preload} // 1;
	$node->append_conf('postgresql.conf', $options{conf} // '');
	$node->start if $options{start} // 1;
	return $node;
}

# One value of adapty.stats, as text.
sub stat_of
{
	my ($node, $column, $database) = @_;
	return $node->safe_psql($database // 'postgres', "SELECT $column FROM adapty.stats");
}

# Pid of a database's scheduler; empty if none runs.
sub scheduler_pid
{
	my ($node, $database) = @_;
	return $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'adapty scheduler' AND datname = '"
		  . ($database // 'postgres')
		  . "'");
}

# Waits until the database's scheduler has looked at the queue and sleeps.
sub wait_scheduler
{
	my ($node, $database) = @_;
	$database //= 'postgres';
	ok( $node->poll_query_until(
			$database, "SELECT scheduler_running AND state = 'sleeping' FROM adapty.stats"),
		"a scheduler sleeps in database $database");
}

# Users with premium whose end (an SQL expression) is as given, announced as active, as a dump would
# restore them: no event is written and nobody is woken.
sub add_lapses
{
	my ($node, $count, $expires_at, $database) = @_;
	$node->safe_psql($database // 'postgres', <<"SQL");
SET session_replication_role = replica;
WITH made AS (
    INSERT INTO adapty.profiles (profile_id)
    SELECT gen_random_uuid() FROM generate_series(1, $count) RETURNING profile_id)
INSERT INTO adapty.access_grants (profile_id, access_level_id, starts_at, expires_at, state)
SELECT profile_id, 'premium', now() - interval '1 day', $expires_at, 'active' FROM made;
SQL
	return;
}

# Number of ends of access that have been announced.
sub announced
{
	my ($node, $database) = @_;
	return $node->safe_psql($database // 'postgres',
		"SELECT count(*) FROM adapty.events WHERE event_type = 'access_level_updated' AND was_active AND NOT is_active");
}

# Passes if every user has lost access and has exactly one event that says so, of the right moment.
sub lapses_announced_once
{
	my ($node, $count, $name, $database) = @_;
	my $result = $node->safe_psql($database // 'postgres', <<'SQL');
SELECT count(*), count(*) FILTER (WHERE n = 1 AND at = expires_at AND state = 'ended')
  FROM adapty.access_grants
  LEFT JOIN (SELECT profile_id, count(*) AS n, min(event_datetime) AS at
               FROM adapty.events
              WHERE event_type = 'access_level_updated' AND was_active AND NOT is_active
              GROUP BY profile_id) AS e USING (profile_id);
SQL
	is($result, "$count|$count", $name);
	return;
}

# A psql session that stays open: its query() returns the output of the statements.
sub start_session
{
	my ($node, $database) = @_;
	my $self = { stdin => '', stdout => '', stderr => '', number => 0 };

	$self->{timeout} = IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default);
	$self->{run} = IPC::Run::start(
		[
			'psql', '-XAtq', '-v', 'ON_ERROR_STOP=0', '-d', $node->connstr($database // 'postgres')
		],
		'<', \$self->{stdin}, '>', \$self->{stdout}, '2>', \$self->{stderr}, $self->{timeout});
	return bless $self, 'AdaptyNode::Session';
}

package AdaptyNode::Session;

sub query
{
	my ($self, $sql) = @_;
	my $mark = 'end of statement ' . ++$self->{number};

	$self->{stdout} = '';
	$self->{stdin} .= "$sql;\n\\echo $mark\n";
	$self->{run}->pump until $self->{stdout} =~ /^\Q$mark\E$/m;
	my $output = $self->{stdout};
	$output =~ s/\n?\Q$mark\E\n//;
	return $output;
}

sub quit
{
	my ($self) = @_;
	$self->{stdin} .= "\\q\n";
	$self->{run}->finish;
	return;
}

1;
