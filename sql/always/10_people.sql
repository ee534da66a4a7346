-- People: profiles, identities, attributes. Each function of one user takes the user by
-- customer_user_id or by profile_id.

-- ---- The clock and private helpers ----
CREATE OR REPLACE FUNCTION adapty.now() RETURNS timestamptz
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'adapty_now';
COMMENT ON FUNCTION adapty.now() IS
    'now(), moved by the session''s test clock (adapty.test_clock_offset). What reading functions take for the time.';
REVOKE ALL ON FUNCTION adapty.now() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.now() TO adapty_server, adapty_sdk, adapty_analyst;

CREATE OR REPLACE FUNCTION adapty._iso8601(at timestamptz) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'adapty_iso8601';
COMMENT ON FUNCTION adapty._iso8601(timestamptz) IS
    'A moment as the API writes it, in UTC; null for an infinite one. Private.';
REVOKE ALL ON FUNCTION adapty._iso8601(timestamptz) FROM PUBLIC;
-- event_payload() calls it with its caller's rights.
GRANT EXECUTE ON FUNCTION adapty._iso8601(timestamptz) TO adapty_server;

COMMENT ON FUNCTION adapty.is_custom_attributes(jsonb) IS
    'Is it a valid map of custom attributes? What the domain custom_attributes checks.';

CREATE OR REPLACE FUNCTION adapty._merge_custom_attributes(attributes jsonb, patch jsonb) RETURNS jsonb
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'adapty_merge_custom_attributes';
COMMENT ON FUNCTION adapty._merge_custom_attributes(jsonb, jsonb) IS
    'Custom attributes after a change; null in the patch deletes. Private.';
REVOKE ALL ON FUNCTION adapty._merge_custom_attributes(jsonb, jsonb) FROM PUBLIC;

-- ---- Profiles and identities ----
CREATE OR REPLACE FUNCTION adapty.create_profile(customer_user_id text DEFAULT NULL, attributes jsonb DEFAULT '{}')
    RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_create_profile';
COMMENT ON FUNCTION adapty.create_profile(text, jsonb) IS
    'Creates the profile of a user, anonymous without a customer_user_id, and returns its profile_id. An id that exists is an error (23505). Attributes as in update_profile().';
REVOKE ALL ON FUNCTION adapty.create_profile(text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.create_profile(text, jsonb) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.identify(profile_id uuid, customer_user_id text) RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_identify';
COMMENT ON FUNCTION adapty.identify(uuid, text) IS
    'Makes an anonymous profile known by a customer_user_id and returns the profile_id to use from now on: the same, or that of the profile which has the id already (nothing is merged). A profile that is known by another id is an error (23505).';
REVOKE ALL ON FUNCTION adapty.identify(uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.identify(uuid, text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.get_profile(customer_user_id text) RETURNS jsonb
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_get_profile';
COMMENT ON FUNCTION adapty.get_profile(text) IS
    'The Profile object of the API: revenue, custom attributes, access levels, subscriptions and one-time purchases of a user.';
REVOKE ALL ON FUNCTION adapty.get_profile(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.get_profile(text) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.get_profile(profile_id uuid) RETURNS jsonb
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_get_profile_by_profile_id';
COMMENT ON FUNCTION adapty.get_profile(uuid) IS
    'The Profile object of the API: revenue, custom attributes, access levels, subscriptions and one-time purchases of a user.';
REVOKE ALL ON FUNCTION adapty.get_profile(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.get_profile(uuid) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.update_profile(customer_user_id text, attributes jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_update_profile';
COMMENT ON FUNCTION adapty.update_profile(text, jsonb) IS
    'Changes attributes of a user and returns the Profile object. Keys: the default attributes, custom_attributes (array of {key, value}, or object), installation_meta, integration_identifiers, attributions. Null clears; what is not named stays.';
REVOKE ALL ON FUNCTION adapty.update_profile(text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.update_profile(text, jsonb) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.update_profile(profile_id uuid, attributes jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_update_profile_by_profile_id';
COMMENT ON FUNCTION adapty.update_profile(uuid, jsonb) IS
    'Changes attributes of a user and returns the Profile object. Keys: the default attributes, custom_attributes (array of {key, value}, or object), installation_meta, integration_identifiers, attributions. Null clears; what is not named stays.';
REVOKE ALL ON FUNCTION adapty.update_profile(uuid, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.update_profile(uuid, jsonb) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.delete_profile(customer_user_id text) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_delete_profile';
COMMENT ON FUNCTION adapty.delete_profile(text) IS
    'Deletes a user and all that is held about the user. Transactions and subscriptions stay without an owner, events stay with their profile_id.';
REVOKE ALL ON FUNCTION adapty.delete_profile(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.delete_profile(text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.delete_profile(profile_id uuid) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_delete_profile_by_profile_id';
COMMENT ON FUNCTION adapty.delete_profile(uuid) IS
    'Deletes a user and all that is held about the user. Transactions and subscriptions stay without an owner, events stay with their profile_id.';
REVOKE ALL ON FUNCTION adapty.delete_profile(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.delete_profile(uuid) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.export_profile(customer_user_id text) RETURNS jsonb
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_export_profile';
COMMENT ON FUNCTION adapty.export_profile(text) IS
    'Everything held about a user, one key a table, times in UTC: for a data-subject request.';
REVOKE ALL ON FUNCTION adapty.export_profile(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.export_profile(text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.export_profile(profile_id uuid) RETURNS jsonb
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_export_profile_by_profile_id';
COMMENT ON FUNCTION adapty.export_profile(uuid) IS
    'Everything held about a user, one key a table, times in UTC: for a data-subject request.';
REVOKE ALL ON FUNCTION adapty.export_profile(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.export_profile(uuid) TO adapty_server;

-- ---- Attributes ----
-- A literal or null is the text form; integers and numerics are the double precision form.

CREATE OR REPLACE FUNCTION adapty.set_attribute(customer_user_id text, key text, value text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_set_attribute_text';
COMMENT ON FUNCTION adapty.set_attribute(text, text, text) IS
    'Sets one attribute of a user: a default one by its name, else a custom one. Null or an empty string deletes it.';
REVOKE ALL ON FUNCTION adapty.set_attribute(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.set_attribute(text, text, text) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.set_attribute(profile_id uuid, key text, value text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_set_attribute_text_by_profile_id';
COMMENT ON FUNCTION adapty.set_attribute(uuid, text, text) IS
    'Sets one attribute of a user: a default one by its name, else a custom one. Null or an empty string deletes it.';
REVOKE ALL ON FUNCTION adapty.set_attribute(uuid, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.set_attribute(uuid, text, text) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.set_attribute(customer_user_id text, key text, value double precision) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_set_attribute_number';
COMMENT ON FUNCTION adapty.set_attribute(text, text, double precision) IS
    'Sets one attribute of a user: a default one by its name, else a custom one. Null or an empty string deletes it.';
REVOKE ALL ON FUNCTION adapty.set_attribute(text, text, double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.set_attribute(text, text, double precision) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.set_attribute(profile_id uuid, key text, value double precision) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_set_attribute_number_by_profile_id';
COMMENT ON FUNCTION adapty.set_attribute(uuid, text, double precision) IS
    'Sets one attribute of a user: a default one by its name, else a custom one. Null or an empty string deletes it.';
REVOKE ALL ON FUNCTION adapty.set_attribute(uuid, text, double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.set_attribute(uuid, text, double precision) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.set_attribute(customer_user_id text, key text, value boolean) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_set_attribute_boolean';
COMMENT ON FUNCTION adapty.set_attribute(text, text, boolean) IS
    'Sets one attribute of a user: a default one by its name, else a custom one. Null or an empty string deletes it.';
REVOKE ALL ON FUNCTION adapty.set_attribute(text, text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.set_attribute(text, text, boolean) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.set_attribute(profile_id uuid, key text, value boolean) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_set_attribute_boolean_by_profile_id';
COMMENT ON FUNCTION adapty.set_attribute(uuid, text, boolean) IS
    'Sets one attribute of a user: a default one by its name, else a custom one. Null or an empty string deletes it.';
REVOKE ALL ON FUNCTION adapty.set_attribute(uuid, text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.set_attribute(uuid, text, boolean) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.set_attribute(customer_user_id text, key text, value jsonb) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_set_attribute_jsonb';
COMMENT ON FUNCTION adapty.set_attribute(text, text, jsonb) IS
    'Sets one attribute of a user: a default one by its name, else a custom one. Null or an empty string deletes it.';
REVOKE ALL ON FUNCTION adapty.set_attribute(text, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.set_attribute(text, text, jsonb) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.set_attribute(profile_id uuid, key text, value jsonb) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_set_attribute_jsonb_by_profile_id';
COMMENT ON FUNCTION adapty.set_attribute(uuid, text, jsonb) IS
    'Sets one attribute of a user: a default one by its name, else a custom one. Null or an empty string deletes it.';
REVOKE ALL ON FUNCTION adapty.set_attribute(uuid, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.set_attribute(uuid, text, jsonb) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.set_attributes(customer_user_id text, attributes jsonb) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_set_attributes';
COMMENT ON FUNCTION adapty.set_attributes(text, jsonb) IS
    'Sets several attributes of a user, all or none, each as set_attribute() does.';
REVOKE ALL ON FUNCTION adapty.set_attributes(text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.set_attributes(text, jsonb) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.set_attributes(profile_id uuid, attributes jsonb) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_set_attributes_by_profile_id';
COMMENT ON FUNCTION adapty.set_attributes(uuid, jsonb) IS
    'Sets several attributes of a user, all or none, each as set_attribute() does.';
REVOKE ALL ON FUNCTION adapty.set_attributes(uuid, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.set_attributes(uuid, jsonb) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.get_attribute(customer_user_id text, key text) RETURNS jsonb
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_get_attribute';
COMMENT ON FUNCTION adapty.get_attribute(text, text) IS
    'One attribute of a user, default or custom; null if it is not set.';
REVOKE ALL ON FUNCTION adapty.get_attribute(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.get_attribute(text, text) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.get_attribute(profile_id uuid, key text) RETURNS jsonb
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_get_attribute_by_profile_id';
COMMENT ON FUNCTION adapty.get_attribute(uuid, text) IS
    'One attribute of a user, default or custom; null if it is not set.';
REVOKE ALL ON FUNCTION adapty.get_attribute(uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.get_attribute(uuid, text) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.get_attributes(customer_user_id text) RETURNS jsonb
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_get_attributes';
COMMENT ON FUNCTION adapty.get_attributes(text) IS
    'All attributes of a user that are set, default and custom ones in one object.';
REVOKE ALL ON FUNCTION adapty.get_attributes(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.get_attributes(text) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.get_attributes(profile_id uuid) RETURNS jsonb
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_get_attributes_by_profile_id';
COMMENT ON FUNCTION adapty.get_attributes(uuid) IS
    'All attributes of a user that are set, default and custom ones in one object.';
REVOKE ALL ON FUNCTION adapty.get_attributes(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.get_attributes(uuid) TO adapty_server, adapty_sdk;
