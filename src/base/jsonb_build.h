/*
 * jsonb_build.h
 *		Building jsonb objects and arrays, over the server versions' differences.
 */
#ifndef ADAPTY_JSONB_BUILD_H
#define ADAPTY_JSONB_BUILD_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/uuid.h"

/* An object or array under construction.  One builder may nest: begin inside begin. */
typedef struct JsonbBuild
{
	JsonbParseState *state;
	JsonbValue *result;
} JsonbBuild;

extern void jb_init(JsonbBuild *jb);
extern void jb_begin_object(JsonbBuild *jb);
extern void jb_end_object(JsonbBuild *jb);
extern void jb_begin_array(JsonbBuild *jb);
extern void jb_end_array(JsonbBuild *jb);
extern void jb_key(JsonbBuild *jb, const char *key);
/* Values: elements of an array, or after jb_key().  A NULL pointer makes a JSON null. */
extern void jb_string(JsonbBuild *jb, const char *value);
extern void jb_bool(JsonbBuild *jb, bool value);
extern void jb_int64(JsonbBuild *jb, int64 value);
extern void jb_numeric(JsonbBuild *jb, Numeric value);
extern void jb_null(JsonbBuild *jb);
extern void jb_uuid(JsonbBuild *jb, const pg_uuid_t *value);
extern void jb_timestamp(JsonbBuild *jb, TimestampTz value);	/* null if infinite */
extern void jb_jsonb(JsonbBuild *jb, Jsonb *value);
extern Jsonb *jb_finish(JsonbBuild *jb);

/* Reading: the value of a key of an object, NULL if it is not there. */
extern JsonbValue *jsonb_object_get(Jsonb *object, const char *key);

/* A JSON string as a C string; of numbers and booleans their text. */
extern char *jsonb_value_text(const JsonbValue *value);

#endif							/* ADAPTY_JSONB_BUILD_H */
