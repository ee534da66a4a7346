/*
 * sql_functions.h
 *		Functions of the SQL API that the HTTP endpoints call in C, with the rights of the caller.
 */
#ifndef ADAPTY_SQL_FUNCTIONS_H
#define ADAPTY_SQL_FUNCTIONS_H

#include "postgres.h"

#include "fmgr.h"

#define DECLARE_BY_USER(name) \
	extern PGDLLEXPORT Datum adapty_##name(PG_FUNCTION_ARGS); \
	extern PGDLLEXPORT Datum adapty_##name##_by_profile_id(PG_FUNCTION_ARGS)

DECLARE_BY_USER(delete_profile);
DECLARE_BY_USER(grant_access_level);
DECLARE_BY_USER(revoke_access_level);
DECLARE_BY_USER(set_transaction);
DECLARE_BY_USER(create_virtual_currency_transaction);
DECLARE_BY_USER(get_virtual_currency_transactions);
DECLARE_BY_USER(get_integration_identifiers);
DECLARE_BY_USER(get_refund_saver_settings);
DECLARE_BY_USER(set_refund_saver_settings);
DECLARE_BY_USER(get_paywall);
DECLARE_BY_USER(record_paywall_view);
DECLARE_BY_USER(validate_stripe_token);
DECLARE_BY_USER(validate_paddle_token);
extern PGDLLEXPORT Datum adapty_identify(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum adapty_list_paywalls(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum adapty_show_paywall(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum adapty_update_paywall(PG_FUNCTION_ARGS);

/* A function of one user in its two forms, as call_for_user() takes them. */
#define BY_USER(name) adapty_##name, adapty_##name##_by_profile_id

#endif							/* ADAPTY_SQL_FUNCTIONS_H */
