/*
 * plans.c
 *		SPI on the extension's own tables: acting as their owner, and saved plans.
 *
 * A saved plan belongs to one generation of the extension (its OID): DROP and CREATE EXTENSION in
 * one session make it stale, and it is prepared again.  Every plan is prepared and run with the
 * same pinned search_path, so that a caller's path neither changes what a name means nor makes the
 * plan cache analyse the statement again.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "base/ext_state.h"
#include "base/plans.h"

/*
 * Becomes the owner of the extension's tables with a safe search_path, and connects to SPI.
 * SECURITY_LOCAL_USERID_CHANGE forbids SET ROLE meanwhile.
 */
void
scope_enter(ApiScope *scope)
{
	const ExtState *ext = ext_state();

	scope->caller_context = CurrentMemoryContext;
	GetUserIdAndSecContext(&scope->caller, &scope->sec_context);
	SetUserIdAndSecContext(ext->owner, scope->sec_context | SECURITY_LOCAL_USERID_CHANGE);
	scope->guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

/* Undoes scope_enter(); what was allocated since is gone unless it was copied out. */
void
scope_leave(ApiScope *scope)
{
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	AtEOXact_GUC(false, scope->guc_level);
	SetUserIdAndSecContext(scope->caller, scope->sec_context);
}

/* Prepares a statement for the SPI connection that is open. */
static SPIPlanPtr
prepare(SavedPlan *plan, int cursor_options)
{
	SPIPlanPtr	prepared;

	Assert(plan->nargs <= PLAN_MAX_ARGS);
	prepared = SPI_prepare_cursor(plan->sql, plan->nargs, plan->argtypes, cursor_options);
	if (prepared == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", plan->name, SPI_result_code_string(SPI_result));
	return prepared;
}

/* Prepares a plan for this generation of the extension, dropping one of an earlier. */
static void
plan_prepare(SavedPlan *plan, int cursor_options)
{
	SPIPlanPtr	prepared;

	if (plan->plan != NULL)
	{
		SPIPlanPtr	stale = plan->plan;

		plan->plan = NULL;
		SPI_freeplan(stale);
	}
	prepared = prepare(plan, cursor_options);
	if (SPI_keepplan(prepared) != 0)
		elog(ERROR, "could not keep the plan of \"%s\"", plan->name);
	plan->plan = prepared;
	plan->extension = ext_state()->extension;
}

/* The plan, prepared if it is not or belongs to an extension that is gone. */
static SPIPlanPtr
plan_ready(SavedPlan *plan, int cursor_options)
{
	if (plan->plan == NULL || plan->extension != ext_state()->extension)
		plan_prepare(plan, cursor_options);
	return plan->plan;
}

/* See plans.h. */
Portal
plan_open_cursor(SavedPlan *plan)
{
	return SPI_cursor_open(NULL, plan_ready(plan, 0), NULL, NULL, false);
}

/* Executes a prepared plan. */
static uint64
execute(SavedPlan *plan, SPIPlanPtr prepared, Datum *values, const char *nulls, bool read_only)
{
	int			result = SPI_execute_plan(prepared, values, nulls, read_only, 0);

	if (result != plan->expected)
		elog(ERROR, "\"%s\" returned %s", plan->name, SPI_result_code_string(result));
	return SPI_processed;
}

/* See plans.h. */
uint64
plan_execute(SavedPlan *plan, Datum *values, const char *nulls, bool read_only)
{
	return execute(plan, plan_ready(plan, 0), values, nulls, read_only);
}

/*
 * Plans a statement for look-ups by index whatever the tables hold now.  A plan that is made while
 * they are empty would read them as a whole, and would go on to do so when they have grown, until
 * somebody analyses them: loading a new database by calls of our functions would take the square of
 * its rows.
 */
static void
plan_by_index(SPIPlanPtr prepared)
{
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(prepared));
	/* what cannot be done by index counts as so dear that the server would compile it */
	static const char *const settings[] = {
		"enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit"
	};
	CachedPlan *planned;
	int			guc_level;

	if (source->is_valid && source->gplan != NULL && source->gplan->is_valid)
		return;
	guc_level = NewGUCNestLevel();
	for (int i = 0; i < (int) lengthof(settings); i++)
		(void) set_config_option(settings[i], "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
								 true, 0, false);
	planned = SPI_plan_get_cached_plan(prepared);
	if (planned != NULL)
		ReleaseCachedPlan(planned, CurrentResourceOwner);
	AtEOXact_GUC(false, guc_level);
}

/* See plans.h. */
uint64
plan_execute_generic(SavedPlan *plan, Datum *values, const char *nulls, bool read_only)
{
	SPIPlanPtr	prepared = plan_ready(plan, CURSOR_OPT_GENERIC_PLAN);

	plan_by_index(prepared);
	return execute(plan, prepared, values, nulls, read_only);
}

/* See plans.h. */
uint64
plan_execute_once(SavedPlan *plan, Datum *values, Snapshot snapshot)
{
	SPIPlanPtr	prepared = prepare(plan, 0);
	int			result = SPI_execute_snapshot(prepared, values, NULL,
											  snapshot == NULL ? InvalidSnapshot : snapshot,
											  InvalidSnapshot, false, true, 0);

	if (result != plan->expected)
		elog(ERROR, "\"%s\" returned %s", plan->name, SPI_result_code_string(result));
	SPI_freeplan(prepared);
	return SPI_processed;
}

/* See plans.h. */
Portal
plan_open_cursor_once(SavedPlan *plan, Datum *values, Snapshot snapshot)
{
	SPIPlanPtr	prepared = prepare(plan, 0);
	Portal		portal;

	if (snapshot != NULL)
		PushActiveSnapshot(snapshot);
	portal = SPI_cursor_open(NULL, prepared, values, NULL, snapshot != NULL);
	if (snapshot != NULL)
		PopActiveSnapshot();
	SPI_freeplan(prepared);
	return portal;
}

/* See plans.h. */
Datum
plan_return_rows(FunctionCallInfo fcinfo, SavedPlan *plan, Datum *values)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ApiScope	scope;
	uint64		n;

	InitMaterializedSRF(fcinfo, 0);
	scope_enter(&scope);
	n = plan_execute(plan, values, NULL, true);
	for (uint64 i = 0; i < n; i++)
	{
		Datum	   *columns = palloc(sizeof(Datum) * SPI_tuptable->tupdesc->natts);
		bool	   *nulls = palloc(sizeof(bool) * SPI_tuptable->tupdesc->natts);

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, columns, nulls);
		tuplestore_putvalues(result->setResult, result->setDesc, columns, nulls);
	}
	scope_leave(&scope);
	return (Datum) 0;
}

/* See plans.h. */
Datum
scope_copy(const ApiScope *scope, uint64 row, int column, bool *isnull)
{
	TupleDesc	desc = SPI_tuptable->tupdesc;
	Form_pg_attribute attr = TupleDescAttr(desc, column - 1);
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], desc, column, isnull);
	MemoryContext old;

	if (*isnull)
		return (Datum) 0;
	old = MemoryContextSwitchTo(scope->caller_context);
	/* A compressed or out-of-line value is made plain here, while its row is surely there. */
	if (attr->attlen == -1)
		value = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
	else
		value = datumCopy(value, attr->attbyval, attr->attlen);
	MemoryContextSwitchTo(old);
	return value;
}

/* See plans.h. */
char *
scope_copy_text(const ApiScope *scope, uint64 row, int column)
{
	char	   *value = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);

	return value == NULL ? NULL : MemoryContextStrdup(scope->caller_context, value);
}
