-- Reports that the stores send by themselves: secrets, events seen, and the newest that is known of each of the stores' objects.
CREATE TABLE adapty.ingest_secrets (
    provider    text NOT NULL CONSTRAINT ingest_secrets_provider_check CHECK (provider IN ('stripe', 'paddle', 'chargebee')),
    environment adapty.environment NOT NULL,
    secret      text NOT NULL CONSTRAINT ingest_secrets_secret_check CHECK (length(secret) BETWEEN 1 AND 500),
    created_at  timestamptz NOT NULL DEFAULT now(),
    valid_until timestamptz NOT NULL DEFAULT 'infinity',
    PRIMARY KEY (provider, environment, secret)
);
COMMENT ON TABLE adapty.ingest_secrets IS 'What proves that an event is the store''s. Nobody but the owner reads it; written by set_ingest_secret().';
COMMENT ON COLUMN adapty.ingest_secrets.environment IS 'Events that this secret proves are of this environment.';
COMMENT ON COLUMN adapty.ingest_secrets.secret IS 'Signing secret of the endpoint; of ChargeBee "user:password" of the basic authentication.';
COMMENT ON COLUMN adapty.ingest_secrets.valid_until IS 'When an old secret stops being taken: both are while it is replaced.';

CREATE TABLE adapty.ingested_events (
    provider    text NOT NULL,
    event_id    text NOT NULL CONSTRAINT ingested_events_event_id_check CHECK (length(event_id) BETWEEN 1 AND 255),
    event_type  text NOT NULL CONSTRAINT ingested_events_event_type_check CHECK (length(event_type) BETWEEN 1 AND 255),
    environment adapty.environment NOT NULL,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    outcome     text NOT NULL DEFAULT 'applied' CONSTRAINT ingested_events_outcome_check CHECK (outcome IN ('applied', 'outdated', 'ignored', 'error')),
    detail      text,
    PRIMARY KEY (event_id, provider)
);
CREATE INDEX ingested_events_received_at_idx ON adapty.ingested_events (received_at);
CREATE INDEX ingested_events_error_idx ON adapty.ingested_events (received_at) WHERE outcome = 'error';
COMMENT ON TABLE adapty.ingested_events IS 'Events of the stores that were seen, so that each is applied once. Kept as long as adapty.ingested_event_retention says.';
COMMENT ON COLUMN adapty.ingested_events.occurred_at IS 'When the store made the event.';
COMMENT ON COLUMN adapty.ingested_events.outcome IS 'applied; outdated: something newer was known; ignored: nothing in it concerns us; error: see detail, the event is tried again if it is sent again.';
COMMENT ON COLUMN adapty.ingested_events.detail IS 'Why it was ignored or refused, or what it waits for.';

CREATE TABLE adapty.store_customers (
    store             adapty.store NOT NULL,
    store_customer_id text NOT NULL CONSTRAINT store_customers_store_customer_id_check CHECK (length(store_customer_id) BETWEEN 1 AND 255),
    profile_id        uuid REFERENCES adapty.profiles ON DELETE CASCADE,
    customer_user_id  text CONSTRAINT store_customers_customer_user_id_check CHECK (length(customer_user_id) BETWEEN 1 AND 255),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (store_customer_id, store),
    CONSTRAINT store_customers_user_check CHECK ((profile_id IS NULL) <> (customer_user_id IS NULL))
);
CREATE INDEX store_customers_profile_id_idx ON adapty.store_customers (profile_id);
CREATE INDEX store_customers_customer_user_id_idx ON adapty.store_customers (customer_user_id) WHERE customer_user_id IS NOT NULL;
COMMENT ON TABLE adapty.store_customers IS 'Which profile a store''s customer is: learned from events, or set by set_store_customer().';
COMMENT ON COLUMN adapty.store_customers.profile_id IS 'The profile; null while nobody has the customer_user_id that the store named.';
COMMENT ON COLUMN adapty.store_customers.customer_user_id IS 'What the store named, as long as there is no such profile.';

-- An object stays of the environment in which it was first seen: a secret of the sandbox proves nothing about real money.
-- Keys begin with what is selective: a plan that is made while a table is empty must not choose an index by its store alone.
-- Times without a value are null; amounts are in the currency's main unit.
CREATE TABLE adapty.ingested_subscriptions (
    store                 adapty.store NOT NULL,
    store_subscription_id text NOT NULL,
    reported_at           timestamptz NOT NULL,
    report_rank           bigint NOT NULL,
    started_at            timestamptz,
    period_start          timestamptz,
    period_end            timestamptz,
    trial_ends_at         timestamptz,
    ends_at               timestamptz,
    ended_at              timestamptz,
    renewal_cancelled_at  timestamptz,
    billing_issue_at      timestamptz,
    paused_at             timestamptz,
    resumes_at            timestamptz,
    environment           adapty.environment NOT NULL,
    cancellation_reason   adapty.cancellation_reason,
    status                text NOT NULL CONSTRAINT ingested_subscriptions_status_check CHECK (status IN ('incomplete', 'trialing', 'active', 'past_due', 'unpaid', 'paused', 'ended')),
    event_id              text NOT NULL,
    store_customer_id     text,
    latest_payment_id     text,
    store_product_id      text,
    store_base_plan_id    text,
    PRIMARY KEY (store_subscription_id, store)
) WITH (fillfactor = 80);
CREATE INDEX ingested_subscriptions_customer_idx ON adapty.ingested_subscriptions (store_customer_id, store);
COMMENT ON TABLE adapty.ingested_subscriptions IS 'The newest state of each subscription that a store''s events told of. Transactions follow from it and from ingested_payments.';
COMMENT ON COLUMN adapty.ingested_subscriptions.reported_at IS 'When the store made the event that this state is from.';
COMMENT ON COLUMN adapty.ingested_subscriptions.report_rank IS 'Which of two states of the same second is the later one.';
COMMENT ON COLUMN adapty.ingested_subscriptions.ends_at IS 'When it will end because renewal was switched off; null while it renews.';
COMMENT ON COLUMN adapty.ingested_subscriptions.billing_issue_at IS 'Since when payment fails, as far as the subscription itself says.';

CREATE TABLE adapty.ingested_payments (
    store                 adapty.store NOT NULL,
    store_payment_id      text NOT NULL,
    reported_at           timestamptz NOT NULL,
    report_rank           bigint NOT NULL,
    period_start          timestamptz NOT NULL,
    period_end            timestamptz,
    due_at                timestamptz,
    charged_at            timestamptz,
    environment           adapty.environment NOT NULL,
    report_hash           bigint,
    is_processing         boolean NOT NULL,
    is_trial              boolean,
    amount                numeric NOT NULL CONSTRAINT ingested_payments_amount_check CHECK (amount >= 0),
    currency              adapty.currency_code NOT NULL,
    country               adapty.country_code,
    status                text NOT NULL CONSTRAINT ingested_payments_status_check CHECK (status IN ('draft', 'open', 'paid', 'void')),
    event_id              text NOT NULL,
    store_subscription_id text,
    store_customer_id     text,
    store_product_id      text,
    store_base_plan_id    text,
    variation_id          text,
    PRIMARY KEY (store_payment_id, store)
) WITH (fillfactor = 80);
CREATE INDEX ingested_payments_subscription_idx ON adapty.ingested_payments (store_subscription_id, store, period_start);
CREATE INDEX ingested_payments_customer_idx ON adapty.ingested_payments (store_customer_id, store);
COMMENT ON TABLE adapty.ingested_payments IS 'The newest state of each invoice or payment that a store''s events told of: one row a paid period or purchase.';
COMMENT ON COLUMN adapty.ingested_payments.due_at IS 'Until when the store waits for payment, if the customer pays by bill.';
COMMENT ON COLUMN adapty.ingested_payments.charged_at IS 'When the store first tried to charge.';
COMMENT ON COLUMN adapty.ingested_payments.report_hash IS 'Of the transaction that was made of it, as reported last; null if none was.';
COMMENT ON COLUMN adapty.ingested_payments.is_processing IS 'Is a charge under way that takes its time?';
COMMENT ON COLUMN adapty.ingested_payments.is_trial IS 'Is it the free invoice of a trial? Null if only the subscription can tell.';
COMMENT ON COLUMN adapty.ingested_payments.store_product_id IS 'Null if what was paid is no product of ours.';

CREATE TABLE adapty.ingested_refunds (
    store             adapty.store NOT NULL,
    store_refund_id   text NOT NULL,
    reported_at       timestamptz NOT NULL,
    report_rank       bigint NOT NULL,
    refunded_at       timestamptz NOT NULL,
    environment       adapty.environment NOT NULL,
    is_effective      boolean NOT NULL,
    is_full           boolean NOT NULL,
    amount            numeric NOT NULL CONSTRAINT ingested_refunds_amount_check CHECK (amount >= 0),
    event_id          text NOT NULL,
    store_payment_id  text,
    payment_reference text,
    PRIMARY KEY (store_refund_id, store)
);
CREATE INDEX ingested_refunds_payment_idx ON adapty.ingested_refunds (store_payment_id, store);
CREATE INDEX ingested_refunds_reference_idx ON adapty.ingested_refunds (payment_reference, store) WHERE store_payment_id IS NULL;
COMMENT ON TABLE adapty.ingested_refunds IS 'Refunds and lost disputes of ingested_payments.';
COMMENT ON COLUMN adapty.ingested_refunds.is_effective IS 'Has the money gone back? False while a refund is asked for, and after it was refused.';
COMMENT ON COLUMN adapty.ingested_refunds.payment_reference IS 'How the store names the payment here, if not by store_payment_id: see ingested_references.';

CREATE TABLE adapty.ingested_references (
    environment      adapty.environment NOT NULL,
    store            adapty.store NOT NULL,
    reference        text NOT NULL,
    store_payment_id text NOT NULL,
    PRIMARY KEY (reference, store, environment)
);
COMMENT ON TABLE adapty.ingested_references IS 'Other names of payments: the charge or payment intent of an invoice.';

SELECT pg_catalog.pg_extension_config_dump('adapty.ingest_secrets', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.ingested_events', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.store_customers', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.ingested_subscriptions', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.ingested_payments', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.ingested_refunds', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.ingested_references', '');
