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
	[COND_EVENT_DOES_NOT_EXIST] = {"event_does_not_exist", "PT404", 404},
	[COND_EVENT_CONSUMER_DOES_NOT_EXIST] = {"event_consumer_does_not_exist", "PT404", 404},
	[COND_WEBHOOK_DOES_NOT_EXIST] = {"webhook_does_not_exist", "PT404", 404},
	[COND_IDEMPOTENCY_KEY_REUSE] = {"idempotency_key_reuse", "PT422", 422},
	[COND_SEGMENT_DOES_NOT_EXIST] = {"segment_does_not_exist", "PT404", 404},
	[COND_SEGMENT_EXISTS] = {"segment_already_exists", "23505", 409},
	[COND_SEGMENT_IN_USE] = {"segment_in_use", "23503", 409},
	[COND_TRANSACTION_OF_ANOTHER_PROFILE] = {"transaction_of_another_profile", "23505", 409},
	[COND_IMPORT_DOES_NOT_EXIST] = {"import_does_not_exist", "PT404", 404},
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
	[COND_IDEMPOTENCY_KEY_INVALID] = {"idempotency_key_invalid", "22023", 400},
	[COND_INVALID_CURSOR] = {"invalid_cursor", "22023", 400},
	[COND_VALIDATION] = {"validation_error", "22023", 400},
	[COND_PAYWALL_DOES_NOT_EXIST] = {"paywall_does_not_exist", "PT404", 404},
	[COND_PLACEMENT_DOES_NOT_EXIST] = {"placement_does_not_exist", "PT404", 404},
	[COND_VARIATION_DOES_NOT_EXIST] = {"variation_does_not_exist", "PT404", 404},
	[COND_AB_TEST_DOES_NOT_EXIST] = {"ab_test_does_not_exist", "PT404", 404},
	[COND_OFFER_DOES_NOT_EXIST] = {"offer_does_not_exist", "PT404", 404},
	[COND_AB_TEST_STATE] = {"validation_error", "55000", 400},
	[COND_IN_USE] = {"validation_error", "23503", 409},
	[COND_EXISTS] = {"validation_error", "23505", 409},
	[COND_SERIALIZATION_FAILURE] = {"serialization_failure", "40001", 503},
	[COND_PARSE_ERROR] = {"parse_error", "PT400", 400},
	[COND_NOT_AUTHENTICATED] = {"not_authenticated", "PT401", 401},
	[COND_INVALID_API_KEY] = {"unauthorized", "PT401", 401},
	[COND_PROFILE_NOT_FOUND] = {"profile_not_found", "PT404", 404},
	[COND_PROFILE_IN_REQUEST_DOES_NOT_EXIST] = {"profile_does_not_exist", "PT400", 400},
	[COND_EXPIRES_DATE] = {"expires_date_error", "22023", 400},
	[COND_BILLING_ISSUE_DATE] = {"billing_issue_detected_at_date_comparison_error", "22023", 400},
	[COND_RENEW_STATUS_DATE] = {"renew_status_changed_date_error", "22023", 400},
	[COND_ORIGINALLY_PURCHASED_DATE] = {"originally_purchased_date_error", "22023", 400},
	[COND_GRACE_PERIOD_DATE] = {"grace_period_expires_date_error", "22023", 400},
	[COND_GRACE_PERIOD_BILLING] = {"grace_period_billing_error", "22023", 400},
	[COND_REFUND_DATE] = {"refund_date_error", "22023", 400},
	[COND_REFUND_FIELDS] = {"refund_fields_error", "22023", 400},
	[COND_FAMILY_SHARE_PRICE] = {"family_share_price_error", "22023", 400},
	[COND_MISSING_OFFER_ID] = {"missing_offer_id", "22023", 400},
	[COND_STORE_TRANSACTION_ID] = {"store_transaction_id_error", "22023", 400},
	[COND_NOT_FOUND] = {"not_found", "PT404", 404},
	[COND_METHOD_NOT_ALLOWED] = {"method_not_allowed", "PT405", 405},
	[COND_BODY_TOO_LARGE] = {"request_entity_too_large", "PT413", 413},
	[COND_UNSUPPORTED_MEDIA_TYPE] = {"unsupported_media_type", "PT415", 415},
	[COND_UNAVAILABLE] = {"service_unavailable", "PT503", 503},
	[COND_INTERNAL_ERROR] = {"internal_error", "XX000", 500},
	[COND_NOT_AUTHENTIC] = {"not_authentic", "28000", 403},
	[COND_STRIPE_KEY_NOT_FOUND] = {"stripe_api_key_not_found", "PT400", 400},
	[COND_PADDLE_KEY_NOT_FOUND] = {"paddle_api_key_not_found", "PT400", 400},
	[COND_STRIPE_PURCHASE_NOT_FOUND] = {"invalid_stripe_credentials_or_purchase_not_found", "PT400", 400},
	[COND_PADDLE_PURCHASE_NOT_FOUND] = {"invalid_paddle_credentials_or_purchase_not_found", "PT400", 400},
	[COND_NO_PRODUCTS_FOUND] = {"no_products_found", "PT400", 400},
	[COND_STORE_UNAVAILABLE] = {"store_unavailable", "PT502", 502},
};

/* The catalogue's row of a condition. */
const ConditionInfo *
condition_info(AdaptyCondition condition)
{
	Assert(condition >= 0 && condition < N_CONDITIONS);
	return &conditions[condition];
}

/* See errors.h. */
int
condition_sqlstate(AdaptyCondition condition)
{
	const char *s = condition_info(condition)->sqlstate;

	return MAKE_SQLSTATE(s[0], s[1], s[2], s[3], s[4]);
}

/* See errors.h. */
int
condition_errcode(AdaptyCondition condition)
{
	err_generic_string(PG_DIAG_CONSTRAINT_NAME, condition_info(condition)->name);
	return errcode(condition_sqlstate(condition));
}

/* The condition that fits a SQLSTATE of the server's own errors. */
static AdaptyCondition
condition_of_sqlstate(int sqlstate)
{
	switch (sqlstate)
	{
		case ERRCODE_T_R_SERIALIZATION_FAILURE:
		case ERRCODE_T_R_DEADLOCK_DETECTED:
		case ERRCODE_LOCK_NOT_AVAILABLE:
		case ERRCODE_QUERY_CANCELED:
		case ERRCODE_READ_ONLY_SQL_TRANSACTION:
			return COND_UNAVAILABLE;
		case ERRCODE_INSUFFICIENT_PRIVILEGE:
			return COND_PERMISSION_DENIED;
	}
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_DATA_EXCEPTION:
		case ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION:
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
			return COND_BASE_ERROR;
		case ERRCODE_INSUFFICIENT_RESOURCES:
			return COND_UNAVAILABLE;
	}
	return COND_INTERNAL_ERROR;
}

/* See errors.h. */
AdaptyCondition
condition_of_error(const ErrorData *error)
{
	if (error->constraint_name != NULL)
		for (int i = 0; i < N_CONDITIONS; i++)
			if (strcmp(error->constraint_name, conditions[i].name) == 0 &&
				error->sqlerrcode == condition_sqlstate(i))
				return i == COND_SERIALIZATION_FAILURE ? COND_UNAVAILABLE : i;
	return condition_of_sqlstate(error->sqlerrcode);
}
