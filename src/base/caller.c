/*
 * caller.c
 *		Who calls: the actor kept with changes, and what adapty_sdk may see.
 *
 * All answers are cached, because has_access() asks for each row of a query: the JWT's claims by
 * the text of the setting, the role's rights and name until a role or membership changes.
 *
 * Behind PostgREST the claims are in request.jwt.claims, put there after it checked the token's
 * signature.  Claims that are not valid JSON are no claims: a limited caller then sees nobody.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/uuid.h"

#include "base/arg.h"
#include "base/caller.h"
#include "base/compat.h"
#include "base/ext_state.h"
#include "base/json_members.h"

#define MAX_ACTOR 200			/* bytes */
#define CLAIMS_SETTING "request.jwt.claims"

typedef enum Claim
{
	CLAIM_SUB,
	CLAIM_CUSTOMER_USER_ID,
	CLAIM_PROFILE_ID,
	N_CLAIMS
} Claim;

static const char *const claim_names[N_CLAIMS] = {"sub", "customer_user_id", "profile_id"};

/* The claims of the last seen setting. */
typedef struct ClaimsCache
{
	MemoryContext context;		/* holds what follows */
	char	   *setting;		/* NULL: nothing cached */
	char	   *values[N_CLAIMS];	/* NULL for a claim that is not there */
	bool		has_profile_id;
	pg_uuid_t	profile_id;
} ClaimsCache;

/* What the last seen role may do. */
typedef struct RoleCache
{
	bool		is_valid;
	Oid			role;
	Oid			owner;			/* of the extension when it was looked up */
	bool		is_limited;
	char		name[NAMEDATALEN];
} RoleCache;

static ClaimsCache claims_cache;
static RoleCache role_cache;

/* The claims now in force; all NULL if there are none. */
static const ClaimsCache *
claims(void)
{
	const char *setting = GetConfigOption(CLAIMS_SETTING, true, false);
	MemoryContext old;

	if (setting == NULL)
		setting = "";
	if (claims_cache.setting != NULL && strcmp(claims_cache.setting, setting) == 0)
		return &claims_cache;

	/* Nothing is cached until all of it is, so that an error leaves no half of it. */
	claims_cache.setting = NULL;
	if (claims_cache.context == NULL)
		claims_cache.context = AllocSetContextCreate(TopMemoryContext, "adapty JWT claims",
													 ALLOCSET_SMALL_SIZES);
	MemoryContextReset(claims_cache.context);
	old = MemoryContextSwitchTo(claims_cache.context);
	memset(claims_cache.values, 0, sizeof(claims_cache.values));
	if (setting[0] != '\0')
		(void) json_members(setting, claim_names, N_CLAIMS, claims_cache.values);
	claims_cache.has_profile_id = claims_cache.values[CLAIM_PROFILE_ID] != NULL &&
		parse_uuid(claims_cache.values[CLAIM_PROFILE_ID], &claims_cache.profile_id);
	claims_cache.setting = pstrdup(setting);
	MemoryContextSwitchTo(old);
	return &claims_cache;
}

/* A role or membership changed. */
static void
role_cache_forget(Datum arg, int cacheid, uint32 hashvalue)
{
	(void) arg;
	(void) cacheid;
	(void) hashvalue;
	role_cache.is_valid = false;
}

/* Is a role held to one profile?  Superusers have the privileges of every role, so of the owner. */
static bool
role_is_limited(Oid role, Oid owner)
{
	Oid			server = get_role_oid("adapty_server", true);
	Oid			sdk = get_role_oid("adapty_sdk", true);

	if (has_privs_of_role(role, owner) || (OidIsValid(server) && has_privs_of_role(role, server)))
		return false;
	return OidIsValid(sdk) && has_privs_of_role(role, sdk);
}

/* What is known of the current role. */
static const RoleCache *
current_role(void)
{
	static bool registered = false;
	Oid			role = GetUserId();
	Oid			owner = ext_state()->owner;
	char	   *name;

	if (role_cache.is_valid && role_cache.role == role && role_cache.owner == owner)
		return &role_cache;
	if (!registered)
	{
		CacheRegisterSyscacheCallback(AUTHOID, role_cache_forget, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, role_cache_forget, (Datum) 0);
		registered = true;
	}
	/* Valid from before the look-ups, so that a change told in their midst makes it invalid. */
	role_cache.role = InvalidOid;
	role_cache.is_valid = true;
	name = GetUserNameFromId(role, false);
	strlcpy(role_cache.name, name, NAMEDATALEN);
	pfree(name);
	role_cache.is_limited = role_is_limited(role, owner);
	role_cache.owner = owner;
	role_cache.role = role;
	return &role_cache;
}

/* See caller.h. */
char *
caller_actor(void)
{
	const char *subject = claims()->values[CLAIM_SUB];
	const char *api_key = caller_api_key();
	const char *application = application_name != NULL ? application_name : "";
	char	   *actor;
	int			length;

	if (subject != NULL)
		actor = psprintf("%s/jwt:%s", current_role()->name, subject);
	else if (api_key != NULL)
		actor = psprintf("%s/api key:%s", current_role()->name, api_key);
	else
		actor = psprintf("%s/%s", current_role()->name, application);
	length = (int) strlen(actor);
	if (length > MAX_ACTOR)
		actor[pg_mbcliplen(actor, length, MAX_ACTOR)] = '\0';
	return actor;
}

/* See caller.h. */
const char *
caller_api_key(void)
{
	const char *setting = GetConfigOption(API_KEY_SETTING, true, false);

	return setting == NULL || setting[0] == '\0' ? NULL : setting;
}

/* See caller.h. */
bool
caller_is_limited(void)
{
	return current_role()->is_limited;
}

/* See caller.h. */
char *
caller_customer_user_id(void)
{
	const ClaimsCache *cache = claims();

	return cache->values[CLAIM_CUSTOMER_USER_ID] != NULL ?
		cache->values[CLAIM_CUSTOMER_USER_ID] : cache->values[CLAIM_SUB];
}

/* See caller.h. */
bool
caller_profile_id(pg_uuid_t *profile_id)
{
	const ClaimsCache *cache = claims();

	if (cache->has_profile_id)
		*profile_id = cache->profile_id;
	return cache->has_profile_id;
}
