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

#endif							/* ADAPTY_INGEST_APPLY_H */
