/*
 * settle.h
 *		From grants to events: what has to be announced of one access level of one user.
 */
#ifndef ADAPTY_SETTLE_H
#define ADAPTY_SETTLE_H

#include "postgres.h"

#include "domain/access.h"
#include "domain/event.h"
#include "domain/grant_row.h"

/* A subscription whose interval ended by the clock: its own event is the store's business. */
typedef struct EndedPurchase
{
	AccessGrant grant;
	TimestampTz at;
} EndedPurchase;

/* Events to be written, and what else follows from them. */
typedef struct EventList
{
	int			n;
	int			allocated;
	EventRow   *rows;
	int			n_ended;
	EndedPurchase *ended;
} EventList;

/* A copy of what a user sees, to compare with after a change. */
typedef struct AccessSnapshot
{
	bool		is_active;
	bool		is_to_come;		/* inactive, but a source is still to begin */
	bool		has_winner;
	GrantSource source;
	const char *source_id;
	TimestampTz starts_at;
	TimestampTz expires_at;
} AccessSnapshot;

extern AccessSnapshot access_snapshot(VisibleAccess visible);

/*
 * Steps a group through every transition that is due by the profile's clock, in the order of time,
 * so that its announced states are true; adds an event at the transition's moment where what the
 * user sees changes.  Returns how many transitions there were.
 */
extern int	settle_group(const LockedProfile *profile, GrantGroup *group, EventList *events);

/*
 * Adds access_level_updated unless the user sees the same as before: the same interval of the same
 * source, and, if that source is the cause, the same facts of it (does it renew, is there an issue).
 */
extern void announce_difference(const GrantGroup *group, const AccessSnapshot *before, VisibleAccess visible,
								const GrantChange *cause, TimestampTz at, EventList *events);

/* After the events are written: the events of the subscriptions that ended. */
extern void settle_purchases(const LockedProfile *profile, EventList *events);

#endif							/* ADAPTY_SETTLE_H */
