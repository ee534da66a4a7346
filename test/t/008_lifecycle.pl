# What a subscription does by itself, by the scheduler: grace ends, a pause takes effect, the store gives
# up, synthetic events come; nothing is lost by a crash in between.
use strict;
use warnings;

use AdaptyNode;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = adapty_node('lifecycle');
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION adapty;
SELECT adapty.define_product('Monthly', 'premium', 'monthly', '[{"store": "play_store", "store_product_id": "monthly"}]');
SELECT adapty.configure_environment('Production', billing_retry_period => '2 s', trial_active_delay => '1 s');
CREATE FUNCTION iso(secs float) RETURNS text LANGUAGE sql AS
    $$ SELECT to_char((clock_timestamp() + make_interval(secs => secs)) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;
CREATE FUNCTION report(u text, ends float, changes jsonb) RETURNS boolean LANGUAGE sql AS $$
    SELECT adapty.set_transaction(u, jsonb_build_object('purchase_type', 'subscription', 'store', 'play_store',
        'store_product_id', 'monthly', 'store_transaction_id', u, 'store_original_transaction_id', u,
        'price', '{"country": "US", "currency": "USD", "value": 5}'::jsonb, 'purchased_at', '2024-01-01T00:00:00Z',
        'originally_purchased_at', '2024-01-01T00:00:00Z', 'expires_at', iso(ends), 'renew_status', true) || changes, true) IS NOT NULL $$;
SQL
wait_scheduler($node);

# Waits for an event of a user; passes if it came at its moment, with the reason.
sub comes
{
	my ($user, $type, $reason, $name) = @_;
	my $event = "FROM adapty.events e JOIN adapty.identities i USING (profile_id)"
	  . " WHERE i.customer_user_id = '$user' AND e.event_type = '$type'";
	ok($node->poll_query_until('postgres', "SELECT count(*) = 1 $event"), $name);
	is( $node->safe_psql('postgres',
			"SELECT e.recorded_at - e.event_datetime BETWEEN '0' AND '10 s', coalesce(event_properties->>'cancellation_reason', '') $event"),
		"t|$reason", "$name: at its moment");
	return;
}

sub value { return $node->safe_psql('postgres', $_[0]); }

# --- grace ---
value("SELECT report('grace', 0.5, jsonb_build_object('billing_issue_detected_at', iso(0), 'grace_period_expires_at', iso(2)))");
is(value("SELECT subscription_state FROM adapty.profile_status('grace')"), 'grace_period', 'grace');
comes('grace', 'subscription_expired', 'billing_error', 'the end of grace is the end');
is(value("SELECT adapty.has_access('grace', 'premium')"), 'f', 'access went with it');

# --- a pause: access ends, the subscription does not ---
value("SELECT report('pause', 3600, jsonb_build_object('paused_at', iso(1)))");
ok( $node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM adapty.events JOIN adapty.identities USING (profile_id)"
		  . " WHERE customer_user_id = 'pause' AND was_active AND NOT is_active"),
	'a pause takes access at its moment');
is(value("SELECT count(*) FROM adapty.events JOIN adapty.identities USING (profile_id) WHERE customer_user_id = 'pause' AND event_type = 'subscription_expired'"),
	'0', 'and is no expiry');

# --- no grace: the store gives up after its retry period, which a timer waits for, through a crash ---
value("SELECT report('retry', 1, jsonb_build_object('billing_issue_detected_at', iso(0)))");
value("SELECT report('trial', 3600, jsonb_build_object('purchased_at', iso(1), 'offer', '{\"category\": \"introductory\", \"type\": \"free_trial\"}'::jsonb))");
value("SELECT report('unmapped', 2, '{\"store_product_id\": \"unknown\", \"renew_status\": false}')");
is(value("SELECT count(*) FROM adapty.subscription_timers"), '3', 'three timers wait');
$node->stop('immediate');
$node->start;
comes('retry', 'subscription_expired', 'billing_error', 'the store gives up');
comes('trial', 'trial_active', '', 'the trial goes on');
comes('unmapped', 'subscription_expired', 'voluntarily_cancelled', 'what gives no access has an end as well');
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM adapty.subscription_timers"), 'timers are used up');
is(value("SELECT subscription_state FROM adapty.profile_status('retry')"), 'subscription_cancelled', 'the state follows');

# --- woken by the commit that sets a timer earlier than what it sleeps for ---
wait_scheduler($node);
value("SELECT report('quick', 1, '{\"store_product_id\": \"unknown\"}')");
comes('quick', 'subscription_expired', 'unknown', 'a timer that was set while the scheduler slept');

# --- a locked user is left for later, and not forgotten ---
my $session = start_session($node);
value("SELECT report('locked', 1, '{\"store_product_id\": \"unknown\"}')");
$session->query("BEGIN; SELECT 1 FROM adapty.profiles JOIN adapty.identities USING (profile_id) WHERE customer_user_id = 'locked' FOR UPDATE OF profiles");
value("SELECT report('free', 1, '{\"store_product_id\": \"unknown\"}')");
comes('free', 'subscription_expired', 'unknown', 'a locked user stands in nobody\'s way');
$session->query('COMMIT');
$session->quit;
comes('locked', 'subscription_expired', 'unknown', 'and comes when it is free');

$node->stop;
done_testing();
