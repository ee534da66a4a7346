/*
 * subscription.c
 *		Chains of subscription transactions: the only writer of subscriptions.
 *
 * First half: what a report means, as pure functions over ChainTransaction.  Second half: reading
 * and keeping chains.  A chain's newest transaction is its state; access from it is one grant,
 * written by transaction.c through grant_put().
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/errors.h"
#include "base/plans.h"
#include "domain/purchase_event.h"
#include "domain/subscription.h"

/* ---- decisions: no table is read from here to the next such line ---- */

/* Has payment failed while the store lets the user keep access? */
static bool
has_grace(const ChainTransaction *t)
{
	return HAS_TIME(t->billing_issue_detected_at) && HAS_TIME(t->grace_period_expires_at);
}

/* The end of access if it is not refunded. */
static TimestampTz
paid_end(const ChainTransaction *t)
{
	return has_grace(t) ? Max(t->expires_at, t->grace_period_expires_at) : t->expires_at;
}

/* See subscription.h. */
TimestampTz
chain_access_end(const ChainTransaction *t)
{
	TimestampTz end = paid_end(t);

	return HAS_TIME(t->refunded_at) ? Min(end, t->refunded_at) : end;
}

/* Adds an event. */
static void
decide_event(ChainDecision *decision, EventType type, TimestampTz at)
{
	Assert(decision->n_events < MAX_CHAIN_EVENTS);
	decision->events[decision->n_events].type = type;
	decision->events[decision->n_events].event_datetime = at;
	decision->n_events++;
}

/*
 * What a transaction that was not known is called.  The trial that becomes paid is a conversion,
 * however long after; everything else that comes again in a chain is a renewal, also after an
 * expiry; what is reported late has no newer one that it could convert.
 */
static EventType
purchase_event(const ChainReport *report)
{
	bool		is_trial = report->reported->is_trial;

	if (report->newest == NULL)
		return is_trial ? EVENT_TRIAL_STARTED : EVENT_SUBSCRIPTION_STARTED;
	if (is_trial && !report->newest->is_trial)
		return EVENT_TRIAL_STARTED;
	if (report->is_newest && !is_trial && report->newest->is_trial)
		return EVENT_TRIAL_CONVERTED;
	return EVENT_SUBSCRIPTION_RENEWED;
}

/*
 * Renewal switched off or on.  A transaction that is new and does not renew counts as cancelled if
 * its chain renewed until now, or if the report says when it was switched off after the purchase: a
 * product that never renews is not a cancelled one.  A new transaction that renews is a renewal and
 * no reactivation.
 */
static void
decide_renewal(const ChainReport *report, ChainDecision *decision)
{
	const ChainTransaction *t = report->reported;
	bool		renewed;
	TimestampTz at;

	if (report->same != NULL)
		renewed = report->same->renew_status;
	else
		renewed = (report->newest != NULL && report->newest->renew_status) ||
			(HAS_TIME(t->renew_status_changed_at) && t->renew_status_changed_at >= t->purchased_at);

	/* a time that was known before is that of an earlier switch */
	at = report->now;
	if (HAS_TIME(t->renew_status_changed_at) &&
		!(report->same != NULL && report->same->renew_status_changed_at == t->renew_status_changed_at))
		at = t->renew_status_changed_at;

	if (renewed && !t->renew_status)
	{
		decide_event(decision, t->is_trial ? EVENT_TRIAL_RENEWAL_CANCELLED :
					 EVENT_SUBSCRIPTION_RENEWAL_CANCELLED, at);
		decision->renewal_cancelled_at = at;
	}
	else if (report->same != NULL && !renewed && t->renew_status)
		decide_event(decision, t->is_trial ? EVENT_TRIAL_RENEWAL_REACTIVATED :
					 EVENT_SUBSCRIPTION_RENEWAL_REACTIVATED, at);
}

/* Is a time there that was not there before?  A new transaction may carry its predecessor's. */
static bool
appeared(const ChainReport *report, TimestampTz time, TimestampTz same, TimestampTz newest)
{
	if (!HAS_TIME(time))
		return false;
	if (report->same != NULL)
		return !HAS_TIME(same);
	return report->newest == NULL || newest != time;
}

/* Payment failed, and whether access goes on meanwhile. */
static void
decide_billing(const ChainReport *report, ChainDecision *decision)
{
	const ChainTransaction *t = report->reported;
	const ChainTransaction none = {.billing_issue_detected_at = NO_TIME, .grace_period_expires_at = NO_TIME};
	const ChainTransaction *same = report->same != NULL ? report->same : &none;
	const ChainTransaction *newest = report->newest != NULL ? report->newest : &none;

	if (appeared(report, t->billing_issue_detected_at,
				 same->billing_issue_detected_at, newest->billing_issue_detected_at))
		decide_event(decision, EVENT_BILLING_ISSUE_DETECTED, t->billing_issue_detected_at);
	if (has_grace(t) &&
		appeared(report, t->grace_period_expires_at,
				 has_grace(same) ? same->grace_period_expires_at : NO_TIME,
				 has_grace(newest) ? newest->grace_period_expires_at : NO_TIME))
		decide_event(decision, EVENT_ENTERED_GRACE_PERIOD, t->billing_issue_detected_at);
}

/*
 * See subscription.h.  A report of an older transaction changes history only: its purchase and its
 * refund are events, but it says nothing of what the chain is now.
 */
void
chain_decide(const ChainReport *report, ChainDecision *decision)
{
	const ChainTransaction *t = report->reported;

	decision->n_events = 0;
	decision->renewal_cancelled_at = NO_TIME;
	decision->is_expired = false;
	if (report->same == NULL)
		decide_event(decision, purchase_event(report), t->purchased_at);
	if (report->is_newest)
	{
		decide_renewal(report, decision);
		decide_billing(report, decision);
	}
	if (HAS_TIME(t->refunded_at) && !(report->same != NULL && HAS_TIME(report->same->refunded_at)))
		decide_event(decision, EVENT_SUBSCRIPTION_REFUNDED, t->refunded_at);
	if (report->is_newest && !HAS_TIME(t->refunded_at) && chain_access_end(t) <= report->now)
		decision->is_expired = report->same == NULL || report->newest == NULL ||
			chain_access_end(report->newest) > report->now;
}

/* See subscription.h. */
EventType
chain_expired_event(const ChainTransaction *t)
{
	return t->is_trial ? EVENT_TRIAL_EXPIRED : EVENT_SUBSCRIPTION_EXPIRED;
}

/* Why a chain ended by the clock, when the store has not said. */
static const char *
expiry_reason(const ChainTransaction *t)
{
	if (HAS_TIME(t->billing_issue_detected_at))
		return "billing_error";
	return t->renew_status ? "unknown" : "voluntarily_cancelled";
}

/* See subscription.h. */
SubscriptionState
chain_state(const ChainTransaction *t, bool has_given_up, TimestampTz now, int *rank)
{
	bool		is_over = chain_access_end(t) <= now;
	SubscriptionState state;

	if (!is_over && has_grace(t) && t->billing_issue_detected_at <= now)
	{
		state = SUBSCRIPTION_STATE_GRACE_PERIOD;
		*rank = 2;
	}
	else if (!is_over && t->is_trial)
	{
		state = t->renew_status ? SUBSCRIPTION_STATE_ACTIVE_TRIAL : SUBSCRIPTION_STATE_TRIAL_CANCELLED;
		*rank = t->renew_status ? 3 : 4;
	}
	else if (!is_over)
	{
		state = t->renew_status ? SUBSCRIPTION_STATE_SUBSCRIBED : SUBSCRIPTION_STATE_AUTO_RENEW_OFF;
		*rank = t->renew_status ? 0 : 1;
	}
	else if (HAS_TIME(t->billing_issue_detected_at) && t->renew_status && !has_given_up &&
			 !HAS_TIME(t->refunded_at))
	{
		state = SUBSCRIPTION_STATE_BILLING_ISSUE;
		*rank = 5;
	}
	else
	{
		state = t->is_trial ? SUBSCRIPTION_STATE_TRIAL_CANCELLED :
			SUBSCRIPTION_STATE_SUBSCRIPTION_CANCELLED;
		*rank = t->is_trial ? 7 : 6;
	}
	return state;
}

/* ---- chains in tables ---- */

#define CHAIN_KEY(alias) \
	alias ".profile_id OPERATOR(pg_catalog.=) $1 AND " alias ".store OPERATOR(pg_catalog.=) $2 " \
	"AND " alias ".store_original_transaction_id OPERATOR(pg_catalog.=) $3"

#define CHAIN_TRANSACTIONS \
	"FROM adapty.transactions t LEFT JOIN adapty.products p " \
	"    ON p.product_id OPERATOR(pg_catalog.=) t.product_id " \
	"WHERE " CHAIN_KEY("t") " AND t.purchase_type OPERATOR(pg_catalog.=) 'subscription'::adapty.purchase_type "

#define NEWEST_FIRST \
	"ORDER BY t.purchased_at DESC, t.expires_at DESC, t.recorded_at DESC, t.store_transaction_id DESC LIMIT 1"

/* Columns of a ChainTransaction, in the order of read_chain_transaction(). */
#define CHAIN_COLUMNS(alias) \
	alias ".purchased_at, " alias ".expires_at, " alias ".refunded_at, " \
	alias ".billing_issue_detected_at, " alias ".grace_period_expires_at, " alias ".renew_status, " \
	"COALESCE(" alias ".offer_type OPERATOR(pg_catalog.=) 'free_trial'::adapty.offer_type, false), "

static SavedPlan chain_plan = {
	.name = "newest transaction of a chain",
	.sql = "SELECT " CHAIN_COLUMNS("t") "t.renew_status_changed_at, t.store_transaction_id, "
	"    p.access_level_id::text, t.cancellation_reason::text, t.is_family_shared, "
	"    (SELECT LEAST(pg_catalog.min(t.purchased_at), pg_catalog.min(t.originally_purchased_at)) "
	CHAIN_TRANSACTIONS ") " CHAIN_TRANSACTIONS NEWEST_FIRST,
	.expected = SPI_OK_SELECT,
	.nargs = 3,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID},
};

#define KEPT_COLUMNS(alias) \
	alias "purchased_at, " alias "originally_purchased_at, " alias "expires_at, " \
	alias "grace_period_expires_at, " alias "billing_issue_detected_at, " alias "refunded_at, " \
	alias "environment, " alias "offer_category, " alias "offer_type, " alias "cancellation_reason, " \
	alias "product_id, " alias "renew_status, " alias "is_family_shared, " alias "store_transaction_id, " \
	alias "store_product_id, " alias "store_base_plan_id, " alias "offer_id"

static SavedPlan store_plan = {
	.name = "state of a chain",
	.sql = "INSERT INTO adapty.subscriptions AS s "
	"    (profile_id, store, store_original_transaction_id, renewal_cancelled_at, " KEPT_COLUMNS("") ") "
	"SELECT t.profile_id, t.store, t.store_original_transaction_id, "
	"    CASE WHEN NOT t.renew_status THEN COALESCE($4, t.renew_status_changed_at) END, "
	KEPT_COLUMNS("t.") " " CHAIN_TRANSACTIONS NEWEST_FIRST " "
	"ON CONFLICT (store, store_original_transaction_id) DO UPDATE SET updated_at = pg_catalog.now(), "
	"    renewal_cancelled_at = CASE WHEN NOT excluded.renew_status "
	"        THEN COALESCE(excluded.renewal_cancelled_at, s.renewal_cancelled_at) END, "
	"    (" KEPT_COLUMNS("") ") = ROW(" KEPT_COLUMNS("excluded.") ") "
	"WHERE s.profile_id OPERATOR(pg_catalog.=) excluded.profile_id AND ("
	"    (excluded.renew_status AND s.renewal_cancelled_at IS NOT NULL) "
	"    OR (excluded.renewal_cancelled_at IS NOT NULL "
	"        AND excluded.renewal_cancelled_at IS DISTINCT FROM s.renewal_cancelled_at) "
	"    OR ROW(" KEPT_COLUMNS("s.") ") IS DISTINCT FROM ROW(" KEPT_COLUMNS("excluded.") "))",
	.expected = SPI_OK_INSERT,
	.nargs = 4,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID, TIMESTAMPTZOID},
};

static SavedPlan owner_plan = {
	.name = "owner of a chain",
	.sql = "SELECT s.profile_id FROM adapty.subscriptions s WHERE s.store OPERATOR(pg_catalog.=) $1 "
	"AND s.store_original_transaction_id OPERATOR(pg_catalog.=) $2",
	.expected = SPI_OK_SELECT,
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

static SavedPlan claim_plan = {
	.name = "claim of a chain",
	.sql = "UPDATE adapty.subscriptions s SET profile_id = $1, updated_at = pg_catalog.now() "
	"WHERE s.profile_id OPERATOR(pg_catalog.=) '00000000-0000-0000-0000-000000000000'::pg_catalog.uuid "
	"AND s.store OPERATOR(pg_catalog.=) $2 AND s.store_original_transaction_id OPERATOR(pg_catalog.=) $3",
	.expected = SPI_OK_UPDATE,
	.nargs = 3,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID},
};

static SavedPlan chains_plan = {
	.name = "chains of a profile",
	.sql = "SELECT " CHAIN_COLUMNS("s")
	"    COALESCE(s.cancellation_reason OPERATOR(pg_catalog.=) 'billing_error'::adapty.cancellation_reason, false) "
	"FROM adapty.subscriptions s WHERE s.profile_id OPERATOR(pg_catalog.=) $1",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

/*
 * Revenue counts what was paid: not what was refunded, not a trial's price that is charged later,
 * not the store's test environment, not what somebody else of the family paid for.
 */
static SavedPlan refresh_plan = {
	.name = "state and revenue of a profile",
	.sql = "UPDATE adapty.profiles p SET subscription_state = $2::adapty.subscription_state, "
	"    total_revenue_usd = r.revenue, updated_at = pg_catalog.now() "
	"FROM (SELECT COALESCE(pg_catalog.sum(t.price_usd), 0) AS revenue FROM adapty.transactions t "
	"    WHERE t.profile_id OPERATOR(pg_catalog.=) $1 AND t.refunded_at IS NULL "
	"    AND t.offer_type IS DISTINCT FROM 'free_trial'::adapty.offer_type "
	"    AND t.environment OPERATOR(pg_catalog.=) 'Production'::adapty.environment "
	"    AND NOT t.is_family_shared) r "
	"WHERE p.profile_id OPERATOR(pg_catalog.=) $1 "
	"AND ROW(p.subscription_state, p.total_revenue_usd) "
	"    IS DISTINCT FROM ROW($2::adapty.subscription_state, r.revenue)",
	.expected = SPI_OK_UPDATE,
	.nargs = 2,
	.argtypes = {UUIDOID, TEXTOID},
};

/* A timestamp column of a result row; NO_TIME for null. */
static TimestampTz
row_time(uint64 row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? NO_TIME : DatumGetTimestampTz(value);
}

/* A boolean column of a result row that is never null. */
static bool
row_bool(uint64 row, int column)
{
	bool		isnull;

	return DatumGetBool(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull));
}

/* A text column of a result row; NULL for null. */
static char *
row_text(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

/* The CHAIN_COLUMNS of a result row. */
static void
read_chain_transaction(uint64 row, ChainTransaction *t)
{
	t->purchased_at = row_time(row, 1);
	t->expires_at = row_time(row, 2);
	t->refunded_at = row_time(row, 3);
	t->billing_issue_detected_at = row_time(row, 4);
	t->grace_period_expires_at = row_time(row, 5);
	t->renew_status = row_bool(row, 6);
	t->is_trial = row_bool(row, 7);
	t->renew_status_changed_at = NO_TIME;
}

/* See subscription.h. */
bool
chain_load(const pg_uuid_t *profile_id, const char *store, const char *store_original_transaction_id,
		   Chain *chain)
{
	Datum		values[3] = {UUIDPGetDatum(profile_id), CStringGetTextDatum(store),
	CStringGetTextDatum(store_original_transaction_id)};

	if (plan_execute(&chain_plan, values, NULL, false) == 0)
		return false;
	read_chain_transaction(0, &chain->newest);
	chain->newest.renew_status_changed_at = row_time(0, 8);
	chain->store_transaction_id = row_text(0, 9);
	chain->access_level_id = row_text(0, 10);
	chain->cancellation_reason = row_text(0, 11);
	chain->is_family_shared = row_bool(0, 12);
	chain->starts_at = row_time(0, 13);
	return true;
}

/* See subscription.h. */
bool
subscription_check_owner(const pg_uuid_t *profile_id, const char *store,
						 const char *store_original_transaction_id)
{
	static const pg_uuid_t nobody = {{0}};
	Datum		values[2] = {CStringGetTextDatum(store), CStringGetTextDatum(store_original_transaction_id)};
	pg_uuid_t  *owner;
	bool		isnull;

	if (plan_execute(&owner_plan, values, NULL, false) == 0)
		return false;
	owner = DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	if (memcmp(owner, profile_id, UUID_LEN) == 0)
		return false;
	if (memcmp(owner, &nobody, UUID_LEN) == 0)
		return true;
	ereport(ERROR,
			(condition_errcode(COND_TRANSACTION_OF_ANOTHER_PROFILE),
			 errmsg("subscription \"%s\" of store \"%s\" belongs to another profile",
					store_original_transaction_id, store),
			 errdetail("Transactions of one original transaction belong to the profile that was reported first."),
			 err_generic_string(PG_DIAG_COLUMN_NAME, "store_original_transaction_id")));
}

/* See subscription.h. */
void
subscription_claim(const pg_uuid_t *profile_id, const char *store,
				   const char *store_original_transaction_id)
{
	Datum		values[3] = {UUIDPGetDatum(profile_id), CStringGetTextDatum(store),
	CStringGetTextDatum(store_original_transaction_id)};

	(void) plan_execute(&claim_plan, values, NULL, false);
}

/* See subscription.h. */
void
subscription_store(const pg_uuid_t *profile_id, const char *store,
				   const char *store_original_transaction_id, TimestampTz renewal_cancelled_at)
{
	Datum		values[4] = {UUIDPGetDatum(profile_id), CStringGetTextDatum(store),
	CStringGetTextDatum(store_original_transaction_id), TimestampTzGetDatum(renewal_cancelled_at)};

	/* no row: nothing changed, or somebody else's report of the same chain came in between */
	if (plan_execute(&store_plan, values, HAS_TIME(renewal_cancelled_at) ? NULL : "   n", false) == 0)
		(void) subscription_check_owner(profile_id, store, store_original_transaction_id);
}

/* See subscription.h. */
SubscriptionState
subscription_state_of_profile(const pg_uuid_t *profile_id, TimestampTz now)
{
	Datum		values[1] = {UUIDPGetDatum(profile_id)};
	uint64		n = plan_execute(&chains_plan, values, NULL, false);
	SubscriptionState best = SUBSCRIPTION_STATE_NEVER_SUBSCRIBED;
	int			best_rank = INT_MAX;

	for (uint64 i = 0; i < n; i++)
	{
		ChainTransaction t;
		SubscriptionState state;
		int			rank;

		read_chain_transaction(i, &t);
		state = chain_state(&t, row_bool(i, 8), now, &rank);
		if (rank < best_rank)
		{
			best = state;
			best_rank = rank;
		}
	}
	return best;
}

/* See subscription.h. */
void
subscription_refresh_profile(const LockedProfile *profile)
{
	SubscriptionState state = subscription_state_of_profile(&profile->profile_id, profile->profile_now);
	Datum		values[2] = {UUIDPGetDatum(&profile->profile_id),
	CStringGetTextDatum(enum_label(ENUM_SUBSCRIPTION_STATE, state))};

	(void) plan_execute(&refresh_plan, values, NULL, false);
}

/* See subscription.h.  An upgrade's old level lapses while its chain goes on: no event then. */
void
subscription_lapsed(const LockedProfile *profile, const AccessGrant *grant, TimestampTz at)
{
	char	   *store;
	char	   *original_id;
	Chain		chain;

	if (purchase_source_id_split(grant->source_id, &store, &original_id) &&
		chain_load(&profile->profile_id, store, original_id, &chain) &&
		!HAS_TIME(chain.newest.refunded_at) && !chain.is_family_shared &&
		chain_access_end(&chain.newest) <= at)
		subscription_write_expired(profile, store, &chain, at, NULL);
	subscription_refresh_profile(profile);
}

/* See subscription.h. */
void
subscription_write_expired(const LockedProfile *profile, const char *store, const Chain *chain,
						   TimestampTz at, const char *actor)
{
	PurchaseEventSource source = {
		.profile_id = &profile->profile_id,
		.store = store,
		.store_transaction_id = chain->store_transaction_id,
		.cancellation_reason = chain->cancellation_reason != NULL ?
		chain->cancellation_reason : expiry_reason(&chain->newest),
		.actor = actor,
	};
	ChainEvent	event = {chain_expired_event(&chain->newest), at};

	purchase_events_write(&source, &event, 1);
}
