/*
 * grant_trigger.c
 *		Direct edits of access_grants: announced like any other change, or refused.
 *
 * The functions of this extension write the table without firing these triggers, or tell them to
 * stand aside.  What remains is plain SQL, by a DBA or a cascade: a statement's changes are taken
 * from its transition tables, sorted by user and level, and each level is announced as a whole.
 *
 * Rows that come back by a restore were announced in their first life.  A dump's session is known by
 * what every pg_dump since 10.3 sets at its start: an empty search_path, row_security off and
 * check_function_bodies off.  In such a session nothing is announced and nobody is woken.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/timestamp.h"

#include "base/caller.h"
#include "base/clock.h"
#include "base/direct.h"
#include "base/errors.h"
#include "base/hooks.h"
#include "base/plans.h"
#include "domain/access.h"
#include "domain/grant_row.h"
#include "domain/settle.h"

#define FETCH_ROWS 1000
#define GRANT_NATTS 14

PG_FUNCTION_INFO_V1(adapty_access_grants_changed);
PG_FUNCTION_INFO_V1(adapty_access_grants_truncated);

#define ROWS_OF(which, table) "SELECT " which " AS which, t.* FROM " table " t"
#define IN_ORDER " ORDER BY profile_id, access_level_id, which, source, source_id"

static SavedPlan inserted_rows = {
	"inserted grants", ROWS_OF("1", "new_grants") IN_ORDER, SPI_OK_CURSOR, 0, {0}, NULL, InvalidOid
};

static SavedPlan updated_rows = {
	"updated grants", ROWS_OF("0", "old_grants") " UNION ALL " ROWS_OF("1", "new_grants") IN_ORDER,
	SPI_OK_CURSOR, 0, {0}, NULL, InvalidOid
};

static SavedPlan deleted_rows = {
	"deleted grants", ROWS_OF("0", "old_grants") IN_ORDER, SPI_OK_CURSOR, 0, {0}, NULL, InvalidOid
};

static SavedPlan inserted_state = {
	"inserted grants with a state",
	"SELECT 1 FROM new_grants WHERE state <> 'pending' OR test_clock_offset IS NOT NULL LIMIT 1",
	SPI_OK_SELECT, 0, {0}, NULL, InvalidOid
};

static SavedPlan updated_state = {
	"updated states of grants",
	"SELECT 1 FROM new_grants n JOIN old_grants o USING (profile_id, access_level_id, source, source_id)"
	" WHERE n.state <> o.state OR n.test_clock_offset IS DISTINCT FROM o.test_clock_offset LIMIT 1",
	SPI_OK_SELECT, 0, {0}, NULL, InvalidOid
};

/* A level of a user that a statement changed. */
typedef struct ChangedLevel
{
	GrantGroup	old;			/* changed rows as they were */
	GrantGroup	new;			/* changed rows as they are */
} ChangedLevel;

/* Is a dump being restored in this session? */
static bool
is_restoring(void)
{
	return !row_security && !check_function_bodies && namespace_search_path[0] == '\0';
}

/* A fresh, empty level. */
static void
level_begin(ChangedLevel *level, const AccessGrant *first)
{
	memset(level, 0, sizeof(*level));
	level->old.profile_id = level->new.profile_id = first->profile_id;
	level->old.access_level_id = level->new.access_level_id = first->access_level_id;
}

/* Is this source among the changed ones? */
static bool
is_changed(ChangedLevel *level, const AccessGrant *grant)
{
	return grant_find(&level->new, grant->source, grant->source_id) != NULL ||
		grant_find(&level->old, grant->source, grant->source_id) != NULL;
}

/*
 * The level as it was announced: the changed rows as they were, and those that were not touched.
 * What fell due in it before the change is announced now, at its own time.
 */
static AccessSnapshot
picture_before(const LockedProfile *profile, ChangedLevel *level, GrantGroup *current, EventList *events)
{
	GrantGroup	before = level->old;
	int			untouched = before.n;

	for (int i = 0; i < current->n; i++)
		if (!is_changed(level, &current->grants[i]))
			*grant_group_add(&before) = current->grants[i];
	settle_group(profile, &before, events);
	/* What was settled of the untouched rows is to be stored with the rest. */
	for (int i = untouched; i < before.n; i++)
	{
		AccessGrant *grant = grant_find(current, before.grants[i].source, before.grants[i].source_id);

		grant->state = before.grants[i].state;
		grant->is_dirty = before.grants[i].is_dirty;
	}
	return access_snapshot(access_announced(&before));
}

/* Announces one changed level, and sets right what plain SQL cannot know. */
static void
level_end(ChangedLevel *level, const char *actor)
{
	LockedProfile profile;
	GrantGroup	current;
	EventList	events = {0};
	GrantGroup *changed = level->new.n > 0 ? &level->new : &level->old;
	GrantChange cause;
	AccessSnapshot before;

	/* A profile that is being deleted in this transaction takes its grants along. */
	if (!profile_lock(&level->old.profile_id, false, NULL, &profile))
	{
		profile.profile_id = level->old.profile_id;
		profile.test_clock_offset = 0;
		profile.now = profile.profile_now = clock_write_now();
	}
	grant_load(&profile.profile_id, level->old.access_level_id, &current);
	before = picture_before(&profile, level, &current, &events);
	for (int i = 0; i < current.n; i++)
	{
		AccessGrant *grant = &current.grants[i];
		GrantState	state = access_state_at(grant, profile.profile_now);

		if (state == grant->state && grant->test_clock_offset == profile.test_clock_offset)
			continue;
		grant->state = state;
		grant->test_clock_offset = profile.test_clock_offset;
		grant->is_dirty = true;
	}
	cause = (GrantChange) {changed->grants[0].source, changed->grants[0].source_id, 0, 0, false, actor,
		changed->grants[0].reason, false, NULL};
	announce_difference(&current, &before, access_announced(&current), &cause, profile.profile_now, &events);
	/* Every changed row may have a new transition, stored again or not. */
	for (int i = 0; i < level->new.n; i++)
	{
		AccessGrant *grant = grant_find(&current, level->new.grants[i].source, level->new.grants[i].source_id);

		if (grant != NULL && access_next_transition(grant) != DT_NOEND)
			wake_at_commit(access_next_transition(grant));
	}
	grant_store(&current);
	event_write(events.rows, events.n);
	CommandCounterIncrement();
	settle_purchases(&profile, &events);
}

/* The walk over a statement's changed rows: at most one level is in memory. */
typedef struct ChangedRows
{
	MemoryContext context;		/* of the level */
	ChangedLevel level;
	bool		has_level;
	const char *actor;
} ChangedRows;

/* Adds a row to its level; the level before it, if that was another, is announced first. */
static void
take_row(ChangedRows *walk, Datum *values, bool *nulls)
{
	MemoryContext old = MemoryContextSwitchTo(walk->context);
	ChangedLevel *level = &walk->level;
	AccessGrant grant = {0};

	grant_deform(values + 1, nulls + 1, &grant);
	if (!walk->has_level || memcmp(&level->old.profile_id, &grant.profile_id, UUID_LEN) != 0 ||
		strcmp(level->old.access_level_id, grant.access_level_id) != 0)
	{
		if (walk->has_level)
			level_end(level, walk->actor);
		MemoryContextReset(walk->context);
		grant_deform(values + 1, nulls + 1, &grant);
		level_begin(level, &grant);
		walk->has_level = true;
	}
	*grant_group_add(DatumGetInt32(values[0]) == 0 ? &level->old : &level->new) = grant;
	MemoryContextSwitchTo(old);
}

/* Walks a statement's changed rows, in the order of user and level. */
static void
announce_rows(SavedPlan *plan, const char *actor)
{
	ChangedRows walk = {0};
	Portal		portal = plan_open_cursor(plan);
	MemoryContext old;

	walk.context = AllocSetContextCreate(CurrentMemoryContext, "adapty changed level", ALLOCSET_DEFAULT_SIZES);
	walk.actor = actor;
	for (;;)
	{
		SPITupleTable *rows;
		uint64		n;

		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		n = SPI_processed;
		rows = SPI_tuptable;
		for (uint64 i = 0; i < n; i++)
		{
			Datum		values[GRANT_NATTS + 1];
			bool		nulls[GRANT_NATTS + 1];

			CHECK_FOR_INTERRUPTS();
			heap_deform_tuple(rows->vals[i], rows->tupdesc, values, nulls);
			take_row(&walk, values, nulls);
		}
		SPI_freetuptable(rows);
		if (n == 0)
			break;
	}
	old = MemoryContextSwitchTo(walk.context);
	if (walk.has_level)
		level_end(&walk.level, actor);
	MemoryContextSwitchTo(old);
	SPI_cursor_close(portal);
	MemoryContextDelete(walk.context);
}

/* ERROR if the statement set what the extension maintains. */
static void
refuse_maintained(SavedPlan *plan)
{
	if (plan_execute(plan, NULL, NULL, false) > 0)
		ereport(ERROR,
				(condition_errcode(COND_MAINTAINED_BY_ADAPTY),
				 errmsg("columns state and test_clock_offset of adapty.access_grants are maintained by adapty"),
				 errdetail("The state says what has been announced by events, the offset belongs to the profile."),
				 errhint("Change starts_at and expires_at, or use grant_access_level(), revoke_access_level() or set_test_clock().")));
}

/* Trigger on access_grants: AFTER INSERT, UPDATE or DELETE, for each statement. */
Datum
adapty_access_grants_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	ApiScope	scope;
	char	   *actor;
	SavedPlan  *plan = &deleted_rows;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"access_grants_changed\" was not called by trigger manager")));
	if (grant_writer_active() || is_restoring())
		return PointerGetDatum(NULL);
	actor = caller_actor();
	scope_enter(&scope);
	if (SPI_register_trigger_data(trigger) != SPI_OK_TD_REGISTER)
		elog(ERROR, "could not register transition tables");
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
	{
		refuse_maintained(&inserted_state);
		plan = &inserted_rows;
	}
	else if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
	{
		refuse_maintained(&updated_state);
		plan = &updated_rows;
	}
	/* Opened here, so that it stays open from level to level. */
	direct_attach(CurrentMemoryContext, TABLE_ACCESS_GRANTS, DIRECT_WRITE);
	announce_rows(plan, actor);
	scope_leave(&scope);
	return PointerGetDatum(NULL);
}

/* Trigger on access_grants: BEFORE TRUNCATE.  ERROR: it would take access away in silence. */
Datum
adapty_access_grants_truncated(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	ereport(ERROR,
			(condition_errcode(COND_MAINTAINED_BY_ADAPTY),
			 errmsg("adapty.access_grants cannot be truncated"),
			 errdetail("Every change of access has an event, and TRUNCATE does not say what it removes."),
			 errhint("Use DELETE.")));
}
