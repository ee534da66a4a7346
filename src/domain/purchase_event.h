/*
 * purchase_event.h
 *		Events of purchases: what subscription.c and transaction.c decided, made into rows.
 */
#ifndef ADAPTY_PURCHASE_EVENT_H
#define ADAPTY_PURCHASE_EVENT_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "domain/subscription.h"
#include "utils/uuid.h"

/* Where events come from: the transaction that they are about, and who made it known. */
typedef struct PurchaseEventSource
{
	const pg_uuid_t *profile_id;
	const char *store;
	const char *store_transaction_id;
	const char *cancellation_reason;	/* NULL takes the transaction's own */
	const char *actor;			/* NULL if nobody did, but the clock */
	const char *reason;			/* NULL for none */
} PurchaseEventSource;

/*
 * Writes events about one transaction, which must be stored, with the facts of this moment: which
 * product, what price, until when, why cancelled.  Inside an open scope.
 */
extern void purchase_events_write(const PurchaseEventSource *source, const ChainEvent *events, int n);

/* "store:id": how grants and events refer to a purchase, and back; false if it is no such text. */
extern char *purchase_source_id(const char *store, const char *id);
extern bool purchase_source_id_split(const char *source_id, char **store, char **id);

#endif							/* ADAPTY_PURCHASE_EVENT_H */
