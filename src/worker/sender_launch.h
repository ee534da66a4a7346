/*
 * sender_launch.h
 *		The launcher's part for webhook senders.
 */
#ifndef ADAPTY_SENDER_LAUNCH_H
#define ADAPTY_SENDER_LAUNCH_H

#include "postgres.h"

/* May processes of ours run in a database?  *name is what it is called. */
typedef bool (*DatabaseEligible) (void *launcher, Oid database, const char **name);

/*
 * One turn: brings every sender one step nearer to what it should be.  Returns milliseconds after
 * which there may be something to do.
 */
extern int	sender_launch_turn(DatabaseEligible eligible, void *launcher);

#endif							/* ADAPTY_SENDER_LAUNCH_H */
