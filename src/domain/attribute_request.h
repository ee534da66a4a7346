/*
 * attribute_request.h
 *		Reading requests about attributes: from JSON to what is to be stored.
 */
#ifndef ADAPTY_ATTRIBUTE_REQUEST_H
#define ADAPTY_ATTRIBUTE_REQUEST_H

#include "postgres.h"

#include "utils/jsonb.h"

#define N_DEFAULT_ATTRIBUTES 13
#define N_DEVICE_FIELDS 14

/* What a request changes.  Bit i of a mask: value i is given, NULL clears it.  Start from zeroes. */
typedef struct AttributeChange
{
	int			default_mask;
	char	   *defaults[N_DEFAULT_ATTRIBUTES];
	Jsonb	   *custom;			/* a patch: null deletes; NULL for no change */
	char	   *device_id;		/* NULL for no installation_meta */
	int			device_mask;
	char	   *device[N_DEVICE_FIELDS];
	Jsonb	   *identifiers;	/* name: text or null */
	Jsonb	   *attributions;	/* source: fields or null */
} AttributeChange;

/* The document of create_profile() and update_profile().  ERROR (22023) naming key and value. */
extern void attribute_document_read(Jsonb *attributes, AttributeChange *change);

/* One attribute of set_attribute(), or all of set_attributes(): default or custom by their key. */
extern void attribute_pair_read(const char *key, const JsonbValue *value, AttributeChange *change);
extern void attribute_pairs_read(Jsonb *attributes, AttributeChange *change);

/* ERROR (22023) if a key of set_attribute(s) or get_attribute is neither default nor custom. */
extern void attribute_key_check(const char *key);

/* A JSON value inside another as a jsonb of its own. */
extern Jsonb *value_to_jsonb(const JsonbValue *value);

#endif							/* ADAPTY_ATTRIBUTE_REQUEST_H */
