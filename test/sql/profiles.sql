-- Profiles: created, shown as the API shows them, updated, exported, deleted.

CREATE FUNCTION pg_temp.refused(statement text) RETURNS TABLE (state text, message text, detail text, hint text)
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN QUERY SELECT '00000'::text, 'not refused'::text, ''::text, ''::text;
EXCEPTION WHEN others THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
        detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN NEXT;
END $$;
\pset format unaligned
\pset tuples_only on

-- The request of the API's documentation
SELECT adapty.create_profile('profiles-jane', '{
    "first_name": "Jane", "last_name": "Doe", "gender": "f", "email": "jane.doe@example.com",
    "phone_number": "+1234567890", "birthday": "2000-12-31", "ip_country": "FR", "ip_v4_address": "192.168.1.1",
    "store_country": "US", "store": "app_store", "store_account_token": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
    "att_status": 3, "analytics_disabled": true,
    "custom_attributes": [{"key": "favourite_sport", "value": "yoga"}],
    "installation_meta": {
        "device_id": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "device": "iPhone 15 Pro", "locale": "en", "os": "iOS 17.1",
        "platform": "iOS", "timezone": "Europe/Rome", "user_agent": "Mozilla/5.0 (iPhone)", "app_build": "1.0.0",
        "app_version": "1.0.0", "adapty_sdk_version": "2.0.0", "idfa": "EA7583CD-A667-48BC-B806-42ECB2B48333",
        "idfv": "E9D48DA5-3930-4B41-8521-D953AECD2F33", "advertising_id": "", "android_id": "", "android_app_set_id": ""}}') AS jane \gset
SELECT adapty.create_profile() AS anonymous \gset

-- The Profile object: these keys, no others
SELECT pg_catalog.string_agg(key || ' ' || pg_catalog.jsonb_typeof(value), ', ' ORDER BY key COLLATE "C")
    FROM pg_catalog.jsonb_each(adapty.get_profile('profiles-jane'));
SELECT adapty.get_profile('profiles-jane') - ARRAY['app_id', 'profile_id', 'segment_hash', 'timestamp'];
SELECT adapty.get_profile('profiles-jane') ->> 'profile_id' = :'jane',
       adapty.get_profile(:'jane'::uuid) - 'timestamp' = adapty.get_profile('profiles-jane') - 'timestamp',
       (adapty.get_profile('profiles-jane') ->> 'app_id')::uuid = (adapty.get_profile(:'anonymous'::uuid) ->> 'app_id')::uuid,
       pg_catalog.length(adapty.get_profile('profiles-jane') ->> 'segment_hash') = 16,
       pg_catalog.abs((adapty.get_profile('profiles-jane') ->> 'timestamp')::numeric / 1000
           - EXTRACT(epoch FROM pg_catalog.clock_timestamp())) < 60;
SELECT adapty.get_attributes('profiles-jane');
SELECT device_id, platform, device, locale, os, timezone, user_agent, app_version, app_build, adapty_sdk_version,
       installed_app_version, idfa, idfv, advertising_id IS NULL, android_id IS NULL, android_app_set_id IS NULL
    FROM adapty.installations WHERE profile_id = :'jane';

-- Updating: what is named changes, null clears, the rest stays
SELECT adapty.get_profile('profiles-jane') ->> 'segment_hash' AS hash \gset
SELECT adapty.update_profile('profiles-jane', '{"last_name": null, "ip_country": "it", "att_status": null, "analytics_disabled": null,
    "custom_attributes": {"favourite_sport": "golf", "words": 3, "pro": true}}') -> 'custom_attributes';
SELECT adapty.get_profile('profiles-jane') ->> 'segment_hash' <> :'hash';
SELECT adapty.get_attributes('profiles-jane');
SELECT adapty.update_profile(:'jane'::uuid, '{"custom_attributes": [{"key": "pro", "value": null}, {"key": "words", "value": 4.5}]}') -> 'custom_attributes';
SELECT adapty.update_profile('profiles-jane', '{}') ->> 'customer_user_id';
-- a device reports again, and another one: the first version stays what it was
SELECT adapty.update_profile('profiles-jane', '{"installation_meta": {"device_id": "3FA85F6457174562B3FC2C963F66AFA6", "app_version": "1.1.0", "locale": ""}}') IS NOT NULL;
SELECT adapty.update_profile('profiles-jane', '{"installation_meta": {"device_id": "11111111-5717-4562-b3fc-2c963f66afa6", "platform": "Android"}}') IS NOT NULL;
SELECT adapty.update_profile('profiles-jane', '{"installation_meta": {"device_id": "11111111-5717-4562-b3fc-2c963f66afa6", "app_version": "7"}}') IS NOT NULL;
SELECT device_id, platform, locale IS NULL, os, app_version, installed_app_version
    FROM adapty.installations WHERE profile_id = :'jane' ORDER BY device_id;
SELECT last_seen_at IS NOT NULL, updated_at >= last_seen_at FROM adapty.profiles WHERE profile_id = :'jane';
-- ids in other services, and attribution
SELECT adapty.update_profile('profiles-jane', '{"integration_identifiers": {"branch_id": "b-1", "amplitude_user_id": "a-1", "appsflyer_id": "f-1"},
    "attributions": {"apple_search_ads": {"status": "non_organic", "campaign": "spring", "channel": "search"}, "adjust": {}}}') IS NOT NULL;
SELECT adapty.update_profile('profiles-jane', '{"integration_identifiers": {"branch_id": "b-2", "amplitude_user_id": null, "appsflyer_id": ""},
    "attributions": {"apple_search_ads": {"status": "organic", "campaign": "autumn"}, "adjust": null, "branch": {"ad_group": "g"}}}') IS NOT NULL;
SELECT name, value FROM adapty.integration_identifiers WHERE profile_id = :'jane' ORDER BY name;
SELECT source, status, campaign, channel, ad_group FROM adapty.attributions WHERE profile_id = :'jane' ORDER BY source;

-- What is refused names the key and the value, and changes nothing
SELECT adapty.export_profile('profiles-jane')::text AS before \gset
SELECT r.* FROM (VALUES
    ('[]'), ('1'), ('{"nickname": "J"}'), ('{"total_revenue_usd": 5}'), ('{"profile_id": "x"}'), ('{"first_name": ["J"]}'), ('{"email": "none"}'),
    ('{"custom_attributes": null}'), ('{"custom_attributes": "x"}'), ('{"custom_attributes": [1]}'), ('{"custom_attributes": [{"key": "a"}]}'),
    ('{"custom_attributes": [{"key": 1, "value": 1}]}'), ('{"custom_attributes": [{"key": "a", "value": 1, "type": "x"}]}'),
    ('{"custom_attributes": {"a b": 1}}'), ('{"custom_attributes": {"a": {"b": 1}}}'), ('{"custom_attributes": [{"key": "a", "value": [1]}]}'),
    ('{"installation_meta": {}}'), ('{"installation_meta": null}'), ('{"installation_meta": {"device_id": "x"}}'),
    ('{"installation_meta": {"device_id": null}}'), ('{"installation_meta": {"device_id": "11111111-1111-1111-1111-111111111111", "platform": "Windows"}}'),
    ('{"installation_meta": {"device_id": "11111111-1111-1111-1111-111111111111", "colour": "red"}}'),
    ('{"installation_meta": {"device_id": "11111111-1111-1111-1111-111111111111", "os": 17}}'),
    ('{"integration_identifiers": {"myspace_id": "x"}}'), ('{"integration_identifiers": {"branch_id": 5}}'), ('{"integration_identifiers": []}'),
    ('{"attributions": {"adjust": {"status": "maybe"}}}'), ('{"attributions": {"adjust": {"budget": "x"}}}'), ('{"attributions": {"adjust": "organic"}}'),
    ('{"attributions": {"": {}}}')) v (attributes),
    LATERAL pg_temp.refused(pg_catalog.format('SELECT adapty.update_profile(%L, %L)', 'profiles-jane', v.attributes)) r;
SELECT * FROM pg_temp.refused($$SELECT adapty.update_profile('profiles-jane', NULL)$$);
-- an error after something good leaves nothing of it, and a refused profile is not made
SELECT * FROM pg_temp.refused($$SELECT adapty.update_profile('profiles-jane', '{"first_name": "Other", "integration_identifiers": {"branch_id": "b-3"}, "zzz": 1}')$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.create_profile('profiles-refused', '{"email": "none"}')$$);
SELECT pg_catalog.count(*) FROM adapty.identities WHERE customer_user_id = 'profiles-refused';
SELECT adapty.export_profile('profiles-jane')::text = :'before';
SELECT * FROM pg_temp.refused($$SELECT adapty.update_profile('profiles-jane', (SELECT pg_catalog.jsonb_build_object('custom_attributes',
    pg_catalog.jsonb_object_agg('key' || n, n)) FROM pg_catalog.generate_series(1, 29) n))$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.export_profile('profiles-nobody')$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.delete_profile('profiles-nobody')$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.delete_profile('11111111-1111-1111-1111-111111111111'::uuid)$$);

-- Access and purchases as the API shows them
SELECT adapty.define_product('profiles monthly', 'premium', 'monthly', '[{"store": "app_store", "store_product_id": "profiles.monthly"}]') IS NOT NULL,
       adapty.define_product('profiles coins', NULL, 'consumable', '[{"store": "app_store", "store_product_id": "profiles.coins"}]') IS NOT NULL;
SELECT adapty.set_transaction('profiles-jane', '{
    "purchase_type": "subscription", "store": "app_store", "environment": "Sandbox", "store_product_id": "profiles.monthly",
    "store_transaction_id": "profiles-2", "store_original_transaction_id": "profiles-1",
    "price": {"country": "US", "currency": "USD", "value": 4.99},
    "purchased_at": "2024-12-24T11:50:23+01:00", "originally_purchased_at": "2024-11-24T10:50:23.5Z", "expires_at": "2099-01-24T10:50:23Z",
    "renew_status": true, "offer": {"category": "introductory", "type": "free_trial", "id": "trial"}}') IS NOT NULL;
SELECT adapty.set_transaction('profiles-jane', '{
    "purchase_type": "one_time_purchase", "store": "app_store", "environment": "Production", "store_product_id": "profiles.coins",
    "store_transaction_id": "profiles-3", "store_original_transaction_id": "profiles-3",
    "price": {"country": "US", "currency": "USD", "value": 1}, "purchased_at": "2024-12-25T00:00:00Z"}') IS NOT NULL;
SELECT adapty.get_profile('profiles-jane') -> 'access_levels';
SELECT adapty.get_profile('profiles-jane') -> 'subscriptions';
SELECT adapty.get_profile('profiles-jane') #- '{non_subscriptions,0,purchase_id}' -> 'non_subscriptions';
SELECT adapty.get_profile('profiles-jane') #>> '{non_subscriptions,0,purchase_id}' = purchase_id::text FROM adapty.transactions WHERE store_transaction_id = 'profiles-3';
-- access that no store gave, without an end
SELECT adapty.create_profile('profiles-granted') IS NOT NULL, (adapty.grant_access_level('profiles-granted', 'premium', is_lifetime => true)).is_active;
SELECT (adapty.get_profile('profiles-granted') #> '{access_levels,0}') - 'starts_at';

-- Everything that is held, one key a table; nobody else's, and the same in every time zone
SELECT key, CASE pg_catalog.jsonb_typeof(value) WHEN 'array' THEN pg_catalog.jsonb_array_length(value) END
    FROM pg_catalog.jsonb_each(adapty.export_profile('profiles-jane')) WHERE key <> 'events' ORDER BY key COLLATE "C";
SELECT pg_catalog.jsonb_array_length(adapty.export_profile('profiles-jane') -> 'events') =
       (SELECT pg_catalog.count(*) FROM adapty.events WHERE profile_id = :'jane');
SELECT pg_catalog.bool_and(row ->> 'profile_id' = :'jane') FROM pg_catalog.jsonb_each(adapty.export_profile('profiles-jane')) t,
    pg_catalog.jsonb_array_elements(CASE pg_catalog.jsonb_typeof(t.value) WHEN 'array' THEN t.value ELSE pg_catalog.jsonb_build_array(t.value) END) row;
SET TimeZone TO 'Asia/Kathmandu';
SELECT adapty.export_profile('profiles-jane')::text AS kathmandu \gset
SET TimeZone TO 'America/St_Johns';
SELECT adapty.export_profile(:'jane'::uuid)::text = :'kathmandu', adapty.export_profile('profiles-jane') #>> '{transactions,0,purchased_at}';
SHOW TimeZone;
RESET TimeZone;

-- Roles: a user of a JWT sees and updates itself, and can neither export nor delete
SELECT pg_catalog.set_config('request.jwt.claims', '{"sub": "profiles-jane"}', false);
SET ROLE adapty_sdk;
SELECT adapty.get_profile('profiles-jane') ->> 'customer_user_id', adapty.get_profile(:'jane'::uuid) ->> 'customer_user_id';
SELECT adapty.update_profile(:'jane'::uuid, '{"first_name": "Janet"}') ->> 'customer_user_id';
SELECT adapty.get_attribute('profiles-jane', 'first_name');
SELECT adapty.get_profile('profiles-granted');
SELECT adapty.update_profile('profiles-granted', '{"first_name": "Mallory"}');
SELECT adapty.get_profile('11111111-1111-1111-1111-111111111111'::uuid);
SELECT adapty.export_profile('profiles-jane');
SELECT adapty.delete_profile('profiles-jane');
RESET ROLE;
-- an anonymous user by its profile_id, which stays good when it becomes known
SELECT pg_catalog.set_config('request.jwt.claims', pg_catalog.format('{"profile_id": "%s"}', :'anonymous'), false) IS NOT NULL;
SET ROLE adapty_sdk;
SELECT adapty.update_profile(:'anonymous'::uuid, '{"gender": "o"}') -> 'customer_user_id';
SELECT adapty.get_profile('profiles-jane');
RESET ROLE;
SELECT adapty.identify(:'anonymous', 'profiles-known') = :'anonymous';
SET ROLE adapty_sdk;
SELECT adapty.get_profile('profiles-known') ->> 'customer_user_id', adapty.get_attribute(:'anonymous'::uuid, 'gender');
-- no claims, or claims that are not JSON: nobody
SELECT pg_catalog.set_config('request.jwt.claims', '', false);
SELECT adapty.get_profile('profiles-jane');
SELECT pg_catalog.set_config('request.jwt.claims', '{"sub": ""}', false);
SELECT adapty.get_profile('profiles-jane');
SELECT pg_catalog.set_config('request.jwt.claims', 'profiles-jane', false);
SELECT adapty.get_profile('profiles-jane');
RESET ROLE;
-- the server's role is not held to the claims, even if it is a member of both
CREATE ROLE profiles_both LOGIN IN ROLE adapty_sdk, adapty_server;
CREATE ROLE profiles_sdk LOGIN IN ROLE adapty_sdk;
SET ROLE profiles_both;
SELECT adapty.get_profile('profiles-jane') ->> 'customer_user_id';
SET ROLE profiles_sdk;
SELECT adapty.get_profile('profiles-jane') ->> 'customer_user_id';
RESET ROLE;
-- a change of membership counts at once
GRANT adapty_server TO profiles_sdk;
SET ROLE profiles_sdk;
SELECT adapty.get_profile('profiles-jane') ->> 'customer_user_id';
RESET ROLE;
RESET request.jwt.claims;
DROP ROLE profiles_both, profiles_sdk;

-- Deleting: what is the user's goes, what is the app's stays without the user
SELECT adapty.delete_profile('profiles-jane');
SELECT (SELECT pg_catalog.count(*) FROM adapty.profiles WHERE profile_id = :'jane'),
       (SELECT pg_catalog.count(*) FROM adapty.identities WHERE profile_id = :'jane'),
       (SELECT pg_catalog.count(*) FROM adapty.installations WHERE profile_id = :'jane'),
       (SELECT pg_catalog.count(*) FROM adapty.integration_identifiers WHERE profile_id = :'jane'),
       (SELECT pg_catalog.count(*) FROM adapty.attributions WHERE profile_id = :'jane'),
       (SELECT pg_catalog.count(*) FROM adapty.access_grants WHERE profile_id = :'jane'),
       (SELECT pg_catalog.count(*) FROM adapty.transactions WHERE profile_id = :'jane'),
       (SELECT pg_catalog.count(*) FROM adapty.subscriptions WHERE profile_id = :'jane'),
       (SELECT pg_catalog.count(*) > 0 FROM adapty.events WHERE profile_id = :'jane');
SELECT store_transaction_id, profile_id FROM adapty.transactions WHERE store_transaction_id LIKE 'profiles-%' ORDER BY 1;
SELECT store_transaction_id, profile_id FROM adapty.subscriptions WHERE store_transaction_id LIKE 'profiles-%';
SELECT * FROM pg_temp.refused($$SELECT adapty.get_profile('profiles-jane')$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.delete_profile('profiles-jane')$$);
-- the id is free again, for a new profile
SELECT adapty.create_profile('profiles-jane') <> :'jane';
SELECT adapty.get_profile('profiles-jane') -> 'access_levels', adapty.get_attributes('profiles-jane');
-- a rolled-back deletion deletes nothing
BEGIN;
SELECT adapty.delete_profile('profiles-granted');
ROLLBACK;
SELECT adapty.has_access('profiles-granted', 'premium');
SET adapty.test_clock_offset = '1h';
SELECT * FROM pg_temp.refused($$SELECT adapty.delete_profile('profiles-granted')$$);
SELECT * FROM pg_temp.refused($$SELECT adapty.update_profile('profiles-granted', '{"gender": "m"}')$$);
RESET adapty.test_clock_offset;

SELECT pg_catalog.count(*) FROM (SELECT adapty.delete_profile(customer_user_id) FROM adapty.identities
    WHERE customer_user_id LIKE 'profiles-%') gone;
DELETE FROM adapty.subscriptions WHERE store_transaction_id LIKE 'profiles-%';
DELETE FROM adapty.transactions WHERE store_transaction_id LIKE 'profiles-%';
DELETE FROM adapty.products WHERE title LIKE 'profiles %';
