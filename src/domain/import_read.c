/*
 * import_read.c
 *		First step of a load: the rows of the file become sets of purchases, chains and people.
 *
 * One pass over import_transactions.  Users and chains get numbers here, so that later steps compare
 * integers.  A chain that two users claim, or a transaction that comes twice, is marked: such rows go
 * one by one later.  Chains and transactions are told apart by hashes with seeds that nobody knows: of
 * 128 bits for chains; of 64 for transactions, where a wrong guess only costs the slow way.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "port.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/plans.h"
#include "domain/identity.h"
#include "domain/import_load.h"
#include "domain/money.h"

#define FETCH_ROWS 500
#define MAX_ROWS INT32_MAX

/* ---- hash tables ---- */

typedef struct NameEntry
{
	char	   *name;
	int			number;
	uint32		hash;
	char		status;
} NameEntry;

#define SH_PREFIX names
#define SH_ELEMENT_TYPE NameEntry
#define SH_KEY_TYPE char *
#define SH_KEY name
#define SH_HASH_KEY(tb, key) hash_bytes((const unsigned char *) (key), (int) strlen(key))
#define SH_EQUAL(tb, a, b) (strcmp(a, b) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) ((a)->hash)
#define SH_SCOPE static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

typedef struct ChainKey
{
	uint64		half[2];
} ChainKey;

typedef struct ChainEntry
{
	ChainKey	key;
	int			chain_no;
	int			user_no;
	char		status;
} ChainEntry;

#define SH_PREFIX chain_hash
#define SH_ELEMENT_TYPE ChainEntry
#define SH_KEY_TYPE ChainKey
#define SH_KEY key
#define SH_HASH_KEY(tb, key) ((uint32) (key).half[0])
#define SH_EQUAL(tb, a, b) ((a).half[0] == (b).half[0] && (a).half[1] == (b).half[1])
#define SH_SCOPE static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

typedef struct TransactionEntry
{
	uint64		key;
	int			chain_no;
	char		status;
} TransactionEntry;

#define SH_PREFIX transaction_hash
#define SH_ELEMENT_TYPE TransactionEntry
#define SH_KEY_TYPE uint64
#define SH_KEY key
#define SH_HASH_KEY(tb, key) ((uint32) (key))
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

/* ---- the sets ---- */

static const RowSetColumn purchase_columns[] = {
	{"purchase_no", INT4OID}, {"chain_no", INT4OID}, {"user_no", INT4OID}, {"product_no", INT4OID},
	{"row_id", INT8OID}, {"line", INT8OID},
	{"purchased_at", TIMESTAMPTZOID}, {"originally_purchased_at", TIMESTAMPTZOID},
	{"expires_at", TIMESTAMPTZOID}, {"refunded_at", TIMESTAMPTZOID},
	{"renew_status_changed_at", TIMESTAMPTZOID}, {"billing_issue_detected_at", TIMESTAMPTZOID},
	{"grace_period_expires_at", TIMESTAMPTZOID}, {"paused_at", TIMESTAMPTZOID},
	{"resumes_at", TIMESTAMPTZOID},
	{"purchase_type", TEXTOID}, {"environment", TEXTOID}, {"offer_category", TEXTOID},
	{"offer_type", TEXTOID}, {"cancellation_reason", TEXTOID}, {"product_id", UUIDOID},
	{"renew_status", BOOLOID}, {"is_family_shared", BOOLOID}, {"store", TEXTOID},
	{"store_transaction_id", TEXTOID}, {"store_original_transaction_id", TEXTOID},
	{"store_product_id", TEXTOID}, {"store_base_plan_id", TEXTOID}, {"price_country", TEXTOID},
	{"price_currency", TEXTOID}, {"price_value", NUMERICOID}, {"variation_id", TEXTOID},
	{"offer_id", TEXTOID},
};

static const RowSetColumn chain_columns[] = {
	{"chain_no", INT4OID}, {"store", TEXTOID}, {"store_original_transaction_id", TEXTOID},
};

static const RowSetColumn person_columns[] = {
	{"user_no", INT4OID}, {"row_id", INT8OID}, {"last_seen_at", TIMESTAMPTZOID},
	{"first_name", TEXTOID}, {"last_name", TEXTOID}, {"gender", TEXTOID}, {"email", TEXTOID},
	{"phone_number", TEXTOID}, {"birthday", TEXTOID}, {"country", TEXTOID}, {"idfa", TEXTOID},
	{"idfv", TEXTOID}, {"advertising_id", TEXTOID}, {"platform", TEXTOID}, {"custom", JSONBOID},
	{"identifiers", JSONBOID}, {"attributions", JSONBOID},
};

static const RowSetColumn bad_columns[] = {
	{"row_id", INT8OID}, {"line", INT8OID}, {"column_name", TEXTOID}, {"reason", TEXTOID},
	{"detail", TEXTOID},
};

/* A row being put together, value by value. */
typedef struct RowBuild
{
	int			n;
	Datum		values[lengthof(purchase_columns)];
	bool		nulls[lengthof(purchase_columns)];
} RowBuild;

static void
put_datum(RowBuild *row, Datum value, bool isnull)
{
	row->values[row->n] = value;
	row->nulls[row->n] = isnull;
	row->n++;
}

static void
put_int(RowBuild *row, int value)
{
	put_datum(row, Int32GetDatum(value), false);
}

static void
put_time(RowBuild *row, TimestampTz value)
{
	put_datum(row, TimestampTzGetDatum(value), !HAS_TIME(value));
}

static void
put_text(RowBuild *row, const char *value)
{
	put_datum(row, value == NULL ? (Datum) 0 : CStringGetTextDatum(value), value == NULL);
}

static void
put_jsonb(RowBuild *row, Jsonb *value)
{
	put_datum(row, value == NULL ? (Datum) 0 : JsonbPGetDatum(value), value == NULL);
}

/* ---- reading ---- */

/* What reading needs besides the load. */
typedef struct Reading
{
	ImportLoad *load;
	MemoryContext row_context;	/* of one fetch */
	names_hash *users;
	names_hash *products;
	chain_hash_hash *chains;
	transaction_hash_hash *transactions;
	uint64		seeds[2];
	int			max_users;
	int			max_products;
	int			max_purchases;
	int			max_chains;
	int64		max_row_ids;
} Reading;

static SavedPlan rows_plan = {
	.name = "rows of an import",
	.sql = "SELECT t.row_id, t.line, " IMPORT_COLUMN_LIST " FROM adapty.import_transactions t WHERE t.import_id = $1",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {INT4OID},
};

static SavedPlan hold_product_plan = {
	.name = "hold product",
	.sql = "SELECT FROM adapty.products p WHERE p.product_id = $1 FOR KEY SHARE",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

/* Makes room for one more element of an array that grows. */
static void *
grow(ImportLoad *load, void *array, int64 n, int64 *max, Size size)
{
	if (array != NULL && n < *max)
		return array;
	*max = Max(1024, *max * 2);
	return array == NULL ? MemoryContextAllocHuge(load->context, *max * size) :
		repalloc_huge(array, *max * size);
}

#define GROW(array, n, max, type) \
	do { \
		int64		max_ = (max); \
		(array) = (type *) grow(load, (array), (n), &max_, sizeof(type)); \
		(max) = max_; \
	} while (0)

/* See import_load.h. */
void
import_reject(ImportLoad *load, int64 row_id, int64 line, const ImportFault *fault)
{
	RowBuild	row = {0};

	put_datum(&row, Int64GetDatum(row_id), false);
	put_datum(&row, Int64GetDatum(line), false);
	put_text(&row, fault->column);
	put_text(&row, fault->reason);
	put_text(&row, fault->detail);
	row_set_put(load->bad, row.values, row.nulls);
	load->rejected++;
}

/* The number of a user, who gets one if this is the first row. */
static int
user_number(Reading *reading, char *user_id)
{
	ImportLoad *load = reading->load;
	bool		found;
	NameEntry  *entry = names_insert(reading->users, user_id, &found);
	ImportUser *user;

	if (found)
		return entry->number;
	GROW(load->users, load->n_users, reading->max_users, ImportUser);
	user = &load->users[load->n_users];
	memset(user, 0, sizeof(*user));
	user->user_id = MemoryContextStrdup(load->context, user_id);
	user->created_at = user->first_purchase = NO_TIME;
	uuid_v7(&user->profile_id);
	entry->name = user->user_id;
	entry->number = load->n_users;
	return load->n_users++;
}

/* Looks up what a store product gives, and holds the product and its level against being deleted. */
static void
map_product(ImportLoad *load, ImportProduct *product)
{
	MemoryContext old = MemoryContextSwitchTo(load->context);

	product->is_mapped = product_of_store(product->store, product->store_product_id,
										  product->store_base_plan_id, &product->product);
	if (product->is_mapped)
	{
		Datum		value = UUIDPGetDatum(&product->product.product_id);

		product->is_mapped = plan_execute(&hold_product_plan, &value, NULL, false) > 0;
	}
	if (product->is_mapped && product->product.access_level_id != NULL)
		access_level_check(product->product.access_level_id);
	MemoryContextSwitchTo(old);
}

/* The number of a store product, which is looked up when it comes first. */
static int
product_number(Reading *reading, const TransactionReport *report)
{
	ImportLoad *load = reading->load;
	char	   *name = psprintf("%s\n%s\n%s", report->store, report->store_product_id,
								report->store_base_plan_id);
	bool		found;
	NameEntry  *entry = names_insert(reading->products, name, &found);
	ImportProduct *product;

	if (found)
		return entry->number;
	GROW(load->products, load->n_products, reading->max_products, ImportProduct);
	product = &load->products[load->n_products];
	memset(product, 0, sizeof(*product));
	product->store = MemoryContextStrdup(load->context, report->store);
	product->store_product_id = MemoryContextStrdup(load->context, report->store_product_id);
	product->store_base_plan_id = MemoryContextStrdup(load->context, report->store_base_plan_id);
	map_product(load, product);
	entry->name = MemoryContextStrdup(load->context, name);
	entry->number = load->n_products;
	return load->n_products++;
}

/* A hash of a store, an id, and what kind of id it is. */
static uint64
id_hash(const char *store, const char *id, uint64 seed)
{
	seed = hash_bytes_extended((const unsigned char *) store, (int) strlen(store), seed);
	return hash_bytes_extended((const unsigned char *) id, (int) strlen(id), seed);
}

/*
 * The number of a purchase's chain: all transactions of a subscription, or one one-time purchase.
 * Marked if another user has it too, or if a transaction of it was seen before.
 */
static int
chain_number(Reading *reading, const TransactionReport *report, int user_no)
{
	ImportLoad *load = reading->load;
	const char *id = report->is_subscription ? report->store_original_transaction_id : report->store_transaction_id;
	ChainKey	key;
	bool		found;
	ChainEntry *chain;
	TransactionEntry *transaction;

	for (int i = 0; i < 2; i++)
		key.half[i] = id_hash(report->store, id, reading->seeds[i] + (report->is_subscription ? 1 : 0));
	chain = chain_hash_insert(reading->chains, key, &found);
	if (!found)
	{
		GROW(load->chain_flags, load->n_chains, reading->max_chains, uint8);
		chain->chain_no = load->n_chains++;
		chain->user_no = user_no;
		load->chain_flags[chain->chain_no] = 0;
		if (report->is_subscription)
		{
			RowBuild	row = {0};

			put_int(&row, chain->chain_no);
			put_text(&row, report->store);
			put_text(&row, report->store_original_transaction_id);
			row_set_put(load->chains, row.values, row.nulls);
		}
	}
	else if (chain->user_no != user_no)
		load->chain_flags[chain->chain_no] |= CHAIN_IS_KNOWN;
	transaction = transaction_hash_insert(reading->transactions,
										  id_hash(report->store, report->store_transaction_id, reading->seeds[0] + 2),
										  &found);
	if (found)
	{
		load->chain_flags[transaction->chain_no] |= CHAIN_IS_KNOWN;
		load->chain_flags[chain->chain_no] |= CHAIN_IS_KNOWN;
		load->purchase_flags[load->n_purchases] |= PURCHASE_KNOWN;
	}
	else
		transaction->chain_no = chain->chain_no;
	return chain->chain_no;
}

/* Adds a purchase that was read. */
static void
add_purchase(Reading *reading, const TransactionReport *r, int user_no, int64 row_id, int64 line)
{
	ImportLoad *load = reading->load;
	ImportUser *user = &load->users[user_no];
	int			product_no = product_number(reading, r);
	ImportProduct *product = &load->products[product_no];
	RowBuild	row = {0};
	TimestampTz first;
	int			chain_no;

	GROW(load->purchase_flags, load->n_purchases, reading->max_purchases, uint8);
	load->purchase_flags[load->n_purchases] = 0;
	chain_no = chain_number(reading, r, user_no);
	if (r->is_subscription && may_be_after_first_year(&r->times, r->originally_purchased_at))
	{
		load->chain_flags[chain_no] |= CHAIN_IS_LONG;
		load->has_long_chains = true;
	}
	put_int(&row, load->n_purchases);
	put_int(&row, chain_no);
	put_int(&row, user_no);
	put_int(&row, product_no);
	put_datum(&row, Int64GetDatum(row_id), false);
	put_datum(&row, Int64GetDatum(line), false);
	put_time(&row, r->times.purchased_at);
	put_time(&row, r->originally_purchased_at);
	put_time(&row, r->times.expires_at);
	put_time(&row, r->times.refunded_at);
	put_time(&row, r->times.renew_status_changed_at);
	put_time(&row, r->times.billing_issue_detected_at);
	put_time(&row, r->times.grace_period_expires_at);
	put_time(&row, r->times.paused_at);
	put_time(&row, r->times.resumes_at);
	put_text(&row, r->is_subscription ? "subscription" : "one_time_purchase");
	put_text(&row, r->environment);
	put_text(&row, r->offer_category);
	put_text(&row, r->offer_type);
	put_text(&row, r->cancellation_reason);
	put_datum(&row, UUIDPGetDatum(&product->product.product_id), !product->is_mapped);
	put_datum(&row, BoolGetDatum(r->times.renew_status), !r->is_subscription);
	put_datum(&row, BoolGetDatum(r->is_family_shared), false);
	put_text(&row, r->store);
	put_text(&row, r->store_transaction_id);
	put_text(&row, r->store_original_transaction_id);
	put_text(&row, r->store_product_id);
	put_text(&row, r->store_base_plan_id);
	put_text(&row, r->price_country);
	put_text(&row, r->price_currency);
	put_datum(&row, NumericGetDatum(r->price_value), false);
	put_text(&row, r->variation_id);
	put_text(&row, r->offer_id);
	row_set_put(load->purchases, row.values, row.nulls);
	load->n_purchases++;
	first = Min(r->originally_purchased_at, r->times.purchased_at);
	if (!HAS_TIME(user->first_purchase) || first < user->first_purchase)
		user->first_purchase = first;
}

/* Adds what was read of a user. */
static void
add_person(ImportLoad *load, const ImportPerson *p, int user_no, int64 row_id)
{
	ImportUser *user = &load->users[user_no];
	RowBuild	row = {0};

	put_int(&row, user_no);
	put_datum(&row, Int64GetDatum(row_id), false);
	put_time(&row, p->last_seen_at);
	put_text(&row, p->first_name);
	put_text(&row, p->last_name);
	put_text(&row, p->gender);
	put_text(&row, p->email);
	put_text(&row, p->phone_number);
	put_text(&row, p->birthday);
	put_text(&row, p->country);
	put_text(&row, p->idfa);
	put_text(&row, p->idfv);
	put_text(&row, p->advertising_id);
	put_text(&row, p->platform);
	put_jsonb(&row, p->custom);
	put_jsonb(&row, p->identifiers);
	put_jsonb(&row, p->attributions);
	row_set_put(load->people, row.values, row.nulls);
	load->has_devices |= p->idfa != NULL || p->idfv != NULL || p->advertising_id != NULL;
	load->has_identifiers |= p->identifiers != NULL;
	load->has_attributions |= p->attributions != NULL;
	if (HAS_TIME(p->created_at) && (!HAS_TIME(user->created_at) || p->created_at < user->created_at))
		user->created_at = p->created_at;
}

/* Reads one row: all of it is right, or none of it counts. */
static void
read_row(Reading *reading, ImportRow *row, int64 row_id, int64 line)
{
	ImportLoad *load = reading->load;
	ImportFault fault = {0};
	TransactionReport *report = NULL;
	ImportPerson person;
	uint64		digest[2] = {0, 0};
	bool		has_purchase;
	bool		has_person = false;
	int			user_no;

	if (!import_row_check_user(row, &fault) || !import_row_derive(row, &has_purchase, &fault) ||
		(has_purchase && !import_row_read_purchase(row, &report, &fault)))
	{
		import_reject(load, row_id, line, &fault);
		return;
	}
	if (import_row_has_person(row))
	{
		NameEntry  *entry = names_lookup(reading->users, row->values[IMPORT_USER_ID]);

		/* Most files repeat what they know of a user in every row: it is read once. */
		import_row_person_digest(row, digest);
		has_person = entry == NULL || memcmp(load->users[entry->number].digest, digest, sizeof(digest)) != 0;
	}
	if (has_person && !import_row_read_person(row, &person, &fault))
	{
		import_reject(load, row_id, line, &fault);
		return;
	}
	user_no = user_number(reading, row->values[IMPORT_USER_ID]);
	if (has_person)
	{
		memcpy(load->users[user_no].digest, digest, sizeof(digest));
		add_person(load, &person, user_no, row_id);
	}
	if (has_purchase)
		add_purchase(reading, report, user_no, row_id, line);
	else
		load->without_purchase++;
}

/* Takes a fetched row apart and reads it.  An empty value is none. */
static void
take_row(Reading *reading, HeapTuple tuple, TupleDesc desc)
{
	ImportLoad *load = reading->load;
	Datum		values[N_IMPORT_COLUMNS + 2];
	bool		nulls[N_IMPORT_COLUMNS + 2];
	ImportRow	row;
	int64		row_id;

	heap_deform_tuple(tuple, desc, values, nulls);
	row_id = DatumGetInt64(values[0]);
	if (nulls[1])
	{
		GROW(load->row_ids, load->n_row_ids, reading->max_row_ids, int64);
		load->row_ids[load->n_row_ids++] = row_id;
	}
	for (int i = 0; i < N_IMPORT_COLUMNS; i++)
		row.values[i] = nulls[i + 2] || VARSIZE_ANY_EXHDR(DatumGetPointer(values[i + 2])) == 0 ? NULL :
			TextDatumGetCString(values[i + 2]);
	if (load->n_purchases == MAX_ROWS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("import %d has too many rows", load->import_id),
				 errhint("Split the file into several imports.")));
	read_row(reading, &row, row_id, nulls[1] ? 0 : DatumGetInt64(values[1]));
}

/* Makes the empty sets and tables. */
static void
begin(Reading *reading, ImportLoad *load)
{
	reading->load = load;
	load->purchases = import_set(load, "import_purchases", purchase_columns, lengthof(purchase_columns));
	load->chains = import_set(load, "import_chains", chain_columns, lengthof(chain_columns));
	load->people = import_set(load, "import_people", person_columns, lengthof(person_columns));
	load->bad = import_set(load, "import_bad", bad_columns, lengthof(bad_columns));
	reading->users = names_create(load->context, 1024, NULL);
	reading->products = names_create(load->context, 64, NULL);
	reading->chains = chain_hash_create(load->context, 1024, NULL);
	reading->transactions = transaction_hash_create(load->context, 1024, NULL);
	reading->row_context = AllocSetContextCreate(load->context, "adapty import rows", ALLOCSET_DEFAULT_SIZES);
	if (!pg_strong_random(reading->seeds, sizeof(reading->seeds)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
}

/* See import_load.h.  Reads what the snapshot shows. */
void
import_read(ImportLoad *load, Snapshot snapshot)
{
	Datum		value = Int32GetDatum(load->import_id);
	MemoryContext old = MemoryContextSwitchTo(load->context);
	Reading		reading = {0};
	Portal		portal;

	begin(&reading, load);
	portal = plan_open_cursor_once(&rows_plan, &value, snapshot);
	for (;;)
	{
		SPITupleTable *rows;
		uint64		n;

		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		rows = SPI_tuptable;
		n = SPI_processed;
		MemoryContextSwitchTo(reading.row_context);
		for (uint64 i = 0; i < n; i++)
		{
			CHECK_FOR_INTERRUPTS();
			take_row(&reading, rows->vals[i], rows->tupdesc);
		}
		MemoryContextReset(reading.row_context);
		SPI_freetuptable(rows);
		if (n == 0)
			break;
	}
	SPI_cursor_close(portal);
	MemoryContextSwitchTo(load->context);
	names_destroy(reading.users);
	names_destroy(reading.products);
	chain_hash_destroy(reading.chains);
	transaction_hash_destroy(reading.transactions);
	MemoryContextDelete(reading.row_context);
	row_set_register(load->purchases);
	row_set_register(load->chains);
	row_set_register(load->people);
	MemoryContextSwitchTo(old);
}
