/*
 * row_set.h
 *		Rows made in C that statements of the extension can name, like a trigger's transition tables.
 *
 * A set lives in memory up to maintenance_work_mem and in a temporary file beyond; it has no catalog
 * entry, no WAL and no transaction of its own.
 */
#ifndef ADAPTY_ROW_SET_H
#define ADAPTY_ROW_SET_H

#include "postgres.h"

#include "access/htup.h"
#include "executor/tuptable.h"
#include "utils/tuplestore.h"

typedef struct RowSetColumn
{
	const char *name;
	Oid			type;
} RowSetColumn;

typedef struct RowSet
{
	const char *name;
	TupleDesc	desc;
	Tuplestorestate *store;
	int64		n;
} RowSet;

/* An empty set, in the current memory context; name and column names must stay. */
extern RowSet *row_set_create(const char *name, const RowSetColumn *columns, int n_columns);

/* The same with the columns of a descriptor, which is copied. */
extern RowSet *row_set_create_like(const char *name, TupleDesc desc);

extern void row_set_put(RowSet *set, Datum *values, bool *nulls);
extern void row_set_put_tuple(RowSet *set, HeapTuple tuple);

/* Makes the set a table of the SPI connection that is open; after this no row may be added. */
extern void row_set_register(RowSet *set);

/* Reads a set from its start: a slot for row_set_next(), which is false at the end. */
extern TupleTableSlot *row_set_begin(RowSet *set);
extern bool row_set_next(RowSet *set, TupleTableSlot *slot);

extern void row_set_drop(RowSet *set);

#endif							/* ADAPTY_ROW_SET_H */
