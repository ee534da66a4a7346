/*
 * http_reply.h
 *		Status and headers of a response, as PostgREST takes them.
 */
#ifndef ADAPTY_HTTP_REPLY_H
#define ADAPTY_HTTP_REPLY_H

#include "postgres.h"

#include "http/handler.h"

/* Sets response.status and response.headers for the rest of the transaction. */
extern void http_reply(const HttpResponse *response);

#endif							/* ADAPTY_HTTP_REPLY_H */
