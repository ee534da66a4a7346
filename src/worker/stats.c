/*
 * stats.c
 *		What adapty.stats shows of the scheduler.
 *
 * The counters live in shared memory: they begin with the server, or with the extension.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "worker/shmem.h"

#define N_COLUMNS 15

PG_FUNCTION_INFO_V1(adapty_scheduler_stats);

/* The word for what a scheduler is doing. */
static const char *
state_text(const SlotView *view)
{
	static const char *const activities[] = {
		[ACTIVITY_STARTING] = "starting",
		[ACTIVITY_WORKING] = "working",
		[ACTIVITY_SLEEPING] = "sleeping",
		[ACTIVITY_OFF] = "off",
		[ACTIVITY_OUTDATED] = "outdated",
	};

	switch (view->state)
	{
		case SLOT_RUNNING:
			return activities[view->activity];
		case SLOT_WANTED:
		case SLOT_STARTING:
			return "starting";
		case SLOT_FAILED:
			return "failed";
		case SLOT_EMPTY:
		case SLOT_ABSENT:
		case SLOT_LEFT:
			break;
	}
	return "stopped";
}

/* A moment, null if it never was or is not a moment. */
static Datum
moment(TimestampTz t, bool *isnull)
{
	*isnull = t == 0 || TIMESTAMP_NOT_FINITE(t);
	return TimestampTzGetDatum(t);
}

/* Microseconds as milliseconds, null if nothing was measured. */
static Datum
milliseconds(double microseconds, bool is_measured, bool *isnull)
{
	*isnull = !is_measured;
	return Float8GetDatum(microseconds / 1000.0);
}

/*
 * adapty.scheduler_stats(): one row about the current database's scheduler, none if no scheduler
 * has been here since the server started.
 */
Datum
adapty_scheduler_stats(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	SlotView	view;
	const SlotCounters *counters = &view.counters;
	Datum		values[N_COLUMNS] = {0};
	bool		nulls[N_COLUMNS] = {0};
	bool		measured;
	int			i = 0;

	InitMaterializedSRF(fcinfo, 0);
	if (!slot_view_of(MyDatabaseId, &view))
		return (Datum) 0;

	measured = counters->processed > 0;
	nulls[i] = view.pid == 0;
	values[i++] = Int32GetDatum(view.pid);
	values[i++] = CStringGetTextDatum(state_text(&view));
	values[i] = moment(view.next_wake, &nulls[i]);
	i++;
	values[i++] = Int64GetDatum(counters->batches);
	values[i++] = Int64GetDatum(counters->processed);
	values[i++] = Int64GetDatum(counters->failed);
	values[i++] = Int64GetDatum(counters->last_batch_size);
	values[i] = milliseconds(counters->last_lateness, measured, &nulls[i]);
	i++;
	values[i] = milliseconds(counters->max_lateness, measured, &nulls[i]);
	i++;
	values[i] = milliseconds(measured ? (double) counters->total_lateness / counters->processed : 0,
							 measured, &nulls[i]);
	i++;
	values[i++] = Int64GetDatum(counters->wakeups);
	nulls[i] = counters->last_error_at == 0;
	values[i++] = CStringGetTextDatum(counters->last_error);
	values[i] = moment(counters->last_error_at, &nulls[i]);
	i++;
	values[i] = moment(counters->last_run_at, &nulls[i]);
	i++;
	values[i++] = BoolGetDatum(view.pid != 0);
	Assert(i == N_COLUMNS);

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	return (Datum) 0;
}
