/*
 * settle.c
 *		From grants to events: what has to be announced of one access level of one user.
 *
 * Works on grants in memory.  The announced picture of a level follows from the grants' "state";
 * the true one follows from the clock.  Settling walks from the first to the second through the
 * due transitions in the order of time, and adds access_level_updated wherever what the user sees
 * changes, with the moment of the transition as its time: the same events as if each had been
 * announced on the spot.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/plans.h"
#include "domain/access.h"
#include "domain/access_event.h"
#include "domain/settle.h"
#include "domain/subscription.h"

/* See settle.h. */
AccessSnapshot
access_snapshot(VisibleAccess visible)
{
	AccessSnapshot snapshot = {0};

	snapshot.is_active = visible.is_active;
	snapshot.is_to_come = !visible.is_active && visible.winner != NULL &&
		visible.winner->state == GRANT_PENDING;
	snapshot.has_winner = visible.winner != NULL;
	if (visible.winner != NULL)
	{
		snapshot.source = visible.winner->source;
		snapshot.source_id = visible.winner->source_id;
		snapshot.starts_at = visible.winner->starts_at;
		snapshot.expires_at = visible.winner->expires_at;
	}
	return snapshot;
}

/* Does the user see the same? */
static bool
snapshots_equal(const AccessSnapshot *a, const AccessSnapshot *b)
{
	/* Of what is over it does not matter which is shown. */
	if (!a->is_active && !b->is_active && !a->is_to_come && !b->is_to_come)
		return true;
	if (a->is_active != b->is_active || a->has_winner != b->has_winner)
		return false;
	if (!a->has_winner)
		return true;
	return a->source == b->source && a->starts_at == b->starts_at && a->expires_at == b->expires_at &&
		strcmp(a->source_id, b->source_id) == 0;
}

/* A zeroed event at the end of a list. */
static EventRow *
event_list_add(EventList *events)
{
	if (events->n == events->allocated)
	{
		events->allocated = Max(4, events->allocated * 2);
		events->rows = events->rows == NULL
			? palloc(events->allocated * sizeof(EventRow))
			: repalloc(events->rows, events->allocated * sizeof(EventRow));
	}
	memset(&events->rows[events->n], 0, sizeof(EventRow));
	return &events->rows[events->n++];
}

/* See settle.h. */
void
announce_difference(const GrantGroup *group, const AccessSnapshot *before, VisibleAccess visible,
					const GrantChange *cause, TimestampTz at, EventList *events)
{
	AccessSnapshot after = access_snapshot(visible);
	EventRow   *event;

	if (snapshots_equal(before, &after) &&
		!(cause->facts_changed && after.is_active && after.source == cause->source &&
		  strcmp(after.source_id, cause->source_id) == 0))
		return;
	event = event_list_add(events);
	event->type = EVENT_ACCESS_LEVEL_UPDATED;
	event->profile_id = group->profile_id;
	event->event_datetime = at;
	event->has_access_facts = true;
	event->was_active = before->is_active;
	event->is_active = after.is_active;
	/* Without a source left (all rows deleted) the access ended now. */
	event->starts_at = after.has_winner ? after.starts_at : before->starts_at;
	event->expires_at = after.has_winner ? after.expires_at : at;
	event->has_previous = before->has_winner;
	event->previous_expires_at = before->expires_at;
	event->has_source = true;
	event->source = cause->source;
	event->source_id = cause->source_id[0] == '\0' ? NULL : cause->source_id;
	event->access_level_id = group->access_level_id;
	event->actor = cause->actor;
	event->reason = cause->reason;
	event->properties = access_event_properties(&after, cause);
}

/* When the announced state of a grant goes out of date, on the profile's clock. */
static TimestampTz
transition_at(const AccessGrant *grant)
{
	switch (grant->state)
	{
		case GRANT_PENDING:
			return Min(grant->starts_at, grant->expires_at);
		case GRANT_ACTIVE:
			return grant->expires_at;
		case GRANT_ENDED:
			break;
	}
	return DT_NOEND;
}

/* The earliest due transition of a group; NULL if nothing is due. */
static AccessGrant *
first_due(const GrantGroup *group, TimestampTz profile_now)
{
	AccessGrant *first = NULL;

	for (int i = 0; i < group->n; i++)
	{
		AccessGrant *grant = &group->grants[i];
		TimestampTz at = transition_at(grant);

		if (grant->is_removed || at > profile_now || at == DT_NOEND)
			continue;
		if (first == NULL || at < transition_at(first))
			first = grant;
	}
	return first;
}

/* Notes that a subscription's interval ended by itself, for its own event. */
static void
add_ended(EventList *events, const AccessGrant *grant, TimestampTz at)
{
	events->ended = events->ended == NULL
		? palloc(sizeof(EndedPurchase))
		: repalloc(events->ended, (events->n_ended + 1) * sizeof(EndedPurchase));
	events->ended[events->n_ended].grant = *grant;
	events->ended[events->n_ended].at = at;
	events->n_ended++;
}

/* See settle.h. */
int
settle_group(const LockedProfile *profile, GrantGroup *group, EventList *events)
{
	AccessGrant *due;
	int			transitions = 0;

	while ((due = first_due(group, profile->profile_now)) != NULL)
	{
		TimestampTz at = transition_at(due);
		AccessSnapshot before = access_snapshot(access_announced(group));

		/* All sources that begin or end at this moment do so together. */
		for (int i = 0; i < group->n; i++)
		{
			AccessGrant *grant = &group->grants[i];

			if (grant->is_removed || transition_at(grant) != at)
				continue;
			grant->state = access_state_at(grant, at);
			grant->is_dirty = true;
			transitions++;
			if (grant->state == GRANT_ENDED && grant->source == GRANT_SOURCE_SUBSCRIPTION &&
				grant->revoked_at == DT_NOBEGIN)
				add_ended(events, grant, at);
		}
		announce_difference(group, &before, access_announced(group),
							&(GrantChange) {.source = due->source, .source_id = due->source_id}, at,
							events);
	}
	return transitions;
}

/* See settle.h. */
void
settle_purchases(const LockedProfile *profile, EventList *events)
{
	ApiScope	scope;

	if (events->n_ended == 0)
		return;
	scope_enter(&scope);
	for (int i = 0; i < events->n_ended; i++)
		subscription_lapsed(profile, &events->ended[i].grant, events->ended[i].at);
	scope_leave(&scope);
}
