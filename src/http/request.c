/*
 * request.c
 *		What a request says: its headers, its user, its body.
 *
 * PostgREST hands the headers over as the setting request.headers.  The path and the content type are
 * the web server's, which calls every endpoint by POST with a body of its own type: it passes on
 * what the client sent as X-Original-Uri and X-Original-Content-Type.  They are data like the body;
 * nothing is allowed because of them.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/json_members.h"
#include "base/url.h"
#include "domain/identity.h"
#include "http/request.h"

#define MAX_BODY (1024 * 1024)	/* bytes; the web server's limit is the same */

typedef enum Header
{
	HEADER_CUSTOMER_USER_ID,
	HEADER_PROFILE_ID,
	HEADER_PLATFORM,
	HEADER_IDEMPOTENCY_KEY,
	HEADER_CONTENT_TYPE,
	HEADER_URI,
	N_HEADERS
} Header;

static const char *const header_names[N_HEADERS] = {
	"adapty-customer-user-id", "adapty-profile-id", "adapty-platform", "idempotency-key",
	"x-original-content-type", "x-original-uri",
};

/* A header's value; NULL for an empty one. */
static const char *
filled(const char *value)
{
	return value == NULL || value[0] == '\0' ? NULL : value;
}

/* See request.h. */
void
request_read(FunctionCallInfo fcinfo, HttpRequest *request)
{
	const char *headers = GetConfigOption("request.headers", true, false);
	char	   *values[N_HEADERS] = {NULL};

	memset(request, 0, sizeof(*request));
	request->fcinfo = fcinfo;
	request->body = PG_ARGISNULL(0) ? (bytea *) cstring_to_text("") : PG_GETARG_BYTEA_PP(0);
	if (headers != NULL)
		(void) json_members(headers, header_names, N_HEADERS, values);
	request->customer_user_id = filled(values[HEADER_CUSTOMER_USER_ID]);
	request->profile_id = filled(values[HEADER_PROFILE_ID]);
	request->platform = filled(values[HEADER_PLATFORM]);
	request->idempotency_key = filled(values[HEADER_IDEMPOTENCY_KEY]);
	request->content_type = filled(values[HEADER_CONTENT_TYPE]);
	request->uri = values[HEADER_URI] != NULL ? values[HEADER_URI] : "";
	if (VARSIZE_ANY_EXHDR(request->body) > MAX_BODY)
		ereport(ERROR,
				(condition_errcode(COND_BODY_TOO_LARGE),
				 errmsg("the body has %zu bytes; at most %d are allowed",
						VARSIZE_ANY_EXHDR(request->body), MAX_BODY)));
}

/* See handler.h. */
char *
request_segment(HttpRequest *request, int n)
{
	return url_path_segment(request->uri, n);
}

/* See handler.h. */
char *
request_query(HttpRequest *request, const char *name)
{
	return url_query_parameter(request->uri, name);
}

/* ERROR (unsupported_media_type) unless a body's type is JSON, or not said. */
static void
check_content_type(const HttpRequest *request)
{
	const char *type = request->content_type;
	int			length;

	if (type == NULL)
		return;
	length = (int) strcspn(type, "; \t");
	if ((length == 16 && pg_strncasecmp(type, "application/json", 16) == 0) ||
		(length == 9 && pg_strncasecmp(type, "text/json", 9) == 0) ||
		(length > 17 && pg_strncasecmp(type, "application/", 12) == 0 &&
		 pg_strncasecmp(type + length - 5, "+json", 5) == 0))
		return;
	ereport(ERROR,
			(condition_errcode(COND_UNSUPPORTED_MEDIA_TYPE),
			 errmsg("Unsupported media type \"%s\" in request.", type)));
}

/* See handler.h. */
Jsonb *
request_json(HttpRequest *request)
{
	const char *bytes = VARDATA_ANY(request->body);
	int			length = (int) VARSIZE_ANY_EXHDR(request->body);
	Datum		json;

	if (length > 0)
		check_content_type(request);
	request->is_parsing = true;
	if (memchr(bytes, '\0', length) != NULL)
		ereport(ERROR,
				(condition_errcode(COND_PARSE_ERROR),
				 errmsg("there is a NUL byte in the body")));
	if (!pg_verify_mbstr(PG_UTF8, bytes, length, true))
		ereport(ERROR,
				(condition_errcode(COND_PARSE_ERROR),
				 errmsg("the body is not UTF-8")));
	json = DirectFunctionCall1(jsonb_in,
							   CStringGetDatum(pg_any_to_server(pnstrdup(bytes, length), length, PG_UTF8)));
	request->is_parsing = false;
	return DatumGetJsonbP(json);
}

/* See handler.h. */
Jsonb *
request_object(HttpRequest *request, bool empty_is_object)
{
	Jsonb	   *json;

	if (empty_is_object && VARSIZE_ANY_EXHDR(request->body) == 0)
		return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
	json = request_json(request);
	if (!JB_ROOT_IS_OBJECT(json))
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("the body must be a JSON object")));
	return json;
}

/* The profile_id header as a user: ERROR (profile_does_not_exist) if it is no UUID, as none has it. */
static UserRef
user_of_profile_id(const char *profile_id)
{
	UserRef		user = {0};

	if (!parse_uuid(profile_id, &user.profile_id))
		ereport(ERROR,
				(condition_errcode(COND_PROFILE_DOES_NOT_EXIST),
				 errmsg("adapty-profile-id \"%s\" is not a UUID", profile_id)));
	return user;
}

/* See handler.h. */
UserRef
request_user(HttpRequest *request)
{
	UserRef		user = {0};
	UserRef		by_profile_id;
	pg_uuid_t	found;

	if (request->customer_user_id == NULL && request->profile_id == NULL)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("Either adapty-customer-user-id or adapty-profile-id header is required")));
	if (request->customer_user_id == NULL)
		return user_of_profile_id(request->profile_id);
	user.customer_user_id = cstring_to_text(request->customer_user_id);
	check_customer_user_id(user.customer_user_id);
	if (request->profile_id == NULL)
		return user;
	by_profile_id = user_of_profile_id(request->profile_id);
	user_check_caller(&user);
	user_check_caller(&by_profile_id);
	if (!user_lookup(&user, NULL, &found))
		profile_not_found(&user);
	if (memcmp(&found, &by_profile_id.profile_id, UUID_LEN) != 0)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("the headers adapty-customer-user-id and adapty-profile-id name different profiles")));
	return user;
}

/* See handler.h. */
Datum
call_for_user(HttpRequest *request, const UserRef *user, PGFunction by_customer_user_id,
			  PGFunction by_profile_id, int n, const Datum *args, const char *nulls)
{
	LOCAL_FCINFO(call, 16);
	bool		by_customer = user->customer_user_id != NULL;

	Assert(n < 16);
	InitFunctionCallInfoData(*call, request->fcinfo->flinfo, (short) (n + 1), InvalidOid, NULL, NULL);
	call->args[0].value = by_customer ? PointerGetDatum(user->customer_user_id) :
		UUIDPGetDatum(&user->profile_id);
	call->args[0].isnull = false;
	for (int i = 0; i < n; i++)
	{
		call->args[i + 1].value = args[i];
		call->args[i + 1].isnull = nulls != NULL && nulls[i] == 'n';
	}
	return by_customer ? by_customer_user_id(call) : by_profile_id(call);
}

/* See handler.h. */
Datum
call_function(HttpRequest *request, PGFunction function, int n, const Datum *args)
{
	LOCAL_FCINFO(call, 16);

	Assert(n <= 16);
	InitFunctionCallInfoData(*call, request->fcinfo->flinfo, (short) n, InvalidOid, NULL, NULL);
	for (int i = 0; i < n; i++)
	{
		call->args[i].value = args[i];
		call->args[i].isnull = false;
	}
	return function(call);
}
