/*
 * compat.h
 *		Every difference between server versions 15 to 18, in one place.
 *
 * Rule: code is written for the newest API; older servers are filled in here.
 */
#ifndef ADAPTY_COMPAT_H
#define ADAPTY_COMPAT_H

#include "postgres.h"

#include "fmgr.h"

#if PG_VERSION_NUM < 150000
#error "adapty needs PostgreSQL 15 or later"
#endif

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 16: index insertion learned about summarizing indexes */
#if PG_VERSION_NUM >= 160000
#define update_is_summarizing(update_indexes) ((update_indexes) == TU_Summarizing)
#define exec_insert_index_tuples_compat(rri, slot, estate, update, no_dup_err, conflict, arbiters, only_summarizing) \
	ExecInsertIndexTuples(rri, slot, estate, update, no_dup_err, conflict, arbiters, only_summarizing)
#else
#define TU_UpdateIndexes bool
#define TU_None false
#define update_is_summarizing(update_indexes) false
#define exec_insert_index_tuples_compat(rri, slot, estate, update, no_dup_err, conflict, arbiters, only_summarizing) \
	ExecInsertIndexTuples(rri, slot, estate, update, no_dup_err, conflict, arbiters)
#endif

/* 18: an index scan may report statistics of its own */
#if PG_VERSION_NUM >= 180000
#define index_beginscan_compat(heap, index, snapshot, nkeys, norderbys) \
	index_beginscan(heap, index, snapshot, NULL, nkeys, norderbys)
#else
#define index_beginscan_compat(heap, index, snapshot, nkeys, norderbys) \
	index_beginscan(heap, index, snapshot, nkeys, norderbys)
#endif

/* 16: ownership checks and roles */
#if PG_VERSION_NUM >= 160000
#define database_owner_check(dbid, roleid) object_ownercheck(DatabaseRelationId, dbid, roleid)
#else
#define database_owner_check(dbid, roleid) pg_database_ownercheck(dbid, roleid)
#endif

/* 17: infinite intervals */
#if PG_VERSION_NUM < 170000
#define INTERVAL_NOT_FINITE(i) false
#endif

/* 17: named wait events for extensions */
#if PG_VERSION_NUM >= 170000
#define wait_event_compat(var, name) \
	((var) != 0 ? (var) : ((var) = WaitEventExtensionNew(name)))
#else
#define wait_event_compat(var, name) ((void) (var), PG_WAIT_EXTENSION)
#endif

/* 17: wait event sets belong to a resource owner, or to none; before, to a memory context */
#if PG_VERSION_NUM >= 170000
#define create_wait_event_set_compat(context, n) CreateWaitEventSet(NULL, n)
#else
#define create_wait_event_set_compat(context, n) CreateWaitEventSet(context, n)
#endif

/* 17: a logical message may be flushed at once */
#if PG_VERSION_NUM >= 170000
#define log_logical_message_compat(prefix, message, size) LogLogicalMessage(prefix, message, size, true, false)
#else
#define log_logical_message_compat(prefix, message, size) LogLogicalMessage(prefix, message, size, true)
#endif

/* 16: the JSON parser's actions report success; 17: its lexer may lie in the caller's memory */
#if PG_VERSION_NUM >= 160000
#define JsonActionResult JsonParseErrorType
#define JSON_ACTION_RETURN return JSON_SUCCESS
#else
#define JsonActionResult void
#define JSON_ACTION_RETURN return
#endif
#if PG_VERSION_NUM >= 170000
#define make_json_lex_context_compat(json) makeJsonLexContext(NULL, json, true)
#else
#define make_json_lex_context_compat(json) makeJsonLexContext(json, true)
#endif

/* 16: input functions may report errors softly, to a caller that asks for it */
#if PG_VERSION_NUM >= 160000
#define ereturn_compat(context, dummy, ...) ereturn(context, dummy, __VA_ARGS__)
#else
#define ereturn_compat(context, dummy, ...) \
	do { (void) (context); ereport(ERROR, __VA_ARGS__); return (dummy); } while (0)
#endif

/* 18 put pg_noreturn in its place, which goes before a declaration; the attribute works everywhere */
#if PG_VERSION_NUM >= 180000
#define pg_attribute_noreturn() __attribute__((noreturn))
#endif

/* 18: the module block carries name and version */
#if PG_VERSION_NUM >= 180000
#define ADAPTY_MODULE_MAGIC(modname, modversion) \
	PG_MODULE_MAGIC_EXT(.name = modname, .version = modversion)
#else
#define ADAPTY_MODULE_MAGIC(modname, modversion) PG_MODULE_MAGIC
#endif

#endif							/* ADAPTY_COMPAT_H */
