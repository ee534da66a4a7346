/*
 * attributes.h
 *		Attributes of a profile: checked, stored, read.
 */
#ifndef ADAPTY_ATTRIBUTES_H
#define ADAPTY_ATTRIBUTES_H

#include "postgres.h"

#include "base/arg.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

#define MAX_CUSTOM_ATTRIBUTES 30	/* a profile */
#define MAX_CUSTOM_KEY 30			/* bytes, all of them ASCII */
#define MAX_CUSTOM_VALUE 50			/* characters of a string */

/*
 * Checks and stores the attributes of create_profile() and update_profile(): default attributes by
 * name, custom_attributes, installation_meta, integration_identifiers, attributions.  ERROR (22023)
 * naming the key and value that is wrong, (54000) if there would be too many custom attributes,
 * (PT404) if the profile is not there; user is how that error names it.
 */
extern void attributes_apply(const UserRef *user, const pg_uuid_t *profile_id, Jsonb *attributes);

#endif							/* ADAPTY_ATTRIBUTES_H */
