-- Windows of whole families: partitions of the root, and of who refers to it alike, go as one; what keeps them from it, and why.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE ROLE regress_window_other;
CREATE SCHEMA ret_window;
SET search_path = ret_window;
SET privacy_scan.retention_whole_rows = 10;
SET privacy_scan.retention_keep_partitions = 1;
CREATE TABLE client (name text PRIMARY KEY);
INSERT INTO client VALUES ('acme');
CREATE TABLE "Scan" (id text COLLATE "C" PRIMARY KEY, client text REFERENCES client, status text, "createdAt" timestamp(3)) PARTITION BY RANGE (id);
CREATE TABLE "Evidence" (id int, "scanId" text COLLATE "C" NOT NULL REFERENCES "Scan" ON DELETE CASCADE, body text, PRIMARY KEY ("scanId", id)) PARTITION BY RANGE ("scanId");
CREATE TABLE "Issue" (id int, "scanId" text COLLATE "C" NOT NULL REFERENCES "Scan" ON DELETE CASCADE, PRIMARY KEY ("scanId", id)) PARTITION BY RANGE ("scanId");
CREATE FUNCTION month(n int) RETURNS text LANGUAGE sql AS $$ SELECT 'm' || lpad(n::text, 2, '0') $$;
-- Months of 2023, five scans each, four rows of evidence for each; no issue in March; the newest month is of today.
CREATE PROCEDURE fill() LANGUAGE plpgsql SET search_path = ret_window AS $$
DECLARE r text; i int;
BEGIN
  TRUNCATE "Scan" CASCADE;
  DELETE FROM privacy_scan.archive_ledger;
  DELETE FROM privacy_scan.detached_tables;
  DROP SCHEMA IF EXISTS ret_window_archive CASCADE;
  FOREACH r IN ARRAY '{Scan,Evidence,Issue}'::text[] LOOP
    FOR i IN 1 .. 6 LOOP
      EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', r || '_' || i, r, month(i), month(i + 1));
    END LOOP;
    EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I DEFAULT', r || '_default', r);
  END LOOP;
  INSERT INTO "Scan" SELECT month(m) || '-' || n, 'acme', 'done', make_date(CASE m WHEN 6 THEN 2024 ELSE 2023 END, m, n) FROM generate_series(1, 6) m, generate_series(1, 5) n;
  INSERT INTO "Evidence" SELECT k, s.id, repeat('x', k) FROM "Scan" s, generate_series(1, 4) k;
  INSERT INTO "Issue" SELECT 1, s.id FROM "Scan" s WHERE s.id NOT LIKE 'm03%';
END $$;
CREATE FUNCTION plan(at timestamptz DEFAULT '2024-07-01 00:00+00') RETURNS TABLE (relation regclass, action text, rows bigint, lock text, reason text) LANGUAGE sql AS $$
  SELECT relation, action, rows, lock, reason FROM privacy_scan.plan_retention('ret_window."Scan"', at) $$;
CREATE VIEW live AS SELECT 'Evidence ' || "scanId" || ' ' || id || body AS t FROM "Evidence" UNION ALL SELECT 'Issue ' || "scanId" || ' ' || id FROM "Issue"
  UNION ALL SELECT 'Scan ' || id || client || status || "createdAt" FROM "Scan";
CREATE FUNCTION archived() RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY EXECUTE 'SELECT ''Evidence '' || "scanId" || '' '' || id || body FROM ret_window_archive."Evidence_archive"
    UNION ALL SELECT ''Issue '' || "scanId" || '' '' || id FROM ret_window_archive."Issue_archive" UNION ALL SELECT ''Scan '' || id || client || status || "createdAt" FROM ret_window_archive."Scan_archive"';
END $$;
CREATE VIEW orphans AS SELECT count(*) FROM (SELECT "scanId" FROM "Evidence" UNION ALL SELECT "scanId" FROM "Issue") c WHERE NOT EXISTS (SELECT FROM "Scan" s WHERE s.id = c."scanId");
CREATE FUNCTION whole() RETURNS TABLE (leaf text, rows bigint) LANGUAGE sql AS $$ SELECT leaf, rows FROM privacy_scan.archives WHERE leaf IS NOT NULL ORDER BY id $$;
-- Why the first months' scans go row by row.
CREATE FUNCTION ways() RETURNS TABLE (relation regclass, action text, rows bigint, reason text) LANGUAGE sql AS $$
  SELECT relation, action, rows, reason FROM plan() WHERE relation::text ~ '_[12]"' AND action <> 'archive whole' $$;
-- All that there was is there once, live or archived, as it was; every expired root has gone.
CREATE FUNCTION check_all(made text, kept text DEFAULT 'm01-5') RETURNS TABLE (as_they_were boolean, expired_left bigint, orphans bigint, damaged bigint) LANGUAGE sql AS $$
  SELECT md5(string_agg(t, ',' ORDER BY t)) = made, (SELECT count(*) FROM "Scan" WHERE "createdAt" < '2023-07-01' AND status = 'done' AND id !~ kept), (SELECT * FROM orphans),
    (SELECT count(*) FROM privacy_scan.check_archives()) FROM (SELECT t FROM live UNION ALL SELECT * FROM archived()) a(t) $$;

CALL fill();
SELECT md5(string_agg(t, ',' ORDER BY t)) AS made FROM live \gset
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'createdAt', $$status = 'done'$$) IS NOT NULL AS set;
SELECT * FROM plan();
SELECT '"Scan_2"'::regclass::oid AS second \gset
CALL privacy_scan.run_retention('"Scan"', '2024-07-01 00:00+00', confirm => true);
SELECT * FROM whole();
SELECT * FROM check_all(:'made');
-- Not copied, nothing of it tied to the live relations; the empty partition stays.
SELECT 'ret_window_archive."Scan_2"'::regclass::oid = :second AS same_table;
SELECT c.oid::regclass AS relation, (SELECT string_agg(conname || ' ' || contype::text, ' ' ORDER BY conname) FROM pg_constraint WHERE conrelid = c.oid) AS constraints,
  (SELECT count(*) FROM pg_constraint WHERE confrelid = c.oid) AS referred_by, (SELECT count(*) FROM pg_trigger WHERE tgrelid = c.oid) AS triggers,
  (SELECT inhparent::regclass FROM pg_inherits WHERE inhrelid = c.oid) AS parent
FROM pg_class c WHERE relnamespace = 'ret_window_archive'::regnamespace AND relkind = 'r' AND relname LIKE '%\_2' ORDER BY relname;
SELECT string_agg(inhrelid::regclass::text, ' ' ORDER BY inhrelid::regclass::text) AS left_over FROM pg_inherits WHERE inhparent IN ('"Scan"'::regclass, '"Evidence"'::regclass, '"Issue"'::regclass) AND inhrelid::regclass::text ~ '_[1-5]"';
-- The foreign keys go on: for who is there, and for who is gone.
INSERT INTO "Evidence" VALUES (1, 'm02-1', '');
INSERT INTO "Evidence" VALUES (9, 'm06-1', '');
DELETE FROM "Scan" WHERE id = 'm06-1';
SELECT count(*) FROM "Evidence" WHERE "scanId" = 'm06-1';
SELECT conname, conrelid::regclass, confrelid::regclass FROM pg_constraint WHERE contype = 'f' AND confrelid::regclass::text ~ '"Scan' AND conrelid::regclass::text ~ '"(Evidence|Issue)"' ORDER BY 2, 3;
DELETE FROM client; -- still used by the newest
SELECT restored.relation, restored.rows FROM privacy_scan.restore_archive('"Scan"', ARRAY['m02-3']) AS restored;
SELECT tableoid::regclass, count(*) FROM "Evidence" WHERE "scanId" = 'm02-3' GROUP BY 1;
SELECT count(*) AS damaged FROM privacy_scan.check_archives();

-- What keeps a window from going as one. Then all goes the other way, in the end.
CALL fill();
SELECT md5(string_agg(t, ',' ORDER BY t)) AS made FROM live \gset
UPDATE "Scan" SET status = 'running' WHERE id = 'm01-5';
SELECT * FROM ways();
UPDATE "Scan" SET status = 'done' WHERE id = 'm01-5';
SELECT privacy_scan.hold('"Scan"', ARRAY['m01-5'], 'case 7') AS hold \gset
SELECT * FROM ways();
SELECT privacy_scan.release_hold(:hold);
-- An orphan of old.
SET session_replication_role = replica;
INSERT INTO "Evidence" VALUES (1, 'm01-6', '');
RESET session_replication_role;
SELECT relation, action, rows, reason FROM plan() WHERE relation::text ~ '_1"';
DELETE FROM "Evidence" WHERE "scanId" = 'm01-6';
-- A partner that is missing, whose rows are in DEFAULT; that has other bounds; that has an obstacle.
ALTER TABLE "Issue" DETACH PARTITION "Issue_2";
SELECT * FROM ways();
CREATE TABLE "Issue_wide" PARTITION OF "Issue" FOR VALUES FROM ('m02') TO ('m02-9');
SELECT * FROM ways();
DROP TABLE "Issue_wide";
ALTER TABLE "Issue" ATTACH PARTITION "Issue_2" FOR VALUES FROM ('m02') TO ('m03');
ALTER TABLE "Issue_2" SET UNLOGGED;
SELECT * FROM ways();
ALTER TABLE "Issue_2" SET LOGGED;
ALTER TABLE "Scan_2" ENABLE ROW LEVEL SECURITY;
SELECT * FROM ways();
ALTER TABLE "Scan_2" DISABLE ROW LEVEL SECURITY;
ALTER TABLE "Scan_2" OWNER TO regress_window_other;
SELECT * FROM ways();
ALTER TABLE "Scan_2" OWNER TO CURRENT_USER;
-- A foreign key to a partition by itself; another way of partitioning; another column.
CREATE TABLE note (scan text COLLATE "C" REFERENCES "Scan_2" ON DELETE CASCADE);
SELECT * FROM ways();
DROP TABLE note;
CREATE TABLE note (scan text COLLATE "C" REFERENCES "Scan" ON DELETE CASCADE, at date) PARTITION BY RANGE (at);
SELECT DISTINCT reason FROM ways() ORDER BY 1;
DROP TABLE note;
CREATE TABLE note (scan text COLLATE "C" REFERENCES "Scan" ON DELETE CASCADE) PARTITION BY LIST (scan);
SELECT DISTINCT reason FROM ways() ORDER BY 1;
DROP TABLE note;
CREATE TABLE note (scan text COLLATE "C", n int, FOREIGN KEY (scan, n) REFERENCES "Evidence" ON DELETE CASCADE);
SELECT DISTINCT reason FROM ways() ORDER BY 1;
DROP TABLE note;
CREATE TABLE note (scan text COLLATE "C", n int, FOREIGN KEY (scan, n) REFERENCES "Evidence" ON DELETE SET NULL);
SELECT DISTINCT reason FROM ways() ORDER BY 1;
DROP TABLE note;
-- A condition, or that of a hold, that may look at other rows.
CREATE FUNCTION closed(text) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT true';
BEGIN;
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'createdAt', 'closed(id)') IS NOT NULL AS set;
SELECT DISTINCT reason FROM ways() ORDER BY 1;
ROLLBACK;
BEGIN;
SELECT privacy_scan.hold('"Scan"', 'closed(id) AND status = ''no such''', 'case') IS NOT NULL AS held;
SELECT DISTINCT reason FROM ways() ORDER BY 1;
ROLLBACK;
-- Triggers; the newest; too small.
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER watch AFTER DELETE ON "Scan_2" FOR EACH ROW EXECUTE FUNCTION nothing();
SELECT DISTINCT reason FROM ways() ORDER BY 1;
DROP TRIGGER watch ON "Scan_2";
SET privacy_scan.retention_keep_partitions = 5;
SELECT * FROM ways();
SET privacy_scan.retention_keep_partitions = 1;
SET privacy_scan.retention_whole_rows = 1000;
SELECT count(*) FROM plan() WHERE relation::text ~ '_[1-5]"';
SET privacy_scan.retention_whole_rows = 10;
-- Of these months one has a scan that stays, one has no issues' partition.
UPDATE "Scan" SET status = 'running' WHERE id = 'm01-5';
ALTER TABLE "Issue" DETACH PARTITION "Issue_2";
INSERT INTO "Issue" SELECT * FROM "Issue_2";
SELECT md5(string_agg(t, ',' ORDER BY t)) AS made FROM live \gset
CALL privacy_scan.run_retention('"Scan"', '2024-07-01 00:00+00', confirm => true);
SELECT * FROM whole();
SELECT * FROM check_all(:'made');
DROP TABLE "Issue_2";

-- Few rows that stay are moved out of the way: of a scan that is held and has no issue, and of one that is running and has.
CALL fill();
INSERT INTO "Scan" SELECT 'm04-' || n, 'acme', 'done', '2023-04-02' FROM generate_series(10, 60) n;
INSERT INTO "Evidence" SELECT k, s.id, repeat('y', k * 1000) FROM "Scan" s, generate_series(1, 4) k WHERE s.id > 'm04-1' AND s.id < 'm05' AND s.id NOT IN (SELECT "scanId" FROM "Evidence");
UPDATE "Scan" SET status = 'running' WHERE id = 'm04-30';
SELECT privacy_scan.hold('"Scan"', ARRAY['m04-21'], 'case 8') AS hold \gset
INSERT INTO "Issue" SELECT 1, 'm04-' || n FROM generate_series(30, 50) n;
GRANT SELECT ON "Evidence_4" TO regress_window_other;
SELECT md5(string_agg(t, ',' ORDER BY t)) AS made FROM live \gset
SELECT relation, action, rows, reason FROM plan() WHERE relation::text LIKE '%4"';
SET client_min_messages = error;
CREATE PUBLICATION ret_window_pub FOR TABLE client, "Issue" WITH (publish = 'insert');
SET client_min_messages = warning;
SELECT DISTINCT reason FROM plan() WHERE relation::text LIKE '%4"' ORDER BY 1;
DROP PUBLICATION ret_window_pub;
CALL privacy_scan.run_retention('"Scan"', '2024-07-01 00:00+00', confirm => true);
SELECT * FROM whole() WHERE leaf LIKE '%4"';
SELECT * FROM check_all(:'made', 'm04-21');
SELECT tableoid::regclass, count(*) FROM "Scan" WHERE id < 'm05' GROUP BY 1 UNION ALL SELECT tableoid::regclass, count(*) FROM "Evidence" WHERE "scanId" < 'm05' GROUP BY 1
  UNION ALL SELECT tableoid::regclass, count(*) FROM "Issue" WHERE "scanId" < 'm05' GROUP BY 1 ORDER BY 1;
SELECT conrelid::regclass, conname, contype, convalidated, conparentid <> 0 AS inherited FROM pg_constraint WHERE conrelid IN ('"Scan_4"'::regclass, '"Evidence_4"'::regclass, '"Issue_4"'::regclass) ORDER BY 1, 2;
SELECT conrelid::regclass, confrelid::regclass FROM pg_constraint WHERE confrelid = '"Scan_4"'::regclass ORDER BY 1;
INSERT INTO "Evidence" VALUES (9, 'm04-30', 'more');
INSERT INTO "Evidence" VALUES (9, 'm04-31', 'gone');
INSERT INTO "Scan" VALUES ('m04-21', 'acme', 'done', '2023-04-02');
SELECT privacy_scan.release_hold(:hold);
CALL privacy_scan.run_retention('"Scan"', '2024-07-01 00:00+00');
SELECT id FROM "Scan" WHERE id < 'm05';
DELETE FROM "Scan" WHERE id = 'm04-30';
SELECT count(*) FROM "Evidence" WHERE "scanId" < 'm05';
SELECT count(*) AS damaged FROM privacy_scan.check_archives();

-- Rows in a plain table go with them, one by one; too many of them, and all does.
CREATE TABLE "Note" (id int, "scanId" text COLLATE "C" REFERENCES "Scan" ON DELETE CASCADE);
CREATE INDEX ON "Note" ("scanId");
CALL fill();
INSERT INTO "Note" SELECT n, id FROM "Scan", generate_series(1, 3) n WHERE id NOT LIKE 'm02%';
INSERT INTO "Note" SELECT n, 'm02-1' FROM generate_series(1, 12) n;
SELECT relation, action, rows FROM plan() WHERE relation::text ~ 'Note|_1';
SET privacy_scan.retention_batch_rows = 1;
SET client_min_messages = notice;
CALL privacy_scan.run_retention('"Scan"', '2024-03-01 00:00+00', confirm => true);
RESET privacy_scan.retention_batch_rows;
SET client_min_messages = warning;
CALL privacy_scan.run_retention('"Scan"', '2024-07-01 00:00+00', confirm => true);
SELECT * FROM whole();
SELECT (SELECT count(*) FROM "Note") AS live, (SELECT count(*) FROM ret_window_archive."Note_archive") AS archived, (SELECT count(*) FROM "Note" n WHERE NOT EXISTS (SELECT FROM "Scan" s WHERE s.id = n."scanId")) AS orphans;
SELECT count(*) AS damaged FROM privacy_scan.check_archives();
DROP TABLE "Note";

-- A plan that is written down.
DELETE FROM privacy_scan.plan_ledger;
SELECT setval('privacy_scan.plan_ledger_id_seq', 1, false) \gset
CALL fill();
SELECT privacy_scan.make_plan('"Scan"', '2024-07-01 00:00+00') AS plan \gset
SELECT relation, action, rows FROM privacy_scan.plan_actions WHERE plan = :plan ORDER BY place;
INSERT INTO "Evidence" VALUES (9, 'm02-1', 'late');
\set VERBOSITY default
CALL privacy_scan.apply_plan(:plan, confirm => true);
\set VERBOSITY terse
DELETE FROM "Evidence" WHERE id = 9;
SELECT privacy_scan.make_plan('"Scan"', '2024-07-01 00:00+00') AS plan \gset
CALL privacy_scan.apply_plan(:plan, confirm => true);
SELECT count(*), sum(rows) FROM whole();

-- Left standing alone, and dropped later; discarded.
CALL fill();
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'createdAt', archive => 'detach', grace => '1 day') IS NOT NULL AS set;
SELECT action, count(*), sum(rows) FROM plan() GROUP BY 1 ORDER BY 1;
CALL privacy_scan.run_retention('"Scan"', '2024-07-01 00:00+00', confirm => true);
SELECT count(*), sum(rows) FROM privacy_scan.detached_leaves;
SELECT relation, rows FROM privacy_scan.restore_archive('"Scan"', $$id = 'm01-1'$$);
UPDATE privacy_scan.detached_tables SET detached_at = '2023-01-01';
CALL privacy_scan.run_retention('"Scan"', '2024-07-01 00:00+00');
SELECT count(*) FROM privacy_scan.detached_leaves;
CALL fill();
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'createdAt', archive => 'discard', confirm => true) IS NOT NULL AS set;
CALL privacy_scan.run_retention('"Scan"', '2024-07-01 00:00+00', confirm => true);
SELECT relation, sum(rows) FROM privacy_scan.archives GROUP BY 1 ORDER BY 1;
SELECT (SELECT count(*) FROM live) AS left_over, (SELECT * FROM orphans) AS orphans, to_regclass('"Scan_1"'), to_regclass('"Issue_3"');

-- Deeper, by a key of two columns; by time. A root by itself.
CREATE TABLE run (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE page (n int, run int, at date, PRIMARY KEY (n, at), FOREIGN KEY (run, at) REFERENCES run ON DELETE CASCADE) PARTITION BY RANGE (at);
CREATE TABLE hit (page int, at date NOT NULL, FOREIGN KEY (page, at) REFERENCES page ON DELETE CASCADE) PARTITION BY RANGE (at);
CREATE TABLE alone (at date) PARTITION BY RANGE (at);
SELECT format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', r || extract(year FROM y), r, to_char(y, 'YYYY-01-01'), to_char(y + interval '1 year', 'YYYY-01-01'))
FROM unnest('{run,page,hit,alone}'::text[]) r, generate_series(date '2021-01-01', '2024-01-01', '1 year') y \gexec
INSERT INTO run SELECT n, date '2021-01-01' + 50 * n FROM generate_series(1, 28) n;
INSERT INTO page SELECT 10 * id + k, id, at FROM run, generate_series(1, 3) k;
INSERT INTO hit SELECT n, at FROM page, generate_series(1, 2);
INSERT INTO alone SELECT at FROM page;
SELECT privacy_scan.set_retention('run', '1 year', 'at') IS NOT NULL AND privacy_scan.set_retention('alone', '1 year', 'at') IS NOT NULL AS set;
SELECT relation, action, rows, reason FROM privacy_scan.plan_retention('run', '2024-03-01 00:00+00');
CALL privacy_scan.run_retention('run', '2024-03-01 00:00+00', confirm => true, force => true);
CALL privacy_scan.run_retention('alone', '2024-03-01 00:00+00', confirm => true, force => true);
SELECT leaf, rows FROM privacy_scan.archives WHERE leaf IS NOT NULL AND root !~ 'Scan' ORDER BY id;
SELECT (SELECT count(*) FROM run) || '+' || (SELECT count(*) FROM ret_window_archive.run_archive) AS run, (SELECT count(*) FROM page) || '+' || (SELECT count(*) FROM ret_window_archive.page_archive) AS page,
  (SELECT count(*) FROM hit) || '+' || (SELECT count(*) FROM ret_window_archive.hit_archive) AS hit, (SELECT count(*) FROM alone) || '+' || (SELECT count(*) FROM ret_window_archive.alone_archive) AS alone,
  (SELECT count(*) FROM hit h WHERE NOT EXISTS (SELECT FROM page p WHERE (p.n, p.at) = (h.page, h.at))) AS orphans;
SELECT count(*) AS damaged FROM privacy_scan.check_archives();

SET client_min_messages = error;
DROP SCHEMA ret_window, ret_window_archive CASCADE;
DELETE FROM privacy_scan.retention_rules;
DELETE FROM privacy_scan.archive_ledger;
DELETE FROM privacy_scan.hold_ledger;
DELETE FROM privacy_scan.detached_tables;
DELETE FROM privacy_scan.plan_ledger;
DROP ROLE regress_window_other;
