/*
 * segment_build.h
 *		What the two readers of filters share: errors, names, and making checked nodes.
 *
 * Private to the pure parser; see segment_tree.h.
 */
#ifndef ADAPTY_SEGMENT_BUILD_H
#define ADAPTY_SEGMENT_BUILD_H

#include "types/segment_tree.h"

typedef struct SegmentBuild
{
	const char *text;
	size_t		length;
	bool		utf8;
	const SegmentArena *arena;
	SegmentError *error;
	bool		failed;
	int			conditions;		/* so far */
} SegmentBuild;

/* Growing arrays. */
typedef struct SegmentNodeList
{
	int			n;
	int			allocated;
	SegmentNode **nodes;
} SegmentNodeList;

typedef struct SegmentValueList
{
	int			n;
	int			allocated;
	SegmentValue *values;
} SegmentValueList;

extern void *segment_allocate(const SegmentArena *arena, size_t size);
extern char *segment_copy(const SegmentArena *arena, const char *bytes, size_t length);
extern void segment_add_node(SegmentBuild *build, SegmentNodeList *list, SegmentNode *node);

/* false, and an error at that place, if the list is full. */
extern bool segment_add_value(SegmentBuild *build, SegmentValueList *list, const SegmentValue *value);

/* Notes the first error; hint may be NULL.  Always false. */
extern bool segment_fail(SegmentBuild *build, size_t offset, size_t length, const char *hint,
						 const char *format,...)
#ifdef __GNUC__
			__attribute__((format(printf, 5, 6)))
#endif
		   ;

/* The same for a limit. */
extern bool segment_fail_large(SegmentBuild *build, size_t offset, const char *what, int limit);

/* ASCII only, whatever the locale. */
extern bool segment_same_word(const char *word, size_t length, const char *lower);
extern bool segment_is_letter(char c);
extern bool segment_is_digit(char c);

/* Names: -1 if there is none. */
extern int	segment_find_attribute(const char *name, size_t length);
extern int	segment_find_unit(const char *name, size_t length);	/* "day" or "days" */

/* The name that begins with "attr." is a key's: false, and an error, if the key is none. */
extern bool segment_check_key(SegmentBuild *build, size_t offset, const char *key, size_t length);

/* "No such attribute", with all there are. */
extern bool segment_unknown_attribute(SegmentBuild *build, size_t offset, const char *name, size_t length);

/* Nodes.  NULL, and an error, if operator or values do not fit the attribute. */
extern SegmentNode *segment_condition(SegmentBuild *build, size_t offset, size_t length,
									  SegmentAttribute attribute, const char *key,
									  SegmentOperator op, SegmentValueList *values);
extern SegmentNode *segment_access(SegmentBuild *build, size_t offset, SegmentValueList *levels);
extern SegmentNode *segment_everyone(SegmentBuild *build);
extern SegmentNode *segment_not(SegmentBuild *build, SegmentNode *child);

/* and, or: flattens; one child is that child. */
extern SegmentNode *segment_join(SegmentBuild *build, SegmentNodeKind kind, const SegmentNodeList *children);

/* A relative time; an error if it is too far. */
extern bool segment_relative(SegmentBuild *build, SegmentValue *value, double amount, SegmentUnit unit,
							 bool past);

extern SegmentNode *segment_parse_json(SegmentBuild *build);

/* Days since 2000-01-01 and back, by the proleptic Gregorian calendar. */
extern int64_t segment_days(int year, int month, int day);
extern void segment_date(int64_t days, int *year, int *month, int *day);

#endif							/* ADAPTY_SEGMENT_BUILD_H */
