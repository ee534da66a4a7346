/*
 * segment_words.c
 *		The words of the filter language: attributes, operators, units; numbers, dates and versions.
 *
 * Pure: see segment_tree.h.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "types/segment_build.h"

static const char *const genders[] = {"f", "m", "o", NULL};
static const char *const platforms[] = {"iOS", "macOS", "iPadOS", "visionOS", "Android", "web", NULL};
static const char *const statuses[] = {"organic", "non_organic", "unknown", NULL};
static const char *const states[] = {
	"never_subscribed", "active_trial", "trial_cancelled", "subscribed", "auto_renew_off",
	"grace_period", "billing_issue", "subscription_cancelled", NULL
};

const SegmentAttributeInfo segment_attributes[SEGMENT_N_ATTRIBUTES] = {
	[SEGMENT_AGE] = {"age", NULL, SEGMENT_TYPE_NUMBER, NULL},
	[SEGMENT_APP_VERSION] = {"app_version", NULL, SEGMENT_TYPE_VERSION, NULL},
	[SEGMENT_APP_VERSION_ON_INSTALL] = {"app_version_on_install", "installed_app_version", SEGMENT_TYPE_VERSION, NULL},
	[SEGMENT_ATTRIBUTION_AD_GROUP] = {"attribution_ad_group", NULL, SEGMENT_TYPE_TEXT, NULL},
	[SEGMENT_ATTRIBUTION_AD_SET] = {"attribution_ad_set", NULL, SEGMENT_TYPE_TEXT, NULL},
	[SEGMENT_ATTRIBUTION_CAMPAIGN] = {"attribution_campaign", NULL, SEGMENT_TYPE_TEXT, NULL},
	[SEGMENT_ATTRIBUTION_CHANNEL] = {"attribution_channel", NULL, SEGMENT_TYPE_TEXT, NULL},
	[SEGMENT_ATTRIBUTION_CREATIVE] = {"attribution_creative", NULL, SEGMENT_TYPE_TEXT, NULL},
	[SEGMENT_ATTRIBUTION_SOURCE] = {"attribution_source", NULL, SEGMENT_TYPE_TEXT, NULL},
	[SEGMENT_ATTRIBUTION_STATUS] = {"attribution_status", NULL, SEGMENT_TYPE_WORD, statuses},
	[SEGMENT_COUNTRY] = {"country", "ip_country", SEGMENT_TYPE_COUNTRY, NULL},
	[SEGMENT_CREATED_AT] = {"created_at", NULL, SEGMENT_TYPE_DATE, NULL},
	[SEGMENT_CUSTOMER_USER_ID] = {"customer_user_id", NULL, SEGMENT_TYPE_PRESENCE, NULL},
	[SEGMENT_DEVICE] = {"device", NULL, SEGMENT_TYPE_TEXT, NULL},
	[SEGMENT_GENDER] = {"gender", NULL, SEGMENT_TYPE_WORD, genders},
	[SEGMENT_INSTALLED_AT] = {"installed_at", NULL, SEGMENT_TYPE_DATE, NULL},
	[SEGMENT_LANGUAGE] = {"language", NULL, SEGMENT_TYPE_LANGUAGE, NULL},
	[SEGMENT_LAST_SEEN] = {"last_seen", "last_seen_at", SEGMENT_TYPE_DATE, NULL},
	[SEGMENT_OS] = {"os", NULL, SEGMENT_TYPE_TEXT, NULL},
	[SEGMENT_PLATFORM] = {"platform", NULL, SEGMENT_TYPE_WORD, platforms},
	[SEGMENT_STORE_COUNTRY] = {"store_country", NULL, SEGMENT_TYPE_COUNTRY, NULL},
	[SEGMENT_SUBSCRIPTION_EXPIRES_AT] = {"subscription_expires_at", NULL, SEGMENT_TYPE_DATE, NULL},
	[SEGMENT_SUBSCRIPTION_PRODUCT] = {"subscription_product", NULL, SEGMENT_TYPE_TEXT, NULL},
	[SEGMENT_SUBSCRIPTION_STATE] = {"subscription_state", NULL, SEGMENT_TYPE_WORD, states},
	[SEGMENT_TOTAL_REVENUE_USD] = {"total_revenue_usd", NULL, SEGMENT_TYPE_NUMBER, NULL},
	[SEGMENT_CUSTOM] = {"attr", NULL, SEGMENT_TYPE_CUSTOM, NULL},
};

const char *const segment_operators[SEGMENT_N_OPERATORS] = {
	[SEGMENT_EQ] = "=",
	[SEGMENT_NE] = "!=",
	[SEGMENT_LT] = "<",
	[SEGMENT_LE] = "<=",
	[SEGMENT_GT] = ">",
	[SEGMENT_GE] = ">=",
	[SEGMENT_IN] = "in",
	[SEGMENT_NOT_IN] = "not in",
	[SEGMENT_BETWEEN] = "between",
	[SEGMENT_NOT_BETWEEN] = "not between",
	[SEGMENT_IS_SET] = "is set",
	[SEGMENT_IS_NOT_SET] = "is not set",
};

const char *const segment_units[SEGMENT_N_UNITS] = {
	[SEGMENT_MINUTES] = "minutes",
	[SEGMENT_HOURS] = "hours",
	[SEGMENT_DAYS] = "days",
	[SEGMENT_WEEKS] = "weeks",
	[SEGMENT_MONTHS] = "months",
	[SEGMENT_YEARS] = "years",
};

/* See segment_build.h. */
bool
segment_is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* See segment_build.h. */
bool
segment_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* See segment_build.h: "lower" may have capitals too, they match either way. */
bool
segment_same_word(const char *word, size_t length, const char *lower)
{
	if (strlen(lower) != length)
		return false;
	for (size_t i = 0; i < length; i++)
	{
		char		a = word[i];
		char		b = lower[i];

		if (a >= 'A' && a <= 'Z')
			a = (char) (a - 'A' + 'a');
		if (b >= 'A' && b <= 'Z')
			b = (char) (b - 'A' + 'a');
		if (a != b)
			return false;
	}
	return true;
}

/* See segment_build.h. */
int
segment_find_attribute(const char *name, size_t length)
{
	for (int i = 0; i < SEGMENT_CUSTOM; i++)
		if (segment_same_word(name, length, segment_attributes[i].name) ||
			(segment_attributes[i].alias != NULL &&
			 segment_same_word(name, length, segment_attributes[i].alias)))
			return i;
	return -1;
}

/* See segment_build.h. */
int
segment_find_unit(const char *name, size_t length)
{
	for (int i = 0; i < SEGMENT_N_UNITS; i++)
	{
		char		singular[16];
		size_t		n = strlen(segment_units[i]) - 1;

		memcpy(singular, segment_units[i], n);
		singular[n] = '\0';
		if (segment_same_word(name, length, segment_units[i]) || segment_same_word(name, length, singular))
			return i;
	}
	return -1;
}

/* See segment_build.h. */
int64_t
segment_days(int year, int month, int day)
{
	/* Years begin in March, so that the leap day is the last. */
	int64_t		y = month <= 2 ? year - 1 : year;
	int64_t		era = y / 400;
	int64_t		year_of_era = y - era * 400;
	int64_t		day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64_t		day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return era * 146097 + day_of_era - 730425;	/* days from 0000-03-01 to 2000-01-01 */
}

/* See segment_build.h.  Dates of year 0 or later. */
void
segment_date(int64_t days, int *year, int *month, int *day)
{
	int64_t		z = days + 730425;
	int64_t		era = z / 146097;
	int64_t		day_of_era = z - era * 146097;
	int64_t		year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t		day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t		m = (5 * day_of_year + 2) / 153;

	*day = (int) (day_of_year - (153 * m + 2) / 5 + 1);
	*month = (int) (m < 10 ? m + 3 : m - 9);
	*year = (int) (year_of_era + era * 400 + (*month <= 2 ? 1 : 0));
}

/* See segment_tree.h. */
void
segment_format_number(double number, char *buffer)
{
	if (number == 0)
		number = 0;				/* no negative zero */
	for (int digits = 15; digits <= 17; digits++)
	{
		snprintf(buffer, SEGMENT_NUMBER_SIZE, "%.*g", digits, number);
		if (strtod(buffer, NULL) == number)
			break;
	}
}

/* Length of an identifier of letters, digits and "-" at p; 0 if there is none.  *numeric: digits only. */
static size_t
identifier_length(const char *p, const char *end, bool *numeric)
{
	const char *start = p;

	*numeric = true;
	while (p < end && (segment_is_digit(*p) || segment_is_letter(*p) || *p == '-'))
	{
		if (!segment_is_digit(*p))
			*numeric = false;
		p++;
	}
	return (size_t) (p - start);
}

/* Adds a number without leading zeros: more digits are a larger number. */
static int
put_number(unsigned char *key, int n, const char *digits, size_t length)
{
	key[n++] = (unsigned char) length;
	memcpy(key + n, digits, length);
	return n + (int) length;
}

/* Adds the pre-release at *p, after its "-": the key's length, or -1. */
static int
put_prerelease(unsigned char *key, int n, const char **p, const char *end)
{
	for (;;)
	{
		bool		numeric;
		size_t		length = identifier_length(*p, end, &numeric);

		if (length == 0 || (numeric && length > 1 && **p == '0'))
			return -1;
		/* Numbers before words; a word ends with a byte below all letters. */
		if (numeric)
		{
			key[n++] = 1;
			n = put_number(key, n, *p, length);
		}
		else
		{
			key[n++] = 2;
			memcpy(key + n, *p, length);
			n += (int) length;
			key[n++] = 0;
		}
		*p += length;
		if (*p == end || **p != '.')
			break;
		(*p)++;
	}
	/* Fewer identifiers come first. */
	key[n++] = 0;
	return n;
}

/* See segment_tree.h.  SemVer 2.0.0, sections 2, 9, 10 and 11. */
int
segment_version_key(const char *text, size_t length, unsigned char *key)
{
	const char *p = text;
	const char *end = text + length;
	bool		numeric;
	int			n = 0;

	if (length > SEGMENT_MAX_VERSION)
		return -1;
	for (int part = 0; part < 3; part++)
	{
		const char *digits = p;

		while (p < end && segment_is_digit(*p))
			p++;
		if (p == digits || (*digits == '0' && p - digits > 1))
			return -1;
		n = put_number(key, n, digits, (size_t) (p - digits));
		if (part < 2 && (p == end || *p++ != '.'))
			return -1;
	}
	/* A release comes after its pre-releases. */
	if (p < end && *p == '-')
	{
		p++;
		n = put_prerelease(key, n, &p, end);
		if (n < 0)
			return -1;
	}
	else
		key[n++] = 3;
	if (p < end && *p == '+')
	{
		do
		{
			size_t		build;

			p++;
			build = identifier_length(p, end, &numeric);
			if (build == 0)
				return -1;
			p += build;
		} while (p < end && *p == '.');
	}
	return p == end ? n : -1;
}
