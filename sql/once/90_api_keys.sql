-- The HTTP API: its schema, its keys, and what it alone needs of tables.
SELECT adapty._ensure_role('adapty_anon');

CREATE SCHEMA adapty_api;
COMMENT ON SCHEMA adapty_api IS 'The endpoints of the server-side API, for PostgREST behind a web server';
GRANT USAGE ON SCHEMA adapty_api TO adapty_anon, adapty_server, adapty_sdk, adapty_analyst;
-- for pre_request()
GRANT USAGE ON SCHEMA adapty TO adapty_anon;

-- PostgREST sends what a function with this result returns as it is, whatever the client accepts.
CREATE DOMAIN adapty_api."*/*" AS bytea;
COMMENT ON DOMAIN adapty_api."*/*" IS 'The body of a response, byte by byte. The name tells PostgREST so.';

CREATE TYPE adapty.api_key_kind AS ENUM ('secret', 'public');
COMMENT ON TYPE adapty.api_key_kind IS 'secret: for backends, everything about users. public: for web pages and apps, no access to users.';

CREATE TABLE adapty.api_keys (
    api_key_id   uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz,
    revoked_at   timestamptz,
    kind         adapty.api_key_kind NOT NULL,
    environment  adapty.environment NOT NULL DEFAULT 'Production',
    name         text NOT NULL CONSTRAINT api_keys_name_check CHECK (length(name) BETWEEN 1 AND 100),
    key_hint     text CONSTRAINT api_keys_key_hint_check CHECK (length(key_hint) BETWEEN 1 AND 100),
    key_hash     bytea NOT NULL CONSTRAINT api_keys_key_hash_key UNIQUE
                 CONSTRAINT api_keys_key_hash_check CHECK (length(key_hash) = 32)
);
CREATE INDEX api_keys_lookup_idx ON adapty.api_keys (substr(key_hash, 1, 8)) WHERE revoked_at IS NULL;
COMMENT ON TABLE adapty.api_keys IS 'API keys, by the SHA-256 of each: a key itself is kept nowhere.';
COMMENT ON COLUMN adapty.api_keys.last_used_at IS 'Noted by requests that write, at most once an hour.';
COMMENT ON COLUMN adapty.api_keys.key_hint IS 'The beginning of the key, to tell one from another; null for a key that was added by its hash.';
COMMENT ON COLUMN adapty.api_keys.environment IS 'A key of Sandbox reports sandbox purchases only.';

CREATE TYPE adapty.refund_preference AS ENUM ('grant', 'no_preference', 'decline');
COMMENT ON TYPE adapty.refund_preference IS 'What to ask of the store when a user requests a refund.';

CREATE TABLE adapty.refund_saver_settings (
    profile_id        uuid PRIMARY KEY REFERENCES adapty.profiles ON DELETE CASCADE,
    consent           boolean NOT NULL DEFAULT false,
    custom_preference adapty.refund_preference NOT NULL DEFAULT 'no_preference',
    updated_at        timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE adapty.refund_saver_settings IS 'Whether a user consents to share data about refunds, and the preference for them. No row: neither.';

SELECT pg_catalog.pg_extension_config_dump('adapty.api_keys', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.refund_saver_settings', '');
