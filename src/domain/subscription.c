/*
 * subscription.c
 *		Chains of subscription transactions: the only writer of subscriptions.
 *
 * A row is what is known of the chain's newest transaction, the earliest purchase, and whether the
 * chain's end has been told.  What a state means is in lifecycle.c; access from a chain is one grant,
 * written by transaction.c.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/plans.h"
#include "domain/environment.h"
#include "domain/money.h"
#include "domain/purchase_event.h"
#include "domain/subscription.h"

PG_FUNCTION_INFO_V1(adapty_subscription_lifecycle);

#define CHAIN_KEY(alias) \
	alias ".profile_id OPERATOR(pg_catalog.=) $1 AND " alias ".store OPERATOR(pg_catalog.=) $2 " \
	"AND " alias ".store_original_transaction_id OPERATOR(pg_catalog.=) $3"

static SavedPlan chain_plan = {
	.name = "chain",
	.sql = "SELECT " CHAIN_COLUMNS " FROM adapty.subscriptions s WHERE " CHAIN_KEY("s"),
	.expected = SPI_OK_SELECT,
	.nargs = 3,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID},
};

/* The chain's newest transaction in the columns of CHAIN_COLUMNS; the last ones are the chain's own. */
static SavedPlan newest_plan = {
	.name = "newest transaction of a chain",
	.sql = "SELECT t.profile_id, t.store_transaction_id, t.store_product_id, t.store_base_plan_id, "
	"    t.environment::text, t.offer_category::text, t.offer_type::text, t.offer_id, "
	"    t.cancellation_reason::text, t.product_id, t.is_family_shared, t.renew_status, "
	"    t.purchased_at, t.expires_at, t.refunded_at, t.renew_status_changed_at, "
	"    t.billing_issue_detected_at, t.grace_period_expires_at, t.paused_at, t.resumes_at, "
	"    t.originally_purchased_at, NULL::timestamptz, NULL::timestamptz, NULL::timestamptz, "
	"    t.store_original_transaction_id "
	"FROM adapty.transactions t WHERE " CHAIN_KEY("t") " "
	"AND t.purchase_type OPERATOR(pg_catalog.=) 'subscription'::adapty.purchase_type "
	"ORDER BY t.purchased_at DESC, t.expires_at DESC, t.store_transaction_id COLLATE \"C\" DESC LIMIT 1",
	.expected = SPI_OK_SELECT,
	.nargs = 3,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID},
};

#define N_STORE_ARGS 26
#define STORE_ARGTYPES {UUIDOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, \
		TEXTOID, TEXTOID, UUIDOID, BOOLOID, BOOLOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, \
		TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, \
		TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID}

#define STORED_COLUMNS \
	"profile_id, store, store_original_transaction_id, store_transaction_id, store_product_id, " \
	"store_base_plan_id, environment, offer_category, offer_type, offer_id, cancellation_reason, " \
	"product_id, is_family_shared, renew_status, purchased_at, expires_at, refunded_at, " \
	"renew_status_changed_at, billing_issue_detected_at, grace_period_expires_at, paused_at, " \
	"resumes_at, originally_purchased_at, starts_at, renewal_cancelled_at, expiry_announced_at"

static SavedPlan insert_plan = {
	.name = "new chain",
	.sql = "INSERT INTO adapty.subscriptions (" STORED_COLUMNS ") "
	"VALUES ($1, $2, $3, $4, $5, $6, $7::adapty.environment, $8::adapty.offer_category, "
	"    $9::adapty.offer_type, $10, $11::adapty.cancellation_reason, $12, $13, $14, $15, $16, $17, $18, "
	"    $19, $20, $21, $22, $23, $24, $25, $26) ON CONFLICT DO NOTHING",
	.expected = SPI_OK_INSERT,
	.nargs = N_STORE_ARGS,
	.argtypes = STORE_ARGTYPES,
};

/* The stored columns as a set of rows. */
static const RowSetColumn set_columns[N_STORE_ARGS] = {
	{"profile_id", UUIDOID}, {"store", TEXTOID}, {"store_original_transaction_id", TEXTOID},
	{"store_transaction_id", TEXTOID}, {"store_product_id", TEXTOID}, {"store_base_plan_id", TEXTOID},
	{"environment", TEXTOID}, {"offer_category", TEXTOID}, {"offer_type", TEXTOID}, {"offer_id", TEXTOID},
	{"cancellation_reason", TEXTOID}, {"product_id", UUIDOID}, {"is_family_shared", BOOLOID},
	{"renew_status", BOOLOID}, {"purchased_at", TIMESTAMPTZOID}, {"expires_at", TIMESTAMPTZOID},
	{"refunded_at", TIMESTAMPTZOID}, {"renew_status_changed_at", TIMESTAMPTZOID},
	{"billing_issue_detected_at", TIMESTAMPTZOID}, {"grace_period_expires_at", TIMESTAMPTZOID},
	{"paused_at", TIMESTAMPTZOID}, {"resumes_at", TIMESTAMPTZOID},
	{"originally_purchased_at", TIMESTAMPTZOID}, {"starts_at", TIMESTAMPTZOID},
	{"renewal_cancelled_at", TIMESTAMPTZOID}, {"expiry_announced_at", TIMESTAMPTZOID},
};

static SavedPlan import_chains_plan = {
	.name = "imported chains",
	.sql = "INSERT INTO adapty.subscriptions (" STORED_COLUMNS ") "
	"SELECT c.profile_id, c.store, c.store_original_transaction_id, c.store_transaction_id, "
	"    c.store_product_id, c.store_base_plan_id, c.environment::adapty.environment, "
	"    c.offer_category::adapty.offer_category, c.offer_type::adapty.offer_type, c.offer_id, "
	"    c.cancellation_reason::adapty.cancellation_reason, c.product_id, c.is_family_shared, "
	"    c.renew_status, c.purchased_at, c.expires_at, c.refunded_at, c.renew_status_changed_at, "
	"    c.billing_issue_detected_at, c.grace_period_expires_at, c.paused_at, c.resumes_at, "
	"    c.originally_purchased_at, c.starts_at, c.renewal_cancelled_at, c.expiry_announced_at "
	"FROM import_new_chains c",
	.expected = SPI_OK_INSERT,
};

static SavedPlan update_plan = {
	.name = "chain to change",
	.sql = "UPDATE adapty.subscriptions s SET store_transaction_id = $4, store_product_id = $5, "
	"    store_base_plan_id = $6, environment = $7::adapty.environment, "
	"    offer_category = $8::adapty.offer_category, offer_type = $9::adapty.offer_type, offer_id = $10, "
	"    cancellation_reason = $11::adapty.cancellation_reason, product_id = $12, is_family_shared = $13, "
	"    renew_status = $14, purchased_at = $15, expires_at = $16, refunded_at = $17, "
	"    renew_status_changed_at = $18, billing_issue_detected_at = $19, grace_period_expires_at = $20, "
	"    paused_at = $21, resumes_at = $22, originally_purchased_at = $23, starts_at = $24, "
	"    renewal_cancelled_at = $25, expiry_announced_at = $26, updated_at = pg_catalog.now() "
	"WHERE " CHAIN_KEY("s"),
	.expected = SPI_OK_UPDATE,
	.nargs = N_STORE_ARGS,
	.argtypes = STORE_ARGTYPES,
};

/* A transaction gives its level until its own end or the next purchase of the chain. */
static SavedPlan former_plan = {
	.name = "former levels of a chain",
	.sql = "SELECT p.access_level_id::text, pg_catalog.max(LEAST(t.next_at, t.refunded_at, t.paused_at, "
	"    GREATEST(t.expires_at, CASE WHEN t.billing_issue_detected_at IS NOT NULL "
	"        THEN t.grace_period_expires_at END))) "
	"FROM (SELECT t.*, pg_catalog.lead(t.purchased_at) OVER (ORDER BY t.purchased_at, t.expires_at, "
	"        t.store_transaction_id COLLATE \"C\") AS next_at "
	"    FROM adapty.transactions t WHERE " CHAIN_KEY("t") " "
	"    AND t.purchase_type OPERATOR(pg_catalog.=) 'subscription'::adapty.purchase_type) t "
	"JOIN adapty.products p ON p.product_id OPERATOR(pg_catalog.=) t.product_id "
	"    AND p.access_level_id IS NOT NULL "
	"WHERE p.access_level_id IS DISTINCT FROM $4 AND t.next_at IS NOT NULL GROUP BY 1",
	.expected = SPI_OK_SELECT,
	.nargs = 4,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID, TEXTOID},
};

static SavedPlan test_clock_plan = {
	.name = "test clock of a profile",
	.sql = "SELECT COALESCE(p.test_clock_offset, 0) FROM adapty.profiles p "
	"WHERE p.profile_id OPERATOR(pg_catalog.=) $1",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan announced_plan = {
	.name = "told end of a chain",
	.sql = "UPDATE adapty.subscriptions s SET expiry_announced_at = $4 WHERE " CHAIN_KEY("s"),
	.expected = SPI_OK_UPDATE,
	.nargs = 4,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID, TIMESTAMPTZOID},
};

static SavedPlan forget_plan = {
	.name = "nobody's chain",
	.sql = "DELETE FROM adapty.subscriptions s "
	"WHERE s.profile_id OPERATOR(pg_catalog.=) '00000000-0000-0000-0000-000000000000'::pg_catalog.uuid "
	"AND s.store OPERATOR(pg_catalog.=) $1 AND s.store_original_transaction_id OPERATOR(pg_catalog.=) $2",
	.expected = SPI_OK_DELETE,
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

static SavedPlan claim_timers_plan = {
	.name = "claim of a chain's timers",
	.sql = "UPDATE adapty.subscription_timers s SET profile_id = $1 "
	"WHERE s.profile_id OPERATOR(pg_catalog.=) '00000000-0000-0000-0000-000000000000'::pg_catalog.uuid "
	"AND s.store OPERATOR(pg_catalog.=) $2 AND s.store_original_transaction_id OPERATOR(pg_catalog.=) $3",
	.expected = SPI_OK_UPDATE,
	.nargs = 3,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID},
};

static SavedPlan chains_plan = {
	.name = "chains of a profile",
	.sql = "SELECT " CHAIN_COLUMNS ", s.store FROM adapty.subscriptions s "
	"WHERE s.profile_id OPERATOR(pg_catalog.=) $1",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan import_profiles_plan = {
	.name = "states and revenue of imported profiles",
	.sql = "UPDATE adapty.profiles p SET subscription_state = s.state::adapty.subscription_state, "
	"    total_revenue_usd = s.total_revenue_usd FROM import_states s "
	"WHERE p.profile_id OPERATOR(pg_catalog.=) s.profile_id",
	.expected = SPI_OK_UPDATE,
};

static SavedPlan refresh_plan = {
	.name = "state and revenue of a profile",
	.sql = "UPDATE adapty.profiles p SET subscription_state = $2::adapty.subscription_state, "
	"    total_revenue_usd = r.revenue, updated_at = pg_catalog.now() "
	"FROM (SELECT COALESCE(pg_catalog.sum(t.price_usd), 0) AS revenue FROM adapty.transactions t "
	"    WHERE t.profile_id OPERATOR(pg_catalog.=) $1 AND " IS_REVENUE ") r "
	"WHERE p.profile_id OPERATOR(pg_catalog.=) $1 "
	"AND ROW(p.subscription_state, p.total_revenue_usd) "
	"    IS DISTINCT FROM ROW($2::adapty.subscription_state, r.revenue)",
	.expected = SPI_OK_UPDATE,
	.nargs = 2,
	.argtypes = {UUIDOID, TEXTOID},
};

/* See subscription.h. */
TimestampTz
row_time(uint64 row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? NO_TIME : DatumGetTimestampTz(value);
}

/* See subscription.h. */
bool
row_bool(uint64 row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);

	return !isnull && DatumGetBool(value);
}

/* See subscription.h. */
char *
row_text(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

/* See subscription.h. */
void
chain_read_row(uint64 row, int first, const char *store, Chain *chain)
{
	TransactionReport *t = &chain->newest;
	ChainTransaction *times = &t->times;
	bool		isnull;
	Datum		uuid;

	memset(chain, 0, sizeof(*chain));
	uuid = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, first, &isnull);
	if (isnull)
		return;
	chain->exists = true;
	chain->profile_id = *DatumGetUUIDP(uuid);
	t->is_subscription = true;
	t->store = chain->store = pstrdup(store);
	t->store_transaction_id = row_text(row, first + 1);
	t->store_product_id = row_text(row, first + 2);
	t->store_base_plan_id = row_text(row, first + 3);
	t->environment = row_text(row, first + 4);
	t->offer_category = row_text(row, first + 5);
	t->offer_type = row_text(row, first + 6);
	t->offer_id = row_text(row, first + 7);
	t->cancellation_reason = row_text(row, first + 8);
	uuid = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, first + 9, &isnull);
	chain->is_mapped = !isnull;
	if (!isnull)
		chain->product_id = *DatumGetUUIDP(uuid);
	t->is_family_shared = row_bool(row, first + 10);
	times->renew_status = row_bool(row, first + 11);
	times->purchased_at = row_time(row, first + 12);
	times->expires_at = row_time(row, first + 13);
	times->refunded_at = row_time(row, first + 14);
	times->renew_status_changed_at = row_time(row, first + 15);
	times->billing_issue_detected_at = row_time(row, first + 16);
	times->grace_period_expires_at = row_time(row, first + 17);
	times->paused_at = row_time(row, first + 18);
	times->resumes_at = row_time(row, first + 19);
	t->originally_purchased_at = chain->originally_purchased_at = row_time(row, first + 20);
	chain->starts_at = row_time(row, first + 21);
	chain->renewal_cancelled_at = row_time(row, first + 22);
	chain->expiry_announced_at = row_time(row, first + 23);
	chain->store_original_transaction_id = t->store_original_transaction_id = row_text(row, first + 24);
	t->reported_at = NO_TIME;
	transaction_report_derive(t);
}

/* See subscription.h. */
bool
chain_load(const pg_uuid_t *profile_id, const char *store, const char *store_original_transaction_id,
		   Chain *chain)
{
	Datum		values[3] = {UUIDPGetDatum(profile_id), CStringGetTextDatum(store),
	CStringGetTextDatum(store_original_transaction_id)};

	if (plan_execute_generic(&chain_plan, values, NULL, false) == 0)
		return false;
	chain_read_row(0, 1, store, chain);
	return true;
}

/* See subscription.h. */
bool
chain_is_newer(const TransactionReport *a, const TransactionReport *b)
{
	if (a->times.purchased_at != b->times.purchased_at)
		return a->times.purchased_at > b->times.purchased_at;
	if (a->times.expires_at != b->times.expires_at)
		return a->times.expires_at > b->times.expires_at;
	return strcmp(a->store_transaction_id, b->store_transaction_id) > 0;
}

/* See subscription.h. */
void
chain_take(Chain *chain, const TransactionReport *t, const pg_uuid_t *product_id)
{
	chain->newest = *t;
	chain->is_mapped = product_id != NULL;
	if (product_id != NULL)
		chain->product_id = *product_id;
	chain->originally_purchased_at = t->originally_purchased_at;
	if (t->times.renew_status)
		chain->renewal_cancelled_at = NO_TIME;
	else if (HAS_TIME(t->times.renew_status_changed_at))
		chain->renewal_cancelled_at = t->times.renew_status_changed_at;
}

/* See subscription.h. */
void
chain_reread(Chain *chain)
{
	Chain		newest;
	Datum		values[3] = {UUIDPGetDatum(&chain->profile_id), CStringGetTextDatum(chain->store),
	CStringGetTextDatum(chain->store_original_transaction_id)};

	if (plan_execute_generic(&newest_plan, values, NULL, false) == 0)
		elog(ERROR, "chain \"%s\" has no transaction", chain->store_original_transaction_id);
	chain_read_row(0, 1, chain->store, &newest);
	chain_take(chain, &newest.newest, newest.is_mapped ? &newest.product_id : NULL);
}

/* Puts a text argument that may be NULL. */
static void
text_arg(Datum *values, char *nulls, int n, const char *value)
{
	values[n] = value == NULL ? (Datum) 0 : CStringGetTextDatum(value);
	nulls[n] = value == NULL ? 'n' : ' ';
}

/* Puts a time argument that may be NO_TIME. */
static void
time_arg(Datum *values, char *nulls, int n, TimestampTz value)
{
	values[n] = TimestampTzGetDatum(value);
	nulls[n] = HAS_TIME(value) ? ' ' : 'n';
}

/* A chain as the values of its row; nulls as SPI has them. */
static void
chain_values(const Chain *chain, Datum *values, char *nulls)
{
	const TransactionReport *t = &chain->newest;
	const ChainTransaction *times = &t->times;

	memset(nulls, ' ', N_STORE_ARGS);
	nulls[N_STORE_ARGS] = '\0';
	values[0] = UUIDPGetDatum(&chain->profile_id);
	text_arg(values, nulls, 1, chain->store);
	text_arg(values, nulls, 2, chain->store_original_transaction_id);
	text_arg(values, nulls, 3, t->store_transaction_id);
	text_arg(values, nulls, 4, t->store_product_id);
	text_arg(values, nulls, 5, t->store_base_plan_id);
	text_arg(values, nulls, 6, t->environment);
	text_arg(values, nulls, 7, t->offer_category);
	text_arg(values, nulls, 8, t->offer_type);
	text_arg(values, nulls, 9, t->offer_id);
	text_arg(values, nulls, 10, t->cancellation_reason);
	values[11] = UUIDPGetDatum(&chain->product_id);
	nulls[11] = chain->is_mapped ? ' ' : 'n';
	values[12] = BoolGetDatum(t->is_family_shared);
	values[13] = BoolGetDatum(times->renew_status);
	time_arg(values, nulls, 14, times->purchased_at);
	time_arg(values, nulls, 15, times->expires_at);
	time_arg(values, nulls, 16, times->refunded_at);
	time_arg(values, nulls, 17, times->renew_status_changed_at);
	time_arg(values, nulls, 18, times->billing_issue_detected_at);
	time_arg(values, nulls, 19, times->grace_period_expires_at);
	time_arg(values, nulls, 20, times->paused_at);
	time_arg(values, nulls, 21, times->resumes_at);
	time_arg(values, nulls, 22, chain->originally_purchased_at);
	time_arg(values, nulls, 23, chain->starts_at);
	time_arg(values, nulls, 24, chain->renewal_cancelled_at);
	time_arg(values, nulls, 25, chain->expiry_announced_at);
}

/* See subscription.h. */
bool
chain_store(Chain *chain)
{
	Datum		values[N_STORE_ARGS];
	char		nulls[N_STORE_ARGS + 1];

	chain_values(chain, values, nulls);
	if (plan_execute_generic(chain->exists ? &update_plan : &insert_plan, values, nulls, false) != 1)
	{
		if (chain->exists)
			elog(ERROR, "chain \"%s\" is not there", chain->store_original_transaction_id);
		return false;
	}
	chain->exists = true;
	return true;
}

/* See subscription.h. */
void
chain_claim(const pg_uuid_t *profile_id, const char *store,
			const char *store_original_transaction_id)
{
	Datum		values[3] = {UUIDPGetDatum(profile_id), CStringGetTextDatum(store),
	CStringGetTextDatum(store_original_transaction_id)};

	(void) plan_execute_generic(&claim_plan, values, NULL, false);
	(void) plan_execute_generic(&claim_timers_plan, values, NULL, false);
}

/* See subscription.h. */
int
chain_former_levels(const Chain *chain, const char *access_level_id, FormerLevel **former)
{
	Datum		values[4] = {UUIDPGetDatum(&chain->profile_id), CStringGetTextDatum(chain->store),
		CStringGetTextDatum(chain->store_original_transaction_id),
	access_level_id == NULL ? (Datum) 0 : CStringGetTextDatum(access_level_id)};
	int			n = (int) plan_execute_generic(&former_plan, values, access_level_id == NULL ? "   n" : NULL, false);

	*former = palloc(sizeof(FormerLevel) * (n + 1));
	for (int i = 0; i < n; i++)
	{
		(*former)[i].access_level_id = row_text(i, 1);
		(*former)[i].expires_at = row_time(i, 2);
	}
	return n;
}

/* See subscription.h. */
void
chain_forget_nobodys(const char *store, const char *store_original_transaction_id)
{
	Datum		values[2] = {CStringGetTextDatum(store), CStringGetTextDatum(store_original_transaction_id)};

	(void) plan_execute(&forget_plan, values, NULL, false);
}

/* The state of a transaction; the retry period is looked up only where it matters. */
static LifecycleState
transaction_state(const TransactionReport *t, TimestampTz now)
{
	const ChainTransaction *times = &t->times;
	int64		retry_period = 0;

	if (HAS_TIME(times->billing_issue_detected_at) && !chain_has_grace(times) && times->renew_status)
		retry_period = environment_retry_period(t->environment);
	return lifecycle_state(times, retry_period, now);
}

/* See subscription.h. */
LifecycleState
chain_state(const Chain *chain, TimestampTz now)
{
	return transaction_state(&chain->newest, now);
}

/* Why a chain ended, when the store has not said. */
static const char *
expiry_reason(const TransactionReport *t)
{
	if (t->cancellation_reason != NULL)
		return t->cancellation_reason;
	if (HAS_TIME(t->times.billing_issue_detected_at))
		return "billing_error";
	return t->times.renew_status ? "unknown" : "voluntarily_cancelled";
}

/*
 * Which input ended a chain that is over, and when.  Until the end it was in the state that the same
 * transaction has just before.
 */
static LifecycleInput
end_input(const Chain *chain, LifecycleState *before, TimestampTz *at)
{
	const ChainTransaction *times = &chain->newest.times;

	*at = chain_access_end(times);
	*before = transaction_state(&chain->newest, *at - 1);
	if (times->is_upgraded)
		return INPUT_UPGRADED;
	if (*before != LIFE_RETRY && *before != LIFE_TRIAL_RETRY)
		return INPUT_END;
	if (!times->has_given_up)
		*at = chain_retry_end(times, environment_retry_period(chain->newest.environment));
	else if (HAS_TIME(times->renew_status_changed_at))
		*at = Max(*at, times->renew_status_changed_at);
	return INPUT_GIVE_UP;
}

/* See subscription.h. */
void
chain_announce_end(const LockedProfile *profile, Chain *chain, const char *actor, bool store)
{
	LifecycleState state = chain_state(chain, profile->profile_now);
	LifecycleState before;
	LifecycleInput input;
	LifecycleCell cell;
	TimestampTz at;
	PurchaseEventSource source = {
		.profile_id = &profile->profile_id,
		.store = chain->store,
		.store_transaction_id = chain->newest.store_transaction_id,
		.actor = actor,
	};

	if ((state != LIFE_EXPIRED && state != LIFE_TRIAL_EXPIRED) || HAS_TIME(chain->expiry_announced_at) ||
		chain->newest.is_family_shared)
		return;
	input = end_input(chain, &before, &at);
	cell = lifecycle_cell(before, input);
	source.cancellation_reason = expiry_reason(&chain->newest);
	for (int i = 0; i < cell.n_events; i++)
	{
		ChainEvent	event = {cell.events[i], at};

		purchase_events_write(&source, &event, 1);
	}
	chain->expiry_announced_at = at;
	if (store)
	{
		Datum		values[4] = {UUIDPGetDatum(&chain->profile_id), CStringGetTextDatum(chain->store),
			CStringGetTextDatum(chain->store_original_transaction_id), TimestampTzGetDatum(at)};

		(void) plan_execute_generic(&announced_plan, values, NULL, false);
	}
}

/* See subscription.h. */
SubscriptionState
subscription_state_of_profile(const pg_uuid_t *profile_id, TimestampTz now)
{
	Datum		values[1] = {UUIDPGetDatum(profile_id)};
	uint64		n = plan_execute_generic(&chains_plan, values, NULL, false);
	SubscriptionState best = SUBSCRIPTION_STATE_NEVER_SUBSCRIBED;
	Chain	   *chains = palloc(sizeof(Chain) * (n + 1));
	int			best_rank = INT_MAX;

	/* all rows first: looking up a setting replaces the result */
	for (uint64 i = 0; i < n; i++)
		chain_read_row(i, 1, row_text(i, N_CHAIN_COLUMNS + 1), &chains[i]);
	for (uint64 i = 0; i < n; i++)
	{
		SubscriptionState state;
		int			rank;

		state = lifecycle_subscription_state(chain_state(&chains[i], now),
											 chain_access_end(&chains[i].newest.times) <= now, &rank);
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

	(void) plan_execute_generic(&refresh_plan, values, NULL, false);
}

/* See subscription.h. */
RowSet *
chain_set_create(void)
{
	return row_set_create("import_new_chains", set_columns, N_STORE_ARGS);
}

/* See subscription.h. */
void
chain_put(RowSet *set, const Chain *chain)
{
	Datum		values[N_STORE_ARGS];
	char		nulls[N_STORE_ARGS + 1];
	bool		isnull[N_STORE_ARGS];

	chain_values(chain, values, nulls);
	for (int i = 0; i < N_STORE_ARGS; i++)
		isnull[i] = nulls[i] == 'n';
	row_set_put(set, values, isnull);
}

/* See subscription.h. */
void
subscriptions_import(void)
{
	(void) plan_execute_once(&import_chains_plan, NULL, NULL);
	(void) plan_execute_once(&import_profiles_plan, NULL, NULL);
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
		chain_access_end(&chain.newest.times) <= at)
		chain_announce_end(profile, &chain, NULL, true);
	subscription_refresh_profile(profile);
}

/*
 * adapty.subscription_lifecycle(profile_id, store, store_original_transaction_id): the state of one
 * chain in the state machine, by the clock; null if there is no such chain.
 */
Datum
adapty_subscription_lifecycle(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *profile_id = PG_GETARG_UUID_P(0);
	Datum		key[1] = {UUIDPGetDatum(profile_id)};
	TimestampTz now = clock_read_now();
	ApiScope	scope;
	Chain		chain;
	const char *name = NULL;

	scope_enter(&scope);
	if (plan_execute_generic(&test_clock_plan, key, NULL, true) > 0)
		now += DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
										   &(bool) {false}));
	if (chain_load(profile_id, text_to_cstring(PG_GETARG_TEXT_PP(1)),
				   text_to_cstring(PG_GETARG_TEXT_PP(2)), &chain))
		name = lifecycle_state_name(chain_state(&chain, now));
	scope_leave(&scope);
	if (name == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(name));
}
