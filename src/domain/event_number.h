/*
 * event_number.h
 *		Numbers of the transactions that write events: what the feed goes by.
 */
#ifndef ADAPTY_EVENT_NUMBER_H
#define ADAPTY_EVENT_NUMBER_H

#include "postgres.h"

/*
 * The number of this transaction (its top-level one), the same for all its events; gives the
 * transaction an xid.  Cheap but for the first call of a session.
 */
extern int64 event_number(void);

/*
 * What is added to an xid (of 64 bits) to make a number; numbers up to it belong to events of other
 * clusters, restored into this one.  Writes nothing, so it can be called on a standby.
 */
extern int64 event_number_base(void);

#endif							/* ADAPTY_EVENT_NUMBER_H */
