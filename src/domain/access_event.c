/*
 * access_event.c
 *		Facts of access_level_updated.
 */
#include "postgres.h"

#include "base/ext_state.h"
#include "base/jsonb_build.h"
#include "domain/access_event.h"

/* See access_event.h. */
Jsonb *
access_event_properties(const AccessSnapshot *after, const GrantChange *cause)
{
	JsonbBuild	jb;

	if ((!after->is_active && !after->is_to_come) ||
		(after->source == cause->source && strcmp(after->source_id, cause->source_id) == 0))
		return cause->properties;
	jb_init(&jb);
	jb_begin_object(&jb);
	jb_key(&jb, "winner_source");
	jb_string(&jb, enum_label(ENUM_GRANT_SOURCE, after->source));
	if (after->source_id[0] != '\0')
	{
		jb_key(&jb, "winner_source_id");
		jb_string(&jb, after->source_id);
	}
	jb_end_object(&jb);
	return jb_finish(&jb);
}
