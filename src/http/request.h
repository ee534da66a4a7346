/*
 * request.h
 *		What a request says; what handlers use of it is in handler.h.
 */
#ifndef ADAPTY_REQUEST_H
#define ADAPTY_REQUEST_H

#include "postgres.h"

#include "http/handler.h"

/* Reads body and headers.  ERROR (request_entity_too_large) for a body of more than 1 MB. */
extern void request_read(FunctionCallInfo fcinfo, HttpRequest *request);

#endif							/* ADAPTY_REQUEST_H */
