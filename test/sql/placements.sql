-- Paywalls, offers, placements, and what a user sees.
\set VERBOSITY default
\set SHOW_CONTEXT never

-- ---- the catalogue ----
SELECT count(adapty.define_product(title, 'premium', period::adapty.product_period, bound::jsonb)) FROM (VALUES
    ('PM monthly', 'monthly', '[{"store": "app_store", "store_product_id": "pm.monthly"},
                                {"store": "play_store", "store_product_id": "pm", "store_base_plan_id": "monthly"}]'),
    ('PM annual', 'annual', '[{"store": "app_store", "store_product_id": "pm.annual"}]'),
    ('PM lifetime', 'lifetime', '[{"store": "stripe", "store_product_id": "pm_lifetime"}]')) p (title, period, bound);
SELECT adapty.define_offer('PM monthly', 'Spring', offer_type => 'pay_up_front',
    store_offer_ids => '{"app_store": "spring", "play_store": "spring-1"}') IS NOT NULL AS made;
-- again: what is null stays
SELECT adapty.define_offer('PM monthly', 'Spring', 'win_back') IS NOT NULL AS changed;
SELECT offer_category, offer_type, store_offer_ids FROM adapty.offers WHERE title = 'Spring';
SELECT adapty.define_offer('PM lifetime', 'None');
SELECT adapty.define_offer('PM nothing', 'None');
SELECT adapty.define_offer('PM monthly', 'None', store_offer_ids => '["a"]');
SELECT adapty.define_offer('PM monthly', 'None', store_offer_ids => '{"app store": "a"}');
SELECT adapty.define_offer('PM monthly', 'None', store_offer_ids => '{"app_store": 1}');

SELECT adapty.define_paywall('PM main', '[{"product": "PM monthly", "offer": "Spring"}, "PM annual", "PM lifetime"]',
    '[{"locale": "en", "data": "{\"title\": \"Hello\"}"}, {"locale": "pt_BR", "data": {"title": "Oi"}},
      {"locale": "pt", "data": "{\"title\":  \"Ola\"}"}, {"locale": "zh-Hant", "data": "[1, 2]"}]') AS main \gset
SELECT adapty.define_paywall('PM other', '["PM annual"]', web_purchase_url => 'https://example.com/buy') AS other \gset
SELECT adapty.define_paywall('PM french', '[]', '[{"locale": "fr", "data": "{}"}]') AS french \gset
SELECT title, revision, default_locale, web_purchase_url FROM adapty.paywalls WHERE title LIKE 'PM %' ORDER BY 1;
SELECT locale, data FROM adapty.remote_configs WHERE paywall_id = :'main' ORDER BY 1;
-- the same again is no revision, a change is one
SELECT adapty.define_paywall('PM other', '["PM annual"]') = :'other' AS same;
SELECT adapty.define_paywall('PM other', '["PM annual", "PM monthly"]', web_purchase_url => '') = :'other' AS same;
SELECT revision, web_purchase_url FROM adapty.paywalls WHERE paywall_id = :'other';
-- refusals
SELECT adapty.define_paywall('PM main', '["PM nothing"]');
SELECT adapty.define_paywall('PM main', '["PM annual", "PM annual"]');
SELECT adapty.define_paywall('PM main', '[{"product": "PM annual", "offer": "Spring"}]');
SELECT adapty.define_paywall('PM main', '[{"title": "PM annual"}]');
SELECT adapty.define_paywall('PM main', '{}');
SELECT adapty.define_paywall('PM main', remote_configs => '[{"locale": "en us", "data": "{}"}]');
SELECT adapty.define_paywall('PM main', remote_configs => '[{"locale": "EN_us", "data": "{}"}, {"locale": "en-us", "data": "{}"}]');
SELECT adapty.define_paywall('PM main', remote_configs => '[{"locale": "en", "data": "{"}]');
SELECT adapty.define_paywall('PM main', remote_configs => '[{"locale": "en"}]');
SELECT adapty.define_paywall('PM main', default_locale => 'x!');
SELECT adapty.define_paywall('');
SELECT revision FROM adapty.paywalls WHERE paywall_id = :'main';

-- ---- placements ----
SELECT adapty.define_placement('pm.home', paywall => 'PM main', title => 'Home');
SELECT adapty.define_placement('pm.settings', '[{"paywall": "PM other"}]');
SELECT jsonb_path_query(adapty.show_placement('pm.home'), '$.audiences[*]') - 'variation_id' - 'paywall_id' AS audience;
SELECT adapty.show_placement('pm.home') - 'audiences' - 'created_at' - 'updated_at' AS placement;
-- what is null stays; a variation comes back with its paywall
SELECT variation_id AS home_main FROM adapty.audiences WHERE placement_id = 'pm.home' \gset
SELECT adapty.define_placement('pm.home', paywall => 'PM other');
SELECT adapty.define_placement('pm.home', paywall => 'PM main');
SELECT variation_id = :'home_main' AS same, title FROM adapty.audiences JOIN adapty.placements USING (placement_id) WHERE placement_id = 'pm.home';
-- refusals, which change nothing
SELECT adapty.define_placement('pm.new');
SELECT adapty.define_placement('pm.new', paywall => 'PM none');
SELECT adapty.define_placement('pm.new', '[]');
SELECT adapty.define_placement('pm.new', '[{"segment": "x", "paywall": "PM main"}]');
SELECT adapty.define_placement('pm.new', '[{"paywall": "PM main"}, {"paywall": "PM main"}]');
SELECT adapty.define_placement('pm.new', '[{"segment": "a", "paywall": "PM main"}, {"segment": "a", "paywall": "PM main"}, {"paywall": "PM main"}]');
SELECT adapty.define_placement('pm.new', '[{}]');
SELECT adapty.define_placement('pm.new', '[{"paywall": "PM main", "ab_test": "PM test"}]');
SELECT adapty.define_placement('pm.new', '[{"paywall": "PM main", "priority": 3}]');
SELECT adapty.define_placement('pm.new', '["PM main"]');
SELECT adapty.define_placement('pm.new', '[{"paywall": "PM main"}]', paywall => 'PM main');
SELECT adapty.define_placement('pm.home', placement_type => 'flow');
SELECT adapty.define_placement(NULL);
SELECT adapty.define_placement(repeat('x', 256), paywall => 'PM main');
SELECT count(*) FROM adapty.placements WHERE placement_id = 'pm.new';
SELECT adapty.show_placement('PM.home');

-- ---- what a user sees ----
SELECT count(adapty.create_profile('pm-' || i)) FROM generate_series(1, 4) i;
SELECT jsonb_pretty(adapty.get_paywall('pm-1', 'pm.home', 'pt-BR', 'app_store') - 'variation_id' - 'paywall_id'
    #- '{products,0,adapty_product_id}' #- '{products,1,adapty_product_id}') AS paywall;
SELECT p ->> 'variation_id' = :'home_main' AS variation, p ->> 'paywall_id' = :'main' AS paywall
    FROM adapty.get_paywall('pm-1', 'pm.home', record_view => false) p;
-- without a store: all products, with their ids in each
SELECT p -> 'title' AS title, p -> 'vendor_product_id' AS vendor, p -> 'store_products' AS store_products
    FROM jsonb_array_elements(adapty.get_paywall('pm-1', 'pm.home') -> 'products') p;
SELECT jsonb_path_query_array(adapty.get_paywall('pm-1', 'pm.home', store => 'play_store'), '$.products[*].vendor_product_id') AS play,
       jsonb_path_query_array(adapty.get_paywall('pm-1', 'pm.home', store => 'kiosk'), '$.products[*].vendor_product_id') AS kiosk;
-- locales: exact, the text before the first hyphen, the default one
SELECT l AS asked, adapty.resolve_paywall('pm-1', 'pm.home', l) #>> '{remote_config,lang}' AS lang
    FROM unnest(ARRAY[NULL, 'en', 'EN', 'pt-br', 'pt_BR', 'pt-PT', 'pt_pt_x', 'zh-hant', 'zh', 'de', '-', 'de-' || repeat('x', 90)]) l;
SELECT adapty.define_placement('pm.french', paywall => 'PM french');
SELECT adapty.resolve_paywall('pm-1', 'pm.french', 'en') -> 'remote_config' AS french, adapty.resolve_paywall('pm-1', 'pm.settings', 'en') -> 'remote_config' AS none;
-- who has had a subscription may have promotional offers, others introductory ones
SELECT adapty.set_transaction('pm-2', '{"purchase_type": "subscription", "store": "app_store", "environment": "Production",
    "store_product_id": "pm.monthly", "store_transaction_id": "pm-2-1", "store_original_transaction_id": "pm-2-1",
    "price": {"country": "US", "currency": "USD", "value": 4.99}, "renew_status": true,
    "purchased_at": "2024-01-01T00:00:00Z", "originally_purchased_at": "2024-01-01T00:00:00Z", "expires_at": "2024-02-01T00:00:00Z"}') IS NOT NULL AS set;
SELECT u, p -> 'title' AS title, p -> 'introductory_offer_eligibility' AS introductory, p -> 'promotional_offer_eligibility' AS promotional
    FROM unnest(ARRAY['pm-1', 'pm-2']) u, jsonb_array_elements(adapty.resolve_paywall(u, 'pm.home') -> 'products') p WHERE p ->> 'title' <> 'PM annual';
-- views were recorded, where asked; resolve_paywall() leaves no trace
SELECT count(*) FROM adapty.paywall_views JOIN adapty.identities USING (profile_id) WHERE customer_user_id = 'pm-1';
SELECT count(*) FROM adapty.paywall_requests JOIN adapty.identities USING (profile_id) WHERE customer_user_id LIKE 'pm-%';
SELECT adapty.record_paywall_view('pm-3', :'home_main', '2024-05-05T05:05:05Z');
SELECT viewed_at = '2024-05-05T05:05:05Z' AS then FROM adapty.paywall_views JOIN adapty.identities USING (profile_id) WHERE customer_user_id = 'pm-3';
SELECT count(adapty.get_paywall(profile_id, 'pm.home')) AS by_id FROM adapty.identities WHERE customer_user_id = 'pm-3';
-- a user made in this very statement
SELECT adapty.get_paywall(adapty.create_profile('pm-5'), 'pm.home') ->> 'paywall_name' AS paywall;
-- refusals
\set VERBOSITY terse
SELECT adapty.get_paywall('pm-nobody', 'pm.home');
SELECT adapty.resolve_paywall('pm-nobody', 'pm.home');
SELECT adapty.get_paywall('00000000-0000-0000-0000-00000000abcd'::uuid, 'pm.home');
\set VERBOSITY default
SELECT adapty.get_paywall('pm-1', 'pm.home ');
SELECT adapty.get_paywall('pm-1', NULL);
SELECT adapty.get_paywall('pm-1', 'pm.home', store => 'app store');
SELECT adapty.record_paywall_view('pm-1', '00000000-0000-0000-0000-000000000001');
SELECT adapty.record_paywall_view('pm-1', NULL);
SELECT adapty.record_paywall_view('pm-1', :'home_main', 'infinity');
SELECT adapty.record_paywall_view('pm-1', :'home_main', '2999-01-01T00:00:00Z');
BEGIN READ ONLY;
SELECT adapty.resolve_paywall('pm-1', 'pm.home') ->> 'paywall_name' AS previewed;
SELECT adapty.get_paywall('pm-1', 'pm.home');
ROLLBACK;
SELECT adapty.define_placement('pm.settings', is_active => false);
SELECT adapty.get_paywall('pm-1', 'pm.settings');
SELECT adapty.define_placement('pm.settings', is_active => true, title => 'Settings');

-- ---- very many views: the table may be another of the same columns ----
BEGIN;
ALTER EXTENSION adapty DROP TABLE adapty.paywall_views;
ALTER TABLE adapty.paywall_views RENAME TO paywall_views_before;
CREATE TABLE adapty.paywall_views (profile_id uuid NOT NULL, variation_id uuid NOT NULL, viewed_at timestamptz NOT NULL DEFAULT now()) PARTITION BY RANGE (viewed_at);
CREATE TABLE adapty.paywall_views_early PARTITION OF adapty.paywall_views FOR VALUES FROM (MINVALUE) TO ('2024-01-01');
CREATE TABLE adapty.paywall_views_late PARTITION OF adapty.paywall_views FOR VALUES FROM ('2024-01-01') TO (MAXVALUE);
SELECT adapty.get_paywall('pm-1', 'pm.home') ->> 'paywall_name' AS shown;
SELECT adapty.record_paywall_view('pm-1', :'home_main', '2023-12-31T00:00:00Z');
SELECT tableoid::regclass::text ~ 'early' AS early, count(*) FROM adapty.paywall_views GROUP BY 1 ORDER BY 1;
ROLLBACK;

-- ---- a change is seen at once, an aborted one never ----
SELECT adapty.get_paywall('pm-1', 'pm.home') ->> 'paywall_name' AS before;
BEGIN;
SELECT adapty.define_placement('pm.home', paywall => 'PM other');
SELECT adapty.get_paywall('pm-1', 'pm.home') ->> 'paywall_name' AS changed;
SAVEPOINT s;
SELECT adapty.define_placement('pm.home', paywall => 'PM french');
SELECT adapty.get_paywall('pm-1', 'pm.home') ->> 'paywall_name' AS inside;
ROLLBACK TO s;
SELECT adapty.get_paywall('pm-1', 'pm.home') ->> 'paywall_name' AS back;
ROLLBACK;
SELECT adapty.get_paywall('pm-1', 'pm.home') ->> 'paywall_name' AS after;
UPDATE adapty.products SET title = 'PM year' WHERE title = 'PM annual';
SELECT jsonb_path_query_array(adapty.get_paywall('pm-1', 'pm.home'), '$.products[*].title') AS renamed;
UPDATE adapty.products SET title = 'PM annual' WHERE title = 'PM year';

-- ---- audiences: the first that the user is in, now ----
SELECT count(adapty.create_segment(name, filter::adapty.segment_filter)) FROM (VALUES
    ('PM students', $$attr.kind = 'student'$$), ('PM spenders', 'attr.spent >= 100')) s (name, filter);
SELECT adapty.define_placement('pm.shop', '[{"segment": "PM spenders", "paywall": "PM main"}, {"segment": "PM students", "paywall": "PM french"}, {"paywall": "PM other"}]');
SELECT adapty.set_attribute('pm-1', 'kind', 'student'), adapty.set_attribute('pm-2', 'spent', 250), adapty.set_attribute('pm-4', 'kind', 'student'), adapty.set_attribute('pm-4', 'spent', 99);
SELECT u, adapty.get_paywall(u, 'pm.shop') ->> 'paywall_name' AS sees FROM unnest(ARRAY['pm-1', 'pm-2', 'pm-4', 'pm-5']) u;
SELECT adapty.set_attribute('pm-4', 'spent', 100);
SELECT adapty.get_paywall('pm-4', 'pm.shop') ->> 'paywall_name' AS now_spends;
SELECT a ->> 'priority' AS priority, a ->> 'segment' AS segment, a ->> 'paywall' AS paywall FROM jsonb_array_elements(adapty.show_placement('pm.shop') -> 'audiences') a;
SELECT i.paywall_name, i.segment_name FROM adapty.audiences a, adapty.variation_info(a.variation_id) i WHERE a.placement_id = 'pm.shop' ORDER BY a.priority;
-- the same paywall for another audience is another variation
SELECT count(DISTINCT variation_id) FROM adapty.variations WHERE placement_id = 'pm.shop';
-- segments in use: kept, and followed
SELECT adapty.drop_segment('PM spenders');
SELECT adapty.rename_segment('PM spenders', 'PM rich');
SELECT adapty.get_paywall('pm-2', 'pm.shop') ->> 'paywall_name' AS renamed;
SELECT adapty.alter_segment('PM rich', 'attr.spent > 250');
SELECT adapty.get_paywall('pm-2', 'pm.shop') ->> 'paywall_name' AS not_rich;
SELECT adapty.define_placement('pm.shop', '[{"segment": "PM spenders", "paywall": "PM main"}, {"paywall": "PM other"}]');
SELECT adapty.define_placement('pm.shop', '[{"segment": "Never subscribed", "paywall": "PM main"}, {"paywall": "PM other"}]');
SELECT u, adapty.get_paywall(u, 'pm.shop') ->> 'paywall_name' AS sees FROM unnest(ARRAY['pm-1', 'pm-2']) u;
SET ROLE adapty_sdk;
SET request.jwt.claims = '{"customer_user_id": "pm-2"}';
SELECT adapty.get_paywall('pm-2', 'pm.shop') ->> 'paywall_name' AS own;
RESET request.jwt.claims;
RESET ROLE;
SELECT adapty.drop_segment('PM rich'), adapty.drop_segment('PM students');
SELECT adapty.delete_placement('pm.shop');

-- ---- what a variation is ----
SELECT paywall_name, paywall_revision, ab_test_name, ab_test_revision, developer_id, segment_name FROM adapty.variation_info(:'home_main'::uuid);
SELECT paywall_name FROM adapty.variation_info(:'home_main');
SELECT count(*) FROM unnest(ARRAY['variation_123', '', NULL, '00000000-0000-0000-0000-000000000001']) v, adapty.variation_info(v) i;

-- ---- as the server-side API has them ----
SELECT jsonb_pretty(adapty.show_paywall(:'main') - 'paywall_id' - 'created_at' - 'updated_at' #- '{products,0,product_id}'
    #- '{products,1,product_id}' #- '{products,2,product_id}' #- '{products,0,offer,product_offer_id}') AS paywall;
SELECT adapty.update_paywall(:'main', '{"remote_configs": [{"locale": "en", "data": "{\"title\": \"Bye\"}"}]}') -> 'remote_configs' AS replaced;
SELECT adapty.get_paywall('pm-1', 'pm.home', 'pt-br') -> 'remote_config' AS shown;
SELECT revision FROM adapty.paywalls WHERE paywall_id = :'main';
SELECT adapty.update_paywall(:'main', '{}');
SELECT adapty.update_paywall(:'main', '{"title": "x"}');
SELECT adapty.update_paywall(:'main', '{"remote_configs": {}}');
SELECT adapty.update_paywall('00000000-0000-0000-0000-000000000001', '{"remote_configs": []}');
SELECT adapty.show_paywall('00000000-0000-0000-0000-000000000001');
SELECT count(*) = l.n AND p.pages = ceil(l.n / 2.0) AS whole FROM
    (SELECT count(*) AS n FROM adapty.paywalls WHERE NOT is_deleted) l,
    (SELECT (adapty.list_paywalls(1, 2) #>> '{meta,pagination,pages}')::int AS pages) p,
    LATERAL generate_series(1, p.pages) number, jsonb_array_elements(adapty.list_paywalls(number, 2) -> 'data') GROUP BY l.n, p.pages;
SELECT adapty.list_paywalls(1000, 100) -> 'data' AS past_the_end;
SELECT adapty.list_paywalls(0);
SELECT adapty.list_paywalls(1, 101);

-- ---- deleting ----
SELECT adapty.delete_offer('PM monthly', 'Spring');
SELECT adapty.delete_paywall('PM main');
SELECT adapty.delete_paywall('PM none');
\set VERBOSITY terse
DELETE FROM adapty.products WHERE title = 'PM annual';
\set VERBOSITY default
SELECT adapty.delete_placement('pm.french');
SELECT adapty.show_paywall(:'french') ->> 'state' AS state;
SELECT adapty.delete_paywall(:'french');
SELECT adapty.show_paywall(:'french') ->> 'state' AS state, adapty.show_paywall(:'french') -> 'is_deleted' AS is_deleted;
SELECT adapty.define_placement('pm.french', paywall => 'PM french');
SELECT adapty.delete_placement('pm.french');
-- the title is free again
SELECT adapty.define_paywall('PM french') <> :'french' AS another;
SELECT adapty.delete_profile('pm-3');
SELECT count(*) FROM adapty.paywall_views WHERE viewed_at = '2024-05-05T05:05:05Z';

-- ---- privileges ----
SET ROLE adapty_sdk;
SET request.jwt.claims = '{"customer_user_id": "pm-1"}';
SELECT adapty.get_paywall('pm-1', 'pm.home') ->> 'paywall_name' AS own;
SELECT adapty.record_paywall_view('pm-1', :'home_main');
SELECT adapty.get_paywall('pm-2', 'pm.home');
SELECT adapty.resolve_paywall('pm-2', 'pm.home');
SELECT adapty.record_paywall_view('pm-2', :'home_main');
SELECT adapty.define_paywall('PM sdk');
SELECT count(*) FROM adapty.paywall_views;
SELECT count(*) FROM adapty.remote_configs;
RESET request.jwt.claims;
SET ROLE adapty_analyst;
SELECT count(*) > 0 AS reads FROM adapty.paywall_views JOIN adapty.variations USING (variation_id) JOIN adapty.paywalls USING (paywall_id);
SELECT paywall_name FROM adapty.variation_info(:'home_main');
SELECT adapty.get_paywall('pm-1', 'pm.home');
SELECT adapty.define_placement('pm.home', paywall => 'PM other');
RESET ROLE;
