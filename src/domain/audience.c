/*
 * audience.c
 *		Segments as targeting needs them: the one place of targeting that knows how they are kept.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/plans.h"
#include "domain/audience.h"

/* See audience.h. */
void
segment_check(const char *name)
{
	ereport(ERROR,
			(condition_errcode(COND_SEGMENT_DOES_NOT_EXIST),
			 errmsg("segment \"%s\" does not exist", name)));
}

/* See audience.h. */
bool
segment_matches(const pg_uuid_t *profile_id, const char *name)
{
	(void) profile_id;
	segment_check(name);
	return false;
}
