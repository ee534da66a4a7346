/*
 * segment_filter.h
 *		The base type segment_filter: who is in a segment.
 *
 * A value is a varlena with the filter's canonical text, in the server's encoding: what is stored
 * can be read by anybody, equality is equality of bytes, and a dump is what was typed.
 */
#ifndef ADAPTY_SEGMENT_FILTER_H
#define ADAPTY_SEGMENT_FILTER_H

#include "postgres.h"

#include "fmgr.h"

#include "types/segment_tree.h"

typedef struct varlena SegmentFilter;

#define PG_GETARG_SEGMENT_FILTER(n) ((SegmentFilter *) PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(n)))

/* Memory of the current context. */
extern const SegmentArena segment_palloc_arena;

/* A filter's tree, in the current context. */
extern SegmentNode *segment_filter_tree(const SegmentFilter *filter);

#endif							/* ADAPTY_SEGMENT_FILTER_H */
