/*
 * money.h
 *		What a payment is worth: dollars, the store's part, the tax.
 */
#ifndef ADAPTY_MONEY_H
#define ADAPTY_MONEY_H

#include "postgres.h"

#include "domain/subscription.h"
#include "domain/transaction_report.h"
#include "utils/numeric.h"
#include "utils/uuid.h"

/*
 * Of a row t of transactions: does it count in total_revenue_usd?  Revenue is what was paid: not what
 * was refunded, not a trial's price that is charged later, not the store's test environment, not what
 * somebody else of the family paid for.
 */
#define IS_REVENUE \
	"t.refunded_at IS NULL AND t.offer_type IS DISTINCT FROM 'free_trial'::adapty.offer_type " \
	"AND t.environment OPERATOR(pg_catalog.=) 'Production'::adapty.environment AND NOT t.is_family_shared"

/* ---- the rates of a purchase, as SQL: of one in money.c, of all of an import in import_chain.c ---- */

/* The latest rate of a currency that is not later than a moment; null if there is none. */
#define UNITS_PER_USD(currency, at) \
	"(SELECT r.units_per_usd FROM adapty.currency_rates r WHERE r.currency_code = " currency \
	" AND r.valid_from <= " at " ORDER BY r.valid_from DESC LIMIT 1)"

/* A price in dollars; nothing is nothing in every currency. */
#define PRICE_USD(price, currency, at) \
	"CASE WHEN " currency " = 'USD' OR " price " = 0 THEN " price \
	" ELSE trim_scale(round(" price " / " UNITS_PER_USD(currency, at) ", 6)) END"

/*
 * What a store keeps: the setting that names most, else the published standard rate of the two big
 * stores (Google has taken 15 percent of subscriptions since 2022, Apple takes less after a year),
 * else nothing: what other stores cost is for their owners to say.
 */
#define COMMISSION_RATE(store, purchase_type, country, at, is_after_first_year) \
	"COALESCE((SELECT CASE WHEN " is_after_first_year \
	"        THEN COALESCE(c.commission_rate_after_first_year, c.commission_rate) ELSE c.commission_rate END " \
	"    FROM adapty.store_commissions c WHERE c.store = " store \
	"    AND (c.purchase_type IS NULL OR c.purchase_type = " purchase_type ") " \
	"    AND (c.country IS NULL OR c.country = " country ") AND c.valid_from <= " at \
	"    ORDER BY c.country IS NULL, c.purchase_type IS NULL, c.valid_from DESC LIMIT 1), " \
	"    CASE " store " WHEN 'app_store' THEN CASE WHEN " is_after_first_year " THEN 0.15 ELSE 0.3 END " \
	"    WHEN 'play_store' THEN CASE WHEN " is_after_first_year " OR (" purchase_type \
	" = 'subscription'::adapty.purchase_type AND " at " >= '2022-01-01 00:00:00+00') THEN 0.15 ELSE 0.3 END " \
	"    ELSE 0 END)"

/* The tax that a price contains; none where none is set. */
#define TAX_RATE(store, country, at) \
	"COALESCE((SELECT x.tax_rate FROM adapty.tax_rates x WHERE x.country = " country \
	"    AND (x.store IS NULL OR x.store = " store ") AND x.valid_from <= " at \
	"    ORDER BY x.store IS NULL, x.valid_from DESC LIMIT 1), 0)"

/*
 * For each transaction of chains whether it is paid after a year of uninterrupted subscription.  The
 * year begins with the first payment, of a chain whose first transactions are not known with its
 * originally_purchased_at; it begins anew after a gap of more than 60 days, as stores count it.
 */
#define CHAIN "PARTITION BY profile_id, store, store_original_transaction_id"
#define FIRST_YEARS(transactions) \
	"SELECT profile_id, store, store_original_transaction_id, store_transaction_id, NOT is_trial AND " \
	"    purchased_at >= (CASE WHEN run > 0 OR bool_or(is_trial AND is_first) OVER run " \
	"            THEN min(purchased_at) FILTER (WHERE NOT is_trial) OVER run " \
	"        ELSE LEAST(min(purchased_at) OVER run, min(originally_purchased_at) OVER run) END " \
	"        AT TIME ZONE 'UTC' + interval '1 year') AT TIME ZONE 'UTC' AS is_after_first_year " \
	"FROM (SELECT *, count(*) FILTER (WHERE is_break) OVER (" CHAIN " ORDER BY purchased_at, ends_at) AS run " \
	"    FROM (SELECT *, lag(ends_at) OVER (" CHAIN " ORDER BY purchased_at, ends_at) IS NULL AS is_first, " \
	"            lag(ends_at) OVER (" CHAIN " ORDER BY purchased_at, ends_at) + interval '1440 hours' " \
	"                < purchased_at AS is_break " \
	"        FROM (" transactions ") all_of_chain) with_breaks) with_runs " \
	"WINDOW run AS (" CHAIN ", run)"

/* The amounts that are fixed on a transaction when it is recorded. */
typedef struct Money
{
	Numeric		price_usd;		/* NULL: no rate is known */
	Numeric		commission_rate;
	Numeric		tax_rate;
	bool		is_after_first_year;
} Money;

/*
 * What a transaction of a profile is worth by the rates of its purchased_at; in the current memory
 * context.  WARNING if no rate of its currency is known.  Inside an open scope.
 */
extern void money_of(const pg_uuid_t *profile_id, const TransactionReport *t, Money *money);

/*
 * A transaction that is not the chain's newest was recorded or changed: payments after it may be
 * after the first year now, or no longer.  Inside an open scope.
 */
extern void money_chain_changed(const Chain *chain);

/* May a payment be after its chain's first year?  Of most it is known without a look at the chain. */
extern bool may_be_after_first_year(const ChainTransaction *times, TimestampTz originally_purchased_at);

#endif							/* ADAPTY_MONEY_H */
