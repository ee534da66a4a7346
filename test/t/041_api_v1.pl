# The server-side API, version 1, and the paywalls of version 2, over real HTTP.
use strict;
use warnings;

use AdaptyHttp;
use AdaptyNode;
use JSON::PP;
use MIME::Base64 qw(encode_base64url encode_base64);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

if (my $missing = missing_binaries()) { plan skip_all => $missing; }

my $node = adapty_node('api_v1', conf => "timezone = 'America/St_Johns'\ndatestyle = 'German, DMY'");
$node->safe_psql('postgres', 'CREATE EXTENSION adapty');
my $api = api_start($node);
my $key = api_key($node, 'secret', 'backend');
my ($status, $body, $text, $head);

# v1(method, path, options): of the key unless the options say otherwise
sub v1
{
	my ($method, $path, %options) = @_;
	($status, $body, $text, $head) = api($method, "/api/v1/sdk$path", key => $key, %options);
	return;
}
sub v2
{
	my ($method, $path, %options) = @_;
	($status, $body, $text, $head) = api($method, "/api/v2/server-side-api$path", key => $key, %options);
	return;
}

# ---- profiles ----
v1('GET', '/profiles/123456/');
error_is($status, $body, 404, 'profile_does_not_exist', 'a user who is not there', undef);
v1('POST', '/profiles/', body => { customer_user_id => '123456' });
is($status, 200, 'a user is created');
my $profile_id = $body->{data}{profile_id};
like($text, qr/^\{"data":\{"app_id" : "[0-9a-f-]{36}", "profile_id" : "\Q$profile_id\E", "customer_user_id" : "123456", "paid_access_levels" : null, "subscriptions" : null, "non_subscriptions" : null\}\}$/,
	'with nothing yet');
v1('POST', '/profiles/', body => { customer_user_id => '123456', first_name => 'Ann', username => 'ignored' });
is($body->{data}{profile_id}, $profile_id, 'the same user again is found');
v1('POST', '/profiles/', body => {});
is("$status $body->{errors}[0]{source}", '400 customer_user_id', 'a user without an id');
v1('PATCH', '/profiles/123456/', body => { phone_number => '+18003330000', birthday => '1990-10-31',
	custom_attributes => { grade => 10, favorite_topic => 'sports', subscribed => JSON::PP::true } });
is($status, 200, 'attributes are set');
v1('PATCH', '/profiles/123456', body => { custom_attributes => { favorite_topic => '', grade => undef } });
is($node->safe_psql('postgres', 'SELECT custom_attributes FROM adapty.profiles'), '{"subscribed": 1}', 'booleans become numbers; empty and null delete');
v1('PATCH', '/profiles/123456/', body => { gender => 'x' });
error_is($status, $body, 400, 'base_error', 'a gender that is none', 'gender');
v1('GET', "/profiles/$profile_id/");
is("$status $body->{data}{customer_user_id}", '200 123456', 'a user by the profile id');
v1('GET', '/profiles/123456/?extended=anything');
is(join(' ', sort grep { !/^(app_id|profile_id|customer_user_id|paid_access_levels|subscriptions|non_subscriptions)$/ } keys %{ $body->{data} }),
	'advertising_id amplitude_device_id amplitude_user_id appmetrica_device_id appmetrica_profile_id appsflyer_id att_status birthday created_at email facebook_anonymous_id first_name gender idfa idfv last_name mixpanel_user_id phone_number username',
	'the extended answer has all attributes');
is("$body->{data}{first_name} $body->{data}{phone_number} $body->{data}{birthday}", 'Ann +18003330000 1990-10-31', 'with their values');
like($body->{data}{created_at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+0000$/, 'times are those of version 1');

# ---- ids in the path ----
my @ids = ('123+456', 'abc/def', '012?012', '100%', 'a&b=c#d', "O'Brien\"; DROP TABLE adapty.profiles; --", "j\xc3\xa4ne\@example.com", '..', 'x' x 255, ' ');
for my $id (@ids)
{
	my $decoded = $id;
	utf8::decode($decoded);
	my $encoded = encode_base64url($id);
	v1('POST', '/profiles/', body => { customer_user_id => $decoded });
	is($status, 200, "a user \"$id\"");
	v1('GET', "/profiles/$encoded/?is_user_id_base64url_encoded=1");
	is("$status " . ($body->{data}{customer_user_id} // ''), "200 $decoded", 'by Base64URL');
	$encoded .= '=' while length($encoded) % 4;
	v1('GET', "/profiles/$encoded/?is_user_id_base64url_encoded=1");
	is("$status " . ($body->{data}{customer_user_id} // ''), "200 $decoded", 'by Base64URL with padding');
	(my $percent = $id) =~ s/([^A-Za-z0-9_-])/sprintf '%%%02X', ord $1/ge;
	v1('GET', "/profiles/$percent/?other=1");
	is("$status " . ($body->{data}{customer_user_id} // ''), "200 $decoded", 'by percent-encoding');
	v1('PATCH', "/profiles/$percent/", body => { first_name => 'Ida' });
	is($status, 200, 'and changed');
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM adapty.profiles'), 1 + @ids, 'nobody else has come to be');
for my $bad ('a', 'YWJjL2RlZg=', 'YWJj!', 'YWJjL2RlZh==', encode_base64url("\xff\xfe"), encode_base64url("a\0b"), 'YWJj+w')
{
	v1('GET', "/profiles/$bad/?is_user_id_base64url_encoded=1");
	error_is($status, $body, 400, 'validation_error', "not Base64URL: $bad");
}
for my $bad ('%', '%4', '%zz', '%ff', 'a%00b')
{
	v1('GET', "/profiles/$bad/");
	ok($status == 400, "not an id: $bad") or diag "$status $text";
}

# ---- access ----
v1('POST', '/profiles/123456/paid-access-levels/premium/grant/', body => {
	starts_at => '2020-01-15T15:10:36.517975+0000', expires_at => '2120-02-15T15:10:36.517975+0000', vendor_product_id => 'basic_subscription_1_month',
	vendor_transaction_id => '1000000630116569', store => 'app_store', introductory_offer_type => undef });
is($status, 200, 'the documentation\'s grant');
is_deeply($body->{data}{paid_access_levels}, { premium => {
	id => 'premium', is_active => JSON::PP::true, is_lifetime => JSON::PP::false, expires_at => '2120-02-15T15:10:36.517975+0000',
	starts_at => '2020-01-15T15:10:36.517975+0000', will_renew => JSON::PP::false, vendor_product_id => 'adapty_server_side_product',
	base_plan_id => undef, vendor_transaction_id => undef, vendor_original_transaction_id => undef, store => 'adapty',
	activated_at => '2020-01-15T15:10:36.517975+0000', renewed_at => '2020-01-15T15:10:36.517975+0000', unsubscribed_at => undef,
	billing_issue_detected_at => undef, is_in_grace_period => JSON::PP::false, active_introductory_offer_type => undef,
	active_promotional_offer_type => undef, active_promotional_offer_id => undef, cancellation_reason => undef } }, 'gives this access');
is($node->safe_psql('postgres', 'SELECT reason FROM adapty.access_grants'), 'store app_store, vendor_product_id basic_subscription_1_month, vendor_transaction_id 1000000630116569', 'what it says of the purchase is kept');
v1('POST', '/profiles/123456/paid-access-levels/premium/revoke/', body => { is_refund => JSON::PP::false });
is("$status $body->{data}{paid_access_levels}{premium}{is_active}", '200 0', 'it is revoked');
v1('POST', '/profiles/123456/paid-access-levels/premium/revoke/', body => {});
is("$status $body->{errors}[0]{source}", '400 is_refund', 'is_refund is required');
v1('POST', '/profiles/123456/paid-access-levels/premium/revoke/', body => { is_refund => JSON::PP::false });
error_is($status, $body, 400, 'profile_paid_access_level_does_not_exist', 'nothing is there to revoke');
# 7 days twice are 14
v1('POST', '/profiles/123456/paid-access-levels/premium/grant/', body => { duration_days => 7 }) for 1 .. 2;
is($node->safe_psql('postgres', q{SELECT expires_at > now() + interval '13 days 23 hours' AND expires_at < now() + interval '14 days' FROM adapty.access_grants}), 't', 'duration_days extend');
v1('POST', '/profiles/123456/paid-access-levels/premium/grant/', body => { duration_days => 1, is_lifetime => JSON::PP::true, expires_at => '2050-01-01T00:00:00Z' });
is_deeply([ @{ $body->{data}{paid_access_levels}{premium} }{qw(is_lifetime expires_at)} ], [ JSON::PP::true, undef ], 'is_lifetime goes before the others');
v1('POST', '/profiles/123456/paid-access-levels/premium/grant/', body => { duration_days => 1, expires_at => '2050-01-01T00:00:00Z' });
is($body->{data}{paid_access_levels}{premium}{expires_at}, '2050-01-01T00:00:00.000000+0000', 'then expires_at');
for my $days (0, -1, 1.5, '"7"', 1e12, 'true')
{
	v1('POST', '/profiles/123456/paid-access-levels/premium/grant/', body => "{\"duration_days\": $days}");
	error_is($status, $body, 400, 'base_error', "duration_days $days", 'duration_days');
}
v1('POST', '/profiles/123456/paid-access-levels/premium/grant/', body => {});
error_is($status, $body, 400, 'base_error', 'no end is given');
v1('POST', '/profiles/123456/paid-access-levels/gold/grant/', body => { duration_days => 1 });
error_is($status, $body, 404, 'paid_access_level_does_not_exist', 'an unknown access level');
v1('POST', '/profiles/nobody/paid-access-levels/premium/grant/', body => { duration_days => 1 });
error_is($status, $body, 404, 'profile_does_not_exist', 'nobody gets nothing', undef);

# ---- what the stores report, as version 1 shows it ----
$node->safe_psql('postgres', <<'SQL');
SELECT adapty.define_product('Monthly', 'premium', 'monthly', '[{"store": "app_store", "store_product_id": "monthly"}]');
SELECT adapty.define_product('Coins', NULL, 'consumable', '[{"store": "app_store", "store_product_id": "coins"}]');
SELECT adapty.create_profile('payer');
SELECT adapty.set_transaction('payer', '{"purchase_type": "subscription", "store": "app_store", "environment": "Sandbox",
    "store_product_id": "monthly", "store_transaction_id": "2", "store_original_transaction_id": "1",
    "price": {"country": "US", "currency": "USD", "value": 0}, "purchased_at": "2024-01-15T10:30:00Z",
    "originally_purchased_at": "2023-01-15T10:30:00Z", "expires_at": "2124-02-15T10:30:00Z", "renew_status": true,
    "offer": {"category": "introductory", "type": "free_trial", "id": "t"}}');
SELECT adapty.set_transaction('payer', '{"purchase_type": "one_time_purchase", "store": "app_store", "store_product_id": "coins",
    "store_transaction_id": "3", "store_original_transaction_id": "3", "price": {"country": "US", "currency": "USD", "value": 1},
    "purchased_at": "2024-01-15T10:30:00Z"}');
SQL
v1('GET', '/profiles/payer/');
my $subscription = {
	is_active => JSON::PP::true, is_lifetime => JSON::PP::false, expires_at => '2124-02-15T10:30:00.000000+0000', starts_at => undef, will_renew => JSON::PP::true,
	vendor_product_id => 'monthly', base_plan_id => undef, vendor_transaction_id => '2', vendor_original_transaction_id => '1', store => 'app_store',
	activated_at => '2023-01-15T10:30:00.000000+0000', renewed_at => '2024-01-15T10:30:00.000000+0000', unsubscribed_at => undef, billing_issue_detected_at => undef,
	is_in_grace_period => JSON::PP::false, active_introductory_offer_type => 'free_trial', active_promotional_offer_type => undef,
	active_promotional_offer_id => undef, cancellation_reason => undef, is_sandbox => JSON::PP::true };
is_deeply($body->{data}{subscriptions}, { monthly => $subscription }, 'a subscription');
is($body->{data}{paid_access_levels}{premium}{vendor_original_transaction_id}, '1', 'its access level');
delete $body->{data}{non_subscriptions}{coins}[0]{purchase_id};
is_deeply($body->{data}{non_subscriptions}, { coins => [ {
	vendor_product_id => 'coins', base_plan_id => undef, vendor_transaction_id => '3', vendor_original_transaction_id => '3', store => 'app_store',
	purchased_at => '2024-01-15T10:30:00.000000+0000', is_one_time => JSON::PP::true, is_sandbox => JSON::PP::false, is_refund => JSON::PP::false } ] }, 'a one-time purchase');

# ---- who may ----
my $own = jwt(role => 'adapty_sdk', sub => 'payer');
v1('GET', '/profiles/payer/', key => undef, bearer => $own);
is($status, 200, 'a user\'s own token sees the user');
for my $other ('123456', $profile_id, 'nobody', '00000000-0000-4000-8000-000000000000')
{
	v1('GET', "/profiles/$other/", key => undef, bearer => $own);
	error_is($status, $body, 403, 'permission_denied', "and nobody else: $other");
}
v1('POST', '/profiles/payer/paid-access-levels/premium/grant/', key => undef, bearer => $own, body => { is_lifetime => JSON::PP::true });
error_is($status, $body, 403, 'permission_denied', 'it grants nothing');
v1('POST', '/profiles/payer/paid-access-levels/premium/grant/', key => undef, body => { is_lifetime => JSON::PP::true });
error_is($status, $body, 401, 'not_authenticated', 'nor does nobody');

# ---- deleted ----
v1('DELETE', '/profiles/payer/delete/');
is("$status [$text]", '204 []', 'a user is deleted');
v1('DELETE', '/profiles/payer/delete');
error_is($status, $body, 404, 'profile_does_not_exist', 'once', undef);
v1('DELETE', '/profiles/123456/');
error_is($status, $body, 405, 'method_not_allowed', 'and by that path only');

# ---- paywalls ----
$node->safe_psql('postgres', q{SELECT adapty.define_paywall('Premium ' || i, '["Monthly"]', '[{"locale": "en", "data": "{\"title\": \"Premium\"}"}]') FROM generate_series(1, 25) i});
v2('GET', '/paywalls/');
is($status, 200, 'a list of paywalls') or diag $text;
is_deeply($body->{meta}, { pagination => { count => 25, page => 1, pages => 2 } }, 'a page of 20');
is(scalar @{ $body->{data} }, 20, 'with 20 paywalls');
is(join(' ', sort keys %{ $body->{data}[0] }), 'created_at is_deleted paywall_id products state title updated_at use_paywall_builder use_paywall_builder_legacy web_purchase_url', 'with these members');
for my $query ('page[number]=2&page[size]=20', 'page%5Bnumber%5D=2&page%5Bsize%5D=20')
{
	v2('GET', "/paywalls/?$query");
	is("$status " . scalar @{ $body->{data} }, '200 5', "the second page: $query");
}
for my $size (0, 101, -1, 'x', '', '1e1', '99999999999999999999')
{
	v2('GET', "/paywalls/?page[size]=$size");
	error_is($status, $body, 400, 'validation_error', "a page of $size", 'page_size');
}
v2('GET', '/paywalls/');
my $paywall = $body->{data}[0]{paywall_id};
v2('GET', "/paywalls/$paywall/");
is_deeply($body->{remote_configs}, [ { locale => 'en', data => '{"title": "Premium"}' } ], 'one paywall, with its remote configs') or diag $text;
ok(exists $body->{main_screenshot}, 'and the rest');
my $config = [ { locale => 'en', data => '{"title":"Premium Features","subtitle":"Unlock all premium content"}' } ];
v2('PUT', "/paywalls/$paywall/", body => { remote_configs => $config, title => 'ignored' });
is_deeply([ $status, $body->{remote_configs} ], [ 200, $config ], 'its remote configs are replaced') or diag $text;
v2('PUT', "/paywalls/$paywall/", body => {});
error_is($status, $body, 400, 'validation_error', 'nothing to replace', 'remote_configs');
is($body->{errors}[0]{errors}[0], 'At least one field must be provided', 'in the words of the documentation');
for my $unknown ('00000000-0000-4000-8000-000000000000', 'x', '%27', '..%2f..')
{
	v2('GET', "/paywalls/$unknown/");
	error_is($status, $body, 404, 'paywall_does_not_exist', "a paywall that is not there: $unknown", undef);
	is($body->{errors}[0]{errors}[0], 'Paywall not found', 'in the words of the documentation');
}
v2('GET', '/paywalls/', key => undef, bearer => $own);
error_is($status, $body, 403, 'permission_denied', 'a user\'s own token lists no paywalls');

done_testing();
