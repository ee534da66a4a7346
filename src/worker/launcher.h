/*
 * launcher.h
 *		The process that starts a scheduler in each database that has the extension.
 */
#ifndef ADAPTY_LAUNCHER_H
#define ADAPTY_LAUNCHER_H

#include "postgres.h"

/* Registers the launcher; only while shared_preload_libraries are loaded. */
extern void launcher_register(void);

/* Main function, found by name by the server. */
extern PGDLLEXPORT void adapty_launcher_main(Datum arg);

#endif							/* ADAPTY_LAUNCHER_H */
