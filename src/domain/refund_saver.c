/*
 * refund_saver.c
 *		What a user wants said when a refund is requested; the only writer of refund_saver_settings.
 *
 * A profile without a row has given no consent and has no preference.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "base/arg.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/json_fields.h"
#include "base/plans.h"
#include "domain/identity.h"

/* What is not given stays as it was; the profile's key is locked against being deleted meanwhile. */
static SavedPlan put_settings = {
	"put refund saver settings",
	"INSERT INTO adapty.refund_saver_settings AS s (profile_id, consent, custom_preference, updated_at)"
	" SELECT p.profile_id, coalesce($2, false), coalesce($3, 'no_preference')::adapty.refund_preference, $4"
	"  FROM adapty.profiles p WHERE p.profile_id = $1 FOR KEY SHARE"
	" ON CONFLICT (profile_id) DO UPDATE SET consent = coalesce($2, s.consent),"
	"  custom_preference = coalesce($3::adapty.refund_preference, s.custom_preference), updated_at = $4",
	SPI_OK_INSERT, 4, {UUIDOID, BOOLOID, TEXTOID, TIMESTAMPTZOID}, NULL, InvalidOid
};

static SavedPlan show_settings = {
	"show refund saver settings",
	"SELECT pg_catalog.jsonb_build_object('profile_id', p.profile_id,"
	"  'settings', pg_catalog.jsonb_build_object('consent', coalesce(s.consent, false),"
	"   'custom_preference', coalesce(s.custom_preference, 'no_preference')))"
	" FROM adapty.profiles p LEFT JOIN adapty.refund_saver_settings s ON s.profile_id = p.profile_id"
	" WHERE p.profile_id = $1",
	SPI_OK_SELECT, 1, {UUIDOID}, NULL, InvalidOid
};

/* The settings of a profile; ERROR (PT404) if it is not there. */
static Datum
show(const UserRef *user, const pg_uuid_t *profile_id, bool as_of_snapshot)
{
	ApiScope	scope;
	Datum		arg = UUIDPGetDatum(profile_id);
	Datum		result;
	bool		isnull;

	scope_enter(&scope);
	if (plan_execute(&show_settings, &arg, NULL, as_of_snapshot) == 0)
		profile_not_found(user);
	result = scope_copy(&scope, 0, 1, &isnull);
	scope_leave(&scope);
	return result;
}

/* get_refund_saver_settings(user) */
static Datum
get_refund_saver_settings(FunctionCallInfo fcinfo, UserRef user)
{
	pg_uuid_t	profile_id;

	(void) fcinfo;
	user_check_caller(&user);
	if (!user_lookup(&user, NULL, &profile_id))
		profile_not_found(&user);
	return show(&user, &profile_id, true);
}

/* set_refund_saver_settings(user, settings): returns them as they are then. */
static Datum
set_refund_saver_settings(FunctionCallInfo fcinfo, UserRef user)
{
	static const char *const known[] = {"consent", "custom_preference", NULL};
	static const char *const preferences[] = {"grant", "no_preference", "decline", NULL};
	JsonFields	fields = {arg_jsonb(fcinfo, 1, "settings"), ""};
	const char *preference;
	bool		consent = false;
	bool		has_consent;
	pg_uuid_t	profile_id;
	ApiScope	scope;
	Datum		args[4];
	char		nulls[5] = "    ";

	user_check_caller(&user);
	refuse_unless_writable(fcinfo);
	if (!JB_ROOT_IS_OBJECT(fields.object))
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("settings must be a JSON object")));
	fields_check_known(&fields, known, "refund saver settings");
	preference = field_choice(&fields, "custom_preference", false, preferences);
	has_consent = field_bool(&fields, "consent", false, &consent);
	if (preference == NULL && !has_consent)
		ereport(ERROR,
				(condition_errcode(COND_VALIDATION),
				 errmsg("Profile refund saver settings must have either consent or custom_preference or both")));
	user_resolve(&user, &profile_id);
	args[0] = UUIDPGetDatum(&profile_id);
	args[1] = BoolGetDatum(consent);
	nulls[1] = has_consent ? ' ' : 'n';
	args[2] = preference != NULL ? CStringGetTextDatum(preference) : (Datum) 0;
	nulls[2] = preference != NULL ? ' ' : 'n';
	args[3] = TimestampTzGetDatum(clock_write_now());
	scope_enter(&scope);
	if (plan_execute(&put_settings, args, nulls, false) == 0)
		profile_not_found(&user);
	scope_leave(&scope);
	return show(&user, &profile_id, false);
}

FUNCTION_BY_USER(get_refund_saver_settings);
FUNCTION_BY_USER(set_refund_saver_settings);
