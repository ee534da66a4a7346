/*
 * webhook_check.h
 *		What a webhook's URL, header value, secret and names may be.
 */
#ifndef ADAPTY_WEBHOOK_CHECK_H
#define ADAPTY_WEBHOOK_CHECK_H

#include "postgres.h"

#include "utils/jsonb.h"

#define MAX_WEBHOOK_ID 64		/* characters */
#define MAX_WEBHOOK_URL 2000	/* characters */
#define MAX_AUTHORIZATION 4096	/* characters */
#define MAX_EVENT_NAME 255		/* characters */

/* ERROR (22023) if it is not 1 to 64 letters, digits, "_", "." or "-". */
extern void check_webhook_id(const char *id);

/* ERROR (22023) if it is not an absolute http or https URL without user, fragment or control characters. */
extern void check_webhook_url(const char *url);

/* ERROR (22023) if it is not printable ASCII, or begins or ends with a blank; never shows the value. */
extern void check_authorization_value(const char *value);

/* ERROR (22023) if it is not "whsec_" and base64 of 24 to 64 bytes; never shows the value. */
extern void check_signing_secret(const char *secret);

/* A new secret of 32 random bytes. */
extern char *make_signing_secret(void);

/* ERROR (22023) if it is not an object whose keys are event types and whose values are names. */
extern void check_event_names(Jsonb *names);

#endif							/* ADAPTY_WEBHOOK_CHECK_H */
