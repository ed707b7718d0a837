-- A run: what it takes and what stays, batch by batch, in every time zone.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ret_run;
SET search_path = ret_run;
CREATE TABLE scan (id int PRIMARY KEY, status text, at timestamp(3));
CREATE TABLE evidence (id int PRIMARY KEY, scan int NOT NULL REFERENCES scan ON DELETE CASCADE, body text);
CREATE VIEW state AS SELECT (SELECT count(*) FROM scan) AS scans, (SELECT count(*) FROM evidence) AS evidence,
  (SELECT count(*) FROM evidence e WHERE NOT EXISTS (SELECT FROM scan s WHERE s.id = e.scan)) AS orphans;
CREATE FUNCTION fill() RETURNS void LANGUAGE sql AS $$
  TRUNCATE ret_run.scan, ret_run.evidence;
  INSERT INTO ret_run.scan SELECT i, CASE WHEN i % 10 = 0 THEN 'running' ELSE 'done' END, timestamp '2023-01-01' + i * interval '1 day' FROM generate_series(1, 100) i;
  INSERT INTO ret_run.evidence SELECT s.id * 10 + n, s.id, repeat('x', n) FROM ret_run.scan s, generate_series(0, 4) n;
$$;

-- Not expired, unfinished, without a time, at infinity: these stay.
SELECT fill();
INSERT INTO scan VALUES (201, 'done', NULL), (202, 'done', '-infinity'), (203, 'done', 'infinity'), (204, NULL, '2020-01-01'), (205, 'done', '4000-01-01 BC');
INSERT INTO evidence SELECT id * 10, id FROM scan WHERE id > 200;
SELECT privacy_scan.set_retention('scan', '1 year', 'at', $$status = 'done'$$) IS NOT NULL AS set;
-- The default only shows.
SELECT relation, rows, key_from, key_to, reason FROM privacy_scan.apply_retention('scan', '2024-02-10 00:00+00');
SELECT * FROM state;
SELECT to_regnamespace('ret_run_archive');
SELECT relation, rows, key_from, key_to, reason FROM privacy_scan.apply_retention('scan', '2024-02-10 00:00+00', dry_run => false);
SELECT * FROM state;
SELECT id, status, at FROM scan WHERE id > 200 OR at < '2023-02-11' ORDER BY id;
SELECT min(id), max(id), count(*) FROM ret_run_archive.scan_archive;
-- The cutoff itself stays.
SELECT rows FROM privacy_scan.apply_retention('scan', '2024-02-11 00:00+00', dry_run => false);
SELECT rows FROM privacy_scan.apply_retention('scan', '2024-02-11 00:00:00.001+00', dry_run => false);
-- Nothing to do.
SELECT relation, action, rows, bytes, key_from, key_to FROM privacy_scan.apply_retention('scan', '2024-02-11 00:00:00.001+00', dry_run => false);
SELECT relation, action, rows, bytes, key_from, key_to FROM privacy_scan.plan_retention('scan', '2020-02-11');

-- max_rows: whole families, one at least, never more rows otherwise; batch after batch all of them.
SELECT fill();
ANALYZE scan, evidence;
CREATE FUNCTION batch(most bigint) RETURNS TABLE (scans bigint, evidence bigint) LANGUAGE sql AS $$
  SELECT max(rows) FILTER (WHERE relation = 'ret_run.scan'::regclass), max(rows) FILTER (WHERE relation = 'ret_run.evidence'::regclass)
  FROM privacy_scan.apply_retention('ret_run.scan', '2025-01-01', most, false) $$;
SELECT * FROM batch(1);
SELECT * FROM batch(6);
SELECT * FROM batch(17);
SELECT * FROM batch(18);
-- Statistics that are far off: every family has 50 rows but the statistics know of 6.
INSERT INTO evidence SELECT 10000 + s.id * 100 + n, s.id FROM scan s, generate_series(1, 45) n;
SELECT scans BETWEEN 1 AND 2 AS fits, scans * 50 = evidence AS whole FROM batch(102);
SELECT scans + evidence <= 1000 AS fits FROM batch(1000);
SELECT * FROM state;

-- A procedure commits each batch, and says so.
SELECT fill();
TRUNCATE ret_run_archive.scan_archive, ret_run_archive.evidence_archive;
DELETE FROM privacy_scan.archive_ledger;
SET client_min_messages = notice;
CALL privacy_scan.run_retention('scan', '2025-01-01 00:00+00', 180);
CALL privacy_scan.run_retention('scan', '2025-01-01 00:00+00', 180);
SET client_min_messages = warning;
SELECT * FROM state;
SELECT relation, count(*) AS batches, sum(rows) AS rows, min(cutoff) = max(cutoff) AS same_cutoff FROM privacy_scan.archives GROUP BY 1 ORDER BY 1;
SELECT count(DISTINCT xmin::text) AS transactions FROM privacy_scan.archive_ledger;
SELECT bool_and(key_from <= key_to), min(key_from), max(key_to) FROM privacy_scan.archives;
-- What changed is analysed.
SELECT relname, reltuples FROM pg_class WHERE relname IN ('scan', 'evidence', 'scan_archive', 'evidence_archive') AND relnamespace::regnamespace::text LIKE 'ret_run%' ORDER BY 1;
-- Partitioned parents, too.
CREATE TABLE parted (at timestamptz) PARTITION BY RANGE (at);
CREATE TABLE parted_1 PARTITION OF parted DEFAULT;
INSERT INTO parted SELECT timestamptz '2023-01-01' + i * interval '1 month' FROM generate_series(1, 24) i;
SELECT privacy_scan.set_retention('parted', '1 year', 'at') IS NOT NULL AS set;
SELECT rows FROM privacy_scan.apply_retention('parted', '2025-01-01', NULL, false);
SELECT reltuples FROM pg_class WHERE oid = 'parted'::regclass;

-- All policies of the caller in one call; one that fails leaves the others to run, and is told at the end.
SELECT fill();
CREATE TABLE another (at date);
INSERT INTO another VALUES ('2023-01-01'), ('2024-12-31');
CREATE TABLE broken (at date);
INSERT INTO broken VALUES ('2023-01-01');
SELECT count(privacy_scan.set_retention(r, '1 year', 'at')) FROM unnest('{another,broken,scan}'::regclass[]) r;
CREATE VIEW ret_run_archive.broken_archive AS SELECT 1;
\set VERBOSITY default
CALL privacy_scan.run_retention(at => '2025-01-01 00:00+00');
\set VERBOSITY terse
SELECT *, (SELECT count(*) FROM another) AS another, (SELECT count(*) FROM broken) AS broken FROM state;
DROP TABLE broken;

-- Where it cannot run.
\set VERBOSITY sqlstate
BEGIN;
CALL privacy_scan.run_retention('scan');
ROLLBACK;
DO $$BEGIN CALL privacy_scan.run_retention('ret_run.scan'); END$$;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM privacy_scan.apply_retention('scan', dry_run => false);
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT rows FROM privacy_scan.plan_retention('scan', '2020-01-01');
SELECT * FROM privacy_scan.apply_retention('scan', dry_run => false);
ROLLBACK;
BEGIN READ ONLY;
SELECT rows FROM privacy_scan.plan_retention('scan', '2020-01-01');
SELECT * FROM privacy_scan.apply_retention('scan', dry_run => false);
ROLLBACK;
SET default_transaction_isolation = 'repeatable read';
CALL privacy_scan.run_retention('scan');
RESET default_transaction_isolation;
\set VERBOSITY terse

-- In the caller's transaction: undone with it.
SELECT fill();
BEGIN;
SELECT rows FROM privacy_scan.apply_retention('scan', '2025-01-01', NULL, false);
SELECT * FROM state;
ROLLBACK;
SELECT * FROM state;
SELECT fill();

-- Cutoffs are reckoned in UTC, months on UTC's calendar, whatever the session's zone and its changes of the clock.
CREATE TABLE moments (kind text, ts timestamp, tz timestamptz, d date);
INSERT INTO moments SELECT 'x', m, m AT TIME ZONE 'UTC', m::date FROM generate_series(timestamp '2024-02-27', '2024-03-02', '1 hour') m;
INSERT INTO moments SELECT 'x', m, m AT TIME ZONE 'UTC', m::date FROM generate_series(timestamp '2024-03-30', '2024-04-01', '1 hour') m;
CREATE FUNCTION expired(key name, keep interval, at timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  PERFORM privacy_scan.set_retention('ret_run.moments', expired.keep, expired.key);
  RETURN (SELECT rows FROM privacy_scan.plan_retention('ret_run.moments', expired.at));
END $$;
CREATE TABLE cutoffs (zone text, ts1 bigint, tz1 bigint, d1 bigint, ts2 bigint, tz2 bigint, d2 bigint, ts3 bigint, tz3 bigint, d3 bigint, reason text);
DO $$
DECLARE z text;
BEGIN
  FOREACH z IN ARRAY '{UTC,America/St_Johns,Australia/Lord_Howe,Pacific/Apia,Asia/Kathmandu,Europe/Berlin,America/Los_Angeles,Pacific/Kiritimati}'::text[] LOOP
    PERFORM set_config('TimeZone', z, true);
    INSERT INTO ret_run.cutoffs SELECT z,
      ret_run.expired('ts', '1 month', '2024-03-31 12:30+00'), ret_run.expired('tz', '1 month', '2024-03-31 12:30+00'), ret_run.expired('d', '1 month', '2024-03-31 12:30+00'),
      ret_run.expired('ts', '1 day', '2024-03-31 23:30+00'), ret_run.expired('tz', '1 day', '2024-03-31 23:30+00'), ret_run.expired('d', '1 day', '2024-03-31 23:30+00'),
      ret_run.expired('ts', '1 year', '2025-02-28 23:59+00'), ret_run.expired('tz', '1 year', '2025-02-28 23:59+00'), ret_run.expired('d', '1 year', '2025-02-28 23:59+00'),
      (SELECT p.reason FROM privacy_scan.plan_retention('ret_run.moments', '2025-02-28 23:59+00') p);
  END LOOP;
END $$;
SELECT DISTINCT ts1, tz1, d1, ts2, tz2, d2, ts3, tz3, d3, reason FROM cutoffs;
SELECT count(*) FROM moments WHERE ts < '2024-02-29 12:30';

-- Triggers on the relations: what they suppress or bring back is not lost.
SELECT fill();
SELECT privacy_scan.set_retention('scan', '1 year', 'at') IS NOT NULL AS set;
CREATE TABLE note (scan int REFERENCES scan ON DELETE CASCADE);
INSERT INTO note SELECT id FROM scan;
CREATE FUNCTION suppress() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN CASE WHEN OLD.scan <> 7 THEN OLD END; END$$;
CREATE FUNCTION suppress_scan() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN CASE WHEN OLD.id <> 7 THEN OLD END; END$$;
CREATE FUNCTION redo() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO ret_run.evidence SELECT OLD.id, OLD.scan, 'again' WHERE OLD.scan = 7; RETURN NULL; END$$;
CREATE FUNCTION more() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO ret_run.note SELECT OLD.scan WHERE OLD.scan = 7; RETURN NULL; END$$;
CREATE SEQUENCE ids START 100000;
CREATE FUNCTION more_evidence() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO ret_run.evidence SELECT nextval('ret_run.ids'), OLD.scan WHERE OLD.scan = 7; RETURN NULL; END$$;
CREATE FUNCTION count_down() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN UPDATE ret_run.scan SET status = 'less' WHERE id = OLD.scan; RETURN NULL; END$$;
CREATE FUNCTION attempt() RETURNS TABLE (code text, message text, scans bigint, evidence bigint, orphans bigint, archived bigint) LANGUAGE plpgsql AS $$
BEGIN
  BEGIN
    PERFORM privacy_scan.apply_retention('ret_run.scan', '2025-01-01', NULL, false);
    code := 'none';
  EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
  END;
  SELECT s.* FROM ret_run.state s INTO scans, evidence, orphans;
  archived := (SELECT count(*) FROM ret_run_archive.evidence_archive);
  RETURN NEXT;
END $$;
TRUNCATE ret_run_archive.evidence_archive, ret_run_archive.scan_archive;
CREATE TRIGGER t BEFORE DELETE ON evidence FOR EACH ROW EXECUTE FUNCTION suppress();
SELECT * FROM attempt();
DROP TRIGGER t ON evidence;
CREATE TRIGGER t BEFORE DELETE ON scan FOR EACH ROW EXECUTE FUNCTION suppress_scan();
SELECT * FROM attempt();
DROP TRIGGER t ON scan;
CREATE TRIGGER t AFTER DELETE ON evidence FOR EACH ROW EXECUTE FUNCTION redo();
SELECT * FROM attempt();
DROP TRIGGER t ON evidence;
CREATE TRIGGER t AFTER DELETE ON evidence FOR EACH ROW EXECUTE FUNCTION more();
CREATE TRIGGER t AFTER DELETE ON note FOR EACH ROW EXECUTE FUNCTION more_evidence();
SELECT * FROM attempt();
DROP TRIGGER t ON evidence;
DROP TRIGGER t ON note;
CREATE TRIGGER t AFTER DELETE ON evidence FOR EACH ROW EXECUTE FUNCTION count_down();
SELECT * FROM attempt();
DROP TRIGGER t ON evidence;
CREATE RULE r AS ON DELETE TO evidence DO INSTEAD NOTHING;
SELECT * FROM attempt();
DROP RULE r ON evidence;
-- Foreign keys added since are seen.
CREATE TABLE late (scan int REFERENCES scan ON DELETE CASCADE);
INSERT INTO late SELECT id FROM scan;
SELECT * FROM attempt();
SELECT (SELECT count(*) FROM late) AS live, (SELECT count(*) FROM ret_run_archive.late_archive) AS archived;

SET client_min_messages = error;
DELETE FROM privacy_scan.archive_ledger;
DELETE FROM privacy_scan.retention_rules;
DROP SCHEMA ret_run, ret_run_archive CASCADE;
