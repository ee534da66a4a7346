/*
 * ingest_apply.c
 *		Whose the facts of an event are, and what is done with them: the only writer of store_customers.
 *
 * A purchase is its chain's owner's if it has one; else whom the event names; else whom the store's
 * customer is known to be.  Where nobody is known the transactions are kept for nobody, and everything
 * of the customer is taken up as soon as an event, or set_store_customer(), says who that is.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/arg.h"
#include "base/caller.h"
#include "base/errors.h"
#include "base/plans.h"
#include "domain/identity.h"
#include "domain/ingest_apply.h"
#include "domain/product.h"
#include "domain/sharing.h"
#include "domain/transaction_row.h"

PG_FUNCTION_INFO_V1(adapty_apply_ingested);

static SavedPlan identity_plan = {
	.name = "profile of a user that a store names",
	.sql = "SELECT i.profile_id FROM adapty.identities i WHERE i.customer_user_id OPERATOR(pg_catalog.=) $1",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static SavedPlan find_customer_plan = {
	.name = "who a store's customer is",
	.sql = "SELECT COALESCE(c.profile_id, i.profile_id), c.profile_id IS NOT NULL "
	"FROM adapty.store_customers c LEFT JOIN adapty.identities i "
	"    ON i.customer_user_id OPERATOR(pg_catalog.=) c.customer_user_id "
	"WHERE c.store OPERATOR(pg_catalog.=) $1 AND c.store_customer_id OPERATOR(pg_catalog.=) $2 "
	"AND (c.profile_id IS NOT NULL OR i.profile_id IS NOT NULL)",
	.expected = SPI_OK_SELECT,
	.nargs = 2,
	.argtypes = {TEXTOID, TEXTOID},
};

/* $5: does what is said now count more than what was known? */
static SavedPlan remember_plan = {
	.name = "a store's customer",
	.sql = "INSERT INTO adapty.store_customers AS c (store, store_customer_id, profile_id, customer_user_id) "
	"VALUES ($1, $2, $3, $4) ON CONFLICT (store, store_customer_id) DO UPDATE SET "
	"    updated_at = pg_catalog.now(), profile_id = excluded.profile_id, "
	"    customer_user_id = excluded.customer_user_id "
	"WHERE (c.profile_id IS NULL OR $5) AND ROW(c.profile_id, c.customer_user_id) "
	"    IS DISTINCT FROM ROW(excluded.profile_id, excluded.customer_user_id)",
	.expected = SPI_OK_INSERT,
	.nargs = 5,
	.argtypes = {TEXTOID, TEXTOID, UUIDOID, TEXTOID, BOOLOID},
};

/* An event's facts on their way to transactions. */
typedef struct Application
{
	const IngestFacts *facts;
	const char *actor;
	bool		has_user;
	bool		is_user_claiming;	/* the user says so, and not the store */
	pg_uuid_t	user;			/* whom the event or its customer stands for */
	List	   *subscriptions;	/* what the event is about: C strings */
	List	   *purchases;
	IngestResult *result;
} Application;

static bool
is_nil(const pg_uuid_t *profile_id)
{
	static const pg_uuid_t nil = {{0}};

	return memcmp(profile_id, &nil, UUID_LEN) == 0;
}

/* ---- who ---- */

/* The profile of a customer_user_id, made if it is to be; false if there is none. */
static bool
profile_of_name(const char *customer_user_id, bool create_missing, pg_uuid_t *profile_id)
{
	UserRef		user = {.customer_user_id = cstring_to_text(customer_user_id)};
	Datum		values[1] = {PointerGetDatum(user.customer_user_id)};
	bool		isnull;

	if (create_missing)
	{
		user_resolve_or_create(&user, true, profile_id);
		return true;
	}
	if (plan_execute(&identity_plan, values, NULL, false) == 0)
		return false;
	*profile_id = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	return true;
}

/* The profile of a store's customer; *is_remembered: it need not be looked for again by its name. */
static bool
profile_of_customer(const char *store, const char *customer_id, pg_uuid_t *profile_id, bool *is_remembered)
{
	Datum		values[2] = {CStringGetTextDatum(store), CStringGetTextDatum(customer_id)};
	bool		isnull;

	if (plan_execute(&find_customer_plan, values, NULL, false) == 0)
		return false;
	*profile_id = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	*is_remembered = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	return true;
}

/* Remembers who a customer is, by profile or (NULL) by name; false if that is known. */
static bool
remember_customer(const char *store, const char *customer_id, const pg_uuid_t *profile_id,
				  const char *customer_user_id, bool is_authority)
{
	Datum		values[5] = {CStringGetTextDatum(store), CStringGetTextDatum(customer_id),
		profile_id != NULL ? UUIDPGetDatum(profile_id) : (Datum) 0,
		profile_id == NULL ? CStringGetTextDatum(customer_user_id) : (Datum) 0,
	BoolGetDatum(is_authority)};

	return plan_execute(&remember_plan, values, profile_id != NULL ? "   n " : "  n  ", false) > 0;
}

/* Who owns a subscription or purchase. */
static void
load_owner(const char *store, char *id, bool is_subscription, TransactionReport *key, PurchasePeople *people)
{
	memset(key, 0, sizeof(*key));
	key->is_subscription = is_subscription;
	key->store = pstrdup(store);
	key->store_transaction_id = key->store_original_transaction_id = is_subscription ? id :
		ingest_transaction_id(id);
	purchase_people_load(key, people);
}

/* Has all that the event is about an owner, so that whom it names does not matter? */
static bool
is_owned(const Application *a)
{
	TransactionReport key;
	PurchasePeople people;
	ListCell   *cell;

	if (a->subscriptions == NIL && a->purchases == NIL)
		return false;
	foreach(cell, a->subscriptions)
	{
		load_owner(a->facts->store, lfirst(cell), true, &key, &people);
		if (!people.has_parent || is_nil(&people.parent))
			return false;
	}
	foreach(cell, a->purchases)
	{
		load_owner(a->facts->store, lfirst(cell), false, &key, &people);
		if (!people.has_parent || is_nil(&people.parent))
			return false;
	}
	return true;
}

/*
 * Finds the user, and remembers the customer as theirs.  Returns whether anything new is known of the
 * customer: then all that is theirs is to be looked at.
 */
static bool
find_user(Application *a, bool create_missing)
{
	const IngestFacts *facts = a->facts;
	bool		is_remembered = false;
	bool		is_named = facts->customer_user_id != NULL;

	a->has_user = is_named && profile_of_name(facts->customer_user_id, create_missing, &a->user);
	if (!a->has_user && facts->customer_id != NULL)
		a->has_user = profile_of_customer(facts->store, facts->customer_id, &a->user, &is_remembered);
	a->result->has_profile = a->has_user;
	a->result->profile_id = a->user;
	if (facts->customer_id == NULL || is_remembered || (!a->has_user && !is_named))
		return false;
	return remember_customer(facts->store, facts->customer_id, a->has_user ? &a->user : NULL,
							 facts->customer_user_id, false);
}

/* ---- what ---- */

/*
 * Reports one subscription or, with is_subscription false, one purchase; force: even if nothing is new.
 * What has an owner stays the owner's, whoever the event names: the core finds out.
 */
static void
apply_chain(Application *a, char *id, bool is_subscription, bool force)
{
	TransactionReport key;
	PurchasePeople people;
	KnownChain	chain;
	bool		has_owner;
	bool		is_claim;

	if (is_subscription)
		ingest_load_subscription(a->facts->store, id, &chain);
	else
		ingest_load_purchase(a->facts->store, id, &chain);
	load_owner(a->facts->store, id, is_subscription, &key, &people);
	has_owner = people.has_parent && !is_nil(&people.parent);
	is_claim = people.has_parent && !has_owner && a->has_user;

	/* what was nobody's for its first moments only is new to its owner, with all its events */
	if (is_claim && chain.n == 1)
		transaction_forget_nobodys(&key);
	if (has_owner && !a->is_user_claiming)
	{
		a->result->has_profile = true;
		a->result->profile_id = people.parent;
		/* who owns one purchase of a customer that nobody knows is the customer */
		if (!a->has_user && a->facts->customer_id != NULL && a->facts->customer_user_id == NULL)
			(void) remember_customer(a->facts->store, a->facts->customer_id, &people.parent, NULL, false);
	}
	is_claim |= a->is_user_claiming && has_owner && memcmp(&people.parent, &a->user, UUID_LEN) != 0;
	ingest_report_chain(a->facts, &chain, a->has_user && (!has_owner || a->is_user_claiming) ? &a->user : NULL,
						a->actor, force || is_claim, &a->result->transactions, &a->result->detail);
	if (!a->result->has_profile && a->result->detail == NULL)
		a->result->detail = "Nobody is known to be this customer yet: the purchase waits for whom it is.";
}

/* Reports all that the event is about. */
static void
apply_chains(Application *a)
{
	ListCell   *cell;

	foreach(cell, a->subscriptions)
		apply_chain(a, lfirst(cell), true, false);
	foreach(cell, a->purchases)
		apply_chain(a, lfirst(cell), false, false);
}

/* See ingest_apply.h. */
void
ingest_apply(IngestFacts *facts, bool create_missing, const char *actor, IngestResult *result)
{
	Application a = {.facts = facts, .actor = actor, .result = result};
	bool		is_new;
	bool		is_customer_new;

	result->outcome = "applied";
	ingest_lock(facts);
	is_new = ingest_keep(facts);
	ingest_concerned(facts, &a.subscriptions, &a.purchases);
	is_customer_new = find_user(&a, create_missing && !is_owned(&a));
	if (!is_new && !is_customer_new)
	{
		result->outcome = "outdated";
		result->detail = "What is known is as new as this, or newer.";
		return;
	}
	if (is_customer_new && a.has_user)
		ingest_of_customer(facts->store, facts->customer_id, &a.subscriptions, &a.purchases);
	apply_chains(&a);
}

/* ---- by who asked the store ---- */

/* Do all of these belong to the user? */
static bool
owns_all(const Application *a, List *ids, bool is_subscription)
{
	TransactionReport key;
	PurchasePeople people;
	ListCell   *cell;

	foreach(cell, ids)
	{
		load_owner(a->facts->store, lfirst(cell), is_subscription, &key, &people);
		if (!people.has_parent || memcmp(&people.parent, &a->user, UUID_LEN) != 0)
			return false;
	}
	return true;
}

/* The store's customer is the user: takes up what else waited for who that is. */
static void
claim_customer(const Application *claim, const char *customer_id)
{
	IngestResult others = {0};
	Application a = *claim;

	a.result = &others;
	a.is_user_claiming = false;
	a.subscriptions = a.purchases = NIL;
	ingest_of_customer(a.facts->store, customer_id, &a.subscriptions, &a.purchases);
	apply_chains(&a);
	claim->result->transactions = list_concat(claim->result->transactions, others.transactions);
}

/* See ingest_apply.h. */
void
ingest_claim(List *all, const pg_uuid_t *user, const char *actor, IngestResult *result)
{
	Application a = {
		.actor = actor,
		.result = result,
		.user = *user,
		.has_user = true,
		.is_user_claiming = true,
	};
	ListCell   *cell;

	result->outcome = "applied";
	result->has_profile = true;
	result->profile_id = *user;
	ingest_lock_all(all);
	foreach(cell, all)
	{
		a.facts = lfirst(cell);
		(void) ingest_keep(a.facts);
		ingest_concerned(a.facts, &a.subscriptions, &a.purchases);
	}
	apply_chains(&a);
	/* who shares another's purchase is not the store's customer */
	if (!owns_all(&a, a.subscriptions, true) || !owns_all(&a, a.purchases, false))
		return;
	foreach(cell, all)
	{
		const IngestFacts *facts = lfirst(cell);

		if (facts->customer_id != NULL &&
			remember_customer(facts->store, facts->customer_id, user, NULL, false))
			claim_customer(&a, facts->customer_id);
	}
}

/* ---- by hand ---- */

/* Text argument n as a store: ERROR (22023) if it cannot be one. */
static char *
arg_store(FunctionCallInfo fcinfo, int n, bool required)
{
	char	   *store = arg_text(fcinfo, n, "store", required, MAX_STORE_ID);

	if (store != NULL && !is_slug(store))
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("invalid store: \"%s\"", store),
				 errdetail("The value must be 1 to 64 letters, digits, \"_\", \".\" or \"-\".")));
	return store;
}

/* adapty.set_store_customer(user, store, store_customer_id): see the function's COMMENT. */
static Datum
set_store_customer(FunctionCallInfo fcinfo, UserRef user)
{
	char	   *actor = caller_actor();
	IngestFacts facts = {0};
	IngestResult result = {0};
	Application a = {.facts = &facts, .actor = actor, .result = &result};
	int64		n;
	ApiScope	scope;

	refuse_unless_writable(fcinfo);
	facts.store = arg_store(fcinfo, 1, true);
	facts.customer_id = arg_text(fcinfo, 2, "store_customer_id", true, MAX_STORE_ID);
	user_resolve(&user, &a.user);
	a.has_user = result.has_profile = true;
	scope_enter(&scope);
	ingest_lock(&facts);
	(void) remember_customer(facts.store, facts.customer_id, &a.user, NULL, true);
	ingest_of_customer(facts.store, facts.customer_id, &a.subscriptions, &a.purchases);
	apply_chains(&a);
	n = list_length(result.transactions);
	scope_leave(&scope);
	PG_RETURN_INT64(n);
}

FUNCTION_BY_USER(set_store_customer);

/* adapty.apply_ingested(store): see the function's COMMENT. */
Datum
adapty_apply_ingested(PG_FUNCTION_ARGS)
{
	char	   *actor = caller_actor();
	char	   *store = arg_store(fcinfo, 0, false);
	StoreObject *objects;
	ApiScope	scope;
	int64		reported = 0;
	int			n;

	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	ingest_lock_alone();
	n = ingest_newly_mapped(store, &objects);
	for (int i = 0; i < n; i++)
	{
		IngestFacts facts = {.store = objects[i].store, .customer_id = objects[i].customer_id};
		IngestResult result = {0};
		Application a = {.facts = &facts, .actor = actor, .result = &result};

		CHECK_FOR_INTERRUPTS();
		ingest_lock(&facts);
		apply_chain(&a, objects[i].id, objects[i].is_subscription, true);
		reported += list_length(result.transactions);
	}
	scope_leave(&scope);
	PG_RETURN_INT64(reported);
}
