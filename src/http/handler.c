/*
 * handler.c
 *		The frame around every endpoint.
 *
 * An endpoint runs in a subtransaction.  If it fails, what it did is rolled back to there and the
 * error becomes the response, so that PostgREST commits a transaction in which nothing happened; it
 * knows no other way to an answer with a body of our own.  Checks that wait for the commit are made
 * before the subtransaction ends: an error at commit would be answered in PostgREST's own form.
 *
 * A conflict with another transaction (40001, 40P01) is tried again here, a few times, and is never let
 * out: PostgREST would repeat the transaction without end.  The transaction reads committed
 * data, so a new attempt sees what it lost to.
 *
 * The body of an error goes into the header X-Adapty-Error too.  The web server answers all errors
 * from that header, so that errors of PostgREST itself, which has none, get the same form.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "base/caller.h"
#include "base/errors.h"
#include "http/http_error.h"
#include "http/http_reply.h"
#include "http/request.h"

#define MAX_ATTEMPTS 4

/* Makes the checks that would wait for the commit. */
static void
check_constraints_now(void)
{
	ConstraintsSetStmt *stmt = makeNode(ConstraintsSetStmt);

	stmt->constraints = NIL;
	stmt->deferred = false;
	AfterTriggerSetState(stmt);
}

/* ERROR (42501) unless the caller may call the endpoint at all. */
static void
check_access(const HttpRoute *route)
{
	if (route->access == HTTP_SERVER && caller_is_limited())
		ereport(ERROR,
				(condition_errcode(COND_PERMISSION_DENIED),
				 errmsg("You do not have permission to perform this action.")));
}

/* One attempt; the error if it failed, and everything as it was before. */
static ErrorData *
run_once(FunctionCallInfo fcinfo, const HttpRoute *route, HttpResponse *response)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	HttpRequest request = {0};
	ErrorData  *volatile error = NULL;
	volatile bool is_parse_error = false;

	response->status = 200;
	response->content_type = "application/json";
	initStringInfo(&response->body);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		request_read(fcinfo, &request);
		check_access(route);
		route->handler(&request, response);
		if (!XactReadOnly)
			check_constraints_now();
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		is_parse_error = request.is_parsing && condition_of_error(error) == COND_BASE_ERROR;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (is_parse_error)
	{
		error->sqlerrcode = condition_sqlstate(COND_PARSE_ERROR);
		error->constraint_name = pstrdup(condition_info(COND_PARSE_ERROR)->name);
	}
	return error;
}

/* May the same request succeed at once? */
static bool
is_conflict(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_T_R_SERIALIZATION_FAILURE ||
		error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED;
}

/* Fills the response to a request that failed; what is the server's fault goes to its log. */
static void
answer_error(const HttpRoute *route, ErrorData *error, HttpResponse *response)
{
	AdaptyCondition condition = condition_of_error(error);
	const char *source;
	char	   *message = http_error_message(error, condition, &source);

	if (condition == COND_PROFILE_DOES_NOT_EXIST && route->no_profile != COND_BASE_ERROR)
		condition = route->no_profile;
	response->status = condition_info(condition)->http_status;
	resetStringInfo(&response->body);
	if (route->is_json_api && response->status < 500)
	{
		response->content_type = "application/vnd.api+json";
		http_error_body_json_api(&response->body, condition, source, message);
	}
	else
		http_error_body(&response->body, condition, source, message);
	if (response->status >= 500)
	{
		error->elevel = LOG;
		ThrowErrorData(error);
	}
}

/* Sets a setting until the end of the transaction. */
static void
set_local(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

/* See http_reply.h. */
void
http_reply(const HttpResponse *response)
{
	StringInfoData headers;

	initStringInfo(&headers);
	appendStringInfo(&headers, "[{\"Content-Type\":\"%s\"}", response->content_type);
	if (response->status >= 400)
	{
		appendStringInfoString(&headers, ",{\"X-Adapty-Error\":");
		escape_json(&headers, response->body.data);
		appendStringInfoChar(&headers, '}');
	}
	if (response->status == 503)
		appendStringInfoString(&headers, ",{\"Retry-After\":\"1\"}");
	appendStringInfoChar(&headers, ']');
	set_local("response.status", psprintf("%d", response->status));
	set_local("response.headers", headers.data);
}

/* Runs an endpoint and returns its response's body; status and headers are in response.*. */
Datum
http_run(FunctionCallInfo fcinfo, const HttpRoute *route)
{
	HttpResponse response;
	ErrorData  *error;

	for (int attempt = 1;; attempt++)
	{
		error = run_once(fcinfo, route, &response);
		if (error == NULL || !is_conflict(error) || attempt == MAX_ATTEMPTS)
			break;
		CHECK_FOR_INTERRUPTS();
	}
	if (error != NULL)
		answer_error(route, error, &response);
	http_reply(&response);
	PG_RETURN_BYTEA_P(cstring_to_text_with_len(response.body.data, response.body.len));
}
