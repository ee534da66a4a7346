/*
 * sender_api.h
 *		What the webhook sender, a library of its own, calls of this one.
 *
 * The sender's library cannot be linked with this one: it finds this structure by its name, as
 * find_rendezvous_variable(SENDER_API_NAME).  Only declarations are here, no state.
 */
#ifndef ADAPTY_SENDER_API_H
#define ADAPTY_SENDER_API_H

#include "postgres.h"

#define SENDER_API_NAME "adapty_sender_api"

/* What the launcher gives a sender to start with, by bgw_extra. */
typedef struct SenderStart
{
	Oid			database;
	int			slot;
	uint32		generation;
} SenderStart;

/* How a sender leaves, for the launcher. */
typedef enum SenderOutcome
{
	SENDER_FAILED,				/* by an error or a signal: start it again, after a pause */
	SENDER_ASKED,				/* it was asked to leave: start it again when it may be */
	SENDER_IDLE					/* there is nothing for it here: not until there is */
} SenderOutcome;

typedef struct SenderApi
{
	const char *version;		/* of the library: must be the sender's */
	/* Makes this process the owner of a slot; false if it comes too late and must leave. */
	bool		(*claim) (int slot, uint32 generation);
	/* As what this process will have ended: SENDER_FAILED unless it says otherwise. */
	void		(*exit_as) (SenderOutcome outcome);
	/* Has it been asked to leave? */
	bool		(*leave_asked) (void);
	/* Has something been written since the last call?  Call before taking a snapshot. */
	bool		(*take_posts) (bool *webhooks_changed);
	/* Is there something to take, or to leave for?  To be asked before each wait: latches forget. */
	bool		(*is_called) (void);
} SenderApi;

#endif							/* ADAPTY_SENDER_API_H */
