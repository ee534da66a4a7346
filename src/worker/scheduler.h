/*
 * scheduler.h
 *		The process that announces starts and ends of access in one database.
 */
#ifndef ADAPTY_SCHEDULER_H
#define ADAPTY_SCHEDULER_H

#include "postgres.h"

/* What the launcher gives a scheduler to start with, by bgw_extra. */
typedef struct SchedulerStart
{
	Oid			database;
	int			slot;
	uint32		generation;
} SchedulerStart;

/* Main function, found by name by the server. */
extern PGDLLEXPORT void adapty_scheduler_main(Datum arg);

#endif							/* ADAPTY_SCHEDULER_H */
