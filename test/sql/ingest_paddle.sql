-- ingest_paddle_event(): from Paddle Billing's events to access.
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
SELECT adapty.define_product('paddle monthly', 'premium', 'monthly', '[{"store": "paddle", "store_product_id": "pro_basic", "store_base_plan_id": "pri_basic"}]') IS NOT NULL AS ok;
SELECT adapty.define_product('paddle pro', 'st_pro', 'monthly', '[{"store": "paddle", "store_product_id": "pro_pro"}]') IS NOT NULL AS ok;
SELECT adapty.define_product('paddle lifetime', 'premium', 'lifetime', '[{"store": "paddle", "store_product_id": "pro_life"}]') IS NOT NULL AS ok;

-- ---- helpers ----
CREATE FUNCTION pg_temp.paddle_sign(payload bytea, secret text) RETURNS text LANGUAGE sql AS $$
    SELECT format('ts=%s;h1=%s', t, encode(pg_temp.hmac(secret, convert_to(t || ':', 'UTF8') || payload), 'hex'))
    FROM (SELECT extract(epoch FROM clock_timestamp())::bigint::text AS t) s $$;
CREATE FUNCTION pg_temp.paddle(event jsonb, secret text DEFAULT 'pdl_live') RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' / ', r->>'outcome', r->>'transactions', r->>'detail')
    FROM adapty.ingest_paddle_event(pg_temp.body(event), pg_temp.paddle_sign(pg_temp.body(event), secret)) r $$;
CREATE FUNCTION pg_temp.pevent(id text, type text, at text, data jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('event_id', 'evt_' || id, 'event_type', type, 'occurred_at', at || 'T00:00:00.388239Z', 'notification_id', 'ntf_' || id, 'data', data) $$;
CREATE FUNCTION pg_temp.day(d text) RETURNS text LANGUAGE sql AS $$ SELECT d || 'T00:00:00.449123Z' $$;
CREATE FUNCTION pg_temp.period(starts text, ends text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT CASE WHEN starts IS NOT NULL THEN jsonb_build_object('starts_at', pg_temp.day(starts), 'ends_at', pg_temp.day(ends)) END $$;
CREATE FUNCTION pg_temp.psub(name text, status text, starts text, ends text, changes jsonb DEFAULT '{}', price text DEFAULT 'basic') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('id', 'sub_' || name, 'status', status, 'items', jsonb_build_array(jsonb_build_object('status', 'active', 'quantity', 1, 'recurring', true,
            'price', jsonb_build_object('id', 'pri_' || price, 'tax_mode', 'account_setting', 'product_id', 'pro_' || price, 'unit_price', '{"amount": "999", "currency_code": "USD"}'::jsonb,
                'trial_period', null, 'billing_cycle', '{"interval": "month", "frequency": 1}'::jsonb), 'trial_dates', null)),
        'paused_at', null, 'address_id', 'add_1', 'created_at', pg_temp.day('2024-01-01'), 'started_at', pg_temp.day('2024-01-01'), 'updated_at', pg_temp.day('2024-01-01'),
        'business_id', null, 'canceled_at', null, 'discount', null, 'custom_data', jsonb_build_object('customer_user_id', name), 'customer_id', 'ctm_' || name,
        'billing_cycle', '{"interval": "month", "frequency": 1}'::jsonb, 'currency_code', 'USD', 'next_billed_at', pg_temp.day(ends), 'collection_mode', 'automatic',
        'first_billed_at', pg_temp.day('2024-01-01'), 'scheduled_change', null, 'current_billing_period', pg_temp.period(starts, ends)) || changes $$;
CREATE FUNCTION pg_temp.ptxn(id text, name text, status text, starts text, ends text, amount text, changes jsonb DEFAULT '{}', price text DEFAULT 'basic') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('id', 'txn_' || id, 'items', jsonb_build_array(jsonb_build_object('quantity', 1, 'proration', null,
            'price', jsonb_build_object('id', 'pri_' || price, 'status', 'active', 'product_id', 'pro_' || price, 'unit_price', '{"amount": "999", "currency_code": "USD"}'::jsonb,
                'trial_period', null, 'billing_cycle', '{"interval": "month", "frequency": 1}'::jsonb))),
        'origin', 'subscription_recurring', 'status', status, 'details', jsonb_build_object('totals', jsonb_build_object('fee', '10', 'tax', '0', 'total', amount, 'credit', '0', 'balance', '0',
            'discount', '0', 'earnings', '0', 'subtotal', amount, 'grand_total', amount, 'currency_code', 'USD'), 'line_items', '[]'::jsonb),
        'payments', '[]'::jsonb, 'billed_at', pg_temp.day(starts), 'address_id', 'add_1', 'created_at', pg_temp.day(starts), 'invoice_id', null, 'updated_at', pg_temp.day(starts),
        'custom_data', jsonb_build_object('customer_user_id', name), 'customer_id', 'ctm_' || name, 'currency_code', 'USD', 'billing_period', pg_temp.period(starts, ends),
        'billing_details', null, 'collection_mode', 'automatic', 'subscription_id', 'sub_' || name) || changes $$;
CREATE FUNCTION pg_temp.padj(id text, txn text, action text, type text, status text, amount text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('id', 'adj_' || id, 'items', jsonb_build_array(jsonb_build_object('id', 'adjitm_1', 'type', type, 'amount', amount, 'item_id', 'txnitm_1')),
        'action', action, 'type', type, 'reason', 'error', 'status', status, 'totals', jsonb_build_object('fee', '5', 'tax', '8', 'total', amount, 'earnings', '87', 'subtotal', amount, 'currency_code', 'USD'),
        'created_at', pg_temp.day('2024-01-05'), 'updated_at', '0001-01-01T00:00:00Z', 'currency_code', 'USD', 'transaction_id', 'txn_' || txn, 'credit_applied_to_balance', true) $$;

-- ---- who sent it ----
SELECT adapty.set_ingest_secret('paddle', 'pdl_live');
SELECT pg_temp.paddle(pg_temp.pevent('0', 'subscription.created', '2024-01-01', pg_temp.psub('pd-0', 'active', '2024-01-01', '2099-02-01')), 'pdl_wrong');
SELECT adapty.ingest_paddle_event('{}'::text, 't=1,v1=' || repeat('0', 64));
SELECT adapty.ingest_paddle_event('{}'::text, pg_temp.paddle_sign('{}', 'pdl_live'));
SELECT r->>'outcome' AS two_signatures FROM pg_temp.body(pg_temp.pevent('0', 'product.created', '2024-01-01', '{"id": "pro_1"}')) b,
    adapty.ingest_paddle_event(b, replace(pg_temp.paddle_sign(b, 'pdl_live'), ';h1=', ';h1=' || repeat('0', 64) || ';h1=')) r;

-- ---- a life ----
SELECT pg_temp.paddle(pg_temp.pevent('a1', 'subscription.created', '2024-01-01', pg_temp.psub('pd-life', 'trialing', '2024-01-01', '2024-01-08')));
SELECT pg_temp.paddle(pg_temp.pevent('a2', 'transaction.completed', '2024-01-01', pg_temp.ptxn('a1', 'pd-life', 'completed', '2024-01-01', '2024-01-08', '0', '{"origin": "web"}')));
SELECT * FROM pg_temp.transactions('pd-life');
SELECT pg_temp.paddle(pg_temp.pevent('a3', 'transaction.completed', '2024-01-08', pg_temp.ptxn('a2', 'pd-life', 'completed', '2024-01-08', '2024-02-08', '999')));
SELECT pg_temp.paddle(pg_temp.pevent('a4', 'subscription.activated', '2024-01-08', pg_temp.psub('pd-life', 'active', '2024-01-08', '2024-02-08')));
SELECT pg_temp.paddle(pg_temp.pevent('a5', 'subscription.past_due', '2024-02-08', pg_temp.psub('pd-life', 'past_due', '2024-02-08', '2099-03-08')));
SELECT pg_temp.paddle(pg_temp.pevent('a6', 'transaction.past_due', '2024-02-08', pg_temp.ptxn('a3', 'pd-life', 'past_due', '2024-02-08', '2099-03-08', '999')));
SELECT * FROM pg_temp.transactions('pd-life');
SELECT pg_temp.paddle(pg_temp.pevent('a7', 'transaction.completed', '2024-02-10', pg_temp.ptxn('a3', 'pd-life', 'completed', '2024-02-08', '2099-03-08', '999')));
SELECT * FROM pg_temp.transactions('pd-life');
SELECT pg_temp.paddle(pg_temp.pevent('a8', 'subscription.updated', '2024-02-11', pg_temp.psub('pd-life', 'active', '2024-02-08', '2099-03-08',
    jsonb_build_object('scheduled_change', jsonb_build_object('action', 'cancel', 'effective_at', pg_temp.day('2099-03-08'), 'resume_at', null)))));
SELECT * FROM pg_temp.state('pd-life');
SELECT pg_temp.paddle(pg_temp.pevent('a9', 'subscription.canceled', '2024-02-12', pg_temp.psub('pd-life', 'canceled', NULL, NULL, jsonb_build_object('canceled_at', pg_temp.day('2024-02-12')))));
SELECT * FROM pg_temp.transactions('pd-life');
SELECT * FROM pg_temp.state('pd-life');
SELECT * FROM pg_temp.events('pd-life');

-- ---- a pause, planned and begun, and its end ----
SELECT pg_temp.paddle(pg_temp.pevent('b1', 'transaction.completed', '2024-01-01', pg_temp.ptxn('b1', 'pd-pause', 'completed', '2024-01-01', '2024-02-01', '999')));
SELECT pg_temp.paddle(pg_temp.pevent('b2', 'subscription.updated', '2024-01-10', pg_temp.psub('pd-pause', 'active', '2024-01-01', '2024-02-01',
    jsonb_build_object('scheduled_change', jsonb_build_object('action', 'pause', 'effective_at', pg_temp.day('2024-02-01'), 'resume_at', pg_temp.day('2024-05-01'))))));
SELECT pg_temp.utc(paused_at) AS paused_at, pg_temp.utc(resumes_at) AS resumes_at FROM adapty.transactions WHERE profile_id = pg_temp.profile('pd-pause');
SELECT pg_temp.paddle(pg_temp.pevent('b3', 'subscription.paused', '2024-02-01', pg_temp.psub('pd-pause', 'paused', NULL, NULL,
    jsonb_build_object('paused_at', pg_temp.day('2024-02-01'), 'scheduled_change', jsonb_build_object('action', 'resume', 'effective_at', pg_temp.day('2024-05-01'), 'resume_at', null)))));
SELECT pg_temp.paddle(pg_temp.pevent('b4', 'subscription.resumed', '2024-04-01', pg_temp.psub('pd-pause', 'active', '2024-04-01', '2099-05-01')));
SELECT pg_temp.paddle(pg_temp.pevent('b5', 'transaction.completed', '2024-04-01', pg_temp.ptxn('b2', 'pd-pause', 'completed', '2024-04-01', '2099-05-01', '999')));
SELECT * FROM pg_temp.transactions('pd-pause');
SELECT * FROM pg_temp.events('pd-pause');

-- ---- a change that is paid at once ----
SELECT pg_temp.paddle(pg_temp.pevent('c1', 'subscription.created', '2024-01-01', pg_temp.psub('pd-up', 'active', '2024-01-01', '2099-02-01')));
SELECT pg_temp.paddle(pg_temp.pevent('c2', 'transaction.completed', '2024-01-01', pg_temp.ptxn('c1', 'pd-up', 'completed', '2024-01-01', '2099-02-01', '999')));
SELECT pg_temp.paddle(pg_temp.pevent('c3', 'transaction.completed', '2024-01-15', pg_temp.ptxn('c2', 'pd-up', 'completed', '2024-01-01', '2099-02-01', '600',
    jsonb_build_object('origin', 'subscription_update', 'billed_at', pg_temp.day('2024-01-15')), price => 'pro')));
SELECT pg_temp.paddle(pg_temp.pevent('c4', 'subscription.updated', '2024-01-15', pg_temp.psub('pd-up', 'active', '2024-01-01', '2099-02-01', price => 'pro')));
SELECT * FROM pg_temp.transactions('pd-up');
SELECT * FROM pg_temp.state('pd-up');
SELECT * FROM pg_temp.events('pd-up');
-- and a new way to pay costs nothing and is nothing
SELECT pg_temp.paddle(pg_temp.pevent('c5', 'transaction.completed', '2024-01-20', pg_temp.ptxn('c3', 'pd-up', 'completed', '2024-01-20', '2099-02-01', '0', '{"origin": "subscription_payment_method_change"}')));
SELECT count(*) FROM pg_temp.transactions('pd-up');

-- ---- money back: when it is approved ----
SELECT pg_temp.paddle(pg_temp.pevent('d1', 'transaction.completed', '2024-01-01', pg_temp.ptxn('d1', 'pd-back', 'completed', '2024-01-01', '2099-02-01', '999')));
SELECT pg_temp.paddle(pg_temp.pevent('d2', 'adjustment.created', '2024-01-05', pg_temp.padj('1', 'd1', 'refund', 'partial', 'pending_approval', '199')));
SELECT price FROM pg_temp.transactions('pd-back');
SELECT pg_temp.paddle(pg_temp.pevent('d3', 'adjustment.updated', '2024-01-06', pg_temp.padj('1', 'd1', 'refund', 'partial', 'approved', '199')));
SELECT * FROM pg_temp.transactions('pd-back');
SELECT pg_temp.paddle(pg_temp.pevent('d4', 'adjustment.created', '2024-01-07', pg_temp.padj('2', 'd1', 'credit', 'partial', 'approved', '100')));
-- the parts make up the whole
SELECT pg_temp.paddle(pg_temp.pevent('d5', 'adjustment.updated', '2024-01-08', pg_temp.padj('3', 'd1', 'refund', 'partial', 'approved', '800')));
SELECT * FROM pg_temp.transactions('pd-back');
SELECT * FROM pg_temp.state('pd-back');
SELECT pg_temp.paddle(pg_temp.pevent('d6', 'adjustment.created', '2024-01-05', pg_temp.padj('4', 'd2', 'chargeback', 'full', 'approved', '2900')));

-- ---- a purchase for life; its chargeback was here before it ----
SELECT pg_temp.paddle(pg_temp.pevent('e1', 'transaction.paid', '2024-01-01', pg_temp.ptxn('e1', 'pd-once', 'paid', NULL, NULL, '2900', jsonb_build_object('subscription_id', null, 'origin', 'web', 'billed_at', pg_temp.day('2024-01-01'),
    'items', '[{"quantity": 1, "price": {"id": "pri_life", "product_id": "pro_life", "billing_cycle": null}}]'::jsonb))));
SELECT * FROM pg_temp.transactions('pd-once');
SELECT * FROM pg_temp.state('pd-once');
SELECT pg_temp.paddle(pg_temp.pevent('e2', 'transaction.completed', '2024-01-01', pg_temp.ptxn('d2', 'pd-charged-back', 'completed', NULL, NULL, '2900', jsonb_build_object('subscription_id', null, 'origin', 'web', 'billed_at', pg_temp.day('2024-01-01'),
    'items', '[{"quantity": 1, "price": {"id": "pri_life", "product_id": "pro_life", "billing_cycle": null}}]'::jsonb))));
SELECT * FROM pg_temp.transactions('pd-charged-back');
SELECT * FROM pg_temp.state('pd-charged-back');
-- what recurs has no subscription until it is completed: till then it is nothing
SELECT pg_temp.paddle(pg_temp.pevent('e3', 'transaction.paid', '2024-01-01', pg_temp.ptxn('e3', 'pd-new', 'paid', NULL, NULL, '999', jsonb_build_object('subscription_id', null, 'origin', 'web', 'billed_at', pg_temp.day('2024-01-01')))));
SELECT pg_temp.paddle(pg_temp.pevent('e4', 'transaction.completed', '2024-01-02', pg_temp.ptxn('e3', 'pd-new', 'completed', NULL, NULL, '999', jsonb_build_object('origin', 'web', 'billed_at', pg_temp.day('2024-01-01')))));
SELECT * FROM pg_temp.transactions('pd-new');

-- ---- any JSON ----
SET client_min_messages = error;
SELECT tried > 500 AS many, unexpected FROM pg_temp.fuzz(pg_temp.pevent('z', 'subscription.updated', '2024-01-01', pg_temp.psub('pd-z', 'active', '2024-01-01', '2024-02-01', jsonb_build_object('scheduled_change', jsonb_build_object('action', 'pause', 'effective_at', pg_temp.day('2024-02-01'), 'resume_at', null)))), 'data', 'event_id', 'pg_temp.paddle', 'zs');
SELECT tried > 500 AS many, unexpected FROM pg_temp.fuzz(pg_temp.pevent('z', 'transaction.completed', '2024-01-01', pg_temp.ptxn('z1', 'pd-z', 'completed', '2024-01-01', '2024-02-01', '999')), 'data', 'event_id', 'pg_temp.paddle', 'zt');
SELECT tried > 300 AS many, unexpected FROM pg_temp.fuzz(pg_temp.pevent('z', 'transaction.completed', '2024-01-01', pg_temp.ptxn('z2', 'pd-z', 'billed', NULL, NULL, '999', '{"collection_mode": "manual", "billing_details": {"payment_terms": {"interval": "day", "frequency": 14}}, "items": [{"price": {"id": "pri_basic", "product_id": "pro_basic", "billing_cycle": {"interval": "year", "frequency": 3650}}}]}')), 'data', 'event_id', 'pg_temp.paddle', 'zm');
SELECT tried > 200 AS many, unexpected FROM pg_temp.fuzz(pg_temp.pevent('z', 'adjustment.updated', '2024-01-01', pg_temp.padj('z', 'z1', 'refund', 'full', 'approved', '999')), 'data', 'event_id', 'pg_temp.paddle', 'za');
RESET client_min_messages;

-- ---- the sandbox is known by its secret ----
SELECT adapty.set_ingest_secret('paddle', 'pdl_sandbox', 'Sandbox');
SELECT pg_temp.paddle(pg_temp.pevent('f1', 'transaction.completed', '2024-01-01', pg_temp.ptxn('f1', 'pd-sandbox', 'completed', '2024-01-01', '2099-02-01', '999')), 'pdl_sandbox');
SELECT environment FROM adapty.transactions WHERE profile_id = pg_temp.profile('pd-sandbox');
SELECT adapty.set_ingest_secret('paddle', NULL, keep_old_for => '0'), adapty.set_ingest_secret('paddle', NULL, 'Sandbox', '0');
