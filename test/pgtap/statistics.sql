-- The monitor room as the catalog shows it: shapes, who may do and see what.
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
SET LOCAL search_path = public, pg_catalog;
SELECT plan(19);
DO $$ BEGIN PERFORM privacy_scan.health(); END $$; -- loads the library, which defines the settings

SELECT set_eq($$SELECT p.oid::regprocedure::text FROM pg_proc p
  JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
  JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'privacy_scan' WHERE p.proname ~ 'statistics|growth'$$, ARRAY[
  'privacy_scan.collect_statistics(regclass,timestamp with time zone)',
  'privacy_scan.run_statistics(regclass,timestamp with time zone)',
  'privacy_scan.forecast_growth(regclass,bigint,boolean)'], 'the routines are the ones that were reviewed');
SELECT volatility_is('privacy_scan', 'collect_statistics', ARRAY['regclass', 'timestamp with time zone'], 'volatile');
SELECT volatility_is('privacy_scan', 'forecast_growth', ARRAY['regclass', 'bigint', 'boolean'], 'stable');
SELECT is_partitioned('privacy_scan', 'metric_samples', 'the samples are partitioned');
SELECT is_empty($$SELECT FROM pg_index WHERE indrelid = 'privacy_scan.metric_samples'::regclass$$,
  'without an index at the top, which a restore would make twice');
SELECT columns_are('privacy_scan', 'metric_samples', ARRAY['sampled_at', 'relation_id', 'bytes', 'rows', 'inserted', 'connections', 'active',
  'idle_in_transaction', 'max_connections', 'oldest_xmin_age']);
SELECT columns_are('privacy_scan', 'relation_samples', ARRAY['sampled_at', 'relation', 'bytes', 'rows', 'inserted']);
SELECT columns_are('privacy_scan', 'database_samples', ARRAY['sampled_at', 'bytes', 'connections', 'active', 'idle_in_transaction',
  'max_connections', 'oldest_xmin_age']);
SELECT columns_are('privacy_scan', 'growth', ARRAY['relation', 'root', 'samples', 'first_at', 'last_at', 'bytes', 'rows', 'bytes_per_day',
  'bytes_per_week', 'bytes_per_month', 'rows_per_day', 'rows_per_week', 'rows_per_month', 'net_bytes_per_day', 'net_rows_per_day',
  'inserted_per_day', 'rows_per_root', 'inserted_per_root']);
SELECT is_empty($$SELECT c FROM unnest('{relation_samples,database_samples,growth}'::text[]) c JOIN pg_class r ON r.oid = ('privacy_scan.' || c)::regclass
  WHERE NOT coalesce(r.reloptions @> '{security_barrier=true}', false)$$, 'the views are security barriers');
SELECT results_eq($$SELECT context, boot_val FROM pg_settings WHERE name = 'privacy_scan.monitor_sample_days'$$, $$VALUES ('superuser', '400')$$,
  'how long samples are kept is a superuser''s to set');

CREATE ROLE regress_ps_stranger;
SELECT function_privs_are('privacy_scan', 'collect_statistics', ARRAY['regclass', 'timestamp with time zone'], 'regress_ps_stranger', '{}'::name[]);
SELECT table_privs_are('privacy_scan', t, 'regress_ps_stranger', '{}'::name[])
FROM unnest('{metric_samples,metric_relations,metric_leaves}'::name[]) t;
-- One superuser's run, then what a stranger sees of it, and one who may read all statistics.
SELECT isnt_empty($$SELECT * FROM privacy_scan.collect_statistics(at => '2026-01-01')$$, 'a run');
SET LOCAL ROLE regress_ps_stranger;
PREPARE seen AS SELECT (SELECT count(*) FROM privacy_scan.relation_samples), (SELECT count(*) FROM privacy_scan.growth),
  (SELECT count(*) FROM privacy_scan.database_samples);
SELECT results_eq('seen', 'VALUES (0::bigint, 0::bigint, 0::bigint)', 'a stranger sees nothing');
RESET ROLE;
GRANT pg_read_all_stats TO regress_ps_stranger;
SET LOCAL ROLE regress_ps_stranger;
SELECT results_eq('seen', 'VALUES (0::bigint, 0::bigint, 1::bigint)', 'who may read all statistics sees those of the database');
RESET ROLE;
SELECT is((SELECT count(*) FROM privacy_scan.relation_samples)::int, 1, 'a superuser sees the samples of the samples');
SELECT * FROM finish();
ROLLBACK;
