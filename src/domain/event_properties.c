/*
 * event_properties.c
 *		The fields of event_properties, of purchases and of access levels.
 *
 * docs/events.md lists them with their meaning.  Every documented field of a type is there, null
 * where nothing is known; fields that are ours (actor, reason, source) only where there is a value.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "domain/event_payload.h"

#define AMOUNT_SCALE 6			/* decimals of computed amounts */

/* ---- reading ---- */

/* See event_payload.h. */
const pg_uuid_t *
payload_profile_id(const Payload *p)
{
	static const pg_uuid_t nobody = {{0}};

	return memcmp(&p->profile_id, &nobody, UUID_LEN) == 0 ? NULL : &p->profile_id;
}

/* See event_payload.h, as of all that follow. */
Datum
get(SPITupleTable *table, int column, bool *isnull)
{
	*isnull = true;
	return table == NULL ? (Datum) 0 : SPI_getbinval(table->vals[0], table->tupdesc, column, isnull);
}

char *
get_text(SPITupleTable *table, int column)
{
	bool		isnull;
	Datum		value = get(table, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

Numeric
get_numeric(SPITupleTable *table, int column)
{
	bool		isnull;
	Datum		value = get(table, column, &isnull);

	return isnull ? NULL : DatumGetNumeric(value);
}

bool
get_bool(SPITupleTable *table, int column)
{
	bool		isnull;
	Datum		value = get(table, column, &isnull);

	return !isnull && DatumGetBool(value);
}

/* A moment; DT_NOBEGIN for null. */
TimestampTz
get_time(SPITupleTable *table, int column)
{
	bool		isnull;
	Datum		value = get(table, column, &isnull);

	return isnull ? DT_NOBEGIN : DatumGetTimestampTz(value);
}

/* ---- what is written ---- */

/* A moment as webhooks write it, "+0000" without a colon; NULL for an infinite one. */
static char *
webhook_time(TimestampTz t)
{
	char	   *text = clock_iso8601(t);

	/* "...+00:00": the colon is the third from the end */
	if (text != NULL)
	{
		size_t		colon = strlen(text) - 3;

		memmove(text + colon, text + colon + 1, 3);
	}
	return text;
}

void
put_text(JsonbBuild *jb, const char *key, const char *value)
{
	jb_key(jb, key);
	jb_string(jb, value);
}

/* Only if there is a value: of fields that are ours. */
static void
put_if_known(JsonbBuild *jb, const char *key, const char *value)
{
	if (value != NULL)
		put_text(jb, key, value);
}

void
put_time(JsonbBuild *jb, const char *key, TimestampTz value)
{
	put_text(jb, key, webhook_time(value));
}

void
put_numeric(JsonbBuild *jb, const char *key, Numeric value)
{
	jb_key(jb, key);
	jb_numeric(jb, value);
}

void
put_bool(JsonbBuild *jb, const char *key, bool value)
{
	jb_key(jb, key);
	jb_bool(jb, value);
}

/* A column of type int8. */
void
put_int(JsonbBuild *jb, const char *key, SPITupleTable *table, int column)
{
	bool		isnull;
	Datum		value = get(table, column, &isnull);

	jb_key(jb, key);
	if (isnull)
		jb_null(jb);
	else
		jb_int64(jb, DatumGetInt64(value));
}

void
put_uuid(JsonbBuild *jb, const char *key, const pg_uuid_t *value)
{
	jb_key(jb, key);
	jb_uuid(jb, value);
}

/* A column of type jsonb. */
void
put_jsonb(JsonbBuild *jb, const char *key, SPITupleTable *table, int column)
{
	bool		isnull;
	Datum		value = get(table, column, &isnull);

	jb_key(jb, key);
	jb_jsonb(jb, isnull ? NULL : DatumGetJsonbP(value));
}

/* ---- facts of the moment ---- */

/* A fact of the event; NULL if it has none. */
static JsonbValue *
fact(const Payload *p, const char *key)
{
	JsonbValue *value = p->facts == NULL ? NULL : jsonb_object_get(p->facts, key);

	return value == NULL || value->type == jbvNull ? NULL : value;
}

char *
fact_text(const Payload *p, const char *key)
{
	JsonbValue *value = fact(p, key);

	return value == NULL ? NULL : jsonb_value_text(value);
}

static Numeric
fact_numeric(const Payload *p, const char *key)
{
	JsonbValue *value = fact(p, key);

	return value == NULL || value->type != jbvNumeric ? NULL : value->val.numeric;
}

/* A fact, else a column of the purchase. */
char *
fact_or_text(const Payload *p, const char *key, int column)
{
	char	   *value = fact_text(p, key);

	return value != NULL ? value : get_text(p->purchase, column);
}

static bool
fact_or_bool(const Payload *p, const char *key, bool otherwise)
{
	JsonbValue *value = fact(p, key);

	return value != NULL && value->type == jbvBool ? value->val.boolean : otherwise;
}

/* A moment among the facts, which is stored as the API writes it. */
static void
put_fact_time(JsonbBuild *jb, const Payload *p, const char *key, const char *fact_key)
{
	char	   *value = fact_text(p, fact_key);
	size_t		length = value == NULL ? 0 : strlen(value);

	if (length > 3 && value[length - 3] == ':')
		memmove(value + length - 3, value + length - 2, 3);
	put_text(jb, key, value);
}

/* ---- parts of event_properties ---- */

/* Which paywall was shown where and to whom before the purchase. */
static void
put_paywall(JsonbBuild *jb, const Payload *p, const char *variation_id)
{
	put_text(jb, "variation_id", variation_id);
	put_text(jb, "developer_id", get_text(p->paywall, PAYWALL_PLACEMENT));
	put_text(jb, "paywall_name", get_text(p->paywall, PAYWALL_NAME));
	put_text(jb, "paywall_revision", get_text(p->paywall, PAYWALL_REVISION));
	put_text(jb, "cohort_name", get_text(p->paywall, PAYWALL_AUDIENCE));
	put_text(jb, "ab_test_name", get_text(p->paywall, PAYWALL_AB_TEST));
	put_int(jb, "ab_test_revision", p->paywall, PAYWALL_AB_TEST_REVISION);
}

/* What every event says of itself and its profile. */
static void
put_common(JsonbBuild *jb, const Payload *p)
{
	put_uuid(jb, "profile_event_id", &p->event_id);
	put_time(jb, "event_datetime", p->event_datetime);
	put_text(jb, "profile_country", get_text(p->profile, PROFILE_COUNTRY));
	put_text(jb, "profile_ip_address", get_text(p->profile, PROFILE_IP));
	put_if_known(jb, "actor", p->actor);
	put_if_known(jb, "reason", p->reason);
}

/* "7 days", of a trial. */
static void
put_trial_duration(JsonbBuild *jb, const Payload *p)
{
	TimestampTz began_at = get_time(p->trial, p->trial_at);
	TimestampTz ended_at = get_time(p->trial, p->trial_expires_at);
	int64		days = (ended_at - began_at + USECS_PER_DAY / 2) / USECS_PER_DAY;

	put_text(jb, "trial_duration", TIMESTAMP_NOT_FINITE(began_at) || TIMESTAMP_NOT_FINITE(ended_at) ? NULL :
			 psprintf(INT64_FORMAT " days", days));
}

/* a op b in exact arithmetic; NULL if either is. */
static Numeric
calculate(PGFunction op, Numeric a, Numeric b)
{
	if (a == NULL || b == NULL)
		return NULL;
	return DatumGetNumeric(DirectFunctionCall2(op, NumericGetDatum(a), NumericGetDatum(b)));
}

/* Rounded as transaction_revenue does it, without zeros at the end. */
static Numeric
amount(Numeric value)
{
	if (value == NULL)
		return NULL;
	return DatumGetNumeric(DirectFunctionCall1(numeric_trim_scale,
											   DirectFunctionCall2(numeric_round, NumericGetDatum(value),
																   Int32GetDatum(AMOUNT_SCALE))));
}

/* What is left of a price: see transaction_revenue. */
static void
put_amounts(JsonbBuild *jb, const Payload *p, Numeric price, const char *proceeds_key,
			const char *tax_key, const char *net_key)
{
	Numeric		one = int64_to_numeric(1);
	Numeric		tax_rate = get_numeric(p->purchase, PURCHASE_TAX);
	Numeric		kept = calculate(numeric_sub, one, get_numeric(p->purchase, PURCHASE_COMMISSION));
	Numeric		proceeds = calculate(numeric_mul, price, kept);
	Numeric		tax = amount(calculate(numeric_div, calculate(numeric_mul, proceeds, tax_rate),
									   calculate(numeric_add, one, tax_rate)));

	proceeds = amount(proceeds);
	put_numeric(jb, proceeds_key, proceeds);
	put_numeric(jb, tax_key, tax);
	put_numeric(jb, net_key, amount(calculate(numeric_sub, proceeds, tax)));
}

/* Has an event of this type the fields of proceeds and tax? */
static bool
has_amounts(EventType type)
{
	switch (type)
	{
		case EVENT_SUBSCRIPTION_STARTED:
		case EVENT_SUBSCRIPTION_RENEWED:
		case EVENT_SUBSCRIPTION_REFUNDED:
		case EVENT_TRIAL_CONVERTED:
		case EVENT_NON_SUBSCRIPTION_PURCHASE:
		case EVENT_NON_SUBSCRIPTION_PURCHASE_REFUNDED:
			return true;
		default:
			return false;
	}
}

/* See event_payload.h. */
bool
payload_has_trial(EventType type)
{
	switch (type)
	{
		case EVENT_TRIAL_STARTED:
		case EVENT_TRIAL_CONVERTED:
		case EVENT_TRIAL_RENEWAL_CANCELLED:
		case EVENT_TRIAL_RENEWAL_REACTIVATED:
		case EVENT_TRIAL_EXPIRED:
		case EVENT_TRIAL_ACTIVE:
			return true;
		default:
			return false;
	}
}

/* Does something end for a reason? */
static bool
has_reason(EventType type)
{
	return type == EVENT_SUBSCRIPTION_EXPIRED || type == EVENT_SUBSCRIPTION_REFUNDED ||
		type == EVENT_TRIAL_EXPIRED || type == EVENT_NON_SUBSCRIPTION_PURCHASE_REFUNDED;
}

/*
 * Price, standard price and discount.  Nothing is charged for a trial: its price is null unless asked
 * for.  The standard price of other discounted purchases is not known.
 */
static void
put_prices(JsonbBuild *jb, const Payload *p)
{
	static const char *const keys[2][6] = {
		{"price_local", "original_price_local", "discount_amount_local",
		"proceeds_local", "tax_amount_local", "net_revenue_local"},
		{"price_usd", "original_price_usd", "discount_amount_usd",
		"proceeds_usd", "tax_amount_usd", "net_revenue_usd"}
	};
	const char *offer_type = fact_text(p, "offer_type");
	bool		is_trial = offer_type != NULL && strcmp(offer_type, "free_trial") == 0;
	bool		is_discounted = offer_type != NULL || fact(p, "offer_category") != NULL;
	Numeric		prices[2] = {fact_numeric(p, "price_value"), fact_numeric(p, "price_usd")};

	/* the rate was not known then, but is now */
	if (prices[1] == NULL)
		prices[1] = get_numeric(p->purchase, PURCHASE_PRICE_USD);
	for (int i = 0; i < 2; i++)
	{
		Numeric		price = prices[i];
		Numeric		standard = price;
		Numeric		zero = int64_to_numeric(0);

		if (is_trial)
		{
			if (price != NULL &&
				DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(price), NumericGetDatum(zero))))
				standard = NULL;
			if (!(p->with_trial_price && p->type == EVENT_TRIAL_STARTED))
				price = NULL;
		}
		else if (is_discounted)
			standard = NULL;
		put_numeric(jb, keys[i][0], price);
		put_numeric(jb, keys[i][1], standard);
		put_numeric(jb, keys[i][2], is_trial ? standard : is_discounted || price == NULL ? NULL : zero);
		if (has_amounts(p->type))
			put_amounts(jb, p, price, keys[i][3], keys[i][4], keys[i][5]);
	}
}

/* event_properties of a purchase's event. */
void
put_purchase_properties(JsonbBuild *jb, const Payload *p)
{
	put_common(jb, p);
	put_uuid(jb, "profile_id", payload_profile_id(p));
	put_text(jb, "store", p->store);
	put_text(jb, "environment", fact_or_text(p, "environment", PURCHASE_ENVIRONMENT));
	put_text(jb, "transaction_id", fact_or_text(p, "store_transaction_id", PURCHASE_TRANSACTION_ID));
	put_text(jb, "original_transaction_id",
			 fact_or_text(p, "store_original_transaction_id", PURCHASE_ORIGINAL_ID));
	put_text(jb, "vendor_product_id", fact_or_text(p, "store_product_id", PURCHASE_PRODUCT));
	put_text(jb, "base_plan_id", fact_or_text(p, "store_base_plan_id", PURCHASE_BASE_PLAN));
	put_text(jb, "store_country", fact_or_text(p, "price_country", PURCHASE_COUNTRY));
	put_text(jb, "currency", fact_or_text(p, "price_currency", PURCHASE_CURRENCY));
	put_prices(jb, p);
	put_time(jb, "purchase_date", get_time(p->purchase, PURCHASE_AT));
	put_time(jb, "original_purchase_date", get_time(p->purchase, PURCHASE_ORIGINALLY_AT));
	put_fact_time(jb, p, "subscription_expires_at", "subscription_expires_at");
	put_numeric(jb, "consecutive_payments", fact_numeric(p, "consecutive_payments"));
	put_bool(jb, "rate_after_first_year", get_bool(p->purchase, PURCHASE_AFTER_FIRST_YEAR));
	put_text(jb, "promotional_offer_id", fact_text(p, "offer_id"));
	put_text(jb, "store_offer_category", fact_text(p, "offer_category"));
	put_text(jb, "store_offer_discount_type", fact_text(p, "offer_type"));
	put_text(jb, "store_offer_number_of_periods", NULL);
	put_bool(jb, "profile_has_access_level", get_bool(p->profile, PROFILE_HAS_ACCESS));
	put_numeric(jb, "profile_total_revenue_usd", fact_numeric(p, "total_revenue_usd"));
	put_paywall(jb, p, fact_or_text(p, "variation_id", PURCHASE_VARIATION));
	if (has_reason(p->type))
		put_text(jb, "cancellation_reason", fact_text(p, "cancellation_reason"));
	if (payload_has_trial(p->type))
		put_trial_duration(jb, p);
}

/* ---- event_properties of access_level_updated ---- */

/* Is the access that the event tells of of a store's subscription? */
static bool
is_of_subscription(const Payload *p)
{
	return p->store != NULL && get_bool(p->purchase, PURCHASE_IS_SUBSCRIPTION);
}

/* Why access ended, as far as that is known. */
static const char *
access_end_reason(const Payload *p)
{
	const char *reason = fact_text(p, "cancellation_reason");

	if (reason != NULL || p->is_explained)
		return reason;
	if (p->store == NULL)
		return !p->is_active && p->actor != NULL ? "adapty_revoked" : NULL;
	reason = get_text(p->purchase, PURCHASE_REASON);
	if (reason != NULL || p->is_active || !is_of_subscription(p) ||
		get_time(p->purchase, PURCHASE_PAUSED_AT) != DT_NOBEGIN)
		return reason;
	if (get_time(p->purchase, PURCHASE_ISSUE_AT) != DT_NOBEGIN)
		return "billing_error";
	return get_bool(p->chain, CHAIN_RENEWS) ? "unknown" : "voluntarily_cancelled";
}

/* Is the user in the grace period, where the event itself does not say so? */
static bool
is_in_grace_period(const Payload *p)
{
	return p->is_active && is_of_subscription(p) &&
		get_time(p->purchase, PURCHASE_EXPIRES_AT) <= p->event_datetime &&
		p->event_datetime < get_time(p->purchase, PURCHASE_GRACE_ENDS_AT);
}

/* The moments of access. */
static void
put_access_times(JsonbBuild *jb, const Payload *p)
{
	TimestampTz purchased_at = get_time(p->purchase, PURCHASE_AT);
	bool		is_subscription = is_of_subscription(p);

	put_time(jb, "starts_at", p->starts_at);
	put_time(jb, "activated_at", p->starts_at);
	/* the last renewal; of the first period there is none */
	put_time(jb, "renewed_at", is_subscription && purchased_at > get_time(p->purchase, PURCHASE_ORIGINALLY_AT) ?
			 purchased_at : DT_NOBEGIN);
	put_time(jb, "expires_at", p->expires_at);
	put_time(jb, "subscription_expires_at", is_subscription ? p->expires_at : DT_NOEND);
	if (p->has_previous)
		put_time(jb, "previous_expires_at", p->previous_expires_at);
	put_time(jb, "purchase_date", purchased_at);
	put_time(jb, "original_purchase_date", get_time(p->purchase, PURCHASE_ORIGINALLY_AT));
	if (p->is_explained)
	{
		put_fact_time(jb, p, "unsubscribed_at", "renewal_cancelled_at");
		put_fact_time(jb, p, "billing_issue_detected_at", "billing_issue_detected_at");
		return;
	}
	put_time(jb, "unsubscribed_at", get_time(p->chain, CHAIN_RENEWAL_CANCELLED_AT));
	put_time(jb, "billing_issue_detected_at", get_time(p->purchase, PURCHASE_ISSUE_AT));
}

/* Offers of the purchase that gives the access. */
static void
put_access_offers(JsonbBuild *jb, const Payload *p)
{
	const char *category = get_text(p->purchase, PURCHASE_OFFER_CATEGORY);
	const char *type = get_text(p->purchase, PURCHASE_OFFER_TYPE);
	bool		is_introductory = category != NULL && strcmp(category, "introductory") == 0;
	bool		is_promotional = category != NULL && !is_introductory;

	put_text(jb, "active_introductory_offer_type", is_introductory ? type : NULL);
	put_text(jb, "active_promotional_offer_type", is_promotional ? type : NULL);
	put_text(jb, "active_promotional_offer_id", is_promotional ? get_text(p->purchase, PURCHASE_OFFER_ID) : NULL);
}

/* What stands for a product where no store sold one. */
static const char *
granted_product(GrantSource source)
{
	return source == GRANT_SOURCE_PROMO_CAMPAIGN || source == GRANT_SOURCE_PROMO_CODE ?
		"adapty_promotion" : "adapty_server_side_product";
}

/* event_properties of access_level_updated. */
void
put_access_properties(JsonbBuild *jb, const Payload *p)
{
	const char *offer_type = get_text(p->purchase, PURCHASE_OFFER_TYPE);
	const char *environment = get_text(p->purchase, PURCHASE_ENVIRONMENT);
	const char *currency = get_text(p->purchase, PURCHASE_CURRENCY);
	bool		is_refunded = get_time(p->purchase, PURCHASE_REFUNDED_AT) != DT_NOBEGIN;

	put_common(jb, p);
	put_uuid(jb, "profile_id", payload_profile_id(p));
	put_text(jb, "access_level_id", p->access_level_id);
	put_bool(jb, "profile_has_access_level", p->is_active);
	put_bool(jb, "is_active", p->is_active);
	put_bool(jb, "is_lifetime", p->is_active && p->expires_at == DT_NOEND);
	put_bool(jb, "is_refund", fact_or_bool(p, "is_refund", is_refunded));
	put_bool(jb, "is_in_grace_period", fact_or_bool(p, "is_in_grace_period", is_in_grace_period(p)));
	put_bool(jb, "will_renew", fact_or_bool(p, "will_renew", is_of_subscription(p) && !is_refunded &&
											get_bool(p->chain, CHAIN_RENEWS)));
	put_access_times(jb, p);
	put_text(jb, "cancellation_reason", access_end_reason(p));
	put_text(jb, "store", p->store != NULL ? p->store : "adapty");
	put_text(jb, "environment", environment != NULL ? environment : "Production");
	put_text(jb, "transaction_id", get_text(p->purchase, PURCHASE_TRANSACTION_ID));
	put_text(jb, "original_transaction_id", get_text(p->purchase, PURCHASE_ORIGINAL_ID));
	put_text(jb, "vendor_product_id", p->store != NULL ? get_text(p->purchase, PURCHASE_PRODUCT) :
			 granted_product(p->source));
	put_text(jb, "base_plan_id", get_text(p->purchase, PURCHASE_BASE_PLAN));
	put_text(jb, "store_country", get_text(p->purchase, PURCHASE_COUNTRY));
	put_text(jb, "currency", currency != NULL ? currency : "USD");
	put_access_offers(jb, p);
	if (offer_type != NULL && strcmp(offer_type, "free_trial") == 0)
		put_trial_duration(jb, p);
	else
		put_text(jb, "trial_duration", NULL);
	put_numeric(jb, "profile_total_revenue_usd", get_numeric(p->profile, PROFILE_REVENUE));
	put_paywall(jb, p, get_text(p->purchase, PURCHASE_VARIATION));
	if (p->has_source)
	{
		put_text(jb, "source", enum_label(ENUM_GRANT_SOURCE, p->source));
		put_if_known(jb, "source_id", p->source_id);
	}
}
