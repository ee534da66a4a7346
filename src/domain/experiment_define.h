/*
 * experiment_define.h
 *		Writing tests: what experiment.c and experiment_define.c share.
 */
#ifndef ADAPTY_EXPERIMENT_DEFINE_H
#define ADAPTY_EXPERIMENT_DEFINE_H

#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/uuid.h"

#include "domain/experiment.h"

#define MAX_GOAL 1000			/* characters */

/* The newest revision of a name; false if there is none.  Inside an open scope, as are all of these. */
extern bool experiment_find(const char *name, AbTest *test);

/* The placements of a test in their order. */
extern char **experiment_placements(const pg_uuid_t *ab_test_id, int *n);

/*
 * Checks an argument "variations" and writes it to a test that has none yet.  ERROR (22023) naming
 * what is wrong.
 */
extern void experiment_write_variations(const pg_uuid_t *ab_test_id, const pg_uuid_t *segment_id,
										char **placements, int n_placements, Jsonb *variations);

#endif							/* ADAPTY_EXPERIMENT_DEFINE_H */
