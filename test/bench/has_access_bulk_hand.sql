-- The join forced to index look-ups, as has_access() does them.
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_memoize = off;
SET enable_material = off;
\timing on
SELECT count(*) FROM hand.asked a
    JOIN adapty.identities i ON i.customer_user_id = a.customer_user_id
    JOIN adapty.access_grants g ON g.profile_id = i.profile_id
    WHERE g.access_level_id = 'premium' AND g.starts_at <= now() AND g.expires_at > now();
