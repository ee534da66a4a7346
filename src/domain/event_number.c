/*
 * event_number.c
 *		Numbers of the transactions that write events: what the feed goes by.
 *
 * A number is the transaction's xid plus a base.  In a cluster's own database the base never
 * changes.  A dump that is restored into another cluster brings numbers that have nothing to do
 * with that cluster's xids: before the first event is written there a new base is adopted that puts
 * every new number above all restored ones.  So positions of consumers stay right, whatever
 * happens: restored events keep their numbers, new ones come after them.
 *
 * The bases are rows of event_numbering, one a cluster; the greatest holds.  Two transactions that
 * adopt at the same time find the same base, since neither sees new events; so they need not wait
 * for each other, and a row that is there twice does no harm.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"

#include "base/ext_state.h"
#include "base/plans.h"
#include "domain/event_number.h"

PG_FUNCTION_INFO_V1(adapty_event_number);

static SavedPlan newest_numbering = {
	"newest numbering of events",
	"SELECT n.system_identifier, n.base FROM adapty.event_numbering n"
	" ORDER BY n.base DESC, n.adopted_at DESC LIMIT 1",
	SPI_OK_SELECT, 0, {0}, NULL, InvalidOid
};

static SavedPlan greatest_number = {
	"greatest number of events",
	"SELECT COALESCE(pg_catalog.max(e.xact_number), 0) FROM adapty.events e",
	SPI_OK_SELECT, 0, {0}, NULL, InvalidOid
};

static SavedPlan adopt_numbering = {
	"new numbering of events",
	"INSERT INTO adapty.event_numbering (system_identifier, base) VALUES ($1, $2)",
	SPI_OK_INSERT, 2, {INT8OID, INT8OID}, NULL, InvalidOid
};

/* The base that a committed row says; of the extension with that OID. */
static int64 known_base = 0;
static Oid	known_extension = InvalidOid;

/* The transaction that adopted a base: it and its row may yet be rolled back, so nothing is kept. */
static TransactionId adopting_xid = InvalidTransactionId;

/* A bigint of the plan's first row. */
static int64
result_int64(int column)
{
	bool		isnull;

	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull));
}

/*
 * The base by the tables; *adopted says whether a row holds it.  If not it is the one that will be
 * adopted: above everything that is there.
 */
static int64
read_base(bool *adopted)
{
	int64		system_identifier = (int64) GetSystemIdentifier();
	int64		base = -1;

	*adopted = false;
	if (plan_execute(&newest_numbering, NULL, NULL, false) == 1)
	{
		base = result_int64(2);
		*adopted = result_int64(1) == system_identifier;
	}
	if (*adopted)
		return base;
	plan_execute(&greatest_number, NULL, NULL, false);
	return Max(base + 1, result_int64(1));
}

/* The base for writing: adopts one if this cluster has none. */
static int64
base_for_writing(void)
{
	Oid			extension = ext_state()->extension;
	TransactionId xid = GetTopTransactionId();
	ApiScope	scope;
	bool		adopted;
	int64		base;

	if (known_extension == extension)
		return known_base;
	scope_enter(&scope);
	base = read_base(&adopted);
	if (adopted && adopting_xid != xid)
	{
		known_base = base;
		known_extension = extension;
	}
	else if (!adopted)
	{
		Datum		args[2];

		args[0] = Int64GetDatum((int64) GetSystemIdentifier());
		args[1] = Int64GetDatum(base);
		plan_execute(&adopt_numbering, args, NULL, false);
		adopting_xid = xid;
	}
	scope_leave(&scope);
	return base;
}

/* See event_number.h. */
int64
event_number(void)
{
	return base_for_writing() + (int64) U64FromFullTransactionId(GetTopFullTransactionId());
}

/* See event_number.h. */
int64
event_number_base(void)
{
	ApiScope	scope;
	bool		adopted;
	int64		base;

	if (known_extension == ext_state()->extension)
		return known_base;
	scope_enter(&scope);
	base = read_base(&adopted);
	scope_leave(&scope);
	return base;
}

/* adapty._event_number(): the default of events.xact_number, for rows written by plain SQL. */
Datum
adapty_event_number(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	return Int64GetDatum(event_number());
}
