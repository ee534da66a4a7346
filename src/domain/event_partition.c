/*
 * event_partition.c
 *		Partitions of events: made ahead of time, dropped when they are too old.
 *
 * A partition holds one month of recorded_at in UTC and is called events_YYYY_MM.  It is made only
 * once the database holds profiles; rows of its month that the default partition has already are
 * moved into it while they are few.  It is an ordinary table, not a member of the extension, with indexes of its own: so
 * pg_dump writes its definition, and CREATE EXTENSION at restore makes nothing that would stand in
 * its way.  (While a dump is being restored there are no profiles before all definitions are in.)
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "base/ext_state.h"
#include "base/guc.h"
#include "base/plans.h"
#include "domain/event_partition.h"
#include "domain/feed.h"

/* Months made ahead of the current one. */
#define MONTHS_AHEAD 2
#define ROWS_PER_DELETE 10000
#define MAX_ROWS_TO_MOVE 100000

static bool deleting = false;

static SavedPlan any_profile = {
	"any profile",
	"SELECT 1 FROM adapty.profiles LIMIT 1",
	SPI_OK_SELECT, 0, {0}, NULL, InvalidOid
};

/* Scans the default partition, which is small where the scheduler runs. */
static SavedPlan count_default_month = {
	"rows of a month in the default partition",
	"SELECT pg_catalog.count(*) FROM (SELECT 1 FROM ONLY adapty.events_default"
	" WHERE recorded_at >= $1 AND recorded_at < $2 LIMIT $3) n",
	SPI_OK_SELECT, 3, {TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID}, NULL, InvalidOid
};

static SavedPlan list_partitions = {
	"list partitions of events",
	"SELECT c.relname::pg_catalog.text FROM pg_catalog.pg_inherits i"
	" JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid"
	" WHERE i.inhparent = 'adapty.events'::pg_catalog.regclass"
	" AND c.relname::pg_catalog.text ~ '^events_[0-9]{4}_[0-9]{2}$' ORDER BY 1",
	SPI_OK_SELECT, 0, {0}, NULL, InvalidOid
};

static SavedPlan delete_old_default = {
	"delete old events",
	"DELETE FROM ONLY adapty.events_default WHERE ctid = ANY (ARRAY("
	"SELECT ctid FROM ONLY adapty.events_default WHERE recorded_at < $1 LIMIT $2))",
	SPI_OK_DELETE, 2, {TIMESTAMPTZOID, INT8OID}, NULL, InvalidOid
};

/* See event_partition.h. */
bool
event_retention_active(void)
{
	return deleting;
}

/* Beginning of the month that is "months" after the one of t, in UTC. */
static TimestampTz
month_start(TimestampTz t, int months, int *year, int *month)
{
	struct pg_tm tm;
	fsec_t		fsec;
	Timestamp	result;
	int			m;

	/* A timestamptz is microseconds of UTC: taken as a timestamp it is UTC's calendar. */
	if (timestamp2tm(t, NULL, &tm, &fsec, NULL, NULL) != 0)
		elog(ERROR, "timestamp out of range");
	m = tm.tm_year * 12 + tm.tm_mon - 1 + months;
	memset(&tm, 0, sizeof(tm));
	*year = tm.tm_year = m / 12;
	*month = tm.tm_mon = m % 12 + 1;
	tm.tm_mday = 1;
	if (tm2timestamp(&tm, 0, NULL, &result) != 0)
		elog(ERROR, "timestamp out of range");
	return result;
}

/* Runs a utility statement; it gives up quickly where it would have to wait for a lock. */
static void
run_utility(const char *sql)
{
	if (SPI_execute(sql, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not execute \"%s\"", sql);
}

/* Executes a plan or statement that deletes events, with the append-only trigger told. */
static uint64
delete_events(SavedPlan *plan, Datum *args, const char *sql)
{
	uint64		n = 0;

	PG_TRY();
	{
		deleting = true;
		if (plan != NULL)
			n = plan_execute(plan, args, NULL, false);
		else if (SPI_execute(sql, false, 0) == SPI_OK_INSERT)
			n = SPI_processed;
	}
	PG_FINALLY();
	{
		deleting = false;
	}
	PG_END_TRY();
	return n;
}

/*
 * Makes the partition of a month.  Rows that the default partition has of it are moved, under a
 * lock on that partition, so that none can be added meanwhile.
 */
static void
create_partition(const char *name, TimestampTz from, TimestampTz to, bool move_rows)
{
	char	   *from_text = pstrdup(timestamptz_to_str(from));
	char	   *to_text = pstrdup(timestamptz_to_str(to));

	if (move_rows)
		run_utility("LOCK TABLE ONLY adapty.events_default IN ACCESS EXCLUSIVE MODE");

	/* Made apart and attached, which asks less of the parent than PARTITION OF does. */
	run_utility(psprintf("CREATE TABLE adapty.%s (LIKE adapty.events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)", name));
	run_utility(psprintf("ALTER TABLE adapty.%s ADD PRIMARY KEY (profile_id, recorded_at, event_id)", name));
	run_utility(psprintf("CREATE INDEX %s_feed_idx ON adapty.%s (xact_number, recorded_at)", name, name));
	if (move_rows)
		delete_events(NULL, NULL,
					  psprintf("WITH moved AS (DELETE FROM ONLY adapty.events_default"
							   " WHERE recorded_at >= %s AND recorded_at < %s RETURNING *)"
							   " INSERT INTO adapty.%s SELECT * FROM moved",
							   quote_literal_cstr(from_text), quote_literal_cstr(to_text), name));
	run_utility(psprintf("ALTER TABLE adapty.events ATTACH PARTITION adapty.%s FOR VALUES FROM (%s) TO (%s)",
						 name, quote_literal_cstr(from_text), quote_literal_cstr(to_text)));
}

/* How many rows of a month the default partition has; stops counting above what would be moved. */
static int64
count_in_default(TimestampTz from, TimestampTz to)
{
	Datum		args[3];
	bool		isnull;

	args[0] = TimestampTzGetDatum(from);
	args[1] = TimestampTzGetDatum(to);
	args[2] = Int64GetDatum(MAX_ROWS_TO_MOVE + 1);
	plan_execute(&count_default_month, args, NULL, false);
	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

/* Makes the first partition that is missing, of this month and the next; true if one was made. */
static bool
make_ahead(bool *too_early)
{
	TimestampTz now = GetCurrentTimestamp();

	*too_early = plan_execute(&any_profile, NULL, NULL, false) == 0;
	if (*too_early)
		return false;
	for (int i = 0; i <= MONTHS_AHEAD; i++)
	{
		int			year,
					month,
					next_year,
					next_month;
		TimestampTz from = month_start(now, i, &year, &month);
		TimestampTz to = month_start(now, i + 1, &next_year, &next_month);
		char	   *name = psprintf("events_%04d_%02d", year, month);
		int64		in_default = 0;

		if (OidIsValid(get_relname_relid(name, ext_state()->schema)))
			continue;
		/* Only this month's rows can be there; the months to come need no look. */
		if (i == 0)
			in_default = count_in_default(from, to);
		/* Too many to be moved under a lock: they stay where they are. */
		if (in_default > MAX_ROWS_TO_MOVE)
			continue;
		create_partition(name, from, to, i == 0);
		return true;
	}
	return false;
}

/* Drops one partition whose last moment retention has passed; true if there was one. */
static bool
drop_old(TimestampTz cutoff)
{
	uint64		n = plan_execute(&list_partitions, NULL, NULL, false);

	for (uint64 i = 0; i < n; i++)
	{
		char	   *name = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		struct pg_tm tm;
		Timestamp	from;
		int			year,
					month;

		memset(&tm, 0, sizeof(tm));
		if (sscanf(name, "events_%4d_%2d", &tm.tm_year, &tm.tm_mon) != 2 || tm.tm_mon < 1 || tm.tm_mon > 12)
			continue;
		tm.tm_mday = 1;
		if (tm2timestamp(&tm, 0, NULL, &from) != 0 || month_start(from, 1, &year, &month) > cutoff)
			continue;
		feed_note_removal(psprintf("adapty.%s e", name));
		run_utility(psprintf("DROP TABLE adapty.%s", name));
		return true;
	}
	return false;
}

/* Deletes some rows of the default partition that retention has passed; true if there may be more. */
static bool
delete_old(TimestampTz cutoff)
{
	Datum		args[2];

	args[0] = TimestampTzGetDatum(cutoff);
	args[1] = Int64GetDatum(ROWS_PER_DELETE);
	feed_note_removal(psprintf("(SELECT * FROM ONLY adapty.events_default WHERE recorded_at < %s LIMIT %d) e",
							   quote_literal_cstr(timestamptz_to_str(cutoff)), ROWS_PER_DELETE));
	return delete_events(&delete_old_default, args, NULL) == ROWS_PER_DELETE;
}

/* See event_partition.h. */
bool
event_partition_maintain(bool *too_early)
{
	int			nest = NewGUCNestLevel();
	bool		more;

	/* Nobody waits behind us: what cannot be locked soon is done at the next turn. */
	(void) set_config_option("lock_timeout", "1s", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	/* timestamptz_to_str() writes by the session's zone and style. */
	(void) set_config_option("TimeZone", "UTC", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("DateStyle", "ISO, YMD", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	more = make_ahead(too_early);
	if (!more && adapty_event_retention > 0)
	{
		TimestampTz cutoff = GetCurrentTimestamp() - adapty_event_retention * USECS_PER_DAY;

		more = drop_old(cutoff) || delete_old(cutoff);
	}
	AtEOXact_GUC(true, nest);
	return more;
}
