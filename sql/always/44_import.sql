-- Imports of historical transactions: docs/import.md.
CREATE OR REPLACE FUNCTION adapty.begin_import(name text DEFAULT NULL) RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_begin_import';
COMMENT ON FUNCTION adapty.begin_import(text) IS
    'Begins an import of historical transactions and returns its import_id. Rows that this session then copies into import_transactions belong to it (adapty.import_id).';
REVOKE ALL ON FUNCTION adapty.begin_import(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.begin_import(text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.load_import(
        import_id integer,
        with_events boolean DEFAULT false,
        OUT loaded bigint,
        OUT known bigint,
        OUT without_purchase bigint,
        OUT rejected bigint,
        OUT unmapped bigint,
        OUT profiles_created bigint)
    RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_load_import';
COMMENT ON FUNCTION adapty.load_import(integer, boolean) IS
    'Loads the rows of an import: creates missing profiles, records transactions, subscriptions and access. Writes no events unless with_events is true. Rows that are wrong stay, with their reason in import_errors.';
REVOKE ALL ON FUNCTION adapty.load_import(integer, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.load_import(integer, boolean) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.drop_import(import_id integer) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_drop_import';
COMMENT ON FUNCTION adapty.drop_import(integer) IS
    'Forgets an import: its row, its errors, and the rows that were not loaded, whose number it returns. What was loaded stays.';
REVOKE ALL ON FUNCTION adapty.drop_import(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.drop_import(integer) TO adapty_server;

-- COPY runs with the caller's own rights; rows that are wrong may be put right or deleted in place.
GRANT SELECT, INSERT, UPDATE, DELETE ON adapty.import_transactions TO adapty_server;
GRANT SELECT ON adapty.imports, adapty.import_errors TO adapty_server;
