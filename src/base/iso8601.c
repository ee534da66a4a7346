/*
 * iso8601.c
 *		Reading dates and times as the API and the stores write them.
 *
 * The server's own input functions are too kind for this: they take words, many formats, and the
 * session's TimeZone and DateStyle into account, so that the same report could mean two moments.
 * The parser is a pure function.
 */
#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/datetime.h"

#include "base/iso8601.h"

/* Reads exactly n digits and moves on; false if there are fewer. */
static bool
read_digits(const char **p, int n, int *value)
{
	*value = 0;
	for (int i = 0; i < n; i++)
	{
		char		c = **p;

		if (c < '0' || c > '9')
			return false;
		*value = *value * 10 + (c - '0');
		(*p)++;
	}
	return true;
}

/* Reads one expected character and moves on. */
static bool
read_char(const char **p, char expected)
{
	if (**p != expected)
		return false;
	(*p)++;
	return true;
}

/* Reads ".fraction" if there is one, in microseconds; digits after the sixth are dropped. */
static bool
read_fraction(const char **p, int *microseconds)
{
	int			digits = 0;

	*microseconds = 0;
	if (**p != '.')
		return true;
	(*p)++;
	for (; **p >= '0' && **p <= '9'; (*p)++, digits++)
	{
		if (digits < 6)
			*microseconds = *microseconds * 10 + (**p - '0');
	}
	if (digits < 1 || digits > 9)
		return false;
	for (; digits < 6; digits++)
		*microseconds *= 10;
	return true;
}

/* Reads the zone, in seconds east of UTC; none is UTC. */
static bool
read_zone(const char **p, int *seconds)
{
	int			sign;
	int			hours;
	int			minutes = 0;

	*seconds = 0;
	if (**p == '\0')
		return true;
	if (**p == 'Z' || **p == 'z')
	{
		(*p)++;
		return true;
	}
	if (**p != '+' && **p != '-')
		return false;
	sign = **p == '+' ? 1 : -1;
	(*p)++;
	if (!read_digits(p, 2, &hours))
		return false;
	if (**p != '\0')
	{
		if (**p == ':')
			(*p)++;
		if (!read_digits(p, 2, &minutes))
			return false;
	}
	if (hours > 15 || minutes > 59)
		return false;
	*seconds = sign * (hours * SECS_PER_HOUR + minutes * SECS_PER_MINUTE);
	return true;
}

/* See iso8601.h. */
bool
iso8601_parse(const char *text, TimestampTz *result)
{
	const char *p = text;
	int			year,
				month,
				day,
				hour,
				minute,
				second,
				microseconds,
				zone;
	int64		seconds;

	if (!read_digits(&p, 4, &year) || !read_char(&p, '-') ||
		!read_digits(&p, 2, &month) || !read_char(&p, '-') || !read_digits(&p, 2, &day))
		return false;
	if (!read_char(&p, 'T') && !read_char(&p, 't') && !read_char(&p, ' '))
		return false;
	if (!read_digits(&p, 2, &hour) || !read_char(&p, ':') ||
		!read_digits(&p, 2, &minute) || !read_char(&p, ':') || !read_digits(&p, 2, &second) ||
		!read_fraction(&p, &microseconds) || !read_zone(&p, &zone) || *p != '\0')
		return false;
	if (year < 1 || month < 1 || month > 12 || day < 1 || day > day_tab[isleap(year)][month - 1] ||
		hour > 23 || minute > 59 || second > 59)
		return false;
	seconds = (int64) (date2j(year, month, day) - POSTGRES_EPOCH_JDATE) * SECS_PER_DAY +
		hour * SECS_PER_HOUR + minute * SECS_PER_MINUTE + second - zone;
	*result = seconds * USECS_PER_SEC + microseconds;
	return true;
}
