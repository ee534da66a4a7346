/*
 * placement.h
 *		Audiences of placements, as tests need them.
 */
#ifndef ADAPTY_PLACEMENT_H
#define ADAPTY_PLACEMENT_H

#include "postgres.h"

#include "utils/uuid.h"

/* ERROR (PT404) if there is no such placement.  Inside an open scope, as are all of these. */
extern void placement_check(const char *placement_id);

/*
 * Makes a running test, or a paywall, the content of an audience (NULL: all users) of a placement,
 * adding the audience before the default one if it is not there.  ERROR (55000) if a test runs there
 * other than the one to be replaced (NULL: none).
 */
extern void placement_put_test(const char *placement_id, const pg_uuid_t *segment_id,
							   const pg_uuid_t *ab_test_id, const pg_uuid_t *replaced);
extern void placement_put_paywall(const char *placement_id, const pg_uuid_t *segment_id,
								  const pg_uuid_t *paywall_id, const pg_uuid_t *replaced);

/* How errors name an audience: all users / segment "x". */
extern char *audience_text(const pg_uuid_t *segment_id);

/* Takes an audience away; not the default one. */
extern void placement_drop_audience(const char *placement_id, const pg_uuid_t *segment_id);

#endif							/* ADAPTY_PLACEMENT_H */
