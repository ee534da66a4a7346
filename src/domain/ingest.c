/*
 * ingest.c
 *		Events that the stores send: proved, counted once, applied.  The only writer of ingest_secrets
 *		and ingested_events.
 *
 * Everything happens in the caller's transaction: the row that says the event was seen, the facts, the
 * transactions, their events and the access.  A second delivery of the same event waits for the first
 * and then finds it done.  An event that is authentic but makes no sense to us is recorded with its
 * error and counts as received, because the store would only send the same again; what may go well
 * another time (a deadlock, a full disk) is raised, so that the store does try again.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "base/arg.h"
#include "base/caller.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/guc.h"
#include "base/jsonb_build.h"
#include "base/plans.h"
#include "domain/ingest_apply.h"

#define MAX_SECRET 500			/* characters */
#define MAX_SECRETS 64			/* of a provider, tried */

PG_FUNCTION_INFO_V1(adapty_ingest_stripe_event);
PG_FUNCTION_INFO_V1(adapty_ingest_stripe_event_text);
PG_FUNCTION_INFO_V1(adapty_ingest_paddle_event);
PG_FUNCTION_INFO_V1(adapty_ingest_paddle_event_text);
PG_FUNCTION_INFO_V1(adapty_ingest_chargebee_event);
PG_FUNCTION_INFO_V1(adapty_ingest_chargebee_event_text);
PG_FUNCTION_INFO_V1(adapty_set_ingest_secret);

static SavedPlan secrets_plan = {
	.name = "secrets of a store",
	.sql = "SELECT s.environment::text, s.secret FROM adapty.ingest_secrets s "
	"WHERE s.provider OPERATOR(pg_catalog.=) $1 AND s.valid_until OPERATOR(pg_catalog.>) $2 "
	"ORDER BY s.valid_until DESC, s.created_at DESC LIMIT 64",
	.expected = SPI_OK_SELECT,
	.nargs = 2,
	.argtypes = {TEXTOID, TIMESTAMPTZOID},
};

static SavedPlan end_secrets_plan = {
	.name = "end of old secrets of a store",
	.sql = "UPDATE adapty.ingest_secrets s SET valid_until = LEAST(s.valid_until, $4) "
	"WHERE s.provider OPERATOR(pg_catalog.=) $1 AND s.environment OPERATOR(pg_catalog.=) $2::adapty.environment "
	"AND s.secret IS DISTINCT FROM $3",
	.expected = SPI_OK_UPDATE,
	.nargs = 4,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID},
};

static SavedPlan purge_secrets_plan = {
	.name = "secrets of a store that are over",
	.sql = "DELETE FROM adapty.ingest_secrets s WHERE s.provider OPERATOR(pg_catalog.=) $1 "
	"AND s.valid_until OPERATOR(pg_catalog.<=) $2",
	.expected = SPI_OK_DELETE,
	.nargs = 2,
	.argtypes = {TEXTOID, TIMESTAMPTZOID},
};

static SavedPlan put_secret_plan = {
	.name = "secret of a store",
	.sql = "INSERT INTO adapty.ingest_secrets AS s (provider, environment, secret) "
	"VALUES ($1, $2::adapty.environment, $3) "
	"ON CONFLICT (provider, environment, secret) DO UPDATE SET valid_until = 'infinity'",
	.expected = SPI_OK_INSERT,
	.nargs = 3,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID},
};

/* No row if the event was seen; one that ended in an error is tried again. */
static SavedPlan begin_event_plan = {
	.name = "event of a store",
	.sql = "INSERT INTO adapty.ingested_events AS e (provider, event_id, event_type, environment, occurred_at) "
	"VALUES ($1, $2, $3, $4::adapty.environment, $5) "
	"ON CONFLICT (provider, event_id) DO UPDATE SET received_at = pg_catalog.clock_timestamp(), "
	"    outcome = 'applied', detail = NULL WHERE e.outcome OPERATOR(pg_catalog.=) 'error'",
	.expected = SPI_OK_INSERT,
	.nargs = 5,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID},
};

static SavedPlan end_event_plan = {
	.name = "outcome of a store's event",
	.sql = "UPDATE adapty.ingested_events e SET outcome = $3, detail = $4 "
	"WHERE e.provider OPERATOR(pg_catalog.=) $1 AND e.event_id OPERATOR(pg_catalog.=) $2",
	.expected = SPI_OK_UPDATE,
	.nargs = 4,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, TEXTOID},
};

/* By the index of received_at, the oldest first; what somebody holds is left for another time. */
static SavedPlan purge_events_plan = {
	.name = "purge of events of the stores",
	.sql = "DELETE FROM adapty.ingested_events e USING "
	"    (SELECT provider, event_id FROM adapty.ingested_events "
	"     WHERE received_at OPERATOR(pg_catalog.<) $1 ORDER BY received_at LIMIT $2 "
	"     FOR UPDATE SKIP LOCKED) old "
	"WHERE e.provider OPERATOR(pg_catalog.=) old.provider AND e.event_id OPERATOR(pg_catalog.=) old.event_id",
	.expected = SPI_OK_DELETE,
	.nargs = 2,
	.argtypes = {TIMESTAMPTZOID, INT8OID},
};

/* ---- is it the store's? ---- */

/* ERROR (28000): nothing proves that the event is the store's.  Says nothing of what was sent. */
static void pg_attribute_noreturn()
report_not_authentic(const char *provider, const char *why, const char *hint)
{
	ereport(ERROR,
			(condition_errcode(COND_NOT_AUTHENTIC),
			 errmsg("event is not authentic: it does not come from \"%s\"", provider),
			 errdetail("%s", why),
			 hint != NULL ? errhint("%s", hint) : 0));
}

/* The environment whose secret proves the payload; ERROR (28000) if none does. */
static const char *
prove(const char *provider, const char *payload, size_t length, const char *header)
{
	TimestampTz now = GetCurrentTimestamp();
	Datum		values[2] = {CStringGetTextDatum(provider), TimestampTzGetDatum(now)};
	IngestSecret secrets[MAX_SECRETS];
	const char *why = NULL;
	int			n;
	int			found;

	if (header == NULL)
		report_not_authentic(provider, "The signature header is missing.", NULL);
	n = (int) plan_execute(&secrets_plan, values, NULL, false);
	for (int i = 0; i < n; i++)
	{
		secrets[i].environment = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		secrets[i].secret = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2);
	}
	if (n == 0)
		report_not_authentic(provider, "There is no secret that is valid.",
							 psprintf("The owner of the extension sets it: SELECT adapty.set_ingest_secret('%s', $1).",
									  provider));
	found = ingest_verify(provider, payload, length, header, now, adapty_ingest_tolerance, secrets, n, &why);
	if (found < 0)
		report_not_authentic(provider, why, NULL);
	return secrets[found].environment;
}

/* ---- what does it say? ---- */

/* ERROR (22023): the payload is authentic and no event.  Says nothing of what is in it. */
static void pg_attribute_noreturn()
report_unreadable(const char *why)
{
	ereport(ERROR,
			(condition_errcode(COND_BASE_ERROR),
			 errmsg("payload is not an event"),
			 errdetail("%s", why)));
}

/*
 * The payload as text of the server's encoding (NULL with the reason in *why if it is none), with \u0000, which JSON allows and jsonb does not,
 * made U+FFFD: a name with one in it must not keep an event out for ever.
 */
static char *
payload_text(const char *payload, size_t length, const char **why)
{
	char	   *text;

	*why = length > MaxAllocSize / 4 ? "It is too long." : "It is not UTF-8.";
	if (length > MaxAllocSize / 4 ||
		!pg_verify_mbstr(PG_UTF8, payload, (int) length, true) || memchr(payload, '\0', length) != NULL)
		return NULL;
	text = pg_any_to_server(pnstrdup(payload, length), (int) length, PG_UTF8);
	for (char *c = strchr(text, '\\'); c != NULL && c[1] != '\0'; c = strchr(c + 2, '\\'))
		if (strncmp(c, "\\u0000", 6) == 0)
			memcpy(c, "\\ufffd", 6);
	return text;
}

/* The payload as JSON; NULL with the reason in *why if it is none. */
static Jsonb *
parse_quietly(const char *payload, size_t length, const char **why)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *text = payload_text(payload, length, why);
	Jsonb	   *volatile result = NULL;

	if (text == NULL)
		return NULL;
	*why = "It is not JSON that the database can hold.";
	PG_TRY();
	{
		result = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	}
	PG_CATCH();
	{
		ErrorData  *error;
		int			category;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		category = ERRCODE_TO_CATEGORY(error->sqlerrcode);
		if (category != ERRCODE_DATA_EXCEPTION && category != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
			ReThrowError(error);
	}
	PG_END_TRY();
	return result;
}

/* The payload as JSON; errors do not show it: it is full of what concerns the customer alone. */
static Jsonb *
parse_payload(const char *payload, size_t length)
{
	const char *why;
	Jsonb	   *result = parse_quietly(payload, length, &why);

	if (result == NULL)
		report_unreadable(why);
	return result;
}

/* See ingest.h. */
Jsonb *
ingest_parse(const char *payload, size_t length)
{
	const char *why;

	return parse_quietly(payload, length, &why);
}

/* See ingest.h. */
void
ingest_init_facts(IngestFacts *facts, const char *store)
{
	memset(facts, 0, sizeof(*facts));
	facts->store = store;
	facts->occurred_at = NO_TIME;
}

/* ---- the event ---- */

/* Applies the facts in a subtransaction: what cannot go well another time becomes an outcome. */
static void
apply_safely(const IngestProvider *provider, JsonNode event, const char *type, IngestFacts *facts,
			 bool create_missing, const char *actor, IngestResult *result)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		provider->read(event, type, facts);
		if (facts->ignored != NULL)
		{
			result->outcome = "ignored";
			result->detail = facts->ignored;
		}
		else
			ingest_apply(facts, create_missing, actor, result);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		ErrorData  *error;
		int			category;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		category = ERRCODE_TO_CATEGORY(error->sqlerrcode);
		/* a reference that is gone is a profile that was deleted at this moment: another time it is not found */
		if ((category != ERRCODE_DATA_EXCEPTION && category != ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION) ||
			error->sqlerrcode == ERRCODE_FOREIGN_KEY_VIOLATION)
			ReThrowError(error);
		memset(result, 0, sizeof(*result));
		result->outcome = "error";
		result->detail = error->detail == NULL ? error->message :
			psprintf("%s: %s", error->message, error->detail);
		ereport(WARNING,
				(errmsg("event \"%s\" of \"%s\" was not applied: %s", facts->event_id, provider->name,
						result->detail),
				 errhint("It is recorded in adapty.ingested_events. Let the store send it again once the cause is gone.")));
	}
	PG_END_TRY();
}

/* Notes that the event was seen; false if it was before. */
static bool
begin_event(const IngestProvider *provider, const IngestFacts *facts, const char *type)
{
	Datum		values[5] = {CStringGetTextDatum(provider->name), CStringGetTextDatum(facts->event_id),
		CStringGetTextDatum(type), CStringGetTextDatum(facts->environment),
	TimestampTzGetDatum(facts->occurred_at)};

	return plan_execute(&begin_event_plan, values, NULL, false) > 0;
}

/* Notes the outcome. */
static void
end_event(const IngestProvider *provider, const IngestFacts *facts, const IngestResult *result)
{
	Datum		values[4] = {CStringGetTextDatum(provider->name), CStringGetTextDatum(facts->event_id),
		CStringGetTextDatum(result->outcome),
	result->detail == NULL ? (Datum) 0 : CStringGetTextDatum(result->detail)};

	if (strcmp(result->outcome, "applied") == 0 && result->detail == NULL)
		return;
	(void) plan_execute(&end_event_plan, values, result->detail == NULL ? "   n" : NULL, false);
}

/* What the caller gets to know. */
static Jsonb *
result_json(const IngestFacts *facts, const char *type, const IngestResult *result)
{
	JsonbBuild	jb;
	ListCell   *cell;

	jb_init(&jb);
	jb_begin_object(&jb);
	jb_key(&jb, "outcome");
	jb_string(&jb, result->outcome);
	jb_key(&jb, "event_id");
	jb_string(&jb, facts->event_id);
	jb_key(&jb, "event_type");
	jb_string(&jb, type);
	jb_key(&jb, "environment");
	jb_string(&jb, facts->environment);
	jb_key(&jb, "profile_id");
	jb_uuid(&jb, result->has_profile ? &result->profile_id : NULL);
	jb_key(&jb, "transactions");
	jb_begin_array(&jb);
	foreach(cell, result->transactions)
		jb_string(&jb, lfirst(cell));
	jb_end_array(&jb);
	jb_key(&jb, "detail");
	jb_string(&jb, result->detail);
	jb_end_object(&jb);
	return jb_finish(&jb);
}

/* An authentic event of an environment. */
static Jsonb *
ingest_proved(const IngestProvider *provider, const char *environment, Jsonb *payload, bool create_missing,
			  const char *actor)
{
	JsonNode	event = json_root(payload);
	IngestFacts facts;
	IngestResult result = {0};
	const char *type = NULL;

	ingest_init_facts(&facts, provider->name);
	facts.environment = environment;
	if (!provider->read_envelope(event, &facts, &type))
		report_unreadable("It has not the id, type, time and object that every event has.");
	if (strcmp(facts.environment, environment) != 0)
		report_not_authentic(provider->name,
							 psprintf("It is of environment \"%s\", and the secret is that of \"%s\".",
									  facts.environment, environment), NULL);
	if (!begin_event(provider, &facts, type))
		result.outcome = "duplicate";
	else
	{
		apply_safely(provider, event, type, &facts, create_missing, actor, &result);
		end_event(provider, &facts, &result);
	}
	return result_json(&facts, type, &result);
}

/* The functions of all providers: (payload, signature_header, create_missing). */
static Datum
ingest_event(FunctionCallInfo fcinfo, const IngestProvider *provider, bool is_text)
{
	char	   *actor = caller_actor();
	char	   *header = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	bool		create_missing = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	const char *environment;
	ApiScope	scope;
	char	   *data;
	size_t		length;
	Jsonb	   *shown;
	Jsonb	   *result;

	refuse_unless_writable(fcinfo);
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("payload must not be null")));
	/* text and bytea are alike: a length and bytes */
	data = VARDATA_ANY(PG_GETARG_TEXT_PP(0));
	length = VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(0));
	if (is_text && length > 0)
	{
		/* signed was what was sent, which is UTF-8 */
		char	   *utf8 = pg_server_to_any(pnstrdup(data, length), (int) length, PG_UTF8);

		length = strlen(utf8);
		data = utf8;
	}
	scope_enter(&scope);
	environment = prove(provider->name, data, length, header);
	shown = ingest_proved(provider, environment, parse_payload(data, length), create_missing, actor);
	result = MemoryContextAlloc(scope.caller_context, VARSIZE(shown));
	memcpy(result, shown, VARSIZE(shown));
	scope_leave(&scope);
	PG_RETURN_JSONB_P(result);
}

/* adapty.ingest_stripe_event() and its like: see the functions' COMMENTs. */
Datum
adapty_ingest_stripe_event(PG_FUNCTION_ARGS)
{
	return ingest_event(fcinfo, &ingest_stripe, false);
}

Datum
adapty_ingest_stripe_event_text(PG_FUNCTION_ARGS)
{
	return ingest_event(fcinfo, &ingest_stripe, true);
}

Datum
adapty_ingest_paddle_event(PG_FUNCTION_ARGS)
{
	return ingest_event(fcinfo, &ingest_paddle, false);
}

Datum
adapty_ingest_paddle_event_text(PG_FUNCTION_ARGS)
{
	return ingest_event(fcinfo, &ingest_paddle, true);
}

Datum
adapty_ingest_chargebee_event(PG_FUNCTION_ARGS)
{
	return ingest_event(fcinfo, &ingest_chargebee, false);
}

Datum
adapty_ingest_chargebee_event_text(PG_FUNCTION_ARGS)
{
	return ingest_event(fcinfo, &ingest_chargebee, true);
}

/* See ingest.h. */
bool
ingest_purge(int64 n)
{
	Datum		values[2];

	if (adapty_ingested_event_retention == 0)
		return false;
	values[0] = TimestampTzGetDatum(GetCurrentTimestamp() - adapty_ingested_event_retention * USECS_PER_DAY);
	values[1] = Int64GetDatum(n);
	return plan_execute(&purge_events_plan, values, NULL, false) == (uint64) n;
}

/* ---- secrets ---- */

/* ERROR (22023) unless the provider is one of ours. */
static void
check_provider(const char *provider)
{
	if (strcmp(provider, ingest_stripe.name) != 0 && strcmp(provider, ingest_paddle.name) != 0 &&
		strcmp(provider, ingest_chargebee.name) != 0)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("unknown provider \"%s\"", provider),
				 errdetail("The value must be one of: stripe, paddle, chargebee.")));
}

/*
 * adapty.set_ingest_secret(provider, secret, environment, keep_old_for): see the function's COMMENT.
 * No error names the secret.
 */
Datum
adapty_set_ingest_secret(PG_FUNCTION_ARGS)
{
	char	   *provider = arg_text(fcinfo, 0, "provider", true, 64);
	char	   *environment;
	text	   *secret = PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1);
	TimestampTz now = GetCurrentTimestamp();
	ApiScope	scope;
	Datum		values[4];

	refuse_unless_writable(fcinfo);
	check_provider(provider);
	if (secret != NULL && (VARSIZE_ANY_EXHDR(secret) == 0 || VARSIZE_ANY_EXHDR(secret) > MAX_SECRET))
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("secret must have 1 to %d bytes", MAX_SECRET)));
	if (PG_ARGISNULL(2) || PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", PG_ARGISNULL(2) ? "environment" : "keep_old_for")));
	environment = DatumGetCString(DirectFunctionCall1(enum_out, PG_GETARG_DATUM(2)));
	values[0] = CStringGetTextDatum(provider);
	values[1] = CStringGetTextDatum(environment);
	values[2] = PointerGetDatum(secret);
	values[3] = TimestampTzGetDatum(Max(now, clock_add(now, PG_GETARG_INTERVAL_P(3))));
	scope_enter(&scope);
	(void) plan_execute(&end_secrets_plan, values, secret == NULL ? "  n " : NULL, false);
	if (secret != NULL)
		(void) plan_execute(&put_secret_plan, values, NULL, false);
	values[1] = TimestampTzGetDatum(now);
	(void) plan_execute(&purge_secrets_plan, values, NULL, false);
	scope_leave(&scope);
	PG_RETURN_VOID();
}
