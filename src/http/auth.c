/*
 * auth.c
 *		Who sent a request: adapty.pre_request(), which PostgREST calls before each one.
 *
 * PostgREST has checked a token already ("Authorization: Bearer ...") and taken its role.  It knows
 * nothing of API keys ("Authorization: Api-Key ..."): such a request comes as the anonymous role, and
 * the role of a key that is in force is taken here, until the end of the transaction.  That is SET
 * LOCAL ROLE with the rights of the session, so a key can never get more than PostgREST's own login
 * could take by a token.  The function must not change its rights (no SECURITY DEFINER): PostgreSQL
 * would refuse the role.
 *
 * Whoever is none of our roles by then is refused.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"

#include "base/caller.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/json_members.h"
#include "domain/api_key.h"
#include "http/http_error.h"

PG_FUNCTION_INFO_V1(adapty_pre_request);

static const char scheme[] = "Api-Key ";

/*
 * The refusal, with the API's body in a header: PostgREST answers an error of SQLSTATE PGRST with the
 * status and headers of its detail.
 */
static void pg_attribute_noreturn()
refuse(AdaptyCondition condition, const char *message)
{
	StringInfoData body;
	StringInfoData detail;

	initStringInfo(&body);
	http_error_body(&body, condition, "non_field_errors", message);
	initStringInfo(&detail);
	appendStringInfo(&detail, "{\"status\":%d,\"headers\":{\"X-Adapty-Error\":",
					 condition_info(condition)->http_status);
	escape_json(&detail, body.data);
	appendStringInfoString(&detail, "}}");
	ereport(ERROR,
			(errcode(MAKE_SQLSTATE('P', 'G', 'R', 'S', 'T')),
			 errmsg("{\"code\":\"%s\",\"message\":\"%s\"}", condition_info(condition)->name, message),
			 errdetail_internal("%s", detail.data)));
}

/* The request's Authorization header; NULL if it has none. */
static char *
authorization(void)
{
	static const char *const name[1] = {"authorization"};
	const char *headers = GetConfigOption("request.headers", true, false);
	char	   *value = NULL;

	if (headers != NULL)
		(void) json_members(headers, name, 1, &value);
	return value;
}

/* Sets a setting until the end of the transaction. */
static void
set_local(const char *name, const char *value)
{
	(void) set_config_option(name, value, superuser() ? PGC_SUSET : PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
}

/* Is the current role one of ours?  An administrator is, as the rights of all roles are theirs. */
static bool
has_a_role(void)
{
	static const char *const names[] = {"adapty_server", "adapty_sdk", "adapty_analyst"};

	for (int i = 0; i < (int) lengthof(names); i++)
	{
		Oid			role = get_role_oid(names[i], true);

		if (OidIsValid(role) && has_privs_of_role(GetUserId(), role))
			return true;
	}
	return false;
}

/* adapty.pre_request(): see the function's COMMENT. */
Datum
adapty_pre_request(PG_FUNCTION_ARGS)
{
	char	   *header = authorization();
	ApiKey		key;

	(void) fcinfo;
	if (header == NULL || pg_strncasecmp(header, scheme, sizeof(scheme) - 1) != 0)
	{
		if (!has_a_role())
			refuse(COND_NOT_AUTHENTICATED, "Authentication credentials were not provided.");
		PG_RETURN_VOID();
	}
	header += sizeof(scheme) - 1;
	while (*header == ' ')
		header++;
	if (!api_key_find(header, &key))
		refuse(COND_INVALID_API_KEY, "Invalid API key");
	set_local(API_KEY_SETTING, key.name);
	set_local(API_KEY_ENVIRONMENT_SETTING, key.environment);
	set_local("role", key.is_secret ? "adapty_server" : "adapty_sdk");
	PG_RETURN_VOID();
}
