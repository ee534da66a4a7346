-- Events in the documented form.
CREATE OR REPLACE FUNCTION adapty.event_payload(
        event adapty.events,
        user_attributes boolean DEFAULT false, attribution boolean DEFAULT false,
        trial_price boolean DEFAULT false, purchase_token boolean DEFAULT false)
    RETURNS jsonb
    LANGUAGE c STABLE PARALLEL SAFE COST 1000
    AS 'MODULE_PATHNAME', 'adapty_event_payload';
COMMENT ON FUNCTION adapty.event_payload(adapty.events, boolean, boolean, boolean, boolean) IS
    'An event as JSON in the form of the webhooks, complete: what is not known is null. On request with the user''s custom attributes, the attribution, the price of a trial in trial_started, and what Google needs to validate a purchase.';
REVOKE ALL ON FUNCTION adapty.event_payload(adapty.events, boolean, boolean, boolean, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.event_payload(adapty.events, boolean, boolean, boolean, boolean) TO adapty_server;

CREATE OR REPLACE VIEW adapty.event_payloads AS
SELECT e.event_id, e.profile_id, e.event_type, e.event_datetime, e.recorded_at, adapty.event_payload(e.*) AS payload
FROM adapty.events e;
COMMENT ON VIEW adapty.event_payloads IS 'Every event with its payload, for people. Filter by profile_id or recorded_at: a payload costs some lookups.';
REVOKE ALL ON adapty.event_payloads FROM PUBLIC;
GRANT SELECT ON adapty.event_payloads TO adapty_server;
