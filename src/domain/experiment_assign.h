/*
 * experiment_assign.h
 *		Which variation of a test a user has.
 */
#ifndef ADAPTY_EXPERIMENT_ASSIGN_H
#define ADAPTY_EXPERIMENT_ASSIGN_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "utils/uuid.h"

#include "domain/targeting.h"

#define N_BUCKETS 10000			/* hundredths of a percent */

/* A user's bucket in a test, 0 to N_BUCKETS - 1: pure, and the same everywhere for ever. */
extern int	experiment_bucket(const pg_uuid_t *ab_test_id, const pg_uuid_t *profile_id);

/* The variation (from 1) that a user has by the hash and the weights alone. */
extern int	experiment_draw(const TargetTest *test, const pg_uuid_t *profile_id);

/*
 * The variation that is recorded for a user, and since when; 0 if there is none.  As the statement's
 * snapshot sees it, or the newest.  fcinfo's statement keeps the table open.
 */
extern int	assignment_find(FunctionCallInfo fcinfo, const TargetTest *test, const pg_uuid_t *profile_id,
							bool newest, TimestampTz *assigned_at);

/*
 * The variation of a user of a running test who has none recorded: recorded now, unless somebody
 * else did so meanwhile, whose word then counts.  A modified test keeps what its users had, if there
 * still is a variation of that name.  ERROR (PT404) if the profile was deleted meanwhile.
 */
extern int	assignment_make(const TargetTest *test, const pg_uuid_t *profile_id);

/* The same without recording it. */
extern int	assignment_preview(const TargetTest *test, const pg_uuid_t *profile_id);

#endif							/* ADAPTY_EXPERIMENT_ASSIGN_H */
