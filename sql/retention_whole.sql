-- Partitions that go into the archive as a whole: which do, which don't and why, what becomes of them.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE ROLE regress_whole_reader;
CREATE ROLE regress_whole_other;
CREATE SCHEMA ret_whole;
SET search_path = ret_whole;
SET privacy_scan.retention_whole_rows = 10;
CREATE TABLE kind (name text PRIMARY KEY);
INSERT INTO kind VALUES ('tracker');
CREATE TABLE "Scan" (id text PRIMARY KEY, status text, "createdAt" timestamp(3));
CREATE SEQUENCE numbers;
CREATE TABLE "Evidence" (id text, "scanId" text REFERENCES "Scan" ON DELETE CASCADE, kind text REFERENCES kind, n bigint DEFAULT nextval('numbers'), body text,
  "createdAt" timestamp(3) NOT NULL, PRIMARY KEY (id, "createdAt")) PARTITION BY RANGE ("createdAt");
ALTER SEQUENCE numbers OWNED BY "Evidence".n;
CREATE TABLE "Issue" (id text, "scanId" text REFERENCES "Scan" ON DELETE CASCADE, "createdAt" timestamp(3) NOT NULL, PRIMARY KEY (id, "createdAt")) PARTITION BY RANGE ("createdAt");
CREATE TABLE "Note" (id text PRIMARY KEY, "scanId" text REFERENCES "Scan" ON DELETE CASCADE);
CREATE INDEX ON "Evidence" ("scanId");
CREATE INDEX ON "Issue" ("scanId");
-- Months of 2023, a scan every second day, ten rows of evidence for each in the two hours after it, two issues, a note; one scan of today.
CREATE PROCEDURE fill() LANGUAGE plpgsql SET search_path = ret_whole AS $$
DECLARE r text; m date;
BEGIN
  TRUNCATE "Scan" CASCADE;
  DELETE FROM privacy_scan.archive_ledger;
  DROP SCHEMA IF EXISTS ret_whole_archive CASCADE;
  FOREACH r IN ARRAY '{Evidence,Issue}'::text[] LOOP
    FOR m IN SELECT generate_series(date '2023-01-01', '2023-12-01', '1 month') LOOP
      EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', r || to_char(m, '_YYYY_MM'), r, m, m + interval '1 month');
    END LOOP;
    EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I DEFAULT', r || '_default', r);
  END LOOP;
  INSERT INTO "Scan" SELECT 's' || to_char(at, 'YYYYMMDD'), 'done', at FROM generate_series(timestamp '2023-01-01 23:00', '2023-12-31', '2 days') at;
  INSERT INTO "Evidence" SELECT s.id || k, s.id, 'tracker', k, repeat('x', k), s."createdAt" + k * interval '12 minutes' FROM "Scan" s, generate_series(0, 9) k;
  INSERT INTO "Issue" SELECT s.id || k, s.id, s."createdAt" FROM "Scan" s, generate_series(1, 2) k;
  INSERT INTO "Note" SELECT 'n' || id, id FROM "Scan";
  INSERT INTO "Scan" VALUES ('today', 'done', '2024-06-30');
END $$;
CREATE FUNCTION plan(at timestamptz DEFAULT '2024-07-01 00:00+00') RETURNS TABLE (relation regclass, action text, rows bigint, lock text, reason text) LANGUAGE sql AS $$
  SELECT relation, action, rows, lock, reason FROM privacy_scan.plan_retention('ret_whole."Scan"', at) $$;
CREATE FUNCTION archived() RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY EXECUTE 'SELECT ''Evidence '' || id || kind || n || body || "createdAt" FROM ret_whole_archive."Evidence_archive"
    UNION ALL SELECT ''Issue '' || id || "createdAt" FROM ret_whole_archive."Issue_archive" UNION ALL SELECT ''Note '' || id FROM ret_whole_archive."Note_archive"
    UNION ALL SELECT ''Scan '' || id || status FROM ret_whole_archive."Scan_archive"';
END $$;
CREATE VIEW live AS SELECT 'Evidence ' || id || kind || n || body || "createdAt" AS t FROM "Evidence" UNION ALL SELECT 'Issue ' || id || "createdAt" FROM "Issue"
  UNION ALL SELECT 'Note ' || id FROM "Note" UNION ALL SELECT 'Scan ' || id || status FROM "Scan";
CREATE VIEW orphans AS SELECT count(*) FROM (SELECT "scanId" FROM "Evidence" UNION ALL SELECT "scanId" FROM "Issue" UNION ALL SELECT "scanId" FROM "Note") c
  WHERE NOT EXISTS (SELECT FROM "Scan" s WHERE s.id = c."scanId");
CREATE FUNCTION whole() RETURNS TABLE (leaf text, rows bigint) LANGUAGE sql AS $$ SELECT leaf, rows FROM privacy_scan.archives WHERE leaf IS NOT NULL ORDER BY 1 $$;
CREATE FUNCTION digest_number(text) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
  SELECT sum(('x' || substr($1, 1 + 4 * i, 4))::bit(16)::int * 65536::numeric ^ (7 - i)) FROM generate_series(0, 7) i $$;

-- Whole months before the cutoff; the month of the cutoff row by row; a boundary's rows follow their roots.
CALL fill();
SELECT count(*) AS made, md5(string_agg(t, ',' ORDER BY t)) AS all_rows FROM live \gset
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'createdAt', $$status = 'done'$$) IS NOT NULL AS set;
SELECT * FROM plan();
GRANT SELECT ON "Evidence_2023_02" TO regress_whole_reader;
GRANT SELECT (id), UPDATE (body) ON "Evidence_2023_03" TO regress_whole_reader WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO regress_whole_reader;
SELECT 'ret_whole."Evidence_2023_02"'::regclass::oid AS second \gset
CALL privacy_scan.run_retention('"Scan"', '2024-07-01 00:00+00');
ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM regress_whole_reader;
SELECT * FROM whole();
SELECT relation, rows FROM privacy_scan.archives WHERE leaf IS NULL AND relation LIKE '%Evidence%' ORDER BY id;
SELECT (SELECT count(*) FROM live) + (SELECT count(*) FROM archived()) = :made AS all_there,
  (SELECT md5(string_agg(t, ',' ORDER BY t)) FROM (SELECT t FROM live UNION ALL SELECT * FROM archived()) a(t)) = :'all_rows' AS as_they_were,
  (SELECT min("createdAt") FROM "Scan") AS oldest, (SELECT * FROM orphans) AS orphans;
-- Not copied; freed of what it must not keep; readable through the archive, and by its owner alone.
SELECT 'ret_whole_archive."Evidence_2023_02"'::regclass::oid = :second AS same_table;
SELECT relname, relispartition,
  (SELECT string_agg(conname || ' ' || contype::text, ' ' ORDER BY conname) FROM pg_constraint WHERE conrelid = c.oid) AS constraints,
  (SELECT count(*) FROM pg_attrdef WHERE adrelid = c.oid) AS defaults, (SELECT count(*) FROM pg_trigger WHERE tgrelid = c.oid) AS triggers,
  (SELECT inhparent::regclass FROM pg_inherits WHERE inhrelid = c.oid) AS parent
FROM pg_class c WHERE relnamespace = 'ret_whole_archive'::regnamespace AND relkind = 'r' AND relname LIKE 'Evidence_2023_0_' ORDER BY 1;
SELECT count(*) AS rights FROM pg_class c WHERE relnamespace = 'ret_whole_archive'::regnamespace AND relkind = 'r'
  AND (has_table_privilege('regress_whole_reader', c.oid, 'SELECT,INSERT,UPDATE,DELETE,TRUNCATE') OR has_any_column_privilege('regress_whole_reader', c.oid, 'SELECT,INSERT,UPDATE'));
-- The ledger's digests add up to that of the archive.
SELECT relation, sum(digest_number(digest)) % 65536::numeric ^ 8 = CASE relation
    WHEN '"ret_whole"."Evidence"' THEN (SELECT digest_number((privacy_scan.row_digest(a.*)).digest) FROM ret_whole_archive."Evidence_archive" a)
    ELSE (SELECT digest_number((privacy_scan.row_digest(a.*)).digest) FROM ret_whole_archive."Issue_archive" a) END AS intact
FROM privacy_scan.archives WHERE relation ~ 'Evidence|Issue' GROUP BY 1 ORDER BY 1;
-- The next run has nothing to do; the roots and what the leaves referred to can go.
CALL privacy_scan.run_retention('"Scan"', '2024-07-01 00:00+00');
SELECT count(*) FROM whole();
DELETE FROM "Scan" WHERE id = 's20230701';
BEGIN; DELETE FROM "Evidence"; DELETE FROM kind; ROLLBACK;
-- The same month again: its table and indexes get other names in the archive.
CREATE TABLE "Evidence_2023_02" PARTITION OF "Evidence" FOR VALUES FROM ('2023-02-01') TO ('2023-03-01');
INSERT INTO "Scan" VALUES ('again', 'done', '2023-02-02');
INSERT INTO "Evidence" SELECT 'again' || k, 'again', NULL, k, '', '2023-02-02' FROM generate_series(1, 20) k;
SELECT '"Evidence_2023_02"'::regclass::oid AS again \gset
CALL privacy_scan.run_retention('"Scan"', '2024-07-01 00:00+00');
SELECT replace(leaf, :'again', 'OID') AS leaf, rows FROM whole() WHERE leaf LIKE '%Evidence_2023_02%';
-- A column that came, a column that went.
ALTER TABLE "Evidence" ADD COLUMN extra int DEFAULT 7;
ALTER TABLE "Issue" ADD COLUMN gone int;
CREATE TABLE "Evidence_2023_03" PARTITION OF "Evidence" FOR VALUES FROM ('2023-03-01') TO ('2023-04-01');
INSERT INTO "Scan" VALUES ('more', 'done', '2023-03-03');
INSERT INTO "Evidence" SELECT 'more' || k, 'more', NULL, k, '', '2023-03-03' FROM generate_series(1, 20) k;
CALL privacy_scan.run_retention('"Scan"', '2024-07-01 00:00+00');
SELECT extra, count(*) FROM ret_whole_archive."Evidence_archive" WHERE "createdAt" >= '2023-03-01' AND "createdAt" < '2023-04-01' GROUP BY 1 ORDER BY 1;
SELECT rows FROM privacy_scan.archives WHERE leaf IS NOT NULL ORDER BY id DESC LIMIT 1;
ALTER TABLE "Evidence" DROP COLUMN extra;

-- What keeps a partition from going whole. Each way, the run converges row by row.
CREATE FUNCTION ways() RETURNS TABLE (relation regclass, rows bigint, reason text) LANGUAGE sql AS $$
  SELECT relation, rows, reason FROM plan() WHERE relation::text ~ '_2023_0[1-3]' AND relation::text ~ 'Evidence' AND action = 'archive' $$;
ALTER TABLE "Issue" DROP COLUMN gone;
CALL fill();
-- Rows that stay, rows of nobody: not where they are few.
UPDATE "Scan" SET status = 'running' WHERE id = 's20230115';
UPDATE "Evidence" SET "scanId" = NULL WHERE id = 's202302040';
SELECT relation, action, rows, reason FROM plan() WHERE relation::text ~ '_2023_0[12]';
UPDATE "Scan" SET status = 'failed' WHERE id = 's20230117';
SELECT * FROM ways();
UPDATE "Scan" SET status = 'done' WHERE id = 's20230117';
-- A publication would tell of those that come to another partition.
SET client_min_messages = error;
CREATE PUBLICATION ret_whole_pub FOR TABLE "Evidence", kind WITH (publish = 'insert');
SELECT * FROM ways();
ALTER PUBLICATION ret_whole_pub DROP TABLE "Evidence";
SELECT * FROM ways();
DROP PUBLICATION ret_whole_pub;
SET client_min_messages = warning;
-- Owner, unlogged.
ALTER TABLE "Evidence_2023_01" OWNER TO regress_whole_other;
SELECT * FROM ways() WHERE relation = '"Evidence_2023_01"'::regclass;
ALTER TABLE "Evidence_2023_01" OWNER TO CURRENT_USER;
ALTER TABLE "Evidence_2023_01" SET UNLOGGED;
SELECT * FROM ways() WHERE relation = '"Evidence_2023_01"'::regclass;
ALTER TABLE "Evidence_2023_01" SET LOGGED;
-- Row-level security, of the partition or its parent.
ALTER TABLE "Evidence_2023_03" ENABLE ROW LEVEL SECURITY;
SELECT reason, count(*) FROM ways() GROUP BY 1 ORDER BY 1;
ALTER TABLE "Evidence_2023_03" DISABLE ROW LEVEL SECURITY;
ALTER TABLE "Evidence" ENABLE ROW LEVEL SECURITY;
SELECT reason, count(*) FROM ways() GROUP BY 1 ORDER BY 1;
ALTER TABLE "Evidence" DISABLE ROW LEVEL SECURITY;
-- A publication that tells of deletes, by the parent or the partition.
SET client_min_messages = error;
CREATE PUBLICATION ret_whole_pub FOR TABLE "Evidence_2023_03";
SELECT * FROM ways() WHERE relation = '"Evidence_2023_03"'::regclass;
DROP PUBLICATION ret_whole_pub;
CREATE PUBLICATION ret_whole_pub FOR TABLE "Evidence" WITH (publish_via_partition_root);
SELECT reason, count(*) FROM ways() GROUP BY 1 ORDER BY 1;
ALTER PUBLICATION ret_whole_pub SET (publish = 'insert');
SELECT count(*) FROM ways();
ALTER PUBLICATION ret_whole_pub SET TABLE "Evidence_2023_03";
SELECT * FROM ways() WHERE relation = '"Evidence_2023_03"'::regclass;
DROP PUBLICATION ret_whole_pub;
SET client_min_messages = warning;
-- Triggers and rules.
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER watch AFTER DELETE ON "Evidence_2023_03" FOR EACH ROW EXECUTE FUNCTION nothing();
SELECT DISTINCT reason FROM ways();
DROP TRIGGER watch ON "Evidence_2023_03";
CREATE TRIGGER watch AFTER DELETE ON "Scan" FOR EACH ROW EXECUTE FUNCTION nothing();
SELECT DISTINCT reason FROM ways();
DROP TRIGGER watch ON "Scan";
-- References that have to be cleared.
CREATE TABLE bookmark (scan text REFERENCES "Scan" ON DELETE SET NULL);
SELECT DISTINCT reason FROM ways();
DROP TABLE bookmark;
-- Generated columns.
ALTER TABLE "Evidence" ADD COLUMN twice bigint GENERATED ALWAYS AS (n * 2) STORED;
SELECT DISTINCT reason FROM ways();
ALTER TABLE "Evidence" DROP COLUMN twice;
-- An archive that would refuse, or has other columns.
CREATE SCHEMA ret_whole_archive;
CREATE TABLE ret_whole_archive."Evidence_archive" (LIKE "Evidence");
SELECT DISTINCT reason FROM ways();
ALTER TABLE ret_whole_archive."Evidence_archive" ALTER id DROP NOT NULL, ALTER "createdAt" DROP NOT NULL, ADD COLUMN mine int;
SELECT DISTINCT reason FROM ways();
ALTER TABLE ret_whole_archive."Evidence_archive" DROP COLUMN mine, ADD CHECK (n < 1000);
SELECT DISTINCT reason FROM ways();
DROP TABLE ret_whole_archive."Evidence_archive";
CREATE TABLE ret_whole_archive."Scan_archive" (LIKE "Scan");
ALTER TABLE ret_whole_archive."Scan_archive" ADD CHECK (id <> 'x');
SELECT DISTINCT reason FROM ways();
DROP TABLE ret_whole_archive."Scan_archive";
-- Its owner writes there, whatever its row-level security says.
CREATE TABLE ret_whole_archive."Scan_archive" AS TABLE "Scan" WITH NO DATA;
ALTER TABLE ret_whole_archive."Scan_archive" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT count(*) FROM ways();
DROP TABLE ret_whole_archive."Scan_archive";
-- A child's child.
CREATE TABLE below (id text, at timestamp(3), FOREIGN KEY (id, at) REFERENCES "Evidence" ON DELETE CASCADE);
SELECT count(*) FROM plan() WHERE action = 'archive whole' AND relation::text LIKE '%Evidence%';
SELECT count(*) FROM plan() WHERE action = 'archive whole' AND relation::text LIKE '%Issue%';
DROP TABLE below;
-- Too small; never.
SET privacy_scan.retention_whole_rows = 1000;
SELECT count(*) FROM plan() WHERE relation::text ~ '_2023_';
SET privacy_scan.retention_whole_rows = 0;
SELECT count(*) FROM plan() WHERE relation::text ~ '_2023_';
SET privacy_scan.retention_whole_rows = 10;
-- The newest.
SET privacy_scan.retention_keep_partitions = 11;
SELECT * FROM ways();
SELECT relation, action FROM plan() WHERE action = 'archive whole' ORDER BY 1;
RESET privacy_scan.retention_keep_partitions;
-- All at once, and what stays stays.
SELECT count(*) AS made, md5(string_agg(t, ',' ORDER BY t)) AS all_rows FROM live \gset
CALL privacy_scan.run_retention('"Scan"', '2024-07-01 00:00+00', confirm => true);
SELECT * FROM whole();
SELECT (SELECT md5(string_agg(t, ',' ORDER BY t)) FROM (SELECT t FROM live UNION ALL SELECT * FROM archived()) a(t)) = :'all_rows' AS as_they_were,
  (SELECT count(*) FROM "Scan" WHERE "createdAt" < '2023-07-01') AS kept_scans, (SELECT count(*) FROM "Evidence" WHERE "createdAt" < '2023-07-01') AS kept_evidence;
-- Few that stay are in partitions of the same name, which have what the others have.
SELECT tableoid::regclass, "scanId", count(*) FROM "Evidence" WHERE "createdAt" < '2023-03-01' GROUP BY 1, 2 UNION ALL
  SELECT tableoid::regclass, "scanId", count(*) FROM "Issue" WHERE "createdAt" < '2023-03-01' GROUP BY 1, 2 ORDER BY 1;
SELECT conrelid::regclass, conname, contype, convalidated, conparentid <> 0 AS inherited FROM pg_constraint
WHERE conrelid IN ('"Evidence_2023_01"'::regclass, '"Issue_2023_01"'::regclass) ORDER BY 1, 2;
INSERT INTO "Issue" VALUES ('late', 's20230113', '2023-01-30');
-- Alone in their partition they stay there; once their root goes, so do they.
CALL privacy_scan.run_retention('"Scan"', '2024-07-01 00:00+00');
SELECT count(*) FROM whole();
UPDATE "Scan" SET status = 'done' WHERE id = 's20230115';
CALL privacy_scan.run_retention('"Scan"', '2024-07-01 00:00+00');
SELECT id FROM "Evidence" WHERE "createdAt" < '2023-06-01';
SELECT count(*) AS damaged FROM privacy_scan.check_archives();

-- A partition from which all rows go between the choice and its turn keeps none from going in which some stay.
CALL fill();
UPDATE "Scan" SET status = 'running' WHERE id = 's20230210';
CREATE FUNCTION take() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE '%"Evidence_2023_01"') THEN
    DELETE FROM ret_whole."Issue_2023_02";
  END IF;
END $$;
CREATE EVENT TRIGGER ret_whole_take ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION take();
CALL privacy_scan.run_retention('"Scan"', '2024-03-01 00:00+00', confirm => true, force => true);
DROP EVENT TRIGGER ret_whole_take;
SELECT * FROM whole();
SELECT tableoid::regclass, "scanId", count(*) FROM "Evidence" WHERE "createdAt" < '2023-03-01' GROUP BY 1, 2;
SELECT inhparent::regclass FROM pg_inherits JOIN pg_class ON inhrelid = pg_class.oid WHERE relname = 'Issue_2023_02';
SELECT count(*) AS damaged FROM privacy_scan.check_archives();

-- Where the bounds of a set say nothing in the collation of its column, PostgreSQL would read DEFAULT through under the strong locks, to let
-- in what takes the partition's place: not if that is large.
CREATE TABLE doc (id int PRIMARY KEY, status text, at timestamp);
CREATE TABLE part (doc int REFERENCES doc ON DELETE CASCADE, label text COLLATE "C", body text) PARTITION BY RANGE (label COLLATE "POSIX");
CREATE INDEX ON part (doc);
ALTER TABLE part ALTER body SET STORAGE PLAIN;
CREATE TABLE part_a PARTITION OF part FOR VALUES FROM ('a') TO ('b');
CREATE TABLE part_b PARTITION OF part FOR VALUES FROM ('b') TO ('c');
CREATE TABLE part_default PARTITION OF part DEFAULT;
INSERT INTO doc SELECT n, CASE n WHEN 7 THEN 'running' ELSE 'done' END, CASE n WHEN 30 THEN '2024-06-30' ELSE '2023-01-01' END::timestamp FROM generate_series(1, 30) n;
INSERT INTO part SELECT id, CASE id WHEN 30 THEN 'b' ELSE 'a' END FROM doc;
INSERT INTO part SELECT NULL, 'z', repeat('x', 4200) FROM generate_series(1, 1001); -- a page each
SELECT privacy_scan.set_retention('doc', '1 year', 'at', $$status = 'done'$$) IS NOT NULL AS set;
SET privacy_scan.retention_keep_partitions = 1;
SELECT action, rows, reason FROM privacy_scan.plan_retention('doc', '2024-07-01 00:00+00') WHERE relation = 'part_a'::regclass;
TRUNCATE part_default;
SELECT action, rows, reason FROM privacy_scan.plan_retention('doc', '2024-07-01 00:00+00') WHERE relation = 'part_a'::regclass;
RESET privacy_scan.retention_keep_partitions;
SELECT privacy_scan.drop_retention('doc');
DROP TABLE part, doc;

-- Guards. The clock is far ahead of the data.
CALL fill();
UPDATE "Scan" SET "createdAt" = '2024-05-01' WHERE id = 'today';
\set VERBOSITY default
CALL privacy_scan.run_retention('"Scan"', '2024-07-01 00:00+00');
-- The first run would take most of it.
CALL privacy_scan.run_retention('"Scan"', '2024-11-01 00:00+00', force => true);
\set VERBOSITY terse
SELECT count(*) FROM "Scan";
-- At most so many rows a run; the next goes on.
SET privacy_scan.retention_run_rows = 200;
CALL privacy_scan.run_retention('"Scan"', '2024-11-01 00:00+00', force => true, confirm => true);
SELECT leaf, rows FROM whole();
CALL privacy_scan.run_retention('"Scan"', '2024-11-01 00:00+00', force => true);
SELECT count(*) FROM whole();
RESET privacy_scan.retention_run_rows;
CALL privacy_scan.run_retention('"Scan"', '2024-11-01 00:00+00', force => true);
SELECT count(*), sum(rows) FROM whole();
SELECT count(*) FROM "Scan";
CALL privacy_scan.run_retention('"Scan"', force => NULL);

-- Ids of other types, partitions by id, hostile names.
CREATE SCHEMA "ret whole""s";
CREATE TABLE "ret whole""s"."R%s" ("i'd" uuid PRIMARY KEY, at date);
CREATE TABLE "ret whole""s"."C;--" ("fk ""x" uuid NOT NULL REFERENCES "ret whole""s"."R%s" ON DELETE CASCADE, n int) PARTITION BY RANGE ("fk ""x");
CREATE TABLE "ret whole""s"."p'1" PARTITION OF "ret whole""s"."C;--" FOR VALUES FROM (MINVALUE) TO ('80000000-0000-0000-0000-000000000000');
CREATE TABLE "ret whole""s"."p$$2" PARTITION OF "ret whole""s"."C;--" FOR VALUES FROM ('80000000-0000-0000-0000-000000000000') TO ('90000000-0000-0000-0000-000000000000');
CREATE TABLE "ret whole""s"."p.3" PARTITION OF "ret whole""s"."C;--" FOR VALUES FROM ('90000000-0000-0000-0000-000000000000') TO (MAXVALUE);
INSERT INTO "ret whole""s"."R%s" SELECT (lpad(to_hex(i), 2, '0') || repeat('0', 30))::uuid, CASE WHEN i < 128 THEN date '2023-01-01' ELSE '2024-12-31' END FROM generate_series(0, 255) i;
INSERT INTO "ret whole""s"."C;--" SELECT "i'd", 1 FROM "ret whole""s"."R%s", generate_series(1, 3);
SELECT privacy_scan.set_retention('"ret whole""s"."R%s"', '1 year', 'at') IS NOT NULL AS set;
SELECT relation, action, rows FROM privacy_scan.plan_retention('"ret whole""s"."R%s"', '2025-01-01');
CALL privacy_scan.run_retention('"ret whole""s"."R%s"', '2025-01-01', confirm => true);
SELECT leaf, rows FROM privacy_scan.archives WHERE leaf LIKE '%whole"%';
SELECT tableoid::regclass, count(*) FROM "ret whole""s_archive"."C;--_archive" GROUP BY 1;

SET client_min_messages = error;
DROP SCHEMA ret_whole, ret_whole_archive, "ret whole""s", "ret whole""s_archive" CASCADE;
DELETE FROM privacy_scan.retention_rules;
DELETE FROM privacy_scan.archive_ledger;
DROP ROLE regress_whole_reader;
DROP ROLE regress_whole_other;
