/*
 * import_load.h
 *		Loading an import: what the steps share.  Inner interface of the files import_*.c.
 *
 * The steps, each over the whole import:
 *		import_read.c	rows of the file become purchases and people; what is wrong is set aside
 *		import_people.c	users get profiles, and are locked; profile data
 *		import_chain.c	purchases of chains that are new: transactions, subscriptions, access
 *		import_late.c	the rest, one by one, as set_transaction() does
 */
#ifndef ADAPTY_IMPORT_LOAD_H
#define ADAPTY_IMPORT_LOAD_H

#include "postgres.h"

#include "base/row_set.h"
#include "nodes/pg_list.h"
#include "domain/grant.h"
#include "domain/import_row.h"
#include "domain/product.h"
#include "utils/snapshot.h"

/* A user of the file; the number is the place in the array. */
typedef struct ImportUser
{
	pg_uuid_t	profile_id;		/* to be made, until it is known that there is one */
	bool		is_new;			/* made by this load */
	bool		is_resolved;
	TimestampTz created_at;		/* the earliest in the file, or NO_TIME */
	TimestampTz first_purchase; /* the same */
	int64		test_clock_offset;
	uint64		digest[2];		/* of the profile data read last */
	char	   *user_id;
} ImportUser;

/* A store product of the file. */
typedef struct ImportProduct
{
	bool		is_mapped;
	bool		is_reported;	/* that it is not mapped */
	Product		product;		/* if it is mapped */
	int64		n_unmapped;		/* rows that give nothing */
	char	   *store;
	char	   *store_product_id;
	char	   *store_base_plan_id;
} ImportProduct;

/* What is known of a purchase, and of its chain. */
#define PURCHASE_KNOWN		0x01	/* its transaction is there already, or twice in the file */
#define PURCHASE_UNCHANGED	0x02	/* and the row has nothing new */
#define CHAIN_IS_KNOWN		0x04	/* not new, or of several users: one by one */
#define CHAIN_IS_LONG		0x08	/* has a payment that may be after its first year */

typedef struct ImportLoad
{
	MemoryContext context;		/* of all that lives to the end */
	List	   *sets;			/* all that were made */
	int32		import_id;
	bool		with_events;
	char	   *actor;
	TimestampTz now;			/* after the profiles are locked */

	ImportUser *users;
	int			n_users;
	ImportProduct *products;
	int			n_products;
	uint8	   *purchase_flags;
	int			n_purchases;
	uint8	   *chain_flags;
	int			n_chains;
	int64	   *row_ids;		/* of the rows without a line */
	int64		n_row_ids;
	bool		has_long_chains;
	bool		has_devices;	/* what there is among people */
	bool		has_identifiers;
	bool		has_attributions;

	RowSet	   *purchases;		/* import_purchases */
	RowSet	   *chains;			/* import_chains */
	RowSet	   *people;			/* import_people */
	RowSet	   *bad;			/* import_bad */
	RowSet	   *late;			/* import_late: as import_chain.c selects them */

	/* the result */
	int64		loaded;
	int64		known;
	int64		without_purchase;
	int64		rejected;
	int64		unmapped;
	int64		profiles_created;
	int64		without_rate;	/* transactions that have no price in US dollars */
} ImportLoad;

/* An empty set in the load's context, dropped at its end; the second with the columns of a descriptor. */
extern RowSet *import_set(ImportLoad *load, const char *name, const RowSetColumn *columns, int n_columns);
extern RowSet *import_set_like(ImportLoad *load, const char *name, TupleDesc desc);

/* Sets a row aside.  line 0 is not known yet. */
extern void import_reject(ImportLoad *load, int64 row_id, int64 line, const ImportFault *fault);

/* The steps, in their order.  Inside the scope of load_import(). */
extern void import_read(ImportLoad *load, Snapshot snapshot);
extern void import_people(ImportLoad *load);
extern void import_find_known(ImportLoad *load);
extern void import_chains(ImportLoad *load);
extern void import_late(ImportLoad *load);

/*
 * For statements that join sets with one another: no nested loops, which an estimate of one row, where
 * there are a million, would ask for.  AtEOXact_GUC(false, result) ends it.
 */
extern int	import_sets_only(void);

/* Notes that a purchase was accepted: counts what gives no access. */
extern void import_accept(ImportLoad *load, int product_no);

/* A user of the file as a locked profile. */
extern void import_locked_profile(const ImportLoad *load, const ImportUser *user, LockedProfile *profile);

/* Columns of the rows that import_chain.c selects, from 0: first those of transactions, in order. */
typedef enum ImportTransactionColumn
{
	TX_PROFILE_ID,
	TX_PURCHASED_AT,
	TX_ORIGINALLY_PURCHASED_AT,
	TX_EXPIRES_AT,
	TX_REFUNDED_AT,
	TX_RENEW_STATUS_CHANGED_AT,
	TX_BILLING_ISSUE_DETECTED_AT,
	TX_GRACE_PERIOD_EXPIRES_AT,
	TX_PAUSED_AT,
	TX_RESUMES_AT,
	TX_REPORTED_AT,
	TX_RECORDED_AT,
	TX_UPDATED_AT,
	TX_PURCHASE_TYPE,
	TX_ENVIRONMENT,
	TX_OFFER_CATEGORY,
	TX_OFFER_TYPE,
	TX_CANCELLATION_REASON,
	TX_PURCHASE_ID,
	TX_PRODUCT_ID,
	TX_RENEW_STATUS,
	TX_IS_FAMILY_SHARED,
	TX_STORE,
	TX_STORE_TRANSACTION_ID,
	TX_STORE_ORIGINAL_TRANSACTION_ID,
	TX_STORE_PRODUCT_ID,
	TX_STORE_BASE_PLAN_ID,
	TX_PRICE_COUNTRY,
	TX_PRICE_CURRENCY,
	TX_PRICE_VALUE,
	TX_PRICE_USD,
	TX_VARIATION_ID,
	TX_OFFER_ID,
	TX_COMMISSION_RATE,
	TX_TAX_RATE,
	TX_IS_AFTER_FIRST_YEAR,
	N_TX_COLUMNS,
	TX_PURCHASE_NO = N_TX_COLUMNS,
	TX_CHAIN_NO,
	TX_USER_NO,
	TX_PRODUCT_NO,
	TX_ROW_ID,
	TX_LINE,
	TX_ENVIRONMENT_TEXT,
	TX_REVENUE,
	N_IMPORT_TX_COLUMNS
} ImportTransactionColumn;

/* A row of import_chain.c as a report; its strings are copied into the current memory context. */
extern TransactionReport *import_report(const Datum *values, const bool *nulls);

#endif							/* ADAPTY_IMPORT_LOAD_H */
