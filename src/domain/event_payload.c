/*
 * event_payload.c
 *		Events in the documented form of the webhooks.
 *
 * An event keeps the facts of its moment; here they are put together with what can be read of the
 * transaction, the profile and what was shown to the user.  Every documented field is there, null
 * where nothing is known; docs/events.md lists them.  One event costs two or three small statements.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

#include "base/arg.h"
#include "base/ext_state.h"
#include "base/jsonb_build.h"
#include "base/plans.h"
#include "domain/event_payload.h"
#include "domain/purchase_event.h"

PG_FUNCTION_INFO_V1(adapty_event_payload);

/* ---- what is read ---- */

static SavedPlan profile_plan = {
	.name = "profile of an event",
	.sql = "SELECT i.customer_user_id, p.email, p.created_at, p.ip_country::text, host(p.ip_v4_address), "
	"    p.total_revenue_usd, "
	"    EXISTS (SELECT FROM adapty.access_grants g WHERE g.profile_id = $1 AND g.starts_at <= $2 AND $2 < g.expires_at), "
	"    (SELECT jsonb_object_agg(x.name, x.value) FROM adapty.integration_identifiers x WHERE x.profile_id = $1), "
	"    p.custom_attributes::jsonb, "
	"    d.idfa, d.idfv, d.advertising_id, d.user_agent "
	"FROM adapty.profiles p LEFT JOIN adapty.identities i ON i.profile_id = p.profile_id "
	"LEFT JOIN LATERAL (SELECT d.idfa, d.idfv, d.advertising_id, d.user_agent FROM adapty.installations d "
	"    WHERE d.profile_id = $1 ORDER BY d.updated_at DESC, d.device_id LIMIT 1) d ON true "
	"WHERE p.profile_id = $1",
	.expected = SPI_OK_SELECT,
	.nargs = 2,
	.argtypes = {UUIDOID, TIMESTAMPTZOID},
};

static SavedPlan attribution_plan = {
	.name = "attribution of an event",
	.sql = "SELECT jsonb_object_agg(a.source, jsonb_build_object('status', a.status, "
	"    'channel', a.channel, 'campaign', a.campaign, 'ad_group', a.ad_group, 'ad_set', a.ad_set, "
	"    'creative', a.creative, 'network_user_id', a.network_user_id, 'created_at', "
	"    to_char(a.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+0000\"'))) "
	"FROM adapty.attributions a WHERE a.profile_id = $1",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

/* The newest transaction of a chain, and what the chain itself knows. */
static SavedPlan chain_plan = {
	.name = "chain of an event",
	.sql = "SELECT s.store_transaction_id, s.renew_status, s.renewal_cancelled_at FROM adapty.subscriptions s "
	"WHERE s.store = $1 AND s.store_original_transaction_id = $2",
	.expected = SPI_OK_SELECT,
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

static SavedPlan purchase_plan = {
	.name = "purchase of an event",
	.sql = "SELECT t.store_transaction_id, t.store_original_transaction_id, t.store_product_id, "
	"    NULLIF(t.store_base_plan_id, ''), t.environment::text, t.price_country::text, t.price_currency::text, "
	"    t.price_usd, t.commission_rate, t.tax_rate, t.is_after_first_year, t.purchased_at, "
	"    t.originally_purchased_at, t.variation_id, t.offer_category::text, t.offer_type::text, t.offer_id, "
	"    t.purchase_type = 'subscription', "
	"    EXISTS (SELECT FROM adapty.purchase_inheritors h WHERE h.store = t.store AND h.store_original_transaction_id = "
	"        CASE t.purchase_type WHEN 'subscription' THEN t.store_original_transaction_id ELSE t.store_transaction_id END), "
	"    t.cancellation_reason::text, t.refunded_at, t.expires_at, "
	"    CASE WHEN t.billing_issue_detected_at IS NOT NULL THEN t.grace_period_expires_at END, "
	"    t.billing_issue_detected_at, t.paused_at, t.profile_id "
	"FROM adapty.transactions t WHERE t.store = $1 AND t.store_transaction_id = $2",
	.expected = SPI_OK_SELECT,
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

/* The trial that a payment converted. */
static SavedPlan trial_plan = {
	.name = "trial of an event",
	.sql = "SELECT x.purchased_at, x.expires_at FROM adapty.transactions x WHERE x.profile_id = $1 AND x.store = $2 "
	"AND x.store_original_transaction_id = $3 AND x.offer_type = 'free_trial' AND x.purchased_at <= $4 "
	"ORDER BY x.purchased_at DESC LIMIT 1",
	.expected = SPI_OK_SELECT,
	.nargs = 4,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID, TIMESTAMPTZOID},
};

static SavedPlan paywall_plan = {
	.name = "paywall of an event",
	.sql = "SELECT v.placement_id, w.title, w.revision::text, CASE WHEN v.segment_id IS NULL THEN 'All Users' "
	"    ELSE (SELECT g.name FROM adapty.segments g WHERE g.segment_id = v.segment_id) END, a.name, "
	"    a.revision::int8 FROM adapty.variations v JOIN adapty.paywalls w ON w.paywall_id = v.paywall_id "
	"LEFT JOIN adapty.ab_tests a ON a.ab_test_id = v.ab_test_id WHERE v.variation_id = $1",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

/* Who has the access of a purchase besides a profile that has it; null for nobody. */
static SavedPlan sharing_plan = {
	.name = "profiles that share the purchase of an event",
	.sql = "WITH people AS (SELECT t.profile_id, '-infinity'::timestamptz AS since FROM adapty.transactions t "
	"        WHERE t.store = $1 AND t.store_transaction_id = $3 AND t.profile_id <> '00000000-0000-0000-0000-000000000000' "
	"        AND NOT EXISTS (SELECT FROM adapty.purchase_inheritors h WHERE h.profile_id = t.profile_id "
	"            AND h.store = $1 AND h.store_original_transaction_id = $2 AND NOT h.is_entitled) "
	"    UNION ALL SELECT h.profile_id, h.created_at FROM adapty.purchase_inheritors h "
	"        WHERE h.store = $1 AND h.store_original_transaction_id = $2 AND h.is_entitled "
	"        AND h.profile_id <> h.parent_profile_id) "
	"SELECT jsonb_agg(jsonb_build_object('profile_id', p.profile_id, 'customer_user_id', i.customer_user_id) "
	"    ORDER BY p.since, p.profile_id) FROM people p LEFT JOIN adapty.identities i ON i.profile_id = p.profile_id "
	"WHERE p.profile_id <> $4 AND $4 IN (SELECT m.profile_id FROM people m)",
	.expected = SPI_OK_SELECT,
	.nargs = 4,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, UUIDOID},
};

/* ---- the envelope ---- */

/* Other profiles that have the access of the purchase. */
static void
put_sharing(JsonbBuild *jb, const Payload *p)
{
	const char *transaction_id = get_text(p->purchase, PURCHASE_TRANSACTION_ID);
	Datum		values[4];

	jb_key(jb, "profiles_sharing_access_level");
	if (!get_bool(p->purchase, PURCHASE_IS_SHARED))
	{
		jb_null(jb);
		return;
	}
	values[0] = CStringGetTextDatum(p->store);
	values[1] = CStringGetTextDatum(get_bool(p->purchase, PURCHASE_IS_SUBSCRIPTION) ?
									get_text(p->purchase, PURCHASE_ORIGINAL_ID) : transaction_id);
	values[2] = CStringGetTextDatum(transaction_id);
	values[3] = UUIDPGetDatum(&p->profile_id);
	(void) plan_execute_generic(&sharing_plan, values, NULL, true);
	{
		bool		isnull;
		Datum		others = get(SPI_tuptable, 1, &isnull);

		jb_jsonb(jb, isnull ? NULL : DatumGetJsonbP(others));
	}
}

/* What Google wants to know to validate a purchase.  An order's id is no token. */
static void
put_purchase_token(JsonbBuild *jb, const Payload *p)
{
	const char *token = get_text(p->purchase, PURCHASE_ORIGINAL_ID);

	jb_key(jb, "play_store_purchase_token");
	if (p->store == NULL || strcmp(p->store, "play_store") != 0 || token == NULL)
	{
		jb_null(jb);
		return;
	}
	jb_begin_object(jb);
	put_text(jb, "product_id", get_text(p->purchase, PURCHASE_PRODUCT));
	put_text(jb, "purchase_token", strncmp(token, "GPA.", 4) == 0 ? NULL : token);
	put_bool(jb, "is_subscription", get_bool(p->purchase, PURCHASE_IS_SUBSCRIPTION));
	jb_end_object(jb);
}

/* The whole body. */
static Jsonb *
render(const Payload *p)
{
	JsonbBuild	jb;

	jb_init(&jb);
	jb_begin_object(&jb);
	put_uuid(&jb, "profile_id", payload_profile_id(p));
	put_text(&jb, "customer_user_id", get_text(p->profile, PROFILE_CUSTOMER_USER_ID));
	put_text(&jb, "idfv", get_text(p->profile, PROFILE_IDFV));
	put_text(&jb, "idfa", get_text(p->profile, PROFILE_IDFA));
	put_text(&jb, "advertising_id", get_text(p->profile, PROFILE_ADVERTISING_ID));
	put_time(&jb, "profile_install_datetime", get_time(p->profile, PROFILE_CREATED_AT));
	put_text(&jb, "user_agent", get_text(p->profile, PROFILE_USER_AGENT));
	put_text(&jb, "email", get_text(p->profile, PROFILE_EMAIL));
	put_text(&jb, "event_type", enum_label(ENUM_EVENT_TYPE, p->type));
	put_time(&jb, "event_datetime", p->event_datetime);
	jb_key(&jb, "event_api_version");
	jb_int64(&jb, 1);
	jb_key(&jb, "event_properties");
	jb_begin_object(&jb);
	if (p->type == EVENT_ACCESS_LEVEL_UPDATED)
		put_access_properties(&jb, p);
	else
		put_purchase_properties(&jb, p);
	jb_end_object(&jb);
	put_sharing(&jb, p);
	put_jsonb(&jb, "integration_ids", p->profile, PROFILE_INTEGRATIONS);
	if (p->with_attribution)
		put_jsonb(&jb, "attributions", p->attribution, 1);
	if (p->with_user_attributes)
		put_jsonb(&jb, "user_attributes", p->profile, PROFILE_ATTRIBUTES);
	if (p->with_purchase_token)
		put_purchase_token(&jb, p);
	jb_end_object(&jb);
	return jb_finish(&jb);
}

/* ---- reading the event and what belongs to it ---- */

/* A text column; NULL for null. */
static char *
text_of(Datum value, bool isnull)
{
	return isnull ? NULL : TextDatumGetCString(value);
}

/* Takes one column of the event by its name: the table's columns may change their places. */
static void
read_column(Payload *p, const char *name, Datum value, bool isnull)
{
	if (strcmp(name, "event_type") == 0)
		p->type = enum_value(ENUM_EVENT_TYPE, value);
	else if (strcmp(name, "profile_id") == 0)
		p->profile_id = *DatumGetUUIDP(value);
	else if (strcmp(name, "event_id") == 0)
		p->event_id = *DatumGetUUIDP(value);
	else if (strcmp(name, "event_datetime") == 0)
		p->event_datetime = DatumGetTimestampTz(value);
	else if (strcmp(name, "is_active") == 0)
		p->is_active = !isnull && DatumGetBool(value);
	else if (strcmp(name, "starts_at") == 0)
		p->starts_at = isnull ? DT_NOBEGIN : DatumGetTimestampTz(value);
	else if (strcmp(name, "expires_at") == 0)
		p->expires_at = isnull ? DT_NOEND : DatumGetTimestampTz(value);
	else if (strcmp(name, "previous_expires_at") == 0)
	{
		p->has_previous = !isnull;
		p->previous_expires_at = isnull ? DT_NOEND : DatumGetTimestampTz(value);
	}
	else if (strcmp(name, "source") == 0)
	{
		p->has_source = !isnull;
		p->cause = isnull ? GRANT_SOURCE_SERVER_GRANT : enum_value(ENUM_GRANT_SOURCE, value);
	}
	else if (strcmp(name, "source_id") == 0)
		p->cause_id = text_of(value, isnull);
	else if (strcmp(name, "access_level_id") == 0)
		p->access_level_id = text_of(value, isnull);
	else if (strcmp(name, "actor") == 0)
		p->actor = text_of(value, isnull);
	else if (strcmp(name, "reason") == 0)
		p->reason = text_of(value, isnull);
	else if (strcmp(name, "event_properties") == 0)
		p->facts = isnull ? NULL : DatumGetJsonbP(value);
}

/* ERROR (22004): events have no such null, a row that somebody made up may. */
static bool
must_be_there(const char *name)
{
	return strcmp(name, "event_type") == 0 || strcmp(name, "profile_id") == 0 ||
		strcmp(name, "event_id") == 0 || strcmp(name, "event_datetime") == 0;
}

/* The event from a row of adapty.events. */
static void
read_event(HeapTupleHeader header, Payload *p)
{
	TupleDesc	desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header), HeapTupleHeaderGetTypMod(header));
	Datum	   *values = palloc(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc(sizeof(bool) * desc->natts);
	HeapTupleData tuple = {.t_len = HeapTupleHeaderGetDatumLength(header), .t_data = header};

	ItemPointerSetInvalid(&tuple.t_self);
	heap_deform_tuple(&tuple, desc, values, nulls);
	for (int i = 0; i < desc->natts; i++)
	{
		const char *name = NameStr(TupleDescAttr(desc, i)->attname);

		if (TupleDescAttr(desc, i)->attisdropped)
			continue;
		if (nulls[i] && must_be_there(name))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s of an event must not be null", name)));
		read_column(p, name, values[i], nulls[i]);
	}
	ReleaseTupleDesc(desc);
}

/* Who gives the access that access_level_updated tells of: its cause, or what the facts name. */
static void
find_source(Payload *p)
{
	char	   *winner = fact_text(p, "winner_source");
	int			source = winner == NULL ? -1 : enum_value_of_label(ENUM_GRANT_SOURCE, winner);

	p->source = source >= 0 ? (GrantSource) source : p->cause;
	p->source_id = source >= 0 ? fact_text(p, "winner_source_id") : p->cause_id;
	p->is_explained = source < 0 && p->facts != NULL;
}

/* Reads a transaction by its id, and the trial that it converted. */
static void
load_transaction(Payload *p, const char *id)
{
	Datum		values[4] = {CStringGetTextDatum(p->store), CStringGetTextDatum(id)};
	bool		isnull;

	if (plan_execute_generic(&purchase_plan, values, NULL, true) == 0)
		return;
	p->purchase = p->trial = SPI_tuptable;
	p->trial_at = PURCHASE_AT;
	p->trial_expires_at = PURCHASE_EXPIRES_AT;
	if (p->type != EVENT_TRIAL_CONVERTED)
		return;
	values[0] = get(p->purchase, PURCHASE_PROFILE_ID, &isnull);
	values[1] = CStringGetTextDatum(p->store);
	values[2] = get(p->purchase, PURCHASE_ORIGINAL_ID, &isnull);
	values[3] = get(p->purchase, PURCHASE_AT, &isnull);
	p->trial = plan_execute_generic(&trial_plan, values, NULL, true) == 0 ? NULL : SPI_tuptable;
	p->trial_at = 1;
	p->trial_expires_at = 2;
}

/* Reads what was shown to the user before a purchase. */
static void
load_paywall(Payload *p)
{
	char	   *variation = fact_or_text(p, "variation_id", PURCHASE_VARIATION);
	pg_uuid_t	variation_id;
	Datum		values[1] = {UUIDPGetDatum(&variation_id)};

	if (variation != NULL && parse_uuid(variation, &variation_id) &&
		plan_execute_generic(&paywall_plan, values, NULL, true) > 0)
		p->paywall = SPI_tuptable;
}

/* Reads the purchase that the event tells of. */
static void
load_purchase(Payload *p)
{
	bool		is_access = p->type == EVENT_ACCESS_LEVEL_UPDATED;
	char	   *id = fact_text(p, "store_transaction_id");
	char	   *key;
	Datum		values[2];

	if (is_access && p->source > GRANT_SOURCE_SHARED_PURCHASE)
		return;
	if (p->source_id == NULL || !purchase_source_id_split(p->source_id, &p->store, &key))
		return;
	if (is_access && p->source != GRANT_SOURCE_ONE_TIME_PURCHASE && !p->is_explained)
	{
		values[0] = CStringGetTextDatum(p->store);
		values[1] = CStringGetTextDatum(key);
		if (plan_execute_generic(&chain_plan, values, NULL, true) > 0)
		{
			p->chain = SPI_tuptable;
			id = get_text(p->chain, CHAIN_TRANSACTION_ID);
		}
	}
	load_transaction(p, id != NULL ? id : key);
	if (p->purchase != NULL)
		load_paywall(p);
}

/* Reads the profile as it is now. */
static void
load_profile(Payload *p)
{
	Datum		values[2] = {UUIDPGetDatum(&p->profile_id), TimestampTzGetDatum(p->event_datetime)};

	if (plan_execute_generic(&profile_plan, values, NULL, true) == 0)
		return;
	p->profile = SPI_tuptable;
	if (p->with_attribution && plan_execute_generic(&attribution_plan, values, NULL, true) > 0)
		p->attribution = SPI_tuptable;
}

/* adapty.event_payload(event, user_attributes, attribution, trial_price, purchase_token): see its COMMENT. */
Datum
adapty_event_payload(PG_FUNCTION_ARGS)
{
	ApiScope	scope;
	Payload		p = {0};
	Jsonb	   *payload;
	Jsonb	   *result;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	p.with_user_attributes = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	p.with_attribution = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	p.with_trial_price = !PG_ARGISNULL(3) && PG_GETARG_BOOL(3);
	p.with_purchase_token = !PG_ARGISNULL(4) && PG_GETARG_BOOL(4);
	p.starts_at = DT_NOBEGIN;
	p.expires_at = DT_NOEND;
	scope_enter(&scope);
	read_event(PG_GETARG_HEAPTUPLEHEADER(0), &p);
	find_source(&p);
	load_profile(&p);
	load_purchase(&p);
	payload = render(&p);
	result = MemoryContextAlloc(scope.caller_context, VARSIZE(payload));
	memcpy(result, payload, VARSIZE(payload));
	scope_leave(&scope);
	PG_RETURN_JSONB_P(result);
}
