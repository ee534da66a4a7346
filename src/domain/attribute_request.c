/*
 * attribute_request.c
 *		Reading requests about attributes: from JSON to what is to be stored.
 *
 * A request is read whole into an AttributeChange before anything is written, so that every error
 * comes first and nothing is stored of a request that is wrong.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "base/compat.h"
#include "base/errors.h"
#include "domain/attribute_check.h"
#include "domain/attribute_request.h"

#define MAX_ATTRIBUTION_SOURCE 64

/* Default attributes: the order is that of the bits and parameters of attributes.c. */
static const AttributeSpec default_specs[N_DEFAULT_ATTRIBUTES] = {
	{"first_name", KIND_TEXT, 255},
	{"last_name", KIND_TEXT, 255},
	{"gender", KIND_GENDER, 64},
	{"email", KIND_EMAIL, 320},
	{"phone_number", KIND_TEXT, 64},
	{"birthday", KIND_BIRTHDAY, 64},
	{"ip_country", KIND_COUNTRY, 64},
	{"ip_v4_address", KIND_IP_V4_ADDRESS, 64},
	{"store_country", KIND_COUNTRY, 64},
	{"store", KIND_STORE, 64},
	{"store_account_token", KIND_UUID, 64},
	{"att_status", KIND_ATT_STATUS, 64},
	{"analytics_disabled", KIND_BOOLEAN, 64},
};

/* Fields of installation_meta: the order is that of attributes.c. */
static const AttributeSpec device_specs[N_DEVICE_FIELDS] = {
	{"platform", KIND_PLATFORM, 64},
	{"device", KIND_TEXT, 255},
	{"locale", KIND_TEXT, 64},
	{"os", KIND_TEXT, 255},
	{"timezone", KIND_TEXT, 64},
	{"user_agent", KIND_TEXT, 1024},
	{"app_version", KIND_TEXT, 64},
	{"app_build", KIND_TEXT, 64},
	{"adapty_sdk_version", KIND_TEXT, 64},
	{"idfa", KIND_TEXT, 64},
	{"idfv", KIND_TEXT, 64},
	{"advertising_id", KIND_TEXT, 64},
	{"android_id", KIND_TEXT, 64},
	{"android_app_set_id", KIND_TEXT, 64},
};

static const AttributeSpec device_id_spec = {"device_id", KIND_UUID, 64};

/* The table's CHECK has the same list. */
static const AttributeSpec identifier_specs[] = {
	{"adjust_device_id", KIND_TEXT, 255}, {"airbridge_device_id", KIND_TEXT, 255},
	{"amplitude_device_id", KIND_TEXT, 255}, {"amplitude_user_id", KIND_TEXT, 255},
	{"appmetrica_device_id", KIND_TEXT, 255}, {"appmetrica_profile_id", KIND_TEXT, 255},
	{"appsflyer_id", KIND_TEXT, 255}, {"branch_id", KIND_TEXT, 255},
	{"facebook_anonymous_id", KIND_TEXT, 255}, {"firebase_app_instance_id", KIND_TEXT, 255},
	{"mixpanel_user_id", KIND_TEXT, 255}, {"one_signal_player_id", KIND_TEXT, 255},
	{"one_signal_subscription_id", KIND_TEXT, 255}, {"posthog_distinct_user_id", KIND_TEXT, 255},
	{"pushwoosh_hwid", KIND_TEXT, 255}, {"tenjin_analytics_installation_id", KIND_TEXT, 255},
};

static const AttributeSpec attribution_specs[] = {
	{"status", KIND_ATTRIBUTION_STATUS, 64},
	{"network_user_id", KIND_TEXT, 255}, {"channel", KIND_TEXT, 255}, {"campaign", KIND_TEXT, 255},
	{"ad_group", KIND_TEXT, 255}, {"ad_set", KIND_TEXT, 255}, {"creative", KIND_TEXT, 255},
};

/* What the extension itself keeps of a profile: not to be set, nor shadowed by a custom attribute. */
static const char *const maintained_names[] = {
	"app_id", "profile_id", "customer_user_id", "created_at", "updated_at", "last_seen_at",
	"subscription_state", "total_revenue_usd", "segment_hash", "access_levels", "subscriptions",
	"non_subscriptions", "custom_attributes", "installation_meta", "integration_identifiers",
	"attributions",
};

/* See attribute_request.h. */
Jsonb *
value_to_jsonb(const JsonbValue *value)
{
	JsonbValue	copy = *value;

	return JsonbValueToJsonb(&copy);
}

/* The JSON object that a key must have; ERROR (22023) if it is something else. */
static Jsonb *
object_of(const char *key, const JsonbValue *value)
{
	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		attribute_refuse(key, value, "It must be an object.");
	return value_to_jsonb(value);
}

/* ERROR (22023) if a request is not an object. */
static void
check_is_object(Jsonb *attributes)
{
	if (!JB_ROOT_IS_OBJECT(attributes))
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("attributes must be a JSON object")));
}

/* ERROR (22023): a key that nobody knows. */
static void pg_attribute_noreturn()
report_unknown_key(const char *where, const char *key, const char *hint)
{
	ereport(ERROR,
			(condition_errcode(COND_BASE_ERROR),
			 errmsg("unknown key \"%s\" in %s", key, where),
			 errhint("%s", hint)));
}

/* A key of an object being iterated, as a C string. */
static char *
key_string(const JsonbValue *key)
{
	return pnstrdup(key->val.string.val, key->val.string.len);
}

/* One element of the array form of custom_attributes: {"key": ..., "value": ...} and nothing else. */
static void
custom_array_element(JsonbBuild *patch, const JsonbValue *element)
{
	Jsonb	   *object;
	JsonbValue *key;
	JsonbValue *value;

	if (element->type != jbvBinary || !JsonContainerIsObject(element->val.binary.data))
		attribute_refuse("custom_attributes", element,
						 "Each element must be an object with \"key\" and \"value\".");
	object = value_to_jsonb(element);
	key = jsonb_object_get(object, "key");
	value = jsonb_object_get(object, "value");
	if (key == NULL || key->type != jbvString || value == NULL || JB_ROOT_COUNT(object) != 2)
		attribute_refuse("custom_attributes", element,
						 "Each element must be an object with \"key\", a string, and \"value\".");
	custom_attribute_add(patch, key_string(key), value);
}

/* custom_attributes: the API's array of {key, value}, or an object. */
static Jsonb *
parse_custom(const JsonbValue *value)
{
	JsonbBuild	patch;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	item;
	char	   *key = NULL;

	if (value->type != jbvBinary)
		attribute_refuse("custom_attributes", value,
						 "It must be an object, or an array of objects with \"key\" and \"value\".");
	jb_init(&patch);
	jb_begin_object(&patch);
	iterator = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = key_string(&item);
		else if (token == WJB_VALUE)
			custom_attribute_add(&patch, key, &item);
		else if (token == WJB_ELEM)
			custom_array_element(&patch, &item);
	}
	jb_end_object(&patch);
	return jb_finish(&patch);
}

/* installation_meta: an object with device_id and what is known of the device. */
static void
parse_installation(const JsonbValue *value, AttributeChange *change)
{
	Jsonb	   *object = object_of("installation_meta", value);
	JsonbIterator *iterator = JsonbIteratorInit(&object->root);
	JsonbIteratorToken token;
	JsonbValue	item;
	int			field = -1;

	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			field = attribute_find(device_specs, N_DEVICE_FIELDS, item.val.string.val, item.val.string.len);
			if (field < 0 && attribute_find(&device_id_spec, 1, item.val.string.val, item.val.string.len) < 0)
				report_unknown_key("installation_meta", key_string(&item),
								   "It takes device_id and the fields of the API's InstallationMeta.");
		}
		else if (token == WJB_VALUE && field < 0)
			change->device_id = attribute_check("installation_meta.", &device_id_spec, &item);
		else if (token == WJB_VALUE)
		{
			change->device[field] = attribute_check("installation_meta.", &device_specs[field], &item);
			change->device_mask |= 1 << field;
		}
	}
	if (change->device_id == NULL)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("installation_meta has no \"device_id\""),
				 errhint("Give a UUID that stays the same for the device.")));
}

/* Adds the checked fields of an object to the object under construction; empty ones as null. */
static void
copy_checked(JsonbBuild *jb, const char *where, const AttributeSpec *specs, int n, Jsonb *object)
{
	JsonbIterator *iterator = JsonbIteratorInit(&object->root);
	JsonbIteratorToken token;
	JsonbValue	item;
	int			field = -1;

	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			field = attribute_find(specs, n, item.val.string.val, item.val.string.len);
			if (field < 0)
				report_unknown_key(where, key_string(&item), "Its keys are named as in the API.");
		}
		else if (token == WJB_VALUE)
		{
			jb_key(jb, specs[field].name);
			jb_string(jb, attribute_check(psprintf("%s.", where), &specs[field], &item));
		}
	}
}

/* integration_identifiers: an object of names and texts. */
static Jsonb *
parse_identifiers(const JsonbValue *value)
{
	JsonbBuild	jb;

	jb_init(&jb);
	jb_begin_object(&jb);
	copy_checked(&jb, "integration_identifiers", identifier_specs, (int) lengthof(identifier_specs),
				 object_of("integration_identifiers", value));
	jb_end_object(&jb);
	return jb_finish(&jb);
}

/* attributions: an object of sources, each an object of fields, or null to forget it. */
static Jsonb *
parse_attributions(const JsonbValue *value)
{
	Jsonb	   *object = object_of("attributions", value);
	JsonbIterator *iterator = JsonbIteratorInit(&object->root);
	JsonbIteratorToken token;
	JsonbValue	item;
	JsonbBuild	jb;
	char	   *where = NULL;

	jb_init(&jb);
	jb_begin_object(&jb);
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			AttributeSpec source = {"source", KIND_TEXT, MAX_ATTRIBUTION_SOURCE};
			char	   *name = attribute_check("attributions.", &source, &item);

			if (name == NULL)
				attribute_refuse("attributions.source", &item, "It must not be empty.");
			where = psprintf("attributions.%s", name);
			jb_key(&jb, name);
		}
		else if (token == WJB_VALUE && item.type == jbvNull)
			jb_null(&jb);
		else if (token == WJB_VALUE)
		{
			jb_begin_object(&jb);
			copy_checked(&jb, where, attribution_specs, (int) lengthof(attribution_specs),
						 object_of(where, &item));
			jb_end_object(&jb);
		}
	}
	jb_end_object(&jb);
	return jb_finish(&jb);
}

/* Takes a default attribute; false if the key is of none. */
static bool
parse_default(const char *key, const JsonbValue *value, AttributeChange *change)
{
	int			i = attribute_find(default_specs, N_DEFAULT_ATTRIBUTES, key, (int) strlen(key));

	if (i < 0)
		return false;
	change->defaults[i] = attribute_check("", &default_specs[i], value);
	change->default_mask |= 1 << i;
	return true;
}

/* See attribute_request.h. */
void
attribute_document_read(Jsonb *attributes, AttributeChange *change)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	item;
	char	   *key = NULL;

	check_is_object(attributes);
	iterator = JsonbIteratorInit(&attributes->root);
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = key_string(&item);
		if (token != WJB_VALUE || parse_default(key, &item, change))
			continue;
		if (strcmp(key, "custom_attributes") == 0)
			change->custom = parse_custom(&item);
		else if (strcmp(key, "installation_meta") == 0)
			parse_installation(&item, change);
		else if (strcmp(key, "integration_identifiers") == 0)
			change->identifiers = parse_identifiers(&item);
		else if (strcmp(key, "attributions") == 0)
			change->attributions = parse_attributions(&item);
		else
			report_unknown_key("attributes", key,
							   "Attributes of your own go into \"custom_attributes\".");
	}
}

/* See attribute_request.h. */
void
attribute_key_check(const char *key)
{
	if (attribute_find(device_specs, N_DEVICE_FIELDS, key, (int) strlen(key)) >= 0 ||
		attribute_find(&device_id_spec, 1, key, (int) strlen(key)) >= 0)
		ereport(ERROR,
				(condition_errcode(COND_BASE_ERROR),
				 errmsg("\"%s\" is a device's, not the user's", key),
				 errhint("Report it with its device: adapty.update_profile(user, '{\"installation_meta\": {\"device_id\": ..., \"%s\": ...}}').",
						 key)));
	for (int i = 0; i < (int) lengthof(maintained_names); i++)
		if (strcmp(key, maintained_names[i]) == 0)
			ereport(ERROR,
					(condition_errcode(COND_BASE_ERROR),
					 errmsg("\"%s\" is not an attribute", key),
					 errdetail("It is part of the profile and has functions of its own."),
					 errhint("See adapty.get_profile() and adapty.update_profile().")));
}

/* Takes one attribute of set_attribute(s); custom ones are added to the patch. */
static void
read_pair(const char *key, const JsonbValue *value, AttributeChange *change, JsonbBuild *patch,
		  bool *has_custom)
{
	if (parse_default(key, value, change))
		return;
	attribute_key_check(key);
	custom_attribute_add(patch, key, value);
	*has_custom = true;
}

/* See attribute_request.h. */
void
attribute_pair_read(const char *key, const JsonbValue *value, AttributeChange *change)
{
	JsonbBuild	patch;
	bool		has_custom = false;

	jb_init(&patch);
	jb_begin_object(&patch);
	read_pair(key, value, change, &patch, &has_custom);
	jb_end_object(&patch);
	if (has_custom)
		change->custom = jb_finish(&patch);
}

/* See attribute_request.h. */
void
attribute_pairs_read(Jsonb *attributes, AttributeChange *change)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	item;
	JsonbBuild	patch;
	char	   *key = NULL;
	bool		has_custom = false;

	check_is_object(attributes);
	jb_init(&patch);
	jb_begin_object(&patch);
	iterator = JsonbIteratorInit(&attributes->root);
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = key_string(&item);
		else if (token == WJB_VALUE)
			read_pair(key, &item, change, &patch, &has_custom);
	}
	jb_end_object(&patch);
	if (has_custom)
		change->custom = jb_finish(&patch);
}
