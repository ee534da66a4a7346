-- Events in the documented form.
CREATE OR REPLACE FUNCTION adapty.event_payload(event adapty.events) RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT jsonb_build_object(
        'profile_id', event.profile_id,
        'customer_user_id', (SELECT i.customer_user_id FROM adapty.identities i WHERE i.profile_id = event.profile_id),
        'email', (SELECT p.email FROM adapty.profiles p WHERE p.profile_id = event.profile_id),
        'event_type', event.event_type,
        'event_datetime', adapty._iso8601(event.event_datetime),
        'event_api_version', 1,
        'event_properties',
            jsonb_strip_nulls(jsonb_build_object(
                'profile_event_id', event.event_id,
                'profile_id', event.profile_id,
                'event_datetime', adapty._iso8601(event.event_datetime),
                'access_level_id', event.access_level_id,
                'profile_has_access_level', event.is_active,
                'source', event.source,
                'source_id', event.source_id,
                'actor', event.actor,
                'reason', event.reason))
            || CASE WHEN event.event_type = 'access_level_updated' THEN jsonb_build_object(
                'starts_at', adapty._iso8601(event.starts_at),
                'expires_at', adapty._iso8601(event.expires_at),
                'previous_expires_at', adapty._iso8601(event.previous_expires_at))
               ELSE '{}'::jsonb END
            || coalesce(event.event_properties, '{}'::jsonb))
    $$;
COMMENT ON FUNCTION adapty.event_payload(adapty.events) IS
    'An event as JSON: profile, type, business time and event_properties, in the envelope of the webhooks.';
REVOKE ALL ON FUNCTION adapty.event_payload(adapty.events) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.event_payload(adapty.events) TO adapty_server;
