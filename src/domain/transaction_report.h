/*
 * transaction_report.h
 *		A transaction as it is reported: the API's two request objects, read and checked.
 */
#ifndef ADAPTY_TRANSACTION_REPORT_H
#define ADAPTY_TRANSACTION_REPORT_H

#include "postgres.h"

#include "domain/lifecycle.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

/* Strings that may be NULL say so; times that are not there are NO_TIME. */
typedef struct TransactionReport
{
	bool		is_subscription;
	bool		is_family_shared;
	const char *environment;
	char	   *store;
	char	   *store_product_id;
	char	   *store_base_plan_id; /* "" for none */
	char	   *store_transaction_id;
	char	   *store_original_transaction_id;
	char	   *price_country;
	char	   *price_currency;
	Numeric		price_value;
	char	   *variation_id;	/* or NULL, as all that follow */
	const char *offer_category;
	const char *offer_type;
	char	   *offer_id;
	const char *cancellation_reason;
	TimestampTz originally_purchased_at;	/* purchased_at of a one-time purchase */
	TimestampTz reported_at;	/* the moment of the store's state, or NO_TIME */
	ChainTransaction times;		/* of a one-time purchase only purchased_at and refunded_at */
} TransactionReport;

/*
 * Reads and checks everything that can be checked without a table; the result is in the current
 * memory context.  ERROR (22023) naming the field for anything that is missing, unknown, or not what
 * it must be.
 */
extern TransactionReport *transaction_report_read(Jsonb *transaction);

/* Fills in what follows from other fields: is_trial, has_given_up, is_upgraded. */
extern void transaction_report_derive(TransactionReport *report);

/*
 * Merges a report with what is known of the same transaction, so that the result does not depend on
 * the order in which reports arrive.  See the file's header for the rules.
 */
extern TransactionReport *transaction_report_merge(const TransactionReport *known,
												   const TransactionReport *report);

/* Is nothing new in a merged report? */
extern bool transaction_report_equal(const TransactionReport *a, const TransactionReport *b);

#endif							/* ADAPTY_TRANSACTION_REPORT_H */
