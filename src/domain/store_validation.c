/*
 * store_validation.c
 *		Asking a store for a purchase that a user names, and importing its history; the only writer of
 *		store_credentials.
 *
 * The store's objects become facts by the code that reads its events, and transactions by the same
 * rules: a purchase that was validated and one that a webhook told of are the same.  Everything is asked
 * for first, before a lock is taken or a row is written.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/arg.h"
#include "base/caller.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/guc.h"
#include "base/jsonb_build.h"
#include "base/plan_args.h"
#include "base/plans.h"
#include "domain/identity.h"
#include "domain/ingest_apply.h"
#include "domain/sql_functions.h"
#include "domain/store_validation.h"

#define MAX_SECRET 500			/* bytes */
#define MAX_BASE_URL 300		/* bytes */
#define MAX_TOKEN 255			/* bytes */
#define MAX_PAGES 40			/* of a list */

PG_FUNCTION_INFO_V1(adapty_set_store_credentials);

static SavedPlan credentials_plan = {
	.name = "credentials of a store",
	.sql = "SELECT c.secret, c.base_url FROM adapty.store_credentials c "
	"WHERE c.provider OPERATOR(pg_catalog.=) $1 AND c.environment OPERATOR(pg_catalog.=) $2::adapty.environment",
	.expected = SPI_OK_SELECT,
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

static SavedPlan put_credentials_plan = {
	.name = "new credentials of a store",
	.sql = "INSERT INTO adapty.store_credentials AS c (provider, environment, secret, base_url) "
	"VALUES ($1, $2::adapty.environment, $3, $4) ON CONFLICT (provider, environment) DO UPDATE "
	"SET secret = excluded.secret, base_url = excluded.base_url, updated_at = pg_catalog.now()",
	.expected = SPI_OK_INSERT,
	.nargs = 4,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, TEXTOID},
};

static SavedPlan drop_credentials_plan = {
	.name = "end of a store's credentials",
	.sql = "DELETE FROM adapty.store_credentials c WHERE c.provider OPERATOR(pg_catalog.=) $1 "
	"AND c.environment OPERATOR(pg_catalog.=) $2::adapty.environment",
	.expected = SPI_OK_DELETE,
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

/* ---- errors ---- */

/* See store_validation.h. */
void
validation_no_purchase(const StoreValidation *validation, const char *detail)
{
	ereport(ERROR,
			(condition_errcode(COND_NO_PRODUCTS_FOUND),
			 errmsg("No products found"),
			 errdetail("%s", detail),
			 err_generic_string(PG_DIAG_COLUMN_NAME, validation->store->argument)));
}

/* ERROR: the store refuses the key, or knows no such purchase. */
static void pg_attribute_noreturn()
report_not_found(const StoreValidation *validation, const char *detail, const char *hint)
{
	ereport(ERROR,
			(condition_errcode(validation->store->not_found),
			 errmsg("Invalid %s credentials or purchase not found", validation->store->title),
			 errdetail("%s", detail),
			 hint != NULL ? errhint("%s", hint) : 0,
			 err_generic_string(PG_DIAG_COLUMN_NAME, validation->store->argument)));
}

/* ERROR: an answer that is not what the store's documentation says.  Shows nothing of it. */
static void pg_attribute_noreturn()
report_senseless(const StoreValidation *validation, const char *detail)
{
	ereport(ERROR,
			(condition_errcode(COND_STORE_UNAVAILABLE),
			 errmsg("the answer of %s makes no sense", validation->store->title),
			 errdetail("%s", detail)));
}

/* ---- what the store says ---- */

/* May this stand in an address as it is? */
static bool
is_plain_id(const char *id)
{
	size_t		length = strlen(id);

	return length > 0 && length <= MAX_TOKEN &&
		strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == length;
}

/* See store_validation.h. */
const char *
validation_id_at(const StoreValidation *validation, JsonNode node, const char *path)
{
	char	   *id = json_id_at(node, path, MAX_TOKEN);

	if (id != NULL && !is_plain_id(id))
		report_senseless(validation, "An identifier has characters that none has.");
	return id;
}

/* See store_validation.h. */
JsonNode
validation_read(const StoreValidation *validation, const StoreAnswer *answer)
{
	const char *title = validation->store->title;
	Jsonb	   *document;

	if (answer->status == 401 || answer->status == 403)
		report_not_found(validation,
						 psprintf("%s refused the key of environment \"%s\" (status %d).", title,
								  validation->environment, answer->status),
						 "Set another one by adapty.set_store_credentials(), or let it read what docs/store-validation.md lists.");
	if (answer->status == 404)
		report_not_found(validation,
						 psprintf("%s knows no \"%s\" in environment \"%s\".", title, validation->token,
								  validation->environment), NULL);
	if (answer->status != 200)
		report_not_found(validation,
						 psprintf("%s refused the request for \"%s\" (status %d).", title,
								  validation->token, answer->status), NULL);
	document = ingest_parse(answer->body, answer->length);
	if (document == NULL || !JB_ROOT_IS_OBJECT(document))
		report_senseless(validation, "It is not a JSON object.");
	return json_root(document);
}

/* See store_validation.h. */
JsonNode
validation_read_object(const StoreValidation *validation, const StoreAnswer *answer, const char *path,
					   const char *id)
{
	JsonNode	root = validation_read(validation, answer);
	JsonNode	object = path[0] == '\0' ? root : json_at(root, path);

	if (!json_text_is(object, "id", id))
		report_senseless(validation, psprintf("It is not about \"%s\".", id));
	return object;
}

/* See store_validation.h. */
StoreObjectFound *
validation_note(StoreValidation *validation, JsonNode object, const char *type, TimestampTz moment)
{
	StoreObjectFound *found = palloc(sizeof(StoreObjectFound));

	found->object = object;
	found->type = type;
	found->moment = moment;
	found->refunded_at = NO_TIME;
	validation->objects = lappend(validation->objects, found);
	return found;
}

/* See store_validation.h. */
List *
validation_note_list(StoreValidation *validation, const StoreAnswer *first, const char *path,
					 const char *type)
{
	const ValidatedStore *store = validation->store;
	StoreAnswer answer = *first;
	List	   *elements = NIL;

	for (int page = 1;; page++)
	{
		JsonNode	root = validation_read(validation, &answer);
		JsonNode	array = json_at(root, store->elements_path);
		int			n = json_length_at(array, "");
		const char *last;
		const char *next;

		if (array == NULL)
			report_senseless(validation, "It is not a list.");
		for (int i = 0; i < n; i++)
		{
			elements = lappend(elements, unconstify(JsonbValue *, json_element(array, i)));
			if (type != NULL)
				(void) validation_note(validation, json_element(array, i), type, answer.moment);
		}
		if (n == 0 || !json_bool_at(root, store->more_path))
			return elements;
		last = validation_id_at(validation, json_element(array, n - 1), "id");
		if (last == NULL || page == MAX_PAGES)
			report_senseless(validation, last == NULL ? "An element of a list has no id." : "A list does not end.");
		next = psprintf("%s&%s=%s", path, store->after_parameter, last);
		store_fetch(&validation->server, &next, 1, &answer);
	}
}

/* ---- from objects to transactions ---- */

/* Is a refund of one of the payments? */
static bool
is_refund_of(const StoreRefund *refund, List *payments)
{
	ListCell   *cell;

	foreach(cell, payments)
	{
		const StorePayment *payment = lfirst(cell);

		if (refund->payment_id != NULL && strcmp(refund->payment_id, payment->id) == 0)
			return true;
		if (refund->payment_reference == NULL)
			continue;
		if (strcmp(refund->payment_reference, payment->id) == 0)
			return true;
		for (int i = 0; i < payment->n_references; i++)
			if (strcmp(refund->payment_reference, payment->references[i]) == 0)
				return true;
	}
	return false;
}

/* The facts of one object; NULL if it says nothing about purchases. */
static IngestFacts *
read_facts(const StoreValidation *validation, const StoreObjectFound *found)
{
	IngestFacts *facts = palloc(sizeof(IngestFacts));

	ingest_init_facts(facts, validation->store->provider->name);
	facts->environment = validation->environment;
	facts->event_id = validation->token;
	facts->occurred_at = found->moment;
	validation->store->provider->read_object(found->object, found->type, facts);
	/* who asks says whose it is */
	facts->customer_user_id = NULL;
	if (facts->n_refunds > 0 && HAS_TIME(found->refunded_at))
		facts->refunds[0].refunded_at = found->refunded_at;
	if (facts->ignored == NULL)
		return facts;
	pfree(facts);
	return NULL;
}

/* What all objects say: ERROR if that is no purchase. */
static List *
read_all_facts(const StoreValidation *validation)
{
	List	   *all = NIL;
	List	   *payments = NIL;
	bool		is_incomplete = false;
	bool		is_purchase = false;
	ListCell   *cell;

	foreach(cell, validation->objects)
	{
		IngestFacts *facts = read_facts(validation, lfirst(cell));

		if (facts == NULL)
			continue;
		is_incomplete |= facts->has_subscription && facts->subscription.status == STORE_INCOMPLETE;
		for (int i = 0; i < facts->n_payments; i++)
		{
			StorePayment *payment = &facts->payments[i];

			payments = lappend(payments, payment);
			is_purchase |= payment->product_id != NULL &&
				(payment->status == PAYMENT_PAID || payment->status == PAYMENT_OPEN);
		}
		/* the list of a customer's charges tells of other purchases, too */
		if (facts->n_refunds > 0 && !is_refund_of(&facts->refunds[0], payments))
			continue;
		all = lappend(all, facts);
	}
	if (!is_purchase || is_incomplete)
		validation_no_purchase(validation,
							   psprintf("Nothing that \"%s\" stands for is paid, or billed, and names a product.", validation->token));
	return all;
}

/* What the caller gets to know. */
static Jsonb *
result_json(const StoreValidation *validation, const IngestResult *result)
{
	JsonbBuild	jb;
	ListCell   *cell;

	jb_init(&jb);
	jb_begin_object(&jb);
	jb_key(&jb, "environment");
	jb_string(&jb, validation->environment);
	jb_key(&jb, "profile_id");
	jb_uuid(&jb, &result->profile_id);
	jb_key(&jb, "transactions");
	jb_begin_array(&jb);
	foreach(cell, result->transactions)
		jb_string(&jb, lfirst(cell));
	jb_end_array(&jb);
	jb_key(&jb, "detail");
	jb_string(&jb, result->detail);
	jb_end_object(&jb);
	return jb_finish(&jb);
}

/* ---- the functions ---- */

/* Finds how the store is asked: ERROR if there is no key. */
static void
find_server(StoreValidation *validation)
{
	const ValidatedStore *store = validation->store;
	Datum		values[2] = {CStringGetTextDatum(store->provider->name), CStringGetTextDatum(validation->environment)};
	ApiScope	scope;

	scope_enter(&scope);
	if (plan_execute(&credentials_plan, values, NULL, false) == 0)
		ereport(ERROR,
				(condition_errcode(store->no_key),
				 errmsg("%s API key not found", store->title),
				 errdetail("There is none of environment \"%s\".", validation->environment),
				 errhint("The owner of the extension sets it: SELECT adapty.set_store_credentials('%s', $1, '%s').",
						 store->provider->name, validation->environment)));
	validation->server.name = store->title;
	validation->server.authorization = psprintf("Bearer %s", scope_copy_text(&scope, 0, 1));
	validation->server.base_url = scope_copy_text(&scope, 0, 2);
	validation->server.version_header = store->version_header;
	validation->server.authorization = MemoryContextStrdup(scope.caller_context, validation->server.authorization);
	scope_leave(&scope);
	validation->server.deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), adapty_store_timeout);
}

/* ERROR (22023) unless the token is one of the store's. */
static void
check_token(const ValidatedStore *store, const char *token)
{
	for (const char *const *prefix = store->prefixes; *prefix != NULL; prefix++)
		if (strncmp(token, *prefix, strlen(*prefix)) == 0 && token[strlen(*prefix)] != '\0' && is_plain_id(token))
			return;
	ereport(ERROR,
			(condition_errcode(COND_BASE_ERROR),
			 errmsg("invalid value for \"%s\": \"%s\"", store->argument, token),
			 errdetail("%s", store->token_detail),
			 err_generic_string(PG_DIAG_COLUMN_NAME, store->argument)));
}

/* The functions of both stores: (user, token, environment). */
static Datum
validate(FunctionCallInfo fcinfo, const UserRef *user, const ValidatedStore *store)
{
	char	   *actor = caller_actor();
	StoreValidation validation = {.store = store};
	IngestResult result = {0};
	pg_uuid_t	profile_id;
	ApiScope	scope;
	Jsonb	   *shown;
	Jsonb	   *copy;

	refuse_unless_writable(fcinfo);
	validation.token = arg_text(fcinfo, 1, store->argument, true, MAX_TOKEN);
	check_token(store, validation.token);
	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("environment must not be null")));
	validation.environment = DatumGetCString(DirectFunctionCall1(enum_out, PG_GETARG_DATUM(2)));
	/* before the store is asked; one that is not there yet is made only once it has answered */
	if (user->customer_user_id == NULL)
		user_resolve(user, &profile_id);
	find_server(&validation);
	store->fetch(&validation);
	user_resolve_or_create(user, true, &profile_id);
	scope_enter(&scope);
	ingest_claim(read_all_facts(&validation), &profile_id, actor, &result);
	shown = result_json(&validation, &result);
	copy = MemoryContextAlloc(scope.caller_context, VARSIZE(shown));
	memcpy(copy, shown, VARSIZE(shown));
	scope_leave(&scope);
	PG_RETURN_JSONB_P(copy);
}

/* adapty.validate_stripe_token(user, stripe_token, environment): see the function's COMMENT. */
static Datum
validate_stripe_token(FunctionCallInfo fcinfo, UserRef user)
{
	return validate(fcinfo, &user, &validated_stripe);
}

/* adapty.validate_paddle_token(user, paddle_token, environment): see the function's COMMENT. */
static Datum
validate_paddle_token(FunctionCallInfo fcinfo, UserRef user)
{
	return validate(fcinfo, &user, &validated_paddle);
}

FUNCTION_BY_USER(validate_stripe_token);
FUNCTION_BY_USER(validate_paddle_token);

/* ---- credentials ---- */

/* Are all bytes printable, none a blank? */
static bool
is_printable(const char *text)
{
	for (const char *c = text; *c != '\0'; c++)
		if (*c <= ' ' || *c > '~')
			return false;
	return text[0] != '\0';
}

/*
 * An address without slashes at the end: ERROR (22023) unless it is https, or http of this machine, as
 * the key goes with each request.
 */
static char *
check_base_url(char *url)
{
	static const char *const local[] = {"http://localhost", "http://127.0.0.1", "http://[::1]"};
	bool		is_safe = strncmp(url, "https://", 8) == 0 && url[8] != '\0' && url[8] != '/';
	size_t		length = strlen(url);

	for (int i = 0; i < (int) lengthof(local); i++)
	{
		size_t		n = strlen(local[i]);

		is_safe |= strncmp(url, local[i], n) == 0 && (url[n] == '\0' || url[n] == '/' || url[n] == ':');
	}
	if (!is_safe || length > MAX_BASE_URL || !is_printable(url) || strpbrk(url, "?#@\\\"<>") != NULL)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("invalid base_url: \"%s\"", url),
				 errdetail("The value must be an address of at most %d bytes that begins with https://, or with http:// and this machine's own name, without user, query and fragment.",
						   MAX_BASE_URL)));
	while (length > 0 && url[length - 1] == '/')
		url[--length] = '\0';
	return url;
}

/*
 * adapty.set_store_credentials(provider, secret, environment, base_url): see the function's COMMENT.  No
 * error names the secret.
 */
Datum
adapty_set_store_credentials(PG_FUNCTION_ARGS)
{
	char	   *provider = arg_text(fcinfo, 0, "provider", true, 64);
	char	   *secret = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *base_url = arg_text(fcinfo, 3, "base_url", false, MAX_BASE_URL);
	const ValidatedStore *store;
	char	   *environment;
	PlanArgs	args = {0};
	ApiScope	scope;

	refuse_unless_writable(fcinfo);
	if (strcmp(provider, validated_stripe.provider->name) == 0)
		store = &validated_stripe;
	else if (strcmp(provider, validated_paddle.provider->name) == 0)
		store = &validated_paddle;
	else
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("unknown provider \"%s\"", provider),
				 errdetail("The value must be one of: stripe, paddle.")));
	if (secret != NULL && (!is_printable(secret) || strlen(secret) > MAX_SECRET))
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("secret must have 1 to %d printable ASCII characters and no blanks", MAX_SECRET)));
	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("environment must not be null")));
	environment = DatumGetCString(DirectFunctionCall1(enum_out, PG_GETARG_DATUM(2)));
	if (base_url != NULL)
		base_url = check_base_url(base_url);
	plan_add_text(&args, provider);
	plan_add_text(&args, environment);
	if (secret != NULL)
	{
		plan_add_text(&args, secret);
		plan_add_text(&args, base_url != NULL ? base_url : store->base_urls[strcmp(environment, "Production") == 0 ? 0 : 1]);
	}
	scope_enter(&scope);
	(void) plan_execute(secret != NULL ? &put_credentials_plan : &drop_credentials_plan, args.values, args.nulls, false);
	scope_leave(&scope);
	PG_RETURN_VOID();
}
