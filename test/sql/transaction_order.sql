-- Reports that arrive late, twice or out of order leave what they would have left in order: random
-- histories, reported in order for one user, shuffled and with repetitions for another, compared.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT adapty.define_access_level('to_pro', 'Pro');
SELECT adapty.define_product('to monthly', 'premium', 'monthly',
    '[{"store": "stripe", "store_product_id": "to_monthly"}]') IS NOT NULL AS ok;
SELECT adapty.define_product('to annual', 'premium', 'annual',
    '[{"store": "stripe", "store_product_id": "to_annual"}]') IS NOT NULL AS ok;
SELECT adapty.define_product('to pro', 'to_pro', 'monthly',
    '[{"store": "stripe", "store_product_id": "to_pro"}]') IS NOT NULL AS ok;

CREATE FUNCTION pg_temp.iso(t timestamptz) RETURNS text LANGUAGE sql STABLE AS
    $$ SELECT to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') $$;

-- A history: what a store would report of one chain, in order. Every report is the whole state of its
-- transaction. Without dates, a change is one that says itself when it was made.
CREATE FUNCTION pg_temp.history(dated boolean) RETURNS TABLE (n int, report jsonb, at timestamptz) LANGUAGE plpgsql AS $$
DECLARE
    t timestamptz := date_trunc('second', now()) - interval '400 days' * random();
    tx jsonb;
    id int := 1;
    what int;
BEGIN
    tx := jsonb_build_object('purchase_type', 'subscription', 'store', 'stripe', 'store_product_id', 'to_monthly',
        'store_transaction_id', 'ID-1', 'store_original_transaction_id', 'ID', 'price', '{"country": "US", "currency": "USD", "value": 5}'::jsonb,
        'originally_purchased_at', pg_temp.iso(t), 'purchased_at', pg_temp.iso(t), 'expires_at', pg_temp.iso(t + interval '30 days'), 'renew_status', true);
    IF random() < 0.4 THEN
        tx := tx || '{"offer": {"category": "introductory", "type": "free_trial"}}';
    END IF;
    n := 1; report := tx; at := t;
    RETURN NEXT;
    FOR i IN 2 .. 3 + floor(random() * 9)::int LOOP
        t := t + interval '1 day' + interval '20 days' * random();
        t := date_trunc('second', t);
        what := floor(random() * CASE WHEN dated THEN 9 ELSE 7 END)::int;
        CASE what
            WHEN 0, 1 THEN  -- the next period, perhaps of another product
                id := id + 1;
                tx := (tx - 'offer' - 'renew_status_changed_at' - 'billing_issue_detected_at' - 'grace_period_expires_at' - 'refunded_at'
                          - 'cancellation_reason' - 'paused_at')
                    || jsonb_build_object('store_transaction_id', 'ID-' || id, 'purchased_at', pg_temp.iso(t),
                        'expires_at', pg_temp.iso(t + interval '30 days'), 'renew_status', true,
                        'store_product_id', (ARRAY['to_monthly', 'to_monthly', 'to_annual', 'to_pro'])[1 + floor(random() * 4)::int]);
            WHEN 2 THEN
                tx := tx || jsonb_build_object('renew_status', false, 'renew_status_changed_at', pg_temp.iso(t), 'cancellation_reason', 'voluntarily_cancelled');
            WHEN 3 THEN
                tx := (tx - 'cancellation_reason') || jsonb_build_object('renew_status', true, 'renew_status_changed_at', pg_temp.iso(t));
            WHEN 4 THEN
                tx := tx || jsonb_build_object('billing_issue_detected_at', pg_temp.iso(t))
                    || CASE WHEN random() < 0.5 THEN jsonb_build_object('grace_period_expires_at', pg_temp.iso((tx->>'expires_at')::timestamptz + interval '16 days')) ELSE '{}' END;
            WHEN 5 THEN
                IF NOT tx ? 'refunded_at' THEN
                    tx := tx || jsonb_build_object('refunded_at', pg_temp.iso(greatest(t, (tx->>'purchased_at')::timestamptz)), 'cancellation_reason', 'refund');
                END IF;
            WHEN 6 THEN
                tx := tx || jsonb_build_object('paused_at', tx->>'expires_at', 'renew_status_changed_at', pg_temp.iso(t));
            WHEN 7 THEN     -- paid at last, or put off
                tx := (tx - 'billing_issue_detected_at' - 'grace_period_expires_at')
                    || jsonb_build_object('expires_at', pg_temp.iso((tx->>'expires_at')::timestamptz + interval '10 days'));
            WHEN 8 THEN     -- cut short
                tx := tx || jsonb_build_object('expires_at', pg_temp.iso(greatest((tx->>'purchased_at')::timestamptz + interval '1 hour', t)), 'renew_status', false);
        END CASE;
        n := n + 1; report := tx; at := t;
        RETURN NEXT;
    END LOOP;
END $$;

-- Everything that is known of a user, without names and the moments of recording.
CREATE FUNCTION pg_temp.state(u text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT replace(jsonb_build_object(
        'profile', (SELECT jsonb_build_array(p.subscription_state, p.total_revenue_usd) FROM adapty.profiles p WHERE p.profile_id = i.profile_id),
        'transactions', (SELECT jsonb_agg(to_jsonb(t) - ARRAY['profile_id', 'purchase_id', 'recorded_at', 'updated_at'] ORDER BY t.store_transaction_id)
                         FROM adapty.transactions t WHERE t.profile_id = i.profile_id),
        'subscriptions', (SELECT jsonb_agg(to_jsonb(s) - ARRAY['profile_id', 'updated_at', 'expiry_announced_at', 'renewal_cancelled_at']
                            || jsonb_build_object('renewal_cancelled_at', CASE WHEN s.renew_status_changed_at IS NOT NULL THEN s.renewal_cancelled_at END))
                         FROM adapty.subscriptions s WHERE s.profile_id = i.profile_id),
        'access', (SELECT jsonb_agg(jsonb_build_array(g.access_level_id, g.starts_at, g.expires_at, g.state) ORDER BY g.access_level_id)
                   FROM adapty.access_grants g WHERE g.profile_id = i.profile_id AND g.expires_at > now()))::text, u, 'ID')::jsonb
    FROM adapty.identities i WHERE i.customer_user_id = u $$;

CREATE TABLE pg_temp.differences (history int, dated boolean, in_order jsonb, shuffled jsonb, reports jsonb);
CREATE TABLE pg_temp.seen (what text PRIMARY KEY, n int);
DO $$
DECLARE
    a text;
    b text;
    r record;
    is_dated boolean;
    reports jsonb;
BEGIN
    PERFORM setseed(0.20240115);
    FOR h IN 1 .. 120 LOOP
        a := 'to-a-' || h;
        b := 'to-b-' || h;
        is_dated := h % 2 = 0;
        PERFORM adapty.create_profile(a), adapty.create_profile(b);
        SELECT jsonb_agg(jsonb_build_object('n', x.n, 'report', x.report, 'at', x.at) ORDER BY x.n) INTO reports FROM pg_temp.history(is_dated) x;
        FOR r IN SELECT x->'report' AS report, (x->>'at')::timestamptz AS at FROM jsonb_array_elements(reports) x ORDER BY (x->>'n')::int LOOP
            PERFORM adapty.set_transaction(a, replace(r.report::text, '"ID', '"' || a)::jsonb, reported_at => CASE WHEN is_dated THEN r.at END);
        END LOOP;
        FOR r IN SELECT x->'report' AS report, (x->>'at')::timestamptz AS at
                 FROM jsonb_array_elements(reports || CASE WHEN random() < 0.5 THEN reports ELSE '[]' END) x ORDER BY random() LOOP
            PERFORM adapty.set_transaction(b, replace(r.report::text, '"ID', '"' || b)::jsonb, reported_at => CASE WHEN is_dated THEN r.at END);
        END LOOP;
        IF pg_temp.state(a) IS DISTINCT FROM pg_temp.state(b) THEN
            INSERT INTO pg_temp.differences VALUES (h, is_dated, pg_temp.state(a), pg_temp.state(b), reports);
        END IF;
        INSERT INTO pg_temp.seen AS s SELECT p.subscription_state::text, 1 FROM adapty.profiles p JOIN adapty.identities USING (profile_id) WHERE customer_user_id = a
            ON CONFLICT (what) DO UPDATE SET n = s.n + 1;
    END LOOP;
END $$;
SELECT count(*) AS differences FROM pg_temp.differences;
SELECT history, k AS what, f.key AS field, f.value AS in_order, x->f.key AS shuffled
    FROM pg_temp.differences d, unnest(ARRAY['profile', 'transactions', 'subscriptions', 'access']) k,
         jsonb_array_elements(coalesce(nullif(d.in_order->k, 'null'), '[]')) WITH ORDINALITY a (e, n),
         LATERAL (SELECT d.shuffled->k->(n::int - 1)) s (x),
         jsonb_each(CASE jsonb_typeof(e) WHEN 'object' THEN e ELSE jsonb_build_object('all', e) END) f
    WHERE f.value IS DISTINCT FROM CASE jsonb_typeof(x) WHEN 'object' THEN x->f.key ELSE x END ORDER BY 1, 2 LIMIT 10;
-- the histories were not all alike
SELECT count(*) >= 5 AS many_states FROM pg_temp.seen;
-- clean up
SELECT count(adapty.delete_profile(customer_user_id)) FROM (SELECT customer_user_id FROM adapty.identities WHERE customer_user_id LIKE 'to-%') u;
DELETE FROM adapty.transactions WHERE profile_id = '00000000-0000-0000-0000-000000000000';
DELETE FROM adapty.subscriptions WHERE profile_id = '00000000-0000-0000-0000-000000000000';
DELETE FROM adapty.subscription_timers;
DELETE FROM adapty.products WHERE title LIKE 'to %';
SELECT adapty.delete_access_level('to_pro');
