-- Virtual currencies: definitions, transactions, history, what products give.
SELECT count(adapty.create_profile('coins-' || i)) FROM generate_series(1, 9) i;

-- ---- definitions ----
SELECT adapty.define_virtual_currency('coins', 'Gold Coins', 'For hints');
SELECT adapty.define_virtual_currency('GEMS');
SELECT adapty.define_virtual_currency('Energy_2', 'Energy');
SELECT adapty.define_virtual_currency('Coins', description => 'For hints and hats');
SELECT currency_code, name, description FROM adapty.virtual_currencies ORDER BY created_at;
SELECT adapty.define_virtual_currency('two words');
SELECT adapty.define_virtual_currency('');
SELECT adapty.define_virtual_currency(NULL);
SELECT adapty.define_virtual_currency(repeat('X', 33));
UPDATE adapty.virtual_currencies SET currency_code = 'MONEY' WHERE currency_code = 'COINS';
DELETE FROM adapty.virtual_currencies;
TRUNCATE adapty.virtual_currencies CASCADE;
UPDATE adapty.virtual_currencies SET name = 'Coins' WHERE currency_code = 'COINS';

-- ---- transactions ----
SELECT * FROM adapty.get_virtual_currency_balances('coins-1');
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "COINS", "amount": 500}]') -> 'balances';
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "coins", "amount": -100}, {"currency_code": "GEMS", "amount": 10}]',
    metadata => '{"reason": "exchange"}') -> 'balances';
SELECT * FROM adapty.get_virtual_currency_balances((SELECT profile_id FROM adapty.identities WHERE customer_user_id = 'coins-1'));
-- all items or none
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "COINS", "amount": 7}, {"currency_code": "GEMS", "amount": -11}]');
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "COINS", "amount": -401}]');
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "ENERGY_2", "amount": -1}]');
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "COINS", "amount": 2147483647}]');
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "ENERGY_2", "amount": 2147483647}]') -> 'balances' -> 0 -> 'balance';
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "ENERGY_2", "amount": 1}]');
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "ENERGY_2", "amount": -2147483647}]') -> 'balances' -> 0 -> 'balance';
SELECT code, balance FROM adapty.get_virtual_currency_balances('coins-1');
-- requests that make no sense
SELECT adapty.create_virtual_currency_transaction('coins-1', '[]');
SELECT adapty.create_virtual_currency_transaction('coins-1', NULL);
SELECT adapty.create_virtual_currency_transaction('coins-1', '{"currency_code": "COINS", "amount": 1}');
SELECT adapty.create_virtual_currency_transaction('coins-1', '1');
SELECT adapty.create_virtual_currency_transaction('coins-1', '[1]');
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "COINS"}]');
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"amount": 1}]');
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "COINS", "amount": 0}]');
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "COINS", "amount": 1.5}]');
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "COINS", "amount": "5"}]');
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "COINS", "amount": 2147483648}]');
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "COINS", "amount": 1e400}]');
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "COINS", "amount": 1, "price": 2}]');
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "COINS", "amount": 1}, {"currency_code": "coins", "amount": 1}]');
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "RUBIES", "amount": 1}]');
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "a''b", "amount": 1}]');
SELECT adapty.create_virtual_currency_transaction('coins-1', (SELECT jsonb_agg(jsonb_build_object('currency_code', 'C' || i, 'amount', 1)) FROM generate_series(1, 21) i));
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "COINS", "amount": 1}]', '{"a": "1", "b": "1", "c": "1", "d": "1", "e": "1", "f": "1"}');
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "COINS", "amount": 1}]', '{"Key": "1"}');
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "COINS", "amount": 1}]', '{"key": 1}');
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "COINS", "amount": 1}]', jsonb_build_object('key', repeat('x', 201)));
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "COINS", "amount": 1}]', '[]');
SELECT adapty.create_virtual_currency_transaction('nobody', '[{"currency_code": "COINS", "amount": 1}]');
SELECT code, balance FROM adapty.get_virtual_currency_balances('coins-1');
-- a JSON null is no metadata, and 200 characters are not 200 bytes
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "COINS", "amount": 1.0}]', 'null') -> 'balances' -> 0 -> 'balance';
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "COINS", "amount": -1e0}]', jsonb_build_object('key', repeat('é', 200))) -> 'balances' -> 0 -> 'balance';

-- ---- the same key is the same transaction ----
SELECT adapty.create_virtual_currency_transaction('coins-2', '[{"currency_code": "COINS", "amount": 5}]', idempotency_key => 'k1') AS first \gset
SELECT adapty.create_virtual_currency_transaction('coins-2', '[{"currency_code": "COINS", "amount": 5}]', idempotency_key => 'k1') = :'first' AS same;
SELECT adapty.create_virtual_currency_transaction('coins-2', '[{"currency_code": "COINS", "amount": 6}]', idempotency_key => 'k1');
SELECT adapty.create_virtual_currency_transaction('coins-3', '[{"currency_code": "COINS", "amount": 6}]', idempotency_key => 'k1') -> 'balances' -> 0 -> 'balance';
SELECT balance FROM adapty.get_virtual_currency_balances('coins-2') WHERE code = 'COINS';

-- ---- history ----
SELECT t ->> 'transaction_type' AS type, t -> 'items' AS items, t ? 'metadata' AS has_metadata
    FROM jsonb_array_elements(adapty.get_virtual_currency_transactions('coins-1') -> 'data') t;
SELECT adapty.get_virtual_currency_transactions('coins-1') -> 'pagination';
SELECT t -> 'items' AS items FROM jsonb_array_elements(adapty.get_virtual_currency_transactions('coins-1', currency_code => 'gems') -> 'data') t;
SELECT count(adapty.create_virtual_currency_transaction('coins-4', jsonb_build_array(jsonb_build_object('currency_code', 'COINS', 'amount', i))))
    FROM generate_series(1, 7) i;
-- page by page
WITH RECURSIVE pages (page) AS (
    SELECT adapty.get_virtual_currency_transactions('coins-4', page_size => 3)
    UNION ALL
    SELECT adapty.get_virtual_currency_transactions('coins-4', page_size => 3, cursor => page #>> '{pagination,next_cursor}')
    FROM pages WHERE page #>> '{pagination,next_cursor}' IS NOT NULL)
SELECT (SELECT string_agg(t #>> '{items,0,amount}', ' ') FROM jsonb_array_elements(page -> 'data') t) AS amounts FROM pages;
SELECT jsonb_array_length(adapty.get_virtual_currency_transactions('coins-4', page_size => 7) -> 'data') AS n,
       adapty.get_virtual_currency_transactions('coins-4', page_size => 7) #> '{pagination,next_cursor}' AS next;
SELECT adapty.get_virtual_currency_transactions('coins-4', currency_code => 'RUBIES') -> 'data';
SELECT adapty.get_virtual_currency_transactions('coins-4', cursor => 'x');
SELECT adapty.get_virtual_currency_transactions('coins-4', page_size => 0);
SELECT adapty.get_virtual_currency_transactions('coins-4', page_size => 101);
SELECT adapty.get_virtual_currency_transactions('nobody');

-- ---- append-only ----
UPDATE adapty.virtual_currency_transactions SET amount = 1;
DELETE FROM adapty.virtual_currency_transactions;
TRUNCATE adapty.virtual_currency_transactions;
SELECT adapty.delete_profile('coins-4');
SELECT count(*) FROM adapty.virtual_currency_transactions t WHERE NOT EXISTS (SELECT FROM adapty.profiles p WHERE p.profile_id = t.profile_id);
-- the ledger and the balances agree
CREATE VIEW pg_temp.oracle AS
    SELECT count(*) FILTER (WHERE b.balance IS DISTINCT FROM l.total OR b.balance IS DISTINCT FROM l.last) AS wrong,
           count(*) FILTER (WHERE b.balance < coalesce(o.remaining, 0)) AS overdrawn
      FROM adapty.virtual_currency_balances b
      FULL JOIN (SELECT profile_id, currency_code, sum(amount) AS total, (array_agg(balance_after ORDER BY transaction_id DESC))[1] AS last
                   FROM adapty.virtual_currency_transactions GROUP BY 1, 2) l USING (profile_id, currency_code)
      LEFT JOIN (SELECT profile_id, currency_code, sum(remaining) AS remaining FROM adapty.virtual_currency_lots GROUP BY 1, 2) o
             USING (profile_id, currency_code);
SELECT * FROM pg_temp.oracle;

-- ---- what products give ----
SELECT adapty.define_product('Coin pack', NULL, 'consumable', '[{"store": "stripe", "store_product_id": "coin_pack"}]') AS pack \gset
SELECT adapty.define_product('Club monthly', 'premium', 'monthly', '[{"store": "stripe", "store_product_id": "club_monthly"}]') AS monthly \gset
SELECT adapty.define_product('Club annual', 'premium', 'annual', '[{"store": "stripe", "store_product_id": "club_annual"}]') AS annual \gset
SELECT adapty.link_virtual_currency('coins', :'pack', 1000);
SELECT adapty.link_virtual_currency('COINS', :'monthly', 100, trial_amount => 10);
SELECT adapty.link_virtual_currency('GEMS', :'monthly', 50, trial_amount => 5, expires => true);
SELECT adapty.link_virtual_currency('GEMS', :'annual', 700, expires => true);
SELECT p.title, currency_code, amount, trial_amount, expires FROM adapty.virtual_currency_products JOIN adapty.products p USING (product_id) ORDER BY 1, 2;
SELECT adapty.link_virtual_currency('GEMS', :'pack', 5, expires => true);
SELECT adapty.link_virtual_currency('GEMS', :'pack', 5, trial_amount => 1);
SELECT adapty.link_virtual_currency('GEMS', :'pack', 0);
SELECT adapty.link_virtual_currency('GEMS', :'pack', NULL);
SELECT adapty.link_virtual_currency('GEMS', :'pack', 5, trial_amount => -1);
SELECT adapty.link_virtual_currency('RUBIES', :'pack', 5);
SELECT adapty.link_virtual_currency('GEMS', '00000000-0000-0000-0000-000000000001', 5);
SELECT adapty.link_virtual_currency('GEMS', NULL, 5);

-- a subscription: $1 user, $2 product, $3 transaction, $4 bought so many days ago, $5 further fields
CREATE FUNCTION pg_temp.buy(u text, product text, id text, days_ago integer, more jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
    SELECT adapty.set_transaction(u, jsonb_build_object('purchase_type', 'subscription', 'store', 'stripe', 'store_product_id', product,
        'store_transaction_id', id, 'store_original_transaction_id', 'chain-' || u, 'price', '{"country": "US", "currency": "USD", "value": 4.99}'::jsonb,
        'purchased_at', now() - make_interval(days => days_ago), 'originally_purchased_at', now() - interval '300 days',
        'expires_at', now() + make_interval(days => 30 - days_ago), 'renew_status', true) || more) $$;
CREATE FUNCTION pg_temp.pack(u text, id text, more jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
    SELECT adapty.set_transaction(u, jsonb_build_object('purchase_type', 'one_time_purchase', 'store', 'stripe', 'store_product_id', 'coin_pack',
        'store_transaction_id', id, 'store_original_transaction_id', id, 'price', '{"country": "US", "currency": "USD", "value": 9.99}'::jsonb,
        'purchased_at', now() - interval '1 day') || more) $$;
-- what happened to a user's coins, in order
CREATE FUNCTION pg_temp.ledger(u text) RETURNS TABLE (type adapty.virtual_currency_transaction_type, changes text, source_id text) LANGUAGE sql AS $$
    SELECT t.transaction_type, string_agg(t.currency_code || ' ' || to_char(t.amount, 'FMS9999999999') || ' = ' || t.balance_after, ', ' ORDER BY t.currency_code), t.source_id
      FROM adapty.virtual_currency_transactions t JOIN adapty.identities i USING (profile_id)
     WHERE i.customer_user_id = u GROUP BY t.transaction_id, 1, 3 ORDER BY t.transaction_id $$;

-- one-time purchases, once each however often reported; refunded as far as the balance has it
SELECT pg_temp.pack('coins-5', 'pack-1');
SELECT pg_temp.pack('coins-5', 'pack-1');
SELECT pg_temp.pack('coins-5', 'pack-2');
SELECT adapty.create_virtual_currency_transaction('coins-5', '[{"currency_code": "COINS", "amount": -1300}]') -> 'balances' -> 0 -> 'balance';
SELECT pg_temp.pack('coins-5', 'pack-1', jsonb_build_object('refunded_at', now()));
SELECT pg_temp.pack('coins-5', 'pack-2', jsonb_build_object('refunded_at', now()));
SELECT pg_temp.pack('coins-5', 'pack-1', jsonb_build_object('refunded_at', now()));
SELECT * FROM pg_temp.ledger('coins-5');

-- a trial that converts and renews, two months ago: coins stay, gems go with each cycle
SELECT adapty.set_test_clock('coins-6', '-60 days');
SELECT pg_temp.buy('coins-6', 'club_monthly', 't1', 61, '{"offer": {"category": "introductory", "type": "free_trial"}}' || jsonb_build_object('expires_at', now() - interval '54 days'));
SELECT adapty.set_test_clock('coins-6', '-55 days');
SELECT pg_temp.buy('coins-6', 'club_monthly', 't2', 54);
SELECT adapty.create_virtual_currency_transaction('coins-6', '[{"currency_code": "GEMS", "amount": 7}]') -> 'balances' -> 0 -> 'balance';
-- what expires is spent first
SELECT adapty.create_virtual_currency_transaction('coins-6', '[{"currency_code": "GEMS", "amount": -20}]') -> 'balances' -> 0 -> 'balance';
SELECT currency_code, remaining, chain_id, source_id FROM adapty.virtual_currency_lots ORDER BY chain_id;
SELECT adapty.create_virtual_currency_transaction('coins-6', '[{"currency_code": "GEMS", "amount": -33}]') -> 'balances' -> 0 -> 'balance';
SELECT currency_code, remaining FROM adapty.virtual_currency_lots;
SELECT adapty.create_virtual_currency_transaction('coins-6', '[{"currency_code": "GEMS", "amount": 3}]') -> 'balances' -> 0 -> 'balance';
SELECT adapty.set_test_clock('coins-6', '-25 days');
SELECT pg_temp.buy('coins-6', 'club_monthly', 't3', 24);
SELECT * FROM pg_temp.ledger('coins-6');
-- switched off, billing issue, reported again: nothing
SELECT pg_temp.buy('coins-6', 'club_monthly', 't3', 24, '{"renew_status": false}');
SELECT pg_temp.buy('coins-6', 'club_monthly', 't3', 24, jsonb_build_object('renew_status', false, 'billing_issue_detected_at', now() - interval '24 days'));
-- a late report of a cycle that is over: coins, no gems
SELECT pg_temp.buy('coins-6', 'club_monthly', 't1b', 58, jsonb_build_object('expires_at', now() - interval '55 days'));
SELECT * FROM pg_temp.ledger('coins-6') OFFSET 7;
-- the end: what is left of the cycle's gems goes, what was given by hand stays
SELECT adapty.set_test_clock('coins-6', '5 days');
SELECT * FROM pg_temp.ledger('coins-6') OFFSET 7;
SELECT adapty.set_test_clock('coins-6', '7 days');
SELECT * FROM pg_temp.ledger('coins-6') OFFSET 8;
SELECT code, balance FROM adapty.get_virtual_currency_balances('coins-6');
SELECT count(*) FROM adapty.virtual_currency_lots;

-- an upgrade: what the old product gave goes with the next cycle, which gives by the new product
SELECT pg_temp.buy('coins-7', 'club_monthly', 'u1', 29);
SELECT pg_temp.buy('coins-7', 'club_annual', 'u2', 0);
-- refund of the current cycle takes back what it gave, also what was spent of it, as far as there is
SELECT adapty.create_virtual_currency_transaction('coins-7', '[{"currency_code": "GEMS", "amount": -600}]') -> 'balances' -> 0 -> 'balance';
SELECT adapty.create_virtual_currency_transaction('coins-7', '[{"currency_code": "GEMS", "amount": 50}]') -> 'balances' -> 0 -> 'balance';
SELECT pg_temp.buy('coins-7', 'club_annual', 'u2', 0, jsonb_build_object('refunded_at', now()));
-- refund of a cycle that is over: its coins, not its gems
SELECT pg_temp.buy('coins-7', 'club_monthly', 'u1', 29, jsonb_build_object('refunded_at', now()));
SELECT * FROM pg_temp.ledger('coins-7');
-- refunded because of an upgrade: coins stay, the cycle's gems end with it
SELECT pg_temp.buy('coins-8', 'club_monthly', 'v1', 10);
SELECT pg_temp.buy('coins-8', 'club_monthly', 'v1', 10, jsonb_build_object('refunded_at', now(), 'cancellation_reason', 'upgraded'));
SELECT * FROM pg_temp.ledger('coins-8');

-- what was bought before anybody is known, or is claimed later, credits nobody
SELECT pg_temp.pack('coins-8', 'pack-claim');
SELECT adapty.delete_profile('coins-8');
SELECT pg_temp.pack('coins-1', 'pack-claim');
SELECT count(*) FROM adapty.virtual_currency_transactions WHERE source_id = 'stripe:pack-claim';

-- no link, no credit; nothing is credited afterwards for what was bought before
SELECT adapty.unlink_virtual_currency('coins', :'pack');
SELECT adapty.unlink_virtual_currency('coins', :'pack');
SELECT pg_temp.pack('coins-9', 'pack-3');
SELECT adapty.link_virtual_currency('coins', :'pack', 1000);
SELECT pg_temp.pack('coins-9', 'pack-3', '{"environment": "Sandbox"}');
SELECT count(*) FROM pg_temp.ledger('coins-9');
-- a purchase is never refused because of its coins
SELECT adapty.create_virtual_currency_transaction('coins-9', '[{"currency_code": "COINS", "amount": 2147483000}]') -> 'balances' -> 0 -> 'balance';
SELECT pg_temp.pack('coins-9', 'pack-4');
SELECT pg_temp.pack('coins-9', 'pack-5');
SELECT * FROM pg_temp.ledger('coins-9');
-- family members have no part in it
SELECT pg_temp.buy('coins-2', 'club_monthly', 'f1', 1, '{"is_family_shared": true}');
SELECT count(*) FROM adapty.virtual_currency_transactions WHERE source_id = 'stripe:f1';
-- a rolled-back purchase leaves nothing
BEGIN;
SELECT pg_temp.buy('coins-3', 'club_monthly', 'r1', 1);
SELECT code, balance FROM adapty.get_virtual_currency_balances('coins-3');
ROLLBACK;
SELECT code, balance FROM adapty.get_virtual_currency_balances('coins-3');

SELECT * FROM pg_temp.oracle;
SELECT jsonb_array_length(d -> 'virtual_currency_balances') AS balances, jsonb_array_length(d -> 'virtual_currency_transactions') AS transactions
    FROM adapty.export_profile('coins-1') d;

-- ---- who may ----
SET ROLE adapty_server;
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "COINS", "amount": -1}]') -> 'balances' -> 0 -> 'balance';
INSERT INTO adapty.virtual_currency_balances VALUES (gen_random_uuid(), now(), 5, 'COINS');
RESET ROLE;
SET ROLE adapty_sdk;
SET request.jwt.claims = '{"customer_user_id": "coins-1"}';
SELECT code, balance FROM adapty.get_virtual_currency_balances('coins-1');
SELECT jsonb_array_length(adapty.get_virtual_currency_transactions('coins-1', page_size => 2) -> 'data');
SELECT * FROM adapty.get_virtual_currency_balances('coins-2');
SELECT adapty.get_virtual_currency_transactions('coins-2');
SELECT adapty.create_virtual_currency_transaction('coins-1', '[{"currency_code": "COINS", "amount": 1}]');
SELECT balance FROM adapty.virtual_currency_balances;
RESET request.jwt.claims;
RESET ROLE;
SET ROLE adapty_analyst;
SELECT currency_code, sum(amount) > 0 AS some FROM adapty.virtual_currency_transactions GROUP BY 1 ORDER BY 1;
SELECT metadata FROM adapty.virtual_currency_transactions;
SELECT adapty.get_virtual_currency_balances('coins-1');
RESET ROLE;

SELECT count(adapty.delete_profile(customer_user_id)) FROM adapty.identities WHERE customer_user_id LIKE 'coins-%';
SELECT count(*) FROM adapty.virtual_currency_transactions;
DELETE FROM adapty.products WHERE title IN ('Coin pack', 'Club monthly', 'Club annual');
DELETE FROM adapty.transactions WHERE store_product_id IN ('coin_pack', 'club_monthly', 'club_annual');
DELETE FROM adapty.subscriptions WHERE store_product_id IN ('club_monthly', 'club_annual');
