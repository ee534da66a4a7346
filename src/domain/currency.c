/*
 * currency.c
 *		Virtual currencies: the only writer of virtual_currencies and virtual_currency_products.
 *
 * A code is for ever: ledgers and apps refer to it, so it can neither be changed nor deleted, and
 * therefore balances and ledger need no foreign key to it, which would make every spend of every
 * user lock the same row.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

#include "base/arg.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/plans.h"
#include "domain/currency.h"

#define MAX_CURRENCY_NAME 255	/* characters */
#define MAX_CURRENCY_DESCRIPTION 1000

PG_FUNCTION_INFO_V1(adapty_define_virtual_currency);
PG_FUNCTION_INFO_V1(adapty_link_virtual_currency);
PG_FUNCTION_INFO_V1(adapty_unlink_virtual_currency);
PG_FUNCTION_INFO_V1(adapty_virtual_currencies_guard);

static SavedPlan put_currency = {
	.name = "virtual currency",
	.sql = "INSERT INTO adapty.virtual_currencies AS c (currency_code, name, description) "
	"VALUES ($1, COALESCE($2, $1), $3) "
	"ON CONFLICT (currency_code) DO UPDATE "
	"SET name = COALESCE($2, c.name), description = COALESCE($3, c.description)",
	.expected = SPI_OK_INSERT,
	.nargs = 3,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID},
};

static SavedPlan find_currency = {
	.name = "virtual currency of a code",
	.sql = "SELECT 1 FROM adapty.virtual_currencies c WHERE c.currency_code OPERATOR(pg_catalog.=) $1",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static SavedPlan list_currencies = {
	.name = "virtual currencies",
	.sql = "SELECT pg_catalog.string_agg(c.currency_code, ', ' ORDER BY c.currency_code) FROM "
	"(SELECT currency_code FROM adapty.virtual_currencies ORDER BY currency_code LIMIT 50) c",
	.expected = SPI_OK_SELECT,
};

static SavedPlan find_product = {
	.name = "product of a virtual currency",
	.sql = "SELECT p.period::pg_catalog.text, "
	"    p.period OPERATOR(pg_catalog.=) ANY ('{lifetime,consumable,nonsubscriptions}'::adapty.product_period[]) "
	"FROM adapty.products p WHERE p.product_id OPERATOR(pg_catalog.=) $1 FOR KEY SHARE",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan put_link = {
	.name = "link of a product to a virtual currency",
	.sql = "INSERT INTO adapty.virtual_currency_products AS l (product_id, currency_code, amount, trial_amount, expires) "
	"VALUES ($1, $2, $3, $4, $5) ON CONFLICT (product_id, currency_code) DO UPDATE "
	"SET amount = excluded.amount, trial_amount = excluded.trial_amount, expires = excluded.expires",
	.expected = SPI_OK_INSERT,
	.nargs = 5,
	.argtypes = {UUIDOID, TEXTOID, INT4OID, INT4OID, BOOLOID},
};

static SavedPlan delete_link = {
	.name = "end of a link of a product to a virtual currency",
	.sql = "DELETE FROM adapty.virtual_currency_products l "
	"WHERE l.product_id OPERATOR(pg_catalog.=) $1 AND l.currency_code OPERATOR(pg_catalog.=) $2",
	.expected = SPI_OK_DELETE,
	.nargs = 2,
	.argtypes = {UUIDOID, TEXTOID},
};

/* See currency.h. */
char *
currency_code_normalise(const char *text)
{
	char	   *code = pstrdup(text);
	int			n = 0;

	for (char *c = code; *c != '\0'; c++, n++)
	{
		if (*c >= 'a' && *c <= 'z')
			*c += 'A' - 'a';
		else if (!((*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '_'))
			return NULL;
	}
	return n >= 1 && n <= MAX_CURRENCY_CODE ? code : NULL;
}

/* See currency.h. */
void
currency_not_found(const char *code)
{
	ApiScope	scope;
	char	   *list = NULL;

	scope_enter(&scope);
	if (plan_execute(&list_currencies, NULL, NULL, true) == 1)
		list = scope_copy_text(&scope, 0, 1);
	scope_leave(&scope);
	ereport(ERROR,
			(condition_errcode(COND_UNKNOWN_CURRENCY),
			 errmsg("virtual currency \"%s\" does not exist", code),
			 errdetail("The virtual currencies are: %s.", list == NULL ? "none" : list),
			 errhint("Use one of them, or create it with define_virtual_currency()."),
			 err_generic_string(PG_DIAG_COLUMN_NAME, "currency_code")));
}

/* Argument n as a currency's code: ERROR (22023) if it can be none. */
static char *
arg_currency_code(FunctionCallInfo fcinfo, int n)
{
	char	   *text = arg_text(fcinfo, n, "currency_code", true, MAX_CURRENCY_CODE);
	char	   *code = currency_code_normalise(text);

	if (code == NULL)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("invalid currency_code \"%s\"", text),
				 errhint("Give 1 to %d letters A to Z, digits or \"_\".", MAX_CURRENCY_CODE)));
	return code;
}

/* adapty.define_virtual_currency(currency_code, name, description) */
Datum
adapty_define_virtual_currency(PG_FUNCTION_ARGS)
{
	char	   *code = arg_currency_code(fcinfo, 0);
	char	   *name = arg_text(fcinfo, 1, "name", false, MAX_CURRENCY_NAME);
	char	   *description = arg_text(fcinfo, 2, "description", false, MAX_CURRENCY_DESCRIPTION);
	Datum		values[3];
	char		nulls[] = "   ";
	ApiScope	scope;

	refuse_unless_writable(fcinfo);
	values[0] = CStringGetTextDatum(code);
	values[1] = name == NULL ? (Datum) 0 : CStringGetTextDatum(name);
	values[2] = description == NULL ? (Datum) 0 : CStringGetTextDatum(description);
	nulls[1] = name == NULL ? 'n' : ' ';
	nulls[2] = description == NULL ? 'n' : ' ';
	scope_enter(&scope);
	plan_execute(&put_currency, values, nulls, false);
	scope_leave(&scope);
	PG_RETURN_TEXT_P(cstring_to_text(code));
}

/* ERROR (PT404) if there is no such product; (22023) if it has no cycles and these are asked for. */
static void
check_product(const pg_uuid_t *product_id, bool has_trial_amount, bool expires)
{
	Datum		key = UUIDPGetDatum(product_id);
	bool		isnull;

	if (plan_execute(&find_product, &key, NULL, false) == 0)
		ereport(ERROR,
				(condition_errcode(COND_PRODUCT_DOES_NOT_EXIST),
				 errmsg("product \"%s\" does not exist", DatumGetCString(DirectFunctionCall1(uuid_out, key))),
				 errhint("define_product() returned the product_id; adapty.products lists them.")));
	if ((has_trial_amount || expires) &&
		DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull)))
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("%s is for subscriptions, and the product's period is %s",
						expires ? "expires" : "trial_amount",
						SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1)),
				 errhint("What a one-time purchase credits does not expire.")));
}

/* Argument n as an amount to credit: ERROR (22023) unless it is above 0. */
static int32
arg_amount(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n) || PG_GETARG_INT32(n) <= 0)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("invalid %s: %s", name, PG_ARGISNULL(n) ? "null" : psprintf("%d", PG_GETARG_INT32(n))),
				 errhint("Give a number from 1 to %d.", MAX_CURRENCY_BALANCE)));
	return PG_GETARG_INT32(n);
}

/* adapty.link_virtual_currency(currency_code, product_id, amount, trial_amount, expires) */
Datum
adapty_link_virtual_currency(PG_FUNCTION_ARGS)
{
	char	   *code = arg_currency_code(fcinfo, 0);
	pg_uuid_t  *product_id = arg_uuid(fcinfo, 1, "product_id");
	int32		amount = arg_amount(fcinfo, 2, "amount");
	bool		has_trial_amount = !PG_ARGISNULL(3);
	int32		trial_amount = has_trial_amount ? arg_amount(fcinfo, 3, "trial_amount") : 0;
	bool		expires = !PG_ARGISNULL(4) && PG_GETARG_BOOL(4);
	Datum		values[5] = {UUIDPGetDatum(product_id), CStringGetTextDatum(code), Int32GetDatum(amount),
	Int32GetDatum(trial_amount), BoolGetDatum(expires)};
	ApiScope	scope;

	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	if (plan_execute(&find_currency, &values[1], NULL, false) == 0)
		currency_not_found(code);
	check_product(product_id, has_trial_amount, expires);
	plan_execute(&put_link, values, has_trial_amount ? NULL : "   n ", false);
	scope_leave(&scope);
	PG_RETURN_VOID();
}

/* adapty.unlink_virtual_currency(currency_code, product_id) */
Datum
adapty_unlink_virtual_currency(PG_FUNCTION_ARGS)
{
	char	   *code = arg_currency_code(fcinfo, 0);
	pg_uuid_t  *product_id = arg_uuid(fcinfo, 1, "product_id");
	Datum		values[2] = {UUIDPGetDatum(product_id), CStringGetTextDatum(code)};
	ApiScope	scope;
	bool		was_linked;

	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	was_linked = plan_execute(&delete_link, values, NULL, false) > 0;
	scope_leave(&scope);
	PG_RETURN_BOOL(was_linked);
}

/* Trigger on virtual_currencies: BEFORE DELETE, UPDATE OF currency_code or TRUNCATE. */
Datum
adapty_virtual_currencies_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"virtual_currencies_guard\" was not called by trigger manager")));
	(void) trigger;
	ereport(ERROR,
			(condition_errcode(COND_MAINTAINED_BY_ADAPTY),
			 errmsg("the code of a virtual currency is permanent"),
			 errdetail("Balances and the ledger refer to it."),
			 errhint("Change the name by define_virtual_currency(), or unlink the currency from its products.")));
}
