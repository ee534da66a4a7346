-- ingest_*(): whatever order a store's events arrive in, the end is the same; and whose they are.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET TimeZone TO 'Pacific/Chatham';
\getenv dir PG_ABS_SRCDIR
\set helpers :dir '/helpers/ingest.sql'
\set ECHO none
\o /dev/null
\i :helpers
\o
\set ECHO all
SELECT adapty.set_ingest_secret('stripe', 'whsec_live');

-- ---- shuffled ----
-- lives of which each event names everything with @, so that each shuffle is of a user of its own
CREATE TEMP TABLE lives (life text, n serial, event jsonb);
INSERT INTO lives (life, event) VALUES
    ('paid', pg_temp.event('@1', 'customer.subscription.created', '2024-01-01', pg_temp.sub('@', 'trialing', '2024-01-01', '2024-01-08', '@1', jsonb_build_object('trial_end', pg_temp.ts('2024-01-08'))))),
    ('paid', pg_temp.event('@2', 'invoice.paid', '2024-01-01', pg_temp.invoice('@1', '@', 'paid', '2024-01-01', '2024-01-08', 0))),
    ('paid', pg_temp.event('@3', 'customer.subscription.updated', '2024-01-08', pg_temp.sub('@', 'active', '2024-01-08', '2024-02-08', '@2', jsonb_build_object('trial_end', pg_temp.ts('2024-01-08'))))),
    ('paid', pg_temp.event('@4', 'invoice.created', '2024-01-08', pg_temp.invoice('@2', '@', 'draft', '2024-01-08', '2024-02-08', 999))),
    ('paid', pg_temp.event('@5', 'invoice.finalized', '2024-01-08 01:00', pg_temp.invoice('@2', '@', 'open', '2024-01-08', '2024-02-08', 999))),
    ('paid', pg_temp.event('@6', 'invoice.paid', '2024-01-08 01:00', pg_temp.invoice('@2', '@', 'paid', '2024-01-08', '2024-02-08', 999))),
    ('paid', pg_temp.event('@7', 'invoice.payment_failed', '2024-02-08 01:00', pg_temp.invoice('@3', '@', 'open', '2024-02-08', '2024-03-08', 999, '{"attempted": true, "next_payment_attempt": 4070908800}'))),
    ('paid', pg_temp.event('@8', 'customer.subscription.updated', '2024-02-08 01:00', pg_temp.sub('@', 'past_due', '2024-02-08', '2024-03-08', '@3', jsonb_build_object('trial_end', pg_temp.ts('2024-01-08'))))),
    ('paid', pg_temp.event('@9', 'invoice.paid', '2024-02-09', pg_temp.invoice('@3', '@', 'paid', '2024-02-08', '2024-03-08', 999))),
    ('paid', pg_temp.event('@10', 'customer.subscription.updated', '2024-02-09', pg_temp.sub('@', 'active', '2024-02-08', '2024-03-08', '@3', jsonb_build_object('trial_end', pg_temp.ts('2024-01-08'))))),
    ('paid', pg_temp.event('@11', 'invoice.paid', '2024-03-08 01:00', pg_temp.invoice('@4', '@', 'paid', '2024-03-08', '2099-04-08', 999))),
    ('paid', pg_temp.event('@12', 'charge.refunded', '2024-02-20', pg_temp.charge('@3', '@', 999, 300))),
    ('paid', pg_temp.event('@13', 'customer.subscription.updated', '2024-03-08 01:00', pg_temp.sub('@', 'active', '2024-03-08', '2099-04-08', '@4',
        jsonb_build_object('trial_end', pg_temp.ts('2024-01-08'), 'cancel_at_period_end', true, 'canceled_at', pg_temp.ts('2024-03-01'))))),
    ('refunded', pg_temp.event('@1', 'customer.subscription.created', '2024-01-01', pg_temp.basil_sub(pg_temp.sub('@', 'active', '2024-01-01', '2099-01-08', '@1')))),
    ('refunded', pg_temp.event('@2', 'invoice.paid', '2024-01-01', pg_temp.basil_invoice(pg_temp.invoice('@1', '@', 'paid', '2024-01-01', '2099-01-08', 999)))),
    ('refunded', pg_temp.event('@3', 'invoice_payment.paid', '2024-01-01', '{"id": "inpay_@", "object": "invoice_payment", "invoice": "in_@1", "payment": {"type": "payment_intent", "payment_intent": "pi_@1"}, "status": "paid"}')),
    ('refunded', pg_temp.event('@4', 'charge.refunded', '2024-01-03', pg_temp.charge('@1', '@', 999, 99) - 'invoice')),
    ('refunded', pg_temp.event('@5', 'charge.refunded', '2024-01-04', pg_temp.charge('@1', '@', 999, 999) - 'invoice')),
    ('refunded', pg_temp.event('@6', 'customer.subscription.deleted', '2024-01-05', pg_temp.basil_sub(pg_temp.sub('@', 'canceled', '2024-01-01', '2099-01-08', '@1', jsonb_build_object('ended_at', pg_temp.ts('2024-01-05'), 'canceled_at', pg_temp.ts('2024-01-05')))))),
    ('changed', pg_temp.event('@1', 'customer.subscription.created', '2024-01-01', pg_temp.sub('@', 'incomplete', '2024-01-01', '2024-02-01', '@1'))),
    ('changed', pg_temp.event('@2', 'customer.subscription.updated', '2024-01-01', pg_temp.sub('@', 'active', '2024-01-01', '2024-02-01', '@1'))),
    ('changed', pg_temp.event('@3', 'invoice.paid', '2024-01-01', pg_temp.invoice('@1', '@', 'paid', '2024-01-01', '2024-02-01', 999))),
    ('changed', pg_temp.event('@4', 'customer.subscription.updated', '2024-01-15', pg_temp.sub('@', 'active', '2024-01-01', '2024-02-01', '@2', price => 'pro'))),
    ('changed', pg_temp.event('@5', 'invoice.paid', '2024-01-15', pg_temp.invoice('@2', '@', 'paid', '2024-01-15', '2024-02-01', 600, jsonb_build_object('lines', jsonb_build_object('object', 'list', 'data',
        jsonb_build_array(pg_temp.proration('basic', '2024-01-15', '2024-02-01', -500), pg_temp.proration('pro', '2024-01-15', '2024-02-01', 1100))))))),
    ('changed', pg_temp.event('@6', 'customer.subscription.updated', '2024-02-01', pg_temp.sub('@', 'active', '2024-02-01', '2099-03-01', '@3'))),
    ('changed', pg_temp.event('@7', 'invoice.paid', '2024-02-01 01:00', pg_temp.invoice('@3', '@', 'paid', '2024-02-01', '2099-03-01', 999))),
    ('changed', pg_temp.event('@8', 'customer.subscription.updated', '2024-02-10', pg_temp.sub('@', 'active', '2024-02-01', '2099-03-01', '@3', '{"pause_collection": {"behavior": "void", "resumes_at": 4100000000}}'))),
    ('given up', pg_temp.event('@1', 'customer.subscription.created', '2024-01-01', pg_temp.sub('@', 'active', '2024-01-01', '2024-02-01', '@1'))),
    ('given up', pg_temp.event('@2', 'invoice.paid', '2024-01-01', pg_temp.invoice('@1', '@', 'paid', '2024-01-01', '2024-02-01', 999))),
    ('given up', pg_temp.event('@3', 'customer.subscription.updated', '2024-02-01', pg_temp.sub('@', 'active', '2024-02-01', '2024-03-01', '@2'))),
    ('given up', pg_temp.event('@4', 'invoice.payment_failed', '2024-02-01 01:00', pg_temp.invoice('@2', '@', 'open', '2024-02-01', '2024-03-01', 999, '{"attempted": true, "next_payment_attempt": 4070908800}'))),
    ('given up', pg_temp.event('@5', 'customer.subscription.updated', '2024-02-01 01:00', pg_temp.sub('@', 'past_due', '2024-02-01', '2024-03-01', '@2'))),
    ('given up', pg_temp.event('@6', 'customer.subscription.updated', '2024-02-15', pg_temp.sub('@', 'unpaid', '2024-02-01', '2024-03-01', '@2'))),
    ('given up', pg_temp.event('@7', 'invoice.marked_uncollectible', '2024-02-15', pg_temp.invoice('@2', '@', 'uncollectible', '2024-02-01', '2024-03-01', 999)));
-- all events of a life in an order of their own, one in four twice
CREATE FUNCTION pg_temp.play(life text, shuffle int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE e record;
BEGIN
    FOR e IN SELECT replace(l.event::text, '@', replace(play.life, ' ', '-') || shuffle || '_')::jsonb AS event
             FROM (SELECT * FROM lives UNION ALL SELECT * FROM lives WHERE n % 4 = 0) l WHERE l.life = play.life
             ORDER BY CASE WHEN shuffle > 0 THEN md5(shuffle || ' ' || l.n || l.event::text) END, l.n LOOP
        PERFORM pg_temp.send(e.event);
    END LOOP;
END $$;
SELECT count(pg_temp.play(life, s)) FROM (SELECT DISTINCT life FROM lives) l, generate_series(0, 24) s;
-- what is left of a shuffle, with its own name made @ again
CREATE FUNCTION pg_temp.left_of(u text) RETURNS text LANGUAGE sql AS $$
    SELECT replace(concat_ws(E'\n',
        (SELECT string_agg(concat_ws(' ', t.*), E'\n' ORDER BY t.id) FROM pg_temp.transactions(u) t),
        (SELECT string_agg(concat_ws(' ', pg_temp.utc(t.paused_at), pg_temp.utc(t.resumes_at), t.offer_type, t.environment, pg_temp.utc(t.renew_status_changed_at), pg_temp.utc(t.originally_purchased_at)), E'\n' ORDER BY t.store_transaction_id) FROM adapty.transactions t WHERE profile_id = pg_temp.profile(u)),
        (SELECT string_agg(concat_ws(' ', s.store_transaction_id, s.store_product_id, pg_temp.utc(s.expires_at), s.renew_status, pg_temp.utc(s.renewal_cancelled_at), pg_temp.utc(s.refunded_at), s.cancellation_reason), E'\n') FROM adapty.subscriptions s WHERE profile_id = pg_temp.profile(u)),
        (SELECT string_agg(concat_ws(' ', g.level, g.ends, g.state), E'\n' ORDER BY g.level) FROM pg_temp.grants(u) g WHERE g.ends > '2024-03'),
        (SELECT concat_ws(' ', s.*) FROM pg_temp.state(u) s)), u, '@') $$;
SELECT life, count(DISTINCT pg_temp.left_of(replace(life, ' ', '-') || s || '_')) AS ends FROM (SELECT DISTINCT life FROM lives) l, generate_series(0, 24) s GROUP BY life ORDER BY life;
SELECT life, pg_temp.left_of(replace(life, ' ', '-') || '0_') FROM (SELECT DISTINCT life FROM lives) l ORDER BY life \gx
-- in order, with the right events
SELECT life, events FROM (SELECT DISTINCT life FROM lives) l, pg_temp.events(replace(life, ' ', '-') || '0_') ORDER BY life;
SELECT outcome, count(*) > 0 AS some FROM adapty.ingested_events WHERE event_id ~ '^evt_(paid|refunded|changed|given-up)\d+_' GROUP BY 1 ORDER BY 1;

-- ---- whose ----
-- nobody is named: kept for nobody, without an event
SELECT pg_temp.send(pg_temp.event('w1', 'invoice.paid', '2024-01-01', pg_temp.invoice('w1', 'st-who', 'paid', '2024-01-01', '2099-02-01', 999, '{"subscription_details": {"metadata": {}}}')));
SELECT profile_id, store_transaction_id FROM adapty.transactions WHERE store_transaction_id = 'in_w1';
SELECT profile_id, store_transaction_id FROM adapty.subscriptions WHERE store_transaction_id = 'in_w1';
SELECT count(*) FROM adapty.events WHERE profile_id = '00000000-0000-0000-0000-000000000000' AND source_id = 'stripe:in_w1';
-- the checkout's own event comes later and says who it was: the purchase is new to her, with its events
SELECT pg_temp.send(pg_temp.event('w2', 'checkout.session.completed', '2024-01-01', pg_temp.session('st-who', '{"mode": "subscription", "customer": "cus_st-who", "client_reference_id": "st-who", "payment_intent": null, "invoice": "in_w1", "subscription": "sub_st-who"}')));
SELECT * FROM pg_temp.transactions('st-who');
SELECT * FROM pg_temp.events('st-who');
SELECT * FROM pg_temp.state('st-who');
SELECT store, store_customer_id, profile_id = pg_temp.profile('st-who') AS is_hers, customer_user_id FROM adapty.store_customers WHERE store_customer_id = 'cus_st-who';
-- the next one need not name her
SELECT pg_temp.send(pg_temp.event('w3', 'invoice.paid', '2024-02-01', pg_temp.invoice('w3', 'st-who', 'paid', '2099-02-01', '2099-03-01', 999, '{"subscription_details": {"metadata": {}}}')));
SELECT id FROM pg_temp.transactions('st-who');
-- what has an owner stays the owner's, whoever is named
SELECT pg_temp.send(pg_temp.event('w4', 'invoice.paid', '2024-03-01', pg_temp.invoice('w4', 'st-who', 'paid', '2099-03-01', '2099-04-01', 999, '{"subscription_details": {"metadata": {"customer_user_id": "st-other"}}}')));
SELECT id FROM pg_temp.transactions('st-who');
SELECT count(*) AS made_for_nothing FROM adapty.identities WHERE customer_user_id = 'st-other';
-- a long history of nobody's is taken over as it is, and only what changes is told
SELECT pg_temp.send(pg_temp.event('w5', 'invoice.paid', '2024-01-01', pg_temp.invoice('w5', 'st-long', 'paid', '2024-01-01', '2024-02-01', 999, '{"subscription_details": null}')));
SELECT pg_temp.send(pg_temp.event('w6', 'invoice.paid', '2024-02-01', pg_temp.invoice('w6', 'st-long', 'paid', '2024-02-01', '2024-03-01', 999, '{"subscription_details": null}')));
SELECT pg_temp.send(pg_temp.event('w7', 'invoice.paid', '2024-03-01', pg_temp.invoice('w7', 'st-long', 'paid', '2024-03-01', '2099-04-01', 999, '{"subscription_details": null}')));
SELECT adapty.set_store_customer('st-long', 'stripe', 'cus_st-long');
SELECT adapty.create_profile('st-long') IS NOT NULL AS ok;
SELECT adapty.set_store_customer('st-long', 'stripe', 'cus_st-long');
SELECT id, price FROM pg_temp.transactions('st-long');
SELECT * FROM pg_temp.state('st-long');
SELECT event_type FROM adapty.events WHERE profile_id = pg_temp.profile('st-long') ORDER BY recorded_at;
SELECT adapty.set_store_customer('st-long', 'stripe', 'cus_st-long');
SELECT adapty.set_store_customer(pg_temp.profile('st-long'), 'stripe', 'cus_nobody');
SELECT adapty.set_store_customer('st-long', 'a store', 'cus_1');
SELECT adapty.set_store_customer('st-long', 'stripe', NULL);
-- a name that nobody has, where profiles are not to be made: remembered until there is such a profile
SELECT pg_temp.send(pg_temp.event('w8', 'invoice.paid', '2024-01-01', pg_temp.invoice('w8', 'st-soon', 'paid', '2024-01-01', '2099-02-01', 999)), false);
SELECT profile_id, customer_user_id FROM adapty.store_customers WHERE store_customer_id = 'cus_st-soon';
SELECT adapty.create_profile('st-soon') IS NOT NULL AS ok;
SELECT pg_temp.send(pg_temp.event('w9', 'customer.subscription.updated', '2024-01-02', pg_temp.sub('st-soon', 'active', '2024-01-01', '2099-02-01', 'w8', '{"metadata": {}}')), false);
SELECT * FROM pg_temp.state('st-soon');
SELECT * FROM pg_temp.events('st-soon');
-- set_transaction() claims what is nobody's, too; events go on with it
SELECT pg_temp.send(pg_temp.event('w10', 'invoice.paid', '2024-01-01', pg_temp.invoice('w10', 'st-claim', 'paid', '2024-01-01', '2099-02-01', 999, '{"subscription_details": null}')));
SELECT adapty.set_transaction('st-claim', '{"purchase_type": "subscription", "store": "stripe", "store_product_id": "prod_basic", "store_transaction_id": "in_w10", "store_original_transaction_id": "sub_st-claim",
    "price": {"country": "IE", "currency": "USD", "value": 9.99}, "purchased_at": "2024-01-01T00:00:00Z", "originally_purchased_at": "2024-01-01T00:00:00Z", "expires_at": "2099-02-01T00:00:00Z", "renew_status": true}', create_missing => true) IS NOT NULL AS ok;
SELECT pg_temp.send(pg_temp.event('w11', 'charge.refunded', '2024-01-05', pg_temp.charge('w10', 'st-claim', 999, 999)));
SELECT * FROM pg_temp.state('st-claim');
-- and so it is known who the customer is
SELECT pg_temp.send(pg_temp.event('w14', 'invoice.paid', '2024-01-01', pg_temp.invoice('w14', 'st-claim', 'paid', '2024-01-01', '2099-02-01', 999, '{"subscription": "sub_another", "subscription_details": null}')));
SELECT id FROM pg_temp.transactions('st-claim');
-- two users of one customer: each subscription names its own
SELECT pg_temp.send(pg_temp.event('w12', 'invoice.paid', '2024-01-01', pg_temp.invoice('w12', 'st-mother', 'paid', '2024-01-01', '2099-02-01', 999)));
SELECT pg_temp.send(pg_temp.event('w13', 'invoice.paid', '2024-01-01', pg_temp.invoice('w13', 'st-mother', 'paid', '2024-01-01', '2099-02-01', 999, '{"subscription": "sub_child", "subscription_details": {"metadata": {"customer_user_id": "st-child"}}}')));
SELECT u, id FROM (VALUES ('st-mother'), ('st-child')) v (u), pg_temp.transactions(u);
-- what came before its product was mapped gives its access once it is
SET client_min_messages = error;
SELECT pg_temp.send(pg_temp.event('w20', 'invoice.paid', '2024-01-01', pg_temp.invoice('w20', 'st-unmapped', 'paid', '2024-01-01', '2099-02-01', 999, price => 'late')));
SELECT pg_temp.send(pg_temp.event('w21', 'checkout.session.completed', '2024-01-01', pg_temp.session('st-unmapped', '{"client_reference_id": "st-unmapped", "metadata": {"store_product_id": "prod_late"}}')));
RESET client_min_messages;
SELECT premium FROM pg_temp.state('st-unmapped');
SELECT adapty.apply_ingested('stripe');
SELECT adapty.define_product('stripe late', 'premium', 'monthly', '[{"store": "stripe", "store_product_id": "prod_late"}]') IS NOT NULL AS ok;
SELECT adapty.apply_ingested('paddle');
SELECT adapty.apply_ingested();
SELECT premium FROM pg_temp.state('st-unmapped');
SELECT source_id, ends FROM pg_temp.grants('st-unmapped');
SELECT * FROM pg_temp.events('st-unmapped');
SELECT adapty.apply_ingested();
SELECT adapty.apply_ingested('a store');
-- a deleted user's customer is forgotten
SELECT adapty.delete_profile('st-who') IS NOT NULL AS deleted;
SELECT count(*) FROM adapty.store_customers WHERE store_customer_id = 'cus_st-who';
SELECT adapty.set_ingest_secret('stripe', NULL, keep_old_for => '0');
