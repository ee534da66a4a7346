-- Endpoints of the server-side API, version 1.
CREATE OR REPLACE FUNCTION adapty_api.v1_create_profile(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_v1_create_profile';
COMMENT ON FUNCTION adapty_api.v1_create_profile(bytea) IS
    'POST /api/v1/sdk/profiles/';
CREATE OR REPLACE FUNCTION adapty_api.v1_get_profile(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_v1_get_profile';
COMMENT ON FUNCTION adapty_api.v1_get_profile(bytea) IS
    'GET /api/v1/sdk/profiles/{profile_id_or_customer_user_id}/';
CREATE OR REPLACE FUNCTION adapty_api.v1_update_profile(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_v1_update_profile';
COMMENT ON FUNCTION adapty_api.v1_update_profile(bytea) IS
    'PATCH /api/v1/sdk/profiles/{profile_id_or_customer_user_id}/';
CREATE OR REPLACE FUNCTION adapty_api.v1_delete_profile(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_v1_delete_profile';
COMMENT ON FUNCTION adapty_api.v1_delete_profile(bytea) IS
    'DELETE /api/v1/sdk/profiles/{profile_id_or_customer_user_id}/delete/';
CREATE OR REPLACE FUNCTION adapty_api.v1_grant_access_level(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_v1_grant_access_level';
COMMENT ON FUNCTION adapty_api.v1_grant_access_level(bytea) IS
    'POST /api/v1/sdk/profiles/{profile_id_or_customer_user_id}/paid-access-levels/{access_level}/grant/';
CREATE OR REPLACE FUNCTION adapty_api.v1_revoke_access_level(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_v1_revoke_access_level';
COMMENT ON FUNCTION adapty_api.v1_revoke_access_level(bytea) IS
    'POST /api/v1/sdk/profiles/{profile_id_or_customer_user_id}/paid-access-levels/{access_level}/revoke/';
CREATE OR REPLACE FUNCTION adapty_api.v1_validate_stripe_token(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_v1_validate_stripe_token';
COMMENT ON FUNCTION adapty_api.v1_validate_stripe_token(bytea) IS
    'POST /api/v1/sdk/purchase/stripe/token/validate/';
REVOKE ALL ON FUNCTION
    adapty_api.v1_create_profile(bytea),
    adapty_api.v1_get_profile(bytea),
    adapty_api.v1_update_profile(bytea),
    adapty_api.v1_delete_profile(bytea),
    adapty_api.v1_grant_access_level(bytea),
    adapty_api.v1_revoke_access_level(bytea),
    adapty_api.v1_validate_stripe_token(bytea)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    adapty_api.v1_create_profile(bytea),
    adapty_api.v1_get_profile(bytea),
    adapty_api.v1_update_profile(bytea),
    adapty_api.v1_delete_profile(bytea),
    adapty_api.v1_grant_access_level(bytea),
    adapty_api.v1_revoke_access_level(bytea),
    adapty_api.v1_validate_stripe_token(bytea)
    TO adapty_server, adapty_sdk;
