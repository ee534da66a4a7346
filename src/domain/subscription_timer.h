/*
 * subscription_timer.h
 *		What subscriptions wait for besides the end of a grant: the only writer of subscription_timers.
 */
#ifndef ADAPTY_SUBSCRIPTION_TIMER_H
#define ADAPTY_SUBSCRIPTION_TIMER_H

#include "postgres.h"

#include "domain/subscription.h"

/*
 * Sets what a chain waits for now: the end of a period that no grant of the profile will announce
 * (has_grant false), the end of the store's tries to charge.  Timers that are there already move.
 */
extern void chain_set_timers(const LockedProfile *profile, const Chain *chain, bool has_grant);

/* A trial or a subscription began: sets the timer of its synthetic event, if that is wanted. */
extern void chain_set_active_timer(const LockedProfile *profile, const Chain *chain, bool is_trial,
								   TimestampTz began_at);

/* A due timer. */
typedef struct DueTimer
{
	pg_uuid_t	profile_id;
	TimestampTz due;
	char	   *timer;
	char	   *store;
	char	   *store_original_transaction_id;
} DueTimer;

/* Up to n timers that are due, oldest first, palloc'd in the current context; returns how many. */
extern int	timers_due(TimestampTz now, int n, DueTimer **timers);

/* When the next timer falls due; DT_NOEND for never. */
extern TimestampTz timers_next_due(void);

/*
 * Does what a due timer says and takes it away.  false, with *would_block, if somebody holds its
 * profile; false without if it is gone.
 */
extern bool timer_fire(const DueTimer *due, bool *would_block);

/* The test clock of a profile moved. */
extern void timers_move(const LockedProfile *profile);

#endif							/* ADAPTY_SUBSCRIPTION_TIMER_H */
