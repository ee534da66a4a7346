/*
 * guc.h
 *		All settings of the extension. guc.c defines them, in alphabetical order, with units.
 */
#ifndef ADAPTY_GUC_H
#define ADAPTY_GUC_H

#include "postgres.h"

extern int	adapty_batch_size;			/* lapses a transaction of the scheduler */
extern int	adapty_campaign_interval;	/* s between two looks of a promo campaign */
extern int	adapty_cross_placement_stickiness;	/* days */
extern char *adapty_databases;			/* comma-separated; empty for all */
extern bool adapty_direct_access;		/* developer's: read and write tables without the executor */
extern int	adapty_event_retention;		/* days; 0 keeps events for ever */
extern int	adapty_idempotency_key_retention;	/* hours */
extern int	adapty_import_id;			/* import that copied rows belong to; 0 for none */
extern int	adapty_ingest_grace_period; /* minutes of access after a payment failed; 0 for none */
extern int	adapty_ingest_renewal_margin;	/* minutes in which a store may charge after a period's end */
extern int	adapty_ingest_tolerance;	/* seconds by which a signature may be older; 0 for any */
extern int	adapty_ingested_event_retention;	/* days; 0 keeps what was seen for ever */
extern int	adapty_max_sleep;			/* ms; the scheduler looks at the table at least so often */
extern bool adapty_scheduler;			/* run schedulers at all */
extern int	adapty_store_timeout;		/* ms for all that a store is asked about one token */
extern int	adapty_test_clock_offset;	/* seconds by which this session's reads are ahead */
extern bool adapty_logical_messages;	/* events as logical decoding messages */
extern bool adapty_notify_events;	/* NOTIFY adapty_events for those who listen */
extern bool adapty_webhook_block_private;	/* no requests to private address ranges */
extern char *adapty_webhook_ca_file;	/* empty for the system's */
extern int	adapty_webhook_max_attempts;	/* then an event is parked */
extern int	adapty_webhook_max_queue;	/* deliveries waiting for one webhook */
extern int	adapty_webhook_retention;	/* days that finished deliveries are kept */
extern int	adapty_webhook_retry_delay; /* ms to the first retry; doubles */
extern int	adapty_webhook_timeout;		/* ms of a request */
extern bool adapty_webhooks;			/* run senders at all */

extern void guc_init(void);

#endif							/* ADAPTY_GUC_H */
