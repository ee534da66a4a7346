/*
 * segment_print.c
 *		Printing a segment's filter: the canonical text, and the JSON form.
 *
 * The canonical text is what equality, hash and storage go by: reading it gives an equal tree, and
 * printing that the same text.  Pure: see segment_tree.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "types/segment_build.h"

#define MICROSECONDS_A_DAY INT64_C(86400000000)

typedef struct Printer
{
	const SegmentArena *arena;
	bool		json;
	size_t		length;
	size_t		allocated;
	char	   *text;
} Printer;

/* Adds bytes. */
static void
put_bytes(Printer *printer, const char *bytes, size_t length)
{
	if (printer->length + length + 1 > printer->allocated)
	{
		size_t		allocated = 2 * (printer->length + length + 1) + 64;
		char	   *text = segment_allocate(printer->arena, allocated);

		if (printer->length > 0)
			memcpy(text, printer->text, printer->length);
		printer->text = text;
		printer->allocated = allocated;
	}
	memcpy(printer->text + printer->length, bytes, length);
	printer->length += length;
	printer->text[printer->length] = '\0';
}

/* Adds a string. */
static void
put(Printer *printer, const char *string)
{
	put_bytes(printer, string, strlen(string));
}

/* Adds a string in quotes: single ones doubled, or as JSON has it. */
static void
put_quoted(Printer *printer, const char *string)
{
	put(printer, printer->json ? "\"" : "'");
	for (const char *c = string; *c != '\0'; c++)
	{
		char		escape[8];

		if (!printer->json && *c == '\'')
			put(printer, "''");
		else if (printer->json && (*c == '"' || *c == '\\'))
		{
			snprintf(escape, sizeof(escape), "\\%c", *c);
			put(printer, escape);
		}
		else if (printer->json && (unsigned char) *c < 0x20)
		{
			snprintf(escape, sizeof(escape), "\\u%04x", (unsigned int) (unsigned char) *c);
			put(printer, escape);
		}
		else
			put_bytes(printer, c, 1);
	}
	put(printer, printer->json ? "\"" : "'");
}

/* See segment_tree.h. */
void
segment_format_time(const SegmentValue *value, bool as_moment, char *buffer)
{
	int64_t		days = value->time;
	int64_t		rest = 0;
	int			seconds;
	int			year,
				month,
				day,
				n;

	if (value->kind == SEGMENT_VALUE_TIME)
	{
		days = value->time / MICROSECONDS_A_DAY;
		rest = value->time % MICROSECONDS_A_DAY;
		if (rest < 0)
		{
			days--;
			rest += MICROSECONDS_A_DAY;
		}
	}
	segment_date(days, &year, &month, &day);
	n = snprintf(buffer, SEGMENT_TIME_SIZE, "%04d-%02d-%02d", year, month, day);
	if (value->kind == SEGMENT_VALUE_DAY && !as_moment)
		return;
	seconds = (int) (rest / 1000000);
	n += snprintf(buffer + n, SEGMENT_TIME_SIZE - (size_t) n, "T%02d:%02d:%02d",
				  seconds / 3600, seconds / 60 % 60, seconds % 60);
	if (rest % 1000000 != 0)
		n += snprintf(buffer + n, SEGMENT_TIME_SIZE - (size_t) n, ".%06d", (int) (rest % 1000000));
	snprintf(buffer + n, SEGMENT_TIME_SIZE - (size_t) n, "Z");
}

/* Adds "30 days ago" and the like. */
static void
put_relative(Printer *printer, const SegmentValue *value)
{
	char		span[48];
	int			amount = abs(value->amount);
	const char *unit = segment_units[value->unit];

	snprintf(span, sizeof(span), "%d %.*s", amount, (int) strlen(unit) - (amount == 1 ? 1 : 0), unit);
	if (amount == 0)
		put(printer, printer->json ? "\"now\"" : "now");
	else if (printer->json)
	{
		put(printer, value->amount < 0 ? "{\"ago\":\"" : "{\"from_now\":\"");
		put(printer, span);
		put(printer, "\"}");
	}
	else
	{
		put(printer, span);
		put(printer, value->amount < 0 ? " ago" : " from now");
	}
}

/* Adds a value; words of an attribute's own list are bare. */
static void
put_value(Printer *printer, SegmentType type, const SegmentValue *value)
{
	char		number[SEGMENT_NUMBER_SIZE];
	char		time[SEGMENT_TIME_SIZE];

	switch (value->kind)
	{
		case SEGMENT_VALUE_NUMBER:
			segment_format_number(value->number, number);
			put(printer, number);
			break;
		case SEGMENT_VALUE_STRING:
		case SEGMENT_VALUE_WORD:
			if (type == SEGMENT_TYPE_WORD && !printer->json)
				put(printer, value->string);
			else
				put_quoted(printer, value->string);
			break;
		case SEGMENT_VALUE_DAY:
		case SEGMENT_VALUE_TIME:
			segment_format_time(value, false, time);
			put_quoted(printer, time);
			break;
		case SEGMENT_VALUE_RELATIVE:
			put_relative(printer, value);
			break;
	}
}

/* Adds values with something between them. */
static void
put_values(Printer *printer, SegmentType type, const SegmentNode *node, const char *between)
{
	for (int i = 0; i < node->n_values; i++)
	{
		if (i > 0)
			put(printer, between);
		put_value(printer, type, &node->values[i]);
	}
}

/* An operator as it is printed: before and after for times. */
static const char *
operator_name(const SegmentNode *node)
{
	if (segment_attributes[node->attribute].type == SEGMENT_TYPE_DATE)
	{
		if (node->op == SEGMENT_LT)
			return "before";
		if (node->op == SEGMENT_GT)
			return "after";
	}
	return segment_operators[node->op];
}

/* Can a key stand after "attr." without quotes? */
static bool
is_bare_key(const char *key)
{
	if (!segment_is_letter(key[0]) && key[0] != '_')
		return false;
	for (const char *c = key; *c != '\0'; c++)
		if (!segment_is_letter(*c) && !segment_is_digit(*c) && *c != '_')
			return false;
	return true;
}

/* ---- the language ---- */

/* Adds a condition. */
static void
put_condition(Printer *printer, const SegmentNode *node)
{
	SegmentType type = segment_attributes[node->attribute].type;
	bool		is_list = node->op == SEGMENT_IN || node->op == SEGMENT_NOT_IN;

	put(printer, segment_attributes[node->attribute].name);
	if (node->attribute == SEGMENT_CUSTOM)
	{
		bool		bare = is_bare_key(node->key);

		put(printer, bare ? "." : ".\"");
		put(printer, node->key);
		put(printer, bare ? "" : "\"");
	}
	put(printer, " ");
	put(printer, operator_name(node));
	if (node->n_values == 0)
		return;
	put(printer, is_list ? " (" : " ");
	put_values(printer, type, node, is_list ? ", " : " and ");
	put(printer, is_list ? ")" : "");
}

/* Adds a node, in brackets if asked to. */
static void
put_node(Printer *printer, const SegmentNode *node, bool brackets)
{
	if (brackets)
		put(printer, "(");
	switch (node->kind)
	{
		case SEGMENT_EVERYONE:
			put(printer, "everyone");
			break;
		case SEGMENT_AND:
		case SEGMENT_OR:
			for (int i = 0; i < node->n_children; i++)
			{
				if (i > 0)
					put(printer, node->kind == SEGMENT_AND ? " and " : " or ");
				put_node(printer, node->children[i],
						 node->kind == SEGMENT_AND && node->children[i]->kind == SEGMENT_OR);
			}
			break;
		case SEGMENT_NOT:
			put(printer, "not ");
			put_node(printer, node->children[0],
					 node->children[0]->kind != SEGMENT_ACCESS && node->children[0]->kind != SEGMENT_EVERYONE);
			break;
		case SEGMENT_CONDITION:
			put_condition(printer, node);
			break;
		case SEGMENT_ACCESS:
			put(printer, "access(");
			put_values(printer, SEGMENT_TYPE_TEXT, node, ", ");
			put(printer, ")");
			break;
	}
	if (brackets)
		put(printer, ")");
}

/* See segment_tree.h. */
char *
segment_print(const SegmentNode *node, const SegmentArena *arena)
{
	Printer		printer = {arena, false, 0, 0, NULL};

	put_node(&printer, node, false);
	return printer.text;
}

/* ---- JSON ---- */

/* Adds a condition as an object. */
static void
put_json_condition(Printer *printer, const SegmentNode *node)
{
	bool		is_array = node->op == SEGMENT_IN || node->op == SEGMENT_NOT_IN ||
		node->op == SEGMENT_BETWEEN || node->op == SEGMENT_NOT_BETWEEN;

	put(printer, "{\"attribute\":\"");
	put(printer, segment_attributes[node->attribute].name);
	if (node->attribute == SEGMENT_CUSTOM)
	{
		put(printer, ".");
		put(printer, node->key);
	}
	put(printer, "\",\"operator\":\"");
	put(printer, operator_name(node));
	put(printer, "\"");
	if (node->n_values > 0)
	{
		put(printer, is_array ? ",\"values\":[" : ",\"value\":");
		put_values(printer, segment_attributes[node->attribute].type, node, ",");
		put(printer, is_array ? "]" : "");
	}
	put(printer, "}");
}

/* Adds a node as an object. */
static void
put_json_node(Printer *printer, const SegmentNode *node)
{
	switch (node->kind)
	{
		case SEGMENT_EVERYONE:
			put(printer, "{\"everyone\":true}");
			break;
		case SEGMENT_AND:
		case SEGMENT_OR:
			put(printer, node->kind == SEGMENT_AND ? "{\"and\":[" : "{\"or\":[");
			for (int i = 0; i < node->n_children; i++)
			{
				if (i > 0)
					put(printer, ",");
				put_json_node(printer, node->children[i]);
			}
			put(printer, "]}");
			break;
		case SEGMENT_NOT:
			put(printer, "{\"not\":");
			put_json_node(printer, node->children[0]);
			put(printer, "}");
			break;
		case SEGMENT_CONDITION:
			put_json_condition(printer, node);
			break;
		case SEGMENT_ACCESS:
			put(printer, "{\"access\":[");
			put_values(printer, SEGMENT_TYPE_TEXT, node, ",");
			put(printer, "]}");
			break;
	}
}

/* See segment_tree.h. */
char *
segment_print_json(const SegmentNode *node, const SegmentArena *arena)
{
	Printer		printer = {arena, true, 0, 0, NULL};

	put_json_node(&printer, node);
	return printer.text;
}
