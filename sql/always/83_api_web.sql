-- Endpoints of the web API, for public keys.
CREATE OR REPLACE FUNCTION adapty_api.web_get_paywall(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_web_get_paywall';
COMMENT ON FUNCTION adapty_api.web_get_paywall(bytea) IS
    'POST /api/v2/web-api/paywall/';
CREATE OR REPLACE FUNCTION adapty_api.web_record_paywall_view(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_web_record_paywall_view';
COMMENT ON FUNCTION adapty_api.web_record_paywall_view(bytea) IS
    'POST /api/v2/web-api/paywall/visit/';
CREATE OR REPLACE FUNCTION adapty_api.web_add_attribution(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_web_add_attribution';
COMMENT ON FUNCTION adapty_api.web_add_attribution(bytea) IS
    'POST /api/v2/web-api/attribution/';
REVOKE ALL ON FUNCTION
    adapty_api.web_get_paywall(bytea),
    adapty_api.web_record_paywall_view(bytea),
    adapty_api.web_add_attribution(bytea)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    adapty_api.web_get_paywall(bytea),
    adapty_api.web_record_paywall_view(bytea),
    adapty_api.web_add_attribution(bytea)
    TO adapty_server, adapty_sdk;
