-- The truth about access: one row a source of an access level.
-- Column order keeps the fixed-width columns together; src/domain/grant.h mirrors it.
CREATE TABLE adapty.access_grants (
    profile_id         uuid NOT NULL REFERENCES adapty.profiles ON DELETE CASCADE,
    starts_at          timestamptz NOT NULL DEFAULT now(),
    expires_at         timestamptz NOT NULL DEFAULT 'infinity',
    next_transition_at timestamptz GENERATED ALWAYS AS (
        adapty.grant_next_transition_at(state, starts_at, expires_at, test_clock_offset)) STORED,
    granted_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    revoked_at         timestamptz,
    test_clock_offset  bigint,
    source             adapty.grant_source NOT NULL DEFAULT 'server_grant',
    state              adapty.grant_state NOT NULL DEFAULT 'pending',
    access_level_id    adapty.access_level_id NOT NULL REFERENCES adapty.access_levels,
    source_id          text NOT NULL DEFAULT '',
    actor              text,
    reason             text,
    PRIMARY KEY (profile_id, access_level_id, source, source_id),
    CONSTRAINT access_grants_interval_check CHECK (expires_at > starts_at OR revoked_at IS NOT NULL),
    CONSTRAINT access_grants_source_id_check CHECK (length(source_id) <= 330),
    CONSTRAINT access_grants_reason_check CHECK (length(reason) <= 1000)
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX access_grants_due_idx ON adapty.access_grants (next_transition_at) WHERE next_transition_at IS NOT NULL;
COMMENT ON TABLE adapty.access_grants IS 'One row a source of an access level. A user has the level while any source''s interval contains now: starts_at <= now < expires_at.';
COMMENT ON COLUMN adapty.access_grants.starts_at IS 'Beginning of the interval; -infinity for an open one.';
COMMENT ON COLUMN adapty.access_grants.expires_at IS 'End of the interval, not part of it; infinity for lifetime.';
COMMENT ON COLUMN adapty.access_grants.next_transition_at IS 'When the announced state is next out of date, on the real clock.';
COMMENT ON COLUMN adapty.access_grants.revoked_at IS 'When the source was ended early; the interval''s end is then the moment of revocation.';
COMMENT ON COLUMN adapty.access_grants.test_clock_offset IS 'Copy of the profile''s test clock, in microseconds.';
COMMENT ON COLUMN adapty.access_grants.source_id IS 'Which one of its kind: "store:original transaction id" of a purchase, a campaign''s or code''s id; empty for the server-side grant.';
COMMENT ON COLUMN adapty.access_grants.state IS 'What has been announced by events. Maintained by the extension.';
COMMENT ON COLUMN adapty.access_grants.actor IS 'Who changed it last: role/application_name, or the JWT''s subject.';

SELECT pg_catalog.pg_extension_config_dump('adapty.access_grants', '');

CREATE TYPE adapty.access_level AS (
    access_level_id               text,
    is_active                     boolean,
    is_lifetime                   boolean,
    starts_at                     timestamptz,
    expires_at                    timestamptz,
    source                        adapty.grant_source,
    active_sources                adapty.grant_source[],
    will_renew                    boolean,
    is_in_grace_period            boolean,
    store                         text,
    store_product_id              text,
    store_base_plan_id            text,
    store_transaction_id          text,
    store_original_transaction_id text,
    offer_category                adapty.offer_category,
    offer_type                    adapty.offer_type,
    offer_id                      text,
    purchased_at                  timestamptz,
    originally_purchased_at       timestamptz,
    renewal_cancelled_at          timestamptz,
    billing_issue_detected_at     timestamptz,
    cancellation_reason           adapty.cancellation_reason
);
COMMENT ON TYPE adapty.access_level IS 'One access level of one user: the union of its sources, shown by the winning one. expires_at is null for lifetime.';

CREATE TYPE adapty.profile_status AS (
    profile_id           uuid,
    customer_user_id     text,
    as_of                timestamptz,
    subscription_state   adapty.subscription_state,
    has_access           boolean,
    active_access_levels text[],
    expires_at           timestamptz,
    will_renew           boolean,
    is_in_grace_period   boolean
);
COMMENT ON TYPE adapty.profile_status IS 'What a user has at a moment. expires_at is when the last active access level ends; null for lifetime or no access.';

CREATE TYPE adapty.access_explanation AS (
    source            adapty.grant_source,
    source_id         text,
    starts_at         timestamptz,
    expires_at        timestamptz,
    is_active         boolean,
    is_winner         boolean,
    explanation       text,
    granted_at        timestamptz,
    updated_at        timestamptz,
    actor             text,
    reason            text,
    parent_profile_id uuid
);
COMMENT ON TYPE adapty.access_explanation IS 'One source of an access level and why it does or does not give access now. parent_profile_id is whose purchase a shared one is.';
