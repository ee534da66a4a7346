-- The state machine of subscriptions: the whole table, and every cell of it driven by real reports.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT state, input, next_state, events FROM adapty.subscription_transitions();

SELECT adapty.define_product('st monthly', 'premium', 'monthly',
    '[{"store": "play_store", "store_product_id": "st_monthly"}]') IS NOT NULL AS ok;
SELECT adapty.define_product('st annual', 'premium', 'annual',
    '[{"store": "play_store", "store_product_id": "st_annual"}]') IS NOT NULL AS ok;

-- One transaction: days are relative to now.
CREATE FUNCTION pg_temp.day(days float) RETURNS timestamptz LANGUAGE sql STABLE AS
    $$ SELECT date_trunc('second', now()) + days * interval '24 hours' $$;
CREATE FUNCTION pg_temp.iso(days float) RETURNS text LANGUAGE sql STABLE AS
    $$ SELECT to_char(pg_temp.day(days) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') $$;
CREATE FUNCTION pg_temp.tx(id text, original text, starts float, ends float, changes jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('purchase_type', 'subscription', 'store', 'play_store', 'store_product_id', 'st_monthly',
        'store_transaction_id', id, 'store_original_transaction_id', original,
        'price', '{"country": "US", "currency": "USD", "value": 5}'::jsonb,
        'originally_purchased_at', pg_temp.iso(-40), 'purchased_at', pg_temp.iso(starts), 'expires_at', pg_temp.iso(ends), 'renew_status', true) || changes $$;
CREATE FUNCTION pg_temp.at(field text, days float) RETURNS jsonb LANGUAGE sql STABLE AS
    $$ SELECT jsonb_build_object(field, pg_temp.iso(days)) $$;
CREATE FUNCTION pg_temp.trial() RETURNS jsonb LANGUAGE sql AS
    $$ SELECT '{"offer": {"category": "introductory", "type": "free_trial"}}'::jsonb $$;

-- How a state is reached (begins 10 days ago, ends in 20 or ended yesterday), and its end.
CREATE FUNCTION pg_temp.state_tx(id text, s text, i text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT CASE s
        WHEN 'trial' THEN pg_temp.tx(id, id, -10, 20, pg_temp.trial())
        WHEN 'trial_cancelled' THEN pg_temp.tx(id, id, -10, 20, pg_temp.trial() || '{"renew_status": false}' || pg_temp.at('renew_status_changed_at', -5))
        WHEN 'trial_grace' THEN pg_temp.tx(id, id, -10, 20, pg_temp.trial() || pg_temp.at('billing_issue_detected_at', -1) || pg_temp.at('grace_period_expires_at', 25)
            || CASE WHEN i = 'renew_on' THEN '{"renew_status": false}' || pg_temp.at('renew_status_changed_at', -5) ELSE '{}' END)
        WHEN 'trial_retry' THEN pg_temp.tx(id, id, -10, 20, pg_temp.trial() || pg_temp.at('billing_issue_detected_at', -1))
        WHEN 'trial_expired' THEN pg_temp.tx(id, id, -10, -1, pg_temp.trial()
            || CASE WHEN i = 'recovered' THEN pg_temp.at('billing_issue_detected_at', -5) || pg_temp.at('grace_period_expires_at', -0.5) ELSE '{}' END
            || CASE WHEN i = 'renew_on' THEN '{"renew_status": false}' || pg_temp.at('renew_status_changed_at', -5) ELSE '{}' END)
        WHEN 'active' THEN pg_temp.tx(id, id, -10, 20)
        WHEN 'cancelled' THEN pg_temp.tx(id, id, -10, 20, '{"renew_status": false}' || pg_temp.at('renew_status_changed_at', -5))
        WHEN 'grace' THEN pg_temp.tx(id, id, -10, 20, pg_temp.at('billing_issue_detected_at', -1) || pg_temp.at('grace_period_expires_at', 25)
            || CASE WHEN i = 'renew_on' THEN '{"renew_status": false}' || pg_temp.at('renew_status_changed_at', -5) ELSE '{}' END)
        WHEN 'retry' THEN pg_temp.tx(id, id, -10, 20, pg_temp.at('billing_issue_detected_at', -1))
        WHEN 'paused' THEN pg_temp.tx(id, id, -10, 20, pg_temp.at('paused_at', 20) || pg_temp.at('resumes_at', 50))
        WHEN 'expired' THEN pg_temp.tx(id, id, -10, -1,
            CASE WHEN i = 'recovered' THEN pg_temp.at('billing_issue_detected_at', -5) || pg_temp.at('grace_period_expires_at', -0.5) ELSE '{}' END
            || CASE WHEN i = 'renew_on' THEN '{"renew_status": false}' || pg_temp.at('renew_status_changed_at', -5) ELSE '{}' END)
        WHEN 'refunded' THEN pg_temp.tx(id, id, -10, 20, pg_temp.at('refunded_at', -1))
    END $$;
CREATE FUNCTION pg_temp.state_end(s text) RETURNS float LANGUAGE sql AS $$
    SELECT CASE WHEN s IN ('trial_expired', 'expired', 'refunded') THEN -1 WHEN s IN ('grace', 'trial_grace') THEN 25 ELSE 20 END $$;

-- The report that is an input: the same transaction changed, or another one of the chain.
CREATE FUNCTION pg_temp.input_tx(id text, s text, i text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    same jsonb := pg_temp.state_tx(id, s, i);
    ends float := pg_temp.state_end(s);
BEGIN
    RETURN CASE i
        WHEN 'trial_start' THEN pg_temp.tx(id || '-2', id, -0.1, 7, pg_temp.trial())
        WHEN 'paid' THEN pg_temp.tx(id || '-2', id, -0.1, 30)
        WHEN 'change_now' THEN pg_temp.tx(id || '-2', id, least(-0.1, ends - 0.1), 30, '{"store_product_id": "st_annual"}')
        WHEN 'change_at_renewal' THEN pg_temp.tx(id || '-2', id, ends, 90, '{"store_product_id": "st_annual"}')
        WHEN 'renew_off' THEN same || '{"renew_status": false}' || pg_temp.at('renew_status_changed_at', 0)
        WHEN 'renew_on' THEN same || '{"renew_status": true}' || pg_temp.at('renew_status_changed_at', 0)
        WHEN 'billing_issue' THEN (same - 'grace_period_expires_at') || pg_temp.at('billing_issue_detected_at', -1)
        WHEN 'grace' THEN same || pg_temp.at('billing_issue_detected_at', -1) || pg_temp.at('grace_period_expires_at', 25)
        WHEN 'recovered' THEN (same - 'billing_issue_detected_at' - 'grace_period_expires_at') || pg_temp.at('expires_at', 50)
        WHEN 'pause' THEN same || pg_temp.at('paused_at', greatest(ends, 0)) || pg_temp.at('renew_status_changed_at', 0)
        WHEN 'unpause' THEN (same - 'paused_at' - 'resumes_at') || pg_temp.at('renew_status_changed_at', 0)
        WHEN 'defer' THEN same || pg_temp.at('expires_at', 50)
        WHEN 'refund' THEN same || pg_temp.at('refunded_at', 0)
        WHEN 'upgraded' THEN (same - 'grace_period_expires_at') || '{"cancellation_reason": "upgraded"}' || pg_temp.at('expires_at', -0.1)
        WHEN 'late_trial' THEN pg_temp.tx(id || '-0', id, -40, -10, pg_temp.trial())
        WHEN 'late_paid' THEN pg_temp.tx(id || '-0', id, -40, -10)
        WHEN 'late_refund' THEN pg_temp.tx(id || '-0', id, -40, -10, pg_temp.at('refunded_at', -20))
    END;
END $$;

CREATE TABLE pg_temp.cells (state text, input text, next_state text, events text[], is_state text, is_next text, is_events text[]);
DO $$
DECLARE
    c record;
    u text;
    p uuid;
    seen bigint;
    is_state text;
    n int := 0;
BEGIN
    FOR c IN SELECT * FROM adapty.subscription_transitions() LOOP
        n := n + 1;
        u := 'st-' || n;
        p := adapty.create_profile(u);
        is_state := NULL;
        IF c.input = 'not_renewing' THEN
            -- comes with the first report only, so the state before it is not seen, and its event is
            is_state := c.state;
            PERFORM adapty.set_transaction(u, pg_temp.state_tx(u, c.state, c.input) || '{"renew_status": false}');
            SELECT count(*) INTO seen FROM adapty.events e WHERE e.profile_id = p AND event_type IN ('trial_started', 'subscription_started');
            seen := seen + 1;
        ELSE
            IF c.state <> 'none' THEN
                PERFORM adapty.set_transaction(u, pg_temp.state_tx(u, c.state, c.input));
            END IF;
            IF c.input = 'late_refund' THEN
                PERFORM adapty.set_transaction(u, pg_temp.input_tx(u, c.state, 'late_paid'));
            END IF;
            is_state := coalesce(adapty.subscription_lifecycle(p, 'play_store', u), 'none');
            SELECT count(*) INTO seen FROM adapty.events e WHERE e.profile_id = p;
        END IF;
        IF c.input IN ('end', 'give_up') THEN
            PERFORM adapty.set_test_clock(u, make_interval(days => CASE c.input WHEN 'end' THEN 26 ELSE 81 END));
            PERFORM adapty.process_due(1000);
        ELSIF c.input <> 'not_renewing' THEN
            PERFORM adapty.set_transaction(u, pg_temp.input_tx(u, c.state, c.input));
        END IF;
        INSERT INTO pg_temp.cells VALUES (c.state, c.input, c.next_state, c.events, is_state,
            adapty.subscription_lifecycle(p, 'play_store', u),
            ARRAY(SELECT x.event_type::text FROM (SELECT e.event_type, e.recorded_at, row_number() OVER (ORDER BY e.recorded_at, e.event_id) AS nth
                  FROM adapty.events e WHERE e.profile_id = p) x WHERE x.nth > seen AND x.event_type <> 'access_level_updated' ORDER BY x.nth));
    END LOOP;
END $$;
-- every cell was reached, did what the table says, and led where it says
SELECT count(*) AS cells, count(*) FILTER (WHERE state = is_state AND next_state = is_next AND events = is_events) AS as_the_table_says FROM pg_temp.cells;
SELECT * FROM pg_temp.cells WHERE state IS DISTINCT FROM is_state OR next_state IS DISTINCT FROM is_next OR events IS DISTINCT FROM is_events;

-- clean up
SELECT count(adapty.delete_profile(customer_user_id)) > 100 AS many FROM (SELECT customer_user_id FROM adapty.identities WHERE customer_user_id LIKE 'st-%') u;
DELETE FROM adapty.transactions WHERE profile_id = '00000000-0000-0000-0000-000000000000';
DELETE FROM adapty.subscriptions WHERE profile_id = '00000000-0000-0000-0000-000000000000';
DELETE FROM adapty.subscription_timers;
DELETE FROM adapty.products WHERE title LIKE 'st %';
