/*
 * adapty.c
 *		Entry of the library: calls each module's init in the order of their dependence.
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/compat.h"
#include "base/ext_state.h"
#include "base/guc.h"
#include "worker/worker.h"

ADAPTY_MODULE_MAGIC("adapty", ADAPTY_VERSION);

void		_PG_init(void);

/* Called once a process, or once in the postmaster with shared_preload_libraries. */
void
_PG_init(void)
{
	guc_init();
	ext_state_init();
	worker_init();
}
