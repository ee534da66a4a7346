-- The app's catalogue: what can be had, and which store product gives it.
CREATE TABLE adapty.access_levels (
    access_level_id adapty.access_level_id PRIMARY KEY,
    title           text NOT NULL CONSTRAINT access_levels_title_check CHECK (length(title) BETWEEN 1 AND 255),
    created_at      timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE adapty.access_levels IS 'The access levels of the app. "premium" is there from the start and cannot be deleted.';
COMMENT ON COLUMN adapty.access_levels.access_level_id IS 'Identifier used by apps, case-sensitive.';
COMMENT ON COLUMN adapty.access_levels.title IS 'Name for people.';
INSERT INTO adapty.access_levels (access_level_id, title) VALUES ('premium', 'Premium');

CREATE TABLE adapty.products (
    product_id      uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    title           text NOT NULL CONSTRAINT products_title_check CHECK (length(title) BETWEEN 1 AND 255),
    access_level_id adapty.access_level_id REFERENCES adapty.access_levels,
    period          adapty.product_period NOT NULL DEFAULT 'uncategorised',
    created_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT products_consumable_check CHECK (period <> 'consumable' OR access_level_id IS NULL)
);
CREATE INDEX products_access_level_id_idx ON adapty.products (access_level_id);
COMMENT ON TABLE adapty.products IS 'Products: what a purchase unlocks, and for how long.';
COMMENT ON COLUMN adapty.products.access_level_id IS 'The access level that the product gives; null gives none.';
COMMENT ON COLUMN adapty.products.period IS 'For people and analytics: access itself lasts until the store''s expiry.';

CREATE TABLE adapty.store_products (
    store              adapty.store NOT NULL,
    store_product_id   text NOT NULL CONSTRAINT store_products_store_product_id_check CHECK (length(store_product_id) BETWEEN 1 AND 255),
    store_base_plan_id text NOT NULL DEFAULT '' CONSTRAINT store_products_store_base_plan_id_check CHECK (length(store_base_plan_id) <= 255),
    product_id         uuid NOT NULL REFERENCES adapty.products ON DELETE CASCADE,
    PRIMARY KEY (store, store_product_id, store_base_plan_id)
);
CREATE INDEX store_products_product_id_idx ON adapty.store_products (product_id);
COMMENT ON TABLE adapty.store_products IS 'Which product a store''s product is.';
COMMENT ON COLUMN adapty.store_products.store_base_plan_id IS 'Base plan (Google Play) or price (Stripe, Paddle); empty for none.';

SELECT pg_catalog.pg_extension_config_dump('adapty.access_levels', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.products', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.store_products', '');
