-- A store as an ORM makes it: plan, run, ledger and digests; live and archived rows together are what was there.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ps_run;
SET search_path = ps_run;
CREATE TABLE "Scan" (id text PRIMARY KEY, status text NOT NULL, "createdAt" timestamp(3) NOT NULL, meta jsonb);
CREATE TABLE "Evidence" (id text, "scanId" text NOT NULL REFERENCES "Scan" ON DELETE CASCADE, details jsonb,
  "createdAt" timestamp(3) NOT NULL, PRIMARY KEY (id, "createdAt")) PARTITION BY RANGE ("createdAt");
CREATE TABLE "Evidence_2024" PARTITION OF "Evidence" FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
-- A partition whose columns stand in another order.
CREATE TABLE "Evidence_2025" ("createdAt" timestamp(3) NOT NULL, gone int, details jsonb, "scanId" text NOT NULL, id text NOT NULL);
ALTER TABLE "Evidence_2025" DROP COLUMN gone;
ALTER TABLE "Evidence" ATTACH PARTITION "Evidence_2025" FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE INDEX ON "Evidence" ("scanId");
CREATE TABLE "Issue" (id text PRIMARY KEY, "scanId" text NOT NULL REFERENCES "Scan" ON DELETE CASCADE, "references" jsonb);
-- 24 months, a scan every 12 hours; every third is not finished. Documents of all ways of storage.
INSERT INTO "Scan" SELECT 's' || lpad(n::text, 4, '0'), (ARRAY['done', 'failed', 'running'])[1 + n % 3],
  timestamp '2024-01-01' + n * interval '12 hours', jsonb_build_object('n', n) FROM generate_series(0, 1459) n;
INSERT INTO "Evidence" SELECT s.id || k, s.id, CASE WHEN k = 2 THEN NULL WHEN k = 1 THEN
    jsonb_build_object('text', repeat(md5(s.id), 200), 'noise', (SELECT string_agg(md5(s.id || i), '') FROM generate_series(1, 100) i))
  ELSE jsonb_build_object('k', k) END, s."createdAt" + k * interval '1 minute' FROM "Scan" s, generate_series(0, 2) k;
INSERT INTO "Issue" SELECT s.id || k, s.id, '["a"]' FROM "Scan" s, generate_series(0, 1) k;
CREATE TABLE before AS SELECT 'Scan' AS t, to_jsonb(x) AS r FROM "Scan" x UNION ALL SELECT 'Evidence', to_jsonb(x) FROM "Evidence" x
  UNION ALL SELECT 'Issue', to_jsonb(x) FROM "Issue" x;
ANALYZE;

SELECT privacy_scan.set_retention('"Scan"', '365 days', 'createdAt', $$status IN ('done', 'failed')$$);
SELECT root, key, keep, condition, archive, archive_schema FROM privacy_scan.retention_policies WHERE root = '"Scan"'::regclass;
-- The plan, and a dry run, which is the default: the same, and nothing is made.
CREATE TEMP TABLE plan AS SELECT * FROM privacy_scan.plan_retention('"Scan"', '2025-12-31 00:00+00');
SELECT relation, action, target, rows, bytes > 0 AS bytes, lock, key_from, key_to, reason FROM plan;
SELECT count(*) FROM (SELECT * FROM privacy_scan.apply_retention('"Scan"', '2025-12-31 00:00+00') EXCEPT SELECT * FROM plan) x;
SELECT count(*) FROM pg_namespace WHERE nspname = 'ps_run_archive';
-- One batch: whole families, the oldest, at most so many rows; the archives have no rules and no readers.
SELECT relation, action, target, rows, key_from, key_to
FROM privacy_scan.apply_retention('"Scan"', '2025-12-31 00:00+00', max_rows => 100, dry_run => false);
SELECT c.relname, c.relkind, c.relacl, bool_or(attnotnull) AS rules, count(*) AS columns FROM pg_class c JOIN pg_attribute a
  ON a.attrelid = c.oid AND attnum > 0 WHERE relnamespace = 'ps_run_archive'::regnamespace GROUP BY 1, 2, 3 ORDER BY relname COLLATE "C";
-- The rest, batch by batch, and then nothing.
SET client_min_messages = error;
CALL privacy_scan.run_retention('"Scan"', '2025-12-31 00:00+00', 200);
SET client_min_messages = warning;
SELECT relation, rows FROM privacy_scan.plan_retention('"Scan"', '2025-12-31 00:00+00');
SELECT relation, rows, key_from, key_to FROM privacy_scan.apply_retention('"Scan"', '2025-12-31 00:00+00', dry_run => false);
-- Every row is where it belongs, once; each in one family; orphans: none.
CREATE VIEW after AS SELECT 'Scan' AS t, to_jsonb(x) AS r, false AS archived FROM "Scan" x UNION ALL SELECT 'Evidence', to_jsonb(x), false FROM "Evidence" x
  UNION ALL SELECT 'Issue', to_jsonb(x), false FROM "Issue" x UNION ALL SELECT 'Scan', to_jsonb(x), true FROM ps_run_archive."Scan_archive" x
  UNION ALL SELECT 'Evidence', to_jsonb(x), true FROM ps_run_archive."Evidence_archive" x
  UNION ALL SELECT 'Issue', to_jsonb(x), true FROM ps_run_archive."Issue_archive" x;
SELECT t, archived, count(*) FROM after GROUP BY 1, 2 ORDER BY 1, 2;
(SELECT t, r FROM before EXCEPT ALL SELECT t, r FROM after) UNION ALL (SELECT t, r FROM after EXCEPT ALL SELECT t, r FROM before);
SELECT count(*) FILTER (WHERE archived AND NOT expired) AS kept_too_short, count(*) FILTER (WHERE expired AND NOT archived) AS kept_too_long
FROM after JOIN (SELECT r->>'id' AS scan, r->>'status' <> 'running' AND (r->>'createdAt')::timestamp < '2024-12-31' AS expired
                 FROM before WHERE t = 'Scan') x ON scan = coalesce(r->>'scanId', r->>'id');
SELECT count(*) AS orphans FROM "Evidence" e WHERE NOT EXISTS (SELECT FROM "Scan" s WHERE s.id = e."scanId");
-- The ledger's digests add up to those of the archives; live relations have them by the same function.
SELECT relation, archive, sum(rows) AS rows, min(key_from) AS key_from, max(key_to) AS key_to, count(*) > 1 AS batches, bool_and(length(digest) = 32) AS digests
FROM privacy_scan.archives WHERE root LIKE 'ps_run.%' OR root LIKE '"ps_run".%' GROUP BY 1, 2 ORDER BY relation COLLATE "C";
SELECT d.rows = l.rows AS rows, d.bytes = l.bytes AS bytes, d.digest = l.digest AS digest
FROM (SELECT (privacy_scan.row_digest(x.*)).* FROM ps_run_archive."Evidence_archive" x) d,
     (SELECT sum(rows) AS rows, sum(bytes) AS bytes,
        -- 32 hexadecimal digits as a number, added modulo 2^128, and back.
        (SELECT string_agg(to_hex((trunc(total / 16::numeric ^ (31 - i)) % 16)::int), '' ORDER BY i) FROM generate_series(0, 31) i) AS digest
      FROM (SELECT rows, bytes, sum(value) OVER () % (2::numeric ^ 128) AS total
            FROM privacy_scan.archives a, LATERAL (SELECT sum(('x' || substr(digest, i + 1, 1))::bit(4)::int * 16::numeric ^ (31 - i)) AS value
                                                   FROM generate_series(0, 31) i) v
            WHERE relation = '"ps_run"."Evidence"') x GROUP BY total) l;
SELECT (privacy_scan.row_digest(x.*)).digest = (SELECT (privacy_scan.row_digest(y.*)).digest FROM (SELECT "createdAt", details, id, "scanId" FROM ps_run_archive."Evidence_archive" ORDER BY id DESC) y) AS any_order
FROM ps_run_archive."Evidence_archive" x;
-- Statistics of what changed, partitioned parent included.
SELECT relname, reltuples FROM pg_class WHERE oid IN ('"Scan"'::regclass, '"Evidence"'::regclass, 'ps_run_archive."Scan_archive"'::regclass) ORDER BY relname COLLATE "C";

-- A policy set again is replaced; dropped, it is gone; archives and ledger stay.
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'createdAt', archive_schema => 'ps_run_other');
SELECT root, key, keep, condition, archive_schema FROM privacy_scan.retention_policies WHERE root = '"Scan"'::regclass;
SELECT privacy_scan.drop_retention('"Scan"'), privacy_scan.drop_retention('"Scan"');
SELECT count(*) FROM privacy_scan.archives WHERE relation = '"ps_run"."Scan"' AND rows > 0;
DROP SCHEMA ps_run, ps_run_archive CASCADE;
-- The ledger outlives its relations.
SELECT sum(rows) FROM privacy_scan.archives WHERE relation = '"ps_run"."Scan"';
DELETE FROM privacy_scan.archive_ledger WHERE root_name LIKE '"ps_run".%';
