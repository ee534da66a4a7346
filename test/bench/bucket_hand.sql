\timing on
SELECT count(*) FILTER (WHERE abs(hashtext(profile_id::text || '11111111-2222-4333-8444-555555555555')) % 10000 < 5000) FROM hand.profiles \g /dev/null
