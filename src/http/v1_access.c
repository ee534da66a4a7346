/*
 * v1_access.c
 *		/api/v1/sdk/profiles/{user}/paid-access-levels/{access_level}/grant/ and .../revoke/
 *
 * What a grant says of a store's transaction is kept as its reason: version 1 records it without
 * events and without a state, which set_transaction of version 2 does better.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/json_fields.h"
#include "domain/sql_functions.h"
#include "http/handler.h"
#include "http/v1_body.h"

#define SEGMENT_ACCESS_LEVEL 6	/* .../profiles/{user}/paid-access-levels/{access_level}/ */
#define MAX_DURATION_DAYS 1000000
#define MAX_VENDOR_ID 255		/* characters */

/* The access level that the path names. */
static Datum
path_access_level(HttpRequest *request)
{
	char	   *id = request_segment(request, SEGMENT_ACCESS_LEVEL);

	if (id == NULL)
		ereport(ERROR,
				(condition_errcode(COND_VALIDATION),
				 errmsg("the access level in the path is not valid")));
	return CStringGetTextDatum(id);
}

/* duration_days as an interval; NULL if it is not given.  ERROR (base_error) unless it is a whole number from 1. */
static Interval *
field_days(const JsonFields *body)
{
	Numeric		number = field_number(body, "duration_days", false);
	Interval   *duration;
	char	   *text;
	char	   *end;
	long		days;

	if (number == NULL)
		return NULL;
	text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));
	errno = 0;
	days = strtol(text, &end, 10);
	if (errno != 0 || *end != '\0' || days < 1 || days > MAX_DURATION_DAYS)
		field_error(body, "duration_days", text, "The value must be a whole number of days, 1 or more.");
	duration = palloc0(sizeof(Interval));
	duration->day = (int32) days;
	return duration;
}

/* What the request says of the purchase behind a grant; NULL if nothing. */
static char *
purchase_reason(const JsonFields *body)
{
	static const char *const fields[] = {
		"store", "vendor_product_id", "base_plan_id", "vendor_transaction_id",
		"vendor_original_transaction_id", NULL
	};
	StringInfoData reason;

	initStringInfo(&reason);
	for (const char *const *field = fields; *field != NULL; field++)
	{
		char	   *value = field_text(body, *field, false, MAX_VENDOR_ID);

		if (value != NULL && reason.len + strlen(value) < 900)
			appendStringInfo(&reason, "%s%s %s", reason.len > 0 ? ", " : "", *field, value);
	}
	return reason.len > 0 ? reason.data : NULL;
}

/* POST .../grant/: is_lifetime, else expires_at, else duration_days. */
static void
grant_access_level(HttpRequest *request, HttpResponse *response)
{
	JsonFields	body = {.object = request_object(request, false), .prefix = ""};
	TimestampTz starts_at = 0;
	TimestampTz expires_at = 0;
	bool		is_lifetime = false;
	bool		has_start = field_timestamp(&body, "starts_at", false, &starts_at);
	bool		has_end = field_timestamp(&body, "expires_at", false, &expires_at);
	Interval   *duration = field_days(&body);
	char	   *reason = purchase_reason(&body);
	UserRef		user = v1_path_user(request);
	/* access_level_id, duration, expires_at, starts_at, is_lifetime, mode, create_missing, reason, key */
	Datum		args[9] = {0};
	char		nulls[10] = " nnn nnnn";

	(void) field_bool(&body, "is_lifetime", false, &is_lifetime);
	if (has_end && !is_lifetime && !has_start && expires_at <= clock_write_now())
	{
		/* over since then, as in version 2 */
		starts_at = expires_at - 1;
		has_start = true;
	}
	args[0] = path_access_level(request);
	args[1] = IntervalPGetDatum(duration);
	args[2] = TimestampTzGetDatum(expires_at);
	args[3] = TimestampTzGetDatum(starts_at);
	args[4] = BoolGetDatum(is_lifetime);
	args[7] = reason != NULL ? CStringGetTextDatum(reason) : (Datum) 0;
	nulls[1] = duration != NULL ? ' ' : 'n';
	nulls[2] = has_end ? ' ' : 'n';
	nulls[3] = has_start ? ' ' : 'n';
	nulls[7] = reason != NULL ? ' ' : 'n';
	(void) call_for_user(request, &user, BY_USER(grant_access_level), 9, args, nulls);
	v1_profile_body(response, &user, false, false);
}

/* POST .../revoke/: now; is_refund marks the purchases behind the level refunded. */
static void
revoke_access_level(HttpRequest *request, HttpResponse *response)
{
	JsonFields	body = {.object = request_object(request, false), .prefix = ""};
	bool		is_refund = false;
	UserRef		user = v1_path_user(request);
	/* access_level_id, revoke_at, is_refund, reason, idempotency_key */
	Datum		args[5] = {0};

	(void) field_bool(&body, "is_refund", true, &is_refund);
	args[0] = path_access_level(request);
	args[2] = BoolGetDatum(is_refund);
	(void) call_for_user(request, &user, BY_USER(revoke_access_level), 5, args, " n nn");
	v1_profile_body(response, &user, false, false);
}

HTTP_HANDLER(v1_grant_access_level, HTTP_SERVER, grant_access_level);
HTTP_HANDLER(v1_revoke_access_level, HTTP_SERVER, revoke_access_level);
