-- HTTP: API keys, what PostgREST calls before each request, and settings that only the API shows.

-- ---- API keys: for the owner alone, so that nobody who holds a key can make another ----
CREATE OR REPLACE FUNCTION adapty.create_api_key(
        kind adapty.api_key_kind, name text, environment adapty.environment DEFAULT 'Production')
    RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_create_api_key';
COMMENT ON FUNCTION adapty.create_api_key(adapty.api_key_kind, text, adapty.environment) IS
    'Creates an API key and returns it, this once: only its SHA-256 is kept. name says whose it is and appears as the actor of what is done with it.';
REVOKE ALL ON FUNCTION adapty.create_api_key(adapty.api_key_kind, text, adapty.environment) FROM PUBLIC;

CREATE OR REPLACE FUNCTION adapty.add_api_key(
        key_sha256 text, kind adapty.api_key_kind, name text, environment adapty.environment DEFAULT 'Production')
    RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_add_api_key';
COMMENT ON FUNCTION adapty.add_api_key(text, adapty.api_key_kind, text, adapty.environment) IS
    'Lets a key that exists elsewhere be used here, by the 64 hexadecimal digits of its SHA-256, and returns its api_key_id.';
REVOKE ALL ON FUNCTION adapty.add_api_key(text, adapty.api_key_kind, text, adapty.environment) FROM PUBLIC;

CREATE OR REPLACE FUNCTION adapty.revoke_api_key(api_key_id uuid) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_revoke_api_key';
COMMENT ON FUNCTION adapty.revoke_api_key(uuid) IS
    'Ends an API key at once and for ever. One that is revoked already stays so.';
REVOKE ALL ON FUNCTION adapty.revoke_api_key(uuid) FROM PUBLIC;

CREATE OR REPLACE FUNCTION adapty.list_api_keys()
    RETURNS TABLE (api_key_id uuid, kind adapty.api_key_kind, environment adapty.environment, name text,
        key_hint text, created_at timestamptz, last_used_at timestamptz, revoked_at timestamptz)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT k.api_key_id, k.kind, k.environment, k.name, k.key_hint, k.created_at, k.last_used_at, k.revoked_at
    FROM adapty.api_keys k ORDER BY k.created_at, k.api_key_id;
END;
COMMENT ON FUNCTION adapty.list_api_keys() IS 'All API keys, revoked ones too, without what would let anybody use them.';
REVOKE ALL ON FUNCTION adapty.list_api_keys() FROM PUBLIC;

-- ---- Before each request ----
CREATE OR REPLACE FUNCTION adapty.pre_request() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_pre_request';
COMMENT ON FUNCTION adapty.pre_request() IS
    'What PostgREST is to call before each request (db-pre-request): takes the role of the API key in the Authorization header, and refuses whoever has neither a key nor a token of one of the roles.';
REVOKE ALL ON FUNCTION adapty.pre_request() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.pre_request() TO adapty_anon, adapty_server, adapty_sdk, adapty_analyst;

-- ---- Settings of a user that the API has endpoints for ----
CREATE OR REPLACE FUNCTION adapty.get_refund_saver_settings(customer_user_id text) RETURNS jsonb
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_get_refund_saver_settings';
COMMENT ON FUNCTION adapty.get_refund_saver_settings(text) IS
    'A user''s consent to share data about refunds, and preference for them: {profile_id, settings: {consent, custom_preference}}.';
CREATE OR REPLACE FUNCTION adapty.get_refund_saver_settings(profile_id uuid) RETURNS jsonb
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_get_refund_saver_settings_by_profile_id';
COMMENT ON FUNCTION adapty.get_refund_saver_settings(uuid) IS
    'A profile''s consent to share data about refunds, and preference for them.';
CREATE OR REPLACE FUNCTION adapty.set_refund_saver_settings(customer_user_id text, settings jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_set_refund_saver_settings';
COMMENT ON FUNCTION adapty.set_refund_saver_settings(text, jsonb) IS
    'Sets consent (boolean), custom_preference (grant, no_preference or decline) or both, and returns the settings as they are then.';
CREATE OR REPLACE FUNCTION adapty.set_refund_saver_settings(profile_id uuid, settings jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_set_refund_saver_settings_by_profile_id';
COMMENT ON FUNCTION adapty.set_refund_saver_settings(uuid, jsonb) IS
    'Sets consent, custom_preference or both of a profile, and returns the settings as they are then.';
CREATE OR REPLACE FUNCTION adapty.get_integration_identifiers(customer_user_id text) RETURNS jsonb
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_get_integration_identifiers';
COMMENT ON FUNCTION adapty.get_integration_identifiers(text) IS
    'A user''s ids in third-party services, all that there can be, null for those without a value. update_profile() sets them.';
CREATE OR REPLACE FUNCTION adapty.get_integration_identifiers(profile_id uuid) RETURNS jsonb
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_get_integration_identifiers_by_profile_id';
COMMENT ON FUNCTION adapty.get_integration_identifiers(uuid) IS
    'A profile''s ids in third-party services, null for those without a value.';
REVOKE ALL ON FUNCTION adapty.get_refund_saver_settings(text), adapty.get_refund_saver_settings(uuid),
    adapty.set_refund_saver_settings(text, jsonb), adapty.set_refund_saver_settings(uuid, jsonb),
    adapty.get_integration_identifiers(text), adapty.get_integration_identifiers(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.get_refund_saver_settings(text), adapty.get_refund_saver_settings(uuid),
    adapty.set_refund_saver_settings(text, jsonb), adapty.set_refund_saver_settings(uuid, jsonb),
    adapty.get_integration_identifiers(text), adapty.get_integration_identifiers(uuid)
    TO adapty_server, adapty_sdk;
GRANT SELECT ON adapty.refund_saver_settings TO adapty_server;
