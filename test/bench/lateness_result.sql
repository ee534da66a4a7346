-- Lapses; and median, 99th percentile and maximum of commit - expires_at in milliseconds.
SELECT count(*),
       percentile_cont(0.5) WITHIN GROUP (ORDER BY late),
       percentile_cont(0.99) WITHIN GROUP (ORDER BY late),
       max(late)
    FROM (SELECT extract(epoch FROM pg_catalog.pg_xact_commit_timestamp(e.xmin) - e.event_datetime) * 1000 AS late
              FROM adapty.events e WHERE e.event_type = 'access_level_updated' AND NOT e.is_active) l;
