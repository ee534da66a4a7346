/*
 * offer.c
 *		Offers of subscription products: the only writer of offers.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "base/arg.h"
#include "base/errors.h"
#include "base/json_fields.h"
#include "base/plans.h"
#include "domain/offer.h"
#include "domain/product.h"
#include "domain/targeting.h"

#define MAX_OFFER_ID 255		/* characters */

PG_FUNCTION_INFO_V1(adapty_define_offer);
PG_FUNCTION_INFO_V1(adapty_delete_offer);

static SavedPlan product_plan = {
	.name = "product of a paywall",
	.sql = "SELECT p.product_id, p.title, p.period NOT IN ('lifetime', 'consumable', 'nonsubscriptions') "
	"FROM adapty.products p WHERE p.title = $1 OR p.product_id::text = $1 LIMIT 2",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static SavedPlan offer_plan = {
	.name = "offer of a product",
	.sql = "SELECT o.offer_id FROM adapty.offers o "
	"WHERE o.product_id = $1 AND (o.title = $2 OR o.offer_id::text = $2)",
	.expected = SPI_OK_SELECT,
	.nargs = 2,
	.argtypes = {UUIDOID, TEXTOID},
};

static SavedPlan offer_put_plan = {
	.name = "offer",
	.sql = "INSERT INTO adapty.offers AS o (product_id, title, offer_category, offer_type, store_offer_ids) "
	"VALUES ($1, $2, COALESCE($3, 'promotional')::adapty.offer_category, $4::adapty.offer_type, COALESCE($5, '{}'::jsonb)) "
	"ON CONFLICT ON CONSTRAINT offers_title_key DO UPDATE SET "
	"    offer_category = COALESCE($3::adapty.offer_category, o.offer_category), "
	"    offer_type = COALESCE($4::adapty.offer_type, o.offer_type), "
	"    store_offer_ids = COALESCE($5, o.store_offer_ids) RETURNING offer_id",
	.expected = SPI_OK_INSERT_RETURNING,
	.nargs = 5,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID},
};

static SavedPlan offer_delete_plan = {
	.name = "offer to delete",
	.sql = "DELETE FROM adapty.offers o WHERE o.offer_id = $1",
	.expected = SPI_OK_DELETE,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan offer_users_plan = {
	.name = "paywalls with an offer",
	.sql = "SELECT pg_catalog.string_agg(pg_catalog.format('paywall \"%s\"', w.title), ', ' ORDER BY w.title) "
	"FROM adapty.paywall_products pp JOIN adapty.paywalls w ON w.paywall_id = pp.paywall_id "
	"WHERE pp.offer_id = $1 HAVING pg_catalog.count(*) > 0",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

/* A uuid of the first result row. */
static pg_uuid_t
result_uuid(int column)
{
	bool		isnull;

	return *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull));
}

/* See offer.h. */
pg_uuid_t
product_lookup(const char *product, bool *is_subscription)
{
	Datum		values[1] = {CStringGetTextDatum(product)};
	uint64		n = plan_execute(&product_plan, values, NULL, false);
	bool		isnull;

	if (n == 0)
		ereport(ERROR,
				(condition_errcode(COND_PRODUCT_DOES_NOT_EXIST),
				 errmsg("product \"%s\" does not exist", product),
				 errhint("Make it first: adapty.define_product().")));
	if (n > 1)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("there are several products titled \"%s\"", product),
				 errhint("Name it by its product_id: see adapty.products.")));
	*is_subscription = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &isnull));
	return result_uuid(1);
}

/* See offer.h. */
pg_uuid_t
offer_lookup(const pg_uuid_t *product_id, const char *product, const char *offer)
{
	Datum		values[2] = {UUIDPGetDatum(product_id), CStringGetTextDatum(offer)};

	if (plan_execute(&offer_plan, values, NULL, false) == 0)
		ereport(ERROR,
				(condition_errcode(COND_OFFER_DOES_NOT_EXIST),
				 errmsg("product \"%s\" has no offer \"%s\"", product, offer),
				 errhint("Make it first: adapty.define_offer().")));
	return result_uuid(1);
}

/* ---- offers ---- */

/* Argument store_offer_ids: ERROR (22023) if it is not a map of stores to ids. */
static void
check_store_offer_ids(Jsonb *ids)
{
	JsonFields	fields = {.object = ids, .prefix = "store_offer_ids."};
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	value;

	if (!JB_ROOT_IS_OBJECT(ids))
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("store_offer_ids must be an object"),
				 errdetail("Its keys are stores, its values the offer's id there: {\"app_store\": \"spring\"}."),
				 err_generic_string(PG_DIAG_COLUMN_NAME, "store_offer_ids")));
	it = JsonbIteratorInit(&ids->root);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		char	   *store;

		if (token != WJB_KEY)
			continue;
		store = pnstrdup(value.val.string.val, value.val.string.len);
		if (!is_slug(store))
			ereport(ERROR,
					(condition_errcode(COND_BASE_ERROR),
					 errmsg("invalid store \"%s\"", store),
					 errdetail("It must be 1 to 64 letters, digits, \"_\", \".\" or \"-\"."),
					 err_generic_string(PG_DIAG_COLUMN_NAME, "store_offer_ids")));
		(void) field_text(&fields, store, true, MAX_OFFER_ID);
	}
}

/* An argument of an enum type as text; NULL for null. */
static Datum
enum_argument(FunctionCallInfo fcinfo, int n, char *null)
{
	*null = PG_ARGISNULL(n) ? 'n' : ' ';
	return PG_ARGISNULL(n) ? (Datum) 0 :
		CStringGetTextDatum(DatumGetCString(DirectFunctionCall1(enum_out, PG_GETARG_DATUM(n))));
}

/* define_offer(product, title, offer_category, offer_type, store_offer_ids) */
Datum
adapty_define_offer(PG_FUNCTION_ARGS)
{
	char	   *product = arg_text(fcinfo, 0, "product", true, MAX_TARGETING_TITLE);
	char	   *title = arg_text(fcinfo, 1, "title", true, MAX_TARGETING_TITLE);
	pg_uuid_t  *offer_id = palloc(sizeof(pg_uuid_t));
	pg_uuid_t	product_id;
	Datum		values[5];
	char		nulls[] = "     ";
	bool		is_subscription;
	ApiScope	scope;

	if (!PG_ARGISNULL(4))
		check_store_offer_ids(PG_GETARG_JSONB_P(4));
	refuse_unless_writable(fcinfo);
	values[1] = CStringGetTextDatum(title);
	values[2] = enum_argument(fcinfo, 2, &nulls[2]);
	values[3] = enum_argument(fcinfo, 3, &nulls[3]);
	values[4] = PG_ARGISNULL(4) ? (Datum) 0 : PG_GETARG_DATUM(4);
	nulls[4] = PG_ARGISNULL(4) ? 'n' : ' ';
	scope_enter(&scope);
	targeting_lock();
	product_id = product_lookup(product, &is_subscription);
	if (!is_subscription)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("product \"%s\" cannot have offers", product),
				 errdetail("Only subscriptions have offers.")));
	values[0] = UUIDPGetDatum(&product_id);
	(void) plan_execute(&offer_put_plan, values, nulls, false);
	*offer_id = result_uuid(1);
	scope_leave(&scope);
	PG_RETURN_UUID_P(offer_id);
}

/* delete_offer(product, title) */
Datum
adapty_delete_offer(PG_FUNCTION_ARGS)
{
	char	   *product = arg_text(fcinfo, 0, "product", true, MAX_TARGETING_TITLE);
	char	   *title = arg_text(fcinfo, 1, "title", true, MAX_TARGETING_TITLE);
	pg_uuid_t	product_id;
	pg_uuid_t	offer_id;
	Datum		values[1];
	bool		is_subscription;
	ApiScope	scope;

	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	targeting_lock();
	product_id = product_lookup(product, &is_subscription);
	offer_id = offer_lookup(&product_id, product, title);
	targeting_check_unused(&offer_users_plan, &offer_id, "offer", title,
						   "Take it off the paywalls first: adapty.define_paywall(title, products => ...).");
	values[0] = UUIDPGetDatum(&offer_id);
	(void) plan_execute(&offer_delete_plan, values, NULL, false);
	scope_leave(&scope);
	PG_RETURN_VOID();
}
