/*
 * signature.h
 *		Signing requests by the Standard Webhooks convention.
 */
#ifndef ADAPTY_SIGNATURE_H
#define ADAPTY_SIGNATURE_H

#include "postgres.h"

/*
 * The value of webhook-signature: "v1," and the base64 of HMAC-SHA256 over "id.timestamp.body",
 * once for each secret, the newest first.  secrets are "whsec_" and base64; NULL ones are left out.
 * NULL if there is none.
 */
extern char *signature_header(const char *const *secrets, int n, const char *id, const char *timestamp,
							  const char *body);

#endif							/* ADAPTY_SIGNATURE_H */
