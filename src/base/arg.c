/*
 * arg.c
 *		Readers of arguments that name the value in their errors.
 *
 * Functions that use them are not STRICT: a null where a value is needed is an error that says so,
 * never a silent null result.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/arg.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/errors.h"

#define SHOWN_BYTES 40			/* of a value that is too long, in its error */

/* ERROR (22004): a required argument is null. */
static void pg_attribute_noreturn()
report_null(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("%s must not be null", name)));
}

/* ERROR (22023) if a text is empty or has more than max_chars characters. */
static void
check_length(const char *name, const char *value, int length, int max_chars)
{
	int			chars;

	if (length == 0)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("%s must not be empty", name)));

	/* No encoding has more characters than bytes. */
	if (length <= max_chars)
		return;
	chars = pg_mbstrlen_with_len(value, length);
	if (chars > max_chars)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("%s \"%s...\" is too long", name,
						pnstrdup(value, pg_mbcliplen(value, length, SHOWN_BYTES))),
				 errdetail("It has %d characters; at most %d are allowed.", chars, max_chars)));
}

/* See arg.h. */
void
check_customer_user_id(const text *customer_user_id)
{
	check_length("customer_user_id", VARDATA_ANY(customer_user_id),
				 (int) VARSIZE_ANY_EXHDR(customer_user_id), MAX_CUSTOMER_USER_ID);
}

/* See arg.h. */
UserRef
arg_customer_user_id(FunctionCallInfo fcinfo)
{
	UserRef		user = {0};

	if (PG_ARGISNULL(0))
		report_null("customer_user_id");
	user.customer_user_id = PG_GETARG_TEXT_PP(0);
	check_customer_user_id(user.customer_user_id);
	return user;
}

/* See arg.h. */
UserRef
arg_profile_id(FunctionCallInfo fcinfo)
{
	UserRef		user = {0};

	if (PG_ARGISNULL(0))
		report_null("profile_id");
	user.profile_id = *PG_GETARG_UUID_P(0);
	return user;
}

/* See arg.h. */
char *
user_ref_text(const UserRef *user)
{
	if (user->customer_user_id != NULL)
		return psprintf("customer_user_id \"%s\"", text_to_cstring(user->customer_user_id));
	return psprintf("profile_id \"%s\"",
					DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&user->profile_id))));
}

/* See arg.h. */
char *
arg_text(FunctionCallInfo fcinfo, int n, const char *name, bool required, int max_chars)
{
	text	   *value;

	if (PG_ARGISNULL(n))
	{
		if (required)
			report_null(name);
		return NULL;
	}
	value = PG_GETARG_TEXT_PP(n);
	check_length(name, VARDATA_ANY(value), (int) VARSIZE_ANY_EXHDR(value), max_chars);
	return text_to_cstring(value);
}

/* See arg.h. */
bool
arg_finite_timestamp(FunctionCallInfo fcinfo, int n, const char *name, TimestampTz *value)
{
	if (PG_ARGISNULL(n))
		return false;
	*value = PG_GETARG_TIMESTAMPTZ(n);
	if (TIMESTAMP_NOT_FINITE(*value))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("%s \"%s\" is not finite", name,
						TIMESTAMP_IS_NOBEGIN(*value) ? "-infinity" : "infinity")));
	return true;
}

/* See arg.h. */
Jsonb *
arg_jsonb(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		report_null(name);
	return PG_GETARG_JSONB_P(n);
}

/* See arg.h. */
pg_uuid_t *
arg_uuid(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		report_null(name);
	return PG_GETARG_UUID_P(n);
}

/* See arg.h. */
bool
parse_uuid(const char *text, pg_uuid_t *uuid)
{
	int			digits = 0;

	for (const char *c = text; *c != '\0'; c++)
	{
		int			digit;

		if (*c == '-' && (digits == 8 || digits == 12 || digits == 16 || digits == 20) && c[-1] != '-')
			continue;
		if (*c >= '0' && *c <= '9')
			digit = *c - '0';
		else if ((*c >= 'a' && *c <= 'f') || (*c >= 'A' && *c <= 'F'))
			digit = pg_tolower((unsigned char) *c) - 'a' + 10;
		else
			return false;
		if (digits == 2 * UUID_LEN)
			return false;
		if (digits % 2 == 0)
			uuid->data[digits / 2] = (unsigned char) (digit << 4);
		else
			uuid->data[digits / 2] |= (unsigned char) digit;
		digits++;
	}
	return digits == 2 * UUID_LEN;
}

/* See arg.h. */
void
refuse_unless_writable(FunctionCallInfo fcinfo)
{
	if (XactReadOnly || RecoveryInProgress())
	{
		char	   *name = psprintf("%s()", get_func_name(fcinfo->flinfo->fn_oid));

		PreventCommandIfReadOnly(name);
		PreventCommandDuringRecovery(name);
	}
	clock_refuse_moved();
}
