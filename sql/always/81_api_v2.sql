-- Endpoints of the server-side API, version 2: each takes the raw body and answers with the raw response.
-- The web server calls all of them by POST; STABLE ones run in a transaction that may only read.
CREATE OR REPLACE FUNCTION adapty_api.v2_get_profile(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_v2_get_profile';
COMMENT ON FUNCTION adapty_api.v2_get_profile(bytea) IS
    'GET /api/v2/server-side-api/profile/';
CREATE OR REPLACE FUNCTION adapty_api.v2_create_profile(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_v2_create_profile';
COMMENT ON FUNCTION adapty_api.v2_create_profile(bytea) IS
    'POST /api/v2/server-side-api/profile/';
CREATE OR REPLACE FUNCTION adapty_api.v2_update_profile(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_v2_update_profile';
COMMENT ON FUNCTION adapty_api.v2_update_profile(bytea) IS
    'PATCH /api/v2/server-side-api/profile/';
CREATE OR REPLACE FUNCTION adapty_api.v2_delete_profile(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_v2_delete_profile';
COMMENT ON FUNCTION adapty_api.v2_delete_profile(bytea) IS
    'DELETE /api/v2/server-side-api/profile/';
CREATE OR REPLACE FUNCTION adapty_api.v2_set_transaction(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_v2_set_transaction';
COMMENT ON FUNCTION adapty_api.v2_set_transaction(bytea) IS
    'POST /api/v2/server-side-api/purchase/set/transaction/';
CREATE OR REPLACE FUNCTION adapty_api.v2_grant_access_level(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_v2_grant_access_level';
COMMENT ON FUNCTION adapty_api.v2_grant_access_level(bytea) IS
    'POST /api/v2/server-side-api/purchase/profile/grant/access-level/';
CREATE OR REPLACE FUNCTION adapty_api.v2_revoke_access_level(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_v2_revoke_access_level';
COMMENT ON FUNCTION adapty_api.v2_revoke_access_level(bytea) IS
    'POST /api/v2/server-side-api/purchase/profile/revoke/access-level/';
CREATE OR REPLACE FUNCTION adapty_api.v2_get_refund_saver_settings(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_v2_get_refund_saver_settings';
COMMENT ON FUNCTION adapty_api.v2_get_refund_saver_settings(bytea) IS
    'GET /api/v2/server-side-api/purchase/profile/refund-saver/settings/';
CREATE OR REPLACE FUNCTION adapty_api.v2_set_refund_saver_settings(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_v2_set_refund_saver_settings';
COMMENT ON FUNCTION adapty_api.v2_set_refund_saver_settings(bytea) IS
    'POST /api/v2/server-side-api/purchase/profile/refund-saver/settings/';
CREATE OR REPLACE FUNCTION adapty_api.v2_get_integration_identifiers(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_v2_get_integration_identifiers';
COMMENT ON FUNCTION adapty_api.v2_get_integration_identifiers(bytea) IS
    'GET /api/v2/server-side-api/integration/profile/set/integration-identifiers/';
CREATE OR REPLACE FUNCTION adapty_api.v2_set_integration_identifiers(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_v2_set_integration_identifiers';
COMMENT ON FUNCTION adapty_api.v2_set_integration_identifiers(bytea) IS
    'POST /api/v2/server-side-api/integration/profile/set/integration-identifiers/';
CREATE OR REPLACE FUNCTION adapty_api.v2_validate_paddle_token(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_v2_validate_paddle_token';
COMMENT ON FUNCTION adapty_api.v2_validate_paddle_token(bytea) IS
    'POST /api/v2/server-side-api/purchase/paddle/token/validate/';

-- Who may do what is decided by the function: a key that may not gets the answer that the API documents.
REVOKE ALL ON FUNCTION
    adapty_api.v2_get_profile(bytea),
    adapty_api.v2_create_profile(bytea),
    adapty_api.v2_update_profile(bytea),
    adapty_api.v2_delete_profile(bytea),
    adapty_api.v2_set_transaction(bytea),
    adapty_api.v2_grant_access_level(bytea),
    adapty_api.v2_revoke_access_level(bytea),
    adapty_api.v2_get_refund_saver_settings(bytea),
    adapty_api.v2_set_refund_saver_settings(bytea),
    adapty_api.v2_get_integration_identifiers(bytea),
    adapty_api.v2_set_integration_identifiers(bytea),
    adapty_api.v2_validate_paddle_token(bytea)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    adapty_api.v2_get_profile(bytea),
    adapty_api.v2_create_profile(bytea),
    adapty_api.v2_update_profile(bytea),
    adapty_api.v2_delete_profile(bytea),
    adapty_api.v2_set_transaction(bytea),
    adapty_api.v2_grant_access_level(bytea),
    adapty_api.v2_revoke_access_level(bytea),
    adapty_api.v2_get_refund_saver_settings(bytea),
    adapty_api.v2_set_refund_saver_settings(bytea),
    adapty_api.v2_get_integration_identifiers(bytea),
    adapty_api.v2_set_integration_identifiers(bytea),
    adapty_api.v2_validate_paddle_token(bytea)
    TO adapty_server, adapty_sdk;

-- Paywalls
CREATE OR REPLACE FUNCTION adapty_api.v2_list_paywalls(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_v2_list_paywalls';
COMMENT ON FUNCTION adapty_api.v2_list_paywalls(bytea) IS
    'GET /api/v2/server-side-api/paywalls/';
CREATE OR REPLACE FUNCTION adapty_api.v2_get_paywall(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_v2_get_paywall';
COMMENT ON FUNCTION adapty_api.v2_get_paywall(bytea) IS
    'GET /api/v2/server-side-api/paywalls/{paywall_id}/';
CREATE OR REPLACE FUNCTION adapty_api.v2_update_paywall(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_v2_update_paywall';
COMMENT ON FUNCTION adapty_api.v2_update_paywall(bytea) IS
    'PUT /api/v2/server-side-api/paywalls/{paywall_id}/';
REVOKE ALL ON FUNCTION
    adapty_api.v2_list_paywalls(bytea),
    adapty_api.v2_get_paywall(bytea),
    adapty_api.v2_update_paywall(bytea)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    adapty_api.v2_list_paywalls(bytea),
    adapty_api.v2_get_paywall(bytea),
    adapty_api.v2_update_paywall(bytea)
    TO adapty_server, adapty_sdk;
