-- The unique room as the catalog shows it: shapes, who may do and see what.
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
SET LOCAL search_path = public, pg_catalog;
SELECT plan(12);

SELECT set_eq($$SELECT p.oid::regprocedure::text FROM pg_proc p
  JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
  JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'privacy_scan' WHERE p.proname ~ 'unique|duplicates'$$, ARRAY[
  'privacy_scan.add_unique_check(regclass,name[])',
  'privacy_scan.drop_unique_check(regclass,name[])',
  'privacy_scan.find_duplicates(regclass,name[],integer)',
  'privacy_scan.check_unique()'], 'the routines are the ones that were reviewed');
SELECT volatility_is('privacy_scan', f, 'volatile') FROM unnest('{drop_unique_check,check_unique}'::name[]) f;
SELECT volatility_is('privacy_scan', 'find_duplicates', ARRAY['regclass', 'name[]', 'integer'], 'stable');
SELECT columns_are('privacy_scan', 'unique_checks', ARRAY['relation', 'columns', 'name', 'state', 'partitions', 'gaps']);
SELECT ok((SELECT reloptions @> '{security_barrier=true}' FROM pg_class WHERE oid = 'privacy_scan.unique_checks'::regclass), 'the view is a security barrier');

CREATE ROLE regress_ps_keeper;
CREATE ROLE regress_ps_stranger;
SELECT function_privs_are('privacy_scan', 'drop_unique_check', ARRAY['regclass', 'name[]'], 'regress_ps_stranger', '{}'::name[]);
SELECT function_privs_are('privacy_scan', 'find_duplicates', ARRAY['regclass', 'name[]', 'integer'], 'regress_ps_stranger', '{}'::name[]);
-- An owner who was granted no more than EXECUTE; a stranger who was granted it, too, gets nowhere.
GRANT EXECUTE ON FUNCTION privacy_scan.drop_unique_check, privacy_scan.find_duplicates TO regress_ps_keeper, regress_ps_stranger;
CREATE SCHEMA ps_pgtap_unique AUTHORIZATION regress_ps_keeper;
GRANT USAGE ON SCHEMA ps_pgtap_unique TO regress_ps_stranger;
SET LOCAL ROLE regress_ps_keeper;
CREATE TABLE ps_pgtap_unique.t (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE ps_pgtap_unique.t_1 PARTITION OF ps_pgtap_unique.t DEFAULT;
INSERT INTO ps_pgtap_unique.t VALUES (1, '2025-01-01'), (1, '2025-01-02');
CREATE TRIGGER check_id AFTER INSERT OR UPDATE OF id ON ps_pgtap_unique.t FOR EACH ROW EXECUTE FUNCTION privacy_scan.check_unique();
SELECT is((SELECT rows FROM privacy_scan.find_duplicates('ps_pgtap_unique.t')), 2::bigint, 'the owner is shown duplicates');
SET LOCAL ROLE regress_ps_stranger;
SELECT throws_ok($$SELECT privacy_scan.find_duplicates('ps_pgtap_unique.t')$$, '42501');
SELECT is_empty('SELECT * FROM privacy_scan.unique_checks', 'a stranger sees no check');
SET LOCAL ROLE regress_ps_keeper;
SELECT is(privacy_scan.drop_unique_check('ps_pgtap_unique.t'), 1, 'the owner ends it, also one that was made by hand');
SELECT * FROM finish();
ROLLBACK;
