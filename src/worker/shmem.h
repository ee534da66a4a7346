/*
 * shmem.h
 *		What the workers and the backends tell each other: one slot a database.
 */
#ifndef ADAPTY_SHMEM_H
#define ADAPTY_SHMEM_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "domain/transition.h"

#define MAX_DATABASES 128		/* in which schedulers can run at the same time */
#define LAST_ERROR_SIZE 256		/* bytes, with the terminator */

/* Life of a slot; README.md has the diagram. */
typedef enum SlotState
{
	SLOT_EMPTY,					/* no process, none wanted: free, or only held */
	SLOT_WANTED,				/* the launcher should start a process */
	SLOT_STARTING,				/* registered, the process has not come up yet */
	SLOT_RUNNING,				/* a process owns the slot */
	SLOT_ABSENT,				/* it left: the extension is not in the database */
	SLOT_LEFT,					/* it left because it was asked to */
	SLOT_FAILED					/* it ended by an error or a signal */
} SlotState;

/* What a running scheduler is doing. */
typedef enum SlotActivity
{
	ACTIVITY_STARTING,
	ACTIVITY_WORKING,
	ACTIVITY_SLEEPING,
	ACTIVITY_OFF,				/* adapty.scheduler is off */
	ACTIVITY_OUTDATED			/* the library and the SQL objects differ in version */
} SlotActivity;

/* Since the slot was given to the database; zero after a restart of the server.  Times in µs. */
typedef struct SlotCounters
{
	int64		batches;
	int64		processed;
	int64		failed;
	int64		last_batch_size;
	int64		last_lateness;
	int64		max_lateness;
	int64		total_lateness;
	int64		wakeups;		/* looks at the table after a sleep */
	TimestampTz last_run_at;	/* 0 for never */
	TimestampTz last_error_at;	/* 0 for never */
	char		last_error[LAST_ERROR_SIZE];
} SlotCounters;

/* A copy of a slot, for the launcher and for adapty.stats. */
typedef struct SlotView
{
	Oid			database;		/* InvalidOid if the slot is free */
	SlotState	state;
	SlotActivity activity;
	uint32		generation;
	int			hold_count;
	int			pid;			/* 0 without a process */
	TimestampTz next_wake;
	SlotCounters counters;
} SlotView;

extern void shmem_init(void);

/* The launcher's side. */
extern void shmem_set_launcher(void);
extern bool shmem_launcher_called(bool take);
extern bool shmem_take_relist(bool *probe_all);
extern void slot_view(int index, SlotView *view);
extern bool slot_want(Oid database);
extern uint32 slot_start(int index);
extern void slot_start_failed(int index, uint32 generation);
extern void slot_settle(int index, SlotState from, SlotState to);
extern void slot_set_unwanted(int index, bool unwanted);
extern void slot_forget_starts(void);

/* The scheduler's side; all but the first are about its own slot. */
extern bool slot_claim(int index, uint32 generation);
extern void slot_exit_as(SlotState outcome);
extern bool slot_leave_asked(void);
extern void slot_report(SlotActivity activity);
extern bool slot_written(bool take);
extern void slot_plan_open(void);
extern void slot_plan(TimestampTz wake);
extern void slot_plan_look(void);
extern void slot_plan_none(void);
extern TimestampTz slot_planned(void);
extern void slot_count_wakeup(void);
extern void slot_count_batch(const DueResult *result);
extern void slot_count_error(const char *message);

/* Every backend's side.  None of these can fail; all do nothing without preload. */
extern void slot_post_due(TimestampTz due);
extern void slot_post_written(void);
extern void slot_request(Oid database);
extern void slot_nudge(Oid database);
extern void slot_hold(Oid database);
extern void slot_release(Oid database);
extern bool slot_has_process(Oid database, int *pid);
extern void shmem_relist(void);
extern bool slot_view_of(Oid database, SlotView *view);

#endif							/* ADAPTY_SHMEM_H */
