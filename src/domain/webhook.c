/*
 * webhook.c
 *		Webhooks: the functions that define, enable and resend.  The sender is a library of its own.
 *
 * Writes webhooks and webhook_secrets, and of webhook_progress and webhook_deliveries what a person
 * asks for; the sender writes the rest.  Secrets go in here and never come out, but for the one that
 * was just made.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/arg.h"
#include "base/errors.h"
#include "base/guc.h"
#include "base/hooks.h"
#include "base/plans.h"
#include "domain/feed.h"
#include "domain/webhook.h"
#include "domain/webhook_check.h"

PG_FUNCTION_INFO_V1(adapty_define_webhook);
PG_FUNCTION_INFO_V1(adapty_rotate_webhook_secret);
PG_FUNCTION_INFO_V1(adapty_enable_webhook);
PG_FUNCTION_INFO_V1(adapty_disable_webhook);
PG_FUNCTION_INFO_V1(adapty_delete_webhook);
PG_FUNCTION_INFO_V1(adapty_resend_event);
PG_FUNCTION_INFO_V1(adapty_resend_failed);
PG_FUNCTION_INFO_V1(adapty_resend_events);
PG_FUNCTION_INFO_V1(adapty_webhook_inserted);
PG_FUNCTION_INFO_V1(adapty_webhooks_changed);

/* Arguments of define_webhook(), by number. */
enum
{
	ARG_WEBHOOK_ID,
	ARG_URL,
	ARG_ENVIRONMENT,
	ARG_AUTHORIZATION,
	ARG_SECRET,
	ARG_EVENT_TYPES,
	ARG_EVENT_NAMES,
	ARG_USER_ATTRIBUTES,
	ARG_ATTRIBUTION,
	ARG_TRIAL_PRICE,
	ARG_PURCHASE_TOKEN,
	ARG_HISTORICAL,
	ARG_MAX_IN_FLIGHT,
	ARG_SUCCESS_FROM,
	ARG_SUCCESS_TO
};

#define DEFINE_ARGS 13			/* parameters of define_plan */

/* A new URL of a webhook in use is verified again; what is queued waits for that. */
static SavedPlan define_plan = {
	"define webhook",
	"INSERT INTO adapty.webhooks AS w (webhook_id, url, environment, event_types, event_names,"
	" send_user_attributes, send_attribution, send_trial_price, send_purchase_token, exclude_historical,"
	" max_in_flight, success_from, success_to)"
	" VALUES ($1, $2, $3::adapty.environment, $4::pg_catalog.text[]::adapty.event_type[], $5, $6, $7, $8, $9, $10, $11, $12, $13)"
	" ON CONFLICT (webhook_id) DO UPDATE SET url = EXCLUDED.url, environment = EXCLUDED.environment,"
	" event_types = EXCLUDED.event_types, event_names = EXCLUDED.event_names,"
	" send_user_attributes = EXCLUDED.send_user_attributes, send_attribution = EXCLUDED.send_attribution,"
	" send_trial_price = EXCLUDED.send_trial_price, send_purchase_token = EXCLUDED.send_purchase_token, exclude_historical = EXCLUDED.exclude_historical,"
	" max_in_flight = EXCLUDED.max_in_flight, success_from = EXCLUDED.success_from, success_to = EXCLUDED.success_to,"
	" state = CASE WHEN w.url <> EXCLUDED.url AND w.state = 'enabled' THEN 'verifying'::adapty.webhook_state ELSE w.state END"
	" RETURNING w.xmax = 0",
	SPI_OK_INSERT_RETURNING, DEFINE_ARGS,
	{TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, JSONBOID, BOOLOID, BOOLOID, BOOLOID, BOOLOID, BOOLOID, INT4OID, INT4OID, INT4OID},
	NULL, InvalidOid
};

/* Null keeps what is there, an empty string takes it away. */
static SavedPlan define_secrets = {
	"define secrets of a webhook",
	"INSERT INTO adapty.webhook_secrets AS s (webhook_id, authorization_value, signing_secret)"
	" VALUES ($1, NULLIF($2, ''), NULLIF($3, ''))"
	" ON CONFLICT (webhook_id) DO UPDATE SET"
	" authorization_value = CASE WHEN $2 IS NULL THEN s.authorization_value ELSE NULLIF($2, '') END,"
	" signing_secret = CASE WHEN $3 IS NULL THEN s.signing_secret ELSE NULLIF($3, '') END,"
	" previous_secret = CASE WHEN $3 IS NULL THEN s.previous_secret END",
	SPI_OK_INSERT, 3, {TEXTOID, TEXTOID, TEXTOID}, NULL, InvalidOid
};

static SavedPlan rotate_secret = {
	"rotate secret of a webhook",
	"UPDATE adapty.webhook_secrets s SET previous_secret = s.signing_secret,"
	" previous_valid_until = pg_catalog.now() + $3, signing_secret = $2 WHERE s.webhook_id = $1",
	SPI_OK_UPDATE, 3, {TEXTOID, TEXTOID, INTERVALOID}, NULL, InvalidOid
};

static SavedPlan touch_webhook = {
	"touch webhook",
	"UPDATE adapty.webhooks w SET url = w.url WHERE w.webhook_id = $1",
	SPI_OK_UPDATE, 1, {TEXTOID}, NULL, InvalidOid
};

static SavedPlan find_state = {
	"state of a webhook",
	"SELECT w.state::pg_catalog.text FROM adapty.webhooks w WHERE w.webhook_id = $1 FOR NO KEY UPDATE",
	SPI_OK_SELECT, 1, {TEXTOID}, NULL, InvalidOid
};

static SavedPlan set_state = {
	"set state of a webhook",
	"UPDATE adapty.webhooks w SET state = $2::adapty.webhook_state, state_changed_at = pg_catalog.now(),"
	" state_reason = NULL WHERE w.webhook_id = $1",
	SPI_OK_UPDATE, 2, {TEXTOID, TEXTOID}, NULL, InvalidOid
};

static SavedPlan start_progress = {
	"begin of a webhook",
	"INSERT INTO adapty.webhook_progress AS p (webhook_id, cursor) VALUES ($1, $2)"
	" ON CONFLICT (webhook_id) DO UPDATE SET cursor = CASE WHEN $3 THEN COALESCE(p.cursor, $2) ELSE $2 END,"
	" failures = 0, failing_since = NULL, retry_at = NULL",
	SPI_OK_INSERT, 3, {TEXTOID, TEXTOID, BOOLOID}, NULL, InvalidOid
};

/*
 * Here and in the sender's queue.c locks are taken in this order, so that nobody waits in a circle: webhooks,
 * webhook_progress (to delete a webhook locks it), and deliveries by (webhook_id, event_id).
 */
static SavedPlan delete_deliveries = {
	"delete deliveries of a webhook",
	"DELETE FROM adapty.webhook_deliveries d USING (SELECT x.event_id FROM adapty.webhook_deliveries x"
	" WHERE x.webhook_id = $1 ORDER BY x.event_id FOR UPDATE) l WHERE d.webhook_id = $1 AND d.event_id = l.event_id",
	SPI_OK_DELETE, 1, {TEXTOID}, NULL, InvalidOid
};

static SavedPlan delete_webhook = {
	"delete webhook",
	"DELETE FROM adapty.webhooks w WHERE w.webhook_id = $1",
	SPI_OK_DELETE, 1, {TEXTOID}, NULL, InvalidOid
};

static SavedPlan lock_webhooks = {
	"webhooks to resend to",
	"SELECT 1 FROM adapty.webhooks w WHERE w.webhook_id = $1",
	SPI_OK_SELECT, 1, {TEXTOID}, NULL, InvalidOid
};

/* The event's id says when it was made (version 7), which spares a look at all partitions. */
static SavedPlan resend_one = {
	"resend event",
	"WITH event AS MATERIALIZED ("
	"SELECT e FROM adapty.events e WHERE e.event_id = $1"
	" AND (pg_catalog.substr($1::pg_catalog.text, 15, 1) <> '7' OR e.recorded_at BETWEEN $3 AND $4)),"
	" queued AS (INSERT INTO adapty.webhook_deliveries AS d (webhook_id, event_id, profile_id, recorded_at)"
	" SELECT w.webhook_id, (e).event_id, (e).profile_id, (e).recorded_at FROM event, adapty.webhooks w"
	" WHERE CASE WHEN $2 IS NULL THEN w.state = 'enabled' AND adapty._webhook_wants(w, e) ELSE w.webhook_id = $2 END"
	" ORDER BY w.webhook_id ON CONFLICT (webhook_id, event_id) DO UPDATE SET state = 'pending', attempts = 0, first_attempt_at = NULL,"
	" finished_at = NULL, next_attempt_at = pg_catalog.now() RETURNING 1)"
	" SELECT (SELECT pg_catalog.count(*) FROM event), (SELECT pg_catalog.count(*) FROM queued)",
	SPI_OK_SELECT, 4, {UUIDOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID}, NULL, InvalidOid
};

static SavedPlan resend_parked = {
	"resend what is parked",
	"UPDATE adapty.webhook_deliveries d SET state = 'pending', attempts = 0, first_attempt_at = NULL,"
	" finished_at = NULL, next_attempt_at = pg_catalog.now()"
	" FROM (SELECT x.webhook_id, x.event_id FROM adapty.webhook_deliveries x WHERE x.state = 'parked'"
	" AND ($1 IS NULL OR x.webhook_id = $1) AND x.recorded_at >= $2 AND x.recorded_at < $3"
	" ORDER BY x.webhook_id, x.event_id FOR UPDATE) l WHERE d.webhook_id = l.webhook_id AND d.event_id = l.event_id",
	SPI_OK_UPDATE, 3, {TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID}, NULL, InvalidOid
};

static SavedPlan resend_range = {
	"resend events of a time",
	"WITH wanted AS MATERIALIZED ("
	"SELECT e.event_id, e.profile_id, e.recorded_at FROM adapty.events e, adapty.webhooks w"
	" WHERE w.webhook_id = $1 AND e.recorded_at >= $2 AND e.recorded_at < $3"
	" AND ($4 IS NULL OR e.event_type::pg_catalog.text = ANY ($4)) AND adapty._webhook_wants(w, e) LIMIT $5 + 1),"
	" queued AS (INSERT INTO adapty.webhook_deliveries AS d (webhook_id, event_id, profile_id, recorded_at)"
	" SELECT $1, t.event_id, t.profile_id, t.recorded_at FROM wanted t WHERE (SELECT pg_catalog.count(*) FROM wanted) <= $5"
	" ORDER BY t.event_id ON CONFLICT (webhook_id, event_id) DO UPDATE SET state = 'pending', attempts = 0, first_attempt_at = NULL,"
	" finished_at = NULL, next_attempt_at = pg_catalog.now() RETURNING 1)"
	" SELECT (SELECT pg_catalog.count(*) FROM wanted)",
	SPI_OK_SELECT, 5, {TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTARRAYOID, INT8OID}, NULL, InvalidOid
};

static SavedPlan in_use = {
	"webhooks in use",
	"SELECT 1 FROM adapty.webhooks w WHERE w.state IN ('enabled', 'verifying') LIMIT 1",
	SPI_OK_SELECT, 0, {0}, NULL, InvalidOid
};

/* See webhook.h. */
bool
webhooks_in_use(void)
{
	ApiScope	scope;
	bool		result;

	scope_enter(&scope);
	result = plan_execute(&in_use, NULL, NULL, true) > 0;
	scope_leave(&scope);
	return result;
}

/* Argument n, a webhook's name; NULL if it is null and not required. */
static char *
arg_webhook(FunctionCallInfo fcinfo, int n, bool required)
{
	char	   *id = arg_text(fcinfo, n, "webhook_id", required, MAX_WEBHOOK_ID);

	if (id != NULL)
		check_webhook_id(id);
	return id;
}

/* ERROR: there is no such webhook. */
static void
report_unknown(const char *id)
{
	ereport(ERROR,
			(condition_errcode(COND_WEBHOOK_DOES_NOT_EXIST),
			 errmsg("webhook \"%s\" does not exist", id),
			 errhint("SELECT webhook_id FROM adapty.webhook_status lists the webhooks; adapty.define_webhook() makes one.")));
}

/* Argument n as text that may be empty; NULL if it is null. */
static char *
arg_secret_text(FunctionCallInfo fcinfo, int n, const char *name, int max_chars)
{
	char	   *value;

	if (PG_ARGISNULL(n))
		return NULL;
	value = text_to_cstring(PG_GETARG_TEXT_PP(n));
	/* The value is a secret: not in the message. */
	if (strlen(value) > (size_t) max_chars)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s has more than %d characters", name, max_chars)));
	return value;
}

/* Integer argument n within a range: ERROR (22023) naming it. */
static int
arg_range(FunctionCallInfo fcinfo, int n, const char *name, int from, int to)
{
	if (PG_ARGISNULL(n) || PG_GETARG_INT32(n) < from || PG_GETARG_INT32(n) > to)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s \"%s\" is not between %d and %d", name,
						PG_ARGISNULL(n) ? "null" : psprintf("%d", PG_GETARG_INT32(n)), from, to)));
	return PG_GETARG_INT32(n);
}

/* The arguments of define_plan. */
static void
define_arguments(FunctionCallInfo fcinfo, const char *id, Datum *args, char *nulls)
{
	char	   *url = arg_text(fcinfo, ARG_URL, "url", true, MAX_WEBHOOK_URL);
	Oid			output;
	bool		varlena;

	check_webhook_url(url);
	memset(nulls, ' ', DEFINE_ARGS);
	args[0] = CStringGetTextDatum(id);
	args[1] = CStringGetTextDatum(url);
	args[2] = CStringGetTextDatum("Production");
	if (!PG_ARGISNULL(ARG_ENVIRONMENT))
	{
		getTypeOutputInfo(get_fn_expr_argtype(fcinfo->flinfo, ARG_ENVIRONMENT), &output, &varlena);
		args[2] = CStringGetTextDatum(OidOutputFunctionCall(output, PG_GETARG_DATUM(ARG_ENVIRONMENT)));
	}
	nulls[3] = PG_ARGISNULL(ARG_EVENT_TYPES) ? 'n' : ' ';
	if (!PG_ARGISNULL(ARG_EVENT_TYPES))
		args[3] = feed_types_as_text(PG_GETARG_ARRAYTYPE_P(ARG_EVENT_TYPES));
	args[4] = PG_ARGISNULL(ARG_EVENT_NAMES) ? DirectFunctionCall1(jsonb_in, CStringGetDatum("{}"))
		: PG_GETARG_DATUM(ARG_EVENT_NAMES);
	check_event_names(DatumGetJsonbP(args[4]));
	for (int i = ARG_USER_ATTRIBUTES; i <= ARG_HISTORICAL; i++)
		args[i - ARG_USER_ATTRIBUTES + 5] = BoolGetDatum(!PG_ARGISNULL(i) && PG_GETARG_BOOL(i));
	args[10] = Int32GetDatum(arg_range(fcinfo, ARG_MAX_IN_FLIGHT, "max_in_flight", 1, 1000));
	args[11] = Int32GetDatum(arg_range(fcinfo, ARG_SUCCESS_FROM, "success_from", 200, 599));
	args[12] = Int32GetDatum(arg_range(fcinfo, ARG_SUCCESS_TO, "success_to", DatumGetInt32(args[11]), 599));
}

/* adapty.define_webhook(...): the secret if it is new and was not given, else null. */
Datum
adapty_define_webhook(PG_FUNCTION_ARGS)
{
	char	   *id = arg_webhook(fcinfo, ARG_WEBHOOK_ID, true);
	char	   *authorization = arg_secret_text(fcinfo, ARG_AUTHORIZATION, "authorization_value", MAX_AUTHORIZATION);
	char	   *secret = arg_secret_text(fcinfo, ARG_SECRET, "signing_secret", 255);
	char	   *made = NULL;
	Datum		args[DEFINE_ARGS];
	char		nulls[DEFINE_ARGS];
	bool		isnull;
	ApiScope	scope;

	if (authorization != NULL)
		check_authorization_value(authorization);
	if (secret != NULL && *secret != '\0')
		check_signing_secret(secret);
	define_arguments(fcinfo, id, args, nulls);
	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	plan_execute(&define_plan, args, nulls, false);
	if (secret == NULL && DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull)))
		secret = made = MemoryContextStrdup(scope.caller_context, make_signing_secret());
	memset(nulls, ' ', 3);
	nulls[1] = authorization == NULL ? 'n' : ' ';
	nulls[2] = secret == NULL ? 'n' : ' ';
	args[1] = authorization == NULL ? (Datum) 0 : CStringGetTextDatum(authorization);
	args[2] = secret == NULL ? (Datum) 0 : CStringGetTextDatum(secret);
	plan_execute(&define_secrets, args, nulls, false);
	scope_leave(&scope);
	if (made == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(made));
}

/* adapty.rotate_webhook_secret(webhook_id, signing_secret, overlap): the new secret. */
Datum
adapty_rotate_webhook_secret(PG_FUNCTION_ARGS)
{
	char	   *id = arg_webhook(fcinfo, 0, true);
	char	   *secret = arg_text(fcinfo, 1, "signing_secret", false, 255);
	Datum		args[3];
	ApiScope	scope;

	if (PG_ARGISNULL(2) || DatumGetBool(DirectFunctionCall2(interval_lt, PG_GETARG_DATUM(2),
															DirectFunctionCall3(interval_in, CStringGetDatum("0"),
																				ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("overlap must not be null or negative")));
	if (secret != NULL)
		check_signing_secret(secret);
	else
		secret = make_signing_secret();
	refuse_unless_writable(fcinfo);
	args[0] = CStringGetTextDatum(id);
	args[1] = CStringGetTextDatum(secret);
	args[2] = PG_GETARG_DATUM(2);
	scope_enter(&scope);
	/* Touched, so that the sender hears of it. */
	if (plan_execute(&touch_webhook, args, NULL, false) == 0)
		report_unknown(id);
	plan_execute(&rotate_secret, args, NULL, false);
	scope_leave(&scope);
	PG_RETURN_TEXT_P(cstring_to_text(secret));
}

/* adapty.enable_webhook(webhook_id, catch_up) */
Datum
adapty_enable_webhook(PG_FUNCTION_ARGS)
{
	char	   *id = arg_webhook(fcinfo, 0, true);
	Datum		args[3];
	char	   *state;
	FeedCursor	cursor;
	ApiScope	scope;

	refuse_unless_writable(fcinfo);
	args[0] = CStringGetTextDatum(id);
	feed_cursor_now(&cursor);
	scope_enter(&scope);
	if (plan_execute(&find_state, args, NULL, false) == 0)
		report_unknown(id);
	state = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (strcmp(state, "enabled") != 0 && strcmp(state, "verifying") != 0)
	{
		args[1] = CStringGetTextDatum("verifying");
		plan_execute(&set_state, args, NULL, false);
		args[1] = CStringGetTextDatum(feed_cursor_text(&cursor));
		args[2] = BoolGetDatum(!PG_ARGISNULL(1) && PG_GETARG_BOOL(1));
		plan_execute(&start_progress, args, NULL, false);
	}
	scope_leave(&scope);
	PG_RETURN_VOID();
}

/* adapty.disable_webhook(webhook_id) */
Datum
adapty_disable_webhook(PG_FUNCTION_ARGS)
{
	char	   *id = arg_webhook(fcinfo, 0, true);
	Datum		args[2];
	ApiScope	scope;

	refuse_unless_writable(fcinfo);
	args[0] = CStringGetTextDatum(id);
	args[1] = CStringGetTextDatum("disabled");
	scope_enter(&scope);
	if (plan_execute(&set_state, args, NULL, false) == 0)
		report_unknown(id);
	scope_leave(&scope);
	PG_RETURN_VOID();
}

/* adapty.delete_webhook(webhook_id) */
Datum
adapty_delete_webhook(PG_FUNCTION_ARGS)
{
	Datum		arg = CStringGetTextDatum(arg_webhook(fcinfo, 0, true));
	ApiScope	scope;
	uint64		n;

	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	n = plan_execute(&delete_webhook, &arg, NULL, false);
	plan_execute(&delete_deliveries, &arg, NULL, false);
	scope_leave(&scope);
	PG_RETURN_BOOL(n > 0);
}

/* ERROR if a webhook is named that does not exist. */
static void
require_webhook(const char *id)
{
	Datum		arg;

	if (id == NULL)
		return;
	arg = CStringGetTextDatum(id);
	if (plan_execute(&lock_webhooks, &arg, NULL, false) == 0)
		report_unknown(id);
}

/* A bigint of the first row. */
static int64
result_count(int column)
{
	bool		isnull;

	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull));
}

/* When a uuid of version 7 was made. */
static TimestampTz
uuid_time(const pg_uuid_t *uuid)
{
	int64		ms = 0;

	for (int i = 0; i < 6; i++)
		ms = (ms << 8) | uuid->data[i];
	return (ms - (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * 86400000) * 1000;
}

/* adapty.resend_event(event_id, webhook_id) */
Datum
adapty_resend_event(PG_FUNCTION_ARGS)
{
	char	   *id = arg_webhook(fcinfo, 1, false);
	Datum		args[4];
	char		nulls[4] = {' ', id == NULL ? 'n' : ' ', ' ', ' '};
	ApiScope	scope;
	int64		queued;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("event_id must not be null")));
	refuse_unless_writable(fcinfo);
	args[0] = PG_GETARG_DATUM(0);
	args[1] = id == NULL ? (Datum) 0 : CStringGetTextDatum(id);
	args[2] = TimestampTzGetDatum(uuid_time(PG_GETARG_UUID_P(0)) - USECS_PER_HOUR);
	args[3] = TimestampTzGetDatum(uuid_time(PG_GETARG_UUID_P(0)) + USECS_PER_HOUR);
	scope_enter(&scope);
	require_webhook(id);
	plan_execute(&resend_one, args, nulls, false);
	if (result_count(1) == 0)
		ereport(ERROR,
				(condition_errcode(COND_EVENT_DOES_NOT_EXIST),
				 errmsg("event \"%s\" does not exist",
						DatumGetCString(DirectFunctionCall1(uuid_out, args[0]))),
				 errdetail("It was never written, or adapty.event_retention has removed it.")));
	queued = result_count(2);
	scope_leave(&scope);
	wake_output_at_commit(false);
	PG_RETURN_INT64(queued);
}

/* A bound of a time range: ERROR (22004) if null. */
static Datum
arg_bound(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
	return PG_GETARG_DATUM(n);
}

/* adapty.resend_failed(webhook_id, from_time, to_time) */
Datum
adapty_resend_failed(PG_FUNCTION_ARGS)
{
	char	   *id = arg_webhook(fcinfo, 0, false);
	Datum		args[3];
	char		nulls[3] = {id == NULL ? 'n' : ' ', ' ', ' '};
	ApiScope	scope;
	uint64		n;

	args[0] = id == NULL ? (Datum) 0 : CStringGetTextDatum(id);
	args[1] = arg_bound(fcinfo, 1, "from_time");
	args[2] = arg_bound(fcinfo, 2, "to_time");
	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	require_webhook(id);
	n = plan_execute(&resend_parked, args, nulls, false);
	scope_leave(&scope);
	wake_output_at_commit(false);
	PG_RETURN_INT64((int64) n);
}

/* adapty.resend_events(webhook_id, from_time, to_time, types) */
Datum
adapty_resend_events(PG_FUNCTION_ARGS)
{
	char	   *id = arg_webhook(fcinfo, 0, true);
	Datum		args[5];
	char		nulls[5] = {' ', ' ', ' ', PG_ARGISNULL(3) ? 'n' : ' ', ' '};
	ApiScope	scope;
	int64		n;

	args[0] = CStringGetTextDatum(id);
	args[1] = arg_bound(fcinfo, 1, "from_time");
	args[2] = arg_bound(fcinfo, 2, "to_time");
	args[3] = PG_ARGISNULL(3) ? (Datum) 0 : feed_types_as_text(PG_GETARG_ARRAYTYPE_P(3));
	args[4] = Int64GetDatum(adapty_webhook_max_queue);
	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	require_webhook(id);
	plan_execute(&resend_range, args, nulls, false);
	n = result_count(1);
	if (n > adapty_webhook_max_queue)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("more than %d events were written in that time for webhook \"%s\"",
						adapty_webhook_max_queue, id),
				 errhint("Resend a shorter time, or raise adapty.webhook_max_queue.")));
	scope_leave(&scope);
	wake_output_at_commit(false);
	PG_RETURN_INT64(n);
}

/*
 * Trigger on webhooks, BEFORE INSERT of one that is not disabled: it is made so.  define_webhook()
 * inserts disabled ones, so this one is restored from a dump or written by hand.
 */
Datum
adapty_webhook_inserted(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	int			columns[2];
	Datum		values[2];
	bool		nulls[2] = {false, false};

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || !TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"webhook_inserted\" must be fired before insert, for each row")));
	desc = RelationGetDescr(trigger->tg_relation);
	columns[0] = SPI_fnumber(desc, "state");
	columns[1] = SPI_fnumber(desc, "state_reason");
	values[0] = DirectFunctionCall2(enum_in, CStringGetDatum("disabled"),
									ObjectIdGetDatum(TupleDescAttr(desc, columns[0] - 1)->atttypid));
	values[1] = CStringGetTextDatum("restored or inserted by hand: adapty.enable_webhook(webhook_id, catch_up => true) goes on where it was");
	return PointerGetDatum(heap_modify_tuple_by_cols(trigger->tg_trigtuple, desc, 2, columns, values, nulls));
}

/* Trigger on webhooks, after any statement: the sender is told at commit. */
Datum
adapty_webhooks_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"webhooks_changed\" was not called by trigger manager")));
	wake_output_at_commit(true);
	return PointerGetDatum(NULL);
}
