/*
 * segment.h
 *		Segments: named filters, each with its view adapty_segments."name".
 */
#ifndef ADAPTY_SEGMENT_H
#define ADAPTY_SEGMENT_H

#include "postgres.h"

#include "utils/uuid.h"

#define MAX_SEGMENT_NAME (NAMEDATALEN - 1)	/* bytes: it names a view */

/*
 * Is the profile in the segment, by the caller's snapshot and the clock?  false for a profile that
 * is not there.  ERROR (PT404) if there is no such segment.  Opens a scope of its own.
 */
extern bool segment_contains(const char *name, const pg_uuid_t *profile_id);

/*
 * For statements over sets: the segment's view, qualified and quoted, in the current context; its
 * column profile_id is the members.  It stays until the end of the transaction.  ERROR (PT404) if
 * there is no such segment.  Inside a scope.
 */
extern char *segment_view(const char *name);

/*
 * The segment of a name, as for a foreign key to adapty.segments (segment_id).  ERROR (PT404) if
 * there is none.  Inside a scope.
 */
extern void segment_find(const char *name, pg_uuid_t *segment_id);

/* The name of a segment_id in the current context; NULL if there is none.  Inside a scope. */
extern char *segment_name(const pg_uuid_t *segment_id);

#endif							/* ADAPTY_SEGMENT_H */
