-- Who may read which table. Nobody but the owner writes one: changes go through functions.

-- The one profile that a caller held to one profile may see; null for none. Every other role sees all that it is granted.
CREATE OR REPLACE FUNCTION adapty.current_profile_id() RETURNS uuid
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'adapty_current_profile_id';
COMMENT ON FUNCTION adapty.current_profile_id() IS
    'The profile of the JWT''s user (claim "profile_id", else "customer_user_id", else "sub"); null if there is none.';
REVOKE ALL ON FUNCTION adapty.current_profile_id() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.current_profile_id() TO adapty_server, adapty_sdk;

-- The server reads everything but keys of requests.
GRANT SELECT ON adapty.access_levels, adapty.products, adapty.store_products, adapty.profiles, adapty.identities,
    adapty.installations, adapty.integration_identifiers, adapty.attributions, adapty.transactions,
    adapty.subscriptions, adapty.access_grants, adapty.events, adapty.environment_settings,
    adapty.purchase_inheritors, adapty.subscription_timers TO adapty_server;

-- A user's own device reads the catalogue and its own profile.
GRANT SELECT ON adapty.access_levels, adapty.products, adapty.store_products TO adapty_sdk;
GRANT SELECT ON adapty.profiles TO adapty_sdk;

-- Analysts read everything that does not say who somebody is.
GRANT SELECT ON adapty.access_levels, adapty.products, adapty.store_products TO adapty_analyst;
GRANT SELECT (profile_id, created_at, updated_at, last_seen_at, subscription_state, gender, att_status,
    analytics_disabled, total_revenue_usd, ip_country, store_country, store, custom_attributes)
    ON adapty.profiles TO adapty_analyst;
GRANT SELECT (profile_id, created_at, updated_at, platform, device, locale, os, timezone,
    app_version, app_build, adapty_sdk_version, installed_app_version)
    ON adapty.installations TO adapty_analyst;
GRANT SELECT (profile_id, source, created_at, status, channel, campaign, ad_group, ad_set, creative)
    ON adapty.attributions TO adapty_analyst;
GRANT SELECT ON adapty.transactions, adapty.subscriptions TO adapty_analyst;
GRANT SELECT (profile_id, starts_at, expires_at, next_transition_at, granted_at, updated_at, revoked_at,
    source, state, access_level_id, source_id)
    ON adapty.access_grants TO adapty_analyst;
GRANT SELECT (event_datetime, recorded_at, starts_at, expires_at, previous_expires_at, xact_number, event_type, source,
    event_id, profile_id, was_active, is_active, access_level_id, source_id, event_properties)
    ON adapty.events TO adapty_analyst;

-- Row-level security: what the grants above let a role see of profiles is narrowed for adapty_sdk.
ALTER TABLE adapty.profiles ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS adapty_server_reads ON adapty.profiles;
CREATE POLICY adapty_server_reads ON adapty.profiles FOR SELECT TO adapty_server USING (true);
DROP POLICY IF EXISTS adapty_analyst_reads ON adapty.profiles;
CREATE POLICY adapty_analyst_reads ON adapty.profiles FOR SELECT TO adapty_analyst USING (true);
DROP POLICY IF EXISTS adapty_sdk_reads_its_own ON adapty.profiles;
CREATE POLICY adapty_sdk_reads_its_own ON adapty.profiles FOR SELECT TO adapty_sdk
    USING (profile_id = (SELECT adapty.current_profile_id()));
