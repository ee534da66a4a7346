/*
 * guc_values.h
 *		Reading settings by name, for a library that does not define them.
 */
#ifndef ADAPTY_GUC_VALUES_H
#define ADAPTY_GUC_VALUES_H

#include "postgres.h"

#include "utils/builtins.h"
#include "utils/guc.h"

/* An integer setting, in its own unit. */
static inline int
guc_int(const char *name)
{
	const char *text = GetConfigOption(name, false, false);
	int			value = 0;

	if (!parse_int(text, &value, 0, NULL))
		elog(ERROR, "setting \"%s\" is not a number", name);
	return value;
}

/* A boolean setting. */
static inline bool
guc_bool(const char *name)
{
	bool		value = false;

	if (!parse_bool(GetConfigOption(name, false, false), &value))
		elog(ERROR, "setting \"%s\" is not a boolean", name);
	return value;
}

#endif							/* ADAPTY_GUC_VALUES_H */
