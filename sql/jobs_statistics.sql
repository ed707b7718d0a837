-- The statistics job: one for all that is watched; a relation that fails takes no other with it.
\set VERBOSITY terse
SET client_min_messages = warning;
SET TimeZone = 'UTC';
-- Other tests left samples.
DROP EXTENSION IF EXISTS privacy_scan;
CREATE EXTENSION privacy_scan;
CREATE SCHEMA ps_statistics;
SET search_path = ps_statistics;
SELECT count(*) FROM privacy_scan.jobs;
SELECT status, next_step FROM privacy_scan.health() WHERE component = 'statistics';
-- Without a policy of retention: foreign keys tell what belongs to what.
CREATE TABLE site (id int PRIMARY KEY, at timestamptz NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE scan (id int PRIMARY KEY, site int REFERENCES site) PARTITION BY RANGE (id);
CREATE TABLE evidence (id int PRIMARY KEY, scan int REFERENCES scan) PARTITION BY RANGE (id);
CREATE TABLE link (id int PRIMARY KEY, a int REFERENCES scan, b int REFERENCES site) PARTITION BY RANGE (id);
CREATE TABLE site_0 PARTITION OF site FOR VALUES FROM (0) TO (100000);
CREATE TABLE scan_0 PARTITION OF scan FOR VALUES FROM (0) TO (100000);
CREATE TABLE evidence_0 PARTITION OF evidence FOR VALUES FROM (0) TO (100000);
CREATE TABLE link_0 PARTITION OF link FOR VALUES FROM (0) TO (100000);
INSERT INTO privacy_scan.partition_policies SELECT r, NULL, 100000, 0, 'UTC', false FROM unnest('{site,scan,evidence,link}'::regclass[]) r;
SELECT job, owner = (SELECT rolname::text FROM pg_roles r JOIN pg_extension e ON e.extowner = r.oid WHERE extname = 'privacy_scan') AS owner, schedule, state
FROM privacy_scan.jobs WHERE kind = 'statistics';
SELECT status, next_step FROM privacy_scan.health() WHERE component = 'statistics';
INSERT INTO site SELECT i, '2026-01-01' FROM generate_series(1, 10) i;
INSERT INTO scan SELECT i, 1 FROM generate_series(1, 100) i;
INSERT INTO evidence SELECT i, i % 100 + 1 FROM generate_series(1, 5000) i;
SELECT pg_stat_force_next_flush() IS NOT NULL AS flushed;

-- With the rights of each owner: a function in extended statistics asks who it is, and where it must not be called
-- with other rights, ANALYZE fails.
CREATE ROLE regress_ps_her;
GRANT USAGE, CREATE ON SCHEMA ps_statistics TO regress_ps_her;
CREATE FUNCTION look(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
  IF current_user <> 'regress_ps_her' THEN RAISE 'called as %', current_user; END IF;
  RETURN i;
END $$;
ALTER TABLE evidence OWNER TO regress_ps_her;
ALTER TABLE evidence_0 OWNER TO regress_ps_her;
CREATE STATISTICS of_look ON (look(scan)), id FROM evidence;
CALL privacy_scan.run_due_jobs('2026-02-01');
SELECT last_outcome, failures FROM privacy_scan.jobs WHERE kind = 'statistics';
SELECT relation, root, rows, rows_per_root FROM privacy_scan.growth WHERE relation::text ~ '^(site|scan|evidence|link)$' ORDER BY relation::text;
SELECT relname FROM pg_class WHERE relkind = 'p' AND relnamespace = 'ps_statistics'::regnamespace AND pg_stat_get_analyze_count(oid) > 0 ORDER BY 1;

-- What fails is the outcome of the run, and the others were sampled.
CREATE OR REPLACE FUNCTION look(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused' USING ERRCODE = 'PS002'; END $$;
DROP STATISTICS of_look;
CREATE STATISTICS of_look ON (look(scan)), id FROM evidence;
INSERT INTO evidence SELECT i, i % 100 + 1 FROM generate_series(5001, 9000) i;
SELECT pg_stat_force_next_flush() IS NOT NULL AS flushed;
CALL privacy_scan.run_job('statistics privacy_scan.metric_samples', '2026-02-02');
SELECT state, last_outcome, sqlstate, message FROM privacy_scan.jobs WHERE kind = 'statistics';
SELECT relation::text, count(*) FROM privacy_scan.relation_samples WHERE relation::text ~ '^(site|scan|evidence|link)$' GROUP BY 1 ORDER BY 1;
DROP STATISTICS of_look;
CALL privacy_scan.run_job('statistics privacy_scan.metric_samples', now());
SELECT last_outcome, failures FROM privacy_scan.jobs WHERE kind = 'statistics';
SELECT status, next_step FROM privacy_scan.health() WHERE component = 'statistics';

-- It is the extension's owner's: nobody else sees, pauses or runs it.
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA privacy_scan TO regress_ps_her;
SET ROLE regress_ps_her;
SELECT job FROM privacy_scan.jobs;
SELECT privacy_scan.pause_job('statistics privacy_scan.metric_samples');
SELECT relation::text FROM privacy_scan.growth ORDER BY 1;
RESET ROLE;
SELECT privacy_scan.pause_job('statistics ps_statistics.scan');
SELECT privacy_scan.schedule_job('statistics privacy_scan.metric_samples', '6 hours') > now() AS next;
SELECT schedule FROM privacy_scan.jobs WHERE kind = 'statistics';

-- Gone with the last policy, and back without what was set.
DROP SCHEMA ps_statistics CASCADE;
CALL privacy_scan.run_maintenance();
CALL privacy_scan.run_due_jobs();
SELECT count(*) FROM privacy_scan.jobs;
SELECT (SELECT count(*) FROM privacy_scan.job_schedules) + (SELECT count(*) FROM privacy_scan.job_states) + (SELECT count(*) FROM privacy_scan.job_run_log) AS kept;
REVOKE ALL ON ALL ROUTINES IN SCHEMA privacy_scan FROM regress_ps_her;
DROP EXTENSION privacy_scan;
CREATE EXTENSION privacy_scan;
DROP ROLE regress_ps_her;
