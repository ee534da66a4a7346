/*
 * random.c
 *		Strong randomness.
 */
#include "postgres.h"

#include "base/random.h"

/* See random.h.  From a buffer: one call to the system serves many. */
void
random_bytes(unsigned char *bytes, int n)
{
	static unsigned char buffer[256];
	static int	left = 0;

	Assert(n > 0 && n <= (int) sizeof(buffer));
	if (left < n)
	{
		left = 0;
		if (!pg_strong_random(buffer, sizeof(buffer)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random values")));
		left = sizeof(buffer);
	}
	left -= n;
	memcpy(bytes, buffer + left, n);
	/* what was given out is kept nowhere */
	explicit_bzero(buffer + left, n);
}
