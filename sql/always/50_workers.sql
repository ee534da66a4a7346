-- What the workers are doing. Counters begin with the server's start.
CREATE OR REPLACE FUNCTION adapty.scheduler_stats(
        OUT pid              integer,
        OUT state            text,
        OUT next_wake_at     timestamptz,
        OUT batches          bigint,
        OUT processed        bigint,
        OUT failed           bigint,
        OUT last_batch_size  bigint,
        OUT last_lateness_ms double precision,
        OUT max_lateness_ms  double precision,
        OUT mean_lateness_ms double precision,
        OUT wakeups          bigint,
        OUT last_error       text,
        OUT last_error_at    timestamptz,
        OUT last_run_at      timestamptz,
        OUT is_running       boolean)
    RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL SAFE ROWS 1
    AS 'MODULE_PATHNAME', 'adapty_scheduler_stats';
REVOKE ALL ON FUNCTION adapty.scheduler_stats() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.scheduler_stats() TO adapty_server, pg_monitor;
COMMENT ON FUNCTION adapty.scheduler_stats() IS
    'One row about the scheduler of this database since the server''s start; no row if there was none. See the view stats.';

-- Always one row. The queue is counted up to a bound, by the index of what is due: reading this view
-- costs little however much is waiting.
CREATE OR REPLACE VIEW adapty.stats AS
SELECT pg_catalog.current_database()  AS datname,
       COALESCE(s.is_running, false)  AS scheduler_running,
       s.pid,
       s.state,
       s.next_wake_at,
       (SELECT pg_catalog.count(*)
          FROM (SELECT
                  FROM adapty.access_grants AS g
                 WHERE g.next_transition_at OPERATOR(pg_catalog.<=) pg_catalog.statement_timestamp()
                 LIMIT 10001) AS due) AS due_now,
       (SELECT pg_catalog.min(g.next_transition_at)
          FROM adapty.access_grants AS g
         WHERE g.next_transition_at IS NOT NULL) AS next_due_at,
       COALESCE(s.batches, 0)         AS batches,
       COALESCE(s.processed, 0)       AS processed,
       COALESCE(s.failed, 0)          AS failed,
       s.last_batch_size,
       s.last_lateness_ms,
       s.mean_lateness_ms,
       s.max_lateness_ms,
       COALESCE(s.wakeups, 0)         AS wakeups,
       s.last_error,
       s.last_error_at,
       s.last_run_at
  FROM (VALUES (1)) AS one (n)
  LEFT JOIN adapty.scheduler_stats() AS s ON true;
REVOKE ALL ON adapty.stats FROM PUBLIC;
GRANT SELECT ON adapty.stats TO adapty_server, pg_monitor;
GRANT USAGE ON SCHEMA adapty TO pg_monitor;
COMMENT ON VIEW adapty.stats IS
    'The scheduler of this database and its queue: always one row. Counters begin with the server''s start.';
COMMENT ON COLUMN adapty.stats.scheduler_running IS 'Is a scheduler at work here? false without shared_preload_libraries.';
COMMENT ON COLUMN adapty.stats.state IS 'starting, working, sleeping, off (adapty.scheduler), outdated (ALTER EXTENSION adapty UPDATE is needed), failed (comes back by itself) or stopped.';
COMMENT ON COLUMN adapty.stats.next_wake_at IS 'When the scheduler will look at the queue next.';
COMMENT ON COLUMN adapty.stats.due_now IS 'Starts and ends of access that are due and not announced yet; 10001 stands for more than 10000.';
COMMENT ON COLUMN adapty.stats.next_due_at IS 'The earliest start or end of access that is not announced yet; in the past if the scheduler is late.';
COMMENT ON COLUMN adapty.stats.failed IS 'Users set aside after an error. See last_error and the server''s log.';
COMMENT ON COLUMN adapty.stats.last_lateness_ms IS 'Largest time between a moment and its announcement in the last batch, in milliseconds.';
COMMENT ON COLUMN adapty.stats.mean_lateness_ms IS 'Mean over all announced moments, in milliseconds.';
COMMENT ON COLUMN adapty.stats.max_lateness_ms IS 'Largest so far, in milliseconds; catching up after a stop counts.';
COMMENT ON COLUMN adapty.stats.wakeups IS 'How often the scheduler woke to look at the queue.';
