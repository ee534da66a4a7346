/*
 * import_chain.c
 *		Third step of a load: what is known already of the purchases, and chains that are new.
 *
 * All purchases are read once, sorted by profile, chain and time.  Rows of a chain that is new to the
 * database go straight into transactions; at the end of a chain its state and its access follow from
 * its rows, by the functions that set_transaction() uses, and at the end of a profile its own state.
 * Everything else is kept for import_late.c.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "base/direct.h"
#include "base/ext_state.h"
#include "base/plans.h"
#include "domain/access.h"
#include "domain/environment.h"
#include "domain/event.h"
#include "domain/grant_row.h"
#include "domain/import_load.h"
#include "domain/money.h"
#include "domain/purchase_event.h"
#include "domain/subscription.h"
#include "domain/subscription_timer.h"

#define FETCH_ROWS 500

/* The columns of transactions in order, and their values from import_purchases p and import_profiles u. */
#define TRANSACTION_COLUMNS \
	"profile_id, purchased_at, originally_purchased_at, expires_at, refunded_at, " \
	"renew_status_changed_at, billing_issue_detected_at, grace_period_expires_at, " \
	"paused_at, resumes_at, reported_at, recorded_at, updated_at, purchase_type, environment, offer_category, offer_type, cancellation_reason, " \
	"purchase_id, product_id, renew_status, is_family_shared, store, store_transaction_id, " \
	"store_original_transaction_id, store_product_id, store_base_plan_id, price_country, " \
	"price_currency, price_value, price_usd, variation_id, offer_id, commission_rate, tax_rate, " \
	"is_after_first_year"

#define TRANSACTION_VALUES \
	"u.profile_id, p.purchased_at, p.originally_purchased_at, p.expires_at, p.refunded_at, " \
	"p.renew_status_changed_at, p.billing_issue_detected_at, p.grace_period_expires_at, " \
	"p.paused_at, p.resumes_at, NULL::timestamptz AS reported_at, " \
	"pg_catalog.now() AS recorded_at, pg_catalog.now() AS updated_at, " \
	"p.purchase_type::adapty.purchase_type, p.environment::adapty.environment, " \
	"p.offer_category::adapty.offer_category, p.offer_type::adapty.offer_type, " \
	"p.cancellation_reason::adapty.cancellation_reason, pg_catalog.gen_random_uuid() AS purchase_id, " \
	"p.product_id, p.renew_status, p.is_family_shared, p.store, p.store_transaction_id, " \
	"p.store_original_transaction_id, p.store_product_id, p.store_base_plan_id, p.price_country, " \
	"p.price_currency, p.price_value, " \
	PRICE_USD("p.price_value", "p.price_currency", "p.purchased_at") " AS price_usd, " \
	"p.variation_id, p.offer_id, " \
	COMMISSION_RATE("p.store", "p.purchase_type::adapty.purchase_type", "p.price_country", \
					"p.purchased_at", "f.purchase_no IS NOT NULL") " AS commission_rate, " \
	TAX_RATE("p.store", "p.price_country", "p.purchased_at") " AS tax_rate, " \
	"f.purchase_no IS NOT NULL AS is_after_first_year"

#define PURCHASES "FROM import_purchases p JOIN import_profiles u ON u.user_no = p.user_no "
#define FIRST_YEAR "LEFT JOIN import_after_first_year f ON f.purchase_no = p.purchase_no "

/* What a report may change of a transaction: if it is all the same, a row has nothing new. */
#define REPORTED(alias) \
	alias "purchased_at, " alias "originally_purchased_at, " alias "expires_at, " \
	alias "renew_status_changed_at, " alias "billing_issue_detected_at, " \
	alias "grace_period_expires_at, " alias "paused_at, " alias "resumes_at, " alias "product_id, " alias "renew_status, " \
	alias "is_family_shared, " alias "price_value, " alias "environment::text, " \
	alias "offer_category::text, " alias "offer_type::text, " alias "store_original_transaction_id, " \
	alias "store_product_id, " alias "store_base_plan_id, " alias "price_country::text, " \
	alias "price_currency::text, " alias "variation_id, " alias "offer_id"

/* A refund stays if the row does not know of it. */
static SavedPlan known_plan = {
	.name = "known transactions of an import",
	.sql = "SELECT p.purchase_no, p.chain_no, t.profile_id = u.profile_id "
	"    AND ROW(" REPORTED("t.") ") IS NOT DISTINCT FROM ROW(" REPORTED("p.") ") "
	"    AND (t.refunded_at IS NOT DISTINCT FROM p.refunded_at "
	"        AND t.cancellation_reason::text IS NOT DISTINCT FROM p.cancellation_reason "
	"        OR t.refunded_at IS NOT NULL AND p.refunded_at IS NULL AND p.cancellation_reason IS NULL "
	"            AND t.cancellation_reason = 'refund'::adapty.cancellation_reason) "
	PURCHASES "JOIN adapty.transactions t ON t.store = p.store AND t.store_transaction_id = p.store_transaction_id",
	.expected = SPI_OK_SELECT,
};

static SavedPlan known_chains_plan = {
	.name = "known chains of an import",
	.sql = "SELECT c.chain_no FROM import_chains c JOIN adapty.subscriptions s ON s.store = c.store "
	"AND s.store_original_transaction_id = c.store_original_transaction_id",
	.expected = SPI_OK_SELECT,
};

static SavedPlan by_chain_plan = {
	.name = "purchases of an import by chain",
	.sql = "SELECT t.*, CASE WHEN " IS_REVENUE " THEN t.price_usd END FROM (SELECT " TRANSACTION_VALUES ", "
	"    p.purchase_no, p.chain_no, p.user_no, p.product_no, p.row_id, p.line, "
	"    p.environment AS environment_text " PURCHASES FIRST_YEAR ") t "
	"ORDER BY t.profile_id, t.chain_no, t.purchased_at, t.expires_at, t.store_transaction_id COLLATE \"C\"",
	.expected = SPI_OK_SELECT,
};

static SavedPlan insert_plan = {
	.name = "transactions of an import",
	.sql = "INSERT INTO adapty.transactions (" TRANSACTION_COLUMNS ") SELECT " TRANSACTION_VALUES " "
	PURCHASES FIRST_YEAR "JOIN import_placed l ON l.purchase_no = p.purchase_no "
	"ORDER BY u.profile_id, p.chain_no, p.purchased_at",
	.expected = SPI_OK_INSERT,
};

/*
 * Only chains of which a payment may be after the first year are looked at.  A purchase's number
 * passes through in the place of its id.
 */
static SavedPlan first_years_plan = {
	.name = "first years of an import",
	.sql = "SELECT y.store_transaction_id FROM (" FIRST_YEARS(
		"SELECT u.profile_id, p.store, p.store_original_transaction_id, p.purchase_no AS store_transaction_id, "
		"    p.purchased_at, p.originally_purchased_at, COALESCE(p.offer_type = 'free_trial', false) AS is_trial, "
		"    GREATEST(p.expires_at, CASE WHEN p.billing_issue_detected_at IS NOT NULL "
		"        THEN p.grace_period_expires_at END) AS ends_at "
		PURCHASES "JOIN import_long_chains l ON l.chain_no = p.chain_no") ") y WHERE y.is_after_first_year",
	.expected = SPI_OK_SELECT,
};

static const RowSetColumn long_columns[] = {{"chain_no", INT4OID}};
static const RowSetColumn placed_columns[] = {{"purchase_no", INT4OID}};
static const RowSetColumn state_columns[] = {
	{"profile_id", UUIDOID}, {"state", TEXTOID}, {"total_revenue_usd", NUMERICOID},
};

/* A transaction of a chain being read: what it gave, and until when if no other took its place. */
typedef struct NewRow
{
	const char *access_level_id;	/* NULL for none */
	TimestampTz purchased_at;
	TimestampTz access_end;
} NewRow;

/* A chain being read: of its rows so far, in the order of time. */
typedef struct NewChain
{
	bool		is_open;
	int			chain_no;
	bool		is_subscription;
	bool		is_trial;		/* its first transaction */
	TimestampTz began_at;
	Chain		chain;			/* of a subscription */
	char	   *source_id;
	int			n;
	int			max;
	NewRow	   *rows;
	int			n_grants;
	GrantChange *grants;		/* one a level; room for max */
	const char **levels;		/* of the grants */
} NewChain;

/* The walk over all purchases. */
typedef struct Walk
{
	ImportLoad *load;
	bool		is_direct;		/* rows are inserted without the executor */
	int			natts;			/* of transactions */
	MemoryContext profile_context;
	ImportUser *user;			/* the profile being read; NULL before the first */
	LockedProfile profile;
	bool		has_new;		/* the profile has a chain that is new */
	GrantGroup	grants;			/* of the profile */
	int			rank;			/* of its state */
	SubscriptionState state;
	Numeric		revenue;
	NewChain	chain;
	bool		wants_active[2][2]; /* by Sandbox and trial: is there a synthetic event to wait for? */
	RowSet	   *newest;			/* import_new_chains */
	RowSet	   *states;			/* import_states: of new profiles */
	RowSet	   *placed;			/* import_placed: what is to be inserted by the executor */
	int		   *to_refresh;		/* numbers of users that were there before */
	int			n_to_refresh;
	Datum	   *values;			/* rows of one fetch to be inserted */
	bool	   *nulls;
	int			n;
} Walk;

/* ---- what is known ---- */

/* See import_load.h. */
void
import_find_known(ImportLoad *load)
{
	TupleDesc	desc;
	bool		isnull;
	uint64		n = plan_execute_once(&known_plan, NULL, NULL);

	desc = SPI_tuptable->tupdesc;
	for (uint64 i = 0; i < n; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		int			purchase_no = DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull));

		load->purchase_flags[purchase_no] |= PURCHASE_KNOWN;
		if (DatumGetBool(SPI_getbinval(row, desc, 3, &isnull)))
			load->purchase_flags[purchase_no] |= PURCHASE_UNCHANGED;
		load->chain_flags[DatumGetInt32(SPI_getbinval(row, desc, 2, &isnull))] |= CHAIN_IS_KNOWN;
	}
	SPI_freetuptable(SPI_tuptable);
	n = plan_execute_once(&known_chains_plan, NULL, NULL);
	desc = SPI_tuptable->tupdesc;
	for (uint64 i = 0; i < n; i++)
		load->chain_flags[DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i], desc, 1, &isnull))] |= CHAIN_IS_KNOWN;
	SPI_freetuptable(SPI_tuptable);
}

/* See import_load.h. */
void
import_accept(ImportLoad *load, int product_no)
{
	if (load->products[product_no].is_mapped)
		return;
	load->products[product_no].n_unmapped++;
	load->unmapped++;
}

/* ---- one chain ---- */

/* Makes room for one more row of a chain, and for its grant. */
static void
chain_grow(NewChain *chain)
{
	int			max = Max(8, chain->max * 2);

	if (chain->n < chain->max)
		return;
	if (chain->max == 0)
	{
		chain->rows = palloc(max * sizeof(NewRow));
		chain->grants = palloc0(max * sizeof(GrantChange));
		chain->levels = palloc(max * sizeof(char *));
	}
	else
	{
		chain->rows = repalloc(chain->rows, max * sizeof(NewRow));
		chain->grants = repalloc(chain->grants, max * sizeof(GrantChange));
		chain->levels = repalloc(chain->levels, max * sizeof(char *));
	}
	chain->max = max;
}

/*
 * Until when a chain gave a level that its newest row does not give: each row gives until its end or
 * the next purchase.  As chain_former_levels() has it.
 */
static TimestampTz
former_end(const NewChain *chain, const char *access_level_id)
{
	TimestampTz end = NO_TIME;

	for (int i = 0; i < chain->n - 1; i++)
		if (chain->rows[i].access_level_id != NULL &&
			strcmp(chain->rows[i].access_level_id, access_level_id) == 0)
			end = Max(end, Min(chain->rows[i].access_end, chain->rows[i + 1].purchased_at));
	return end;
}

/*
 * What the newest row of a chain gives, and what is left of other levels that the chain gave: the
 * same as purchase_access_put() does with each in its turn.
 */
static void
chain_give(NewChain *chain, GrantSource source, TimestampTz starts_at, bool revoked, TimestampTz now)
{
	const NewRow *newest = &chain->rows[chain->n - 1];
	GrantChange *grant = NULL;

	for (int i = 0; i < chain->n_grants; i++)
	{
		GrantChange *other = &chain->grants[i];
		TimestampTz end;

		if (strcmp(chain->levels[i], newest->access_level_id) == 0)
		{
			grant = other;
			continue;
		}
		end = Max(former_end(chain, chain->levels[i]), other->starts_at);
		if (other->expires_at <= end && (end <= now || other->expires_at == end))
			continue;
		other->expires_at = end;
		other->revoked = true;
	}
	if (grant == NULL)
	{
		chain->levels[chain->n_grants] = newest->access_level_id;
		grant = &chain->grants[chain->n_grants++];
		memset(grant, 0, sizeof(*grant));
	}
	grant->source = source;
	grant->source_id = chain->source_id;
	grant->starts_at = starts_at;
	grant->expires_at = Max(starts_at, newest->access_end);
	grant->revoked = revoked;
}

/* The next transaction of a chain, in the order of time. */
static void
chain_add(Walk *walk, const TransactionReport *t, const ImportProduct *product)
{
	NewChain   *new = &walk->chain;
	Chain	   *chain = &new->chain;
	TimestampTz first = Min(t->times.purchased_at, t->originally_purchased_at);
	NewRow	   *row;

	if (new->n == 0)
	{
		new->is_trial = t->times.is_trial;
		new->began_at = t->times.purchased_at;
		new->source_id = purchase_source_id(t->store, t->is_subscription ?
											t->store_original_transaction_id : t->store_transaction_id);
		chain->profile_id = walk->profile.profile_id;
		chain->store = t->store;
		chain->store_original_transaction_id = t->store_original_transaction_id;
		chain->starts_at = t->is_subscription ? first : t->times.purchased_at;
		chain->expiry_announced_at = NO_TIME;
	}
	chain->starts_at = Min(chain->starts_at, first);
	chain->renewal_cancelled_at = NO_TIME;
	chain_take(chain, t, product->is_mapped ? &product->product.product_id : NULL);
	chain_grow(new);
	row = &new->rows[new->n++];
	row->access_level_id = product->is_mapped && !product->product.is_consumable ?
		product->product.access_level_id : NULL;
	row->purchased_at = t->times.purchased_at;
	row->access_end = t->is_subscription ? chain_access_end(&t->times) :
		HAS_TIME(t->times.refunded_at) ? t->times.refunded_at : DT_NOEND;
	if (row->access_level_id != NULL)
		chain_give(new, t->is_subscription ? GRANT_SOURCE_SUBSCRIPTION : GRANT_SOURCE_ONE_TIME_PURCHASE,
				   chain->starts_at, HAS_TIME(t->times.refunded_at), walk->profile.profile_now);
}

/* Puts a chain's grant among those of the profile.  It is announced by this: its state is that of now. */
static void
put_grant(Walk *walk, const char *access_level_id, const GrantChange *change)
{
	const LockedProfile *profile = &walk->profile;
	AccessGrant *grant = NULL;

	for (int i = 0; i < walk->grants.n && grant == NULL; i++)
	{
		AccessGrant *other = &walk->grants.grants[i];

		if (other->source == change->source && strcmp(other->source_id, change->source_id) == 0 &&
			strcmp(other->access_level_id, access_level_id) == 0)
			grant = other;
	}
	if (grant == NULL)
	{
		grant = grant_group_add(&walk->grants);
		grant->profile_id = profile->profile_id;
		grant->access_level_id = pstrdup(access_level_id);
		grant->source = change->source;
		grant->source_id = pstrdup(change->source_id);
		grant->granted_at = profile->now;
	}
	grant->starts_at = change->starts_at;
	grant->expires_at = change->expires_at;
	grant->revoked_at = change->revoked ? profile->now : DT_NOBEGIN;
	grant->test_clock_offset = profile->test_clock_offset;
	grant->updated_at = profile->now;
	grant->actor = walk->load->actor;
	grant->reason = NULL;
	grant->state = access_state_at(grant, profile->profile_now);
	grant->is_dirty = true;
}

/* The timers of a chain, as far as they are still to come. */
static void
chain_timers(Walk *walk)
{
	const NewChain *new = &walk->chain;
	const Chain *chain = &new->chain;
	bool		is_sandbox = strcmp(chain->newest.environment, "Sandbox") == 0;
	TimestampTz active_at;

	chain_set_timers(&walk->profile, chain, new->rows[new->n - 1].access_level_id != NULL);
	if (walk->wants_active[is_sandbox][new->is_trial] &&
		environment_active_at(chain->newest.environment, new->is_trial, new->began_at, &active_at) &&
		active_at > walk->profile.profile_now)
		chain_set_active_timer(&walk->profile, chain, new->is_trial, new->began_at);
}

/* The end of a chain: its state is that of its newest transaction; that it is over is known. */
static void
chain_close(Walk *walk)
{
	NewChain   *new = &walk->chain;
	Chain	   *chain = &new->chain;
	TimestampTz now = walk->profile.profile_now;
	SubscriptionState state;
	int			rank;

	if (!new->is_open)
		return;
	new->is_open = false;
	for (int i = 0; i < new->n_grants; i++)
		put_grant(walk, new->levels[i], &new->grants[i]);
	if (!new->is_subscription)
		return;
	chain_announce_end(&walk->profile, chain, NULL, false);
	state = lifecycle_subscription_state(chain_state(chain, now), chain_access_end(&chain->newest.times) <= now, &rank);
	if (rank < walk->rank)
	{
		walk->rank = rank;
		walk->state = state;
	}
	chain_timers(walk);
	chain_put(walk->newest, chain);
}

/* ---- one profile ---- */

/* The end of a profile: its grants are stored, silently, and its state follows. */
static void
profile_close(Walk *walk)
{
	if (walk->user == NULL)
		return;
	chain_close(walk);
	if (walk->has_new)
	{
		grant_store(&walk->grants);
		if (walk->user->is_new)
		{
			Datum		values[3] = {UUIDPGetDatum(&walk->user->profile_id),
				CStringGetTextDatum(enum_label(ENUM_SUBSCRIPTION_STATE, walk->state)),
			NumericGetDatum(walk->revenue)};
			bool		nulls[3] = {false, false, false};

			row_set_put(walk->states, values, nulls);
		}
		else
			walk->to_refresh[walk->n_to_refresh++] = (int) (walk->user - walk->load->users);
	}
	walk->user = NULL;
	MemoryContextReset(walk->profile_context);
}

/* The first row of a profile that has a chain that is new. */
static void
profile_open(Walk *walk, ImportUser *user)
{
	walk->user = user;
	walk->has_new = false;
	walk->rank = INT_MAX;
	walk->state = SUBSCRIPTION_STATE_NEVER_SUBSCRIBED;
	walk->revenue = int64_to_numeric(0);
	import_locked_profile(walk->load, user, &walk->profile);
	memset(&walk->grants, 0, sizeof(walk->grants));
	if (!user->is_new)
		grant_load(&user->profile_id, NULL, &walk->grants);
}

/* ---- the walk ---- */

/* A row of a chain that is new: into transactions, and into the chain. */
static void
place_row(Walk *walk, Datum *values, bool *nulls)
{
	NewChain   *chain = &walk->chain;
	int			chain_no = DatumGetInt32(values[TX_CHAIN_NO]);
	int			product_no = DatumGetInt32(values[TX_PRODUCT_NO]);
	TransactionReport *report = import_report(values, nulls);

	if (!walk->is_direct)
		row_set_put(walk->placed, &values[TX_PURCHASE_NO], &nulls[TX_PURCHASE_NO]);
	if (!chain->is_open || chain->chain_no != chain_no)
	{
		chain_close(walk);
		memset(chain, 0, sizeof(*chain));
		chain->is_open = true;
		chain->chain_no = chain_no;
		chain->is_subscription = report->is_subscription;
	}
	walk->has_new = true;
	chain_add(walk, report, &walk->load->products[product_no]);
	import_accept(walk->load, product_no);
	walk->load->loaded++;
	if (nulls[TX_PRICE_USD])
		walk->load->without_rate++;
	if (!nulls[TX_REVENUE])
		walk->revenue = DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(walk->revenue),
															values[TX_REVENUE]));
}

/* What is to become of a row.  True if it is to be inserted into transactions. */
static bool
take_row(Walk *walk, HeapTuple row, TupleDesc desc, Datum *values, bool *nulls)
{
	ImportLoad *load = walk->load;
	ImportUser *user = &load->users[DatumGetInt32(values[TX_USER_NO])];

	if (load->purchase_flags[DatumGetInt32(values[TX_PURCHASE_NO])] & PURCHASE_UNCHANGED)
	{
		load->known++;
		import_accept(load, DatumGetInt32(values[TX_PRODUCT_NO]));
		return false;
	}
	if (load->with_events || load->chain_flags[DatumGetInt32(values[TX_CHAIN_NO])] & CHAIN_IS_KNOWN)
	{
		if (load->late == NULL)
			load->late = import_set_like(load, "import_late", desc);
		row_set_put_tuple(load->late, row);
		return false;
	}
	if (walk->user != user)
	{
		profile_close(walk);
		profile_open(walk, user);
	}
	place_row(walk, values, nulls);
	return true;
}

/* Takes what was fetched, and inserts what is new of it while its values are there. */
static void
take_rows(Walk *walk, SPITupleTable *rows, uint64 n)
{
	MemoryContext old = MemoryContextSwitchTo(walk->profile_context);

	walk->n = 0;
	for (uint64 i = 0; i < n; i++)
	{
		Datum		values[N_IMPORT_TX_COLUMNS];
		bool		nulls[N_IMPORT_TX_COLUMNS];

		CHECK_FOR_INTERRUPTS();
		heap_deform_tuple(rows->vals[i], rows->tupdesc, values, nulls);
		if (!take_row(walk, rows->vals[i], rows->tupdesc, values, nulls) || !walk->is_direct)
			continue;
		memcpy(walk->values + walk->n * N_TX_COLUMNS, values, N_TX_COLUMNS * sizeof(Datum));
		memcpy(walk->nulls + walk->n * N_TX_COLUMNS, nulls, N_TX_COLUMNS * sizeof(bool));
		walk->n++;
	}
	MemoryContextSwitchTo(old);
	if (walk->n > 0)
		direct_insert_many(TABLE_TRANSACTIONS, walk->values, walk->nulls, walk->n);
}

/* Fetches all purchases, in the order of the plan. */
static void
walk_purchases(Walk *walk)
{
	Portal		portal = plan_open_cursor_once(&by_chain_plan, NULL, NULL);
	MemoryContext old;

	for (;;)
	{
		SPITupleTable *rows;
		uint64		n;

		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		n = SPI_processed;
		rows = SPI_tuptable;
		take_rows(walk, rows, n);
		SPI_freetuptable(rows);
		if (n == 0)
			break;
	}
	old = MemoryContextSwitchTo(walk->profile_context);
	profile_close(walk);
	MemoryContextSwitchTo(old);
	SPI_cursor_close(portal);
}

/* What follows from the walk, each over the whole import. */
static void
finish(Walk *walk)
{
	ImportLoad *load = walk->load;

	row_set_register(walk->newest);
	row_set_register(walk->states);
	if (!walk->is_direct)
	{
		row_set_register(walk->placed);
		(void) plan_execute_once(&insert_plan, NULL, NULL);
	}
	CommandCounterIncrement();
	subscriptions_import();
	for (int i = 0; i < walk->n_to_refresh; i++)
	{
		LockedProfile profile;

		CHECK_FOR_INTERRUPTS();
		import_locked_profile(load, &load->users[walk->to_refresh[i]], &profile);
		subscription_refresh_profile(&profile);
	}
}

/* The set of purchases that are paid after their chain's first year. */
static void
find_first_years(ImportLoad *load)
{
	RowSet	   *after = import_set(load, "import_after_first_year", placed_columns, lengthof(placed_columns));
	RowSet	   *chains;
	bool		no_null = false;

	if (load->has_long_chains)
	{
		uint64		n;

		chains = import_set(load, "import_long_chains", long_columns, lengthof(long_columns));
		for (int i = 0; i < load->n_chains; i++)
			if ((load->chain_flags[i] & (CHAIN_IS_LONG | CHAIN_IS_KNOWN)) == CHAIN_IS_LONG)
				row_set_put(chains, &(Datum) {Int32GetDatum(i)}, &no_null);
		row_set_register(chains);
		n = plan_execute_once(&first_years_plan, NULL, NULL);
		for (uint64 i = 0; i < n; i++)
		{
			Datum		purchase_no = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &no_null);

			row_set_put(after, &purchase_no, &no_null);
		}
		SPI_freetuptable(SPI_tuptable);
	}
	row_set_register(after);
}

/* Which synthetic events the environments want at all: few do, and asking for each chain costs. */
static void
look_up_active(Walk *walk)
{
	TimestampTz active_at;

	for (int i = 0; i < 4; i++)
		walk->wants_active[i / 2][i % 2] =
			environment_active_at(i / 2 ? "Sandbox" : "Production", i % 2, 0, &active_at);
}

/* See import_load.h.  Silent throughout: what is to have events is left to import_late(). */
void
import_chains(ImportLoad *load)
{
	MemoryContext old = MemoryContextSwitchTo(load->context);
	Walk		walk = {.load = load};
	int			guc_level;

	guc_level = import_sets_only();
	find_first_years(load);
	look_up_active(&walk);
	walk.newest = chain_set_create();
	load->sets = lappend(load->sets, walk.newest);
	walk.is_direct = direct_attach(load->context, TABLE_TRANSACTIONS, DIRECT_WRITE) &&
		direct_natts(TABLE_TRANSACTIONS) == N_TX_COLUMNS;
	walk.profile_context = AllocSetContextCreate(load->context, "adapty import profile", ALLOCSET_DEFAULT_SIZES);
	walk.states = import_set(load, "import_states", state_columns, lengthof(state_columns));
	walk.placed = import_set(load, "import_placed", placed_columns, lengthof(placed_columns));
	walk.to_refresh = MemoryContextAllocHuge(load->context, Max(load->n_users, 1) * sizeof(int));
	walk.values = palloc(FETCH_ROWS * N_TX_COLUMNS * sizeof(Datum));
	walk.nulls = palloc(FETCH_ROWS * N_TX_COLUMNS * sizeof(bool));
	PG_TRY();
	{
		event_silence_begin();
		walk_purchases(&walk);
	}
	PG_FINALLY();
	{
		event_silence_end();
	}
	PG_END_TRY();
	AtEOXact_GUC(false, guc_level);
	finish(&walk);
	MemoryContextSwitchTo(old);
}
