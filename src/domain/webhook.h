/*
 * webhook.h
 *		Webhooks: the functions that define, enable and resend.
 */
#ifndef ADAPTY_WEBHOOK_H
#define ADAPTY_WEBHOOK_H

#include "postgres.h"

/* Is there a webhook that is enabled or to be verified? */
extern bool webhooks_in_use(void);

#endif							/* ADAPTY_WEBHOOK_H */
