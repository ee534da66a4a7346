-- What a subscription does by itself when time passes: pause, grace, retry, the end without a grant,
-- synthetic events. The profile's test clock moves on; nothing is reported meanwhile.
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET TimeZone TO 'America/Caracas';
SELECT adapty.define_product('ti monthly', 'premium', 'monthly',
    '[{"store": "play_store", "store_product_id": "ti_monthly"}]') IS NOT NULL AS ok;
CREATE FUNCTION pg_temp.sub(id text, changes jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('purchase_type', 'subscription', 'store', 'play_store', 'store_product_id', 'ti_monthly',
        'store_transaction_id', id, 'store_original_transaction_id', id, 'price', '{"country": "US", "currency": "USD", "value": 5}'::jsonb,
        'purchased_at', '2099-01-01T00:00:00Z', 'originally_purchased_at', '2099-01-01T00:00:00Z',
        'expires_at', '2099-02-01T00:00:00Z', 'renew_status', true) || changes $$;
CREATE FUNCTION pg_temp.trial(changes jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS
    $$ SELECT '{"offer": {"category": "introductory", "type": "free_trial"}}'::jsonb || changes $$;
-- Moves a user's clock to a moment and lets what is due happen; a user is made at its beginning.
CREATE FUNCTION pg_temp.clock(u text, t timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM adapty.set_test_clock(u, make_interval(secs => extract(epoch FROM t - clock_timestamp())));
    PERFORM adapty.process_due();
END $$;
CREATE FUNCTION pg_temp.make(u text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM adapty.create_profile(u);
    PERFORM pg_temp.clock(u, '2099-01-02T00:00:00Z');
END $$;
CREATE FUNCTION pg_temp.look(u text) RETURNS TABLE (event text, at text, has boolean, reason text) LANGUAGE sql AS $$
    SELECT event_type::text, CASE WHEN event_datetime < '2098-01-01' THEN 'now' ELSE to_char(event_datetime AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') END, is_active, event_properties->>'cancellation_reason'
    FROM adapty.events JOIN adapty.identities USING (profile_id) WHERE customer_user_id = u ORDER BY recorded_at $$;
CREATE FUNCTION pg_temp.is(u text) RETURNS TABLE (state text, lifecycle text, access boolean) LANGUAGE sql AS $$
    SELECT p.subscription_state::text, adapty.subscription_lifecycle(p.profile_id, 'play_store', u), adapty.has_access(u, 'premium')
    FROM adapty.profiles p JOIN adapty.identities USING (profile_id) WHERE customer_user_id = u $$;
CREATE FUNCTION pg_temp.report(u text, changes jsonb DEFAULT '{}') RETURNS boolean LANGUAGE sql AS
    $$ SELECT adapty.set_transaction(u, pg_temp.sub(u, changes)) IS NOT NULL $$;

-- ---- a pause takes access at its moment, without an expiry; the next transaction resumes ----
SELECT pg_temp.make('ti-pause');
SELECT pg_temp.report('ti-pause'), pg_temp.report('ti-pause', '{"paused_at": "2099-02-01T00:00:00Z", "resumes_at": "2099-03-01T00:00:00Z", "renew_status_changed_at": "2099-01-02T00:00:00Z"}');
SELECT * FROM pg_temp.is('ti-pause');
SELECT pg_temp.clock('ti-pause', '2099-02-02T00:00:00Z');
SELECT * FROM pg_temp.is('ti-pause');
SELECT pg_temp.clock('ti-pause', '2099-03-02T00:00:00Z');
SELECT pg_temp.report('ti-pause', '{"store_transaction_id": "ti-pause-2", "purchased_at": "2099-03-01T00:00:00Z", "expires_at": "2099-04-01T00:00:00Z"}');
SELECT * FROM pg_temp.is('ti-pause');
SELECT * FROM pg_temp.look('ti-pause');
SELECT pg_temp.report('ti-pause', '{"resumes_at": "2099-03-01T00:00:00Z"}');
SELECT pg_temp.report('ti-pause', '{"paused_at": "2099-02-01T00:00:00Z", "resumes_at": "2099-02-01T00:00:00Z"}');
SELECT pg_temp.report('ti-pause', '{"paused_at": "2098-02-01T00:00:00Z"}');

-- ---- grace: access goes on, ends with it, and that is the end ----
SELECT pg_temp.make('ti-grace');
SELECT pg_temp.report('ti-grace'), pg_temp.report('ti-grace', '{"billing_issue_detected_at": "2099-01-31T00:00:00Z", "grace_period_expires_at": "2099-02-17T00:00:00Z"}');
SELECT pg_temp.clock('ti-grace', '2099-02-16T00:00:00Z');
SELECT * FROM pg_temp.is('ti-grace');
SELECT pg_temp.clock('ti-grace', '2099-02-18T00:00:00Z');
SELECT * FROM pg_temp.is('ti-grace');
SELECT * FROM pg_temp.look('ti-grace');

-- ---- no grace: access ends with the period, the subscription when the store gives up ----
SELECT pg_temp.make('ti-retry');
SELECT pg_temp.report('ti-retry'), pg_temp.report('ti-retry', '{"billing_issue_detected_at": "2099-01-31T00:00:00Z"}');
SELECT * FROM pg_temp.is('ti-retry');
SELECT pg_temp.clock('ti-retry', '2099-02-02T00:00:00Z');
SELECT * FROM pg_temp.is('ti-retry');
SELECT pg_temp.clock('ti-retry', '2099-04-01T00:00:00Z');
SELECT * FROM pg_temp.is('ti-retry');
SELECT pg_temp.clock('ti-retry', '2099-04-03T00:00:00Z');
SELECT * FROM pg_temp.is('ti-retry');
SELECT * FROM pg_temp.look('ti-retry');
-- the store says that it has given up; and that it was paid after all
SELECT pg_temp.make('ti-retry2');
SELECT pg_temp.report('ti-retry2', '{"billing_issue_detected_at": "2099-01-31T00:00:00Z"}');
SELECT pg_temp.clock('ti-retry2', '2099-02-10T00:00:00Z');
SELECT pg_temp.report('ti-retry2', '{"billing_issue_detected_at": "2099-01-31T00:00:00Z", "cancellation_reason": "billing_error", "renew_status_changed_at": "2099-02-09T00:00:00Z"}');
SELECT * FROM pg_temp.is('ti-retry2');
SELECT pg_temp.report('ti-retry2', '{"store_transaction_id": "ti-retry2-2", "purchased_at": "2099-02-10T00:00:00Z", "expires_at": "2099-03-10T00:00:00Z"}');
SELECT * FROM pg_temp.is('ti-retry2');
SELECT * FROM pg_temp.look('ti-retry2');
-- recovered in time: the timer that was set does nothing
SELECT pg_temp.make('ti-retry3');
SELECT pg_temp.report('ti-retry3', '{"billing_issue_detected_at": "2099-01-31T00:00:00Z"}');
SELECT pg_temp.report('ti-retry3', '{"store_transaction_id": "ti-retry3-2", "purchased_at": "2099-02-01T00:00:00Z", "expires_at": "2199-03-10T00:00:00Z"}');
SELECT pg_temp.clock('ti-retry3', '2099-05-01T00:00:00Z');
SELECT * FROM pg_temp.look('ti-retry3');
SELECT count(*) FROM adapty.subscription_timers WHERE store_original_transaction_id = 'ti-retry3';
-- a shorter retry
SELECT adapty.configure_environment('Sandbox', billing_retry_period => '3 days');
SELECT pg_temp.make('ti-retry4');
SELECT pg_temp.report('ti-retry4', '{"environment": "Sandbox", "billing_issue_detected_at": "2099-01-31T00:00:00Z"}');
SELECT pg_temp.clock('ti-retry4', '2099-02-05T00:00:00Z');
SELECT * FROM pg_temp.look('ti-retry4');

-- ---- a store product that is not mapped gives nothing, and still has a life ----
SELECT pg_temp.make('ti-unmapped');
SELECT pg_temp.report('ti-unmapped', '{"store_product_id": "ti_unknown", "renew_status": false}');
SELECT * FROM pg_temp.is('ti-unmapped');
SELECT pg_temp.clock('ti-unmapped', '2099-02-02T00:00:00Z');
SELECT * FROM pg_temp.is('ti-unmapped');
SELECT * FROM pg_temp.look('ti-unmapped');

-- ---- trial_active and subscription_active, for who wants them ----
SELECT adapty.configure_environment('Production', trial_active_delay => '3 days', subscription_active_delay => '10 days');
SELECT pg_temp.make('ti-trial'), pg_temp.make('ti-trial2'), pg_temp.make('ti-trial3'), pg_temp.make('ti-sub'), pg_temp.make('ti-sub2');
-- a trial that goes on, also with its renewal off; one that converted; one that ended
SELECT pg_temp.report('ti-trial', pg_temp.trial()), pg_temp.report('ti-trial', pg_temp.trial('{"renew_status": false, "renew_status_changed_at": "2099-01-02T00:00:00Z"}'));
SELECT pg_temp.report('ti-trial2', pg_temp.trial()), pg_temp.report('ti-trial2', '{"store_transaction_id": "ti-trial2-2", "purchased_at": "2099-01-02T00:00:00Z", "expires_at": "2199-02-02T00:00:00Z"}');
SELECT pg_temp.report('ti-trial3', pg_temp.trial('{"expires_at": "2099-01-03T00:00:00Z", "renew_status": false}'));
-- a subscription that goes on, renewed meanwhile; one that was refunded
SELECT pg_temp.report('ti-sub'), pg_temp.report('ti-sub', '{"store_transaction_id": "ti-sub-2", "purchased_at": "2099-01-05T00:00:00Z", "expires_at": "2199-02-02T00:00:00Z"}');
SELECT pg_temp.report('ti-sub2'), pg_temp.report('ti-sub2', '{"refunded_at": "2099-01-02T00:00:00Z"}');
SELECT pg_temp.clock(u, '2099-01-20T00:00:00Z') FROM unnest(ARRAY['ti-trial', 'ti-trial2', 'ti-trial3', 'ti-sub', 'ti-sub2']) u;
SELECT u, l.event, l.at FROM unnest(ARRAY['ti-trial', 'ti-trial2', 'ti-trial3', 'ti-sub', 'ti-sub2']) WITH ORDINALITY u (u, n), pg_temp.look(u) l WHERE l.event <> 'access_level_updated' ORDER BY n, l.at, l.event;

-- ---- a deleted profile's subscription goes on being nobody's ----
SELECT pg_temp.make('ti-gone');
SELECT pg_temp.report('ti-gone', '{"store_product_id": "ti_unknown"}'), adapty.delete_profile('ti-gone');
SELECT profile_id FROM adapty.subscription_timers WHERE store_original_transaction_id = 'ti-gone';

-- clean up
DELETE FROM adapty.environment_settings;
SELECT count(adapty.delete_profile(customer_user_id)) FROM (SELECT customer_user_id FROM adapty.identities WHERE customer_user_id LIKE 'ti-%') u;
DELETE FROM adapty.transactions WHERE profile_id = '00000000-0000-0000-0000-000000000000';
DELETE FROM adapty.subscriptions WHERE profile_id = '00000000-0000-0000-0000-000000000000';
DELETE FROM adapty.subscription_timers;
DELETE FROM adapty.products WHERE title LIKE 'ti %';
