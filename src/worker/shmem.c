/*
 * shmem.c
 *		What the workers and the backends tell each other: one slot a database.
 *
 * Shared memory holds nothing that matters: it is a hint that a restart rebuilds from the tables.
 *
 * One lock guards all slots, except "next_wake", the moment at which the slot's scheduler will look
 * at the table next.  That is an atomic, because every commit that makes something due reads it:
 *		DT_NOBEGIN	it has been told to look now, or there is no scheduler
 *		NOT_WAITING	the scheduler is off and wants to hear of nothing due
 *		DT_NOEND	the scheduler is looking now, so every post counts
 *		else		it sleeps until then
 * A backend lowers it after its commit is visible; the scheduler opens it before it takes its
 * snapshot and afterwards lowers it to its own plan.  So a commit is either in the snapshot or in
 * next_wake, and what is posted while the scheduler works is not forgotten.
 *
 * PGPROC entries live as long as the server, so setting the latch of a process that has just gone
 * wakes at worst a stranger, for nothing.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "worker/shmem.h"

#define SHMEM_NAME "adapty"
#define NOT_WAITING (DT_NOBEGIN + 1)

typedef struct Slot
{
	Oid			database;		/* InvalidOid if free */
	SlotState	state;
	SlotActivity activity;
	uint32		generation;		/* of the process that may claim or owns the slot */
	int			hold_count;		/* statements that want the database without our process */
	bool		unwanted;		/* the launcher wants the process to leave */
	bool		requested;		/* the extension may have come since the process looked */
	int			pid;			/* of the owner; 0 for none */
	PGPROC	   *proc;			/* of the owner; NULL for none */
	pg_atomic_uint64 next_wake; /* a TimestampTz, see above */
	pg_atomic_uint32 written;	/* events were, since the scheduler looked */
	SlotCounters counters;
} Slot;

typedef struct WorkerShared
{
	PGPROC	   *launcher;		/* NULL before it starts */
	pg_atomic_uint32 launcher_called;	/* since it began its turn */
	bool		relist;			/* databases may have come or gone */
	bool		probe_all;		/* a request found no slot: look everywhere */
	Slot		slots[MAX_DATABASES];
} WorkerShared;

static WorkerShared *shared = NULL;
static LWLock *lock = NULL;
static shmem_request_hook_type previous_request_hook = NULL;
static shmem_startup_hook_type previous_startup_hook = NULL;

/* Of a scheduler: its slot, and as what it will have ended. */
static Slot *own = NULL;
static SlotState own_outcome = SLOT_FAILED;

/* Of a backend: where its database's slot was last seen. */
static int	cached_index = 0;

/* Asks for the memory and the lock. */
static void
request_shmem(void)
{
	if (previous_request_hook != NULL)
		previous_request_hook();

	RequestAddinShmemSpace(MAXALIGN(sizeof(WorkerShared)));
	RequestNamedLWLockTranche(SHMEM_NAME, 1);
}

/* Sets the slots up, at start and again after a crash. */
static void
startup_shmem(void)
{
	bool		found;

	if (previous_startup_hook != NULL)
		previous_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct(SHMEM_NAME, sizeof(WorkerShared), &found);
	lock = &GetNamedLWLockTranche(SHMEM_NAME)->lock;
	if (!found)
	{
		memset(shared, 0, sizeof(WorkerShared));
		pg_atomic_init_u32(&shared->launcher_called, 0);
		for (int i = 0; i < MAX_DATABASES; i++)
		{
			pg_atomic_init_u64(&shared->slots[i].next_wake, (uint64) DT_NOBEGIN);
			pg_atomic_init_u32(&shared->slots[i].written, 0);
		}
	}
	LWLockRelease(AddinShmemInitLock);
}

/* Registers the memory; only while shared_preload_libraries are loaded. */
void
shmem_init(void)
{
	previous_request_hook = shmem_request_hook;
	shmem_request_hook = request_shmem;
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup_shmem;
}

/* Wakes the launcher, if there is one.  Lock held or not. */
static void
wake_launcher(void)
{
	PGPROC	   *launcher = shared->launcher;

	pg_atomic_exchange_u32(&shared->launcher_called, 1);
	if (launcher != NULL)
		SetLatch(&launcher->procLatch);
}

/* Makes the slot's scheduler look at once.  Lock held. */
static void
wake_owner_now(Slot *slot)
{
	pg_atomic_write_u64(&slot->next_wake, (uint64) DT_NOBEGIN);
	if (slot->proc != NULL)
		SetLatch(&slot->proc->procLatch);
}

/* The slot of a database, NULL if it has none.  Lock held. */
static Slot *
find_slot(Oid database)
{
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		if (shared->slots[i].database == database)
			return &shared->slots[i];
	}
	return NULL;
}

/* The same, taking a free one if it has none; NULL if all are taken.  Lock held exclusively. */
static Slot *
find_or_take_slot(Oid database)
{
	Slot	   *slot = find_slot(database);

	if (slot != NULL)
		return slot;
	slot = find_slot(InvalidOid);
	if (slot == NULL)
		return NULL;

	slot->database = database;
	slot->state = SLOT_EMPTY;
	slot->activity = ACTIVITY_STARTING;
	slot->hold_count = 0;
	slot->unwanted = false;
	slot->requested = false;
	slot->pid = 0;
	slot->proc = NULL;
	pg_atomic_write_u64(&slot->next_wake, (uint64) DT_NOBEGIN);
	memset(&slot->counters, 0, sizeof(slot->counters));
	return slot;
}

/* Gives a slot back, unless a statement holds the database.  Lock held exclusively. */
static void
free_slot(Slot *slot)
{
	slot->state = SLOT_EMPTY;
	if (slot->hold_count == 0)
		slot->database = InvalidOid;
}

/* Copies a slot.  Lock held. */
static void
copy_slot(Slot *slot, SlotView *view)
{
	view->database = slot->database;
	view->state = slot->state;
	view->activity = slot->activity;
	view->generation = slot->generation;
	view->hold_count = slot->hold_count;
	view->pid = slot->pid;
	view->next_wake = (TimestampTz) pg_atomic_read_u64(&slot->next_wake);
	if (view->next_wake == NOT_WAITING)
		view->next_wake = DT_NOEND;
	view->counters = slot->counters;
}

/* At exit of the launcher: nobody is to wake it any more. */
static void
clear_launcher(int code, Datum arg)
{
	(void) code;
	(void) arg;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (shared->launcher == MyProc)
		shared->launcher = NULL;
	LWLockRelease(lock);
}

/* Says that this process is the launcher. */
void
shmem_set_launcher(void)
{
	before_shmem_exit(clear_launcher, (Datum) 0);

	LWLockAcquire(lock, LW_EXCLUSIVE);
	shared->launcher = MyProc;
	LWLockRelease(lock);
}

/*
 * Was the launcher called since it last took a call?  take false only looks: before a sleep, as the latch
 * is reset by whatever the launcher waits for during its turn.
 */
bool
shmem_launcher_called(bool take)
{
	return take ? pg_atomic_exchange_u32(&shared->launcher_called, 0) != 0
		: pg_atomic_read_u32(&shared->launcher_called) != 0;
}

/*
 * Should the launcher list the databases again?  Clears the wish.  *probe_all says that it should
 * also look again into those known to be without the extension.
 */
bool
shmem_take_relist(bool *probe_all)
{
	bool		relist;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	relist = shared->relist;
	*probe_all = shared->probe_all;
	shared->relist = false;
	shared->probe_all = false;
	LWLockRelease(lock);
	return relist;
}

/* Copies slot number index, from 0 to MAX_DATABASES - 1. */
void
slot_view(int index, SlotView *view)
{
	LWLockAcquire(lock, LW_SHARED);
	copy_slot(&shared->slots[index], view);
	LWLockRelease(lock);
}

/* Wants a process in a database; false if no slot is left. */
bool
slot_want(Oid database)
{
	Slot	   *slot;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot = find_or_take_slot(database);
	if (slot != NULL && slot->state == SLOT_EMPTY)
		slot->state = SLOT_WANTED;
	LWLockRelease(lock);
	return slot != NULL;
}

/* Marks a slot as being started; returns the generation that its process has to show. */
uint32
slot_start(int index)
{
	Slot	   *slot = &shared->slots[index];
	uint32		generation;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot->state = SLOT_STARTING;
	slot->unwanted = false;
	generation = ++slot->generation;
	LWLockRelease(lock);
	return generation;
}

/* The process of that generation will never come up. */
void
slot_start_failed(int index, uint32 generation)
{
	Slot	   *slot = &shared->slots[index];

	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (slot->state == SLOT_STARTING && slot->generation == generation)
		slot->state = SLOT_FAILED;
	LWLockRelease(lock);
}

/*
 * Moves a slot without a process to another state (SLOT_EMPTY frees it), if it still is in the
 * state that the launcher saw.
 */
void
slot_settle(int index, SlotState from, SlotState to)
{
	Slot	   *slot = &shared->slots[index];

	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (slot->state == from)
	{
		if (to == SLOT_EMPTY)
			free_slot(slot);
		else
			slot->state = to;
	}
	LWLockRelease(lock);
}

/* Asks a slot's process to leave, or takes that back. */
void
slot_set_unwanted(int index, bool unwanted)
{
	Slot	   *slot = &shared->slots[index];

	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (slot->unwanted != unwanted)
	{
		slot->unwanted = unwanted;
		if (unwanted)
			wake_owner_now(slot);
	}
	LWLockRelease(lock);
}

/*
 * For a launcher that has just started: processes that its predecessor registered and that have not
 * come up are started anew; if they come up after all, their generation is out of date.
 */
void
slot_forget_starts(void)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		Slot	   *slot = &shared->slots[i];

		if (slot->database != InvalidOid && slot->state == SLOT_STARTING)
		{
			slot->generation++;
			slot->state = SLOT_WANTED;
		}
	}
	LWLockRelease(lock);
}

/* At exit of a scheduler: leaves its outcome in the slot and wakes the launcher. */
static void
release_own_slot(int code, Datum arg)
{
	(void) code;
	(void) arg;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (own->proc == MyProc)
	{
		own->pid = 0;
		own->proc = NULL;
		pg_atomic_write_u64(&own->next_wake, (uint64) DT_NOBEGIN);
		own->state = own_outcome;
		/* CREATE EXTENSION committed after this process had looked. */
		if (own_outcome == SLOT_ABSENT && own->requested)
			own->state = SLOT_WANTED;
	}
	LWLockRelease(lock);
	wake_launcher();
}

/*
 * Makes this process the owner of a slot, until it exits; false if it comes too late and must not
 * run.  The slot's final state is SLOT_FAILED unless slot_exit_as() says otherwise.
 */
bool
slot_claim(int index, uint32 generation)
{
	Slot	   *slot = &shared->slots[index];
	bool		claimed;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	claimed = slot->state == SLOT_STARTING && slot->generation == generation;
	if (claimed)
	{
		slot->state = SLOT_RUNNING;
		slot->activity = ACTIVITY_STARTING;
		slot->requested = false;
		slot->pid = MyProcPid;
		slot->proc = MyProc;
		own = slot;
	}
	LWLockRelease(lock);

	if (claimed)
		before_shmem_exit(release_own_slot, (Datum) 0);
	return claimed;
}

/* As what this scheduler will have ended. */
void
slot_exit_as(SlotState outcome)
{
	own_outcome = outcome;
}

/* Has this scheduler been asked to leave? */
bool
slot_leave_asked(void)
{
	bool		asked;

	LWLockAcquire(lock, LW_SHARED);
	asked = own->hold_count > 0 || own->unwanted;
	LWLockRelease(lock);
	return asked;
}

/* Shows what this scheduler does. */
void
slot_report(SlotActivity activity)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	own->activity = activity;
	LWLockRelease(lock);
}

/* Before the snapshot of a look at the table: from now on every post counts. */
void
slot_plan_open(void)
{
	/* exchange rather than write: it is a full barrier */
	pg_atomic_exchange_u64(&own->next_wake, (uint64) DT_NOEND);
}

/* Lowers a slot's planned wake-up; false if it is not later than that already. */
static bool
lower_next_wake(Slot *slot, TimestampTz wake)
{
	uint64		current = pg_atomic_read_u64(&slot->next_wake);

	while ((TimestampTz) current > wake)
	{
		if (pg_atomic_compare_exchange_u64(&slot->next_wake, &current, (uint64) wake))
			return true;
	}
	return false;
}

/* After the look: the scheduler wants to wake then; what was posted meanwhile and is earlier stays. */
void
slot_plan(TimestampTz wake)
{
	lower_next_wake(own, wake);
}

/* The scheduler tells itself to look now. */
void
slot_plan_look(void)
{
	pg_atomic_exchange_u64(&own->next_wake, (uint64) DT_NOBEGIN);
}

/* The scheduler does not want to be told of anything due. */
void
slot_plan_none(void)
{
	pg_atomic_exchange_u64(&own->next_wake, (uint64) NOT_WAITING);
}

/* When this scheduler is to look next; DT_NOBEGIN for at once. */
TimestampTz
slot_planned(void)
{
	return (TimestampTz) pg_atomic_read_u64(&own->next_wake);
}

/* Counts a look at the table after a sleep. */
void
slot_count_wakeup(void)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	own->counters.wakeups++;
	LWLockRelease(lock);
}

/* Counts a committed batch. */
void
slot_count_batch(const DueResult *result)
{
	SlotCounters *counters = &own->counters;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	counters->last_run_at = GetCurrentTimestamp();
	counters->failed += result->failed;
	if (result->processed > 0)
	{
		counters->batches++;
		counters->processed += result->processed;
		counters->last_batch_size = result->processed;
		counters->last_lateness = result->max_lateness;
		counters->max_lateness = Max(counters->max_lateness, result->max_lateness);
		counters->total_lateness += result->total_lateness;
	}
	LWLockRelease(lock);
}

/* Keeps the beginning of an error's message, in whole characters. */
void
slot_count_error(const char *message)
{
	int			length = pg_mbcliplen(message, strlen(message), LAST_ERROR_SIZE - 1);

	LWLockAcquire(lock, LW_EXCLUSIVE);
	own->counters.last_error_at = GetCurrentTimestamp();
	memcpy(own->counters.last_error, message, length);
	own->counters.last_error[length] = '\0';
	LWLockRelease(lock);
}

/* The slot of this backend's database, NULL if it has none; remembers where it was. */
static Slot *
own_database_slot(void)
{
	Slot	   *slot = &shared->slots[cached_index];

	if (slot->database == MyDatabaseId)
		return slot;

	LWLockAcquire(lock, LW_SHARED);
	slot = find_slot(MyDatabaseId);
	LWLockRelease(lock);
	if (slot != NULL)
		cached_index = slot - shared->slots;
	return slot;
}

/*
 * After a commit: something of this database falls due then.  Takes no lock in the usual case, in
 * which the scheduler will look earlier anyway.  A slot that changes hands under our feet gets at
 * worst one needless look.
 */
void
slot_post_due(TimestampTz due)
{
	Slot	   *slot;
	PGPROC	   *proc;

	if (shared == NULL || !OidIsValid(MyDatabaseId))
		return;
	slot = own_database_slot();
	if (slot == NULL)
		return;

	/* Our commit must be visible to others before we read what they plan. */
	pg_memory_barrier();
	if (!lower_next_wake(slot, due))
		return;

	proc = slot->proc;
	if (proc != NULL && proc != MyProc)
		SetLatch(&proc->procLatch);
}

/* After a commit that wrote events: only the first since the scheduler looked wakes it. */
void
slot_post_written(void)
{
	Slot	   *slot;
	PGPROC	   *proc;

	if (shared == NULL || !OidIsValid(MyDatabaseId) || (slot = own_database_slot()) == NULL)
		return;
	pg_memory_barrier();
	if (pg_atomic_read_u32(&slot->written) != 0 || pg_atomic_exchange_u32(&slot->written, 1) != 0)
		return;
	proc = slot->proc;
	if (proc != NULL && proc != MyProc)
		SetLatch(&proc->procLatch);
}

/* Were events written since the last call?  For the scheduler; take false only looks. */
bool
slot_written(bool take)
{
	return take ? pg_atomic_exchange_u32(&own->written, 0) != 0 : pg_atomic_read_u32(&own->written) != 0;
}

/* The extension has come to a database, or changed there: start a scheduler or make it look. */
void
slot_request(Oid database)
{
	Slot	   *slot;

	if (shared == NULL)
		return;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot = find_or_take_slot(database);
	if (slot == NULL)
		shared->probe_all = true;
	else
	{
		slot->requested = true;
		if (slot->state == SLOT_RUNNING)
			wake_owner_now(slot);
		else if (slot->state != SLOT_STARTING)
			slot->state = SLOT_WANTED;
	}
	shared->relist = true;
	LWLockRelease(lock);
	wake_launcher();
}

/* The extension may have gone from a database: make its scheduler look, if there is one. */
void
slot_nudge(Oid database)
{
	Slot	   *slot;

	if (shared == NULL)
		return;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot = find_slot(database);
	if (slot != NULL)
		wake_owner_now(slot);
	LWLockRelease(lock);
}

/*
 * A statement needs the database without our process: asks it to leave, and keeps the launcher
 * from starting one, until slot_release().  Holds are counted.  Without a free slot there is no
 * process to keep away either.
 */
void
slot_hold(Oid database)
{
	Slot	   *slot;

	if (shared == NULL)
		return;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot = find_or_take_slot(database);
	if (slot != NULL)
	{
		slot->hold_count++;
		wake_owner_now(slot);
	}
	LWLockRelease(lock);
}

/* Ends a hold: the launcher decides what becomes of the database. */
void
slot_release(Oid database)
{
	Slot	   *slot;

	if (shared == NULL)
		return;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot = find_slot(database);
	if (slot != NULL && slot->hold_count > 0)
	{
		slot->hold_count--;
		if (slot->hold_count == 0 && slot->state == SLOT_EMPTY)
			free_slot(slot);
	}
	shared->relist = true;
	LWLockRelease(lock);
	wake_launcher();
}

/* Is a process of ours in the database, or about to be?  *pid is 0 as long as it is not known. */
bool
slot_has_process(Oid database, int *pid)
{
	Slot	   *slot;
	bool		has_process = false;

	*pid = 0;
	if (shared == NULL)
		return false;

	LWLockAcquire(lock, LW_SHARED);
	slot = find_slot(database);
	if (slot != NULL)
	{
		has_process = slot->state == SLOT_STARTING || slot->state == SLOT_RUNNING;
		*pid = slot->pid;
	}
	LWLockRelease(lock);
	return has_process;
}

/* Databases have come, gone or changed: the launcher should list them again. */
void
shmem_relist(void)
{
	if (shared == NULL)
		return;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	shared->relist = true;
	LWLockRelease(lock);
	wake_launcher();
}

/* Copies the slot of a database; false if it has none. */
bool
slot_view_of(Oid database, SlotView *view)
{
	Slot	   *slot;

	if (shared == NULL)
		return false;

	LWLockAcquire(lock, LW_SHARED);
	slot = find_slot(database);
	if (slot != NULL)
		copy_slot(slot, view);
	LWLockRelease(lock);
	return slot != NULL;
}
