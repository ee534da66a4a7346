/*
 * promo_campaign.c
 *		Campaigns: the only writer of promo_campaigns.
 *
 * Life: a draft is started, is live, may rest, and ends by its window, by its cap, by hand, or by being
 * taken back.  What is to be done and when is in the row (next_look_at, with an index), as with
 * access_grants, so that the scheduler sleeps until then, and a crash loses nothing.  The work itself
 * is in promo_campaign_work.c.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/arg.h"
#include "base/caller.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/hooks.h"
#include "base/plans.h"
#include "domain/identity.h"
#include "domain/promo_grant.h"
#include "domain/segment.h"

#define MAX_CAMPAIGN_NAME 255	/* characters */

PG_FUNCTION_INFO_V1(adapty_create_promo_campaign);
PG_FUNCTION_INFO_V1(adapty_preview_promo_campaign);
PG_FUNCTION_INFO_V1(adapty_start_promo_campaign);
PG_FUNCTION_INFO_V1(adapty_pause_promo_campaign);
PG_FUNCTION_INFO_V1(adapty_stop_promo_campaign);
PG_FUNCTION_INFO_V1(adapty_revoke_promo_campaign);

static SavedPlan insert_campaign = {
	.name = "new promo campaign",
	.sql = "INSERT INTO adapty.promo_campaigns (campaign_id, name, segment_id, access_level_id, duration, "
	"    starts_at, ends_at, max_grants, actor) "
	"VALUES ($1, $2, $3, $4, $5, COALESCE($6, '-infinity'), COALESCE($7, 'infinity'), $8, $9) "
	"ON CONFLICT (name) DO NOTHING",
	.expected = SPI_OK_INSERT,
	.nargs = 9,
	.argtypes = {UUIDOID, TEXTOID, UUIDOID, TEXTOID, INTERVALOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, TEXTOID},
};

static SavedPlan find_campaign = {
	.name = "promo campaign",
	.sql = "SELECT c.campaign_id, c.state::pg_catalog.text, c.starts_at, c.ends_at, c.granted, c.max_grants, s.name "
	"FROM adapty.promo_campaigns c JOIN adapty.segments s ON s.segment_id OPERATOR(pg_catalog.=) c.segment_id "
	"WHERE c.name OPERATOR(pg_catalog.=) $1",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static SavedPlan lock_campaign = {
	.name = "lock of a promo campaign",
	.sql = "SELECT c.campaign_id, c.state::pg_catalog.text, c.starts_at, c.ends_at "
	"FROM adapty.promo_campaigns c WHERE c.name OPERATOR(pg_catalog.=) $1 FOR UPDATE",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static SavedPlan set_state = {
	.name = "state of a promo campaign",
	.sql = "UPDATE adapty.promo_campaigns c SET state = $2::adapty.promo_campaign_state, next_look_at = $3, "
	"    scan_position = NULL, has_skipped = false, failures = 0 "
	"WHERE c.campaign_id OPERATOR(pg_catalog.=) $1",
	.expected = SPI_OK_UPDATE,
	.nargs = 3,
	.argtypes = {UUIDOID, TEXTOID, TIMESTAMPTZOID},
};

/* ---- create ---- */

/* ERROR (22023) if a window is none, or over. */
static void
check_window(bool has_starts_at, TimestampTz starts_at, bool has_ends_at, TimestampTz ends_at)
{
	TimestampTz now = clock_write_now();

	if (has_ends_at && has_starts_at && ends_at <= starts_at)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("ends_at %s is not after starts_at %s", clock_iso8601(ends_at), clock_iso8601(starts_at)),
				 errhint("Nobody could ever be given anything.")));
	if (has_ends_at && ends_at <= now)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("ends_at %s is in the past", clock_iso8601(ends_at)),
				 errhint("Give a time that is still to come, or none.")));
}

/* adapty.create_promo_campaign(name, segment, access_level_id, duration, is_lifetime, starts_at, ends_at, max_grants) */
Datum
adapty_create_promo_campaign(PG_FUNCTION_ARGS)
{
	char	   *name = arg_text(fcinfo, 0, "name", true, MAX_CAMPAIGN_NAME);
	char	   *segment = arg_text(fcinfo, 1, "segment", true, MAX_SEGMENT_NAME);
	char	   *level = arg_text(fcinfo, 2, "access_level_id", true, MAX_ACCESS_LEVEL_ID);
	Interval   *duration = promo_duration(fcinfo, 3, 4);
	TimestampTz starts_at = 0;
	TimestampTz ends_at = 0;
	bool		has_starts_at = arg_finite_timestamp(fcinfo, 5, "starts_at", &starts_at);
	bool		has_ends_at = arg_finite_timestamp(fcinfo, 6, "ends_at", &ends_at);
	int32		max_grants = PG_ARGISNULL(7) ? 0 : PG_GETARG_INT32(7);
	char	   *actor = caller_actor();
	pg_uuid_t  *campaign_id = palloc(sizeof(pg_uuid_t));
	pg_uuid_t	segment_id;
	Datum		values[9];
	char		nulls[] = "         ";
	ApiScope	scope;

	check_window(has_starts_at, starts_at, has_ends_at, ends_at);
	if (!PG_ARGISNULL(7) && max_grants < 1)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("invalid max_grants: %d", max_grants),
				 errhint("Give a number above 0, or null for no cap.")));
	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	segment_find(segment, &segment_id);
	access_level_check(level);
	uuid_v7(campaign_id);
	values[0] = UUIDPGetDatum(campaign_id);
	values[1] = CStringGetTextDatum(name);
	values[2] = UUIDPGetDatum(&segment_id);
	values[3] = CStringGetTextDatum(level);
	values[4] = PointerGetDatum(duration);
	values[5] = TimestampTzGetDatum(starts_at);
	values[6] = TimestampTzGetDatum(ends_at);
	values[7] = Int32GetDatum(max_grants);
	values[8] = CStringGetTextDatum(actor);
	nulls[4] = duration == NULL ? 'n' : ' ';
	nulls[5] = has_starts_at ? ' ' : 'n';
	nulls[6] = has_ends_at ? ' ' : 'n';
	nulls[7] = PG_ARGISNULL(7) ? 'n' : ' ';
	if (plan_execute(&insert_campaign, values, nulls, false) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("promo campaign \"%s\" exists already", name),
				 errhint("Give another name; adapty.promo_campaigns lists them.")));
	scope_leave(&scope);
	PG_RETURN_UUID_P(campaign_id);
}

/* ERROR (PT404): no such campaign. */
static void pg_attribute_noreturn()
campaign_not_found(const char *name)
{
	ereport(ERROR,
			(condition_errcode(COND_PROMO_DOES_NOT_EXIST),
			 errmsg("promo campaign \"%s\" does not exist", name),
			 errhint("adapty.promo_campaigns lists them; create_promo_campaign() makes one.")));
}

/* ---- dry run ---- */

/* adapty.preview_promo_campaign(name): counts, and changes nothing. */
Datum
adapty_preview_promo_campaign(PG_FUNCTION_ARGS)
{
	char	   *name = arg_text(fcinfo, 0, "name", true, MAX_CAMPAIGN_NAME);
	Datum		key = CStringGetTextDatum(name);
	Oid			argtypes[1] = {UUIDOID};
	Datum		args[1];
	Datum		values[3];
	bool		nulls[3] = {false};
	bool		isnull;
	bool		is_capped;
	int64		left;
	int64		new_members;
	TupleDesc	desc;
	char	   *sql;
	ApiScope	scope;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	scope_enter(&scope);
	if (plan_execute(&find_campaign, &key, NULL, true) == 0)
		campaign_not_found(name);
	args[0] = scope_copy(&scope, 0, 1, &isnull);
	left = DatumGetInt32(scope_copy(&scope, 0, 6, &isnull));
	is_capped = !isnull;
	left -= DatumGetInt64(scope_copy(&scope, 0, 5, &isnull));
	sql = psprintf("SELECT pg_catalog.count(*), pg_catalog.count(g.profile_id) FROM %s s "
				   "LEFT JOIN adapty.promo_campaign_grants g ON g.profile_id OPERATOR(pg_catalog.=) s.profile_id "
				   "AND g.campaign_id OPERATOR(pg_catalog.=) $1", segment_view(scope_copy_text(&scope, 0, 7)));
	if (SPI_execute_with_args(sql, 1, argtypes, args, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not count the members of campaign \"%s\"", name);
	values[0] = scope_copy(&scope, 0, 1, &isnull);
	values[1] = scope_copy(&scope, 0, 2, &isnull);
	new_members = DatumGetInt64(values[0]) - DatumGetInt64(values[1]);
	values[2] = Int64GetDatum(is_capped ? Max(Min(new_members, left), 0) : new_members);
	scope_leave(&scope);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* ---- life ---- */

/*
 * A change of state asked for by name: from one of the states in "from" (each between spaces); done
 * already if it is "to".  ERROR (55000) from another.
 */
static Datum
change_state(FunctionCallInfo fcinfo, const char *verb, const char *from, const char *to)
{
	char	   *name = arg_text(fcinfo, 0, "name", true, MAX_CAMPAIGN_NAME);
	Datum		key = CStringGetTextDatum(name);
	Datum		values[3];
	TimestampTz now = clock_write_now();
	TimestampTz look = now;
	bool		has_look = strcmp(to, "live") == 0 || strcmp(to, "revoking") == 0;
	char	   *state;
	bool		isnull;
	ApiScope	scope;

	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	if (plan_execute(&lock_campaign, &key, NULL, false) == 0)
		campaign_not_found(name);
	state = scope_copy_text(&scope, 0, 2);
	if (strcmp(state, to) != 0 && !(strcmp(to, "revoking") == 0 && strcmp(state, "revoked") == 0))
	{
		if (strstr(from, psprintf(" %s ", state)) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("promo campaign \"%s\" is %s and cannot be %s", name, state, verb),
					 errhint("Make a new campaign: create_promo_campaign().")));
		if (strcmp(to, "live") == 0)
		{
			check_window(false, 0, true, DatumGetTimestampTz(scope_copy(&scope, 0, 4, &isnull)));
			look = Max(now, DatumGetTimestampTz(scope_copy(&scope, 0, 3, &isnull)));
		}
		values[0] = scope_copy(&scope, 0, 1, &isnull);
		values[1] = CStringGetTextDatum(to);
		values[2] = TimestampTzGetDatum(look);
		plan_execute(&set_state, values, has_look ? NULL : "  n", false);
		if (has_look)
			wake_at_commit(look);
	}
	scope_leave(&scope);
	PG_RETURN_VOID();
}

/* adapty.start_promo_campaign(name) */
Datum
adapty_start_promo_campaign(PG_FUNCTION_ARGS)
{
	return change_state(fcinfo, "started", " draft paused ", "live");
}

/* adapty.pause_promo_campaign(name) */
Datum
adapty_pause_promo_campaign(PG_FUNCTION_ARGS)
{
	return change_state(fcinfo, "paused", " live ", "paused");
}

/* adapty.stop_promo_campaign(name) */
Datum
adapty_stop_promo_campaign(PG_FUNCTION_ARGS)
{
	return change_state(fcinfo, "stopped", " draft live paused completed ", "stopped");
}

/* adapty.revoke_promo_campaign(name) */
Datum
adapty_revoke_promo_campaign(PG_FUNCTION_ARGS)
{
	return change_state(fcinfo, "revoked", " draft live paused completed stopped ", "revoking");
}
