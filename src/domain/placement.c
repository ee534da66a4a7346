/*
 * placement.c
 *		Placements and their audiences: the only writer of placements, audiences and the variations
 *		that are not of a test.
 *
 * The default audience, all users, has a priority of its own, which the table ties to it: so there
 * is never more than one, and it is always last.  The other audiences are numbered from 0.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "base/arg.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/json_fields.h"
#include "base/jsonb_build.h"
#include "base/plans.h"
#include "domain/experiment.h"
#include "domain/paywall.h"
#include "domain/placement.h"
#include "domain/segment.h"
#include "domain/targeting.h"

#define MAX_AUDIENCES 1000		/* of a placement */

PG_FUNCTION_INFO_V1(adapty_define_placement);
PG_FUNCTION_INFO_V1(adapty_delete_placement);
PG_FUNCTION_INFO_V1(adapty_show_placement);

/* An element of the argument audiences. */
typedef struct AudienceChange
{
	char	   *segment;		/* NULL for all users */
	char	   *paywall;		/* one of these two is NULL */
	char	   *ab_test;
} AudienceChange;

static SavedPlan find_plan = {
	.name = "placement to change",
	.sql = "SELECT p.placement_type::text FROM adapty.placements p WHERE p.placement_id = $1",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static SavedPlan insert_plan = {
	.name = "new placement",
	.sql = "INSERT INTO adapty.placements (placement_id, title, placement_type, is_active) "
	"VALUES ($1, COALESCE($2, $1), COALESCE($4, 'paywall')::adapty.placement_type, COALESCE($3, true))",
	.expected = SPI_OK_INSERT,
	.nargs = 4,
	.argtypes = {TEXTOID, TEXTOID, BOOLOID, TEXTOID},
};

static SavedPlan update_plan = {
	.name = "changed placement",
	.sql = "UPDATE adapty.placements p SET title = COALESCE($2, p.title), "
	"    is_active = COALESCE($3, p.is_active), updated_at = pg_catalog.now() WHERE p.placement_id = $1",
	.expected = SPI_OK_UPDATE,
	.nargs = 3,
	.argtypes = {TEXTOID, TEXTOID, BOOLOID},
};

static SavedPlan delete_plan = {
	.name = "placement to delete",
	.sql = "DELETE FROM adapty.placements p WHERE p.placement_id = $1",
	.expected = SPI_OK_DELETE,
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static SavedPlan tests_plan = {
	.name = "tests at a placement",
	.sql = "SELECT pg_catalog.string_agg(DISTINCT pg_catalog.format('A/B test \"%s\"', t.name), ', ') "
	"FROM adapty.variations x JOIN adapty.ab_tests t ON t.ab_test_id = x.ab_test_id "
	"WHERE x.placement_id = $1 AND t.state IN ('draft', 'live') HAVING pg_catalog.count(*) > 0",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static SavedPlan audiences_delete_plan = {
	.name = "audiences to replace",
	.sql = "DELETE FROM adapty.audiences a WHERE a.placement_id = $1",
	.expected = SPI_OK_DELETE,
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static SavedPlan audience_delete_plan = {
	.name = "audience to delete",
	.sql = "DELETE FROM adapty.audiences a WHERE a.placement_id = $1 AND a.segment_id = $2",
	.expected = SPI_OK_DELETE,
	.nargs = 2,
	.argtypes = {TEXTOID, UUIDOID},
};

/* A test that runs at the placement and is not content of an audience any more. */
static SavedPlan lost_test_plan = {
	.name = "test without its audience",
	.sql = "SELECT t.name FROM adapty.variations x JOIN adapty.ab_tests t ON t.ab_test_id = x.ab_test_id "
	"WHERE x.placement_id = $1 AND t.state = 'live' AND NOT t.is_cross_placement AND NOT EXISTS "
	"    (SELECT FROM adapty.audiences a WHERE a.placement_id = $1 AND a.ab_test_id = t.ab_test_id) "
	"ORDER BY t.name LIMIT 1",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {TEXTOID},
};

/* The variation of a paywall for an audience: the same again if there was one. */
static SavedPlan variation_insert_plan = {
	.name = "new variation",
	.sql = "INSERT INTO adapty.variations (placement_id, segment_id, paywall_id) VALUES ($1, $2, $3) "
	"ON CONFLICT DO NOTHING",
	.expected = SPI_OK_INSERT,
	.nargs = 3,
	.argtypes = {TEXTOID, UUIDOID, UUIDOID},
};

static SavedPlan variation_find_plan = {
	.name = "variation of a paywall",
	.sql = "SELECT x.variation_id FROM adapty.variations x WHERE x.ab_test_id IS NULL "
	"AND x.placement_id = $1 AND x.segment_id IS NOT DISTINCT FROM $2 AND x.paywall_id = $3",
	.expected = SPI_OK_SELECT,
	.nargs = 3,
	.argtypes = {TEXTOID, UUIDOID, UUIDOID},
};

static SavedPlan audience_insert_plan = {
	.name = "new audience",
	.sql = "INSERT INTO adapty.audiences (placement_id, segment_id, variation_id, ab_test_id, priority) "
	"VALUES ($1, $2, $3, $4, $5)",
	.expected = SPI_OK_INSERT,
	.nargs = 5,
	.argtypes = {TEXTOID, UUIDOID, UUIDOID, UUIDOID, INT2OID},
};

static SavedPlan audience_update_plan = {
	.name = "content of an audience",
	.sql = "UPDATE adapty.audiences a SET variation_id = $3, ab_test_id = $4 "
	"WHERE a.placement_id = $1 AND a.segment_id IS NOT DISTINCT FROM $2",
	.expected = SPI_OK_UPDATE,
	.nargs = 4,
	.argtypes = {TEXTOID, UUIDOID, UUIDOID, UUIDOID},
};

/* The test that an audience shows, if it is another than $3; the number that a new audience gets. */
static SavedPlan audience_plan = {
	.name = "audience",
	.sql = "SELECT (SELECT t.name FROM adapty.audiences a JOIN adapty.ab_tests t ON t.ab_test_id = a.ab_test_id "
	"    WHERE a.placement_id = $1 AND a.segment_id IS NOT DISTINCT FROM $2 AND t.ab_test_id IS DISTINCT FROM $3), "
	"(SELECT COALESCE(pg_catalog.max(a.priority) + 1, 0)::smallint FROM adapty.audiences a "
	"    WHERE a.placement_id = $1 AND a.segment_id IS NOT NULL)",
	.expected = SPI_OK_SELECT,
	.nargs = 3,
	.argtypes = {TEXTOID, UUIDOID, UUIDOID},
};

static SavedPlan show_plan = {
	.name = "placement to show",
	.sql = "SELECT pg_catalog.jsonb_build_object('developer_id', p.placement_id, 'title', p.title,"
	" 'placement_type', p.placement_type, 'is_active', p.is_active,"
	" 'created_at', adapty._iso8601(p.created_at), 'updated_at', adapty._iso8601(p.updated_at),"
	" 'audiences', COALESCE((SELECT pg_catalog.jsonb_agg(a.audience ORDER BY a.number) FROM ("
	"   SELECT pg_catalog.row_number() OVER (ORDER BY a.priority) AS number,"
	"    pg_catalog.jsonb_build_object('priority', pg_catalog.row_number() OVER (ORDER BY a.priority) - 1,"
	"     'segment', s.name, 'variation_id', a.variation_id,"
	"     'paywall_id', w.paywall_id, 'paywall', w.title,"
	"     'ab_test_id', t.ab_test_id, 'ab_test', t.name) AS audience"
	"   FROM adapty.audiences a LEFT JOIN adapty.variations x ON x.variation_id = a.variation_id"
	"   LEFT JOIN adapty.paywalls w ON w.paywall_id = x.paywall_id"
	"   LEFT JOIN adapty.ab_tests t ON t.ab_test_id = a.ab_test_id"
	"   LEFT JOIN adapty.segments s ON s.segment_id = a.segment_id WHERE a.placement_id = p.placement_id) a), '[]'))"
	" FROM adapty.placements p WHERE p.placement_id = $1",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {TEXTOID},
};

/* ERROR (PT404). */
static void pg_attribute_noreturn()
placement_not_found(const char *placement_id)
{
	ereport(ERROR,
			(condition_errcode(COND_PLACEMENT_DOES_NOT_EXIST),
			 errmsg("placement \"%s\" does not exist", placement_id),
			 errhint("Ids are compared letter by letter. Make it first: adapty.define_placement().")));
}

/* See placement.h. */
void
placement_check(const char *placement_id)
{
	Datum		values[1] = {CStringGetTextDatum(placement_id)};

	if (plan_execute(&find_plan, values, NULL, false) == 0)
		placement_not_found(placement_id);
}

/* See placement.h. */
char *
audience_text(const pg_uuid_t *segment_id)
{
	char	   *name = segment_id == NULL ? NULL : segment_name(segment_id);

	return name == NULL ? "all users" : psprintf("segment \"%s\"", name);
}

/* ---- audiences ---- */

/* A text as an argument of a plan, NULL as null. */
static Datum
text_or_null(const char *value, char *null)
{
	*null = value == NULL ? 'n' : ' ';
	return value == NULL ? (Datum) 0 : CStringGetTextDatum(value);
}

/* A uuid as an argument of a plan, NULL as null. */
static Datum
uuid_or_null(const pg_uuid_t *value, char *null)
{
	*null = value == NULL ? 'n' : ' ';
	return UUIDPGetDatum(value);
}

/* The variation of a paywall for an audience of a placement. */
static pg_uuid_t
plain_variation(const char *placement_id, const pg_uuid_t *segment_id, const pg_uuid_t *paywall_id)
{
	Datum		values[3] = {CStringGetTextDatum(placement_id), 0, UUIDPGetDatum(paywall_id)};
	char		nulls[] = "   ";
	bool		isnull;

	values[1] = uuid_or_null(segment_id, &nulls[1]);
	(void) plan_execute(&variation_insert_plan, values, nulls, false);
	if (plan_execute(&variation_find_plan, values, nulls, false) == 0)
		elog(ERROR, "variation of placement \"%s\" is gone", placement_id);
	return *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

/* Writes an audience's row: its content is a variation or a test.  The number of rows. */
static uint64
write_audience(SavedPlan *plan, const char *placement_id, int priority, const pg_uuid_t *segment_id,
			   const pg_uuid_t *variation_id, const pg_uuid_t *ab_test_id)
{
	Datum		values[5] = {CStringGetTextDatum(placement_id)};
	char		nulls[] = "     ";

	values[1] = uuid_or_null(segment_id, &nulls[1]);
	values[2] = uuid_or_null(variation_id, &nulls[2]);
	values[3] = uuid_or_null(ab_test_id, &nulls[3]);
	values[4] = Int16GetDatum((int16) priority);
	return plan_execute(plan, values, nulls, false);
}

/*
 * Gives an audience other content, adding it if it is not there.  ERROR (55000) if a test runs there
 * other than the one that may be replaced (NULL: none).
 */
static void
put_content(const char *placement_id, const pg_uuid_t *segment_id, const pg_uuid_t *variation_id,
			const pg_uuid_t *ab_test_id, const pg_uuid_t *replaced)
{
	Datum		values[3] = {CStringGetTextDatum(placement_id)};
	char		nulls[] = "   ";
	char	   *other;
	int			next;
	bool		isnull;

	values[1] = uuid_or_null(segment_id, &nulls[1]);
	values[2] = uuid_or_null(replaced, &nulls[2]);
	(void) plan_execute(&audience_plan, values, nulls, false);
	other = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	next = DatumGetInt16(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	if (other != NULL)
		ereport(ERROR,
				(condition_errcode(COND_AB_TEST_STATE),
				 errmsg("A/B test \"%s\" runs for %s of placement \"%s\"", other,
						audience_text(segment_id), placement_id),
				 errhint("Stop it first: adapty.stop_ab_test().")));
	if (write_audience(&audience_update_plan, placement_id, 0, segment_id, variation_id, ab_test_id) == 0)
		(void) write_audience(&audience_insert_plan, placement_id, segment_id == NULL ? DEFAULT_PRIORITY : next,
							  segment_id, variation_id, ab_test_id);
}

/* See placement.h. */
void
placement_put_test(const char *placement_id, const pg_uuid_t *segment_id, const pg_uuid_t *ab_test_id,
				   const pg_uuid_t *replaced)
{
	put_content(placement_id, segment_id, NULL, ab_test_id, replaced);
}

/* See placement.h. */
void
placement_put_paywall(const char *placement_id, const pg_uuid_t *segment_id, const pg_uuid_t *paywall_id,
					  const pg_uuid_t *replaced)
{
	pg_uuid_t	variation_id = plain_variation(placement_id, segment_id, paywall_id);

	put_content(placement_id, segment_id, &variation_id, NULL, replaced);
	paywall_mark_live(paywall_id);
}

/* See placement.h. */
void
placement_drop_audience(const char *placement_id, const pg_uuid_t *segment_id)
{
	Datum		values[2] = {CStringGetTextDatum(placement_id), UUIDPGetDatum(segment_id)};

	(void) plan_execute(&audience_delete_plan, values, NULL, false);
}

/* ---- define_placement() ---- */

/* ERROR (22023) if the audiences are not such that the default one is last and no segment is there twice. */
static void
check_audiences(const AudienceChange *audiences, int n)
{
	for (int i = 0; i < n; i++)
	{
		bool		is_last = i == n - 1;

		if ((audiences[i].segment == NULL) != is_last)
			ereport(ERROR,
					(condition_errcode(COND_BASE_ERROR),
					 is_last ?
					 errmsg("the last of the audiences must be the default one") :
					 errmsg("audience %d of %d has no \"segment\"", i + 1, n),
					 errdetail("Exactly one audience, the last, has no \"segment\": it is all users."),
					 err_generic_string(PG_DIAG_COLUMN_NAME, "audiences")));
		for (int j = 0; j < i && !is_last; j++)
			if (strcmp(audiences[j].segment, audiences[i].segment) == 0)
				ereport(ERROR,
						(condition_errcode(COND_BASE_ERROR),
						 errmsg("segment \"%s\" is there twice", audiences[i].segment),
						 errdetail("A segment is an audience of a placement once."),
						 err_generic_string(PG_DIAG_COLUMN_NAME, "audiences")));
	}
}

/* The argument audiences: in the order of their priority, the default one last. */
static AudienceChange *
read_audiences(Jsonb *array, int *n)
{
	static const char *const known[] = {"segment", "paywall", "ab_test", NULL};
	JsonbValue *elements = json_array(array, "audiences", n);
	AudienceChange *audiences = palloc0(sizeof(AudienceChange) * (*n + 1));

	if (*n == 0 || *n > MAX_AUDIENCES)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("audiences has %d elements", *n),
				 errdetail("A placement has 1 to %d audiences, the last one without \"segment\".", MAX_AUDIENCES),
				 err_generic_string(PG_DIAG_COLUMN_NAME, "audiences")));
	for (int i = 0; i < *n; i++)
	{
		JsonFields	fields;

		json_element_object(&elements[i], "audiences", i,
							"It must be an object with \"paywall\" or \"ab_test\", and \"segment\" unless it is the last.",
							&fields);
		fields_check_known(&fields, known, "an audience");
		audiences[i].segment = field_text(&fields, "segment", false, MAX_TARGETING_TITLE);
		audiences[i].paywall = field_text(&fields, "paywall", false, MAX_TARGETING_TITLE);
		audiences[i].ab_test = field_text(&fields, "ab_test", false, MAX_AB_TEST_NAME);
		if (audiences[i].paywall == NULL && audiences[i].ab_test == NULL)
			field_error(&fields, "paywall", NULL, "An audience has a paywall, or a test as \"ab_test\".");
		if (audiences[i].paywall != NULL && audiences[i].ab_test != NULL)
			field_error(&fields, "ab_test", audiences[i].ab_test, "An audience has one content: a paywall or a test.");
	}
	check_audiences(audiences, *n);
	return audiences;
}

/* Replaces the audiences of a placement. */
static void
put_audiences(const char *placement_id, const AudienceChange *audiences, int n)
{
	Datum		values[1] = {CStringGetTextDatum(placement_id)};

	(void) plan_execute(&audiences_delete_plan, values, NULL, false);
	for (int i = 0; i < n; i++)
	{
		const AudienceChange *audience = &audiences[i];
		int			priority = audience->segment == NULL ? DEFAULT_PRIORITY : i;
		pg_uuid_t	found;
		pg_uuid_t  *segment_id = audience->segment == NULL ? NULL : &found;
		pg_uuid_t	id;

		if (segment_id != NULL)
			segment_find(audience->segment, segment_id);
		if (audience->paywall != NULL)
		{
			pg_uuid_t	paywall_id = paywall_lookup(audience->paywall);

			id = plain_variation(placement_id, segment_id, &paywall_id);
			paywall_mark_live(&paywall_id);
			(void) write_audience(&audience_insert_plan, placement_id, priority, segment_id, &id, NULL);
		}
		else
		{
			id = experiment_running_at(audience->ab_test, placement_id, segment_id);
			(void) write_audience(&audience_insert_plan, placement_id, priority, segment_id, NULL, &id);
		}
	}
	if (plan_execute(&lost_test_plan, values, NULL, false) > 0)
		ereport(ERROR,
				(condition_errcode(COND_AB_TEST_STATE),
				 errmsg("A/B test \"%s\" runs at placement \"%s\" and is missing in audiences",
						SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1), placement_id),
				 errhint("Stop it first: adapty.stop_ab_test(). Or name it: {\"ab_test\": ...}.")));
}

/* ERROR (22023) if a placement that exists is to become of another type. */
static void
check_type(const char *placement_id, const char *wanted)
{
	char	   *type = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);

	if (wanted != NULL && strcmp(type, wanted) != 0)
		ereport(ERROR,
				(condition_errcode(COND_VALIDATION),
				 errmsg("placement \"%s\" is of type %s and cannot become %s", placement_id, type, wanted),
				 errdetail("The type of a placement is fixed when it is made."),
				 err_generic_string(PG_DIAG_COLUMN_NAME, "placement_type")));
}

/* The audiences that are asked for: by the argument audiences, or one default one by "paywall". */
static AudienceChange *
arg_audiences(FunctionCallInfo fcinfo, int *n)
{
	char	   *paywall = arg_text(fcinfo, 2, "paywall", false, MAX_TARGETING_TITLE);
	AudienceChange *audiences;

	*n = 0;
	if (!PG_ARGISNULL(1) && paywall != NULL)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("audiences and paywall must not both be given"),
				 errdetail("paywall stands for one audience, all users.")));
	if (!PG_ARGISNULL(1))
		return read_audiences(PG_GETARG_JSONB_P(1), n);
	if (paywall == NULL)
		return NULL;
	audiences = palloc0(sizeof(AudienceChange));
	audiences[0].paywall = paywall;
	*n = 1;
	return audiences;
}

/* define_placement(placement_id, audiences, paywall, title, placement_type, is_active) → placement_id */
Datum
adapty_define_placement(PG_FUNCTION_ARGS)
{
	char	   *placement_id = arg_text(fcinfo, 0, "placement_id", true, MAX_PLACEMENT_ID);
	int			n;
	AudienceChange *audiences = arg_audiences(fcinfo, &n);
	char	   *title = arg_text(fcinfo, 3, "title", false, MAX_TARGETING_TITLE);
	char	   *type = PG_ARGISNULL(4) ? NULL : DatumGetCString(DirectFunctionCall1(enum_out, PG_GETARG_DATUM(4)));
	Datum		values[4] = {CStringGetTextDatum(placement_id)};
	char		nulls[] = "    ";
	bool		is_new;
	ApiScope	scope;

	refuse_unless_writable(fcinfo);
	values[1] = text_or_null(title, &nulls[1]);
	values[2] = PG_ARGISNULL(5) ? (Datum) 0 : PG_GETARG_DATUM(5);
	nulls[2] = PG_ARGISNULL(5) ? 'n' : ' ';
	values[3] = text_or_null(type, &nulls[3]);
	scope_enter(&scope);
	targeting_lock();
	is_new = plan_execute(&find_plan, values, NULL, false) == 0;
	if (is_new && audiences == NULL)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("placement \"%s\" is new and needs something to show", placement_id),
				 errhint("Give paywall, or audiences of which the last has no \"segment\".")));
	if (!is_new)
		check_type(placement_id, type);
	(void) plan_execute(is_new ? &insert_plan : &update_plan, values, nulls, false);
	if (audiences != NULL)
		put_audiences(placement_id, audiences, n);
	scope_leave(&scope);
	PG_RETURN_DATUM(values[0]);
}

/* delete_placement(placement_id) */
Datum
adapty_delete_placement(PG_FUNCTION_ARGS)
{
	char	   *placement_id = arg_text(fcinfo, 0, "placement_id", true, MAX_PLACEMENT_ID);
	Datum		values[1] = {CStringGetTextDatum(placement_id)};
	ApiScope	scope;

	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	targeting_lock();
	placement_check(placement_id);
	if (plan_execute(&tests_plan, values, NULL, false) > 0)
		ereport(ERROR,
				(condition_errcode(COND_IN_USE),
				 errmsg("placement \"%s\" is in use", placement_id),
				 errdetail("It is used by %s.", SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1)),
				 errhint("Stop or delete the tests first.")));
	(void) plan_execute(&delete_plan, values, NULL, false);
	scope_leave(&scope);
	PG_RETURN_VOID();
}

/* show_placement(placement_id) → jsonb */
Datum
adapty_show_placement(PG_FUNCTION_ARGS)
{
	char	   *placement_id = arg_text(fcinfo, 0, "placement_id", true, MAX_PLACEMENT_ID);
	Datum		values[1] = {CStringGetTextDatum(placement_id)};
	ApiScope	scope;
	Datum		result;
	bool		isnull;

	scope_enter(&scope);
	if (plan_execute(&show_plan, values, NULL, true) == 0)
		placement_not_found(placement_id);
	result = scope_copy(&scope, 0, 1, &isnull);
	scope_leave(&scope);
	PG_RETURN_DATUM(result);
}
