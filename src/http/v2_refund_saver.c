/*
 * v2_refund_saver.c
 *		/api/v2/server-side-api/purchase/profile/refund-saver/settings/
 */
#include "postgres.h"

#include "fmgr.h"

#include "domain/sql_functions.h"
#include "http/handler.h"
#include "http/json_shape.h"

static const JsonShape settings_shape[] = {MEMBER("consent"), MEMBER("custom_preference"), END_OF_MEMBERS};

static const JsonShape response_shape[] = {MEMBER("profile_id"), MEMBER("settings", .members = settings_shape), END_OF_MEMBERS};

/* GET */
static void
get_settings(HttpRequest *request, HttpResponse *response)
{
	UserRef		user = request_user(request);
	Datum		settings = call_for_user(request, &user, BY_USER(get_refund_saver_settings), 0, NULL, NULL);

	json_write_shaped(&response->body, DatumGetJsonbP(settings), response_shape);
}

/* POST */
static void
set_settings(HttpRequest *request, HttpResponse *response)
{
	Jsonb	   *body = json_keep_known(request_object(request, false), settings_shape);
	UserRef		user = request_user(request);
	Datum		args[1] = {JsonbPGetDatum(body)};
	Datum		settings = call_for_user(request, &user, BY_USER(set_refund_saver_settings), 1, args, NULL);

	json_write_shaped(&response->body, DatumGetJsonbP(settings), response_shape);
}

HTTP_HANDLER(v2_get_refund_saver_settings, HTTP_OWN_PROFILE, get_settings,
			 .no_profile = COND_PROFILE_IN_REQUEST_DOES_NOT_EXIST);
HTTP_HANDLER(v2_set_refund_saver_settings, HTTP_OWN_PROFILE, set_settings,
			 .no_profile = COND_PROFILE_IN_REQUEST_DOES_NOT_EXIST);
