-- What a transaction does to a relation after its documents were read: nothing of ours is in the way, and nothing
-- that was kept is taken for what is there now.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA json_transactions;
SET search_path = json_transactions, pg_catalog;
\set VERBOSITY terse

CREATE FUNCTION make(n int) RETURNS jsonb LANGUAGE sql AS
$$ SELECT jsonb_build_object('domain', 'd' || n, 'filler', (SELECT string_agg(md5((n * i)::text), ' ') FROM generate_series(1, 300) i), 'zlast', 'z' || n) $$;
CREATE TABLE t AS SELECT n AS id, make(n) AS doc FROM generate_series(1, 20) n;
CREATE VIEW both_ways AS SELECT count(*) AS rows, count(privacy_scan.json_text(doc, 'zlast')) AS found,
  count(*) FILTER (WHERE privacy_scan.json_text(doc, 'zlast') IS DISTINCT FROM doc ->> 'zlast') AS differences FROM t;

-- DDL of all kinds in the same transaction after use.
BEGIN; TABLE both_ways; TRUNCATE t; TABLE both_ways; ROLLBACK;
BEGIN; SELECT count(privacy_scan.json_text(doc, 'domain')) FROM t; DROP TABLE t CASCADE; ROLLBACK;
BEGIN; SELECT count(privacy_scan.json_text(doc, 'domain')) FROM t; DROP VIEW both_ways;
ALTER TABLE t ALTER doc TYPE text USING privacy_scan.json_text(doc, 'domain'); SELECT min(doc), max(doc) FROM t; ROLLBACK;
BEGIN; TABLE both_ways; ALTER TABLE t ADD COLUMN filler uuid DEFAULT gen_random_uuid(); TABLE both_ways; ROLLBACK;
CREATE INDEX t_id ON t (id);
BEGIN; TABLE both_ways; CLUSTER t USING t_id; TABLE both_ways; COMMIT;
BEGIN; TABLE both_ways; REINDEX TABLE t; TABLE both_ways; COMMIT;

-- Between statements: every rewriting of the relation and of its TOAST relation's index.
VACUUM FULL t; TABLE both_ways;
SELECT format('REINDEX TABLE CONCURRENTLY %s', reltoastrelid::regclass) AS reindex FROM pg_class WHERE oid = 't'::regclass \gset
:reindex; TABLE both_ways;
REINDEX TABLE CONCURRENTLY t; TABLE both_ways;

-- In a function, in a DO block, under an open cursor.
CREATE FUNCTION use_and_drop() RETURNS text LANGUAGE plpgsql AS
$$ DECLARE found text; document jsonb; BEGIN
  CREATE TABLE passing AS SELECT make(1) AS doc;
  SELECT privacy_scan.json_text(doc, 'zlast') INTO found FROM passing;
  SELECT doc INTO document FROM passing;
  found := found || privacy_scan.json_text(document, 'domain');
  TRUNCATE passing;
  INSERT INTO passing SELECT make(2);
  SELECT found || privacy_scan.json_text(doc, 'zlast') INTO found FROM passing;
  DROP TABLE passing;
  RETURN found;
END $$;
SELECT use_and_drop();
BEGIN;
DECLARE c CURSOR FOR SELECT privacy_scan.json_text(doc, 'zlast') FROM t ORDER BY id;
FETCH 2 FROM c;
SAVEPOINT s;
FETCH 1 FROM c;
SELECT count(privacy_scan.json_text(doc, 'zlast')) FROM t;
ROLLBACK TO s;
FETCH 1 FROM c;
SAVEPOINT s;
TRUNCATE t; -- the cursor's query is in the way, as without us
ROLLBACK TO s;
CLOSE c;
TRUNCATE t;
ROLLBACK;
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT privacy_scan.json_text(doc, 'zlast') FROM t ORDER BY id;
COMMIT;
FETCH 2 FROM held;
CLOSE held;

-- Subtransactions: used first in one that is undone; an error in the middle of a query, many times.
BEGIN;
SAVEPOINT s;
TABLE both_ways;
ROLLBACK TO s;
TABLE both_ways;
COMMIT;
DO $$ DECLARE caught int := 0; BEGIN
  FOR i IN 1..200 LOOP
    BEGIN
      PERFORM 1 / (id - 10) FROM t WHERE privacy_scan.json_text(doc, 'zlast') IS NOT NULL ORDER BY id;
    EXCEPTION WHEN division_by_zero THEN caught := caught + 1;
    END;
  END LOOP;
  RAISE WARNING '% caught', caught;
END $$;
TABLE both_ways;

-- Rows of this transaction, changed between two looks.
BEGIN;
INSERT INTO t VALUES (100, make(100));
SELECT privacy_scan.json_text(doc, 'zlast') FROM t WHERE id = 100;
UPDATE t SET doc = make(101) WHERE id = 100;
SELECT privacy_scan.json_text(doc, 'zlast') FROM t WHERE id = 100;
SAVEPOINT s;
UPDATE t SET doc = make(102) WHERE id = 100;
SELECT privacy_scan.json_text(doc, 'zlast') FROM t WHERE id = 100;
ROLLBACK TO s;
SELECT privacy_scan.json_text(doc, 'zlast') FROM t WHERE id = 100;
ROLLBACK;

DROP SCHEMA json_transactions CASCADE;
