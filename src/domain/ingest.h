/*
 * ingest.h
 *		What the stores report by themselves: from an event to facts, from facts to transactions.
 *
 * Each provider has a file that turns an authentic event into facts about three kinds of objects,
 * the same for all: a subscription, a payment (invoice, bill), a refund.  Of each object the newest
 * state is kept, whatever order the events arrive in (ingest_facts.c); transactions follow from
 * what is known and from nothing else (ingest_report.c).  That is why no order of deliveries can
 * make a difference in the end.
 */
#ifndef ADAPTY_INGEST_H
#define ADAPTY_INGEST_H

#include "postgres.h"

#include "base/json_path.h"
#include "domain/subscription.h"
#include "nodes/pg_list.h"
#include "utils/numeric.h"
#include "utils/uuid.h"

#define MAX_STORE_ID 255		/* characters, of every identifier of a store */
#define MAX_PAYMENT_REFERENCES 4
#define MAX_EVENT_PAYMENTS 4
#define MAX_EVENT_REFUNDS 16

/* A subscription as its store has it.  The order of the labels is not that of a life. */
typedef enum StoreStatus
{
	STORE_INCOMPLETE,			/* nothing was paid, nothing is given */
	STORE_TRIALING,
	STORE_ACTIVE,
	STORE_PAST_DUE,				/* payment fails, the store tries again */
	STORE_UNPAID,				/* the store has stopped trying, the subscription stays */
	STORE_PAUSED,
	STORE_ENDED
} StoreStatus;

/* How a payment stands. */
typedef enum PaymentStatus
{
	PAYMENT_DRAFT,
	PAYMENT_OPEN,
	PAYMENT_PAID,
	PAYMENT_VOID				/* will not be paid any more */
} PaymentStatus;

/* Strings may be NULL and times NO_TIME except where it says otherwise. */
typedef struct StoreSubscription
{
	const char *id;				/* never NULL */
	StoreStatus status;
	int64		rank;			/* the later of two states of the same moment has the higher one */
	TimestampTz reported_at;	/* never NO_TIME */
	TimestampTz started_at;
	TimestampTz period_start;
	TimestampTz period_end;
	TimestampTz trial_ends_at;
	TimestampTz ends_at;		/* renewal is off: when it will end */
	TimestampTz ended_at;
	TimestampTz renewal_cancelled_at;
	TimestampTz billing_issue_at;
	TimestampTz paused_at;
	TimestampTz resumes_at;
	const char *cancellation_reason;	/* a label of the enum */
	const char *customer_id;
	const char *latest_payment_id;	/* the payment of the current period */
	const char *product_id;		/* what it is of now */
	const char *base_plan_id;
} StoreSubscription;

typedef struct StorePayment
{
	const char *id;				/* never NULL */
	PaymentStatus status;
	int64		rank;
	TimestampTz reported_at;	/* never NO_TIME */
	TimestampTz period_start;	/* never NO_TIME; of a one-time purchase its moment */
	TimestampTz period_end;		/* NO_TIME of a one-time purchase */
	TimestampTz due_at;
	TimestampTz charged_at;
	bool		is_processing;	/* the charge is under way and takes its time */
	int			is_trial;		/* 1, 0, or -1 if only the subscription can tell */
	Numeric		amount;			/* never NULL, not negative, in the currency's main unit */
	const char *currency;		/* never NULL, three capitals */
	const char *country;		/* two capitals */
	const char *subscription_id;	/* NULL for a one-time purchase */
	const char *customer_id;
	const char *product_id;		/* NULL if it pays for nothing that we know */
	const char *base_plan_id;
	const char *variation_id;
	const char *references[MAX_PAYMENT_REFERENCES]; /* other names of it, as refunds have them */
	int			n_references;
} StorePayment;

typedef struct StoreRefund
{
	const char *id;				/* never NULL */
	int64		rank;
	TimestampTz reported_at;	/* never NO_TIME */
	TimestampTz refunded_at;	/* never NO_TIME */
	bool		is_effective;
	bool		is_full;
	Numeric		amount;			/* never NULL */
	const char *payment_id;		/* one of the two is not NULL */
	const char *payment_reference;
} StoreRefund;

/* What an event says. */
typedef struct IngestFacts
{
	const char *store;
	const char *environment;	/* a label of the enum */
	const char *event_id;
	TimestampTz occurred_at;
	const char *customer_user_id;	/* whom the event names; NULL for nobody */
	const char *customer_id;	/* the store's customer; NULL for none */
	bool		has_subscription;
	StoreSubscription subscription;
	int			n_payments;
	StorePayment payments[MAX_EVENT_PAYMENTS];
	int			n_refunds;
	StoreRefund refunds[MAX_EVENT_REFUNDS];
	const char *reference;		/* another name of a payment, told by an event of its own */
	const char *referenced_payment_id;
	const char *ignored;		/* why the event concerns nobody; NULL if it does */
} IngestFacts;

/* What became of an event. */
typedef struct IngestResult
{
	const char *outcome;		/* applied, outdated, ignored */
	const char *detail;			/* NULL for none */
	bool		has_profile;
	pg_uuid_t	profile_id;
	List	   *transactions;	/* C strings: ids of the store's transactions that were reported */
} IngestResult;

/* How a provider's events are read. */
typedef struct IngestProvider
{
	const char *name;			/* the store's name, too */
	/* id, type, moment and environment of an event; false if it is no event */
	bool		(*read_envelope) (JsonNode event, IngestFacts *facts, const char **type);
	/* everything else */
	void		(*read) (JsonNode event, const char *type, IngestFacts *facts);
	/* the same of an object that the store was asked for, as an event of that type would tell of it; NULL for none */
	void		(*read_object) (JsonNode object, const char *type, IngestFacts *facts);
} IngestProvider;

extern const IngestProvider ingest_stripe;
extern const IngestProvider ingest_paddle;
extern const IngestProvider ingest_chargebee;

/* ---- ingest.c ---- */

/* A store's words as JSON; NULL if they are none that the database can hold. */
extern Jsonb *ingest_parse(const char *payload, size_t length);

/* No facts yet: all times are NO_TIME. */
extern void ingest_init_facts(IngestFacts *facts, const char *store);

/*
 * Forgets at most n events that are older than adapty.ingested_event_retention; whether there may be
 * more.  Inside an open scope, as all that follow but what reads no table.
 */
extern bool ingest_purge(int64 n);

/* ---- ingest_facts.c ---- */

/* What is known of a payment, refunds counted in. */
typedef struct KnownPayment
{
	StorePayment payment;
	const char *environment;
	Numeric		refunded_amount;	/* NULL for nothing */
	bool		is_refunded;	/* all of it */
	TimestampTz refunded_at;	/* the last refund */
	TimestampTz reported_at;	/* of the newest fact: payment or refund */
	bool		is_reported;	/* a transaction was made of it */
	int64		report_hash;	/* of what was reported last */
} KnownPayment;

/* All that is known of a subscription, or of one purchase without. */
typedef struct KnownChain
{
	bool		has_subscription;
	StoreSubscription subscription;
	int			n;
	KnownPayment *payments;		/* by the beginning of their periods */
} KnownChain;

/*
 * Takes the locks under which the facts of an event are kept and what follows from them is reported:
 * of its payments' names, then of its customer.  Held until the transaction ends.  Sets customer_id
 * of facts that have none from what is known.
 */
extern void ingest_lock(IngestFacts *facts);

/* The same for several (a list of IngestFacts) at once. */
extern void ingest_lock_all(List *all);

/* Takes the lock of which there is one: who goes through many customers does so alone. */
extern void ingest_lock_alone(void);

/* Keeps what is newer than what is known; false if nothing is. */
extern bool ingest_keep(const IngestFacts *facts);

/*
 * The subscriptions and purchases that facts are about, or all of a customer.  Lists of C strings,
 * each once.
 */
extern void ingest_concerned(const IngestFacts *facts, List **subscriptions, List **purchases);
extern void ingest_of_customer(const char *store, const char *customer_id, List **subscriptions,
							   List **purchases);

/* A subscription or purchase, and whose it is in its store. */
typedef struct StoreObject
{
	char	   *store;
	char	   *customer_id;	/* NULL for none */
	char	   *id;
	bool		is_subscription;
} StoreObject;

/*
 * What was of no product of ours when it was reported and is now, in the order of customers; store NULL
 * for all stores.  Returns how many.
 */
extern int	ingest_newly_mapped(const char *store, StoreObject **objects);

extern void ingest_load_subscription(const char *store, const char *id, KnownChain *chain);
extern void ingest_load_purchase(const char *store, const char *id, KnownChain *chain);

/* Remembers what was reported last of a payment. */
extern void ingest_set_reported(const char *store, const char *payment_id, int64 hash);

/* ---- ingest_report.c ---- */

/*
 * Reports to the core what is new of what follows from a chain, for a profile or, with NULL, for whose it
 * is.  force: everything, even if nothing is new.  Adds the reported transactions' ids to the
 * list; sets *detail if something is missing.
 */
extern void ingest_report_chain(const IngestFacts *facts, const KnownChain *chain,
								const pg_uuid_t *profile_id, const char *actor, bool force,
								List **transactions, const char **detail);

/* A store's identifier as a store_transaction_id: itself, or its hash if it is too long. */
extern char *ingest_transaction_id(const char *id);

/* ---- ingest_values.c ---- */

/* An amount in minor units in the main unit; NULL if there is none or it is negative. */
extern Numeric ingest_amount(const char *store, Numeric minor, const char *currency);

/* Codes as the API wants them: capitals; NULL if it is no such code. */
extern char *ingest_currency(const char *code);
extern char *ingest_country(const char *code);

/* How a store calls a state of its subscriptions. */
typedef struct StoreStatusName
{
	const char *name;
	StoreStatus status;
} StoreStatusName;

/* The state of an object with a "status", and its position in a list of n; false if it has none of them. */
extern bool ingest_status(JsonNode object, const StoreStatusName *names, int n, StoreStatus *status,
						  int *order);

/* ---- ingest_signature.c ---- */

/* A secret that may prove an event. */
typedef struct IngestSecret
{
	const char *environment;
	const char *secret;
} IngestSecret;

/*
 * Which of the secrets proves that a payload is the provider's: its position, or -1 with the reason in
 * *why.  Takes the same time for all wrong signatures of one form.
 */
extern int	ingest_verify(const char *provider, const char *payload, size_t length, const char *header,
						  TimestampTz now, int tolerance, const IngestSecret *secrets, int n,
						  const char **why);

#endif							/* ADAPTY_INGEST_H */
