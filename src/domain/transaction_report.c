/*
 * transaction_report.c
 *		A transaction as it is reported: the API's two request objects, read and checked.
 *
 * Reads no table.  A field that the API does not know is an error and not ignored: a misspelt
 * "expires_at" must not go unnoticed where money is concerned.
 *
 * Reports of one transaction may arrive late, twice, or after newer ones.  Merging makes the result
 * the same in any order, as far as reports say when they are of:
 *
 *		If both say it (reported_at), an older one adds only a refund, a newer one replaces all else.
 *		Otherwise each group of fields goes by its own moment:
 *		renewal, its reason and the end of the period by renew_status_changed_at; none is the earliest
 *		a billing issue and its grace period stay until a report has a later end: then it was paid
 *		a pause stays until a report is newer by renew_status_changed_at
 *		A refund is never taken back, a variation_id never forgotten.
 *		On a tie the last to arrive holds.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "base/errors.h"
#include "base/json_fields.h"
#include "domain/product.h"
#include "domain/transaction_report.h"

/* Characters, as in the tables' constraints. */
#define MAX_STORE 64
#define MAX_STORE_TRANSACTION_ID 50
#define MAX_ID 255
#define MAX_PRICE INT64CONST(1000000000000) /* in any currency; not reached */

static const char *const purchase_types[] = {"one_time_purchase", "subscription", NULL};
static const char *const environments[] = {"Production", "Sandbox", NULL};
static const char *const offer_categories[] = {
	"introductory", "promotional", "offer_code", "win_back", NULL
};
static const char *const offer_types[] = {"free_trial", "pay_as_you_go", "pay_up_front", NULL};
static const char *const cancellation_reasons[] = {
	"billing_error", "cancelled_by_developer", "new_subscription_replace", "price_increase",
	"product_was_not_available", "refund", "unknown", "upgraded", "voluntarily_cancelled",
	"adapty_revoked", NULL
};

#define COMMON_FIELDS \
	"purchase_type", "store", "environment", "store_product_id", "store_transaction_id", \
	"store_original_transaction_id", "is_family_shared", "price", "purchased_at", "variation_id", \
	"offer", "refunded_at", "cancellation_reason"

static const char *const one_time_purchase_fields[] = {COMMON_FIELDS, NULL};
static const char *const subscription_fields[] = {
	COMMON_FIELDS, "originally_purchased_at", "expires_at", "renew_status",
	"renew_status_changed_at", "billing_issue_detected_at", "grace_period_expires_at", "paused_at",
	"resumes_at", NULL
};
static const char *const price_fields[] = {"country", "currency", "value", NULL};
static const char *const offer_fields[] = {"category", "type", "id", NULL};

/* A code of exactly n capital letters. */
static char *
read_code(const JsonFields *fields, const char *field, size_t n, const char *detail)
{
	char	   *code = field_text(fields, field, true, MAX_ID);

	if (strlen(code) != n || strspn(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != n)
		field_error(fields, field, code, detail);
	return code;
}

/* The price: never negative, and of a size that a price can have. */
static void
read_price(const JsonFields *fields, TransactionReport *report)
{
	JsonFields	price;
	Datum		value;

	(void) field_object(fields, "price", true, &price);
	fields_check_known(&price, price_fields, "a price");
	report->price_country = read_code(&price, "country", 2,
									  "The value must be an ISO 3166-1 alpha-2 code in capitals, such as \"US\".");
	report->price_currency = read_code(&price, "currency", 3,
									   "The value must be an ISO 4217 code in capitals, such as \"USD\".");
	report->price_value = field_number(&price, "value", true);
	value = NumericGetDatum(report->price_value);
	if (DatumGetBool(DirectFunctionCall2(numeric_lt, value, NumericGetDatum(int64_to_numeric(0)))) ||
		DatumGetBool(DirectFunctionCall2(numeric_ge, value, NumericGetDatum(int64_to_numeric(MAX_PRICE)))))
		field_error(&price, "value", DatumGetCString(DirectFunctionCall1(numeric_out, value)),
					psprintf("The value must be at least 0 and less than " INT64_FORMAT ".", MAX_PRICE));
}

/* The offer, which may be absent. */
static void
read_offer(const JsonFields *fields, TransactionReport *report)
{
	JsonFields	offer;

	if (!field_object(fields, "offer", false, &offer))
		return;
	fields_check_known(&offer, offer_fields, "an offer");
	report->offer_category = field_choice(&offer, "category", true, offer_categories);
	report->offer_type = field_choice(&offer, "type", true, offer_types);
	report->offer_id = field_text(&offer, "id", false, MAX_ID);
}

/* A time that may be absent. */
static TimestampTz
read_optional_time(const JsonFields *fields, const char *field)
{
	TimestampTz value;

	return field_timestamp(fields, field, false, &value) ? value : NO_TIME;
}

/* ERROR unless a time that is there is after (or at) the purchase. */
static void
check_after_purchase(const JsonFields *fields, const char *field, TimestampTz value, bool strictly,
					 TimestampTz purchased_at)
{
	if (HAS_TIME(value) && (value < purchased_at || (strictly && value == purchased_at)))
		field_error(fields, field, field_text(fields, field, true, MAX_ID),
					strictly ? "The value must be after \"purchased_at\"." :
					"The value must not be before \"purchased_at\".");
}

/* What only subscriptions have. */
static void
read_subscription(const JsonFields *fields, TransactionReport *report)
{
	ChainTransaction *times = &report->times;

	(void) field_timestamp(fields, "originally_purchased_at", true, &report->originally_purchased_at);
	(void) field_timestamp(fields, "expires_at", true, &times->expires_at);
	(void) field_bool(fields, "renew_status", true, &times->renew_status);
	times->renew_status_changed_at = read_optional_time(fields, "renew_status_changed_at");
	times->billing_issue_detected_at = read_optional_time(fields, "billing_issue_detected_at");
	times->grace_period_expires_at = read_optional_time(fields, "grace_period_expires_at");
	times->paused_at = read_optional_time(fields, "paused_at");
	times->resumes_at = read_optional_time(fields, "resumes_at");
	check_after_purchase(fields, "expires_at", times->expires_at, true, times->purchased_at);
	check_after_purchase(fields, "grace_period_expires_at", times->grace_period_expires_at, true,
						 times->purchased_at);
	check_after_purchase(fields, "paused_at", times->paused_at, false, times->purchased_at);
	if (HAS_TIME(times->resumes_at) && !HAS_TIME(times->paused_at))
		field_error(fields, "paused_at", NULL, "A pause that has an end must have a beginning.");
	if (HAS_TIME(times->resumes_at) && times->resumes_at <= times->paused_at)
		field_error(fields, "resumes_at", field_text(fields, "resumes_at", true, MAX_ID),
					"The value must be after \"paused_at\".");
}

/* The product in its store, taken apart where the store writes product and plan as one. */
static void
read_store_product(const JsonFields *fields, TransactionReport *report)
{
	report->store = field_text(fields, "store", true, MAX_STORE);
	if (!is_slug(report->store))
		field_error(fields, "store", report->store,
					"The value must be 1 to 64 letters, digits, \"_\", \".\" or \"-\".");
	report->store_product_id = field_text(fields, "store_product_id", true, MAX_ID);
	report->store_base_plan_id = pstrdup("");
	store_product_split(report->store, &report->store_product_id, &report->store_base_plan_id);
}

/* See transaction_report.h. */
TransactionReport *
transaction_report_read(Jsonb *transaction)
{
	TransactionReport *report = palloc0(sizeof(TransactionReport));
	JsonFields	fields = {transaction, ""};
	const char *purchase_type;

	if (!JB_ROOT_IS_OBJECT(transaction))
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("transaction must be a JSON object")));
	purchase_type = field_choice(&fields, "purchase_type", true, purchase_types);
	report->is_subscription = strcmp(purchase_type, "subscription") == 0;
	fields_check_known(&fields,
					   report->is_subscription ? subscription_fields : one_time_purchase_fields,
					   report->is_subscription ? "a subscription transaction" : "a one-time purchase");
	read_store_product(&fields, report);
	report->environment = field_choice(&fields, "environment", false, environments);
	if (report->environment == NULL)
		report->environment = environments[0];
	report->store_transaction_id = field_text(&fields, "store_transaction_id", true,
											  MAX_STORE_TRANSACTION_ID);
	report->store_original_transaction_id = field_text(&fields, "store_original_transaction_id", true,
													   MAX_ID);
	(void) field_bool(&fields, "is_family_shared", false, &report->is_family_shared);
	read_price(&fields, report);
	(void) field_timestamp(&fields, "purchased_at", true, &report->times.purchased_at);
	report->originally_purchased_at = report->times.purchased_at;
	report->variation_id = field_text(&fields, "variation_id", false, MAX_ID);
	read_offer(&fields, report);
	report->times.refunded_at = read_optional_time(&fields, "refunded_at");
	check_after_purchase(&fields, "refunded_at", report->times.refunded_at, false,
						 report->times.purchased_at);
	report->cancellation_reason = field_choice(&fields, "cancellation_reason", false,
											   cancellation_reasons);
	if (HAS_TIME(report->times.refunded_at) && report->cancellation_reason == NULL)
		report->cancellation_reason = "refund";
	report->times.expires_at = NO_TIME;
	report->times.renew_status_changed_at = NO_TIME;
	report->times.billing_issue_detected_at = NO_TIME;
	report->times.grace_period_expires_at = NO_TIME;
	report->times.paused_at = NO_TIME;
	report->times.resumes_at = NO_TIME;
	report->reported_at = NO_TIME;
	if (report->is_subscription)
		read_subscription(&fields, report);
	transaction_report_derive(report);
	return report;
}

/* ---- merging ---- */

/* Are two strings the same, where both may be NULL? */
static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* See transaction_report.h. */
void
transaction_report_derive(TransactionReport *report)
{
	report->times.is_trial = report->is_subscription && same_text(report->offer_type, "free_trial");
	report->times.has_given_up = same_text(report->cancellation_reason, "billing_error");
	report->times.is_upgraded = same_text(report->cancellation_reason, "upgraded");
}

/* A refund is never taken back, whatever the order; its reason stays with it. */
static void
keep_refund(TransactionReport *merged, const TransactionReport *known, const TransactionReport *report,
			bool report_is_older)
{
	const TransactionReport *refunded = report;

	if (!HAS_TIME(report->times.refunded_at) ||
		(report_is_older && HAS_TIME(known->times.refunded_at)))
		refunded = known;
	if (!HAS_TIME(refunded->times.refunded_at))
		return;
	merged->times.refunded_at = Max(refunded->times.refunded_at, merged->times.purchased_at);
	/* if both know of it, the reason is that of the renewal */
	if (!HAS_TIME(known->times.refunded_at) || !HAS_TIME(report->times.refunded_at))
		merged->cancellation_reason = refunded->cancellation_reason;
	if (merged->cancellation_reason == NULL)
		merged->cancellation_reason = "refund";
}

/* The renewal and the end of the period as the one of two reports has it that knows more of them. */
static void
take_renewal(TransactionReport *merged, const TransactionReport *from)
{
	merged->times.renew_status = from->times.renew_status;
	merged->times.renew_status_changed_at = from->times.renew_status_changed_at;
	merged->times.expires_at = from->times.expires_at;
	merged->cancellation_reason = from->cancellation_reason;
}

/* See transaction_report.h. */
TransactionReport *
transaction_report_merge(const TransactionReport *known, const TransactionReport *report)
{
	TransactionReport *merged = palloc(sizeof(TransactionReport));
	const ChainTransaction *k = &known->times;
	const ChainTransaction *r = &report->times;
	bool		both_dated = HAS_TIME(known->reported_at) && HAS_TIME(report->reported_at);
	bool		is_older = both_dated && report->reported_at < known->reported_at;

	*merged = *report;
	if (is_older)
		*merged = *known;
	else if (!both_dated && report->is_subscription)
	{
		/* NO_TIME is before every time */
		bool		older_renewal = r->renew_status_changed_at < k->renew_status_changed_at;

		if (older_renewal)
			take_renewal(merged, known);
		if (HAS_TIME(k->billing_issue_detected_at) && !HAS_TIME(r->billing_issue_detected_at) &&
			merged->times.expires_at <= k->expires_at)
		{
			merged->times.billing_issue_detected_at = k->billing_issue_detected_at;
			merged->times.grace_period_expires_at = k->grace_period_expires_at;
		}
		else if (k->billing_issue_detected_at > r->billing_issue_detected_at &&
				 HAS_TIME(r->billing_issue_detected_at))
		{
			merged->times.billing_issue_detected_at = k->billing_issue_detected_at;
			merged->times.grace_period_expires_at = k->grace_period_expires_at;
		}
		if (HAS_TIME(k->paused_at) && !HAS_TIME(r->paused_at) &&
			r->renew_status_changed_at <= k->renew_status_changed_at)
		{
			merged->times.paused_at = k->paused_at;
			merged->times.resumes_at = k->resumes_at;
		}
	}
	/* where the purchase came from is told once, often by the app alone */
	if (merged->variation_id == NULL)
		merged->variation_id = known->variation_id;
	merged->reported_at = Max(known->reported_at, report->reported_at);
	keep_refund(merged, known, report, is_older);
	transaction_report_derive(merged);
	return merged;
}

/* Are all moments of two transactions the same? */
static bool
same_times(const ChainTransaction *a, const ChainTransaction *b)
{
	return a->purchased_at == b->purchased_at && a->expires_at == b->expires_at &&
		a->refunded_at == b->refunded_at &&
		a->renew_status_changed_at == b->renew_status_changed_at &&
		a->billing_issue_detected_at == b->billing_issue_detected_at &&
		a->grace_period_expires_at == b->grace_period_expires_at &&
		a->paused_at == b->paused_at && a->resumes_at == b->resumes_at &&
		a->renew_status == b->renew_status;
}

/* See transaction_report.h. */
bool
transaction_report_equal(const TransactionReport *a, const TransactionReport *b)
{
	return same_times(&a->times, &b->times) &&
		a->originally_purchased_at == b->originally_purchased_at &&
		a->reported_at == b->reported_at &&
		a->is_family_shared == b->is_family_shared &&
		same_text(a->environment, b->environment) &&
		same_text(a->store_product_id, b->store_product_id) &&
		same_text(a->store_base_plan_id, b->store_base_plan_id) &&
		same_text(a->price_country, b->price_country) &&
		same_text(a->price_currency, b->price_currency) &&
		same_text(a->variation_id, b->variation_id) &&
		same_text(a->offer_category, b->offer_category) &&
		same_text(a->offer_type, b->offer_type) &&
		same_text(a->offer_id, b->offer_id) &&
		same_text(a->cancellation_reason, b->cancellation_reason) &&
		DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(a->price_value),
										 NumericGetDatum(b->price_value)));
}
