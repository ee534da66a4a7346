/*
 * product.c
 *		The catalogue: the only writer of access_levels, products and store_products.
 *
 * A store product is bound to one product; a product gives at most one access level.  A binding
 * with an empty base plan covers the store product as a whole.
 *
 * Access levels are deleted seldom and granted all the time, so the deleter pays: it locks
 * access_grants against writers before it looks, and a grant checks the level after it opened
 * access_grants.  Whichever is second sees the first.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/uuid.h"

#include "base/arg.h"
#include "base/errors.h"
#include "base/ext_state.h"
#include "base/json_fields.h"
#include "base/plans.h"
#include "domain/grant.h"
#include "domain/product.h"

#define MAX_TITLE 255			/* characters, as are the next */
#define MAX_ACCESS_LEVEL_ID 64
#define MAX_STORE_PRODUCT_ID 255
#define SHOWN_USERS 5			/* of an access level, of each kind; level_users_plan has it too */
#define PREMIUM "premium"		/* the level that is always there */

/* A store product that a product is to be bound to. */
typedef struct Binding
{
	char	   *store;
	char	   *store_product_id;
	char	   *store_base_plan_id; /* "" for none */
} Binding;

PG_FUNCTION_INFO_V1(adapty_define_access_level);
PG_FUNCTION_INFO_V1(adapty_delete_access_level);
PG_FUNCTION_INFO_V1(adapty_define_product);
PG_FUNCTION_INFO_V1(adapty_access_levels_guard);

static SavedPlan level_update_plan = {
	.name = "title of an access level",
	.sql = "UPDATE adapty.access_levels l SET title = COALESCE($2, l.title) "
	"WHERE l.access_level_id OPERATOR(pg_catalog.=) $1",
	.expected = SPI_OK_UPDATE,
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

static SavedPlan level_insert_plan = {
	.name = "new access level",
	.sql = "INSERT INTO adapty.access_levels AS l (access_level_id, title) VALUES ($1, COALESCE($2, $1)) "
	"ON CONFLICT (access_level_id) DO UPDATE SET title = COALESCE($2, l.title)",
	.expected = SPI_OK_INSERT,
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

static SavedPlan level_restore_plan = {
	.name = "access level that is there already",
	.sql = "UPDATE adapty.access_levels l SET title = $2, created_at = LEAST(l.created_at, $3) "
	"WHERE l.access_level_id OPERATOR(pg_catalog.=) $1",
	.expected = SPI_OK_UPDATE,
	.nargs = 3,
	.argtypes = {TEXTOID, TEXTOID, TIMESTAMPTZOID},
};

static SavedPlan level_delete_plan = {
	.name = "access level to delete",
	.sql = "DELETE FROM adapty.access_levels l WHERE l.access_level_id OPERATOR(pg_catalog.=) $1",
	.expected = SPI_OK_DELETE,
	.nargs = 1,
	.argtypes = {TEXTOID},
};

/* Who uses a level: products and promotions by title, grants by profile; of each the first few and how many. */
static SavedPlan level_users_plan = {
	.name = "users of an access level",
	.sql = "SELECT (SELECT pg_catalog.concat_ws(', ', "
	"    (SELECT pg_catalog.string_agg(pg_catalog.format('product \"%s\"', p.title), ', ') "
	"     FROM (SELECT p.title FROM adapty.products p "
	"           WHERE p.access_level_id OPERATOR(pg_catalog.=) $1 ORDER BY p.title LIMIT 5) p), "
	"    (SELECT pg_catalog.string_agg(pg_catalog.format('promo codes \"%s\"', b.title), ', ') "
	"     FROM (SELECT b.title FROM adapty.promo_code_batches b "
	"           WHERE b.access_level_id OPERATOR(pg_catalog.=) $1 ORDER BY b.title LIMIT 5) b), "
	"    (SELECT pg_catalog.string_agg(pg_catalog.format('promo campaign \"%s\"', m.name), ', ') "
	"     FROM (SELECT m.name FROM adapty.promo_campaigns m "
	"           WHERE m.access_level_id OPERATOR(pg_catalog.=) $1 ORDER BY m.name LIMIT 5) m), "
	"    (SELECT pg_catalog.string_agg(pg_catalog.format('grant of profile_id \"%s\"', g.profile_id), ', ') "
	"     FROM (SELECT DISTINCT g.profile_id FROM adapty.access_grants g "
	"           WHERE g.access_level_id OPERATOR(pg_catalog.=) $1 ORDER BY g.profile_id LIMIT 5) g))), "
	"(SELECT pg_catalog.count(*) FROM adapty.products p WHERE p.access_level_id OPERATOR(pg_catalog.=) $1) "
	" OPERATOR(pg_catalog.+) "
	"(SELECT pg_catalog.count(*) FROM adapty.promo_code_batches b WHERE b.access_level_id OPERATOR(pg_catalog.=) $1) "
	" OPERATOR(pg_catalog.+) "
	"(SELECT pg_catalog.count(*) FROM adapty.promo_campaigns m WHERE m.access_level_id OPERATOR(pg_catalog.=) $1), "
	"(SELECT pg_catalog.count(*) FROM adapty.access_grants g WHERE g.access_level_id OPERATOR(pg_catalog.=) $1)",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {TEXTOID},
};

/* One definition at a time, so that a title stays one product. */
static SavedPlan products_lock_plan = {
	.name = "lock of products",
	.sql = "LOCK TABLE adapty.products IN SHARE ROW EXCLUSIVE MODE",
	.expected = SPI_OK_UTILITY,
};

static SavedPlan product_by_title_plan = {
	.name = "product of a title",
	.sql = "SELECT p.product_id FROM adapty.products p WHERE p.title OPERATOR(pg_catalog.=) $1 LIMIT 2",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static SavedPlan product_insert_plan = {
	.name = "new product",
	.sql = "INSERT INTO adapty.products (title, access_level_id, period) "
	"VALUES ($1, $2, $3::adapty.product_period) RETURNING product_id",
	.expected = SPI_OK_INSERT_RETURNING,
	.nargs = 3,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID},
};

static SavedPlan product_update_plan = {
	.name = "product",
	.sql = "UPDATE adapty.products p SET access_level_id = $2, period = $3::adapty.product_period "
	"WHERE p.product_id OPERATOR(pg_catalog.=) $1",
	.expected = SPI_OK_UPDATE,
	.nargs = 3,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID},
};

static SavedPlan binding_plan = {
	.name = "store product",
	.sql = "INSERT INTO adapty.store_products (store, store_product_id, store_base_plan_id, product_id) "
	"VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
	.expected = SPI_OK_INSERT,
	.nargs = 4,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, UUIDOID},
};

static SavedPlan bound_plan = {
	.name = "product that a store product is bound to",
	.sql = "SELECT p.product_id, p.title FROM adapty.store_products s "
	"JOIN adapty.products p ON p.product_id OPERATOR(pg_catalog.=) s.product_id "
	"WHERE s.store OPERATOR(pg_catalog.=) $1 AND s.store_product_id OPERATOR(pg_catalog.=) $2 "
	"AND s.store_base_plan_id OPERATOR(pg_catalog.=) $3",
	.expected = SPI_OK_SELECT,
	.nargs = 3,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID},
};

static SavedPlan product_of_store_plan = {
	.name = "product of a store product",
	.sql = "WITH bound AS (SELECT s.product_id, s.store_base_plan_id FROM adapty.store_products s "
	"    WHERE s.store OPERATOR(pg_catalog.=) $1 AND s.store_product_id OPERATOR(pg_catalog.=) $2) "
	"SELECT p.product_id, p.access_level_id::text, "
	"    p.period OPERATOR(pg_catalog.=) 'consumable'::adapty.product_period "
	"FROM adapty.products p WHERE p.product_id OPERATOR(pg_catalog.=) COALESCE("
	"    (SELECT b.product_id FROM bound b WHERE b.store_base_plan_id OPERATOR(pg_catalog.=) $3), "
	"    (SELECT b.product_id FROM bound b WHERE b.store_base_plan_id OPERATOR(pg_catalog.=) ''), "
	"    (SELECT (pg_catalog.array_agg(b.product_id))[1] FROM bound b WHERE $3 OPERATOR(pg_catalog.=) '' "
	"     HAVING pg_catalog.count(DISTINCT b.product_id) OPERATOR(pg_catalog.=) 1))",
	.expected = SPI_OK_SELECT,
	.nargs = 3,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID},
};

/* ---- access levels ---- */

/* See product.h. */
bool
is_slug(const char *value)
{
	size_t		length = strlen(value);

	return length >= 1 && length <= MAX_ACCESS_LEVEL_ID &&
		strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == length;
}

/*
 * define_access_level(access_level_id, title): makes an access level, or changes its title; without
 * a title a new one is called by its id and an old one keeps its own.  Returns the id.
 */
Datum
adapty_define_access_level(PG_FUNCTION_ARGS)
{
	char	   *id = arg_text(fcinfo, 0, "access_level_id", true, MAX_ACCESS_LEVEL_ID);
	char	   *title = arg_text(fcinfo, 1, "title", false, MAX_TITLE);
	Datum		values[2];
	const char *nulls = title == NULL ? " n" : NULL;
	ApiScope	scope;

	if (!is_slug(id))
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("invalid access_level_id \"%s\"", id),
				 errdetail("It must be 1 to 64 letters, digits, \"_\", \".\" or \"-\".")));
	values[0] = CStringGetTextDatum(id);
	values[1] = title == NULL ? (Datum) 0 : CStringGetTextDatum(title);
	scope_enter(&scope);
	if (plan_execute(&level_update_plan, values, nulls, false) == 0)
		(void) plan_execute(&level_insert_plan, values, nulls, false);
	scope_leave(&scope);
	PG_RETURN_DATUM(values[0]);
}

/* ERROR (23503), naming who, if products or grants use an access level. */
static void
check_level_unused(const char *id)
{
	Datum		values[1] = {CStringGetTextDatum(id)};
	TupleDesc	desc;
	HeapTuple	row;
	int64		products;
	int64		grants;
	bool		isnull;

	(void) plan_execute(&level_users_plan, values, NULL, false);
	desc = SPI_tuptable->tupdesc;
	row = SPI_tuptable->vals[0];
	products = DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull));
	grants = DatumGetInt64(SPI_getbinval(row, desc, 3, &isnull));
	if (products == 0 && grants == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
			 errmsg("access level \"%s\" is in use", id),
			 errdetail("It is used by %s%s.", SPI_getvalue(row, desc, 1),
					   products > SHOWN_USERS || grants > SHOWN_USERS ? " and others" : ""),
			 errhint("Give the products another access level first. A level that users have or had, or that promotions give, is kept.")));
}

/*
 * delete_access_level(access_level_id).  ERROR for premium, for an unknown one (PT404), and while
 * products or grants use it (23503).
 */
Datum
adapty_delete_access_level(PG_FUNCTION_ARGS)
{
	char	   *id = arg_text(fcinfo, 0, "access_level_id", true, MAX_ACCESS_LEVEL_ID);
	Datum		values[1];
	ApiScope	scope;

	scope_enter(&scope);
	access_level_check(id);
	/* premium is refused by the trigger, which says why: no lock and no look at its users before */
	if (strcmp(id, PREMIUM) != 0)
	{
		LockRelationOid(ext_state()->tables[TABLE_ACCESS_GRANTS], ShareRowExclusiveLock);
		check_level_unused(id);
	}
	values[0] = CStringGetTextDatum(id);
	(void) plan_execute(&level_delete_plan, values, NULL, false);
	scope_leave(&scope);
	PG_RETURN_VOID();
}

/* Text column of a trigger's row. */
static char *
trigger_text(HeapTuple row, TupleDesc desc, const char *column)
{
	return SPI_getvalue(row, desc, SPI_fnumber(desc, column));
}

/* ERROR (55000): premium stays. */
static void
refuse_premium(const char *what)
{
	ereport(ERROR,
			(condition_errcode(COND_MAINTAINED_BY_ADAPTY),
			 errmsg("access level \"%s\" cannot be %s", PREMIUM, what),
			 errdetail("Every app has it from the start.")));
}

/*
 * BEFORE INSERT of an access level: premium is there from the start, so a dump that brings it again
 * only brings its title.  Returns the row, or NULL to skip it.
 */
static HeapTuple
level_before_insert(TriggerData *trigger)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	HeapTuple	row = trigger->tg_trigtuple;
	char	   *title = trigger_text(row, desc, "title");
	Datum		values[3];
	bool		isnull;
	ApiScope	scope;
	uint64		known;

	values[2] = SPI_getbinval(row, desc, SPI_fnumber(desc, "created_at"), &isnull);
	if (strcmp(trigger_text(row, desc, "access_level_id"), PREMIUM) != 0 || title == NULL || isnull)
		return row;
	values[0] = CStringGetTextDatum(PREMIUM);
	values[1] = CStringGetTextDatum(title);
	scope_enter(&scope);
	known = plan_execute(&level_restore_plan, values, NULL, false);
	scope_leave(&scope);
	return known > 0 ? NULL : row;
}

/*
 * Trigger on access_levels, before each row of INSERT, DELETE and UPDATE OF access_level_id, and
 * before TRUNCATE: premium stays, and no grant in flight loses its level.
 */
Datum
adapty_access_levels_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	char	   *id;
	bool		is_update;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("access_levels_guard must be called by a BEFORE trigger")));
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
	{
		refuse_premium("deleted");
		return PointerGetDatum(NULL);
	}
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		return PointerGetDatum(level_before_insert(trigger));

	desc = RelationGetDescr(trigger->tg_relation);
	id = trigger_text(trigger->tg_trigtuple, desc, "access_level_id");
	is_update = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
	if (is_update && strcmp(id, trigger_text(trigger->tg_newtuple, desc, "access_level_id")) == 0)
		return PointerGetDatum(trigger->tg_newtuple);
	if (strcmp(id, PREMIUM) == 0)
		refuse_premium(is_update ? "renamed" : "deleted");
	LockRelationOid(ext_state()->tables[TABLE_ACCESS_GRANTS], ShareRowExclusiveLock);
	return PointerGetDatum(is_update ? trigger->tg_newtuple : trigger->tg_trigtuple);
}

/* ---- products ---- */

/* See product.h. */
void
store_product_split(const char *store, char **store_product_id, char **store_base_plan_id)
{
	char	   *colon = strchr(*store_product_id, ':');

	if (strcmp(store, "play_store") != 0 || colon == NULL || colon == *store_product_id ||
		colon[1] == '\0')
		return;
	*store_base_plan_id = pstrdup(colon + 1);
	*store_product_id = pnstrdup(*store_product_id, colon - *store_product_id);
}

/* One element of store_products, checked; number from 1 for errors. */
static Binding
read_binding(JsonbValue *element, int number)
{
	static const char *const known[] = {"store", "store_product_id", "store_base_plan_id", NULL};
	JsonFields	fields;
	Binding		binding;

	if (element->type != jbvBinary || !JsonContainerIsObject(element->val.binary.data))
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("invalid element %d of \"store_products\"", number),
				 errdetail("It must be an object with \"store\", \"store_product_id\" and, if there is one, \"store_base_plan_id\"."),
				 err_generic_string(PG_DIAG_COLUMN_NAME, "store_products")));
	fields.object = JsonbValueToJsonb(element);
	fields.prefix = psprintf("store_products[%d].", number - 1);
	fields_check_known(&fields, known, "a store product");
	binding.store = field_text(&fields, "store", true, MAX_ACCESS_LEVEL_ID);
	if (!is_slug(binding.store))
		field_error(&fields, "store", binding.store,
					"The value must be 1 to 64 letters, digits, \"_\", \".\" or \"-\".");
	binding.store_product_id = field_text(&fields, "store_product_id", true, MAX_STORE_PRODUCT_ID);
	binding.store_base_plan_id = field_text(&fields, "store_base_plan_id", false, MAX_STORE_PRODUCT_ID);
	if (binding.store_base_plan_id == NULL)
	{
		binding.store_base_plan_id = "";
		store_product_split(binding.store, &binding.store_product_id, &binding.store_base_plan_id);
	}
	return binding;
}

/* The argument store_products: a list of bindings, all checked. */
static Binding *
read_bindings(Jsonb *array, int *n)
{
	Binding    *bindings;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	value;

	if (!JB_ROOT_IS_ARRAY(array) || JB_ROOT_IS_SCALAR(array))
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("store_products must be an array of objects"),
				 err_generic_string(PG_DIAG_COLUMN_NAME, "store_products")));
	*n = 0;
	bindings = palloc(sizeof(Binding) * (JB_ROOT_COUNT(array) + 1));
	it = JsonbIteratorInit(&array->root);
	token = JsonbIteratorNext(&it, &value, true);
	while ((token = JsonbIteratorNext(&it, &value, true)) == WJB_ELEM)
	{
		bindings[*n] = read_binding(&value, *n + 1);
		(*n)++;
	}
	return bindings;
}

/* Binds a store product to a product: ERROR (23505) naming the other if it is bound elsewhere. */
static void
bind_store_product(const Binding *binding, const pg_uuid_t *product_id)
{
	Datum		values[4] = {CStringGetTextDatum(binding->store),
		CStringGetTextDatum(binding->store_product_id),
	CStringGetTextDatum(binding->store_base_plan_id), UUIDPGetDatum(product_id)};
	TupleDesc	desc;
	HeapTuple	row;
	bool		isnull;

	if (plan_execute(&binding_plan, values, NULL, false) > 0)
		return;
	if (plan_execute(&bound_plan, values, NULL, false) == 0)
		ereport(ERROR,
				(condition_errcode(COND_SERIALIZATION_FAILURE),
				 errmsg("store product \"%s\" of store \"%s\" was bound or deleted concurrently",
						binding->store_product_id, binding->store)));
	desc = SPI_tuptable->tupdesc;
	row = SPI_tuptable->vals[0];
	if (memcmp(DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull)), product_id, UUID_LEN) == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("store product \"%s%s%s\" of store \"%s\" is bound to product \"%s\"",
					binding->store_product_id, binding->store_base_plan_id[0] ? ":" : "",
					binding->store_base_plan_id, binding->store, SPI_getvalue(row, desc, 2)),
			 errhint("Delete its row in adapty.store_products to bind it to another product.")));
}

/* Makes or changes the product of a title; its id. */
static pg_uuid_t
put_product(const char *title, const char *access_level_id, const char *period)
{
	Datum		values[3] = {CStringGetTextDatum(title), 0, CStringGetTextDatum(period)};
	pg_uuid_t	product_id;
	uint64		known;
	bool		isnull;

	if (access_level_id != NULL)
		values[1] = CStringGetTextDatum(access_level_id);
	(void) plan_execute(&products_lock_plan, NULL, NULL, false);
	known = plan_execute(&product_by_title_plan, values, NULL, false);
	if (known > 1)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("there are several products titled \"%s\"", title),
				 errhint("Give them different titles in adapty.products first.")));
	if (known == 0)
		(void) plan_execute(&product_insert_plan, values, access_level_id == NULL ? " n " : NULL, false);
	product_id = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	if (known == 1)
	{
		values[0] = UUIDPGetDatum(&product_id);
		(void) plan_execute(&product_update_plan, values, access_level_id == NULL ? " n " : NULL, false);
	}
	return product_id;
}

/*
 * define_product(title, access_level_id, period, store_products): makes the product of that title,
 * or gives it this access level and period; store products are added to those it has.  Access that
 * was given already does not change.  Returns product_id.
 */
Datum
adapty_define_product(PG_FUNCTION_ARGS)
{
	char	   *title = arg_text(fcinfo, 0, "title", true, MAX_TITLE);
	char	   *access_level_id = arg_text(fcinfo, 1, "access_level_id", false, MAX_ACCESS_LEVEL_ID);
	Binding    *bindings = NULL;
	int			n_bindings = 0;
	char	   *period;
	pg_uuid_t  *product_id;
	ApiScope	scope;

	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("period must not be null")));
	period = DatumGetCString(DirectFunctionCall1(enum_out, PG_GETARG_DATUM(2)));
	if (strcmp(period, "consumable") == 0 && access_level_id != NULL)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("a consumable product cannot give access level \"%s\"", access_level_id),
				 errdetail("A consumable never gives access.")));
	if (!PG_ARGISNULL(3))
		bindings = read_bindings(PG_GETARG_JSONB_P(3), &n_bindings);

	product_id = palloc(sizeof(pg_uuid_t));
	scope_enter(&scope);
	if (access_level_id != NULL)
		access_level_check(access_level_id);
	*product_id = put_product(title, access_level_id, period);
	for (int i = 0; i < n_bindings; i++)
		bind_store_product(&bindings[i], product_id);
	scope_leave(&scope);
	PG_RETURN_UUID_P(product_id);
}

/* See product.h. */
bool
product_of_store(const char *store, const char *store_product_id, const char *store_base_plan_id,
				 Product *product)
{
	Datum		values[3] = {CStringGetTextDatum(store), CStringGetTextDatum(store_product_id),
	CStringGetTextDatum(store_base_plan_id)};
	TupleDesc	desc;
	HeapTuple	row;
	bool		isnull;

	if (plan_execute_generic(&product_of_store_plan, values, NULL, false) == 0)
		return false;
	desc = SPI_tuptable->tupdesc;
	row = SPI_tuptable->vals[0];
	product->product_id = *DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
	product->access_level_id = SPI_getvalue(row, desc, 2);
	product->is_consumable = DatumGetBool(SPI_getbinval(row, desc, 3, &isnull));
	return true;
}
