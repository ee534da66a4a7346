/*
 * hooks.h
 *		What lower layers call of higher ones: set by worker/ at start, NULL without preload.
 */
#ifndef ADAPTY_HOOKS_H
#define ADAPTY_HOOKS_H

#include "postgres.h"

#include "datatype/timestamp.h"

/*
 * Something falls due at that time (real clock): tell the scheduler when this transaction commits,
 * and only then.  Called often; must be cheap and must not fail.
 */
typedef void (*wake_at_commit_hook_type) (TimestampTz due);
extern PGDLLIMPORT wake_at_commit_hook_type wake_at_commit_hook;

static inline void
wake_at_commit(TimestampTz due)
{
	if (wake_at_commit_hook != NULL)
		wake_at_commit_hook(due);
}

/*
 * This transaction has written events, or changed webhooks: tell who hands them out when it commits.
 * Called often; must be cheap and must not fail.
 */
typedef void (*wake_output_hook_type) (bool webhooks_changed);
extern PGDLLIMPORT wake_output_hook_type wake_output_hook;

static inline void
wake_output_at_commit(bool webhooks_changed)
{
	if (wake_output_hook != NULL)
		wake_output_hook(webhooks_changed);
}

#endif							/* ADAPTY_HOOKS_H */
