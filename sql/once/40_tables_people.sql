-- People: everything hangs on profile_id.
CREATE TABLE adapty.profiles (
    profile_id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),
    last_seen_at        timestamptz,
    test_clock_offset   bigint,
    subscription_state  adapty.subscription_state NOT NULL DEFAULT 'never_subscribed',
    gender              adapty.gender,
    birthday            date,
    att_status          smallint CONSTRAINT profiles_att_status_check CHECK (att_status BETWEEN 0 AND 3),
    analytics_disabled  boolean NOT NULL DEFAULT false,
    store_account_token uuid,
    total_revenue_usd   numeric NOT NULL DEFAULT 0,
    first_name          text CONSTRAINT profiles_first_name_check CHECK (length(first_name) BETWEEN 1 AND 255),
    last_name           text CONSTRAINT profiles_last_name_check CHECK (length(last_name) BETWEEN 1 AND 255),
    email               text CONSTRAINT profiles_email_check CHECK (length(email) BETWEEN 1 AND 320),
    phone_number        text CONSTRAINT profiles_phone_number_check CHECK (length(phone_number) BETWEEN 1 AND 64),
    ip_country          adapty.country_code,
    store_country       adapty.country_code,
    ip_v4_address       inet CONSTRAINT profiles_ip_v4_address_check CHECK (family(ip_v4_address) = 4 AND masklen(ip_v4_address) = 32),
    store               adapty.store,
    custom_attributes   adapty.custom_attributes NOT NULL DEFAULT '{}'
) WITH (fillfactor = 90);
COMMENT ON TABLE adapty.profiles IS 'One row a user, known or anonymous. Holding a lock on the row is the right to change the user''s access.';
COMMENT ON COLUMN adapty.profiles.created_at IS 'When the profile was created: the install date of segments and cohorts.';
COMMENT ON COLUMN adapty.profiles.test_clock_offset IS 'Microseconds by which this profile''s clock is ahead; null for real users. Set by set_test_clock().';
COMMENT ON COLUMN adapty.profiles.subscription_state IS 'State over all store subscriptions, materialised for analysts.';
COMMENT ON COLUMN adapty.profiles.att_status IS 'App Tracking Transparency: 0 not determined, 1 restricted, 2 denied, 3 authorized.';
COMMENT ON COLUMN adapty.profiles.total_revenue_usd IS 'Revenue in US dollars, refunds subtracted.';
COMMENT ON COLUMN adapty.profiles.custom_attributes IS 'Custom attributes by key; see the domain for the limits.';

CREATE TABLE adapty.identities (
    customer_user_id text PRIMARY KEY CONSTRAINT identities_customer_user_id_check CHECK (length(customer_user_id) BETWEEN 1 AND 255),
    profile_id       uuid NOT NULL CONSTRAINT identities_profile_id_key UNIQUE REFERENCES adapty.profiles ON DELETE CASCADE
);
COMMENT ON TABLE adapty.identities IS 'The backend''s id of a user: one profile for all the user''s devices. A profile without a row here is anonymous.';
COMMENT ON COLUMN adapty.identities.customer_user_id IS '1 to 255 characters, case-sensitive, compared byte by byte.';

CREATE TABLE adapty.installations (
    profile_id             uuid NOT NULL REFERENCES adapty.profiles ON DELETE CASCADE,
    device_id              uuid NOT NULL,
    created_at             timestamptz NOT NULL DEFAULT now(),
    updated_at             timestamptz NOT NULL DEFAULT now(),
    platform               adapty.platform,
    device                 text, locale text, os text, timezone text, user_agent text,
    app_version            text, app_build text, adapty_sdk_version text,
    installed_app_version  text,
    idfa text, idfv text, advertising_id text, android_id text, android_app_set_id text,
    PRIMARY KEY (profile_id, device_id)
);
COMMENT ON TABLE adapty.installations IS 'One row a device: installation_meta as last reported.';
COMMENT ON COLUMN adapty.installations.installed_app_version IS 'The app version first seen on the device; never updated.';

CREATE TABLE adapty.integration_identifiers (
    profile_id uuid NOT NULL REFERENCES adapty.profiles ON DELETE CASCADE,
    name       text NOT NULL CONSTRAINT integration_identifiers_name_check CHECK (name IN (
        'adjust_device_id', 'airbridge_device_id', 'amplitude_device_id', 'amplitude_user_id',
        'appmetrica_device_id', 'appmetrica_profile_id', 'appsflyer_id', 'branch_id',
        'facebook_anonymous_id', 'firebase_app_instance_id', 'mixpanel_user_id',
        'one_signal_player_id', 'one_signal_subscription_id', 'posthog_distinct_user_id',
        'pushwoosh_hwid', 'tenjin_analytics_installation_id')),
    value      text NOT NULL CONSTRAINT integration_identifiers_value_check CHECK (length(value) BETWEEN 1 AND 255),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (profile_id, name)
);
COMMENT ON TABLE adapty.integration_identifiers IS 'The user''s ids in third-party services.';

CREATE TABLE adapty.attributions (
    profile_id      uuid NOT NULL REFERENCES adapty.profiles ON DELETE CASCADE,
    source          text NOT NULL CONSTRAINT attributions_source_check CHECK (length(source) BETWEEN 1 AND 64),
    created_at      timestamptz NOT NULL DEFAULT now(),
    status          adapty.attribution_status NOT NULL DEFAULT 'unknown',
    network_user_id text, channel text, campaign text, ad_group text, ad_set text, creative text,
    PRIMARY KEY (profile_id, source)
);
COMMENT ON TABLE adapty.attributions IS 'Which campaign brought the user, one row an attribution network.';

CREATE TABLE adapty.idempotency_keys (
    profile_id      uuid NOT NULL REFERENCES adapty.profiles ON DELETE CASCADE,
    idempotency_key text NOT NULL CONSTRAINT idempotency_keys_idempotency_key_check CHECK (length(idempotency_key) BETWEEN 1 AND 255),
    created_at      timestamptz NOT NULL DEFAULT now(),
    request         text NOT NULL,
    result          jsonb NOT NULL,
    PRIMARY KEY (profile_id, idempotency_key)
);
CREATE INDEX idempotency_keys_created_at_idx ON adapty.idempotency_keys (created_at);
COMMENT ON TABLE adapty.idempotency_keys IS 'Requests made with an idempotency key and what they returned. Kept for adapty.idempotency_key_retention.';
COMMENT ON COLUMN adapty.idempotency_keys.request IS 'The function and its arguments, to refuse the same key with others.';

SELECT pg_catalog.pg_extension_config_dump('adapty.profiles', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.identities', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.installations', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.integration_identifiers', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.attributions', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.idempotency_keys', '');
