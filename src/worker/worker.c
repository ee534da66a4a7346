/*
 * worker.c
 *		Start of the workers, and what every worker process does alike.
 *
 * Signals: SIGTERM ends a sleeping worker quietly at the next turn of its loop, and a working one
 * at the next interrupt check, by the usual FATAL.  SIGHUP reads the settings again.  SIGINT
 * cancels the batch that is running, as it does in a backend.
 */
#include "postgres.h"

#include <signal.h>

#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"

#include "worker/ddl_watch.h"
#include "worker/launcher.h"
#include "worker/sender_slot.h"
#include "worker/shmem.h"
#include "worker/wake.h"
#include "worker/worker.h"

/* See the header.  pg_upgrade must never meet a worker that writes. */
void
worker_init(void)
{
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;

	shmem_init();
	sender_slot_init();
	wake_init();
	ddl_watch_init();
	launcher_register();
}

/* SIGTERM: remembered for the loop, and pending for whatever is running. */
static void
handle_sigterm(SIGNAL_ARGS)
{
	ShutdownRequestPending = true;
	die(postgres_signal_arg);
}

/* Handlers before unblocking, so that no signal meets the default ones. */
void
worker_process_start(void)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, handle_sigterm);
	BackgroundWorkerUnblockSignals();

	/* A SIGHUP may have come between the fork and the handler. */
	ConfigReloadPending = true;
}

/*
 * A cancel request that came too late for its batch is forgotten here: outside of a transaction it
 * would end the process.
 */
bool
worker_housekeeping(int exit_code)
{
	if (ShutdownRequestPending)
		proc_exit(exit_code);
	/* Waiting for the latch notices this, but catching up may go on for long without a wait. */
	if (!PostmasterIsAlive())
		proc_exit(1);

	QueryCancelPending = false;
	CHECK_FOR_INTERRUPTS();

	if (!ConfigReloadPending)
		return false;

	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	return true;
}
