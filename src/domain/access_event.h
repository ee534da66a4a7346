/*
 * access_event.h
 *		Facts of access_level_updated: what a user has after the change, when its cause does not say it.
 */
#ifndef ADAPTY_ACCESS_EVENT_H
#define ADAPTY_ACCESS_EVENT_H

#include "postgres.h"

#include "domain/grant_row.h"
#include "domain/settle.h"
#include "utils/jsonb.h"

/*
 * event_properties of a change.  An event names its cause; where another source gives the level
 * afterwards, that is named too, and the facts of the cause are left out.  NULL for none.
 */
extern Jsonb *access_event_properties(const AccessSnapshot *after, const GrantChange *cause);

#endif							/* ADAPTY_ACCESS_EVENT_H */
