/*
 * plan_args.c
 *		Arguments of a saved plan, filled one by one.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/plan_args.h"

/* See plan_args.h. */
void
plan_add(PlanArgs *args, Datum value, bool isnull)
{
	Assert(args->n < PLAN_MAX_ARGS);
	args->values[args->n] = value;
	args->nulls[args->n] = isnull ? 'n' : ' ';
	args->n++;
}

/* See plan_args.h. */
void
plan_add_text(PlanArgs *args, const char *value)
{
	plan_add(args, value == NULL ? (Datum) 0 : CStringGetTextDatum(value), value == NULL);
}

/* See plan_args.h. */
void
plan_add_time(PlanArgs *args, TimestampTz value)
{
	plan_add(args, TimestampTzGetDatum(value), TIMESTAMP_IS_NOBEGIN(value));
}

/* See plan_args.h. */
Datum
plan_text_array(Datum *values, int n)
{
	return PointerGetDatum(construct_array(values, n, TEXTOID, -1, false, TYPALIGN_INT));
}
