/*
 * feed_consumer.c
 *		Consumers of the event feed whose positions are kept: the only writer of event_consumers.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "base/arg.h"
#include "base/errors.h"
#include "base/plans.h"
#include "domain/feed.h"

#define MAX_CONSUMER_ID 64

PG_FUNCTION_INFO_V1(adapty_define_event_consumer);
PG_FUNCTION_INFO_V1(adapty_event_consumer);
PG_FUNCTION_INFO_V1(adapty_acknowledge_events);
PG_FUNCTION_INFO_V1(adapty_delete_event_consumer);

static SavedPlan define_consumer = {
	"define event consumer",
	"INSERT INTO adapty.event_consumers AS c (consumer_id, cursor, event_types)"
	" VALUES ($1, $2, $3::pg_catalog.text[]::adapty.event_type[])"
	" ON CONFLICT (consumer_id) DO UPDATE SET event_types = EXCLUDED.event_types RETURNING c.cursor",
	SPI_OK_INSERT_RETURNING, 3, {TEXTOID, TEXTOID, TEXTARRAYOID}, NULL, InvalidOid
};

static SavedPlan find_consumer = {
	"event consumer",
	"SELECT c.cursor, c.event_types::pg_catalog.text[] FROM adapty.event_consumers c WHERE c.consumer_id = $1",
	SPI_OK_SELECT, 1, {TEXTOID}, NULL, InvalidOid
};

static SavedPlan acknowledge = {
	"acknowledge events",
	"UPDATE adapty.event_consumers c SET cursor = $2, acknowledged = c.acknowledged + 1,"
	" acknowledged_at = pg_catalog.now() WHERE c.consumer_id = $1",
	SPI_OK_UPDATE, 2, {TEXTOID, TEXTOID}, NULL, InvalidOid
};

static SavedPlan delete_consumer = {
	"delete event consumer",
	"DELETE FROM adapty.event_consumers c WHERE c.consumer_id = $1",
	SPI_OK_DELETE, 1, {TEXTOID}, NULL, InvalidOid
};

/* Argument 0, the consumer's name: ERROR (22004, 22023) if it cannot be one. */
static char *
arg_consumer(FunctionCallInfo fcinfo)
{
	char	   *name = arg_text(fcinfo, 0, "consumer_id", true, MAX_CONSUMER_ID);

	if (strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") != strlen(name))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("consumer_id \"%s\" is not valid", name),
				 errhint("Use 1 to 64 letters, digits, \"_\", \".\" or \"-\".")));
	return name;
}

/* ERROR: there is no such consumer. */
static void
report_unknown(const char *name)
{
	ereport(ERROR,
			(condition_errcode(COND_EVENT_CONSUMER_DOES_NOT_EXIST),
			 errmsg("event consumer \"%s\" does not exist", name),
			 errhint("Make it with adapty.define_event_consumer('%s').", name)));
}

/* adapty.define_event_consumer(consumer_id, types, from_start) */
Datum
adapty_define_event_consumer(PG_FUNCTION_ARGS)
{
	char	   *name = arg_consumer(fcinfo);
	bool		from_start = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	Datum		args[3];
	char		nulls[3] = {' ', ' ', ' '};
	FeedCursor	cursor;
	ApiScope	scope;
	bool		isnull;
	Datum		result;

	refuse_unless_writable(fcinfo);
	args[0] = CStringGetTextDatum(name);
	nulls[1] = from_start ? 'n' : ' ';
	if (!from_start)
	{
		feed_cursor_now(&cursor);
		args[1] = CStringGetTextDatum(feed_cursor_text(&cursor));
	}
	nulls[2] = PG_ARGISNULL(1) ? 'n' : ' ';
	if (!PG_ARGISNULL(1))
		args[2] = feed_types_as_text(PG_GETARG_ARRAYTYPE_P(1));
	scope_enter(&scope);
	plan_execute(&define_consumer, args, nulls, false);
	result = scope_copy(&scope, 0, 1, &isnull);
	scope_leave(&scope);
	if (isnull)
		PG_RETURN_NULL();
	return result;
}

/* adapty._event_consumer(consumer_id): its position and types. */
Datum
adapty_event_consumer(PG_FUNCTION_ARGS)
{
	char	   *name = arg_consumer(fcinfo);
	Datum		arg = CStringGetTextDatum(name);
	Datum		values[2];
	bool		nulls[2];
	TupleDesc	desc;
	ApiScope	scope;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	scope_enter(&scope);
	if (plan_execute(&find_consumer, &arg, NULL, true) == 0)
		report_unknown(name);
	for (int i = 0; i < 2; i++)
		values[i] = scope_copy(&scope, 0, i + 1, &nulls[i]);
	scope_leave(&scope);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/* adapty.acknowledge_events(consumer_id, cursor) */
Datum
adapty_acknowledge_events(PG_FUNCTION_ARGS)
{
	char	   *name = arg_consumer(fcinfo);
	Datum		args[2];
	FeedCursor	cursor;
	ApiScope	scope;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("cursor must not be null"),
				 errhint("Pass the cursor of the last event that was processed.")));
	refuse_unless_writable(fcinfo);
	feed_cursor_parse(text_to_cstring(PG_GETARG_TEXT_PP(1)), &cursor);
	args[0] = CStringGetTextDatum(name);
	args[1] = PG_GETARG_DATUM(1);
	scope_enter(&scope);
	if (plan_execute(&acknowledge, args, NULL, false) == 0)
		report_unknown(name);
	scope_leave(&scope);
	PG_RETURN_VOID();
}

/* adapty.delete_event_consumer(consumer_id) */
Datum
adapty_delete_event_consumer(PG_FUNCTION_ARGS)
{
	Datum		arg = CStringGetTextDatum(arg_consumer(fcinfo));
	ApiScope	scope;
	uint64		n;

	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	n = plan_execute(&delete_consumer, &arg, NULL, false);
	scope_leave(&scope);
	PG_RETURN_BOOL(n > 0);
}
