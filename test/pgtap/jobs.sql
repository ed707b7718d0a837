-- The jobs room as the catalog shows it: shapes, comments, who may do and see what.
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
SET LOCAL search_path = public, pg_catalog;
SELECT plan(30);
DO $$ BEGIN PERFORM privacy_scan.health(); END $$; -- loads the library, which defines the settings

CREATE TEMPORARY VIEW routines AS
SELECT p.oid, p.oid::regprocedure::text AS signature, p.proname, p.prokind, p.provolatile, p.proparallel, p.prosecdef, p.proacl, p.proowner
FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'privacy_scan'
WHERE p.proname ~ '_jobs?$|^use_';
SELECT set_eq('SELECT signature FROM routines', ARRAY[
  'privacy_scan.run_job(text,timestamp with time zone)',
  'privacy_scan.run_due_jobs(timestamp with time zone,text)',
  'privacy_scan.request_job(text)',
  'privacy_scan.pause_job(text,text)',
  'privacy_scan.resume_job(text)',
  'privacy_scan.schedule_job(text,interval,time without time zone,text,text,interval,interval)',
  'privacy_scan.use_pg_cron(text,text)',
  'privacy_scan.use_worker(text)'], 'the routines are the ones that were reviewed');
SELECT is_empty($$SELECT signature FROM routines WHERE obj_description(oid, 'pg_proc') IS NULL$$, 'each routine has a comment');
SELECT is_empty($$SELECT signature FROM routines WHERE prosecdef$$, 'none is SECURITY DEFINER');
SELECT is_empty($$SELECT signature FROM routines WHERE provolatile <> 'v' OR proparallel <> 'u'$$, 'all are VOLATILE and PARALLEL UNSAFE');
SELECT is_empty($$SELECT signature FROM routines, aclexplode(coalesce(proacl, acldefault('f', proowner))) a WHERE a.grantee = 0$$, 'PUBLIC executes none');
SELECT set_eq($$SELECT proname FROM routines WHERE prokind = 'p'$$, ARRAY['run_job', 'run_due_jobs']::name[], 'what commits is a procedure');
SELECT function_returns('privacy_scan', 'request_job', ARRAY['text'], 'bigint', 'request_job() returns a number');
SELECT function_returns('privacy_scan', 'pause_job', ARRAY['text', 'text'], 'boolean', 'pause_job() returns whether');
SELECT function_returns('privacy_scan', 'resume_job', ARRAY['text'], 'boolean', 'resume_job() returns whether');
SELECT function_returns('privacy_scan', 'schedule_job', ARRAY['text', 'interval', 'time without time zone', 'text', 'text', 'interval', 'interval'], 'timestamp with time zone', 'schedule_job() returns the next start');
SELECT columns_are('privacy_scan', 'jobs', ARRAY['job', 'kind', 'object', 'owner', 'schedule', 'state', 'last_start', 'duration', 'last_outcome', 'next_start', 'failures', 'sqlstate', 'message', 'pause_reason']);
SELECT columns_are('privacy_scan', 'job_runs', ARRAY['id', 'job', 'kind', 'object', 'requested_at', 'started_at', 'finished_at', 'outcome', 'runs', 'rows', 'partitions', 'wal_bytes', 'lock_wait_ms', 'blocked_others_ms', 'pid', 'sqlstate', 'message']);
SELECT is_empty($$SELECT c FROM unnest('{jobs,job_runs,progress}'::text[]) c, pg_class r
  WHERE r.oid = ('privacy_scan.' || c)::regclass AND NOT coalesce(r.reloptions @> '{security_barrier=true}', false)$$, 'the views are security barriers');
SELECT is_empty($$SELECT c FROM unnest('{job_schedules,job_states,job_run_log,job_definitions,jobs,job_runs,progress}'::text[]) c
  WHERE obj_description(('privacy_scan.' || c)::regclass, 'pg_class') IS NULL$$, 'each relation has a comment');
SELECT is_empty($$SELECT c FROM unnest('{job_schedules,job_states,job_run_log,job_definitions}'::text[]) c, pg_class r, aclexplode(coalesce(relacl, acldefault('r', relowner))) a
  WHERE r.oid = ('privacy_scan.' || c)::regclass AND a.grantee <> r.relowner$$, 'nobody else reads or writes the tables behind them');
SELECT set_has($$SELECT c::regclass::text FROM pg_extension, unnest(extconfig) c WHERE extname = 'privacy_scan'$$,
  $$VALUES ('privacy_scan.job_schedules'), ('privacy_scan.job_states'), ('privacy_scan.job_run_log'), ('privacy_scan.job_run_log_id_seq'), ('privacy_scan.job_runner')$$, 'pg_dump knows of the tables');
SELECT is(current_setting('privacy_scan.job_history'), '100', 'a hundred runs are kept');
SELECT is(current_setting('privacy_scan.job_timeout'), '1h', 'a run has an hour');
SELECT is((SELECT context FROM pg_settings WHERE name = 'privacy_scan.job_history'), 'superuser', 'nobody shortens the history but a superuser');
SELECT col_has_check('privacy_scan', 'job_schedules', 'kind', 'kinds are known');
SELECT col_is_pk('privacy_scan', 'job_schedules', ARRAY['kind', 'relation'], 'one schedule a job');
SELECT col_is_pk('privacy_scan', 'job_states', ARRAY['kind', 'relation'], 'one state a job');
SELECT col_is_pk('privacy_scan', 'job_run_log', 'id', 'runs are numbered');

SELECT columns_are('privacy_scan', 'progress', ARRAY['job', 'pid', 'phase', 'relation', 'done', 'total', 'rate', 'estimated_end', 'waiting_on']);
SELECT columns_are('privacy_scan', 'workers', ARRAY['kind', 'pid', 'database', 'state', 'last_start', 'last_tick', 'next_start', 'detail']);
SELECT is((SELECT context FROM pg_settings WHERE name = 'privacy_scan.databases'), 'sighup', 'which databases are visited is the configuration file''s to say');

-- A policy is a job.
CREATE TABLE jobbed (at timestamptz NOT NULL) PARTITION BY RANGE (at);
SELECT ok(count(*) > 0, 'a partition set is there') FROM privacy_scan.manage_partitions('jobbed', 'at', '1 month');
SELECT is((SELECT job FROM privacy_scan.jobs WHERE object = 'jobbed'::regclass), 'partitions public.jobbed', 'it has its job');
SELECT throws_ok($$CALL privacy_scan.run_due_jobs()$$, '2D000', NULL, 'which runs in transactions of its own');
CREATE ROLE jobs_nobody;
SET LOCAL ROLE jobs_nobody;
SELECT throws_ok($$SELECT privacy_scan.pause_job('partitions public.jobbed')$$, '42501', NULL, 'who was granted nothing does nothing');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
