/*
 * history.c
 *		A user's story for people.  The views that tell it are in sql/always/36_history.sql.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"

#include "base/arg.h"
#include "base/plans.h"
#include "domain/identity.h"

static SavedPlan timeline_plan = {
	.name = "timeline of a profile",
	.sql = "SELECT t.at, t.recorded_at, t.kind, t.sentence, t.event_type, t.source_id, t.event_id "
	"FROM adapty.profile_timelines t WHERE t.profile_id = $1 ORDER BY t.at, t.recorded_at, t.kind, t.source_id",
	.expected = SPI_OK_SELECT,
	.nargs = 1,
	.argtypes = {UUIDOID},
};

/* adapty.profile_timeline(user) */
static Datum
profile_timeline(FunctionCallInfo fcinfo, UserRef user)
{
	pg_uuid_t	profile_id;
	Datum		arg = UUIDPGetDatum(&profile_id);

	user_resolve(&user, &profile_id);
	return plan_return_rows(fcinfo, &timeline_plan, &arg);
}

FUNCTION_BY_USER(profile_timeline);
