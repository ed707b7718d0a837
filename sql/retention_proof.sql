-- Partitions that went whole, counted where they lie in the archive: by the run that took them, or, had that ended before (here: their
-- entries are made blank), by the next run, or whoever first asks.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ret_proof;
SET search_path = ret_proof;
SET privacy_scan.retention_whole_rows = 10;
SET privacy_scan.retention_keep_partitions = 1;
CREATE TABLE scan (id int PRIMARY KEY, at timestamp(3)) PARTITION BY RANGE (id);
CREATE TABLE evidence (id int, scan int NOT NULL REFERENCES scan ON DELETE CASCADE, body text, PRIMARY KEY (scan, id)) PARTITION BY RANGE (scan);
CREATE PROCEDURE fill() LANGUAGE plpgsql SET search_path = ret_proof AS $$
DECLARE r text; i int;
BEGIN
  TRUNCATE scan CASCADE;
  DELETE FROM privacy_scan.archive_ledger;
  DELETE FROM privacy_scan.detached_tables;
  DELETE FROM privacy_scan.archive_checks;
  DROP SCHEMA IF EXISTS ret_proof_archive CASCADE;
  FOREACH r IN ARRAY '{scan,evidence}'::text[] LOOP
    FOR i IN 1 .. 4 LOOP
      EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES FROM (%s) TO (%s)', r || '_' || i, r, i * 100, i * 100 + 100);
    END LOOP;
    EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I DEFAULT', r || '_default', r);
  END LOOP;
  INSERT INTO scan SELECT m * 100 + n, make_date(CASE m WHEN 4 THEN 2024 ELSE 2023 END, m, n) FROM generate_series(1, 4) m, generate_series(1, 5) n;
  INSERT INTO evidence SELECT k, s.id, repeat('x', k) FROM scan s, generate_series(1, 4) k;
END $$;
-- As a run leaves it that is ended once the partitions are gone.
CREATE PROCEDURE blank() LANGUAGE sql AS $$
  UPDATE privacy_scan.archive_ledger SET rows = NULL, bytes = NULL, digest = NULL WHERE id IN (SELECT max(id) FROM privacy_scan.archive_ledger WHERE leaf <> '' AND action = 'archive' GROUP BY leaf);
  DELETE FROM privacy_scan.archive_checks $$;
CREATE FUNCTION entries() RETURNS TABLE (leaf text, action text, rows bigint, counted boolean, state text) LANGUAGE sql AS $$
  SELECT leaf, action, rows, digest IS NOT NULL AND bytes IS NOT NULL, state FROM privacy_scan.archives ORDER BY id $$;
CREATE FUNCTION digests() RETURNS text LANGUAGE sql AS $$
  SELECT md5(string_agg(leaf || rows || bytes || digest, ',' ORDER BY leaf)) FROM privacy_scan.archives WHERE action = 'archive' $$;
CREATE FUNCTION verified() RETURNS TABLE (leaf text, rows bigint, found_rows bigint, state text, detail text) LANGUAGE sql AS $$
  SELECT leaf, rows, found_rows, state, detail FROM privacy_scan.verify_archive() ORDER BY leaf $$;

CALL fill();
SELECT privacy_scan.set_retention('scan', '1 year', 'at') IS NOT NULL AS set;
-- By the run itself.
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true, confirm => true);
SELECT * FROM entries();
SELECT bool_and(d.digest = a.digest AND d.bytes = a.bytes) AS as_it_lies FROM privacy_scan.archives a,
  LATERAL (SELECT (privacy_scan.row_digest(t.*)).* FROM ret_proof_archive.evidence_1 t) d WHERE a.leaf ~ 'evidence_1';
SELECT digests() AS made \gset
-- By the next one.
CALL blank();
SELECT * FROM entries() LIMIT 2;
SELECT leaf, rows FROM privacy_scan.archive_balances WHERE leaf ~ '_1"$' ORDER BY leaf;
SELECT status, substring(detail FROM '\d+ partitions.*') AS detail FROM privacy_scan.health() WHERE component = 'retention';
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true);
SELECT digests() = :'made' AS as_before;
-- By who verifies.
CALL blank();
SELECT * FROM verified();
SELECT digests() = :'made' AS as_before;
SELECT count(*) AS damaged FROM privacy_scan.check_archives();
-- What was taken since is part of what went.
CALL blank();
SELECT relation, action, rows FROM privacy_scan.restore_archive('scan', '{101}'::text[]);
SELECT relation, place, rows FROM privacy_scan.erase('scan', 'id = 202', 'request', dry_run => false) WHERE rows > 0;
SELECT * FROM entries();
SELECT * FROM verified();
SELECT digests() = :'made' AS as_before;
-- Rows that are changed afterwards are found, once they were counted.
UPDATE ret_proof_archive.evidence_3 SET body = 'y' WHERE scan = 301 AND id = 1;
SELECT leaf, state FROM verified() WHERE state <> 'ok';
-- One that is gone before: it is told, and nothing else waits for it.
CALL fill();
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true, confirm => true);
CALL blank();
DROP TABLE ret_proof_archive.evidence_2;
SET client_min_messages = notice;
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true);
SET client_min_messages = warning;
SELECT leaf, state, detail FROM privacy_scan.check_archives();
SELECT * FROM entries() WHERE leaf ~ '_2"$';
-- What is there and can't be read fails the run, and the job, once all else is done.
CREATE VIEW ret_proof_archive.evidence_2 AS SELECT 1 / 0 AS id;
INSERT INTO scan VALUES (150, '2023-01-01');
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true);
SELECT count(*) AS left_live FROM scan WHERE id = 150;
INSERT INTO scan VALUES (151, '2023-01-01');
SET privacy_scan.retention_quiet_days = 0;
CALL privacy_scan.run_job('retention ret_proof.scan');
RESET privacy_scan.retention_quiet_days;
SELECT count(*) AS left_live FROM scan WHERE id = 151;
DROP VIEW ret_proof_archive.evidence_2;
-- Whole partitions come back, uncounted or not.
CALL fill();
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true, confirm => true);
CALL blank();
SELECT relation, action, rows, reason FROM privacy_scan.restore_archive('scan', 'id < 200');
SELECT count(*) FROM evidence WHERE scan < 200;
SELECT leaf, action, rows, counted FROM entries() WHERE leaf ~ 'evidence_1"$';
-- It goes again, under the name that it had.
VACUUM evidence, scan;
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true);
CALL blank();
SELECT * FROM verified();
SELECT leaf, action, rows, counted FROM entries() WHERE leaf ~ 'evidence_1"$';
-- The name of one that was lost, counted or not, is nobody else's.
CALL fill();
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true, confirm => true);
DROP TABLE ret_proof_archive.evidence_1, ret_proof_archive.evidence_2;
UPDATE privacy_scan.archive_ledger SET rows = NULL, bytes = NULL, digest = NULL WHERE leaf ~ 'evidence_2';
CREATE TABLE scan_1 PARTITION OF scan FOR VALUES FROM (100) TO (200);
CREATE TABLE scan_2 PARTITION OF scan FOR VALUES FROM (200) TO (300);
CREATE TABLE evidence_1 PARTITION OF evidence FOR VALUES FROM (100) TO (200);
CREATE TABLE evidence_2 PARTITION OF evidence FOR VALUES FROM (200) TO (300);
INSERT INTO scan SELECT m * 100 + n, '2023-01-01' FROM generate_series(1, 2) m, generate_series(6, 10) n;
INSERT INTO evidence SELECT 1, s.id, 'late' FROM scan s WHERE s.id < 300;
VACUUM scan, evidence;
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true);
SELECT regexp_replace(leaf, '_\d{4,}"', '_OID"') AS leaf, rows, found_rows, state FROM privacy_scan.verify_archive() ORDER BY 1;
-- A grace period ends with them counted.
CALL fill();
SELECT privacy_scan.set_retention('scan', '1 year', 'at', archive => 'detach', grace => '1 day') IS NOT NULL AS set;
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true, confirm => true);
CALL blank();
SELECT leaf, rows FROM privacy_scan.detached_leaves ORDER BY leaf LIMIT 2;
UPDATE privacy_scan.detached_tables SET detached_at = '2024-01-01 00:00+00';
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true);
SELECT * FROM entries();
SELECT sum(rows) FROM privacy_scan.archive_balances;
-- What is thrown away is counted before: afterwards nobody could.
CALL fill();
SELECT privacy_scan.set_retention('scan', '1 year', 'at', archive => 'discard', confirm => true) IS NOT NULL AS set;
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true, confirm => true);
SELECT * FROM entries();
-- So is what goes by a plan, which says how many rows.
CALL fill();
SELECT privacy_scan.set_retention('scan', '1 year', 'at') IS NOT NULL AS set;
SELECT privacy_scan.make_plan('scan', '2024-07-01 00:00+00') AS plan \gset
CALL privacy_scan.apply_plan(:plan, force => true, confirm => true);
SELECT * FROM entries();
-- A key that a NULL sets aside says nothing of a row: such leaves are read, and what belongs to nobody stays.
CREATE TABLE item (id int, scan int NOT NULL, evidence int, PRIMARY KEY (scan, id), FOREIGN KEY (scan, evidence) REFERENCES evidence (scan, id) ON DELETE CASCADE) PARTITION BY RANGE (scan);
CREATE TABLE item_1 PARTITION OF item FOR VALUES FROM (100) TO (200);
CREATE TABLE item_2 PARTITION OF item FOR VALUES FROM (200) TO (300);
CREATE TABLE item_3 PARTITION OF item FOR VALUES FROM (300) TO (400);
CREATE TABLE item_4 PARTITION OF item FOR VALUES FROM (400) TO (500);
CALL fill();
INSERT INTO item SELECT k, s.id, CASE WHEN k = 1 AND s.id = 101 THEN NULL ELSE k END FROM scan s, generate_series(1, 4) k;
VACUUM item;
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true, confirm => true);
SELECT * FROM item WHERE scan < 400;
SELECT * FROM entries() WHERE leaf ~ 'item';
-- Nor does one whose triggers are disabled.
DROP TABLE item;
CALL fill();
ALTER TABLE evidence_1 DISABLE TRIGGER ALL;
INSERT INTO evidence VALUES (9, 150, 'orphan');
VACUUM evidence;
SET client_min_messages = error;
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true, confirm => true);
SET client_min_messages = warning;
SELECT * FROM evidence WHERE scan < 400;
SELECT count(*) FROM ret_proof_archive.evidence_archive;
DELETE FROM evidence WHERE scan = 150;
-- Where the archive lies in the live schema a name of before is nobody else's, either.
CALL fill();
SELECT privacy_scan.set_retention('scan', '1 year', 'at', archive_schema => 'ret_proof') IS NOT NULL AS set;
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true, confirm => true);
DROP TABLE evidence_1, scan_1;
CREATE TABLE scan_1 PARTITION OF scan FOR VALUES FROM (100) TO (200);
CREATE TABLE evidence_1 PARTITION OF evidence FOR VALUES FROM (100) TO (200);
INSERT INTO scan SELECT 100 + n, '2023-01-01' FROM generate_series(6, 10) n;
INSERT INTO evidence SELECT k, s.id, 'late' FROM scan s, generate_series(1, 4) k WHERE s.id < 200;
VACUUM scan, evidence;
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true);
SELECT regexp_replace(leaf, '_\d{4,}"', '_OID"') AS leaf, rows, found_rows, state FROM privacy_scan.verify_archive() ORDER BY 1;
-- Nor do bounds where an update of the system may have changed the order: a row that lies in another partition than its root stays with it.
CREATE TABLE name_scan (id text COLLATE "und-x-icu" PRIMARY KEY, at timestamp(3)) PARTITION BY RANGE (id);
CREATE TABLE name_scan_1 PARTITION OF name_scan FOR VALUES FROM ('a') TO ('b');
CREATE TABLE name_scan_2 PARTITION OF name_scan FOR VALUES FROM ('b') TO ('c');
CREATE TABLE name_evidence (id int, scan text COLLATE "und-x-icu" NOT NULL REFERENCES name_scan ON DELETE CASCADE) PARTITION BY RANGE (scan);
CREATE TABLE name_evidence_1 (id int, scan text COLLATE "und-x-icu" NOT NULL);
CREATE TABLE name_evidence_2 PARTITION OF name_evidence FOR VALUES FROM ('b') TO ('c');
INSERT INTO name_scan SELECT 'a' || n, timestamp '2023-01-01' FROM generate_series(1, 20) n UNION ALL SELECT 'b1', '2024-06-01';
INSERT INTO name_evidence_1 SELECT 1, id FROM name_scan;
INSERT INTO name_evidence VALUES (2, 'b1');
ALTER TABLE name_evidence_1 ADD CONSTRAINT bounds CHECK (scan >= 'a' AND scan < 'b') NOT VALID;
UPDATE pg_constraint SET convalidated = true WHERE conrelid = 'name_evidence_1'::regclass;
ALTER TABLE name_evidence ATTACH PARTITION name_evidence_1 FOR VALUES FROM ('a') TO ('b');
SELECT privacy_scan.set_retention('name_scan', '1 year', 'at') IS NOT NULL AS set;
VACUUM name_scan, name_evidence;
SET client_min_messages = error;
CALL privacy_scan.run_retention('name_scan', '2024-07-01 00:00+00', force => true, confirm => true);
SET client_min_messages = warning;
SELECT s.id AS scan, e.id FROM name_scan s LEFT JOIN name_evidence e ON e.scan || '' = s.id ORDER BY 2;
SELECT count(*) FROM ret_proof_archive.name_evidence_archive;
SELECT count(privacy_scan.drop_retention('name_scan')) AS dropped;
-- Nothing else may be blank.
UPDATE privacy_scan.archive_ledger SET rows = NULL;
UPDATE privacy_scan.archive_ledger SET rows = NULL, bytes = NULL, digest = NULL, leaf = '';
SELECT count(privacy_scan.drop_retention('scan')) AS dropped;
DELETE FROM privacy_scan.archive_ledger;
DELETE FROM privacy_scan.archive_checks;
DELETE FROM privacy_scan.detached_tables;
DROP SCHEMA ret_proof, ret_proof_archive CASCADE;
