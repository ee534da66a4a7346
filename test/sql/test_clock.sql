-- The test clock: of one profile for all, of one session for reading only.
SELECT count(adapty.create_profile('clock-' || i)) FROM generate_series(1, 2) i;
SELECT bool_and(is_active) FROM generate_series(1, 2) i, adapty.grant_access_level('clock-' || i, 'premium', duration => '7 days');

-- a profile's clock
SELECT adapty.set_test_clock('clock-1', '6 days');
SELECT adapty.has_access('clock-1', 'premium') AS "6 days", adapty.has_access('clock-2', 'premium') AS other;
SELECT adapty.set_test_clock('clock-1', '7 days 1 minute');
SELECT adapty.has_access('clock-1', 'premium') AS "7 days", adapty.has_access('clock-2', 'premium') AS other;
SELECT is_active FROM adapty.access_levels('clock-1');
SELECT has_access FROM adapty.profile_status('clock-1');
SELECT was_active, is_active FROM adapty.events JOIN adapty.identities USING (profile_id) WHERE customer_user_id = 'clock-1' ORDER BY recorded_at;
-- back: what had ended is open again, and that is announced
SELECT adapty.set_test_clock('clock-1', '1 day');
SELECT adapty.has_access('clock-1', 'premium') AS back;
SELECT was_active, is_active, reason FROM adapty.events JOIN adapty.identities USING (profile_id) WHERE customer_user_id = 'clock-1' ORDER BY recorded_at;
-- grants are made in its time
SELECT adapty.set_test_clock('clock-1', '7 days 1 minute');
SELECT is_active, expires_at > now() + interval '190 hours' AS later FROM adapty.grant_access_level('clock-1', 'premium', duration => '1 day');
-- a grant made in a time to come is not there yet when the clock is put right
SELECT adapty.set_test_clock('clock-1', NULL);
SELECT adapty.has_access('clock-1', 'premium') AS right;
SELECT test_clock_offset FROM adapty.profiles JOIN adapty.identities USING (profile_id) WHERE customer_user_id = 'clock-1';
SELECT adapty.set_test_clock((SELECT profile_id FROM adapty.identities WHERE customer_user_id = 'clock-1'), '0');
SELECT adapty.set_test_clock('nobody', '1 day');

-- a session's clock: readers only
SET adapty.test_clock_offset = '8d';
SELECT adapty.now() - now() = interval '192 hours' AS moved;
SELECT adapty.has_access('clock-2', 'premium') AS moved;
SELECT is_active FROM adapty.access_levels('clock-2');
SELECT has_access FROM adapty.profile_status('clock-2');
SELECT adapty.grant_access_level('clock-2', 'premium', duration => '1 day');
SELECT adapty.revoke_access_level('clock-2', 'premium');
SELECT adapty.process_due();
SELECT adapty.set_test_clock('clock-2', '1 day');
RESET adapty.test_clock_offset;
SELECT adapty.has_access('clock-2', 'premium') AS real;

-- whose it is: the server's, nobody else's
SET ROLE adapty_server;
SET adapty.test_clock_offset = '1d';
RESET adapty.test_clock_offset;
RESET ROLE;
SET ROLE adapty_sdk;
SET adapty.test_clock_offset = '1d';
SELECT adapty.set_test_clock('clock-2', '1 day');
RESET ROLE;
SET ROLE adapty_analyst;
SET adapty.test_clock_offset = '1d';
SELECT adapty.set_test_clock('clock-2', '1 day');
RESET ROLE;
