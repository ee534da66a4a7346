/*
 * attribute_definition.h
 *		Definitions of custom attributes: optional, and enforced when there is one.
 */
#ifndef ADAPTY_ATTRIBUTE_DEFINITION_H
#define ADAPTY_ATTRIBUTE_DEFINITION_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "types/segment_tree.h"

/*
 * Checks custom attributes that are to be set (an object; null deletes, which is always allowed)
 * against their definitions: ERROR (22023) naming key, value and what is allowed.  Inside a scope.
 * Costs next to nothing while there are no definitions.
 */
extern void attribute_definitions_check(Jsonb *custom);

/*
 * WARNINGs about conditions of a filter that can match nobody, as a definition rules their value
 * out.  Inside a scope.
 */
extern void attribute_definitions_warn(const SegmentNode *filter);

#endif							/* ADAPTY_ATTRIBUTE_DEFINITION_H */
