# Events of the stores: what was seen survives a dump and a crash, a standby refuses them, and many deliveries at once are applied once.
use strict;
use warnings;

use AdaptyNode;
use Digest::SHA qw(hmac_sha256_hex);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = adapty_node('ingest', init => { allows_streaming => 1 }, conf => "log_statement = 'none'\n");
$node->safe_psql('postgres', 'CREATE DATABASE app');
$node->safe_psql('app', 'CREATE EXTENSION adapty');
$node->safe_psql('app', q{SELECT adapty.define_product('P', 'premium', 'monthly', '[{"store": "stripe", "store_product_id": "prod_p"}]')});
$node->safe_psql('app', q{SELECT adapty.set_ingest_secret('stripe', 'whsec_tap')});

# The SQL that delivers an invoice of a user as Stripe would, signed now.
my $deliver = sub {
	my ($event, $user, $n) = @_;
	my $start = 1704067200 + $n * 2592000;
	my $end = $n == 9 ? 4073500800 : $start + 2592000;
	my $body = qq({"id":"$event","object":"event","type":"invoice.paid","created":$start,"livemode":true,"data":{"object":{"id":"in_$user$n","object":"invoice",)
	  . qq("currency":"usd","customer":"cus_$user","status":"paid","amount_paid":999,"amount_due":999,"subtotal":999,"created":$start,)
	  . qq("subscription":"sub_$user","subscription_details":{"metadata":{"customer_user_id":"$user"}},)
	  . qq("lines":{"data":[{"amount":999,"type":"subscription","period":{"start":$start,"end":$end},"price":{"id":"price_p","product":"prod_p"}}]}}}});
	my $t = time;
	my $signature = "t=$t,v1=" . hmac_sha256_hex("$t.$body", 'whsec_tap');
	return "SELECT adapty.ingest_stripe_event('$body'::text, '$signature')->>'outcome'";
};
my $status = sub { my ($db, $user) = @_; $node->safe_psql($db, "SELECT has_access FROM adapty.profile_status('$user')") };

is($node->safe_psql('app', $deliver->('evt_1', 'jane', 9)), 'applied', 'an event');
is($status->('app', 'jane'), 't', 'gives access');

# A crash: what was committed was seen, what was not was not.
$node->psql('app', 'BEGIN; ' . $deliver->('evt_2', 'tom', 9) . '; SELECT pg_terminate_backend(pg_backend_pid())');
$node->stop('immediate');
$node->start;
is($node->safe_psql('app', $deliver->('evt_1', 'jane', 9)), 'duplicate', 'what was committed before a crash was seen');
is($node->safe_psql('app', $deliver->('evt_2', 'tom', 9)), 'applied', 'what was not is new');

# A standby refuses.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('ingest_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
my ($rc, $out, $err) = $standby->psql('app', $deliver->('evt_3', 'ann', 9));
like($err, qr/cannot execute ingest_stripe_event\(\) in a read-only transaction/, 'a standby takes no events');
$standby->stop;

# A dump takes along what was seen, what is known and the secret.
my $dir = PostgreSQL::Test::Utils::tempdir;
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/app.dump", $node->connstr('app') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE copied');
$node->command_ok([ 'pg_restore', '-d', $node->connstr('copied'), "$dir/app.dump" ], 'pg_restore');
is($node->safe_psql('copied', $deliver->('evt_1', 'jane', 9)), 'duplicate', 'the copy has seen the event');
is($node->safe_psql('copied', 'SELECT count(*) FROM adapty.store_customers'), '2', 'and knows the customers');
is($node->safe_psql('copied', $deliver->('evt_4', 'jane', 8)), 'applied', 'and takes the next');
is($node->safe_psql('copied', "SELECT count(*) FROM adapty.transactions WHERE store_original_transaction_id = 'sub_jane'"), '2', 'into the same subscription');

# Eight senders deliver the same ten events of five users, each in another order: each is applied once, and nobody waits for ever.
my @events = map { my $user = "user$_"; map { [ "evt_${user}_$_", $user, $_ ] } 0 .. 9 } 1 .. 5;
my @sessions = map { start_session($node, 'app') } 1 .. 8;
my %outcomes;
for my $round (0 .. $#events)
{
	for my $s (0 .. 7)
	{
		my $event = $events[ ($round * (2 * $s + 1) + $s * 7) % @events ];
		# sent to all before any answer is read
		$sessions[$s]->{stdin} .= $deliver->(@$event) . ";\n";
	}
	$_->{run}->pump_nb for @sessions;
}
for my $session (@sessions)
{
	my $so_far = $session->{stdout};    # query() begins with nothing
	$outcomes{$_}++ for ($so_far . $session->query('SELECT 1')) =~ /(applied|duplicate|error|outdated)/g;
}
$_->quit for @sessions;
is($outcomes{applied}, 50, 'each of 50 events applied once');
is($outcomes{duplicate}, 350, 'and found 350 times');
is($node->safe_psql('app', "SELECT count(*), count(DISTINCT profile_id) FROM adapty.transactions WHERE store_original_transaction_id LIKE 'sub_user%'"), '50|5', 'one transaction a payment, one profile a user');
is($node->safe_psql('app', "SELECT count(*) FROM adapty.identities WHERE customer_user_id LIKE 'user%' AND adapty.has_access(customer_user_id, 'premium')"), '5', 'all have access');
ok(slurp_file($node->logfile) !~ /deadlock detected/, 'no deadlock');

# No secret, signature or payload in the server's log, where statements are not logged.
ok(slurp_file($node->logfile) !~ /whsec_tap/, 'no secret in the log');
($rc, $out, $err) = $node->psql('app', "SELECT adapty.ingest_stripe_event('{\"email\": \"someone\@example.com\"}'::text, 't=1,v1=abc')");
unlike($err =~ s/^LINE.*//mgr, qr/someone/, 'no payload in an error');

done_testing();
