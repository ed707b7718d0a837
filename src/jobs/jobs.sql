-- jobs: what is to run when, and how it went.
CREATE TABLE privacy_scan.job_schedules (
    kind         text     NOT NULL CHECK (kind IN ('partitions', 'retention', 'statistics', 'verification', 'drill', 'splits')),
    relation     regclass NOT NULL,
    every        interval,
    at           time,
    time_zone    text,
    days         text,
    jitter       interval,
    timeout      interval,
    paused_at    timestamptz,
    pause_reason text,
    PRIMARY KEY (kind, relation),
    CHECK (num_nonnulls(every, time_zone, jitter) IN (0, 3))
);
COMMENT ON TABLE privacy_scan.job_schedules IS
    'What differs from the default schedule of a job, and whether it is paused. Read privacy_scan.jobs instead; written by schedule_job(), pause_job() and resume_job(), and where a job is paused after crashes.';
-- As with the policies: a bare OID could come to rule another table.
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.job_schedules',
    'WHERE relation::oid IN (SELECT oid FROM pg_catalog.pg_class)');

CREATE TABLE privacy_scan.job_states (
    kind       text     NOT NULL,
    relation   regclass NOT NULL,
    next_start timestamptz,
    run        bigint,
    failures   integer  NOT NULL DEFAULT 0,
    crashes    integer  NOT NULL DEFAULT 0,
    phase          text,
    phase_relation oid,
    done           bigint,
    total          bigint,
    PRIMARY KEY (kind, relation)
);
COMMENT ON TABLE privacy_scan.job_states IS
    'Where each job stands: next start, failures and crashes in a row, and, while it runs, the number of its run and, without shared memory, how far it is. Read privacy_scan.jobs and privacy_scan.progress instead.';
-- A start mark belongs to the server that set it: elsewhere it would be counted as a crash.
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.job_states', 'WHERE false');

CREATE TABLE privacy_scan.job_run_log (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind         text     NOT NULL,
    relation     regclass NOT NULL,
    requested_at timestamptz,
    started_at   timestamptz,
    finished_at  timestamptz,
    outcome      text     NOT NULL CHECK (outcome IN ('requested', 'running', 'done', 'failed', 'crashed', 'cancelled')),
    runs         integer  NOT NULL DEFAULT 1,
    rows         bigint,
    partitions   bigint,
    wal_bytes    bigint,
    lock_wait_ms double precision,
    blocked_others_ms double precision,
    pid          integer,
    sqlstate     text,
    message      text
);
CREATE INDEX job_run_log_of_job ON privacy_scan.job_run_log (kind, relation, id);
COMMENT ON TABLE privacy_scan.job_run_log IS
    'The history of each job, its newest privacy_scan.job_history runs. Read privacy_scan.job_runs instead.';
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.job_run_log',
    'WHERE finished_at IS NOT NULL AND relation::oid IN (SELECT oid FROM pg_catalog.pg_class)');
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.job_run_log_id_seq', '');

CREATE TABLE privacy_scan.job_runner (
    is_only  boolean     PRIMARY KEY DEFAULT true CHECK (is_only),
    database name        NOT NULL,
    since    timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE privacy_scan.job_runner IS
    'One row where pg_cron runs the jobs in the worker''s place, with the name of the database, as pg_cron knows it; written by use_pg_cron() and use_worker().';
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.job_runner', '');
GRANT SELECT ON privacy_scan.job_runner TO PUBLIC;

-- Which jobs there are follows from the policies alone. Created with no right for anybody: it is read by the
-- library and by the views below.
CREATE VIEW privacy_scan.job_definitions AS
SELECT p.kind, p.number, p.relation, c.relowner AS owner, format('%s %I.%I', p.kind, n.nspname, c.relname) AS job,
       CASE WHEN s.every IS NULL THEN least(d.every, p.width) ELSE s.every END AS every,
       CASE WHEN s.every IS NULL THEN d.at ELSE s.at END AS at,
       CASE WHEN s.every IS NULL THEN d.time_zone ELSE s.time_zone END AS time_zone,
       s.days, CASE WHEN s.every IS NULL THEN d.jitter ELSE s.jitter END AS jitter, s.timeout,
       s.paused_at, s.pause_reason, t.next_start, d.at_once AND t.next_start IS NULL AS at_once, t.run,
       t.run IS NOT NULL AND EXISTS (
           SELECT FROM pg_locks l
           WHERE l.locktype = 'object' AND l.granted AND l.classid = 'privacy_scan.job_states'::regclass
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
             AND l.objid = p.relation AND l.objsubid = p.number) AS is_running,
       coalesce(t.failures, 0) AS failures, coalesce(t.crashes, 0) AS crashes,
       EXISTS (SELECT FROM privacy_scan.job_run_log l
               WHERE l.kind = p.kind AND l.relation = p.relation AND l.outcome = 'requested') AS requested,
       p.has_ended
FROM (SELECT 'partitions' AS kind, 1 AS number, relation, every AS width, false AS has_ended FROM privacy_scan.partition_policies
      WHERE relation <> 'privacy_scan.metric_samples'::regclass
      UNION ALL SELECT 'retention', 2, root, NULL, false FROM privacy_scan.retention_rules
      -- One for all that is watched. Its object is where the samples go, whose partitions it makes itself.
      UNION ALL SELECT 'statistics', 3, 'privacy_scan.metric_samples', NULL, false
      WHERE EXISTS (SELECT FROM privacy_scan.partition_policies o JOIN pg_class r ON r.oid = o.relation
                    WHERE o.relation <> 'privacy_scan.metric_samples'::regclass)
         OR EXISTS (SELECT FROM privacy_scan.retention_rules o JOIN pg_class r ON r.oid = o.root)
      -- Two for all archives: they stay when their policies have gone.
      UNION ALL SELECT k.kind, k.number, 'privacy_scan.archive_ledger'::regclass, NULL, false
      FROM (VALUES ('verification', 4), ('drill', 5)) k (kind, number)
      WHERE EXISTS (SELECT FROM privacy_scan.archive_ledger)
      -- One for each set with splits or merges in the background. It stays, at rest, as long as they are remembered.
      UNION ALL SELECT 'splits', 6, w.parent, NULL, bool_and(w.is_done)
      FROM (SELECT parent, phase = 'done' AS is_done FROM privacy_scan.split_states WHERE in_background
            UNION ALL SELECT parent, false FROM privacy_scan.split_requests) w GROUP BY w.parent) p
JOIN (VALUES ('partitions', interval '5 minutes', NULL::time, 'UTC', interval '30 seconds', true),
             ('retention', interval '1 day', time '03:00', 'UTC', interval '15 minutes', false),
             ('statistics', interval '1 hour', NULL, 'UTC', interval '5 minutes', true),
             ('verification', interval '1 day', time '04:00', 'UTC', interval '15 minutes', false),
             ('drill', interval '7 days', time '05:00', 'UTC', interval '15 minutes', false),
             ('splits', interval '10 seconds', NULL, 'UTC', interval '0', true))
     d (kind, every, at, time_zone, jitter, at_once) ON d.kind = p.kind
JOIN pg_class c ON c.oid = p.relation
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN privacy_scan.job_schedules s ON s.kind = p.kind AND s.relation = p.relation
LEFT JOIN privacy_scan.job_states t ON t.kind = p.kind AND t.relation = p.relation;
COMMENT ON VIEW privacy_scan.job_definitions IS
    'Every job with its schedule and state: one for each partition set, retention policy and set with splits in the background, one for the statistics of all, two for all archives. Read privacy_scan.jobs instead.';

CREATE VIEW privacy_scan.jobs WITH (security_barrier) AS
SELECT j.job, j.kind, j.relation AS object, pg_get_userbyid(j.owner) AS owner,
       concat_ws(' ', 'every', j.every, 'at ' || to_char(j.at, 'HH24:MI:SS'), CASE WHEN j.at IS NOT NULL THEN j.time_zone END,
                 'on ' || j.days) AS schedule,
       CASE WHEN j.is_running THEN 'running'
            WHEN j.paused_at IS NOT NULL THEN 'paused'
            WHEN j.failures > 0 OR j.run IS NOT NULL THEN 'failing'
            WHEN j.has_ended AND NOT j.requested THEN 'done'
            WHEN j.at_once OR j.requested OR j.next_start <= now() THEN 'due'
            ELSE 'idle' END AS state,
       r.started_at AS last_start, r.finished_at - r.started_at AS duration, r.outcome AS last_outcome,
       j.next_start, j.failures, r.sqlstate, r.message, j.pause_reason
FROM privacy_scan.job_definitions j
LEFT JOIN LATERAL (SELECT l.* FROM privacy_scan.job_run_log l
                   WHERE l.kind = j.kind AND l.relation = j.relation AND l.started_at IS NOT NULL
                   ORDER BY l.started_at DESC, l.id DESC LIMIT 1) r ON true
WHERE pg_has_role(j.owner, 'USAGE');
COMMENT ON VIEW privacy_scan.jobs IS
    'The jobs of the relations that the reader owns: schedule, state (idle, due, running, paused, failing, done), last run, next start, failures in a row with SQLSTATE and message.';
GRANT SELECT ON privacy_scan.jobs TO PUBLIC;

CREATE VIEW privacy_scan.job_runs WITH (security_barrier) AS
SELECT l.id, j.job, l.kind, l.relation AS object, l.requested_at, l.started_at, l.finished_at, l.outcome, l.runs, l.rows,
       l.partitions, l.wal_bytes, l.lock_wait_ms, l.blocked_others_ms, l.pid, l.sqlstate, l.message
FROM privacy_scan.job_run_log l
JOIN privacy_scan.job_definitions j ON j.kind = l.kind AND j.relation = l.relation
WHERE pg_has_role(j.owner, 'USAGE');
COMMENT ON VIEW privacy_scan.job_runs IS
    'How the jobs of the reader''s relations went, the newest privacy_scan.job_history runs of each: outcome (requested, running, done, failed, crashed, cancelled), rows moved, partitions made, WAL written in bytes, time lost waiting for locks, the longest time that others can have waited for a lock of the run. runs: identical failures in a row are one row, of which started_at and finished_at are the last''s.';
GRANT SELECT ON privacy_scan.job_runs TO PUBLIC;

CREATE FUNCTION privacy_scan.list_progress()
RETURNS TABLE (kind text, object oid, phase text, relation oid, done bigint, total bigint)
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'ps_list_progress';
COMMENT ON FUNCTION privacy_scan.list_progress() IS
    'How far the running jobs of the caller''s relations are, by shared memory, as the view progress shows it.';

CREATE VIEW privacy_scan.progress WITH (security_barrier) AS
SELECT j.job, r.pid, coalesce(p.phase, 'starting') AS phase, coalesce(p.relation, j.relation)::regclass AS relation,
       coalesce(p.done, 0) AS done, p.total, s.rate,
       clock_timestamp() + (p.total - p.done) / nullif(s.rate, 0) * interval '1 second' AS estimated_end,
       'pid ' || nullif(array_to_string(pg_blocking_pids(r.pid), ', pid '), '') AS waiting_on
FROM privacy_scan.job_definitions j
JOIN privacy_scan.job_run_log r ON r.id = j.run
LEFT JOIN LATERAL (
    SELECT l.phase, l.relation, l.done, l.total, 1 AS place FROM privacy_scan.list_progress() l
    WHERE l.kind = j.kind AND l.object = j.relation
    UNION ALL SELECT t.phase, t.phase_relation, t.done, t.total, 2 FROM privacy_scan.job_states t
    WHERE t.kind = j.kind AND t.relation = j.relation
    ORDER BY place LIMIT 1) p ON true
CROSS JOIN LATERAL (
    SELECT p.done / extract(epoch FROM greatest(clock_timestamp() - r.started_at, '1 millisecond'))::double precision AS rate) s
WHERE j.is_running AND pg_has_role(j.owner, 'USAGE');
COMMENT ON VIEW privacy_scan.progress IS
    'The jobs of the reader''s relations that run now: phase and relation, how much is done of how much (partitions: made, or rows drained; retention: rows archived of an estimate; statistics: relations; verification and drill: archives; splits: blocks copied, or tables indexed), rate per second since the run began, when it would end at that rate, and whose locks it waits for.';
GRANT SELECT ON privacy_scan.progress TO PUBLIC;

CREATE PROCEDURE privacy_scan.run_job(job text, at timestamptz DEFAULT now())
LANGUAGE c
AS 'MODULE_PATHNAME', 'ps_run_job';
COMMENT ON PROCEDURE privacy_scan.run_job(text, timestamptz) IS
    'Runs one job now, in this session, committing on its way; raises what it failed with.';
REVOKE EXECUTE ON PROCEDURE privacy_scan.run_job(text, timestamptz) FROM PUBLIC;

CREATE PROCEDURE privacy_scan.run_due_jobs(at timestamptz DEFAULT now(), runner text DEFAULT NULL)
LANGUAGE c
AS 'MODULE_PATHNAME', 'ps_run_due_jobs';
COMMENT ON PROCEDURE privacy_scan.run_due_jobs(timestamptz, text) IS
    'Runs the caller''s jobs that are due at the instant, each in transactions of its own; one that fails is a WARNING and a row in privacy_scan.job_runs. runner ''pg_cron'': notes that pg_cron runs the jobs from now on.';
REVOKE EXECUTE ON PROCEDURE privacy_scan.run_due_jobs(timestamptz, text) FROM PUBLIC;

CREATE FUNCTION privacy_scan.request_job(job text)
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_request_job';
COMMENT ON FUNCTION privacy_scan.request_job(text) IS
    'Asks for a run of a job by whoever runs due jobs next; returns its id in privacy_scan.job_runs, of the request that is waiting where there is one.';
REVOKE EXECUTE ON FUNCTION privacy_scan.request_job(text) FROM PUBLIC;

CREATE FUNCTION privacy_scan.pause_job(job text, reason text DEFAULT NULL)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_pause_job';
COMMENT ON FUNCTION privacy_scan.pause_job(text, text) IS
    'Keeps a job from being started until resume_job(); a run that has begun goes on. False where it was paused already.';
REVOKE EXECUTE ON FUNCTION privacy_scan.pause_job(text, text) FROM PUBLIC;

CREATE FUNCTION privacy_scan.resume_job(job text)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_resume_job';
COMMENT ON FUNCTION privacy_scan.resume_job(text) IS
    'Ends the pause of a job and forgets its failures in a row. False where it wasn''t paused.';
REVOKE EXECUTE ON FUNCTION privacy_scan.resume_job(text) FROM PUBLIC;

CREATE FUNCTION privacy_scan.schedule_job(
    job text, every interval, at time DEFAULT NULL, time_zone text DEFAULT 'UTC', days text DEFAULT NULL,
    jitter interval DEFAULT '0', timeout interval DEFAULT NULL)
RETURNS timestamptz
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_schedule_job';
COMMENT ON FUNCTION privacy_scan.schedule_job(text, interval, time, text, text, interval, interval) IS
    'Sets the schedule of a job: every interval, on the clock of a time zone where at is given, on some days (mon to sun) only, with jitter; timeout ends a run. Returns the next start.';
REVOKE EXECUTE ON FUNCTION privacy_scan.schedule_job(text, interval, time, text, text, interval, interval) FROM PUBLIC;


CREATE FUNCTION privacy_scan.use_pg_cron(schedule text DEFAULT '*/5 * * * *', database text DEFAULT NULL)
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_use_pg_cron';
COMMENT ON FUNCTION privacy_scan.use_pg_cron(text, text) IS
    'Has pg_cron run the due jobs of this database, or of another, where pg_cron lives in this one; the worker leaves them alone from then on. Returns the number of the entry in cron.job.';
REVOKE EXECUTE ON FUNCTION privacy_scan.use_pg_cron(text, text) FROM PUBLIC;

CREATE FUNCTION privacy_scan.use_worker(database text DEFAULT NULL)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_use_worker';
COMMENT ON FUNCTION privacy_scan.use_worker(text) IS
    'Takes the jobs back from pg_cron, for the worker or whoever runs them. False where nothing was to be changed.';
REVOKE EXECUTE ON FUNCTION privacy_scan.use_worker(text) FROM PUBLIC;
