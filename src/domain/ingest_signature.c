/*
 * ingest_signature.c
 *		Does a payload come from whom it says?
 *
 *		Stripe-Signature	t=<seconds>,v1=<hex>[,v1=<hex>]...		HMAC-SHA256 of "<t>.<payload>"
 *		Paddle-Signature	ts=<seconds>;h1=<hex>[;h1=<hex>]...		HMAC-SHA256 of "<ts>:<payload>"
 *		Authorization		Basic <base64 of user:password>			ChargeBee signs nothing
 *
 * Several signatures are sent while a secret is replaced, and several secrets are taken.  Signatures of
 * other schemes (v0) count for nothing, so that nobody can choose a weaker one.
 */
#include "postgres.h"

#include <ctype.h>

#include "common/base64.h"
#include "common/hmac.h"
#include "common/sha2.h"
#include "utils/timestamp.h"

#include "domain/ingest.h"

#define MAX_SIGNATURES 16		/* in a header; more are not looked at */
#define MAX_HEADER 8192			/* bytes */
#define HEX_LENGTH (PG_SHA256_DIGEST_LENGTH * 2)

/* A header taken apart. */
typedef struct SignatureHeader
{
	char	   *timestamp;		/* as written: it is signed; NULL if there is none */
	int			n;
	uint8		signatures[MAX_SIGNATURES][PG_SHA256_DIGEST_LENGTH];
} SignatureHeader;

/* Are n bytes equal, in a time that does not tell where they differ? */
static bool
equal_in_constant_time(const uint8 *a, const uint8 *b, size_t n)
{
	volatile uint8 difference = 0;

	for (size_t i = 0; i < n; i++)
		difference |= a[i] ^ b[i];
	return difference == 0;
}

/* 64 hexadecimal digits as 32 bytes; false for anything else. */
static bool
read_hex(const char *hex, uint8 *bytes)
{
	if (strlen(hex) != HEX_LENGTH)
		return false;
	for (int i = 0; i < HEX_LENGTH; i++)
	{
		int			c = pg_tolower((unsigned char) hex[i]);
		int			digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

		if (digit < 0)
			return false;
		bytes[i / 2] = (uint8) (i % 2 == 0 ? digit << 4 : bytes[i / 2] | digit);
	}
	return true;
}

/* Takes "t=1,v1=ab,v1=cd" apart.  Unknown and malformed parts are passed over. */
static void
read_header(const char *text, const char *separator, const char *time_key, const char *scheme,
			SignatureHeader *header)
{
	char	   *copy = pstrdup(text);
	char	   *rest = NULL;

	memset(header, 0, sizeof(*header));
	for (char *part = strtok_r(copy, separator, &rest); part != NULL; part = strtok_r(NULL, separator, &rest))
	{
		char	   *value = strchr(part, '=');

		while (*part == ' ')
			part++;
		if (value == NULL)
			continue;
		*value++ = '\0';
		if (strcmp(part, time_key) == 0 && header->timestamp == NULL)
			header->timestamp = value;
		else if (strcmp(part, scheme) == 0 && header->n < MAX_SIGNATURES &&
				 read_hex(value, header->signatures[header->n]))
			header->n++;
	}
}

/* HMAC-SHA256 of three pieces one after the other. */
static void
hmac_sha256(const char *key, const char *prefix, char separator, const char *payload, size_t length,
			uint8 *digest)
{
	pg_hmac_ctx *ctx = pg_hmac_create(PG_SHA256);

	if (ctx == NULL || pg_hmac_init(ctx, (const uint8 *) key, strlen(key)) < 0 ||
		pg_hmac_update(ctx, (const uint8 *) prefix, strlen(prefix)) < 0 ||
		pg_hmac_update(ctx, (const uint8 *) &separator, 1) < 0 ||
		pg_hmac_update(ctx, (const uint8 *) payload, length) < 0 ||
		pg_hmac_final(ctx, digest, PG_SHA256_DIGEST_LENGTH) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute the signature of an event: %s",
						ctx == NULL ? "out of memory" : pg_hmac_error(ctx))));
	pg_hmac_free(ctx);
}

/* Is the moment of the signature within the tolerance (seconds; 0 for any) of now, either way? */
static bool
is_fresh(const char *timestamp, TimestampTz now, int tolerance)
{
	int64		now_seconds = now / USECS_PER_SEC +
		((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)) * SECS_PER_DAY;
	int64		seconds = 0;
	size_t		digits = strlen(timestamp);

	if (digits == 0 || digits > 12 || strspn(timestamp, "0123456789") != digits)
		return false;
	for (const char *c = timestamp; *c != '\0'; c++)
		seconds = seconds * 10 + (*c - '0');
	return tolerance == 0 ||
		(seconds - now_seconds <= tolerance && now_seconds - seconds <= tolerance);
}

/* The two signing providers. */
static int
verify_signature(const SignatureHeader *header, char separator, const char *payload, size_t length,
				 TimestampTz now, int tolerance, const IngestSecret *secrets, int n, const char **why)
{
	int			found = -1;

	if (header->timestamp == NULL || header->n == 0)
	{
		*why = "The signature header is not of the provider's form.";
		return -1;
	}
	for (int i = 0; i < n; i++)
	{
		uint8		digest[PG_SHA256_DIGEST_LENGTH];

		hmac_sha256(secrets[i].secret, header->timestamp, separator, payload, length, digest);
		for (int s = 0; s < header->n; s++)
			if (equal_in_constant_time(digest, header->signatures[s], sizeof(digest)) && found < 0)
				found = i;
	}
	if (found < 0)
		*why = "No signature in the header is of one of the secrets that are valid.";
	else if (!is_fresh(header->timestamp, now, tolerance))
	{
		*why = "The signature is too old, or from the future.";
		return -1;
	}
	return found;
}

/* Basic authentication: the credentials of a secret, encoded as the header has them. */
static int
verify_basic(const char *header, const IngestSecret *secrets, int n, const char **why)
{
	int			found = -1;
	size_t		given_length;

	if (pg_strncasecmp(header, "Basic ", 6) != 0)
	{
		*why = "The header is not of the form \"Basic <credentials>\".";
		return -1;
	}
	header += 6;
	header += strspn(header, " ");
	given_length = strlen(header);
	while (given_length > 0 && header[given_length - 1] == ' ')
		given_length--;
	for (int i = 0; i < n; i++)
	{
		int			length = (int) strlen(secrets[i].secret);
		int			room = pg_b64_enc_len(length);
		char	   *expected = palloc(room + 1);
		uint8		ours[PG_SHA256_DIGEST_LENGTH];
		uint8		theirs[PG_SHA256_DIGEST_LENGTH];

		length = pg_b64_encode((const void *) secrets[i].secret, length, expected, room);
		if (length < 0)
			elog(ERROR, "could not encode credentials");
		/* digests under a key of our own are of one length whatever the lengths of the two */
		hmac_sha256(secrets[i].secret, "basic", ':', expected, length, ours);
		hmac_sha256(secrets[i].secret, "basic", ':', header, given_length, theirs);
		if (equal_in_constant_time(ours, theirs, sizeof(ours)) && found < 0)
			found = i;
	}
	if (found < 0)
		*why = "The credentials are not those of a secret that is valid.";
	return found;
}

/* See ingest.h. */
int
ingest_verify(const char *provider, const char *payload, size_t length, const char *header,
			  TimestampTz now, int tolerance, const IngestSecret *secrets, int n, const char **why)
{
	SignatureHeader parts;

	if (strlen(header) > MAX_HEADER)
	{
		*why = "The signature header is too long.";
		return -1;
	}
	if (strcmp(provider, "chargebee") == 0)
		return verify_basic(header, secrets, n, why);
	if (strcmp(provider, "paddle") == 0)
	{
		read_header(header, ";", "ts", "h1", &parts);
		return verify_signature(&parts, ':', payload, length, now, tolerance, secrets, n, why);
	}
	read_header(header, ",", "t", "v1", &parts);
	return verify_signature(&parts, '.', payload, length, now, tolerance, secrets, n, why);
}
