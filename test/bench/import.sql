-- The whole of an import, from the file to transactions, access and states: one transaction, timed as one.
\set ON_ERROR_STOP on
SELECT adapty.begin_import() AS import_id \gset
SELECT clock_timestamp() AS started \gset
COPY adapty.import_transactions (user_id, purchase_type, store, store_product_id, store_transaction_id, store_original_transaction_id, purchased_at, originally_purchased_at, expires_at, renew_status, price_country, price_currency, price_value) FROM :'file' WITH (FORMAT csv, HEADER match);
SELECT 1 / (loaded = :rows)::integer AS is_loaded FROM adapty.load_import(:import_id) \gset
SELECT 'Time: ' || extract(epoch FROM clock_timestamp() - :'started'::timestamptz) * 1000 || ' ms';
