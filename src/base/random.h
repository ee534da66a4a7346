/*
 * random.h
 *		Strong randomness.
 */
#ifndef ADAPTY_RANDOM_H
#define ADAPTY_RANDOM_H

#include "postgres.h"

/* Fills 1 to 256 bytes that nobody can guess.  ERROR (XX000) if the system has none. */
extern void random_bytes(unsigned char *bytes, int n);

#endif							/* ADAPTY_RANDOM_H */
