-- Roles are global to the cluster: they are created when missing and survive DROP EXTENSION.
CREATE FUNCTION adapty._ensure_role(role_name name) RETURNS boolean
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_ensure_role';
REVOKE ALL ON FUNCTION adapty._ensure_role(name) FROM PUBLIC;
COMMENT ON FUNCTION adapty._ensure_role(name) IS
    'Creates a NOLOGIN role if there is none of that name; true if it was created. Private: used by the install script.';

SELECT adapty._ensure_role('adapty_server');
SELECT adapty._ensure_role('adapty_sdk');
SELECT adapty._ensure_role('adapty_analyst');

GRANT USAGE ON SCHEMA adapty TO adapty_server, adapty_sdk, adapty_analyst;
