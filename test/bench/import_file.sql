-- :rows transactions of :rows / 8 users, a monthly subscription each, as the file of an import in the order of :order.
CREATE EXTENSION adapty;
SELECT count(adapty.define_product('Product ' || n, 'premium', 'monthly', jsonb_build_array(jsonb_build_object('store', 'app_store', 'store_product_id', 'p' || n)))) FROM generate_series(0, 4) n;
CREATE UNLOGGED TABLE file AS
SELECT 'user-' || u AS user_id, 'subscription' AS purchase_type, 'app_store' AS store, 'p' || u % 5 AS store_product_id,
       (200000000000 + u::bigint * 8 + n)::text AS store_transaction_id, (200000000000 + u::bigint * 8)::text AS store_original_transaction_id,
       to_char(('2026-01-01Z'::timestamptz + n * interval '720 hours' + u * interval '7 seconds') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS purchased_at,
       to_char(('2026-01-01Z'::timestamptz + u * interval '7 seconds') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS originally_purchased_at,
       to_char(('2026-01-31Z'::timestamptz + n * interval '720 hours' + u * interval '7 seconds') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS expires_at,
       'true' AS renew_status, 'US' AS price_country, 'USD' AS price_currency, '9.99' AS price_value
    FROM generate_series(1, :rows / 8) u, generate_series(0, 7) n;
COPY (SELECT * FROM file ORDER BY :order) TO :'file' WITH (FORMAT csv, HEADER);
