-- Bad input: each a clear error with its SQLSTATE, and nothing changed.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ps_errors;
CREATE ROLE regress_ps_owner;
CREATE ROLE regress_ps_stranger;
GRANT USAGE, CREATE ON SCHEMA ps_errors TO regress_ps_owner;
GRANT USAGE ON SCHEMA ps_errors TO regress_ps_stranger;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA privacy_scan TO regress_ps_stranger;
SET search_path = ps_errors;

-- What a statement raises, and whether it left anything behind.
CREATE FUNCTION state() RETURNS text LANGUAGE sql AS $$
  SELECT md5(concat((SELECT string_agg(concat(oid, relname, relispartition, relowner, relkind), ',' ORDER BY oid) FROM pg_class
                     WHERE relnamespace = 'ps_errors'::regnamespace),
                    (SELECT string_agg(p::text, ',' ORDER BY relation::oid) FROM privacy_scan.partition_policies p))) $$;
CREATE FUNCTION refused(statement text, OUT code text, OUT message text, OUT detail text, OUT hint text, OUT unchanged boolean)
LANGUAGE plpgsql AS $$
DECLARE before text := ps_errors.state();
BEGIN
  EXECUTE statement;
  code := 'none';
  unchanged := before = ps_errors.state();
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  unchanged := before = ps_errors.state();
END $$;
ALTER FUNCTION state() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION state() SECURITY DEFINER;
\pset expanded on
\pset tuples_only on

CREATE TABLE t (id bigint, at timestamptz NOT NULL, maybe timestamptz) PARTITION BY RANGE (at);
CREATE TABLE m (id bigint NOT NULL, at timestamptz NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE m_rest PARTITION OF m FOR VALUES FROM ('2020-01-01 00:00+00') TO (MAXVALUE);
CREATE TABLE n (id integer NOT NULL) PARTITION BY RANGE (id);
SELECT count(*) FROM privacy_scan.manage_partitions('m', 'at', '1 month', premake => 0);
SELECT count(*) FROM privacy_scan.manage_partitions('n', 'id', 1000, premake => 0);

-- NULL.
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions(NULL, 'at', '1 month')$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('t', NULL, '1 month')$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('t', 'at', NULL)$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('t', 'at', NULL::interval)$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('n', 'id', NULL::bigint)$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('t', 'at', '1 month', premake => NULL)$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('t', 'at', '1 month', time_zone => NULL)$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('t', 'at', '1 month', default_partition => NULL)$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.set_partitions(NULL)$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.unmanage_partitions(NULL)$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.maintain_partitions('m', NULL)$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.ensure_partitions(NULL, '2019-01-01', '2019-02-01')$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.ensure_partitions('m', NULL, '2019-02-01')$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.ensure_partitions('n', 1, NULL)$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.drain_default(NULL)$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.drain_default('m', NULL)$$);
SELECT privacy_scan.count_default_rows(NULL) IS NULL, (SELECT count(*) FROM privacy_scan.partition_bounds(NULL));

-- Relations that aren't there.
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions(0, 'at', '1 month')$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.maintain_partitions(4294967295)$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('nosuch', 'at', '1 month')$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.count_default_rows(4294967295)$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.partition_bounds(0)$$);

-- Wrong kinds.
CREATE TABLE plain (at date NOT NULL);
CREATE VIEW v AS SELECT * FROM t;
CREATE MATERIALIZED VIEW mv AS SELECT * FROM t;
CREATE INDEX idx ON t (at);
CREATE SEQUENCE seq;
CREATE TYPE comp AS (at date);
CREATE FOREIGN DATA WRAPPER regress_ps_fdw;
CREATE SERVER regress_ps_server FOREIGN DATA WRAPPER regress_ps_fdw;
CREATE FOREIGN TABLE ft (at date NOT NULL) SERVER regress_ps_server;
CREATE TEMPORARY TABLE tmp (at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE byl (at date NOT NULL) PARTITION BY LIST (at);
CREATE TABLE byh (at date NOT NULL) PARTITION BY HASH (at);
CREATE TABLE two (at date NOT NULL, id int NOT NULL) PARTITION BY RANGE (at, id);
CREATE TABLE expr (at date NOT NULL) PARTITION BY RANGE ((at + 1));
CREATE TABLE sub PARTITION OF m FOR VALUES FROM ('2010-01-01 00:00+00') TO ('2011-01-01 00:00+00') PARTITION BY RANGE (at);
CREATE TABLE inh (at date NOT NULL);
CREATE TABLE inh_child () INHERITS (inh);
CREATE TABLE member (at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE txt (at text NOT NULL) PARTITION BY RANGE (at);
CREATE DOMAIN dom AS date;
CREATE TABLE domd (at dom NOT NULL) PARTITION BY RANGE (at);
SELECT refused.* FROM unnest('{plain,v,mv,idx,seq,comp,ft,tmp,byl,byh,two,expr,sub,m_rest,inh,txt,domd,pg_class,pg_catalog.pg_toast_1255}'::text[]) WITH ORDINALITY r (name, n),
  LATERAL refused(format($$SELECT privacy_scan.manage_partitions(%L, 'at', '1 month')$$, CASE WHEN name LIKE '%toast%' THEN 'pg_toast.pg_toast_1255' ELSE name END)) ORDER BY n;
BEGIN;
ALTER EXTENSION privacy_scan ADD TABLE member;
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('member', 'at', '1 month')$$);
ROLLBACK;
-- Every other function, too.
SELECT refused.* FROM unnest('{"set_partitions(''plain'')","maintain_partitions(''plain'')","ensure_partitions(''plain'',1,2)","drain_default(''v'')","maintain_partitions(''pg_class'')"}'::text[]) c,
  LATERAL refused('SELECT privacy_scan.' || c);

-- Not managed.
SELECT refused.* FROM unnest('{"set_partitions(''t'')","maintain_partitions(''t'')","ensure_partitions(''t'',''2020-01-01'',''2020-02-01'')","drain_default(''t'')","partition_bounds(''t'')"}'::text[]) c,
  LATERAL refused('SELECT privacy_scan.' || c);

-- Not the owner.
SET ROLE regress_ps_stranger;
SELECT refused.* FROM unnest('{"manage_partitions(''t'',''at'',''1 month'')","manage_partitions(''t'',''at'',''1 month'',start=>''2020-01-01'')","manage_partitions(''n'',''id'',10)","unmanage_partitions(''m'')","set_partitions(''m'')","maintain_partitions(''m'')","ensure_partitions(''m'',''2020-01-01'',''2020-02-01'')","ensure_partitions(''n'',1,2)","drain_default(''m'')","partition_bounds(''m'')","count_default_rows(''m'')"}'::text[]) c,
  LATERAL refused('SELECT privacy_scan.' || c);
SELECT count(*) FROM privacy_scan.maintain_partitions();
RESET ROLE;
REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA privacy_scan FROM regress_ps_stranger;
SET ROLE regress_ps_stranger;
SELECT refused.* FROM refused($$SELECT privacy_scan.maintain_partitions('m')$$);
SELECT refused.* FROM refused($$SELECT * FROM privacy_scan.partition_policies$$);
RESET ROLE;

-- The key.
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('t', 'nosuch', '1 month')$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('t', 'id', '1 month')$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('t', 'AT', '1 month')$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('t', 'ctid', '1 month')$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('t', E'a"t'' %s\n', '1 month')$$);
CREATE TABLE "nu""ll" (at date) PARTITION BY RANGE (at);
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('"nu""ll"', 'at', '1 month')$$);
ALTER TABLE m ALTER at DROP NOT NULL;
SELECT refused.* FROM refused($$SELECT privacy_scan.maintain_partitions('m')$$);
SELECT sqlstate, action FROM privacy_scan.maintain_partitions() WHERE relation = 'm'::regclass;
SELECT count(*) FROM privacy_scan.partitions WHERE parent = 'm'::regclass;
ALTER TABLE m ALTER at SET NOT NULL;

-- The interval and the step.
SELECT refused.* FROM unnest('{0,0 days,-1 month,-1 day,-1 hour,1 mon 1 day,1 day 1 hour,1 mon -1 day,30 seconds,90 seconds,1 microsecond,1.5 minutes,178000000 years}'::text[]) WITH ORDINALITY i (every, n),
  LATERAL refused(format($$SELECT privacy_scan.manage_partitions('t', 'at', %L::interval)$$, every)) ORDER BY n;
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('t', 'at', '100000 years')$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('t', 'at', 'sometimes')$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('t', 'at', 1000)$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.set_partitions('m', every => '1 mon 1 day')$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.set_partitions('m', step => 1000)$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.set_partitions('n', every => '1 day')$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.set_partitions('n', step => 0)$$);
CREATE TABLE d (at date NOT NULL) PARTITION BY RANGE (at);
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('d', 'at', '1 hour')$$);
CREATE TABLE k (id integer NOT NULL) PARTITION BY RANGE (id);
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('k', 'id', '1 month')$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('k', 'id', '1 month', start => '2020-01-01')$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('k', 'id', 0)$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('k', 'id', -1)$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('k', 'id', 2147483648)$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('k', 'id', 9223372036854775807)$$);

-- premake, zone, start, range, batch.
SELECT refused.* FROM unnest('{-1,1001,2147483647}'::int[]) p, LATERAL refused(format($$SELECT privacy_scan.manage_partitions('t', 'at', '1 month', premake => %s)$$, p)) ORDER BY p;
SELECT refused.* FROM refused($$SELECT privacy_scan.set_partitions('m', premake => -1)$$);
SELECT refused.* FROM unnest('{"",Mars/Olympus,"Europe/Berlin ","x''; DROP TABLE t; --",right/UTC,../../etc/passwd}'::text[]) WITH ORDINALITY z (zone, n),
  LATERAL refused(format($$SELECT privacy_scan.manage_partitions('t', 'at', '1 month', time_zone => %L)$$, zone)) ORDER BY n;
SELECT refused.* FROM unnest('{infinity,-infinity,"0044-03-15 BC","10000-01-01","tomorrowish"}'::text[]) WITH ORDINALITY s (start, n),
  LATERAL refused(format($$SELECT privacy_scan.manage_partitions('t', 'at', '1 month', start => %L)$$, start)) ORDER BY n;
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('t', 'at', '1 hour', start => '1970-01-01')$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('k', 'id', 1, start => -2000000000)$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.maintain_partitions('m', 'infinity')$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.maintain_partitions('m', '0001-01-01 BC')$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.ensure_partitions('m', '2019-02-01', '2019-02-01')$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.ensure_partitions('m', '2019-02-01', '2019-01-01')$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.ensure_partitions('m', '-infinity', '2019-01-01')$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.ensure_partitions('m', '1900-01-01', '2019-12-01')$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.ensure_partitions('m', 1, 2)$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.ensure_partitions('n', '2019-02-01', '2019-03-01')$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.ensure_partitions('n', 5, 5)$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.ensure_partitions('n', -9223372036854775808, 9223372036854775807)$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.ensure_partitions('n', 2147483000, 2147483647)$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('k', 'id', 1000, start => -2147483648)$$);
SELECT refused.* FROM unnest('{0,-1}'::int[]) b, LATERAL refused(format($$SELECT privacy_scan.drain_default('m', %s)$$, b)) ORDER BY b;
-- The caps at their value and one beyond.
SET privacy_scan.partition_max_created = 3;
SELECT refused.* FROM refused($$SELECT privacy_scan.ensure_partitions('m', '2019-09-01', '2020-01-01')$$);
SELECT count(*) FROM privacy_scan.ensure_partitions('m', '2019-10-01', '2020-01-01');
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('t', 'at', '1 month', premake => 4)$$);
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('d', 'at', '1 month', premake => 0, start => '2020-01-01')$$);
RESET privacy_scan.partition_max_created;

-- In a read-only transaction; in a context without rows; an owner who may not create here.
BEGIN READ ONLY;
SELECT refused.* FROM unnest('{"manage_partitions(''t'',''at'',''1 month'')","manage_partitions(''k'',''id'',10)","unmanage_partitions(''m'')","set_partitions(''m'')","maintain_partitions(''m'')","maintain_partitions()","ensure_partitions(''m'',''2019-01-01'',''2019-02-01'')","ensure_partitions(''n'',1,2)","drain_default(''m'')"}'::text[]) c,
  LATERAL refused('SELECT privacy_scan.' || c);
SELECT count(*) FROM privacy_scan.partitions WHERE parent = 'm'::regclass;
ROLLBACK;
CREATE TABLE locked (at date NOT NULL) PARTITION BY RANGE (at);
ALTER TABLE locked OWNER TO regress_ps_owner;
REVOKE CREATE ON SCHEMA ps_errors FROM regress_ps_owner;
SELECT refused.* FROM refused($$SELECT privacy_scan.manage_partitions('locked', 'at', '1 month')$$);
BEGIN;
CALL privacy_scan.run_drain('m');
ROLLBACK;
BEGIN;
CALL privacy_scan.run_maintenance('m');
ROLLBACK;

\pset expanded off
\pset tuples_only off
DROP TABLE tmp;
DROP SCHEMA ps_errors CASCADE;
DROP FOREIGN DATA WRAPPER regress_ps_fdw CASCADE;
DROP ROLE regress_ps_owner, regress_ps_stranger;
