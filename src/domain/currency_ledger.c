/*
 * currency_ledger.c
 *		Balances of virtual currencies and their ledger: the only writer of both.
 *
 * Every change of a user's balances is made under the profile's lock, which puts them in one order:
 * of a hundred spends of the last coin one finds it.  A balance is the balance_after of the newest
 * row of the ledger, kept beside it so that reading and checking it is one look.
 *
 * Part of a balance may expire with a subscription's cycle: that part is a lot, one a subscription.
 * Spending takes from the lot that expires soonest, then from what stays for ever; so the lots never
 * add up to more than the balance, and an expiry never makes it negative.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
#include "utils/rel.h"

#include "base/arg.h"
#include "base/caller.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/json_fields.h"
#include "base/jsonb_build.h"
#include "base/plans.h"
#include "domain/currency.h"
#include "domain/currency_ledger.h"
#include "domain/grant.h"
#include "domain/idempotency.h"
#include "domain/identity.h"

#define MAX_ITEMS 20			/* of a transaction */
#define MAX_METADATA_KEYS 5
#define MAX_METADATA_KEY 30		/* characters */
#define MAX_METADATA_VALUE 200	/* characters */
#define MAX_PAGE_SIZE 100
#define DEFAULT_PAGE_SIZE 50
#define ITEM_HINT "Give objects as {\"currency_code\": \"COINS\", \"amount\": -10}."

PG_FUNCTION_INFO_V1(adapty_virtual_currency_ledger_guard);

static SavedPlan load_balance = {
	.name = "balance of a virtual currency",
	.sql = "SELECT c.name, COALESCE(b.balance, 0), EXISTS (SELECT FROM adapty.virtual_currency_lots l "
	"    WHERE l.profile_id OPERATOR(pg_catalog.=) $1 AND l.currency_code OPERATOR(pg_catalog.=) $2 "
	"    AND l.remaining OPERATOR(pg_catalog.>) 0) "
	"FROM adapty.virtual_currencies c LEFT JOIN adapty.virtual_currency_balances b "
	"ON b.profile_id OPERATOR(pg_catalog.=) $1 AND b.currency_code OPERATOR(pg_catalog.=) c.currency_code "
	"WHERE c.currency_code OPERATOR(pg_catalog.=) $2",
	.expected = SPI_OK_SELECT,
	.nargs = 2,
	.argtypes = {UUIDOID, TEXTOID},
};

static SavedPlan put_balance = {
	.name = "new balance of a virtual currency",
	.sql = "INSERT INTO adapty.virtual_currency_balances AS b (profile_id, currency_code, balance, updated_at) "
	"VALUES ($1, $2, $3, $4) ON CONFLICT (profile_id, currency_code) "
	"DO UPDATE SET balance = excluded.balance, updated_at = excluded.updated_at",
	.expected = SPI_OK_INSERT,
	.nargs = 4,
	.argtypes = {UUIDOID, TEXTOID, INT4OID, TIMESTAMPTZOID},
};

static SavedPlan insert_entry = {
	.name = "entry of the virtual currency ledger",
	.sql = "INSERT INTO adapty.virtual_currency_transactions (profile_id, transaction_id, currency_code, amount, "
	"    balance_after, created_at, transaction_type, is_expiring, source_id, actor, metadata) "
	"VALUES ($1, $2, $3, $4, $5, $6, $7::adapty.virtual_currency_transaction_type, $8, $9, $10, $11)",
	.expected = SPI_OK_INSERT,
	.nargs = 11,
	.argtypes = {UUIDOID, UUIDOID, TEXTOID, INT4OID, INT4OID, TIMESTAMPTZOID, TEXTOID, BOOLOID, TEXTOID, TEXTOID, JSONBOID},
};

/* $3 is what is taken in all, $4 the lot to begin with. */
static SavedPlan take_from_lots = {
	.name = "spending from what expires",
	.sql = "UPDATE adapty.virtual_currency_lots l SET remaining = l.remaining OPERATOR(pg_catalog.-) t.taken "
	"FROM (SELECT o.chain_id, LEAST(o.remaining, GREATEST($3 OPERATOR(pg_catalog.-) o.before, 0))::pg_catalog.int4 AS taken "
	"      FROM (SELECT l.chain_id, l.remaining, COALESCE(pg_catalog.sum(l.remaining) OVER ("
	"                ORDER BY l.chain_id OPERATOR(pg_catalog.=) $4 DESC NULLS LAST, l.expires_at, l.chain_id "
	"                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before "
	"            FROM adapty.virtual_currency_lots l "
	"            WHERE l.profile_id OPERATOR(pg_catalog.=) $1 AND l.currency_code OPERATOR(pg_catalog.=) $2) o) t "
	"WHERE l.profile_id OPERATOR(pg_catalog.=) $1 AND l.currency_code OPERATOR(pg_catalog.=) $2 "
	"AND l.chain_id OPERATOR(pg_catalog.=) t.chain_id AND t.taken OPERATOR(pg_catalog.>) 0",
	.expected = SPI_OK_UPDATE,
	.nargs = 4,
	.argtypes = {UUIDOID, TEXTOID, INT8OID, TEXTOID},
};

static SavedPlan profile_is_there = {
	.name = "profile of a ledger",
	.sql = "SELECT 1 FROM adapty.profiles p WHERE p.profile_id OPERATOR(pg_catalog.=) $1",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

/* All currencies, the user's or 0. */
#define BALANCES \
	"SELECT c.currency_code::pg_catalog.text AS code, c.name, COALESCE(b.balance, 0) AS balance, " \
	"    0 AS held, COALESCE(b.balance, 0) AS available " \
	"FROM adapty.virtual_currencies c LEFT JOIN adapty.virtual_currency_balances b " \
	"ON b.profile_id OPERATOR(pg_catalog.=) $1 AND b.currency_code OPERATOR(pg_catalog.=) c.currency_code " \
	"ORDER BY c.created_at, c.currency_code"

static SavedPlan select_balances = {
	.name = "balances of a profile",
	.sql = BALANCES,
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan balances_json = {
	.name = "balances of a profile as JSON",
	.sql = "SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(x)), '[]') FROM (" BALANCES ") x",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

/*
 * One page and a transaction more, newest first, the items of each in the order of codes.  $2 is
 * where the page before ended, $3 a currency, $4 how many.
 */
static SavedPlan select_history = {
	.name = "history of a profile's virtual currencies",
	.sql = "SELECT t.transaction_id, (pg_catalog.array_agg(t.transaction_type))[1]::pg_catalog.text, "
	"    pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('currency_code', t.currency_code, "
	"        'amount', t.amount, 'balance_after', t.balance_after) ORDER BY t.currency_code), "
	"    (pg_catalog.array_agg(t.metadata))[1], pg_catalog.min(t.created_at) "
	"FROM adapty.virtual_currency_transactions t WHERE t.profile_id OPERATOR(pg_catalog.=) $1 "
	"AND ($2 IS NULL OR t.transaction_id OPERATOR(pg_catalog.<) $2) "
	"AND ($3 IS NULL OR t.currency_code OPERATOR(pg_catalog.=) $3) "
	"GROUP BY t.transaction_id ORDER BY t.transaction_id DESC LIMIT $4",
	.expected = SPI_OK_SELECT,
	.nargs = 4,
	.argtypes = {UUIDOID, UUIDOID, TEXTOID, INT8OID},
};

/* ---- the ledger ---- */

/* See currency_ledger.h. */
bool
currency_load(const pg_uuid_t *profile_id, CurrencyChange *change)
{
	Datum		values[2] = {UUIDPGetDatum(profile_id), CStringGetTextDatum(change->code)};
	TupleDesc	desc;
	HeapTuple	row;
	bool		isnull;

	if (plan_execute(&load_balance, values, NULL, false) == 0)
		return false;
	desc = SPI_tuptable->tupdesc;
	row = SPI_tuptable->vals[0];
	change->name = SPI_getvalue(row, desc, 1);
	change->balance = DatumGetInt32(SPI_getbinval(row, desc, 2, &isnull));
	change->has_lots = DatumGetBool(SPI_getbinval(row, desc, 3, &isnull));
	return true;
}

/* Takes a debit out of the user's lots of the currency, as far as they go. */
static void
spend_lots(const CurrencyTransaction *transaction, const CurrencyChange *change)
{
	Datum		values[4] = {UUIDPGetDatum(transaction->profile_id), CStringGetTextDatum(change->code),
	Int64GetDatum(-change->amount)};

	if (transaction->chain_id != NULL)
		values[3] = CStringGetTextDatum(transaction->chain_id);
	plan_execute(&take_from_lots, values, transaction->chain_id != NULL ? NULL : "   n", false);
}

/* Applies one change: the balance and its row of the ledger. */
static void
apply_change(const CurrencyTransaction *t, CurrencyChange *change, const pg_uuid_t *transaction_id,
			 TimestampTz now)
{
	Datum		values[11];
	char		nulls[] = "           ";

	Assert(change->amount != 0);
	change->balance += change->amount;
	Assert(change->balance >= 0 && change->balance <= MAX_CURRENCY_BALANCE);
	values[0] = UUIDPGetDatum(t->profile_id);
	values[1] = CStringGetTextDatum(change->code);
	values[2] = Int32GetDatum((int32) change->balance);
	values[3] = TimestampTzGetDatum(now);
	plan_execute(&put_balance, values, NULL, false);
	values[2] = values[1];
	values[1] = UUIDPGetDatum(transaction_id);
	values[3] = Int32GetDatum((int32) change->amount);
	values[4] = Int32GetDatum((int32) change->balance);
	values[5] = TimestampTzGetDatum(now);
	values[6] = CStringGetTextDatum(t->type);
	values[7] = BoolGetDatum(change->is_expiring);
	values[8] = t->source_id == NULL ? (Datum) 0 : CStringGetTextDatum(t->source_id);
	values[9] = t->actor == NULL ? (Datum) 0 : CStringGetTextDatum(t->actor);
	values[10] = JsonbPGetDatum(t->metadata);
	nulls[8] = t->source_id == NULL ? 'n' : ' ';
	nulls[9] = t->actor == NULL ? 'n' : ' ';
	nulls[10] = t->metadata == NULL ? 'n' : ' ';
	plan_execute(&insert_entry, values, nulls, false);
}

/* See currency_ledger.h. */
void
currency_apply(const CurrencyTransaction *transaction, CurrencyChange *changes, int n,
			   pg_uuid_t *transaction_id)
{
	TimestampTz now = clock_write_now();

	uuid_v7(transaction_id);
	for (int i = 0; i < n; i++)
	{
		if (changes[i].amount < 0 && changes[i].has_lots && !transaction->leave_lots)
			spend_lots(transaction, &changes[i]);
		apply_change(transaction, &changes[i], transaction_id, now);
	}
}

/* Trigger on virtual_currency_transactions: only the deletion of a profile takes rows away. */
Datum
adapty_virtual_currency_ledger_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"virtual_currency_ledger_guard\" was not called by trigger manager")));
	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
	{
		ApiScope	scope;
		bool		isnull;
		Datum		profile_id = heap_getattr(trigger->tg_trigtuple, 1,
											  RelationGetDescr(trigger->tg_relation), &isnull);
		bool		is_there;

		scope_enter(&scope);
		is_there = plan_execute(&profile_is_there, &profile_id, NULL, false) > 0;
		scope_leave(&scope);
		if (!is_there)
			return PointerGetDatum(trigger->tg_trigtuple);
	}
	ereport(ERROR,
			(condition_errcode(COND_MAINTAINED_BY_ADAPTY),
			 errmsg("the ledger of virtual currencies is append-only"),
			 errdetail("What happened to a balance is never changed or deleted; it goes with its profile."),
			 errhint("Put a balance right by a further transaction: create_virtual_currency_transaction().")));
}

/* ---- create_virtual_currency_transaction ---- */

/* A request, read and checked for itself. */
typedef struct CurrencyRequest
{
	int			n;
	CurrencyChange items[MAX_ITEMS];
	Jsonb	   *metadata;		/* NULL for none */
} CurrencyRequest;

/* ERROR (PT422): what the request's shape does not allow. */
static void pg_attribute_noreturn()
refuse_shape(const char *field, const char *problem, const char *hint)
{
	ereport(ERROR,
			(condition_errcode(COND_CURRENCY_REQUEST),
			 errmsg("%s %s", field, problem),
			 errhint("%s", hint),
			 err_generic_string(PG_DIAG_COLUMN_NAME, field)));
}

/* The currency_code of an item, as it was given. */
static char *
read_code(Jsonb *item, const char *path)
{
	JsonbValue *value = jsonb_object_get(item, "currency_code");

	if (value == NULL || value->type != jbvString || value->val.string.len == 0)
		refuse_shape(psprintf("%s.currency_code", path), "is missing or no string", ITEM_HINT);
	return jsonb_value_text(value);
}

/* The amount of an item: an integer of 32 bits. */
static int64
read_amount(Jsonb *item, const char *path)
{
	JsonbValue *value = jsonb_object_get(item, "amount");
	Datum		number;

	if (value == NULL || value->type != jbvNumeric)
		refuse_shape(psprintf("%s.amount", path), "is missing or no number", ITEM_HINT);
	number = NumericGetDatum(value->val.numeric);
	if (!DatumGetBool(DirectFunctionCall2(numeric_eq, number,
										  DirectFunctionCall2(numeric_trunc, number, Int32GetDatum(0)))) ||
		DatumGetBool(DirectFunctionCall2(numeric_gt, DirectFunctionCall1(numeric_abs, number),
										 NumericGetDatum(int64_to_numeric(PG_INT32_MAX)))))
		refuse_shape(psprintf("%s.amount", path),
					 psprintf("is no whole number from -2147483647 to 2147483647: %.40s",
							  DatumGetCString(DirectFunctionCall1(numeric_out, number))), ITEM_HINT);
	return DatumGetInt64(DirectFunctionCall1(numeric_int8, number));
}

/* ERROR if an item has a member that there is not: a misspelt one must not go unnoticed. */
static void
check_members(Jsonb *item, const char *path)
{
	static const char *const known[] = {"currency_code", "amount", NULL};
	JsonFields	fields = {item, psprintf("%s.", path)};

	fields_check_known(&fields, known, "an item");
}

/* Item i of a request; ERROR as documented if it makes no sense. */
static void
read_item(CurrencyRequest *request, Jsonb *items, int i)
{
	JsonbValue *value = getIthJsonbValueFromContainer(&items->root, i);
	CurrencyChange *item = &request->items[i];
	char	   *path = psprintf("items.%d", i);
	Jsonb	   *object;
	char	   *code;

	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		refuse_shape(path, "is no object", ITEM_HINT);
	object = JsonbValueToJsonb(value);
	check_members(object, path);
	code = read_code(object, path);
	item->amount = read_amount(object, path);
	item->code = currency_code_normalise(code);
	if (item->code == NULL)
		currency_not_found(code);
	if (item->amount == 0)
		ereport(ERROR,
				(condition_errcode(COND_AMOUNT_ZERO),
				 errmsg("the amount of virtual currency \"%s\" is 0", item->code),
				 errhint("Give more than 0 to credit, less to spend."),
				 err_generic_string(PG_DIAG_COLUMN_NAME, "amount")));
	for (int j = 0; j < i; j++)
		if (strcmp(request->items[j].code, item->code) == 0)
			ereport(ERROR,
					(condition_errcode(COND_DUPLICATE_CURRENCY),
					 errmsg("virtual currency \"%s\" is given twice", item->code),
					 errhint("Give each currency once, with the sum of its amounts."),
					 err_generic_string(PG_DIAG_COLUMN_NAME, "currency_code")));
}

/* Checks metadata: at most 5 keys of 1 to 30 of a-z, 0-9 and "_", values strings of at most 200 characters. */
static void
check_metadata(Jsonb *metadata)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	value;
	const char *hint = "Give at most 5 keys of 1 to 30 letters a to z, digits or \"_\", with strings of at most 200 characters.";

	if (!JB_ROOT_IS_OBJECT(metadata))
		refuse_shape("metadata", "is no object", hint);
	if (JB_ROOT_COUNT(metadata) > MAX_METADATA_KEYS)
		refuse_shape("metadata", psprintf("has %u keys", JB_ROOT_COUNT(metadata)), hint);
	it = JsonbIteratorInit(&metadata->root);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		char	   *key;
		JsonbValue *held;

		if (token != WJB_KEY)
			continue;
		key = pnstrdup(value.val.string.val, value.val.string.len);
		if (key[0] == '\0' || strlen(key) > MAX_METADATA_KEY ||
			strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(key))
			refuse_shape("metadata", psprintf("has the invalid key \"%s\"", key), hint);
		held = jsonb_object_get(metadata, key);
		if (held->type != jbvString ||
			pg_mbstrlen_with_len(held->val.string.val, held->val.string.len) > MAX_METADATA_VALUE)
			refuse_shape("metadata", psprintf("has an invalid value of key \"%s\"", key), hint);
	}
}

/* Arguments 1 and 2. */
static void
read_request(FunctionCallInfo fcinfo, CurrencyRequest *request)
{
	Jsonb	   *items = arg_jsonb(fcinfo, 1, "items");

	memset(request, 0, sizeof(*request));
	if (!JB_ROOT_IS_ARRAY(items) || JB_ROOT_IS_SCALAR(items))
		refuse_shape("items", "is no array", "Give an array of {\"currency_code\", \"amount\"}.");
	if (JB_ROOT_COUNT(items) == 0)
		ereport(ERROR,
				(condition_errcode(COND_EMPTY_ITEMS),
				 errmsg("items is empty"),
				 errhint("Give 1 to %d of {\"currency_code\", \"amount\"}.", MAX_ITEMS),
				 err_generic_string(PG_DIAG_COLUMN_NAME, "items")));
	if (JB_ROOT_COUNT(items) > MAX_ITEMS)
		refuse_shape("items", psprintf("has %u elements", JB_ROOT_COUNT(items)),
					 psprintf("Give at most %d, or several transactions.", MAX_ITEMS));
	request->n = JB_ROOT_COUNT(items);
	for (int i = 0; i < request->n; i++)
		read_item(request, items, i);
	if (!PG_ARGISNULL(2))
	{
		request->metadata = PG_GETARG_JSONB_P(2);
		if (JB_ROOT_IS_SCALAR(request->metadata) &&
			getIthJsonbValueFromContainer(&request->metadata->root, 0)->type == jbvNull)
			request->metadata = NULL;
		else
			check_metadata(request->metadata);
	}
}

/* A request as text, to recognise it again. */
static char *
request_text(const CurrencyRequest *request)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "create_virtual_currency_transaction");
	for (int i = 0; i < request->n; i++)
		appendStringInfo(&buf, " %s=" INT64_FORMAT, request->items[i].code, request->items[i].amount);
	if (request->metadata != NULL)
		appendStringInfo(&buf, " metadata=%s",
						 JsonbToCString(NULL, &request->metadata->root, VARSIZE(request->metadata)));
	return buf.data;
}

/* ERROR if a currency is unknown, or a balance would leave its range.  Fills the items. */
static void
check_balances(const pg_uuid_t *profile_id, CurrencyRequest *request)
{
	for (int i = 0; i < request->n; i++)
	{
		CurrencyChange *item = &request->items[i];

		if (!currency_load(profile_id, item))
			currency_not_found(item->code);
		if (item->balance + item->amount < 0)
			ereport(ERROR,
					(condition_errcode(COND_INSUFFICIENT_BALANCE),
					 errmsg("insufficient balance of virtual currency \"%s\"", item->code),
					 errdetail("The user has " INT64_FORMAT " and would spend " INT64_FORMAT ".",
							   item->balance, -item->amount),
					 errhint("Nothing of the transaction was applied."),
					 err_generic_string(PG_DIAG_COLUMN_NAME, "currency_code")));
		if (item->balance + item->amount > MAX_CURRENCY_BALANCE)
			ereport(ERROR,
					(condition_errcode(COND_BALANCE_OVERFLOW),
					 errmsg("the balance of virtual currency \"%s\" would be too large", item->code),
					 errdetail("It would be " INT64_FORMAT "; at most %d is possible.",
							   item->balance + item->amount, MAX_CURRENCY_BALANCE),
					 errhint("Nothing of the transaction was applied."),
					 err_generic_string(PG_DIAG_COLUMN_NAME, "currency_code")));
	}
}

/* The answer: which transaction, and the balances after it. */
static Jsonb *
transaction_result(const CurrencyRequest *request, const pg_uuid_t *transaction_id)
{
	JsonbBuild	jb;

	jb_init(&jb);
	jb_begin_object(&jb);
	jb_key(&jb, "transaction_id");
	jb_uuid(&jb, transaction_id);
	jb_key(&jb, "balances");
	jb_begin_array(&jb);
	for (int i = 0; i < request->n; i++)
	{
		jb_begin_object(&jb);
		jb_key(&jb, "code");
		jb_string(&jb, request->items[i].code);
		jb_key(&jb, "name");
		jb_string(&jb, request->items[i].name);
		jb_key(&jb, "balance");
		jb_int64(&jb, request->items[i].balance);
		jb_key(&jb, "held");
		jb_int64(&jb, 0);
		jb_key(&jb, "available");
		jb_int64(&jb, request->items[i].balance);
		jb_end_object(&jb);
	}
	jb_end_array(&jb);
	jb_end_object(&jb);
	return jb_finish(&jb);
}

/* adapty.create_virtual_currency_transaction(user, items, metadata, idempotency_key) */
static Datum
create_virtual_currency_transaction(FunctionCallInfo fcinfo, UserRef user)
{
	CurrencyRequest request;
	char	   *key = arg_text(fcinfo, 3, "idempotency_key", false, MAX_IDEMPOTENCY_KEY);
	char	   *actor = caller_actor();
	pg_uuid_t	profile_id;
	LockedProfile profile;
	ApiScope	scope;
	Jsonb	   *made;
	Jsonb	   *result;

	refuse_unless_writable(fcinfo);
	read_request(fcinfo, &request);
	user_resolve(&user, &profile_id);
	if (!profile_lock(&profile_id, false, NULL, &profile))
		profile_not_found(&user);
	scope_enter(&scope);
	if (key == NULL || !idempotency_find(&profile_id, key, request_text(&request), &made))
	{
		CurrencyTransaction transaction = {.profile_id = &profile_id, .type = "api_transaction",
		.actor = actor, .metadata = request.metadata};
		pg_uuid_t	transaction_id;

		check_balances(&profile_id, &request);
		currency_apply(&transaction, request.items, request.n, &transaction_id);
		made = transaction_result(&request, &transaction_id);
		if (key != NULL)
			idempotency_store(&profile_id, key, request_text(&request), made);
	}
	result = MemoryContextAlloc(scope.caller_context, VARSIZE(made));
	memcpy(result, made, VARSIZE(made));
	scope_leave(&scope);
	PG_RETURN_JSONB_P(result);
}

FUNCTION_BY_USER(create_virtual_currency_transaction);

/* ---- readers ---- */

/* See currency_ledger.h. */
Jsonb *
currency_balances(const pg_uuid_t *profile_id)
{
	Datum		arg = UUIDPGetDatum(profile_id);
	ApiScope	scope;
	Datum		result;
	bool		isnull;

	scope_enter(&scope);
	plan_execute(&balances_json, &arg, NULL, true);
	result = scope_copy(&scope, 0, 1, &isnull);
	scope_leave(&scope);
	return DatumGetJsonbP(result);
}

/* adapty.get_virtual_currency_balances(user) */
static Datum
get_virtual_currency_balances(FunctionCallInfo fcinfo, UserRef user)
{
	pg_uuid_t	profile_id;
	Datum		arg = UUIDPGetDatum(&profile_id);

	user_resolve(&user, &profile_id);
	return plan_return_rows(fcinfo, &select_balances, &arg);
}

FUNCTION_BY_USER(get_virtual_currency_balances);

/* Argument 3: where the page before ended; false if this is the first. */
static bool
read_cursor(FunctionCallInfo fcinfo, pg_uuid_t *after)
{
	char	   *cursor = arg_text(fcinfo, 3, "cursor", false, 255);

	if (cursor == NULL)
		return false;
	if (!parse_uuid(cursor, after))
		ereport(ERROR,
				(condition_errcode(COND_INVALID_CURSOR),
				 errmsg("invalid cursor \"%s\"", cursor),
				 errhint("Give the next_cursor of the page before, or none for the first page."),
				 err_generic_string(PG_DIAG_COLUMN_NAME, "cursor")));
	return true;
}

/* Adds a row of select_history. */
static void
add_transaction(JsonbBuild *jb, HeapTuple row, TupleDesc desc)
{
	bool		isnull;
	Datum		metadata = SPI_getbinval(row, desc, 4, &isnull);

	jb_begin_object(jb);
	if (!isnull)
	{
		jb_key(jb, "metadata");
		jb_jsonb(jb, DatumGetJsonbP(metadata));
	}
	jb_key(jb, "transaction_id");
	jb_uuid(jb, DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull)));
	jb_key(jb, "transaction_type");
	jb_string(jb, SPI_getvalue(row, desc, 2));
	jb_key(jb, "items");
	jb_jsonb(jb, DatumGetJsonbP(SPI_getbinval(row, desc, 3, &isnull)));
	jb_key(jb, "created_at");
	jb_timestamp(jb, DatumGetTimestampTz(SPI_getbinval(row, desc, 5, &isnull)));
	jb_end_object(jb);
}

/* A page of the history, in the current context. */
static Jsonb *
history_page(uint64 found, int32 page_size)
{
	SPITupleTable *rows = SPI_tuptable;
	JsonbBuild	jb;
	bool		isnull;

	jb_init(&jb);
	jb_begin_object(&jb);
	jb_key(&jb, "data");
	jb_begin_array(&jb);
	for (uint64 i = 0; i < found && i < (uint64) page_size; i++)
		add_transaction(&jb, rows->vals[i], rows->tupdesc);
	jb_end_array(&jb);
	jb_key(&jb, "pagination");
	jb_begin_object(&jb);
	jb_key(&jb, "next_cursor");
	/* one more than a page was asked for: then there is a next one */
	if (found > (uint64) page_size)
		jb_uuid(&jb, DatumGetUUIDP(SPI_getbinval(rows->vals[page_size - 1], rows->tupdesc, 1, &isnull)));
	else
		jb_null(&jb);
	jb_end_object(&jb);
	jb_end_object(&jb);
	return jb_finish(&jb);
}

/* adapty.get_virtual_currency_transactions(user, currency_code, page_size, cursor) */
static Datum
get_virtual_currency_transactions(FunctionCallInfo fcinfo, UserRef user)
{
	char	   *text = arg_text(fcinfo, 1, "currency_code", false, MAX_CURRENCY_CODE);
	char	   *code = text == NULL ? NULL : currency_code_normalise(text);
	int32		page_size = PG_ARGISNULL(2) ? DEFAULT_PAGE_SIZE : PG_GETARG_INT32(2);
	pg_uuid_t	after = {{0}};
	bool		has_after = read_cursor(fcinfo, &after);
	pg_uuid_t	profile_id;
	Datum		values[4];
	char		nulls[] = "    ";
	ApiScope	scope;
	Jsonb	   *made;
	Jsonb	   *result;

	if (page_size < 1 || page_size > MAX_PAGE_SIZE)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("invalid page_size: %d", page_size),
				 errhint("Give a number from 1 to %d.", MAX_PAGE_SIZE),
				 err_generic_string(PG_DIAG_COLUMN_NAME, "limit")));
	user_resolve(&user, &profile_id);
	values[0] = UUIDPGetDatum(&profile_id);
	values[1] = UUIDPGetDatum(&after);
	values[2] = CStringGetTextDatum(code != NULL ? code : "");
	values[3] = Int64GetDatum((int64) page_size + 1);
	nulls[1] = has_after ? ' ' : 'n';
	nulls[2] = text != NULL ? ' ' : 'n';
	scope_enter(&scope);
	made = history_page(plan_execute(&select_history, values, nulls, true), page_size);
	result = MemoryContextAlloc(scope.caller_context, VARSIZE(made));
	memcpy(result, made, VARSIZE(made));
	scope_leave(&scope);
	PG_RETURN_JSONB_P(result);
}

FUNCTION_BY_USER(get_virtual_currency_transactions);
