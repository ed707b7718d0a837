-- Statistics of partitioned parents, and samples.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA stats;
SET search_path = stats;
CREATE TABLE scan (id int PRIMARY KEY, at timestamptz NOT NULL, body text DEFAULT repeat('x', 1000)) WITH (autovacuum_enabled = false);
CREATE TABLE evidence (id int, scan int, at timestamptz NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE evidence_1 PARTITION OF evidence FOR VALUES FROM ('2026-01-01') TO ('2026-02-01') WITH (autovacuum_enabled = false);
-- Two levels below.
CREATE TABLE evidence_2 PARTITION OF evidence FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY LIST (id);
CREATE TABLE evidence_2_rest PARTITION OF evidence_2 DEFAULT WITH (autovacuum_enabled = false);
INSERT INTO privacy_scan.partition_policies VALUES ('evidence', '1 month', NULL, 0, 'UTC', false);
CREATE FUNCTION collect(at timestamptz, relation regclass DEFAULT NULL) RETURNS TABLE (relation regclass, action text, rows bigint, changes bigint, sqlstate text)
LANGUAGE sql AS $$ SELECT relation, action, rows, changes, sqlstate FROM privacy_scan.collect_statistics(relation, at)
  WHERE relation IS DISTINCT FROM 'privacy_scan.metric_samples'::regclass $$;
CREATE FUNCTION flush() RETURNS boolean LANGUAGE sql AS $$ SELECT pg_stat_force_next_flush() IS NOT NULL $$;

-- The plan: evidence summed up by scan, then joined. Without statistics of the parent PostgreSQL takes 200 groups
-- for granted and looks each up.
CREATE FUNCTION join_method() RETURNS text LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
  EXECUTE 'EXPLAIN (FORMAT json) SELECT * FROM (SELECT scan, count(*) FROM stats.evidence GROUP BY scan) g JOIN stats.scan s ON s.id = g.scan' INTO plan;
  RETURN plan #>> '{0,Plan,Node Type}';
END $$;
INSERT INTO scan SELECT i, '2026-01-01' FROM generate_series(1, 20000) i;
INSERT INTO evidence SELECT i, i % 20000 + 1, '2026-01-05' FROM generate_series(1, 40000) i;
SELECT flush();
-- What autovacuum does.
ANALYZE scan, evidence_1, evidence_2_rest;
SELECT join_method();
SELECT * FROM collect('2026-01-06', 'evidence');
SELECT join_method();

-- Nothing changed, nothing is done; too little changed, either. The counters go on over the leaf's own ANALYZE.
SELECT * FROM collect('2026-01-07', 'evidence');
INSERT INTO evidence SELECT i, i, '2026-01-05' FROM generate_series(1, 3000) i;
SELECT flush();
ANALYZE evidence_1;
SELECT * FROM collect('2026-01-08', 'evidence');
UPDATE evidence SET scan = scan WHERE id <= 1000;
SELECT flush();
ANALYZE evidence_1;
SELECT * FROM collect('2026-01-09', 'evidence');
-- Rows in one sub-partition: its parent is analysed, and the whole where it is enough for that, too.
INSERT INTO evidence SELECT i, i, '2026-02-05' FROM generate_series(1, 1000) i;
SELECT flush();
SELECT * FROM collect('2026-01-10', 'evidence');
-- A leaf's own options count.
ALTER TABLE evidence_1 SET (autovacuum_analyze_scale_factor = 0.001);
ALTER TABLE evidence_2_rest SET (autovacuum_analyze_scale_factor = 0.001);
INSERT INTO evidence SELECT i, i, '2026-01-05' FROM generate_series(1, 200) i;
SELECT flush();
SELECT * FROM collect('2026-01-11', 'evidence');
-- Counters that were reset: nobody knows what changed.
SELECT pg_stat_reset_single_table_counters('evidence_1'::regclass) IS NOT NULL AS reset;
SELECT * FROM collect('2026-01-12', 'evidence');
-- What no counter shows: a partition that is gone, and one that was emptied.
TRUNCATE evidence_2_rest;
SELECT flush();
SELECT * FROM collect('2026-01-13', 'evidence');
ALTER TABLE evidence DETACH PARTITION evidence_1;
SELECT * FROM collect('2026-01-14', 'evidence');
-- Somebody else's ANALYZE counts: what was known to have changed before it is forgotten.
ALTER TABLE evidence ATTACH PARTITION evidence_1 FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
ANALYZE evidence_1;
SELECT action, changes FROM collect('2026-01-15', 'evidence');
INSERT INTO evidence SELECT i, i, '2026-01-05' FROM generate_series(1, 50) i;
SELECT flush();
SELECT action, changes FROM collect('2026-01-15 01:00', 'evidence');
ANALYZE evidence;
SELECT flush();
SELECT action, changes FROM collect('2026-01-15 02:00', 'evidence');

-- A family, its archive, the samples themselves: all in one run.
CREATE TABLE finding (id int PRIMARY KEY, scan int REFERENCES scan ON DELETE CASCADE) WITH (autovacuum_enabled = false);
SELECT privacy_scan.set_retention('scan', '1 year', 'at') IS NOT NULL AS set;
INSERT INTO scan VALUES (0, '2020-01-01');
CALL privacy_scan.run_retention('scan', '2026-01-16');
SELECT relation, action FROM privacy_scan.collect_statistics(at => '2026-01-16');
SET client_min_messages = notice;
CALL privacy_scan.run_statistics(at => '2026-01-17');
SET client_min_messages = warning;
SELECT relation::text, count(*) FROM privacy_scan.relation_samples GROUP BY 1 ORDER BY 1;
SELECT count(*), bool_and(bytes > 0), bool_and(connections BETWEEN 1 AND max_connections) FROM privacy_scan.database_samples;
SELECT relation, key_column, every FROM privacy_scan.partition_sets WHERE relation = 'privacy_scan.metric_samples'::regclass;
SELECT partition FROM privacy_scan.partitions WHERE parent = 'privacy_scan.metric_samples'::regclass ORDER BY 1;
-- The same instant twice is one sample.
SELECT count(*) FROM collect('2026-01-17');
SELECT count(*) FROM privacy_scan.relation_samples WHERE relation = 'scan'::regclass;
-- A relation that is dropped goes with its samples.
DROP TABLE finding;
SELECT count(*) FROM collect('2026-01-18');
SELECT count(*) FROM privacy_scan.metric_relations m WHERE NOT EXISTS (SELECT FROM pg_class WHERE oid = m.relation);

-- Growth of known samples: 10 scans and 500 pieces of evidence a day, of 1000 bytes; a removal half way.
TRUNCATE privacy_scan.metric_samples;
INSERT INTO privacy_scan.metric_samples (sampled_at, relation_id, bytes, rows, inserted)
SELECT timestamptz '2026-01-01' + n * interval '1 day', m.id, f * 1000 * (100 + n * 10 - CASE WHEN n > 10 THEN 80 ELSE 0 END),
  f * (100 + n * 10 - CASE WHEN n > 10 THEN 80 ELSE 0 END), f * n * 10
FROM privacy_scan.metric_relations m, generate_series(0, 20) n, LATERAL (SELECT CASE WHEN m.relation = 'scan'::regclass THEN 1 ELSE 50 END AS f) x
WHERE m.relation IN ('scan'::regclass, 'evidence'::regclass);
UPDATE privacy_scan.metric_relations SET root_id = (SELECT id FROM privacy_scan.metric_relations WHERE relation = 'scan'::regclass) WHERE relation = 'evidence'::regclass;
SELECT relation, root, samples, rows, round(rows_per_day::numeric, 2) AS rows_per_day, round(bytes_per_week::numeric) AS bytes_per_week,
  round(net_rows_per_day::numeric, 2) AS net_rows_per_day, round(inserted_per_day::numeric, 2) AS inserted_per_day, rows_per_root, round(inserted_per_root::numeric, 2) AS inserted_per_root
FROM privacy_scan.growth WHERE root IS NOT NULL ORDER BY relation::text;
SELECT privacy_scan.forecast_growth('scan', 1000000) AT TIME ZONE 'UTC' > '2026-04-01' AS some_day, privacy_scan.forecast_growth('scan', 1000000, net => true) > privacy_scan.forecast_growth('scan', 1000000) AS net_is_later,
  privacy_scan.forecast_growth('scan', 1000) AT TIME ZONE 'UTC' AS there_already, privacy_scan.forecast_growth('scan', 9000000000000000) AS never, privacy_scan.forecast_growth('join_method'::regproc::oid::regclass, 1) AS unknown;
-- Too few samples, or too close together.
DELETE FROM privacy_scan.metric_samples WHERE sampled_at > '2026-01-02';
SELECT relation, samples, bytes_per_day, net_rows_per_day, inserted_per_root FROM privacy_scan.growth WHERE root IS NOT NULL ORDER BY relation::text;
SELECT privacy_scan.forecast_growth('scan', 1000000);
UPDATE privacy_scan.metric_samples SET sampled_at = '2026-01-01 01:00' WHERE sampled_at > '2026-01-01';
INSERT INTO privacy_scan.metric_samples (sampled_at, relation_id, bytes) SELECT '2026-01-01 02:00', id, 10 FROM privacy_scan.metric_relations WHERE relation = 'scan'::regclass;
SELECT samples, bytes_per_day FROM privacy_scan.growth WHERE relation = 'scan'::regclass;

-- Samples have a retention of their own, counted from the newest sample: the run after a long pause removes
-- nothing yet.
SET privacy_scan.monitor_sample_days = 60;
SELECT relation, action, rows, sqlstate FROM privacy_scan.collect_statistics('scan', '2030-01-15');
SELECT min(sampled_at) AT TIME ZONE 'UTC' AS oldest FROM privacy_scan.metric_samples;
SELECT relation, action, rows, sqlstate FROM privacy_scan.collect_statistics('scan', '2030-01-16');
SELECT min(sampled_at) AT TIME ZONE 'UTC' AS oldest FROM privacy_scan.metric_samples;

-- Who may, and who sees what.
CREATE ROLE regress_ps_reader;
CREATE ROLE regress_ps_owner;
GRANT USAGE ON SCHEMA stats TO regress_ps_reader, regress_ps_owner;
GRANT SELECT ON scan TO regress_ps_reader;
SET ROLE regress_ps_reader;
SELECT DISTINCT relation FROM privacy_scan.relation_samples;
SELECT relation FROM privacy_scan.growth;
SELECT count(*) FROM privacy_scan.database_samples;
SELECT privacy_scan.forecast_growth('scan', 1) IS NOT NULL AS told, privacy_scan.forecast_growth('evidence', 1) IS NOT NULL AS told;
SELECT * FROM privacy_scan.metric_samples;
SELECT * FROM privacy_scan.collect_statistics('scan');
RESET ROLE;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA privacy_scan TO regress_ps_reader, regress_ps_owner;
SET ROLE regress_ps_reader;
SELECT * FROM privacy_scan.collect_statistics('scan');
CALL privacy_scan.run_statistics('scan');
SELECT count(*) FROM privacy_scan.collect_statistics();
RESET ROLE;
-- An owner who is no superuser.
ALTER TABLE evidence OWNER TO regress_ps_owner;
ALTER TABLE evidence_1 OWNER TO regress_ps_owner;
ALTER TABLE evidence_2 OWNER TO regress_ps_owner;
ALTER TABLE evidence_2_rest OWNER TO regress_ps_owner;
DELETE FROM evidence WHERE id < 10000;
SELECT flush();
SET ROLE regress_ps_owner;
SELECT relation, action, rows, sqlstate FROM privacy_scan.collect_statistics(at => '2030-01-17');
SELECT DISTINCT relation FROM privacy_scan.relation_samples;
RESET ROLE;

-- What is refused.
SELECT privacy_scan.collect_statistics(at => NULL);
SELECT privacy_scan.collect_statistics(at => 'infinity');
SELECT privacy_scan.collect_statistics('privacy_scan.growth');
BEGIN;
CALL privacy_scan.run_statistics();
ROLLBACK;
BEGIN READ ONLY;
SELECT privacy_scan.collect_statistics();
ROLLBACK;

-- DROP EXTENSION takes the partitions along.
DROP EXTENSION privacy_scan;
SELECT to_regnamespace('privacy_scan');
CREATE EXTENSION privacy_scan;
DROP SCHEMA stats, stats_archive CASCADE;
DROP ROLE regress_ps_reader, regress_ps_owner;
