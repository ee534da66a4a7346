# PostgREST, the real one, serves the schema "adapty" as it is: the functions by JWT roles, with the
# HTTP status that each outcome should have, and adapty_sdk held to its own profile.
use strict;
use warnings;

use Digest::SHA qw(hmac_sha256);
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64 qw(encode_base64url);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $binary = $ENV{ADAPTY_POSTGREST};
plan skip_all => 'ADAPTY_POSTGREST is not set: the path of a postgrest binary' unless defined $binary;
die "ADAPTY_POSTGREST is not an executable file: $binary\n" unless -x $binary;

my $secret = 'a secret of at least thirty-two bytes, for tests';
my $json = JSON::PP->new->canonical->allow_nonref;

# ---- the database ----
my $node = PostgreSQL::Test::Cluster->new('postgrest');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'adapty'\ntimezone = 'UTC'");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION adapty;
	CREATE ROLE authenticator LOGIN NOINHERIT;
	CREATE ROLE web_anon NOLOGIN;
	CREATE ROLE stranger NOLOGIN;
	GRANT web_anon, adapty_server, adapty_sdk, adapty_analyst TO authenticator;
	SELECT adapty.create_profile('jane', '{"email": "jane@example.com"}');
	SELECT adapty.create_profile('tom');
	SELECT adapty.create_segment('learners', 'attr.words_learned >= 100');
});

# ---- PostgREST ----
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $dir = PostgreSQL::Test::Utils::tempdir;
append_to_file("$dir/postgrest.conf", join "\n",
	'db-uri = "postgres://authenticator@/postgres?host=' . $node->host . '&port=' . $node->port . '"',
	'db-schemas = "adapty, adapty_segments"',
	'db-anon-role = "web_anon"',
	'db-pool = 4',
	qq{jwt-secret = "$secret"},
	'server-host = "127.0.0.1"',
	"server-port = $port",
	'log-level = "error"',
	'');
my $pid = fork;
die "fork: $!" unless defined $pid;
if ($pid == 0)
{
	open STDOUT, '>', "$dir/postgrest.log" or die $!;
	open STDERR, '>&', \*STDOUT or die $!;
	exec $binary, "$dir/postgrest.conf" or die $!;
}
END
{
	my $status = $?;
	if ($pid)
	{
		kill 'TERM', $pid;
		waitpid $pid, 0;
	}
	$? = $status;
}

# One request: (status, decoded body).  The body of a POST is a Perl value, or a string sent as it is; more
# header lines may follow it.
sub request
{
	my ($method, $path, $token, $body, @headers) = @_;
	my $content = !defined $body ? '' : ref $body ? $json->encode($body) : $body;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 10)
	  or return (0, undef);
	print $socket "$method $path HTTP/1.0\r\nHost: localhost\r\n",
	  defined $token ? "Authorization: Bearer $token\r\n" : '', map({ "$_\r\n" } @headers),
	  $method eq 'POST' ? "Content-Type: application/json\r\nContent-Length: " . length($content) . "\r\n" : '',
	  "\r\n$content";
	my $answer = do { local $/; <$socket> };
	close $socket;
	return (0, undef) unless defined $answer;
	my ($head, $text) = split /\r\n\r\n/, $answer, 2;
	my ($status) = $head =~ m{^HTTP/\S+ (\d+)};
	if ($head =~ /^Transfer-Encoding: chunked/mi)
	{
		my $rest = $text;
		$text = '';
		while ($rest =~ s/^([0-9A-Fa-f]+)\r\n// && hex $1)
		{
			$text .= substr $rest, 0, hex $1, '';
			$rest =~ s/^\r\n//;
		}
	}
	my $value = defined $text && length $text ? eval { $json->decode($text) } : undef;
	return ($status, $value);
}

sub token
{
	my (%claims) = @_;
	my $signed = encode_base64url('{"alg":"HS256","typ":"JWT"}') . '.' . encode_base64url($json->encode(\%claims));
	return $signed . '.' . encode_base64url(hmac_sha256($signed, $secret));
}

# rpc(function, token, arguments)
sub rpc { my ($function, @rest) = @_; return request('POST', "/rpc/$function", @rest); }

my $server = token(role => 'adapty_server', sub => 'backend-1');
my $jane = token(role => 'adapty_sdk', customer_user_id => 'jane');
my $tom = token(role => 'adapty_sdk', sub => 'tom');
my $nobody = token(role => 'adapty_sdk');
my $analyst = token(role => 'adapty_analyst');

my $up = 0;
for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	my ($status) = rpc('has_access', $server, { customer_user_id => 'jane', access_level_id => 'premium' });
	$up = $status == 200;
	last if $up;
	select undef, undef, undef, 0.1;
}
ok($up, 'PostgREST answers') or diag slurp_file("$dir/postgrest.log");

my ($status, $body);

# A set of one composite may come as an object or as an array of one.
sub row { my ($value) = @_; return ref $value eq 'ARRAY' ? $value->[0] : $value; }

# ---- 200: the server ----
($status, $body) = rpc('has_access', $server, { customer_user_id => 'jane', access_level_id => 'premium' });
is($status, 200, 'has_access: 200');
is($body, JSON::PP::false, 'no access yet');

($status, $body) = rpc('grant_access_level', $server,
	{ customer_user_id => 'jane', access_level_id => 'premium', duration => '7 days', reason => 'test' });
is($status, 200, 'grant_access_level: 200');
is(row($body)->{access_level_id}, 'premium', 'it answers with the access level');
ok(row($body)->{is_active}, 'which is active');

($status, $body) = rpc('has_access', $server, { customer_user_id => 'jane', access_level_id => 'premium' });
is($body, JSON::PP::true, 'access at once');

($status, $body) = rpc('profile_status', $server, { customer_user_id => 'jane' });
is($status, 200, 'profile_status: 200');
is_deeply(row($body)->{active_access_levels}, ['premium'], 'it lists the level');

($status, $body) = rpc('set_attributes', $server, { customer_user_id => 'jane', attributes => { words_learned => 120, level => 'B1' } });
ok($status == 200 || $status == 204, 'set_attributes: success') or diag "status $status";
($status, $body) = rpc('get_attributes', $server, { customer_user_id => 'jane' });
is($status, 200, 'get_attributes: 200');
is($body->{words_learned}, 120, 'the attribute is there');

is( $node->safe_psql('postgres', q{
		SELECT string_agg(DISTINCT actor, ',') FROM adapty.events WHERE event_type = 'access_level_updated'}),
	'adapty_server/jwt:backend-1', 'the event names the subject of the token');

# ---- 400: what makes no sense, and changes nothing ----
($status, $body) = rpc('grant_access_level', $server,
	{ customer_user_id => 'jane', access_level_id => 'premium', duration => '-1 day' });
is($status, 400, 'negative duration: 400');
is($body->{code}, '22023', 'with the SQLSTATE');
($status) = rpc('grant_access_level', $server, { customer_user_id => '', access_level_id => 'premium', duration => '1 day' });
is($status, 400, 'empty customer_user_id: 400');
($status) = rpc('grant_access_level', $server, { customer_user_id => 'jane', access_level_id => 'premium', duration => 'soon' });
is($status, 400, 'duration that is none: 400');
($status) = rpc('set_attributes', $server, { customer_user_id => 'jane', attributes => { 'bad key' => 1 } });
is($status, 400, 'wrong key of an attribute: 400');
($status) = rpc('set_attributes', $server, { customer_user_id => 'jane', attributes => { nested => { a => 1 } } });
is($status, 400, 'nested attribute: 400');
($status) = rpc('has_access', $server, '{"customer_user_id": ');
is($status, 400, 'malformed JSON: 400');
is($node->safe_psql('postgres', q{SELECT count(*) FROM adapty.events WHERE event_type = 'access_level_updated'}), '1',
	'no refused request has written an event');

# ---- 401: nobody, or a token that is not right ----
($status) = rpc('profile_status', undef, { customer_user_id => 'jane' });
is($status, 401, 'no token: 401');
($status) = rpc('profile_status', 'garbage', { customer_user_id => 'jane' });
is($status, 401, 'garbage for a token: 401');
($status) = rpc('profile_status', token(role => 'adapty_server', exp => time - 3600), { customer_user_id => 'jane' });
is($status, 401, 'expired token: 401');
(my $forged = $server) =~ s/\.[^.]*$/.AAAA/;
($status) = rpc('profile_status', $forged, { customer_user_id => 'jane' });
is($status, 401, 'wrong signature: 401');

# ---- 403: somebody who may not ----
($status, $body) = rpc('grant_access_level', $jane, { customer_user_id => 'jane', access_level_id => 'premium', is_lifetime => JSON::PP::true });
is($status, 403, 'adapty_sdk may not grant: 403');
is($body->{code}, '42501', 'insufficient privilege');
($status) = rpc('revoke_access_level', $jane, { customer_user_id => 'jane', access_level_id => 'premium' });
is($status, 403, 'nor revoke: 403');
($status) = rpc('grant_access_level', $analyst, { customer_user_id => 'jane', access_level_id => 'premium', duration => '1 day' });
is($status, 403, 'nor may adapty_analyst: 403');
($status) = rpc('profile_status', $tom, { customer_user_id => 'jane' });
is($status, 403, 'adapty_sdk may not see another profile: 403');
($status) = rpc('profile_status', $tom, { customer_user_id => 'no such user' });
is($status, 403, 'nor learn whether it exists: 403');
($status) = rpc('set_attributes', $tom, { customer_user_id => 'jane', attributes => { words_learned => 0 } });
is($status, 403, 'nor write its attributes: 403');
($status) = rpc('profile_status', $nobody, { customer_user_id => 'jane' });
is($status, 403, 'a token without a user sees nobody: 403');
($status) = rpc('profile_status', token(role => 'stranger'), { customer_user_id => 'jane' });
ok($status == 401 || $status == 403, 'a role that the authenticator may not take is refused') or diag "status $status";
($status) = request('GET', '/identities', $jane);
is($status, 403, 'adapty_sdk cannot read the identities table: 403');
($status) = request('GET', '/profiles?select=email', $analyst);
is($status, 403, 'adapty_analyst cannot read e-mail addresses: 403');
($status) = request('GET', '/access_grants', $jane);
is($status, 403, 'adapty_sdk cannot read the grants: 403');

# ---- the own profile of adapty_sdk ----
($status, $body) = rpc('profile_status', $jane, { customer_user_id => 'jane' });
is($status, 200, 'adapty_sdk sees its own profile: 200');
ok(row($body)->{has_access}, 'and its access');
($status, $body) = rpc('has_access', $tom, { customer_user_id => 'tom', access_level_id => 'premium' });
is($status, 200, 'the claim "sub" names the user as well');
is($body, JSON::PP::false, 'who has no access');
($status) = rpc('set_attributes', $jane, { customer_user_id => 'jane', attributes => { words_learned => 121 } });
ok($status == 200 || $status == 204, 'adapty_sdk sets its own attributes') or diag "status $status";
is($node->safe_psql('postgres', q{SELECT adapty.get_attribute('jane', 'words_learned')}), '121', 'they are stored');

# ---- 404: what is not there ----
($status, $body) = rpc('profile_status', $server, { customer_user_id => 'no such user' });
is($status, 404, 'unknown user: 404');
($status) = rpc('grant_access_level', $server, { customer_user_id => 'no such user', access_level_id => 'premium', duration => '1 day' });
is($status, 404, 'grant to an unknown user: 404');
($status, $body) = rpc('grant_access_level', $server, { customer_user_id => 'jane', access_level_id => 'gold', duration => '1 day' });
is($status, 404, 'unknown access level: 404');
like($body->{message}, qr/gold/, 'the message names it');
($status) = rpc('no_such_function', $server, {});
is($status, 404, 'unknown function: 404');
($status, $body) = rpc('has_access', $server, { customer_user_id => 'no such user', access_level_id => 'premium' });
is_deeply([$status, $body], [200, JSON::PP::false], 'has_access of an unknown user is just false');

# ---- the analyst ----
($status, $body) = request('GET', '/profile_access_levels?select=access_level_id,is_active&is_active=is.true', $analyst);
is($status, 200, 'adapty_analyst reads the view of access levels: 200');
is(scalar @$body, 1, 'one user has access');

# ---- segments are endpoints, with PostgREST's filters ----
my $segments = 'Accept-Profile: adapty_segments';
($status, $body) = request('GET', '/learners?select=subscription_state,custom_attributes', $analyst, undef, $segments);
is_deeply([ $status, $body ], [ 200, [ { subscription_state => 'never_subscribed', custom_attributes => { words_learned => 121, level => 'B1' } } ] ], 'adapty_analyst reads a segment');
($status, $body) = request('GET', '/learners?select=profile_id&custom_attributes->>level=eq.C2', $analyst, undef, $segments);
is_deeply([ $status, $body ], [ 200, [] ], 'filtered');
rpc('set_attributes', $server, { customer_user_id => 'jane', attributes => { words_learned => 99 } });
($status, $body) = request('GET', '/learners', $analyst, undef, $segments);
is_deeply([ $status, $body ], [ 200, [] ], 'it is what it is now');
($status) = request('GET', '/learners', $jane, undef, $segments);
is($status, 403, 'adapty_sdk reads no segments: 403');
($status) = request('GET', '/learners', undef, undef, $segments);
is($status, 401, 'nor does nobody: 401');
($status) = request('POST', '/learners', $server, {}, 'Content-Profile: adapty_segments');
ok($status == 403 || $status == 405 || $status == 400, 'a segment cannot be written') or diag "status $status";

# ---- what there is, described ----
($status, $body) = request('GET', '/', $server);
is("$status $body->{swagger}", '200 2.0', 'the root describes the functions');
like($body->{paths}{'/rpc/grant_access_level'}{post}{summary} // '', qr/^Gives a /, 'in the words of their comments');
like($body->{definitions}{profile_access_levels}{description} // '', qr/^One row a user and access level/, 'and the views');
ok(!exists $body->{paths}{'/rpc/create_api_key'}, 'but not what the role may not call');
($status, $body) = request('GET', '/', $jane);
ok(exists $body->{paths}{'/rpc/profile_status'} && !exists $body->{paths}{'/rpc/grant_access_level'}, 'a user\'s own token is shown what it may call');

done_testing();
