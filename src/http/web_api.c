/*
 * web_api.c
 *		/api/v2/web-api/: what a web page does with a public key: the paywall to show, that it was shown,
 *		and which campaign brought the user.
 *
 * A public key says nothing of who sends it.  For these three requests alone the user that the body
 * names counts as the caller's own, as in Adapty's API: they tell nothing of a user but what to show.
 * A token keeps its caller to its own user here too.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"

#include "base/caller.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/json_fields.h"
#include "base/jsonb_build.h"
#include "domain/attributes.h"
#include "domain/identity.h"
#include "domain/sql_functions.h"
#include "http/handler.h"
#include "http/json_shape.h"

#define MAX_STORE 64			/* characters */
#define MAX_PLACEMENT_ID 255
#define MAX_LOCALE 64
#define ATTRIBUTION_SOURCE "custom"

static const JsonShape offer_shape[] = {MEMBER("category"), MEMBER("type"), MEMBER("id"), END_OF_MEMBERS};

static const JsonShape product_shape[] = {
	MEMBER("title"), MEMBER("is_consumable"), MEMBER("adapty_product_id"), MEMBER("vendor_product_id"),
	MEMBER("introductory_offer_eligibility"), MEMBER("promotional_offer_eligibility"),
	MEMBER("base_plan_id"), MEMBER("offer", .members = offer_shape), END_OF_MEMBERS
};

static const JsonShape config_shape[] = {MEMBER("lang"), MEMBER("data"), END_OF_MEMBERS};

static const JsonShape paywall_shape[] = {
	MEMBER("placement_id"), MEMBER("variation_id"), MEMBER("paywall_id"), MEMBER("ab_test_name"),
	MEMBER("paywall_name"), MEMBER("products", .members = product_shape),
	MEMBER("remote_config", .members = config_shape), END_OF_MEMBERS
};

/* The user that the body names, who is the caller's own if it comes with a public key. */
static UserRef
body_user(const JsonFields *body)
{
	char	   *customer_user_id = field_text(body, "customer_user_id", false, MAX_CUSTOMER_USER_ID);
	char	   *profile_id = field_text(body, "profile_id", false, MAX_CUSTOMER_USER_ID);
	const char *claim = customer_user_id != NULL ? "customer_user_id" : "profile_id";
	UserRef		user = {0};

	if (customer_user_id == NULL && profile_id == NULL)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("Either customer_user_id or profile_id is required")));
	if (customer_user_id != NULL)
		user.customer_user_id = cstring_to_text(customer_user_id);
	else if (!parse_uuid(profile_id, &user.profile_id))
		ereport(ERROR,
				(condition_errcode(COND_PROFILE_DOES_NOT_EXIST),
				 errmsg("profile_id \"%s\" is not a UUID", profile_id)));
	if (caller_is_limited() && caller_api_key() != NULL)
	{
		StringInfoData claims;

		initStringInfo(&claims);
		appendStringInfo(&claims, "{\"%s\":", claim);
		escape_json(&claims, customer_user_id != NULL ? customer_user_id : profile_id);
		appendStringInfoChar(&claims, '}');
		(void) set_config_option("request.jwt.claims", claims.data, PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_LOCAL, true, 0, false);
	}
	return user;
}

/* The paywall that a placement shows the user; that it is shown is told by another request. */
static void
get_paywall(HttpRequest *request, HttpResponse *response)
{
	JsonFields	body = {.object = request_object(request, false), .prefix = ""};
	char	   *store = field_text(&body, "store", true, MAX_STORE);
	char	   *placement = field_text(&body, "placement_id", true, MAX_PLACEMENT_ID);
	char	   *locale = field_text(&body, "locale", false, MAX_LOCALE);
	UserRef		user = body_user(&body);
	/* placement_id, locale, store, record_view */
	Datum		args[4] = {CStringGetTextDatum(placement)};
	char		nulls[5] = "    ";

	nulls[1] = locale != NULL ? ' ' : 'n';
	args[1] = locale != NULL ? CStringGetTextDatum(locale) : (Datum) 0;
	args[2] = CStringGetTextDatum(store);
	args[3] = BoolGetDatum(false);
	json_write_shaped(&response->body,
					  DatumGetJsonbP(call_for_user(request, &user, BY_USER(get_paywall), 4, args, nulls)),
					  paywall_shape);
}

/* That a variation was shown. */
static void
record_paywall_view(HttpRequest *request, HttpResponse *response)
{
	JsonFields	body = {.object = request_object(request, false), .prefix = ""};
	char	   *variation = field_text(&body, "variation_id", true, MAX_CUSTOMER_USER_ID);
	TimestampTz visited_at = 0;
	bool		has_moment = field_timestamp(&body, "visited_at", false, &visited_at);
	UserRef		user;
	pg_uuid_t	variation_id;
	/* variation_id, viewed_at */
	Datum		args[2] = {UUIDPGetDatum(&variation_id), TimestampTzGetDatum(visited_at)};

	(void) field_text(&body, "store", true, MAX_STORE);
	if (!parse_uuid(variation, &variation_id))
		field_error(&body, "variation_id", variation, "The value must be a UUID.");
	user = body_user(&body);
	(void) call_for_user(request, &user, BY_USER(record_paywall_view), 2, args, has_moment ? "  " : " n");
	response->status = 201;
}

/* Which campaign brought the user: replaces what was said before. */
static void
add_attribution(HttpRequest *request, HttpResponse *response)
{
	static const char *const statuses[] = {"organic", "non_organic", "unknown", NULL};
	static const char *const fields[][2] = {
		{"attribution_user_id", "network_user_id"}, {"channel", "channel"}, {"campaign", "campaign"},
		{"ad_group", "ad_group"}, {"ad_set", "ad_set"}, {"creative", "creative"}
	};
	JsonFields	body = {.object = request_object(request, false), .prefix = ""};
	const char *status = field_choice(&body, "status", true, statuses);
	UserRef		user = body_user(&body);
	pg_uuid_t	profile_id;
	JsonbBuild	jb;

	refuse_unless_writable(request->fcinfo);
	jb_init(&jb);
	jb_begin_object(&jb);
	jb_key(&jb, "attributions");
	jb_begin_object(&jb);
	jb_key(&jb, ATTRIBUTION_SOURCE);
	jb_begin_object(&jb);
	jb_key(&jb, "status");
	jb_string(&jb, status);
	for (int i = 0; i < (int) lengthof(fields); i++)
	{
		jb_key(&jb, fields[i][1]);
		jb_string(&jb, field_text(&body, fields[i][0], false, 255));
	}
	jb_end_object(&jb);
	jb_end_object(&jb);
	jb_end_object(&jb);
	user_resolve(&user, &profile_id);
	attributes_apply(&user, &profile_id, jb_finish(&jb));
	response->status = 201;
}

HTTP_HANDLER(web_get_paywall, HTTP_PUBLIC, get_paywall);
HTTP_HANDLER(web_record_paywall_view, HTTP_PUBLIC, record_paywall_view);
HTTP_HANDLER(web_add_attribution, HTTP_PUBLIC, add_attribution);
