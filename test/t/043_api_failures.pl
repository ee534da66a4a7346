# The HTTP API when things go wrong: many clients at once, conflicts, restarts of PostgREST and of
# PostgreSQL under load, reloads of the schema. Clients see answers in the API's form, and what was
# answered with success has happened.
use strict;
use warnings;

use AdaptyHttp;
use AdaptyNode;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

if (my $missing = missing_binaries()) { plan skip_all => $missing; }

my $node = adapty_node('api_failures', conf => 'log_min_messages = log');
$node->safe_psql('postgres', 'CREATE EXTENSION adapty');
my $api = api_start($node);
my $key = api_key($node, 'secret', 'backend');
my $grant = '/api/v1/sdk/profiles/jane/paid-access-levels/premium/grant/';
my ($status, $body, $text, $head);

# Runs a function in several children at once; returns what each printed.
sub in_parallel
{
	my ($n, $function) = @_;
	my @pipes;
	for my $i (1 .. $n)
	{
		pipe my $read, my $write or die $!;
		my $pid = fork // die "fork: $!";
		if ($pid == 0)
		{
			close $read;
			print $write $function->($i);
			close $write;
			require POSIX;
			POSIX::_exit(0);
		}
		close $write;
		push @pipes, [ $read, $pid ];
	}
	return map { my ($read, $pid) = @$_; my $out = do { local $/; <$read> }; waitpid $pid, 0; $out } @pipes;
}

# Grants a day until told to stop by a file; returns "successes attempts odd": odd are answers that are
# neither a success nor an error in the API's form.
my $stop = "$api->{dir}/stop";
sub grant_until_stopped
{
	my ($client) = @_;
	my ($good, $tried, @odd) = (0, 0);
	until (-e $stop)
	{
		my ($code, $json, $raw) = api('POST', "/api/v1/sdk/profiles/client$client/paid-access-levels/premium/grant/", key => $key, body => { duration_days => 1 });
		$tried++;
		if ($code == 200) { $good++; }
		elsif (!(($code == 502 || $code == 503 || $code == 504 || $code == 500) && ref $json eq 'HASH' && $json->{status_code} == $code)) { push @odd, "$code $raw"; }
	}
	return "$good $tried " . join(';', @odd);
}
# Days of access that a client's user has been given.
sub days_of
{
	my ($client) = @_;
	return $node->safe_psql('postgres', "SELECT coalesce(max(extract(epoch FROM expires_at - starts_at) / 86400)::integer, 0) FROM adapty.access_grants JOIN adapty.identities USING (profile_id) WHERE customer_user_id = 'client$client'");
}
# Has what was answered with success happened, and not more than was asked for?
sub check_clients
{
	my ($name, @answers) = @_;
	my $client = 0;
	for my $answer (@answers)
	{
		my ($good, $tried, $odd) = split ' ', $answer, 3;
		my $days = days_of(++$client);
		is($odd // '', '', "$name: every answer has a form that clients know");
		ok($good > 0 && $good <= $days && $days <= $tried, "$name: $good successes of $tried, $days days");
	}
	$node->safe_psql('postgres', q{DELETE FROM adapty.access_grants});
	unlink $stop;
	return;
}
# Runs clients while something is done.
sub under_load
{
	my ($name, $deed) = @_;
	my $pid = fork // die $!;
	if ($pid == 0)
	{
		$deed->();
		append_to_file($stop, 'stop');
		require POSIX;
		POSIX::_exit(0);
	}
	my @answers = in_parallel(3, \&grant_until_stopped);
	waitpid $pid, 0;
	check_clients($name, @answers);
	return;
}

# ---- many clients, one user ----
api('POST', '/api/v1/sdk/profiles/', key => $key, body => { customer_user_id => $_ }) for 'jane', map { "client$_" } 1 .. 3;
my @days = in_parallel(6, sub { my $n = 0; for (1 .. 5) { my ($code) = api('POST', $grant, key => $key, body => { duration_days => 1 }); $n++ if $code == 200; } $n });
is("@days", '5 5 5 5 5 5', 'six clients grant to one user, five days each');
is($node->safe_psql('postgres', 'SELECT extract(epoch FROM expires_at - starts_at)::bigint / 86400 FROM adapty.access_grants'), 30, 'none of the thirty is lost');
# the same user made by all at once
my @ids = in_parallel(6, sub { my (undef, $json) = api('POST', '/api/v2/server-side-api/profile/', key => $key, user => 'new', body => {}); $json->{data}{profile_id} });
is(scalar(keys %{ { map { $_ => 1 } @ids } }), 1, 'six clients create one user: one profile');

# ---- conflicts are never let out ----
$node->safe_psql('postgres', q{
	CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE serialization_failure; END $$;
	CREATE TRIGGER conflict BEFORE UPDATE ON adapty.profiles FOR EACH ROW EXECUTE FUNCTION conflict();
});
my $rollbacks = q{SELECT pg_stat_clear_snapshot(), xact_rollback FROM pg_stat_database WHERE datname = 'postgres'};
my $started = time;
($status, $body, $text, $head) = api('PATCH', '/api/v1/sdk/profiles/jane/', key => $key, body => { first_name => 'J' });
error_is($status, $body, 503, 'service_unavailable', 'a conflict that stays');
like($head, qr/^Retry-After: 1\r?$/mi, 'the client may try again');
ok(time - $started < 5, 'and is told so at once');
$node->safe_psql('postgres', 'DROP FUNCTION conflict CASCADE');
($status) = api('PATCH', '/api/v1/sdk/profiles/jane/', key => $key, body => { first_name => 'J' });
is($status, 200, 'later it succeeds');

# ---- a lock that is not given ----
$node->safe_psql('postgres', q{ALTER ROLE adapty_authenticator SET lock_timeout = '300ms'});
$api->stop_postgrest;
$api->start_postgrest;
$api->wait_until_up;
my $holder = start_session($node);
$holder->query(q{BEGIN; SELECT FROM adapty.profiles WHERE profile_id = (SELECT profile_id FROM adapty.identities WHERE customer_user_id = 'jane') FOR UPDATE});
($status, $body) = api('POST', $grant, key => $key, body => { duration_days => 1 });
error_is($status, $body, 503, 'service_unavailable', 'a lock that is not given');
($status) = api('GET', '/api/v1/sdk/profiles/jane/', key => $key);
is($status, 200, 'reading goes on meanwhile');
$holder->query('ROLLBACK');
($status) = api('POST', $grant, key => $key, body => { duration_days => 1 });
is($status, 200, 'later it succeeds');
$node->safe_psql('postgres', q{ALTER ROLE adapty_authenticator SET lock_timeout = '5s'});

# ---- reloads ----
under_load('schema reloads', sub { for (1 .. 20) { $node->safe_psql('postgres', q{NOTIFY pgrst, 'reload schema'}); sleep 0.05; } });

# ---- PostgREST goes away and comes back ----
$api->stop_postgrest;
($status, $body, $text, $head) = api('GET', '/api/v1/sdk/profiles/jane/', key => $key);
error_is($status, $body, 502, 'service_unavailable', 'PostgREST is down');
like($head, qr/^Retry-After: 1\r?$/mi, 'the client may try again');
$api->start_postgrest;
$api->wait_until_up;
($status) = api('GET', '/api/v1/sdk/profiles/jane/', key => $key);
is($status, 200, 'and it is back');

# ---- PostgreSQL goes away and comes back ----
under_load('restarts of the server', sub { for my $mode ('fast', 'immediate') { sleep 0.5; $node->restart($mode); sleep 0.7; } });
for (1 .. 100)
{
	($status) = api('GET', '/api/v1/sdk/profiles/jane/', key => $key);
	last if $status == 200;
	sleep 0.1;
}
is($status, 200, 'after all of it the API answers');

# ---- a server that may only read ----
$node->append_conf('postgresql.conf', 'default_transaction_read_only = on');
$node->reload;
($status) = api('GET', '/api/v1/sdk/profiles/jane/', key => $key);
is($status, 200, 'reading is possible where nothing can be written');

done_testing();
