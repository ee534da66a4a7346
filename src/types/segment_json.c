/*
 * segment_json.c
 *		Reading a segment's filter in its JSON form, for programs.
 *
 *		filter    = {"and": [filter, ...]} | {"or": [filter, ...]} | {"not": filter}
 *				  | {"everyone": true} | {"access": [level, ...]}
 *				  | {"attribute": name, "operator": op, "value": value}			compared with one
 *				  | {"attribute": name, "operator": op, "values": [value, ...]}	in, between
 *				  | {"attribute": name, "operator": "is set"}
 *		value     = number | string | {"ago": "30 days"} | {"from_now": "3 days"} | "now"
 *
 * Names, operators and what they compare with are those of the language (segment_parse.c); a custom
 * attribute's name is "attr." and its key as it is.  The text is read into a small tree of JSON
 * first, since the fields of an object come in any order.  Pure: see segment_tree.h.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "types/segment_build.h"

#define MAX_NUMBER 512			/* characters: jsonb writes 1e300 with all its digits */

typedef enum JsonKind
{
	JSON_NULL,
	JSON_BOOLEAN,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
} JsonKind;

/* A value; of an array or object the first of its parts, which are a list. */
typedef struct Json
{
	JsonKind	kind;
	size_t		offset;
	size_t		length;
	const char *name;			/* in an object */
	bool		boolean;
	double		number;
	const char *string;
	struct Json *first;
	struct Json *next;
} Json;

typedef struct Reader
{
	SegmentBuild *build;
	size_t		at;
	int			depth;
} Reader;

static Json *read_value(Reader *reader);
static SegmentNode *to_node(SegmentBuild *build, const Json *json, int depth);

/* ---- JSON ---- */

/* The next byte that is no blank, not taken; 0 at the end. */
static char
peek(Reader *reader)
{
	SegmentBuild *build = reader->build;

	while (reader->at < build->length && strchr(" \t\n\r", build->text[reader->at]) != NULL)
		reader->at++;
	return reader->at < build->length ? build->text[reader->at] : '\0';
}

/* Takes that byte or notes an error. */
static bool
take(Reader *reader, char c, const char *what)
{
	if (peek(reader) != c)
		return segment_fail(reader->build, reader->at, reader->at < reader->build->length ? 1 : 0, NULL, "%s should stand here", what);
	reader->at++;
	return true;
}

/* Four hexadecimal digits; -1 if they are none. */
static int
read_hex(const char *p)
{
	int			code = 0;

	for (int i = 0; i < 4; i++)
	{
		char		c = p[i];

		if (!segment_is_digit(c) && !((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
			return -1;
		code = code * 16 + (segment_is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return code;
}

/* Writes a code point in UTF-8; returns its bytes. */
static size_t
put_utf8(char *to, int code)
{
	if (code < 0x80)
	{
		to[0] = (char) code;
		return 1;
	}
	if (code < 0x800)
	{
		to[0] = (char) (0xC0 | (code >> 6));
		to[1] = (char) (0x80 | (code & 0x3F));
		return 2;
	}
	if (code < 0x10000)
	{
		to[0] = (char) (0xE0 | (code >> 12));
		to[1] = (char) (0x80 | ((code >> 6) & 0x3F));
		to[2] = (char) (0x80 | (code & 0x3F));
		return 3;
	}
	to[0] = (char) (0xF0 | (code >> 18));
	to[1] = (char) (0x80 | ((code >> 12) & 0x3F));
	to[2] = (char) (0x80 | ((code >> 6) & 0x3F));
	to[3] = (char) (0x80 | (code & 0x3F));
	return 4;
}

/* \uXXXX, or a pair of them, after the "u" at *at: its bytes in "to"; 0, and an error, if it is none. */
static size_t
read_unicode(Reader *reader, size_t *at, char *to)
{
	SegmentBuild *build = reader->build;
	const char *text = build->text;
	size_t		begin = *at - 2;
	int			code = build->length - *at >= 4 ? read_hex(text + *at) : -1;

	*at += 4;
	if (code >= 0xD800 && code < 0xDC00 && build->length - *at >= 6 && text[*at] == '\\' && text[*at + 1] == 'u')
	{
		int			low = read_hex(text + *at + 2);

		code = low >= 0xDC00 && low < 0xE000 ? 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00) : -1;
		*at += 6;
	}
	if (code <= 0 || (code >= 0xD800 && code < 0xE000) || (code >= 0x80 && !build->utf8))
	{
		segment_fail(build, begin, 2, NULL, "a \\u escape that stands for no character here");
		return 0;
	}
	return put_utf8(to, code);
}

/* A string, after its opening quote: unescaped; NULL, and an error, if it is wrong. */
static char *
read_string(Reader *reader)
{
	static const char escapes[] = "\"\\/bfnrt";
	static const char meanings[] = "\"\\/\b\f\n\r\t";
	SegmentBuild *build = reader->build;
	size_t		begin = reader->at;
	size_t		i = begin;
	size_t		n = 0;
	char	   *string;

	/* an escape is never shorter than what it stands for: find the end first */
	while (i < build->length && build->text[i] != '"')
		i += build->text[i] == '\\' ? 2 : 1;
	if (i >= build->length)
	{
		segment_fail(build, begin - 1, build->length - begin + 1, NULL, "a string ends without its closing quote");
		return NULL;
	}
	string = segment_allocate(build->arena, i - begin + 1);
	for (i = begin; build->text[i] != '"';)
	{
		unsigned char c = (unsigned char) build->text[i++];
		const char *escape;

		if (c < 0x20)
		{
			segment_fail(build, i - 1, 1, NULL, "a control character in a string must be escaped");
			return NULL;
		}
		if (c != '\\')
		{
			string[n++] = (char) c;
			continue;
		}
		c = (unsigned char) build->text[i++];
		escape = strchr(escapes, c);
		if (c == 'u')
		{
			size_t		bytes = read_unicode(reader, &i, string + n);

			if (bytes == 0)
				return NULL;
			n += bytes;
		}
		else if (c != '\0' && escape != NULL)
			string[n++] = meanings[escape - escapes];
		else
		{
			segment_fail(build, i - 2, 2, NULL, "there is no such escape in a string");
			return NULL;
		}
	}
	string[n] = '\0';
	reader->at = i + 1;
	if (n > SEGMENT_MAX_STRING)
	{
		segment_fail_large(build, begin - 1, "bytes in a text", SEGMENT_MAX_STRING);
		return NULL;
	}
	return string;
}

/* A number by JSON's rules. */
static bool
read_number(Reader *reader, Json *json)
{
	SegmentBuild *build = reader->build;
	const char *text = build->text;
	size_t		begin = reader->at;
	size_t		i = begin;
	size_t		integer;
	char		digits[MAX_NUMBER];
	bool		valid;

	if (i < build->length && text[i] == '-')
		i++;
	integer = i;
	while (i < build->length && segment_is_digit(text[i]))
		i++;
	valid = i > integer && (text[integer] != '0' || i == integer + 1);
	if (valid && i < build->length && text[i] == '.')
	{
		size_t		fraction = ++i;

		while (i < build->length && segment_is_digit(text[i]))
			i++;
		valid = i > fraction;
	}
	if (valid && i < build->length && (text[i] == 'e' || text[i] == 'E'))
	{
		size_t		exponent;

		if (++i < build->length && (text[i] == '+' || text[i] == '-'))
			i++;
		exponent = i;
		while (i < build->length && segment_is_digit(text[i]))
			i++;
		valid = i > exponent;
	}
	if (valid && i - begin < sizeof(digits))
	{
		memcpy(digits, text + begin, i - begin);
		digits[i - begin] = '\0';
		json->number = strtod(digits, NULL);
		valid = isfinite(json->number);
		if (json->number == 0)
			json->number = 0;	/* no negative zero */
	}
	else
		valid = false;
	reader->at = i;
	if (!valid)
		return segment_fail(build, begin, i > begin ? i - begin : (begin < build->length ? 1 : 0), NULL,
							"a JSON value should stand here");
	json->kind = JSON_NUMBER;
	return true;
}

/* The parts of an array or object, after its bracket. */
static bool
read_parts(Reader *reader, Json *json, char close)
{
	Json	  **last = &json->first;

	if (peek(reader) == close)
	{
		reader->at++;
		return true;
	}
	do
	{
		const char *name = NULL;

		if (close == '}')
		{
			size_t		offset;

			if (!take(reader, '"', "a field's name"))
				return false;
			offset = reader->at - 1;
			name = read_string(reader);
			if (name == NULL)
				return false;
			for (Json *other = json->first; other != NULL; other = other->next)
				if (strcmp(other->name, name) == 0)
					return segment_fail(reader->build, offset, reader->at - offset, NULL, "field \"%.40s\" is there twice", name);
			if (!take(reader, ':', "\":\""))
				return false;
		}
		*last = read_value(reader);
		if (*last == NULL)
			return false;
		(*last)->name = name;
		last = &(*last)->next;
		if (peek(reader) != ',')
			break;
		reader->at++;
	} while (true);
	return take(reader, close, close == '}' ? "\",\" or \"}\"" : "\",\" or \"]\"");
}

/* true, false or null. */
static bool
read_literal(Reader *reader, Json *json)
{
	static const char *const literals[] = {"true", "false", "null"};
	SegmentBuild *build = reader->build;

	for (int i = 0; i < 3; i++)
	{
		size_t		n = strlen(literals[i]);

		if (build->length - reader->at >= n && memcmp(build->text + reader->at, literals[i], n) == 0)
		{
			json->kind = i == 2 ? JSON_NULL : JSON_BOOLEAN;
			json->boolean = i == 0;
			reader->at += n;
			return true;
		}
	}
	return read_number(reader, json);
}

/* A value; NULL, and an error, if it is wrong. */
static Json *
read_value(Reader *reader)
{
	Json	   *json = segment_allocate(reader->build->arena, sizeof(Json));
	char		c = peek(reader);
	bool		valid;

	memset(json, 0, sizeof(*json));
	json->offset = reader->at;
	if (c == '{' || c == '[')
	{
		/* a filter inside of another is an object inside of an array */
		if (reader->depth == 2 * SEGMENT_MAX_DEPTH + 4)
		{
			segment_fail_large(reader->build, reader->at, "levels of brackets and \"not\"", SEGMENT_MAX_DEPTH);
			return NULL;
		}
		reader->depth++;
		reader->at++;
		json->kind = c == '{' ? JSON_OBJECT : JSON_ARRAY;
		valid = read_parts(reader, json, c == '{' ? '}' : ']');
		reader->depth--;
	}
	else if (c == '"')
	{
		reader->at++;
		json->kind = JSON_STRING;
		json->string = read_string(reader);
		valid = json->string != NULL;
	}
	else
		valid = read_literal(reader, json);
	json->length = reader->at - json->offset;
	return valid ? json : NULL;
}

/* ---- from JSON to a filter ---- */

/* An error at a JSON value. */
#define JSON_FAIL(build, json, hint, ...) \
	segment_fail(build, (json)->offset, (json)->length, hint, __VA_ARGS__)

/* A field of an object; NULL if it is not there. */
static const Json *
field(const Json *object, const char *name)
{
	for (const Json *part = object->first; part != NULL; part = part->next)
		if (strcmp(part->name, name) == 0)
			return part;
	return NULL;
}

/* false, and an error, if an object has other fields than these (NULL for none). */
static bool
only_fields(SegmentBuild *build, const Json *object, const char *a, const char *b, const char *c)
{
	for (const Json *part = object->first; part != NULL; part = part->next)
		if (!((a != NULL && strcmp(part->name, a) == 0) || (b != NULL && strcmp(part->name, b) == 0) ||
			  (c != NULL && strcmp(part->name, c) == 0)))
			return JSON_FAIL(build, part, NULL, "field \"%.40s\" has no meaning here", part->name);
	return true;
}

/* "30 days" as a relative time. */
static bool
to_relative(SegmentBuild *build, const Json *json, bool past, SegmentValue *value)
{
	const char *p = json->kind == JSON_STRING ? json->string : "";
	double		amount = 0;
	int			unit = -1;
	int			digits = 0;

	for (; segment_is_digit(*p) && digits < 10; p++, digits++)
		amount = amount * 10 + (*p - '0');
	if (digits > 0 && *p == ' ')
		unit = segment_find_unit(p + 1, strlen(p + 1));
	if (unit < 0)
		return JSON_FAIL(build, json, "Units are minutes, hours, days, weeks, months and years.",
						 "a relative time is written as \"30 days\"");
	return segment_relative(build, value, amount, (SegmentUnit) unit, past);
}

/* A value to compare with. */
static bool
to_value(SegmentBuild *build, const Json *json, bool is_date, SegmentValue *value)
{
	const Json *part = json->first;

	memset(value, 0, sizeof(*value));
	value->offset = json->offset;
	value->length = json->length;
	if (json->kind == JSON_NUMBER)
	{
		value->kind = SEGMENT_VALUE_NUMBER;
		value->number = json->number;
		return true;
	}
	if (json->kind == JSON_STRING)
	{
		if (is_date && strcmp(json->string, "now") == 0)
			return segment_relative(build, value, 0, SEGMENT_DAYS, true);
		value->kind = SEGMENT_VALUE_STRING;
		value->string = json->string;
		return true;
	}
	if (json->kind == JSON_OBJECT && part != NULL && part->next == NULL &&
		(strcmp(part->name, "ago") == 0 || strcmp(part->name, "from_now") == 0))
		return to_relative(build, part, strcmp(part->name, "ago") == 0, value);
	return JSON_FAIL(build, json, NULL,
					 "a value is a number, a string, {\"ago\": \"30 days\"} or {\"from_now\": \"3 days\"}");
}

/* An array's values. */
static bool
to_values(SegmentBuild *build, const Json *json, bool is_date, SegmentValueList *values)
{
	if (json->kind != JSON_ARRAY || json->first == NULL)
		return JSON_FAIL(build, json, NULL, "an array of one value or more should stand here");
	for (const Json *part = json->first; part != NULL; part = part->next)
	{
		SegmentValue value;

		if (!to_value(build, part, is_date, &value) || !segment_add_value(build, values, &value))
			return false;
	}
	return true;
}

/* The operator of that name; -1 if there is none. */
static int
find_operator(const char *name)
{
	if (strcmp(name, "before") == 0)
		return SEGMENT_LT;
	if (strcmp(name, "after") == 0)
		return SEGMENT_GT;
	for (int i = 0; i < SEGMENT_N_OPERATORS; i++)
		if (strcmp(name, segment_operators[i]) == 0)
			return i;
	return -1;
}

/* The values of a condition: as many as its operator takes. */
static bool
condition_values(SegmentBuild *build, const Json *json, SegmentOperator op, bool is_date, SegmentValueList *values)
{
	bool		is_range = op == SEGMENT_BETWEEN || op == SEGMENT_NOT_BETWEEN;
	const char *name = is_range || op == SEGMENT_IN || op == SEGMENT_NOT_IN ? "values" : "value";
	const Json *given;
	SegmentValue value;

	if (op == SEGMENT_IS_SET || op == SEGMENT_IS_NOT_SET)
		return only_fields(build, json, "attribute", "operator", NULL);
	if (!only_fields(build, json, "attribute", "operator", name))
		return false;
	given = field(json, name);
	if (given == NULL)
		return JSON_FAIL(build, json, NULL, "operator \"%s\" needs the field \"%s\"", segment_operators[op], name);
	if (strcmp(name, "value") == 0)
		return to_value(build, given, is_date, &value) && segment_add_value(build, values, &value);
	if (!to_values(build, given, is_date, values))
		return false;
	if (is_range && values->n != 2)
		return JSON_FAIL(build, given, NULL, "\"%s\" takes two values", segment_operators[op]);
	return true;
}

/* {"attribute": ..., "operator": ..., ...} */
static SegmentNode *
to_condition(SegmentBuild *build, const Json *json)
{
	const Json *name = field(json, "attribute");
	const Json *op_name = field(json, "operator");
	SegmentValueList values = {0, 0, NULL};
	const char *key = NULL;
	int			attribute;
	int			op;

	if (name->kind != JSON_STRING || op_name == NULL || op_name->kind != JSON_STRING)
	{
		JSON_FAIL(build, json, NULL, "a condition has the fields \"attribute\" and \"operator\", both strings");
		return NULL;
	}
	if (strncmp(name->string, "attr.", 5) == 0)
	{
		attribute = SEGMENT_CUSTOM;
		key = name->string + 5;
		if (!segment_check_key(build, name->offset, key, strlen(key)))
			return NULL;
	}
	else
		attribute = segment_find_attribute(name->string, strlen(name->string));
	if (attribute < 0)
	{
		segment_unknown_attribute(build, name->offset, name->string, strlen(name->string));
		return NULL;
	}
	op = find_operator(op_name->string);
	if (op < 0)
	{
		JSON_FAIL(build, op_name,
				  "Operators are =, !=, <, <=, >, >=, before, after, in, not in, between, not between, is set and is not set.",
				  "there is no operator \"%.40s\"", op_name->string);
		return NULL;
	}
	if (!condition_values(build, json, (SegmentOperator) op, segment_attributes[attribute].type == SEGMENT_TYPE_DATE, &values))
		return NULL;
	return segment_condition(build, json->offset, json->length, (SegmentAttribute) attribute, key, (SegmentOperator) op, &values);
}

/* {"and": [...]} or {"or": [...]} */
static SegmentNode *
to_join(SegmentBuild *build, const Json *array, SegmentNodeKind kind, int depth)
{
	SegmentNodeList list = {0, 0, NULL};

	if (array->kind != JSON_ARRAY || array->first == NULL)
	{
		JSON_FAIL(build, array, NULL, "\"%s\" has an array of one filter or more", array->name);
		return NULL;
	}
	for (const Json *part = array->first; part != NULL; part = part->next)
	{
		SegmentNode *node = to_node(build, part, depth + 1);

		if (node == NULL)
			return NULL;
		segment_add_node(build, &list, node);
	}
	return segment_join(build, kind, &list);
}

/* {"access": level or [level, ...]} */
static SegmentNode *
to_access(SegmentBuild *build, const Json *json)
{
	SegmentValueList levels = {0, 0, NULL};
	SegmentValue value;

	if (json->kind == JSON_STRING)
	{
		if (!to_value(build, json, false, &value) || !segment_add_value(build, &levels, &value))
			return NULL;
	}
	else if (json->kind != JSON_ARRAY || json->first != NULL)
	{
		if (!to_values(build, json, false, &levels))
			return NULL;
	}
	return segment_access(build, json->offset, &levels);
}

/* A filter.  The nesting of what is read is limited already; that of the tree is, again, here. */
static SegmentNode *
to_node(SegmentBuild *build, const Json *json, int depth)
{
	const Json *part = json->first;
	SegmentNode *child;

	if (depth > SEGMENT_MAX_DEPTH)
	{
		segment_fail_large(build, json->offset, "levels of brackets and \"not\"", SEGMENT_MAX_DEPTH);
		return NULL;
	}
	if (json->kind == JSON_OBJECT && part != NULL)
	{
		if (field(json, "attribute") != NULL)
			return to_condition(build, json);
		if (!only_fields(build, json, part->name, NULL, NULL))
			return NULL;
		if (strcmp(part->name, "and") == 0)
			return to_join(build, part, SEGMENT_AND, depth);
		if (strcmp(part->name, "or") == 0)
			return to_join(build, part, SEGMENT_OR, depth);
		if (strcmp(part->name, "access") == 0)
			return to_access(build, part);
		if (strcmp(part->name, "everyone") == 0 && part->kind == JSON_BOOLEAN && part->boolean)
			return segment_everyone(build);
		if (strcmp(part->name, "not") == 0)
		{
			child = to_node(build, part, depth + 1);
			return child == NULL ? NULL : segment_not(build, child);
		}
	}
	JSON_FAIL(build, json, NULL,
			  "a filter is an object with \"attribute\" and \"operator\", or with one of \"and\", \"or\", \"not\", \"access\" and \"everyone\"");
	return NULL;
}

/* Reads the text of a build, which begins with "{". */
SegmentNode *
segment_parse_json(SegmentBuild *build)
{
	Reader		reader = {build, 0, 0};
	Json	   *json = read_value(&reader);

	if (json == NULL)
		return NULL;
	if (peek(&reader) != '\0')
	{
		segment_fail(build, reader.at, 1, NULL, "the filter should end here");
		return NULL;
	}
	return to_node(build, json, 1);
}
