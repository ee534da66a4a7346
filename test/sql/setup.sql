-- The extension, in the database that the other regression tests share.
CREATE EXTENSION adapty;
-- Its library is of the same version, and the roles are there.
SELECT x.extversion = a.default_version AS is_newest, n.nspname AS schema
    FROM pg_catalog.pg_extension x
    JOIN pg_catalog.pg_available_extensions a ON a.name = x.extname
    JOIN pg_catalog.pg_namespace n ON n.oid = x.extnamespace
    WHERE x.extname = 'adapty';
SELECT rolname, rolcanlogin, rolsuper FROM pg_catalog.pg_roles WHERE rolname LIKE 'adapty\_%' ORDER BY rolname;
SELECT access_level_id, title FROM adapty.access_levels;
