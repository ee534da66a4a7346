/*
 * transaction.h
 *		What was bought: the only writer of transactions.
 */
#ifndef ADAPTY_TRANSACTION_H
#define ADAPTY_TRANSACTION_H

#include "postgres.h"

#include "domain/grant.h"
#include "domain/transaction_report.h"

/*
 * Records a report of a transaction for a profile, or for nobody (NULL): it is kept under the nil
 * profile_id until a profile for which it is reported claims it.  The report is what
 * transaction_report_read() made; its reported_at may be set.  false if there is no such profile.
 * Inside an open scope.
 */
extern bool transaction_record(const pg_uuid_t *reporter, const TransactionReport *report,
							   const char *actor);

/*
 * Marks the newest transaction behind a store's grant (source subscription or one_time_purchase)
 * refunded at a moment, ends the access that it gives then, and writes the refund's event.  Nothing
 * but the end of access for a grant with no transaction behind it.  The profile must be locked and
 * a scope open.
 */
extern void transaction_refund(const LockedProfile *profile, const AccessGrant *grant, TimestampTz at,
							   const char *actor, const char *reason);

#endif							/* ADAPTY_TRANSACTION_H */
