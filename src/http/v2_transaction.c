/*
 * v2_transaction.c
 *		POST /api/v2/server-side-api/purchase/set/transaction/
 *
 * What the documentation refuses because fields contradict each other is refused here, in its words; in
 * SQL set_transaction() takes some of it, as stores do report it.  One of the documented rules is not
 * kept: that a free trial must cost nothing, as the documentation's own example has a price.
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
#include "base/json_fields.h"
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

/* ERROR in the documentation's words. */
static void pg_attribute_noreturn()
contradiction(AdaptyCondition condition, const char *field, const char *message)
{
	ereport(ERROR,
			(condition_errcode(condition),
			 errmsg("%s", message),
			 err_generic_string(PG_DIAG_COLUMN_NAME, field)));
}

/* What the times of a transaction must have to do with each other. */
static void
check_times(const JsonFields *fields)
{
	TimestampTz purchased_at;
	TimestampTz expires_at;
	TimestampTz at;

	if (!field_timestamp(fields, "purchased_at", false, &purchased_at))
		return;
	if (field_timestamp(fields, "originally_purchased_at", false, &at) && at > purchased_at)
		contradiction(COND_ORIGINALLY_PURCHASED_DATE, "originally_purchased_at",
					  "originally_purchased_at must be earlier than or equal to purchased_at.");
	if (field_timestamp(fields, "renew_status_changed_at", false, &at) && at < purchased_at)
		contradiction(COND_RENEW_STATUS_DATE, "renew_status_changed_at",
					  "renew_status_changed_at must be later than purchased_at.");
	if (field_timestamp(fields, "billing_issue_detected_at", false, &at) && at < purchased_at)
		contradiction(COND_BILLING_ISSUE_DATE, "billing_issue_detected_at",
					  "billing_issue_detected_at must be later than purchased_at.");
	if (field_timestamp(fields, "refunded_at", false, &at) && at < purchased_at)
		contradiction(COND_REFUND_DATE, "refunded_at", "refunded_at must be later than purchased_at.");
	if (!field_timestamp(fields, "expires_at", false, &expires_at))
		return;
	if (expires_at <= purchased_at)
		contradiction(COND_EXPIRES_DATE, "expires_at", "expires_at must be later than purchased_at.");
	if (field_timestamp(fields, "grace_period_expires_at", false, &at) && at < expires_at)
		contradiction(COND_GRACE_PERIOD_DATE, "grace_period_expires_at",
					  "grace_period_expires_at must be later or equal to expires_at.");
}

/* What else the documentation refuses, besides wrong fields, which are the domain's to refuse. */
static void
check_contradictions(Jsonb *transaction)
{
	JsonFields	fields = {.object = transaction, .prefix = ""};
	JsonFields	inner;
	TimestampTz at;
	bool		is_family_shared = false;
	const char *type = field_text(&fields, "purchase_type", false, 255);
	const char *id = field_text(&fields, "store_transaction_id", false, 255);
	const char *original_id = field_text(&fields, "store_original_transaction_id", false, 255);
	const char *reason = field_text(&fields, "cancellation_reason", false, 255);
	bool		is_refunded = field_timestamp(&fields, "refunded_at", false, &at);

	check_times(&fields);
	if (is_refunded != (reason != NULL && strcmp(reason, "refund") == 0))
		contradiction(COND_REFUND_FIELDS, "refunded_at",
					  "refunded_at and cancellation_reason=refund must be specified together.");
	if (field_timestamp(&fields, "grace_period_expires_at", false, &at) &&
		!field_timestamp(&fields, "billing_issue_detected_at", false, &at))
		contradiction(COND_GRACE_PERIOD_BILLING, "grace_period_billing_error",
					  "If grace_period_expires_at is specified, billing_issue_detected_at must be specified too.");
	if (type != NULL && strcmp(type, "one_time_purchase") == 0 && id != NULL && original_id != NULL &&
		strcmp(id, original_id) != 0)
		contradiction(COND_STORE_TRANSACTION_ID, "store_transaction_id",
					  "store_transaction_id must be equal to store_original_transaction_id for purchase.");
	if (field_bool(&fields, "is_family_shared", false, &is_family_shared) && is_family_shared &&
		field_object(&fields, "price", false, &inner))
	{
		Numeric		price = field_number(&inner, "value", false);

		if (price != NULL && !DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(price),
															   NumericGetDatum(int64_to_numeric(0)))))
			contradiction(COND_FAMILY_SHARE_PRICE, "is_family_shared",
						  "If is_family_shared is true, price.value must be 0.");
	}
	if (field_object(&fields, "offer", false, &inner))
	{
		const char *category = field_text(&inner, "category", false, 255);

		if (category != NULL && strcmp(category, "introductory") != 0 &&
			field_text(&inner, "id", false, 255) == NULL)
			contradiction(COND_MISSING_OFFER_ID, "offer.category",
						  "offer_id must be specified for all offer types except 'introductory'.");
	}
}

/* POST */
static void
set_transaction(HttpRequest *request, HttpResponse *response)
{
	UserRef		user = request_user(request);
	Jsonb	   *transaction = request_transaction(request);
	Datum		args[2] = {JsonbPGetDatum(transaction), BoolGetDatum(false)};
	Datum		profile;

	check_contradictions(transaction);
	profile = call_for_user(request, &user, BY_USER(set_transaction), 2, args, NULL);
	v2_profile_body(response, DatumGetJsonbP(profile));
}

HTTP_HANDLER(v2_set_transaction, HTTP_SERVER, set_transaction);
