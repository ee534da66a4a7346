/*
 * subscription.h
 *		Chains of subscription transactions: the only writer of subscriptions.
 *
 * A chain is all transactions of one store with one original transaction id.  Its state is that of
 * its newest transaction (lifecycle.h); a row of subscriptions keeps that transaction's facts.
 */
#ifndef ADAPTY_SUBSCRIPTION_H
#define ADAPTY_SUBSCRIPTION_H

#include "postgres.h"

#include "base/ext_state.h"
#include "base/row_set.h"
#include "datatype/timestamp.h"
#include "domain/grant.h"
#include "domain/lifecycle.h"
#include "domain/transaction_report.h"
#include "utils/uuid.h"

typedef struct ChainEvent
{
	EventType	type;
	TimestampTz event_datetime;
} ChainEvent;

/* A row of subscriptions in memory; strings in the current memory context. */
typedef struct Chain
{
	bool		exists;
	pg_uuid_t	profile_id;		/* nil: nobody's */
	char	   *store;
	char	   *store_original_transaction_id;
	TransactionReport newest;	/* what the row has of it: no price, no variation */
	pg_uuid_t	product_id;
	bool		is_mapped;		/* product_id is set */
	TimestampTz originally_purchased_at;
	TimestampTz starts_at;		/* of the first purchase, as far as is known */
	TimestampTz renewal_cancelled_at;
	TimestampTz expiry_announced_at;
} Chain;

/* Until when a purchase gave another level than it gives now. */
typedef struct FormerLevel
{
	const char *access_level_id;
	TimestampTz expires_at;
} FormerLevel;

/* The columns of subscriptions that chain_read_row() takes, of alias s. */
#define N_CHAIN_COLUMNS 25
#define CHAIN_COLUMNS \
	"s.profile_id, s.store_transaction_id, s.store_product_id, s.store_base_plan_id, " \
	"s.environment::text, s.offer_category::text, s.offer_type::text, s.offer_id, " \
	"s.cancellation_reason::text, s.product_id, s.is_family_shared, s.renew_status, " \
	"s.purchased_at, s.expires_at, s.refunded_at, s.renew_status_changed_at, " \
	"s.billing_issue_detected_at, s.grace_period_expires_at, s.paused_at, s.resumes_at, " \
	"s.originally_purchased_at, s.starts_at, s.renewal_cancelled_at, s.expiry_announced_at, " \
	"s.store_original_transaction_id"

/* Reads these columns of a result row of SPI, the first being column number "first". */
extern void chain_read_row(uint64 row, int first, const char *store, Chain *chain);

/* A column of a result row of SPI: NO_TIME, false or NULL for null. */
extern TimestampTz row_time(uint64 row, int column);
extern bool row_bool(uint64 row, int column);
extern char *row_text(uint64 row, int column);

/* Reads a profile's chain; false if it has none of that id.  As all that follow: inside an open scope. */
extern bool chain_load(const pg_uuid_t *profile_id, const char *store,
					   const char *store_original_transaction_id, Chain *chain);

/* Makes a transaction the chain's newest, in memory. */
extern void chain_take(Chain *chain, const TransactionReport *t, const pg_uuid_t *product_id);

/* Is a transaction newer than another of its chain: by purchase, then end, then id. */
extern bool chain_is_newer(const TransactionReport *a, const TransactionReport *b);

/* Reads the chain's newest transaction from transactions into memory, where it may have changed. */
extern void chain_reread(Chain *chain);

/* Stores the row; false if it was to be new and another transaction has made it meanwhile. */
extern bool chain_store(Chain *chain);

/* Makes nobody's chain that of a profile: subscriptions and timers. */
extern void chain_claim(const pg_uuid_t *profile_id, const char *store,
						const char *store_original_transaction_id);

/* Until when the chain's transactions gave other levels than this one (NULL: all); how many. */
extern int	chain_former_levels(const Chain *chain, const char *access_level_id,
								FormerLevel **former);

/* Forgets nobody's chain; a timer that finds none does nothing. */
extern void chain_forget_nobodys(const char *store, const char *store_original_transaction_id);

/* The state of a chain's newest transaction at a moment. */
extern LifecycleState chain_state(const Chain *chain, TimestampTz now);

/*
 * Writes the event of the chain's end, if it is over by the profile's clock and that has not been
 * told, and remembers that in memory and, with "store", in the row.  The reason is the store's, else
 * billing_error after a billing issue, voluntarily_cancelled if it does not renew, or unknown.
 */
extern void chain_announce_end(const LockedProfile *profile, Chain *chain, const char *actor, bool store);

/* State of a profile over all its chains. */
extern SubscriptionState subscription_state_of_profile(const pg_uuid_t *profile_id, TimestampTz now);

/* Stores subscription_state of a profile, and adds to its revenue, where that changes anything. */
extern void subscription_refresh_profile(const LockedProfile *profile);

/*
 * For loads of imports, which store chains and profiles that are new as sets.  chain_set_create()
 * makes the set chain_put() fills; import_states (profile_id, state, total_revenue_usd) has the
 * profiles whose transactions are all of the import.  Both sets must be registered when they are stored.
 */
extern RowSet *chain_set_create(void);
extern void chain_put(RowSet *set, const Chain *chain);
extern void subscriptions_import(void);

/*
 * The interval of a grant from a subscription ended by the clock: writes subscription_expired or
 * trial_expired at that time, unless the chain was refunded or goes on, and refreshes the profile.
 */
extern void subscription_lapsed(const LockedProfile *profile, const AccessGrant *grant, TimestampTz at);

#endif							/* ADAPTY_SUBSCRIPTION_H */
