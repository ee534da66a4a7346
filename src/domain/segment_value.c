/*
 * segment_value.c
 *		What segments' views call for each row: versions, languages, custom attributes, times.
 *
 * All but the two times are immutable, so that an index on their result can be made.  The times are
 * computed once a statement and call, whatever the number of rows.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/compat.h"
#include "types/segment_tree.h"

PG_FUNCTION_INFO_V1(adapty_semver_key);
PG_FUNCTION_INFO_V1(adapty_language_code);
PG_FUNCTION_INFO_V1(adapty_attribute_text);
PG_FUNCTION_INFO_V1(adapty_attribute_number);
PG_FUNCTION_INFO_V1(adapty_time_from_now);
PG_FUNCTION_INFO_V1(adapty_date_from_now);

/* adapty.semver_key(version): bytes that sort as SemVer says; null for what is no version. */
Datum
adapty_semver_key(PG_FUNCTION_ARGS)
{
	text	   *version = PG_GETARG_TEXT_PP(0);
	unsigned char key[SEGMENT_MAX_VERSION_KEY];
	int			length = segment_version_key(VARDATA_ANY(version), VARSIZE_ANY_EXHDR(version), key);

	if (length < 0)
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(cstring_to_text_with_len((char *) key, length));
}

/* Is a character a letter of ASCII? */
static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* adapty.language_code(locale): its ISO 639-1 code; null if it has none. */
Datum
adapty_language_code(PG_FUNCTION_ARGS)
{
	text	   *locale = PG_GETARG_TEXT_PP(0);
	const char *p = VARDATA_ANY(locale);
	size_t		length = VARSIZE_ANY_EXHDR(locale);
	char		code[2];

	if (length < 2 || !is_letter(p[0]) || !is_letter(p[1]) || (length > 2 && p[2] != '-' && p[2] != '_'))
		PG_RETURN_NULL();
	code[0] = (char) (p[0] | 0x20);
	code[1] = (char) (p[1] | 0x20);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(code, 2));
}

/* A custom attribute of the arguments (attributes, key); NULL if it is not set. */
static JsonbValue *
find_attribute(FunctionCallInfo fcinfo, JsonbValue *value)
{
	Jsonb	   *attributes = PG_GETARG_JSONB_P(0);
	text	   *key = PG_GETARG_TEXT_PP(1);

	if (!JB_ROOT_IS_OBJECT(attributes))
		return NULL;
	return getKeyJsonValueFromContainer(&attributes->root, VARDATA_ANY(key), (int) VARSIZE_ANY_EXHDR(key), value);
}

/* adapty.attribute_text(attributes, key): null if it is not set or a number. */
Datum
adapty_attribute_text(PG_FUNCTION_ARGS)
{
	JsonbValue	value;

	if (find_attribute(fcinfo, &value) == NULL || value.type != jbvString)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(value.val.string.val, value.val.string.len));
}

/* adapty.attribute_number(attributes, key): null if it is not set or a text. */
Datum
adapty_attribute_number(PG_FUNCTION_ARGS)
{
	JsonbValue	value;
	Size		size;
	void	   *number;

	if (find_attribute(fcinfo, &value) == NULL || value.type != jbvNumeric)
		PG_RETURN_NULL();
	size = VARSIZE_ANY(value.val.numeric);
	number = palloc(size);
	memcpy(number, value.val.numeric, size);
	PG_RETURN_POINTER(number);
}

/* The last result of a call of time_from_now() or date_from_now(). */
typedef struct Moment
{
	bool		is_known;
	TimestampTz now;
	Interval	span;
	TimestampTz moment;
} Moment;

/* now() of readers plus a span, by the calendar in UTC. */
static TimestampTz
moment_from_now(FunctionCallInfo fcinfo)
{
	Interval   *span = PG_GETARG_INTERVAL_P(0);
	TimestampTz now = clock_read_now();
	Moment	   *last = fcinfo->flinfo->fn_extra;

	if (last == NULL)
	{
		last = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(Moment));
		fcinfo->flinfo->fn_extra = last;
	}
	if (!last->is_known || last->now != now || last->span.time != span->time ||
		last->span.day != span->day || last->span.month != span->month)
	{
		last->moment = clock_add(now, span);
		last->now = now;
		last->span = *span;
		last->is_known = true;
	}
	return last->moment;
}

/* adapty.time_from_now(span) */
Datum
adapty_time_from_now(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(moment_from_now(fcinfo));
}

/* adapty.date_from_now(span): the day of that time in UTC. */
Datum
adapty_date_from_now(PG_FUNCTION_ARGS)
{
	TimestampTz moment = moment_from_now(fcinfo);
	int64		day = moment / USECS_PER_DAY;

	if (moment % USECS_PER_DAY < 0)
		day--;
	PG_RETURN_DATEADT((DateADT) day);
}
