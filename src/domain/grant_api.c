/*
 * grant_api.c
 *		grant_access_level(), revoke_access_level() and set_test_clock().
 *
 * A server-side grant is one source of its own beside what the stores give: granting never touches
 * a purchase, and revoking ends only what was given here (and by campaigns and codes).
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "base/arg.h"
#include "base/caller.h"
#include "base/clock.h"
#include "base/direct.h"
#include "base/errors.h"
#include "base/plans.h"
#include "domain/access.h"
#include "domain/grant_row.h"
#include "domain/idempotency.h"
#include "domain/identity.h"
#include "domain/settle.h"
#include "domain/status.h"
#include "domain/subscription.h"
#include "domain/subscription_timer.h"
#include "domain/transaction.h"

#define MAX_ACCESS_LEVEL_ID 64

/* What a caller of grant_access_level() asks for. */
typedef struct GrantRequest
{
	char	   *access_level_id;
	bool		is_lifetime;
	bool		has_expires_at;
	TimestampTz expires_at;
	Interval   *duration;		/* NULL if not given */
	bool		has_starts_at;
	TimestampTz starts_at;
	GrantMode	mode;
	char	   *reason;
	char	   *actor;
} GrantRequest;

static SavedPlan populate_access_level = {
	"access level of an earlier request",
	"SELECT pg_catalog.jsonb_populate_record(NULL::adapty.access_level, $1)",
	SPI_OK_SELECT, 1, {JSONBOID}, NULL, InvalidOid
};

static SavedPlan store_test_clock = {
	"store test clock",
	"UPDATE adapty.profiles SET test_clock_offset = $2 WHERE profile_id = $1",
	SPI_OK_UPDATE, 2, {UUIDOID, INT8OID}, NULL, InvalidOid
};

static SavedPlan levels_of_profile = {
	"levels of a profile",
	"SELECT DISTINCT access_level_id::pg_catalog.text FROM adapty.access_grants WHERE profile_id = $1",
	SPI_OK_SELECT, 1, {UUIDOID}, NULL, InvalidOid
};

/* Locks the profile, or says that there is no such user. */
static void
lock_user(const UserRef *user, const pg_uuid_t *profile_id, LockedProfile *profile)
{
	if (!profile_lock(profile_id, false, NULL, profile))
		profile_not_found(user);
}

/* See grant_row.h. */
TimestampTz
grant_change_moment(const LockedProfile *profile)
{
	return GetCurrentTransactionStartTimestamp() + profile->test_clock_offset;
}

/* ---- idempotency ---- */

/* See grant_row.h. */
bool
grant_earlier_result(const LockedProfile *profile, const char *key, const char *request, Datum *result)
{
	ApiScope	scope;
	Jsonb	   *stored;
	bool		found = false;

	if (key == NULL)
		return false;
	scope_enter(&scope);
	if (idempotency_find(&profile->profile_id, key, request, &stored))
	{
		Datum		arg = JsonbPGetDatum(stored);
		bool		isnull;

		plan_execute(&populate_access_level, &arg, NULL, true);
		*result = scope_copy(&scope, 0, 1, &isnull);
		found = true;
	}
	scope_leave(&scope);
	return found;
}

/* See grant_row.h. */
void
grant_keep_result(const LockedProfile *profile, const char *key, const char *request, Datum result)
{
	ApiScope	scope;
	text	   *json;
	Datum		jsonb;

	if (key == NULL)
		return;
	json = DatumGetTextPP(DirectFunctionCall1(row_to_json, result));
	jsonb = DirectFunctionCall1(jsonb_in, CStringGetDatum(text_to_cstring(json)));
	scope_enter(&scope);
	idempotency_store(&profile->profile_id, key, request, DatumGetJsonbP(jsonb));
	scope_leave(&scope);
}

/* ---- grant_access_level ---- */

/* Arguments 1 to 8 of grant_access_level(). */
static void
read_grant_request(FunctionCallInfo fcinfo, GrantRequest *request)
{
	memset(request, 0, sizeof(*request));
	request->access_level_id = arg_text(fcinfo, 1, "access_level_id", true, MAX_ACCESS_LEVEL_ID);
	if (!PG_ARGISNULL(2))
		request->duration = PG_GETARG_INTERVAL_P(2);
	if (!PG_ARGISNULL(3) && TIMESTAMP_NOT_FINITE(PG_GETARG_TIMESTAMPTZ(3)))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("expires_at must not be infinite"),
				 errhint("Use is_lifetime => true for access without end.")));
	request->has_expires_at = arg_finite_timestamp(fcinfo, 3, "expires_at", &request->expires_at);
	request->has_starts_at = arg_finite_timestamp(fcinfo, 4, "starts_at", &request->starts_at);
	request->is_lifetime = !PG_ARGISNULL(5) && PG_GETARG_BOOL(5);
	if (!request->is_lifetime && !request->has_expires_at && request->duration == NULL)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("the end of the access is missing"),
				 errdetail("Without an end it would be unclear whether access for ever is meant."),
				 errhint("Give one of duration, expires_at or is_lifetime => true.")));
	/* One decides: lifetime, else expires_at, else duration. */
	if (request->is_lifetime)
		request->has_expires_at = false;
	if (request->is_lifetime || request->has_expires_at)
		request->duration = NULL;
	if (!PG_ARGISNULL(6))
		request->mode = enum_value(ENUM_GRANT_MODE, PG_GETARG_DATUM(6));
	else
		request->mode = request->duration != NULL ? GRANT_MODE_EXTEND : GRANT_MODE_REPLACE;
	request->reason = arg_text(fcinfo, 8, "reason", false, MAX_REASON);
	request->actor = caller_actor();
}

/* A request as text, to recognise it again. */
static char *
grant_request_text(const GrantRequest *request)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "grant_access_level %s mode=%s", request->access_level_id,
					 enum_label(ENUM_GRANT_MODE, request->mode));
	if (request->is_lifetime)
		appendStringInfoString(&buf, " lifetime");
	if (request->has_expires_at)
		appendStringInfo(&buf, " expires_at=" INT64_FORMAT, request->expires_at);
	if (request->duration != NULL)
		appendStringInfo(&buf, " duration=%d,%d," INT64_FORMAT, request->duration->month,
						 request->duration->day, request->duration->time);
	if (request->has_starts_at)
		appendStringInfo(&buf, " starts_at=" INT64_FORMAT, request->starts_at);
	if (request->reason != NULL)
		appendStringInfo(&buf, " reason=%s", request->reason);
	return buf.data;
}

/* See grant_row.h. */
TimestampTz
grant_add_duration(TimestampTz base, const Interval *duration)
{
	TimestampTz end = clock_add(base, duration);

	if (end <= base)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("duration must be positive, not \"%s\"",
						DatumGetCString(DirectFunctionCall1(interval_out, PointerGetDatum(duration)))),
				 errhint("Use revoke_access_level() to take access away.")));
	return end;
}

/* The end that the request asks for, from a beginning. */
static TimestampTz
requested_end(const GrantRequest *request, TimestampTz base)
{
	if (request->is_lifetime)
		return DT_NOEND;
	return request->has_expires_at ? request->expires_at : grant_add_duration(base, request->duration);
}

/* The server-side grant that is active; NULL if none is. */
static AccessGrant *
active_server_grant(GrantGroup *group, TimestampTz profile_now)
{
	AccessGrant *best = NULL;

	for (int i = 0; i < group->n; i++)
	{
		AccessGrant *grant = &group->grants[i];

		if (grant->source == GRANT_SOURCE_SERVER_GRANT &&
			access_state_at(grant, profile_now) == GRANT_ACTIVE &&
			(best == NULL || access_wins(grant, best)))
			best = grant;
	}
	return best;
}

/*
 * The source_id for a grant beside one that is still to begin: that one must not be lost.  The
 * usual one is empty; further ones are counted.
 */
static const char *
free_source_id(GrantGroup *group, TimestampTz profile_now)
{
	const char *source_id = "";

	for (int i = 2;; i++)
	{
		AccessGrant *grant = grant_find(group, GRANT_SOURCE_SERVER_GRANT, source_id);

		if (grant == NULL || access_state_at(grant, profile_now) == GRANT_ENDED)
			return source_id;
		source_id = psprintf("%d", i);
	}
}

/* mode extend: on to the end of what the user has now. */
static void
plan_extend(const GrantRequest *request, GrantGroup *group, TimestampTz profile_now,
			TimestampTz start, GrantChange *change)
{
	VisibleAccess now = access_at(group, profile_now);
	AccessGrant *own = active_server_grant(group, profile_now);
	TimestampTz base = start;

	/* Lifetime cannot be added to: another source's stands beside the grant, the grant's own stays. */
	if (now.is_active && now.winner->expires_at != DT_NOEND)
		base = now.winner->expires_at;
	else if (own != NULL && own->expires_at != DT_NOEND)
		base = own->expires_at;
	change->source_id = own != NULL ? own->source_id : free_source_id(group, profile_now);
	change->starts_at = own != NULL ? own->starts_at : Min(start, base);
	change->expires_at = requested_end(request, base);
	/* An end that is given sets the end, but extending never shortens. */
	if (own != NULL)
		change->expires_at = Max(change->expires_at, own->expires_at);
}

/* mode max: the later end (and the earlier start) of the server-side grant and the request. */
static void
plan_max(const GrantRequest *request, GrantGroup *group, TimestampTz profile_now,
		 TimestampTz start, GrantChange *change)
{
	AccessGrant *own = active_server_grant(group, profile_now);

	change->source_id = own != NULL ? own->source_id : free_source_id(group, profile_now);
	change->starts_at = own != NULL ? Min(own->starts_at, start) : start;
	change->expires_at = requested_end(request, start);
	if (own != NULL)
		change->expires_at = Max(change->expires_at, own->expires_at);
}

/* Ends server-side grants other than "but": mode replace leaves exactly one. */
static int
plan_end_others(const GrantRequest *request, const LockedProfile *profile, GrantGroup *group,
				const char *but, GrantChange *changes)
{
	int			n = 0;

	for (int i = 0; i < group->n; i++)
	{
		AccessGrant *grant = &group->grants[i];

		if (grant->source != GRANT_SOURCE_SERVER_GRANT || strcmp(grant->source_id, but) == 0 ||
			access_state_at(grant, profile->profile_now) == GRANT_ENDED)
			continue;
		changes[n++] = (GrantChange) {grant->source, grant->source_id, grant->starts_at,
			grant_change_moment(profile), true, request->actor, request->reason, false, NULL};
	}
	return n;
}

/* The changes that a request makes of a level's sources; 0 if none. */
static int
plan_grant(const GrantRequest *request, const LockedProfile *profile, GrantGroup *group,
		   GrantChange *changes)
{
	TimestampTz now = profile->profile_now;
	TimestampTz start = request->has_starts_at ? request->starts_at : grant_change_moment(profile);
	GrantChange change = {GRANT_SOURCE_SERVER_GRANT, "", start, 0, false, request->actor, request->reason,
	false, NULL};
	AccessGrant *own;
	int			n = 0;

	switch (request->mode)
	{
		case GRANT_MODE_KEEP:
			/* Nothing to extend then; unlike replace it leaves alone what is still to begin. */
			if (access_at(group, now).is_active)
				return 0;
			plan_extend(request, group, now, start, &change);
			break;
		case GRANT_MODE_REPLACE:
			own = active_server_grant(group, now);
			if (own != NULL && !request->has_starts_at)
				change.starts_at = own->starts_at;
			change.source_id = own != NULL ? own->source_id : "";
			change.expires_at = requested_end(request, start);
			n = plan_end_others(request, profile, group, change.source_id, changes);
			break;
		case GRANT_MODE_EXTEND:
			plan_extend(request, group, now, start, &change);
			break;
		case GRANT_MODE_MAX:
			plan_max(request, group, now, start, &change);
			break;
	}
	if (change.expires_at <= change.starts_at)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("the access would end at %s, not after its start at %s",
						clock_iso8601(change.expires_at), clock_iso8601(change.starts_at)),
				 errhint("Give an expires_at that is later than starts_at (by default now).")));
	changes[n++] = change;
	return n;
}

/* adapty.grant_access_level(user, access_level_id, duration, expires_at, starts_at, is_lifetime, ...) */
static Datum
grant_access_level(FunctionCallInfo fcinfo, UserRef user)
{
	GrantRequest request;
	char	   *key;
	char	   *request_text;
	pg_uuid_t	profile_id;
	LockedProfile profile;
	GrantGroup	group;
	GrantChange *changes;
	Datum		result;

	refuse_unless_writable(fcinfo);
	read_grant_request(fcinfo, &request);
	key = arg_text(fcinfo, 9, "idempotency_key", false, MAX_IDEMPOTENCY_KEY);
	direct_attach(direct_owner(fcinfo), TABLE_ACCESS_GRANTS, DIRECT_WRITE);
	access_level_check(request.access_level_id);
	user_resolve_or_create(&user, !PG_ARGISNULL(7) && PG_GETARG_BOOL(7), &profile_id);
	lock_user(&user, &profile_id, &profile);
	request_text = key == NULL ? NULL : grant_request_text(&request);
	if (grant_earlier_result(&profile, key, request_text, &result))
		return result;
	grant_load(&profile_id, request.access_level_id, &group);
	changes = palloc(sizeof(GrantChange) * (group.n + 1));
	grant_apply(&profile, &group, changes, plan_grant(&request, &profile, &group, changes));
	result = access_level_form(&group, profile.profile_now);
	grant_keep_result(&profile, key, request_text, result);
	return result;
}

FUNCTION_BY_USER(grant_access_level);

/* ---- revoke_access_level ---- */

/* Is the source one that revoke_access_level() ends? */
static bool
is_revocable(const AccessGrant *grant)
{
	return grant->source == GRANT_SOURCE_SERVER_GRANT || grant->source == GRANT_SOURCE_PROMO_CAMPAIGN ||
		grant->source == GRANT_SOURCE_PROMO_CODE;
}

/* ERROR unless there is access to revoke, and until revoke_at at least. */
static void
check_revocable(const GrantGroup *group, const UserRef *user, const char *access_level_id,
				bool has_revoke_at, TimestampTz at, TimestampTz profile_now)
{
	bool		has_any = false;
	TimestampTz end = DT_NOBEGIN;

	for (int i = 0; i < group->n; i++)
	{
		if (access_state_at(&group->grants[i], profile_now) == GRANT_ENDED)
			continue;
		has_any = true;
		end = Max(end, group->grants[i].expires_at);
	}
	if (!has_any)
		ereport(ERROR,
				(condition_errcode(COND_PROFILE_ACCESS_LEVEL_DOES_NOT_EXIST),
				 errmsg("%s does not have access level \"%s\"", user_ref_text(user), access_level_id),
				 errhint("explain_access() shows what the user had.")));
	if (has_revoke_at && at > end)
		ereport(ERROR,
				(condition_errcode(COND_REVOCATION_AFTER_EXPIRATION),
				 errmsg("revoke_at %s is later than the end of the access, %s",
						clock_iso8601(at), clock_iso8601(end)),
				 errhint("Use grant_access_level() to give access for longer."),
				 err_generic_string(PG_DIAG_COLUMN_NAME, "revoke_at")));
}

/* Ends the store purchases behind a level as refunded, as of now. */
static void
refund_purchases(const LockedProfile *profile, GrantGroup *group, const char *actor, const char *reason)
{
	ApiScope	scope;

	scope_enter(&scope);
	for (int i = 0; i < group->n; i++)
	{
		AccessGrant *grant = &group->grants[i];

		if ((grant->source == GRANT_SOURCE_SUBSCRIPTION || grant->source == GRANT_SOURCE_ONE_TIME_PURCHASE) &&
			access_state_at(grant, profile->profile_now) != GRANT_ENDED)
			transaction_refund(profile, grant, grant_change_moment(profile), actor, reason);
	}
	scope_leave(&scope);
}

/* adapty.revoke_access_level(user, access_level_id, revoke_at, is_refund, reason, idempotency_key) */
static Datum
revoke_access_level(FunctionCallInfo fcinfo, UserRef user)
{
	char	   *level = arg_text(fcinfo, 1, "access_level_id", true, MAX_ACCESS_LEVEL_ID);
	TimestampTz at = 0;
	bool		has_revoke_at = arg_finite_timestamp(fcinfo, 2, "revoke_at", &at);
	bool		is_refund = !PG_ARGISNULL(3) && PG_GETARG_BOOL(3);
	char	   *reason = arg_text(fcinfo, 4, "reason", false, MAX_REASON);
	char	   *key = arg_text(fcinfo, 5, "idempotency_key", false, MAX_IDEMPOTENCY_KEY);
	char	   *actor = caller_actor();
	char	   *request = psprintf("revoke_access_level %s at=" INT64_FORMAT " refund=%d reason=%s", level,
								   has_revoke_at ? at : 0, is_refund, reason == NULL ? "" : reason);
	pg_uuid_t	profile_id;
	LockedProfile profile;
	GrantGroup	group;
	GrantChange *changes;
	int			n = 0;
	Datum		result;

	refuse_unless_writable(fcinfo);
	direct_attach(direct_owner(fcinfo), TABLE_ACCESS_GRANTS, DIRECT_WRITE);
	access_level_check(level);
	user_resolve(&user, &profile_id);
	lock_user(&user, &profile_id, &profile);
	if (grant_earlier_result(&profile, key, request, &result))
		return result;
	grant_load(&profile_id, level, &group);
	check_revocable(&group, &user, level, has_revoke_at, at, profile.profile_now);
	/* A moment that has passed means now: what was had cannot be taken back. */
	if (!has_revoke_at || at < profile.profile_now)
		at = grant_change_moment(&profile);
	changes = palloc(sizeof(GrantChange) * group.n);
	for (int i = 0; i < group.n; i++)
	{
		AccessGrant *grant = &group.grants[i];

		if (is_revocable(grant) && grant->expires_at > at)
			changes[n++] = (GrantChange) {grant->source, grant->source_id, grant->starts_at, at, true,
				actor, reason, false, NULL};
	}
	grant_apply(&profile, &group, changes, n);
	if (is_refund)
	{
		refund_purchases(&profile, &group, actor, reason);
		grant_load(&profile_id, level, &group);
	}
	result = access_level_form(&group, profile.profile_now);
	grant_keep_result(&profile, key, request, result);
	return result;
}

FUNCTION_BY_USER(revoke_access_level);

/* ---- set_test_clock ---- */

/* Moves the clock of one level's sources, announcing what that makes of them. */
static void
move_level(LockedProfile *profile, const char *level, const char *actor)
{
	GrantGroup	group;
	GrantChange cause = {GRANT_SOURCE_SERVER_GRANT, "", 0, 0, false, actor, "test clock", false, NULL};
	EventList	events = {0};
	AccessSnapshot before;

	grant_load(&profile->profile_id, level, &group);
	for (int i = 0; i < group.n; i++)
	{
		group.grants[i].test_clock_offset = profile->test_clock_offset;
		group.grants[i].is_dirty = true;
	}
	settle_group(profile, &group, &events);
	before = access_snapshot(access_announced(&group));
	/* A clock that was moved back opens again what had ended. */
	for (int i = 0; i < group.n; i++)
		group.grants[i].state = access_state_at(&group.grants[i], profile->profile_now);
	announce_difference(&group, &before, access_announced(&group), &cause, profile->profile_now, &events);
	grant_store(&group);
	event_write(events.rows, events.n);
	CommandCounterIncrement();
	settle_purchases(profile, &events);
}

/* adapty.set_test_clock(user, test_clock_offset): moves one profile's clock; null or 0 puts it right. */
static Datum
set_test_clock(FunctionCallInfo fcinfo, UserRef user)
{
	char	   *actor = caller_actor();
	ApiScope	scope;
	pg_uuid_t	profile_id;
	LockedProfile profile;
	Datum		args[2];
	uint64		n;
	char	  **levels;

	refuse_unless_writable(fcinfo);
	user_resolve(&user, &profile_id);
	lock_user(&user, &profile_id, &profile);
	profile.test_clock_offset = PG_ARGISNULL(1) ? 0
		: clock_add(profile.now, PG_GETARG_INTERVAL_P(1)) - profile.now;
	profile.profile_now = profile.now + profile.test_clock_offset;
	scope_enter(&scope);
	args[0] = UUIDPGetDatum(&profile_id);
	args[1] = Int64GetDatum(profile.test_clock_offset);
	plan_execute(&store_test_clock, args, profile.test_clock_offset == 0 ? " n" : NULL, false);
	n = plan_execute(&levels_of_profile, args, NULL, false);
	levels = palloc(sizeof(char *) * (n + 1));
	for (uint64 i = 0; i < n; i++)
		levels[i] = scope_copy_text(&scope, i, 1);
	for (uint64 i = 0; i < n; i++)
		move_level(&profile, levels[i], actor);
	timers_move(&profile);
	subscription_refresh_profile(&profile);
	scope_leave(&scope);
	PG_RETURN_VOID();
}

FUNCTION_BY_USER(set_test_clock);
