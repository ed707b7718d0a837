-- The adopt room as the catalog shows it: shapes, who may do and see what.
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
SET LOCAL search_path = public, pg_catalog;
SELECT plan(18);

SELECT set_eq($$SELECT p.oid::regprocedure::text FROM pg_proc p
  JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
  JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'privacy_scan' WHERE p.proname ~ 'adopt'$$, ARRAY[
  'privacy_scan.plan_adoption(regclass,name,interval,integer,text,boolean,text,boolean)',
  'privacy_scan.adopt_table(regclass,name,interval,integer,text,boolean,text,boolean)',
  'privacy_scan.run_adoption(regclass)',
  'privacy_scan.cancel_adoption(regclass)',
  'privacy_scan.undo_adoption(regclass,bigint)',
  'privacy_scan.adoption_progress(regclass)'], 'the routines are the ones that were reviewed');
SELECT volatility_is('privacy_scan', f, 'volatile') FROM unnest('{plan_adoption,adopt_table,cancel_adoption,undo_adoption}'::name[]) f;
SELECT volatility_is('privacy_scan', 'adoption_progress', ARRAY['regclass'], 'stable');
SELECT columns_are('privacy_scan', 'adoptions', ARRAY['relation', 'state', 'step', 'done', 'total', 'rate', 'since', 'switched_at', 'cutover', 'last_error',
  'last_error_at', 'lock_held_ms', 'lock_tries']);
SELECT columns_are('privacy_scan', 'adoption_states', ARRAY['relation', 'key_number', 'every', 'premake', 'time_zone', 'default_partition', 'key_kind', 'unique_id', 'cutover',
  'parent', 'key_added', 'started_at', 'switched_at', 'lock_held_ms', 'lock_tries', 'last_error', 'last_error_at']);
SELECT ok((SELECT reloptions @> '{security_barrier=true}' FROM pg_class WHERE oid = 'privacy_scan.adoptions'::regclass), 'the view is a security barrier');

CREATE ROLE regress_ps_adopter;
CREATE ROLE regress_ps_stranger;
SELECT function_privs_are('privacy_scan', 'adopt_table', ARRAY['regclass', 'name', 'interval', 'integer', 'text', 'boolean', 'text', 'boolean'], 'regress_ps_stranger', '{}'::name[]);
SELECT function_privs_are('privacy_scan', 'undo_adoption', ARRAY['regclass', 'bigint'], 'regress_ps_stranger', '{}'::name[]);
SELECT table_privs_are('privacy_scan', 'adoption_states', 'regress_ps_stranger', '{}'::name[]);
-- An owner who was granted no more than EXECUTE adopts; a stranger sees nothing of it.
GRANT EXECUTE ON FUNCTION privacy_scan.adopt_table, privacy_scan.undo_adoption TO regress_ps_adopter;
GRANT USAGE ON SCHEMA privacy_scan TO regress_ps_adopter, regress_ps_stranger;
CREATE SCHEMA ps_pgtap_adopt AUTHORIZATION regress_ps_adopter;
SET LOCAL ROLE regress_ps_adopter;
CREATE TABLE ps_pgtap_adopt.t (id int, at timestamptz NOT NULL, PRIMARY KEY (id, at));
INSERT INTO ps_pgtap_adopt.t VALUES (1, now()), (2, now());
SELECT results_eq($$SELECT state FROM privacy_scan.adopt_table('ps_pgtap_adopt.t')$$, ARRAY['done now', 'next', 'waiting'], 'one step');
SELECT results_eq($$SELECT state FROM privacy_scan.adopt_table('ps_pgtap_adopt.t')$$, ARRAY['done', 'done now', 'next'], 'the next');
SELECT results_eq($$SELECT state FROM privacy_scan.adopt_table('ps_pgtap_adopt.t')$$, ARRAY['done', 'done', 'done now'], 'the switch');
-- Publications as PostgreSQL 15 brought them; whatever wal_level is.
SET LOCAL client_min_messages = error;
RESET ROLE;
CREATE FUNCTION pg_temp.reason_with(publication text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  CREATE TABLE ps_pgtap_adopt.p (id int, at timestamptz NOT NULL, PRIMARY KEY (id, at));
  EXECUTE 'CREATE PUBLICATION ps_pgtap FOR TABLE ps_pgtap_adopt.p ' || publication || ' WITH (publish_via_partition_root = true)';
  RETURN (SELECT string_agg(message, ', ') FROM privacy_scan.plan_adoption('ps_pgtap_adopt.p') WHERE kind = 'refusal');
END $$;
SELECT CASE WHEN pg_version_num() < 150000 THEN skip('no row filters') ELSE
  is(pg_temp.reason_with('WHERE (id > 0)'), 'publication "ps_pgtap" has a row filter or a column list for it', 'a row filter') END;
DROP PUBLICATION IF EXISTS ps_pgtap;
DROP TABLE IF EXISTS ps_pgtap_adopt.p;
SELECT CASE WHEN pg_version_num() < 150000 THEN skip('no column lists') ELSE
  is(pg_temp.reason_with('(id, at)'), 'publication "ps_pgtap" has a row filter or a column list for it', 'a column list') END;
SET LOCAL ROLE regress_ps_stranger;
SELECT is_empty('SELECT * FROM privacy_scan.adoptions', 'a stranger sees none');
SELECT * FROM finish();
ROLLBACK;
