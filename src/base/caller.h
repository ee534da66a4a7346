/*
 * caller.h
 *		Who calls: the actor kept with changes, and what adapty_sdk may see.
 */
#ifndef ADAPTY_CALLER_H
#define ADAPTY_CALLER_H

#include "postgres.h"

#include "utils/uuid.h"

/*
 * "role/application_name", or "role/jwt:subject" or "role/api key:name" behind PostgREST, at most
 * 200 bytes; in the current context.  Call before scope_enter() changes the role.
 */
extern char *caller_actor(void);

/*
 * The name of the API key that the request came with, else NULL.  Whoever has checked a key puts it
 * into the setting for the rest of the transaction.
 */
#define API_KEY_SETTING "request.api_key"
#define API_KEY_ENVIRONMENT_SETTING "request.api_key_environment"
extern const char *caller_api_key(void);

/*
 * Is the caller held to one profile (a member of adapty_sdk that is neither a member of
 * adapty_server nor the owner)?  Call before scope_enter().
 */
extern bool caller_is_limited(void);

/*
 * The one user that a limited caller may see, from the JWT: claim "customer_user_id", else "sub".
 * NULL if there is none, so nothing may be seen.
 */
extern char *caller_customer_user_id(void);

/* The JWT's claim "profile_id", for anonymous users; false if there is none. */
extern bool caller_profile_id(pg_uuid_t *profile_id);

#endif							/* ADAPTY_CALLER_H */
