/*
 * http_error.c
 *		Errors as the API writes them:
 *
 *		{"errors": [{"source": "email", "errors": ["..."]}], "error_code": "...", "status_code": 400}
 *
 * "source" is the field that is wrong, "non_field_errors" where it is none of them, and null where the
 * documentation has null: for a profile that does not exist and for a body that is not JSON.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "http/http_error.h"

#define MAX_MESSAGE 1000		/* bytes: the body travels in a header as well */

/* Appends a JSON string, its length limited. */
static void
append_text(StringInfo out, const char *text)
{
	int			length = (int) strlen(text);

	if (length > MAX_MESSAGE)
		text = psprintf("%s...", pnstrdup(text, pg_mbcliplen(text, length, MAX_MESSAGE)));
	escape_json(out, text);
}

/* See http_error.h. */
void
http_error_body(StringInfo out, AdaptyCondition condition, const char *source, const char *message)
{
	const ConditionInfo *info = condition_info(condition);

	appendStringInfoString(out, "{\"errors\":[{\"source\":");
	if (source == NULL)
		appendStringInfoString(out, "null");
	else
		append_text(out, source);
	appendStringInfoString(out, ",\"errors\":[");
	append_text(out, message);
	appendStringInfo(out, "]}],\"error_code\":\"%s\",\"status_code\":%d}", info->name, info->http_status);
}

/* See http_error.h. */
void
http_error_body_json_api(StringInfo out, AdaptyCondition condition, const char *source,
						 const char *message)
{
	appendStringInfoString(out, "{\"errors\":[{\"detail\":");
	append_text(out, message);
	appendStringInfoString(out, ",\"source\":{\"pointer\":");
	if (source == NULL || strcmp(source, "non_field_errors") == 0)
		source = "/data";
	/* outside of the attributes it is a pointer already */
	append_text(out, source[0] == '/' ? source : psprintf("/data/attributes/%s", source));
	appendStringInfo(out, "},\"status\":\"%d\"}]}", condition_info(condition)->http_status);
}

/* See http_error.h. */
char *
http_error_message(const ErrorData *error, AdaptyCondition condition, const char **source)
{
	*source = "non_field_errors";
	switch (condition)
	{
		case COND_INTERNAL_ERROR:
			return "Internal server error";
		case COND_UNAVAILABLE:
			return "The service is busy or may not write just now. Try again.";
		case COND_PROFILE_DOES_NOT_EXIST:
			*source = NULL;
			return "Profile not found";
		case COND_PAYWALL_DOES_NOT_EXIST:
			*source = NULL;
			return "Paywall not found";
		case COND_PARSE_ERROR:
			*source = NULL;
			return psprintf("JSON parse error - %s",
							error->detail != NULL ? error->detail : error->message);
		default:
			break;
	}
	if (error->column_name != NULL)
		*source = error->column_name;
	if (error->detail == NULL || condition == COND_PERMISSION_DENIED)
		return pstrdup(error->message);
	return psprintf("%s. %s", error->message, error->detail);
}
