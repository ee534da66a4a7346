/*
 * sender_slot.h
 *		Shared memory of the webhook senders: one slot a database that has webhooks.
 */
#ifndef ADAPTY_SENDER_SLOT_H
#define ADAPTY_SENDER_SLOT_H

#include "postgres.h"

#include "worker/shmem.h"

/* Life of a slot; README.md has the diagram. */
typedef enum SenderState
{
	SENDER_SLOT_FREE,			/* no sender, none wanted */
	SENDER_SLOT_WANTED,			/* the launcher should start one */
	SENDER_SLOT_STARTING,		/* registered, the process has not come up yet */
	SENDER_SLOT_RUNNING,		/* a process owns the slot */
	SENDER_SLOT_ENDED			/* it ended by an error or a signal */
} SenderState;

typedef struct SenderView
{
	Oid			database;		/* InvalidOid if the slot is free */
	SenderState state;
	uint32		generation;
	int			pid;			/* 0 without a process */
} SenderView;

extern void sender_slot_init(void);

/* The launcher's side. */
extern void sender_view(int index, SenderView *view);
extern uint32 sender_start(int index);
extern void sender_settle(int index, SenderState from, SenderState to);
extern void sender_set_unwanted(int index, bool unwanted);
extern void sender_forget_starts(void);

/* Everybody's side.  None of these can fail; all do nothing without preload. */
extern void sender_post(bool webhooks_changed);
extern void sender_want(Oid database);
extern void sender_hold(Oid database);
extern bool sender_has_process(Oid database, int *pid);

#endif							/* ADAPTY_SENDER_SLOT_H */
