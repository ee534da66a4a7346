/*
 * json_path.c
 *		Reading what somebody else wrote: values deep inside of a JSON document, or nothing.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/iso8601.h"
#include "base/json_path.h"
#include "base/jsonb_build.h"

#define MAX_KEY 100				/* bytes, of one step of a path */
#define MAX_NUMBER_DIGITS 30	/* of a number that is written as a string */
#define MAX_EPOCH INT64CONST(253402300799)	/* the end of the year 9999 */

/* See json_path.h. */
JsonNode
json_root(Jsonb *document)
{
	JsonbValue *node = palloc(sizeof(JsonbValue));

	node->type = jbvBinary;
	node->val.binary.data = &document->root;
	node->val.binary.len = (int) (VARSIZE(document) - VARHDRSZ);
	return node;
}

/* A value that was looked up, NULL for a JSON null. */
static JsonNode
present(JsonbValue *value)
{
	return value == NULL || value->type == jbvNull ? NULL : value;
}

/* See json_path.h. */
JsonNode
json_element(JsonNode array, int i)
{
	if (array == NULL || array->type != jbvBinary || i < 0 ||
		!JsonContainerIsArray(array->val.binary.data) || JsonContainerIsScalar(array->val.binary.data))
		return NULL;
	return present(getIthJsonbValueFromContainer(array->val.binary.data, (uint32) i));
}

/* The value of one step. */
static JsonNode
step(JsonNode node, const char *key, int length)
{
	if (node->type != jbvBinary)
		return NULL;
	if (JsonContainerIsObject(node->val.binary.data))
		return present(getKeyJsonValueFromContainer(node->val.binary.data, key, length, NULL));
	if (length == 1 && key[0] >= '0' && key[0] <= '9')
		return json_element(node, key[0] - '0');
	return NULL;
}

/* See json_path.h. */
JsonNode
json_at(JsonNode node, const char *path)
{
	while (node != NULL && *path != '\0')
	{
		int			length = (int) strcspn(path, ".");

		Assert(length > 0 && length <= MAX_KEY);
		node = step(node, path, length);
		path += length;
		if (*path == '.')
			path++;
	}
	return node;
}

/* See json_path.h. */
char *
json_text_at(JsonNode node, const char *path)
{
	node = json_at(node, path);
	if (node == NULL || node->type != jbvString || node->val.string.len == 0)
		return NULL;
	return pnstrdup(node->val.string.val, node->val.string.len);
}

/* See json_path.h. */
char *
json_id_at(JsonNode node, const char *path, int max_chars)
{
	char	   *id;

	node = json_at(node, path);
	if (node != NULL && node->type == jbvNumeric)
	{
		int64		number = json_int_at(node, "", 0, PG_INT64_MAX, -1);

		return number < 0 ? NULL : psprintf(INT64_FORMAT, number);
	}
	id = json_text_at(node, node != NULL && node->type == jbvBinary ? "id" : "");
	if (id == NULL || pg_mbstrlen(id) > max_chars)
		return NULL;
	return id;
}

/* See json_path.h. */
bool
json_text_is(JsonNode node, const char *path, const char *text)
{
	node = json_at(node, path);
	return node != NULL && node->type == jbvString && node->val.string.len == (int) strlen(text) &&
		memcmp(node->val.string.val, text, node->val.string.len) == 0;
}

/* See json_path.h. */
bool
json_bool_at(JsonNode node, const char *path)
{
	node = json_at(node, path);
	return node != NULL && node->type == jbvBool && node->val.boolean;
}

/* See json_path.h. */
Numeric
json_number_at(JsonNode node, const char *path)
{
	char	   *text;
	size_t		digits;

	node = json_at(node, path);
	if (node != NULL && node->type == jbvNumeric)
		return node->val.numeric;
	text = json_text_at(node, "");
	if (text == NULL)
		return NULL;
	/* an optional sign, digits, an optional fraction: nothing else that numeric_in() would take */
	digits = strspn(text + (text[0] == '-'), "0123456789.");
	if (digits == 0 || digits > MAX_NUMBER_DIGITS || digits + (text[0] == '-') != strlen(text) ||
		strcspn(text, "0123456789") == strlen(text) ||
		(strchr(text, '.') != NULL && strchr(text, '.') != strrchr(text, '.')))
		return NULL;
	return DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
											   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

/* See json_path.h. */
int64
json_int_at(JsonNode node, const char *path, int64 min, int64 max, int64 fallback)
{
	Numeric		number = json_number_at(node, path);
	Datum		value;
	Datum		whole;
	int64		result;

	if (number == NULL)
		return fallback;
	value = NumericGetDatum(number);
	if (DatumGetBool(DirectFunctionCall2(numeric_lt, value, NumericGetDatum(int64_to_numeric(min)))) ||
		DatumGetBool(DirectFunctionCall2(numeric_gt, value, NumericGetDatum(int64_to_numeric(max)))))
		return fallback;
	whole = DirectFunctionCall2(numeric_trunc, value, Int32GetDatum(0));
	if (!DatumGetBool(DirectFunctionCall2(numeric_eq, value, whole)))
		return fallback;
	result = DatumGetInt64(DirectFunctionCall1(numeric_int8, whole));
	return result;
}

/* See json_path.h. */
TimestampTz
json_epoch_at(JsonNode node, const char *path)
{
	int64		seconds = json_int_at(node, path, 0, MAX_EPOCH, -1);

	if (seconds < 0)
		return DT_NOBEGIN;
	return (seconds - ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)) * SECS_PER_DAY) * USECS_PER_SEC;
}

/* See json_path.h. */
TimestampTz
json_iso8601_at(JsonNode node, const char *path)
{
	char	   *text = json_text_at(node, path);
	TimestampTz result;

	if (text == NULL || !iso8601_parse(text, &result) ||
		result < -((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)) * USECS_PER_DAY)
		return DT_NOBEGIN;
	return result;
}

/* See json_path.h. */
int
json_length_at(JsonNode node, const char *path)
{
	node = json_at(node, path);
	if (node == NULL || node->type != jbvBinary ||
		!JsonContainerIsArray(node->val.binary.data) || JsonContainerIsScalar(node->val.binary.data))
		return 0;
	return (int) JsonContainerSize(node->val.binary.data);
}
