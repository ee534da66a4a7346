-- Revenue: dollars, the store's part, taxes, fixed when a transaction is recorded.
\set VERBOSITY default
\set SHOW_CONTEXT never
-- Moments mean the same whatever the session thinks.
SET TimeZone TO 'Pacific/Chatham';
SET DateStyle TO 'SQL, DMY';
SET IntervalStyle TO 'sql_standard';

SELECT adapty.define_product('rev monthly', 'premium', 'monthly', '[
    {"store": "app_store", "store_product_id": "rev"}, {"store": "play_store", "store_product_id": "rev"},
    {"store": "stripe", "store_product_id": "rev"}, {"store": "rev-shop", "store_product_id": "rev"}]') IS NOT NULL AS ok;
CREATE FUNCTION pg_temp.report(u text, id text, at timestamptz, price numeric, currency text, country text, changes jsonb DEFAULT '{}')
    RETURNS numeric LANGUAGE sql AS $$
    SELECT (adapty.set_transaction(u, jsonb_build_object(
        'purchase_type', 'subscription', 'store', 'app_store', 'store_product_id', 'rev',
        'store_transaction_id', id, 'store_original_transaction_id', id,
        'price', jsonb_build_object('country', country, 'currency', currency, 'value', price),
        'purchased_at', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.USZ'),
        'originally_purchased_at', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.USZ'),
        'expires_at', to_char(at AT TIME ZONE 'UTC' + interval '1 month', 'YYYY-MM-DD"T"HH24:MI:SS.USZ'),
        'renew_status', true) || changes, create_missing => true) ->> 'total_revenue_usd')::numeric $$;
CREATE VIEW pg_temp.amounts AS SELECT store_transaction_id AS id, commission_rate AS commission, tax_rate AS tax,
    price_local, proceeds_local, tax_amount_local AS tax_local, net_revenue_local AS net_local,
    price_usd, proceeds_usd, tax_amount_usd AS tax_usd, net_revenue_usd AS net_usd FROM adapty.transaction_revenue;

-- ---- the built-in commissions of stores ----
SELECT store, kind, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, later, (adapty.revenue_rates(store, kind::adapty.purchase_type, 'US', 'USD', at, later)).*
FROM (VALUES ('app_store', 'subscription', '2024-01-01 00:00+00'::timestamptz, false), ('app_store', 'subscription', '2024-01-01 00:00+00', true),
    ('app_store', 'one_time_purchase', '2024-01-01 00:00+00', false), ('play_store', 'subscription', '2024-01-01 00:00+00', false),
    ('play_store', 'subscription', '2021-12-31 23:59:59+00', false), ('play_store', 'subscription', '2021-12-31 23:59:59+00', true),
    ('play_store', 'one_time_purchase', '2024-01-01 00:00+00', false), ('stripe', 'subscription', '2024-01-01 00:00+00', false),
    ('rev-shop', 'one_time_purchase', '2024-01-01 00:00+00', false)) AS x (store, kind, at, later);
SELECT pg_temp.report('rev-1', 'rev-1a', '2024-01-15 10:30+00', 9.99, 'USD', 'US');
SELECT * FROM pg_temp.amounts WHERE id = 'rev-1a';

-- ---- the rate of the moment: the latest that is not later ----
SELECT adapty.set_currency_rate('CHF', 0.92, '2024-01-01 00:00+00');
SELECT adapty.set_currency_rate('CHF', 0.8, '2024-02-01 00:00+00');
SELECT adapty.set_tax_rate('DE', 0.19);
SELECT pg_temp.report('rev-2', 'rev-2a', '2024-01-15 10:30+00', 10, 'CHF', 'DE', '{"store": "play_store"}');
SELECT pg_temp.report('rev-2', 'rev-2b', '2024-01-31 23:59:59.999999+00', 10, 'CHF', 'DE', '{"store": "play_store"}');
SELECT pg_temp.report('rev-2', 'rev-2c', '2024-02-01 00:00+00', 10, 'CHF', 'DE', '{"store": "play_store"}');
-- another country has no tax; a store's own rate comes before the country's
SELECT adapty.set_tax_rate('DE', 0.07, 'rev-shop');
SELECT pg_temp.report('rev-2', 'rev-2d', '2024-02-01 00:00+00', 10, 'CHF', 'AT', '{"store": "stripe"}');
SELECT pg_temp.report('rev-2', 'rev-2e', '2024-02-01 00:00+00', 10, 'CHF', 'DE', '{"store": "rev-shop"}');
SELECT * FROM pg_temp.amounts WHERE id LIKE 'rev-2_' ORDER BY id;
SELECT total_revenue_usd = (SELECT sum(price_usd) FROM pg_temp.amounts WHERE id LIKE 'rev-2_') AS adds_up
    FROM adapty.profiles JOIN adapty.identities USING (profile_id) WHERE customer_user_id = 'rev-2';

-- ---- settings hold for what is recorded from then on ----
SELECT adapty.set_store_commission('app_store', 0.15, valid_from => '2024-03-01 00:00+00');
SELECT adapty.set_store_commission('app_store', 0.25, 0.12, country => 'CN');
SELECT adapty.set_store_commission('app_store', 0.2, purchase_type => 'one_time_purchase');
SELECT adapty.set_currency_rate('CHF', 1.5, '2024-01-01 00:00+00');
SELECT adapty.set_tax_rate('DE', 0.5);
SELECT adapty.apply_currency_rates();
SELECT * FROM pg_temp.amounts WHERE id IN ('rev-1a', 'rev-2a') ORDER BY id;
-- also of those that change for another reason, unless the price itself is corrected
SELECT pg_temp.report('rev-2', 'rev-2a', '2024-01-15 10:30+00', 10, 'CHF', 'DE', '{"store": "play_store", "renew_status": false}');
SELECT id, price_usd, tax FROM pg_temp.amounts WHERE id = 'rev-2a';
SELECT pg_temp.report('rev-2', 'rev-2a', '2024-01-15 10:30+00', 12, 'CHF', 'DE', '{"store": "play_store", "renew_status": false}');
SELECT id, price_usd, commission, tax FROM pg_temp.amounts WHERE id = 'rev-2a';
SELECT country, kind, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, later, (adapty.revenue_rates('app_store', kind::adapty.purchase_type, country, 'USD', at, later)).*
FROM (VALUES ('US', 'subscription', '2024-02-29 23:59:59+00'::timestamptz, false), ('US', 'subscription', '2024-03-01 00:00+00', false),
    ('US', 'subscription', '2024-03-01 00:00+00', true), ('CN', 'subscription', '2024-03-01 00:00+00', false),
    ('CN', 'subscription', '2024-03-01 00:00+00', true), ('US', 'one_time_purchase', '2024-03-01 00:00+00', false),
    ('CN', 'one_time_purchase', '2024-03-01 00:00+00', false)) AS x (country, kind, at, later);
-- null takes a row away
SELECT adapty.set_store_commission('app_store', NULL, valid_from => '2024-03-01 00:00+00');
SELECT adapty.set_store_commission('app_store', NULL, purchase_type => 'one_time_purchase');
SELECT adapty.set_tax_rate('DE', NULL, 'rev-shop');
SELECT store, commission_rate, country FROM adapty.store_commissions ORDER BY 1;
SELECT country, store, tax_rate FROM adapty.tax_rates ORDER BY 1, 2;

-- ---- an unknown rate is null and a warning, and is filled in later ----
SELECT pg_temp.report('rev-3', 'rev-3a', '2024-01-15 10:30+00', 1000, 'JPY', 'JP');
SELECT pg_temp.report('rev-3', 'rev-3b', '2023-12-31 10:30+00', 10, 'CHF', 'DE');
SELECT pg_temp.report('rev-3', 'rev-3c', '2024-01-15 10:30+00', 0, 'JPY', 'JP');
SELECT pg_temp.report('rev-3', 'rev-3d', '2024-01-15 10:30+00', 1000, 'JPY', 'JP', '{"refunded_at": "2024-01-16T00:00:00Z"}');
SELECT pg_temp.report('rev-3', 'rev-3e', '2024-01-15 10:30+00', 1000, 'JPY', 'JP', '{"environment": "Sandbox"}');
SELECT * FROM pg_temp.amounts WHERE id LIKE 'rev-3_' ORDER BY id;
SELECT adapty.apply_currency_rates();
SELECT adapty.set_currency_rate('JPY', 125, '2024-01-16 00:00+00');
SELECT adapty.apply_currency_rates();
SELECT adapty.set_currency_rate('JPY', 125, '2024-01-15 00:00+00');
SELECT adapty.apply_currency_rates();
SELECT id, price_usd FROM pg_temp.amounts WHERE id LIKE 'rev-3_' ORDER BY id;
SELECT total_revenue_usd FROM adapty.profiles JOIN adapty.identities USING (profile_id) WHERE customer_user_id = 'rev-3';
SELECT adapty.apply_currency_rates();
-- what was loaded without amounts gets them
UPDATE adapty.transactions SET price_usd = NULL, commission_rate = NULL, tax_rate = NULL WHERE store_transaction_id IN ('rev-1a', 'rev-3d');
SELECT adapty.apply_currency_rates();
SELECT id, price_usd, commission, tax FROM pg_temp.amounts WHERE id IN ('rev-1a', 'rev-3d') ORDER BY id;

-- ---- after a year without interruption ----
CREATE FUNCTION pg_temp.month(u text, n integer, changes jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
    SELECT pg_temp.report(u, u || '-' || n, (timestamp '2022-01-31 12:00' + n * interval '1 month') AT TIME ZONE 'UTC', 5, 'USD', 'US',
        jsonb_build_object('store_original_transaction_id', u || '-0', 'originally_purchased_at', '2022-01-31T12:00:00Z') || changes) $$;
CREATE VIEW pg_temp.years AS SELECT store_original_transaction_id AS chain, string_agg(
    CASE WHEN is_after_first_year THEN 'y' ELSE '-' END || commission_rate, ' ' ORDER BY purchased_at) AS payments
    FROM adapty.transactions WHERE store_original_transaction_id LIKE 'rev-y%' GROUP BY 1 ORDER BY 1;
SELECT count(pg_temp.month('rev-y1', n)) FROM generate_series(0, 13) n;
-- a trial is no payment: the year begins with the first one
SELECT count(pg_temp.month('rev-y2', n, CASE n WHEN 0 THEN '{"offer": {"category": "introductory", "type": "free_trial"}}' ELSE '{}' END::jsonb))
    FROM generate_series(0, 14) n;
-- a gap of more than 60 days begins it anew
SELECT count(pg_temp.month('rev-y3', n)) FROM generate_series(0, 14) n WHERE n NOT BETWEEN 5 AND 7;
SELECT count(pg_temp.month('rev-y4', n)) FROM generate_series(0, 14) n WHERE n <> 6;
-- of what came before the first known transaction only its beginning is known
SELECT count(pg_temp.month('rev-y5', n)) FROM generate_series(12, 13) n;
SELECT * FROM pg_temp.years;
-- whatever the order
SELECT count(pg_temp.month('rev-y6', n)) FROM (SELECT n FROM generate_series(0, 14) n WHERE n NOT BETWEEN 5 AND 7 ORDER BY n DESC) x;
SELECT count(pg_temp.month('rev-y7', n)) FROM unnest('{13,0,12,3,4,8,14,9,1,11,2,10}'::int[]) n;
SELECT count(DISTINCT payments), min(payments) FROM pg_temp.years WHERE chain ~ 'rev-y[367]';
-- the gap is closed by what comes late
SELECT count(pg_temp.month('rev-y7', n)) FROM generate_series(5, 7) n;
SELECT payments FROM pg_temp.years WHERE chain = 'rev-y7-0';
-- loaded without amounts
UPDATE adapty.transactions SET price_usd = NULL, commission_rate = NULL, tax_rate = NULL, is_after_first_year = false
    WHERE store_original_transaction_id LIKE 'rev-y%';
SELECT adapty.apply_currency_rates();
SELECT * FROM pg_temp.years;

-- ---- refused ----
SELECT adapty.set_currency_rate('USD', 1);
SELECT adapty.set_currency_rate('eur', 1);
SELECT adapty.set_currency_rate(NULL, 1);
SELECT adapty.set_currency_rate('CHF', 0);
SELECT adapty.set_currency_rate('CHF', 'NaN');
SELECT adapty.set_currency_rate('CHF', 'Infinity');
SELECT adapty.set_currency_rate('CHF', 1, 'infinity');
SELECT adapty.set_currency_rate('CHF', 1, NULL);
SELECT adapty.set_store_commission('app store', 0.3);
SELECT adapty.set_store_commission('app_store', 30);
SELECT adapty.set_store_commission('app_store', 0.3, -0.1);
SELECT adapty.set_store_commission('app_store', NULL, 0.1);
SELECT adapty.set_store_commission('app_store', 0.3, country => 'Germany');
SELECT adapty.set_tax_rate('DE', 19);
SELECT adapty.set_tax_rate('DE', 'NaN');
INSERT INTO adapty.currency_rates VALUES ('USD', '2024-01-01 00:00+00', 1);
SET ROLE adapty_sdk;
SELECT adapty.set_currency_rate('CHF', 1);
SELECT adapty.apply_currency_rates();
RESET ROLE;
SET ROLE adapty_analyst;
SELECT count(*) > 0 AS sees FROM adapty.transaction_revenue;
SELECT adapty.set_tax_rate('DE', 0.19);
RESET ROLE;
SELECT adapty.set_store_commission('app_store', NULL, country => 'CN');
SELECT adapty.set_tax_rate('DE', NULL);
DELETE FROM adapty.currency_rates;
