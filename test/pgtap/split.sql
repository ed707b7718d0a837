-- The split room as the catalog shows it: shapes, who may do and see what.
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
SET LOCAL search_path = public, pg_catalog;
SELECT plan(29);
DO $$ BEGIN PERFORM privacy_scan.health(); END $$; -- loads the library, which defines the settings

SELECT set_eq($$SELECT p.oid::regprocedure::text FROM pg_proc p
  JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
  JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'privacy_scan' WHERE p.proname ~ 'split|merge|reshape|capture'$$, ARRAY[
  'privacy_scan.plan_split(regclass)',
  'privacy_scan.plan_merge(regclass[])',
  'privacy_scan.split_partition(regclass,boolean,boolean)',
  'privacy_scan.merge_partitions(regclass[],boolean,boolean)',
  'privacy_scan.run_split(regclass,boolean)',
  'privacy_scan.run_merge(regclass[],boolean)',
  'privacy_scan.cancel_split(regclass)',
  'privacy_scan.plan_reshape(regclass)',
  'privacy_scan.reshape_partitions(regclass,boolean)',
  'privacy_scan.cancel_reshape(regclass)',
  'privacy_scan.capture_change()'], 'the routines are the ones that were reviewed');
SELECT volatility_is('privacy_scan', f, 'volatile') FROM unnest('{plan_split,plan_merge,split_partition,merge_partitions,cancel_split,plan_reshape,reshape_partitions,cancel_reshape,capture_change}'::name[]) f;
SELECT columns_are('privacy_scan', 'splits', ARRAY['partition', 'parent', 'sources', 'pieces', 'step', 'done', 'total', 'copied_rows', 'applied',
  'rows_per_second', 'in_background', 'waiting', 'since', 'switched_at', 'lock_held_ms', 'lock_tries', 'last_error', 'last_error_at']);
SELECT columns_are('privacy_scan', 'split_pieces', ARRAY['partition', 'piece', 'lower', 'upper', 'is_indexed']);
SELECT columns_are('privacy_scan', 'split_sources', ARRAY['partition', 'source', 'lower', 'upper', 'file_node', 'blocks', 'copied_blocks']);
SELECT columns_are('privacy_scan', 'split_requests', ARRAY['parent', 'drops_sources', 'requested_at']);
SELECT is(current_setting('privacy_scan.split_slice'), '30s', 'others have their turn');
SELECT ok((SELECT reloptions @> '{security_barrier=true}' FROM pg_class WHERE oid = 'privacy_scan.splits'::regclass), 'the view is a security barrier');

CREATE ROLE regress_ps_splitter;
CREATE ROLE regress_ps_stranger;
SELECT function_privs_are('privacy_scan', 'split_partition', ARRAY['regclass', 'boolean', 'boolean'], 'regress_ps_stranger', '{}'::name[]);
SELECT function_privs_are('privacy_scan', 'cancel_split', ARRAY['regclass'], 'regress_ps_stranger', '{}'::name[]);
SELECT function_privs_are('privacy_scan', 'merge_partitions', ARRAY['regclass[]', 'boolean', 'boolean'], 'regress_ps_stranger', '{}'::name[]);
SELECT function_privs_are('privacy_scan', 'reshape_partitions', ARRAY['regclass', 'boolean'], 'regress_ps_stranger', '{}'::name[]);
SELECT table_privs_are('privacy_scan', 'split_requests', 'regress_ps_stranger', '{}'::name[]);
SELECT table_privs_are('privacy_scan', 'split_sources', 'regress_ps_stranger', '{}'::name[]);
SELECT table_privs_are('privacy_scan', 'split_states', 'regress_ps_stranger', '{}'::name[]);
SELECT table_privs_are('privacy_scan', 'split_pieces', 'regress_ps_stranger', '{}'::name[]);
-- An owner who was granted no more than EXECUTE splits; a stranger sees nothing of it.
GRANT EXECUTE ON FUNCTION privacy_scan.manage_partitions(regclass, name, interval, integer, text, boolean, timestamptz, text), privacy_scan.split_partition,
  privacy_scan.cancel_split TO regress_ps_splitter;
GRANT USAGE ON SCHEMA privacy_scan TO regress_ps_splitter, regress_ps_stranger;
CREATE SCHEMA ps_pgtap_split AUTHORIZATION regress_ps_splitter;
CREATE TABLE ps_pgtap_split.secret (id int, at timestamptz);
GRANT USAGE ON SCHEMA ps_pgtap_split TO regress_ps_stranger;
SET LOCAL ROLE regress_ps_splitter;
CREATE TABLE ps_pgtap_split.t (id int, at timestamptz NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE ps_pgtap_split.wide PARTITION OF ps_pgtap_split.t FOR VALUES FROM (MINVALUE) TO ('2024-04-01 00:00+00');
INSERT INTO ps_pgtap_split.t VALUES (1, '2024-01-01 00:00+00'), (2, '2024-03-03 00:00+00');
DO $$ BEGIN PERFORM privacy_scan.manage_partitions('ps_pgtap_split.t', 'at', interval '1 month'); END $$;
SELECT results_eq($$SELECT step, message FROM privacy_scan.split_partition('ps_pgtap_split.wide')$$, $$VALUES ('begin', '3 pieces')$$, 'an owner begins');
SELECT lives_ok($$INSERT INTO ps_pgtap_split.t VALUES (3, '2024-02-02 00:00+00')$$, 'what changes is captured');
SELECT results_eq('SELECT id FROM ps_pgtap_split.wide_changes', ARRAY[3], 'by its key');
SET LOCAL ROLE regress_ps_stranger;
SELECT is_empty('SELECT * FROM privacy_scan.splits', 'a stranger sees none');
-- Who names a table of somebody else's in a trigger of his own writes nothing there.
RESET ROLE;
CREATE TABLE ps_pgtap_split.trap (id int, at timestamptz);
ALTER TABLE ps_pgtap_split.trap OWNER TO regress_ps_stranger;
SET LOCAL ROLE regress_ps_stranger;
CREATE TRIGGER trap AFTER INSERT ON ps_pgtap_split.trap FOR EACH ROW EXECUTE FUNCTION privacy_scan.capture_change('ps_pgtap_split', 'secret');
SELECT throws_ok('INSERT INTO ps_pgtap_split.trap VALUES (1, now())', '42501', NULL, 'a trigger of one''s own reaches no table of another''s');
SELECT * FROM finish();
ROLLBACK;
