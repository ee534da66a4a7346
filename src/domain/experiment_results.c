/*
 * experiment_results.c
 *		Results of A/B tests: what was seen, bought and paid, and what may be concluded.
 *
 * A transaction belongs to the variation that it names, or, if it names none, to the one that an
 * earlier transaction of its chain names: renewals seldom say what the first purchase was made from.
 * The statement reads each table by an index on the variation or the chain.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "base/arg.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/plans.h"
#include "domain/experiment.h"
#include "domain/experiment_stats.h"
#include "domain/placement.h"
#include "domain/targeting.h"

#define MISMATCH_P 0.001		/* below which the split is not believed to be chance */
#define CREDIBILITY 0.95

PG_FUNCTION_INFO_V1(adapty_ab_test_results);
PG_FUNCTION_INFO_V1(adapty_ab_probability_best);
PG_FUNCTION_INFO_V1(adapty_ab_credible_interval);
PG_FUNCTION_INFO_V1(adapty_ab_sample_ratio_p);

/* Columns of the facts below, and of ab_test_result, which begins with the same N_COPIED. */
typedef enum FactColumn
{
	FACT_NAME,
	FACT_WEIGHT,
	FACT_ASSIGNED,
	FACT_VIEWS,
	FACT_VIEWERS,
	FACT_PURCHASES,
	FACT_PAYERS,
	FACT_TRIALS,
	FACT_TRIALS_CANCELLED,
	FACT_REFUNDS,
	FACT_REVENUE,
	FACT_PROCEEDS,
	FACT_UNPRICED,
	N_COPIED,
	/* only for the arithmetic */
	FACT_DRAWN = N_COPIED,		/* assigned by the weights */
	FACT_BUYERS,				/* viewers or not, who bought */
	FACT_PAYING,				/* users whose revenue is above zero */
	FACT_SUM_LOG,
	FACT_SUM_LOG_SQUARED,
	N_FACTS
} FactColumn;

#define N_RESULT_COLUMNS (N_COPIED + 12)

/* $1 test, $2 placement or null for all of the test's, $3 environment. */
static SavedPlan facts_plan = {
	.name = "facts of a test",
	.sql = "WITH shown AS ("
	"    SELECT x.variation_id, x.position FROM adapty.variations x"
	"    WHERE x.ab_test_id = $1 AND ($2 IS NULL OR x.placement_id = $2)), "
	"chain AS ("
	"    SELECT DISTINCT t.profile_id, t.store, t.store_original_transaction_id FROM shown s"
	"    JOIN adapty.transactions t ON t.variation_id = s.variation_id::text), "
	"numbered AS ("
	"    SELECT t.*, pg_catalog.count(t.variation_id) OVER w AS part,"
	"        pg_catalog.lag(t.offer_type IS NOT DISTINCT FROM 'free_trial') OVER w AS after_trial,"
	"        pg_catalog.lag(ROW(t.store_product_id, t.store_base_plan_id)) OVER w"
	"            IS DISTINCT FROM ROW(t.store_product_id, t.store_base_plan_id) AS is_other_product,"
	"        pg_catalog.lag(GREATEST(t.expires_at, t.grace_period_expires_at)) OVER w < t.purchased_at AS is_restored"
	"    FROM chain c JOIN adapty.transactions t ON t.profile_id = c.profile_id AND t.store = c.store"
	"        AND t.store_original_transaction_id = c.store_original_transaction_id"
	"    WHERE t.environment = $3::adapty.environment AND NOT t.is_family_shared"
	"    WINDOW w AS (PARTITION BY t.profile_id, t.store, t.store_original_transaction_id"
	"        ORDER BY t.purchased_at, t.store_transaction_id)), "
	"attributed AS ("
	"    SELECT n.*, pg_catalog.max(n.variation_id) OVER (PARTITION BY n.profile_id, n.store,"
	"            n.store_original_transaction_id, n.part) AS attributed_to,"
	"        COALESCE(nullif(n.profile_id, '00000000-0000-0000-0000-000000000000')::text,"
	"            n.store::text || ' ' || n.store_original_transaction_id) AS buyer,"
	"        n.offer_type IS NOT DISTINCT FROM 'free_trial' AS is_trial"
	"    FROM numbered n), "
	"bought AS ("
	"    SELECT s.position, a.buyer, a.is_trial, a.refunded_at, a.renew_status, a.price_usd,"
	"        pg_catalog.round(a.price_usd * (1 - a.commission_rate), 6) AS proceeds_usd,"
	"        NOT a.is_trial AND (a.purchase_type = 'one_time_purchase' OR a.after_trial IS NULL OR a.after_trial"
	"            OR a.is_other_product OR COALESCE(a.is_restored, false)) AS is_purchase"
	"    FROM attributed a JOIN shown s ON s.variation_id::text = a.attributed_to), "
	"buyers AS ("
	"    SELECT b.position, b.buyer, pg_catalog.count(*) FILTER (WHERE b.is_purchase) AS purchases,"
	"        pg_catalog.count(*) FILTER (WHERE b.is_trial) AS trials,"
	"        pg_catalog.count(*) FILTER (WHERE b.is_trial AND NOT b.renew_status) AS trials_cancelled,"
	"        pg_catalog.count(*) FILTER (WHERE NOT b.is_trial AND b.refunded_at IS NOT NULL) AS refunds,"
	"        pg_catalog.count(*) FILTER (WHERE NOT b.is_trial) AS paid,"
	"        COALESCE(pg_catalog.sum(b.price_usd) FILTER (WHERE NOT b.is_trial AND b.refunded_at IS NULL), 0) AS revenue,"
	"        COALESCE(pg_catalog.sum(b.proceeds_usd) FILTER (WHERE NOT b.is_trial AND b.refunded_at IS NULL), 0) AS proceeds,"
	"        pg_catalog.count(*) FILTER (WHERE NOT b.is_trial AND b.refunded_at IS NULL AND b.price_usd IS NULL) AS unpriced"
	"    FROM bought b GROUP BY b.position, b.buyer), "
	"money AS ("
	"    SELECT b.position, pg_catalog.sum(b.purchases)::bigint AS purchases,"
	"        pg_catalog.count(*) FILTER (WHERE b.paid > 0) AS payers,"
	"        pg_catalog.sum(b.trials)::bigint AS trials, pg_catalog.sum(b.trials_cancelled)::bigint AS trials_cancelled,"
	"        pg_catalog.sum(b.refunds)::bigint AS refunds, pg_catalog.sum(b.revenue) AS revenue,"
	"        pg_catalog.sum(b.proceeds) AS proceeds,"
	"        pg_catalog.sum(b.unpriced)::bigint AS unpriced,"
	"        pg_catalog.count(*) FILTER (WHERE b.purchases > 0) AS buyers,"
	"        pg_catalog.count(*) FILTER (WHERE b.revenue > 0) AS paying,"
	"        pg_catalog.sum(pg_catalog.ln(b.revenue::double precision)) FILTER (WHERE b.revenue > 0) AS sum_log,"
	"        pg_catalog.sum(pg_catalog.ln(b.revenue::double precision) ^ 2) FILTER (WHERE b.revenue > 0) AS sum_log_squared"
	"    FROM buyers b GROUP BY b.position), "
	"seen AS ("
	"    SELECT s.position, pg_catalog.count(*) AS views, pg_catalog.count(DISTINCT w.profile_id) AS viewers"
	"    FROM shown s JOIN adapty.paywall_views w ON w.variation_id = s.variation_id GROUP BY s.position), "
	"assigned AS ("
	"    SELECT a.position, pg_catalog.count(*) AS users, pg_catalog.count(*) FILTER (WHERE NOT a.is_inherited) AS drawn"
	"    FROM adapty.ab_test_assignments a WHERE a.ab_test_id = $1 GROUP BY a.position) "
	"SELECT v.name, v.weight, COALESCE(a.users, 0), COALESCE(w.views, 0), COALESCE(w.viewers, 0),"
	"    COALESCE(m.purchases, 0), COALESCE(m.payers, 0), COALESCE(m.trials, 0), COALESCE(m.trials_cancelled, 0),"
	"    COALESCE(m.refunds, 0), COALESCE(pg_catalog.trim_scale(m.revenue), 0),"
	"    COALESCE(pg_catalog.trim_scale(m.proceeds), 0), COALESCE(m.unpriced, 0), COALESCE(a.drawn, 0),"
	"    COALESCE(m.buyers, 0), COALESCE(m.paying, 0), COALESCE(m.sum_log, 0), COALESCE(m.sum_log_squared, 0) "
	"FROM adapty.ab_test_variations v LEFT JOIN assigned a ON a.position = v.position "
	"LEFT JOIN seen w ON w.position = v.position LEFT JOIN money m ON m.position = v.position "
	"WHERE v.ab_test_id = $1 ORDER BY v.position",
	.expected = SPI_OK_SELECT,
	.nargs = 3,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID},
};

/* ---- ab_test_results() ---- */

/* The facts of a test, one row a variation; numbers by column. */
typedef struct Facts
{
	int			n;
	Datum		copied[MAX_VARIATIONS][N_COPIED];
	double		numbers[MAX_VARIATIONS][N_FACTS];
} Facts;

/* What follows from them. */
typedef struct Conclusions
{
	double		conversion_best[MAX_VARIATIONS];
	RevenueEstimate revenue[MAX_VARIATIONS];
	bool		has_revenue;
	bool		has_conversion;
	double		sample_ratio_p; /* NaN: nothing to say */
} Conclusions;

/* A numeric or integer column as a number. */
static double
fact_number(uint64 row, int column)
{
	char	   *text = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column + 1);

	return text == NULL ? 0 : strtod(text, NULL);
}

/* Reads the facts of a test; what is copied goes to the scope's caller. */
static void
read_facts(const ApiScope *scope, const pg_uuid_t *ab_test_id, const char *placement_id,
		   const char *environment, Facts *facts)
{
	Datum		values[3] = {UUIDPGetDatum(ab_test_id), 0, CStringGetTextDatum(environment)};
	bool		isnull;

	if (placement_id != NULL)
		values[1] = CStringGetTextDatum(placement_id);
	facts->n = (int) plan_execute(&facts_plan, values, placement_id == NULL ? " n " : NULL, false);
	for (int i = 0; i < facts->n; i++)
	{
		for (int c = 0; c < N_COPIED; c++)
			facts->copied[i][c] = scope_copy(scope, i, c + 1, &isnull);
		for (int c = FACT_WEIGHT; c < N_FACTS; c++)
			facts->numbers[i][c] = fact_number(i, c);
	}
}

/* Draws the conclusions. */
static void
conclude(const Facts *facts, Conclusions *conclusions)
{
	RevenueCounts counts[MAX_VARIATIONS];
	double		a[MAX_VARIATIONS];
	double		b[MAX_VARIATIONS];
	double		drawn[MAX_VARIATIONS];
	double		weights[MAX_VARIATIONS];
	double		payers = 0;
	double		users = 0;

	for (int i = 0; i < facts->n; i++)
	{
		const double *numbers = facts->numbers[i];

		/* Whoever bought has seen it, recorded or not. */
		counts[i].users = Max(numbers[FACT_VIEWERS], Max(numbers[FACT_BUYERS], numbers[FACT_PAYING]));
		counts[i].payers = numbers[FACT_PAYING];
		counts[i].sum_log = numbers[FACT_SUM_LOG];
		counts[i].sum_log_squared = numbers[FACT_SUM_LOG_SQUARED];
		a[i] = 1 + numbers[FACT_BUYERS];
		b[i] = 1 + counts[i].users - numbers[FACT_BUYERS];
		drawn[i] = numbers[FACT_DRAWN];
		weights[i] = numbers[FACT_WEIGHT];
		payers += counts[i].payers;
		users += counts[i].users;
	}
	conclusions->has_conversion = users > 0;
	conclusions->has_revenue = payers > 0;
	if (conclusions->has_conversion)
		stats_beta_best(facts->n, a, b, conclusions->conversion_best);
	if (conclusions->has_revenue)
		stats_revenue(facts->n, counts, conclusions->revenue);
	conclusions->sample_ratio_p = stats_sample_ratio_p(facts->n, drawn, weights);
}

/* A ratio, null if there is nothing to divide by. */
static Datum
ratio(double numerator, double denominator, bool *isnull)
{
	*isnull = !(denominator > 0);
	return *isnull ? (Datum) 0 : Float8GetDatum(numerator / denominator);
}

/* The result row of one variation. */
static void
result_row(const Facts *facts, const Conclusions *conclusions, int i, Datum *values, bool *nulls)
{
	const double *f = facts->numbers[i];
	const RevenueEstimate *revenue = &conclusions->revenue[i];
	double		users = Max(f[FACT_VIEWERS], f[FACT_BUYERS]);
	int			c = N_COPIED;

	memset(nulls, 0, sizeof(bool) * N_RESULT_COLUMNS);
	memcpy(values, facts->copied[i], sizeof(Datum) * N_COPIED);
	values[c] = ratio(f[FACT_PURCHASES], f[FACT_VIEWS], &nulls[c]);
	c++;
	values[c] = ratio(f[FACT_BUYERS], f[FACT_VIEWERS], &nulls[c]);
	c++;
	nulls[c] = nulls[c + 1] = !(users > 0);
	if (users > 0)
	{
		values[c] = Float8GetDatum(stats_beta_quantile((1 - CREDIBILITY) / 2, 1 + f[FACT_BUYERS], 1 + users - f[FACT_BUYERS]));
		values[c + 1] = Float8GetDatum(stats_beta_quantile((1 + CREDIBILITY) / 2, 1 + f[FACT_BUYERS], 1 + users - f[FACT_BUYERS]));
	}
	c += 2;
	nulls[c] = !conclusions->has_conversion;
	values[c++] = Float8GetDatum(conclusions->conversion_best[i]);
	values[c] = ratio(f[FACT_REFUNDS], f[FACT_PURCHASES], &nulls[c]);
	c++;
	values[c] = ratio(f[FACT_REVENUE], f[FACT_PAYERS], &nulls[c]);
	c++;
	values[c] = ratio(1000 * f[FACT_REVENUE], f[FACT_VIEWERS], &nulls[c]);
	c++;
	nulls[c] = nulls[c + 1] = nulls[c + 2] = !conclusions->has_revenue;
	values[c] = Float8GetDatum(1000 * revenue->low);
	values[c + 1] = Float8GetDatum(1000 * revenue->high);
	values[c + 2] = Float8GetDatum(revenue->probability_best);
	c += 3;
	nulls[c] = isnan(conclusions->sample_ratio_p);
	values[c++] = Float8GetDatum(conclusions->sample_ratio_p);
	Assert(c == N_RESULT_COLUMNS);
}

/* WARNING if the users were not split as they should have been. */
static void
warn_of_mismatch(const char *name, const Conclusions *conclusions)
{
	if (isnan(conclusions->sample_ratio_p) || conclusions->sample_ratio_p >= MISMATCH_P)
		return;
	ereport(WARNING,
			(errmsg("the users of A/B test \"%s\" are not split by its weights", name),
			 errdetail("Chance makes a split like this one with a probability of %.1e.", conclusions->sample_ratio_p),
			 errhint("Something lets variations gain or lose users; do not trust the other figures before it is found.")));
}

/* ab_test_results(ab_test, placement_id, environment) → setof ab_test_result */
Datum
adapty_ab_test_results(PG_FUNCTION_ARGS)
{
	char	   *ab_test = arg_text(fcinfo, 0, "ab_test", true, MAX_AB_TEST_NAME);
	char	   *placement_id = arg_text(fcinfo, 1, "placement_id", false, MAX_PLACEMENT_ID);
	char	   *environment;
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Facts	   *facts = palloc0(sizeof(Facts));
	Conclusions *conclusions = palloc0(sizeof(Conclusions));
	Datum		values[N_RESULT_COLUMNS];
	bool		nulls[N_RESULT_COLUMNS];
	char	   *name;
	AbTest		test;
	ApiScope	scope;

	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("environment must not be null")));
	environment = DatumGetCString(DirectFunctionCall1(enum_out, PG_GETARG_DATUM(2)));
	InitMaterializedSRF(fcinfo, 0);
	scope_enter(&scope);
	experiment_load(ab_test, &test);
	if (placement_id != NULL)
		experiment_check_placement(&test, placement_id);
	read_facts(&scope, &test.ab_test_id, placement_id, environment, facts);
	name = MemoryContextStrdup(scope.caller_context, test.name);
	scope_leave(&scope);

	conclude(facts, conclusions);
	for (int i = 0; i < facts->n; i++)
	{
		result_row(facts, conclusions, i, values, nulls);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	warn_of_mismatch(name, conclusions);
	return (Datum) 0;
}

/* ---- the arithmetic, for one's own figures ---- */

/* An array argument of numbers without nulls. */
static double *
arg_numbers(FunctionCallInfo fcinfo, int number, const char *name, int *n)
{
	ArrayType  *array;
	Datum	   *values;
	bool	   *nulls;
	double	   *numbers;

	if (PG_ARGISNULL(number))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
	array = PG_GETARG_ARRAYTYPE_P(number);
	deconstruct_array(array, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &values, &nulls, n);
	numbers = palloc(sizeof(double) * (*n + 1));
	for (int i = 0; i < *n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("element %d of %s must not be null", i + 1, name)));
		numbers[i] = DatumGetFloat8(values[i]);
		if (!(numbers[i] >= 0 && numbers[i] < 1e15))
			ereport(ERROR,
					(condition_errcode(COND_BASE_ERROR),
					 errmsg("element %d of %s is %g", i + 1, name, numbers[i]),
					 errdetail("It must be from 0 to 1e15.")));
	}
	return numbers;
}

/* ERROR (22023) if two arrays differ in length, or have fewer elements or more than may be. */
static void
check_lengths(int a, const char *a_name, int b, const char *b_name, int min, int max)
{
	if (a != b)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("%s has %d elements but %s has %d", a_name, a, b_name, b)));
	if (a < min || a > max)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("%s has %d elements", a_name, a),
				 errdetail("%d to %d are allowed.", min, max)));
}

/* ERROR (22023) if there are more conversions than users. */
static void
check_conversions(double conversions, double users)
{
	if (conversions > users)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("%g of %g users cannot have converted", conversions, users)));
}

/* ab_probability_best(conversions, users): of each, that its conversion rate is the greatest. */
Datum
adapty_ab_probability_best(PG_FUNCTION_ARGS)
{
	int			n;
	int			n_users;
	double	   *conversions = arg_numbers(fcinfo, 0, "conversions", &n);
	double	   *users = arg_numbers(fcinfo, 1, "users", &n_users);
	double		probability[MAX_VARIATIONS];
	Datum		values[MAX_VARIATIONS];

	check_lengths(n, "conversions", n_users, "users", 1, MAX_VARIATIONS);
	for (int i = 0; i < n; i++)
	{
		check_conversions(conversions[i], users[i]);
		users[i] = 1 + users[i] - conversions[i];
		conversions[i] += 1;
	}
	stats_beta_best(n, conversions, users, probability);
	for (int i = 0; i < n; i++)
		values[i] = Float8GetDatum(probability[i]);
	PG_RETURN_ARRAYTYPE_P(construct_array(values, n, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* ab_credible_interval(conversions, users, credibility): strict. */
Datum
adapty_ab_credible_interval(PG_FUNCTION_ARGS)
{
	double		conversions = PG_GETARG_FLOAT8(0);
	double		users = PG_GETARG_FLOAT8(1);
	double		credibility = PG_GETARG_FLOAT8(2);
	Datum		values[2];

	if (!(conversions >= 0 && users < 1e15))
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("%g of %g users cannot have converted", conversions, users)));
	check_conversions(conversions, users);
	if (!(credibility > 0 && credibility < 1))
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("credibility is %g", credibility),
				 errdetail("It must be between 0 and 1, such as 0.95.")));
	for (int side = 0; side < 2; side++)
		values[side] = Float8GetDatum(stats_beta_quantile(side == 0 ? (1 - credibility) / 2 : (1 + credibility) / 2,
														  1 + conversions, 1 + users - conversions));
	PG_RETURN_ARRAYTYPE_P(construct_array(values, 2, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* ab_sample_ratio_p(observed, weights): null if there is nothing to say. */
Datum
adapty_ab_sample_ratio_p(PG_FUNCTION_ARGS)
{
	int			n;
	int			n_weights;
	double	   *observed = arg_numbers(fcinfo, 0, "observed", &n);
	double	   *weights = arg_numbers(fcinfo, 1, "weights", &n_weights);
	double		p;

	check_lengths(n, "observed", n_weights, "weights", 2, PG_INT32_MAX);
	for (int i = 0; i < n; i++)
		if (weights[i] <= 0)
			ereport(ERROR,
					(condition_errcode(COND_BASE_ERROR),
					 errmsg("element %d of weights is %g", i + 1, weights[i]),
					 errdetail("It must be above 0.")));
	p = stats_sample_ratio_p(n, observed, weights);
	if (isnan(p))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(p);
}
