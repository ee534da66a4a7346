/*
 * errors.h
 *		The catalogue of conditions that users meet: SQLSTATE, error_code and HTTP status.
 */
#ifndef ADAPTY_ERRORS_H
#define ADAPTY_ERRORS_H

#include "postgres.h"

typedef enum AdaptyCondition
{
	COND_BASE_ERROR = 0,		/* an argument that makes no sense by itself */
	COND_PROFILE_DOES_NOT_EXIST,
	COND_PROFILE_EXISTS,
	COND_ACCESS_LEVEL_DOES_NOT_EXIST,
	COND_PROFILE_ACCESS_LEVEL_DOES_NOT_EXIST,
	COND_REVOCATION_AFTER_EXPIRATION,
	COND_PRODUCT_DOES_NOT_EXIST,
	COND_TOO_MANY_ATTRIBUTES,
	COND_EVENT_DOES_NOT_EXIST,
	COND_EVENT_CONSUMER_DOES_NOT_EXIST,
	COND_WEBHOOK_DOES_NOT_EXIST,
	COND_IDEMPOTENCY_KEY_REUSE,
	COND_SEGMENT_DOES_NOT_EXIST,
	COND_SEGMENT_EXISTS,
	COND_SEGMENT_IN_USE,
	COND_TRANSACTION_OF_ANOTHER_PROFILE,
	COND_IMPORT_DOES_NOT_EXIST,
	COND_PERMISSION_DENIED,
	COND_NOT_IN_TEST_CLOCK,		/* a change while the session's clock is moved */
	COND_MAINTAINED_BY_ADAPTY,	/* a direct edit that would break an invariant */
	COND_EXTENSION_OUTDATED,
	COND_PROMO_DOES_NOT_EXIST,
	COND_PROMO_CODE_NOT_VALID,	/* whatever is the matter with it: guessers are told nothing */
	COND_PROMO_CODE_REDEEMED,
	COND_INSUFFICIENT_BALANCE,
	COND_UNKNOWN_CURRENCY,
	COND_DUPLICATE_CURRENCY,
	COND_AMOUNT_ZERO,
	COND_BALANCE_OVERFLOW,
	COND_EMPTY_ITEMS,
	COND_CURRENCY_REQUEST,		/* a request of a shape that is not allowed */
	COND_INVALID_CURSOR,
	COND_IDEMPOTENCY_KEY_INVALID,
	COND_SERIALIZATION_FAILURE,
	COND_VALIDATION,			/* of the parts of the API that call it so */
	COND_PAYWALL_DOES_NOT_EXIST,
	COND_PLACEMENT_DOES_NOT_EXIST,
	COND_VARIATION_DOES_NOT_EXIST,
	COND_AB_TEST_DOES_NOT_EXIST,
	COND_OFFER_DOES_NOT_EXIST,
	COND_AB_TEST_STATE,			/* not in this state of a test */
	COND_IN_USE,				/* by what the detail names */
	COND_EXISTS,				/* something else has the name */
	/* conditions of HTTP requests */
	COND_PARSE_ERROR,
	COND_NOT_AUTHENTICATED,
	COND_INVALID_API_KEY,
	COND_PROFILE_NOT_FOUND,		/* COND_PROFILE_DOES_NOT_EXIST as some endpoints document it */
	COND_PROFILE_IN_REQUEST_DOES_NOT_EXIST,	/* the same, a wrong request */
	COND_EXPIRES_DATE,			/* fields of a reported transaction that contradict each other */
	COND_BILLING_ISSUE_DATE,
	COND_RENEW_STATUS_DATE,
	COND_ORIGINALLY_PURCHASED_DATE,
	COND_GRACE_PERIOD_DATE,
	COND_GRACE_PERIOD_BILLING,
	COND_REFUND_DATE,
	COND_REFUND_FIELDS,
	COND_FAMILY_SHARE_PRICE,
	COND_MISSING_OFFER_ID,
	COND_STORE_TRANSACTION_ID,
	COND_NOT_FOUND,
	COND_METHOD_NOT_ALLOWED,
	COND_BODY_TOO_LARGE,
	COND_UNSUPPORTED_MEDIA_TYPE,
	COND_UNAVAILABLE,			/* for now: lock or statement timeout, deadlock, read-only server */
	COND_INTERNAL_ERROR,
	COND_NOT_AUTHENTIC,			/* an event that nothing proves to be a store's */
	COND_STRIPE_KEY_NOT_FOUND,	/* there is none to ask the store with */
	COND_PADDLE_KEY_NOT_FOUND,
	COND_STRIPE_PURCHASE_NOT_FOUND,	/* the store refuses the key, or does not know the purchase */
	COND_PADDLE_PURCHASE_NOT_FOUND,
	COND_NO_PRODUCTS_FOUND,		/* what the store knows by this token is no purchase */
	COND_STORE_UNAVAILABLE,		/* a store that was asked does not answer as it should */
	N_CONDITIONS
} AdaptyCondition;

typedef struct ConditionInfo
{
	const char *name;			/* error_code of the API */
	const char *sqlstate;		/* five characters */
	int			http_status;
} ConditionInfo;

extern const ConditionInfo *condition_info(AdaptyCondition condition);

/* The SQLSTATE of a condition, packed. */
extern int	condition_sqlstate(AdaptyCondition condition);

/*
 * errcode() for ereport(): the SQLSTATE of a condition.  It also puts the error_code into the error's
 * constraint name (PG_DIAG_CONSTRAINT_NAME), as several conditions may share a SQLSTATE.
 */
extern int	condition_errcode(AdaptyCondition condition);

/*
 * The condition of an error that was caught: the one it was raised with, else the one that fits its
 * SQLSTATE; COND_INTERNAL_ERROR for what a user can do nothing about.
 */
extern AdaptyCondition condition_of_error(const ErrorData *error);

#endif							/* ADAPTY_ERRORS_H */
