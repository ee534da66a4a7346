# The web API with a public key, and what Set transaction refuses in the documentation's words.
use strict;
use warnings;

use AdaptyHttp;
use AdaptyNode;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

if (my $missing = missing_binaries()) { plan skip_all => $missing; }

my $node = adapty_node('api_web');
$node->safe_psql('postgres', 'CREATE EXTENSION adapty');
my $api = api_start($node);
my $secret = api_key($node, 'secret', 'backend');
my $public = api_key($node, 'public', 'web page');
my ($status, $body, $text, $head);
$node->safe_psql('postgres', <<'SQL');
SELECT adapty.create_profile('user123'), adapty.create_profile('tom');
SELECT adapty.define_product('1 week', 'premium', 'weekly', '[{"store": "app_store", "store_product_id": "1_week_apple"}]');
SELECT adapty.define_paywall('Spring', '["1 week"]', '[{"locale": "en", "data": "{\"soft_paywall\":false}"}]');
SELECT adapty.define_placement('onboarding', paywall => 'Spring');
SQL
my $profile_id = $node->safe_psql('postgres', q{SELECT profile_id FROM adapty.identities WHERE customer_user_id = 'user123'});

# web(path, body, options): by the public key unless the options say otherwise
sub web
{
	my ($path, $request, %options) = @_;
	($status, $body, $text, $head) = api('POST', "/api/v2/web-api$path", key => $public, body => $request, %options);
	return;
}

# ---- the paywall ----
my %ask = (store => 'app_store', locale => 'en', placement_id => 'onboarding', customer_user_id => 'user123');
web('/paywall/', \%ask);
is($status, 200, 'a paywall by a public key') or diag $text;
is($body->{paywall_name}, 'Spring', 'the one that the placement shows');
is(join(' ', sort keys %$body), 'ab_test_name paywall_id paywall_name placement_id products remote_config variation_id', 'with the documented members');
is_deeply($body->{remote_config}, { lang => 'en', data => '{"soft_paywall":false}' }, 'its remote config');
is($body->{products}[0]{vendor_product_id}, '1_week_apple', 'and its products');
my $variation = $body->{variation_id};
web('/paywall/', { %ask, customer_user_id => undef, profile_id => $profile_id });
is("$status $body->{variation_id}", "200 $variation", 'by profile_id');
web('/paywall', \%ask, key => $secret);
is($status, 200, 'by a secret key');
web('/paywall/', \%ask, key => undef, bearer => jwt(role => 'adapty_sdk', sub => 'user123'));
is($status, 200, 'by the user\'s own token');
web('/paywall/', \%ask, key => undef, bearer => jwt(role => 'adapty_sdk', sub => 'tom'));
error_is($status, $body, 403, 'permission_denied', 'not by another user\'s');
web('/paywall/', \%ask, key => undef);
error_is($status, $body, 401, 'not_authenticated', 'not by nobody', 'non_field_errors');
web('/paywall/', { %ask, customer_user_id => 'nobody' });
error_is($status, $body, 404, 'profile_does_not_exist', 'a user who is not there', undef);
web('/paywall/', { %ask, placement_id => 'nowhere' });
is($status, 404, 'a placement that is not there') or diag $text;
web('/paywall/', { store => 'app_store', placement_id => 'onboarding' });
error_is($status, $body, 400, 'base_error', 'no user');
web('/paywall/', { customer_user_id => 'user123', placement_id => 'onboarding' });
error_is($status, $body, 400, 'base_error', 'no store', 'store');
web('/paywall/', '{"store"');
error_is($status, $body, 400, 'parse_error', 'no JSON', undef);

# ---- that it was shown ----
my $views = q{SELECT count(*) FROM adapty.paywall_views};
is($node->safe_psql('postgres', $views), 0, 'asking is not showing');
my %view = (visited_at => '2024-08-24T14:15:22Z', store => 'app_store', variation_id => $variation, customer_user_id => 'user123');
web('/paywall/visit/', \%view);
is("$status [$text]", '201 []', 'a view is recorded');
is($node->safe_psql('postgres', $views), 1, 'once');
web('/paywall/visit/', { %view, visited_at => 'yesterday' });
error_is($status, $body, 400, 'base_error', 'a time that is none', 'visited_at');
web('/paywall/visit/', { %view, variation_id => '00000000-0000-4000-8000-000000000000' });
is($status, 404, 'a variation that is not there');
web('/paywall/visit/', { %view, variation_id => 'x' });
error_is($status, $body, 400, 'base_error', 'a variation that is none', 'variation_id');
web('/paywall/visit/', { %view, customer_user_id => 'nobody' });
error_is($status, $body, 404, 'profile_does_not_exist', 'shown to nobody', undef);

# ---- attribution ----
my %attribution = (status => 'organic', attribution_user_id => 'n', channel => 'c', campaign => 'ca', ad_group => 'g', ad_set => 's', creative => 'cr', customer_user_id => 'user123');
web('/attribution/', \%attribution);
is("$status [$text]", '201 []', 'an attribution is added');
is($node->safe_psql('postgres', q{SELECT source || status || network_user_id || channel || campaign || ad_group || ad_set || creative FROM adapty.attributions}), 'customorganicnccagscr', 'as it was told');
web('/attribution/', { %attribution, status => 'other' });
error_is($status, $body, 400, 'base_error', 'a status that is none', 'status');
web('/attribution/', { %attribution, customer_user_id => 'nobody' });
error_is($status, $body, 404, 'profile_does_not_exist', 'of nobody', undef);

# ---- from a page of another origin ----
($status, $body, $text, $head) = api('OPTIONS', '/api/v2/web-api/paywall/', headers => ['Origin: https://shop.example', 'Access-Control-Request-Method: POST', 'Access-Control-Request-Headers: authorization,content-type']);
is($status, 204, 'a browser asks first');
like($head, qr/^Access-Control-Allow-Origin: \*\r?$/mi, 'any origin may');
like($head, qr/^Access-Control-Allow-Headers: Authorization, Content-Type\r?$/mi, 'with a key');
web('/paywall/', \%ask, headers => ['Origin: https://shop.example']);
like($head, qr/^Access-Control-Allow-Origin: \*\r?$/mi, 'the page may read the answer');
web('/paywall/', {}, headers => ['Origin: https://shop.example']);
like($head, qr/^Access-Control-Allow-Origin: \*\r?$/mi, 'and a refusal');
($status, $body, $text, $head) = api('OPTIONS', '/api/v2/server-side-api/profile/', headers => ['Origin: https://shop.example']);
is($status, 405, 'the server-side API is for servers');
unlike($head, qr/Access-Control/i, 'and allows no page anything');

# ---- a public key may nothing else, also in a request that comes after ----
for (1 .. 3)
{
	web('/paywall/', \%ask);
	($status, $body) = api('GET', '/api/v2/server-side-api/profile/', key => $public, user => 'user123');
	error_is($status, $body, 403, 'permission_denied', 'a public key sees no user');
}
($status, $body) = api('GET', '/api/v2/web-api/paywall/', key => $public);
error_is($status, $body, 405, 'method_not_allowed', 'by POST only');

# ---- Set transaction: fields that contradict each other ----
my %purchase = (purchase_type => 'one_time_purchase', store => 'app_store', store_product_id => '1_week_apple', store_transaction_id => '1', store_original_transaction_id => '1',
	price => { country => 'US', currency => 'USD', value => 9.99 }, purchased_at => '2024-01-15T10:30:00Z');
my %subscription = (%purchase, purchase_type => 'subscription', originally_purchased_at => '2024-01-15T10:30:00Z', expires_at => '2024-02-15T10:30:00Z', renew_status => JSON::PP::true);
my $earlier = '2024-01-14T10:30:00Z';
my @wrong = (
	[ 'expires_date_error', 'expires_at', { expires_at => '2024-01-15T10:30:00Z' } ],
	[ 'billing_issue_detected_at_date_comparison_error', 'billing_issue_detected_at', { billing_issue_detected_at => $earlier } ],
	[ 'renew_status_changed_date_error', 'renew_status_changed_at', { renew_status_changed_at => $earlier } ],
	[ 'originally_purchased_date_error', 'originally_purchased_at', { originally_purchased_at => '2024-01-16T10:30:00Z' } ],
	[ 'grace_period_expires_date_error', 'grace_period_expires_at', { grace_period_expires_at => '2024-02-14T10:30:00Z', billing_issue_detected_at => '2024-02-14T10:30:00Z' } ],
	[ 'grace_period_billing_error', 'grace_period_billing_error', { grace_period_expires_at => '2024-02-16T10:30:00Z' } ],
	[ 'refund_date_error', 'refunded_at', { refunded_at => $earlier, cancellation_reason => 'refund' } ],
	[ 'refund_fields_error', 'refunded_at', { refunded_at => '2024-01-16T10:30:00Z' } ],
	[ 'refund_fields_error', 'refunded_at', { cancellation_reason => 'refund' } ],
	[ 'family_share_price_error', 'is_family_shared', { is_family_shared => JSON::PP::true } ],
	[ 'missing_offer_id', 'offer.category', { offer => { category => 'promotional', type => 'pay_up_front' } } ],
	[ 'store_transaction_id_error', 'store_transaction_id', { store_original_transaction_id => '2' }, 'one-time' ],
);
for my $case (@wrong)
{
	my ($code, $source, $fields, $one_time) = @$case;
	($status, $body) = api('POST', '/api/v2/server-side-api/purchase/set/transaction/', key => $secret, user => 'tom',
		body => { ($one_time ? %purchase : %subscription), %$fields });
	error_is($status, $body, 400, $code, "$code", $source);
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM adapty.transactions'), 0, 'none of them is recorded');
($status, $body, $text) = api('POST', '/api/v2/server-side-api/purchase/set/transaction/', key => $secret, user => 'tom',
	body => { %subscription, offer => { category => 'introductory', type => 'free_trial', id => 'trial_offer_123' }, price => { country => 'US', currency => 'USD', value => 4.99 }, variation_id => $variation });
is($status, 200, 'the documentation\'s trial, which has a price, is') or diag $text;

done_testing();
