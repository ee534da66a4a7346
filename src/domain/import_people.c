/*
 * import_people.c
 *		Second step of a load: the users of the file get profiles, and what the file says of them.
 *
 * Whoever has no profile gets one; whoever has one is locked, in the order of profile_id, so that two
 * loads wait for each other and never in a circle.  What a profile has already is newer than a file
 * of the past: the file only fills what is empty.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/errors.h"
#include "base/plans.h"
#include "domain/identity.h"
#include "domain/import_load.h"

#define MAX_ROUNDS 10

static const RowSetColumn user_columns[] = {
	{"user_no", INT4OID}, {"user_id", TEXTOID}, {"profile_id", UUIDOID}, {"created_at", TIMESTAMPTZOID},
};

static const RowSetColumn profile_columns[] = {{"user_no", INT4OID}, {"profile_id", UUIDOID}};

/* Waits for a concurrent transaction that is taking one of the ids; what it took is found next. */
static SavedPlan create_plan = {
	.name = "profiles of an import",
	.sql = "WITH made AS (INSERT INTO adapty.identities (customer_user_id, profile_id) "
	"    SELECT u.user_id, u.profile_id FROM import_users u WHERE NOT EXISTS "
	"        (SELECT FROM adapty.identities i WHERE i.customer_user_id = u.user_id) "
	"    ORDER BY u.user_id COLLATE \"C\" ON CONFLICT DO NOTHING RETURNING profile_id) "
	"INSERT INTO adapty.profiles (profile_id, created_at) "
	"SELECT u.profile_id, COALESCE(u.created_at, pg_catalog.now()) "
	"FROM import_users u JOIN made m ON m.profile_id = u.profile_id",
	.expected = SPI_OK_INSERT,
};

static SavedPlan lock_plan = {
	.name = "lock of the profiles of an import",
	.sql = "SELECT u.user_no, p.profile_id, p.test_clock_offset FROM import_users u "
	"JOIN adapty.identities i ON i.customer_user_id = u.user_id AND i.profile_id <> u.profile_id "
	"JOIN adapty.profiles p ON p.profile_id = i.profile_id "
	"ORDER BY p.profile_id FOR NO KEY UPDATE OF p",
	.expected = SPI_OK_SELECT,
};

/*
 * The first value in the file's order counts where rows of one user differ.  Custom attributes are
 * added to those that are there, as far as they are not, and not at all if they would be too many.
 */
#define FIRST(column) \
	"(pg_catalog.array_agg(p." column " ORDER BY p.row_id) FILTER (WHERE p." column " IS NOT NULL))[1] AS " column

#define FILLED \
	"COALESCE(p.first_name, m.first_name), COALESCE(p.last_name, m.last_name), " \
	"COALESCE(p.gender, m.gender::adapty.gender), COALESCE(p.email, m.email), " \
	"COALESCE(p.phone_number, m.phone_number), " \
	"COALESCE(p.birthday, pg_catalog.to_date(m.birthday, 'YYYY-MM-DD')), " \
	"COALESCE(p.ip_country, m.country), GREATEST(p.last_seen_at, m.last_seen_at), " \
	"CASE WHEN adapty.is_custom_attributes(c.merged) THEN c.merged ELSE p.custom_attributes END"

#define FILLABLE(alias) \
	alias "first_name, " alias "last_name, " alias "gender, " alias "email, " alias "phone_number, " \
	alias "birthday, " alias "ip_country, " alias "last_seen_at, " alias "custom_attributes"

static SavedPlan fill_plan = {
	.name = "profile data of an import",
	.sql = "UPDATE adapty.profiles AS t SET updated_at = pg_catalog.now(), (" FILLABLE("") ") = ROW(" FILLABLE("f.") ") "
	"FROM (SELECT p.profile_id, v.* FROM import_profiles u JOIN (SELECT p.user_no, "
	FIRST("first_name") ", " FIRST("last_name") ", " FIRST("gender") ", " FIRST("email") ", "
	FIRST("phone_number") ", " FIRST("birthday") ", " FIRST("country") ", " FIRST("custom") ", "
	"    pg_catalog.max(p.last_seen_at) AS last_seen_at FROM import_people p GROUP BY p.user_no) m "
	"    ON m.user_no = u.user_no "
	"JOIN adapty.profiles p ON p.profile_id = u.profile_id "
	"CROSS JOIN LATERAL (SELECT pg_catalog.jsonb_strip_nulls(COALESCE(m.custom, '{}')) || p.custom_attributes::pg_catalog.jsonb AS merged) c "
	"CROSS JOIN LATERAL (SELECT " FILLED ") v (" FILLABLE("") ")) f "
	"WHERE t.profile_id = f.profile_id AND ROW(" FILLABLE("t.") ") IS DISTINCT FROM ROW(" FILLABLE("f.") ")",
	.expected = SPI_OK_UPDATE,
};

/* A device has no id in the file: the same ids of the same user make the same one. */
static SavedPlan devices_plan = {
	.name = "devices of an import",
	.sql = "INSERT INTO adapty.installations (profile_id, device_id, platform, idfa, idfv, advertising_id) "
	"SELECT DISTINCT ON (u.profile_id, d.device_id) u.profile_id, d.device_id, p.platform::adapty.platform, "
	"    p.idfa, p.idfv, p.advertising_id "
	"FROM import_people p JOIN import_profiles u ON u.user_no = p.user_no "
	"CROSS JOIN LATERAL (SELECT pg_catalog.md5(pg_catalog.concat_ws(' ', u.profile_id, "
	"    'a' || p.idfa, 'v' || p.idfv, 'g' || p.advertising_id))::pg_catalog.uuid) d (device_id) "
	"WHERE COALESCE(p.idfa, p.idfv, p.advertising_id) IS NOT NULL "
	"ORDER BY u.profile_id, d.device_id, p.row_id ON CONFLICT DO NOTHING",
	.expected = SPI_OK_INSERT,
};

static SavedPlan identifiers_plan = {
	.name = "integration identifiers of an import",
	.sql = "INSERT INTO adapty.integration_identifiers (profile_id, name, value) "
	"SELECT u.profile_id, e.key, e.value FROM import_people p "
	"JOIN import_profiles u ON u.user_no = p.user_no "
	"CROSS JOIN LATERAL pg_catalog.jsonb_each_text(p.identifiers) e "
	"ORDER BY u.profile_id, e.key, p.row_id ON CONFLICT DO NOTHING",
	.expected = SPI_OK_INSERT,
};

static SavedPlan attributions_plan = {
	.name = "attributions of an import",
	.sql = "INSERT INTO adapty.attributions (profile_id, source, status, channel, campaign, ad_group, ad_set, creative) "
	"SELECT u.profile_id, e.key, COALESCE(e.value ->> 'status', 'unknown')::adapty.attribution_status, "
	"    e.value ->> 'channel', e.value ->> 'campaign', e.value ->> 'ad_group', e.value ->> 'ad_set', "
	"    e.value ->> 'creative' "
	"FROM import_people p JOIN import_profiles u ON u.user_no = p.user_no "
	"CROSS JOIN LATERAL pg_catalog.jsonb_each(p.attributions) e "
	"ORDER BY u.profile_id, e.key, p.row_id ON CONFLICT DO NOTHING",
	.expected = SPI_OK_INSERT,
};

/* The users as a set; each is known from the start by the profile_id that it would get. */
static void
register_users(ImportLoad *load)
{
	RowSet	   *set = import_set(load, "import_users", user_columns, lengthof(user_columns));

	for (int i = 0; i < load->n_users; i++)
	{
		ImportUser *user = &load->users[i];
		TimestampTz created_at = HAS_TIME(user->created_at) ? user->created_at : user->first_purchase;
		Datum		values[4] = {Int32GetDatum(i), CStringGetTextDatum(user->user_id),
		UUIDPGetDatum(&user->profile_id), TimestampTzGetDatum(created_at)};
		bool		nulls[4] = {false, false, false, !HAS_TIME(created_at)};

		row_set_put(set, values, nulls);
		pfree(DatumGetPointer(values[1]));
	}
	row_set_register(set);
}

/* Takes what the lock found; how many users that resolved. */
static int
take_locked(ImportLoad *load, uint64 n)
{
	TupleDesc	desc = SPI_tuptable->tupdesc;

	for (uint64 i = 0; i < n; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		bool		isnull;
		ImportUser *user = &load->users[DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull))];

		user->profile_id = *DatumGetUUIDP(SPI_getbinval(row, desc, 2, &isnull));
		user->test_clock_offset = DatumGetInt64(SPI_getbinval(row, desc, 3, &isnull));
		if (isnull)
			user->test_clock_offset = 0;
		user->is_resolved = true;
	}
	SPI_freetuptable(SPI_tuptable);
	return (int) n;
}

/*
 * Makes the profiles that are missing and locks those that are there, until that is all: between the
 * two somebody may have made or deleted one.
 */
static void
resolve_users(ImportLoad *load)
{
	for (int round = 0; round < MAX_ROUNDS; round++)
	{
		uint64		locked;

		CHECK_FOR_INTERRUPTS();
		load->profiles_created += plan_execute_once(&create_plan, NULL, NULL);
		locked = plan_execute_once(&lock_plan, NULL, NULL);
		if (load->profiles_created + (int64) locked < load->n_users)
		{
			SPI_freetuptable(SPI_tuptable);
			continue;
		}
		take_locked(load, locked);
		for (int i = 0; i < load->n_users; i++)
			load->users[i].is_new = !load->users[i].is_resolved;
		return;
	}
	ereport(ERROR,
			(condition_errcode(COND_SERIALIZATION_FAILURE),
			 errmsg("could not find all users of the import"),
			 errdetail("They are being created and deleted by others."),
			 errhint("The transaction might succeed if retried.")));
}

/* The users' profiles as a set. */
static void
register_profiles(ImportLoad *load)
{
	RowSet	   *set = import_set(load, "import_profiles", profile_columns, lengthof(profile_columns));
	bool		nulls[2] = {false, false};

	for (int i = 0; i < load->n_users; i++)
	{
		Datum		values[2] = {Int32GetDatum(i), UUIDPGetDatum(&load->users[i].profile_id)};

		row_set_put(set, values, nulls);
	}
	row_set_register(set);
}

/* See import_load.h. */
void
import_people(ImportLoad *load)
{
	MemoryContext old = MemoryContextSwitchTo(load->context);

	register_users(load);
	if (load->n_users > 0)
		resolve_users(load);
	load->now = clock_write_now();
	register_profiles(load);
	if (load->people->n > 0)
		(void) plan_execute_once(&fill_plan, NULL, NULL);
	if (load->has_devices)
		(void) plan_execute_once(&devices_plan, NULL, NULL);
	if (load->has_identifiers)
		(void) plan_execute_once(&identifiers_plan, NULL, NULL);
	if (load->has_attributions)
		(void) plan_execute_once(&attributions_plan, NULL, NULL);
	MemoryContextSwitchTo(old);
}

/* See import_load.h. */
void
import_locked_profile(const ImportLoad *load, const ImportUser *user, LockedProfile *profile)
{
	profile->profile_id = user->profile_id;
	profile->test_clock_offset = user->test_clock_offset;
	profile->now = load->now;
	profile->profile_now = load->now + user->test_clock_offset;
}
