/*
 * transaction_row.h
 *		Rows of transactions: transaction.c's inner interface to its table.
 */
#ifndef ADAPTY_TRANSACTION_ROW_H
#define ADAPTY_TRANSACTION_ROW_H

#include "postgres.h"

#include "domain/subscription.h"
#include "domain/transaction_report.h"
#include "utils/uuid.h"

/* A transaction as it is stored. */
typedef struct StoredTransaction
{
	bool		exists;
	pg_uuid_t	profile_id;		/* nil: nobody's */
	pg_uuid_t	product_id;
	bool		is_mapped;		/* product_id is set */
	TransactionReport report;
} StoredTransaction;

/*
 * What is known of a reported purchase, whoever it is of: the transaction, and of a subscription its
 * chain.  As all here: inside an open scope; strings are in the current memory context.
 */
extern void purchase_load(const TransactionReport *report, StoredTransaction *known, Chain *chain);

/* Stores a new transaction; false if it is there already. */
extern bool transaction_insert(const pg_uuid_t *profile_id, const TransactionReport *t,
							   const pg_uuid_t *product_id);

/* Stores a known transaction as a merged report has it. */
extern void transaction_update(const pg_uuid_t *profile_id, const TransactionReport *t,
							   const pg_uuid_t *product_id);

/*
 * Makes what nobody owned a profile's: one transaction, or with its chain all of it.  False if
 * somebody else did so first.
 */
extern bool transaction_claim(const pg_uuid_t *profile_id, const TransactionReport *t);

/* Forgets a purchase that is nobody's, with its chain all of it, as if it had not been reported. */
extern void transaction_forget_nobodys(const TransactionReport *t);

/* Marks a transaction refunded at a moment; false if it is so already. */
extern bool transaction_mark_refunded(const pg_uuid_t *profile_id, const char *store,
									  const char *store_transaction_id, TimestampTz at);

#endif							/* ADAPTY_TRANSACTION_ROW_H */
