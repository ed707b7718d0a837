-- The retention room as the catalog shows it: objects, privileges, what pg_dump takes along; who sees which row.
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
SET LOCAL search_path = public, pg_catalog;
SELECT plan(44);
DO $$ BEGIN PERFORM privacy_scan.health(); END $$; -- loads the library, which defines the settings

-- Objects.
CREATE TEMPORARY VIEW routines AS
SELECT p.oid, p.oid::regprocedure::text AS signature, p.proname, p.prokind, p.provolatile, p.proparallel, p.prosecdef, p.proacl, p.proowner
FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'privacy_scan'
WHERE p.proname ~ 'retention|cleanup|digest';
SELECT set_eq('SELECT signature FROM routines', ARRAY[
  'privacy_scan.set_retention(regclass,interval,name,text,text,name)',
  'privacy_scan.drop_retention(regclass)',
  'privacy_scan.plan_retention(regclass,timestamp with time zone)',
  'privacy_scan.apply_retention(regclass,timestamp with time zone,bigint,boolean)',
  'privacy_scan.run_retention(regclass,timestamp with time zone,bigint)',
  'privacy_scan.cleanup_old_scans(integer)',
  'privacy_scan.row_digest(record)',
  'privacy_scan.row_digest_add(internal,record)',
  'privacy_scan.row_digest_combine(internal,internal)',
  'privacy_scan.row_digest_result(internal)',
  'privacy_scan.row_digest_serialize(internal)',
  'privacy_scan.row_digest_deserialize(bytea,internal)'], 'the routines are the ones that were reviewed');
SELECT is_empty($$SELECT signature FROM routines WHERE obj_description(oid, 'pg_proc') IS NULL$$, 'each routine has a comment');
SELECT is_empty($$SELECT signature FROM routines WHERE prosecdef$$, 'none is SECURITY DEFINER');
SELECT set_eq($$SELECT DISTINCT proname FROM routines, aclexplode(coalesce(proacl, acldefault('f', proowner))) a WHERE a.grantee = 0 AND proname !~ 'digest'$$,
  ARRAY[]::name[], 'PUBLIC may execute none but the digest');
SELECT is_empty($$SELECT signature FROM routines WHERE proname ~ 'digest' AND (provolatile, proparallel) <> ('i', 's')$$,
  'the digest is immutable and parallel safe');
SELECT is_empty($$SELECT signature FROM routines WHERE proname !~ 'digest' AND prokind = 'f' AND provolatile <> 'v'$$, 'what writes is VOLATILE');
SELECT set_eq($$SELECT proname FROM routines WHERE prokind = 'p'$$, ARRAY['run_retention']::name[], 'one procedure');
SELECT function_returns('privacy_scan'::name, 'set_retention'::name, 'text', 'set_retention() returns text');
SELECT function_returns('privacy_scan'::name, 'drop_retention'::name, 'boolean', 'drop_retention() returns boolean');
SELECT function_returns('privacy_scan'::name, 'cleanup_old_scans'::name, 'integer', 'cleanup_old_scans() returns integer');
SELECT has_table('privacy_scan', 'retention_rules', 'the policies are a table');
SELECT col_is_pk('privacy_scan', 'retention_rules', 'root', 'one policy a root');
SELECT has_table('privacy_scan', 'archive_ledger', 'the ledger is a table');
SELECT col_is_pk('privacy_scan', 'archive_ledger', 'id', 'its rows are numbered');
SELECT has_view('privacy_scan', 'retention_policies', 'view retention_policies');
SELECT columns_are('privacy_scan', 'retention_policies', ARRAY['root', 'key', 'keep', 'condition', 'archive', 'archive_schema']);
SELECT has_view('privacy_scan', 'archives', 'view archives');
SELECT columns_are('privacy_scan', 'archives', ARRAY['id', 'archived_at', 'root', 'relation', 'archive', 'rows', 'bytes', 'digest', 'key_from', 'key_to', 'cutoff']);
SELECT has_composite('privacy_scan', 'retention_action', 'type retention_action');
SELECT has_composite('privacy_scan', 'row_set', 'type row_set');
SELECT is_empty($$SELECT c FROM unnest('{retention_rules,archive_ledger,retention_policies,archives}'::text[]) c
  WHERE obj_description(('privacy_scan.' || c)::regclass, 'pg_class') IS NULL$$, 'each has a comment');
SELECT set_eq($$SELECT c::regclass::text FROM pg_extension, unnest(extconfig) c WHERE extname = 'privacy_scan' AND c::regclass::text ~ 'retention|ledger'$$,
  ARRAY['privacy_scan.retention_rules', 'privacy_scan.archive_ledger', 'privacy_scan.archive_ledger_id_seq'], 'pg_dump takes policies, ledger and its numbering along');
SELECT is_empty($$SELECT c FROM unnest('{retention_policies,archives}'::text[]) c, pg_class r
  WHERE r.oid = ('privacy_scan.' || c)::regclass AND NOT coalesce(r.reloptions @> '{security_barrier=true}', false)$$, 'the views are security barriers');
SELECT results_eq($$SELECT name, context, setting FROM pg_settings WHERE name LIKE 'privacy\_scan.retention\_%' ORDER BY name$$,
  $$VALUES ('privacy_scan.retention_batch_rows', 'user', '50000')$$, 'the size of a batch is anybody''s to set');

-- Privileges: none on the tables; on the views, rows of what one owns or may read.
CREATE ROLE regress_ps_owner;
CREATE ROLE regress_ps_reader;
CREATE ROLE regress_ps_stranger;
SELECT table_privs_are('privacy_scan', 'retention_rules', 'regress_ps_stranger', '{}'::name[], 'a stranger reads no rule');
SELECT table_privs_are('privacy_scan', 'archive_ledger', 'regress_ps_stranger', '{}'::name[], 'and not the ledger itself');
SELECT table_privs_are('privacy_scan', 'retention_policies', 'regress_ps_stranger', '{SELECT}'::name[], 'anybody reads the view of policies');
SELECT table_privs_are('privacy_scan', 'archives', 'regress_ps_stranger', '{SELECT}'::name[], 'and that of archives');
GRANT USAGE ON SCHEMA public TO regress_ps_owner, regress_ps_reader, regress_ps_stranger;
GRANT EXECUTE ON FUNCTION privacy_scan.apply_retention(regclass, timestamptz, bigint, boolean),
  privacy_scan.set_retention(regclass, interval, name, text, text, name) TO regress_ps_owner, regress_ps_stranger;
CREATE SCHEMA regress_ps AUTHORIZATION regress_ps_owner;
CREATE SCHEMA regress_ps_archive AUTHORIZATION regress_ps_owner;
SET LOCAL ROLE regress_ps_owner;
GRANT USAGE ON SCHEMA regress_ps TO PUBLIC;
CREATE TABLE regress_ps.root (id int PRIMARY KEY, at date);
CREATE TABLE regress_ps.child (id int, root int REFERENCES regress_ps.root ON DELETE CASCADE);
INSERT INTO regress_ps.root VALUES (1, '2020-01-01'), (2, '2021-01-01');
INSERT INTO regress_ps.child VALUES (1, 1), (2, 1), (3, 2);
GRANT SELECT ON regress_ps.child TO regress_ps_reader;
SELECT lives_ok($$SELECT privacy_scan.set_retention('regress_ps.root', '1 year', 'at')$$, 'an owner who is no superuser sets a policy');
SELECT results_eq($$SELECT relation::text, rows FROM privacy_scan.apply_retention('regress_ps.root', '2021-06-01', dry_run => false)$$,
  $$VALUES ('regress_ps.child', 2::bigint), ('regress_ps.root', 1::bigint)$$, 'and archives, children first');
RESET ROLE;
SELECT table_owner_is('regress_ps_archive', 'root_archive', 'regress_ps_owner', 'the archive is his');
SELECT table_privs_are('regress_ps_archive', 'child_archive', 'regress_ps_reader', '{}'::name[], 'who reads the source does not read the archive');
SET LOCAL ROLE regress_ps_owner;
SELECT set_eq('SELECT relation FROM privacy_scan.archives', ARRAY['"regress_ps"."root"', '"regress_ps"."child"'], 'he sees what was archived');
SELECT results_eq('SELECT root::text FROM privacy_scan.retention_policies', $$VALUES ('regress_ps.root')$$, 'and his policy');
RESET ROLE;
SET LOCAL ROLE regress_ps_reader;
SELECT set_eq('SELECT relation FROM privacy_scan.archives', ARRAY['"regress_ps"."child"'], 'a reader sees what he may read');
SELECT is_empty('SELECT root FROM privacy_scan.retention_policies', 'and no policy of a root that he may not');
RESET ROLE;
SET LOCAL ROLE regress_ps_stranger;
SELECT is_empty('SELECT relation FROM privacy_scan.archives', 'a stranger sees nothing');
SELECT is_empty('SELECT root FROM privacy_scan.retention_policies', 'not here either');
SELECT throws_ok($$SELECT * FROM privacy_scan.apply_retention('regress_ps.root')$$, '42501', NULL, 'and owns nothing');
SELECT throws_ok($$SELECT privacy_scan.drop_retention('regress_ps.root')$$, '42501', NULL, 'nor may he execute what was not granted');
RESET ROLE;
SELECT is_empty($$SELECT FROM pg_locks WHERE relation = 'regress_ps.root'::regclass AND pid <> pg_backend_pid()$$, 'nobody else has a lock');

-- The digest that the ledger has is that of the archive.
SELECT results_eq($$SELECT rows, bytes, digest FROM privacy_scan.archives WHERE relation = '"regress_ps"."child"'$$,
  $$SELECT (privacy_scan.row_digest(a.*)).* FROM regress_ps_archive.child_archive a$$, 'ledger and archive agree');
SELECT isnt((SELECT (privacy_scan.row_digest(a.*)).digest FROM regress_ps_archive.child_archive a),
  (SELECT (privacy_scan.row_digest(a.*)).digest FROM (SELECT id + 1 AS id, root FROM regress_ps_archive.child_archive) a), 'and a changed row would be seen');
SELECT is((SELECT (privacy_scan.row_digest(a.*)).rows FROM (SELECT 1 WHERE false) a), 0::bigint, 'no rows: zero');

SELECT * FROM finish();
ROLLBACK;
