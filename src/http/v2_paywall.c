/*
 * v2_paywall.c
 *		/api/v2/server-side-api/paywalls/ and .../paywalls/{paywall_id}/
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "base/arg.h"
#include "base/compat.h"
#include "base/errors.h"
#include "domain/sql_functions.h"
#include "http/handler.h"
#include "http/json_shape.h"

#define SEGMENT_PAYWALL_ID 4	/* /api/v2/server-side-api/paywalls/{paywall_id}/ */
#define MAX_PAGE_NUMBER 1000000000

static const JsonShape offer_shape[] = {MEMBER("product_offer_id"), MEMBER("title"), END_OF_MEMBERS};

static const JsonShape product_shape[] = {
	MEMBER("product_id"), MEMBER("title"), MEMBER("product_set"), MEMBER("offer", .members = offer_shape),
	END_OF_MEMBERS
};

static const JsonShape config_shape[] = {MEMBER("locale"), MEMBER("data"), END_OF_MEMBERS};

static const JsonShape screenshot_shape[] = {MEMBER("image_id"), MEMBER("url"), END_OF_MEMBERS};

/* In the order of the documentation; remote_configs and main_screenshot are not in lists. */
static const JsonShape paywall_shape[] = {
	MEMBER("title"), MEMBER("paywall_id"), MEMBER("use_paywall_builder"), MEMBER("use_paywall_builder_legacy"),
	MEMBER_TIME("updated_at"), MEMBER_TIME("created_at"), MEMBER("state"), MEMBER("is_deleted"),
	MEMBER("web_purchase_url"), MEMBER("products", .members = product_shape),
	MEMBER("remote_configs", .members = config_shape),
	MEMBER("main_screenshot", .members = screenshot_shape), END_OF_MEMBERS
};

static const JsonShape pagination_shape[] = {MEMBER("count"), MEMBER("page"), MEMBER("pages"), END_OF_MEMBERS};

static const JsonShape meta_shape[] = {MEMBER("pagination", .members = pagination_shape), END_OF_MEMBERS};

static const JsonShape list_shape[] = {
	MEMBER("data", .members = paywall_shape), MEMBER("meta", .members = meta_shape), END_OF_MEMBERS
};

static const JsonShape update_shape[] = {
	MEMBER("remote_configs", .members = config_shape), END_OF_MEMBERS
};

/* A number of the query, 1 to max; ERROR (validation_error) in the documentation's words. */
static int32
query_number(HttpRequest *request, const char *parameter, const char *name, int32 none, int32 max)
{
	char	   *text = request_query(request, parameter);
	int64		value = 0;

	if (text == NULL)
		return none;
	for (const char *c = text; *c != '\0' && value <= max; c++)
		value = *c >= '0' && *c <= '9' ? value * 10 + (*c - '0') : (int64) max + 1;
	if (value < 1 || value > max)
		ereport(ERROR,
				(condition_errcode(COND_VALIDATION),
				 errmsg("Invalid %s parameter. Must be between 1 and %d.", name, max),
				 err_generic_string(PG_DIAG_COLUMN_NAME, name)));
	return (int32) value;
}

/* The paywall that the path names: ERROR (paywall_does_not_exist) if that is no UUID, as none has it. */
static pg_uuid_t *
path_paywall(HttpRequest *request)
{
	char	   *text = request_segment(request, SEGMENT_PAYWALL_ID);
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	if (text == NULL || !parse_uuid(text, id))
		ereport(ERROR,
				(condition_errcode(COND_PAYWALL_DOES_NOT_EXIST),
				 errmsg("paywall \"%s\" does not exist", text == NULL ? "" : text)));
	return id;
}

/* GET, the list */
static void
list_paywalls(HttpRequest *request, HttpResponse *response)
{
	Datum		args[2];

	args[0] = Int32GetDatum(query_number(request, "page[number]", "page_number", 1, MAX_PAGE_NUMBER));
	args[1] = Int32GetDatum(query_number(request, "page[size]", "page_size", 20, 100));
	json_write_shaped(&response->body,
					  DatumGetJsonbP(call_function(request, adapty_list_paywalls, 2, args)), list_shape);
}

/* GET, one */
static void
get_paywall(HttpRequest *request, HttpResponse *response)
{
	Datum		args[1] = {UUIDPGetDatum(path_paywall(request))};

	json_write_shaped(&response->body,
					  DatumGetJsonbP(call_function(request, adapty_show_paywall, 1, args)), paywall_shape);
}

/* PUT: the remote configs become those of the request. */
static void
update_paywall(HttpRequest *request, HttpResponse *response)
{
	Jsonb	   *body = json_keep_known(request_object(request, false), update_shape);
	Datum		args[2];

	if (JB_ROOT_COUNT(body) == 0)
		ereport(ERROR,
				(condition_errcode(COND_VALIDATION),
				 errmsg("At least one field must be provided"),
				 err_generic_string(PG_DIAG_COLUMN_NAME, "remote_configs")));
	args[0] = UUIDPGetDatum(path_paywall(request));
	args[1] = JsonbPGetDatum(body);
	json_write_shaped(&response->body,
					  DatumGetJsonbP(call_function(request, adapty_update_paywall, 2, args)), paywall_shape);
}

HTTP_HANDLER(v2_list_paywalls, HTTP_SERVER, list_paywalls);
HTTP_HANDLER(v2_get_paywall, HTTP_SERVER, get_paywall);
HTTP_HANDLER(v2_update_paywall, HTTP_SERVER, update_paywall);
