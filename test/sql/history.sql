-- History: intervals of access, the same that profile_status() finds; a user's story in words.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET TimeZone TO 'Pacific/Chatham';
SET DateStyle TO 'SQL, DMY';
SELECT adapty.define_product('hi monthly', 'premium', 'monthly', '[{"store": "app_store", "store_product_id": "hi"}]') IS NOT NULL AS ok;
SELECT adapty.define_access_level('gold') AS level;
SELECT adapty.define_product('hi life', 'premium', 'lifetime', '[{"store": "app_store", "store_product_id": "hi_life"}]') IS NOT NULL AS ok;
CREATE FUNCTION pg_temp.clock(u text, t timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM adapty.set_test_clock(u, make_interval(secs => extract(epoch FROM t - clock_timestamp())));
    PERFORM adapty.process_due();
END $$;
CREATE FUNCTION pg_temp.make(u text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM adapty.create_profile(u);
    UPDATE adapty.profiles SET created_at = '2024-01-01 00:00+00' WHERE profile_id = (SELECT profile_id FROM adapty.identities WHERE customer_user_id = u);
    PERFORM pg_temp.clock(u, '2099-01-02T00:00:00Z');
END $$;
CREATE FUNCTION pg_temp.report(u text, changes jsonb, at timestamptz DEFAULT NULL) RETURNS boolean LANGUAGE sql AS $$
    SELECT adapty.set_transaction(u, jsonb_build_object('purchase_type', 'subscription', 'store', 'app_store', 'store_product_id', 'hi',
        'store_transaction_id', u, 'store_original_transaction_id', u, 'price', '{"country": "US", "currency": "USD", "value": 4.99}'::jsonb,
        'purchased_at', '2099-01-01T00:00:00Z', 'originally_purchased_at', '2099-01-01T00:00:00Z',
        'expires_at', '2099-02-01T00:00:00Z', 'renew_status', true) || changes, reported_at => at) IS NOT NULL $$;
CREATE FUNCTION pg_temp.moment(t timestamptz) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN t IS NULL THEN NULL WHEN abs(extract(epoch FROM t - now())) < 86400 THEN 'now' WHEN date_trunc('second', t) = t THEN to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')
                ELSE to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD "or so"') END $$;
CREATE VIEW pg_temp.history AS SELECT customer_user_id AS u, access_level_id AS level, pg_temp.moment(starts_at) AS since, pg_temp.moment(ends_at) AS until,
    source, source_id, reason FROM adapty.access_history JOIN adapty.identities USING (profile_id) ORDER BY 1, 2, starts_at NULLS FIRST;

-- ---- one source after the other, a gap, one that goes on under another, one to come ----
SELECT pg_temp.make('hi-1');
SELECT is_active FROM adapty.grant_access_level('hi-1', 'premium', expires_at => '2099-01-10 00:00+00', reason => 'first');
SELECT pg_temp.clock('hi-1', '2099-01-05T00:00:00Z');
SELECT is_active FROM adapty.grant_access_level('hi-1', 'premium', expires_at => '2099-01-12 00:00+00', reason => 'longer');
SELECT pg_temp.report('hi-1', '{"purchased_at": "2099-01-04T00:00:00Z", "expires_at": "2099-01-20T00:00:00Z"}');
SELECT pg_temp.clock('hi-1', '2099-01-25T00:00:00Z');
SELECT is_active FROM adapty.grant_access_level('hi-1', 'premium', starts_at => '2099-02-01 00:00+00', expires_at => '2099-02-10 00:00+00', reason => 'to come');
SELECT is_active FROM adapty.grant_access_level('hi-1', 'gold', is_lifetime => true);
SELECT * FROM pg_temp.history WHERE u = 'hi-1' AND level = 'premium';
SELECT pg_temp.clock('hi-1', '2099-02-05T00:00:00Z');
SELECT is_active FROM adapty.revoke_access_level('hi-1', 'premium', reason => 'mistake');
SELECT * FROM pg_temp.history WHERE u = 'hi-1';

-- ---- the winner of overlapping ones, and what is left when it goes ----
SELECT pg_temp.make('hi-2');
SELECT pg_temp.report('hi-2', '{}');
SELECT is_active FROM adapty.grant_access_level('hi-2', 'premium', is_lifetime => true, reason => 'vip');
SELECT pg_temp.clock('hi-2', '2099-01-15T00:00:00Z');
SELECT is_active FROM adapty.revoke_access_level('hi-2', 'premium');
SELECT pg_temp.clock('hi-2', '2099-02-15T00:00:00Z');
SELECT * FROM pg_temp.history WHERE u = 'hi-2';

-- ---- shared: explained with its parent, told to both ----
SELECT pg_temp.make('hi-3');
SELECT pg_temp.report('hi-3', '{"store_transaction_id": "hi-2b", "store_original_transaction_id": "hi-2b"}');
SELECT pg_temp.report('hi-2', '{"store_transaction_id": "hi-2c", "store_original_transaction_id": "hi-2c", "purchased_at": "2099-02-14T00:00:00Z", "expires_at": "2099-03-14T00:00:00Z"}');
SELECT pg_temp.report('hi-3', '{"store_transaction_id": "hi-2c", "store_original_transaction_id": "hi-2c", "purchased_at": "2099-02-14T00:00:00Z", "expires_at": "2099-03-14T00:00:00Z"}');
SELECT * FROM pg_temp.history WHERE u IN ('hi-2', 'hi-3');
SELECT source, source_id, is_active, is_winner, explanation, i.customer_user_id AS parent FROM adapty.explain_access('hi-3', 'premium') x
    LEFT JOIN adapty.identities i ON i.profile_id = x.parent_profile_id;

-- ---- the same as profile_status() at every moment of random lives ----
DO $$
DECLARE
    t timestamptz;
    n integer := 0;
BEGIN
    PERFORM setseed(0.42);
    FOR u IN 1..4 LOOP
        t := '2099-01-02 00:00+00';
        PERFORM pg_temp.make('hi-r' || u);
        FOR step IN 1..40 LOOP
            t := t + random() * interval '5 days';
            PERFORM pg_temp.clock('hi-r' || u, t);
            n := n + 1;
            CASE floor(random() * 10)::integer
                WHEN 0, 1 THEN PERFORM adapty.grant_access_level('hi-r' || u, CASE WHEN random() < 0.7 THEN 'premium' ELSE 'gold' END, duration => random() * interval '6 days');
                WHEN 2 THEN PERFORM adapty.grant_access_level('hi-r' || u, 'premium', expires_at => t + random() * interval '9 days' + interval '1 hour', mode => 'replace');
                WHEN 3 THEN PERFORM adapty.grant_access_level('hi-r' || u, 'gold', starts_at => t + random() * interval '4 days', expires_at => t + interval '5 days', mode => 'replace');
                WHEN 4, 5 THEN PERFORM pg_temp.report('hi-r' || u, jsonb_build_object('store_transaction_id', 'hi-t' || n, 'purchased_at', to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                        'expires_at', to_char((t + random() * interval '8 days' + interval '1 hour') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'renew_status', false));
                WHEN 6 THEN PERFORM adapty.set_transaction('hi-r' || u, jsonb_build_object('purchase_type', 'one_time_purchase', 'store', 'app_store', 'store_product_id', 'hi_life',
                        'store_transaction_id', 'hi-o' || n, 'store_original_transaction_id', 'hi-o' || n, 'price', '{"country": "US", "currency": "USD", "value": 9}'::jsonb,
                        'purchased_at', to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'refunded_at', to_char((t + random() * interval '3 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')));
                WHEN 7 THEN
                    IF EXISTS (SELECT FROM adapty.access_grants JOIN adapty.identities USING (profile_id) WHERE customer_user_id = 'hi-r' || u AND access_level_id = 'premium' AND expires_at > t) THEN
                        PERFORM adapty.revoke_access_level('hi-r' || u, 'premium', is_refund => random() < 0.3);
                    END IF;
                ELSE NULL;
            END CASE;
        END LOOP;
    END LOOP;
END $$;
WITH moments AS (
    SELECT customer_user_id AS u, profile_id, m FROM adapty.identities JOIN adapty.events e USING (profile_id),
        LATERAL unnest(ARRAY[event_datetime, event_datetime - interval '1 microsecond', event_datetime + interval '1 microsecond', starts_at, expires_at,
            event_datetime + interval '7 hours', event_datetime + interval '9 days']) AS x (m)
    WHERE customer_user_id LIKE 'hi-%' AND isfinite(m) AND m > '2099-01-01'),
compared AS (
    SELECT u, m, (adapty.profile_status(profile_id, m)).active_access_levels AS by_status, ARRAY(SELECT h.access_level_id FROM adapty.access_history h
            WHERE h.profile_id = moments.profile_id AND coalesce(h.starts_at, '-infinity') <= m AND m < coalesce(h.ends_at, 'infinity') ORDER BY 1) AS by_history
    FROM (SELECT DISTINCT * FROM moments) moments)
SELECT count(*) > 500 AS many, count(*) FILTER (WHERE by_status <> by_history) AS different, count(DISTINCT by_status) > 2 AS kinds,
       min(u || ' ' || m || ' ' || by_status::text || ' ' || by_history::text) FILTER (WHERE by_status <> by_history) AS first FROM compared;
-- intervals do not overlap, and neighbours of one source are one
SELECT count(*) AS wrong FROM adapty.access_history a JOIN adapty.access_history b ON a.profile_id = b.profile_id AND a.access_level_id = b.access_level_id
    AND coalesce(a.starts_at, '-infinity') < coalesce(b.starts_at, '-infinity')
    AND (coalesce(a.ends_at, 'infinity') > b.starts_at OR (a.ends_at = b.starts_at AND a.source = b.source AND a.source_id IS NOT DISTINCT FROM b.source_id))
    WHERE a.profile_id IN (SELECT profile_id FROM adapty.identities WHERE customer_user_id LIKE 'hi-%');
-- ---- in words ----
\pset format unaligned
\pset tuples_only on
CREATE FUNCTION pg_temp.story(u text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT pg_temp.moment(at) || ' ' || kind || ': ' || regexp_replace(regexp_replace(sentence, ', done by [^, ]*', ', done by somebody'),
        '(:[0-9]{2}):[0-9]{2} UTC', '\1 UTC', 'g') FROM adapty.profile_timeline(u) $$;
SELECT pg_temp.make('hi-4');
SELECT pg_temp.report('hi-4', '{"expires_at": "2099-01-08T00:00:00Z", "offer": {"category": "introductory", "type": "free_trial"}}', '2099-01-02T00:00:00Z');
SELECT pg_temp.report('hi-4', '{"expires_at": "2099-01-08T00:00:00Z", "renew_status": false, "offer": {"category": "introductory", "type": "free_trial"}}', '2099-01-03T00:00:00Z');
SELECT pg_temp.report('hi-4', '{"expires_at": "2099-01-08T00:00:00Z", "offer": {"category": "introductory", "type": "free_trial"}}', '2099-01-04T00:00:00Z');
SELECT pg_temp.clock('hi-4', '2099-01-08T00:00:00Z');
SELECT pg_temp.report('hi-4', '{"store_transaction_id": "hi-4b", "purchased_at": "2099-01-08T00:00:00Z", "expires_at": "2099-02-08T00:00:00Z"}', '2099-01-08T00:00:00Z');
SELECT pg_temp.report('hi-4', '{"store_transaction_id": "hi-4b", "purchased_at": "2099-01-08T00:00:00Z", "expires_at": "2099-02-08T00:00:00Z", "billing_issue_detected_at": "2099-02-07T00:00:00Z", "grace_period_expires_at": "2099-02-12T00:00:00Z"}', '2099-02-07T00:00:00Z');
SELECT pg_temp.clock('hi-4', '2099-02-20T00:00:00Z');
SELECT pg_temp.report('hi-4', '{"store": "rev-shop", "store_transaction_id": "hi-4f", "store_original_transaction_id": "hi-4f", "is_family_shared": true, "purchased_at": "2099-02-19T00:00:00Z", "expires_at": "2099-03-19T00:00:00Z"}');
SELECT is_active FROM adapty.grant_access_level('hi-4', 'premium', duration => '1 day', reason => 'sorry');
SELECT is_active FROM adapty.grant_access_level('hi-4', 'premium', is_lifetime => true, reason => 'really');
SELECT is_active FROM adapty.revoke_access_level('hi-4', 'premium');
SELECT * FROM pg_temp.story('hi-4');
SELECT * FROM pg_temp.story('hi-3');
SELECT * FROM pg_temp.story('nobody');
SELECT count(*) FROM adapty.profile_timeline((SELECT profile_id FROM adapty.identities WHERE customer_user_id = 'hi-4')) a, adapty.profile_timeline('hi-4') b WHERE a = b;
-- every event has words, also one whose facts are not there
SELECT count(*) FROM adapty.profile_timelines WHERE sentence IS NULL;
SELECT adapty._event_sentence(jsonb_populate_record(NULL::adapty.events, '{"event_type": "trial_started", "reason": "none"}'));

-- ---- who may see it ----
SET ROLE adapty_analyst;
SELECT count(*) > 0 FROM (SELECT profile_id, source, ends_at FROM adapty.access_history) x;
SELECT actor FROM adapty.access_history;
SELECT count(*) FROM adapty.profile_timelines;
SET ROLE adapty_sdk;
SELECT adapty.profile_timeline('hi-4');
SELECT count(*) FROM adapty.access_history;
RESET ROLE;
SET ROLE adapty_server;
SELECT count(*) > 0 FROM adapty.profile_timeline('hi-4');
SELECT count(*) > 0 FROM adapty.access_history;
RESET ROLE;
SELECT count(adapty.delete_profile(customer_user_id)) FROM adapty.identities WHERE customer_user_id LIKE 'hi-%';
