# A hundred spends of the last coin at once: one succeeds. Dumped and restored, balances and ledger stay what they were.
use strict;
use warnings;

use AdaptyNode;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = adapty_node('coins', conf => "max_connections = 130\nadapty.scheduler = off\n");
$node->safe_psql('postgres', 'CREATE EXTENSION adapty');
$node->safe_psql('postgres', <<'SQL');
SELECT adapty.define_virtual_currency('COINS');
SELECT adapty.create_profile('jane');
SELECT adapty.create_virtual_currency_transaction('jane', '[{"currency_code": "COINS", "amount": 1}]');
SQL

# Runs a script once in each of 100 clients that begin together; a refusal ends its client.
sub run_by_all
{
	my ($script) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir . '/script.sql';

	append_to_file($file, $script);
	my ($stdout, $stderr) = run_command([
			'pgbench', '-n', '-c', 100, '-j', 2, '-t', 1, '-f', $file, '-h', $node->host, '-p', $node->port, 'postgres' ]);
	my $refused = () = $stderr =~ /insufficient balance/g;
	return $refused;
}
my $spend = q(SELECT adapty.create_virtual_currency_transaction('jane', '[{"currency_code": "COINS", "amount": -1}]'));
my $state = q(SELECT b.balance, sum(t.amount), count(*), min(t.balance_after) FROM adapty.virtual_currency_balances b JOIN adapty.virtual_currency_transactions t USING (profile_id, currency_code) GROUP BY 1);

is(run_by_all("$spend;\n"), 99, 'of a hundred spends of the last coin ninety-nine are refused');
is($node->safe_psql('postgres', $state), '0|0|2|0', 'one succeeded');

# A hundred tries with one key are one transaction.
$node->safe_psql('postgres', q(SELECT adapty.create_virtual_currency_transaction('jane', '[{"currency_code": "COINS", "amount": 50}]')));
(my $keyed = $spend) =~ s/\)$/, idempotency_key => 'the same')/;
is(run_by_all("$keyed;\n"), 0, 'a request repeated a hundred times is not refused');
is($node->safe_psql('postgres', $state), '49|49|4|0', 'and is one transaction');

# A hundred different users do not wait for each other, and all get theirs.
$node->safe_psql('postgres', q(SELECT adapty.create_profile('user' || n) FROM generate_series(0, 99) n));
is(run_by_all(q(SELECT adapty.create_virtual_currency_transaction('user' || :client_id, '[{"currency_code": "COINS", "amount": 3}]');) . "\n"), 0, 'a hundred users');
is($node->safe_psql('postgres', 'SELECT sum(balance) FROM adapty.virtual_currency_balances'), '349', 'each has what was credited');

my $picture = <<'SQL';
SELECT md5(string_agg(t, '' ORDER BY t)) FROM (
    SELECT b::text FROM adapty.virtual_currency_balances b
    UNION ALL SELECT c::text FROM adapty.virtual_currencies c
    UNION ALL SELECT r::text FROM adapty.virtual_currency_transactions r) AS x (t)
SQL
my $before = $node->safe_psql('postgres', $picture);
my $dump = PostgreSQL::Test::Utils::tempdir . '/dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('postgres') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('restored'), $dump ], 'pg_restore');
is($node->safe_psql('restored', $picture), $before, 'balances and ledger are restored');
is($node->safe_psql('restored', "$spend -> 'balances' -> 0 -> 'balance'"), '48', 'and go on from there');

$node->stop;
done_testing();
