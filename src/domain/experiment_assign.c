/*
 * experiment_assign.c
 *		Which variation of a test a user has: the only writer of ab_test_assignments.
 *
 * The hash.  Test id and profile id are four 64-bit words, most significant byte first: t1 t2 p1 p2.
 * They are absorbed one by one,
 *		h = mix((h ^ word) + 0x9e3779b97f4a7c15), from h = 0,
 * where mix is the finaliser of splitmix64 (Stafford's variant 13), a bijection in which each bit of
 * the input changes each bit of the output with probability one half:
 *		h ^= h >> 30; h *= 0xbf58476d1ce4e5b9; h ^= h >> 27; h *= 0x94d049bb133111eb; h ^= h >> 31
 * The bucket is floor(h * 10000 / 2^64), by the upper half of the product: 10,000 does not divide
 * 2^64, but the difference between buckets is less than one in 10^15.  The whole key goes in, so
 * ids that were made one after the other (version 7 uuids differ in few bits) have nothing to do
 * with each other, nor has a user's bucket in one test with that in another.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/arg.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/direct.h"
#include "base/errors.h"
#include "base/plans.h"
#include "domain/experiment.h"
#include "domain/experiment_assign.h"
#include "domain/identity.h"
#include "domain/profile.h"
#include "domain/segment.h"

/* Attribute numbers in adapty.ab_test_assignments. */
#define ASSIGNMENT_ASSIGNED_AT 3
#define ASSIGNMENT_POSITION 4

PG_FUNCTION_INFO_V1(adapty_ab_test_bucket);

static SavedPlan find_plan = {
	.name = "assignment",
	.sql = "SELECT a.position, a.assigned_at FROM adapty.ab_test_assignments a "
	"WHERE a.profile_id = $1 AND a.ab_test_id = $2",
	.expected = SPI_OK_SELECT,
	.nargs = 2,
	.argtypes = {UUIDOID, UUIDOID},
};

static SavedPlan insert_plan = {
	.name = "new assignment",
	.sql = "INSERT INTO adapty.ab_test_assignments (profile_id, ab_test_id, position, is_inherited, assigned_at) "
	"SELECT p.profile_id, $2, $3, $4, pg_catalog.clock_timestamp() FROM adapty.profiles p "
	"WHERE p.profile_id = $1 FOR KEY SHARE ON CONFLICT DO NOTHING",
	.expected = SPI_OK_INSERT,
	.nargs = 4,
	.argtypes = {UUIDOID, UUIDOID, INT2OID, BOOLOID},
};

/* What the user had in the tests of which this one is a modification, nearest first. */
static SavedPlan inherited_plan = {
	.name = "assignment in an earlier test",
	.sql = "WITH RECURSIVE earlier (ab_test_id, depth) AS ("
	"    SELECT t.previous_id, 1 FROM adapty.ab_tests t WHERE t.ab_test_id = $2 AND t.previous_id IS NOT NULL"
	"    UNION ALL SELECT t.previous_id, e.depth + 1 FROM earlier e"
	"    JOIN adapty.ab_tests t ON t.ab_test_id = e.ab_test_id WHERE t.previous_id IS NOT NULL) "
	"SELECT v.position FROM earlier e "
	"JOIN adapty.ab_test_assignments a ON a.profile_id = $1 AND a.ab_test_id = e.ab_test_id "
	"JOIN adapty.ab_test_variations o ON o.ab_test_id = a.ab_test_id AND o.position = a.position "
	"JOIN adapty.ab_test_variations v ON v.ab_test_id = $2 AND v.name = o.name "
	"ORDER BY e.depth LIMIT 1",
	.expected = SPI_OK_SELECT,
	.nargs = 2,
	.argtypes = {UUIDOID, UUIDOID},
};

static SavedPlan variation_name_plan = {
	.name = "name of a variation",
	.sql = "SELECT v.name FROM adapty.ab_test_variations v WHERE v.ab_test_id = $1 AND v.position = $2",
	.expected = SPI_OK_SELECT,
	.nargs = 2,
	.argtypes = {UUIDOID, INT2OID},
};

/* The finaliser of splitmix64. */
static uint64
mix(uint64 h)
{
	h ^= h >> 30;
	h *= UINT64CONST(0xbf58476d1ce4e5b9);
	h ^= h >> 27;
	h *= UINT64CONST(0x94d049bb133111eb);
	return h ^ (h >> 31);
}

/* Absorbs the two words of a uuid. */
static uint64
absorb(uint64 h, const pg_uuid_t *uuid)
{
	for (int half = 0; half < 2; half++)
	{
		uint64		word = 0;

		for (int i = 0; i < 8; i++)
			word = word << 8 | uuid->data[8 * half + i];
		h = mix((h ^ word) + UINT64CONST(0x9e3779b97f4a7c15));
	}
	return h;
}

/* See experiment_assign.h. */
int
experiment_bucket(const pg_uuid_t *ab_test_id, const pg_uuid_t *profile_id)
{
	uint64		h = absorb(absorb(0, ab_test_id), profile_id);
	uint64		upper = (h >> 32) * N_BUCKETS;
	uint64		lower = (h & UINT64CONST(0xffffffff)) * N_BUCKETS;

	/* The upper 64 bits of the 128-bit product. */
	return (int) ((upper + (lower >> 32)) >> 32);
}

/* See experiment_assign.h. */
int
experiment_draw(const TargetTest *test, const pg_uuid_t *profile_id)
{
	int			bucket = experiment_bucket(&test->ab_test_id, profile_id);

	for (int i = 0; i < test->n; i++)
		if (bucket < test->bounds[i])
			return i + 1;
	return test->n;
}

/* ab_test_bucket(ab_test_id, profile_id): strict. */
Datum
adapty_ab_test_bucket(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(experiment_bucket(PG_GETARG_UUID_P(0), PG_GETARG_UUID_P(1)));
}

/* ---- recorded assignments ---- */

/* The assignment by SPI; read_only sees the statement's snapshot, else the newest. */
static int
find_by_spi(const pg_uuid_t *ab_test_id, const pg_uuid_t *profile_id, bool read_only, TimestampTz *assigned_at)
{
	Datum		values[2] = {UUIDPGetDatum(profile_id), UUIDPGetDatum(ab_test_id)};
	ApiScope	scope;
	int			position = 0;
	bool		isnull;

	scope_enter(&scope);
	if (plan_execute(&find_plan, values, NULL, read_only) > 0)
	{
		position = DatumGetInt16(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
		*assigned_at = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	}
	scope_leave(&scope);
	return position;
}

/* See experiment_assign.h. */
int
assignment_find(FunctionCallInfo fcinfo, const TargetTest *test, const pg_uuid_t *profile_id,
				bool newest, TimestampTz *assigned_at)
{
	Datum		keys[2] = {UUIDPGetDatum(profile_id), UUIDPGetDatum(&test->ab_test_id)};
	DirectScan *scan;
	TupleTableSlot *slot;
	int			position = 0;
	bool		isnull;

	if (newest || !direct_attach(direct_owner(fcinfo), TABLE_AB_TEST_ASSIGNMENTS, DIRECT_READ))
		return find_by_spi(&test->ab_test_id, profile_id, !newest, assigned_at);
	scan = direct_begin(INDEX_AB_TEST_ASSIGNMENTS_PKEY, keys, 2, GetActiveSnapshot());
	slot = direct_next(scan);
	if (slot != NULL)
	{
		position = DatumGetInt16(slot_getattr(slot, ASSIGNMENT_POSITION, &isnull));
		*assigned_at = DatumGetTimestampTz(slot_getattr(slot, ASSIGNMENT_ASSIGNED_AT, &isnull));
	}
	direct_end(scan);
	return position;
}

/* What a user had in the test that this one modifies; 0 for nothing. */
static int
inherited_position(const TargetTest *test, const pg_uuid_t *profile_id)
{
	Datum		values[2] = {UUIDPGetDatum(profile_id), UUIDPGetDatum(&test->ab_test_id)};
	ApiScope	scope;
	int			position = 0;
	bool		isnull;

	/* Whoever is in a cross-placement test stays in that very test. */
	if (!test->has_previous || test->is_cross)
		return 0;
	scope_enter(&scope);
	if (plan_execute(&inherited_plan, values, NULL, true) > 0)
		position = DatumGetInt16(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	scope_leave(&scope);
	return position;
}

/* See experiment_assign.h. */
int
assignment_preview(const TargetTest *test, const pg_uuid_t *profile_id)
{
	int			position = inherited_position(test, profile_id);

	return position > 0 ? position : experiment_draw(test, profile_id);
}

/* See experiment_assign.h. */
int
assignment_make(const TargetTest *test, const pg_uuid_t *profile_id)
{
	int			inherited = inherited_position(test, profile_id);
	int			position = inherited > 0 ? inherited : experiment_draw(test, profile_id);
	Datum		values[4] = {UUIDPGetDatum(profile_id), UUIDPGetDatum(&test->ab_test_id),
	Int16GetDatum((int16) position), BoolGetDatum(inherited > 0)};
	TimestampTz assigned_at;
	ApiScope	scope;
	bool		made;

	scope_enter(&scope);
	made = plan_execute(&insert_plan, values, NULL, false) > 0;
	scope_leave(&scope);
	if (!made)
	{
		UserRef		user = {.profile_id = *profile_id};

		position = find_by_spi(&test->ab_test_id, profile_id, false, &assigned_at);
		if (position == 0)
			profile_not_found(&user);
	}
	/* Weights may have been edited into fewer variations by plain SQL. */
	return Min(position, test->n);
}

/* The name of a variation. */
static text *
variation_name(const TargetTest *test, int position)
{
	Datum		values[2] = {UUIDPGetDatum(&test->ab_test_id), Int16GetDatum((int16) position)};
	ApiScope	scope;
	Datum		name = (Datum) 0;
	bool		isnull;

	scope_enter(&scope);
	if (plan_execute(&variation_name_plan, values, NULL, true) > 0)
		name = scope_copy(&scope, 0, 1, &isnull);
	scope_leave(&scope);
	return name == (Datum) 0 ? NULL : DatumGetTextPP(name);
}

/* ---- assign_variation() ---- */

/* What a statement that calls assign_variation() for many users looks up once. */
typedef struct AssignCall
{
	char	   *ab_test;		/* as it was given */
	pg_uuid_t	ab_test_id;
} AssignCall;

/* The test of argument n. */
static pg_uuid_t
arg_test(FunctionCallInfo fcinfo, int n)
{
	char	   *ab_test = arg_text(fcinfo, n, "ab_test", true, MAX_AB_TEST_NAME);
	AssignCall *call = fcinfo->flinfo->fn_extra;

	if (call == NULL || strcmp(call->ab_test, ab_test) != 0)
	{
		call = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, sizeof(AssignCall));
		call->ab_test_id = experiment_lookup(ab_test);
		call->ab_test = MemoryContextStrdup(fcinfo->flinfo->fn_mcxt, ab_test);
		fcinfo->flinfo->fn_extra = call;
	}
	return call->ab_test_id;
}

/* The cached test; ERROR (55000) if it is a draft. */
static const TargetTest *
test_for_assignment(const char *ab_test, const pg_uuid_t *ab_test_id)
{
	const TargetTest *test;

	targeting_begin();
	test = targeting_test(ab_test_id);
	if (test == NULL || test->is_draft)
		ereport(ERROR,
				(condition_errcode(COND_AB_TEST_STATE),
				 errmsg("A/B test \"%s\" has not been started", ab_test),
				 errhint("Start it first: adapty.start_ab_test().")));
	return test;
}

/*
 * assign_variation(user, ab_test): the name of the user's variation, recorded if the test runs and
 * the user belongs to its audience; null if the user is not in the test.
 */
static Datum
assign_variation(FunctionCallInfo fcinfo, UserRef user)
{
	pg_uuid_t	ab_test_id;
	pg_uuid_t	profile_id;
	const TargetTest *test;
	TimestampTz assigned_at;
	int			position;
	text	   *name;

	refuse_unless_writable(fcinfo);
	ab_test_id = arg_test(fcinfo, 1);
	(void) direct_attach(direct_owner(fcinfo), TABLE_AB_TEST_ASSIGNMENTS, DIRECT_READ);
	user_resolve(&user, &profile_id);
	test = test_for_assignment(text_to_cstring(PG_GETARG_TEXT_PP(1)), &ab_test_id);
	position = assignment_find(fcinfo, test, &profile_id, false, &assigned_at);
	if (position == 0 && test->is_live && !test->is_cross &&
		(test->segment == NULL || segment_contains(test->segment, &profile_id)))
		position = assignment_make(test, &profile_id);
	name = position > 0 ? variation_name(test, position) : NULL;
	if (name == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(name);
}

FUNCTION_BY_USER(assign_variation);

/* ---- assign_variations() ---- */

/* $1 test, $2 profiles, $3 first bucket of each variation.  What a user has already stays. */
static SavedPlan assign_set_plan = {
	.name = "assignments of a set",
	.sql = "INSERT INTO adapty.ab_test_assignments (profile_id, ab_test_id, position, assigned_at) "
	"SELECT p.profile_id, $1, pg_catalog.width_bucket(adapty.ab_test_bucket($1, p.profile_id), $3)::smallint, $4 "
	"FROM pg_catalog.unnest($2) u (profile_id) JOIN adapty.profiles p ON p.profile_id = u.profile_id "
	"ON CONFLICT DO NOTHING",
	.expected = SPI_OK_INSERT,
	.nargs = 4,
	.argtypes = {UUIDOID, UUIDARRAYOID, INT4ARRAYOID, TIMESTAMPTZOID},
};

/* The same for a modification of another test: what a user had there stays as well. */
static SavedPlan inherit_set_plan = {
	.name = "inherited assignments of a set",
	.sql = "WITH RECURSIVE earlier (ab_test_id, depth) AS ("
	"    SELECT t.previous_id, 1 FROM adapty.ab_tests t WHERE t.ab_test_id = $1 AND t.previous_id IS NOT NULL"
	"    UNION ALL SELECT t.previous_id, e.depth + 1 FROM earlier e"
	"    JOIN adapty.ab_tests t ON t.ab_test_id = e.ab_test_id WHERE t.previous_id IS NOT NULL) "
	"INSERT INTO adapty.ab_test_assignments (profile_id, ab_test_id, position, is_inherited, assigned_at) "
	"SELECT p.profile_id, $1, COALESCE(h.position, "
	"    pg_catalog.width_bucket(adapty.ab_test_bucket($1, p.profile_id), $3)::smallint), h.position IS NOT NULL, $4 "
	"FROM pg_catalog.unnest($2) u (profile_id) JOIN adapty.profiles p ON p.profile_id = u.profile_id "
	"LEFT JOIN LATERAL (SELECT v.position FROM earlier e "
	"    JOIN adapty.ab_test_assignments a ON a.profile_id = p.profile_id AND a.ab_test_id = e.ab_test_id "
	"    JOIN adapty.ab_test_variations o ON o.ab_test_id = a.ab_test_id AND o.position = a.position "
	"    JOIN adapty.ab_test_variations v ON v.ab_test_id = $1 AND v.name = o.name "
	"    ORDER BY e.depth LIMIT 1) h ON true "
	"ON CONFLICT DO NOTHING",
	.expected = SPI_OK_INSERT,
	.nargs = 4,
	.argtypes = {UUIDOID, UUIDARRAYOID, INT4ARRAYOID, TIMESTAMPTZOID},
};

/* The first bucket of each variation, for width_bucket(). */
static Datum
first_buckets(const TargetTest *test)
{
	Datum		first[MAX_VARIATIONS];

	for (int i = 0; i < test->n; i++)
		first[i] = Int32GetDatum(i == 0 ? 0 : test->bounds[i - 1]);
	return PointerGetDatum(construct_array(first, test->n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}

/* Of an array of profiles those who are in a segment. */
static Datum
profiles_in_segment(Datum profiles, const char *segment)
{
	char	   *sql = psprintf("SELECT COALESCE(pg_catalog.array_agg(v.profile_id), '{}') FROM %s v "
							   "WHERE v.profile_id = ANY ($1)", segment_view(segment));
	Oid			type = UUIDARRAYOID;
	ApiScope	scope;
	Datum		result;
	bool		isnull;

	scope_enter(&scope);
	if (SPI_execute_with_args(sql, 1, &type, &profiles, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look up segment \"%s\"", segment);
	result = scope_copy(&scope, 0, 1, &isnull);
	scope_leave(&scope);
	return result;
}

PG_FUNCTION_INFO_V1(adapty_assign_variations);

/* assign_variations(ab_test, profile_ids) → how many are new */
Datum
adapty_assign_variations(PG_FUNCTION_ARGS)
{
	char	   *ab_test = arg_text(fcinfo, 0, "ab_test", true, MAX_AB_TEST_NAME);
	pg_uuid_t	ab_test_id;
	const TargetTest *test;
	Datum		values[4];
	ApiScope	scope;
	bool		has_previous;
	uint64		n;

	refuse_unless_writable(fcinfo);
	ab_test_id = experiment_lookup(ab_test);
	test = test_for_assignment(ab_test, &ab_test_id);
	if (!test->is_live || test->is_cross)
		ereport(ERROR,
				(condition_errcode(COND_AB_TEST_STATE),
				 test->is_cross ?
				 errmsg("A/B test \"%s\" is a cross-placement test", ab_test) :
				 errmsg("A/B test \"%s\" does not run any more", ab_test),
				 errdetail("Users enter a regular test that runs; a cross-placement test takes them in when they first ask for a paywall.")));
	/* What array_agg() makes of nobody. */
	if (PG_ARGISNULL(1))
		PG_RETURN_INT64(0);
	values[0] = UUIDPGetDatum(&ab_test_id);
	values[1] = test->segment == NULL ? PG_GETARG_DATUM(1) :
		profiles_in_segment(PG_GETARG_DATUM(1), test->segment);
	values[2] = first_buckets(test);
	has_previous = test->has_previous;
	values[3] = TimestampTzGetDatum(clock_write_now());
	scope_enter(&scope);
	n = plan_execute(has_previous ? &inherit_set_plan : &assign_set_plan, values, NULL, false);
	scope_leave(&scope);
	PG_RETURN_INT64((int64) n);
}
