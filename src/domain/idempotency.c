/*
 * idempotency.c
 *		Requests made with an idempotency key: the only writer of idempotency_keys.
 *
 * A row keeps the request as text (function and arguments) and what it returned.  The caller holds
 * the profile's lock from before it looks until its transaction ends, so two equal requests come
 * one after the other and the second finds the first.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

#include "base/errors.h"
#include "base/plans.h"
#include "domain/idempotency.h"

static SavedPlan find_plan = {
	.name = "idempotency key",
	.sql = "SELECT k.request, k.result FROM adapty.idempotency_keys k "
	"WHERE k.profile_id OPERATOR(pg_catalog.=) $1 AND k.idempotency_key OPERATOR(pg_catalog.=) $2",
	.expected = SPI_OK_SELECT,
	.nargs = 2,
	.argtypes = {UUIDOID, TEXTOID},
};

static SavedPlan store_plan = {
	.name = "new idempotency key",
	.sql = "INSERT INTO adapty.idempotency_keys (profile_id, idempotency_key, request, result) "
	"VALUES ($1, $2, $3, $4)",
	.expected = SPI_OK_INSERT,
	.nargs = 4,
	.argtypes = {UUIDOID, TEXTOID, TEXTOID, JSONBOID},
};

/* See idempotency.h.  Reads the newest committed rows: the snapshot may be older than the lock. */
bool
idempotency_find(const pg_uuid_t *profile_id, const char *key, const char *request, Jsonb **result)
{
	Datum		values[2] = {UUIDPGetDatum(profile_id), CStringGetTextDatum(key)};
	TupleDesc	desc;
	HeapTuple	row;
	char	   *known;
	bool		isnull;

	if (plan_execute_generic(&find_plan, values, NULL, false) == 0)
		return false;
	desc = SPI_tuptable->tupdesc;
	row = SPI_tuptable->vals[0];
	known = TextDatumGetCString(SPI_getbinval(row, desc, 1, &isnull));
	if (strcmp(known, request) != 0)
		ereport(ERROR,
				(condition_errcode(COND_IDEMPOTENCY_KEY_REUSE),
				 errmsg("idempotency key \"%s\" was used for another request", key),
				 errdetail("It was used for %s; this request is %s.", known, request),
				 errhint("Use a new key for a new request, and the same arguments to repeat one.")));
	*result = DatumGetJsonbPCopy(SPI_getbinval(row, desc, 2, &isnull));
	return true;
}

/* See idempotency.h. */
void
idempotency_store(const pg_uuid_t *profile_id, const char *key, const char *request, Jsonb *result)
{
	Datum		values[4] = {UUIDPGetDatum(profile_id), CStringGetTextDatum(key),
	CStringGetTextDatum(request), JsonbPGetDatum(result)};

	(void) plan_execute_generic(&store_plan, values, NULL, false);
}
