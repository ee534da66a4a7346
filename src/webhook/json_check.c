/*
 * json_check.c
 *		Is a text JSON?
 *
 * By the server's own parser, without its errors.
 */
#include "postgres.h"

#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonfuncs.h"

#include "base/compat.h"
#include "webhook/json_check.h"

/* See json_check.h. */
bool
is_json(const char *text, int length)
{
	if (length == 0 || pg_verify_mbstr_len(PG_UTF8, text, length, true) < 0)
		return false;
	return pg_parse_json(make_json_lex_context_compat(cstring_to_text_with_len(text, length)),
						 &nullSemAction) == JSON_SUCCESS;
}
