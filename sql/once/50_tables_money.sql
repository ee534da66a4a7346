-- What was bought. A row whose profile_id is the nil UUID belongs to nobody (yet, or any more).
CREATE TABLE adapty.transactions (
    profile_id                    uuid NOT NULL,
    purchased_at                  timestamptz NOT NULL,
    originally_purchased_at       timestamptz NOT NULL,
    expires_at                    timestamptz,
    refunded_at                   timestamptz,
    renew_status_changed_at       timestamptz,
    billing_issue_detected_at     timestamptz,
    grace_period_expires_at       timestamptz,
    paused_at                     timestamptz,
    resumes_at                    timestamptz,
    reported_at                   timestamptz,
    recorded_at                   timestamptz NOT NULL DEFAULT now(),
    updated_at                    timestamptz NOT NULL DEFAULT now(),
    purchase_type                 adapty.purchase_type NOT NULL,
    environment                   adapty.environment NOT NULL DEFAULT 'Production',
    offer_category                adapty.offer_category,
    offer_type                    adapty.offer_type,
    cancellation_reason           adapty.cancellation_reason,
    purchase_id                   uuid NOT NULL DEFAULT gen_random_uuid(),
    product_id                    uuid REFERENCES adapty.products ON DELETE SET NULL,
    renew_status                  boolean,
    is_family_shared              boolean NOT NULL DEFAULT false,
    store                         adapty.store NOT NULL,
    store_transaction_id          text NOT NULL CONSTRAINT transactions_store_transaction_id_check CHECK (length(store_transaction_id) BETWEEN 1 AND 50),
    store_original_transaction_id text NOT NULL CONSTRAINT transactions_store_original_transaction_id_check CHECK (length(store_original_transaction_id) BETWEEN 1 AND 255),
    store_product_id              text NOT NULL CONSTRAINT transactions_store_product_id_check CHECK (length(store_product_id) BETWEEN 1 AND 255),
    store_base_plan_id            text NOT NULL DEFAULT '',
    price_country                 adapty.country_code NOT NULL,
    price_currency                adapty.currency_code NOT NULL,
    price_value                   numeric NOT NULL CONSTRAINT transactions_price_value_check CHECK (price_value >= 0 AND price_value < 1e12),
    price_usd                     numeric,
    variation_id                  text CONSTRAINT transactions_variation_id_check CHECK (length(variation_id) BETWEEN 1 AND 255),
    offer_id                      text CONSTRAINT transactions_offer_id_check CHECK (length(offer_id) BETWEEN 1 AND 255),
    commission_rate               numeric,
    tax_rate                      numeric,
    is_after_first_year           boolean NOT NULL DEFAULT false,
    PRIMARY KEY (profile_id, store, store_transaction_id),
    CONSTRAINT transactions_store_transaction_id_key UNIQUE (store, store_transaction_id),
    CONSTRAINT transactions_expires_at_check CHECK (expires_at > purchased_at),
    CONSTRAINT transactions_subscription_check CHECK (
        CASE purchase_type WHEN 'subscription' THEN expires_at IS NOT NULL AND renew_status IS NOT NULL
                           ELSE expires_at IS NULL AND renew_status IS NULL END)
);
CREATE INDEX transactions_chain_idx ON adapty.transactions (profile_id, store, store_original_transaction_id, purchased_at);
CREATE INDEX transactions_product_id_idx ON adapty.transactions (product_id);
CREATE INDEX transactions_incomplete_idx ON adapty.transactions (price_currency)
    WHERE price_usd IS NULL OR commission_rate IS NULL OR tax_rate IS NULL;
COMMENT ON TABLE adapty.transactions IS 'Every purchase, renewal and refund as the stores reported it, one row a store transaction.';
COMMENT ON COLUMN adapty.transactions.profile_id IS 'Who bought; the nil UUID when nobody known did.';
COMMENT ON COLUMN adapty.transactions.paused_at IS 'When a pause of the subscription takes access away; null for none.';
COMMENT ON COLUMN adapty.transactions.resumes_at IS 'When the store means to end the pause; for people, the next transaction ends it.';
COMMENT ON COLUMN adapty.transactions.reported_at IS 'The moment of the store''s state that this row shows, where the report said so: an older report does not overwrite it.';
COMMENT ON COLUMN adapty.transactions.product_id IS 'The product the store product was mapped to when it was reported; null if it was not mapped.';
COMMENT ON COLUMN adapty.transactions.price_usd IS 'The price in US dollars at the rate of the moment of purchase, fixed when it was recorded; null if the rate was unknown. See apply_currency_rates().';
COMMENT ON COLUMN adapty.transactions.commission_rate IS 'The store''s part of the price, fixed when the transaction was recorded: 0.15 is 15 percent.';
COMMENT ON COLUMN adapty.transactions.tax_rate IS 'The tax that the price contains, fixed when the transaction was recorded: 0.19 is 19 percent of what is left without it.';
COMMENT ON COLUMN adapty.transactions.is_after_first_year IS 'A payment after a year of uninterrupted subscription, for which stores may take less.';

CREATE TABLE adapty.subscriptions (
    profile_id                    uuid NOT NULL,
    purchased_at                  timestamptz NOT NULL,
    originally_purchased_at       timestamptz NOT NULL,
    expires_at                    timestamptz NOT NULL,
    grace_period_expires_at       timestamptz,
    renewal_cancelled_at          timestamptz,
    billing_issue_detected_at     timestamptz,
    refunded_at                   timestamptz,
    renew_status_changed_at       timestamptz,
    paused_at                     timestamptz,
    resumes_at                    timestamptz,
    starts_at                     timestamptz NOT NULL,
    expiry_announced_at           timestamptz,
    updated_at                    timestamptz NOT NULL DEFAULT now(),
    environment                   adapty.environment NOT NULL,
    offer_category                adapty.offer_category,
    offer_type                    adapty.offer_type,
    cancellation_reason           adapty.cancellation_reason,
    product_id                    uuid REFERENCES adapty.products ON DELETE SET NULL,
    renew_status                  boolean NOT NULL,
    is_family_shared              boolean NOT NULL DEFAULT false,
    store                         adapty.store NOT NULL,
    store_original_transaction_id text NOT NULL,
    store_transaction_id          text NOT NULL,
    store_product_id              text NOT NULL,
    store_base_plan_id            text NOT NULL DEFAULT '',
    offer_id                      text,
    PRIMARY KEY (profile_id, store, store_original_transaction_id),
    CONSTRAINT subscriptions_store_original_transaction_id_key UNIQUE (store, store_original_transaction_id)
);
CREATE INDEX subscriptions_product_id_idx ON adapty.subscriptions (product_id);
COMMENT ON TABLE adapty.subscriptions IS 'The current state of each chain of subscription transactions: one row an original transaction.';
COMMENT ON COLUMN adapty.subscriptions.store_transaction_id IS 'The newest transaction of the chain.';
COMMENT ON COLUMN adapty.subscriptions.starts_at IS 'The earliest purchase that is known of the chain: access from it begins there.';
COMMENT ON COLUMN adapty.subscriptions.expiry_announced_at IS 'The end that subscription_expired or trial_expired told of; null while there is none to tell of. Maintained by the extension.';

SELECT pg_catalog.pg_extension_config_dump('adapty.transactions', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.subscriptions', '');
