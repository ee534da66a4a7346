-- What somebody would write by hand for a store's transactions: the same tables, indexes and keys as the
-- extension's, and one PL/pgSQL function with its checks, events and answer.  It knows starts, renewals,
-- conversions, cancelled renewals and refunds of one profile; no sharing, timers, merging or products
-- that change.
CREATE TABLE hand.products (
    product_id uuid PRIMARY KEY DEFAULT gen_random_uuid(), title text NOT NULL,
    access_level_id text REFERENCES hand.access_levels, period text NOT NULL);
CREATE TABLE hand.store_products (
    store text, store_product_id text, store_base_plan_id text DEFAULT '', product_id uuid NOT NULL REFERENCES hand.products,
    PRIMARY KEY (store, store_product_id, store_base_plan_id));
CREATE TABLE hand.transactions (
    profile_id uuid NOT NULL, purchased_at timestamptz NOT NULL, originally_purchased_at timestamptz NOT NULL,
    expires_at timestamptz, refunded_at timestamptz, renew_status_changed_at timestamptz, billing_issue_detected_at timestamptz,
    grace_period_expires_at timestamptz, recorded_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
    purchase_type text NOT NULL, environment text NOT NULL DEFAULT 'Production', offer_category text, offer_type text, cancellation_reason text,
    purchase_id uuid NOT NULL DEFAULT gen_random_uuid(), product_id uuid REFERENCES hand.products, renew_status boolean,
    is_family_shared boolean NOT NULL DEFAULT false, store text NOT NULL, store_transaction_id text NOT NULL,
    store_original_transaction_id text NOT NULL, store_product_id text NOT NULL, store_base_plan_id text NOT NULL DEFAULT '',
    price_country text NOT NULL, price_currency text NOT NULL, price_value numeric NOT NULL CHECK (price_value >= 0), price_usd numeric,
    variation_id text, offer_id text,
    PRIMARY KEY (profile_id, store, store_transaction_id), UNIQUE (store, store_transaction_id), CHECK (expires_at > purchased_at));
CREATE INDEX ON hand.transactions (profile_id, store, store_original_transaction_id, purchased_at);
CREATE INDEX ON hand.transactions (product_id);
CREATE TABLE hand.subscriptions (
    profile_id uuid NOT NULL, purchased_at timestamptz NOT NULL, originally_purchased_at timestamptz NOT NULL, expires_at timestamptz NOT NULL,
    grace_period_expires_at timestamptz, renewal_cancelled_at timestamptz, billing_issue_detected_at timestamptz, refunded_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(), environment text NOT NULL, offer_category text, offer_type text, cancellation_reason text,
    product_id uuid REFERENCES hand.products, renew_status boolean NOT NULL, store text NOT NULL, store_original_transaction_id text NOT NULL,
    store_transaction_id text NOT NULL, store_product_id text NOT NULL, store_base_plan_id text NOT NULL DEFAULT '', offer_id text,
    PRIMARY KEY (profile_id, store, store_original_transaction_id), UNIQUE (store, store_original_transaction_id));
CREATE INDEX ON hand.subscriptions (product_id);
ALTER TABLE hand.profiles ADD subscription_state text NOT NULL DEFAULT 'never_subscribed', ADD total_revenue_usd numeric NOT NULL DEFAULT 0,
    ADD custom_attributes jsonb NOT NULL DEFAULT '{}', ADD updated_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE hand.events ADD source_id text, ADD event_properties jsonb;

CREATE FUNCTION hand.iso(t timestamptz) RETURNS text LANGUAGE sql STABLE AS
    $$ SELECT to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') $$;

-- The answer: the Profile object of the API.
CREATE FUNCTION hand.get_profile(a_profile_id uuid) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('profile_id', p.profile_id,
        'customer_user_id', (SELECT customer_user_id FROM hand.identities i WHERE i.profile_id = p.profile_id),
        'total_revenue_usd', p.total_revenue_usd, 'timestamp', floor(extract(epoch FROM now()) * 1000),
        'custom_attributes', coalesce((SELECT jsonb_agg(jsonb_build_object('key', a.key, 'value', a.value) ORDER BY a.key) FROM jsonb_each(p.custom_attributes) a), '[]'),
        'access_levels', coalesce((SELECT jsonb_agg(jsonb_build_object('access_level_id', g.access_level_id, 'store', coalesce(s.store, 'adapty'),
                'starts_at', hand.iso(g.starts_at), 'expires_at', hand.iso(nullif(g.expires_at, 'infinity')),
                'store_product_id', s.store_product_id, 'store_transaction_id', s.store_transaction_id,
                'store_original_transaction_id', s.store_original_transaction_id,
                'purchased_at', hand.iso(s.purchased_at), 'originally_purchased_at', hand.iso(s.originally_purchased_at),
                'renewal_cancelled_at', hand.iso(s.renewal_cancelled_at), 'billing_issue_detected_at', hand.iso(s.billing_issue_detected_at),
                'is_in_grace_period', coalesce(now() >= s.expires_at AND now() < s.grace_period_expires_at, false),
                'cancellation_reason', s.cancellation_reason) ORDER BY g.access_level_id)
            FROM (SELECT DISTINCT ON (g.access_level_id) g.* FROM hand.grants g WHERE g.profile_id = p.profile_id
                  ORDER BY g.access_level_id, g.expires_at DESC, g.starts_at DESC) g
            LEFT JOIN hand.subscriptions s ON s.profile_id = g.profile_id AND s.store || ':' || s.store_original_transaction_id = g.source_id), '[]'),
        'subscriptions', coalesce((SELECT jsonb_agg(jsonb_build_object('store', s.store, 'environment', s.environment,
                'store_product_id', s.store_product_id, 'store_base_plan_id', nullif(s.store_base_plan_id, ''),
                'store_transaction_id', s.store_transaction_id, 'store_original_transaction_id', s.store_original_transaction_id,
                'offer', CASE WHEN s.offer_category IS NOT NULL THEN jsonb_build_object('category', s.offer_category, 'type', s.offer_type, 'id', s.offer_id) END,
                'purchased_at', hand.iso(s.purchased_at), 'originally_purchased_at', hand.iso(s.originally_purchased_at),
                'expires_at', hand.iso(s.expires_at), 'renewal_cancelled_at', hand.iso(s.renewal_cancelled_at),
                'billing_issue_detected_at', hand.iso(s.billing_issue_detected_at),
                'is_in_grace_period', coalesce(now() >= s.expires_at AND now() < s.grace_period_expires_at, false),
                'cancellation_reason', s.cancellation_reason) ORDER BY s.originally_purchased_at)
            FROM hand.subscriptions s WHERE s.profile_id = p.profile_id), '[]'),
        'non_subscriptions', coalesce((SELECT jsonb_agg(jsonb_build_object('purchase_id', t.purchase_id, 'store', t.store,
                'store_product_id', t.store_product_id, 'store_transaction_id', t.store_transaction_id,
                'purchased_at', hand.iso(t.purchased_at), 'environment', t.environment, 'is_refund', t.refunded_at IS NOT NULL) ORDER BY t.purchased_at)
            FROM hand.transactions t WHERE t.profile_id = p.profile_id AND t.purchase_type = 'one_time_purchase'), '[]'))
    FROM hand.profiles p WHERE p.profile_id = a_profile_id $$;

CREATE FUNCTION hand.set_transaction(a_user text, tx jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    a_profile_id uuid;
    product      hand.products;
    known        hand.transactions;
    before       hand.subscriptions;
    field        text;
    kinds        text[] := '{}';
    kind         text;
    is_trial     boolean := tx->'offer'->>'type' = 'free_trial';
    a_expires_at timestamptz;
    ends         timestamptz;
    usd          numeric;
    state        text;
    properties   jsonb;
BEGIN
    -- checks
    FOREACH field IN ARRAY ARRAY['purchase_type', 'store', 'store_product_id', 'store_transaction_id', 'store_original_transaction_id', 'price',
            'purchased_at', 'originally_purchased_at', 'expires_at', 'renew_status'] LOOP
        IF tx->field IS NULL OR tx->field = 'null' THEN
            RAISE EXCEPTION 'missing value for "%"', field;
        END IF;
    END LOOP;
    FOR field IN SELECT jsonb_object_keys(tx) LOOP
        IF field <> ALL (ARRAY['purchase_type', 'store', 'environment', 'store_product_id', 'store_transaction_id', 'store_original_transaction_id',
                'is_family_shared', 'price', 'purchased_at', 'variation_id', 'offer', 'refunded_at', 'cancellation_reason', 'originally_purchased_at',
                'expires_at', 'renew_status', 'renew_status_changed_at', 'billing_issue_detected_at', 'grace_period_expires_at']) THEN
            RAISE EXCEPTION 'unknown field "%"', field;
        END IF;
    END LOOP;
    IF tx->>'purchase_type' NOT IN ('subscription', 'one_time_purchase') OR coalesce(tx->>'environment', 'Production') NOT IN ('Production', 'Sandbox')
        OR jsonb_typeof(tx->'renew_status') <> 'boolean' OR jsonb_typeof(tx->'price'->'value') <> 'number'
        OR tx->'price'->>'country' !~ '^[A-Z]{2}$' OR tx->'price'->>'currency' !~ '^[A-Z]{3}$' OR length(tx->>'store_transaction_id') > 50 THEN
        RAISE EXCEPTION 'invalid transaction';
    END IF;
    -- whose
    SELECT i.profile_id INTO a_profile_id FROM hand.identities i WHERE i.customer_user_id = a_user;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no user "%"', a_user;
    END IF;
    PERFORM 1 FROM hand.profiles p WHERE p.profile_id = a_profile_id FOR NO KEY UPDATE;
    SELECT * INTO known FROM hand.transactions t WHERE t.store = tx->>'store' AND t.store_transaction_id = tx->>'store_transaction_id';
    IF known.profile_id <> a_profile_id THEN
        RAISE EXCEPTION 'transaction of another profile';
    END IF;
    SELECT * INTO before FROM hand.subscriptions s WHERE s.store = tx->>'store' AND s.store_original_transaction_id = tx->>'store_original_transaction_id';
    IF before.profile_id <> a_profile_id THEN
        RAISE EXCEPTION 'subscription of another profile';
    END IF;
    SELECT p.* INTO product FROM hand.products p JOIN hand.store_products sp USING (product_id)
        WHERE sp.store = tx->>'store' AND sp.store_product_id = tx->>'store_product_id' AND sp.store_base_plan_id = '';
    usd := CASE WHEN tx->'price'->>'currency' = 'USD' THEN (tx->'price'->>'value')::numeric END;
    a_expires_at := (tx->>'expires_at')::timestamptz;
    ends := greatest(a_expires_at, CASE WHEN tx->>'billing_issue_detected_at' IS NOT NULL THEN (tx->>'grace_period_expires_at')::timestamptz END);
    ends := least(ends, (tx->>'refunded_at')::timestamptz);
    INSERT INTO hand.transactions AS t (profile_id, store, store_transaction_id, store_original_transaction_id, purchase_type, purchased_at,
            originally_purchased_at, expires_at, refunded_at, renew_status_changed_at, billing_issue_detected_at, grace_period_expires_at, environment,
            offer_category, offer_type, offer_id, cancellation_reason, product_id, renew_status, is_family_shared, store_product_id,
            price_country, price_currency, price_value, price_usd, variation_id)
        VALUES (a_profile_id, tx->>'store', tx->>'store_transaction_id', tx->>'store_original_transaction_id', tx->>'purchase_type',
            (tx->>'purchased_at')::timestamptz, (tx->>'originally_purchased_at')::timestamptz, a_expires_at, (tx->>'refunded_at')::timestamptz,
            (tx->>'renew_status_changed_at')::timestamptz, (tx->>'billing_issue_detected_at')::timestamptz, (tx->>'grace_period_expires_at')::timestamptz,
            coalesce(tx->>'environment', 'Production'), tx->'offer'->>'category', tx->'offer'->>'type', tx->'offer'->>'id', tx->>'cancellation_reason',
            product.product_id, (tx->>'renew_status')::boolean, coalesce((tx->>'is_family_shared')::boolean, false), tx->>'store_product_id',
            tx->'price'->>'country', tx->'price'->>'currency', (tx->'price'->>'value')::numeric, usd, tx->>'variation_id')
        ON CONFLICT (store, store_transaction_id) DO UPDATE SET expires_at = excluded.expires_at, refunded_at = coalesce(t.refunded_at, excluded.refunded_at),
            renew_status = excluded.renew_status, renew_status_changed_at = excluded.renew_status_changed_at,
            billing_issue_detected_at = excluded.billing_issue_detected_at, grace_period_expires_at = excluded.grace_period_expires_at,
            cancellation_reason = excluded.cancellation_reason, updated_at = now();
    -- what happened
    IF known.profile_id IS NULL THEN
        kinds := kinds || CASE WHEN before.profile_id IS NULL AND is_trial THEN 'trial_started' WHEN before.profile_id IS NULL THEN 'subscription_started'
            WHEN before.offer_type = 'free_trial' THEN 'trial_converted' ELSE 'subscription_renewed' END;
    ELSIF known.renew_status AND NOT (tx->>'renew_status')::boolean THEN
        kinds := kinds || 'subscription_renewal_cancelled'::text;
    END IF;
    IF tx->>'refunded_at' IS NOT NULL AND known.refunded_at IS NULL THEN
        kinds := kinds || 'subscription_refunded'::text;
    END IF;
    INSERT INTO hand.subscriptions AS s (profile_id, store, store_original_transaction_id, store_transaction_id, purchased_at, originally_purchased_at,
            expires_at, grace_period_expires_at, renewal_cancelled_at, billing_issue_detected_at, refunded_at, environment, offer_category, offer_type,
            offer_id, cancellation_reason, product_id, renew_status, store_product_id)
        VALUES (a_profile_id, tx->>'store', tx->>'store_original_transaction_id', tx->>'store_transaction_id', (tx->>'purchased_at')::timestamptz,
            (tx->>'originally_purchased_at')::timestamptz, a_expires_at, (tx->>'grace_period_expires_at')::timestamptz,
            CASE WHEN NOT (tx->>'renew_status')::boolean THEN coalesce((tx->>'renew_status_changed_at')::timestamptz, now()) END,
            (tx->>'billing_issue_detected_at')::timestamptz, (tx->>'refunded_at')::timestamptz, coalesce(tx->>'environment', 'Production'),
            tx->'offer'->>'category', tx->'offer'->>'type', tx->'offer'->>'id', tx->>'cancellation_reason', product.product_id,
            (tx->>'renew_status')::boolean, tx->>'store_product_id')
        ON CONFLICT (store, store_original_transaction_id) DO UPDATE SET store_transaction_id = excluded.store_transaction_id,
            purchased_at = excluded.purchased_at, expires_at = excluded.expires_at, grace_period_expires_at = excluded.grace_period_expires_at,
            renewal_cancelled_at = excluded.renewal_cancelled_at, billing_issue_detected_at = excluded.billing_issue_detected_at,
            refunded_at = excluded.refunded_at, offer_category = excluded.offer_category, offer_type = excluded.offer_type, offer_id = excluded.offer_id,
            cancellation_reason = excluded.cancellation_reason, product_id = excluded.product_id, renew_status = excluded.renew_status,
            store_product_id = excluded.store_product_id, updated_at = now()
        WHERE s.purchased_at <= excluded.purchased_at;
    properties := jsonb_strip_nulls(jsonb_build_object('store', tx->>'store', 'store_transaction_id', tx->>'store_transaction_id',
        'store_original_transaction_id', tx->>'store_original_transaction_id', 'store_product_id', tx->>'store_product_id',
        'environment', coalesce(tx->>'environment', 'Production'), 'price_country', tx->'price'->>'country', 'price_currency', tx->'price'->>'currency',
        'price_value', tx->'price'->'value', 'price_usd', usd, 'subscription_expires_at', hand.iso(a_expires_at),
        'cancellation_reason', tx->>'cancellation_reason', 'variation_id', tx->>'variation_id'));
    FOREACH kind IN ARRAY kinds LOOP
        INSERT INTO hand.events (event_datetime, profile_id, event_type, actor, source_id, event_properties)
            VALUES ((tx->>'purchased_at')::timestamptz, a_profile_id, kind, current_user, (tx->>'store') || ':' || (tx->>'store_transaction_id'), properties);
    END LOOP;
    -- access
    IF product.access_level_id IS NOT NULL THEN
        INSERT INTO hand.grants AS g (profile_id, access_level_id, source, source_id, starts_at, expires_at, next_transition_at, actor)
            VALUES (a_profile_id, product.access_level_id, 'subscription', (tx->>'store') || ':' || (tx->>'store_original_transaction_id'),
                (tx->>'originally_purchased_at')::timestamptz, ends, ends, current_user)
            ON CONFLICT (profile_id, access_level_id, source, source_id) DO UPDATE SET expires_at = excluded.expires_at,
                next_transition_at = excluded.next_transition_at, updated_at = now(), actor = current_user
            WHERE g.expires_at <> excluded.expires_at;
        IF FOUND THEN
            INSERT INTO hand.events (event_datetime, expires_at, profile_id, event_type, access_level_id, is_active, actor, source_id)
                VALUES (now(), ends, a_profile_id, 'access_level_updated', product.access_level_id, ends > now(), current_user,
                    (tx->>'store') || ':' || (tx->>'store_original_transaction_id'));
        END IF;
    END IF;
    -- the profile
    SELECT CASE WHEN bool_or(s.expires_at > now() AND s.renew_status AND s.refunded_at IS NULL) THEN 'subscribed'
                WHEN bool_or(s.expires_at > now() AND s.refunded_at IS NULL) THEN 'auto_renew_off' ELSE 'subscription_cancelled' END
        INTO state FROM hand.subscriptions s WHERE s.profile_id = a_profile_id;
    UPDATE hand.profiles p SET subscription_state = state, total_revenue_usd = r.revenue, updated_at = now()
        FROM (SELECT coalesce(sum(t.price_usd), 0) AS revenue FROM hand.transactions t WHERE t.profile_id = a_profile_id AND t.refunded_at IS NULL
              AND t.offer_type IS DISTINCT FROM 'free_trial' AND t.environment = 'Production' AND NOT t.is_family_shared) r
        WHERE p.profile_id = a_profile_id AND ROW(p.subscription_state, p.total_revenue_usd) IS DISTINCT FROM ROW(state, r.revenue);
    RETURN hand.get_profile(a_profile_id);
END $$;
