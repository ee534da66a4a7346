# Tokens of Stripe and Paddle, validated over real HTTP on both sides: nginx and PostgREST before the server,
# a store's API behind it.
use strict;
use warnings;

use AdaptyHttp;
use AdaptyNode;
use AdaptyStore;
use Digest::SHA qw(hmac_sha256_hex);
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

if (my $missing = missing_binaries()) { plan skip_all => $missing; }

my $node = adapty_node('store_validation', conf => "timezone = 'Asia/Kathmandu'\nlog_min_error_statement = 'debug5'\nadapty.store_timeout = 3s\n");
$node->safe_psql('postgres', 'CREATE EXTENSION adapty');
$node->safe_psql('postgres', q{SELECT adapty.define_product('P', 'premium', 'monthly',
	'[{"store": "stripe", "store_product_id": "prod_p"}, {"store": "paddle", "store_product_id": "pro_p"}]')});
$node->safe_psql('postgres', q{SELECT adapty.define_product('L', 'premium', 'lifetime',
	'[{"store": "stripe", "store_product_id": "prod_l"}, {"store": "paddle", "store_product_id": "pro_l"}]')});
my $api = api_start($node);
my $key = api_key($node, 'secret', 'backend');
my $bench = api_key($node, 'secret', 'bench', 'Sandbox');
my $public = api_key($node, 'public', 'web page');
my $secret = 'sk_live_not_to_be_seen';
my $stripe = AdaptyStore->new(dir => PostgreSQL::Test::Utils::tempdir, key => $secret,
	unknown => { error => { code => 'resource_missing', message => 'No such subscription', type => 'invalid_request_error' } },
	refused => { error => { message => 'Invalid API Key provided', type => 'invalid_request_error' } });
my $true = JSON::PP::true;
my $false = JSON::PP::false;
my ($status, $body, $text, $head);

# A value of SQL.
sub value { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

# What has changed at all: profiles and all that a store told of.
sub rows
{
	return value(q{SELECT (SELECT count(*) FROM adapty.profiles) || ' ' || (SELECT count(*) FROM adapty.transactions) || ' '
		|| (SELECT count(*) FROM adapty.ingested_payments) || ' ' || (SELECT count(*) FROM adapty.store_customers)});
}

sub stripe
{
	my ($user, $token, %options) = @_;
	($status, $body, $text, $head) = api('POST', '/api/v1/sdk/purchase/stripe/token/validate/', key => $key, type => 'application/vnd.api+json',
		body => { data => { type => 'stripe_receipt_validation_result', attributes => { customer_user_id => $user, stripe_token => $token } } }, %options);
	return;
}

# Passes if the last answer is a JSON:API error of this status, pointer and words.
sub json_api_error
{
	my ($expected, $pointer, $words, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is("$status " . ($body->{errors}[0]{status} // 'none') . ' ' . ($body->{errors}[0]{source}{pointer} // 'none'), "$expected $expected $pointer", $name) or diag $text;
	like($body->{errors}[0]{detail} // '', $words, "$name: in words");
	like($head, qr{^Content-Type: application/vnd\.api\+json\r?$}mi, "$name: of its type");
	return;
}

# Passes if there are as many rows as before.
sub nothing_changed { my ($before, $name) = @_; local $Test::Builder::Level = $Test::Builder::Level + 1; is(rows(), $before, "$name: nothing changed"); return; }

# ---- Stripe's objects, as its documentation shows them ----
my $day = 86400;
my $now = time;
sub list { my (@data) = @_; return { object => 'list', url => '/v1/x', has_more => $false, data => [@data] }; }
sub subscription
{
	my ($id, $customer, $start, $end, %more) = @_;
	return { id => $id, object => 'subscription', customer => $customer, status => 'active', livemode => $true, start_date => $start - 14 * $day,
		trial_start => $start - 14 * $day, trial_end => $start, cancel_at_period_end => $false, canceled_at => undef, ended_at => undef,
		latest_invoice => "in_${id}_2", metadata => { customer_user_id => 'not this one' },
		items => list({ id => 'si_1', object => 'subscription_item', current_period_start => $start, current_period_end => $end,
			price => { id => 'price_p', object => 'price', product => 'prod_p' } }), %more };
}
sub invoice
{
	my ($id, $subscription, $customer, $start, $end, $amount, $intent) = @_;
	return { id => $id, object => 'invoice', currency => 'usd', customer => $customer, status => 'paid', amount_paid => $amount, amount_due => $amount,
		subtotal => $amount, created => $start, attempted => $true, attempt_count => 1, status_transitions => { finalized_at => $start, paid_at => $start },
		parent => { type => 'subscription_details', subscription_details => { subscription => $subscription, metadata => {} } },
		payments => list($intent ? { object => 'invoice_payment', payment => { type => 'payment_intent', payment_intent => $intent } } : ()),
		lines => list({ amount => $amount, period => { start => $start, end => $end }, parent => { type => 'subscription_item_details', subscription_item_details => { proration => $false } },
			pricing => { type => 'price_details', price_details => { price => 'price_p', product => 'prod_p' } } }) };
}
sub charge
{
	my ($id, $intent, $customer, $amount, $refunded, $at) = @_;
	return { id => $id, object => 'charge', amount => $amount, amount_refunded => $refunded, refunded => $amount == $refunded ? $true : $false, currency => 'usd',
		customer => $customer, payment_intent => $intent, disputed => $false, created => $at, refunds => list($refunded ? { id => "re_$id", object => 'refund', amount => $refunded, created => $at + 3600 } : ()) };
}
my $start = $now - 5 * $day;
my %answers = map { ("/v1/subscriptions/sub_$_" => { body => subscription("sub_$_", "cus_$_", $start, $start + 30 * $day) }) } qw(a c r);
$stripe->answers(\%answers);

# ---- before there is a key ----
my $before = rows();
stripe('jane', 'sub_a');
json_api_error(400, '/data', qr/^Stripe API key not found/, 'without a key');
nothing_changed($before, 'without a key');
value("SELECT adapty.set_store_credentials('stripe', '$secret', base_url => '" . $stripe->url . "/')");

# ---- an active subscription after a trial, two invoices, over two pages ----
my @invoices = (
	invoice('in_sub_a_2', 'sub_a', 'cus_a', $start, $start + 30 * $day, 999, 'pi_a2'),
	invoice('in_sub_a_1', 'sub_a', 'cus_a', $start - 14 * $day, $start, 0));
$answers{'/v1/invoices'} = { body => { %{ list($invoices[0]) }, has_more => $true } };
$answers{'/v1/invoices#in_sub_a_2'} = { body => list($invoices[1]) };
$answers{'/v1/charges'} = { body => list(charge('ch_a2', 'pi_a2', 'cus_a', 999, 0, $start), charge('ch_else', 'pi_else', 'cus_a', 500, 500, $start)) };
$stripe->answers(\%answers);
stripe('jane', 'sub_a');
is("$status $text", '200 {"data":null}', 'a subscription is validated') or diag slurp_file($node->logfile);
like($head, qr{^Content-Type: application/vnd\.api\+json\r?$}mi, 'the answer is JSON:API');
is(scalar(grep { /2025-03-31\.basil$/ } $stripe->requests), 4, 'Stripe was asked four times, in one version');
is(value("SELECT has_access FROM adapty.profile_status('jane')"), 't', 'it gives access to a user who was made for it');
is(value(q{SELECT string_agg(store_transaction_id || ' ' || coalesce(offer_type::text, '-') || ' ' || price_value, ', ' ORDER BY purchased_at) FROM adapty.transactions WHERE store_original_transaction_id = 'sub_a'}),
	'in_sub_a_1 free_trial 0.00, in_sub_a_2 - 9.99', 'the history is there: a trial and a payment') or diag value('SELECT * FROM adapty.transactions');
is(value(q{SELECT string_agg(e.event_type::text, ' ' ORDER BY e.event_type::text) FROM adapty.events e JOIN adapty.identities i USING (profile_id) WHERE i.customer_user_id = 'jane' AND e.event_type::text ~ '^(trial|subscription)_'}),
	'subscription_started trial_started', 'with its events');
is(value('SELECT count(*) FROM adapty.ingested_refunds'), '0', 'a refund of another purchase is not imported');
my $events = value('SELECT count(*) FROM adapty.events');
$before = rows();
stripe('jane', 'sub_a');
is("$status $text", '200 {"data":null}', 'again');
nothing_changed($before, 'again');
is(value('SELECT count(*) FROM adapty.events'), $events, 'nor is there any event');

is(value(q{SELECT i.customer_user_id FROM adapty.store_customers c JOIN adapty.identities i USING (profile_id) WHERE c.store_customer_id = 'cus_a'}), 'jane', "and the store's customer is known");

# ---- canceled, refunded ----
$answers{'/v1/subscriptions/sub_c'} = { body => subscription('sub_c', 'cus_c', $start, $start + 30 * $day, status => 'canceled', canceled_at => $now - 3600, ended_at => $now - 3600,
	cancellation_details => { reason => 'cancellation_requested' }) };
$answers{'/v1/invoices'} = { body => list(invoice('in_sub_c_2', 'sub_c', 'cus_c', $start, $start + 30 * $day, 999, 'pi_c')) };
$answers{'/v1/charges'} = { body => list(charge('ch_c', 'pi_c', 'cus_c', 999, 0, $start)) };
$stripe->answers(\%answers);
stripe('tom', 'sub_c');
is($status, 200, 'a canceled subscription is validated');
is(value("SELECT has_access FROM adapty.profile_status('tom')"), 'f', 'it gives no access any more');
$answers{'/v1/invoices'} = { body => list(invoice('in_sub_r_2', 'sub_r', 'cus_r', $start, $start + 30 * $day, 999, 'pi_r')) };
$answers{'/v1/charges'} = { body => list(charge('ch_r', 'pi_r', 'cus_r', 999, 999, $start)) };
$stripe->answers(\%answers);
stripe('ann', 'sub_r');
is($status, 200, 'a refunded subscription is validated');
is(value(q{SELECT extract(epoch FROM refunded_at)::bigint FROM adapty.transactions WHERE store_transaction_id = 'in_sub_r_2'}), $start + 3600, 'its refund has its moment');
is(value("SELECT has_access FROM adapty.profile_status('ann')"), 'f', 'and it gives no access');

# ---- webhooks about what was asked for: of before nothing is new, what comes after is applied ----
value("SELECT adapty.set_ingest_secret('stripe', 'whsec_tap')");
my $webhook = sub {
	my ($id, $type, $at, $object) = @_;
	my $event = encode_json({ id => $id, object => 'event', type => $type, created => $at, livemode => $true, data => { object => $object } });
	my $signature = "t=$now,v1=" . hmac_sha256_hex("$now.$event", 'whsec_tap');
	return value("SELECT adapty.ingest_stripe_event('$event'::text, '$signature')->>'outcome'");
};
my $of_jane = q{FROM adapty.events e JOIN adapty.identities i USING (profile_id) WHERE i.customer_user_id = 'jane'};
$events = value("SELECT count(*) $of_jane");
is($webhook->('evt_1', 'invoice.paid', $start, $invoices[0]), 'outdated', 'a webhook of before the answer is outdated');
is(value("SELECT count(*) $of_jane"), $events, 'and makes no event');
my $canceled = subscription('sub_a', 'cus_a', $start, $start + 30 * $day, cancel_at_period_end => $true, canceled_at => time);
$answers{'/v1/subscriptions/sub_a'} = { body => $canceled };
$stripe->answers(\%answers);
is($webhook->('evt_2', 'customer.subscription.updated', time + 1, $canceled), 'applied', 'a webhook of after it is applied');
is(value("SELECT count(*) $of_jane AND e.event_type = 'subscription_renewal_cancelled'"), '1', 'to the same purchase');

# ---- another user's ----
$answers{'/v1/invoices'} = { body => list(@invoices) };
$stripe->answers(\%answers);
stripe('eve', 'sub_a');
is($status, 200, "another user's subscription is reported as set_transaction() does") or diag $text;
is(value(q{SELECT i.customer_user_id FROM adapty.transactions t JOIN adapty.identities i USING (profile_id) WHERE t.store_transaction_id = 'in_sub_a_2'}), 'jane', 'and stays whose it is') ;

# ---- payment intents ----
$answers{'/v1/payment_intents/pi_one'} = { body => { id => 'pi_one', object => 'payment_intent', status => 'succeeded', livemode => $true, currency => 'usd', amount => 4999, amount_received => 4999,
	created => $start, customer => 'cus_one', metadata => { store_product_id => 'prod_l' }, latest_charge => charge('ch_one', 'pi_one', 'cus_one', 4999, 0, $start + 2) } };
$answers{'/v1/invoice_payments'} = { body => list() };
$answers{'/v1/checkout/sessions'} = { body => list() };
$stripe->answers(\%answers);
stripe('one', 'pi_one');
is($status, 200, 'a payment intent is validated') or diag $text;
is(value(q{SELECT price_value || ' ' || extract(epoch FROM purchased_at)::bigint FROM adapty.transactions WHERE store_transaction_id = 'pi_one'}), '49.99 ' . ($start + 2), 'a purchase of its moment');
is(value("SELECT has_access FROM adapty.profile_status('one')"), 't', 'gives access');
# of a checkout; of an invoice; of a subscription; with a dispute that was lost
my %intent = %{ $answers{'/v1/payment_intents/pi_one'}{body} };
$answers{'/v1/payment_intents/pi_cart'} = { body => { %intent, id => 'pi_cart', customer => undef, metadata => {}, latest_charge => { %{ charge('ch_cart', 'pi_cart', undef, 4999, 0, $start + 3) }, disputed => $true } } };
$answers{'/v1/checkout/sessions'} = { body => list({ id => 'cs_1', object => 'checkout.session', mode => 'payment', status => 'complete', payment_status => 'paid', payment_intent => 'pi_cart', currency => 'usd', amount_total => 4999,
	line_items => list({ price => { id => 'price_l', product => 'prod_l' } }) }) };
$answers{'/v1/disputes'} = { body => list() };
$stripe->answers(\%answers);
stripe('cart', 'pi_cart');
is("$status " . value("SELECT has_access FROM adapty.profile_status('cart')"), '200 t', 'the payment intent of a checkout') or diag $text;
$answers{'/v1/disputes'} = { body => list({ id => 'dp_1', object => 'dispute', charge => 'ch_cart', payment_intent => 'pi_cart', status => 'lost', amount => 4999, currency => 'usd', created => $start + 9 }) };
$stripe->answers(\%answers);
stripe('cart', 'pi_cart');
is("$status " . value("SELECT has_access FROM adapty.profile_status('cart')"), '200 f', 'with a dispute that was lost') or diag $text;
is(value(q{SELECT extract(epoch FROM refunded_at)::bigint FROM adapty.transactions WHERE store_transaction_id = 'pi_cart'}), $start + 9, 'of its moment');
$answers{'/v1/payment_intents/pi_a2'} = { body => { %intent, id => 'pi_a2', customer => 'cus_a' } };
$answers{'/v1/invoice_payments'} = { body => list({ id => 'inpay_1', object => 'invoice_payment', invoice => 'in_sub_a_2' }) };
$answers{'/v1/invoices/in_sub_a_2'} = { body => $invoices[0] };
$stripe->answers(\%answers);
$stripe->requests;
stripe('jane', 'pi_a2');
is("$status " . (grep { m{/v1/subscriptions/sub_a} } $stripe->requests), '200 1', 'the payment intent of a subscription stands for it') or diag $text;
my $bill = invoice('in_bill', undef, 'cus_bill', $start, $start, 4999, 'pi_bill');
$bill->{parent} = undef;
$bill->{lines}{data}[0]{parent} = { type => 'invoice_item_details' };
$bill->{lines}{data}[0]{pricing}{price_details} = { price => 'price_l', product => 'prod_l' };
$answers{'/v1/payment_intents/pi_bill'} = { body => { %intent, id => 'pi_bill', customer => 'cus_bill', metadata => {}, latest_charge => charge('ch_bill', 'pi_bill', 'cus_bill', 4999, 0, $start) } };
$answers{'/v1/invoice_payments'} = { body => list({ id => 'inpay_2', object => 'invoice_payment', invoice => 'in_bill' }) };
$answers{'/v1/invoices/in_bill'} = { body => $bill };
$stripe->answers(\%answers);
stripe('bill', 'pi_bill');
is("$status " . value("SELECT has_access FROM adapty.profile_status('bill')"), '200 t', 'the payment intent of an invoice') or diag $text;
$answers{'/v1/invoice_payments'} = { body => list() };
$answers{'/v1/checkout/sessions'} = { body => list() };
$stripe->answers(\%answers);

$answers{'/v1/payment_intents/pi_new'} = { body => { %{ $answers{'/v1/payment_intents/pi_one'}{body} }, id => 'pi_new', status => 'requires_payment_method' } };
$answers{'/v1/payment_intents/pi_test'} = { body => { %{ $answers{'/v1/payment_intents/pi_one'}{body} }, id => 'pi_test', livemode => $false } };
$answers{'/v1/payment_intents/pi_bad'} = { body => 'no JSON' };
$answers{'/v1/payment_intents/pi_500'} = { status => 500, body => { error => {} } };
$answers{'/v1/payment_intents/pi_429'} = { status => 429, body => { error => {} } };
$answers{'/v1/payment_intents/pi_302'} = { status => 302, headers => "Location: http://127.0.0.1:1/\r\n" };
$answers{'/v1/payment_intents/pi_slow'} = { delay => 8000, body => {} };
$answers{'/v1/payment_intents/pi_long'} = { body => 'x' x 1_500_000 };
$answers{'/v1/payment_intents/pi_other'} = { body => { id => 'pi_one' } };
$stripe->answers(\%answers);

# ---- errors of the request, and of the store ----
$before = rows();
stripe('two', undef);
json_api_error(400, '/data/attributes/stripe_token', qr/./, 'no token');
stripe(undef, 'sub_a');
json_api_error(400, '/data/attributes/customer_user_id', qr/./, 'no user');
stripe('two', 'sub_a/../../x');
json_api_error(400, '/data/attributes/stripe_token', qr/sub_\.\.\./, 'what is no token');
stripe('two', 'sub_a', body => { data => { type => 'profile', attributes => {} } });
json_api_error(400, '/data/type', qr/stripe_receipt_validation_result/, 'another type');
stripe('two', 'sub_a', body => {});
json_api_error(400, '/data', qr/./, 'no data');
stripe('two', 'sub_a', body => '{"data"');
json_api_error(400, '/data', qr/JSON parse error/, 'no JSON');
stripe('two', 'sub_unknown');
json_api_error(400, '/data/attributes/stripe_token', qr/Stripe knows no "sub_unknown" in environment "Production"/, 'an unknown token');
stripe('two', 'pi_new');
json_api_error(400, '/data/attributes/stripe_token', qr/No products found.*not succeeded/, 'an unpaid payment intent');
stripe('two', 'pi_test');
json_api_error(400, '/data/attributes/stripe_token', qr/test mode/, 'a purchase of the test mode');
stripe('two', 'sub_a', key => $bench);
json_api_error(400, '/data', qr/Stripe API key not found.*Sandbox/, 'an environment without a key');
stripe('two', 'sub_a', key => $public);
is($status, 403, 'a public key may not');
stripe('two', 'sub_a', key => undef);
is($status, 401, 'nobody may not');
($status) = api('GET', '/api/v1/sdk/purchase/stripe/token/validate/', key => $key);
is($status, 405, 'another method');
for ([ 'pi_500', qr/Stripe is in trouble.*status 500/ ], [ 'pi_429', qr/no more requests.*429/ ], [ 'pi_302', qr/in trouble.*302/ ],
	[ 'pi_bad', qr/makes no sense.*not a JSON object/ ], [ 'pi_long', qr/too long/ ], [ 'pi_other', qr/not about/ ], [ 'pi_slow', qr/could not be reached/ ])
{
	my ($token, $words) = @$_;
	stripe('two', $token);
	error_is($status, $body, 502, 'store_unavailable', "Stripe's $token", 'non_field_errors');
	like($text, $words, "Stripe's $token in words");
}
value("SELECT adapty.set_store_credentials('stripe', 'sk_live_wrong_secret', base_url => '" . $stripe->url . "')");
stripe('two', 'sub_a');
json_api_error(400, '/data/attributes/stripe_token', qr/Invalid Stripe credentials or purchase not found.*refused the key/, 'a wrong key');
value("SELECT adapty.set_store_credentials('stripe', '$secret', base_url => 'http://127.0.0.1:1')");
stripe('two', 'sub_a');
error_is($status, $body, 502, 'store_unavailable', 'nobody answers', 'non_field_errors');
nothing_changed($before, 'after all these errors');
value("SELECT adapty.set_store_credentials('stripe', '$secret', base_url => '" . $stripe->url . "')");
is(value('SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE \'adapty store%\''), '0', 'no process is left behind');

# ---- SQL, cancelled, blocked, without the library ----
is(value(q{SELECT adapty.validate_stripe_token('jane', 'sub_a')->>'transactions'}), '[]', 'SQL: nothing is new');
like(($node->psql('postgres', q{SELECT adapty.validate_stripe_token(gen_random_uuid(), 'sub_a')}))[2], qr/no profile|does not exist/i, 'SQL: a profile_id that nobody has');
like(($node->psql('postgres', q{SET statement_timeout = '300ms'; SELECT adapty.validate_stripe_token('two', 'pi_slow')}))[2], qr/canceling statement due to statement timeout/, 'a call can be cancelled');
ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type LIKE 'adapty store%'}), 'its process ends too');
$node->append_conf('postgresql.conf', 'adapty.webhook_block_private = on');
$node->reload;
ok($node->poll_query_until('postgres', q{SELECT current_setting('adapty.webhook_block_private') = 'on'}), 'private addresses are blocked');
like(($node->psql('postgres', q{SELECT adapty.validate_stripe_token('two', 'sub_a')}))[2], qr/could not be reached.*address is private/s, 'and not asked');

# ---- Paddle ----
my $paddle_secret = 'pdl_live_apikey_not_to_be_seen';
my $paddle = AdaptyStore->new(dir => PostgreSQL::Test::Utils::tempdir, key => $paddle_secret,
	unknown => { error => { type => 'request_error', code => 'not_found' } }, refused => { error => { type => 'request_error', code => 'authentication_malformed' } });
$node->append_conf('postgresql.conf', 'adapty.webhook_block_private = off');
$node->reload;
ok($node->poll_query_until('postgres', q{SELECT current_setting('adapty.webhook_block_private') = 'off'}), 'private addresses are not blocked');
sub paddle
{
	my ($user, $token, %options) = @_;
	($status, $body, $text, $head) = api('POST', '/api/v2/server-side-api/purchase/paddle/token/validate/', key => $key, body => { customer_user_id => $user, paddle_token => $token }, %options);
	return;
}
sub iso { my ($t) = @_; return POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $t); }
sub page { my ($more, @data) = @_; return { data => [@data], meta => { request_id => 'x', pagination => { per_page => 30, next => 'https://api.paddle.com/x', has_more => $more ? $true : $false, estimated_total => 2 } } }; }
sub transaction
{
	my ($id, $subscription, $at, $until, $minor) = @_;
	return { id => $id, status => 'completed', customer_id => 'ctm_a', subscription_id => $subscription, origin => $subscription ? 'subscription_recurring' : 'web', currency_code => 'USD', collection_mode => 'automatic',
		created_at => iso($at), billed_at => iso($at), custom_data => undef, billing_period => $subscription ? { starts_at => iso($at), ends_at => iso($until) } : undef,
		details => { totals => { subtotal => "$minor", grand_total => "$minor", total => "$minor" } },
		items => [ { quantity => 1, price => { id => 'pri_p', product_id => $subscription ? 'pro_p' : 'pro_l', billing_cycle => $subscription ? { interval => 'month', frequency => 1 } : undef } } ] };
}
paddle('pat', 'sub_p');
error_is($status, $body, 400, 'paddle_api_key_not_found', 'Paddle without a key');
value("SELECT adapty.set_store_credentials('paddle', '$paddle_secret', base_url => '" . $paddle->url . "')");
my %paddle = (
	'/subscriptions/sub_p' => { body => { data => { id => 'sub_p', status => 'active', customer_id => 'ctm_a', started_at => iso($start - 30 * $day), canceled_at => undef, paused_at => undef, scheduled_change => undef,
		current_billing_period => { starts_at => iso($start), ends_at => iso($start + 30 * $day) }, items => [ { status => 'active', price => { id => 'pri_p', product_id => 'pro_p', billing_cycle => { interval => 'month', frequency => 1 } } } ] } } },
	'/transactions' => { body => page(1, transaction('txn_2', 'sub_p', $start, $start + 30 * $day, 1500)) },
	'/transactions#txn_2' => { body => page(0, transaction('txn_1', 'sub_p', $start - 30 * $day, $start, 1500)) },
	'/transactions/txn_2' => { body => { data => transaction('txn_2', 'sub_p', $start, $start + 30 * $day, 1500) } },
	'/transactions/txn_once' => { body => { data => transaction('txn_once', undef, $start, undef, 9900) } },
	'/transactions/txn_500' => { status => 500 },
	'/adjustments' => { body => page(0) });
$paddle->answers(\%paddle);
paddle('pat', 'sub_p');
is($status, 200, "Paddle's subscription") or diag $text;
is($body->{data}{customer_user_id} . ' ' . $body->{data}{access_levels}[0]{store}, 'pat paddle', 'the answer is the profile with its access');
is(value(q{SELECT string_agg(store_transaction_id, ' ' ORDER BY purchased_at) FROM adapty.transactions WHERE store = 'paddle'}), 'txn_1 txn_2', 'the history is there');
is(scalar(grep { / 1$/ } $paddle->requests), 4, 'Paddle was asked four times, in one version');
paddle('pat', 'txn_2');
is($status, 200, "Paddle's transaction of a subscription stands for it");
paddle('pam', 'txn_once');
is("$status $body->{data}{non_subscriptions}[0]{store_transaction_id}", '200 txn_once', "Paddle's purchase");
$paddle{'/adjustments'} = { body => page(0, { id => 'adj_1', action => 'refund', type => 'full', status => 'approved', transaction_id => 'txn_once', customer_id => 'ctm_a', currency_code => 'USD', created_at => iso($now - 60), totals => { total => '9900' } }) };
$paddle->answers(\%paddle);
paddle('pam', 'txn_once');
is("$status " . $body->{data}{non_subscriptions}[0]{is_refund}, '200 1', 'its refund');
$before = rows();
paddle('two', 'sub_nobody');
error_is($status, $body, 400, 'invalid_paddle_credentials_or_purchase_not_found', "a token that Paddle does not know", 'paddle_token');
paddle('two', 'live_7d279f61a3339fed520f7cd8c08');
error_is($status, $body, 400, 'base_error', 'what is no token', 'paddle_token');
paddle('two', undef);
error_is($status, $body, 400, 'base_error', 'no token', 'paddle_token');
paddle('two', 'txn_500');
error_is($status, $body, 502, 'store_unavailable', 'Paddle in trouble');
value("SELECT adapty.set_store_credentials('paddle', 'pdl_wrong', base_url => '" . $paddle->url . "')");
paddle('two', 'sub_p');
error_is($status, $body, 400, 'invalid_paddle_credentials_or_purchase_not_found', 'a wrong key', 'paddle_token');
nothing_changed($before, 'after the errors of Paddle');

# ---- the secret ----
unlike(slurp_file($node->logfile) =~ s/^.*(?:set_store_credentials).*$//mgr, qr/not_to_be_seen|wrong_secret/, 'no log has a secret');
unlike(value("SELECT string_agg(c::text, '') FROM adapty.ingested_payments c"), qr/not_to_be_seen/, 'nor any table');

# ---- without a free process, without the library, without preload ----
$node->append_conf('postgresql.conf', "max_worker_processes = 1\nadapty.store_timeout = 500ms");
$node->restart;
like(($node->psql('postgres', q{SELECT adapty.validate_stripe_token('two', 'sub_a')}))[2], qr/no background worker left to ask Stripe.*max_worker_processes/s, 'no process is free');
$node->append_conf('postgresql.conf', "max_worker_processes = 8\nadapty.store_timeout = 3s\nshared_preload_libraries = ''");
$node->restart;
is(value(q{SELECT adapty.validate_stripe_token('zoe', 'pi_one')->>'environment'}), 'Production', 'it works without preload');
$node->append_conf('postgresql.conf', "dynamic_library_path = '/nowhere'");
$node->restart;
like(($node->psql('postgres', q{SELECT adapty.validate_stripe_token('two', 'sub_a')}))[2], qr/the library "adapty_webhook" did not start.*Install libcurl/s, 'without the library the error says what to install');
done_testing();
