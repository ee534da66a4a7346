/*
 * purchase_event.c
 *		Events of purchases.
 *
 * Transactions change after they were recorded (renewal switched off, refunded, claimed), so an
 * event keeps the facts of its moment.  Everything else is read later by the reference.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/jsonb_build.h"
#include "base/plans.h"
#include "domain/currency_grant.h"
#include "domain/event.h"
#include "domain/money.h"
#include "domain/purchase_event.h"

/*
 * Facts of a transaction at this moment.  consecutive_payments counts back from it through payments
 * of its chain until the first gap: what a later report adds to the chain does not change it.
 */
static SavedPlan facts_plan = {
	.name = "transaction of an event",
	.sql = "SELECT t.store_original_transaction_id, t.store_product_id, "
	"    NULLIF(t.store_base_plan_id, ''), t.environment::text, t.price_country::text, "
	"    t.price_currency::text, t.price_value, t.price_usd, t.expires_at, "
	"    t.cancellation_reason::text, t.variation_id, t.offer_category::text, t.offer_type::text, t.offer_id, "
	"    CASE WHEN t.billing_issue_detected_at IS NOT NULL THEN t.grace_period_expires_at END, "
	"    CASE t.purchase_type WHEN 'subscription' THEN "
	"        (SELECT count(*) FILTER (WHERE NOT c.is_trial AND c.gaps = 0) FROM "
	"            (SELECT b.is_trial, count(*) FILTER (WHERE b.next_at > b.ends_at) OVER newest_first AS gaps FROM "
	"                (SELECT x.purchased_at, x.expires_at, "
	"                    COALESCE(x.offer_type = 'free_trial', false) AS is_trial, "
	"                    LEAST(x.refunded_at, x.paused_at, GREATEST(x.expires_at, "
	"                        CASE WHEN x.billing_issue_detected_at IS NOT NULL THEN x.grace_period_expires_at END)) AS ends_at, "
	"                    lag(x.purchased_at) OVER (ORDER BY x.purchased_at DESC, x.expires_at DESC) AS next_at "
	"                FROM adapty.transactions x WHERE x.profile_id = $1 AND x.store = $2 "
	"                AND x.store_original_transaction_id = t.store_original_transaction_id "
	"                AND x.purchase_type = 'subscription' AND x.purchased_at <= t.purchased_at) b "
	"            WINDOW newest_first AS (ORDER BY b.purchased_at DESC, b.expires_at DESC)) c) ELSE 1 END, "
	"    CASE WHEN $1 <> '00000000-0000-0000-0000-000000000000' THEN "
	"        (SELECT COALESCE(sum(t.price_usd), 0) FROM adapty.transactions t WHERE t.profile_id = $1 AND " IS_REVENUE ") END "
	"FROM adapty.transactions t WHERE t.profile_id = $1 AND t.store = $2 AND t.store_transaction_id = $3",
	.expected = SPI_OK_SELECT,
	.nargs = 3,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID},
};

/* Adds a text column of the row if it is not null. */
static void
add_text(JsonbBuild *jb, const char *key, int column)
{
	char	   *value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);

	if (value == NULL)
		return;
	jb_key(jb, key);
	jb_string(jb, value);
}

/* Adds a numeric column of the row if it is not null. */
static void
add_numeric(JsonbBuild *jb, const char *key, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull);

	if (isnull)
		return;
	jb_key(jb, key);
	jb_numeric(jb, DatumGetNumeric(value));
}

/* When the subscription ends as an event tells it: by the store, at the end of grace, or at the refund. */
static TimestampTz
event_expires_at(const ChainEvent *event)
{
	TimestampTz expires_at = row_time(0, 9);
	TimestampTz grace_period_expires_at = row_time(0, 15);

	switch (event->type)
	{
		case EVENT_SUBSCRIPTION_REFUNDED:
			return event->event_datetime;
		case EVENT_BILLING_ISSUE_DETECTED:
		case EVENT_ENTERED_GRACE_PERIOD:
		case EVENT_SUBSCRIPTION_EXPIRED:
		case EVENT_TRIAL_EXPIRED:
			return Max(expires_at, grace_period_expires_at);
		default:
			return expires_at;
	}
}

/* The event_properties of an event: what is null is left out. */
static Jsonb *
purchase_properties(const PurchaseEventSource *source, const ChainEvent *event)
{
	JsonbBuild	jb;
	TimestampTz expires_at = event_expires_at(event);

	jb_init(&jb);
	jb_begin_object(&jb);
	jb_key(&jb, "store");
	jb_string(&jb, source->store);
	jb_key(&jb, "store_transaction_id");
	jb_string(&jb, source->store_transaction_id);
	add_text(&jb, "store_original_transaction_id", 1);
	add_text(&jb, "store_product_id", 2);
	add_text(&jb, "store_base_plan_id", 3);
	add_text(&jb, "environment", 4);
	add_text(&jb, "price_country", 5);
	add_text(&jb, "price_currency", 6);
	add_numeric(&jb, "price_value", 7);
	add_numeric(&jb, "price_usd", 8);
	if (HAS_TIME(expires_at))
	{
		jb_key(&jb, "subscription_expires_at");
		jb_timestamp(&jb, expires_at);
	}
	if (source->cancellation_reason != NULL)
	{
		jb_key(&jb, "cancellation_reason");
		jb_string(&jb, source->cancellation_reason);
	}
	else
		add_text(&jb, "cancellation_reason", 10);
	add_text(&jb, "variation_id", 11);
	add_text(&jb, "offer_category", 12);
	add_text(&jb, "offer_type", 13);
	add_text(&jb, "offer_id", 14);
	jb_key(&jb, "consecutive_payments");
	jb_int64(&jb, DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 16, &(bool) {false})));
	add_numeric(&jb, "total_revenue_usd", 17);
	jb_end_object(&jb);
	return jb_finish(&jb);
}

/* See purchase_event.h. */
void
purchase_events_write(const PurchaseEventSource *source, const ChainEvent *events, int n)
{
	Datum		values[3] = {UUIDPGetDatum(source->profile_id), CStringGetTextDatum(source->store),
	CStringGetTextDatum(source->store_transaction_id)};
	EventRow   *rows;
	char	   *source_id;

	if (n == 0 || event_is_silent())
		return;
	if (plan_execute_generic(&facts_plan, values, NULL, false) != 1)
		elog(ERROR, "transaction \"%s\" of store \"%s\" is not stored",
			 source->store_transaction_id, source->store);
	source_id = purchase_source_id(source->store, source->store_transaction_id);
	rows = palloc0(sizeof(EventRow) * n);
	for (int i = 0; i < n; i++)
	{
		rows[i].type = events[i].type;
		rows[i].profile_id = *source->profile_id;
		rows[i].event_datetime = events[i].event_datetime;
		rows[i].source_id = source_id;
		rows[i].actor = source->actor;
		rows[i].reason = source->reason;
		rows[i].properties = purchase_properties(source, &events[i]);
	}
	event_write(rows, n);
	currency_purchase_events(source, events, n);
}

/* See purchase_event.h. */
char *
purchase_source_id(const char *store, const char *id)
{
	return psprintf("%s:%s", store, id);
}

/* See purchase_event.h.  A store has no colon in it. */
bool
purchase_source_id_split(const char *source_id, char **store, char **id)
{
	const char *colon = strchr(source_id, ':');

	if (colon == NULL || colon == source_id || colon[1] == '\0')
		return false;
	*store = pnstrdup(source_id, colon - source_id);
	*id = pstrdup(colon + 1);
	return true;
}
