/*
 * v2_body.h
 *		Bodies that several v2 endpoints answer with.
 */
#ifndef ADAPTY_V2_BODY_H
#define ADAPTY_V2_BODY_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "http/handler.h"

/* {"data": Profile} */
extern void v2_profile_body(HttpResponse *response, Jsonb *profile);

/* The same of a user as it is now, this request's changes included: for endpoints that write. */
extern void v2_profile_after(HttpResponse *response, const UserRef *user);

#endif							/* ADAPTY_V2_BODY_H */
