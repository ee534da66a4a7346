/*
 * segment.c
 *		Segments: making, changing and dropping them, and asking who is in one.
 *
 * A segment is a row of adapty.segments.  A trigger on that table makes, replaces, renames and drops
 * the view adapty_segments."name" (segment_trigger.c), so that row and view agree whoever changes
 * the row, and when a dump is restored.  Whoever asks, asks the view.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/lockdefs.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "base/arg.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/ext_state.h"
#include "base/plans.h"
#include "domain/attribute_definition.h"
#include "domain/identity.h"
#include "domain/segment.h"
#include "domain/segment_sql.h"
#include "types/segment_filter.h"

#define MAX_DESCRIPTION 1000
#define MAX_SAMPLE 100000
#define SHOWN_USERS 5			/* of those that use a segment, in an error */

PG_FUNCTION_INFO_V1(adapty_create_segment);
PG_FUNCTION_INFO_V1(adapty_alter_segment);
PG_FUNCTION_INFO_V1(adapty_rename_segment);
PG_FUNCTION_INFO_V1(adapty_drop_segment);
PG_FUNCTION_INFO_V1(adapty_duplicate_segment);
PG_FUNCTION_INFO_V1(adapty_segment_count);
PG_FUNCTION_INFO_V1(adapty_segment_sample);
PG_FUNCTION_INFO_V1(adapty_segment_sql);

static SavedPlan insert_segment = {
	"insert segment",
	"INSERT INTO adapty.segments (name, filter, description) VALUES ($1, $2::adapty.segment_filter, $3)"
	" ON CONFLICT (name) DO NOTHING RETURNING segment_id",
	SPI_OK_INSERT_RETURNING, 3, {TEXTOID, TEXTOID, TEXTOID}, NULL, InvalidOid
};

static SavedPlan lock_segment = {
	"lock segment",
	"SELECT segment_id, is_predefined, filter::text, description FROM adapty.segments WHERE name = $1 FOR UPDATE",
	SPI_OK_SELECT, 1, {TEXTOID}, NULL, InvalidOid
};

static SavedPlan find_segment = {
	"find segment",
	"SELECT segment_id FROM adapty.segments WHERE name = $1",
	SPI_OK_SELECT, 1, {TEXTOID}, NULL, InvalidOid
};

static SavedPlan read_filter = {
	"filter of a segment",
	"SELECT filter::text FROM adapty.segments WHERE name = $1",
	SPI_OK_SELECT, 1, {TEXTOID}, NULL, InvalidOid
};

static SavedPlan name_segment = {
	"name of a segment",
	"SELECT name FROM adapty.segments WHERE segment_id = $1",
	SPI_OK_SELECT, 1, {UUIDOID}, NULL, InvalidOid
};

static SavedPlan update_segment = {
	"update segment",
	"UPDATE adapty.segments s SET filter = coalesce($2::adapty.segment_filter, s.filter),"
	" description = coalesce($3, s.description), updated_at = pg_catalog.now() WHERE segment_id = $1",
	SPI_OK_UPDATE, 3, {UUIDOID, TEXTOID, TEXTOID}, NULL, InvalidOid
};

static SavedPlan rename_segment = {
	"rename segment",
	"UPDATE adapty.segments SET name = $2, updated_at = pg_catalog.now() WHERE segment_id = $1",
	SPI_OK_UPDATE, 2, {UUIDOID, TEXTOID}, NULL, InvalidOid
};

static SavedPlan delete_segment = {
	"delete segment",
	"DELETE FROM adapty.segments WHERE segment_id = $1",
	SPI_OK_DELETE, 1, {UUIDOID}, NULL, InvalidOid
};

/*
 * Whose rows may refer to a segment: every foreign key to segments, by segment_id or by name, that
 * would refuse its deletion, and what names such a row to people: its title or name, else its
 * primary key.
 */
static SavedPlan referring_tables = {
	"tables that refer to segments",
	"SELECT c.relname::text, pg_catalog.format('%I.%I', n.nspname, c.relname), pg_catalog.quote_ident(a.attname),"
	" coalesce((SELECT pg_catalog.quote_ident(l.attname) FROM pg_catalog.pg_attribute l"
	"    WHERE l.attrelid = c.oid AND NOT l.attisdropped AND l.attname IN ('title', 'name')"
	"    ORDER BY l.attname DESC LIMIT 1),"
	"  (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(l.attname) || '::text', ' || '' '' || ' ORDER BY k.i)"
	"    FROM pg_catalog.pg_index x CROSS JOIN pg_catalog.unnest(x.indkey::int2[]) WITH ORDINALITY k (attnum, i)"
	"    JOIN pg_catalog.pg_attribute l ON l.attrelid = c.oid AND l.attnum = k.attnum"
	"    WHERE x.indrelid = c.oid AND x.indisprimary), '''?'''),"
	" f.confkey[1] = (SELECT n.attnum FROM pg_catalog.pg_attribute n WHERE n.attrelid = f.confrelid AND n.attname = 'name')"
	" FROM pg_catalog.pg_constraint f JOIN pg_catalog.pg_class c ON c.oid = f.conrelid"
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]"
	" WHERE f.contype = 'f' AND f.confrelid = 'adapty.segments'::regclass AND f.conparentid = 0"
	" AND pg_catalog.array_length(f.conkey, 1) = 1 AND f.confdeltype IN ('a', 'r') ORDER BY 1",
	SPI_OK_SELECT, 0, {0}, NULL, InvalidOid
};

/* ---- names ---- */

/* ERROR (PT404): the one wording of "no such segment". */
static void pg_attribute_noreturn()
segment_not_found(const char *name)
{
	ereport(ERROR,
			(condition_errcode(COND_SEGMENT_DOES_NOT_EXIST),
			 errmsg("segment \"%s\" does not exist", name),
			 errhint("The segments there are: SELECT name FROM adapty.segments.")));
}

/* ERROR (22023) if a name cannot name a view. */
static void
check_name(const char *argument, const char *name)
{
	if (strlen(name) > MAX_SEGMENT_NAME)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("%s \"%s...\" is too long", argument, pnstrdup(name, pg_mbcliplen(name, (int) strlen(name), 40))),
				 errdetail("It has %d bytes; at most %d are allowed, as it names a view.", (int) strlen(name), MAX_SEGMENT_NAME)));
	for (const char *c = name; *c != '\0'; c++)
		if ((unsigned char) *c < 0x20 || *c == 0x7f)
			ereport(ERROR,
					(condition_errcode(COND_BASE_ERROR),
					 errmsg("%s must not have control characters", argument)));
}

/* A text argument that names a segment. */
static char *
arg_segment_name(FunctionCallInfo fcinfo, int n, const char *argument)
{
	char	   *name = arg_text(fcinfo, n, argument, true, 10 * NAMEDATALEN);

	check_name(argument, name);
	return name;
}

/*
 * The OID of a segment's view, locked against changes until the end of the transaction; InvalidOid
 * if there is none.  Inside a scope: the owner may look into the schema.
 */
static Oid
lock_view(const char *name)
{
	if (strlen(name) > MAX_SEGMENT_NAME)
		return InvalidOid;
	return RangeVarGetRelidExtended(makeRangeVar("adapty_segments", pstrdup(name), -1), AccessShareLock,
									RVR_MISSING_OK, NULL, NULL);
}

/* See segment.h. */
char *
segment_view(const char *name)
{
	if (!OidIsValid(lock_view(name)))
		segment_not_found(name);
	return pstrdup(quote_qualified_identifier("adapty_segments", name));
}

/* See segment.h. */
void
segment_find(const char *name, pg_uuid_t *segment_id)
{
	Datum		values[1] = {CStringGetTextDatum(name)};
	bool		isnull;

	if (plan_execute(&find_segment, values, NULL, false) == 0)
		segment_not_found(name);
	*segment_id = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

/* See segment.h. */
char *
segment_name(const pg_uuid_t *segment_id)
{
	Datum		values[1] = {UUIDPGetDatum(segment_id)};

	if (plan_execute(&name_segment, values, NULL, false) == 0)
		return NULL;
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

/* ---- making and changing ---- */

/* A segment as it is, locked. */
typedef struct LockedSegment
{
	pg_uuid_t	segment_id;
	char	   *filter;
	char	   *description;	/* NULL for none */
} LockedSegment;

/* Locks a segment that will be changed; ERROR if there is none, or it is predefined and may not be. */
static void
segment_lock(const char *name, const char *change, LockedSegment *segment)
{
	Datum		values[1] = {CStringGetTextDatum(name)};
	TupleDesc	desc;
	HeapTuple	row;
	bool		isnull;

	if (plan_execute(&lock_segment, values, NULL, false) == 0)
		segment_not_found(name);
	desc = SPI_tuptable->tupdesc;
	row = SPI_tuptable->vals[0];
	segment->segment_id = *DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
	segment->filter = SPI_getvalue(row, desc, 3);
	segment->description = SPI_getvalue(row, desc, 4);
	if (change != NULL && DatumGetBool(SPI_getbinval(row, desc, 2, &isnull)))
		ereport(ERROR,
				(condition_errcode(COND_MAINTAINED_BY_ADAPTY),
				 errmsg("segment \"%s\" is predefined and cannot be %s", name, change),
				 errhint("Make a copy to change: SELECT adapty.duplicate_segment(%s, 'new name').", quote_literal_cstr(name))));
}

/* Inserts a segment; false if its name is taken. */
static bool
segment_insert(const char *name, const char *filter, const char *description, pg_uuid_t *segment_id)
{
	Datum		values[3] = {CStringGetTextDatum(name), CStringGetTextDatum(filter), (Datum) 0};
	bool		isnull;

	if (description != NULL)
		values[2] = CStringGetTextDatum(description);
	if (plan_execute(&insert_segment, values, description == NULL ? "  n" : NULL, false) == 0)
		return false;
	*segment_id = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	return true;
}

/* ERROR (23505): the name is taken. */
static void pg_attribute_noreturn()
report_exists(const char *name)
{
	ereport(ERROR,
			(condition_errcode(COND_SEGMENT_EXISTS),
			 errmsg("segment \"%s\" exists already", name),
			 errhint("Change it by adapty.alter_segment(), or take another name.")));
}

/* The filter argument n as text; NULL if it is null. */
static char *
arg_filter(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring((text *) PG_GETARG_SEGMENT_FILTER(n));
}

/* create_segment(name, filter, description): its segment_id. */
Datum
adapty_create_segment(PG_FUNCTION_ARGS)
{
	char	   *name = arg_segment_name(fcinfo, 0, "name");
	char	   *filter = arg_filter(fcinfo, 1);
	char	   *description = arg_text(fcinfo, 2, "description", false, MAX_DESCRIPTION);
	pg_uuid_t  *segment_id = palloc(sizeof(pg_uuid_t));
	ApiScope	scope;

	refuse_unless_writable(fcinfo);
	if (filter == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("filter must not be null"),
				 errhint("The filter of all users is \"everyone\".")));
	scope_enter(&scope);
	attribute_definitions_warn(segment_filter_tree(PG_GETARG_SEGMENT_FILTER(1)));
	if (!segment_insert(name, filter, description, segment_id))
		report_exists(name);
	scope_leave(&scope);
	PG_RETURN_UUID_P(segment_id);
}

/* alter_segment(name, filter, description): null leaves as it is. */
Datum
adapty_alter_segment(PG_FUNCTION_ARGS)
{
	char	   *name = arg_segment_name(fcinfo, 0, "name");
	char	   *filter = arg_filter(fcinfo, 1);
	char	   *description = arg_text(fcinfo, 2, "description", false, MAX_DESCRIPTION);
	char		nulls[4] = "   ";
	Datum		values[3] = {0};
	LockedSegment segment;
	ApiScope	scope;

	refuse_unless_writable(fcinfo);
	nulls[1] = filter == NULL ? 'n' : ' ';
	nulls[2] = description == NULL ? 'n' : ' ';
	if (filter != NULL)
		values[1] = CStringGetTextDatum(filter);
	if (description != NULL)
		values[2] = CStringGetTextDatum(description);
	scope_enter(&scope);
	segment_lock(name, "altered", &segment);
	if (filter != NULL)
		attribute_definitions_warn(segment_filter_tree(PG_GETARG_SEGMENT_FILTER(1)));
	values[0] = UUIDPGetDatum(&segment.segment_id);
	plan_execute(&update_segment, values, nulls, false);
	scope_leave(&scope);
	PG_RETURN_VOID();
}

/* rename_segment(name, new_name): whoever uses it goes on to. */
Datum
adapty_rename_segment(PG_FUNCTION_ARGS)
{
	char	   *name = arg_segment_name(fcinfo, 0, "name");
	char	   *new_name = arg_segment_name(fcinfo, 1, "new_name");
	Datum		values[2];
	LockedSegment segment;
	ApiScope	scope;

	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	segment_lock(name, "renamed", &segment);
	if (strcmp(name, new_name) != 0)
	{
		values[0] = CStringGetTextDatum(new_name);
		if (plan_execute(&find_segment, values, NULL, false) > 0)
			report_exists(new_name);
		values[0] = UUIDPGetDatum(&segment.segment_id);
		values[1] = CStringGetTextDatum(new_name);
		plan_execute(&rename_segment, values, NULL, false);
	}
	scope_leave(&scope);
	PG_RETURN_VOID();
}

/* The first rows of one table that refer to a segment, added to a list for an error. */
static void
list_users(StringInfo list, const char *table, const char *qualified, const char *column, const char *label,
		   Oid type, Datum value)
{
	char	   *sql = psprintf("SELECT %s FROM %s WHERE %s = $1 ORDER BY 1 LIMIT %d", label, qualified, column, SHOWN_USERS + 1);

	if (SPI_execute_with_args(sql, 1, &type, &value, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look for users of a segment in %s", qualified);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *name = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);

		if (list->len > 0)
			appendStringInfoString(list, ", ");
		if (i == SHOWN_USERS)
			appendStringInfo(list, "other %s", table);
		else
			appendStringInfo(list, "%s \"%s\"", table, name == NULL ? "" : name);
	}
}

/* ERROR (23503), naming who, if a segment is in use. */
static void
check_unused(const char *name, const pg_uuid_t *segment_id)
{
	uint64		n = plan_execute(&referring_tables, NULL, NULL, false);
	SPITupleTable *tables = SPI_tuptable;
	StringInfoData list;

	initStringInfo(&list);
	for (uint64 i = 0; i < n; i++)
	{
		HeapTuple	row = tables->vals[i];
		TupleDesc	desc = tables->tupdesc;
		bool		isnull;
		bool		by_name = DatumGetBool(SPI_getbinval(row, desc, 5, &isnull));

		list_users(&list, SPI_getvalue(row, desc, 1), SPI_getvalue(row, desc, 2), SPI_getvalue(row, desc, 3),
				   SPI_getvalue(row, desc, 4), by_name ? TEXTOID : UUIDOID,
				   by_name ? CStringGetTextDatum(name) : UUIDPGetDatum(segment_id));
	}
	if (list.len > 0)
		ereport(ERROR,
				(condition_errcode(COND_SEGMENT_IN_USE),
				 errmsg("segment \"%s\" is in use", name),
				 errdetail("It is used by %s.", list.data),
				 errhint("Give them another segment first.")));
}

/* drop_segment(name) */
Datum
adapty_drop_segment(PG_FUNCTION_ARGS)
{
	char	   *name = arg_segment_name(fcinfo, 0, "name");
	Datum		values[1];
	LockedSegment segment;
	ApiScope	scope;

	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	segment_lock(name, "dropped", &segment);
	check_unused(name, &segment.segment_id);
	values[0] = UUIDPGetDatum(&segment.segment_id);
	plan_execute(&delete_segment, values, NULL, false);
	scope_leave(&scope);
	PG_RETURN_VOID();
}

/* "name (copy)", "name (copy 2)" ...: shortened so that it fits. */
static char *
copy_name(const char *name, int number)
{
	char	   *suffix = number == 1 ? pstrdup(" (copy)") : psprintf(" (copy %d)", number);
	int			room = MAX_SEGMENT_NAME - (int) strlen(suffix);

	return psprintf("%s%s", pnstrdup(name, pg_mbcliplen(name, (int) strlen(name), room)), suffix);
}

/* duplicate_segment(name, new_name): the name of the copy, "name (copy)" if none is given. */
Datum
adapty_duplicate_segment(PG_FUNCTION_ARGS)
{
	char	   *name = arg_segment_name(fcinfo, 0, "name");
	char	   *new_name = PG_ARGISNULL(1) ? NULL : arg_segment_name(fcinfo, 1, "new_name");
	char	   *made = NULL;
	LockedSegment segment;
	pg_uuid_t	segment_id;
	MemoryContext caller = CurrentMemoryContext;
	ApiScope	scope;

	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	segment_lock(name, NULL, &segment);
	if (new_name != NULL && !segment_insert(new_name, segment.filter, segment.description, &segment_id))
		report_exists(new_name);
	for (int i = 1; new_name == NULL && made == NULL; i++)
	{
		char	   *candidate = copy_name(name, i);

		CHECK_FOR_INTERRUPTS();
		if (segment_insert(candidate, segment.filter, segment.description, &segment_id))
			made = MemoryContextStrdup(caller, candidate);
	}
	scope_leave(&scope);
	PG_RETURN_TEXT_P(cstring_to_text(new_name != NULL ? new_name : made));
}

/* ---- asking ---- */

/* segment_count(name): how many profiles are in it now. */
Datum
adapty_segment_count(PG_FUNCTION_ARGS)
{
	char	   *name = arg_segment_name(fcinfo, 0, "name");
	ApiScope	scope;
	int64		count;
	bool		isnull;

	scope_enter(&scope);
	if (SPI_execute(psprintf("SELECT pg_catalog.count(*) FROM %s", segment_view(name)), true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not count segment \"%s\"", name);
	count = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	scope_leave(&scope);
	PG_RETURN_INT64(count);
}

/* segment_sample(name, sample_size): so many members, drawn at random. */
Datum
adapty_segment_sample(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *name = arg_segment_name(fcinfo, 0, "name");
	int			size = PG_ARGISNULL(1) ? -1 : PG_GETARG_INT32(1);
	ApiScope	scope;
	char	   *sql;

	if (size < 1 || size > MAX_SAMPLE)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("sample_size must be from 1 to %d", MAX_SAMPLE)));
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	scope_enter(&scope);
	sql = psprintf("SELECT profile_id FROM %s ORDER BY pg_catalog.random() LIMIT %d", segment_view(name), size);
	if (SPI_execute(sql, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not draw a sample of segment \"%s\"", name);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
	}
	scope_leave(&scope);
	return (Datum) 0;
}

/* The label of the argument that is a platform; NULL if it is null. */
static char *
arg_platform(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : DatumGetCString(DirectFunctionCall1(enum_out, PG_GETARG_DATUM(n)));
}

/* segment_sql(filter, platform): the SELECT that a segment with this filter is. */
Datum
adapty_segment_sql(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(segment_select(segment_filter_tree(PG_GETARG_SEGMENT_FILTER(0)), arg_platform(fcinfo, 1))));
}

/* ---- membership ---- */

/*
 * The plan of "is this profile in the segment" for each segment, and platform, that this session has
 * asked about.  It is a generic plan: the look-up by profile_id is the best there is for any
 * profile, so that asking for each row of a set plans nothing.
 */
typedef struct MembershipPlan
{
	char		key[NAMEDATALEN + 16];	/* "platform/name"; no platform asks the view */
	SPIPlanPtr	plan;			/* NULL if there is none yet */
	Oid			view;			/* what it was made for */
	Oid			extension;
	char	   *filter;			/* of a plan that does not ask the view; NULL else */
} MembershipPlan;

static HTAB *membership_plans = NULL;

/* The entry of a segment and platform. */
static MembershipPlan *
membership_entry(const char *name, const char *platform)
{
	MembershipPlan *entry;
	char		key[NAMEDATALEN + 16] = {0};
	bool		found;

	if (membership_plans == NULL)
	{
		HASHCTL		control = {0};

		control.keysize = sizeof(key);
		control.entrysize = sizeof(MembershipPlan);
		control.hcxt = TopMemoryContext;
		membership_plans = hash_create("adapty segments", 32, &control, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	}
	snprintf(key, sizeof(key), "%s/%s", platform == NULL ? "" : platform, name);
	entry = hash_search(membership_plans, key, HASH_ENTER, &found);
	if (!found)
	{
		entry->plan = NULL;
		entry->filter = NULL;
	}
	return entry;
}

/* Lets go of an entry's plan. */
static void
membership_forget(MembershipPlan *entry)
{
	SPIPlanPtr	plan = entry->plan;
	char	   *filter = entry->filter;

	entry->plan = NULL;
	entry->filter = NULL;
	if (plan != NULL)
		SPI_freeplan(plan);
	if (filter != NULL)
		pfree(filter);
}

/* The filter of a segment as text; inside a scope. */
static char *
stored_filter(const char *name)
{
	Datum		values[1] = {CStringGetTextDatum(name)};

	if (plan_execute(&read_filter, values, NULL, true) == 0)
		segment_not_found(name);
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

/* The plan for a segment whose view is locked; inside a scope. */
static SPIPlanPtr
membership_plan(const char *name, const char *platform, Oid view)
{
	MembershipPlan *entry = membership_entry(name, platform);
	char	   *filter = platform == NULL ? NULL : stored_filter(name);
	const char *members;
	Oid			types[1] = {UUIDOID};
	SPIPlanPtr	plan;

	if (entry->plan != NULL && entry->view == view && entry->extension == ext_state()->extension &&
		(filter == NULL || strcmp(filter, entry->filter) == 0))
		return entry->plan;
	membership_forget(entry);
	if (filter == NULL)
		members = quote_qualified_identifier("adapty_segments", name);
	else
	{
		SegmentFilter *value = (SegmentFilter *) cstring_to_text(filter);

		members = psprintf("(%s) s", segment_select(segment_filter_tree(value), platform));
	}
	plan = SPI_prepare_cursor(psprintf("SELECT 1 FROM %s WHERE profile_id = $1", members), 1, types, CURSOR_OPT_GENERIC_PLAN);
	if (plan == NULL || SPI_keepplan(plan) != 0)
		elog(ERROR, "could not prepare the look-up in segment \"%s\"", name);
	entry->filter = filter == NULL ? NULL : MemoryContextStrdup(TopMemoryContext, filter);
	entry->plan = plan;
	entry->view = view;
	entry->extension = ext_state()->extension;
	return plan;
}

/* Is the profile in the segment, by the devices of one platform; NULL for all? */
static bool
contains_on_platform(const char *name, const char *platform, const pg_uuid_t *profile_id)
{
	Datum		values[1] = {UUIDPGetDatum(profile_id)};
	ApiScope	scope;
	Oid			view;
	bool		found;

	scope_enter(&scope);
	view = lock_view(name);
	if (!OidIsValid(view))
		segment_not_found(name);
	if (SPI_execute_plan(membership_plan(name, platform, view), values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look up segment \"%s\"", name);
	found = SPI_processed > 0;
	scope_leave(&scope);
	return found;
}

/* See segment.h. */
bool
segment_contains(const char *name, const pg_uuid_t *profile_id)
{
	return contains_on_platform(name, NULL, profile_id);
}

/* in_segment(user, name, platform): false for a user who is not there. */
static Datum
in_segment(FunctionCallInfo fcinfo, UserRef user)
{
	char	   *name = arg_segment_name(fcinfo, 1, "name");
	pg_uuid_t	profile_id;

	PG_RETURN_BOOL(user_lookup(&user, NULL, &profile_id) &&
				   contains_on_platform(name, arg_platform(fcinfo, 2), &profile_id));
}

FUNCTION_BY_USER(in_segment);
