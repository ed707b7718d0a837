-- Hostile settings, and a hostile owner: whatever of theirs runs, it runs as the owner of the relations, never as who called.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE ROLE regress_mallory2;
CREATE ROLE regress_ret_victim;
CREATE SCHEMA ret_hostile;
CREATE SCHEMA ret_evil;
GRANT ALL ON SCHEMA ret_hostile, ret_evil TO regress_mallory2, regress_ret_victim;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA privacy_scan TO regress_mallory2, regress_ret_victim;
-- Who ran what, in which security context.
CREATE TABLE ret_hostile.log (who name, what text, path text);
GRANT INSERT, SELECT ON ret_hostile.log TO PUBLIC;
CREATE FUNCTION ret_hostile.logged(what text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO ret_hostile.log VALUES (current_user, what, current_setting('search_path'));
  RETURN true;
EXCEPTION WHEN OTHERS THEN
  RETURN true;
END $$;

-- A superuser's run over relations of mallory's, which are full of traps.
SET ROLE regress_mallory2;
SET search_path = ret_hostile;
CREATE FUNCTION trap(what text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN ret_hostile.logged(what); END$$;
CREATE FUNCTION trap_text(v text, what text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$BEGIN PERFORM ret_hostile.logged(what); RETURN v; END$$;
CREATE FUNCTION trap_trigger() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM ret_hostile.logged('trigger ' || TG_NAME); RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END; END$$;
CREATE DOMAIN trap_domain AS text CHECK (ret_hostile.trap('domain'));
CREATE TABLE scan (id int PRIMARY KEY, status text DEFAULT trap_text('x', 'default'), tags trap_domain[], at timestamp, CHECK (ret_hostile.trap('check on scan')));
CREATE TABLE evidence (scan int REFERENCES scan ON DELETE CASCADE, body text, d trap_domain);
CREATE TABLE bookmark (scan int REFERENCES scan ON DELETE SET NULL);
INSERT INTO scan SELECT i, 'done', '{a}', '2023-01-01' FROM generate_series(1, 20) i;
INSERT INTO evidence SELECT id, 'body', 'd' FROM scan;
INSERT INTO bookmark SELECT id FROM scan;
CREATE INDEX ON scan (trap_text(status, 'index on scan'));
CREATE INDEX ON evidence (trap_text(body, 'index on evidence')) WHERE trap('index predicate');
CREATE STATISTICS st ON (trap_text(body, 'statistics')), scan FROM evidence;
CREATE TRIGGER row_before BEFORE DELETE ON scan FOR EACH ROW EXECUTE FUNCTION trap_trigger();
CREATE TRIGGER row_after AFTER DELETE ON evidence FOR EACH ROW EXECUTE FUNCTION trap_trigger();
CREATE TRIGGER stmt AFTER DELETE ON evidence REFERENCING OLD TABLE AS o FOR EACH STATEMENT EXECUTE FUNCTION trap_trigger();
CREATE CONSTRAINT TRIGGER later AFTER DELETE ON scan DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trap_trigger();
CREATE CONSTRAINT TRIGGER later_update AFTER UPDATE ON bookmark DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trap_trigger();
ALTER TABLE scan ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON scan USING (trap('policy'));
RESET ROLE;
TRUNCATE log;
SELECT privacy_scan.set_retention('scan', '1 year', 'at', $$tags = '{a}' AND status LIKE 'd%' AND trap('condition')$$) IS NOT NULL AS set;
SELECT relation, rows FROM privacy_scan.plan_retention('scan');
SELECT relation, action, rows FROM privacy_scan.apply_retention('scan', max_rows => 20, dry_run => false);
-- Its archives get traps as well.
SET ROLE regress_mallory2;
CREATE INDEX ON ret_hostile_archive.scan_archive (trap_text(status, 'index on archive'));
ALTER TABLE ret_hostile_archive.evidence_archive ADD CHECK (trap('check on archive')), ADD mine text DEFAULT trap_text('x', 'default on archive');
CREATE TRIGGER archive_before BEFORE INSERT ON ret_hostile_archive.scan_archive FOR EACH ROW EXECUTE FUNCTION trap_trigger();
CREATE CONSTRAINT TRIGGER archive_later AFTER INSERT ON ret_hostile_archive.scan_archive DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trap_trigger();
ALTER TABLE ret_hostile_archive.scan_archive ENABLE ROW LEVEL SECURITY;
CREATE POLICY p_archive ON ret_hostile_archive.scan_archive WITH CHECK (trap('policy on archive'));
ALTER TABLE scan ADD more trap_domain DEFAULT trap_text('x', 'default');
RESET ROLE;
DELETE FROM log WHERE what = 'default';
CALL privacy_scan.run_retention('scan');
SELECT count(*) FROM scan;
SELECT privacy_scan.drop_retention('scan');
SELECT who, count(*) > 0 AS ran FROM log GROUP BY 1 ORDER BY 1;
SELECT DISTINCT what FROM log WHERE what <> 'domain' ORDER BY 1;
SELECT DISTINCT path FROM log WHERE what LIKE 'trigger%' OR what = 'condition' ORDER BY 1;

-- FORCE ROW LEVEL SECURITY: never a part of the rows.
SET ROLE regress_mallory2;
DELETE FROM scan;
DROP POLICY p ON scan;
CREATE POLICY half ON scan USING (id % 2 = 0);
ALTER TABLE scan FORCE ROW LEVEL SECURITY;
RESET ROLE;
INSERT INTO scan SELECT i, 'done', '{a}', '2023-01-01' FROM generate_series(1, 20) i;
INSERT INTO evidence SELECT id, 'body', 'd' FROM scan;
SELECT privacy_scan.set_retention('scan', '1 year', 'at') IS NOT NULL AS set;
SELECT relation, action, rows FROM privacy_scan.plan_retention('scan');
SET ROLE regress_mallory2;
SELECT relation, action, rows FROM privacy_scan.apply_retention('scan', dry_run => false);
RESET ROLE;
SELECT (SELECT count(*) FROM scan) AS scans, (SELECT count(*) FROM evidence) AS evidence;

-- Nor is more of them seen in an archive than in the relation, whoever is given rights there; where a policy can't be made, none.
DROP TABLE ret_hostile_archive.scan_archive, ret_hostile_archive.evidence_archive;
DELETE FROM privacy_scan.archive_ledger;
INSERT INTO scan SELECT i, 'done', '{a}', '2023-01-01' FROM generate_series(1, 20) i;
INSERT INTO evidence SELECT id, 'body', 'd' FROM scan;
SET ROLE regress_mallory2;
SELECT sum(rows) AS rows FROM privacy_scan.apply_retention('scan', dry_run => false);
SELECT (SELECT count(*) FROM ret_hostile_archive.scan_archive) AS half, (SELECT count(*) FROM ret_hostile_archive.evidence_archive) AS all_of_them;
SELECT rows, found_rows, state FROM privacy_scan.verify_archive();
SELECT relation, rows FROM privacy_scan.restore_archive('scan', '{1,2,3}'::text[]) WHERE rows > 0;
SELECT count(*) AS seen FROM scan;
SELECT sum(rows) AS again FROM privacy_scan.apply_retention('scan', dry_run => false);
DROP TABLE ret_hostile_archive.scan_archive;
RESET ROLE;
INSERT INTO scan VALUES (4, 'done', '{a}', '2023-01-01');
CREATE SCHEMA ret_closed CREATE TABLE allowed (id int);
CREATE POLICY closed ON scan USING (EXISTS (SELECT FROM ret_closed.allowed a WHERE a.id = scan.id));
\set VERBOSITY default
SET ROLE regress_mallory2;
SELECT sum(rows) AS rows FROM privacy_scan.apply_retention('scan', dry_run => false);
RESET ROLE;
\set VERBOSITY terse
SELECT relrowsecurity, relforcerowsecurity, (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid) AS policies FROM pg_class c WHERE oid = 'ret_hostile_archive.scan_archive'::regclass;
DROP SCHEMA ret_closed CASCADE;
-- The tables of batches that go on as files are made as their archive is.
INSERT INTO scan VALUES (4, 'done', '{a}', '2023-01-01');
SELECT privacy_scan.set_retention('scan', '1 year', 'at', archive => 'file') IS NOT NULL AS set;
SELECT sum(rows) AS rows FROM privacy_scan.apply_retention('scan', dry_run => false);
SELECT relrowsecurity, relforcerowsecurity FROM pg_class JOIN pg_inherits ON inhrelid = oid WHERE inhparent = 'ret_hostile_archive.scan_archive'::regclass;
DROP TABLE ret_hostile_archive.scan_archive, ret_hostile_archive.evidence_archive CASCADE;
DELETE FROM privacy_scan.archive_windows;
SELECT privacy_scan.set_retention('scan', '1 year', 'at') IS NOT NULL AS set;
-- Ways out of the owner's rights.
SET ROLE regress_mallory2;
DELETE FROM scan;
ALTER TABLE scan NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
DROP TABLE IF EXISTS ret_hostile_archive.scan_archive, ret_hostile_archive.evidence_archive;
INSERT INTO scan SELECT i, 'done', '{a}', '2023-01-01' FROM generate_series(1, 2) i;
CREATE TABLE attempts (what text, code text);
CREATE FUNCTION try(what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE what;
  INSERT INTO ret_hostile.attempts VALUES (what, 'done');
EXCEPTION WHEN OTHERS THEN
  INSERT INTO ret_hostile.attempts VALUES (what, SQLSTATE);
END $$;
CREATE FUNCTION escape() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM ret_hostile.try('RESET ROLE');
  PERFORM ret_hostile.try('SET ROLE NONE');
  EXECUTE 'SELECT 1';
  PERFORM ret_hostile.try('SET SESSION AUTHORIZATION DEFAULT');
  PERFORM ret_hostile.try('SELECT set_config(''role'', ''none'', false)');
  PERFORM ret_hostile.try('SELECT set_config(''session_authorization'', session_user, false)');
  PERFORM ret_hostile.try('CREATE TEMP TABLE pg_temp.x (a int)');
  PERFORM ret_hostile.try('PREPARE x AS SELECT 1');
  PERFORM ret_hostile.try('DECLARE x CURSOR WITH HOLD FOR SELECT 1');
  PERFORM ret_hostile.try('ALTER ROLE regress_mallory2 SUPERUSER');
  PERFORM ret_hostile.try('SET session_replication_role = replica');
  PERFORM ret_hostile.try('INSERT INTO privacy_scan.archive_ledger DEFAULT VALUES');
  PERFORM ret_hostile.try('DELETE FROM privacy_scan.retention_rules');
  RETURN OLD;
END $$;
CREATE TRIGGER row_before_escape BEFORE DELETE ON scan FOR EACH ROW EXECUTE FUNCTION escape();
RESET ROLE;
SELECT rows FROM privacy_scan.apply_retention('scan', max_rows => 1, dry_run => false);
SELECT what, code FROM attempts ORDER BY 1;
SELECT current_user = session_user AS is_still_itself, current_setting('search_path'), current_setting('row_security'), current_setting('session_replication_role');
-- A trigger that changes settings for good: they end with the run.
SET ROLE regress_mallory2;
CREATE OR REPLACE FUNCTION escape() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('search_path', 'ret_evil', false), set_config('row_security', 'on', false), set_config('DateStyle', 'German', false), set_config('work_mem', '64kB', false);
  RETURN OLD;
END $$;
RESET ROLE;
SELECT rows FROM privacy_scan.apply_retention('scan', max_rows => 1, dry_run => false);
SELECT current_setting('search_path'), current_setting('DateStyle'), current_setting('work_mem') <> '64kB' AS work_mem_kept;
DROP TABLE scan, evidence, bookmark, ret_hostile_archive.scan_archive;
-- An archive's schema that somebody else could drop, or where its owner may make nothing.
CREATE SCHEMA ret_victim AUTHORIZATION regress_ret_victim;
CREATE SCHEMA ret_victim_archive AUTHORIZATION regress_mallory2;
CREATE TABLE ret_victim.t (at date);
ALTER TABLE ret_victim.t OWNER TO regress_ret_victim;
SELECT privacy_scan.set_retention('ret_victim.t', '1 year', 'at') IS NOT NULL AS set;
\set VERBOSITY default
SELECT * FROM privacy_scan.apply_retention('ret_victim.t', dry_run => false);
GRANT ALL ON SCHEMA ret_victim_archive TO PUBLIC;
SELECT * FROM privacy_scan.apply_retention('ret_victim.t', dry_run => false);
\set VERBOSITY terse
DROP SCHEMA ret_victim_archive;
DROP TABLE ret_victim.t;

-- A search_path full of lookalikes: names of functions and operators that ours might find.
SET ROLE regress_mallory2;
CREATE FUNCTION ret_evil.eq(oid, int) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN PERFORM ret_hostile.logged('oid = int'); RETURN $1 = $2::oid; END$$;
CREATE OPERATOR ret_evil.= (LEFTARG = oid, RIGHTARG = int, FUNCTION = ret_evil.eq);
CREATE FUNCTION ret_evil.ne(oid, int) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN PERFORM ret_hostile.logged('oid <> int'); RETURN $1 <> $2::oid; END$$;
CREATE OPERATOR ret_evil.<> (LEFTARG = oid, RIGHTARG = int, FUNCTION = ret_evil.ne);
CREATE OPERATOR ret_evil.< (LEFTARG = oid, RIGHTARG = int, FUNCTION = ret_evil.eq);
CREATE FUNCTION ret_evil.format(text, name, name) RETURNS text LANGUAGE plpgsql AS $$BEGIN PERFORM ret_hostile.logged('format'); RETURN pg_catalog.format($1, $2, $3); END$$;
CREATE FUNCTION ret_evil.sum(real) RETURNS real LANGUAGE plpgsql AS $$BEGIN PERFORM ret_hostile.logged('sum'); RETURN 1; END$$;
CREATE FUNCTION ret_evil.isfinite(timestamp) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN PERFORM ret_hostile.logged('isfinite'); RETURN true; END$$;
CREATE FUNCTION ret_evil.lt(timestamp, timestamp) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN PERFORM ret_hostile.logged('lt'); RETURN true; END$$;
CREATE OPERATOR ret_evil.< (LEFTARG = timestamp, RIGHTARG = timestamp, FUNCTION = ret_evil.lt);
CREATE FUNCTION ret_evil.teq(text, text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN PERFORM ret_hostile.logged('text = text'); RETURN true; END$$;
CREATE OPERATOR ret_evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = ret_evil.teq);
CREATE FUNCTION ret_evil.ieq(int, int) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN PERFORM ret_hostile.logged('int = int'); RETURN true; END$$;
CREATE OPERATOR ret_evil.= (LEFTARG = int, RIGHTARG = int, FUNCTION = ret_evil.ieq);
CREATE FUNCTION ret_evil.quote_ident(text) RETURNS text LANGUAGE plpgsql AS $$BEGIN PERFORM ret_hostile.logged('quote_ident'); RETURN $1; END$$;
CREATE FUNCTION ret_evil.count() RETURNS bigint LANGUAGE plpgsql AS $$BEGIN PERFORM ret_hostile.logged('count'); RETURN 0; END$$;
CREATE FUNCTION ret_evil.row_digest(record) RETURNS int LANGUAGE plpgsql AS $$BEGIN PERFORM ret_hostile.logged('row_digest'); RETURN 0; END$$;
RESET ROLE;
SET ROLE regress_ret_victim;
SET search_path = ret_victim;
CREATE TABLE "Scan" (id int PRIMARY KEY, status text, "createdAt" timestamp);
CREATE TABLE "Evidence" (id int PRIMARY KEY, "scanId" int REFERENCES "Scan" ON DELETE CASCADE) PARTITION BY RANGE (id);
CREATE TABLE "Evidence_1" PARTITION OF "Evidence" DEFAULT;
INSERT INTO "Scan" SELECT i, CASE WHEN i % 2 = 0 THEN 'done' ELSE 'running' END, CASE WHEN i <= 10 THEN timestamp '2020-01-01' + i * interval '1 day' ELSE '2100-01-01' END FROM generate_series(1, 20) i;
INSERT INTO "Evidence" SELECT id, id FROM "Scan";
RESET ROLE;
TRUNCATE ret_hostile.log;
SET search_path = ret_evil, pg_catalog, ret_victim;
SELECT privacy_scan.cleanup_old_scans();
SET search_path = ret_evil, ret_victim;
SELECT privacy_scan.set_retention('"Scan"', '365 days', 'createdAt', 'id % 2 OPERATOR(pg_catalog.=) 1') AS words;
SELECT relation, rows FROM privacy_scan.plan_retention('"Scan"');
SELECT relation, rows FROM privacy_scan.apply_retention('"Scan"', max_rows => 4, dry_run => false);
CALL privacy_scan.run_retention();
SELECT root, keep FROM privacy_scan.retention_policies;
SELECT relation, pg_catalog.sum(rows) AS rows FROM privacy_scan.archives WHERE relation OPERATOR(pg_catalog.~) 'Scan|Evidence' GROUP BY 1 ORDER BY 1;
SET search_path = ret_victim;
SELECT DISTINCT who, what FROM ret_hostile.log WHERE what <> 'domain' ORDER BY 1, 2;
SELECT (SELECT count(*) FROM "Scan") AS scans, (SELECT count(*) FROM "Evidence") AS evidence;

-- Settings of the database and the role.
SET ROLE regress_ret_victim;
TRUNCATE "Scan" CASCADE;
INSERT INTO "Scan" SELECT i, 'done', timestamp '2020-01-01' + i * interval '1 day' FROM generate_series(1, 10) i;
INSERT INTO "Evidence" SELECT id, id FROM "Scan";
-- Compiled, a statement of ours would take seconds.
CREATE TABLE ret_victim.seen (jit text);
CREATE FUNCTION ret_victim.look() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO ret_victim.seen VALUES (pg_catalog.current_setting('jit'));
  RETURN NULL;
END $$;
CREATE TRIGGER look AFTER DELETE ON "Scan" EXECUTE FUNCTION ret_victim.look();
RESET ROLE;
SELECT privacy_scan.drop_retention('"Scan"');
SELECT current_database() AS db \gset
ALTER DATABASE :"db" SET TimeZone = 'Pacific/Apia';
ALTER DATABASE :"db" SET DateStyle = 'Postgres, DMY';
ALTER DATABASE :"db" SET IntervalStyle = 'iso_8601';
ALTER DATABASE :"db" SET quote_all_identifiers = on;
ALTER DATABASE :"db" SET search_path = ret_evil, ret_victim;
ALTER DATABASE :"db" SET standard_conforming_strings = off;
ALTER DATABASE :"db" SET default_table_access_method = 'heap';
ALTER DATABASE :"db" SET default_tablespace = 'pg_default';
ALTER DATABASE :"db" SET row_security = off;
ALTER DATABASE :"db" SET enable_seqscan = off;
ALTER DATABASE :"db" SET statement_timeout = '1min';
ALTER DATABASE :"db" SET plan_cache_mode = 'force_generic_plan';
ALTER DATABASE :"db" SET check_function_bodies = off;
ALTER DATABASE :"db" SET array_nulls = off;
ALTER DATABASE :"db" SET transform_null_equals = on;
ALTER DATABASE :"db" SET bytea_output = 'escape';
ALTER DATABASE :"db" SET extra_float_digits = -15;
ALTER DATABASE :"db" SET jit = on;
\c -
\set VERBOSITY terse
SET client_min_messages = warning;
SET TimeZone = 'Pacific/Apia';
SET DateStyle = 'Postgres, DMY';
SELECT privacy_scan.set_retention('"Scan"', '365 days', 'createdAt', $$status IS NOT NULL AND "createdAt" < '02/03/2020'$$) IS NOT NULL AS set;
SELECT condition FROM privacy_scan.retention_policies;
SELECT relation, rows, key_from, key_to, reason FROM privacy_scan.apply_retention('"Scan"', '2025-01-01 00:00+00', 2, false);
CALL privacy_scan.run_retention('"Scan"');
SELECT relation, archive, rows, key_from, key_to FROM privacy_scan.archives ORDER BY id DESC LIMIT 2;
SELECT DISTINCT jit FROM ret_victim.seen;
INSERT INTO ret_victim."Scan" VALUES (77, 'done', '2020-01-01');
ALTER DATABASE :"db" SET default_transaction_isolation = 'serializable';
\c -
\set VERBOSITY terse
SET client_min_messages = warning;
SELECT privacy_scan.cleanup_old_scans();
CALL privacy_scan.run_retention();
SET default_transaction_isolation = 'read committed';
ALTER DATABASE :"db" RESET default_transaction_isolation;
ALTER DATABASE :"db" SET default_transaction_read_only = on;
\c -
\set VERBOSITY terse
SET client_min_messages = warning;
SELECT privacy_scan.cleanup_old_scans();
CALL privacy_scan.run_retention();
SELECT privacy_scan.set_retention('"Scan"', '1 day', 'createdAt');
SET default_transaction_read_only = off;
ALTER DATABASE :"db" RESET default_transaction_read_only;
SELECT privacy_scan.cleanup_old_scans();
SELECT count(*) FROM ret_victim."Scan";
DO $$
DECLARE setting text;
BEGIN
  FOREACH setting IN ARRAY '{TimeZone,DateStyle,IntervalStyle,quote_all_identifiers,search_path,standard_conforming_strings,default_table_access_method,default_tablespace,row_security,enable_seqscan,statement_timeout,plan_cache_mode,check_function_bodies,array_nulls,transform_null_equals,bytea_output,extra_float_digits,jit}'::text[] LOOP
    EXECUTE format('ALTER DATABASE %I RESET %I', current_database(), setting);
  END LOOP;
END $$;
-- What pg_regress set for the database.
ALTER DATABASE :"db" SET bytea_output = 'hex';

SET client_min_messages = error;
DELETE FROM privacy_scan.archive_ledger;
DELETE FROM privacy_scan.retention_rules;
DROP SCHEMA ret_hostile, ret_hostile_archive, ret_evil, ret_victim, ret_victim_archive CASCADE;
DROP OWNED BY regress_mallory2, regress_ret_victim;
DROP ROLE regress_mallory2, regress_ret_victim;
