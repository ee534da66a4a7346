/*
 * feed.h
 *		Events in an order in which none is ever passed over: positions, and reading from one.
 */
#ifndef ADAPTY_FEED_H
#define ADAPTY_FEED_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/array.h"
#include "utils/uuid.h"

#define FEED_MAX_PAGE 100000	/* events of one call */

/*
 * Which transactions a moment has seen the end of: all with a number below xmax but those in xip
 * (ascending, all below xmax).  As a snapshot, but of top-level transactions that write, and in
 * numbers of events (event_number.h).
 */
typedef struct FeedMoment
{
	int64		xmax;
	int			nxip;
	int64	   *xip;
} FeedMoment;

/*
 * A position: everything that "seen" had seen the end of has been read; if in_page is set, also
 * what lies between "seen" and "target", in the order of (number, recorded_at, event_id), up to and
 * with that event.
 */
typedef struct FeedCursor
{
	int64		base;			/* of the numbering in which it was made */
	FeedMoment	seen;
	bool		in_page;
	FeedMoment	target;
	int64		number;
	TimestampTz recorded_at;
	pg_uuid_t	event_id;
} FeedCursor;

/* Reads a cursor's text; ERROR (22023) if it is none. */
extern void feed_cursor_parse(const char *text, FeedCursor *cursor);

/* The text of a cursor. */
extern char *feed_cursor_text(const FeedCursor *cursor);

/* The position of "now": what is committed by the active snapshot has been read. */
extern void feed_cursor_now(FeedCursor *cursor);

/* The position before the first event. */
extern void feed_cursor_start(FeedCursor *cursor);

/* The numbers of a moment's running transactions as bigint[]. */
extern Datum feed_running_array(const FeedMoment *moment);

/*
 * Retention is about to remove events, the rows of a FROM item called "e": adds to "lost" of each
 * consumer and webhook those that it has not read.  SPI is connected.
 */
extern void feed_note_removal(const char *from_item);

/*
 * An array of event types as text[], so that no OID of ours gets into a saved plan; ERROR (22004) if
 * one is null.
 */
extern Datum feed_types_as_text(ArrayType *types);

#endif							/* ADAPTY_FEED_H */
