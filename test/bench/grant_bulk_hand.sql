\timing on
SELECT count(hand.grant_access_level(customer_user_id, 'premium', '7 days')) FROM hand.asked WHERE n <= :bulk;
