/*
 * transition.c
 *		What falls due: announcing that intervals began and ended, in batches.
 *
 * Work is in proportion to what is due: the partial index on next_transition_at is read up to now,
 * oldest first, and nothing else.  The due rows name users and levels; for each, the profile is
 * locked (or left for later if somebody holds it), the level's sources are read anew, settled and
 * stored.  Events of a batch are written together.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/arg.h"
#include "base/clock.h"
#include "base/direct.h"
#include "base/errors.h"
#include "base/guc.h"
#include "base/plans.h"
#include "domain/access.h"
#include "domain/event.h"
#include "domain/event_partition.h"
#include "domain/ingest.h"
#include "domain/grant_row.h"
#include "domain/identity.h"
#include "domain/promo_campaign.h"
#include "domain/settle.h"
#include "domain/subscription_timer.h"
#include "domain/transition.h"
#include "miscadmin.h"

#define EVENTS_PER_WRITE 256
#define SET_ASIDE_FIRST_MS (60 * 1000)
#define SET_ASIDE_MAX_MS (60 * 60 * 1000)
#define KEYS_PER_PURGE 10000

PG_FUNCTION_INFO_V1(adapty_process_due);
PG_FUNCTION_INFO_V1(adapty_maintain);

/* A user's level that has something due. */
typedef struct DueGroup
{
	pg_uuid_t	profile_id;
	TimestampTz due;			/* the earliest of its grants, real clock */
	char	   *access_level_id;
} DueGroup;

/* A batch at work. */
typedef struct DueBatch
{
	DueGroup   *groups;
	int			n;
	int			rows;			/* index entries read: may be more than groups */
	EventList	events;			/* not yet written */
	DueResult  *result;
} DueBatch;

/* A user that failed, and when to try again. */
typedef struct SetAside
{
	pg_uuid_t	profile_id;		/* hash key */
	TimestampTz retry_at;
	int			delay_ms;
} SetAside;

static HTAB *set_aside = NULL;

static SavedPlan select_due = {
	"select due grants",
	"SELECT profile_id, next_transition_at, access_level_id::pg_catalog.text FROM adapty.access_grants"
	" WHERE next_transition_at <= $1 ORDER BY next_transition_at LIMIT $2",
	SPI_OK_SELECT, 2, {TIMESTAMPTZOID, INT8OID}, NULL, InvalidOid
};

static SavedPlan select_next_due = {
	"select next due",
	"SELECT next_transition_at FROM adapty.access_grants WHERE next_transition_at IS NOT NULL"
	" ORDER BY next_transition_at LIMIT 1",
	SPI_OK_SELECT, 0, {0}, NULL, InvalidOid
};

static SavedPlan purge_idempotency_keys = {
	"purge idempotency keys",
	"DELETE FROM adapty.idempotency_keys k USING"
	" (SELECT profile_id, idempotency_key FROM adapty.idempotency_keys WHERE created_at < $1"
	" ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED) old"
	" WHERE k.profile_id = old.profile_id AND k.idempotency_key = old.idempotency_key",
	SPI_OK_DELETE, 2, {TIMESTAMPTZOID, INT8OID}, NULL, InvalidOid
};

/* Is this user set aside after an error? */
static bool
is_set_aside(const pg_uuid_t *profile_id, TimestampTz now)
{
	SetAside   *entry;

	if (set_aside == NULL || hash_get_num_entries(set_aside) == 0)
		return false;
	entry = hash_search(set_aside, profile_id, HASH_FIND, NULL);
	return entry != NULL && entry->retry_at > now;
}

/* Sets a user aside: a minute at first, doubling up to an hour with every further failure. */
static void
put_aside(const pg_uuid_t *profile_id, TimestampTz now)
{
	SetAside   *entry;
	bool		found;

	if (set_aside == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(pg_uuid_t);
		ctl.entrysize = sizeof(SetAside);
		ctl.hcxt = TopMemoryContext;
		set_aside = hash_create("adapty users set aside", 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	entry = hash_search(set_aside, profile_id, HASH_ENTER, &found);
	entry->delay_ms = found ? Min(entry->delay_ms * 2, SET_ASIDE_MAX_MS) : SET_ASIDE_FIRST_MS;
	entry->retry_at = TimestampTzPlusMilliseconds(now, entry->delay_ms);
}

/* Notes a due row of the index, once a user and level. */
static void
add_due(DueBatch *batch, const pg_uuid_t *profile_id, TimestampTz due,
		const char *access_level_id)
{
	DueGroup   *last = batch->n > 0 ? &batch->groups[batch->n - 1] : NULL;

	batch->rows++;
	if (last != NULL && memcmp(&last->profile_id, profile_id, UUID_LEN) == 0 &&
		strcmp(last->access_level_id, access_level_id) == 0)
		return;
	batch->groups[batch->n].profile_id = *profile_id;
	batch->groups[batch->n].due = due;
	batch->groups[batch->n].access_level_id = pstrdup(access_level_id);
	batch->n++;
}

/*
 * Reads what is due, oldest first, by direct access; and the first that is not, which an idle
 * scheduler wants to know.
 */
static void
collect_due_direct(DueBatch *batch, TimestampTz now, int max_rows)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	DirectScan *scan = direct_begin_up_to(INDEX_ACCESS_GRANTS_DUE, TimestampTzGetDatum(DT_NOEND), snapshot);
	TupleTableSlot *slot;

	batch->result->next_due = DT_NOEND;
	while (batch->rows < max_rows && (slot = direct_next(scan)) != NULL)
	{
		bool		isnull;
		pg_uuid_t  *profile_id = DatumGetUUIDP(slot_getattr(slot, 1, &isnull));
		TimestampTz due = DatumGetTimestampTz(slot_getattr(slot, 4, &isnull));
		char	   *level;

		CHECK_FOR_INTERRUPTS();
		if (is_set_aside(profile_id, now))
			continue;
		if (due > now)
		{
			batch->result->next_due = due;
			break;
		}
		level = TextDatumGetCString(slot_getattr(slot, 11, &isnull));
		add_due(batch, profile_id, due, level);
		pfree(level);
	}
	direct_end(scan);
	UnregisterSnapshot(snapshot);
}

/* The same by SPI. */
static void
collect_due_spi(DueBatch *batch, TimestampTz now, int max_rows)
{
	ApiScope	scope;
	Datum		args[2];
	uint64		n;
	long		aside = set_aside == NULL ? 0 : hash_get_num_entries(set_aside);

	args[0] = TimestampTzGetDatum(now);
	/* Users set aside stay due: read past them. */
	args[1] = Int64GetDatum((int64) max_rows + aside * 4);
	scope_enter(&scope);
	n = plan_execute(&select_due, args, NULL, false);
	for (uint64 i = 0; i < n && batch->rows < max_rows; i++)
	{
		TupleDesc	desc = SPI_tuptable->tupdesc;
		HeapTuple	tuple = SPI_tuptable->vals[i];
		bool		isnull;
		pg_uuid_t  *profile_id = DatumGetUUIDP(SPI_getbinval(tuple, desc, 1, &isnull));
		MemoryContext old;

		if (is_set_aside(profile_id, now))
			continue;
		old = MemoryContextSwitchTo(scope.caller_context);
		add_due(batch, profile_id,
				DatumGetTimestampTz(SPI_getbinval(tuple, desc, 2, &isnull)),
				TextDatumGetCString(SPI_getbinval(tuple, desc, 3, &isnull)));
		MemoryContextSwitchTo(old);
	}
	scope_leave(&scope);
}

/* By user, then level, then time: neighbours in the tables are done together, locks in one order. */
static int
compare_due(const void *a, const void *b)
{
	const DueGroup *x = a;
	const DueGroup *y = b;
	int			c = memcmp(&x->profile_id, &y->profile_id, UUID_LEN);

	if (c == 0)
		c = strcmp(x->access_level_id, y->access_level_id);
	if (c == 0)
		c = x->due < y->due ? -1 : x->due > y->due;
	return c;
}

/* Sorts the groups and takes doubles out. */
static void
unite_due(DueBatch *batch)
{
	int			kept = 0;

	qsort(batch->groups, batch->n, sizeof(DueGroup), compare_due);
	for (int i = 0; i < batch->n; i++)
	{
		if (kept > 0 && memcmp(&batch->groups[kept - 1].profile_id, &batch->groups[i].profile_id, UUID_LEN) == 0 &&
			strcmp(batch->groups[kept - 1].access_level_id, batch->groups[i].access_level_id) == 0)
			continue;
		batch->groups[kept++] = batch->groups[i];
	}
	batch->n = kept;
}

/* Writes the events gathered so far. */
static void
flush_events(DueBatch *batch)
{
	event_write(batch->events.rows, batch->events.n);
	batch->events.n = 0;
}

/* Announces one user's level.  Events are left in the batch's list. */
static void
process_group(DueBatch *batch, const DueGroup *due)
{
	LockedProfile profile;
	GrantGroup	group;
	bool		would_block;
	int			transitions;

	if (!profile_lock(&due->profile_id, true, &would_block, &profile))
	{
		if (would_block)
			batch->result->locked++;
		return;
	}
	grant_load(&due->profile_id, due->access_level_id, &group);
	transitions = settle_group(&profile, &group, &batch->events);
	/* Somebody else may have done it between our look at the index and the lock. */
	if (transitions == 0)
		return;
	grant_store(&group);
	batch->result->processed += transitions;
	batch->result->max_lateness = Max(batch->result->max_lateness, profile.now - due->due);
	batch->result->total_lateness += (profile.now - due->due) * transitions;
	if (batch->events.n_ended > 0)
	{
		flush_events(batch);
		CommandCounterIncrement();
		settle_purchases(&profile, &batch->events);
		batch->events.n_ended = 0;
	}
	else if (batch->events.n >= EVENTS_PER_WRITE)
		flush_events(batch);
}

/* Something due of one user: a level's grants, or a timer. */
typedef void (*DueWork) (DueBatch *batch, const void *due);

static void
group_work(DueBatch *batch, const void *due)
{
	process_group(batch, due);
}

/* Fires one timer. */
static void
timer_work(DueBatch *batch, const void *due)
{
	const DueTimer *timer = due;
	bool		would_block;
	TimestampTz now = GetCurrentTimestamp();

	if (!timer_fire(timer, &would_block))
	{
		if (would_block)
			batch->result->locked++;
		return;
	}
	batch->result->processed++;
	batch->result->max_lateness = Max(batch->result->max_lateness, now - timer->due);
	batch->result->total_lateness += now - timer->due;
}

/* The same in a subtransaction; an error is logged and the user set aside.  what is for the log. */
static void
work_carefully(DueBatch *batch, DueWork work, const void *due, const pg_uuid_t *profile_id,
			   const char *what)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		work(batch, due);
		flush_events(batch);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (set_aside != NULL)
			hash_search(set_aside, profile_id, HASH_REMOVE, NULL);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		batch->events.n = batch->events.n_ended = 0;
		/* A cancelled query or a shutdown is not the user's fault. */
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED || error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN)
			ReThrowError(error);
		put_aside(profile_id, GetCurrentTimestamp());
		batch->result->failed++;
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("could not announce a due change of %s of profile \"%s\": %s", what,
						DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(profile_id))),
						error->message),
				 errdetail("The user is set aside for a while; access itself follows the clock.")));
		FreeErrorData(error);
	}
	PG_END_TRY();
}

/* When the next grant falls due, by one probe of the index; DT_NOEND for never. */
static TimestampTz
next_due_grant(void)
{
	TimestampTz next = DT_NOEND;
	bool		isnull;

	if (direct_attach(CurrentMemoryContext, TABLE_ACCESS_GRANTS, DIRECT_READ))
	{
		Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
		DirectScan *scan = direct_begin_up_to(INDEX_ACCESS_GRANTS_DUE, TimestampTzGetDatum(DT_NOEND), snapshot);
		TupleTableSlot *slot;

		while ((slot = direct_next(scan)) != NULL)
		{
			pg_uuid_t  *profile_id = DatumGetUUIDP(slot_getattr(slot, 1, &isnull));

			if (is_set_aside(profile_id, GetCurrentTimestamp()))
				continue;
			next = DatumGetTimestampTz(slot_getattr(slot, 4, &isnull));
			break;
		}
		direct_end(scan);
		UnregisterSnapshot(snapshot);
	}
	else
	{
		ApiScope	scope;

		scope_enter(&scope);
		if (plan_execute(&select_next_due, NULL, NULL, false) > 0)
			next = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
		scope_leave(&scope);
	}
	return next;
}

/*
 * Fires timers that are due, up to what the batch still may do; result->next_due becomes the earlier
 * of what it is and of the next timer.
 */
static void
process_timers(DueBatch *batch, TimestampTz now, int max_rows, bool careful)
{
	long		aside = set_aside == NULL ? 0 : hash_get_num_entries(set_aside);
	DueTimer   *timers;
	int			n = timers_due(now, max_rows + (int) aside * 4, &timers);
	int			done = 0;
	TimestampTz next;

	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (is_set_aside(&timers[i].profile_id, now))
			continue;
		if (careful)
			work_carefully(batch, timer_work, &timers[i], &timers[i].profile_id,
						   psprintf("subscription \"%s\"", timers[i].store_original_transaction_id));
		else
			timer_work(batch, &timers[i]);
		if (++done >= max_rows)
		{
			batch->result->next_due = now;
			return;
		}
	}
	next = timers_next_due();
	/* those of users set aside are looked at again with the next sleep */
	if (n == 0 || next > now || done > 0)
		batch->result->next_due = Min(batch->result->next_due, next);
}

/* See transition.h. */
void
process_due_batch(int max_rows, bool careful, DueResult *result)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "adapty due batch",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	TimestampTz now = clock_write_now();
	DueBatch	batch = {0};
	bool		direct;

	memset(result, 0, sizeof(*result));
	batch.result = result;
	batch.groups = palloc(sizeof(DueGroup) * max_rows);
	direct = direct_attach(context, TABLE_ACCESS_GRANTS, DIRECT_READ);
	if (direct)
		collect_due_direct(&batch, now, max_rows);
	else
		collect_due_spi(&batch, now, max_rows);
	unite_due(&batch);
	for (int i = 0; i < batch.n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (careful)
			work_carefully(&batch, group_work, &batch.groups[i], &batch.groups[i].profile_id,
						   psprintf("access level \"%s\"", batch.groups[i].access_level_id));
		else
			process_group(&batch, &batch.groups[i]);
	}
	flush_events(&batch);
	CommandCounterIncrement();
	/*
	 * With nothing due the one look at the index has told; after a full batch more may be due at once,
	 * and a look would have to pass all the entries that this batch has made dead.
	 */
	if (batch.rows >= max_rows)
		result->next_due = now;
	else if (batch.n > 0 || !direct)
		result->next_due = next_due_grant();
	if (batch.rows < max_rows)
		process_timers(&batch, now, max_rows - batch.rows, careful);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* See transition.h. */
bool
process_maintenance(bool *too_early)
{
	ApiScope	scope;
	bool		more;

	/* Partitions can be attached and dropped only while nobody here has events open. */
	direct_detach();
	scope_enter(&scope);
	more = event_partition_maintain(too_early);
	if (!more && adapty_idempotency_key_retention > 0)
	{
		Datum		args[2];

		args[0] = TimestampTzGetDatum(GetCurrentTimestamp() - adapty_idempotency_key_retention * USECS_PER_HOUR);
		args[1] = Int64GetDatum(KEYS_PER_PURGE);
		more = plan_execute(&purge_idempotency_keys, args, NULL, false) == KEYS_PER_PURGE;
	}
	if (!more)
		more = ingest_purge(KEYS_PER_PURGE);
	scope_leave(&scope);
	return more;
}

/*
 * adapty.process_due(max_rows): the scheduler's work for hosts without background workers, in the
 * caller's transaction.  Returns how many transitions were announced, and to how many users a campaign gave.
 */
Datum
adapty_process_due(PG_FUNCTION_ARGS)
{
	int			max_rows;
	DueResult	result;

	if (PG_ARGISNULL(0) || PG_GETARG_INT32(0) < 1 || PG_GETARG_INT32(0) > 1000000)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("invalid max_rows: %s", PG_ARGISNULL(0) ? "null" : psprintf("%d", PG_GETARG_INT32(0))),
				 errhint("Give a number from 1 to 1000000.")));
	max_rows = PG_GETARG_INT32(0);
	refuse_unless_writable(fcinfo);
	process_due_batch(max_rows, false, &result);
	PG_RETURN_INT64(result.processed + promo_campaign_work(max_rows));
}

/*
 * adapty.maintain(): one step of the scheduler's housekeeping, for hosts without background
 * workers.  Returns whether there is more to do.  ERROR (55P03) where a lock is not to be had soon.
 */
Datum
adapty_maintain(PG_FUNCTION_ARGS)
{
	bool		too_early;

	refuse_unless_writable(fcinfo);
	PG_RETURN_BOOL(process_maintenance(&too_early));
}
