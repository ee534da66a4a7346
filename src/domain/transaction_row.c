/*
 * transaction_row.c
 *		Rows of transactions: with transaction.c the only writer of the table.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/plan_args.h"
#include "base/plans.h"
#include "domain/money.h"
#include "domain/transaction_row.h"

/* The columns of a transaction in the order of read_transaction(). */
#define TRANSACTION_COLUMNS \
	"t.profile_id, t.store_original_transaction_id, t.purchase_type::text, t.store_product_id, " \
	"t.store_base_plan_id, t.environment::text, t.offer_category::text, t.offer_type::text, t.offer_id, " \
	"t.cancellation_reason::text, t.variation_id, t.price_country::text, t.price_currency::text, " \
	"t.price_value, t.product_id, t.is_family_shared, t.renew_status, t.purchased_at, " \
	"t.originally_purchased_at, t.expires_at, t.refunded_at, t.renew_status_changed_at, " \
	"t.billing_issue_detected_at, t.grace_period_expires_at, t.paused_at, t.resumes_at, t.reported_at"

/* One row always: what there is of the chain and of the transaction, each by its unique key. */
static SavedPlan purchase_plan = {
	.name = "known purchase",
	.sql = "SELECT " CHAIN_COLUMNS ", " TRANSACTION_COLUMNS " FROM (VALUES (1)) AS one (n) "
	"LEFT JOIN adapty.subscriptions s ON s.store OPERATOR(pg_catalog.=) $1 "
	"    AND s.store_original_transaction_id OPERATOR(pg_catalog.=) $2 "
	"LEFT JOIN adapty.transactions t ON t.store OPERATOR(pg_catalog.=) $1 "
	"    AND t.store_transaction_id OPERATOR(pg_catalog.=) $3",
	.expected = SPI_OK_SELECT,
	.nargs = 3,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID},
};

#define NOBODYS "t.profile_id OPERATOR(pg_catalog.=) '00000000-0000-0000-0000-000000000000'::pg_catalog.uuid "

static SavedPlan claim_one_plan = {
	.name = "claim of a transaction",
	.sql = "UPDATE adapty.transactions t SET profile_id = $1, updated_at = pg_catalog.now() "
	"WHERE " NOBODYS "AND t.store OPERATOR(pg_catalog.=) $2 "
	"AND t.store_transaction_id OPERATOR(pg_catalog.=) $3",
	.expected = SPI_OK_UPDATE,
	.nargs = 3,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID},
};

static SavedPlan claim_chain_plan = {
	.name = "claim of a chain's transactions",
	.sql = "UPDATE adapty.transactions t SET profile_id = $1, updated_at = pg_catalog.now() "
	"WHERE " NOBODYS "AND t.store OPERATOR(pg_catalog.=) $2 "
	"AND t.store_original_transaction_id OPERATOR(pg_catalog.=) $3",
	.expected = SPI_OK_UPDATE,
	.nargs = 3,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID},
};

static SavedPlan forget_one_plan = {
	.name = "nobody's transaction",
	.sql = "DELETE FROM adapty.transactions t WHERE " NOBODYS "AND t.store OPERATOR(pg_catalog.=) $1 "
	"AND t.store_transaction_id OPERATOR(pg_catalog.=) $2",
	.expected = SPI_OK_DELETE,
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

static SavedPlan forget_chain_plan = {
	.name = "nobody's chain of transactions",
	.sql = "DELETE FROM adapty.transactions t WHERE " NOBODYS "AND t.store OPERATOR(pg_catalog.=) $1 "
	"AND t.store_original_transaction_id OPERATOR(pg_catalog.=) $2",
	.expected = SPI_OK_DELETE,
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

#define N_PUT_ARGS 33
#define PUT_ARGTYPES {UUIDOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, \
		TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, NUMERICOID, UUIDOID, BOOLOID, BOOLOID, \
		TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, \
		TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, NUMERICOID, NUMERICOID, NUMERICOID, \
		BOOLOID}

static SavedPlan insert_plan = {
	.name = "new transaction",
	.sql = "INSERT INTO adapty.transactions "
	"    (profile_id, store, store_transaction_id, store_original_transaction_id, purchase_type, "
	"     store_product_id, store_base_plan_id, environment, offer_category, offer_type, offer_id, "
	"     cancellation_reason, variation_id, price_country, price_currency, price_value, product_id, "
	"     is_family_shared, renew_status, purchased_at, originally_purchased_at, expires_at, refunded_at, "
	"     renew_status_changed_at, billing_issue_detected_at, grace_period_expires_at, paused_at, "
	"     resumes_at, reported_at, price_usd, commission_rate, tax_rate, is_after_first_year) "
	"VALUES ($1, $2, $3, $4, $5::adapty.purchase_type, $6, $7, $8::adapty.environment, "
	"    $9::adapty.offer_category, $10::adapty.offer_type, $11, $12::adapty.cancellation_reason, $13, "
	"    $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, "
	"    $32, $33) "
	"ON CONFLICT DO NOTHING",
	.expected = SPI_OK_INSERT,
	.nargs = N_PUT_ARGS,
	.argtypes = PUT_ARGTYPES,
};

/* What was fixed about money stays, unless the report corrects what it was made from. */
#define SAME_PRICE \
	"t.price_value OPERATOR(pg_catalog.=) $16 AND t.price_currency OPERATOR(pg_catalog.=) $15 " \
	"AND t.purchased_at OPERATOR(pg_catalog.=) $20"
#define SAME_COUNTRY \
	"t.price_country OPERATOR(pg_catalog.=) $14 AND t.purchased_at OPERATOR(pg_catalog.=) $20"

static SavedPlan update_plan = {
	.name = "transaction to change",
	.sql = "UPDATE adapty.transactions t SET store_product_id = $6, store_base_plan_id = $7, "
	"    environment = $8::adapty.environment, offer_category = $9::adapty.offer_category, "
	"    offer_type = $10::adapty.offer_type, offer_id = $11, "
	"    cancellation_reason = $12::adapty.cancellation_reason, variation_id = $13, price_country = $14, "
	"    price_currency = $15, price_value = $16, product_id = $17, is_family_shared = $18, "
	"    renew_status = $19, purchased_at = $20, originally_purchased_at = $21, expires_at = $22, "
	"    refunded_at = $23, renew_status_changed_at = $24, billing_issue_detected_at = $25, "
	"    grace_period_expires_at = $26, paused_at = $27, resumes_at = $28, reported_at = $29, "
	"    price_usd = CASE WHEN " SAME_PRICE " THEN COALESCE(t.price_usd, $30) ELSE $30 END, "
	"    commission_rate = CASE WHEN " SAME_COUNTRY " AND t.is_after_first_year OPERATOR(pg_catalog.=) $33 "
	"        THEN COALESCE(t.commission_rate, $31) ELSE $31 END, "
	"    tax_rate = CASE WHEN " SAME_COUNTRY " THEN COALESCE(t.tax_rate, $32) ELSE $32 END, "
	"    is_after_first_year = $33, updated_at = pg_catalog.now() "
	"WHERE t.profile_id OPERATOR(pg_catalog.=) $1 AND t.store OPERATOR(pg_catalog.=) $2 "
	"AND t.store_transaction_id OPERATOR(pg_catalog.=) $3 "
	"AND t.store_original_transaction_id OPERATOR(pg_catalog.=) $4 "
	"AND t.purchase_type OPERATOR(pg_catalog.=) $5::adapty.purchase_type",
	.expected = SPI_OK_UPDATE,
	.nargs = N_PUT_ARGS,
	.argtypes = PUT_ARGTYPES,
};

static SavedPlan refund_plan = {
	.name = "refund of a transaction",
	.sql = "UPDATE adapty.transactions t SET refunded_at = GREATEST($4, t.purchased_at), "
	"    cancellation_reason = 'refund'::adapty.cancellation_reason, updated_at = pg_catalog.now() "
	"WHERE t.profile_id OPERATOR(pg_catalog.=) $1 AND t.store OPERATOR(pg_catalog.=) $2 "
	"AND t.store_transaction_id OPERATOR(pg_catalog.=) $3 AND t.refunded_at IS NULL",
	.expected = SPI_OK_UPDATE,
	.nargs = 4,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID, TIMESTAMPTZOID},
};

/* ---- values of the plans ---- */

/* Null for NULL. */
static void
add_numeric(PlanArgs *args, Numeric value)
{
	plan_add(args, NumericGetDatum(value), value == NULL);
}

/* All of a transaction, in the order of the plans. */
static void
put_args(PlanArgs *args, const pg_uuid_t *profile_id, const TransactionReport *t,
		 const pg_uuid_t *product_id)
{
	const ChainTransaction *times = &t->times;
	Money		money;

	money_of(profile_id, t, &money);
	args->n = 0;
	plan_add(args, UUIDPGetDatum(profile_id), false);
	plan_add_text(args, t->store);
	plan_add_text(args, t->store_transaction_id);
	plan_add_text(args, t->store_original_transaction_id);
	plan_add_text(args, t->is_subscription ? "subscription" : "one_time_purchase");
	plan_add_text(args, t->store_product_id);
	plan_add_text(args, t->store_base_plan_id);
	plan_add_text(args, t->environment);
	plan_add_text(args, t->offer_category);
	plan_add_text(args, t->offer_type);
	plan_add_text(args, t->offer_id);
	plan_add_text(args, t->cancellation_reason);
	plan_add_text(args, t->variation_id);
	plan_add_text(args, t->price_country);
	plan_add_text(args, t->price_currency);
	add_numeric(args, t->price_value);
	plan_add(args, UUIDPGetDatum(product_id), product_id == NULL);
	plan_add(args, BoolGetDatum(t->is_family_shared), false);
	plan_add(args, BoolGetDatum(times->renew_status), !t->is_subscription);
	plan_add_time(args, times->purchased_at);
	plan_add_time(args, t->originally_purchased_at);
	plan_add_time(args, times->expires_at);
	plan_add_time(args, times->refunded_at);
	plan_add_time(args, times->renew_status_changed_at);
	plan_add_time(args, times->billing_issue_detected_at);
	plan_add_time(args, times->grace_period_expires_at);
	plan_add_time(args, times->paused_at);
	plan_add_time(args, times->resumes_at);
	plan_add_time(args, t->reported_at);
	add_numeric(args, money.price_usd);
	add_numeric(args, money.commission_rate);
	add_numeric(args, money.tax_rate);
	plan_add(args, BoolGetDatum(money.is_after_first_year), false);
	Assert(args->n == N_PUT_ARGS);
}

/* The TRANSACTION_COLUMNS of result row 0 from a column on. */
static void
read_transaction(int first, const TransactionReport *report, StoredTransaction *known)
{
	TransactionReport *t = &known->report;
	ChainTransaction *times = &t->times;
	TupleDesc	desc = SPI_tuptable->tupdesc;
	HeapTuple	row = SPI_tuptable->vals[0];
	bool		isnull;
	Datum		value = SPI_getbinval(row, desc, first, &isnull);

	memset(known, 0, sizeof(*known));
	if (isnull)
		return;
	known->exists = true;
	known->profile_id = *DatumGetUUIDP(value);
	t->store = report->store;
	t->store_transaction_id = report->store_transaction_id;
	t->store_original_transaction_id = row_text(0, first + 1);
	t->is_subscription = strcmp(row_text(0, first + 2), "subscription") == 0;
	t->store_product_id = row_text(0, first + 3);
	t->store_base_plan_id = row_text(0, first + 4);
	t->environment = row_text(0, first + 5);
	t->offer_category = row_text(0, first + 6);
	t->offer_type = row_text(0, first + 7);
	t->offer_id = row_text(0, first + 8);
	t->cancellation_reason = row_text(0, first + 9);
	t->variation_id = row_text(0, first + 10);
	t->price_country = row_text(0, first + 11);
	t->price_currency = row_text(0, first + 12);
	t->price_value = DatumGetNumericCopy(SPI_getbinval(row, desc, first + 13, &isnull));
	value = SPI_getbinval(row, desc, first + 14, &isnull);
	known->is_mapped = !isnull;
	if (!isnull)
		known->product_id = *DatumGetUUIDP(value);
	t->is_family_shared = row_bool(0, first + 15);
	times->renew_status = row_bool(0, first + 16);
	times->purchased_at = row_time(0, first + 17);
	t->originally_purchased_at = row_time(0, first + 18);
	times->expires_at = row_time(0, first + 19);
	times->refunded_at = row_time(0, first + 20);
	times->renew_status_changed_at = row_time(0, first + 21);
	times->billing_issue_detected_at = row_time(0, first + 22);
	times->grace_period_expires_at = row_time(0, first + 23);
	times->paused_at = row_time(0, first + 24);
	times->resumes_at = row_time(0, first + 25);
	t->reported_at = row_time(0, first + 26);
	transaction_report_derive(t);
}

/* See transaction_row.h. */
void
purchase_load(const TransactionReport *report, StoredTransaction *known, Chain *chain)
{
	Datum		values[3] = {CStringGetTextDatum(report->store),
		CStringGetTextDatum(report->store_original_transaction_id),
	CStringGetTextDatum(report->store_transaction_id)};

	/* a one-time purchase has no chain */
	if (plan_execute_generic(&purchase_plan, values, report->is_subscription ? NULL : " n ", false) != 1)
		elog(ERROR, "a purchase must be known or not");
	chain_read_row(0, 1, report->store, chain);
	read_transaction(N_CHAIN_COLUMNS + 1, report, known);
}

/* See transaction_row.h. */
bool
transaction_insert(const pg_uuid_t *profile_id, const TransactionReport *t, const pg_uuid_t *product_id)
{
	PlanArgs	args;

	put_args(&args, profile_id, t, product_id);
	return plan_execute_generic(&insert_plan, args.values, args.nulls, false) == 1;
}

/* See transaction_row.h. */
void
transaction_update(const pg_uuid_t *profile_id, const TransactionReport *t, const pg_uuid_t *product_id)
{
	PlanArgs	args;

	put_args(&args, profile_id, t, product_id);
	if (plan_execute_generic(&update_plan, args.values, args.nulls, false) != 1)
		elog(ERROR, "transaction \"%s\" of store \"%s\" is not there", t->store_transaction_id, t->store);
}

/* See transaction_row.h. */
bool
transaction_claim(const pg_uuid_t *profile_id, const TransactionReport *t)
{
	Datum		values[3] = {UUIDPGetDatum(profile_id), CStringGetTextDatum(t->store),
	CStringGetTextDatum(t->is_subscription ? t->store_original_transaction_id : t->store_transaction_id)};

	if (plan_execute_generic(t->is_subscription ? &claim_chain_plan : &claim_one_plan, values, NULL, false) == 0)
		return false;
	if (t->is_subscription)
		chain_claim(profile_id, t->store, t->store_original_transaction_id);
	return true;
}

/* See transaction_row.h. */
void
transaction_forget_nobodys(const TransactionReport *t)
{
	Datum		values[2] = {CStringGetTextDatum(t->store),
	CStringGetTextDatum(t->is_subscription ? t->store_original_transaction_id : t->store_transaction_id)};

	(void) plan_execute_generic(t->is_subscription ? &forget_chain_plan : &forget_one_plan, values, NULL, false);
	if (t->is_subscription)
		chain_forget_nobodys(t->store, t->store_original_transaction_id);
}

/* See transaction_row.h. */
bool
transaction_mark_refunded(const pg_uuid_t *profile_id, const char *store,
						  const char *store_transaction_id, TimestampTz at)
{
	Datum		values[4] = {UUIDPGetDatum(profile_id), CStringGetTextDatum(store),
	CStringGetTextDatum(store_transaction_id), TimestampTzGetDatum(at)};

	return plan_execute_generic(&refund_plan, values, NULL, false) > 0;
}
