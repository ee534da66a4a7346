-- Access: readers, changes, and what announces them.

CREATE OR REPLACE FUNCTION adapty.has_access(customer_user_id text, access_level_id text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'adapty_has_access';
CREATE OR REPLACE FUNCTION adapty.has_access(profile_id uuid, access_level_id text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'adapty_has_access_by_profile_id';
COMMENT ON FUNCTION adapty.has_access(text, text) IS
    'Has this user this access level now? False for an unknown user or level, and for null. Fit for WHERE and for row-level security.';
COMMENT ON FUNCTION adapty.has_access(uuid, text) IS
    'Has this profile this access level now? False for an unknown profile or level, and for null.';
REVOKE ALL ON FUNCTION adapty.has_access(text, text), adapty.has_access(uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.has_access(text, text), adapty.has_access(uuid, text) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.profile_status(customer_user_id text, as_of timestamptz DEFAULT NULL)
    RETURNS adapty.profile_status
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'adapty_profile_status';
CREATE OR REPLACE FUNCTION adapty.profile_status(profile_id uuid, as_of timestamptz DEFAULT NULL)
    RETURNS adapty.profile_status
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'adapty_profile_status_by_profile_id';
COMMENT ON FUNCTION adapty.profile_status(text, timestamptz) IS
    'What a user has, in one row: now, at a past moment by the recorded history, or at a future one by the intervals known.';
COMMENT ON FUNCTION adapty.profile_status(uuid, timestamptz) IS
    'What a profile has, in one row: now, at a past moment by the recorded history, or at a future one by the intervals known.';
REVOKE ALL ON FUNCTION adapty.profile_status(text, timestamptz), adapty.profile_status(uuid, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.profile_status(text, timestamptz), adapty.profile_status(uuid, timestamptz)
    TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.access_levels(customer_user_id text) RETURNS SETOF adapty.access_level
    LANGUAGE c STABLE PARALLEL SAFE ROWS 2
    AS 'MODULE_PATHNAME', 'adapty_access_levels';
CREATE OR REPLACE FUNCTION adapty.access_levels(profile_id uuid) RETURNS SETOF adapty.access_level
    LANGUAGE c STABLE PARALLEL SAFE ROWS 2
    AS 'MODULE_PATHNAME', 'adapty_access_levels_by_profile_id';
COMMENT ON FUNCTION adapty.access_levels(text) IS
    'Every access level that the user has, had or will have, with the facts of its winning source.';
COMMENT ON FUNCTION adapty.access_levels(uuid) IS
    'Every access level that the profile has, had or will have, with the facts of its winning source.';
REVOKE ALL ON FUNCTION adapty.access_levels(text), adapty.access_levels(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.access_levels(text), adapty.access_levels(uuid) TO adapty_server, adapty_sdk;

CREATE OR REPLACE FUNCTION adapty.explain_access(customer_user_id text, access_level_id text)
    RETURNS SETOF adapty.access_explanation
    LANGUAGE c STABLE PARALLEL SAFE ROWS 2
    AS 'MODULE_PATHNAME', 'adapty_explain_access';
CREATE OR REPLACE FUNCTION adapty.explain_access(profile_id uuid, access_level_id text)
    RETURNS SETOF adapty.access_explanation
    LANGUAGE c STABLE PARALLEL SAFE ROWS 2
    AS 'MODULE_PATHNAME', 'adapty_explain_access_by_profile_id';
COMMENT ON FUNCTION adapty.explain_access(text, text) IS
    'Every source of an access level of a user, its interval, which one wins and why.';
COMMENT ON FUNCTION adapty.explain_access(uuid, text) IS
    'Every source of an access level of a profile, its interval, which one wins and why.';
REVOKE ALL ON FUNCTION adapty.explain_access(text, text), adapty.explain_access(uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.explain_access(text, text), adapty.explain_access(uuid, text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.grant_access_level(
        customer_user_id text, access_level_id text,
        duration interval DEFAULT NULL, expires_at timestamptz DEFAULT NULL, starts_at timestamptz DEFAULT NULL,
        is_lifetime boolean DEFAULT NULL, mode adapty.grant_mode DEFAULT NULL,
        create_missing boolean DEFAULT false, reason text DEFAULT NULL, idempotency_key text DEFAULT NULL)
    RETURNS adapty.access_level
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_grant_access_level';
CREATE OR REPLACE FUNCTION adapty.grant_access_level(
        profile_id uuid, access_level_id text,
        duration interval DEFAULT NULL, expires_at timestamptz DEFAULT NULL, starts_at timestamptz DEFAULT NULL,
        is_lifetime boolean DEFAULT NULL, mode adapty.grant_mode DEFAULT NULL,
        create_missing boolean DEFAULT false, reason text DEFAULT NULL, idempotency_key text DEFAULT NULL)
    RETURNS adapty.access_level
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_grant_access_level_by_profile_id';
COMMENT ON FUNCTION adapty.grant_access_level(text, text, interval, timestamptz, timestamptz, boolean, adapty.grant_mode, boolean, text, text) IS
    'Gives a user an access level: for a duration (added to what the user has), until expires_at, or for lifetime. Give one of the three; mode says how it meets access that is there.';
COMMENT ON FUNCTION adapty.grant_access_level(uuid, text, interval, timestamptz, timestamptz, boolean, adapty.grant_mode, boolean, text, text) IS
    'Gives a profile an access level: for a duration (added to what it has), until expires_at, or for lifetime.';
REVOKE ALL ON FUNCTION adapty.grant_access_level(text, text, interval, timestamptz, timestamptz, boolean, adapty.grant_mode, boolean, text, text),
    adapty.grant_access_level(uuid, text, interval, timestamptz, timestamptz, boolean, adapty.grant_mode, boolean, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.grant_access_level(text, text, interval, timestamptz, timestamptz, boolean, adapty.grant_mode, boolean, text, text),
    adapty.grant_access_level(uuid, text, interval, timestamptz, timestamptz, boolean, adapty.grant_mode, boolean, text, text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.revoke_access_level(
        customer_user_id text, access_level_id text, revoke_at timestamptz DEFAULT NULL,
        is_refund boolean DEFAULT false, reason text DEFAULT NULL, idempotency_key text DEFAULT NULL)
    RETURNS adapty.access_level
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_revoke_access_level';
CREATE OR REPLACE FUNCTION adapty.revoke_access_level(
        profile_id uuid, access_level_id text, revoke_at timestamptz DEFAULT NULL,
        is_refund boolean DEFAULT false, reason text DEFAULT NULL, idempotency_key text DEFAULT NULL)
    RETURNS adapty.access_level
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_revoke_access_level_by_profile_id';
COMMENT ON FUNCTION adapty.revoke_access_level(text, text, timestamptz, boolean, text, text) IS
    'Ends server-side grants of an access level now or at revoke_at. What a store purchase gives stays (active_sources of the result says so) unless is_refund marks it refunded.';
COMMENT ON FUNCTION adapty.revoke_access_level(uuid, text, timestamptz, boolean, text, text) IS
    'Ends server-side grants of an access level of a profile now or at revoke_at.';
REVOKE ALL ON FUNCTION adapty.revoke_access_level(text, text, timestamptz, boolean, text, text),
    adapty.revoke_access_level(uuid, text, timestamptz, boolean, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.revoke_access_level(text, text, timestamptz, boolean, text, text),
    adapty.revoke_access_level(uuid, text, timestamptz, boolean, text, text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.set_test_clock(customer_user_id text, test_clock_offset interval) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_set_test_clock';
CREATE OR REPLACE FUNCTION adapty.set_test_clock(profile_id uuid, test_clock_offset interval) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_set_test_clock_by_profile_id';
COMMENT ON FUNCTION adapty.set_test_clock(text, interval) IS
    'Moves the clock of one test user ahead (or back), so that a lapse in 7 days can be tested today; null puts it right. Nobody else''s clock moves.';
COMMENT ON FUNCTION adapty.set_test_clock(uuid, interval) IS
    'Moves the clock of one test profile ahead (or back); null puts it right.';
REVOKE ALL ON FUNCTION adapty.set_test_clock(text, interval), adapty.set_test_clock(uuid, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.set_test_clock(text, interval), adapty.set_test_clock(uuid, interval) TO adapty_server;
GRANT SET ON PARAMETER adapty.test_clock_offset TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.process_due(max_rows integer DEFAULT 10000) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_process_due';
COMMENT ON FUNCTION adapty.process_due(integer) IS
    'Announces up to max_rows due starts and ends of access, gives what promo campaigns have to give to up to so many users, and returns how many: the scheduler''s work, for hosts without background workers. Access itself needs it not.';
REVOKE ALL ON FUNCTION adapty.process_due(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.process_due(integer) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.maintain() RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_maintain';
COMMENT ON FUNCTION adapty.maintain() IS
    'One step of housekeeping (partitions of events ahead of time, retention), true if there is more to do: for hosts without background workers, once an hour in a transaction of its own.';
REVOKE ALL ON FUNCTION adapty.maintain() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.maintain() TO adapty_server;

-- Triggers: their names begin with adapty_, by which the C code knows them for its own.
CREATE OR REPLACE FUNCTION adapty._access_grants_changed() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'adapty_access_grants_changed';
CREATE OR REPLACE FUNCTION adapty._access_grants_truncated() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'adapty_access_grants_truncated';
CREATE OR REPLACE FUNCTION adapty._events_append_only() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'adapty_events_append_only';
REVOKE ALL ON FUNCTION adapty._access_grants_changed(), adapty._access_grants_truncated(),
    adapty._events_append_only() FROM PUBLIC;
COMMENT ON FUNCTION adapty._access_grants_changed() IS 'Trigger: announces what plain SQL changed in access_grants, and refuses what would break it.';
COMMENT ON FUNCTION adapty._access_grants_truncated() IS 'Trigger: refuses TRUNCATE of access_grants.';
COMMENT ON FUNCTION adapty._events_append_only() IS 'Trigger: refuses changes of events.';

CREATE OR REPLACE TRIGGER adapty_inserted AFTER INSERT ON adapty.access_grants
    REFERENCING NEW TABLE AS new_grants
    FOR EACH STATEMENT EXECUTE FUNCTION adapty._access_grants_changed();
CREATE OR REPLACE TRIGGER adapty_updated AFTER UPDATE ON adapty.access_grants
    REFERENCING OLD TABLE AS old_grants NEW TABLE AS new_grants
    FOR EACH STATEMENT EXECUTE FUNCTION adapty._access_grants_changed();
CREATE OR REPLACE TRIGGER adapty_deleted AFTER DELETE ON adapty.access_grants
    REFERENCING OLD TABLE AS old_grants
    FOR EACH STATEMENT EXECUTE FUNCTION adapty._access_grants_changed();
CREATE OR REPLACE TRIGGER adapty_truncated BEFORE TRUNCATE ON adapty.access_grants
    FOR EACH STATEMENT EXECUTE FUNCTION adapty._access_grants_truncated();
CREATE OR REPLACE TRIGGER adapty_append_only BEFORE UPDATE OR DELETE ON adapty.events
    FOR EACH ROW EXECUTE FUNCTION adapty._events_append_only();
CREATE OR REPLACE TRIGGER adapty_append_only_truncate BEFORE TRUNCATE ON adapty.events
    FOR EACH STATEMENT EXECUTE FUNCTION adapty._events_append_only();
