/*
 * segment_sql.c
 *		A segment's filter as SQL that the planner sees through.
 *
 * What the filter says of a profile is a condition on "adapty.profiles p".  Attributes of a device
 * (adapty.installations d) and of an attribution (adapty.attributions a) are of one row each: a
 * profile is in the segment if the whole filter is true of the profile together with one of its
 * devices and one of its attributions, where a profile without any has one whose attributes are all
 * absent.  "There is one" goes through "or", so each branch is looked at by itself, and through
 * those conditions of an "and" that do not concern the row; what is left becomes EXISTS, which the
 * planner makes a semi-join.
 *
 * Negation is pushed down to the conditions first.  Above them are only AND and OR then, where null
 * does as well as false; a negated condition is made true of null there.  What becomes of a
 * condition when its row is absent is known here already, and folded.
 *
 * No text of a user gets into the SQL but as a quoted literal.
 */
#include "postgres.h"

#include <math.h>

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "domain/segment_sql.h"

/* What the view shows of a member: what adapty_analyst may read of profiles. */
#define VIEW_COLUMNS \
	"p.profile_id, p.created_at, p.updated_at, p.last_seen_at, p.subscription_state, p.gender, p.att_status," \
	" p.analytics_disabled, p.total_revenue_usd, p.ip_country, p.store_country, p.store, p.custom_attributes"

#define USES_DEVICE 1
#define USES_ATTRIBUTION 2

#define OLDEST_AGE 200			/* years; nobody is older */

/* What the aliases d and a stand for. */
typedef enum RowState
{
	ROW_THERE,
	ROW_MAYBE,					/* of an outer join: all null if there is none */
	ROW_ABSENT
} RowState;

typedef struct Rows
{
	RowState	device;
	RowState	attribution;
} Rows;

/* What a condition became: known, or SQL was written. */
typedef enum Folded
{
	FOLDED_FALSE,
	FOLDED_TRUE,
	FOLDED_SQL
} Folded;

/* ---- what a condition is about ---- */

/* Which rows beside the profile's an attribute is of. */
static int
attribute_uses(SegmentAttribute attribute)
{
	switch (attribute)
	{
		case SEGMENT_APP_VERSION:
		case SEGMENT_APP_VERSION_ON_INSTALL:
		case SEGMENT_DEVICE:
		case SEGMENT_INSTALLED_AT:
		case SEGMENT_LANGUAGE:
		case SEGMENT_OS:
		case SEGMENT_PLATFORM:
			return USES_DEVICE;
		case SEGMENT_ATTRIBUTION_AD_GROUP:
		case SEGMENT_ATTRIBUTION_AD_SET:
		case SEGMENT_ATTRIBUTION_CAMPAIGN:
		case SEGMENT_ATTRIBUTION_CHANNEL:
		case SEGMENT_ATTRIBUTION_CREATIVE:
		case SEGMENT_ATTRIBUTION_SOURCE:
		case SEGMENT_ATTRIBUTION_STATUS:
			return USES_ATTRIBUTION;
		default:
			return 0;
	}
}

/* The same of a whole node. */
static int
node_uses(const SegmentNode *node)
{
	int			uses = node->kind == SEGMENT_CONDITION ? attribute_uses(node->attribute) : 0;

	for (int i = 0; i < node->n_children; i++)
		uses |= node_uses(node->children[i]);
	return uses;
}

/* A node without the "not"s above it; *negated changes with each. */
static const SegmentNode *
strip_not(const SegmentNode *node, bool *negated)
{
	while (node->kind == SEGMENT_NOT)
	{
		*negated = !*negated;
		node = node->children[0];
	}
	return node;
}

/* Is a node, negated or not, a conjunction? */
static bool
is_conjunction(const SegmentNode *node, bool negated)
{
	return node->kind == (negated ? SEGMENT_OR : SEGMENT_AND);
}

/* The same of a disjunction. */
static bool
is_disjunction(const SegmentNode *node, bool negated)
{
	return node->kind == (negated ? SEGMENT_AND : SEGMENT_OR);
}

/* The SQL of an attribute that is a column or made of one. */
static const char *
attribute_column(const SegmentNode *node, Rows rows)
{
	switch (node->attribute)
	{
		case SEGMENT_APP_VERSION:
			return "adapty.semver_key(d.app_version)";
		case SEGMENT_APP_VERSION_ON_INSTALL:
			return "adapty.semver_key(d.installed_app_version)";
		case SEGMENT_ATTRIBUTION_AD_GROUP:
			return "a.ad_group";
		case SEGMENT_ATTRIBUTION_AD_SET:
			return "a.ad_set";
		case SEGMENT_ATTRIBUTION_CAMPAIGN:
			return "a.campaign";
		case SEGMENT_ATTRIBUTION_CHANNEL:
			return "a.channel";
		case SEGMENT_ATTRIBUTION_CREATIVE:
			return "a.creative";
		case SEGMENT_ATTRIBUTION_SOURCE:
			return "a.source";
		case SEGMENT_ATTRIBUTION_STATUS:
			/* without any attribution the status is "unknown" */
			return rows.attribution == ROW_THERE ? "a.status" :
				rows.attribution == ROW_MAYBE ? "coalesce(a.status, 'unknown')" :
				"'unknown'::adapty.attribution_status";
		case SEGMENT_COUNTRY:
			return "p.ip_country";
		case SEGMENT_CREATED_AT:
			return "p.created_at";
		case SEGMENT_DEVICE:
			return "d.device";
		case SEGMENT_GENDER:
			return "p.gender";
		case SEGMENT_INSTALLED_AT:
			return "d.created_at";
		case SEGMENT_LANGUAGE:
			return "adapty.language_code(d.locale)";
		case SEGMENT_LAST_SEEN:
			return "p.last_seen_at";
		case SEGMENT_OS:
			return "d.os";
		case SEGMENT_PLATFORM:
			return "d.platform";
		case SEGMENT_STORE_COUNTRY:
			return "p.store_country";
		case SEGMENT_SUBSCRIPTION_PRODUCT:
			return "s.store_product_id";
		case SEGMENT_SUBSCRIPTION_STATE:
			return "p.subscription_state";
		case SEGMENT_TOTAL_REVENUE_USD:
			return "p.total_revenue_usd";
		case SEGMENT_CUSTOM:
			return psprintf(node->values != NULL && node->values[0].kind == SEGMENT_VALUE_NUMBER ?
							"adapty.attribute_number(p.custom_attributes, %s)" :
							"adapty.attribute_text(p.custom_attributes, %s)", quote_literal_cstr(node->key));
		default:
			elog(ERROR, "segment attribute %d is no column", node->attribute);
	}
}

/* ---- values ---- */

/* A number as a literal without its type. */
static char *
number_text(double number)
{
	char	   *text = palloc(SEGMENT_NUMBER_SIZE);

	segment_format_number(number, text);
	return text;
}

/* A value as a literal. */
static char *
value_literal(const SegmentNode *node, const SegmentValue *value)
{
	if (value->kind == SEGMENT_VALUE_NUMBER)
		return psprintf("'%s'::numeric", number_text(value->number));
	if (segment_attributes[node->attribute].type == SEGMENT_TYPE_VERSION)
		return psprintf("adapty.semver_key(%s)", quote_literal_cstr(value->string));
	return quote_literal_cstr(value->string);
}

/* The literals of a list, with commas between. */
static char *
value_literals(const SegmentNode *node)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < node->n_values; i++)
		appendStringInfo(&list, "%s%s", i > 0 ? ", " : "", value_literal(node, &node->values[i]));
	return list.data;
}

/*
 * A time as SQL: the beginning of what a value stands for, or with "end" its end, which is the
 * beginning of the next day if the value is a day.
 */
static char *
time_literal(const SegmentValue *value, bool end)
{
	static const char *const units[SEGMENT_N_UNITS] = {"minutes", "hours", "days", "days", "months", "years"};
	SegmentValue moment = *value;
	char		text[SEGMENT_TIME_SIZE];

	if (value->kind == SEGMENT_VALUE_RELATIVE)
	{
		if (value->amount == 0)
			return "adapty.now()";
		return psprintf("adapty.time_from_now('%d %s'::interval)",
						value->unit == SEGMENT_WEEKS ? 7 * value->amount : value->amount, units[value->unit]);
	}
	if (value->kind == SEGMENT_VALUE_DAY && end)
		moment.time++;
	segment_format_time(&moment, true, text);
	return psprintf("'%s'::timestamptz", text);
}

/* ---- conditions ---- */

/* A comparison of a time: x is what is compared. */
static void
write_time(StringInfo sql, const SegmentNode *node, const char *x)
{
	const SegmentValue *first = &node->values[0];
	const SegmentValue *last = &node->values[node->n_values - 1];
	bool		to_day = last->kind == SEGMENT_VALUE_DAY;
	const char *begin = time_literal(first, false);
	const char *end = time_literal(last, true);

	switch (node->op)
	{
		case SEGMENT_LT:
			appendStringInfo(sql, "%s < %s", x, begin);
			break;
		case SEGMENT_LE:
			appendStringInfo(sql, "%s %s %s", x, to_day ? "<" : "<=", end);
			break;
		case SEGMENT_GT:
			appendStringInfo(sql, "%s %s %s", x, to_day ? ">=" : ">", end);
			break;
		case SEGMENT_GE:
			appendStringInfo(sql, "%s >= %s", x, begin);
			break;
		case SEGMENT_EQ:
		case SEGMENT_BETWEEN:
			appendStringInfo(sql, "(%s >= %s AND %s %s %s)", x, begin, x, to_day ? "<" : "<=", end);
			break;
		default:				/* !=, not between */
			appendStringInfo(sql, "(%s < %s OR %s %s %s)", x, begin, x, to_day ? ">=" : ">", end);
			break;
	}
}

/* One of the profile's subscriptions, with a condition on its end; none: any subscription. */
static void
write_subscription_end(StringInfo sql, bool is_there, const char *op, const char *moment)
{
	appendStringInfo(sql, "%sEXISTS (SELECT 1 FROM adapty.subscriptions s WHERE s.profile_id = p.profile_id",
					 is_there ? "" : "NOT ");
	if (op != NULL)
		appendStringInfo(sql, " AND s.expires_at %s %s", op, moment);
	appendStringInfoChar(sql, ')');
}

/*
 * subscription_expires_at: the latest end of all subscriptions.  Said without max(), so that it
 * stays a join: the latest is after t if one is; it is before t if there is one and none is not.
 */
static void
write_subscription_expires_at(StringInfo sql, const SegmentNode *node)
{
	const SegmentValue *first = &node->values[0];
	const SegmentValue *last = &node->values[node->n_values - 1];
	bool		to_day = node->n_values > 0 && last->kind == SEGMENT_VALUE_DAY;
	const char *begin = node->n_values > 0 ? time_literal(first, false) : NULL;
	const char *end = node->n_values > 0 ? time_literal(last, true) : NULL;
	const char *past_end = to_day ? ">=" : ">";

	appendStringInfoChar(sql, '(');
	switch (node->op)
	{
		case SEGMENT_IS_SET:
		case SEGMENT_IS_NOT_SET:
			write_subscription_end(sql, node->op == SEGMENT_IS_SET, NULL, NULL);
			break;
		case SEGMENT_GT:
			write_subscription_end(sql, true, past_end, end);
			break;
		case SEGMENT_GE:
			write_subscription_end(sql, true, ">=", begin);
			break;
		case SEGMENT_LT:
		case SEGMENT_LE:
			write_subscription_end(sql, true, NULL, NULL);
			appendStringInfoString(sql, " AND ");
			if (node->op == SEGMENT_LT)
				write_subscription_end(sql, false, ">=", begin);
			else
				write_subscription_end(sql, false, past_end, end);
			break;
		case SEGMENT_EQ:
		case SEGMENT_BETWEEN:
			write_subscription_end(sql, true, ">=", begin);
			appendStringInfoString(sql, " AND ");
			write_subscription_end(sql, false, past_end, end);
			break;
		default:				/* !=, not between */
			write_subscription_end(sql, true, past_end, end);
			appendStringInfoString(sql, " OR ");
			write_subscription_end(sql, true, NULL, NULL);
			appendStringInfoString(sql, " AND ");
			write_subscription_end(sql, false, ">=", begin);
			break;
	}
	appendStringInfoChar(sql, ')');
}

/* Born early enough to be "years" old or older; or, not at_least, late enough to be younger. */
static void
write_age_bound(StringInfo sql, bool at_least, double years)
{
	if (years <= 0)
		appendStringInfoString(sql, at_least ? "p.birthday IS NOT NULL" : "false");
	else if (years > OLDEST_AGE)
		appendStringInfoString(sql, at_least ? "false" : "p.birthday IS NOT NULL");
	else
		appendStringInfo(sql, "p.birthday %s adapty.date_from_now('%d years'::interval)", at_least ? "<=" : ">",
						 -(int) years);
}

/* One of "age is, is not, from to" in whole years, as bounds of the birthday. */
static void
write_age_range(StringInfo sql, double from, double to, bool outside)
{
	/* the first age in the range, and the first after it */
	double		first = ceil(from);
	double		next = floor(to) + 1;

	appendStringInfoChar(sql, '(');
	if (outside)
	{
		write_age_bound(sql, false, first);
		appendStringInfoString(sql, " OR ");
		write_age_bound(sql, true, next);
	}
	else
	{
		write_age_bound(sql, true, first);
		appendStringInfoString(sql, " AND ");
		write_age_bound(sql, false, next);
	}
	appendStringInfoChar(sql, ')');
}

/* age: whole years since the birthday, by the calendar in UTC. */
static void
write_age(StringInfo sql, const SegmentNode *node)
{
	double		n = node->n_values > 0 ? node->values[0].number : 0;
	bool		outside = node->op == SEGMENT_NE || node->op == SEGMENT_NOT_IN;

	switch (node->op)
	{
		case SEGMENT_IS_SET:
		case SEGMENT_IS_NOT_SET:
			appendStringInfo(sql, "p.birthday IS %sNULL", node->op == SEGMENT_IS_SET ? "NOT " : "");
			break;
		case SEGMENT_GE:
			write_age_bound(sql, true, ceil(n));
			break;
		case SEGMENT_GT:
			write_age_bound(sql, true, floor(n) + 1);
			break;
		case SEGMENT_LE:
			write_age_bound(sql, false, floor(n) + 1);
			break;
		case SEGMENT_LT:
			write_age_bound(sql, false, ceil(n));
			break;
		case SEGMENT_BETWEEN:
		case SEGMENT_NOT_BETWEEN:
			write_age_range(sql, n, node->values[1].number, node->op == SEGMENT_NOT_BETWEEN);
			break;
		default:				/* =, !=, in, not in */
			appendStringInfoChar(sql, '(');
			for (int i = 0; i < node->n_values; i++)
			{
				if (i > 0)
					appendStringInfoString(sql, outside ? " AND " : " OR ");
				write_age_range(sql, node->values[i].number, node->values[i].number, outside);
			}
			appendStringInfoChar(sql, ')');
			break;
	}
}

/* A comparison of a column. */
static void
write_column(StringInfo sql, const SegmentNode *node, Rows rows)
{
	const char *x;

	if (node->attribute == SEGMENT_CUSTOM && node->n_values == 0)
	{
		appendStringInfo(sql, node->op == SEGMENT_IS_SET ? "p.custom_attributes ? %s" : "NOT p.custom_attributes ? %s",
						 quote_literal_cstr(node->key));
		return;
	}
	x = attribute_column(node, rows);
	if (node->n_values > 0 && segment_attributes[node->attribute].type == SEGMENT_TYPE_DATE)
	{
		write_time(sql, node, x);
		return;
	}
	switch (node->op)
	{
		case SEGMENT_IS_SET:
			appendStringInfo(sql, "%s IS NOT NULL", x);
			break;
		case SEGMENT_IS_NOT_SET:
			appendStringInfo(sql, "%s IS NULL", x);
			break;
		case SEGMENT_IN:
		case SEGMENT_NOT_IN:
			appendStringInfo(sql, "%s %s (%s)", x, node->op == SEGMENT_IN ? "IN" : "NOT IN", value_literals(node));
			break;
		case SEGMENT_BETWEEN:
			appendStringInfo(sql, "(%s >= %s AND %s <= %s)", x, value_literal(node, &node->values[0]),
							 x, value_literal(node, &node->values[1]));
			break;
		case SEGMENT_NOT_BETWEEN:
			appendStringInfo(sql, "(%s < %s OR %s > %s)", x, value_literal(node, &node->values[0]),
							 x, value_literal(node, &node->values[1]));
			break;
		default:
			appendStringInfo(sql, "%s %s %s", x, node->op == SEGMENT_NE ? "<>" : segment_operators[node->op],
							 value_literal(node, &node->values[0]));
			break;
	}
}

/* subscription_product: of an active subscription, any if there are several. */
static void
write_subscription_product(StringInfo sql, const SegmentNode *node)
{
	Rows		there = {ROW_THERE, ROW_THERE};

	appendStringInfo(sql, "%sEXISTS (SELECT 1 FROM adapty.subscriptions s WHERE s.profile_id = p.profile_id"
					 " AND s.refunded_at IS NULL AND (s.expires_at > adapty.now() OR s.grace_period_expires_at > adapty.now())",
					 node->op == SEGMENT_IS_NOT_SET ? "NOT " : "");
	if (node->n_values > 0)
	{
		appendStringInfoString(sql, " AND ");
		write_column(sql, node, there);
	}
	appendStringInfoChar(sql, ')');
}

/* access(): by the clock, as has_access() does it; a profile with a test clock has a clock of its own. */
static void
write_access(StringInfo sql, const SegmentNode *node)
{
	appendStringInfoString(sql, "EXISTS (SELECT 1 FROM adapty.access_grants g WHERE g.profile_id = p.profile_id");
	if (node->n_values > 0)
		appendStringInfo(sql, " AND g.access_level_id IN (%s)", value_literals(node));
	appendStringInfoString(sql,
						   " AND (g.starts_at <= adapty.now() AND g.expires_at > adapty.now() AND g.test_clock_offset IS NULL"
						   " OR g.test_clock_offset IS NOT NULL"
						   " AND g.starts_at <= adapty.now() + g.test_clock_offset * '1 microsecond'::interval"
						   " AND g.expires_at > adapty.now() + g.test_clock_offset * '1 microsecond'::interval))");
}

/* A condition whose row is absent: it is false, or true if it says just that. */
static Folded
fold_absent(const SegmentNode *node, bool negated)
{
	return (node->op == SEGMENT_IS_NOT_SET) != negated ? FOLDED_TRUE : FOLDED_FALSE;
}

/* A condition, negated or not. */
static Folded
write_condition(StringInfo sql, const SegmentNode *node, bool negated, Rows rows)
{
	int			uses = node->kind == SEGMENT_CONDITION ? attribute_uses(node->attribute) : 0;
	bool		never_null = node->kind == SEGMENT_ACCESS || node->n_values == 0;
	StringInfoData positive;

	if ((uses == USES_DEVICE && rows.device == ROW_ABSENT) ||
		(uses == USES_ATTRIBUTION && rows.attribution == ROW_ABSENT && node->attribute != SEGMENT_ATTRIBUTION_STATUS))
		return fold_absent(node, negated);
	initStringInfo(&positive);
	if (node->kind == SEGMENT_ACCESS)
		write_access(&positive, node);
	else
		switch (node->attribute)
		{
			case SEGMENT_AGE:
				write_age(&positive, node);
				break;
			case SEGMENT_CUSTOMER_USER_ID:
				appendStringInfo(&positive, "%sEXISTS (SELECT 1 FROM adapty.identities i WHERE i.profile_id = p.profile_id)",
								 node->op == SEGMENT_IS_NOT_SET ? "NOT " : "");
				break;
			case SEGMENT_SUBSCRIPTION_EXPIRES_AT:
				write_subscription_expires_at(&positive, node);
				never_null = true;
				break;
			case SEGMENT_SUBSCRIPTION_PRODUCT:
				write_subscription_product(&positive, node);
				never_null = true;
				break;
			default:
				write_column(&positive, node, rows);
				break;
		}
	if (negated)
		appendStringInfo(sql, never_null ? "NOT (%s)" : "(%s) IS NOT TRUE", positive.data);
	else
		appendStringInfoString(sql, positive.data);
	return FOLDED_SQL;
}

/* ---- and, or ---- */

/* A list of parts joined by AND or OR, with what is known folded away. */
typedef struct Join
{
	StringInfo	sql;
	bool		is_and;
	int			parts;			/* written */
	bool		decided;		/* a part decides the whole */
	StringInfoData text;
} Join;

/* Begins one that will be added to "sql". */
static void
join_begin(Join *join, StringInfo sql, bool is_and)
{
	join->sql = sql;
	join->is_and = is_and;
	join->parts = 0;
	join->decided = false;
	initStringInfo(&join->text);
}

/* Adds a part: what it folded to, and its SQL. */
static void
join_add(Join *join, Folded folded, const char *part)
{
	if (folded == (join->is_and ? FOLDED_FALSE : FOLDED_TRUE))
		join->decided = true;
	if (folded != FOLDED_SQL)
		return;
	if (join->parts++ > 0)
		appendStringInfoString(&join->text, join->is_and ? " AND " : " OR ");
	appendStringInfoString(&join->text, part);
}

/* Ends it: adds it, in brackets, unless it is known. */
static Folded
join_end(Join *join)
{
	if (join->decided)
		return join->is_and ? FOLDED_FALSE : FOLDED_TRUE;
	if (join->parts == 0)
		return join->is_and ? FOLDED_TRUE : FOLDED_FALSE;
	appendStringInfo(join->sql, join->parts > 1 ? "(%s)" : "%s", join->text.data);
	return FOLDED_SQL;
}

/* A node whose rows d and a are as "rows" says. */
static Folded
write_open(StringInfo sql, const SegmentNode *node, bool negated, Rows rows)
{
	Join		join;

	check_stack_depth();
	node = strip_not(node, &negated);
	if (node->kind == SEGMENT_EVERYONE)
		return negated ? FOLDED_FALSE : FOLDED_TRUE;
	if (node->kind == SEGMENT_CONDITION || node->kind == SEGMENT_ACCESS)
		return write_condition(sql, node, negated, rows);
	join_begin(&join, sql, is_conjunction(node, negated));
	for (int i = 0; i < node->n_children; i++)
	{
		StringInfoData part;
		Folded		folded;

		initStringInfo(&part);
		folded = write_open(&part, node->children[i], negated, rows);
		join_add(&join, folded, part.data);
	}
	return join_end(&join);
}

/* Those of "nodes" that use just these rows, joined by AND. */
static Folded
write_group(StringInfo sql, SegmentNode *const *nodes, int n, bool negated, int uses, Rows rows)
{
	Join		join;

	join_begin(&join, sql, true);
	for (int i = 0; i < n; i++)
	{
		StringInfoData part;
		Folded		folded;

		if ((node_uses(nodes[i]) & uses) == 0)
			continue;
		initStringInfo(&part);
		folded = write_open(&part, nodes[i], negated, rows);
		join_add(&join, folded, part.data);
	}
	return join_end(&join);
}

/* There is a row of one table of which the nodes that use it are true, or there is none and they are. */
static Folded
write_exists(StringInfo sql, SegmentNode *const *nodes, int n, bool negated, int uses, const char *devices)
{
	const char *from = uses == USES_DEVICE ?
		psprintf("EXISTS (SELECT 1 FROM adapty.installations d WHERE d.profile_id = p.profile_id%s", devices) :
		"EXISTS (SELECT 1 FROM adapty.attributions a WHERE a.profile_id = p.profile_id";
	Rows		there = {ROW_THERE, ROW_THERE};
	Rows		absent = {ROW_ABSENT, ROW_ABSENT};
	StringInfoData of_row;
	StringInfoData of_none;
	Folded		row;
	Folded		none;
	Join		either;

	initStringInfo(&of_row);
	initStringInfo(&of_none);
	row = write_group(&of_row, nodes, n, negated, uses, there);
	none = write_group(&of_none, nodes, n, negated, uses, absent);
	join_begin(&either, sql, false);
	if (row != FOLDED_FALSE)
		join_add(&either, FOLDED_SQL,
				 row == FOLDED_SQL ? psprintf("%s AND %s)", from, of_row.data) : psprintf("%s)", from));
	if (none != FOLDED_FALSE)
		join_add(&either, FOLDED_SQL,
				 none == FOLDED_SQL ? psprintf("(NOT %s) AND %s)", from, of_none.data) : psprintf("NOT %s)", from));
	return join_end(&either);
}

/* The same for both tables at once, when a condition concerns both. */
static Folded
write_exists_both(StringInfo sql, SegmentNode *const *nodes, int n, bool negated, const char *devices)
{
	Rows		rows = {ROW_MAYBE, ROW_MAYBE};
	StringInfoData of_rows;
	Folded		folded;

	initStringInfo(&of_rows);
	folded = write_group(&of_rows, nodes, n, negated, USES_DEVICE | USES_ATTRIBUTION, rows);
	if (folded != FOLDED_SQL)
		return folded;
	appendStringInfo(sql, "EXISTS (SELECT 1 FROM (SELECT 1) one (one)"
					 " LEFT JOIN adapty.installations d ON d.profile_id = p.profile_id%s"
					 " LEFT JOIN adapty.attributions a ON a.profile_id = p.profile_id WHERE %s)", devices, of_rows.data);
	return FOLDED_SQL;
}

/* Nodes joined by AND, each negated or not, about a profile alone. */
static Folded
write_conjunction(StringInfo sql, SegmentNode *const *nodes, int n, bool negated, const char *devices)
{
	Rows		none = {ROW_ABSENT, ROW_ABSENT};
	int			all = 0;
	bool		mixed = false;
	Join		join;
	StringInfoData part;
	Folded		folded;

	join_begin(&join, sql, true);
	for (int i = 0; i < n; i++)
	{
		int			uses = node_uses(nodes[i]);

		all |= uses;
		mixed = mixed || uses == (USES_DEVICE | USES_ATTRIBUTION);
		if (uses != 0)
			continue;
		initStringInfo(&part);
		folded = write_open(&part, nodes[i], negated, none);
		join_add(&join, folded, part.data);
	}
	if (mixed)
	{
		initStringInfo(&part);
		folded = write_exists_both(&part, nodes, n, negated, devices);
		join_add(&join, folded, part.data);
	}
	for (int uses = USES_DEVICE; uses <= USES_ATTRIBUTION && !mixed; uses++)
	{
		if ((all & uses) == 0)
			continue;
		initStringInfo(&part);
		folded = write_exists(&part, nodes, n, negated, uses, devices);
		join_add(&join, folded, part.data);
	}
	return join_end(&join);
}

/*
 * A node about a profile alone: with one of its devices and attributions.  devices is SQL that says
 * which devices count, empty for all.
 */
static Folded
write_closed(StringInfo sql, const SegmentNode *node, bool negated, const char *devices)
{
	Join		join;

	check_stack_depth();
	node = strip_not(node, &negated);
	if (is_conjunction(node, negated))
		return write_conjunction(sql, node->children, node->n_children, negated, devices);
	if (!is_disjunction(node, negated))
	{
		SegmentNode *only = unconstify(SegmentNode *, node);

		return write_conjunction(sql, &only, 1, negated, devices);
	}
	join_begin(&join, sql, false);
	for (int i = 0; i < node->n_children; i++)
	{
		StringInfoData part;
		Folded		folded;

		initStringInfo(&part);
		folded = write_closed(&part, node->children[i], negated, devices);
		join_add(&join, folded, part.data);
	}
	return join_end(&join);
}

/* See segment_sql.h. */
char *
segment_select(const SegmentNode *filter, const char *platform)
{
	const char *devices = platform == NULL ? "" : psprintf(" AND d.platform = %s", quote_literal_cstr(platform));
	StringInfoData where;
	Folded		folded;

	initStringInfo(&where);
	folded = write_closed(&where, filter, false, devices);
	return psprintf("SELECT " VIEW_COLUMNS " FROM adapty.profiles p WHERE %s",
					folded == FOLDED_SQL ? where.data : folded == FOLDED_TRUE ? "true" : "false");
}
