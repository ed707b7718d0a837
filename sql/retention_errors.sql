-- Each argument and each kind of relation that retention refuses. Nothing changes.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ps_errors;
SET search_path = ps_errors;
CREATE TABLE root (id int PRIMARY KEY, at timestamp NOT NULL, day date, note text, n int);
CREATE TABLE part (id int, at timestamp NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE heir_of (at timestamp NOT NULL);
CREATE TABLE heir () INHERITS (heir_of);
CREATE TEMP TABLE short_lived (at timestamp NOT NULL);
CREATE VIEW a_view AS SELECT * FROM root;
CREATE ROLE regress_ps_nobody;
GRANT USAGE ON SCHEMA ps_errors TO regress_ps_nobody;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA privacy_scan TO regress_ps_nobody;

-- NULLs.
SELECT privacy_scan.set_retention(NULL, '1 day', 'at');
SELECT privacy_scan.set_retention('root', NULL, 'at');
SELECT privacy_scan.set_retention('root', '1 day', NULL);
SELECT privacy_scan.set_retention('root', '1 day', 'at', archive => NULL);
SELECT * FROM privacy_scan.plan_retention(NULL);
SELECT * FROM privacy_scan.plan_retention('root', NULL);
SELECT * FROM privacy_scan.apply_retention('root', dry_run => NULL);
SELECT privacy_scan.drop_retention(NULL);
-- keep.
SELECT privacy_scan.set_retention('root', '0', 'at');
SELECT privacy_scan.set_retention('root', '-1 day', 'at');
SELECT privacy_scan.set_retention('root', '1 mon -1 day', 'at');
SELECT privacy_scan.set_retention('root', '1001 years', 'at');
SELECT privacy_scan.set_retention('root', '1 day', 'at', archive => 'tape');
-- The key.
SELECT privacy_scan.set_retention('root', '1 day', 'nowhere');
SELECT privacy_scan.set_retention('root', '1 day', 'note');
SELECT privacy_scan.set_retention('root', '1 day', 'ctid');
-- Relations.
SELECT privacy_scan.set_retention('a_view', '1 day', 'at');
SELECT privacy_scan.set_retention('root_pkey', '1 day', 'at');
SELECT privacy_scan.set_retention('pg_class', '1 day', 'at');
SELECT privacy_scan.set_retention('part_1', '1 day', 'at');
SELECT privacy_scan.set_retention('heir_of', '1 day', 'at');
SELECT privacy_scan.set_retention('short_lived', '1 day', 'at');
SELECT privacy_scan.set_retention('privacy_scan.archive_ledger', '1 day', 'archived_at');
SELECT privacy_scan.set_retention(999999999::oid::regclass, '1 day', 'at');
-- Conditions: one boolean expression over the root's row, nothing else.
SELECT privacy_scan.set_retention('root', '1 day', 'at', 'note');
SELECT privacy_scan.set_retention('root', '1 day', 'at', 'no_such_column = 1');
SELECT privacy_scan.set_retention('root', '1 day', 'at', 'true) OR (false');
SELECT privacy_scan.set_retention('root', '1 day', 'at', 'true); DROP TABLE root; SELECT (true');
SELECT privacy_scan.set_retention('root', '1 day', 'at', 'true; DROP TABLE root');
SELECT privacy_scan.set_retention('root', '1 day', 'at', 'true, true');
SELECT privacy_scan.set_retention('root', '1 day', 'at', 'true FROM root');
SELECT privacy_scan.set_retention('root', '1 day', 'at', 'true WHERE true');
SELECT privacy_scan.set_retention('root', '1 day', 'at', 'true AS x');
SELECT privacy_scan.set_retention('root', '1 day', 'at', 'true UNION SELECT true');
SELECT privacy_scan.set_retention('root', '1 day', 'at', 'true FOR UPDATE');
SELECT privacy_scan.set_retention('root', '1 day', 'at', '*');
SELECT privacy_scan.set_retention('root', '1 day', 'at', 'n > (SELECT 1)');
SELECT privacy_scan.set_retention('root', '1 day', 'at', 'count(*) > 1');
SELECT privacy_scan.set_retention('root', '1 day', 'at', 'random() > 0.5');
SELECT privacy_scan.set_retention('root', '1 day', 'at', 'n = $1');
SELECT privacy_scan.set_retention('root', '1 day', 'at', 'generate_series(1, 2) = 1');
SELECT privacy_scan.set_retention('root', '1 day', 'at', 'n = ');
SELECT privacy_scan.set_retention('root', '1 day', 'at', 'DEFAULT');
SELECT privacy_scan.set_retention('root', '1 day', 'at', 'root.*');
SELECT privacy_scan.set_retention('root', '1 day', 'at', 'note < other.note');
SELECT privacy_scan.set_retention('root', '1 day', 'at', ' ');
-- None of these left a policy.
SELECT count(*) FROM privacy_scan.retention_policies WHERE root = 'root'::regclass;
SELECT * FROM privacy_scan.plan_retention('root');
SELECT * FROM privacy_scan.apply_retention('root');
CALL privacy_scan.run_retention('root');

SELECT privacy_scan.set_retention('root', '1 day', 'at', 'n = 1 -- comment');
-- Arguments of a run.
SELECT * FROM privacy_scan.apply_retention('root', max_rows => 0);
SELECT * FROM privacy_scan.apply_retention('root', at => 'infinity');
SELECT * FROM privacy_scan.apply_retention('root', at => now() + interval '1 hour', dry_run => false);
CALL privacy_scan.run_retention('root', at => now() + interval '1 hour');
CALL privacy_scan.run_retention('root', max_rows => -1);
SELECT * FROM privacy_scan.plan_retention('root', '-infinity');
BEGIN;
CALL privacy_scan.run_retention('root');
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM privacy_scan.apply_retention('root', dry_run => false);
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM privacy_scan.apply_retention('root', dry_run => false);
ROLLBACK;
-- A key or a column of the condition that is gone later.
ALTER TABLE root RENAME COLUMN n TO m;
SELECT * FROM privacy_scan.plan_retention('root');
ALTER TABLE root RENAME COLUMN m TO n;
ALTER TABLE root RENAME COLUMN at TO since;
SELECT * FROM privacy_scan.plan_retention('root');
ALTER TABLE root RENAME COLUMN since TO at;
\set VERBOSITY terse
-- Not the owner: refused before any lock is asked for.
SET ROLE regress_ps_nobody;
SELECT privacy_scan.set_retention('root', '1 day', 'at');
SELECT privacy_scan.drop_retention('root');
SELECT * FROM privacy_scan.plan_retention('root');
SELECT * FROM privacy_scan.apply_retention('root');
CALL privacy_scan.run_retention('root');
SELECT * FROM privacy_scan.retention_policies WHERE root = 'root'::regclass;
RESET ROLE;
REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA privacy_scan FROM regress_ps_nobody;
SET ROLE regress_ps_nobody;
SELECT * FROM privacy_scan.plan_retention('root');
SELECT * FROM privacy_scan.retention_rules;
SELECT * FROM privacy_scan.archive_ledger;
RESET ROLE;
SELECT privacy_scan.drop_retention('root');
DROP SCHEMA ps_errors CASCADE;
DROP OWNED BY regress_ps_nobody;
DROP ROLE regress_ps_nobody;
