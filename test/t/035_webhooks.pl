# Webhooks: verified, signed, selected, in order; every kind of failure; resent; nothing secret leaks.
use strict;
use warnings;

use lib 'test/perl';
use AdaptyNode;
use AdaptyReceiver;
use Digest::SHA qw(hmac_sha256_base64);
use JSON::PP;
use MIME::Base64;
use PostgreSQL::Test::Utils;
use Test::More;

my $receiver = AdaptyReceiver->new(dir => PostgreSQL::Test::Utils::tempdir);
my $node = adapty_node('webhooks', conf => "adapty.webhook_timeout = 2000\nadapty.webhook_retry_delay = 100\nlog_min_messages = debug1\ndeadlock_timeout = 10\n");
$node->safe_psql('postgres', 'CREATE EXTENSION adapty');
wait_scheduler($node);

sub sql { return $node->safe_psql('postgres', $_[0]); }
sub wait_for { my ($query, $name) = @_; ok($node->poll_query_until('postgres', $query), $name); return; }

# Defines a webhook at a path of the receiver and enables it; waits until it is.
sub hook
{
	my ($id, $path, $more) = @_;
	my $secret = sql("SELECT adapty.define_webhook('$id', '" . ($path =~ /^http/ ? $path : $receiver->url($path)) . "'" . ($more // '') . ")");
	sql("SELECT adapty.enable_webhook('$id')");
	return $secret;
}
sub enabled { my ($id) = @_; wait_for("SELECT state = 'enabled' FROM adapty.webhook_status WHERE webhook_id = '$id'", "$id is enabled"); return; }
sub grant { my ($user, $reason) = @_; sql("SELECT adapty.grant_access_level('$user', 'premium', duration => '1 day', reason => '$reason', create_missing => true)"); return; }
sub delivery { my ($id) = @_; return "SELECT state, attempts, last_status, last_error FROM adapty.webhook_deliveries WHERE webhook_id = '$id'"; }

# --- no sender without webhooks; one comes with the first ---
is(sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'adapty webhooks'"), '0', 'no sender without webhooks');
my $secret = hook('crm', '/ok/crm', ", authorization_value => 'Basic: as it is'");
like($secret, qr/^whsec_/, 'a new webhook gets a secret');
enabled('crm');
my @verification = grep { $_->{body} eq '{}' } map { decode_json($_) } split /\n/, slurp_file("$receiver->{file}");
is(scalar @verification, 1, 'it was verified, once');
is($verification[0]{method}, 'POST', 'by a POST');
is($verification[0]{headers}{'content-type'}, 'application/json', 'of JSON');

# --- an event ---
grant('ann', 'first');
wait_for("SELECT delivered = 1 FROM adapty.webhook_status", 'an event is delivered');
my ($request) = $receiver->requests('/ok/crm');
my $headers = $request->{headers};
my $body = decode_json($request->{body});
is($headers->{authorization}, 'Basic: as it is', 'Authorization is sent as it is');
is($headers->{'content-type'}, 'application/json', 'as JSON');
is($body->{customer_user_id}, 'ann', 'the body is the documented payload');
is($headers->{'webhook-id'}, $body->{event_properties}{profile_event_id}, 'webhook-id is the id of the event');
cmp_ok(abs($headers->{'webhook-timestamp'} - time), '<', 60, 'webhook-timestamp is now');
sub signature
{
	my ($with, $of) = @_;
	my $key = decode_base64($with =~ s/^whsec_//r);
	my $digest = hmac_sha256_base64("$of->{headers}{'webhook-id'}.$of->{headers}{'webhook-timestamp'}.$of->{body}", $key);
	return 'v1,' . $digest . '=' x ((4 - length($digest) % 4) % 4);
}
is($headers->{'webhook-signature'}, signature($secret, $request), 'the signature is right');

# --- a new secret: both sign for a while ---
my $newer = sql("SELECT adapty.rotate_webhook_secret('crm')");
isnt($newer, $secret, 'a new secret');
grant('ann', 'rotated');
wait_for("SELECT delivered = 2 FROM adapty.webhook_status", 'delivered');
$request = ($receiver->requests('/ok/crm'))[1];
is($request->{headers}{'webhook-signature'}, signature($newer, $request) . ' ' . signature($secret, $request), 'signed by both, the new one first');
sql("SELECT adapty.rotate_webhook_secret('crm', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', '0')");
grant('ann', 'fixed');
wait_for("SELECT delivered = 3 FROM adapty.webhook_status", 'delivered');
$request = ($receiver->requests('/ok/crm'))[2];
is($request->{headers}{'webhook-signature'}, signature('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', $request), 'without overlap only by the new one');

# --- order of one profile's events, many at a time ---
sql("SELECT adapty.create_profile('u' || n) FROM generate_series(1, 20) n");
sql("SELECT adapty.grant_access_level('u' || n, 'premium', duration => '1 hour', reason => r::text) FROM generate_series(1, 20) r, generate_series(1, 20) n");
wait_for("SELECT delivered = 403 FROM adapty.webhook_status", '400 events are delivered');
my %last;
my $in_order = 1;
for (map { decode_json($_->{body}) } $receiver->requests('/ok/crm'))
{
	my ($user, $reason) = ($_->{customer_user_id}, $_->{event_properties}{reason});
	next unless $user =~ /^u/;
	$in_order = 0 if $reason != ($last{$user} // 0) + 1;
	$last{$user} = $reason;
}
ok($in_order, "each profile's events come in their order");
is(sql('SELECT count(*) FROM adapty.webhook_deliveries WHERE attempts <> 1'), '0', 'each once');
is(sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'adapty webhooks' AND xact_start IS NOT NULL"), '0', 'no transaction is open meanwhile');
sql("SELECT adapty.disable_webhook('crm')");

# --- selection and names ---
hook('sandbox', '/ok/sandbox', ", environment => 'Sandbox'");
hook('typed', '/ok/typed', ", event_types => '{subscription_started}', event_names => '{\"subscription_started\": \"abo\\u0022neu\"}'");
enabled($_) for qw(sandbox typed);
sql("SELECT adapty.define_product('Gold', 'premium', 'monthly', '[{\"store\": \"stripe\", \"store_product_id\": \"gold\"}]')");
sub buy
{
	my ($user, $environment) = @_;
	sql("SELECT adapty.set_transaction('$user', jsonb_build_object('purchase_type', 'subscription', 'store', 'stripe', 'environment', '$environment',"
		  . " 'store_product_id', 'gold', 'store_transaction_id', '$user', 'store_original_transaction_id', '$user', 'renew_status', true,"
		  . " 'price', '{\"country\": \"US\", \"currency\": \"USD\", \"value\": 5}'::jsonb, 'purchased_at', now(), 'originally_purchased_at', now(),"
		  . " 'expires_at', now() + interval '1 month'), create_missing => true)");
	return;
}
buy('prod', 'Production');
buy('sand', 'Sandbox');
wait_for("SELECT sum(delivered) = 405 + (SELECT count(*) FROM adapty.webhook_deliveries WHERE webhook_id = 'sandbox') - 1 FROM adapty.webhook_status", 'delivered');
is_deeply([ sort map { decode_json($_->{body})->{customer_user_id} } $receiver->requests('/ok/typed') ], ['prod'], 'only the type that was asked for, of Production');
is(decode_json(($receiver->requests('/ok/typed'))[0]{body})->{event_type}, 'abo"neu', 'by its own name');
is_deeply([ sort map { decode_json($_->{body})->{event_type} } $receiver->requests('/ok/sandbox') ],
	[ 'access_level_updated', 'subscription_started' ], 'a Sandbox webhook gets all of the Sandbox');
sql("SELECT adapty.delete_webhook(w) FROM unnest(ARRAY['sandbox', 'typed']) w");

# --- failures ---
hook('flaky', '/flaky/2');
hook('drop', '/drop');
hook('text', '/text');
hook('loop', '/loop');
hook('nobody', 'http://127.0.0.1:1/');
hook('slow', '/slow/5000');
hook('scheme', '/away/ftp:127.0.0.1/x');
enabled('flaky');
for my $case (
	[ drop => qr/empty reply|reset/i ],
	[ text => qr/did not answer the verification request with JSON/ ],
	[ loop => qr/redirects/i ],
	[ nobody => qr/connect/i ],
	[ slow => qr/timed out/i ],
	[ scheme => qr/protocol.*(not supported|disabled)/i ])
{
	my ($id, $reason) = @$case;
	wait_for("SELECT state = 'failed' FROM adapty.webhook_status WHERE webhook_id = '$id'", "$id fails its verification");
	like(sql("SELECT reason FROM adapty.webhook_status WHERE webhook_id = '$id'"), $reason, "$id: and says why");
	sql("SELECT adapty.delete_webhook('$id')");
}
grant('bob', 'flaky');
wait_for("SELECT state = 'delivered' FROM adapty.webhook_deliveries WHERE webhook_id = 'flaky'", '500, 500, then 200');
is(sql(delivery('flaky')), 'delivered|3|200|', 'after three attempts');
my @tries = $receiver->requests('/flaky/2');
is(scalar(grep { $_->{headers}{'webhook-id'} eq $tries[0]{headers}{'webhook-id'} } @tries), 3, 'with the same webhook-id');
is($tries[0]{body}, $tries[2]{body}, 'and the same body');
sql("SELECT adapty.delete_webhook('flaky')");

# --- statuses from 200 to 404 are success, by default; redirects keep the POST ---
sub once
{
	my ($id, $path, $more) = @_;
	sql("SELECT adapty.define_webhook('$id', '" . $receiver->url("/ok/$id") . "'" . ($more // '') . ")");
	sql("SELECT adapty.enable_webhook('$id')");
	enabled($id);
	# A URL that answers no verification, without one.
	sql("ALTER TABLE adapty.webhooks DISABLE TRIGGER adapty_inserted; UPDATE adapty.webhooks SET url = '" . $receiver->url($path) . "' WHERE webhook_id = '$id';");
	grant('bob', $id);
	return;
}
once('rejected', '/status/404');
wait_for("SELECT state = 'rejected' FROM adapty.webhook_deliveries WHERE webhook_id = 'rejected'", '404 counts as received');
is(sql(delivery('rejected')), 'rejected|1|404|HTTP status 404', 'and shows as rejected');
sql("SELECT adapty.delete_webhook('rejected')");
once('huge', '/huge');
wait_for("SELECT state = 'delivered' FROM adapty.webhook_deliveries WHERE webhook_id = 'huge'", 'a huge answer is cut off; its status counts');
sql("SELECT adapty.delete_webhook('huge')");
once('headers', '/headers');
wait_for("SELECT last_error = 'the answer has too many headers' FROM adapty.webhook_deliveries WHERE webhook_id = 'headers'", 'endless headers are a failure');
sql("SELECT adapty.delete_webhook('headers')");
once('away', "/away/http:127.0.0.1:$receiver->{port}/ok/moved");
wait_for("SELECT state = 'delivered' FROM adapty.webhook_deliveries WHERE webhook_id = 'away'", 'a redirect is followed');
($request) = $receiver->requests('/ok/moved');
is($request->{method}, 'POST', 'as a POST');
is(decode_json($request->{body})->{event_properties}{reason}, 'away', 'with its body');
sql("SELECT adapty.delete_webhook('away')");

# --- a commit that comes while the sender waits for somebody's lock is not forgotten ---
# Its latch is reset by that wait.  (Webhooks were just read, requests have a minute, and the check for
# deadlocks, which wakes it too, is soon over: the next look of its own is far away.)
sql('ALTER SYSTEM SET adapty.webhook_timeout = 60000');
$node->reload;
once('held', '/slow/1500');
my $holder = start_session($node);
my $locked = 0;
for (my $try = 1; !$locked && $try <= 20; $try++)
{
	grant('bob', "held $try") if $try > 1;
	$node->poll_query_until('postgres', "SELECT count(*) > 0 FROM adapty.webhook_deliveries WHERE webhook_id = 'held' AND state = 'pending'");
	$locked = $holder->query("BEGIN; SELECT count(*) FROM (SELECT FROM adapty.webhook_deliveries WHERE webhook_id = 'held' AND state = 'pending' FOR UPDATE) l") > 0;
	$holder->query('ROLLBACK') unless $locked;
}
ok($locked, 'a delivery is locked while its request is under way');
wait_for("SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'adapty webhooks' AND wait_event_type = 'Lock'", 'the sender waits to record it');
grant('fay', 'meanwhile');
$holder->query('COMMIT');
my $deadline = time + 20;
my $arrived = 0;
until ($arrived || time > $deadline)
{
	$arrived = grep { $_->{body} =~ /"meanwhile"/ } $receiver->requests('/slow/1500');
	select undef, undef, undef, 0.1 unless $arrived;
}
ok($arrived, 'what was written meanwhile is sent at once');
sql("SELECT adapty.delete_webhook('held')");
sql('ALTER SYSTEM RESET adapty.webhook_timeout');
$node->reload;

# --- given up: parked, and sent again by hand ---
sql("ALTER SYSTEM SET adapty.webhook_max_attempts = 3");
$node->reload;
hook('poison', '/poison/bad');
enabled('poison');
grant('cat', $_) for qw(bad later);
# while others are received it is the event that is at fault, not the endpoint
my $others = 0;
until (sql("SELECT count(*) FROM adapty.webhook_deliveries WHERE webhook_id = 'poison' AND state = 'parked'") > 0 || $others++ > 100)
{
	grant("other$others", 'well');
	select undef, undef, undef, 0.1;
}
is(sql(delivery('poison') . " AND state = 'parked'"), 'parked|3|500|HTTP status 500', 'an event is parked after its attempts');
wait_for("SELECT waiting = 0 AND parked = 1 FROM adapty.webhook_status WHERE webhook_id = 'poison'", 'the later event of the same profile goes on');
append_to_file("$receiver->{dir}/up", '');
is(sql("SET ROLE adapty_server; SELECT adapty.resend_failed('poison')"), '1', 'adapty_server may resend what is parked');
wait_for("SELECT parked = 0 AND waiting = 0 FROM adapty.webhook_status WHERE webhook_id = 'poison'", 'and it is delivered');
my $id = ($receiver->requests('/poison/bad'))[0]{headers}{'webhook-id'};
my $sent = sub { scalar(grep { $_->{headers}{'webhook-id'} eq $id } $receiver->requests('/poison/bad')) };
my $before = $sent->();
is(sql("SET ROLE adapty_server; SELECT adapty.resend_event('$id', 'poison')"), '1', 'one event again');
wait_for("SELECT waiting = 0 FROM adapty.webhook_status WHERE webhook_id = 'poison'", 'it is sent');
is($sent->(), $before + 1, 'once more, with the same webhook-id');
cmp_ok(sql("SELECT adapty.resend_events('poison', now() - interval '1 hour', now(), '{access_level_updated}')"), '>', 400, 'all of an hour');
wait_for("SELECT waiting = 0 FROM adapty.webhook_status WHERE webhook_id = 'poison'", 'are sent');

# --- an event that cannot be rendered is parked, the rest goes on ---
sql("ALTER FUNCTION adapty._webhook_body(adapty.webhooks, adapty.events) RENAME TO real_body");
sql(q{CREATE FUNCTION adapty._webhook_body(w adapty.webhooks, e adapty.events) RETURNS text LANGUAGE plpgsql AS $$
BEGIN IF e.reason = 'broken' THEN RAISE 'cannot render this'; END IF; RETURN adapty.real_body(w, e); END $$});
grant('dan', $_) for qw(before broken after);
wait_for("SELECT count(*) = 2 FROM adapty.events e JOIN adapty.webhook_deliveries d USING (event_id) WHERE e.reason IN ('before', 'after') AND d.state = 'delivered' AND d.webhook_id = 'poison'", 'the events beside it are delivered');
is(sql("SELECT d.state, d.last_error FROM adapty.events e JOIN adapty.webhook_deliveries d USING (event_id) WHERE e.reason = 'broken'"), 'parked|cannot render this', 'it is parked with the error');
sql("DROP FUNCTION adapty._webhook_body(adapty.webhooks, adapty.events)");
sql("ALTER FUNCTION adapty.real_body(adapty.webhooks, adapty.events) RENAME TO _webhook_body");

# --- private addresses ---
sql("ALTER SYSTEM SET adapty.webhook_block_private = on");
$node->reload;
hook('private', '/ok/private');
wait_for("SELECT state = 'failed' AND reason LIKE '%address is private%' FROM adapty.webhook_status WHERE webhook_id = 'private'", 'private addresses can be blocked');
hook('named', "http://localhost:$receiver->{port}/ok/private");
wait_for("SELECT state = 'failed' AND reason LIKE '%address is private%' FROM adapty.webhook_status WHERE webhook_id = 'named'", 'also by name');
is(scalar(grep { $_->{path} eq '/ok/private' } map { decode_json($_) } split /\n/, slurp_file($receiver->{file})), 0, 'no request was made');
sql("ALTER SYSTEM RESET adapty.webhook_block_private");
$node->reload;

# --- off and on; a terminated sender comes back; nothing secret in log or catalogs ---
sql("ALTER SYSTEM SET adapty.webhooks = off");
$node->reload;
wait_for("SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'adapty webhooks'", 'adapty.webhooks = off ends the sender');
grant('eve', 'while off');
sql("ALTER SYSTEM RESET adapty.webhooks");
$node->reload;
wait_for("SELECT d.state = 'delivered' FROM adapty.events e JOIN adapty.webhook_deliveries d USING (event_id) WHERE e.reason = 'while off'", 'on again it sends what was written meanwhile');
my $pid = sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'adapty webhooks'");
my $starts = sub { return scalar(() = slurp_file($node->logfile) =~ /starting background worker process "adapty webhooks/g) };
my $started = $starts->();
is(sql("SELECT pg_terminate_backend($pid, 1000)"), 't', 'a sender stops within a second');
wait_for("SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'adapty webhooks' AND pid <> $pid", 'and a new one comes');
# (also when a request is still under way: it is not forgotten until a minute later)
once('leaving', '/slow/1000');
wait_for("SELECT count(*) = 1 FROM adapty.webhook_deliveries WHERE webhook_id = 'leaving' AND state = 'pending'", 'a request is under way');
my $deleted_at = time;
sql("SELECT adapty.delete_webhook(webhook_id) FROM adapty.webhooks");
wait_for("SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'adapty webhooks'", 'without webhooks there is no sender');
cmp_ok(time - $deleted_at, '<', 20, 'it left soon after the last answer');
is($starts->() - $started, 1, 'one process was started for it');
is(sql("SELECT count(*) FROM adapty.webhook_deliveries"), '0', 'and no delivery is left');

# --- DROP DATABASE and DROP EXTENSION do not wait for it ---
hook('last', '/ok/last');
enabled('last');
sql('DROP EXTENSION adapty CASCADE');
wait_for("SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'adapty webhooks'", 'DROP EXTENSION ends the sender');
sql('CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION adapty');
$node->safe_psql('other', "SELECT adapty.define_webhook('x', '" . $receiver->url('/ok/other') . "')");
$node->safe_psql('other', "SELECT adapty.enable_webhook('x')");
ok($node->poll_query_until('other', "SELECT state = 'enabled' FROM adapty.webhooks"), 'a webhook in another database');
my ($code) = $node->psql('postgres', 'DROP DATABASE other');
is($code, 0, 'DROP DATABASE with a sender in it');
my $log = slurp_file($node->logfile);
unlike($log, qr/as it is|whsec_MfKQ|\Q$secret\E/, 'no secret in the log') unless $log =~ /statement:/;
unlike($log, qr/TRAP|PANIC|was terminated by signal/, 'nothing crashed');
$node->stop;
$receiver->stop;

done_testing();
