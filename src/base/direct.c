/*
 * direct.c
 *		The extension's own tables, read and written without the executor.
 *
 * What is open is kept for the length of the calling statement: relations, index scans and the
 * structures that index insertion wants cost more to make than one look-up or one insert does.
 * Ownership, which is what can go wrong here:
 *
 * - Relation references are taken under TopTransactionResourceOwner, so that they outlive the
 *	 portal in which they happened to be taken.  They are given back by a reset callback on the
 *	 owner's memory context (the statement's end), or before commit.
 * - When a (sub)transaction aborts, our slots and scans may believe in buffer pins that go with it;
 *	 so everything is abandoned without touching buffers, and opened again when needed.  Once the
 *	 transaction's resource owner has released the rest, a generation number tells that there is
 *	 nothing left to give back.
 * - Between calls nothing is pinned: direct_end() lets go of the heap and index pages.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/nbtree.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/direct.h"
#include "base/guc.h"

#define MAX_KEYS 2
#define MAX_BATCH_SLOTS 256

/* Columns that the C code knows of; a table with others is left to SPI. */
static const int expected_natts[N_TABLES] = {
	[TABLE_ACCESS_LEVELS] = 3,
	[TABLE_PROFILES] = 21,
	[TABLE_IDENTITIES] = 2,
	[TABLE_ACCESS_GRANTS] = 14,
	[TABLE_AB_TEST_ASSIGNMENTS] = 5,
	[TABLE_PAYWALL_REQUESTS] = 2,
	[TABLE_PAYWALL_VIEWS] = 3,
	[TABLE_EVENTS] = 17,
	[TABLE_TRANSACTIONS] = 36,
};

/*
 * CHECK constraints of the tables that are written, all of which the C code sees to itself; a table
 * with others is left to SPI.
 */
static const int expected_checks[N_TABLES] = {
	[TABLE_ACCESS_GRANTS] = 3,
	[TABLE_TRANSACTIONS] = 8,
};

static const AdaptyTable index_table[N_INDEXES] = {
	[INDEX_ACCESS_LEVELS_PKEY] = TABLE_ACCESS_LEVELS,
	[INDEX_PROFILES_PKEY] = TABLE_PROFILES,
	[INDEX_IDENTITIES_PKEY] = TABLE_IDENTITIES,
	[INDEX_ACCESS_GRANTS_PKEY] = TABLE_ACCESS_GRANTS,
	[INDEX_ACCESS_GRANTS_DUE] = TABLE_ACCESS_GRANTS,
	[INDEX_AB_TEST_ASSIGNMENTS_PKEY] = TABLE_AB_TEST_ASSIGNMENTS,
	[INDEX_PAYWALL_REQUESTS_PKEY] = TABLE_PAYWALL_REQUESTS,
};

/* A relation that is open, for writing too if "rri" is set. */
typedef struct DirectTable
{
	Relation	rel;
	TupleTableSlot *slot;		/* of rows being written or locked */
	EState	   *estate;			/* for the predicates and expressions of indexes */
	ResultRelInfo *rri;
	TupleTableSlot **batch;		/* MAX_BATCH_SLOTS of rows being written together, made when needed */
} DirectTable;

struct DirectScan
{
	Relation	index;
	IndexScanDesc desc;
	TupleTableSlot *slot;
	ScanKeyData keys[MAX_KEYS];
};

typedef struct DirectState
{
	bool		open;
	uint64		generation;		/* counts aborts */
	MemoryContext context;		/* a child of the owner's */
	DirectTable tables[N_TABLES];
	DirectTable partition;		/* the partition of events used last */
	Oid			unusable[N_TABLES]; /* found unfit to be written: do not look again */
	DirectScan	scans[N_INDEXES];
} DirectState;

/* Handed to the reset callback: which state it was that the context owned. */
typedef struct DirectOwner
{
	MemoryContextCallback callback;
	uint64		generation;
} DirectOwner;

static DirectState state;
static bool callbacks_registered = false;

/* Gives back what a table holds open. */
static void
table_release(DirectTable *table)
{
	if (table->rel == NULL)
		return;
	/* The executor state is memory alone; the context may have lost it before us. */
	if (table->rri != NULL)
		ExecCloseIndices(table->rri);
	table_close(table->rel, NoLock);
	memset(table, 0, sizeof(*table));
}

/* See direct.h.  Nothing is pinned here, and the locks stay until the transaction's end. */
void
direct_detach(void)
{
	ResourceOwner caller = CurrentResourceOwner;

	if (!state.open)
		return;
	state.open = false;
	state.generation++;
	CurrentResourceOwner = TopTransactionResourceOwner;
	for (int i = 0; i < N_INDEXES; i++)
	{
		DirectScan *scan = &state.scans[i];

		if (scan->desc == NULL)
			continue;
		index_endscan(scan->desc);
		index_close(scan->index, NoLock);
	}
	for (int i = 0; i < N_TABLES; i++)
		table_release(&state.tables[i]);
	table_release(&state.partition);
	CurrentResourceOwner = caller;
}

/*
 * Forgets slots and scans that may point to pins that are about to be released, and gives back the
 * relations, which belong to the transaction and stay referenced otherwise.
 */
static void
direct_abandon(void)
{
	ResourceOwner caller = CurrentResourceOwner;

	if (!state.open)
		return;
	state.open = false;
	state.generation++;
	CurrentResourceOwner = TopTransactionResourceOwner;
	for (int i = 0; i < N_INDEXES; i++)
	{
		DirectScan *scan = &state.scans[i];

		if (scan->desc == NULL)
			continue;
		RelationDecrementReferenceCount(scan->desc->indexRelation);
		index_close(scan->index, NoLock);
	}
	for (int i = 0; i <= N_TABLES; i++)
	{
		DirectTable *table = i < N_TABLES ? &state.tables[i] : &state.partition;

		if (table->rel == NULL)
			continue;
		if (table->rri != NULL)
			ExecCloseIndices(table->rri);
		table_close(table->rel, NoLock);
	}
	CurrentResourceOwner = caller;
}

/*
 * The owner's context goes, at the statement's end or because it failed: the portals of a failed
 * (sub)transaction lose their memory before its callbacks and its resource owner's release.
 */
static void
owner_reset(void *arg)
{
	DirectOwner *owner = (DirectOwner *) arg;

	if (!state.open || owner->generation != state.generation)
		return;
	if (IsTransactionState())
		direct_detach();
	else
		direct_abandon();
}

/* Transaction end: close before commit; after an abort the resource owner closes all by itself. */
static void
direct_xact_callback(XactEvent event, void *arg)
{
	(void) arg;
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			direct_detach();
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
			if (state.open)
			{
				state.open = false;
				state.generation++;
			}
			break;
		default:
			break;
	}
}

/* A subtransaction aborts: its pins go. */
static void
direct_subxact_callback(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	(void) mine;
	(void) parent;
	(void) arg;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		direct_abandon();
}

/* Starts a new state whose life is that of "owner". */
static void
direct_open(MemoryContext owner)
{
	uint64		generation = state.generation;
	DirectOwner *handle;

	if (!callbacks_registered)
	{
		RegisterXactCallback(direct_xact_callback, NULL);
		RegisterSubXactCallback(direct_subxact_callback, NULL);
		callbacks_registered = true;
	}
	memset(&state, 0, sizeof(state));
	state.generation = generation + 1;
	state.context = AllocSetContextCreate(owner, "adapty direct access", ALLOCSET_DEFAULT_SIZES);
	handle = MemoryContextAllocZero(state.context, sizeof(DirectOwner));
	handle->generation = state.generation;
	handle->callback.func = owner_reset;
	handle->callback.arg = handle;
	MemoryContextRegisterResetCallback(state.context, &handle->callback);
	state.open = true;
}

/* Is this a plain local table, as the install script made it? */
static bool
relation_is_plain(Relation rel, int natts)
{
	return rel->rd_rel->relkind == RELKIND_RELATION && rel->rd_rel->relam == HEAP_TABLE_AM_OID &&
		RelationGetNumberOfAttributes(rel) == natts;
}

/* Do only our own triggers watch this table?  Others must see what is written, so they get SPI. */
static bool
relation_has_only_our_triggers(Relation rel)
{
	TriggerDesc *triggers = rel->trigdesc;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		Trigger    *trigger = &triggers->triggers[i];

		if (!trigger->tgisinternal && strncmp(trigger->tgname, "adapty_", 7) != 0)
			return false;
	}
	return true;
}

/* Do no rules and no constraints but our own say what may be written?  Others are the executor's work. */
static bool
relation_has_only_our_checks(Relation rel, AdaptyTable which)
{
	TupleConstr *constraints = RelationGetDescr(rel)->constr;

	return !rel->rd_rel->relhasrules &&
		(constraints == NULL ? 0 : constraints->num_check) == expected_checks[which];
}

/* Opens a table (or a partition of it) into a DirectTable; false (closed again) if it does not fit. */
static bool
table_attach(DirectTable *table, Oid relid, AdaptyTable which, int kind)
{
	ResourceOwner caller = CurrentResourceOwner;
	MemoryContext old = MemoryContextSwitchTo(state.context);
	bool		fits = true;

	CurrentResourceOwner = TopTransactionResourceOwner;
	if (table->rel == NULL)
	{
		Relation	rel = table_open(relid, kind & DIRECT_WRITE ? RowExclusiveLock : AccessShareLock);

		fits = relation_is_plain(rel, expected_natts[which]);
		if (fits)
		{
			table->rel = rel;
			/* A copy of the descriptor, so that no reference to it is counted. */
			table->slot = MakeTupleTableSlot(CreateTupleDescCopy(RelationGetDescr(rel)),
											 table_slot_callbacks(rel));
			table->slot->tts_tableOid = relid;
		}
		else
			table_close(rel, NoLock);
	}
	if (fits && (kind & DIRECT_WRITE) && table->rri == NULL)
	{
		/* May have been opened for reading: the lock also keeps new triggers away. */
		LockRelationOid(relid, RowExclusiveLock);
		fits = relation_has_only_our_triggers(table->rel) &&
			relation_has_only_our_checks(table->rel, which);
	}
	if (fits && (kind & DIRECT_WRITE) && table->rri == NULL)
	{
		table->estate = CreateExecutorState();
		table->rri = makeNode(ResultRelInfo);
		InitResultRelInfo(table->rri, table->rel, 0, NULL, 0);
		ExecOpenIndices(table->rri, false);
	}
	CurrentResourceOwner = caller;
	MemoryContextSwitchTo(old);
	return fits;
}

/* See direct.h. */
bool
direct_attach(MemoryContext owner, AdaptyTable table, int kind)
{
	const ExtState *ext = ext_state();
	DirectTable *t = &state.tables[table];

	if (!adapty_direct_access)
		return false;
	if (!state.open)
		direct_open(owner);
	if (t->rel != NULL && RelationGetRelid(t->rel) == ext->tables[table] &&
		(!(kind & DIRECT_WRITE) || t->rri != NULL))
		return true;
	if ((kind & DIRECT_WRITE) && state.unusable[table] == ext->tables[table])
		return false;
	if (table_attach(t, ext->tables[table], table, kind))
		return true;
	if (kind & DIRECT_WRITE)
		state.unusable[table] = ext->tables[table];
	return false;
}

/* The equality function of a key column, by its type. */
static RegProcedure
equality_function(Oid type)
{
	switch (getBaseType(type))
	{
		case UUIDOID:
			return F_UUID_EQ;
		case TEXTOID:
			return F_TEXTEQ;
		case TIMESTAMPTZOID:
			return F_TIMESTAMPTZ_EQ;
		default:
			elog(ERROR, "no equality for keys of type %u", type);
	}
}

/* Opens the scan of an index, once a statement. */
static DirectScan *
scan_open(AdaptyIndex index)
{
	DirectScan *scan = &state.scans[index];
	DirectTable *table = &state.tables[index_table[index]];
	ResourceOwner caller;
	MemoryContext old;

	if (scan->desc != NULL)
		return scan;
	Assert(table->rel != NULL);
	caller = CurrentResourceOwner;
	old = MemoryContextSwitchTo(state.context);
	CurrentResourceOwner = TopTransactionResourceOwner;
	scan->index = index_open(ext_state()->indexes[index], AccessShareLock);
	for (int i = 0; i < MAX_KEYS && i < IndexRelationGetNumberOfKeyAttributes(scan->index); i++)
		ScanKeyEntryInitialize(&scan->keys[i], 0, i + 1, BTEqualStrategyNumber, InvalidOid,
							   scan->index->rd_indcollation[i],
							   equality_function(TupleDescAttr(RelationGetDescr(scan->index), i)->atttypid),
							   (Datum) 0);
	scan->slot = MakeTupleTableSlot(table->slot->tts_tupleDescriptor, table_slot_callbacks(table->rel));
	scan->slot->tts_tableOid = RelationGetRelid(table->rel);
	scan->desc = index_beginscan_compat(table->rel, scan->index, GetActiveSnapshot(), MAX_KEYS, 0);
	CurrentResourceOwner = caller;
	MemoryContextSwitchTo(old);
	return scan;
}

/* Starts a look-up.  In our own context: what an access method allocates lives as long as its scan. */
static void
scan_start(DirectScan *scan, ScanKey keys, int nkeys, Snapshot snapshot)
{
	MemoryContext old = MemoryContextSwitchTo(state.context);

	scan->desc->xs_snapshot = snapshot;
	scan->desc->numberOfKeys = nkeys;
	index_rescan(scan->desc, keys, nkeys, NULL, 0);
	MemoryContextSwitchTo(old);
}

/* See direct.h. */
DirectScan *
direct_begin(AdaptyIndex index, const Datum *keys, int nkeys, Snapshot snapshot)
{
	DirectScan *scan = scan_open(index);

	Assert(nkeys <= MAX_KEYS);
	for (int i = 0; i < nkeys; i++)
		scan->keys[i].sk_argument = keys[i];
	scan_start(scan, scan->keys, nkeys, snapshot);
	return scan;
}

/* See direct.h. */
DirectScan *
direct_begin_up_to(AdaptyIndex index, Datum key, Snapshot snapshot)
{
	DirectScan *scan = scan_open(index);
	ScanKeyData up_to;

	ScanKeyEntryInitialize(&up_to, 0, 1, BTLessEqualStrategyNumber, InvalidOid,
						   scan->index->rd_indcollation[0], F_TIMESTAMPTZ_LE, key);
	scan_start(scan, &up_to, 1, snapshot);
	return scan;
}

/* See direct.h. */
TupleTableSlot *
direct_next(DirectScan *scan)
{
	MemoryContext old = MemoryContextSwitchTo(state.context);
	bool		found = index_getnext_slot(scan->desc, ForwardScanDirection, scan->slot);

	MemoryContextSwitchTo(old);
	return found ? scan->slot : NULL;
}

/* See direct.h. */
bool
direct_visible(DirectScan *scan, Snapshot snapshot)
{
	return table_tuple_satisfies_snapshot(scan->desc->heapRelation, scan->slot, snapshot);
}

/* See direct.h. */
void
direct_end(DirectScan *scan)
{
	ExecClearTuple(scan->slot);
	/* Lets go of the index page and the heap page. */
	index_rescan(scan->desc, NULL, scan->desc->numberOfKeys, NULL, 0);
}

/* See direct.h. */
TM_Result
direct_lock(AdaptyTable table, ItemPointer tid, Snapshot snapshot, LockWaitPolicy wait_policy,
			TupleTableSlot **slot)
{
	DirectTable *t = &state.tables[table];
	TM_FailureData failure;
	uint8		flags = IsolationUsesXactSnapshot() ? 0 : TUPLE_LOCK_FLAG_FIND_LAST_VERSION;
	TM_Result	result;

	result = table_tuple_lock(t->rel, tid, snapshot, t->slot, GetCurrentCommandId(true),
							  LockTupleNoKeyExclusive, wait_policy, flags, &failure);
	*slot = t->slot;
	return result;
}

/* Stores values as a virtual row in the table's slot. */
static TupleTableSlot *
fill_slot(TupleTableSlot *slot, Datum *values, bool *nulls, int natts)
{
	ExecClearTuple(slot);
	memcpy(slot->tts_values, values, natts * sizeof(Datum));
	memcpy(slot->tts_isnull, nulls, natts * sizeof(bool));
	return ExecStoreVirtualTuple(slot);
}

/*
 * Adds the index entries of a stored row.  As the owner, because functions may be called: those of
 * expression indexes, and after an update the one of the generated column, which the server prepares
 * to find out what changed.  The caller need not have the right to either.
 */
static void
insert_index_entries(DirectTable *table, TupleTableSlot *slot, bool update, bool only_summarizing)
{
	Oid			caller;
	int			sec_context;

	(void) only_summarizing;
	if (table->rri->ri_NumIndices == 0)
		return;
	GetUserIdAndSecContext(&caller, &sec_context);
	SetUserIdAndSecContext(ext_state()->owner, sec_context | SECURITY_LOCAL_USERID_CHANGE);
	list_free(exec_insert_index_tuples_compat(table->rri, slot, table->estate, update, false, NULL,
											  NIL, only_summarizing));
	ResetPerTupleExprContext(table->estate);
	SetUserIdAndSecContext(caller, sec_context);
}

/* See direct.h. */
void
direct_insert(AdaptyTable table, Datum *values, bool *nulls, ItemPointer tid)
{
	DirectTable *t = &state.tables[table];
	TupleTableSlot *slot = fill_slot(t->slot, values, nulls, expected_natts[table]);

	table_tuple_insert(t->rel, slot, GetCurrentCommandId(true), 0, NULL);
	insert_index_entries(t, slot, false, false);
	if (tid != NULL)
		*tid = slot->tts_tid;
	ExecClearTuple(slot);
}

/* See direct.h. */
TM_Result
direct_update(AdaptyTable table, ItemPointer tid, Datum *values, bool *nulls)
{
	DirectTable *t = &state.tables[table];
	TupleTableSlot *slot = fill_slot(t->slot, values, nulls, expected_natts[table]);
	TM_FailureData failure;
	LockTupleMode lockmode;
	TU_UpdateIndexes update_indexes;
	TM_Result	result;

	result = table_tuple_update(t->rel, tid, slot, GetCurrentCommandId(true), InvalidSnapshot,
								InvalidSnapshot, true, &failure, &lockmode, &update_indexes);
	if (result == TM_Ok)
	{
		if (update_indexes != TU_None)
			insert_index_entries(t, slot, true, update_is_summarizing(update_indexes));
		*tid = slot->tts_tid;
	}
	ExecClearTuple(slot);
	return result;
}

/* Inserts rows of natts columns each, a page at a time, with their index entries. */
static void
insert_rows(DirectTable *t, Datum *values, bool *nulls, int n, int natts)
{
	CommandId	cid = GetCurrentCommandId(true);

	if (t->batch == NULL)
		t->batch = MemoryContextAllocZero(state.context, MAX_BATCH_SLOTS * sizeof(TupleTableSlot *));
	for (int done = 0; done < n;)
	{
		int			count = Min(n - done, MAX_BATCH_SLOTS);

		for (int i = 0; i < count; i++)
		{
			if (t->batch[i] == NULL)
			{
				MemoryContext old = MemoryContextSwitchTo(state.context);

				t->batch[i] = MakeTupleTableSlot(t->slot->tts_tupleDescriptor, &TTSOpsHeapTuple);
				t->batch[i]->tts_tableOid = RelationGetRelid(t->rel);
				MemoryContextSwitchTo(old);
			}
			fill_slot(t->batch[i], values + (done + i) * natts, nulls + (done + i) * natts, natts);
		}
		table_multi_insert(t->rel, t->batch, count, cid, 0, NULL);
		for (int i = 0; i < count; i++)
		{
			insert_index_entries(t, t->batch[i], false, false);
			ExecClearTuple(t->batch[i]);
		}
		done += count;
	}
}

/* See direct.h. */
int
direct_natts(AdaptyTable table)
{
	return expected_natts[table];
}

/* See direct.h. */
void
direct_insert_many(AdaptyTable table, Datum *values, bool *nulls, int n)
{
	insert_rows(&state.tables[table], values, nulls, n, expected_natts[table]);
}

/* The partition of events for a time; InvalidOid if there is none (never: there is a default). */
static Oid
partition_of(Relation events, TimestampTz recorded_at)
{
	PartitionKey key = RelationGetPartitionKey(events);
	PartitionDesc desc = RelationGetPartitionDesc(events, true);
	PartitionBoundInfo bounds = desc->boundinfo;
	int			index = -1;

	if (bounds != NULL && bounds->ndatums > 0)
	{
		Datum		value = TimestampTzGetDatum(recorded_at);
		bool		equal;
		int			offset = partition_range_datum_bsearch(key->partsupfunc, key->partcollation,
														   bounds, 1, &value, &equal);

		index = bounds->indexes[offset + 1];
	}
	if (index < 0 && bounds != NULL)
		index = bounds->default_index;
	return index < 0 ? InvalidOid : desc->oids[index];
}

/* The one table that rows of these times go to; InvalidOid if there is not just one. */
static Oid
events_target(Relation events, TimestampTz earliest, TimestampTz latest)
{
	Oid			relid;

	if (events->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return RelationGetRelid(events);
	relid = partition_of(events, earliest);
	return latest == earliest || partition_of(events, latest) == relid ? relid : InvalidOid;
}

/*
 * Makes the partition that holds these times ready for writing; false if there is none fit for it.
 * Once it is locked, its bounds cannot change: a partition attached while we waited for the lock
 * shows when the target is looked up again.
 */
static bool
attach_partition(TimestampTz earliest, TimestampTz latest)
{
	DirectTable *events = &state.tables[TABLE_EVENTS];
	Oid			relid;

	if (events->rel == NULL)
	{
		ResourceOwner caller = CurrentResourceOwner;

		CurrentResourceOwner = TopTransactionResourceOwner;
		events->rel = table_open(ext_state()->tables[TABLE_EVENTS], RowExclusiveLock);
		CurrentResourceOwner = caller;
	}
	while (OidIsValid(relid = events_target(events->rel, earliest, latest)))
	{
		/* Open, but only for reading, if others' triggers watch it. */
		if (state.partition.rel != NULL && RelationGetRelid(state.partition.rel) == relid)
			return state.partition.rri != NULL;
		if (state.partition.rel != NULL)
		{
			ResourceOwner caller = CurrentResourceOwner;

			CurrentResourceOwner = TopTransactionResourceOwner;
			table_release(&state.partition);
			CurrentResourceOwner = caller;
		}
		if (!table_attach(&state.partition, relid, TABLE_EVENTS, DIRECT_WRITE))
			return false;
	}
	return false;
}

/* See direct.h. */
bool
direct_insert_events(MemoryContext owner, TimestampTz earliest, TimestampTz latest,
					 Datum *values, bool *nulls, int n, int natts)
{
	DirectTable *t = &state.partition;

	Assert(natts == expected_natts[TABLE_EVENTS]);
	if (!adapty_direct_access)
		return false;
	if (!state.open)
		direct_open(owner);
	if (!attach_partition(earliest, latest))
		return false;
	if (n == 1)
	{
		fill_slot(t->slot, values, nulls, natts);
		table_tuple_insert(t->rel, t->slot, GetCurrentCommandId(true), 0, NULL);
		insert_index_entries(t, t->slot, false, false);
		ExecClearTuple(t->slot);
		return true;
	}
	insert_rows(t, values, nulls, n, natts);
	return true;
}
