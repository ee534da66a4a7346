/*
 * store_validation_stripe.c
 *		What Stripe is asked for: a subscription with its invoices, or a payment intent; and what was
 *		given back of either.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/errors.h"
#include "domain/store_validation.h"

/* "expand[]=" as it must be written in a query, of a format */
#define EXPAND "expand%%5B%%5D="

/* ERROR unless a key of the environment's mode was used: a key of the sandbox proves nothing about real money. */
static void
check_mode(const StoreValidation *v, JsonNode object)
{
	bool		is_live = json_bool_at(object, "livemode");

	if (is_live == (strcmp(v->environment, "Production") == 0))
		return;
	ereport(ERROR,
			(condition_errcode(COND_STRIPE_PURCHASE_NOT_FOUND),
			 errmsg("Invalid Stripe credentials or purchase not found"),
			 errdetail("The key of environment \"%s\" is one of Stripe's %s mode.", v->environment,
					   is_live ? "live" : "test"),
			 errhint("Set the right one by adapty.set_store_credentials()."),
			 err_generic_string(PG_DIAG_COLUMN_NAME, v->store->argument)));
}

/* The newest refund of a charge, as far as it is told; else when the store was asked. */
static TimestampTz
refunded_at(JsonNode charge, TimestampTz asked_at)
{
	JsonNode	refunds = json_at(charge, "refunds.data");
	int			n = json_length_at(refunds, "");
	TimestampTz newest = NO_TIME;

	for (int i = 0; i < n; i++)
		newest = Max(newest, json_epoch_at(json_element(refunds, i), "created"));
	return HAS_TIME(newest) ? newest : asked_at;
}

/* Notes what was given back of a charge, and the dispute about it. */
static void
note_charge(StoreValidation *v, JsonNode charge, TimestampTz asked_at)
{
	const char *id;
	const char *path;
	StoreAnswer answer;
	ListCell   *cell;

	if (json_int_at(charge, "amount_refunded", 1, PG_INT64_MAX, 0) > 0)
		(void) validation_note(v, charge, "charge.refunded", refunded_at(charge, asked_at));
	if (!json_bool_at(charge, "disputed") || (id = validation_id_at(v, charge, "id")) == NULL)
		return;
	path = psprintf("/v1/disputes?limit=100&charge=%s", id);
	store_fetch(&v->server, &path, 1, &answer);
	foreach(cell, validation_note_list(v, &answer, path, NULL))
	{
		JsonNode	dispute = lfirst(cell);

		/* when it was lost is not told; its beginning stays the same whenever the store is asked */
		validation_note(v, dispute, "charge.dispute.updated", answer.moment)->refunded_at =
			json_epoch_at(dispute, "created");
	}
}

/* sub_...: the subscription, its invoices, and the customer's charges, which tell of refunds. */
static void
fetch_subscription(StoreValidation *v, const char *id)
{
	const char *paths[2];
	StoreAnswer answers[2];
	JsonNode	subscription;
	const char *customer;
	ListCell   *cell;
	bool		has_failed;

	paths[0] = psprintf("/v1/subscriptions/%s", id);
	paths[1] = psprintf("/v1/invoices?limit=50&" EXPAND "data.payments&subscription=%s", id);
	store_fetch(&v->server, paths, 2, answers);
	subscription = validation_read_object(v, &answers[0], "", id);
	check_mode(v, subscription);
	(void) validation_note(v, subscription, "customer.subscription.updated", answers[0].moment);
	/* an invoice does not say whether its last attempt failed or is under way: the subscription does */
	has_failed = json_text_is(subscription, "status", "past_due") ||
		json_text_is(subscription, "status", "unpaid") || json_text_is(subscription, "status", "canceled");
	(void) validation_note_list(v, &answers[1], paths[1],
								has_failed ? "invoice.payment_failed" : "invoice.updated");
	customer = validation_id_at(v, subscription, "customer");
	if (customer == NULL)
		return;
	paths[0] = psprintf("/v1/charges?limit=100&" EXPAND "data.refunds&customer=%s", customer);
	store_fetch(&v->server, paths, 1, answers);
	foreach(cell, validation_note_list(v, &answers[0], paths[0], NULL))
		note_charge(v, lfirst(cell), answers[0].moment);
}

/* What was bought by a payment intent that paid no invoice: it says so itself, or the checkout does. */
static void
note_purchase(StoreValidation *v, JsonNode intent, const StoreAnswer *sessions)
{
	TimestampTz paid_at = json_epoch_at(intent, "latest_charge.created");
	JsonNode	session = json_at(validation_read(v, sessions), "data.0");

	if (!HAS_TIME(paid_at))
		paid_at = json_epoch_at(intent, "created");
	if (!HAS_TIME(paid_at))
		validation_no_purchase(v, "The payment intent does not say when it was paid.");
	if (json_at(intent, "metadata.store_product_id") != NULL)
		(void) validation_note(v, intent, "payment_intent.succeeded", paid_at);
	else if (session != NULL)
		(void) validation_note(v, session, "checkout.session.completed", paid_at);
	else
		validation_no_purchase(v, "Nothing says which product the payment is for: set \"store_product_id\" in its metadata.");
}

/* pi_...: the purchase that it paid for, or the subscription whose invoice it paid. */
static void
fetch_payment_intent(StoreValidation *v, const char *id)
{
	const char *paths[3];
	StoreAnswer answers[3];
	JsonNode	intent;
	JsonNode	charge;
	TimestampTz asked_at;
	const char *invoice_id;

	paths[0] = psprintf("/v1/payment_intents/%s?" EXPAND "latest_charge.refunds", id);
	paths[1] = psprintf("/v1/invoice_payments?limit=1&payment%%5Btype%%5D=payment_intent&payment%%5Bpayment_intent%%5D=%s", id);
	paths[2] = psprintf("/v1/checkout/sessions?limit=1&" EXPAND "data.line_items&payment_intent=%s", id);
	store_fetch(&v->server, paths, 3, answers);
	intent = validation_read_object(v, &answers[0], "", id);
	asked_at = answers[0].moment;
	check_mode(v, intent);
	if (!json_text_is(intent, "status", "succeeded"))
		validation_no_purchase(v, "The payment intent has not succeeded.");
	charge = json_at(intent, "latest_charge");
	invoice_id = validation_id_at(v, validation_read(v, &answers[1]), "data.0.invoice");
	if (invoice_id == NULL)
		note_purchase(v, intent, &answers[2]);
	else
	{
		JsonNode	invoice;
		const char *subscription_id;

		paths[0] = psprintf("/v1/invoices/%s?" EXPAND "payments", invoice_id);
		store_fetch(&v->server, paths, 1, answers);
		invoice = validation_read_object(v, &answers[0], "", invoice_id);
		subscription_id = validation_id_at(v, invoice, "parent.subscription_details.subscription");
		if (subscription_id != NULL)
		{
			fetch_subscription(v, subscription_id);
			return;
		}
		(void) validation_note(v, invoice, "invoice.updated", answers[0].moment);
	}
	if (json_at(charge, "id") != NULL)
		note_charge(v, charge, asked_at);
}

static void
fetch(StoreValidation *v)
{
	if (strncmp(v->token, "sub_", 4) == 0)
		fetch_subscription(v, v->token);
	else
		fetch_payment_intent(v, v->token);
}

static const char *const prefixes[] = {"sub_", "pi_", NULL};

/* The version is asked for, so that what is listed above has its place whatever the account's default is. */
const ValidatedStore validated_stripe = {
	.provider = &ingest_stripe,
	.title = "Stripe",
	.argument = "stripe_token",
	.prefixes = prefixes,
	.token_detail = "The value must be the id of a subscription (sub_...) or of a payment intent (pi_...).",
	.version_header = "Stripe-Version: 2025-03-31.basil",
	.base_urls = {"https://api.stripe.com", "https://api.stripe.com"},
	.no_key = COND_STRIPE_KEY_NOT_FOUND,
	.not_found = COND_STRIPE_PURCHASE_NOT_FOUND,
	.fetch = fetch,
	.elements_path = "data",
	.more_path = "has_more",
	.after_parameter = "starting_after",
};
