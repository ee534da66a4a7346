/*
 * json_check.h
 *		Is a text JSON?
 */
#ifndef ADAPTY_JSON_CHECK_H
#define ADAPTY_JSON_CHECK_H

#include "postgres.h"

/* Is a text of that many bytes, which may be anything, one valid JSON value? */
extern bool is_json(const char *text, int length);

#endif							/* ADAPTY_JSON_CHECK_H */
