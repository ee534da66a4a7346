/*
 * attribute_check.c
 *		What an attribute's value may be: pure checks, and the map of custom attributes.
 *
 * A named attribute (default, or of a device) has a kind; its value becomes the text that the
 * column takes.  A custom attribute is a string or a number; booleans become numbers, and numbers
 * are kept as double precision has them, so that segments compare what was stored.
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "base/arg.h"
#include "base/compat.h"
#include "base/errors.h"
#include "domain/attribute_check.h"
#include "domain/attributes.h"

#define SHOWN_BYTES 60			/* of a key or value in an error */
#define MAX_SLUG 64

PG_FUNCTION_INFO_V1(adapty_is_custom_attributes);
PG_FUNCTION_INFO_V1(adapty_merge_custom_attributes);

/* A text fit for an error: the beginning of a long one. */
static char *
shown(const char *text)
{
	int			length = (int) strlen(text);

	if (length <= SHOWN_BYTES)
		return pstrdup(text);
	return psprintf("%s...", pnstrdup(text, pg_mbcliplen(text, length, SHOWN_BYTES)));
}

/* See attribute_check.h. */
void
attribute_refuse(const char *key, const JsonbValue *value, const char *detail)
{
	ereport(ERROR,
			(condition_errcode(COND_BASE_ERROR),
			 errmsg("attribute \"%s\" cannot be \"%s\"", shown(key), shown(jsonb_value_text(value))),
			 errdetail("%s", detail),
			 err_generic_string(PG_DIAG_COLUMN_NAME, shown(key))));
}

/* Letters, digits, "_", "." and "-" only, 1 to max of them? */
static bool
is_slug(const char *text, int length, int max)
{
	if (length < 1 || length > max)
		return false;
	for (int i = 0; i < length; i++)
	{
		char		c = text[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			  c == '_' || c == '.' || c == '-'))
			return false;
	}
	return true;
}

/* One "@" between something and something, no blanks: more only the mail server knows. */
static bool
is_email(const char *text)
{
	const char *at = strchr(text, '@');

	return at != NULL && at != text && at[1] != '\0' && strchr(at + 1, '@') == NULL &&
		strpbrk(text, " \t\r\n\f\v") == NULL;
}

/* Exactly four numbers of 0 to 255 without leading zeros? */
static bool
is_ip_v4_address(const char *text)
{
	for (int part = 0; part < 4; part++)
	{
		int			number = 0;
		int			digits = 0;

		while (*text >= '0' && *text <= '9' && digits < 4)
		{
			if (digits == 1 && number == 0)
				return false;
			number = number * 10 + (*text++ - '0');
			digits++;
		}
		if (digits == 0 || number > 255)
			return false;
		if (part < 3 && *text++ != '.')
			return false;
	}
	return *text == '\0';
}

/*
 * A date of the calendar, YYYY-MM-DD, from 1900 to today (UTC)?  Read here and not by date_in(), so
 * that DateStyle does not matter.
 */
static bool
is_birthday(const char *text)
{
	int			year;
	int			month;
	int			day;
	struct pg_tm today;
	fsec_t		fsec;

	if (strlen(text) != 10 || strspn(text, "0123456789-") != 10 || text[4] != '-' || text[7] != '-' ||
		sscanf(text, "%4d-%2d-%2d", &year, &month, &day) != 3)
		return false;
	if (year < 1900 || month < 1 || month > MONTHS_PER_YEAR || day < 1 ||
		day > day_tab[isleap(year)][month - 1])
		return false;
	if (timestamp2tm(GetCurrentTimestamp(), NULL, &today, &fsec, NULL, NULL) != 0)
		return false;
	return date2j(year, month, day) <= date2j(today.tm_year, today.tm_mon, today.tm_mday);
}

/* Is a text one of a list that ends with NULL? */
static bool
is_one_of(const char *text, const char *const *list)
{
	for (; *list != NULL; list++)
		if (strcmp(text, *list) == 0)
			return true;
	return false;
}

/* What is wrong with a text for a kind, as a sentence; NULL if nothing is.  May change its case. */
static const char *
text_fault(AttributeKind kind, char *text)
{
	static const char *const genders[] = {"f", "m", "o", NULL};
	static const char *const platforms[] = {"iOS", "macOS", "iPadOS", "visionOS", "Android", "web", NULL};
	static const char *const statuses[] = {"organic", "non_organic", "unknown", NULL};
	pg_uuid_t	uuid;

	switch (kind)
	{
		case KIND_TEXT:
			return NULL;
		case KIND_EMAIL:
			return is_email(text) ? NULL : "An email address has one \"@\" and no blanks.";
		case KIND_GENDER:
			return is_one_of(text, genders) ? NULL : "It must be \"f\", \"m\" or \"o\".";
		case KIND_BIRTHDAY:
			return is_birthday(text) ? NULL :
				"It must be a date YYYY-MM-DD, not before 1900 and not in the future.";
		case KIND_COUNTRY:
			for (char *c = text; *c != '\0'; c++)
				*c = (char) pg_toupper((unsigned char) *c);
			return strlen(text) == 2 && text[0] >= 'A' && text[0] <= 'Z' &&
				text[1] >= 'A' && text[1] <= 'Z' ? NULL :
				"It must be a country's two-letter code (ISO 3166-1 alpha-2).";
		case KIND_IP_V4_ADDRESS:
			return is_ip_v4_address(text) ? NULL : "It must be an IPv4 address, for example 192.0.2.1.";
		case KIND_STORE:
			return is_slug(text, (int) strlen(text), MAX_SLUG) ? NULL :
				"A store is 1 to 64 letters, digits, \"_\", \".\" or \"-\", for example \"app_store\".";
		case KIND_UUID:
			return parse_uuid(text, &uuid) ? NULL : "It must be a UUID.";
		case KIND_ATT_STATUS:
			return strlen(text) == 1 && text[0] >= '0' && text[0] <= '3' ? NULL :
				"It must be 0 (not determined), 1 (restricted), 2 (denied) or 3 (authorized).";
		case KIND_BOOLEAN:
			return strcmp(text, "true") == 0 || strcmp(text, "false") == 0 ||
				strcmp(text, "1") == 0 || strcmp(text, "0") == 0 ? NULL : "It must be true or false.";
		case KIND_PLATFORM:
			return is_one_of(text, platforms) ? NULL :
				"It must be \"iOS\", \"macOS\", \"iPadOS\", \"visionOS\", \"Android\" or \"web\".";
		case KIND_ATTRIBUTION_STATUS:
			return is_one_of(text, statuses) ? NULL :
				"It must be \"organic\", \"non_organic\" or \"unknown\".";
	}
	return "Its kind is not known.";
}

/* See attribute_check.h. */
char *
attribute_check(const char *prefix, const AttributeSpec *spec, const JsonbValue *value)
{
	char	   *key = psprintf("%s%s", prefix, spec->name);
	char	   *text;
	const char *fault;
	bool		fits;

	if (value->type == jbvNull)
		return NULL;
	fits = value->type == jbvString ||
		(spec->kind == KIND_ATT_STATUS && value->type == jbvNumeric) ||
		(spec->kind == KIND_BOOLEAN && (value->type == jbvBool || value->type == jbvNumeric));
	if (!fits)
		attribute_refuse(key, value,
						 spec->kind == KIND_BOOLEAN ? "It must be true or false." :
						 spec->kind == KIND_ATT_STATUS ? "It must be a number." : "It must be a string.");
	text = jsonb_value_text(value);
	if (text[0] == '\0')
		return NULL;
	if (pg_mbstrlen(text) > spec->max_chars)
		attribute_refuse(key, value,
						 psprintf("It has %d characters; at most %d are allowed.",
								  pg_mbstrlen(text), spec->max_chars));
	fault = text_fault(spec->kind, text);
	if (fault != NULL)
		attribute_refuse(key, value, fault);
	return text;
}

/* See attribute_check.h. */
int
attribute_find(const AttributeSpec *specs, int n, const char *key, int length)
{
	for (int i = 0; i < n; i++)
		if ((int) strlen(specs[i].name) == length && memcmp(specs[i].name, key, length) == 0)
			return i;
	return -1;
}

/* See attribute_check.h.  The shortest digits that give the same number, whatever the session's settings. */
bool
number_value(double number, JsonbValue *value)
{
	if (isnan(number) || isinf(number))
		return false;
	if (number == 0)
		number = 0;				/* JSON consumers need not know of a negative zero */
	value->type = jbvNumeric;
	value->val.numeric = DatumGetNumeric(DirectFunctionCall3(numeric_in,
															 CStringGetDatum(double_to_shortest_decimal(number)),
															 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	return true;
}

/* A numeric as double precision; infinite if it is beyond. */
static double
numeric_to_double(Numeric number)
{
	return strtod(DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number))), NULL);
}

/* See attribute_check.h. */
void
custom_attribute_add(JsonbBuild *patch, const char *key, const JsonbValue *value)
{
	JsonbValue	number;
	int			chars;

	if (!is_slug(key, (int) strlen(key), MAX_CUSTOM_KEY))
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("custom attribute key \"%s\" is not valid", shown(key)),
				 errdetail("A key is 1 to %d letters, digits, \"-\", \".\" or \"_\".", MAX_CUSTOM_KEY),
				 err_generic_string(PG_DIAG_COLUMN_NAME, "custom_attributes")));
	jb_key(patch, key);
	switch (value->type)
	{
		case jbvNull:
			jb_null(patch);
			break;
		case jbvString:
			if (value->val.string.len == 0)
			{
				jb_null(patch);
				break;
			}
			chars = pg_mbstrlen_with_len(value->val.string.val, value->val.string.len);
			if (chars > MAX_CUSTOM_VALUE)
				attribute_refuse(key, value,
								 psprintf("It has %d characters; at most %d are allowed.", chars, MAX_CUSTOM_VALUE));
			jb_string(patch, jsonb_value_text(value));
			break;
		case jbvBool:
			jb_int64(patch, value->val.boolean ? 1 : 0);
			break;
		case jbvNumeric:
			if (!number_value(numeric_to_double(value->val.numeric), &number))
				attribute_refuse(key, value, "A number must be within the range of double precision.");
			jb_numeric(patch, number.val.numeric);
			break;
		default:
			attribute_refuse(key, value, "It must be a string or a number, not an array or object.");
	}
}

/* May a stored custom attribute have this value? */
static bool
is_custom_value(const JsonbValue *value)
{
	if (value->type == jbvNumeric)
		return isfinite(numeric_to_double(value->val.numeric));
	if (value->type != jbvString || value->val.string.len == 0)
		return false;
	return value->val.string.len <= MAX_CUSTOM_VALUE ||
		pg_mbstrlen_with_len(value->val.string.val, value->val.string.len) <= MAX_CUSTOM_VALUE;
}

/* adapty.is_custom_attributes(jsonb): what the domain custom_attributes checks. */
Datum
adapty_is_custom_attributes(PG_FUNCTION_ARGS)
{
	Jsonb	   *attributes = PG_GETARG_JSONB_P(0);
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;

	if (!JB_ROOT_IS_OBJECT(attributes) || JB_ROOT_COUNT(attributes) > MAX_CUSTOM_ATTRIBUTES)
		PG_RETURN_BOOL(false);
	iterator = JsonbIteratorInit(&attributes->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY && !is_slug(value.val.string.val, value.val.string.len, MAX_CUSTOM_KEY))
			PG_RETURN_BOOL(false);
		if (token == WJB_VALUE && !is_custom_value(&value))
			PG_RETURN_BOOL(false);
	}
	PG_RETURN_BOOL(true);
}

/* Copies the attributes of an object that are set, and not in "except" (may be NULL); returns how many. */
static int
copy_attributes(JsonbBuild *jb, Jsonb *object, Jsonb *except, char **last_key)
{
	JsonbIterator *iterator = JsonbIteratorInit(&object->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	char	   *key = NULL;
	int			n = 0;

	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = pnstrdup(value.val.string.val, value.val.string.len);
		if (token != WJB_VALUE || value.type == jbvNull ||
			(except != NULL && jsonb_object_get(except, key) != NULL))
			continue;
		jb_key(jb, key);
		if (value.type == jbvNumeric)
			jb_numeric(jb, value.val.numeric);
		else
			jb_string(jb, jsonb_value_text(&value));
		*last_key = key;
		n++;
	}
	return n;
}

/*
 * adapty._merge_custom_attributes(old, patch): the attributes after a change; null in the patch
 * deletes.  A function of the row's own value, so that an UPDATE that waited for another merges
 * into what the other left.  ERROR (54000) if there would be too many.
 */
Datum
adapty_merge_custom_attributes(PG_FUNCTION_ARGS)
{
	Jsonb	   *old = PG_GETARG_JSONB_P(0);
	Jsonb	   *patch = PG_GETARG_JSONB_P(1);
	JsonbBuild	jb;
	char	   *last_key = NULL;
	int			n;

	if (!JB_ROOT_IS_OBJECT(old) || !JB_ROOT_IS_OBJECT(patch))
		elog(ERROR, "custom attributes are not an object");
	jb_init(&jb);
	jb_begin_object(&jb);
	n = copy_attributes(&jb, old, patch, &last_key);
	n += copy_attributes(&jb, patch, NULL, &last_key);
	jb_end_object(&jb);
	if (n > MAX_CUSTOM_ATTRIBUTES)
		ereport(ERROR,
				(condition_errcode(COND_TOO_MANY_ATTRIBUTES),
				 errmsg("custom attribute \"%s\" is one too many", last_key),
				 errdetail("The profile would have %d custom attributes; at most %d are allowed.",
						   n, MAX_CUSTOM_ATTRIBUTES),
				 errhint("Set attributes that are not needed to null, which deletes them."),
				 err_generic_string(PG_DIAG_COLUMN_NAME, "custom_attributes")));
	PG_RETURN_JSONB_P(jb_finish(&jb));
}
