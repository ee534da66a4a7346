/*
 * import.c
 *		Imports of historical transactions: begun, loaded, dropped.  The only writer of imports and
 *		import_errors.
 *
 * COPY fills import_transactions, by the caller's own rights.  load_import() takes the rows that one
 * snapshot shows, does what import_load.h lists, and takes away those that were loaded: rows that
 * arrive meanwhile stay for the next load.  Rows that are wrong stay too, with their reason.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/arg.h"
#include "base/caller.h"
#include "base/errors.h"
#include "base/guc.h"
#include "base/plans.h"
#include "domain/import_load.h"

#define MAX_NAME 255
#define SHOWN_PRODUCTS 10		/* that are not mapped, in warnings */

PG_FUNCTION_INFO_V1(adapty_begin_import);
PG_FUNCTION_INFO_V1(adapty_current_import_id);
PG_FUNCTION_INFO_V1(adapty_drop_import);
PG_FUNCTION_INFO_V1(adapty_load_import);

static SavedPlan begin_plan = {
	.name = "new import",
	.sql = "INSERT INTO adapty.imports (name, actor) VALUES ($1, $2) RETURNING import_id",
	.expected = SPI_OK_INSERT_RETURNING,
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

/* One load of an import at a time. */
static SavedPlan lock_plan = {
	.name = "import",
	.sql = "SELECT FROM adapty.imports i WHERE i.import_id = $1 FOR UPDATE",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {INT4OID},
};

static SavedPlan drop_plan = {
	.name = "import to drop",
	.sql = "DELETE FROM adapty.imports i WHERE i.import_id = $1",
	.expected = SPI_OK_DELETE,
	.nargs = 1,
	.argtypes = {INT4OID},
};

static SavedPlan drop_rows_plan = {
	.name = "rows of an import to drop",
	.sql = "DELETE FROM adapty.import_transactions t WHERE t.import_id = $1",
	.expected = SPI_OK_DELETE,
	.nargs = 1,
	.argtypes = {INT4OID},
};

static SavedPlan forget_errors_plan = {
	.name = "errors of the last load",
	.sql = "DELETE FROM adapty.import_errors e WHERE e.import_id = $1",
	.expected = SPI_OK_DELETE,
	.nargs = 1,
	.argtypes = {INT4OID},
};

static SavedPlan errors_plan = {
	.name = "errors of an import",
	.sql = "INSERT INTO adapty.import_errors (import_id, row_id, line, column_name, reason, detail) "
	"SELECT $1, b.row_id, b.line, b.column_name, b.reason, b.detail FROM import_rejected b "
	"ON CONFLICT DO NOTHING",
	.expected = SPI_OK_INSERT,
	.nargs = 1,
	.argtypes = {INT4OID},
};

static SavedPlan lines_plan = {
	.name = "lines of an import's rows",
	.sql = "UPDATE adapty.import_transactions t SET line = b.line FROM import_rejected b "
	"WHERE t.import_id = $1 AND t.row_id = b.row_id AND t.line IS NULL",
	.expected = SPI_OK_UPDATE,
	.nargs = 1,
	.argtypes = {INT4OID},
};

static SavedPlan loaded_rows_plan = {
	.name = "loaded rows of an import",
	.sql = "DELETE FROM adapty.import_transactions t WHERE t.import_id = $1 "
	"AND NOT EXISTS (SELECT FROM import_rejected b WHERE b.row_id = t.row_id)",
	.expected = SPI_OK_DELETE,
	.nargs = 1,
	.argtypes = {INT4OID},
};

static SavedPlan count_plan = {
	.name = "counts of an import",
	.sql = "UPDATE adapty.imports i SET loaded_at = pg_catalog.now(), loaded = i.loaded + $2, "
	"    known = i.known + $3, without_purchase = i.without_purchase + $4, rejected = $5, "
	"    unmapped = i.unmapped + $6, profiles_created = i.profiles_created + $7 "
	"WHERE i.import_id = $1",
	.expected = SPI_OK_UPDATE,
	.nargs = 7,
	.argtypes = {INT4OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID},
};

/* Argument 0: ERROR (22004) if null. */
static int32
arg_import_id(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("import_id must not be null")));
	return PG_GETARG_INT32(0);
}

/* ERROR (PT404): no such import. */
static void
import_not_found(int32 import_id)
{
	ereport(ERROR,
			(condition_errcode(COND_IMPORT_DOES_NOT_EXIST),
			 errmsg("import %d does not exist", import_id),
			 errhint("The imports are in adapty.imports; adapty.begin_import() begins one.")));
}

/* Locks an import; false if there is none of that id.  Inside a scope. */
static bool
lock_import(int32 import_id)
{
	Datum		value = Int32GetDatum(import_id);

	return plan_execute(&lock_plan, &value, NULL, false) > 0;
}

/* The session's import from now on, as far as the transaction commits; 0 for none. */
static void
set_current_import(int32 import_id)
{
	(void) set_config_option("adapty.import_id", psprintf("%d", import_id), PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SET, true, 0, false);
}

/* adapty.begin_import(name): see the function's COMMENT. */
Datum
adapty_begin_import(PG_FUNCTION_ARGS)
{
	char	   *name = arg_text(fcinfo, 0, "name", false, MAX_NAME);
	char	   *actor = caller_actor();
	Datum		values[2];
	ApiScope	scope;
	int32		import_id;
	bool		isnull;

	refuse_unless_writable(fcinfo);
	values[0] = name == NULL ? (Datum) 0 : CStringGetTextDatum(name);
	values[1] = CStringGetTextDatum(actor);
	scope_enter(&scope);
	(void) plan_execute(&begin_plan, values, name == NULL ? "n " : NULL, false);
	import_id = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	scope_leave(&scope);
	set_current_import(import_id);
	PG_RETURN_INT32(import_id);
}

/* adapty.current_import_id(): ERROR (55000) if the session has begun none. */
Datum
adapty_current_import_id(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	if (adapty_import_id == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no import was begun in this session"),
				 errhint("Begin one: SELECT adapty.begin_import('a name'); or go on with one: SET adapty.import_id = ...;")));
	PG_RETURN_INT32(adapty_import_id);
}

/*
 * adapty.drop_import(import_id): see the function's COMMENT.  Also takes rows that were copied for an
 * import that is gone.
 */
Datum
adapty_drop_import(PG_FUNCTION_ARGS)
{
	int32		import_id = arg_import_id(fcinfo);
	Datum		value = Int32GetDatum(import_id);
	ApiScope	scope;
	bool		exists;
	uint64		n;

	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	exists = lock_import(import_id);
	n = plan_execute(&drop_rows_plan, &value, NULL, false);
	if (!exists && n == 0)
		import_not_found(import_id);
	(void) plan_execute(&drop_plan, &value, NULL, false);
	scope_leave(&scope);
	/* rows that this session copies after this must not go to an import that is gone */
	if (adapty_import_id == import_id)
		set_current_import(0);
	PG_RETURN_INT64((int64) n);
}

/* See import_load.h. */
RowSet *
import_set(ImportLoad *load, const char *name, const RowSetColumn *columns, int n_columns)
{
	MemoryContext old = MemoryContextSwitchTo(load->context);
	RowSet	   *set = row_set_create(name, columns, n_columns);

	load->sets = lappend(load->sets, set);
	MemoryContextSwitchTo(old);
	return set;
}

/* See import_load.h. */
RowSet *
import_set_like(ImportLoad *load, const char *name, TupleDesc desc)
{
	MemoryContext old = MemoryContextSwitchTo(load->context);
	RowSet	   *set = row_set_create_like(name, desc);

	load->sets = lappend(load->sets, set);
	MemoryContextSwitchTo(old);
	return set;
}

/* See import_load.h. */
int
import_sets_only(void)
{
	int			guc_level = NewGUCNestLevel();

	(void) set_config_option("enable_nestloop", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return guc_level;
}

/* For qsort() and bsearch(). */
static int
compare_row_ids(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return x < y ? -1 : x > y;
}

/*
 * The set of rejected rows with their lines: a row without one is as many lines below the header as
 * it has predecessors in the order of arrival.
 */
static void
register_rejected(ImportLoad *load)
{
	RowSet	   *rejected = import_set_like(load, "import_rejected", load->bad->desc);
	TupleTableSlot *slot = row_set_begin(load->bad);

	if (load->bad->n > 0)
		qsort(load->row_ids, load->n_row_ids, sizeof(int64), compare_row_ids);
	while (row_set_next(load->bad, slot))
	{
		int64		row_id;

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		row_id = DatumGetInt64(slot->tts_values[0]);
		if (DatumGetInt64(slot->tts_values[1]) == 0)
		{
			int64	   *found = bsearch(&row_id, load->row_ids, load->n_row_ids, sizeof(int64), compare_row_ids);

			slot->tts_values[1] = Int64GetDatum(found - load->row_ids + 2);
		}
		row_set_put(rejected, slot->tts_values, slot->tts_isnull);
	}
	ExecDropSingleTupleTableSlot(slot);
	row_set_register(rejected);
}

/* Takes away the rows that were loaded, and says why the others were not. */
static void
put_away(ImportLoad *load, Snapshot snapshot)
{
	Datum		value = Int32GetDatum(load->import_id);
	Datum		counts[7] = {value, Int64GetDatum(load->loaded), Int64GetDatum(load->known),
		Int64GetDatum(load->without_purchase), Int64GetDatum(load->rejected),
	Int64GetDatum(load->unmapped), Int64GetDatum(load->profiles_created)};
	int			guc_level;

	guc_level = import_sets_only();
	register_rejected(load);
	(void) plan_execute_once(&forget_errors_plan, &value, NULL);
	(void) plan_execute_once(&loaded_rows_plan, &value, snapshot);
	if (load->bad->n > 0)
	{
		(void) plan_execute_once(&lines_plan, &value, NULL);
		(void) plan_execute_once(&errors_plan, &value, NULL);
	}
	(void) plan_execute(&count_plan, counts, NULL, false);
	AtEOXact_GUC(false, guc_level);
}

/* WARNING: store products of the import that are mapped to no product, the first few by name. */
static void
warn_unmapped(const ImportLoad *load)
{
	int			shown = 0;

	for (int i = 0; i < load->n_products; i++)
	{
		const ImportProduct *p = &load->products[i];
		const char *colon = p->store_base_plan_id[0] == '\0' ? "" : ":";

		if (p->n_unmapped == 0)
			continue;
		if (shown++ == SHOWN_PRODUCTS)
		{
			ereport(WARNING,
					(errmsg("more store products of the import are not mapped to a product")));
			return;
		}
		ereport(WARNING,
				(errmsg("store product \"%s%s%s\" of store \"%s\" is not mapped to a product, so " INT64_FORMAT " rows give no access",
						p->store_product_id, colon, p->store_base_plan_id, p->store, p->n_unmapped),
				 errhint("Map it with adapty.define_product(), then copy and load the file again.")));
	}
}

/* Does the work of load_import().  Inside a scope. */
static void
run_load(ImportLoad *load)
{
	char	   *memory = psprintf("%dkB", Max(work_mem, maintenance_work_mem));
	Snapshot	snapshot;
	ListCell   *cell;

	/* The sorts and hashes of a load are maintenance. */
	(void) set_config_option("work_mem", memory, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	if (!lock_import(load->import_id))
		import_not_found(load->import_id);
	CommandCounterIncrement();
	snapshot = RegisterSnapshot(IsolationUsesXactSnapshot() ? GetTransactionSnapshot() : GetLatestSnapshot());
	import_read(load, snapshot);
	import_people(load);
	import_find_known(load);
	import_chains(load);
	import_late(load);
	put_away(load, snapshot);
	UnregisterSnapshot(snapshot);
	foreach(cell, load->sets)
		row_set_drop((RowSet *) lfirst(cell));
}

/* adapty.load_import(import_id, with_events): see the function's COMMENT. */
Datum
adapty_load_import(PG_FUNCTION_ARGS)
{
	ImportLoad	load = {0};
	ApiScope	scope;
	TupleDesc	desc;
	Datum		values[6];
	bool		nulls[6] = {0};

	load.import_id = arg_import_id(fcinfo);
	load.with_events = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	load.actor = caller_actor();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	refuse_unless_writable(fcinfo);
	load.context = AllocSetContextCreate(CurrentMemoryContext, "adapty import", ALLOCSET_DEFAULT_SIZES);
	scope_enter(&scope);
	run_load(&load);
	scope_leave(&scope);
	warn_unmapped(&load);
	if (load.without_rate > 0)
		ereport(WARNING,
				(errmsg("no rate of their currency is known for " INT64_FORMAT " transactions of the import, so they have no price in US dollars",
						load.without_rate),
				 errhint("Set the rates with adapty.set_currency_rate(), then SELECT adapty.apply_currency_rates();")));
	values[0] = Int64GetDatum(load.loaded);
	values[1] = Int64GetDatum(load.known);
	values[2] = Int64GetDatum(load.without_purchase);
	values[3] = Int64GetDatum(load.rejected);
	values[4] = Int64GetDatum(load.unmapped);
	values[5] = Int64GetDatum(load.profiles_created);
	MemoryContextDelete(load.context);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
