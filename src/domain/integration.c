/*
 * integration.c
 *		Reading the ids that a user has in third-party services.  They are written with the attributes.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"

#include "base/arg.h"
#include "base/compat.h"
#include "base/plans.h"
#include "domain/identity.h"

/* All names that there are, null for those without a value. */
static SavedPlan show_identifiers = {
	"show integration identifiers",
	"SELECT (SELECT pg_catalog.jsonb_object_agg(n.name, i.value) FROM pg_catalog.unnest(ARRAY["
	"  'adjust_device_id', 'airbridge_device_id', 'amplitude_device_id', 'amplitude_user_id',"
	"  'appmetrica_device_id', 'appmetrica_profile_id', 'appsflyer_id', 'branch_id',"
	"  'facebook_anonymous_id', 'firebase_app_instance_id', 'mixpanel_user_id',"
	"  'one_signal_player_id', 'one_signal_subscription_id', 'posthog_distinct_user_id',"
	"  'pushwoosh_hwid', 'tenjin_analytics_installation_id']) AS n (name)"
	"  LEFT JOIN adapty.integration_identifiers i ON i.profile_id = $1 AND i.name = n.name)"
	" FROM adapty.profiles p WHERE p.profile_id = $1",
	SPI_OK_SELECT, 1, {UUIDOID}, NULL, InvalidOid
};

/* get_integration_identifiers(user) */
static Datum
get_integration_identifiers(FunctionCallInfo fcinfo, UserRef user)
{
	pg_uuid_t	profile_id;
	ApiScope	scope;
	Datum		arg = UUIDPGetDatum(&profile_id);
	Datum		result;
	bool		isnull;

	(void) fcinfo;
	user_check_caller(&user);
	if (!user_lookup(&user, NULL, &profile_id))
		profile_not_found(&user);
	scope_enter(&scope);
	if (plan_execute(&show_identifiers, &arg, NULL, true) == 0)
		profile_not_found(&user);
	result = scope_copy(&scope, 0, 1, &isnull);
	scope_leave(&scope);
	return result;
}

FUNCTION_BY_USER(get_integration_identifiers);
