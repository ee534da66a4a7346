/*
 * json_shape.h
 *		JSON in the order and with the members that the API documents.
 *
 * jsonb keeps neither the order of members nor the way the API writes numbers and times, and
 * documents inside the extension may have members that the API does not know.  A shape says which
 * members an object has, in which order, and how each is written.
 */
#ifndef ADAPTY_JSON_SHAPE_H
#define ADAPTY_JSON_SHAPE_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

typedef enum JsonForm
{
	JSON_AS_IS,
	JSON_FLOAT,					/* a number with a decimal point: 0.0 */
	JSON_TIME					/* 2024-12-24T10:50:23+00:00, microseconds only if there are any */
} JsonForm;

typedef struct JsonShape
{
	const char *key;			/* NULL ends the list */
	JsonForm	form;
	const struct JsonShape *members;	/* of an object, or of each object of an array; NULL for any */
	const char *if_null;		/* text instead of null; "=key" takes another member's value */
} JsonShape;

/* A member of a shape; what is said of it besides its name may follow. */
#define MEMBER(name, ...) {.key = name, __VA_ARGS__}
#define MEMBER_TIME(name, ...) {.key = name, .form = JSON_TIME, __VA_ARGS__}
#define END_OF_MEMBERS {.key = NULL}

/* Appends a value as text; an object gets the members of the shape that it has, in their order. */
extern void json_write_shaped(StringInfo out, Jsonb *value, const JsonShape *shape);

/* The same value without the members that the shape does not know. */
extern Jsonb *json_keep_known(Jsonb *value, const JsonShape *shape);

#endif							/* ADAPTY_JSON_SHAPE_H */
