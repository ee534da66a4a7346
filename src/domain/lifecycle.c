/*
 * lifecycle.c
 *		The life of a subscription: one state machine, as a table.
 *
 * The cells are what the service's event flows show, one row a state.  An input that is not in a
 * state's row says nothing there: the state stays and no event is made.  access_level_updated is not
 * in the table, because it is about what a user sees of an access level, not about one chain: it is
 * written wherever that changes (settle.c, transaction.c).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "domain/lifecycle.h"

PG_FUNCTION_INFO_V1(adapty_subscription_transitions);

static const char *const state_names[N_LIFECYCLE_STATES] = {
	[LIFE_NONE] = "none",
	[LIFE_TRIAL] = "trial",
	[LIFE_TRIAL_CANCELLED] = "trial_cancelled",
	[LIFE_TRIAL_GRACE] = "trial_grace",
	[LIFE_TRIAL_RETRY] = "trial_retry",
	[LIFE_TRIAL_EXPIRED] = "trial_expired",
	[LIFE_ACTIVE] = "active",
	[LIFE_CANCELLED] = "cancelled",
	[LIFE_GRACE] = "grace",
	[LIFE_RETRY] = "retry",
	[LIFE_PAUSED] = "paused",
	[LIFE_EXPIRED] = "expired",
	[LIFE_REFUNDED] = "refunded",
};

static const char *const input_names[N_LIFECYCLE_INPUTS] = {
	[INPUT_TRIAL_START] = "trial_start",
	[INPUT_PAID] = "paid",
	[INPUT_CHANGE_NOW] = "change_now",
	[INPUT_CHANGE_AT_RENEWAL] = "change_at_renewal",
	[INPUT_NOT_RENEWING] = "not_renewing",
	[INPUT_RENEW_OFF] = "renew_off",
	[INPUT_RENEW_ON] = "renew_on",
	[INPUT_BILLING_ISSUE] = "billing_issue",
	[INPUT_GRACE] = "grace",
	[INPUT_RECOVERED] = "recovered",
	[INPUT_PAUSE] = "pause",
	[INPUT_UNPAUSE] = "unpause",
	[INPUT_DEFER] = "defer",
	[INPUT_REFUND] = "refund",
	[INPUT_UPGRADED] = "upgraded",
	[INPUT_END] = "end",
	[INPUT_GIVE_UP] = "give_up",
	[INPUT_LATE_TRIAL] = "late_trial",
	[INPUT_LATE_PAID] = "late_paid",
	[INPUT_LATE_REFUND] = "late_refund",
};

/* A row of the table as it is written below. */
typedef struct LifecycleRow
{
	LifecycleState state;
	LifecycleInput input;
	LifecycleCell cell;
} LifecycleRow;

#define CELL0(state, input, next) \
	{LIFE_##state, INPUT_##input, {LIFE_##next, 0, {0}, false}}
#define CELL1(state, input, next, event) \
	{LIFE_##state, INPUT_##input, {LIFE_##next, 1, {EVENT_##event}, false}}
#define CELL2(state, input, next, event1, event2) \
	{LIFE_##state, INPUT_##input, {LIFE_##next, 2, {EVENT_##event1, EVENT_##event2}, false}}
/* the first event is about the transaction that was the newest until now */
#define CELL_SWAP(state, input, next, event1, event2) \
	{LIFE_##state, INPUT_##input, {LIFE_##next, 2, {EVENT_##event1, EVENT_##event2}, true}}

/* What a late report of an older transaction means is the same whatever the chain is now. */
#define LATE(state) \
	CELL1(state, LATE_TRIAL, state, TRIAL_STARTED), \
	CELL1(state, LATE_PAID, state, SUBSCRIPTION_RENEWED), \
	CELL1(state, LATE_REFUND, state, SUBSCRIPTION_REFUNDED)

/* What can come after a trial, whether it still runs or not. */
#define FROM_TRIAL(state) \
	CELL1(state, TRIAL_START, TRIAL, TRIAL_STARTED), \
	CELL1(state, PAID, ACTIVE, TRIAL_CONVERTED), \
	CELL1(state, REFUND, REFUNDED, SUBSCRIPTION_REFUNDED), \
	LATE(state)

/* What can come while a paid period runs or is being retried: product changes swap the subscription. */
#define FROM_PAID(state) \
	CELL1(state, TRIAL_START, TRIAL, TRIAL_STARTED), \
	CELL1(state, PAID, ACTIVE, SUBSCRIPTION_RENEWED), \
	CELL_SWAP(state, CHANGE_NOW, ACTIVE, SUBSCRIPTION_REFUNDED, SUBSCRIPTION_STARTED), \
	CELL_SWAP(state, CHANGE_AT_RENEWAL, ACTIVE, SUBSCRIPTION_EXPIRED, SUBSCRIPTION_STARTED), \
	CELL1(state, REFUND, REFUNDED, SUBSCRIPTION_REFUNDED), \
	LATE(state)

/* What can come after the end: the same product again is a renewal, another one a new subscription. */
#define FROM_END(state) \
	CELL1(state, TRIAL_START, TRIAL, TRIAL_STARTED), \
	CELL1(state, PAID, ACTIVE, SUBSCRIPTION_RENEWED), \
	CELL1(state, CHANGE_NOW, ACTIVE, SUBSCRIPTION_STARTED), \
	CELL1(state, CHANGE_AT_RENEWAL, ACTIVE, SUBSCRIPTION_STARTED), \
	LATE(state)

static const LifecycleRow rows[] = {
	CELL1(NONE, TRIAL_START, TRIAL, TRIAL_STARTED),
	CELL1(NONE, PAID, ACTIVE, SUBSCRIPTION_STARTED),

	FROM_TRIAL(TRIAL),
	CELL0(TRIAL, NOT_RENEWING, TRIAL_CANCELLED),
	CELL1(TRIAL, RENEW_OFF, TRIAL_CANCELLED, TRIAL_RENEWAL_CANCELLED),
	CELL1(TRIAL, BILLING_ISSUE, TRIAL_RETRY, BILLING_ISSUE_DETECTED),
	CELL2(TRIAL, GRACE, TRIAL_GRACE, BILLING_ISSUE_DETECTED, ENTERED_GRACE_PERIOD),
	CELL1(TRIAL, PAUSE, PAUSED, SUBSCRIPTION_PAUSED),
	CELL1(TRIAL, DEFER, TRIAL, SUBSCRIPTION_DEFERRED),
	CELL1(TRIAL, UPGRADED, TRIAL_EXPIRED, SUBSCRIPTION_REFUNDED),
	CELL1(TRIAL, END, TRIAL_EXPIRED, TRIAL_EXPIRED),

	FROM_TRIAL(TRIAL_CANCELLED),
	CELL1(TRIAL_CANCELLED, RENEW_ON, TRIAL, TRIAL_RENEWAL_REACTIVATED),
	CELL1(TRIAL_CANCELLED, BILLING_ISSUE, TRIAL_CANCELLED, BILLING_ISSUE_DETECTED),
	CELL2(TRIAL_CANCELLED, GRACE, TRIAL_GRACE, BILLING_ISSUE_DETECTED, ENTERED_GRACE_PERIOD),
	CELL1(TRIAL_CANCELLED, DEFER, TRIAL_CANCELLED, SUBSCRIPTION_DEFERRED),
	CELL1(TRIAL_CANCELLED, UPGRADED, TRIAL_EXPIRED, SUBSCRIPTION_REFUNDED),
	CELL1(TRIAL_CANCELLED, END, TRIAL_EXPIRED, TRIAL_EXPIRED),

	FROM_TRIAL(TRIAL_GRACE),
	CELL1(TRIAL_GRACE, RENEW_OFF, TRIAL_GRACE, TRIAL_RENEWAL_CANCELLED),
	CELL1(TRIAL_GRACE, RENEW_ON, TRIAL_GRACE, TRIAL_RENEWAL_REACTIVATED),
	CELL0(TRIAL_GRACE, BILLING_ISSUE, TRIAL_RETRY),
	CELL0(TRIAL_GRACE, RECOVERED, TRIAL),
	CELL1(TRIAL_GRACE, UPGRADED, TRIAL_EXPIRED, SUBSCRIPTION_REFUNDED),
	CELL1(TRIAL_GRACE, END, TRIAL_EXPIRED, TRIAL_EXPIRED),

	FROM_TRIAL(TRIAL_RETRY),
	CELL1(TRIAL_RETRY, RENEW_OFF, TRIAL_CANCELLED, TRIAL_RENEWAL_CANCELLED),
	CELL1(TRIAL_RETRY, GRACE, TRIAL_GRACE, ENTERED_GRACE_PERIOD),
	CELL0(TRIAL_RETRY, RECOVERED, TRIAL),
	CELL1(TRIAL_RETRY, UPGRADED, TRIAL_EXPIRED, SUBSCRIPTION_REFUNDED),
	CELL1(TRIAL_RETRY, GIVE_UP, TRIAL_EXPIRED, TRIAL_EXPIRED),

	FROM_TRIAL(TRIAL_EXPIRED),
	CELL1(TRIAL_EXPIRED, RENEW_OFF, TRIAL_EXPIRED, TRIAL_RENEWAL_CANCELLED),
	CELL1(TRIAL_EXPIRED, RENEW_ON, TRIAL_EXPIRED, TRIAL_RENEWAL_REACTIVATED),
	CELL1(TRIAL_EXPIRED, BILLING_ISSUE, TRIAL_RETRY, BILLING_ISSUE_DETECTED),
	CELL2(TRIAL_EXPIRED, GRACE, TRIAL_GRACE, BILLING_ISSUE_DETECTED, ENTERED_GRACE_PERIOD),
	CELL0(TRIAL_EXPIRED, RECOVERED, TRIAL),
	CELL1(TRIAL_EXPIRED, DEFER, TRIAL, SUBSCRIPTION_DEFERRED),

	FROM_PAID(ACTIVE),
	CELL0(ACTIVE, NOT_RENEWING, CANCELLED),
	CELL1(ACTIVE, RENEW_OFF, CANCELLED, SUBSCRIPTION_RENEWAL_CANCELLED),
	CELL1(ACTIVE, BILLING_ISSUE, RETRY, BILLING_ISSUE_DETECTED),
	CELL2(ACTIVE, GRACE, GRACE, BILLING_ISSUE_DETECTED, ENTERED_GRACE_PERIOD),
	CELL1(ACTIVE, PAUSE, PAUSED, SUBSCRIPTION_PAUSED),
	CELL1(ACTIVE, DEFER, ACTIVE, SUBSCRIPTION_DEFERRED),
	CELL1(ACTIVE, UPGRADED, EXPIRED, SUBSCRIPTION_REFUNDED),
	CELL1(ACTIVE, END, EXPIRED, SUBSCRIPTION_EXPIRED),

	FROM_PAID(CANCELLED),
	CELL1(CANCELLED, RENEW_ON, ACTIVE, SUBSCRIPTION_RENEWAL_REACTIVATED),
	CELL1(CANCELLED, BILLING_ISSUE, CANCELLED, BILLING_ISSUE_DETECTED),
	CELL2(CANCELLED, GRACE, GRACE, BILLING_ISSUE_DETECTED, ENTERED_GRACE_PERIOD),
	CELL1(CANCELLED, DEFER, CANCELLED, SUBSCRIPTION_DEFERRED),
	CELL1(CANCELLED, UPGRADED, EXPIRED, SUBSCRIPTION_REFUNDED),
	CELL1(CANCELLED, END, EXPIRED, SUBSCRIPTION_EXPIRED),

	FROM_PAID(GRACE),
	CELL1(GRACE, RENEW_OFF, GRACE, SUBSCRIPTION_RENEWAL_CANCELLED),
	CELL1(GRACE, RENEW_ON, GRACE, SUBSCRIPTION_RENEWAL_REACTIVATED),
	CELL0(GRACE, BILLING_ISSUE, RETRY),
	CELL0(GRACE, RECOVERED, ACTIVE),
	CELL1(GRACE, UPGRADED, EXPIRED, SUBSCRIPTION_REFUNDED),
	CELL1(GRACE, END, EXPIRED, SUBSCRIPTION_EXPIRED),

	FROM_PAID(RETRY),
	CELL1(RETRY, RENEW_OFF, CANCELLED, SUBSCRIPTION_RENEWAL_CANCELLED),
	CELL1(RETRY, GRACE, GRACE, ENTERED_GRACE_PERIOD),
	CELL0(RETRY, RECOVERED, ACTIVE),
	CELL1(RETRY, UPGRADED, EXPIRED, SUBSCRIPTION_REFUNDED),
	CELL1(RETRY, GIVE_UP, EXPIRED, SUBSCRIPTION_EXPIRED),

	FROM_END(PAUSED),
	CELL0(PAUSED, UNPAUSE, ACTIVE),
	CELL1(PAUSED, RENEW_OFF, CANCELLED, SUBSCRIPTION_RENEWAL_CANCELLED),
	CELL1(PAUSED, REFUND, REFUNDED, SUBSCRIPTION_REFUNDED),
	CELL1(PAUSED, UPGRADED, EXPIRED, SUBSCRIPTION_REFUNDED),

	FROM_END(EXPIRED),
	CELL1(EXPIRED, RENEW_OFF, EXPIRED, SUBSCRIPTION_RENEWAL_CANCELLED),
	CELL1(EXPIRED, RENEW_ON, EXPIRED, SUBSCRIPTION_RENEWAL_REACTIVATED),
	CELL1(EXPIRED, BILLING_ISSUE, RETRY, BILLING_ISSUE_DETECTED),
	CELL2(EXPIRED, GRACE, GRACE, BILLING_ISSUE_DETECTED, ENTERED_GRACE_PERIOD),
	CELL0(EXPIRED, RECOVERED, ACTIVE),
	CELL1(EXPIRED, PAUSE, PAUSED, SUBSCRIPTION_PAUSED),
	CELL1(EXPIRED, DEFER, ACTIVE, SUBSCRIPTION_DEFERRED),
	CELL1(EXPIRED, REFUND, REFUNDED, SUBSCRIPTION_REFUNDED),

	FROM_END(REFUNDED),
	CELL1(REFUNDED, RENEW_OFF, REFUNDED, SUBSCRIPTION_RENEWAL_CANCELLED),
};

/* See lifecycle.h. */
LifecycleCell
lifecycle_cell(LifecycleState state, LifecycleInput input)
{
	static LifecycleCell cells[N_LIFECYCLE_STATES][N_LIFECYCLE_INPUTS];
	static bool filled = false;

	if (!filled)
	{
		for (int s = 0; s < N_LIFECYCLE_STATES; s++)
			for (int i = 0; i < N_LIFECYCLE_INPUTS; i++)
				cells[s][i].next = s;
		for (int r = 0; r < (int) lengthof(rows); r++)
			cells[rows[r].state][rows[r].input] = rows[r].cell;
		filled = true;
	}
	return cells[state][input];
}

/* See lifecycle.h. */
const char *
lifecycle_state_name(LifecycleState state)
{
	return state_names[state];
}

/* See lifecycle.h. */
const char *
lifecycle_input_name(LifecycleInput input)
{
	return input_names[input];
}

/* ---- from a transaction to a state ---- */

/* See lifecycle.h. */
bool
chain_has_grace(const ChainTransaction *t)
{
	return HAS_TIME(t->billing_issue_detected_at) && HAS_TIME(t->grace_period_expires_at);
}

/* See lifecycle.h. */
TimestampTz
chain_paid_end(const ChainTransaction *t)
{
	return chain_has_grace(t) ? Max(t->expires_at, t->grace_period_expires_at) : t->expires_at;
}

/* See lifecycle.h. */
TimestampTz
chain_access_end(const ChainTransaction *t)
{
	TimestampTz end = chain_paid_end(t);

	if (HAS_TIME(t->paused_at))
		end = Min(end, t->paused_at);
	return HAS_TIME(t->refunded_at) ? Min(end, t->refunded_at) : end;
}

/* See lifecycle.h. */
TimestampTz
chain_retry_end(const ChainTransaction *t, int64 retry_period)
{
	TimestampTz end = chain_access_end(t);

	return end > PG_INT64_MAX - retry_period ? DT_NOEND : end + retry_period;
}

/* See lifecycle.h. */
LifecycleState
lifecycle_state(const ChainTransaction *t, int64 retry_period, TimestampTz now)
{
	bool		is_over = chain_access_end(t) <= now;

	if (HAS_TIME(t->refunded_at) && is_over)
		return LIFE_REFUNDED;
	if (t->is_upgraded && is_over)
		return t->is_trial ? LIFE_TRIAL_EXPIRED : LIFE_EXPIRED;
	if (HAS_TIME(t->paused_at) && t->renew_status)
		return LIFE_PAUSED;
	if (!is_over && chain_has_grace(t))
		return t->is_trial ? LIFE_TRIAL_GRACE : LIFE_GRACE;
	if (HAS_TIME(t->billing_issue_detected_at) && !chain_has_grace(t) && t->renew_status &&
		!(is_over && (t->has_given_up || chain_retry_end(t, retry_period) <= now)))
		return t->is_trial ? LIFE_TRIAL_RETRY : LIFE_RETRY;
	if (is_over)
		return t->is_trial ? LIFE_TRIAL_EXPIRED : LIFE_EXPIRED;
	if (t->renew_status)
		return t->is_trial ? LIFE_TRIAL : LIFE_ACTIVE;
	return t->is_trial ? LIFE_TRIAL_CANCELLED : LIFE_CANCELLED;
}

/* See lifecycle.h. */
bool
lifecycle_is_final(LifecycleState state)
{
	return state == LIFE_EXPIRED || state == LIFE_TRIAL_EXPIRED || state == LIFE_REFUNDED;
}

/* A state of a profile and its rank. */
typedef struct RankedState
{
	SubscriptionState state;
	int			rank;
} RankedState;

/* See lifecycle.h.  What is being retried or paused counts as running until access ends. */
SubscriptionState
lifecycle_subscription_state(LifecycleState state, bool is_over, int *rank)
{
	static const RankedState running[N_LIFECYCLE_STATES] = {
		[LIFE_NONE] = {SUBSCRIPTION_STATE_NEVER_SUBSCRIBED, 8},
		[LIFE_TRIAL] = {SUBSCRIPTION_STATE_ACTIVE_TRIAL, 3},
		[LIFE_TRIAL_CANCELLED] = {SUBSCRIPTION_STATE_TRIAL_CANCELLED, 4},
		[LIFE_TRIAL_GRACE] = {SUBSCRIPTION_STATE_GRACE_PERIOD, 2},
		[LIFE_TRIAL_RETRY] = {SUBSCRIPTION_STATE_ACTIVE_TRIAL, 3},
		[LIFE_TRIAL_EXPIRED] = {SUBSCRIPTION_STATE_TRIAL_CANCELLED, 7},
		[LIFE_ACTIVE] = {SUBSCRIPTION_STATE_SUBSCRIBED, 0},
		[LIFE_CANCELLED] = {SUBSCRIPTION_STATE_AUTO_RENEW_OFF, 1},
		[LIFE_GRACE] = {SUBSCRIPTION_STATE_GRACE_PERIOD, 2},
		[LIFE_RETRY] = {SUBSCRIPTION_STATE_SUBSCRIBED, 0},
		[LIFE_PAUSED] = {SUBSCRIPTION_STATE_SUBSCRIBED, 0},
		[LIFE_EXPIRED] = {SUBSCRIPTION_STATE_SUBSCRIPTION_CANCELLED, 6},
		[LIFE_REFUNDED] = {SUBSCRIPTION_STATE_SUBSCRIPTION_CANCELLED, 6},
	};
	const RankedState *found = &running[state];
	static const RankedState over_retry = {SUBSCRIPTION_STATE_BILLING_ISSUE, 5};
	static const RankedState over_pause = {SUBSCRIPTION_STATE_SUBSCRIPTION_CANCELLED, 6};

	if (is_over && (state == LIFE_RETRY || state == LIFE_TRIAL_RETRY))
		found = &over_retry;
	else if (is_over && state == LIFE_PAUSED)
		found = &over_pause;
	*rank = found->rank;
	return found->state;
}

/* ---- the table, for people ---- */

/*
 * adapty.subscription_transitions(): every cell that is not "stays, no event", in the order of the
 * states and inputs.
 */
Datum
adapty_subscription_transitions(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int state = 0; state < N_LIFECYCLE_STATES; state++)
		for (int input = 0; input < N_LIFECYCLE_INPUTS; input++)
		{
			LifecycleCell cell = lifecycle_cell(state, input);
			Datum		events[MAX_CELL_EVENTS];
			Datum		values[4];
			bool		nulls[4] = {false};

			if (cell.next == (LifecycleState) state && cell.n_events == 0)
				continue;
			for (int i = 0; i < cell.n_events; i++)
				events[i] = CStringGetTextDatum(enum_label(ENUM_EVENT_TYPE, cell.events[i]));
			values[0] = CStringGetTextDatum(lifecycle_state_name(state));
			values[1] = CStringGetTextDatum(lifecycle_input_name(input));
			values[2] = CStringGetTextDatum(lifecycle_state_name(cell.next));
			values[3] = PointerGetDatum(construct_array(events, cell.n_events, TEXTOID, -1, false,
														TYPALIGN_INT));
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		}
	return (Datum) 0;
}
