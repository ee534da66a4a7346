/*
 * json_shape.c
 *		JSON in the order and with the members that the API documents.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/numeric.h"

#include "base/compat.h"
#include "http/json_shape.h"

static void write_container(StringInfo out, JsonbContainer *container, const JsonShape *shape);

/* Appends a string. */
static void
write_string(StringInfo out, const JsonbValue *value, JsonForm form)
{
	char	   *text = pnstrdup(value->val.string.val, value->val.string.len);
	char	   *zeroes = form == JSON_TIME ? strstr(text, ".000000") : NULL;

	if (zeroes != NULL)
		memmove(zeroes, zeroes + 7, strlen(zeroes + 7) + 1);
	escape_json(out, text);
	pfree(text);
}

/* Appends a number. */
static void
write_number(StringInfo out, Numeric number, JsonForm form)
{
	char	   *text = numeric_normalize(number);

	appendStringInfoString(out, text);
	if (form == JSON_FLOAT && strchr(text, '.') == NULL)
		appendStringInfoString(out, ".0");
}

/* Appends any value. */
static void
write_value(StringInfo out, const JsonbValue *value, const JsonShape *shape, JsonForm form)
{
	switch (value->type)
	{
		case jbvNull:
			appendStringInfoString(out, "null");
			break;
		case jbvString:
			write_string(out, value, form);
			break;
		case jbvNumeric:
			write_number(out, value->val.numeric, form);
			break;
		case jbvBool:
			appendStringInfoString(out, value->val.boolean ? "true" : "false");
			break;
		case jbvBinary:
			if (shape != NULL)
				write_container(out, value->val.binary.data, shape);
			else
				JsonbToCString(out, value->val.binary.data, value->val.binary.len);
			break;
		default:
			elog(ERROR, "unexpected type of JSON value: %d", (int) value->type);
	}
}

/* A member of an object; NULL if it is not there. */
static JsonbValue *
member(JsonbContainer *object, const char *key)
{
	return getKeyJsonValueFromContainer(object, key, (int) strlen(key), NULL);
}

/* Appends what stands for a null. */
static void
write_if_null(StringInfo out, JsonbContainer *object, const JsonShape *shape)
{
	JsonbValue *other;

	if (shape->if_null[0] != '=')
		escape_json(out, shape->if_null);
	else if ((other = member(object, shape->if_null + 1)) != NULL)
		write_value(out, other, NULL, shape->form);
	else
		appendStringInfoString(out, "null");
}

/* Appends an object's members that the shape knows. */
static void
write_object(StringInfo out, JsonbContainer *object, const JsonShape *shape)
{
	char		before = '{';

	for (; shape->key != NULL; shape++)
	{
		JsonbValue *value = member(object, shape->key);

		if (value == NULL)
			continue;
		appendStringInfo(out, "%c\"%s\":", before, shape->key);
		if (value->type == jbvNull && shape->if_null != NULL)
			write_if_null(out, object, shape);
		else
			write_value(out, value, shape->members, shape->form);
		before = ',';
	}
	appendStringInfoString(out, before == '{' ? "{}" : "}");
}

/* Appends an object, an array of objects, or a scalar at the root. */
static void
write_container(StringInfo out, JsonbContainer *container, const JsonShape *shape)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	item;
	char		before = '[';

	if (JsonContainerIsObject(container))
	{
		write_object(out, container, shape);
		return;
	}
	iterator = JsonbIteratorInit(container);
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM)
			continue;
		if (!JsonContainerIsScalar(container))
			appendStringInfoChar(out, before);
		write_value(out, &item, shape, JSON_AS_IS);
		before = ',';
	}
	if (!JsonContainerIsScalar(container))
		appendStringInfoString(out, before == '[' ? "[]" : "]");
}

/* See json_shape.h. */
void
json_write_shaped(StringInfo out, Jsonb *value, const JsonShape *shape)
{
	write_container(out, &value->root, shape);
}

/* Copies a container into the value under construction, without members that the shape does not know. */
static void
copy_known(JsonbParseState **state, JsonbContainer *container, const JsonShape *shape, JsonbValue **result)
{
	JsonbIterator *iterator = JsonbIteratorInit(container);
	JsonbIteratorToken token;
	JsonbValue	item;
	const JsonShape *known = shape;

	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		bool		is_object = JsonContainerIsObject(container);

		if (token == WJB_KEY)
			for (known = shape; known->key != NULL; known++)
				if (strlen(known->key) == (size_t) item.val.string.len &&
					memcmp(known->key, item.val.string.val, item.val.string.len) == 0)
					break;
		if ((token == WJB_KEY || token == WJB_VALUE) && known->key == NULL)
			continue;
		if ((token == WJB_VALUE || token == WJB_ELEM) && item.type == jbvBinary &&
			(is_object ? known->members : shape) != NULL)
			copy_known(state, item.val.binary.data, is_object ? known->members : shape, result);
		else
			*result = pushJsonbValue(state, token, token < WJB_BEGIN_ARRAY ? &item : NULL);
	}
}

/* See json_shape.h. */
Jsonb *
json_keep_known(Jsonb *value, const JsonShape *shape)
{
	JsonbParseState *state = NULL;
	JsonbValue *result = NULL;

	if (JB_ROOT_IS_SCALAR(value))
		return value;
	copy_known(&state, &value->root, shape, &result);
	return JsonbValueToJsonb(result);
}
