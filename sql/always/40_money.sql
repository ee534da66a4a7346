-- Money: the catalogue of what can be bought, and what was bought.

-- ---- Catalogue ----
CREATE OR REPLACE FUNCTION adapty.define_access_level(access_level_id text, title text DEFAULT NULL) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_define_access_level';
COMMENT ON FUNCTION adapty.define_access_level(text, text) IS
    'Creates an access level, or changes its title, and returns its id. Without a title a new level is called by its id and an old one keeps its title.';
REVOKE ALL ON FUNCTION adapty.define_access_level(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.define_access_level(text, text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.delete_access_level(access_level_id text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_delete_access_level';
COMMENT ON FUNCTION adapty.delete_access_level(text) IS
    'Deletes an access level. Refused for "premium", and while products or grants use it (23503).';
REVOKE ALL ON FUNCTION adapty.delete_access_level(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.delete_access_level(text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.define_product(
        title text,
        access_level_id text DEFAULT NULL,
        period adapty.product_period DEFAULT 'uncategorised',
        store_products jsonb DEFAULT '[]')
    RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_define_product';
COMMENT ON FUNCTION adapty.define_product(text, text, adapty.product_period, jsonb) IS
    'Creates the product of a title, or gives it this access level and period, and returns its product_id. store_products, an array of {store, store_product_id, store_base_plan_id}, are added to those it has; one that is bound to another product is an error (23505).';
REVOKE ALL ON FUNCTION adapty.define_product(text, text, adapty.product_period, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.define_product(text, text, adapty.product_period, jsonb) TO adapty_server;

-- Whatever changes access_levels, "premium" stays and no grant in flight loses its level.
CREATE OR REPLACE FUNCTION adapty._access_levels_guard() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_access_levels_guard';
COMMENT ON FUNCTION adapty._access_levels_guard() IS
    'Keeps "premium", lets a restored dump bring it again, and makes a deletion wait for grants. Private.';
REVOKE ALL ON FUNCTION adapty._access_levels_guard() FROM PUBLIC;

CREATE OR REPLACE TRIGGER adapty_access_levels_guard
    BEFORE INSERT OR DELETE OR UPDATE OF access_level_id ON adapty.access_levels
    FOR EACH ROW EXECUTE FUNCTION adapty._access_levels_guard();
CREATE OR REPLACE TRIGGER adapty_access_levels_guard_truncate
    BEFORE TRUNCATE ON adapty.access_levels
    FOR EACH STATEMENT EXECUTE FUNCTION adapty._access_levels_guard();

-- ---- Transactions ----
CREATE OR REPLACE FUNCTION adapty.set_transaction(
        customer_user_id text, transaction jsonb, create_missing boolean DEFAULT false,
        reported_at timestamptz DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_set_transaction';
COMMENT ON FUNCTION adapty.set_transaction(text, jsonb, boolean, timestamptz) IS
    'Records a store transaction of a user (a OneTimePurchase or Subscription object of the API), gives the access that its product gives, and returns the Profile object. The same transaction again updates it; with reported_at, the moment of the store''s state that is reported, an older report does not overwrite a newer one.';
REVOKE ALL ON FUNCTION adapty.set_transaction(text, jsonb, boolean, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.set_transaction(text, jsonb, boolean, timestamptz) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.set_transaction(
        profile_id uuid, transaction jsonb, create_missing boolean DEFAULT false,
        reported_at timestamptz DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_set_transaction_by_profile_id';
COMMENT ON FUNCTION adapty.set_transaction(uuid, jsonb, boolean, timestamptz) IS
    'Records a store transaction of a user (a OneTimePurchase or Subscription object of the API), gives the access that its product gives, and returns the Profile object. The same transaction again updates it. create_missing creates nobody: a profile_id is never made up by the caller.';
REVOKE ALL ON FUNCTION adapty.set_transaction(uuid, jsonb, boolean, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.set_transaction(uuid, jsonb, boolean, timestamptz) TO adapty_server;

-- ---- What happens around subscriptions ----
CREATE OR REPLACE FUNCTION adapty.configure_environment(
        environment adapty.environment,
        access_sharing adapty.access_sharing DEFAULT NULL,
        billing_retry_period interval DEFAULT NULL,
        trial_active_delay interval DEFAULT NULL,
        subscription_active_delay interval DEFAULT NULL)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_configure_environment';
COMMENT ON FUNCTION adapty.configure_environment(adapty.environment, adapty.access_sharing, interval, interval, interval) IS
    'Settings of an environment: who has the access of a purchase that is reported for a second profile, how long stores try to charge, and when trial_active and subscription_active are written. Null keeps a setting; a delay of 0 takes it away.';
REVOKE ALL ON FUNCTION adapty.configure_environment(adapty.environment, adapty.access_sharing, interval, interval, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.configure_environment(adapty.environment, adapty.access_sharing, interval, interval, interval) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.subscription_transitions(
        OUT state text, OUT input text, OUT next_state text, OUT events text[])
    RETURNS SETOF record
    LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 150
    AS 'MODULE_PATHNAME', 'adapty_subscription_transitions';
COMMENT ON FUNCTION adapty.subscription_transitions() IS
    'The state machine of subscriptions: every state and input that does something, the state after it and the events it makes. What is not there changes nothing.';
REVOKE ALL ON FUNCTION adapty.subscription_transitions() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.subscription_transitions() TO adapty_server, adapty_analyst;

CREATE OR REPLACE FUNCTION adapty.subscription_lifecycle(profile_id uuid, store text, store_original_transaction_id text)
    RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'adapty_subscription_lifecycle';
COMMENT ON FUNCTION adapty.subscription_lifecycle(uuid, text, text) IS
    'The state of one subscription in the state machine, by the clock: see subscription_transitions(). Null if there is no such subscription.';
REVOKE ALL ON FUNCTION adapty.subscription_lifecycle(uuid, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.subscription_lifecycle(uuid, text, text) TO adapty_server;
