# The server-side API, version 2, over real HTTP: nginx and PostgREST with the files of deploy/.
use strict;
use warnings;

use AdaptyHttp;
use AdaptyNode;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

if (my $missing = missing_binaries()) { plan skip_all => $missing; }

# Everything is logged, to see that no key is.
my $node = adapty_node('api', conf => "timezone = 'Asia/Kathmandu'\nlog_statement = 'all'\nlog_min_error_statement = 'debug5'");
$node->safe_psql('postgres', 'CREATE EXTENSION adapty');
my $api = api_start($node);
my $key = api_key($node, 'secret', 'backend');
my $public = api_key($node, 'public', 'web page');
my $sandbox = api_key($node, 'secret', 'bench', 'Sandbox');

my $base = '/api/v2/server-side-api';
my ($status, $body, $text, $head);
my @jane = (key => $key, user => 'jane.doe@example.com');

# v2(method, path, options): of a key and a user unless the options say otherwise
sub v2
{
	my ($method, $path, %options) = @_;
	($status, $body, $text, $head) = api($method, "$base$path", @jane, %options);
	return;
}

# The members of an object in the order in which they came.
sub keys_in_order
{
	my ($json) = @_;
	my @keys;
	my $depth = 0;
	while ($json =~ /\G(?:"((?:[^"\\]|\\.)*)"(:)?|([\[{])|([\]}])|[^"\[\]{}]+)/gs)
	{
		$depth++ if defined $3;
		$depth-- if defined $4;
		push @keys, $1 if defined $2 && $depth == 1;
	}
	return "@keys";
}

# ---- profiles: the requests of the documentation ----
my %request = (
	first_name => 'Jane', last_name => 'Doe', gender => 'f', email => 'jane.doe@example.com',
	phone_number => '+1234567890', birthday => '2000-12-31', ip_country => 'FR', store_country => 'US',
	store => 'app_store', analytics_disabled => JSON::PP::true,
	custom_attributes => [ { key => 'favourite_sport', value => 'yoga' } ],
	installation_meta => {
		device_id => '3fa85f64-5717-4562-b3fc-2c963f66afa6', device => 'string', locale => 'en', os => 'string',
		platform => 'iOS', timezone => 'Europe/Rome', user_agent => 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_1_1 like Mac OS X)',
		idfa => 'EA7583CD-A667-48BC-B806-42ECB2B48333', idfv => 'E9D48DA5-3930-4B41-8521-D953AECD2F33',
		advertising_id => '', android_id => '', android_app_set_id => '',
	});
v2('GET', '/profile/');
error_is($status, $body, 404, 'profile_does_not_exist', 'a profile that is not there', undef);
is($body->{errors}[0]{errors}[0], 'Profile not found', 'in the words of the documentation');
v2('PATCH', '/profile/', body => \%request);
error_is($status, $body, 404, 'profile_does_not_exist', 'it cannot be changed', undef);
v2('POST', '/profile/', body => \%request);
is($status, 200, 'a profile is created');
is(keys_in_order($text), 'data', 'the answer has one member');
is(keys_in_order($text =~ /^\{"data":(.*)\}$/s ? $1 : ''),
	'app_id profile_id customer_user_id total_revenue_usd segment_hash timestamp custom_attributes access_levels subscriptions non_subscriptions',
	'the profile has the members of the documentation in their order');
is($body->{data}{customer_user_id}, 'jane.doe@example.com', 'it is of this user');
like($text, qr/"total_revenue_usd":0\.0,/, 'revenue is a number with a point');
like($text, qr/"timestamp":\d{13},/, 'the timestamp is in milliseconds');
is_deeply($body->{data}{custom_attributes}, [ { key => 'favourite_sport', value => 'yoga' } ], 'with its custom attribute');
is_deeply([ map { $body->{data}{$_} } qw(access_levels subscriptions non_subscriptions) ], [ [], [], [] ], 'and empty arrays');
like($head, qr{^Content-Type: application/json\r?$}mi, 'the type is JSON');
unlike($head, qr/PostgREST|X-Adapty|Content-Range|Content-Profile/i, 'nothing tells what is behind');
my $profile_id = $body->{data}{profile_id};
v2('POST', '/profile/', body => { first_name => 'Joan' });
is($body->{data}{profile_id}, $profile_id, 'the same request again finds the same profile');
v2('PATCH', '/profile/', body => { email => undef, custom_attributes => [ { key => 'level', value => 2.5 }, { key => 'favourite_sport', value => undef } ] });
is_deeply($body->{data}{custom_attributes}, [ { key => 'level', value => 2.5 } ], 'a number is set, null deletes');
is($node->safe_psql('postgres', q{SELECT first_name || coalesce(email, ' without') FROM adapty.profiles}), 'Joan without', 'null clears');
v2('GET', '/profile/', user => undef, profile => $profile_id);
is("$status $body->{data}{customer_user_id}", '200 jane.doe@example.com', 'a profile by its id');
for my $path ('/profile', '/profile/?', '/profile/?x=1&y[]=2', '/profile?page[number]=1')
{
	v2('GET', $path);
	is($status, 200, "GET $path");
}

# ---- access ----
my $day = '2024-12-24T10:50:23+00:00';
v2('POST', '/purchase/profile/grant/access-level/', body => { access_level_id => 'premium', starts_at => '2024-12-24T10:50:23Z', expires_at => '2124-12-31T23:59:59.5Z' });
is($status, 200, 'access is granted');
is(keys_in_order($text =~ /"access_levels":\[(\{.*?\})\]/s ? $1 : ''),
	'access_level_id store store_product_id store_base_plan_id store_transaction_id store_original_transaction_id offer starts_at purchased_at originally_purchased_at expires_at renewal_cancelled_at billing_issue_detected_at is_in_grace_period cancellation_reason',
	'an access level has the members of the documentation in their order');
is_deeply($body->{data}{access_levels}, [ {
	access_level_id => 'premium', store => 'adapty', store_product_id => 'adapty_server_side_product', store_base_plan_id => undef,
	store_transaction_id => 'adapty_server_side_product', store_original_transaction_id => 'adapty_server_side_product', offer => undef,
	starts_at => $day, purchased_at => $day, originally_purchased_at => $day, expires_at => '2124-12-31T23:59:59.500000+00:00',
	renewal_cancelled_at => undef, billing_issue_detected_at => undef, is_in_grace_period => JSON::PP::false, cancellation_reason => undef } ],
	'with these values');
is($node->safe_psql('postgres', 'SELECT DISTINCT actor FROM adapty.access_grants'), 'adapty_server/api key:backend', 'who gave it is known');
v2('POST', '/purchase/profile/revoke/access-level/', body => { access_level_id => 'premium', revoke_at => '2224-12-31T23:59:59Z' });
error_is($status, $body, 400, 'revocation_date_more_than_expiration_date', 'a revocation after the end', 'revoke_at');
v2('POST', '/purchase/profile/revoke/access-level/', body => { access_level_id => 'premium' });
is($status, 200, 'access is revoked');
v2('POST', '/purchase/profile/revoke/access-level/', body => { access_level_id => 'premium', revoke_at => undef });
error_is($status, $body, 400, 'profile_paid_access_level_does_not_exist', 'what is not there cannot be revoked', 'non_field_errors');
v2('POST', '/purchase/profile/grant/access-level/', body => { access_level_id => 'gold' });
error_is($status, $body, 404, 'paid_access_level_does_not_exist', 'an unknown access level', 'non_field_errors');
v2('POST', '/purchase/profile/grant/access-level/', body => { access_level_id => 'premium' });
is($body->{data}{access_levels}[0]{expires_at}, undef, 'without an end it is for life');
v2('POST', '/purchase/profile/grant/access-level/', user => 'nobody', body => { access_level_id => 'premium' });
error_is($status, $body, 404, 'profile_does_not_exist', 'nobody gets nothing', undef);

# ---- transactions: both examples of the documentation ----
my %purchase = (
	purchase_type => 'one_time_purchase', store => 'app_store', environment => 'Production', store_product_id => 'premium_lifetime',
	store_transaction_id => '1000000123456789', store_original_transaction_id => '1000000123456789', is_family_shared => JSON::PP::false,
	price => { country => 'US', currency => 'USD', value => 9.99 }, purchased_at => '2024-01-15T10:30:00Z',
	variation_id => 'variation_123', offer => undef, refunded_at => undef, cancellation_reason => undef);
v2('POST', '/purchase/set/transaction/', body => \%purchase);
is($status, 200, 'a one-time purchase is recorded') or diag $text;
is(keys_in_order($text =~ /"non_subscriptions":\[(\{.*?\})\]/s ? $1 : ''),
	'purchase_id store store_product_id store_base_plan_id store_transaction_id store_original_transaction_id purchased_at environment is_refund is_consumable',
	'a purchase has the members of the documentation in their order');
is($body->{data}{non_subscriptions}[0]{purchased_at}, '2024-01-15T10:30:00+00:00', 'and the time of purchase');
my %subscription = (%purchase,
	purchase_type => 'subscription', store_product_id => 'premium_monthly', store_transaction_id => '2000000123456789',
	store_original_transaction_id => '2000000123456789', price => { country => 'US', currency => 'USD', value => 0 },
	originally_purchased_at => '2024-01-15T10:30:00Z', expires_at => '2024-02-15T10:30:00Z', renew_status => JSON::PP::true,
	renew_status_changed_at => undef, billing_issue_detected_at => undef, grace_period_expires_at => undef,
	offer => { category => 'introductory', type => 'free_trial', id => 'trial_offer_123' });
v2('POST', '/purchase/set/transaction/', body => \%subscription);
is($status, 200, 'a subscription is recorded') or diag $text;
is(keys_in_order($text =~ /"subscriptions":\[(\{.*?\})\]/s ? $1 : ''),
	'store store_product_id store_base_plan_id store_transaction_id store_original_transaction_id offer environment purchased_at originally_purchased_at expires_at renewal_cancelled_at billing_issue_detected_at is_in_grace_period cancellation_reason',
	'a subscription has the members of the documentation in their order');
is_deeply($body->{data}{subscriptions}[0]{offer}, { category => 'introductory', type => 'free_trial', id => 'trial_offer_123' }, 'and its offer');
delete $subscription{expires_at};
v2('POST', '/purchase/set/transaction/', body => { %subscription, store_transaction_id => '3' });
is("$status $body->{errors}[0]{source}", '400 expires_at', 'a missing field is named');
v2('POST', '/purchase/set/transaction/', key => $sandbox, body => { %purchase, store_transaction_id => '4', store_original_transaction_id => '4', environment => undef });
is($node->safe_psql('postgres', q{SELECT environment FROM adapty.transactions WHERE store_transaction_id = '4'}), 'Sandbox', 'a key of the sandbox reports to the sandbox');
v2('POST', '/purchase/set/transaction/', key => $sandbox, body => { %purchase, store_transaction_id => '5', store_original_transaction_id => '5' });
error_is($status, $body, 403, 'permission_denied', 'and to nothing else', 'environment');

# ---- refund saver, integration identifiers ----
v2('GET', '/purchase/profile/refund-saver/settings/');
is($text, qq({"profile_id":"$profile_id","settings":{"consent":false,"custom_preference":"no_preference"}}), 'no settings yet');
v2('POST', '/purchase/profile/refund-saver/settings/', body => { custom_preference => 'grant', consent => JSON::PP::true });
is($text, qq({"profile_id":"$profile_id","settings":{"consent":true,"custom_preference":"grant"}}), 'settings are stored');
v2('POST', '/purchase/profile/refund-saver/settings/', body => {});
error_is($status, $body, 400, 'validation_error', 'settings without any');
v2('GET', '/purchase/profile/refund-saver/settings/', user => 'nobody');
error_is($status, $body, 400, 'profile_does_not_exist', 'settings of nobody');
my @identifiers = qw(pushwoosh_hwid mixpanel_user_id facebook_anonymous_id firebase_app_instance_id amplitude_user_id
  amplitude_device_id appmetrica_device_id appmetrica_profile_id one_signal_subscription_id one_signal_player_id branch_id
  appsflyer_id adjust_device_id airbridge_device_id tenjin_analytics_installation_id posthog_distinct_user_id);
v2('POST', '/integration/profile/set/integration-identifiers/', body => { map { ($_ => "example_$_") } @identifiers });
is("$status [$text]", '200 []', 'identifiers are set; the answer is blank');
v2('POST', '/integration/profile/set/integration-identifiers/', body => { branch_id => undef });
v2('GET', '/integration/profile/set/integration-identifiers/');
is_deeply($body, { (map { ($_ => "example_$_") } @identifiers), branch_id => undef }, 'all of them are shown, null without a value');
v2('POST', '/integration/profile/set/integration-identifiers/', body => {});
error_is($status, $body, 400, 'validation_error', 'no identifier');
v2('GET', '/integration/profile/set/integration-identifiers/', user => 'nobody');
error_is($status, $body, 404, 'profile_not_found', 'identifiers of nobody');

# ---- who may ----
sub may
{
	my ($expected, $code, $name, %options) = @_;
	v2('GET', '/profile/', %options);
	if ($expected == 200) { is($status, 200, $name); }
	else { error_is($status, $body, $expected, $code, $name, 'non_field_errors'); }
	return;
}
may(401, 'not_authenticated', 'no key', key => undef);
is($body->{errors}[0]{errors}[0], 'Authentication credentials were not provided.', 'in the words of the documentation');
unlike($head, qr/^WWW-Authenticate/mi, 'without a challenge that the API does not have');
may(401, 'unauthorized', 'a key that is none', key => 'secret_live_AAAAAAAA.BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB');
may(401, 'not_authenticated', 'an empty key', key => '');
(my $half = $key) =~ s/\..*//;
may(401, 'unauthorized', 'half a key', key => $half);
may(401, 'not_authenticated', 'a key as a token', key => undef, bearer => $key);
may(401, 'not_authenticated', 'another scheme', key => undef, headers => ['Authorization: Basic dXNlcjpwYXNz']);
may(403, 'permission_denied', 'a public key sees no user', key => $public);
may(200, undef, 'a token of the server', key => undef, bearer => jwt(role => 'adapty_server', sub => 'backend-1'));
may(200, undef, 'a user\'s own token', key => undef, bearer => jwt(role => 'adapty_sdk', sub => 'jane.doe@example.com'));
may(403, 'permission_denied', 'another user\'s token', key => undef, bearer => jwt(role => 'adapty_sdk', sub => 'tom'));
may(401, 'not_authenticated', 'an expired token', key => undef, bearer => jwt(role => 'adapty_server', exp => time - 3600));
may(401, 'not_authenticated', 'an unsigned token', key => undef, bearer => jwt(role => 'adapty_server', alg => 'none'));
may(401, 'not_authenticated', 'a token of the anonymous role', key => undef, bearer => jwt(role => 'adapty_anon'));
for my $token (jwt(role => 'postgres'), jwt(role => 'adapty_authenticator'), jwt(role => 'adapty_analyst', sub => 'x'))
{
	v2('GET', '/profile/', key => undef, bearer => $token);
	ok($status == 401 || $status == 403, 'a token of a role that is not for the API') or diag "$status $text";
}
for my $function (['POST', '/profile/'], ['DELETE', '/profile/'], ['POST', '/purchase/set/transaction/'],
	['POST', '/purchase/profile/grant/access-level/'], ['POST', '/purchase/profile/revoke/access-level/'])
{
	for my $who ([ 'a user\'s own token', bearer => jwt(role => 'adapty_sdk', sub => 'jane.doe@example.com') ], [ 'a public key', key => $public ])
	{
		my ($name, @credentials) = @$who;
		v2($function->[0], $function->[1], key => undef, @credentials, body => { access_level_id => 'premium' });
		error_is($status, $body, 403, 'permission_denied', "$function->[0] $function->[1] by $name");
	}
}
$node->safe_psql('postgres', q{SELECT adapty.revoke_api_key(api_key_id) FROM adapty.list_api_keys() WHERE name = 'bench'});
may(401, 'unauthorized', 'a revoked key', key => $sandbox);
is($node->safe_psql('postgres', q{SELECT last_used_at IS NOT NULL FROM adapty.list_api_keys() WHERE name = 'backend'}), 't', 'the use of a key is noted');

# ---- requests that are wrong ----
my $grant = '/purchase/profile/grant/access-level/';
v2('POST', $grant, body => '{"access_level_id": ');
error_is($status, $body, 400, 'parse_error', 'malformed JSON', undef);
v2('POST', $grant, body => '');
error_is($status, $body, 400, 'parse_error', 'an empty body', undef);
v2('POST', $grant);
error_is($status, $body, 400, 'parse_error', 'no body', undef);
v2('POST', $grant, body => "\xff\xfe");
error_is($status, $body, 400, 'parse_error', 'a body that is not UTF-8', undef);
v2('POST', $grant, body => "{\"access_level_id\": \"premium\0\"}");
error_is($status, $body, 400, 'parse_error', 'a body with a NUL byte', undef);
v2('POST', $grant, body => ('[' x 100000) . (']' x 100000));
error_is($status, $body, 400, 'parse_error', 'a body too deep', undef);
for my $json ('[]', '"premium"', '1', 'null', 'true')
{
	v2('POST', $grant, body => $json);
	error_is($status, $body, 400, 'base_error', "a body that is $json");
}
v2('POST', $grant, body => { access_level_id => 'premium', starts_at => 5 });
error_is($status, $body, 400, 'base_error', 'a number for a time', 'starts_at');
v2('POST', $grant, body => { access_level_id => [1] });
error_is($status, $body, 400, 'base_error', 'an array for an id', 'access_level_id');
v2('POST', $grant, body => { access_level_id => undef });
error_is($status, $body, 400, 'base_error', 'null for what is required', 'access_level_id');
v2('POST', $grant, body => { access_level_id => 'premium', unknown => { field => 1 } });
is($status, 200, 'an unknown field is ignored');
v2('POST', $grant, body => 'access_level_id=premium', type => 'application/x-www-form-urlencoded');
error_is($status, $body, 415, 'unsupported_media_type', 'a form');
v2('POST', $grant, body => { access_level_id => 'premium' }, type => 'application/vnd.api+json');
is($status, 200, 'another type of JSON');
v2('POST', $grant, body => { access_level_id => 'premium' }, type => '');
is($status, 200, 'no type at all');
v2('POST', $grant, body => '{"access_level_id": "premium", "x": "' . ('x' x (10 << 20)) . '"}');
error_is($status, $body, 413, 'request_entity_too_large', 'a body of 10 MB');
v2('PATCH', '/profile/', body => { gender => 'x' });
error_is($status, $body, 400, 'base_error', 'a value that is not of the list', 'gender');
v2('PATCH', '/profile/', body => { custom_attributes => [ map { { key => "k$_", value => $_ } } 1 .. 31 ] });
error_is($status, $body, 400, 'base_error', 'too many custom attributes', 'custom_attributes');
v2('PATCH', '/profile/', body => { installation_meta => { device => 'x' } });
is($status, 400, 'a device without an id');
v2('GET', '/profile/', user => undef);
error_is($status, $body, 400, 'base_error', 'neither header');
v2('GET', '/profile/', user => undef, profile => 'no uuid');
error_is($status, $body, 404, 'profile_does_not_exist', 'a profile id that is none');
v2('GET', '/profile/', user => 'x' x 256);
error_is($status, $body, 400, 'base_error', 'a customer_user_id that is too long');
v2('PUT', '/profile/', body => {});
error_is($status, $body, 405, 'method_not_allowed', 'a method that there is not');
for my $path ('/', '/profiles/', '/profile/x/', '/purchase/set/', '/rpc/v2_get_profile')
{
	v2('GET', $path);
	error_is($status, $body, 404, 'not_found', "a path that there is not: $path");
}

# ---- deleted ----
v2('DELETE', '/profile/');
is("$status [$text]", '204 []', 'a profile is deleted');
v2('DELETE', '/profile/');
error_is($status, $body, 404, 'profile_does_not_exist', 'once', undef);

# ---- no key has reached a log ----
my $log = slurp_file($node->logfile) . slurp_file("$api->{dir}/postgrest.log") . slurp_file("$api->{dir}/nginx.log");
like($log, qr/v2_set_transaction/, 'statements are logged');
for my $secret ($key, $public, $sandbox)
{
	my ($random) = $secret =~ /\.(.*)/;
	is(index($log, $random), -1, 'a key is in no log');
}

done_testing();
