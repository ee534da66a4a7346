/*
 * v1_body.h
 *		What the endpoints of version 1 share: the user in the path, the profile in the answer.
 */
#ifndef ADAPTY_V1_BODY_H
#define ADAPTY_V1_BODY_H

#include "postgres.h"

#include "http/handler.h"

/*
 * The user of /api/v1/sdk/profiles/{profile_id_or_customer_user_id}/...: a profile_id if it is a UUID
 * and there is such a profile, else a customer_user_id; Base64URL if the query says so.  ERROR
 * (validation_error) if it is not that.
 */
extern UserRef v1_path_user(HttpRequest *request);

/* {"data": profile}; extended adds the attributes.  as_of_snapshot: for endpoints that only read. */
extern void v1_profile_body(HttpResponse *response, const UserRef *user, bool extended,
							bool as_of_snapshot);

#endif							/* ADAPTY_V1_BODY_H */
