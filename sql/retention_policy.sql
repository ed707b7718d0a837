-- Retention policies: set, replaced, seen, dropped; and what is refused, with nothing changed.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE EXTENSION IF NOT EXISTS file_fdw;
CREATE SCHEMA ret_policy;
CREATE ROLE regress_ret_owner;
CREATE ROLE regress_ret_other;
CREATE ROLE regress_ret_stranger;
GRANT ALL ON SCHEMA ret_policy TO regress_ret_owner, regress_ret_other, regress_ret_stranger;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA privacy_scan TO regress_ret_owner, regress_ret_stranger;
SET search_path = ret_policy;

SET ROLE regress_ret_owner;
CREATE TABLE "Scan" (id text PRIMARY KEY, status text, tags text[], "createdAt" timestamp(3) NOT NULL, seen timestamptz, day date, n int);
CREATE TABLE "Evidence" (id text PRIMARY KEY, "scanId" text NOT NULL REFERENCES "Scan" ON DELETE CASCADE);
RESET ROLE;

-- A policy in words, replaced, and dropped.
SET ROLE regress_ret_owner;
SELECT privacy_scan.set_retention('"Scan"', '365 days', 'createdAt', $$status IN ('done', 'failed')$$);
SELECT * FROM privacy_scan.retention_policies;
SELECT privacy_scan.set_retention('"Scan"', '1 year 2 mons', 'seen', archive_schema => 'Old "things"');
SELECT * FROM privacy_scan.retention_policies;
SELECT privacy_scan.set_retention('"Evidence"'::regclass, '00:00:01', 'id');
SELECT privacy_scan.set_retention('"Scan"', '1 day', 'day', 'n > 3 OR tags @> ARRAY[''x''] OR "Scan".status IS NULL', 'table', NULL);
SELECT * FROM privacy_scan.retention_policies;
SELECT privacy_scan.drop_retention('"Scan"');
SELECT privacy_scan.drop_retention('"Scan"');
SELECT count(*) FROM privacy_scan.retention_policies;
SELECT * FROM privacy_scan.plan_retention('"Scan"');
RESET ROLE;

-- What a statement raises, and whether it left anything behind.
CREATE FUNCTION state() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT md5(concat((SELECT string_agg(concat(oid, relname, relowner, relkind), ',' ORDER BY oid) FROM pg_class
                     WHERE relkind IN ('r', 'p', 'v', 'f', 'S') AND relnamespace <> 'pg_toast'::regnamespace),
                    (SELECT string_agg(nspname, ',' ORDER BY oid) FROM pg_namespace),
                    (SELECT string_agg(p::text, ',' ORDER BY root::oid) FROM privacy_scan.retention_rules p),
                    (SELECT count(*) FROM privacy_scan.archive_ledger))) $$;
CREATE FUNCTION refused(statement text, OUT code text, OUT message text, OUT detail text, OUT hint text, OUT unchanged boolean)
LANGUAGE plpgsql AS $$
DECLARE before text := ret_policy.state();
BEGIN
  EXECUTE statement;
  code := 'none';
  unchanged := before = ret_policy.state();
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  unchanged := before = ret_policy.state();
END $$;
-- A condition on "Scan".
CREATE FUNCTION refused_condition(condition text, OUT code text, OUT message text, OUT unchanged boolean) LANGUAGE sql AS $$
  SELECT r.code, r.message, r.unchanged
  FROM ret_policy.refused(format('SELECT privacy_scan.set_retention(''ret_policy."Scan"'', ''1 day'', ''createdAt'', %L)', condition)) r $$;
SELECT privacy_scan.set_retention('"Scan"', '30 days', 'createdAt', 'n > 0') IS NOT NULL AS set;
\pset format unaligned
\pset fieldsep ' | '
\pset tuples_only

\echo NULLs
SELECT * FROM refused($$SELECT privacy_scan.set_retention(NULL, '1 day', 'createdAt')$$);
SELECT * FROM refused($$SELECT privacy_scan.set_retention('"Scan"', NULL, 'createdAt')$$);
SELECT * FROM refused($$SELECT privacy_scan.set_retention('"Scan"', '1 day', NULL)$$);
SELECT * FROM refused($$SELECT privacy_scan.set_retention('"Scan"', '1 day', 'createdAt', archive => NULL)$$);
SELECT * FROM refused($$SELECT privacy_scan.drop_retention(NULL)$$);
SELECT * FROM refused($$SELECT privacy_scan.plan_retention(NULL)$$);
SELECT * FROM refused($$SELECT privacy_scan.plan_retention('"Scan"', NULL)$$);
SELECT * FROM refused($$SELECT privacy_scan.apply_retention(NULL)$$);
SELECT * FROM refused($$SELECT privacy_scan.apply_retention('"Scan"', NULL)$$);
SELECT * FROM refused($$SELECT privacy_scan.apply_retention('"Scan"', dry_run => NULL)$$);

\echo keep
SELECT * FROM refused($$SELECT privacy_scan.set_retention('"Scan"', '0', 'createdAt')$$);
SELECT * FROM refused($$SELECT privacy_scan.set_retention('"Scan"', '-1 day', 'createdAt')$$);
SELECT * FROM refused($$SELECT privacy_scan.set_retention('"Scan"', '1 mon -1 day', 'createdAt')$$);
SELECT * FROM refused($$SELECT privacy_scan.set_retention('"Scan"', '1001 years', 'createdAt')$$);
SELECT * FROM refused($$SELECT privacy_scan.set_retention('"Scan"', '2147483647 days', 'createdAt')$$);
SELECT * FROM refused($$SELECT privacy_scan.set_retention('"Scan"', '1000 years', 'createdAt', 'n > 0')$$);

\echo key
SELECT * FROM refused($$SELECT privacy_scan.set_retention('"Scan"', '1 day', 'createdat')$$);
SELECT * FROM refused($$SELECT privacy_scan.set_retention('"Scan"', '1 day', 'ctid')$$);
SELECT * FROM refused($$SELECT privacy_scan.set_retention('"Scan"', '1 day', '')$$);
SELECT * FROM refused($$SELECT privacy_scan.set_retention('"Scan"', '1 day', 'n')$$);
SELECT * FROM refused($$SELECT privacy_scan.set_retention('"Scan"', '1 day', 'status; DROP TABLE "Scan"')$$);

\echo root
CREATE VIEW v AS SELECT * FROM "Scan";
CREATE MATERIALIZED VIEW mv AS SELECT * FROM "Scan";
CREATE INDEX i ON "Scan" ("createdAt");
CREATE SEQUENCE s;
CREATE TYPE composite AS (at timestamp);
CREATE SERVER regress_ret_files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE f ("createdAt" timestamp) SERVER regress_ret_files OPTIONS (filename 'none');
CREATE TEMP TABLE temporary ("createdAt" timestamp);
CREATE TABLE parted (at timestamp) PARTITION BY RANGE (at);
CREATE TABLE parted_1 PARTITION OF parted DEFAULT;
CREATE TABLE parted_f (at timestamp) PARTITION BY RANGE (at);
CREATE FOREIGN TABLE parted_f1 PARTITION OF parted_f DEFAULT SERVER regress_ret_files OPTIONS (filename 'none');
SELECT * FROM refused($$SELECT privacy_scan.set_retention('v', '1 day', 'createdAt')$$);
SELECT * FROM refused($$SELECT privacy_scan.set_retention('mv', '1 day', 'createdAt')$$);
SELECT * FROM refused($$SELECT privacy_scan.set_retention('i', '1 day', 'createdAt')$$);
SELECT * FROM refused($$SELECT privacy_scan.set_retention('s', '1 day', 'last_value')$$);
SELECT * FROM refused($$SELECT privacy_scan.set_retention('composite', '1 day', 'at')$$);
SELECT * FROM refused($$SELECT privacy_scan.set_retention('f', '1 day', 'createdAt')$$);
SELECT * FROM refused($$SELECT privacy_scan.set_retention('pg_temp.temporary', '1 day', 'createdAt')$$);
SELECT * FROM refused($$SELECT privacy_scan.set_retention('parted_1', '1 day', 'at')$$);
SELECT * FROM refused($$SELECT privacy_scan.set_retention('parted_f', '1 day', 'at')$$);
SELECT code, message FROM refused($$SELECT privacy_scan.set_retention('pg_catalog.pg_class', '1 day', 'relname')$$);
SELECT * FROM refused($$SELECT privacy_scan.set_retention('privacy_scan.archive_ledger', '1 day', 'archived_at')$$);
SELECT * FROM refused($$SELECT privacy_scan.set_retention('none', '1 day', 'at')$$);
SELECT code, message FROM refused($$SELECT privacy_scan.set_retention(4294967295::oid, '1 day', 'at')$$);
DROP TABLE temporary, parted, parted_f;
DROP FOREIGN TABLE f;

\echo owner
SET ROLE regress_ret_stranger;
SELECT * FROM refused($$SELECT privacy_scan.set_retention('"Scan"', '1 day', 'createdAt')$$);
SELECT * FROM refused($$SELECT privacy_scan.drop_retention('"Scan"')$$);
SELECT * FROM refused($$SELECT privacy_scan.plan_retention('"Scan"')$$);
SELECT * FROM refused($$SELECT privacy_scan.apply_retention('"Scan"', dry_run => false)$$);
CALL privacy_scan.run_retention('"Scan"');
SELECT * FROM refused($$SELECT privacy_scan.cleanup_old_scans()$$);
SELECT code, message FROM refused($$SELECT privacy_scan.set_retention('pg_catalog.pg_class', '1 day', 'relname')$$);
SELECT count(*) FROM privacy_scan.retention_policies;
RESET ROLE;
GRANT SELECT, REFERENCES ON "Scan" TO regress_ret_other;
SET ROLE regress_ret_other;
CREATE TABLE note ("scanId" text REFERENCES "Scan" ON DELETE CASCADE);
RESET ROLE;
SELECT * FROM refused($$SELECT privacy_scan.set_retention('"Scan"', '1 day', 'createdAt')$$);
SET ROLE regress_ret_owner;
SELECT * FROM refused($$SELECT privacy_scan.set_retention('"Scan"', '1 day', 'createdAt')$$);
SELECT * FROM refused($$SELECT privacy_scan.plan_retention('"Scan"')$$);
RESET ROLE;
DROP TABLE note;

\echo condition
SELECT c, r.* FROM unnest(ARRAY[
  'n', 'status', '1', 'NULL::int', '''maybe''', 'n > 0, n > 1', '', ' ', '*', '"Scan".*', 'n > 0; DROP TABLE "Scan"', 'true) OR (true', 'true)', '(true',
  'true FROM pg_class', 'true WHERE true', 'true UNION SELECT true', 'true LIMIT 1', 'true INTO x', 'true AS x', 'true x', 'DISTINCT true',
  'EXISTS (SELECT 1)', 'n IN (SELECT 1)', '(SELECT true)', 'ARRAY(SELECT 1) = ''{1}''', 'count(*) > 1', 'max(n) > 1', 'bool_and(true)',
  'row_number() OVER () > 1', 'generate_series(1, 2) > 1', 'random() > 0.5', 'nextval(''ret_policy.s'') > 1', 'clock_timestamp() > now()',
  'nosuch > 1', 't.n > 1', 't.id IS NULL', '"Evidence".id IS NULL', 'nosuch(n)', 'n ~~~ 1', 'ctid IS NULL', 'xmin IS NULL', '$1 < now()', '$2 > 1', 'DEFAULT',
  'n = ''x''', 'n > 1 --', '/* */ n > 1 -- and all', E'n > 1\n\t', '"Scan" IS NULL', 'tableoid > 0', 'n >', 'true OR', '''', '"', E'\\']) WITH ORDINALITY AS u(c, i),
  LATERAL refused_condition(c) r ORDER BY i;
SELECT condition FROM privacy_scan.retention_policies WHERE root = '"Scan"'::regclass;

\echo archive
SELECT * FROM refused($$SELECT privacy_scan.set_retention('"Scan"', '1 day', 'createdAt', archive => 'file')$$);
SELECT * FROM refused($$SELECT privacy_scan.set_retention('"Scan"', '1 day', 'createdAt', archive => '')$$);

\echo circles
CREATE TABLE node (id int PRIMARY KEY, parent int CONSTRAINT node_parent REFERENCES node, at timestamp);
CREATE TABLE a (id int PRIMARY KEY, at timestamp);
CREATE TABLE b (id int PRIMARY KEY, a int CONSTRAINT b_to_a REFERENCES a ON DELETE CASCADE);
CREATE TABLE c (id int PRIMARY KEY, b int CONSTRAINT c_to_b REFERENCES b ON DELETE CASCADE);
SELECT privacy_scan.set_retention('a', '1 day', 'at');
ALTER TABLE a ADD c int CONSTRAINT a_to_c REFERENCES c ON DELETE CASCADE;
SELECT * FROM refused($$SELECT privacy_scan.set_retention('node', '1 day', 'at')$$);
SELECT * FROM refused($$SELECT privacy_scan.set_retention('a', '1 day', 'at')$$);
SELECT * FROM refused($$SELECT privacy_scan.apply_retention('a', dry_run => false)$$);
ALTER TABLE a DROP CONSTRAINT a_to_c, ADD CONSTRAINT a_to_c FOREIGN KEY (c) REFERENCES c ON DELETE SET NULL;
SELECT * FROM refused($$SELECT privacy_scan.set_retention('a', '1 day', 'at')$$);
ALTER TABLE a DROP CONSTRAINT a_to_c;
ALTER TABLE b ADD CONSTRAINT b_to_c FOREIGN KEY (id) REFERENCES c ON DELETE CASCADE;
SELECT * FROM refused($$SELECT privacy_scan.set_retention('a', '1 day', 'at')$$);
SELECT privacy_scan.drop_retention('a');

\echo runs
SELECT * FROM refused($$SELECT privacy_scan.apply_retention('"Scan"', max_rows => 0)$$);
SELECT * FROM refused($$SELECT privacy_scan.apply_retention('"Scan"', max_rows => -1, dry_run => false)$$);
SELECT * FROM refused($$SELECT privacy_scan.apply_retention('"Scan"', at => now() + interval '1 hour', dry_run => false)$$);
SELECT * FROM refused($$SELECT privacy_scan.apply_retention('"Scan"', at => 'infinity', dry_run => false)$$);
SELECT * FROM refused($$SELECT privacy_scan.plan_retention('"Scan"', '-infinity')$$);
SELECT code, message FROM refused($$SELECT privacy_scan.plan_retention('"Scan"', '4714-11-24 10:00+00 BC')$$);
SELECT * FROM refused($$SELECT privacy_scan.plan_retention('"Evidence"')$$);
CALL privacy_scan.run_retention('"Scan"', NULL);
CALL privacy_scan.run_retention('"Scan"', 'infinity');
CALL privacy_scan.run_retention('"Scan"', now() + interval '1 hour');
CALL privacy_scan.run_retention('"Scan"', max_rows => 0);
CALL privacy_scan.run_retention('"Evidence"');

-- A policy does not outlive its root in what is shown or run.
SET ROLE regress_ret_owner;
DROP TABLE "Scan" CASCADE;
SELECT count(*) FROM privacy_scan.retention_policies;
CALL privacy_scan.run_retention();
RESET ROLE;

SET client_min_messages = error;
DELETE FROM privacy_scan.archive_ledger;
DELETE FROM privacy_scan.retention_rules;
DROP SCHEMA ret_policy CASCADE;
DROP SERVER regress_ret_files;
DROP OWNED BY regress_ret_owner, regress_ret_other, regress_ret_stranger;
DROP ROLE regress_ret_owner, regress_ret_other, regress_ret_stranger;
