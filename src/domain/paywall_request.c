/*
 * paywall_request.c
 *		Which paywall a user sees at a placement; the only writer of paywall_requests and
 *		paywall_views.
 *
 * In this order: the cross-placement test that the user is in, while it sticks; for a user for whom
 * no paywall was ever asked before, the first running cross-placement test of the placement whose
 * audience the user is in; the first audience of the placement that the user is in, whose content is
 * a paywall or a running test.
 *
 * A user is new once: the row in paywall_requests is made before a cross-placement test is chosen,
 * so that of two first requests at once one waits for the other and then finds the user not new.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/arg.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/direct.h"
#include "base/errors.h"
#include "base/guc.h"
#include "base/plans.h"
#include "domain/experiment_assign.h"
#include "domain/identity.h"
#include "domain/product.h"
#include "domain/segment.h"
#include "domain/targeting.h"

#define PROFILE_SUBSCRIPTION_STATE 6	/* attribute number in adapty.profiles */
#define MAX_LOCALE_ARGUMENT 100 /* characters, as is the next */
#define MAX_STORE_ARGUMENT 64
#define MAX_CLOCK_AHEAD (5 * USECS_PER_MINUTE)	/* of a device that reports a view */

/* Who asks, and how. */
typedef struct Request
{
	FunctionCallInfo fcinfo;
	pg_uuid_t	profile_id;
	bool		had_subscription;
	bool		is_recorded;	/* false: only look */
	bool		is_known;		/* a paywall was asked for before */
	bool		is_raced;		/* by another request, or made in this statement: see the newest */
} Request;

static SavedPlan profile_plan = {
	.name = "profile that asks for a paywall",
	.sql = "SELECT p.subscription_state <> 'never_subscribed' FROM adapty.profiles p WHERE p.profile_id = $1",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan known_plan = {
	.name = "first request for a paywall",
	.sql = "SELECT FROM adapty.paywall_requests r WHERE r.profile_id = $1",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan request_plan = {
	.name = "new request for a paywall",
	.sql = "INSERT INTO adapty.paywall_requests (profile_id) SELECT p.profile_id FROM adapty.profiles p "
	"WHERE p.profile_id = $1 FOR KEY SHARE ON CONFLICT DO NOTHING",
	.expected = SPI_OK_INSERT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan view_plan = {
	.name = "new view of a paywall",
	.sql = "INSERT INTO adapty.paywall_views (profile_id, variation_id, viewed_at) VALUES ($1, $2, $3)",
	.expected = SPI_OK_INSERT,
	.nargs = 3,
	.argtypes = {UUIDOID, UUIDOID, TIMESTAMPTZOID},
};

static SavedPlan variation_exists_plan = {
	.name = "variation that was viewed",
	.sql = "SELECT FROM adapty.variations v WHERE v.variation_id = $1",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

/* ---- the user ---- */

/* Reads the profile: false if it does not exist. */
static bool
read_profile(Request *request)
{
	Datum		key = UUIDPGetDatum(&request->profile_id);
	bool		found;
	bool		isnull;

	if (direct_attach(direct_owner(request->fcinfo), TABLE_PROFILES, DIRECT_READ))
	{
		DirectScan *scan = direct_begin(INDEX_PROFILES_PKEY, &key, 1, GetActiveSnapshot());
		TupleTableSlot *slot = direct_next(scan);

		found = slot != NULL;
		if (found)
			request->had_subscription =
				enum_value(ENUM_SUBSCRIPTION_STATE, slot_getattr(slot, PROFILE_SUBSCRIPTION_STATE, &isnull)) !=
				SUBSCRIPTION_STATE_NEVER_SUBSCRIBED;
		direct_end(scan);
	}
	else
	{
		ApiScope	scope;

		scope_enter(&scope);
		found = plan_execute(&profile_plan, &key, NULL, true) > 0;
		if (found)
			request->had_subscription =
				DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
		scope_leave(&scope);
	}
	return found;
}

/* Was a paywall ever asked for? */
static bool
read_known(const Request *request)
{
	Datum		key = UUIDPGetDatum(&request->profile_id);
	ApiScope	scope;
	bool		known;

	if (direct_attach(direct_owner(request->fcinfo), TABLE_PAYWALL_REQUESTS, DIRECT_READ))
	{
		DirectScan *scan = direct_begin(INDEX_PAYWALL_REQUESTS_PKEY, &key, 1, GetActiveSnapshot());

		known = direct_next(scan) != NULL;
		direct_end(scan);
		return known;
	}
	scope_enter(&scope);
	known = plan_execute(&known_plan, &key, NULL, true) > 0;
	scope_leave(&scope);
	return known;
}

/* Notes the first request; false if somebody else did.  ERROR (PT404) if the profile was deleted meanwhile. */
static bool
note_request(const Request *request)
{
	UserRef		user = {.profile_id = request->profile_id};
	Datum		key = UUIDPGetDatum(&request->profile_id);
	ApiScope	scope;
	bool		noted;
	bool		known;

	scope_enter(&scope);
	noted = plan_execute(&request_plan, &key, NULL, false) > 0;
	known = noted || plan_execute(&known_plan, &key, NULL, false) > 0;
	scope_leave(&scope);
	if (!known)
		profile_not_found(&user);
	return noted;
}

/* ---- resolution ---- */

/* Has a cross-placement assignment not run out? */
static bool
assignment_sticks(TimestampTz assigned_at)
{
	return clock_read_now() < assigned_at + adapty_cross_placement_stickiness * USECS_PER_DAY;
}

/* The variation of the cross-placement test that the user is in; NULL if there is none. */
static const pg_uuid_t *
sticky_variation(const Request *request, const TargetPlacement *placement)
{
	TimestampTz assigned_at;

	for (int i = 0; i < placement->n_tests && placement->tests[i].is_cross; i++)
	{
		const TargetTest *test = &placement->tests[i];
		int			position = assignment_find(request->fcinfo, test, &request->profile_id, request->is_raced,
													 &assigned_at);

		if (position > 0 && position <= test->n && assignment_sticks(assigned_at))
			return &test->variation_ids[position - 1];
	}
	return NULL;
}

static bool
in_audience(const Request *request, const char *segment)
{
	return segment == NULL || segment_contains(segment, &request->profile_id);
}

/* The variation of a test that the user gets from now on. */
static const pg_uuid_t *
enter_test(const Request *request, const TargetTest *test)
{
	int			position = request->is_recorded ? assignment_make(test, &request->profile_id) :
		assignment_preview(test, &request->profile_id);

	return &test->variation_ids[position - 1];
}

/* The cross-placement test that a new user enters here; NULL if there is none. */
static const pg_uuid_t *
cross_variation(const Request *request, const TargetPlacement *placement)
{
	for (int i = 0; i < placement->n_tests && placement->tests[i].is_cross; i++)
	{
		const TargetTest *test = &placement->tests[i];

		if (test->is_live && in_audience(request, test->segment))
			return enter_test(request, test);
	}
	return NULL;
}

/* The content of the first audience that the user is in; NULL if there is none. */
static const pg_uuid_t *
audience_variation(const Request *request, const TargetPlacement *placement)
{
	TimestampTz assigned_at;

	for (int i = 0; i < placement->n_audiences; i++)
	{
		const TargetAudience *audience = &placement->audiences[i];
		int			position;

		if (!in_audience(request, audience->segment))
			continue;
		if (audience->test == NULL)
			return &audience->variation_id;
		position = assignment_find(request->fcinfo, audience->test, &request->profile_id, request->is_raced,
								   &assigned_at);
		if (position > 0 && position <= audience->test->n)
			return &audience->test->variation_ids[position - 1];
		return enter_test(request, audience->test);
	}
	return NULL;
}

/* What the user sees at a placement; NULL for nothing. */
static const pg_uuid_t *
resolve(Request *request, const TargetPlacement *placement)
{
	const pg_uuid_t *variation_id;

	if (!request->is_known && request->is_recorded)
	{
		request->is_known = !note_request(request);
		request->is_raced = request->is_known;
	}
	/* Nobody who was not known has an assignment, but assign_variation() may have made one. */
	variation_id = sticky_variation(request, placement);
	if (variation_id == NULL && !request->is_known)
		variation_id = cross_variation(request, placement);
	return variation_id != NULL ? variation_id : audience_variation(request, placement);
}

/* ---- views ---- */

/* Records that a variation was shown. */
static void
write_view(FunctionCallInfo fcinfo, const pg_uuid_t *profile_id, const pg_uuid_t *variation_id,
		   TimestampTz viewed_at)
{
	Datum		values[3] = {UUIDPGetDatum(profile_id), UUIDPGetDatum(variation_id),
	TimestampTzGetDatum(viewed_at)};
	bool		nulls[3] = {false, false, false};
	ApiScope	scope;

	if (direct_attach(direct_owner(fcinfo), TABLE_PAYWALL_VIEWS, DIRECT_WRITE))
	{
		direct_insert(TABLE_PAYWALL_VIEWS, values, nulls, NULL);
		return;
	}
	scope_enter(&scope);
	(void) plan_execute(&view_plan, values, NULL, false);
	scope_leave(&scope);
}

/* ---- the functions ---- */

/* Argument "placement_id": ERROR (PT404) if there is no such placement or it is not active. */
static const TargetPlacement *
arg_placement(FunctionCallInfo fcinfo, int n)
{
	char	   *placement_id = arg_text(fcinfo, n, "placement_id", true, MAX_PLACEMENT_ID);
	const TargetPlacement *placement;

	targeting_begin();
	placement = targeting_placement(placement_id);
	if (placement == NULL || !placement->is_active)
		ereport(ERROR,
				(condition_errcode(COND_PLACEMENT_DOES_NOT_EXIST),
				 placement == NULL ?
				 errmsg("placement \"%s\" does not exist", placement_id) :
				 errmsg("placement \"%s\" is not active", placement_id),
				 placement == NULL ?
				 errhint("Ids are compared letter by letter. Make it first: adapty.define_placement().") :
				 errhint("Activate it: adapty.define_placement(placement_id, is_active => true).")));
	return placement;
}

/* Argument "store": NULL if null; ERROR (22023) if it cannot be one. */
static char *
arg_store(FunctionCallInfo fcinfo, int n)
{
	char	   *store = arg_text(fcinfo, n, "store", false, MAX_STORE_ARGUMENT);

	if (store != NULL && !is_slug(store))
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("invalid store \"%s\"", store),
				 errdetail("It must be 1 to 64 letters, digits, \"_\", \".\" or \"-\".")));
	return store;
}

/* get_paywall() and resolve_paywall(): arguments user, placement_id, locale, store. */
static Datum
show_paywall(FunctionCallInfo fcinfo, UserRef user, bool is_recorded, bool record_view)
{
	Request		request = {.fcinfo = fcinfo, .is_recorded = is_recorded};
	char	   *locale = arg_text(fcinfo, 2, "locale", false, MAX_LOCALE_ARGUMENT);
	char	   *store = arg_store(fcinfo, 3);
	const TargetPlacement *placement;
	const pg_uuid_t *variation_id;
	Jsonb	   *object = NULL;

	user_check_caller(&user);
	/* Opened for the statement before the look-up of the user would open it for itself. */
	(void) direct_attach(direct_owner(fcinfo), TABLE_IDENTITIES, DIRECT_READ);
	if (!user_lookup(&user, NULL, &request.profile_id) || !read_profile(&request))
	{
		/* made in this very statement, or not at all */
		if (!is_recorded)
			profile_not_found(&user);
		user_resolve(&user, &request.profile_id);
	}
	placement = arg_placement(fcinfo, 1);
	request.is_known = read_known(&request);
	variation_id = resolve(&request, placement);
	if (variation_id != NULL)
		object = targeting_object(variation_id, locale == NULL ? NULL : locale_normalize(locale), store,
								  request.had_subscription);
	if (object == NULL)
		ereport(ERROR,
				(condition_errcode(COND_VARIATION_DOES_NOT_EXIST),
				 errmsg("placement \"%s\" has nothing to show",
						text_to_cstring(PG_GETARG_TEXT_PP(1))),
				 errhint("Give it a default audience: adapty.define_placement().")));
	if (record_view)
		write_view(fcinfo, &request.profile_id, variation_id, clock_write_now());
	/* A copy: what the session keeps may go while the caller still holds the value. */
	PG_RETURN_JSONB_P(DatumGetJsonbPCopy(JsonbPGetDatum(object)));
}

/* get_paywall(user, placement_id, locale, store, record_view) */
static Datum
get_paywall(FunctionCallInfo fcinfo, UserRef user)
{
	refuse_unless_writable(fcinfo);
	return show_paywall(fcinfo, user, true, !PG_ARGISNULL(4) && PG_GETARG_BOOL(4));
}

/* resolve_paywall(user, placement_id, locale, store): what get_paywall() would answer now; changes nothing. */
static Datum
resolve_paywall(FunctionCallInfo fcinfo, UserRef user)
{
	return show_paywall(fcinfo, user, false, false);
}

/* ERROR (22008) for a view of a moment that cannot have been. */
static TimestampTz
arg_viewed_at(FunctionCallInfo fcinfo, int n)
{
	TimestampTz now = clock_write_now();
	TimestampTz viewed_at = now;

	if (!arg_finite_timestamp(fcinfo, n, "viewed_at", &viewed_at))
		return now;
	if (viewed_at > now + MAX_CLOCK_AHEAD)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("viewed_at \"%s\" is in the future", clock_iso8601(viewed_at))));
	return viewed_at;
}

/* record_paywall_view(user, variation_id, viewed_at): a view that the app reports itself. */
static Datum
record_paywall_view(FunctionCallInfo fcinfo, UserRef user)
{
	pg_uuid_t	profile_id;
	TimestampTz viewed_at;
	ApiScope	scope;
	Datum		values[1];
	bool		known;

	user_check_caller(&user);
	refuse_unless_writable(fcinfo);
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("variation_id must not be null")));
	viewed_at = arg_viewed_at(fcinfo, 2);
	user_resolve(&user, &profile_id);
	values[0] = PG_GETARG_DATUM(1);
	scope_enter(&scope);
	known = plan_execute(&variation_exists_plan, values, NULL, false) > 0;
	scope_leave(&scope);
	if (!known)
		ereport(ERROR,
				(condition_errcode(COND_VARIATION_DOES_NOT_EXIST),
				 errmsg("variation \"%s\" does not exist",
						DatumGetCString(DirectFunctionCall1(uuid_out, values[0]))),
				 errhint("Take the variation_id of what adapty.get_paywall() returned.")));
	write_view(fcinfo, &profile_id, PG_GETARG_UUID_P(1), viewed_at);
	PG_RETURN_VOID();
}

FUNCTION_BY_USER(get_paywall);
FUNCTION_BY_USER(resolve_paywall);
FUNCTION_BY_USER(record_paywall_view);
