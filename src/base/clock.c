/*
 * clock.c
 *		What time it is, and calendar arithmetic in UTC.
 *
 * There are two clocks.  Readers see the transaction's start, which the session may move ahead
 * (adapty.test_clock_offset) to look at a later day.  Writers see the real clock after they got
 * their locks, and refuse to work in a moved session, so that no moved time is ever stored.
 *
 * Calendar arithmetic never looks at the session's TimeZone: the same duration gives the same end
 * for every caller, and a day is always 24 hours.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/int.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/guc.h"

PG_FUNCTION_INFO_V1(adapty_now);
PG_FUNCTION_INFO_V1(adapty_iso8601);

/*
 * See clock.h.  A move beyond the end of time stops at the last finite moment: readers must not
 * fail because a setting is absurd.
 */
TimestampTz
clock_read_now(void)
{
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	TimestampTz moved;

	if (adapty_test_clock_offset == 0)
		return now;
	if (pg_add_s64_overflow(now, (int64) adapty_test_clock_offset * USECS_PER_SEC, &moved) ||
		!IS_VALID_TIMESTAMP(moved))
		moved = adapty_test_clock_offset > 0 ? END_TIMESTAMP - 1 : MIN_TIMESTAMP;
	return moved;
}

/* See clock.h. */
TimestampTz
clock_write_now(void)
{
	return GetCurrentTimestamp();
}

/* See clock.h. */
void
clock_refuse_moved(void)
{
	if (adapty_test_clock_offset == 0)
		return;
	ereport(ERROR,
			(condition_errcode(COND_NOT_IN_TEST_CLOCK),
			 errmsg("nothing can be changed while \"adapty.test_clock_offset\" is %d s",
					adapty_test_clock_offset),
			 errdetail("The setting moves the clock of this session's reads only."),
			 errhint("Reset the setting, or move one profile's clock by adapty.set_test_clock().")));
}

/* A duration as PostgreSQL writes it by default, whatever the session's IntervalStyle. */
static char *
duration_text(const Interval *duration)
{
	char		text[MAXDATELEN + 1];
	struct pg_itm itm;

	if (INTERVAL_NOT_FINITE(duration))
		return pstrdup(duration->month < 0 ? "-infinity" : "infinity");
	interval2itm(*duration, &itm);
	EncodeInterval(&itm, INTSTYLE_POSTGRES, text);
	return pstrdup(text);
}

/* ERROR (22008): the one wording for an end out of range. */
static void pg_attribute_noreturn()
report_out_of_range(TimestampTz base, const Interval *duration)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
			 errmsg("duration \"%s\" after \"%s\" is out of range",
					duration_text(duration), clock_iso8601(base))));
}

/* See clock.h.  Months go first and keep the day where the month has it, then days and time. */
TimestampTz
clock_add(TimestampTz base, const Interval *duration)
{
	TimestampTz result = base;
	int64		days;

	if (INTERVAL_NOT_FINITE(duration))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("duration \"%s\" is not finite", duration_text(duration))));
	if (TIMESTAMP_NOT_FINITE(base))
		return base;

	if (duration->month != 0)
	{
		struct pg_tm tm;
		fsec_t		fsec;
		int64		months;

		if (timestamp2tm(result, NULL, &tm, &fsec, NULL, NULL) != 0)
			report_out_of_range(base, duration);
		months = (int64) tm.tm_year * MONTHS_PER_YEAR + (tm.tm_mon - 1) + duration->month;
		/* Rounded down, also before the year 0. */
		tm.tm_year = (int) ((months - (months < 0 ? MONTHS_PER_YEAR - 1 : 0)) / MONTHS_PER_YEAR);
		tm.tm_mon = (int) (months - (int64) tm.tm_year * MONTHS_PER_YEAR) + 1;
		tm.tm_mday = Min(tm.tm_mday, day_tab[isleap(tm.tm_year)][tm.tm_mon - 1]);
		if (tm2timestamp(&tm, fsec, NULL, &result) != 0)
			report_out_of_range(base, duration);
	}

	if (pg_mul_s64_overflow(duration->day, USECS_PER_DAY, &days) ||
		pg_add_s64_overflow(result, days, &result) ||
		pg_add_s64_overflow(result, duration->time, &result) ||
		!IS_VALID_TIMESTAMP(result))
		report_out_of_range(base, duration);
	return result;
}

/* See clock.h.  Years beyond 9999 and before 1 have a sign, as ISO 8601 asks. */
char *
clock_iso8601(TimestampTz t)
{
	struct pg_tm tm;
	fsec_t		fsec;

	if (TIMESTAMP_NOT_FINITE(t) || timestamp2tm(t, NULL, &tm, &fsec, NULL, NULL) != 0)
		return NULL;
	return psprintf("%s%04d-%02d-%02dT%02d:%02d:%02d.%06d+00:00",
					tm.tm_year < 0 ? "-" : (tm.tm_year > 9999 ? "+" : ""), abs(tm.tm_year),
					tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int) fsec);
}

/* adapty.now(): the readers' clock. */
Datum
adapty_now(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	PG_RETURN_TIMESTAMPTZ(clock_read_now());
}

/* adapty._iso8601(timestamptz): a moment as the API writes it; null for an infinite one. */
Datum
adapty_iso8601(PG_FUNCTION_ARGS)
{
	char	   *text = clock_iso8601(PG_GETARG_TIMESTAMPTZ(0));

	if (text == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(text));
}
