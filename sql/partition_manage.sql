-- Registering, creating ahead, changing and forgetting partition sets, for each type of key and each interval.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ps_manage;
SET search_path = ps_manage;

-- The clock stands beyond a partition that reaches to MAXVALUE, so that nothing depends on the day of the test.
CREATE TABLE ts (id bigint, at timestamp(3) NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE ts_rest PARTITION OF ts FOR VALUES FROM ('2020-06-01') TO (MAXVALUE);

-- start: from there on; an existing partition is recognised by its bounds.
SELECT partition, lower_bound, upper_bound, action, rows, sqlstate, message
FROM privacy_scan.manage_partitions('ts', 'at', '1 month', start => '2020-02-20 00:00+00');
SELECT pg_get_expr(relpartbound, oid) FROM pg_class
WHERE relnamespace = 'ps_manage'::regnamespace AND relispartition ORDER BY relname COLLATE "C";
-- Nothing to do: no row.
SELECT * FROM privacy_scan.maintain_partitions('ts', '2020-06-15 00:00+00');
SELECT * FROM privacy_scan.maintain_partitions('ts');
-- A clock before all of them: premake partitions after its own, up to what is there.
SELECT partition, lower_bound, upper_bound, action
FROM privacy_scan.maintain_partitions('ts', '2019-10-31 23:59:59.999999+00');
-- The policy is what was asked for.
SELECT relation, key_column, every, step, premake, time_zone, default_partition, partitions, default_rows
FROM privacy_scan.partition_sets WHERE relation = 'ts'::regclass;

-- Managed already.
SELECT 1 FROM privacy_scan.manage_partitions('ts', 'at', '1 month');

-- A new interval: what exists stays, new bounds start where the old ones end, the first cut to the new grid.
CREATE TABLE changed (at timestamptz NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE changed_rest PARTITION OF changed FOR VALUES FROM ('2021-01-01 00:00+00') TO (MAXVALUE);
SELECT count(*) FROM privacy_scan.manage_partitions('changed', 'at', '1 week', premake => 1, default_partition => false);
SELECT partition, lower_bound, upper_bound
FROM privacy_scan.maintain_partitions('changed', '2020-01-15 12:00+00');
SELECT count(*) FROM privacy_scan.set_partitions('changed', every => '1 month', premake => 2);
SELECT every, premake, default_partition FROM privacy_scan.partition_sets WHERE relation = 'changed'::regclass;
SELECT partition, lower_bound, upper_bound
FROM privacy_scan.maintain_partitions('changed', '2020-01-29 00:00+00');
SELECT count(*) FROM privacy_scan.set_partitions('changed', every => '1 day', premake => 0);
SELECT partition, lower_bound, upper_bound
FROM privacy_scan.maintain_partitions('changed', '2020-04-02 12:00+00');
-- What is NULL stays.
SELECT count(*) FROM privacy_scan.set_partitions('changed', premake => 3);
SELECT every, premake, default_partition FROM privacy_scan.partition_sets WHERE relation = 'changed'::regclass;
-- DEFAULT wanted later is made at once.
SELECT partition, action FROM privacy_scan.set_partitions('changed', default_partition => true);

-- An outage leaves no hole.
SELECT partition, lower_bound, upper_bound
FROM privacy_scan.maintain_partitions('changed', '2020-04-09 12:00+00');

-- Every interval; 3 months are a quarter, 14 days two weeks, 24 hours hours.
CREATE FUNCTION grid(every text, key_type text, clock timestamptz) RETURNS TABLE (name text, lower_bound text, upper_bound text)
LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE TABLE g (k %s NOT NULL) PARTITION BY RANGE (k)', key_type);
  EXECUTE 'CREATE TABLE g_rest PARTITION OF g FOR VALUES FROM (''2024-01-01 00:00+00'') TO (MAXVALUE)';
  PERFORM privacy_scan.manage_partitions('ps_manage.g', 'k', every, premake => 1, default_partition => false);
  RETURN QUERY SELECT a.partition, a.lower_bound, a.upper_bound FROM privacy_scan.maintain_partitions('ps_manage.g', clock) a;
  DROP TABLE g;
END $$;
SELECT i AS every, g.* FROM unnest('{1 minute,15 minutes,1 hour,6 hours,24 hours,1 day,5 days,1 week,2 weeks,14 days,1 month,2 months,1 quarter,3 months,1 year,5 years}'::text[])
  WITH ORDINALITY u(i, n), LATERAL grid(CASE i WHEN '1 quarter' THEN '3 months' ELSE i END, 'timestamptz', '2020-02-29 05:30+00') g
ORDER BY n, 3;
SELECT i AS every, g.* FROM unnest('{1 day,1 week,1 month,1 quarter,1 year}'::text[])
  WITH ORDINALITY u(i, n), LATERAL grid(CASE i WHEN '1 quarter' THEN '3 months' ELSE i END, 'date', '2020-02-29 05:30+00') g
ORDER BY n, 3;
SELECT * FROM grid('1 month', 'timestamp', '2020-12-31 23:59:59+00') ORDER BY 2;

-- An interval value, not a literal, takes the other overload.
CREATE TABLE iv (at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE iv_rest PARTITION OF iv FOR VALUES FROM ('2020-01-01') TO (MAXVALUE);
SELECT partition, lower_bound, upper_bound, action
FROM privacy_scan.manage_partitions('iv', 'at', interval '1 year', start => '2018-07-01 00:00+00', default_partition => true);

-- Integer keys: the clock is the largest key outside DEFAULT.
CREATE TABLE big (id bigint NOT NULL) PARTITION BY RANGE (id);
SELECT partition, lower_bound, upper_bound, action FROM privacy_scan.manage_partitions('big', 'id', 1000, premake => 2);
INSERT INTO big VALUES (1500);
SELECT partition, lower_bound, upper_bound, action FROM privacy_scan.maintain_partitions('big');
-- A far-off row in DEFAULT is no clock.
INSERT INTO big VALUES (9000000000000000000);
SELECT partition, lower_bound, upper_bound, action, rows FROM privacy_scan.maintain_partitions('big');
SELECT step, every, partitions, days_ahead, default_rows FROM privacy_scan.partition_sets WHERE relation = 'big'::regclass;

CREATE TABLE small (id integer NOT NULL) PARTITION BY RANGE (id);
SELECT partition, lower_bound, upper_bound, action
FROM privacy_scan.manage_partitions('small', 'id', step => 500000000, premake => 1, start => -1);
INSERT INTO small VALUES (999999999);
SELECT partition, lower_bound, upper_bound FROM privacy_scan.maintain_partitions('small');
INSERT INTO small VALUES (1400000000);
-- The last cell of the type's range that is whole.
SELECT partition, lower_bound, upper_bound FROM privacy_scan.maintain_partitions('small');
INSERT INTO small VALUES (1900000000), (2147483647);
SELECT partition, action, rows FROM privacy_scan.maintain_partitions('small');
SELECT partition, lower_bound, upper_bound FROM privacy_scan.ensure_partitions('small', -1500000001, -1000000000);
SELECT count(*) FROM privacy_scan.set_partitions('small', step => 1000);
SELECT step FROM privacy_scan.partition_sets WHERE relation = 'small'::regclass;

-- A range for a backfill; again: nothing.
SELECT partition, lower_bound, upper_bound, action
FROM privacy_scan.ensure_partitions('ts', '2018-01-15 00:00+00', '2018-03-01 00:00+00');
SELECT count(*) FROM privacy_scan.ensure_partitions('ts', '2018-01-15 00:00+00', '2018-03-01 00:00+00');
SELECT partition, lower_bound, upper_bound FROM privacy_scan.ensure_partitions('big', -1, 1);

-- DEFAULT that is there already, whatever its name; DEFAULT not wanted.
CREATE TABLE own (at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE leftovers PARTITION OF own DEFAULT;
CREATE TABLE own_rest PARTITION OF own FOR VALUES FROM ('2020-01-01') TO (MAXVALUE);
SELECT count(*) FROM privacy_scan.manage_partitions('own', 'at', '1 year');
SELECT partition, state FROM privacy_scan.partitions WHERE parent = 'own'::regclass ORDER BY 2;

-- Forgetting: the partitions stay, nothing is made any more.
SELECT privacy_scan.unmanage_partitions('own'), privacy_scan.unmanage_partitions('own');
SELECT count(*) FROM pg_inherits WHERE inhparent = 'own'::regclass;
SELECT * FROM privacy_scan.maintain_partitions('own');
SELECT count(*) FROM privacy_scan.manage_partitions('own', 'at', '1 month');

-- The key may be renamed.
ALTER TABLE own RENAME COLUMN at TO happened;
SELECT key_column, partitions FROM privacy_scan.partition_sets WHERE relation = 'own'::regclass;
SELECT partition, lower_bound, action FROM privacy_scan.maintain_partitions('own', '2019-10-10 00:00+00');

-- A dropped relation is forgotten.
DROP TABLE own;
SELECT count(*) FROM privacy_scan.partition_sets WHERE relation::text LIKE '%own%';
BEGIN;
SELECT count(*) >= 0 AS ran FROM privacy_scan.maintain_partitions();
SELECT count(*) FROM privacy_scan.partition_policies p WHERE NOT EXISTS (SELECT FROM pg_class WHERE oid = p.relation);
ROLLBACK;

DROP SCHEMA ps_manage CASCADE;
