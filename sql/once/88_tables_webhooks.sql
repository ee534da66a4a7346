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

-- Where events are sent by themselves.
CREATE TYPE adapty.webhook_state AS ENUM ('disabled', 'verifying', 'enabled', 'failed');
COMMENT ON TYPE adapty.webhook_state IS 'disabled: nothing is sent; verifying: the endpoint has yet to answer the request that asks whether it is one; enabled; failed: it did not answer that request as it must.';
CREATE TYPE adapty.delivery_state AS ENUM ('pending', 'delivered', 'rejected', 'parked');
COMMENT ON TYPE adapty.delivery_state IS 'pending: to be sent, perhaps again; delivered; rejected: answered with a status of 400 or more that counts as received, so it is not sent again; parked: given up after all attempts, can be sent again by hand.';

CREATE TABLE adapty.webhooks (
    webhook_id           text PRIMARY KEY CONSTRAINT webhooks_webhook_id_check CHECK (webhook_id ~ '^[A-Za-z0-9_.-]{1,64}$'),
    url                  text NOT NULL,
    environment          adapty.environment NOT NULL DEFAULT 'Production',
    state                adapty.webhook_state NOT NULL DEFAULT 'disabled',
    state_changed_at     timestamptz NOT NULL DEFAULT now(),
    state_reason         text,
    event_types          adapty.event_type[],
    event_names          jsonb NOT NULL DEFAULT '{}' CONSTRAINT webhooks_event_names_check CHECK (jsonb_typeof(event_names) = 'object'),
    send_user_attributes boolean NOT NULL DEFAULT false,
    send_attribution     boolean NOT NULL DEFAULT false,
    send_trial_price     boolean NOT NULL DEFAULT false,
    send_purchase_token  boolean NOT NULL DEFAULT false,
    exclude_historical   boolean NOT NULL DEFAULT false,
    max_in_flight        integer NOT NULL DEFAULT 20 CONSTRAINT webhooks_max_in_flight_check CHECK (max_in_flight BETWEEN 1 AND 1000),
    success_from         integer NOT NULL DEFAULT 200,
    success_to           integer NOT NULL DEFAULT 404,
    created_at           timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT webhooks_success_check CHECK (success_from BETWEEN 200 AND success_to AND success_to <= 599)
);
COMMENT ON TABLE adapty.webhooks IS 'Endpoints that events are sent to. See define_webhook().';
COMMENT ON COLUMN adapty.webhooks.environment IS 'The environment whose events it gets; events without one are of Production.';
COMMENT ON COLUMN adapty.webhooks.state_reason IS 'Why it is in its state, for people.';
COMMENT ON COLUMN adapty.webhooks.event_types IS 'The types that are sent; null for all.';
COMMENT ON COLUMN adapty.webhooks.event_names IS 'Names that the endpoint has for types of events: {"type": "name"}.';
COMMENT ON COLUMN adapty.webhooks.exclude_historical IS 'Leave out what happened before the user installed the app.';
COMMENT ON COLUMN adapty.webhooks.max_in_flight IS 'Requests to it at the same time.';
COMMENT ON COLUMN adapty.webhooks.success_from IS 'Statuses from here to success_to count as received; others are tried again.';
SELECT pg_catalog.pg_extension_config_dump('adapty.webhooks', '');

-- Granted to nobody.
CREATE TABLE adapty.webhook_secrets (
    webhook_id           text PRIMARY KEY REFERENCES adapty.webhooks ON DELETE CASCADE,
    authorization_value  text,
    signing_secret       text,
    previous_secret      text,
    previous_valid_until timestamptz
);
COMMENT ON TABLE adapty.webhook_secrets IS 'What is sent as Authorization, and the secrets that requests are signed with. No role may read it.';
COMMENT ON COLUMN adapty.webhook_secrets.previous_secret IS 'The secret before the last change: requests are signed with both until previous_valid_until.';
SELECT pg_catalog.pg_extension_config_dump('adapty.webhook_secrets', '');

CREATE TABLE adapty.webhook_progress (
    webhook_id      text PRIMARY KEY REFERENCES adapty.webhooks ON DELETE CASCADE,
    cursor          text,
    delivered       bigint NOT NULL DEFAULT 0,
    rejected        bigint NOT NULL DEFAULT 0,
    failed_attempts bigint NOT NULL DEFAULT 0,
    lost            bigint NOT NULL DEFAULT 0,
    failures        integer NOT NULL DEFAULT 0,
    failing_since   timestamptz,
    retry_at        timestamptz,
    last_success_at timestamptz,
    last_error      text,
    last_error_at   timestamptz
) WITH (fillfactor = 20);
COMMENT ON TABLE adapty.webhook_progress IS 'How far each webhook has come. The view webhook_status shows it.';
COMMENT ON COLUMN adapty.webhook_progress.cursor IS 'The position in the feed of events up to which deliveries have been made.';
COMMENT ON COLUMN adapty.webhook_progress.lost IS 'Events that retention removed before they could be sent.';
COMMENT ON COLUMN adapty.webhook_progress.failures IS 'Attempts that failed in a row, whatever they carried.';
COMMENT ON COLUMN adapty.webhook_progress.retry_at IS 'The endpoint does not answer: nothing is sent before then.';
SELECT pg_catalog.pg_extension_config_dump('adapty.webhook_progress', '');

-- No reference to webhooks: it would cost every delivery a look. delete_webhook() takes them along.
CREATE TABLE adapty.webhook_deliveries (
    webhook_id       text NOT NULL,
    event_id         uuid NOT NULL,
    profile_id       uuid NOT NULL,
    recorded_at      timestamptz NOT NULL,
    next_attempt_at  timestamptz NOT NULL DEFAULT now(),
    first_attempt_at timestamptz,
    finished_at      timestamptz,
    state            adapty.delivery_state NOT NULL DEFAULT 'pending',
    attempts         integer NOT NULL DEFAULT 0,
    last_status      integer,
    last_error       text,
    PRIMARY KEY (webhook_id, event_id)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05);
CREATE INDEX webhook_deliveries_due_idx ON adapty.webhook_deliveries (webhook_id, next_attempt_at, recorded_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_profile_idx ON adapty.webhook_deliveries (webhook_id, profile_id, recorded_at, event_id) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_finished_idx ON adapty.webhook_deliveries (webhook_id, finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX webhook_deliveries_parked_idx ON adapty.webhook_deliveries (webhook_id, recorded_at) WHERE state = 'parked';
COMMENT ON TABLE adapty.webhook_deliveries IS 'One row an event and webhook, from the moment at which it is queued until retention removes it.';
COMMENT ON COLUMN adapty.webhook_deliveries.recorded_at IS 'When the event was written: with profile_id and event_id its key.';
COMMENT ON COLUMN adapty.webhook_deliveries.next_attempt_at IS 'Not sent before then.';
COMMENT ON COLUMN adapty.webhook_deliveries.attempts IS 'Requests that count: not those made while the endpoint did not answer at all, nor one that a crash cut off.';
COMMENT ON COLUMN adapty.webhook_deliveries.last_status IS 'HTTP status of the last answer; null if there was none.';
SELECT pg_catalog.pg_extension_config_dump('adapty.webhook_deliveries', '');
