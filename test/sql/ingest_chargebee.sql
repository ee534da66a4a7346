-- ingest_chargebee_event(): from ChargeBee's events to access.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET TimeZone TO 'Pacific/Chatham';
SET DateStyle TO 'SQL, DMY';
\getenv dir PG_ABS_SRCDIR
\set helpers :dir '/helpers/ingest.sql'
\set ECHO none
\o /dev/null
\i :helpers
\o
\set ECHO all
SELECT adapty.define_product('chargebee monthly', 'premium', 'monthly', '[{"store": "chargebee", "store_product_id": "basic-USD-Monthly"}, {"store": "chargebee", "store_product_id": "basic-v1"}]') IS NOT NULL AS ok;
SELECT adapty.define_product('chargebee pro', 'st_pro', 'monthly', '[{"store": "chargebee", "store_product_id": "pro-USD-Monthly"}]') IS NOT NULL AS ok;
SELECT adapty.define_product('chargebee lifetime', 'premium', 'lifetime', '[{"store": "chargebee", "store_product_id": "life-USD"}]') IS NOT NULL AS ok;

-- ---- helpers ----
CREATE FUNCTION pg_temp.basic(credentials text) RETURNS text LANGUAGE sql AS $$ SELECT 'Basic ' || encode(convert_to(credentials, 'UTF8'), 'base64') $$;
CREATE FUNCTION pg_temp.cb(event jsonb, credentials text DEFAULT 'hook:pass word') RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' / ', r->>'outcome', r->>'transactions', r->>'detail') FROM adapty.ingest_chargebee_event(pg_temp.body(event), pg_temp.basic(credentials)) r $$;
CREATE FUNCTION pg_temp.cevent(id text, type text, at text, content jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('id', 'ev_' || id, 'occurred_at', pg_temp.ts(at), 'source', 'api', 'user', 'someone@example.com', 'object', 'event', 'api_version', 'v2',
        'content', content, 'event_type', type, 'webhook_status', 'scheduled') $$;
CREATE FUNCTION pg_temp.csub(name text, status text, at text, starts text, ends text, changes jsonb DEFAULT '{}', price text DEFAULT 'basic-USD-Monthly') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('subscription', jsonb_build_object('id', name, 'billing_period', 1, 'billing_period_unit', 'month', 'auto_collection', 'on', 'customer_id', 'c-' || name, 'status', status,
        'current_term_start', pg_temp.ts(starts), 'current_term_end', pg_temp.ts(ends), 'next_billing_at', pg_temp.ts(ends), 'created_at', pg_temp.ts('2024-01-01'), 'started_at', pg_temp.ts('2024-01-01'),
        'updated_at', pg_temp.ts(at), 'has_scheduled_changes', false, 'channel', 'web', 'resource_version', pg_temp.ts(at) * 1000 + 591, 'deleted', false, 'object', 'subscription', 'currency_code', 'USD',
        'subscription_items', jsonb_build_array('{"item_price_id": "setup-USD", "item_type": "charge", "quantity": 1, "object": "subscription_item"}'::jsonb,
            jsonb_build_object('item_price_id', price, 'item_type', 'plan', 'quantity', 1, 'unit_price', 999, 'amount', 999, 'free_quantity', 0, 'object', 'subscription_item')),
        'due_invoices_count', 0, 'mrr', 0, 'meta_data', jsonb_build_object('customer_user_id', name)) || changes,
        'customer', jsonb_build_object('id', 'c-' || name, 'object', 'customer', 'email', 'someone@example.com')) $$;
CREATE FUNCTION pg_temp.cinv(id text, name text, status text, at text, starts text, ends text, amount int, changes jsonb DEFAULT '{}', price text DEFAULT 'basic-USD-Monthly') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('invoice', jsonb_build_object('id', id, 'customer_id', 'c-' || name, 'subscription_id', name, 'recurring', true, 'status', status, 'price_type', 'tax_exclusive',
        'date', pg_temp.ts(starts), 'due_date', pg_temp.ts(starts), 'net_term_days', 0, 'currency_code', 'USD', 'total', amount, 'amount_paid', CASE WHEN status = 'paid' THEN amount ELSE 0 END,
        'amount_due', CASE WHEN status = 'paid' THEN 0 ELSE amount END, 'resource_version', pg_temp.ts(at) * 1000 + 7, 'deleted', false, 'object', 'invoice', 'first_invoice', false,
        'line_items', jsonb_build_array(jsonb_build_object('id', 'li_' || id, 'date_from', pg_temp.ts(starts), 'date_to', pg_temp.ts(ends), 'unit_amount', amount, 'quantity', 1, 'amount', amount,
            'pricing_model', 'per_unit', 'is_taxed', false, 'object', 'line_item', 'subscription_id', name, 'customer_id', 'c-' || name, 'description', 'Basic', 'entity_type', 'plan_item_price', 'entity_id', price)),
        'billing_address', '{"first_name": "Jenny", "country": "FR", "object": "billing_address"}'::jsonb) || changes) $$;
CREATE FUNCTION pg_temp.cnote(id text, invoice text, name text, at text, refunded int, changes jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('credit_note', jsonb_build_object('id', id, 'customer_id', 'c-' || name, 'subscription_id', name, 'reference_invoice_id', invoice, 'type', 'refundable', 'reason_code', 'service_unsatisfactory',
        'status', 'refunded', 'date', pg_temp.ts(at), 'refunded_at', pg_temp.ts(at), 'currency_code', 'USD', 'total', refunded, 'amount_allocated', 0, 'amount_refunded', refunded, 'amount_available', 0,
        'resource_version', pg_temp.ts(at) * 1000, 'deleted', false, 'object', 'credit_note') || changes) $$;

-- ---- who sent it ----
SELECT adapty.set_ingest_secret('chargebee', 'hook:pass word');
SELECT adapty.ingest_chargebee_event('{}'::text, NULL);
SELECT adapty.ingest_chargebee_event('{}'::text, 'Bearer abc');
SELECT adapty.ingest_chargebee_event('{}'::text, pg_temp.basic('hook:pass'));
SELECT adapty.ingest_chargebee_event('{}'::text, pg_temp.basic('hook:pass word '));
SELECT adapty.ingest_chargebee_event('{}'::text, 'basic  ' || substr(pg_temp.basic('hook:pass word'), 7) || ' ');

-- ---- a life: a trial has no invoice here ----
SELECT pg_temp.cb(pg_temp.cevent('a1', 'subscription_created', '2024-01-01', pg_temp.csub('cb-life', 'in_trial', '2024-01-01', NULL, NULL, jsonb_build_object('trial_start', pg_temp.ts('2024-01-01'), 'trial_end', pg_temp.ts('2024-01-08')))));
SELECT * FROM pg_temp.transactions('cb-life');
SELECT pg_temp.cb(pg_temp.cevent('a2', 'subscription_activated', '2024-01-08', pg_temp.csub('cb-life', 'active', '2024-01-08', '2024-01-08', '2024-02-08', jsonb_build_object('trial_start', pg_temp.ts('2024-01-01'), 'trial_end', pg_temp.ts('2024-01-08')))
    || pg_temp.cinv('1', 'cb-life', 'paid', '2024-01-08', '2024-01-08', '2024-02-08', 999)));
SELECT * FROM pg_temp.transactions('cb-life');
SELECT pg_temp.cb(pg_temp.cevent('a3', 'payment_failed', '2024-02-08', pg_temp.csub('cb-life', 'active', '2024-02-08', '2024-02-08', '2099-03-08', jsonb_build_object('trial_start', pg_temp.ts('2024-01-01'), 'trial_end', pg_temp.ts('2024-01-08'), 'due_invoices_count', 1, 'due_since', pg_temp.ts('2024-02-08'), 'total_dues', 999))
    || pg_temp.cinv('2', 'cb-life', 'payment_due', '2024-02-08', '2024-02-08', '2099-03-08', 999, '{"dunning_status": "in_progress"}')));
SELECT * FROM pg_temp.transactions('cb-life');
SELECT pg_temp.cb(pg_temp.cevent('a4', 'payment_succeeded', '2024-02-10', pg_temp.csub('cb-life', 'active', '2024-02-10', '2024-02-08', '2099-03-08', jsonb_build_object('trial_start', pg_temp.ts('2024-01-01'), 'trial_end', pg_temp.ts('2024-01-08')))
    || pg_temp.cinv('2', 'cb-life', 'paid', '2024-02-10', '2024-02-08', '2099-03-08', 999)));
SELECT pg_temp.cb(pg_temp.cevent('a5', 'subscription_cancellation_scheduled', '2024-02-11', pg_temp.csub('cb-life', 'non_renewing', '2024-02-11', '2024-02-08', '2099-03-08', jsonb_build_object('trial_start', pg_temp.ts('2024-01-01'), 'trial_end', pg_temp.ts('2024-01-08'), 'cancelled_at', pg_temp.ts('2099-03-08'), 'cancel_schedule_created_at', pg_temp.ts('2024-02-11')))));
SELECT * FROM pg_temp.transactions('cb-life');
SELECT * FROM pg_temp.state('cb-life');
SELECT pg_temp.cb(pg_temp.cevent('a6', 'subscription_cancelled', '2024-02-12', pg_temp.csub('cb-life', 'cancelled', '2024-02-12', '2024-02-08', '2099-03-08', jsonb_build_object('trial_start', pg_temp.ts('2024-01-01'), 'trial_end', pg_temp.ts('2024-01-08'), 'cancelled_at', pg_temp.ts('2024-02-12')))));
SELECT * FROM pg_temp.transactions('cb-life');
SELECT * FROM pg_temp.state('cb-life');
SELECT * FROM pg_temp.events('cb-life');

-- ---- versions order the objects, not the events ----
SELECT pg_temp.cb(pg_temp.cevent('b1', 'subscription_cancelled', '2024-01-20', pg_temp.csub('cb-order', 'cancelled', '2024-01-20', '2024-01-01', '2099-02-01', jsonb_build_object('cancelled_at', pg_temp.ts('2024-01-20'), 'cancel_reason', 'not_paid'))));
SELECT pg_temp.cb(pg_temp.cevent('b2', 'invoice_updated', '2024-01-21', pg_temp.csub('cb-order', 'active', '2024-01-01', '2024-01-01', '2099-02-01') || pg_temp.cinv('b2', 'cb-order', 'paid', '2024-01-01', '2024-01-01', '2099-02-01', 999)));
SELECT * FROM pg_temp.transactions('cb-order');

-- ---- a change at once, a pause, the old catalogue ----
SELECT pg_temp.cb(pg_temp.cevent('c1', 'subscription_created', '2024-01-01', pg_temp.csub('cb-up', 'active', '2024-01-01', '2024-01-01', '2099-02-01') || pg_temp.cinv('c1', 'cb-up', 'paid', '2024-01-01', '2024-01-01', '2099-02-01', 999)));
SELECT pg_temp.cb(pg_temp.cevent('c2', 'subscription_changed', '2024-01-15', pg_temp.csub('cb-up', 'active', '2024-01-15', '2024-01-01', '2099-02-01', price => 'pro-USD-Monthly')
    || pg_temp.cinv('c2', 'cb-up', 'paid', '2024-01-15', '2024-01-15', '2099-02-01', 600, price => 'pro-USD-Monthly') || '{"credit_notes": [{"id": "CN-0", "reference_invoice_id": "c1", "type": "refundable", "status": "adjusted", "currency_code": "USD", "amount_refunded": 0, "total": 500}]}'));
SELECT * FROM pg_temp.transactions('cb-up');
SELECT * FROM pg_temp.events('cb-up');
SELECT pg_temp.cb(pg_temp.cevent('c3', 'subscription_pause_scheduled', '2024-01-20', pg_temp.csub('cb-up', 'active', '2024-01-20', '2024-01-01', '2099-02-01', jsonb_build_object('pause_date', pg_temp.ts('2099-02-01'), 'resume_date', pg_temp.ts('2099-05-01')), price => 'pro-USD-Monthly')));
SELECT store_transaction_id, pg_temp.utc(paused_at) AS paused_at, pg_temp.utc(resumes_at) AS resumes_at FROM adapty.transactions WHERE profile_id = pg_temp.profile('cb-up') ORDER BY purchased_at;
SELECT pg_temp.cb(pg_temp.cevent('c4', 'subscription_created', '2024-01-01', jsonb_set(pg_temp.csub('cb-v1', 'active', '2024-01-01', '2024-01-01', '2099-02-01', '{"plan_id": "basic-v1", "cf_customer_user_id": "cb-v1", "meta_data": {}}') #- '{subscription,subscription_items}', '{x}', '1')
    || pg_temp.cinv('c4', 'cb-v1', 'paid', '2024-01-01', '2024-01-01', '2099-02-01', 999, jsonb_build_object('line_items', jsonb_build_array(jsonb_build_object('date_from', pg_temp.ts('2024-01-01'), 'date_to', pg_temp.ts('2099-02-01'), 'amount', 999, 'entity_type', 'plan', 'entity_id', 'basic-v1'))))));
SELECT * FROM pg_temp.transactions('cb-v1');
SELECT * FROM pg_temp.state('cb-v1');

-- ---- net terms: a posted invoice is a bill ----
SELECT pg_temp.cb(pg_temp.cevent('d1', 'subscription_created', '2024-01-01', pg_temp.csub('cb-bill', 'active', '2024-01-01', '2024-01-01', '2099-12-01', '{"auto_collection": "off"}') || pg_temp.cinv('d1', 'cb-bill', 'posted', '2024-01-01', '2024-01-01', '2099-12-01', 9900, jsonb_build_object('due_date', pg_temp.ts('2099-01-31')))));
SELECT * FROM pg_temp.transactions('cb-bill');

-- ---- money back ----
SELECT pg_temp.cb(pg_temp.cevent('e1', 'subscription_created', '2024-01-01', pg_temp.csub('cb-back', 'active', '2024-01-01', '2024-01-01', '2099-02-01') || pg_temp.cinv('e1', 'cb-back', 'paid', '2024-01-01', '2024-01-01', '2099-02-01', 999)));
SELECT pg_temp.cb(pg_temp.cevent('e2', 'credit_note_created', '2024-01-05', pg_temp.cnote('CN-1', 'e1', 'cb-back', '2024-01-05', 0, '{"status": "refund_due", "amount_available": 300}')));
SELECT pg_temp.cb(pg_temp.cevent('e3', 'payment_refunded', '2024-01-06', pg_temp.cnote('CN-1', 'e1', 'cb-back', '2024-01-06', 300)));
SELECT * FROM pg_temp.transactions('cb-back');
SELECT pg_temp.cb(pg_temp.cevent('e4', 'payment_refunded', '2024-01-07', pg_temp.cnote('CN-2', 'e1', 'cb-back', '2024-01-07', 699, '{"reason_code": "chargeback"}')));
SELECT * FROM pg_temp.transactions('cb-back');
SELECT * FROM pg_temp.state('cb-back');

-- ---- a purchase for life; the sandbox's ids are counted from 1, too ----
SELECT pg_temp.cb(pg_temp.cevent('f1', 'payment_succeeded', '2024-01-01', pg_temp.cinv('7', 'cb-once', 'paid', '2024-01-01', '2024-01-01', '2024-01-01', 2900, jsonb_build_object('subscription_id', null, 'line_items', '[{"entity_type": "charge_item_price", "entity_id": "life-USD", "amount": 2900}]'::jsonb))
    || '{"customer": {"id": "c-cb-once", "cf_customer_user_id": "cb-once"}}'));
SELECT * FROM pg_temp.transactions('cb-once');
SELECT adapty.set_ingest_secret('chargebee', 'hook:test', 'Sandbox');
SELECT pg_temp.cb(pg_temp.cevent('f2', 'payment_succeeded', '2024-01-01', pg_temp.cinv('7', 'cb-once', 'paid', '2024-01-01', '2024-01-01', '2024-01-01', 1, jsonb_build_object('subscription_id', null, 'line_items', '[{"entity_type": "charge_item_price", "entity_id": "life-USD", "amount": 1}]'::jsonb))
    || '{"customer": {"id": "c-cb-once", "cf_customer_user_id": "cb-once-test"}}'), 'hook:test');
SELECT * FROM pg_temp.transactions('cb-once-test');
-- ---- any JSON ----
SET client_min_messages = error;
SELECT tried > 500 AS many, unexpected FROM pg_temp.fuzz(pg_temp.cevent('z', 'subscription_changed', '2024-01-01', pg_temp.csub('cb-z', 'active', '2024-01-01', '2024-01-01', '2024-02-01', jsonb_build_object('trial_start', 1704000000, 'trial_end', 1704067200, 'pause_date', 1706745600, 'cancelled_at', 1706745600, 'plan_id', 'x'))), 'content', 'id', 'pg_temp.cb', 'zs');
SELECT tried > 500 AS many, unexpected FROM pg_temp.fuzz(pg_temp.cevent('z', 'payment_refunded', '2024-01-01', pg_temp.cinv('z', 'cb-z', 'paid', '2024-01-01', '2024-01-01', '2024-02-01', 999) || pg_temp.cnote('CN-z', 'z', 'cb-z', '2024-01-05', 300)), 'content', 'id', 'pg_temp.cb', 'zi');
RESET client_min_messages;
-- nothing that concerns us
SELECT pg_temp.cb(pg_temp.cevent('g1', 'coupon_created', '2024-01-01', '{"coupon": {"id": "c"}}'));
SELECT pg_temp.cb(pg_temp.cevent('g2', 'customer_changed', '2024-01-01', '{"customer": {"id": "c-1", "meta_data": {"customer_user_id": "cb-1"}}}'));
SELECT adapty.set_ingest_secret('chargebee', NULL, keep_old_for => '0'), adapty.set_ingest_secret('chargebee', NULL, 'Sandbox', '0');
