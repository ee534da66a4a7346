/*
 * event_partition.h
 *		Partitions of events: made ahead of time, dropped when they are too old.
 */
#ifndef ADAPTY_EVENT_PARTITION_H
#define ADAPTY_EVENT_PARTITION_H

#include "postgres.h"

/*
 * One step of the maintenance of events, in the caller's transaction, with an open scope: makes one
 * monthly partition, drops one that retention has passed, or deletes some old rows of the default
 * partition.  Returns true if there may be more to do right now; *too_early: see process_maintenance().
 */
extern bool event_partition_maintain(bool *too_early);

/* Is retention deleting events now (so that the append-only trigger lets it)? */
extern bool event_retention_active(void);

#endif							/* ADAPTY_EVENT_PARTITION_H */
