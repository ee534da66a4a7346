-- Events of :bulk subscriptions, and what one would write to make their bodies: one statement, an event
-- a call, over the same tables.
SELECT adapty.define_product('Payload', 'premium', 'monthly', '[{"store": "app_store", "store_product_id": "payload"}]') \g /dev/null
SELECT count(adapty.set_transaction('payload-' || n, jsonb_build_object('purchase_type', 'subscription', 'store', 'app_store',
    'store_product_id', 'payload', 'store_transaction_id', 'payload-' || n, 'store_original_transaction_id', 'payload-' || n,
    'price', '{"country": "US", "currency": "USD", "value": 4.99}'::jsonb, 'purchased_at', '2024-01-15T10:30:00Z',
    'originally_purchased_at', '2024-01-15T10:30:00Z', 'expires_at', '2099-02-15T10:30:00Z', 'renew_status', true), create_missing => true))
FROM generate_series(1, :bulk) n \g /dev/null
CREATE TABLE hand.payload_events AS SELECT e AS event FROM adapty.events e JOIN adapty.identities i USING (profile_id)
    WHERE i.customer_user_id LIKE 'payload-%';
CREATE FUNCTION hand.moment(at timestamptz) RETURNS text LANGUAGE sql STABLE AS
    $$ SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+0000"') $$;
CREATE FUNCTION hand.payload(e adapty.events) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('profile_id', e.profile_id, 'customer_user_id', i.customer_user_id, 'email', p.email,
        'idfa', d.idfa, 'idfv', d.idfv, 'advertising_id', d.advertising_id, 'user_agent', d.user_agent,
        'profile_install_datetime', hand.moment(p.created_at), 'event_type', e.event_type, 'event_datetime', hand.moment(e.event_datetime),
        'event_api_version', 1, 'profiles_sharing_access_level', NULL,
        'integration_ids', (SELECT jsonb_object_agg(x.name, x.value) FROM adapty.integration_identifiers x WHERE x.profile_id = e.profile_id),
        'event_properties', jsonb_build_object('profile_event_id', e.event_id, 'profile_id', e.profile_id, 'event_datetime', hand.moment(e.event_datetime),
            'store', t.store, 'environment', t.environment, 'transaction_id', t.store_transaction_id, 'original_transaction_id', t.store_original_transaction_id,
            'vendor_product_id', t.store_product_id, 'base_plan_id', nullif(t.store_base_plan_id, ''), 'store_country', t.price_country,
            'currency', t.price_currency, 'price_local', t.price_value, 'price_usd', t.price_usd, 'original_price_local', t.price_value,
            'original_price_usd', t.price_usd, 'discount_amount_local', 0, 'discount_amount_usd', 0, 'purchase_date', hand.moment(t.purchased_at),
            'original_purchase_date', hand.moment(t.originally_purchased_at), 'subscription_expires_at', hand.moment(t.expires_at),
            'consecutive_payments', e.event_properties -> 'consecutive_payments', 'rate_after_first_year', t.is_after_first_year,
            'promotional_offer_id', t.offer_id, 'store_offer_category', t.offer_category, 'store_offer_discount_type', t.offer_type)
        || jsonb_build_object('profile_has_access_level', EXISTS (SELECT FROM adapty.access_grants g WHERE g.profile_id = e.profile_id
                AND g.starts_at <= e.event_datetime AND e.event_datetime < g.expires_at),
            'profile_total_revenue_usd', p.total_revenue_usd, 'profile_country', p.ip_country, 'profile_ip_address', host(p.ip_v4_address),
            'variation_id', t.variation_id, 'developer_id', NULL, 'paywall_name', NULL, 'cohort_name', NULL, 'ab_test_name', NULL,
            'proceeds_local', round(t.price_value * (1 - t.commission_rate), 6), 'proceeds_usd', round(t.price_usd * (1 - t.commission_rate), 6),
            'tax_amount_local', round(t.price_value * (1 - t.commission_rate) * t.tax_rate / (1 + t.tax_rate), 6),
            'tax_amount_usd', round(t.price_usd * (1 - t.commission_rate) * t.tax_rate / (1 + t.tax_rate), 6)))
    FROM adapty.profiles p LEFT JOIN adapty.identities i ON i.profile_id = p.profile_id
    LEFT JOIN LATERAL (SELECT * FROM adapty.installations d WHERE d.profile_id = e.profile_id ORDER BY d.updated_at DESC LIMIT 1) d ON true
    LEFT JOIN adapty.transactions t ON t.store = split_part(e.source_id, ':', 1) AND t.store_transaction_id = split_part(e.source_id, ':', 2)
    WHERE p.profile_id = e.profile_id $$;
VACUUM ANALYZE;
CHECKPOINT;
