/*
 * import_row.c
 *		A row of an import, read and checked: the columns of the file as a transaction and as profile data.
 *
 * The rules are those of set_transaction() and update_profile(), in both senses: a row that is
 * plainly right is read here, which has to be fast; whatever is not goes, as JSON, through their own
 * readers, whose answer holds and whose messages are the reasons given.  So this file decides nothing
 * that they would decide otherwise.
 *
 * Those readers say no by raising an error.  They are pure: an error leaves nothing behind but
 * memory, so it is caught without a subtransaction.  Only errors about data are; any other goes on.
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/hashfn.h"
#include "common/sha2.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "base/arg.h"
#include "base/ext_state.h"
#include "base/iso8601.h"
#include "base/jsonb_build.h"
#include "domain/attribute_request.h"
#include "domain/attributes.h"
#include "domain/import_row.h"
#include "domain/product.h"

#define MAX_ID 255				/* bytes here; what has more goes the long way, which counts characters */
#define MAX_STORE_TRANSACTION_ID 50
#define MAX_PRICE_DIGITS 12		/* before the point, and after it, of a plain one */
#define MAX_NUMBER_DIGITS 100	/* of what is given to the reader of JSON as a number */

static const char *const column_names[N_IMPORT_COLUMNS] = {
	"user_id", "apple_original_transaction_id", "google_product_id", "google_purchase_token",
	"google_is_subscription", "stripe_token", "subscription_expiration_date", "created_at",
	"birthday", "email", "gender", "phone_number", "country", "first_name", "last_name", "last_seen",
	"idfa", "idfv", "advertising_id", "amplitude_user_id", "amplitude_device_id",
	"mixpanel_user_id", "appmetrica_profile_id", "appmetrica_device_id", "appsflyer_id",
	"adjust_device_id", "facebook_anonymous_id", "branch_id", "attribution_source",
	"attribution_status", "attribution_channel", "attribution_campaign", "attribution_ad_group",
	"attribution_ad_set", "attribution_creative", "custom_attributes", "purchase_type", "store",
	"environment", "store_product_id", "store_transaction_id", "store_original_transaction_id",
	"is_family_shared", "purchased_at", "originally_purchased_at", "expires_at", "renew_status",
	"renew_status_changed_at", "billing_issue_detected_at", "grace_period_expires_at", "paused_at", "resumes_at",
	"price_country", "price_currency", "price_value", "offer_category", "offer_type", "offer_id",
	"variation_id", "refunded_at", "cancellation_reason"
};

/* What only a subscription has. */
static const ImportColumn subscription_columns[] = {
	IMPORT_ORIGINALLY_PURCHASED_AT, IMPORT_EXPIRES_AT, IMPORT_RENEW_STATUS,
	IMPORT_RENEW_STATUS_CHANGED_AT, IMPORT_BILLING_ISSUE_DETECTED_AT, IMPORT_GRACE_PERIOD_EXPIRES_AT,
	IMPORT_PAUSED_AT, IMPORT_RESUMES_AT
};

/* Says what is wrong; false, for the caller to return. */
static bool
fault_set(ImportFault *fault, ImportColumn column, const char *reason, const char *detail)
{
	fault->column = column_names[column];
	fault->reason = reason;
	fault->detail = detail;
	return false;
}

/* fault_set() in the words of the readers of JSON. */
static bool
fault_value(ImportFault *fault, ImportColumn column, const char *value, const char *detail)
{
	return fault_set(fault, column,
					 value == NULL ? psprintf("missing value for \"%s\"", column_names[column]) :
					 psprintf("invalid value for \"%s\": \"%s\"", column_names[column], value), detail);
}

/* ---- readers that raise errors ---- */

typedef void (*RowReader) (void *state);

/*
 * Runs a reader; false and *fault (without its column, unless the error names one) if it raises an
 * error about data.
 */
static bool
read_carefully(RowReader reader, void *state, ImportFault *fault)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool done = false;

	PG_TRY();
	{
		reader(state);
		done = true;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION &&
			ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
			PG_RE_THROW();
		FlushErrorState();
		fault->sqlerrcode = error->sqlerrcode;
		fault->column = error->column_name;
		fault->reason = error->message;
		fault->detail = error->detail;
	}
	PG_END_TRY();
	return done;
}

/* ---- purchases ---- */

/* See import_row.h. */
TimestampTz
import_row_time(const ImportRow *row, ImportColumn column)
{
	TimestampTz time;

	return row->values[column] != NULL && iso8601_parse(row->values[column], &time) ? time : NO_TIME;
}

/* See import_row.h. */
bool
import_row_check_user(const ImportRow *row, ImportFault *fault)
{
	const char *user_id = row->values[IMPORT_USER_ID];

	if (user_id == NULL)
		return fault_value(fault, IMPORT_USER_ID, NULL, "The field is required and must not be null.");
	if (strlen(user_id) > MAX_CUSTOMER_USER_ID && pg_mbstrlen(user_id) > MAX_CUSTOMER_USER_ID)
		return fault_value(fault, IMPORT_USER_ID,
						   psprintf("%s...", pnstrdup(user_id, pg_mbcliplen(user_id, strlen(user_id), 100))),
						   psprintf("The value has %d characters; at most %d are allowed.",
									pg_mbstrlen(user_id), MAX_CUSTOMER_USER_ID));
	return true;
}

/* An id of at most 50 characters for one that may be longer: itself, or the beginning of its SHA-256. */
static char *
short_id(const char *id)
{
	pg_cryptohash_ctx *context;
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	char		hex[2 * PG_SHA256_DIGEST_LENGTH + 1];

	if (strlen(id) <= MAX_STORE_TRANSACTION_ID)
		return pstrdup(id);
	context = pg_cryptohash_create(PG_SHA256);
	if (pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, (const uint8 *) id, strlen(id)) < 0 ||
		pg_cryptohash_final(context, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not compute SHA-256");
	pg_cryptohash_free(context);
	for (int i = 0; i < PG_SHA256_DIGEST_LENGTH; i++)
		sprintf(hex + 2 * i, "%02x", digest[i]);
	return pnstrdup(hex, MAX_STORE_TRANSACTION_ID);
}

/* Gives a column a value that follows from another, unless it has one. */
static void
derive(ImportRow *row, ImportColumn column, const char *value)
{
	if (row->values[column] == NULL && value != NULL)
		row->values[column] = pstrdup(value);
}

/* The store and the id of a purchase as the documented columns have them; false and *fault if of two stores. */
static bool
derive_store(ImportRow *row, ImportFault *fault)
{
	char	  **v = row->values;
	const char *store = NULL;
	const char *id = NULL;
	ImportColumn by = IMPORT_STORE;

	if (v[IMPORT_STRIPE_TOKEN] != NULL)
	{
		store = "stripe";
		by = IMPORT_STRIPE_TOKEN;
		id = v[by];
		derive(row, IMPORT_PURCHASE_TYPE, strncmp(id, "sub_", 4) == 0 ? "subscription" :
			   strncmp(id, "pi_", 3) == 0 ? "one_time_purchase" : NULL);
	}
	if (v[IMPORT_APPLE_ORIGINAL_TRANSACTION_ID] != NULL)
	{
		if (store != NULL)
			return fault_value(fault, by, v[by], "A row is about a purchase in one store.");
		store = "app_store";
		by = IMPORT_APPLE_ORIGINAL_TRANSACTION_ID;
		id = v[by];
		derive(row, IMPORT_PURCHASE_TYPE, v[IMPORT_SUBSCRIPTION_EXPIRATION_DATE] != NULL ? "subscription" : NULL);
	}
	if (v[IMPORT_GOOGLE_PURCHASE_TOKEN] != NULL || v[IMPORT_GOOGLE_PRODUCT_ID] != NULL ||
		v[IMPORT_GOOGLE_IS_SUBSCRIPTION] != NULL)
	{
		const char *flag = v[IMPORT_GOOGLE_IS_SUBSCRIPTION];

		if (store != NULL)
			return fault_value(fault, by, v[by], "A row is about a purchase in one store.");
		if (flag != NULL && strcmp(flag, "0") != 0 && strcmp(flag, "1") != 0)
			return fault_value(fault, IMPORT_GOOGLE_IS_SUBSCRIPTION, flag, "The value must be 1 or 0.");
		store = "play_store";
		by = IMPORT_GOOGLE_PURCHASE_TOKEN;
		id = v[by];
		derive(row, IMPORT_PURCHASE_TYPE, flag == NULL ? NULL :
			   flag[0] == '1' ? "subscription" : "one_time_purchase");
		derive(row, IMPORT_STORE_PRODUCT_ID, v[IMPORT_GOOGLE_PRODUCT_ID]);
	}
	if (store != NULL && v[IMPORT_STORE] != NULL && strcmp(v[IMPORT_STORE], store) != 0)
		return fault_value(fault, IMPORT_STORE, v[IMPORT_STORE],
						   psprintf("The other columns are of \"%s\".", store));
	derive(row, IMPORT_STORE, store);
	derive(row, IMPORT_STORE_ORIGINAL_TRANSACTION_ID, id);
	return true;
}

/* See import_row.h. */
bool
import_row_derive(ImportRow *row, bool *has_purchase, ImportFault *fault)
{
	char	  **v = row->values;
	bool		is_subscription;

	*has_purchase = false;
	for (int i = IMPORT_PURCHASE_TYPE; i < N_IMPORT_COLUMNS && !*has_purchase; i++)
		*has_purchase = v[i] != NULL;
	if (!derive_store(row, fault))
		return false;
	if (!*has_purchase)
		return true;
	if (v[IMPORT_STORE_ORIGINAL_TRANSACTION_ID] != NULL && v[IMPORT_STORE_TRANSACTION_ID] == NULL)
		v[IMPORT_STORE_TRANSACTION_ID] = short_id(v[IMPORT_STORE_ORIGINAL_TRANSACTION_ID]);
	derive(row, IMPORT_STORE_ORIGINAL_TRANSACTION_ID, v[IMPORT_STORE_TRANSACTION_ID]);
	if (v[IMPORT_PRICE_COUNTRY] == NULL && v[IMPORT_COUNTRY] != NULL)
		v[IMPORT_PRICE_COUNTRY] = asc_toupper(v[IMPORT_COUNTRY], strlen(v[IMPORT_COUNTRY]));
	is_subscription = v[IMPORT_PURCHASE_TYPE] != NULL && strcmp(v[IMPORT_PURCHASE_TYPE], "subscription") == 0;
	if (is_subscription)
	{
		derive(row, IMPORT_EXPIRES_AT, v[IMPORT_SUBSCRIPTION_EXPIRATION_DATE]);
		/* The first transaction of a subscription has the subscription's id. */
		if (v[IMPORT_STORE_TRANSACTION_ID] != NULL &&
			strcmp(v[IMPORT_STORE_TRANSACTION_ID],
				   short_id(v[IMPORT_STORE_ORIGINAL_TRANSACTION_ID])) == 0)
			derive(row, IMPORT_ORIGINALLY_PURCHASED_AT, v[IMPORT_PURCHASED_AT]);
	}
	return true;
}

/* A boolean as files have it: 1 true, 0 false, -1 neither. */
static int
parse_boolean(const char *text)
{
	static const char *const truths[] = {"true", "t", "1", "yes"};
	static const char *const lies[] = {"false", "f", "0", "no"};

	for (int i = 0; i < (int) lengthof(truths); i++)
	{
		if (pg_strcasecmp(text, truths[i]) == 0)
			return 1;
		if (pg_strcasecmp(text, lies[i]) == 0)
			return 0;
	}
	return -1;
}

/* Digits, and perhaps a point and digits, at most max of each? */
static bool
is_plain_number(const char *text, size_t max)
{
	size_t		whole = strspn(text, "0123456789");
	size_t		fraction = text[whole] == '.' ? strspn(text + whole + 1, "0123456789") : 0;

	return whole >= 1 && whole <= max && fraction <= max &&
		text[whole + fraction + (fraction > 0 ? 1 : 0)] == '\0';
}

/* Exactly n capital letters? */
static bool
is_code(const char *text, size_t n)
{
	return text != NULL && strlen(text) == n && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == n;
}

/* A text of 1 to max bytes. */
static bool
is_short(const char *text, size_t max)
{
	return text != NULL && text[0] != '\0' && strlen(text) <= max;
}

/* Reads a time if it is there; false if it is something else. */
static bool
plain_time(const ImportRow *row, ImportColumn column, TimestampTz *time)
{
	*time = NO_TIME;
	return row->values[column] == NULL || iso8601_parse(row->values[column], time);
}

/* A label of an enum if it is there; false if it is something else. */
static bool
plain_label(const ImportRow *row, ImportColumn column, AdaptyEnum type, const char **label)
{
	int			value;

	*label = NULL;
	if (row->values[column] == NULL)
		return true;
	value = enum_value_of_label(type, row->values[column]);
	if (value < 0)
		return false;
	*label = enum_label(type, value);
	return true;
}

/* The texts and labels of a purchase; false if one is not plainly right. */
static bool
plain_texts(const ImportRow *row, TransactionReport *r)
{
	char	   *const *v = row->values;
	int			shared = v[IMPORT_IS_FAMILY_SHARED] == NULL ? 0 : parse_boolean(v[IMPORT_IS_FAMILY_SHARED]);

	if (v[IMPORT_STORE] == NULL || !is_slug(v[IMPORT_STORE]) ||
		!is_short(v[IMPORT_STORE_PRODUCT_ID], MAX_ID) ||
		!is_short(v[IMPORT_STORE_TRANSACTION_ID], MAX_STORE_TRANSACTION_ID) ||
		!is_short(v[IMPORT_STORE_ORIGINAL_TRANSACTION_ID], MAX_ID) || shared < 0 ||
		!is_code(v[IMPORT_PRICE_COUNTRY], 2) || !is_code(v[IMPORT_PRICE_CURRENCY], 3) ||
		v[IMPORT_PRICE_VALUE] == NULL || !is_plain_number(v[IMPORT_PRICE_VALUE], MAX_PRICE_DIGITS) ||
		(v[IMPORT_OFFER_ID] != NULL && !is_short(v[IMPORT_OFFER_ID], MAX_ID)) ||
		(v[IMPORT_VARIATION_ID] != NULL && !is_short(v[IMPORT_VARIATION_ID], MAX_ID)) ||
		!plain_label(row, IMPORT_OFFER_CATEGORY, ENUM_OFFER_CATEGORY, &r->offer_category) ||
		!plain_label(row, IMPORT_OFFER_TYPE, ENUM_OFFER_TYPE, &r->offer_type) ||
		!plain_label(row, IMPORT_CANCELLATION_REASON, ENUM_CANCELLATION_REASON, &r->cancellation_reason) ||
		(r->offer_category == NULL) != (r->offer_type == NULL) ||
		(r->offer_category == NULL && v[IMPORT_OFFER_ID] != NULL))
		return false;
	r->environment = "Production";
	if (v[IMPORT_ENVIRONMENT] != NULL && strcmp(v[IMPORT_ENVIRONMENT], "Sandbox") == 0)
		r->environment = "Sandbox";
	else if (v[IMPORT_ENVIRONMENT] != NULL && strcmp(v[IMPORT_ENVIRONMENT], "Production") != 0)
		return false;
	r->store = v[IMPORT_STORE];
	r->store_product_id = v[IMPORT_STORE_PRODUCT_ID];
	r->store_base_plan_id = "";
	store_product_split(r->store, &r->store_product_id, &r->store_base_plan_id);
	r->store_transaction_id = v[IMPORT_STORE_TRANSACTION_ID];
	r->store_original_transaction_id = v[IMPORT_STORE_ORIGINAL_TRANSACTION_ID];
	r->is_family_shared = shared == 1;
	r->price_country = v[IMPORT_PRICE_COUNTRY];
	r->price_currency = v[IMPORT_PRICE_CURRENCY];
	r->offer_id = v[IMPORT_OFFER_ID];
	r->variation_id = v[IMPORT_VARIATION_ID];
	return true;
}

/* The times of a purchase, and whether it renews; false if one is not plainly right. */
static bool
plain_times(const ImportRow *row, TransactionReport *r)
{
	ChainTransaction *t = &r->times;
	int			renews;

	if (!plain_time(row, IMPORT_PURCHASED_AT, &t->purchased_at) || !HAS_TIME(t->purchased_at) ||
		!plain_time(row, IMPORT_REFUNDED_AT, &t->refunded_at) ||
		(HAS_TIME(t->refunded_at) && t->refunded_at < t->purchased_at))
		return false;
	t->expires_at = t->renew_status_changed_at = NO_TIME;
	t->billing_issue_detected_at = t->grace_period_expires_at = NO_TIME;
	t->paused_at = t->resumes_at = r->reported_at = NO_TIME;
	r->originally_purchased_at = t->purchased_at;
	if (!r->is_subscription)
	{
		for (int i = 0; i < (int) lengthof(subscription_columns); i++)
			if (row->values[subscription_columns[i]] != NULL)
				return false;
		return true;
	}
	renews = row->values[IMPORT_RENEW_STATUS] == NULL ? -1 : parse_boolean(row->values[IMPORT_RENEW_STATUS]);
	if (renews < 0 ||
		!plain_time(row, IMPORT_ORIGINALLY_PURCHASED_AT, &r->originally_purchased_at) ||
		!HAS_TIME(r->originally_purchased_at) ||
		!plain_time(row, IMPORT_EXPIRES_AT, &t->expires_at) || t->expires_at <= t->purchased_at ||
		!plain_time(row, IMPORT_RENEW_STATUS_CHANGED_AT, &t->renew_status_changed_at) ||
		!plain_time(row, IMPORT_BILLING_ISSUE_DETECTED_AT, &t->billing_issue_detected_at) ||
		!plain_time(row, IMPORT_GRACE_PERIOD_EXPIRES_AT, &t->grace_period_expires_at) ||
		(HAS_TIME(t->grace_period_expires_at) && t->grace_period_expires_at <= t->purchased_at) ||
		!plain_time(row, IMPORT_PAUSED_AT, &t->paused_at) ||
		(HAS_TIME(t->paused_at) && t->paused_at < t->purchased_at) ||
		!plain_time(row, IMPORT_RESUMES_AT, &t->resumes_at) ||
		(HAS_TIME(t->resumes_at) && (!HAS_TIME(t->paused_at) || t->resumes_at <= t->paused_at)))
		return false;
	t->renew_status = renews == 1;
	return true;
}

/* A purchase that is plainly right; NULL if it is to be looked at more closely. */
static TransactionReport *
read_plain(const ImportRow *row)
{
	TransactionReport *r = palloc0(sizeof(TransactionReport));
	const char *type = row->values[IMPORT_PURCHASE_TYPE];

	if (type == NULL)
		return NULL;
	r->is_subscription = strcmp(type, "subscription") == 0;
	if ((!r->is_subscription && strcmp(type, "one_time_purchase") != 0) ||
		!plain_texts(row, r) || !plain_times(row, r))
		return NULL;
	r->price_value = DatumGetNumeric(DirectFunctionCall3(numeric_in,
														 CStringGetDatum(row->values[IMPORT_PRICE_VALUE]),
														 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	transaction_report_derive(r);
	return r;
}

/* Adds a field of a purchase, if the row has it, as the JSON value that it should be. */
static void
add_text(JsonbBuild *jb, const ImportRow *row, ImportColumn column, const char *key)
{
	if (row->values[column] == NULL)
		return;
	jb_key(jb, key);
	jb_string(jb, row->values[column]);
}

static void
add_boolean(JsonbBuild *jb, const ImportRow *row, ImportColumn column)
{
	const char *text = row->values[column];

	if (text == NULL)
		return;
	jb_key(jb, column_names[column]);
	if (parse_boolean(text) < 0)
		jb_string(jb, text);
	else
		jb_bool(jb, parse_boolean(text) == 1);
}

/* The price's value: a number if it is one, else the text, for its reader to refuse. */
static void
add_price_value(JsonbBuild *jb, const char *text)
{
	if (text == NULL)
		return;
	jb_key(jb, "value");
	if (is_plain_number(text[0] == '-' ? text + 1 : text, MAX_NUMBER_DIGITS))
		jb_numeric(jb, DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
														   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1))));
	else
		jb_string(jb, text);
}

/* The object that set_transaction() would be given for a row. */
static Jsonb *
import_row_json(const ImportRow *row)
{
	JsonbBuild	jb;

	jb_init(&jb);
	jb_begin_object(&jb);
	for (int i = IMPORT_PURCHASE_TYPE; i < N_IMPORT_COLUMNS; i++)
	{
		if (i == IMPORT_IS_FAMILY_SHARED || i == IMPORT_RENEW_STATUS)
			add_boolean(&jb, row, i);
		else if (i < IMPORT_PRICE_COUNTRY || i > IMPORT_OFFER_ID)
			add_text(&jb, row, i, column_names[i]);
	}
	if (row->values[IMPORT_PRICE_COUNTRY] != NULL || row->values[IMPORT_PRICE_CURRENCY] != NULL ||
		row->values[IMPORT_PRICE_VALUE] != NULL)
	{
		jb_key(&jb, "price");
		jb_begin_object(&jb);
		add_text(&jb, row, IMPORT_PRICE_COUNTRY, "country");
		add_text(&jb, row, IMPORT_PRICE_CURRENCY, "currency");
		add_price_value(&jb, row->values[IMPORT_PRICE_VALUE]);
		jb_end_object(&jb);
	}
	if (row->values[IMPORT_OFFER_CATEGORY] != NULL || row->values[IMPORT_OFFER_TYPE] != NULL ||
		row->values[IMPORT_OFFER_ID] != NULL)
	{
		jb_key(&jb, "offer");
		jb_begin_object(&jb);
		add_text(&jb, row, IMPORT_OFFER_CATEGORY, "category");
		add_text(&jb, row, IMPORT_OFFER_TYPE, "type");
		add_text(&jb, row, IMPORT_OFFER_ID, "id");
		jb_end_object(&jb);
	}
	jb_end_object(&jb);
	return jb_finish(&jb);
}

/* What read_closely() is about. */
typedef struct CloseReading
{
	const ImportRow *row;
	TransactionReport *report;
} CloseReading;

/* A purchase as set_transaction() reads it: raises its errors. */
static void
read_closely(void *state)
{
	CloseReading *reading = (CloseReading *) state;

	reading->report = transaction_report_read(import_row_json(reading->row));
}

/* See import_row.h. */
bool
import_row_read_purchase(const ImportRow *row, TransactionReport **report, ImportFault *fault)
{
	CloseReading reading = {.row = row};

	*report = read_plain(row);
	if (*report != NULL)
		return true;
	if (!read_carefully(read_closely, &reading, fault))
	{
		/* "price.value" is the column price_value; a price that is wholly missing lacks its value */
		if (fault->column != NULL && strchr(fault->column, '.') != NULL)
		{
			char	   *column = pstrdup(fault->column);

			*strchr(column, '.') = '_';
			fault->column = column;
		}
		else if (fault->column != NULL && strcmp(fault->column, "price") == 0)
			fault->column = column_names[IMPORT_PRICE_VALUE];
		return false;
	}
	*report = reading.report;
	return true;
}

/* ---- profile data ---- */

/* Is a column about the user? */
static bool
is_person_column(int column)
{
	return column >= IMPORT_CREATED_AT && column <= IMPORT_CUSTOM_ATTRIBUTES;
}

/* See import_row.h. */
bool
import_row_has_person(const ImportRow *row)
{
	for (int i = IMPORT_CREATED_AT; i <= IMPORT_CUSTOM_ATTRIBUTES; i++)
		if (row->values[i] != NULL)
			return true;
	return false;
}

/* See import_row.h. */
void
import_row_person_digest(const ImportRow *row, uint64 digest[2])
{
	digest[0] = 1;
	digest[1] = 2;
	for (int i = 0; i < N_IMPORT_COLUMNS; i++)
	{
		const char *text = is_person_column(i) ? row->values[i] : NULL;

		if (text == NULL)
			continue;
		for (int half = 0; half < 2; half++)
			digest[half] = hash_bytes_extended((const unsigned char *) text, (int) strlen(text),
											   digest[half] + (uint64) i);
	}
}

/*
 * The JSON of a dictionary as the format shows it, {'key': 'value', 'other': 1.0}: single quotes
 * become double ones, True, False and None their JSON names.  JSON itself stays as it is.
 */
static char *
dictionary_to_json(const char *text)
{
	StringInfoData json;
	char		quote = '\0';

	initStringInfo(&json);
	for (const char *p = text; *p != '\0'; p++)
	{
		if (quote != '\0' && *p == '\\' && p[1] != '\0')
		{
			p++;
			if (*p != '\'')
				appendStringInfoChar(&json, '\\');
			appendStringInfoChar(&json, *p);
		}
		else if (quote != '\0' && *p == quote)
		{
			quote = '\0';
			appendStringInfoChar(&json, '"');
		}
		else if (quote == '\0' && (*p == '\'' || *p == '"'))
		{
			quote = *p;
			appendStringInfoChar(&json, '"');
		}
		else if (quote == '\'' && *p == '"')
			appendStringInfoString(&json, "\\\"");
		else if (quote == '\0' && strncmp(p, "True", 4) == 0)
		{
			appendStringInfoString(&json, "true");
			p += 3;
		}
		else if (quote == '\0' && strncmp(p, "False", 5) == 0)
		{
			appendStringInfoString(&json, "false");
			p += 4;
		}
		else if (quote == '\0' && strncmp(p, "None", 4) == 0)
		{
			appendStringInfoString(&json, "null");
			p += 3;
		}
		else
			appendStringInfoChar(&json, *p);
	}
	return json.data;
}

/* What read_person() is about, and at which column it is. */
typedef struct PersonReading
{
	const ImportRow *row;
	ImportPerson *person;
	ImportColumn at;
	AttributeChange change;
} PersonReading;

/* Adds one default attribute to the change, by its name in update_profile(). */
static void
read_attribute(PersonReading *reading, ImportColumn column, const char *name)
{
	JsonbValue	value;

	reading->at = column;
	if (reading->row->values[column] == NULL)
		return;
	value.type = jbvString;
	value.val.string.val = reading->row->values[column];
	value.val.string.len = (int) strlen(reading->row->values[column]);
	attribute_pair_read(name, &value, &reading->change);
}

/* Reads {key: {name: text}} as update_profile() does: what a part of the document holds. */
static void
read_part(PersonReading *reading, const char *part, Jsonb *value)
{
	JsonbBuild	jb;

	jb_init(&jb);
	jb_begin_object(&jb);
	jb_key(&jb, part);
	jb_jsonb(&jb, value);
	jb_end_object(&jb);
	attribute_document_read(jb_finish(&jb), &reading->change);
}

/* The user's ids in other services; each is checked by itself, so that an error is about one. */
static void
read_identifiers(PersonReading *reading)
{
	JsonbBuild	all;
	bool		any = false;

	jb_init(&all);
	jb_begin_object(&all);
	for (int i = IMPORT_AMPLITUDE_USER_ID; i <= IMPORT_BRANCH_ID; i++)
	{
		JsonbBuild	one;

		if (reading->row->values[i] == NULL)
			continue;
		reading->at = i;
		jb_init(&one);
		jb_begin_object(&one);
		add_text(&one, reading->row, i, column_names[i]);
		jb_end_object(&one);
		read_part(reading, "integration_identifiers", jb_finish(&one));
		add_text(&all, reading->row, i, column_names[i]);
		any = true;
	}
	jb_end_object(&all);
	if (any)
		reading->person->identifiers = jb_finish(&all);
}

/* The attribution: which source, and what it says. */
static void
read_attribution(PersonReading *reading)
{
	static const char *const keys[] = {"status", "channel", "campaign", "ad_group", "ad_set", "creative"};
	const char *source = reading->row->values[IMPORT_ATTRIBUTION_SOURCE];
	JsonbBuild	jb;
	Jsonb	   *fields;

	for (int i = IMPORT_ATTRIBUTION_STATUS; i <= IMPORT_ATTRIBUTION_CREATIVE; i++)
		if (reading->row->values[i] != NULL && source == NULL)
		{
			reading->at = IMPORT_ATTRIBUTION_SOURCE;
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("missing value for \"%s\"", column_names[IMPORT_ATTRIBUTION_SOURCE]),
					 errdetail("An attribution is that of a source, for example \"appsflyer\".")));
		}
	if (source == NULL)
		return;
	for (int i = IMPORT_ATTRIBUTION_STATUS; i <= IMPORT_ATTRIBUTION_CREATIVE + 1; i++)
	{
		/* one by one for their errors, then all together */
		bool		all = i > IMPORT_ATTRIBUTION_CREATIVE;

		reading->at = all ? IMPORT_ATTRIBUTION_SOURCE : i;
		jb_init(&jb);
		jb_begin_object(&jb);
		jb_key(&jb, source);
		jb_begin_object(&jb);
		for (int j = IMPORT_ATTRIBUTION_STATUS; j <= IMPORT_ATTRIBUTION_CREATIVE; j++)
			if (all || i == j)
				add_text(&jb, reading->row, j, keys[j - IMPORT_ATTRIBUTION_STATUS]);
		jb_end_object(&jb);
		jb_end_object(&jb);
		fields = jb_finish(&jb);
		read_part(reading, "attributions", fields);
	}
	reading->person->attributions = reading->change.attributions;
}

/* A time of the user's; raises an error if it is something else. */
static TimestampTz
read_time(PersonReading *reading, ImportColumn column)
{
	TimestampTz time = import_row_time(reading->row, column);

	reading->at = column;
	if (reading->row->values[column] != NULL && !HAS_TIME(time))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for \"%s\": \"%s\"", column_names[column],
						reading->row->values[column]),
				 errdetail("The value must be an ISO 8601 date and time, such as \"2024-12-24T10:50:23Z\".")));
	return time;
}

/* The ids of the user's device, which are of any form. */
static char *
read_device_id(PersonReading *reading, ImportColumn column)
{
	char	   *id = reading->row->values[column];

	reading->at = column;
	if (id != NULL && strlen(id) > 64 && pg_mbstrlen(id) > 64)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for \"%s\"", column_names[column]),
				 errdetail("The value has %d characters; at most 64 are allowed.", pg_mbstrlen(id))));
	return id;
}

/* All that a row says of its user, by the readers of update_profile(): raises their errors. */
static void
read_person(void *state)
{
	static const char *const names[] = {"first_name", "last_name", "gender", "email", "phone_number",
	"birthday", "ip_country"};
	PersonReading *reading = (PersonReading *) state;
	ImportPerson *person = reading->person;
	char	  **texts[] = {&person->first_name, &person->last_name, &person->gender, &person->email,
	&person->phone_number, &person->birthday, &person->country};
	static const ImportColumn columns[] = {IMPORT_FIRST_NAME, IMPORT_LAST_NAME, IMPORT_GENDER,
	IMPORT_EMAIL, IMPORT_PHONE_NUMBER, IMPORT_BIRTHDAY, IMPORT_COUNTRY};

	person->created_at = read_time(reading, IMPORT_CREATED_AT);
	person->last_seen_at = read_time(reading, IMPORT_LAST_SEEN);
	for (int i = 0; i < (int) lengthof(names); i++)
	{
		/* defaults[] has these seven first, in this order */
		read_attribute(reading, columns[i], names[i]);
		*texts[i] = reading->change.defaults[i];
	}
	person->idfa = read_device_id(reading, IMPORT_IDFA);
	person->idfv = read_device_id(reading, IMPORT_IDFV);
	person->advertising_id = read_device_id(reading, IMPORT_ADVERTISING_ID);
	if (reading->row->values[IMPORT_STORE] != NULL)
		person->platform = strcmp(reading->row->values[IMPORT_STORE], "app_store") == 0 ? "iOS" :
			strcmp(reading->row->values[IMPORT_STORE], "play_store") == 0 ? "Android" : NULL;
	read_identifiers(reading);
	read_attribution(reading);
	reading->at = IMPORT_CUSTOM_ATTRIBUTES;
	if (reading->row->values[reading->at] != NULL)
	{
		char	   *json = dictionary_to_json(reading->row->values[reading->at]);

		read_part(reading, "custom_attributes",
				  DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json))));
		person->custom = reading->change.custom;
		if (JB_ROOT_COUNT(person->custom) > MAX_CUSTOM_ATTRIBUTES)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("there are too many custom attributes"),
					 errdetail("There are %d; at most %d are allowed.",
							   (int) JB_ROOT_COUNT(person->custom), MAX_CUSTOM_ATTRIBUTES)));
	}
}

/* See import_row.h. */
bool
import_row_read_person(const ImportRow *row, ImportPerson *person, ImportFault *fault)
{
	PersonReading reading = {.row = row, .person = person};

	memset(person, 0, sizeof(*person));
	if (read_carefully(read_person, &reading, fault))
		return true;
	fault->column = column_names[reading.at];
	/* The JSON parser's words differ from version to version, and few know them. */
	if (reading.at == IMPORT_CUSTOM_ATTRIBUTES && fault->sqlerrcode == ERRCODE_INVALID_TEXT_REPRESENTATION)
	{
		fault->reason = "invalid value for \"custom_attributes\"";
		fault->detail = "The value must be a dictionary, such as {'key': 'value', 'number': 1.0}, or a JSON object.";
	}
	return false;
}
