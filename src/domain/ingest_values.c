/*
 * ingest_values.c
 *		Amounts, codes and states as the stores write them.
 *
 * All three write amounts in minor units.  How many there are in a main unit is ISO 4217's, with the
 * exceptions that Stripe documents: it counts Icelandic krónur and Ugandan shillings in hundredths,
 * and Malagasy ariary whole.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "domain/ingest.h"

/* Is a code in a list of codes with blanks between them? */
static bool
is_listed(const char *code, const char *list)
{
	const char *found = strstr(list, code);

	return found != NULL && (found - list) % 4 == 0;
}

/* Decimal places of a currency's main unit. */
static int
minor_digits(const char *store, const char *currency)
{
	if (is_listed(currency, "BIF CLP DJF GNF JPY KMF KRW PYG RWF VND VUV XAF XOF XPF "))
		return 0;
	if (strcmp(store, "stripe") == 0)
	{
		if (strcmp(currency, "MGA") == 0)
			return 0;
	}
	else if (is_listed(currency, "ISK UGX "))
		return 0;
	return is_listed(currency, "BHD IQD JOD KWD LYD OMR TND ") ? 3 : 2;
}

/* See ingest.h. */
Numeric
ingest_amount(const char *store, Numeric minor, const char *currency)
{
	static const int units[] = {1, 10, 100, 1000};
	int			digits = minor_digits(store, currency);
	Datum		zero = NumericGetDatum(int64_to_numeric(0));
	Datum		amount;

	if (minor == NULL || DatumGetBool(DirectFunctionCall2(numeric_lt, NumericGetDatum(minor), zero)))
		return NULL;
	amount = DirectFunctionCall2(numeric_div, NumericGetDatum(minor),
								 NumericGetDatum(int64_to_numeric(units[digits])));
	return DatumGetNumeric(DirectFunctionCall2(numeric_round, amount, Int32GetDatum(digits)));
}

/* Exactly n letters, as capitals; NULL for anything else. */
static char *
read_code(const char *code, size_t n)
{
	char	   *result;

	if (code == NULL || strlen(code) != n)
		return NULL;
	result = pstrdup(code);
	for (size_t i = 0; i < n; i++)
	{
		result[i] = (char) pg_toupper((unsigned char) result[i]);
		if (result[i] < 'A' || result[i] > 'Z')
			return NULL;
	}
	return result;
}

/* See ingest.h. */
char *
ingest_currency(const char *code)
{
	return read_code(code, 3);
}

/* See ingest.h. */
char *
ingest_country(const char *code)
{
	return read_code(code, 2);
}

/* See ingest.h. */
bool
ingest_status(JsonNode object, const StoreStatusName *names, int n, StoreStatus *status, int *order)
{
	for (int i = 0; i < n; i++)
	{
		if (!json_text_is(object, "status", names[i].name))
			continue;
		*status = names[i].status;
		*order = i;
		return true;
	}
	return false;
}
