/*
 * ddl_watch.h
 *		Statements that concern the workers: about the extension, and about databases.
 */
#ifndef ADAPTY_DDL_WATCH_H
#define ADAPTY_DDL_WATCH_H

#include "postgres.h"

extern void ddl_watch_init(void);

#endif							/* ADAPTY_DDL_WATCH_H */
