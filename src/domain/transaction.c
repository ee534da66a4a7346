/*
 * transaction.c
 *		What was bought: the only writer of transactions.
 *
 * set_transaction() takes a store's report of one transaction.  Everything that can be wrong with it
 * is found before anything is changed; then, under the profile's lock:
 *
 *		what fell due meanwhile is announced (so that events come in the order of time)
 *		the transaction is stored, or what nobody owned is claimed
 *		the chain's state follows from its transactions (subscription.c)
 *		events, then access (grant.c), then the profile's state and revenue
 *
 * The same report again changes nothing and writes nothing.  A refund is not taken back by a report
 * that does not know of it: reports come late and twice.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/arg.h"
#include "base/caller.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/plans.h"
#include "domain/grant.h"
#include "domain/grant_row.h"
#include "domain/identity.h"
#include "domain/product.h"
#include "domain/profile.h"
#include "domain/purchase_event.h"
#include "domain/subscription.h"
#include "domain/transaction.h"
#include "domain/transaction_report.h"

/* A transaction as it was known before a report. */
typedef struct KnownTransaction
{
	bool		is_known;
	bool		is_nobodys;		/* to be claimed */
	ChainTransaction times;		/* of a one-time purchase only purchased_at and refunded_at */
} KnownTransaction;

/* A report on its way through set_transaction(). */
typedef struct Recording
{
	const LockedProfile *profile;
	TransactionReport *report;
	const char *actor;
	char	   *source_id;		/* of the access that it gives */
	KnownTransaction known;
	bool		is_mapped;
	Product		product;		/* if it is mapped */
} Recording;

static SavedPlan known_plan = {
	.name = "known transaction",
	.sql = "SELECT t.profile_id, t.store_original_transaction_id, t.purchase_type::text, "
	"    t.purchased_at, t.expires_at, t.refunded_at, t.renew_status_changed_at, "
	"    t.billing_issue_detected_at, t.grace_period_expires_at, COALESCE(t.renew_status, false), "
	"    COALESCE(t.offer_type OPERATOR(pg_catalog.=) 'free_trial'::adapty.offer_type, false) "
	"FROM adapty.transactions t WHERE t.store OPERATOR(pg_catalog.=) $1 "
	"AND t.store_transaction_id OPERATOR(pg_catalog.=) $2 FOR UPDATE",
	.expected = SPI_OK_SELECT,
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

#define NOBODYS "t.profile_id OPERATOR(pg_catalog.=) '00000000-0000-0000-0000-000000000000'::pg_catalog.uuid "

static SavedPlan claim_one_plan = {
	.name = "claim of a transaction",
	.sql = "UPDATE adapty.transactions t SET profile_id = $1, updated_at = pg_catalog.now() "
	"WHERE " NOBODYS "AND t.store OPERATOR(pg_catalog.=) $2 "
	"AND t.store_transaction_id OPERATOR(pg_catalog.=) $3",
	.expected = SPI_OK_UPDATE,
	.nargs = 3,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID},
};

static SavedPlan claim_chain_plan = {
	.name = "claim of a chain's transactions",
	.sql = "UPDATE adapty.transactions t SET profile_id = $1, updated_at = pg_catalog.now() "
	"WHERE " NOBODYS "AND t.store OPERATOR(pg_catalog.=) $2 "
	"AND t.store_original_transaction_id OPERATOR(pg_catalog.=) $3",
	.expected = SPI_OK_UPDATE,
	.nargs = 3,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID},
};

/* What a report may change of a transaction that is known. */
#define REPORTED_COLUMNS(alias) \
	alias "purchased_at, " alias "originally_purchased_at, " alias "expires_at, " alias "refunded_at, " \
	alias "renew_status_changed_at, " alias "billing_issue_detected_at, " \
	alias "grace_period_expires_at, " alias "environment, " alias "offer_category, " \
	alias "offer_type, " alias "cancellation_reason, " alias "product_id, " alias "renew_status, " \
	alias "is_family_shared, " alias "store_product_id, " alias "store_base_plan_id, " \
	alias "price_country, " alias "price_currency, " alias "price_value, " alias "price_usd, " \
	alias "variation_id, " alias "offer_id"

#define N_PUT_ARGS 26

static SavedPlan put_plan = {
	.name = "transaction",
	.sql = "INSERT INTO adapty.transactions AS t "
	"    (profile_id, store, store_transaction_id, store_original_transaction_id, purchase_type, "
	REPORTED_COLUMNS("") ") "
	"VALUES ($1, $2, $3, $4, $5::adapty.purchase_type, $6, $7, $8, $9, $10, $11, $12, "
	"    $13::adapty.environment, $14::adapty.offer_category, $15::adapty.offer_type, "
	"    $16::adapty.cancellation_reason, $17, $18, $19, $20, $21, $22, $23, $24, "
	"    CASE WHEN $23 OPERATOR(pg_catalog.=) 'USD' THEN $24 END, $25, $26) "
	"ON CONFLICT (store, store_transaction_id) DO UPDATE SET updated_at = pg_catalog.now(), "
	"    (" REPORTED_COLUMNS("") ") = ROW(" REPORTED_COLUMNS("excluded.") ") "
	"WHERE t.profile_id OPERATOR(pg_catalog.=) excluded.profile_id "
	"AND ROW(" REPORTED_COLUMNS("t.") ") IS DISTINCT FROM ROW(" REPORTED_COLUMNS("excluded.") ")",
	.expected = SPI_OK_INSERT,
	.nargs = N_PUT_ARGS,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
		TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
		TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, UUIDOID, BOOLOID,
	BOOLOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, NUMERICOID, TEXTOID, TEXTOID},
};

static SavedPlan refund_plan = {
	.name = "refund of a transaction",
	.sql = "UPDATE adapty.transactions t SET refunded_at = GREATEST($4, t.purchased_at), "
	"    cancellation_reason = 'refund'::adapty.cancellation_reason, updated_at = pg_catalog.now() "
	"WHERE t.profile_id OPERATOR(pg_catalog.=) $1 AND t.store OPERATOR(pg_catalog.=) $2 "
	"AND t.store_transaction_id OPERATOR(pg_catalog.=) $3 AND t.refunded_at IS NULL",
	.expected = SPI_OK_UPDATE,
	.nargs = 4,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID, TIMESTAMPTZOID},
};

/* ---- values of the plans ---- */

/* Arguments of a plan, filled one by one. */
typedef struct PlanArgs
{
	int			n;
	Datum		values[PLAN_MAX_ARGS];
	char		nulls[PLAN_MAX_ARGS + 1];
} PlanArgs;

static void
add_arg(PlanArgs *args, Datum value, bool isnull)
{
	args->values[args->n] = value;
	args->nulls[args->n] = isnull ? 'n' : ' ';
	args->n++;
}

static void
add_text(PlanArgs *args, const char *value)
{
	add_arg(args, value == NULL ? (Datum) 0 : CStringGetTextDatum(value), value == NULL);
}

static void
add_time(PlanArgs *args, TimestampTz value)
{
	add_arg(args, TimestampTzGetDatum(value), !HAS_TIME(value));
}

/* A timestamp column of the first result row; NO_TIME for null. */
static TimestampTz
result_time(int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? NO_TIME : DatumGetTimestampTz(value);
}

/* A boolean column of the first result row that is never null. */
static bool
result_bool(int column)
{
	bool		isnull;

	return DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull));
}

/* ---- the transaction's own row ---- */

/* ERROR (23505): a transaction is somebody else's. */
static void pg_attribute_noreturn()
report_other_owner(const TransactionReport *report)
{
	ereport(ERROR,
			(condition_errcode(COND_TRANSACTION_OF_ANOTHER_PROFILE),
			 errmsg("transaction \"%s\" of store \"%s\" belongs to another profile",
					report->store_transaction_id, report->store),
			 errdetail("A transaction belongs to the profile for which it was reported first."),
			 err_generic_string(PG_DIAG_COLUMN_NAME, "store_transaction_id")));
}

/* ERROR (22023): a transaction cannot become another kind of purchase, or of another chain. */
static void
check_same_purchase(const TransactionReport *report, const char *original_id, const char *purchase_type)
{
	if ((strcmp(purchase_type, "subscription") == 0) != report->is_subscription)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("invalid value for \"purchase_type\": \"%s\"",
						report->is_subscription ? "subscription" : "one_time_purchase"),
				 errdetail("Transaction \"%s\" of store \"%s\" is known as a %s.",
						   report->store_transaction_id, report->store, purchase_type),
				 err_generic_string(PG_DIAG_COLUMN_NAME, "purchase_type")));
	if (strcmp(original_id, report->store_original_transaction_id) != 0)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("invalid value for \"store_original_transaction_id\": \"%s\"",
						report->store_original_transaction_id),
				 errdetail("Transaction \"%s\" of store \"%s\" is known with original transaction \"%s\".",
						   report->store_transaction_id, report->store, original_id),
				 err_generic_string(PG_DIAG_COLUMN_NAME, "store_original_transaction_id")));
}

/*
 * What is known of the reported transaction, locked.  ERROR if it is another profile's, another kind
 * of purchase, or of another chain.
 */
static void
find_known(Recording *r)
{
	static const pg_uuid_t nobody = {{0}};
	Datum		values[2] = {CStringGetTextDatum(r->report->store),
	CStringGetTextDatum(r->report->store_transaction_id)};
	HeapTuple	row;
	TupleDesc	desc;
	pg_uuid_t  *owner;
	bool		isnull;

	memset(&r->known, 0, sizeof(r->known));
	if (plan_execute(&known_plan, values, NULL, false) == 0)
		return;
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	owner = DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
	r->known.is_known = true;
	r->known.is_nobodys = memcmp(owner, &nobody, UUID_LEN) == 0;
	if (!r->known.is_nobodys && memcmp(owner, &r->profile->profile_id, UUID_LEN) != 0)
		report_other_owner(r->report);
	check_same_purchase(r->report, SPI_getvalue(row, desc, 2), SPI_getvalue(row, desc, 3));
	r->known.times.purchased_at = result_time(4);
	r->known.times.expires_at = result_time(5);
	r->known.times.refunded_at = result_time(6);
	r->known.times.renew_status_changed_at = result_time(7);
	r->known.times.billing_issue_detected_at = result_time(8);
	r->known.times.grace_period_expires_at = result_time(9);
	r->known.times.renew_status = result_bool(10);
	r->known.times.is_trial = result_bool(11);
}

/* Makes what nobody owned the profile's: the transaction, or all of its chain. */
static void
claim(const Recording *r)
{
	Datum		values[3] = {UUIDPGetDatum(&r->profile->profile_id),
		CStringGetTextDatum(r->report->store),
	CStringGetTextDatum(r->report->store_original_transaction_id)};

	if (!r->report->is_subscription)
	{
		values[2] = CStringGetTextDatum(r->report->store_transaction_id);
		(void) plan_execute(&claim_one_plan, values, NULL, false);
		return;
	}
	(void) plan_execute(&claim_chain_plan, values, NULL, false);
	subscription_claim(&r->profile->profile_id, r->report->store,
					   r->report->store_original_transaction_id);
}

/* Stores the report; false if nothing is new in it. */
static bool
put_transaction(const Recording *r)
{
	const TransactionReport *t = r->report;
	PlanArgs	args = {0};

	add_arg(&args, UUIDPGetDatum(&r->profile->profile_id), false);
	add_text(&args, t->store);
	add_text(&args, t->store_transaction_id);
	add_text(&args, t->store_original_transaction_id);
	add_text(&args, t->is_subscription ? "subscription" : "one_time_purchase");
	add_time(&args, t->times.purchased_at);
	add_time(&args, t->originally_purchased_at);
	add_time(&args, t->times.expires_at);
	add_time(&args, t->times.refunded_at);
	add_time(&args, t->times.renew_status_changed_at);
	add_time(&args, t->times.billing_issue_detected_at);
	add_time(&args, t->times.grace_period_expires_at);
	add_text(&args, t->environment);
	add_text(&args, t->offer_category);
	add_text(&args, t->offer_type);
	add_text(&args, t->cancellation_reason);
	add_arg(&args, UUIDPGetDatum(&r->product.product_id), !r->is_mapped);
	add_arg(&args, BoolGetDatum(t->times.renew_status), !t->is_subscription);
	add_arg(&args, BoolGetDatum(t->is_family_shared), false);
	add_text(&args, t->store_product_id);
	add_text(&args, t->store_base_plan_id);
	add_text(&args, t->price_country);
	add_text(&args, t->price_currency);
	add_arg(&args, NumericGetDatum(t->price_value), false);
	add_text(&args, t->variation_id);
	add_text(&args, t->offer_id);
	Assert(args.n == N_PUT_ARGS);
	if (plan_execute(&put_plan, args.values, args.nulls, false) > 0)
		return true;
	/* no row: nothing is new, or another profile's report of a new one came in between */
	if (!r->known.is_known)
		report_other_owner(t);
	return false;
}

/* ---- access ---- */

/* All grants that this purchase gave, of whatever level, in the current memory context. */
static GrantGroup
load_source(const LockedProfile *profile, GrantSource source, const char *source_id)
{
	GrantGroup	all = {0};
	int			n = 0;

	grant_load(&profile->profile_id, NULL, &all);
	for (int i = 0; i < all.n; i++)
		if (all.grants[i].source == source && strcmp(all.grants[i].source_id, source_id) == 0)
			all.grants[n++] = all.grants[i];
	all.n = n;
	return all;
}

/* Announces what fell due of the purchase's grants before this report changes what is known. */
static void
announce_due(const LockedProfile *profile, GrantSource source, const char *source_id)
{
	GrantGroup	grants = load_source(profile, source, source_id);

	for (int i = 0; i < grants.n; i++)
	{
		GrantGroup	level = {0};

		grant_load(&profile->profile_id, grants.grants[i].access_level_id, &level);
		grant_apply(profile, &level, NULL, 0);
	}
}

/*
 * Gives a purchase's access to its level for an interval, unless it is so already, and ends what the
 * same purchase gave of other levels (a chain that was upgraded) when the new one was bought.
 */
static void
put_access(const Recording *r, GrantSource source, const char *access_level_id,
		   TimestampTz starts_at, TimestampTz expires_at, bool revoked)
{
	GrantGroup	grants = load_source(r->profile, source, r->source_id);
	TimestampTz changed_at = r->report->times.purchased_at;
	bool		is_so = false;

	/* refunded before it began: never active */
	expires_at = Max(starts_at, expires_at);
	for (int i = 0; i < grants.n; i++)
	{
		const AccessGrant *grant = &grants.grants[i];

		if (strcmp(grant->access_level_id, access_level_id) == 0)
			is_so = grant->starts_at == starts_at && grant->expires_at == expires_at &&
				(grant->revoked_at != DT_NOBEGIN) == revoked;
		else if (grant->expires_at > changed_at)
			grant_put(r->profile, grant->access_level_id, source, r->source_id, grant->starts_at,
					  Max(changed_at, grant->starts_at), true, r->actor, NULL);
	}
	if (!is_so)
		grant_put(r->profile, access_level_id, source, r->source_id, starts_at, expires_at, revoked,
				  r->actor, NULL);
}

/* WARNING: a purchase gives nothing because its store product is not mapped. */
static void
warn_unmapped(const TransactionReport *t)
{
	char	   *plan = t->store_base_plan_id[0] == '\0' ? "" :
		psprintf(", \"store_base_plan_id\": \"%s\"", t->store_base_plan_id);

	ereport(WARNING,
			(errmsg("store product \"%s%s%s\" of store \"%s\" is not mapped to a product, so transaction \"%s\" gives no access",
					t->store_product_id, t->store_base_plan_id[0] == '\0' ? "" : ":",
					t->store_base_plan_id, t->store, t->store_transaction_id),
			 errhint("Map it: SELECT adapty.define_product('a title', access_level_id => 'premium', store_products => '[{\"store\": \"%s\", \"store_product_id\": \"%s\"%s}]'); then report the transaction again.",
					 t->store, t->store_product_id, plan)));
}

/* ---- set_transaction ---- */

/* Writes events about the reported transaction. */
static void
write_events(const Recording *r, const ChainEvent *events, int n)
{
	PurchaseEventSource source = {
		.profile_id = &r->profile->profile_id,
		.store = r->report->store,
		.store_transaction_id = r->report->store_transaction_id,
		.actor = r->actor,
	};

	/* who inherits a purchase only sees access change: the transaction is its buyer's */
	if (!r->report->is_family_shared)
		purchase_events_write(&source, events, n);
}

/* A subscription's transaction: what it means depends on its chain. */
static void
record_subscription(Recording *r)
{
	const TransactionReport *t = r->report;
	const pg_uuid_t *profile_id = &r->profile->profile_id;
	Chain		before;
	Chain		after;
	bool		has_before = chain_load(profile_id, t->store, t->store_original_transaction_id, &before);
	bool		changed = put_transaction(r);
	ChainReport report;
	ChainDecision decision;

	if (!chain_load(profile_id, t->store, t->store_original_transaction_id, &after))
		elog(ERROR, "transaction \"%s\" was not stored", t->store_transaction_id);
	report.reported = &t->times;
	report.same = r->known.is_known ? &r->known.times : NULL;
	report.newest = has_before ? &before.newest : NULL;
	report.is_newest = strcmp(after.store_transaction_id, t->store_transaction_id) == 0;
	report.now = r->profile->profile_now;
	chain_decide(&report, &decision);
	if (changed || r->known.is_nobodys)
	{
		subscription_store(profile_id, t->store, t->store_original_transaction_id,
						   decision.renewal_cancelled_at);
		write_events(r, decision.events, decision.n_events);
	}
	if (after.access_level_id != NULL)
		put_access(r, GRANT_SOURCE_SUBSCRIPTION, after.access_level_id, after.starts_at,
				   chain_access_end(&after.newest), HAS_TIME(after.newest.refunded_at));
	if (changed && decision.is_expired && !t->is_family_shared)
		subscription_write_expired(r->profile, t->store, &after, chain_access_end(&after.newest),
								   r->actor);
}

/* A one-time purchase: for life, unless it is consumed. */
static void
record_one_time_purchase(Recording *r)
{
	const TransactionReport *t = r->report;
	bool		is_refunded = HAS_TIME(t->times.refunded_at);
	ChainEvent	events[2];
	int			n_events = 0;

	(void) put_transaction(r);
	if (!r->known.is_known)
		events[n_events++] = (ChainEvent) {
			EVENT_NON_SUBSCRIPTION_PURCHASE, t->times.purchased_at
		};
	if (is_refunded && !(r->known.is_known && HAS_TIME(r->known.times.refunded_at)))
		events[n_events++] = (ChainEvent) {
			EVENT_NON_SUBSCRIPTION_PURCHASE_REFUNDED, t->times.refunded_at
		};
	write_events(r, events, n_events);
	if (r->is_mapped && r->product.access_level_id != NULL && !r->product.is_consumable)
		put_access(r, GRANT_SOURCE_ONE_TIME_PURCHASE, r->product.access_level_id,
				   t->times.purchased_at, is_refunded ? t->times.refunded_at : DT_NOEND, is_refunded);
}

/* Records a report for a locked profile.  Inside an open scope. */
static void
record_transaction(const LockedProfile *profile, TransactionReport *t, const char *actor)
{
	GrantSource source = t->is_subscription ? GRANT_SOURCE_SUBSCRIPTION : GRANT_SOURCE_ONE_TIME_PURCHASE;
	Recording	r = {.profile = profile, .report = t, .actor = actor};

	r.source_id = purchase_source_id(t->store, t->is_subscription ?
									 t->store_original_transaction_id : t->store_transaction_id);
	find_known(&r);
	if (t->is_subscription &&
		subscription_check_owner(&profile->profile_id, t->store, t->store_original_transaction_id))
		r.known.is_nobodys = true;
	announce_due(profile, source, r.source_id);
	if (r.known.is_nobodys)
		claim(&r);
	if (r.known.is_known && HAS_TIME(r.known.times.refunded_at) && !HAS_TIME(t->times.refunded_at))
	{
		t->times.refunded_at = Max(r.known.times.refunded_at, t->times.purchased_at);
		if (t->cancellation_reason == NULL)
			t->cancellation_reason = "refund";
	}
	r.is_mapped = product_of_store(t->store, t->store_product_id, t->store_base_plan_id, &r.product);
	if (!r.is_mapped)
		warn_unmapped(t);
	if (t->is_subscription)
		record_subscription(&r);
	else
		record_one_time_purchase(&r);
	subscription_refresh_profile(profile);
}

/* adapty.set_transaction(user, transaction, create_missing): see the function's COMMENT. */
static Datum
set_transaction(FunctionCallInfo fcinfo, UserRef user)
{
	char	   *actor = caller_actor();
	TransactionReport *report;
	pg_uuid_t	profile_id;
	LockedProfile profile;
	ApiScope	scope;
	Jsonb	   *shown;
	Jsonb	   *result;

	refuse_unless_writable(fcinfo);
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("transaction must not be null")));
	report = transaction_report_read(PG_GETARG_JSONB_P(1));
	user_resolve_or_create(&user, PG_NARGS() > 2 && !PG_ARGISNULL(2) && PG_GETARG_BOOL(2), &profile_id);
	if (!profile_lock(&profile_id, false, NULL, &profile))
		profile_not_found(&user);

	scope_enter(&scope);
	record_transaction(&profile, report, actor);
	shown = profile_json(&profile_id, false);
	if (shown == NULL)
		profile_not_found(&user);
	result = MemoryContextAlloc(scope.caller_context, VARSIZE(shown));
	memcpy(result, shown, VARSIZE(shown));
	scope_leave(&scope);
	PG_RETURN_JSONB_P(result);
}

FUNCTION_BY_USER(set_transaction);

/* ---- refunds by hand ---- */

/* See transaction.h. */
void
transaction_refund(const LockedProfile *profile, const AccessGrant *grant, TimestampTz at,
				   const char *actor, const char *reason)
{
	bool		is_subscription = grant->source == GRANT_SOURCE_SUBSCRIPTION;
	char	   *store;
	char	   *id;
	Chain		chain;

	if (purchase_source_id_split(grant->source_id, &store, &id) &&
		(!is_subscription || chain_load(&profile->profile_id, store, id, &chain)))
	{
		PurchaseEventSource source = {
			.profile_id = &profile->profile_id,
			.store = store,
			.store_transaction_id = is_subscription ? chain.store_transaction_id : id,
			.actor = actor,
			.reason = reason,
		};
		ChainEvent	event = {is_subscription ? EVENT_SUBSCRIPTION_REFUNDED :
		EVENT_NON_SUBSCRIPTION_PURCHASE_REFUNDED, at};
		Datum		values[4] = {UUIDPGetDatum(&profile->profile_id), CStringGetTextDatum(store),
		CStringGetTextDatum(source.store_transaction_id), TimestampTzGetDatum(at)};

		if (plan_execute(&refund_plan, values, NULL, false) > 0)
		{
			if (is_subscription)
				subscription_store(&profile->profile_id, store, id, NO_TIME);
			purchase_events_write(&source, &event, 1);
		}
	}
	if (grant->expires_at > at)
		grant_put(profile, grant->access_level_id, grant->source, grant->source_id, grant->starts_at,
				  Max(at, grant->starts_at), true, actor, reason);
	subscription_refresh_profile(profile);
}
