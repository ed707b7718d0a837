-- Hostile owners and hostile settings: nothing of an owner's ever runs with more rights than the owner's.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ps_hostile;
CREATE ROLE regress_ps_mallory;
GRANT USAGE, CREATE ON SCHEMA ps_hostile TO regress_ps_mallory;
GRANT TEMPORARY ON DATABASE :"DBNAME" TO regress_ps_mallory;
CREATE TABLE ps_hostile.log (who name, what text, gained text);
GRANT INSERT, SELECT ON ps_hostile.log TO PUBLIC;
CREATE TABLE ps_hostile.superuser AS SELECT session_user AS name, false AS armed;
GRANT SELECT ON ps_hostile.superuser TO PUBLIC;

SET ROLE regress_ps_mallory;
SET search_path = ps_hostile;
-- Notes who it runs as, and tries to become more.
CREATE FUNCTION spy(what text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  attempt text;
  gained text;
  boss name := (SELECT name FROM ps_hostile.superuser);
BEGIN
  -- Only in the extension's hands: here, SET ROLE alone makes us mallory, and RESET ROLE would undo it.
  IF (SELECT NOT armed FROM ps_hostile.superuser) THEN
    INSERT INTO ps_hostile.log VALUES (current_user, what);
    RETURN true;
  END IF;
  FOREACH attempt IN ARRAY ARRAY[format('SET ROLE %I', boss), format('SET LOCAL ROLE %I', boss), 'RESET ROLE', 'SET ROLE NONE',
      format('SET SESSION AUTHORIZATION %I', boss), 'RESET SESSION AUTHORIZATION', format('SELECT set_config(''role'', %L, false)', boss),
      format('SELECT set_config(''session_authorization'', %L, true)', boss),
      'CREATE TEMPORARY TABLE mine (x int)', 'CREATE TEMPORARY VIEW myview AS SELECT 1',
      'DECLARE held CURSOR WITH HOLD FOR SELECT 1', 'LISTEN mallory', 'ALTER ROLE regress_ps_mallory SUPERUSER', 'SELECT count(*) FROM pg_authid'] LOOP
    BEGIN
      EXECUTE attempt;
      gained := concat_ws('; ', gained, attempt);
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
  END LOOP;
  INSERT INTO ps_hostile.log VALUES (current_user, what, gained);
  RETURN true;
END $$;
CREATE FUNCTION lie(what text, x anyelement) RETURNS anyelement LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM ps_hostile.spy(what); RETURN x; END $$;
CREATE FUNCTION spy_trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM ps_hostile.spy('trigger ' || TG_NAME || ' ' || TG_OP); RETURN coalesce(NEW, OLD); END $$;
CREATE DOMAIN dom AS text CHECK (ps_hostile.lie('domain', VALUE) IS NOT NULL) DEFAULT ps_hostile.lie('domain default', 'd'::text);
CREATE TABLE place (id int PRIMARY KEY CHECK (ps_hostile.lie('check of referenced', id) IS NOT NULL));
INSERT INTO place VALUES (1);
CREATE TABLE m (
    id     int NOT NULL CHECK (ps_hostile.lie('check', id) IS NOT NULL),
    v      text DEFAULT ps_hostile.lie('default', 'v'::text),
    d      dom,
    g      int GENERATED ALWAYS AS (ps_hostile.lie('generated', id)) STORED,
    place  int DEFAULT 1 REFERENCES place DEFERRABLE INITIALLY DEFERRED,
    CHECK (ps_hostile.lie('check of a constant', 1) = 1),
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE INDEX ON m (ps_hostile.lie('index', v));
CREATE INDEX ON m (v) WHERE ps_hostile.lie('predicate', id) > 0 AND ps_hostile.lie('constant predicate', 7) = 7;
DO $$ BEGIN EXECUTE 'CREATE STATISTICS ON ps_hostile.lie(''statistics'', v), id FROM ps_hostile.m'; EXCEPTION WHEN OTHERS THEN NULL; END $$;
CREATE TRIGGER row_before BEFORE INSERT OR UPDATE OR DELETE ON m FOR EACH ROW EXECUTE FUNCTION spy_trigger();
CREATE TRIGGER row_after AFTER INSERT OR UPDATE OR DELETE ON m FOR EACH ROW WHEN (ps_hostile.spy('when') OR true) EXECUTE FUNCTION spy_trigger();
CREATE TRIGGER statement_ AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON m EXECUTE FUNCTION spy_trigger();
CREATE CONSTRAINT TRIGGER late AFTER INSERT OR UPDATE OR DELETE ON m DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION spy_trigger();
ALTER TABLE m ENABLE ALWAYS TRIGGER row_before;
ALTER TABLE m ENABLE ALWAYS TRIGGER late;
CREATE POLICY p ON m USING (ps_hostile.spy('policy')) WITH CHECK (ps_hostile.spy('policy check'));
ALTER TABLE m ENABLE ROW LEVEL SECURITY;
ALTER TABLE m FORCE ROW LEVEL SECURITY;
CREATE TABLE child (m_id int REFERENCES m ON DELETE CASCADE);
CREATE TRIGGER child_row BEFORE INSERT OR UPDATE OR DELETE ON child FOR EACH ROW EXECUTE FUNCTION spy_trigger();
-- A key that is an expression, evaluated by whoever opens the table.
CREATE TABLE e (id int NOT NULL) PARTITION BY RANGE ((ps_hostile.lie('key', 1) + id));
RESET ROLE;

-- Everything there is, as a superuser.
SELECT pg_get_userbyid(relowner) AS owner FROM pg_class WHERE oid = 'm'::regclass;
TRUNCATE ps_hostile.log;
UPDATE ps_hostile.superuser SET armed = true;
SELECT partition, action FROM privacy_scan.manage_partitions('m', 'id', 10, premake => 1);
SELECT who, count(*) > 0 AS spied, max(gained) AS gained FROM ps_hostile.log GROUP BY 1;
UPDATE ps_hostile.superuser SET armed = false;
SET ROLE regress_ps_mallory;
INSERT INTO m (id) SELECT n FROM generate_series(101, 120) n;
INSERT INTO child VALUES (105);
RESET ROLE;
TRUNCATE ps_hostile.log;
UPDATE ps_hostile.superuser SET armed = true;
\c -
SET client_min_messages = warning;
SET search_path = ps_hostile;
SELECT partition, action FROM privacy_scan.ensure_partitions('m', 20, 40);
SELECT partition, action, rows FROM privacy_scan.drain_default('m', 10);
SELECT partition, action, rows, sqlstate, message FROM privacy_scan.maintain_partitions('m');
CALL privacy_scan.run_drain('m');
CALL privacy_scan.run_maintenance('m');
SELECT partition, action FROM privacy_scan.set_partitions('m', step => 20, premake => 2);
BEGIN;
SELECT count(*) FROM privacy_scan.ensure_partitions('m', 1000, 1100);
COMMIT;
SELECT count(*) FROM privacy_scan.partitions WHERE parent = 'm'::regclass;
SELECT default_rows FROM privacy_scan.partition_sets WHERE relation = 'm'::regclass;
SELECT 1 FROM privacy_scan.manage_partitions('e', '"(lie)"', 10);
SELECT who, count(*) > 0 AS spied FROM ps_hostile.log GROUP BY 1;
SELECT DISTINCT gained FROM ps_hostile.log;
SELECT count(*) FILTER (WHERE what LIKE 'trigger%') AS triggers, count(*) FILTER (WHERE what LIKE 'policy%') AS policies,
       count(*) FILTER (WHERE what LIKE 'index%') > 0 AS indexes FROM ps_hostile.log;
SELECT current_user = session_user AS still_myself, current_setting('search_path'), current_setting('is_superuser'), to_regclass('pg_temp.mine') IS NULL AS nothing_temporary;
SELECT count(*) FROM pg_listening_channels();
-- Of the owner's rows, none is lost.
SET row_security = off;
SELECT count(*), count(*) FILTER (WHERE tableoid <> 'm_default'::regclass) AS in_their_own FROM m;
RESET row_security;
SELECT count(*) FROM child;
SELECT privacy_scan.unmanage_partitions('m');

-- Hostile settings of the database: shadowed names, isolation, formats, and more.
CREATE SCHEMA ps_evil;
CREATE FUNCTION ps_evil.note() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO ps_hostile.log VALUES (current_user, 'shadowed', 'called'); RETURN true; END $$;
CREATE FUNCTION ps_evil.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT ps_evil.note(); SELECT timestamptz '1999-01-01' $$;
CREATE FUNCTION ps_evil.quote_ident(text) RETURNS text LANGUAGE sql AS $$ SELECT ps_evil.note(); SELECT 'x'::text $$;
CREATE FUNCTION ps_evil.pg_get_expr(pg_node_tree, oid) RETURNS text LANGUAGE sql AS $$ SELECT ps_evil.note(); SELECT 'x'::text $$;
CREATE FUNCTION ps_evil.pg_get_userbyid(oid) RETURNS name LANGUAGE sql AS $$ SELECT ps_evil.note(); SELECT 'x'::name $$;
CREATE FUNCTION ps_evil.step(int, int) RETURNS int LANGUAGE sql AS $$ SELECT ps_evil.note(); SELECT 77 $$;
CREATE AGGREGATE ps_evil.max(int) (SFUNC = ps_evil.step, STYPE = int);
CREATE FUNCTION ps_evil.yes_int(int, int) RETURNS boolean LANGUAGE sql AS $$ SELECT ps_evil.note() $$;
CREATE FUNCTION ps_evil.yes_oid(oid, oid) RETURNS boolean LANGUAGE sql AS $$ SELECT ps_evil.note() $$;
CREATE FUNCTION ps_evil.yes_class(regclass, regclass) RETURNS boolean LANGUAGE sql AS $$ SELECT ps_evil.note() $$;
CREATE FUNCTION ps_evil.yes_time(timestamptz, timestamptz) RETURNS boolean LANGUAGE sql AS $$ SELECT ps_evil.note() $$;
CREATE FUNCTION ps_evil.join_text(text, text) RETURNS text LANGUAGE sql AS $$ SELECT ps_evil.note(); SELECT 'x'::text $$;
DO $$
DECLARE op text;
BEGIN
  FOREACH op IN ARRAY ARRAY['=', '<', '>', '>=', '<=', '<>'] LOOP
    EXECUTE format('CREATE OPERATOR ps_evil.%s (LEFTARG = int, RIGHTARG = int, FUNCTION = ps_evil.yes_int)', op);
    EXECUTE format('CREATE OPERATOR ps_evil.%s (LEFTARG = oid, RIGHTARG = oid, FUNCTION = ps_evil.yes_oid)', op);
    EXECUTE format('CREATE OPERATOR ps_evil.%s (LEFTARG = regclass, RIGHTARG = regclass, FUNCTION = ps_evil.yes_class)', op);
    EXECUTE format('CREATE OPERATOR ps_evil.%s (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = ps_evil.yes_time)', op);
  END LOOP;
END $$;
CREATE OPERATOR ps_evil.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = ps_evil.join_text);
CREATE VIEW ps_evil.pg_class AS SELECT 0::oid AS oid WHERE ps_evil.note();
CREATE VIEW ps_evil.pg_namespace AS SELECT 0::oid AS oid WHERE ps_evil.note();
CREATE VIEW ps_evil.partition_policies AS SELECT 0::oid AS relation WHERE ps_evil.note();

CREATE TABLE h (at timestamptz NOT NULL, v text, PRIMARY KEY (at)) PARTITION BY RANGE (at);
CREATE TABLE h_rest PARTITION OF h FOR VALUES FROM ('2020-05-01 00:00+00') TO ('2200-01-01 00:00+00');
CREATE TABLE n (id int NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE settings (name text, value text);
INSERT INTO settings VALUES ('search_path', 'ps_evil, pg_catalog'), ('default_transaction_isolation', 'serializable'), ('TimeZone', 'Asia/Kathmandu'),
  ('DateStyle', 'German, DMY'), ('IntervalStyle', 'iso_8601'), ('row_security', 'off'), ('quote_all_identifiers', 'on'), ('standard_conforming_strings', 'off'),
  ('backslash_quote', 'off'), ('escape_string_warning', 'off'), ('extra_float_digits', '-15'), ('bytea_output', 'escape'), ('default_tablespace', 'pg_global'),
  ('default_toast_compression', 'lz4'), ('transform_null_equals', 'on'), ('check_function_bodies', 'on'), ('constraint_exclusion', 'on'),
  ('enable_partition_pruning', 'off'), ('lock_timeout', '1ms'), ('default_transaction_deferrable', 'on'), ('session_replication_role', 'replica'),
  ('lc_monetary', 'C'), ('array_nulls', 'off'), ('plan_cache_mode', 'force_generic_plan'), ('allow_system_table_mods', 'off'), ('client_min_messages', 'warning');
TRUNCATE log;
DO $$
DECLARE s record;
BEGIN
  FOR s IN SELECT * FROM ps_hostile.settings LOOP
    BEGIN
      IF s.name = 'search_path' THEN EXECUTE format('ALTER DATABASE %I SET search_path = ps_evil, pg_catalog', current_database());
      ELSE EXECUTE format('ALTER DATABASE %I SET %s = %L', current_database(), s.name, s.value);
      END IF;
    EXCEPTION WHEN undefined_object OR invalid_parameter_value THEN RAISE WARNING 'not here: %', s.name;
    END;
  END LOOP;
END $$;
\c -
\set VERBOSITY terse
SELECT partition, lower_bound, upper_bound, action, rows FROM privacy_scan.manage_partitions('ps_hostile.h', 'at', '1 month', time_zone => 'Europe/Berlin', start => '2020-01-31 23:00+00');
INSERT INTO ps_hostile.h VALUES ('2019-12-31 23:00+00', 'stray');
SELECT partition, lower_bound, upper_bound, action, rows FROM privacy_scan.drain_default('ps_hostile.h');
SELECT partition, lower_bound, upper_bound, action, rows FROM privacy_scan.maintain_partitions('ps_hostile.h', '2019-11-15 00:00+00');
SELECT partition, lower_bound, action FROM privacy_scan.manage_partitions('ps_hostile.n', 'id', 10, premake => 0);
INSERT INTO ps_hostile.n VALUES (5), (55);
SELECT partition, lower_bound, action, rows FROM privacy_scan.maintain_partitions('ps_hostile.n');
SELECT partition, lower_bound, action FROM privacy_scan.set_partitions('ps_hostile.n', premake => 1);
SELECT lower_bound, upper_bound, state FROM privacy_scan.partitions WHERE parent OPERATOR(pg_catalog.=) 'ps_hostile.h'::pg_catalog.regclass;
SELECT step, premake, partitions, default_rows FROM privacy_scan.partition_sets WHERE relation OPERATOR(pg_catalog.=) 'ps_hostile.n'::pg_catalog.regclass;
-- Nothing of the shadows was called.
SELECT pg_catalog.count(*) FROM ps_hostile.log;
SELECT privacy_scan.unmanage_partitions('ps_hostile.n');

-- The same as the default of the database: read only.
SET search_path = pg_catalog;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$;
\c -
\set VERBOSITY default
SELECT 1 FROM privacy_scan.maintain_partitions();
SELECT 1 FROM privacy_scan.drain_default('ps_hostile.h');
CALL privacy_scan.run_maintenance();
\set VERBOSITY terse
SET default_transaction_read_only = off;
SET default_transaction_isolation = 'read committed';
SET search_path = pg_catalog;
DO $$
DECLARE name text;
BEGIN
  FOR name IN SELECT s.name FROM ps_hostile.settings s UNION ALL SELECT 'default_transaction_read_only' LOOP
    EXECUTE format('ALTER DATABASE %I RESET %s', current_database(), name);
  END LOOP;
END $$;
\c -
SET client_min_messages = warning;
DROP SCHEMA ps_evil CASCADE;
DROP SCHEMA ps_hostile CASCADE;
DROP OWNED BY regress_ps_mallory;
DROP ROLE regress_ps_mallory;
