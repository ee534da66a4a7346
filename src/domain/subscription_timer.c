/*
 * subscription_timer.c
 *		What subscriptions wait for besides the end of a grant: the only writer of subscription_timers.
 *
 * A timer that fires looks at the chain as it is then: one that was overtaken by a renewal or a
 * refund does nothing, so nobody needs to take timers away.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/hooks.h"
#include "base/plans.h"
#include "domain/environment.h"
#include "domain/purchase_event.h"
#include "domain/subscription_timer.h"

static const pg_uuid_t nobody = {{0}};

static SavedPlan set_plan = {
	.name = "timer",
	.sql = "INSERT INTO adapty.subscription_timers AS t "
	"    (profile_id, fires_at, due_at, timer, store, store_original_transaction_id, store_transaction_id) "
	"VALUES ($1, $2, $3, $4::adapty.subscription_timer, $5, $6, $7) "
	"ON CONFLICT (profile_id, store, store_original_transaction_id, timer) DO UPDATE "
	"SET fires_at = excluded.fires_at, due_at = excluded.due_at, "
	"    store_transaction_id = excluded.store_transaction_id "
	"WHERE t.fires_at OPERATOR(pg_catalog.<>) excluded.fires_at "
	"OR t.due_at OPERATOR(pg_catalog.<>) excluded.due_at",
	.expected = SPI_OK_INSERT,
	.nargs = 7,
	.argtypes = {UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID},
};

static SavedPlan due_plan = {
	.name = "due timers",
	.sql = "SELECT t.profile_id, t.due_at, t.timer::text, t.store::text, t.store_original_transaction_id "
	"FROM adapty.subscription_timers t WHERE t.due_at OPERATOR(pg_catalog.<=) $1 "
	"ORDER BY t.due_at LIMIT $2",
	.expected = SPI_OK_SELECT,
	.nargs = 2,
	.argtypes = {TIMESTAMPTZOID, INT8OID},
};

static SavedPlan next_plan = {
	.name = "next timer",
	.sql = "SELECT t.due_at FROM adapty.subscription_timers t ORDER BY t.due_at LIMIT 1",
	.expected = SPI_OK_SELECT,
};

static SavedPlan take_plan = {
	.name = "timer that fires",
	.sql = "DELETE FROM adapty.subscription_timers t WHERE t.profile_id OPERATOR(pg_catalog.=) $1 "
	"AND t.store OPERATOR(pg_catalog.=) $2 AND t.store_original_transaction_id OPERATOR(pg_catalog.=) $3 "
	"AND t.timer OPERATOR(pg_catalog.=) $4::adapty.subscription_timer "
	"AND t.due_at OPERATOR(pg_catalog.<=) $5 RETURNING t.fires_at, t.store_transaction_id",
	.expected = SPI_OK_DELETE_RETURNING,
	.nargs = 5,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID},
};

static SavedPlan move_plan = {
	.name = "timers of a profile",
	.sql = "UPDATE adapty.subscription_timers t SET due_at = t.fires_at "
	"    OPERATOR(pg_catalog.-) ($2 OPERATOR(pg_catalog.*) interval '1 microsecond') "
	"WHERE t.profile_id OPERATOR(pg_catalog.=) $1 RETURNING t.due_at",
	.expected = SPI_OK_UPDATE_RETURNING,
	.nargs = 2,
	.argtypes = {UUIDOID, FLOAT8OID},
};

/* Sets one timer, by the profile's clock. */
static void
set_timer(const LockedProfile *profile, const Chain *chain, const char *timer, TimestampTz fires_at)
{
	TimestampTz due = fires_at - profile->test_clock_offset;
	Datum		values[7] = {UUIDPGetDatum(&profile->profile_id), TimestampTzGetDatum(fires_at),
		TimestampTzGetDatum(due), CStringGetTextDatum(timer), CStringGetTextDatum(chain->store),
		CStringGetTextDatum(chain->store_original_transaction_id),
	CStringGetTextDatum(chain->newest.store_transaction_id)};

	if (TIMESTAMP_NOT_FINITE(fires_at))
		return;
	(void) plan_execute_generic(&set_plan, values, NULL, false);
	wake_at_commit(due);
}

/* See subscription_timer.h. */
void
chain_set_timers(const LockedProfile *profile, const Chain *chain, bool has_grant)
{
	LifecycleState state = chain_state(chain, profile->profile_now);
	const ChainTransaction *times = &chain->newest.times;

	if (lifecycle_is_final(state) || chain->newest.is_family_shared)
		return;
	if (!has_grant && chain_access_end(times) > profile->profile_now)
		set_timer(profile, chain, "period_end", chain_access_end(times));
	if (state == LIFE_RETRY || state == LIFE_TRIAL_RETRY)
		set_timer(profile, chain, "retry_end", times->has_given_up ? chain_access_end(times) :
				  chain_retry_end(times, environment_retry_period(chain->newest.environment)));
}

/* See subscription_timer.h. */
void
chain_set_active_timer(const LockedProfile *profile, const Chain *chain, bool is_trial,
					   TimestampTz began_at)
{
	TimestampTz active_at;

	if (chain->newest.is_family_shared || chain_access_end(&chain->newest.times) <= profile->profile_now ||
		!environment_active_at(chain->newest.environment, is_trial, began_at, &active_at))
		return;
	set_timer(profile, chain, is_trial ? "trial_active" : "subscription_active", active_at);
}

/* See subscription_timer.h. */
int
timers_due(TimestampTz now, int n, DueTimer **timers)
{
	ApiScope	scope;
	Datum		values[2] = {TimestampTzGetDatum(now), Int64GetDatum((int64) n)};
	int			found;

	scope_enter(&scope);
	found = (int) plan_execute(&due_plan, values, NULL, false);
	*timers = MemoryContextAlloc(scope.caller_context, sizeof(DueTimer) * (found + 1));
	for (int i = 0; i < found; i++)
	{
		DueTimer   *due = &(*timers)[i];
		bool		isnull;

		due->profile_id = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
		due->due = row_time(i, 2);
		due->timer = scope_copy_text(&scope, i, 3);
		due->store = scope_copy_text(&scope, i, 4);
		due->store_original_transaction_id = scope_copy_text(&scope, i, 5);
	}
	scope_leave(&scope);
	return found;
}

/* See subscription_timer.h. */
TimestampTz
timers_next_due(void)
{
	ApiScope	scope;
	TimestampTz next = DT_NOEND;

	scope_enter(&scope);
	if (plan_execute(&next_plan, NULL, NULL, false) > 0)
		next = row_time(0, 1);
	scope_leave(&scope);
	return next;
}

/*
 * Writes a synthetic event, if what it tells of went on at its moment: a trial that is one still, a
 * subscription.  The scheduler may be late.
 */
static void
write_active(const LockedProfile *profile, const Chain *chain, bool is_trial, TimestampTz at)
{
	PurchaseEventSource source = {
		.profile_id = &profile->profile_id,
		.store = chain->store,
		.store_transaction_id = chain->newest.store_transaction_id,
	};
	ChainEvent	event = {is_trial ? EVENT_TRIAL_ACTIVE : EVENT_SUBSCRIPTION_ACTIVE, at};

	if (chain_access_end(&chain->newest.times) <= at ||
		(is_trial && !chain->newest.times.is_trial))
		return;
	purchase_events_write(&source, &event, 1);
}

/* Does what a timer says, for a locked profile, inside an open scope. */
static void
fire(const LockedProfile *profile, const DueTimer *due, TimestampTz fires_at)
{
	Chain		chain;

	if (!chain_load(&due->profile_id, due->store, due->store_original_transaction_id, &chain))
		return;
	if (strcmp(due->timer, "trial_active") == 0)
		write_active(profile, &chain, true, fires_at);
	else if (strcmp(due->timer, "subscription_active") == 0)
		write_active(profile, &chain, false, fires_at);
	else
	{
		chain_announce_end(profile, &chain, NULL, true);
		subscription_refresh_profile(profile);
		/* a renewal moved the end that this timer was for */
		chain_set_timers(profile, &chain, strcmp(due->timer, "period_end") != 0);
	}
}

/* See subscription_timer.h.  A chain that is nobody's has no profile to lock, and nobody to race with but claims. */
bool
timer_fire(const DueTimer *due, bool *would_block)
{
	LockedProfile profile = {.profile_id = due->profile_id};
	Datum		values[5] = {UUIDPGetDatum(&due->profile_id), CStringGetTextDatum(due->store),
		CStringGetTextDatum(due->store_original_transaction_id), CStringGetTextDatum(due->timer),
	0};
	ApiScope	scope;
	bool		found;

	*would_block = false;
	if (memcmp(&due->profile_id, &nobody, UUID_LEN) != 0)
	{
		if (!profile_lock(&due->profile_id, true, would_block, &profile))
		{
			if (*would_block)
				return false;
			/* the profile is gone, and its chains with it */
			profile.now = profile.profile_now = clock_write_now();
		}
	}
	else
		profile.now = profile.profile_now = clock_write_now();
	values[4] = TimestampTzGetDatum(profile.now);
	scope_enter(&scope);
	found = plan_execute_generic(&take_plan, values, NULL, false) > 0;
	if (found)
		fire(&profile, due, row_time(0, 1));
	scope_leave(&scope);
	return found;
}

/* See subscription_timer.h. */
void
timers_move(const LockedProfile *profile)
{
	Datum		values[2] = {UUIDPGetDatum(&profile->profile_id),
	Float8GetDatum((double) profile->test_clock_offset)};
	uint64		n = plan_execute_generic(&move_plan, values, NULL, false);

	for (uint64 i = 0; i < n; i++)
		wake_at_commit(row_time(i, 1));
}
