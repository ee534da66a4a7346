/*
 * grant.h
 *		The only writer of access_grants.  Every other module changes access by calling this.
 */
#ifndef ADAPTY_GRANT_H
#define ADAPTY_GRANT_H

#include "postgres.h"

#include "base/ext_state.h"
#include "datatype/timestamp.h"
#include "storage/itemptr.h"
#include "utils/uuid.h"

/* A row of access_grants in memory. */
typedef struct AccessGrant
{
	pg_uuid_t	profile_id;
	TimestampTz starts_at;
	TimestampTz expires_at;
	TimestampTz granted_at;
	TimestampTz updated_at;
	TimestampTz revoked_at;		/* DT_NOBEGIN for null */
	int64		test_clock_offset;	/* microseconds; 0 for null */
	GrantSource source;
	GrantState	state;			/* as announced */
	char	   *access_level_id;
	char	   *source_id;
	char	   *actor;			/* NULL for null */
	char	   *reason;			/* NULL for null */

	/* not columns */
	ItemPointerData tid;		/* of the row, if stored */
	bool		is_stored;		/* there is such a row */
	bool		is_dirty;		/* differs from it */
	bool		is_removed;		/* the row is gone: only in the picture before a change */
} AccessGrant;

/* All sources of one access level of one user. */
typedef struct GrantGroup
{
	pg_uuid_t	profile_id;
	const char *access_level_id;
	int64		test_clock_offset;	/* of the profile */
	int			n;
	int			allocated;
	AccessGrant *grants;
} GrantGroup;

/* A locked profile: what changes of access need to know of it. */
typedef struct LockedProfile
{
	pg_uuid_t	profile_id;
	int64		test_clock_offset;	/* microseconds; 0 for none */
	TimestampTz now;			/* real clock, read after the lock was got */
	TimestampTz profile_now;	/* the same by the profile's clock */
} LockedProfile;

/*
 * Locks a profile's row (FOR NO KEY UPDATE): the right to change its access.  false if there is no
 * such profile, or, with skip_locked, if somebody else holds it (*would_block then set).
 */
extern bool profile_lock(const pg_uuid_t *profile_id, bool skip_locked, bool *would_block,
						 LockedProfile *profile);

/*
 * Sets one source of an access level to an interval, announces what changed, and arranges the
 * wake-up: the one way in which access is given, moved or ended.  revoked says that the interval
 * was cut short.  The access level must exist (ERROR PT404 listing those that do).
 */
extern void grant_put(const LockedProfile *profile, const char *access_level_id,
					  GrantSource source, const char *source_id,
					  TimestampTz starts_at, TimestampTz expires_at, bool revoked,
					  const char *actor, const char *reason);

/*
 * The sources of an access level (all levels if access_level_id is NULL) as the newest committed
 * state and this transaction's own changes have them; the profile should be locked.
 */
extern void grant_load(const pg_uuid_t *profile_id, const char *access_level_id, GrantGroup *group);

/* ERROR (PT404), naming the levels that exist, if there is none of that id. */
extern void access_level_check(const char *access_level_id);

/* Is the row being written by this module now (so that triggers stay out of its way)? */
extern bool grant_writer_active(void);

#endif							/* ADAPTY_GRANT_H */
