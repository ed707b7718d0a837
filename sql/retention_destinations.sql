-- Where what has expired goes: detached until a grace period ends, or nowhere. (Tables and files have tests of their own.)
\set VERBOSITY terse
SET client_min_messages = warning;
SET TimeZone = 'Asia/Tokyo';
DROP EXTENSION IF EXISTS privacy_scan;
CREATE EXTENSION privacy_scan;
CREATE SCHEMA dest;
SET search_path = dest;
SET privacy_scan.retention_whole_rows = 10;
SET privacy_scan.retention_keep_partitions = 1;
CREATE TABLE "Scan" (id text PRIMARY KEY, status text, at timestamp NOT NULL);
CREATE TABLE "Evidence" (id int, scan text REFERENCES "Scan" ON DELETE CASCADE, at timestamp NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE "Note" (scan text REFERENCES "Scan" ON DELETE CASCADE, body text);
CREATE INDEX ON "Evidence" (scan);
CREATE PROCEDURE fill() LANGUAGE plpgsql SET search_path = dest AS $$
BEGIN
  TRUNCATE "Scan" CASCADE;
  DROP SCHEMA IF EXISTS dest_archive CASCADE;
  DELETE FROM privacy_scan.archive_ledger; DELETE FROM privacy_scan.archive_windows; DELETE FROM privacy_scan.detached_tables; DELETE FROM privacy_scan.archive_checks;
  PERFORM setval('privacy_scan.archive_windows_id_seq', 1, false);
  PERFORM setval('privacy_scan.archive_ledger_id_seq', 1, false);
  CREATE TABLE IF NOT EXISTS "Evidence_1" PARTITION OF "Evidence" FOR VALUES FROM ('2020-01-01') TO ('2020-02-01');
  CREATE TABLE IF NOT EXISTS "Evidence_2" PARTITION OF "Evidence" FOR VALUES FROM ('2020-02-01') TO ('2020-03-01');
  CREATE TABLE IF NOT EXISTS "Evidence_3" PARTITION OF "Evidence" FOR VALUES FROM ('2020-03-01') TO ('2099-01-01');
  INSERT INTO "Scan" SELECT 's' || n, 'done', timestamp '2020-01-01' + n * interval '2 days' FROM generate_series(0, 29) n;
  UPDATE "Scan" SET status = 'running' WHERE id = 's20';
  INSERT INTO "Scan" SELECT 'new' || n, 'done', timestamp '2021-05-20' FROM generate_series(1, 100) n;
  INSERT INTO "Evidence" SELECT 100 * k + n, 's' || n, timestamp '2020-01-01' + n * interval '2 days' FROM generate_series(0, 29) n, generate_series(1, 10) k;
  INSERT INTO "Evidence" SELECT n, 'new' || n, timestamp '2021-05-20' FROM generate_series(1, 100) n;
  INSERT INTO "Note" SELECT id, 'note' FROM "Scan" WHERE id ~ 's[0-9]';
END $$;
CREATE FUNCTION plan() RETURNS TABLE (relation regclass, action text, target text, rows bigint, lock text, reason text) LANGUAGE sql AS $$
  SELECT relation, action, target, rows, lock, reason FROM privacy_scan.plan_retention('dest."Scan"', '2021-06-01 00:00+00') $$;
CREATE VIEW orphans AS SELECT count(*) AS orphans FROM (SELECT scan FROM "Evidence" UNION ALL SELECT scan FROM "Note") c WHERE NOT EXISTS (SELECT FROM "Scan" s WHERE s.id = c.scan);
CREATE FUNCTION ledger() RETURNS TABLE (id bigint, relation text, action text, archive text, leaf text, rows bigint, place text) LANGUAGE sql AS $$
  SELECT id, relation, action, archive, dest.bare(leaf), rows, place FROM privacy_scan.archives ORDER BY id $$;

-- Without the numbers of windows and OIDs.
CREATE FUNCTION bare(text) RETURNS text LANGUAGE sql AS $$ SELECT regexp_replace(regexp_replace($1, '_archive_\d+', '_archive_N'), '_\d{4,}', '_OID') $$;
-- So many days have passed since it was detached.
CREATE PROCEDURE pass(days int) LANGUAGE sql AS $$ UPDATE privacy_scan.detached_tables SET detached_at = '2021-06-01 00:00+00'::timestamptz - days * interval '1 day' $$;

-- What is refused.
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'at', archive => 'discard');
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'at', archive => 'tape');
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'at', grace => '1 day');
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'at', archive => 'detach', grace => '-1 day');
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'at', archive => 'detach', remove_after => 'confirmed');
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'at', archive => 'discard', confirm => NULL);
SELECT * FROM privacy_scan.retention_policies;

-- Nowhere: whole partitions are dropped, the other rows deleted, the ledger counts them.
CALL fill();
VACUUM "Evidence";
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'at', $$status = 'done'$$, archive => 'discard', confirm => true);
SELECT privacy_scan.hold('"Scan"', ARRAY['s3'], 'case 7') AS hold \gset
SELECT * FROM plan();
SELECT privacy_scan.release_hold(:hold);
SELECT privacy_scan.hold('"Scan"', ARRAY['s25'], 'case 8') AS hold \gset
SELECT * FROM plan();
CALL privacy_scan.run_retention('"Scan"', '2021-06-01 00:00+00', confirm => true);
SELECT * FROM ledger();
SELECT string_agg(id, ',' ORDER BY id) FROM "Scan" WHERE id ~ '^s';
SELECT scan, count(*) FROM "Evidence" WHERE scan ~ '^s' GROUP BY 1 ORDER BY 1;
SELECT * FROM orphans;
SELECT to_regclass('"Evidence_1"') AS gone, (SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('dest_archive')) AS archives;
-- Nothing to verify, to bring back, or to drill.
SELECT * FROM privacy_scan.check_archives();
SELECT privacy_scan.verify_archive(1);
SELECT privacy_scan.drill_archive(1);
SELECT privacy_scan.export_archive(1);
CALL privacy_scan.run_job('verification privacy_scan.archive_ledger');
CALL privacy_scan.run_job('drill privacy_scan.archive_ledger');
SELECT status FROM privacy_scan.health() WHERE component = 'retention';
SELECT count(*) > 0 AS sampled FROM privacy_scan.collect_statistics();
CALL privacy_scan.run_retention('"Scan"', '2021-06-01 00:00+00');
SELECT count(*) FROM ledger();
SELECT privacy_scan.release_hold(:hold);
SELECT action, sum(rows) FROM privacy_scan.apply_retention('"Scan"', '2021-06-01 00:00+00', dry_run => false) GROUP BY 1;
SELECT * FROM orphans;
-- A trigger that keeps rows back is seen.
CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER no BEFORE DELETE ON "Note" FOR EACH ROW EXECUTE FUNCTION no();
UPDATE "Scan" SET status = 'done';
SELECT privacy_scan.apply_retention('"Scan"', '2021-06-01 00:00+00', dry_run => false);
DROP TRIGGER no ON "Note";

-- Detached: a partition stands alone, what goes in batches in a table of its own, until the grace period ends.
CALL fill();
VACUUM "Evidence";
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'at', $$status = 'done'$$, archive => 'detach', grace => '40 days');
SELECT archive, grace FROM privacy_scan.retention_policies;
SELECT * FROM plan();
CALL privacy_scan.run_retention('"Scan"', '2021-06-01 00:00+00', confirm => true);
SELECT * FROM ledger();
SELECT relation, bare(leaf), rows, drop_after - detached_at = '40 days' AS until FROM privacy_scan.detached_leaves ORDER BY id;
SELECT bare(relname), relispartition, (SELECT inhparent::regclass FROM pg_inherits WHERE inhrelid = c.oid) AS parent,
  (SELECT count(*) FROM pg_constraint WHERE conrelid = c.oid AND contype = 'f') AS keys
FROM pg_class c WHERE relkind = 'r' AND relnamespace = 'dest_archive'::regnamespace ORDER BY 1;
SELECT * FROM orphans;
SELECT * FROM privacy_scan.check_archives();
SELECT count(DISTINCT state) AS states, min(state) FROM privacy_scan.archives;
-- The way back, from what stands alone too; the archive has got a column since.
ALTER TABLE "Evidence" ADD COLUMN extra int;
ALTER TABLE "Scan" ADD COLUMN extra int;
CREATE TABLE "Evidence_1" PARTITION OF "Evidence" FOR VALUES FROM ('2020-01-01') TO ('2020-02-01');
SELECT relation, action, rows FROM privacy_scan.restore_archive('"Scan"', ARRAY['s3']);
SELECT count(*) FROM "Evidence" WHERE scan = 's3';
SELECT relname, (SELECT count(*) FROM pg_inherits WHERE inhrelid = c.oid) AS parents FROM pg_class c WHERE relname = 'Evidence_1' AND relnamespace = 'dest_archive'::regnamespace;
SELECT * FROM privacy_scan.check_archives();
SELECT bare(leaf), rows FROM privacy_scan.detached_leaves ORDER BY id;

-- Erasure reaches what stands alone, too.
SELECT place, relation, rows, action FROM privacy_scan.erase('"Scan"', ARRAY['s4'], 'asked for', false) ORDER BY relation::text, place;
SELECT (SELECT count(*) FROM dest_archive."Evidence_1" WHERE scan = 's4') AS left, (SELECT count(*) FROM pg_inherits WHERE inhrelid = 'dest_archive."Evidence_1"'::regclass) AS parents,
  (SELECT count(*) FROM privacy_scan.check_archives()) AS damaged;

-- Not yet; then held: what belongs to a root that was archived stays, too.
CALL privacy_scan.run_retention('"Scan"', '2021-06-01 00:00+00', confirm => true);
SELECT bare(leaf), rows FROM privacy_scan.detached_leaves ORDER BY id;
CALL pass(39);
CALL privacy_scan.run_retention('"Scan"', '2021-06-01 00:00+00');
SELECT count(*) AS standing FROM privacy_scan.detached_leaves;
CALL pass(40);
SELECT privacy_scan.hold('"Scan"', $$id = 's5'$$, 'case 9') AS hold \gset
SELECT bare(relation::text), action, rows, reason FROM privacy_scan.plan_retention('"Scan"', '2021-06-01 00:00+00') WHERE relation::text ~ 'archive';
CALL privacy_scan.run_retention('"Scan"', '2021-06-01 00:00+00');
SELECT count(*) AS standing FROM privacy_scan.detached_leaves;
SELECT privacy_scan.release_hold(:hold);
-- One that is not as it was isn't dropped, nor then the root's; the others are; the run says so.
SELECT privacy_scan.hold('"Scan"', $$id = 'none'$$, 'of no archived root') AS hold \gset
INSERT INTO dest_archive."Evidence_1" (id, scan, at) VALUES (1, 'mine', '2020-01-01');
SELECT bare(relation::text), action, rows, lock, reason FROM privacy_scan.plan_retention('"Scan"', '2021-06-01 00:00+00') WHERE relation::text ~ 'archive';
CALL privacy_scan.run_retention('"Scan"', '2021-06-01 00:00+00');
SELECT bare(leaf), rows FROM privacy_scan.detached_leaves ORDER BY id;
DELETE FROM dest_archive."Evidence_1" WHERE scan = 'mine';
CALL privacy_scan.run_retention('"Scan"', '2021-06-01 00:00+00');
SELECT bare(leaf), rows FROM privacy_scan.detached_leaves ORDER BY id;
SELECT relation, leaf, sum(CASE action WHEN 'archive' THEN rows ELSE -rows END) AS rows, max(place) AS place FROM ledger() GROUP BY 1, 2 ORDER BY 1, 2;
SELECT * FROM privacy_scan.check_archives();
SELECT bare(relname) FROM pg_class c WHERE relkind = 'r' AND relnamespace = 'dest_archive'::regnamespace ORDER BY 1;
-- Another policy leaves alone what was detached, and what somebody dropped is MISSING.
CALL fill();
VACUUM "Evidence";
CALL privacy_scan.run_retention('"Scan"', '2021-06-01 00:00+00', confirm => true);
CALL pass(50);
DROP TABLE dest_archive."Evidence_1";
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'at', $$status = 'done'$$) IS NOT NULL AS set;
SELECT count(*) AS standing, count(drop_after) AS going FROM privacy_scan.detached_leaves;
CALL privacy_scan.run_retention('"Scan"', '2021-06-01 00:00+00');
SELECT count(*) AS standing FROM privacy_scan.detached_leaves;
SELECT privacy_scan.set_retention('"Scan"', '100 years', 'at', archive => 'detach') LIKE '%dropped @ 30 days later%' AS default_grace;
CALL privacy_scan.run_retention('"Scan"', '2021-06-01 00:00+00');
SELECT count(*) AS standing FROM privacy_scan.detached_leaves;
SELECT leaf, state FROM privacy_scan.check_archives();
DROP SCHEMA dest, dest_archive CASCADE;
DROP EXTENSION privacy_scan;
CREATE EXTENSION privacy_scan;
