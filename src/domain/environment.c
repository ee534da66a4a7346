/*
 * environment.c
 *		Settings of an environment: the only writer of environment_settings.
 *
 * They are read where they matter, which is rarely: a billing issue without grace, a purchase on a
 * second profile, the start of a subscription.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/arg.h"
#include "base/clock.h"
#include "base/errors.h"
#include "base/plans.h"
#include "domain/environment.h"

PG_FUNCTION_INFO_V1(adapty_configure_environment);

#define DEFAULT_RETRY_DAYS 60

static SavedPlan settings_plan = {
	.name = "settings of an environment",
	.sql = "SELECT e.access_sharing::text, e.billing_retry_period, e.trial_active_delay, "
	"    e.subscription_active_delay FROM adapty.environment_settings e "
	"WHERE e.environment OPERATOR(pg_catalog.=) $1::adapty.environment",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {TEXTOID},
};

/* A null argument keeps what is there; a zero delay takes it away. */
static SavedPlan configure_plan = {
	.name = "settings of an environment to change",
	.sql = "INSERT INTO adapty.environment_settings AS e "
	"    (environment, access_sharing, billing_retry_period, trial_active_delay, subscription_active_delay) "
	"VALUES ($1::adapty.environment, COALESCE($2::adapty.access_sharing, 'enabled'), "
	"    COALESCE($3, interval '60 days'), NULLIF($4, interval '0'), NULLIF($5, interval '0')) "
	"ON CONFLICT (environment) DO UPDATE SET "
	"    access_sharing = COALESCE($2::adapty.access_sharing, e.access_sharing), "
	"    billing_retry_period = COALESCE($3, e.billing_retry_period), "
	"    trial_active_delay = CASE WHEN $4 IS NULL THEN e.trial_active_delay ELSE NULLIF($4, interval '0') END, "
	"    subscription_active_delay = CASE WHEN $5 IS NULL THEN e.subscription_active_delay "
	"        ELSE NULLIF($5, interval '0') END",
	.expected = SPI_OK_INSERT,
	.nargs = 5,
	.argtypes = {TEXTOID, TEXTOID, INTERVALOID, INTERVALOID, INTERVALOID},
};

/* Looks the row up; false if there is none and the defaults hold. */
static bool
find_settings(const char *environment)
{
	Datum		values[1] = {CStringGetTextDatum(environment)};

	return plan_execute_generic(&settings_plan, values, NULL, false) > 0;
}

/* See environment.h. */
AccessSharing
environment_access_sharing(const char *environment)
{
	char	   *label;

	if (!find_settings(environment))
		return ACCESS_SHARING_ENABLED;
	label = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (strcmp(label, "transfer") == 0)
		return ACCESS_SHARING_TRANSFER;
	return strcmp(label, "disabled") == 0 ? ACCESS_SHARING_DISABLED : ACCESS_SHARING_ENABLED;
}

/* See environment.h.  Months count 30 days here: a period, not a calendar date. */
int64
environment_retry_period(const char *environment)
{
	bool		isnull;
	Interval   *period;

	if (!find_settings(environment))
		return DEFAULT_RETRY_DAYS * USECS_PER_DAY;
	period = DatumGetIntervalP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	return period->time + (int64) period->day * USECS_PER_DAY + (int64) period->month * 30 * USECS_PER_DAY;
}

/* See environment.h. */
bool
environment_active_at(const char *environment, bool is_trial, TimestampTz began_at, TimestampTz *active_at)
{
	bool		isnull;
	Datum		delay;

	if (!find_settings(environment))
		return false;
	delay = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, is_trial ? 3 : 4, &isnull);
	if (isnull)
		return false;
	*active_at = clock_add(began_at, DatumGetIntervalP(delay));
	return true;
}

/* ERROR (22023) unless an interval argument is null or between 0 and ten years. */
static void
check_period(FunctionCallInfo fcinfo, int n, const char *name)
{
	static const char *const longest = "10 years";
	Interval   *ten_years;

	if (PG_ARGISNULL(n))
		return;
	ten_years = DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(longest),
													  ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	if (DatumGetBool(DirectFunctionCall2(interval_lt, PG_GETARG_DATUM(n),
										 IntervalPGetDatum(&(Interval) {0}))) ||
		DatumGetBool(DirectFunctionCall2(interval_gt, PG_GETARG_DATUM(n), IntervalPGetDatum(ten_years))))
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("invalid value for \"%s\": \"%s\"", name,
						DatumGetCString(DirectFunctionCall1(interval_out, PG_GETARG_DATUM(n)))),
				 errhint("Give an interval from 0 to %s.", longest)));
}

/*
 * adapty.configure_environment(environment, access_sharing, billing_retry_period, trial_active_delay,
 * subscription_active_delay): null keeps a setting, a delay of 0 takes it away.
 */
Datum
adapty_configure_environment(PG_FUNCTION_ARGS)
{
	Datum		values[5];
	char		nulls[6] = "     ";
	ApiScope	scope;

	refuse_unless_writable(fcinfo);
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("environment must not be null")));
	check_period(fcinfo, 2, "billing_retry_period");
	check_period(fcinfo, 3, "trial_active_delay");
	check_period(fcinfo, 4, "subscription_active_delay");
	for (int i = 0; i < 5; i++)
	{
		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
		values[i] = PG_ARGISNULL(i) ? (Datum) 0 : PG_GETARG_DATUM(i);
		/* enums of ours go by their labels */
		if (i < 2 && !PG_ARGISNULL(i))
			values[i] = CStringGetTextDatum(DatumGetCString(DirectFunctionCall1(enum_out, values[i])));
	}
	scope_enter(&scope);
	(void) plan_execute_generic(&configure_plan, values, nulls, false);
	scope_leave(&scope);
	PG_RETURN_VOID();
}
