# Virtual currencies over real HTTP: the requests and answers of the documentation, every documented error, idempotency.
use strict;
use warnings;

use AdaptyHttp;
use AdaptyNode;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

if (my $missing = missing_binaries()) { plan skip_all => $missing; }

my $node = adapty_node('api_currencies', conf => "timezone = 'Asia/Kathmandu'");
$node->safe_psql('postgres', 'CREATE EXTENSION adapty');
my $api = api_start($node);
my $key = api_key($node, 'secret', 'backend');
my $public = api_key($node, 'public', 'web page');
my ($status, $body, $text, $head);

# One request of a user to .../vc/...
sub vc
{
	my ($method, $path, %options) = @_;
	($status, $body, $text, $head) = api($method, "/api/v2/server-side-api/vc$path", key => $key, user => 'jane', %options);
	return;
}
sub items { return { items => [ map { { currency_code => $_->[0], amount => $_->[1] } } @_ ] }; }

vc('GET', '/balances/');
error_is($status, $body, 404, 'profile_does_not_exist', 'nobody has balances', undef);
$node->safe_psql('postgres', "SELECT adapty.create_profile('jane'), adapty.create_profile('tom')");
vc('GET', '/balances/');
like($text, qr/^\{"response_created_at":\d{13},"data":\[\]\}$/, 'an app without currencies has no balances');
$node->safe_psql('postgres', "SELECT adapty.define_virtual_currency(c, n) FROM (VALUES ('COINS', 'Gold Coins'), ('GEMS', 'Gems'), ('SILVER', 'Silver'), ('GOLD', 'Gold')) x (c, n)");

# ---- transactions, as the documentation shows them ----
vc('POST', '/transactions/', body => items([ 'COINS', 500 ]));
is($status, 200, 'a credit');
like($text, qr/^\{"transaction_id":"[0-9a-f-]{36}","balances":\[\{"code":"COINS","name":"Gold Coins","balance":500,"held":0,"available":500\}\]\}$/,
	'is answered with the members of the documentation in their order');
vc('POST', '/transactions/', body => items([ 'COINS', -10 ]));
is($body->{balances}[0]{balance}, 490, 'a debit');
vc('POST', '/transactions', body => items([ 'GOLD', 60 ], [ 'SILVER', 300 ]));
is($status, 200, 'several at once, and without the last slash');
vc('POST', '/transactions/', body => items([ 'GOLD', -50 ], [ 'SILVER', -200 ]));
is_deeply([ map { "$_->{code} $_->{balance}" } @{ $body->{balances} } ], [ 'GOLD 10', 'SILVER 100' ], 'two debits');
vc('POST', '/transactions/', body => { %{ items([ 'SILVER', -100 ], [ 'GOLD', 10 ]) }, metadata => { reason => 'exchange' }, comment => 'not known' });
is_deeply([ map { "$_->{code} $_->{balance}" } @{ $body->{balances} } ], [ 'SILVER 0', 'GOLD 20' ], 'a conversion; members that the API does not know are ignored');
vc('GET', '/balances/');
is_deeply([ map { "$_->{code} $_->{name} $_->{balance} $_->{held} $_->{available}" } @{ $body->{data} } ],
	[ 'COINS Gold Coins 490 0 490', 'GEMS Gems 0 0 0', 'GOLD Gold 20 0 20', 'SILVER Silver 0 0 0' ], 'balances of all currencies, 0 included');

# ---- every documented error ----
my $before = $text =~ s/.*"data"//r;
for my $case (
	[ 400, 'insufficient_balance', 'currency_code', items([ 'COINS', 5 ], [ 'GOLD', -21 ]) ],
	[ 400, 'unknown_currency', 'currency_code', items([ 'RUBIES', 1 ]) ],
	[ 400, 'unknown_currency', 'currency_code', items([ q{'; DROP TABLE adapty.profiles; --}, 1 ]) ],
	[ 400, 'duplicate_currency', 'currency_code', items([ 'COINS', 1 ], [ 'coins', 1 ]) ],
	[ 400, 'amount_zero', 'amount', items([ 'COINS', 0 ]) ],
	[ 400, 'balance_overflow', 'currency_code', items([ 'COINS', 2147483647 ]) ],
	[ 400, 'empty_items', 'items', { items => [] } ],
	[ 422, 'validation_error', 'items', items(map { [ "C$_", 1 ] } 1 .. 21) ],
	[ 422, 'validation_error', 'items', {} ],
	[ 422, 'validation_error', 'items', { items => undef } ],
	[ 422, 'validation_error', 'items', { items => { currency_code => 'COINS', amount => 1 } } ],
	[ 422, 'validation_error', 'items.0', { items => [5] } ],
	[ 422, 'validation_error', 'items.0.amount', items([ 'COINS', '5' ]) ],
	[ 422, 'validation_error', 'items.0.amount', items([ 'COINS', 1.5 ]) ],
	[ 422, 'validation_error', 'items.0.amount', items([ 'COINS', 2147483648 ]) ],
	[ 422, 'validation_error', 'items.0.amount', { items => [ { currency_code => 'COINS' } ] } ],
	[ 422, 'validation_error', 'items.1.currency_code', { items => [ { currency_code => 'COINS', amount => 1 }, { amount => 1 } ] } ],
	[ 422, 'validation_error', 'metadata', { %{ items([ 'COINS', 1 ]) }, metadata => { map { $_ => '1' } 'a' .. 'f' } } ],
	[ 422, 'validation_error', 'metadata', { %{ items([ 'COINS', 1 ]) }, metadata => { Reason => '1' } } ],
	[ 422, 'validation_error', 'metadata', { %{ items([ 'COINS', 1 ]) }, metadata => { reason => 'x' x 201 } } ],
	[ 422, 'validation_error', 'metadata', { %{ items([ 'COINS', 1 ]) }, metadata => 'text' } ],
	[ 400, 'parse_error', undef, '{"items": [' ],
	[ 400, 'base_error', 'non_field_errors', [ 1 ] ],
  )
{
	my ($expected, $code, $source, $request) = @$case;
	vc('POST', '/transactions/', body => $request);
	error_is($status, $body, $expected, $code, "$code of " . (ref $request eq 'HASH' ? join(' ', $source, %$request ? '' : 'missing') : 'a body'), $source);
}
vc('POST', '/transactions/', user => 'nobody', body => items([ 'COINS', 1 ]));
error_is($status, $body, 404, 'profile_does_not_exist', 'no such profile', undef);
vc('POST', '/transactions/', key => undef, body => items([ 'COINS', 1 ]));
error_is($status, $body, 401, 'not_authenticated', 'no key');
vc('POST', '/transactions/', key => $public, body => items([ 'COINS', 1 ]));
is($status, 403, 'a public key may not credit');
vc('POST', '/transactions/', key => undef, bearer => jwt(role => 'adapty_sdk', customer_user_id => 'jane'), body => items([ 'COINS', 1 ]));
is($status, 403, 'nor may a user');
vc('DELETE', '/transactions/');
error_is($status, $body, 405, 'method_not_allowed', 'another method');
vc('GET', '/balances/');
is($text =~ s/.*"data"//r, $before, 'none of that has changed a balance');

# ---- Idempotency-Key ----
my $uuid = '7c9e6679-7425-40de-944b-e07fc1f90ae7';
vc('POST', '/transactions/', body => items([ 'COINS', 7 ]), headers => ["Idempotency-Key: $uuid"]);
my $first = $text;
vc('POST', '/transactions/', body => items([ 'COINS', 7 ]), headers => ['Idempotency-Key: ' . uc $uuid]);
is($text, $first, 'the same key again: the answer of the first time');
vc('POST', '/transactions/', body => items([ 'COINS', 8 ]), headers => ["Idempotency-Key: $uuid"]);
error_is($status, $body, 422, 'idempotency_key_reuse', 'with another request: refused');
vc('POST', '/transactions/', user => 'tom', body => items([ 'COINS', 8 ]), headers => ["Idempotency-Key: $uuid"]);
is($body->{balances}[0]{balance}, 8, 'keys are a profile\'s own');
for my $bad ('1', '7c9e6679-7425-10de-944b-e07fc1f90ae7', '7c9e6679-7425-40de-144b-e07fc1f90ae7')
{
	vc('POST', '/transactions/', body => items([ 'COINS', 1 ]), headers => ["Idempotency-Key: $bad"]);
	error_is($status, $body, 400, 'idempotency_key_invalid', "no UUID of version 4: $bad", 'Idempotency-Key');
}

# ---- history ----
vc('GET', '/transactions/');
like($text, qr/^\{"data":\[\{"transaction_id":"[0-9a-f-]{36}","transaction_type":"api_transaction","items":\[\{"currency_code":"COINS","amount":7,"balance_after":497\}\],"created_at":"[0-9T:.-]+\+00:00"\},/,
	'the history, newest first, with the members of the documentation in their order');
like($text, qr/"pagination":\{"next_cursor":null\}\}$/, 'all on one page');
like($text, qr/"metadata":\{"reason": ?"exchange"\}/, 'with metadata where there are any');
my @pages;
my $cursor = '';
do
{
	vc('GET', '/transactions/?limit=2&currency_code=coins' . ($cursor eq '' ? '' : "&cursor=$cursor"));
	push @pages, join ' ', map { $_->{items}[0]{amount} } @{ $body->{data} };
	$cursor = $body->{pagination}{next_cursor};
} while (defined $cursor && @pages < 9);
is_deeply(\@pages, [ '7 -10', '500' ], 'page by page, of one currency');
vc('GET', '/transactions/?cursor=MjAyNi0wNS0yMFQ');
error_is($status, $body, 400, 'invalid_cursor', 'a cursor that no page gave', 'cursor');
for my $limit (0, 101, 'x', '1e1', '99999999999')
{
	vc('GET', "/transactions/?limit=$limit");
	error_is($status, $body, 400, 'base_error', "limit $limit", 'limit');
}
vc('GET', '/transactions/', key => undef, bearer => jwt(role => 'adapty_sdk', customer_user_id => 'jane'));
is(scalar @{ $body->{data} }, 6, 'a user sees its own history');
vc('GET', '/transactions/', user => 'tom', key => undef, bearer => jwt(role => 'adapty_sdk', customer_user_id => 'jane'));
is($status, 403, 'and nobody else\'s');
vc('GET', '/balances/', user => 'tom', key => undef, bearer => jwt(role => 'adapty_sdk', customer_user_id => 'jane'));
is($status, 403, 'nor their balances');

$node->stop;
done_testing();
