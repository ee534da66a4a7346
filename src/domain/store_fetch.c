/*
 * store_fetch.c
 *		Asking a store's server: GETs by a background worker.
 *
 * The session never touches the network itself: libcurl brings threads and signal handlers along.  A
 * worker of the library adapty_webhook gets the request in a segment of shared memory, which goes away
 * with the session's hold on it, and the secret with it.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/wait_event.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/guc.h"
#include "domain/store_fetch.h"

#define SLOT_RETRY_MS 100		/* while no background worker is free */
#define END_MARGIN_MS 2000		/* that the worker may take longer than its requests */
#define LOOK_MS 1000			/* between two looks at the worker, if no signal comes */

/* Sleeps until something happens to the worker, or for that long; serves interrupts. */
static void
sleep_ms(long ms)
{
	static uint32 wait_event = 0;

	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms,
					 wait_event_compat(wait_event, "AdaptyStoreCall"));
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* Milliseconds until a moment, from 0. */
static long
until(TimestampTz moment)
{
	return TimestampDifferenceMilliseconds(GetCurrentTimestamp(), moment);
}

/* Puts a call into a new segment. */
static dsm_segment *
write_call(const StoreServer *server, const char *const *paths, int n)
{
	dsm_segment *segment = dsm_create(offsetof(StoreCall, requests) + n * sizeof(StoreCallRequest), 0);
	StoreCall  *call = dsm_segment_address(segment);

	memset(call, 0, offsetof(StoreCall, requests));
	strlcpy(call->version, ADAPTY_VERSION, sizeof(call->version));
	pg_atomic_init_u32(&call->state, STORE_CALL_WAITING);
	call->timeout_ms = (int) until(server->deadline) + 1;	/* 0 would be for ever */
	call->block_private = adapty_webhook_block_private;
	strlcpy(call->ca_file, adapty_webhook_ca_file, sizeof(call->ca_file));
	snprintf(call->headers[0], STORE_CALL_HEADER_SIZE, "Authorization: %s", server->authorization);
	strlcpy(call->headers[1], server->version_header, STORE_CALL_HEADER_SIZE);
	strlcpy(call->headers[2], "Accept: application/json", STORE_CALL_HEADER_SIZE);
	call->n_headers = 3;
	call->n_requests = n;
	for (int i = 0; i < n; i++)
	{
		memset(&call->requests[i], 0, offsetof(StoreCallRequest, body));
		if (snprintf(call->requests[i].url, STORE_CALL_URL_SIZE, "%s%s", server->base_url, paths[i]) >=
			STORE_CALL_URL_SIZE)
			elog(ERROR, "address of a store is too long");
	}
	return segment;
}

/* Starts the worker of a call; waits for a free one until the deadline, then ERROR (53000). */
static BackgroundWorkerHandle *
start_worker(const StoreServer *server, dsm_segment *segment)
{
	BackgroundWorker worker = {0};
	BackgroundWorkerHandle *handle;

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = MyProcPid;
	worker.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(segment));
	strlcpy(worker.bgw_library_name, "adapty_webhook", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "adapty_store_call_main", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_type, "adapty store call", sizeof(worker.bgw_type));
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "adapty store call to %s", server->name);
	while (!RegisterDynamicBackgroundWorker(&worker, &handle))
	{
		if (until(server->deadline) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
					 errmsg("no background worker left to ask %s", server->name),
					 errhint("Try again, or increase max_worker_processes.")));
		sleep_ms(Min(SLOT_RETRY_MS, until(server->deadline)));
	}
	return handle;
}

/* Waits until the worker has ended; one that takes too long is ended, and the result is false. */
static bool
await_worker(const StoreServer *server, BackgroundWorkerHandle *handle)
{
	TimestampTz limit = TimestampTzPlusMilliseconds(server->deadline, END_MARGIN_MS);
	volatile bool in_time = true;
	pid_t		pid;

	PG_TRY();
	{
		for (;;)
		{
			BgwHandleStatus status = GetBackgroundWorkerPid(handle, &pid);

			if (status == BGWH_STOPPED || status == BGWH_POSTMASTER_DIED)
				break;
			if (until(limit) == 0)
			{
				TerminateBackgroundWorker(handle);
				in_time = false;
				break;
			}
			sleep_ms(Min(LOOK_MS, until(limit)));
		}
	}
	PG_CATCH();
	{
		TerminateBackgroundWorker(handle);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return in_time;
}

/* ERROR: the worker ended without an answer. */
static void pg_attribute_noreturn()
report_no_call(const StoreServer *server, StoreCallState state)
{
	switch (state)
	{
		case STORE_CALL_WAITING:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot ask %s: the library \"adapty_webhook\" did not start", server->name),
					 errdetail("The server's log says why; most often it is not installed."),
					 errhint("Install libcurl and its development files (libcurl4-openssl-dev on Debian), then build and install adapty again.")));
			break;
		case STORE_CALL_OTHER_VERSION:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("the libraries adapty and adapty_webhook are of different versions"),
					 errhint("Install both and restart the server.")));
			break;
		default:
			ereport(ERROR,
					(condition_errcode(COND_STORE_UNAVAILABLE),
					 errmsg("%s could not be asked", server->name),
					 errdetail("The process that asked it ended, or took too long. The server's log says more.")));
	}
	pg_unreachable();
}

/* ERROR (PT502) unless a request has an answer that says something of what was asked for. */
static void
check_answer(const StoreServer *server, const StoreCallRequest *request)
{
	if (request->status == 0)
		ereport(ERROR,
				(condition_errcode(COND_STORE_UNAVAILABLE),
				 errmsg("%s could not be reached", server->name),
				 errdetail("%s", request->error)));
	if (request->status == 429)
		ereport(ERROR,
				(condition_errcode(COND_STORE_UNAVAILABLE),
				 errmsg("%s answers no more requests for now", server->name),
				 errdetail("It answered with status 429."),
				 errhint("Try again a little later.")));
	if (request->status >= 500 || request->status < 200 || (request->status >= 300 && request->status < 400))
		ereport(ERROR,
				(condition_errcode(COND_STORE_UNAVAILABLE),
				 errmsg("%s is in trouble", server->name),
				 errdetail("It answered with status %d.", request->status)));
	if (request->too_long)
		ereport(ERROR,
				(condition_errcode(COND_STORE_UNAVAILABLE),
				 errmsg("the answer of %s is too long", server->name),
				 errdetail("At most %d bytes are read.", STORE_CALL_BODY_SIZE)));
}

/* When the store looked; without a word about it, when it was asked. */
static TimestampTz
answer_moment(const StoreCallRequest *request, TimestampTz asked_at)
{
	if (request->served_at <= 0)
		return asked_at - asked_at % USECS_PER_SEC;
	return (request->served_at - ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)) * SECS_PER_DAY) * USECS_PER_SEC;
}

/* See store_fetch.h. */
void
store_fetch(const StoreServer *server, const char *const *paths, int n, StoreAnswer *answers)
{
	TimestampTz asked_at = GetCurrentTimestamp();
	dsm_segment *segment;
	StoreCall  *call;
	BackgroundWorkerHandle *handle;
	StoreCallState state;
	bool		in_time;

	Assert(n <= STORE_CALL_REQUESTS);
	if (until(server->deadline) == 0)
		ereport(ERROR,
				(condition_errcode(COND_STORE_UNAVAILABLE),
				 errmsg("%s answers too slowly", server->name),
				 errdetail("It was given %d ms.", adapty_store_timeout),
				 errhint("See the setting adapty.store_timeout.")));
	segment = write_call(server, paths, n);
	call = dsm_segment_address(segment);
	handle = start_worker(server, segment);
	in_time = await_worker(server, handle);
	state = (StoreCallState) pg_atomic_read_u32(&call->state);
	pg_read_barrier();
	if (state != STORE_CALL_DONE)
		report_no_call(server, in_time ? state : STORE_CALL_BEGUN);
	for (int i = 0; i < n; i++)
	{
		const StoreCallRequest *request = &call->requests[i];

		check_answer(server, request);
		answers[i].status = request->status;
		answers[i].length = request->length;
		answers[i].body = pnstrdup(request->body, request->length);
		answers[i].moment = answer_moment(request, asked_at);
	}
	pfree(handle);
	dsm_detach(segment);
}
