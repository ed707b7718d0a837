-- What a row of the ledger is about comes back: whole, by ids, by a range of keys; live, into the archive, into a table of one's own.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE ROLE regress_entry_owner;
CREATE ROLE regress_entry_other;
CREATE SCHEMA ent AUTHORIZATION regress_entry_owner;
GRANT ALL ON SCHEMA ent TO regress_entry_other;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA privacy_scan TO regress_entry_owner, regress_entry_other;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_entry_owner', current_database()); END $$;
SET search_path = ent;
SET privacy_scan.retention_whole_rows = 2;
SET privacy_scan.retention_keep_partitions = 1;
SET ROLE regress_entry_owner;
CREATE TABLE "Scan" (id text PRIMARY KEY, meta jsonb, at timestamp(3) NOT NULL);
CREATE TABLE "Evidence" (id int, scan text NOT NULL REFERENCES "Scan" ON DELETE CASCADE, at timestamp(3) NOT NULL, size int DEFAULT 1 CHECK (size > 0), PRIMARY KEY (id, at))
  PARTITION BY RANGE (at);
CREATE TABLE "Evidence_1" PARTITION OF "Evidence" FOR VALUES FROM ('2023-01-01') TO ('2023-02-01');
CREATE TABLE "Evidence_2" PARTITION OF "Evidence" FOR VALUES FROM ('2023-02-01') TO ('2023-03-01');
CREATE TABLE "Evidence_3" PARTITION OF "Evidence" FOR VALUES FROM ('2023-03-01') TO ('2100-01-01');
CREATE TABLE "Note" (id int PRIMARY KEY, scan text NOT NULL REFERENCES "Scan");
CREATE INDEX ON "Evidence" (scan);
INSERT INTO "Scan" SELECT 's' || i, jsonb_build_object('n', i), timestamp '2023-01-05' + i * interval '8 days' FROM generate_series(0, 9) i;
INSERT INTO "Scan" VALUES ('new', '{}', '2024-02-29');
INSERT INTO "Evidence" SELECT row_number() OVER (ORDER BY s.id, k), s.id, at FROM "Scan" s, generate_series(1, 2) k;
INSERT INTO "Note" SELECT row_number() OVER (ORDER BY id), id FROM "Scan";
CREATE VIEW live AS SELECT count(*) AS rows, md5(string_agg(t, ',' ORDER BY t)) AS all_rows FROM (
  SELECT 'Scan ' || s::text AS t FROM "Scan" s UNION ALL SELECT 'Evidence ' || e::text FROM "Evidence" e UNION ALL SELECT 'Note ' || n::text FROM "Note" n) x;
SELECT rows AS made, all_rows FROM live \gset
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'at') IS NOT NULL AS set;
CALL privacy_scan.run_retention('"Scan"', '2024-03-01 00:00+00', confirm => true);
SELECT relation, rows, leaf, key_from, key_to FROM privacy_scan.archives WHERE root LIKE '%ent%Scan%' ORDER BY id;
SELECT min(id) FILTER (WHERE leaf LIKE '%_1%') AS january, min(id) FILTER (WHERE leaf LIKE '%_2%') AS february, min(id) FILTER (WHERE relation LIKE '%Scan%' AND rows > 4) AS scans,
  max(id) FILTER (WHERE relation LIKE '%Scan%') AS last FROM privacy_scan.archives WHERE root LIKE '%ent%Scan%' \gset
SELECT pg_relation_filenode('ent_archive."Evidence_1"') AS stored \gset

-- Into a table of one's own: copies, and the archive stays.
CREATE TABLE copied (LIKE "Evidence");
CREATE TABLE scans (more int, LIKE "Scan");
SELECT relation, action, target, rows, reason FROM privacy_scan.restore_archive(:january, 'copied'::regclass);
SELECT (SELECT count(*) FROM copied) AS copies, (SELECT count(*) FROM ent_archive."Evidence_1") AS kept;
TRUNCATE copied;
SELECT action, rows FROM privacy_scan.restore_archive(:january, "into" => 'copied', roots => '{s1,s2,s9,nobody}');
SELECT scan, count(*) FROM copied GROUP BY 1 ORDER BY 1;
TRUNCATE copied;
SELECT action, rows FROM privacy_scan.restore_archive(:january, "into" => 'copied', key_from => '2023-01-13', key_to => '2023-01-21');
SELECT scan, count(*) FROM copied GROUP BY 1 ORDER BY 1;
SELECT action, rows FROM privacy_scan.restore_archive(:last, "into" => 'scans', key_to => '2023-03-01');
SELECT count(*) > 0 AND bool_and(more IS NULL AND at <= '2023-03-01') AS fits FROM scans;
SELECT count(*) FROM privacy_scan.check_archives();

-- A publication has to tell of the rows: one by one.
RESET ROLE;
SET client_min_messages = error;
BEGIN;
-- Another publication's tables may lie where the owner may not look.
CREATE SCHEMA entry_closed CREATE TABLE bill (id int PRIMARY KEY);
CREATE PUBLICATION entry_other FOR TABLE entry_closed.bill;
CREATE PUBLICATION entry_told FOR TABLE "Evidence";
CREATE TABLE "Evidence_any" PARTITION OF "Evidence" DEFAULT;
ALTER TABLE "Evidence_any" OWNER TO regress_entry_owner;
SET ROLE regress_entry_owner;
SELECT relation, rows, reason FROM privacy_scan.restore_archive(:february);
ROLLBACK;
SET client_min_messages = warning;
SET ROLE regress_entry_owner;

-- Back into the live relations, by ids, and where there is room a whole partition without copying.
SELECT relation, rows, reason FROM privacy_scan.restore_archive(:february);
SELECT to_regclass('"Evidence_2"') AS back, to_regclass('ent_archive."Evidence_2"') AS gone, (SELECT count(*) FROM "Evidence_2") AS rows,
  (SELECT string_agg(conname, ',' ORDER BY conname) FROM pg_constraint WHERE conrelid = '"Evidence_2"'::regclass AND contype <> 'n') AS constraints;
SELECT count(*) FROM privacy_scan.check_archives();
-- A partition in the way: by the row.
CREATE TABLE "Evidence_0" PARTITION OF "Evidence" FOR VALUES FROM ('2022-01-01') TO ('2023-01-20');
CREATE TABLE "Evidence_0b" PARTITION OF "Evidence" FOR VALUES FROM ('2023-01-20') TO ('2023-02-01');
SELECT relation, rows, reason FROM privacy_scan.restore_archive(:january, roots => '{s0,s5}');
SELECT relation, rows, reason FROM privacy_scan.restore_archive(:january, key_to => '2023-01-31');
SELECT relation, rows FROM privacy_scan.restore_archive('"Scan"'::regclass, 'true');
SELECT rows = :made AND all_rows = :'all_rows' AS same FROM live;
SELECT count(*) FROM privacy_scan.check_archives();
-- Nothing twice.
SELECT relation, rows FROM privacy_scan.restore_archive(:january);

-- As it was: partitions go and come as they are, with the columns that the relation has got since.
CALL privacy_scan.run_retention('"Scan"', '2024-03-01 00:00+00', confirm => true);
SELECT pg_relation_filenode('ent_archive."Evidence_2"') AS stored \gset
ALTER TABLE "Evidence" ADD COLUMN extra text;
SELECT relation, rows, reason FROM privacy_scan.restore_archive('"Scan"'::regclass, 'true');
SELECT pg_relation_filenode('"Evidence_2"') = :stored AS as_it_was, count(extra) FROM "Evidence_2";
SELECT count(*) FROM "Evidence" e WHERE NOT EXISTS (SELECT FROM "Scan" s WHERE s.id = e.scan);
ALTER TABLE "Evidence" DROP COLUMN extra;
SELECT rows = :made AND all_rows = :'all_rows' AS same FROM live;
SELECT count(*) FROM privacy_scan.check_archives();

-- Detached: from what stands alone, without copying; or into the archive, to stay.
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'at', archive => 'detach') IS NOT NULL AS set;
CALL privacy_scan.run_retention('"Scan"', '2024-03-01 00:00+00', confirm => true);
SELECT relation, leaf, rows FROM privacy_scan.detached_leaves WHERE leaf ~ 'Evidence_[02]"' ORDER BY leaf;
SELECT max(id) FILTER (WHERE leaf LIKE '%_0"') AS january, max(id) FILTER (WHERE leaf LIKE '%_2"') AS february FROM privacy_scan.archives WHERE root LIKE '%ent%Scan%' AND action = 'archive' \gset
SELECT pg_relation_filenode('ent_archive."Evidence_0"') AS stored \gset
SELECT relation, rows, reason FROM privacy_scan.restore_archive(:january);
SELECT pg_relation_filenode('"Evidence_0"') = :stored AS as_it_was;
SELECT relation, action, target, rows, reason FROM privacy_scan.restore_archive(:february, "into" => 'ent_archive."Evidence_archive"');
SELECT inhparent::regclass FROM pg_inherits WHERE inhrelid = 'ent_archive."Evidence_2"'::regclass;
SELECT leaf FROM privacy_scan.detached_leaves WHERE leaf ~ 'Evidence_[02]"';
SELECT count(*) FROM privacy_scan.check_archives();

-- What it refuses, with nothing changed.
\pset format unaligned
SELECT * FROM privacy_scan.restore_archive(:february, "into" => 'ent_archive."Evidence_archive"', roots => '{s5}');
SELECT * FROM privacy_scan.restore_archive(:february, "into" => 'ent_archive."Scan_archive"');
SELECT * FROM privacy_scan.restore_archive(-1);
SELECT * FROM privacy_scan.restore_archive(NULL::bigint);
SELECT * FROM privacy_scan.restore_archive(:february, roots => '{}');
SELECT * FROM privacy_scan.restore_archive(:february, "into" => 'live');
SELECT max(id) AS restored FROM privacy_scan.archives WHERE action = 'restore' AND root LIKE '%ent%Scan%' \gset
\set VERBOSITY sqlstate
SELECT * FROM privacy_scan.restore_archive(:february, "into" => 'ent_archive."Evidence_archive"');
SELECT * FROM privacy_scan.restore_archive(:february, key_from => 'no time');
SELECT * FROM privacy_scan.restore_archive(:restored);
\set VERBOSITY terse
INSERT INTO "Scan" VALUES ('s5', '{"n": "another"}', now());
SELECT * FROM privacy_scan.restore_archive(:february);
DELETE FROM "Scan" WHERE id = 's5';
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.size := 7; RETURN NEW; END $$;
CREATE TABLE meddled (LIKE "Evidence", extra text);
CREATE TRIGGER meddle BEFORE INSERT ON meddled FOR EACH ROW EXECUTE FUNCTION meddle();
SELECT * FROM privacy_scan.restore_archive(:february, "into" => 'meddled');
-- In the live relation, or a partition of it, they would be a second time.
\set VERBOSITY sqlstate
SELECT * FROM privacy_scan.restore_archive(:february, "into" => (SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = '"Evidence"'::regclass LIMIT 1));
SELECT privacy_scan.restore_file(:february, '"Evidence"');
\set VERBOSITY terse
RESET ROLE;
SET ROLE regress_entry_other;
CREATE TABLE ent.mine (id int);
\set VERBOSITY sqlstate
SELECT * FROM privacy_scan.restore_archive(:february, "into" => 'ent.mine');
RESET ROLE;
SELECT * FROM privacy_scan.restore_archive(:february, "into" => 'ent.mine');
\set VERBOSITY terse
SET ROLE regress_entry_owner;
SELECT count(*) FROM privacy_scan.check_archives();
SELECT privacy_scan.drop_retention('"Scan"');
RESET ROLE;
DROP SCHEMA ent, ent_archive CASCADE;
DELETE FROM privacy_scan.archive_ledger WHERE root_name LIKE '%"ent"%';
DELETE FROM privacy_scan.archive_checks WHERE target LIKE '%ent_archive%';
DELETE FROM privacy_scan.detached_tables WHERE target LIKE '%ent_archive%';
REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA privacy_scan FROM regress_entry_owner, regress_entry_other;
DO $$ BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM regress_entry_owner', current_database()); END $$;
DROP ROLE regress_entry_owner, regress_entry_other;
