/*
 * store_validation.h
 *		Asking a store for a purchase that a user names, and importing its history.
 */
#ifndef ADAPTY_STORE_VALIDATION_H
#define ADAPTY_STORE_VALIDATION_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "base/compat.h"
#include "base/errors.h"
#include "domain/ingest.h"
#include "domain/store_fetch.h"

/* An object of the store's, and the type of the event that would tell of it. */
typedef struct StoreObjectFound
{
	JsonNode	object;
	const char *type;
	TimestampTz moment;			/* when it was so */
	TimestampTz refunded_at;	/* of a refund that does not say it itself, else NO_TIME */
} StoreObjectFound;

/* A token that is being validated. */
typedef struct StoreValidation
{
	const struct ValidatedStore *store;
	StoreServer server;
	const char *environment;	/* whose key is used; a label of the enum */
	const char *token;
	List	   *objects;		/* StoreObjectFound: what the store told */
} StoreValidation;

/* What is different between the stores. */
typedef struct ValidatedStore
{
	const IngestProvider *provider;
	const char *title;			/* "Stripe" */
	const char *argument;		/* "stripe_token" */
	const char *const *prefixes;	/* of tokens, NULL-terminated */
	const char *token_detail;	/* what a token looks like */
	const char *version_header; /* which version of the API is asked for */
	const char *base_urls[2];	/* Production, Sandbox */
	AdaptyCondition no_key;
	AdaptyCondition not_found;
	/* asks for all that a token stands for */
	void		(*fetch) (StoreValidation *validation);
	/* a list's elements, whether there are more, and the name of the parameter that asks for more */
	const char *elements_path;
	const char *more_path;
	const char *after_parameter;
} ValidatedStore;

extern const ValidatedStore validated_stripe;
extern const ValidatedStore validated_paddle;

/* ---- for the stores' own files ---- */

/* ERROR: what the store knows by the token is no purchase. */
extern void validation_no_purchase(const StoreValidation *validation, const char *detail) pg_attribute_noreturn();

/* An answer as JSON: ERROR if the store refuses the key, knows no such thing, or says what makes no sense. */
extern JsonNode validation_read(const StoreValidation *validation, const StoreAnswer *answer);

/* The object of an answer at a path ("" for the whole): ERROR, too, unless it has that id. */
extern JsonNode validation_read_object(const StoreValidation *validation, const StoreAnswer *answer,
									   const char *path, const char *id);

/* Notes an object that the store told of. */
extern StoreObjectFound *validation_note(StoreValidation *validation, JsonNode object, const char *type,
										 TimestampTz moment);

/*
 * Notes all elements of a list, of which the first page is there; asks for the others.  The path has a
 * query already.  Elements are noted as events of a type, or, with NULL, only returned.
 */
extern List *validation_note_list(StoreValidation *validation, const StoreAnswer *first, const char *path,
								  const char *type);

/* An identifier at a path that may stand in an address; ERROR if it may not, NULL if there is none. */
extern const char *validation_id_at(const StoreValidation *validation, JsonNode node, const char *path);

#endif							/* ADAPTY_STORE_VALIDATION_H */
