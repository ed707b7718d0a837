-- The room of erasure as the catalog shows it: shapes, comments, who may do and see what.
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
SET LOCAL search_path = public, pg_catalog;
SELECT plan(23);

CREATE TEMPORARY VIEW routines AS
SELECT p.oid, p.oid::regprocedure::text AS signature, p.provolatile, p.proparallel, p.prosecdef, p.proacl, p.proowner
FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'privacy_scan' WHERE p.proname ~ 'eras';
SELECT set_eq('SELECT signature FROM routines', ARRAY['privacy_scan.erase(regclass,text,text,boolean,text)', 'privacy_scan.erase(regclass,text[],text,boolean,text)'],
  'the routines are the ones that were reviewed');
SELECT is_empty($$SELECT signature FROM routines WHERE obj_description(oid, 'pg_proc') IS NULL$$, 'each has a comment');
SELECT is_empty($$SELECT signature FROM routines WHERE prosecdef OR provolatile <> 'v' OR proparallel <> 'u'$$, 'none is SECURITY DEFINER; VOLATILE and PARALLEL UNSAFE');
SELECT is_empty($$SELECT signature FROM routines, aclexplode(coalesce(proacl, acldefault('f', proowner))) a WHERE a.grantee = 0$$, 'PUBLIC executes none');
SELECT is((SELECT count(*) FROM routines r WHERE pg_get_function_arguments(r.oid) ~ 'dry_run boolean DEFAULT true, missing_files text DEFAULT ''refuse''::text$'), 2::bigint, 'a call by hand is a dry run');
SELECT is((SELECT string_agg(DISTINCT pg_get_function_result(oid), '|') FROM routines),
  'TABLE(place text, relation regclass, archive text, file text, rows bigint, bytes bigint, action text, detail text)', 'both return these rows');
SELECT columns_are('privacy_scan', 'erasure_ledger', ARRAY['id', 'root', 'root_name', 'erased_at', 'erased_by', 'reason', 'roots', 'ids_sha256']);
SELECT columns_are('privacy_scan', 'erasure_counts', ARRAY['erasure', 'relation', 'place', 'rows', 'bytes']);
SELECT columns_are('privacy_scan', 'erasures', ARRAY['id', 'erased_at', 'root', 'roots', 'relation', 'place', 'rows', 'bytes', 'reason', 'erased_by', 'ids_sha256']);
SELECT columns_are('privacy_scan', 'erasure_missing', ARRAY['erasure', 'target', 'leaf', 'file', 'key', 'hashes', 'erased_at']);
SELECT columns_are('privacy_scan', 'erasure_missing_files', ARRAY['erasure', 'passed_over_at', 'root', 'archive', 'leaf', 'file', 'erased_at']);
SELECT columns_are('privacy_scan', 'archive_file_trash', ARRAY['file', 'xact', 'since']);
SELECT is_empty($$SELECT c FROM unnest('{erasure_ledger,erasure_counts,erasures,erasure_missing,erasure_missing_files,archive_file_trash}'::text[]) c
  WHERE obj_description(('privacy_scan.' || c)::regclass, 'pg_class') IS NULL$$, 'each has a comment');
SELECT ok((SELECT bool_and(reloptions @> '{security_barrier=true}') FROM pg_class WHERE oid IN ('privacy_scan.erasures'::regclass, 'privacy_scan.erasure_missing_files'::regclass)), 'each view is a security barrier');
SELECT set_has($$SELECT c::regclass::text FROM pg_extension, unnest(extconfig) c WHERE extname = 'privacy_scan'$$,
  $$VALUES ('privacy_scan.erasure_ledger'), ('privacy_scan.erasure_ledger_id_seq'), ('privacy_scan.erasure_counts'), ('privacy_scan.erasure_missing'), ('privacy_scan.archive_file_trash')$$, 'pg_dump takes them along');

-- Who sees what.
CREATE ROLE regress_eras_owner;
CREATE ROLE regress_eras_reader;
CREATE ROLE regress_eras_stranger;
GRANT USAGE ON SCHEMA public TO regress_eras_owner, regress_eras_reader, regress_eras_stranger;
CREATE SCHEMA regress_eras AUTHORIZATION regress_eras_owner;
CREATE TABLE regress_eras.scan (id int PRIMARY KEY, secret text);
ALTER TABLE regress_eras.scan OWNER TO regress_eras_owner;
GRANT USAGE ON SCHEMA regress_eras TO regress_eras_reader;
GRANT SELECT ON regress_eras.scan TO regress_eras_reader;
INSERT INTO regress_eras.scan VALUES (1, 'secret'), (2, 'secret');
SELECT results_eq($$SELECT place, relation::text, rows, action FROM privacy_scan.erase('regress_eras.scan', ARRAY['1'], 'request')$$,
  $$VALUES ('live', 'regress_eras.scan', 1::bigint, 'would erase')$$, 'a dry run');
SELECT results_eq($$SELECT place, relation::text, rows, action FROM privacy_scan.erase('regress_eras.scan', ARRAY['1'], 'request', dry_run => false)$$,
  $$VALUES ('live', 'regress_eras.scan', 1::bigint, 'erase')$$, 'an erasure');
SET LOCAL ROLE regress_eras_owner;
SELECT is((SELECT relation || rows || ids_sha256::text FROM privacy_scan.erasures), '"regress_eras"."scan"1{6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b}', 'the owner sees it, the id as its hash');
SET LOCAL ROLE regress_eras_reader;
SELECT is((SELECT count(*) FROM privacy_scan.erasures), 1::bigint, 'who may read the root does, too');
SET LOCAL ROLE regress_eras_stranger;
SELECT is((SELECT count(*) FROM privacy_scan.erasures), 0::bigint, 'a stranger sees nothing');
SELECT throws_ok('SELECT FROM privacy_scan.erasure_ledger', '42501', NULL, 'not the tables');
SELECT throws_ok($$SELECT FROM privacy_scan.erase('regress_eras.scan', 'true', 'x')$$, '42501', NULL, 'and erases nothing');
RESET ROLE;
-- Privileges come before locks, also for who may execute it.
GRANT EXECUTE ON FUNCTION privacy_scan.erase(regclass, text, text, boolean, text) TO regress_eras_reader;
SET LOCAL ROLE regress_eras_reader;
SELECT throws_ok($$SELECT FROM privacy_scan.erase('regress_eras.scan', 'true', 'x')$$, '42501', 'must be owner of relation "scan"', 'a reader does not either');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
