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

/* A statement, prepared at its first use and kept. */
typedef struct QueuePlan
{
	const char *sql;
	int			expected;
	int			nargs;
	Oid			argtypes[MAX_ARGS];
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
	SPI_OK_SELECT, 0, {0}, NULL
};

static QueuePlan verified_plan = {
	"UPDATE adapty.webhooks w SET state = CASE WHEN $2 IS NULL THEN 'enabled' ELSE 'failed' END::adapty.webhook_state,"
	" state_changed_at = now(), state_reason = $2 WHERE w.webhook_id = $1 AND w.state = 'verifying'",
	SPI_OK_UPDATE, 2, {TEXTOID, TEXTOID}, NULL
};

static QueuePlan position_plan = {
	"SELECT p.cursor FROM adapty.webhook_progress p JOIN adapty.webhooks w ON w.webhook_id = p.webhook_id"
	" WHERE p.webhook_id = $1 AND w.state = 'enabled' FOR NO KEY UPDATE OF p SKIP LOCKED",
	SPI_OK_SELECT, 1, {TEXTOID}, NULL
};

/* The page's last row has no event, only the position to go on from. */
static QueuePlan fan_out_plan = {
	"WITH page AS MATERIALIZED (SELECT p.cursor, p.event FROM adapty._event_page($2, $3, NULL, true) p),"
	" inserted AS (INSERT INTO adapty.webhook_deliveries (webhook_id, event_id, profile_id, recorded_at, next_attempt_at)"
	"  SELECT w.webhook_id, (p.event).event_id, (p.event).profile_id, (p.event).recorded_at, clock_timestamp()"
	"  FROM page p, adapty.webhooks w WHERE w.webhook_id = $1 AND (p.event).event_id IS NOT NULL"
	"  AND adapty._webhook_wants(w, p.event) ORDER BY (p.event).recorded_at, (p.event).event_id"
	"  ON CONFLICT DO NOTHING RETURNING 1),"
	" moved AS (UPDATE adapty.webhook_progress o SET cursor = (SELECT p.cursor FROM page p WHERE (p.event).event_id IS NULL)"
	"  WHERE o.webhook_id = $1 AND EXISTS (SELECT FROM page p WHERE (p.event).event_id IS NOT NULL) RETURNING 1)"
	" SELECT (SELECT count(*) FROM page) - 1, (SELECT count(*) FROM inserted), (SELECT count(*) FROM moved)",
	SPI_OK_SELECT, 3, {TEXTOID, TEXTOID, INT4OID}, NULL
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
	SPI_OK_SELECT, 6, {TEXTOID, UUIDARRAYOID, INT4OID, BOOLOID, INT4OID, TIMESTAMPTZOID}, NULL
};

static QueuePlan render_plan = {
	"SELECT adapty._webhook_body(w, e) FROM adapty.webhooks w, adapty.events e"
	" WHERE w.webhook_id = $1 AND e.profile_id = $2 AND e.recorded_at = $3 AND e.event_id = $4",
	SPI_OK_SELECT, 4, {TEXTOID, UUIDOID, TIMESTAMPTZOID, UUIDOID}, NULL
};

static QueuePlan next_due_plan = {
	"SELECT min(d.next_attempt_at) FROM adapty.webhook_deliveries d"
	" WHERE d.webhook_id = $1 AND d.state = 'pending' AND d.next_attempt_at > $2",
	SPI_OK_SELECT, 2, {TEXTOID, TIMESTAMPTZOID}, NULL
};

static QueuePlan park_plan = {
	"UPDATE adapty.webhook_deliveries d SET state = 'parked', finished_at = clock_timestamp(), last_error = $3"
	" WHERE d.webhook_id = $1 AND d.event_id = $2 AND d.state = 'pending'",
	SPI_OK_UPDATE, 3, {TEXTOID, UUIDOID, TEXTOID}, NULL
};

static QueuePlan lost_plan = {
	"WITH gone AS (DELETE FROM adapty.webhook_deliveries d WHERE d.webhook_id = $1 AND d.event_id = $2 RETURNING 1)"
	" UPDATE adapty.webhook_progress p SET lost = p.lost + (SELECT count(*) FROM gone) WHERE p.webhook_id = $1",
	SPI_OK_UPDATE, 2, {TEXTOID, UUIDOID}, NULL
};

/* Sorted by their key, so that rows are locked in one order. */
static QueuePlan record_plan = {
	"UPDATE adapty.webhook_deliveries d SET state = o.state::adapty.delivery_state, attempts = d.attempts + o.counts::integer,"
	" first_attempt_at = COALESCE(d.first_attempt_at, o.started_at),"
	" finished_at = CASE WHEN o.state <> 'pending' THEN o.finished_at END,"
	" next_attempt_at = COALESCE(o.next_attempt_at, d.next_attempt_at),"
	" last_status = NULLIF(o.status, 0), last_error = NULLIF(o.error, '')"
	" FROM (SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)"
	"  AS u (webhook_id, event_id, state, started_at, finished_at, next_attempt_at, status, error, counts)"
	"  ORDER BY webhook_id, event_id) o"
	" WHERE d.webhook_id = o.webhook_id AND d.event_id = o.event_id AND d.state = 'pending'",
	SPI_OK_UPDATE, 9,
	{TEXTARRAYOID, UUIDARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID,
	INT4ARRAYOID, TEXTARRAYOID, BOOLARRAYOID}, NULL
};

static QueuePlan progress_plan = {
	"UPDATE adapty.webhook_progress p SET delivered = p.delivered + $2, rejected = p.rejected + $3,"
	" failed_attempts = p.failed_attempts + $4, failures = $5, failing_since = $6, retry_at = $7, last_success_at = $8,"
	" last_error = COALESCE($9, p.last_error), last_error_at = CASE WHEN $9 IS NULL THEN p.last_error_at ELSE now() END"
	" WHERE p.webhook_id = $1",
	SPI_OK_UPDATE, 9,
	{TEXTOID, INT8OID, INT8OID, INT8OID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID}, NULL
};

static QueuePlan recover_plan = {
	"UPDATE adapty.webhook_deliveries d SET next_attempt_at = clock_timestamp()"
	" WHERE d.webhook_id = $1 AND d.state = 'pending' AND d.next_attempt_at > clock_timestamp() AND d.attempts > 0",
	SPI_OK_UPDATE, 1, {TEXTOID}, NULL
};

/* Parked events are kept until the event itself is gone. */
static QueuePlan purge_plan = {
	"DELETE FROM adapty.webhook_deliveries d WHERE d.ctid = ANY (ARRAY("
	"SELECT x.ctid FROM adapty.webhook_deliveries x WHERE x.webhook_id = $1 AND x.finished_at < $2"
	" AND (x.state IN ('delivered', 'rejected') OR (x.state = 'parked' AND x.recorded_at < $3)) LIMIT $4))",
	SPI_OK_DELETE, 4, {TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID}, NULL
};

/* Executes a statement; returns the number of rows. */
static uint64
run(QueuePlan *plan, Datum *values, const char *nulls)
{
	int			result;

	if (plan->plan == NULL)
	{
		SPIPlanPtr	prepared = SPI_prepare(plan->sql, plan->nargs, plan->argtypes);

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
	Datum	   *ids = palloc(sizeof(Datum) * (endpoint->n_ready + endpoint->n_in_flight + 1));
	int			n = 0;
	dlist_iter	iter;

	dlist_foreach(iter, &endpoint->ready)
		ids[n++] = UUIDPGetDatum(&dlist_container(Delivery, node, iter.cur)->event_id);
	dlist_foreach(iter, &endpoint->in_flight)
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
	/* What is set aside lets later events of its profile pass. */
	endpoint->claim_at = (int64) n == limit || set_aside ? 0 : next_due(endpoint, now);
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

/* Adds up what was done for one endpoint and stores it; nothing if there was nothing. */
static void
record_endpoint(Endpoint *endpoint, dlist_head *done)
{
	int64		counts[4] = {0};
	const char *error = NULL;
	dlist_iter	iter;

	dlist_foreach(iter, done)
	{
		Delivery   *delivery = dlist_container(Delivery, node, iter.cur);

		if (delivery->endpoint != endpoint)
			continue;
		counts[delivery->outcome]++;
		if (delivery->error[0] != '\0')
			error = delivery->error;
	}
	record_progress(endpoint, counts[OUTCOME_DELIVERED], counts[OUTCOME_REJECTED],
					counts[OUTCOME_RETRY] + counts[OUTCOME_PARKED], error);
}

/* See queue.h. */
void
queue_record(dlist_head *done)
{
	int			n = 0;
	int			room = 64;
	Datum	   *values[9];
	bool	   *no_next;
	Datum		args[9];
	TimestampTz now = GetCurrentTimestamp();
	dlist_iter	iter;
	dlist_iter	other;

	dlist_foreach(iter, done)
		n++;
	room = Max(n, 1);
	for (int i = 0; i < 9; i++)
		values[i] = palloc(sizeof(Datum) * room);
	no_next = palloc(sizeof(bool) * room);
	n = 0;
	dlist_foreach(iter, done)
	{
		Delivery   *delivery = dlist_container(Delivery, node, iter.cur);

		values[0][n] = CStringGetTextDatum(delivery->endpoint->id);
		values[1][n] = UUIDPGetDatum(&delivery->event_id);
		values[2][n] = CStringGetTextDatum(outcome_state(delivery->outcome));
		values[3][n] = TimestampTzGetDatum(delivery->started_at);
		values[4][n] = TimestampTzGetDatum(now);
		values[5][n] = TimestampTzGetDatum(delivery->next_attempt_at);
		no_next[n] = delivery->next_attempt_at == 0;
		values[6][n] = Int32GetDatum(delivery->status);
		values[7][n] = CStringGetTextDatum(delivery->error);
		values[8][n] = BoolGetDatum(delivery->counts);
		n++;
	}
	args[0] = make_array(values[0], NULL, n, TEXTOID, -1, false, TYPALIGN_INT);
	args[1] = make_array(values[1], NULL, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR);
	args[2] = make_array(values[2], NULL, n, TEXTOID, -1, false, TYPALIGN_INT);
	for (int i = 3; i <= 5; i++)
		args[i] = make_array(values[i], i == 5 ? no_next : NULL, n, TIMESTAMPTZOID, sizeof(TimestampTz), FLOAT8PASSBYVAL,
							 TYPALIGN_DOUBLE);
	args[6] = make_array(values[6], NULL, n, INT4OID, sizeof(int32), true, TYPALIGN_INT);
	args[7] = make_array(values[7], NULL, n, TEXTOID, -1, false, TYPALIGN_INT);
	args[8] = make_array(values[8], NULL, n, BOOLOID, sizeof(bool), true, TYPALIGN_CHAR);
	run(&record_plan, args, NULL);

	/* Once for each endpoint: at its first delivery in the list. */
	dlist_foreach(iter, done)
	{
		Endpoint   *endpoint = dlist_container(Delivery, node, iter.cur)->endpoint;

		dlist_foreach(other, done)
		{
			if (dlist_container(Delivery, node, other.cur)->endpoint == endpoint)
				break;
		}
		if (other.cur == iter.cur)
			record_endpoint(endpoint, done);
	}
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
