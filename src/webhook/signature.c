/*
 * signature.c
 *		Signing requests by the Standard Webhooks convention.
 */
#include "postgres.h"

#include "common/base64.h"
#include "common/hmac.h"
#include "common/sha2.h"
#include "lib/stringinfo.h"
#include "utils/resowner.h"

#include "webhook/signature.h"

#define SECRET_PREFIX "whsec_"

/* Appends one signature; nothing if the secret is not one, which its definition has ruled out. */
static void
append_signature(StringInfo header, const char *secret, const char *id, const char *timestamp, const char *body)
{
	const char *base64 = strncmp(secret, SECRET_PREFIX, strlen(SECRET_PREFIX)) == 0
		? secret + strlen(SECRET_PREFIX) : secret;
	int			room = pg_b64_dec_len((int) strlen(base64));
	void	   *key = palloc(room + 1);
	int			key_length = pg_b64_decode(base64, (int) strlen(base64), key, room);
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	char		text[PG_SHA256_DIGEST_LENGTH * 2];
	pg_hmac_ctx *hmac;
	int			length;

	if (key_length < 0)
		return;
	hmac = pg_hmac_create(PG_SHA256);
	if (hmac == NULL || pg_hmac_init(hmac, key, key_length) < 0 ||
		pg_hmac_update(hmac, (const uint8 *) id, strlen(id)) < 0 ||
		pg_hmac_update(hmac, (const uint8 *) ".", 1) < 0 ||
		pg_hmac_update(hmac, (const uint8 *) timestamp, strlen(timestamp)) < 0 ||
		pg_hmac_update(hmac, (const uint8 *) ".", 1) < 0 ||
		pg_hmac_update(hmac, (const uint8 *) body, strlen(body)) < 0 ||
		pg_hmac_final(hmac, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not sign a webhook");
	pg_hmac_free(hmac);
	length = pg_b64_encode((void *) digest, sizeof(digest), text, sizeof(text));
	appendStringInfo(header, "%sv1,%.*s", header->len > 0 ? " " : "", length, text);
}

/* See signature.h. */
char *
signature_header(const char *const *secrets, int n, const char *id, const char *timestamp, const char *body)
{
	static ResourceOwner own = NULL;
	ResourceOwner caller = CurrentResourceOwner;
	StringInfoData header;

	/* The server's HMAC wants an owner; between transactions there is none. */
	if (own == NULL)
		own = ResourceOwnerCreate(NULL, "adapty signatures");
	CurrentResourceOwner = own;
	initStringInfo(&header);
	for (int i = 0; i < n; i++)
	{
		if (secrets[i] != NULL)
			append_signature(&header, secrets[i], id, timestamp, body);
	}
	CurrentResourceOwner = caller;
	return header.len == 0 ? NULL : header.data;
}
