/*
 * store_validation_paddle.c
 *		What Paddle Billing is asked for: a subscription with its transactions, or one transaction; and the
 *		adjustments of either, which tell of refunds.
 */
#include "postgres.h"

#include "base/errors.h"
#include "domain/store_validation.h"

/* sub_...: the subscription, its transactions and their adjustments. */
static void
fetch_subscription(StoreValidation *v, const char *id)
{
	const char *paths[3];
	StoreAnswer answers[3];

	paths[0] = psprintf("/subscriptions/%s", id);
	paths[1] = psprintf("/transactions?per_page=30&subscription_id=%s", id);
	paths[2] = psprintf("/adjustments?per_page=50&subscription_id=%s", id);
	store_fetch(&v->server, paths, 3, answers);
	(void) validation_note(v, validation_read_object(v, &answers[0], "data", id), "subscription.updated",
					answers[0].moment);
	(void) validation_note_list(v, &answers[1], paths[1], "transaction.updated");
	(void) validation_note_list(v, &answers[2], paths[2], "adjustment.updated");
}

/* txn_...: the purchase, or the subscription that it pays for. */
static void
fetch_transaction(StoreValidation *v, const char *id)
{
	const char *paths[2];
	StoreAnswer answers[2];
	JsonNode	transaction;
	const char *subscription_id;

	paths[0] = psprintf("/transactions/%s", id);
	paths[1] = psprintf("/adjustments?per_page=50&transaction_id=%s", id);
	store_fetch(&v->server, paths, 2, answers);
	transaction = validation_read_object(v, &answers[0], "data", id);
	subscription_id = validation_id_at(v, transaction, "subscription_id");
	if (subscription_id != NULL)
	{
		fetch_subscription(v, subscription_id);
		return;
	}
	(void) validation_note(v, transaction, "transaction.updated", answers[0].moment);
	(void) validation_note_list(v, &answers[1], paths[1], "adjustment.updated");
}

static void
fetch(StoreValidation *v)
{
	if (strncmp(v->token, "sub_", 4) == 0)
		fetch_subscription(v, v->token);
	else
		fetch_transaction(v, v->token);
}

static const char *const prefixes[] = {"sub_", "txn_", NULL};

const ValidatedStore validated_paddle = {
	.provider = &ingest_paddle,
	.title = "Paddle",
	.argument = "paddle_token",
	.prefixes = prefixes,
	.token_detail = "The value must be the id of a transaction (txn_...) or of a subscription (sub_...).",
	.version_header = "Paddle-Version: 1",
	.base_urls = {"https://api.paddle.com", "https://sandbox-api.paddle.com"},
	.no_key = COND_PADDLE_KEY_NOT_FOUND,
	.not_found = COND_PADDLE_PURCHASE_NOT_FOUND,
	.fetch = fetch,
	.elements_path = "data",
	.more_path = "meta.pagination.has_more",
	.after_parameter = "after",
};
