/*
 * feed_lost.c
 *		Events that retention removes before a consumer or a webhook has read them.
 *
 * Nobody holds retention up: an endpoint that is dead for months would fill the disk.  But what is
 * lost is counted, once, when it is removed.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/plans.h"
#include "domain/event_number.h"
#include "domain/feed.h"

static SavedPlan positions = {
	"positions in the feed",
	"SELECT 'consumer', c.consumer_id, c.cursor FROM adapty.event_consumers c"
	" UNION ALL SELECT 'webhook', p.webhook_id, p.cursor FROM adapty.webhook_progress p"
	" JOIN adapty.webhooks w ON w.webhook_id = p.webhook_id WHERE w.state IN ('enabled', 'verifying')",
	SPI_OK_SELECT, 0, {0}, NULL, InvalidOid
};

static SavedPlan add_to_consumer = {
	"lost events of a consumer",
	"UPDATE adapty.event_consumers c SET lost = c.lost + $2 WHERE c.consumer_id = $1",
	SPI_OK_UPDATE, 2, {TEXTOID, INT8OID}, NULL, InvalidOid
};

static SavedPlan add_to_webhook = {
	"lost events of a webhook",
	"UPDATE adapty.webhook_progress p SET lost = p.lost + $2 WHERE p.webhook_id = $1",
	SPI_OK_UPDATE, 2, {TEXTOID, INT8OID}, NULL, InvalidOid
};

/* How many rows of the FROM item a position has not read. */
static int64
count_unread(const char *from_item, const FeedCursor *cursor)
{
	static Oid	types[] = {INT8OID, INT8ARRAYOID, BOOLOID, INT8OID, INT8ARRAYOID, INT8OID, TIMESTAMPTZOID, UUIDOID};
	Datum		args[8];
	bool		isnull;

	args[0] = Int64GetDatum(cursor->seen.xmax);
	args[1] = feed_running_array(&cursor->seen);
	args[2] = BoolGetDatum(cursor->in_page);
	args[3] = Int64GetDatum(cursor->target.xmax);
	args[4] = feed_running_array(&cursor->target);
	args[5] = Int64GetDatum(cursor->number);
	args[6] = TimestampTzGetDatum(cursor->recorded_at);
	args[7] = UUIDPGetDatum(&cursor->event_id);
	if (SPI_execute_with_args(psprintf("SELECT pg_catalog.count(*) FROM %s"
									   " WHERE (e.xact_number >= $1 OR e.xact_number = ANY ($2))"
									   " AND NOT ($3 AND e.xact_number < $4 AND e.xact_number <> ALL ($5)"
									   " AND ROW(e.xact_number, e.recorded_at, e.event_id) <= ROW($6, $7, $8))", from_item),
							  lengthof(types), types, args, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not count unread events");
	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

/* See feed.h. */
void
feed_note_removal(const char *from_item)
{
	uint64		n = plan_execute(&positions, NULL, NULL, false);
	SPITupleTable *rows = SPI_tuptable;

	for (uint64 i = 0; i < n; i++)
	{
		char	   *kind = SPI_getvalue(rows->vals[i], rows->tupdesc, 1);
		char	   *name = SPI_getvalue(rows->vals[i], rows->tupdesc, 2);
		char	   *position = SPI_getvalue(rows->vals[i], rows->tupdesc, 3);
		bool		is_webhook = strcmp(kind, "webhook") == 0;
		FeedCursor	cursor;
		Datum		args[2];

		if (position == NULL && is_webhook)
			continue;
		if (position == NULL)
			feed_cursor_start(&cursor);
		else
			feed_cursor_parse(position, &cursor);
		args[0] = CStringGetTextDatum(name);
		args[1] = Int64GetDatum(count_unread(from_item, &cursor));
		if (DatumGetInt64(args[1]) > 0)
			plan_execute(is_webhook ? &add_to_webhook : &add_to_consumer, args, NULL, false);
	}
}
