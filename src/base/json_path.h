/*
 * json_path.h
 *		Reading what somebody else wrote: values deep inside of a JSON document, or nothing.
 *
 * Nothing here raises an error: what is not there, is null, or is of another type than asked for is
 * absent.  A path is keys and array positions with dots between them: "items.data.0.price".  Every
 * reader takes NULL for a node, so that paths can be followed without asking at each step.
 */
#ifndef ADAPTY_JSON_PATH_H
#define ADAPTY_JSON_PATH_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

/* A value of a document; NULL where there is none.  Points into the document. */
typedef const JsonbValue *JsonNode;

/* The whole of a document, which must outlive the node. */
extern JsonNode json_root(Jsonb *document);

/* The value at a path; NULL if it is absent or null. */
extern JsonNode json_at(JsonNode node, const char *path);

/* A string that is not empty. */
extern char *json_text_at(JsonNode node, const char *path);

/*
 * An identifier: a string of 1 to max_chars characters, a whole number, or the "id" of an object
 * that stands in the place of its identifier.
 */
extern char *json_id_at(JsonNode node, const char *path, int max_chars);

/* Is there a string at the path, and is it this one? */
extern bool json_text_is(JsonNode node, const char *path, const char *text);

/* true only for true. */
extern bool json_bool_at(JsonNode node, const char *path);

/* A finite number, also one that is written as a string of decimal digits; NULL for none. */
extern Numeric json_number_at(JsonNode node, const char *path);

/* A whole number from min to max, or fallback. */
extern int64 json_int_at(JsonNode node, const char *path, int64 min, int64 max, int64 fallback);

/* Seconds since 1970; DT_NOBEGIN if there are none or they are before 1970 or after 9999. */
extern TimestampTz json_epoch_at(JsonNode node, const char *path);

/* ISO 8601 from 1970 to 9999; DT_NOBEGIN for anything else. */
extern TimestampTz json_iso8601_at(JsonNode node, const char *path);

/* How many elements an array at the path has; 0 for anything else. */
extern int	json_length_at(JsonNode node, const char *path);

/* An element of an array, from 0; NULL beyond its end. */
extern JsonNode json_element(JsonNode array, int i);

#endif							/* ADAPTY_JSON_PATH_H */
