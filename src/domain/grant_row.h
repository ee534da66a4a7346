/*
 * grant_row.h
 *		Grants in memory, for the files that change access: grant.c's inner interface.
 */
#ifndef ADAPTY_GRANT_ROW_H
#define ADAPTY_GRANT_ROW_H

#include "postgres.h"

#include "domain/grant.h"

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

/* Stores the rows of a group that are dirty. */
extern void grant_store(GrantGroup *group);

#endif							/* ADAPTY_GRANT_ROW_H */
