/*
 * currency_grant.c
 *		Virtual currencies that purchases give, and their expiry.
 *
 * Follows the events of purchases, which are written once each: a start, a conversion or a renewal
 * is a cycle, and credits what the product is linked to at that moment; nothing is credited later for a purchase
 * of before the link.
 *
 * A link that expires makes a lot, one a subscription and currency.  The subscription's next cycle and
 * its end take away what is left of it, whatever the product of the next cycle gives.  A cycle that
 * is reported when a later one is known is over already: it neither makes a lot nor ends one.
 *
 * A refund takes back what the transaction credited, as far as the balance has it: what was spent
 * stays spent, and a balance never falls below 0.  An upgrade's refund is no refund to the user: the
 * store settles it with the new purchase; it only ends the cycle.
 *
 * A purchase is never refused because of its coins: what would overflow a balance is not credited,
 * with a warning.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/plans.h"
#include "domain/currency.h"
#include "domain/currency_grant.h"
#include "domain/currency_ledger.h"

/* Most apps have no currencies: this is all that their purchases pay for them. */
static SavedPlan any_currency = {
	.name = "is there a virtual currency",
	.sql = "SELECT 1 FROM adapty.virtual_currencies LIMIT 1",
	.expected = SPI_OK_SELECT,
};

/*
 * No transaction of t's chain is newer, by purchase, end and id as in subscription.c: only the newest
 * is a cycle that runs.  A one-time purchase is a chain of its own.
 */
#define IS_NEWEST \
	"NOT EXISTS (SELECT FROM adapty.transactions n " \
	"    WHERE n.profile_id OPERATOR(pg_catalog.=) t.profile_id AND n.store OPERATOR(pg_catalog.=) t.store " \
	"    AND n.store_original_transaction_id OPERATOR(pg_catalog.=) t.store_original_transaction_id " \
	"    AND n.purchased_at OPERATOR(pg_catalog.>=) t.purchased_at " \
	"    AND (n.purchased_at, n.expires_at, n.store_transaction_id COLLATE \"C\") OPERATOR(pg_catalog.>) " \
	"        (t.purchased_at, t.expires_at, t.store_transaction_id COLLATE \"C\"))"

/* $1 profile, $2 store, $3 store_transaction_id, as in the next ones. */
static SavedPlan links_of_transaction = {
	.name = "virtual currencies of a transaction's product",
	.sql = "SELECT l.currency_code::pg_catalog.text, l.amount, l.trial_amount, "
	"    l.expires AND t.expires_at IS NOT NULL, COALESCE(t.expires_at, 'infinity'), "
	"    t.expires_at IS NULL OR " IS_NEWEST " "
	"FROM adapty.transactions t "
	"JOIN adapty.virtual_currency_products l ON l.product_id OPERATOR(pg_catalog.=) t.product_id "
	"WHERE t.profile_id OPERATOR(pg_catalog.=) $1 AND t.store OPERATOR(pg_catalog.=) $2 "
	"AND t.store_transaction_id OPERATOR(pg_catalog.=) $3 ORDER BY l.currency_code",
	.expected = SPI_OK_SELECT,
	.nargs = 3,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID},
};

/* Ends the lots of a transaction's subscription, if the transaction is its newest. */
static SavedPlan end_lots = {
	.name = "end of what expires",
	.sql = "DELETE FROM adapty.virtual_currency_lots l USING adapty.transactions t "
	"WHERE t.profile_id OPERATOR(pg_catalog.=) $1 AND t.store OPERATOR(pg_catalog.=) $2 "
	"AND t.store_transaction_id OPERATOR(pg_catalog.=) $3 AND l.profile_id OPERATOR(pg_catalog.=) $1 "
	"AND l.chain_id OPERATOR(pg_catalog.=) pg_catalog.concat(t.store, ':', t.store_original_transaction_id) "
	"AND " IS_NEWEST " "
	"RETURNING l.currency_code::pg_catalog.text, l.remaining",
	.expected = SPI_OK_DELETE_RETURNING,
	.nargs = 3,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID},
};

static SavedPlan put_lot = {
	.name = "new part of a balance that expires",
	.sql = "INSERT INTO adapty.virtual_currency_lots AS l (profile_id, currency_code, chain_id, source_id, remaining, expires_at) "
	"SELECT $1, $4, pg_catalog.concat(t.store, ':', t.store_original_transaction_id), $5, $6, $7 "
	"FROM adapty.transactions t WHERE t.profile_id OPERATOR(pg_catalog.=) $1 "
	"AND t.store OPERATOR(pg_catalog.=) $2 AND t.store_transaction_id OPERATOR(pg_catalog.=) $3 "
	"ON CONFLICT (profile_id, currency_code, chain_id) DO UPDATE SET source_id = excluded.source_id, "
	"    remaining = l.remaining OPERATOR(pg_catalog.+) excluded.remaining, expires_at = excluded.expires_at",
	.expected = SPI_OK_INSERT,
	.nargs = 7,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID},
};

/* What a transaction credited and a refund can take back, unless it has expired or was refunded. */
static SavedPlan credits_of_transaction = {
	.name = "virtual currencies that a transaction gave",
	.sql = "SELECT c.currency_code::pg_catalog.text, pg_catalog.sum(c.amount), "
	"    pg_catalog.min(l.chain_id) "
	"FROM adapty.virtual_currency_transactions c "
	"LEFT JOIN adapty.virtual_currency_lots l ON l.profile_id OPERATOR(pg_catalog.=) $1 "
	"    AND l.currency_code OPERATOR(pg_catalog.=) c.currency_code AND l.source_id OPERATOR(pg_catalog.=) $2 "
	"WHERE c.profile_id OPERATOR(pg_catalog.=) $1 AND c.source_id OPERATOR(pg_catalog.=) $2 "
	"AND c.transaction_type OPERATOR(pg_catalog.=) "
	"    ANY ('{store_purchase,subscription_renewal,trial_start}'::adapty.virtual_currency_transaction_type[]) "
	"AND (NOT c.is_expiring OR l.chain_id IS NOT NULL) "
	"AND NOT EXISTS (SELECT FROM adapty.virtual_currency_transactions r "
	"    WHERE r.profile_id OPERATOR(pg_catalog.=) $1 AND r.source_id OPERATOR(pg_catalog.=) $2 "
	"    AND r.transaction_type OPERATOR(pg_catalog.=) 'refund'::adapty.virtual_currency_transaction_type) "
	"GROUP BY c.currency_code ORDER BY c.currency_code",
	.expected = SPI_OK_SELECT,
	.nargs = 2,
	.argtypes = {UUIDOID, TEXTOID},
};

static SavedPlan has_credit = {
	.name = "earlier credit of a transaction",
	.sql = "SELECT 1 FROM adapty.virtual_currency_transactions c "
	"WHERE c.profile_id OPERATOR(pg_catalog.=) $1 AND c.source_id OPERATOR(pg_catalog.=) $2 "
	"AND c.transaction_type OPERATOR(pg_catalog.=) $3::adapty.virtual_currency_transaction_type LIMIT 1",
	.expected = SPI_OK_SELECT,
	.nargs = 3,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID},
};

static SavedPlan is_upgrade = {
	.name = "refund by an upgrade",
	.sql = "SELECT 1 FROM adapty.transactions t WHERE t.profile_id OPERATOR(pg_catalog.=) $1 "
	"AND t.store OPERATOR(pg_catalog.=) $2 AND t.store_transaction_id OPERATOR(pg_catalog.=) $3 "
	"AND t.cancellation_reason OPERATOR(pg_catalog.=) 'upgraded'::adapty.cancellation_reason",
	.expected = SPI_OK_SELECT,
	.nargs = 3,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID},
};

/* A lot to be made of a credit. */
typedef struct CurrencyLot
{
	bool		is_lot;
	TimestampTz expires_at;
} CurrencyLot;

/* The first three arguments of most plans here. */
static void
transaction_key(const PurchaseEventSource *source, Datum *values)
{
	values[0] = UUIDPGetDatum(source->profile_id);
	values[1] = CStringGetTextDatum(source->store);
	values[2] = CStringGetTextDatum(source->store_transaction_id);
}

/* What a transaction that is credited, expired or refunded is called in the ledger. */
static CurrencyTransaction
ledger_transaction(const PurchaseEventSource *source, const char *type)
{
	CurrencyTransaction transaction = {.profile_id = source->profile_id, .type = type, .actor = source->actor};

	transaction.source_id = purchase_source_id(source->store, source->store_transaction_id);
	return transaction;
}

/* Drops changes of 0. */
static int
drop_nothing(CurrencyChange *changes, CurrencyLot *lots, int n)
{
	int			kept = 0;

	for (int i = 0; i < n; i++)
		if (changes[i].amount != 0)
		{
			changes[kept] = changes[i];
			if (lots != NULL)
				lots[kept] = lots[i];
			kept++;
		}
	return kept;
}

/* Takes away what is left of the cycle before: at a renewal and at the end. */
static void
expire(const PurchaseEventSource *source)
{
	CurrencyTransaction transaction = ledger_transaction(source, "expiry");
	Datum		values[3];
	SPITupleTable *rows;
	CurrencyChange *changes;
	pg_uuid_t	transaction_id;
	int			n;

	transaction_key(source, values);
	n = (int) plan_execute(&end_lots, values, NULL, false);
	if (n == 0)
		return;
	rows = SPI_tuptable;
	changes = palloc0(sizeof(CurrencyChange) * n);
	for (int i = 0; i < n; i++)
	{
		bool		isnull;

		changes[i].code = SPI_getvalue(rows->vals[i], rows->tupdesc, 1);
		changes[i].amount = -DatumGetInt32(SPI_getbinval(rows->vals[i], rows->tupdesc, 2, &isnull));
		if (!currency_load(source->profile_id, &changes[i]))
			elog(ERROR, "virtual currency \"%s\" is gone", changes[i].code);
	}
	transaction.leave_lots = true;
	n = drop_nothing(changes, NULL, n);
	if (n > 0)
		currency_apply(&transaction, changes, n, &transaction_id);
}

/* An amount that fits into the balance; WARNING if it is less than was to be credited. */
static int64
fitting_amount(const CurrencyChange *change, int64 amount)
{
	int64		room = MAX_CURRENCY_BALANCE - change->balance;

	if (amount <= room)
		return amount;
	ereport(WARNING,
			(errmsg("only " INT64_FORMAT " of " INT64_FORMAT " virtual currency \"%s\" could be credited for a purchase",
					room, amount, change->code),
			 errdetail("The balance is at its limit of %d.", MAX_CURRENCY_BALANCE)));
	return room;
}

/* The credits of a purchase by the links of its product; returns how many. */
static int
plan_credits(const PurchaseEventSource *source, bool is_trial, CurrencyChange **changes, CurrencyLot **lots)
{
	Datum		values[3];
	SPITupleTable *rows;
	int			n;

	transaction_key(source, values);
	n = (int) plan_execute(&links_of_transaction, values, NULL, false);
	if (n == 0)
		return 0;
	rows = SPI_tuptable;
	*changes = palloc0(sizeof(CurrencyChange) * n);
	*lots = palloc0(sizeof(CurrencyLot) * n);
	for (int i = 0; i < n; i++)
	{
		CurrencyChange *change = &(*changes)[i];
		bool		isnull;
		Datum		amount = SPI_getbinval(rows->vals[i], rows->tupdesc, is_trial ? 3 : 2, &isnull);
		bool		is_none = isnull;
		bool		expires = DatumGetBool(SPI_getbinval(rows->vals[i], rows->tupdesc, 4, &isnull));
		bool		is_newest = DatumGetBool(SPI_getbinval(rows->vals[i], rows->tupdesc, 6, &isnull));

		change->code = SPI_getvalue(rows->vals[i], rows->tupdesc, 1);
		(*lots)[i].is_lot = change->is_expiring = expires;
		(*lots)[i].expires_at = DatumGetTimestampTz(SPI_getbinval(rows->vals[i], rows->tupdesc, 5, &isnull));
		if (!currency_load(source->profile_id, change))
			elog(ERROR, "virtual currency \"%s\" is gone", change->code);
		/* a cycle that is over would be credited and expire at once */
		if (!is_none && (is_newest || !expires))
			change->amount = fitting_amount(change, DatumGetInt32(amount));
	}
	return drop_nothing(*changes, *lots, n);
}

/* Credits what a purchase gives, once. */
static void
credit(const PurchaseEventSource *source, const char *type, bool is_trial)
{
	CurrencyTransaction transaction = ledger_transaction(source, type);
	CurrencyChange *changes;
	CurrencyLot *lots;
	pg_uuid_t	transaction_id;
	Datum		values[7];
	int			n = plan_credits(source, is_trial, &changes, &lots);

	if (n == 0)
		return;
	values[0] = UUIDPGetDatum(source->profile_id);
	values[1] = CStringGetTextDatum(transaction.source_id);
	values[2] = CStringGetTextDatum(type);
	if (plan_execute(&has_credit, values, NULL, false) > 0)
		return;
	currency_apply(&transaction, changes, n, &transaction_id);
	for (int i = 0; i < n; i++)
	{
		if (!lots[i].is_lot)
			continue;
		transaction_key(source, values);
		values[3] = CStringGetTextDatum(changes[i].code);
		values[4] = CStringGetTextDatum(transaction.source_id);
		values[5] = Int32GetDatum((int32) changes[i].amount);
		values[6] = TimestampTzGetDatum(lots[i].expires_at);
		plan_execute(&put_lot, values, NULL, false);
	}
}

/* Takes back what a refunded transaction credited, as far as the balance has it; see the file's head. */
static void
take_back(const PurchaseEventSource *source)
{
	CurrencyTransaction transaction = ledger_transaction(source, "refund");
	Datum		values[3];
	SPITupleTable *rows;
	CurrencyChange *changes;
	pg_uuid_t	transaction_id;
	int			n;

	transaction_key(source, values);
	if ((source->cancellation_reason != NULL && strcmp(source->cancellation_reason, "upgraded") == 0) ||
		plan_execute(&is_upgrade, values, NULL, false) > 0)
	{
		expire(source);
		return;
	}
	values[1] = CStringGetTextDatum(transaction.source_id);
	n = (int) plan_execute(&credits_of_transaction, values, NULL, false);
	if (n == 0)
		return;
	rows = SPI_tuptable;
	changes = palloc0(sizeof(CurrencyChange) * n);
	for (int i = 0; i < n; i++)
	{
		bool		isnull;
		int64		credited = DatumGetInt64(SPI_getbinval(rows->vals[i], rows->tupdesc, 2, &isnull));
		char	   *chain_id = SPI_getvalue(rows->vals[i], rows->tupdesc, 3);

		changes[i].code = SPI_getvalue(rows->vals[i], rows->tupdesc, 1);
		if (chain_id != NULL)
			transaction.chain_id = chain_id;
		if (!currency_load(source->profile_id, &changes[i]))
			elog(ERROR, "virtual currency \"%s\" is gone", changes[i].code);
		changes[i].amount = -Min(credited, changes[i].balance);
	}
	n = drop_nothing(changes, NULL, n);
	if (n > 0)
		currency_apply(&transaction, changes, n, &transaction_id);
}

/* See currency_grant.h. */
void
currency_purchase_events(const PurchaseEventSource *source, const ChainEvent *events, int n)
{
	static const pg_uuid_t nobody = {{0}};

	/* what nobody known bought credits nobody, nor whoever claims it later */
	if (memcmp(source->profile_id, &nobody, UUID_LEN) == 0 ||
		plan_execute(&any_currency, NULL, NULL, true) == 0)
		return;
	for (int i = 0; i < n; i++)
	{
		switch (events[i].type)
		{
			case EVENT_NON_SUBSCRIPTION_PURCHASE:
				credit(source, "store_purchase", false);
				break;
			case EVENT_SUBSCRIPTION_STARTED:
				/* after another product of the same chain */
				expire(source);
				credit(source, "store_purchase", false);
				break;
			case EVENT_TRIAL_STARTED:
				expire(source);
				credit(source, "trial_start", true);
				break;
			case EVENT_TRIAL_CONVERTED:
			case EVENT_SUBSCRIPTION_RENEWED:
				expire(source);
				credit(source, "subscription_renewal", false);
				break;
			case EVENT_SUBSCRIPTION_EXPIRED:
			case EVENT_TRIAL_EXPIRED:
				expire(source);
				break;
			case EVENT_SUBSCRIPTION_REFUNDED:
			case EVENT_NON_SUBSCRIPTION_PURCHASE_REFUNDED:
				take_back(source);
				break;
			default:
				break;
		}
	}
}
