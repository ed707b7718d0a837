-- Retention by an id that carries time: of a partitioned family by ids, of plain tables, for each type; what is no id of the kind never goes.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ret_ids;
SET search_path = ret_ids;
SET timezone = 'Asia/Kolkata'; -- plays no part
SET datestyle = 'ISO';
CREATE FUNCTION cuid(at timestamptz, n int) RETURNS text LANGUAGE sql AS
$$ SELECT privacy_scan.key_at('cuid', at) || lpad(n::text, 16, '0') $$;

-- A family by ids: the kind is that of the partitions.
CREATE TABLE "Scan" (id text COLLATE "C" PRIMARY KEY, status text) PARTITION BY RANGE (id);
CREATE TABLE "Evidence" (id int, "scanId" text COLLATE "C" NOT NULL REFERENCES "Scan" ON DELETE CASCADE, PRIMARY KEY ("scanId", id)) PARTITION BY RANGE ("scanId");
CREATE TABLE scan_rest PARTITION OF "Scan" FOR VALUES FROM (privacy_scan.key_at('cuid', '2025-05-01 00:00+00')) TO (MAXVALUE);
CREATE TABLE evidence_rest PARTITION OF "Evidence" FOR VALUES FROM (privacy_scan.key_at('cuid', '2025-05-01 00:00+00')) TO (MAXVALUE);
SELECT count(*) FROM privacy_scan.manage_partitions('"Scan"', 'id', '1 month', start => '2025-01-01 00:00+00', key_kind => 'cuid');
SELECT count(*) FROM privacy_scan.manage_partitions('"Evidence"', 'scanId', '1 month', start => '2025-01-01 00:00+00', key_kind => 'cuid');
INSERT INTO "Scan" SELECT cuid(timestamptz '2025-01-01 00:00+00' + n * interval '1 day', n), CASE n % 10 WHEN 0 THEN 'running' ELSE 'done' END FROM generate_series(0, 149) n;
-- Of no generator: among the ids of January, below all ids, above them.
INSERT INTO "Scan" VALUES ('cm5zzz', 'done'), ('admin', 'done'), ('', 'done'), ('zzz', 'done'), ('cm5d4ruo0!', 'done');
INSERT INTO "Evidence" SELECT n, s.id FROM "Scan" s, generate_series(1, 10) n;
SELECT privacy_scan.set_retention('"Scan"', '60 days', 'id', condition => 'status = ''done''');
SELECT root, key, keep, key_kind FROM privacy_scan.retention_policies WHERE root = '"Scan"'::regclass;
SELECT relation, action, rows, key_from, key_to, reason FROM privacy_scan.plan_retention('"Scan"', '2025-05-01 00:00+00');
SELECT relation, action, rows, key_from, key_to FROM privacy_scan.apply_retention('"Scan"', '2025-05-01 00:00+00', 100000, dry_run => false);
SELECT count(*), min(privacy_scan.key_instant('cuid', id)) AT TIME ZONE 'UTC' AS oldest_done FROM "Scan" WHERE status = 'done' AND privacy_scan.key_instant('cuid', id) IS NOT NULL;
SELECT id, status FROM "Scan" WHERE privacy_scan.key_instant('cuid', id) IS NULL ORDER BY id;
SELECT (SELECT count(*) FROM ret_ids_archive."Scan_archive") AS scans, (SELECT count(*) FROM ret_ids_archive."Evidence_archive") AS evidence,
       (SELECT count(*) FROM ret_ids_archive."Scan_archive" WHERE privacy_scan.key_instant('cuid', id) IS NULL
          OR privacy_scan.key_instant('cuid', id) >= timestamptz '2025-05-01 00:00+00' - interval '60 days') AS wrong,
       (SELECT count(*) FROM "Evidence" e WHERE NOT EXISTS (SELECT FROM "Scan" s WHERE s.id = e."scanId")) AS orphans;
SELECT relation, rows, key_from, key_to FROM privacy_scan.archives WHERE root LIKE '%ret_ids%' ORDER BY id;

-- Whole partitions of such a family, and the guard against a clock that runs ahead.
SET privacy_scan.retention_whole_rows = 100;
SET privacy_scan.retention_keep_partitions = 1;
SELECT privacy_scan.set_retention('"Scan"', '30 days', 'id') IS NOT NULL AS set;
DELETE FROM "Scan" WHERE privacy_scan.key_instant('cuid', id) IS NULL;
VACUUM "Evidence";
SELECT relation, action, rows, reason FROM privacy_scan.plan_retention('"Scan"', '2025-05-01 00:00+00');
CALL privacy_scan.run_retention('"Scan"', '2026-01-01 00:00+00', confirm => true);
-- Ids of a former kind, whose time is long past, and holds on one of either kind: none of them goes, nor what belongs to them.
INSERT INTO "Scan" SELECT privacy_scan.key_at('ulid', ('2024-01-0' || n || ' 00:00+00')::timestamptz) || '000000000000000' || n, 'done' FROM generate_series(1, 2) n;
INSERT INTO "Evidence" SELECT 1, id FROM "Scan" WHERE id < 'c';
SELECT privacy_scan.hold('"Scan"', ARRAY[(SELECT min(id) FROM "Scan"), cuid('2025-03-06 00:00+00', 64)], 'case') IS NOT NULL AS held;
CALL privacy_scan.run_retention('"Scan"', '2025-05-01 00:00+00', confirm => true);
SELECT s.id, count(e), min(e.tableoid::regclass::text) AS partition FROM "Scan" s JOIN "Evidence" e ON e."scanId" = s.id
WHERE s.id < 'c' OR privacy_scan.key_instant('cuid', s.id) < '2025-04-01 00:00+00' GROUP BY 1 ORDER BY 1;
SELECT tableoid::regclass AS partition, count(*) FROM "Evidence" GROUP BY 1 ORDER BY 1;
SELECT relation, rows, leaf FROM privacy_scan.archives WHERE root LIKE '%ret_ids%' AND leaf IS NOT NULL ORDER BY id;

-- Plain tables: the kind is said. Each type.
CREATE FUNCTION each(type text, kind text) RETURNS TABLE (gone bigint, left_over bigint, oldest timestamp, words text) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE TABLE plain (id %s PRIMARY KEY)', type);
  EXECUTE format('INSERT INTO plain SELECT (privacy_scan.key_at(%L, timestamptz ''2025-01-01 00:00+00'' + n * interval ''1 day'') || %L)::%s FROM generate_series(0, 99) n',
    kind, CASE kind WHEN 'uuidv7' THEN '-7000-8000-000000000001' WHEN 'ulid' THEN '0000000000000000' WHEN 'objectid' THEN '0000000000000000' ELSE '' END, split_part(type, ' ', 1));
  words := privacy_scan.set_retention('ret_ids.plain', '31 days', 'id', key_kind => kind);
  SELECT rows INTO gone FROM privacy_scan.apply_retention('ret_ids.plain', '2025-03-01 00:00+00', 1000, false);
  EXECUTE 'SELECT count(*), min(privacy_scan.key_instant($1, id::text)) AT TIME ZONE ''UTC'' FROM plain' INTO left_over, oldest USING kind;
  DROP TABLE plain, ret_ids_archive.plain_archive;
  RETURN NEXT;
END $$;
SELECT type, kind, e.* FROM (VALUES ('uuid', 'uuidv7'), ('text COLLATE "C"', 'ulid'), ('text COLLATE "C"', 'ksuid'), ('varchar COLLATE "C"', 'objectid'), ('bigint', 'snowflake(1288834974657,22)')) v (type, kind),
  LATERAL each(type, kind) e;

-- Refused.
CREATE TABLE odd (id text COLLATE "cs-x-icu" PRIMARY KEY, number bigint, at timestamp);
SELECT privacy_scan.set_retention('odd', '1 day', 'id');
SELECT privacy_scan.set_retention('odd', '1 day', 'number');
SELECT privacy_scan.set_retention('odd', '1 day', 'id', key_kind => 'cuid');
SELECT privacy_scan.set_retention('odd', '1 day', 'id', key_kind => 'cuid2');
SELECT privacy_scan.set_retention('odd', '1 day', 'at', key_kind => 'cuid');
SELECT privacy_scan.set_retention('odd', '1 day', 'id', key_kind => 'objectid');

DROP SCHEMA ret_ids_archive, ret_ids CASCADE;
DELETE FROM privacy_scan.retention_rules;
DELETE FROM privacy_scan.hold_ledger;
