/*
 * api_key.h
 *		API keys: made, known again, revoked.
 */
#ifndef ADAPTY_API_KEY_H
#define ADAPTY_API_KEY_H

#include "postgres.h"

typedef struct ApiKey
{
	bool		is_secret;		/* else public */
	char	   *name;
	char	   *environment;	/* Production or Sandbox */
} ApiKey;

/*
 * Is it a key that is in force?  Fills *key in the current memory context if so, and notes the use
 * where the transaction may write.
 */
extern bool api_key_find(const char *text, ApiKey *key);

#endif							/* ADAPTY_API_KEY_H */
