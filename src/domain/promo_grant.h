/*
 * promo_grant.h
 *		Access that promotions give: the same for codes and campaigns.
 */
#ifndef ADAPTY_PROMO_GRANT_H
#define ADAPTY_PROMO_GRANT_H

#include "postgres.h"

#include "domain/grant_row.h"
#include "fmgr.h"
#include "utils/timestamp.h"

#define MAX_ACCESS_LEVEL_ID 64	/* characters */

/*
 * Arguments duration and is_lifetime of a promotion: NULL for lifetime.  ERROR (22023) unless exactly
 * one of them is given, and the duration positive.
 */
extern Interval *promo_duration(FunctionCallInfo fcinfo, int duration_arg, int lifetime_arg);

/*
 * Gives a source of a promotion to a locked profile: from now until duration after the end of the
 * access that the user has to this level now (after now if none, or if that is for life); NULL
 * duration for life.  What the same source gave before is replaced.
 */
extern void promo_grant(const LockedProfile *profile, const char *access_level_id, GrantSource source,
						const char *source_id, const Interval *duration,
						const char *actor, const char *reason);

#endif							/* ADAPTY_PROMO_GRANT_H */
