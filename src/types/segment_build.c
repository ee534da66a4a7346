/*
 * segment_build.c
 *		Making the nodes of a segment's filter, checked: what both readers of filters share.
 *
 * Pure: see segment_tree.h.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "types/segment_build.h"

#define SHOWN 40				/* bytes of a name or value in an error */
#define MICROSECONDS_A_DAY INT64_C(86400000000)

/* See segment_build.h. */
void *
segment_allocate(const SegmentArena *arena, size_t size)
{
	return arena->allocate(arena->context, size);
}

/* See segment_build.h. */
char *
segment_copy(const SegmentArena *arena, const char *bytes, size_t length)
{
	char	   *copy = segment_allocate(arena, length + 1);

	memcpy(copy, bytes, length);
	copy[length] = '\0';
	return copy;
}

/* See segment_build.h. */
bool
segment_fail(SegmentBuild *build, size_t offset, size_t length, const char *hint, const char *format,...)
{
	va_list		args;

	if (build->failed)
		return false;
	build->failed = true;
	build->error->offset = offset;
	build->error->length = length;
	build->error->too_large = false;
	va_start(args, format);
	vsnprintf(build->error->message, sizeof(build->error->message), format, args);
	va_end(args);
	snprintf(build->error->hint, sizeof(build->error->hint), "%s", hint == NULL ? "" : hint);
	return false;
}

/* See segment_build.h. */
bool
segment_fail_large(SegmentBuild *build, size_t offset, const char *what, int limit)
{
	bool		first = !build->failed;

	segment_fail(build, offset, 0, NULL, "a filter has at most %d %s", limit, what);
	if (first)
		build->error->too_large = true;
	return false;
}

/* See segment_build.h. */
void
segment_add_node(SegmentBuild *build, SegmentNodeList *list, SegmentNode *node)
{
	if (list->n == list->allocated)
	{
		int			allocated = list->allocated == 0 ? 4 : 2 * list->allocated;
		SegmentNode **nodes = segment_allocate(build->arena, sizeof(SegmentNode *) * (size_t) allocated);

		if (list->n > 0)
			memcpy(nodes, list->nodes, sizeof(SegmentNode *) * (size_t) list->n);
		list->nodes = nodes;
		list->allocated = allocated;
	}
	list->nodes[list->n++] = node;
}

/* See segment_build.h. */
bool
segment_add_value(SegmentBuild *build, SegmentValueList *list, const SegmentValue *value)
{
	if (list->n == SEGMENT_MAX_VALUES)
		return segment_fail_large(build, value->offset, "values in a list", SEGMENT_MAX_VALUES);
	if (list->n == list->allocated)
	{
		int			allocated = list->allocated == 0 ? 4 : 2 * list->allocated;
		SegmentValue *values = segment_allocate(build->arena, sizeof(SegmentValue) * (size_t) allocated);

		if (list->n > 0)
			memcpy(values, list->values, sizeof(SegmentValue) * (size_t) list->n);
		list->values = values;
		list->allocated = allocated;
	}
	list->values[list->n++] = *value;
	return true;
}

/* See segment_build.h. */
bool
segment_unknown_attribute(SegmentBuild *build, size_t offset, const char *name, size_t length)
{
	char		hint[sizeof(build->error->hint)];
	size_t		n = 0;

	for (int i = 0; i < SEGMENT_CUSTOM; i++)
		n += (size_t) snprintf(hint + n, sizeof(hint) - n, "%s%s", i == 0 ? "Attributes are " : ", ",
							   segment_attributes[i].name);
	snprintf(hint + n, sizeof(hint) - n, "; a custom one is written attr.key.");
	return segment_fail(build, offset, length, hint, "there is no attribute \"%.*s\"",
						(int) (length < SHOWN ? length : SHOWN), name);
}

/* See segment_build.h. */
bool
segment_check_key(SegmentBuild *build, size_t offset, const char *key, size_t length)
{
	bool		valid = length >= 1 && length <= SEGMENT_MAX_KEY;

	for (size_t i = 0; valid && i < length; i++)
		valid = segment_is_letter(key[i]) || segment_is_digit(key[i]) || key[i] == '_' || key[i] == '-' || key[i] == '.';
	if (!valid)
		return segment_fail(build, offset, length, NULL,
							"a custom attribute's key is 1 to %d letters, digits, \"-\", \".\" or \"_\"", SEGMENT_MAX_KEY);
	return true;
}

/* ---- values ---- */

/* How a value was written, for errors. */
static const char *
kind_name(SegmentValueKind kind)
{
	switch (kind)
	{
		case SEGMENT_VALUE_NUMBER:
			return "a number";
		case SEGMENT_VALUE_STRING:
			return "a text";
		case SEGMENT_VALUE_WORD:
			return "a word";
		default:
			return "a time";
	}
}

/* false, and an error: a value is not what the attribute has. */
static bool
refuse_value(SegmentBuild *build, const char *name, const SegmentValue *value, const char *wanted,
			 const char *hint)
{
	if (value->kind == SEGMENT_VALUE_STRING || value->kind == SEGMENT_VALUE_WORD)
		return segment_fail(build, value->offset, value->length, hint, "%s is compared with %s, not \"%.*s\"", name,
							wanted, SHOWN, value->string);
	return segment_fail(build, value->offset, value->length, hint, "%s is compared with %s, not %s", name, wanted,
						kind_name(value->kind));
}

/* A word of the attribute's list, in its own spelling. */
static bool
check_word(SegmentBuild *build, const SegmentAttributeInfo *info, SegmentValue *value)
{
	char		hint[256];
	size_t		n = 0;

	for (const char *const *word = info->words; *word != NULL; word++)
	{
		if ((value->kind == SEGMENT_VALUE_STRING || value->kind == SEGMENT_VALUE_WORD) &&
			segment_same_word(value->string, strlen(value->string), *word))
		{
			value->kind = SEGMENT_VALUE_STRING;
			value->string = *word;
			return true;
		}
		n += (size_t) snprintf(hint + n, sizeof(hint) - n, "%s%s", n == 0 ? "One of " : ", ", *word);
	}
	snprintf(hint + n, sizeof(hint) - n, ".");
	return refuse_value(build, info->name, value, "one of its words", hint);
}

/* Two letters, turned into capitals or small letters. */
static bool
check_code(SegmentBuild *build, const SegmentAttributeInfo *info, SegmentValue *value, bool capitals)
{
	char	   *code;

	if (value->kind != SEGMENT_VALUE_STRING || strlen(value->string) != 2 ||
		!segment_is_letter(value->string[0]) || !segment_is_letter(value->string[1]))
		return capitals ?
			refuse_value(build, info->name, value, "a country's two-letter code",
						 "It is written in single quotes: 'US'.") :
			refuse_value(build, info->name, value, "a language's two-letter code",
						 "It is written in single quotes: 'pt'. Tell regions apart by country.");
	code = segment_copy(build->arena, value->string, 2);
	for (int i = 0; i < 2; i++)
	{
		if (capitals && code[i] >= 'a')
			code[i] = (char) (code[i] - 'a' + 'A');
		if (!capitals && code[i] < 'a')
			code[i] = (char) (code[i] - 'A' + 'a');
	}
	value->string = code;
	return true;
}

/* Reads exactly n digits. */
static bool
take_digits(const char **p, int n, int *number)
{
	*number = 0;
	for (int i = 0; i < n; i++, (*p)++)
	{
		if (!segment_is_digit(**p))
			return false;
		*number = *number * 10 + (**p - '0');
	}
	return true;
}

/* "hh:mm:ss[.fraction][zone]" in microseconds, the zone subtracted; no zone is UTC. */
static bool
take_clock(const char *p, int64_t *microseconds)
{
	int			hour,
				minute,
				second,
				zone_hours = 0,
				zone_minutes = 0,
				sign = 0;
	int64_t		fraction = 0;

	if (!take_digits(&p, 2, &hour) || *p++ != ':' || !take_digits(&p, 2, &minute) || *p++ != ':' ||
		!take_digits(&p, 2, &second) || hour > 23 || minute > 59 || second > 59)
		return false;
	if (*p == '.')
	{
		int64_t		weight = 100000;

		if (!segment_is_digit(*++p))
			return false;
		for (; segment_is_digit(*p); p++, weight /= 10)
			fraction += weight * (*p - '0');
	}
	if (*p == 'Z' || *p == 'z')
		p++;
	else if (*p == '+' || *p == '-')
	{
		sign = *p++ == '+' ? 1 : -1;
		if (!take_digits(&p, 2, &zone_hours))
			return false;
		if (*p == ':')
			p++;
		if (*p != '\0' && !take_digits(&p, 2, &zone_minutes))
			return false;
		if (zone_hours > 15 || zone_minutes > 59)
			return false;
	}
	*microseconds = ((int64_t) hour * 3600 + minute * 60 + second - (int64_t) sign * (zone_hours * 3600 + zone_minutes * 60)) * 1000000 + fraction;
	return *p == '\0';
}

/* A day, or a day and a time, as a string: ISO 8601, years 1 to 9999. */
static bool
take_date(SegmentValue *value)
{
	static const int month_days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	const char *p = value->string;
	int			year,
				month,
				day;
	int64_t		microseconds;
	bool		leap;

	if (!take_digits(&p, 4, &year) || *p++ != '-' || !take_digits(&p, 2, &month) || *p++ != '-' ||
		!take_digits(&p, 2, &day))
		return false;
	leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	if (year < 1 || month < 1 || month > 12 || day < 1 ||
		day > month_days[month - 1] + (month == 2 && leap ? 1 : 0))
		return false;
	value->time = segment_days(year, month, day);
	if (*p == '\0')
	{
		value->kind = SEGMENT_VALUE_DAY;
		return true;
	}
	if ((*p != 'T' && *p != 't' && *p != ' ') || !take_clock(p + 1, &microseconds))
		return false;
	value->kind = SEGMENT_VALUE_TIME;
	value->time = value->time * MICROSECONDS_A_DAY + microseconds;
	/* A zone must not lead out of the years that can be written. */
	return value->time >= segment_days(1, 1, 1) * MICROSECONDS_A_DAY &&
		value->time < (segment_days(9999, 12, 31) + 1) * MICROSECONDS_A_DAY;
}

/* See segment_build.h. */
bool
segment_relative(SegmentBuild *build, SegmentValue *value, double amount, SegmentUnit unit, bool past)
{
	static const double a_year[SEGMENT_N_UNITS] = {527040, 8784, 366, 53, 12, 1};

	if (amount != floor(amount) || amount < 0)
		return segment_fail(build, value->offset, value->length, NULL, "the number of %s must be a whole number",
							segment_units[unit]);
	if (amount > a_year[unit] * SEGMENT_MAX_YEARS)
		return segment_fail(build, value->offset, value->length, NULL,
							"a relative time is at most %d years from now", SEGMENT_MAX_YEARS);
	value->kind = SEGMENT_VALUE_RELATIVE;
	value->amount = past ? -(int) amount : (int) amount;
	value->unit = unit;
	return true;
}

/* Checks a value against its attribute, and gives it its final form. */
static bool
check_value(SegmentBuild *build, const SegmentAttributeInfo *info, SegmentValue *value)
{
	unsigned char key[SEGMENT_MAX_VERSION_KEY];

	switch (info->type)
	{
		case SEGMENT_TYPE_NUMBER:
			return value->kind == SEGMENT_VALUE_NUMBER ||
				refuse_value(build, info->name, value, "a number", NULL);
		case SEGMENT_TYPE_TEXT:
			return value->kind == SEGMENT_VALUE_STRING ||
				refuse_value(build, info->name, value, "a text", "A text is written in single quotes.");
		case SEGMENT_TYPE_WORD:
			return check_word(build, info, value);
		case SEGMENT_TYPE_COUNTRY:
			return check_code(build, info, value, true);
		case SEGMENT_TYPE_LANGUAGE:
			return check_code(build, info, value, false);
		case SEGMENT_TYPE_VERSION:
			return (value->kind == SEGMENT_VALUE_STRING &&
					segment_version_key(value->string, strlen(value->string), key) >= 0) ||
				refuse_value(build, info->name, value, "a version",
							 "A version (SemVer) has three numbers without leading zeros, in single quotes: '1.10.0'.");
		case SEGMENT_TYPE_DATE:
			return value->kind == SEGMENT_VALUE_RELATIVE ||
				(value->kind == SEGMENT_VALUE_STRING && take_date(value)) ||
				refuse_value(build, info->name, value, "a date or time",
							 "For example '2026-11-27', '2026-11-27T08:30:00Z', 30 days ago, 3 days from now, now.");
		case SEGMENT_TYPE_CUSTOM:
			return value->kind == SEGMENT_VALUE_NUMBER || value->kind == SEGMENT_VALUE_STRING ||
				refuse_value(build, "a custom attribute", value, "a number or a text",
							 "A text is written in single quotes.");
		case SEGMENT_TYPE_PRESENCE:
			break;
	}
	return false;
}

/* Are two checked values of one attribute the same? */
static bool
same_value(const SegmentValue *a, const SegmentValue *b)
{
	if (a->kind != b->kind)
		return false;
	return a->kind == SEGMENT_VALUE_NUMBER ? a->number == b->number : strcmp(a->string, b->string) == 0;
}

/* Drops values that are there already; the first stays where it is. */
static void
remove_duplicates(SegmentValueList *values)
{
	int			n = 0;

	for (int i = 0; i < values->n; i++)
	{
		int			j = 0;

		while (j < n && !same_value(&values->values[j], &values->values[i]))
			j++;
		if (j == n)
			values->values[n++] = values->values[i];
	}
	values->n = n;
}

/* Is "between a and b" surely empty? */
static bool
is_reversed(SegmentType type, const SegmentValue *a, const SegmentValue *b)
{
	unsigned char key_a[SEGMENT_MAX_VERSION_KEY];
	unsigned char key_b[SEGMENT_MAX_VERSION_KEY];
	int			length_a,
				length_b,
				order;

	if (a->kind == SEGMENT_VALUE_NUMBER)
		return a->number > b->number;
	if (type == SEGMENT_TYPE_VERSION)
	{
		length_a = segment_version_key(a->string, strlen(a->string), key_a);
		length_b = segment_version_key(b->string, strlen(b->string), key_b);
		order = memcmp(key_a, key_b, (size_t) (length_a < length_b ? length_a : length_b));
		return order > 0 || (order == 0 && length_a > length_b);
	}
	return type == SEGMENT_TYPE_DATE && a->kind == b->kind && a->kind != SEGMENT_VALUE_RELATIVE && a->time > b->time;
}

/* ---- nodes ---- */

/* A node without anything. */
static SegmentNode *
new_node(SegmentBuild *build, SegmentNodeKind kind)
{
	SegmentNode *node = segment_allocate(build->arena, sizeof(SegmentNode));

	memset(node, 0, sizeof(*node));
	node->kind = kind;
	return node;
}

/* One condition more: false, and an error, if there are too many. */
static bool
count_condition(SegmentBuild *build, size_t offset)
{
	if (++build->conditions > SEGMENT_MAX_CONDITIONS)
		return segment_fail_large(build, offset, "conditions", SEGMENT_MAX_CONDITIONS);
	return true;
}

/* Does a type have an operator?  Whether a custom attribute has it depends on the value. */
static bool
type_has_operator(SegmentType type, SegmentOperator op)
{
	bool		is_presence = op == SEGMENT_IS_SET || op == SEGMENT_IS_NOT_SET;
	bool		is_equality = op == SEGMENT_EQ || op == SEGMENT_NE || op == SEGMENT_IN || op == SEGMENT_NOT_IN;

	switch (type)
	{
		case SEGMENT_TYPE_NUMBER:
		case SEGMENT_TYPE_VERSION:
		case SEGMENT_TYPE_CUSTOM:
			return true;
		case SEGMENT_TYPE_DATE:
			return op != SEGMENT_IN && op != SEGMENT_NOT_IN;
		case SEGMENT_TYPE_PRESENCE:
			return is_presence;
		default:
			return is_presence || is_equality;
	}
}

/* See segment_build.h. */
SegmentNode *
segment_condition(SegmentBuild *build, size_t offset, size_t length, SegmentAttribute attribute,
				  const char *key, SegmentOperator op, SegmentValueList *values)
{
	const SegmentAttributeInfo *info = &segment_attributes[attribute];
	SegmentType type = info->type;
	SegmentNode *node;

	if (build->failed || !count_condition(build, offset))
		return NULL;
	for (int i = 0; i < values->n; i++)
	{
		if (type != SEGMENT_TYPE_PRESENCE && !check_value(build, info, &values->values[i]))
			return NULL;
		if (type == SEGMENT_TYPE_CUSTOM && values->values[i].kind != values->values[0].kind)
		{
			segment_fail(build, values->values[i].offset, values->values[i].length, NULL,
						 "a custom attribute is compared with numbers or with texts, not with both");
			return NULL;
		}
	}
	if (type == SEGMENT_TYPE_CUSTOM && values->n > 0 && values->values[0].kind == SEGMENT_VALUE_STRING)
		type = SEGMENT_TYPE_TEXT;
	if (!type_has_operator(type, op))
	{
		segment_fail(build, offset, length,
					 type == SEGMENT_TYPE_PRESENCE ? "Use \"is set\" or \"is not set\"." :
					 type == SEGMENT_TYPE_DATE ? "Use =, !=, before, <=, after, >=, between, \"is set\" or \"is not set\"." :
					 "Use =, !=, in, \"not in\", \"is set\" or \"is not set\".",
					 "%s cannot be compared by \"%s\"",
					 attribute == SEGMENT_CUSTOM ? "a text" : info->name, segment_operators[op]);
		return NULL;
	}
	if (op == SEGMENT_IN || op == SEGMENT_NOT_IN)
		remove_duplicates(values);
	if ((op == SEGMENT_BETWEEN || op == SEGMENT_NOT_BETWEEN) &&
		is_reversed(type, &values->values[0], &values->values[1]))
	{
		segment_fail(build, values->values[0].offset, values->values[0].length,
					 "The smaller value goes first.", "nothing is between these two values");
		return NULL;
	}
	node = new_node(build, SEGMENT_CONDITION);
	node->attribute = attribute;
	node->key = key;
	node->op = op;
	node->n_values = values->n;
	node->values = values->values;
	return node;
}

/* See segment_build.h. */
SegmentNode *
segment_access(SegmentBuild *build, size_t offset, SegmentValueList *levels)
{
	SegmentNode *node;

	if (build->failed || !count_condition(build, offset))
		return NULL;
	for (int i = 0; i < levels->n; i++)
	{
		const SegmentValue *level = &levels->values[i];
		bool		valid = level->kind == SEGMENT_VALUE_STRING && level->string[0] != '\0' && strlen(level->string) <= 64;

		for (const char *c = valid ? level->string : ""; *c != '\0'; c++)
			valid = valid && (segment_is_letter(*c) || segment_is_digit(*c) || strchr("_.-", *c) != NULL);
		if (!valid)
		{
			segment_fail(build, level->offset, level->length, "It is written in single quotes: access('premium').",
						 "an access level is a text of 1 to 64 letters, digits, \"_\", \".\" or \"-\"");
			return NULL;
		}
	}
	remove_duplicates(levels);
	node = new_node(build, SEGMENT_ACCESS);
	node->n_values = levels->n;
	node->values = levels->values;
	return node;
}

/* See segment_build.h. */
SegmentNode *
segment_everyone(SegmentBuild *build)
{
	return new_node(build, SEGMENT_EVERYONE);
}

/* See segment_build.h. */
SegmentNode *
segment_not(SegmentBuild *build, SegmentNode *child)
{
	SegmentNode *node;

	if (child->kind == SEGMENT_NOT)
		return child->children[0];
	node = new_node(build, SEGMENT_NOT);
	node->n_children = 1;
	node->children = segment_allocate(build->arena, sizeof(SegmentNode *));
	node->children[0] = child;
	return node;
}

/* See segment_build.h. */
SegmentNode *
segment_join(SegmentBuild *build, SegmentNodeKind kind, const SegmentNodeList *children)
{
	SegmentNodeList flat = {0, 0, NULL};
	SegmentNode *node;

	if (children->n == 1)
		return children->nodes[0];
	for (int i = 0; i < children->n; i++)
	{
		if (children->nodes[i]->kind == kind)
			for (int j = 0; j < children->nodes[i]->n_children; j++)
				segment_add_node(build, &flat, children->nodes[i]->children[j]);
		else
			segment_add_node(build, &flat, children->nodes[i]);
	}
	node = new_node(build, kind);
	node->n_children = flat.n;
	node->children = flat.nodes;
	return node;
}
