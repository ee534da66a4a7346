/*
 * json_fields.c
 *		Reading a JSON object field by field, with errors that name the field.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/iso8601.h"
#include "base/json_fields.h"
#include "base/jsonb_build.h"

#define SHOWN_BYTES 100			/* of a value, in an error */

/* The path of a field: "price.value". */
static char *
field_path(const JsonFields *fields, const char *field)
{
	return psprintf("%s%s", fields->prefix, field);
}

/* See json_fields.h. */
void
field_error(const JsonFields *fields, const char *field, const char *value, const char *detail)
{
	char	   *path = field_path(fields, field);
	int			length;

	if (value == NULL)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("missing value for \"%s\"", path),
				 errdetail("%s", detail),
				 err_generic_string(PG_DIAG_COLUMN_NAME, path)));
	length = (int) strlen(value);
	if (length > SHOWN_BYTES)
		value = psprintf("%s...", pnstrdup(value, pg_mbcliplen(value, length, SHOWN_BYTES)));
	ereport(ERROR,
			(condition_errcode(COND_BASE_ERROR),
			 errmsg("invalid value for \"%s\": \"%s\"", path, value),
			 errdetail("%s", detail),
			 err_generic_string(PG_DIAG_COLUMN_NAME, path)));
}

/* The value of a field; NULL if it is absent or null, which is an ERROR if it is required. */
static JsonbValue *
field_get(const JsonFields *fields, const char *field, bool required)
{
	JsonbValue *value = jsonb_object_get(fields->object, field);

	if (value != NULL && value->type != jbvNull)
		return value;
	if (required)
		field_error(fields, field, NULL, "The field is required and must not be null.");
	return NULL;
}

/* See json_fields.h. */
void
fields_check_known(const JsonFields *fields, const char *const *known, const char *what)
{
	JsonbIterator *it = JsonbIteratorInit(&fields->object->root);
	JsonbIteratorToken token;
	JsonbValue	value;

	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		const char *const *name = known;
		char	   *path;

		if (token != WJB_KEY)
			continue;
		while (*name != NULL && !(strlen(*name) == (size_t) value.val.string.len &&
								  memcmp(*name, value.val.string.val, value.val.string.len) == 0))
			name++;
		if (*name != NULL)
			continue;
		path = field_path(fields, pnstrdup(value.val.string.val,
										   pg_mbcliplen(value.val.string.val, value.val.string.len,
														SHOWN_BYTES)));
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("unknown field \"%s\"", path),
				 errdetail("There is no such field in %s.", what),
				 err_generic_string(PG_DIAG_COLUMN_NAME, path)));
	}
}

/* See json_fields.h. */
char *
field_text(const JsonFields *fields, const char *field, bool required, int max_chars)
{
	JsonbValue *value = field_get(fields, field, required);
	char	   *text;
	int			chars;

	if (value == NULL)
		return NULL;
	if (value->type != jbvString)
		field_error(fields, field, jsonb_value_text(value), "The value must be a string.");
	text = pnstrdup(value->val.string.val, value->val.string.len);
	if (text[0] == '\0')
		field_error(fields, field, text, "The value must not be empty.");
	chars = pg_mbstrlen_with_len(text, value->val.string.len);
	if (chars > max_chars)
		field_error(fields, field, text,
					psprintf("The value has %d characters; at most %d are allowed.", chars, max_chars));
	return text;
}

/* See json_fields.h. */
const char *
field_choice(const JsonFields *fields, const char *field, bool required, const char *const *choices)
{
	JsonbValue *value = field_get(fields, field, required);
	StringInfoData list;
	char	   *text;

	if (value == NULL)
		return NULL;
	text = jsonb_value_text(value);
	initStringInfo(&list);
	for (const char *const *choice = choices; *choice != NULL; choice++)
	{
		if (value->type == jbvString && strcmp(text, *choice) == 0)
			return *choice;
		appendStringInfo(&list, "%s%s", choice == choices ? "" : ", ", *choice);
	}
	field_error(fields, field, text, psprintf("The value must be one of: %s.", list.data));
}

/* See json_fields.h. */
bool
field_bool(const JsonFields *fields, const char *field, bool required, bool *value)
{
	JsonbValue *json = field_get(fields, field, required);

	if (json == NULL)
		return false;
	if (json->type != jbvBool)
		field_error(fields, field, jsonb_value_text(json), "The value must be true or false.");
	*value = json->val.boolean;
	return true;
}

/* See json_fields.h. */
bool
field_timestamp(const JsonFields *fields, const char *field, bool required, TimestampTz *value)
{
	JsonbValue *json = field_get(fields, field, required);
	char	   *text;

	if (json == NULL)
		return false;
	text = jsonb_value_text(json);
	if (json->type != jbvString || !iso8601_parse(text, value))
		field_error(fields, field, text,
					"The value must be an ISO 8601 date and time, such as \"2024-12-24T10:50:23Z\".");
	return true;
}

/* See json_fields.h. */
Numeric
field_number(const JsonFields *fields, const char *field, bool required)
{
	JsonbValue *json = field_get(fields, field, required);

	if (json == NULL)
		return NULL;
	if (json->type != jbvNumeric)
		field_error(fields, field, jsonb_value_text(json), "The value must be a number.");
	return json->val.numeric;
}

/* See json_fields.h. */
bool
field_object(const JsonFields *fields, const char *field, bool required, JsonFields *value)
{
	JsonbValue *json = field_get(fields, field, required);

	if (json == NULL)
		return false;
	if (json->type == jbvBinary)
	{
		Jsonb	   *object = JsonbValueToJsonb(json);

		if (JB_ROOT_IS_OBJECT(object))
		{
			value->object = object;
			value->prefix = psprintf("%s%s.", fields->prefix, field);
			return true;
		}
	}
	field_error(fields, field, jsonb_value_text(json), "The value must be an object.");
}

/* See json_fields.h. */
JsonbValue *
json_array(Jsonb *array, const char *name, int *n)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	value;
	JsonbValue *elements;

	if (!JB_ROOT_IS_ARRAY(array) || JB_ROOT_IS_SCALAR(array))
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("%s must be an array", name),
				 err_generic_string(PG_DIAG_COLUMN_NAME, name)));
	*n = 0;
	elements = palloc(sizeof(JsonbValue) * (JB_ROOT_COUNT(array) + 1));
	it = JsonbIteratorInit(&array->root);
	(void) JsonbIteratorNext(&it, &value, true);
	while ((token = JsonbIteratorNext(&it, &value, true)) == WJB_ELEM)
		elements[(*n)++] = value;
	return elements;
}

/* See json_fields.h. */
void
json_element_object(JsonbValue *element, const char *name, int index, const char *detail, JsonFields *fields)
{
	if (element->type != jbvBinary || !JsonContainerIsObject(element->val.binary.data))
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("invalid element %d of \"%s\"", index + 1, name),
				 errdetail("%s", detail),
				 err_generic_string(PG_DIAG_COLUMN_NAME, name)));
	fields->object = JsonbValueToJsonb(element);
	fields->prefix = psprintf("%s[%d].", name, index);
}
