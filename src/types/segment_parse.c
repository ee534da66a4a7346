/*
 * segment_parse.c
 *		Reading a segment's filter as people write it.
 *
 *		filter     = and { "or" and }
 *		and        = not { "and" not }
 *		not        = "not" not | "(" filter ")" | condition
 *		condition  = "everyone" | "access" "(" [ text { "," text } ] ")" | attribute comparison
 *		attribute  = word | "attr" "." ( word | quoted key )
 *		comparison = ( "=" | "!=" | "<" | "<=" | ">" | ">=" | "before" | "after" ) value
 *				   | [ "not" ] "in" "(" value { "," value } ")"
 *				   | [ "not" ] "between" value "and" value
 *				   | "within" ( "last" | "next" ) number unit
 *				   | "is" [ "not" ] "set"
 *		value      = number | text | word | number unit ( "ago" | "from" "now" ) | "now"
 *
 * A recursive descent, a token ahead.  Pure: see segment_tree.h.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "types/segment_build.h"

typedef enum TokenKind
{
	TOKEN_END,
	TOKEN_WORD,
	TOKEN_QUOTED_WORD,			/* "key" */
	TOKEN_TEXT,					/* 'text' */
	TOKEN_NUMBER,
	TOKEN_OPERATOR,				/* =, != ... */
	TOKEN_SIGN,					/* ( ) , . */
	TOKEN_WRONG					/* the error is noted */
} TokenKind;

typedef struct Parser
{
	SegmentBuild *build;
	size_t		next;			/* where the token after this one begins */
	int			depth;
	/* the token */
	TokenKind	kind;
	size_t		offset;
	size_t		length;
	const char *string;			/* of a quoted word or text, unquoted */
	double		number;
	SegmentOperator op;
	char		sign;
} Parser;

static SegmentNode *parse_or(Parser *parser);

/* ---- tokens ---- */

/* 'text' or "key", the quote doubled stands for itself. */
static TokenKind
read_quoted(Parser *parser, char quote)
{
	SegmentBuild *build = parser->build;
	size_t		begin = parser->offset + 1;
	size_t		i = begin;
	size_t		n = 0;
	char	   *string;

	while (i < build->length && (build->text[i] != quote || (i + 1 < build->length && build->text[i + 1] == quote)))
	{
		i += build->text[i] == quote ? 2 : 1;
		n++;
	}
	if (i >= build->length)
	{
		segment_fail(build, parser->offset, build->length - parser->offset, NULL, "a %s ends without its closing quote",
					 quote == '"' ? "key" : "text");
		return TOKEN_WRONG;
	}
	if (n > SEGMENT_MAX_STRING)
	{
		segment_fail_large(build, parser->offset, "bytes in a text", SEGMENT_MAX_STRING);
		return TOKEN_WRONG;
	}
	string = segment_allocate(build->arena, n + 1);
	n = 0;
	for (size_t j = begin; j < i; j += build->text[j] == quote ? 2 : 1)
		string[n++] = build->text[j];
	string[n] = '\0';
	parser->string = string;
	parser->next = i + 1;
	parser->length = parser->next - parser->offset;
	return quote == '"' ? TOKEN_QUOTED_WORD : TOKEN_TEXT;
}

/* A number: digits, fraction, exponent. */
static TokenKind
read_number(Parser *parser)
{
	SegmentBuild *build = parser->build;
	const char *text = build->text;
	size_t		i = parser->offset;
	char		digits[64];

	if (text[i] == '-')
		i++;
	while (i < build->length && segment_is_digit(text[i]))
		i++;
	if (i + 1 < build->length && text[i] == '.' && segment_is_digit(text[i + 1]))
		for (i++; i < build->length && segment_is_digit(text[i]);)
			i++;
	if (i < build->length && (text[i] == 'e' || text[i] == 'E'))
	{
		size_t		e = i + 1;

		if (e < build->length && (text[e] == '+' || text[e] == '-'))
			e++;
		if (e < build->length && segment_is_digit(text[e]))
		{
			while (e < build->length && segment_is_digit(text[e]))
				e++;
			i = e;
		}
	}
	parser->next = i;
	parser->length = i - parser->offset;
	if (parser->length < sizeof(digits))
	{
		memcpy(digits, text + parser->offset, parser->length);
		digits[parser->length] = '\0';
		parser->number = strtod(digits, NULL);
	}
	if (parser->length >= sizeof(digits) || !isfinite(parser->number))
	{
		segment_fail(build, parser->offset, parser->length, NULL,
					 "a number must be within double precision and have at most %d characters", (int) sizeof(digits) - 1);
		return TOKEN_WRONG;
	}
	if (parser->number == 0)
		parser->number = 0;		/* no negative zero */
	if (i < build->length && (segment_is_letter(text[i]) || text[i] == '_'))
	{
		segment_fail(build, parser->offset, parser->length + 1, NULL, "a letter follows a number without a blank");
		return TOKEN_WRONG;
	}
	return TOKEN_NUMBER;
}

/* An operator of one to three bytes. */
static bool
read_operator(Parser *parser)
{
	static const struct
	{
		const char *text;
		SegmentOperator op;
		bool		utf8;
	}			operators[] = {
		{"!=", SEGMENT_NE, false}, {"<>", SEGMENT_NE, false}, {"<=", SEGMENT_LE, false},
		{">=", SEGMENT_GE, false}, {"=", SEGMENT_EQ, false}, {"<", SEGMENT_LT, false},
		{">", SEGMENT_GT, false}, {"\342\211\240", SEGMENT_NE, true},
		{"\342\211\244", SEGMENT_LE, true}, {"\342\211\245", SEGMENT_GE, true},
	};
	SegmentBuild *build = parser->build;

	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++)
	{
		size_t		length = strlen(operators[i].text);

		if ((!operators[i].utf8 || build->utf8) && build->length - parser->offset >= length &&
			memcmp(build->text + parser->offset, operators[i].text, length) == 0)
		{
			parser->op = operators[i].op;
			parser->length = length;
			parser->next = parser->offset + length;
			return true;
		}
	}
	return false;
}

/* Reads the next token. */
static void
advance(Parser *parser)
{
	SegmentBuild *build = parser->build;
	const char *text = build->text;
	size_t		i = parser->next;
	char		c;

	while (i < build->length && (text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r'))
		i++;
	parser->offset = i;
	parser->length = 0;
	parser->string = NULL;
	if (build->failed)
	{
		parser->kind = TOKEN_WRONG;
		return;
	}
	if (i == build->length)
	{
		parser->kind = TOKEN_END;
		return;
	}
	c = text[i];
	if (segment_is_letter(c) || c == '_')
	{
		while (i < build->length && (segment_is_letter(text[i]) || segment_is_digit(text[i]) || text[i] == '_'))
			i++;
		parser->next = i;
		parser->length = i - parser->offset;
		parser->kind = TOKEN_WORD;
	}
	else if (c == '\'' || c == '"')
		parser->kind = read_quoted(parser, c);
	else if (segment_is_digit(c) || (c == '-' && i + 1 < build->length && segment_is_digit(text[i + 1])))
		parser->kind = read_number(parser);
	else if (c == '(' || c == ')' || c == ',' || c == '.')
	{
		parser->sign = c;
		parser->length = 1;
		parser->next = i + 1;
		parser->kind = TOKEN_SIGN;
	}
	else if (read_operator(parser))
		parser->kind = TOKEN_OPERATOR;
	else
	{
		size_t		length = 1;

		/* a whole character, in UTF-8 */
		while (build->utf8 && i + length < build->length && ((unsigned char) text[i + length] & 0xC0) == 0x80)
			length++;
		segment_fail(build, i, length, NULL, "this character has no meaning here");
		parser->kind = TOKEN_WRONG;
	}
}

/* Is the token that word? */
static bool
is_word(const Parser *parser, const char *word)
{
	return parser->kind == TOKEN_WORD &&
		segment_same_word(parser->build->text + parser->offset, parser->length, word);
}

/* Takes a word if it is the token. */
static bool
take_word(Parser *parser, const char *word)
{
	if (!is_word(parser, word))
		return false;
	advance(parser);
	return true;
}

/* Takes a sign if it is the token. */
static bool
take_sign(Parser *parser, char sign)
{
	if (parser->kind != TOKEN_SIGN || parser->sign != sign)
		return false;
	advance(parser);
	return true;
}

/* false, and an error: something else should stand here. */
static bool
expected(Parser *parser, const char *what, const char *hint)
{
	return segment_fail(parser->build, parser->offset, parser->length, hint,
						parser->kind == TOKEN_END ? "the filter ends where %s should follow" :
						"%s should stand here", what);
}

/* ---- values ---- */

/* The unit after a number, and where the time lies. */
static bool
parse_relative(Parser *parser, SegmentValue *value)
{
	int			unit = segment_find_unit(parser->build->text + parser->offset, parser->length);
	bool		past = true;

	if (unit < 0)
		return expected(parser, "a unit of time", "Units are minutes, hours, days, weeks, months and years.");
	advance(parser);
	if (take_word(parser, "from"))
	{
		past = false;
		if (!is_word(parser, "now"))
			return expected(parser, "\"now\"", NULL);
	}
	else if (!is_word(parser, "ago"))
		return expected(parser, "\"ago\" or \"from now\"", NULL);
	value->length = parser->offset + parser->length - value->offset;
	advance(parser);
	return segment_relative(parser->build, value, value->number, (SegmentUnit) unit, past);
}

/* A value; whether it fits the attribute is looked at later. */
static bool
parse_value(Parser *parser, SegmentValue *value)
{
	memset(value, 0, sizeof(*value));
	value->offset = parser->offset;
	value->length = parser->length;
	switch (parser->kind)
	{
		case TOKEN_TEXT:
			value->kind = SEGMENT_VALUE_STRING;
			value->string = parser->string;
			advance(parser);
			return true;
		case TOKEN_NUMBER:
			value->kind = SEGMENT_VALUE_NUMBER;
			value->number = parser->number;
			advance(parser);
			/* "and", "or" go on with the filter */
			if (parser->kind == TOKEN_WORD && !is_word(parser, "and") && !is_word(parser, "or"))
				return parse_relative(parser, value);
			return true;
		case TOKEN_WORD:
			if (is_word(parser, "now"))
			{
				advance(parser);
				return segment_relative(parser->build, value, 0, SEGMENT_DAYS, true);
			}
			if (parser->length > SEGMENT_MAX_STRING)
				return segment_fail_large(parser->build, parser->offset, "bytes in a word", SEGMENT_MAX_STRING);
			value->kind = SEGMENT_VALUE_WORD;
			value->string = segment_copy(parser->build->arena, parser->build->text + parser->offset, parser->length);
			advance(parser);
			return true;
		case TOKEN_QUOTED_WORD:
			return expected(parser, "a value", "A text is written in single quotes.");
		default:
			return expected(parser, "a value", NULL);
	}
}

/* A value, added to a list. */
static bool
parse_value_into(Parser *parser, SegmentValueList *values)
{
	SegmentValue value;

	return parse_value(parser, &value) && segment_add_value(parser->build, values, &value);
}

/* "(" value { "," value } ")"; an empty list only if that is allowed. */
static bool
parse_list(Parser *parser, SegmentValueList *values, bool may_be_empty)
{
	if (!take_sign(parser, '('))
		return expected(parser, "\"(\"", NULL);
	if (may_be_empty && take_sign(parser, ')'))
		return true;
	do
	{
		if (!parse_value_into(parser, values))
			return false;
	} while (take_sign(parser, ','));
	return take_sign(parser, ')') || expected(parser, "\",\" or \")\"", NULL);
}

/* "within" ("last" | "next") number unit: between two times. */
static bool
parse_within(Parser *parser, SegmentValueList *values)
{
	SegmentValue now = {0};
	SegmentValue far = {0};
	bool		past = is_word(parser, "last");
	int			unit;

	if (!past && !is_word(parser, "next"))
		return expected(parser, "\"last\" or \"next\"", NULL);
	advance(parser);
	if (parser->kind != TOKEN_NUMBER)
		return expected(parser, "a number of days, say", NULL);
	far.offset = now.offset = parser->offset;
	far.number = parser->number;
	advance(parser);
	unit = parser->kind == TOKEN_WORD ? segment_find_unit(parser->build->text + parser->offset, parser->length) : -1;
	if (unit < 0)
		return expected(parser, "a unit of time", "Units are minutes, hours, days, weeks, months and years.");
	far.length = now.length = parser->offset + parser->length - far.offset;
	advance(parser);
	return segment_relative(parser->build, &far, far.number, (SegmentUnit) unit, past) &&
		segment_relative(parser->build, &now, 0, SEGMENT_DAYS, true) &&
		segment_add_value(parser->build, values, past ? &far : &now) &&
		segment_add_value(parser->build, values, past ? &now : &far);
}

/* ---- conditions ---- */

/* What follows the attribute. */
static bool
parse_comparison(Parser *parser, SegmentOperator *op, SegmentValueList *values)
{
	bool		negated;

	if (parser->kind == TOKEN_OPERATOR)
	{
		*op = parser->op;
		advance(parser);
		return parse_value_into(parser, values);
	}
	if (is_word(parser, "before") || is_word(parser, "after"))
	{
		*op = is_word(parser, "before") ? SEGMENT_LT : SEGMENT_GT;
		advance(parser);
		return parse_value_into(parser, values);
	}
	if (take_word(parser, "within"))
	{
		*op = SEGMENT_BETWEEN;
		return parse_within(parser, values);
	}
	if (take_word(parser, "is"))
	{
		*op = take_word(parser, "not") ? SEGMENT_IS_NOT_SET : SEGMENT_IS_SET;
		return take_word(parser, "set") ||
			expected(parser, *op == SEGMENT_IS_SET ? "\"set\" or \"not set\"" : "\"set\"", NULL);
	}
	negated = take_word(parser, "not");
	if (take_word(parser, "in"))
	{
		*op = negated ? SEGMENT_NOT_IN : SEGMENT_IN;
		return parse_list(parser, values, false);
	}
	if (take_word(parser, "between"))
	{
		*op = negated ? SEGMENT_NOT_BETWEEN : SEGMENT_BETWEEN;
		return parse_value_into(parser, values) &&
			(take_word(parser, "and") || expected(parser, "\"and\"", NULL)) &&
			parse_value_into(parser, values);
	}
	return expected(parser, negated ? "\"in\" or \"between\"" : "a comparison",
					"Comparisons are =, !=, <, <=, >, >=, before, after, in, between, within, \"is set\" and \"is not set\".");
}

/* attr.key or attr."key", after "attr". */
static const char *
parse_key(Parser *parser)
{
	const char *key;

	if (!take_sign(parser, '.'))
	{
		expected(parser, "\".\" and a key", "A custom attribute is written attr.key.");
		return NULL;
	}
	if (parser->kind == TOKEN_WORD)
		key = segment_copy(parser->build->arena, parser->build->text + parser->offset, parser->length);
	else if (parser->kind == TOKEN_QUOTED_WORD)
		key = parser->string;
	else
	{
		expected(parser, "a custom attribute's key",
				 "A key that does not begin with a letter, or has \"-\" or \".\", is written attr.\"my-key\".");
		return NULL;
	}
	if (!segment_check_key(parser->build, parser->offset, key, strlen(key)))
		return NULL;
	advance(parser);
	return key;
}

/* Words that begin or join, and so are never attributes. */
static bool
is_reserved(const Parser *parser)
{
	static const char *const words[] = {"and", "or", "not", "in", "between", "is", "set", "before", "after", "within", NULL};

	for (const char *const *word = words; *word != NULL; word++)
		if (is_word(parser, *word))
			return true;
	return false;
}

/* A condition on an attribute, access() or everyone. */
static SegmentNode *
parse_condition(Parser *parser)
{
	SegmentBuild *build = parser->build;
	size_t		offset = parser->offset;
	size_t		end;
	SegmentValueList values = {0, 0, NULL};
	SegmentOperator op = SEGMENT_EQ;
	const char *key = NULL;
	int			attribute;

	if (parser->kind != TOKEN_WORD || is_reserved(parser))
	{
		expected(parser, "a condition", "For example country = 'US'.");
		return NULL;
	}
	if (take_word(parser, "everyone"))
		return segment_everyone(build);
	if (take_word(parser, "access"))
		return parse_list(parser, &values, true) ? segment_access(build, offset, &values) : NULL;
	if (take_word(parser, "attr"))
	{
		attribute = SEGMENT_CUSTOM;
		key = parse_key(parser);
		if (key == NULL)
			return NULL;
	}
	else
	{
		attribute = segment_find_attribute(build->text + offset, parser->length);
		if (attribute < 0)
		{
			segment_unknown_attribute(build, offset, build->text + offset, parser->length);
			return NULL;
		}
		advance(parser);
	}
	if (!parse_comparison(parser, &op, &values))
		return NULL;
	end = parser->offset;
	while (end > offset && (build->text[end - 1] == ' ' || build->text[end - 1] == '\n' || build->text[end - 1] == '\t' || build->text[end - 1] == '\r'))
		end--;
	return segment_condition(build, offset, end - offset, (SegmentAttribute) attribute, key, op, &values);
}

/* ---- and, or, not ---- */

/* One step deeper; false, and an error, if that is too deep. */
static bool
descend(Parser *parser)
{
	/* the printed text of a tree as deep as allowed has two levels for each "not" */
	if (parser->depth == 2 * SEGMENT_MAX_DEPTH + 2)
		return segment_fail_large(parser->build, parser->offset, "levels of brackets and \"not\"", SEGMENT_MAX_DEPTH);
	parser->depth++;
	return true;
}

/* not, brackets, or a condition. */
static SegmentNode *
parse_not(Parser *parser)
{
	SegmentNode *node;

	if (is_word(parser, "not"))
	{
		if (!descend(parser))
			return NULL;
		advance(parser);
		node = parse_not(parser);
		parser->depth--;
		return node == NULL ? NULL : segment_not(parser->build, node);
	}
	if (parser->kind == TOKEN_SIGN && parser->sign == '(')
	{
		if (!descend(parser))
			return NULL;
		advance(parser);
		node = parse_or(parser);
		parser->depth--;
		if (node != NULL && !take_sign(parser, ')'))
		{
			expected(parser, "\"and\", \"or\" or \")\"", NULL);
			return NULL;
		}
		return node;
	}
	return parse_condition(parser);
}

/* Conditions joined by "and". */
static SegmentNode *
parse_and(Parser *parser)
{
	SegmentNodeList list = {0, 0, NULL};

	do
	{
		SegmentNode *node = parse_not(parser);

		if (node == NULL)
			return NULL;
		segment_add_node(parser->build, &list, node);
	} while (take_word(parser, "and"));
	return segment_join(parser->build, SEGMENT_AND, &list);
}

/* The same by "or". */
static SegmentNode *
parse_or(Parser *parser)
{
	SegmentNodeList list = {0, 0, NULL};

	do
	{
		SegmentNode *node = parse_and(parser);

		if (node == NULL)
			return NULL;
		segment_add_node(parser->build, &list, node);
	} while (take_word(parser, "or"));
	return segment_join(parser->build, SEGMENT_OR, &list);
}

/* Levels of a tree. */
static int
tree_depth(const SegmentNode *node)
{
	int			deepest = 0;

	for (int i = 0; i < node->n_children; i++)
	{
		int			depth = tree_depth(node->children[i]);

		deepest = depth > deepest ? depth : deepest;
	}
	return deepest + 1;
}

/* Reads a text in the language. */
static SegmentNode *
parse_text(SegmentBuild *build)
{
	Parser		parser = {0};
	SegmentNode *node;

	parser.build = build;
	advance(&parser);
	node = parse_or(&parser);
	if (node != NULL && parser.kind != TOKEN_END)
		expected(&parser, "\"and\", \"or\" or the end", NULL);
	return node;
}

/* See segment_tree.h. */
SegmentNode *
segment_parse(const char *text, size_t length, bool utf8, const SegmentArena *arena, SegmentError *error)
{
	SegmentBuild build = {text, length, utf8, arena, error, false, 0};
	SegmentNode *node;
	size_t		blanks = 0;
	bool		is_json;
	int			limit;

	while (blanks < length && strchr(" \t\n\r", text[blanks]) != NULL)
		blanks++;
	is_json = blanks < length && text[blanks] == '{';
	limit = is_json ? SEGMENT_MAX_JSON_LENGTH : SEGMENT_MAX_LENGTH;
	if (length > (size_t) limit)
		segment_fail_large(&build, 0, "bytes", limit);
	else if (memchr(text, '\0', length) != NULL)
		segment_fail(&build, 0, 0, NULL, "a filter has no zero bytes");
	if (build.failed)
		return NULL;
	node = is_json ? segment_parse_json(&build) : parse_text(&build);
	if (node != NULL && !build.failed && tree_depth(node) > SEGMENT_MAX_DEPTH)
		segment_fail_large(&build, 0, "levels of brackets and \"not\"", SEGMENT_MAX_DEPTH);
	return build.failed ? NULL : node;
}
