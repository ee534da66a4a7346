/*
 * money.c
 *		What a payment is worth: dollars, the store's part, the tax.  Writer of the three tables of rates.
 *
 * The rates of the moment of purchase are looked up when a transaction is recorded, and what they
 * made of the price is stored with it, so that no later change of a rate rewrites the past.  A rate
 * that is not known is null and a warning, never a guess; apply_currency_rates() fills it in later.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "base/arg.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/plans.h"
#include "domain/money.h"
#include "domain/product.h"

PG_FUNCTION_INFO_V1(adapty_set_currency_rate);
PG_FUNCTION_INFO_V1(adapty_set_store_commission);
PG_FUNCTION_INFO_V1(adapty_set_tax_rate);
PG_FUNCTION_INFO_V1(adapty_revenue_rates);
PG_FUNCTION_INFO_V1(adapty_apply_currency_rates);

static SavedPlan amounts_plan = {
	.name = "amounts of a purchase",
	.sql = "SELECT " PRICE_USD("$7", "$4", "$5") ", "
	COMMISSION_RATE("$1", "$2::adapty.purchase_type", "$3", "$5", "$6") ", "
	TAX_RATE("$1", "$3", "$5"),
	.expected = SPI_OK_SELECT,
	.nargs = 7,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, BOOLOID, NUMERICOID},
};

static SavedPlan rates_plan = {
	.name = "rates of a purchase",
	.sql = "SELECT CASE WHEN $4 = 'USD' THEN 1 ELSE " UNITS_PER_USD("$4", "$5") " END, "
	COMMISSION_RATE("$1", "$2::adapty.purchase_type", "$3", "$5", "$6") ", "
	TAX_RATE("$1", "$3", "$5"),
	.expected = SPI_OK_SELECT,
	.nargs = 6,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, BOOLOID},
};

#define ENDS_AT \
	"GREATEST(t.expires_at, CASE WHEN t.billing_issue_detected_at IS NOT NULL THEN t.grace_period_expires_at END)"

#define FIRST_YEARS_COLUMNS \
	"SELECT t.profile_id, t.store::text, t.store_original_transaction_id, t.store_transaction_id, " \
	"    t.purchased_at, t.originally_purchased_at, COALESCE(t.offer_type = 'free_trial', false) AS is_trial, " \
	"    " ENDS_AT " AS ends_at " \
	"FROM adapty.transactions t "

#define OF_CHAIN \
	"t.profile_id = $1 AND t.store = $2 AND t.store_original_transaction_id = $3 " \
	"AND t.purchase_type = 'subscription'"

static SavedPlan first_year_plan = {
	.name = "first year of a chain",
	.sql = "SELECT is_after_first_year FROM (" FIRST_YEARS(
		FIRST_YEARS_COLUMNS "WHERE " OF_CHAIN " AND t.store_transaction_id <> $6 "
		"UNION ALL SELECT $1, $2, $3, $6, $4, $5, $7, $8") ") t WHERE store_transaction_id = $6",
	.expected = SPI_OK_SELECT,
	.nargs = 8,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, BOOLOID, TIMESTAMPTZOID},
};

/* Was the payment before after the first year already, and no gap followed?  Then this one is as well. */
static SavedPlan before_plan = {
	.name = "payment before",
	.sql = "SELECT t.is_after_first_year AND " ENDS_AT " + interval '1440 hours' >= $4 "
	"FROM adapty.transactions t WHERE " OF_CHAIN " AND t.purchased_at < $4 "
	"ORDER BY t.purchased_at DESC, " ENDS_AT " DESC LIMIT 1",
	.expected = SPI_OK_SELECT,
	.nargs = 4,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID, TIMESTAMPTZOID},
};

/* Sets is_after_first_year and what follows from it, where it is not so. */
#define SET_FIRST_YEARS \
	"UPDATE adapty.transactions t SET is_after_first_year = y.is_after_first_year, " \
	"    commission_rate = " COMMISSION_RATE("t.store", "t.purchase_type", "t.price_country", \
		"t.purchased_at", "y.is_after_first_year") ", updated_at = now() "

static SavedPlan chain_plan = {
	.name = "first years of a chain's transactions",
	.sql = SET_FIRST_YEARS "FROM (" FIRST_YEARS(FIRST_YEARS_COLUMNS "WHERE " OF_CHAIN) ") y "
	"WHERE " OF_CHAIN " AND t.store_transaction_id = y.store_transaction_id "
	"AND t.is_after_first_year <> y.is_after_first_year",
	.expected = SPI_OK_UPDATE,
	.nargs = 3,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID},
};

/* ---- of one transaction ---- */

/* See money.h. */
bool
may_be_after_first_year(const ChainTransaction *times, TimestampTz originally_purchased_at)
{
	Interval	year = {.month = MONTHS_PER_YEAR};

	return !times->is_trial && times->purchased_at >= clock_add(originally_purchased_at, &year);
}

/* Is a payment after a year of uninterrupted subscription, as far as the chain is known? */
static bool
is_after_first_year(const pg_uuid_t *profile_id, const TransactionReport *t)
{
	Datum		values[8] = {UUIDPGetDatum(profile_id), CStringGetTextDatum(t->store),
		CStringGetTextDatum(t->store_original_transaction_id), TimestampTzGetDatum(t->times.purchased_at),
		TimestampTzGetDatum(t->originally_purchased_at), CStringGetTextDatum(t->store_transaction_id),
	BoolGetDatum(t->times.is_trial), TimestampTzGetDatum(chain_paid_end(&t->times))};

	if (!t->is_subscription || !may_be_after_first_year(&t->times, t->originally_purchased_at))
		return false;
	if (plan_execute_generic(&before_plan, values, NULL, false) > 0 && row_bool(0, 1))
		return true;
	(void) plan_execute_generic(&first_year_plan, values, NULL, false);
	return row_bool(0, 1);
}

/* A numeric column of the first result row; NULL for null. */
static Numeric
row_numeric(int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? NULL : DatumGetNumericCopy(value);
}

/* WARNING: no rate. */
static void
warn_unknown_rate(const TransactionReport *t)
{
	const char *at = clock_iso8601(t->times.purchased_at);

	ereport(WARNING,
			(errmsg("no rate of currency \"%s\" is known for %s, so transaction \"%s\" of store \"%s\" has no price in US dollars",
					t->price_currency, at, t->store_transaction_id, t->store),
			 errhint("Set the rate: SELECT adapty.set_currency_rate('%s', units_per_usd => 1.23, valid_from => '%s'); then SELECT adapty.apply_currency_rates();",
					 t->price_currency, at)));
}

/* See money.h. */
void
money_of(const pg_uuid_t *profile_id, const TransactionReport *t, Money *money)
{
	Datum		values[7] = {CStringGetTextDatum(t->store),
		CStringGetTextDatum(t->is_subscription ? "subscription" : "one_time_purchase"),
		CStringGetTextDatum(t->price_country), CStringGetTextDatum(t->price_currency),
	TimestampTzGetDatum(t->times.purchased_at), 0, NumericGetDatum(t->price_value)};

	money->is_after_first_year = is_after_first_year(profile_id, t);
	values[5] = BoolGetDatum(money->is_after_first_year);
	(void) plan_execute_generic(&amounts_plan, values, NULL, false);
	money->price_usd = row_numeric(1);
	money->commission_rate = row_numeric(2);
	money->tax_rate = row_numeric(3);
	if (money->price_usd == NULL)
		warn_unknown_rate(t);
}

/* See money.h. */
void
money_chain_changed(const Chain *chain)
{
	Datum		values[3] = {UUIDPGetDatum(&chain->profile_id), CStringGetTextDatum(chain->store),
	CStringGetTextDatum(chain->store_original_transaction_id)};

	if (may_be_after_first_year(&chain->newest.times, chain->originally_purchased_at))
		(void) plan_execute(&chain_plan, values, NULL, false);
}

/* ---- settings ---- */

/* Puts a row of rates; $2 null takes it away. */
static SavedPlan put_currency_rate = {
	.name = "currency rate",
	.sql = "INSERT INTO adapty.currency_rates AS r (currency_code, units_per_usd, valid_from) VALUES ($1, $2, $3) "
	"ON CONFLICT (currency_code, valid_from) DO UPDATE SET units_per_usd = excluded.units_per_usd",
	.expected = SPI_OK_INSERT,
	.nargs = 3,
	.argtypes = {TEXTOID, NUMERICOID, TIMESTAMPTZOID},
};

static SavedPlan remove_currency_rate = {
	.name = "currency rate to remove",
	.sql = "DELETE FROM adapty.currency_rates r WHERE r.currency_code = $1 AND r.valid_from = $3 AND $2 IS NULL",
	.expected = SPI_OK_DELETE,
	.nargs = 3,
	.argtypes = {TEXTOID, NUMERICOID, TIMESTAMPTZOID},
};

static SavedPlan put_store_commission = {
	.name = "store commission",
	.sql = "INSERT INTO adapty.store_commissions (store, commission_rate, commission_rate_after_first_year, "
	"    purchase_type, country, valid_from) VALUES ($1, $2, $3, $4::adapty.purchase_type, $5, $6) "
	"ON CONFLICT ON CONSTRAINT store_commissions_key DO UPDATE SET commission_rate = excluded.commission_rate, "
	"    commission_rate_after_first_year = excluded.commission_rate_after_first_year",
	.expected = SPI_OK_INSERT,
	.nargs = 6,
	.argtypes = {TEXTOID, NUMERICOID, NUMERICOID, TEXTOID, TEXTOID, TIMESTAMPTZOID},
};

static SavedPlan remove_store_commission = {
	.name = "store commission to remove",
	.sql = "DELETE FROM adapty.store_commissions c WHERE c.store = $1 AND $2 IS NULL AND $3 IS NULL "
	"AND c.purchase_type IS NOT DISTINCT FROM $4::adapty.purchase_type "
	"AND c.country IS NOT DISTINCT FROM $5 AND c.valid_from = $6",
	.expected = SPI_OK_DELETE,
	.nargs = 6,
	.argtypes = {TEXTOID, NUMERICOID, NUMERICOID, TEXTOID, TEXTOID, TIMESTAMPTZOID},
};

static SavedPlan put_tax_rate = {
	.name = "tax rate",
	.sql = "INSERT INTO adapty.tax_rates (country, tax_rate, store, valid_from) VALUES ($1, $2, $3, $4) "
	"ON CONFLICT ON CONSTRAINT tax_rates_key DO UPDATE SET tax_rate = excluded.tax_rate",
	.expected = SPI_OK_INSERT,
	.nargs = 4,
	.argtypes = {TEXTOID, NUMERICOID, TEXTOID, TIMESTAMPTZOID},
};

static SavedPlan remove_tax_rate = {
	.name = "tax rate to remove",
	.sql = "DELETE FROM adapty.tax_rates x WHERE x.country = $1 AND $2 IS NULL "
	"AND x.store IS NOT DISTINCT FROM $3 AND x.valid_from = $4",
	.expected = SPI_OK_DELETE,
	.nargs = 4,
	.argtypes = {TEXTOID, NUMERICOID, TEXTOID, TIMESTAMPTZOID},
};

/* ERROR (22023): a value that makes no sense. */
static void pg_attribute_noreturn()
report_invalid(const char *name, const char *value, const char *hint)
{
	ereport(ERROR,
			(condition_errcode(COND_BASE_ERROR),
			 errmsg("invalid value for \"%s\": \"%s\"", name, value),
			 errhint("%s", hint)));
}

/* A code of n capital letters as a text datum; null only if it is not required. */
static Datum
arg_code(FunctionCallInfo fcinfo, int n, const char *name, bool required, size_t length, const char *hint)
{
	char	   *code = arg_text(fcinfo, n, name, required, 64);

	if (code == NULL)
		return (Datum) 0;
	if (strlen(code) != length || strspn(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != length)
		report_invalid(name, code, hint);
	return CStringGetTextDatum(code);
}

/* A store as a text datum; null only if it is not required. */
static Datum
arg_store(FunctionCallInfo fcinfo, int n, bool required)
{
	char	   *store = arg_text(fcinfo, n, "store", required, 64);

	if (store == NULL)
		return (Datum) 0;
	if (!is_slug(store))
		report_invalid("store", store, "Give 1 to 64 letters, digits, \"_\", \".\" or \"-\", such as app_store.");
	return CStringGetTextDatum(store);
}

/* ERROR (22023) unless a numeric argument is null or from 0 to 1. */
static void
check_fraction(FunctionCallInfo fcinfo, int n, const char *name)
{
	Datum		one = DirectFunctionCall1(int4_numeric, Int32GetDatum(1));
	Datum		zero = DirectFunctionCall1(int4_numeric, Int32GetDatum(0));

	if (PG_ARGISNULL(n))
		return;
	if (DatumGetBool(DirectFunctionCall2(numeric_lt, PG_GETARG_DATUM(n), zero)) ||
		DatumGetBool(DirectFunctionCall2(numeric_gt, PG_GETARG_DATUM(n), one)))
		report_invalid(name, DatumGetCString(DirectFunctionCall1(numeric_out, PG_GETARG_DATUM(n))),
					   "Give a fraction from 0 to 1: 0.15 for 15 percent.");
}

/* ERROR unless valid_from is there and not infinity. */
static void
check_valid_from(FunctionCallInfo fcinfo, int n)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("valid_from must not be null"),
				 errhint("Give the moment from which it holds; '-infinity' for ever.")));
	if (TIMESTAMP_IS_NOEND(PG_GETARG_TIMESTAMPTZ(n)))
		report_invalid("valid_from", "infinity", "Give the moment from which it holds; '-infinity' for ever.");
}

/* Puts or removes a row by the function's own arguments, "texts" of which are ready in values. */
static Datum
put_setting(FunctionCallInfo fcinfo, SavedPlan *put, SavedPlan *remove, Datum *values)
{
	char		nulls[7] = "      ";
	ApiScope	scope;

	for (int i = 0; i < put->nargs; i++)
	{
		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
		if (!PG_ARGISNULL(i) && put->argtypes[i] != TEXTOID)
			values[i] = PG_GETARG_DATUM(i);
	}
	scope_enter(&scope);
	(void) plan_execute(PG_ARGISNULL(1) ? remove : put, values, nulls, false);
	scope_leave(&scope);
	PG_RETURN_VOID();
}

/* adapty.set_currency_rate(currency_code, units_per_usd, valid_from) */
Datum
adapty_set_currency_rate(PG_FUNCTION_ARGS)
{
	Datum		values[3] = {0};
	Datum		zero = DirectFunctionCall1(int4_numeric, Int32GetDatum(0));
	Datum		limit = DirectFunctionCall1(int8_numeric, Int64GetDatum(INT64CONST(1000000000000)));

	refuse_unless_writable(fcinfo);
	values[0] = arg_code(fcinfo, 0, "currency_code", true, 3, "Give an ISO 4217 code in capitals, such as EUR.");
	if (strcmp(TextDatumGetCString(values[0]), "USD") == 0)
		report_invalid("currency_code", "USD", "A US dollar is one US dollar: give another currency.");
	/* NaN is greater than all numbers */
	if (!PG_ARGISNULL(1) &&
		(DatumGetBool(DirectFunctionCall2(numeric_le, PG_GETARG_DATUM(1), zero)) ||
		 DatumGetBool(DirectFunctionCall2(numeric_ge, PG_GETARG_DATUM(1), limit))))
		report_invalid("units_per_usd", DatumGetCString(DirectFunctionCall1(numeric_out, PG_GETARG_DATUM(1))),
					   "Give how many units one US dollar is worth, above 0: 0.92 if 0.92 euros buy a dollar.");
	check_valid_from(fcinfo, 2);
	return put_setting(fcinfo, &put_currency_rate, &remove_currency_rate, values);
}

/* adapty.set_store_commission(store, commission_rate, after_first_year, purchase_type, country, valid_from) */
Datum
adapty_set_store_commission(PG_FUNCTION_ARGS)
{
	Datum		values[6] = {0};

	refuse_unless_writable(fcinfo);
	values[0] = arg_store(fcinfo, 0, true);
	check_fraction(fcinfo, 1, "commission_rate");
	check_fraction(fcinfo, 2, "after_first_year");
	if (PG_ARGISNULL(1) && !PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("commission_rate must not be null where after_first_year is given")));
	/* an enum of ours goes by its label */
	if (!PG_ARGISNULL(3))
		values[3] = CStringGetTextDatum(DatumGetCString(DirectFunctionCall1(enum_out, PG_GETARG_DATUM(3))));
	values[4] = arg_code(fcinfo, 4, "country", false, 2, "Give an ISO 3166 code of two capitals, such as DE.");
	check_valid_from(fcinfo, 5);
	return put_setting(fcinfo, &put_store_commission, &remove_store_commission, values);
}

/* adapty.set_tax_rate(country, tax_rate, store, valid_from) */
Datum
adapty_set_tax_rate(PG_FUNCTION_ARGS)
{
	Datum		values[4] = {0};

	refuse_unless_writable(fcinfo);
	values[0] = arg_code(fcinfo, 0, "country", true, 2, "Give an ISO 3166 code of two capitals, such as DE.");
	check_fraction(fcinfo, 1, "tax_rate");
	values[2] = arg_store(fcinfo, 2, false);
	check_valid_from(fcinfo, 3);
	return put_setting(fcinfo, &put_tax_rate, &remove_tax_rate, values);
}

/* adapty.revenue_rates(store, purchase_type, country, currency_code, purchased_at, is_after_first_year) */
Datum
adapty_revenue_rates(PG_FUNCTION_ARGS)
{
	Datum		values[6] = {PG_GETARG_DATUM(0), 0, PG_GETARG_DATUM(2), PG_GETARG_DATUM(3), PG_GETARG_DATUM(4),
	PG_GETARG_DATUM(5)};
	TupleDesc	desc;
	Datum		result[3];
	bool		nulls[3];
	ApiScope	scope;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[1] = CStringGetTextDatum(DatumGetCString(DirectFunctionCall1(enum_out, PG_GETARG_DATUM(1))));
	scope_enter(&scope);
	(void) plan_execute_generic(&rates_plan, values, NULL, true);
	for (int i = 0; i < 3; i++)
		result[i] = scope_copy(&scope, 0, i + 1, &nulls[i]);
	scope_leave(&scope);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), result, nulls)));
}

/* ---- filling in later ---- */

#define INCOMPLETE "(t.price_usd IS NULL OR t.commission_rate IS NULL OR t.tax_rate IS NULL)"
#define KNOWN_NOW \
	"(t.price_usd IS NOT NULL OR " PRICE_USD("t.price_value", "t.price_currency", "t.purchased_at") " IS NOT NULL)"
#define CAN_BE_FILLED \
	INCOMPLETE " AND (t.commission_rate IS NULL OR t.tax_rate IS NULL OR " KNOWN_NOW ")"

/* What is reported between the locks and the filling in waits for the next call. */
#define OF_LOCKED \
	"t.profile_id = ANY (COALESCE($1, '{}') || '00000000-0000-0000-0000-000000000000'::uuid)"

/* One at a time: two of them would wait for each other's rows. */
static SavedPlan alone_plan = {
	.name = "only one to fill in rates",
	.sql = "LOCK TABLE adapty.currency_rates IN SHARE UPDATE EXCLUSIVE MODE",
	.expected = SPI_OK_UTILITY,
};

/* Profiles first, in the order in which everybody locks them. */
static SavedPlan lock_plan = {
	.name = "profiles whose transactions can be filled in",
	.sql = "SELECT array_agg(l.profile_id) FROM (SELECT p.profile_id FROM adapty.profiles p "
	"    WHERE p.profile_id IN (SELECT t.profile_id FROM adapty.transactions t WHERE " CAN_BE_FILLED ") "
	"    ORDER BY p.profile_id FOR NO KEY UPDATE) l",
	.expected = SPI_OK_SELECT,
};

static SavedPlan fill_first_years_plan = {
	.name = "first years of transactions to be filled in",
	.sql = SET_FIRST_YEARS "FROM (" FIRST_YEARS(
		FIRST_YEARS_COLUMNS "JOIN (SELECT DISTINCT t.profile_id, t.store, t.store_original_transaction_id "
		"    FROM adapty.transactions t WHERE t.commission_rate IS NULL AND " INCOMPLETE
		"    AND t.purchase_type = 'subscription') chains "
		"USING (profile_id, store, store_original_transaction_id) WHERE t.purchase_type = 'subscription'") ") y "
	"WHERE t.store = y.store AND t.store_transaction_id = y.store_transaction_id "
	"AND t.is_after_first_year <> y.is_after_first_year AND " OF_LOCKED,
	.expected = SPI_OK_UPDATE,
	.nargs = 1,
	.argtypes = {UUIDARRAYOID},
};

static SavedPlan fill_plan = {
	.name = "transactions to be filled in",
	.sql = "UPDATE adapty.transactions t SET updated_at = now(), "
	"    price_usd = COALESCE(t.price_usd, " PRICE_USD("t.price_value", "t.price_currency", "t.purchased_at") "), "
	"    commission_rate = COALESCE(t.commission_rate, " COMMISSION_RATE("t.store", "t.purchase_type",
		"t.price_country", "t.purchased_at", "t.is_after_first_year") "), "
	"    tax_rate = COALESCE(t.tax_rate, " TAX_RATE("t.store", "t.price_country", "t.purchased_at") ") "
	"WHERE " CAN_BE_FILLED " AND " OF_LOCKED,
	.expected = SPI_OK_UPDATE,
	.nargs = 1,
	.argtypes = {UUIDARRAYOID},
};

static SavedPlan refresh_plan = {
	.name = "revenue of profiles",
	.sql = "UPDATE adapty.profiles p SET total_revenue_usd = r.revenue, updated_at = now() "
	"FROM (SELECT t.profile_id, COALESCE(sum(t.price_usd) FILTER (WHERE " IS_REVENUE "), 0) AS revenue "
	"    FROM adapty.transactions t WHERE t.profile_id = ANY ($1) GROUP BY t.profile_id) r "
	"WHERE p.profile_id = r.profile_id AND p.total_revenue_usd <> r.revenue",
	.expected = SPI_OK_UPDATE,
	.nargs = 1,
	.argtypes = {UUIDARRAYOID},
};

/* adapty.apply_currency_rates(): see the function's COMMENT. */
Datum
adapty_apply_currency_rates(PG_FUNCTION_ARGS)
{
	ApiScope	scope;
	Datum		profiles;
	bool		isnull;
	uint64		filled;

	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	(void) plan_execute(&alone_plan, NULL, NULL, false);
	(void) plan_execute(&lock_plan, NULL, NULL, false);
	profiles = scope_copy(&scope, 0, 1, &isnull);
	(void) plan_execute(&fill_first_years_plan, &profiles, isnull ? "n" : NULL, false);
	filled = plan_execute(&fill_plan, &profiles, isnull ? "n" : NULL, false);
	if (!isnull)
		(void) plan_execute(&refresh_plan, &profiles, NULL, false);
	scope_leave(&scope);
	PG_RETURN_INT64((int64) filled);
}
