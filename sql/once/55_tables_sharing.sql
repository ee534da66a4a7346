-- What happens around subscriptions: settings of an environment, purchases on more than one profile, timers.
CREATE TABLE adapty.environment_settings (
    environment               adapty.environment PRIMARY KEY,
    access_sharing            adapty.access_sharing NOT NULL DEFAULT 'enabled',
    billing_retry_period      interval NOT NULL DEFAULT '60 days'
        CONSTRAINT environment_settings_billing_retry_period_check CHECK (billing_retry_period >= '0' AND billing_retry_period <= '10 years'),
    trial_active_delay        interval
        CONSTRAINT environment_settings_trial_active_delay_check CHECK (trial_active_delay > '0' AND trial_active_delay <= '10 years'),
    subscription_active_delay interval
        CONSTRAINT environment_settings_subscription_active_delay_check CHECK (subscription_active_delay > '0' AND subscription_active_delay <= '10 years')
);
COMMENT ON TABLE adapty.environment_settings IS 'Settings of an environment; without a row the defaults hold. Written by configure_environment().';
COMMENT ON COLUMN adapty.environment_settings.access_sharing IS 'Who has the access of a purchase that is reported for a second profile.';
COMMENT ON COLUMN adapty.environment_settings.billing_retry_period IS 'How long after the end a store tries to charge, if it does not say when it stops.';
COMMENT ON COLUMN adapty.environment_settings.trial_active_delay IS 'trial_active is written so long after a trial began, if it has not ended; null for never.';
COMMENT ON COLUMN adapty.environment_settings.subscription_active_delay IS 'subscription_active is written so long after a subscription began without a trial, if it has not ended; null for never.';

CREATE TABLE adapty.purchase_inheritors (
    profile_id                    uuid NOT NULL REFERENCES adapty.profiles ON DELETE CASCADE,
    parent_profile_id             uuid NOT NULL,
    created_at                    timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at                    timestamptz NOT NULL DEFAULT clock_timestamp(),
    is_entitled                   boolean NOT NULL DEFAULT true,
    store                         adapty.store NOT NULL,
    store_original_transaction_id text NOT NULL,
    PRIMARY KEY (profile_id, store, store_original_transaction_id)
);
CREATE INDEX purchase_inheritors_purchase_idx ON adapty.purchase_inheritors (store, store_original_transaction_id);
COMMENT ON TABLE adapty.purchase_inheritors IS 'Profiles besides the parent for which a purchase was reported. The parent has a row only while its access is transferred to another.';
COMMENT ON COLUMN adapty.purchase_inheritors.parent_profile_id IS 'Whose purchase it is: the first profile for which it was reported.';
COMMENT ON COLUMN adapty.purchase_inheritors.is_entitled IS 'Does the purchase give this profile access? False after a transfer to another.';
COMMENT ON COLUMN adapty.purchase_inheritors.store_original_transaction_id IS 'The chain; of a one-time purchase its store_transaction_id.';

CREATE TABLE adapty.subscription_timers (
    profile_id                    uuid NOT NULL,
    fires_at                      timestamptz NOT NULL,
    due_at                        timestamptz NOT NULL,
    timer                         adapty.subscription_timer NOT NULL,
    store                         adapty.store NOT NULL,
    store_original_transaction_id text NOT NULL,
    store_transaction_id          text NOT NULL,
    PRIMARY KEY (profile_id, store, store_original_transaction_id, timer)
);
CREATE INDEX subscription_timers_due_idx ON adapty.subscription_timers (due_at);
COMMENT ON TABLE adapty.subscription_timers IS 'What subscriptions wait for besides the end of access: the scheduler takes a row away at its moment and does what it says.';
COMMENT ON COLUMN adapty.subscription_timers.profile_id IS 'Whose chain; the nil UUID when nobody''s.';
COMMENT ON COLUMN adapty.subscription_timers.fires_at IS 'The moment by the profile''s clock.';
COMMENT ON COLUMN adapty.subscription_timers.due_at IS 'The moment by the real clock: earlier while the profile''s test clock is ahead.';

SELECT pg_catalog.pg_extension_config_dump('adapty.environment_settings', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.purchase_inheritors', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.subscription_timers', '');
