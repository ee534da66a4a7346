/*
 * queue.h
 *		The sender's statements: all of them, and nothing else, know the tables.
 *
 * Each function is called within a transaction with SPI connected, and does a set at a time.
 */
#ifndef ADAPTY_QUEUE_H
#define ADAPTY_QUEUE_H

#include "postgres.h"

#include "lib/ilist.h"

#include "webhook/endpoint.h"

/* Brings the list of endpoints up to date with webhooks; new ones are made in "context". */
extern void queue_load(dlist_head *endpoints, MemoryContext context);

/* Stores what has become of an endpoint's verification; reason NULL if it went well. */
extern void queue_verified(const Endpoint *endpoint, const char *reason);

/*
 * Queues events of the feed that are not queued yet, at most "limit" of them.  False if another
 * transaction holds the endpoint's position.
 */
extern bool queue_fan_out(Endpoint *endpoint, int limit);

/*
 * Takes up to "limit" deliveries that are due and that no earlier event of the same profile holds
 * back into endpoint->ready, made in "context"; sets endpoint->claim_at.
 */
extern void queue_claim(Endpoint *endpoint, int limit, MemoryContext context);

/* Records what has become of the deliveries that are done, and how the endpoint fares. */
extern void queue_record(Endpoint *endpoint);

/* What an endpoint that answers again was spared is due now. */
extern void queue_recover(const Endpoint *endpoint);

/* Removes some finished deliveries that are too old; true if there may be more. */
extern bool queue_purge(const Endpoint *endpoint);

#endif							/* ADAPTY_QUEUE_H */
