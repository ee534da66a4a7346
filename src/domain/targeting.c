/*
 * targeting.c
 *		The catalogue of targeting as a session keeps it.
 *
 * Paywalls are asked for all the time and changed seldom.  So each session keeps the placements it
 * was asked for, and the finished objects, and is told of changes: a statement trigger on each table
 * of the catalogue sends a relation cache message about adapty.placements, which reaches every
 * session when the change commits, and the changing one at once and again if it aborts.  Sessions
 * load with the latest snapshot, not the transaction's: otherwise what an old snapshot sees could be
 * kept after the message about it was read.  So a paywall is that of the newest committed catalogue
 * in every isolation level.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/ext_state.h"
#include "base/plans.h"
#include "domain/targeting.h"

#define MAX_STORE 64			/* bytes */
#define MAX_OBJECTS 2000		/* kept; then all are forgotten */

PG_FUNCTION_INFO_V1(adapty_targeting_changed);

/* A placement that was asked for. */
typedef struct CachedPlacement
{
	struct CachedPlacement *next;
	const char *placement_id;
	TargetPlacement placement;
} CachedPlacement;

/* A test that was asked for by its id. */
typedef struct CachedTest
{
	struct CachedTest *next;
	TargetTest	test;
} CachedTest;

/* What an object depends on; unused bytes are zero. */
typedef struct ObjectKey
{
	pg_uuid_t	variation_id;
	bool		had_subscription;
	bool		has_locale;
	char		locale[MAX_LOCALE + 1];
	char		store[MAX_STORE + 1];
} ObjectKey;

typedef struct CachedObject
{
	ObjectKey	key;
	Jsonb	   *object;
} CachedObject;

static struct
{
	MemoryContext context;		/* holds all of it */
	bool		is_valid;
	Oid			extension;		/* of which it was loaded */
	Oid			placements;		/* the table that messages name */
	CachedPlacement *first;
	CachedTest *first_test;
	HTAB	   *objects;
} cache;

static SavedPlan lock_plan = {
	.name = "lock of targeting",
	.sql = "LOCK TABLE adapty.placements IN SHARE ROW EXCLUSIVE MODE",
	.expected = SPI_OK_UTILITY,
};

static SavedPlan placement_plan = {
	.name = "placement",
	.sql = "SELECT p.is_active FROM adapty.placements p WHERE p.placement_id = $1",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static SavedPlan audiences_plan = {
	.name = "audiences of a placement",
	.sql = "SELECT s.name, a.variation_id, a.ab_test_id FROM adapty.audiences a "
	"LEFT JOIN adapty.segments s ON s.segment_id = a.segment_id WHERE a.placement_id = $1 ORDER BY a.priority",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {TEXTOID},
};

/* One row a variation. A stopped cross-placement test goes on for those in it, 90 days at most. */
#define TEST_ROWS \
	"SELECT t.ab_test_id, t.is_cross_placement, t.state = 'live', t.previous_id IS NOT NULL, s.name, " \
	"    (v.weight * 100)::integer, x.variation_id, t.state = 'draft' " \
	"FROM adapty.variations x JOIN adapty.ab_tests t ON t.ab_test_id = x.ab_test_id " \
	"JOIN adapty.ab_test_variations v ON v.ab_test_id = x.ab_test_id AND v.position = x.position " \
	"LEFT JOIN adapty.segments s ON s.segment_id = t.segment_id "

static SavedPlan tests_plan = {
	.name = "tests of a placement",
	.sql = TEST_ROWS
	"WHERE x.placement_id = $1 AND (t.state = 'live' OR t.is_cross_placement "
	"    AND t.completed_at > pg_catalog.clock_timestamp() - interval '91 days') "
	"ORDER BY t.is_cross_placement DESC, t.segment_id IS NULL, t.started_at, t.ab_test_id, v.position",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static SavedPlan test_plan = {
	.name = "test",
	.sql = TEST_ROWS
	"WHERE x.ab_test_id = $1 AND x.placement_position = 1 ORDER BY v.position",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

/*
 * $1 variation, $2 locale, $3 store, $4 had a subscription.  With a store: products that it sells,
 * under their ids there.  Without: all, with their ids in every store.
 */
static SavedPlan object_plan = {
	.name = "paywall object",
	.sql = "SELECT pg_catalog.jsonb_build_object("
	"'placement_id', i.developer_id, 'variation_id', i.variation_id, 'paywall_id', i.paywall_id,"
	"'ab_test_name', i.ab_test_name, 'paywall_name', i.paywall_name,"
	"'products', COALESCE((SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object("
	"    'title', p.title, 'is_consumable', p.period = 'consumable', 'adapty_product_id', p.product_id,"
	"    'vendor_product_id', s.store_product_id, 'base_plan_id', nullif(s.store_base_plan_id, ''),"
	"    'introductory_offer_eligibility', e.is_subscription AND NOT $4,"
	"    'promotional_offer_eligibility', e.is_subscription AND $4,"
	"    'offer', CASE WHEN o.offer_id IS NOT NULL THEN pg_catalog.jsonb_build_object("
	"        'category', o.offer_category, 'type', COALESCE(o.offer_type::text, 'unknown'),"
	"        'id', o.store_offer_ids ->> $3) END)"
	"    || CASE WHEN $3 IS NULL THEN pg_catalog.jsonb_build_object('store_products', s.all_of_them)"
	"        ELSE '{}' END ORDER BY pp.position)"
	"    FROM adapty.paywall_products pp"
	"    JOIN adapty.products p ON p.product_id = pp.product_id"
	"    LEFT JOIN adapty.offers o ON o.offer_id = pp.offer_id"
	"    CROSS JOIN LATERAL (SELECT p.period NOT IN ('lifetime', 'consumable', 'nonsubscriptions')"
	"        AS is_subscription) e"
	"    CROSS JOIN LATERAL (SELECT pg_catalog.count(*) AS n,"
	"        CASE WHEN $3 IS NOT NULL OR pg_catalog.count(*) = 1 THEN"
	"            (pg_catalog.array_agg(b.store_product_id ORDER BY b.store_product_id, b.store_base_plan_id))[1] END"
	"            AS store_product_id,"
	"        CASE WHEN $3 IS NOT NULL OR pg_catalog.count(*) = 1 THEN"
	"            (pg_catalog.array_agg(b.store_base_plan_id ORDER BY b.store_product_id, b.store_base_plan_id))[1] END"
	"            AS store_base_plan_id,"
	"        COALESCE(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('store', b.store,"
	"            'store_product_id', b.store_product_id, 'store_base_plan_id', nullif(b.store_base_plan_id, ''),"
	"            'store_offer_id', o.store_offer_ids ->> b.store::text)"
	"            ORDER BY b.store, b.store_product_id, b.store_base_plan_id), '[]') AS all_of_them"
	"        FROM adapty.store_products b WHERE b.product_id = p.product_id AND ($3 IS NULL OR b.store = $3)) s"
	"    WHERE pp.paywall_id = i.paywall_id AND ($3 IS NULL OR s.n > 0)), '[]'),"
	"'remote_config', (SELECT pg_catalog.jsonb_build_object('lang', r.locale, 'data', r.data)"
	"    FROM adapty.remote_configs r JOIN adapty.paywalls w ON w.paywall_id = r.paywall_id"
	"    WHERE r.paywall_id = i.paywall_id"
	"    AND r.locale IN ($2, pg_catalog.split_part($2, '-', 1), w.default_locale)"
	"    ORDER BY r.locale IS NOT DISTINCT FROM $2 DESC,"
	"        r.locale IS NOT DISTINCT FROM pg_catalog.split_part($2, '-', 1) DESC LIMIT 1))"
	" FROM adapty.variation_info($1) i",
	.expected = SPI_OK_SELECT,
	.nargs = 4,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID, BOOLOID},
};

/* ---- being told of changes ---- */

/* The catalogue changed, or everything may have. */
static void
cache_forget(Datum arg, Oid relid)
{
	(void) arg;
	if (relid == InvalidOid || relid == cache.placements)
		cache.is_valid = false;
}

/* OID of the table whose messages stand for the whole catalogue. */
static Oid
placements_relid(void)
{
	return get_relname_relid("placements", ext_state()->schema);
}

/* Trigger after a statement on each table of the catalogue. */
Datum
adapty_targeting_changed(PG_FUNCTION_ARGS)
{
	Oid			relid;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(((TriggerData *) fcinfo->context)->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("_targeting_changed must be called by an AFTER trigger")));
	relid = placements_relid();
	if (OidIsValid(relid))
		CacheInvalidateRelcacheByRelid(relid);
	return PointerGetDatum(NULL);
}

/* See targeting.h. */
void
targeting_begin(void)
{
	static bool registered = false;
	HASHCTL		control = {0};

	if (!registered)
	{
		CacheRegisterRelcacheCallback(cache_forget, (Datum) 0);
		registered = true;
	}
	AcceptInvalidationMessages();
	if (cache.is_valid && cache.extension == ext_state()->extension)
		return;
	cache.is_valid = false;
	cache.first = NULL;
	cache.first_test = NULL;
	cache.objects = NULL;
	if (cache.context == NULL)
		cache.context = AllocSetContextCreate(TopMemoryContext, "adapty targeting", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(cache.context);
	control.keysize = sizeof(ObjectKey);
	control.entrysize = sizeof(CachedObject);
	control.hcxt = cache.context;
	cache.objects = hash_create("adapty paywall objects", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	cache.extension = ext_state()->extension;
	cache.placements = placements_relid();
	/* Valid from before anything is loaded, so that a message that comes meanwhile makes it invalid. */
	cache.is_valid = true;
}

/* See targeting.h. */
void
targeting_lock(void)
{
	(void) plan_execute(&lock_plan, NULL, NULL, false);
}

/* See targeting.h. */
void
targeting_check_unused(SavedPlan *users_plan, const pg_uuid_t *id, const char *what, const char *name,
					   const char *hint)
{
	Datum		values[1] = {UUIDPGetDatum(id)};

	if (plan_execute(users_plan, values, NULL, false) > 0)
		ereport(ERROR,
				(condition_errcode(COND_IN_USE),
				 errmsg("%s \"%s\" is in use", what, name),
				 errdetail("It is used by %s.", SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1)),
				 errhint("%s", hint)));
}

/* ---- loading ---- */

/* Runs a plan as the latest snapshot sees the catalogue. */
static uint64
load(SavedPlan *plan, Datum *values, const char *nulls)
{
	uint64		n;

	PushActiveSnapshot(GetLatestSnapshot());
	n = plan_execute(plan, values, nulls, true);
	PopActiveSnapshot();
	return n;
}

/* A column of a loaded row. */
static Datum
column(uint64 row, int number, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number, isnull);
}

/* A uuid column; all zeroes for null. */
static pg_uuid_t
column_uuid(uint64 row, int number, bool *isnull)
{
	Datum		value = column(row, number, isnull);
	pg_uuid_t	uuid = {{0}};

	return *isnull ? uuid : *DatumGetUUIDP(value);
}

/* A text column in the cache's context; NULL for null. */
static char *
column_text(uint64 row, int number)
{
	char	   *value = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number);

	return value == NULL ? NULL : MemoryContextStrdup(cache.context, value);
}

/* Reads rows of TEST_ROWS from *row on, as long as they are of one test. */
static void
read_test(uint64 *row, uint64 n, TargetTest *test)
{
	bool		isnull;

	memset(test, 0, sizeof(*test));
	test->ab_test_id = column_uuid(*row, 1, &isnull);
	test->is_cross = DatumGetBool(column(*row, 2, &isnull));
	test->is_live = DatumGetBool(column(*row, 3, &isnull));
	test->has_previous = DatumGetBool(column(*row, 4, &isnull));
	test->segment = column_text(*row, 5);
	test->is_draft = DatumGetBool(column(*row, 8, &isnull));
	while (*row < n && test->n < MAX_VARIATIONS)
	{
		pg_uuid_t	id = column_uuid(*row, 1, &isnull);
		int			before = test->n > 0 ? test->bounds[test->n - 1] : 0;

		if (memcmp(&id, &test->ab_test_id, UUID_LEN) != 0)
			break;
		test->bounds[test->n] = before + DatumGetInt32(column(*row, 6, &isnull));
		test->variation_ids[test->n] = column_uuid(*row, 7, &isnull);
		test->n++;
		(*row)++;
	}
}

/* Tests of a placement. */
static void
load_tests(TargetPlacement *placement, Datum *values)
{
	uint64		n = load(&tests_plan, values, NULL);

	placement->tests = MemoryContextAllocZero(cache.context, sizeof(TargetTest) * (n + 1));
	for (uint64 row = 0; row < n;)
		read_test(&row, n, &placement->tests[placement->n_tests++]);
}

/* The test of an id among those of a placement; NULL if it is not there. */
static const TargetTest *
find_test(const TargetPlacement *placement, const pg_uuid_t *ab_test_id)
{
	for (int i = 0; i < placement->n_tests; i++)
		if (memcmp(&placement->tests[i].ab_test_id, ab_test_id, UUID_LEN) == 0)
			return &placement->tests[i];
	return NULL;
}

/* Audiences of a placement whose tests are loaded. */
static void
load_audiences(TargetPlacement *placement, Datum *values)
{
	uint64		n = load(&audiences_plan, values, NULL);
	bool		isnull;

	placement->audiences = MemoryContextAllocZero(cache.context, sizeof(TargetAudience) * (n + 1));
	for (uint64 row = 0; row < n; row++)
	{
		TargetAudience *audience = &placement->audiences[placement->n_audiences];
		pg_uuid_t	ab_test_id = column_uuid(row, 3, &isnull);

		audience->segment = column_text(row, 1);
		if (!isnull)
		{
			audience->test = find_test(placement, &ab_test_id);
			if (audience->test == NULL)
				continue;		/* not running: plain SQL has been at work */
		}
		audience->variation_id = column_uuid(row, 2, &isnull);
		placement->n_audiences++;
	}
}

/* See targeting.h. */
const TargetPlacement *
targeting_placement(const char *placement_id)
{
	CachedPlacement *entry;
	ApiScope	scope;
	Datum		values[1];
	bool		isnull;
	bool		found;

	for (entry = cache.first; entry != NULL; entry = entry->next)
		if (strcmp(entry->placement_id, placement_id) == 0)
			return &entry->placement;

	values[0] = CStringGetTextDatum(placement_id);
	scope_enter(&scope);
	found = load(&placement_plan, values, NULL) > 0;
	if (found)
	{
		entry = MemoryContextAllocZero(cache.context, sizeof(CachedPlacement));
		entry->placement.is_active = DatumGetBool(column(0, 1, &isnull));
		load_tests(&entry->placement, values);
		load_audiences(&entry->placement, values);
		entry->placement_id = MemoryContextStrdup(cache.context, placement_id);
		entry->next = cache.first;
		cache.first = entry;
	}
	scope_leave(&scope);
	return found ? &entry->placement : NULL;
}

/* See targeting.h. */
const TargetTest *
targeting_test(const pg_uuid_t *ab_test_id)
{
	Datum		values[1] = {UUIDPGetDatum(ab_test_id)};
	CachedTest *entry;
	ApiScope	scope;
	uint64		n;
	uint64		row = 0;

	for (entry = cache.first_test; entry != NULL; entry = entry->next)
		if (memcmp(&entry->test.ab_test_id, ab_test_id, UUID_LEN) == 0)
			return &entry->test;
	scope_enter(&scope);
	n = load(&test_plan, values, NULL);
	if (n > 0)
	{
		entry = MemoryContextAllocZero(cache.context, sizeof(CachedTest));
		read_test(&row, n, &entry->test);
		entry->next = cache.first_test;
		cache.first_test = entry;
	}
	scope_leave(&scope);
	return n > 0 ? &entry->test : NULL;
}

/* See targeting.h. */
Jsonb *
targeting_object(const pg_uuid_t *variation_id, const char *locale, const char *store, bool had_subscription)
{
	ObjectKey	key;
	CachedObject *entry;
	ApiScope	scope;
	Datum		values[4] = {UUIDPGetDatum(variation_id), 0, 0, BoolGetDatum(had_subscription)};
	char		nulls[] = "    ";
	bool		isnull;
	bool		found;

	memset(&key, 0, sizeof(key));
	key.variation_id = *variation_id;
	key.had_subscription = had_subscription;
	key.has_locale = locale != NULL;
	if (locale != NULL)
		strlcpy(key.locale, locale, sizeof(key.locale));
	if (store != NULL)
		strlcpy(key.store, store, sizeof(key.store));
	entry = hash_search(cache.objects, &key, HASH_FIND, NULL);
	if (entry != NULL)
		return entry->object;

	if (locale != NULL)
		values[1] = CStringGetTextDatum(locale);
	if (store != NULL)
		values[2] = CStringGetTextDatum(store);
	nulls[1] = locale == NULL ? 'n' : ' ';
	nulls[2] = store == NULL ? 'n' : ' ';
	/* No more than so many: what callers may choose freely must not fill the memory. */
	if (hash_get_num_entries(cache.objects) >= MAX_OBJECTS)
		cache.is_valid = false;
	scope_enter(&scope);
	scope.caller_context = cache.context;
	found = load(&object_plan, values, nulls) > 0;
	if (found)
	{
		Jsonb	   *object = DatumGetJsonbP(scope_copy(&scope, 0, 1, &isnull));

		entry = hash_search(cache.objects, &key, HASH_ENTER, NULL);
		entry->object = object;
	}
	scope_leave(&scope);
	return found ? entry->object : NULL;
}

/* See targeting.h. */
char *
locale_normalize(const char *locale)
{
	char	   *result = pstrdup(locale);

	for (char *c = result; *c != '\0'; c++)
		*c = *c == '_' ? '-' : (char) pg_ascii_tolower((unsigned char) *c);
	if (strlen(result) > MAX_LOCALE)
	{
		char	   *hyphen = strchr(result, '-');

		if (hyphen != NULL)
			*hyphen = '\0';
		if (strlen(result) > MAX_LOCALE)
			result[0] = '\0';
	}
	return result;
}
