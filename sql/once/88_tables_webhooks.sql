-- Who reads the feed of events, and how far.
CREATE TABLE adapty.event_consumers (
    consumer_id     text PRIMARY KEY CONSTRAINT event_consumers_consumer_id_check CHECK (consumer_id ~ '^[A-Za-z0-9_.-]{1,64}$'),
    cursor          text,
    event_types     adapty.event_type[],
    acknowledged    bigint NOT NULL DEFAULT 0,
    lost            bigint NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL DEFAULT now(),
    acknowledged_at timestamptz
) WITH (fillfactor = 50);
COMMENT ON TABLE adapty.event_consumers IS 'Readers of the event feed whose positions are kept here. See define_event_consumer().';
COMMENT ON COLUMN adapty.event_consumers.cursor IS 'What has been acknowledged: the position in the feed; null for nothing.';
COMMENT ON COLUMN adapty.event_consumers.event_types IS 'The types it wants; null for all.';
COMMENT ON COLUMN adapty.event_consumers.acknowledged IS 'How often it has acknowledged.';
COMMENT ON COLUMN adapty.event_consumers.lost IS 'Events that retention removed before they were acknowledged.';
SELECT pg_catalog.pg_extension_config_dump('adapty.event_consumers', '');
