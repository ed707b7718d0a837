-- How far a job is, as a trigger sees it from inside, without shared memory; and how long it keeps others out.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ps_progress;
SET search_path = ps_progress;
CREATE TABLE scan (id int PRIMARY KEY, at timestamptz NOT NULL);
CREATE TABLE evidence (id int PRIMARY KEY, scan int NOT NULL REFERENCES scan ON DELETE CASCADE);
INSERT INTO scan SELECT i, '2020-01-01' FROM generate_series(1, 4) i;
INSERT INTO scan VALUES (5, now());
INSERT INTO evidence SELECT i, i % 4 + 1 FROM generate_series(1, 12) i;
SELECT privacy_scan.set_retention('scan', '1 year', 'at') IS NOT NULL AS set;
CREATE TABLE seen (n serial, job text, ours boolean, phase text, relation regclass, done bigint, total bigint, has_rate boolean, soon boolean, waiting_on text);
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO ps_progress.seen (job, ours, phase, relation, done, total, has_rate, soon, waiting_on)
  SELECT job, pid = pg_backend_pid(), phase, relation, done, total, rate > 0, estimated_end BETWEEN clock_timestamp() AND clock_timestamp() + interval '1 minute', waiting_on
  FROM privacy_scan.progress;
  RETURN NULL;
END $$;
CREATE TRIGGER look AFTER DELETE ON scan FOR EACH STATEMENT EXECUTE FUNCTION look();
SELECT count(*) FROM privacy_scan.progress;
SET privacy_scan.retention_batch_rows = 4;
CALL privacy_scan.run_job('retention scan');
RESET privacy_scan.retention_batch_rows;
SELECT job, ours, phase, relation, done, total, has_rate, soon, waiting_on FROM seen ORDER BY n;
SELECT count(*) FROM privacy_scan.progress;
-- Rows one by one take no lock that others would wait for.
SELECT blocked_others_ms FROM privacy_scan.job_runs WHERE job ~ 'retention';

-- Attaching a partition keeps others out of DEFAULT.
CREATE TABLE event (id int, at timestamptz NOT NULL) PARTITION BY RANGE (at);
SELECT count(*) > 0 AS made FROM privacy_scan.manage_partitions('event', 'at', '1 month', premake => 1);
CALL privacy_scan.run_job('partitions event');
SELECT outcome, partitions, blocked_others_ms FROM privacy_scan.job_runs WHERE job ~ 'partitions' ORDER BY id DESC LIMIT 1;
UPDATE privacy_scan.partition_policies SET premake = 2 WHERE relation = 'event'::regclass;
CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.3); END $$;
CREATE EVENT TRIGGER ps_progress_slow ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION slow();
CALL privacy_scan.run_job('partitions event');
DROP EVENT TRIGGER ps_progress_slow;
SELECT outcome, partitions, blocked_others_ms >= 300 AS at_least, blocked_others_ms < 1000 * extract(epoch FROM finished_at - started_at) AS at_most
FROM privacy_scan.job_runs WHERE job ~ 'partitions' ORDER BY id DESC LIMIT 1;

DROP SCHEMA ps_progress, ps_progress_archive CASCADE;
CALL privacy_scan.run_maintenance();
CALL privacy_scan.run_due_jobs();
DELETE FROM privacy_scan.archive_ledger WHERE root_name ~ 'ps_progress';
