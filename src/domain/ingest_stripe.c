/*
 * ingest_stripe.c
 *		Stripe's events as facts.
 *
 *		customer.subscription.*		the subscription
 *		invoice.*					the payment of a period, or of a purchase
 *		invoice_payment.*			which payment intent paid an invoice
 *		charge.refunded				a refund, whole or in part: the charge says how much so far
 *		charge.dispute.*			a refund, once the dispute is lost
 *		checkout.session.*			who the customer is; a purchase without an invoice
 *		payment_intent.succeeded	a purchase without either, if it names the product
 *		customer.created, .updated	who the customer is
 *
 * Fields are read where any version of the API has them: since 2025-03-31 periods are those of the
 * subscription's items, an invoice names its subscription under "parent", its lines name their price
 * under "pricing", and charges no longer name the invoice.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "domain/ingest.h"
#include "domain/product.h"

#define STORE "stripe"
#define MAX_LINES 100			/* of a list, looked at */

/* ---- what several objects have ---- */

static char *
id_at(JsonNode node, const char *path)
{
	return json_id_at(node, path, MAX_STORE_ID);
}

/* The first of two identifiers that is there. */
static char *
first_id(JsonNode node, const char *path, const char *other)
{
	char	   *id = id_at(node, path);

	return id != NULL ? id : id_at(node, other);
}

/* Whom an object's metadata names. */
static char *
named_user(JsonNode node, const char *path)
{
	return id_at(json_at(node, path), "customer_user_id");
}

/* An amount in minor units at a path, 0 if there is none. */
static Numeric
amount_at(JsonNode node, const char *path, const char *currency)
{
	Numeric		amount = ingest_amount(STORE, json_number_at(node, path), currency);

	return amount != NULL ? amount : int64_to_numeric(0);
}

static bool
is_zero_at(JsonNode node, const char *path)
{
	return json_int_at(node, path, PG_INT64_MIN, PG_INT64_MAX, 1) == 0;
}

/* Is a store's product bound to a product of ours? */
static bool
is_mapped(const char *product_id, const char *base_plan_id)
{
	Product		product;

	return product_id != NULL &&
		product_of_store(STORE, product_id, base_plan_id != NULL ? base_plan_id : "", &product);
}

/* Product and price of a subscription's item or an invoice's line, in any version's place. */
static void
read_price(JsonNode line, const char **product_id, const char **price_id)
{
	*price_id = first_id(line, "price", "pricing.price_details.price");
	if (*price_id == NULL)
		*price_id = id_at(line, "plan");
	*product_id = first_id(line, "price.product", "pricing.price_details.product");
	if (*product_id == NULL)
		*product_id = id_at(line, "plan.product");
	/* plans of before products are their own products */
	if (*product_id == NULL)
		*product_id = *price_id;
}

/* ---- customer.subscription.* ---- */

/* How it calls them, in the order in which states of one second rank. */
static const StoreStatusName statuses[] = {
	{"incomplete", STORE_INCOMPLETE},
	{"trialing", STORE_TRIALING},
	{"active", STORE_ACTIVE},
	{"past_due", STORE_PAST_DUE},
	{"unpaid", STORE_UNPAID},
	{"paused", STORE_PAUSED},
	{"incomplete_expired", STORE_INCOMPLETE},
	{"canceled", STORE_ENDED},
};

/* Why a subscription ended, in our words. */
static const char *
read_reason(JsonNode s)
{
	if (json_text_is(s, "cancellation_details.reason", "cancellation_requested"))
		return "voluntarily_cancelled";
	if (json_text_is(s, "cancellation_details.reason", "payment_failed"))
		return "billing_error";
	if (json_text_is(s, "cancellation_details.reason", "payment_disputed"))
		return "unknown";
	return NULL;
}

/* The item that says what the subscription is of: the first that is a product of ours, else the first. */
static JsonNode
main_item(JsonNode s, StoreSubscription *subscription)
{
	JsonNode	items = json_at(s, "items.data");
	JsonNode	first = NULL;
	int			n = Min(json_length_at(items, ""), MAX_LINES);

	for (int i = 0; i < n; i++)
	{
		JsonNode	item = json_element(items, i);
		const char *product_id;
		const char *price_id;
		bool		mapped;

		read_price(item, &product_id, &price_id);
		if (product_id == NULL)
			continue;
		mapped = is_mapped(product_id, price_id);
		if (first == NULL || mapped)
		{
			first = item;
			subscription->product_id = product_id;
			subscription->base_plan_id = price_id;
		}
		if (mapped)
			break;
	}
	return first;
}

/* When it will end, or be paused. */
static void
read_plans_for_the_end(JsonNode s, StoreSubscription *subscription)
{
	if (json_bool_at(s, "cancel_at_period_end"))
		subscription->ends_at = subscription->period_end;
	else
		subscription->ends_at = json_epoch_at(s, "cancel_at");
	/* voided invoices: the seller says that nothing is given meanwhile */
	if (json_text_is(s, "pause_collection.behavior", "void") &&
		(subscription->status == STORE_ACTIVE || subscription->status == STORE_TRIALING))
	{
		subscription->status = STORE_PAUSED;
		subscription->resumes_at = json_epoch_at(s, "pause_collection.resumes_at");
	}
	else if (subscription->status == STORE_PAUSED)
		subscription->paused_at = subscription->trial_ends_at;
}

static void
read_subscription(JsonNode s, const char *type, IngestFacts *facts)
{
	StoreSubscription *subscription = &facts->subscription;
	JsonNode	item;
	int			order;
	bool		is_final;

	subscription->id = id_at(s, "id");
	if (subscription->id == NULL ||
		!ingest_status(s, statuses, lengthof(statuses), &subscription->status, &order))
	{
		facts->ignored = "The subscription has no id or no status that is known.";
		return;
	}
	item = main_item(s, subscription);
	subscription->period_start = json_epoch_at(item, "current_period_start");
	subscription->period_end = json_epoch_at(item, "current_period_end");
	if (!HAS_TIME(subscription->period_end))
	{
		subscription->period_start = json_epoch_at(s, "current_period_start");
		subscription->period_end = json_epoch_at(s, "current_period_end");
	}
	subscription->reported_at = facts->occurred_at;
	subscription->started_at = json_epoch_at(s, "start_date");
	subscription->trial_ends_at = json_epoch_at(s, "trial_end");
	subscription->ended_at = json_epoch_at(s, "ended_at");
	subscription->renewal_cancelled_at = json_epoch_at(s, "canceled_at");
	subscription->paused_at = subscription->resumes_at = NO_TIME;
	is_final = subscription->status == STORE_ENDED || json_text_is(s, "status", "incomplete_expired");
	subscription->cancellation_reason = subscription->status == STORE_ENDED ? read_reason(s) : NULL;
	subscription->billing_issue_at = subscription->period_start;
	read_plans_for_the_end(s, subscription);
	subscription->customer_id = facts->customer_id = id_at(s, "customer");
	subscription->latest_payment_id = id_at(s, "latest_invoice");
	facts->customer_user_id = named_user(s, "metadata");
	facts->has_subscription = true;
	/* of two states of one second: the end, the later period, what is not the creation, the later status */
	subscription->rank = ((int64) is_final << 52) |
		((int64) (HAS_TIME(subscription->period_end) ?
				  Max(0, subscription->period_end / USECS_PER_SEC) : 0) << 8) |
		(strcmp(type, "customer.subscription.created") == 0 ? 0 : 16) | order;
}

/* ---- invoice.* ---- */

/* A line of an invoice that may say what the invoice pays for. */
typedef struct InvoiceLine
{
	const char *product_id;
	const char *price_id;
	TimestampTz start;
	TimestampTz end;
	bool		is_free;		/* before discounts */
	int			worth;			/* how much it says; 0 nothing */
} InvoiceLine;

/*
 * How much a line says: of a subscription its new period most, else the rest of one at a new price; of
 * other invoices whatever is sold.
 */
static int
line_worth(JsonNode line, const InvoiceLine *read, bool of_subscription)
{
	bool		proration = json_bool_at(line, "proration") ||
		json_bool_at(line, "parent.subscription_item_details.proration") ||
		json_bool_at(line, "parent.invoice_item_details.proration");
	bool		recurring = json_text_is(line, "type", "subscription") ||
		json_text_is(line, "parent.type", "subscription_item_details");
	bool		is_credit = json_int_at(line, "amount", PG_INT64_MIN, -1, 0) < 0;

	if (read->product_id == NULL || is_credit)
		return 0;
	if (!of_subscription)
		return 1;
	if (!HAS_TIME(read->start) || !HAS_TIME(read->end))
		return 0;
	/* what is paid for afterwards, by use, has no period before there was any use */
	if (read->end <= read->start)
		return recurring && !proration ? 1 : 0;
	if (proration)
		return 1;
	return recurring ? 2 : 0;
}

/* The line that says what an invoice pays for. */
static void
main_line(JsonNode invoice, bool of_subscription, InvoiceLine *best)
{
	JsonNode	lines = json_at(invoice, "lines.data");
	int			n = Min(json_length_at(lines, ""), MAX_LINES);

	memset(best, 0, sizeof(*best));
	for (int i = 0; i < n; i++)
	{
		JsonNode	node = json_element(lines, i);
		InvoiceLine line = {.start = json_epoch_at(node, "period.start"),
		.end = json_epoch_at(node, "period.end")};

		read_price(node, &line.product_id, &line.price_id);
		line.is_free = is_zero_at(node, "amount");
		line.worth = 2 * line_worth(node, &line, of_subscription);
		if (line.worth > 0 && is_mapped(line.product_id, line.price_id))
			line.worth++;
		if (line.worth > best->worth || (line.worth > 0 && line.worth == best->worth && line.end > best->end))
			*best = line;
	}
}

/* Adds another name of a payment. */
static void
add_reference(StorePayment *payment, char *reference)
{
	if (reference != NULL && payment->n_references < MAX_PAYMENT_REFERENCES)
		payment->references[payment->n_references++] = reference;
}

static PaymentStatus
invoice_status(JsonNode invoice, const char *type)
{
	if (json_text_is(invoice, "status", "paid"))
		return PAYMENT_PAID;
	if (json_text_is(invoice, "status", "open"))
		return PAYMENT_OPEN;
	if (json_text_is(invoice, "status", "draft") && strcmp(type, "invoice.deleted") != 0)
		return PAYMENT_DRAFT;
	return PAYMENT_VOID;
}

/* Amounts: what was paid, or what a bill asks for. */
static void
read_invoice_money(JsonNode invoice, StorePayment *payment)
{
	if (payment->status == PAYMENT_PAID)
		payment->amount = amount_at(invoice, "amount_paid", payment->currency);
	else if (payment->status == PAYMENT_OPEN)
		payment->amount = amount_at(invoice, "amount_due", payment->currency);
	else
		payment->amount = int64_to_numeric(0);
	payment->country = ingest_country(json_text_at(invoice, "customer_address.country"));
	if (payment->country == NULL)
		payment->country = ingest_country(json_text_at(invoice, "customer_shipping.address.country"));
}

static void
read_invoice(JsonNode invoice, const char *type, IngestFacts *facts)
{
	static const int status_order[] = {
		[PAYMENT_DRAFT] = 0, [PAYMENT_OPEN] = 1, [PAYMENT_VOID] = 2, [PAYMENT_PAID] = 3
	};
	StorePayment *payment = &facts->payments[0];
	InvoiceLine line;

	payment->id = id_at(invoice, "id");
	payment->currency = ingest_currency(json_text_at(invoice, "currency"));
	if (payment->id == NULL || payment->currency == NULL)
	{
		facts->ignored = "The invoice has no id or no currency: it is only a preview.";
		return;
	}
	payment->subscription_id = first_id(invoice, "subscription", "parent.subscription_details.subscription");
	main_line(invoice, payment->subscription_id != NULL, &line);
	payment->product_id = line.product_id;
	payment->base_plan_id = line.price_id;
	payment->status = invoice_status(invoice, type);
	/* nothing to pay before discounts: a trial, or a plan that costs nothing */
	payment->is_trial = line.worth > 0 && line.is_free ? -1 : 0;
	payment->reported_at = facts->occurred_at;
	payment->charged_at = json_epoch_at(invoice, "status_transitions.finalized_at");
	if (!HAS_TIME(payment->charged_at))
		payment->charged_at = json_epoch_at(invoice, "created");
	payment->period_start = payment->period_end = NO_TIME;
	if (payment->subscription_id != NULL && line.worth > 0)
	{
		payment->period_start = line.start;
		payment->period_end = line.end;
	}
	else
		payment->period_start = json_epoch_at(invoice, "status_transitions.paid_at");
	if (!HAS_TIME(payment->period_start))
		payment->period_start = HAS_TIME(payment->charged_at) ? payment->charged_at : facts->occurred_at;
	payment->due_at = json_text_is(invoice, "collection_method", "send_invoice") ?
		json_epoch_at(invoice, "due_date") : NO_TIME;
	/* some ways to pay take days: no further attempt is planned, and none has failed */
	payment->is_processing = json_bool_at(invoice, "attempted") &&
		json_at(invoice, "next_payment_attempt") == NULL &&
		strcmp(type, "invoice.payment_failed") != 0 &&
		strcmp(type, "invoice.payment_action_required") != 0;
	read_invoice_money(invoice, payment);
	payment->customer_id = facts->customer_id = id_at(invoice, "customer");
	facts->customer_user_id = named_user(invoice, "parent.subscription_details.metadata");
	if (facts->customer_user_id == NULL)
		facts->customer_user_id = named_user(invoice, "subscription_details.metadata");
	if (facts->customer_user_id == NULL)
		facts->customer_user_id = named_user(invoice, "metadata");
	payment->variation_id = first_id(invoice, "parent.subscription_details.metadata.variation_id",
									 "subscription_details.metadata.variation_id");
	if (payment->variation_id == NULL)
		payment->variation_id = id_at(invoice, "metadata.variation_id");
	add_reference(payment, id_at(invoice, "payment_intent"));
	add_reference(payment, id_at(invoice, "charge"));
	add_reference(payment, id_at(invoice, "payments.data.0.payment.payment_intent"));
	add_reference(payment, id_at(invoice, "payments.data.0.payment.charge"));
	payment->rank = status_order[payment->status] * 1000 + (json_bool_at(invoice, "attempted") ? 500 : 0) +
		json_int_at(invoice, "attempt_count", 0, 499, 0);
	facts->n_payments = 1;
}

/* invoice_payment.*: another name of an invoice. */
static void
read_invoice_payment(JsonNode object, IngestFacts *facts)
{
	facts->referenced_payment_id = id_at(object, "invoice");
	facts->reference = first_id(object, "payment.payment_intent", "payment.charge");
	if (facts->referenced_payment_id == NULL || facts->reference == NULL)
	{
		facts->reference = NULL;
		facts->ignored = "No payment intent or charge paid this invoice.";
	}
}

/* ---- money back ---- */

/* A charge that was refunded, or a dispute about one. */
static void
read_refund(JsonNode object, bool is_dispute, IngestFacts *facts)
{
	StoreRefund *refund = &facts->refunds[0];
	const char *currency = ingest_currency(json_text_at(object, "currency"));

	refund->id = id_at(object, "id");
	refund->payment_id = id_at(object, "invoice");
	refund->payment_reference = is_dispute ? first_id(object, "payment_intent", "charge") :
		first_id(object, "payment_intent", "id");
	if (refund->id == NULL || currency == NULL || refund->payment_reference == NULL)
	{
		facts->ignored = "The charge or dispute has no id, currency or payment.";
		return;
	}
	refund->reported_at = refund->refunded_at = facts->occurred_at;
	refund->is_effective = is_dispute ? json_text_is(object, "status", "lost") : true;
	refund->is_full = !is_dispute && json_bool_at(object, "refunded");
	refund->amount = amount_at(object, is_dispute ? "amount" : "amount_refunded", currency);
	refund->rank = is_dispute ? (int64) refund->is_effective :
		json_int_at(object, "amount_refunded", 0, PG_INT64_MAX, 0);
	facts->customer_id = id_at(object, "customer");
	facts->customer_user_id = named_user(object, "metadata");
	facts->n_refunds = 1;
}

/* ---- purchases without an invoice ---- */

/* A payment intent or a session of the checkout that paid for a product. */
static void
read_purchase(JsonNode object, const char *id, const char *amount_path, const char *country_path,
			  IngestFacts *facts)
{
	StorePayment *payment = &facts->payments[0];

	payment->id = id;
	payment->currency = ingest_currency(json_text_at(object, "currency"));
	payment->product_id = id_at(object, "metadata.store_product_id");
	payment->base_plan_id = id_at(object, "metadata.store_base_plan_id");
	if (payment->product_id == NULL)
	{
		payment->product_id = id_at(object, "line_items.data.0.price.product");
		payment->base_plan_id = id_at(object, "line_items.data.0.price");
	}
	if (payment->product_id == NULL)
	{
		payment->product_id = id_at(object, "payment_link");
		payment->base_plan_id = NULL;
	}
	if (payment->id == NULL || payment->currency == NULL || payment->product_id == NULL)
	{
		facts->ignored = "Nothing says which product was bought: set \"store_product_id\" in the metadata, or let the checkout make an invoice.";
		return;
	}
	payment->status = PAYMENT_PAID;
	payment->rank = 0;
	payment->reported_at = payment->period_start = payment->charged_at = facts->occurred_at;
	payment->period_end = payment->due_at = NO_TIME;
	payment->is_processing = false;
	payment->amount = amount_at(object, amount_path, payment->currency);
	payment->country = ingest_country(json_text_at(object, country_path));
	payment->customer_id = facts->customer_id;
	payment->variation_id = id_at(object, "metadata.variation_id");
	facts->n_payments = 1;
}

static void
read_session(JsonNode session, IngestFacts *facts)
{
	char	   *id = first_id(session, "payment_intent", "id");
	bool		is_paid = json_text_is(session, "payment_status", "paid") ||
		json_text_is(session, "payment_status", "no_payment_required");

	facts->customer_id = id_at(session, "customer");
	facts->customer_user_id = named_user(session, "metadata");
	if (facts->customer_user_id == NULL)
		facts->customer_user_id = id_at(session, "client_reference_id");
	if (!json_text_is(session, "status", "complete"))
		facts->ignored = "The checkout was not completed.";
	else if (json_text_is(session, "mode", "payment") && json_at(session, "invoice") == NULL && is_paid)
		read_purchase(session, id, "amount_total", "customer_details.address.country", facts);
	else if (facts->customer_id != NULL && facts->customer_user_id != NULL)
		return;
	else if (json_text_is(session, "payment_status", "unpaid"))
		facts->ignored = "The checkout is not paid yet.";
	else
		facts->ignored = "The checkout names no customer of yours: set \"client_reference_id\" or \"customer_user_id\" in the metadata.";
}

/* ---- events ---- */

static bool
read_envelope(JsonNode event, IngestFacts *facts, const char **type)
{
	facts->event_id = id_at(event, "id");
	facts->occurred_at = json_epoch_at(event, "created");
	*type = id_at(event, "type");
	facts->environment = json_bool_at(event, "livemode") ? "Production" : "Sandbox";
	return facts->event_id != NULL && *type != NULL && HAS_TIME(facts->occurred_at) &&
		json_at(event, "data.object") != NULL;
}

static bool
begins_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static void
read_object(JsonNode object, const char *type, IngestFacts *facts)
{
	if (begins_with(type, "customer.subscription."))
		read_subscription(object, type, facts);
	else if (begins_with(type, "invoice."))
		read_invoice(object, type, facts);
	else if (begins_with(type, "invoice_payment."))
		read_invoice_payment(object, facts);
	else if (strcmp(type, "charge.refunded") == 0)
		read_refund(object, false, facts);
	else if (begins_with(type, "charge.dispute."))
		read_refund(object, true, facts);
	else if (begins_with(type, "checkout.session."))
		read_session(object, facts);
	else if (strcmp(type, "payment_intent.succeeded") == 0 &&
			 json_at(object, "metadata.store_product_id") != NULL)
	{
		facts->customer_id = id_at(object, "customer");
		facts->customer_user_id = named_user(object, "metadata");
		read_purchase(object, id_at(object, "id"), "amount_received", "shipping.address.country", facts);
	}
	else if (strcmp(type, "customer.created") == 0 || strcmp(type, "customer.updated") == 0)
	{
		facts->customer_id = id_at(object, "id");
		facts->customer_user_id = named_user(object, "metadata");
		if (facts->customer_id == NULL || facts->customer_user_id == NULL)
			facts->ignored = "The customer names no user of yours: set \"customer_user_id\" in its metadata.";
	}
	else
		facts->ignored = "Events of this type say nothing about purchases.";
}

static void
read_event(JsonNode event, const char *type, IngestFacts *facts)
{
	read_object(json_at(event, "data.object"), type, facts);
}

const IngestProvider ingest_stripe = {STORE, read_envelope, read_event, read_object};
