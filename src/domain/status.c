/*
 * status.c
 *		Readers of access: what a user has, at any time, and why.
 *
 * Access is computed when it is asked for, from intervals and the clock; nothing here waits for a
 * worker.  has_access() is called once a row of users' own tables, so it reads two indexes without
 * the executor; the others are single statements.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

#include "base/arg.h"
#include "base/caller.h"
#include "base/clock.h"
#include "base/direct.h"
#include "base/errors.h"
#include "base/guc.h"
#include "base/plans.h"
#include "domain/access.h"
#include "domain/identity.h"
#include "domain/status.h"
#include "domain/subscription.h"

#define MAX_ACCESS_LEVEL_ID 64

/* Attribute numbers in adapty.access_grants. */
#define GRANT_STARTS_AT 2
#define GRANT_EXPIRES_AT 3
#define GRANT_TEST_CLOCK_OFFSET 8

PG_FUNCTION_INFO_V1(adapty_has_access);
PG_FUNCTION_INFO_V1(adapty_has_access_by_profile_id);
PG_FUNCTION_INFO_V1(adapty_current_profile_id);

/* In the order of the attributes of type adapty.access_level. */
typedef enum LevelAttribute
{
	LEVEL_ACCESS_LEVEL_ID,
	LEVEL_IS_ACTIVE,
	LEVEL_IS_LIFETIME,
	LEVEL_STARTS_AT,
	LEVEL_EXPIRES_AT,
	LEVEL_SOURCE,
	LEVEL_ACTIVE_SOURCES,
	LEVEL_WILL_RENEW,
	LEVEL_IS_IN_GRACE_PERIOD,
	LEVEL_STORE,
	LEVEL_NATTS = 22
} LevelAttribute;

static SavedPlan has_active_grant = {
	"has active grant",
	"SELECT 1 FROM adapty.access_grants WHERE profile_id = $1 AND access_level_id OPERATOR(pg_catalog.=) $2"
	" AND starts_at <= $3 + coalesce(test_clock_offset, 0) * interval '1 microsecond'"
	" AND expires_at > $3 + coalesce(test_clock_offset, 0) * interval '1 microsecond' LIMIT 1",
	SPI_OK_SELECT, 3, {UUIDOID, TEXTOID, TIMESTAMPTZOID}, NULL, InvalidOid
};

static SavedPlan select_access_levels = {
	"access levels of a profile",
	"SELECT access_level_id, is_active, is_lifetime, starts_at, expires_at, source, active_sources, will_renew,"
	" is_in_grace_period, store, store_product_id, store_base_plan_id, store_transaction_id,"
	" store_original_transaction_id, offer_category, offer_type, offer_id, purchased_at,"
	" originally_purchased_at, renewal_cancelled_at, billing_issue_detected_at, cancellation_reason"
	" FROM adapty.profile_access_levels WHERE profile_id = $1 ORDER BY access_level_id",
	SPI_OK_SELECT, 1, {UUIDOID}, NULL, InvalidOid
};

static SavedPlan select_access_level = {
	"access level of a profile",
	"SELECT access_level_id, is_active, is_lifetime, starts_at, expires_at, source, active_sources, will_renew,"
	" is_in_grace_period, store, store_product_id, store_base_plan_id, store_transaction_id,"
	" store_original_transaction_id, offer_category, offer_type, offer_id, purchased_at,"
	" originally_purchased_at, renewal_cancelled_at, billing_issue_detected_at, cancellation_reason"
	" FROM adapty.profile_access_levels WHERE profile_id = $1 AND access_level_id OPERATOR(pg_catalog.=) $2",
	SPI_OK_SELECT, 2, {UUIDOID, TEXTOID}, NULL, InvalidOid
};

static SavedPlan explain_level = {
	"explain access",
	"SELECT source, source_id, nullif(starts_at, '-infinity'), nullif(expires_at, 'infinity'), rank = 0,"
	" rank = 0 AND row_number() OVER w = 1,"
	" CASE WHEN rank = 1 THEN 'begins at ' || adapty._iso8601(starts_at)"
	"  WHEN rank = 2 AND revoked_at IS NOT NULL THEN 'was revoked, ended at ' || adapty._iso8601(expires_at)"
	"  WHEN rank = 2 THEN 'ended at ' || adapty._iso8601(expires_at)"
	"  WHEN row_number() OVER w > 1 THEN 'active, but another source '"
	"   || CASE WHEN first_value(expires_at) OVER w > expires_at"
	"      THEN CASE WHEN first_value(expires_at) OVER w = 'infinity' THEN 'is for lifetime' ELSE 'ends later' END"
	"      WHEN first_value(starts_at) OVER w > starts_at THEN 'with the same end began later'"
	"      ELSE 'with the same interval comes first' END"
	"  ELSE 'active; wins because '"
	"   || CASE WHEN count(*) FILTER (WHERE rank = 0) OVER () = 1 THEN 'it is the only active source'"
	"      WHEN expires_at = 'infinity' THEN 'it is for lifetime'"
	"      WHEN count(*) FILTER (WHERE rank = 0) OVER (PARTITION BY expires_at) = 1 THEN 'it ends last'"
	"      ELSE 'of those that end last it comes first' END END"
	"  || CASE WHEN parent_profile_id IS NULL THEN '' ELSE '; inherited from '"
	"   || coalesce('\"' || parent || '\"', 'profile ' || parent_profile_id) END,"
	" granted_at, updated_at, actor, reason, parent_profile_id"
	" FROM (SELECT g.*, h.parent_profile_id, i.customer_user_id AS parent, CASE WHEN g.starts_at <= t AND t < g.expires_at THEN 0"
	"   WHEN t < g.starts_at AND g.starts_at < g.expires_at THEN 1 ELSE 2 END AS rank"
	"   FROM adapty.access_grants g"
	"   LEFT JOIN adapty.purchase_inheritors h ON g.source = 'shared_purchase' AND h.profile_id = g.profile_id"
	"    AND h.store || ':' || h.store_original_transaction_id = g.source_id"
	"   LEFT JOIN adapty.identities i ON i.profile_id = h.parent_profile_id,"
	"   LATERAL (SELECT $3 + coalesce(g.test_clock_offset, 0) * interval '1 microsecond') AS c (t)"
	"   WHERE g.profile_id = $1 AND g.access_level_id OPERATOR(pg_catalog.=) $2) x"
	" WINDOW w AS (ORDER BY rank, expires_at DESC, starts_at DESC, source, source_id"
	"   ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)"
	" ORDER BY rank, expires_at DESC, starts_at DESC, source, source_id",
	SPI_OK_SELECT, 3, {UUIDOID, TEXTOID, TIMESTAMPTZOID}, NULL, InvalidOid
};

/*
 * A level whose picture changed after the moment asked for is read from its last event before it,
 * or, where retention has removed that one, from what its first event after it says was before; the
 * others from the intervals as they are, which hold for that moment as well.
 * $1 profile, $2 moment on its clock, $3 whether the moment has passed.
 */
static SavedPlan select_status = {
	"profile status",
	"WITH changed AS ("
	" SELECT DISTINCT ON (access_level_id) access_level_id, was_active, previous_expires_at"
	" FROM adapty.events WHERE $3 AND profile_id = $1"
	"  AND event_type = 'access_level_updated' AND event_datetime > $2"
	" ORDER BY access_level_id, event_datetime, recorded_at),"
	" levels AS ("
	" SELECT g.access_level_id::text AS access_level_id, max(g.expires_at) AS expires_at,"
	"  coalesce(bool_or(s.renew_status AND s.refunded_at IS NULL), false) AS will_renew,"
	"  coalesce(bool_or(s.grace_period_expires_at > $2 AND s.expires_at <= $2), false) AS is_in_grace_period"
	" FROM adapty.access_grants g"
	" LEFT JOIN adapty.purchase_inheritors i ON i.profile_id = g.profile_id AND g.source = 'shared_purchase'"
	"  AND i.store || ':' || i.store_original_transaction_id = g.source_id"
	" LEFT JOIN adapty.subscriptions s ON s.profile_id = coalesce(i.parent_profile_id, g.profile_id)"
	"  AND g.source IN ('subscription', 'shared_purchase')"
	"  AND s.store || ':' || s.store_original_transaction_id = g.source_id"
	" WHERE g.profile_id = $1 AND g.starts_at <= $2 AND $2 < g.expires_at"
	"  AND g.access_level_id NOT IN (SELECT access_level_id FROM changed)"
	" GROUP BY g.access_level_id"
	" UNION ALL"
	" SELECT access_level_id, expires_at, NULL, NULL FROM ("
	"  SELECT DISTINCT ON (e.access_level_id) e.access_level_id, e.starts_at, e.expires_at"
	"  FROM adapty.events e WHERE e.profile_id = $1 AND e.event_type = 'access_level_updated'"
	"   AND e.event_datetime <= $2 AND e.access_level_id IN (SELECT access_level_id FROM changed)"
	"  ORDER BY e.access_level_id, e.event_datetime DESC, e.recorded_at DESC) last"
	" WHERE starts_at <= $2 AND $2 < expires_at"
	" UNION ALL"
	" SELECT c.access_level_id, c.previous_expires_at, NULL, NULL FROM changed c WHERE c.was_active"
	"  AND NOT EXISTS (SELECT FROM adapty.events e WHERE e.profile_id = $1"
	"   AND e.event_type = 'access_level_updated' AND e.event_datetime <= $2"
	"   AND e.access_level_id = c.access_level_id))"
	" SELECT count(*) > 0, coalesce(array_agg(access_level_id ORDER BY access_level_id), '{}'::text[]),"
	"  nullif(max(expires_at), 'infinity'), coalesce(bool_or(will_renew), CASE WHEN NOT $3 THEN false END),"
	"  coalesce(bool_or(is_in_grace_period), CASE WHEN NOT $3 THEN false END)"
	" FROM levels",
	SPI_OK_SELECT, 3, {UUIDOID, TIMESTAMPTZOID, BOOLOID}, NULL, InvalidOid
};

/* The state that the last event of any subscription before a moment left. */
static SavedPlan select_past_state = {
	"past subscription state",
	"SELECT (CASE event_type::text"
	" WHEN 'subscription_started' THEN 'subscribed' WHEN 'subscription_renewed' THEN 'subscribed'"
	" WHEN 'trial_converted' THEN 'subscribed' WHEN 'subscription_renewal_reactivated' THEN 'subscribed'"
	" WHEN 'subscription_deferred' THEN 'subscribed'"
	" WHEN 'subscription_renewal_cancelled' THEN 'auto_renew_off' WHEN 'subscription_paused' THEN 'auto_renew_off'"
	" WHEN 'trial_started' THEN 'active_trial' WHEN 'trial_renewal_reactivated' THEN 'active_trial'"
	" WHEN 'trial_renewal_cancelled' THEN 'trial_cancelled' WHEN 'trial_expired' THEN 'trial_cancelled'"
	" WHEN 'entered_grace_period' THEN 'grace_period' WHEN 'billing_issue_detected' THEN 'billing_issue'"
	" ELSE 'subscription_cancelled' END)::adapty.subscription_state"
	" FROM adapty.events WHERE profile_id = $1 AND event_datetime <= $2"
	" AND event_type NOT IN ('access_level_updated', 'non_subscription_purchase', 'non_subscription_purchase_refunded')"
	" ORDER BY event_datetime DESC, recorded_at DESC LIMIT 1",
	SPI_OK_SELECT, 2, {UUIDOID, TIMESTAMPTZOID}, NULL, InvalidOid
};

static SavedPlan had_subscription = {
	"subscription of a past moment",
	"SELECT FROM adapty.subscriptions WHERE profile_id = $1 AND originally_purchased_at <= $2 LIMIT 1",
	SPI_OK_SELECT, 2, {UUIDOID, TIMESTAMPTZOID}, NULL, InvalidOid
};

static SavedPlan select_profile = {
	"profile for its status",
	"SELECT p.subscription_state, p.test_clock_offset, i.customer_user_id FROM adapty.profiles p"
	" LEFT JOIN adapty.identities i USING (profile_id) WHERE p.profile_id = $1",
	SPI_OK_SELECT, 1, {UUIDOID}, NULL, InvalidOid
};

/* ---- has_access ---- */

/* Is any source of the level active?  By the primary key's first two columns. */
static bool
has_access_direct(const pg_uuid_t *profile_id, Datum access_level_id, TimestampTz now)
{
	Datum		keys[2];
	DirectScan *scan;
	TupleTableSlot *slot;
	bool		found = false;

	keys[0] = UUIDPGetDatum(profile_id);
	keys[1] = access_level_id;
	scan = direct_begin(INDEX_ACCESS_GRANTS_PKEY, keys, 2, GetActiveSnapshot());
	while (!found && (slot = direct_next(scan)) != NULL)
	{
		bool		isnull;
		TimestampTz t = now;
		Datum		offset = slot_getattr(slot, GRANT_TEST_CLOCK_OFFSET, &isnull);

		if (!isnull)
			t += DatumGetInt64(offset);
		found = DatumGetTimestampTz(slot_getattr(slot, GRANT_STARTS_AT, &isnull)) <= t &&
			t < DatumGetTimestampTz(slot_getattr(slot, GRANT_EXPIRES_AT, &isnull));
	}
	direct_end(scan);
	return found;
}

/* The same by SPI. */
static bool
has_access_spi(const pg_uuid_t *profile_id, Datum access_level_id, TimestampTz now)
{
	ApiScope	scope;
	Datum		args[3];
	bool		found;

	args[0] = UUIDPGetDatum(profile_id);
	args[1] = access_level_id;
	args[2] = TimestampTzGetDatum(now);
	scope_enter(&scope);
	found = plan_execute_generic(&has_active_grant, args, NULL, true) > 0;
	scope_leave(&scope);
	return found;
}

/* adapty.has_access(user, access_level_id): never an error for an unknown or a null user or level. */
static Datum
has_access(FunctionCallInfo fcinfo, UserRef user)
{
	pg_uuid_t	profile_id;
	bool		direct = direct_attach(direct_owner(fcinfo), TABLE_ACCESS_GRANTS, DIRECT_READ);

	if (PG_ARGISNULL(1))
		PG_RETURN_BOOL(false);
	user_check_caller(&user);
	if (!user_lookup(&user, NULL, &profile_id))
		PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(direct
				   ? has_access_direct(&profile_id, PG_GETARG_DATUM(1), clock_read_now())
				   : has_access_spi(&profile_id, PG_GETARG_DATUM(1), clock_read_now()));
}

Datum
adapty_has_access(PG_FUNCTION_ARGS)
{
	UserRef		user = {0};

	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	user.customer_user_id = PG_GETARG_TEXT_PP(0);
	return has_access(fcinfo, user);
}

Datum
adapty_has_access_by_profile_id(PG_FUNCTION_ARGS)
{
	UserRef		user = {0};

	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	user.profile_id = *PG_GETARG_UUID_P(0);
	return has_access(fcinfo, user);
}

/* ---- the access_level of a result ---- */

/* The active sources of a group as an array, in the enum's order. */
static Datum
active_sources(const GrantGroup *group, TimestampTz profile_now)
{
	Datum		elements[GRANT_SOURCE_PROMO_CODE + 1];
	int			n = 0;

	for (int source = 0; source <= GRANT_SOURCE_PROMO_CODE; source++)
		for (int i = 0; i < group->n; i++)
			if ((int) group->grants[i].source == source &&
				access_state_at(&group->grants[i], profile_now) == GRANT_ACTIVE)
			{
				elements[n++] = enum_datum(ENUM_GRANT_SOURCE, source);
				break;
			}
	return PointerGetDatum(construct_array(elements, n, ext_state()->enums[ENUM_GRANT_SOURCE],
										   sizeof(Oid), true, TYPALIGN_INT));
}

/* The composite type's descriptor, by name: its OID may change with the extension. */
static TupleDesc
access_level_desc(void)
{
	Oid			rowtype = get_rel_type_id(get_relname_relid("access_level", ext_state()->schema));

	return lookup_rowtype_tupdesc(rowtype, -1);
}

/* A level whose winner is a purchase: by the view, which knows the purchase's facts. */
static Datum
access_level_by_view(const GrantGroup *group)
{
	ApiScope	scope;
	Datum		args[2];
	Datum		result;
	TupleDesc	desc = access_level_desc();
	Datum		values[LEVEL_NATTS];
	bool		nulls[LEVEL_NATTS];

	args[0] = UUIDPGetDatum(&group->profile_id);
	args[1] = CStringGetTextDatum(group->access_level_id);
	scope_enter(&scope);
	if (plan_execute_generic(&select_access_level, args, NULL, false) != 1)
		elog(ERROR, "access level \"%s\" is not in the view", group->access_level_id);
	heap_deform_tuple(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, values, nulls);
	MemoryContextSwitchTo(scope.caller_context);
	result = HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
	scope_leave(&scope);
	ReleaseTupleDesc(desc);
	return result;
}

/* See status.h. */
Datum
access_level_form(const GrantGroup *group, TimestampTz profile_now)
{
	VisibleAccess visible = access_at(group, profile_now);
	const AccessGrant *winner = visible.winner;
	Datum		values[LEVEL_NATTS] = {0};
	bool		nulls[LEVEL_NATTS];
	TupleDesc	desc;
	Datum		result;

	Assert(winner != NULL);
	if (winner->source <= GRANT_SOURCE_SHARED_PURCHASE)
		return access_level_by_view(group);
	memset(nulls, true, sizeof(nulls));
	memset(nulls, false, LEVEL_STORE + 1);
	values[LEVEL_ACCESS_LEVEL_ID] = CStringGetTextDatum(group->access_level_id);
	values[LEVEL_IS_ACTIVE] = BoolGetDatum(visible.is_active);
	values[LEVEL_IS_LIFETIME] = BoolGetDatum(winner->expires_at == DT_NOEND);
	values[LEVEL_STARTS_AT] = TimestampTzGetDatum(winner->starts_at);
	nulls[LEVEL_STARTS_AT] = winner->starts_at == DT_NOBEGIN;
	values[LEVEL_EXPIRES_AT] = TimestampTzGetDatum(winner->expires_at);
	nulls[LEVEL_EXPIRES_AT] = winner->expires_at == DT_NOEND;
	values[LEVEL_SOURCE] = enum_datum(ENUM_GRANT_SOURCE, winner->source);
	values[LEVEL_ACTIVE_SOURCES] = active_sources(group, profile_now);
	values[LEVEL_WILL_RENEW] = BoolGetDatum(false);
	values[LEVEL_IS_IN_GRACE_PERIOD] = BoolGetDatum(false);
	values[LEVEL_STORE] = CStringGetTextDatum("adapty");
	desc = access_level_desc();
	result = HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
	ReleaseTupleDesc(desc);
	return result;
}

/* ---- the other readers ---- */

/* adapty.access_levels(user) */
static Datum
access_levels(FunctionCallInfo fcinfo, UserRef user)
{
	pg_uuid_t	profile_id;
	Datum		arg = UUIDPGetDatum(&profile_id);

	user_resolve(&user, &profile_id);
	return plan_return_rows(fcinfo, &select_access_levels, &arg);
}

FUNCTION_BY_USER(access_levels);

/* adapty.explain_access(user, access_level_id) */
static Datum
explain_access(FunctionCallInfo fcinfo, UserRef user)
{
	char	   *level = arg_text(fcinfo, 1, "access_level_id", true, MAX_ACCESS_LEVEL_ID);
	pg_uuid_t	profile_id;
	Datum		args[3];

	user_resolve(&user, &profile_id);
	args[0] = UUIDPGetDatum(&profile_id);
	args[1] = CStringGetTextDatum(level);
	args[2] = TimestampTzGetDatum(clock_read_now());
	return plan_return_rows(fcinfo, &explain_level, args);
}

FUNCTION_BY_USER(explain_access);

/* ERROR if the events of that time may have been removed. */
static void
check_history_kept(TimestampTz as_of)
{
	if (adapty_event_retention > 0 &&
		as_of < GetCurrentTimestamp() - adapty_event_retention * USECS_PER_DAY)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("the history of %s has been removed", clock_iso8601(as_of)),
				 errdetail("Events are kept for %d days.", adapty_event_retention),
				 errhint("Ask for a later as_of, or raise \"adapty.event_retention\" for the future.")));
}

/* The eight last columns of profile_status in "values" from an open scope. */
static void
fill_status(ApiScope *scope, const pg_uuid_t *profile_id, TimestampTz as_of, bool is_past,
			Datum *values, bool *nulls)
{
	Datum		args[3];

	args[0] = UUIDPGetDatum(profile_id);
	args[1] = TimestampTzGetDatum(as_of);
	args[2] = BoolGetDatum(is_past);
	if (is_past)
	{
		nulls[3] = false;
		if (plan_execute_generic(&select_past_state, args, NULL, true) > 0)
			values[3] = scope_copy(scope, 0, 1, &nulls[3]);
		else if (plan_execute_generic(&had_subscription, args, NULL, true) > 0)
			/* Retention has removed its events: what is known of it now, at that moment. */
			values[3] = enum_datum(ENUM_SUBSCRIPTION_STATE, subscription_state_of_profile(profile_id, as_of));
		else
			values[3] = enum_datum(ENUM_SUBSCRIPTION_STATE, SUBSCRIPTION_STATE_NEVER_SUBSCRIBED);
	}
	plan_execute_generic(&select_status, args, NULL, true);
	for (int i = 0; i < 5; i++)
		values[4 + i] = scope_copy(scope, 0, i + 1, &nulls[4 + i]);
}

/* adapty.profile_status(user, as_of): as_of null is now; in the past by the recorded history. */
static Datum
profile_status(FunctionCallInfo fcinfo, UserRef user)
{
	TimestampTz as_of;
	bool		has_as_of = arg_finite_timestamp(fcinfo, 1, "as_of", &as_of);
	TimestampTz now = clock_read_now();
	pg_uuid_t	profile_id;
	ApiScope	scope;
	TupleDesc	desc;
	Datum		values[9];
	bool		nulls[9] = {false};
	Datum		key = UUIDPGetDatum(&profile_id);
	Datum		offset;
	bool		is_past;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	user_resolve(&user, &profile_id);
	scope_enter(&scope);
	if (plan_execute_generic(&select_profile, &key, NULL, true) == 0)
		profile_not_found(&user);
	values[0] = key;
	values[1] = scope_copy(&scope, 0, 3, &nulls[1]);
	values[3] = scope_copy(&scope, 0, 1, &nulls[3]);
	offset = scope_copy(&scope, 0, 2, &nulls[2]);
	if (!nulls[2])
		now += DatumGetInt64(offset);
	nulls[2] = false;
	if (!has_as_of)
		as_of = now;
	is_past = as_of < now;
	if (is_past)
		check_history_kept(as_of);
	values[2] = TimestampTzGetDatum(as_of);
	fill_status(&scope, &profile_id, as_of, is_past, values, nulls);
	if (as_of > now || adapty_test_clock_offset != 0)
		values[3] = enum_datum(ENUM_SUBSCRIPTION_STATE, subscription_state_of_profile(&profile_id, as_of));
	scope_leave(&scope);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

FUNCTION_BY_USER(profile_status);

/*
 * adapty.current_profile_id(): the profile of the JWT's user, for row-level security; null for none.
 */
Datum
adapty_current_profile_id(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *profile_id = palloc(sizeof(pg_uuid_t));
	UserRef		user = {0};
	char	   *customer_user_id;

	(void) fcinfo;
	if (caller_profile_id(profile_id))
		PG_RETURN_UUID_P(profile_id);
	customer_user_id = caller_customer_user_id();
	if (customer_user_id == NULL)
		PG_RETURN_NULL();
	user.customer_user_id = cstring_to_text(customer_user_id);
	if (!user_lookup(&user, NULL, profile_id))
		PG_RETURN_NULL();
	PG_RETURN_UUID_P(profile_id);
}
