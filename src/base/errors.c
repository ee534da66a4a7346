/*
 * errors.c
 *		The catalogue of conditions that users meet.
 *
 * One row a condition: the API's error_code, the SQLSTATE that SQL users see, and the HTTP status.
 * "PTnnn" is PostgREST's convention: it answers with status nnn, so that plain PostgREST says 404
 * where something is not found.  The other states are the standard ones, which PostgREST maps to
 * the same status.
 */
#include "base/errors.h"

static const ConditionInfo conditions[N_CONDITIONS] = {
	[COND_BASE_ERROR] = {"base_error", "22023", 400},
	[COND_PROFILE_DOES_NOT_EXIST] = {"profile_does_not_exist", "PT404", 404},
	[COND_PROFILE_EXISTS] = {"profile_already_exists", "23505", 409},
	[COND_ACCESS_LEVEL_DOES_NOT_EXIST] = {"paid_access_level_does_not_exist", "PT404", 404},
	[COND_PROFILE_ACCESS_LEVEL_DOES_NOT_EXIST] = {"profile_paid_access_level_does_not_exist", "PT400", 400},
	[COND_REVOCATION_AFTER_EXPIRATION] = {"revocation_date_more_than_expiration_date", "22023", 400},
	[COND_PRODUCT_DOES_NOT_EXIST] = {"product_does_not_exist", "PT404", 404},
	[COND_TOO_MANY_ATTRIBUTES] = {"base_error", "54000", 400},
	[COND_EVENT_CONSUMER_DOES_NOT_EXIST] = {"event_consumer_does_not_exist", "PT404", 404},
	[COND_WEBHOOK_DOES_NOT_EXIST] = {"webhook_does_not_exist", "PT404", 404},
	[COND_IDEMPOTENCY_KEY_REUSE] = {"idempotency_key_reuse", "PT422", 422},
	[COND_TRANSACTION_OF_ANOTHER_PROFILE] = {"transaction_of_another_profile", "23505", 409},
	[COND_PERMISSION_DENIED] = {"permission_denied", "42501", 403},
	[COND_NOT_IN_TEST_CLOCK] = {"test_clock_is_set", "55000", 400},
	[COND_MAINTAINED_BY_ADAPTY] = {"maintained_by_adapty", "55000", 400},
	[COND_EXTENSION_OUTDATED] = {"extension_outdated", "55000", 500},
	[COND_PROMO_DOES_NOT_EXIST] = {"promo_does_not_exist", "PT404", 404},
	[COND_PROMO_CODE_NOT_VALID] = {"promo_code_not_valid", "PT400", 400},
	[COND_PROMO_CODE_REDEEMED] = {"promo_code_already_redeemed", "PT409", 409},
	[COND_INSUFFICIENT_BALANCE] = {"insufficient_balance", "23514", 400},
	[COND_UNKNOWN_CURRENCY] = {"unknown_currency", "22023", 400},
	[COND_DUPLICATE_CURRENCY] = {"duplicate_currency", "22023", 400},
	[COND_AMOUNT_ZERO] = {"amount_zero", "22023", 400},
	[COND_BALANCE_OVERFLOW] = {"balance_overflow", "22003", 400},
	[COND_EMPTY_ITEMS] = {"empty_items", "22023", 400},
	[COND_CURRENCY_REQUEST] = {"validation_error", "PT422", 422},
	[COND_INVALID_CURSOR] = {"invalid_cursor", "22023", 400},
	[COND_SERIALIZATION_FAILURE] = {"serialization_failure", "40001", 500},
	[COND_VALIDATION] = {"validation_error", "22023", 400},
	[COND_PAYWALL_DOES_NOT_EXIST] = {"paywall_does_not_exist", "PT404", 404},
	[COND_PLACEMENT_DOES_NOT_EXIST] = {"placement_does_not_exist", "PT404", 404},
	[COND_VARIATION_DOES_NOT_EXIST] = {"variation_does_not_exist", "PT404", 404},
	[COND_AB_TEST_DOES_NOT_EXIST] = {"ab_test_does_not_exist", "PT404", 404},
	[COND_OFFER_DOES_NOT_EXIST] = {"offer_does_not_exist", "PT404", 404},
	[COND_SEGMENT_DOES_NOT_EXIST] = {"segment_does_not_exist", "PT404", 404},
	[COND_AB_TEST_STATE] = {"validation_error", "55000", 400},
	[COND_IN_USE] = {"validation_error", "23503", 409},
	[COND_EXISTS] = {"validation_error", "23505", 409},
};

/* The catalogue's row of a condition. */
const ConditionInfo *
condition_info(AdaptyCondition condition)
{
	Assert(condition >= 0 && condition < N_CONDITIONS);
	return &conditions[condition];
}

/* errcode() for ereport(): packs the condition's SQLSTATE. */
int
condition_errcode(AdaptyCondition condition)
{
	const char *s = condition_info(condition)->sqlstate;

	return errcode(MAKE_SQLSTATE(s[0], s[1], s[2], s[3], s[4]));
}
