-- The catalogue: access levels, products, store products, and what is refused.
\set VERBOSITY default
\set SHOW_CONTEXT never

-- ---- access levels ----
SELECT adapty.define_access_level('products_gold', 'Gold');
SELECT adapty.define_access_level('products_gold');
SELECT adapty.define_access_level('products_silver');
SELECT access_level_id, title FROM adapty.access_levels WHERE access_level_id LIKE 'products%' ORDER BY 1;
SELECT adapty.define_access_level('products_gold', title => 'Golden');
SELECT title FROM adapty.access_levels WHERE access_level_id = 'products_gold';
-- refusals
SELECT adapty.define_access_level(NULL);
SELECT adapty.define_access_level('');
SELECT adapty.define_access_level('has blank');
SELECT adapty.define_access_level(E'line\n');
SELECT adapty.define_access_level(repeat('x', 65));
SELECT adapty.define_access_level('products_gold', '');
SELECT adapty.define_access_level('products_gold', repeat('x', 256));

-- ---- premium is there from the start and stays ----
SELECT adapty.delete_access_level('premium');
DELETE FROM adapty.access_levels WHERE access_level_id = 'premium';
UPDATE adapty.access_levels SET access_level_id = 'products_other' WHERE access_level_id = 'premium';
SET client_min_messages TO error;
TRUNCATE adapty.access_levels CASCADE;
RESET client_min_messages;
SELECT count(*) FROM adapty.access_levels WHERE access_level_id = 'premium';
-- its title may change, by the function, by SQL, and by a dump that brings the row again
BEGIN;
SELECT adapty.define_access_level('premium');
SELECT title FROM adapty.access_levels WHERE access_level_id = 'premium';
SELECT adapty.define_access_level('premium', 'Plus');
SELECT title FROM adapty.access_levels WHERE access_level_id = 'premium';
UPDATE adapty.access_levels SET access_level_id = 'premium', title = 'Plus 2' WHERE access_level_id = 'premium';
SELECT title FROM adapty.access_levels WHERE access_level_id = 'premium';
COPY adapty.access_levels (access_level_id, title, created_at) FROM stdin;
premium	Restored	2020-01-01 00:00:00+00
products_bronze	Bronze	2020-01-01 00:00:00+00
\.
SELECT access_level_id, title, created_at = '2020-01-01 00:00:00+00' AS is_old
    FROM adapty.access_levels WHERE access_level_id IN ('premium', 'products_bronze') ORDER BY 1;
ROLLBACK;

-- ---- deleting a level ----
SELECT adapty.delete_access_level('products_silver');
\set VERBOSITY terse
SELECT adapty.delete_access_level('products_none');
\set VERBOSITY default
SELECT adapty.delete_access_level(NULL);

-- ---- products ----
SELECT adapty.define_product('Gold monthly', 'products_gold', 'monthly',
    '[{"store": "app_store", "store_product_id": "gold.monthly"},
      {"store": "play_store", "store_product_id": "gold", "store_base_plan_id": "monthly"},
      {"store": "play_store", "store_product_id": "gold:monthly2"},
      {"store": "stripe", "store_product_id": "prod_gold", "store_base_plan_id": null}]') AS product_id \gset
SELECT p.title, p.access_level_id, p.period, s.store, s.store_product_id, s.store_base_plan_id
    FROM adapty.products p JOIN adapty.store_products s USING (product_id)
    WHERE p.title = 'Gold monthly' ORDER BY 4, 5, 6;
-- the same title is the same product; store products are added
SELECT adapty.define_product('Gold monthly', period => 'two_months',
    store_products => '[{"store": "app_store", "store_product_id": "gold.monthly"},
                        {"store": "paddle", "store_product_id": "pro_1"}]') = :'product_id' AS is_same;
SELECT p.access_level_id, p.period, count(*) FROM adapty.products p JOIN adapty.store_products s USING (product_id)
    WHERE p.title = 'Gold monthly' GROUP BY 1, 2;
SELECT adapty.define_product('Gold monthly', 'products_gold', 'monthly') = :'product_id' AS is_same;
-- of another product
SELECT adapty.define_product('Other', 'products_gold', 'annual',
    '[{"store": "play_store", "store_product_id": "gold", "store_base_plan_id": "monthly"}]');
SELECT count(*) FROM adapty.products WHERE title = 'Other';
-- other refusals
SELECT adapty.define_product(NULL);
SELECT adapty.define_product('');
SELECT adapty.define_product(repeat('x', 256));
\set VERBOSITY terse
SELECT adapty.define_product('p', 'products_none');
\set VERBOSITY default
SELECT adapty.define_product('p', '');
SELECT adapty.define_product('p', period => NULL);
SELECT adapty.define_product('p', period => 'daily');
SELECT adapty.define_product('p', 'products_gold', 'consumable');
SELECT adapty.define_product('p', store_products => '{}');
SELECT adapty.define_product('p', store_products => '"x"');
SELECT adapty.define_product('p', store_products => '[1]');
SELECT adapty.define_product('p', store_products => '[[]]');
SELECT adapty.define_product('p', store_products => '[{"store": "app_store"}]');
SELECT adapty.define_product('p', store_products => '[{"store": "app store", "store_product_id": "x"}]');
SELECT adapty.define_product('p', store_products => '[{"store": 1, "store_product_id": "x"}]');
SELECT adapty.define_product('p', store_products => '[{"store": "app_store", "store_product_id": ""}]');
SELECT adapty.define_product('p', store_products => '[{"store": "app_store", "store_product_id": "x", "storeproductid": "y"}]');
SELECT count(*) FROM adapty.products WHERE title = 'p';
INSERT INTO adapty.products (title) VALUES ('products twin'), ('products twin');
SELECT adapty.define_product('products twin');

-- ---- a level in use is kept, and the error says by whom ----
SELECT adapty.delete_access_level('products_gold');
DELETE FROM adapty.products WHERE title IN ('Gold monthly', 'products twin');
SELECT adapty.create_profile('products-user') AS profile_id \gset
INSERT INTO adapty.access_grants (profile_id, access_level_id) VALUES (:'profile_id', 'products_gold');
\set VERBOSITY terse
SELECT adapty.delete_access_level('products_gold');
\set VERBOSITY default
SELECT adapty.delete_profile('products-user');
SELECT adapty.delete_access_level('products_gold');
SELECT count(*) FROM adapty.access_levels WHERE access_level_id LIKE 'products%';

-- ---- who may ----
SELECT r.role, f.function, has_function_privilege(r.role, f.function, 'EXECUTE')
    FROM (VALUES ('adapty_server'), ('adapty_sdk'), ('adapty_analyst')) r(role),
         (VALUES ('adapty.define_access_level(text, text)'), ('adapty.delete_access_level(text)'),
                 ('adapty.define_product(text, text, adapty.product_period, jsonb)')) f(function)
    ORDER BY 1, 2;
SET ROLE adapty_server;
SELECT adapty.define_access_level('products_by_server');
SELECT adapty.delete_access_level('products_by_server');
RESET ROLE;
