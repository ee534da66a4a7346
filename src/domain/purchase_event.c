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
#include "domain/purchase_event.h"

static SavedPlan facts_plan = {
	.name = "transaction of an event",
	.sql = "SELECT t.store_original_transaction_id, t.store_product_id, "
	"    NULLIF(t.store_base_plan_id, ''), t.environment::text, t.price_country::text, "
	"    t.price_currency::text, t.price_value, t.price_usd, t.expires_at, "
	"    t.cancellation_reason::text, t.variation_id, t.offer_category::text, t.offer_type::text, t.offer_id "
	"FROM adapty.transactions t WHERE t.profile_id OPERATOR(pg_catalog.=) $1 "
	"AND t.store OPERATOR(pg_catalog.=) $2 AND t.store_transaction_id OPERATOR(pg_catalog.=) $3",
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

/* The event_properties: what is null is left out. */
static Jsonb *
purchase_properties(const PurchaseEventSource *source)
{
	JsonbBuild	jb;
	bool		isnull;
	Datum		expires_at = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 9, &isnull);

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
	if (!isnull)
	{
		jb_key(&jb, "subscription_expires_at");
		jb_timestamp(&jb, DatumGetTimestampTz(expires_at));
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
	Jsonb	   *properties;
	char	   *source_id;

	if (n == 0 || event_is_silent())
		return;
	if (plan_execute(&facts_plan, values, NULL, false) != 1)
		elog(ERROR, "transaction \"%s\" of store \"%s\" is not stored",
			 source->store_transaction_id, source->store);
	properties = purchase_properties(source);
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
		rows[i].properties = properties;
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
