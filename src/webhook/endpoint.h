/*
 * endpoint.h
 *		What the sender holds in memory: endpoints, and the deliveries it is busy with.
 */
#ifndef ADAPTY_ENDPOINT_H
#define ADAPTY_ENDPOINT_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "lib/ilist.h"
#include "utils/uuid.h"

#include "webhook/transport.h"

#define MAX_WEBHOOK_ID 64
#define NO_TIME DT_NOEND		/* a moment that does not come */

typedef struct Endpoint
{
	dlist_node	node;
	char		id[MAX_WEBHOOK_ID + 1];
	bool		listed;			/* enabled or verifying when it was last loaded */
	bool		verifying;
	char	   *url;
	char	   *authorization;	/* NULL for none */
	char	   *secrets[2];		/* NULL for none; the newest first */
	int			max_in_flight;
	int			success_from;
	int			success_to;

	dlist_head	ready;			/* claimed deliveries that are not sent yet */
	int			n_ready;
	dlist_head	in_flight;		/* those being sent */
	int			n_in_flight;
	dlist_head	done;			/* answered ones that are not recorded yet */
	int			n_done;
	bool		verification_in_flight;

	int			failures;		/* in a row */
	TimestampTz failing_since;	/* 0 if it is not */
	TimestampTz retry_at;		/* 0, or nothing is sent before then */
	TimestampTz last_success_at;	/* 0 for never */
	bool		recovered;		/* it answers again: what was put off is due */

	int			ahead;			/* how many are held ready beside those under way */
	int64		queued;			/* deliveries waiting in the table, about */
	bool		more_events;	/* there may be events that are not queued */
	bool		more_due;		/* more was due than the last claim took */
	TimestampTz claim_at;		/* when there may be something to claim; NO_TIME for not */
	bool		careful;		/* claim one by one: one of them cannot be rendered */
} Endpoint;

typedef enum DeliveryOutcome
{
	OUTCOME_DELIVERED,
	OUTCOME_REJECTED,
	OUTCOME_RETRY,
	OUTCOME_PARKED
} DeliveryOutcome;

typedef struct Delivery
{
	dlist_node	node;			/* in ready, in_flight, or done */
	Endpoint   *endpoint;
	pg_uuid_t	event_id;
	int			attempts;		/* before this one */
	TimestampTz first_attempt_at;	/* 0 before the first */
	char	   *body;
	TimestampTz started_at;
	/* when it is done */
	DeliveryOutcome outcome;
	bool		counts;			/* as one of the event's attempts: not while the endpoint is down */
	TimestampTz next_attempt_at;
	int			status;			/* 0 for none */
	char		error[TRANSPORT_ERROR_SIZE];
} Delivery;

/* An attempt was answered as it must be, or not; sets when the endpoint is tried next. */
extern void endpoint_succeeded(Endpoint *endpoint);
extern void endpoint_failed(Endpoint *endpoint, int retry_after);

/* Does it not answer, so that only one delivery at a time is tried? */
extern bool endpoint_is_down(const Endpoint *endpoint);

/* Should more events be queued: are there any, is there room, and is there need of them? */
extern bool endpoint_wants_events(const Endpoint *endpoint);

/*
 * How many deliveries to hold ready: several times what may be under way, so that the database is not asked
 * often; as many where processors are scarce.
 */
extern int	endpoint_ahead(const Endpoint *endpoint, bool scarce);

/* How many deliveries may be claimed now. */
extern int	endpoint_room(const Endpoint *endpoint, TimestampTz now);

/* Judges an answer: fills in what follows from "result" for a delivery and its endpoint. */
extern void delivery_judge(Delivery *delivery, const TransportResult *result);

/* Gives a delivery back that is in no list. */
extern void delivery_free(Delivery *delivery);

#endif							/* ADAPTY_ENDPOINT_H */
