/*
 * clock.h
 *		What time it is, and calendar arithmetic in UTC.
 */
#ifndef ADAPTY_CLOCK_H
#define ADAPTY_CLOCK_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/timestamp.h"

/* now() of readers: the transaction's start, moved by the session's test clock. */
extern TimestampTz clock_read_now(void);

/* now() of writers, real clock: later than everything that committed before a lock was got. */
extern TimestampTz clock_write_now(void);

/* ERROR (55000) while adapty.test_clock_offset is set: changes must not be made in a moved time. */
extern void clock_refuse_moved(void);

/*
 * base + duration by the UTC calendar, whatever the session's TimeZone: 7 days are 168 hours, a
 * month keeps the day of the month.  ERROR (22008) naming the values on overflow; base may be
 * infinite (stays so).
 */
extern TimestampTz clock_add(TimestampTz base, const Interval *duration);

/* ISO 8601 in UTC as the API writes it: 2024-12-24T10:50:23.000000+00:00; NULL for an infinite time. */
extern char *clock_iso8601(TimestampTz t);

#endif							/* ADAPTY_CLOCK_H */
