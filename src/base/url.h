/*
 * url.h
 *		Taking apart the path and query of a request, as clients send them.
 */
#ifndef ADAPTY_URL_H
#define ADAPTY_URL_H

#include "postgres.h"

/*
 * Segment n (from 0) of a URI's path, percent-decoded; NULL if there is none or it is not valid: a
 * "%" without two hex digits, a NUL byte, or text that is not UTF-8.  A slash at the end makes no
 * segment of its own.
 */
extern char *url_path_segment(const char *uri, int n);

/*
 * The value of a query parameter, decoded ("+" is a blank); the last one if there are several, an
 * empty string for one without "=".  NULL if there is none or it is not valid.
 */
extern char *url_query_parameter(const char *uri, const char *name);

/* Decodes Base64URL, with or without padding; NULL if it is none, or not UTF-8 text. */
extern char *base64url_decode(const char *text);

#endif							/* ADAPTY_URL_H */
