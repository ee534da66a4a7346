/*
 * grant_row.h
 *		Grants in memory, for the files that change access: grant.c's inner interface.
 */
#ifndef ADAPTY_GRANT_ROW_H
#define ADAPTY_GRANT_ROW_H

#include "postgres.h"

#include "domain/grant.h"
#include "utils/jsonb.h"

/* One source to be set to an interval. */
typedef struct GrantChange
{
	GrantSource source;
	const char *source_id;
	TimestampTz starts_at;
	TimestampTz expires_at;
	bool		revoked;		/* the interval was cut short */
	const char *actor;			/* NULL for none */
	const char *reason;			/* NULL for none */
	bool		facts_changed;	/* announce it, also if the interval stays: renewal, issue or grace */
	Jsonb	   *properties;		/* of its access_level_updated; NULL for none */
} GrantChange;

/* A row of access_grants (all its columns, in order) as a grant; copies what it points to. */
extern void grant_deform(Datum *values, bool *nulls, AccessGrant *grant);

/* A zeroed grant at the end of a group. */
extern AccessGrant *grant_group_add(GrantGroup *group);

/* A source of a group; NULL if it is not there. */
extern AccessGrant *grant_find(GrantGroup *group, GrantSource source, const char *source_id);

/*
 * Applies changes to a loaded group as one: what fell due meanwhile is announced first, in its own
 * order of time, then the difference that the changes make.  Stores, writes events, wakes.
 * n may be 0: only what fell due.
 */
extern void grant_apply(const LockedProfile *profile, GrantGroup *group,
						const GrantChange *changes, int n);

/* grant_put() of one change. */
extern void grant_put_change(const LockedProfile *profile, const char *access_level_id,
							 const GrantChange *change);

/*
 * All grants of a profile, to be shown: as the active snapshot has them, or as this command has left
 * them.
 */
extern void grant_load_shown(const pg_uuid_t *profile_id, bool as_of_snapshot, GrantGroup *group);

/* Stores the rows of a group that are dirty. */
extern void grant_store(GrantGroup *group);

/*
 * The moment of a change on the profile's clock: the transaction's start, as now() says it, so that
 * this transaction's own reads see access begin or end at once.
 */
extern TimestampTz grant_change_moment(const LockedProfile *profile);

/* base + duration; ERROR (22023) unless that is later than base. */
extern TimestampTz grant_add_duration(TimestampTz base, const Interval *duration);

/*
 * The adapty.access_level that an earlier request with this idempotency key returned; false if
 * there was none, or key is NULL.  And keeping it; nothing if key is NULL.
 */
extern bool grant_earlier_result(const LockedProfile *profile, const char *key, const char *request,
								 Datum *result);
extern void grant_keep_result(const LockedProfile *profile, const char *key, const char *request,
							  Datum result);

#endif							/* ADAPTY_GRANT_ROW_H */
