-- ingest_stripe_event(): from Stripe's events to access. Sample objects have the published shapes of both API generations.
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

-- ---- nothing is taken without a secret ----
SELECT pg_temp.send(pg_temp.event('0', 'invoice.paid', '2024-01-01', '{}'));
SELECT adapty.set_ingest_secret('stripe', 'whsec_live');
SELECT adapty.set_ingest_secret('stripe', 'whsec_test', 'Sandbox');

-- ---- a life: trial, paid, past due, recovered, cancelled ----
SELECT pg_temp.send(pg_temp.event('a1', 'customer.subscription.created', '2024-01-01', pg_temp.sub('st-life', 'trialing', '2024-01-01', '2024-01-08', 'a1',
    jsonb_build_object('trial_start', pg_temp.ts('2024-01-01'), 'trial_end', pg_temp.ts('2024-01-08')))));
SELECT pg_temp.send(pg_temp.event('a2', 'invoice.paid', '2024-01-01 00:00:01', pg_temp.invoice('a1', 'st-life', 'paid', '2024-01-01', '2024-01-08', 0, '{"billing_reason": "subscription_create"}')));
SELECT * FROM pg_temp.transactions('st-life');
SELECT * FROM pg_temp.events('st-life');
-- the period is over and the next invoice is a draft: nothing is paid, nothing is new
SELECT pg_temp.send(pg_temp.event('a3', 'customer.subscription.updated', '2024-01-08', pg_temp.sub('st-life', 'active', '2024-01-08', '2024-02-08', 'a2',
    jsonb_build_object('trial_start', pg_temp.ts('2024-01-01'), 'trial_end', pg_temp.ts('2024-01-08')))));
SELECT pg_temp.send(pg_temp.event('a4', 'invoice.created', '2024-01-08', pg_temp.invoice('a2', 'st-life', 'draft', '2024-01-08', '2024-02-08', 999)));
SELECT pg_temp.send(pg_temp.event('a5', 'invoice.paid', '2024-01-08 01:00', pg_temp.invoice('a2', 'st-life', 'paid', '2024-01-08', '2024-02-08', 999)));
SELECT pg_temp.send(pg_temp.event('a6', 'invoice.payment_failed', '2024-02-08 01:00', pg_temp.invoice('a3', 'st-life', 'open', '2024-02-08', '2099-03-08', 999, '{"attempted": true, "next_payment_attempt": 4070908800}')));
SELECT pg_temp.send(pg_temp.event('a7', 'customer.subscription.updated', '2024-02-08 01:00', pg_temp.sub('st-life', 'past_due', '2024-02-08', '2099-03-08', 'a3',
    jsonb_build_object('trial_start', pg_temp.ts('2024-01-01'), 'trial_end', pg_temp.ts('2024-01-08')))));
SELECT * FROM pg_temp.transactions('st-life');
SELECT * FROM pg_temp.state('st-life');
SELECT pg_temp.send(pg_temp.event('a8', 'invoice.paid', '2024-02-09', pg_temp.invoice('a3', 'st-life', 'paid', '2024-02-08', '2099-03-08', 999)));
SELECT * FROM pg_temp.state('st-life');
SELECT pg_temp.send(pg_temp.event('a9', 'customer.subscription.updated', '2024-02-09', pg_temp.sub('st-life', 'active', '2024-02-08', '2099-03-08', 'a3')));
SELECT pg_temp.send(pg_temp.event('a10', 'customer.subscription.updated', '2024-02-20', pg_temp.sub('st-life', 'active', '2024-02-08', '2099-03-08', 'a3',
    jsonb_build_object('cancel_at_period_end', true, 'canceled_at', pg_temp.ts('2024-02-20')))));
SELECT * FROM pg_temp.transactions('st-life');
SELECT * FROM pg_temp.state('st-life');
-- and back, and then at once
SELECT pg_temp.send(pg_temp.event('a11', 'customer.subscription.updated', '2024-02-21', pg_temp.sub('st-life', 'active', '2024-02-08', '2099-03-08', 'a3')));
SELECT * FROM pg_temp.state('st-life');
SELECT pg_temp.send(pg_temp.event('a12', 'customer.subscription.deleted', '2024-02-22', pg_temp.sub('st-life', 'canceled', '2024-02-08', '2099-03-08', 'a3',
    jsonb_build_object('canceled_at', pg_temp.ts('2024-02-22'), 'ended_at', pg_temp.ts('2024-02-22'), 'cancellation_details', '{"reason": "cancellation_requested"}'::jsonb))));
SELECT * FROM pg_temp.transactions('st-life');
SELECT * FROM pg_temp.grants('st-life');
SELECT * FROM pg_temp.state('st-life');
SELECT * FROM pg_temp.events('st-life');

-- ---- the same in the shapes of 2025-03-31 and later ----
SELECT pg_temp.send(pg_temp.event('b1', 'customer.subscription.created', '2024-01-01', pg_temp.basil_sub(pg_temp.sub('st-basil', 'active', '2024-01-01', '2099-02-01', 'b1'))));
SELECT pg_temp.send(pg_temp.event('b2', 'invoice.paid', '2024-01-01', pg_temp.basil_invoice(pg_temp.invoice('b1', 'st-basil', 'paid', '2024-01-01', '2099-02-01', 999))));
SELECT * FROM pg_temp.transactions('st-basil');
-- charges do not name the invoice any more: an event of its own does, which may come after the refund
SELECT pg_temp.send(pg_temp.event('b3', 'charge.refunded', '2024-01-05', pg_temp.charge('b1', 'st-basil', 999, 999) - 'invoice'));
SELECT * FROM pg_temp.state('st-basil');
SELECT pg_temp.send(pg_temp.event('b4', 'invoice_payment.paid', '2024-01-01', '{"id": "inpay_1", "object": "invoice_payment", "amount_paid": 999, "amount_requested": 999, "created": 1704067200, "currency": "usd", "invoice": "in_b1", "is_default": true, "livemode": true, "payment": {"type": "payment_intent", "payment_intent": "pi_b1"}, "status": "paid"}'));
SELECT * FROM pg_temp.transactions('st-basil');
SELECT * FROM pg_temp.state('st-basil');
SELECT * FROM pg_temp.events('st-basil');

-- ---- every other state ----
-- incomplete: nothing; and it stays nothing when it expires
SELECT pg_temp.send(pg_temp.event('c1', 'customer.subscription.created', '2024-01-01', pg_temp.sub('st-incomplete', 'incomplete', '2024-01-01', '2099-02-01', 'c1')));
SELECT pg_temp.send(pg_temp.event('c2', 'invoice.payment_failed', '2024-01-01', pg_temp.invoice('c1', 'st-incomplete', 'open', '2024-01-01', '2099-02-01', 999, '{"attempted": true, "next_payment_attempt": 4070908800}')));
SELECT pg_temp.send(pg_temp.event('c3', 'customer.subscription.updated', '2024-01-02', pg_temp.sub('st-incomplete', 'incomplete_expired', '2024-01-01', '2099-02-01', 'c1')));
SELECT * FROM pg_temp.transactions('st-incomplete');
SELECT * FROM pg_temp.state('st-incomplete');
-- incomplete, then paid after all
SELECT pg_temp.send(pg_temp.event('c4', 'customer.subscription.created', '2024-01-01', pg_temp.sub('st-complete', 'incomplete', '2024-01-01', '2099-02-01', 'c4')));
SELECT pg_temp.send(pg_temp.event('c5', 'customer.subscription.updated', '2024-01-01', pg_temp.sub('st-complete', 'active', '2024-01-01', '2099-02-01', 'c4')));
SELECT pg_temp.send(pg_temp.event('c6', 'invoice.paid', '2024-01-01', pg_temp.invoice('c4', 'st-complete', 'paid', '2024-01-01', '2099-02-01', 999)));
SELECT * FROM pg_temp.state('st-complete');
-- unpaid: the store has given up, the subscription stays
SELECT pg_temp.send(pg_temp.event('c7', 'customer.subscription.updated', '2024-02-20', pg_temp.sub('st-unpaid', 'unpaid', '2024-02-01', '2024-03-01', 'c8')));
SELECT pg_temp.send(pg_temp.event('c8', 'invoice.paid', '2024-01-01', pg_temp.invoice('c7', 'st-unpaid', 'paid', '2024-01-01', '2024-02-01', 999)));
SELECT pg_temp.send(pg_temp.event('c9', 'invoice.marked_uncollectible', '2024-02-20', pg_temp.invoice('c8', 'st-unpaid', 'uncollectible', '2024-02-01', '2024-03-01', 999)));
SELECT * FROM pg_temp.transactions('st-unpaid');
SELECT * FROM pg_temp.state('st-unpaid');
-- cancelled because payment failed
SELECT pg_temp.send(pg_temp.event('c10', 'invoice.paid', '2024-01-01', pg_temp.invoice('c10', 'st-failed', 'paid', '2024-01-01', '2024-02-01', 999)));
SELECT pg_temp.send(pg_temp.event('c11', 'customer.subscription.deleted', '2024-02-20', pg_temp.sub('st-failed', 'canceled', '2024-02-01', '2024-03-01', 'c11',
    jsonb_build_object('ended_at', pg_temp.ts('2024-02-20'), 'canceled_at', pg_temp.ts('2024-02-20'), 'cancellation_details', '{"reason": "payment_failed"}'::jsonb))));
SELECT * FROM pg_temp.transactions('st-failed');
SELECT * FROM pg_temp.events('st-failed');
-- paused: a trial that ended without a way to pay; and resumed
SELECT pg_temp.send(pg_temp.event('c12', 'invoice.paid', '2024-01-01', pg_temp.invoice('c12', 'st-paused', 'paid', '2024-01-01', '2024-01-08', 0)));
SELECT pg_temp.send(pg_temp.event('c13', 'customer.subscription.paused', '2024-01-08', pg_temp.sub('st-paused', 'paused', '2024-01-01', '2024-01-08', 'c12', jsonb_build_object('trial_end', pg_temp.ts('2024-01-08')))));
SELECT store_transaction_id, pg_temp.utc(paused_at) AS paused_at, resumes_at, offer_type FROM adapty.transactions WHERE profile_id = pg_temp.profile('st-paused');
SELECT * FROM pg_temp.state('st-paused');
SELECT pg_temp.send(pg_temp.event('c14', 'customer.subscription.resumed', '2024-03-01', pg_temp.sub('st-paused', 'active', '2024-03-01', '2099-04-01', 'c14', jsonb_build_object('trial_end', pg_temp.ts('2024-01-08')))));
SELECT pg_temp.send(pg_temp.event('c15', 'invoice.paid', '2024-03-01', pg_temp.invoice('c14', 'st-paused', 'paid', '2024-03-01', '2099-04-01', 999)));
SELECT * FROM pg_temp.state('st-paused');
SELECT * FROM pg_temp.events('st-paused');
-- collection paused because nothing can be given: access ends with the paid period; and goes on
SELECT pg_temp.send(pg_temp.event('c16', 'customer.subscription.created', '2024-01-01', pg_temp.sub('st-void', 'active', '2024-01-01', '2099-02-01', 'c16')));
SELECT pg_temp.send(pg_temp.event('c17', 'invoice.paid', '2024-01-01', pg_temp.invoice('c16', 'st-void', 'paid', '2024-01-01', '2099-02-01', 999)));
SELECT pg_temp.send(pg_temp.event('c18', 'customer.subscription.updated', '2024-01-10', pg_temp.sub('st-void', 'active', '2024-01-01', '2099-02-01', 'c16',
    jsonb_build_object('pause_collection', jsonb_build_object('behavior', 'void', 'resumes_at', pg_temp.ts('2099-05-01'))))));
SELECT pg_temp.utc(paused_at) AS paused_at, pg_temp.utc(resumes_at) AS resumes_at FROM adapty.transactions WHERE profile_id = pg_temp.profile('st-void');
SELECT ends FROM pg_temp.grants('st-void');
SELECT pg_temp.send(pg_temp.event('c19', 'customer.subscription.updated', '2024-01-11', pg_temp.sub('st-void', 'active', '2024-01-01', '2099-02-01', 'c16')));
SELECT * FROM pg_temp.events('st-void');
-- past due with a grace period
SET adapty.ingest_grace_period = '3d';
SELECT pg_temp.send(pg_temp.event('c20', 'invoice.paid', '2024-01-01', pg_temp.invoice('c20', 'st-grace', 'paid', '2024-01-01', '2099-02-01', 999)));
SELECT pg_temp.send(pg_temp.event('c21', 'customer.subscription.updated', '2024-02-01', pg_temp.sub('st-grace', 'past_due', '2099-02-01', '2099-03-01', 'c21')));
SELECT * FROM pg_temp.transactions('st-grace');
SELECT * FROM pg_temp.events('st-grace');
RESET adapty.ingest_grace_period;
-- a bill gives access until it is due, and to the end of the period once it is paid
SELECT pg_temp.send(pg_temp.event('c22', 'customer.subscription.created', '2024-01-01', pg_temp.sub('st-bill', 'active', '2024-01-01', '2099-12-01', 'c22', '{"collection_method": "send_invoice", "days_until_due": 30}')));
SELECT pg_temp.send(pg_temp.event('c23', 'invoice.finalized', '2024-01-01', pg_temp.invoice('c22', 'st-bill', 'open', '2024-01-01', '2099-12-01', 9900, jsonb_build_object('collection_method', 'send_invoice', 'due_date', pg_temp.ts('2099-01-31')))));
SELECT * FROM pg_temp.transactions('st-bill');
SELECT pg_temp.send(pg_temp.event('c24', 'invoice.paid', '2024-01-20', pg_temp.invoice('c22', 'st-bill', 'paid', '2024-01-01', '2099-12-01', 9900, jsonb_build_object('collection_method', 'send_invoice', 'due_date', pg_temp.ts('2099-01-31')))));
SELECT * FROM pg_temp.transactions('st-bill');
-- a first payment that takes days: Stripe says active, so it is; and that fails in the end
SELECT pg_temp.send(pg_temp.event('c25', 'customer.subscription.created', '2024-01-01', pg_temp.sub('st-debit', 'active', '2024-01-01', '2099-02-01', 'c25')));
SELECT pg_temp.send(pg_temp.event('c26', 'invoice.finalized', '2024-01-01', pg_temp.invoice('c25', 'st-debit', 'open', '2024-01-01', '2099-02-01', 999)));
SELECT * FROM pg_temp.state('st-debit');
SELECT pg_temp.send(pg_temp.event('c27', 'customer.subscription.updated', '2024-01-06', pg_temp.sub('st-debit', 'past_due', '2024-01-01', '2099-02-01', 'c25')));
SELECT * FROM pg_temp.transactions('st-debit');
SELECT * FROM pg_temp.state('st-debit');

-- what is used is paid for afterwards: the invoice is of the period before, the access of this one
SELECT pg_temp.send(pg_temp.event('c30', 'customer.subscription.created', '2024-01-01', pg_temp.sub('st-used', 'active', '2024-01-01', '2024-02-01', 'c30')));
SELECT pg_temp.send(pg_temp.event('c31', 'invoice.paid', '2024-01-01', pg_temp.invoice('c30', 'st-used', 'paid', '2024-01-01', '2024-01-01', 0)));
SELECT * FROM pg_temp.transactions('st-used');
SELECT pg_temp.send(pg_temp.event('c32', 'customer.subscription.updated', '2024-02-01', pg_temp.sub('st-used', 'active', '2024-02-01', '2099-03-01', 'c32')));
SELECT pg_temp.send(pg_temp.event('c32d', 'invoice.created', '2024-02-01', pg_temp.invoice('c32', 'st-used', 'draft', '2024-01-01', '2024-02-01', 740)));
SELECT ends FROM pg_temp.transactions('st-used');
SELECT pg_temp.send(pg_temp.event('c33', 'invoice.paid', '2024-02-01 01:00', pg_temp.invoice('c32', 'st-used', 'paid', '2024-01-01', '2024-02-01', 740)));
SELECT * FROM pg_temp.transactions('st-used');
SELECT * FROM pg_temp.state('st-used');
-- a trial with a fee at its beginning is a trial
SELECT pg_temp.send(pg_temp.event('c34', 'customer.subscription.created', '2024-01-01', pg_temp.sub('st-fee', 'trialing', '2024-01-01', '2099-01-08', 'c34', jsonb_build_object('trial_end', pg_temp.ts('2099-01-08')))));
SELECT pg_temp.send(pg_temp.event('c35', 'invoice.paid', '2024-01-01', pg_temp.invoice('c34', 'st-fee', 'paid', '2024-01-01', '2099-01-08', 0, '{"subtotal": 500, "amount_due": 500, "amount_paid": 500}')));
SELECT offer_type, price_value FROM adapty.transactions WHERE profile_id = pg_temp.profile('st-fee');
SELECT * FROM pg_temp.events('st-fee');

-- ---- changes of the plan ----
-- at once, with an invoice for the rest of the period
SELECT pg_temp.send(pg_temp.event('d1', 'customer.subscription.created', '2024-01-01', pg_temp.sub('st-upgrade', 'active', '2024-01-01', '2099-02-01', 'd1')));
SELECT pg_temp.send(pg_temp.event('d2', 'invoice.paid', '2024-01-01', pg_temp.invoice('d1', 'st-upgrade', 'paid', '2024-01-01', '2099-02-01', 999)));
SELECT pg_temp.send(pg_temp.event('d3', 'customer.subscription.updated', '2024-01-15', pg_temp.sub('st-upgrade', 'active', '2024-01-01', '2099-02-01', 'd3', price => 'pro')));
SELECT pg_temp.send(pg_temp.event('d4', 'invoice.paid', '2024-01-15', pg_temp.invoice('d3', 'st-upgrade', 'paid', '2024-01-15', '2099-02-01', 600, jsonb_build_object('billing_reason', 'subscription_update',
    'lines', jsonb_build_object('object', 'list', 'data', jsonb_build_array(pg_temp.proration('basic', '2024-01-15', '2099-02-01', -500), pg_temp.proration('pro', '2024-01-15', '2099-02-01', 1100)))))));
SELECT * FROM pg_temp.transactions('st-upgrade');
SELECT * FROM pg_temp.state('st-upgrade');
SELECT * FROM pg_temp.events('st-upgrade');
-- the same in the newer shapes
SELECT pg_temp.send(pg_temp.event('d5', 'invoice.paid', '2024-01-15 00:00:01', pg_temp.basil_invoice(pg_temp.invoice('d3', 'st-upgrade', 'paid', '2024-01-15', '2099-02-01', 600, jsonb_build_object('billing_reason', 'subscription_update',
    'lines', jsonb_build_object('object', 'list', 'data', jsonb_build_array(pg_temp.proration('basic', '2024-01-15', '2099-02-01', -500), pg_temp.proration('pro', '2024-01-15', '2099-02-01', 1100))))))));
SELECT * FROM pg_temp.transactions('st-upgrade');
-- at once, the difference to be paid with the next invoice
SELECT pg_temp.send(pg_temp.event('d6', 'customer.subscription.created', '2024-01-01', pg_temp.sub('st-prorate', 'active', '2024-01-01', '2099-02-01', 'd6')));
SELECT pg_temp.send(pg_temp.event('d7', 'invoice.paid', '2024-01-01', pg_temp.invoice('d6', 'st-prorate', 'paid', '2024-01-01', '2099-02-01', 999)));
SELECT pg_temp.send(pg_temp.event('d8', 'customer.subscription.updated', '2024-01-15', pg_temp.sub('st-prorate', 'active', '2024-01-01', '2099-02-01', 'd6', price => 'pro')));
SELECT * FROM pg_temp.transactions('st-prorate');
SELECT * FROM pg_temp.state('st-prorate');
-- at the renewal: the old one ends, the new one begins
SELECT pg_temp.send(pg_temp.event('d9', 'customer.subscription.created', '2024-01-01', pg_temp.sub('st-renewal', 'active', '2024-01-01', '2024-02-01', 'd9', price => 'pro')));
SELECT pg_temp.send(pg_temp.event('d10', 'invoice.paid', '2024-01-01', pg_temp.invoice('d9', 'st-renewal', 'paid', '2024-01-01', '2024-02-01', 1999, price => 'pro')));
SELECT pg_temp.send(pg_temp.event('d11', 'customer.subscription.updated', '2024-02-01', pg_temp.sub('st-renewal', 'active', '2024-02-01', '2099-03-01', 'd11')));
SELECT pg_temp.send(pg_temp.event('d12', 'invoice.paid', '2024-02-01 01:00', pg_temp.invoice('d11', 'st-renewal', 'paid', '2024-02-01', '2099-03-01', 999)));
SELECT * FROM pg_temp.transactions('st-renewal');
SELECT * FROM pg_temp.state('st-renewal');
SELECT * FROM pg_temp.events('st-renewal');

-- ---- money back ----
SELECT pg_temp.send(pg_temp.event('e1', 'customer.subscription.created', '2024-01-01', pg_temp.sub('st-refund', 'active', '2024-01-01', '2099-02-01', 'e1')));
SELECT pg_temp.send(pg_temp.event('e2', 'invoice.paid', '2024-01-01', pg_temp.invoice('e1', 'st-refund', 'paid', '2024-01-01', '2099-02-01', 999)));
-- a part of it: less revenue, the same access
SELECT pg_temp.send(pg_temp.event('e3', 'charge.refunded', '2024-01-03', pg_temp.charge('e1', 'st-refund', 999, 400)));
SELECT * FROM pg_temp.transactions('st-refund');
SELECT * FROM pg_temp.state('st-refund');
-- the rest: the end
SELECT pg_temp.send(pg_temp.event('e4', 'charge.refunded', '2024-01-04', pg_temp.charge('e1', 'st-refund', 999, 999)));
SELECT * FROM pg_temp.transactions('st-refund');
SELECT * FROM pg_temp.state('st-refund');
SELECT * FROM pg_temp.events('st-refund');
-- a dispute counts when it is lost
SELECT pg_temp.send(pg_temp.event('e5', 'customer.subscription.created', '2024-01-01', pg_temp.sub('st-dispute', 'active', '2024-01-01', '2099-02-01', 'e5')));
SELECT pg_temp.send(pg_temp.event('e6', 'invoice.paid', '2024-01-01', pg_temp.invoice('e5', 'st-dispute', 'paid', '2024-01-01', '2099-02-01', 999)));
SELECT pg_temp.send(pg_temp.event('e7', 'charge.dispute.created', '2024-01-03', '{"id": "dp_1", "object": "dispute", "amount": 999, "charge": "ch_e5", "currency": "usd", "livemode": true, "metadata": {}, "payment_intent": "pi_e5", "reason": "general", "status": "needs_response"}'));
SELECT * FROM pg_temp.state('st-dispute');
SELECT pg_temp.send(pg_temp.event('e8', 'charge.dispute.closed', '2024-01-20', '{"id": "dp_1", "object": "dispute", "amount": 999, "charge": "ch_e5", "currency": "usd", "livemode": true, "metadata": {}, "payment_intent": "pi_e5", "reason": "general", "status": "lost"}'));
SELECT * FROM pg_temp.transactions('st-dispute');
SELECT * FROM pg_temp.state('st-dispute');

-- ---- purchases without a subscription ----
-- an invoice for a product
SELECT pg_temp.send(pg_temp.event('f1', 'invoice.paid', '2024-01-01', pg_temp.invoice('f1', 'st-once', 'paid', '2024-01-01', '2024-01-01', 4900, '{"subscription": null, "billing_reason": "manual", "metadata": {"customer_user_id": "st-once"}, "subscription_details": null}', price => 'life')));
SELECT * FROM pg_temp.transactions('st-once');
SELECT * FROM pg_temp.grants('st-once');
SELECT * FROM pg_temp.events('st-once');
-- a checkout without an invoice: the metadata, or the payment link, say what was bought
SELECT pg_temp.send(pg_temp.event('f2', 'checkout.session.completed', '2024-01-01', pg_temp.session('st-checkout', '{"client_reference_id": "st-checkout", "metadata": {"store_product_id": "prod_life", "variation_id": "var_1"}}')));
SELECT * FROM pg_temp.transactions('st-checkout');
SELECT pg_temp.send(pg_temp.event('f3', 'charge.refunded', '2024-01-02', pg_temp.charge('st-checkout', 'x', 2900, 2900, '{"customer": null, "invoice": null}')));
SELECT * FROM pg_temp.events('st-checkout');
SELECT pg_temp.send(pg_temp.event('f4', 'checkout.session.completed', '2024-01-01', pg_temp.session('st-link', '{"client_reference_id": "st-link", "payment_link": "plink_1"}')));
SELECT * FROM pg_temp.transactions('st-link');
SELECT pg_temp.send(pg_temp.event('f5', 'checkout.session.completed', '2024-01-01', pg_temp.session('st-what', '{"client_reference_id": "st-what"}')));
SELECT pg_temp.send(pg_temp.event('f6', 'checkout.session.completed', '2024-01-01', pg_temp.session('st-later', '{"client_reference_id": "st-later", "payment_status": "unpaid", "metadata": {"store_product_id": "prod_life"}}')));
SELECT pg_temp.send(pg_temp.event('f7', 'checkout.session.async_payment_succeeded', '2024-01-03', pg_temp.session('st-later', '{"client_reference_id": "st-later", "metadata": {"store_product_id": "prod_life"}}')));
SELECT * FROM pg_temp.transactions('st-later');
-- (what a yen was worth then is not the matter here)
SET client_min_messages = error;
SELECT pg_temp.send(pg_temp.event('f8', 'payment_intent.succeeded', '2024-01-01', '{"id": "pi_f8", "object": "payment_intent", "amount": 500, "amount_received": 500, "currency": "jpy", "customer": null, "livemode": true, "metadata": {"store_product_id": "prod_life", "customer_user_id": "st-intent"}, "status": "succeeded"}'));
RESET client_min_messages;
SELECT * FROM pg_temp.transactions('st-intent');
-- nothing that concerns us
SELECT pg_temp.send(pg_temp.event('f9', 'payment_intent.succeeded', '2024-01-01', '{"id": "pi_f9", "object": "payment_intent", "amount": 500, "currency": "usd", "metadata": {}}'));
SELECT pg_temp.send(pg_temp.event('f10', 'product.created', '2024-01-01', '{"id": "prod_1", "object": "product"}'));
SELECT pg_temp.send(pg_temp.event('f11', 'invoice.upcoming', '2024-01-01', pg_temp.invoice('x', 'st-life', 'draft', '2024-01-01', '2024-02-01', 999) - 'id'));
-- the test environment is the sandbox
SELECT pg_temp.send(pg_temp.event('g1', 'invoice.paid', '2024-01-01', pg_temp.invoice('g1', 'st-sandbox', 'paid', '2024-01-01', '2099-02-01', 999)) || '{"livemode": false}');
SELECT environment, price_value FROM adapty.transactions WHERE profile_id = pg_temp.profile('st-sandbox');
SELECT * FROM pg_temp.state('st-sandbox');

-- ---- as it happens: a renewal an hour after the period's end, between which nobody loses access ----
CREATE FUNCTION pg_temp.ago(i interval) RETURNS text LANGUAGE sql AS $$ SELECT to_char((now() - i) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') $$;
CREATE FUNCTION pg_temp.months(u text, invoice text, ended interval) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.send(pg_temp.event(invoice || 's', 'customer.subscription.created', pg_temp.ago(ended + '30 days'), pg_temp.sub(u, 'active', pg_temp.ago(ended + '30 days'), pg_temp.ago(ended), invoice, jsonb_build_object('start_date', pg_temp.ts(pg_temp.ago(ended + '30 days'))))))
        || pg_temp.send(pg_temp.event(invoice || 'i', 'invoice.paid', pg_temp.ago(ended + '30 days'), pg_temp.invoice(invoice, u, 'paid', pg_temp.ago(ended + '30 days'), pg_temp.ago(ended), 999))) $$;
CREATE FUNCTION pg_temp.next(u text, status text, invoice text, at interval, ended interval, changes jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.send(pg_temp.event(invoice || status || extract(epoch FROM at), 'customer.subscription.updated', pg_temp.ago(at), pg_temp.sub(u, status, pg_temp.ago(ended), pg_temp.ago(ended - '30 days'), invoice, changes))) $$;
CREATE FUNCTION pg_temp.pay(u text, status text, invoice text, at interval, ended interval, changes jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.send(pg_temp.event(invoice || status || extract(epoch FROM at), CASE status WHEN 'paid' THEN 'invoice.paid' WHEN 'open' THEN 'invoice.payment_failed' ELSE 'invoice.updated' END, pg_temp.ago(at),
        pg_temp.invoice(invoice, u, status, pg_temp.ago(ended), pg_temp.ago(ended - '30 days'), 999, changes))) $$;
SELECT pg_temp.months('st-now', 'n1', '1 hour');
SELECT pg_temp.next('st-now', 'active', 'n2', '1 hour', '1 hour');
SELECT pg_temp.pay('st-now', 'draft', 'n2', '1 hour', '1 hour');
SELECT premium, state FROM pg_temp.state('st-now');
SELECT pg_temp.pay('st-now', 'paid', 'n2', '0', '1 hour');
SELECT premium, state FROM pg_temp.state('st-now');
SELECT * FROM pg_temp.events('st-now');
-- it fails, without grace: access ends with what was paid; and is made after all
SELECT pg_temp.months('st-fails', 'n3', '1 hour');
SELECT pg_temp.pay('st-fails', 'open', 'n4', '30 min', '1 hour', '{"attempted": true, "next_payment_attempt": 4070908800}');
SELECT pg_temp.next('st-fails', 'past_due', 'n4', '30 min', '1 hour');
SELECT premium, state FROM pg_temp.state('st-fails');
SELECT * FROM pg_temp.events('st-fails');
SELECT pg_temp.pay('st-fails', 'paid', 'n4', '10 min', '1 hour');
SELECT pg_temp.next('st-fails', 'active', 'n4', '10 min', '1 hour');
SELECT premium, state FROM pg_temp.state('st-fails');
SELECT * FROM pg_temp.events('st-fails');
-- it fails, with grace, until the store gives up
SET adapty.ingest_grace_period = '3d';
SELECT pg_temp.months('st-gives-up', 'n5', '1 hour');
SELECT pg_temp.next('st-gives-up', 'past_due', 'n6', '30 min', '1 hour');
SELECT premium, state FROM pg_temp.state('st-gives-up');
SELECT pg_temp.next('st-gives-up', 'canceled', 'n6', '10 min', '1 hour', jsonb_build_object('ended_at', pg_temp.ts(pg_temp.ago('10 min')), 'canceled_at', pg_temp.ts(pg_temp.ago('10 min')), 'cancellation_details', '{"reason": "payment_failed"}'::jsonb));
SELECT premium, state FROM pg_temp.state('st-gives-up');
SELECT * FROM pg_temp.events('st-gives-up');
RESET adapty.ingest_grace_period;
-- cancelled for the end of the period, and taken back, and again: that is no deferral
SELECT pg_temp.months('st-wavers', 'n7', '-10 days');
SELECT pg_temp.next('st-wavers', 'active', 'n7', '3 hours', '20 days', jsonb_build_object('cancel_at_period_end', true, 'canceled_at', pg_temp.ts(pg_temp.ago('3 hours'))));
SELECT pg_temp.next('st-wavers', 'active', 'n7', '2 hours', '20 days');
SELECT pg_temp.next('st-wavers', 'active', 'n7', '1 hours', '20 days', jsonb_build_object('cancel_at_period_end', true, 'canceled_at', pg_temp.ts(pg_temp.ago('1 hours'))));
SELECT premium, state FROM pg_temp.state('st-wavers');
SELECT * FROM pg_temp.events('st-wavers');
-- a debit that takes days: as long as Stripe says active, it is
SELECT pg_temp.months('st-slow', 'n8', '1 day');
SELECT pg_temp.send(pg_temp.event('n9', 'invoice.updated', pg_temp.ago('23 hours'), pg_temp.invoice('n9', 'st-slow', 'open', pg_temp.ago('1 day'), pg_temp.ago('-29 days'), 999, '{"attempted": true}')));
SELECT pg_temp.next('st-slow', 'active', 'n9', '1 day', '1 day');
SELECT premium, state FROM pg_temp.state('st-slow');
SELECT adapty.set_ingest_secret('stripe', NULL, keep_old_for => '0'), adapty.set_ingest_secret('stripe', NULL, 'Sandbox', '0');
