/*
 * event.c
 *		The only writer of events.
 *
 * Rows go straight into the partition of the moment (base/direct.h); where that is not possible, a
 * row at a time by SPI into the parent.  Events are never changed: a trigger refuses UPDATE and
 * DELETE of everybody but retention (event_partition.c).
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "replication/message.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/direct.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/guc.h"
#include "base/hooks.h"
#include "base/jsonb_build.h"
#include "base/plans.h"
#include "domain/event.h"
#include "domain/event_number.h"
#include "domain/event_partition.h"
#include "domain/identity.h"

#define EVENT_NATTS 17

PG_FUNCTION_INFO_V1(adapty_events_append_only);

/* In the order of the columns of adapty.events. */
typedef enum EventColumn
{
	COLUMN_EVENT_DATETIME,
	COLUMN_RECORDED_AT,
	COLUMN_STARTS_AT,
	COLUMN_EXPIRES_AT,
	COLUMN_PREVIOUS_EXPIRES_AT,
	COLUMN_XACT_NUMBER,
	COLUMN_EVENT_TYPE,
	COLUMN_SOURCE,
	COLUMN_EVENT_ID,
	COLUMN_PROFILE_ID,
	COLUMN_WAS_ACTIVE,
	COLUMN_IS_ACTIVE,
	COLUMN_ACCESS_LEVEL_ID,
	COLUMN_SOURCE_ID,
	COLUMN_ACTOR,
	COLUMN_REASON,
	COLUMN_EVENT_PROPERTIES
} EventColumn;

static SavedPlan insert_event = {
	"insert event",
	"INSERT INTO adapty.events (event_datetime, recorded_at, starts_at, expires_at, previous_expires_at,"
	" xact_number,"
	" event_type, source, event_id, profile_id, was_active, is_active, access_level_id, source_id,"
	" actor, reason, event_properties)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7::adapty.event_type, $8::adapty.grant_source, $9, $10, $11,"
	" $12, $13, $14, $15, $16, $17)",
	SPI_OK_INSERT, EVENT_NATTS,
	{TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, TEXTOID, TEXTOID,
		UUIDOID, UUIDOID, BOOLOID, BOOLOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID},
	NULL, InvalidOid
};

/* A C string as a text datum; null for NULL. */
static Datum
text_or_null(const char *string, bool *isnull)
{
	*isnull = string == NULL;
	return string == NULL ? (Datum) 0 : CStringGetTextDatum(string);
}

/* A row as column values; the two enum columns by OID. */
static void
event_form(const EventRow *row, TimestampTz recorded_at, int64 xact_number, Datum *values, bool *nulls)
{
	pg_uuid_t  *event_id = palloc(sizeof(pg_uuid_t));

	memset(nulls, 0, EVENT_NATTS * sizeof(bool));
	uuid_v7(event_id);
	values[COLUMN_EVENT_DATETIME] = TimestampTzGetDatum(row->event_datetime);
	values[COLUMN_RECORDED_AT] = TimestampTzGetDatum(recorded_at);
	values[COLUMN_STARTS_AT] = TimestampTzGetDatum(row->starts_at);
	values[COLUMN_EXPIRES_AT] = TimestampTzGetDatum(row->expires_at);
	values[COLUMN_PREVIOUS_EXPIRES_AT] = TimestampTzGetDatum(row->previous_expires_at);
	values[COLUMN_XACT_NUMBER] = Int64GetDatum(xact_number);
	values[COLUMN_EVENT_TYPE] = enum_datum(ENUM_EVENT_TYPE, row->type);
	values[COLUMN_SOURCE] = row->has_source ? enum_datum(ENUM_GRANT_SOURCE, row->source) : (Datum) 0;
	values[COLUMN_EVENT_ID] = UUIDPGetDatum(event_id);
	values[COLUMN_PROFILE_ID] = UUIDPGetDatum(&row->profile_id);
	values[COLUMN_WAS_ACTIVE] = BoolGetDatum(row->was_active);
	values[COLUMN_IS_ACTIVE] = BoolGetDatum(row->is_active);
	nulls[COLUMN_STARTS_AT] = nulls[COLUMN_EXPIRES_AT] = !row->has_access_facts;
	nulls[COLUMN_WAS_ACTIVE] = nulls[COLUMN_IS_ACTIVE] = !row->has_access_facts;
	nulls[COLUMN_PREVIOUS_EXPIRES_AT] = !row->has_previous;
	nulls[COLUMN_SOURCE] = !row->has_source;
	values[COLUMN_ACCESS_LEVEL_ID] = text_or_null(row->access_level_id, &nulls[COLUMN_ACCESS_LEVEL_ID]);
	values[COLUMN_SOURCE_ID] = text_or_null(row->source_id, &nulls[COLUMN_SOURCE_ID]);
	values[COLUMN_ACTOR] = text_or_null(row->actor, &nulls[COLUMN_ACTOR]);
	values[COLUMN_REASON] = text_or_null(row->reason, &nulls[COLUMN_REASON]);
	nulls[COLUMN_EVENT_PROPERTIES] = row->properties == NULL;
	values[COLUMN_EVENT_PROPERTIES] = row->properties == NULL ? (Datum) 0 : JsonbPGetDatum(row->properties);
}

/* Inserts one formed row by SPI: for a partition that is foreign or watched by others' triggers. */
static void
event_insert_by_spi(const EventRow *row, Datum *values, bool *nulls)
{
	char		spi_nulls[EVENT_NATTS];

	values[COLUMN_EVENT_TYPE] = CStringGetTextDatum(enum_label(ENUM_EVENT_TYPE, row->type));
	if (row->has_source)
		values[COLUMN_SOURCE] = CStringGetTextDatum(enum_label(ENUM_GRANT_SOURCE, row->source));
	for (int i = 0; i < EVENT_NATTS; i++)
		spi_nulls[i] = nulls[i] ? 'n' : ' ';
	plan_execute(&insert_event, values, spi_nulls, false);
}

static bool silent = false;
static SubTransactionId silent_subxact = InvalidSubTransactionId;

/* See event.h.  Not in a subtransaction that somebody's trigger or function begins meanwhile. */
void
event_silence_begin(void)
{
	silent = true;
	silent_subxact = GetCurrentSubTransactionId();
}

/* See event.h. */
void
event_silence_end(void)
{
	silent = false;
}

/* See event.h. */
bool
event_is_silent(void)
{
	return silent && silent_subxact == GetCurrentSubTransactionId();
}

/*
 * Writes a message into the WAL for those who read the stream of logical decoding: it is decoded at
 * commit, with the transaction, and never if that is rolled back.  Keys only: who wants more reads the
 * row, which is in the stream as well if the table is published.
 */
static void
event_emit(const EventRow *row, Datum *values)
{
	JsonbBuild	jb;
	Jsonb	   *json;
	char	   *message;

	jb_init(&jb);
	jb_begin_object(&jb);
	jb_key(&jb, "event_id");
	jb_string(&jb, DatumGetCString(DirectFunctionCall1(uuid_out, values[COLUMN_EVENT_ID])));
	jb_key(&jb, "event_type");
	jb_string(&jb, enum_label(ENUM_EVENT_TYPE, row->type));
	jb_key(&jb, "profile_id");
	jb_string(&jb, DatumGetCString(DirectFunctionCall1(uuid_out, values[COLUMN_PROFILE_ID])));
	jb_key(&jb, "event_datetime");
	jb_timestamp(&jb, row->event_datetime);
	jb_end_object(&jb);
	json = jb_finish(&jb);
	message = JsonbToCString(NULL, &json->root, VARSIZE(json));
	(void) log_logical_message_compat("adapty", message, strlen(message));
}

/* See event.h. */
void
event_write(const EventRow *rows, int n)
{
	TimestampTz recorded_at = GetCurrentTimestamp();
	MemoryContext context;
	MemoryContext old;
	Datum	   *values;
	bool	   *nulls;
	int			order = 0;
	int			latest = 0;
	int64		xact_number;

	if (n == 0 || event_is_silent())
		return;
	xact_number = event_number();
	wake_output_at_commit(false);
	context = AllocSetContextCreate(CurrentMemoryContext, "adapty events", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	values = palloc(sizeof(Datum) * n * EVENT_NATTS);
	nulls = palloc(sizeof(bool) * n * EVENT_NATTS);
	for (int i = 0; i < n; i++)
	{
		/* Events of one profile stand together and get an order of their own. */
		if (i > 0 && memcmp(&rows[i].profile_id, &rows[i - 1].profile_id, UUID_LEN) == 0)
			order++;
		else
			order = 0;
		latest = Max(latest, order);
		event_form(&rows[i], recorded_at + order, xact_number, values + i * EVENT_NATTS, nulls + i * EVENT_NATTS);
	}
	if (!direct_insert_events(old, recorded_at, recorded_at + latest, values, nulls, n, EVENT_NATTS))
	{
		ApiScope	scope;

		scope_enter(&scope);
		for (int i = 0; i < n; i++)
			event_insert_by_spi(&rows[i], values + i * EVENT_NATTS, nulls + i * EVENT_NATTS);
		scope_leave(&scope);
	}
	if (adapty_logical_messages && XLogLogicalInfoActive())
	{
		for (int i = 0; i < n; i++)
			event_emit(&rows[i], values + i * EVENT_NATTS);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* Trigger on events: BEFORE UPDATE OR DELETE, and BEFORE TRUNCATE.  ERROR but for retention. */
Datum
adapty_events_append_only(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"events_append_only\" was not called by trigger manager")));
	if (!event_retention_active())
		ereport(ERROR,
				(condition_errcode(COND_MAINTAINED_BY_ADAPTY),
				 errmsg("events are append-only"),
				 errdetail("An event says what happened; it is never changed or deleted one by one."),
				 errhint("Set \"adapty.event_retention\" to have old events removed.")));
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		return PointerGetDatum(NULL);
	return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(trigger->tg_event)
						   ? trigger->tg_newtuple : trigger->tg_trigtuple);
}
