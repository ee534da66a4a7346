/*
 * v1_profile.c
 *		/api/v1/sdk/profiles/: create, get (and extended), update, delete, as version 1 of the API has them.
 *
 * Version 1 shows the same facts by other names, levels and products as keys, times with "+0000".
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "base/caller.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/json_fields.h"
#include "base/jsonb_build.h"
#include "base/plans.h"
#include "base/url.h"
#include "domain/attributes.h"
#include "domain/identity.h"
#include "domain/profile.h"
#include "domain/sql_functions.h"
#include "http/handler.h"
#include "http/json_shape.h"
#include "http/v1_body.h"

#define SEGMENT_USER 4			/* /api/v1/sdk/profiles/{user}/ */

/* A time of version 1; null for null. */
#define V1_TIME(t) "pg_catalog.to_char(" t " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+0000\"')"

/* The offer of a purchase as version 1 splits it; t is the table's alias. */
#define V1_OFFER(t) \
	"'active_introductory_offer_type', CASE WHEN " t ".offer_category = 'introductory' THEN " t ".offer_type END," \
	"'active_promotional_offer_type', CASE WHEN " t ".offer_category <> 'introductory' THEN " t ".offer_type END," \
	"'active_promotional_offer_id', CASE WHEN " t ".offer_category <> 'introductory' THEN " t ".offer_id END," \
	"'cancellation_reason', " t ".cancellation_reason"

/*
 * json keeps the order of the keys.  $2 is the moment by the caller's clock, $3 whether the answer is
 * extended.  Of several subscriptions to one product the newest is shown, as the product is the key.
 */
static SavedPlan build_v1_profile = {
	"build profile of version 1",
	"SELECT pg_catalog.json_build_object("
	" 'app_id', $4, 'profile_id', p.profile_id,"
	" 'customer_user_id', (SELECT i.customer_user_id FROM adapty.identities i WHERE i.profile_id = $1),"
	" 'paid_access_levels', (SELECT pg_catalog.json_object_agg(l.access_level_id, pg_catalog.json_build_object("
	"   'id', l.access_level_id, 'is_active', l.is_active, 'is_lifetime', l.is_lifetime,"
	"   'expires_at', " V1_TIME("l.expires_at") ", 'starts_at', " V1_TIME("l.starts_at") ","
	"   'will_renew', l.will_renew,"
	"   'vendor_product_id', coalesce(l.store_product_id, 'adapty_server_side_product'),"
	"   'base_plan_id', l.store_base_plan_id, 'vendor_transaction_id', l.store_transaction_id,"
	"   'vendor_original_transaction_id', l.store_original_transaction_id, 'store', l.store,"
	"   'activated_at', " V1_TIME("coalesce(l.originally_purchased_at, l.starts_at)") ","
	"   'renewed_at', " V1_TIME("coalesce(l.purchased_at, l.starts_at)") ","
	"   'unsubscribed_at', " V1_TIME("l.renewal_cancelled_at") ","
	"   'billing_issue_detected_at', " V1_TIME("l.billing_issue_detected_at") ","
	"   'is_in_grace_period', l.is_in_grace_period, " V1_OFFER("l") ") ORDER BY l.access_level_id COLLATE \"C\")"
	"  FROM adapty.profile_access_levels l WHERE l.profile_id = $1),"
	" 'subscriptions', (SELECT pg_catalog.json_object_agg(s.store_product_id, s.shown ORDER BY s.store_product_id COLLATE \"C\")"
	"  FROM (SELECT DISTINCT ON (s.store_product_id) s.store_product_id, pg_catalog.json_build_object("
	"    'is_active', c.at < coalesce(s.refunded_at, greatest(s.expires_at, s.grace_period_expires_at)),"
	"    'is_lifetime', false, 'expires_at', " V1_TIME("s.expires_at") ", 'starts_at', NULL::text,"
	"    'will_renew', s.renew_status AND s.refunded_at IS NULL, 'vendor_product_id', s.store_product_id,"
	"    'base_plan_id', nullif(s.store_base_plan_id, ''), 'vendor_transaction_id', s.store_transaction_id,"
	"    'vendor_original_transaction_id', s.store_original_transaction_id, 'store', s.store,"
	"    'activated_at', " V1_TIME("s.originally_purchased_at") ", 'renewed_at', " V1_TIME("s.purchased_at") ","
	"    'unsubscribed_at', " V1_TIME("s.renewal_cancelled_at") ","
	"    'billing_issue_detected_at', " V1_TIME("s.billing_issue_detected_at") ","
	"    'is_in_grace_period', s.grace_period_expires_at IS NOT NULL AND c.at >= s.expires_at AND c.at < s.grace_period_expires_at,"
	"    " V1_OFFER("s") ", 'is_sandbox', s.environment = 'Sandbox') AS shown"
	"   FROM adapty.subscriptions s WHERE s.profile_id = $1"
	"   ORDER BY s.store_product_id, s.purchased_at DESC, s.store_original_transaction_id) s),"
	" 'non_subscriptions', (SELECT pg_catalog.json_object_agg(n.store_product_id, n.shown ORDER BY n.store_product_id COLLATE \"C\")"
	"  FROM (SELECT t.store_product_id, pg_catalog.json_agg(pg_catalog.json_build_object("
	"    'purchase_id', t.purchase_id, 'vendor_product_id', t.store_product_id,"
	"    'base_plan_id', nullif(t.store_base_plan_id, ''), 'vendor_transaction_id', t.store_transaction_id,"
	"    'vendor_original_transaction_id', t.store_original_transaction_id, 'store', t.store,"
	"    'purchased_at', " V1_TIME("t.purchased_at") ","
	"    'is_one_time', coalesce((SELECT d.period = 'consumable' FROM adapty.products d WHERE d.product_id = t.product_id), false),"
	"    'is_sandbox', t.environment = 'Sandbox', 'is_refund', t.refunded_at IS NOT NULL)"
	"    ORDER BY t.purchased_at, t.store_transaction_id COLLATE \"C\") AS shown"
	"   FROM adapty.transactions t WHERE t.profile_id = $1 AND t.purchase_type = 'one_time_purchase'"
	"   GROUP BY t.store_product_id) n))::text,"
	" CASE WHEN $3 THEN (SELECT pg_catalog.json_build_object("
	"   'created_at', " V1_TIME("p.created_at") ", 'email', p.email, 'phone_number', p.phone_number,"
	"   'att_status', p.att_status, 'first_name', p.first_name, 'last_name', p.last_name, 'username', NULL::text,"
	"   'gender', p.gender, 'birthday', pg_catalog.to_char(p.birthday, 'YYYY-MM-DD'), 'idfa', d.idfa, 'idfv', d.idfv,"
	"   'advertising_id', d.advertising_id, 'appsflyer_id', i.ids ->> 'appsflyer_id',"
	"   'amplitude_user_id', i.ids ->> 'amplitude_user_id', 'amplitude_device_id', i.ids ->> 'amplitude_device_id',"
	"   'mixpanel_user_id', i.ids ->> 'mixpanel_user_id', 'appmetrica_profile_id', i.ids ->> 'appmetrica_profile_id',"
	"   'appmetrica_device_id', i.ids ->> 'appmetrica_device_id', 'facebook_anonymous_id', i.ids ->> 'facebook_anonymous_id')"
	"  FROM (SELECT pg_catalog.jsonb_object_agg(n.name, n.value) AS ids FROM adapty.integration_identifiers n"
	"    WHERE n.profile_id = $1) i"
	"  LEFT JOIN LATERAL (SELECT v.* FROM adapty.installations v WHERE v.profile_id = $1"
	"    ORDER BY v.updated_at DESC, v.device_id LIMIT 1) d ON true)::text END"
	" FROM adapty.profiles p, LATERAL (SELECT $2 + pg_catalog.make_interval(secs =>"
	"   coalesce(p.test_clock_offset, 0) / 1000000.0) AS at) c"
	" WHERE p.profile_id = $1",
	SPI_OK_SELECT, 4, {UUIDOID, TIMESTAMPTZOID, BOOLOID, UUIDOID}, NULL, InvalidOid
};

/* What PATCH and POST take; the rest is ignored. */
static const JsonShape request_shape[] = {
	MEMBER("ip_country"), MEMBER("email"), MEMBER("phone_number"), MEMBER("first_name"), MEMBER("last_name"),
	MEMBER("gender"), MEMBER("birthday"), MEMBER("custom_attributes"), END_OF_MEMBERS
};

/* Does the query say that the id in the path is Base64URL? */
static bool
is_base64url(HttpRequest *request)
{
	char	   *flag = request_query(request, "is_user_id_base64url_encoded");

	return flag != NULL && (strcmp(flag, "1") == 0 || pg_strcasecmp(flag, "true") == 0);
}

/* See v1_body.h. */
UserRef
v1_path_user(HttpRequest *request)
{
	char	   *id = request_segment(request, SEGMENT_USER);
	UserRef		user = {0};
	pg_uuid_t	own;

	if (id != NULL && is_base64url(request))
		id = base64url_decode(id);
	if (id == NULL)
		ereport(ERROR,
				(condition_errcode(COND_VALIDATION),
				 errmsg("the id of the user in the path is not valid"),
				 errdetail("It must be percent-encoded UTF-8, or Base64URL with is_user_id_base64url_encoded=1.")));
	if (parse_uuid(id, &user.profile_id) &&
		(caller_is_limited() ? caller_profile_id(&own) && memcmp(&own, &user.profile_id, UUID_LEN) == 0 :
		 profile_exists(&user.profile_id)))
		return user;
	user.customer_user_id = cstring_to_text(id);
	check_customer_user_id(user.customer_user_id);
	return user;
}

/* See v1_body.h. */
void
v1_profile_body(HttpResponse *response, const UserRef *user, bool extended, bool as_of_snapshot)
{
	pg_uuid_t	profile_id;
	pg_uuid_t	app;
	ApiScope	scope;
	Datum		args[4];
	char	   *profile;
	char	   *more;

	user_check_caller(user);
	if (as_of_snapshot ? !user_lookup(user, NULL, &profile_id) : (user_resolve(user, &profile_id), false))
		profile_not_found(user);
	app_id(&app);
	args[0] = UUIDPGetDatum(&profile_id);
	args[1] = TimestampTzGetDatum(clock_read_now());
	args[2] = BoolGetDatum(extended);
	args[3] = UUIDPGetDatum(&app);
	scope_enter(&scope);
	if (plan_execute(&build_v1_profile, args, NULL, as_of_snapshot) == 0)
		profile_not_found(user);
	profile = scope_copy_text(&scope, 0, 1);
	more = scope_copy_text(&scope, 0, 2);
	scope_leave(&scope);
	/* Two objects become one: the end of the first and the beginning of the second go. */
	if (more != NULL)
		profile[strlen(profile) - 1] = '\0';
	appendStringInfo(&response->body, "{\"data\":%s%s%s}", profile, more != NULL ? "," : "",
					 more != NULL ? more + 1 : "");
}

/* GET; "extended" in the query, whatever its value, adds the attributes. */
static void
get_profile(HttpRequest *request, HttpResponse *response)
{
	UserRef		user = v1_path_user(request);

	v1_profile_body(response, &user, request_query(request, "extended") != NULL, true);
}

/* POST: an id that is known is found. */
static void
create_profile(HttpRequest *request, HttpResponse *response)
{
	JsonFields	body = {.object = request_object(request, false), .prefix = ""};
	UserRef		user = {0};
	pg_uuid_t	profile_id;

	refuse_unless_writable(request->fcinfo);
	user.customer_user_id = cstring_to_text(field_text(&body, "customer_user_id", true, MAX_CUSTOMER_USER_ID));
	user_resolve_or_create(&user, true, &profile_id);
	attributes_apply(&user, &profile_id, json_keep_known(body.object, request_shape));
	v1_profile_body(response, &user, false, false);
}

/* PATCH */
static void
update_profile(HttpRequest *request, HttpResponse *response)
{
	Jsonb	   *attributes = json_keep_known(request_object(request, false), request_shape);
	UserRef		user = v1_path_user(request);
	pg_uuid_t	profile_id;

	refuse_unless_writable(request->fcinfo);
	user_resolve(&user, &profile_id);
	attributes_apply(&user, &profile_id, attributes);
	v1_profile_body(response, &user, false, false);
}

/* DELETE .../delete/ */
static void
delete_profile(HttpRequest *request, HttpResponse *response)
{
	UserRef		user = v1_path_user(request);

	(void) call_for_user(request, &user, BY_USER(delete_profile), 0, NULL, NULL);
	response->status = 204;
}

HTTP_HANDLER(v1_get_profile, HTTP_OWN_PROFILE, get_profile);
HTTP_HANDLER(v1_create_profile, HTTP_SERVER, create_profile);
HTTP_HANDLER(v1_update_profile, HTTP_OWN_PROFILE, update_profile);
HTTP_HANDLER(v1_delete_profile, HTTP_SERVER, delete_profile);
