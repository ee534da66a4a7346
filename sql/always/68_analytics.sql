-- Analytics: what was bought, subscribed to and lost, per day. docs/analytics.md has the definitions.
-- Everything comes from transactions: neither the retention of events nor the workers change a number.

CREATE OR REPLACE VIEW adapty.payments AS
SELECT t.profile_id,
       t.store::text AS store,
       t.store_transaction_id,
       t.store_original_transaction_id,
       t.product_id,
       coalesce(d.period, 'uncategorised') AS period,
       t.purchase_type,
       t.offer_type IS NOT DISTINCT FROM 'free_trial' AS is_trial,
       t.purchased_at,
       least(CASE WHEN t.billing_issue_detected_at IS NOT NULL THEN greatest(t.expires_at, t.grace_period_expires_at)
                  ELSE t.expires_at END,
             t.paused_at,
             CASE WHEN t.cancellation_reason = 'upgraded' THEN t.refunded_at END) AS ends_at,
       t.refunded_at,
       t.refunded_at IS NULL OR t.cancellation_reason IS NOT DISTINCT FROM 'upgraded' AS counts_as_active,
       CASE WHEN t.offer_type IS DISTINCT FROM 'free_trial' THEN t.price_usd END AS revenue_usd,
       CASE WHEN t.purchase_type = 'subscription' AND t.offer_type IS DISTINCT FROM 'free_trial' THEN
            CASE d.period
                WHEN 'weekly' THEN 12 / 52.0 WHEN 'monthly' THEN 1 WHEN 'two_months' THEN 2 WHEN 'trimonthly' THEN 3
                WHEN 'semiannual' THEN 6 WHEN 'annual' THEN 12
                ELSE extract(epoch FROM t.expires_at - t.purchased_at) / (86400 * 365.25 / 12) END END AS months,
       CASE WHEN t.purchase_type = 'subscription' AND t.offer_type IS DISTINCT FROM 'free_trial' THEN
            row_number() OVER (PARTITION BY t.store, t.store_original_transaction_id, t.offer_type IS NOT DISTINCT FROM 'free_trial'
                               ORDER BY t.purchased_at, t.expires_at, t.store_transaction_id COLLATE "C") END AS payment_number,
       t.variation_id,
       t.price_country::text AS price_country
  FROM adapty.transactions t
  LEFT JOIN adapty.products d ON d.product_id = t.product_id
 WHERE t.environment = 'Production' AND NOT t.is_family_shared;
COMMENT ON VIEW adapty.payments IS
    'What analytics count: every transaction of the Production environment but family-shared ones, with trials told from payments.';
COMMENT ON COLUMN adapty.payments.ends_at IS 'End of the paid (or trial) period: expiry, end of grace, pause or upgrade; null for one-time purchases.';
COMMENT ON COLUMN adapty.payments.counts_as_active IS 'false for what was refunded: it counts in no past day as active. An upgrade''s refund only ends the period.';
COMMENT ON COLUMN adapty.payments.revenue_usd IS 'What was paid in US dollars; null for trials and where the rate is unknown.';
COMMENT ON COLUMN adapty.payments.months IS 'Length of a paid period in months for MRR: by the product''s period, else by its dates.';
COMMENT ON COLUMN adapty.payments.payment_number IS 'Which payment of its subscription, from 1; null for trials and one-time purchases.';

CREATE OR REPLACE VIEW adapty.subscription_runs AS
SELECT store, store_original_transaction_id, min(profile_id::text)::uuid AS profile_id,
       min(purchased_at) AS starts_at, max(ends_at) AS ends_at, min(payment_number) AS first_payment_number, count(*) AS payments
  FROM (SELECT m.*, sum((m.previous_end IS NULL OR m.purchased_at > m.previous_end)::integer)
                    OVER (PARTITION BY m.store, m.store_original_transaction_id ORDER BY m.payment_number) AS run
          FROM (SELECT p.*, max(p.ends_at) OVER (PARTITION BY p.store, p.store_original_transaction_id ORDER BY p.payment_number
                                                 ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS previous_end
                  FROM adapty.payments p
                 WHERE p.payment_number IS NOT NULL AND p.counts_as_active) AS m) AS r
 GROUP BY store, store_original_transaction_id, run;
COMMENT ON VIEW adapty.subscription_runs IS
    'Stretches of time in which a subscription was paid without a gap; what was refunded left out. A later start than its first is a restart.';

-- ---- Subscriptions and trials ----
CREATE OR REPLACE FUNCTION adapty.daily_subscriptions(
        from_day date DEFAULT NULL, to_day date DEFAULT NULL, time_zone text DEFAULT 'UTC',
        OUT day date,
        OUT new_subscriptions bigint, OUT restarted_subscriptions bigint,
        OUT churned_subscriptions bigint, OUT active_subscriptions bigint,
        OUT new_trials bigint, OUT converted_trials bigint, OUT expired_trials bigint, OUT active_trials bigint)
    RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    WITH first_payments AS (
        SELECT p.store, p.store_original_transaction_id, p.purchased_at FROM adapty.payments p WHERE p.payment_number = 1
    ), runs AS (
        SELECT r.starts_at, r.ends_at, r.first_payment_number FROM adapty.subscription_runs r
    ), trials AS (
        SELECT p.purchased_at, p.ends_at, c.purchased_at AS converted_at
          FROM adapty.payments p
          LEFT JOIN first_payments c ON c.store = p.store AND c.store_original_transaction_id = p.store_original_transaction_id
                                    AND c.purchased_at >= p.purchased_at
         WHERE p.purchase_type = 'subscription' AND p.is_trial
    ), happened (at, new_s, restarted_s, churned_s, active_s, new_t, converted_t, expired_t, active_t) AS (
        SELECT p.purchased_at, 1, 0, 0, 0, 0, 0, 0, 0 FROM first_payments p
        UNION ALL SELECT r.starts_at, 0, (r.first_payment_number > 1)::integer, 0, 1, 0, 0, 0, 0 FROM runs r
        UNION ALL SELECT r.ends_at, 0, 0, 1, -1, 0, 0, 0, 0 FROM runs r WHERE r.ends_at <= adapty.now()
        UNION ALL SELECT t.purchased_at, 0, 0, 0, 0, 1, 0, 0, 1 FROM trials t
        UNION ALL SELECT t.converted_at, 0, 0, 0, 0, 0, 1, 0, 0 FROM trials t WHERE t.converted_at IS NOT NULL
        UNION ALL SELECT least(t.ends_at, t.converted_at), 0, 0, 0, 0, 0, 0, (t.converted_at IS NULL OR t.converted_at > t.ends_at)::integer, -1
                    FROM trials t WHERE least(t.ends_at, t.converted_at) <= adapty.now()
    ), per_day AS (
        SELECT (h.at AT TIME ZONE time_zone)::date AS day, sum(h.new_s) AS new_s, sum(h.restarted_s) AS restarted_s,
               sum(h.churned_s) AS churned_s, sum(h.active_s) AS active_s, sum(h.new_t) AS new_t,
               sum(h.converted_t) AS converted_t, sum(h.expired_t) AS expired_t, sum(h.active_t) AS active_t
          FROM happened h
         WHERE h.at <= adapty.now()
         GROUP BY 1
    ), days AS (
        SELECT g.day::date AS day
          FROM generate_series(coalesce(from_day, (SELECT min(d.day) FROM per_day d))::timestamp,
                               least(to_day, (adapty.now() AT TIME ZONE time_zone)::date)::timestamp, interval '1 day') AS g (day)
    )
    SELECT x.day, x.new_s, x.restarted_s, x.churned_s, x.active_s, x.new_t, x.converted_t, x.expired_t, x.active_t
      FROM (SELECT coalesce(s.day, d.day) AS day, s.day IS NOT NULL AS shown,
                   coalesce(d.new_s, 0)::bigint AS new_s, coalesce(d.restarted_s, 0)::bigint AS restarted_s,
                   coalesce(d.churned_s, 0)::bigint AS churned_s,
                   coalesce(sum(d.active_s) OVER w, 0)::bigint AS active_s,
                   coalesce(d.new_t, 0)::bigint AS new_t, coalesce(d.converted_t, 0)::bigint AS converted_t,
                   coalesce(d.expired_t, 0)::bigint AS expired_t,
                   coalesce(sum(d.active_t) OVER w, 0)::bigint AS active_t
              FROM days s FULL JOIN per_day d ON d.day = s.day
            WINDOW w AS (ORDER BY coalesce(s.day, d.day))) AS x
     WHERE x.shown
     ORDER BY x.day
    $$;
COMMENT ON FUNCTION adapty.daily_subscriptions(date, date, text) IS
    'Subscriptions and trials per day of a time zone. New: first payments of a subscription, conversions of trials included, refunded ones too. Restarted: payments after a gap. Churned: paid stretches that ended without a payment by their end, for whatever reason. Active: paid, not refunded, not over, at the end of the day. Trials: started, converted (by the day of the first payment), expired unconverted, running at the end of the day.';

-- ---- Money ----
CREATE OR REPLACE FUNCTION adapty.daily_revenue(
        from_day date DEFAULT NULL, to_day date DEFAULT NULL, time_zone text DEFAULT 'UTC',
        OUT day date, OUT purchases bigint, OUT gross_usd numeric, OUT refunds bigint, OUT refunded_usd numeric,
        OUT revenue_usd numeric, OUT payers bigint, OUT arppu_usd numeric, OUT new_profiles bigint, OUT arpu_usd numeric)
    RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    WITH paid AS (
        SELECT (p.purchased_at AT TIME ZONE time_zone)::date AS day, count(*) AS purchases, coalesce(sum(p.revenue_usd), 0) AS gross,
               count(DISTINCT CASE WHEN p.profile_id = '00000000-0000-0000-0000-000000000000'
                                   THEN p.store || ':' || p.store_original_transaction_id ELSE p.profile_id::text END) AS payers
          FROM adapty.payments p
         WHERE NOT p.is_trial AND p.purchased_at <= adapty.now()
         GROUP BY 1
    ), refunded AS (
        SELECT (p.refunded_at AT TIME ZONE time_zone)::date AS day, count(*) AS refunds, coalesce(sum(p.revenue_usd), 0) AS refunded
          FROM adapty.payments p
         WHERE NOT p.is_trial AND p.refunded_at <= adapty.now()
         GROUP BY 1
    ), created AS (
        SELECT (f.created_at AT TIME ZONE time_zone)::date AS day, count(*) AS profiles
          FROM adapty.profiles f
         GROUP BY 1
    ), days AS (
        SELECT g.day::date AS day
          FROM generate_series(coalesce(from_day, (SELECT min(d.day) FROM (SELECT p.day FROM paid p UNION ALL SELECT c.day FROM created c) AS d))::timestamp,
                               least(to_day, (adapty.now() AT TIME ZONE time_zone)::date)::timestamp, interval '1 day') AS g (day)
    )
    SELECT x.day, x.purchases, x.gross, x.refunds, x.refunded, x.gross - x.refunded, x.payers,
           round((x.gross - x.refunded) / nullif(x.payers, 0), 2), x.profiles, round((x.gross - x.refunded) / nullif(x.profiles, 0), 2)
      FROM (SELECT s.day, coalesce(p.purchases, 0) AS purchases, coalesce(p.gross, 0) AS gross, coalesce(p.payers, 0) AS payers,
                   coalesce(r.refunds, 0) AS refunds, coalesce(r.refunded, 0) AS refunded, coalesce(c.profiles, 0) AS profiles
              FROM days s LEFT JOIN paid p ON p.day = s.day LEFT JOIN refunded r ON r.day = s.day LEFT JOIN created c ON c.day = s.day) AS x
     ORDER BY x.day
    $$;
COMMENT ON FUNCTION adapty.daily_revenue(date, date, text) IS
    'Money per day of a time zone, in US dollars before commission and tax. Gross: all payments of the day, trials are none. Refunded: the price of what was refunded that day, whenever it was bought. Revenue: gross minus refunded, may be negative. Payers: users who paid that day, refunded or not. ARPPU: revenue by payers. ARPU: revenue by profiles created that day. Null where there is nobody to divide by.';

CREATE OR REPLACE FUNCTION adapty.daily_mrr(
        from_day date DEFAULT NULL, to_day date DEFAULT NULL, time_zone text DEFAULT 'UTC',
        OUT day date, OUT mrr_usd numeric, OUT arr_usd numeric)
    RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    WITH paid AS (
        SELECT p.purchased_at AS starts_at, p.revenue_usd / nullif(p.months, 0) AS mrr,
               least(p.ends_at, lead(p.purchased_at) OVER (PARTITION BY p.store, p.store_original_transaction_id ORDER BY p.payment_number)) AS ends_at
          FROM adapty.payments p
         WHERE p.payment_number IS NOT NULL AND p.counts_as_active AND p.revenue_usd IS NOT NULL
    ), per_day AS (
        SELECT (h.at AT TIME ZONE time_zone)::date AS day, sum(h.mrr) AS mrr
          FROM (SELECT p.starts_at AS at, p.mrr FROM paid p UNION ALL SELECT p.ends_at, -p.mrr FROM paid p) AS h
         WHERE h.at <= adapty.now()
         GROUP BY 1
    ), days AS (
        SELECT g.day::date AS day
          FROM generate_series(coalesce(from_day, (SELECT min(d.day) FROM per_day d))::timestamp,
                               least(to_day, (adapty.now() AT TIME ZONE time_zone)::date)::timestamp, interval '1 day') AS g (day)
    )
    SELECT x.day, round(x.mrr, 2), round(x.mrr * 12, 2)
      FROM (SELECT coalesce(s.day, d.day) AS day, s.day IS NOT NULL AS shown,
                   coalesce(sum(d.mrr) OVER (ORDER BY coalesce(s.day, d.day)), 0) AS mrr
              FROM days s FULL JOIN per_day d ON d.day = s.day) AS x
     WHERE x.shown
     ORDER BY x.day
    $$;
COMMENT ON FUNCTION adapty.daily_mrr(date, date, text) IS
    'Monthly and annual recurring revenue at the end of each day of a time zone: over all active subscriptions, what the running period cost in US dollars divided by its months (a week is 12/52). ARR is 12 MRR. No trials, no one-time purchases; what was refunded counts in no day.';

-- ---- Cohorts ----
CREATE OR REPLACE FUNCTION adapty.trial_conversion(
        from_day date DEFAULT NULL, to_day date DEFAULT NULL, time_zone text DEFAULT 'UTC',
        OUT day date, OUT trials bigint, OUT converted bigint, OUT conversion_percent numeric)
    RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT (p.purchased_at AT TIME ZONE time_zone)::date, count(*), count(c.purchased_at),
           round(100.0 * count(c.purchased_at) / count(*), 2)
      FROM adapty.payments p
      LEFT JOIN adapty.payments c ON c.store = p.store AND c.store_original_transaction_id = p.store_original_transaction_id
                                 AND c.payment_number = 1 AND c.purchased_at >= p.purchased_at AND c.purchased_at <= adapty.now()
     WHERE p.purchase_type = 'subscription' AND p.is_trial AND p.purchased_at <= adapty.now()
       AND (from_day IS NULL OR (p.purchased_at AT TIME ZONE time_zone)::date >= from_day)
       AND (to_day IS NULL OR (p.purchased_at AT TIME ZONE time_zone)::date <= to_day)
     GROUP BY 1
     ORDER BY 1
    $$;
COMMENT ON FUNCTION adapty.trial_conversion(date, date, text) IS
    'Trials by the day on which they started, and how many of them have been paid for since, however much later; refunds do not matter. Recent days still grow.';

CREATE OR REPLACE FUNCTION adapty.cohort_retention(
        from_day date DEFAULT NULL, to_day date DEFAULT NULL, time_zone text DEFAULT 'UTC', cohort_unit text DEFAULT 'month',
        OUT cohort date, OUT payment_number bigint, OUT subscriptions bigint, OUT retention_percent numeric)
    RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    WITH chains AS (
        SELECT min(p.purchased_at) AS started_at, max(p.payment_number) AS payments
          FROM adapty.payments p
         WHERE p.payment_number IS NOT NULL AND p.purchased_at <= adapty.now()
         GROUP BY p.store, p.store_original_transaction_id
    ), cohorts AS (
        SELECT date_trunc(cohort_unit, c.started_at AT TIME ZONE time_zone)::date AS cohort, c.payments
          FROM chains c
         WHERE (from_day IS NULL OR (c.started_at AT TIME ZONE time_zone)::date >= from_day)
           AND (to_day IS NULL OR (c.started_at AT TIME ZONE time_zone)::date <= to_day)
    )
    SELECT c.cohort, n.n, count(*) FILTER (WHERE c.payments >= n.n),
           round(100.0 * count(*) FILTER (WHERE c.payments >= n.n) / count(*), 2)
      FROM cohorts c
      JOIN (SELECT x.cohort, max(x.payments) AS last FROM cohorts x GROUP BY x.cohort) AS l ON l.cohort = c.cohort
     CROSS JOIN LATERAL generate_series(1, l.last) AS n (n)
     GROUP BY c.cohort, n.n
     ORDER BY c.cohort, n.n
    $$;
COMMENT ON FUNCTION adapty.cohort_retention(date, date, text, text) IS
    'Subscriptions by the day, week or month (cohort_unit) of their first payment, and how many of them have made an Nth payment: 1 is all of them. Refunds do not matter; recent cohorts still grow.';

CREATE OR REPLACE FUNCTION adapty.cohort_revenue(
        from_day date DEFAULT NULL, to_day date DEFAULT NULL, time_zone text DEFAULT 'UTC', cohort_unit text DEFAULT 'month',
        OUT cohort date, OUT period bigint, OUT profiles bigint, OUT payers bigint,
        OUT revenue_usd numeric, OUT cumulative_revenue_usd numeric, OUT arpu_usd numeric)
    RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    WITH people AS (
        SELECT f.profile_id, f.created_at, date_trunc(cohort_unit, f.created_at AT TIME ZONE time_zone)::date AS cohort
          FROM adapty.profiles f
         WHERE f.created_at <= adapty.now()
           AND (from_day IS NULL OR (f.created_at AT TIME ZONE time_zone)::date >= from_day)
           AND (to_day IS NULL OR (f.created_at AT TIME ZONE time_zone)::date <= to_day)
    ), cohorts AS (
        SELECT x.cohort, count(*) AS profiles, min(x.created_at) AS first_at FROM people x GROUP BY x.cohort
    ), money AS (
        SELECT x.cohort, x.profile_id, m.usd, m.is_payment,
               greatest(0, floor(extract(epoch FROM m.at - x.created_at) / (30 * 86400)))::bigint AS period
          FROM people x
          JOIN (SELECT p.profile_id, p.purchased_at AS at, p.revenue_usd AS usd, true AS is_payment
                  FROM adapty.payments p WHERE NOT p.is_trial
                UNION ALL
                SELECT p.profile_id, p.refunded_at, -p.revenue_usd, false
                  FROM adapty.payments p WHERE NOT p.is_trial AND p.refunded_at IS NOT NULL) AS m
            ON m.profile_id = x.profile_id AND m.at <= adapty.now()
    ), per_period AS (
        SELECT m.cohort, m.period, count(DISTINCT m.profile_id) FILTER (WHERE m.is_payment) AS payers, coalesce(sum(m.usd), 0) AS usd
          FROM money m
         GROUP BY m.cohort, m.period
    )
    SELECT c.cohort, n.n, c.profiles, coalesce(p.payers, 0), coalesce(p.usd, 0), sum(coalesce(p.usd, 0)) OVER w,
           round(sum(coalesce(p.usd, 0)) OVER w / c.profiles, 2)
      FROM cohorts c
     CROSS JOIN LATERAL generate_series(0, floor(extract(epoch FROM adapty.now() - c.first_at) / (30 * 86400))::bigint) AS n (n)
      LEFT JOIN per_period p ON p.cohort = c.cohort AND p.period = n.n
    WINDOW w AS (PARTITION BY c.cohort ORDER BY n.n)
     ORDER BY c.cohort, n.n
    $$;
COMMENT ON FUNCTION adapty.cohort_revenue(date, date, text, text) IS
    'Users by the day, week or month (cohort_unit) in which their profile was created, and what they paid in each period of 30 days from their own creation on (0 is the first): payers of the period, revenue minus refunds of the period, both summed up, and that by all users of the cohort. The last periods of a cohort are not over for all of its users.';

-- ---- The same, ready to read: all days so far, in UTC ----
CREATE OR REPLACE VIEW adapty.daily_subscriptions AS SELECT * FROM adapty.daily_subscriptions();
COMMENT ON VIEW adapty.daily_subscriptions IS 'Subscriptions and trials per day in UTC, all days so far: see the function of the same name.';
CREATE OR REPLACE VIEW adapty.daily_revenue AS SELECT * FROM adapty.daily_revenue();
COMMENT ON VIEW adapty.daily_revenue IS 'Money per day in UTC, all days so far: see the function of the same name.';
CREATE OR REPLACE VIEW adapty.daily_mrr AS SELECT * FROM adapty.daily_mrr();
COMMENT ON VIEW adapty.daily_mrr IS 'Recurring revenue at the end of each day in UTC: see the function of the same name.';
CREATE OR REPLACE VIEW adapty.trial_conversion AS SELECT * FROM adapty.trial_conversion();
COMMENT ON VIEW adapty.trial_conversion IS 'Conversion of trials by the day in UTC on which they started: see the function of the same name.';
CREATE OR REPLACE VIEW adapty.cohort_retention AS SELECT * FROM adapty.cohort_retention();
COMMENT ON VIEW adapty.cohort_retention IS 'Retention by the month in UTC of the first payment: see the function of the same name.';
CREATE OR REPLACE VIEW adapty.cohort_revenue AS SELECT * FROM adapty.cohort_revenue();
COMMENT ON VIEW adapty.cohort_revenue IS 'Revenue by the month in UTC in which profiles were created: see the function of the same name.';

REVOKE ALL ON FUNCTION adapty.daily_subscriptions(date, date, text), adapty.daily_revenue(date, date, text), adapty.daily_mrr(date, date, text),
    adapty.trial_conversion(date, date, text), adapty.cohort_retention(date, date, text, text), adapty.cohort_revenue(date, date, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.daily_subscriptions(date, date, text), adapty.daily_revenue(date, date, text), adapty.daily_mrr(date, date, text),
    adapty.trial_conversion(date, date, text), adapty.cohort_retention(date, date, text, text), adapty.cohort_revenue(date, date, text, text)
    TO adapty_server, adapty_analyst;
REVOKE ALL ON adapty.payments, adapty.subscription_runs, adapty.daily_subscriptions, adapty.daily_revenue, adapty.daily_mrr,
    adapty.trial_conversion, adapty.cohort_retention, adapty.cohort_revenue FROM PUBLIC;
GRANT SELECT ON adapty.payments, adapty.subscription_runs, adapty.daily_subscriptions, adapty.daily_revenue, adapty.daily_mrr,
    adapty.trial_conversion, adapty.cohort_retention, adapty.cohort_revenue TO adapty_server, adapty_analyst;
