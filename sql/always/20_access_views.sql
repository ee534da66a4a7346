-- Access as analysts and PostgREST see it: one row a user and level, by the clock.
CREATE OR REPLACE VIEW adapty.profile_access_levels AS
SELECT DISTINCT ON (x.profile_id, x.access_level_id)
    x.profile_id,
    x.access_level_id::text AS access_level_id,
    x.rank = 0 AS is_active,
    x.expires_at = 'infinity' AS is_lifetime,
    nullif(x.starts_at, '-infinity') AS starts_at,
    nullif(x.expires_at, 'infinity') AS expires_at,
    x.source,
    ARRAY(SELECT DISTINCT a FROM unnest(x.active) a ORDER BY a) AS active_sources,
    coalesce(x.rank < 2 AND s.renew_status AND s.refunded_at IS NULL, false) AS will_renew,
    coalesce(x.rank = 0 AND s.expires_at <= x.t AND s.grace_period_expires_at > x.t, false) AS is_in_grace_period,
    CASE WHEN x.source IN ('subscription', 'one_time_purchase', 'shared_purchase')
         THEN split_part(x.source_id, ':', 1) ELSE 'adapty' END AS store,
    coalesce(s.store_product_id, o.store_product_id) AS store_product_id,
    nullif(coalesce(s.store_base_plan_id, o.store_base_plan_id), '') AS store_base_plan_id,
    coalesce(s.store_transaction_id, o.store_transaction_id) AS store_transaction_id,
    coalesce(s.store_original_transaction_id, o.store_original_transaction_id) AS store_original_transaction_id,
    coalesce(s.offer_category, o.offer_category) AS offer_category,
    coalesce(s.offer_type, o.offer_type) AS offer_type,
    coalesce(s.offer_id, o.offer_id) AS offer_id,
    coalesce(s.purchased_at, o.purchased_at) AS purchased_at,
    coalesce(s.originally_purchased_at, o.originally_purchased_at) AS originally_purchased_at,
    s.renewal_cancelled_at,
    s.billing_issue_detected_at,
    coalesce(s.cancellation_reason, o.cancellation_reason) AS cancellation_reason
FROM (
    SELECT r.*, array_agg(r.source) FILTER (WHERE r.rank = 0) OVER (PARTITION BY r.profile_id, r.access_level_id) AS active
    FROM (
        SELECT g.*, c.t,
               CASE WHEN g.starts_at <= c.t AND c.t < g.expires_at THEN 0
                    WHEN c.t < g.starts_at AND g.starts_at < g.expires_at THEN 1
                    ELSE 2 END AS rank
        FROM adapty.access_grants g
        CROSS JOIN LATERAL (
            SELECT CASE WHEN g.test_clock_offset IS NULL THEN adapty.now()
                        ELSE adapty.now() + g.test_clock_offset * interval '1 microsecond' END) AS c (t)
    ) r
) x
LEFT JOIN adapty.purchase_inheritors i
       ON i.profile_id = x.profile_id AND x.source = 'shared_purchase'
      AND (i.store || ':' || i.store_original_transaction_id) = x.source_id
LEFT JOIN adapty.subscriptions s
       ON s.profile_id = coalesce(i.parent_profile_id, x.profile_id) AND x.source IN ('subscription', 'shared_purchase')
      AND (s.store || ':' || s.store_original_transaction_id) = x.source_id
LEFT JOIN adapty.transactions o
       ON o.profile_id = coalesce(i.parent_profile_id, x.profile_id) AND x.source IN ('one_time_purchase', 'shared_purchase')
      AND o.purchase_type = 'one_time_purchase'
      AND (o.store || ':' || o.store_transaction_id) = x.source_id
ORDER BY x.profile_id, x.access_level_id, x.rank,
         CASE WHEN x.rank = 1 THEN x.starts_at END, x.expires_at DESC, x.starts_at DESC, x.source, x.source_id;
COMMENT ON VIEW adapty.profile_access_levels IS
    'One row a user and access level, by the clock and not by any worker: whether it is active, and the facts of the winning source.';
REVOKE ALL ON adapty.profile_access_levels FROM PUBLIC;
GRANT SELECT ON adapty.profile_access_levels TO adapty_server, adapty_analyst;
