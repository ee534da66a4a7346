/*
 * grant.c
 *		The only writer of access_grants.
 *
 * Who holds the lock on a profile's row (FOR NO KEY UPDATE) may change its access: two changes of
 * one user wait for each other, whatever source they concern, so that the picture before and after
 * each is well defined and no change goes unannounced.  Under the lock the newest committed state
 * is read, not the statement's snapshot.
 *
 * A change goes: load the level's sources, announce what fell due meanwhile (transition.c), change
 * one source, compare what the user sees before and after, store the rows that differ, write the
 * events, arrange the wake-up.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/direct.h"
#include "base/errors.h"
#include "base/hooks.h"
#include "base/plans.h"
#include "domain/access.h"
#include "domain/event.h"
#include "domain/grant.h"
#include "domain/identity.h"
#include "domain/settle.h"

/* In the order of the columns of adapty.access_grants. */
typedef enum GrantColumn
{
	COLUMN_PROFILE_ID,
	COLUMN_STARTS_AT,
	COLUMN_EXPIRES_AT,
	COLUMN_NEXT_TRANSITION_AT,
	COLUMN_GRANTED_AT,
	COLUMN_UPDATED_AT,
	COLUMN_REVOKED_AT,
	COLUMN_TEST_CLOCK_OFFSET,
	COLUMN_SOURCE,
	COLUMN_STATE,
	COLUMN_ACCESS_LEVEL_ID,
	COLUMN_SOURCE_ID,
	COLUMN_ACTOR,
	COLUMN_REASON,
	GRANT_NATTS
} GrantColumn;

#define PROFILE_TEST_CLOCK_OFFSET 5 /* attribute number in adapty.profiles */

static SavedPlan lock_profile = {
	"lock profile",
	"SELECT test_clock_offset FROM adapty.profiles WHERE profile_id = $1 FOR NO KEY UPDATE",
	SPI_OK_SELECT, 1, {UUIDOID}, NULL, InvalidOid
};

static SavedPlan lock_profile_skip = {
	"lock profile if free",
	"SELECT test_clock_offset FROM adapty.profiles WHERE profile_id = $1 FOR NO KEY UPDATE SKIP LOCKED",
	SPI_OK_SELECT, 1, {UUIDOID}, NULL, InvalidOid
};

static SavedPlan profile_exists = {
	"profile exists",
	"SELECT 1 FROM adapty.profiles WHERE profile_id = $1",
	SPI_OK_SELECT, 1, {UUIDOID}, NULL, InvalidOid
};

static SavedPlan load_level = {
	"load grants of a level",
	"SELECT * FROM adapty.access_grants WHERE profile_id = $1 AND access_level_id OPERATOR(pg_catalog.=) $2",
	SPI_OK_SELECT, 2, {UUIDOID, TEXTOID}, NULL, InvalidOid
};

static SavedPlan load_profile = {
	"load grants of a profile",
	"SELECT * FROM adapty.access_grants WHERE profile_id = $1",
	SPI_OK_SELECT, 1, {UUIDOID}, NULL, InvalidOid
};

#define GRANT_ARGTYPES {UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, \
		TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID}

static SavedPlan insert_grant = {
	"insert grant",
	"INSERT INTO adapty.access_grants (profile_id, starts_at, expires_at, granted_at, updated_at, revoked_at,"
	" test_clock_offset, source, state, access_level_id, source_id, actor, reason)"
	" VALUES ($1, $2, $3, $5, $6, $7, $8, $9::adapty.grant_source, $10::adapty.grant_state, $11, $12, $13, $14)",
	SPI_OK_INSERT, GRANT_NATTS, GRANT_ARGTYPES, NULL, InvalidOid
};

static SavedPlan update_grant = {
	"update grant",
	"UPDATE adapty.access_grants SET starts_at = $2, expires_at = $3, granted_at = $5, updated_at = $6,"
	" revoked_at = $7, test_clock_offset = $8, state = $10::adapty.grant_state, actor = $13, reason = $14"
	" WHERE profile_id = $1 AND source = $9::adapty.grant_source"
	" AND access_level_id OPERATOR(pg_catalog.=) $11 AND source_id = $12",
	SPI_OK_UPDATE, GRANT_NATTS, GRANT_ARGTYPES, NULL, InvalidOid
};

static SavedPlan find_access_level = {
	"find access level",
	"SELECT 1 FROM adapty.access_levels WHERE access_level_id OPERATOR(pg_catalog.=) $1",
	SPI_OK_SELECT, 1, {TEXTOID}, NULL, InvalidOid
};

static SavedPlan list_access_levels = {
	"list access levels",
	"SELECT pg_catalog.string_agg(access_level_id, ', ' ORDER BY access_level_id) FROM"
	" (SELECT access_level_id FROM adapty.access_levels ORDER BY access_level_id LIMIT 50) l",
	SPI_OK_SELECT, 0, {0}, NULL, InvalidOid
};

static int	writer_depth = 0;
static SubTransactionId writer_subxact = InvalidSubTransactionId;

/* See grant.h.  Not in a subtransaction that somebody's trigger or function begins meanwhile. */
bool
grant_writer_active(void)
{
	return writer_depth > 0 && writer_subxact == GetCurrentSubTransactionId();
}

/* Marks SPI writes as our own while they run. */
static void
writer_begin(void)
{
	writer_depth = 1;
	writer_subxact = GetCurrentSubTransactionId();
}

static void
writer_end(void)
{
	writer_depth = 0;
}

/*
 * The snapshot for reading under a profile's lock: the newest committed state and our own changes.
 * At the higher isolation levels the transaction's snapshot, as for any other statement there.
 */
static Snapshot
newest_snapshot(void)
{
	return RegisterSnapshot(IsolationUsesXactSnapshot() ? GetTransactionSnapshot() : GetLatestSnapshot());
}

/* ERROR (40001): somebody changed the row first and we may not look at what they made of it. */
static void
concurrent_change(const char *what)
{
	ereport(ERROR,
			(condition_errcode(COND_SERIALIZATION_FAILURE),
			 errmsg("could not serialize access due to concurrent update"),
			 errdetail("The %s was changed by another transaction meanwhile.", what),
			 errhint("The transaction might succeed if retried.")));
}

/* profile_lock() by direct access. */
static bool
profile_lock_direct(const pg_uuid_t *profile_id, bool skip_locked, bool *would_block, int64 *offset)
{
	Datum		key = UUIDPGetDatum(profile_id);
	Snapshot	snapshot = newest_snapshot();
	DirectScan *scan = direct_begin(INDEX_PROFILES_PKEY, &key, 1, snapshot);
	TupleTableSlot *slot = direct_next(scan);
	ItemPointerData tid;
	TM_Result	result;
	bool		isnull;

	if (slot != NULL)
		tid = slot->tts_tid;
	direct_end(scan);
	if (slot == NULL)
	{
		UnregisterSnapshot(snapshot);
		return false;
	}
	result = direct_lock(TABLE_PROFILES, &tid, snapshot, skip_locked ? LockWaitSkip : LockWaitBlock, &slot);
	UnregisterSnapshot(snapshot);
	switch (result)
	{
		case TM_Ok:
			*offset = DatumGetInt64(slot_getattr(slot, PROFILE_TEST_CLOCK_OFFSET, &isnull));
			if (isnull)
				*offset = 0;
			ExecClearTuple(slot);
			return true;
		case TM_WouldBlock:
			ExecClearTuple(slot);
			if (would_block != NULL)
				*would_block = true;
			return false;
		case TM_SelfModified:
		case TM_Deleted:
			ExecClearTuple(slot);
			if (result == TM_Deleted && IsolationUsesXactSnapshot())
				concurrent_change("profile");
			return false;
		case TM_Updated:
			concurrent_change("profile");
			break;
		default:
			elog(ERROR, "unexpected result %d of locking a profile", (int) result);
	}
	return false;
}

/* profile_lock() by SPI. */
static bool
profile_lock_spi(const pg_uuid_t *profile_id, bool skip_locked, bool *would_block, int64 *offset)
{
	ApiScope	scope;
	Datum		key = UUIDPGetDatum(profile_id);
	bool		found;

	scope_enter(&scope);
	found = plan_execute_generic(skip_locked ? &lock_profile_skip : &lock_profile, &key, NULL, false) > 0;
	if (found)
	{
		bool		isnull;

		*offset = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
		if (isnull)
			*offset = 0;
	}
	else if (skip_locked)
	{
		bool		exists = plan_execute_generic(&profile_exists, &key, NULL, false) > 0;

		if (would_block != NULL)
			*would_block = exists;
	}
	scope_leave(&scope);
	return found;
}

/* See grant.h. */
bool
profile_lock(const pg_uuid_t *profile_id, bool skip_locked, bool *would_block, LockedProfile *profile)
{
	int64		offset = 0;
	bool		found;

	if (would_block != NULL)
		*would_block = false;
	if (direct_attach(CurrentMemoryContext, TABLE_PROFILES, DIRECT_READ))
		found = profile_lock_direct(profile_id, skip_locked, would_block, &offset);
	else
		found = profile_lock_spi(profile_id, skip_locked, would_block, &offset);
	if (!found)
		return false;
	profile->profile_id = *profile_id;
	profile->test_clock_offset = offset;
	profile->now = clock_write_now();
	profile->profile_now = profile->now + offset;
	return true;
}

/* ERROR (PT404) that lists the access levels there are. */
static void
access_level_not_found(const char *access_level_id)
{
	ApiScope	scope;
	char	   *list = NULL;

	scope_enter(&scope);
	if (plan_execute(&list_access_levels, NULL, NULL, true) == 1)
		list = scope_copy_text(&scope, 0, 1);
	scope_leave(&scope);
	ereport(ERROR,
			(condition_errcode(COND_ACCESS_LEVEL_DOES_NOT_EXIST),
			 errmsg("access level \"%s\" does not exist", access_level_id),
			 errdetail("The access levels are: %s.", list == NULL ? "none" : list),
			 errhint("Use one of them, or create it with define_access_level().")));
}

/*
 * See grant.h.  access_grants is locked against its deletion first (RowExclusiveLock): deleting a
 * level takes a lock that conflicts, and then looks for grants.
 */
void
access_level_check(const char *access_level_id)
{
	Datum		key = CStringGetTextDatum(access_level_id);
	bool		found;

	if (direct_attach(CurrentMemoryContext, TABLE_ACCESS_GRANTS, DIRECT_WRITE) &&
		direct_attach(CurrentMemoryContext, TABLE_ACCESS_LEVELS, DIRECT_READ))
	{
		Snapshot	snapshot = newest_snapshot();
		DirectScan *scan = direct_begin(INDEX_ACCESS_LEVELS_PKEY, &key, 1, snapshot);

		found = direct_next(scan) != NULL;
		direct_end(scan);
		UnregisterSnapshot(snapshot);
	}
	else
	{
		ApiScope	scope;

		scope_enter(&scope);
		found = plan_execute_generic(&find_access_level, &key, NULL, false) > 0;
		scope_leave(&scope);
	}
	if (!found)
		access_level_not_found(access_level_id);
}

/* Makes room for one more source and returns it, zeroed. */
AccessGrant *
grant_group_add(GrantGroup *group)
{
	if (group->n == group->allocated)
	{
		group->allocated = Max(4, group->allocated * 2);
		group->grants = group->grants == NULL
			? palloc(group->allocated * sizeof(AccessGrant))
			: repalloc(group->grants, group->allocated * sizeof(AccessGrant));
	}
	memset(&group->grants[group->n], 0, sizeof(AccessGrant));
	return &group->grants[group->n++];
}

/* A text column as a C string; NULL for null. */
static char *
text_column(Datum *values, bool *nulls, GrantColumn column)
{
	return nulls[column] ? NULL : TextDatumGetCString(values[column]);
}

/* See grant.h (grant_row.h): a row's values as a grant. */
void
grant_deform(Datum *values, bool *nulls, AccessGrant *grant)
{
	grant->profile_id = *DatumGetUUIDP(values[COLUMN_PROFILE_ID]);
	grant->starts_at = DatumGetTimestampTz(values[COLUMN_STARTS_AT]);
	grant->expires_at = DatumGetTimestampTz(values[COLUMN_EXPIRES_AT]);
	grant->granted_at = DatumGetTimestampTz(values[COLUMN_GRANTED_AT]);
	grant->updated_at = DatumGetTimestampTz(values[COLUMN_UPDATED_AT]);
	grant->revoked_at = nulls[COLUMN_REVOKED_AT] ? DT_NOBEGIN : DatumGetTimestampTz(values[COLUMN_REVOKED_AT]);
	grant->test_clock_offset = nulls[COLUMN_TEST_CLOCK_OFFSET] ? 0 : DatumGetInt64(values[COLUMN_TEST_CLOCK_OFFSET]);
	grant->source = enum_value(ENUM_GRANT_SOURCE, values[COLUMN_SOURCE]);
	grant->state = enum_value(ENUM_GRANT_STATE, values[COLUMN_STATE]);
	grant->access_level_id = text_column(values, nulls, COLUMN_ACCESS_LEVEL_ID);
	grant->source_id = text_column(values, nulls, COLUMN_SOURCE_ID);
	grant->actor = text_column(values, nulls, COLUMN_ACTOR);
	grant->reason = text_column(values, nulls, COLUMN_REASON);
	grant->is_stored = true;
	grant->is_dirty = false;
}

/* A grant as column values. */
static void
grant_form(const AccessGrant *grant, Datum *values, bool *nulls)
{
	TimestampTz next = access_next_transition(grant);

	memset(nulls, 0, GRANT_NATTS * sizeof(bool));
	values[COLUMN_PROFILE_ID] = UUIDPGetDatum(&grant->profile_id);
	values[COLUMN_STARTS_AT] = TimestampTzGetDatum(grant->starts_at);
	values[COLUMN_EXPIRES_AT] = TimestampTzGetDatum(grant->expires_at);
	values[COLUMN_NEXT_TRANSITION_AT] = TimestampTzGetDatum(next);
	nulls[COLUMN_NEXT_TRANSITION_AT] = next == DT_NOEND;
	values[COLUMN_GRANTED_AT] = TimestampTzGetDatum(grant->granted_at);
	values[COLUMN_UPDATED_AT] = TimestampTzGetDatum(grant->updated_at);
	values[COLUMN_REVOKED_AT] = TimestampTzGetDatum(grant->revoked_at);
	nulls[COLUMN_REVOKED_AT] = grant->revoked_at == DT_NOBEGIN;
	values[COLUMN_TEST_CLOCK_OFFSET] = Int64GetDatum(grant->test_clock_offset);
	nulls[COLUMN_TEST_CLOCK_OFFSET] = grant->test_clock_offset == 0;
	values[COLUMN_SOURCE] = enum_datum(ENUM_GRANT_SOURCE, grant->source);
	values[COLUMN_STATE] = enum_datum(ENUM_GRANT_STATE, grant->state);
	values[COLUMN_ACCESS_LEVEL_ID] = CStringGetTextDatum(grant->access_level_id);
	values[COLUMN_SOURCE_ID] = CStringGetTextDatum(grant->source_id);
	nulls[COLUMN_ACTOR] = grant->actor == NULL;
	values[COLUMN_ACTOR] = grant->actor == NULL ? (Datum) 0 : CStringGetTextDatum(grant->actor);
	nulls[COLUMN_REASON] = grant->reason == NULL;
	values[COLUMN_REASON] = grant->reason == NULL ? (Datum) 0 : CStringGetTextDatum(grant->reason);
}

/* grant_load() by SPI; by the active snapshot if as_of_snapshot. */
static void
grant_load_spi(const pg_uuid_t *profile_id, const char *access_level_id, bool as_of_snapshot,
			   GrantGroup *group)
{
	ApiScope	scope;
	Datum		keys[2];
	uint64		n;

	keys[0] = UUIDPGetDatum(profile_id);
	keys[1] = access_level_id == NULL ? (Datum) 0 : CStringGetTextDatum(access_level_id);
	scope_enter(&scope);
	n = plan_execute_generic(access_level_id == NULL ? &load_profile : &load_level, keys, NULL, as_of_snapshot);
	for (uint64 i = 0; i < n; i++)
	{
		Datum		values[GRANT_NATTS];
		bool		nulls[GRANT_NATTS];
		MemoryContext old;

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, values, nulls);
		old = MemoryContextSwitchTo(scope.caller_context);
		grant_deform(values, nulls, grant_group_add(group));
		MemoryContextSwitchTo(old);
	}
	scope_leave(&scope);
}

/* See grant_row.h. */
void
grant_load_shown(const pg_uuid_t *profile_id, bool as_of_snapshot, GrantGroup *group)
{
	memset(group, 0, sizeof(*group));
	group->profile_id = *profile_id;
	grant_load_spi(profile_id, NULL, as_of_snapshot, group);
}

/* See grant.h. */
void
grant_load(const pg_uuid_t *profile_id, const char *access_level_id, GrantGroup *group)
{
	Snapshot	snapshot;
	DirectScan *scan;
	TupleTableSlot *slot;
	Datum		keys[2];

	memset(group, 0, sizeof(*group));
	group->profile_id = *profile_id;
	group->access_level_id = access_level_id;
	if (!direct_attach(CurrentMemoryContext, TABLE_ACCESS_GRANTS, DIRECT_READ))
	{
		grant_load_spi(profile_id, access_level_id, false, group);
		return;
	}
	keys[0] = UUIDPGetDatum(profile_id);
	keys[1] = access_level_id == NULL ? (Datum) 0 : CStringGetTextDatum(access_level_id);
	/* At the higher isolation levels too: what must not be seen there must not be overlooked either. */
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = direct_begin(INDEX_ACCESS_GRANTS_PKEY, keys, access_level_id == NULL ? 1 : 2, snapshot);
	while ((slot = direct_next(scan)) != NULL)
	{
		AccessGrant *grant = grant_group_add(group);

		if (IsolationUsesXactSnapshot() && !direct_visible(scan, GetTransactionSnapshot()))
			concurrent_change("access of the user");
		slot_getallattrs(slot);
		grant_deform(slot->tts_values, slot->tts_isnull, grant);
		grant->tid = slot->tts_tid;
	}
	direct_end(scan);
	UnregisterSnapshot(snapshot);
}

/* Stores one row by SPI, with our own triggers told that it is us. */
static void
grant_store_spi(const AccessGrant *grant, Datum *values, bool *nulls)
{
	ApiScope	scope;
	char		spi_nulls[GRANT_NATTS];

	values[COLUMN_SOURCE] = CStringGetTextDatum(enum_label(ENUM_GRANT_SOURCE, grant->source));
	values[COLUMN_STATE] = CStringGetTextDatum(enum_label(ENUM_GRANT_STATE, grant->state));
	for (int i = 0; i < GRANT_NATTS; i++)
		spi_nulls[i] = nulls[i] ? 'n' : ' ';
	scope_enter(&scope);
	/* An error must not leave the mark behind: the next transaction's plain SQL would go unannounced. */
	PG_TRY();
	{
		writer_begin();
		if (plan_execute_generic(grant->is_stored ? &update_grant : &insert_grant, values, spi_nulls, false) != 1)
			concurrent_change("grant");
	}
	PG_FINALLY();
	{
		writer_end();
	}
	PG_END_TRY();
	scope_leave(&scope);
}

/*
 * Stores the rows of a group that differ from the table, and arranges the wake-up for the earliest
 * transition to come.  The profile must be locked.
 */
void
grant_store(GrantGroup *group)
{
	bool		direct = direct_attach(CurrentMemoryContext, TABLE_ACCESS_GRANTS, DIRECT_WRITE);
	TimestampTz next = DT_NOEND;

	for (int i = 0; i < group->n; i++)
	{
		AccessGrant *grant = &group->grants[i];
		Datum		values[GRANT_NATTS];
		bool		nulls[GRANT_NATTS];

		if (!grant->is_dirty)
			continue;
		grant_form(grant, values, nulls);
		next = Min(next, access_next_transition(grant));
		if (!direct)
			grant_store_spi(grant, values, nulls);
		else if (!grant->is_stored)
			direct_insert(TABLE_ACCESS_GRANTS, values, nulls, &grant->tid);
		else if (direct_update(TABLE_ACCESS_GRANTS, &grant->tid, values, nulls) != TM_Ok)
			concurrent_change("grant");
		grant->is_stored = true;
		grant->is_dirty = false;
	}
	if (next != DT_NOEND)
		wake_at_commit(next);
}

/* The source of a group; NULL if it is not there. */
AccessGrant *
grant_find(GrantGroup *group, GrantSource source, const char *source_id)
{
	for (int i = 0; i < group->n; i++)
		if (group->grants[i].source == source && strcmp(group->grants[i].source_id, source_id) == 0)
			return &group->grants[i];
	return NULL;
}

/* Changes (or adds) one source of a loaded group; the group is settled already. */
static void
grant_change(const LockedProfile *profile, GrantGroup *group, const GrantChange *change)
{
	AccessGrant *grant = grant_find(group, change->source, change->source_id);

	if (grant == NULL)
	{
		grant = grant_group_add(group);
		grant->profile_id = profile->profile_id;
		grant->access_level_id = pstrdup(group->access_level_id);
		grant->source = change->source;
		grant->source_id = pstrdup(change->source_id);
		grant->granted_at = profile->now;
	}
	grant->starts_at = change->starts_at;
	grant->expires_at = change->expires_at;
	grant->revoked_at = change->revoked ? profile->now : DT_NOBEGIN;
	grant->test_clock_offset = profile->test_clock_offset;
	grant->updated_at = profile->now;
	grant->actor = change->actor == NULL ? NULL : pstrdup(change->actor);
	grant->reason = change->reason == NULL ? NULL : pstrdup(change->reason);
	grant->state = access_state_at(grant, profile->profile_now);
	grant->is_dirty = true;
}

/* See grant_row.h: applies changes to a loaded group as one, and announces the difference. */
void
grant_apply(const LockedProfile *profile, GrantGroup *group, const GrantChange *changes, int n)
{
	EventList	events = {0};
	AccessSnapshot before;

	settle_group(profile, group, &events);
	before = access_snapshot(access_announced(group));
	for (int i = 0; i < n; i++)
		grant_change(profile, group, &changes[i]);
	if (n > 0)
		announce_difference(group, &before, access_announced(group), &changes[n - 1],
							profile->profile_now, &events);
	grant_store(group);
	event_write(events.rows, events.n);
	CommandCounterIncrement();
	settle_purchases(profile, &events);
}

/* See grant.h. */
void
grant_put(const LockedProfile *profile, const char *access_level_id, GrantSource source,
		  const char *source_id, TimestampTz starts_at, TimestampTz expires_at, bool revoked,
		  const char *actor, const char *reason)
{
	GrantChange change = {source, source_id, starts_at, expires_at, revoked, actor, reason, false, NULL};

	grant_put_change(profile, access_level_id, &change);
}

/* See grant_row.h. */
void
grant_put_change(const LockedProfile *profile, const char *access_level_id, const GrantChange *change)
{
	GrantGroup	group;

	access_level_check(access_level_id);
	grant_load(&profile->profile_id, access_level_id, &group);
	grant_apply(profile, &group, change, 1);
}
