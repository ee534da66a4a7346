-- Promotions: codes that users type in, and campaigns.
CREATE TABLE adapty.promo_code_batches (
    batch_id        uuid PRIMARY KEY,
    created_at      timestamptz NOT NULL DEFAULT now(),
    starts_at       timestamptz NOT NULL DEFAULT '-infinity',
    ends_at         timestamptz NOT NULL DEFAULT 'infinity',
    disabled_at     timestamptz,
    duration        interval,
    max_redemptions integer CONSTRAINT promo_code_batches_max_redemptions_check CHECK (max_redemptions >= 1),
    once_per_user   boolean NOT NULL DEFAULT true,
    access_level_id adapty.access_level_id NOT NULL REFERENCES adapty.access_levels,
    title           text NOT NULL CONSTRAINT promo_code_batches_title_check CHECK (length(title) BETWEEN 1 AND 255),
    actor           text,
    CONSTRAINT promo_code_batches_window_check CHECK (ends_at > starts_at)
);
CREATE INDEX promo_code_batches_access_level_id_idx ON adapty.promo_code_batches (access_level_id);
COMMENT ON TABLE adapty.promo_code_batches IS 'What the promo codes of a batch give, to whom and when.';
COMMENT ON COLUMN adapty.promo_code_batches.starts_at IS 'Codes can be redeemed from then on; -infinity for at once.';
COMMENT ON COLUMN adapty.promo_code_batches.ends_at IS 'Codes can be redeemed before that; infinity for no end.';
COMMENT ON COLUMN adapty.promo_code_batches.duration IS 'How much access a redemption adds; null for access for life.';
COMMENT ON COLUMN adapty.promo_code_batches.max_redemptions IS 'How often each code can be redeemed; null for no limit.';
COMMENT ON COLUMN adapty.promo_code_batches.once_per_user IS 'A user redeems one code of the batch only; else each code once.';
COMMENT ON COLUMN adapty.promo_code_batches.actor IS 'Who made the batch.';

CREATE TABLE adapty.promo_codes (
    batch_id    uuid NOT NULL REFERENCES adapty.promo_code_batches ON DELETE CASCADE,
    disabled_at timestamptz,
    redemptions integer NOT NULL DEFAULT 0 CONSTRAINT promo_codes_redemptions_check CHECK (redemptions >= 0),
    code        text COLLATE "C" PRIMARY KEY CONSTRAINT promo_codes_code_check CHECK (code ~ '^[0-9A-Z]{4,64}$')
) WITH (fillfactor = 80);
CREATE INDEX promo_codes_batch_id_idx ON adapty.promo_codes (batch_id);
COMMENT ON TABLE adapty.promo_codes IS 'Promo codes. Whoever knows one can redeem it: readable by adapty_server only.';
COMMENT ON COLUMN adapty.promo_codes.code IS 'In capitals, without spaces and hyphens, which users may type as they like.';
COMMENT ON COLUMN adapty.promo_codes.redemptions IS 'How often it was redeemed, also by users who have been deleted since.';

CREATE TABLE adapty.promo_code_redemptions (
    profile_id  uuid NOT NULL REFERENCES adapty.profiles ON DELETE CASCADE,
    batch_id    uuid NOT NULL,
    redeemed_at timestamptz NOT NULL DEFAULT now(),
    code        text COLLATE "C" NOT NULL REFERENCES adapty.promo_codes ON DELETE CASCADE,
    PRIMARY KEY (profile_id, batch_id, code)
);
CREATE INDEX promo_code_redemptions_code_idx ON adapty.promo_code_redemptions (code);
COMMENT ON TABLE adapty.promo_code_redemptions IS 'Who redeemed which promo code. What it gave is in access_grants, with source promo_code and the batch_id as source_id (and the count of the user''s redemptions, ":2" and so on, where a user may redeem several codes of a batch).';

SELECT pg_catalog.pg_extension_config_dump('adapty.promo_code_batches', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.promo_codes', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.promo_code_redemptions', '');

-- Campaigns: access for everybody in a segment.
CREATE TYPE adapty.promo_campaign_state AS ENUM ('draft', 'live', 'paused', 'completed', 'stopped', 'revoking', 'revoked');
COMMENT ON TYPE adapty.promo_campaign_state IS
    'Life of a promo campaign: not begun, granting, resting, over by its window or cap, stopped by hand, taking back what it gave, done with that.';

CREATE TABLE adapty.promo_campaigns (
    campaign_id     uuid PRIMARY KEY,
    segment_id      uuid NOT NULL REFERENCES adapty.segments,
    created_at      timestamptz NOT NULL DEFAULT now(),
    starts_at       timestamptz NOT NULL DEFAULT '-infinity',
    ends_at         timestamptz NOT NULL DEFAULT 'infinity',
    next_look_at    timestamptz,
    last_look_at    timestamptz,
    last_error_at   timestamptz,
    scan_position   uuid,
    duration        interval,
    granted         bigint NOT NULL DEFAULT 0,
    revoked         bigint NOT NULL DEFAULT 0,
    max_grants      integer CONSTRAINT promo_campaigns_max_grants_check CHECK (max_grants >= 1),
    failures        integer NOT NULL DEFAULT 0,
    state           adapty.promo_campaign_state NOT NULL DEFAULT 'draft',
    has_skipped     boolean NOT NULL DEFAULT false,
    access_level_id adapty.access_level_id NOT NULL REFERENCES adapty.access_levels,
    name            text NOT NULL CONSTRAINT promo_campaigns_name_key UNIQUE
                    CONSTRAINT promo_campaigns_name_check CHECK (length(name) BETWEEN 1 AND 255),
    last_error      text,
    actor           text,
    CONSTRAINT promo_campaigns_window_check CHECK (ends_at > starts_at),
    CONSTRAINT promo_campaigns_next_look_at_check CHECK ((next_look_at IS NOT NULL) = (state IN ('live', 'revoking')))
) WITH (fillfactor = 50);
CREATE INDEX promo_campaigns_due_idx ON adapty.promo_campaigns (next_look_at) WHERE next_look_at IS NOT NULL;
CREATE INDEX promo_campaigns_segment_id_idx ON adapty.promo_campaigns (segment_id);
CREATE INDEX promo_campaigns_access_level_id_idx ON adapty.promo_campaigns (access_level_id);
COMMENT ON TABLE adapty.promo_campaigns IS 'Promo campaigns: what everybody in a segment is given, once each.';
COMMENT ON COLUMN adapty.promo_campaigns.starts_at IS 'Grants are given from then on; -infinity for as soon as it is started.';
COMMENT ON COLUMN adapty.promo_campaigns.ends_at IS 'Grants are given before that; infinity for no end. What was given goes on.';
COMMENT ON COLUMN adapty.promo_campaigns.duration IS 'How much access is added; null for access for life.';
COMMENT ON COLUMN adapty.promo_campaigns.max_grants IS 'How many users it gives to at most; null for no cap.';
COMMENT ON COLUMN adapty.promo_campaigns.granted IS 'How many users it has given to.';
COMMENT ON COLUMN adapty.promo_campaigns.revoked IS 'From how many of them it was taken back.';
COMMENT ON COLUMN adapty.promo_campaigns.next_look_at IS 'When the worker has to do with it next; null for never.';
COMMENT ON COLUMN adapty.promo_campaigns.last_look_at IS 'When the segment was last gone through to its end.';
COMMENT ON COLUMN adapty.promo_campaigns.scan_position IS 'How far the pass through the segment has come: the last profile_id that was done.';
COMMENT ON COLUMN adapty.promo_campaigns.has_skipped IS 'The pass has left out users whom somebody else had locked; the next one comes soon.';
COMMENT ON COLUMN adapty.promo_campaigns.failures IS 'Batches that failed in a row; the pauses between them grow.';

CREATE TABLE adapty.promo_campaign_grants (
    profile_id  uuid NOT NULL REFERENCES adapty.profiles ON DELETE CASCADE,
    campaign_id uuid NOT NULL REFERENCES adapty.promo_campaigns ON DELETE CASCADE,
    granted_at  timestamptz NOT NULL DEFAULT now(),
    revoked_at  timestamptz,
    PRIMARY KEY (profile_id, campaign_id)
);
CREATE INDEX promo_campaign_grants_campaign_idx ON adapty.promo_campaign_grants (campaign_id, profile_id);
COMMENT ON TABLE adapty.promo_campaign_grants IS 'Whom a campaign has given to: nobody twice. What it gave is in access_grants, with source promo_campaign and the campaign_id as source_id.';
COMMENT ON COLUMN adapty.promo_campaign_grants.revoked_at IS 'When revoke_promo_campaign() dealt with it.';

SELECT pg_catalog.pg_extension_config_dump('adapty.promo_campaigns', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.promo_campaign_grants', '');
