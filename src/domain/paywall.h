/*
 * paywall.h
 *		Paywalls as placements and tests need them.
 */
#ifndef ADAPTY_PAYWALL_H
#define ADAPTY_PAYWALL_H

#include "postgres.h"

#include "utils/uuid.h"

/*
 * The paywall of an id or a title; ERROR (PT404) if there is none, or it is deleted.  Inside an
 * open scope.
 */
extern pg_uuid_t paywall_lookup(const char *paywall);

/* Notes that a paywall is being shown.  Inside an open scope. */
extern void paywall_mark_live(const pg_uuid_t *paywall_id);

#endif							/* ADAPTY_PAYWALL_H */
