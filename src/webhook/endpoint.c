/*
 * endpoint.c
 *		Judging answers: what is delivered, what is tried again and when.
 *
 * Two clocks. An event that was not received is tried again after a delay that doubles each time. An
 * endpoint that fails several times in a row, whatever it was sent, is down: nothing is sent to it
 * but one delivery at a time, with pauses of its own, until it answers. While it is down no attempt
 * counts, so nothing is parked and no event passes an earlier one, however long that takes; when it answers again, everything that waited is due.
 */
#include "postgres.h"

#include <math.h>

#include "common/pg_prng.h"
#include "utils/timestamp.h"

#include "base/guc_values.h"
#include "webhook/endpoint.h"

#define DOWN_AFTER 5			/* failures in a row */
#define MAX_READY 400			/* deliveries held in memory beside those under way */
#define MIN_PAUSE_MS 1000		/* of an endpoint that is down; doubles up to adapty.webhook_retry_delay */
#define MAX_RETRY_AFTER_S 3600	/* that an answer may ask for */
#define MAX_DELAY_MS (24 * 3600 * 1000.0)
#define JITTER 0.2				/* of a delay, to both sides */

/* A delay with jitter. */
static TimestampTz
after_about(double ms)
{
	double		factor = 1 - JITTER + 2 * JITTER * pg_prng_double(&pg_global_prng_state);

	return GetCurrentTimestamp() + (int64) (ms * factor * 1000);
}

/* See endpoint.h. */
bool
endpoint_is_down(const Endpoint *endpoint)
{
	return endpoint->failures >= DOWN_AFTER;
}

/* See endpoint.h. */
void
endpoint_succeeded(Endpoint *endpoint)
{
	if (endpoint_is_down(endpoint))
		endpoint->recovered = true;
	endpoint->failures = 0;
	endpoint->failing_since = 0;
	endpoint->retry_at = 0;
	endpoint->last_success_at = GetCurrentTimestamp();
}

/* See endpoint.h.  retry_after: seconds that the answer asked for, 0 for none. */
void
endpoint_failed(Endpoint *endpoint, int retry_after)
{
	TimestampTz now = GetCurrentTimestamp();

	if (endpoint->failures++ == 0)
		endpoint->failing_since = now;
	if (endpoint_is_down(endpoint))
	{
		double		most = Max(guc_int("adapty.webhook_retry_delay"), 10);
		double		pause = MIN_PAUSE_MS * pow(2, Min(endpoint->failures - DOWN_AFTER, 20));

		endpoint->retry_at = after_about(Min(pause, most));
	}
	if (retry_after > 0)
		endpoint->retry_at = Max(endpoint->retry_at,
								 now + Min(retry_after, MAX_RETRY_AFTER_S) * USECS_PER_SEC);
}

/*
 * See endpoint.h.  As long as enough is due already, what is new can wait in the feed: a rush of events is
 * queued at the pace at which it goes out.  What waits for one that is down is queued to be seen.
 */
bool
endpoint_wants_events(const Endpoint *endpoint)
{
	return endpoint->more_events && endpoint->queued < guc_int("adapty.webhook_max_queue") &&
		(!endpoint->more_due || endpoint_is_down(endpoint));
}

/* See endpoint.h. */
int
endpoint_ahead(const Endpoint *endpoint, bool scarce)
{
	return Min(scarce ? endpoint->max_in_flight : 4 * endpoint->max_in_flight, MAX_READY);
}

/* See endpoint.h. */
int
endpoint_room(const Endpoint *endpoint, TimestampTz now)
{
	int			held = endpoint->n_ready + endpoint->n_in_flight;

	if (!endpoint->listed || endpoint->verifying || endpoint->retry_at > now)
		return 0;
	if (endpoint_is_down(endpoint))
		return held == 0 ? 1 : 0;
	/* Asked for while enough is left to keep the network busy meanwhile. */
	if (held > endpoint->max_in_flight + (endpoint->ahead - endpoint->max_in_flight) / 4)
		return 0;
	return endpoint->max_in_flight + endpoint->ahead - held;
}

/* When an event that has failed so many times is tried again. */
static TimestampTz
next_attempt(int failed)
{
	double		delay = guc_int("adapty.webhook_retry_delay") * pow(2, Min(failed - 1, 30));

	return after_about(Min(delay, MAX_DELAY_MS));
}

/*
 * Has an event had all its attempts?  Only if the endpoint has received something since the first of
 * them: otherwise it is the endpoint, not the event.
 */
static bool
is_exhausted(const Delivery *delivery)
{
	const Endpoint *endpoint = delivery->endpoint;

	return delivery->attempts + 1 >= guc_int("adapty.webhook_max_attempts") &&
		endpoint->last_success_at > (delivery->first_attempt_at == 0 ? delivery->started_at : delivery->first_attempt_at);
}

/* See endpoint.h. */
void
delivery_judge(Delivery *delivery, const TransportResult *result)
{
	Endpoint   *endpoint = delivery->endpoint;

	delivery->status = result->status;
	delivery->counts = true;
	delivery->next_attempt_at = 0;
	delivery->error[0] = '\0';
	if (result->status >= endpoint->success_from && result->status <= endpoint->success_to)
	{
		delivery->outcome = result->status < 400 ? OUTCOME_DELIVERED : OUTCOME_REJECTED;
		if (result->status >= 400)
			snprintf(delivery->error, sizeof(delivery->error), "HTTP status %d", result->status);
		endpoint_succeeded(endpoint);
		return;
	}
	if (result->status == 0)
		strlcpy(delivery->error, result->error, sizeof(delivery->error));
	else
		snprintf(delivery->error, sizeof(delivery->error), "HTTP status %d", result->status);
	delivery->counts = !endpoint_is_down(endpoint);
	endpoint_failed(endpoint, result->retry_after);
	delivery->outcome = delivery->counts && is_exhausted(delivery) ? OUTCOME_PARKED : OUTCOME_RETRY;
	delivery->next_attempt_at = next_attempt(delivery->attempts + 1);
}

/* See endpoint.h. */
void
delivery_free(Delivery *delivery)
{
	pfree(delivery->body);
	pfree(delivery);
}
