/*
 * ingest_apply.h
 *		Whose the facts of an event are, and what is done with them.
 */
#ifndef ADAPTY_INGEST_APPLY_H
#define ADAPTY_INGEST_APPLY_H

#include "postgres.h"

#include "domain/ingest.h"

/*
 * Keeps the facts of an event and reports the transactions that follow.  create_missing: a
 * customer_user_id that nobody has gets a profile.  Inside an open scope.
 */
extern void ingest_apply(IngestFacts *facts, bool create_missing, const char *actor,
						 IngestResult *result);

/*
 * The same for what a store said when it was asked, a list of IngestFacts of one purchase, for a user who
 * claims it: all is kept first, then reported once.  What is another profile's already is reported for
 * this user too: the environment's policy decides, as for set_transaction().
 */
extern void ingest_claim(List *all, const pg_uuid_t *user, const char *actor, IngestResult *result);

#endif							/* ADAPTY_INGEST_APPLY_H */
