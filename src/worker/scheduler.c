/*
 * scheduler.c
 *		The process that announces starts and ends of access in one database.
 *
 * It sleeps until the next moment at which something falls due, looks, announces what is due in
 * batches of one transaction each, and sleeps again.  It trusts only the tables: the moment it
 * sleeps to comes from the last look or from a commit that made something due earlier, and it looks
 * at least every adapty.max_sleep in any case.  No transaction is open while it sleeps.
 *
 * An error ends the batch, not the process: the next batch is done in careful mode, which sets
 * aside the user whose row is at fault.  If errors go on, the pauses between the tries grow.
 *
 * One scheduler a database: the slot says so, and a lock in the database proves it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_extension.h"
#include "commands/async.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/ext_state.h"
#include "base/guc.h"
#include "domain/promo_campaign.h"
#include "domain/transition.h"
#include "domain/webhook.h"
#include "worker/scheduler.h"
#include "worker/sender_slot.h"
#include "worker/shmem.h"
#include "worker/worker.h"

/*
 * The lock of the only scheduler in a database.  Class 7 is out of reach of pg_advisory_lock(),
 * which uses 1 and 2: no user can keep the scheduler out.
 */
#define LOCK_KEY_1 0x61646170	/* "adap" */
#define LOCK_KEY_2 1
#define LOCK_CLASS 7

#define MIN_LOCKED_MS 50		/* pause when only locked users are left; doubles */
#define MAX_LOCKED_MS 1000
#define MIN_ERROR_MS 1000		/* pause when careful mode fails, too; doubles */
#define MAX_ERROR_MS 60000
#define MAX_BATCH 1000000		/* rows, of a batch that has to get past locked users */
#define MAINTENANCE_MS 3600000
#define WEBHOOKS_MS 60000		/* webhooks that nobody told of, restored ones say, are found so late */
#define NOTIFY_CHANNEL "adapty_events"
#define NOTIFY_MS 20			/* between two notifications: what is written meanwhile shares one */
#define MAINTENANCE_RETRY_MS 60000	/* after an error */
#define STATISTICS_MS 1000		/* before a longer sleep, statistics are handed over at once */

typedef enum StepOutcome
{
	STEP_DONE,
	STEP_FAILED,				/* rolled back; the error has been reported */
	STEP_OUTDATED,				/* library and SQL objects differ in version: nothing done */
	STEP_ABSENT					/* the extension is not here (any more) */
} StepOutcome;

typedef struct Scheduler
{
	MemoryContext context;		/* reset at each turn */
	DueResult	due;			/* of the last batch */
	int			batch_size;		/* of the last batch; grows while it finds only locked users */
	bool		careful;		/* the next batch */
	bool		more_maintenance;
	bool		early_maintenance;	/* there are no profiles yet: come again soon */
	bool		outdated_logged;
	int			locked_ms;		/* pause after the last batch; 0 if it got on */
	int			error_ms;
	int			errors;			/* failed steps in a row */
	TimestampTz next_maintenance;
	TimestampTz campaign_due;	/* when a promo campaign is due next */
	int64		campaign_users; /* of the last batch of one */
	TimestampTz next_webhooks;
	TimestampTz next_notify;
	instr_time	looked_at;		/* last look, by a clock that does not jump */
} Scheduler;

typedef void (*StepWork) (Scheduler *scheduler);

/* Ends the process in order. */
static void
leave(SlotState outcome)
{
	slot_exit_as(outcome);
	proc_exit(0);
}

/*
 * Looks for the extension, in a transaction.  The lock makes DROP EXTENSION wait for the end of
 * this transaction, or this transaction for that of DROP EXTENSION, and then it looks again.
 */
static StepOutcome
look_at_extension(void)
{
	bool		version_matches;
	const ExtState *ext = ext_state_if_installed(&version_matches);

	if (ext != NULL)
	{
		LockDatabaseObject(ExtensionRelationId, ext->extension, 0, AccessShareLock);
		ext = ext_state_if_installed(&version_matches);
	}
	if (ext == NULL)
		return STEP_ABSENT;
	return version_matches ? STEP_DONE : STEP_OUTDATED;
}

/* After an error: reports it, rolls back, remembers its message. */
static void
recover(Scheduler *scheduler)
{
	ErrorData  *error;

	HOLD_INTERRUPTS();
	MemoryContextSwitchTo(scheduler->context);
	error = CopyErrorData();
	EmitErrorReport();
	AbortCurrentTransaction();
	MemoryContextSwitchTo(scheduler->context);
	FlushErrorState();
	slot_count_error(error->message != NULL ? error->message : "");
	FreeErrorData(error);
	RESUME_INTERRUPTS();
}

/* One piece of work (NULL for none) in a transaction of its own, if the extension is here and fits. */
static StepOutcome
run_step(Scheduler *scheduler, StepWork work, const char *activity)
{
	volatile StepOutcome outcome = STEP_FAILED;

	debug_query_string = activity;
	pgstat_report_activity(STATE_RUNNING, activity);
	PG_TRY();
	{
		StepOutcome found;

		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		found = look_at_extension();
		if (found == STEP_DONE)
		{
			PushActiveSnapshot(GetTransactionSnapshot());
			if (work != NULL)
				work(scheduler);
			PopActiveSnapshot();
		}
		CommitTransactionCommand();
		outcome = found;
	}
	PG_CATCH();
	{
		recover(scheduler);
	}
	PG_END_TRY();
	/* after a commit the current context is a long-lived one */
	MemoryContextSwitchTo(scheduler->context);
	debug_query_string = NULL;
	pgstat_report_stat(false);
	return outcome;
}

/* Did the last batch find so many locked users that others may be waiting behind them? */
static bool
is_stuck(const Scheduler *scheduler)
{
	return scheduler->due.processed == 0 && scheduler->batch_size < MAX_BATCH &&
		scheduler->due.locked >= scheduler->batch_size / 2 && scheduler->due.locked > 0;
}

/* Work: one batch of what is due. */
static void
do_batch(Scheduler *scheduler)
{
	if (is_stuck(scheduler))
		scheduler->batch_size = Min(scheduler->batch_size * 2, MAX_BATCH);
	else if (scheduler->due.locked == 0 || scheduler->due.processed > 0)
		scheduler->batch_size = adapty_batch_size;
	memset(&scheduler->due, 0, sizeof(scheduler->due));
	process_due_batch(scheduler->batch_size, scheduler->careful, &scheduler->due);
	scheduler->campaign_due = promo_campaign_next_due();
}

/* Work: one batch of the promo campaign that is due. */
static void
do_campaign(Scheduler *scheduler)
{
	scheduler->campaign_users = promo_campaign_work(adapty_batch_size);
	scheduler->campaign_due = promo_campaign_next_due();
}

/* Work: one step of maintenance. */
static void
do_maintenance(Scheduler *scheduler)
{
	scheduler->more_maintenance = process_maintenance(&scheduler->early_maintenance);
}

/* Work: is a webhook sender needed here?  Only if there is none; a change of webhooks tells by itself. */
static void
look_for_webhooks(Scheduler *scheduler)
{
	int			pid;

	scheduler->next_webhooks = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), WEBHOOKS_MS);
	if (adapty_webhooks && !sender_has_process(MyDatabaseId, &pid) && webhooks_in_use())
		sender_want(MyDatabaseId);
}

/* Partitions ahead of time and retention: at start and hourly; sooner while there are no profiles. */
static StepOutcome
maintain(Scheduler *scheduler)
{
	StepOutcome outcome;

	do
	{
		(void) worker_housekeeping(0);
		if (slot_leave_asked())
			leave(SLOT_LEFT);
		scheduler->more_maintenance = scheduler->early_maintenance = false;
		outcome = run_step(scheduler, do_maintenance, "maintaining partitions and retention");
		MemoryContextReset(scheduler->context);
	} while (outcome == STEP_DONE && scheduler->more_maintenance);

	if (outcome == STEP_DONE || outcome == STEP_FAILED)
		scheduler->next_maintenance =
			TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
										outcome == STEP_DONE && !scheduler->early_maintenance
										? MAINTENANCE_MS : MAINTENANCE_RETRY_MS);
	return outcome;
}

/*
 * After a committed batch: counts it; returns when to look again, which is now or earlier if there
 * is more to do and something got done, or if a larger batch may get past locked users.  When nothing
 * got done, users are locked by others: the pauses grow, so that waiting for a long transaction
 * costs little.
 */
static TimestampTz
judge_batch(Scheduler *scheduler)
{
	const DueResult *due = &scheduler->due;
	TimestampTz now = GetCurrentTimestamp();

	scheduler->errors = 0;
	scheduler->error_ms = 0;
	scheduler->careful = false;
	slot_count_batch(due);

	if (due->next_due > now || due->processed > 0 || is_stuck(scheduler))
	{
		scheduler->locked_ms = 0;
		return due->next_due;
	}
	scheduler->locked_ms = scheduler->locked_ms == 0 ?
		MIN_LOCKED_MS : Min(scheduler->locked_ms * 2, MAX_LOCKED_MS);
	return TimestampTzPlusMilliseconds(now, scheduler->locked_ms);
}

/* After a failed batch: careful mode at once; if that fails, too, after a growing pause. */
static TimestampTz
judge_failure(Scheduler *scheduler)
{
	TimestampTz now = GetCurrentTimestamp();

	scheduler->careful = true;
	if (++scheduler->errors == 1)
		return now;
	scheduler->error_ms = scheduler->error_ms == 0 ?
		MIN_ERROR_MS : Min(scheduler->error_ms * 2, MAX_ERROR_MS);
	return TimestampTzPlusMilliseconds(now, scheduler->error_ms);
}

/*
 * A batch of the promo campaign that is due, if one is; returns when to look again.  One that is due
 * still and got nowhere is locked by somebody, or its users are.
 */
static TimestampTz
work_on_campaigns(Scheduler *scheduler)
{
	TimestampTz now = GetCurrentTimestamp();

	if (scheduler->campaign_due > now)
		return scheduler->campaign_due;
	scheduler->campaign_users = 0;
	if (run_step(scheduler, do_campaign, "working on promo campaigns") != STEP_DONE)
		return TimestampTzPlusMilliseconds(now, MIN_ERROR_MS);
	if (scheduler->campaign_users == 0 && scheduler->campaign_due <= GetCurrentTimestamp())
		return TimestampTzPlusMilliseconds(GetCurrentTimestamp(), MIN_LOCKED_MS);
	return scheduler->campaign_due;
}

/* The SQL objects are of another version: says so once. */
static void
idle_outdated(Scheduler *scheduler)
{
	slot_report(ACTIVITY_OUTDATED);
	if (scheduler->outdated_logged)
		return;
	scheduler->outdated_logged = true;
	ereport(LOG,
			(errmsg("adapty scheduler is idle: its library is version %s, the SQL objects are of another version",
					ADAPTY_VERSION),
			 errhint("Run ALTER EXTENSION adapty UPDATE.")));
}

/*
 * One look at the table and what follows from it.  Returns when to look again; a moment that has
 * passed means at once.
 */
static TimestampTz
scheduler_turn(Scheduler *scheduler)
{
	StepOutcome outcome = STEP_DONE;
	TimestampTz wake;
	TimestampTz campaigns;

	/* First open the plan, then look at wishes and table: what comes later stays in the plan. */
	slot_plan_open();
	if (slot_leave_asked())
		leave(SLOT_LEFT);
	slot_report(ACTIVITY_WORKING);
	INSTR_TIME_SET_CURRENT(scheduler->looked_at);

	if (GetCurrentTimestamp() >= scheduler->next_maintenance)
		outcome = maintain(scheduler);
	if (outcome == STEP_DONE || outcome == STEP_FAILED)
		outcome = run_step(scheduler, do_batch, "announcing starts and ends of access");
	if (outcome == STEP_DONE && GetCurrentTimestamp() >= scheduler->next_webhooks)
		(void) run_step(scheduler, look_for_webhooks, "looking for webhooks");

	switch (outcome)
	{
		case STEP_DONE:
			scheduler->outdated_logged = false;
			/* not within Min(), which would do it twice */
			wake = judge_batch(scheduler);
			campaigns = work_on_campaigns(scheduler);
			wake = Min(wake, campaigns);
			return Min(wake, scheduler->next_maintenance);
		case STEP_FAILED:
			return judge_failure(scheduler);
		case STEP_OUTDATED:
			idle_outdated(scheduler);
			return DT_NOEND;
		case STEP_ABSENT:
			break;
	}
	leave(SLOT_ABSENT);
	return DT_NOEND;			/* not reached */
}

/* Work: wakes those who listen for events. */
static void
do_notify(Scheduler *scheduler)
{
	(void) scheduler;
	Async_Notify(NOTIFY_CHANNEL, "");
}

/*
 * Notifies if events were written, so that no writer need do it: notifying takes a lock at commit
 * that all who notify wait for.  Returns milliseconds after which to come again, 0 if it has notified, -1
 * if there is nothing to notify.
 */
static long
notify_if_written(Scheduler *scheduler)
{
	TimestampTz now = GetCurrentTimestamp();

	if (!adapty_notify_events || !slot_written(false))
		return -1;
	if (scheduler->next_notify > now && scheduler->next_notify - now <= NOTIFY_MS * 1000)
		return (long) ((scheduler->next_notify - now + 999) / 1000);
	(void) slot_written(true);
	scheduler->next_notify = TimestampTzPlusMilliseconds(now, NOTIFY_MS);
	(void) run_step(scheduler, do_notify, "notifying of events");
	return 0;
}

/* What pg_stat_activity shows of a sleep. */
static void
report_sleep(TimestampTz until, bool on)
{
	char		text[128];

	if (!on)
		strlcpy(text, "idle: adapty.scheduler is off", sizeof(text));
	else
		snprintf(text, sizeof(text), "idle until %s", timestamptz_to_str(until));
	pgstat_report_activity(STATE_IDLE, text);
}

/* Milliseconds for which to wait: until the planned moment, rounded up, and max_sleep after the last look. */
static long
sleep_timeout(const Scheduler *scheduler, TimestampTz planned)
{
	instr_time	elapsed;
	long		cap;
	TimestampTz now = GetCurrentTimestamp();

	INSTR_TIME_SET_CURRENT(elapsed);
	INSTR_TIME_SUBTRACT(elapsed, scheduler->looked_at);
	cap = adapty_max_sleep - (long) INSTR_TIME_GET_MILLISEC(elapsed);
	if (cap <= 0 || planned <= now)
		return 0;
	if (planned - now >= (int64) cap * 1000)
		return cap;
	return (long) ((planned - now + 999) / 1000);
}

/*
 * Sleeps until the planned moment.  Other processes may make it earlier; a latch that is set for
 * another reason (interrupts) only leads to going on with the sleep.
 */
static void
scheduler_sleep(Scheduler *scheduler, TimestampTz wake)
{
	static uint32 wait_event = 0;
	TimestampTz reported = DT_NOEND;
	TimestampTz latest = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), adapty_max_sleep);

	slot_plan(Min(wake, latest));

	for (;;)
	{
		TimestampTz planned = slot_planned();
		long		timeout = sleep_timeout(scheduler, planned);
		long		notify;

		if (worker_housekeeping(0) || timeout == 0)
			return;
		notify = notify_if_written(scheduler);
		if (notify == 0)
		{
			/* The plan may have been lowered meanwhile, and the sleep must be shown again. */
			reported = DT_NOBEGIN;
			continue;
		}
		if (notify > 0)
			timeout = Min(timeout, notify);
		if (planned != reported)
		{
			/* the first time: the statistics of what has just been done */
			if (reported == DT_NOEND)
				pgstat_report_stat(timeout >= STATISTICS_MS);
			slot_report(ACTIVITY_SLEEPING);
			report_sleep(planned, true);
			reported = planned;
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout,
						 wait_event_compat(wait_event, "AdaptyScheduler"));
		ResetLatch(MyLatch);
	}
}

/*
 * adapty.scheduler is off: sleeps, asking for no wake-up, until it is on again.  Leaves when asked
 * to, or when the extension goes.
 */
static void
sleep_while_off(Scheduler *scheduler)
{
	static uint32 wait_event = 0;

	while (!adapty_scheduler)
	{
		if (slot_planned() == DT_NOBEGIN)
		{
			slot_plan_none();
			if (run_step(scheduler, NULL, "looking for the extension") == STEP_ABSENT)
				leave(SLOT_ABSENT);
			slot_report(ACTIVITY_OFF);
			report_sleep(0, false);
			pgstat_report_stat(true);
			/* what came meanwhile may have found no latch to set: the look may have reset it */
			continue;
		}
		if (slot_leave_asked())
			leave(SLOT_LEFT);
		if (worker_housekeeping(0))
			continue;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, MAX_ERROR_MS,
						 wait_event_compat(wait_event, "AdaptySchedulerOff"));
		ResetLatch(MyLatch);
	}
}

/* Settings of the database or of the superuser that would change or stop our work. */
static void
pin_settings(void)
{
	static const char *const settings[][2] = {
		{"search_path", "pg_catalog, pg_temp"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"session_replication_role", "origin"},
		{"lock_timeout", "0"},
		{"statement_timeout", "0"},
		{"idle_in_transaction_session_timeout", "0"},
		{"adapty.test_clock_offset", "0"},
	};

	for (int i = 0; i < (int) lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_OVERRIDE);
}

/* Takes the lock of the only scheduler, until the process ends. */
static bool
lock_database(void)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, LOCK_KEY_1, LOCK_KEY_2, LOCK_CLASS);
	return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

/* Leaves if the extension is not here, or if somebody else does its work. */
static void
look_around(void)
{
	StepOutcome found;
	bool		alone = true;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	found = look_at_extension();
	if (found != STEP_ABSENT)
		alone = lock_database();
	CommitTransactionCommand();

	if (found == STEP_ABSENT)
		leave(SLOT_ABSENT);
	if (!alone)
	{
		ereport(LOG,
				(errmsg("another adapty scheduler still runs in this database")));
		leave(SLOT_FAILED);
	}
}

/* Main function: comes up, finds out whether it is needed, works until it is told to leave. */
void
adapty_scheduler_main(Datum arg)
{
	SchedulerStart start;
	Scheduler	scheduler;
	bool		is_first = true;

	(void) arg;
	worker_process_start();
	memcpy(&start, MyBgworkerEntry->bgw_extra, sizeof(start));
	if (!slot_claim(start.slot, start.generation))
		proc_exit(0);
	if (slot_leave_asked())
		leave(SLOT_LEFT);

	BackgroundWorkerInitializeConnectionByOid(start.database, InvalidOid, 0);
	pgstat_report_appname("adapty scheduler");
	pin_settings();
	look_around();

	memset(&scheduler, 0, sizeof(scheduler));
	scheduler.batch_size = adapty_batch_size;
	scheduler.context = AllocSetContextCreate(TopMemoryContext, "adapty scheduler turn",
											  ALLOCSET_DEFAULT_SIZES);
	for (;;)
	{
		TimestampTz wake;

		MemoryContextSwitchTo(scheduler.context);
		MemoryContextReset(scheduler.context);

		(void) worker_housekeeping(0);
		if (!adapty_scheduler)
		{
			slot_plan_look();
			sleep_while_off(&scheduler);
		}

		if (!is_first)
			slot_count_wakeup();
		is_first = false;

		do
		{
			wake = scheduler_turn(&scheduler);
			MemoryContextReset(scheduler.context);
			(void) worker_housekeeping(0);
		} while (wake <= GetCurrentTimestamp() && adapty_scheduler);

		scheduler_sleep(&scheduler, wake);
	}
}
