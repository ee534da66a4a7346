/*
 * url.c
 *		Taking apart the path and query of a request, as clients send them.
 *
 * Pieces are cut out first and decoded then, so that an encoded "/", "?" or "&" is text.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "base/url.h"

/* The value of a hex digit; -1 if it is none. */
static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Bytes as text of the server's encoding; NULL if they are not UTF-8 or have a NUL byte. */
static char *
text_of_utf8(char *bytes, int length)
{
	bytes[length] = '\0';
	if (memchr(bytes, '\0', length) != NULL || !pg_verify_mbstr(PG_UTF8, bytes, length, true))
		return NULL;
	return pg_any_to_server(bytes, length, PG_UTF8);
}

/* Percent-decoded text; NULL if it is not valid. */
static char *
percent_decode(const char *from, int length, bool plus_is_blank)
{
	char	   *bytes = palloc(length + 1);
	int			n = 0;

	for (int i = 0; i < length; i++)
	{
		if (from[i] == '%')
		{
			int			high = i + 2 < length ? hex_digit(from[i + 1]) : -1;
			int			low = i + 2 < length ? hex_digit(from[i + 2]) : -1;

			if (high < 0 || low < 0)
				return NULL;
			bytes[n++] = (char) (high << 4 | low);
			i += 2;
		}
		else
			bytes[n++] = plus_is_blank && from[i] == '+' ? ' ' : from[i];
	}
	return text_of_utf8(bytes, n);
}

/* See url.h. */
char *
url_path_segment(const char *uri, int n)
{
	const char *begin = uri;

	for (int i = 0;; i++)
	{
		int			length;

		if (*begin != '/')
			return NULL;
		begin++;
		length = (int) strcspn(begin, "/?#");
		if (i == n)
			return length == 0 ? NULL : percent_decode(begin, length, false);
		begin += length;
	}
}

/* See url.h. */
char *
url_query_parameter(const char *uri, const char *name)
{
	const char *at = strchr(uri, '?');
	char	   *value = NULL;

	while (at != NULL && *at != '\0' && *at != '#')
	{
		const char *parameter = at + 1;
		int			length = (int) strcspn(parameter, "&#");
		int			name_length = (int) strcspn(parameter, "=&#");
		char	   *decoded = percent_decode(parameter, name_length, true);

		if (decoded != NULL && strcmp(decoded, name) == 0)
			value = name_length == length ? pstrdup("") :
				percent_decode(parameter + name_length + 1, length - name_length - 1, true);
		at = parameter + length;
	}
	return value;
}

/* The value of a Base64URL digit; -1 if it is none. */
static int
base64url_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	return c == '_' ? 63 : -1;
}

/* See url.h. */
char *
base64url_decode(const char *text)
{
	int			length = (int) strlen(text);
	char	   *bytes = palloc(length + 1);
	uint32		bits = 0;
	int			n_bits = 0;
	int			n = 0;

	while (length > 0 && text[length - 1] == '=' && strlen(text) - length < 2)
		length--;
	if (length % 4 == 1 || (text[length] == '=' && strlen(text) % 4 != 0))
		return NULL;
	for (int i = 0; i < length; i++)
	{
		int			digit = base64url_digit(text[i]);

		if (digit < 0)
			return NULL;
		bits = bits << 6 | (uint32) digit;
		n_bits += 6;
		if (n_bits >= 8)
		{
			n_bits -= 8;
			bytes[n++] = (char) (bits >> n_bits & 0xff);
		}
	}
	/* What is left over of the last digit must be zero, else two texts would mean one id. */
	if ((bits & ((1U << n_bits) - 1)) != 0)
		return NULL;
	return text_of_utf8(bytes, n);
}
