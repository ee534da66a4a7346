/*
 * wake.h
 *		What a transaction has to tell the workers when it commits.
 */
#ifndef ADAPTY_WAKE_H
#define ADAPTY_WAKE_H

#include "postgres.h"

extern void wake_init(void);

/* CREATE or ALTER EXTENSION ran: at commit, start a scheduler here or make it look again. */
extern void wake_extension_may_be_here(void);

/* Something ran that may have dropped the extension: at commit, make the scheduler look. */
extern void wake_extension_may_be_gone(void);

/* Databases came, went or changed: at commit, make the launcher list them. */
extern void wake_databases_changed(void);

/*
 * Keeps our workers out of a database until this transaction ends, in whatever way: see
 * slot_hold().  Does nothing if too many databases are held already.
 */
extern void wake_hold_database(Oid database);

#endif							/* ADAPTY_WAKE_H */
