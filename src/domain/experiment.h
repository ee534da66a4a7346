/*
 * experiment.h
 *		A/B tests: found, and checked for their state.
 */
#ifndef ADAPTY_EXPERIMENT_H
#define ADAPTY_EXPERIMENT_H

#include "postgres.h"

#include "utils/uuid.h"

#define MAX_AB_TEST_NAME 255	/* characters */

/* A test's row; strings in the current memory context. */
typedef struct AbTest
{
	pg_uuid_t	ab_test_id;
	char	   *name;
	int			revision;
	char	   *state;			/* label of ab_test_state */
	bool		is_cross;
	pg_uuid_t  *segment_id;		/* NULL for all users */
	char	   *goal;			/* NULL for none */
} AbTest;

/*
 * The test of an id, or the newest revision of a name: ERROR (PT404) if there is none.  Inside an
 * open scope.
 */
extern void experiment_load(const char *ab_test, AbTest *test);

/* Only its id, in a scope of its own. */
extern pg_uuid_t experiment_lookup(const char *ab_test);

/*
 * The test of a name or id, which must run at this placement for this audience (NULL: all users):
 * ERROR (55000) if it does not.  Inside an open scope.
 */
extern pg_uuid_t experiment_running_at(const char *ab_test, const char *placement_id,
									   const pg_uuid_t *segment_id);

/* ERROR (PT404) if a test has not this placement.  Inside an open scope. */
extern void experiment_check_placement(const AbTest *test, const char *placement_id);

#endif							/* ADAPTY_EXPERIMENT_H */
