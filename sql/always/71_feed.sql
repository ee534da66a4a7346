-- The feed of events: pulling them from a position, by oneself or with a stored one.
CREATE OR REPLACE FUNCTION adapty._event_page(after_cursor text, max_events integer, types text[], with_end boolean,
        OUT cursor text, OUT event adapty.events)
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 100 COST 1000
    AS 'MODULE_PATHNAME', 'adapty_event_page';
REVOKE ALL ON FUNCTION adapty._event_page(text, integer, text[], boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty._event_page(text, integer, text[], boolean) TO adapty_server;
COMMENT ON FUNCTION adapty._event_page(text, integer, text[], boolean) IS
    'Events after a position, each with the position behind it; with_end adds a row without an event, to go on from. Private.';

CREATE OR REPLACE FUNCTION adapty.event_cursor() RETURNS text
    LANGUAGE c STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_event_cursor';
REVOKE ALL ON FUNCTION adapty.event_cursor() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.event_cursor() TO adapty_server;
COMMENT ON FUNCTION adapty.event_cursor() IS 'The position in the event feed after everything that is committed now.';

CREATE OR REPLACE FUNCTION adapty.event_feed(
        after_cursor text DEFAULT NULL, max_events integer DEFAULT 100, types adapty.event_type[] DEFAULT NULL,
        OUT cursor text, OUT event_id uuid, OUT event_type adapty.event_type, OUT profile_id uuid,
        OUT event_datetime timestamptz, OUT recorded_at timestamptz, OUT payload jsonb)
    RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 100
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT p.cursor, (p.event).event_id, (p.event).event_type, (p.event).profile_id,
           (p.event).event_datetime, (p.event).recorded_at, adapty.event_payload(p.event)
      FROM adapty._event_page(after_cursor, max_events, types::text[], false) AS p
    $$;
REVOKE ALL ON FUNCTION adapty.event_feed(text, integer, adapty.event_type[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.event_feed(text, integer, adapty.event_type[]) TO adapty_server;
COMMENT ON FUNCTION adapty.event_feed(text, integer, adapty.event_type[]) IS
    'Up to max_events (1 to 100000) events after a cursor (null: from the first), in an order in which no event is ever passed over; each with the cursor to go on from.';

-- Consumers with a stored position.
CREATE OR REPLACE FUNCTION adapty.define_event_consumer(consumer_id text, types adapty.event_type[] DEFAULT NULL, from_start boolean DEFAULT false)
    RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_define_event_consumer';
REVOKE ALL ON FUNCTION adapty.define_event_consumer(text, adapty.event_type[], boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.define_event_consumer(text, adapty.event_type[], boolean) TO adapty_server;
COMMENT ON FUNCTION adapty.define_event_consumer(text, adapty.event_type[], boolean) IS
    'Makes a consumer of the event feed whose position is kept, or changes the types (null for all) of one that is there; a new one begins now, or with from_start at the first event. Returns its cursor.';

CREATE OR REPLACE FUNCTION adapty._event_consumer(consumer_id text, OUT cursor text, OUT types text[])
    LANGUAGE c STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_event_consumer';
REVOKE ALL ON FUNCTION adapty._event_consumer(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty._event_consumer(text) TO adapty_server;
COMMENT ON FUNCTION adapty._event_consumer(text) IS 'Position and types of a consumer; an error if there is none of that name. Private.';

CREATE OR REPLACE FUNCTION adapty.read_events(consumer_id text, max_events integer DEFAULT 100,
        OUT cursor text, OUT event_id uuid, OUT event_type adapty.event_type, OUT profile_id uuid,
        OUT event_datetime timestamptz, OUT recorded_at timestamptz, OUT payload jsonb)
    RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 100
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT p.cursor, (p.event).event_id, (p.event).event_type, (p.event).profile_id,
           (p.event).event_datetime, (p.event).recorded_at, adapty.event_payload(p.event)
      FROM adapty._event_consumer(consumer_id) AS c, adapty._event_page(c.cursor, max_events, c.types, false) AS p
    $$;
REVOKE ALL ON FUNCTION adapty.read_events(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.read_events(text, integer) TO adapty_server;
COMMENT ON FUNCTION adapty.read_events(text, integer) IS
    'The next events of a consumer, after what it has acknowledged; the same again until it acknowledges.';

CREATE OR REPLACE FUNCTION adapty.acknowledge_events(consumer_id text, cursor text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_acknowledge_events';
REVOKE ALL ON FUNCTION adapty.acknowledge_events(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.acknowledge_events(text, text) TO adapty_server;
COMMENT ON FUNCTION adapty.acknowledge_events(text, text) IS
    'Everything up to that cursor is done: the consumer goes on behind it. An earlier cursor makes it read again.';

CREATE OR REPLACE FUNCTION adapty.delete_event_consumer(consumer_id text) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_delete_event_consumer';
REVOKE ALL ON FUNCTION adapty.delete_event_consumer(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.delete_event_consumer(text) TO adapty_server;
COMMENT ON FUNCTION adapty.delete_event_consumer(text) IS 'Forgets a consumer and its position; false if there is none of that name.';

GRANT SELECT ON adapty.event_consumers TO adapty_server;

-- Everything to watch in one place, for an exporter: one row a value.
CREATE OR REPLACE VIEW adapty.metrics AS
SELECT m.metric, m.labels, m.value, m.type
  FROM adapty.stats s,
       LATERAL (VALUES
           ('adapty_scheduler_running', '{}'::jsonb, s.scheduler_running::int::double precision, 'gauge'),
           ('adapty_due', '{}', s.due_now, 'gauge'),
           ('adapty_batches_total', '{}', s.batches, 'counter'),
           ('adapty_transitions_total', '{}', s.processed, 'counter'),
           ('adapty_transitions_failed_total', '{}', s.failed, 'counter'),
           ('adapty_wakeups_total', '{}', s.wakeups, 'counter'),
           ('adapty_lateness_mean_seconds', '{}', s.mean_lateness_ms / 1000, 'gauge'),
           ('adapty_lateness_max_seconds', '{}', s.max_lateness_ms / 1000, 'gauge')) m (metric, labels, value, type)
UNION ALL
SELECT m.metric, pg_catalog.jsonb_build_object('webhook', w.webhook_id) || m.labels, m.value, m.type
  FROM adapty.webhook_status w,
       LATERAL (VALUES
           ('adapty_webhook_up', '{}'::jsonb, (w.state IN ('enabled', 'failing', 'queue full'))::int::double precision, 'gauge'),
           ('adapty_webhook_waiting', '{}', w.waiting, 'gauge'),
           ('adapty_webhook_failing', '{}', w.failing, 'gauge'),
           ('adapty_webhook_parked', '{}', w.parked, 'gauge'),
           ('adapty_webhook_delivered_total', '{}', w.delivered, 'counter'),
           ('adapty_webhook_rejected_total', '{}', w.rejected, 'counter'),
           ('adapty_webhook_failed_attempts_total', '{}', w.failed_attempts, 'counter'),
           ('adapty_webhook_lost_total', '{}', w.lost, 'counter'),
           ('adapty_webhook_oldest_waiting_seconds', '{}', EXTRACT(epoch FROM pg_catalog.clock_timestamp() - w.oldest_waiting), 'gauge'),
           ('adapty_webhook_lateness_seconds', '{"quantile": "0.5"}', w.lateness_p50_ms / 1000, 'gauge'),
           ('adapty_webhook_lateness_seconds', '{"quantile": "0.95"}', w.lateness_p95_ms / 1000, 'gauge'),
           ('adapty_webhook_lateness_seconds', '{"quantile": "0.99"}', w.lateness_p99_ms / 1000, 'gauge')) m (metric, labels, value, type)
UNION ALL
SELECT m.metric, pg_catalog.jsonb_build_object('consumer', c.consumer_id), m.value, m.type
  FROM adapty.event_consumers c,
       LATERAL (VALUES
           ('adapty_consumer_acknowledged_total', c.acknowledged::double precision, 'counter'),
           ('adapty_consumer_lost_total', c.lost, 'counter'),
           ('adapty_consumer_idle_seconds', EXTRACT(epoch FROM pg_catalog.clock_timestamp() - c.acknowledged_at), 'gauge')) m (metric, value, type);
REVOKE ALL ON adapty.metrics FROM PUBLIC;
GRANT SELECT ON adapty.metrics TO adapty_server, pg_monitor;
COMMENT ON VIEW adapty.metrics IS 'Everything to watch, one row a value, in the words of Prometheus: metric, labels, value, type (gauge or counter).';
COMMENT ON COLUMN adapty.metrics.value IS 'Null if there is nothing to measure yet. Times in seconds.';
