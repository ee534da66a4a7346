/*
 * attributes.c
 *		Attributes of a profile: what a request changes, how it is stored, and reading it back; the
 *		writer of profiles' attributes, installations, integration_identifiers and attributions.
 *
 * A request is read whole before anything is written (attribute_request.c).  Then the profile's row
 * is updated by one statement, which also locks it, and the rows beside it by one statement a table.
 *
 * A name always means one thing: a default attribute's name is never a custom attribute in
 * set_attribute(s) and get_attribute(s).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/plans.h"
#include "domain/attribute_check.h"
#include "domain/attribute_definition.h"
#include "domain/attribute_request.h"
#include "domain/attributes.h"
#include "domain/identity.h"

/*
 * Bits and order as in AttributeChange.defaults.  $3 says that a device reported: the app was open.
 */
static SavedPlan update_profile_row = {
	"update profile",
	"UPDATE adapty.profiles p SET updated_at = $2,"
	" last_seen_at = CASE WHEN $3 THEN $2 ELSE p.last_seen_at END,"
	" custom_attributes = CASE WHEN $4 IS NULL THEN p.custom_attributes"
	"  ELSE adapty._merge_custom_attributes(p.custom_attributes, $4) END,"
	" first_name = CASE WHEN $5 & 1 <> 0 THEN $6 ELSE p.first_name END,"
	" last_name = CASE WHEN $5 & 2 <> 0 THEN $7 ELSE p.last_name END,"
	" gender = CASE WHEN $5 & 4 <> 0 THEN $8::adapty.gender ELSE p.gender END,"
	" email = CASE WHEN $5 & 8 <> 0 THEN $9 ELSE p.email END,"
	" phone_number = CASE WHEN $5 & 16 <> 0 THEN $10 ELSE p.phone_number END,"
	" birthday = CASE WHEN $5 & 32 <> 0 THEN pg_catalog.to_date($11, 'YYYY-MM-DD') ELSE p.birthday END,"
	" ip_country = CASE WHEN $5 & 64 <> 0 THEN $12 ELSE p.ip_country END,"
	" ip_v4_address = CASE WHEN $5 & 128 <> 0 THEN $13::inet ELSE p.ip_v4_address END,"
	" store_country = CASE WHEN $5 & 256 <> 0 THEN $14 ELSE p.store_country END,"
	" store = CASE WHEN $5 & 512 <> 0 THEN $15 ELSE p.store END,"
	" store_account_token = CASE WHEN $5 & 1024 <> 0 THEN $16::uuid ELSE p.store_account_token END,"
	" att_status = CASE WHEN $5 & 2048 <> 0 THEN $17::smallint ELSE p.att_status END,"
	" analytics_disabled = CASE WHEN $5 & 4096 <> 0 THEN coalesce($18::boolean, false)"
	"  ELSE p.analytics_disabled END"
	" WHERE p.profile_id = $1",
	SPI_OK_UPDATE, 18, {UUIDOID, TIMESTAMPTZOID, BOOLOID, JSONBOID, INT4OID,
		TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
	TEXTOID, TEXTOID, TEXTOID}, NULL, InvalidOid
};

static SavedPlan update_custom_attributes = {
	"update custom attributes",
	"UPDATE adapty.profiles p SET updated_at = $2,"
	" custom_attributes = adapty._merge_custom_attributes(p.custom_attributes, $3)"
	" WHERE p.profile_id = $1",
	SPI_OK_UPDATE, 3, {UUIDOID, TIMESTAMPTZOID, JSONBOID}, NULL, InvalidOid
};

/* Bits and order as in AttributeChange.device.  A field that is not reported stays; the first app version stays for ever. */
static SavedPlan upsert_installation = {
	"upsert installation",
	"INSERT INTO adapty.installations AS i (profile_id, device_id, created_at, updated_at, platform,"
	"  device, locale, os, timezone, user_agent, app_version, installed_app_version, app_build,"
	"  adapty_sdk_version, idfa, idfv, advertising_id, android_id, android_app_set_id)"
	" VALUES ($1, $2::uuid, $3, $3, $5::adapty.platform, $6, $7, $8, $9, $10, $11, $11, $12, $13, $14,"
	"  $15, $16, $17, $18)"
	" ON CONFLICT (profile_id, device_id) DO UPDATE SET updated_at = excluded.updated_at,"
	" platform = CASE WHEN $4 & 1 <> 0 THEN excluded.platform ELSE i.platform END,"
	" device = CASE WHEN $4 & 2 <> 0 THEN excluded.device ELSE i.device END,"
	" locale = CASE WHEN $4 & 4 <> 0 THEN excluded.locale ELSE i.locale END,"
	" os = CASE WHEN $4 & 8 <> 0 THEN excluded.os ELSE i.os END,"
	" timezone = CASE WHEN $4 & 16 <> 0 THEN excluded.timezone ELSE i.timezone END,"
	" user_agent = CASE WHEN $4 & 32 <> 0 THEN excluded.user_agent ELSE i.user_agent END,"
	" app_version = CASE WHEN $4 & 64 <> 0 THEN excluded.app_version ELSE i.app_version END,"
	" installed_app_version = coalesce(i.installed_app_version, excluded.app_version),"
	" app_build = CASE WHEN $4 & 128 <> 0 THEN excluded.app_build ELSE i.app_build END,"
	" adapty_sdk_version = CASE WHEN $4 & 256 <> 0 THEN excluded.adapty_sdk_version"
	"  ELSE i.adapty_sdk_version END,"
	" idfa = CASE WHEN $4 & 512 <> 0 THEN excluded.idfa ELSE i.idfa END,"
	" idfv = CASE WHEN $4 & 1024 <> 0 THEN excluded.idfv ELSE i.idfv END,"
	" advertising_id = CASE WHEN $4 & 2048 <> 0 THEN excluded.advertising_id ELSE i.advertising_id END,"
	" android_id = CASE WHEN $4 & 4096 <> 0 THEN excluded.android_id ELSE i.android_id END,"
	" android_app_set_id = CASE WHEN $4 & 8192 <> 0 THEN excluded.android_app_set_id"
	"  ELSE i.android_app_set_id END",
	SPI_OK_INSERT, 18, {UUIDOID, TEXTOID, TIMESTAMPTZOID, INT4OID,
		TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
	TEXTOID, TEXTOID, TEXTOID, TEXTOID}, NULL, InvalidOid
};

static SavedPlan upsert_identifiers = {
	"upsert integration identifiers",
	"INSERT INTO adapty.integration_identifiers (profile_id, name, value, updated_at)"
	" SELECT $1, e.key, e.value, $3 FROM pg_catalog.jsonb_each_text($2) e WHERE e.value IS NOT NULL"
	" ON CONFLICT (profile_id, name) DO UPDATE SET value = excluded.value,"
	"  updated_at = excluded.updated_at",
	SPI_OK_INSERT, 3, {UUIDOID, JSONBOID, TIMESTAMPTZOID}, NULL, InvalidOid
};

static SavedPlan delete_identifiers = {
	"delete integration identifiers",
	"DELETE FROM adapty.integration_identifiers d WHERE d.profile_id = $1 AND d.name IN"
	" (SELECT e.key FROM pg_catalog.jsonb_each_text($2) e WHERE e.value IS NULL)",
	SPI_OK_DELETE, 2, {UUIDOID, JSONBOID}, NULL, InvalidOid
};

/* An attribution is replaced whole: fields of two campaigns must not mix. */
static SavedPlan upsert_attributions = {
	"upsert attributions",
	"INSERT INTO adapty.attributions (profile_id, source, created_at, status, network_user_id,"
	"  channel, campaign, ad_group, ad_set, creative)"
	" SELECT $1, e.key, $3, coalesce(e.value ->> 'status', 'unknown')::adapty.attribution_status,"
	"  e.value ->> 'network_user_id', e.value ->> 'channel', e.value ->> 'campaign',"
	"  e.value ->> 'ad_group', e.value ->> 'ad_set', e.value ->> 'creative'"
	" FROM pg_catalog.jsonb_each($2) e WHERE pg_catalog.jsonb_typeof(e.value) = 'object'"
	" ON CONFLICT (profile_id, source) DO UPDATE SET created_at = excluded.created_at,"
	"  status = excluded.status, network_user_id = excluded.network_user_id,"
	"  channel = excluded.channel, campaign = excluded.campaign, ad_group = excluded.ad_group,"
	"  ad_set = excluded.ad_set, creative = excluded.creative",
	SPI_OK_INSERT, 3, {UUIDOID, JSONBOID, TIMESTAMPTZOID}, NULL, InvalidOid
};

static SavedPlan delete_attributions = {
	"delete attributions",
	"DELETE FROM adapty.attributions d WHERE d.profile_id = $1 AND d.source IN"
	" (SELECT e.key FROM pg_catalog.jsonb_each($2) e WHERE pg_catalog.jsonb_typeof(e.value) = 'null')",
	SPI_OK_DELETE, 2, {UUIDOID, JSONBOID}, NULL, InvalidOid
};

/* Default attributes come last, so that a custom one of the same name does not hide them. */
static SavedPlan read_attributes = {
	"read attributes",
	"SELECT p.custom_attributes::jsonb || pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object("
	" 'first_name', p.first_name, 'last_name', p.last_name, 'gender', p.gender, 'email', p.email,"
	" 'phone_number', p.phone_number, 'birthday', p.birthday, 'ip_country', p.ip_country,"
	" 'ip_v4_address', pg_catalog.host(p.ip_v4_address), 'store_country', p.store_country,"
	" 'store', p.store, 'store_account_token', p.store_account_token, 'att_status', p.att_status,"
	" 'analytics_disabled', p.analytics_disabled))"
	" FROM adapty.profiles p WHERE p.profile_id = $1",
	SPI_OK_SELECT, 1, {UUIDOID}, NULL, InvalidOid
};

/* ---- Storing ---- */

/* A text parameter of a plan. */
static void
bind_text(Datum *values, char *nulls, int i, const char *text)
{
	nulls[i] = text == NULL ? 'n' : ' ';
	values[i] = text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

/* A jsonb parameter of a plan. */
static void
bind_jsonb(Datum *values, char *nulls, int i, Jsonb *jsonb)
{
	nulls[i] = jsonb == NULL ? 'n' : ' ';
	values[i] = jsonb == NULL ? (Datum) 0 : JsonbPGetDatum(jsonb);
}

/* Updates the profile's row; false if there is none.  Inside a scope. */
static bool
store_profile_row(const pg_uuid_t *profile_id, const AttributeChange *change, TimestampTz now)
{
	Datum		values[5 + N_DEFAULT_ATTRIBUTES];
	char		nulls[5 + N_DEFAULT_ATTRIBUTES + 1];

	memset(nulls, ' ', sizeof(nulls));
	values[0] = UUIDPGetDatum(profile_id);
	values[1] = TimestampTzGetDatum(now);
	if (change->custom != NULL && change->default_mask == 0 && change->device_id == NULL)
	{
		values[2] = JsonbPGetDatum(change->custom);
		return plan_execute(&update_custom_attributes, values, NULL, false) > 0;
	}
	values[2] = BoolGetDatum(change->device_id != NULL);
	bind_jsonb(values, nulls, 3, change->custom);
	values[4] = Int32GetDatum(change->default_mask);
	for (int i = 0; i < N_DEFAULT_ATTRIBUTES; i++)
		bind_text(values, nulls, 5 + i, change->defaults[i]);
	return plan_execute(&update_profile_row, values, nulls, false) > 0;
}

/* Upserts the reported device.  Inside a scope. */
static void
store_installation(const pg_uuid_t *profile_id, const AttributeChange *change, TimestampTz now)
{
	Datum		values[4 + N_DEVICE_FIELDS];
	char		nulls[4 + N_DEVICE_FIELDS + 1];

	memset(nulls, ' ', sizeof(nulls));
	values[0] = UUIDPGetDatum(profile_id);
	values[1] = CStringGetTextDatum(change->device_id);
	values[2] = TimestampTzGetDatum(now);
	values[3] = Int32GetDatum(change->device_mask);
	for (int i = 0; i < N_DEVICE_FIELDS; i++)
		bind_text(values, nulls, 4 + i, change->device[i]);
	plan_execute(&upsert_installation, values, nulls, false);
}

/* Upserts and deletes rows beside the profile, as a JSON object names them.  Inside a scope. */
static void
store_beside(SavedPlan *delete_plan, SavedPlan *upsert_plan, const pg_uuid_t *profile_id,
			 Jsonb *rows, TimestampTz now)
{
	Datum		values[3];

	values[0] = UUIDPGetDatum(profile_id);
	values[1] = JsonbPGetDatum(rows);
	values[2] = TimestampTzGetDatum(now);
	plan_execute(delete_plan, values, NULL, false);
	plan_execute(upsert_plan, values, NULL, false);
}

/* Writes a change.  The profile's row goes first: its lock holds off a deletion until we are done. */
static void
change_store(const UserRef *user, const pg_uuid_t *profile_id, const AttributeChange *change)
{
	TimestampTz now = clock_write_now();
	ApiScope	scope;

	if (change->default_mask == 0 && change->custom == NULL && change->device_id == NULL &&
		change->identifiers == NULL && change->attributions == NULL)
		return;
	scope_enter(&scope);
	if (change->custom != NULL)
		attribute_definitions_check(change->custom);
	if (!store_profile_row(profile_id, change, now))
		profile_not_found(user);
	if (change->device_id != NULL)
		store_installation(profile_id, change, now);
	if (change->identifiers != NULL)
		store_beside(&delete_identifiers, &upsert_identifiers, profile_id, change->identifiers, now);
	if (change->attributions != NULL)
		store_beside(&delete_attributions, &upsert_attributions, profile_id, change->attributions, now);
	scope_leave(&scope);
}

/* See attributes.h. */
void
attributes_apply(const UserRef *user, const pg_uuid_t *profile_id, Jsonb *attributes)
{
	AttributeChange change = {0};

	attribute_document_read(attributes, &change);
	change_store(user, profile_id, &change);
}

/* ---- SQL functions ---- */

/* The key of set_attribute() and get_attribute(): ERROR (22004) if null. */
static char *
arg_key(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("key must not be null")));
	return text_to_cstring(PG_GETARG_TEXT_PP(1));
}

/* The body of set_attribute() for a value of any type. */
static Datum
set_one(FunctionCallInfo fcinfo, UserRef user, const JsonbValue *value)
{
	char	   *key = arg_key(fcinfo);
	AttributeChange change = {0};
	pg_uuid_t	profile_id;

	user_check_caller(&user);
	refuse_unless_writable(fcinfo);
	attribute_pair_read(key, value, &change);
	user_resolve(&user, &profile_id);
	change_store(&user, &profile_id, &change);
	PG_RETURN_VOID();
}

/* set_attribute(user, key, value text) */
static Datum
set_attribute_text(FunctionCallInfo fcinfo, UserRef user)
{
	JsonbValue	value = {.type = jbvNull};

	if (!PG_ARGISNULL(2))
	{
		text	   *string = PG_GETARG_TEXT_PP(2);

		value.type = jbvString;
		value.val.string.val = VARDATA_ANY(string);
		value.val.string.len = (int) VARSIZE_ANY_EXHDR(string);
	}
	return set_one(fcinfo, user, &value);
}

/* set_attribute(user, key, value double precision) */
static Datum
set_attribute_number(FunctionCallInfo fcinfo, UserRef user)
{
	JsonbValue	value = {.type = jbvNull};

	if (!PG_ARGISNULL(2) && !number_value(PG_GETARG_FLOAT8(2), &value))
	{
		char	   *number = DatumGetCString(DirectFunctionCall1(float8out, PG_GETARG_DATUM(2)));

		value.type = jbvString;
		value.val.string.val = number;
		value.val.string.len = (int) strlen(number);
		attribute_refuse(arg_key(fcinfo), &value, "A number must be finite.");
	}
	return set_one(fcinfo, user, &value);
}

/* set_attribute(user, key, value boolean) */
static Datum
set_attribute_boolean(FunctionCallInfo fcinfo, UserRef user)
{
	JsonbValue	value = {.type = jbvNull};

	if (!PG_ARGISNULL(2))
	{
		value.type = jbvBool;
		value.val.boolean = PG_GETARG_BOOL(2);
	}
	return set_one(fcinfo, user, &value);
}

/* set_attribute(user, key, value jsonb) */
static Datum
set_attribute_jsonb(FunctionCallInfo fcinfo, UserRef user)
{
	JsonbValue	value = {.type = jbvNull};

	if (!PG_ARGISNULL(2))
	{
		Jsonb	   *jsonb = PG_GETARG_JSONB_P(2);

		if (!JB_ROOT_IS_SCALAR(jsonb) || !JsonbExtractScalar(&jsonb->root, &value))
		{
			value.type = jbvBinary;
			value.val.binary.data = &jsonb->root;
			value.val.binary.len = (int) (VARSIZE(jsonb) - VARHDRSZ);
		}
	}
	return set_one(fcinfo, user, &value);
}

/* set_attributes(user, attributes): each key as set_attribute() takes it, all or nothing. */
static Datum
set_attributes(FunctionCallInfo fcinfo, UserRef user)
{
	AttributeChange change = {0};
	pg_uuid_t	profile_id;

	user_check_caller(&user);
	refuse_unless_writable(fcinfo);
	attribute_pairs_read(arg_jsonb(fcinfo, 1, "attributes"), &change);
	user_resolve(&user, &profile_id);
	change_store(&user, &profile_id, &change);
	PG_RETURN_VOID();
}

/* All attributes of a user that are set, in the caller's context; by the active snapshot. */
static Jsonb *
read_all(const UserRef *user)
{
	ApiScope	scope;
	pg_uuid_t	profile_id;
	Datum		values[1];
	Jsonb	   *result;
	bool		isnull;

	user_check_caller(user);
	if (!user_lookup(user, NULL, &profile_id))
		profile_not_found(user);
	values[0] = UUIDPGetDatum(&profile_id);
	scope_enter(&scope);
	if (plan_execute(&read_attributes, values, NULL, true) == 0)
		profile_not_found(user);
	result = DatumGetJsonbP(scope_copy(&scope, 0, 1, &isnull));
	scope_leave(&scope);
	return result;
}

/* get_attributes(user) */
static Datum
get_attributes(FunctionCallInfo fcinfo, UserRef user)
{
	(void) fcinfo;
	PG_RETURN_JSONB_P(read_all(&user));
}

/* get_attribute(user, key): null if it is not set. */
static Datum
get_attribute(FunctionCallInfo fcinfo, UserRef user)
{
	char	   *key = arg_key(fcinfo);
	Jsonb	   *attributes;
	JsonbValue *value;

	user_check_caller(&user);
	attribute_key_check(key);
	attributes = read_all(&user);
	value = jsonb_object_get(attributes, key);
	if (value == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(value_to_jsonb(value));
}

FUNCTION_BY_USER(set_attribute_text);
FUNCTION_BY_USER(set_attribute_number);
FUNCTION_BY_USER(set_attribute_boolean);
FUNCTION_BY_USER(set_attribute_jsonb);
FUNCTION_BY_USER(set_attributes);
FUNCTION_BY_USER(get_attribute);
FUNCTION_BY_USER(get_attributes);
