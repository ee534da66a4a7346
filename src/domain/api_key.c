/*
 * api_key.c
 *		API keys: made, known again, revoked; the only writer of api_keys.
 *
 * A key is shown once, when it is made; kept is its SHA-256.  That needs no salt and no slow hash:
 * a key has 40 random characters of 62, far more than anybody can try.  It is looked up by the
 * first 8 bytes of the hash and compared whole in a time that does not depend on where the two
 * differ.
 *
 * A key looks as Adapty's do: secret_live_XXXXXXXX.YYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYY, "test" instead of
 * "live" for the sandbox.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "fmgr.h"
#include "port.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/arg.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/plans.h"
#include "domain/api_key.h"

PG_FUNCTION_INFO_V1(adapty_create_api_key);
PG_FUNCTION_INFO_V1(adapty_add_api_key);
PG_FUNCTION_INFO_V1(adapty_revoke_api_key);

#define MAX_KEY_NAME 100		/* characters */
#define MAX_KEY_TEXT 1000		/* bytes; longer is no key */
#define LOOKUP_BYTES 8			/* of the hash */
#define ID_CHARS 8				/* of a key, before the dot */
#define RANDOM_CHARS 32			/* after it */
#define USE_INTERVAL (USECS_PER_HOUR)	/* a use is noted no more often */

/* What api_key_find() reads. */
static SavedPlan find_key = {
	"find API key",
	"SELECT k.key_hash, k.kind = 'secret', k.name, k.environment::pg_catalog.text, k.api_key_id, k.last_used_at"
	" FROM adapty.api_keys k WHERE pg_catalog.substr(k.key_hash, 1, 8) = $1 AND k.revoked_at IS NULL",
	SPI_OK_SELECT, 1, {BYTEAOID}, NULL, InvalidOid
};

/* Nobody waits for a note: whoever has the row now writes it. */
static SavedPlan note_use = {
	"note use of API key",
	"UPDATE adapty.api_keys SET last_used_at = $2 WHERE api_key_id IN"
	" (SELECT k.api_key_id FROM adapty.api_keys k WHERE k.api_key_id = $1 FOR NO KEY UPDATE SKIP LOCKED)",
	SPI_OK_UPDATE, 2, {UUIDOID, TIMESTAMPTZOID}, NULL, InvalidOid
};

static SavedPlan insert_key = {
	"insert API key",
	"INSERT INTO adapty.api_keys (key_hash, kind, name, environment, key_hint)"
	" VALUES ($1, $2::adapty.api_key_kind, $3, $4::adapty.environment, $5)"
	" ON CONFLICT (key_hash) DO NOTHING RETURNING api_key_id",
	SPI_OK_INSERT_RETURNING, 5, {BYTEAOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID}, NULL, InvalidOid
};

static SavedPlan revoke_key = {
	"revoke API key",
	"UPDATE adapty.api_keys SET revoked_at = coalesce(revoked_at, $2) WHERE api_key_id = $1",
	SPI_OK_UPDATE, 2, {UUIDOID, TIMESTAMPTZOID}, NULL, InvalidOid
};

/* SHA-256 of a key, as a bytea of "length" bytes. */
static bytea *
key_hash(const char *text, int length)
{
	bytea	   *hash = palloc(VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);

	if (context == NULL || pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, (const uint8 *) text, strlen(text)) < 0 ||
		pg_cryptohash_final(context, (uint8 *) VARDATA(hash), PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not compute the hash of an API key");
	pg_cryptohash_free(context);
	SET_VARSIZE(hash, VARHDRSZ + length);
	return hash;
}

/* Are two hashes equal?  Takes the same time wherever they differ. */
static bool
hashes_equal(const bytea *a, const bytea *b)
{
	unsigned char difference = 0;

	if (VARSIZE_ANY_EXHDR(a) != PG_SHA256_DIGEST_LENGTH || VARSIZE_ANY_EXHDR(b) != PG_SHA256_DIGEST_LENGTH)
		return false;
	for (int i = 0; i < PG_SHA256_DIGEST_LENGTH; i++)
		difference |= (unsigned char) VARDATA_ANY(a)[i] ^ (unsigned char) VARDATA_ANY(b)[i];
	return difference == 0;
}

/* Notes that a key was used, if that was not done within the hour and may be written.  Inside a scope. */
static void
note_use_of(Datum api_key_id, Datum last_used_at, bool never_used)
{
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	Datum		args[2] = {api_key_id, TimestampTzGetDatum(now)};

	if (XactReadOnly || RecoveryInProgress())
		return;
	if (never_used || DatumGetTimestampTz(last_used_at) < now - USE_INTERVAL)
		(void) plan_execute(&note_use, args, NULL, false);
}

/* See api_key.h. */
bool
api_key_find(const char *text, ApiKey *key)
{
	ApiScope	scope;
	bytea	   *hash;
	Datum		lookup;
	uint64		n;
	bool		found = false;

	if (text[0] == '\0' || strlen(text) > MAX_KEY_TEXT)
		return false;
	hash = key_hash(text, PG_SHA256_DIGEST_LENGTH);
	lookup = PointerGetDatum(key_hash(text, LOOKUP_BYTES));
	scope_enter(&scope);
	n = plan_execute(&find_key, &lookup, NULL, true);
	for (uint64 i = 0; i < n && !found; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		Datum		last_used_at;

		if (!hashes_equal(DatumGetByteaPP(SPI_getbinval(row, desc, 1, &isnull)), hash))
			continue;
		found = true;
		key->is_secret = DatumGetBool(SPI_getbinval(row, desc, 2, &isnull));
		key->name = scope_copy_text(&scope, i, 3);
		key->environment = scope_copy_text(&scope, i, 4);
		last_used_at = SPI_getbinval(row, desc, 6, &isnull);
		note_use_of(SPI_getbinval(row, desc, 5, &(bool) {false}), last_used_at, isnull);
	}
	scope_leave(&scope);
	return found;
}

/* n random characters of 62. */
static void
random_text(char *to, int n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	unsigned char byte;

	while (n > 0)
	{
		if (!pg_strong_random(&byte, 1))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random values")));
		/* 248 is the largest multiple of 62 that a byte can count to: each digit is as likely. */
		if (byte < 248)
		{
			*to++ = digits[byte % 62];
			n--;
		}
	}
}

/* An enum argument's label; ERROR (22004) if null. */
static char *
arg_label(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
	return DatumGetCString(DirectFunctionCall1(enum_out, PG_GETARG_DATUM(n)));
}

/* Stores a key; the id, or ERROR (23505) if it is known. */
static Datum
store_key(bytea *hash, const char *kind, const char *name, const char *environment, const char *hint)
{
	ApiScope	scope;
	Datum		args[5];
	char		nulls[6] = "     ";
	Datum		id;
	bool		isnull;

	args[0] = PointerGetDatum(hash);
	args[1] = CStringGetTextDatum(kind);
	args[2] = CStringGetTextDatum(name);
	args[3] = CStringGetTextDatum(environment);
	args[4] = hint != NULL ? CStringGetTextDatum(hint) : (Datum) 0;
	nulls[4] = hint != NULL ? ' ' : 'n';
	scope_enter(&scope);
	if (plan_execute(&insert_key, args, nulls, false) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("there is such an API key already"),
				 errhint("A key that was revoked cannot come back: create a new one.")));
	id = scope_copy(&scope, 0, 1, &isnull);
	scope_leave(&scope);
	return id;
}

/* adapty.create_api_key(kind, name, environment): see the function's COMMENT. */
Datum
adapty_create_api_key(PG_FUNCTION_ARGS)
{
	char	   *kind = arg_label(fcinfo, 0, "kind");
	char	   *name = arg_text(fcinfo, 1, "name", true, MAX_KEY_NAME);
	char	   *environment = arg_label(fcinfo, 2, "environment");
	char		id[ID_CHARS + 1] = {0};
	char		secret[RANDOM_CHARS + 1] = {0};
	char	   *beginning;
	char	   *key;

	refuse_unless_writable(fcinfo);
	random_text(id, ID_CHARS);
	random_text(secret, RANDOM_CHARS);
	beginning = psprintf("%s_%s_%s", kind, strcmp(environment, "Sandbox") == 0 ? "test" : "live", id);
	key = psprintf("%s.%s", beginning, secret);
	(void) store_key(key_hash(key, PG_SHA256_DIGEST_LENGTH), kind, name, environment, beginning);
	PG_RETURN_TEXT_P(cstring_to_text(key));
}

/* adapty.add_api_key(key_sha256, kind, name, environment): see the function's COMMENT. */
Datum
adapty_add_api_key(PG_FUNCTION_ARGS)
{
	char	   *digits = arg_text(fcinfo, 0, "key_sha256", true, MAX_KEY_TEXT);
	char	   *kind = arg_label(fcinfo, 1, "kind");
	char	   *name = arg_text(fcinfo, 2, "name", true, MAX_KEY_NAME);
	char	   *environment = arg_label(fcinfo, 3, "environment");
	bytea	   *hash;

	refuse_unless_writable(fcinfo);
	/* The value is not shown: it may be the key itself, given by mistake. */
	if (strlen(digits) != 2 * PG_SHA256_DIGEST_LENGTH ||
		strspn(digits, "0123456789abcdefABCDEF") != 2 * PG_SHA256_DIGEST_LENGTH)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("key_sha256 must be the 64 hexadecimal digits of the key's SHA-256"),
				 errhint("In a shell: printf %%s \"$KEY\" | sha256sum")));
	hash = palloc(VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	SET_VARSIZE(hash, VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	(void) hex_decode(digits, 2 * PG_SHA256_DIGEST_LENGTH, VARDATA(hash));
	PG_RETURN_DATUM(store_key(hash, kind, name, environment, NULL));
}

/* adapty.revoke_api_key(api_key_id): ERROR (PT404) if there is none. */
Datum
adapty_revoke_api_key(PG_FUNCTION_ARGS)
{
	ApiScope	scope;
	Datum		args[2];

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("api_key_id must not be null")));
	refuse_unless_writable(fcinfo);
	args[0] = PG_GETARG_DATUM(0);
	args[1] = TimestampTzGetDatum(GetCurrentTimestamp());
	scope_enter(&scope);
	if (plan_execute(&revoke_key, args, NULL, false) == 0)
		ereport(ERROR,
				(condition_errcode(COND_NOT_FOUND),
				 errmsg("API key \"%s\" does not exist",
						DatumGetCString(DirectFunctionCall1(uuid_out, args[0]))),
				 errhint("adapty.list_api_keys() shows the keys and their ids.")));
	scope_leave(&scope);
	PG_RETURN_VOID();
}
