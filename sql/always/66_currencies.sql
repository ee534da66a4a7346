-- Virtual currencies.

-- ---- Definitions ----
CREATE OR REPLACE FUNCTION adapty.define_virtual_currency(
        currency_code text, name text DEFAULT NULL, description text DEFAULT NULL)
    RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_define_virtual_currency';
COMMENT ON FUNCTION adapty.define_virtual_currency(text, text, text) IS
    'Creates a virtual currency, or changes its name or description, and returns its code: 1 to 32 letters, digits or "_", in capitals, for ever. What is not given stays; a new one is called by its code.';
REVOKE ALL ON FUNCTION adapty.define_virtual_currency(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.define_virtual_currency(text, text, text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.link_virtual_currency(
        currency_code text, product_id uuid, amount integer,
        trial_amount integer DEFAULT NULL, expires boolean DEFAULT false)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_link_virtual_currency';
COMMENT ON FUNCTION adapty.link_virtual_currency(text, uuid, integer, integer, boolean) IS
    'From now on purchases and renewals of the product credit amount of the currency, and starts of its trial trial_amount. With expires, what is left of a subscription''s cycle goes at the next renewal and at the end.';
REVOKE ALL ON FUNCTION adapty.link_virtual_currency(text, uuid, integer, integer, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.link_virtual_currency(text, uuid, integer, integer, boolean) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.unlink_virtual_currency(currency_code text, product_id uuid) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_unlink_virtual_currency';
COMMENT ON FUNCTION adapty.unlink_virtual_currency(text, uuid) IS
    'From now on the product credits nothing of the currency; balances stay. false if it did not before.';
REVOKE ALL ON FUNCTION adapty.unlink_virtual_currency(text, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.unlink_virtual_currency(text, uuid) TO adapty_server;

-- ---- Balances and transactions ----
CREATE OR REPLACE FUNCTION adapty.create_virtual_currency_transaction(
        customer_user_id text, items jsonb, metadata jsonb DEFAULT NULL, idempotency_key text DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_create_virtual_currency_transaction';
COMMENT ON FUNCTION adapty.create_virtual_currency_transaction(text, jsonb, jsonb, text) IS
    'Credits (amount above 0) and spends (below 0) virtual currencies of a user, all items or none: [{"currency_code": "COINS", "amount": -10}], up to 20, each currency once. Returns transaction_id and the balances after it. A balance that would fall below 0 is an error (23514).';
REVOKE ALL ON FUNCTION adapty.create_virtual_currency_transaction(text, jsonb, jsonb, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.create_virtual_currency_transaction(text, jsonb, jsonb, text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.create_virtual_currency_transaction(
        profile_id uuid, items jsonb, metadata jsonb DEFAULT NULL, idempotency_key text DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_create_virtual_currency_transaction_by_profile_id';
COMMENT ON FUNCTION adapty.create_virtual_currency_transaction(uuid, jsonb, jsonb, text) IS
    'Credits and spends virtual currencies of a profile, all items or none.';
REVOKE ALL ON FUNCTION adapty.create_virtual_currency_transaction(uuid, jsonb, jsonb, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.create_virtual_currency_transaction(uuid, jsonb, jsonb, text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.get_virtual_currency_balances(
        customer_user_id text,
        OUT code text, OUT name text, OUT balance integer, OUT held integer, OUT available integer)
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_get_virtual_currency_balances';
COMMENT ON FUNCTION adapty.get_virtual_currency_balances(text) IS
    'What a user has of each virtual currency of the app, 0 included. held is always 0.';
REVOKE ALL ON FUNCTION adapty.get_virtual_currency_balances(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.get_virtual_currency_balances(text) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.get_virtual_currency_balances(
        profile_id uuid,
        OUT code text, OUT name text, OUT balance integer, OUT held integer, OUT available integer)
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_get_virtual_currency_balances_by_profile_id';
COMMENT ON FUNCTION adapty.get_virtual_currency_balances(uuid) IS
    'What a profile has of each virtual currency of the app, 0 included. held is always 0.';
REVOKE ALL ON FUNCTION adapty.get_virtual_currency_balances(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.get_virtual_currency_balances(uuid) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.get_virtual_currency_transactions(
        customer_user_id text, currency_code text DEFAULT NULL, page_size integer DEFAULT 50, cursor text DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_get_virtual_currency_transactions';
COMMENT ON FUNCTION adapty.get_virtual_currency_transactions(text, text, integer, text) IS
    'A page of a user''s history, newest first: {"data": [...], "pagination": {"next_cursor": ...}}. page_size is 1 to 100; cursor is the next_cursor of the page before; currency_code shows one currency only.';
REVOKE ALL ON FUNCTION adapty.get_virtual_currency_transactions(text, text, integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.get_virtual_currency_transactions(text, text, integer, text) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.get_virtual_currency_transactions(
        profile_id uuid, currency_code text DEFAULT NULL, page_size integer DEFAULT 50, cursor text DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_get_virtual_currency_transactions_by_profile_id';
COMMENT ON FUNCTION adapty.get_virtual_currency_transactions(uuid, text, integer, text) IS
    'A page of a profile''s history, newest first.';
REVOKE ALL ON FUNCTION adapty.get_virtual_currency_transactions(uuid, text, integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.get_virtual_currency_transactions(uuid, text, integer, text) TO adapty_server, adapty_sdk;

-- ---- Guards ----
CREATE OR REPLACE FUNCTION adapty._virtual_currencies_guard() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_virtual_currencies_guard';
COMMENT ON FUNCTION adapty._virtual_currencies_guard() IS 'Trigger: a currency''s code is for ever. Private.';
CREATE OR REPLACE FUNCTION adapty._virtual_currency_ledger_guard() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_virtual_currency_ledger_guard';
COMMENT ON FUNCTION adapty._virtual_currency_ledger_guard() IS 'Trigger: the ledger is append-only; it goes with its profile. Private.';
REVOKE ALL ON FUNCTION adapty._virtual_currencies_guard(), adapty._virtual_currency_ledger_guard() FROM PUBLIC;

CREATE OR REPLACE TRIGGER adapty_permanent BEFORE DELETE OR UPDATE OF currency_code ON adapty.virtual_currencies
    FOR EACH ROW EXECUTE FUNCTION adapty._virtual_currencies_guard();
CREATE OR REPLACE TRIGGER adapty_permanent_truncate BEFORE TRUNCATE ON adapty.virtual_currencies
    FOR EACH STATEMENT EXECUTE FUNCTION adapty._virtual_currencies_guard();
CREATE OR REPLACE TRIGGER adapty_append_only BEFORE UPDATE OR DELETE ON adapty.virtual_currency_transactions
    FOR EACH ROW EXECUTE FUNCTION adapty._virtual_currency_ledger_guard();
CREATE OR REPLACE TRIGGER adapty_append_only_truncate BEFORE TRUNCATE ON adapty.virtual_currency_transactions
    FOR EACH STATEMENT EXECUTE FUNCTION adapty._virtual_currency_ledger_guard();

GRANT SELECT ON adapty.virtual_currencies, adapty.virtual_currency_products TO adapty_server, adapty_sdk, adapty_analyst;
GRANT SELECT ON adapty.virtual_currency_balances, adapty.virtual_currency_lots, adapty.virtual_currency_transactions TO adapty_server;
GRANT SELECT ON adapty.virtual_currency_balances, adapty.virtual_currency_lots TO adapty_analyst;
-- metadata and actor are free text
GRANT SELECT (profile_id, transaction_id, created_at, amount, balance_after, transaction_type, is_expiring, currency_code, source_id)
    ON adapty.virtual_currency_transactions TO adapty_analyst;
