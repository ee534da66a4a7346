/*
 * paywall.c
 *		Paywalls: the only writer of paywalls, paywall_products and remote_configs.
 *
 * A paywall is found by its title among those that are not deleted, or by its id.  Each change of
 * what it shows makes a new revision.  While it is part of a running test its products stay: what is
 * measured must not change underneath; its remote config may, as in the API.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/jsonapi.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/jsonfuncs.h"

#include "base/arg.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/json_fields.h"
#include "base/jsonb_build.h"
#include "base/plans.h"
#include "domain/offer.h"
#include "domain/paywall.h"
#include "domain/targeting.h"

#define MAX_CONFIG_BYTES (1024 * 1024)
#define MAX_PAYWALL_PRODUCTS 100
#define MAX_URL 2048			/* characters */
#define MAX_PAGE_SIZE 100

PG_FUNCTION_INFO_V1(adapty_define_paywall);
PG_FUNCTION_INFO_V1(adapty_delete_paywall);
PG_FUNCTION_INFO_V1(adapty_update_paywall);
PG_FUNCTION_INFO_V1(adapty_show_paywall);
PG_FUNCTION_INFO_V1(adapty_list_paywalls);

/* What define_paywall() and update_paywall() set; NULL arrays leave things as they are. */
typedef struct RemoteConfig
{
	char	   *locale;
	char	   *data;
} RemoteConfig;

typedef struct PaywallProduct
{
	char	   *product;
	char	   *offer;			/* NULL for none */
} PaywallProduct;

typedef struct PaywallChange
{
	PaywallProduct *products;
	int			n_products;
	RemoteConfig *configs;
	int			n_configs;
} PaywallChange;

/* What a paywall shows, as two texts to compare. */
typedef struct PaywallContent
{
	char	   *products;
	char	   *configs;
} PaywallContent;

static SavedPlan paywall_by_title_plan = {
	.name = "paywall of a title",
	.sql = "SELECT w.paywall_id FROM adapty.paywalls w WHERE w.title = $1 AND NOT w.is_deleted",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static SavedPlan paywall_by_id_plan = {
	.name = "paywall of an id",
	.sql = "SELECT w.paywall_id FROM adapty.paywalls w WHERE w.paywall_id = $1 AND NOT w.is_deleted",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan paywall_insert_plan = {
	.name = "new paywall",
	.sql = "INSERT INTO adapty.paywalls (title, default_locale) VALUES ($1, COALESCE($2, 'en')) RETURNING paywall_id",
	.expected = SPI_OK_INSERT_RETURNING,
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

static SavedPlan paywall_settings_plan = {
	.name = "settings of a paywall",
	.sql = "UPDATE adapty.paywalls w SET default_locale = COALESCE($2, w.default_locale), "
	"    web_purchase_url = CASE WHEN $3 IS NULL THEN w.web_purchase_url ELSE nullif($3, '') END, "
	"    updated_at = pg_catalog.now() "
	"WHERE w.paywall_id = $1 AND ROW(w.default_locale, w.web_purchase_url) IS DISTINCT FROM "
	"    ROW(COALESCE($2, w.default_locale), CASE WHEN $3 IS NULL THEN w.web_purchase_url ELSE nullif($3, '') END)",
	.expected = SPI_OK_UPDATE,
	.nargs = 3,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID},
};

static SavedPlan paywall_revision_plan = {
	.name = "revision of a paywall",
	.sql = "UPDATE adapty.paywalls w SET revision = w.revision + 1, updated_at = pg_catalog.now() WHERE w.paywall_id = $1",
	.expected = SPI_OK_UPDATE,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan paywall_live_plan = {
	.name = "live paywall",
	.sql = "UPDATE adapty.paywalls w SET was_live = true WHERE w.paywall_id = $1 AND NOT w.was_live",
	.expected = SPI_OK_UPDATE,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan paywall_delete_plan = {
	.name = "paywall to delete",
	.sql = "UPDATE adapty.paywalls w SET is_deleted = true, updated_at = pg_catalog.now() WHERE w.paywall_id = $1",
	.expected = SPI_OK_UPDATE,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

/* Who would miss a paywall. */
static SavedPlan paywall_users_plan = {
	.name = "users of a paywall",
	.sql = "SELECT pg_catalog.string_agg(u.name, ', ' ORDER BY u.name) FROM ("
	"SELECT DISTINCT pg_catalog.format('placement \"%s\"', a.placement_id) AS name FROM adapty.variations x "
	"    JOIN adapty.audiences a ON a.variation_id = x.variation_id WHERE x.paywall_id = $1 "
	"UNION SELECT pg_catalog.format('A/B test \"%s\"', t.name) FROM adapty.variations x "
	"    JOIN adapty.ab_tests t ON t.ab_test_id = x.ab_test_id "
	"    WHERE x.paywall_id = $1 AND t.state IN ('draft', 'live')) u HAVING pg_catalog.count(*) > 0",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan live_test_plan = {
	.name = "running test of a paywall",
	.sql = "SELECT t.name FROM adapty.variations x JOIN adapty.ab_tests t ON t.ab_test_id = x.ab_test_id "
	"WHERE x.paywall_id = $1 AND t.state = 'live' ORDER BY t.name LIMIT 1",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan content_plan = {
	.name = "content of a paywall",
	.sql = "SELECT (SELECT pg_catalog.json_agg(pp ORDER BY pp.position)::text "
	"    FROM adapty.paywall_products pp WHERE pp.paywall_id = $1), "
	"(SELECT pg_catalog.json_agg(r ORDER BY r.locale)::text FROM adapty.remote_configs r WHERE r.paywall_id = $1)",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan products_delete_plan = {
	.name = "products of a paywall to replace",
	.sql = "DELETE FROM adapty.paywall_products pp WHERE pp.paywall_id = $1",
	.expected = SPI_OK_DELETE,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan product_insert_plan = {
	.name = "product on a paywall",
	.sql = "INSERT INTO adapty.paywall_products (paywall_id, position, product_id, offer_id) "
	"VALUES ($1, $2, $3, $4)",
	.expected = SPI_OK_INSERT,
	.nargs = 4,
	.argtypes = {UUIDOID, INT2OID, UUIDOID, UUIDOID},
};

static SavedPlan configs_delete_plan = {
	.name = "remote configs to replace",
	.sql = "DELETE FROM adapty.remote_configs r WHERE r.paywall_id = $1",
	.expected = SPI_OK_DELETE,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan config_insert_plan = {
	.name = "remote config",
	.sql = "INSERT INTO adapty.remote_configs (paywall_id, locale, data) VALUES ($1, $2, $3)",
	.expected = SPI_OK_INSERT,
	.nargs = 3,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID},
};

/* The API's Paywall without its remote configs. */
#define PAYWALL_JSON \
	"pg_catalog.jsonb_build_object('title', w.title, 'paywall_id', w.paywall_id," \
	" 'use_paywall_builder', false, 'use_paywall_builder_legacy', false," \
	" 'updated_at', adapty._iso8601(w.updated_at), 'created_at', adapty._iso8601(w.created_at)," \
	" 'state', CASE WHEN w.is_deleted THEN 'archived'" \
	"  WHEN EXISTS (SELECT FROM adapty.variations x JOIN adapty.audiences a ON a.variation_id = x.variation_id" \
	"   JOIN adapty.placements p ON p.placement_id = a.placement_id WHERE x.paywall_id = w.paywall_id AND p.is_active)" \
	"  OR EXISTS (SELECT FROM adapty.variations x JOIN adapty.ab_tests t ON t.ab_test_id = x.ab_test_id" \
	"   WHERE x.paywall_id = w.paywall_id AND t.state = 'live') THEN 'live'" \
	"  WHEN w.was_live THEN 'inactive' ELSE 'draft' END," \
	" 'is_deleted', w.is_deleted, 'web_purchase_url', w.web_purchase_url," \
	" 'products', COALESCE((SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(" \
	"   'product_id', p.product_id, 'title', p.title, 'product_set', p.period," \
	"   'offer', CASE WHEN o.offer_id IS NOT NULL THEN" \
	"    pg_catalog.jsonb_build_object('product_offer_id', o.offer_id, 'title', o.title) END) ORDER BY pp.position)" \
	"  FROM adapty.paywall_products pp JOIN adapty.products p ON p.product_id = pp.product_id" \
	"  LEFT JOIN adapty.offers o ON o.offer_id = pp.offer_id WHERE pp.paywall_id = w.paywall_id), '[]'))"

static SavedPlan show_plan = {
	.name = "paywall as the API shows it",
	.sql = "SELECT " PAYWALL_JSON " || pg_catalog.jsonb_build_object('main_screenshot', NULL,"
	" 'remote_configs', COALESCE((SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object("
	"   'locale', r.locale, 'data', r.data) ORDER BY r.locale <> w.default_locale, r.locale COLLATE \"C\")"
	"  FROM adapty.remote_configs r WHERE r.paywall_id = w.paywall_id), '[]'))"
	" FROM adapty.paywalls w WHERE w.paywall_id = $1",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan list_plan = {
	.name = "page of paywalls",
	.sql = "SELECT pg_catalog.jsonb_build_object("
	"'data', COALESCE((SELECT pg_catalog.jsonb_agg(l.paywall ORDER BY l.created_at, l.paywall_id) FROM ("
	"    SELECT " PAYWALL_JSON " AS paywall, w.created_at, w.paywall_id FROM adapty.paywalls w"
	"    WHERE NOT w.is_deleted ORDER BY w.created_at, w.paywall_id"
	"    LIMIT $2 OFFSET ($1::bigint - 1) * $2) l), '[]'),"
	"'meta', pg_catalog.jsonb_build_object('pagination', pg_catalog.jsonb_build_object("
	"    'count', c.n, 'page', $1, 'pages', (c.n + $2 - 1) / $2)))"
	" FROM (SELECT pg_catalog.count(*) AS n FROM adapty.paywalls w WHERE NOT w.is_deleted) c",
	.expected = SPI_OK_SELECT,
	.nargs = 2,
	.argtypes = {INT4OID, INT4OID},
};

/* ---- look-ups ---- */

/* A uuid of the first result row. */
static pg_uuid_t
result_uuid(int column)
{
	bool		isnull;

	return *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull));
}

/* A text of the first result row; NULL for null. */
static char *
result_text(int column)
{
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);
}

/* ERROR (PT404). */
static void pg_attribute_noreturn()
paywall_not_found(const char *paywall)
{
	ereport(ERROR,
			(condition_errcode(COND_PAYWALL_DOES_NOT_EXIST),
			 errmsg("paywall \"%s\" does not exist", paywall),
			 errhint("Make it first: adapty.define_paywall().")));
}

/* See paywall.h. */
pg_uuid_t
paywall_lookup(const char *paywall)
{
	pg_uuid_t	id;
	Datum		values[1];

	values[0] = CStringGetTextDatum(paywall);
	if (plan_execute(&paywall_by_title_plan, values, NULL, false) > 0)
		return result_uuid(1);
	if (!parse_uuid(paywall, &id))
		paywall_not_found(paywall);
	values[0] = UUIDPGetDatum(&id);
	if (plan_execute(&paywall_by_id_plan, values, NULL, false) == 0)
		paywall_not_found(paywall);
	return id;
}

/* See paywall.h. */
void
paywall_mark_live(const pg_uuid_t *paywall_id)
{
	Datum		values[1] = {UUIDPGetDatum(paywall_id)};

	(void) plan_execute(&paywall_live_plan, values, NULL, false);
}

/* ---- reading what is to be changed ---- */

/* The argument products: titles or ids, or objects with an offer as well. */
static void
read_products(Jsonb *array, PaywallChange *change)
{
	static const char *const known[] = {"product", "offer", NULL};
	JsonbValue *elements = json_array(array, "products", &change->n_products);

	if (change->n_products > MAX_PAYWALL_PRODUCTS)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("products has %d elements", change->n_products),
				 errdetail("A paywall has at most %d products.", MAX_PAYWALL_PRODUCTS)));
	change->products = palloc0(sizeof(PaywallProduct) * (change->n_products + 1));
	for (int i = 0; i < change->n_products; i++)
	{
		PaywallProduct *product = &change->products[i];
		JsonFields	fields;

		if (elements[i].type == jbvString)
		{
			product->product = jsonb_value_text(&elements[i]);
			continue;
		}
		json_element_object(&elements[i], "products", i,
							"It must be the title or id of a product, or an object with \"product\" and, if there is one, \"offer\".",
							&fields);
		fields_check_known(&fields, known, "a product of a paywall");
		product->product = field_text(&fields, "product", true, MAX_TARGETING_TITLE);
		product->offer = field_text(&fields, "offer", false, MAX_TARGETING_TITLE);
	}
}

/* Is it what remote_configs_locale_check wants: up to 8 subtags of 1 to 8 letters and digits? */
static bool
locale_is_valid(const char *locale)
{
	int			subtags = 0;
	int			length = 0;

	for (const char *c = locale;; c++)
	{
		if ((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9'))
			length++;
		else if (*c == '-' || *c == '\0')
		{
			if (length < 1 || length > 8 || ++subtags > 8)
				return false;
			if (*c == '\0')
				return true;
			length = 0;
		}
		else
			return false;
	}
}

/* A locale as it is stored; ERROR (22023) naming the field if it is none. */
static char *
read_locale(const JsonFields *fields, const char *field, const char *locale)
{
	char	   *normal = locale_normalize(locale);

	if (!locale_is_valid(normal))
		field_error(fields, field, locale,
					"A locale is one to eight subtags of letters and digits, joined by hyphens, such as \"en\" or \"pt-br\".");
	return normal;
}

/* The field "data" of a remote config: JSON in a string, kept as it is, or an object or array. */
static char *
read_data(const JsonFields *fields)
{
	JsonbValue *value = jsonb_object_get(fields->object, "data");
	char	   *data;

	if (value == NULL || value->type == jbvNull)
		field_error(fields, "data", NULL, "The field is required and must not be null.");
	data = jsonb_value_text(value);
	if (strlen(data) > MAX_CONFIG_BYTES)
		field_error(fields, "data", data, "A remote config has at most 1 MB.");
	if (pg_parse_json(make_json_lex_context_compat(cstring_to_text(data)), &nullSemAction) != JSON_SUCCESS)
		field_error(fields, "data", data, "The value must be JSON, in a string or as it is.");
	return data;
}

/* The argument or field remote_configs. */
static void
read_configs(Jsonb *array, PaywallChange *change)
{
	static const char *const known[] = {"locale", "data", NULL};
	JsonbValue *elements = json_array(array, "remote_configs", &change->n_configs);

	change->configs = palloc0(sizeof(RemoteConfig) * (change->n_configs + 1));
	for (int i = 0; i < change->n_configs; i++)
	{
		JsonFields	fields;

		json_element_object(&elements[i], "remote_configs", i,
							"It must be an object with \"locale\" and \"data\".", &fields);
		fields_check_known(&fields, known, "a remote config");
		change->configs[i].locale = read_locale(&fields, "locale",
												field_text(&fields, "locale", true, MAX_LOCALE));
		change->configs[i].data = read_data(&fields);
		for (int j = 0; j < i; j++)
			if (strcmp(change->configs[j].locale, change->configs[i].locale) == 0)
				field_error(&fields, "locale", change->configs[i].locale, "The locale is there twice.");
	}
}

/* ---- changing a paywall ---- */

/* What a paywall shows now. */
static PaywallContent
read_content(const pg_uuid_t *paywall_id)
{
	Datum		values[1] = {UUIDPGetDatum(paywall_id)};
	PaywallContent content;

	(void) plan_execute(&content_plan, values, NULL, false);
	content.products = result_text(1);
	content.configs = result_text(2);
	return content;
}

/* Replaces the products of a paywall. */
static void
put_products(const pg_uuid_t *paywall_id, const PaywallChange *change)
{
	Datum		values[4] = {UUIDPGetDatum(paywall_id)};

	(void) plan_execute(&products_delete_plan, values, NULL, false);
	for (int i = 0; i < change->n_products; i++)
	{
		const PaywallProduct *product = &change->products[i];
		bool		is_subscription;
		pg_uuid_t	product_id = product_lookup(product->product, &is_subscription);
		pg_uuid_t	offer_id;

		for (int j = 0; j < i; j++)
			if (strcmp(change->products[j].product, product->product) == 0)
				ereport(ERROR,
						(condition_errcode(COND_BASE_ERROR),
						 errmsg("product \"%s\" is there twice", product->product),
						 errdetail("A paywall has a product once, with at most one offer.")));
		values[1] = Int16GetDatum((int16) (i + 1));
		values[2] = UUIDPGetDatum(&product_id);
		if (product->offer != NULL)
		{
			offer_id = offer_lookup(&product_id, product->product, product->offer);
			values[3] = UUIDPGetDatum(&offer_id);
		}
		(void) plan_execute(&product_insert_plan, values, product->offer == NULL ? "   n" : NULL, false);
	}
}

/* Replaces the remote configs of a paywall. */
static void
put_configs(const pg_uuid_t *paywall_id, const PaywallChange *change)
{
	Datum		values[3] = {UUIDPGetDatum(paywall_id)};

	(void) plan_execute(&configs_delete_plan, values, NULL, false);
	for (int i = 0; i < change->n_configs; i++)
	{
		values[1] = CStringGetTextDatum(change->configs[i].locale);
		values[2] = CStringGetTextDatum(change->configs[i].data);
		(void) plan_execute(&config_insert_plan, values, NULL, false);
	}
}

/* Are two texts, either of which may be NULL, the same? */
static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Applies a change, which is the first revision of a new one; ERROR (55000) if it touches the products of a running test. */
static void
paywall_apply(const pg_uuid_t *paywall_id, const char *title, bool is_new, const PaywallChange *change)
{
	Datum		values[1] = {UUIDPGetDatum(paywall_id)};
	PaywallContent before = read_content(paywall_id);
	PaywallContent after;

	if (change->products != NULL)
		put_products(paywall_id, change);
	if (change->configs != NULL)
		put_configs(paywall_id, change);
	after = read_content(paywall_id);
	if (!same_text(before.products, after.products) && plan_execute(&live_test_plan, values, NULL, false) > 0)
		ereport(ERROR,
				(condition_errcode(COND_AB_TEST_STATE),
				 errmsg("the products of paywall \"%s\" cannot be changed while A/B test \"%s\" runs",
						title, result_text(1)),
				 errhint("Make another paywall, and another test with it: adapty.modify_ab_test().")));
	if (!is_new && (!same_text(before.products, after.products) || !same_text(before.configs, after.configs)))
		(void) plan_execute(&paywall_revision_plan, values, NULL, false);
}

/* Makes a paywall or finds it by its title. */
static pg_uuid_t
paywall_put(const char *title, const char *default_locale, bool *is_new)
{
	Datum		values[2] = {CStringGetTextDatum(title), 0};

	*is_new = plan_execute(&paywall_by_title_plan, values, NULL, false) == 0;
	if (*is_new)
	{
		if (default_locale != NULL)
			values[1] = CStringGetTextDatum(default_locale);
		(void) plan_execute(&paywall_insert_plan, values, default_locale == NULL ? " n" : NULL, false);
	}
	return result_uuid(1);
}

/* The argument web_purchase_url: an empty one clears; NULL leaves it. */
static char *
arg_url(FunctionCallInfo fcinfo, int n)
{
	if (!PG_ARGISNULL(n) && VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(n)) == 0)
		return "";
	return arg_text(fcinfo, n, "web_purchase_url", false, MAX_URL);
}

/* define_paywall(title, products, remote_configs, default_locale, web_purchase_url) → paywall_id */
Datum
adapty_define_paywall(PG_FUNCTION_ARGS)
{
	char	   *title = arg_text(fcinfo, 0, "title", true, MAX_TARGETING_TITLE);
	char	   *default_locale = arg_text(fcinfo, 3, "default_locale", false, MAX_LOCALE);
	char	   *url = arg_url(fcinfo, 4);
	JsonFields	arguments = {.object = NULL, .prefix = ""};
	PaywallChange change = {0};
	pg_uuid_t  *paywall_id = palloc(sizeof(pg_uuid_t));
	Datum		values[3];
	char		nulls[] = "   ";
	bool		is_new;
	ApiScope	scope;

	if (default_locale != NULL)
		default_locale = read_locale(&arguments, "default_locale", default_locale);
	if (!PG_ARGISNULL(1))
		read_products(PG_GETARG_JSONB_P(1), &change);
	if (!PG_ARGISNULL(2))
		read_configs(PG_GETARG_JSONB_P(2), &change);
	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	targeting_lock();
	*paywall_id = paywall_put(title, default_locale != NULL || change.n_configs == 0 ? default_locale :
							  change.configs[0].locale, &is_new);
	paywall_apply(paywall_id, title, is_new, &change);
	if (url != NULL || (default_locale != NULL && !is_new))
	{
		values[0] = UUIDPGetDatum(paywall_id);
		values[1] = default_locale == NULL ? (Datum) 0 : CStringGetTextDatum(default_locale);
		nulls[1] = default_locale == NULL ? 'n' : ' ';
		values[2] = url == NULL ? (Datum) 0 : CStringGetTextDatum(url);
		nulls[2] = url == NULL ? 'n' : ' ';
		(void) plan_execute(&paywall_settings_plan, values, nulls, false);
	}
	scope_leave(&scope);
	PG_RETURN_UUID_P(paywall_id);
}

/* delete_paywall(paywall) */
Datum
adapty_delete_paywall(PG_FUNCTION_ARGS)
{
	char	   *paywall = arg_text(fcinfo, 0, "paywall", true, MAX_TARGETING_TITLE);
	pg_uuid_t	paywall_id;
	Datum		values[1];
	ApiScope	scope;

	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	targeting_lock();
	paywall_id = paywall_lookup(paywall);
	targeting_check_unused(&paywall_users_plan, &paywall_id, "paywall", paywall,
						   "Give placements other content by adapty.define_placement(), and stop or delete the tests first.");
	values[0] = UUIDPGetDatum(&paywall_id);
	(void) plan_execute(&paywall_delete_plan, values, NULL, false);
	scope_leave(&scope);
	PG_RETURN_VOID();
}

/* ---- as the API shows them ---- */

/* Argument paywall_id; ERROR (22004) if null. */
static pg_uuid_t *
arg_paywall_id(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("paywall_id must not be null")));
	return PG_GETARG_UUID_P(0);
}

/* The Paywall object, in the scope's caller context; ERROR (PT404) if there is none. */
static Datum
paywall_json(const ApiScope *scope, const pg_uuid_t *paywall_id, bool read_only)
{
	Datum		values[1] = {UUIDPGetDatum(paywall_id)};
	bool		isnull;

	if (plan_execute(&show_plan, values, NULL, read_only) == 0)
		paywall_not_found(DatumGetCString(DirectFunctionCall1(uuid_out, values[0])));
	return scope_copy(scope, 0, 1, &isnull);
}

/* show_paywall(paywall_id): the Paywall object, also of a deleted one. */
Datum
adapty_show_paywall(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *paywall_id = arg_paywall_id(fcinfo);
	ApiScope	scope;
	Datum		result;

	scope_enter(&scope);
	result = paywall_json(&scope, paywall_id, true);
	scope_leave(&scope);
	PG_RETURN_DATUM(result);
}

/* The request of update_paywall(): all remote configs. */
static void
read_update(Jsonb *attributes, PaywallChange *change)
{
	static const char *const known[] = {"remote_configs", NULL};
	JsonFields	fields = {.object = attributes, .prefix = ""};
	JsonbValue *configs;

	if (!JB_ROOT_IS_OBJECT(attributes))
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("attributes must be an object")));
	fields_check_known(&fields, known, "an update of a paywall");
	configs = jsonb_object_get(attributes, "remote_configs");
	if (configs == NULL || configs->type == jbvNull)
		ereport(ERROR,
				(condition_errcode(COND_VALIDATION),
				 errmsg("at least one field must be given"),
				 errhint("What can be updated is \"remote_configs\", all of them at once."),
				 err_generic_string(PG_DIAG_COLUMN_NAME, "remote_configs")));
	read_configs(JsonbValueToJsonb(configs), change);
}

/* update_paywall(paywall_id, attributes): replaces all remote configs; the Paywall object then. */
Datum
adapty_update_paywall(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *paywall_id = arg_paywall_id(fcinfo);
	Jsonb	   *attributes = arg_jsonb(fcinfo, 1, "attributes");
	PaywallChange change = {0};
	pg_uuid_t	known;
	ApiScope	scope;
	Datum		result;

	read_update(attributes, &change);
	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	targeting_lock();
	known = paywall_lookup(DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(paywall_id))));
	paywall_apply(&known, "", false, &change);
	result = paywall_json(&scope, &known, false);
	scope_leave(&scope);
	PG_RETURN_DATUM(result);
}

/* ERROR (22023) if a number of a page is out of range. */
static int32
arg_page(FunctionCallInfo fcinfo, int n, const char *name, int32 max)
{
	int32		value;

	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
	value = PG_GETARG_INT32(n);
	if (value < 1 || value > max)
		ereport(ERROR,
				(condition_errcode(COND_VALIDATION),
				 errmsg("invalid %s %d", name, value),
				 errdetail("It must be between 1 and %d.", max),
				 err_generic_string(PG_DIAG_COLUMN_NAME, name)));
	return value;
}

/* list_paywalls(page_number, page_size): the API's PaywallListResponse. */
Datum
adapty_list_paywalls(PG_FUNCTION_ARGS)
{
	Datum		values[2];
	ApiScope	scope;
	Datum		result;
	bool		isnull;

	values[0] = Int32GetDatum(arg_page(fcinfo, 0, "page_number", PG_INT32_MAX));
	values[1] = Int32GetDatum(arg_page(fcinfo, 1, "page_size", MAX_PAGE_SIZE));
	scope_enter(&scope);
	(void) plan_execute(&list_plan, values, NULL, true);
	result = scope_copy(&scope, 0, 1, &isnull);
	scope_leave(&scope);
	PG_RETURN_DATUM(result);
}
