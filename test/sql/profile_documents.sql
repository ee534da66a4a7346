-- The Profile object shows of every user's access what the view shows, however the user came by it.
SELECT adapty.define_access_level('documents_b'), adapty.define_access_level('documents_A');
SELECT adapty.define_product('Documents', 'documents_b', 'monthly', '[{"store": "stripe", "store_product_id": "documents"}]') IS NOT NULL AS defined;
SELECT count(adapty.create_profile('documents-' || i, '{"custom_attributes": {"b": 1, "aa": "x", "A": 2.5}}')) FROM generate_series(1, 8) i;
SELECT bool_and(is_active) FROM adapty.grant_access_level('documents-1', 'documents_b', is_lifetime => true);
SELECT bool_and(is_active) FROM adapty.grant_access_level('documents-1', 'documents_A', duration => '7 days');
SELECT bool_and(is_active) FROM adapty.grant_access_level('documents-2', 'documents_b', starts_at => '2124-01-01', expires_at => '2125-01-01');
SELECT bool_and(is_active) FROM adapty.grant_access_level('documents-2', 'documents_b', starts_at => '2126-01-01', expires_at => '2127-01-01', mode => 'extend');
SELECT bool_and(is_active) FROM adapty.grant_access_level('documents-3', 'documents_b', starts_at => '2014-01-01', expires_at => '2015-01-01');
SELECT bool_and(is_active) FROM adapty.grant_access_level('documents-4', 'documents_b', duration => '7 days');
SELECT bool_and(is_active) FROM adapty.revoke_access_level('documents-4', 'documents_b');
SELECT bool_and(is_active) FROM adapty.grant_access_level('documents-5', 'documents_b', starts_at => '2124-01-01', expires_at => '2125-01-01');
SELECT adapty.set_test_clock('documents-5', interval '36000 days');
SELECT jsonb_array_length(adapty.set_transaction('documents-' || i, format('{"purchase_type": "subscription", "store": "stripe",
    "store_product_id": "documents", "store_transaction_id": "documents-%1$s", "store_original_transaction_id": "documents-%1$s",
    "price": {"country": "US", "currency": "USD", "value": 5}, "purchased_at": "2024-01-01T00:00:00Z",
    "originally_purchased_at": "2024-01-01T00:00:00Z", "expires_at": "%2$s-01-01T00:00:00Z", "renew_status": true}', i, y)::jsonb) -> 'subscriptions') AS subscriptions
    FROM (VALUES (6, 2124), (7, 2025)) AS v (i, y);
SELECT bool_and(is_active) FROM adapty.grant_access_level('documents-7', 'documents_b', duration => '7 days');
SELECT bool_and(is_active) FROM adapty.grant_access_level('documents-7', 'documents_A', duration => '7 days');
-- no row: no difference
SELECT i.customer_user_id, d.shown, v.shown AS view
    FROM adapty.identities i,
    LATERAL (SELECT coalesce(jsonb_agg(jsonb_build_array(l ->> 'access_level_id', l ->> 'store', l ->> 'starts_at', l ->> 'expires_at', l ->> 'store_product_id')), '[]')
        FROM jsonb_array_elements(adapty.get_profile(i.customer_user_id) -> 'access_levels') l) AS d (shown),
    LATERAL (SELECT coalesce(jsonb_agg(jsonb_build_array(l.access_level_id, l.store, to_char(l.starts_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'),
            to_char(l.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), l.store_product_id) ORDER BY l.access_level_id COLLATE "C"), '[]')
        FROM adapty.profile_access_levels l WHERE l.profile_id = i.profile_id) AS v (shown)
    WHERE d.shown <> v.shown;
SELECT jsonb_path_query_array(adapty.get_profile('documents-1'), '$.access_levels[*].access_level_id') AS in_order,
       adapty.get_profile('documents-1') -> 'custom_attributes' AS attributes;
-- a snapshot is a snapshot: what this statement writes is not seen by its own reader
WITH written AS MATERIALIZED (SELECT is_active FROM adapty.grant_access_level('documents-8', 'documents_b', duration => '7 days'))
    SELECT w.is_active, jsonb_array_length(adapty.get_profile('documents-8') -> 'access_levels') AS levels FROM written w;
SELECT jsonb_array_length(adapty.get_profile('documents-8') -> 'access_levels') AS levels;
SELECT adapty.get_profile('documents-9');
