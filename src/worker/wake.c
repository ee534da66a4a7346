/*
 * wake.c
 *		What a transaction has to tell the workers when it commits.
 *
 * Notes are taken while the transaction runs and acted upon after its commit is visible: a rolled
 * back transaction wakes nobody.  A note of a subtransaction that was rolled back is kept: a
 * needless wake-up does no harm, a missing one would.
 *
 * PREPARE TRANSACTION forgets the notes: the commit comes from another process, perhaps after a
 * restart.  What such a transaction made due is found within adapty.max_sleep.
 *
 * Nothing here can fail: the commit callback runs when it is too late for an error.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"

#include "base/guc.h"
#include "base/hooks.h"
#include "worker/sender_slot.h"
#include "worker/shmem.h"
#include "worker/wake.h"

#define MAX_HELD_DATABASES 8	/* by one transaction; only renames can share one */

static TimestampTz earliest_due = DT_NOEND;
static bool events_written = false;
static bool webhooks_changed = false;
static bool extension_may_be_here = false;
static bool extension_may_be_gone = false;
static bool databases_changed = false;
static Oid	held[MAX_HELD_DATABASES];
static int	held_count = 0;

/* The hook that lower layers call: keeps the earliest moment. */
static void
note_due(TimestampTz due)
{
	if (due < earliest_due)
		earliest_due = due;
}

/* The hook that lower layers call: there is something to hand out. */
static void
note_output(bool changed)
{
	events_written = true;
	webhooks_changed = webhooks_changed || changed;
}

/* See the header. */
void
wake_extension_may_be_here(void)
{
	extension_may_be_here = true;
}

/* See the header. */
void
wake_extension_may_be_gone(void)
{
	extension_may_be_gone = true;
}

/* See the header. */
void
wake_databases_changed(void)
{
	databases_changed = true;
}

/* See the header. */
void
wake_hold_database(Oid database)
{
	if (held_count == MAX_HELD_DATABASES)
		return;
	slot_hold(database);
	sender_hold(database);
	held[held_count++] = database;
}

/* Tells the workers what the committed transaction noted. */
static void
publish(void)
{
	if (earliest_due != DT_NOEND)
		slot_post_due(earliest_due);
	if (events_written)
	{
		sender_post(webhooks_changed);
		if (adapty_notify_events)
			slot_post_written();
	}
	if (extension_may_be_here)
		slot_request(MyDatabaseId);
	if (extension_may_be_gone)
	{
		slot_nudge(MyDatabaseId);
		sender_post(false);
	}
	if (databases_changed)
		shmem_relist();
}

/* Forgets the notes and lets the held databases go. */
static void
forget(void)
{
	earliest_due = DT_NOEND;
	events_written = false;
	webhooks_changed = false;
	extension_may_be_here = false;
	extension_may_be_gone = false;
	databases_changed = false;
	while (held_count > 0)
		slot_release(held[--held_count]);
}

/* At the end of every transaction.  A parallel worker's end is not the transaction's. */
static void
transaction_ended(XactEvent event, void *arg)
{
	(void) arg;

	switch (event)
	{
		case XACT_EVENT_COMMIT:
			publish();
			forget();
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			forget();
			break;
		default:
			break;
	}
}

/* Registers the callback and fills the hook; once, when the library is preloaded. */
void
wake_init(void)
{
	RegisterXactCallback(transaction_ended, NULL);
	wake_at_commit_hook = note_due;
	wake_output_hook = note_output;
}
