/*
 * transaction.h
 *		What was bought: the only writer of transactions.
 */
#ifndef ADAPTY_TRANSACTION_H
#define ADAPTY_TRANSACTION_H

#include "postgres.h"

#include "domain/grant.h"

/*
 * Marks the newest transaction behind a store's grant (source subscription or one_time_purchase)
 * refunded at a moment, ends the access that it gives then, and writes the refund's event.  Nothing
 * but the end of access for a grant with no transaction behind it.  The profile must be locked and
 * a scope open.
 */
extern void transaction_refund(const LockedProfile *profile, const AccessGrant *grant, TimestampTz at,
							   const char *actor, const char *reason);

#endif							/* ADAPTY_TRANSACTION_H */
