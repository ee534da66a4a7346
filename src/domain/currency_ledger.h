/*
 * currency_ledger.h
 *		Balances of virtual currencies and their ledger: the only writer of both.
 */
#ifndef ADAPTY_CURRENCY_LEDGER_H
#define ADAPTY_CURRENCY_LEDGER_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

/* A change of one balance. */
typedef struct CurrencyChange
{
	const char *code;
	const char *name;			/* filled by currency_load(), as the next two */
	int64		balance;		/* before the change, then after it */
	bool		has_lots;		/* some of it expires */
	int64		amount;
	bool		is_expiring;	/* a credit that expires with its cycle */
} CurrencyChange;

/* What the changes of one transaction have in common. */
typedef struct CurrencyTransaction
{
	const pg_uuid_t *profile_id;
	const char *type;			/* of virtual_currency_transaction_type */
	const char *source_id;		/* the store's transaction; NULL for none */
	const char *chain_id;		/* a debit takes from this subscription's lot first; NULL for none */
	bool		leave_lots;		/* a debit of what was a lot and is none any more */
	const char *actor;			/* NULL for none */
	Jsonb	   *metadata;		/* NULL for none */
} CurrencyTransaction;

/* Name and balance of a change's currency; false if there is none of that code. */
extern bool currency_load(const pg_uuid_t *profile_id, CurrencyChange *change);

/*
 * Applies n changes, loaded and checked: balances from 0 to MAX_CURRENCY_BALANCE come out.  The
 * profile must be locked, the scope open.  Sets transaction_id, which ascends in the order of calls.
 */
extern void currency_apply(const CurrencyTransaction *transaction, CurrencyChange *changes, int n,
						   pg_uuid_t *transaction_id);

/* All balances of a profile: an array of {code, name, balance, held, available}. */
extern Jsonb *currency_balances(const pg_uuid_t *profile_id);

#endif							/* ADAPTY_CURRENCY_LEDGER_H */
