/*
 * event.h
 *		The only writer of events.
 */
#ifndef ADAPTY_EVENT_H
#define ADAPTY_EVENT_H

#include "postgres.h"

#include "base/ext_state.h"
#include "datatype/timestamp.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

/* A row of events before it is written; event_id and recorded_at are made by the writer. */
typedef struct EventRow
{
	EventType	type;
	pg_uuid_t	profile_id;
	TimestampTz event_datetime;
	/* facts of access_level_updated */
	bool		has_access_facts;	/* the five below are set */
	bool		was_active;
	bool		is_active;
	TimestampTz starts_at;
	TimestampTz expires_at;
	bool		has_previous;
	TimestampTz previous_expires_at;
	bool		has_source;
	GrantSource source;
	/* NULL for none */
	const char *access_level_id;
	const char *source_id;
	const char *actor;
	const char *reason;
	Jsonb	   *properties;
} EventRow;

/*
 * Writes events in this transaction; visible to its next command.  Many at once cost less than one
 * by one.  recorded_at is one clock reading, made later by a microsecond for each further event of
 * the same profile in a row, so that a profile's events have an order.
 */
extern void event_write(const EventRow *rows, int n);

/*
 * Between these two event_write() writes nothing: what happened long ago is being made known.  To be
 * ended after an error too (PG_FINALLY).  Nobody but the extension's own code can ask for it.
 */
extern void event_silence_begin(void);
extern void event_silence_end(void);
extern bool event_is_silent(void);

#endif							/* ADAPTY_EVENT_H */
