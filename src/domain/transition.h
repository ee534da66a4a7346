/*
 * transition.h
 *		What falls due: announcing that intervals began and ended.
 */
#ifndef ADAPTY_TRANSITION_H
#define ADAPTY_TRANSITION_H

#include "postgres.h"

#include "datatype/timestamp.h"

typedef struct DueResult
{
	int64		processed;		/* grants whose transition was announced */
	int64		locked;			/* grants left because somebody holds their profile */
	int64		failed;			/* grants set aside after an error (careful mode) */
	int64		max_lateness;	/* microseconds from the due moment to its announcement */
	int64		total_lateness; /* the same, summed over the processed */
	TimestampTz next_due;		/* of what is left, DT_NOEND if nothing; may be in the past */
} DueResult;

/*
 * Announces up to max_rows due transitions in the caller's transaction, oldest first; profiles that
 * somebody else has locked are left for later.  In careful mode every user is done in a
 * subtransaction of its own: one that fails is logged as a warning and set aside for a while in
 * this process, and the rest goes on.
 */
extern void process_due_batch(int max_rows, bool careful, DueResult *result);

/*
 * Daily work in small steps, each in the caller's transaction: partitions of events ahead of time,
 * retention of events and idempotency keys.  Returns true if there is more to do right now.
 * *too_early says that the database holds no profiles yet, and partitions are made once it does.
 */
extern bool process_maintenance(bool *too_early);

#endif							/* ADAPTY_TRANSITION_H */
