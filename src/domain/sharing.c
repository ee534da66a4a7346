/*
 * sharing.c
 *		Purchases that are reported for more than one profile: the only writer of purchase_inheritors.
 *
 * The parent is the profile for which a purchase was reported first: transactions and their events
 * are its own for ever.  Access may go to others as well, who inherit:
 *
 *		enabled		to everybody for whom the purchase is reported
 *		transfer	of profiles with a customer_user_id to the one reported last; to the anonymous as well
 *		disabled	to the parent only; between anonymous profiles it is shared always
 *
 * The policy decides when a purchase is reported; a change of it moves nobody's access by itself.
 * What a profile inherits is a grant of its own, of source shared_purchase: it lapses by itself with
 * the parent's, and is moved with it under the locks of all profiles concerned.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/plans.h"
#include "domain/environment.h"
#include "domain/grant_row.h"
#include "domain/purchase_event.h"
#include "domain/sharing.h"
#include "domain/subscription.h"
#include "domain/transaction_row.h"

static SavedPlan people_plan = {
	.name = "people of a purchase",
	.sql = "SELECT COALESCE("
	"    (SELECT s.profile_id FROM adapty.subscriptions s WHERE $4 AND s.store OPERATOR(pg_catalog.=) $1 "
	"     AND s.store_original_transaction_id OPERATOR(pg_catalog.=) $2), "
	"    (SELECT t.profile_id FROM adapty.transactions t WHERE t.store OPERATOR(pg_catalog.=) $1 "
	"     AND t.store_transaction_id OPERATOR(pg_catalog.=) $3)), NULL::uuid, false "
	"UNION ALL (SELECT NULL, i.profile_id, i.is_entitled FROM adapty.purchase_inheritors i "
	"WHERE i.store OPERATOR(pg_catalog.=) $1 AND i.store_original_transaction_id OPERATOR(pg_catalog.=) $2 "
	"ORDER BY i.profile_id)",
	.expected = SPI_OK_SELECT,
	.nargs = 4,
	.argtypes = {TEXTOID, TEXTOID, TEXTOID, BOOLOID},
};

static SavedPlan identified_plan = {
	.name = "identity of a profile",
	.sql = "SELECT 1 FROM adapty.identities i WHERE i.profile_id OPERATOR(pg_catalog.=) $1",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan put_plan = {
	.name = "inheritor of a purchase",
	.sql = "INSERT INTO adapty.purchase_inheritors AS i "
	"    (profile_id, parent_profile_id, is_entitled, store, store_original_transaction_id) "
	"VALUES ($1, $2, $3, $4, $5) ON CONFLICT (profile_id, store, store_original_transaction_id) "
	"DO UPDATE SET is_entitled = excluded.is_entitled, parent_profile_id = excluded.parent_profile_id, "
	"    updated_at = pg_catalog.clock_timestamp() "
	"WHERE i.is_entitled OPERATOR(pg_catalog.<>) excluded.is_entitled "
	"OR i.parent_profile_id OPERATOR(pg_catalog.<>) excluded.parent_profile_id",
	.expected = SPI_OK_INSERT,
	.nargs = 5,
	.argtypes = {UUIDOID, UUIDOID, BOOLOID, TEXTOID, TEXTOID},
};

static SavedPlan remove_plan = {
	.name = "inheritor that is none any more",
	.sql = "DELETE FROM adapty.purchase_inheritors i WHERE i.profile_id OPERATOR(pg_catalog.=) $1 "
	"AND i.store OPERATOR(pg_catalog.=) $2 AND i.store_original_transaction_id OPERATOR(pg_catalog.=) $3",
	.expected = SPI_OK_DELETE,
	.nargs = 3,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID},
};

/* Purchases of a profile that somebody else inherits, each with the first who does: entitled first. */
static SavedPlan heirs_plan = {
	.name = "heirs of a profile",
	.sql = "SELECT DISTINCT ON (i.store, i.store_original_transaction_id) "
	"    i.profile_id, i.store::text, i.store_original_transaction_id "
	"FROM adapty.purchase_inheritors i "
	"WHERE i.parent_profile_id OPERATOR(pg_catalog.=) $1 AND i.profile_id OPERATOR(pg_catalog.<>) $1 "
	"ORDER BY i.store, i.store_original_transaction_id, i.is_entitled DESC, i.created_at, i.profile_id",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan inherit_transactions_plan = {
	.name = "transactions that are inherited",
	.sql = "UPDATE adapty.transactions t SET profile_id = $2, updated_at = pg_catalog.now() "
	"WHERE t.profile_id OPERATOR(pg_catalog.=) $1 AND t.store OPERATOR(pg_catalog.=) $3 "
	"AND CASE t.purchase_type WHEN 'subscription' THEN t.store_original_transaction_id "
	"    ELSE t.store_transaction_id END OPERATOR(pg_catalog.=) $4",
	.expected = SPI_OK_UPDATE,
	.nargs = 4,
	.argtypes = {UUIDOID, UUIDOID, TEXTOID, TEXTOID},
};

static SavedPlan inherit_chain_plan = {
	.name = "chain that is inherited",
	.sql = "UPDATE adapty.subscriptions s SET profile_id = $2, updated_at = pg_catalog.now() "
	"WHERE s.profile_id OPERATOR(pg_catalog.=) $1 AND s.store OPERATOR(pg_catalog.=) $3 "
	"AND s.store_original_transaction_id OPERATOR(pg_catalog.=) $4",
	.expected = SPI_OK_UPDATE,
	.nargs = 4,
	.argtypes = {UUIDOID, UUIDOID, TEXTOID, TEXTOID},
};

static SavedPlan inherit_timers_plan = {
	.name = "timers that are inherited",
	.sql = "UPDATE adapty.subscription_timers s SET profile_id = $2 "
	"WHERE s.profile_id OPERATOR(pg_catalog.=) $1 AND s.store OPERATOR(pg_catalog.=) $3 "
	"AND s.store_original_transaction_id OPERATOR(pg_catalog.=) $4",
	.expected = SPI_OK_UPDATE,
	.nargs = 4,
	.argtypes = {UUIDOID, UUIDOID, TEXTOID, TEXTOID},
};

static SavedPlan new_parent_plan = {
	.name = "new parent of a purchase",
	.sql = "UPDATE adapty.purchase_inheritors i SET parent_profile_id = $2, "
	"    updated_at = pg_catalog.clock_timestamp() "
	"WHERE i.store OPERATOR(pg_catalog.=) $3 AND i.store_original_transaction_id OPERATOR(pg_catalog.=) $4 "
	"AND i.parent_profile_id OPERATOR(pg_catalog.=) $1",
	.expected = SPI_OK_UPDATE,
	.nargs = 4,
	.argtypes = {UUIDOID, UUIDOID, TEXTOID, TEXTOID},
};

/* See sharing.h. */
const char *
purchase_key(const TransactionReport *t)
{
	return t->is_subscription ? t->store_original_transaction_id : t->store_transaction_id;
}

/* See sharing.h. */
void
purchase_people_load(const TransactionReport *t, PurchasePeople *people)
{
	Datum		values[4] = {CStringGetTextDatum(t->store), CStringGetTextDatum(purchase_key(t)),
	CStringGetTextDatum(t->store_transaction_id), BoolGetDatum(t->is_subscription)};
	uint64		n = plan_execute_generic(&people_plan, values, NULL, false);
	bool		isnull;

	memset(people, 0, sizeof(*people));
	people->inheritors = palloc(sizeof(Inheritor) * (n + 1));
	for (uint64 i = 0; i < n; i++)
	{
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Datum		parent = SPI_getbinval(SPI_tuptable->vals[i], desc, 1, &isnull);

		if (!isnull)
		{
			people->has_parent = true;
			people->parent = *DatumGetUUIDP(parent);
		}
		parent = SPI_getbinval(SPI_tuptable->vals[i], desc, 2, &isnull);
		if (isnull)
			continue;
		people->inheritors[people->n].profile_id = *DatumGetUUIDP(parent);
		people->inheritors[people->n].is_identified = false;
		people->inheritors[people->n++].is_entitled = row_bool(i, 3);
	}
}

/* See sharing.h. */
bool
purchase_people_equal(const PurchasePeople *a, const PurchasePeople *b)
{
	if (a->has_parent != b->has_parent || a->n != b->n ||
		(a->has_parent && memcmp(&a->parent, &b->parent, UUID_LEN) != 0))
		return false;
	for (int i = 0; i < a->n; i++)
		if (memcmp(&a->inheritors[i].profile_id, &b->inheritors[i].profile_id, UUID_LEN) != 0)
			return false;
	return true;
}

/* Has a profile a customer_user_id? */
static bool
is_identified(const pg_uuid_t *profile_id)
{
	Datum		values[1] = {UUIDPGetDatum(profile_id)};

	return plan_execute_generic(&identified_plan, values, NULL, false) > 0;
}

/* The inheritor of a profile_id, added if it is not there; NULL without "add". */
static Inheritor *
find_inheritor(PurchasePeople *people, const pg_uuid_t *profile_id, bool add)
{
	Inheritor  *found;

	for (int i = 0; i < people->n; i++)
		if (memcmp(&people->inheritors[i].profile_id, profile_id, UUID_LEN) == 0)
			return &people->inheritors[i];
	if (!add)
		return NULL;
	people->inheritors = repalloc(people->inheritors, sizeof(Inheritor) * (people->n + 1));
	found = &people->inheritors[people->n++];
	memset(found, 0, sizeof(*found));
	found->profile_id = *profile_id;
	return found;
}

/* Stores whether a profile is entitled. */
static void
put_inheritor(const TransactionReport *t, const pg_uuid_t *parent, Inheritor *inheritor, bool is_entitled)
{
	Datum		values[5] = {UUIDPGetDatum(&inheritor->profile_id), UUIDPGetDatum(parent),
		BoolGetDatum(is_entitled), CStringGetTextDatum(t->store),
	CStringGetTextDatum(purchase_key(t))};

	inheritor->is_entitled = is_entitled;
	(void) plan_execute_generic(&put_plan, values, NULL, false);
}

/* WARNING: the policy gives this profile nothing of the purchase. */
static void
warn_not_shared(const TransactionReport *t)
{
	ereport(WARNING,
			(errmsg("transaction \"%s\" of store \"%s\" belongs to another profile, so it gives this one no access",
					t->store_transaction_id, t->store),
			 errdetail("Access sharing is disabled in environment \"%s\": the profile of the first report keeps the access.",
					   t->environment),
			 errhint("Use configure_environment() to share or transfer access, or delete_profile() to let the next profile claim the purchase.")));
}

/* A purchase under the policy "transfer": of the identified, the reporter is the only one entitled. */
static void
transfer(const TransactionReport *t, PurchasePeople *people, const pg_uuid_t *parent,
		 const pg_uuid_t *reporter, bool parent_identified)
{
	for (int i = 0; i < people->n; i++)
	{
		Inheritor  *inheritor = &people->inheritors[i];

		if (memcmp(&inheritor->profile_id, reporter, UUID_LEN) != 0 &&
			memcmp(&inheritor->profile_id, parent, UUID_LEN) != 0 &&
			inheritor->is_entitled && is_identified(&inheritor->profile_id))
			put_inheritor(t, parent, inheritor, false);
	}
	/* the parent's own row says that it lost the access */
	if (parent_identified && memcmp(parent, reporter, UUID_LEN) != 0)
		put_inheritor(t, parent, find_inheritor(people, parent, true), false);
}

/* Is the parent entitled: not so while its own row says that access was transferred. */
static bool
parent_is_entitled(PurchasePeople *people, const pg_uuid_t *parent)
{
	Inheritor  *own = find_inheritor(people, parent, false);

	return own == NULL || own->is_entitled;
}

/*
 * The purchase was reported for its parent: under "transfer" it is the only one now, also of those who
 * inherited under another policy; else it gets back what it lost by a transfer.
 */
static void
decide_for_parent(const TransactionReport *t, PurchasePeople *people, const pg_uuid_t *parent)
{
	AccessSharing policy = environment_access_sharing(t->environment);

	if (policy == ACCESS_SHARING_TRANSFER && is_identified(parent))
		transfer(t, people, parent, parent, true);
	if (policy != ACCESS_SHARING_DISABLED && !parent_is_entitled(people, parent))
		put_inheritor(t, parent, find_inheritor(people, parent, true), true);
}

/* The purchase was reported for somebody else. */
static void
decide_for_other(const TransactionReport *t, PurchasePeople *people, const pg_uuid_t *parent,
				 const pg_uuid_t *reporter)
{
	AccessSharing policy = environment_access_sharing(t->environment);
	bool		parent_identified = is_identified(parent);
	bool		reporter_identified = is_identified(reporter);
	Inheritor  *inheritor = find_inheritor(people, reporter, false);

	if (policy == ACCESS_SHARING_DISABLED && (parent_identified || reporter_identified))
	{
		/* what was inherited under another policy stays */
		if (inheritor == NULL || !inheritor->is_entitled)
			warn_not_shared(t);
		return;
	}
	if (policy == ACCESS_SHARING_TRANSFER && reporter_identified)
		transfer(t, people, parent, reporter, parent_identified);
	inheritor = find_inheritor(people, reporter, true);
	if (!inheritor->is_entitled)
		put_inheritor(t, parent, inheritor, true);
}

/* See sharing.h. */
bool
sharing_decide(const TransactionReport *t, PurchasePeople *people, const pg_uuid_t *parent,
			   const pg_uuid_t *reporter)
{
	if (memcmp(parent, reporter, UUID_LEN) == 0)
		decide_for_parent(t, people, parent);
	else
		decide_for_other(t, people, parent, reporter);
	return parent_is_entitled(people, parent);
}

/* ---- access ---- */

/* All grants that a purchase gave a profile, of whatever level. */
static GrantGroup
load_source(const LockedProfile *profile, GrantSource source, const char *source_id)
{
	GrantGroup	all = {0};
	int			n = 0;

	grant_load(&profile->profile_id, NULL, &all);
	for (int i = 0; i < all.n; i++)
		if (all.grants[i].source == source && strcmp(all.grants[i].source_id, source_id) == 0)
			all.grants[n++] = all.grants[i];
	all.n = n;
	return all;
}

/* Puts one interval of a purchase. */
static void
put_interval(const LockedProfile *profile, const PurchaseAccess *access, const char *access_level_id,
			 TimestampTz starts_at, TimestampTz expires_at, bool revoked, const char *actor,
			 const char *reason)
{
	GrantChange change = {
		.source = access->source,
		.source_id = access->source_id,
		.starts_at = starts_at,
		.expires_at = Max(starts_at, expires_at),	/* refunded before it began: never active */
		.revoked = revoked,
		.actor = actor,
		.reason = reason,
		.facts_changed = access->facts_changed,
		.properties = access->facts,
	};

	grant_put_change(profile, access_level_id, &change);
}

/* See sharing.h. */
bool
purchase_gave_others(const LockedProfile *profile, GrantSource source, const char *source_id,
					 const char *access_level_id)
{
	GrantGroup	grants = load_source(profile, source, source_id);

	for (int i = 0; i < grants.n; i++)
		if (access_level_id == NULL || strcmp(grants.grants[i].access_level_id, access_level_id) != 0)
			return true;
	return false;
}

/* When a purchase stopped, or stops, to give a level that it does not give now. */
static TimestampTz
former_end(const PurchaseAccess *access, const char *access_level_id)
{
	for (int i = 0; i < access->n_former; i++)
		if (strcmp(access->former[i].access_level_id, access_level_id) == 0)
			return access->former[i].expires_at;
	return access->changed_at;
}

/* Ends the levels that a purchase gave before, and gives what it still gives of them. */
static void
put_former_levels(const LockedProfile *profile, const GrantGroup *grants, const PurchaseAccess *access,
				  bool is_entitled, const char *actor, const char *reason)
{
	TimestampTz now = profile->profile_now;

	for (int i = 0; i < grants->n; i++)
	{
		const AccessGrant *grant = &grants->grants[i];
		TimestampTz end = is_entitled ? former_end(access, grant->access_level_id) : Min(now, grant->expires_at);

		if (access->access_level_id != NULL && strcmp(grant->access_level_id, access->access_level_id) == 0)
			continue;
		end = Max(end, grant->starts_at);
		if (grant->expires_at > end || (end > now && grant->expires_at != end))
			put_interval(profile, access, grant->access_level_id, grant->starts_at, end, true, actor, reason);
	}
	for (int i = 0; is_entitled && i < access->n_former; i++)
	{
		bool		is_there = false;

		for (int j = 0; j < grants->n; j++)
			is_there = is_there ||
				strcmp(grants->grants[j].access_level_id, access->former[i].access_level_id) == 0;
		if (!is_there && access->former[i].expires_at > now)
			put_interval(profile, access, access->former[i].access_level_id, access->starts_at,
						 access->former[i].expires_at, true, actor, reason);
	}
}

/* See sharing.h. */
void
purchase_access_put(const LockedProfile *profile, const PurchaseAccess *access, bool is_entitled,
					const char *actor, const char *reason)
{
	GrantGroup	grants = load_source(profile, access->source, access->source_id);
	TimestampTz now = profile->profile_now;
	TimestampTz starts_at = access->starts_at;
	TimestampTz expires_at = is_entitled ? access->expires_at : Min(access->expires_at, now);
	bool		revoked = access->revoked || expires_at != access->expires_at;
	bool		is_so = !is_entitled;
	bool		is_running = false;

	put_former_levels(profile, &grants, access, is_entitled, actor, reason);
	if (access->access_level_id == NULL)
		return;
	for (int i = 0; i < grants.n; i++)
	{
		const AccessGrant *grant = &grants.grants[i];

		if (strcmp(grant->access_level_id, access->access_level_id) != 0)
			continue;
		is_running = grant->starts_at <= now && now < grant->expires_at;
		if (!is_entitled)
			is_so = grant->expires_at <= now;
		else
			is_so = grant->starts_at == starts_at && grant->expires_at == Max(starts_at, expires_at) &&
				(grant->revoked_at != DT_NOBEGIN) == revoked && !access->facts_changed;
	}
	if (is_so)
		return;
	if (is_entitled && access->is_swap && is_running)
		put_interval(profile, access, access->access_level_id, starts_at,
					 Max(starts_at, Min(access->changed_at, now)), true, actor, reason);
	put_interval(profile, access, access->access_level_id, starts_at, expires_at, revoked, actor, reason);
}

/* The lock of an inheritor: one of those that are held, or a new one; NULL if the profile is gone. */
static const LockedProfile *
lock_inheritor(const pg_uuid_t *profile_id, const LockedProfile *locked, int n_locked,
			   LockedProfile *storage)
{
	for (int i = 0; i < n_locked; i++)
		if (memcmp(&locked[i].profile_id, profile_id, UUID_LEN) == 0)
			return &locked[i];
	return profile_lock(profile_id, false, NULL, storage) ? storage : NULL;
}

/* See sharing.h. */
void
sharing_put(const PurchasePeople *people, const LockedProfile *parent, const LockedProfile *locked,
			int n_locked, const PurchaseAccess *access, const char *actor, const char *reason)
{
	PurchaseAccess shared = *access;

	shared.source = GRANT_SOURCE_SHARED_PURCHASE;
	for (int i = 0; i < people->n; i++)
	{
		const Inheritor *inheritor = &people->inheritors[i];
		const LockedProfile *profile;
		LockedProfile storage;

		if (memcmp(&inheritor->profile_id, &parent->profile_id, UUID_LEN) == 0)
			continue;
		profile = lock_inheritor(&inheritor->profile_id, locked, n_locked, &storage);
		if (profile != NULL)
			purchase_access_put(profile, &shared, inheritor->is_entitled, actor, reason);
	}
}

/* ---- a profile goes ---- */

/* Ends what a profile inherited, now that the purchase is its own, and gives the same as such. */
static void
turn_into_own(const LockedProfile *heir, const char *store, const char *key, bool is_subscription)
{
	char	   *source_id = purchase_source_id(store, key);
	GrantGroup	grants = load_source(heir, GRANT_SOURCE_SHARED_PURCHASE, source_id);

	for (int i = 0; i < grants.n; i++)
	{
		const AccessGrant *grant = &grants.grants[i];

		if (grant->expires_at <= heir->profile_now)
			continue;
		grant_put(heir, grant->access_level_id, is_subscription ? GRANT_SOURCE_SUBSCRIPTION :
				  GRANT_SOURCE_ONE_TIME_PURCHASE, source_id, grant->starts_at, grant->expires_at,
				  grant->revoked_at != DT_NOBEGIN, NULL, "inherited");
		grant_put(heir, grant->access_level_id, GRANT_SOURCE_SHARED_PURCHASE, source_id, grant->starts_at,
				  Max(heir->profile_now, grant->starts_at), true, NULL, "inherited");
	}
}

/* See sharing.h.  Who comes after the first goes on inheriting, from the new parent. */
void
sharing_hand_over(const LockedProfile *profile)
{
	Datum		key[1] = {UUIDPGetDatum(&profile->profile_id)};
	uint64		n = plan_execute_generic(&heirs_plan, key, NULL, false);
	pg_uuid_t  *heirs = palloc(sizeof(pg_uuid_t) * (n + 1));
	char	  **stores = palloc(sizeof(char *) * (n + 1));
	char	  **keys = palloc(sizeof(char *) * (n + 1));

	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;

		heirs[i] = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
		stores[i] = row_text(i, 2);
		keys[i] = row_text(i, 3);
	}
	for (uint64 i = 0; i < n; i++)
	{
		LockedProfile heir;
		Datum		values[4] = {UUIDPGetDatum(&profile->profile_id), UUIDPGetDatum(&heirs[i]),
		CStringGetTextDatum(stores[i]), CStringGetTextDatum(keys[i])};
		bool		is_subscription;

		if (!profile_lock(&heirs[i], false, NULL, &heir))
			continue;
		(void) plan_execute_generic(&inherit_transactions_plan, values, NULL, false);
		is_subscription = plan_execute_generic(&inherit_chain_plan, values, NULL, false) > 0;
		(void) plan_execute_generic(&inherit_timers_plan, values, NULL, false);
		(void) plan_execute_generic(&new_parent_plan, values, NULL, false);
		(void) plan_execute_generic(&remove_plan, values + 1, NULL, false);
		turn_into_own(&heir, stores[i], keys[i], is_subscription);
		subscription_refresh_profile(&heir);
	}
}
