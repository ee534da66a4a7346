/*
 * ext_state.c
 *		Is the extension in this database, in which version, and what are the OIDs of its parts.
 *
 * OIDs change with DROP and CREATE EXTENSION, which one session may live to see.  They are looked
 * up once and kept until one of our tables is dropped or altered (a relation cache message tells),
 * then looked up again; the extension's own OID is the generation to which saved plans belong.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/user.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/ext_state.h"
#include "base/plans.h"

PG_FUNCTION_INFO_V1(adapty_ensure_role);

static const char *const table_names[N_TABLES] = {
	[TABLE_ACCESS_LEVELS] = "access_levels",
	[TABLE_PROFILES] = "profiles",
	[TABLE_IDENTITIES] = "identities",
	[TABLE_ACCESS_GRANTS] = "access_grants",
	[TABLE_EVENTS] = "events",
	[TABLE_AB_TEST_ASSIGNMENTS] = "ab_test_assignments",
	[TABLE_PAYWALL_REQUESTS] = "paywall_requests",
	[TABLE_PAYWALL_VIEWS] = "paywall_views",
	[TABLE_TRANSACTIONS] = "transactions",
};

static const char *const index_names[N_INDEXES] = {
	[INDEX_ACCESS_LEVELS_PKEY] = "access_levels_pkey",
	[INDEX_PROFILES_PKEY] = "profiles_pkey",
	[INDEX_IDENTITIES_PKEY] = "identities_pkey",
	[INDEX_ACCESS_GRANTS_PKEY] = "access_grants_pkey",
	[INDEX_ACCESS_GRANTS_DUE] = "access_grants_due_idx",
	[INDEX_AB_TEST_ASSIGNMENTS_PKEY] = "ab_test_assignments_pkey",
	[INDEX_PAYWALL_REQUESTS_PKEY] = "paywall_requests_pkey",
};

typedef struct EnumNames
{
	const char *type;
	const char *labels[MAX_ENUM_LABELS + 1];
} EnumNames;

static const EnumNames enum_names[N_ENUMS] = {
	[ENUM_GRANT_SOURCE] = {"grant_source",
	{"subscription", "one_time_purchase", "shared_purchase", "server_grant", "promo_campaign", "promo_code"}},
	[ENUM_GRANT_STATE] = {"grant_state", {"pending", "active", "ended"}},
	[ENUM_GRANT_MODE] = {"grant_mode", {"extend", "replace", "max", "keep"}},
	[ENUM_EVENT_TYPE] = {"event_type",
		{"subscription_started", "subscription_renewed", "subscription_renewal_cancelled",
			"subscription_renewal_reactivated", "subscription_expired", "subscription_paused",
			"subscription_deferred", "subscription_refunded", "non_subscription_purchase",
			"non_subscription_purchase_refunded", "trial_started", "trial_converted",
			"trial_renewal_cancelled", "trial_renewal_reactivated", "trial_expired",
			"entered_grace_period", "billing_issue_detected", "access_level_updated",
	"trial_active", "subscription_active"}},
	[ENUM_SUBSCRIPTION_STATE] = {"subscription_state",
		{"never_subscribed", "active_trial", "trial_cancelled", "subscribed", "auto_renew_off",
	"grace_period", "billing_issue", "subscription_cancelled"}},
	[ENUM_OFFER_CATEGORY] = {"offer_category", {"introductory", "promotional", "offer_code", "win_back"}},
	[ENUM_OFFER_TYPE] = {"offer_type", {"free_trial", "pay_as_you_go", "pay_up_front"}},
	[ENUM_CANCELLATION_REASON] = {"cancellation_reason",
		{"billing_error", "cancelled_by_developer", "new_subscription_replace", "price_increase",
			"product_was_not_available", "refund", "unknown", "upgraded", "voluntarily_cancelled",
	"adapty_revoked"}},
};

static ExtState state;
static bool state_valid = false;
static bool state_version_matches = false;
static char state_version[64];

/* One of our tables changed, or everything may have: look again at the next use. */
static void
relation_changed(Datum arg, Oid relid)
{
	(void) arg;
	if (relid != InvalidOid)
	{
		bool		ours = false;

		for (int i = 0; i < N_TABLES; i++)
			ours = ours || state.tables[i] == relid;
		for (int i = 0; i < N_INDEXES; i++)
			ours = ours || state.indexes[i] == relid;
		if (!ours)
			return;
	}
	state_valid = false;
}

/* Registers the invalidation callback; once a process. */
void
ext_state_init(void)
{
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
}

/* OID, schema and version of the extension from pg_extension; false if it is not here. */
static bool
read_extension(Oid *extension, Oid *schema)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("adapty"));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_extension form = (Form_pg_extension) GETSTRUCT(tuple);
		bool		isnull;
		Datum		version = heap_getattr(tuple, Anum_pg_extension_extversion,
										   RelationGetDescr(rel), &isnull);

		*extension = form->oid;
		*schema = form->extnamespace;
		strlcpy(state_version, isnull ? "" : TextDatumGetCString(version), sizeof(state_version));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return HeapTupleIsValid(tuple);
}

/* OIDs of the enum types and their labels; false if one is missing (SQL of another version). */
static bool
read_enums(void)
{
	for (int t = 0; t < N_ENUMS; t++)
	{
		Oid			type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
										   CStringGetDatum(enum_names[t].type),
										   ObjectIdGetDatum(state.schema));

		if (!OidIsValid(type))
			return false;
		state.enums[t] = type;
		for (int l = 0; enum_names[t].labels[l] != NULL; l++)
		{
			NameData	label;
			HeapTuple	tuple;

			namestrcpy(&label, enum_names[t].labels[l]);
			tuple = SearchSysCache2(ENUMTYPOIDNAME, ObjectIdGetDatum(type), NameGetDatum(&label));
			if (!HeapTupleIsValid(tuple))
				return false;
			state.labels[t][l] = ((Form_pg_enum) GETSTRUCT(tuple))->oid;
			ReleaseSysCache(tuple);
		}
	}
	return true;
}

/* Fills the state from the catalogs; false if the extension is not here. */
static bool
read_state(void)
{
	bool		complete = true;
	HeapTuple	tuple;

	memset(&state, 0, sizeof(state));
	if (!read_extension(&state.extension, &state.schema))
		return false;

	for (int i = 0; i < N_TABLES; i++)
	{
		state.tables[i] = get_relname_relid(table_names[i], state.schema);
		complete = complete && OidIsValid(state.tables[i]);
	}
	for (int i = 0; i < N_INDEXES; i++)
	{
		state.indexes[i] = get_relname_relid(index_names[i], state.schema);
		complete = complete && OidIsValid(state.indexes[i]);
	}
	complete = complete && read_enums();

	if (complete)
	{
		tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(state.tables[TABLE_PROFILES]));
		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for relation %u", state.tables[TABLE_PROFILES]);
		state.owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
	}
	state_version_matches = complete && strcmp(state_version, ADAPTY_VERSION) == 0;
	return true;
}

/* See ext_state.h.  Must be called in a transaction. */
const ExtState *
ext_state_if_installed(bool *version_matches)
{
	if (!state_valid)
	{
		/* Set first: an invalidation that arrives while reading must not be lost. */
		state_valid = true;
		if (!read_state())
		{
			state_valid = false;
			return NULL;
		}
		/* An incomplete state is not kept: nothing would tell that it became complete. */
		state_valid = state_valid && state_version_matches;
	}
	if (version_matches != NULL)
		*version_matches = state_version_matches;
	return &state;
}

/* See ext_state.h. */
const ExtState *
ext_state(void)
{
	bool		version_matches;

	if (likely(state_valid))
		return &state;
	if (ext_state_if_installed(&version_matches) == NULL)
		ereport(ERROR,
				(condition_errcode(COND_EXTENSION_OUTDATED),
				 errmsg("extension \"adapty\" is not installed in this database"),
				 errhint("Run CREATE EXTENSION adapty.")));
	if (!version_matches)
		ereport(ERROR,
				(condition_errcode(COND_EXTENSION_OUTDATED),
				 errmsg("the library of extension \"adapty\" is version %s, but its SQL objects are version %s",
						ADAPTY_VERSION, state_version),
				 errhint("Run ALTER EXTENSION adapty UPDATE.")));
	return &state;
}

/* See ext_state.h. */
Datum
enum_datum(AdaptyEnum type, int value)
{
	Assert(value >= 0 && value < MAX_ENUM_LABELS);
	return ObjectIdGetDatum(ext_state()->labels[type][value]);
}

/* See ext_state.h. */
int
enum_value(AdaptyEnum type, Datum label)
{
	const ExtState *ext = ext_state();
	Oid			oid = DatumGetObjectId(label);

	for (int l = 0; enum_names[type].labels[l] != NULL; l++)
		if (ext->labels[type][l] == oid)
			return l;
	elog(ERROR, "unknown value %u of enum adapty.%s", oid, enum_names[type].type);
}

/* See ext_state.h. */
const char *
enum_label(AdaptyEnum type, int value)
{
	return enum_names[type].labels[value];
}

/* See ext_state.h. */
int
enum_value_of_label(AdaptyEnum type, const char *label)
{
	for (int l = 0; enum_names[type].labels[l] != NULL; l++)
		if (strcmp(enum_names[type].labels[l], label) == 0)
			return l;
	return -1;
}

/*
 * adapty._ensure_role(name): creates a NOLOGIN role if it is missing.  Called by the install
 * script, which has no IF; runs with the installer's own rights.
 */
Datum
adapty_ensure_role(PG_FUNCTION_ARGS)
{
	Name		role = PG_GETARG_NAME(0);
	StringInfoData sql;

	if (SearchSysCacheExists1(AUTHNAME, NameGetDatum(role)))
		PG_RETURN_BOOL(false);

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE ROLE %s NOLOGIN", quote_identifier(NameStr(*role)));
	SPI_connect();
	if (SPI_execute(sql.data, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not create role \"%s\"", NameStr(*role));
	SPI_finish();
	PG_RETURN_BOOL(true);
}
