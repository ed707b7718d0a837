-- Jobs: which there are, what is due when, how a run goes, how it fails, and who stops it.
\set VERBOSITY terse
SET client_min_messages = warning;
SET TimeZone = 'UTC';
-- Other tests left archives, after which jobs look, too.
DROP EXTENSION IF EXISTS privacy_scan;
CREATE EXTENSION privacy_scan;
CREATE SCHEMA ps_jobs;
SET search_path = ps_jobs;
CREATE TABLE event (id int, at timestamptz NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE scan (id int PRIMARY KEY, at timestamptz NOT NULL);
CREATE TABLE evidence (id int PRIMARY KEY, scan int NOT NULL REFERENCES scan ON DELETE CASCADE);
CREATE VIEW runs AS SELECT job, outcome, runs, rows, partitions, sqlstate, message FROM privacy_scan.job_runs WHERE kind IN ('partitions', 'retention') ORDER BY started_at, id;

-- No policy, no job; a policy is a job.
SELECT count(*) FROM privacy_scan.jobs;
CALL privacy_scan.run_due_jobs();
SELECT count(*) > 0 AS made FROM privacy_scan.manage_partitions('event', 'at', '1 month', premake => 1);
SELECT privacy_scan.set_retention('scan', '1 year', 'at') IS NOT NULL AS set;
SELECT job, kind, object, schedule, state, next_start, pause_reason FROM privacy_scan.jobs ORDER BY job;
-- Statistics, whose hour could come meanwhile, have a test of their own.
SELECT privacy_scan.pause_job('statistics privacy_scan.metric_samples', 'another test');

-- Creating ahead is due at once; retention waits for its hour.
INSERT INTO event SELECT i, '2020-01-15'::timestamptz + i * interval '1 month' FROM generate_series(0, 2) i;
INSERT INTO scan VALUES (1, '2020-01-01'), (2, now());
INSERT INTO evidence VALUES (10, 1), (11, 1), (20, 2);
CALL privacy_scan.run_due_jobs(now());
SELECT job, last_outcome, failures, next_start - now() <= CASE kind WHEN 'partitions' THEN '5 minutes 30 seconds' ELSE '24 hours 15 minutes' END::interval AS soon
FROM privacy_scan.jobs WHERE kind IN ('partitions', 'retention') ORDER BY job;
SELECT * FROM runs;
-- The test may run at any hour of the day: retention's is moved out of the way.
UPDATE privacy_scan.job_states SET next_start = now() + interval '12 hours' WHERE kind = 'retention';
SELECT count(*), count(*) FILTER (WHERE state = 'past') AS past, max(rows) FILTER (WHERE state = 'default') AS strays FROM privacy_scan.partitions WHERE parent = 'event'::regclass;
SELECT wal_bytes > 0 AS wal, lock_wait_ms >= 0 AS waited, finished_at >= started_at AS ordered, pid = pg_backend_pid() AS ours FROM privacy_scan.job_runs;
-- Not due again before its next start.
SELECT next_start - interval '1 us' AS before, next_start AS due FROM privacy_scan.jobs WHERE kind = 'partitions' \gset
CALL privacy_scan.run_due_jobs(:'before');
SELECT count(*) FROM runs;
CALL privacy_scan.run_due_jobs(:'due');
SELECT count(*) FROM runs;

-- By name, due or not.
CALL privacy_scan.run_job('retention scan');
SELECT * FROM runs WHERE job ~ 'retention';
SELECT id FROM scan;
SELECT id FROM evidence;
SELECT relation, rows FROM privacy_scan.archives WHERE root ~ 'ps_jobs' ORDER BY 1;

-- A request is answered by whoever runs due jobs next; it waits once.
SELECT privacy_scan.request_job('retention ps_jobs.scan') AS id \gset
SELECT privacy_scan.request_job('retention ps_jobs.scan') = :id AS same;
SELECT outcome, started_at FROM privacy_scan.job_runs WHERE id = :id;
SELECT state FROM privacy_scan.jobs WHERE kind = 'retention';
CALL privacy_scan.run_due_jobs(now());
SELECT outcome, runs, rows, requested_at <= started_at AS ordered FROM privacy_scan.job_runs WHERE id = :id;

-- Paused, resumed.
SELECT privacy_scan.pause_job('partitions event', 'a migration'), privacy_scan.pause_job('partitions event', 'again');
SELECT state, pause_reason FROM privacy_scan.jobs WHERE kind = 'partitions';
CALL privacy_scan.run_job('partitions event');
SELECT privacy_scan.request_job('partitions event');
UPDATE privacy_scan.job_states SET next_start = now() WHERE kind = 'partitions';
CALL privacy_scan.run_due_jobs(now());
SELECT count(*) FROM runs WHERE job ~ 'partitions';
SELECT privacy_scan.resume_job('partitions event'), privacy_scan.resume_job('partitions event');
SELECT state IN ('idle', 'due') AS resumed FROM privacy_scan.jobs WHERE kind = 'partitions';

-- Schedules.
SELECT extract(minute FROM start) AS minute, start - now() BETWEEN '0' AND '1 hour' AS next_hour FROM privacy_scan.schedule_job('partitions event', '1 hour') start;
SELECT schedule FROM privacy_scan.jobs WHERE kind = 'partitions';
SELECT privacy_scan.schedule_job('retention scan', '1 day', '03:30', 'Europe/Berlin', 'sat sun', '10 minutes', '2 hours') - now() < '8 days' AS soon;
SELECT schedule, extract(isodow FROM next_start AT TIME ZONE 'Europe/Berlin') IN (6, 7) AS weekend,
  (next_start AT TIME ZONE 'Europe/Berlin')::time BETWEEN '03:30' AND '03:40' AS at_night FROM privacy_scan.jobs WHERE kind = 'retention';
-- After an outage it starts once.
SELECT privacy_scan.schedule_job('partitions event', '1 minute') > now() AS next;
UPDATE privacy_scan.job_states SET next_start = now() + interval '12 hours' WHERE kind = 'retention';
CALL privacy_scan.run_due_jobs(now() + interval '2 hours');
SELECT count(*) FROM runs WHERE job ~ 'partitions';
SELECT next_start - now() BETWEEN '2 hours' AND '2 hours 2 minutes' AS after_it FROM privacy_scan.jobs WHERE kind = 'partitions';

-- Refused.
SELECT privacy_scan.schedule_job('partitions event', '0');
SELECT privacy_scan.schedule_job('partitions event', '367 days');
SELECT privacy_scan.schedule_job('partitions event', '178000000 years');
SELECT privacy_scan.schedule_job('partitions event', '36 hours', '03:00');
SELECT privacy_scan.schedule_job('partitions event', '1 day', days => 'mon');
SELECT privacy_scan.schedule_job('partitions event', '2 days', '03:00', days => 'mon');
SELECT privacy_scan.schedule_job('partitions event', '1 day', '03:00', days => 'mon, someday');
SELECT privacy_scan.schedule_job('partitions event', '1 day', '24:00');
SELECT privacy_scan.schedule_job('partitions event', '1 day', '03:00', 'Mars/Olympus');
SELECT privacy_scan.schedule_job('partitions event', '1 minute', jitter => '2 minutes');
SELECT privacy_scan.schedule_job('partitions event', '1 minute', timeout => '0');
SELECT privacy_scan.schedule_job('partitions event', NULL);
SELECT privacy_scan.pause_job('cleaning event');
SELECT privacy_scan.pause_job('partitions');
SELECT privacy_scan.pause_job('partitions nothing');
SELECT privacy_scan.pause_job('partitions scan');
SELECT privacy_scan.pause_job('retention event');
SELECT privacy_scan.pause_job(NULL);
CALL privacy_scan.run_job('partitions event', 'infinity');
CALL privacy_scan.run_due_jobs(NULL);
BEGIN;
CALL privacy_scan.run_due_jobs();
ROLLBACK;
SET default_transaction_isolation = 'repeatable read';
CALL privacy_scan.run_due_jobs();
RESET default_transaction_isolation;
SET default_transaction_read_only = on;
SELECT privacy_scan.pause_job('partitions event');
RESET default_transaction_read_only;

-- A job that fails stops no other; the same failure again is the same row, and the pauses grow.
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused' USING ERRCODE = 'PS001'; END $$;
CREATE TRIGGER refuse BEFORE DELETE ON evidence FOR EACH ROW EXECUTE FUNCTION refuse();
INSERT INTO scan VALUES (3, '2020-01-01');
INSERT INTO evidence VALUES (30, 3);
SELECT privacy_scan.schedule_job('retention scan', '1 day') > now() AS next;
UPDATE privacy_scan.job_states SET next_start = '2000-01-01';
CALL privacy_scan.run_due_jobs(now());
SELECT job, outcome, runs, rows, sqlstate FROM runs WHERE job ~ 'partitions' OR outcome = 'failed' ORDER BY outcome, job;
SELECT state, last_outcome, failures, sqlstate, message, next_start - now() BETWEEN '30 seconds' AND '61 seconds' AS soon FROM privacy_scan.jobs WHERE kind = 'retention';
UPDATE privacy_scan.job_states SET next_start = '2000-01-01' WHERE kind = 'retention';
CALL privacy_scan.run_due_jobs(now());
CALL privacy_scan.run_job('retention scan');
SELECT job, outcome, runs, sqlstate FROM runs WHERE outcome = 'failed';
SELECT failures, next_start - now() BETWEEN '150 seconds' AND '241 seconds' AS later FROM privacy_scan.jobs WHERE kind = 'retention';
DROP TRIGGER refuse ON evidence;
CALL privacy_scan.run_job('retention scan');
SELECT state IN ('idle', 'due') AS fine, failures, sqlstate FROM privacy_scan.jobs WHERE kind = 'retention';

-- Retention as of the future is refused, whoever asks.
CALL privacy_scan.run_job('retention scan', now() + interval '10 years');
SELECT failures, sqlstate FROM privacy_scan.jobs WHERE kind = 'retention';

-- Out of time.
CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN old; END $$;
CREATE TRIGGER sleep BEFORE DELETE ON evidence FOR EACH ROW EXECUTE FUNCTION sleep();
INSERT INTO scan VALUES (4, '2020-01-01');
INSERT INTO evidence VALUES (40, 4);
SELECT privacy_scan.schedule_job('retention scan', '1 day', timeout => '100 ms') > now() AS next;
CALL privacy_scan.run_job('retention scan');
SELECT last_outcome, failures, sqlstate, message FROM privacy_scan.jobs WHERE kind = 'retention';
-- Cancelled: written down, and the session is told.
SELECT privacy_scan.schedule_job('retention scan', '1 day') > now() AS next;
SET statement_timeout = '100ms';
CALL privacy_scan.run_job('retention scan');
RESET statement_timeout;
SELECT state, last_outcome, sqlstate, failures FROM privacy_scan.jobs WHERE kind = 'retention';
SELECT count(*) FROM pg_locks WHERE locktype = 'object' AND pid = pg_backend_pid();
DROP TRIGGER sleep ON evidence;
CALL privacy_scan.run_job('retention scan');
SELECT last_outcome, failures FROM privacy_scan.jobs WHERE kind = 'retention';

-- A start mark without its process is a crash; the third in a row pauses the job.
INSERT INTO privacy_scan.job_run_log (kind, relation, started_at, outcome) VALUES ('partitions', 'event', '2020-01-01', 'running') RETURNING id \gset crash
UPDATE privacy_scan.job_states SET run = :crashid, next_start = '2000-01-01' WHERE kind = 'partitions';
SELECT state FROM privacy_scan.jobs WHERE kind = 'partitions';
CALL privacy_scan.run_due_jobs(now());
SELECT state, failures, next_start - now() BETWEEN '30 seconds' AND '61 seconds' AS soon FROM privacy_scan.jobs WHERE kind = 'partitions';
SELECT outcome, message FROM privacy_scan.job_runs WHERE id = :crashid;
UPDATE privacy_scan.job_states SET run = :crashid WHERE kind = 'partitions';
CALL privacy_scan.run_due_jobs(now());
UPDATE privacy_scan.job_states SET run = :crashid WHERE kind = 'partitions';
CALL privacy_scan.run_due_jobs(now());
SELECT state, failures, pause_reason FROM privacy_scan.jobs WHERE kind = 'partitions';
SELECT privacy_scan.resume_job('partitions event');
CALL privacy_scan.run_job('partitions event');
SELECT state IN ('idle', 'due') AS fine, failures, pause_reason FROM privacy_scan.jobs WHERE kind = 'partitions';

-- The history is a ring.
SET privacy_scan.job_history = 3;
CALL privacy_scan.run_job('partitions event');
CALL privacy_scan.run_job('partitions event');
SELECT count(*) FROM runs WHERE job ~ 'partitions';
RESET privacy_scan.job_history;

-- Others see and touch nothing of it, and run what is their own.
CREATE ROLE regress_jobs_alice;
GRANT USAGE, CREATE ON SCHEMA ps_jobs TO regress_jobs_alice;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA privacy_scan TO regress_jobs_alice;
UPDATE privacy_scan.job_states SET next_start = '2000-01-01';
SET ROLE regress_jobs_alice;
SELECT count(*) FROM privacy_scan.jobs;
SELECT count(*) FROM privacy_scan.job_runs;
CALL privacy_scan.run_job('partitions ps_jobs.event');
SELECT privacy_scan.request_job('partitions ps_jobs.event');
SELECT privacy_scan.pause_job('partitions ps_jobs.event');
SELECT privacy_scan.resume_job('partitions ps_jobs.event');
SELECT privacy_scan.schedule_job('partitions ps_jobs.event', '1 hour');
SELECT FROM privacy_scan.job_definitions;
SELECT FROM privacy_scan.job_states;
SET privacy_scan.job_history = 1;
CREATE TABLE hers (at timestamptz NOT NULL) PARTITION BY RANGE (at);
SELECT count(*) > 0 AS made FROM privacy_scan.manage_partitions('hers', 'at', '1 month');
CALL privacy_scan.run_due_jobs(now());
SELECT job, owner, last_outcome FROM privacy_scan.jobs;
RESET ROLE;
SELECT job, next_start < now() AS left_alone FROM privacy_scan.jobs WHERE object <> 'hers'::regclass AND kind IN ('partitions', 'retention') ORDER BY job;

-- A policy that is gone takes its job along, with all that was known of it.
SELECT privacy_scan.drop_retention('scan');
DROP TABLE hers;
CALL privacy_scan.run_due_jobs(now());
SELECT job FROM privacy_scan.jobs ORDER BY job;
SELECT DISTINCT kind, relation::regclass FROM privacy_scan.job_run_log ORDER BY kind;
SELECT DISTINCT kind, relation::regclass FROM privacy_scan.job_states ORDER BY kind;

DROP SCHEMA ps_jobs CASCADE;
DROP SCHEMA IF EXISTS ps_jobs_archive CASCADE;
CALL privacy_scan.run_maintenance();
CALL privacy_scan.run_due_jobs();
SELECT count(*) FROM privacy_scan.job_run_log WHERE kind IN ('partitions', 'retention');
DELETE FROM privacy_scan.archive_ledger WHERE root_name ~ 'ps_jobs';
REVOKE ALL ON ALL ROUTINES IN SCHEMA privacy_scan FROM regress_jobs_alice;
DROP ROLE regress_jobs_alice;
