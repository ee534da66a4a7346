/*
 * access.h
 *		Union and winner over the sources of an access level: pure arithmetic on intervals.
 */
#ifndef ADAPTY_ACCESS_H
#define ADAPTY_ACCESS_H

#include "postgres.h"

#include "domain/grant.h"

/* What a user sees of one access level. */
typedef struct VisibleAccess
{
	bool		is_active;
	const AccessGrant *winner;	/* NULL if no source is active or to come */
} VisibleAccess;

/* How access is judged: by what has been announced, or by the clock. */
extern VisibleAccess access_announced(const GrantGroup *group);
extern VisibleAccess access_at(const GrantGroup *group, TimestampTz profile_now);

/* Does a source win over another?  Lifetime, then the latest end, then the latest start; store first on a tie. */
extern bool access_wins(const AccessGrant *a, const AccessGrant *b);

/* The state that a source should be in at a moment. */
extern GrantState access_state_at(const AccessGrant *grant, TimestampTz profile_now);

/* Real-clock moment of a source's next transition after its announced state; DT_NOEND for none. */
extern TimestampTz access_next_transition(const AccessGrant *grant);

#endif							/* ADAPTY_ACCESS_H */
