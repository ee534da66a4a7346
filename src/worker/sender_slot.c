/*
 * sender_slot.c
 *		Shared memory of the webhook senders: one slot a database that has webhooks.
 *
 * As with the schedulers' slots (shmem.c) nothing here matters in itself: it is rebuilt from the
 * tables.  A database gets a slot when a change of webhooks commits in it, or when its scheduler
 * finds webhooks there; it loses it when its sender finds none.
 *
 * Every commit that wrote events looks whether a sender wants to hear of it.  That costs the
 * database without webhooks one read (of "changes": the slots are as they were when it had none),
 * and the others one more, "posted": only the first commit after the sender has looked wakes it.
 * The sender clears "posted" before it takes its snapshot, and a commit sets it after it has become
 * visible: so a commit is either in the snapshot or posted.  The latch only ends a sleep: a sender
 * that waits for somebody's lock resets it, so before it sleeps it looks at what is posted.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"

#include "base/guc.h"
#include "base/sender_api.h"
#include "worker/sender_slot.h"

#define SHMEM_NAME "adapty senders"

typedef struct SenderSlot
{
	Oid			database;		/* InvalidOid if free */
	SenderState state;
	uint32		generation;		/* of the process that may claim or owns the slot */
	bool		unwanted;		/* the launcher, or a statement, wants the process to leave */
	int			pid;			/* of the owner; 0 for none */
	PGPROC	   *proc;			/* of the owner; NULL for none */
	pg_atomic_uint32 posted;	/* events were written since the sender looked */
	pg_atomic_uint32 changed;	/* webhooks were changed since the sender looked */
} SenderSlot;

typedef struct SenderShared
{
	pg_atomic_uint32 changes;	/* counts slots that were taken or freed */
	SenderSlot	slots[MAX_DATABASES];
} SenderShared;

static SenderShared *shared = NULL;
static LWLock *lock = NULL;
static shmem_request_hook_type previous_request_hook = NULL;
static shmem_startup_hook_type previous_startup_hook = NULL;

/* Of a sender: its slot, and as what it will have ended. */
static SenderSlot *own = NULL;
static SenderOutcome own_outcome = SENDER_FAILED;

/* Of a backend: its database's slot (NULL for none) as of that count of changes. */
static SenderSlot *cached_slot = NULL;
static uint32 cached_changes = 0;
static bool cache_valid = false;

/* Asks for the memory and the lock. */
static void
request_shmem(void)
{
	if (previous_request_hook != NULL)
		previous_request_hook();

	RequestAddinShmemSpace(MAXALIGN(sizeof(SenderShared)));
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
	shared = ShmemInitStruct(SHMEM_NAME, sizeof(SenderShared), &found);
	lock = &GetNamedLWLockTranche(SHMEM_NAME)->lock;
	if (!found)
	{
		memset(shared, 0, sizeof(SenderShared));
		pg_atomic_init_u32(&shared->changes, 0);
		for (int i = 0; i < MAX_DATABASES; i++)
		{
			pg_atomic_init_u32(&shared->slots[i].posted, 0);
			pg_atomic_init_u32(&shared->slots[i].changed, 0);
		}
	}
	LWLockRelease(AddinShmemInitLock);
}

/* The slot of a database, NULL if it has none.  Lock held. */
static SenderSlot *
find_slot(Oid database)
{
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		if (shared->slots[i].database == database)
			return &shared->slots[i];
	}
	return NULL;
}

/* Gives a slot another state; SENDER_SLOT_FREE gives it back.  Lock held exclusively. */
static void
set_state(SenderSlot *slot, SenderState state)
{
	slot->state = state;
	if (state == SENDER_SLOT_FREE)
	{
		slot->database = InvalidOid;
		pg_atomic_fetch_add_u32(&shared->changes, 1);
	}
}

/* At exit of a sender: says what is to become of its slot, and wakes the launcher. */
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
		if (own_outcome == SENDER_FAILED)
			set_state(own, SENDER_SLOT_ENDED);
		else if (own_outcome == SENDER_IDLE && pg_atomic_read_u32(&own->changed) == 0)
			set_state(own, SENDER_SLOT_FREE);
		else
			set_state(own, SENDER_SLOT_WANTED);
	}
	LWLockRelease(lock);
	shmem_relist();
}

/* See sender_api.h: claim. */
static bool
claim(int index, uint32 generation)
{
	SenderSlot *slot = &shared->slots[index];
	bool		claimed;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	claimed = slot->state == SENDER_SLOT_STARTING && slot->generation == generation;
	if (claimed)
	{
		slot->state = SENDER_SLOT_RUNNING;
		slot->pid = MyProcPid;
		slot->proc = MyProc;
		own = slot;
	}
	LWLockRelease(lock);
	if (claimed)
		before_shmem_exit(release_own_slot, (Datum) 0);
	return claimed;
}

/* See sender_api.h: exit_as. */
static void
exit_as(SenderOutcome outcome)
{
	own_outcome = outcome;
}

/* See sender_api.h: leave_asked. */
static bool
leave_asked(void)
{
	return own->unwanted;
}

/* See sender_api.h: take_posts.  The exchange is a full barrier before the snapshot. */
static bool
take_posts(bool *webhooks_changed)
{
	*webhooks_changed = pg_atomic_exchange_u32(&own->changed, 0) != 0;
	return pg_atomic_exchange_u32(&own->posted, 0) != 0;
}

/* See sender_api.h: is_called. */
static bool
is_called(void)
{
	return own->unwanted || pg_atomic_read_u32(&own->posted) != 0 || pg_atomic_read_u32(&own->changed) != 0;
}

static const SenderApi api = {
	.version = ADAPTY_VERSION,
	.claim = claim,
	.exit_as = exit_as,
	.leave_asked = leave_asked,
	.take_posts = take_posts,
	.is_called = is_called,
};

/* Registers the memory, and what senders call; only while shared_preload_libraries are loaded. */
void
sender_slot_init(void)
{
	previous_request_hook = shmem_request_hook;
	shmem_request_hook = request_shmem;
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup_shmem;
	*find_rendezvous_variable(SENDER_API_NAME) = (void *) &api;
}

/* Copies slot number index, from 0 to MAX_DATABASES - 1. */
void
sender_view(int index, SenderView *view)
{
	SenderSlot *slot = &shared->slots[index];

	LWLockAcquire(lock, LW_SHARED);
	view->database = slot->database;
	view->state = slot->state;
	view->generation = slot->generation;
	view->pid = slot->pid;
	LWLockRelease(lock);
}

/* Marks a slot, in which a sender is wanted, as being started; returns the generation that its process has to show. */
uint32
sender_start(int index)
{
	SenderSlot *slot = &shared->slots[index];
	uint32		generation;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	Assert(slot->state == SENDER_SLOT_WANTED);
	slot->state = SENDER_SLOT_STARTING;
	slot->unwanted = false;
	generation = ++slot->generation;
	LWLockRelease(lock);
	return generation;
}

/* Moves a slot without a process to another state, if it still is in the one that was seen. */
void
sender_settle(int index, SenderState from, SenderState to)
{
	SenderSlot *slot = &shared->slots[index];

	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (slot->state == from)
		set_state(slot, to);
	LWLockRelease(lock);
}

/* Asks a slot's process to leave, or takes that back.  Lock held exclusively. */
static void
ask_to_leave(SenderSlot *slot, bool unwanted)
{
	if (slot->unwanted == unwanted)
		return;
	slot->unwanted = unwanted;
	if (unwanted && slot->proc != NULL)
		SetLatch(&slot->proc->procLatch);
}

/* The same by number. */
void
sender_set_unwanted(int index, bool unwanted)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	ask_to_leave(&shared->slots[index], unwanted);
	LWLockRelease(lock);
}

/* For a launcher that has just started: what its predecessor had begun is begun anew. */
void
sender_forget_starts(void)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		SenderSlot *slot = &shared->slots[i];

		if (slot->database != InvalidOid && slot->state == SENDER_SLOT_STARTING)
		{
			slot->generation++;
			slot->state = SENDER_SLOT_WANTED;
		}
	}
	LWLockRelease(lock);
}

/* Webhooks are in a database, or were changed there: there should be a sender, and it should look. */
void
sender_want(Oid database)
{
	SenderSlot *slot;
	bool		start = false;

	if (shared == NULL)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot = find_slot(database);
	if (slot == NULL && (slot = find_slot(InvalidOid)) != NULL)
	{
		slot->database = database;
		slot->state = SENDER_SLOT_WANTED;
		slot->unwanted = false;
		slot->pid = 0;
		slot->proc = NULL;
		pg_atomic_write_u32(&slot->posted, 1);
		pg_atomic_fetch_add_u32(&shared->changes, 1);
		start = true;
	}
	if (slot != NULL)
	{
		pg_atomic_exchange_u32(&slot->changed, 1);
		if (slot->proc != NULL)
			SetLatch(&slot->proc->procLatch);
	}
	LWLockRelease(lock);
	if (start)
		shmem_relist();
}

/* The slot of this backend's database, NULL if it has none; remembers it while no slot changes. */
static SenderSlot *
own_database_slot(void)
{
	uint32		changes = pg_atomic_read_u32(&shared->changes);

	if (!cache_valid || changes != cached_changes)
	{
		LWLockAcquire(lock, LW_SHARED);
		cached_changes = pg_atomic_read_u32(&shared->changes);
		cached_slot = find_slot(MyDatabaseId);
		LWLockRelease(lock);
		cache_valid = true;
	}
	return cached_slot;
}

/* After a commit that wrote events, or changed webhooks of this database. */
void
sender_post(bool webhooks_changed)
{
	SenderSlot *slot;
	PGPROC	   *proc;

	if (shared == NULL || !OidIsValid(MyDatabaseId))
		return;
	if (webhooks_changed)
		sender_want(MyDatabaseId);
	slot = own_database_slot();
	if (slot == NULL)
		return;

	/* Our commit must be visible to others before we read whether they have heard. */
	pg_memory_barrier();
	if (pg_atomic_read_u32(&slot->posted) != 0 || pg_atomic_exchange_u32(&slot->posted, 1) != 0)
		return;
	proc = slot->proc;
	if (proc != NULL && proc != MyProc)
		SetLatch(&proc->procLatch);
}

/* A statement needs the database without our process: asks it to leave.  The launcher sees the hold. */
void
sender_hold(Oid database)
{
	SenderSlot *slot;

	if (shared == NULL)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot = find_slot(database);
	if (slot != NULL)
		ask_to_leave(slot, true);
	LWLockRelease(lock);
}

/* Is a sender in the database, or about to be?  *pid is 0 as long as it is not known. */
bool
sender_has_process(Oid database, int *pid)
{
	SenderSlot *slot;
	bool		has_process = false;

	*pid = 0;
	if (shared == NULL)
		return false;
	LWLockAcquire(lock, LW_SHARED);
	slot = find_slot(database);
	if (slot != NULL)
	{
		has_process = slot->state == SENDER_SLOT_STARTING || slot->state == SENDER_SLOT_RUNNING;
		*pid = slot->pid;
	}
	LWLockRelease(lock);
	return has_process;
}
