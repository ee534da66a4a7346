/*
 * worker.h
 *		Start of the workers, and what every worker process does alike.
 */
#ifndef ADAPTY_WORKER_H
#define ADAPTY_WORKER_H

#include "postgres.h"

/*
 * Called once by _PG_init(), after the settings are defined.  Registers shared memory, hooks and
 * the launcher when the library is preloaded; does nothing otherwise.
 */
extern void worker_init(void);

/* First call of a worker's main function: signal handlers, signals unblocked. */
extern void worker_process_start(void);

/*
 * At each turn of a worker's loop, outside of transactions: leaves with exit_code if the server
 * asked for it, or at once if the postmaster is gone; serves interrupts, reads the settings again after SIGHUP.  Returns whether they
 * were read again.
 */
extern bool worker_housekeeping(int exit_code);

#endif							/* ADAPTY_WORKER_H */
