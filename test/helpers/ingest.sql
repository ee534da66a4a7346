-- Helpers of the tests of ingest_*(): signing as the stores do, objects as they send them, and what became of it.
-- The sample objects have the shapes that the stores publish; their values are the tests' own.
SELECT count(adapty.define_access_level('st_pro', 'Pro')) FROM (SELECT
    adapty.define_product('stripe monthly', 'premium', 'monthly', '[{"store": "stripe", "store_product_id": "prod_basic", "store_base_plan_id": "price_basic"}]'),
    adapty.define_product('stripe lifetime', 'premium', 'lifetime', '[{"store": "stripe", "store_product_id": "prod_life"}]')) p;
SELECT count(adapty.define_product('stripe pro', 'st_pro', 'monthly', '[{"store": "stripe", "store_product_id": "prod_pro"}]'));
CREATE FUNCTION pg_temp.hmac(key text, message bytea) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    k bytea := convert_to(key, 'UTF8');
    inner_pad bytea := decode(repeat('36', 64), 'hex');
    outer_pad bytea := decode(repeat('5c', 64), 'hex');
BEGIN
    IF length(k) > 64 THEN k := sha256(k); END IF;
    FOR i IN 0 .. length(k) - 1 LOOP
        inner_pad := set_byte(inner_pad, i, get_byte(k, i) # 54);
        outer_pad := set_byte(outer_pad, i, get_byte(k, i) # 92);
    END LOOP;
    RETURN sha256(outer_pad || sha256(inner_pad || message));
END $$;
CREATE FUNCTION pg_temp.sign(payload bytea, secret text DEFAULT 'whsec_live', age int DEFAULT 0) RETURNS text LANGUAGE sql AS $$
    SELECT format('t=%s,v1=%s', t, encode(pg_temp.hmac(secret, convert_to(t || '.', 'UTF8') || payload), 'hex'))
    FROM (SELECT (extract(epoch FROM clock_timestamp())::bigint - age)::text AS t) s $$;
CREATE FUNCTION pg_temp.body(event jsonb) RETURNS bytea LANGUAGE sql AS $$ SELECT convert_to(event::text, 'UTF8') $$;
-- sends an event; what became of it
CREATE FUNCTION pg_temp.send(event jsonb, create_missing boolean DEFAULT true) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' / ', r->>'outcome', r->>'transactions', r->>'detail')
    FROM adapty.ingest_stripe_event(pg_temp.body(event), pg_temp.sign(pg_temp.body(event), CASE WHEN event->>'livemode' = 'false' THEN 'whsec_test' ELSE 'whsec_live' END), create_missing) r $$;
CREATE FUNCTION pg_temp.ts(t text) RETURNS bigint LANGUAGE sql AS $$ SELECT extract(epoch FROM (t || '+00')::timestamptz)::bigint $$;
CREATE FUNCTION pg_temp.event(id text, type text, at text, object jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('id', 'evt_' || id, 'object', 'event', 'api_version', '2024-06-20', 'created', pg_temp.ts(at),
        'data', jsonb_build_object('object', object, 'previous_attributes', '{}'::jsonb), 'livemode', true,
        'pending_webhooks', 1, 'request', '{"id": null, "idempotency_key": null}'::jsonb, 'type', type) $$;
-- a subscription of before 2025-03-31: the period is its own
CREATE FUNCTION pg_temp.sub(name text, status text, starts text, ends text, invoice text, changes jsonb DEFAULT '{}', price text DEFAULT 'basic') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('id', 'sub_' || name, 'object', 'subscription', 'application', null, 'application_fee_percent', null,
        'automatic_tax', '{"enabled": false, "liability": null}'::jsonb, 'billing_cycle_anchor', pg_temp.ts(starts), 'cancel_at', null,
        'cancel_at_period_end', false, 'canceled_at', null, 'cancellation_details', '{"comment": null, "feedback": null, "reason": null}'::jsonb,
        'collection_method', 'charge_automatically', 'created', pg_temp.ts('2024-01-01'), 'currency', 'usd',
        'current_period_end', pg_temp.ts(ends), 'current_period_start', pg_temp.ts(starts), 'customer', 'cus_' || name,
        'default_payment_method', 'pm_' || name, 'discounts', '[]'::jsonb, 'ended_at', null,
        'items', jsonb_build_object('object', 'list', 'data', jsonb_build_array(jsonb_build_object('id', 'si_' || name, 'object', 'subscription_item',
            'metadata', '{}'::jsonb, 'quantity', 1, 'subscription', 'sub_' || name,
            'price', jsonb_build_object('id', 'price_' || price, 'object', 'price', 'active', true, 'billing_scheme', 'per_unit', 'currency', 'usd',
                'product', 'prod_' || price, 'recurring', '{"interval": "month", "interval_count": 1, "usage_type": "licensed"}'::jsonb, 'unit_amount', 999, 'unit_amount_decimal', '999'))),
            'has_more', false, 'total_count', 1, 'url', '/v1/subscription_items?subscription=sub_' || name),
        'latest_invoice', 'in_' || invoice, 'livemode', true, 'metadata', jsonb_build_object('customer_user_id', name),
        'pause_collection', null, 'schedule', null, 'start_date', pg_temp.ts('2024-01-01'), 'status', status, 'test_clock', null,
        'trial_end', null, 'trial_start', null) || changes $$;
-- an invoice of before 2025-03-31
CREATE FUNCTION pg_temp.invoice(id text, name text, status text, starts text, ends text, amount int, changes jsonb DEFAULT '{}', price text DEFAULT 'basic') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('id', 'in_' || id, 'object', 'invoice', 'account_country', 'IE', 'amount_due', amount,
        'amount_paid', CASE WHEN status = 'paid' THEN amount ELSE 0 END, 'amount_remaining', CASE WHEN status = 'paid' THEN 0 ELSE amount END,
        'attempt_count', CASE WHEN status = 'draft' THEN 0 ELSE 1 END, 'attempted', status NOT IN ('draft', 'open'), 'auto_advance', false, 'billing_reason', 'subscription_cycle',
        'charge', 'ch_' || id, 'collection_method', 'charge_automatically', 'created', pg_temp.ts(starts), 'currency', 'usd', 'customer', 'cus_' || name,
        'customer_address', '{"city": "Dublin", "country": "IE", "line1": null, "line2": null, "postal_code": null, "state": null}'::jsonb,
        'customer_email', 'someone@example.com', 'due_date', null,
        'lines', jsonb_build_object('object', 'list', 'data', jsonb_build_array(jsonb_build_object('id', 'il_' || id, 'object', 'line_item', 'amount', amount,
            'currency', 'usd', 'description', '1 x Basic', 'discountable', true, 'livemode', true, 'period', jsonb_build_object('start', pg_temp.ts(starts), 'end', pg_temp.ts(ends)),
            'price', jsonb_build_object('id', 'price_' || price, 'object', 'price', 'product', 'prod_' || price, 'unit_amount', 999),
            'proration', false, 'quantity', 1, 'subscription', 'sub_' || name, 'type', 'subscription')), 'has_more', false, 'total_count', 1),
        'livemode', true, 'metadata', '{}'::jsonb, 'next_payment_attempt', null, 'payment_intent', 'pi_' || id, 'status', status,
        'status_transitions', jsonb_build_object('finalized_at', pg_temp.ts(starts) + 3600, 'marked_uncollectible_at', null, 'paid_at', CASE WHEN status = 'paid' THEN pg_temp.ts(starts) + 3601 END, 'voided_at', null),
        'subscription', 'sub_' || name, 'subscription_details', jsonb_build_object('metadata', jsonb_build_object('customer_user_id', name)),
        'subtotal', amount, 'total', amount) || changes $$;

CREATE FUNCTION pg_temp.profile(u text) RETURNS uuid LANGUAGE sql AS
    $$ SELECT profile_id FROM adapty.identities WHERE customer_user_id = u $$;
CREATE FUNCTION pg_temp.utc(t timestamptz) RETURNS text LANGUAGE sql AS
    $$ SELECT CASE WHEN isfinite(t) THEN to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') ELSE t::text END $$;
CREATE FUNCTION pg_temp.grants(u text) RETURNS TABLE (level text, source_id text, starts text, ends text, state text, revoked boolean) LANGUAGE sql AS $$
    SELECT access_level_id, source_id, pg_temp.utc(starts_at), pg_temp.utc(expires_at), state::text, revoked_at IS NOT NULL
    FROM adapty.access_grants WHERE profile_id = pg_temp.profile(u) ORDER BY 1, 2 $$;
CREATE FUNCTION pg_temp.transactions(u text) RETURNS TABLE (id text, product text, bought text, ends text, renews boolean, issue text, grace text, refunded text, reason text, price text) LANGUAGE sql AS $$
    SELECT store_transaction_id, concat_ws(':', store_product_id, nullif(store_base_plan_id, '')), pg_temp.utc(purchased_at), pg_temp.utc(expires_at), renew_status,
        pg_temp.utc(billing_issue_detected_at), pg_temp.utc(grace_period_expires_at), pg_temp.utc(refunded_at), cancellation_reason::text, price_value || ' ' || price_currency || ' ' || price_country
    FROM adapty.transactions WHERE profile_id = pg_temp.profile(u) ORDER BY purchased_at, store_transaction_id $$;
CREATE FUNCTION pg_temp.events(u text) RETURNS TABLE (events text) LANGUAGE sql AS $$
    SELECT string_agg(event_type || coalesce('(' || (event_properties->>'cancellation_reason') || ')', ''), ', ' ORDER BY recorded_at, event_id)
    FROM adapty.events WHERE profile_id = pg_temp.profile(u) AND event_type <> 'access_level_updated' $$;
CREATE FUNCTION pg_temp.state(u text) RETURNS TABLE (state text, revenue numeric, premium boolean, pro boolean) LANGUAGE sql AS $$
    SELECT subscription_state::text, total_revenue_usd, adapty.has_access(u, 'premium'), adapty.has_access(u, 'st_pro') FROM adapty.profiles WHERE profile_id = pg_temp.profile(u) $$;

-- the same subscription and invoice as of 2025-03-31 and later: see docs of that version
CREATE FUNCTION pg_temp.basil_sub(s jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_set(s - 'current_period_start' - 'current_period_end', '{items,data,0}',
        (s #> '{items,data,0}') || jsonb_build_object('current_period_start', s->'current_period_start', 'current_period_end', s->'current_period_end')) $$;
CREATE FUNCTION pg_temp.basil_invoice(i jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_set(i - 'subscription' - 'subscription_details' - 'charge' - 'payment_intent'
        || jsonb_build_object('parent', jsonb_build_object('type', 'subscription_details', 'quote_details', null, 'subscription_details',
            (i->'subscription_details') || jsonb_build_object('subscription', i->'subscription'))), '{lines,data}',
        (SELECT jsonb_agg(l - 'price' - 'type' - 'subscription' - 'proration' || jsonb_build_object(
            'pricing', jsonb_build_object('type', 'price_details', 'unit_amount_decimal', '999', 'price_details', jsonb_build_object('price', l #> '{price,id}', 'product', l #> '{price,product}')),
            'parent', CASE WHEN (l->>'proration')::boolean
                THEN jsonb_build_object('type', 'invoice_item_details', 'subscription_item_details', null, 'invoice_item_details', jsonb_build_object('proration', true, 'subscription', i->'subscription'))
                ELSE jsonb_build_object('type', 'subscription_item_details', 'invoice_item_details', null, 'subscription_item_details', jsonb_build_object('proration', false, 'subscription', i->'subscription')) END))
         FROM jsonb_array_elements(i #> '{lines,data}') l)) $$;
-- a line of an invoice for the rest of a period
CREATE FUNCTION pg_temp.proration(price text, starts text, ends text, amount int) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('id', 'il_' || price || amount, 'object', 'line_item', 'amount', amount, 'currency', 'usd', 'period', jsonb_build_object('start', pg_temp.ts(starts), 'end', pg_temp.ts(ends)),
        'price', jsonb_build_object('id', 'price_' || price, 'object', 'price', 'product', 'prod_' || price), 'proration', true, 'quantity', 1, 'type', 'invoiceitem') $$;
CREATE FUNCTION pg_temp.charge(id text, name text, amount int, refunded int, changes jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('id', 'ch_' || id, 'object', 'charge', 'amount', amount, 'amount_captured', amount, 'amount_refunded', refunded,
        'billing_details', '{"address": {"country": "IE"}, "email": null, "name": "Jenny Rosen", "phone": null}'::jsonb, 'captured', true, 'currency', 'usd',
        'customer', 'cus_' || name, 'disputed', false, 'invoice', 'in_' || id, 'livemode', true, 'metadata', '{}'::jsonb, 'paid', true,
        'payment_intent', 'pi_' || id, 'refunded', refunded = amount, 'status', 'succeeded') || changes $$;
CREATE FUNCTION pg_temp.session(name text, changes jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('id', 'cs_' || name, 'object', 'checkout.session', 'amount_subtotal', 2900, 'amount_total', 2900, 'client_reference_id', null, 'currency', 'usd',
        'customer', null, 'customer_details', '{"address": {"country": "DE"}, "email": "example@example.com", "name": null, "phone": null, "tax_exempt": "none", "tax_ids": []}'::jsonb,
        'invoice', null, 'livemode', true, 'metadata', '{}'::jsonb, 'mode', 'payment', 'payment_intent', 'pi_' || name, 'payment_link', null, 'payment_status', 'paid',
        'status', 'complete', 'subscription', null, 'total_details', '{"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0}'::jsonb) || changes $$;

-- an event with each value of its content replaced by others of every type: what became of it other than an outcome
CREATE FUNCTION pg_temp.paths(j jsonb, prefix text[] DEFAULT '{}') RETURNS SETOF text[] LANGUAGE plpgsql AS $$
DECLARE k text; v jsonb; i int := 0;
BEGIN
    IF jsonb_typeof(j) = 'object' THEN
        FOR k, v IN SELECT * FROM jsonb_each(j) LOOP RETURN NEXT prefix || k; RETURN QUERY SELECT * FROM pg_temp.paths(v, prefix || k); END LOOP;
    ELSIF jsonb_typeof(j) = 'array' THEN
        FOR v IN SELECT * FROM jsonb_array_elements(j) LOOP RETURN NEXT prefix || i::text; RETURN QUERY SELECT * FROM pg_temp.paths(v, prefix || i::text); i := i + 1; END LOOP;
    END IF;
END $$;
CREATE FUNCTION pg_temp.fuzz(event jsonb, content text, id text, send text, name text) RETURNS TABLE (tried int, unexpected text) LANGUAGE plpgsql AS $$
DECLARE
    path text[]; value jsonb; result text; bad text[] := '{}';
BEGIN
    tried := 0;
    FOR path, value IN SELECT p.path, v.value FROM pg_temp.paths(event->content, ARRAY[content]) p (path),
        (VALUES ('null'::jsonb), ('true'), ('-1'), ('1e400'), ('99999999999999999999'), ('0.5'), ('""'), ('"x"'), (to_jsonb(repeat('y', 300))), ('[]'), ('{}'), ('[null, 1, {}]'), ('{"id": 1}'), ('{"object": {"data": [[]]}}')) v (value) LOOP
        tried := tried + 1;
        BEGIN
            EXECUTE format('SELECT %s($1)', send) INTO result USING jsonb_set(event, path, value) || jsonb_build_object(id, name || tried);
            result := split_part(result, ' ', 1);
        EXCEPTION WHEN OTHERS THEN
            result := SQLSTATE;
        END;
        IF result NOT IN ('applied', 'outdated', 'ignored', 'error', '22023') THEN bad := bad || (result || ' ' || path::text || ' ' || value); END IF;
    END LOOP;
    unexpected := array_to_string(bad[1:5], ', ');
    RETURN NEXT;
END $$;
