-- Promotions.

-- ---- Promo codes ----
CREATE OR REPLACE FUNCTION adapty._random_promo_code(length integer) RETURNS text
    LANGUAGE c VOLATILE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'adapty_random_promo_code';
COMMENT ON FUNCTION adapty._random_promo_code(integer) IS
    'A code that nobody can guess, of letters and digits that do not look alike. Private.';
REVOKE ALL ON FUNCTION adapty._random_promo_code(integer) FROM PUBLIC;

CREATE OR REPLACE FUNCTION adapty.create_promo_codes(
        title           text,
        access_level_id text,
        duration        interval DEFAULT NULL,
        is_lifetime     boolean DEFAULT false,
        codes           integer DEFAULT 1,
        code            text DEFAULT NULL,
        max_redemptions integer DEFAULT 1,
        starts_at       timestamptz DEFAULT NULL,
        ends_at         timestamptz DEFAULT NULL,
        once_per_user   boolean DEFAULT true,
        code_length     integer DEFAULT 16)
    RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_create_promo_codes';
COMMENT ON FUNCTION adapty.create_promo_codes(text, text, interval, boolean, integer, text, integer, timestamptz, timestamptz, boolean, integer) IS
    'Makes a batch of promo codes and returns its batch_id; the codes are in promo_codes. Random ones, so many as codes says, or the one given as code. Each can be redeemed max_redemptions times (null: without limit), from starts_at until ends_at, and adds duration of the access level, or is_lifetime.';
REVOKE ALL ON FUNCTION adapty.create_promo_codes(text, text, interval, boolean, integer, text, integer, timestamptz, timestamptz, boolean, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.create_promo_codes(text, text, interval, boolean, integer, text, integer, timestamptz, timestamptz, boolean, integer) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.add_promo_codes(batch_id uuid, codes integer, code_length integer DEFAULT 16)
    RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_add_promo_codes';
COMMENT ON FUNCTION adapty.add_promo_codes(uuid, integer, integer) IS
    'Adds random codes to a batch and returns how many.';
REVOKE ALL ON FUNCTION adapty.add_promo_codes(uuid, integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.add_promo_codes(uuid, integer, integer) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.disable_promo_codes(batch_id uuid) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_disable_promo_codes';
COMMENT ON FUNCTION adapty.disable_promo_codes(uuid) IS
    'From now on no code of the batch can be redeemed. What they gave stays.';
REVOKE ALL ON FUNCTION adapty.disable_promo_codes(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.disable_promo_codes(uuid) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.disable_promo_code(code text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_disable_promo_code';
COMMENT ON FUNCTION adapty.disable_promo_code(text) IS
    'From now on the code cannot be redeemed. What it gave stays.';
REVOKE ALL ON FUNCTION adapty.disable_promo_code(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.disable_promo_code(text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.redeem_promo_code(
        customer_user_id text, code text, idempotency_key text DEFAULT NULL)
    RETURNS adapty.access_level
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_redeem_promo_code';
COMMENT ON FUNCTION adapty.redeem_promo_code(text, text, text) IS
    'Redeems a promo code for a user and returns the access level as the user has it then. A code that is unknown, not valid now, disabled or used up is one and the same error (PT400).';
REVOKE ALL ON FUNCTION adapty.redeem_promo_code(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.redeem_promo_code(text, text, text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.redeem_promo_code(
        profile_id uuid, code text, idempotency_key text DEFAULT NULL)
    RETURNS adapty.access_level
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_redeem_promo_code_by_profile_id';
COMMENT ON FUNCTION adapty.redeem_promo_code(uuid, text, text) IS
    'Redeems a promo code for a profile and returns the access level as the user has it then.';
REVOKE ALL ON FUNCTION adapty.redeem_promo_code(uuid, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.redeem_promo_code(uuid, text, text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.check_promo_code(
        code text,
        OUT status text, OUT batch_id uuid, OUT title text, OUT access_level_id text, OUT duration interval,
        OUT redemptions integer, OUT max_redemptions integer, OUT starts_at timestamptz, OUT ends_at timestamptz)
    RETURNS record
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT CASE WHEN c.code IS NULL THEN 'unknown'
                WHEN c.disabled_at IS NOT NULL OR b.disabled_at IS NOT NULL THEN 'disabled'
                WHEN adapty.now() < b.starts_at THEN 'not_started'
                WHEN adapty.now() >= b.ends_at THEN 'ended'
                WHEN c.redemptions >= b.max_redemptions THEN 'used_up'
                ELSE 'valid' END,
           b.batch_id, b.title, b.access_level_id::text, b.duration, c.redemptions, b.max_redemptions,
           nullif(b.starts_at, '-infinity'), nullif(b.ends_at, 'infinity')
      FROM (VALUES (1)) AS one (n)
      LEFT JOIN adapty.promo_codes c
             ON c.code = upper(translate(check_promo_code.code COLLATE "C", ' -', ''))
      LEFT JOIN adapty.promo_code_batches b ON b.batch_id = c.batch_id
    $$;
COMMENT ON FUNCTION adapty.check_promo_code(text) IS
    'What there is to say of a promo code: status (valid, unknown, not_started, ended, used_up, disabled) and its batch. For the backend and its support staff: redeem_promo_code() does not tell these apart.';
REVOKE ALL ON FUNCTION adapty.check_promo_code(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.check_promo_code(text) TO adapty_server;

GRANT SELECT ON adapty.promo_code_batches, adapty.promo_codes, adapty.promo_code_redemptions TO adapty_server;
-- Analysts count redemptions by batch; a code itself is worth money.
GRANT SELECT (batch_id, created_at, starts_at, ends_at, disabled_at, duration, max_redemptions, once_per_user, access_level_id, title)
    ON adapty.promo_code_batches TO adapty_analyst;
GRANT SELECT (profile_id, batch_id, redeemed_at) ON adapty.promo_code_redemptions TO adapty_analyst;

-- ---- Campaigns ----
CREATE OR REPLACE FUNCTION adapty.create_promo_campaign(
        name            text,
        segment         text,
        access_level_id text,
        duration        interval DEFAULT NULL,
        is_lifetime     boolean DEFAULT false,
        starts_at       timestamptz DEFAULT NULL,
        ends_at         timestamptz DEFAULT NULL,
        max_grants      integer DEFAULT NULL)
    RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_create_promo_campaign';
COMMENT ON FUNCTION adapty.create_promo_campaign(text, text, text, interval, boolean, timestamptz, timestamptz, integer) IS
    'Makes a draft of a campaign that gives duration of an access level (or is_lifetime) to everybody in a segment, once each, from starts_at until ends_at, to max_grants users at most. Nothing is given before start_promo_campaign().';
REVOKE ALL ON FUNCTION adapty.create_promo_campaign(text, text, text, interval, boolean, timestamptz, timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.create_promo_campaign(text, text, text, interval, boolean, timestamptz, timestamptz, integer) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.preview_promo_campaign(
        name text, OUT members bigint, OUT have_been_granted bigint, OUT would_be_granted bigint)
    RETURNS record
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_preview_promo_campaign';
COMMENT ON FUNCTION adapty.preview_promo_campaign(text) IS
    'A dry run: how many are in the campaign''s segment now, to how many of them it has given, and to how many it would give now, its cap considered.';
REVOKE ALL ON FUNCTION adapty.preview_promo_campaign(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.preview_promo_campaign(text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.start_promo_campaign(name text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_start_promo_campaign';
COMMENT ON FUNCTION adapty.start_promo_campaign(text) IS
    'Starts a draft, or goes on with a paused campaign: the worker gives to who is in the segment, and looks for newcomers every adapty.campaign_interval.';
CREATE OR REPLACE FUNCTION adapty.pause_promo_campaign(name text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_pause_promo_campaign';
COMMENT ON FUNCTION adapty.pause_promo_campaign(text) IS
    'From now on a live campaign gives to nobody, until start_promo_campaign(). What it gave stays.';
CREATE OR REPLACE FUNCTION adapty.stop_promo_campaign(name text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_stop_promo_campaign';
COMMENT ON FUNCTION adapty.stop_promo_campaign(text) IS
    'Ends a campaign for good. What it gave stays.';
CREATE OR REPLACE FUNCTION adapty.revoke_promo_campaign(name text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_revoke_promo_campaign';
COMMENT ON FUNCTION adapty.revoke_promo_campaign(text) IS
    'Ends a campaign for good; the worker takes back what it gave, and nothing else. Its state is revoking until that is done, then revoked.';
REVOKE ALL ON FUNCTION adapty.start_promo_campaign(text), adapty.pause_promo_campaign(text),
    adapty.stop_promo_campaign(text), adapty.revoke_promo_campaign(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.start_promo_campaign(text), adapty.pause_promo_campaign(text),
    adapty.stop_promo_campaign(text), adapty.revoke_promo_campaign(text) TO adapty_server;

GRANT SELECT ON adapty.promo_campaigns, adapty.promo_campaign_grants TO adapty_server;
GRANT SELECT (campaign_id, segment_id, created_at, starts_at, ends_at, next_look_at, last_look_at, duration, granted, revoked,
    max_grants, state, access_level_id, name) ON adapty.promo_campaigns TO adapty_analyst;
GRANT SELECT ON adapty.promo_campaign_grants TO adapty_analyst;
