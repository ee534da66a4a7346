-- What an event of a store costs beyond the transaction that it reports.
--
--   psql -X -q -d a_new_database -f test/bench/ingest.sql
--
-- Renewals of 100 users, eight a round, as reports to set_transaction() and as signed invoices to
-- ingest_stripe_event(), in turns; prints the ratio of the times, the lower the better.
CREATE EXTENSION adapty;
SET client_min_messages = error;
\o /dev/null
\ir ../helpers/ingest.sql
SELECT adapty.set_ingest_secret('stripe', 'whsec_live');
CREATE FUNCTION pg_temp.day(n int) RETURNS text LANGUAGE sql AS $$ SELECT to_char(date '2024-01-01' + 30 * n, 'YYYY-MM-DD') $$;
CREATE TEMP TABLE renewals AS
SELECT format('t%s_%s', u, n) AS id, u, n, pg_temp.day(n) AS starts, CASE WHEN n % 8 = 0 THEN pg_temp.day(n + 30000) ELSE pg_temp.day(n + 1) END AS ends
FROM generate_series(1, 100) u, generate_series(1, 40) n;
CREATE TEMP TABLE reports AS
SELECT u, n, jsonb_build_object('purchase_type', 'subscription', 'store', 'stripe', 'store_product_id', 'prod_basic', 'store_transaction_id', id, 'store_original_transaction_id', 'o' || u,
    'price', '{"country": "IE", "currency": "USD", "value": 9.99}'::jsonb, 'purchased_at', starts || 'T00:00:00Z', 'originally_purchased_at', '2024-01-31T00:00:00Z', 'expires_at', ends || 'T00:00:00Z', 'renew_status', true) AS report
FROM renewals;
CREATE TEMP TABLE payloads AS
SELECT u, n, body, pg_temp.sign(body) AS signature
FROM renewals, pg_temp.body(pg_temp.event(id, 'invoice.paid', starts, pg_temp.invoice(id, 'bench' || u, 'paid', starts, ends, 999))) body;
SELECT count(adapty.create_profile('bench' || u)), count(adapty.create_profile('direct' || u)) FROM generate_series(1, 100) u;
SET adapty.ingest_tolerance = 0;
CREATE TEMP TABLE times (part text, round int, ms float8);
CREATE FUNCTION pg_temp.measure(part text, round int, query text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE began timestamptz := clock_timestamp();
BEGIN
    EXECUTE query USING round;
    INSERT INTO times VALUES (part, round, 1000 * extract(epoch FROM clock_timestamp() - began));
END $$;
-- each a transaction of its own
SELECT format('SELECT pg_temp.measure(%L, %s, %L)', part, round, query) FROM generate_series(0, 4) round, (VALUES
    (1, 'set_transaction', $$SELECT count(adapty.set_transaction('direct' || u, report)) FROM (SELECT * FROM reports WHERE (n - 1) / 8 = $1 ORDER BY n, u) r$$),
    (2, 'ingest', $$SELECT count(adapty.ingest_stripe_event(body, signature)) FROM (SELECT * FROM payloads WHERE (n - 1) / 8 = $1 ORDER BY n, u) p$$),
    (3, 'duplicate', $$SELECT count(adapty.ingest_stripe_event(body, signature)) FROM (SELECT * FROM payloads WHERE (n - 1) / 8 = $1 ORDER BY n, u) p$$)) q (n, part, query) ORDER BY round, n \gexec
\o
SELECT part, round((percentile_cont(0.5) WITHIN GROUP (ORDER BY ms / 800))::numeric, 3) AS ms_each,
       round((percentile_cont(0.5) WITHIN GROUP (ORDER BY ms / direct))::numeric, 2) AS times_set_transaction
FROM times JOIN (SELECT round, ms AS direct FROM times WHERE part = 'set_transaction') d USING (round) GROUP BY part ORDER BY 3;
