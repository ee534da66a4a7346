/*
 * segment_sql.h
 *		A segment's filter as SQL.
 */
#ifndef ADAPTY_SEGMENT_SQL_H
#define ADAPTY_SEGMENT_SQL_H

#include "postgres.h"

#include "types/segment_tree.h"

/*
 * The SELECT of a segment's view: the columns of its members that say nothing of who they are, in
 * the current context.  Only names, operators and quoted literals of our own making; to be parsed
 * with search_path = pg_catalog.  With a platform (a label of its enum; NULL for all) only
 * devices of that platform count.
 */
extern char *segment_select(const SegmentNode *filter, const char *platform);

#endif							/* ADAPTY_SEGMENT_SQL_H */
