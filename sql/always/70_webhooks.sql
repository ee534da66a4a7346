-- Webhooks: defining them, seeing how they fare, sending again. The sender is src/webhook.
CREATE OR REPLACE FUNCTION adapty.define_webhook(
        webhook_id text, url text,
        environment adapty.environment DEFAULT 'Production',
        authorization_value text DEFAULT NULL,
        signing_secret text DEFAULT NULL,
        event_types adapty.event_type[] DEFAULT NULL,
        event_names jsonb DEFAULT NULL,
        send_user_attributes boolean DEFAULT false,
        send_attribution boolean DEFAULT false,
        send_trial_price boolean DEFAULT false,
        send_purchase_token boolean DEFAULT false,
        exclude_historical boolean DEFAULT false,
        max_in_flight integer DEFAULT 20,
        success_from integer DEFAULT 200,
        success_to integer DEFAULT 404)
    RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_define_webhook';
COMMENT ON FUNCTION adapty.define_webhook(text, text, adapty.environment, text, text, adapty.event_type[], jsonb, boolean, boolean, boolean, boolean, boolean, integer, integer, integer) IS
    'Makes a webhook, disabled as yet, or changes one. authorization_value and signing_secret: null keeps what is there, '''' takes it away; a new webhook without a signing_secret gets one, which is returned. Only the owner may.';
REVOKE ALL ON FUNCTION adapty.define_webhook(text, text, adapty.environment, text, text, adapty.event_type[], jsonb, boolean, boolean, boolean, boolean, boolean, integer, integer, integer) FROM PUBLIC;

CREATE OR REPLACE FUNCTION adapty.rotate_webhook_secret(webhook_id text, signing_secret text DEFAULT NULL, overlap interval DEFAULT '24 hours')
    RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_rotate_webhook_secret';
COMMENT ON FUNCTION adapty.rotate_webhook_secret(text, text, interval) IS
    'Signs with a new secret (made up if none is given), and with the old one as well until overlap is over. Returns the new one. Only the owner may.';
REVOKE ALL ON FUNCTION adapty.rotate_webhook_secret(text, text, interval) FROM PUBLIC;

CREATE OR REPLACE FUNCTION adapty.enable_webhook(webhook_id text, catch_up boolean DEFAULT false) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_enable_webhook';
COMMENT ON FUNCTION adapty.enable_webhook(text, boolean) IS
    'Has the endpoint verified and then sent all events from now on; with catch_up also those since it was last enabled. Only the owner may.';
REVOKE ALL ON FUNCTION adapty.enable_webhook(text, boolean) FROM PUBLIC;

CREATE OR REPLACE FUNCTION adapty.disable_webhook(webhook_id text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_disable_webhook';
COMMENT ON FUNCTION adapty.disable_webhook(text) IS
    'Sends nothing more; what is queued waits until the webhook is enabled again. Only the owner may.';
REVOKE ALL ON FUNCTION adapty.disable_webhook(text) FROM PUBLIC;

CREATE OR REPLACE FUNCTION adapty.delete_webhook(webhook_id text) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_delete_webhook';
COMMENT ON FUNCTION adapty.delete_webhook(text) IS 'Removes a webhook with its deliveries; false if there is none of that name. Only the owner may.';
REVOKE ALL ON FUNCTION adapty.delete_webhook(text) FROM PUBLIC;

CREATE OR REPLACE FUNCTION adapty.resend_event(event_id uuid, webhook_id text DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_resend_event';
COMMENT ON FUNCTION adapty.resend_event(uuid, text) IS
    'Sends an event (again) to a webhook, or to all that are enabled and get its type; returns to how many.';
REVOKE ALL ON FUNCTION adapty.resend_event(uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.resend_event(uuid, text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.resend_failed(webhook_id text DEFAULT NULL, from_time timestamptz DEFAULT '-infinity', to_time timestamptz DEFAULT 'infinity')
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_resend_failed';
COMMENT ON FUNCTION adapty.resend_failed(text, timestamptz, timestamptz) IS
    'Sends again what is parked, of one webhook or all, written from from_time to before to_time; returns how many events.';
REVOKE ALL ON FUNCTION adapty.resend_failed(text, timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.resend_failed(text, timestamptz, timestamptz) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.resend_events(webhook_id text, from_time timestamptz, to_time timestamptz, types adapty.event_type[] DEFAULT NULL)
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_resend_events';
COMMENT ON FUNCTION adapty.resend_events(text, timestamptz, timestamptz, adapty.event_type[]) IS
    'Sends to a webhook (again) all events that it gets, written from from_time to before to_time, delivered before or not; returns how many. At most adapty.webhook_max_queue at a time.';
REVOKE ALL ON FUNCTION adapty.resend_events(text, timestamptz, timestamptz, adapty.event_type[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.resend_events(text, timestamptz, timestamptz, adapty.event_type[]) TO adapty_server;

-- Restored rows come disabled: a copy of a database must not write to the real one's endpoints.
CREATE OR REPLACE FUNCTION adapty.webhook_inserted() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'adapty_webhook_inserted';
COMMENT ON FUNCTION adapty.webhook_inserted() IS 'Trigger: a webhook begins disabled, also one that is restored.';
REVOKE ALL ON FUNCTION adapty.webhook_inserted() FROM PUBLIC;
CREATE OR REPLACE TRIGGER adapty_inserted BEFORE INSERT ON adapty.webhooks
    FOR EACH ROW WHEN (NEW.state <> 'disabled') EXECUTE FUNCTION adapty.webhook_inserted();
CREATE OR REPLACE FUNCTION adapty.webhooks_changed() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'adapty_webhooks_changed';
COMMENT ON FUNCTION adapty.webhooks_changed() IS 'Trigger: tells the sender at commit to look at the webhooks again.';
REVOKE ALL ON FUNCTION adapty.webhooks_changed() FROM PUBLIC;
CREATE OR REPLACE TRIGGER adapty_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON adapty.webhooks
    FOR EACH STATEMENT EXECUTE FUNCTION adapty.webhooks_changed();

-- The environment of an event that does not say it: that of the purchase behind it.
CREATE OR REPLACE FUNCTION adapty._event_environment(profile_id uuid, source_id text) RETURNS adapty.environment
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT coalesce((
        SELECT t.environment FROM adapty.transactions t
         WHERE t.profile_id = $1
           AND t.store::text = split_part($2, ':', 1)
           AND (t.store_original_transaction_id = substr($2, strpos($2, ':') + 1)
                OR t.store_transaction_id = substr($2, strpos($2, ':') + 1))
         LIMIT 1), 'Production')
    $$;
REVOKE ALL ON FUNCTION adapty._event_environment(uuid, text) FROM PUBLIC;
COMMENT ON FUNCTION adapty._event_environment(uuid, text) IS 'The environment of a source of access; Production if it is not known. Private.';

CREATE OR REPLACE FUNCTION adapty._first_installation_at(profile_id uuid) RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$ SELECT min(i.created_at) FROM adapty.installations i WHERE i.profile_id = $1 $$;
REVOKE ALL ON FUNCTION adapty._first_installation_at(uuid) FROM PUBLIC;
COMMENT ON FUNCTION adapty._first_installation_at(uuid) IS 'When a profile was first seen on a device; null for never. Private.';

-- Does a webhook get an event?  This and _webhook_body are inlined into the statements of the sender, which
-- calls them for each event: so they have no search_path of their own, and no subquery.
CREATE OR REPLACE FUNCTION adapty._webhook_wants(webhook adapty.webhooks, event adapty.events) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    SELECT (webhook.event_types IS NULL OR event.event_type OPERATOR(pg_catalog.=) ANY (webhook.event_types))
       AND webhook.environment OPERATOR(pg_catalog.=) CASE
               WHEN event.event_properties OPERATOR(pg_catalog.?) 'environment'
               THEN (event.event_properties OPERATOR(pg_catalog.->>) 'environment')::adapty.environment
               WHEN event.source OPERATOR(pg_catalog.=) ANY ('{subscription,one_time_purchase,shared_purchase}'::adapty.grant_source[])
               THEN adapty._event_environment(event.profile_id, event.source_id)
               ELSE 'Production' END
       AND (webhook.exclude_historical
            AND event.event_datetime OPERATOR(pg_catalog.<) adapty._first_installation_at(event.profile_id)) IS NOT TRUE
    $$;
REVOKE ALL ON FUNCTION adapty._webhook_wants(adapty.webhooks, adapty.events) FROM PUBLIC;
COMMENT ON FUNCTION adapty._webhook_wants(adapty.webhooks, adapty.events) IS 'Does a webhook get an event, by type, environment and time? Private.';

-- What is sent of an event.
CREATE OR REPLACE FUNCTION adapty._webhook_body(webhook adapty.webhooks, event adapty.events) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    SELECT (adapty.event_payload(event, user_attributes => webhook.send_user_attributes, attribution => webhook.send_attribution,
                trial_price => webhook.send_trial_price, purchase_token => webhook.send_purchase_token)
            OPERATOR(pg_catalog.||)
            CASE WHEN webhook.event_names OPERATOR(pg_catalog.?) event.event_type::pg_catalog.text
            THEN pg_catalog.jsonb_build_object('event_type', webhook.event_names OPERATOR(pg_catalog.->) event.event_type::pg_catalog.text)
            ELSE '{}' END)::pg_catalog.text
    $$;
REVOKE ALL ON FUNCTION adapty._webhook_body(adapty.webhooks, adapty.events) FROM PUBLIC;
COMMENT ON FUNCTION adapty._webhook_body(adapty.webhooks, adapty.events) IS 'The body of the request that sends an event to a webhook. Private.';

-- How they fare. Counts of what is queued go by small partial indexes.
CREATE OR REPLACE VIEW adapty.webhook_status AS
SELECT w.webhook_id,
       pg_catalog.regexp_replace(w.url, '[?#].*$', '') AS url,
       w.environment,
       CASE WHEN w.state <> 'enabled' THEN w.state::text
            WHEN p.retry_at > pg_catalog.clock_timestamp() THEN 'not answering'
            WHEN q.waiting >= pg_catalog.current_setting('adapty.webhook_max_queue')::bigint THEN 'queue full'
            WHEN p.failures > 0 THEN 'failing'
            ELSE 'enabled' END AS state,
       COALESCE(w.state_reason, CASE WHEN p.failures > 0 THEN p.last_error END) AS reason,
       q.waiting,
       q.failing,
       k.parked,
       COALESCE(p.delivered, 0) AS delivered,
       COALESCE(p.rejected, 0) AS rejected,
       COALESCE(p.failed_attempts, 0) AS failed_attempts,
       COALESCE(p.lost, 0) AS lost,
       q.oldest_waiting,
       l.lateness_p50_ms,
       l.lateness_p95_ms,
       l.lateness_p99_ms,
       p.last_success_at,
       p.last_error,
       p.last_error_at,
       p.failing_since,
       p.retry_at
  FROM adapty.webhooks w
  LEFT JOIN adapty.webhook_progress p ON p.webhook_id = w.webhook_id
  CROSS JOIN LATERAL (
       SELECT pg_catalog.count(*) AS waiting, pg_catalog.count(*) FILTER (WHERE d.attempts > 0) AS failing,
              pg_catalog.min(d.recorded_at) AS oldest_waiting
         FROM adapty.webhook_deliveries d WHERE d.webhook_id = w.webhook_id AND d.state = 'pending') q
  CROSS JOIN LATERAL (
       SELECT pg_catalog.count(*) AS parked
         FROM adapty.webhook_deliveries d WHERE d.webhook_id = w.webhook_id AND d.state = 'parked') k
  CROSS JOIN LATERAL (
       SELECT pg_catalog.percentile_cont(0.5) WITHIN GROUP (ORDER BY f.late) AS lateness_p50_ms,
              pg_catalog.percentile_cont(0.95) WITHIN GROUP (ORDER BY f.late) AS lateness_p95_ms,
              pg_catalog.percentile_cont(0.99) WITHIN GROUP (ORDER BY f.late) AS lateness_p99_ms
         FROM (SELECT (EXTRACT(epoch FROM d.finished_at - d.recorded_at) * 1000)::double precision AS late
                 FROM adapty.webhook_deliveries d
                WHERE d.webhook_id = w.webhook_id AND d.finished_at IS NOT NULL
                ORDER BY d.finished_at DESC LIMIT 1000) f) l;
REVOKE ALL ON adapty.webhook_status FROM PUBLIC;
GRANT SELECT ON adapty.webhook_status TO adapty_server, pg_monitor;
COMMENT ON VIEW adapty.webhook_status IS 'How each webhook fares.';
COMMENT ON COLUMN adapty.webhook_status.state IS 'disabled, verifying, failed (did not verify), enabled, failing (the last attempt failed), not answering (nothing is sent before retry_at), queue full (adapty.webhook_max_queue is reached: events wait in the feed).';
COMMENT ON COLUMN adapty.webhook_status.waiting IS 'Events in the queue.';
COMMENT ON COLUMN adapty.webhook_status.failing IS 'Those of them that were tried already.';
COMMENT ON COLUMN adapty.webhook_status.parked IS 'Events given up after all attempts: see resend_failed().';
COMMENT ON COLUMN adapty.webhook_status.rejected IS 'Events answered with a status of 400 or more that counts as received.';
COMMENT ON COLUMN adapty.webhook_status.lost IS 'Events that retention removed before they could be sent.';
COMMENT ON COLUMN adapty.webhook_status.lateness_p50_ms IS 'From the event to its delivery, median of the last 1000.';

CREATE OR REPLACE VIEW adapty.event_feed AS
SELECT e.recorded_at, e.event_datetime, e.event_type, e.event_id, e.profile_id, i.customer_user_id,
       d.webhook_id, d.state AS delivery, d.attempts, d.last_status, d.last_error, d.finished_at
  FROM adapty.events e
  LEFT JOIN adapty.identities i ON i.profile_id = e.profile_id
  LEFT JOIN LATERAL (
       SELECT x.*
         FROM adapty.webhooks w
         JOIN adapty.webhook_deliveries x ON x.webhook_id = w.webhook_id AND x.event_id = e.event_id) d ON true;
REVOKE ALL ON adapty.event_feed FROM PUBLIC;
GRANT SELECT ON adapty.event_feed TO adapty_server;
COMMENT ON VIEW adapty.event_feed IS 'Events and what became of them at each webhook, for people: one row an event and webhook.';
