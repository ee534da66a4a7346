-- Endpoints of virtual currencies: see 81_api_v2.sql.
CREATE OR REPLACE FUNCTION adapty_api.v2_create_virtual_currency_transaction(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_v2_create_virtual_currency_transaction';
COMMENT ON FUNCTION adapty_api.v2_create_virtual_currency_transaction(bytea) IS
    'POST /api/v2/server-side-api/vc/transactions/';
CREATE OR REPLACE FUNCTION adapty_api.v2_get_virtual_currency_transactions(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_v2_get_virtual_currency_transactions';
COMMENT ON FUNCTION adapty_api.v2_get_virtual_currency_transactions(bytea) IS
    'GET /api/v2/server-side-api/vc/transactions/';
CREATE OR REPLACE FUNCTION adapty_api.v2_get_virtual_currency_balances(bytea) RETURNS adapty_api."*/*"
    LANGUAGE c STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_api_v2_get_virtual_currency_balances';
COMMENT ON FUNCTION adapty_api.v2_get_virtual_currency_balances(bytea) IS
    'GET /api/v2/server-side-api/vc/balances/';
REVOKE ALL ON FUNCTION
    adapty_api.v2_create_virtual_currency_transaction(bytea),
    adapty_api.v2_get_virtual_currency_transactions(bytea),
    adapty_api.v2_get_virtual_currency_balances(bytea)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    adapty_api.v2_create_virtual_currency_transaction(bytea),
    adapty_api.v2_get_virtual_currency_transactions(bytea),
    adapty_api.v2_get_virtual_currency_balances(bytea)
    TO adapty_server, adapty_sdk;
