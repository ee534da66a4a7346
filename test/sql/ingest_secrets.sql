-- ingest_*(): what proves an event, what is refused, what is seen twice, and whatever else may come in.
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
SELECT adapty.set_ingest_secret('stripe', NULL, keep_old_for => '0'), adapty.set_ingest_secret('stripe', NULL, 'Sandbox', '0');
SELECT pg_temp.body(pg_temp.event('sec1', 'customer.updated', '2024-01-01', '{"id": "cus_sec", "object": "customer", "metadata": {}}')) AS body \gset
-- outcome, or SQLSTATE and detail
CREATE FUNCTION pg_temp.try(payload bytea, header text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text;
BEGIN
    RETURN adapty.ingest_stripe_event(payload, header)->>'outcome';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(' ', SQLSTATE, detail);
END $$;

-- ---- signatures ----
SELECT pg_temp.try(:'body', pg_temp.sign(:'body'));
SELECT adapty.set_ingest_secret('stripe', 'whsec_live');
SELECT pg_temp.try(:'body', NULL) AS no_header, pg_temp.try(:'body', '') AS empty, pg_temp.try(:'body', 'v1=abc') AS no_time;
SELECT pg_temp.try(:'body', pg_temp.sign(:'body', 'whsec_wrong')) AS wrong;
SELECT pg_temp.try(:'body' || convert_to(' ', 'UTF8'), pg_temp.sign(:'body')) AS changed_body;
SELECT pg_temp.try(:'body', pg_temp.sign(:'body', age => 400)) AS too_old, pg_temp.try(:'body', pg_temp.sign(:'body', age => -400)) AS from_the_future;
SELECT pg_temp.try(:'body', regexp_replace(pg_temp.sign(:'body', age => 400), 't=\d+', 't=' || extract(epoch FROM now())::bigint)) AS made_younger;
SELECT pg_temp.try(:'body', replace(pg_temp.sign(:'body'), 'v1=', 'v0=')) AS other_scheme;
SELECT pg_temp.try(:'body', left(pg_temp.sign(:'body'), -1)) AS too_short;
SELECT pg_temp.try(:'body', repeat(pg_temp.sign(:'body') || ',', 200)) AS too_long;
-- several signatures of which one is right; blanks; capitals; as text
SELECT pg_temp.try(:'body', regexp_replace(pg_temp.sign(:'body'), ',v1=(.*)', ', v1=' || repeat('0', 64) || ',v0=abc , v1=\1')) AS several;
SELECT pg_temp.try(:'body', pg_temp.sign(:'body')) AS again;
SELECT adapty.ingest_stripe_event(convert_from(:'body', 'UTF8'), pg_temp.sign(:'body'))->>'outcome' AS as_text;
SELECT adapty.ingest_stripe_event(convert_from(:'body', 'UTF8') || ' ', pg_temp.sign(:'body'));
-- a signature of any age where that is wanted
SET adapty.ingest_tolerance = 0;
SELECT pg_temp.try(:'body', pg_temp.sign(:'body', age => 400000)) AS replayed;
RESET adapty.ingest_tolerance;

-- ---- secrets are replaced without a gap ----
SELECT adapty.set_ingest_secret('stripe', 'whsec_new');
SELECT pg_temp.try(:'body', pg_temp.sign(:'body', 'whsec_live')) AS old_one, pg_temp.try(:'body', pg_temp.sign(:'body', 'whsec_new')) AS new_one;
SELECT environment, secret, valid_until = 'infinity' AS stays FROM adapty.ingest_secrets WHERE provider = 'stripe' ORDER BY 2;
SELECT adapty.set_ingest_secret('stripe', 'whsec_new', keep_old_for => '0');
SELECT pg_temp.try(:'body', pg_temp.sign(:'body', 'whsec_live')) AS old_one, pg_temp.try(:'body', pg_temp.sign(:'body', 'whsec_new')) AS new_one;
SELECT environment, secret, valid_until = 'infinity' AS stays FROM adapty.ingest_secrets WHERE provider = 'stripe' ORDER BY 2;
-- an old one that is set again is the new one
SELECT adapty.set_ingest_secret('stripe', 'whsec_live', keep_old_for => '0');
-- a secret is of an environment: test events do not give access for real money, nor the other way round
SELECT adapty.set_ingest_secret('stripe', 'whsec_test', 'Sandbox');
SELECT pg_temp.try(b, pg_temp.sign(b, 'whsec_live')) AS test_event_live_secret FROM pg_temp.body(pg_temp.event('sec2', 'customer.updated', '2024-01-01', '{}') || '{"livemode": false}') b;
SELECT pg_temp.try(b, pg_temp.sign(b, 'whsec_test')) AS live_event_test_secret FROM pg_temp.body(pg_temp.event('sec2', 'customer.updated', '2024-01-01', '{}')) b;
-- errors never name a secret
SELECT adapty.set_ingest_secret('strip', 'whsec_live');
SELECT adapty.set_ingest_secret('stripe', '');
SELECT adapty.set_ingest_secret('stripe', repeat('x', 501));
SELECT adapty.set_ingest_secret('stripe', 'whsec_live', NULL);
SELECT adapty.set_ingest_secret(NULL, 'whsec_live');

-- ---- who may what ----
SET ROLE adapty_server;
SELECT pg_temp.try(:'body', pg_temp.sign(:'body')) AS by_server;
SELECT * FROM adapty.ingest_secrets;
SELECT adapty.set_ingest_secret('stripe', 'mine');
SELECT outcome, detail FROM adapty.ingested_events WHERE event_id = 'evt_sec1';
DELETE FROM adapty.ingested_events;
SET ROLE adapty_sdk;
SELECT adapty.ingest_stripe_event(''::bytea, '');
SELECT adapty.set_store_customer('sec', 'stripe', 'cus_sec');
SELECT * FROM adapty.ingested_events;
SET ROLE adapty_analyst;
SELECT adapty.ingest_paddle_event(''::text, '');
SELECT * FROM adapty.ingest_secrets;
SELECT * FROM adapty.store_customers;
RESET ROLE;
SELECT grantee::regrole, privilege_type FROM pg_class, aclexplode(relacl) WHERE oid = 'adapty.ingest_secrets'::regclass AND grantee <> relowner;

-- ---- once ----
SELECT pg_temp.send(pg_temp.event('sec3', 'invoice.paid', '2024-01-01', pg_temp.invoice('sec', 'sec', 'paid', '2024-01-01', '2099-02-01', 999)));
SELECT pg_temp.send(pg_temp.event('sec3', 'invoice.paid', '2024-01-01', pg_temp.invoice('sec', 'sec', 'paid', '2024-01-01', '2099-02-01', 999)));
-- the same id with another content is the same event
SELECT pg_temp.send(pg_temp.event('sec3', 'invoice.voided', '2024-01-02', pg_temp.invoice('sec', 'sec', 'void', '2024-01-01', '2099-02-01', 999)));
-- an older event after a newer one
SELECT pg_temp.send(pg_temp.event('sec4', 'invoice.payment_failed', '2023-12-31', pg_temp.invoice('sec', 'sec', 'open', '2024-01-01', '2099-02-01', 999)));
SELECT * FROM pg_temp.state('sec');
-- what the sandbox's secret proves says nothing about real money
SELECT pg_temp.send(pg_temp.event('sec8', 'charge.refunded', '2024-01-05', pg_temp.charge('sec', 'sec', 999, 999)) || '{"livemode": false}');
SELECT pg_temp.send(pg_temp.event('sec9', 'customer.subscription.deleted', '2024-01-05', pg_temp.sub('sec', 'canceled', '2024-01-01', '2099-02-01', 'sec')) || '{"livemode": false}');
SELECT pg_temp.send(pg_temp.event('sec10', 'invoice.voided', '2024-01-05', pg_temp.invoice('sec', 'sec', 'void', '2024-01-01', '2099-02-01', 999)) || '{"livemode": false}');
SELECT * FROM pg_temp.state('sec');
-- what was rolled back was not seen
BEGIN;
SELECT pg_temp.send(pg_temp.event('sec5', 'charge.refunded', '2024-01-05', pg_temp.charge('sec', 'sec', 999, 999)));
SELECT * FROM pg_temp.state('sec');
ROLLBACK;
SELECT * FROM pg_temp.state('sec');
SELECT count(*) FROM adapty.ingested_events WHERE event_id = 'evt_sec5';

-- ---- what is no event ----
CREATE FUNCTION pg_temp.raw(payload bytea) RETURNS text LANGUAGE sql AS $$ SELECT pg_temp.try(payload, pg_temp.sign(payload)) $$;
SELECT pg_temp.raw('') AS empty, pg_temp.raw('{') AS broken, pg_temp.raw('\xff') AS binary, pg_temp.raw('\x7b7d00') AS zero;
SELECT pg_temp.raw('null'), pg_temp.raw('1'), pg_temp.raw('"x"'), pg_temp.raw('[]'), pg_temp.raw('{}');
SELECT pg_temp.raw('{"id": "evt_x", "type": "invoice.paid", "created": 1704067200, "livemode": true}') AS without_object;
SELECT pg_temp.raw('{"id": "evt_x", "type": "invoice.paid", "created": "2024-01-01T00:00:00Z", "data": {"object": {}}}') AS thin;
SELECT pg_temp.raw(convert_to(repeat('[', 100000), 'UTF8')) AS deep;
-- the error shows nothing of it
SELECT adapty.ingest_stripe_event(b, pg_temp.sign(b)) FROM (VALUES ('{"email": "someone@example.com",}'::bytea)) v (b);
-- what jsonb cannot hold in a name keeps no event out
SELECT pg_temp.raw(convert_to(replace(pg_temp.event('sec6', 'invoice.paid', '2024-01-01', pg_temp.invoice('sec6', 'sec6', 'paid', '2024-01-01', '2099-02-01', 999, '{"customer_name": "Zero @ \\@"}'))::text, '@', '\u0000'), 'UTF8')) AS zero_in_a_name;
SELECT * FROM pg_temp.state('sec6');

-- ---- authentic, and nothing that can be applied: recorded, and tried again when it comes again ----
SELECT pg_temp.send(pg_temp.event('sec7', 'invoice.paid', '2024-01-01', pg_temp.invoice('sec7', 'sec7', 'paid', '2024-01-01', '2099-02-01', 999, '{"amount_paid": 1e30}')));
SELECT outcome, detail FROM adapty.ingested_events WHERE event_id = 'evt_sec7';
SELECT * FROM pg_temp.transactions('sec7');
SELECT count(*) FROM adapty.ingested_payments WHERE store_payment_id = 'in_sec7';
SELECT pg_temp.send(pg_temp.event('sec7', 'invoice.paid', '2024-01-01', pg_temp.invoice('sec7', 'sec7', 'paid', '2024-01-01', '2099-02-01', 999)));
SELECT outcome, detail FROM adapty.ingested_events WHERE event_id = 'evt_sec7';

-- ---- any JSON: each value of the samples replaced by others of every type ----
SET client_min_messages = error;
SELECT tried > 500 AS many, unexpected FROM pg_temp.fuzz(pg_temp.event('z', 'customer.subscription.updated', '2024-01-01', pg_temp.sub('fz', 'active', '2024-01-01', '2024-02-01', 'z')), 'data', 'id', 'pg_temp.send', 'fs');
SELECT tried > 500 AS many, unexpected FROM pg_temp.fuzz(pg_temp.event('z', 'customer.subscription.updated', '2024-01-01', pg_temp.basil_sub(pg_temp.sub('fz2', 'active', '2024-01-01', '2024-02-01', 'z'))), 'data', 'id', 'pg_temp.send', 'fb');
SELECT tried > 500 AS many, unexpected FROM pg_temp.fuzz(pg_temp.event('z', 'invoice.paid', '2024-01-01', pg_temp.invoice('fz', 'fz3', 'paid', '2024-01-01', '2024-02-01', 999)), 'data', 'id', 'pg_temp.send', 'fi');
SELECT tried > 500 AS many, unexpected FROM pg_temp.fuzz(pg_temp.event('z', 'invoice.paid', '2024-01-01', pg_temp.basil_invoice(pg_temp.invoice('fz4', 'fz4', 'paid', '2024-01-01', '2024-02-01', 999))), 'data', 'id', 'pg_temp.send', 'fj');
SELECT tried > 300 AS many, unexpected FROM pg_temp.fuzz(pg_temp.event('z', 'charge.refunded', '2024-01-01', pg_temp.charge('fz', 'fz3', 999, 999)), 'data', 'id', 'pg_temp.send', 'fc');
SELECT tried > 300 AS many, unexpected FROM pg_temp.fuzz(pg_temp.event('z', 'checkout.session.completed', '2024-01-01', pg_temp.session('fz5', '{"metadata": {"store_product_id": "prod_life"}}')), 'data', 'id', 'pg_temp.send', 'fk');
RESET client_min_messages;
-- nothing of it stays in the way of others
SELECT count(*) FROM adapty.ingested_events WHERE outcome = 'error' AND detail IS NULL;
SELECT adapty.set_ingest_secret('stripe', NULL, keep_old_for => '0'), adapty.set_ingest_secret('stripe', NULL, 'Sandbox', '0');

-- ---- what was seen is forgotten in time ----
UPDATE adapty.ingested_events SET received_at = now() - interval '91 days' WHERE event_id = 'evt_sec3';
CREATE FUNCTION pg_temp.maintain() RETURNS void LANGUAGE plpgsql AS $$ BEGIN WHILE adapty.maintain() LOOP END LOOP; END $$;
SELECT pg_temp.maintain();
SELECT event_id FROM adapty.ingested_events WHERE event_id IN ('evt_sec3', 'evt_sec4') ORDER BY 1;
-- and changes nothing if it comes once more
SELECT adapty.set_ingest_secret('stripe', 'whsec_live');
SELECT pg_temp.send(pg_temp.event('sec3', 'invoice.paid', '2024-01-01', pg_temp.invoice('sec', 'sec', 'paid', '2024-01-01', '2099-02-01', 999)));
SELECT adapty.set_ingest_secret('stripe', NULL, keep_old_for => '0');
