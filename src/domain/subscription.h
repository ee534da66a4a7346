/*
 * subscription.h
 *		Chains of subscription transactions: what a report changes, and the state of a profile.
 *
 * A chain is all transactions of one store with one original transaction id.  Its state is that of
 * its newest transaction.  The decisions are pure functions of what is known and what is reported;
 * they read no table.
 */
#ifndef ADAPTY_SUBSCRIPTION_H
#define ADAPTY_SUBSCRIPTION_H

#include "postgres.h"

#include "base/ext_state.h"
#include "datatype/timestamp.h"
#include "domain/grant.h"
#include "utils/uuid.h"

/* No time, in the fields below. */
#define NO_TIME DT_NOBEGIN
#define HAS_TIME(t) (!TIMESTAMP_IS_NOBEGIN(t))

/* What decisions need to know of one transaction of a chain. */
typedef struct ChainTransaction
{
	TimestampTz purchased_at;
	TimestampTz expires_at;
	TimestampTz refunded_at;	/* the four may be NO_TIME */
	TimestampTz renew_status_changed_at;
	TimestampTz billing_issue_detected_at;
	TimestampTz grace_period_expires_at;
	bool		renew_status;
	bool		is_trial;
} ChainTransaction;

/* A report and what was known before it. */
typedef struct ChainReport
{
	const ChainTransaction *reported;
	const ChainTransaction *same;	/* the same transaction as known before; NULL if it is new */
	const ChainTransaction *newest; /* the chain's newest before; NULL if the chain is new */
	bool		is_newest;		/* the reported one is the newest now */
	TimestampTz now;			/* by the profile's clock */
} ChainReport;

typedef struct ChainEvent
{
	EventType	type;
	TimestampTz event_datetime;
} ChainEvent;

#define MAX_CHAIN_EVENTS 5

/* What a report makes happen. */
typedef struct ChainDecision
{
	int			n_events;
	ChainEvent	events[MAX_CHAIN_EVENTS];	/* in the order in which they are written */
	TimestampTz renewal_cancelled_at;	/* when renewal was cancelled by this report, or NO_TIME */
	bool		is_expired;		/* the chain is over by this report, not by the clock: see below */
} ChainDecision;

/* When the access that a transaction gives ends: at expiry, the end of grace, or the refund. */
extern TimestampTz chain_access_end(const ChainTransaction *t);

/*
 * The events of a report.  A report of what is over already, or that moves the end into the past,
 * is_expired: its event is written by subscription_write_expired() at the chain's end.
 */
extern void chain_decide(const ChainReport *report, ChainDecision *decision);

/* The event of a chain's end by the clock. */
extern EventType chain_expired_event(const ChainTransaction *t);

/*
 * State of one chain at a moment.  rank orders states by how much they say about a profile, 0 most:
 * a profile has the state of its chain of the lowest rank.  has_given_up: the store has stopped
 * trying to charge.
 */
extern SubscriptionState chain_state(const ChainTransaction *t, bool has_given_up, TimestampTz now,
									 int *rank);

/* A chain as its transactions have it; strings in the current memory context. */
typedef struct Chain
{
	ChainTransaction newest;
	char	   *store_transaction_id;	/* the newest's */
	char	   *access_level_id;	/* what the newest's product gives; NULL for none */
	char	   *cancellation_reason;	/* the newest's; NULL for none */
	TimestampTz starts_at;		/* of the first purchase, as far as is known */
	bool		is_family_shared;
} Chain;

/*
 * Reads a chain of a profile from its transactions, the newest by purchase, then by expiry, then by
 * when it was first reported; false if it has none.  As all that follow: inside an open scope.
 */
extern bool chain_load(const pg_uuid_t *profile_id, const char *store,
					   const char *store_original_transaction_id, Chain *chain);

/*
 * Keeps the chain's row in subscriptions as its newest transaction has it.  ERROR (23505) if the
 * chain is another profile's.
 */
extern void subscription_store(const pg_uuid_t *profile_id, const char *store,
							   const char *store_original_transaction_id,
							   TimestampTz renewal_cancelled_at);

/* ERROR (23505) if a chain is another profile's; true if it is nobody's and can be claimed. */
extern bool subscription_check_owner(const pg_uuid_t *profile_id, const char *store,
									 const char *store_original_transaction_id);

/* Makes nobody's chain that of a profile. */
extern void subscription_claim(const pg_uuid_t *profile_id, const char *store,
							   const char *store_original_transaction_id);

/*
 * Writes the event of a chain's end by the clock, with the store's reason, else billing_error after
 * a billing issue, voluntarily_cancelled if it does not renew, or unknown.
 */
extern void subscription_write_expired(const LockedProfile *profile, const char *store,
									   const Chain *chain, TimestampTz at, const char *actor);

/* State of a profile over all its chains. */
extern SubscriptionState subscription_state_of_profile(const pg_uuid_t *profile_id, TimestampTz now);

/*
 * Stores subscription_state and total_revenue_usd of a profile if they differ from what its
 * subscriptions and transactions say.
 */
extern void subscription_refresh_profile(const LockedProfile *profile);

/*
 * The interval of a grant from a subscription ended by the clock: writes subscription_expired or
 * trial_expired at that time, unless the chain was refunded or goes on, and refreshes the profile.
 */
extern void subscription_lapsed(const LockedProfile *profile, const AccessGrant *grant, TimestampTz at);

#endif							/* ADAPTY_SUBSCRIPTION_H */
