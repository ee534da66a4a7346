-- Who had what when, by what was recorded.

-- Spans of access before neighbours of one source are united. Private.
CREATE OR REPLACE VIEW adapty._access_spans AS
WITH changes AS NOT MATERIALIZED (
    SELECT e.profile_id, e.access_level_id, e.event_datetime, e.starts_at, e.expires_at, e.was_active,
           CASE WHEN e.event_properties ? 'winner_source'
                THEN (e.event_properties ->> 'winner_source')::adapty.grant_source ELSE e.source END AS source,
           CASE WHEN e.event_properties ? 'winner_source'
                THEN e.event_properties ->> 'winner_source_id' ELSE e.source_id END AS source_id,
           CASE WHEN e.event_properties ? 'winner_source' THEN NULL ELSE e.actor END AS actor,
           CASE WHEN e.event_properties ? 'winner_source' THEN NULL ELSE e.reason END AS reason,
           lead(e.event_datetime) OVER w AS next_at, lag(e.event_datetime) OVER w IS NULL AS is_first
    FROM adapty.events e WHERE e.event_type = 'access_level_updated'
    WINDOW w AS (PARTITION BY e.profile_id, e.access_level_id ORDER BY e.event_datetime, e.recorded_at)
),
-- since the last recorded change the sources as they are say what holds, also in the future
sources AS NOT MATERIALIZED (
    SELECT g.profile_id, g.access_level_id::text AS access_level_id, g.source, nullif(g.source_id, '') AS source_id,
           g.actor, g.reason, greatest(g.starts_at, coalesce(l.since, '-infinity')) AS begins_at, g.starts_at, g.expires_at
    FROM adapty.access_grants g LEFT JOIN (
        SELECT e.profile_id, e.access_level_id, max(e.event_datetime) AS since FROM adapty.events e
        WHERE e.event_type = 'access_level_updated' GROUP BY e.profile_id, e.access_level_id) l
        ON l.profile_id = g.profile_id AND l.access_level_id = g.access_level_id
    WHERE g.expires_at > greatest(g.starts_at, coalesce(l.since, '-infinity'))
),
moments AS NOT MATERIALIZED (
    SELECT p.profile_id, p.access_level_id, p.at,
           lead(p.at) OVER (PARTITION BY p.profile_id, p.access_level_id ORDER BY p.at) AS next_at
    FROM (SELECT s.profile_id, s.access_level_id, s.begins_at AS at FROM sources s
          UNION SELECT s.profile_id, s.access_level_id, s.expires_at FROM sources s) p
)
-- what a change left, until the next one
SELECT c.profile_id, c.access_level_id, greatest(c.event_datetime, c.starts_at) AS starts_at,
       least(c.next_at, c.expires_at) AS ends_at, c.source, c.source_id, c.actor, c.reason
FROM changes c WHERE greatest(c.event_datetime, c.starts_at) < least(c.next_at, c.expires_at) AND c.next_at IS NOT NULL
UNION ALL
-- what was there before the first change that is kept
SELECT c.profile_id, c.access_level_id, '-infinity', c.event_datetime, NULL, NULL, NULL, NULL
FROM changes c WHERE c.is_first AND c.was_active
UNION ALL
SELECT m.profile_id, m.access_level_id, m.at, m.next_at, w.source, w.source_id, w.actor, w.reason
FROM moments m CROSS JOIN LATERAL (
    SELECT s.source, s.source_id, s.actor, s.reason FROM sources s
    WHERE s.profile_id = m.profile_id AND s.access_level_id = m.access_level_id AND s.begins_at <= m.at AND m.at < s.expires_at
    ORDER BY s.expires_at DESC, s.starts_at DESC, s.source, s.source_id LIMIT 1) w
WHERE m.next_at IS NOT NULL;
COMMENT ON VIEW adapty._access_spans IS 'Spans of access as recorded, for access_history. Private.';
REVOKE ALL ON adapty._access_spans FROM PUBLIC;

CREATE OR REPLACE VIEW adapty.access_history AS
SELECT i.profile_id, i.access_level_id, nullif(min(i.starts_at), '-infinity') AS starts_at, nullif(max(i.ends_at), 'infinity') AS ends_at,
       i.source, i.source_id,
       (array_agg(i.actor ORDER BY i.starts_at) FILTER (WHERE i.is_new))[1] AS actor,
       (array_agg(i.reason ORDER BY i.starts_at) FILTER (WHERE i.is_new))[1] AS reason
FROM (
    SELECT n.*, count(*) FILTER (WHERE n.is_new) OVER (
               PARTITION BY n.profile_id, n.access_level_id ORDER BY n.starts_at) AS island
    FROM (
        SELECT s.*, (lag(s.ends_at) OVER w = s.starts_at AND lag(s.source) OVER w IS NOT DISTINCT FROM s.source
                     AND lag(s.source_id) OVER w IS NOT DISTINCT FROM s.source_id) IS NOT TRUE AS is_new
        FROM adapty._access_spans s
        WINDOW w AS (PARTITION BY s.profile_id, s.access_level_id ORDER BY s.starts_at)
    ) n
) i
GROUP BY i.profile_id, i.access_level_id, i.island, i.source, i.source_id;
COMMENT ON VIEW adapty.access_history IS
    'Who had which access level when, and by which source: one row an interval, the same that profile_status(as_of) finds at every moment. Also intervals to come, as they are known now. starts_at is null for what is older than the events that are kept, ends_at for lifetime. Filter by profile_id.';
REVOKE ALL ON adapty.access_history FROM PUBLIC;
GRANT SELECT ON adapty.access_history TO adapty_server;
GRANT SELECT (profile_id, access_level_id, starts_at, ends_at, source, source_id) ON adapty.access_history TO adapty_analyst;

-- ---- A user's story, for people ----
CREATE OR REPLACE FUNCTION adapty._moment_text(at timestamptz) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE WHEN at = 'infinity' OR at = '-infinity' THEN at::text
                ELSE to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"') END;
COMMENT ON FUNCTION adapty._moment_text(timestamptz) IS 'A moment for people, to the second, in UTC. Private.';
REVOKE ALL ON FUNCTION adapty._moment_text(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty._moment_text(timestamptz) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty._event_sentence(event adapty.events) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT coalesce(CASE event.event_type
        WHEN 'access_level_updated' THEN
            CASE WHEN event.is_active AND NOT event.was_active THEN 'got ' || f.level || f.until
                 WHEN event.is_active AND event.expires_at IS DISTINCT FROM event.previous_expires_at THEN 'has ' || f.level || f.until
                      || ', instead of ' || CASE WHEN event.previous_expires_at = 'infinity' THEN 'for lifetime'
                                                 ELSE coalesce('until ' || adapty._moment_text(event.previous_expires_at), 'not') END
                 WHEN event.is_active THEN 'still has ' || f.level || f.until
                 WHEN event.was_active THEN 'lost ' || f.level
                 WHEN event.expires_at > event.starts_at AND event.starts_at > event.event_datetime
                      THEN 'will get ' || f.level || ' at ' || adapty._moment_text(event.starts_at) || f.until
                 ELSE 'has no ' || f.level END
            || CASE WHEN NOT event.is_active OR event.event_properties ->> 'will_renew' IS NULL THEN ''
                    WHEN event.event_properties ->> 'is_in_grace_period' = 'true' THEN ', in the grace period'
                    WHEN event.event_properties ->> 'will_renew' = 'true' THEN ', renewing'
                    ELSE ', not renewing' END
            || coalesce(' (' || replace(event.source::text, '_', ' ') || coalesce(' ' || event.source_id, '') || ')', '')
        WHEN 'subscription_started' THEN 'subscription to ' || f.product || ' began' || f.price || f.period_end
        WHEN 'subscription_renewed' THEN 'subscription to ' || f.product || ' was renewed' || f.price || f.period_end
        WHEN 'subscription_renewal_cancelled' THEN 'renewal of ' || f.product || ' was switched off' || f.period_end
        WHEN 'subscription_renewal_reactivated' THEN 'renewal of ' || f.product || ' was switched on again' || f.period_end
        WHEN 'subscription_expired' THEN 'subscription to ' || f.product || ' ended' || f.why
        WHEN 'subscription_paused' THEN 'subscription to ' || f.product || ' was paused' || f.period_end
        WHEN 'subscription_deferred' THEN 'the end of the subscription to ' || f.product || ' was moved' || f.period_end
        WHEN 'subscription_refunded' THEN 'subscription to ' || f.product || ' was refunded' || f.price || f.why
        WHEN 'non_subscription_purchase' THEN f.product || ' was bought' || f.price
        WHEN 'non_subscription_purchase_refunded' THEN 'purchase of ' || f.product || ' was refunded' || f.price || f.why
        WHEN 'trial_started' THEN 'trial of ' || f.product || ' began' || f.period_end
        WHEN 'trial_converted' THEN 'trial of ' || f.product || ' became a paid subscription' || f.price || f.period_end
        WHEN 'trial_renewal_cancelled' THEN 'the trial of ' || f.product || ' was told not to become paid' || f.period_end
        WHEN 'trial_renewal_reactivated' THEN 'the trial of ' || f.product || ' was told to become paid after all' || f.period_end
        WHEN 'trial_expired' THEN 'trial of ' || f.product || ' ended' || f.why
        WHEN 'entered_grace_period' THEN 'grace period for ' || f.product || ' began' || f.period_end
        WHEN 'billing_issue_detected' THEN 'payment for ' || f.product || ' failed'
        WHEN 'trial_active' THEN 'trial of ' || f.product || ' still runs' || f.period_end
        WHEN 'subscription_active' THEN 'subscription to ' || f.product || ' still runs' || f.period_end
        END, replace(event.event_type::text, '_', ' '))
        || coalesce(', done by ' || event.actor, '') || coalesce(', reason: "' || event.reason || '"', '')
    FROM (SELECT
        'access level "' || event.access_level_id || '"' AS level,
        CASE WHEN event.expires_at = 'infinity' THEN ' for lifetime'
             ELSE coalesce(' until ' || adapty._moment_text(event.expires_at), '') END AS until,
        '"' || (p ->> 'store_product_id') || coalesce(':' || (p ->> 'store_base_plan_id'), '') || '" of ' || (p ->> 'store')
            || CASE p ->> 'environment' WHEN 'Sandbox' THEN ' (Sandbox)' ELSE '' END AS product,
        coalesce(' for ' || (p ->> 'price_value') || ' ' || (p ->> 'price_currency'), '') AS price,
        coalesce(', until ' || adapty._moment_text((p ->> 'subscription_expires_at')::timestamptz), '') AS period_end,
        coalesce(': ' || (p ->> 'cancellation_reason'), '') AS why
        FROM (SELECT event.event_properties) AS x (p)) f
    $$;
COMMENT ON FUNCTION adapty._event_sentence(adapty.events) IS 'An event in words. Private.';
REVOKE ALL ON FUNCTION adapty._event_sentence(adapty.events) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty._event_sentence(adapty.events) TO adapty_server;

CREATE OR REPLACE VIEW adapty.profile_timelines AS
SELECT p.profile_id, p.created_at AS at, p.created_at AS recorded_at, 'profile' AS kind, 'profile was created' AS sentence,
       NULL::adapty.event_type AS event_type, NULL::text AS source_id, NULL::uuid AS event_id
FROM adapty.profiles p
UNION ALL
SELECT e.profile_id, e.event_datetime, e.recorded_at, 'event', adapty._event_sentence(e.*), e.event_type, e.source_id, e.event_id
FROM adapty.events e
UNION ALL
-- purchases without an event of their own: shared by the family, imported
SELECT t.profile_id, t.purchased_at, t.recorded_at, 'transaction',
       'transaction for "' || t.store_product_id || coalesce(':' || nullif(t.store_base_plan_id, ''), '') || '" of ' || t.store
           || CASE t.environment WHEN 'Sandbox' THEN ' (Sandbox)' ELSE '' END
           || ' for ' || t.price_value || ' ' || t.price_currency || coalesce(', until ' || adapty._moment_text(t.expires_at), '')
           || CASE WHEN t.is_family_shared THEN ', shared by the family' ELSE '' END
           || coalesce(', refunded at ' || adapty._moment_text(t.refunded_at), ''),
       NULL, t.store || ':' || t.store_transaction_id, NULL
FROM adapty.transactions t
WHERE NOT EXISTS (SELECT FROM adapty.events e WHERE e.profile_id = t.profile_id AND e.event_type <> 'access_level_updated'
                  AND e.source_id = t.store || ':' || t.store_transaction_id)
UNION ALL
-- sources of access that changed nothing that the user sees, or whose events are gone
SELECT g.profile_id, g.granted_at, g.granted_at, 'grant',
       replace(g.source::text, '_', ' ') || coalesce(' ' || nullif(g.source_id, ''), '') || ' gives access level "' || g.access_level_id || '"'
           || CASE WHEN g.starts_at = '-infinity' THEN '' ELSE ' from ' || adapty._moment_text(g.starts_at) END
           || CASE WHEN g.expires_at = 'infinity' THEN ' for lifetime' ELSE ' until ' || adapty._moment_text(g.expires_at) END
           || CASE WHEN g.revoked_at IS NOT NULL THEN ', ended early' ELSE '' END
           || coalesce(', done by ' || g.actor, '') || coalesce(', reason: "' || g.reason || '"', ''),
       NULL, nullif(g.source_id, ''), NULL
FROM adapty.access_grants g
WHERE NOT EXISTS (SELECT FROM adapty.events e WHERE e.profile_id = g.profile_id AND e.event_type = 'access_level_updated'
                  AND e.access_level_id = g.access_level_id AND e.source = g.source AND coalesce(e.source_id, '') = g.source_id)
UNION ALL
SELECT h.profile_id, h.created_at, h.created_at, 'sharing',
       'purchase ' || h.store || ':' || h.store_original_transaction_id || ' of '
           || coalesce('"' || i.customer_user_id || '"', 'profile ' || h.parent_profile_id) || ' was reported for this profile as well'
           || CASE WHEN h.is_entitled THEN '' ELSE '; its access went to another since' END,
       NULL, h.store || ':' || h.store_original_transaction_id, NULL
FROM adapty.purchase_inheritors h LEFT JOIN adapty.identities i ON i.profile_id = h.parent_profile_id
WHERE h.profile_id <> h.parent_profile_id;
COMMENT ON VIEW adapty.profile_timelines IS
    'What happened to each profile, in words: purchases, grants, access, sharing. Filter by profile_id, order by at, recorded_at; profile_timeline() does both.';
REVOKE ALL ON adapty.profile_timelines FROM PUBLIC;
GRANT SELECT ON adapty.profile_timelines TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.profile_timeline(
        customer_user_id text,
        OUT at timestamptz, OUT recorded_at timestamptz, OUT kind text, OUT sentence text,
        OUT event_type adapty.event_type, OUT source_id text, OUT event_id uuid)
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_profile_timeline';
CREATE OR REPLACE FUNCTION adapty.profile_timeline(
        profile_id uuid,
        OUT at timestamptz, OUT recorded_at timestamptz, OUT kind text, OUT sentence text,
        OUT event_type adapty.event_type, OUT source_id text, OUT event_id uuid)
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_profile_timeline_by_profile_id';
COMMENT ON FUNCTION adapty.profile_timeline(text) IS
    'What happened to a user, in words, in the order of time: for support staff. at is the moment in the business, recorded_at when it was written down.';
COMMENT ON FUNCTION adapty.profile_timeline(uuid) IS
    'What happened to a profile, in words, in the order of time.';
REVOKE ALL ON FUNCTION adapty.profile_timeline(text), adapty.profile_timeline(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.profile_timeline(text), adapty.profile_timeline(uuid) TO adapty_server;
