# Attempts on the HTTP API: a table of them, each of which must change nothing and tell nothing.
use strict;
use warnings;

use AdaptyHttp;
use AdaptyNode;
use Digest::SHA qw(hmac_sha256);
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64 qw(encode_base64url);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

if (my $missing = missing_binaries()) { plan skip_all => $missing; }

my $node = adapty_node('api_attacks');
$node->safe_psql('postgres', 'CREATE EXTENSION adapty');
my $api = api_start($node);
my $key = api_key($node, 'secret', 'backend');
my $public = api_key($node, 'public', 'web page');
my $base = '/api/v2/server-side-api';
my $grant = "$base/purchase/profile/grant/access-level/";
my %premium = (access_level_id => 'premium');
$node->safe_psql('postgres', q{
	SELECT adapty.create_profile('jane', '{"email": "jane@example.com"}');
	SELECT adapty.create_profile('tom', '{"email": "tom@example.com"}');
});
my $jane_id = $node->safe_psql('postgres', q{SELECT profile_id FROM adapty.identities WHERE customer_user_id = 'jane'});
my $tom_id = $node->safe_psql('postgres', q{SELECT profile_id FROM adapty.identities WHERE customer_user_id = 'tom'});
my $jane = jwt(role => 'adapty_sdk', sub => 'jane');

# All that an attack could change.
my $everything = q{
	SELECT md5(string_agg(r, E'\n' ORDER BY r)) FROM (
		SELECT p::text FROM adapty.profiles p UNION ALL SELECT i::text FROM adapty.identities i UNION ALL
		SELECT g::text FROM adapty.access_grants g UNION ALL SELECT t::text FROM adapty.transactions t UNION ALL
		SELECT a.rolname || a.rolsuper FROM pg_roles a UNION ALL
		SELECT k.name || coalesce(k.revoked_at::text, '') FROM adapty.api_keys k UNION ALL
		SELECT c.oid::text || c.relname FROM pg_class c WHERE c.relnamespace = 'adapty'::regnamespace) AS x (r)};
my $before = $node->safe_psql('postgres', $everything);
my ($status, $body, $text, $head);

# attack(name, expected statuses, method, path, options)
sub attack
{
	my ($name, $expected, $method, $path, %options) = @_;
	($status, $body, $text, $head) = api($method, $path, %options);
	ok($status =~ /^(?:$expected)$/, "$name: $status") or diag "$head\n$text";
	ok(ref $body eq 'HASH' && defined $body->{error_code}, '... in the form of the API') or diag $text
	  if $status >= 400;
	unlike($text, qr/jane\@|tom\@|PGRST|hint|sqlstate|adapty\.|pg_catalog|postgres/i, '... telling nothing');
	return;
}

# ---- roles by headers ----
my @escalations = (
	'Role: adapty_server', 'X-Role: adapty_server', 'Prefer: params=single-object', 'Prefer: tx=commit', 'Accept-Profile: adapty', 'Content-Profile: adapty',
	'request.jwt.claims: {"role":"adapty_server"}', 'X-Original-Uri: /api/v2/server-side-api/profile/', 'X-Original-Method: GET', 'X-HTTP-Method-Override: GET',
	'X-Forwarded-For: 127.0.0.1', 'X-Adapty-Error: {}', 'Cookie: role=adapty_server', 'adapty_customer_user_id: jane', 'request.api_key: backend',
	'Forwarded: for=127.0.0.1', 'Content-Encoding: gzip', 'Range: items=0-0');
for my $line (@escalations)
{
	attack("a grant with \"$line\" and a user's token", 403, 'POST', $grant, bearer => $jane, user => 'jane', body => \%premium, headers => [$line]);
	attack("another's profile with \"$line\"", 403, 'GET', "$base/profile/", bearer => $jane, user => 'tom', headers => [$line]);
	attack("a profile with \"$line\" and nothing else", 401, 'GET', "$base/profile/", user => 'tom', headers => [$line]);
}
attack('another user by two headers', 403, 'GET', "$base/profile/", bearer => $jane, user => 'jane', profile => $tom_id);
attack('another user by two headers, the other way round', 403, 'GET', "$base/profile/", bearer => $jane, user => 'tom', profile => $jane_id);
attack('another user by a repeated header', '400|403', 'GET', "$base/profile/", bearer => $jane, user => 'jane', headers => ['adapty-customer-user-id: tom']);
attack('two credentials', 400, 'GET', "$base/profile/", bearer => $jane, key => $key, user => 'tom');
attack('a public key reads nobody', 403, 'GET', "$base/profile/", key => $public, user => 'jane');
attack('a public key with claims', 403, 'GET', "$base/profile/", key => $public, user => 'jane', headers => ['request.jwt.claims: {"sub":"jane"}']);

# ---- tokens ----
sub signed
{
	my ($header, $claims, $with) = @_;
	my $text = encode_base64url($header) . '.' . encode_base64url($claims);
	return "$text." . encode_base64url(hmac_sha256($text, $with));
}
my $claims = '{"role":"adapty_server"}';
my $good = jwt(role => 'adapty_server');
my %tokens = (
	'unsigned' => jwt(role => 'adapty_server', alg => 'none'),
	'unsigned, none in capitals' => encode_base64url('{"alg":"NONE"}') . '.' . encode_base64url($claims) . '.',
	'of an empty algorithm' => signed('{"alg":""}', $claims, ''),
	'signed by another secret' => signed('{"alg":"HS256","typ":"JWT"}', $claims, 'x' x 32),
	'signed by an empty secret' => signed('{"alg":"HS256","typ":"JWT"}', $claims, ''),
	'that claims a public key\'s algorithm' => signed('{"alg":"RS256","typ":"JWT"}', $claims, $AdaptyHttp::jwt_secret),
	'with a key of its own' => signed('{"alg":"HS256","jwk":{"kty":"oct","k":"eA"}}', $claims, 'x'),
	'cut off' => substr($good, 0, -2),
	'of yesterday' => jwt(role => 'adapty_server', exp => time - 86400),
	'of tomorrow' => jwt(role => 'adapty_server', nbf => time + 86400),
	'that is no JSON' => signed('{"alg":"HS256"}', 'role=adapty_server', $AdaptyHttp::jwt_secret),
	'without a role' => jwt(sub => 'jane'),
	'of dots' => '...', 'of a megabyte' => 'x' x 7000,
);
attack("a token $_", '400|401', 'GET', "$base/profile/", bearer => $tokens{$_}, user => 'jane') for sort keys %tokens;
attack("a token of the role $_", '401|403|500', 'POST', $grant, bearer => jwt(role => $_), user => 'jane', body => \%premium)
  for 'postgres', 'adapty_authenticator', 'adapty_analyst', 'adapty_anon', 'pg_read_all_data', 'no such role', '', 'adapty_server; SET ROLE postgres', 'ADAPTY_SERVER';
for my $own (jwt(role => 'adapty_sdk'), jwt(role => 'adapty_sdk', sub => ''), jwt(role => 'adapty_sdk', sub => undef), jwt(role => 'adapty_sdk', sub => ['jane']),
	jwt(role => 'adapty_sdk', profile_id => 'jane'), jwt(role => 'adapty_sdk', customer_user_id => { '$ne' => '' }))
{
	attack('a token of no user', '401|403', 'GET', "$base/profile/", bearer => $own, user => 'jane');
}

# ---- paths ----
my @paths = (
	'/rpc/v2_grant_access_level', '/rpc/grant_access_level', '/api/rpc/v2_get_profile', "$base/../../../rpc/v2_get_profile", '/api/../rpc/v2_get_profile',
	'/api/%2e%2e/rpc/v2_get_profile', "$base/profile/../profile/x", "/$base/profile/", "$base//profile/", "$base/profile//", "$base/profile/;x", "$base/profile/%0d%0aX-Evil:%20yes",
	"$base/PROFILE/", '/API/v2/server-side-api/profile/', "$base/profile/%00", "$base/profile%2f", "$base/profile/?x#y/../rpc", '/api/v2/server-side-api/profile\\',
	'/?select=*', '/profiles?select=*', '/api/v1/sdk/profiles/../../../rpc/', '/api/v2/server-side-api/paywalls/../profile/', '/.git/config', '/adapty-error', '*',
	'/api/v2/server-side-api/' . ('x/' x 3000));
attack('the path ' . substr($_, 0, 60), '400|404|405|414', 'GET', $_, key => $key, user => 'tom') for grep { !/x#y|profile\/;x$/ } @paths;
attack('a path that begins as one that there is', 404, 'GET', "$base/profile/;x", key => $key, user => 'tom');
attack('a line break in an id', '404', 'GET', '/api/v1/sdk/profiles/a%0d%0aX-Evil:%20yes/', key => $key);
unlike($head, qr/X-Evil/, '... makes no header');

# ---- what is not HTTP as it should be ----
my $auth = "Authorization: Api-Key $key\r\nadapty-customer-user-id: tom\r\n";
my $json = '{"access_level_id": "premium"}';
my %raw = (
	'no version' => "GET $base/profile/\r\n\r\n",
	'a version that there is not' => "GET $base/profile/ HTTP/9.9\r\nHost: x\r\n\r\n",
	'no host' => "GET $base/profile/ HTTP/1.1\r\n\r\n",
	'two lengths' => "POST $grant HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 50\r\nConnection: close\r\n\r\n$json",
	'length and chunks' => "POST $grant HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\nDELETE $base/profile/ HTTP/1.1\r\nHost: x\r\n${auth}\r\n",
	'chunks that are none' => "POST $grant HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n$json",
	'another coding' => "POST $grant HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
	'a header of 100 kB' => "GET $base/profile/ HTTP/1.1\r\nHost: x\r\nX: " . ('x' x 100000) . "\r\n\r\n",
	'a NUL in a header' => "GET $base/profile/ HTTP/1.1\r\nHost: x\r\nadapty-customer-user-id: a\0b\r\nConnection: close\r\n\r\n",
	'a header that is not UTF-8' => "GET $base/profile/ HTTP/1.1\r\nHost: x\r\nAuthorization: Api-Key $key\r\nadapty-customer-user-id: J\xfcrgen\r\nConnection: close\r\n\r\n",
	'a path that is not ASCII' => "GET $base/profile/\xff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	'a folded header' => "GET $base/profile/ HTTP/1.1\r\nHost: x\r\nX: a\r\n b: c\r\nConnection: close\r\n\r\n",
	'another protocol' => "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
	'CONNECT' => "CONNECT 127.0.0.1:5432 HTTP/1.1\r\nHost: x\r\n\r\n",
	'TRACE' => "TRACE $base/profile/ HTTP/1.1\r\nHost: x\r\n${auth}Connection: close\r\n\r\n",
	'a method that there is not' => "GRANT $base/profile/ HTTP/1.1\r\nHost: x\r\n${auth}Connection: close\r\n\r\n",
);
for my $name (sort keys %raw)
{
	my $socket_answer = http_raw($raw{$name} . ($name eq 'another protocol' ? "\r\n\r\n" : ''));
	unlike($socket_answer, qr{^HTTP/1.1 2|"profile_id"}, "$name is not served");
	unlike($socket_answer, qr{secret_live}, '... and tells nothing');
}

# ---- large bodies ----
my $megabytes = 'x' x (10 << 20);
for my $endpoint ([ 'POST', "$base/profile/" ], [ 'PATCH', "$base/profile/" ], [ 'POST', "$base/purchase/set/transaction/" ], [ 'POST', $grant ],
	[ 'POST', "$base/integration/profile/set/integration-identifiers/" ], [ 'POST', '/api/v1/sdk/profiles/' ], [ 'GET', "$base/profile/" ])
{
	attack("10 MB to $endpoint->[0] $endpoint->[1]", 413, $endpoint->[0], $endpoint->[1], key => $key, user => 'tom', body => $megabytes);
}
attack('2 MB to PostgREST itself', '401|403|404|413', 'POST', '/rpc/v2_create_profile', key => $key, user => 'tom', port => $api->{postgrest_port},
	body => 'x' x (2 << 20), type => 'application/octet-stream');
attack('a number of 100000 digits', 400, 'POST', $grant, key => $key, user => 'tom', body => '{"access_level_id": ' . ('9' x 100000) . '}');
attack('an exponent beyond all measure', 400, 'POST', $grant, key => $key, user => 'tom', body => '{"access_level_id": 1e999999999}');
attack('objects 10000 deep', 400, 'POST', $grant, key => $key, user => 'tom', body => ('{"a":' x 10000) . '1' . ('}' x 10000));

is($node->safe_psql('postgres', $everything), $before, 'nothing has changed by all of this');

# ---- SQL and the like in every field: stored as it is, or refused, and never run ----
my @poison = ("'; DROP TABLE adapty.profiles; --", '$$; SELECT pg_sleep(10); $$', "\\'; --", '%s%n%x', '${jndi:ldap://x}', '<script>alert(1)</script>', "a\nb\r\nX: y", "\xe2\x80\xae\xf0\x9f\x98\x80", '{{7*7}}', "null'", "Robert\"); --");
utf8::decode($_) for @poison;
for my $poison (@poison)
{
	(my $shown = $poison) =~ s/[^ -~]/?/g;
	($status, $body, $text) = api('POST', '/api/v1/sdk/profiles/', key => $key, body => { customer_user_id => $poison, first_name => $poison,
			custom_attributes => { key => $poison } });
	is("$status " . ($body->{data}{customer_user_id} // ''), "200 $poison", "a user of the name $shown");
	is($node->safe_psql('postgres', 'SELECT first_name FROM adapty.profiles WHERE profile_id = ' . "'$body->{data}{profile_id}'"),
		do { my $bytes = $poison; utf8::encode($bytes); $bytes }, '... is stored as it is') unless $poison =~ /\n/;
	for my $field (qw(gender birthday email ip_country store store_account_token ip_v4_address))
	{
		($status, $body) = api('PATCH', "$base/profile/", key => $key, user => 'tom', body => { $field => $poison });
		ok($status == 400, "$field: refused") or diag $status;
	}
	for my $field (qw(purchase_type store store_product_id environment purchased_at offer price cancellation_reason))
	{
		($status, $body) = api('POST', "$base/purchase/set/transaction/", key => $key, user => 'tom', body => {
			purchase_type => 'one_time_purchase', store => 'app_store', store_product_id => 'x', store_transaction_id => 'attack', store_original_transaction_id => 'x',
			price => { country => 'US', currency => 'USD', value => 1 }, purchased_at => 'no', $field => $poison });
		ok($status == 400, "transaction.$field: refused") or diag $status;
	}
	($status, $body) = api('POST', $grant, key => $key, user => 'tom', body => { access_level_id => $poison });
	ok($status == 404 || $status == 400, 'access_level_id: refused') or diag $status;
	next if $poison =~ /[\r\n]/;
	my $bytes = $poison;
	utf8::encode($bytes);
	($status, $body) = api('GET', "$base/profile/", key => $key, user => $bytes);
	is($status, 200, 'by the header');
	($status, $body) = api('GET', "$base/profile/", key => $key, profile => $bytes);
	ok($status == 404 || $status == 400, 'as a profile id: refused');
	($status, $body) = api('GET', "$base/profile/", key => $bytes, user => 'tom');
	ok($status == 401 || $status == 400, 'as a key: refused') or diag $status;
}
is($node->safe_psql('postgres', q{SELECT count(*) FROM adapty.profiles}), 2 + @poison, 'the tables are there, and nobody else has come to be');
is($node->safe_psql('postgres', q{SELECT count(*) FROM adapty.access_grants}), 0, 'nobody has been given access');
is($node->safe_psql('postgres', q{SELECT count(*) FROM adapty.transactions}), 0, 'nothing has been bought');

# PostgREST itself, should somebody get past the web server: the same rights
for my $path ('/rpc/v2_get_profile', '/rpc/v2_grant_access_level', '/')
{
	($status) = api('POST', $path, user => 'tom', body => '', type => 'application/octet-stream', port => $api->{postgrest_port});
	ok($status == 401 || $status == 404 || $status == 405, "PostgREST's $path without a key: $status");
	($status) = api('POST', $path, user => 'tom', bearer => $jane, body => '', type => 'application/octet-stream', port => $api->{postgrest_port});
	ok($status == 400 || $status == 403 || $status == 404 || $status == 405, "PostgREST's $path with a user's token: $status");
}

done_testing();
