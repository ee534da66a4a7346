/*
 * json_members.c
 *		Picking members out of a JSON object's text without building a tree.
 *
 * For what PostgREST hands over as settings (claims, headers) and is read with every request.
 */
#include "postgres.h"

#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonfuncs.h"

#include "base/compat.h"
#include "base/json_members.h"

/* Where the parser is. */
typedef struct MembersParse
{
	JsonLexContext *lex;
	const char *const *names;
	int			n;
	char	  **values;
	int			member;			/* whose value comes next; -1 for others' */
} MembersParse;

/* A key begins: is it one of ours?  Only those of the outermost object count. */
static JsonActionResult
members_field_start(void *state, char *name, bool isnull)
{
	MembersParse *parse = state;

	(void) isnull;
	if (parse->lex->lex_level == 1)
	{
		parse->member = -1;
		for (int i = 0; i < parse->n; i++)
			if (strcmp(name, parse->names[i]) == 0)
			{
				parse->member = i;
				parse->values[i] = NULL;
			}
	}
	JSON_ACTION_RETURN;
}

/* A string or number: the value of the member, unless it is inside another container. */
static JsonActionResult
members_scalar(void *state, char *token, JsonTokenType type)
{
	MembersParse *parse = state;

	if (parse->lex->lex_level == 1 && parse->member >= 0 &&
		(type == JSON_TOKEN_STRING || type == JSON_TOKEN_NUMBER))
		parse->values[parse->member] = token;
	JSON_ACTION_RETURN;
}

/* See json_members.h. */
bool
json_members(const char *json, const char *const *names, int n, char **values)
{
	MembersParse parse = {.names = names, .n = n, .values = values, .member = -1};
	JsonSemAction actions = {0};

	memset(values, 0, sizeof(char *) * n);
	parse.lex = make_json_lex_context_compat(cstring_to_text(json));
	actions.semstate = &parse;
	actions.object_field_start = members_field_start;
	actions.scalar = members_scalar;
	if (pg_parse_json(parse.lex, &actions) == JSON_SUCCESS)
		return true;
	memset(values, 0, sizeof(char *) * n);
	return false;
}
