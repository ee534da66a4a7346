/*
 * audience.h
 *		Segments as targeting needs them: do they exist, and is a user in one.
 */
#ifndef ADAPTY_AUDIENCE_H
#define ADAPTY_AUDIENCE_H

#include "postgres.h"

#include "utils/uuid.h"

#define MAX_SEGMENT_NAME 255	/* characters */

/* ERROR (PT404) if there is no such segment.  Inside an open scope. */
extern void segment_check(const char *name);

/* Is a profile in a segment now?  Opens a scope of its own. */
extern bool segment_matches(const pg_uuid_t *profile_id, const char *name);

#endif							/* ADAPTY_AUDIENCE_H */
