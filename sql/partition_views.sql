-- What the views show, and to whom.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ps_views;
CREATE ROLE regress_ps_owner;
CREATE ROLE regress_ps_member IN ROLE regress_ps_owner;
CREATE ROLE regress_ps_reader;
CREATE ROLE regress_ps_stranger;
GRANT USAGE ON SCHEMA ps_views TO PUBLIC;
SET search_path = ps_views;
SET timezone = 'UTC';
SET datestyle = 'ISO';

CREATE TABLE t (id int, at timestamp(3) NOT NULL, doc text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE t_rest PARTITION OF t FOR VALUES FROM ('2020-03-01') TO ('2200-01-01');
SELECT count(*) FROM privacy_scan.manage_partitions('t', 'at', '1 month', time_zone => 'Europe/Berlin', start => '2020-01-31 23:00+00');
CREATE TABLE i (id int NOT NULL) PARTITION BY RANGE (id);
SELECT count(*) FROM privacy_scan.manage_partitions('i', 'id', 100, premake => 0);
INSERT INTO t SELECT n, '2020-02-10', repeat('x', 5000) FROM generate_series(1, 500) n;
INSERT INTO t VALUES (1, '-infinity'), (2, 'infinity');
INSERT INTO i VALUES (-1);
VACUUM ANALYZE t, i;

SELECT parent, partition, lower_bound, upper_bound, lower_at, upper_at, state, rows, bytes = pg_total_relation_size(partition) AS all_bytes, bytes > pg_relation_size(partition) AS more_than_heap
FROM privacy_scan.partitions WHERE parent::text IN ('t', 'i') ORDER BY parent::text, lower_at;
SELECT relation, key_column, every, step, premake, time_zone, default_partition, partitions,
       days_ahead > 50000 AS far_ahead, days_ahead IS NULL AS no_days, default_rows
FROM privacy_scan.partition_sets WHERE relation::text IN ('t', 'i') ORDER BY relation::text;
-- Days ahead, against a partition that ends at a known distance from now.
CREATE TABLE a (at timestamptz NOT NULL) PARTITION BY RANGE (at);
SELECT count(*) > 0 AS made FROM privacy_scan.manage_partitions('a', 'at', '1 day', premake => 9);
SELECT days_ahead BETWEEN 8.9 AND 10.1 AS right FROM privacy_scan.partition_sets WHERE relation = 'a'::regclass;
SELECT state, count(*) FROM privacy_scan.partitions WHERE parent = 'a'::regclass GROUP BY 1 ORDER BY 1;

-- Who sees what: owner, member of the owner, reader with SELECT, stranger.
ALTER TABLE t OWNER TO regress_ps_owner;
GRANT SELECT ON t TO regress_ps_reader;
CREATE FUNCTION seen() RETURNS text LANGUAGE sql AS $$
  SELECT replace(current_user, session_user, 'superuser') || ': ' || (SELECT coalesce(string_agg(DISTINCT parent::text, ' '), '-') FROM privacy_scan.partitions WHERE parent::text IN ('t', 'i', 'a')) || ' / '
      || (SELECT coalesce(string_agg(relation::text, ' ' ORDER BY relation::text), '-') FROM privacy_scan.partition_sets WHERE relation::text IN ('t', 'i', 'a')) $$;
SELECT seen();
SET ROLE regress_ps_owner; SELECT seen();
SET ROLE regress_ps_member; SELECT seen();
SET ROLE regress_ps_reader; SELECT seen();
SELECT default_rows FROM privacy_scan.partition_sets WHERE relation = 't'::regclass;
SET ROLE regress_ps_stranger; SELECT seen();
SELECT count(*) FROM privacy_scan.partition_bounds('t');
SELECT privacy_scan.count_default_rows('t');
-- A condition that tells what it is given learns nothing of others' sets.
CREATE FUNCTION pg_temp.tell(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE WARNING 'told %', $1; RETURN true; END $$;
SELECT count(*) FROM privacy_scan.partition_sets WHERE pg_temp.tell(relation::text);
SELECT count(*) FROM privacy_scan.partitions WHERE pg_temp.tell(parent::text);
RESET ROLE;
-- Under row-level security the rows of DEFAULT are counted, not shown.
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
ALTER TABLE t FORCE ROW LEVEL SECURITY;
SET ROLE regress_ps_reader;
SELECT default_rows FROM privacy_scan.partition_sets WHERE relation = 't'::regclass;
SELECT count(*) FROM t;
RESET ROLE;
-- A set that can't be maintained any more doesn't take the views with it.
CREATE TABLE above (at timestamp(3) NOT NULL, id int NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE c (id int NOT NULL, at timestamp(3) NOT NULL) PARTITION BY RANGE (at);
SELECT count(*) > 0 AS made FROM privacy_scan.manage_partitions('c', 'at', '1 month');
ALTER TABLE above ATTACH PARTITION c DEFAULT;
SELECT count(*) > 0 AS listed FROM privacy_scan.partitions WHERE parent = 'c'::regclass;
SELECT count(*) FROM privacy_scan.partition_sets WHERE relation IN ('c'::regclass, 't'::regclass);
SELECT action, sqlstate, message FROM privacy_scan.maintain_partitions() WHERE relation = 'c'::regclass;
-- In a read-only and in a serializable transaction.
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;
SELECT count(*) FROM privacy_scan.partition_sets WHERE relation::text IN ('t', 'i');
ROLLBACK;

DROP SCHEMA ps_views CASCADE;
DROP OWNED BY regress_ps_owner, regress_ps_member, regress_ps_reader, regress_ps_stranger;
DROP ROLE regress_ps_owner, regress_ps_member, regress_ps_reader, regress_ps_stranger;
