/*
 * identity.c
 *		From a customer_user_id to a profile_id; the only writer of identities (with profile.c, which
 *		makes a known profile in one statement).
 *
 * A profile is known (it has one row in identities) or anonymous.  An identity never changes: an
 * anonymous profile becomes known once, and nothing is ever merged.
 *
 * A limited caller (adapty_sdk) is checked before anything is looked up, so that it cannot learn
 * which users there are.
 */
#include "postgres.h"

#include <sys/time.h>

#include "access/parallel.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "port.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "base/caller.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/direct.h"
#include "base/errors.h"
#include "base/plans.h"
#include "base/random.h"
#include "domain/identity.h"
#include "domain/profile.h"

PG_FUNCTION_INFO_V1(adapty_identify);

#define IDENTITY_PROFILE_ID 2	/* attribute number in adapty.identities */

static SavedPlan find_identity = {
	"find identity",
	"SELECT i.profile_id FROM adapty.identities i"
	" WHERE i.customer_user_id = $1",
	SPI_OK_SELECT, 1, {TEXTOID}, NULL, InvalidOid
};

static SavedPlan find_customer_user_id = {
	"find customer_user_id",
	"SELECT i.customer_user_id FROM adapty.identities i"
	" WHERE i.profile_id = $1",
	SPI_OK_SELECT, 1, {UUIDOID}, NULL, InvalidOid
};

/* Locks the profile against being deleted until it has its identity. */
static SavedPlan hold_profile = {
	"hold profile",
	"SELECT FROM adapty.profiles p WHERE p.profile_id = $1 FOR KEY SHARE",
	SPI_OK_SELECT, 1, {UUIDOID}, NULL, InvalidOid
};

static SavedPlan insert_identity = {
	"insert identity",
	"INSERT INTO adapty.identities (customer_user_id, profile_id) VALUES ($1, $2)"
	" ON CONFLICT DO NOTHING",
	SPI_OK_INSERT, 2, {TEXTOID, UUIDOID}, NULL, InvalidOid
};

/* user_lookup() by SPI: for identities that is not a plain local table. */
static bool
lookup_by_spi(const text *customer_user_id, Snapshot snapshot, pg_uuid_t *profile_id)
{
	ApiScope	scope;
	Datum		values[1] = {PointerGetDatum(customer_user_id)};
	bool		found;

	if (snapshot != NULL)
		PushActiveSnapshot(snapshot);
	scope_enter(&scope);
	found = plan_execute_generic(&find_identity, values, NULL, true) > 0;
	if (found)
	{
		bool		isnull;

		*profile_id = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
												   1, &isnull));
	}
	scope_leave(&scope);
	if (snapshot != NULL)
		PopActiveSnapshot();
	return found;
}

/* The same by the primary key without the executor; identities must be attached. */
static bool
lookup_direct(const text *customer_user_id, Snapshot snapshot, pg_uuid_t *profile_id)
{
	Datum		key = PointerGetDatum(customer_user_id);
	DirectScan *scan = direct_begin(INDEX_IDENTITIES_PKEY, &key, 1,
									snapshot != NULL ? snapshot : GetActiveSnapshot());
	TupleTableSlot *slot = direct_next(scan);
	bool		isnull;

	if (slot != NULL)
		*profile_id = *DatumGetUUIDP(slot_getattr(slot, IDENTITY_PROFILE_ID, &isnull));
	direct_end(scan);
	return slot != NULL;
}

/* See identity.h. */
bool
user_lookup(const UserRef *user, Snapshot snapshot, pg_uuid_t *profile_id)
{
	if (user->customer_user_id == NULL)
	{
		*profile_id = user->profile_id;
		return true;
	}
	if (direct_attach(CurrentMemoryContext, TABLE_IDENTITIES, DIRECT_READ))
		return lookup_direct(user->customer_user_id, snapshot, profile_id);
	return lookup_by_spi(user->customer_user_id, snapshot, profile_id);
}

/* Is it the one user that a limited caller may see? */
static bool
is_callers_own(const UserRef *user)
{
	char	   *own_customer_user_id = caller_customer_user_id();
	pg_uuid_t	own_profile_id;
	pg_uuid_t	profile_id;

	if (user->customer_user_id != NULL)
	{
		size_t		length = VARSIZE_ANY_EXHDR(user->customer_user_id);

		if (own_customer_user_id != NULL && strlen(own_customer_user_id) == length &&
			memcmp(own_customer_user_id, VARDATA_ANY(user->customer_user_id), length) == 0)
			return true;
		/* A token made for an anonymous profile stays good when the profile becomes known. */
		return caller_profile_id(&own_profile_id) && user_lookup(user, NULL, &profile_id) &&
			memcmp(&profile_id, &own_profile_id, UUID_LEN) == 0;
	}

	if (caller_profile_id(&own_profile_id) &&
		memcmp(&user->profile_id, &own_profile_id, UUID_LEN) == 0)
		return true;
	if (own_customer_user_id != NULL && own_customer_user_id[0] != '\0')
	{
		UserRef		own = {.customer_user_id = cstring_to_text(own_customer_user_id)};

		return user_lookup(&own, NULL, &profile_id) &&
			memcmp(&profile_id, &user->profile_id, UUID_LEN) == 0;
	}
	return false;
}

/* See identity.h. */
void
user_check_caller(const UserRef *user)
{
	if (!caller_is_limited() || is_callers_own(user))
		return;
	ereport(ERROR,
			(condition_errcode(COND_PERMISSION_DENIED),
			 errmsg("permission denied for user with %s", user_ref_text(user)),
			 errdetail("A caller with the rights of \"adapty_sdk\" sees only the user that its JWT names."),
			 errhint("The claims in \"request.jwt.claims\" name it: \"customer_user_id\", else \"sub\"; or \"profile_id\".")));
}

/* See identity.h. */
void
profile_not_found(const UserRef *user)
{
	ereport(ERROR,
			(condition_errcode(COND_PROFILE_DOES_NOT_EXIST),
			 errmsg("user with %s does not exist", user_ref_text(user)),
			 errhint("Create the profile first: adapty.create_profile(customer_user_id).")));
}

/*
 * Finds an existing profile by the newest committed state and this transaction's own changes,
 * those of the running statement included: a function may be given what another made.
 */
static bool
find_newest(const UserRef *user, pg_uuid_t *profile_id)
{
	bool		found;

	if (!IsInParallelMode())
		CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	found = user_lookup(user, NULL, profile_id);
	PopActiveSnapshot();
	if (found && user->customer_user_id == NULL)
		found = profile_exists(profile_id);
	return found;
}

/* See identity.h. */
void
user_resolve(const UserRef *user, pg_uuid_t *profile_id)
{
	user_check_caller(user);
	if (!find_newest(user, profile_id))
		profile_not_found(user);
}

/* See identity.h.  Two callers that create the same user at once get the same profile. */
void
user_resolve_or_create(const UserRef *user, bool create_missing, pg_uuid_t *profile_id)
{
	user_check_caller(user);
	for (;;)
	{
		if (find_newest(user, profile_id))
			return;
		if (!create_missing || user->customer_user_id == NULL)
			profile_not_found(user);
		uuid_v7(profile_id);
		if (profile_create(user->customer_user_id, profile_id))
			return;
		/* Somebody else made it just now: find theirs, unless it is deleted again meanwhile. */
		CHECK_FOR_INTERRUPTS();
	}
}

/* ERROR (23505): the profile is known by another id than the one it should get. */
static void pg_attribute_noreturn()
report_other_identity(const pg_uuid_t *profile_id, const char *has, const text *wanted)
{
	UserRef		user = {.profile_id = *profile_id};

	ereport(ERROR,
			(condition_errcode(COND_PROFILE_EXISTS),
			 errmsg("user with %s cannot become customer_user_id \"%s\"",
					user_ref_text(&user), text_to_cstring(wanted)),
			 errdetail("It is known as customer_user_id \"%s\" already, and an identity never changes.", has),
			 errhint("Create a new profile for the other user: adapty.create_profile().")));
}

/*
 * Makes an anonymous profile known, or finds the profile that has the customer_user_id already
 * (*result).  false if somebody changed it meanwhile: try again.  Inside a scope.
 */
static bool
identify_once(const UserRef *anonymous, const text *customer_user_id, pg_uuid_t *result)
{
	Datum		identity[2];
	bool		isnull;

	identity[0] = PointerGetDatum(customer_user_id);
	identity[1] = UUIDPGetDatum(&anonymous->profile_id);

	if (plan_execute_generic(&hold_profile, &identity[1], NULL, false) == 0)
		profile_not_found(anonymous);
	if (plan_execute_generic(&find_identity, &identity[0], NULL, false) > 0)
	{
		*result = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
											   1, &isnull));
		return true;
	}
	if (plan_execute_generic(&find_customer_user_id, &identity[1], NULL, false) > 0)
		report_other_identity(&anonymous->profile_id,
							  SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1),
							  customer_user_id);
	*result = anonymous->profile_id;
	return plan_execute_generic(&insert_identity, identity, NULL, false) > 0;
}

/* adapty.identify(profile_id, customer_user_id): see the function's COMMENT. */
Datum
adapty_identify(PG_FUNCTION_ARGS)
{
	UserRef		anonymous = arg_profile_id(fcinfo);
	char	   *argument = arg_text(fcinfo, 1, "customer_user_id", true, MAX_CUSTOMER_USER_ID);
	text	   *customer_user_id = cstring_to_text(argument);
	pg_uuid_t  *result = palloc(sizeof(pg_uuid_t));
	ApiScope	scope;

	user_check_caller(&anonymous);
	refuse_unless_writable(fcinfo);
	scope_enter(&scope);
	while (!identify_once(&anonymous, customer_user_id, result))
		CHECK_FOR_INTERRUPTS();
	scope_leave(&scope);
	PG_RETURN_UUID_P(result);
}

/*
 * See identity.h.  48 bits of Unix milliseconds, 12 bits of the millisecond's fraction, 62 random
 * bits.  Ids made in one process ascend: a reading that is not later than the last id's counts as
 * the next step after it.
 */
void
uuid_v7(pg_uuid_t *uuid)
{
	static uint64 last_step = 0;
	struct timeval now;
	uint64		step;			/* of 1/4096 ms */

	gettimeofday(&now, NULL);
	step = ((uint64) now.tv_sec * 1000 + now.tv_usec / 1000) << 12 |
		(uint64) (now.tv_usec % 1000) * 4096 / 1000;
	if (step <= last_step)
		step = last_step + 1;
	last_step = step;

	random_bytes(&uuid->data[8], 8);
	for (int i = 0; i < 6; i++)
		uuid->data[i] = (unsigned char) (step >> (52 - 8 * i));
	uuid->data[6] = 0x70 | (unsigned char) ((step >> 8) & 0x0f);
	uuid->data[7] = (unsigned char) step;
	uuid->data[8] = 0x80 | (uuid->data[8] & 0x3f);
}
