/*
 * v2_currency.c
 *		/api/v2/server-side-api/vc/transactions/ and .../vc/balances/
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/errors.h"
#include "base/jsonb_build.h"
#include "domain/currency_ledger.h"
#include "domain/identity.h"
#include "domain/sql_functions.h"
#include "http/handler.h"
#include "http/json_shape.h"

static const JsonShape request_item[] = {MEMBER("currency_code"), MEMBER("amount"), END_OF_MEMBERS};

static const JsonShape request_shape[] = {
	MEMBER("items", .members = request_item), MEMBER("metadata"), END_OF_MEMBERS
};

static const JsonShape balance_shape[] = {
	MEMBER("code"), MEMBER("name"), MEMBER("balance"), MEMBER("held"), MEMBER("available"), END_OF_MEMBERS
};

static const JsonShape transaction_shape[] = {
	MEMBER("transaction_id"), MEMBER("balances", .members = balance_shape), END_OF_MEMBERS
};

static const JsonShape change_shape[] = {
	MEMBER("currency_code"), MEMBER("amount"), MEMBER("balance_after"), END_OF_MEMBERS
};

static const JsonShape entry_shape[] = {
	MEMBER("transaction_id"), MEMBER("transaction_type"), MEMBER("items", .members = change_shape),
	MEMBER("metadata"), MEMBER_TIME("created_at"), END_OF_MEMBERS
};

static const JsonShape pagination_shape[] = {MEMBER("next_cursor"), END_OF_MEMBERS};

static const JsonShape history_shape[] = {
	MEMBER("data", .members = entry_shape), MEMBER("pagination", .members = pagination_shape), END_OF_MEMBERS
};

/* The Idempotency-Key, a UUID of version 4; NULL if there is none.  One spelling stands for all. */
static char *
idempotency_key(const HttpRequest *request)
{
	pg_uuid_t	uuid;

	if (request->idempotency_key == NULL)
		return NULL;
	if (!parse_uuid(request->idempotency_key, &uuid) || uuid.data[6] >> 4 != 4 || uuid.data[8] >> 6 != 2)
		ereport(ERROR,
				(condition_errcode(COND_IDEMPOTENCY_KEY_INVALID),
				 errmsg("Idempotency-Key \"%s\" is not a UUID of version 4", request->idempotency_key),
				 err_generic_string(PG_DIAG_COLUMN_NAME, "Idempotency-Key")));
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&uuid)));
}

/* A member of the body as jsonb; NULL if it is not there. */
static Jsonb *
body_member(Jsonb *body, const char *name)
{
	JsonbValue *value = jsonb_object_get(body, name);

	return value == NULL ? NULL : JsonbValueToJsonb(value);
}

/* POST transactions: credits and spends, all items or none. */
static void
create_transaction(HttpRequest *request, HttpResponse *response)
{
	Jsonb	   *body = json_keep_known(request_object(request, false), request_shape);
	Jsonb	   *items = body_member(body, "items");
	Jsonb	   *metadata = body_member(body, "metadata");
	char	   *key = idempotency_key(request);
	UserRef		user = request_user(request);
	Datum		args[3];
	char		nulls[] = "   ";
	Datum		made;

	if (items == NULL)
		ereport(ERROR,
				(condition_errcode(COND_CURRENCY_REQUEST),
				 errmsg("items is missing"),
				 err_generic_string(PG_DIAG_COLUMN_NAME, "items")));
	args[0] = JsonbPGetDatum(items);
	args[1] = JsonbPGetDatum(metadata);
	args[2] = key == NULL ? (Datum) 0 : CStringGetTextDatum(key);
	nulls[1] = metadata == NULL ? 'n' : ' ';
	nulls[2] = key == NULL ? 'n' : ' ';
	made = call_for_user(request, &user, BY_USER(create_virtual_currency_transaction), 3, args, nulls);
	json_write_shaped(&response->body, DatumGetJsonbP(made), transaction_shape);
}

/* The query parameter limit as a number; 0 if it is not there, -1 if it is none. */
static int32
query_limit(HttpRequest *request)
{
	char	   *text = request_query(request, "limit");

	if (text == NULL || text[0] == '\0')
		return 0;
	if (strlen(text) > 4 || strspn(text, "0123456789") != strlen(text))
		return -1;
	return pg_strtoint32(text);
}

/* GET transactions: a page of the history, newest first. */
static void
get_transactions(HttpRequest *request, HttpResponse *response)
{
	char	   *code = request_query(request, "currency_code");
	char	   *cursor = request_query(request, "cursor");
	char	   *limit = request_query(request, "limit");
	bool		has_code = code != NULL && code[0] != '\0';
	bool		has_cursor = cursor != NULL && cursor[0] != '\0';
	bool		has_limit = limit != NULL && limit[0] != '\0';
	UserRef		user = request_user(request);
	Datum		args[3];
	char		nulls[] = "   ";
	Datum		page;

	args[0] = has_code ? CStringGetTextDatum(code) : (Datum) 0;
	args[1] = Int32GetDatum(query_limit(request));
	args[2] = has_cursor ? CStringGetTextDatum(cursor) : (Datum) 0;
	nulls[0] = has_code ? ' ' : 'n';
	nulls[1] = has_limit ? ' ' : 'n';
	nulls[2] = has_cursor ? ' ' : 'n';
	page = call_for_user(request, &user, BY_USER(get_virtual_currency_transactions), 3, args, nulls);
	json_write_shaped(&response->body, DatumGetJsonbP(page), history_shape);
}

/* GET balances: every currency of the app, 0 included. */
static void
get_balances(HttpRequest *request, HttpResponse *response)
{
	UserRef		user = request_user(request);
	pg_uuid_t	profile_id;
	int64		since_2000;

	user_resolve(&user, &profile_id);
	since_2000 = GetCurrentTimestamp() / 1000;
	appendStringInfo(&response->body, "{\"response_created_at\":" INT64_FORMAT ",\"data\":",
					 since_2000 + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * INT64CONST(86400000));
	json_write_shaped(&response->body, currency_balances(&profile_id), balance_shape);
	appendStringInfoChar(&response->body, '}');
}

HTTP_HANDLER(v2_create_virtual_currency_transaction, HTTP_SERVER, create_transaction);
HTTP_HANDLER(v2_get_virtual_currency_transactions, HTTP_OWN_PROFILE, get_transactions);
HTTP_HANDLER(v2_get_virtual_currency_balances, HTTP_OWN_PROFILE, get_balances);
