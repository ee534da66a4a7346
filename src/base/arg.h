/*
 * arg.h
 *		Readers of arguments that name the value in their errors.
 */
#ifndef ADAPTY_ARG_H
#define ADAPTY_ARG_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#define MAX_CUSTOMER_USER_ID 255	/* characters */
#define MAX_IDEMPOTENCY_KEY 255		/* characters */
#define MAX_REASON 1000				/* characters */

/*
 * A user as functions take it: by customer_user_id or by profile_id.  Every public function of one
 * user is written once as "static Datum name(FunctionCallInfo, UserRef)" and exported twice.
 */
typedef struct UserRef
{
	text	   *customer_user_id;	/* NULL if the user is given by profile_id */
	pg_uuid_t	profile_id;
} UserRef;

#define FUNCTION_BY_USER(name) \
	PG_FUNCTION_INFO_V1(adapty_##name); \
	PG_FUNCTION_INFO_V1(adapty_##name##_by_profile_id); \
	Datum adapty_##name(PG_FUNCTION_ARGS) \
	{ return name(fcinfo, arg_customer_user_id(fcinfo)); } \
	Datum adapty_##name##_by_profile_id(PG_FUNCTION_ARGS) \
	{ return name(fcinfo, arg_profile_id(fcinfo)); } \
	extern int	adapty_require_semicolon

/* Argument 0 as a user: ERROR (22004) if null, (22023) if empty or too long. */
extern UserRef arg_customer_user_id(FunctionCallInfo fcinfo);
extern UserRef arg_profile_id(FunctionCallInfo fcinfo);

/* How errors name the user: customer_user_id "x" / profile_id "x". */
extern char *user_ref_text(const UserRef *user);

/* A customer_user_id from elsewhere: the same checks. */
extern void check_customer_user_id(const text *customer_user_id);

/*
 * Text argument n (from 0) called "name": NULL if null and required is false; ERROR (22004) if null
 * and required, (22023) if empty or of more than max_chars characters.
 */
extern char *arg_text(FunctionCallInfo fcinfo, int n, const char *name, bool required, int max_chars);

/* Timestamp argument n: false if null; ERROR (22008) if infinite. */
extern bool arg_finite_timestamp(FunctionCallInfo fcinfo, int n, const char *name, TimestampTz *value);

/* jsonb argument n: ERROR (22004) if null. */
extern Jsonb *arg_jsonb(FunctionCallInfo fcinfo, int n, const char *name);

/* uuid argument n: ERROR (22004) if null. */
extern pg_uuid_t *arg_uuid(FunctionCallInfo fcinfo, int n, const char *name);

/* A uuid in its usual form, with or without hyphens, for errors of one's own: false if it is none. */
extern bool parse_uuid(const char *text, pg_uuid_t *uuid);

/*
 * For functions that write: ERROR (25006) in a read-only transaction or on a standby, which direct
 * access would not notice, and (55000) while the session's test clock is moved.
 */
extern void refuse_unless_writable(FunctionCallInfo fcinfo);

#endif							/* ADAPTY_ARG_H */
