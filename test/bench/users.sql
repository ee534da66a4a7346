-- :users profiles in both schemas, the same ids, every second one with premium.
SELECT count(adapty.create_profile('user-' || n)) FROM generate_series(1, :users) n \g /dev/null
SELECT count(adapty.grant_access_level('user-' || n, 'premium', duration => '30 days'))
    FROM generate_series(2, :users, 2) n \g /dev/null
INSERT INTO hand.profiles SELECT profile_id FROM adapty.identities;
INSERT INTO hand.identities SELECT customer_user_id, profile_id FROM adapty.identities;
INSERT INTO hand.grants (profile_id, access_level_id, starts_at, expires_at, next_transition_at)
    SELECT profile_id, access_level_id, starts_at, expires_at, next_transition_at FROM adapty.access_grants;
-- who is asked for in one statement, in no order
CREATE TABLE hand.asked AS
    SELECT customer_user_id, row_number() OVER (ORDER BY md5(customer_user_id)) AS n FROM hand.identities ORDER BY 2;
VACUUM (FREEZE, ANALYZE);
CHECKPOINT;
