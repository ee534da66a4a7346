-- Placements, audiences, paywalls and offers: what is shown where and to whom. Paywalls, products and
-- offers are named by title or id, placements by their id.

-- ---- What a variation is ----
-- A plain join, so that it costs index look-ups and the planner sees through it.
CREATE OR REPLACE FUNCTION adapty.variation_info(variation_id uuid)
    RETURNS TABLE (
        paywall_name text, paywall_revision integer, ab_test_name text, ab_test_revision integer, developer_id text,
        cross_placement_ab_test_name text, ab_test_variation text, segment_name text,
        variation_id uuid, paywall_id uuid, ab_test_id uuid)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT w.title, w.revision,
           CASE WHEN t.is_cross_placement THEN t.name || ' child-' || x.placement_position - 1 ELSE t.name END,
           t.revision, x.placement_id, CASE WHEN t.is_cross_placement THEN t.name END, v.name, (SELECT s.name FROM adapty.segments s WHERE s.segment_id = x.segment_id),
           x.variation_id, x.paywall_id, x.ab_test_id
    FROM adapty.variations x
    JOIN adapty.paywalls w ON w.paywall_id = x.paywall_id
    LEFT JOIN adapty.ab_tests t ON t.ab_test_id = x.ab_test_id
    LEFT JOIN adapty.ab_test_variations v ON v.ab_test_id = x.ab_test_id AND v.position = x.position
    WHERE x.variation_id = variation_info.variation_id;
END;
COMMENT ON FUNCTION adapty.variation_info(uuid) IS
    'What a variation_id stands for: paywall, placement (developer_id) and A/B test, with their revisions now. No row for an unknown one.';
REVOKE ALL ON FUNCTION adapty.variation_info(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.variation_info(uuid) TO adapty_server, adapty_analyst;

CREATE OR REPLACE FUNCTION adapty.variation_info(variation_id text)
    RETURNS TABLE (
        paywall_name text, paywall_revision integer, ab_test_name text, ab_test_revision integer, developer_id text,
        cross_placement_ab_test_name text, ab_test_variation text, segment_name text,
        variation_id uuid, paywall_id uuid, ab_test_id uuid)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT i.* FROM adapty.variation_info(
        CASE WHEN variation_info.variation_id ~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$'
             THEN variation_info.variation_id::uuid END) i;
END;
COMMENT ON FUNCTION adapty.variation_info(text) IS
    'The same for a variation_id as transactions have it: any text. No row for one that is not ours.';
REVOKE ALL ON FUNCTION adapty.variation_info(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.variation_info(text) TO adapty_server, adapty_analyst;

-- ---- Defining offers, paywalls and placements ----
CREATE OR REPLACE FUNCTION adapty.define_offer(
        product text,
        title text,
        offer_category adapty.offer_category DEFAULT NULL,
        offer_type adapty.offer_type DEFAULT NULL,
        store_offer_ids jsonb DEFAULT NULL)
    RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_define_offer';
COMMENT ON FUNCTION adapty.define_offer(text, text, adapty.offer_category, adapty.offer_type, jsonb) IS
    'Creates an offer of a subscription product, or changes it, and returns its offer_id. store_offer_ids: its id by store, {"app_store": "spring"}. What is null stays; a new offer is promotional.';
REVOKE ALL ON FUNCTION adapty.define_offer(text, text, adapty.offer_category, adapty.offer_type, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.define_offer(text, text, adapty.offer_category, adapty.offer_type, jsonb) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.delete_offer(product text, title text)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_delete_offer';
COMMENT ON FUNCTION adapty.delete_offer(text, text) IS
    'Deletes an offer. Refused while a paywall has it (23503).';
REVOKE ALL ON FUNCTION adapty.delete_offer(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.delete_offer(text, text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.define_paywall(
        title text,
        products jsonb DEFAULT NULL,
        remote_configs jsonb DEFAULT NULL,
        default_locale text DEFAULT NULL,
        web_purchase_url text DEFAULT NULL)
    RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_define_paywall';
COMMENT ON FUNCTION adapty.define_paywall(text, jsonb, jsonb, text, text) IS
    'Creates the paywall of a title, or changes it, and returns its paywall_id. products: all of them in order, each a title or id or {product, offer}. remote_configs: all of them, an array of {locale, data}. What is null stays.';
REVOKE ALL ON FUNCTION adapty.define_paywall(text, jsonb, jsonb, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.define_paywall(text, jsonb, jsonb, text, text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.delete_paywall(paywall text)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_delete_paywall';
COMMENT ON FUNCTION adapty.delete_paywall(text) IS
    'Deletes a paywall, by title or id. Refused while a placement shows it or a draft or running test has it (23503). What was bought from it keeps its name.';
REVOKE ALL ON FUNCTION adapty.delete_paywall(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.delete_paywall(text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.define_placement(
        placement_id text,
        audiences jsonb DEFAULT NULL,
        paywall text DEFAULT NULL,
        title text DEFAULT NULL,
        placement_type adapty.placement_type DEFAULT NULL,
        is_active boolean DEFAULT NULL)
    RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_define_placement';
COMMENT ON FUNCTION adapty.define_placement(text, jsonb, text, text, adapty.placement_type, boolean) IS
    'Creates a placement, or changes it, all or nothing, and returns its id. audiences: all of them by priority, an array of {segment, paywall} or {segment, ab_test} whose last element has no segment and is all users. paywall stands for one audience, all users. What is null stays.';
REVOKE ALL ON FUNCTION adapty.define_placement(text, jsonb, text, text, adapty.placement_type, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.define_placement(text, jsonb, text, text, adapty.placement_type, boolean) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.delete_placement(placement_id text)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_delete_placement';
COMMENT ON FUNCTION adapty.delete_placement(text) IS
    'Deletes a placement and its audiences. Refused while a draft or running test has it (23503).';
REVOKE ALL ON FUNCTION adapty.delete_placement(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.delete_placement(text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.show_placement(placement_id text)
    RETURNS jsonb
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_show_placement';
COMMENT ON FUNCTION adapty.show_placement(text) IS
    'A placement with its audiences by priority.';
REVOKE ALL ON FUNCTION adapty.show_placement(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.show_placement(text) TO adapty_server, adapty_analyst;

-- ---- Paywalls as the server-side API has them ----
CREATE OR REPLACE FUNCTION adapty.list_paywalls(page_number integer DEFAULT 1, page_size integer DEFAULT 20)
    RETURNS jsonb
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_list_paywalls';
COMMENT ON FUNCTION adapty.list_paywalls(integer, integer) IS
    'A page of paywalls, {data, meta}: the APIs PaywallListResponse. page_size is at most 100.';
REVOKE ALL ON FUNCTION adapty.list_paywalls(integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.list_paywalls(integer, integer) TO adapty_server, adapty_analyst;

CREATE OR REPLACE FUNCTION adapty.show_paywall(paywall_id uuid)
    RETURNS jsonb
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_show_paywall';
COMMENT ON FUNCTION adapty.show_paywall(uuid) IS
    'A paywall with its remote configs: the API''s PaywallResponse. Also of a deleted one.';
REVOKE ALL ON FUNCTION adapty.show_paywall(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.show_paywall(uuid) TO adapty_server, adapty_analyst;

CREATE OR REPLACE FUNCTION adapty.update_paywall(paywall_id uuid, attributes jsonb)
    RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_update_paywall';
COMMENT ON FUNCTION adapty.update_paywall(uuid, jsonb) IS
    'Replaces all remote configs of a paywall by those of {"remote_configs": [{locale, data}]} and returns the paywall: the API''s update.';
REVOKE ALL ON FUNCTION adapty.update_paywall(uuid, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.update_paywall(uuid, jsonb) TO adapty_server;

-- ---- What a user sees ----
CREATE OR REPLACE FUNCTION adapty.get_paywall(
        customer_user_id text,
        placement_id text,
        locale text DEFAULT NULL,
        store text DEFAULT NULL,
        record_view boolean DEFAULT true)
    RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_get_paywall';
COMMENT ON FUNCTION adapty.get_paywall(text, text, text, text, boolean) IS
    'What a user sees at a placement: the paywall object of the public API, with the variation_id that a purchase names. Records the variation of a test on the first exposure, and the view unless record_view is false. store: only what it sells, under its ids.';
REVOKE ALL ON FUNCTION adapty.get_paywall(text, text, text, text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.get_paywall(text, text, text, text, boolean) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.resolve_paywall(
        customer_user_id text,
        placement_id text,
        locale text DEFAULT NULL,
        store text DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_resolve_paywall';
COMMENT ON FUNCTION adapty.resolve_paywall(text, text, text, text) IS
    'What get_paywall() would answer now. Records nothing: for previews, read-only transactions and standbys.';
REVOKE ALL ON FUNCTION adapty.resolve_paywall(text, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.resolve_paywall(text, text, text, text) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.record_paywall_view(
        customer_user_id text,
        variation_id uuid,
        viewed_at timestamptz DEFAULT NULL)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_record_paywall_view';
COMMENT ON FUNCTION adapty.record_paywall_view(text, uuid, timestamptz) IS
    'Records that a user was shown a variation, now or then: for apps that ask ahead of time with record_view => false.';
REVOKE ALL ON FUNCTION adapty.record_paywall_view(text, uuid, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.record_paywall_view(text, uuid, timestamptz) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.get_paywall(
        profile_id uuid,
        placement_id text,
        locale text DEFAULT NULL,
        store text DEFAULT NULL,
        record_view boolean DEFAULT true)
    RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_get_paywall_by_profile_id';
COMMENT ON FUNCTION adapty.get_paywall(uuid, text, text, text, boolean) IS
    'What a user sees at a placement: the paywall object of the public API, with the variation_id that a purchase names. Records the variation of a test on the first exposure, and the view unless record_view is false. store: only what it sells, under its ids.';
REVOKE ALL ON FUNCTION adapty.get_paywall(uuid, text, text, text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.get_paywall(uuid, text, text, text, boolean) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.resolve_paywall(
        profile_id uuid,
        placement_id text,
        locale text DEFAULT NULL,
        store text DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_resolve_paywall_by_profile_id';
COMMENT ON FUNCTION adapty.resolve_paywall(uuid, text, text, text) IS
    'What get_paywall() would answer now. Records nothing: for previews, read-only transactions and standbys.';
REVOKE ALL ON FUNCTION adapty.resolve_paywall(uuid, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.resolve_paywall(uuid, text, text, text) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.record_paywall_view(profile_id uuid, variation_id uuid, viewed_at timestamptz DEFAULT NULL)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_record_paywall_view_by_profile_id';
COMMENT ON FUNCTION adapty.record_paywall_view(uuid, uuid, timestamptz) IS
    'Records that a user was shown a variation, now or then: for apps that ask ahead of time with record_view => false.';
REVOKE ALL ON FUNCTION adapty.record_paywall_view(uuid, uuid, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.record_paywall_view(uuid, uuid, timestamptz) TO adapty_server, adapty_sdk;

-- ---- Telling sessions of changes ----
CREATE OR REPLACE FUNCTION adapty._targeting_changed() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_targeting_changed';
COMMENT ON FUNCTION adapty._targeting_changed() IS
    'Makes all sessions forget what they keep of the catalogue of targeting. Private.';
REVOKE ALL ON FUNCTION adapty._targeting_changed() FROM PUBLIC;

CREATE OR REPLACE TRIGGER adapty_targeting_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON adapty.offers
    FOR EACH STATEMENT EXECUTE FUNCTION adapty._targeting_changed();
CREATE OR REPLACE TRIGGER adapty_targeting_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON adapty.paywalls
    FOR EACH STATEMENT EXECUTE FUNCTION adapty._targeting_changed();
CREATE OR REPLACE TRIGGER adapty_targeting_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON adapty.paywall_products
    FOR EACH STATEMENT EXECUTE FUNCTION adapty._targeting_changed();
CREATE OR REPLACE TRIGGER adapty_targeting_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON adapty.remote_configs
    FOR EACH STATEMENT EXECUTE FUNCTION adapty._targeting_changed();
CREATE OR REPLACE TRIGGER adapty_targeting_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON adapty.placements
    FOR EACH STATEMENT EXECUTE FUNCTION adapty._targeting_changed();
CREATE OR REPLACE TRIGGER adapty_targeting_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON adapty.ab_tests
    FOR EACH STATEMENT EXECUTE FUNCTION adapty._targeting_changed();
CREATE OR REPLACE TRIGGER adapty_targeting_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON adapty.ab_test_variations
    FOR EACH STATEMENT EXECUTE FUNCTION adapty._targeting_changed();
CREATE OR REPLACE TRIGGER adapty_targeting_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON adapty.variations
    FOR EACH STATEMENT EXECUTE FUNCTION adapty._targeting_changed();
CREATE OR REPLACE TRIGGER adapty_targeting_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON adapty.audiences
    FOR EACH STATEMENT EXECUTE FUNCTION adapty._targeting_changed();
CREATE OR REPLACE TRIGGER adapty_targeting_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON adapty.products
    FOR EACH STATEMENT EXECUTE FUNCTION adapty._targeting_changed();
CREATE OR REPLACE TRIGGER adapty_targeting_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON adapty.store_products
    FOR EACH STATEMENT EXECUTE FUNCTION adapty._targeting_changed();
CREATE OR REPLACE TRIGGER adapty_targeting_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON adapty.segments
    FOR EACH STATEMENT EXECUTE FUNCTION adapty._targeting_changed();

-- ---- Who may read ----
GRANT SELECT ON adapty.offers, adapty.paywalls, adapty.paywall_products, adapty.remote_configs, adapty.placements,
    adapty.audiences, adapty.variations, adapty.paywall_requests, adapty.paywall_views TO adapty_server, adapty_analyst;
