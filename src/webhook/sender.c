/*
 * sender.c
 *		The process that sends events to webhooks, one in each database that has some.
 *
 * Turn by turn: record what has been answered, read the webhooks if they may have changed, queue new
 * events, claim deliveries that are due, send them, wait for something to happen.  Each of these
 * steps that needs the database is a short transaction; none is open while requests are under way,
 * so nothing here holds back vacuum or anybody's lock.  The steps are in queue.c, what follows from
 * an answer in endpoint.c, HTTP in transport.c.
 *
 * What is lost when the process or the server dies is at most the record of answers, and then those
 * events are sent again: at least once, with the same webhook-id.
 */
#include "postgres.h"

#include <signal.h>
#include <sys/resource.h>

#include "access/xact.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/pmsignal.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/guc_values.h"
#include "base/sender_api.h"
#include "webhook/endpoint.h"
#include "webhook/json_check.h"
#include "webhook/queue.h"
#include "webhook/signature.h"
#include "webhook/transport.h"

ADAPTY_MODULE_MAGIC("adapty_webhook", ADAPTY_VERSION);

/* The lock of the only sender in a database: see scheduler.c for the class. */
#define LOCK_KEY_1 0x61646170	/* "adap" */
#define LOCK_KEY_2 2
#define LOCK_CLASS 7

#define FAN_OUT_ROWS 1000		/* events queued in one transaction */
#define TURN_MS 20				/* between two turns, so that each sees to several events and answers */
#define MAX_YIELD_MS 100		/* after a turn, for those who want the processors */
#define RELOAD_MS 60000			/* webhooks are read again at least so often */
#define PURGE_MS 3600000
#define LOCK_WAIT_MS 5000		/* for one that is ending */
#define LOCK_POLL_MS 20
#define MAX_WAIT_MS 60000
#define MIN_ERROR_MS 1000		/* pause after an error; doubles */
#define MAX_ERROR_MS 60000
#define MAX_HEADERS 8

/* The verification that is under way: one at a time. */
typedef struct Verification
{
	Endpoint   *endpoint;		/* NULL if there is none */
	bool		is_over;		/* answered, and to be stored */
	char		reason[TRANSPORT_ERROR_SIZE];	/* empty if it went well */
} Verification;

typedef struct Sender
{
	MemoryContext context;		/* endpoints and deliveries */
	MemoryContext turn;			/* reset at each turn */
	dlist_head	endpoints;
	TimestampTz reload_at;
	bool		loaded;			/* endpoints have been read */
	TimestampTz purge_at;
	TimestampTz next_turn;		/* not before, unless much is done */
	bool		yields;			/* not before at all: others want the processors */
	TimestampTz looked_at;		/* by the clock, at the last turn of the loop */
	Verification verification;
	TimestampTz retry_at;		/* after an error: nothing is asked of the database before then */
	int			error_ms;
	Endpoint   *current;		/* of the step that runs */
	bool		more;			/* the step left work behind */
} Sender;

typedef void (*StepWork) (Sender *sender);

static const SenderApi *api = NULL;
static Sender sender_state;

PGDLLEXPORT void adapty_webhook_main(Datum arg);

/* Ends the process in order. */
static void
leave(SenderOutcome outcome)
{
	api->exit_as(outcome);
	proc_exit(0);
}

/* SIGTERM: remembered for the loop, and pending for whatever is running. */
static void
handle_sigterm(SIGNAL_ARGS)
{
	ShutdownRequestPending = true;
	die(postgres_signal_arg);
}

/* At each turn, outside of transactions: serves the server's wishes.  True if settings were read again. */
static bool
housekeeping(void)
{
	if (ShutdownRequestPending)
		proc_exit(0);
	if (!PostmasterIsAlive())
		proc_exit(1);
	QueryCancelPending = false;
	CHECK_FOR_INTERRUPTS();
	if (api->leave_asked())
		leave(SENDER_ASKED);
	if (!ConfigReloadPending)
		return false;
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	return true;
}

/* ---- transactions ---- */

/*
 * Looks for the extension, in a transaction: the lock makes DROP EXTENSION and this transaction wait
 * for each other.  Leaves if it is gone or of another version.
 */
static void
require_extension(void)
{
	Oid			extension = get_extension_oid("adapty", true);

	if (OidIsValid(extension))
	{
		LockDatabaseObject(ExtensionRelationId, extension, 0, AccessShareLock);
		extension = get_extension_oid("adapty", true);
	}
	if (!OidIsValid(extension))
	{
		AbortCurrentTransaction();
		leave(SENDER_IDLE);
	}
}

/* After an error: reports it, rolls back, and makes a growing pause. */
static void
recover(Sender *sender)
{
	HOLD_INTERRUPTS();
	EmitErrorReport();
	AbortCurrentTransaction();
	MemoryContextSwitchTo(sender->turn);
	FlushErrorState();
	RESUME_INTERRUPTS();
	sender->error_ms = sender->error_ms == 0 ? MIN_ERROR_MS : Min(sender->error_ms * 2, MAX_ERROR_MS);
	sender->retry_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), sender->error_ms);
}

/* One step in a transaction of its own; false if it failed and was rolled back. */
static bool
run_step(Sender *sender, StepWork work, const char *activity)
{
	volatile bool done = false;

	debug_query_string = activity;
	pgstat_report_activity(STATE_RUNNING, activity);
	PG_TRY();
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		require_extension();
		PushActiveSnapshot(GetTransactionSnapshot());
		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "SPI_connect failed");
		work(sender);
		SPI_finish();
		PopActiveSnapshot();
		CommitTransactionCommand();
		done = true;
	}
	PG_CATCH();
	{
		recover(sender);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(sender->turn);
	debug_query_string = NULL;
	pgstat_report_stat(false);
	if (done && sender->error_ms > 0 && work != NULL)
		sender->error_ms = 0;
	return done;
}

static void
do_load(Sender *sender)
{
	queue_load(&sender->endpoints, sender->context);
}

static void
do_record(Sender *sender)
{
	queue_record(sender->current);
}

static void
do_recover(Sender *sender)
{
	queue_recover(sender->current);
}

static void
do_fan_out(Sender *sender)
{
	int64		room = guc_int("adapty.webhook_max_queue") - sender->current->queued;

	/* Held by somebody who changes the webhook: his commit makes us look again. */
	if (room > 0 && !queue_fan_out(sender->current, (int) Min(room, FAN_OUT_ROWS)))
		sender->current->more_events = false;
}

static void
do_claim(Sender *sender)
{
	queue_claim(sender->current, endpoint_room(sender->current, GetCurrentTimestamp()), sender->context);
}

static void
do_purge(Sender *sender)
{
	sender->more = queue_purge(sender->current);
}

/* ---- requests ---- */

/* The headers of a request; returns how many. */
static int
make_headers(const Endpoint *endpoint, const char *id, const char *body, const char **headers)
{
	char	   *timestamp = psprintf(INT64_FORMAT, (int64) timestamptz_to_time_t(GetCurrentTimestamp()));
	char	   *signature = signature_header((const char *const *) endpoint->secrets, 2, id, timestamp, body);
	int			n = 0;

	headers[n++] = "Content-Type: application/json";
	/* libcurl would ask first for large bodies, and wait. */
	headers[n++] = "Expect:";
	headers[n++] = psprintf("webhook-id: %s", id);
	headers[n++] = psprintf("webhook-timestamp: %s", timestamp);
	if (signature != NULL)
		headers[n++] = psprintf("webhook-signature: %s", signature);
	if (endpoint->authorization != NULL)
		headers[n++] = psprintf("Authorization: %s", endpoint->authorization);
	Assert(n <= MAX_HEADERS);
	return n;
}

/* A delivery is answered: it waits to be recorded. */
static void
delivery_done(void *context, const TransportResult *result)
{
	Delivery   *delivery = context;

	delivery_judge(delivery, result);
	dlist_delete(&delivery->node);
	delivery->endpoint->n_in_flight--;
	dlist_push_tail(&delivery->endpoint->done, &delivery->node);
	delivery->endpoint->n_done++;
}

/* Sends what is ready, as far as the endpoint's limit allows. */
static void
send_ready(Endpoint *endpoint)
{
	while (endpoint->n_ready > 0 && endpoint->n_in_flight < endpoint->max_in_flight)
	{
		Delivery   *delivery = dlist_container(Delivery, node, dlist_pop_head_node(&endpoint->ready));
		const char *headers[MAX_HEADERS];
		char	   *id = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&delivery->event_id)));
		TransportRequest request = {0};

		endpoint->n_ready--;
		dlist_push_tail(&endpoint->in_flight, &delivery->node);
		endpoint->n_in_flight++;
		delivery->started_at = GetCurrentTimestamp();
		request.url = endpoint->url;
		request.body = delivery->body;
		request.headers = headers;
		request.n_headers = make_headers(endpoint, id, delivery->body, headers);
		transport_send(&request, delivery_done, delivery);
	}
}

/* Forgets what was claimed for an endpoint and not sent: it is claimed again when it may be sent. */
static void
drop_ready(Endpoint *endpoint)
{
	while (endpoint->n_ready > 0)
	{
		delivery_free(dlist_container(Delivery, node, dlist_pop_head_node(&endpoint->ready)));
		endpoint->n_ready--;
	}
	endpoint->claim_at = 0;
}

/* A verification is answered: any 2xx with a JSON body will do. */
static void
verification_done(void *context, const TransportResult *result)
{
	Verification *verification = context;

	verification->is_over = true;
	if (result->status == 0)
		strlcpy(verification->reason, result->error, sizeof(verification->reason));
	else if (result->status < 200 || result->status > 299)
		snprintf(verification->reason, sizeof(verification->reason),
				 "it answered the verification request with HTTP status %d instead of 2xx", result->status);
	else if (!is_json(result->answer, result->answer_length))
		strlcpy(verification->reason, "it did not answer the verification request with JSON",
				sizeof(verification->reason));
}

static void
do_verified(Sender *sender)
{
	const char *reason = sender->verification.reason;

	queue_verified(sender->verification.endpoint, reason[0] == '\0' ? NULL : reason);
}

/* Asks an endpoint whether it is one; one at a time, of all endpoints. */
static void
verify(Sender *sender)
{
	Verification *verification = &sender->verification;
	dlist_iter	iter;

	if (verification->is_over)
	{
		if (!run_step(sender, do_verified, "storing a verification"))
			return;
		verification->endpoint->verification_in_flight = false;
		memset(verification, 0, sizeof(*verification));
		sender->reload_at = 0;
	}
	dlist_foreach(iter, &sender->endpoints)
	{
		Endpoint   *endpoint = dlist_container(Endpoint, node, iter.cur);
		const char *headers[MAX_HEADERS];
		TransportRequest request = {0};

		if (verification->endpoint != NULL || !endpoint->listed || !endpoint->verifying || sender->reload_at == 0)
			continue;
		verification->endpoint = endpoint;
		endpoint->verification_in_flight = true;
		request.url = endpoint->url;
		request.body = "{}";
		request.keep_answer = true;
		request.headers = headers;
		request.n_headers = make_headers(endpoint, "verification", request.body, headers);
		transport_send(&request, verification_done, verification);
	}
}

/* ---- the loop ---- */

/* Reads the settings that requests depend on. */
static void
apply_settings(void)
{
	static TransportSettings settings;
	static char *ca_file = NULL;

	settings.timeout_ms = guc_int("adapty.webhook_timeout");
	settings.block_private = guc_bool("adapty.webhook_block_private");
	if (ca_file != NULL)
		pfree(ca_file);
	ca_file = MemoryContextStrdup(TopMemoryContext, GetConfigOption("adapty.webhook_ca_file", false, false));
	settings.ca_file = ca_file;
	transport_set(&settings);
}

/* Frees endpoints that are gone and have nothing under way; leaves if none is left. */
static void
forget_endpoints(Sender *sender)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &sender->endpoints)
	{
		Endpoint   *endpoint = dlist_container(Endpoint, node, iter.cur);

		if (endpoint->listed)
			continue;
		drop_ready(endpoint);
		if (endpoint->n_in_flight > 0 || endpoint->n_done > 0 || endpoint->verification_in_flight)
			continue;
		dlist_delete(&endpoint->node);
		pfree(endpoint->url);
		for (int i = 0; i < 2; i++)
		{
			if (endpoint->secrets[i] != NULL)
				pfree(endpoint->secrets[i]);
		}
		if (endpoint->authorization != NULL)
			pfree(endpoint->authorization);
		pfree(endpoint);
	}
	if (dlist_is_empty(&sender->endpoints))
		leave(SENDER_IDLE);
}

/* Records what an endpoint has answered. */
static void
record(Sender *sender, Endpoint *endpoint)
{
	sender->current = endpoint;
	if (endpoint->n_done == 0 || !run_step(sender, do_record, "recording answers"))
		return;
	/* What waited behind them may go now. */
	endpoint->claim_at = 0;
	while (endpoint->n_done > 0)
	{
		Delivery   *delivery = dlist_container(Delivery, node, dlist_pop_head_node(&endpoint->done));

		endpoint->n_done--;
		if (delivery->outcome != OUTCOME_RETRY)
			endpoint->queued--;
		delivery_free(delivery);
	}
}

/* Queues and claims for one endpoint, and sends what is ready. */
static void
serve_endpoint(Sender *sender, Endpoint *endpoint)
{
	TimestampTz now = GetCurrentTimestamp();

	sender->current = endpoint;
	if (!endpoint->listed || endpoint->verifying)
		return;
	endpoint->ahead = endpoint_ahead(endpoint, sender->yields);
	if (endpoint->recovered && run_step(sender, do_recover, "going on with an endpoint that answers again"))
	{
		endpoint->recovered = false;
		endpoint->claim_at = 0;
	}
	if (endpoint_is_down(endpoint) && endpoint->n_ready > 0 && endpoint->retry_at > now)
		drop_ready(endpoint);
	if (endpoint_wants_events(endpoint))
		(void) run_step(sender, do_fan_out, "queueing events");
	if (endpoint->claim_at <= now && endpoint_room(endpoint, now) > 0 &&
		!run_step(sender, do_claim, "claiming deliveries"))
		endpoint->careful = true;
	if (endpoint->retry_at <= now)
		send_ready(endpoint);
}

/* Removes what is too old, a piece a transaction. */
static void
purge(Sender *sender)
{
	dlist_iter	iter;

	dlist_foreach(iter, &sender->endpoints)
	{
		sender->current = dlist_container(Endpoint, node, iter.cur);
		do
		{
			(void) housekeeping();
			sender->more = false;
			if (!run_step(sender, do_purge, "removing old deliveries"))
				break;
		} while (sender->more);
	}
	sender->purge_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), PURGE_MS);
}

/* Processor time that this process has used, in microseconds. */
static int64
processor_time(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) != 0)
		return 0;
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * USECS_PER_SEC +
		usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

/* One look at everything that may be due. */
static void
sender_turn(Sender *sender)
{
	bool		changed;
	bool		posted;
	dlist_iter	iter;

	posted = api->take_posts(&changed);
	if (changed)
		sender->reload_at = 0;
	dlist_foreach(iter, &sender->endpoints)
		record(sender, dlist_container(Endpoint, node, iter.cur));
	if (sender->reload_at <= GetCurrentTimestamp() && run_step(sender, do_load, "reading webhooks"))
	{
		sender->reload_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RELOAD_MS);
		sender->loaded = true;
	}
	if (sender->loaded)
		forget_endpoints(sender);
	verify(sender);
	dlist_foreach(iter, &sender->endpoints)
	{
		Endpoint   *endpoint = dlist_container(Endpoint, node, iter.cur);

		if (posted)
		{
			endpoint->more_events = true;
			/* A resend queues without an event. */
			endpoint->claim_at = 0;
		}
		serve_endpoint(sender, endpoint);
	}
	if (sender->purge_at <= GetCurrentTimestamp())
		purge(sender);
}

/*
 * A turn, and the pause after it.  Those who write come first: time that the turn had to wait for a
 * processor says that they want it, and is spent again as a pause.
 */
static void
paced_turn(Sender *sender)
{
	TimestampTz begin = GetCurrentTimestamp();
	int64		used = processor_time();
	TimestampTz end;
	int64		waited;

	sender_turn(sender);
	used = processor_time() - used;
	end = GetCurrentTimestamp();
	waited = Min(Max((end - begin) - used, 0), MAX_YIELD_MS * 1000);
	sender->yields = waited > (end - begin) / 4;
	sender->next_turn = Max(begin + TURN_MS * 1000, end + waited);
}

/* Is a turn due, or an endpoint about to run out of work?  Answers are sent on meanwhile, from what is ready. */
static bool
is_time_for_turn(Sender *sender)
{
	TimestampTz now = GetCurrentTimestamp();
	dlist_iter	iter;

	if (sender->retry_at > now)
		return false;
	if (sender->next_turn <= now)
		return true;
	dlist_foreach(iter, &sender->endpoints)
	{
		Endpoint   *endpoint = dlist_container(Endpoint, node, iter.cur);

		if (endpoint->listed && !endpoint->verifying && endpoint->retry_at <= now)
		{
			send_ready(endpoint);
			if (!sender->yields && endpoint->n_ready == 0 && endpoint->n_in_flight < endpoint->max_in_flight / 2 &&
				endpoint->queued > endpoint->max_in_flight)
				return true;
		}
	}
	return false;
}

/* When an endpoint has something to do next, if nothing happens before. */
static TimestampTz
endpoint_due(const Endpoint *endpoint)
{
	TimestampTz now = GetCurrentTimestamp();

	if (!endpoint->listed || endpoint->verifying)
		return NO_TIME;
	if (endpoint->recovered || endpoint_wants_events(endpoint))
		return 0;
	if (endpoint->retry_at > now)
		return endpoint->retry_at;
	if (endpoint_room(endpoint, now) == 0)
		return NO_TIME;			/* an answer makes room */
	return endpoint->claim_at;
}

/* The clock was set back: what was to be done at a moment of the old clock is done now. */
static void
notice_clock(Sender *sender)
{
	TimestampTz now = GetCurrentTimestamp();
	dlist_iter	iter;

	if (now < sender->looked_at)
	{
		sender->next_turn = sender->retry_at = sender->reload_at = sender->purge_at = 0;
		dlist_foreach(iter, &sender->endpoints)
			dlist_container(Endpoint, node, iter.cur)->retry_at = 0;
	}
	sender->looked_at = now;
}

/*
 * Has something come that only a turn sees to?  What says so is asked for before each wait, as the latch
 * alone forgets: a step that had to wait for somebody's lock has reset it.
 */
static bool
is_turn_wanted(Sender *sender)
{
	dlist_iter	iter;

	dlist_foreach(iter, &sender->endpoints)
	{
		if (dlist_container(Endpoint, node, iter.cur)->n_done > 0)
			return true;
	}
	return sender->verification.is_over || api->is_called();
}

/* Waits for answers, commits, or the next moment. */
static void
sender_wait(Sender *sender)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz until = Min(Min(sender->reload_at, sender->purge_at), TimestampTzPlusMilliseconds(now, MAX_WAIT_MS));
	dlist_iter	iter;
	long		ms;

	dlist_foreach(iter, &sender->endpoints)
		until = Min(until, endpoint_due(dlist_container(Endpoint, node, iter.cur)));
	if (is_turn_wanted(sender))
		until = now;
	until = Max(until, Max(sender->retry_at, sender->next_turn));
	if (ConfigReloadPending || ShutdownRequestPending || api->leave_asked())
		until = now;
	ms = until <= now ? 0 : (long) ((until - now + 999) / 1000);
	if (ms > 0)
		pgstat_report_activity(STATE_IDLE, "waiting for answers and events");
	transport_wait(ms);
}

/* Settings of the database or of the superuser that would change or stop our work. */
static void
pin_settings(void)
{
	static const char *const settings[][2] = {
		{"search_path", "pg_catalog, pg_temp"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"session_replication_role", "origin"},
		{"lock_timeout", "0"},
		{"statement_timeout", "0"},
		{"idle_in_transaction_session_timeout", "0"},
		{"adapty.test_clock_offset", "0"},
		{"client_encoding", "UTF8"},
		/* A record lost in a crash means one request more. */
		{"synchronous_commit", "off"},
		/* By the indexes, whatever the statistics say of tables that fill and empty. */
		{"enable_seqscan", "off"},
		{"enable_bitmapscan", "off"},
		{"enable_hashjoin", "off"},
		{"enable_mergejoin", "off"},
		{"enable_material", "off"},
		{"random_page_cost", "1.1"},
		{"plan_cache_mode", "auto"},
		{"jit", "off"},
	};

	for (int i = 0; i < (int) lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_OVERRIDE);
}

/* Takes the lock of the only sender, until the process ends, if it can be had now. */
static bool
try_lock_database(void)
{
	LOCKTAG		tag;
	bool		alone;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	require_extension();
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, LOCK_KEY_1, LOCK_KEY_2, LOCK_CLASS);
	alone = LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
	CommitTransactionCommand();
	return alone;
}

/*
 * Becomes the only sender of the database, or leaves.  One that is just ending has given its slot
 * away a little before its lock.
 */
static void
lock_database(void)
{
	bool		alone = try_lock_database();

	for (int waited = 0; !alone && waited < LOCK_WAIT_MS; waited += LOCK_POLL_MS)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOCK_POLL_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		(void) housekeeping();
		alone = try_lock_database();
	}
	if (!alone)
	{
		ereport(LOG, (errmsg("another adapty webhook sender still runs in this database")));
		leave(SENDER_FAILED);
	}
}

/* Comes up as the sender of the slot that the launcher named. */
static void
come_up(void)
{
	SenderStart start;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, handle_sigterm);
	/* libcurl is told not to see to it. */
	pqsignal(SIGPIPE, SIG_IGN);
	BackgroundWorkerUnblockSignals();
	api = *(SenderApi **) find_rendezvous_variable(SENDER_API_NAME);
	if (api == NULL || strcmp(api->version, ADAPTY_VERSION) != 0)
		ereport(FATAL,
				(errmsg("the libraries adapty and adapty_webhook are of different versions"),
				 errhint("Install both and restart the server.")));
	memcpy(&start, MyBgworkerEntry->bgw_extra, sizeof(start));
	if (!api->claim(start.slot, start.generation))
		proc_exit(0);
	if (api->leave_asked())
		leave(SENDER_ASKED);
	BackgroundWorkerInitializeConnectionByOid(start.database, InvalidOid, 0);
	pgstat_report_appname("adapty webhooks");
	pin_settings();
	lock_database();
}

/* Main function: comes up, works until it is told to leave or there is nothing to send to. */
void
adapty_webhook_main(Datum arg)
{
	Sender	   *sender = &sender_state;

	(void) arg;
	come_up();
	transport_start();
	memset(sender, 0, sizeof(*sender));
	dlist_init(&sender->endpoints);
	sender->context = AllocSetContextCreate(TopMemoryContext, "adapty webhooks", ALLOCSET_DEFAULT_SIZES);
	sender->turn = AllocSetContextCreate(TopMemoryContext, "adapty webhooks turn", ALLOCSET_DEFAULT_SIZES);
	sender->purge_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RELOAD_MS);
	ConfigReloadPending = true;

	for (;;)
	{
		MemoryContextSwitchTo(sender->turn);
		MemoryContextReset(sender->turn);
		if (housekeeping())
		{
			apply_settings();
			sender->reload_at = 0;
		}
		notice_clock(sender);
		if (is_time_for_turn(sender))
			paced_turn(sender);
		sender_wait(sender);
	}
}
