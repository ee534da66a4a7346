/*
 * event_payload.h
 *		event_payload.c's inner interface: an event, what has been read for it, and writing fields.
 */
#ifndef ADAPTY_EVENT_PAYLOAD_H
#define ADAPTY_EVENT_PAYLOAD_H

#include "postgres.h"

#include "executor/spi.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/ext_state.h"
#include "base/jsonb_build.h"

/* An event as it is stored, and what has been read for it; SPI's memory holds the rest. */
typedef struct Payload
{
	EventType	type;
	pg_uuid_t	profile_id;
	pg_uuid_t	event_id;
	TimestampTz event_datetime;
	bool		is_active;
	TimestampTz starts_at;		/* DT_NOBEGIN for null, as expires_at DT_NOEND */
	TimestampTz expires_at;
	bool		has_previous;
	TimestampTz previous_expires_at;
	bool		has_source;
	GrantSource cause;			/* what made the event */
	GrantSource source;			/* what gives the access that it tells of */
	char	   *cause_id;		/* NULL for none, as all strings here */
	char	   *source_id;
	char	   *access_level_id;
	char	   *actor;
	char	   *reason;
	Jsonb	   *facts;
	bool		is_explained;	/* the facts are those of the source */
	/* what the caller wants */
	bool		with_user_attributes;
	bool		with_attribution;
	bool		with_trial_price;
	bool		with_purchase_token;
	/* result rows: NULL if there is none */
	SPITupleTable *profile;
	SPITupleTable *attribution;
	SPITupleTable *chain;
	SPITupleTable *purchase;
	SPITupleTable *paywall;
	SPITupleTable *trial;		/* the purchase itself, or the trial that it converted, */
	int			trial_at;		/* and its columns */
	int			trial_expires_at;
	char	   *store;			/* of the purchase; NULL for a grant */
} Payload;

/* Columns of the rows: those of profile_plan, purchase_plan, chain_plan and paywall_plan. */
typedef enum
{
	PROFILE_CUSTOMER_USER_ID = 1, PROFILE_EMAIL, PROFILE_CREATED_AT, PROFILE_COUNTRY, PROFILE_IP,
	PROFILE_REVENUE, PROFILE_HAS_ACCESS, PROFILE_INTEGRATIONS, PROFILE_ATTRIBUTES,
	PROFILE_IDFA, PROFILE_IDFV, PROFILE_ADVERTISING_ID, PROFILE_USER_AGENT
} ProfileColumn;

typedef enum
{
	PURCHASE_TRANSACTION_ID = 1, PURCHASE_ORIGINAL_ID, PURCHASE_PRODUCT, PURCHASE_BASE_PLAN, PURCHASE_ENVIRONMENT,
	PURCHASE_COUNTRY, PURCHASE_CURRENCY, PURCHASE_PRICE_USD, PURCHASE_COMMISSION, PURCHASE_TAX,
	PURCHASE_AFTER_FIRST_YEAR, PURCHASE_AT, PURCHASE_ORIGINALLY_AT, PURCHASE_VARIATION, PURCHASE_OFFER_CATEGORY,
	PURCHASE_OFFER_TYPE, PURCHASE_OFFER_ID, PURCHASE_IS_SUBSCRIPTION, PURCHASE_IS_SHARED,
	PURCHASE_REASON, PURCHASE_REFUNDED_AT, PURCHASE_EXPIRES_AT, PURCHASE_GRACE_ENDS_AT,
	PURCHASE_ISSUE_AT, PURCHASE_PAUSED_AT, PURCHASE_PROFILE_ID
} PurchaseColumn;

typedef enum
{
	CHAIN_TRANSACTION_ID = 1, CHAIN_RENEWS, CHAIN_RENEWAL_CANCELLED_AT
} ChainColumn;

typedef enum
{
	PAYWALL_PLACEMENT = 1, PAYWALL_NAME, PAYWALL_REVISION, PAYWALL_AUDIENCE, PAYWALL_AB_TEST, PAYWALL_AB_TEST_REVISION
} PaywallColumn;

/* event_properties, between begin and end of their object. */
extern void put_purchase_properties(JsonbBuild *jb, const Payload *p);
extern void put_access_properties(JsonbBuild *jb, const Payload *p);

/* Is it an event of a trial, or of its end? */
extern bool payload_has_trial(EventType type);

/* The event's profile; NULL if a purchase is nobody's. */
extern const pg_uuid_t *payload_profile_id(const Payload *p);

/* A column of the one row of a result: NULL, false or DT_NOBEGIN for null, or without a row. */
extern Datum get(SPITupleTable *table, int column, bool *isnull);
extern char *get_text(SPITupleTable *table, int column);
extern Numeric get_numeric(SPITupleTable *table, int column);
extern bool get_bool(SPITupleTable *table, int column);
extern TimestampTz get_time(SPITupleTable *table, int column);

/* A field with its value; null for NULL and for infinite moments. */
extern void put_text(JsonbBuild *jb, const char *key, const char *value);
extern void put_time(JsonbBuild *jb, const char *key, TimestampTz value);
extern void put_numeric(JsonbBuild *jb, const char *key, Numeric value);
extern void put_bool(JsonbBuild *jb, const char *key, bool value);
extern void put_uuid(JsonbBuild *jb, const char *key, const pg_uuid_t *value);
/* the same from a column of type int8 or jsonb */
extern void put_int(JsonbBuild *jb, const char *key, SPITupleTable *table, int column);
extern void put_jsonb(JsonbBuild *jb, const char *key, SPITupleTable *table, int column);

/* A fact of the event; NULL if it has none; else a column of the purchase. */
extern char *fact_text(const Payload *p, const char *key);
extern char *fact_or_text(const Payload *p, const char *key, int column);

#endif							/* ADAPTY_EVENT_PAYLOAD_H */
