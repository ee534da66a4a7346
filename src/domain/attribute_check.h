/*
 * attribute_check.h
 *		What an attribute's value may be: pure checks, each error names the key and the value.
 */
#ifndef ADAPTY_ATTRIBUTE_CHECK_H
#define ADAPTY_ATTRIBUTE_CHECK_H

#include "postgres.h"

#include "base/compat.h"
#include "base/jsonb_build.h"
#include "utils/jsonb.h"

/* What a named attribute holds. */
typedef enum AttributeKind
{
	KIND_TEXT,
	KIND_EMAIL,
	KIND_GENDER,
	KIND_BIRTHDAY,
	KIND_COUNTRY,
	KIND_IP_V4_ADDRESS,
	KIND_STORE,
	KIND_UUID,
	KIND_ATT_STATUS,
	KIND_BOOLEAN,
	KIND_PLATFORM,
	KIND_ATTRIBUTION_STATUS
} AttributeKind;

typedef struct AttributeSpec
{
	const char *name;
	AttributeKind kind;
	int			max_chars;		/* of a text */
} AttributeSpec;

/* ERROR (22023): the one wording of "this key cannot have this value"; detail is a sentence. */
extern void attribute_refuse(const char *key, const JsonbValue *value, const char *detail)
			pg_attribute_noreturn();

/*
 * A value as the text that its column takes; NULL, which clears the attribute, for a JSON null or an
 * empty string.  prefix (may be empty) goes before the name in errors.
 */
extern char *attribute_check(const char *prefix, const AttributeSpec *spec, const JsonbValue *value);

/* The spec of a key among n; -1 if there is none. */
extern int	attribute_find(const AttributeSpec *specs, int n, const char *key, int length);

/*
 * Checks a custom attribute and adds it to a patch under construction: a string, a number within
 * double precision, or null for "delete".
 */
extern void custom_attribute_add(JsonbBuild *patch, const char *key, const JsonbValue *value);

/* The JSON value of a number; false if it is not finite. */
extern bool number_value(double number, JsonbValue *value);

#endif							/* ADAPTY_ATTRIBUTE_CHECK_H */
