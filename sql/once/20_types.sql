-- Enums, in the words of the API. The labels' order is their sort order.
CREATE TYPE adapty.environment AS ENUM ('Production', 'Sandbox');
CREATE TYPE adapty.platform AS ENUM ('iOS', 'macOS', 'iPadOS', 'visionOS', 'Android', 'web');
CREATE TYPE adapty.gender AS ENUM ('f', 'm', 'o');
CREATE TYPE adapty.attribution_status AS ENUM ('organic', 'non_organic', 'unknown');
CREATE TYPE adapty.purchase_type AS ENUM ('one_time_purchase', 'subscription');
CREATE TYPE adapty.product_period AS ENUM (
    'weekly', 'monthly', 'two_months', 'trimonthly', 'semiannual', 'annual',
    'lifetime', 'consumable', 'nonsubscriptions', 'uncategorised');
CREATE TYPE adapty.offer_category AS ENUM ('introductory', 'promotional', 'offer_code', 'win_back');
CREATE TYPE adapty.offer_type AS ENUM ('free_trial', 'pay_as_you_go', 'pay_up_front');
CREATE TYPE adapty.cancellation_reason AS ENUM (
    'billing_error', 'cancelled_by_developer', 'new_subscription_replace', 'price_increase',
    'product_was_not_available', 'refund', 'unknown', 'upgraded', 'voluntarily_cancelled',
    'adapty_revoked');
CREATE TYPE adapty.subscription_state AS ENUM (
    'never_subscribed', 'active_trial', 'trial_cancelled', 'subscribed', 'auto_renew_off',
    'grace_period', 'billing_issue', 'subscription_cancelled');
CREATE TYPE adapty.event_type AS ENUM (
    'subscription_started', 'subscription_renewed', 'subscription_renewal_cancelled',
    'subscription_renewal_reactivated', 'subscription_expired', 'subscription_paused',
    'subscription_deferred', 'subscription_refunded', 'non_subscription_purchase',
    'non_subscription_purchase_refunded', 'trial_started', 'trial_converted',
    'trial_renewal_cancelled', 'trial_renewal_reactivated', 'trial_expired',
    'entered_grace_period', 'billing_issue_detected', 'access_level_updated',
    'trial_active', 'subscription_active');
CREATE TYPE adapty.access_sharing AS ENUM ('enabled', 'transfer', 'disabled');
CREATE TYPE adapty.subscription_timer AS ENUM ('period_end', 'retry_end', 'trial_active', 'subscription_active');
CREATE TYPE adapty.grant_source AS ENUM (
    'subscription', 'one_time_purchase', 'shared_purchase',
    'server_grant', 'promo_campaign', 'promo_code');
CREATE TYPE adapty.grant_state AS ENUM ('pending', 'active', 'ended');
CREATE TYPE adapty.grant_mode AS ENUM ('extend', 'replace', 'max', 'keep');

COMMENT ON TYPE adapty.environment IS 'Where a purchase was made: real money or the store''s test environment.';
COMMENT ON TYPE adapty.platform IS 'Platform of a device that has the app.';
COMMENT ON TYPE adapty.gender IS 'f, m or o (other).';
COMMENT ON TYPE adapty.attribution_status IS 'Whether an installation is credited to a campaign.';
COMMENT ON TYPE adapty.purchase_type IS 'Kind of a store transaction.';
COMMENT ON TYPE adapty.product_period IS 'Period of a product. A consumable never gives access.';
COMMENT ON TYPE adapty.offer_category IS 'Category of the offer that a purchase used.';
COMMENT ON TYPE adapty.offer_type IS 'How an offer is paid. free_trial makes the period a trial.';
COMMENT ON TYPE adapty.cancellation_reason IS 'Why a subscription or purchase ended.';
COMMENT ON TYPE adapty.subscription_state IS 'State of a profile over all its store subscriptions.';
COMMENT ON TYPE adapty.event_type IS 'Type of an event, named as in the webhooks.';
COMMENT ON TYPE adapty.access_sharing IS 'Who has the access of a purchase that is reported for a second profile: both (enabled), the last customer_user_id (transfer), the first one (disabled).';
COMMENT ON TYPE adapty.subscription_timer IS 'What a subscription waits for: the end of a period that no grant shows, the end of the store''s tries to charge, a synthetic event.';
COMMENT ON TYPE adapty.grant_source IS 'What gives an access level: a store purchase, a purchase shared by another profile, or a server-side grant.';
COMMENT ON TYPE adapty.grant_state IS 'What has been announced of a grant: not begun, begun, over. Access itself is computed from the clock, never from this.';
COMMENT ON TYPE adapty.grant_mode IS 'How a grant meets access that is there already: extend it, replace the interval, take the later end, or keep what is there.';

-- Domains
CREATE DOMAIN adapty.access_level_id AS text
    CONSTRAINT access_level_id_check CHECK (VALUE ~ '^[A-Za-z0-9_.-]{1,64}$');
CREATE DOMAIN adapty.country_code AS text
    CONSTRAINT country_code_check CHECK (VALUE ~ '^[A-Z]{2}$');
CREATE DOMAIN adapty.currency_code AS text
    CONSTRAINT currency_code_check CHECK (VALUE ~ '^[A-Z]{3}$');
CREATE DOMAIN adapty.store AS text
    CONSTRAINT store_check CHECK (VALUE ~ '^[A-Za-z0-9_.-]{1,64}$');
COMMENT ON DOMAIN adapty.access_level_id IS 'Identifier of an access level: 1 to 64 letters, digits, "_", "." or "-".';
COMMENT ON DOMAIN adapty.country_code IS 'ISO 3166-1 alpha-2 code in capitals.';
COMMENT ON DOMAIN adapty.currency_code IS 'ISO 4217 code in capitals.';
COMMENT ON DOMAIN adapty.store IS 'app_store, play_store, stripe, paddle, adapty or a custom store''s identifier: 1 to 64 letters, digits, "_", "." or "-".';

CREATE FUNCTION adapty.is_custom_attributes(attributes jsonb) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'adapty_is_custom_attributes';
REVOKE ALL ON FUNCTION adapty.is_custom_attributes(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.is_custom_attributes(jsonb) TO adapty_server, adapty_sdk, adapty_analyst;
CREATE DOMAIN adapty.custom_attributes AS jsonb
    CONSTRAINT custom_attributes_check CHECK (adapty.is_custom_attributes(VALUE));
COMMENT ON DOMAIN adapty.custom_attributes IS
    'An object of at most 30 custom attributes: keys of 1 to 30 letters, digits, "-", "." or "_"; values a string of 1 to 50 characters or a finite number.';

CREATE FUNCTION adapty.grant_next_transition_at(
        state adapty.grant_state, starts_at timestamptz, expires_at timestamptz, test_clock_offset bigint)
    RETURNS timestamptz
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'adapty_grant_next_transition_at';
REVOKE ALL ON FUNCTION adapty.grant_next_transition_at(adapty.grant_state, timestamptz, timestamptz, bigint) FROM PUBLIC;
COMMENT ON FUNCTION adapty.grant_next_transition_at(adapty.grant_state, timestamptz, timestamptz, bigint) IS
    'When a grant''s announced state is next out of date, on the real clock; null for never. Makes access_grants.next_transition_at.';
