/*
 * profile.c
 *		Profiles: made, shown, exported and deleted.
 *
 * A profile is one row that everything else of a user hangs on.  Deleting it takes all of that with
 * it by cascade, except what is the app's and not the user's: transactions and subscriptions stay
 * for the books under the nil profile_id, events stay under a profile_id that nothing leads to any
 * more.
 *
 * The documents are made by one statement each, which reads by one profile_id and so sees one state.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "base/arg.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/plans.h"
#include "domain/attributes.h"
#include "domain/grant.h"
#include "domain/identity.h"
#include "domain/profile.h"
#include "domain/sharing.h"

PG_FUNCTION_INFO_V1(adapty_create_profile);

/*
 * The identity goes first, so that a taken customer_user_id makes no profile; its foreign key is
 * checked at the end of the statement, when the profile is there.
 */
static SavedPlan insert_known_profile = {
	"insert known profile",
	"WITH i AS (INSERT INTO adapty.identities (customer_user_id, profile_id) VALUES ($1, $2)"
	"  ON CONFLICT (customer_user_id) DO NOTHING RETURNING profile_id)"
	" INSERT INTO adapty.profiles (profile_id) SELECT i.profile_id FROM i",
	SPI_OK_INSERT, 2, {TEXTOID, UUIDOID}, NULL, InvalidOid
};

static SavedPlan insert_anonymous_profile = {
	"insert anonymous profile",
	"INSERT INTO adapty.profiles (profile_id) VALUES ($1)",
	SPI_OK_INSERT, 1, {UUIDOID}, NULL, InvalidOid
};

static SavedPlan find_profile = {
	"find profile",
	"SELECT FROM adapty.profiles p WHERE p.profile_id = $1",
	SPI_OK_SELECT, 1, {UUIDOID}, NULL, InvalidOid
};

static SavedPlan release_transactions = {
	"release transactions",
	"UPDATE adapty.transactions SET profile_id = '00000000-0000-0000-0000-000000000000'"
	" WHERE profile_id = $1",
	SPI_OK_UPDATE, 1, {UUIDOID}, NULL, InvalidOid
};

static SavedPlan release_subscriptions = {
	"release subscriptions",
	"UPDATE adapty.subscriptions SET profile_id = '00000000-0000-0000-0000-000000000000'"
	" WHERE profile_id = $1",
	SPI_OK_UPDATE, 1, {UUIDOID}, NULL, InvalidOid
};

static SavedPlan release_timers = {
	"release timers",
	"UPDATE adapty.subscription_timers SET profile_id = '00000000-0000-0000-0000-000000000000'"
	" WHERE profile_id = $1",
	SPI_OK_UPDATE, 1, {UUIDOID}, NULL, InvalidOid
};

static SavedPlan delete_profile_row = {
	"delete profile",
	"DELETE FROM adapty.profiles WHERE profile_id = $1",
	SPI_OK_DELETE, 1, {UUIDOID}, NULL, InvalidOid
};

/* All rows of a table about a profile, in an order that stays. */
#define ROWS_JSON(key, table, order) \
	"'" key "', coalesce((SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(t) ORDER BY " order ")" \
	" FROM adapty." table " t WHERE t.profile_id = $1), '[]')"

static SavedPlan build_export = {
	"build export",
	"SELECT pg_catalog.jsonb_build_object("
	"'profile', pg_catalog.to_jsonb(p),"
	"'identity', (SELECT pg_catalog.to_jsonb(t) FROM adapty.identities t WHERE t.profile_id = $1),"
	ROWS_JSON("installations", "installations", "t.device_id") ","
	ROWS_JSON("integration_identifiers", "integration_identifiers", "t.name") ","
	ROWS_JSON("attributions", "attributions", "t.source") ","
	ROWS_JSON("access_grants", "access_grants", "t.access_level_id, t.source, t.source_id") ","
	ROWS_JSON("transactions", "transactions", "t.purchased_at, t.store, t.store_transaction_id") ","
	ROWS_JSON("subscriptions", "subscriptions", "t.store, t.store_original_transaction_id") ","
	ROWS_JSON("purchase_inheritors", "purchase_inheritors", "t.store, t.store_original_transaction_id") ","
	ROWS_JSON("subscription_timers", "subscription_timers", "t.store, t.store_original_transaction_id, t.timer") ","
	ROWS_JSON("store_customers", "store_customers", "t.store, t.store_customer_id") ","
	ROWS_JSON("ab_test_assignments", "ab_test_assignments", "t.assigned_at, t.ab_test_id") ","
	ROWS_JSON("paywall_requests", "paywall_requests", "t.requested_at") ","
	ROWS_JSON("paywall_views", "paywall_views", "t.viewed_at, t.variation_id") ","
	ROWS_JSON("events", "events", "t.recorded_at, t.event_id") ","
	ROWS_JSON("promo_campaign_grants", "promo_campaign_grants", "t.granted_at, t.campaign_id") ","
	ROWS_JSON("promo_code_redemptions", "promo_code_redemptions", "t.redeemed_at, t.code") ","
	ROWS_JSON("virtual_currency_balances", "virtual_currency_balances", "t.currency_code") ","
	ROWS_JSON("virtual_currency_transactions", "virtual_currency_transactions",
			  "t.transaction_id, t.currency_code") ","
	ROWS_JSON("idempotency_keys", "idempotency_keys", "t.created_at, t.idempotency_key") ")"
	" FROM adapty.profiles p WHERE p.profile_id = $1",
	SPI_OK_SELECT, 1, {UUIDOID}, NULL, InvalidOid
};

/* See profile.h. */
bool
profile_create(const text *customer_user_id, const pg_uuid_t *profile_id)
{
	ApiScope	scope;
	Datum		values[2];
	bool		created;

	scope_enter(&scope);
	if (customer_user_id == NULL)
	{
		values[0] = UUIDPGetDatum(profile_id);
		created = plan_execute(&insert_anonymous_profile, values, NULL, false) > 0;
	}
	else
	{
		values[0] = PointerGetDatum(customer_user_id);
		values[1] = UUIDPGetDatum(profile_id);
		created = plan_execute(&insert_known_profile, values, NULL, false) > 0;
	}
	scope_leave(&scope);
	return created;
}

/* See profile.h. */
bool
profile_exists(const pg_uuid_t *profile_id)
{
	ApiScope	scope;
	Datum		values[1] = {UUIDPGetDatum(profile_id)};
	bool		found;

	scope_enter(&scope);
	found = plan_execute(&find_profile, values, NULL, false) > 0;
	scope_leave(&scope);
	return found;
}

/* adapty.create_profile(customer_user_id, attributes): see the function's COMMENT. */
Datum
adapty_create_profile(PG_FUNCTION_ARGS)
{
	UserRef		user = {0};
	Jsonb	   *attributes = arg_jsonb(fcinfo, 1, "attributes");
	pg_uuid_t  *profile_id = palloc(sizeof(pg_uuid_t));

	if (!PG_ARGISNULL(0))
	{
		user = arg_customer_user_id(fcinfo);
		user_check_caller(&user);
	}
	refuse_unless_writable(fcinfo);
	uuid_v7(profile_id);
	if (!profile_create(user.customer_user_id, profile_id))
		ereport(ERROR,
				(condition_errcode(COND_PROFILE_EXISTS),
				 errmsg("user with %s exists already", user_ref_text(&user)),
				 errhint("Change the profile by adapty.update_profile().")));
	user.profile_id = *profile_id;
	attributes_apply(&user, profile_id, attributes);
	PG_RETURN_UUID_P(profile_id);
}

/* get_profile(user) */
static Datum
get_profile(FunctionCallInfo fcinfo, UserRef user)
{
	pg_uuid_t	profile_id;
	Jsonb	   *profile = NULL;

	(void) fcinfo;
	user_check_caller(&user);
	if (user_lookup(&user, NULL, &profile_id))
		profile = profile_json(&profile_id, true);
	if (profile == NULL)
		profile_not_found(&user);
	PG_RETURN_JSONB_P(profile);
}

/* update_profile(user, attributes): returns the profile as it is then. */
static Datum
update_profile(FunctionCallInfo fcinfo, UserRef user)
{
	Jsonb	   *attributes = arg_jsonb(fcinfo, 1, "attributes");
	pg_uuid_t	profile_id;
	Jsonb	   *profile;

	user_check_caller(&user);
	refuse_unless_writable(fcinfo);
	user_resolve(&user, &profile_id);
	attributes_apply(&user, &profile_id, attributes);
	profile = profile_json(&profile_id, false);
	if (profile == NULL)
		profile_not_found(&user);
	PG_RETURN_JSONB_P(profile);
}

/* delete_profile(user): true, or ERROR (PT404). */
static Datum
delete_profile(FunctionCallInfo fcinfo, UserRef user)
{
	pg_uuid_t	profile_id;
	LockedProfile locked;
	ApiScope	scope;
	Datum		values[1];

	(void) fcinfo;
	refuse_unless_writable(fcinfo);
	user_resolve(&user, &profile_id);
	/* Whoever is changing the user's access now finishes first, and finds nobody afterwards. */
	if (!profile_lock(&profile_id, false, NULL, &locked))
		profile_not_found(&user);
	values[0] = UUIDPGetDatum(&profile_id);
	scope_enter(&scope);
	sharing_hand_over(&locked);
	plan_execute(&release_transactions, values, NULL, false);
	plan_execute(&release_subscriptions, values, NULL, false);
	plan_execute(&release_timers, values, NULL, false);
	plan_execute(&delete_profile_row, values, NULL, false);
	scope_leave(&scope);
	PG_RETURN_BOOL(true);
}

/* export_profile(user): every row that is held about a user, one key a table; times in UTC. */
static Datum
export_profile(FunctionCallInfo fcinfo, UserRef user)
{
	pg_uuid_t	profile_id;
	ApiScope	scope;
	Datum		values[1];
	Jsonb	   *result;
	bool		isnull;

	(void) fcinfo;
	user_check_caller(&user);
	if (!user_lookup(&user, NULL, &profile_id))
		profile_not_found(&user);
	values[0] = UUIDPGetDatum(&profile_id);
	scope_enter(&scope);
	/* JSON writes timestamps in the session's zone; this setting ends with the scope. */
	(void) set_config_option("TimeZone", "UTC", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	if (plan_execute(&build_export, values, NULL, true) == 0)
		profile_not_found(&user);
	result = DatumGetJsonbP(scope_copy(&scope, 0, 1, &isnull));
	scope_leave(&scope);
	PG_RETURN_JSONB_P(result);
}

FUNCTION_BY_USER(get_profile);
FUNCTION_BY_USER(update_profile);
FUNCTION_BY_USER(delete_profile);
FUNCTION_BY_USER(export_profile);
