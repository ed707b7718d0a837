-- cleanup_old_scans(): the well-known call for "Scan", "Evidence" and "Issue" on the search_path.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ps_cleanup;
SET search_path = ps_cleanup;
SELECT privacy_scan.cleanup_old_scans();
CREATE TYPE "ScanStatus" AS ENUM ('queued', 'running', 'done', 'failed');
CREATE TABLE "Scan" (id text PRIMARY KEY, status "ScanStatus" NOT NULL, "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE "Evidence" (id text PRIMARY KEY, "scanId" text NOT NULL REFERENCES "Scan" ON UPDATE CASCADE ON DELETE CASCADE, details jsonb);
CREATE TABLE "Issue" (id text PRIMARY KEY, "scanId" text NOT NULL REFERENCES "Scan" ON UPDATE CASCADE ON DELETE CASCADE, "references" jsonb);
INSERT INTO "Scan" SELECT s || d, s::"ScanStatus", (now() AT TIME ZONE 'UTC') - d * interval '1 day' - interval '1 minute'
FROM unnest('{queued,running,done,failed}'::text[]) s, unnest('{1,29,30,364,365,800}'::int[]) d;
INSERT INTO "Evidence" SELECT id || k, id, '{}' FROM "Scan", generate_series(1, 3) k;
INSERT INTO "Issue" SELECT id || k, id, '[]' FROM "Scan", generate_series(1, 2) k;
-- Refused.
SELECT privacy_scan.cleanup_old_scans(NULL);
SELECT privacy_scan.cleanup_old_scans(0);
SELECT privacy_scan.cleanup_old_scans(-1);
SELECT privacy_scan.cleanup_old_scans(36501);
SELECT privacy_scan.cleanup_old_scans(2147483647);
SELECT privacy_scan.cleanup_old_scans(36500);
-- A year, then a month; batches are as small as can be.
SELECT privacy_scan.cleanup_old_scans();
SELECT string_agg(id, ' ' ORDER BY id COLLATE "C") FROM ps_cleanup_archive."Scan_archive";
SET privacy_scan.retention_batch_rows = 1;
SELECT privacy_scan.cleanup_old_scans(retention_days => 30);
SELECT privacy_scan.cleanup_old_scans(30);
RESET privacy_scan.retention_batch_rows;
SELECT string_agg(id, ' ' ORDER BY id COLLATE "C") FROM "Scan";
SELECT (SELECT count(*) FROM "Evidence") AS evidence, (SELECT count(*) FROM ps_cleanup_archive."Evidence_archive") AS archived,
       (SELECT count(*) FROM "Issue") AS issues, (SELECT count(*) FROM ps_cleanup_archive."Issue_archive") AS archived;
-- In the caller's transaction.
BEGIN;
SELECT privacy_scan.cleanup_old_scans(1);
ROLLBACK;
SELECT count(*) FROM "Scan";
-- By name alone: another store on another path is not touched; a policy is not made.
SELECT count(*) FROM privacy_scan.retention_policies WHERE root = '"Scan"'::regclass;
\set VERBOSITY terse
CREATE ROLE regress_ps_app;
GRANT USAGE ON SCHEMA ps_cleanup TO regress_ps_app;
SET ROLE regress_ps_app;
SELECT privacy_scan.cleanup_old_scans();
RESET ROLE;
GRANT EXECUTE ON FUNCTION privacy_scan.cleanup_old_scans(integer) TO regress_ps_app;
SET ROLE regress_ps_app;
SELECT privacy_scan.cleanup_old_scans();
RESET ROLE;
DROP OWNED BY regress_ps_app;
DROP ROLE regress_ps_app;
DROP SCHEMA ps_cleanup, ps_cleanup_archive CASCADE;
DELETE FROM privacy_scan.archive_ledger WHERE root_name LIKE '"ps_cleanup".%';
