/*
 * row_set.c
 *		Rows made in C that statements of the extension can name, like a trigger's transition tables.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/queryenvironment.h"

#include "base/row_set.h"

/* A set of a descriptor that is its own. */
static RowSet *
create(const char *name, TupleDesc desc)
{
	RowSet	   *set = palloc0(sizeof(RowSet));

	set->name = name;
	set->desc = desc;
	set->store = tuplestore_begin_heap(false, false, maintenance_work_mem);
	return set;
}

/* See row_set.h. */
RowSet *
row_set_create(const char *name, const RowSetColumn *columns, int n_columns)
{
	TupleDesc	desc = CreateTemplateTupleDesc(n_columns);

	for (int i = 0; i < n_columns; i++)
		TupleDescInitEntry(desc, (AttrNumber) (i + 1), columns[i].name, columns[i].type, -1, 0);
	return create(name, desc);
}

/* See row_set.h. */
RowSet *
row_set_create_like(const char *name, TupleDesc desc)
{
	return create(name, CreateTupleDescCopy(desc));
}

/* See row_set.h. */
void
row_set_put(RowSet *set, Datum *values, bool *nulls)
{
	tuplestore_putvalues(set->store, set->desc, values, nulls);
	set->n++;
}

/* See row_set.h. */
void
row_set_put_tuple(RowSet *set, HeapTuple tuple)
{
	tuplestore_puttuple(set->store, tuple);
	set->n++;
}

/* See row_set.h. */
void
row_set_register(RowSet *set)
{
	EphemeralNamedRelation relation = palloc0(sizeof(EphemeralNamedRelationData));
	int			result;

	relation->md.name = unconstify(char *, set->name);
	relation->md.reliddesc = InvalidOid;
	relation->md.tupdesc = set->desc;
	relation->md.enrtype = ENR_NAMED_TUPLESTORE;
	relation->md.enrtuples = (double) set->n;
	relation->reldata = set->store;
	result = SPI_register_relation(relation);
	if (result != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register \"%s\": %s", set->name, SPI_result_code_string(result));
}

/* See row_set.h. */
TupleTableSlot *
row_set_begin(RowSet *set)
{
	tuplestore_rescan(set->store);
	return MakeSingleTupleTableSlot(set->desc, &TTSOpsMinimalTuple);
}

/* See row_set.h. */
bool
row_set_next(RowSet *set, TupleTableSlot *slot)
{
	return tuplestore_gettupleslot(set->store, true, false, slot);
}

/* See row_set.h. */
void
row_set_drop(RowSet *set)
{
	tuplestore_end(set->store);
	set->store = NULL;
}
