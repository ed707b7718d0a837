-- Names of new partitions, and existing partitions of any name.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ps_names;
CREATE SCHEMA "Ps ""n'ames %s";
SET search_path = ps_names;

-- A table of that name with one partition made by us; what it is called, in bytes. Always through the catalog.
CREATE FUNCTION made(schema text, name text, key text DEFAULT 'at') RETURNS TABLE (partition text, bytes int, attached boolean)
LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE TABLE %I.%I (%I date NOT NULL, id int, PRIMARY KEY (%I, id)) PARTITION BY RANGE (%I)', schema, name, key, key, key);
  EXECUTE format('CREATE TABLE ps_names.rest PARTITION OF %I.%I FOR VALUES FROM (''2020-03-01'') TO (MAXVALUE)', schema, name);
  PERFORM privacy_scan.manage_partitions(format('%I.%I', schema, name)::regclass, key::name, '1 month', start => '2020-02-20 00:00+00',
                                         default_partition => false);
  RETURN QUERY SELECT c.relname::text, octet_length(c.relname::text), c.relispartition
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE i.inhparent = format('%I.%I', schema, name)::regclass AND c.relname <> 'rest' AND n.nspname = schema;
  EXECUTE format('DROP TABLE %I.%I', schema, name);
END $$;

SELECT n, m.*
FROM (VALUES (1, 'plain'), (2, 'Evidence'), (3, 'with space'), (4, 'a"b'), (5, 'a''b'), (6, '$$'), (7, '%s %I %n'), (8, E'back\\slash'),
             (9, E'new\nline'), (10, E'tab\there'), (11, 'select'), (12, '1st'), (13, '; DROP SCHEMA ps_names; --'), (14, 'größe'),
             (15, repeat('x', 55)), (16, repeat('x', 56)), (17, repeat('x', 63)), (18, repeat('é', 31)), (19, repeat('x', 54) || 'é'),
             (20, repeat('👍', 15)), (21, ''''''), (22, '""')) t (n, name),
     LATERAL made('ps_names', t.name) m ORDER BY n;
SELECT m.* FROM made('Ps "n''ames %s', 'T', 'the "key" %s') m;
SELECT m.* FROM made('ps_names', 'multi', repeat('ü', 31)) m;

-- Parents that are equal in their first 62 bytes, and ones that are cut within a character.
CREATE FUNCTION pair(VARIADIC names text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE name text;
BEGIN
  FOREACH name IN ARRAY names LOOP
    EXECUTE format('CREATE TABLE %I (at date NOT NULL) PARTITION BY RANGE (at)', name);
    EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (''2020-03-01'') TO (MAXVALUE)', 'rest_' || md5(name), name);
    PERFORM privacy_scan.manage_partitions(quote_ident(name)::regclass, 'at', '1 month', start => '2020-02-01 00:00+00');
  END LOOP;
  RETURN QUERY SELECT relname::text FROM pg_class WHERE relispartition AND relnamespace = 'ps_names'::regnamespace
    AND relname NOT LIKE 'rest%' ORDER BY relname COLLATE "C";
  FOREACH name IN ARRAY names LOOP EXECUTE format('DROP TABLE %I', name); END LOOP;
END $$;
SET search_path = ps_names, pg_catalog;
SELECT * FROM pair(repeat('p', 62) || 'a', repeat('p', 62) || 'b');
SELECT * FROM pair(repeat('é', 30) || 'a', repeat('é', 30) || 'b');

-- Names that are taken: by a table, an index, a type; of the partition and of the DEFAULT one.
CREATE TABLE t (at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE rest PARTITION OF t FOR VALUES FROM ('2020-06-01') TO (MAXVALUE);
CREATE TABLE t_2020_02 (x int);
CREATE TYPE t_2020_03 AS ENUM ('a');
CREATE DOMAIN t_2020_04 AS int;
CREATE TABLE other (x int);
CREATE INDEX t_2020_05 ON other (x);
CREATE VIEW t_default AS SELECT 1;
CREATE TABLE t_default_2 (x int);
SELECT partition, lower_bound, action FROM privacy_scan.manage_partitions('t', 'at', '1 month', start => '2020-02-01 00:00+00');

-- Existing partitions are recognised by their bounds: foreign names and widths, gaps, MINVALUE and MAXVALUE.
CREATE TABLE w (at timestamptz NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE "Alt" PARTITION OF w FOR VALUES FROM (MINVALUE) TO ('2020-01-10 12:30+00');
CREATE TABLE w_2020_01 PARTITION OF w FOR VALUES FROM ('2020-01-20 00:00+00') TO ('2020-03-07 00:00+00');
CREATE TABLE january PARTITION OF w FOR VALUES FROM ('2020-04-03 03:00+00') TO ('2020-04-03 04:00:00.000001+00');
CREATE TABLE zukunft PARTITION OF w FOR VALUES FROM ('2020-06-01 00:00+00') TO (MAXVALUE);
SELECT partition, lower_bound, upper_bound
FROM privacy_scan.manage_partitions('w', 'at', '1 month', start => '2019-01-01 00:00+00', default_partition => false);
SELECT partition, lower_bound, upper_bound, lower_at AT TIME ZONE 'UTC' AS lower_at, upper_at AT TIME ZONE 'UTC' AS upper_at, state
FROM privacy_scan.partitions WHERE parent = 'w'::regclass;
-- All of time is covered: nothing is ever missing.
SELECT count(*) FROM privacy_scan.ensure_partitions('w', '0001-01-01 00:00+00', '9999-12-30 00:00+00');
SELECT lower_bound, lag(upper_bound) OVER (ORDER BY lower_at NULLS FIRST) IS NOT DISTINCT FROM nullif(lower_bound, 'MINVALUE') AS seamless
FROM privacy_scan.partitions WHERE parent = 'w'::regclass;

-- Integer keys below zero, and a partition that reaches into a cell.
CREATE TABLE i (id bigint NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE i_odd PARTITION OF i FOR VALUES FROM (-150) TO (33);
SELECT partition, lower_bound, upper_bound FROM privacy_scan.manage_partitions('i', 'id', 100, start => -300, premake => 0);

DROP SCHEMA ps_names CASCADE;
DROP SCHEMA "Ps ""n'ames %s" CASCADE;
