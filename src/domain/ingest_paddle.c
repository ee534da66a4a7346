/*
 * ingest_paddle.c
 *		Paddle Billing's events as facts.
 *
 *		subscription.*		the subscription
 *		transaction.*		the payment of a period, or of a purchase
 *		adjustment.*		a refund or a chargeback, once it is approved
 *		customer.created, .updated	who the customer is
 *
 * Paddle does not say in an event whether it is of the sandbox: the secret that proves it does.  Nor
 * does it say in which country the customer is.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "domain/ingest.h"
#include "domain/product.h"

#define STORE "paddle"
#define MAX_ITEMS 100			/* looked at */

static char *
id_at(JsonNode node, const char *path)
{
	return json_id_at(node, path, MAX_STORE_ID);
}

/* Whom custom data name. */
static char *
named_user(JsonNode node)
{
	return id_at(node, "custom_data.customer_user_id");
}

/* {"interval": "month", "frequency": 1} after a moment; NO_TIME if it is no such thing. */
static TimestampTz
after_cycle(TimestampTz moment, JsonNode cycle)
{
	Interval	duration = {0};
	int			n = (int) json_int_at(cycle, "frequency", 1, 3650, 0);

	if (n == 0 || !HAS_TIME(moment))
		return NO_TIME;
	if (json_text_is(cycle, "interval", "day"))
		duration.day = n;
	else if (json_text_is(cycle, "interval", "week"))
		duration.day = 7 * n;
	else if (json_text_is(cycle, "interval", "month"))
		duration.month = n;
	else if (json_text_is(cycle, "interval", "year"))
		duration.month = MONTHS_PER_YEAR * n;
	else
		return NO_TIME;
	return clock_add(moment, &duration);
}

/*
 * The item that says what is paid for: recurring or not, as asked; the first that is a product of ours,
 * else the first.
 */
static JsonNode
main_item(JsonNode object, bool recurring, const char **product_id, const char **price_id)
{
	JsonNode	items = json_at(object, "items");
	JsonNode	first = NULL;
	int			n = Min(json_length_at(items, ""), MAX_ITEMS);

	for (int i = 0; i < n; i++)
	{
		JsonNode	item = json_element(items, i);
		char	   *product = id_at(item, "price.product_id");
		char	   *price = id_at(item, "price.id");
		Product		ours;
		bool		mapped;

		if (product == NULL || (json_at(item, "price.billing_cycle") != NULL) != recurring)
			continue;
		mapped = product_of_store(STORE, product, price != NULL ? price : "", &ours);
		if (first == NULL || mapped)
		{
			first = item;
			*product_id = product;
			*price_id = price;
		}
		if (mapped)
			break;
	}
	return first;
}

/* ---- subscription.* ---- */

/* How it calls them. */
static const StoreStatusName statuses[] = {
	{"active", STORE_ACTIVE},
	{"trialing", STORE_TRIALING},
	{"past_due", STORE_PAST_DUE},
	{"paused", STORE_PAUSED},
	{"canceled", STORE_ENDED},
};

/* What is planned: an end, a pause, or the end of a pause. */
static void
read_scheduled_change(JsonNode s, StoreSubscription *subscription)
{
	TimestampTz at = json_iso8601_at(s, "scheduled_change.effective_at");

	subscription->ends_at = subscription->resumes_at = NO_TIME;
	subscription->paused_at = json_iso8601_at(s, "paused_at");
	if (json_text_is(s, "scheduled_change.action", "cancel"))
		subscription->ends_at = at;
	else if (json_text_is(s, "scheduled_change.action", "resume"))
		subscription->resumes_at = at;
	else if (json_text_is(s, "scheduled_change.action", "pause") &&
			 (subscription->status == STORE_ACTIVE || subscription->status == STORE_TRIALING))
	{
		subscription->status = STORE_PAUSED;
		subscription->paused_at = at;
		subscription->resumes_at = json_iso8601_at(s, "scheduled_change.resume_at");
	}
}

static void
read_subscription(JsonNode s, IngestFacts *facts)
{
	StoreSubscription *subscription = &facts->subscription;
	JsonNode	item;
	int			order;

	subscription->id = id_at(s, "id");
	if (subscription->id == NULL ||
		!ingest_status(s, statuses, lengthof(statuses), &subscription->status, &order))
	{
		facts->ignored = "The subscription has no id or no status that is known.";
		return;
	}
	item = main_item(s, true, &subscription->product_id, &subscription->base_plan_id);
	subscription->reported_at = facts->occurred_at;
	subscription->started_at = json_iso8601_at(s, "started_at");
	subscription->period_start = json_iso8601_at(s, "current_billing_period.starts_at");
	subscription->period_end = json_iso8601_at(s, "current_billing_period.ends_at");
	subscription->trial_ends_at = json_iso8601_at(item, "trial_dates.ends_at");
	if (!HAS_TIME(subscription->trial_ends_at) && subscription->status == STORE_TRIALING)
		subscription->trial_ends_at = subscription->period_end;
	subscription->ended_at = subscription->renewal_cancelled_at = json_iso8601_at(s, "canceled_at");
	subscription->billing_issue_at = NO_TIME;
	subscription->rank = ((int64) (subscription->status == STORE_ENDED) << 52) |
		(HAS_TIME(subscription->period_end) ? Max(0, subscription->period_end / USECS_PER_SEC) : 0);
	read_scheduled_change(s, subscription);
	subscription->customer_id = facts->customer_id = id_at(s, "customer_id");
	facts->customer_user_id = named_user(s);
	facts->has_subscription = true;
}

/* ---- transaction.* ---- */

static PaymentStatus
transaction_status(JsonNode t)
{
	if (json_text_is(t, "status", "paid") || json_text_is(t, "status", "completed"))
		return PAYMENT_PAID;
	if (json_text_is(t, "status", "billed") || json_text_is(t, "status", "past_due"))
		return PAYMENT_OPEN;
	if (json_text_is(t, "status", "canceled"))
		return PAYMENT_VOID;
	return PAYMENT_DRAFT;
}

/* The period that a payment of a subscription is for. */
static void
read_period(JsonNode t, JsonNode item, StorePayment *payment)
{
	bool		is_free = json_int_at(t, "details.totals.subtotal", 0, 0, 1) == 0;

	payment->period_start = json_iso8601_at(t, "billing_period.starts_at");
	payment->period_end = json_iso8601_at(t, "billing_period.ends_at");
	/* a change in the middle of a period is paid for from then on */
	if (json_text_is(t, "origin", "subscription_update"))
		payment->period_start = Max(payment->period_start, payment->charged_at);
	if (!HAS_TIME(payment->period_start))
		payment->period_start = payment->charged_at;
	if (!HAS_TIME(payment->period_end) && is_free)
		payment->period_end = after_cycle(payment->period_start, json_at(item, "price.trial_period"));
	if (!HAS_TIME(payment->period_end))
		payment->period_end = after_cycle(payment->period_start, json_at(item, "price.billing_cycle"));
	/* nothing to pay before discounts: a trial, or a price of nothing */
	payment->is_trial = is_free ? -1 : 0;
}

static void
read_money(JsonNode t, StorePayment *payment)
{
	Numeric		amount = json_number_at(t, "details.totals.grand_total");

	if (amount == NULL)
		amount = json_number_at(t, "details.totals.total");
	payment->amount = payment->status == PAYMENT_PAID || payment->status == PAYMENT_OPEN ?
		ingest_amount(STORE, amount, payment->currency) : NULL;
	if (payment->amount == NULL)
		payment->amount = int64_to_numeric(0);
}

static void
read_transaction(JsonNode t, IngestFacts *facts)
{
	static const int status_order[] = {
		[PAYMENT_DRAFT] = 0, [PAYMENT_OPEN] = 1, [PAYMENT_VOID] = 2, [PAYMENT_PAID] = 3
	};
	StorePayment *payment = &facts->payments[0];
	JsonNode	item;

	payment->id = id_at(t, "id");
	payment->currency = ingest_currency(json_text_at(t, "currency_code"));
	if (payment->id == NULL || payment->currency == NULL)
	{
		facts->ignored = "The transaction has no id or no currency.";
		return;
	}
	payment->status = transaction_status(t);
	payment->reported_at = facts->occurred_at;
	payment->charged_at = json_iso8601_at(t, "billed_at");
	if (!HAS_TIME(payment->charged_at))
		payment->charged_at = json_iso8601_at(t, "created_at");
	if (!HAS_TIME(payment->charged_at))
		payment->charged_at = facts->occurred_at;
	payment->due_at = json_text_is(t, "collection_mode", "manual") ?
		after_cycle(payment->charged_at, json_at(t, "billing_details.payment_terms")) : NO_TIME;
	payment->is_processing = false;
	read_money(t, payment);
	item = main_item(t, true, &payment->product_id, &payment->base_plan_id);
	if (item != NULL)
	{
		/* what recurs has a subscription once it is paid; till then it pays for nothing yet */
		payment->subscription_id = id_at(t, "subscription_id");
		read_period(t, item, payment);
		if (payment->subscription_id == NULL ||
			json_text_is(t, "origin", "subscription_payment_method_change"))
			payment->product_id = NULL;
	}
	else
	{
		(void) main_item(t, false, &payment->product_id, &payment->base_plan_id);
		payment->period_start = payment->charged_at;
		payment->period_end = NO_TIME;
	}
	payment->customer_id = facts->customer_id = id_at(t, "customer_id");
	payment->variation_id = id_at(t, "custom_data.variation_id");
	facts->customer_user_id = named_user(t);
	payment->rank = status_order[payment->status];
	facts->n_payments = 1;
}

/* ---- adjustment.* ---- */

static void
read_adjustment(JsonNode a, IngestFacts *facts)
{
	StoreRefund *refund = &facts->refunds[0];
	const char *currency = ingest_currency(json_text_at(a, "currency_code"));

	refund->id = id_at(a, "id");
	refund->payment_id = id_at(a, "transaction_id");
	if (refund->id == NULL || refund->payment_id == NULL || currency == NULL)
	{
		facts->ignored = "The adjustment has no id, transaction or currency.";
		return;
	}
	if (!json_text_is(a, "action", "refund") && !json_text_is(a, "action", "chargeback"))
	{
		facts->ignored = "Only refunds and chargebacks give money back.";
		return;
	}
	refund->reported_at = facts->occurred_at;
	refund->refunded_at = json_iso8601_at(a, "created_at");
	if (!HAS_TIME(refund->refunded_at))
		refund->refunded_at = facts->occurred_at;
	refund->is_effective = json_text_is(a, "status", "approved");
	refund->is_full = json_text_is(a, "type", "full");
	refund->amount = ingest_amount(STORE, json_number_at(a, "totals.total"), currency);
	if (refund->amount == NULL)
		refund->amount = int64_to_numeric(0);
	refund->rank = json_text_is(a, "status", "pending_approval") ? 0 : 1;
	facts->customer_id = id_at(a, "customer_id");
	facts->n_refunds = 1;
}

/* ---- events ---- */

static bool
read_envelope(JsonNode event, IngestFacts *facts, const char **type)
{
	facts->event_id = id_at(event, "event_id");
	facts->occurred_at = json_iso8601_at(event, "occurred_at");
	*type = id_at(event, "event_type");
	return facts->event_id != NULL && *type != NULL && HAS_TIME(facts->occurred_at) &&
		json_at(event, "data") != NULL;
}

static void
read_object(JsonNode data, const char *type, IngestFacts *facts)
{
	if (strncmp(type, "subscription.", 13) == 0)
		read_subscription(data, facts);
	else if (strncmp(type, "transaction.", 12) == 0)
		read_transaction(data, facts);
	else if (strncmp(type, "adjustment.", 11) == 0)
		read_adjustment(data, facts);
	else if (strcmp(type, "customer.created") == 0 || strcmp(type, "customer.updated") == 0)
	{
		facts->customer_id = id_at(data, "id");
		facts->customer_user_id = named_user(data);
		if (facts->customer_id == NULL || facts->customer_user_id == NULL)
			facts->ignored = "The customer names no user of yours: set \"customer_user_id\" in its custom data.";
	}
	else
		facts->ignored = "Events of this type say nothing about purchases.";
}

static void
read_event(JsonNode event, const char *type, IngestFacts *facts)
{
	read_object(json_at(event, "data"), type, facts);
}

const IngestProvider ingest_paddle = {STORE, read_envelope, read_event, read_object};
