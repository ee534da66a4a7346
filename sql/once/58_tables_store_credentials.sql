-- The keys by which the stores are asked for a purchase.
CREATE TABLE adapty.store_credentials (
    provider    text NOT NULL CONSTRAINT store_credentials_provider_check CHECK (provider IN ('stripe', 'paddle')),
    environment adapty.environment NOT NULL,
    secret      text NOT NULL CONSTRAINT store_credentials_secret_check CHECK (length(secret) BETWEEN 1 AND 500 AND secret !~ '[^!-~]'),
    base_url    text NOT NULL CONSTRAINT store_credentials_base_url_check CHECK (length(base_url) <= 300 AND base_url ~ '^https?://[!-~]+$'),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (provider, environment)
);
COMMENT ON TABLE adapty.store_credentials IS 'How a store''s API is asked. Nobody but the owner reads it; written by set_store_credentials().';
COMMENT ON COLUMN adapty.store_credentials.environment IS 'Purchases that the store tells of by this key are of this environment.';
COMMENT ON COLUMN adapty.store_credentials.secret IS 'The API key.';
COMMENT ON COLUMN adapty.store_credentials.base_url IS 'Where the API is, without a slash at the end.';

SELECT pg_catalog.pg_extension_config_dump('adapty.store_credentials', '');
