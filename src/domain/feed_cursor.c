/*
 * feed_cursor.c
 *		Positions in the feed of events: made from snapshots, written and read as text.
 *
 * A sequence number cannot be a position: what commits late has a lower number than what has been
 * read.  Waiting for the oldest running transaction would be right, but then one long transaction
 * anywhere in the cluster holds up everybody.  So a position says of each transaction whether it
 * was over: "xmax:xip,xip,...", as a snapshot does, and what commits late is found by its number
 * later, since it is in the list.
 *
 * Text: base ":" xmax ":" [xip {"," xip}]
 *		[ "/" xmax ":" [xip {"," xip}] "/" number ":" recorded_at ":" event_id ]
 * with recorded_at in microseconds since 2000.
 */
#include "postgres.h"

#include <limits.h>

#include "access/transam.h"
#include "access/xact.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/arg.h"
#include "base/errors.h"
#include "domain/event_number.h"
#include "domain/feed.h"

#define MAX_CURSOR_XIPS 300000

typedef struct CursorReader
{
	const char *text;			/* the whole, for the error */
	const char *at;
} CursorReader;

/* ERROR: the text is no cursor. */
static void
refuse_cursor(const CursorReader *reader)
{
	int			length = (int) strlen(reader->text);

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%.*s%s\" is not a cursor of the event feed", Min(length, 100), reader->text,
					length > 100 ? "..." : ""),
			 errhint("Pass the value of the column \"cursor\" of the last row that was processed, as it is; null for the beginning.")));
}

/* Passes over a character that must come. */
static void
read_char(CursorReader *reader, char c)
{
	if (*reader->at != c)
		refuse_cursor(reader);
	reader->at++;
}

/* A number of at most 19 digits, perhaps with a minus sign. */
static int64
read_number(CursorReader *reader)
{
	bool		negative = *reader->at == '-';
	int64		value = 0;
	int			digits = 0;

	if (negative)
		reader->at++;
	for (; *reader->at >= '0' && *reader->at <= '9'; reader->at++, digits++)
	{
		int			digit = *reader->at - '0';

		if (digits == 18 || value > (PG_INT64_MAX - digit) / 10)
			refuse_cursor(reader);
		value = value * 10 + digit;
	}
	if (digits == 0)
		refuse_cursor(reader);
	return negative ? -value : value;
}

/* A moment; its list must ascend and lie below xmax. */
static void
read_moment(CursorReader *reader, FeedMoment *moment)
{
	int			room = 0;

	moment->xmax = read_number(reader);
	moment->nxip = 0;
	moment->xip = NULL;
	read_char(reader, ':');
	while (*reader->at >= '0' && *reader->at <= '9')
	{
		int64		xip = read_number(reader);

		if (xip >= moment->xmax || moment->nxip == MAX_CURSOR_XIPS ||
			(moment->nxip > 0 && xip <= moment->xip[moment->nxip - 1]))
			refuse_cursor(reader);
		if (moment->nxip == room)
		{
			room = room == 0 ? 16 : room * 2;
			moment->xip = moment->xip == NULL ? palloc(room * sizeof(int64))
				: repalloc(moment->xip, room * sizeof(int64));
		}
		moment->xip[moment->nxip++] = xip;
		if (*reader->at != ',')
			break;
		reader->at++;
		if (*reader->at < '0' || *reader->at > '9')
			refuse_cursor(reader);
	}
}

/* See feed.h. */
void
feed_cursor_parse(const char *text, FeedCursor *cursor)
{
	CursorReader reader = {text, text};

	memset(cursor, 0, sizeof(*cursor));
	cursor->base = read_number(&reader);
	read_char(&reader, ':');
	read_moment(&reader, &cursor->seen);
	if (*reader.at == '/')
	{
		cursor->in_page = true;
		reader.at++;
		read_moment(&reader, &cursor->target);
		read_char(&reader, '/');
		cursor->number = read_number(&reader);
		read_char(&reader, ':');
		cursor->recorded_at = read_number(&reader);
		read_char(&reader, ':');
		if (strlen(reader.at) != 36 || !parse_uuid(reader.at, &cursor->event_id))
			refuse_cursor(&reader);
	}
	else if (*reader.at != '\0')
		refuse_cursor(&reader);
	if (cursor->base < 0 || cursor->seen.xmax < 0 ||
		(cursor->in_page && (cursor->target.xmax < cursor->seen.xmax || cursor->number < 0)))
		refuse_cursor(&reader);
}

/* Appends the text of a moment. */
static void
append_moment(StringInfo text, const FeedMoment *moment)
{
	appendStringInfo(text, INT64_FORMAT ":", moment->xmax);
	for (int i = 0; i < moment->nxip; i++)
		appendStringInfo(text, i == 0 ? INT64_FORMAT : "," INT64_FORMAT, moment->xip[i]);
}

/* See feed.h. */
char *
feed_cursor_text(const FeedCursor *cursor)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, INT64_FORMAT ":", cursor->base);
	append_moment(&text, &cursor->seen);
	if (cursor->in_page)
	{
		appendStringInfoChar(&text, '/');
		append_moment(&text, &cursor->target);
		appendStringInfo(&text, "/" INT64_FORMAT ":" INT64_FORMAT ":%s", cursor->number, cursor->recorded_at,
						 DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&cursor->event_id))));
	}
	return text.data;
}

/* An xid of now in 64 bits: none is more than half of the numbers behind the next. */
static int64
widen_xid(TransactionId xid, FullTransactionId next)
{
	uint32		epoch = EpochFromFullTransactionId(next);

	if (xid > XidFromFullTransactionId(next))
		epoch--;
	return (int64) U64FromFullTransactionId(FullTransactionIdFromEpochAndXid(epoch, xid));
}

/* qsort comparator of int64 */
static int
compare_int64(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return x < y ? -1 : x > y;
}

/*
 * See feed.h.  A snapshot of a standby does not tell top-level transactions apart: there everything
 * before the oldest running one counts as over, and nothing else.
 */
void
feed_cursor_now(FeedCursor *cursor)
{
	Snapshot	snapshot = GetActiveSnapshot();
	FullTransactionId next = ReadNextFullTransactionId();
	TransactionId own = GetTopTransactionIdIfAny();

	memset(cursor, 0, sizeof(*cursor));
	cursor->base = event_number_base();
	if (snapshot->takenDuringRecovery)
	{
		cursor->seen.xmax = cursor->base + widen_xid(snapshot->xmin, next);
		return;
	}
	cursor->seen.xmax = cursor->base + widen_xid(snapshot->xmax, next);
	cursor->seen.xip = palloc((snapshot->xcnt + 1) * sizeof(int64));
	for (uint32 i = 0; i < snapshot->xcnt; i++)
		cursor->seen.xip[cursor->seen.nxip++] = cursor->base + widen_xid(snapshot->xip[i], next);
	/* A snapshot does not list its own transaction, which is not over either. */
	if (TransactionIdIsValid(own) && TransactionIdPrecedes(own, snapshot->xmax))
		cursor->seen.xip[cursor->seen.nxip++] = cursor->base + widen_xid(own, next);
	qsort(cursor->seen.xip, cursor->seen.nxip, sizeof(int64), compare_int64);
}

/* See feed.h. */
void
feed_cursor_start(FeedCursor *cursor)
{
	memset(cursor, 0, sizeof(*cursor));
}
