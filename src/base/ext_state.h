/*
 * ext_state.h
 *		Is the extension in this database, in which version, and what are the OIDs of its parts.
 */
#ifndef ADAPTY_EXT_STATE_H
#define ADAPTY_EXT_STATE_H

#include "postgres.h"

typedef enum AdaptyTable
{
	TABLE_ACCESS_LEVELS,
	TABLE_PROFILES,
	TABLE_IDENTITIES,
	TABLE_ACCESS_GRANTS,
	TABLE_EVENTS,
	TABLE_AB_TEST_ASSIGNMENTS,
	TABLE_PAYWALL_REQUESTS,
	TABLE_PAYWALL_VIEWS,
	TABLE_TRANSACTIONS,
	N_TABLES
} AdaptyTable;

typedef enum AdaptyIndex
{
	INDEX_ACCESS_LEVELS_PKEY,
	INDEX_PROFILES_PKEY,
	INDEX_IDENTITIES_PKEY,
	INDEX_ACCESS_GRANTS_PKEY,
	INDEX_ACCESS_GRANTS_DUE,
	INDEX_AB_TEST_ASSIGNMENTS_PKEY,
	INDEX_PAYWALL_REQUESTS_PKEY,
	N_INDEXES
} AdaptyIndex;

/* The SQL enums that C reads and writes, their labels in the order of the C enums below. */
typedef enum AdaptyEnum
{
	ENUM_GRANT_SOURCE,
	ENUM_GRANT_STATE,
	ENUM_GRANT_MODE,
	ENUM_EVENT_TYPE,
	ENUM_SUBSCRIPTION_STATE,
	ENUM_OFFER_CATEGORY,
	ENUM_OFFER_TYPE,
	ENUM_CANCELLATION_REASON,
	N_ENUMS
} AdaptyEnum;

typedef enum GrantSource
{
	GRANT_SOURCE_SUBSCRIPTION,
	GRANT_SOURCE_ONE_TIME_PURCHASE,
	GRANT_SOURCE_SHARED_PURCHASE,
	GRANT_SOURCE_SERVER_GRANT,
	GRANT_SOURCE_PROMO_CAMPAIGN,
	GRANT_SOURCE_PROMO_CODE
} GrantSource;

typedef enum GrantState
{
	GRANT_PENDING,
	GRANT_ACTIVE,
	GRANT_ENDED
} GrantState;

typedef enum GrantMode
{
	GRANT_MODE_EXTEND,
	GRANT_MODE_REPLACE,
	GRANT_MODE_MAX,
	GRANT_MODE_KEEP
} GrantMode;

typedef enum EventType
{
	EVENT_SUBSCRIPTION_STARTED,
	EVENT_SUBSCRIPTION_RENEWED,
	EVENT_SUBSCRIPTION_RENEWAL_CANCELLED,
	EVENT_SUBSCRIPTION_RENEWAL_REACTIVATED,
	EVENT_SUBSCRIPTION_EXPIRED,
	EVENT_SUBSCRIPTION_PAUSED,
	EVENT_SUBSCRIPTION_DEFERRED,
	EVENT_SUBSCRIPTION_REFUNDED,
	EVENT_NON_SUBSCRIPTION_PURCHASE,
	EVENT_NON_SUBSCRIPTION_PURCHASE_REFUNDED,
	EVENT_TRIAL_STARTED,
	EVENT_TRIAL_CONVERTED,
	EVENT_TRIAL_RENEWAL_CANCELLED,
	EVENT_TRIAL_RENEWAL_REACTIVATED,
	EVENT_TRIAL_EXPIRED,
	EVENT_ENTERED_GRACE_PERIOD,
	EVENT_BILLING_ISSUE_DETECTED,
	EVENT_ACCESS_LEVEL_UPDATED,
	EVENT_TRIAL_ACTIVE,			/* the last two are made by timers */
	EVENT_SUBSCRIPTION_ACTIVE
} EventType;

typedef enum SubscriptionState
{
	SUBSCRIPTION_STATE_NEVER_SUBSCRIBED,
	SUBSCRIPTION_STATE_ACTIVE_TRIAL,
	SUBSCRIPTION_STATE_TRIAL_CANCELLED,
	SUBSCRIPTION_STATE_SUBSCRIBED,
	SUBSCRIPTION_STATE_AUTO_RENEW_OFF,
	SUBSCRIPTION_STATE_GRACE_PERIOD,
	SUBSCRIPTION_STATE_BILLING_ISSUE,
	SUBSCRIPTION_STATE_SUBSCRIPTION_CANCELLED
} SubscriptionState;

#define MAX_ENUM_LABELS 20

typedef struct ExtState
{
	Oid			extension;		/* OID in pg_extension: changes with DROP + CREATE */
	Oid			schema;
	Oid			owner;			/* owner of the tables: whom SPI runs as */
	Oid			tables[N_TABLES];
	Oid			indexes[N_INDEXES];
	Oid			enums[N_ENUMS];	/* the types */
	Oid			labels[N_ENUMS][MAX_ENUM_LABELS];
} ExtState;

/* The state; ERROR (55000) if the extension is not here or its SQL is of another version. */
extern const ExtState *ext_state(void);

/* The same without an error: NULL if it is not here; *version_matches says whether it can be used. */
extern const ExtState *ext_state_if_installed(bool *version_matches);

/* SQL enum value of a C enum value, and back (ERROR if the OID is of no label). */
extern Datum enum_datum(AdaptyEnum type, int value);
extern int	enum_value(AdaptyEnum type, Datum label);
extern const char *enum_label(AdaptyEnum type, int value);

/* C enum value of a label; -1 if there is none. */
extern int	enum_value_of_label(AdaptyEnum type, const char *label);

extern void ext_state_init(void);

#endif							/* ADAPTY_EXT_STATE_H */
