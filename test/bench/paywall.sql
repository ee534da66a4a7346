-- A placement with an A/B test of two paywalls, in both schemas, for the users that are there.
SELECT adapty.define_product('Bench ' || p, 'premium', 'monthly', jsonb_build_array(jsonb_build_object('store', 'app_store', 'store_product_id', 'bench.' || p)))
    FROM unnest(ARRAY['month', 'quarter', 'year']) p \g /dev/null
SELECT adapty.define_paywall('Bench ' || w, '["Bench month", "Bench quarter", "Bench year"]',
    '[{"locale": "en", "data": "{\"title\": \"Go premium\", \"features\": [1, 2, 3]}"}, {"locale": "pt-br", "data": "{}"}]')
    FROM unnest(ARRAY['a', 'b']) w \g /dev/null
SELECT adapty.define_placement(p, paywall => 'Bench a') FROM unnest(ARRAY['bench', 'bench2']) p \g /dev/null
SELECT adapty.define_ab_test('Bench', '{bench}', '[{"paywall": "Bench a"}, {"paywall": "Bench b"}]') AS test \gset
SELECT adapty.start_ab_test('Bench') \g /dev/null

CREATE TABLE hand.assignments (profile_id uuid REFERENCES hand.profiles ON DELETE CASCADE, ab_test_id uuid, position smallint NOT NULL,
    assigned_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (profile_id, ab_test_id));
CREATE INDEX ON hand.assignments (ab_test_id, position);
CREATE TABLE hand.views (profile_id uuid NOT NULL, variation_id uuid NOT NULL, viewed_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON hand.views (variation_id, viewed_at);
CREATE INDEX ON hand.views (profile_id);
-- the finished objects, one a variation and locale: what somebody would keep who makes them when a paywall changes
CREATE TABLE hand.objects (placement_id text, ab_test_id uuid, position smallint, locale text, variation_id uuid, object jsonb, PRIMARY KEY (placement_id, position, locale));
INSERT INTO hand.objects SELECT 'bench', x.ab_test_id, x.position, l, x.variation_id, adapty.resolve_paywall(u.profile_id, 'bench', l, 'app_store')
    FROM adapty.variations x, unnest(ARRAY['en', 'pt-br']) l, (SELECT profile_id FROM adapty.identities LIMIT 1) u WHERE x.ab_test_id = :'test';

-- Reads the catalogue as it is: audience, test, paywall, products, remote config.
CREATE FUNCTION hand.get_paywall(a_user text, a_placement text, a_locale text, a_store text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    a_profile_id uuid;
    a_test       uuid;
    a_position   smallint;
    a_variation  uuid;
    result       jsonb;
BEGIN
    SELECT i.profile_id INTO a_profile_id FROM hand.identities i WHERE i.customer_user_id = a_user;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no user "%"', a_user;
    END IF;
    SELECT a.ab_test_id, a.variation_id INTO a_test, a_variation FROM adapty.placements p JOIN adapty.audiences a USING (placement_id)
        WHERE p.placement_id = a_placement AND p.is_active AND a.segment_name IS NULL ORDER BY a.priority LIMIT 1;
    IF a_test IS NOT NULL THEN
        SELECT a.position INTO a_position FROM hand.assignments a WHERE a.profile_id = a_profile_id AND a.ab_test_id = a_test;
        IF NOT FOUND THEN
            a_position := 1 + abs(hashtext(a_profile_id::text || a_test::text)) % 2;
            INSERT INTO hand.assignments (profile_id, ab_test_id, position) VALUES (a_profile_id, a_test, a_position) ON CONFLICT DO NOTHING;
        END IF;
        SELECT x.variation_id INTO a_variation FROM adapty.variations x WHERE x.ab_test_id = a_test AND x.position = a_position AND x.placement_id = a_placement;
    END IF;
    SELECT jsonb_build_object('placement_id', x.placement_id, 'variation_id', x.variation_id, 'paywall_id', w.paywall_id, 'ab_test_name', t.name, 'paywall_name', w.title,
        'products', (SELECT jsonb_agg(jsonb_build_object('title', p.title, 'is_consumable', p.period = 'consumable', 'adapty_product_id', p.product_id,
                'vendor_product_id', s.store_product_id, 'base_plan_id', nullif(s.store_base_plan_id, '')) ORDER BY pp.position)
            FROM adapty.paywall_products pp JOIN adapty.products p USING (product_id) JOIN adapty.store_products s ON s.product_id = p.product_id AND s.store = a_store
            WHERE pp.paywall_id = w.paywall_id),
        'remote_config', (SELECT jsonb_build_object('lang', r.locale, 'data', r.data) FROM adapty.remote_configs r
            WHERE r.paywall_id = w.paywall_id AND r.locale IN (a_locale, split_part(a_locale, '-', 1), w.default_locale)
            ORDER BY r.locale = a_locale DESC, r.locale = split_part(a_locale, '-', 1) DESC LIMIT 1))
        INTO result FROM adapty.variations x JOIN adapty.paywalls w USING (paywall_id) LEFT JOIN adapty.ab_tests t USING (ab_test_id) WHERE x.variation_id = a_variation;
    INSERT INTO hand.views (profile_id, variation_id) VALUES (a_profile_id, a_variation);
    RETURN result;
END $$;

-- The least that must be done: one finished object, one record of who has what, one view.
CREATE FUNCTION hand.get_object(a_user text, a_placement text, a_locale text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    a_profile_id uuid;
    a_position   smallint;
    found_object hand.objects;
BEGIN
    SELECT i.profile_id INTO a_profile_id FROM hand.identities i WHERE i.customer_user_id = a_user;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no user "%"', a_user;
    END IF;
    SELECT a.position INTO a_position FROM hand.assignments a
        WHERE a.profile_id = a_profile_id AND a.ab_test_id = (SELECT o.ab_test_id FROM hand.objects o WHERE o.placement_id = a_placement LIMIT 1);
    SELECT o.* INTO found_object FROM hand.objects o WHERE o.placement_id = a_placement AND o.position = a_position AND o.locale = a_locale;
    INSERT INTO hand.views (profile_id, variation_id) VALUES (a_profile_id, found_object.variation_id);
    RETURN found_object.object;
END $$;

-- everybody has been here before: what is measured is the call that comes again and again
SELECT adapty.assign_variations('Bench', array_agg(profile_id)) FROM adapty.profiles \g /dev/null
INSERT INTO hand.assignments (profile_id, ab_test_id, position) SELECT profile_id, ab_test_id, position FROM adapty.ab_test_assignments;
INSERT INTO adapty.paywall_requests (profile_id) SELECT profile_id FROM adapty.profiles;
VACUUM (FREEZE, ANALYZE);
CHECKPOINT;
