/*
 * plans.h
 *		SPI on the extension's own tables: acting as their owner, and saved plans.
 *
 * Usage, always in this order:
 *		ApiScope scope;
 *		scope_enter(&scope);				owner's rights, pinned search_path, SPI connected
 *		plan_execute(&some_plan, args, nulls, read_only);
 *		... copy results out with scope_copy*() ...
 *		scope_leave(&scope);				everything as it was
 * After an error nothing need be undone: the (sub)transaction's abort restores it all.
 */
#ifndef ADAPTY_PLANS_H
#define ADAPTY_PLANS_H

#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "utils/snapshot.h"

#define PLAN_MAX_ARGS 40

/*
 * A statement with a saved plan.  Define as a file-level static and fill only the first four
 * fields.  Argument types must be built-in ones: cast to our own types in the text, so that no OID
 * of ours is stored in a plan that may outlive the extension.
 */
typedef struct SavedPlan
{
	const char *name;			/* shown in errors */
	const char *sql;			/* every name qualified */
	int			expected;		/* SPI_OK_... */
	int			nargs;
	Oid			argtypes[PLAN_MAX_ARGS];
	/* private to plans.c */
	SPIPlanPtr	plan;
	Oid			extension;		/* the extension's OID when it was prepared */
} SavedPlan;

typedef struct ApiScope
{
	Oid			caller;			/* who called: the role before owner's rights */
	int			sec_context;
	int			guc_level;
	MemoryContext caller_context;	/* where results must go */
} ApiScope;

extern void scope_enter(ApiScope *scope);
extern void scope_leave(ApiScope *scope);

/*
 * Executes a plan and returns the number of rows (also in SPI_processed; rows in SPI_tuptable).
 * nulls as in SPI_execute_plan, or NULL for none.  ERROR if the result code is not the expected.
 * read_only true sees the caller's snapshot and cannot write; false sees the newest.
 */
extern uint64 plan_execute(SavedPlan *plan, Datum *values, const char *nulls, bool read_only);

/*
 * The same with one plan for all arguments, for hot statements with branches.  Left to itself, the
 * plan cache plans anew for each call if constants in place of the arguments make branches go away:
 * that costs many times what they do.  The plan looks rows up by index, however few there are when it
 * is made: for statements about one user or one purchase, not for sets.  A statement is always executed
 * by the same of the two.
 */
extern uint64 plan_execute_generic(SavedPlan *plan, Datum *values, const char *nulls, bool read_only);

/* Opens a cursor on a plan without arguments; for SPI_cursor_fetch(). */
extern Portal plan_open_cursor(SavedPlan *plan);

/* Returns a plan's rows as the function's set; the columns must be those of its row type. */
extern Datum plan_return_rows(FunctionCallInfo fcinfo, SavedPlan *plan, Datum *values);

/*
 * The same two for statements over sets, whose sizes differ from run to run: planned for this run,
 * with its values, and forgotten.  snapshot NULL means the newest; a cursor with one only reads.
 */
extern uint64 plan_execute_once(SavedPlan *plan, Datum *values, Snapshot snapshot);
extern Portal plan_open_cursor_once(SavedPlan *plan, Datum *values, Snapshot snapshot);

/*
 * A column of a result row by number from 1, copied to the scope's caller context; *isnull set.
 */
extern Datum scope_copy(const ApiScope *scope, uint64 row, int column, bool *isnull);

/* The same as text by the type's output function; NULL for null. */
extern char *scope_copy_text(const ApiScope *scope, uint64 row, int column);

#endif							/* ADAPTY_PLANS_H */
