/*
 * segment_tree.h
 *		A segment's filter as a tree, and the pure functions that make, check and print it.
 *
 * Nothing here or in segment_words.c, segment_build.c, segment_parse.c, segment_json.c and
 * segment_print.c knows PostgreSQL: they are plain C over an allocator, so that they can be built
 * alone and fuzzed.  They never read outside of their input, and how deep they recurse is bounded
 * by SEGMENT_MAX_DEPTH.  The server's side is segment_filter.c.
 *
 * What a filter means: an attribute is there or absent.  A comparison is true of an attribute that
 * is there and compares so; of an absent one it is false, whatever the operator.  "not" is the
 * complement.  See docs/segments.md.
 */
#ifndef ADAPTY_SEGMENT_TREE_H
#define ADAPTY_SEGMENT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEGMENT_MAX_LENGTH 65536	/* bytes of a filter's text */
#define SEGMENT_MAX_JSON_LENGTH 1048576	/* of its JSON form, which is longer */
#define SEGMENT_MAX_DEPTH 50		/* levels of and, or, not */
#define SEGMENT_MAX_CONDITIONS 500	/* in a filter */
#define SEGMENT_MAX_VALUES 1000		/* in a list */
#define SEGMENT_MAX_STRING 1024		/* bytes of a string */
#define SEGMENT_MAX_KEY 30			/* bytes of a custom attribute's key */
#define SEGMENT_MAX_YEARS 200		/* of a relative time */

/* Where memory comes from; never NULL. */
typedef struct SegmentArena
{
	void	   *(*allocate) (void *context, size_t size);
	void	   *context;
} SegmentArena;

/* What was wrong first. */
typedef struct SegmentError
{
	size_t		offset;			/* bytes from the beginning */
	size_t		length;			/* of the piece that is wrong; 0 at the end of the text */
	bool		too_large;		/* a limit, not a mistake in writing */
	char		message[256];
	char		hint[640];		/* empty for none */
} SegmentError;

typedef enum SegmentAttribute
{
	SEGMENT_AGE,
	SEGMENT_APP_VERSION,
	SEGMENT_APP_VERSION_ON_INSTALL,
	SEGMENT_ATTRIBUTION_AD_GROUP,
	SEGMENT_ATTRIBUTION_AD_SET,
	SEGMENT_ATTRIBUTION_CAMPAIGN,
	SEGMENT_ATTRIBUTION_CHANNEL,
	SEGMENT_ATTRIBUTION_CREATIVE,
	SEGMENT_ATTRIBUTION_SOURCE,
	SEGMENT_ATTRIBUTION_STATUS,
	SEGMENT_COUNTRY,
	SEGMENT_CREATED_AT,
	SEGMENT_CUSTOMER_USER_ID,
	SEGMENT_DEVICE,
	SEGMENT_GENDER,
	SEGMENT_INSTALLED_AT,
	SEGMENT_LANGUAGE,
	SEGMENT_LAST_SEEN,
	SEGMENT_OS,
	SEGMENT_PLATFORM,
	SEGMENT_STORE_COUNTRY,
	SEGMENT_SUBSCRIPTION_EXPIRES_AT,
	SEGMENT_SUBSCRIPTION_PRODUCT,
	SEGMENT_SUBSCRIPTION_STATE,
	SEGMENT_TOTAL_REVENUE_USD,
	SEGMENT_CUSTOM,				/* attr.key */
	SEGMENT_N_ATTRIBUTES
} SegmentAttribute;

/* How an attribute's values are written and compared. */
typedef enum SegmentType
{
	SEGMENT_TYPE_NUMBER,
	SEGMENT_TYPE_TEXT,
	SEGMENT_TYPE_WORD,			/* one of a list of words */
	SEGMENT_TYPE_COUNTRY,		/* ISO 3166-1 alpha-2 */
	SEGMENT_TYPE_LANGUAGE,		/* ISO 639-1 */
	SEGMENT_TYPE_VERSION,		/* SemVer */
	SEGMENT_TYPE_DATE,
	SEGMENT_TYPE_PRESENCE,		/* only "is set" and "is not set" */
	SEGMENT_TYPE_CUSTOM			/* a number or a text, as the value says */
} SegmentType;

typedef struct SegmentAttributeInfo
{
	const char *name;
	const char *alias;			/* another name that is read; NULL for none */
	SegmentType type;
	const char *const *words;	/* of SEGMENT_TYPE_WORD, ends with NULL */
} SegmentAttributeInfo;

extern const SegmentAttributeInfo segment_attributes[SEGMENT_N_ATTRIBUTES];

typedef enum SegmentOperator
{
	SEGMENT_EQ,
	SEGMENT_NE,
	SEGMENT_LT,
	SEGMENT_LE,
	SEGMENT_GT,
	SEGMENT_GE,
	SEGMENT_IN,
	SEGMENT_NOT_IN,
	SEGMENT_BETWEEN,
	SEGMENT_NOT_BETWEEN,
	SEGMENT_IS_SET,
	SEGMENT_IS_NOT_SET,
	SEGMENT_N_OPERATORS
} SegmentOperator;

extern const char *const segment_operators[SEGMENT_N_OPERATORS];

typedef enum SegmentValueKind
{
	SEGMENT_VALUE_NUMBER,
	SEGMENT_VALUE_STRING,
	SEGMENT_VALUE_WORD,			/* read only: becomes a string when checked */
	SEGMENT_VALUE_DAY,			/* a whole day, UTC */
	SEGMENT_VALUE_TIME,			/* a moment */
	SEGMENT_VALUE_RELATIVE		/* a moment before or after now; amount 0 is now */
} SegmentValueKind;

typedef enum SegmentUnit
{
	SEGMENT_MINUTES,
	SEGMENT_HOURS,
	SEGMENT_DAYS,
	SEGMENT_WEEKS,
	SEGMENT_MONTHS,
	SEGMENT_YEARS,
	SEGMENT_N_UNITS
} SegmentUnit;

extern const char *const segment_units[SEGMENT_N_UNITS];	/* plural */

typedef struct SegmentValue
{
	SegmentValueKind kind;
	size_t		offset;			/* where it was read, for errors */
	size_t		length;
	double		number;			/* finite */
	const char *string;
	int64_t		time;			/* DAY: days, TIME: microseconds, both since 2000-01-01 UTC */
	int			amount;			/* RELATIVE: negative for the past */
	SegmentUnit unit;
} SegmentValue;

typedef enum SegmentNodeKind
{
	SEGMENT_EVERYONE,
	SEGMENT_AND,				/* two children or more */
	SEGMENT_OR,
	SEGMENT_NOT,				/* one */
	SEGMENT_CONDITION,
	SEGMENT_ACCESS				/* values: the levels, any of them; none: any level */
} SegmentNodeKind;

typedef struct SegmentNode
{
	SegmentNodeKind kind;
	int			n_children;
	struct SegmentNode **children;
	SegmentAttribute attribute; /* of a condition */
	const char *key;			/* of SEGMENT_CUSTOM */
	SegmentOperator op;
	int			n_values;		/* 0 for "is set", 2 for "between" */
	SegmentValue *values;
} SegmentNode;

/* ---- reading and printing ---- */

/*
 * Reads a filter: the language, or its JSON form if the text begins with "{".  utf8 says how the
 * text is encoded (otherwise any superset of ASCII).  NULL, and *error filled, if it is wrong.
 */
extern SegmentNode *segment_parse(const char *text, size_t length, bool utf8,
								  const SegmentArena *arena, SegmentError *error);

/* The canonical text: what segment_parse() reads as an equal tree. */
extern char *segment_print(const SegmentNode *node, const SegmentArena *arena);

/* The JSON form, without blanks. */
extern char *segment_print_json(const SegmentNode *node, const SegmentArena *arena);

/* Shortest decimal that reads back as the same number. */
#define SEGMENT_NUMBER_SIZE 32
extern void segment_format_number(double number, char *buffer);

/* A DAY, or if asked as a moment its beginning, or a TIME: ISO 8601 in UTC. */
#define SEGMENT_TIME_SIZE 64
extern void segment_format_time(const SegmentValue *value, bool as_moment, char *buffer);

/* ---- SemVer ---- */

#define SEGMENT_MAX_VERSION 255	/* bytes of a version */

/*
 * A key of a SemVer 2.0.0 version whose bytes sort as versions do, build metadata ignored: its
 * length, at most SEGMENT_MAX_VERSION_KEY; -1 if the text is no version.
 */
#define SEGMENT_MAX_VERSION_KEY (2 * SEGMENT_MAX_VERSION + 8)
extern int	segment_version_key(const char *text, size_t length, unsigned char *key);

#endif							/* ADAPTY_SEGMENT_TREE_H */
