\timing on
SELECT count(*) FILTER (WHERE adapty.ab_test_bucket('11111111-2222-4333-8444-555555555555', profile_id) < 5000) FROM hand.profiles \g /dev/null
