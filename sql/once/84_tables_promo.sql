-- Promotions: codes that users type in.
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
