# A hundred users redeem a code with ten left at once: ten get it. Dumped and restored, codes stay what they were.
use strict;
use warnings;

use AdaptyNode;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = adapty_node('promo', conf => "max_connections = 130\nadapty.scheduler = off\n");
$node->safe_psql('postgres', 'CREATE EXTENSION adapty');
$node->safe_psql('postgres', "SELECT adapty.create_profile('user' || n) FROM generate_series(0, 99) n");

# One redemption by each of 100 clients that begin together; a refusal ends its client.
sub redeem_by_all
{
	my ($script) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir . '/redeem.sql';

	append_to_file($file, $script);
	my ($stdout, $stderr) = run_command([
			'pgbench', '-n', '-c', 100, '-j', 2, '-t', 1, '-f', $file, '-h', $node->host, '-p', $node->port, 'postgres' ]);
	my $refused = () = $stderr =~ /promo code "ten-left" is not valid/g;
	return $refused;
}

$node->safe_psql('postgres',
	"SELECT adapty.create_promo_codes('Ten left', 'premium', duration => '7 days', code => 'TENLEFT', max_redemptions => 12)");
$node->safe_psql('postgres', "SELECT adapty.create_profile('early' || n) FROM generate_series(1, 2) n");
$node->safe_psql('postgres', "SELECT adapty.redeem_promo_code('early' || n, 'TENLEFT') FROM generate_series(1, 2) n");
is($node->safe_psql('postgres', "SELECT max_redemptions - redemptions FROM adapty.check_promo_code('TENLEFT')"),
	'10', 'ten are left');
is(redeem_by_all("SELECT adapty.redeem_promo_code('user' || :client_id, 'ten-left');\n"), 90, 'ninety are refused');
is($node->safe_psql('postgres', <<'SQL'), '12|12|12|12|12', 'ten more grants, redemptions and events');
SELECT (SELECT redemptions FROM adapty.promo_codes),
       (SELECT count(*) FROM adapty.promo_code_redemptions),
       (SELECT count(DISTINCT profile_id) FROM adapty.access_grants WHERE source = 'promo_code'),
       (SELECT count(*) FROM adapty.events WHERE source = 'promo_code' AND is_active),
       (SELECT count(*) FROM adapty.profiles WHERE adapty.has_access(profile_id, 'premium'))
SQL

# --- a hundred thousand codes, dumped and restored ---
$node->safe_psql('postgres',
	"SELECT adapty.create_promo_codes('Bulk', 'premium', duration => '7 days', codes => 100000)");
my $picture = <<'SQL';
SELECT md5(string_agg(t, '' ORDER BY t)) FROM (
    SELECT b::text FROM adapty.promo_code_batches b
    UNION ALL SELECT c::text FROM adapty.promo_codes c
    UNION ALL SELECT r::text FROM adapty.promo_code_redemptions r) AS x (t)
SQL
my $before = $node->safe_psql('postgres', $picture);
my $dump = PostgreSQL::Test::Utils::tempdir . '/dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('postgres') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('restored'), $dump ], 'pg_restore');
is($node->safe_psql('restored', $picture), $before, 'codes and redemptions are restored');
is($node->safe_psql('restored', 'SELECT count(*) FROM adapty.events'), '12', 'and no events are made');
my ($status, $out, $err) = $node->psql('restored', "SELECT adapty.redeem_promo_code('user0', 'TENLEFT')");
like($err, qr/not valid|already/, 'a code that is used up stays so');

$node->stop;
done_testing();
