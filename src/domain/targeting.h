/*
 * targeting.h
 *		The catalogue of targeting as a session keeps it: what each placement shows, and the objects
 *		that are shown.
 */
#ifndef ADAPTY_TARGETING_H
#define ADAPTY_TARGETING_H

#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/uuid.h"

#include "base/plans.h"

#define MAX_VARIATIONS 20		/* of a test */
#define MAX_LOCALE 71			/* bytes of a locale: eight subtags of eight characters */
#define MAX_PLACEMENT_ID 255	/* characters, as is the next */
#define MAX_TARGETING_TITLE 255
#define DEFAULT_PRIORITY PG_INT16_MAX	/* of the audience "all users" */

/* A test as one placement sees it. */
typedef struct TargetTest
{
	pg_uuid_t	ab_test_id;
	bool		is_draft;
	bool		is_live;		/* else a cross-placement test that was stopped, for those who are in it */
	bool		is_cross;
	bool		has_previous;	/* it is a modification of another */
	char	   *segment;		/* NULL for all users */
	int			n;
	int			bounds[MAX_VARIATIONS]; /* variation i + 1 has the buckets below bounds[i] */
	pg_uuid_t	variation_ids[MAX_VARIATIONS];
} TargetTest;

/* An audience and its content: a running test, or the variation of a paywall. */
typedef struct TargetAudience
{
	char	   *segment;		/* NULL for all users */
	const TargetTest *test;		/* NULL: the variation */
	pg_uuid_t	variation_id;
} TargetAudience;

typedef struct TargetPlacement
{
	bool		is_active;
	int			n_audiences;
	TargetAudience *audiences;	/* by priority */
	int			n_tests;
	TargetTest *tests;			/* cross-placement ones first, in the order in which they are tried */
} TargetPlacement;

/*
 * Learns of changes by others.  Call first; what the next two return is good until it is called
 * again, in this session and transaction.
 */
extern void targeting_begin(void);

/* A placement; NULL if there is none of that id. */
extern const TargetPlacement *targeting_placement(const char *placement_id);

/*
 * What is shown: the paywall object of the public API.  locale is normalised or NULL; store may be
 * NULL.  NULL if there is no such variation.
 */
extern Jsonb *targeting_object(const pg_uuid_t *variation_id, const char *locale, const char *store,
							   bool had_subscription);

/* A test as its first placement sees it, whatever its state; NULL if there is none. */
extern const TargetTest *targeting_test(const pg_uuid_t *ab_test_id);

/* For those who change the catalogue, inside an open scope: one at a time. */
extern void targeting_lock(void);

/*
 * ERROR (23503) if something uses what is to be deleted: users_plan takes its id and returns a row
 * with their names if there are any.  Inside an open scope.
 */
extern void targeting_check_unused(SavedPlan *users_plan, const pg_uuid_t *id, const char *what,
								   const char *name, const char *hint);

/*
 * A locale as it is stored: lower case, "_" made "-"; more than MAX_LOCALE bytes are cut to the
 * language.
 */
extern char *locale_normalize(const char *locale);

#endif							/* ADAPTY_TARGETING_H */
