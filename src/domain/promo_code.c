/*
 * promo_code.c
 *		Promo codes: the only writer of promo_code_batches, promo_codes and promo_code_redemptions.
 *
 * A code is what a user types in, so it is made of 21 letters and digits of which no two look alike
 * and that spell no words; spaces, hyphens and small letters are as good.  16 of them have 70 random
 * bits: of a million such codes a guess hits one in 2^50 tries.
 *
 * Redeeming: the user's lock first, as for every change of access, then the code's row.  The
 * counter's update is the gate: it waits for whoever redeems the same code at the moment, looks
 * again, and passes only while there is something left.  Counter, redemption and grant commit
 * together or not at all.
 *
 * A guess that fails learns nothing: whatever is the matter with a code, the error is the same, and
 * costs one look into the index, no lock and no write.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/arg.h"
#include "base/caller.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/direct.h"
#include "base/errors.h"
#include "base/plans.h"
#include "base/random.h"
#include "domain/identity.h"
#include "domain/promo_grant.h"
#include "domain/status.h"

#define ALPHABET "3479CDFGHJKMNPQRTVWXY"
#define ALPHABET_SIZE ((int) sizeof(ALPHABET) - 1)
#define MIN_RANDOM_LENGTH 8
#define MIN_CODE_LENGTH 4		/* of a code of one's own; promo_codes has it too */
#define MAX_CODE_LENGTH 64
#define MAX_TYPED_LENGTH 255	/* with spaces and hyphens */
#define MAX_CODES 10000000		/* of one call */
#define MAX_TITLE 255			/* characters */

PG_FUNCTION_INFO_V1(adapty_random_promo_code);
PG_FUNCTION_INFO_V1(adapty_create_promo_codes);
PG_FUNCTION_INFO_V1(adapty_add_promo_codes);
PG_FUNCTION_INFO_V1(adapty_disable_promo_codes);
PG_FUNCTION_INFO_V1(adapty_disable_promo_code);

/* A code and its batch, as they were found. */
typedef struct PromoCode
{
	char	   *code;
	pg_uuid_t	batch_id;
	char	   *title;
	char	   *access_level_id;
	Interval   *duration;		/* NULL for lifetime */
	TimestampTz starts_at;
	TimestampTz ends_at;
	bool		is_limited;
	int32		max_redemptions;	/* if it is limited */
	int32		redemptions;
	bool		once_per_user;
	bool		is_disabled;
} PromoCode;

static SavedPlan insert_batch = {
	.name = "new batch of promo codes",
	.sql = "INSERT INTO adapty.promo_code_batches (batch_id, title, access_level_id, duration, "
	"    max_redemptions, starts_at, ends_at, once_per_user, actor) "
	"VALUES ($1, $2, $3, $4, $5, COALESCE($6, '-infinity'), COALESCE($7, 'infinity'), $8, $9)",
	.expected = SPI_OK_INSERT,
	.nargs = 9,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID, INTERVALOID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, BOOLOID, TEXTOID},
};

static SavedPlan insert_random = {
	.name = "random promo codes",
	.sql = "INSERT INTO adapty.promo_codes (batch_id, code) "
	"SELECT $1, adapty._random_promo_code($2) FROM pg_catalog.generate_series(1, $3) "
	"ON CONFLICT DO NOTHING",
	.expected = SPI_OK_INSERT,
	.nargs = 3,
	.argtypes = {UUIDOID, INT4OID, INT4OID},
};

static SavedPlan insert_code = {
	.name = "promo code",
	.sql = "INSERT INTO adapty.promo_codes (batch_id, code) VALUES ($1, $2) ON CONFLICT DO NOTHING",
	.expected = SPI_OK_INSERT,
	.nargs = 2,
	.argtypes = {UUIDOID, TEXTOID},
};

static SavedPlan find_batch = {
	.name = "batch of promo codes",
	.sql = "SELECT 1 FROM adapty.promo_code_batches b WHERE b.batch_id OPERATOR(pg_catalog.=) $1 FOR KEY SHARE",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan disable_batch = {
	.name = "end of a batch of promo codes",
	.sql = "UPDATE adapty.promo_code_batches b SET disabled_at = COALESCE(b.disabled_at, pg_catalog.now()) "
	"WHERE b.batch_id OPERATOR(pg_catalog.=) $1",
	.expected = SPI_OK_UPDATE,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

static SavedPlan disable_code = {
	.name = "end of a promo code",
	.sql = "UPDATE adapty.promo_codes c SET disabled_at = COALESCE(c.disabled_at, pg_catalog.now()) "
	"WHERE c.code OPERATOR(pg_catalog.=) $1",
	.expected = SPI_OK_UPDATE,
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static SavedPlan find_code = {
	.name = "promo code and batch",
	.sql = "SELECT b.batch_id, b.title, b.access_level_id::pg_catalog.text, b.duration, b.starts_at, b.ends_at, "
	"    b.max_redemptions, c.redemptions, b.once_per_user, "
	"    c.disabled_at IS NOT NULL OR b.disabled_at IS NOT NULL "
	"FROM adapty.promo_codes c "
	"JOIN adapty.promo_code_batches b ON b.batch_id OPERATOR(pg_catalog.=) c.batch_id "
	"WHERE c.code OPERATOR(pg_catalog.=) $1",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {TEXTOID},
};

static SavedPlan earlier_redemption = {
	.name = "earlier redemption",
	.sql = "SELECT r.code, r.redeemed_at FROM adapty.promo_code_redemptions r "
	"WHERE r.profile_id OPERATOR(pg_catalog.=) $1 AND r.batch_id OPERATOR(pg_catalog.=) $2 "
	"AND ($4 OR r.code OPERATOR(pg_catalog.=) $3) LIMIT 1",
	.expected = SPI_OK_SELECT,
	.nargs = 4,
	.argtypes = {UUIDOID, UUIDOID, TEXTOID, BOOLOID},
};

static SavedPlan count_earlier = {
	.name = "number of earlier redemptions",
	.sql = "SELECT pg_catalog.count(*) FROM adapty.promo_code_redemptions r "
	"WHERE r.profile_id OPERATOR(pg_catalog.=) $1 AND r.batch_id OPERATOR(pg_catalog.=) $2",
	.expected = SPI_OK_SELECT,
	.nargs = 2,
	.argtypes = {UUIDOID, UUIDOID},
};

static SavedPlan count_redemption = {
	.name = "redemption of a promo code",
	.sql = "UPDATE adapty.promo_codes c SET redemptions = c.redemptions OPERATOR(pg_catalog.+) 1 "
	"WHERE c.code OPERATOR(pg_catalog.=) $1 AND c.disabled_at IS NULL "
	"AND ($2 IS NULL OR c.redemptions OPERATOR(pg_catalog.<) $2)",
	.expected = SPI_OK_UPDATE,
	.nargs = 2,
	.argtypes = {TEXTOID, INT4OID},
};

static SavedPlan insert_redemption = {
	.name = "new redemption",
	.sql = "INSERT INTO adapty.promo_code_redemptions (profile_id, batch_id, code) VALUES ($1, $2, $3)",
	.expected = SPI_OK_INSERT,
	.nargs = 3,
	.argtypes = {UUIDOID, UUIDOID, TEXTOID},
};

/* ---- codes ---- */

/* adapty._random_promo_code(length).  Bytes that would make some letters likelier are thrown away. */
Datum
adapty_random_promo_code(PG_FUNCTION_ARGS)
{
	int32		length = PG_GETARG_INT32(0);
	char		code[MAX_CODE_LENGTH + 1];

	for (int i = 0; i < length && i < MAX_CODE_LENGTH;)
	{
		unsigned char byte;

		random_bytes(&byte, 1);
		if (byte < 256 / ALPHABET_SIZE * ALPHABET_SIZE)
			code[i++] = ALPHABET[byte % ALPHABET_SIZE];
	}
	code[Min(length, MAX_CODE_LENGTH)] = '\0';
	PG_RETURN_TEXT_P(cstring_to_text(code));
}

/*
 * A code as it is stored, from what was typed: capitals, no spaces, no hyphens.  NULL if it cannot
 * be a code.
 */
static char *
normalise_code(const char *typed)
{
	char	   *code = palloc(strlen(typed) + 1);
	int			n = 0;

	for (const char *c = typed; *c != '\0'; c++)
	{
		if (*c == ' ' || *c == '-')
			continue;
		if (*c >= 'a' && *c <= 'z')
			code[n++] = *c - 'a' + 'A';
		else if ((*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9'))
			code[n++] = *c;
		else
			return NULL;
	}
	code[n] = '\0';
	return n >= MIN_CODE_LENGTH && n <= MAX_CODE_LENGTH ? code : NULL;
}

/* ---- making codes ---- */

/* Integer argument n from min to max: ERROR (22023) naming the value. */
static int32
arg_number(FunctionCallInfo fcinfo, int n, const char *name, int32 min, int32 max)
{
	if (PG_ARGISNULL(n) || PG_GETARG_INT32(n) < min || PG_GETARG_INT32(n) > max)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("invalid %s: %s", name, PG_ARGISNULL(n) ? "null" : psprintf("%d", PG_GETARG_INT32(n))),
				 errhint("Give a number from %d to %d.", min, max)));
	return PG_GETARG_INT32(n);
}

/*
 * Adds n random codes to a batch.  A code that is taken is made anew: that happens once in a
 * lifetime, or often if short codes have run out, which is an error (54000).
 */
static void
add_random(const pg_uuid_t *batch_id, int32 n, int32 length)
{
	Datum		values[3] = {UUIDPGetDatum(batch_id), Int32GetDatum(length), Int32GetDatum(n)};
	int64		wanted = n;

	for (int tries = 0; wanted > 0; tries++)
	{
		CHECK_FOR_INTERRUPTS();
		if (tries == 10)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("there are not %d free codes of %d characters left", n, length),
					 errhint("Give a larger code_length.")));
		values[2] = Int32GetDatum((int32) wanted);
		wanted -= plan_execute(&insert_random, values, NULL, false);
	}
}

/* Adds a code of one's own: ERROR (22023) if it makes no sense, (23505) if it is taken. */
static void
add_own(const pg_uuid_t *batch_id, const char *typed)
{
	char	   *code = normalise_code(typed);
	Datum		values[2] = {UUIDPGetDatum(batch_id)};

	if (code == NULL)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("invalid code \"%s\"", typed),
				 errhint("Give %d to %d letters A to Z and digits; case, spaces and hyphens do not count.",
						 MIN_CODE_LENGTH, MAX_CODE_LENGTH)));
	values[1] = CStringGetTextDatum(code);
	if (plan_execute(&insert_code, values, NULL, false) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("promo code \"%s\" exists already", code),
				 errhint("Give another code; check_promo_code() says what this one is.")));
}

/* ERROR (22023) if the window or the number of codes makes no sense with the other arguments. */
static void
check_batch(bool has_starts_at, TimestampTz starts_at, bool has_ends_at, TimestampTz ends_at,
			const char *code, int32 codes)
{
	if (has_ends_at && ends_at <= (has_starts_at ? starts_at : clock_write_now()))
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("ends_at %s is not after %s %s", clock_iso8601(ends_at),
						has_starts_at ? "starts_at" : "now,",
						clock_iso8601(has_starts_at ? starts_at : clock_write_now())),
				 errhint("No code could ever be redeemed.")));
	if (code != NULL && codes != 1)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("codes is %d, but code names one", codes),
				 errhint("Leave one of them out.")));
}

/*
 * adapty.create_promo_codes(title, access_level_id, duration, is_lifetime, codes, code,
 * max_redemptions, starts_at, ends_at, once_per_user, code_length)
 */
Datum
adapty_create_promo_codes(PG_FUNCTION_ARGS)
{
	char	   *title = arg_text(fcinfo, 0, "title", true, MAX_TITLE);
	char	   *level = arg_text(fcinfo, 1, "access_level_id", true, MAX_ACCESS_LEVEL_ID);
	Interval   *duration = promo_duration(fcinfo, 2, 3);
	int32		codes = arg_number(fcinfo, 4, "codes", 1, MAX_CODES);
	char	   *code = arg_text(fcinfo, 5, "code", false, MAX_TYPED_LENGTH);
	bool		is_limited = !PG_ARGISNULL(6);
	int32		max_redemptions = is_limited ? arg_number(fcinfo, 6, "max_redemptions", 1, PG_INT32_MAX) : 0;
	TimestampTz starts_at = 0;
	TimestampTz ends_at = 0;
	bool		has_starts_at = arg_finite_timestamp(fcinfo, 7, "starts_at", &starts_at);
	bool		has_ends_at = arg_finite_timestamp(fcinfo, 8, "ends_at", &ends_at);
	int32		length = arg_number(fcinfo, 10, "code_length", MIN_RANDOM_LENGTH, MAX_CODE_LENGTH);
	char	   *actor = caller_actor();
	pg_uuid_t  *batch_id = palloc(sizeof(pg_uuid_t));
	char		nulls[] = "         ";
	ApiScope	scope;

	check_batch(has_starts_at, starts_at, has_ends_at, ends_at, code, codes);
	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	access_level_check(level);
	uuid_v7(batch_id);
	{
		Datum		values[] = {UUIDPGetDatum(batch_id), CStringGetTextDatum(title), CStringGetTextDatum(level),
			PointerGetDatum(duration), Int32GetDatum(max_redemptions), TimestampTzGetDatum(starts_at),
			TimestampTzGetDatum(ends_at), BoolGetDatum(PG_ARGISNULL(9) || PG_GETARG_BOOL(9)),
		CStringGetTextDatum(actor)};

		nulls[3] = duration == NULL ? 'n' : ' ';
		nulls[4] = is_limited ? ' ' : 'n';
		nulls[5] = has_starts_at ? ' ' : 'n';
		nulls[6] = has_ends_at ? ' ' : 'n';
		plan_execute(&insert_batch, values, nulls, false);
	}
	if (code != NULL)
		add_own(batch_id, code);
	else
		add_random(batch_id, codes, length);
	scope_leave(&scope);
	PG_RETURN_UUID_P(batch_id);
}

/* ERROR (PT404): no such batch. */
static void pg_attribute_noreturn()
batch_not_found(const pg_uuid_t *batch_id)
{
	ereport(ERROR,
			(condition_errcode(COND_PROMO_DOES_NOT_EXIST),
			 errmsg("batch \"%s\" of promo codes does not exist",
					DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(batch_id)))),
			 errhint("create_promo_codes() returned the batch_id; adapty.promo_code_batches lists them.")));
}

/* adapty.add_promo_codes(batch_id, codes, code_length) */
Datum
adapty_add_promo_codes(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *batch_id = arg_uuid(fcinfo, 0, "batch_id");
	int32		codes = arg_number(fcinfo, 1, "codes", 1, MAX_CODES);
	int32		length = arg_number(fcinfo, 2, "code_length", MIN_RANDOM_LENGTH, MAX_CODE_LENGTH);
	Datum		key = UUIDPGetDatum(batch_id);
	ApiScope	scope;

	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	if (plan_execute(&find_batch, &key, NULL, false) == 0)
		batch_not_found(batch_id);
	add_random(batch_id, codes, length);
	scope_leave(&scope);
	PG_RETURN_INT32(codes);
}

/* adapty.disable_promo_codes(batch_id) */
Datum
adapty_disable_promo_codes(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *batch_id = arg_uuid(fcinfo, 0, "batch_id");
	Datum		key = UUIDPGetDatum(batch_id);
	ApiScope	scope;

	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	if (plan_execute(&disable_batch, &key, NULL, false) == 0)
		batch_not_found(batch_id);
	scope_leave(&scope);
	PG_RETURN_VOID();
}

/* adapty.disable_promo_code(code).  ERROR (PT404) if there is none: the backend may know. */
Datum
adapty_disable_promo_code(PG_FUNCTION_ARGS)
{
	char	   *typed = arg_text(fcinfo, 0, "code", true, MAX_TYPED_LENGTH);
	char	   *code = normalise_code(typed);
	Datum		key = code == NULL ? (Datum) 0 : CStringGetTextDatum(code);
	ApiScope	scope;

	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	if (code == NULL || plan_execute(&disable_code, &key, NULL, false) == 0)
		ereport(ERROR,
				(condition_errcode(COND_PROMO_DOES_NOT_EXIST),
				 errmsg("promo code \"%s\" does not exist", typed),
				 errhint("adapty.promo_codes lists the codes of a batch.")));
	scope_leave(&scope);
	PG_RETURN_VOID();
}

/* ---- redeeming ---- */

/* ERROR (PT400): the one answer to every code that gives nothing. */
static void pg_attribute_noreturn()
refuse_code(const char *typed)
{
	ereport(ERROR,
			(condition_errcode(COND_PROMO_CODE_NOT_VALID),
			 errmsg("promo code \"%s\" is not valid", typed),
			 errhint("It may be mistyped, used up, or not valid at this time.")));
}

/* Finds a code; false if there is none.  Strings are in the scope's caller context. */
static bool
load_code(const ApiScope *scope, const char *code, PromoCode *promo)
{
	Datum		key = CStringGetTextDatum(code);
	Datum		value;
	bool		isnull;

	if (plan_execute(&find_code, &key, NULL, false) == 0)
		return false;
	memset(promo, 0, sizeof(*promo));
	promo->code = MemoryContextStrdup(scope->caller_context, code);
	promo->batch_id = *DatumGetUUIDP(scope_copy(scope, 0, 1, &isnull));
	promo->title = scope_copy_text(scope, 0, 2);
	promo->access_level_id = scope_copy_text(scope, 0, 3);
	value = scope_copy(scope, 0, 4, &isnull);
	promo->duration = isnull ? NULL : DatumGetIntervalP(value);
	promo->starts_at = DatumGetTimestampTz(scope_copy(scope, 0, 5, &isnull));
	promo->ends_at = DatumGetTimestampTz(scope_copy(scope, 0, 6, &isnull));
	promo->max_redemptions = DatumGetInt32(scope_copy(scope, 0, 7, &isnull));
	promo->is_limited = !isnull;
	promo->redemptions = DatumGetInt32(scope_copy(scope, 0, 8, &isnull));
	promo->once_per_user = DatumGetBool(scope_copy(scope, 0, 9, &isnull));
	promo->is_disabled = DatumGetBool(scope_copy(scope, 0, 10, &isnull));
	return true;
}

/* ERROR (PT409) if the user has redeemed the code, or one of its batch where one is all. */
static void
check_first_time(const LockedProfile *profile, const PromoCode *promo, const UserRef *user)
{
	Datum		values[4] = {UUIDPGetDatum(&profile->profile_id), UUIDPGetDatum(&promo->batch_id),
	CStringGetTextDatum(promo->code), BoolGetDatum(promo->once_per_user)};
	char	   *earlier;
	bool		isnull;

	if (plan_execute(&earlier_redemption, values, NULL, false) == 0)
		return;
	earlier = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	ereport(ERROR,
			(condition_errcode(COND_PROMO_CODE_REDEEMED),
			 errmsg("%s has redeemed promo code \"%s\" already", user_ref_text(user), earlier),
			 errdetail("That was at %s.", clock_iso8601(DatumGetTimestampTz(
						SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull)))),
			 errhint(promo->once_per_user ? "A user redeems one code of a batch." : "A user redeems a code once.")));
}

/* Counts the redemption and keeps it; false if nothing is left of the code. */
static bool
take_code(const LockedProfile *profile, const PromoCode *promo)
{
	Datum		count[2] = {CStringGetTextDatum(promo->code), Int32GetDatum(promo->max_redemptions)};
	Datum		redemption[3] = {UUIDPGetDatum(&profile->profile_id), UUIDPGetDatum(&promo->batch_id), count[0]};

	if (plan_execute(&count_redemption, count, promo->is_limited ? NULL : " n", false) == 0)
		return false;
	plan_execute(&insert_redemption, redemption, NULL, false);
	return true;
}

/*
 * How the grant refers to the redemption just made: by the batch, and counted where a user may
 * redeem several of it.  Not by the code, which is worth money, while analysts see grants and events.
 */
static char *
redemption_source_id(const ApiScope *scope, const LockedProfile *profile, const PromoCode *promo)
{
	Datum		values[2] = {UUIDPGetDatum(&profile->profile_id), UUIDPGetDatum(&promo->batch_id)};
	char	   *batch_id = DatumGetCString(DirectFunctionCall1(uuid_out, values[1]));
	MemoryContext old;
	char	   *source_id;
	int64		n;
	bool		isnull;

	plan_execute(&count_earlier, values, NULL, false);
	n = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	old = MemoryContextSwitchTo(scope->caller_context);
	source_id = n <= 1 ? pstrdup(batch_id) : psprintf("%s:" INT64_FORMAT, batch_id, n);
	MemoryContextSwitchTo(old);
	return source_id;
}

/*
 * adapty.redeem_promo_code(user, code, idempotency_key).  What the code gives is one source beside
 * others; it adds to the end of the access that the user has now.
 */
static Datum
redeem_promo_code(FunctionCallInfo fcinfo, UserRef user)
{
	char	   *typed = arg_text(fcinfo, 1, "code", true, MAX_TYPED_LENGTH);
	char	   *key = arg_text(fcinfo, 2, "idempotency_key", false, MAX_IDEMPOTENCY_KEY);
	char	   *code = normalise_code(typed);
	char	   *request = psprintf("redeem_promo_code %s", code == NULL ? typed : code);
	char	   *actor = caller_actor();
	char	   *source_id;
	PromoCode	promo;
	pg_uuid_t	profile_id;
	LockedProfile profile;
	GrantGroup	group;
	ApiScope	scope;
	bool		found;
	Datum		result;

	refuse_unless_writable(fcinfo);
	user_resolve(&user, &profile_id);
	scope_enter(&scope);
	found = code != NULL && load_code(&scope, code, &promo);
	scope_leave(&scope);
	if (!found || promo.is_disabled)
		refuse_code(typed);

	direct_attach(direct_owner(fcinfo), TABLE_ACCESS_GRANTS, DIRECT_WRITE);
	if (!profile_lock(&profile_id, false, NULL, &profile))
		profile_not_found(&user);
	if (grant_earlier_result(&profile, key, request, &result))
		return result;
	scope_enter(&scope);
	check_first_time(&profile, &promo, &user);
	if (profile.profile_now < promo.starts_at || profile.profile_now >= promo.ends_at ||
		(promo.is_limited && promo.redemptions >= promo.max_redemptions) ||
		!take_code(&profile, &promo))
		refuse_code(typed);
	source_id = redemption_source_id(&scope, &profile, &promo);
	scope_leave(&scope);
	promo_grant(&profile, promo.access_level_id, GRANT_SOURCE_PROMO_CODE, source_id, promo.duration,
				actor, promo.title);
	grant_load(&profile_id, promo.access_level_id, &group);
	result = access_level_form(&group, profile.profile_now);
	grant_keep_result(&profile, key, request, result);
	return result;
}

FUNCTION_BY_USER(redeem_promo_code);
