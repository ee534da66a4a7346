/*
 * guc.c
 *		All settings of the extension, in alphabetical order.
 *
 * They are defined whenever the library is loaded, with shared_preload_libraries or without, so
 * that a value in postgresql.conf is checked in every process that uses it.  None needs a restart:
 * the workers read them again on SIGHUP.
 */
#include "postgres.h"

#include <limits.h>

#include "utils/guc.h"
#include "utils/varlena.h"

#include "base/guc.h"

#define MAX_RETENTION_DAYS 36500
#define MAX_RETENTION_HOURS (MAX_RETENTION_DAYS * 24)
#define MAX_INGEST_MINUTES (90 * 24 * 60)
#define MAX_INGEST_TOLERANCE 86400

int			adapty_batch_size = 1000;
int			adapty_campaign_interval = 60;
int			adapty_cross_placement_stickiness = 90;
char	   *adapty_databases = NULL;
bool		adapty_direct_access = true;
int			adapty_event_retention = 0;
int			adapty_idempotency_key_retention = 720;
int			adapty_import_id = 0;
int			adapty_ingest_grace_period = 0;
int			adapty_ingest_renewal_margin = 120;
int			adapty_ingest_tolerance = 300;
int			adapty_ingested_event_retention = 90;
int			adapty_max_sleep = 60000;
bool		adapty_scheduler = true;
int			adapty_store_timeout = 8000;
int			adapty_test_clock_offset = 0;
bool		adapty_logical_messages = false;
bool		adapty_notify_events = true;
bool		adapty_webhook_block_private = false;
char	   *adapty_webhook_ca_file = NULL;
int			adapty_webhook_max_attempts = 10;
int			adapty_webhook_max_queue = 10000;
int			adapty_webhook_retention = 7;
int			adapty_webhook_retry_delay = 60000;
int			adapty_webhook_timeout = 10000;
bool		adapty_webhooks = true;

/*
 * Refuses a list of databases that cannot be parsed: a typing error would otherwise silently stop
 * every scheduler.  Names are taken as they are written (no folding of case); double quotes hold
 * names with commas or spaces.
 */
static bool
check_databases(char **newval, void **extra, GucSource source)
{
	char	   *copy = pstrdup(*newval);
	List	   *names = NIL;
	bool		valid = SplitGUCList(copy, ',', &names);

	(void) extra;
	(void) source;

	if (!valid)
		GUC_check_errdetail("List syntax is invalid.");

	list_free(names);
	pfree(copy);
	return valid;
}

/* The settings of what goes out: webhooks, the feed, logical messages. */
static void
define_output_settings(void)
{
	DefineCustomBoolVariable("adapty.logical_messages",
							 "Writes a logical decoding message for each event, in its transaction.",
							 "Needs wal_level = logical; without it nothing is written.",
							 &adapty_logical_messages,
							 false,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);

	DefineCustomBoolVariable("adapty.notify_events",
							 "Has the scheduler notify the channel adapty_events when there are new events.",
							 "Writers do not notify, so they need not wait for each other.",
							 &adapty_notify_events,
							 true,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);

	DefineCustomBoolVariable("adapty.webhook_block_private",
							 "Refuses to send webhooks to loopback, link-local and private addresses.",
							 "The address that a connection is really made to is checked, also after a redirect.",
							 &adapty_webhook_block_private,
							 false,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);

	DefineCustomStringVariable("adapty.webhook_ca_file",
							   "File with the certificate authorities that webhooks' servers are verified by.",
							   "Empty means those of the system.",
							   &adapty_webhook_ca_file,
							   "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY,
							   NULL, NULL, NULL);

	DefineCustomIntVariable("adapty.webhook_max_attempts",
							"Number of attempts to send an event before it is parked.",
							"Attempts do not count while the endpoint answers nothing at all.",
							&adapty_webhook_max_attempts,
							10, 1, 100,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("adapty.webhook_max_queue",
							"Number of events that may be queued for one webhook.",
							"When it is reached, further events wait in the feed.",
							&adapty_webhook_max_queue,
							10000, 10, 10000000,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("adapty.webhook_retention",
							"Number of days for which delivered events are listed.",
							"0 keeps them for ever.",
							&adapty_webhook_retention,
							7, 0, MAX_RETENTION_DAYS,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("adapty.webhook_retry_delay",
							"Time to the first retry of an event; it doubles with each further one.",
							NULL,
							&adapty_webhook_retry_delay,
							60000, 10, 3600000,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomIntVariable("adapty.webhook_timeout",
							"Time that a webhook's endpoint has to answer.",
							NULL,
							&adapty_webhook_timeout,
							10000, 10, 300000,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomBoolVariable("adapty.webhooks",
							 "Sends events to webhooks.",
							 "When this is off, events wait.",
							 &adapty_webhooks,
							 true,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);
}

/* Defines all settings; called once a process, by _PG_init(). */
void
guc_init(void)
{
	define_output_settings();
	DefineCustomIntVariable("adapty.batch_size",
							"Number of starts and ends of access that the scheduler announces in one transaction.",
							NULL,
							&adapty_batch_size,
							1000, 1, 100000,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("adapty.campaign_interval",
							"Time between two looks of a promo campaign for users who have entered its segment.",
							"Each look goes through the segment once.",
							&adapty_campaign_interval,
							60, 1, 86400,
							PGC_SIGHUP, GUC_UNIT_S,
							NULL, NULL, NULL);

	DefineCustomIntVariable("adapty.cross_placement_stickiness",
							"Number of days for which a user keeps the variation of a cross-placement test.",
							"Counted from the first paywall that the user saw of it, also after the test was stopped.",
							&adapty_cross_placement_stickiness,
							90, 0, 90,
							PGC_SUSET, 0,
							NULL, NULL, NULL);

	DefineCustomStringVariable("adapty.databases",
							   "Databases in which a scheduler may run, separated by commas.",
							   "Empty means every database that has the extension.",
							   &adapty_databases,
							   "",
							   PGC_SIGHUP, GUC_LIST_INPUT,
							   check_databases, NULL, NULL);

	DefineCustomBoolVariable("adapty.direct_access",
							 "Reads and writes the extension's tables without the executor where that is possible.",
							 "Off is slower and gives the same results: it is for finding out which part is at fault.",
							 &adapty_direct_access,
							 true,
							 PGC_USERSET, GUC_NOT_IN_SAMPLE,
							 NULL, NULL, NULL);

	DefineCustomIntVariable("adapty.event_retention",
							"Number of days for which events are kept.",
							"0 keeps them for ever. Whole months are dropped, when their last day is older.",
							&adapty_event_retention,
							0, 0, MAX_RETENTION_DAYS,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("adapty.idempotency_key_retention",
							"Number of hours for which idempotency keys are remembered.",
							"0 keeps them for ever.",
							&adapty_idempotency_key_retention,
							720, 0, MAX_RETENTION_HOURS,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("adapty.import_id",
							"The import that rows copied into adapty.import_transactions belong to.",
							"Set by begin_import(); 0 is none.",
							&adapty_import_id,
							0, 0, INT_MAX,
							PGC_USERSET, GUC_NOT_IN_SAMPLE,
							NULL, NULL, NULL);

	DefineCustomIntVariable("adapty.ingest_grace_period",
							"Time for which access goes on after a store that reports by itself could not charge.",
							"Counted from the end of the paid period. 0 gives no grace.",
							&adapty_ingest_grace_period,
							0, 0, MAX_INGEST_MINUTES,
							PGC_SUSET, GUC_UNIT_MIN,
							NULL, NULL, NULL);

	DefineCustomIntVariable("adapty.ingest_renewal_margin",
							"Time after the end of a paid period in which a store that reports by itself may charge for the next.",
							"Access of a subscription that renews lasts so much longer than its period, so that it does not end between two payments.",
							&adapty_ingest_renewal_margin,
							120, 0, MAX_INGEST_MINUTES,
							PGC_SUSET, GUC_UNIT_MIN,
							NULL, NULL, NULL);

	DefineCustomIntVariable("adapty.ingest_tolerance",
							"Time by which the signature of a store's event may be old, or ahead.",
							"0 takes signatures of any age: for replaying what was kept.",
							&adapty_ingest_tolerance,
							300, 0, MAX_INGEST_TOLERANCE,
							PGC_SUSET, GUC_UNIT_S,
							NULL, NULL, NULL);

	DefineCustomIntVariable("adapty.ingested_event_retention",
							"Number of days for which events of the stores are remembered as seen.",
							"0 remembers them for ever.",
							&adapty_ingested_event_retention,
							90, 0, MAX_RETENTION_DAYS,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("adapty.max_sleep",
							"Longest sleep of the scheduler between two looks at what falls due.",
							"It bounds the delay of what the scheduler was not told of: commits of prepared "
							"transactions, restored rows, jumps of the clock.",
							&adapty_max_sleep,
							60000, 10, 60000,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomBoolVariable("adapty.scheduler",
							 "Announces starts and ends of access at their moment.",
							 "Access itself is computed from the clock and stays right when this is off.",
							 &adapty_scheduler,
							 true,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);

	DefineCustomIntVariable("adapty.store_timeout",
							"Time that a store has for all answers about one token.",
							"Keep it below the statement_timeout of who asks, so that the error says what happened.",
							&adapty_store_timeout,
							8000, 10, 300000,
							PGC_SUSET, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomIntVariable("adapty.test_clock_offset",
							"Time by which this session's readings of access are ahead of the clock.",
							"For tests: an expiry in seven days can be seen today. Changes are refused while it is set.",
							&adapty_test_clock_offset,
							0, -(INT_MAX / 2), INT_MAX / 2,
							PGC_SUSET, GUC_UNIT_S | GUC_NOT_IN_SAMPLE,
							NULL, NULL, NULL);

	MarkGUCPrefixReserved("adapty");
}
