/*
 * attribute_definition.c
 *		Definitions of custom attributes: a label, a type, and the values that are allowed.
 *
 * A custom attribute needs no definition.  With one, setting a value that it does not allow is
 * refused.  What users had before stays, and is reported: when the definition is made and by
 * attribute_violations().
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/arg.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/ext_state.h"
#include "base/jsonb_build.h"
#include "base/plans.h"
#include "domain/attribute_check.h"
#include "domain/attribute_definition.h"
#include "domain/attribute_request.h"
#include "domain/attributes.h"

#define MAX_LABEL 255
#define MAX_ALLOWED_VALUES 1000

PG_FUNCTION_INFO_V1(adapty_define_attribute);
PG_FUNCTION_INFO_V1(adapty_undefine_attribute);

static SavedPlan find_violation = {
	"violation of an attribute's definition",
	"SELECT e.key, e.value, d.value_type::text, d.allowed_values::text"
	" FROM pg_catalog.jsonb_each($1) e JOIN adapty.attribute_definitions d ON d.key = e.key"
	" WHERE pg_catalog.jsonb_typeof(e.value) <> 'null'"
	" AND NOT adapty._attribute_fits(e.value, d.value_type, d.allowed_values) ORDER BY e.key LIMIT 1",
	SPI_OK_SELECT, 1, {JSONBOID}, NULL, InvalidOid
};

static SavedPlan fit_definition = {
	"does a value fit an attribute's definition",
	"SELECT adapty._attribute_fits($2, d.value_type, CASE WHEN $3 THEN d.allowed_values END),"
	" d.value_type::text, d.allowed_values::text FROM adapty.attribute_definitions d WHERE d.key = $1",
	SPI_OK_SELECT, 3, {TEXTOID, JSONBOID, BOOLOID}, NULL, InvalidOid
};

static SavedPlan put_definition = {
	"put attribute definition",
	"INSERT INTO adapty.attribute_definitions AS d (key, value_type, label, allowed_values)"
	" VALUES ($1, $2::adapty.attribute_type, coalesce($3, $1), $4)"
	" ON CONFLICT (key) DO UPDATE SET value_type = excluded.value_type, label = coalesce($3, d.label),"
	" allowed_values = excluded.allowed_values, updated_at = excluded.updated_at",
	SPI_OK_INSERT, 4, {TEXTOID, TEXTOID, TEXTOID, JSONBOID}, NULL, InvalidOid
};

static SavedPlan delete_definition = {
	"delete attribute definition",
	"DELETE FROM adapty.attribute_definitions WHERE key = $1",
	SPI_OK_DELETE, 1, {TEXTOID}, NULL, InvalidOid
};

static SavedPlan count_violations = {
	"count violations of an attribute's definition",
	"SELECT pg_catalog.count(*), (SELECT pg_catalog.string_agg(x.value::text, ', ' ORDER BY x.value) FROM"
	"  (SELECT DISTINCT w.value FROM adapty.attribute_violations($1) w ORDER BY w.value LIMIT 5) x)"
	" FROM adapty.attribute_violations($1) v",
	SPI_OK_SELECT, 1, {TEXTOID}, NULL, InvalidOid
};

/* Is the table of definitions surely empty?  Its size is asked of the file system: far cheaper than a statement. */
static bool
no_definitions(void)
{
	Oid			oid = get_relname_relid("attribute_definitions", ext_state()->schema);
	Relation	definitions;
	bool		is_empty;

	if (!OidIsValid(oid))
		return false;
	definitions = table_open(oid, AccessShareLock);
	is_empty = definitions->rd_rel->relkind == RELKIND_RELATION && RelationGetNumberOfBlocks(definitions) == 0;
	table_close(definitions, NoLock);
	return is_empty;
}

/* See attribute_definition.h. */
void
attribute_definitions_check(Jsonb *custom)
{
	Datum		values[1] = {JsonbPGetDatum(custom)};
	TupleDesc	desc;
	HeapTuple	row;
	JsonbValue	value;
	Jsonb	   *json;
	char	   *allowed;
	bool		isnull;

	if (no_definitions() || plan_execute(&find_violation, values, NULL, false) == 0)
		return;
	desc = SPI_tuptable->tupdesc;
	row = SPI_tuptable->vals[0];
	json = DatumGetJsonbP(SPI_getbinval(row, desc, 2, &isnull));
	if (!JsonbExtractScalar(&json->root, &value))
		elog(ERROR, "a custom attribute is no scalar");
	allowed = SPI_getvalue(row, desc, 4);
	attribute_refuse(SPI_getvalue(row, desc, 1), &value,
					 allowed == NULL ? psprintf("Its definition wants a %s.", SPI_getvalue(row, desc, 3)) :
					 psprintf("Its definition allows %s.", allowed));
}

/* A value of a filter as jsonb. */
static Jsonb *
filter_value(const SegmentValue *value)
{
	StringInfoData json;
	char		number[SEGMENT_NUMBER_SIZE];

	initStringInfo(&json);
	if (value->kind == SEGMENT_VALUE_NUMBER)
	{
		segment_format_number(value->number, number);
		appendStringInfoString(&json, number);
	}
	else
		escape_json(&json, value->string);
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data)));
}

/* WARNING if a definition rules out a value that a custom attribute is compared with. */
static void
warn_about_value(const SegmentNode *condition, const SegmentValue *value, bool by_equality)
{
	Jsonb	   *json = filter_value(value);
	Datum		values[3] = {CStringGetTextDatum(condition->key), JsonbPGetDatum(json), BoolGetDatum(by_equality)};
	TupleDesc	desc;
	HeapTuple	row;
	bool		isnull;
	char	   *allowed;

	if (plan_execute(&fit_definition, values, NULL, false) == 0)
		return;
	desc = SPI_tuptable->tupdesc;
	row = SPI_tuptable->vals[0];
	if (DatumGetBool(SPI_getbinval(row, desc, 1, &isnull)))
		return;
	allowed = SPI_getvalue(row, desc, 3);
	ereport(WARNING,
			(errmsg("attribute \"%s\" is compared with %s, which its definition does not allow", condition->key,
					JsonbToCString(NULL, &json->root, (int) VARSIZE(json))),
			 errdetail("It allows %s, so the comparison matches nobody.",
					   allowed != NULL ? allowed : psprintf("a %s", SPI_getvalue(row, desc, 2)))));
}

/* See attribute_definition.h. */
void
attribute_definitions_warn(const SegmentNode *filter)
{
	if (filter->kind == SEGMENT_CONDITION && filter->attribute == SEGMENT_CUSTOM)
		for (int i = 0; i < filter->n_values; i++)
			warn_about_value(filter, &filter->values[i], filter->op == SEGMENT_EQ || filter->op == SEGMENT_IN);
	for (int i = 0; i < filter->n_children; i++)
		attribute_definitions_warn(filter->children[i]);
}

/* ERROR unless the key can be that of a custom attribute. */
static void
check_key(const char *key)
{
	JsonbValue	nothing = {.type = jbvNull};
	AttributeChange change = {0};

	attribute_pair_read(key, &nothing, &change);
	if (change.default_mask != 0)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("\"%s\" is a default attribute", key),
				 errdetail("Only custom attributes are defined; default ones have their types.")));
}

/* ERROR unless allowed_values is an array of values of that type. */
static void
check_allowed_values(const char *key, Jsonb *allowed, const char *type)
{
	enum jbvType wanted = strcmp(type, "number") == 0 ? jbvNumeric : jbvString;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;
	JsonbBuild	patch;

	if (!JB_ROOT_IS_ARRAY(allowed) || JB_ROOT_IS_SCALAR(allowed) || JB_ROOT_COUNT(allowed) < 1 ||
		JB_ROOT_COUNT(allowed) > MAX_ALLOWED_VALUES)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("allowed_values must be an array of 1 to %d values", MAX_ALLOWED_VALUES),
				 errhint("Null allows every value of the type.")));
	jb_init(&patch);
	jb_begin_object(&patch);
	iterator = JsonbIteratorInit(&allowed->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM)
			continue;
		if (value.type != wanted || (wanted == jbvString && value.val.string.len == 0))
			ereport(ERROR,
					(condition_errcode(COND_BASE_ERROR),
					 errmsg("allowed value \"%s\" of attribute \"%s\" is not a %s", jsonb_value_text(&value), key, type)));
		custom_attribute_add(&patch, key, &value);
	}
}

/*
 * define_attribute(key, value_type, label, allowed_values): makes or replaces a definition; a null
 * label keeps the one there is.  Returns how many users have a value that it does not allow, with a
 * warning if there are any.
 */
Datum
adapty_define_attribute(PG_FUNCTION_ARGS)
{
	char	   *key = arg_text(fcinfo, 0, "key", true, MAX_CUSTOM_KEY);
	char	   *label = arg_text(fcinfo, 2, "label", false, MAX_LABEL);
	char		nulls[5] = "    ";
	Datum		values[4] = {0};
	char	   *type;
	ApiScope	scope;
	int64		violations;
	char	   *examples;
	bool		isnull;

	refuse_unless_writable(fcinfo);
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("value_type must not be null"),
				 errhint("It is \"string\" or \"number\".")));
	type = DatumGetCString(DirectFunctionCall1(enum_out, PG_GETARG_DATUM(1)));
	check_key(key);
	if (!PG_ARGISNULL(3))
		check_allowed_values(key, PG_GETARG_JSONB_P(3), type);
	values[0] = CStringGetTextDatum(key);
	values[1] = CStringGetTextDatum(type);
	values[2] = label == NULL ? (Datum) 0 : CStringGetTextDatum(label);
	nulls[2] = label == NULL ? 'n' : ' ';
	values[3] = PG_ARGISNULL(3) ? (Datum) 0 : PG_GETARG_DATUM(3);
	nulls[3] = PG_ARGISNULL(3) ? 'n' : ' ';
	scope_enter(&scope);
	plan_execute(&put_definition, values, nulls, false);
	plan_execute(&count_violations, values, NULL, false);
	violations = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	examples = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
	if (violations > 0)
		ereport(WARNING,
				(errmsg_plural("attribute \"%s\" of " INT64_FORMAT " user has a value that its definition does not allow",
							   "attribute \"%s\" of " INT64_FORMAT " users has a value that its definition does not allow",
							   (unsigned long) violations, key, violations),
				 errdetail("For example %s. What they have stays until it is set again.", examples),
				 errhint("Find them by SELECT * FROM adapty.attribute_violations(%s).", quote_literal_cstr(key))));
	scope_leave(&scope);
	PG_RETURN_INT64(violations);
}

/* undefine_attribute(key): true if there was a definition.  Values stay. */
Datum
adapty_undefine_attribute(PG_FUNCTION_ARGS)
{
	char	   *key = arg_text(fcinfo, 0, "key", true, MAX_CUSTOM_KEY);
	Datum		values[1] = {CStringGetTextDatum(key)};
	ApiScope	scope;
	uint64		deleted;

	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	deleted = plan_execute(&delete_definition, values, NULL, false);
	scope_leave(&scope);
	PG_RETURN_BOOL(deleted > 0);
}
