-- Numbers of transactions: xids of the cluster plus a base, so that they go on rising when a dump is
-- restored into a cluster with other xids. See src/domain/event_number.c.
CREATE FUNCTION adapty._event_number() RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_event_number';
REVOKE ALL ON FUNCTION adapty._event_number() FROM PUBLIC;
COMMENT ON FUNCTION adapty._event_number() IS 'Number of the current transaction among those that wrote events. Private: default of events.xact_number.';
CREATE TABLE adapty.event_numbering (
    system_identifier bigint NOT NULL,
    base              bigint NOT NULL,
    adopted_at        timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE adapty.event_numbering IS 'The clusters in which this database''s events were written; the greatest base holds now.';
COMMENT ON COLUMN adapty.event_numbering.system_identifier IS 'The cluster: see pg_control_system().';
COMMENT ON COLUMN adapty.event_numbering.base IS 'What is added to a transaction''s xid there to make events.xact_number.';
SELECT pg_catalog.pg_extension_config_dump('adapty.event_numbering', '');

-- Append-only. A row keeps the facts of its moment; event_payload() renders the documented form.
-- The parent has no index of its own: each partition carries its own primary key, so that a dump
-- with partitions made at run time restores (see docs/internals.md). src/domain/event.h mirrors the order.
CREATE TABLE adapty.events (
    event_datetime      timestamptz NOT NULL,
    recorded_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    starts_at           timestamptz,
    expires_at          timestamptz,
    previous_expires_at timestamptz,
    xact_number         bigint NOT NULL DEFAULT adapty._event_number(),
    event_type          adapty.event_type NOT NULL,
    source              adapty.grant_source,
    event_id            uuid NOT NULL,
    profile_id          uuid NOT NULL,
    was_active          boolean,
    is_active           boolean,
    access_level_id     text,
    source_id           text,
    actor               text,
    reason              text,
    event_properties    jsonb
) PARTITION BY RANGE (recorded_at);
CREATE TABLE adapty.events_default PARTITION OF adapty.events (PRIMARY KEY (profile_id, recorded_at, event_id)) DEFAULT;
CREATE INDEX events_default_feed_idx ON adapty.events_default (xact_number, recorded_at);
COMMENT ON TABLE adapty.events_default IS 'Events of times for which no monthly partition was there yet.';
COMMENT ON TABLE adapty.events IS 'Every change, written in the transaction that makes it. Append-only; partitioned by month of recorded_at.';
COMMENT ON COLUMN adapty.events.event_datetime IS 'When it happened in the business: the purchase, the end of the interval. Not when it was noticed.';
COMMENT ON COLUMN adapty.events.recorded_at IS 'When the row was written.';
COMMENT ON COLUMN adapty.events.starts_at IS 'access_level_updated: beginning of the access after the change.';
COMMENT ON COLUMN adapty.events.expires_at IS 'access_level_updated: end of the access after the change; infinity for lifetime.';
COMMENT ON COLUMN adapty.events.previous_expires_at IS 'access_level_updated: end of the access before the change; null if there was none.';
COMMENT ON COLUMN adapty.events.xact_number IS 'Number of the database transaction that wrote the row: what the feed goes by.';
COMMENT ON COLUMN adapty.events.source IS 'access_level_updated: the source whose change or end made the event.';
COMMENT ON COLUMN adapty.events.source_id IS 'Which source: see access_grants.source_id; for events of a purchase "store:transaction id".';
COMMENT ON COLUMN adapty.events.was_active IS 'access_level_updated: had the user the level before the change.';
COMMENT ON COLUMN adapty.events.is_active IS 'access_level_updated: has the user the level after the change.';
COMMENT ON COLUMN adapty.events.event_properties IS 'Facts that cannot be read later from immutable rows; null for none.';

SELECT pg_catalog.pg_extension_config_dump('adapty.events_default', '');
