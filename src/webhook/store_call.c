/*
 * store_call.c
 *		Asks a store for a session: a background worker that makes a few requests, writes the answers
 *		into the session's shared memory, and ends.  It has no database.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"

#include "base/store_call.h"
#include "webhook/transport.h"

#define WAIT_MS 1000

PGDLLEXPORT void adapty_store_call_main(Datum arg);

static int	under_way = 0;

/* A request is over. */
static void
take_answer(void *context, const TransportResult *result)
{
	StoreCallRequest *request = context;

	request->status = result->status;
	request->too_long = result->too_long;
	request->served_at = result->served_at;
	request->length = Min(result->answer_length, STORE_CALL_BODY_SIZE);
	memcpy(request->body, result->answer, request->length);
	strlcpy(request->error, result->error, STORE_CALL_ERROR_SIZE);
	under_way--;
}

/* Makes all requests of a call; false if it is told to leave before all are over. */
static bool
make_requests(StoreCall *call)
{
	TransportSettings settings = {
		.timeout_ms = call->timeout_ms,
		.block_private = call->block_private,
		.ca_file = call->ca_file,
	};
	const char *headers[STORE_CALL_HEADERS];

	transport_start();
	transport_set(&settings);
	for (int i = 0; i < call->n_headers; i++)
		headers[i] = call->headers[i];
	for (int i = 0; i < call->n_requests; i++)
	{
		TransportRequest request = {
			.url = call->requests[i].url,
			.headers = headers,
			.n_headers = call->n_headers,
			.keep_answer = true,
			.max_answer = STORE_CALL_BODY_SIZE,
		};

		transport_send(&request, take_answer, &call->requests[i]);
		under_way++;
	}
	while (under_way > 0 && !ShutdownRequestPending)
		transport_wait(WAIT_MS);
	return under_way == 0;
}

/* Main function: arg is the handle of the session's segment. */
void
adapty_store_call_main(Datum arg)
{
	dsm_segment *segment;
	StoreCall  *call;

	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGPIPE, SIG_IGN);
	BackgroundWorkerUnblockSignals();
	segment = dsm_attach(DatumGetUInt32(arg));
	/* the session is gone already */
	if (segment == NULL)
		proc_exit(0);
	call = dsm_segment_address(segment);
	if (strncmp(call->version, ADAPTY_VERSION, sizeof(call->version)) != 0)
	{
		pg_atomic_write_u32(&call->state, STORE_CALL_OTHER_VERSION);
		proc_exit(0);
	}
	pg_atomic_write_u32(&call->state, STORE_CALL_BEGUN);
	if (make_requests(call))
	{
		pg_write_barrier();
		pg_atomic_write_u32(&call->state, STORE_CALL_DONE);
	}
	proc_exit(0);
}
