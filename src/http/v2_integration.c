/*
 * v2_integration.c
 *		/api/v2/server-side-api/integration/profile/set/integration-identifiers/
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/jsonb_build.h"
#include "domain/attributes.h"
#include "domain/identity.h"
#include "domain/sql_functions.h"
#include "http/handler.h"
#include "http/json_shape.h"

/* In the order of the documentation's example. */
static const JsonShape identifiers_shape[] = {
	MEMBER("facebook_anonymous_id"), MEMBER("amplitude_user_id"), MEMBER("amplitude_device_id"), MEMBER("mixpanel_user_id"),
	MEMBER("appmetrica_profile_id"), MEMBER("appmetrica_device_id"), MEMBER("one_signal_player_id"),
	MEMBER("one_signal_subscription_id"), MEMBER("pushwoosh_hwid"), MEMBER("firebase_app_instance_id"),
	MEMBER("airbridge_device_id"), MEMBER("appsflyer_id"), MEMBER("branch_id"), MEMBER("adjust_device_id"),
	MEMBER("tenjin_analytics_installation_id"), MEMBER("posthog_distinct_user_id"), END_OF_MEMBERS
};

/* GET */
static void
get_identifiers(HttpRequest *request, HttpResponse *response)
{
	UserRef		user = request_user(request);
	Datum		identifiers = call_for_user(request, &user, BY_USER(get_integration_identifiers), 0, NULL, NULL);

	json_write_shaped(&response->body, DatumGetJsonbP(identifiers), identifiers_shape);
}

/* POST: those that are given are set, null clears; the answer is blank. */
static void
set_identifiers(HttpRequest *request, HttpResponse *response)
{
	Jsonb	   *identifiers = json_keep_known(request_object(request, false), identifiers_shape);
	UserRef		user = request_user(request);
	pg_uuid_t	profile_id;
	JsonbBuild	jb;

	(void) response;
	refuse_unless_writable(request->fcinfo);
	if (JB_ROOT_COUNT(identifiers) == 0)
		ereport(ERROR,
				(condition_errcode(COND_VALIDATION),
				 errmsg("At least one integration identifier must be provided.")));
	user_resolve(&user, &profile_id);
	jb_init(&jb);
	jb_begin_object(&jb);
	jb_key(&jb, "integration_identifiers");
	jb_jsonb(&jb, identifiers);
	jb_end_object(&jb);
	attributes_apply(&user, &profile_id, jb_finish(&jb));
}

HTTP_HANDLER(v2_get_integration_identifiers, HTTP_OWN_PROFILE, get_identifiers,
			 .no_profile = COND_PROFILE_NOT_FOUND);
HTTP_HANDLER(v2_set_integration_identifiers, HTTP_OWN_PROFILE, set_identifiers,
			 .no_profile = COND_PROFILE_NOT_FOUND);
