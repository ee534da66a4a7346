/*
 * iso8601.h
 *		Reading dates and times as the API and the stores write them.
 */
#ifndef ADAPTY_ISO8601_H
#define ADAPTY_ISO8601_H

#include "postgres.h"

#include "datatype/timestamp.h"

/*
 * Reads exactly "YYYY-MM-DDThh:mm:ss[.fraction][zone]": "T" may be "t" or a blank; the fraction has
 * 1 to 9 digits, of which six are kept; the zone is "Z", "+hh:mm", "+hhmm" or "+hh" (or "-") and
 * UTC if there is none.  Neither TimeZone nor DateStyle has a say.  Years 1 to 9999.  false, and
 * *result untouched, for anything else: words like "now" and "infinity" among it.
 */
extern bool iso8601_parse(const char *text, TimestampTz *result);

#endif							/* ADAPTY_ISO8601_H */
