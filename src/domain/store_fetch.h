/*
 * store_fetch.h
 *		Asking a store's server: GETs by a background worker.
 */
#ifndef ADAPTY_STORE_FETCH_H
#define ADAPTY_STORE_FETCH_H

#include "postgres.h"

#include "utils/timestamp.h"

#include "base/store_call.h"

/* A store's server, and until when it may be asked. */
typedef struct StoreServer
{
	const char *name;			/* for people: "Stripe" */
	const char *base_url;		/* without a slash at the end */
	const char *authorization;	/* value of the header: a secret */
	const char *version_header; /* "name: value" */
	TimestampTz deadline;
} StoreServer;

typedef struct StoreAnswer
{
	int			status;
	char	   *body;			/* with a terminator */
	int			length;
	TimestampTz moment;			/* what it tells is not older than this, by the store's clock */
} StoreAnswer;

/*
 * Asks for n paths (each from its slash on) at the same time.  ERROR (PT502) if the store does not
 * answer all of them, answers what is too long, 429 or 5xx; (53000) if no process can be had; (0A000)
 * if the library that asks is not installed.  Holds no lock while it waits; can be cancelled.
 */
extern void store_fetch(const StoreServer *server, const char *const *paths, int n,
						StoreAnswer *answers);

#endif							/* ADAPTY_STORE_FETCH_H */
