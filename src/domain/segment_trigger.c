/*
 * segment_trigger.c
 *		The views of segments, kept in step with the rows of adapty.segments.
 *
 * The trigger runs for our own functions, for the owner's plain SQL, and while a dump is restored:
 * then the view is mostly there already, as pg_dump dumps it as any other.  Predefined segments
 * belong to the extension, rows and views, and are changed by its scripts only.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/plans.h"
#include "domain/segment.h"
#include "domain/segment_sql.h"
#include "types/segment_filter.h"

PG_FUNCTION_INFO_V1(adapty_segments_changed);
PG_FUNCTION_INFO_V1(adapty_refresh_segments);

static SavedPlan all_segments = {
	"all segments",
	"SELECT name, filter, is_predefined FROM adapty.segments ORDER BY segment_id",
	SPI_OK_SELECT, 0, {0}, NULL, InvalidOid
};

/* A column of a row of segments. */
static Datum
column(Relation segments, HeapTuple row, const char *name)
{
	TupleDesc	desc = RelationGetDescr(segments);
	bool		isnull;
	Datum		value = SPI_getbinval(row, desc, SPI_fnumber(desc, name), &isnull);

	if (isnull)
		elog(ERROR, "column \"%s\" of a segment is null", name);
	return value;
}

/* A DDL statement of our own; inside a scope. */
static void
run(const char *sql)
{
	if (SPI_execute(sql, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "a segment's view could not be changed");
}

/* Makes a segment's view, or gives it this filter; inside a scope. */
static void
put_view(const char *name, const SegmentFilter *filter)
{
	char	   *view = pstrdup(quote_qualified_identifier("adapty_segments", name));
	Oid			schema = get_namespace_oid("adapty_segments", false);
	bool		is_new = !OidIsValid(get_relname_relid(name, schema));

	run(psprintf("CREATE OR REPLACE VIEW %s AS %s", view, segment_select(segment_filter_tree(filter), NULL)));
	run(psprintf("COMMENT ON VIEW %s IS %s", view, quote_literal_cstr(psprintf("Members of the segment: %s", text_to_cstring((const text *) filter)))));
	if (is_new)
		run(psprintf("GRANT SELECT ON %s TO adapty_server, adapty_analyst", view));
}

/* ERROR (55000): a predefined segment stays as it is. */
static void
refuse_predefined(const char *name)
{
	ereport(ERROR,
			(condition_errcode(COND_MAINTAINED_BY_ADAPTY),
			 errmsg("segment \"%s\" is predefined", name),
			 errdetail("Predefined segments come with the extension and stay as they are.")));
}

/* What the trigger does for a row that comes or changes. */
static void
row_changed(TriggerData *trigger, HeapTuple row, HeapTuple old)
{
	Relation	segments = trigger->tg_relation;
	char	   *name = TextDatumGetCString(column(segments, row, "name"));
	SegmentFilter *filter = (SegmentFilter *) PG_DETOAST_DATUM_PACKED(column(segments, row, "filter"));

	if (DatumGetBool(column(segments, row, "is_predefined")) && !creating_extension)
		refuse_predefined(name);
	if (old != NULL)
	{
		char	   *old_name = TextDatumGetCString(column(segments, old, "name"));

		if (DatumGetBool(column(segments, old, "is_predefined")) && !creating_extension)
			refuse_predefined(old_name);
		if (strcmp(name, old_name) != 0)
			run(psprintf("ALTER VIEW %s RENAME TO %s", quote_qualified_identifier("adapty_segments", old_name),
						 quote_identifier(name)));
	}
	put_view(name, filter);
}

/* Trigger on segments, after each row of INSERT, UPDATE and DELETE, and before TRUNCATE. */
Datum
adapty_segments_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	ApiScope	scope;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("segments_changed must be called by a trigger")));
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		ereport(ERROR,
				(condition_errcode(COND_MAINTAINED_BY_ADAPTY),
				 errmsg("table adapty.segments cannot be truncated"),
				 errhint("Use adapty.drop_segment().")));
	scope_enter(&scope);
	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
	{
		char	   *name = TextDatumGetCString(column(trigger->tg_relation, trigger->tg_trigtuple, "name"));

		if (DatumGetBool(column(trigger->tg_relation, trigger->tg_trigtuple, "is_predefined")))
			refuse_predefined(name);
		run(psprintf("DROP VIEW IF EXISTS %s", quote_qualified_identifier("adapty_segments", name)));
	}
	else if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		row_changed(trigger, trigger->tg_newtuple, trigger->tg_trigtuple);
	else
		row_changed(trigger, trigger->tg_trigtuple, NULL);
	scope_leave(&scope);
	return PointerGetDatum(NULL);
}

/*
 * adapty._refresh_segments(): every view again, as this version writes it.  At the end of the install
 * and of each upgrade script.  Users' views are none of the extension's objects, which a script may
 * not replace: they are replaced as if it were no script.
 */
Datum
adapty_refresh_segments(PG_FUNCTION_ARGS)
{
	bool		in_script = creating_extension;
	SPITupleTable *segments;
	uint64		n;
	ApiScope	scope;

	(void) fcinfo;
	scope_enter(&scope);
	n = plan_execute(&all_segments, NULL, NULL, true);
	segments = SPI_tuptable;
	PG_TRY();
	{
		for (uint64 i = 0; i < n; i++)
		{
			bool		isnull;
			HeapTuple	row = segments->vals[i];
			Datum		filter = SPI_getbinval(row, segments->tupdesc, 2, &isnull);

			creating_extension = in_script && DatumGetBool(SPI_getbinval(row, segments->tupdesc, 3, &isnull));
			put_view(SPI_getvalue(row, segments->tupdesc, 1), (SegmentFilter *) PG_DETOAST_DATUM_PACKED(filter));
		}
	}
	PG_FINALLY();
	{
		creating_extension = in_script;
	}
	PG_END_TRY();
	scope_leave(&scope);
	PG_RETURN_INT64((int64) n);
}
