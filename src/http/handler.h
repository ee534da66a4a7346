/*
 * handler.h
 *		The frame around every endpoint: a function of adapty_api that takes the raw body and answers
 *		with the raw response.
 *
 * An endpoint is written as
 *
 *		static void get_thing(HttpRequest *request, HttpResponse *response) { ... }
 *		HTTP_HANDLER(v2_get_thing, HTTP_OWN_PROFILE, get_thing);
 *
 * and declared in SQL as adapty_api.v2_get_thing(bytea) RETURNS adapty_api."*" "/" "*" (one
 * name), STABLE if it only reads.  It may raise any error: the frame rolls back what it did and answers in the API's form.
 */
#ifndef ADAPTY_HANDLER_H
#define ADAPTY_HANDLER_H

#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/jsonb.h"

#include "base/arg.h"
#include "base/errors.h"

/* Who may call. */
typedef enum HttpAccess
{
	HTTP_SERVER,				/* not a caller that is held to one profile, nor a public key */
	HTTP_OWN_PROFILE,			/* that too, for its own profile: the domain checks */
	HTTP_PUBLIC					/* any key */
} HttpAccess;

typedef struct HttpRequest
{
	FunctionCallInfo fcinfo;	/* of the endpoint's function */
	bytea	   *body;
	/* from the headers; NULL if not sent or empty */
	const char *customer_user_id;
	const char *profile_id;
	const char *platform;
	const char *idempotency_key;
	const char *content_type;	/* as the client sent it */
	const char *uri;			/* path and query as the client sent them; "" if not known */
	bool		is_parsing;		/* an error now is the body's fault */
} HttpRequest;

typedef struct HttpResponse
{
	int			status;			/* 200 unless changed */
	const char *content_type;	/* application/json unless changed */
	StringInfoData body;
} HttpResponse;

typedef void (*HttpHandler) (HttpRequest *request, HttpResponse *response);

typedef struct HttpRoute
{
	const char *name;
	HttpAccess	access;
	HttpHandler handler;
	AdaptyCondition no_profile; /* how the endpoint says that there is no such profile; 0: as most do */
	bool		is_json_api;	/* errors in JSON:API's form, as the Stripe endpoint has them */
} HttpRoute;

extern Datum http_run(FunctionCallInfo fcinfo, const HttpRoute *route);

/* Further members of HttpRoute may follow. */
#define HTTP_HANDLER(function_name, who, function, ...) \
	PG_FUNCTION_INFO_V1(adapty_api_##function_name); \
	Datum adapty_api_##function_name(PG_FUNCTION_ARGS) \
	{ \
		static const HttpRoute route = { \
			.name = #function_name, .access = who, .handler = function, __VA_ARGS__ \
		}; \
		return http_run(fcinfo, &route); \
	} \
	extern int	adapty_require_semicolon

/* ---- what handlers do ---- */

/* The body as JSON: ERROR (parse_error) if it is none, (unsupported_media_type) by its type. */
extern Jsonb *request_json(HttpRequest *request);

/* The same, an object; an empty body counts as one without members if empty_is_object. */
extern Jsonb *request_object(HttpRequest *request, bool empty_is_object);

/*
 * The user that the headers name.  ERROR (base_error) if neither header was sent; with both, they
 * must name the same profile.
 */
extern UserRef request_user(HttpRequest *request);

/* A path segment or query parameter as text; NULL if it is not there. */
extern char *request_segment(HttpRequest *request, int n);
extern char *request_query(HttpRequest *request, const char *name);

/*
 * Calls a domain function in its SQL form, as the caller: arguments as they are, null if the matching
 * character of nulls is 'n'.  The user is argument 0, so the first of args is argument 1.
 */
extern Datum call_for_user(HttpRequest *request, const UserRef *user, PGFunction by_customer_user_id,
						   PGFunction by_profile_id, int n, const Datum *args, const char *nulls);

/* The same for a function that is not about a user: args begin with argument 0, none is null. */
extern Datum call_function(HttpRequest *request, PGFunction function, int n, const Datum *args);

#endif							/* ADAPTY_HANDLER_H */
