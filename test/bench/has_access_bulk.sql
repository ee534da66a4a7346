\timing on
SELECT count(*) FROM hand.asked a WHERE adapty.has_access(a.customer_user_id, 'premium');
