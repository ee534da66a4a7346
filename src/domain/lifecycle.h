/*
 * lifecycle.h
 *		The life of a subscription: one state machine, as a table.
 *
 * Pure: reads no table and no clock.  A state follows from a chain's newest transaction and a moment
 * (lifecycle_state()); what happens between two states is a sequence of inputs, and the table says
 * which events each of them makes.  docs/subscription-states.md is printed from the table.
 */
#ifndef ADAPTY_LIFECYCLE_H
#define ADAPTY_LIFECYCLE_H

#include "postgres.h"

#include "base/ext_state.h"
#include "datatype/timestamp.h"

/* No time, in the fields below. */
#define NO_TIME DT_NOBEGIN
#define HAS_TIME(t) (!TIMESTAMP_IS_NOBEGIN(t))

/* What decisions need to know of one transaction of a chain. */
typedef struct ChainTransaction
{
	TimestampTz purchased_at;
	TimestampTz expires_at;
	TimestampTz refunded_at;	/* these may be NO_TIME */
	TimestampTz renew_status_changed_at;
	TimestampTz billing_issue_detected_at;
	TimestampTz grace_period_expires_at;
	TimestampTz paused_at;
	TimestampTz resumes_at;
	bool		renew_status;
	bool		is_trial;
	bool		has_given_up;	/* the store says that it no longer tries to charge */
	bool		is_upgraded;	/* the store says that another subscription took its place */
} ChainTransaction;

typedef enum LifecycleState
{
	LIFE_NONE,					/* nothing is known of the chain */
	LIFE_TRIAL,
	LIFE_TRIAL_CANCELLED,		/* a trial that runs and will not become paid */
	LIFE_TRIAL_GRACE,			/* the first payment failed, access goes on */
	LIFE_TRIAL_RETRY,			/* the first payment failed, the store tries again */
	LIFE_TRIAL_EXPIRED,
	LIFE_ACTIVE,
	LIFE_CANCELLED,				/* paid, runs to its end and will not renew */
	LIFE_GRACE,
	LIFE_RETRY,
	LIFE_PAUSED,				/* runs to the pause and then rests */
	LIFE_EXPIRED,
	LIFE_REFUNDED,
	N_LIFECYCLE_STATES
} LifecycleState;

typedef enum LifecycleInput
{
	INPUT_TRIAL_START,			/* a new transaction, a free trial */
	INPUT_PAID,					/* a new transaction, paid */
	INPUT_CHANGE_NOW,			/* paid, of another product, before the old one's end */
	INPUT_CHANGE_AT_RENEWAL,	/* paid, of another product, at or after the old one's end */
	INPUT_NOT_RENEWING,			/* that transaction never renewed */
	INPUT_RENEW_OFF,
	INPUT_RENEW_ON,
	INPUT_BILLING_ISSUE,		/* payment failed, no grace period */
	INPUT_GRACE,				/* payment failed, with a grace period */
	INPUT_RECOVERED,			/* the issue is gone, in the same transaction */
	INPUT_PAUSE,
	INPUT_UNPAUSE,				/* the pause was called off */
	INPUT_DEFER,				/* the end of the same transaction was moved later */
	INPUT_REFUND,
	INPUT_UPGRADED,				/* the end, because another subscription took its place */
	INPUT_END,					/* access of the newest transaction ends, by the clock */
	INPUT_GIVE_UP,				/* the store stops trying to charge */
	INPUT_LATE_TRIAL,			/* a trial before the newest transaction */
	INPUT_LATE_PAID,			/* a payment before the newest transaction */
	INPUT_LATE_REFUND,			/* of a transaction before the newest */
	N_LIFECYCLE_INPUTS
} LifecycleInput;

#define MAX_CELL_EVENTS 2

/* One cell of the machine. */
typedef struct LifecycleCell
{
	LifecycleState next;
	int			n_events;
	EventType	events[MAX_CELL_EVENTS];
	bool		first_is_of_old;	/* the first event is about the transaction that was newest before */
} LifecycleCell;

/* The cell of a state and an input; the same state without events where an input says nothing. */
extern LifecycleCell lifecycle_cell(LifecycleState state, LifecycleInput input);

/* How states and inputs are called in SQL and in the documentation. */
extern const char *lifecycle_state_name(LifecycleState state);
extern const char *lifecycle_input_name(LifecycleInput input);

/* When the access that a transaction gives ends: at expiry, the end of grace, the pause, or the refund. */
extern TimestampTz chain_access_end(const ChainTransaction *t);

/* The same if it had not been refunded or paused. */
extern TimestampTz chain_paid_end(const ChainTransaction *t);

/* When the store stops trying to charge, if it says nothing: retry_period microseconds after the end. */
extern TimestampTz chain_retry_end(const ChainTransaction *t, int64 retry_period);

/* Has payment failed while the store lets the user keep access? */
extern bool chain_has_grace(const ChainTransaction *t);

/* The state of a chain at a moment of its profile's clock, from its newest transaction. */
extern LifecycleState lifecycle_state(const ChainTransaction *t, int64 retry_period, TimestampTz now);

/*
 * The eight states of a profile that a chain's state stands for.  rank orders them by how much they
 * say, 0 most: a profile has the state of its chain of the lowest rank.
 */
extern SubscriptionState lifecycle_subscription_state(LifecycleState state, bool is_over, int *rank);

/* Is this a state that a chain is in after its end, so that access from it is over? */
extern bool lifecycle_is_final(LifecycleState state);

#endif							/* ADAPTY_LIFECYCLE_H */
