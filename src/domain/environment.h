/*
 * environment.h
 *		Settings of an environment (Production, Sandbox): who shares access, how long stores retry, timers.
 */
#ifndef ADAPTY_ENVIRONMENT_H
#define ADAPTY_ENVIRONMENT_H

#include "postgres.h"

#include "datatype/timestamp.h"

typedef enum AccessSharing
{
	ACCESS_SHARING_ENABLED,
	ACCESS_SHARING_TRANSFER,
	ACCESS_SHARING_DISABLED
} AccessSharing;

/* All inside an open scope; environment is a label of the enum. */
extern AccessSharing environment_access_sharing(const char *environment);

/* How long after the end a store tries to charge: microseconds, from 0. */
extern int64 environment_retry_period(const char *environment);

/*
 * When trial_active (is_trial) or subscription_active is due for what began at a moment; false if
 * the event is not wanted.
 */
extern bool environment_active_at(const char *environment, bool is_trial, TimestampTz began_at,
								  TimestampTz *active_at);

#endif							/* ADAPTY_ENVIRONMENT_H */
