-- What the rows of a partition refer to is read from an index where one has them all: rows that stay are found there as in the table.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ret_index;
SET search_path = ret_index;
SET privacy_scan.retention_whole_rows = 10;
SET privacy_scan.retention_keep_partitions = 1;
CREATE TABLE scan (id int PRIMARY KEY, at timestamp(3));
CREATE TABLE evidence (id int, scan int REFERENCES scan ON DELETE CASCADE, at timestamp(3), other int DEFAULT 101, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
-- Three months of scans, 101 to 305, that expire, and one, 199, that doesn't; 200 rows each of those that do.
CREATE PROCEDURE fill(index text) LANGUAGE plpgsql SET search_path = ret_index AS $$
BEGIN
  DROP SCHEMA IF EXISTS ret_index_archive CASCADE;
  DELETE FROM privacy_scan.archive_ledger;
  DELETE FROM privacy_scan.archive_checks;
  DROP TABLE IF EXISTS evidence_1, evidence_2, evidence_3, evidence_4;
  TRUNCATE scan CASCADE;
  FOR m IN 1 .. 4 LOOP
    EXECUTE format('CREATE TABLE evidence_%s PARTITION OF evidence FOR VALUES FROM (%L) TO (%L)', m, make_date(2023, m, 1), make_date(2023, m + 1, 1));
    EXECUTE format(index, 'evidence_' || m);
  END LOOP;
  INSERT INTO scan SELECT m * 100 + n, make_date(2023, m, n) FROM generate_series(1, 3) m, generate_series(1, 5) n;
  INSERT INTO scan VALUES (199, '2024-06-30');
  INSERT INTO evidence SELECT k, s.id, s.at FROM scan s, generate_series(1, 200) k WHERE s.id <> 199;
  INSERT INTO evidence VALUES (0, 199, '2023-04-01');
END $$;
CREATE FUNCTION whole() RETURNS TABLE (leaf text, rows bigint) LANGUAGE sql AS $$
  SELECT leaf, rows FROM privacy_scan.archives WHERE leaf <> '' ORDER BY leaf $$;
SELECT privacy_scan.set_retention('scan', '1 year', 'at') IS NOT NULL AS set;

-- Where all go: the rows themselves are read once, to be counted in the archive, but for a sample.
CALL fill('CREATE INDEX ON %I (scan)');
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true, confirm => true);
SELECT pg_stat_force_next_flush() IS NOT NULL AS flushed;
SELECT * FROM whole();
SELECT relname, seq_tup_read BETWEEN 1000 AND 1500 AS read_once FROM pg_stat_user_tables WHERE schemaname = 'ret_index_archive' AND relname ~ '^evidence_\d' ORDER BY 1;
-- Without an index they are read twice.
CALL fill('SELECT %L');
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true, confirm => true);
SELECT pg_stat_force_next_flush() IS NOT NULL AS flushed;
SELECT relname, seq_tup_read > 1500 AS read_twice FROM pg_stat_user_tables WHERE schemaname = 'ret_index_archive' AND relname ~ '^evidence_\d' ORDER BY 1;

-- A row that is changed to another root, one of another root that is gone by now, one of none: on pages that are all-visible, and
-- on such that aren't.
CALL fill('CREATE INDEX ON %I (scan)');
UPDATE evidence SET scan = 199 WHERE scan = 101 AND id = 7;
INSERT INTO evidence VALUES (900, 199, '2023-02-01');
DELETE FROM evidence WHERE id = 900;
UPDATE evidence SET scan = NULL WHERE scan = 301 AND id = 8;
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true, confirm => true);
SELECT * FROM whole();
SELECT tableoid::regclass, id, scan FROM evidence ORDER BY at;
CALL fill('CREATE INDEX ON %I (scan)');
UPDATE evidence SET scan = 199 WHERE scan = 101 AND id = 7;
UPDATE evidence SET scan = NULL WHERE scan = 301 AND id = 8;
VACUUM evidence_1, evidence_3;
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true, confirm => true);
SELECT * FROM whole();
SELECT tableoid::regclass, id, scan FROM evidence ORDER BY at;

-- Rows that are gone by now don't count: of 40 six are too many to be moved out of the way.
CALL fill('CREATE INDEX ON %I (scan)');
DELETE FROM evidence WHERE scan < 199 AND id > 8;
UPDATE evidence SET scan = 199 WHERE scan = 101 AND id < 7;
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true, confirm => true);
SELECT * FROM whole();
SELECT tableoid::regclass, count(*) FROM evidence GROUP BY 1 ORDER BY 1;

-- Indexes that don't have all rows, or not their keys: the row of 199 is in none of them.
CALL fill('CREATE INDEX ON %I (scan) WHERE scan <> 199');
UPDATE evidence SET scan = 199 WHERE scan = 101 AND id = 7;
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true, confirm => true);
SELECT * FROM whole();
SELECT tableoid::regclass, id, scan FROM evidence ORDER BY at;
CALL fill('CREATE INDEX ON %I (other, scan)');
UPDATE evidence SET scan = 199 WHERE scan = 101 AND id = 7;
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true, confirm => true);
SELECT tableoid::regclass, id, scan FROM evidence ORDER BY at;
CALL fill('CREATE INDEX ON %I (scan)');
UPDATE pg_index SET indisready = false WHERE indexrelid = 'evidence_1_scan_idx'::regclass;
INSERT INTO evidence VALUES (901, 199, '2023-01-01');
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true, confirm => true);
SELECT tableoid::regclass, id, scan FROM evidence ORDER BY at;

CALL fill('CREATE INDEX ON %I (scan)');
UPDATE pg_index SET indisready = false WHERE indexrelid = 'evidence_1_scan_idx'::regclass;
INSERT INTO evidence VALUES (901, 199, '2023-01-01');
UPDATE pg_index SET indisready = true, indisvalid = false WHERE indexrelid = 'evidence_1_scan_idx'::regclass;
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true, confirm => true);
SELECT tableoid::regclass, id, scan FROM evidence ORDER BY at;
SELECT * FROM scan ORDER BY id;
-- An index whose order isn't right any more, as after an upgrade of a collation, is read all the same; but rows aren't looked for by it.
CREATE FUNCTION order_of(a int, b int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN btint4cmp(a, b); END';
CREATE OPERATOR CLASS odd FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 order_of(int, int);
CALL fill('CREATE INDEX ON %I (scan odd)');
UPDATE evidence SET scan = 199 WHERE scan = 101 AND id = 7;
CREATE OR REPLACE FUNCTION order_of(a int, b int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN btint4cmp(b, a); END';
SET enable_seqscan = off;
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true, confirm => true);
RESET enable_seqscan;
SELECT * FROM whole();
SELECT tableoid::regclass, id, scan FROM evidence ORDER BY at;
CALL fill('SELECT %L');
DROP OPERATOR FAMILY odd USING btree;
-- An index of names has keys of another type.
CREATE TABLE site (id name PRIMARY KEY, at timestamp(3));
CREATE TABLE visit (id int, site name REFERENCES site ON DELETE CASCADE, at timestamp(3)) PARTITION BY RANGE (at);
CREATE TABLE visit_1 PARTITION OF visit FOR VALUES FROM ('2023-01-01') TO ('2023-02-01');
CREATE TABLE visit_2 PARTITION OF visit FOR VALUES FROM ('2023-02-01') TO ('2023-03-01');
CREATE INDEX ON visit (site);
INSERT INTO site VALUES ('old', '2023-01-01'), ('older', '2023-01-01'), ('new', '2024-06-30');
INSERT INTO visit SELECT k, CASE k % 2 WHEN 0 THEN 'old' ELSE 'older' END, '2023-01-01' FROM generate_series(1, 200) k;
INSERT INTO visit VALUES (0, 'new', '2023-01-31'), (0, 'new', '2023-02-01');
SELECT privacy_scan.set_retention('site', '1 year', 'at') IS NOT NULL AS set;
CALL privacy_scan.run_retention('site', '2024-07-01 00:00+00', force => true, confirm => true);
SELECT leaf, rows FROM privacy_scan.archives WHERE leaf ~ 'visit';
SELECT tableoid::regclass, * FROM visit ORDER BY at;
SELECT * FROM site;
SELECT leaf, state FROM privacy_scan.check_archives();
-- What this session keeps of plans knows the extension's own triggers, also where that was made anew.
DROP EXTENSION privacy_scan CASCADE;
CREATE EXTENSION privacy_scan;
SELECT privacy_scan.set_retention('scan', '1 year', 'at') IS NOT NULL AS set;
CALL fill('CREATE INDEX ON %I (scan)');
CREATE INDEX ON evidence (id);
CREATE TRIGGER check_id AFTER INSERT OR UPDATE OF id ON evidence FOR EACH ROW EXECUTE FUNCTION privacy_scan.check_unique();
CALL privacy_scan.run_retention('scan', '2024-07-01 00:00+00', force => true, confirm => true);
SELECT * FROM whole();
DROP SCHEMA ret_index, ret_index_archive CASCADE;
