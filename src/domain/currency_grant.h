/*
 * currency_grant.h
 *		Virtual currencies that purchases give, and their expiry.
 */
#ifndef ADAPTY_CURRENCY_GRANT_H
#define ADAPTY_CURRENCY_GRANT_H

#include "postgres.h"

#include "domain/purchase_event.h"

/*
 * What events about one transaction do to the user's balances, by the links of its product: credits,
 * refunds and expiries, in the events' order.  Inside an open scope, the profile locked.
 */
extern void currency_purchase_events(const PurchaseEventSource *source, const ChainEvent *events, int n);

#endif							/* ADAPTY_CURRENCY_GRANT_H */
