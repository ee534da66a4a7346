/*
 * idempotency.h
 *		Requests made with an idempotency key: found again, or refused with other arguments.
 *
 * Both functions need an open scope and the profile's lock: the lock makes "look, then store" safe
 * against the same request at the same time.
 */
#ifndef ADAPTY_IDEMPOTENCY_H
#define ADAPTY_IDEMPOTENCY_H

#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/uuid.h"

/*
 * Was the key used for this profile?  true with the first call's result (in the current memory
 * context) if it was, with the same request; ERROR (PT422) naming the key if with another.
 */
extern bool idempotency_find(const pg_uuid_t *profile_id, const char *key, const char *request,
							 Jsonb **result);

/* Keeps what a request with a key returned.  The key must be new: call idempotency_find() first. */
extern void idempotency_store(const pg_uuid_t *profile_id, const char *key, const char *request,
							  Jsonb *result);

#endif							/* ADAPTY_IDEMPOTENCY_H */
