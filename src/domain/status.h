/*
 * status.h
 *		Readers of access: what a user has, at any time, and why.
 */
#ifndef ADAPTY_STATUS_H
#define ADAPTY_STATUS_H

#include "postgres.h"

#include "domain/grant.h"

/*
 * The adapty.access_level of a level's sources at a moment of the profile's clock, with the facts
 * of the purchase behind the winning source.  The group must hold at least one source.
 */
extern Datum access_level_form(const GrantGroup *group, TimestampTz profile_now);

#endif							/* ADAPTY_STATUS_H */
