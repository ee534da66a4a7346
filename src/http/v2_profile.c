/*
 * v2_profile.c
 *		/api/v2/server-side-api/profile/: create, get, update, delete.
 *
 * POST is for a user who may be there already: a client that never had the answer sends it again,
 * and gets the profile, with what the request says of it.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/jsonb_build.h"
#include "domain/attributes.h"
#include "domain/identity.h"
#include "domain/profile.h"
#include "domain/sql_functions.h"
#include "http/handler.h"
#include "http/json_shape.h"
#include "http/v2_body.h"

/* ---- the Profile object, in the documentation's order ---- */

#define SERVER_SIDE "adapty_server_side_product"

static const JsonShape custom_attribute_shape[] = {MEMBER("key"), MEMBER("value"), END_OF_MEMBERS};

static const JsonShape offer_shape[] = {MEMBER("category"), MEMBER("type"), MEMBER("id"), END_OF_MEMBERS};

/*
 * The documentation allows no null for product and transaction of an access level: access that no
 * store gave has the product of that name, as Adapty calls it, and was "purchased" when it began.
 */
static const JsonShape access_level_shape[] = {
	MEMBER("access_level_id"),
	MEMBER("store"),
	MEMBER("store_product_id", .if_null = SERVER_SIDE),
	MEMBER("store_base_plan_id"),
	MEMBER("store_transaction_id", .if_null = SERVER_SIDE),
	MEMBER("store_original_transaction_id", .if_null = SERVER_SIDE),
	MEMBER("offer", .members = offer_shape),
	MEMBER_TIME("starts_at"),
	MEMBER_TIME("purchased_at", .if_null = "=starts_at"),
	MEMBER_TIME("originally_purchased_at", .if_null = "=starts_at"),
	MEMBER_TIME("expires_at"),
	MEMBER_TIME("renewal_cancelled_at"),
	MEMBER_TIME("billing_issue_detected_at"),
	MEMBER("is_in_grace_period"),
	MEMBER("cancellation_reason"),
	END_OF_MEMBERS
};

static const JsonShape subscription_shape[] = {
	MEMBER("store"),
	MEMBER("store_product_id"),
	MEMBER("store_base_plan_id"),
	MEMBER("store_transaction_id"),
	MEMBER("store_original_transaction_id"),
	MEMBER("offer", .members = offer_shape),
	MEMBER("environment"),
	MEMBER_TIME("purchased_at"),
	MEMBER_TIME("originally_purchased_at"),
	MEMBER_TIME("expires_at"),
	MEMBER_TIME("renewal_cancelled_at"),
	MEMBER_TIME("billing_issue_detected_at"),
	MEMBER("is_in_grace_period"),
	MEMBER("cancellation_reason"),
	END_OF_MEMBERS
};

static const JsonShape non_subscription_shape[] = {
	MEMBER("purchase_id"),
	MEMBER("store"),
	MEMBER("store_product_id"),
	MEMBER("store_base_plan_id"),
	MEMBER("store_transaction_id"),
	MEMBER("store_original_transaction_id"),
	MEMBER_TIME("purchased_at"),
	MEMBER("environment"),
	MEMBER("is_refund"),
	MEMBER("is_consumable"),
	END_OF_MEMBERS
};

static const JsonShape profile_shape[] = {
	MEMBER("app_id"),
	MEMBER("profile_id"),
	MEMBER("customer_user_id"),
	MEMBER("total_revenue_usd", .form = JSON_FLOAT),
	MEMBER("segment_hash"),
	MEMBER("timestamp"),
	MEMBER("custom_attributes", .members = custom_attribute_shape),
	MEMBER("access_levels", .members = access_level_shape),
	MEMBER("subscriptions", .members = subscription_shape),
	MEMBER("non_subscriptions", .members = non_subscription_shape),
	END_OF_MEMBERS
};

/* ---- what a request may say of a profile; the rest is ignored, as Adapty ignores it ---- */

static const JsonShape device_shape[] = {
	MEMBER("device_id"), MEMBER("device"), MEMBER("locale"), MEMBER("os"), MEMBER("platform"), MEMBER("timezone"), MEMBER("user_agent"),
	MEMBER("app_build"), MEMBER("app_version"), MEMBER("adapty_sdk_version"), MEMBER("idfa"), MEMBER("idfv"), MEMBER("advertising_id"),
	MEMBER("android_id"), MEMBER("android_app_set_id"), END_OF_MEMBERS
};

static const JsonShape request_shape[] = {
	MEMBER("first_name"), MEMBER("last_name"), MEMBER("gender"), MEMBER("email"), MEMBER("phone_number"), MEMBER("birthday"), MEMBER("ip_country"),
	MEMBER("ip_v4_address"), MEMBER("store_country"), MEMBER("store"), MEMBER("store_account_token"), MEMBER("att_status"),
	MEMBER("analytics_disabled"), MEMBER("custom_attributes"), MEMBER("installation_meta", .members = device_shape), END_OF_MEMBERS
};

/* See v2_body.h. */
void
v2_profile_body(HttpResponse *response, Jsonb *profile)
{
	appendStringInfoString(&response->body, "{\"data\":");
	json_write_shaped(&response->body, profile, profile_shape);
	appendStringInfoChar(&response->body, '}');
}

/* See v2_body.h. */
void
v2_profile_after(HttpResponse *response, const UserRef *user)
{
	pg_uuid_t	profile_id;
	Jsonb	   *profile;

	user_resolve(user, &profile_id);
	profile = profile_json(&profile_id, false);
	if (profile == NULL)
		profile_not_found(user);
	v2_profile_body(response, profile);
}

/* object with its member "key", an object, having the members of another one as well. */
static Jsonb *
jsonb_with_member(Jsonb *object, const char *key, Jsonb *member, Jsonb *more)
{
	JsonbBuild	jb;

	jb_init(&jb);
	jb_begin_object(&jb);
	jb_key(&jb, key);
	jb_jsonb(&jb, DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(member),
													 JsonbPGetDatum(more))));
	jb_end_object(&jb);
	return DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(object),
											  JsonbPGetDatum(jb_finish(&jb))));
}

/*
 * The attributes of a request.  A device that is null is none; one without a platform has that of the
 * header adapty-platform.
 */
static Jsonb *
request_attributes(HttpRequest *request)
{
	Jsonb	   *body = json_keep_known(request_object(request, true), request_shape);
	JsonbValue *device = jsonb_object_get(body, "installation_meta");
	JsonbBuild	jb;

	if (device != NULL && device->type == jbvNull)
		return DatumGetJsonbP(DirectFunctionCall2(jsonb_delete, JsonbPGetDatum(body),
												  CStringGetTextDatum("installation_meta")));
	if (device == NULL || device->type != jbvBinary || request->platform == NULL ||
		getKeyJsonValueFromContainer(device->val.binary.data, "platform", 8, NULL) != NULL)
		return body;
	jb_init(&jb);
	jb_begin_object(&jb);
	jb_key(&jb, "platform");
	jb_string(&jb, request->platform);
	jb_end_object(&jb);
	return jsonb_with_member(body, "installation_meta", JsonbValueToJsonb(device), jb_finish(&jb));
}

/* GET */
static void
get_profile(HttpRequest *request, HttpResponse *response)
{
	UserRef		user = request_user(request);
	pg_uuid_t	profile_id;
	Jsonb	   *profile = NULL;

	user_check_caller(&user);
	if (user_lookup(&user, NULL, &profile_id))
		profile = profile_json(&profile_id, true);
	if (profile == NULL)
		profile_not_found(&user);
	v2_profile_body(response, profile);
}

/*
 * The user that POST is about, made if it is not there: by customer_user_id; by a profile_id that the
 * client has made up, anonymous; with both, that profile becomes known by the customer_user_id.
 */
static UserRef
user_to_create(HttpRequest *request)
{
	HttpRequest by_profile_id = *request;
	UserRef		user;
	pg_uuid_t	profile_id;

	if (request->profile_id == NULL)
	{
		user = request_user(request);
		user_resolve_or_create(&user, true, &profile_id);
		return user;
	}
	by_profile_id.customer_user_id = NULL;
	user = request_user(&by_profile_id);
	user_check_caller(&user);
	if (!profile_exists(&user.profile_id))
		(void) profile_create(NULL, &user.profile_id);
	if (request->customer_user_id != NULL)
	{
		Datum		args[1] = {CStringGetTextDatum(request->customer_user_id)};

		user.profile_id = *DatumGetUUIDP(call_for_user(request, &user, NULL, adapty_identify, 1, args, NULL));
	}
	return user;
}

/* POST */
static void
create_profile(HttpRequest *request, HttpResponse *response)
{
	Jsonb	   *attributes = request_attributes(request);
	UserRef		user;
	pg_uuid_t	profile_id;

	refuse_unless_writable(request->fcinfo);
	user = user_to_create(request);
	user_resolve(&user, &profile_id);
	attributes_apply(&user, &profile_id, attributes);
	v2_profile_after(response, &user);
}

/* PATCH */
static void
update_profile(HttpRequest *request, HttpResponse *response)
{
	Jsonb	   *attributes = request_attributes(request);
	UserRef		user = request_user(request);
	pg_uuid_t	profile_id;

	refuse_unless_writable(request->fcinfo);
	user_resolve(&user, &profile_id);
	attributes_apply(&user, &profile_id, attributes);
	v2_profile_after(response, &user);
}

/* DELETE */
static void
delete_profile(HttpRequest *request, HttpResponse *response)
{
	UserRef		user = request_user(request);

	(void) call_for_user(request, &user, BY_USER(delete_profile), 0, NULL, NULL);
	response->status = 204;
}

HTTP_HANDLER(v2_get_profile, HTTP_OWN_PROFILE, get_profile);
HTTP_HANDLER(v2_create_profile, HTTP_SERVER, create_profile);
HTTP_HANDLER(v2_update_profile, HTTP_OWN_PROFILE, update_profile);
HTTP_HANDLER(v2_delete_profile, HTTP_SERVER, delete_profile);
