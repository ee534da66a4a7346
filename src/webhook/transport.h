/*
 * transport.h
 *		HTTP requests, many at a time, by libcurl; knows nothing of the database.
 *
 * Only this file pair knows libcurl.  Nothing here blocks but transport_wait().
 */
#ifndef ADAPTY_TRANSPORT_H
#define ADAPTY_TRANSPORT_H

#include "postgres.h"

#define TRANSPORT_ERROR_SIZE 300	/* bytes, with the terminator */
#define TRANSPORT_BODY_SIZE 65536	/* bytes of an answer that are read */

typedef struct TransportSettings
{
	int			timeout_ms;		/* of a whole request */
	bool		block_private;	/* refuse private addresses */
	const char *ca_file;		/* empty for the system's */
} TransportSettings;

/* A request.  Strings are copied; headers may not contain line breaks. */
typedef struct TransportRequest
{
	const char *url;
	const char *body;			/* NULL: a GET, and no redirect is followed */
	const char *const *headers; /* "name: value" */
	int			n_headers;
	bool		keep_answer;	/* the answer's body is wanted */
	size_t		max_answer;		/* bytes of the answer that are read; 0 for TRANSPORT_BODY_SIZE */
} TransportRequest;

/* What became of a request. */
typedef struct TransportResult
{
	int			status;			/* HTTP status; 0 if there was no whole answer */
	int			retry_after;	/* seconds that the answer asks to wait; 0 for none */
	char		error[TRANSPORT_ERROR_SIZE];	/* if status is 0: why */
	const char *answer;			/* body; only with keep_answer */
	int			answer_length;
	bool		too_long;		/* the body went on after max_answer */
	int64		served_at;		/* a moment before the server looked, by its own clock, seconds since 1970; 0 if it does not say */
} TransportResult;

/* Called once for each request that is over; the result is valid only meanwhile. */
typedef void (*TransportDone) (void *context, const TransportResult *result);

/* Once a process.  ERROR if this libcurl is of no use. */
extern void transport_start(void);

/* From the next request on. */
extern void transport_set(const TransportSettings *settings);

/* Starts a request; done() is called with context from a later transport_wait(). */
extern void transport_send(const TransportRequest *request, TransportDone done, void *context);

/* Sleeps until something happened: an answer, the latch, or after that many ms; calls done() for what is over. */
extern void transport_wait(long timeout_ms);

#endif							/* ADAPTY_TRANSPORT_H */
