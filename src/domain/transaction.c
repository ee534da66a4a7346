/*
 * transaction.c
 *		What was bought: set_transaction() and its way through the other files.
 *
 * A store's report of one transaction is read and checked (transaction_report.c) before anything is
 * changed; then, under the locks of all profiles concerned:
 *
 *		what fell due meanwhile is announced (so that events come in the order of time)
 *		the report is merged with what is known, and stored (transaction_row.c)
 *		what happened goes through the state machine (chain_report.c, lifecycle.c): events
 *		the chain's row follows (subscription.c), then access (sharing.c), timers, and the profile
 *
 * The same report again changes nothing and writes nothing.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/arg.h"
#include "base/caller.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/jsonb_build.h"
#include "base/plans.h"
#include "domain/chain_report.h"
#include "domain/grant_row.h"
#include "domain/identity.h"
#include "domain/money.h"
#include "domain/product.h"
#include "domain/profile.h"
#include "domain/purchase_event.h"
#include "domain/sharing.h"
#include "domain/subscription.h"
#include "domain/subscription_timer.h"
#include "domain/transaction.h"
#include "domain/transaction_row.h"

#define MAX_TRIES 10

static const pg_uuid_t nobody = {{0}};

/* A report on its way. */
typedef struct Recording
{
	const TransactionReport *report;
	const pg_uuid_t *reporter;	/* nil: nobody */
	const char *actor;
	PurchasePeople people;
	LockedProfile *locked;		/* all profiles concerned, in the order of profile_id */
	int			n_locked;
	LockedProfile parent;		/* whose purchase it is; nil: nobody's */
	StoredTransaction known;
	TransactionReport *t;		/* the report merged with what is known */
	bool		is_mapped;
	Product		product;		/* if it is mapped */
	Chain		before;
	Chain		chain;
	bool		is_swap;		/* another product took the old one's place before its end */
} Recording;

static inline bool
is_nobody(const pg_uuid_t *profile_id)
{
	return memcmp(profile_id, &nobody, UUID_LEN) == 0;
}

/* ---- refusals ---- */

/* ERROR (22023): a transaction cannot become another kind of purchase, or of another chain. */
static void
check_same_purchase(const TransactionReport *report, const TransactionReport *known)
{
	static const char *const kinds[] = {"one_time_purchase", "subscription"};

	if (known->is_subscription != report->is_subscription)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("invalid value for \"purchase_type\": \"%s\"", kinds[report->is_subscription]),
				 errdetail("Transaction \"%s\" of store \"%s\" is known as a %s.",
						   report->store_transaction_id, report->store, kinds[known->is_subscription]),
				 err_generic_string(PG_DIAG_COLUMN_NAME, "purchase_type")));
	if (strcmp(known->store_original_transaction_id, report->store_original_transaction_id) != 0)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("invalid value for \"store_original_transaction_id\": \"%s\"",
						report->store_original_transaction_id),
				 errdetail("Transaction \"%s\" of store \"%s\" is known with original transaction \"%s\".",
						   report->store_transaction_id, report->store,
						   known->store_original_transaction_id),
				 err_generic_string(PG_DIAG_COLUMN_NAME, "store_original_transaction_id")));
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

/* ---- locks ---- */

static int
compare_uuid(const void *a, const void *b)
{
	return memcmp(a, b, UUID_LEN);
}

/*
 * Locks the reporter, the parent and who inherits, in one order everywhere, so that two reports of
 * one purchase for different profiles do not wait for each other.  false if the reporter is gone.
 */
static bool
lock_people(Recording *r)
{
	pg_uuid_t  *ids = palloc(sizeof(pg_uuid_t) * (r->people.n + 2));
	bool		reporter_is_there = is_nobody(r->reporter);
	int			n = 0;

	if (!is_nobody(r->reporter))
		ids[n++] = *r->reporter;
	if (r->people.has_parent && !is_nobody(&r->people.parent))
		ids[n++] = r->people.parent;
	for (int i = 0; i < r->people.n; i++)
		ids[n++] = r->people.inheritors[i].profile_id;
	qsort(ids, n, sizeof(pg_uuid_t), compare_uuid);
	r->locked = palloc(sizeof(LockedProfile) * (n + 1));
	r->n_locked = 0;
	for (int i = 0; i < n; i++)
	{
		if (i > 0 && compare_uuid(&ids[i], &ids[i - 1]) == 0)
			continue;
		if (!profile_lock(&ids[i], false, NULL, &r->locked[r->n_locked]))
			continue;
		if (compare_uuid(&ids[i], r->reporter) == 0)
			reporter_is_there = true;
		r->n_locked++;
	}
	return reporter_is_there;
}

/* One of the locked profiles; of nobody one that needs no lock; NULL if it is not locked. */
static const LockedProfile *
find_locked(Recording *r, const pg_uuid_t *profile_id)
{
	static LockedProfile of_nobody;

	for (int i = 0; i < r->n_locked; i++)
		if (compare_uuid(&r->locked[i].profile_id, profile_id) == 0)
			return &r->locked[i];
	if (!is_nobody(profile_id))
		return NULL;
	memset(&of_nobody, 0, sizeof(of_nobody));
	of_nobody.now = of_nobody.profile_now = clock_write_now();
	return &of_nobody;
}

/* Announces what fell due of the purchase's grants before this report changes what is known. */
static void
announce_due(const LockedProfile *profile)
{
	GrantGroup	grants = {0};

	grant_load(&profile->profile_id, NULL, &grants);
	for (int i = 0; i < grants.n; i++)
	{
		GrantGroup	level = {0};
		bool		is_done = false;

		for (int j = 0; j < i; j++)
			is_done = is_done || strcmp(grants.grants[j].access_level_id, grants.grants[i].access_level_id) == 0;
		if (is_done)
			continue;
		grant_load(&profile->profile_id, grants.grants[i].access_level_id, &level);
		grant_apply(profile, &level, NULL, 0);
	}
}

/* ---- a subscription's transaction ---- */

/* Is the reported product another than the one that the chain had? */
static bool
is_other_product(const Recording *r)
{
	const TransactionReport *before = &r->before.newest;

	if (r->is_mapped && r->before.is_mapped)
		return memcmp(&r->product.product_id, &r->before.product_id, UUID_LEN) != 0;
	return strcmp(r->t->store_product_id, before->store_product_id) != 0 ||
		strcmp(r->t->store_base_plan_id, before->store_base_plan_id) != 0;
}

/* Writes one event, about the reported transaction or about the one that it took the place of. */
static void
write_event(const Recording *r, EventType type, TimestampTz at, bool is_of_old)
{
	PurchaseEventSource source = {
		.profile_id = &r->parent.profile_id,
		.store = r->t->store,
		.store_transaction_id = r->t->store_transaction_id,
		.actor = r->actor,
	};
	ChainEvent	event = {type, at};

	/*
	 * who inherits a purchase of the family only sees access change: the transaction is its buyer's;
	 * what is nobody's yet is told of when somebody is known
	 */
	if (r->t->is_family_shared || is_nobody(&r->parent.profile_id))
		return;
	if (is_of_old)
	{
		source.store_transaction_id = r->before.newest.store_transaction_id;
		source.cancellation_reason = type == EVENT_SUBSCRIPTION_REFUNDED ? "upgraded" :
			r->before.newest.cancellation_reason != NULL ? r->before.newest.cancellation_reason :
			"voluntarily_cancelled";
	}
	purchase_events_write(&source, &event, 1);
}

/* Sends what a report says through the state machine, and writes the events of the cells. */
static void
run_lifecycle(Recording *r, bool is_newest)
{
	ChainReport report = {
		.merged = &r->t->times,
		.known = r->known.exists ? &r->known.report.times : NULL,
		.newest = r->before.exists ? &r->before.newest.times : NULL,
		.is_newest = is_newest,
		.is_other_product = r->before.exists && is_other_product(r),
		.noticed_at = HAS_TIME(r->report->reported_at) ? r->report->reported_at : r->parent.profile_now,
	};
	DatedInput	inputs[MAX_REPORT_INPUTS];
	int			n = chain_report_inputs(&report, inputs);
	LifecycleState state = r->before.exists ? chain_state(&r->before, r->parent.profile_now) : LIFE_NONE;

	for (int i = 0; i < n; i++)
	{
		LifecycleCell cell = lifecycle_cell(state, inputs[i].input);

		for (int e = 0; e < cell.n_events; e++)
		{
			write_event(r, cell.events[e], inputs[i].at, e == 0 && cell.first_is_of_old);
			if (cell.events[e] == EVENT_TRIAL_STARTED || cell.events[e] == EVENT_SUBSCRIPTION_STARTED)
				chain_set_active_timer(&r->parent, &r->chain, cell.events[e] == EVENT_TRIAL_STARTED,
									   inputs[i].at);
		}
		/* a time that the store gives is the chain's already */
		if (inputs[i].input == INPUT_RENEW_OFF && !HAS_TIME(r->t->times.renew_status_changed_at))
			r->chain.renewal_cancelled_at = inputs[i].at;
		if (inputs[i].input == INPUT_CHANGE_NOW)
			r->is_swap = true;
		state = cell.next;
	}
}

/* The chain in memory as it is with the reported transaction; true if that is its newest. */
static bool
update_chain(Recording *r)
{
	const TransactionReport *t = r->t;
	const pg_uuid_t *product_id = r->is_mapped ? &r->product.product_id : NULL;
	TimestampTz earliest = Min(t->times.purchased_at, t->originally_purchased_at);
	Chain	   *chain = &r->chain;

	*chain = r->before;
	if (!chain->exists)
	{
		chain->profile_id = r->parent.profile_id;
		chain->store = t->store;
		chain->store_original_transaction_id = t->store_original_transaction_id;
		chain->starts_at = earliest;
		chain->renewal_cancelled_at = chain->expiry_announced_at = NO_TIME;
		chain_take(chain, t, product_id);
		return true;
	}
	chain->starts_at = Min(chain->starts_at, earliest);
	if (strcmp(t->store_transaction_id, chain->newest.store_transaction_id) == 0)
	{
		/* what was the newest may now be older than another */
		if (chain_is_newer(&chain->newest, t))
			chain_reread(chain);
		else
			chain_take(chain, t, product_id);
	}
	else if (chain_is_newer(t, &chain->newest))
	{
		chain->renewal_cancelled_at = NO_TIME;
		chain_take(chain, t, product_id);
	}
	return strcmp(t->store_transaction_id, chain->newest.store_transaction_id) == 0;
}

/* Was the end that has been told of taken back: by a newer transaction, or by a later end of the same? */
static void
reopen_chain(Recording *r)
{
	if (r->before.exists &&
		(strcmp(r->before.newest.store_transaction_id, r->chain.newest.store_transaction_id) != 0 ||
		 chain_access_end(&r->chain.newest.times) > r->parent.profile_now))
		r->chain.expiry_announced_at = NO_TIME;
}

/* What users see of a chain besides its interval, as facts of access_level_updated. */
static Jsonb *
chain_facts(const Chain *chain, LifecycleState state)
{
	const TransactionReport *t = &chain->newest;
	JsonbBuild	jb;

	jb_init(&jb);
	jb_begin_object(&jb);
	jb_key(&jb, "store_transaction_id");
	jb_string(&jb, t->store_transaction_id);
	jb_key(&jb, "will_renew");
	jb_bool(&jb, t->times.renew_status && !HAS_TIME(t->times.refunded_at));
	jb_key(&jb, "is_in_grace_period");
	jb_bool(&jb, state == LIFE_GRACE || state == LIFE_TRIAL_GRACE);
	jb_key(&jb, "is_refund");
	jb_bool(&jb, HAS_TIME(t->times.refunded_at));
	if (HAS_TIME(chain->renewal_cancelled_at))
	{
		jb_key(&jb, "renewal_cancelled_at");
		jb_timestamp(&jb, chain->renewal_cancelled_at);
	}
	if (HAS_TIME(t->times.billing_issue_detected_at))
	{
		jb_key(&jb, "billing_issue_detected_at");
		jb_timestamp(&jb, t->times.billing_issue_detected_at);
	}
	if (t->cancellation_reason != NULL)
	{
		jb_key(&jb, "cancellation_reason");
		jb_string(&jb, t->cancellation_reason);
	}
	jb_end_object(&jb);
	return jb_finish(&jb);
}

/* Do users see more of a chain change than its interval? */
static bool
chain_facts_changed(const Chain *before, const Chain *after)
{
	const ChainTransaction *b = &before->newest.times;
	const ChainTransaction *a = &after->newest.times;

	return before->exists &&
		(b->renew_status != a->renew_status ||
		 b->billing_issue_detected_at != a->billing_issue_detected_at ||
		 chain_has_grace(b) != chain_has_grace(a));
}

/* The access level that a chain's newest transaction gives; NULL for none. */
static const char *
chain_access_level(const Recording *r, bool is_newest)
{
	const TransactionReport *newest = &r->chain.newest;
	Product		product;

	if (is_newest)
		return r->is_mapped && !r->product.is_consumable ? r->product.access_level_id : NULL;
	if (!product_of_store(newest->store, newest->store_product_id, newest->store_base_plan_id, &product) ||
		product.is_consumable)
		return NULL;
	return product.access_level_id;
}

/* Gives what a purchase gives to all whom it concerns; true if the parent has a grant of it that runs. */
static bool
give_access(Recording *r, const PurchaseAccess *access)
{
	bool		is_entitled = true;

	if (is_nobody(&r->parent.profile_id))
		return false;
	if (!is_nobody(r->reporter) &&
		(r->people.n > 0 || compare_uuid(r->reporter, &r->parent.profile_id) != 0))
		is_entitled = sharing_decide(r->t, &r->people, &r->parent.profile_id, r->reporter);
	if (access->access_level_id == NULL)
		return false;
	purchase_access_put(&r->parent, access, is_entitled, r->actor, NULL);
	sharing_put(&r->people, &r->parent, r->locked, r->n_locked, access, r->actor, NULL);
	return is_entitled;
}

/* Stores a transaction as it is now; false if another one has stored it meanwhile. */
static bool
store_transaction(const Recording *r, bool *changed)
{
	const pg_uuid_t *product_id = r->is_mapped ? &r->product.product_id : NULL;

	*changed = true;
	if (!r->known.exists)
		return transaction_insert(&r->parent.profile_id, r->t, product_id);
	*changed = !transaction_report_equal(&r->known.report, r->t) ||
		r->known.is_mapped != r->is_mapped ||
		(r->is_mapped && memcmp(&r->known.product_id, &r->product.product_id, UUID_LEN) != 0);
	if (*changed)
		transaction_update(&r->parent.profile_id, r->t, product_id);
	return true;
}

/* A subscription's transaction; false if somebody else came in between. */
static bool
record_subscription(Recording *r)
{
	Chain	   *chain = &r->chain;
	PurchaseAccess access = {.source = GRANT_SOURCE_SUBSCRIPTION};
	bool		is_newest;
	bool		changed;
	bool		has_grant;

	if (r->before.exists)
		chain_announce_end(&r->parent, &r->before, r->actor, true);
	/* the chain's row first: it says whose the chain is */
	if (!r->before.exists && (update_chain(r), !chain_store(chain)))
		return false;
	if (!store_transaction(r, &changed))
		return false;
	is_newest = r->before.exists ? update_chain(r) : true;
	if (changed)
	{
		if (!is_newest)
			money_chain_changed(chain);
		reopen_chain(r);
		run_lifecycle(r, is_newest);
		chain_announce_end(&r->parent, chain, r->actor, false);
		if (r->before.exists || HAS_TIME(chain->expiry_announced_at) ||
			HAS_TIME(chain->renewal_cancelled_at))
			(void) chain_store(chain);
	}
	access.source_id = purchase_source_id(r->t->store, r->t->store_original_transaction_id);
	access.access_level_id = chain_access_level(r, is_newest);
	access.starts_at = chain->starts_at;
	access.expires_at = chain_access_end(&chain->newest.times);
	access.changed_at = chain->newest.times.purchased_at;
	access.revoked = HAS_TIME(chain->newest.times.refunded_at);
	access.facts_changed = chain_facts_changed(&r->before, chain);
	access.is_swap = r->is_swap;
	/* only a chain of several products may have given another level */
	if (r->before.exists && !is_nobody(&r->parent.profile_id) &&
		(is_other_product(r) || purchase_gave_others(&r->parent, access.source, access.source_id,
													 access.access_level_id)))
		access.n_former = chain_former_levels(chain, access.access_level_id, &access.former);
	access.facts = chain_facts(chain, chain_state(chain, r->parent.profile_now));
	has_grant = give_access(r, &access);
	if (changed)
		chain_set_timers(&r->parent, chain, has_grant);
	return true;
}

/* ---- a one-time purchase ---- */

/* A one-time purchase: for life, unless it is consumed; false if somebody else came in between. */
static bool
record_one_time_purchase(Recording *r)
{
	const TransactionReport *t = r->t;
	bool		is_refunded = HAS_TIME(t->times.refunded_at);
	PurchaseAccess access = {
		.source = GRANT_SOURCE_ONE_TIME_PURCHASE,
		.source_id = purchase_source_id(t->store, t->store_transaction_id),
		.access_level_id = r->is_mapped && !r->product.is_consumable ? r->product.access_level_id : NULL,
		.starts_at = t->times.purchased_at,
		.expires_at = is_refunded ? t->times.refunded_at : DT_NOEND,
		.changed_at = t->times.purchased_at,
		.revoked = is_refunded,
	};
	bool		changed;

	if (!store_transaction(r, &changed))
		return false;
	if (!r->known.exists)
		write_event(r, EVENT_NON_SUBSCRIPTION_PURCHASE, t->times.purchased_at, false);
	if (is_refunded && !(r->known.exists && HAS_TIME(r->known.report.times.refunded_at)))
		write_event(r, EVENT_NON_SUBSCRIPTION_PURCHASE_REFUNDED, t->times.refunded_at, false);
	(void) give_access(r, &access);
	return true;
}

/* ---- recording ---- */

/* Who has to do with a purchase as its rows say now: not who was locked? */
static bool
people_changed(const Recording *r)
{
	PurchasePeople now;

	purchase_people_load(r->report, &now);
	return !purchase_people_equal(&now, &r->people);
}

/*
 * Whose purchase it is, and what is known of it.  What is nobody's is claimed for the reporter.
 * false if somebody else claimed it first.
 */
static bool
find_parent(Recording *r)
{
	const pg_uuid_t *parent = r->people.has_parent ? &r->people.parent : r->reporter;

	if (is_nobody(parent) && !is_nobody(r->reporter))
	{
		if (!transaction_claim(r->reporter, r->report))
			return false;
		parent = r->reporter;
	}
	if (find_locked(r, parent) == NULL)
		return false;
	r->parent = *find_locked(r, parent);
	if (r->people.has_parent && !is_nobody(parent))
		announce_due(&r->parent);
	purchase_load(r->report, &r->known, &r->before);
	if (r->known.exists)
		check_same_purchase(r->report, &r->known.report);
	return true;
}

/* One try; false if somebody else's report of the same purchase came in between. */
static bool
try_to_record(Recording *r)
{
	if (people_changed(r) || !find_parent(r))
		return false;
	r->t = palloc(sizeof(TransactionReport));
	*r->t = *r->report;
	if (r->known.exists)
		r->t = transaction_report_merge(&r->known.report, r->report);
	r->is_mapped = product_of_store(r->t->store, r->t->store_product_id, r->t->store_base_plan_id,
									&r->product);
	if (!r->is_mapped)
		warn_unmapped(r->t);
	if (!(r->t->is_subscription ? record_subscription(r) : record_one_time_purchase(r)))
		return false;
	if (!is_nobody(&r->parent.profile_id))
		subscription_refresh_profile(&r->parent);
	return true;
}

/* See transaction.h. */
bool
transaction_record(const pg_uuid_t *reporter, const TransactionReport *report, const char *actor)
{
	for (int i = 0; i < MAX_TRIES; i++)
	{
		Recording	r = {
			.report = report,
			.reporter = reporter != NULL ? reporter : &nobody,
			.actor = actor,
		};

		purchase_people_load(report, &r.people);
		if (!lock_people(&r))
			return false;
		if (try_to_record(&r))
			return true;
	}
	ereport(ERROR,
			(condition_errcode(COND_SERIALIZATION_FAILURE),
			 errmsg("could not record transaction \"%s\" of store \"%s\"",
					report->store_transaction_id, report->store),
			 errdetail("Other transactions kept changing whose purchase it is."),
			 errhint("The transaction might succeed if retried.")));
}

/* adapty.set_transaction(user, transaction, create_missing, reported_at): see the function's COMMENT. */
static Datum
set_transaction(FunctionCallInfo fcinfo, UserRef user)
{
	char	   *actor = caller_actor();
	TransactionReport *report;
	pg_uuid_t	profile_id;
	ApiScope	scope;
	Jsonb	   *shown;
	Jsonb	   *result;

	refuse_unless_writable(fcinfo);
	report = transaction_report_read(arg_jsonb(fcinfo, 1, "transaction"));
	(void) arg_finite_timestamp(fcinfo, 3, "reported_at", &report->reported_at);
	user_resolve_or_create(&user, !PG_ARGISNULL(2) && PG_GETARG_BOOL(2), &profile_id);

	scope_enter(&scope);
	if (!transaction_record(&profile_id, report, actor))
		profile_not_found(&user);
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

/* Marks a chain's newest transaction refunded, with its event. */
static void
refund_chain(const LockedProfile *profile, Chain *chain, TimestampTz at, const char *actor,
			 const char *reason)
{
	TransactionReport *t = &chain->newest;
	PurchaseEventSource source = {
		.profile_id = &profile->profile_id,
		.store = chain->store,
		.store_transaction_id = t->store_transaction_id,
		.actor = actor,
		.reason = reason,
	};
	ChainEvent	event = {EVENT_SUBSCRIPTION_REFUNDED, at};

	if (!transaction_mark_refunded(&profile->profile_id, chain->store, t->store_transaction_id, at))
		return;
	t->times.refunded_at = Max(at, t->times.purchased_at);
	t->cancellation_reason = "refund";
	(void) chain_store(chain);
	purchase_events_write(&source, &event, 1);
}

/* Marks a one-time purchase refunded, with its event. */
static void
refund_one_time_purchase(const LockedProfile *profile, const char *store, const char *id, TimestampTz at,
						 const char *actor, const char *reason)
{
	PurchaseEventSource source = {
		.profile_id = &profile->profile_id,
		.store = store,
		.store_transaction_id = id,
		.actor = actor,
		.reason = reason,
	};
	ChainEvent	event = {EVENT_NON_SUBSCRIPTION_PURCHASE_REFUNDED, at};

	if (transaction_mark_refunded(&profile->profile_id, store, id, at))
		purchase_events_write(&source, &event, 1);
}

/* See transaction.h. */
void
transaction_refund(const LockedProfile *profile, const AccessGrant *grant, TimestampTz at,
				   const char *actor, const char *reason)
{
	bool		is_subscription = grant->source == GRANT_SOURCE_SUBSCRIPTION;
	TransactionReport purchase = {.is_subscription = is_subscription};
	PurchasePeople people = {0};
	PurchaseAccess access = {
		.source = grant->source,
		.source_id = grant->source_id,
		.access_level_id = grant->access_level_id,
		.starts_at = grant->starts_at,
		.expires_at = Max(at, grant->starts_at),
		.changed_at = at,
		.revoked = true,
	};
	char	   *id;
	Chain		chain;

	if (purchase_source_id_split(grant->source_id, &purchase.store, &id))
	{
		purchase.store_original_transaction_id = purchase.store_transaction_id = id;
		purchase_people_load(&purchase, &people);
		if (!is_subscription)
			refund_one_time_purchase(profile, purchase.store, id, at, actor, reason);
		else if (chain_load(&profile->profile_id, purchase.store, id, &chain))
			refund_chain(profile, &chain, at, actor, reason);
	}
	if (grant->expires_at > at)
	{
		purchase_access_put(profile, &access, true, actor, reason);
		sharing_put(&people, profile, NULL, 0, &access, actor, reason);
	}
	subscription_refresh_profile(profile);
}
