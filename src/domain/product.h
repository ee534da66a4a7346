/*
 * product.h
 *		The catalogue: which product a store's product is, and what it gives.
 */
#ifndef ADAPTY_PRODUCT_H
#define ADAPTY_PRODUCT_H

#include "postgres.h"

#include "utils/uuid.h"

/* A product as a purchase needs it; strings in the current memory context. */
typedef struct Product
{
	pg_uuid_t	product_id;
	char	   *access_level_id;	/* NULL if it gives none */
	bool		is_consumable;	/* never gives access */
} Product;

/*
 * The product that a store's product is: the one bound to exactly this base plan, else the one
 * bound to the store product as a whole, else, if no base plan is given and all base plans are
 * bound to one product, that one.  false if it is not mapped.  store_base_plan_id is "" for none.
 * Inside an open scope.
 */
extern bool product_of_store(const char *store, const char *store_product_id,
							 const char *store_base_plan_id, Product *product);

/* Would the domains access_level_id and store take it: 1 to 64 letters, digits, "_", "." or "-"? */
extern bool is_slug(const char *value);

/*
 * Google Play's products may be written "product:base plan": takes them apart.  Of other stores, and
 * without a base plan, nothing changes.
 */
extern void store_product_split(const char *store, char **store_product_id,
								char **store_base_plan_id);

#endif							/* ADAPTY_PRODUCT_H */
