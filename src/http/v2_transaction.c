/*
 * v2_transaction.c
 *		POST /api/v2/server-side-api/purchase/set/transaction/
 *
 * A key of the sandbox reports sandbox purchases only: that is what a transaction is by default then,
 * and "Production" is refused.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"

#include "base/caller.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/jsonb_build.h"
#include "domain/sql_functions.h"
#include "http/handler.h"
#include "http/json_shape.h"
#include "http/v2_body.h"

static const JsonShape price_shape[] = {MEMBER("country"), MEMBER("currency"), MEMBER("value"), END_OF_MEMBERS};

static const JsonShape offer_shape[] = {MEMBER("category"), MEMBER("type"), MEMBER("id"), END_OF_MEMBERS};

/* What is read of a request; the rest is ignored, as Adapty ignores it. */
static const JsonShape request_shape[] = {
	MEMBER("purchase_type"), MEMBER("store"), MEMBER("environment"), MEMBER("store_product_id"), MEMBER("store_base_plan_id"),
	MEMBER("store_transaction_id"), MEMBER("store_original_transaction_id"), MEMBER("is_family_shared"),
	MEMBER("price", .members = price_shape), MEMBER("purchased_at"), MEMBER("variation_id"), MEMBER("offer", .members = offer_shape),
	MEMBER("refunded_at"), MEMBER("cancellation_reason"), MEMBER("originally_purchased_at"), MEMBER("expires_at"),
	MEMBER("renew_status"), MEMBER("renew_status_changed_at"), MEMBER("billing_issue_detected_at"),
	MEMBER("grace_period_expires_at"), END_OF_MEMBERS
};

/* The environment that the key is for; NULL if no key was sent. */
static const char *
key_environment(void)
{
	const char *setting = GetConfigOption(API_KEY_ENVIRONMENT_SETTING, true, false);

	return setting == NULL || setting[0] == '\0' ? NULL : setting;
}

/* The transaction, its environment made that of a sandbox key. */
static Jsonb *
request_transaction(HttpRequest *request)
{
	Jsonb	   *body = json_keep_known(request_object(request, false), request_shape);
	const char *environment = key_environment();
	JsonbValue *given = jsonb_object_get(body, "environment");
	JsonbBuild	jb;

	if (environment == NULL || strcmp(environment, "Sandbox") != 0)
		return body;
	if (given != NULL && given->type == jbvString && given->val.string.len == 10 &&
		memcmp(given->val.string.val, "Production", 10) == 0)
		ereport(ERROR,
				(condition_errcode(COND_PERMISSION_DENIED),
				 errmsg("an API key of the sandbox cannot report a purchase of environment \"Production\""),
				 err_generic_string(PG_DIAG_COLUMN_NAME, "environment")));
	if (given != NULL && given->type != jbvNull)
		return body;
	jb_init(&jb);
	jb_begin_object(&jb);
	jb_key(&jb, "environment");
	jb_string(&jb, environment);
	jb_end_object(&jb);
	return DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(body),
											  JsonbPGetDatum(jb_finish(&jb))));
}

/* POST */
static void
set_transaction(HttpRequest *request, HttpResponse *response)
{
	UserRef		user = request_user(request);
	Datum		args[2] = {JsonbPGetDatum(request_transaction(request)), BoolGetDatum(false)};
	Datum		profile = call_for_user(request, &user, BY_USER(set_transaction), 2, args, NULL);

	v2_profile_body(response, DatumGetJsonbP(profile));
}

HTTP_HANDLER(v2_set_transaction, HTTP_SERVER, set_transaction);
