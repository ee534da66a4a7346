# scripts/migrate-from-adapty, from an API that answers as Adapty's does (this one, of another database) and that
# fails at times, into an empty database.
use strict;
use warnings;

use AdaptyHttp;
use AdaptyNode;
use File::Basename qw(dirname);
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

if (my $missing = missing_binaries()) { plan skip_all => $missing; }
plan skip_all => 'curl is not installed' if system('curl --version >/dev/null 2>&1') != 0;

my $node = adapty_node('migrate');
$node->safe_psql('postgres', 'CREATE EXTENSION adapty; CREATE DATABASE target');
$node->safe_psql('target', 'CREATE EXTENSION adapty');
my $api = api_start($node);
my $key = api_key($node, 'secret', 'migration');
my $script = dirname(__FILE__) . '/../../scripts/migrate-from-adapty';
my $dir = PostgreSQL::Test::Utils::tempdir;
my $json = JSON::PP->new->canonical;

# ---- the old app ----
my @products = (q{SELECT adapty.define_product('Monthly', 'premium', 'monthly', '[{"store": "app_store", "store_product_id": "monthly"}]')},
	q{SELECT adapty.define_access_level('gold')}, q{SELECT adapty.define_product('Gold', 'gold', 'lifetime', '[{"store": "stripe", "store_product_id": "gold"}]')});
$node->safe_psql('postgres', join(';', @products) . <<'SQL');
;
SELECT adapty.create_profile('user-' || i, '{"email": "u@example.com", "first_name": "Ann", "custom_attributes": {"level": 5, "plan": "b"}}') FROM generate_series(1, 20) i;
SELECT adapty.create_profile('a/b ''c" \ é');
SELECT adapty.grant_access_level('user-1', 'premium', is_lifetime => true);
SELECT adapty.grant_access_level('user-2', 'premium', expires_at => '2124-01-01');
SELECT adapty.grant_access_level('user-3', 'premium', starts_at => '2020-01-01', expires_at => '2021-01-01');
SELECT adapty.set_transaction('user-4', '{"purchase_type": "subscription", "store": "app_store", "store_product_id": "monthly", "store_transaction_id": "4b",
    "store_original_transaction_id": "4", "price": {"country": "US", "currency": "USD", "value": 5}, "purchased_at": "2024-01-15T10:30:00Z",
    "originally_purchased_at": "2023-01-15T10:30:00Z", "expires_at": "2124-02-15T10:30:00Z", "renew_status": true}');
SELECT adapty.set_transaction('user-5', '{"purchase_type": "one_time_purchase", "store": "stripe", "store_product_id": "gold", "store_transaction_id": "5",
    "store_original_transaction_id": "5", "price": {"country": "US", "currency": "USD", "value": 50}, "purchased_at": "2024-01-15T10:30:00Z"}');
SQL
my $ids = "$dir/ids";
append_to_file($ids, join("\n", (map { "user-$_" } 1 .. 20), "a/b 'c\" \\ \xc3\xa9", 'not there', '') . "\n");

# What is to be the same in both, by SQL.
my $facts = q{
	SELECT i.customer_user_id, i.profile_id, p.email, p.first_name, p.custom_attributes, date_trunc('second', p.created_at),
		(SELECT string_agg(l.access_level_id || l.is_active || coalesce(l.expires_at::text, 'for life') || l.store, ',' ORDER BY l.access_level_id)
			FROM adapty.profile_access_levels l WHERE l.profile_id = i.profile_id AND (l.is_active OR l.store <> 'adapty')),
		(SELECT string_agg(s.store || s.store_original_transaction_id || s.store_transaction_id || s.renew_status || s.originally_purchased_at, ',') FROM adapty.subscriptions s WHERE s.profile_id = i.profile_id),
		(SELECT string_agg(t.store || t.store_transaction_id || t.purchased_at, ',') FROM adapty.transactions t WHERE t.profile_id = i.profile_id)
	FROM adapty.identities i JOIN adapty.profiles p USING (profile_id) ORDER BY 1};

# migrate(options): exit status, standard error
sub migrate
{
	my (@options) = @_;
	local $ENV{ADAPTY_API_KEY} = $key;
	my ($out, $err) = ('', '');
	my $result = IPC::Run::run([ $script, '--database', $node->connstr('target'), '--batch', 4, @options ], '>', \$out, '2>', \$err);
	return ($? >> 8, $err);
}

# ---- a server in front that fails at times: it answers 503 or 429, or hangs up ----
my $proxy_port = PostgreSQL::Test::Cluster::get_free_port();
my $proxy = fork // die $!;
if ($proxy == 0)
{
	my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $proxy_port, Listen => 20, ReuseAddr => 1) or die $!;
	my $n = 0;
	while (my $client = $listen->accept)
	{
		my $request = '';
		while ($request !~ /\r\n\r\n/ && sysread $client, my $part, 65536) { $request .= $part; }
		$n++;
		if ($n % 9 == 0) { close $client; next; }
		if ($n % 7 == 0) { print $client "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"; close $client; next; }
		if ($n % 5 == 0) { print $client "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"; close $client; next; }
		$request =~ s/\r\n\r\n/\r\nConnection: close\r\n\r\n/;
		print $client http_raw($request, $api->{port});
		close $client;
	}
	require POSIX;
	POSIX::_exit(0);
}
END { my $status = $?; if ($proxy) { kill 'TERM', $proxy; waitpid $proxy, 0; } $? = $status; }
my $from = "http://127.0.0.1:$proxy_port";

# ---- in two runs ----
$node->safe_psql('target', join ';', @products);
my ($status, $err) = migrate('--ids', $ids, '--from', $from, '--limit', 6);
is($status, 0, 'the first run') or diag $err;
like($err, qr/to be sent again/, 'requests that failed were sent again');
like($err, qr/^6 users done: 6 written/m, 'it says how far it has come');
is($node->safe_psql('target', 'SELECT count(*) FROM adapty.profiles'), 6, 'as many users as were asked for');
unlike($err, qr/\Q$key\E/, 'the key is not shown');
($status, $err) = migrate('--ids', $ids, '--from', $from);
is($status, 0, 'the second run') or diag $err;
like($err, qr/^going on after 6 users/m, 'goes on there');
like($err, qr/^23 users done: 21 written, 1 not there, 1 skipped, 0 rows refused/m, 'and counts all') or diag $err;
is($node->safe_psql('target', $facts), $node->safe_psql('postgres', $facts), 'all is there as it was: ids, attributes, access, purchases');
is($node->safe_psql('target', q{SELECT count(*) FROM adapty.events WHERE event_type <> 'access_level_updated'}), 0, 'purchases of the past make no events');
is($node->safe_psql('target', q{SELECT count(*) FROM adapty.imports}), 0, 'nothing is left of the imports');

# again from the beginning: nothing changes
my $everything = q{SELECT md5(string_agg(x::text, '' ORDER BY x::text)) FROM (SELECT to_jsonb(g) - 'updated_at' FROM adapty.access_grants g UNION ALL SELECT to_jsonb(t) - 'updated_at' FROM adapty.transactions t UNION ALL SELECT to_jsonb(e) FROM adapty.events e) x};
my $before = $node->safe_psql('target', $everything);
unlink "$ids.state";
($status, $err) = migrate('--ids', $ids, '--from', "http://127.0.0.1:$api->{port}");
is("$status " . ($node->safe_psql('target', $everything) eq $before), '0 1', 'written twice it is the same') or diag $err;

# ---- by way of a file, into a database that does not know the products ----
unlink "$ids.state";
($status, $err) = migrate('--ids', $ids, '--from', "http://127.0.0.1:$api->{port}", '--save', "$dir/users.jsonl");
is($status, 0, 'users are saved') or diag $err;
is(scalar(my @lines = split /\n/, slurp_file("$dir/users.jsonl")), 21, 'a line each');
$node->safe_psql('postgres', 'DROP DATABASE target WITH (FORCE)');
$node->safe_psql('postgres', 'CREATE DATABASE target');
$node->safe_psql('target', 'CREATE EXTENSION adapty');
($status, $err) = migrate('--export', "$dir/users.jsonl");
is($status, 0, 'and loaded') or diag $err;
like($err, qr/user-5: gold is active there and not here/, 'what is different is said');
unlink "$dir/users.jsonl.state";
($status, $err) = migrate('--export', "$dir/users.jsonl", '--keep-access');
is($node->safe_psql('target', q{SELECT string_agg(i.customer_user_id || l.access_level_id || l.is_active || coalesce(l.expires_at::text, ''), ' ' ORDER BY i.customer_user_id)
	FROM adapty.profile_access_levels l JOIN adapty.identities i USING (profile_id) WHERE l.is_active AND i.customer_user_id IN ('user-4', 'user-5')}),
	'user-4premiumtrue2124-02-15 10:30:00+00 user-5goldtrue', '--keep-access gives it all the same');

# ---- what goes wrong ----
{
	my ($out, $wrong) = ('', '');
	delete local $ENV{ADAPTY_API_KEY};
	IPC::Run::run([ $script, '--ids', $ids ], '>', \$out, '2>', \$wrong);
	like($wrong, qr/ADAPTY_API_KEY is not set/, 'no key');
	local $ENV{ADAPTY_API_KEY} = 'secret_live_wrong.key';
	unlink "$ids.state";
	IPC::Run::run([ $script, '--ids', $ids, '--from', "http://127.0.0.1:$api->{port}" ], '>', \$out, '2>', \$wrong);
	like($wrong, qr/the API refuses the key \(status 401\)/, 'a wrong key');
}
($status, $err) = migrate('--ids', $ids, '--from', 'http://127.0.0.1:1', '--tries', 1);
like($err, qr/the API does not answer/, 'no API');
append_to_file("$dir/broken.jsonl", "{\"profile\":\n");
($status, $err) = migrate('--export', "$dir/broken.jsonl");
like($err, qr/is not JSON/, 'a file that is broken');
isnt($status, 0, 'is a failure');

done_testing();
