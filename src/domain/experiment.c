/*
 * experiment.c
 *		A/B tests: the only writer of ab_tests, ab_test_variations and the variations of tests.
 *
 * Life: a draft is written and rewritten; started, it is live and does not change; stopped, it is
 * completed; archived, it lets go of its segment.  What was live is never deleted: purchases name
 * its variations.  A name with a revision is one test; the name alone means the newest.
 *
 * A regular test runs at one placement as the content of an audience, in the audience's row.  A
 * cross-placement test has no such row: it comes before all audiences.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "base/arg.h"
#include "base/errors.h"
#include "base/plans.h"
#include "domain/experiment.h"
#include "domain/experiment_define.h"
#include "domain/paywall.h"
#include "domain/placement.h"
#include "domain/targeting.h"

PG_FUNCTION_INFO_V1(adapty_start_ab_test);
PG_FUNCTION_INFO_V1(adapty_stop_ab_test);
PG_FUNCTION_INFO_V1(adapty_archive_ab_test);
PG_FUNCTION_INFO_V1(adapty_delete_ab_test);
PG_FUNCTION_INFO_V1(adapty_modify_ab_test);
PG_FUNCTION_INFO_V1(adapty_show_ab_test);

#define TEST_COLUMNS "t.ab_test_id, t.name, t.revision, t.state::text, t.is_cross_placement, t.segment_id, t.goal"

static SavedPlan by_name_plan = {
	.name = "test of a name",
	.sql = "SELECT " TEST_COLUMNS " FROM adapty.ab_tests t WHERE t.name = $1 ORDER BY t.revision DESC LIMIT 1",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static SavedPlan by_id_plan = {
	.name = "test of an id",
	.sql = "SELECT " TEST_COLUMNS " FROM adapty.ab_tests t WHERE t.ab_test_id = $1",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan placements_plan = {
	.name = "placements of a test",
	.sql = "SELECT DISTINCT x.placement_id, x.placement_position FROM adapty.variations x "
	"WHERE x.ab_test_id = $1 ORDER BY x.placement_position",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan paywalls_plan = {
	.name = "paywalls of a test",
	.sql = "SELECT DISTINCT x.paywall_id FROM adapty.variations x WHERE x.ab_test_id = $1",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan start_plan = {
	.name = "started test",
	.sql = "UPDATE adapty.ab_tests t SET state = 'live', started_at = pg_catalog.clock_timestamp() "
	"WHERE t.ab_test_id = $1 AND t.state = 'draft'",
	.expected = SPI_OK_UPDATE,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan stop_plan = {
	.name = "stopped test",
	.sql = "UPDATE adapty.ab_tests t SET state = 'completed', completed_at = pg_catalog.clock_timestamp(), winner = $2 "
	"WHERE t.ab_test_id = $1 AND t.state = 'live'",
	.expected = SPI_OK_UPDATE,
	.nargs = 2,
	.argtypes = {UUIDOID, INT2OID},
};

static SavedPlan archive_plan = {
	.name = "archived test",
	.sql = "UPDATE adapty.ab_tests t SET state = 'archived', archived_at = pg_catalog.clock_timestamp(), "
	"    released_segment_id = t.segment_id, segment_id = NULL "
	"WHERE t.ab_test_id = $1 AND t.state = 'completed'",
	.expected = SPI_OK_UPDATE,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan delete_plan = {
	.name = "test to delete",
	.sql = "DELETE FROM adapty.ab_tests t WHERE t.ab_test_id = $1 AND t.state = 'draft'",
	.expected = SPI_OK_DELETE,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan winner_plan = {
	.name = "variation that wins",
	.sql = "SELECT v.position FROM adapty.ab_test_variations v WHERE v.ab_test_id = $1 AND v.name = $2",
	.expected = SPI_OK_SELECT,
	.nargs = 2,
	.argtypes = {UUIDOID, TEXTOID},
};

static SavedPlan names_plan = {
	.name = "names of variations",
	.sql = "SELECT pg_catalog.string_agg(v.name, ', ' ORDER BY v.position) FROM adapty.ab_test_variations v "
	"WHERE v.ab_test_id = $1",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan winner_paywall_plan = {
	.name = "paywall that wins",
	.sql = "SELECT x.paywall_id FROM adapty.variations x "
	"WHERE x.ab_test_id = $1 AND x.position = $2 AND x.placement_id = $3",
	.expected = SPI_OK_SELECT,
	.nargs = 3,
	.argtypes = {UUIDOID, INT2OID, TEXTOID},
};

static SavedPlan copy_plan = {
	.name = "copy of a test",
	.sql = "INSERT INTO adapty.ab_tests (name, revision, previous_id, is_cross_placement, segment_id, goal) "
	"SELECT t.name, t.revision + 1, t.ab_test_id, t.is_cross_placement, t.segment_id, COALESCE($2, t.goal) "
	"FROM adapty.ab_tests t WHERE t.ab_test_id = $1 RETURNING ab_test_id",
	.expected = SPI_OK_INSERT_RETURNING,
	.nargs = 2,
	.argtypes = {UUIDOID, TEXTOID},
};

static SavedPlan copy_variations_plan = {
	.name = "copy of a test's variations",
	.sql = "INSERT INTO adapty.ab_test_variations (ab_test_id, position, weight, name) "
	"SELECT $2, v.position, v.weight, v.name FROM adapty.ab_test_variations v WHERE v.ab_test_id = $1",
	.expected = SPI_OK_INSERT,
	.nargs = 2,
	.argtypes = {UUIDOID, UUIDOID},
};

static SavedPlan copy_content_plan = {
	.name = "copy of a test's content",
	.sql = "INSERT INTO adapty.variations (ab_test_id, position, placement_id, placement_position, paywall_id, segment_id) "
	"SELECT $2, x.position, x.placement_id, x.placement_position, x.paywall_id, x.segment_id "
	"FROM adapty.variations x WHERE x.ab_test_id = $1",
	.expected = SPI_OK_INSERT,
	.nargs = 2,
	.argtypes = {UUIDOID, UUIDOID},
};

static SavedPlan runs_at_plan = {
	.name = "test at an audience",
	.sql = "SELECT FROM adapty.ab_tests t JOIN adapty.variations x ON x.ab_test_id = t.ab_test_id "
	"WHERE t.ab_test_id = $1 AND t.state = 'live' AND NOT t.is_cross_placement "
	"AND x.placement_id = $2 AND t.segment_id IS NOT DISTINCT FROM $3",
	.expected = SPI_OK_SELECT,
	.nargs = 3,
	.argtypes = {UUIDOID, TEXTOID, UUIDOID},
};

static SavedPlan show_plan = {
	.name = "test to show",
	.sql = "SELECT pg_catalog.jsonb_build_object('ab_test_id', t.ab_test_id, 'name', t.name, 'revision', t.revision,"
	" 'state', t.state, 'is_cross_placement', t.is_cross_placement, 'goal', t.goal,"
	" 'segment', (SELECT s.name FROM adapty.segments s"
	"   WHERE s.segment_id = COALESCE(t.segment_id, t.released_segment_id)), 'previous_id', t.previous_id,"
	" 'winner', (SELECT v.name FROM adapty.ab_test_variations v"
	"   WHERE v.ab_test_id = t.ab_test_id AND v.position = t.winner),"
	" 'created_at', adapty._iso8601(t.created_at), 'started_at', adapty._iso8601(t.started_at),"
	" 'completed_at', adapty._iso8601(t.completed_at), 'archived_at', adapty._iso8601(t.archived_at),"
	" 'variations', (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('name', v.name, 'weight', v.weight,"
	"   'paywalls', (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('placement_id', x.placement_id,"
	"     'variation_id', x.variation_id, 'paywall_id', x.paywall_id, 'paywall', w.title) ORDER BY x.placement_position)"
	"    FROM adapty.variations x JOIN adapty.paywalls w ON w.paywall_id = x.paywall_id"
	"    WHERE x.ab_test_id = v.ab_test_id AND x.position = v.position)) ORDER BY v.position)"
	"  FROM adapty.ab_test_variations v WHERE v.ab_test_id = t.ab_test_id))"
	" FROM adapty.ab_tests t WHERE t.ab_test_id = $1",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

/* ---- finding tests ---- */

/* Reads the first result row of TEST_COLUMNS. */
static void
read_test(AbTest *test)
{
	HeapTuple	row = SPI_tuptable->vals[0];
	TupleDesc	desc = SPI_tuptable->tupdesc;
	Datum		value;
	bool		isnull;

	test->ab_test_id = *DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
	test->name = SPI_getvalue(row, desc, 2);
	test->revision = DatumGetInt32(SPI_getbinval(row, desc, 3, &isnull));
	test->state = SPI_getvalue(row, desc, 4);
	test->is_cross = DatumGetBool(SPI_getbinval(row, desc, 5, &isnull));
	value = SPI_getbinval(row, desc, 6, &isnull);
	test->segment_id = NULL;
	if (!isnull)
	{
		test->segment_id = palloc(sizeof(pg_uuid_t));
		*test->segment_id = *DatumGetUUIDP(value);
	}
	test->goal = SPI_getvalue(row, desc, 7);
}

/* See experiment_define.h. */
bool
experiment_find(const char *name, AbTest *test)
{
	Datum		values[1] = {CStringGetTextDatum(name)};

	if (plan_execute(&by_name_plan, values, NULL, false) == 0)
		return false;
	read_test(test);
	return true;
}

/* See experiment.h. */
void
experiment_load(const char *ab_test, AbTest *test)
{
	pg_uuid_t	id;
	Datum		values[1] = {UUIDPGetDatum(&id)};

	if (experiment_find(ab_test, test))
		return;
	if (!parse_uuid(ab_test, &id) || plan_execute(&by_id_plan, values, NULL, false) == 0)
		ereport(ERROR,
				(condition_errcode(COND_AB_TEST_DOES_NOT_EXIST),
				 errmsg("A/B test \"%s\" does not exist", ab_test),
				 errhint("A test is named by its name or its ab_test_id: see adapty.ab_tests.")));
	read_test(test);
}

/* See experiment.h. */
pg_uuid_t
experiment_lookup(const char *ab_test)
{
	ApiScope	scope;
	AbTest		test;

	scope_enter(&scope);
	experiment_load(ab_test, &test);
	scope_leave(&scope);
	return test.ab_test_id;
}

/* See experiment.h. */
pg_uuid_t
experiment_running_at(const char *ab_test, const char *placement_id, const pg_uuid_t *segment_id)
{
	AbTest		test;
	Datum		values[3];

	experiment_load(ab_test, &test);
	values[0] = UUIDPGetDatum(&test.ab_test_id);
	values[1] = CStringGetTextDatum(placement_id);
	values[2] = UUIDPGetDatum(segment_id);
	if (plan_execute(&runs_at_plan, values, segment_id == NULL ? "  n" : NULL, false) == 0)
		ereport(ERROR,
				(condition_errcode(COND_AB_TEST_STATE),
				 errmsg("A/B test \"%s\" does not run for %s of placement \"%s\"", test.name,
						audience_text(segment_id), placement_id),
				 errhint("Starting a test makes it the content of its audience: adapty.start_ab_test().")));
	return test.ab_test_id;
}

/* ERROR (55000) if a test is not in the state that an action wants. */
static void
check_state(const AbTest *test, const char *wanted, const char *action)
{
	if (strcmp(test->state, wanted) != 0)
		ereport(ERROR,
				(condition_errcode(COND_AB_TEST_STATE),
				 errmsg("A/B test \"%s\" is %s and cannot be %s", test->name, test->state, action),
				 errdetail("Only a test that is %s can be.", wanted)));
}

/* Loads the test of argument 0 for a change, all other changes locked out. */
static void
load_for_change(const char *ab_test, const char *state, const char *action, AbTest *test)
{
	targeting_lock();
	experiment_load(ab_test, test);
	check_state(test, state, action);
}

/* ---- life cycle ---- */

/* See experiment_define.h. */
char	  **
experiment_placements(const pg_uuid_t *ab_test_id, int *n)
{
	Datum		values[1] = {UUIDPGetDatum(ab_test_id)};
	char	  **placements;

	*n = (int) plan_execute(&placements_plan, values, NULL, false);
	placements = palloc(sizeof(char *) * (*n + 1));
	for (int i = 0; i < *n; i++)
		placements[i] = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
	return placements;
}

/* See experiment.h. */
void
experiment_check_placement(const AbTest *test, const char *placement_id)
{
	int			n;
	char	  **placements = experiment_placements(&test->ab_test_id, &n);

	for (int i = 0; i < n; i++)
		if (strcmp(placements[i], placement_id) == 0)
			return;
	ereport(ERROR,
			(condition_errcode(COND_PLACEMENT_DOES_NOT_EXIST),
			 errmsg("A/B test \"%s\" has no placement \"%s\"", test->name, placement_id),
			 errhint("Its placements are shown by adapty.show_ab_test().")));
}

/* Marks all paywalls of a test as live. */
static void
mark_paywalls(const pg_uuid_t *ab_test_id)
{
	Datum		values[1] = {UUIDPGetDatum(ab_test_id)};
	uint64		n = plan_execute(&paywalls_plan, values, NULL, false);
	SPITupleTable *rows = SPI_tuptable;
	bool		isnull;

	for (uint64 i = 0; i < n; i++)
		paywall_mark_live(DatumGetUUIDP(SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &isnull)));
}

/* Makes a draft live; a regular test takes its audience, from "replaced" if that runs there. */
static void
start(const pg_uuid_t *ab_test_id, bool is_cross, const pg_uuid_t *segment_id, const pg_uuid_t *replaced)
{
	Datum		values[1] = {UUIDPGetDatum(ab_test_id)};
	int			n;
	char	  **placements = experiment_placements(ab_test_id, &n);

	for (int i = 0; i < n; i++)
	{
		placement_check(placements[i]);
		if (!is_cross)
			placement_put_test(placements[i], segment_id, ab_test_id, replaced);
	}
	mark_paywalls(ab_test_id);
	(void) plan_execute(&start_plan, values, NULL, false);
}

/* start_ab_test(ab_test) */
Datum
adapty_start_ab_test(PG_FUNCTION_ARGS)
{
	char	   *ab_test = arg_text(fcinfo, 0, "ab_test", true, MAX_AB_TEST_NAME);
	AbTest		test;
	ApiScope	scope;

	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	load_for_change(ab_test, "draft", "started", &test);
	start(&test.ab_test_id, test.is_cross, test.segment_id, NULL);
	scope_leave(&scope);
	PG_RETURN_VOID();
}

/* The position of a variation that is named as the winner: ERROR (22023) listing those there are. */
static int16
winner_position(const AbTest *test, const char *winner)
{
	Datum		values[2] = {UUIDPGetDatum(&test->ab_test_id), CStringGetTextDatum(winner)};
	bool		isnull;

	if (plan_execute(&winner_plan, values, NULL, false) == 0)
	{
		(void) plan_execute(&names_plan, values, NULL, false);
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("A/B test \"%s\" has no variation \"%s\"", test->name, winner),
				 errhint("Its variations: %s.", SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1))));
	}
	return DatumGetInt16(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

/* What a placement shows to the audience of a stopped test. */
static void
put_successor(const AbTest *test, const char *placement_id, int16 winner, const char *paywall)
{
	const pg_uuid_t *replaced = test->is_cross ? NULL : &test->ab_test_id;
	pg_uuid_t	paywall_id;
	bool		isnull;

	if (winner > 0)
	{
		Datum		values[3] = {UUIDPGetDatum(&test->ab_test_id), Int16GetDatum(winner),
		CStringGetTextDatum(placement_id)};

		(void) plan_execute(&winner_paywall_plan, values, NULL, false);
		paywall_id = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	}
	else if (paywall != NULL)
		paywall_id = paywall_lookup(paywall);
	else
	{
		if (!test->is_cross)
			placement_drop_audience(placement_id, test->segment_id);
		return;
	}
	placement_put_paywall(placement_id, test->segment_id, &paywall_id, replaced);
}

/* Stops a test whose audience has been given other content; winner 0 for none. */
static void
complete(const pg_uuid_t *ab_test_id, int16 winner)
{
	Datum		values[2] = {UUIDPGetDatum(ab_test_id), Int16GetDatum(winner)};

	(void) plan_execute(&stop_plan, values, winner == 0 ? " n" : NULL, false);
}

/* stop_ab_test(ab_test, winner, paywall): what the audience sees then is a variation, a paywall, or nothing. */
Datum
adapty_stop_ab_test(PG_FUNCTION_ARGS)
{
	char	   *ab_test = arg_text(fcinfo, 0, "ab_test", true, MAX_AB_TEST_NAME);
	char	   *winner = arg_text(fcinfo, 1, "winner", false, MAX_AB_TEST_NAME);
	char	   *paywall = arg_text(fcinfo, 2, "paywall", false, MAX_TARGETING_TITLE);
	AbTest		test;
	ApiScope	scope;
	char	  **placements;
	int			n;
	int16		position = 0;

	if (winner != NULL && paywall != NULL)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("winner and paywall must not both be given")));
	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	load_for_change(ab_test, "live", "stopped", &test);
	if (winner == NULL && paywall == NULL && !test.is_cross && test.segment_id == NULL)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("A/B test \"%s\" is what all users see, so something must take its place", test.name),
				 errhint("Give winner, the name of a variation, or paywall.")));
	if (winner != NULL)
		position = winner_position(&test, winner);
	placements = experiment_placements(&test.ab_test_id, &n);
	for (int i = 0; i < n; i++)
		put_successor(&test, placements[i], position, paywall);
	complete(&test.ab_test_id, position);
	scope_leave(&scope);
	PG_RETURN_VOID();
}

/* archive_ab_test(ab_test) */
Datum
adapty_archive_ab_test(PG_FUNCTION_ARGS)
{
	char	   *ab_test = arg_text(fcinfo, 0, "ab_test", true, MAX_AB_TEST_NAME);
	AbTest		test;
	ApiScope	scope;
	Datum		values[1];

	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	load_for_change(ab_test, "completed", "archived", &test);
	values[0] = UUIDPGetDatum(&test.ab_test_id);
	(void) plan_execute(&archive_plan, values, NULL, false);
	scope_leave(&scope);
	PG_RETURN_VOID();
}

/* delete_ab_test(ab_test): only a draft. */
Datum
adapty_delete_ab_test(PG_FUNCTION_ARGS)
{
	char	   *ab_test = arg_text(fcinfo, 0, "ab_test", true, MAX_AB_TEST_NAME);
	AbTest		test;
	ApiScope	scope;
	Datum		values[1];

	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	load_for_change(ab_test, "draft", "deleted", &test);
	values[0] = UUIDPGetDatum(&test.ab_test_id);
	(void) plan_execute(&delete_plan, values, NULL, false);
	scope_leave(&scope);
	PG_RETURN_VOID();
}

/* A draft of the next revision of a test, with its variations or others. */
static pg_uuid_t
copy_test(const AbTest *test, const char *goal, Jsonb *variations)
{
	pg_uuid_t	copy;
	Datum		values[2] = {UUIDPGetDatum(&test->ab_test_id), 0};
	bool		isnull;

	if (goal != NULL)
		values[1] = CStringGetTextDatum(goal);
	(void) plan_execute(&copy_plan, values, goal == NULL ? " n" : NULL, false);
	copy = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	if (variations != NULL)
	{
		int			n;
		char	  **placements = experiment_placements(&test->ab_test_id, &n);

		experiment_write_variations(&copy, test->segment_id, placements, n, variations);
		return copy;
	}
	values[1] = UUIDPGetDatum(&copy);
	(void) plan_execute(&copy_variations_plan, values, NULL, false);
	(void) plan_execute(&copy_content_plan, values, NULL, false);
	return copy;
}

/* modify_ab_test(ab_test, variations, goal): stops a running test and starts its changed copy at once. */
Datum
adapty_modify_ab_test(PG_FUNCTION_ARGS)
{
	char	   *ab_test = arg_text(fcinfo, 0, "ab_test", true, MAX_AB_TEST_NAME);
	Jsonb	   *variations = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
	char	   *goal = arg_text(fcinfo, 2, "goal", false, MAX_GOAL);
	pg_uuid_t  *copy = palloc(sizeof(pg_uuid_t));
	AbTest		test;
	AbTest		newest;
	ApiScope	scope;

	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	load_for_change(ab_test, "live", "modified", &test);
	if (experiment_find(test.name, &newest) && newest.revision != test.revision)
		ereport(ERROR,
				(condition_errcode(COND_AB_TEST_STATE),
				 errmsg("A/B test \"%s\" has a newer revision, %d", test.name, newest.revision)));
	*copy = copy_test(&test, goal, variations);
	start(copy, test.is_cross, test.segment_id, &test.ab_test_id);
	complete(&test.ab_test_id, 0);
	scope_leave(&scope);
	PG_RETURN_UUID_P(copy);
}

/* show_ab_test(ab_test) → jsonb */
Datum
adapty_show_ab_test(PG_FUNCTION_ARGS)
{
	char	   *ab_test = arg_text(fcinfo, 0, "ab_test", true, MAX_AB_TEST_NAME);
	AbTest		test;
	ApiScope	scope;
	Datum		values[1];
	Datum		result;
	bool		isnull;

	scope_enter(&scope);
	experiment_load(ab_test, &test);
	values[0] = UUIDPGetDatum(&test.ab_test_id);
	(void) plan_execute(&show_plan, values, NULL, false);
	result = scope_copy(&scope, 0, 1, &isnull);
	scope_leave(&scope);
	PG_RETURN_DATUM(result);
}
