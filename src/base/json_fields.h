/*
 * json_fields.h
 *		Reading a JSON object field by field, with errors that name the field.
 *
 * Every error carries the field's path as PG_DIAG_COLUMN_NAME, so that an HTTP layer can say what
 * the source of the error is.  JSON null counts as absent.  Results are in the current context.
 */
#ifndef ADAPTY_JSON_FIELDS_H
#define ADAPTY_JSON_FIELDS_H

#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "base/compat.h"

/* An object being read, and where it is: "" at the top, "price." inside of price. */
typedef struct JsonFields
{
	Jsonb	   *object;
	const char *prefix;
} JsonFields;

/* ERROR (22023): the value of a field is not what it must be; NULL value: it is missing. */
extern void field_error(const JsonFields *fields, const char *field, const char *value,
						const char *detail) pg_attribute_noreturn();

/* ERROR if the object has a field that is not in the NULL-terminated list; what names the object. */
extern void fields_check_known(const JsonFields *fields, const char *const *known, const char *what);

/* A string of 1 to max_chars characters; NULL if absent and not required. */
extern char *field_text(const JsonFields *fields, const char *field, bool required, int max_chars);

/* One of a NULL-terminated list of strings. */
extern const char *field_choice(const JsonFields *fields, const char *field, bool required,
								const char *const *choices);

/* A boolean; false, and *value untouched, if absent. */
extern bool field_bool(const JsonFields *fields, const char *field, bool required, bool *value);

/* An ISO 8601 date and time; false, and *value untouched, if absent. */
extern bool field_timestamp(const JsonFields *fields, const char *field, bool required,
							TimestampTz *value);

/* A number of any size, as JSON has no others; NULL if absent. */
extern Numeric field_number(const JsonFields *fields, const char *field, bool required);

/* An object inside of the object: false if absent. */
extern bool field_object(const JsonFields *fields, const char *field, bool required,
						 JsonFields *value);

/*
 * The elements of an argument that must be an array: ERROR (22023) naming it if it is not.  Of an
 * element that must be an object: its fields, and ERROR with the detail if it is none; index from 0.
 */
extern JsonbValue *json_array(Jsonb *array, const char *name, int *n);
extern void json_element_object(JsonbValue *element, const char *name, int index, const char *detail,
								JsonFields *fields);

#endif							/* ADAPTY_JSON_FIELDS_H */
