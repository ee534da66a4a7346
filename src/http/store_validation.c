/*
 * store_validation.c
 *		/api/v1/sdk/purchase/stripe/token/validate/, a JSON:API document, and
 *		/api/v2/server-side-api/purchase/paddle/token/validate/
 *
 * The environment is that of the API key.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/syscache.h"

#include "base/caller.h"
#include "base/compat.h"
#include "base/ext_state.h"
#include "base/json_fields.h"
#include "domain/sql_functions.h"
#include "http/handler.h"
#include "http/v2_body.h"

#define MAX_TOKEN 255			/* characters */

/* The environment of the request's API key; without a key, of a token, Production. */
static Datum
request_environment(void)
{
	const char *label = GetConfigOption(API_KEY_ENVIRONMENT_SETTING, true, false);
	Oid			type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("environment"),
									   ObjectIdGetDatum(ext_state()->schema));

	return DirectFunctionCall2(enum_in, CStringGetDatum(label != NULL && label[0] != '\0' ? label : "Production"),
							   ObjectIdGetDatum(type));
}

/* Validates the token that a field of the body has, for the user that another one names. */
static UserRef
validate(HttpRequest *request, const JsonFields *fields, const char *field, PGFunction by_customer_user_id,
		 PGFunction by_profile_id)
{
	UserRef		user = {0};
	Datum		args[2];

	user.customer_user_id = cstring_to_text(field_text(fields, "customer_user_id", true, MAX_CUSTOMER_USER_ID));
	check_customer_user_id(user.customer_user_id);
	args[0] = CStringGetTextDatum(field_text(fields, field, true, MAX_TOKEN));
	args[1] = request_environment();
	(void) call_for_user(request, &user, by_customer_user_id, by_profile_id, 2, args, NULL);
	return user;
}

/* POST .../stripe/token/validate/ */
static void
validate_stripe(HttpRequest *request, HttpResponse *response)
{
	static const char *const types[] = {"stripe_receipt_validation_result", NULL};
	JsonFields	body = {.object = request_object(request, false), .prefix = "/"};
	JsonFields	data;
	JsonFields	attributes;

	(void) field_object(&body, "data", true, &data);
	data.prefix = "/data/";
	(void) field_choice(&data, "type", true, types);
	(void) field_object(&data, "attributes", true, &attributes);
	attributes.prefix = "";
	(void) validate(request, &attributes, "stripe_token", BY_USER(validate_stripe_token));
	response->content_type = "application/vnd.api+json";
	appendStringInfoString(&response->body, "{\"data\":null}");
}

/* POST .../paddle/token/validate/ */
static void
validate_paddle(HttpRequest *request, HttpResponse *response)
{
	JsonFields	body = {.object = request_object(request, false), .prefix = ""};
	UserRef		user = validate(request, &body, "paddle_token", BY_USER(validate_paddle_token));

	v2_profile_after(response, &user);
}

HTTP_HANDLER(v1_validate_stripe_token, HTTP_SERVER, validate_stripe, .is_json_api = true);
HTTP_HANDLER(v2_validate_paddle_token, HTTP_SERVER, validate_paddle);
