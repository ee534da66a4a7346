/*
 * store_call.h
 *		What a session and the process that asks a store for it share: a segment of dynamic shared memory.
 *
 * libcurl has no place in a session: the library adapty_webhook, the only one that is linked with it,
 * runs in a background worker that has no database.  Both libraries are built with this structure;
 * only declarations are here.
 */
#ifndef ADAPTY_STORE_CALL_H
#define ADAPTY_STORE_CALL_H

#include "postgres.h"

#include "port/atomics.h"

#define STORE_CALL_REQUESTS 3	/* of one call, made at the same time */
#define STORE_CALL_HEADERS 3
#define STORE_CALL_URL_SIZE 1024
#define STORE_CALL_HEADER_SIZE 640
#define STORE_CALL_ERROR_SIZE 300
#define STORE_CALL_BODY_SIZE (1024 * 1024)	/* bytes of one answer */

/* How far the worker has come. */
typedef enum StoreCallState
{
	STORE_CALL_WAITING,
	STORE_CALL_BEGUN,			/* the library is loaded */
	STORE_CALL_OTHER_VERSION,	/* and is not of this version: nothing was done */
	STORE_CALL_DONE				/* all answers are there */
} StoreCallState;

typedef struct StoreCallRequest
{
	char		url[STORE_CALL_URL_SIZE];
	/* the answer */
	int			status;			/* HTTP status; 0 if there was no whole answer */
	char		error[STORE_CALL_ERROR_SIZE];	/* if status is 0: why */
	bool		too_long;
	int64		served_at;		/* seconds since 1970 by the store's clock; 0 if it does not say */
	int			length;			/* of the body */
	char		body[STORE_CALL_BODY_SIZE];
} StoreCallRequest;

typedef struct StoreCall
{
	char		version[32];	/* of the library that asks; first, so that any version can read it */
	pg_atomic_uint32 state;		/* a StoreCallState */
	int			timeout_ms;		/* of the whole call */
	bool		block_private;
	char		ca_file[MAXPGPATH];
	int			n_headers;
	char		headers[STORE_CALL_HEADERS][STORE_CALL_HEADER_SIZE];	/* "name: value" */
	int			n_requests;
	StoreCallRequest requests[FLEXIBLE_ARRAY_MEMBER];	/* GETs */
} StoreCall;

#endif							/* ADAPTY_STORE_CALL_H */
