/*
 * ingest_report.c
 *		From what is known of the stores' objects to reports of transactions.
 *
 * One transaction a paid period.  What it says depends on nothing but what is known of its payment and,
 * for the chain's current one, of the subscription: so the same facts make the same reports, in
 * whatever order they came.
 *
 *		paid payment of a subscription	a transaction of its chain; the last one is the current
 *		unpaid payment of the next one	no transaction; the current one has a billing issue once the
 *										store says so
 *		bill that may be paid later		a transaction that gives access until it is due
 *		paid payment without			a one-time purchase
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/hashfn.h"
#include "common/sha2.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/guc.h"
#include "base/jsonb_build.h"
#include "domain/ingest.h"
#include "domain/transaction.h"

#define MAX_TRANSACTION_ID 50	/* characters */
#define NO_COUNTRY "ZZ"			/* ISO 3166 leaves it to users: a country that nobody told */

/* A chain on its way to its reports. */
typedef struct Reporting
{
	const IngestFacts *facts;
	const KnownChain *chain;
	const pg_uuid_t *profile_id;	/* NULL: nobody is known */
	const char *actor;
	int			first;			/* the first and the current of the payments that count, or -1 */
	int			current;
	List	   *transactions;
} Reporting;

/* What a report says of a subscription beyond the payment. */
typedef struct ReportedState
{
	TimestampTz expires_at;
	TimestampTz renew_status_changed_at;
	TimestampTz billing_issue_detected_at;
	TimestampTz grace_period_expires_at;
	TimestampTz paused_at;
	TimestampTz resumes_at;
	bool		renew_status;
	const char *cancellation_reason;
} ReportedState;

/* See ingest.h. */
char *
ingest_transaction_id(const char *id)
{
	pg_cryptohash_ctx *ctx;
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	char		hex[PG_SHA256_DIGEST_LENGTH * 2 + 1];

	if (pg_mbstrlen(id) <= MAX_TRANSACTION_ID)
		return pstrdup(id);
	ctx = pg_cryptohash_create(PG_SHA256);
	if (ctx == NULL || pg_cryptohash_init(ctx) < 0 ||
		pg_cryptohash_update(ctx, (const uint8 *) id, strlen(id)) < 0 ||
		pg_cryptohash_final(ctx, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not hash an identifier");
	pg_cryptohash_free(ctx);
	for (int i = 0; i < PG_SHA256_DIGEST_LENGTH; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return pnstrdup(hex, MAX_TRANSACTION_ID);
}

/* ---- which payments count ---- */

/* Is the chain's subscription in a state that gives nothing yet, or never will? */
static bool
is_incomplete(const KnownChain *chain)
{
	return chain->has_subscription && chain->subscription.status == STORE_INCOMPLETE;
}

/* Is a payment the one that the subscription names as that of its current period? */
static bool
is_latest(const KnownChain *chain, const StorePayment *p)
{
	return chain->has_subscription && chain->subscription.latest_payment_id != NULL &&
		strcmp(chain->subscription.latest_payment_id, p->id) == 0;
}

/*
 * Does a payment make a transaction?  What is paid does.  A bill does as soon as it is sent, because
 * the store gives its customers until it is due.  What is to be charged and is not paid yet does only
 * if it is the very first and the store says that the subscription runs: some ways to pay take days.
 */
static bool
payment_counts(const KnownChain *chain, const StorePayment *p, bool is_first)
{
	if (p->product_id == NULL)
		return false;
	if (p->subscription_id == NULL)
		return p->status == PAYMENT_PAID;
	if (p->status == PAYMENT_PAID)
		return true;
	if (p->status == PAYMENT_DRAFT || is_incomplete(chain))
		return false;
	if (HAS_TIME(p->due_at))
		return true;
	return p->status == PAYMENT_OPEN && is_first && is_latest(chain, p) &&
		HAS_TIME(chain->subscription.started_at) &&
		p->period_start <= chain->subscription.started_at + USECS_PER_HOUR;
}

/* Finds the first and the current of the payments that count; marks them all. */
static bool *
find_counting(Reporting *r)
{
	bool	   *counts = palloc0(sizeof(bool) * Max(r->chain->n, 1));

	r->first = r->current = -1;
	for (int i = 0; i < r->chain->n; i++)
	{
		counts[i] = payment_counts(r->chain, &r->chain->payments[i].payment, r->first < 0);
		if (!counts[i])
			continue;
		if (r->first < 0)
			r->first = i;
		r->current = i;
	}
	return counts;
}

/*
 * Is it the free period of a trial?  1, 0, or -1 as long as only the subscription can tell and is not
 * known.
 */
static int
is_trial(const KnownChain *chain, const StorePayment *p)
{
	if (p->is_trial >= 0)
		return p->is_trial;
	if (!chain->has_subscription)
		return -1;
	return HAS_TIME(chain->subscription.trial_ends_at) && HAS_TIME(p->period_end) &&
		p->period_start < chain->subscription.trial_ends_at &&
		p->period_end <= chain->subscription.trial_ends_at;
}

/* ---- the state of a subscription's transaction ---- */

/* The end of what a payment pays for: of an unpaid bill when it is due. */
static TimestampTz
payment_end(const KnownChain *chain, const StorePayment *p)
{
	TimestampTz least = p->period_start + USECS_PER_SEC;
	TimestampTz end = HAS_TIME(p->period_end) ? p->period_end : least;

	if (p->status == PAYMENT_VOID)
		end = least;
	else if (p->status == PAYMENT_OPEN && HAS_TIME(p->due_at))
		end = Min(end, p->due_at);
	else if (p->status == PAYMENT_OPEN && chain->has_subscription &&
			 (chain->subscription.status == STORE_PAST_DUE ||
			  chain->subscription.status == STORE_UNPAID))
		end = least;
	return Max(end, least);
}

/* The latest payment, if the store has not got it and it is not the current one; NULL for none. */
static const StorePayment *
missing_payment(const Reporting *r)
{
	for (int i = r->chain->n - 1; i >= 0; i--)
	{
		const StorePayment *p = &r->chain->payments[i].payment;

		if (is_latest(r->chain, p))
			return p->status != PAYMENT_PAID && i != r->current ? p : NULL;
	}
	return NULL;
}

/*
 * Is the subscription's complaint that payment fails out of date, because the payment it is about is
 * known to be made?
 */
static bool
is_paid_meanwhile(const Reporting *r)
{
	const StoreSubscription *s = &r->chain->subscription;
	const StorePayment *current = &r->chain->payments[r->current].payment;

	if (current->status != PAYMENT_PAID)
		return false;
	if (s->latest_payment_id != NULL)
		return is_latest(r->chain, current);
	return current->reported_at > s->reported_at && HAS_TIME(s->period_start) &&
		current->period_start >= s->period_start;
}

/* Payment fails: since when, and how long access goes on all the same. */
static void
set_billing_issue(const Reporting *r, ReportedState *state)
{
	const StoreSubscription *s = &r->chain->subscription;
	const StorePayment *missing = missing_payment(r);

	state->billing_issue_detected_at = state->expires_at;
	if (missing != NULL && HAS_TIME(missing->charged_at))
		state->billing_issue_detected_at = missing->charged_at;
	else if (HAS_TIME(s->billing_issue_at))
		state->billing_issue_detected_at = s->billing_issue_at;
	if (adapty_ingest_grace_period > 0 && s->status == STORE_PAST_DUE)
		state->grace_period_expires_at = state->expires_at +
			adapty_ingest_grace_period * USECS_PER_MINUTE;
}

/*
 * A subscription that runs.  While it renews, a margin bridges the time from the end of a period until
 * the store has charged and told of it; a payment that takes longer than that moves the end as long as
 * the store says that the subscription is active.
 */
static void
set_running(const Reporting *r, ReportedState *state)
{
	const StoreSubscription *s = &r->chain->subscription;
	TimestampTz margin = adapty_ingest_renewal_margin * USECS_PER_MINUTE;
	const StorePayment *missing;

	if (r->chain->has_subscription && HAS_TIME(s->ends_at) && s->ends_at <= state->expires_at)
	{
		state->renew_status = false;
		state->renew_status_changed_at = s->renewal_cancelled_at;
		state->expires_at = s->ends_at;
		return;
	}
	missing = missing_payment(r);
	if (missing != NULL && missing->status == PAYMENT_OPEN && missing->is_processing &&
		HAS_TIME(s->period_end) && s->period_end > state->expires_at)
		state->expires_at = s->period_end;
	state->expires_at += margin;
}

/* A subscription that is over: by its owner's wish, or because payment failed. */
static void
set_ended(const Reporting *r, ReportedState *state)
{
	const StoreSubscription *s = &r->chain->subscription;

	state->cancellation_reason = s->cancellation_reason;
	if (HAS_TIME(s->ended_at))
		state->expires_at = Min(state->expires_at, s->ended_at);
	if (s->cancellation_reason != NULL && strcmp(s->cancellation_reason, "billing_error") == 0)
	{
		set_billing_issue(r, state);
		return;
	}
	state->renew_status = false;
	state->renew_status_changed_at = HAS_TIME(s->renewal_cancelled_at) ? s->renewal_cancelled_at :
		s->ended_at;
}

/*
 * What is paid for afterwards, by use, is paid with an invoice of the period before; the store says all the
 * same that this is the payment of the current one, or, while it is not made, that the next is due.
 */
static void
extend_by_use(const Reporting *r, ReportedState *state)
{
	const StoreSubscription *s = &r->chain->subscription;
	const StorePayment *current = &r->chain->payments[r->current].payment;
	const StorePayment *missing = missing_payment(r);

	if (!r->chain->has_subscription || !HAS_TIME(s->period_start) || !HAS_TIME(s->period_end))
		return;
	if (current->status == PAYMENT_PAID && is_latest(r->chain, current) &&
		s->period_start >= state->expires_at - USECS_PER_SEC)
		state->expires_at = Max(state->expires_at, s->period_end);
	else if (missing != NULL && HAS_TIME(missing->period_end) && missing->period_end <= s->period_start)
		state->expires_at = Max(state->expires_at, s->period_start);
}

/* What the chain's current transaction says besides its payment. */
static void
set_current(const Reporting *r, ReportedState *state)
{
	const StoreSubscription *s = &r->chain->subscription;
	TimestampTz least = r->chain->payments[r->current].payment.period_start + USECS_PER_SEC;
	StoreStatus status = r->chain->has_subscription ? s->status : STORE_ACTIVE;

	if ((status == STORE_PAST_DUE || status == STORE_UNPAID) && is_paid_meanwhile(r))
		status = STORE_ACTIVE;
	extend_by_use(r, state);
	switch (status)
	{
		case STORE_INCOMPLETE:
		case STORE_TRIALING:
		case STORE_ACTIVE:
			set_running(r, state);
			break;
		case STORE_PAST_DUE:
			set_billing_issue(r, state);
			break;
		case STORE_UNPAID:
			set_billing_issue(r, state);
			state->cancellation_reason = "billing_error";
			break;
		case STORE_PAUSED:
			state->paused_at = HAS_TIME(s->paused_at) ? Min(s->paused_at, state->expires_at) :
				state->expires_at;
			state->resumes_at = s->resumes_at;
			break;
		case STORE_ENDED:
			set_ended(r, state);
			break;
	}
	state->expires_at = Max(state->expires_at, least);
	if (HAS_TIME(state->paused_at))
		state->paused_at = Max(state->paused_at, least);
}

/* ---- reports ---- */

static void
put_time(JsonbBuild *jb, const char *key, TimestampTz value)
{
	if (!HAS_TIME(value))
		return;
	jb_key(jb, key);
	jb_timestamp(jb, value);
}

static void
put_text(JsonbBuild *jb, const char *key, const char *value)
{
	if (value == NULL)
		return;
	jb_key(jb, key);
	jb_string(jb, value);
}

/* What was paid less what was given back of it; nothing if the store gave up on a bill. */
static Numeric
net_amount(const KnownChain *chain, const KnownPayment *known)
{
	Datum		amount = NumericGetDatum(known->payment.amount);
	Datum		refunded;

	if (known->payment.status == PAYMENT_OPEN && chain->has_subscription &&
		(chain->subscription.status == STORE_PAST_DUE || chain->subscription.status == STORE_UNPAID ||
		 chain->subscription.status == STORE_ENDED))
		return int64_to_numeric(0);
	if (known->refunded_amount == NULL)
		return known->payment.amount;
	refunded = NumericGetDatum(known->refunded_amount);
	if (DatumGetBool(DirectFunctionCall2(numeric_ge, refunded, amount)))
		return known->payment.amount;
	return DatumGetNumeric(DirectFunctionCall2(numeric_sub, amount, refunded));
}

/* Was all of it given back?  In one, or in parts that make it up. */
static bool
is_refunded(const KnownPayment *known)
{
	if (known->is_refunded)
		return true;
	return known->refunded_amount != NULL &&
		DatumGetBool(DirectFunctionCall2(numeric_gt, NumericGetDatum(known->refunded_amount),
										 NumericGetDatum(int64_to_numeric(0)))) &&
		DatumGetBool(DirectFunctionCall2(numeric_ge, NumericGetDatum(known->refunded_amount),
										 NumericGetDatum(known->payment.amount)));
}

/* The fields that both kinds of purchase have. */
static void
put_common(const Reporting *r, JsonbBuild *jb, const KnownPayment *known, const char *original_id,
		   const char *product_id, const char *cancellation_reason)
{
	const StorePayment *p = &known->payment;

	put_text(jb, "store", r->facts->store);
	put_text(jb, "environment", known->environment);
	put_text(jb, "store_product_id", product_id);
	put_text(jb, "store_transaction_id", ingest_transaction_id(p->id));
	put_text(jb, "store_original_transaction_id", original_id);
	put_text(jb, "variation_id", p->variation_id);
	put_time(jb, "purchased_at", p->period_start);
	jb_key(jb, "price");
	jb_begin_object(jb);
	put_text(jb, "country", p->country != NULL ? p->country : NO_COUNTRY);
	put_text(jb, "currency", p->currency);
	jb_key(jb, "value");
	jb_numeric(jb, net_amount(r->chain, known));
	jb_end_object(jb);
	if (is_refunded(known))
	{
		put_time(jb, "refunded_at", Max(known->refunded_at, p->period_start));
		cancellation_reason = "refund";
	}
	put_text(jb, "cancellation_reason", cancellation_reason);
}

/*
 * Hands a report to the core, unless it says what was handed over last; force: all the same.  Of a chain
 * of many periods an event changes one or two.
 */
static void
hand_over(Reporting *r, const KnownPayment *known, JsonbBuild *jb, const char *base_plan_id,
		  TimestampTz reported_at, bool force)
{
	Jsonb	   *json = jb_finish(jb);
	uint64		hash = hash_bytes_extended((unsigned char *) VARDATA(json), VARSIZE(json) - VARHDRSZ, 0);
	TransactionReport *report;

	if (base_plan_id != NULL)
		hash = hash_bytes_extended((const unsigned char *) base_plan_id, strlen(base_plan_id), hash);
	if (!force && known->is_reported && known->report_hash == (int64) hash)
		return;
	report = transaction_report_read(json);
	/* in the API only Google Play's products can carry a base plan, in their name */
	if (base_plan_id != NULL)
		report->store_base_plan_id = pstrdup(base_plan_id);
	report->reported_at = reported_at;
	if (!transaction_record(r->profile_id, report, r->actor))
		(void) transaction_record(NULL, report, r->actor);	/* the profile was deleted just now */
	ingest_set_reported(r->facts->store, known->payment.id, (int64) hash);
	r->transactions = lappend(r->transactions, report->store_transaction_id);
}

/* Reports a purchase without a subscription. */
static void
report_purchase(Reporting *r, int i, bool force)
{
	const KnownPayment *known = &r->chain->payments[i];
	JsonbBuild	jb;

	jb_init(&jb);
	jb_begin_object(&jb);
	put_text(&jb, "purchase_type", "one_time_purchase");
	put_common(r, &jb, known, ingest_transaction_id(known->payment.id), known->payment.product_id, NULL);
	jb_end_object(&jb);
	hand_over(r, known, &jb, known->payment.base_plan_id, known->reported_at, force);
}

/*
 * Is the product that the subscription is of now that of a payment's period too?  After a change without
 * a payment of its own it is: the difference comes with the next one.
 */
static bool
is_changed_within(const Reporting *r, const StorePayment *p)
{
	const StoreSubscription *s = &r->chain->subscription;

	return r->chain->has_subscription && s->product_id != NULL && s->status != STORE_ENDED &&
		(s->latest_payment_id == NULL || is_latest(r->chain, p)) &&
		s->reported_at >= p->reported_at && HAS_TIME(s->period_start) && HAS_TIME(p->period_end) &&
		s->period_start < p->period_end;
}

/* Reports one payment of a subscription. */
static void
report_period(Reporting *r, int i, bool force)
{
	const KnownPayment *known = &r->chain->payments[i];
	const StorePayment *p = &known->payment;
	const StoreSubscription *s = &r->chain->subscription;
	TimestampTz original = r->chain->payments[r->first].payment.period_start;
	TimestampTz reported_at = known->reported_at;
	const char *product_id = p->product_id;
	const char *base_plan_id = p->base_plan_id;
	ReportedState state = {
		.expires_at = payment_end(r->chain, p),
		.renew_status_changed_at = NO_TIME,
		.billing_issue_detected_at = NO_TIME,
		.grace_period_expires_at = NO_TIME,
		.paused_at = NO_TIME,
		.resumes_at = NO_TIME,
		.renew_status = true,
	};
	JsonbBuild	jb;

	if (r->chain->has_subscription)
	{
		reported_at = Max(reported_at, s->reported_at);
		if (HAS_TIME(s->started_at))
			original = Min(original, s->started_at);
	}
	if (i == r->current)
	{
		set_current(r, &state);
		if (is_changed_within(r, p))
		{
			product_id = s->product_id;
			base_plan_id = s->base_plan_id;
		}
	}
	jb_init(&jb);
	jb_begin_object(&jb);
	put_text(&jb, "purchase_type", "subscription");
	put_common(r, &jb, known, p->subscription_id, product_id, state.cancellation_reason);
	put_time(&jb, "originally_purchased_at", original);
	put_time(&jb, "expires_at", state.expires_at);
	jb_key(&jb, "renew_status");
	jb_bool(&jb, state.renew_status);
	put_time(&jb, "renew_status_changed_at", state.renew_status_changed_at);
	put_time(&jb, "billing_issue_detected_at", state.billing_issue_detected_at);
	put_time(&jb, "grace_period_expires_at", state.grace_period_expires_at);
	put_time(&jb, "paused_at", state.paused_at);
	if (HAS_TIME(state.resumes_at) && state.resumes_at > state.paused_at)
		put_time(&jb, "resumes_at", state.resumes_at);
	if (is_trial(r->chain, p) == 1)
	{
		jb_key(&jb, "offer");
		jb_begin_object(&jb);
		put_text(&jb, "category", "introductory");
		put_text(&jb, "type", "free_trial");
		jb_end_object(&jb);
	}
	jb_end_object(&jb);
	hand_over(r, known, &jb, base_plan_id, reported_at, force);
}

/* The payment that counts before another; -1 for none. */
static int
previous_counting(const bool *counts, int i)
{
	while (--i >= 0 && !counts[i])
		;
	return i;
}

/*
 * Was another product bought when the old one's period was over?  Then the old one's end, exact, comes
 * first: it expired, and a new one began.
 */
static bool
is_change_at_renewal(const Reporting *r, int previous)
{
	const StorePayment *p = &r->chain->payments[previous].payment;
	const StorePayment *current = &r->chain->payments[r->current].payment;

	return is_trial(r->chain, p) != 1 && current->period_start >= payment_end(r->chain, p) &&
		(strcmp(p->product_id, current->product_id) != 0 ||
		 strcmp(p->base_plan_id != NULL ? p->base_plan_id : "",
				current->base_plan_id != NULL ? current->base_plan_id : "") != 0);
}

/*
 * Reports the payments of a subscription of which something is new.  The current one comes before the one
 * whose place it took, which then ends without an end that anybody sees.
 */
static void
report_subscription(Reporting *r, const bool *counts, bool force)
{
	int			previous = previous_counting(counts, r->current);
	bool		previous_first = previous >= 0 && is_change_at_renewal(r, previous);

	for (int i = 0; i < r->current; i++)
		if (counts[i] && i != previous && is_trial(r->chain, &r->chain->payments[i].payment) >= 0)
			report_period(r, i, force);
	if (previous_first)
		report_period(r, previous, force);
	report_period(r, r->current, force);
	if (previous >= 0 && !previous_first && is_trial(r->chain, &r->chain->payments[previous].payment) >= 0)
		report_period(r, previous, force);
}

/* See ingest.h. */
void
ingest_report_chain(const IngestFacts *facts, const KnownChain *chain, const pg_uuid_t *profile_id,
					const char *actor, bool force, List **transactions, const char **detail)
{
	Reporting	r = {
		.facts = facts,
		.chain = chain,
		.profile_id = profile_id,
		.actor = actor,
		.transactions = *transactions,
	};
	bool	   *counts = find_counting(&r);

	if (r.current < 0)
	{
		if (!is_incomplete(chain))
			*detail = "Nothing is paid yet, or the payment's own event has not come.";
		return;
	}
	if (chain->payments[r.current].payment.subscription_id == NULL)
		report_purchase(&r, r.current, force);
	else if (is_trial(chain, &chain->payments[r.current].payment) < 0)
		*detail = "The subscription's own event has not come; it tells whether this is a trial.";
	else
		report_subscription(&r, counts, force);
	*transactions = r.transactions;
}
