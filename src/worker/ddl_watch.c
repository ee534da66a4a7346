/*
 * ddl_watch.c
 *		Statements that concern the workers: about the extension, and about databases.
 *
 * After a statement that may have brought, changed or dropped the extension, or a database, the
 * workers are told at commit (wake.c).
 *
 * DROP DATABASE, ALTER DATABASE RENAME / SET TABLESPACE and CREATE DATABASE ... TEMPLATE fail after
 * five seconds if any process is in the database.  Before them, if the caller may do it, our
 * scheduler is asked to leave; it is kept away until the transaction ends in whatever way, and
 * comes back if the database is still there.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "worker/ddl_watch.h"
#include "worker/sender_slot.h"
#include "worker/shmem.h"
#include "worker/wake.h"

#define EXTENSION_NAME "adapty"
#define LEAVE_POLL_MS 10
#define LEAVE_ASK_MS 2000		/* then it is terminated */
#define LEAVE_GIVE_UP_MS 4000	/* then the server's own check has its say */

/* What a statement makes the workers do at commit: a set of these. */
#define NOTE_EXTENSION_HERE 1
#define NOTE_EXTENSION_GONE 2
#define NOTE_DATABASES 4

static ProcessUtility_hook_type previous_hook = NULL;

/* The value of a statement's option as a string; NULL if it has none. */
static char *
option_value(List *options, const char *name)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, name) == 0 && option->arg != NULL)
			return defGetString(option);
	}
	return NULL;
}

/* May the current user create and rename databases? */
static bool
may_create_databases(void)
{
	HeapTuple	tuple;
	bool		result = false;

	if (superuser())
		return true;
	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
		ReleaseSysCache(tuple);
	}
	return result;
}

/* Is a database a template, which everybody who creates databases may copy? */
static bool
is_template(Oid database)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	bool		result = false;

	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
		ReleaseSysCache(tuple);
	}
	return result;
}

/*
 * The database that a statement needs for itself, InvalidOid if none, or if the statement will be
 * refused anyway: nobody may stop a scheduler by statements that he has no right to.
 */
static Oid
database_to_leave(Node *statement)
{
	const char *name = NULL;
	bool		needs_createdb = false;
	bool		copies = false;
	Oid			database;

	if (IsA(statement, DropdbStmt))
		name = ((DropdbStmt *) statement)->dbname;
	else if (IsA(statement, RenameStmt) &&
			 ((RenameStmt *) statement)->renameType == OBJECT_DATABASE)
	{
		name = ((RenameStmt *) statement)->subname;
		needs_createdb = true;
	}
	else if (IsA(statement, AlterDatabaseStmt))
	{
		if (option_value(((AlterDatabaseStmt *) statement)->options, "tablespace") != NULL)
			name = ((AlterDatabaseStmt *) statement)->dbname;
	}
	else if (IsA(statement, CreatedbStmt))
	{
		name = option_value(((CreatedbStmt *) statement)->options, "template");
		needs_createdb = copies = true;
	}

	if (name == NULL)
		return InvalidOid;
	database = get_database_oid(name, true);
	if (!OidIsValid(database) || database == MyDatabaseId)
		return InvalidOid;
	if (needs_createdb && !may_create_databases())
		return InvalidOid;
	if (!database_owner_check(database, GetUserId()) && !(copies && is_template(database)))
		return InvalidOid;
	return database;
}

/* Is a process with that id still in the database?  It leaves the slot a little before it is gone. */
static bool
is_in_database(int pid, Oid database)
{
	PGPROC	   *proc = pid == 0 ? NULL : BackendPidGetProc(pid);

	return proc != NULL && proc->databaseId == database;
}

typedef bool (*HasProcess) (Oid database, int *pid);

/* Waits until our process of one kind has left a held database, first patiently. */
static void
wait_until_left(Oid database, HasProcess has_process_of)
{
	static uint32 wait_event = 0;
	TimestampTz begin = GetCurrentTimestamp();
	bool		terminated = false;
	int			last_pid = 0;

	for (;;)
	{
		int			pid;
		bool		has_process = has_process_of(database, &pid);

		if (pid != 0)
			last_pid = pid;
		if (!has_process && !is_in_database(last_pid, database))
			return;
		if (TimestampDifferenceExceeds(begin, GetCurrentTimestamp(), LEAVE_GIVE_UP_MS))
			return;
		if (!terminated && has_process && pid != 0 &&
			TimestampDifferenceExceeds(begin, GetCurrentTimestamp(), LEAVE_ASK_MS))
		{
			terminated = true;
			kill(pid, SIGTERM);
		}

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LEAVE_POLL_MS,
						 wait_event_compat(wait_event, "AdaptyLeaveDatabase"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* Before a statement: clears the way for those that need a database for themselves. */
static void
before_statement(Node *statement)
{
	Oid			database = database_to_leave(statement);

	if (!OidIsValid(database))
		return;
	wake_hold_database(database);
	wait_until_left(database, slot_has_process);
	wait_until_left(database, sender_has_process);
}

/* Has a CREATE EXTENSION perhaps created ours, by name or as one that another needs? */
static bool
creates_extension(const CreateExtensionStmt *statement)
{
	ListCell   *cell;

	if (strcmp(statement->extname, EXTENSION_NAME) == 0)
		return true;
	foreach(cell, statement->options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "cascade") == 0)
			return defGetBoolean(option);
	}
	return false;
}

/* What to tell the workers when a statement has succeeded and its transaction commits. */
static int
notes_of(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_CreateExtensionStmt:
			return creates_extension((CreateExtensionStmt *) statement) ? NOTE_EXTENSION_HERE : 0;
		case T_AlterExtensionStmt:
			return strcmp(((AlterExtensionStmt *) statement)->extname, EXTENSION_NAME) == 0 ?
				NOTE_EXTENSION_HERE : 0;
		case T_DropStmt:
			return ((DropStmt *) statement)->removeType == OBJECT_EXTENSION ||
				((DropStmt *) statement)->removeType == OBJECT_SCHEMA ? NOTE_EXTENSION_GONE : 0;
		case T_DropOwnedStmt:
			return NOTE_EXTENSION_GONE;
		case T_CreatedbStmt:
		case T_DropdbStmt:
		case T_AlterDatabaseStmt:
			return NOTE_DATABASES;
		case T_RenameStmt:
			return ((RenameStmt *) statement)->renameType == OBJECT_DATABASE ? NOTE_DATABASES : 0;
		default:
			return 0;
	}
}

/* Takes the notes of a statement that has succeeded. */
static void
after_statement(int notes)
{
	if (notes & NOTE_EXTENSION_HERE)
		wake_extension_may_be_here();
	if (notes & NOTE_EXTENSION_GONE)
		wake_extension_may_be_gone();
	if (notes & NOTE_DATABASES)
		wake_databases_changed();
}

/* The hook: before, the statement itself, after.  The statement may be freed by its execution. */
static void
watch_utility(PlannedStmt *pstmt, const char *query_string, bool read_only_tree,
			  ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *query_env,
			  DestReceiver *dest, QueryCompletion *completion)
{
	int			notes = notes_of(pstmt->utilityStmt);

	before_statement(pstmt->utilityStmt);
	if (previous_hook != NULL)
		previous_hook(pstmt, query_string, read_only_tree, context, params, query_env, dest, completion);
	else
		standard_ProcessUtility(pstmt, query_string, read_only_tree, context, params, query_env, dest,
								completion);
	after_statement(notes);
}

/* Puts the hook in; once, when the library is preloaded. */
void
ddl_watch_init(void)
{
	previous_hook = ProcessUtility_hook;
	ProcessUtility_hook = watch_utility;
}
