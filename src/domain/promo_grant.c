/*
 * promo_grant.c
 *		Access that promotions give: the same for codes and campaigns.
 *
 * A promised week is a week: it is added to what the user has, whoever gave that, as
 * grant_access_level() does with a duration.  It is a source of its own, so that it can be told
 * from the others and taken back without them.
 */
#include "postgres.h"

#include "base/clock.h"
#include "base/errors.h"
#include "domain/access.h"
#include "domain/promo_grant.h"

/* See promo_grant.h. */
Interval *
promo_duration(FunctionCallInfo fcinfo, int duration_arg, int lifetime_arg)
{
	bool		is_lifetime = !PG_ARGISNULL(lifetime_arg) && PG_GETARG_BOOL(lifetime_arg);
	Interval   *duration;

	if (is_lifetime == !PG_ARGISNULL(duration_arg))
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg(is_lifetime ? "duration and is_lifetime exclude each other" : "the end of the access is missing"),
				 errhint("Give one of duration or is_lifetime => true.")));
	if (is_lifetime)
		return NULL;
	duration = PG_GETARG_INTERVAL_P(duration_arg);
	(void) grant_add_duration(clock_write_now(), duration);
	return duration;
}

/* See promo_grant.h. */
void
promo_grant(const LockedProfile *profile, const char *access_level_id, GrantSource source,
			const char *source_id, const Interval *duration, const char *actor, const char *reason)
{
	TimestampTz start = grant_change_moment(profile);
	GrantChange change = {.source = source, .source_id = source_id, .starts_at = start,
		.expires_at = DT_NOEND, .actor = actor, .reason = reason};
	GrantGroup	group;

	access_level_check(access_level_id);
	grant_load(&profile->profile_id, access_level_id, &group);
	if (duration != NULL)
	{
		VisibleAccess now = access_at(&group, profile->profile_now);
		bool		adds = now.is_active && now.winner->expires_at != DT_NOEND;

		change.expires_at = grant_add_duration(adds ? now.winner->expires_at : start, duration);
	}
	grant_apply(profile, &group, &change, 1);
}
