/*
 * profile.h
 *		Profiles: made, shown, exported and deleted.
 */
#ifndef ADAPTY_PROFILE_H
#define ADAPTY_PROFILE_H

#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/uuid.h"

/*
 * Makes a profile, anonymous if customer_user_id is NULL, with the given profile_id.  false, and
 * nothing made, if the customer_user_id is taken; waits for a concurrent transaction that is taking
 * it.
 */
extern bool profile_create(const text *customer_user_id, const pg_uuid_t *profile_id);

/* Is there such a profile?  By the newest committed state and this transaction's own changes. */
extern bool profile_exists(const pg_uuid_t *profile_id);

/*
 * The API's Profile object; NULL if there is no such profile.  as_of_snapshot true reads by the
 * active snapshot (readers), false sees this command's own changes too (writers).
 */
extern Jsonb *profile_json(const pg_uuid_t *profile_id, bool as_of_snapshot);

/* The app's id: the same for the life of the database, other in every other one. */
extern void app_id(pg_uuid_t *id);

#endif							/* ADAPTY_PROFILE_H */
