-- Version 1 of the API in sessions of any zone and style; the endpoints are tested over HTTP.
SET request.headers = '{"x-original-uri": "/api/v1/sdk/profiles/v1-jane/paid-access-levels/premium/grant/"}';
CREATE FUNCTION pg_temp.call(function text, request bytea, OUT status text, OUT body text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SELECT convert_from(adapty_api.%I($1), ''UTF8'')', function) INTO body USING request;
    status := current_setting('response.status');
    body := regexp_replace(body, '"(app_id|profile_id)" : "[^"]*"', '"\1" : "…"', 'g');
END $$;
SELECT * FROM pg_temp.call('v1_create_profile', '{"customer_user_id": "v1-jane", "birthday": "1990-10-31"}');
SELECT * FROM pg_temp.call('v1_grant_access_level', '{"starts_at": "2020-01-15T15:10:36.517975+0000", "expires_at": "2120-02-15T15:10:36+0000"}');
SELECT * FROM pg_temp.call('v1_grant_access_level', '{"starts_at": "2020-03-08T00:00:00Z", "duration_days": 36600}');
SELECT * FROM pg_temp.call('v1_grant_access_level', '{"duration_days": "7"}');
-- the path: encoded, cut off, none
SET request.headers = '{"x-original-uri": "/api/v1/sdk/profiles/djEtamFuZQ==/?extended&is_user_id_base64url_encoded=1"}';
SELECT status, body::json -> 'data' ->> 'customer_user_id' AS customer_user_id, body::json -> 'data' ->> 'birthday' AS birthday FROM pg_temp.call('v1_get_profile', '');
SET request.headers = '{"x-original-uri": "/api/v1/sdk/profiles/v1%2Djane/"}';
SELECT status, body::json -> 'data' ->> 'customer_user_id' AS customer_user_id, body::json -> 'data' ->> 'birthday' AS birthday FROM pg_temp.call('v1_get_profile', '');
SET request.headers = '{"x-original-uri": "/api/v1/sdk/profiles/v1%2"}';
SELECT * FROM pg_temp.call('v1_get_profile', '');
SET request.headers = '{"x-original-uri": "/api/v1/sdk/profiles/"}';
SELECT status FROM pg_temp.call('v1_get_profile', '');
SET request.headers = '{"x-original-uri": "nonsense"}';
SELECT status FROM pg_temp.call('v1_get_profile', '');
RESET request.headers;
SELECT status FROM pg_temp.call('v1_get_profile', '');
SELECT adapty.delete_profile('v1-jane');
