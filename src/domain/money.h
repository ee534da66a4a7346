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

#endif							/* ADAPTY_MONEY_H */
