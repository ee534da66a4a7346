/*
 * offer.h
 *		Products and their offers, as people name them.
 */
#ifndef ADAPTY_OFFER_H
#define ADAPTY_OFFER_H

#include "postgres.h"

#include "utils/uuid.h"

/*
 * The product of a title or id, and whether it is a subscription; ERROR (PT404) if there is none,
 * (22023) if several have the title.  Inside an open scope, as is the next.
 */
extern pg_uuid_t product_lookup(const char *product, bool *is_subscription);

/* The offer of a title or id of a product (whose name is for errors); ERROR (PT404) if there is none. */
extern pg_uuid_t offer_lookup(const pg_uuid_t *product_id, const char *product, const char *offer);

#endif							/* ADAPTY_OFFER_H */
