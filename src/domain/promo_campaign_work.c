/*
 * promo_campaign_work.c
 *		What the scheduler does for campaigns: gives and takes back, in batches of one transaction.
 *
 * A pass goes through the segment in the order of profile_id, a batch at a time; the place that it has
 * come to is in the campaign's row, so that a crash costs the batch in hand and no more.  Finding the
 * batch is one statement over the segment's view, which the planner sees through; entering it in
 * promo_campaign_grants, whose key lets nobody in twice, is one more; each user's access is changed as
 * ever, under the user's lock.  After a pass the campaign sleeps for adapty.campaign_interval, and the
 * next pass finds who has entered the segment since.
 *
 * The campaign's row is locked by the batch, so a cap is never exceeded.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/direct.h"
#include "base/guc.h"
#include "base/hooks.h"
#include "base/plans.h"
#include "domain/access.h"
#include "domain/promo_campaign.h"
#include "domain/promo_grant.h"
#include "domain/segment.h"

#define SKIPPED_MS 1000			/* to the pass after one that left out locked users */
#define FAILED_MS 10000			/* after a failed batch; doubles */
#define MAX_FAILED_MS (60 * 60 * 1000)

/* A campaign at work; strings and the duration are in the batch's context. */
typedef struct Campaign
{
	pg_uuid_t	campaign_id;
	char	   *source_id;		/* the same as text */
	char	   *name;
	char	   *segment;
	char	   *access_level_id;
	char	   *actor;
	Interval   *duration;		/* NULL for lifetime */
	TimestampTz ends_at;
	bool		is_revoking;
	bool		has_skipped;
	bool		is_look;		/* a pass begins, and one has come to its end before: few are to be found */
	bool		is_capped;
	int64		left;			/* under the cap */
	int32		failures;
	pg_uuid_t	position;		/* nil at the beginning of a pass */
} Campaign;

/* The users of a batch. */
typedef struct Batch
{
	int			found;			/* read, locked or not */
	pg_uuid_t  *users;			/* locked */
	LockedProfile *profiles;
	int			n;
	int			skipped;		/* somebody else has them */
} Batch;

static SavedPlan next_due_plan = {
	.name = "next due promo campaign",
	.sql = "SELECT c.next_look_at FROM adapty.promo_campaigns c WHERE c.next_look_at IS NOT NULL "
	"ORDER BY c.next_look_at LIMIT 1",
	.expected = SPI_OK_SELECT,
};

static SavedPlan due_campaign = {
	.name = "due promo campaign",
	.sql = "SELECT c.campaign_id, c.name, s.name, c.access_level_id::pg_catalog.text, c.duration, c.ends_at, "
	"    c.state OPERATOR(pg_catalog.=) 'revoking'::adapty.promo_campaign_state, c.has_skipped, "
	"    c.max_grants OPERATOR(pg_catalog.-) c.granted, c.failures, "
	"    COALESCE(c.scan_position, '00000000-0000-0000-0000-000000000000'), c.actor, "
	"    c.scan_position IS NULL AND c.last_look_at IS NOT NULL "
	"FROM adapty.promo_campaigns c JOIN adapty.segments s ON s.segment_id OPERATOR(pg_catalog.=) c.segment_id "
	"WHERE c.next_look_at OPERATOR(pg_catalog.<=) $1 "
	"ORDER BY c.next_look_at LIMIT 1 FOR UPDATE OF c SKIP LOCKED",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {TIMESTAMPTZOID},
};

static SavedPlan enter_users = {
	.name = "users of a promo campaign",
	.sql = "INSERT INTO adapty.promo_campaign_grants (campaign_id, profile_id) "
	"SELECT $1, u FROM pg_catalog.unnest($2) u",
	.expected = SPI_OK_INSERT,
	.nargs = 2,
	.argtypes = {UUIDOID, UUIDARRAYOID},
};

static SavedPlan given_users = {
	.name = "users to whom a promo campaign gave",
	.sql = "SELECT g.profile_id FROM adapty.promo_campaign_grants g "
	"WHERE g.campaign_id OPERATOR(pg_catalog.=) $1 AND g.revoked_at IS NULL "
	"AND g.profile_id OPERATOR(pg_catalog.>) $2 ORDER BY g.profile_id LIMIT $3",
	.expected = SPI_OK_SELECT,
	.nargs = 3,
	.argtypes = {UUIDOID, UUIDOID, INT8OID},
};

static SavedPlan leave_users = {
	.name = "users from whom a promo campaign took back",
	.sql = "UPDATE adapty.promo_campaign_grants g SET revoked_at = pg_catalog.now() "
	"WHERE g.campaign_id OPERATOR(pg_catalog.=) $1 AND g.profile_id OPERATOR(pg_catalog.=) ANY ($2)",
	.expected = SPI_OK_UPDATE,
	.nargs = 2,
	.argtypes = {UUIDOID, UUIDARRAYOID},
};

/* $2 granted, $3 revoked, $4 where the pass is, $5 whether it skipped, $6 the next look, $7 the state, $8 end of pass. */
static SavedPlan put_progress = {
	.name = "progress of a promo campaign",
	.sql = "UPDATE adapty.promo_campaigns c SET granted = c.granted OPERATOR(pg_catalog.+) $2, "
	"    revoked = c.revoked OPERATOR(pg_catalog.+) $3, scan_position = $4, has_skipped = $5, next_look_at = $6, "
	"    state = COALESCE($7::adapty.promo_campaign_state, c.state), "
	"    last_look_at = COALESCE($8, c.last_look_at), failures = 0 "
	"WHERE c.campaign_id OPERATOR(pg_catalog.=) $1",
	.expected = SPI_OK_UPDATE,
	.nargs = 8,
	.argtypes = {UUIDOID, INT8OID, INT8OID, UUIDOID, BOOLOID, TIMESTAMPTZOID, TEXTOID, TIMESTAMPTZOID},
};

static SavedPlan put_failure = {
	.name = "failure of a promo campaign",
	.sql = "UPDATE adapty.promo_campaigns c SET failures = c.failures OPERATOR(pg_catalog.+) 1, "
	"    last_error = $2, last_error_at = pg_catalog.clock_timestamp(), next_look_at = $3 "
	"WHERE c.campaign_id OPERATOR(pg_catalog.=) $1",
	.expected = SPI_OK_UPDATE,
	.nargs = 3,
	.argtypes = {UUIDOID, TEXTOID, TIMESTAMPTZOID},
};

/* See promo_campaign.h. */
TimestampTz
promo_campaign_next_due(void)
{
	ApiScope	scope;
	TimestampTz next = DT_NOEND;
	bool		isnull;

	scope_enter(&scope);
	if (plan_execute(&next_due_plan, NULL, NULL, false) > 0)
		next = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	scope_leave(&scope);
	return next;
}

/* Locks the campaign that has been due longest; false if there is none that nobody else works on. */
static bool
take_campaign(ApiScope *scope, Campaign *campaign)
{
	Datum		now = TimestampTzGetDatum(clock_write_now());
	Datum		duration;
	bool		isnull;

	if (plan_execute(&due_campaign, &now, NULL, false) == 0)
		return false;
	memset(campaign, 0, sizeof(*campaign));
	campaign->campaign_id = *DatumGetUUIDP(scope_copy(scope, 0, 1, &isnull));
	campaign->source_id = scope_copy_text(scope, 0, 1);
	campaign->name = scope_copy_text(scope, 0, 2);
	campaign->segment = scope_copy_text(scope, 0, 3);
	campaign->access_level_id = scope_copy_text(scope, 0, 4);
	duration = scope_copy(scope, 0, 5, &isnull);
	campaign->duration = isnull ? NULL : DatumGetIntervalP(duration);
	campaign->ends_at = DatumGetTimestampTz(scope_copy(scope, 0, 6, &isnull));
	campaign->is_revoking = DatumGetBool(scope_copy(scope, 0, 7, &isnull));
	campaign->has_skipped = DatumGetBool(scope_copy(scope, 0, 8, &isnull));
	campaign->left = DatumGetInt64(scope_copy(scope, 0, 9, &isnull));
	campaign->is_capped = !isnull;
	campaign->failures = DatumGetInt32(scope_copy(scope, 0, 10, &isnull));
	campaign->position = *DatumGetUUIDP(scope_copy(scope, 0, 11, &isnull));
	campaign->actor = scope_copy_text(scope, 0, 12);
	campaign->is_look = DatumGetBool(scope_copy(scope, 0, 13, &isnull));
	return true;
}

/*
 * The statement that finds the next users of a segment.  A batch of many goes in the order of the key and
 * probes for each whether the campaign has given (OFFSET 0 keeps that from becoming a join, which would
 * read all the campaign's users for each batch).  A look for newcomers finds few or none: that one is
 * left to the planner as a whole, and what it finds is sorted.
 */
static char *
members_sql(const Campaign *campaign)
{
	const char *fence = campaign->is_look ? "" : " OFFSET 0";
	char	   *members = psprintf("SELECT s.profile_id FROM %s s WHERE s.profile_id OPERATOR(pg_catalog.>) $2 "
								   "AND NOT EXISTS (SELECT FROM adapty.promo_campaign_grants g "
								   "WHERE g.profile_id OPERATOR(pg_catalog.=) s.profile_id "
								   "AND g.campaign_id OPERATOR(pg_catalog.=) $1%s)", segment_view(campaign->segment), fence);

	if (campaign->is_look)
		members = psprintf("SELECT s.profile_id FROM (%s OFFSET 0) s", members);
	return psprintf("%s ORDER BY s.profile_id LIMIT $3", members);
}

/* Reads the next users of the pass: of the segment, or of those who were given to. */
static void
read_users(const Campaign *campaign, int64 limit, Batch *batch)
{
	Oid			argtypes[3] = {UUIDOID, UUIDOID, INT8OID};
	Datum		args[3] = {UUIDPGetDatum(&campaign->campaign_id), UUIDPGetDatum(&campaign->position), Int64GetDatum(limit)};

	if (campaign->is_revoking)
		plan_execute(&given_users, args, NULL, false);
	else if (SPI_execute_with_args(members_sql(campaign), 3, argtypes, args, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read segment \"%s\"", campaign->segment);
	batch->found = (int) SPI_processed;
	batch->users = palloc(sizeof(pg_uuid_t) * Max(batch->found, 1));
	for (int i = 0; i < batch->found; i++)
	{
		bool		isnull;

		batch->users[i] = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
	}
	SPI_freetuptable(SPI_tuptable);
}

/* Locks the users that can be had at once, and leaves those in the batch. */
static void
lock_users(Batch *batch)
{
	batch->profiles = palloc(sizeof(LockedProfile) * Max(batch->found, 1));
	for (int i = 0; i < batch->found; i++)
	{
		bool		would_block;

		CHECK_FOR_INTERRUPTS();
		if (profile_lock(&batch->users[i], true, &would_block, &batch->profiles[batch->n]))
			batch->users[batch->n++] = batch->users[i];
		else if (would_block)
			batch->skipped++;
	}
}

/* The users of a batch as an array. */
static Datum
user_array(const Batch *batch)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(batch->n, 1));

	for (int i = 0; i < batch->n; i++)
		elements[i] = UUIDPGetDatum(&batch->users[i]);
	return PointerGetDatum(construct_array(elements, batch->n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
}

/* Ends what the campaign gave to a user; false if that is over already. */
static bool
take_back(const Campaign *campaign, const LockedProfile *profile)
{
	GrantGroup	group;
	AccessGrant *grant;
	TimestampTz at = grant_change_moment(profile);
	GrantChange change = {.source = GRANT_SOURCE_PROMO_CAMPAIGN, .source_id = campaign->source_id,
		.revoked = true, .actor = campaign->actor, .reason = campaign->name};

	grant_load(&profile->profile_id, campaign->access_level_id, &group);
	grant = grant_find(&group, GRANT_SOURCE_PROMO_CAMPAIGN, campaign->source_id);
	if (grant == NULL || grant->expires_at <= at)
		return false;
	change.starts_at = grant->starts_at;
	change.expires_at = Max(at, grant->starts_at);
	grant_apply(profile, &group, &change, 1);
	return true;
}

/* Changes the access of the batch's users; returns of how many. */
static int64
change_access(const Campaign *campaign, const Batch *batch)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "adapty campaign user", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = CurrentMemoryContext;
	int64		changed = 0;

	/* Opened here, so that it stays open from user to user. */
	direct_attach(CurrentMemoryContext, TABLE_ACCESS_GRANTS, DIRECT_WRITE);
	for (int i = 0; i < batch->n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(context);
		MemoryContextSwitchTo(context);
		if (campaign->is_revoking)
			changed += take_back(campaign, &batch->profiles[i]);
		else
		{
			promo_grant(&batch->profiles[i], campaign->access_level_id, GRANT_SOURCE_PROMO_CAMPAIGN,
						campaign->source_id, campaign->duration, campaign->actor, campaign->name);
			changed++;
		}
		MemoryContextSwitchTo(old);
	}
	MemoryContextDelete(context);
	return changed;
}

/*
 * Stores how far the campaign has come.  "over": this was the last of it.  A pass ends with a batch
 * that is not full; the next one begins after the interval, or soon if users were skipped.
 */
static void
store_progress(const Campaign *campaign, const Batch *batch, int64 changed, bool is_full, bool over)
{
	TimestampTz now = clock_write_now();
	bool		has_skipped = campaign->has_skipped || batch->skipped > 0;
	bool		is_done = over || (campaign->is_revoking && !is_full && !has_skipped);
	TimestampTz next = now;
	Datum		values[8];
	char		nulls[] = "        ";

	if (!is_full)
	{
		next = TimestampTzPlusMilliseconds(now, has_skipped ? SKIPPED_MS : adapty_campaign_interval * INT64CONST(1000));
		if (!campaign->is_revoking)
			next = Min(next, campaign->ends_at);
	}
	values[0] = UUIDPGetDatum(&campaign->campaign_id);
	values[1] = Int64GetDatum(campaign->is_revoking ? 0 : changed);
	values[2] = Int64GetDatum(campaign->is_revoking ? changed : 0);
	/* read before the users were packed: locked ones may stand behind */
	values[3] = UUIDPGetDatum(&campaign->position);
	values[4] = BoolGetDatum(is_full && has_skipped);
	values[5] = TimestampTzGetDatum(next);
	values[6] = CStringGetTextDatum(campaign->is_revoking ? "revoked" : "completed");
	values[7] = TimestampTzGetDatum(now);
	nulls[3] = is_full && !is_done ? ' ' : 'n';
	nulls[5] = is_done ? 'n' : ' ';
	nulls[6] = is_done ? ' ' : 'n';
	nulls[7] = is_full ? 'n' : ' ';
	plan_execute(&put_progress, values, nulls, false);
	if (!is_done)
		wake_at_commit(next);
}

/* One batch; returns of how many users access was changed. */
static int64
run_batch(Campaign *campaign, int max_users)
{
	Batch		batch = {0};
	int64		limit = max_users;
	int64		changed;
	Datum		args[2];
	bool		is_full;
	bool		over;

	if (!campaign->is_revoking)
	{
		if (campaign->is_capped)
			limit = Min(limit, Max(campaign->left, 0));
		if (limit == 0 || campaign->ends_at <= clock_write_now())
		{
			store_progress(campaign, &batch, 0, false, true);
			return 0;
		}
	}
	read_users(campaign, limit, &batch);
	is_full = batch.found == limit;
	if (batch.found > 0)
		campaign->position = batch.users[batch.found - 1];
	lock_users(&batch);
	args[0] = UUIDPGetDatum(&campaign->campaign_id);
	args[1] = user_array(&batch);
	if (batch.n > 0)
		plan_execute(campaign->is_revoking ? &leave_users : &enter_users, args, NULL, false);
	changed = change_access(campaign, &batch);
	over = !campaign->is_revoking && campaign->is_capped && changed >= campaign->left;
	store_progress(campaign, &batch, changed, is_full, over);
	return changed;
}

/* After a failed batch: says so in the campaign's row and in the log, and when it is tried again. */
static void
note_failure(const Campaign *campaign, const ErrorData *error)
{
	int64		pause = FAILED_MS;
	Datum		values[3];
	TimestampTz next;

	for (int i = 0; i < campaign->failures && pause < MAX_FAILED_MS; i++)
		pause *= 2;
	next = TimestampTzPlusMilliseconds(clock_write_now(), Min(pause, MAX_FAILED_MS));
	values[0] = UUIDPGetDatum(&campaign->campaign_id);
	values[1] = CStringGetTextDatum(error->message);
	values[2] = TimestampTzGetDatum(next);
	plan_execute(&put_failure, values, NULL, false);
	wake_at_commit(next);
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("could not go on with promo campaign \"%s\": %s", campaign->name, error->message),
			 errdetail("Nothing of the batch was done; it is tried again at %s.", clock_iso8601(next))));
}

/* run_batch() in a subtransaction. */
static int64
run_batch_carefully(Campaign *campaign, int max_users)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile int64 changed = 0;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		ApiScope	scope;

		scope_enter(&scope);
		changed = run_batch(campaign, max_users);
		scope_leave(&scope);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		changed = 0;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (error != NULL)
	{
		/* A cancelled query or a shutdown is not the campaign's fault. */
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED || error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN)
			ReThrowError(error);
		note_failure(campaign, error);
	}
	return changed;
}

/* See promo_campaign.h. */
int64
promo_campaign_work(int max_users)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "adapty campaign batch", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Campaign	campaign;
	ApiScope	scope;
	int64		changed = 0;

	scope_enter(&scope);
	if (take_campaign(&scope, &campaign))
		changed = run_batch_carefully(&campaign, max_users);
	scope_leave(&scope);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return changed;
}
