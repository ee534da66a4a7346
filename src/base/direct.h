/*
 * direct.h
 *		The extension's own tables, read and written without the executor.
 *
 * For paths that are called once a row of somebody's statement: an index look-up here costs what it
 * costs inside a nested loop, and an insert or update what it costs inside ModifyTable.  It works
 * only while a table is a plain local heap table with nobody else's triggers; callers must have a
 * path by SPI for when direct_attach() says no.
 */
#ifndef ADAPTY_DIRECT_H
#define ADAPTY_DIRECT_H

#include "postgres.h"

#include "access/skey.h"
#include "access/tableam.h"
#include "executor/tuptable.h"
#include "nodes/lockoptions.h"
#include "utils/snapshot.h"

#include "base/ext_state.h"

typedef struct DirectScan DirectScan;

/* What a caller needs of a table; kinds may be or-ed. */
#define DIRECT_READ		0x01
#define DIRECT_WRITE	0x02

/*
 * Makes a table ready for direct use until "owner" is reset or deleted, the transaction ends, or
 * the statement's subtransaction aborts; call at the start of every function, it is cheap when the
 * table is open already.  owner is normally flinfo->fn_mcxt, so that all calls of one statement
 * share what is open.  false: use SPI.  Locks are kept until the end of the transaction.
 */
extern bool direct_attach(MemoryContext owner, AdaptyTable table, int kind);

/* Closes all that is attached: before DDL on our own tables.  Attach again to go on. */
extern void direct_detach(void);

/* The owner for direct_attach() of a function call. */
#define direct_owner(fcinfo) \
	((fcinfo)->flinfo != NULL ? (fcinfo)->flinfo->fn_mcxt : CurrentMemoryContext)

/*
 * Begins a look-up by equality on the first nkeys columns of an index of an attached table.
 * A second look-up on the same index ends the first.  The slot of direct_next() is valid until the
 * next call; direct_end() must follow, and lets go of what is pinned.
 */
extern DirectScan *direct_begin(AdaptyIndex index, const Datum *keys, int nkeys, Snapshot snapshot);

/* The same for "first column <= key", in ascending order. */
extern DirectScan *direct_begin_up_to(AdaptyIndex index, Datum key, Snapshot snapshot);
extern TupleTableSlot *direct_next(DirectScan *scan);

/* Is the row that direct_next() returned last visible to another snapshot? */
extern bool direct_visible(DirectScan *scan, Snapshot snapshot);
extern void direct_end(DirectScan *scan);

/*
 * Locks the row at *tid as FOR NO KEY UPDATE does and stores its newest version in the scan's slot;
 * *tid becomes that version's.
 */
extern TM_Result direct_lock(AdaptyTable table, ItemPointer tid, Snapshot snapshot,
							 LockWaitPolicy wait_policy, TupleTableSlot **slot);

/* Inserts a row with its index entries; *tid (if not NULL) is where it went. */
extern void direct_insert(AdaptyTable table, Datum *values, bool *nulls, ItemPointer tid);

/*
 * Inserts n rows, each of all the columns of a table in order (direct_natts() of them), as COPY
 * does: a page at a time.  Foreign keys are not looked at; the caller sees to what they say.
 */
extern void direct_insert_many(AdaptyTable table, Datum *values, bool *nulls, int n);
extern int	direct_natts(AdaptyTable table);

/*
 * Replaces the row at *tid, waiting for a concurrent change; *tid becomes the new version's.
 * Returns TM_Ok, or TM_Updated / TM_Deleted if somebody else changed it first.
 */
extern TM_Result direct_update(AdaptyTable table, ItemPointer tid, Datum *values, bool *nulls);

/*
 * Inserts rows into the partition of events that holds the times from "earliest" to "latest";
 * false, and nothing done, if that is not one partition or it is not fit for direct use.  values
 * and nulls are arrays of n rows of natts columns each.
 */
extern bool direct_insert_events(MemoryContext owner, TimestampTz earliest, TimestampTz latest,
								 Datum *values, bool *nulls, int n, int natts);

#endif							/* ADAPTY_DIRECT_H */
