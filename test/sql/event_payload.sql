-- Payloads: every type of event with its complete object, as the webhooks send it.
\set VERBOSITY terse
\set SHOW_CONTEXT never
-- Moments are written in UTC whatever the session thinks.
SET TimeZone TO 'Pacific/Chatham';
SET DateStyle TO 'SQL, DMY';
SET IntervalStyle TO 'sql_standard';
SET extra_float_digits TO 0;

-- The scene: a product, a paywall in a running test, rates, and users with all that can be known of them.
SELECT adapty.define_product('pl monthly', 'premium', 'monthly', '[
    {"store": "play_store", "store_product_id": "pl", "store_base_plan_id": "m1"},
    {"store": "app_store", "store_product_id": "pl"}]') IS NOT NULL AS ok;
SELECT adapty.define_product('pl pro', 'premium', 'monthly', '[{"store": "app_store", "store_product_id": "pl_pro"}]') IS NOT NULL AS ok;
SELECT adapty.define_product('pl coins', period => 'consumable', store_products => '[{"store": "app_store", "store_product_id": "100coins"}]') IS NOT NULL AS ok;
SELECT count(adapty.define_paywall('PL ' || p)) FROM unnest(ARRAY['one', 'two', 'rest']) p;
SELECT adapty.define_placement('pl.home', paywall => 'PL rest') AS placement;
SELECT adapty.define_ab_test('PL price', '{pl.home}', '[{"name": "A", "weight": 50, "paywall": "PL one"}, {"name": "B", "weight": 50, "paywall": "PL two"}]') AS test \gset
SELECT adapty.start_ab_test('PL price');
SELECT variation_id AS a FROM adapty.variations WHERE ab_test_id = :'test' AND position = 1 \gset
SELECT variation_id AS rest FROM adapty.variations v JOIN adapty.paywalls USING (paywall_id) WHERE title = 'PL rest' AND ab_test_id IS NULL \gset
SELECT adapty.set_currency_rate('CHF', 0.8, '2024-01-01 00:00+00');
SELECT adapty.set_tax_rate('CH', 0.25);
SELECT adapty.configure_environment('Production', trial_active_delay => '3 days', subscription_active_delay => '5 days');

-- Moves a user's clock to a moment and lets what is due happen.
CREATE FUNCTION pg_temp.clock(u text, t timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM adapty.set_test_clock(u, make_interval(secs => extract(epoch FROM t - clock_timestamp())));
    PERFORM adapty.process_due();
END $$;
CREATE FUNCTION pg_temp.make(u text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM adapty.create_profile(u);
    UPDATE adapty.profiles SET created_at = '2024-01-01 00:00+00' WHERE profile_id = (SELECT profile_id FROM adapty.identities WHERE customer_user_id = u);
    PERFORM pg_temp.clock(u, '2099-01-02T00:00:00Z');
END $$;
CREATE FUNCTION pg_temp.report(u text, changes jsonb, at timestamptz DEFAULT '2099-01-03T12:00:00.5Z') RETURNS boolean LANGUAGE sql AS $$
    SELECT adapty.set_transaction(u, jsonb_build_object('purchase_type', 'subscription', 'store', 'app_store', 'store_product_id', 'pl',
        'store_transaction_id', u, 'store_original_transaction_id', u, 'price', '{"country": "US", "currency": "USD", "value": 4.99}'::jsonb,
        'purchased_at', '2099-01-01T00:00:00Z', 'originally_purchased_at', '2099-01-01T00:00:00Z',
        'expires_at', '2099-02-01T00:00:00Z', 'renew_status', true) || changes, reported_at => at) IS NOT NULL $$;
-- The user's last event of a type. What a test cannot know goes by a name: ids, and moments that are not whole.
CREATE FUNCTION pg_temp.payload(u text, type adapty.event_type, VARIADIC options boolean[] DEFAULT '{f,f,f,f}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    event adapty.events;
    known record;
    result text;
BEGIN
    SELECT e.* INTO event FROM adapty.events e JOIN adapty.identities USING (profile_id)
        WHERE customer_user_id = u AND event_type = type ORDER BY recorded_at DESC LIMIT 1;
    result := replace(jsonb_pretty(adapty.event_payload(event, options[1], options[2], options[3], options[4])), event.event_id::text, '<event>');
    result := regexp_replace(result, '"20[0-9-]+T[0-9:]+\.(?!000000|500000|789000)[0-9]{6}', '"<now>', 'g');
    result := regexp_replace(result, '("actor": )"[^"]*"', '\1"<actor>"');
    FOR known IN SELECT profile_id::text AS id, customer_user_id AS name FROM adapty.identities WHERE customer_user_id LIKE 'pl-%'
        UNION ALL SELECT v.variation_id::text, 'variation of ' || w.title FROM adapty.variations v JOIN adapty.paywalls w USING (paywall_id) LOOP
        result := replace(result, known.id, '<' || known.name || '>');
    END LOOP;
    RETURN result;
END $$;
\pset format unaligned
\pset tuples_only on

-- ---- a subscription of Google Play with everything there is to say; another currency, tax, a paywall of a test ----
SELECT pg_temp.make('pl-1');
SELECT adapty.set_attributes('pl-1', '{"email": "pl@example.com", "ip_country": "CH", "ip_v4_address": "10.10.1.1", "Favourite_color": "Violet", "words": 120}');
INSERT INTO adapty.installations (profile_id, device_id, updated_at, idfa, idfv, advertising_id, user_agent)
    SELECT profile_id, x.* FROM adapty.identities, (VALUES
        ('00000000-0000-0000-0000-000000000001'::uuid, '2024-01-01 00:00+00'::timestamptz, 'old', 'old', 'old', 'old'),
        ('00000000-0000-0000-0000-000000000002', '2024-01-02 00:00+00', '00000000-0000-0000-0000-00000000000a',
         '00000000-0000-0000-0000-00000000000b', '00000000-0000-0000-0000-00000000000c', 'ExampleUserAgent/1.0')) x WHERE customer_user_id = 'pl-1';
INSERT INTO adapty.integration_identifiers (profile_id, name, value)
    SELECT profile_id, x.* FROM adapty.identities, (VALUES ('branch_id', 'b1'), ('firebase_app_instance_id', 'f1')) x WHERE customer_user_id = 'pl-1';
INSERT INTO adapty.attributions (profile_id, source, created_at, status, network_user_id, channel, campaign)
    SELECT profile_id, 'appsflyer', '2024-01-01 12:34:56.789+00', 'non_organic', 'n1', 'Ads', 'Spring' FROM adapty.identities WHERE customer_user_id = 'pl-1';
SELECT pg_temp.report('pl-1', jsonb_build_object('store', 'play_store', 'store_product_id', 'pl:m1', 'variation_id', :'a',
    'store_original_transaction_id', 'token-1', 'price', '{"country": "CH", "currency": "CHF", "value": 10}'::jsonb));
SELECT pg_temp.payload('pl-1', 'subscription_started', true, true, true, true);
SELECT pg_temp.payload('pl-1', 'access_level_updated', false, false, false, true);

-- a webhook sends what it is set to
SELECT options, b ? 'user_attributes', b ? 'attributions' FROM (VALUES ('{}'), ('{"send_user_attributes": true}'), ('{"send_attribution": true}')) AS o (options),
    LATERAL (SELECT adapty._webhook_body(jsonb_populate_record(NULL::adapty.webhooks, '{"event_names": {}}' || options::jsonb), e)::jsonb
        FROM adapty.events e WHERE source_id = 'play_store:pl-1' LIMIT 1) AS x (b);

-- ---- trial, still active, conversion; with the price of the trial only where it is asked for ----
SELECT pg_temp.make('pl-2');
SELECT pg_temp.report('pl-2', '{"expires_at": "2099-01-08T00:00:00Z", "offer": {"category": "introductory", "type": "free_trial", "id": "week"}}');
SELECT pg_temp.payload('pl-2', 'trial_started');
SELECT p #>> '{event_properties,price_local}', p #>> '{event_properties,price_usd}' FROM
    (SELECT pg_temp.payload('pl-2', 'trial_started', false, false, true, false)::jsonb) AS x (p);
SELECT pg_temp.payload('pl-2', 'access_level_updated');
SELECT pg_temp.clock('pl-2', '2099-01-04T12:00:00Z');
SELECT pg_temp.payload('pl-2', 'trial_active');
SELECT pg_temp.report('pl-2', '{"expires_at": "2099-01-08T00:00:00Z", "renew_status": false, "offer": {"category": "introductory", "type": "free_trial", "id": "week"}}', '2099-01-04T00:00:00Z');
SELECT pg_temp.payload('pl-2', 'trial_renewal_cancelled');
SELECT pg_temp.payload('pl-2', 'access_level_updated');
SELECT pg_temp.report('pl-2', '{"expires_at": "2099-01-08T00:00:00Z", "offer": {"category": "introductory", "type": "free_trial", "id": "week"}}', '2099-01-05T00:00:00Z');
SELECT pg_temp.payload('pl-2', 'trial_renewal_reactivated');
SELECT pg_temp.report('pl-2', '{"store_transaction_id": "pl-2b", "purchased_at": "2099-01-08T00:00:00Z", "expires_at": "2099-02-08T00:00:00Z"}');
SELECT pg_temp.payload('pl-2', 'trial_converted');
-- ---- a trial that ends ----
SELECT pg_temp.make('pl-3');
SELECT pg_temp.report('pl-3', '{"expires_at": "2099-01-08T00:00:00Z", "renew_status": false, "price": {"country": "US", "currency": "USD", "value": 0}, "offer": {"category": "introductory", "type": "free_trial"}}');
SELECT pg_temp.clock('pl-3', '2099-01-09T00:00:00Z');
SELECT pg_temp.payload('pl-3', 'trial_expired');
SELECT pg_temp.payload('pl-3', 'access_level_updated');

-- ---- a paid one: still active, renewal switched off and on, renewal, billing issue with grace, expiry ----
SELECT pg_temp.make('pl-4');
SELECT pg_temp.report('pl-4', jsonb_build_object('variation_id', :'rest'));
SELECT pg_temp.clock('pl-4', '2099-01-07T00:00:00Z');
SELECT pg_temp.payload('pl-4', 'subscription_active');
SELECT pg_temp.report('pl-4', '{"renew_status": false, "cancellation_reason": "voluntarily_cancelled"}', '2099-01-04T00:00:00Z');
SELECT pg_temp.payload('pl-4', 'subscription_renewal_cancelled');
SELECT pg_temp.report('pl-4', '{}', '2099-01-05T00:00:00Z');
SELECT pg_temp.payload('pl-4', 'subscription_renewal_reactivated');
SELECT pg_temp.report('pl-4', '{"store_transaction_id": "pl-4b", "purchased_at": "2099-02-01T00:00:00Z", "expires_at": "2099-03-01T00:00:00Z", "offer": {"category": "promotional", "type": "pay_as_you_go", "id": "spring"}}');
SELECT pg_temp.payload('pl-4', 'subscription_renewed');
SELECT pg_temp.clock('pl-4', '2099-03-01T12:00:00Z');
SELECT pg_temp.report('pl-4', '{"store_transaction_id": "pl-4b", "purchased_at": "2099-02-01T00:00:00Z", "expires_at": "2099-03-01T00:00:00Z", "offer": {"category": "promotional", "type": "pay_as_you_go", "id": "spring"}, "billing_issue_detected_at": "2099-03-01T00:00:00Z", "grace_period_expires_at": "2099-03-17T00:00:00Z"}', '2099-03-01T00:00:00Z');
SELECT pg_temp.payload('pl-4', 'billing_issue_detected');
SELECT pg_temp.payload('pl-4', 'entered_grace_period');
SELECT pg_temp.payload('pl-4', 'access_level_updated');
SELECT pg_temp.clock('pl-4', '2099-03-18T00:00:00Z');
SELECT pg_temp.payload('pl-4', 'subscription_expired');
SELECT pg_temp.payload('pl-4', 'access_level_updated');

-- ---- pause and deferral ----
SELECT pg_temp.make('pl-5');
SELECT pg_temp.report('pl-5', '{}');
SELECT pg_temp.report('pl-5', '{"expires_at": "2099-02-15T00:00:00Z"}', '2099-01-04T00:00:00Z');
SELECT pg_temp.payload('pl-5', 'subscription_deferred');
SELECT pg_temp.report('pl-5', '{"expires_at": "2099-02-15T00:00:00Z", "paused_at": "2099-02-15T00:00:00Z"}', '2099-01-05T00:00:00Z');
SELECT pg_temp.payload('pl-5', 'subscription_paused');

-- ---- refunds; the upgrade's ----
SELECT pg_temp.report('pl-5', '{"expires_at": "2099-02-15T00:00:00Z", "refunded_at": "2099-01-10T00:00:00Z", "cancellation_reason": "refund"}', '2099-01-10T00:00:00Z');
SELECT pg_temp.payload('pl-5', 'subscription_refunded');
SELECT pg_temp.make('pl-6');
SELECT pg_temp.report('pl-6', '{}');
SELECT pg_temp.report('pl-6', '{"store_transaction_id": "pl-6b", "store_product_id": "pl_pro", "purchased_at": "2099-01-15T00:00:00Z"}');
SELECT key, value FROM jsonb_each_text(pg_temp.payload('pl-6', 'subscription_refunded')::jsonb -> 'event_properties')
    WHERE key IN ('transaction_id', 'vendor_product_id', 'cancellation_reason', 'subscription_expires_at', 'consecutive_payments') ORDER BY 1;
SELECT key, value FROM jsonb_each_text(pg_temp.payload('pl-6', 'subscription_started')::jsonb -> 'event_properties')
    WHERE key IN ('transaction_id', 'vendor_product_id', 'cancellation_reason', 'subscription_expires_at', 'consecutive_payments') ORDER BY 1;

-- ---- one-time purchases ----
SELECT pg_temp.make('pl-7');
SELECT adapty.set_transaction('pl-7', '{"purchase_type": "one_time_purchase", "store": "app_store", "store_product_id": "100coins", "store_transaction_id": "pl-7",
    "store_original_transaction_id": "pl-7", "price": {"country": "US", "currency": "USD", "value": 4.99}, "purchased_at": "2099-01-01T10:45:36.5Z"}') IS NOT NULL;
SELECT pg_temp.payload('pl-7', 'non_subscription_purchase');
SELECT adapty.set_transaction('pl-7', '{"purchase_type": "one_time_purchase", "store": "app_store", "store_product_id": "100coins", "store_transaction_id": "pl-7",
    "store_original_transaction_id": "pl-7", "price": {"country": "US", "currency": "USD", "value": 4.99}, "purchased_at": "2099-01-01T10:45:36.5Z", "refunded_at": "2099-01-02T00:00:00Z"}') IS NOT NULL;
SELECT pg_temp.payload('pl-7', 'non_subscription_purchase_refunded');

-- ---- granted without a store; revoked; promised; another source that still gives it ----
SELECT pg_temp.make('pl-8');
SELECT is_active FROM adapty.grant_access_level('pl-8', 'premium', is_lifetime => true, reason => 'gift');
SELECT pg_temp.payload('pl-8', 'access_level_updated');
SELECT is_active FROM adapty.revoke_access_level('pl-8', 'premium', reason => 'mistake');
SELECT key, value FROM jsonb_each_text(pg_temp.payload('pl-8', 'access_level_updated')::jsonb -> 'event_properties')
    WHERE key IN ('is_active', 'is_lifetime', 'cancellation_reason', 'reason', 'expires_at', 'previous_expires_at', 'vendor_product_id') ORDER BY 1;
SELECT pg_temp.report('pl-8', '{}');
SELECT is_active FROM adapty.grant_access_level('pl-8', 'premium', expires_at => '2099-01-15 00:00+00', mode => 'replace');
SELECT is_active FROM adapty.grant_access_level('pl-8', 'premium', expires_at => '2099-05-01 00:00+00', mode => 'replace');
SELECT is_active FROM adapty.revoke_access_level('pl-8', 'premium');
SELECT key, value FROM jsonb_each_text(pg_temp.payload('pl-8', 'access_level_updated')::jsonb -> 'event_properties')
    WHERE key IN ('is_active', 'store', 'source', 'source_id', 'expires_at', 'transaction_id', 'vendor_product_id', 'will_renew') ORDER BY 1;

-- ---- shared: the others that have it, for whoever has it ----
SELECT pg_temp.make('pl-9');
SELECT pg_temp.make('pl-9b');
SELECT pg_temp.report('pl-9', '{}');
SELECT pg_temp.payload('pl-9', 'subscription_started')::jsonb -> 'profiles_sharing_access_level';
SELECT pg_temp.report('pl-9b', '{"store_transaction_id": "pl-9", "store_original_transaction_id": "pl-9"}');
SELECT pg_temp.payload('pl-9', 'subscription_started')::jsonb -> 'profiles_sharing_access_level';
SELECT pg_temp.payload('pl-9b', 'access_level_updated');
SELECT adapty.configure_environment('Production', access_sharing => 'transfer');
SELECT pg_temp.make('pl-9c');
SELECT pg_temp.report('pl-9c', '{"store_transaction_id": "pl-9", "store_original_transaction_id": "pl-9"}');
SELECT u, p #> '{event_properties,profile_has_access_level}', p -> 'profiles_sharing_access_level' FROM unnest(ARRAY['pl-9', 'pl-9b', 'pl-9c']) u,
    LATERAL (SELECT pg_temp.payload(u, 'access_level_updated')::jsonb) AS x (p);
SELECT adapty.configure_environment('Production', 'enabled', trial_active_delay => '0', subscription_active_delay => '0');

-- ---- of a user who is gone; of an event that somebody made up ----
SELECT adapty.delete_profile('pl-1');
SELECT jsonb_pretty(p) FROM adapty.events e, LATERAL (SELECT adapty.event_payload(e) - 'event_properties' - 'profile_id') AS x (p)
    WHERE event_type = 'subscription_started' AND source_id = 'play_store:pl-1';
SELECT adapty.event_payload(NULL) IS NULL;
SELECT adapty.event_payload(jsonb_populate_record(NULL::adapty.events, '{}'));
SELECT p -> 'profile_id', p #> '{event_properties,profile_id}', p #> '{event_properties,source}', p #> '{event_properties,store}' FROM (SELECT adapty.event_payload(jsonb_populate_record(NULL::adapty.events,
    '{"event_datetime": "infinity", "event_type": "access_level_updated", "event_id": "00000000-0000-0000-0000-000000000001", "profile_id": "00000000-0000-0000-0000-000000000000",
      "event_properties": {"winner_source": "nonsense", "winner_source_id": 1, "store_transaction_id": {}}, "source_id": "x", "source": "subscription"}'))) AS x (p);
SELECT adapty.event_payload(jsonb_populate_record(NULL::adapty.events,
    '{"event_datetime": "-infinity", "event_type": "trial_started", "event_id": "00000000-0000-0000-0000-000000000001", "profile_id": "00000000-0000-0000-0000-000000000000",
      "event_properties": ["price_value"], "source_id": ":"}')) IS NOT NULL;
-- every type has been here, and ids stay
SELECT unnest(enum_range(NULL::adapty.event_type)) EXCEPT SELECT event_type FROM adapty.events e JOIN adapty.identities USING (profile_id) WHERE customer_user_id LIKE 'pl-%';
SELECT bool_and(payload #>> '{event_properties,profile_event_id}' = event_id::text), count(DISTINCT payload #>> '{event_properties,profile_event_id}') = count(*)
    FROM adapty.event_payloads WHERE profile_id IN (SELECT profile_id FROM adapty.identities WHERE customer_user_id LIKE 'pl-%');
-- fields of a type are always the same
SELECT event_type, count(DISTINCT keys) FROM (SELECT event_type, (SELECT string_agg(k, ' ' ORDER BY k) FROM jsonb_object_keys(payload -> 'event_properties') k
        WHERE k NOT IN ('actor', 'reason', 'source_id', 'previous_expires_at')) AS keys
    FROM adapty.event_payloads WHERE profile_id IN (SELECT profile_id FROM adapty.identities WHERE customer_user_id LIKE 'pl-%')) x GROUP BY 1 HAVING count(DISTINCT keys) > 1;
SET ROLE adapty_analyst;
SELECT adapty.event_payload(NULL);
SELECT count(*) FROM adapty.event_payloads;
RESET ROLE;
SELECT adapty.set_tax_rate('CH', NULL), adapty.set_currency_rate('CHF', NULL, '2024-01-01 00:00+00');
SELECT count(adapty.delete_profile(u)) FROM unnest(ARRAY['pl-9', 'pl-9b', 'pl-9c']) u;
