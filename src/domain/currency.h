/*
 * currency.h
 *		Definitions of virtual currencies.
 */
#ifndef ADAPTY_CURRENCY_H
#define ADAPTY_CURRENCY_H

#include "postgres.h"

#include "base/compat.h"

#define MAX_CURRENCY_CODE 32	/* characters */
#define MAX_CURRENCY_BALANCE PG_INT32_MAX

/*
 * A code as it is stored, in capitals; NULL if the text is none: 1 to 32 letters A to Z, digits or
 * "_".
 */
extern char *currency_code_normalise(const char *text);

/* ERROR (22023, unknown_currency): no currency of that code. */
extern void currency_not_found(const char *code) pg_attribute_noreturn();

#endif							/* ADAPTY_CURRENCY_H */
