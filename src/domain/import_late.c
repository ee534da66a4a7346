/*
 * import_late.c
 *		Last step of a load: purchases that meet what is known already, one by one.
 *
 * A chain that the database knows, a transaction that comes twice, a purchase that two users have:
 * what such a row means is the business of set_transaction(), so it is asked, in the order of time.
 * Without events it is asked to be silent; what had fallen due before, of all whom the purchase
 * concerns, is announced first, aloud.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "base/ext_state.h"
#include "base/plans.h"
#include "domain/event.h"
#include "domain/grant_row.h"
#include "domain/import_load.h"
#include "domain/sharing.h"
#include "domain/transaction.h"

#define FETCH_ROWS 500

/* A time of a row; NO_TIME for null. */
static TimestampTz
row_time_of(const Datum *values, const bool *nulls, int column)
{
	return nulls[column] ? NO_TIME : DatumGetTimestampTz(values[column]);
}

/* A text of a row, copied; NULL for null. */
static char *
row_text_of(const Datum *values, const bool *nulls, int column)
{
	return nulls[column] ? NULL : TextDatumGetCString(values[column]);
}

/* A label of a row; NULL for null. */
static const char *
row_label_of(const Datum *values, const bool *nulls, int column, AdaptyEnum type)
{
	return nulls[column] ? NULL : enum_label(type, enum_value(type, values[column]));
}

/* See import_load.h. */
TransactionReport *
import_report(const Datum *values, const bool *nulls)
{
	TransactionReport *r = palloc0(sizeof(TransactionReport));
	ChainTransaction *t = &r->times;

	r->is_subscription = !nulls[TX_EXPIRES_AT];
	r->is_family_shared = DatumGetBool(values[TX_IS_FAMILY_SHARED]);
	r->environment = row_text_of(values, nulls, TX_ENVIRONMENT_TEXT);
	r->store = row_text_of(values, nulls, TX_STORE);
	r->store_product_id = row_text_of(values, nulls, TX_STORE_PRODUCT_ID);
	r->store_base_plan_id = row_text_of(values, nulls, TX_STORE_BASE_PLAN_ID);
	r->store_transaction_id = row_text_of(values, nulls, TX_STORE_TRANSACTION_ID);
	r->store_original_transaction_id = row_text_of(values, nulls, TX_STORE_ORIGINAL_TRANSACTION_ID);
	r->price_country = row_text_of(values, nulls, TX_PRICE_COUNTRY);
	r->price_currency = row_text_of(values, nulls, TX_PRICE_CURRENCY);
	r->price_value = DatumGetNumericCopy(values[TX_PRICE_VALUE]);
	r->variation_id = row_text_of(values, nulls, TX_VARIATION_ID);
	r->offer_category = row_label_of(values, nulls, TX_OFFER_CATEGORY, ENUM_OFFER_CATEGORY);
	r->offer_type = row_label_of(values, nulls, TX_OFFER_TYPE, ENUM_OFFER_TYPE);
	r->offer_id = row_text_of(values, nulls, TX_OFFER_ID);
	r->cancellation_reason = row_label_of(values, nulls, TX_CANCELLATION_REASON, ENUM_CANCELLATION_REASON);
	r->originally_purchased_at = DatumGetTimestampTz(values[TX_ORIGINALLY_PURCHASED_AT]);
	t->purchased_at = DatumGetTimestampTz(values[TX_PURCHASED_AT]);
	t->expires_at = row_time_of(values, nulls, TX_EXPIRES_AT);
	t->refunded_at = row_time_of(values, nulls, TX_REFUNDED_AT);
	t->renew_status_changed_at = row_time_of(values, nulls, TX_RENEW_STATUS_CHANGED_AT);
	t->billing_issue_detected_at = row_time_of(values, nulls, TX_BILLING_ISSUE_DETECTED_AT);
	t->grace_period_expires_at = row_time_of(values, nulls, TX_GRACE_PERIOD_EXPIRES_AT);
	t->paused_at = row_time_of(values, nulls, TX_PAUSED_AT);
	t->resumes_at = row_time_of(values, nulls, TX_RESUMES_AT);
	t->renew_status = !nulls[TX_RENEW_STATUS] && DatumGetBool(values[TX_RENEW_STATUS]);
	r->reported_at = NO_TIME;
	transaction_report_derive(r);
	return r;
}

static SavedPlan late_plan = {
	.name = "late purchases of an import",
	.sql = "SELECT * FROM import_late l ORDER BY l.purchased_at, l.expires_at, l.row_id",
	.expected = SPI_OK_SELECT,
};

/* Announces what fell due of a profile's grants. */
static void
announce_grants(const LockedProfile *profile)
{
	GrantGroup	all = {0};

	grant_load(&profile->profile_id, NULL, &all);
	for (int i = 0; i < all.n; i++)
	{
		GrantGroup	level = {0};
		bool		is_done = false;

		for (int j = 0; j < i && !is_done; j++)
			is_done = strcmp(all.grants[j].access_level_id, all.grants[i].access_level_id) == 0;
		if (is_done)
			continue;
		grant_load(&profile->profile_id, all.grants[i].access_level_id, &level);
		grant_apply(profile, &level, NULL, 0);
	}
}

/* Announces what fell due of all whom a purchase concerns, and of its chain. */
static void
announce_due(const ImportUser *user, const TransactionReport *report)
{
	static const pg_uuid_t nobody = {{0}};
	PurchasePeople people = {0};
	LockedProfile profile;
	Chain		chain;

	purchase_people_load(report, &people);
	if (!user->is_new && profile_lock(&user->profile_id, false, NULL, &profile))
		announce_grants(&profile);
	for (int i = 0; i < people.n; i++)
		if (profile_lock(&people.inheritors[i].profile_id, false, NULL, &profile))
			announce_grants(&profile);
	if (!people.has_parent || memcmp(&people.parent, &nobody, UUID_LEN) == 0 ||
		!profile_lock(&people.parent, false, NULL, &profile))
		return;
	announce_grants(&profile);
	if (report->is_subscription &&
		chain_load(&people.parent, report->store, report->store_original_transaction_id, &chain))
		chain_announce_end(&profile, &chain, NULL, true);
}

/* Is an error about the row, and no reason to give up the load? */
static bool
is_rows_fault(int sqlerrcode)
{
	int			category = ERRCODE_TO_CATEGORY(sqlerrcode);

	return category == ERRCODE_DATA_EXCEPTION || category == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION ||
		category == ERRCODE_PROGRAM_LIMIT_EXCEEDED || category == MAKE_SQLSTATE('P', 'T', '0', '0', '0');
}

/* Records one row in a subtransaction; false and *fault if it was refused. */
static bool
record(ImportLoad *load, const ImportUser *user, const TransactionReport *report, ImportFault *fault)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool done = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		if (!load->with_events)
		{
			announce_due(user, report);
			event_silence_begin();
		}
		if (!transaction_record(&user->profile_id, report, load->actor))
			elog(ERROR, "a locked profile is gone");
		event_silence_end();
		ReleaseCurrentSubTransaction();
		done = true;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		event_silence_end();
		if (!is_rows_fault(error->sqlerrcode))
			PG_RE_THROW();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		fault->column = error->column_name;
		fault->reason = error->message;
		fault->detail = error->detail;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return done;
}

/* Records a row of the set. */
static void
record_row(ImportLoad *load, const Datum *values, const bool *nulls)
{
	int			purchase_no = DatumGetInt32(values[TX_PURCHASE_NO]);
	ImportFault fault = {0};

	if (!record(load, &load->users[DatumGetInt32(values[TX_USER_NO])], import_report(values, nulls), &fault))
	{
		import_reject(load, DatumGetInt64(values[TX_ROW_ID]), DatumGetInt64(values[TX_LINE]), &fault);
		return;
	}
	if (load->purchase_flags[purchase_no] & PURCHASE_KNOWN)
		load->known++;
	else
		load->loaded++;
	import_accept(load, DatumGetInt32(values[TX_PRODUCT_NO]));
}

/* Records all rows of the set, in the order of time. */
static void
record_rows(ImportLoad *load, MemoryContext context)
{
	Portal		portal = plan_open_cursor_once(&late_plan, NULL, NULL);

	for (;;)
	{
		SPITupleTable *rows;
		uint64		n;

		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		n = SPI_processed;
		rows = SPI_tuptable;
		for (uint64 i = 0; i < n; i++)
		{
			Datum		values[N_IMPORT_TX_COLUMNS];
			bool		nulls[N_IMPORT_TX_COLUMNS];
			MemoryContext old = MemoryContextSwitchTo(context);

			CHECK_FOR_INTERRUPTS();
			heap_deform_tuple(rows->vals[i], rows->tupdesc, values, nulls);
			record_row(load, values, nulls);
			MemoryContextSwitchTo(old);
			MemoryContextReset(context);
		}
		SPI_freetuptable(rows);
		if (n == 0)
			break;
	}
	SPI_cursor_close(portal);
}

/* See import_load.h.  A warning a row would say again and again what the load says once at its end. */
void
import_late(ImportLoad *load)
{
	MemoryContext context;
	int			guc_level;

	if (load->late == NULL)
		return;
	CommandCounterIncrement();
	row_set_register(load->late);
	context = AllocSetContextCreate(load->context, "adapty import row", ALLOCSET_DEFAULT_SIZES);
	guc_level = NewGUCNestLevel();
	(void) set_config_option("client_min_messages", "error", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("log_min_messages", "error", PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	record_rows(load, context);
	AtEOXact_GUC(false, guc_level);
	MemoryContextDelete(context);
}
