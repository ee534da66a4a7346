-- :subscribers users, each with a subscription, on both sides.
SELECT adapty.define_product('Monthly', 'premium', 'monthly', '[{"store": "stripe", "store_product_id": "monthly"}]') \g /dev/null
INSERT INTO hand.products (title, access_level_id, period) VALUES ('Monthly', 'premium', 'monthly');
INSERT INTO hand.store_products SELECT 'stripe', 'monthly', '', product_id FROM hand.products;
CREATE SEQUENCE hand.renewals;
CREATE FUNCTION hand.renewal(n bigint) RETURNS jsonb LANGUAGE sql VOLATILE AS $$
    SELECT jsonb_build_object('purchase_type', 'subscription', 'store', 'stripe', 'environment', 'Production',
        'store_product_id', 'monthly', 'store_transaction_id', 'in_' || nextval('hand.renewals'), 'store_original_transaction_id', 'sub_' || n,
        'price', '{"country": "US", "currency": "USD", "value": 4.99}'::jsonb, 'purchased_at', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'originally_purchased_at', '2024-01-15T10:30:00Z', 'expires_at', to_char((clock_timestamp() + interval '30 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'renew_status', true) $$;
SELECT count(adapty.create_profile('subscriber-' || n)) FROM generate_series(1, :subscribers) n \g /dev/null
INSERT INTO hand.profiles (profile_id) SELECT profile_id FROM adapty.identities WHERE customer_user_id LIKE 'subscriber-%';
INSERT INTO hand.identities SELECT customer_user_id, profile_id FROM adapty.identities WHERE customer_user_id LIKE 'subscriber-%';
SELECT count(adapty.set_transaction('subscriber-' || n, hand.renewal(n))) FROM generate_series(1, :subscribers) n \g /dev/null
SELECT count(hand.set_transaction('subscriber-' || n, hand.renewal(n))) FROM generate_series(1, :subscribers) n \g /dev/null
VACUUM (FREEZE, ANALYZE);
CHECKPOINT;
