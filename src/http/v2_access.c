/*
 * v2_access.c
 *		/api/v2/server-side-api/purchase/profile/grant/access-level/ and .../revoke/access-level/
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/json_fields.h"
#include "domain/sql_functions.h"
#include "http/handler.h"
#include "http/v2_body.h"

#define MAX_ACCESS_LEVEL_ID 64	/* characters */

/*
 * Grant: the interval is set as given, null is open.  An end may be in the past: then access is over
 * since that moment, and has begun just before it if the request does not say when.
 */
static void
grant_access_level(HttpRequest *request, HttpResponse *response)
{
	JsonFields	body = {request_object(request, false), ""};
	char	   *level = field_text(&body, "access_level_id", true, MAX_ACCESS_LEVEL_ID);
	TimestampTz starts_at = 0;
	TimestampTz expires_at = 0;
	bool		has_start = field_timestamp(&body, "starts_at", false, &starts_at);
	bool		has_end = field_timestamp(&body, "expires_at", false, &expires_at);
	UserRef		user = request_user(request);
	/* access_level_id, duration, expires_at, starts_at, is_lifetime, mode, create_missing, reason, key */
	Datum		args[9] = {CStringGetTextDatum(level)};
	char		nulls[10] = " nnn nnnn";

	if (has_end && !has_start && expires_at <= clock_write_now())
	{
		starts_at = expires_at - 1;
		has_start = true;
	}
	args[2] = TimestampTzGetDatum(expires_at);
	args[3] = TimestampTzGetDatum(starts_at);
	args[4] = BoolGetDatum(!has_end);
	nulls[2] = has_end ? ' ' : 'n';
	nulls[3] = has_start ? ' ' : 'n';
	(void) call_for_user(request, &user, BY_USER(grant_access_level), 9, args, nulls);
	v2_profile_after(response, &user);
}

/* Revoke: now, or at the given moment. */
static void
revoke_access_level(HttpRequest *request, HttpResponse *response)
{
	JsonFields	body = {request_object(request, false), ""};
	char	   *level = field_text(&body, "access_level_id", true, MAX_ACCESS_LEVEL_ID);
	TimestampTz revoke_at = 0;
	bool		has_moment = field_timestamp(&body, "revoke_at", false, &revoke_at);
	UserRef		user = request_user(request);
	/* access_level_id, revoke_at, is_refund, reason, idempotency_key */
	Datum		args[5] = {CStringGetTextDatum(level), TimestampTzGetDatum(revoke_at), BoolGetDatum(false)};
	char		nulls[6] = "  nnn";

	nulls[1] = has_moment ? ' ' : 'n';
	nulls[2] = ' ';
	(void) call_for_user(request, &user, BY_USER(revoke_access_level), 5, args, nulls);
	v2_profile_after(response, &user);
}

HTTP_HANDLER(v2_grant_access_level, HTTP_SERVER, grant_access_level);
HTTP_HANDLER(v2_revoke_access_level, HTTP_SERVER, revoke_access_level);
