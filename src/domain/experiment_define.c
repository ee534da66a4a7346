/*
 * experiment_define.c
 *		Drafts of A/B tests: read from arguments, checked, written.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "base/arg.h"
#include "base/errors.h"
#include "base/json_fields.h"
#include "base/jsonb_build.h"
#include "base/plans.h"
#include "domain/experiment_assign.h"
#include "domain/experiment_define.h"
#include "domain/paywall.h"
#include "domain/placement.h"
#include "domain/segment.h"
#include "domain/targeting.h"

#define MIN_VARIATIONS 2
#define MAX_PLACEMENTS 100		/* of a test */

PG_FUNCTION_INFO_V1(adapty_define_ab_test);

/* A variation as it is asked for. */
typedef struct VariationChange
{
	char	   *name;
	int			weight;			/* hundredths of a percent; -1 if not given */
	pg_uuid_t  *paywall_ids;	/* one a placement */
} VariationChange;

static SavedPlan test_insert_plan = {
	.name = "new test",
	.sql = "INSERT INTO adapty.ab_tests (name, is_cross_placement, segment_id, goal) VALUES ($1, $2, $3, $4) "
	"RETURNING ab_test_id",
	.expected = SPI_OK_INSERT_RETURNING,
	.nargs = 4,
	.argtypes = {TEXTOID, BOOLOID, UUIDOID, TEXTOID},
};

static SavedPlan test_update_plan = {
	.name = "draft of a test",
	.sql = "UPDATE adapty.ab_tests t SET is_cross_placement = $2, segment_id = $3, goal = $4 "
	"WHERE t.name = $1 AND t.state = 'draft' RETURNING ab_test_id",
	.expected = SPI_OK_UPDATE_RETURNING,
	.nargs = 4,
	.argtypes = {TEXTOID, BOOLOID, UUIDOID, TEXTOID},
};

static SavedPlan variations_delete_plan = {
	.name = "variations to replace",
	.sql = "DELETE FROM adapty.ab_test_variations v WHERE v.ab_test_id = $1",
	.expected = SPI_OK_DELETE,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan variation_insert_plan = {
	.name = "variation of a test",
	.sql = "INSERT INTO adapty.ab_test_variations (ab_test_id, position, weight, name) VALUES ($1, $2, $3 / 100.0, $4)",
	.expected = SPI_OK_INSERT,
	.nargs = 4,
	.argtypes = {UUIDOID, INT2OID, INT4OID, TEXTOID},
};

static SavedPlan content_insert_plan = {
	.name = "content of a variation",
	.sql = "INSERT INTO adapty.variations (ab_test_id, position, placement_id, placement_position, paywall_id, segment_id) "
	"VALUES ($1, $2, $3, $4, $5, $6)",
	.expected = SPI_OK_INSERT,
	.nargs = 6,
	.argtypes = {UUIDOID, INT2OID, TEXTOID, INT2OID, UUIDOID, UUIDOID},
};

/* Types that the placements of a test have. */
static SavedPlan types_plan = {
	.name = "types of placements",
	.sql = "SELECT pg_catalog.string_agg(DISTINCT p.placement_type::text, ', '), "
	"    pg_catalog.count(DISTINCT p.placement_type), "
	"    pg_catalog.bool_or(p.placement_type = 'onboarding') "
	"FROM adapty.placements p WHERE p.placement_id = ANY ($1)",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {TEXTARRAYOID},
};

/* ---- reading ---- */

/* A weight in hundredths of a percent; -1 if it is not given. */
static int
read_weight(const JsonFields *fields)
{
	Numeric		weight = field_number(fields, "weight", false);
	double		hundredths;
	char	   *text;

	if (weight == NULL)
		return -1;
	text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(weight)));
	hundredths = strtod(text, NULL) * 100;
	if (!(hundredths >= 1 && hundredths < N_BUCKETS) || fabs(hundredths - rint(hundredths)) > 1e-6)
		field_error(fields, "weight", text, "A weight is a percentage above 0 and below 100, with at most two decimals.");
	return (int) rint(hundredths);
}

/* ERROR (22023): variation has no paywall for a placement. */
static void
read_paywalls(const JsonFields *fields, char **placements, int n_placements, VariationChange *variation)
{
	char	   *single = field_text(fields, "paywall", false, MAX_TARGETING_TITLE);
	JsonFields	several;
	bool		has_several = field_object(fields, "paywalls", false, &several);

	if ((single != NULL) == has_several)
		field_error(fields, "paywall", single,
					"A variation has either \"paywall\" or \"paywalls\", an object with one for each placement.");
	variation->paywall_ids = palloc(sizeof(pg_uuid_t) * n_placements);
	if (has_several)
	{
		const char **known = palloc0(sizeof(char *) * (n_placements + 1));

		for (int i = 0; i < n_placements; i++)
			known[i] = placements[i];
		fields_check_known(&several, known, "the placements of the test");
	}
	for (int i = 0; i < n_placements; i++)
		variation->paywall_ids[i] = paywall_lookup(has_several ?
												   field_text(&several, placements[i], true, MAX_TARGETING_TITLE) :
												   single);
}

/* Names that are blank, and weights that nobody gave: "Variant A" and so on, and even ones. */
static void
fill_variations(VariationChange *variations, int n)
{
	int			given = 0;
	int			total = 0;

	for (int i = 0; i < n; i++)
		given += variations[i].weight >= 0 ? 1 : 0;
	if (given != 0 && given != n)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("%d of %d variations have a weight", given, n),
				 errdetail("Give all of them one, or none for even ones."),
				 err_generic_string(PG_DIAG_COLUMN_NAME, "variations")));
	for (int i = 0; i < n; i++)
	{
		if (given == 0)
			variations[i].weight = N_BUCKETS * (i + 1) / n - N_BUCKETS * i / n;
		total += variations[i].weight;
		if (variations[i].name == NULL)
			variations[i].name = psprintf("Variant %c", 'A' + i);
		for (int j = 0; j < i; j++)
			if (strcmp(variations[j].name, variations[i].name) == 0)
				ereport(ERROR,
						(condition_errcode(COND_BASE_ERROR),
						 errmsg("variation \"%s\" is there twice", variations[i].name),
						 err_generic_string(PG_DIAG_COLUMN_NAME, "variations")));
	}
	if (total != N_BUCKETS)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("the weights add up to %g", total / 100.0),
				 errdetail("They are percentages and must add up to 100."),
				 err_generic_string(PG_DIAG_COLUMN_NAME, "variations")));
}

/* The argument variations, checked; the names of paywalls are looked up. */
static VariationChange *
read_variations(Jsonb *array, char **placements, int n_placements, int *n)
{
	static const char *const known[] = {"name", "weight", "paywall", "paywalls", NULL};
	JsonbValue *elements = json_array(array, "variations", n);
	VariationChange *variations = palloc0(sizeof(VariationChange) * (*n + 1));

	if (*n < MIN_VARIATIONS || *n > MAX_VARIATIONS)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("variations has %d elements", *n),
				 errdetail("A test has %d to %d variations.", MIN_VARIATIONS, MAX_VARIATIONS),
				 err_generic_string(PG_DIAG_COLUMN_NAME, "variations")));
	for (int i = 0; i < *n; i++)
	{
		JsonFields	fields;
		JsonbValue *name;

		json_element_object(&elements[i], "variations", i,
							"It must be an object with \"paywall\" or \"paywalls\" and, if you like, \"name\" and \"weight\".",
							&fields);
		fields_check_known(&fields, known, "a variation");
		name = jsonb_object_get(fields.object, "name");
		if (name == NULL || name->type != jbvString || name->val.string.len > 0)
			variations[i].name = field_text(&fields, "name", false, MAX_AB_TEST_NAME);
		variations[i].weight = read_weight(&fields);
		read_paywalls(&fields, placements, n_placements, &variations[i]);
	}
	fill_variations(variations, *n);
	return variations;
}

/* The argument placements: ids, each once. */
static char **
arg_placements(FunctionCallInfo fcinfo, int number, int *n)
{
	ArrayType  *array;
	Datum	   *values;
	bool	   *nulls;
	char	  **placements;

	if (PG_ARGISNULL(number))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("placements must not be null")));
	array = PG_GETARG_ARRAYTYPE_P(number);
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, n);
	if (*n < 1 || *n > MAX_PLACEMENTS)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("placements has %d elements", *n),
				 errdetail("A regular test has one placement, a cross-placement test 2 to %d.", MAX_PLACEMENTS)));
	placements = palloc(sizeof(char *) * *n);
	for (int i = 0; i < *n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("element %d of placements must not be null", i + 1)));
		placements[i] = TextDatumGetCString(values[i]);
		for (int j = 0; j < i; j++)
			if (strcmp(placements[j], placements[i]) == 0)
				ereport(ERROR,
						(condition_errcode(COND_BASE_ERROR),
						 errmsg("placement \"%s\" is there twice", placements[i])));
	}
	return placements;
}

/* ERROR if a placement does not exist, or if they do not go together in one test. */
static void
check_placements(char **placements, int n, Datum array)
{
	HeapTuple	row;
	TupleDesc	desc;
	bool		isnull;

	for (int i = 0; i < n; i++)
		placement_check(placements[i]);
	if (n == 1)
		return;
	(void) plan_execute(&types_plan, &array, NULL, false);
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	if (DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull)) > 1 ||
		DatumGetBool(SPI_getbinval(row, desc, 3, &isnull)))
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("placements of type %s cannot be in one test", SPI_getvalue(row, desc, 1)),
				 errdetail("A cross-placement test has placements of one type, which is not onboarding.")));
}

/* ---- writing ---- */

/* See experiment_define.h. */
void
experiment_write_variations(const pg_uuid_t *ab_test_id, const pg_uuid_t *segment_id, char **placements,
							int n_placements, Jsonb *array)
{
	int			n;
	VariationChange *variations = read_variations(array, placements, n_placements, &n);

	for (int i = 0; i < n; i++)
	{
		Datum		values[6] = {UUIDPGetDatum(ab_test_id), Int16GetDatum((int16) (i + 1)),
			Int32GetDatum(variations[i].weight), CStringGetTextDatum(variations[i].name)};

		(void) plan_execute(&variation_insert_plan, values, NULL, false);
		values[5] = UUIDPGetDatum(segment_id);
		for (int p = 0; p < n_placements; p++)
		{
			values[2] = CStringGetTextDatum(placements[p]);
			values[3] = Int16GetDatum((int16) (p + 1));
			values[4] = UUIDPGetDatum(&variations[i].paywall_ids[p]);
			(void) plan_execute(&content_insert_plan, values, segment_id == NULL ? "     n" : NULL, false);
		}
	}
}

/* Makes the draft's row, or changes it if the newest test of the name is a draft. */
static pg_uuid_t
put_test(const char *name, bool is_cross, const pg_uuid_t *segment_id, const char *goal)
{
	Datum		values[4] = {CStringGetTextDatum(name), BoolGetDatum(is_cross)};
	char		nulls[] = "    ";
	AbTest		known;
	pg_uuid_t	id;
	bool		isnull;
	bool		is_known = experiment_find(name, &known);

	if (is_known && strcmp(known.state, "draft") != 0)
		ereport(ERROR,
				(condition_errcode(COND_AB_TEST_STATE),
				 errmsg("A/B test \"%s\" is %s and does not change any more", name, known.state),
				 strcmp(known.state, "live") == 0 ?
				 errhint("adapty.modify_ab_test() stops it and starts a changed copy.") :
				 errhint("Give the new test another name.")));
	nulls[2] = segment_id == NULL ? 'n' : ' ';
	nulls[3] = goal == NULL ? 'n' : ' ';
	values[2] = UUIDPGetDatum(segment_id);
	if (goal != NULL)
		values[3] = CStringGetTextDatum(goal);
	(void) plan_execute(is_known ? &test_update_plan : &test_insert_plan, values, nulls, false);
	id = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	values[0] = UUIDPGetDatum(&id);
	if (is_known)
		(void) plan_execute(&variations_delete_plan, values, NULL, false);
	return id;
}

/* define_ab_test(name, placements, variations, segment, goal) → ab_test_id: a draft. */
Datum
adapty_define_ab_test(PG_FUNCTION_ARGS)
{
	char	   *name = arg_text(fcinfo, 0, "name", true, MAX_AB_TEST_NAME);
	int			n_placements;
	char	  **placements = arg_placements(fcinfo, 1, &n_placements);
	Jsonb	   *variations = arg_jsonb(fcinfo, 2, "variations");
	char	   *segment = arg_text(fcinfo, 3, "segment", false, MAX_TARGETING_TITLE);
	char	   *goal = arg_text(fcinfo, 4, "goal", false, MAX_GOAL);
	pg_uuid_t  *ab_test_id = palloc(sizeof(pg_uuid_t));
	pg_uuid_t	looks_like_id;
	pg_uuid_t	found;
	pg_uuid_t  *segment_id = segment == NULL ? NULL : &found;
	ApiScope	scope;

	if (parse_uuid(name, &looks_like_id))
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("name \"%s\" looks like an ab_test_id", name),
				 errdetail("A test is found by its name or its id.")));
	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	targeting_lock();
	check_placements(placements, n_placements, PG_GETARG_DATUM(1));
	if (segment_id != NULL)
		segment_find(segment, segment_id);
	*ab_test_id = put_test(name, n_placements > 1, segment_id, goal);
	experiment_write_variations(ab_test_id, segment_id, placements, n_placements, variations);
	scope_leave(&scope);
	PG_RETURN_UUID_P(ab_test_id);
}
