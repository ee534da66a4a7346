-- Events that the stores send by themselves: Stripe, Paddle, ChargeBee.

-- ---- What proves them ----
-- Granted to nobody: the owner sets secrets, or grants this one function to who deploys them.
CREATE OR REPLACE FUNCTION adapty.set_ingest_secret(
        provider text, secret text,
        environment adapty.environment DEFAULT 'Production',
        keep_old_for interval DEFAULT '24 hours')
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_set_ingest_secret';
COMMENT ON FUNCTION adapty.set_ingest_secret(text, text, adapty.environment, interval) IS
    'Sets what proves a store''s events: the endpoint''s signing secret (stripe, paddle), or "user:password" (chargebee). Secrets set before are taken for keep_old_for longer; a null secret only ends them. Give the secret as a parameter: literals are logged.';
REVOKE ALL ON FUNCTION adapty.set_ingest_secret(text, text, adapty.environment, interval) FROM PUBLIC;

-- ---- Events ----
CREATE OR REPLACE FUNCTION adapty.ingest_stripe_event(
        payload bytea, signature_header text, create_missing boolean DEFAULT true)
    RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_ingest_stripe_event';
COMMENT ON FUNCTION adapty.ingest_stripe_event(bytea, text, boolean) IS
    'Takes an event of Stripe: the raw body of its request and the header Stripe-Signature. Applies it once, whatever order events arrive in, and says what became of it: applied, duplicate, outdated, ignored or error. 28000 if the signature does not prove it.';
REVOKE ALL ON FUNCTION adapty.ingest_stripe_event(bytea, text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.ingest_stripe_event(bytea, text, boolean) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.ingest_stripe_event(
        payload text, signature_header text, create_missing boolean DEFAULT true)
    RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_ingest_stripe_event_text';
COMMENT ON FUNCTION adapty.ingest_stripe_event(text, text, boolean) IS
    'The same for a body as text, which must be byte by byte what was sent.';
REVOKE ALL ON FUNCTION adapty.ingest_stripe_event(text, text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.ingest_stripe_event(text, text, boolean) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.ingest_paddle_event(
        payload bytea, signature_header text, create_missing boolean DEFAULT true)
    RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_ingest_paddle_event';
COMMENT ON FUNCTION adapty.ingest_paddle_event(bytea, text, boolean) IS
    'Takes an event of Paddle Billing: the raw body of its request and the header Paddle-Signature. As ingest_stripe_event().';
REVOKE ALL ON FUNCTION adapty.ingest_paddle_event(bytea, text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.ingest_paddle_event(bytea, text, boolean) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.ingest_paddle_event(
        payload text, signature_header text, create_missing boolean DEFAULT true)
    RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_ingest_paddle_event_text';
COMMENT ON FUNCTION adapty.ingest_paddle_event(text, text, boolean) IS
    'The same for a body as text, which must be byte by byte what was sent.';
REVOKE ALL ON FUNCTION adapty.ingest_paddle_event(text, text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.ingest_paddle_event(text, text, boolean) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.ingest_chargebee_event(
        payload bytea, authorization_header text, create_missing boolean DEFAULT true)
    RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_ingest_chargebee_event';
COMMENT ON FUNCTION adapty.ingest_chargebee_event(bytea, text, boolean) IS
    'Takes an event of ChargeBee: the body of its request and the header Authorization with the basic authentication of the webhook. As ingest_stripe_event().';
REVOKE ALL ON FUNCTION adapty.ingest_chargebee_event(bytea, text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.ingest_chargebee_event(bytea, text, boolean) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.ingest_chargebee_event(
        payload text, authorization_header text, create_missing boolean DEFAULT true)
    RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_ingest_chargebee_event_text';
COMMENT ON FUNCTION adapty.ingest_chargebee_event(text, text, boolean) IS
    'The same for a body as text.';
REVOKE ALL ON FUNCTION adapty.ingest_chargebee_event(text, text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.ingest_chargebee_event(text, text, boolean) TO adapty_server;

-- ---- Whose they are ----
CREATE OR REPLACE FUNCTION adapty.set_store_customer(customer_user_id text, store text, store_customer_id text)
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_set_store_customer';
COMMENT ON FUNCTION adapty.set_store_customer(text, text, text) IS
    'Says that a store''s customer is this user, gives the user what events told of the customer so far, and returns how many transactions were reported. What belongs to another profile stays there.';
REVOKE ALL ON FUNCTION adapty.set_store_customer(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.set_store_customer(text, text, text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.set_store_customer(profile_id uuid, store text, store_customer_id text)
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_set_store_customer_by_profile_id';
COMMENT ON FUNCTION adapty.set_store_customer(uuid, text, text) IS
    'The same by profile_id.';
REVOKE ALL ON FUNCTION adapty.set_store_customer(uuid, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.set_store_customer(uuid, text, text) TO adapty_server;

-- ---- After the catalogue changed ----
CREATE OR REPLACE FUNCTION adapty.apply_ingested(store text DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_apply_ingested';
COMMENT ON FUNCTION adapty.apply_ingested(text) IS
    'Reports again what events told of store products that were mapped to no product then and are now, so that it gives access, and returns how many transactions were reported. Of one store, or of all.';
REVOKE ALL ON FUNCTION adapty.apply_ingested(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.apply_ingested(text) TO adapty_server;

-- The server sees what came and what became of it; secrets stay the owner's.
GRANT SELECT ON adapty.ingested_events, adapty.store_customers, adapty.ingested_subscriptions,
    adapty.ingested_payments, adapty.ingested_refunds, adapty.ingested_references TO adapty_server;
