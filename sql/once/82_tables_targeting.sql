-- Targeting: what is shown where and to whom. The catalogue part (offers to variations) is small, is
-- changed by people through functions, and is cached by sessions; triggers tell them of changes.
CREATE TYPE adapty.placement_type AS ENUM ('paywall', 'onboarding', 'flow');
CREATE TYPE adapty.ab_test_state AS ENUM ('draft', 'live', 'completed', 'archived');
COMMENT ON TYPE adapty.placement_type IS 'What a placement shows; fixed when the placement is made.';
COMMENT ON TYPE adapty.ab_test_state IS 'Life of an A/B test: being written, running, stopped, put away.';

CREATE TABLE adapty.offers (
    offer_id        uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    product_id      uuid NOT NULL REFERENCES adapty.products ON DELETE CASCADE,
    created_at      timestamptz NOT NULL DEFAULT now(),
    offer_category  adapty.offer_category NOT NULL DEFAULT 'promotional',
    offer_type      adapty.offer_type,
    title           text NOT NULL CONSTRAINT offers_title_check CHECK (length(title) BETWEEN 1 AND 255),
    store_offer_ids jsonb NOT NULL DEFAULT '{}' CONSTRAINT offers_store_offer_ids_check CHECK (jsonb_typeof(store_offer_ids) = 'object'),
    CONSTRAINT offers_title_key UNIQUE (product_id, title),
    CONSTRAINT offers_product_key UNIQUE (product_id, offer_id)
);
COMMENT ON TABLE adapty.offers IS 'Offers of subscription products: a trial, a lower price.';
COMMENT ON COLUMN adapty.offers.store_offer_ids IS 'The offer''s id by store: {"app_store": "spring", "play_store": "spring-1"}.';

CREATE TABLE adapty.paywalls (
    paywall_id       uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    revision         integer NOT NULL DEFAULT 1,
    was_live         boolean NOT NULL DEFAULT false,
    is_deleted       boolean NOT NULL DEFAULT false,
    title            text NOT NULL CONSTRAINT paywalls_title_check CHECK (length(title) BETWEEN 1 AND 255),
    default_locale   text NOT NULL DEFAULT 'en',
    web_purchase_url text CONSTRAINT paywalls_web_purchase_url_check CHECK (length(web_purchase_url) BETWEEN 1 AND 2048)
);
CREATE UNIQUE INDEX paywalls_title_key ON adapty.paywalls (title) WHERE NOT is_deleted;
COMMENT ON TABLE adapty.paywalls IS 'Paywalls: products in order, and a remote config by locale.';
COMMENT ON COLUMN adapty.paywalls.revision IS 'Counts the changes of products and remote configs.';
COMMENT ON COLUMN adapty.paywalls.was_live IS 'Has it ever been content of a placement or of a running test?';
COMMENT ON COLUMN adapty.paywalls.is_deleted IS 'Deleted: kept for what was bought from it, found by its id alone.';
COMMENT ON COLUMN adapty.paywalls.default_locale IS 'The locale of last resort.';

CREATE TABLE adapty.paywall_products (
    paywall_id uuid NOT NULL REFERENCES adapty.paywalls ON DELETE CASCADE,
    product_id uuid NOT NULL REFERENCES adapty.products,
    offer_id   uuid,
    position   smallint NOT NULL CONSTRAINT paywall_products_position_check CHECK (position > 0),
    PRIMARY KEY (paywall_id, position),
    CONSTRAINT paywall_products_product_key UNIQUE (paywall_id, product_id),
    CONSTRAINT paywall_products_offer_fkey FOREIGN KEY (product_id, offer_id) REFERENCES adapty.offers (product_id, offer_id)
);
CREATE INDEX paywall_products_product_id_idx ON adapty.paywall_products (product_id);
COMMENT ON TABLE adapty.paywall_products IS 'The products of a paywall in order, each with at most one offer.';

CREATE TABLE adapty.remote_configs (
    paywall_id uuid NOT NULL REFERENCES adapty.paywalls ON DELETE CASCADE,
    locale     text NOT NULL CONSTRAINT remote_configs_locale_check CHECK (locale ~ '^[a-z0-9]{1,8}(-[a-z0-9]{1,8}){0,7}$'),
    data       text NOT NULL CONSTRAINT remote_configs_data_check CHECK (octet_length(data) <= 1048576),
    PRIMARY KEY (paywall_id, locale)
);
COMMENT ON TABLE adapty.remote_configs IS 'Remote configs of paywalls, one row a locale.';
COMMENT ON COLUMN adapty.remote_configs.locale IS 'Lower-case subtags joined by hyphens: en, pt-br, zh-hant.';
COMMENT ON COLUMN adapty.remote_configs.data IS 'JSON, byte for byte as it was given.';

CREATE TABLE adapty.placements (
    placement_id   text PRIMARY KEY CONSTRAINT placements_placement_id_check CHECK (length(placement_id) BETWEEN 1 AND 255),
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    placement_type adapty.placement_type NOT NULL DEFAULT 'paywall',
    is_active      boolean NOT NULL DEFAULT true,
    title          text NOT NULL CONSTRAINT placements_title_check CHECK (length(title) BETWEEN 1 AND 255)
);
COMMENT ON TABLE adapty.placements IS 'Places in the app that show something. Who sees what there: adapty.audiences.';
COMMENT ON COLUMN adapty.placements.placement_id IS 'Identifier used by apps (the API''s developer_id), case-sensitive, nothing trimmed.';
COMMENT ON COLUMN adapty.placements.is_active IS 'An inactive placement shows nothing.';

CREATE TABLE adapty.ab_tests (
    ab_test_id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    previous_id           uuid REFERENCES adapty.ab_tests,
    created_at            timestamptz NOT NULL DEFAULT now(),
    started_at            timestamptz,
    completed_at          timestamptz,
    archived_at           timestamptz,
    revision              integer NOT NULL DEFAULT 1,
    state                 adapty.ab_test_state NOT NULL DEFAULT 'draft',
    is_cross_placement    boolean NOT NULL,
    winner                smallint,
    name                  text NOT NULL CONSTRAINT ab_tests_name_check CHECK (length(name) BETWEEN 1 AND 255),
    goal                  text CONSTRAINT ab_tests_goal_check CHECK (length(goal) BETWEEN 1 AND 1000),
    segment_id            uuid REFERENCES adapty.segments,
    released_segment_id   uuid,
    CONSTRAINT ab_tests_name_key UNIQUE (name, revision),
    CONSTRAINT ab_tests_state_check CHECK (
        (started_at IS NOT NULL) = (state <> 'draft') AND (completed_at IS NOT NULL) = (state IN ('completed', 'archived'))
        AND (archived_at IS NOT NULL) = (state = 'archived'))
);
COMMENT ON TABLE adapty.ab_tests IS 'A/B tests: variations of what a placement (or, cross-placement, several) shows to one audience.';
COMMENT ON COLUMN adapty.ab_tests.previous_id IS 'The test that this one is a modification of.';
COMMENT ON COLUMN adapty.ab_tests.revision IS 'Counts the modifications of a test: name and revision are unique, the name alone means the newest.';
COMMENT ON COLUMN adapty.ab_tests.winner IS 'Position of the variation that was chosen when the test was stopped; null for none.';
COMMENT ON COLUMN adapty.ab_tests.segment_id IS 'The audience; null for all users. An archived test has let go of it.';
COMMENT ON COLUMN adapty.ab_tests.released_segment_id IS 'The audience that an archived test had; the segment may be gone.';

CREATE TABLE adapty.ab_test_variations (
    ab_test_id uuid NOT NULL REFERENCES adapty.ab_tests ON DELETE CASCADE,
    position   smallint NOT NULL CONSTRAINT ab_test_variations_position_check CHECK (position BETWEEN 1 AND 20),
    weight     numeric(5,2) NOT NULL CONSTRAINT ab_test_variations_weight_check CHECK (weight > 0 AND weight < 100),
    name       text NOT NULL CONSTRAINT ab_test_variations_name_check CHECK (length(name) BETWEEN 1 AND 255),
    PRIMARY KEY (ab_test_id, position),
    CONSTRAINT ab_test_variations_name_key UNIQUE (ab_test_id, name)
);
COMMENT ON TABLE adapty.ab_test_variations IS 'The variations of a test and their share of its users.';
COMMENT ON COLUMN adapty.ab_test_variations.weight IS 'Percent; those of a test add up to 100.';

CREATE TABLE adapty.variations (
    variation_id       uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    paywall_id         uuid NOT NULL REFERENCES adapty.paywalls,
    ab_test_id         uuid,
    created_at         timestamptz NOT NULL DEFAULT now(),
    position           smallint,
    placement_position smallint NOT NULL DEFAULT 1,
    segment_id         uuid,
    placement_id       text NOT NULL,
    CONSTRAINT variations_ab_test_fkey FOREIGN KEY (ab_test_id, position) REFERENCES adapty.ab_test_variations ON DELETE CASCADE,
    CONSTRAINT variations_ab_test_key UNIQUE (ab_test_id, position, placement_id),
    CONSTRAINT variations_ab_test_check CHECK ((ab_test_id IS NULL) = (position IS NULL))
);
CREATE UNIQUE INDEX variations_audience_key ON adapty.variations (placement_id, paywall_id, segment_id) NULLS NOT DISTINCT
    WHERE ab_test_id IS NULL;
CREATE INDEX variations_paywall_id_idx ON adapty.variations (paywall_id);
COMMENT ON TABLE adapty.variations IS 'Everything that was ever shown: a paywall at a placement, to an audience or as a variation of a test. variation_id ties a purchase to it. Kept when placement and audience are gone.';
COMMENT ON COLUMN adapty.variations.placement_position IS 'Which of the test''s placements, from 1.';
COMMENT ON COLUMN adapty.variations.segment_id IS 'The audience when it was made, which may be gone; null for all users.';

CREATE TABLE adapty.audiences (
    placement_id text NOT NULL REFERENCES adapty.placements ON DELETE CASCADE,
    priority     smallint NOT NULL CONSTRAINT audiences_priority_check CHECK (priority >= 0),
    segment_id   uuid REFERENCES adapty.segments,
    variation_id uuid REFERENCES adapty.variations,
    ab_test_id   uuid REFERENCES adapty.ab_tests,
    PRIMARY KEY (placement_id, priority),
    CONSTRAINT audiences_segment_key UNIQUE NULLS NOT DISTINCT (placement_id, segment_id),
    CONSTRAINT audiences_content_check CHECK (num_nonnulls(variation_id, ab_test_id) = 1),
    CONSTRAINT audiences_default_check CHECK ((segment_id IS NULL) = (priority = 32767))
);
CREATE INDEX audiences_segment_id_idx ON adapty.audiences (segment_id);
CREATE INDEX audiences_variation_id_idx ON adapty.audiences (variation_id);
CREATE INDEX audiences_ab_test_id_idx ON adapty.audiences (ab_test_id);
COMMENT ON TABLE adapty.audiences IS 'Who sees what at a placement: the first audience by priority that the user is in.';
COMMENT ON COLUMN adapty.audiences.priority IS 'Lower is looked at first. The default audience, all users, has 32767 and so is always last.';
COMMENT ON COLUMN adapty.audiences.variation_id IS 'The content: a paywall, under the id that purchases name; or else a running test.';

-- ---- What users did: large, written once a first exposure or once a view ----
-- No foreign key to the test: its row would be locked by every user who enters.
CREATE TABLE adapty.ab_test_assignments (
    profile_id   uuid NOT NULL REFERENCES adapty.profiles ON DELETE CASCADE,
    ab_test_id   uuid NOT NULL,
    assigned_at  timestamptz NOT NULL DEFAULT now(),
    position     smallint NOT NULL,
    is_inherited boolean NOT NULL DEFAULT false,
    PRIMARY KEY (profile_id, ab_test_id)
);
CREATE INDEX ab_test_assignments_ab_test_idx ON adapty.ab_test_assignments (ab_test_id, position);
COMMENT ON TABLE adapty.ab_test_assignments IS 'Which variation of a test a user has, from the first exposure on.';
COMMENT ON COLUMN adapty.ab_test_assignments.position IS 'The variation: see ab_test_variations.';
COMMENT ON COLUMN adapty.ab_test_assignments.is_inherited IS 'Taken over from the test of which this one is a modification, not drawn by its weights.';

CREATE TABLE adapty.paywall_requests (
    profile_id   uuid PRIMARY KEY REFERENCES adapty.profiles ON DELETE CASCADE,
    requested_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE adapty.paywall_requests IS 'Users for whom a paywall was ever asked, and when first: they are not new to cross-placement tests.';

-- Append-only and without keys, so that it may be replaced by a partitioned table of the same columns.
CREATE TABLE adapty.paywall_views (
    profile_id   uuid NOT NULL,
    variation_id uuid NOT NULL,
    viewed_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX paywall_views_variation_idx ON adapty.paywall_views (variation_id, viewed_at);
CREATE INDEX paywall_views_profile_idx ON adapty.paywall_views (profile_id);
COMMENT ON TABLE adapty.paywall_views IS 'Every time a paywall was shown. Views of a deleted profile stay under a profile_id that nothing leads to any more.';

CREATE TYPE adapty.ab_test_result AS (
    variation                   text,
    weight                      numeric,
    assigned_users              bigint,
    views                       bigint,
    unique_viewers              bigint,
    purchases                   bigint,
    paying_users                bigint,
    trials                      bigint,
    trials_cancelled            bigint,
    refunds                     bigint,
    revenue_usd                 numeric,
    proceeds_usd                numeric,
    unpriced_transactions       bigint,
    conversion                  double precision,
    unique_conversion           double precision,
    unique_conversion_low       double precision,
    unique_conversion_high      double precision,
    conversion_probability_best double precision,
    refund_rate                 double precision,
    arppu_usd                   double precision,
    revenue_per_1000_users      double precision,
    revenue_per_1000_users_low  double precision,
    revenue_per_1000_users_high double precision,
    probability_best            double precision,
    sample_ratio_p              double precision
);
COMMENT ON TYPE adapty.ab_test_result IS 'What one variation of an A/B test has brought; each column is defined in docs/ab-tests.md.';

-- Results look for what was bought from a variation.
CREATE INDEX transactions_variation_id_idx ON adapty.transactions (variation_id) WHERE variation_id IS NOT NULL;

SELECT pg_catalog.pg_extension_config_dump('adapty.offers', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.paywalls', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.paywall_products', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.remote_configs', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.placements', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.ab_tests', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.ab_test_variations', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.variations', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.audiences', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.ab_test_assignments', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.paywall_requests', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.paywall_views', '');
