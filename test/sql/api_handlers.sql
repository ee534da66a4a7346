-- The endpoints' functions without a web server: body in, body and response.* out.
\set VERBOSITY default
SET request.headers = '{"adapty-customer-user-id": "api-jane"}';
-- what one call answers: status, type and body without what differs from run to run
CREATE FUNCTION pg_temp.call(function text, request bytea, OUT status text, OUT type text, OUT header boolean, OUT body text) LANGUAGE plpgsql AS $$
DECLARE
    response bytea;
BEGIN
    EXECUTE format('SELECT adapty_api.%I($1)', function) INTO response USING request;
    status := current_setting('response.status');
    type := current_setting('response.headers')::json -> 0 ->> 'Content-Type';
    header := current_setting('response.headers')::jsonb @> jsonb_build_array(jsonb_build_object('X-Adapty-Error', convert_from(response, 'UTF8')));
    body := regexp_replace(regexp_replace(regexp_replace(convert_from(response, 'UTF8'), '"(app_id|profile_id|segment_hash|purchase_id)":"[^"]*"', '"\1":"…"', 'g'),
        '"timestamp":\d{13}', '"timestamp":…'), '2[0-9]{3}-\d\d-\d\dT[0-9:.]+\.[0-9]{6}\+00:00', '…', 'g');
END $$;

SELECT * FROM pg_temp.call('v2_create_profile', '{"email": "api-jane@example.com", "total_revenue_usd": 5, "custom_attributes": [{"key": "sport", "value": "yoga"}], "installation_meta": null}');
SELECT * FROM pg_temp.call('v2_get_profile', '');
-- nothing is changed by a request that fails, and the error is the response
BEGIN;
SELECT * FROM pg_temp.call('v2_update_profile', '{"first_name": "Jane", "gender": "x"}');
COMMIT;
SELECT first_name FROM adapty.profiles JOIN adapty.identities USING (profile_id) WHERE customer_user_id = 'api-jane';
SELECT * FROM pg_temp.call('v2_update_profile', '{"first_name": ');
SELECT * FROM pg_temp.call('v2_update_profile', '\xff');
SELECT * FROM pg_temp.call('v2_update_profile', '[1]');
SELECT * FROM pg_temp.call('v2_update_profile', convert_to('{"email": "a\u0000b"}', 'UTF8'));
SELECT * FROM pg_temp.call('v2_grant_access_level', '');
SELECT * FROM pg_temp.call('v2_grant_access_level', '{}');
SELECT status, body::json ->> 'error_code' AS error_code, body::json -> 'errors' -> 0 ->> 'source' AS source FROM pg_temp.call('v2_grant_access_level', '{"access_level_id": "api-unknown"}');
SELECT * FROM pg_temp.call('v2_revoke_access_level', '{"access_level_id": "premium"}');
SELECT * FROM pg_temp.call('v2_grant_access_level', '{"access_level_id": "premium", "starts_at": "2022-10-12T09:42:50.000000+0000", "expires_at": "2124-10-12T09:42:50.000000+0000"}');
SELECT * FROM pg_temp.call('v2_revoke_access_level', '{"access_level_id": "premium", "revoke_at": "2224-10-12T09:42:50Z"}');
SELECT * FROM pg_temp.call('v2_grant_access_level', '{"access_level_id": "premium", "expires_at": "2022-10-12T09:42:50Z"}');
SELECT adapty.has_access('api-jane', 'premium');
SELECT * FROM pg_temp.call('v2_grant_access_level', '{"access_level_id": "premium", "expires_at": "tomorrow"}');
SELECT actor FROM adapty.access_grants JOIN adapty.identities USING (profile_id) WHERE customer_user_id = 'api-jane' AND actor NOT LIKE '%/pg_regress%';

-- content types that are JSON, and one that is not
SET request.headers = '{"adapty-customer-user-id": "api-jane", "x-original-content-type": "application/vnd.api+json; charset=utf-8"}';
SELECT status FROM pg_temp.call('v2_update_profile', '{}');
SET request.headers = '{"adapty-customer-user-id": "api-jane", "x-original-content-type": "application/x-www-form-urlencoded"}';
SELECT * FROM pg_temp.call('v2_update_profile', 'email=a');

-- who the headers name
SET request.headers = '{}';
SELECT * FROM pg_temp.call('v2_get_profile', '');
SET request.headers = '{"adapty-profile-id": "no uuid"}';
SELECT * FROM pg_temp.call('v2_get_profile', '');
SET request.headers = '{"adapty-customer-user-id": "api-jane", "adapty-profile-id": "00000000-0000-4000-8000-000000000001"}';
SELECT * FROM pg_temp.call('v2_get_profile', '');
-- a profile that a device has made, which then becomes known
SET request.headers = '{"adapty-profile-id": "00000000-0000-4000-8000-00000000000a", "adapty-platform": "iOS"}';
SELECT status FROM pg_temp.call('v2_create_profile', '{"installation_meta": {"device_id": "00000000-0000-4000-8000-00000000000b", "unknown": 1}}');
SELECT i.customer_user_id, d.platform FROM adapty.installations d LEFT JOIN adapty.identities i USING (profile_id)
    WHERE profile_id = '00000000-0000-4000-8000-00000000000a';
SET request.headers = '{"adapty-profile-id": "00000000-0000-4000-8000-00000000000a", "adapty-customer-user-id": "api-tom"}';
SELECT status, body::json -> 'data' ->> 'customer_user_id' AS customer_user_id FROM pg_temp.call('v2_create_profile', '');

-- refund saver and integration identifiers
SET request.headers = '{"adapty-customer-user-id": "api-jane"}';
SELECT * FROM pg_temp.call('v2_get_refund_saver_settings', '');
SELECT * FROM pg_temp.call('v2_set_refund_saver_settings', '{"custom_preference": "grant", "consent": true}');
SELECT * FROM pg_temp.call('v2_set_refund_saver_settings', '{"custom_preference": "decline", "consent": null}');
SELECT * FROM pg_temp.call('v2_set_refund_saver_settings', '{"other": 1}');
SELECT * FROM pg_temp.call('v2_set_refund_saver_settings', '{"custom_preference": "maybe"}');
SELECT * FROM pg_temp.call('v2_set_integration_identifiers', '{"branch_id": "b", "mixpanel_user_id": "m", "nonsense": "x"}');
SELECT status FROM pg_temp.call('v2_set_integration_identifiers', '{"branch_id": null}');
SELECT * FROM pg_temp.call('v2_get_integration_identifiers', '');
SELECT * FROM pg_temp.call('v2_set_integration_identifiers', '{"nonsense": "x"}');
SET request.headers = '{"adapty-customer-user-id": "api-nobody"}';
SELECT * FROM pg_temp.call('v2_get_integration_identifiers', '');
SELECT * FROM pg_temp.call('v2_get_refund_saver_settings', '');

-- a transaction; a key of the sandbox
SET request.headers = '{"adapty-customer-user-id": "api-jane"}';
\set purchase '{"purchase_type": "one_time_purchase", "store": "app_store", "store_product_id": "api_lifetime", "store_transaction_id": "%s", "store_original_transaction_id": "%s", "price": {"country": "US", "currency": "USD", "value": 9.99, "more": 1}, "purchased_at": "2024-01-15T10:30:00Z", "variation_id": "variation_123", "offer": null, "refunded_at": null, "cancellation_reason": null, "unknown": [1]}'
SELECT adapty.define_product('API lifetime', 'premium', 'lifetime', '[{"store": "app_store", "store_product_id": "api_lifetime"}]') IS NOT NULL AS defined;
SELECT * FROM pg_temp.call('v2_set_transaction', convert_to(format(:'purchase', 'api-1', 'api-1'), 'UTF8'));
SELECT status, body::json -> 'errors' -> 0 ->> 'source' AS source FROM pg_temp.call('v2_set_transaction', '{"purchase_type": "one_time_purchase"}');
SET request.api_key_environment = 'Sandbox';
SELECT status FROM pg_temp.call('v2_set_transaction', convert_to(format(:'purchase', 'api-2', 'api-2'), 'UTF8'));
SELECT store_transaction_id, environment FROM adapty.transactions WHERE store_transaction_id LIKE 'api-%' ORDER BY 1;
SELECT * FROM pg_temp.call('v2_set_transaction', convert_to(replace(format(:'purchase', 'api-3', 'api-3'), '"app_store"', '"app_store", "environment": "Production"'), 'UTF8'));
RESET request.api_key_environment;

-- a constraint that is checked at commit is checked before the answer
CREATE TABLE public.api_deferred (profile_id uuid, n integer UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION public.api_deferred() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.api_deferred VALUES (NEW.profile_id, 1); RETURN NULL; END $$;
CREATE TRIGGER deferred AFTER UPDATE ON adapty.profiles FOR EACH ROW EXECUTE FUNCTION public.api_deferred();
SELECT status FROM pg_temp.call('v2_update_profile', '{"first_name": "One"}');
SELECT status FROM pg_temp.call('v2_update_profile', '{"first_name": "Two"}');
SELECT first_name FROM adapty.profiles JOIN adapty.identities USING (profile_id) WHERE customer_user_id = 'api-jane';
DROP TRIGGER deferred ON adapty.profiles;
-- a conflict that stays is never let out: it was tried four times, and the client may try again
CREATE SEQUENCE public.api_attempts;
CREATE OR REPLACE FUNCTION public.api_deferred() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM nextval('public.api_attempts'); RAISE serialization_failure; END $$;
CREATE TRIGGER conflict AFTER UPDATE ON adapty.profiles FOR EACH ROW EXECUTE FUNCTION public.api_deferred();
SET client_min_messages = error;
BEGIN;
SELECT * FROM pg_temp.call('v2_update_profile', '{"first_name": "Three"}');
SELECT current_setting('response.headers')::json -> 2 AS retry, last_value AS attempts FROM public.api_attempts;
COMMIT;
-- one that goes away is none
CREATE OR REPLACE FUNCTION public.api_deferred() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF nextval('public.api_attempts') % 3 <> 0 THEN RAISE deadlock_detected; END IF; RETURN NULL; END $$;
SELECT status FROM pg_temp.call('v2_update_profile', '{"first_name": "Four"}');
-- what goes wrong inside is not told
CREATE OR REPLACE FUNCTION public.api_deferred() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'XX001', MESSAGE = 'a secret of the server'; END $$;
SELECT * FROM pg_temp.call('v2_update_profile', '{"first_name": "Five"}');
RESET client_min_messages;
DROP TRIGGER conflict ON adapty.profiles;
DROP FUNCTION public.api_deferred();
DROP TABLE public.api_deferred;
DROP SEQUENCE public.api_attempts;
SELECT first_name FROM adapty.profiles JOIN adapty.identities USING (profile_id) WHERE customer_user_id = 'api-jane';

-- adapty_sdk: its own profile only, whatever the headers say; and nothing that is the server's
SET ROLE adapty_sdk;
SET request.jwt.claims = '{"role": "adapty_sdk", "sub": "api-jane"}';
SELECT status FROM pg_temp.call('v2_get_profile', '');
SELECT status FROM pg_temp.call('v2_update_profile', '{"first_name": "Own"}');
SET request.headers = '{"adapty-customer-user-id": "api-tom"}';
SELECT * FROM pg_temp.call('v2_get_profile', '');
SET request.headers = '{"adapty-profile-id": "00000000-0000-4000-8000-00000000000a"}';
SELECT status FROM pg_temp.call('v2_get_profile', '');
SET request.headers = '{"adapty-customer-user-id": "api-jane", "adapty-profile-id": "00000000-0000-4000-8000-00000000000a"}';
SELECT status FROM pg_temp.call('v2_get_profile', '');
SET request.headers = '{"adapty-customer-user-id": "api-nobody"}';
SELECT status FROM pg_temp.call('v2_get_profile', '');
SET request.headers = '{"adapty-customer-user-id": "api-jane"}';
SELECT status FROM pg_temp.call('v2_create_profile', '{}');
SELECT status FROM pg_temp.call('v2_delete_profile', '{}');
SELECT * FROM pg_temp.call('v2_grant_access_level', '{"access_level_id": "premium"}');
SELECT status FROM pg_temp.call('v2_revoke_access_level', '{"access_level_id": "premium"}');
SELECT status FROM pg_temp.call('v2_set_transaction', '{}');
RESET ROLE;
RESET request.jwt.claims;

-- nobody else may call the functions at all, and all of them have a comment
SELECT p.oid::regprocedure AS open FROM pg_proc p WHERE pronamespace = 'adapty_api'::regnamespace
    AND (has_function_privilege('public', p.oid, 'EXECUTE') OR has_function_privilege('adapty_anon', p.oid, 'EXECUTE')
        OR has_function_privilege('adapty_analyst', p.oid, 'EXECUTE') OR obj_description(p.oid, 'pg_proc') IS NULL);

SELECT * FROM pg_temp.call('v2_delete_profile', '');
SELECT * FROM pg_temp.call('v2_delete_profile', '');
RESET request.headers;
