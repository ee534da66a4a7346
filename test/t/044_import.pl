# Imports: rows that are not loaded yet survive a dump, a crash and a cancelled load; access that was loaded lapses in time.
use strict;
use warnings;

use AdaptyNode;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = adapty_node('import');
$node->safe_psql('postgres', 'CREATE DATABASE app');
$node->safe_psql('app', 'CREATE EXTENSION adapty');
wait_scheduler($node, 'app');
$node->safe_psql('app', q{SELECT adapty.define_product('P', 'premium', 'monthly', '[{"store": "stripe", "store_product_id": "p"}]')});

# A file as a tool would write it: every tenth row is wrong.
my $dir = PostgreSQL::Test::Utils::tempdir;
my $columns = 'user_id,purchase_type,store,store_product_id,store_transaction_id,store_original_transaction_id,purchased_at,originally_purchased_at,expires_at,renew_status,price_country,price_currency,price_value';
my $write = sub {
	my ($file, $prefix, $expires_at) = @_;
	append_to_file("$dir/$file", "$columns\n" . join('', map {
		my $currency = $_ % 10 == 0 ? 'usd' : 'USD';
		"$prefix$_,subscription,stripe,p,$prefix$_,$prefix$_,2024-01-01T00:00:00Z,2024-01-01T00:00:00Z,$expires_at,false,US,$currency,1\n" } 1 .. 1000));
};
$write->('one.csv', 'one', '2099-01-01T00:00:00Z');
is($node->safe_psql('app', "SELECT adapty.begin_import('one');\n\\copy adapty.import_transactions ($columns) FROM '$dir/one.csv' WITH (FORMAT csv, HEADER match)"), '1', 'begun and copied');

# Dumped before it is loaded, and loaded in the copy.
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/app.dump", $node->connstr('app') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE copied');
$node->command_ok([ 'pg_restore', '-d', $node->connstr('copied'), "$dir/app.dump" ], 'pg_restore');
is($node->safe_psql('copied', 'SELECT loaded, rejected, profiles_created FROM adapty.load_import(1)'), '900|100|900', 'the copy loads it');
is($node->safe_psql('copied', 'SELECT string_agg(line::text, \' \' ORDER BY line) FROM (SELECT line FROM adapty.import_errors ORDER BY line LIMIT 3) e'), '11 21 31', 'lines of the file');
is($node->safe_psql('copied', 'SELECT count(*) FROM adapty.events'), '0', 'in silence');
is($node->safe_psql('copied', "SELECT adapty.begin_import('two')"), '2', 'numbers go on after the restore');

# What is dumped after the load is restored with its errors and rejected rows.
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/copied.dump", $node->connstr('copied') ], 'pg_dump of the copy');
$node->safe_psql('postgres', 'CREATE DATABASE again');
$node->command_ok([ 'pg_restore', '-d', $node->connstr('again'), "$dir/copied.dump" ], 'pg_restore of it');
is($node->safe_psql('again', "UPDATE adapty.import_transactions SET price_currency = 'USD'; SELECT loaded, known, rejected FROM adapty.load_import(1)"), '100|0|0', 'put right and loaded there');

# A load that is cancelled leaves nothing, and can be repeated; so after a crash.
$node->psql('app', "SET statement_timeout = '1ms'; SELECT adapty.load_import(1)");
is($node->safe_psql('app', 'SELECT count(*) FROM adapty.transactions'), '0', 'a cancelled load has done nothing');
$node->safe_psql('app', 'CHECKPOINT');
$node->psql('app', 'BEGIN; SELECT adapty.load_import(1); SELECT pg_terminate_backend(pg_backend_pid())');
$node->stop('immediate');
$node->start;
is($node->safe_psql('app', 'SELECT count(*), (SELECT count(*) FROM adapty.transactions) FROM adapty.import_transactions'), '1000|0', 'the rows are still there after a crash');
is($node->safe_psql('app', 'SELECT loaded, rejected FROM adapty.load_import(1)'), '900|100', 'and are loaded');
wait_scheduler($node, 'app');

# Access that ends soon after: the scheduler hears of it at the load's commit.
my $soon = $node->safe_psql('app', q{SELECT to_char((now() + interval '6 seconds') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')});
$write->('soon.csv', 'soon', $soon);
is($node->safe_psql('app', "SELECT adapty.begin_import('soon');\n\\copy adapty.import_transactions ($columns) FROM '$dir/soon.csv' WITH (FORMAT csv, HEADER match)\nSELECT loaded FROM adapty.load_import(2)"), "2\n900", 'a file whose access ends in a moment');
ok($node->poll_query_until('app', "SELECT count(*) = 900 FROM adapty.events WHERE event_type = 'subscription_expired' AND event_datetime = '$soon'"), 'its end is announced, in time');
is($node->safe_psql('app', "SELECT count(*) FROM adapty.events WHERE event_datetime <> '$soon'"), '0', 'and nothing else');
is($node->safe_psql('app', "SELECT subscription_state, count(*) FROM adapty.profiles GROUP BY 1 ORDER BY 1"), "auto_renew_off|900\nsubscription_cancelled|900", 'states follow');

done_testing();
