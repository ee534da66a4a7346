-- Virtual currencies: coins that products give and apps spend. src/domain/currency_ledger.c alone writes balances and ledger.
CREATE TYPE adapty.virtual_currency_transaction_type AS ENUM (
    'store_purchase', 'subscription_renewal', 'trial_start', 'api_transaction', 'dashboard_transaction', 'refund', 'expiry');
COMMENT ON TYPE adapty.virtual_currency_transaction_type IS 'What changed a balance.';

CREATE TABLE adapty.virtual_currencies (
    currency_code text COLLATE "C" PRIMARY KEY CONSTRAINT virtual_currencies_currency_code_check CHECK (currency_code ~ '^[A-Z0-9_]{1,32}$'),
    name          text NOT NULL CONSTRAINT virtual_currencies_name_check CHECK (length(name) BETWEEN 1 AND 255),
    description   text CONSTRAINT virtual_currencies_description_check CHECK (length(description) <= 1000),
    created_at    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE adapty.virtual_currencies IS 'The virtual currencies of the app. A code is for ever: it cannot be changed or deleted.';

CREATE TABLE adapty.virtual_currency_products (
    product_id    uuid NOT NULL REFERENCES adapty.products ON DELETE CASCADE,
    currency_code text COLLATE "C" NOT NULL REFERENCES adapty.virtual_currencies,
    amount        integer NOT NULL CONSTRAINT virtual_currency_products_amount_check CHECK (amount > 0),
    trial_amount  integer CONSTRAINT virtual_currency_products_trial_amount_check CHECK (trial_amount > 0),
    expires       boolean NOT NULL DEFAULT false,
    PRIMARY KEY (product_id, currency_code)
);
COMMENT ON TABLE adapty.virtual_currency_products IS 'Which products give which virtual currency.';
COMMENT ON COLUMN adapty.virtual_currency_products.amount IS 'Credited by each purchase, conversion of a trial, and renewal.';
COMMENT ON COLUMN adapty.virtual_currency_products.trial_amount IS 'Credited when a trial starts; null for nothing.';
COMMENT ON COLUMN adapty.virtual_currency_products.expires IS 'What is left of a cycle is taken away at the next renewal and at the end of the subscription.';

CREATE TABLE adapty.virtual_currency_balances (
    profile_id    uuid NOT NULL REFERENCES adapty.profiles ON DELETE CASCADE,
    updated_at    timestamptz NOT NULL,
    balance       integer NOT NULL CONSTRAINT virtual_currency_balances_balance_check CHECK (balance >= 0),
    currency_code text COLLATE "C" NOT NULL,
    PRIMARY KEY (profile_id, currency_code)
) WITH (fillfactor = 80);
COMMENT ON TABLE adapty.virtual_currency_balances IS 'What each user has of each virtual currency: the balance_after of the newest transaction. No row is a balance of 0.';

CREATE TABLE adapty.virtual_currency_lots (
    profile_id    uuid NOT NULL REFERENCES adapty.profiles ON DELETE CASCADE,
    expires_at    timestamptz NOT NULL,
    remaining     integer NOT NULL CONSTRAINT virtual_currency_lots_remaining_check CHECK (remaining >= 0),
    currency_code text COLLATE "C" NOT NULL,
    chain_id      text NOT NULL,
    source_id     text NOT NULL,
    PRIMARY KEY (profile_id, currency_code, chain_id)
) WITH (fillfactor = 80);
COMMENT ON TABLE adapty.virtual_currency_lots IS 'The part of a balance that will expire with a subscription''s cycle. Spending takes from what expires soonest.';
COMMENT ON COLUMN adapty.virtual_currency_lots.expires_at IS 'When the cycle was to end as it was credited: the order of spending. It expires with the subscription''s events, not by this.';
COMMENT ON COLUMN adapty.virtual_currency_lots.chain_id IS 'The subscription: "store:original transaction id".';
COMMENT ON COLUMN adapty.virtual_currency_lots.source_id IS 'The cycle: "store:transaction id".';

CREATE TABLE adapty.virtual_currency_transactions (
    profile_id       uuid NOT NULL REFERENCES adapty.profiles ON DELETE CASCADE,
    transaction_id   uuid NOT NULL,
    created_at       timestamptz NOT NULL,
    amount           integer NOT NULL CONSTRAINT virtual_currency_transactions_amount_check CHECK (amount <> 0),
    balance_after    integer NOT NULL CONSTRAINT virtual_currency_transactions_balance_after_check CHECK (balance_after >= 0),
    transaction_type adapty.virtual_currency_transaction_type NOT NULL,
    is_expiring      boolean NOT NULL DEFAULT false,
    currency_code    text COLLATE "C" NOT NULL,
    source_id        text,
    actor            text,
    metadata         jsonb,
    PRIMARY KEY (profile_id, transaction_id, currency_code)
);
CREATE UNIQUE INDEX virtual_currency_transactions_source_key
    ON adapty.virtual_currency_transactions (profile_id, source_id, transaction_type, currency_code) WHERE source_id IS NOT NULL;
COMMENT ON TABLE adapty.virtual_currency_transactions IS 'The ledger: one row a transaction and currency. Append-only; goes with its profile.';
COMMENT ON COLUMN adapty.virtual_currency_transactions.transaction_id IS 'In the order of time.';
COMMENT ON COLUMN adapty.virtual_currency_transactions.balance_after IS 'The user''s balance of the currency after this transaction.';
COMMENT ON COLUMN adapty.virtual_currency_transactions.is_expiring IS 'Credited by a product whose link expires.';
COMMENT ON COLUMN adapty.virtual_currency_transactions.source_id IS 'The store''s transaction behind it, "store:transaction id": each credits, expires and refunds once.';

SELECT pg_catalog.pg_extension_config_dump('adapty.virtual_currencies', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.virtual_currency_products', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.virtual_currency_balances', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.virtual_currency_lots', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.virtual_currency_transactions', '');
