/*
 * sharing.h
 *		Purchases that are reported for more than one profile: the only writer of purchase_inheritors.
 */
#ifndef ADAPTY_SHARING_H
#define ADAPTY_SHARING_H

#include "postgres.h"

#include "domain/subscription.h"
#include "utils/uuid.h"

/* What a purchase gives, for its parent and for who inherits. */
typedef struct PurchaseAccess
{
	GrantSource source;			/* of the parent's grant */
	const char *source_id;		/* "store:id" */
	const char *access_level_id;	/* NULL: gives none */
	TimestampTz starts_at;
	TimestampTz expires_at;
	TimestampTz changed_at;		/* end of levels that are not among the former ones */
	int			n_former;
	FormerLevel *former;
	bool		revoked;
	bool		facts_changed;	/* the interval may be the same, but not renewal, issue or grace */
	bool		is_swap;		/* another product took the old one's place: end and begin anew */
	Jsonb	   *facts;			/* for access_level_updated; NULL for none */
} PurchaseAccess;

typedef struct Inheritor
{
	pg_uuid_t	profile_id;
	bool		is_entitled;
	bool		is_identified;
} Inheritor;

/* Who has to do with a purchase besides the profile of a report. */
typedef struct PurchasePeople
{
	bool		has_parent;
	pg_uuid_t	parent;			/* nil: nobody's */
	int			n;
	Inheritor  *inheritors;		/* in the order of profile_id */
} PurchasePeople;

/* The key of a purchase among its store's: of a chain its original id, else the transaction's. */
extern const char *purchase_key(const TransactionReport *t);

/* Reads who has to do with a purchase.  As all here: inside an open scope. */
extern void purchase_people_load(const TransactionReport *t, PurchasePeople *people);

/* The same people? */
extern bool purchase_people_equal(const PurchasePeople *a, const PurchasePeople *b);

/*
 * A purchase of the parent was reported for "reporter" (which may be the parent): decides by the
 * environment's policy who is entitled from now on, in memory and in the table; true if the parent is.
 */
extern bool sharing_decide(const TransactionReport *t, PurchasePeople *people,
						   const pg_uuid_t *parent, const pg_uuid_t *reporter);

/*
 * Gives a profile what a purchase gives, or takes it away as of now if it is not entitled; ends what
 * the same purchase gave of other levels.  The profile must be locked.
 */
extern void purchase_access_put(const LockedProfile *profile, const PurchaseAccess *access,
								bool is_entitled, const char *actor, const char *reason);

/* Did a purchase give a profile other levels than this one? */
extern bool purchase_gave_others(const LockedProfile *profile, GrantSource source,
								 const char *source_id, const char *access_level_id);

/* purchase_access_put() for all who inherit; those that are not among the locked are locked. */
extern void sharing_put(const PurchasePeople *people, const LockedProfile *parent,
						const LockedProfile *locked, int n_locked, const PurchaseAccess *access,
						const char *actor, const char *reason);

/* Hands the purchases of a profile that is about to be deleted to who inherits them first. */
extern void sharing_hand_over(const LockedProfile *profile);

#endif							/* ADAPTY_SHARING_H */
