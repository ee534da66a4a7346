/*
 * plan_args.h
 *		Arguments of a saved plan, filled one by one.
 */
#ifndef ADAPTY_PLAN_ARGS_H
#define ADAPTY_PLAN_ARGS_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "base/plans.h"

/* Begin with {0}. */
typedef struct PlanArgs
{
	int			n;
	Datum		values[PLAN_MAX_ARGS];
	char		nulls[PLAN_MAX_ARGS + 1];
} PlanArgs;

extern void plan_add(PlanArgs *args, Datum value, bool isnull);

/* Null for NULL. */
extern void plan_add_text(PlanArgs *args, const char *value);

/* Null for -infinity, which stands for no time. */
extern void plan_add_time(PlanArgs *args, TimestampTz value);

/* Text datums as an array. */
extern Datum plan_text_array(Datum *values, int n);

#endif							/* ADAPTY_PLAN_ARGS_H */
