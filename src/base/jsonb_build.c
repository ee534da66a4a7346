/*
 * jsonb_build.c
 *		Building jsonb objects and arrays, over the server versions' differences.
 *
 * The builder knows from its innermost open container whether a value is an element or belongs to
 * the last key, so callers say only what they write.  Everything is made in the current memory
 * context; strings are copied, numbers and jsonb values must live until jb_finish().
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/jsonb_build.h"

/* Starts a builder. */
void
jb_init(JsonbBuild *jb)
{
	jb->state = NULL;
	jb->result = NULL;
}

/* Adds a value to the innermost container. */
static void
push_value(JsonbBuild *jb, JsonbValue *value)
{
	Assert(jb->state != NULL);
	jb->result = pushJsonbValue(&jb->state,
								jb->state->contVal.type == jbvArray ? WJB_ELEM : WJB_VALUE, value);
}

/* Opens an object, as the root or as the next value. */
void
jb_begin_object(JsonbBuild *jb)
{
	jb->result = pushJsonbValue(&jb->state, WJB_BEGIN_OBJECT, NULL);
}

/* Closes the innermost object. */
void
jb_end_object(JsonbBuild *jb)
{
	jb->result = pushJsonbValue(&jb->state, WJB_END_OBJECT, NULL);
}

/* Opens an array, as the root or as the next value. */
void
jb_begin_array(JsonbBuild *jb)
{
	jb->result = pushJsonbValue(&jb->state, WJB_BEGIN_ARRAY, NULL);
}

/* Closes the innermost array. */
void
jb_end_array(JsonbBuild *jb)
{
	jb->result = pushJsonbValue(&jb->state, WJB_END_ARRAY, NULL);
}

/* The key of the value that follows; of equal keys the last one stays. */
void
jb_key(JsonbBuild *jb, const char *key)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.len = (int) strlen(key);
	value.val.string.val = pstrdup(key);
	jb->result = pushJsonbValue(&jb->state, WJB_KEY, &value);
}

/* Adds a JSON null. */
void
jb_null(JsonbBuild *jb)
{
	JsonbValue	value;

	value.type = jbvNull;
	push_value(jb, &value);
}

/* Adds a string; null for NULL. */
void
jb_string(JsonbBuild *jb, const char *string)
{
	JsonbValue	value;

	if (string == NULL)
	{
		jb_null(jb);
		return;
	}
	value.type = jbvString;
	value.val.string.len = (int) strlen(string);
	value.val.string.val = pstrdup(string);
	push_value(jb, &value);
}

/* Adds true or false. */
void
jb_bool(JsonbBuild *jb, bool boolean)
{
	JsonbValue	value;

	value.type = jbvBool;
	value.val.boolean = boolean;
	push_value(jb, &value);
}

/* Adds an integer. */
void
jb_int64(JsonbBuild *jb, int64 number)
{
	jb_numeric(jb, int64_to_numeric(number));
}

/* Adds a number, which must be finite: JSON has no other; null for NULL. */
void
jb_numeric(JsonbBuild *jb, Numeric number)
{
	JsonbValue	value;

	if (number == NULL)
	{
		jb_null(jb);
		return;
	}
	value.type = jbvNumeric;
	value.val.numeric = number;
	push_value(jb, &value);
}

/* Adds a uuid as a string; null for NULL. */
void
jb_uuid(JsonbBuild *jb, const pg_uuid_t *uuid)
{
	jb_string(jb, uuid == NULL ? NULL :
			  DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(uuid))));
}

/* Adds a moment as the API writes it; null for an infinite one. */
void
jb_timestamp(JsonbBuild *jb, TimestampTz t)
{
	jb_string(jb, clock_iso8601(t));
}

/* Adds a whole jsonb value, a bare scalar too; null for NULL. */
void
jb_jsonb(JsonbBuild *jb, Jsonb *jsonb)
{
	JsonbValue	value;

	if (jsonb == NULL)
	{
		jb_null(jb);
		return;
	}
	if (!JB_ROOT_IS_SCALAR(jsonb) || !JsonbExtractScalar(&jsonb->root, &value))
	{
		value.type = jbvBinary;
		value.val.binary.data = &jsonb->root;
		value.val.binary.len = (int) (VARSIZE(jsonb) - VARHDRSZ);
	}
	push_value(jb, &value);
}

/* The finished object or array; every begin must have had its end. */
Jsonb *
jb_finish(JsonbBuild *jb)
{
	Assert(jb->state == NULL && jb->result != NULL);
	return JsonbValueToJsonb(jb->result);
}

/* See jsonb_build.h.  The result points into the object. */
JsonbValue *
jsonb_object_get(Jsonb *object, const char *key)
{
	if (!JB_ROOT_IS_OBJECT(object))
		return NULL;
	return getKeyJsonValueFromContainer(&object->root, key, (int) strlen(key), NULL);
}

/* See jsonb_build.h.  A null is "null", an object or array its JSON. */
char *
jsonb_value_text(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out,
													   NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		case jbvBinary:
			return JsonbToCString(NULL, value->val.binary.data, value->val.binary.len);
		case jbvNull:
			return pstrdup("null");
		default:
			elog(ERROR, "unexpected jsonb value of type %d", (int) value->type);
	}
	return NULL;				/* not reached; for compilers that do not know */
}
