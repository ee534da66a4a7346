-- What money is worth and who else takes of it. Amounts are fixed on the transaction when it is
-- recorded: changing a row here changes what is recorded from then on, never the past.
CREATE TABLE adapty.currency_rates (
    currency_code adapty.currency_code NOT NULL
        CONSTRAINT currency_rates_currency_code_check CHECK (currency_code <> 'USD'),
    valid_from    timestamptz NOT NULL,
    units_per_usd numeric NOT NULL
        CONSTRAINT currency_rates_units_per_usd_check CHECK (units_per_usd > 0 AND units_per_usd < 1e12),
    PRIMARY KEY (currency_code, valid_from)
);
COMMENT ON TABLE adapty.currency_rates IS 'Exchange rates, loaded by you: by set_currency_rate(), INSERT or COPY. A purchase takes the latest rate that is not later than it.';
COMMENT ON COLUMN adapty.currency_rates.valid_from IS 'From when the rate holds, until the next one of the currency.';
COMMENT ON COLUMN adapty.currency_rates.units_per_usd IS 'How many units one US dollar is worth: 0.92 for EUR if 0.92 euros buy a dollar.';

CREATE TABLE adapty.store_commissions (
    valid_from                        timestamptz NOT NULL DEFAULT '-infinity',
    purchase_type                     adapty.purchase_type,
    store                             adapty.store NOT NULL,
    country                           adapty.country_code,
    commission_rate                   numeric NOT NULL
        CONSTRAINT store_commissions_commission_rate_check CHECK (commission_rate BETWEEN 0 AND 1),
    commission_rate_after_first_year  numeric
        CONSTRAINT store_commissions_after_first_year_check CHECK (commission_rate_after_first_year BETWEEN 0 AND 1),
    CONSTRAINT store_commissions_key UNIQUE NULLS NOT DISTINCT (store, purchase_type, country, valid_from)
);
COMMENT ON TABLE adapty.store_commissions IS 'What stores keep of a price, where it is not the built-in rate of store_commission(). Written by set_store_commission().';
COMMENT ON COLUMN adapty.store_commissions.valid_from IS 'For purchases from then on, until the next row of the same kind.';
COMMENT ON COLUMN adapty.store_commissions.purchase_type IS 'Null for both kinds; a row of the kind itself comes first.';
COMMENT ON COLUMN adapty.store_commissions.country IS 'Country of the price; null for all. A row of the country comes first.';
COMMENT ON COLUMN adapty.store_commissions.commission_rate IS '0.15 is 15 percent of the price.';
COMMENT ON COLUMN adapty.store_commissions.commission_rate_after_first_year IS 'Of payments after a year of uninterrupted subscription; null for the same.';

CREATE TABLE adapty.tax_rates (
    valid_from timestamptz NOT NULL DEFAULT '-infinity',
    country    adapty.country_code NOT NULL,
    store      adapty.store,
    tax_rate   numeric NOT NULL CONSTRAINT tax_rates_tax_rate_check CHECK (tax_rate BETWEEN 0 AND 1),
    CONSTRAINT tax_rates_key UNIQUE NULLS NOT DISTINCT (country, store, valid_from)
);
COMMENT ON TABLE adapty.tax_rates IS 'Value added tax that prices contain, by country. Without a row there is none. Written by set_tax_rate().';
COMMENT ON COLUMN adapty.tax_rates.valid_from IS 'For purchases from then on, until the next row of the country and store.';
COMMENT ON COLUMN adapty.tax_rates.country IS 'Country of the price.';
COMMENT ON COLUMN adapty.tax_rates.store IS 'Null for all stores; a row of the store itself comes first.';
COMMENT ON COLUMN adapty.tax_rates.tax_rate IS '0.19 is 19 percent on top of the price without tax.';

SELECT pg_catalog.pg_extension_config_dump('adapty.currency_rates', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.store_commissions', '');
SELECT pg_catalog.pg_extension_config_dump('adapty.tax_rates', '');
