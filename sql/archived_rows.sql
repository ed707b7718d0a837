-- Live rows and table archives as one: columns, rights, one snapshot, plans.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE ROLE regress_rows_owner;
CREATE ROLE regress_rows_reader;
CREATE SCHEMA rows_live AUTHORIZATION regress_rows_owner;
GRANT USAGE ON SCHEMA rows_live TO regress_rows_reader;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA privacy_scan TO regress_rows_owner, regress_rows_reader;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_rows_owner', current_database()); END $$;
SET search_path = rows_live;
SET privacy_scan.retention_whole_rows = 2;
SET privacy_scan.retention_keep_partitions = 1;
SET ROLE regress_rows_owner;
CREATE TABLE "Scan" (gone int, id text COLLATE "C" PRIMARY KEY, status text, at timestamp(3) NOT NULL);
ALTER TABLE "Scan" DROP COLUMN gone;
CREATE TABLE "Evidence" (id int, "scanId" text COLLATE "C" NOT NULL REFERENCES "Scan" ON DELETE CASCADE, at timestamp(3) NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE "Evidence_1" PARTITION OF "Evidence" FOR VALUES FROM ('2023-01-01') TO ('2023-02-01');
CREATE TABLE "Evidence_2" PARTITION OF "Evidence" FOR VALUES FROM ('2023-02-01') TO ('2099-01-01');
CREATE INDEX ON "Evidence" ("scanId");
INSERT INTO "Scan" SELECT 's' || i, 'done', timestamp '2023-01-01' + i * interval '10 days' FROM generate_series(1, 4) i;
INSERT INTO "Scan" VALUES ('new', 'done', '2024-02-01');
INSERT INTO "Evidence" SELECT row_number() OVER (ORDER BY id, n), id, at FROM "Scan", generate_series(1, 2) n;
-- Before there is an archive.
SELECT count(*) FROM privacy_scan.archived_rows(NULL::"Evidence");
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'at') IS NOT NULL AS set;
CALL privacy_scan.run_retention('"Scan"', '2024-03-01 00:00+00', confirm => true);
SELECT count(*) FROM "Scan";
SELECT leaf IS NOT NULL AS whole, sum(rows) FROM privacy_scan.archives WHERE relation LIKE '%rows_live%Evidence%' GROUP BY 1 ORDER BY 1;
SELECT * FROM privacy_scan.archived_rows(NULL::"Scan") ORDER BY id;
SELECT id, "scanId" FROM privacy_scan.archived_rows(NULL::"Evidence", $$"scanId" >= 's2'$$) ORDER BY id;
-- A column that the archive hasn't got yet, others in another order, one of another type.
ALTER TABLE "Scan" ADD COLUMN note text COLLATE "C" DEFAULT 'x';
ALTER TABLE rows_live_archive."Scan_archive" ADD COLUMN mine int;
ALTER TABLE rows_live_archive."Scan_archive" ALTER COLUMN status TYPE varchar(10);
SELECT id, status, note FROM privacy_scan.archived_rows(NULL::"Scan", $$status = 'done' AND coalesce(note, '') <> 'y'$$) ORDER BY id;
SELECT privacy_scan.archived_rows_query('"Scan"', $$note = 'x'$$);
-- The condition reaches every relation: an index of the live one is used.
SET enable_seqscan = off;
SELECT privacy_scan.archived_rows_query('"Evidence"', $$"scanId" = 'new'$$) AS query \gset
CREATE FUNCTION plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS off) ' || query; END $$;
SELECT count(*) FILTER (WHERE p ~ 'Index Cond|Recheck Cond') > 0 AS indexed, count(*) FILTER (WHERE p ~ 'Subquery|Sort') AS others FROM plan(:'query') p;
RESET enable_seqscan;
-- A view of it may be made.
SELECT format('CREATE VIEW all_scans AS %s', privacy_scan.archived_rows_query('"Scan"')) \gexec
SELECT count(*) FROM all_scans;
-- Refused.
SELECT * FROM privacy_scan.archived_rows(NULL::int);
SELECT * FROM privacy_scan.archived_rows(NULL::all_scans);
SELECT count(*) FROM privacy_scan.archived_rows(NULL::"Scan", 'true; DROP TABLE "Scan"');
SELECT count(*) FROM privacy_scan.archived_rows(NULL::"Scan", 'random() < 2');
SELECT count(*) FROM privacy_scan.archived_rows(NULL::"Scan", $$id IN (SELECT 's1')$$);
SELECT privacy_scan.archived_rows_query('all_scans');
SELECT privacy_scan.archived_rows_query(NULL);
-- With the caller's rights: nothing without those on both.
RESET ROLE;
SET ROLE regress_rows_reader;
SELECT count(*) FROM privacy_scan.archived_rows(NULL::"Scan");
SELECT privacy_scan.archived_rows_query('"Scan"', 'true');
RESET ROLE;
GRANT SELECT ON "Scan" TO regress_rows_reader;
SET ROLE regress_rows_reader;
SELECT count(*) FROM privacy_scan.archived_rows(NULL::"Scan");
RESET ROLE;
GRANT USAGE ON SCHEMA rows_live_archive TO regress_rows_reader;
GRANT SELECT ON rows_live_archive."Scan_archive" TO regress_rows_reader;
SET ROLE regress_rows_reader;
SELECT count(*) FROM privacy_scan.archived_rows(NULL::"Scan");
RESET ROLE;
-- Row security goes on for who isn't the owner.
ALTER TABLE "Scan" ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON "Scan" USING (id <> 'new');
SET ROLE regress_rows_reader;
SELECT count(*) FROM privacy_scan.archived_rows(NULL::"Scan");
RESET ROLE;
-- One snapshot, that of the query: what moves meanwhile is seen once.
CREATE FUNCTION moved() RETURNS bigint LANGUAGE sql AS $$ SELECT sum(rows)::bigint FROM privacy_scan.apply_retention('rows_live."Scan"', '2026-01-01', dry_run => false) $$;
DROP VIEW all_scans;
ALTER TABLE rows_live_archive."Scan_archive" ALTER COLUMN status TYPE text;
SELECT m, (SELECT count(*) FROM privacy_scan.archived_rows(NULL::"Scan") WHERE m > 0) AS seen FROM (SELECT moved() AS m OFFSET 0) x;
SELECT count(*), count(DISTINCT id) FROM privacy_scan.archived_rows(NULL::"Scan");

DROP SCHEMA rows_live, rows_live_archive CASCADE;
DELETE FROM privacy_scan.retention_rules r WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = r.root);
DELETE FROM privacy_scan.archive_ledger WHERE root_name LIKE '%rows_live%';
DO $$ BEGIN EXECUTE format('REVOKE ALL ON DATABASE %I FROM regress_rows_owner', current_database()); END $$;
DROP OWNED BY regress_rows_owner, regress_rows_reader;
DROP ROLE regress_rows_owner, regress_rows_reader;
