/*
 * feed.c
 *		Reading the feed of events from a position.
 *
 * Between two moments lie the events of those transactions that the first had not seen the end of
 * and the second has: some that were running at the first, by their numbers, and all that are newer.
 * Both are looked up by the index on (xact_number, recorded_at) of each partition; nothing that has
 * been read is read again, however long a transaction may run meanwhile.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "base/arg.h"
#include "base/errors.h"
#include "base/ext_state.h"
#include "base/plans.h"
#include "domain/event_number.h"
#include "domain/feed.h"

PG_FUNCTION_INFO_V1(adapty_event_page);
PG_FUNCTION_INFO_V1(adapty_event_cursor);

/* In the order of (number, recorded_at, event_id), as positions within a page are. */
static SavedPlan read_events = {
	"events of transactions",
	"SELECT e, e.xact_number, e.recorded_at, e.event_id FROM adapty.events e"
	" WHERE e.xact_number >= $1 AND e.xact_number < $2 AND NOT (e.xact_number = ANY ($3))"
	" AND ROW(e.xact_number, e.recorded_at, e.event_id) > ROW($4, $5, $6)"
	" AND ($7 IS NULL OR e.event_type::pg_catalog.text = ANY ($7))"
	" ORDER BY e.xact_number, e.recorded_at, e.event_id LIMIT $8",
	SPI_OK_SELECT, 8,
	{INT8OID, INT8OID, INT8ARRAYOID, INT8OID, TIMESTAMPTZOID, UUIDOID, TEXTARRAYOID, INT8OID},
	NULL, InvalidOid
};

typedef struct FeedReader
{
	FeedCursor	at;				/* moves with the events that are read */
	Datum		types;			/* text[] of event types, 0 for all */
	int64		wanted;			/* events */
	int64		found;
	char	   *held_cursor;	/* of the last event, which is handed out with the next step */
	Datum		held_event;
	Tuplestorestate *store;
	TupleDesc	desc;
	MemoryContext context;		/* what outlives a statement's result */
} FeedReader;

/* See feed.h. */
Datum
feed_types_as_text(ArrayType *types)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	deconstruct_array(types, ARR_ELEMTYPE(types), sizeof(Oid), true, TYPALIGN_INT, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("types must not contain null")));
		elements[i] = CStringGetTextDatum(enum_label(ENUM_EVENT_TYPE, enum_value(ENUM_EVENT_TYPE, elements[i])));
	}
	return PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Hands out the event that is held, with the cursor that it has by now. */
static void
put_held(FeedReader *reader, const char *cursor)
{
	Datum		values[2] = {CStringGetTextDatum(cursor), reader->held_event};
	bool		nulls[2] = {false, false};

	tuplestore_putvalues(reader->store, reader->desc, values, nulls);
}

/* Takes one row of read_events: the event before it goes out with the position behind it. */
static void
take_event(FeedReader *reader, HeapTuple row, TupleDesc desc)
{
	MemoryContext old = MemoryContextSwitchTo(reader->context);
	bool		isnull;

	if (reader->held_cursor != NULL)
	{
		put_held(reader, reader->held_cursor);
		pfree(reader->held_cursor);
		pfree(DatumGetPointer(reader->held_event));
	}
	reader->held_event = PointerGetDatum(PG_DETOAST_DATUM_COPY(SPI_getbinval(row, desc, 1, &isnull)));
	reader->at.in_page = true;
	reader->at.number = DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull));
	reader->at.recorded_at = DatumGetTimestampTz(SPI_getbinval(row, desc, 3, &isnull));
	reader->at.event_id = *DatumGetUUIDP(SPI_getbinval(row, desc, 4, &isnull));
	reader->held_cursor = feed_cursor_text(&reader->at);
	reader->found++;
	MemoryContextSwitchTo(old);
}

/* See feed.h. */
Datum
feed_running_array(const FeedMoment *moment)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(moment->nxip, 1));

	for (int i = 0; i < moment->nxip; i++)
		elements[i] = Int64GetDatum(moment->xip[i]);
	return PointerGetDatum(construct_array(elements, moment->nxip, INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
										   TYPALIGN_DOUBLE));
}

/*
 * Reads events of numbers from "from" to before "to" that the target had seen the end of, after the
 * position; false if there may be more than were wanted.
 */
static bool
read_range(FeedReader *reader, int64 from, int64 to)
{
	int64		limit = reader->wanted - reader->found;
	bool		resumes = reader->at.in_page && reader->at.number >= from;
	pg_uuid_t	nil = {{0}};
	Datum		args[8];
	char		nulls[8] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '};
	uint64		n;

	if (limit <= 0)
		return false;
	args[0] = Int64GetDatum(from);
	args[1] = Int64GetDatum(to);
	args[2] = feed_running_array(&reader->at.target);
	args[3] = Int64GetDatum(resumes ? reader->at.number : from - 1);
	args[4] = TimestampTzGetDatum(resumes ? reader->at.recorded_at : DT_NOBEGIN);
	args[5] = UUIDPGetDatum(resumes ? &reader->at.event_id : &nil);
	args[6] = reader->types;
	nulls[6] = reader->types == (Datum) 0 ? 'n' : ' ';
	args[7] = Int64GetDatum(limit);
	n = plan_execute(&read_events, args, nulls, true);
	for (uint64 i = 0; i < n; i++)
		take_event(reader, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	SPI_freetuptable(SPI_tuptable);
	return (int64) n < limit;
}

/* Is a number in a moment's list of running transactions? */
static bool
is_running_at(const FeedMoment *moment, int64 number)
{
	for (int i = 0; i < moment->nxip; i++)
	{
		if (moment->xip[i] >= number)
			return moment->xip[i] == number;
	}
	return false;
}

/* Reads what lies between "seen" and "target"; true if all of it was read, and is seen now. */
static bool
read_to_target(FeedReader *reader)
{
	FeedCursor *at = &reader->at;

	for (int i = 0; i < at->seen.nxip; i++)
	{
		int64		number = at->seen.xip[i];

		CHECK_FOR_INTERRUPTS();
		if (is_running_at(&at->target, number) || (at->in_page && number < at->number))
			continue;
		if (!read_range(reader, number, number + 1))
			return false;
	}
	if (at->seen.xmax < at->target.xmax && !read_range(reader, at->seen.xmax, at->target.xmax))
		return false;
	at->seen = at->target;
	at->in_page = false;
	return true;
}

/* ERROR if a position is of a database that is ahead of this one. */
static void
refuse_future(const FeedCursor *cursor, const FeedCursor *now)
{
	int64		newest = now->base + (int64) U64FromFullTransactionId(ReadNextFullTransactionId());

	if (cursor->base > now->base ||
		(cursor->base == now->base && Max(cursor->seen.xmax, cursor->in_page ? cursor->target.xmax : 0) > newest))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the cursor is ahead of this database"),
				 errdetail("It was made by a database that had gone further: this one has been restored from an older backup, or is a standby that lags."),
				 errhint("On a standby, wait. After a restore, go on from adapty.event_cursor(), or from null for all events.")));
}

/* A position of an older numbering in the newest: everything above it was not read, see event_number.c. */
static void
raise_moment(FeedMoment *moment, int64 base)
{
	moment->xmax = Min(moment->xmax, base + 1);
	while (moment->nxip > 0 && moment->xip[moment->nxip - 1] >= moment->xmax)
		moment->nxip--;
}

/* Brings a cursor into the numbering of now. */
static void
renumber(FeedCursor *cursor, const FeedCursor *now)
{
	if (cursor->base == now->base)
		return;
	cursor->base = now->base;
	raise_moment(&cursor->seen, now->base);
	raise_moment(&cursor->target, now->base);
}

/* Was a transaction over at a moment? */
static bool
is_over_at(const FeedMoment *moment, int64 number)
{
	return number < moment->xmax && !is_running_at(moment, number);
}

/* Takes out of a moment's list what an earlier position has seen the end of: an old snapshot lists it. */
static void
keep_seen(FeedMoment *target, const FeedMoment *seen)
{
	int			n = 0;

	for (int i = 0; i < target->nxip; i++)
	{
		if (!is_over_at(seen, target->xip[i]))
			target->xip[n++] = target->xip[i];
	}
	target->nxip = n;
}

/* Reads up to reader->wanted events after reader->at, all that the active snapshot sees. */
static void
feed_read(FeedReader *reader)
{
	FeedCursor	now;
	FeedMoment *seen = &reader->at.seen;
	bool		more = true;

	feed_cursor_now(&now);
	refuse_future(&reader->at, &now);
	renumber(&reader->at, &now);
	if (reader->at.in_page)
		more = read_to_target(reader);
	/* An old snapshot may know less than the cursor: then there is nothing to read. */
	if (more && now.seen.xmax >= seen->xmax)
	{
		keep_seen(&now.seen, seen);
		reader->at.target = now.seen;
		(void) read_to_target(reader);
	}
}

/*
 * adapty._event_page(after_cursor text, max_events integer, types text[], with_end boolean): events
 * after a position, each with the position behind it.  If all have been read that there are, the
 * last one has the position of this moment.  with_end adds a row without an event, with the position
 * to go on from.
 */
Datum
adapty_event_page(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	FeedReader	reader = {0};
	ApiScope	scope;
	int			nest;
	char	   *end;

	if (PG_ARGISNULL(1) || PG_GETARG_INT32(1) < 1 || PG_GETARG_INT32(1) > FEED_MAX_PAGE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_events \"%s\" is not between 1 and %d",
						PG_ARGISNULL(1) ? "null" : psprintf("%d", PG_GETARG_INT32(1)), FEED_MAX_PAGE)));
	if (PG_ARGISNULL(0))
		feed_cursor_start(&reader.at);
	else
		feed_cursor_parse(text_to_cstring(PG_GETARG_TEXT_PP(0)), &reader.at);
	reader.types = PG_ARGISNULL(2) ? (Datum) 0 : PG_GETARG_DATUM(2);
	reader.wanted = PG_GETARG_INT32(1);
	InitMaterializedSRF(fcinfo, 0);
	reader.store = result->setResult;
	reader.desc = result->setDesc;
	reader.context = CurrentMemoryContext;

	scope_enter(&scope);
	/* Nothing but the index in its order is right here, whatever the statistics say. */
	nest = NewGUCNestLevel();
	(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("enable_bitmapscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	feed_read(&reader);
	AtEOXact_GUC(false, nest);
	scope_leave(&scope);

	end = feed_cursor_text(&reader.at);
	if (reader.held_cursor != NULL)
		put_held(&reader, end);
	if (!PG_ARGISNULL(3) && PG_GETARG_BOOL(3))
	{
		Datum		values[2] = {CStringGetTextDatum(end), (Datum) 0};
		bool		nulls[2] = {false, true};

		tuplestore_putvalues(reader.store, reader.desc, values, nulls);
	}
	return (Datum) 0;
}

/* adapty.event_cursor(): the position after everything that is committed now. */
Datum
adapty_event_cursor(PG_FUNCTION_ARGS)
{
	FeedCursor	cursor;

	(void) fcinfo;
	feed_cursor_now(&cursor);
	PG_RETURN_TEXT_P(cstring_to_text(feed_cursor_text(&cursor)));
}
