/*
 * identity.h
 *		From a customer_user_id to a profile_id.
 */
#ifndef ADAPTY_IDENTITY_H
#define ADAPTY_IDENTITY_H

#include "postgres.h"

#include "base/arg.h"
#include "base/compat.h"
#include "utils/snapshot.h"
#include "utils/uuid.h"

/*
 * The profile of a user by one index look-up; false if there is none.  A profile_id is taken as it
 * is (not checked).  snapshot NULL means the active one.
 */
extern bool user_lookup(const UserRef *user, Snapshot snapshot, pg_uuid_t *profile_id);

/*
 * The same for callers that need the profile: ERROR (PT404) with a hint if it does not exist, also
 * for a profile_id.  Checks that a limited caller (adapty_sdk) asks for its own profile: ERROR
 * (42501) otherwise, before saying whether the user exists.
 */
extern void user_resolve(const UserRef *user, pg_uuid_t *profile_id);

/* Only the limited caller's check of user_resolve(). */
extern void user_check_caller(const UserRef *user);

/* ERROR (PT404): the one wording of "no such profile". */
extern void profile_not_found(const UserRef *user) pg_attribute_noreturn();

/*
 * As user_resolve(), but creates the profile of a customer_user_id that is not there yet when
 * create_missing; never for a profile_id.
 */
extern void user_resolve_or_create(const UserRef *user, bool create_missing, pg_uuid_t *profile_id);

/* A uuid, version 7: in the order of time, 74 random bits. */
extern void uuid_v7(pg_uuid_t *uuid);

#endif							/* ADAPTY_IDENTITY_H */
