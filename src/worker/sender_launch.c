/*
 * sender_launch.c
 *		The launcher's part for webhook senders: starts one where one is wanted.
 *
 * As with schedulers, the postmaster never restarts a sender; the launcher does, with pauses that
 * grow while it keeps failing.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/sender_api.h"
#include "worker/sender_launch.h"
#include "worker/sender_slot.h"
#include "worker/shmem.h"

#define START_CHECK_MS 1000		/* a process may die before it can say so */
#define FULL_RETRY_MS 10000		/* when the server has no place for another process */
#define MIN_BACKOFF_MS 1000
#define MAX_BACKOFF_MS 60000
#define STABLE_MS 60000			/* a sender that ran so long is not blamed for earlier ends */

/* What the launcher remembers of a slot. */
typedef struct SenderMemory
{
	Oid			database;		/* for which the rest holds */
	int			backoff_ms;		/* 0 if its last end was in order */
	TimestampTz started_at;
	TimestampTz retry_at;
	BackgroundWorkerHandle *handle; /* NULL if unknown */
} SenderMemory;

static SenderMemory memories[MAX_DATABASES];
static bool warned_full = false;

/* What is remembered of a slot, forgotten if it has another database now. */
static SenderMemory *
memory_of(int index, Oid database)
{
	SenderMemory *memory = &memories[index];

	if (memory->database != database)
	{
		if (memory->handle != NULL)
			pfree(memory->handle);
		memset(memory, 0, sizeof(*memory));
		memory->database = database;
	}
	return memory;
}

/* A pause before the next try, doubling unless the process ran long. */
static void
grow_pause(SenderMemory *memory)
{
	TimestampTz now = GetCurrentTimestamp();

	if (memory->backoff_ms == 0 || TimestampDifferenceExceeds(memory->started_at, now, STABLE_MS))
		memory->backoff_ms = MIN_BACKOFF_MS;
	else
		memory->backoff_ms = Min(memory->backoff_ms * 2, MAX_BACKOFF_MS);
	memory->retry_at = TimestampTzPlusMilliseconds(now, memory->backoff_ms);
}

/* Starts the sender of slot number index. */
static void
start_sender(int index, SenderMemory *memory, const char *name)
{
	BackgroundWorker worker = {0};
	SenderStart start = {0};
	MemoryContext old;
	bool		registered;

	start.slot = index;
	start.database = memory->database;
	start.generation = sender_start(index);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = MyProcPid;
	strlcpy(worker.bgw_library_name, "adapty_webhook", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "adapty_webhook_main", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_type, "adapty webhooks", sizeof(worker.bgw_type));
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "adapty webhooks of %s", name);
	StaticAssertStmt(sizeof(start) <= sizeof(worker.bgw_extra), "SenderStart does not fit");
	memcpy(worker.bgw_extra, &start, sizeof(start));

	if (memory->handle != NULL)
		pfree(memory->handle);
	memory->handle = NULL;
	old = MemoryContextSwitchTo(TopMemoryContext);
	registered = RegisterDynamicBackgroundWorker(&worker, &memory->handle);
	MemoryContextSwitchTo(old);
	memory->started_at = GetCurrentTimestamp();
	if (registered)
	{
		warned_full = false;
		return;
	}
	sender_settle(index, SENDER_SLOT_STARTING, SENDER_SLOT_WANTED);
	memory->retry_at = TimestampTzPlusMilliseconds(memory->started_at, FULL_RETRY_MS);
	if (!warned_full)
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no background worker left for the webhooks of database \"%s\"", name),
				 errdetail("Events are kept and will be sent later."),
				 errhint("Increase max_worker_processes: webhooks need one process for each database.")));
	warned_full = true;
}

/* A sender is wanted: starts it if it may be started now; returns ms until then. */
static int
start_if_possible(int index, SenderMemory *memory, const char *name)
{
	TimestampTz now = GetCurrentTimestamp();
	SlotView	scheduler;

	/* The end of a hold wakes the launcher. */
	if (slot_view_of(memory->database, &scheduler) && scheduler.hold_count > 0)
		return MAX_BACKOFF_MS;
	if (memory->retry_at > now)
		return (int) TimestampDifferenceMilliseconds(now, memory->retry_at) + 1;
	start_sender(index, memory, name);
	return START_CHECK_MS;
}

/* Brings slot number index a step on; returns ms after which to look again. */
static int
tend(int index, const SenderView *view, DatabaseEligible eligible, void *launcher)
{
	SenderMemory *memory = memory_of(index, view->database);
	const char *name = "";
	bool		may_run = eligible(launcher, view->database, &name) && adapty_webhooks;
	pid_t		pid;

	switch (view->state)
	{
		case SENDER_SLOT_FREE:
			break;
		case SENDER_SLOT_STARTING:
			if (memory->handle != NULL && GetBackgroundWorkerPid(memory->handle, &pid) == BGWH_STOPPED)
				sender_settle(index, SENDER_SLOT_STARTING, SENDER_SLOT_ENDED);
			return START_CHECK_MS;
		case SENDER_SLOT_RUNNING:
			if (!may_run)
				sender_set_unwanted(index, true);
			break;
		case SENDER_SLOT_ENDED:
			grow_pause(memory);
			sender_settle(index, SENDER_SLOT_ENDED, SENDER_SLOT_WANTED);
			return memory->backoff_ms + 1;
		case SENDER_SLOT_WANTED:
			if (may_run)
				return start_if_possible(index, memory, name);
			/* The database is gone, or none of ours: if it comes to have webhooks, its scheduler says so. */
			if (name[0] == '\0')
				sender_settle(index, SENDER_SLOT_WANTED, SENDER_SLOT_FREE);
			break;
	}
	return PG_INT32_MAX;
}

/* See sender_launch.h. */
int
sender_launch_turn(DatabaseEligible eligible, void *launcher)
{
	int			timeout = PG_INT32_MAX;

	for (int i = 0; i < MAX_DATABASES; i++)
	{
		SenderView	view;
		int			within;

		sender_view(i, &view);
		if (!OidIsValid(view.database))
			continue;
		/* not within Min(), which would do it twice: two processes for one slot */
		within = tend(i, &view, eligible, launcher);
		timeout = Min(timeout, within);
	}
	return timeout;
}
