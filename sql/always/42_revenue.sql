-- Revenue: exchange rates, commissions, taxes, and what is left of each payment.
CREATE OR REPLACE FUNCTION adapty.set_currency_rate(
        currency_code text, units_per_usd numeric, valid_from timestamptz DEFAULT now())
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_set_currency_rate';
COMMENT ON FUNCTION adapty.set_currency_rate(text, numeric, timestamptz) IS
    'Says how many units of a currency one US dollar is worth from a moment on; null takes that row away. Transactions that are recorded already keep their amounts: apply_currency_rates() fills in those that had no rate.';
REVOKE ALL ON FUNCTION adapty.set_currency_rate(text, numeric, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.set_currency_rate(text, numeric, timestamptz) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.set_store_commission(
        store text, commission_rate numeric, after_first_year numeric DEFAULT NULL,
        purchase_type adapty.purchase_type DEFAULT NULL, country text DEFAULT NULL,
        valid_from timestamptz DEFAULT '-infinity')
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_set_store_commission';
COMMENT ON FUNCTION adapty.set_store_commission(text, numeric, numeric, adapty.purchase_type, text, timestamptz) IS
    'Says what a store keeps of purchases made from a moment on: 0.15 is 15 percent; null takes that row away. after_first_year is the rate of payments after a year of uninterrupted subscription, null for the same. Transactions that are recorded already keep theirs.';
REVOKE ALL ON FUNCTION adapty.set_store_commission(text, numeric, numeric, adapty.purchase_type, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.set_store_commission(text, numeric, numeric, adapty.purchase_type, text, timestamptz) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.set_tax_rate(
        country text, tax_rate numeric, store text DEFAULT NULL, valid_from timestamptz DEFAULT '-infinity')
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_set_tax_rate';
COMMENT ON FUNCTION adapty.set_tax_rate(text, numeric, text, timestamptz) IS
    'Says which tax prices of a country contain, for purchases made from a moment on: 0.19 is 19 percent; null takes that row away. Without store it holds for all stores. Transactions that are recorded already keep theirs.';
REVOKE ALL ON FUNCTION adapty.set_tax_rate(text, numeric, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.set_tax_rate(text, numeric, text, timestamptz) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.revenue_rates(
        store text, purchase_type adapty.purchase_type, country text, currency_code text,
        purchased_at timestamptz DEFAULT now(), is_after_first_year boolean DEFAULT false,
        OUT units_per_usd numeric, OUT commission_rate numeric, OUT tax_rate numeric)
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'adapty_revenue_rates';
COMMENT ON FUNCTION adapty.revenue_rates(text, adapty.purchase_type, text, text, timestamptz, boolean) IS
    'The rates that a purchase gets if it is recorded now. units_per_usd is null if no rate of the currency is known for that moment.';
REVOKE ALL ON FUNCTION adapty.revenue_rates(text, adapty.purchase_type, text, text, timestamptz, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.revenue_rates(text, adapty.purchase_type, text, text, timestamptz, boolean) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.apply_currency_rates() RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_apply_currency_rates';
COMMENT ON FUNCTION adapty.apply_currency_rates() IS
    'Fills in what transactions lack: price_usd where a rate of the moment of purchase is known now, commission and tax where they were loaded without. Amounts that are there stay. Brings total_revenue_usd of the profiles up to date and returns how many transactions changed.';
REVOKE ALL ON FUNCTION adapty.apply_currency_rates() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.apply_currency_rates() TO adapty_server;

-- Each payment with what is left of it. Amounts of six decimals; what is not known is null.
CREATE OR REPLACE VIEW adapty.transaction_revenue AS
SELECT t.profile_id, t.store, t.store_transaction_id, t.store_original_transaction_id, t.purchase_type,
    t.product_id, t.environment, t.purchased_at, t.refunded_at,
    t.price_country AS country, t.price_currency AS currency,
    t.commission_rate, t.tax_rate, t.is_after_first_year,
    NOT t.is_family_shared AND t.environment = 'Production' AND t.offer_type IS DISTINCT FROM 'free_trial' AS is_revenue,
    t.price_value AS price_local, l.proceeds AS proceeds_local, l.tax AS tax_amount_local, trim_scale(l.proceeds - l.tax) AS net_revenue_local,
    t.price_usd, u.proceeds AS proceeds_usd, u.tax AS tax_amount_usd, trim_scale(u.proceeds - u.tax) AS net_revenue_usd
FROM adapty.transactions t
CROSS JOIN LATERAL (
    SELECT trim_scale(round(t.price_value * (1 - t.commission_rate), 6)),
           trim_scale(round(t.price_value * (1 - t.commission_rate) * t.tax_rate / (1 + t.tax_rate), 6))) AS l (proceeds, tax)
CROSS JOIN LATERAL (
    SELECT trim_scale(round(t.price_usd * (1 - t.commission_rate), 6)),
           trim_scale(round(t.price_usd * (1 - t.commission_rate) * t.tax_rate / (1 + t.tax_rate), 6))) AS u (proceeds, tax);
COMMENT ON VIEW adapty.transaction_revenue IS
    'Each transaction with its amounts in local currency and in US dollars: the price, what the store leaves (proceeds), the tax in that, and the net revenue without it. is_revenue: not a trial, not Sandbox, not family-shared; refunded ones have refunded_at.';
REVOKE ALL ON adapty.transaction_revenue FROM PUBLIC;
GRANT SELECT ON adapty.transaction_revenue TO adapty_server, adapty_analyst;
GRANT SELECT ON adapty.currency_rates, adapty.store_commissions, adapty.tax_rates TO adapty_server, adapty_analyst;
