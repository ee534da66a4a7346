/*
 * launcher.c
 *		The process that starts a scheduler in each database that has the extension.
 *
 * It is connected to no database and reads only the shared catalog of databases.  Whether the
 * extension is in a database can be seen only from inside: so the launcher starts a scheduler, and
 * if that does not find the extension it leaves and says so in its slot.  Such a database is left
 * alone until CREATE EXTENSION commits in it or the settings are read again.
 *
 * Schedulers are never restarted by the postmaster but by the launcher, with growing pauses: so a
 * dropped database is not tried for ever.  The launcher keeps no truth: if it ends, a new one finds
 * the running schedulers in the slots and goes on with them.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "base/compat.h"
#include "base/guc.h"
#include "worker/launcher.h"
#include "worker/scheduler.h"
#include "worker/sender_launch.h"
#include "worker/sender_slot.h"
#include "worker/shmem.h"
#include "worker/worker.h"

/* Servers before 15.4 do not mark databases whose DROP was interrupted. */
#ifndef DATCONNLIMIT_INVALID_DB
#define DATCONNLIMIT_INVALID_DB (-2)
#endif

#define RESTART_SECONDS 5		/* pause before the postmaster restarts the launcher */
#define MAX_STARTING 2			/* processes coming up at the same time */
#define START_CHECK_MS 1000		/* while some are: a process may die before it can say so */
#define FULL_RETRY_MS 10000		/* when the server has no place for another process */
#define RELIST_MS 300000		/* databases changed behind our back are noticed so late */
#define MIN_BACKOFF_MS 1000
#define MAX_BACKOFF_MS 60000
#define STABLE_MS 60000			/* a scheduler that ran so long is not blamed for earlier ends */

typedef struct KnownDatabase
{
	Oid			database;		/* hash key */
	NameData	name;
	uint32		listed;			/* number of the last list that has it */
	bool		eligible;		/* in the last list, and a scheduler may run there */
	bool		is_absent;		/* looked into: the extension is not there */
	bool		has_slot;		/* in this step */
	int			backoff_ms;		/* 0 if its last end was in order */
	TimestampTz started_at;
	TimestampTz retry_at;
	BackgroundWorkerHandle *handle; /* NULL if unknown */
} KnownDatabase;

typedef struct Launcher
{
	MemoryContext turn_context; /* reset at each turn */
	HTAB	   *databases;		/* of KnownDatabase */
	uint32		lists;			/* number of the last list */
	int			starting;		/* processes coming up */
	int			timeout_ms;		/* of this turn's sleep */
	bool		warned_full;	/* once until there is a place again */
	bool		warned_slots;
} Launcher;

/* Makes the sleep of this turn end no later than in ms. */
static void
wake_within(Launcher *launcher, long ms)
{
	launcher->timeout_ms = Min(launcher->timeout_ms, Max(ms, 1));
}

/* Is a database named by adapty.databases, or are all? */
static bool
is_named(const char *name)
{
	char	   *copy = pstrdup(adapty_databases);
	List	   *names;
	ListCell   *cell;

	if (!SplitGUCList(copy, ',', &names))
		return false;
	if (names == NIL)
		return true;
	foreach(cell, names)
	{
		if (strcmp((char *) lfirst(cell), name) == 0)
			return true;
	}
	return false;
}

/* May a scheduler run in a database?  Templates are left alone, so that they can be copied. */
static bool
is_eligible(Form_pg_database form)
{
	return form->datallowconn && !form->datistemplate &&
		form->datconnlimit != DATCONNLIMIT_INVALID_DB && is_named(NameStr(form->datname));
}

/* Takes a row of pg_database into the list. */
static void
note_database(Launcher *launcher, Form_pg_database form)
{
	bool		found;
	bool		eligible = is_eligible(form);
	KnownDatabase *known = hash_search(launcher->databases, &form->oid, HASH_ENTER, &found);

	if (!found)
	{
		memset(known, 0, sizeof(*known));
		known->database = form->oid;
	}
	/* What was ineligible may have got the extension while nobody looked. */
	if (!known->eligible)
		known->is_absent = false;
	known->name = form->datname;
	known->listed = launcher->lists;
	known->eligible = eligible;
}

/* Reads pg_database: which databases may have a scheduler now. */
static void
list_databases(Launcher *launcher)
{
	HASH_SEQ_STATUS status;
	KnownDatabase *known;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;

	launcher->lists++;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	(void) GetTransactionSnapshot();

	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
		note_database(launcher, (Form_pg_database) GETSTRUCT(tuple));
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(launcher->turn_context);

	hash_seq_init(&status, launcher->databases);
	while ((known = hash_seq_search(&status)) != NULL)
	{
		if (known->listed != launcher->lists)
			known->eligible = false;
	}
}

/* Forgets which databases were seen without the extension. */
static void
forget_absences(Launcher *launcher)
{
	HASH_SEQ_STATUS status;
	KnownDatabase *known;

	hash_seq_init(&status, launcher->databases);
	while ((known = hash_seq_search(&status)) != NULL)
		known->is_absent = false;
}

/* Says once that the server has no place for another process, and what to do. */
static void
warn_full(Launcher *launcher, const KnownDatabase *known)
{
	wake_within(launcher, FULL_RETRY_MS);
	if (launcher->warned_full)
		return;
	launcher->warned_full = true;
	ereport(WARNING,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("no background worker left for the adapty scheduler of database \"%s\"",
					NameStr(known->name)),
			 errdetail("Access stays right, but starts and ends of access are not announced there."),
			 errhint("Increase max_worker_processes: the extension needs one process and one more for each database.")));
}

/* Starts the process of slot number index. */
static void
start_scheduler(Launcher *launcher, int index, KnownDatabase *known)
{
	BackgroundWorker worker = {0};
	SchedulerStart start = {0};
	MemoryContext old_context;
	bool		registered;

	start.slot = index;
	start.database = known->database;
	start.generation = slot_start(index);

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = MyProcPid;
	strlcpy(worker.bgw_library_name, "adapty", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "adapty_scheduler_main", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_type, "adapty scheduler", sizeof(worker.bgw_type));
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "adapty scheduler for %s",
			 NameStr(known->name));
	StaticAssertStmt(sizeof(start) <= sizeof(worker.bgw_extra), "SchedulerStart does not fit");
	memcpy(worker.bgw_extra, &start, sizeof(start));

	if (known->handle != NULL)
		pfree(known->handle);
	known->handle = NULL;
	old_context = MemoryContextSwitchTo(TopMemoryContext);
	registered = RegisterDynamicBackgroundWorker(&worker, &known->handle);
	MemoryContextSwitchTo(old_context);

	if (!registered)
	{
		slot_settle(index, SLOT_STARTING, SLOT_WANTED);
		known->retry_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), FULL_RETRY_MS);
		warn_full(launcher, known);
		return;
	}
	known->started_at = GetCurrentTimestamp();
	launcher->warned_full = false;
	launcher->starting++;
	wake_within(launcher, START_CHECK_MS);
}

/* A process that is coming up: has it died before it could say so? */
static void
check_starting(Launcher *launcher, int index, const SlotView *view, KnownDatabase *known)
{
	pid_t		pid;

	launcher->starting++;
	wake_within(launcher, START_CHECK_MS);
	if (known->handle != NULL &&
		GetBackgroundWorkerPid(known->handle, &pid) == BGWH_STOPPED)
		slot_start_failed(index, view->generation);
}

/* A process that ended by an error: try again after a pause that doubles each time. */
static void
plan_restart(int index, KnownDatabase *known)
{
	TimestampTz now = GetCurrentTimestamp();

	if (known->backoff_ms == 0 ||
		TimestampDifferenceExceeds(known->started_at, now, STABLE_MS))
		known->backoff_ms = MIN_BACKOFF_MS;
	else
		known->backoff_ms = Min(known->backoff_ms * 2, MAX_BACKOFF_MS);
	known->retry_at = TimestampTzPlusMilliseconds(now, known->backoff_ms);
	slot_settle(index, SLOT_FAILED, SLOT_WANTED);
}

/* A database in which a process is wanted: start it, if it may and can be started now. */
static void
start_if_possible(Launcher *launcher, int index, const SlotView *view, KnownDatabase *known)
{
	TimestampTz now = GetCurrentTimestamp();

	if (view->hold_count > 0)
		return;					/* the end of the hold wakes us */
	if (known->retry_at > now)
		wake_within(launcher, TimestampDifferenceMilliseconds(now, known->retry_at) + 1);
	else if (launcher->starting < MAX_STARTING)
		start_scheduler(launcher, index, known);
	/* else the next process that has come up or gone wakes us */
}

/* Brings what has become of slot number index to its next state. */
static void
tend_slot(Launcher *launcher, int index)
{
	SlotView	view;
	KnownDatabase *known;
	bool		eligible;

	slot_view(index, &view);
	if (!OidIsValid(view.database))
		return;
	known = hash_search(launcher->databases, &view.database, HASH_FIND, NULL);
	eligible = known != NULL && known->eligible;
	if (known != NULL)
		known->has_slot = true;

	switch (view.state)
	{
		case SLOT_EMPTY:
		case SLOT_STARTING:
			break;
		case SLOT_RUNNING:
			slot_set_unwanted(index, !eligible);
			break;
		case SLOT_ABSENT:
			if (known != NULL)
			{
				known->is_absent = true;
				known->backoff_ms = 0;
			}
			slot_settle(index, SLOT_ABSENT, SLOT_EMPTY);
			break;
		case SLOT_LEFT:
			slot_settle(index, SLOT_LEFT, eligible ? SLOT_WANTED : SLOT_EMPTY);
			break;
		case SLOT_FAILED:
			if (eligible)
				plan_restart(index, known);
			else
				slot_settle(index, SLOT_FAILED, SLOT_EMPTY);
			break;
		case SLOT_WANTED:
			if (!eligible)
				slot_settle(index, SLOT_WANTED, SLOT_EMPTY);
			break;
	}
}

/* Takes a slot for every database that has not been looked into; drops those that are gone. */
static void
want_unknown_databases(Launcher *launcher)
{
	HASH_SEQ_STATUS status;
	KnownDatabase *known;
	bool		fits = true;

	hash_seq_init(&status, launcher->databases);
	while ((known = hash_seq_search(&status)) != NULL)
	{
		if (known->eligible && !known->is_absent && !known->has_slot)
			fits = slot_want(known->database) && fits;
		else if (!known->eligible && !known->has_slot)
		{
			if (known->handle != NULL)
				pfree(known->handle);
			hash_search(launcher->databases, &known->database, HASH_REMOVE, NULL);
		}
	}

	if (!fits && !launcher->warned_slots)
		ereport(WARNING,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("adapty schedulers cannot run in more than %d databases of one server", MAX_DATABASES),
				 errhint("Name the databases that need one in adapty.databases.")));
	launcher->warned_slots = !fits;
}

/* Starts what is wanted, as far as it may be. */
static void
start_wanted(Launcher *launcher)
{
	launcher->starting = 0;
	for (int pass = 0; pass < 2; pass++)
	{
		for (int i = 0; i < MAX_DATABASES; i++)
		{
			SlotView	view;
			KnownDatabase *known;

			slot_view(i, &view);
			if (!OidIsValid(view.database))
				continue;
			known = hash_search(launcher->databases, &view.database, HASH_FIND, NULL);
			if (known == NULL)
				continue;
			/* first count what is coming up already, then fill up */
			if (pass == 0 && view.state == SLOT_STARTING)
				check_starting(launcher, i, &view, known);
			else if (pass == 1 && view.state == SLOT_WANTED)
				start_if_possible(launcher, i, &view, known);
		}
	}
}

/* May processes of ours run in a database?  For senders: the extension is there, or they were not wanted. */
static bool
may_have_sender(void *arg, Oid database, const char **name)
{
	Launcher   *launcher = arg;
	KnownDatabase *known = hash_search(launcher->databases, &database, HASH_FIND, NULL);

	if (known == NULL || !known->eligible)
		return false;
	*name = NameStr(known->name);
	return true;
}

/* One turn: brings every database one step nearer to what it should be. */
static void
launcher_turn(Launcher *launcher, bool relist)
{
	HASH_SEQ_STATUS status;
	KnownDatabase *known;

	launcher->timeout_ms = RELIST_MS;
	if (relist)
		list_databases(launcher);

	hash_seq_init(&status, launcher->databases);
	while ((known = hash_seq_search(&status)) != NULL)
		known->has_slot = false;

	for (int i = 0; i < MAX_DATABASES; i++)
		tend_slot(launcher, i);
	want_unknown_databases(launcher);
	start_wanted(launcher);
	wake_within(launcher, sender_launch_turn(may_have_sender, launcher));
}

/* Creates the launcher's memory. */
static void
launcher_set_up(Launcher *launcher)
{
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(KnownDatabase);
	ctl.hcxt = TopMemoryContext;
	memset(launcher, 0, sizeof(*launcher));
	launcher->databases = hash_create("adapty databases", 64, &ctl,
									  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	launcher->turn_context = AllocSetContextCreate(TopMemoryContext, "adapty launcher turn",
												   ALLOCSET_DEFAULT_SIZES);
}

/*
 * Main function.  Exit code 1 makes the postmaster start it again, also after somebody has
 * terminated it by hand; at shutdown nobody is started again.
 */
void
adapty_launcher_main(Datum arg)
{
	Launcher	launcher;
	bool		relist = true;
	static uint32 wait_event = 0;

	(void) arg;
	worker_process_start();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	pgstat_report_appname("adapty launcher");
	launcher_set_up(&launcher);
	slot_forget_starts();
	sender_forget_starts();
	shmem_set_launcher();

	for (;;)
	{
		bool		probe_all;
		int			events;

		MemoryContextSwitchTo(launcher.turn_context);
		MemoryContextReset(launcher.turn_context);

		if (worker_housekeeping(1))
		{
			forget_absences(&launcher);
			relist = true;
		}
		(void) shmem_launcher_called(true);
		relist = shmem_take_relist(&probe_all) || relist;
		if (probe_all)
			forget_absences(&launcher);

		launcher_turn(&launcher, relist);
		if (shmem_launcher_called(false) || ConfigReloadPending)
			launcher.timeout_ms = 0;

		pgstat_report_activity(STATE_IDLE, NULL);
		events = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						   launcher.timeout_ms, wait_event_compat(wait_event, "AdaptyLauncher"));
		ResetLatch(MyLatch);
		relist = (events & WL_TIMEOUT) != 0 && launcher.timeout_ms > 0;
	}
}

/* See the header. */
void
launcher_register(void)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = RESTART_SECONDS;
	strlcpy(worker.bgw_library_name, "adapty", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "adapty_launcher_main", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "adapty launcher", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "adapty launcher", sizeof(worker.bgw_type));
	RegisterBackgroundWorker(&worker);
}
