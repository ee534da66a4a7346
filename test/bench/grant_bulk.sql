\timing on
SELECT count(adapty.grant_access_level(customer_user_id, 'premium', duration => '7 days')) FROM hand.asked WHERE n <= :bulk;
