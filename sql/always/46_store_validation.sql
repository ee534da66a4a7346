-- Asking the stores for a purchase: Stripe, Paddle Billing.

-- ---- What they are asked with ----
-- Granted to nobody: the owner sets keys, or grants this one function to who deploys them.
CREATE OR REPLACE FUNCTION adapty.set_store_credentials(
        provider text, secret text,
        environment adapty.environment DEFAULT 'Production',
        base_url text DEFAULT NULL)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_set_store_credentials';
COMMENT ON FUNCTION adapty.set_store_credentials(text, text, adapty.environment, text) IS
    'Sets the API key by which a store (stripe, paddle) is asked for purchases of an environment, and where its API is; null for the store''s own address. A null secret removes the key. Give the secret as a parameter: literals are logged.';
REVOKE ALL ON FUNCTION adapty.set_store_credentials(text, text, adapty.environment, text) FROM PUBLIC;

-- ---- Tokens ----
CREATE OR REPLACE FUNCTION adapty.validate_stripe_token(
        customer_user_id text, stripe_token text, environment adapty.environment DEFAULT 'Production')
    RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_validate_stripe_token';
COMMENT ON FUNCTION adapty.validate_stripe_token(text, text, adapty.environment) IS
    'Asks Stripe for the purchase that a token stands for, a subscription or a payment intent, and imports its history for the user, who is made if missing. Returns the environment, the profile and the reported transactions. Nothing is changed if Stripe does not know the token or cannot be reached.';
REVOKE ALL ON FUNCTION adapty.validate_stripe_token(text, text, adapty.environment) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.validate_stripe_token(text, text, adapty.environment) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.validate_stripe_token(
        profile_id uuid, stripe_token text, environment adapty.environment DEFAULT 'Production')
    RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_validate_stripe_token_by_profile_id';
COMMENT ON FUNCTION adapty.validate_stripe_token(uuid, text, adapty.environment) IS
    'The same by profile_id, which must exist.';
REVOKE ALL ON FUNCTION adapty.validate_stripe_token(uuid, text, adapty.environment) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.validate_stripe_token(uuid, text, adapty.environment) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.validate_paddle_token(
        customer_user_id text, paddle_token text, environment adapty.environment DEFAULT 'Production')
    RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_validate_paddle_token';
COMMENT ON FUNCTION adapty.validate_paddle_token(text, text, adapty.environment) IS
    'Asks Paddle Billing for the purchase that a token stands for, a subscription or a transaction, and imports its history for the user. As validate_stripe_token().';
REVOKE ALL ON FUNCTION adapty.validate_paddle_token(text, text, adapty.environment) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.validate_paddle_token(text, text, adapty.environment) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.validate_paddle_token(
        profile_id uuid, paddle_token text, environment adapty.environment DEFAULT 'Production')
    RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_validate_paddle_token_by_profile_id';
COMMENT ON FUNCTION adapty.validate_paddle_token(uuid, text, adapty.environment) IS
    'The same by profile_id, which must exist.';
REVOKE ALL ON FUNCTION adapty.validate_paddle_token(uuid, text, adapty.environment) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.validate_paddle_token(uuid, text, adapty.environment) TO adapty_server;
