/*
 * ingest_chargebee.c
 *		ChargeBee's events as facts.
 *
 * An event's content has every object that it touched, whatever its type: the subscription, the invoice,
 * credit notes, the customer.  Each carries the moment of its own version, which is what orders them.
 * Both catalogues are read: plan_id of version 1, items and item prices of version 2.
 *
 * ChargeBee makes no invoice for a trial: its free period is told by the subscription.  It does not say
 * either whether an event is of a test site, and its ids are counted from 1 in each: those of the sandbox
 * get a prefix, so that they never meet the others.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "domain/ingest.h"
#include "domain/product.h"

#define STORE "chargebee"
#define SANDBOX_PREFIX "test_"
#define TRIAL_SUFFIX "_trial"
#define MAX_ID (MAX_STORE_ID - (int) sizeof(SANDBOX_PREFIX) - (int) sizeof(TRIAL_SUFFIX))
#define MAX_LINES 100			/* looked at */
#define MAX_MILLISECONDS INT64CONST(253402300799999)	/* the end of the year 9999 */

/* An id of a subscription, invoice or the like: unique over both environments. */
static char *
object_id_at(const IngestFacts *facts, JsonNode node, const char *path)
{
	char	   *id = json_id_at(node, path, MAX_ID);

	if (id != NULL && strcmp(facts->environment, "Sandbox") == 0)
		return psprintf(SANDBOX_PREFIX "%s", id);
	return id;
}

/* Whom an object names: in a custom field or in its metadata. */
static char *
named_user(JsonNode node)
{
	char	   *id = json_id_at(node, "cf_customer_user_id", MAX_STORE_ID);

	return id != NULL ? id : json_id_at(node, "meta_data.customer_user_id", MAX_STORE_ID);
}

/* The moment of an object's version, in milliseconds there; else the event's. */
static TimestampTz
version_at(const IngestFacts *facts, JsonNode node)
{
	int64		ms = json_int_at(node, "resource_version", 1, MAX_MILLISECONDS, 0);

	if (ms == 0)
		return facts->occurred_at;
	return ms * 1000 - ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)) * USECS_PER_DAY;
}

static Numeric
amount_at(JsonNode node, const char *path, const char *currency)
{
	Numeric		amount = ingest_amount(STORE, json_number_at(node, path), currency);

	return amount != NULL ? amount : int64_to_numeric(0);
}

static bool
is_mapped(const char *product_id)
{
	Product		product;

	return product_of_store(STORE, product_id, "", &product);
}

/* ---- subscriptions ---- */

/* How it calls them. */
static const StoreStatusName statuses[] = {
	{"future", STORE_INCOMPLETE},
	{"in_trial", STORE_TRIALING},
	{"active", STORE_ACTIVE},
	{"non_renewing", STORE_ACTIVE},
	{"paused", STORE_PAUSED},
	{"cancelled", STORE_ENDED},
	{"transferred", STORE_ENDED},
};

/* What the subscription is of: its plan. */
static char *
read_plan(JsonNode s)
{
	int			n = Min(json_length_at(s, "subscription_items"), MAX_LINES);

	for (int i = 0; i < n; i++)
	{
		JsonNode	item = json_element(json_at(s, "subscription_items"), i);

		if (json_text_is(item, "item_type", "plan"))
			return json_id_at(item, "item_price_id", MAX_STORE_ID);
	}
	return json_id_at(s, "plan_id", MAX_STORE_ID);
}

/* Why it ended. */
static const char *
read_reason(JsonNode s)
{
	if (json_text_is(s, "cancel_reason", "not_paid") || json_text_is(s, "cancel_reason", "no_card"))
		return "billing_error";
	return json_at(s, "cancel_reason") == NULL ? "voluntarily_cancelled" : "unknown";
}

/* The end, planned or past; a pause; payments that fail. */
static void
read_changes(JsonNode s, StoreSubscription *subscription)
{
	TimestampTz cancelled_at = json_epoch_at(s, "cancelled_at");

	subscription->ends_at = subscription->ended_at = NO_TIME;
	subscription->cancellation_reason = NULL;
	subscription->paused_at = json_epoch_at(s, "pause_date");
	subscription->resumes_at = json_epoch_at(s, "resume_date");
	subscription->renewal_cancelled_at = json_epoch_at(s, "cancel_schedule_created_at");
	subscription->billing_issue_at = json_epoch_at(s, "due_since");
	if (subscription->status == STORE_ENDED)
	{
		subscription->ended_at = HAS_TIME(cancelled_at) ? cancelled_at : subscription->reported_at;
		subscription->cancellation_reason = read_reason(s);
	}
	else if (json_text_is(s, "status", "non_renewing"))
		subscription->ends_at = HAS_TIME(cancelled_at) ? cancelled_at : subscription->period_end;
	else if (subscription->status == STORE_ACTIVE && HAS_TIME(subscription->paused_at))
		subscription->status = STORE_PAUSED;
	else if (subscription->status == STORE_ACTIVE && !json_text_is(s, "auto_collection", "off") &&
			 json_int_at(s, "due_invoices_count", 1, PG_INT32_MAX, 0) > 0)
		subscription->status = STORE_PAST_DUE;
}

/* The free period of a trial as a payment of nothing. */
static void
read_trial(const IngestFacts *facts, JsonNode s, StorePayment *payment, int *n_payments)
{
	const StoreSubscription *subscription = &facts->subscription;

	payment->period_start = json_epoch_at(s, "trial_start");
	payment->period_end = subscription->trial_ends_at;
	payment->currency = ingest_currency(json_text_at(s, "currency_code"));
	if (!HAS_TIME(payment->period_start) || !HAS_TIME(payment->period_end) ||
		payment->period_end <= payment->period_start || payment->currency == NULL ||
		subscription->status == STORE_INCOMPLETE)
		return;
	payment->id = psprintf("%s" TRIAL_SUFFIX, subscription->id);
	payment->status = PAYMENT_PAID;
	payment->rank = 0;
	payment->reported_at = subscription->reported_at;
	payment->due_at = NO_TIME;
	payment->charged_at = payment->period_start;
	payment->is_processing = false;
	payment->is_trial = 1;
	payment->amount = int64_to_numeric(0);
	payment->subscription_id = subscription->id;
	payment->customer_id = subscription->customer_id;
	payment->product_id = subscription->product_id;
	(*n_payments)++;
}

static void
read_subscription(JsonNode s, IngestFacts *facts)
{
	StoreSubscription *subscription = &facts->subscription;
	int			order;

	subscription->id = object_id_at(facts, s, "id");
	if (subscription->id == NULL ||
		!ingest_status(s, statuses, lengthof(statuses), &subscription->status, &order))
		return;
	subscription->reported_at = version_at(facts, s);
	subscription->started_at = json_epoch_at(s, "started_at");
	subscription->period_start = json_epoch_at(s, "current_term_start");
	subscription->period_end = json_epoch_at(s, "current_term_end");
	subscription->trial_ends_at = json_epoch_at(s, "trial_end");
	subscription->rank = (int64) (subscription->status == STORE_ENDED) << 52;
	subscription->product_id = read_plan(s);
	subscription->customer_id = object_id_at(facts, s, "customer_id");
	read_changes(s, subscription);
	facts->has_subscription = true;
	read_trial(facts, s, &facts->payments[facts->n_payments], &facts->n_payments);
	facts->customer_id = subscription->customer_id;
	facts->customer_user_id = named_user(s);
}

/* ---- invoices ---- */

/* The line that says what an invoice pays for: the plan of a subscription, else whatever is sold. */
static JsonNode
main_line(JsonNode invoice, bool of_subscription, char **product_id)
{
	JsonNode	lines = json_at(invoice, "line_items");
	JsonNode	best = NULL;
	int			best_worth = 0;
	int			n = Min(json_length_at(lines, ""), MAX_LINES);

	for (int i = 0; i < n; i++)
	{
		JsonNode	line = json_element(lines, i);
		char	   *id = json_id_at(line, "entity_id", MAX_STORE_ID);
		bool		is_plan = json_text_is(line, "entity_type", "plan_item_price") ||
			json_text_is(line, "entity_type", "plan");
		int			worth;

		if (id == NULL || (of_subscription && !is_plan))
			continue;
		worth = is_mapped(id) ? 2 : 1;
		if (worth < best_worth ||
			(worth == best_worth && json_epoch_at(line, "date_to") <= json_epoch_at(best, "date_to")))
			continue;
		best = line;
		best_worth = worth;
		*product_id = id;
	}
	return best;
}

static PaymentStatus
invoice_status(JsonNode invoice)
{
	if (json_bool_at(invoice, "deleted") || json_text_is(invoice, "status", "voided"))
		return PAYMENT_VOID;
	if (json_text_is(invoice, "status", "paid"))
		return PAYMENT_PAID;
	if (json_text_is(invoice, "status", "posted") || json_text_is(invoice, "status", "payment_due") ||
		json_text_is(invoice, "status", "not_paid"))
		return PAYMENT_OPEN;
	return PAYMENT_DRAFT;
}

static void
read_invoice(JsonNode invoice, IngestFacts *facts)
{
	StorePayment *payment = &facts->payments[facts->n_payments];
	JsonNode	line;
	char	   *product_id = NULL;

	payment->id = object_id_at(facts, invoice, "id");
	payment->currency = ingest_currency(json_text_at(invoice, "currency_code"));
	if (payment->id == NULL || payment->currency == NULL)
		return;
	payment->subscription_id = object_id_at(facts, invoice, "subscription_id");
	payment->customer_id = object_id_at(facts, invoice, "customer_id");
	payment->status = invoice_status(invoice);
	payment->rank = payment->status;
	payment->reported_at = version_at(facts, invoice);
	payment->charged_at = json_epoch_at(invoice, "date");
	if (!HAS_TIME(payment->charged_at))
		payment->charged_at = facts->occurred_at;
	payment->due_at = json_text_is(invoice, "status", "posted") ? json_epoch_at(invoice, "due_date") : NO_TIME;
	payment->is_processing = false;
	payment->is_trial = 0;
	payment->amount = payment->status == PAYMENT_VOID || payment->status == PAYMENT_DRAFT ?
		int64_to_numeric(0) :
		amount_at(invoice, payment->status == PAYMENT_PAID ? "amount_paid" : "total", payment->currency);
	payment->country = ingest_country(json_text_at(invoice, "billing_address.country"));
	line = main_line(invoice, payment->subscription_id != NULL, &product_id);
	payment->product_id = product_id;
	payment->period_start = payment->charged_at;
	payment->period_end = NO_TIME;
	if (payment->subscription_id != NULL)
	{
		TimestampTz from = json_epoch_at(line, "date_from");

		payment->period_end = json_epoch_at(line, "date_to");
		if (HAS_TIME(from))
			payment->period_start = from;
		if (!HAS_TIME(payment->period_end) || payment->period_end <= payment->period_start)
			payment->product_id = NULL;
	}
	facts->n_payments++;
	if (facts->customer_id == NULL)
		facts->customer_id = payment->customer_id;
}

/* ---- money back ---- */

static void
read_credit_note(JsonNode note, IngestFacts *facts)
{
	StoreRefund *refund = &facts->refunds[facts->n_refunds];
	const char *currency = ingest_currency(json_text_at(note, "currency_code"));

	if (facts->n_refunds == MAX_EVENT_REFUNDS)
		return;
	refund->id = object_id_at(facts, note, "id");
	refund->payment_id = object_id_at(facts, note, "reference_invoice_id");
	if (refund->id == NULL || refund->payment_id == NULL || currency == NULL)
		return;
	refund->reported_at = version_at(facts, note);
	refund->refunded_at = json_epoch_at(note, "refunded_at");
	if (!HAS_TIME(refund->refunded_at))
		refund->refunded_at = json_epoch_at(note, "date");
	if (!HAS_TIME(refund->refunded_at))
		refund->refunded_at = facts->occurred_at;
	refund->amount = amount_at(note, "amount_refunded", currency);
	refund->is_effective = json_int_at(note, "amount_refunded", 1, PG_INT64_MAX, 0) > 0 &&
		!json_text_is(note, "status", "voided") && !json_bool_at(note, "deleted");
	refund->is_full = false;
	refund->rank = json_int_at(note, "amount_refunded", 0, PG_INT64_MAX, 0);
	facts->n_refunds++;
	if (facts->customer_id == NULL)
		facts->customer_id = object_id_at(facts, note, "customer_id");
}

/* ---- events ---- */

static bool
read_envelope(JsonNode event, IngestFacts *facts, const char **type)
{
	facts->event_id = json_id_at(event, "id", MAX_STORE_ID);
	facts->occurred_at = json_epoch_at(event, "occurred_at");
	*type = json_id_at(event, "event_type", MAX_STORE_ID);
	return facts->event_id != NULL && *type != NULL && HAS_TIME(facts->occurred_at) &&
		json_at(event, "content") != NULL;
}

static void
read_event(JsonNode event, const char *type, IngestFacts *facts)
{
	JsonNode	content = json_at(event, "content");
	int			n = json_length_at(content, "credit_notes");

	(void) type;
	read_subscription(json_at(content, "subscription"), facts);
	read_invoice(json_at(content, "invoice"), facts);
	read_credit_note(json_at(content, "credit_note"), facts);
	for (int i = 0; i < n; i++)
		read_credit_note(json_element(json_at(content, "credit_notes"), i), facts);
	if (facts->customer_id == NULL)
		facts->customer_id = object_id_at(facts, content, "customer");
	if (facts->customer_user_id == NULL)
		facts->customer_user_id = named_user(json_at(content, "customer"));
	if (!facts->has_subscription && facts->n_payments == 0 && facts->n_refunds == 0 &&
		(facts->customer_id == NULL || facts->customer_user_id == NULL))
		facts->ignored = "Nothing in the event says anything about purchases.";
}

const IngestProvider ingest_chargebee = {STORE, read_envelope, read_event, NULL};
