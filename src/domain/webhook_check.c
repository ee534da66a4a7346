/*
 * webhook_check.c
 *		What a webhook's URL, header value, secret and names may be.
 *
 * All of them end up in HTTP requests: nothing that could end a header line gets through here.  The
 * sender sends them as they are.
 */
#include "postgres.h"

#include "common/base64.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "base/ext_state.h"
#include "domain/webhook_check.h"

#define SECRET_PREFIX "whsec_"
#define MIN_SECRET_BYTES 24		/* as the Standard Webhooks convention has it */
#define MAX_SECRET_BYTES 64
#define NEW_SECRET_BYTES 32

/* See webhook_check.h. */
void
check_webhook_id(const char *id)
{
	if (strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") != strlen(id))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("webhook_id \"%s\" is not valid", id),
				 errhint("Use 1 to 64 letters, digits, \"_\", \".\" or \"-\".")));
}

/* ERROR: a URL cannot be used, with the reason. */
static void
refuse_url(const char *url, const char *reason)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("url \"%s\" cannot be a webhook's", url),
			 errdetail("%s", reason),
			 errhint("Give an absolute URL, as https://example.com/hooks/adapty.")));
}

/* See webhook_check.h. */
void
check_webhook_url(const char *url)
{
	const char *host;
	size_t		host_length;

	for (const char *c = url; *c != '\0'; c++)
	{
		if (*c <= ' ' || *c >= 127 || strchr("\"<>\\^`{|}", *c) != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("url has a character that no URL may have, at position %d", (int) (c - url) + 1),
					 errhint("Percent-encode blanks, control characters and what is not ASCII.")));
	}
	if (pg_strncasecmp(url, "https://", 8) == 0)
		host = url + 8;
	else if (pg_strncasecmp(url, "http://", 7) == 0)
		host = url + 7;
	else
	{
		refuse_url(url, "It does not begin with http:// or https://.");
		return;
	}
	host_length = strcspn(host, "/?#");
	if (memchr(host, '@', host_length) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("url must not hold a user or password"),
				 errhint("Pass them as authorization_value, which nobody can read.")));
	if (host_length == 0 || *host == ':')
		refuse_url(url, "It has no host.");
	if (strchr(host, '#') != NULL)
		refuse_url(url, "It has a fragment, which is not sent.");
}

/* See webhook_check.h. */
void
check_authorization_value(const char *value)
{
	size_t		length = strlen(value);

	for (const char *c = value; *c != '\0'; c++)
	{
		if (*c < ' ' || *c > '~')
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("authorization_value has a character that no header may have, at position %d",
							(int) (c - value) + 1),
					 errdetail("It is sent as it is and must be printable ASCII.")));
	}
	if (length > 0 && (value[0] == ' ' || value[length - 1] == ' '))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("authorization_value begins or ends with a blank"),
				 errdetail("The endpoint would not see it.")));
}

/* See webhook_check.h. */
void
check_signing_secret(const char *secret)
{
	int			length = (int) strlen(secret);
	int			prefix = strlen(SECRET_PREFIX);
	int			bytes = -1;

	if (strncmp(secret, SECRET_PREFIX, prefix) == 0)
	{
		int			room = pg_b64_dec_len(length - prefix);
		void	   *key = palloc(room + 1);

		bytes = pg_b64_decode(secret + prefix, length - prefix, key, room);
	}
	if (bytes < MIN_SECRET_BYTES || bytes > MAX_SECRET_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("signing_secret is not a secret to sign webhooks with"),
				 errdetail("It must be \"%s\" followed by %d to %d bytes in base64.", SECRET_PREFIX,
						   MIN_SECRET_BYTES, MAX_SECRET_BYTES),
				 errhint("Leave it out to have one made.")));
}

/* See webhook_check.h. */
char *
make_signing_secret(void)
{
	char		key[NEW_SECRET_BYTES];
	int			room = pg_b64_enc_len(NEW_SECRET_BYTES);
	char	   *base64 = palloc(room + 1);
	int			length;

	if (!pg_strong_random(key, NEW_SECRET_BYTES))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not make a random secret")));
	length = pg_b64_encode((void *) key, NEW_SECRET_BYTES, base64, room);
	if (length < 0)
		elog(ERROR, "could not encode a secret");
	base64[length] = '\0';
	return psprintf("%s%s", SECRET_PREFIX, base64);
}

/* One name: ERROR if it is none. */
static void
check_event_name(const char *type, const JsonbValue *name)
{
	if (name->type == jbvString && name->val.string.len > 0 &&
		pg_mbstrlen_with_len(name->val.string.val, name->val.string.len) <= MAX_EVENT_NAME)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("event_names: the name for \"%s\" is not a string of 1 to %d characters", type, MAX_EVENT_NAME)));
}

/* See webhook_check.h. */
void
check_event_names(Jsonb *names)
{
	JsonbIterator *it;
	JsonbValue	v;
	JsonbIteratorToken token;

	if (!JB_ROOT_IS_OBJECT(names))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("event_names is not a JSON object"),
				 errhint("Write it as {\"subscription_started\": \"your_name\"}.")));
	it = JsonbIteratorInit(&names->root);
	(void) JsonbIteratorNext(&it, &v, true);
	while ((token = JsonbIteratorNext(&it, &v, true)) == WJB_KEY)
	{
		char	   *type = pnstrdup(v.val.string.val, v.val.string.len);

		if (enum_value_of_label(ENUM_EVENT_TYPE, type) < 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("event_names: \"%s\" is not a type of event", type),
					 errhint("SELECT enum_range(NULL::adapty.event_type) lists the types.")));
		(void) JsonbIteratorNext(&it, &v, true);
		check_event_name(type, &v);
	}
}
