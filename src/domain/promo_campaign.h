/*
 * promo_campaign.h
 *		Campaigns: what the scheduler does for them.
 */
#ifndef ADAPTY_PROMO_CAMPAIGN_H
#define ADAPTY_PROMO_CAMPAIGN_H

#include "postgres.h"

#include "datatype/timestamp.h"

/* When a campaign is due next, by one probe of an index; DT_NOEND for never.  May be in the past. */
extern TimestampTz promo_campaign_next_due(void);

/*
 * One batch of the campaign that has been due longest: gives to, or takes back from, up to max_users
 * users in the caller's transaction.  Users whom somebody else has locked are left for later.  A
 * batch that fails changes nothing but the campaign's last_error, and is done again after a growing
 * pause.  Returns to how many it gave or from how many it took.
 */
extern int64 promo_campaign_work(int max_users);

#endif							/* ADAPTY_PROMO_CAMPAIGN_H */
