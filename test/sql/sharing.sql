-- Purchases that are reported for a second profile: shared, transferred, or kept; and handed over.
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET TimeZone TO 'Pacific/Chatham';
SET IntervalStyle TO 'postgres';
SELECT adapty.define_access_level('sh_pro', 'Pro');
SELECT adapty.define_product('sh monthly', 'premium', 'monthly',
    '[{"store": "app_store", "store_product_id": "sh_monthly"}]') IS NOT NULL AS ok;
SELECT adapty.define_product('sh pro', 'sh_pro', 'monthly',
    '[{"store": "app_store", "store_product_id": "sh_pro"}]') IS NOT NULL AS ok;
SELECT adapty.define_product('sh lifetime', 'premium', 'lifetime',
    '[{"store": "app_store", "store_product_id": "sh_lifetime"}]') IS NOT NULL AS ok;
CREATE FUNCTION pg_temp.sub(id text, changes jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('purchase_type', 'subscription', 'store', 'app_store', 'store_product_id', 'sh_monthly',
        'store_transaction_id', id, 'store_original_transaction_id', id, 'price', '{"country": "US", "currency": "USD", "value": 5}'::jsonb,
        'purchased_at', '2024-01-15T10:30:00Z', 'originally_purchased_at', '2024-01-15T10:30:00Z',
        'expires_at', '2099-02-15T10:30:00Z', 'renew_status', true) || changes $$;
CREATE FUNCTION pg_temp.one(id text, changes jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('purchase_type', 'one_time_purchase', 'store', 'app_store', 'store_product_id', 'sh_lifetime',
        'store_transaction_id', id, 'store_original_transaction_id', id, 'price', '{"country": "US", "currency": "USD", "value": 50}'::jsonb,
        'purchased_at', '2024-01-15T10:30:00Z') || changes $$;
-- Names of profiles: a customer_user_id, or what the test calls an anonymous one.
CREATE TABLE pg_temp.names (name text PRIMARY KEY, profile_id uuid);
CREATE FUNCTION pg_temp.make(VARIADIC names text[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO pg_temp.names SELECT n, adapty.create_profile(CASE WHEN n NOT LIKE 'sh-anon%' THEN n END) FROM unnest(names) n $$;
CREATE FUNCTION pg_temp.p(n text) RETURNS uuid LANGUAGE sql AS $$ SELECT profile_id FROM pg_temp.names WHERE name = n $$;
CREATE FUNCTION pg_temp.report(n text, tx jsonb) RETURNS boolean LANGUAGE sql AS
    $$ SELECT adapty.set_transaction(pg_temp.p(n), tx) IS NOT NULL $$;
-- Who has what, and the events of a purchase's people since the last look.
CREATE FUNCTION pg_temp.access(prefix text) RETURNS TABLE (name text, level text, source text, ends text, active boolean) LANGUAGE sql AS $$
    SELECT n.name, g.access_level_id, g.source::text, CASE WHEN g.expires_at < now() + interval '1 minute' AND g.expires_at > now() - interval '1 minute' THEN 'now'
            WHEN isfinite(g.expires_at) THEN to_char(g.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') ELSE 'never' END,
        adapty.has_access(n.profile_id, g.access_level_id)
    FROM pg_temp.names n JOIN adapty.access_grants g USING (profile_id) WHERE n.name LIKE prefix || '%' ORDER BY 1, 2, 3 $$;
CREATE TABLE pg_temp.looked (event_id uuid PRIMARY KEY);
CREATE FUNCTION pg_temp.news() RETURNS TABLE (name text, event text, has boolean, tx text) LANGUAGE sql AS $$
    WITH new AS (INSERT INTO pg_temp.looked SELECT e.event_id FROM adapty.events e JOIN pg_temp.names USING (profile_id) ON CONFLICT DO NOTHING RETURNING event_id)
    SELECT n.name, e.event_type::text, e.is_active, split_part(e.source_id, ':', 2) FROM new JOIN adapty.events e USING (event_id) JOIN pg_temp.names n USING (profile_id)
    ORDER BY n.name, e.recorded_at $$;

-- ---- enabled, as it is by default: everybody for whom it is reported ----
SELECT pg_temp.make('sh-e-a', 'sh-e-b', 'sh-e-c');
SELECT pg_temp.report('sh-e-a', pg_temp.sub('e1'));
SELECT * FROM pg_temp.news();
SELECT pg_temp.report('sh-e-b', pg_temp.sub('e1'));
SELECT * FROM pg_temp.news();
SELECT pg_temp.report('sh-e-b', pg_temp.sub('e1'));
SELECT * FROM pg_temp.news();
SELECT n.name, i.is_entitled, p.name AS parent FROM adapty.purchase_inheritors i JOIN pg_temp.names n USING (profile_id) JOIN pg_temp.names p ON p.profile_id = i.parent_profile_id;
-- what the store says of it is shown to both; the transaction, its revenue and state are the parent's
SELECT access_level_id, is_active, source, will_renew, store_product_id, store_transaction_id FROM adapty.access_levels(pg_temp.p('sh-e-b'));
SELECT has_access, will_renew, subscription_state FROM adapty.profile_status(pg_temp.p('sh-e-b'));
SELECT n.name, p.total_revenue_usd, p.subscription_state, (SELECT count(*) FROM adapty.transactions t WHERE t.profile_id = p.profile_id) AS transactions
    FROM adapty.profiles p JOIN pg_temp.names n USING (profile_id) WHERE n.name LIKE 'sh-e-%' ORDER BY 1;
-- a renewal, whoever it is reported for, is the parent's, and everybody's access moves in one transaction
SELECT pg_temp.report('sh-e-b', pg_temp.sub('e2', '{"store_original_transaction_id": "e1", "purchased_at": "2024-02-15T10:30:00Z", "expires_at": "2099-03-15T10:30:00Z"}'));
SELECT * FROM pg_temp.news();
SELECT * FROM pg_temp.access('sh-e-');
BEGIN;
SELECT pg_temp.report('sh-e-a', pg_temp.sub('e3', '{"store_original_transaction_id": "e1", "purchased_at": "2024-03-15T10:30:00Z", "expires_at": "2099-04-15T10:30:00Z"}'));
ROLLBACK;
SELECT * FROM pg_temp.access('sh-e-');
-- renewal switched off: both see it
SELECT pg_temp.report('sh-e-a', pg_temp.sub('e2', '{"store_original_transaction_id": "e1", "purchased_at": "2024-02-15T10:30:00Z", "expires_at": "2099-03-15T10:30:00Z", "renew_status": false, "renew_status_changed_at": "2024-02-20T00:00:00Z"}'));
SELECT * FROM pg_temp.news();
-- another level: both move
SELECT pg_temp.report('sh-e-c', pg_temp.sub('e4', '{"store_product_id": "sh_pro", "store_original_transaction_id": "e1", "purchased_at": "2024-03-01T10:30:00Z", "expires_at": "2099-05-15T10:30:00Z"}'));
SELECT * FROM pg_temp.news();
SELECT * FROM pg_temp.access('sh-e-');
-- the refund ends it for everybody
SELECT pg_temp.report('sh-e-a', pg_temp.sub('e4', '{"store_product_id": "sh_pro", "store_original_transaction_id": "e1", "purchased_at": "2024-03-01T10:30:00Z", "expires_at": "2099-05-15T10:30:00Z", "refunded_at": "2024-03-02T00:00:00Z"}'));
SELECT * FROM pg_temp.news();
SELECT name, level, active FROM pg_temp.access('sh-e-');
-- a purchase for life is shared the same way, and refunded by hand for all
SELECT pg_temp.report('sh-e-a', pg_temp.one('e5')), pg_temp.report('sh-e-b', pg_temp.one('e5'));
SELECT name, level, source, ends, active FROM pg_temp.access('sh-e-') WHERE ends = 'never';
SELECT access_level_id FROM adapty.revoke_access_level(pg_temp.p('sh-e-a'), 'premium', is_refund => true);
SELECT name, level, source, ends, active FROM pg_temp.access('sh-e-') WHERE ends = 'now';
SELECT * FROM pg_temp.news();

-- ---- transfer: one customer_user_id at a time, the anonymous beside it ----
SELECT adapty.configure_environment('Production', access_sharing => 'transfer');
SELECT pg_temp.make('sh-t-a', 'sh-t-b', 'sh-anon-t');
SELECT pg_temp.report('sh-t-a', pg_temp.sub('t1')), pg_temp.report('sh-anon-t', pg_temp.sub('t1'));
SELECT * FROM pg_temp.news();
SELECT pg_temp.report('sh-t-b', pg_temp.sub('t1'));
SELECT * FROM pg_temp.news();
SELECT * FROM pg_temp.access('sh-t-') UNION ALL SELECT * FROM pg_temp.access('sh-anon-t');
-- transactions stay with the first
SELECT pg_temp.report('sh-t-b', pg_temp.sub('t2', '{"store_original_transaction_id": "t1", "purchased_at": "2024-02-15T10:30:00Z", "expires_at": "2099-03-15T10:30:00Z"}'));
SELECT * FROM pg_temp.news();
-- and back
SELECT pg_temp.report('sh-t-a', pg_temp.sub('t2', '{"store_original_transaction_id": "t1", "purchased_at": "2024-02-15T10:30:00Z", "expires_at": "2099-03-15T10:30:00Z"}'));
SELECT * FROM pg_temp.news();
SELECT name, source, ends, active FROM pg_temp.access('sh-t-');
-- Sandbox has a policy of its own
SELECT pg_temp.report('sh-t-a', pg_temp.sub('t9', '{"environment": "Sandbox"}')), pg_temp.report('sh-t-b', pg_temp.sub('t9', '{"environment": "Sandbox"}'));
SELECT name, source, active FROM pg_temp.access('sh-t-') WHERE ends = '2099-02-15';

-- ---- disabled: the first keeps it; what was inherited before stays ----
SELECT adapty.configure_environment('Production', access_sharing => 'disabled');
SELECT pg_temp.make('sh-d-a', 'sh-d-b', 'sh-anon-d1', 'sh-anon-d2');
SELECT pg_temp.report('sh-d-a', pg_temp.sub('d1')), pg_temp.report('sh-d-b', pg_temp.sub('d1'));
-- a renewal that is reported for somebody else is not lost
SELECT pg_temp.report('sh-d-b', pg_temp.sub('d2', '{"store_original_transaction_id": "d1", "purchased_at": "2024-02-15T10:30:00Z", "expires_at": "2099-03-15T10:30:00Z"}'));
SELECT * FROM pg_temp.access('sh-d-');
SELECT pg_temp.report('sh-anon-d1', pg_temp.sub('d3')), pg_temp.report('sh-anon-d2', pg_temp.sub('d3')), pg_temp.report('sh-d-b', pg_temp.sub('d3'));
SELECT name, source, active FROM pg_temp.access('sh-anon-d') UNION ALL SELECT name, source, active FROM pg_temp.access('sh-d-b');
SELECT pg_temp.report('sh-t-b', pg_temp.sub('t9', '{"environment": "Sandbox"}')), count(*) FROM pg_temp.access('sh-t-b') WHERE active;

-- ---- the end by the clock: everybody's, the subscription's own event is the parent's ----
SELECT adapty.configure_environment('Production', access_sharing => 'enabled');
SELECT pg_temp.make('sh-l-a', 'sh-l-b');
SELECT pg_temp.report('sh-l-a', pg_temp.sub('l1', '{"renew_status": false}')), pg_temp.report('sh-l-b', pg_temp.sub('l1', '{"renew_status": false}'));
DO $$ BEGIN
    PERFORM pg_temp.news();
    PERFORM adapty.set_test_clock(pg_temp.p('sh-l-a'), '100 years'), adapty.set_test_clock(pg_temp.p('sh-l-b'), '100 years');
    PERFORM adapty.process_due();
END $$;
SELECT * FROM pg_temp.news() WHERE name LIKE 'sh-l-%';

-- ---- a deleted parent hands over to who inherits first, else to who comes next ----
SELECT pg_temp.make('sh-h-a', 'sh-h-b', 'sh-h-c', 'sh-h-d');
SELECT pg_temp.report('sh-h-a', pg_temp.sub('h1')), pg_temp.report('sh-h-b', pg_temp.sub('h1')), pg_temp.report('sh-h-c', pg_temp.sub('h1')), pg_temp.report('sh-h-a', pg_temp.sub('h2'));
SELECT count(*) > 0 AS ok FROM pg_temp.news();
SELECT adapty.delete_profile(pg_temp.p('sh-h-a'));
SELECT n.name, t.store_transaction_id FROM adapty.transactions t LEFT JOIN pg_temp.names n USING (profile_id) WHERE store_transaction_id IN ('h1', 'h2') ORDER BY 2;
SELECT * FROM pg_temp.access('sh-h-') WHERE active;
SELECT n.name, p.subscription_state, p.total_revenue_usd FROM adapty.profiles p JOIN pg_temp.names n USING (profile_id) WHERE name LIKE 'sh-h-%' ORDER BY 1;
SELECT * FROM pg_temp.news();
SELECT pg_temp.report('sh-h-c', pg_temp.sub('h3', '{"store_original_transaction_id": "h1", "purchased_at": "2024-02-15T10:30:00Z", "expires_at": "2099-03-15T10:30:00Z"}'));
SELECT * FROM pg_temp.news();
SELECT pg_temp.report('sh-h-d', pg_temp.sub('h2'));
SELECT * FROM pg_temp.news();
SELECT name, source, ends, active FROM pg_temp.access('sh-h-') WHERE active;
-- an inheritor goes: nobody else notices
SELECT adapty.delete_profile(pg_temp.p('sh-h-c'));
SELECT name, source, ends, active FROM pg_temp.access('sh-h-') WHERE active;

-- ---- settings: refusals, and who may ----
SELECT adapty.configure_environment(NULL);
SELECT adapty.configure_environment('Production', billing_retry_period => '-1 day');
SELECT adapty.configure_environment('Production', trial_active_delay => '11 years');
SELECT adapty.configure_environment('Production', access_sharing => 'sometimes');
SELECT adapty.configure_environment('Sandbox', billing_retry_period => '1 day', trial_active_delay => '3 days');
SELECT adapty.configure_environment('Sandbox', trial_active_delay => '0');
SELECT environment, access_sharing, extract(epoch FROM billing_retry_period) / 86400 AS days, trial_active_delay, subscription_active_delay FROM adapty.environment_settings ORDER BY 1;
SELECT r, has_function_privilege(r, 'adapty.configure_environment(adapty.environment, adapty.access_sharing, interval, interval, interval)', 'EXECUTE') AS may,
       has_table_privilege(r, 'adapty.purchase_inheritors', 'SELECT') AS reads FROM unnest(ARRAY['adapty_server', 'adapty_sdk', 'adapty_analyst']) r;

-- clean up
DELETE FROM adapty.environment_settings;
SELECT count(adapty.delete_profile(profile_id)) FROM pg_temp.names JOIN adapty.profiles USING (profile_id);
SELECT count(*) FROM adapty.purchase_inheritors;
DELETE FROM adapty.transactions WHERE profile_id = '00000000-0000-0000-0000-000000000000';
DELETE FROM adapty.subscriptions WHERE profile_id = '00000000-0000-0000-0000-000000000000';
DELETE FROM adapty.subscription_timers;
DELETE FROM adapty.products WHERE title LIKE 'sh %';
SELECT adapty.delete_access_level('sh_pro');
