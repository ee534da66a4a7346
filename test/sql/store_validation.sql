-- Validation of stores' tokens: what is refused before anybody is asked, who may, and where the key is not.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET TimeZone TO 'Pacific/Chatham';

-- ---- without a key ----
SELECT adapty.validate_stripe_token('tok_nobody', 'sub_1');
SELECT adapty.validate_paddle_token('tok_nobody', 'txn_1', 'Sandbox');

-- ---- keys ----
SELECT adapty.set_store_credentials('stripe', 'sk_live_hidden');
SELECT adapty.set_store_credentials('stripe', 'sk_test_hidden', 'Sandbox', 'http://127.0.0.1:1/base//');
SELECT adapty.set_store_credentials('paddle', 'pdl_hidden', 'Sandbox');
SELECT provider, environment, secret, base_url FROM adapty.store_credentials ORDER BY 1, 2;
SELECT adapty.set_store_credentials('stripe', 'sk_live_other', base_url => 'https://stripe.example/');
SELECT adapty.set_store_credentials('stripe', NULL, 'Sandbox');
SELECT adapty.set_store_credentials('stripe', NULL, 'Sandbox');
SELECT provider, environment, secret, base_url FROM adapty.store_credentials ORDER BY 1, 2;
-- refused, and the secret is not shown
SELECT adapty.set_store_credentials('chargebee', 'hidden');
SELECT adapty.set_store_credentials(NULL, 'hidden');
SELECT adapty.set_store_credentials('stripe', '');
SELECT adapty.set_store_credentials('stripe', E'hidden\r\nHost: evil');
SELECT adapty.set_store_credentials('stripe', 'hid den');
SELECT adapty.set_store_credentials('stripe', repeat('x', 501));
SELECT adapty.set_store_credentials('stripe', 'hidden', NULL);
SELECT adapty.set_store_credentials('stripe', 'hidden', base_url => url)
    FROM (VALUES ('http://api.stripe.com')) v (url);
DO $$
DECLARE url text;
BEGIN
    FOREACH url IN ARRAY ARRAY['', 'ftp://x', 'https://', 'https:///x', 'http://127.0.0.1.evil.example', 'http://localhost@evil.example',
                               'https://user@api.stripe.com', 'https://api.stripe.com?x=', 'https://api.stripe.com#x', 'https://a b', 'file:///etc/passwd']
    LOOP
        BEGIN
            PERFORM adapty.set_store_credentials('stripe', 'hidden', base_url => url);
            RAISE NOTICE 'taken: %', url;
        EXCEPTION WHEN invalid_parameter_value THEN NULL;
        END;
    END LOOP;
END $$;

-- ---- tokens ----
SELECT adapty.validate_stripe_token('tok_nobody', NULL);
SELECT adapty.validate_stripe_token(NULL::text, 'sub_1');
SELECT adapty.validate_stripe_token('', 'sub_1');
SELECT adapty.validate_stripe_token('tok_nobody', 'sub_1', NULL);
SELECT adapty.validate_stripe_token('tok_nobody', 'cus_1');
SELECT adapty.validate_stripe_token('tok_nobody', 'sub_');
SELECT adapty.validate_stripe_token('tok_nobody', 'sub_1/../../v1/balance');
SELECT adapty.validate_stripe_token('tok_nobody', 'sub_1?expand');
SELECT adapty.validate_stripe_token('tok_nobody', 'sub_' || repeat('1', 300));
SELECT adapty.validate_paddle_token('tok_nobody', 'live_7d279f61a3339fed520f7cd8c08');
SELECT adapty.validate_stripe_token('00000000-0000-7000-8000-000000000001'::uuid, 'sub_1');
BEGIN READ ONLY;
SELECT adapty.validate_stripe_token('tok_nobody', 'sub_1');
ROLLBACK;

-- ---- who may ----
SELECT r.role, f.oid::regprocedure, has_function_privilege(r.role, f.oid, 'EXECUTE') AS may
    FROM (VALUES ('adapty_server'), ('adapty_sdk'), ('adapty_analyst'), ('adapty_anon')) r (role), pg_proc f
    WHERE f.pronamespace = 'adapty'::regnamespace AND f.proname ~ '^(validate_.*_token|set_store_credentials)$'
        AND has_function_privilege(r.role, f.oid, 'EXECUTE') ORDER BY 1, 2::text COLLATE "C";
SELECT r.role, has_any_column_privilege(r.role, 'adapty.store_credentials', 'SELECT, INSERT, UPDATE, REFERENCES') AS may
    FROM (VALUES ('adapty_server'), ('adapty_sdk'), ('adapty_analyst'), ('adapty_anon')) r (role) ORDER BY 1;
SET ROLE adapty_server;
SELECT secret FROM adapty.store_credentials;
SELECT adapty.set_store_credentials('stripe', 'hidden');
RESET ROLE;
SET ROLE adapty_sdk;
SELECT adapty.validate_stripe_token('tok_nobody', 'sub_1');
RESET ROLE;
-- (versions word this differently)
\set VERBOSITY sqlstate
SET adapty.store_timeout = '1';
\set VERBOSITY default
SELECT count(*) FROM adapty.identities WHERE customer_user_id = 'tok_nobody';
SELECT adapty.set_store_credentials('stripe', NULL), adapty.set_store_credentials('paddle', NULL, 'Sandbox');
SELECT count(*) FROM adapty.store_credentials;
