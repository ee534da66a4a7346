/*
 * http_error.h
 *		Errors as the API writes them.
 */
#ifndef ADAPTY_HTTP_ERROR_H
#define ADAPTY_HTTP_ERROR_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "base/errors.h"

/* An error's body in the API's form; source NULL is null.  Messages are cut to 1000 bytes. */
extern void http_error_body(StringInfo out, AdaptyCondition condition, const char *source,
							const char *message);

/* The same in JSON:API's form, the source a pointer into the body. */
extern void http_error_body_json_api(StringInfo out, AdaptyCondition condition, const char *source,
									 const char *message);

/*
 * What a caught error says to a client: the message, and in *source what it is about, NULL for
 * nothing in particular.  Of an internal error nothing is told.
 */
extern char *http_error_message(const ErrorData *error, AdaptyCondition condition,
								const char **source);

#endif							/* ADAPTY_HTTP_ERROR_H */
