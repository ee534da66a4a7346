/*
 * import_row.h
 *		A row of an import, read and checked: the columns of the file as a transaction and as profile data.
 */
#ifndef ADAPTY_IMPORT_ROW_H
#define ADAPTY_IMPORT_ROW_H

#include "postgres.h"

#include "domain/transaction_report.h"
#include "utils/jsonb.h"

/* The columns of a file, in the order of import_transactions. */
typedef enum ImportColumn
{
	IMPORT_USER_ID,
	IMPORT_APPLE_ORIGINAL_TRANSACTION_ID,
	IMPORT_GOOGLE_PRODUCT_ID,
	IMPORT_GOOGLE_PURCHASE_TOKEN,
	IMPORT_GOOGLE_IS_SUBSCRIPTION,
	IMPORT_STRIPE_TOKEN,
	IMPORT_SUBSCRIPTION_EXPIRATION_DATE,
	IMPORT_CREATED_AT,
	IMPORT_BIRTHDAY,
	IMPORT_EMAIL,
	IMPORT_GENDER,
	IMPORT_PHONE_NUMBER,
	IMPORT_COUNTRY,
	IMPORT_FIRST_NAME,
	IMPORT_LAST_NAME,
	IMPORT_LAST_SEEN,
	IMPORT_IDFA,
	IMPORT_IDFV,
	IMPORT_ADVERTISING_ID,
	IMPORT_AMPLITUDE_USER_ID,
	IMPORT_AMPLITUDE_DEVICE_ID,
	IMPORT_MIXPANEL_USER_ID,
	IMPORT_APPMETRICA_PROFILE_ID,
	IMPORT_APPMETRICA_DEVICE_ID,
	IMPORT_APPSFLYER_ID,
	IMPORT_ADJUST_DEVICE_ID,
	IMPORT_FACEBOOK_ANONYMOUS_ID,
	IMPORT_BRANCH_ID,
	IMPORT_ATTRIBUTION_SOURCE,
	IMPORT_ATTRIBUTION_STATUS,
	IMPORT_ATTRIBUTION_CHANNEL,
	IMPORT_ATTRIBUTION_CAMPAIGN,
	IMPORT_ATTRIBUTION_AD_GROUP,
	IMPORT_ATTRIBUTION_AD_SET,
	IMPORT_ATTRIBUTION_CREATIVE,
	IMPORT_CUSTOM_ATTRIBUTES,
	IMPORT_PURCHASE_TYPE,
	IMPORT_STORE,
	IMPORT_ENVIRONMENT,
	IMPORT_STORE_PRODUCT_ID,
	IMPORT_STORE_TRANSACTION_ID,
	IMPORT_STORE_ORIGINAL_TRANSACTION_ID,
	IMPORT_IS_FAMILY_SHARED,
	IMPORT_PURCHASED_AT,
	IMPORT_ORIGINALLY_PURCHASED_AT,
	IMPORT_EXPIRES_AT,
	IMPORT_RENEW_STATUS,
	IMPORT_RENEW_STATUS_CHANGED_AT,
	IMPORT_BILLING_ISSUE_DETECTED_AT,
	IMPORT_GRACE_PERIOD_EXPIRES_AT,
	IMPORT_PAUSED_AT,
	IMPORT_RESUMES_AT,
	IMPORT_PRICE_COUNTRY,
	IMPORT_PRICE_CURRENCY,
	IMPORT_PRICE_VALUE,
	IMPORT_OFFER_CATEGORY,
	IMPORT_OFFER_TYPE,
	IMPORT_OFFER_ID,
	IMPORT_VARIATION_ID,
	IMPORT_REFUNDED_AT,
	IMPORT_CANCELLATION_REASON,
	N_IMPORT_COLUMNS
} ImportColumn;

/* The same as a list for SELECT, of a table called t. */
#define IMPORT_COLUMN_LIST \
	"t.user_id, t.apple_original_transaction_id, t.google_product_id, t.google_purchase_token, " \
	"t.google_is_subscription, t.stripe_token, t.subscription_expiration_date, t.created_at, " \
	"t.birthday, t.email, t.gender, t.phone_number, t.country, t.first_name, t.last_name, t.last_seen, " \
	"t.idfa, t.idfv, t.advertising_id, t.amplitude_user_id, t.amplitude_device_id, " \
	"t.mixpanel_user_id, t.appmetrica_profile_id, t.appmetrica_device_id, t.appsflyer_id, " \
	"t.adjust_device_id, t.facebook_anonymous_id, t.branch_id, t.attribution_source, " \
	"t.attribution_status, t.attribution_channel, t.attribution_campaign, t.attribution_ad_group, " \
	"t.attribution_ad_set, t.attribution_creative, t.custom_attributes, t.purchase_type, t.store, " \
	"t.environment, t.store_product_id, t.store_transaction_id, t.store_original_transaction_id, " \
	"t.is_family_shared, t.purchased_at, t.originally_purchased_at, t.expires_at, t.renew_status, " \
	"t.renew_status_changed_at, t.billing_issue_detected_at, t.grace_period_expires_at, " \
	"t.paused_at, t.resumes_at, " \
	"t.price_country, t.price_currency, t.price_value, t.offer_category, t.offer_type, t.offer_id, " \
	"t.variation_id, t.refunded_at, t.cancellation_reason"

/* A row as it stands in the file: NULL for an empty value. */
typedef struct ImportRow
{
	char	   *values[N_IMPORT_COLUMNS];
} ImportRow;

/* What is wrong with a row. */
typedef struct ImportFault
{
	const char *column;			/* NULL if it is the row as a whole */
	const char *reason;
	const char *detail;			/* NULL for none */
	int			sqlerrcode;		/* if it comes of an error, else 0 */
} ImportFault;

/* What a row says of its user: texts that their columns take, NULL for nothing. */
typedef struct ImportPerson
{
	TimestampTz created_at;		/* or NO_TIME */
	TimestampTz last_seen_at;	/* or NO_TIME */
	char	   *first_name;
	char	   *last_name;
	char	   *gender;
	char	   *email;
	char	   *phone_number;
	char	   *birthday;
	char	   *country;
	char	   *idfa;
	char	   *idfv;
	char	   *advertising_id;
	const char *platform;		/* of the device that has these ids */
	Jsonb	   *custom;
	Jsonb	   *identifiers;	/* name: id */
	Jsonb	   *attributions;	/* source: fields */
} ImportPerson;

/* A time that may be absent or wrong: NO_TIME then. */
extern TimestampTz import_row_time(const ImportRow *row, ImportColumn column);

/* Checks user_id; false and *fault if it is wrong. */
extern bool import_row_check_user(const ImportRow *row, ImportFault *fault);

/*
 * Fills in the columns of a purchase that follow from the documented ones, and says whether the row
 * has a purchase at all: *has_purchase.  false and *fault if the columns contradict each other.
 */
extern bool import_row_derive(ImportRow *row, bool *has_purchase, ImportFault *fault);

/*
 * Reads a purchase by the rules of set_transaction(); false and *fault, with its messages, if it
 * would refuse it.  As all that is read here: in the current memory context, and no table is read.
 */
extern bool import_row_read_purchase(const ImportRow *row, TransactionReport **report, ImportFault *fault);

/* Does the row say anything of its user? */
extern bool import_row_has_person(const ImportRow *row);

/* Two numbers that are the same for rows that say the same of a user. */
extern void import_row_person_digest(const ImportRow *row, uint64 digest[2]);

/* Reads what it says, by the rules of update_profile(); false and *fault if that would refuse it. */
extern bool import_row_read_person(const ImportRow *row, ImportPerson *person, ImportFault *fault);

#endif							/* ADAPTY_IMPORT_ROW_H */
