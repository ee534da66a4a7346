/*
 * ingest_facts.c
 *		The newest that is known of each of the stores' objects: the only writer of ingested_subscriptions,
 *		ingested_payments, ingested_refunds and ingested_references.
 *
 * Of two states of an object the one with the later event stays; of one moment the one with the higher
 * rank, and at last that of the greater event id: whatever order they come in, the same one is left.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/plans.h"
#include "base/plan_args.h"
#include "domain/ingest.h"

/*
 * Locks on names are advisory locks of a class of their own, which users cannot take.  Their number is
 * bounded so that a long replay of events in one transaction does not fill the lock table; two names
 * that share a lock only wait for each other.
 */
#define LOCK_CLASS 8
#define LOCKS_ALONE 0			/* groups of locks */
#define LOCKS_BY_PAYMENT 1
#define LOCKS_BY_CUSTOMER 2
#define LOCKS_OF_PAYMENTS 512
#define LOCKS_OF_CUSTOMERS 512
#define MAX_NAMES (MAX_EVENT_PAYMENTS * (1 + MAX_PAYMENT_REFERENCES) + 2 * MAX_EVENT_REFUNDS + 2)

static const char *const status_names[] = {
	[STORE_INCOMPLETE] = "incomplete",
	[STORE_TRIALING] = "trialing",
	[STORE_ACTIVE] = "active",
	[STORE_PAST_DUE] = "past_due",
	[STORE_UNPAID] = "unpaid",
	[STORE_PAUSED] = "paused",
	[STORE_ENDED] = "ended",
};

static const char *const payment_status_names[] = {
	[PAYMENT_DRAFT] = "draft",
	[PAYMENT_OPEN] = "open",
	[PAYMENT_PAID] = "paid",
	[PAYMENT_VOID] = "void",
};

/* ---- statements ---- */

#define NEWER(alias) \
	"ROW(excluded.reported_at, excluded.report_rank, excluded.event_id COLLATE \"C\") " \
	"OPERATOR(pg_catalog.>) ROW(" alias ".reported_at, " alias ".report_rank, " alias ".event_id) " \
	"AND " alias ".environment OPERATOR(pg_catalog.=) excluded.environment"

#define SUBSCRIPTION_COLUMNS(alias) \
	alias "reported_at, " alias "report_rank, " alias "started_at, " alias "period_start, " \
	alias "period_end, " alias "trial_ends_at, " alias "ends_at, " alias "ended_at, " \
	alias "renewal_cancelled_at, " alias "billing_issue_at, " alias "paused_at, " alias "resumes_at, " \
	alias "environment, " alias "cancellation_reason, " alias "status, " alias "event_id, " \
	alias "store_customer_id, " alias "latest_payment_id, " alias "store_product_id, " \
	alias "store_base_plan_id"

static SavedPlan keep_subscription_plan = {
	.name = "newest state of a store's subscription",
	.sql = "INSERT INTO adapty.ingested_subscriptions AS s (store, store_subscription_id, "
	SUBSCRIPTION_COLUMNS("") ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, "
	"    $15::adapty.environment, $16::adapty.cancellation_reason, $17, $18, $19, $20, $21, $22) "
	"ON CONFLICT (store, store_subscription_id) DO UPDATE SET "
	"    (" SUBSCRIPTION_COLUMNS("") ") = ROW(" SUBSCRIPTION_COLUMNS("excluded.") ") WHERE " NEWER("s"),
	.expected = SPI_OK_INSERT,
	.nargs = 22,
	.argtypes = {TEXTOID, TEXTOID, TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID,
		TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
		TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
	TEXTOID},
};

#define PAYMENT_COLUMNS(alias) \
	alias "reported_at, " alias "report_rank, " alias "period_start, " alias "period_end, " \
	alias "due_at, " alias "charged_at, " alias "environment, " alias "is_processing, " \
	alias "is_trial, " alias "amount, " alias "currency, " alias "country, " alias "status, " \
	alias "event_id, " alias "store_subscription_id, " alias "store_customer_id, " \
	alias "store_product_id, " alias "store_base_plan_id, " alias "variation_id"

static SavedPlan keep_payment_plan = {
	.name = "newest state of a store's payment",
	.sql = "INSERT INTO adapty.ingested_payments AS p (store, store_payment_id, " PAYMENT_COLUMNS("") ") "
	"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::adapty.environment, $10, $11, $12, $13, $14, $15, $16, "
	"    $17, $18, $19, $20, $21) "
	"ON CONFLICT (store, store_payment_id) DO UPDATE SET "
	"    (" PAYMENT_COLUMNS("") ") = ROW(" PAYMENT_COLUMNS("excluded.") ") WHERE " NEWER("p"),
	.expected = SPI_OK_INSERT,
	.nargs = 21,
	.argtypes = {TEXTOID, TEXTOID, TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID,
		TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, BOOLOID, BOOLOID, NUMERICOID, TEXTOID, TEXTOID, TEXTOID,
	TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID},
};

#define REFUND_COLUMNS(alias) \
	alias "reported_at, " alias "report_rank, " alias "refunded_at, " alias "is_effective, " \
	alias "is_full, " alias "amount, " alias "event_id, " alias "payment_reference, " \
	alias "environment"

/* A refund that names its payment otherwise finds it by that name, if it is known already. */
static SavedPlan keep_refund_plan = {
	.name = "newest state of a store's refund",
	.sql = "INSERT INTO adapty.ingested_refunds AS r (store, store_refund_id, store_payment_id, "
	REFUND_COLUMNS("") ") "
	"VALUES ($1, $2, COALESCE($3, (SELECT f.store_payment_id FROM adapty.ingested_references f "
	"        WHERE f.store OPERATOR(pg_catalog.=) $1 AND f.reference OPERATOR(pg_catalog.=) $10 "
	"        AND f.environment OPERATOR(pg_catalog.=) $12::adapty.environment)), "
	"    $4, $5, $6, $7, $8, $9, $11, $10, $12::adapty.environment) "
	"ON CONFLICT (store, store_refund_id) DO UPDATE SET "
	"    store_payment_id = COALESCE(excluded.store_payment_id, r.store_payment_id), "
	"    (" REFUND_COLUMNS("") ") = ROW(" REFUND_COLUMNS("excluded.") ") WHERE " NEWER("r"),
	.expected = SPI_OK_INSERT,
	.nargs = 12,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID, BOOLOID, BOOLOID,
	NUMERICOID, TEXTOID, TEXTOID, TEXTOID},
};

static SavedPlan keep_reference_plan = {
	.name = "another name of a store's payment",
	.sql = "INSERT INTO adapty.ingested_references (store, reference, store_payment_id, environment) "
	"VALUES ($1, $2, $3, $4::adapty.environment) ON CONFLICT DO NOTHING",
	.expected = SPI_OK_INSERT,
	.nargs = 4,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, TEXTOID},
};

static SavedPlan bind_refunds_plan = {
	.name = "refunds of a payment by its other name",
	.sql = "UPDATE adapty.ingested_refunds r SET store_payment_id = $3 WHERE r.store OPERATOR(pg_catalog.=) $1 "
	"AND r.payment_reference OPERATOR(pg_catalog.=) $2 AND r.store_payment_id IS NULL "
	"AND r.environment OPERATOR(pg_catalog.=) $4::adapty.environment",
	.expected = SPI_OK_UPDATE,
	.nargs = 4,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, TEXTOID},
};

/*
 * $2: names of payments, by any of their names.  Look-ups by unique keys are written so that they stay
 * such whatever the statistics say: a plan may be made while the tables are still empty.
 */
#define NAMED_PAYMENTS \
	"FROM (SELECT n AS id FROM pg_catalog.unnest($2) n UNION SELECT f.store_payment_id " \
	"    FROM pg_catalog.unnest($2) n CROSS JOIN LATERAL (" \
	"        SELECT f.store_payment_id FROM adapty.ingested_references f " \
	"        WHERE f.store OPERATOR(pg_catalog.=) $1 AND f.reference OPERATOR(pg_catalog.=) n OFFSET 0) f) named " \
	"CROSS JOIN LATERAL (" \
	"    SELECT p.store_subscription_id, p.store_payment_id, p.store_customer_id " \
	"    FROM adapty.ingested_payments p WHERE p.store OPERATOR(pg_catalog.=) $1 " \
	"    AND p.store_payment_id OPERATOR(pg_catalog.=) named.id OFFSET 0) p "

static SavedPlan customer_plan = {
	.name = "customer of payments",
	.sql = "SELECT p.store_customer_id " NAMED_PAYMENTS "WHERE p.store_customer_id IS NOT NULL "
	"ORDER BY p.store_payment_id LIMIT 1",
	.expected = SPI_OK_SELECT,
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTARRAYOID},
};

static SavedPlan concerned_plan = {
	.name = "subscriptions of payments",
	.sql = "SELECT p.store_subscription_id, p.store_payment_id " NAMED_PAYMENTS,
	.expected = SPI_OK_SELECT,
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTARRAYOID},
};

static SavedPlan of_customer_plan = {
	.name = "subscriptions and purchases of a customer",
	.sql = "SELECT s.store_subscription_id, NULL FROM adapty.ingested_subscriptions s "
	"WHERE s.store OPERATOR(pg_catalog.=) $1 AND s.store_customer_id OPERATOR(pg_catalog.=) $2 "
	"UNION SELECT p.store_subscription_id, "
	"    CASE WHEN p.store_subscription_id IS NULL THEN p.store_payment_id END "
	"FROM adapty.ingested_payments p "
	"WHERE p.store OPERATOR(pg_catalog.=) $1 AND p.store_customer_id OPERATOR(pg_catalog.=) $2",
	.expected = SPI_OK_SELECT,
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

static SavedPlan newly_mapped_plan = {
	.name = "purchases of products that are mapped by now",
	.sql = "SELECT DISTINCT p.store::text, p.store_customer_id, "
	"    COALESCE(p.store_subscription_id, p.store_payment_id), p.store_subscription_id IS NOT NULL "
	"FROM adapty.transactions t JOIN adapty.ingested_payments p "
	"    ON p.store OPERATOR(pg_catalog.=) t.store "
	"    AND p.store_payment_id OPERATOR(pg_catalog.=) t.store_transaction_id "
	"WHERE t.product_id IS NULL AND ($1 IS NULL OR t.store OPERATOR(pg_catalog.=) $1) "
	"AND EXISTS (SELECT FROM adapty.store_products m WHERE m.store OPERATOR(pg_catalog.=) t.store "
	"    AND m.store_product_id OPERATOR(pg_catalog.=) t.store_product_id) "
	"ORDER BY 1, 2, 3",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static SavedPlan subscription_plan = {
	.name = "state of a store's subscription",
	.sql = "SELECT s.started_at, s.period_start, s.period_end, s.trial_ends_at, s.ends_at, s.ended_at, "
	"    s.renewal_cancelled_at, s.billing_issue_at, s.paused_at, s.resumes_at, s.reported_at, "
	"    s.status, s.cancellation_reason::text, s.store_customer_id, s.latest_payment_id, "
	"    s.store_product_id, s.store_base_plan_id "
	"FROM adapty.ingested_subscriptions s WHERE s.store OPERATOR(pg_catalog.=) $1 "
	"AND s.store_subscription_id OPERATOR(pg_catalog.=) $2",
	.expected = SPI_OK_SELECT,
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

#define KNOWN_PAYMENTS(condition) \
	"SELECT p.period_start, p.period_end, p.due_at, p.charged_at, " \
	"    GREATEST(p.reported_at, r.reported_at), r.refunded_at, " \
	"    p.store_payment_id, p.status, p.currency::text, p.country::text, p.store_subscription_id, " \
	"    p.store_customer_id, p.store_product_id, p.store_base_plan_id, p.variation_id, " \
	"    p.environment::text, p.is_processing, COALESCE(p.is_trial::integer, -1), p.amount, r.amount, " \
	"    COALESCE(r.is_full, false), p.report_hash, p.reported_at " \
	"FROM adapty.ingested_payments p CROSS JOIN LATERAL (" \
	"    SELECT pg_catalog.sum(r.amount) FILTER (WHERE r.is_effective) AS amount, " \
	"        pg_catalog.bool_or(r.is_full) FILTER (WHERE r.is_effective) AS is_full, " \
	"        pg_catalog.max(r.refunded_at) FILTER (WHERE r.is_effective) AS refunded_at, " \
	"        pg_catalog.max(r.reported_at) AS reported_at " \
	"    FROM adapty.ingested_refunds r WHERE r.store OPERATOR(pg_catalog.=) p.store " \
	"    AND r.store_payment_id OPERATOR(pg_catalog.=) p.store_payment_id " \
	"    AND r.environment OPERATOR(pg_catalog.=) p.environment) r " \
	"WHERE p.store OPERATOR(pg_catalog.=) $1 AND " condition " " \
	"ORDER BY p.period_start, p.period_end, p.store_payment_id COLLATE \"C\""

static SavedPlan payments_plan = {
	.name = "payments of a store's subscription",
	.sql = KNOWN_PAYMENTS("p.store_subscription_id OPERATOR(pg_catalog.=) $2"),
	.expected = SPI_OK_SELECT,
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

static SavedPlan purchase_plan = {
	.name = "a store's payment",
	.sql = KNOWN_PAYMENTS("p.store_payment_id OPERATOR(pg_catalog.=) $2"),
	.expected = SPI_OK_SELECT,
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

/* $2: names of payments, $3: of subscriptions, of an event of environment $4. */
static SavedPlan other_environment_plan = {
	.name = "objects of another environment",
	.sql = "SELECT n FROM pg_catalog.unnest($2) n WHERE "
	"    (SELECT p.environment FROM adapty.ingested_payments p WHERE p.store OPERATOR(pg_catalog.=) $1 "
	"        AND p.store_payment_id OPERATOR(pg_catalog.=) n) "
	"        OPERATOR(pg_catalog.<>) $4::adapty.environment "
	"    OR (SELECT t.environment FROM adapty.transactions t WHERE t.store OPERATOR(pg_catalog.=) $1 "
	"        AND t.store_transaction_id OPERATOR(pg_catalog.=) n) "
	"        OPERATOR(pg_catalog.<>) $4::adapty.environment "
	"UNION ALL SELECT n FROM pg_catalog.unnest($3) n WHERE "
	"    (SELECT s.environment FROM adapty.ingested_subscriptions s WHERE s.store OPERATOR(pg_catalog.=) $1 "
	"        AND s.store_subscription_id OPERATOR(pg_catalog.=) n) "
	"        OPERATOR(pg_catalog.<>) $4::adapty.environment "
	"    OR (SELECT s.environment FROM adapty.subscriptions s WHERE s.store OPERATOR(pg_catalog.=) $1 "
	"        AND s.store_original_transaction_id OPERATOR(pg_catalog.=) n) "
	"        OPERATOR(pg_catalog.<>) $4::adapty.environment",
	.expected = SPI_OK_SELECT,
	.nargs = 4,
	.argtypes = {TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTOID},
};

static SavedPlan reported_plan = {
	.name = "what was reported of a store's payment",
	.sql = "UPDATE adapty.ingested_payments p SET report_hash = $3 WHERE p.store OPERATOR(pg_catalog.=) $1 "
	"AND p.store_payment_id OPERATOR(pg_catalog.=) $2",
	.expected = SPI_OK_UPDATE,
	.nargs = 3,
	.argtypes = {TEXTOID, TEXTOID, INT8OID},
};

/* ---- locks ---- */

/* The names of payments that an event has, each a C string; returns how many. */
static int
payment_names(const IngestFacts *facts, const char **names)
{
	int			n = 0;

	for (int i = 0; i < facts->n_payments; i++)
	{
		names[n++] = facts->payments[i].id;
		for (int r = 0; r < facts->payments[i].n_references; r++)
			names[n++] = facts->payments[i].references[r];
	}
	for (int i = 0; i < facts->n_refunds; i++)
	{
		if (facts->refunds[i].payment_id != NULL)
			names[n++] = facts->refunds[i].payment_id;
		if (facts->refunds[i].payment_reference != NULL)
			names[n++] = facts->refunds[i].payment_reference;
	}
	if (facts->reference != NULL)
	{
		names[n++] = facts->reference;
		names[n++] = facts->referenced_payment_id;
	}
	Assert(n <= MAX_NAMES);
	return n;
}

/* An array of names, for a plan. */
static Datum
names_datum(const char **names, int n)
{
	Datum	   *values = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		values[i] = CStringGetTextDatum(names[i]);
	return plan_text_array(values, n);
}

/* The lock of a name in one of the groups. */
static uint32
lock_number(const char *store, const char *name, uint32 locks)
{
	char	   *full = psprintf("%s %s", store, name);

	return hash_bytes((const unsigned char *) full, (int) strlen(full)) % locks;
}

static int
compare_numbers(const void *a, const void *b)
{
	uint32		left = *(const uint32 *) a;
	uint32		right = *(const uint32 *) b;

	return left < right ? -1 : left > right;
}

/* Takes a lock until the transaction ends. */
static void
take_lock(uint32 group, uint32 number)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, group, number, LOCK_CLASS);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

/* Takes n locks of a group in the order of their numbers, which no two callers then wait for crosswise. */
static void
take_locks(uint32 group, uint32 *numbers, int n)
{
	qsort(numbers, n, sizeof(uint32), compare_numbers);
	for (int i = 0; i < n; i++)
		if (i == 0 || numbers[i] != numbers[i - 1])
			take_lock(group, numbers[i]);
}

/* Sets the customer_id of facts that have none from what is known of their payments. */
static void
find_customer(IngestFacts *facts)
{
	const char *names[MAX_NAMES];
	int			n = payment_names(facts, names);
	Datum		values[2];

	if (facts->customer_id != NULL || n == 0)
		return;
	values[0] = CStringGetTextDatum(facts->store);
	values[1] = names_datum(names, n);
	if (plan_execute(&customer_plan, values, NULL, false) > 0)
		facts->customer_id = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

/*
 * See ingest.h.  Payments come first and customers second, each in the order of their numbers: two
 * events never wait for each other.
 */
void
ingest_lock_all(List *all)
{
	const char *names[MAX_NAMES];
	uint32	   *numbers = palloc(sizeof(uint32) * Max(list_length(all), 1) * MAX_NAMES);
	ListCell   *cell;
	int			n = 0;

	foreach(cell, all)
	{
		IngestFacts *facts = lfirst(cell);
		int			n_names = payment_names(facts, names);

		for (int i = 0; i < n_names; i++)
			numbers[n++] = lock_number(facts->store, names[i], LOCKS_OF_PAYMENTS);
	}
	take_locks(LOCKS_BY_PAYMENT, numbers, n);
	n = 0;
	foreach(cell, all)
	{
		IngestFacts *facts = lfirst(cell);

		find_customer(facts);
		if (facts->customer_id != NULL)
			numbers[n++] = lock_number(facts->store, facts->customer_id, LOCKS_OF_CUSTOMERS);
		else if (facts->has_subscription)
			numbers[n++] = lock_number(facts->store, facts->subscription.id, LOCKS_OF_CUSTOMERS);
	}
	take_locks(LOCKS_BY_CUSTOMER, numbers, n);
	pfree(numbers);
}

/* See ingest.h. */
void
ingest_lock(IngestFacts *facts)
{
	ingest_lock_all(list_make1(facts));
}

/* See ingest.h. */
void
ingest_lock_alone(void)
{
	take_lock(LOCKS_ALONE, 0);
}

/*
 * ERROR (22023) if the event is about anything that is known in another environment: the secret of the
 * sandbox proves nothing about real money.
 */
static void
check_environment(const IngestFacts *facts)
{
	const char *names[MAX_NAMES];
	const char *subscriptions[MAX_EVENT_PAYMENTS + 1];
	int			n = payment_names(facts, names);
	int			n_subscriptions = 0;
	Datum		values[4];

	if (facts->has_subscription)
		subscriptions[n_subscriptions++] = facts->subscription.id;
	for (int i = 0; i < facts->n_payments; i++)
		if (facts->payments[i].subscription_id != NULL)
			subscriptions[n_subscriptions++] = facts->payments[i].subscription_id;
	if (n + n_subscriptions == 0)
		return;
	values[0] = CStringGetTextDatum(facts->store);
	values[1] = names_datum(names, n);
	values[2] = names_datum(subscriptions, n_subscriptions);
	values[3] = CStringGetTextDatum(facts->environment);
	if (plan_execute(&other_environment_plan, values, NULL, false) > 0)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("\"%s\" of store \"%s\" is not of environment \"%s\"",
						SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1), facts->store,
						facts->environment),
				 errdetail("An event changes only what is of the environment of the secret that proves it.")));
}

/* ---- keeping ---- */

static bool
keep_subscription(const IngestFacts *facts)
{
	const StoreSubscription *s = &facts->subscription;
	PlanArgs	args = {0};

	plan_add_text(&args, facts->store);
	plan_add_text(&args, s->id);
	plan_add_time(&args, s->reported_at);
	plan_add(&args, Int64GetDatum(s->rank), false);
	plan_add_time(&args, s->started_at);
	plan_add_time(&args, s->period_start);
	plan_add_time(&args, s->period_end);
	plan_add_time(&args, s->trial_ends_at);
	plan_add_time(&args, s->ends_at);
	plan_add_time(&args, s->ended_at);
	plan_add_time(&args, s->renewal_cancelled_at);
	plan_add_time(&args, s->billing_issue_at);
	plan_add_time(&args, s->paused_at);
	plan_add_time(&args, s->resumes_at);
	plan_add_text(&args, facts->environment);
	plan_add_text(&args, s->cancellation_reason);
	plan_add_text(&args, status_names[s->status]);
	plan_add_text(&args, facts->event_id);
	plan_add_text(&args, s->customer_id);
	plan_add_text(&args, s->latest_payment_id);
	plan_add_text(&args, s->product_id);
	plan_add_text(&args, s->base_plan_id);
	return plan_execute(&keep_subscription_plan, args.values, args.nulls, false) > 0;
}

/* Keeps another name of a payment, and gives the refunds that came under it their payment. */
static bool
keep_reference(const IngestFacts *facts, const char *reference, const char *payment_id)
{
	Datum		values[4] = {CStringGetTextDatum(facts->store), CStringGetTextDatum(reference),
	CStringGetTextDatum(payment_id), CStringGetTextDatum(facts->environment)};

	if (plan_execute(&keep_reference_plan, values, NULL, false) == 0)
		return false;
	(void) plan_execute(&bind_refunds_plan, values, NULL, false);
	return true;
}

static bool
keep_payment(const IngestFacts *facts, const StorePayment *p)
{
	PlanArgs	args = {0};
	bool		is_new = false;

	plan_add_text(&args, facts->store);
	plan_add_text(&args, p->id);
	plan_add_time(&args, p->reported_at);
	plan_add(&args, Int64GetDatum(p->rank), false);
	plan_add_time(&args, p->period_start);
	plan_add_time(&args, p->period_end);
	plan_add_time(&args, p->due_at);
	plan_add_time(&args, p->charged_at);
	plan_add_text(&args, facts->environment);
	plan_add(&args, BoolGetDatum(p->is_processing), false);
	plan_add(&args, BoolGetDatum(p->is_trial > 0), p->is_trial < 0);
	plan_add(&args, NumericGetDatum(p->amount), false);
	plan_add_text(&args, p->currency);
	plan_add_text(&args, p->country);
	plan_add_text(&args, payment_status_names[p->status]);
	plan_add_text(&args, facts->event_id);
	plan_add_text(&args, p->subscription_id);
	plan_add_text(&args, p->customer_id);
	plan_add_text(&args, p->product_id);
	plan_add_text(&args, p->base_plan_id);
	plan_add_text(&args, p->variation_id);
	is_new = plan_execute(&keep_payment_plan, args.values, args.nulls, false) > 0;
	for (int i = 0; i < p->n_references; i++)
		is_new |= keep_reference(facts, p->references[i], p->id);
	/* a payment may be known to refunds by its own name as a reference */
	(void) keep_reference(facts, p->id, p->id);
	return is_new;
}

static bool
keep_refund(const IngestFacts *facts, const StoreRefund *r)
{
	PlanArgs	args = {0};

	plan_add_text(&args, facts->store);
	plan_add_text(&args, r->id);
	plan_add_text(&args, r->payment_id);
	plan_add_time(&args, r->reported_at);
	plan_add(&args, Int64GetDatum(r->rank), false);
	plan_add_time(&args, r->refunded_at);
	plan_add(&args, BoolGetDatum(r->is_effective), false);
	plan_add(&args, BoolGetDatum(r->is_full), false);
	plan_add(&args, NumericGetDatum(r->amount), false);
	plan_add_text(&args, r->payment_reference);
	plan_add_text(&args, facts->event_id);
	plan_add_text(&args, facts->environment);
	return plan_execute(&keep_refund_plan, args.values, args.nulls, false) > 0;
}

/* See ingest.h. */
bool
ingest_keep(const IngestFacts *facts)
{
	bool		is_new = false;

	check_environment(facts);
	if (facts->has_subscription)
		is_new |= keep_subscription(facts);
	for (int i = 0; i < facts->n_payments; i++)
		is_new |= keep_payment(facts, &facts->payments[i]);
	for (int i = 0; i < facts->n_refunds; i++)
		is_new |= keep_refund(facts, &facts->refunds[i]);
	if (facts->reference != NULL)
		is_new |= keep_reference(facts, facts->reference, facts->referenced_payment_id);
	return is_new;
}

/* ---- reading ---- */

/* Adds a string to a list that does not have it. */
static List *
add_once(List *list, char *id)
{
	ListCell   *cell;

	foreach(cell, list)
		if (strcmp(lfirst(cell), id) == 0)
			return list;
	return lappend(list, id);
}



/* Adds rows of (subscription, payment): a payment counts where there is no subscription. */
static void
add_concerned(uint64 n, List **subscriptions, List **purchases)
{
	for (uint64 i = 0; i < n; i++)
	{
		char	   *subscription = row_text(i, 1);
		char	   *purchase = row_text(i, 2);

		if (subscription != NULL)
			*subscriptions = add_once(*subscriptions, subscription);
		else if (purchase != NULL)
			*purchases = add_once(*purchases, purchase);
	}
}

/* See ingest.h. */
void
ingest_concerned(const IngestFacts *facts, List **subscriptions, List **purchases)
{
	const char *names[MAX_NAMES];
	int			n = payment_names(facts, names);

	if (facts->has_subscription)
		*subscriptions = add_once(*subscriptions, pstrdup(facts->subscription.id));
	if (n > 0)
	{
		Datum		values[2] = {CStringGetTextDatum(facts->store), names_datum(names, n)};

		add_concerned(plan_execute(&concerned_plan, values, NULL, false), subscriptions, purchases);
	}
}

/* See ingest.h. */
void
ingest_of_customer(const char *store, const char *customer_id, List **subscriptions, List **purchases)
{
	Datum		values[2] = {CStringGetTextDatum(store), CStringGetTextDatum(customer_id)};

	add_concerned(plan_execute(&of_customer_plan, values, NULL, false), subscriptions, purchases);
}

/* See ingest.h. */
int
ingest_newly_mapped(const char *store, StoreObject **objects)
{
	Datum		values[1] = {store == NULL ? (Datum) 0 : CStringGetTextDatum(store)};
	int			n = (int) plan_execute(&newly_mapped_plan, values, store == NULL ? "n" : NULL, false);

	*objects = palloc(sizeof(StoreObject) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		(*objects)[i].store = row_text(i, 1);
		(*objects)[i].customer_id = row_text(i, 2);
		(*objects)[i].id = row_text(i, 3);
		(*objects)[i].is_subscription = row_bool(i, 4);
	}
	return n;
}

/* The label's position in a list of n. */
static int
label_position(const char *label, const char *const *labels, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(label, labels[i]) == 0)
			return i;
	elog(ERROR, "unexpected status \"%s\"", label);
}

/* Reads row 0 of subscription_plan. */
static void
read_subscription(const char *id, StoreSubscription *s)
{
	s->id = id;
	s->started_at = row_time(0, 1);
	s->period_start = row_time(0, 2);
	s->period_end = row_time(0, 3);
	s->trial_ends_at = row_time(0, 4);
	s->ends_at = row_time(0, 5);
	s->ended_at = row_time(0, 6);
	s->renewal_cancelled_at = row_time(0, 7);
	s->billing_issue_at = row_time(0, 8);
	s->paused_at = row_time(0, 9);
	s->resumes_at = row_time(0, 10);
	s->reported_at = row_time(0, 11);
	s->status = (StoreStatus) label_position(row_text(0, 12), status_names, lengthof(status_names));
	s->cancellation_reason = row_text(0, 13);
	s->customer_id = row_text(0, 14);
	s->latest_payment_id = row_text(0, 15);
	s->product_id = row_text(0, 16);
	s->base_plan_id = row_text(0, 17);
}

/* Reads a row of KNOWN_PAYMENTS. */
static void
read_payment(uint64 row, KnownPayment *known)
{
	StorePayment *p = &known->payment;
	TupleDesc	desc = SPI_tuptable->tupdesc;
	HeapTuple	tuple = SPI_tuptable->vals[row];
	bool		isnull;
	Datum		value;

	p->period_start = row_time(row, 1);
	p->period_end = row_time(row, 2);
	p->due_at = row_time(row, 3);
	p->charged_at = row_time(row, 4);
	known->reported_at = row_time(row, 5);
	known->refunded_at = row_time(row, 6);
	p->id = row_text(row, 7);
	p->status = (PaymentStatus) label_position(row_text(row, 8), payment_status_names,
											   lengthof(payment_status_names));
	p->currency = row_text(row, 9);
	p->country = row_text(row, 10);
	p->subscription_id = row_text(row, 11);
	p->customer_id = row_text(row, 12);
	p->product_id = row_text(row, 13);
	p->base_plan_id = row_text(row, 14);
	p->variation_id = row_text(row, 15);
	known->environment = row_text(row, 16);
	p->is_processing = DatumGetBool(SPI_getbinval(tuple, desc, 17, &isnull));
	p->is_trial = DatumGetInt32(SPI_getbinval(tuple, desc, 18, &isnull));
	p->amount = DatumGetNumericCopy(SPI_getbinval(tuple, desc, 19, &isnull));
	value = SPI_getbinval(tuple, desc, 20, &isnull);
	known->refunded_amount = isnull ? NULL : DatumGetNumericCopy(value);
	known->is_refunded = DatumGetBool(SPI_getbinval(tuple, desc, 21, &isnull));
	value = SPI_getbinval(tuple, desc, 22, &isnull);
	known->is_reported = !isnull;
	known->report_hash = isnull ? 0 : DatumGetInt64(value);
	p->reported_at = row_time(row, 23);
}

/* The payments that a plan finds. */
static void
load_payments(SavedPlan *plan, Datum *values, KnownChain *chain)
{
	chain->n = (int) plan_execute(plan, values, NULL, false);
	chain->payments = palloc0(sizeof(KnownPayment) * Max(chain->n, 1));
	for (int i = 0; i < chain->n; i++)
		read_payment(i, &chain->payments[i]);
}

/* See ingest.h. */
void
ingest_load_subscription(const char *store, const char *id, KnownChain *chain)
{
	Datum		values[2] = {CStringGetTextDatum(store), CStringGetTextDatum(id)};

	memset(chain, 0, sizeof(*chain));
	chain->has_subscription = plan_execute(&subscription_plan, values, NULL, false) > 0;
	if (chain->has_subscription)
		read_subscription(id, &chain->subscription);
	load_payments(&payments_plan, values, chain);
}

/* See ingest.h. */
void
ingest_load_purchase(const char *store, const char *id, KnownChain *chain)
{
	Datum		values[2] = {CStringGetTextDatum(store), CStringGetTextDatum(id)};

	memset(chain, 0, sizeof(*chain));
	load_payments(&purchase_plan, values, chain);
}

/* See ingest.h. */
void
ingest_set_reported(const char *store, const char *payment_id, int64 hash)
{
	Datum		values[3] = {CStringGetTextDatum(store), CStringGetTextDatum(payment_id), Int64GetDatum(hash)};

	(void) plan_execute(&reported_plan, values, NULL, false);
}
