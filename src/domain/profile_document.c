/*
 * profile_document.c
 *		The API's Profile object.
 *
 * It is read often, so only what is there is looked for: one statement for the profile's own row, which
 * says what else there is, and one each for grants, purchases and subscriptions.  All of them see one
 * state: the snapshot of the caller's statement, or for a writer what it has just written.
 *
 * The access of a user who has bought nothing is put together here, by the rules of access.c; the
 * facts of a purchase that gives access are the view's to find.
 */
#include "postgres.h"

#include <inttypes.h>

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/jsonb_build.h"
#include "base/plans.h"
#include "domain/access.h"
#include "domain/grant_row.h"
#include "domain/profile.h"

/* What the first statement says. */
typedef struct ProfileHead
{
	Numeric		total_revenue_usd;
	Jsonb	   *custom_attributes;
	int64		test_clock_offset;
	char	   *customer_user_id;	/* NULL for an anonymous profile */
	bool		has_subscriptions;
	bool		has_purchases;
} ProfileHead;

/* An offer as the API shows it; null without one. */
#define OFFER_JSON(t) \
	"CASE WHEN " t ".offer_category IS NULL AND " t ".offer_type IS NULL AND " t ".offer_id IS NULL" \
	" THEN NULL ELSE pg_catalog.jsonb_build_object('category', " t ".offer_category," \
	"  'type', " t ".offer_type, 'id', " t ".offer_id) END"

/* What AccessLevel and Subscription have in common; t is the table's alias. */
#define PURCHASE_JSON(t) \
	"'store_product_id', " t ".store_product_id," \
	"'store_base_plan_id', nullif(" t ".store_base_plan_id, '')," \
	"'store_transaction_id', " t ".store_transaction_id," \
	"'store_original_transaction_id', " t ".store_original_transaction_id," \
	"'offer', " OFFER_JSON(t) "," \
	"'purchased_at', adapty._iso8601(" t ".purchased_at)," \
	"'originally_purchased_at', adapty._iso8601(" t ".originally_purchased_at)," \
	"'expires_at', adapty._iso8601(" t ".expires_at)," \
	"'renewal_cancelled_at', adapty._iso8601(" t ".renewal_cancelled_at)," \
	"'billing_issue_detected_at', adapty._iso8601(" t ".billing_issue_detected_at)," \
	"'cancellation_reason', " t ".cancellation_reason"

static SavedPlan select_head = {
	"profile's own row",
	"SELECT p.total_revenue_usd, p.custom_attributes::jsonb, coalesce(p.test_clock_offset, 0),"
	" (SELECT i.customer_user_id FROM adapty.identities i WHERE i.profile_id = $1),"
	" EXISTS (SELECT FROM adapty.subscriptions s WHERE s.profile_id = $1),"
	" EXISTS (SELECT FROM adapty.transactions t WHERE t.profile_id = $1 AND t.purchase_type = 'one_time_purchase')"
	" FROM adapty.profiles p WHERE p.profile_id = $1",
	SPI_OK_SELECT, 1, {UUIDOID}, NULL, InvalidOid
};

/* The store of access that no store gave is "adapty". */
static SavedPlan select_levels = {
	"access levels of a profile",
	"SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object("
	" 'access_level_id', l.access_level_id, 'store', coalesce(l.store, 'adapty'),"
	" 'starts_at', adapty._iso8601(l.starts_at), 'is_in_grace_period', coalesce(l.is_in_grace_period, false),"
	PURCHASE_JSON("l") ") ORDER BY l.access_level_id COLLATE \"C\"), '[]')"
	" FROM adapty.profile_access_levels l WHERE l.profile_id = $1",
	SPI_OK_SELECT, 1, {UUIDOID}, NULL, InvalidOid
};

/* $2 is the moment on the profile's clock. */
static SavedPlan select_subscriptions = {
	"subscriptions of a profile",
	"SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object("
	" 'store', s.store, 'environment', s.environment,"
	" 'is_in_grace_period', s.grace_period_expires_at IS NOT NULL AND $2 >= s.expires_at"
	"  AND $2 < s.grace_period_expires_at,"
	PURCHASE_JSON("s") ")"
	" ORDER BY s.originally_purchased_at, s.store, s.store_original_transaction_id COLLATE \"C\"), '[]')"
	" FROM adapty.subscriptions s WHERE s.profile_id = $1",
	SPI_OK_SELECT, 2, {UUIDOID, TIMESTAMPTZOID}, NULL, InvalidOid
};

static SavedPlan select_purchases = {
	"one-time purchases of a profile",
	"SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object("
	" 'purchase_id', t.purchase_id, 'store', t.store, 'store_product_id', t.store_product_id,"
	" 'store_base_plan_id', nullif(t.store_base_plan_id, ''),"
	" 'store_transaction_id', t.store_transaction_id,"
	" 'store_original_transaction_id', t.store_original_transaction_id,"
	" 'purchased_at', adapty._iso8601(t.purchased_at), 'environment', t.environment,"
	" 'is_refund', t.refunded_at IS NOT NULL,"
	" 'is_consumable', coalesce((SELECT d.period = 'consumable' FROM adapty.products d"
	"   WHERE d.product_id = t.product_id), false))"
	" ORDER BY t.purchased_at, t.store, t.store_transaction_id COLLATE \"C\"), '[]')"
	" FROM adapty.transactions t WHERE t.profile_id = $1"
	" AND t.purchase_type = 'one_time_purchase'",
	SPI_OK_SELECT, 1, {UUIDOID}, NULL, InvalidOid
};

/*
 * See profile.h.  Not stored, so that a copy of the database is another app.
 */
void
app_id(pg_uuid_t *id)
{
	struct
	{
		uint64		system;
		uint64		database;
	}			source = {GetSystemIdentifier(), MyDatabaseId};

	for (int half = 0; half < 2; half++)
	{
		uint64		hash = hash_bytes_extended((const unsigned char *) &source, sizeof(source), half + 1);

		memcpy(&id->data[8 * half], &hash, sizeof(hash));
	}
	/* Version 8, "of one's own making". */
	id->data[6] = 0x80 | (id->data[6] & 0x0f);
	id->data[8] = 0x80 | (id->data[8] & 0x3f);
}

/* Reads the profile's own row; false if there is none.  Inside a scope, as all that follows. */
static bool
read_head(const ApiScope *scope, const pg_uuid_t *profile_id, bool as_of_snapshot, ProfileHead *head)
{
	Datum		arg = UUIDPGetDatum(profile_id);
	bool		isnull;

	if (plan_execute_generic(&select_head, &arg, NULL, as_of_snapshot) == 0)
		return false;
	head->total_revenue_usd = DatumGetNumeric(scope_copy(scope, 0, 1, &isnull));
	head->custom_attributes = DatumGetJsonbP(scope_copy(scope, 0, 2, &isnull));
	head->test_clock_offset = DatumGetInt64(scope_copy(scope, 0, 3, &isnull));
	head->customer_user_id = scope_copy_text(scope, 0, 4);
	head->has_subscriptions = DatumGetBool(scope_copy(scope, 0, 5, &isnull));
	head->has_purchases = DatumGetBool(scope_copy(scope, 0, 6, &isnull));
	return true;
}

/* Adds what a statement of one jsonb says. */
static void
add_selected(JsonbBuild *jb, const ApiScope *scope, SavedPlan *plan, Datum *args, bool as_of_snapshot)
{
	bool		isnull;

	(void) plan_execute_generic(plan, args, NULL, as_of_snapshot);
	jb_jsonb(jb, DatumGetJsonbP(scope_copy(scope, 0, 1, &isnull)));
}

/* qsort comparator: byte by byte */
static int
compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* The custom attributes as an array, in the order of their keys; jsonb has another one. */
static void
add_custom_attributes(JsonbBuild *jb, Jsonb *attributes)
{
	char	  **keys = palloc(sizeof(char *) * (JB_ROOT_COUNT(attributes) + 1));
	JsonbIterator *iterator = JsonbIteratorInit(&attributes->root);
	JsonbIteratorToken token;
	JsonbValue	item;
	int			n = 0;

	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
		if (token == WJB_KEY)
			keys[n++] = pnstrdup(item.val.string.val, item.val.string.len);
	qsort(keys, n, sizeof(char *), compare_strings);
	jb_begin_array(jb);
	for (int i = 0; i < n; i++)
	{
		jb_begin_object(jb);
		jb_key(jb, "key");
		jb_string(jb, keys[i]);
		jb_key(jb, "value");
		jb_jsonb(jb, JsonbValueToJsonb(jsonb_object_get(attributes, keys[i])));
		jb_end_object(jb);
	}
	jb_end_array(jb);
}

/* Adds an access level that no purchase gives. */
static void
add_granted_level(JsonbBuild *jb, const GrantGroup *level, TimestampTz profile_now)
{
	static const char *const nothing[] = {
		"store_product_id", "store_base_plan_id", "store_transaction_id", "store_original_transaction_id",
		"offer", "purchased_at", "originally_purchased_at", "renewal_cancelled_at",
		"billing_issue_detected_at", "cancellation_reason"
	};
	const AccessGrant *winner = access_at(level, profile_now).winner;

	jb_begin_object(jb);
	jb_key(jb, "access_level_id");
	jb_string(jb, level->access_level_id);
	jb_key(jb, "store");
	jb_string(jb, "adapty");
	jb_key(jb, "starts_at");
	jb_timestamp(jb, winner->starts_at);
	jb_key(jb, "expires_at");
	jb_timestamp(jb, winner->expires_at);
	jb_key(jb, "is_in_grace_period");
	jb_bool(jb, false);
	for (int i = 0; i < (int) lengthof(nothing); i++)
	{
		jb_key(jb, nothing[i]);
		jb_null(jb);
	}
	jb_end_object(jb);
}

/* qsort comparator: grants by access level, byte by byte */
static int
compare_levels(const void *a, const void *b)
{
	return strcmp(((const AccessGrant *) a)->access_level_id, ((const AccessGrant *) b)->access_level_id);
}

/* Adds all access levels if no purchase is among their sources; false, and nothing added, otherwise. */
static bool
add_granted_levels(JsonbBuild *jb, const pg_uuid_t *profile_id, TimestampTz profile_now, bool as_of_snapshot)
{
	GrantGroup	all;
	GrantGroup	level;

	grant_load_shown(profile_id, as_of_snapshot, &all);
	for (int i = 0; i < all.n; i++)
		if (all.grants[i].source <= GRANT_SOURCE_SHARED_PURCHASE)
			return false;
	qsort(all.grants, all.n, sizeof(AccessGrant), compare_levels);
	jb_begin_array(jb);
	for (int begin = 0; begin < all.n; begin += level.n)
	{
		level = all;
		level.grants = &all.grants[begin];
		level.access_level_id = level.grants[0].access_level_id;
		for (level.n = 1; begin + level.n < all.n; level.n++)
			if (strcmp(level.grants[level.n].access_level_id, level.access_level_id) != 0)
				break;
		add_granted_level(jb, &level, profile_now);
	}
	jb_end_array(jb);
	return true;
}

/* Adds an empty array. */
static void
add_nothing(JsonbBuild *jb)
{
	jb_begin_array(jb);
	jb_end_array(jb);
}

/* The members that come from the profile's own row. */
static void
add_head(JsonbBuild *jb, const pg_uuid_t *profile_id, const ProfileHead *head, TimestampTz now)
{
	pg_uuid_t	app;
	uint64		hash = DatumGetUInt64(DirectFunctionCall2(jsonb_hash_extended,
														  JsonbPGetDatum(head->custom_attributes),
														  UInt64GetDatum(0)));
	int64		epoch = now + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;

	app_id(&app);
	jb_key(jb, "app_id");
	jb_uuid(jb, &app);
	jb_key(jb, "profile_id");
	jb_uuid(jb, profile_id);
	jb_key(jb, "customer_user_id");
	jb_string(jb, head->customer_user_id);
	jb_key(jb, "total_revenue_usd");
	jb_numeric(jb, head->total_revenue_usd);
	/* opaque: it changes when the custom attributes do */
	jb_key(jb, "segment_hash");
	jb_string(jb, psprintf("%016" PRIx64, hash));
	jb_key(jb, "timestamp");
	jb_int64(jb, epoch / 1000);
	jb_key(jb, "custom_attributes");
	add_custom_attributes(jb, head->custom_attributes);
}

/* See profile.h. */
Jsonb *
profile_json(const pg_uuid_t *profile_id, bool as_of_snapshot)
{
	TimestampTz now = clock_read_now();
	ApiScope	scope;
	ProfileHead head;
	JsonbBuild	jb;
	Jsonb	   *built;
	Jsonb	   *result;
	Datum		args[2];

	scope_enter(&scope);
	if (!read_head(&scope, profile_id, as_of_snapshot, &head))
	{
		scope_leave(&scope);
		return NULL;
	}
	args[0] = UUIDPGetDatum(profile_id);
	args[1] = TimestampTzGetDatum(now + head.test_clock_offset);
	jb_init(&jb);
	jb_begin_object(&jb);
	add_head(&jb, profile_id, &head, now);
	jb_key(&jb, "access_levels");
	if (!add_granted_levels(&jb, profile_id, now + head.test_clock_offset, as_of_snapshot))
		add_selected(&jb, &scope, &select_levels, args, as_of_snapshot);
	jb_key(&jb, "subscriptions");
	if (head.has_subscriptions)
		add_selected(&jb, &scope, &select_subscriptions, args, as_of_snapshot);
	else
		add_nothing(&jb);
	jb_key(&jb, "non_subscriptions");
	if (head.has_purchases)
		add_selected(&jb, &scope, &select_purchases, args, as_of_snapshot);
	else
		add_nothing(&jb);
	jb_end_object(&jb);
	built = jb_finish(&jb);
	result = MemoryContextAlloc(scope.caller_context, VARSIZE(built));
	memcpy(result, built, VARSIZE(built));
	scope_leave(&scope);
	return result;
}
