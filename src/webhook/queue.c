/*
 * queue.c
 *		The sender's statements: all of them, and nothing else, know the tables.
 *
 * There is one sender a database (a lock proves it), so a delivery that it is busy with needs no
 * mark in its row: what is held in memory is left out of the next claim, and what a crash has cut
 * off is simply still pending.  So each delivery costs two writes: it is queued, and it is done.
 *
 * All names are qualified, and search_path is pinned to pg_catalog by the process.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/guc_values.h"
#include "webhook/queue.h"

#define MAX_ARGS 10
#define PURGE_ROWS 5000
#define HOLD_BACK_ATTEMPTS 3	/* an event that failed so often lets later ones of its profile pass */

/*
 * A statement, prepared at its first use and kept.  Those that go by an index whatever is there have one
 * plan; those that would not are planned each time, for the table as it is.
 */
typedef struct QueuePlan
{
	const char *sql;
	int			expected;
	int			nargs;
	Oid			argtypes[MAX_ARGS];
	bool		replan;
	SPIPlanPtr	plan;
} QueuePlan;

static QueuePlan load_plan = {
	"SELECT w.webhook_id, w.url, w.state = 'verifying', w.max_in_flight, w.success_from, w.success_to,"
	" s.authorization_value, s.signing_secret, CASE WHEN s.previous_valid_until > now() THEN s.previous_secret END,"
	" COALESCE(p.failures, 0), p.failing_since, p.retry_at, p.last_success_at,"
	" (SELECT count(*) FROM adapty.webhook_deliveries d WHERE d.webhook_id = w.webhook_id AND d.state = 'pending')"
	" FROM adapty.webhooks w LEFT JOIN adapty.webhook_secrets s ON s.webhook_id = w.webhook_id"
	" LEFT JOIN adapty.webhook_progress p ON p.webhook_id = w.webhook_id"
	" WHERE w.state IN ('enabled', 'verifying')",
	SPI_OK_SELECT, 0, {0}, false, NULL
};

static QueuePlan verified_plan = {
	"UPDATE adapty.webhooks w SET state = CASE WHEN $2 IS NULL THEN 'enabled' ELSE 'failed' END::adapty.webhook_state,"
	" state_changed_at = now(), state_reason = $2 WHERE w.webhook_id = $1 AND w.state = 'verifying'",
	SPI_OK_UPDATE, 2, {TEXTOID, TEXTOID}, false, NULL
};

static QueuePlan position_plan = {
	"SELECT p.cursor FROM adapty.webhook_progress p JOIN adapty.webhooks w ON w.webhook_id = p.webhook_id"
	" WHERE p.webhook_id = $1 AND w.state = 'enabled' FOR NO KEY UPDATE OF p SKIP LOCKED",
	SPI_OK_SELECT, 1, {TEXTOID}, false, NULL
};

/* The page's last row has no event, only the position to go on from. */
static QueuePlan fan_out_plan = {
	"WITH page AS MATERIALIZED (SELECT p.cursor, p.event FROM adapty._event_page($2, $3, NULL, true) p),"
	" inserted AS (INSERT INTO adapty.webhook_deliveries (webhook_id, event_id, profile_id, recorded_at, next_attempt_at)"
	"  SELECT w.webhook_id, (p.event).event_id, (p.event).profile_id, (p.event).recorded_at, clock_timestamp()"
	"  FROM page p, adapty.webhooks w WHERE w.webhook_id = $1 AND (p.event).event_id IS NOT NULL"
	"  AND adapty._webhook_wants(w, p.event) ORDER BY (p.event).event_id"
	"  ON CONFLICT DO NOTHING RETURNING 1),"
	" moved AS (UPDATE adapty.webhook_progress o SET cursor = (SELECT p.cursor FROM page p WHERE (p.event).event_id IS NULL)"
	"  WHERE o.webhook_id = $1 AND EXISTS (SELECT FROM page p WHERE (p.event).event_id IS NOT NULL) RETURNING 1)"
	" SELECT (SELECT count(*) FROM page) - 1, (SELECT count(*) FROM inserted), (SELECT count(*) FROM moved)",
	SPI_OK_SELECT, 3, {TEXTOID, TEXTOID, INT4OID}, false, NULL
};

/*
 * The look for earlier events is a scalar subquery rather than NOT EXISTS, which would become a join
 * that reads the whole queue for each row.  $2: what is held in memory.  $4: whether to render
 * the body now.  $6: the moment, the same one for the look at what comes next: nothing may fall
 * due between the two.
 */
static QueuePlan claim_plan = {
	"WITH due AS MATERIALIZED (SELECT d.event_id, d.profile_id, d.recorded_at, d.attempts, d.first_attempt_at"
	"  FROM adapty.webhook_deliveries d"
	"  WHERE d.webhook_id = $1 AND d.state = 'pending' AND d.next_attempt_at <= $6"
	"  AND d.event_id <> ALL ($2)"
	"  AND (SELECT 1 FROM adapty.webhook_deliveries b"
	"   WHERE b.webhook_id = d.webhook_id AND b.profile_id = d.profile_id AND b.state = 'pending'"
	"   AND ROW(b.recorded_at, b.event_id) < ROW(d.recorded_at, d.event_id)"
	"   AND (b.attempts < $5 OR b.event_id = ANY ($2)) LIMIT 1) IS NULL"
	"  ORDER BY d.next_attempt_at, d.recorded_at LIMIT $3)"
	" SELECT due.event_id, due.profile_id, due.recorded_at, due.attempts, due.first_attempt_at, e.event_id IS NOT NULL,"
	"  CASE WHEN $4 AND e.event_id IS NOT NULL THEN adapty._webhook_body(w, e) END"
	" FROM due JOIN adapty.webhooks w ON w.webhook_id = $1"
	" LEFT JOIN adapty.events e ON e.profile_id = due.profile_id AND e.recorded_at = due.recorded_at AND e.event_id = due.event_id"
	" ORDER BY due.recorded_at, due.event_id",
	SPI_OK_SELECT, 6, {TEXTOID, UUIDARRAYOID, INT4OID, BOOLOID, INT4OID, TIMESTAMPTZOID}, false, NULL
};

static QueuePlan render_plan = {
	"SELECT adapty._webhook_body(w, e) FROM adapty.webhooks w, adapty.events e"
	" WHERE w.webhook_id = $1 AND e.profile_id = $2 AND e.recorded_at = $3 AND e.event_id = $4",
	SPI_OK_SELECT, 4, {TEXTOID, UUIDOID, TIMESTAMPTZOID, UUIDOID}, false, NULL
};

static QueuePlan next_due_plan = {
	"SELECT min(d.next_attempt_at) FROM adapty.webhook_deliveries d"
	" WHERE d.webhook_id = $1 AND d.state = 'pending' AND d.next_attempt_at > $2",
	SPI_OK_SELECT, 2, {TEXTOID, TIMESTAMPTZOID}, false, NULL
};

static QueuePlan park_plan = {
	"UPDATE adapty.webhook_deliveries d SET state = 'parked', finished_at = clock_timestamp(), last_error = $3"
	" WHERE d.webhook_id = $1 AND d.event_id = $2 AND d.state = 'pending'",
	SPI_OK_UPDATE, 3, {TEXTOID, UUIDOID, TEXTOID}, false, NULL
};

static QueuePlan lock_plan = {
	"SELECT FROM adapty.webhook_progress p WHERE p.webhook_id = $1 FOR NO KEY UPDATE",
	SPI_OK_SELECT, 1, {TEXTOID}, false, NULL
};

static QueuePlan lost_plan = {
	"WITH gone AS (DELETE FROM adapty.webhook_deliveries d WHERE d.webhook_id = $1 AND d.event_id = $2 RETURNING 1)"
	" UPDATE adapty.webhook_progress p SET lost = p.lost + (SELECT count(*) FROM gone) WHERE p.webhook_id = $1",
	SPI_OK_UPDATE, 2, {TEXTOID, UUIDOID}, false, NULL
};

/*
 * Values go by their place in the arrays.  A plan that was made while the table was empty would read all of
 * an index, and go on doing so when thousands wait; so it is planned each time.  What is pending is known by
 * having no finished_at, which no partial index has.  Rows are locked in the order of their key, after that of
 * webhook_progress: see webhook.c.
 */
static QueuePlan record_plan = {
	"UPDATE adapty.webhook_deliveries d SET (state, attempts, first_attempt_at, finished_at, next_attempt_at, last_status,"
	" last_error) = (SELECT ($3)[p.i]::adapty.delivery_state, d.attempts + ($8)[p.i]::integer,"
	" COALESCE(d.first_attempt_at, ($4)[p.i]), CASE WHEN ($5)[p.i] IS NULL THEN clock_timestamp() END,"
	" COALESCE(($5)[p.i], d.next_attempt_at), NULLIF(($6)[p.i], 0), NULLIF(($7)[p.i], '')"
	" FROM (SELECT array_position($2, d.event_id) AS i OFFSET 0) p)"
	" WHERE d.webhook_id = $1 AND d.event_id = ANY ($2) AND d.finished_at IS NULL",
	SPI_OK_UPDATE, 8,
	{TEXTOID, UUIDARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID, INT4ARRAYOID, TEXTARRAYOID,
	BOOLARRAYOID}, true, NULL
};

static QueuePlan progress_plan = {
	"UPDATE adapty.webhook_progress p SET delivered = p.delivered + $2, rejected = p.rejected + $3,"
	" failed_attempts = p.failed_attempts + $4, failures = $5, failing_since = $6, retry_at = $7, last_success_at = $8,"
	" last_error = COALESCE($9, p.last_error), last_error_at = CASE WHEN $9 IS NULL THEN p.last_error_at ELSE now() END"
	" WHERE p.webhook_id = $1",
	SPI_OK_UPDATE, 9,
	{TEXTOID, INT8OID, INT8OID, INT8OID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID}, false, NULL
};

static QueuePlan recover_plan = {
	"UPDATE adapty.webhook_deliveries d SET next_attempt_at = clock_timestamp()"
	" FROM (SELECT x.event_id FROM adapty.webhook_deliveries x WHERE x.webhook_id = $1 AND x.state = 'pending'"
	"  AND x.next_attempt_at > clock_timestamp() AND x.attempts > 0 ORDER BY x.event_id FOR UPDATE) l"
	" WHERE d.webhook_id = $1 AND d.event_id = l.event_id",
	SPI_OK_UPDATE, 1, {TEXTOID}, true, NULL
};

/* Parked events are kept until the event itself is gone.  What somebody is sending again is not waited for. */
static QueuePlan purge_plan = {
	"DELETE FROM adapty.webhook_deliveries d WHERE d.ctid = ANY (ARRAY("
	"SELECT x.ctid FROM adapty.webhook_deliveries x WHERE x.webhook_id = $1 AND x.finished_at < $2"
	" AND (x.state IN ('delivered', 'rejected') OR (x.state = 'parked' AND x.recorded_at < $3)) LIMIT $4 FOR UPDATE SKIP LOCKED))",
	SPI_OK_DELETE, 4, {TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID}, false, NULL
};

/* Executes a statement; returns the number of rows. */
static uint64
run(QueuePlan *plan, Datum *values, const char *nulls)
{
	int			result;

	if (plan->plan == NULL)
	{
		SPIPlanPtr	prepared = SPI_prepare_cursor(plan->sql, plan->nargs, plan->argtypes,
												  plan->replan ? CURSOR_OPT_CUSTOM_PLAN : CURSOR_OPT_GENERIC_PLAN);

		if (prepared == NULL || SPI_keepplan(prepared) != 0)
			elog(ERROR, "could not prepare a statement of the webhook sender: %s", SPI_result_code_string(SPI_result));
		plan->plan = prepared;
	}
	result = SPI_execute_plan(plan->plan, values, nulls, false, 0);
	if (result != plan->expected)
		elog(ERROR, "a statement of the webhook sender returned %s", SPI_result_code_string(result));
	return SPI_processed;
}

/* A column of a row of the last result; a null is 0. */
static Datum
column(uint64 row, int number, bool *isnull)
{
	bool		dummy;

	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number, isnull != NULL ? isnull : &dummy);
}

/* The same as text in a context; NULL for null. */
static char *
column_text(uint64 row, int number, MemoryContext context)
{
	char	   *value = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number);

	return value == NULL ? NULL : MemoryContextStrdup(context, value);
}

/* The same as a moment; 0 for null. */
static TimestampTz
column_time(uint64 row, int number)
{
	bool		isnull;
	Datum		value = column(row, number, &isnull);

	return isnull ? 0 : DatumGetTimestampTz(value);
}

/* The endpoint of that name, a new one if there is none. */
static Endpoint *
find_endpoint(dlist_head *endpoints, const char *id, MemoryContext context)
{
	dlist_iter	iter;
	Endpoint   *endpoint;

	dlist_foreach(iter, endpoints)
	{
		endpoint = dlist_container(Endpoint, node, iter.cur);
		if (strcmp(endpoint->id, id) == 0)
			return endpoint;
	}
	endpoint = MemoryContextAllocZero(context, sizeof(Endpoint));
	strlcpy(endpoint->id, id, sizeof(endpoint->id));
	dlist_init(&endpoint->ready);
	dlist_init(&endpoint->in_flight);
	dlist_init(&endpoint->done);
	dlist_push_tail(endpoints, &endpoint->node);
	return endpoint;
}

/* Replaces a string of an endpoint. */
static void
replace_string(char **string, char *value)
{
	if (*string != NULL)
		pfree(*string);
	*string = value;
}

/* Fills an endpoint from a row of load_plan. */
static void
fill_endpoint(Endpoint *endpoint, uint64 row, MemoryContext context)
{
	replace_string(&endpoint->url, column_text(row, 2, context));
	endpoint->verifying = DatumGetBool(column(row, 3, NULL));
	endpoint->max_in_flight = DatumGetInt32(column(row, 4, NULL));
	endpoint->success_from = DatumGetInt32(column(row, 5, NULL));
	endpoint->success_to = DatumGetInt32(column(row, 6, NULL));
	replace_string(&endpoint->authorization, column_text(row, 7, context));
	replace_string(&endpoint->secrets[0], column_text(row, 8, context));
	replace_string(&endpoint->secrets[1], column_text(row, 9, context));
	endpoint->queued = DatumGetInt64(column(row, 14, NULL));
	endpoint->more_events = true;
	endpoint->claim_at = 0;
	if (endpoint->listed)
		return;
	/* What it was when a sender last knew it; memory knows better while it is listed. */
	endpoint->listed = true;
	endpoint->failures = DatumGetInt32(column(row, 10, NULL));
	endpoint->failing_since = column_time(row, 11);
	endpoint->retry_at = column_time(row, 12);
	endpoint->last_success_at = column_time(row, 13);
}

/* See queue.h.  An endpoint that is gone stays in memory; it is as if it were full. */
void
queue_load(dlist_head *endpoints, MemoryContext context)
{
	uint64		n = run(&load_plan, NULL, NULL);
	dlist_iter	iter;

	dlist_foreach(iter, endpoints)
	{
		Endpoint   *endpoint = dlist_container(Endpoint, node, iter.cur);
		bool		listed = false;

		for (uint64 i = 0; i < n && !listed; i++)
			listed = strcmp(TextDatumGetCString(column(i, 1, NULL)), endpoint->id) == 0;
		endpoint->listed = endpoint->listed && listed;
	}
	for (uint64 i = 0; i < n; i++)
		fill_endpoint(find_endpoint(endpoints, TextDatumGetCString(column(i, 1, NULL)), context), i, context);
}

/* See queue.h. */
void
queue_verified(const Endpoint *endpoint, const char *reason)
{
	Datum		args[2] = {CStringGetTextDatum(endpoint->id), reason == NULL ? (Datum) 0 : CStringGetTextDatum(reason)};

	run(&verified_plan, args, reason == NULL ? " n" : "  ");
}

/* See queue.h. */
bool
queue_fan_out(Endpoint *endpoint, int limit)
{
	Datum		args[3];
	bool		isnull;
	int64		read;

	args[0] = CStringGetTextDatum(endpoint->id);
	if (run(&position_plan, args, NULL) == 0)
		return false;
	args[1] = column(0, 1, &isnull);
	args[2] = Int32GetDatum(limit);
	run(&fan_out_plan, args, isnull ? " n " : "   ");
	read = DatumGetInt64(column(0, 1, NULL));
	endpoint->queued += DatumGetInt64(column(0, 2, NULL));
	endpoint->more_events = read >= limit;
	if (DatumGetInt64(column(0, 2, NULL)) > 0)
		endpoint->claim_at = 0;
	return true;
}

/* Ids of the deliveries that an endpoint holds in memory. */
static Datum
held_events(Endpoint *endpoint)
{
	Datum	   *ids = palloc(sizeof(Datum) * (endpoint->n_ready + endpoint->n_in_flight + endpoint->n_done + 1));
	int			n = 0;
	dlist_iter	iter;

	dlist_foreach(iter, &endpoint->ready)
		ids[n++] = UUIDPGetDatum(&dlist_container(Delivery, node, iter.cur)->event_id);
	dlist_foreach(iter, &endpoint->in_flight)
		ids[n++] = UUIDPGetDatum(&dlist_container(Delivery, node, iter.cur)->event_id);
	dlist_foreach(iter, &endpoint->done)
		ids[n++] = UUIDPGetDatum(&dlist_container(Delivery, node, iter.cur)->event_id);
	return PointerGetDatum(construct_array(ids, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
}

/* Takes one row of claim_plan with its body. */
static void
take_delivery(Endpoint *endpoint, const pg_uuid_t *event_id, int attempts, TimestampTz first_attempt_at,
			  const char *body, MemoryContext context)
{
	Delivery   *delivery = MemoryContextAllocZero(context, sizeof(Delivery));

	delivery->endpoint = endpoint;
	delivery->event_id = *event_id;
	delivery->attempts = attempts;
	delivery->first_attempt_at = first_attempt_at;
	delivery->body = MemoryContextStrdup(context, body);
	dlist_push_tail(&endpoint->ready, &delivery->node);
	endpoint->n_ready++;
}

/* Parks an event that cannot be sent as it is. */
static void
park(const Endpoint *endpoint, const pg_uuid_t *event_id, const char *error)
{
	Datum		args[3] = {CStringGetTextDatum(endpoint->id), UUIDPGetDatum(event_id), CStringGetTextDatum(error)};

	run(&park_plan, args, NULL);
}

/*
 * The body of one event, in a subtransaction; if it cannot be made the event is parked, with the
 * error, and NULL returned.
 */
static char *
render_carefully(const Endpoint *endpoint, Datum profile_id, Datum recorded_at, const pg_uuid_t *event_id)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	char	   *volatile body = NULL;
	char	   *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		Datum		args[4] = {CStringGetTextDatum(endpoint->id), profile_id, recorded_at, UUIDPGetDatum(event_id)};

		if (run(&render_plan, args, NULL) == 1)
			body = column_text(0, 1, context);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *data;

		MemoryContextSwitchTo(context);
		data = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		error = pstrdup(data->message);
		ereport(WARNING,
				(errmsg("event \"%s\" cannot be sent to webhook \"%s\": %s",
						DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(event_id))), endpoint->id, data->message)));
		FreeErrorData(data);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (body == NULL)
		park(endpoint, event_id, error != NULL ? error : "it has no body");
	return body;
}

/* When there may be something to claim after a moment: what is held back is freed by what is being sent. */
static TimestampTz
next_due(const Endpoint *endpoint, TimestampTz moment)
{
	Datum		args[2] = {CStringGetTextDatum(endpoint->id), TimestampTzGetDatum(moment)};
	bool		isnull;
	Datum		value;

	run(&next_due_plan, args, NULL);
	value = column(0, 1, &isnull);
	return isnull ? NO_TIME : DatumGetTimestampTz(value);
}

/* See queue.h. */
void
queue_claim(Endpoint *endpoint, int limit, MemoryContext context)
{
	TimestampTz now = GetCurrentTimestamp();
	Datum		args[6] = {CStringGetTextDatum(endpoint->id), held_events(endpoint), Int32GetDatum(limit),
	BoolGetDatum(!endpoint->careful), Int32GetDatum(HOLD_BACK_ATTEMPTS), TimestampTzGetDatum(now)};
	uint64		n = run(&claim_plan, args, NULL);
	SPITupleTable *rows = SPI_tuptable;
	bool		set_aside = false;

	for (uint64 i = 0; i < n; i++)
	{
		pg_uuid_t	event_id;
		char	   *body;
		int			attempts;
		TimestampTz first_attempt_at;

		SPI_tuptable = rows;
		event_id = *DatumGetUUIDP(column(i, 1, NULL));
		attempts = DatumGetInt32(column(i, 4, NULL));
		first_attempt_at = column_time(i, 5);
		if (!DatumGetBool(column(i, 6, NULL)))
		{
			Datum		lost[2] = {args[0], UUIDPGetDatum(&event_id)};

			run(&lock_plan, args, NULL);
			run(&lost_plan, lost, NULL);
			endpoint->queued--;
			set_aside = true;
			continue;
		}
		body = endpoint->careful
			? render_carefully(endpoint, column(i, 2, NULL), column(i, 3, NULL), &event_id)
			: column_text(i, 7, CurrentMemoryContext);
		if (body != NULL)
			take_delivery(endpoint, &event_id, attempts, first_attempt_at, body, context);
		else
		{
			endpoint->queued--;
			set_aside = true;
		}
	}
	endpoint->careful = false;
	endpoint->more_due = (int64) n == limit;
	/* What is set aside lets later events of its profile pass. */
	endpoint->claim_at = endpoint->more_due || set_aside ? 0 : next_due(endpoint, now);
}

/* An array of n elements of a type, with nulls where "nulls" says so (NULL for nowhere). */
static Datum
make_array(Datum *elements, bool *nulls, int n, Oid type, int length, bool by_value, char align)
{
	int			lower = 1;

	return PointerGetDatum(construct_md_array(elements, nulls, 1, &n, &lower, type, length, by_value, align));
}

/* Stores how an endpoint fares after its deliveries were recorded. */
static void
record_progress(const Endpoint *endpoint, int64 delivered, int64 rejected, int64 failed, const char *error)
{
	Datum		args[9];
	char		nulls[] = "         ";

	args[0] = CStringGetTextDatum(endpoint->id);
	args[1] = Int64GetDatum(delivered);
	args[2] = Int64GetDatum(rejected);
	args[3] = Int64GetDatum(failed);
	args[4] = Int32GetDatum(endpoint->failures);
	args[5] = TimestampTzGetDatum(endpoint->failing_since);
	args[6] = TimestampTzGetDatum(endpoint->retry_at);
	args[7] = TimestampTzGetDatum(endpoint->last_success_at);
	args[8] = error == NULL ? (Datum) 0 : CStringGetTextDatum(error);
	nulls[5] = endpoint->failing_since == 0 ? 'n' : ' ';
	nulls[6] = endpoint->retry_at == 0 ? 'n' : ' ';
	nulls[7] = endpoint->last_success_at == 0 ? 'n' : ' ';
	nulls[8] = error == NULL ? 'n' : ' ';
	run(&progress_plan, args, nulls);
}

/* The name of an outcome as a state of deliveries. */
static const char *
outcome_state(DeliveryOutcome outcome)
{
	static const char *const states[] = {
		[OUTCOME_DELIVERED] = "delivered",
		[OUTCOME_REJECTED] = "rejected",
		[OUTCOME_RETRY] = "pending",
		[OUTCOME_PARKED] = "parked",
	};

	return states[outcome];
}

/* See queue.h. */
void
queue_record(Endpoint *endpoint)
{
	int			n = endpoint->n_done;
	Datum	   *ids = palloc(sizeof(Datum) * n);
	Datum	   *states = palloc(sizeof(Datum) * n);
	Datum	   *started = palloc(sizeof(Datum) * n);
	Datum	   *next = palloc(sizeof(Datum) * n);
	bool	   *is_over = palloc(sizeof(bool) * n);
	Datum	   *statuses = palloc(sizeof(Datum) * n);
	Datum	   *errors = palloc(sizeof(Datum) * n);
	Datum	   *counting = palloc(sizeof(Datum) * n);
	int64		counts[4] = {0};
	const char *error = NULL;
	Datum		args[8];
	dlist_iter	iter;
	int			i = 0;

	dlist_foreach(iter, &endpoint->done)
	{
		Delivery   *delivery = dlist_container(Delivery, node, iter.cur);

		ids[i] = UUIDPGetDatum(&delivery->event_id);
		states[i] = CStringGetTextDatum(outcome_state(delivery->outcome));
		started[i] = TimestampTzGetDatum(delivery->started_at);
		next[i] = TimestampTzGetDatum(delivery->next_attempt_at);
		is_over[i] = delivery->outcome != OUTCOME_RETRY;
		statuses[i] = Int32GetDatum(delivery->status);
		errors[i] = CStringGetTextDatum(delivery->error);
		counting[i] = BoolGetDatum(delivery->counts);
		counts[delivery->outcome]++;
		if (delivery->error[0] != '\0')
			error = delivery->error;
		i++;
	}
	args[0] = CStringGetTextDatum(endpoint->id);
	args[1] = make_array(ids, NULL, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR);
	args[2] = make_array(states, NULL, n, TEXTOID, -1, false, TYPALIGN_INT);
	args[3] = make_array(started, NULL, n, TIMESTAMPTZOID, sizeof(TimestampTz), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
	args[4] = make_array(next, is_over, n, TIMESTAMPTZOID, sizeof(TimestampTz), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
	args[5] = make_array(statuses, NULL, n, INT4OID, sizeof(int32), true, TYPALIGN_INT);
	args[6] = make_array(errors, NULL, n, TEXTOID, -1, false, TYPALIGN_INT);
	args[7] = make_array(counting, NULL, n, BOOLOID, sizeof(bool), true, TYPALIGN_CHAR);
	record_progress(endpoint, counts[OUTCOME_DELIVERED], counts[OUTCOME_REJECTED],
					counts[OUTCOME_RETRY] + counts[OUTCOME_PARKED], error);
	run(&record_plan, args, NULL);
}

/* See queue.h. */
void
queue_recover(const Endpoint *endpoint)
{
	Datum		arg = CStringGetTextDatum(endpoint->id);

	run(&recover_plan, &arg, NULL);
}

/* See queue.h. */
bool
queue_purge(const Endpoint *endpoint)
{
	int			days = guc_int("adapty.webhook_retention");
	int			event_days = guc_int("adapty.event_retention");
	TimestampTz now = GetCurrentTimestamp();
	Datum		args[4];

	if (days == 0)
		return false;
	args[0] = CStringGetTextDatum(endpoint->id);
	args[1] = TimestampTzGetDatum(now - days * USECS_PER_DAY);
	args[2] = TimestampTzGetDatum(event_days == 0 ? DT_NOBEGIN : now - Max(event_days, days) * USECS_PER_DAY);
	args[3] = Int32GetDatum(PURGE_ROWS);
	return run(&purge_plan, args, NULL) == PURGE_ROWS;
}
