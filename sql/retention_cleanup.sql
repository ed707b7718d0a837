-- cleanup_old_scans(): the well-known store, found on the search_path.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ret_cleanup;
CREATE SCHEMA ret_cleanup_empty;
SET search_path = ret_cleanup_empty, ret_cleanup;
CREATE TABLE ret_cleanup."Scan" (id text PRIMARY KEY, "normalizedInput" text NOT NULL, status text NOT NULL, "createdAt" timestamp(3) NOT NULL DEFAULT now(), "finishedAt" timestamp(3), meta jsonb);
CREATE TABLE ret_cleanup."Evidence" (id text PRIMARY KEY, "scanId" text NOT NULL REFERENCES ret_cleanup."Scan" ON UPDATE CASCADE ON DELETE CASCADE, kind text, severity int, title text, details jsonb, "createdAt" timestamp(3));
CREATE TABLE ret_cleanup."Issue" (id text PRIMARY KEY, "scanId" text NOT NULL REFERENCES ret_cleanup."Scan" ON UPDATE CASCADE ON DELETE CASCADE, title text, severity text, "references" jsonb, "createdAt" timestamp(3));
CREATE FUNCTION fill() RETURNS void LANGUAGE sql AS $$
  TRUNCATE ret_cleanup."Scan" CASCADE;
  INSERT INTO ret_cleanup."Scan"
  SELECT format('s%s-%s', status, days), 'https://example.org', status, (now() AT TIME ZONE 'UTC')::timestamp(3) - days * interval '1 day' + interval '1 hour', NULL, '{"a": 1}'
  FROM unnest('{queued,running,done,failed}'::text[]) status, unnest('{0,10,89,91,365,366,367,1000,4000}'::int[]) days;
  INSERT INTO ret_cleanup."Evidence" SELECT id || '-e' || n, id, 'tracker', n, 't', jsonb_build_object('n', n), "createdAt" FROM ret_cleanup."Scan", generate_series(1, 5) n;
  INSERT INTO ret_cleanup."Issue" SELECT id || '-i' || n, id, 't', 'high', '["x"]', "createdAt" FROM ret_cleanup."Scan", generate_series(1, 2) n;
$$;
SELECT fill();
CREATE TABLE before AS SELECT s::text AS row FROM "Scan" s UNION ALL SELECT e::text FROM "Evidence" e UNION ALL SELECT i::text FROM "Issue" i;
CREATE VIEW state AS SELECT (SELECT count(*) FROM "Scan") AS scans, (SELECT count(*) FROM "Evidence") AS evidence, (SELECT count(*) FROM "Issue") AS issues,
  (SELECT count(*) FROM "Evidence" e WHERE NOT EXISTS (SELECT FROM "Scan" s WHERE s.id = e."scanId")) +
  (SELECT count(*) FROM "Issue" e WHERE NOT EXISTS (SELECT FROM "Scan" s WHERE s.id = e."scanId")) AS orphans;

-- Refused, and nothing is made.
SELECT privacy_scan.cleanup_old_scans(NULL);
SELECT privacy_scan.cleanup_old_scans(0);
SELECT privacy_scan.cleanup_old_scans(-1);
SELECT privacy_scan.cleanup_old_scans(-2147483648);
SELECT privacy_scan.cleanup_old_scans(36501);
SELECT privacy_scan.cleanup_old_scans(2147483647);
SET search_path = ret_cleanup;
SELECT privacy_scan.set_retention('"Scan"', '900 days', 'createdAt', archive => 'discard', confirm => true) IS NOT NULL AS set;
SELECT privacy_scan.cleanup_old_scans(30);
SELECT privacy_scan.drop_retention('"Scan"');
SET search_path = ret_cleanup_empty;
SELECT privacy_scan.cleanup_old_scans();
SET search_path = ret_cleanup_empty, ret_cleanup;
SELECT *, to_regnamespace('ret_cleanup_archive') FROM state;

-- Finished ones only, with all of theirs, and the number of scans comes back.
SELECT privacy_scan.cleanup_old_scans(36500);
SELECT privacy_scan.cleanup_old_scans();
SELECT * FROM state;
SELECT privacy_scan.cleanup_old_scans();
SELECT status, min(substr(id, length(status) + 3)::int) AS youngest, max(substr(id, length(status) + 3)::int) AS oldest, count(*)
FROM "Scan" GROUP BY 1 ORDER BY 1;
SELECT privacy_scan.cleanup_old_scans(90);
SELECT status, max(substr(id, length(status) + 3)::int) AS oldest, count(*) FROM "Scan" GROUP BY 1 ORDER BY 1;
SELECT pg_typeof(privacy_scan.cleanup_old_scans(9));
SELECT * FROM state;
SELECT count(*) AS wrong FROM (
  (TABLE before EXCEPT ALL SELECT * FROM (SELECT s::text FROM "Scan" s UNION ALL SELECT e::text FROM "Evidence" e UNION ALL SELECT i::text FROM "Issue" i
     UNION ALL SELECT s::text FROM ret_cleanup_archive."Scan_archive" s UNION ALL SELECT e::text FROM ret_cleanup_archive."Evidence_archive" e
     UNION ALL SELECT i::text FROM ret_cleanup_archive."Issue_archive" i) n)) x;
SELECT (SELECT count(*) FROM ret_cleanup_archive."Scan_archive") AS scans, (SELECT count(*) FROM ret_cleanup_archive."Evidence_archive") AS evidence,
  (SELECT count(*) FROM ret_cleanup_archive."Issue_archive") AS issues;
SELECT relation, sum(rows) AS rows FROM privacy_scan.archives GROUP BY 1 ORDER BY 1;

-- In small batches; all in the caller's transaction.
SELECT fill();
TRUNCATE ret_cleanup_archive."Scan_archive", ret_cleanup_archive."Evidence_archive", ret_cleanup_archive."Issue_archive";
SET privacy_scan.retention_batch_rows = 10;
BEGIN;
SELECT privacy_scan.cleanup_old_scans();
ROLLBACK;
SELECT * FROM state;
SELECT privacy_scan.cleanup_old_scans();
SELECT * FROM state;
RESET privacy_scan.retention_batch_rows;

-- The age is reckoned in UTC, whatever the session's zone.
CREATE FUNCTION cleaned(zone text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE n int;
BEGIN
  PERFORM set_config('TimeZone', zone, true);
  DELETE FROM ret_cleanup."Scan";
  INSERT INTO ret_cleanup."Scan" SELECT h::text, '', 'done', (now() AT TIME ZONE 'UTC') - interval '30 days' + h * interval '1 hour' FROM generate_series(-20, 20) h;
  n := privacy_scan.cleanup_old_scans(30);
  RETURN n || ' ' || (SELECT string_agg(id, ',' ORDER BY id::int) FROM ret_cleanup."Scan" WHERE id::int <= 1);
END $$;
SELECT zone, cleaned(zone) FROM unnest('{UTC,Pacific/Apia,Pacific/Kiritimati,Europe/Berlin,America/St_Johns,Etc/GMT+12}'::text[]) zone;

-- A policy's archive_schema holds here, too; its keep and condition do not.
SELECT fill();
SELECT privacy_scan.set_retention('"Scan"', '10 years', 'createdAt', 'false', archive_schema => 'ret_cleanup_empty') IS NOT NULL AS set;
SELECT privacy_scan.cleanup_old_scans();
SELECT (SELECT count(*) FROM ret_cleanup_empty."Scan_archive") AS scans, (SELECT count(*) FROM ret_cleanup_empty."Evidence_archive") AS evidence;
SELECT keep, condition FROM privacy_scan.retention_policies;

-- The status may be an enum or a domain; operators on the search_path do not count.
CREATE TYPE "ScanStatus" AS ENUM ('queued', 'running', 'done', 'failed');
ALTER TABLE "Scan" ALTER status TYPE "ScanStatus" USING status::"ScanStatus";
DROP TABLE ret_cleanup_empty."Scan_archive";
INSERT INTO "Scan" VALUES ('x', '', 'done', '2020-01-01'), ('y', '', 'running', '2020-01-01');
SELECT privacy_scan.cleanup_old_scans();
ALTER TABLE "Scan" ALTER status TYPE text;
DROP TABLE ret_cleanup_empty."Scan_archive";
CREATE FUNCTION ret_cleanup.always(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR ret_cleanup.= (LEFTARG = text, RIGHTARG = text, FUNCTION = ret_cleanup.always);
SET search_path = ret_cleanup_empty, ret_cleanup, pg_catalog;
SELECT privacy_scan.cleanup_old_scans();
INSERT INTO "Scan" VALUES ('z', '', 'done', '2020-01-01');
SELECT privacy_scan.cleanup_old_scans();
SET search_path = ret_cleanup_empty, ret_cleanup;
DROP OPERATOR ret_cleanup.= (text, text);

-- Other stores: what is missing is told.
DROP TABLE ret_cleanup_empty."Scan_archive";
ALTER TABLE "Scan" RENAME "createdAt" TO "madeAt";
SELECT privacy_scan.cleanup_old_scans();
ALTER TABLE "Scan" RENAME "madeAt" TO "createdAt";
ALTER TABLE "Scan" RENAME status TO "Status";
SELECT privacy_scan.cleanup_old_scans();
CREATE VIEW ret_cleanup_empty."Scan" AS SELECT 1;
SELECT privacy_scan.cleanup_old_scans();

SET client_min_messages = error;
DELETE FROM privacy_scan.archive_ledger;
DELETE FROM privacy_scan.retention_rules;
DROP SCHEMA ret_cleanup, ret_cleanup_archive, ret_cleanup_empty CASCADE;
