-- Results of A/B tests against figures worked out by hand, and their arithmetic against closed forms.
\set VERBOSITY default
\set SHOW_CONTEXT never

-- ---- the arithmetic ----
-- P(B > A) of Beta posteriors; exact values from the finite sum over beta functions, in rational numbers
SELECT a, n_a, b, n_b, abs((adapty.ab_probability_best(ARRAY[a, b], ARRAY[n_a, n_b]))[2] - exact) < 1e-10 AS right
    FROM (VALUES (10, 100, 15, 100, 0.8532837899339661::float8), (0, 10, 1, 10, 0.7619047619047619),
        (50, 1000, 70, 1000, 0.9698531786991795), (3, 20, 3, 20, 0.5), (120, 1000, 100, 1000, 0.07681656102644024),
        (5, 10, 400, 1000, 0.2480346964587141)) v (a, n_a, b, n_b, exact);
-- of three: a third each; one that is the greater of two uniform values is the greatest of four
SELECT p, round((adapty.ab_probability_best(c, n))[p]::numeric, 9) AS nothing_known, round((adapty.ab_probability_best(ARRAY[0, 0, 1], ARRAY[0, 0, 1]))[p]::numeric, 9) AS one_of_one
    FROM generate_series(1, 3) p, (VALUES (ARRAY[0, 0, 0]::float8[], ARRAY[0, 0, 0]::float8[])) v (c, n);
SELECT abs(sum(p) - 1) < 1e-12 AS adds_up FROM unnest(adapty.ab_probability_best(ARRAY[1e6, 2, 0, 40], ARRAY[1e8, 90, 3, 4000])) p;
-- nobody of one converted: 1 - (1 - x)^2 is the distribution function
SELECT abs((adapty.ab_credible_interval(0, 0))[1] - 0.025) < 1e-12 AS uniform,
       abs((adapty.ab_credible_interval(0, 1))[1] - (1 - sqrt(0.975))) < 1e-12 AS low, abs((adapty.ab_credible_interval(0, 1))[2] - (1 - sqrt(0.025))) < 1e-12 AS high,
       abs((adapty.ab_credible_interval(0, 1, 0.5))[2] - (1 - sqrt(0.25))) < 1e-12 AS half;
-- chi-square: 4 with 1 degree of freedom, 0 with 2, 9.21034 with 2 (1 %), 124.342 with 100 (5 %)
SELECT round(adapty.ab_sample_ratio_p('{60,40}', '{50,50}')::numeric, 10) AS four, adapty.ab_sample_ratio_p('{10,10,10}', '{1,1,1}') AS even,
       round(adapty.ab_sample_ratio_p('{70,30}', '{0.7,0.3}')::numeric, 10) AS as_weighted, adapty.ab_sample_ratio_p('{0,0}', '{1,1}') AS nobody,
       round(adapty.ab_sample_ratio_p('{600,400}', '{1,1}')::numeric, 12) AS hardly;
SELECT round(exp(-x / 2)::numeric, 9) = round(adapty.ab_sample_ratio_p(ARRAY[100 + sqrt(x * 50), 100 - sqrt(x * 50), 100], ARRAY[1, 1, 1])::numeric, 9) AS closed_form_of_2
    FROM unnest(ARRAY[0.1, 2, 9.21034, 40]) x;
-- refusals
SELECT adapty.ab_probability_best('{1,2}', '{1}');
SELECT adapty.ab_probability_best('{2}', '{1}');
SELECT adapty.ab_probability_best('{1,NULL}', '{1,1}');
SELECT adapty.ab_probability_best('{-1}', '{1}');
SELECT adapty.ab_probability_best('{NaN}', '{1}');
SELECT adapty.ab_probability_best('{}', '{}');
SELECT adapty.ab_probability_best(NULL, '{}');
SELECT adapty.ab_credible_interval(2, 1);
SELECT adapty.ab_credible_interval('NaN', 1);
SELECT adapty.ab_credible_interval(1, 2, 1);
SELECT adapty.ab_credible_interval(NULL, 1) IS NULL AS strict;
SELECT adapty.ab_sample_ratio_p('{1,2}', '{1,0}');
SELECT adapty.ab_sample_ratio_p('{1}', '{1}');

-- ---- a small test ----
SELECT count(adapty.define_paywall('RS ' || p)) FROM unnest(ARRAY['one', 'two', 'rest']) p;
SELECT adapty.define_placement('rs.home', paywall => 'RS rest');
SELECT adapty.define_ab_test('RS price', '{rs.home}', '[{"name": "A", "weight": 50, "paywall": "RS one"}, {"name": "B", "weight": 50, "paywall": "RS two"}]') AS test \gset
-- a draft and a test that nobody has seen: zeroes and nulls
\x on
SELECT * FROM adapty.ab_test_results('RS price') WHERE variation = 'A';
SELECT adapty.start_ab_test('RS price');
SELECT * FROM adapty.ab_test_results('RS price') WHERE variation = 'B';
\x off
-- users 1 to 6 have A, 7 to 12 B; each sees it, the first twice
SELECT count(adapty.create_profile('rs-' || i)) FROM generate_series(1, 12) i;
INSERT INTO adapty.ab_test_assignments (profile_id, ab_test_id, position)
    SELECT profile_id, :'test', CASE WHEN i <= 6 THEN 1 ELSE 2 END FROM generate_series(1, 12) i JOIN adapty.identities ON customer_user_id = 'rs-' || i;
CREATE TEMP TABLE rs AS SELECT i, (adapty.get_paywall('rs-' || i, 'rs.home') ->> 'variation_id')::uuid AS variation_id FROM generate_series(1, 12) i;
SELECT adapty.get_paywall('rs-1', 'rs.home') ->> 'paywall_name' AS again;
CREATE FUNCTION pg_temp.buy(i int, id text, original text, price numeric, bought date, ends date, VARIADIC more jsonb[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE request jsonb := jsonb_build_object('store', 'app_store', 'environment', 'Production', 'store_product_id', 'rs.monthly',
    'store_transaction_id', id, 'store_original_transaction_id', original, 'price', jsonb_build_object('country', 'US', 'currency', 'USD', 'value', price),
    'purchased_at', bought::text || 'T00:00:00Z') || CASE WHEN ends IS NULL THEN '{"purchase_type": "one_time_purchase"}' ELSE jsonb_build_object(
    'purchase_type', 'subscription', 'originally_purchased_at', bought::text || 'T00:00:00Z', 'expires_at', ends::text || 'T00:00:00Z', 'renew_status', true) END;
    one jsonb;
BEGIN
    FOREACH one IN ARRAY more LOOP
        request := request || one;
    END LOOP;
    IF request ? 'from_variation' THEN
        request := request - 'from_variation' || jsonb_build_object('variation_id', (SELECT rs.variation_id FROM rs WHERE rs.i = buy.i));
    END IF;
    PERFORM adapty.set_transaction('rs-' || i, request);
END $$;
\set from '{"from_variation": true}'
\set trial '{"offer": {"category": "introductory", "type": "free_trial", "id": "t"}}'
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
-- the store takes 30 percent in the first year, so proceeds are seven tenths
SELECT adapty.define_product('RS product', store_products => '[{"store": "app_store", "store_product_id": "rs.monthly"}, {"store": "app_store", "store_product_id": "rs.gold"}]') IS NOT NULL AS made;
-- A: a subscription and its renewal, which does not say from where
SELECT pg_temp.buy(1, 'rs-1-1', 'rs-1', 10, '2024-01-01', '2024-02-01', :'from');
SELECT pg_temp.buy(1, 'rs-1-2', 'rs-1', 10, '2024-02-01', '2024-03-01', '{}');
-- a trial that converts
SELECT pg_temp.buy(2, 'rs-2-1', 'rs-2', 10, '2024-01-01', '2024-01-08', :'from', :'trial');
SELECT pg_temp.buy(2, 'rs-2-2', 'rs-2', 10, '2024-01-08', '2024-02-08', '{}');
-- a one-time purchase, refunded
SELECT pg_temp.buy(3, 'rs-3-1', 'rs-3-1', 5, '2024-01-01', NULL, :'from', '{"refunded_at": "2024-01-05T00:00:00Z", "cancellation_reason": "refund"}');
-- B: a subscription, and again after it had ended
SELECT pg_temp.buy(7, 'rs-7-1', 'rs-7', 30, '2024-01-01', '2024-02-01', :'from');
SELECT pg_temp.buy(7, 'rs-7-2', 'rs-7', 30, '2024-06-01', '2024-07-01', '{}');
-- a trial with renewal off
SELECT pg_temp.buy(8, 'rs-8-1', 'rs-8', 30, '2024-01-01', '2024-01-08', :'from', :'trial', '{"renew_status": false}');
-- another product in the same chain, then its renewal
SELECT pg_temp.buy(9, 'rs-9-1', 'rs-9', 10, '2024-01-01', '2024-02-01', :'from');
SELECT pg_temp.buy(9, 'rs-9-2', 'rs-9', 25, '2024-02-01', '2024-03-01', '{"store_product_id": "rs.gold"}');
SELECT pg_temp.buy(9, 'rs-9-3', 'rs-9', 25, '2024-03-01', '2024-04-01', '{"store_product_id": "rs.gold"}');
-- a currency without a rate; the store's test environment; somebody of the family; from elsewhere
SELECT pg_temp.buy(10, 'rs-10-1', 'rs-10-1', 7, '2024-01-01', NULL, :'from', '{"price": {"country": "XX", "currency": "XTS", "value": 7}}');
SELECT pg_temp.buy(11, 'rs-11-1', 'rs-11-1', 99, '2024-01-01', NULL, :'from', '{"environment": "Sandbox"}');
SELECT pg_temp.buy(12, 'rs-12-1', 'rs-12-1', 99, '2024-01-01', NULL, :'from', '{"is_family_shared": true}');
SELECT pg_temp.buy(12, 'rs-12-2', 'rs-12-2', 99, '2024-01-01', NULL, '{"variation_id": "from elsewhere"}');
\x on
SELECT variation, weight, assigned_users, views, unique_viewers, purchases, paying_users, trials, trials_cancelled, refunds, revenue_usd, proceeds_usd, unpriced_transactions,
       round(conversion::numeric, 6) AS conversion, unique_conversion, round(refund_rate::numeric, 6) AS refund_rate, round(arppu_usd::numeric, 6) AS arppu_usd,
       round(revenue_per_1000_users::numeric, 6) AS revenue_per_1000_users, sample_ratio_p FROM adapty.ab_test_results('RS price');
\x off
SELECT variation, purchases, revenue_usd FROM adapty.ab_test_results('RS price', environment => 'Sandbox');
-- the interval and probability of unique conversion are those of the functions above: 3 of 6 each
SELECT ARRAY[unique_conversion_low, unique_conversion_high] = adapty.ab_credible_interval(3, 6) AS interval, round(conversion_probability_best::numeric, 9) AS best FROM adapty.ab_test_results('RS price');
-- revenue: the same in every call; B earns more and is likelier to; the interval holds the figure
SELECT (SELECT array_agg(r ORDER BY variation) FROM adapty.ab_test_results('RS price') r) = (SELECT array_agg(r ORDER BY variation) FROM adapty.ab_test_results(:'test') r) AS same;
SELECT variation, revenue_per_1000_users BETWEEN revenue_per_1000_users_low AND revenue_per_1000_users_high AS inside,
       CASE variation WHEN 'A' THEN probability_best < 0.4 ELSE probability_best > 0.6 END AS plausible, abs(sum(probability_best) OVER () - 1) < 1e-9 AS adds_up
    FROM adapty.ab_test_results('RS price');
-- a deleted profile's views and purchases stay, its assignment goes
SELECT adapty.delete_profile('rs-1');
SELECT variation, assigned_users, views, unique_viewers, purchases, paying_users, revenue_usd FROM adapty.ab_test_results('RS price', 'rs.home');
-- refusals
SELECT * FROM adapty.ab_test_results('RS none');
SELECT * FROM adapty.ab_test_results('RS price', 'rs.none');
SELECT * FROM adapty.ab_test_results('RS price', environment => NULL);
SELECT adapty.stop_ab_test('RS price', winner => 'B');

-- ---- a plain answer with many users: 4 % pay 10 or 12 against 4 % who pay 10 or 8; and a split that is off ----
SELECT adapty.define_ab_test('RS many', '{rs.home}', '[{"name": "less", "paywall": "RS one"}, {"name": "more", "paywall": "RS two"}]') AS test \gset
SELECT adapty.start_ab_test('RS many');
INSERT INTO adapty.paywall_views (profile_id, variation_id) SELECT ('5e000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, x.variation_id
    FROM generate_series(1, 40000) i JOIN adapty.variations x ON x.ab_test_id = :'test' AND x.position = 1 + i % 2;
INSERT INTO adapty.transactions (profile_id, purchased_at, originally_purchased_at, purchase_type, store, store_transaction_id, store_original_transaction_id,
        store_product_id, price_country, price_currency, price_value, price_usd, variation_id)
    SELECT ('5e000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, '2024-01-01', '2024-01-01', 'one_time_purchase', 'stripe', 'rs-many-' || i, 'rs-many-' || i,
        'rs', 'US', 'USD', p.price, p.price, x.variation_id
    FROM generate_series(1, 40000) i JOIN adapty.variations x ON x.ab_test_id = :'test' AND x.position = 1 + i % 2,
        LATERAL (SELECT CASE WHEN i % 4 < 2 THEN 10 WHEN x.position = 1 THEN 8 ELSE 12 END AS price) p WHERE i % 100 < 2 OR i % 100 BETWEEN 50 AND 51;
SELECT variation, unique_viewers, paying_users, revenue_usd, arppu_usd, revenue_per_1000_users,
       CASE variation WHEN 'less' THEN probability_best < 0.05 ELSE probability_best > 0.95 END AS clear,
       -- with so many payers a normal one: +- 1.96 times the relative error of the share of payers and of their mean
       abs(ln(revenue_per_1000_users_high / revenue_per_1000_users_low) - 2 * 1.96 * sqrt((0.96 + 0.0112) / 800)) < 0.005 AS interval_is_right
    FROM adapty.ab_test_results('RS many');
INSERT INTO adapty.profiles (profile_id) SELECT ('5e000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid FROM generate_series(1, 1000) i;
INSERT INTO adapty.ab_test_assignments (profile_id, ab_test_id, position, is_inherited) SELECT profile_id, :'test', CASE WHEN n <= 570 THEN 1 ELSE 2 END, n > 900
    FROM (SELECT profile_id, row_number() OVER (ORDER BY profile_id) AS n FROM adapty.profiles WHERE profile_id::text LIKE '5e000000-%') p;
-- 570 and 330 that were drawn, of 1000
SELECT variation, assigned_users, sample_ratio_p = adapty.ab_sample_ratio_p('{570,330}', '{50,50}') AS of_the_drawn FROM adapty.ab_test_results('RS many');
SET client_min_messages = error;
SET ROLE adapty_analyst;
SELECT variation, paying_users FROM adapty.ab_test_results('RS many');
SET ROLE adapty_sdk;
SELECT * FROM adapty.ab_test_results('RS many');
RESET ROLE;
RESET client_min_messages;
SELECT adapty.stop_ab_test('RS many', winner => 'more');
DELETE FROM adapty.profiles WHERE profile_id::text LIKE '5e000000-%';
DELETE FROM adapty.transactions WHERE store_transaction_id LIKE 'rs-many-%';
