/*
 * access.c
 *		Union and winner over the sources of an access level: pure arithmetic on intervals.
 *
 * No access to tables here.  A level is active while any of its sources is; what is shown of it is
 * the winner's: lifetime first, else the latest end, else the latest start, a store before a
 * server-side grant on a tie.  Where nothing is active, the source that begins next is shown, and
 * where nothing is to come, the one that ended last.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/timestamp.h"

#include "base/ext_state.h"
#include "domain/access.h"

PG_FUNCTION_INFO_V1(adapty_grant_next_transition_at);

/* See access.h. */
GrantState
access_state_at(const AccessGrant *grant, TimestampTz profile_now)
{
	if (profile_now >= grant->expires_at)
		return GRANT_ENDED;
	/* A source revoked before it began has an end before its start: it is never active. */
	if (grant->expires_at <= grant->starts_at)
		return GRANT_ENDED;
	return profile_now >= grant->starts_at ? GRANT_ACTIVE : GRANT_PENDING;
}

/* End (or start) of a source on the profile's clock at which its announced state is out of date. */
static TimestampTz
transition_time(GrantState state, TimestampTz starts_at, TimestampTz expires_at)
{
	switch (state)
	{
		case GRANT_PENDING:
			/* A source revoked before it began ends without beginning. */
			return Min(starts_at, expires_at);
		case GRANT_ACTIVE:
			return expires_at;
		case GRANT_ENDED:
			break;
	}
	return DT_NOEND;
}

/* The same on the real clock: the profile's clock is "offset" microseconds ahead. */
static TimestampTz
real_transition_time(GrantState state, TimestampTz starts_at, TimestampTz expires_at, int64 offset)
{
	TimestampTz t = transition_time(state, starts_at, expires_at);

	if (TIMESTAMP_NOT_FINITE(t))
		return t == DT_NOBEGIN ? MIN_TIMESTAMP : DT_NOEND;
	t -= offset;
	if (t < MIN_TIMESTAMP)
		return MIN_TIMESTAMP;
	return t < END_TIMESTAMP ? t : DT_NOEND;
}

/* See access.h. */
TimestampTz
access_next_transition(const AccessGrant *grant)
{
	return real_transition_time(grant->state, grant->starts_at, grant->expires_at,
								grant->test_clock_offset);
}

/*
 * adapty.grant_next_transition_at(state, starts_at, expires_at, test_clock_offset): the generated
 * column access_grants.next_transition_at.
 */
Datum
adapty_grant_next_transition_at(PG_FUNCTION_ARGS)
{
	TimestampTz t;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	t = real_transition_time(enum_value(ENUM_GRANT_STATE, PG_GETARG_DATUM(0)),
							 PG_GETARG_TIMESTAMPTZ(1), PG_GETARG_TIMESTAMPTZ(2),
							 PG_ARGISNULL(3) ? 0 : PG_GETARG_INT64(3));
	if (t == DT_NOEND)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(t);
}

/* Is the source a purchase rather than a gift? */
static bool
is_store_source(GrantSource source)
{
	return source <= GRANT_SOURCE_SHARED_PURCHASE;
}

/* See access.h.  A strict order over the sources of one level. */
bool
access_wins(const AccessGrant *a, const AccessGrant *b)
{
	/* Lifetime is the latest end of all, infinity. */
	if (a->expires_at != b->expires_at)
		return a->expires_at > b->expires_at;
	if (a->starts_at != b->starts_at)
		return a->starts_at > b->starts_at;
	if (is_store_source(a->source) != is_store_source(b->source))
		return is_store_source(a->source);
	if (a->source != b->source)
		return a->source < b->source;
	return strcmp(a->source_id, b->source_id) < 0;
}

/* Winner and activity, given the state of each source. */
static VisibleAccess
visible(const GrantGroup *group, bool by_clock, TimestampTz profile_now)
{
	VisibleAccess result = {false, NULL};
	GrantState	shown = GRANT_ENDED;

	for (int i = 0; i < group->n; i++)
	{
		const AccessGrant *grant = &group->grants[i];
		GrantState	state = by_clock ? access_state_at(grant, profile_now) : grant->state;
		bool		better;

		if (result.winner == NULL)
			better = true;
		else if (state != shown)
			better = state == GRANT_ACTIVE || (state == GRANT_PENDING && shown == GRANT_ENDED);
		else if (state == GRANT_PENDING)
			better = grant->starts_at < result.winner->starts_at ||
				(grant->starts_at == result.winner->starts_at && access_wins(grant, result.winner));
		else
			better = access_wins(grant, result.winner);
		if (better)
		{
			result.winner = grant;
			shown = state;
		}
	}
	result.is_active = result.winner != NULL && shown == GRANT_ACTIVE;
	return result;
}

/* See access.h. */
VisibleAccess
access_announced(const GrantGroup *group)
{
	return visible(group, false, 0);
}

/* See access.h. */
VisibleAccess
access_at(const GrantGroup *group, TimestampTz profile_now)
{
	return visible(group, true, profile_now);
}
