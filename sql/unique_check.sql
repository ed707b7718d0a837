-- Columns that stay unique in a partition set though its key is not among them. Concurrency: test/isolation, test/t/027_unique.pl.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE SCHEMA ps_unique;
SET search_path = ps_unique;
CREATE TABLE e (gone int, id text, at timestamp(3) NOT NULL, v int DEFAULT 0, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE INDEX ON e (v);
CREATE TABLE e_1 PARTITION OF e FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
-- One whose columns lie elsewhere, and one that is partitioned further.
CREATE TABLE e_2 (v int, spare int, at timestamp(3) NOT NULL, id text NOT NULL, gone int);
ALTER TABLE e_2 DROP COLUMN spare;
ALTER TABLE e ATTACH PARTITION e_2 FOR VALUES FROM ('2025-02-01') TO ('2025-03-01');
ALTER TABLE e DROP COLUMN gone;
CREATE TABLE e_3 PARTITION OF e FOR VALUES FROM ('2025-03-01') TO ('2025-04-01') PARTITION BY HASH (id);
CREATE TABLE e_3a PARTITION OF e_3 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE e_3b PARTITION OF e_3 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO e VALUES ('twice', '2025-01-05'), ('once', '2025-01-05'), ('twice', '2025-03-05'), ('same', '2025-02-01'), ('same', '2025-02-02');

-- What is there is looked at.
CALL privacy_scan.add_unique_check('e');
SELECT * FROM privacy_scan.find_duplicates('e');
SELECT key, rows FROM privacy_scan.find_duplicates('e', '{id,v}', most => 1);
SELECT count(*) FROM privacy_scan.unique_checks;
DELETE FROM e WHERE (id, at) IN (('twice', '2025-03-05'), ('same', '2025-02-02'));
CALL privacy_scan.add_unique_check('e', 'id');
CALL privacy_scan.add_unique_check('e');
SELECT * FROM privacy_scan.unique_checks;
SELECT tgrelid::regclass, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'privacy_scan_unique_id' AND tgparentid = 0;

-- In another partition, the same, a nested one; by every kind of statement.
INSERT INTO e VALUES ('once', '2025-02-05');
INSERT INTO e VALUES ('once', '2025-01-06');
INSERT INTO e_3 VALUES ('once', '2025-03-06');
INSERT INTO e_2 (id, at) VALUES ('once', '2025-02-06');
INSERT INTO e VALUES ('new', '2025-01-06'), ('new', '2025-02-06');
INSERT INTO e VALUES ('once', '2025-01-05') ON CONFLICT DO NOTHING;
INSERT INTO e VALUES ('once', '2025-01-05') ON CONFLICT (id, at) DO UPDATE SET v = e.v + 1 RETURNING v;
INSERT INTO e VALUES ('once', '2025-02-05') ON CONFLICT DO NOTHING;
INSERT INTO e VALUES ('once', '2025-02-05') ON CONFLICT (id) DO NOTHING;
COPY e (id, at) FROM stdin;
c1	2025-01-07
c2	2025-02-07
c1	2025-03-07
\.
COPY e (id, at) FROM stdin;
c1	2025-01-07
c2	2025-02-07
\.
MERGE INTO e USING (VALUES ('c1', timestamp '2025-03-09')) AS n (id, at) ON e.id = n.id AND e.at = n.at WHEN NOT MATCHED THEN INSERT (id, at) VALUES (n.id, n.at);
UPDATE e SET id = 'once' WHERE id = 'c1';
UPDATE e SET id = 'c2' WHERE id = 'c2';
UPDATE e SET at = '2025-03-09', v = 5 WHERE id = 'c1';
UPDATE e SET at = '2025-01-08' WHERE id = 'c1';
-- At the end of the statement: an exchange is none.
UPDATE e SET id = CASE id WHEN 'c1' THEN 'c2' ELSE 'c1' END WHERE id IN ('c1', 'c2');
WITH gone AS (DELETE FROM e WHERE id = 'c2' RETURNING id) INSERT INTO e SELECT id, '2025-03-10' FROM gone;
SELECT tableoid::regclass, id, at FROM e ORDER BY id;
-- Parts of a transaction that were rolled back, and ones that were not.
BEGIN;
SAVEPOINT s;
INSERT INTO e VALUES ('part', '2025-01-08');
ROLLBACK TO s;
INSERT INTO e VALUES ('part', '2025-02-08');
DELETE FROM e WHERE id = 'part';
INSERT INTO e VALUES ('part', '2025-03-08');
SAVEPOINT s;
INSERT INTO e VALUES ('part', '2025-01-08');
ROLLBACK TO s;
SET CONSTRAINTS ALL DEFERRED;
INSERT INTO e VALUES ('part', '2025-01-08');
ROLLBACK;
-- Triggers that come before, and change the row; a role for which others are silent.
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql SET search_path = ps_unique AS $$
BEGIN
  IF new.v = 1 THEN UPDATE e SET v = 11 WHERE id = new.id;
  ELSIF new.v = 2 THEN UPDATE e SET v = 12, at = at + interval '1 month' WHERE id = new.id;
  ELSIF new.v = 3 THEN DELETE FROM e WHERE id = new.id AND at = new.at;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER meddle AFTER INSERT ON e FOR EACH ROW EXECUTE FUNCTION meddle();
INSERT INTO e VALUES ('m1', '2025-01-09', 1), ('m2', '2025-01-09', 2);
INSERT INTO e VALUES ('m1', '2025-02-09', 1);
INSERT INTO e VALUES ('m2', '2025-01-09', 1);
INSERT INTO e VALUES ('m1', '2025-02-09', 3);
SELECT tableoid::regclass, id, v FROM e WHERE id LIKE 'm_' ORDER BY id;
DROP TRIGGER meddle ON e;
-- A trigger that changes the columns in an UPDATE which doesn't name them.
CREATE FUNCTION rename() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF new.v = 77 THEN new.id := 'once'; END IF; RETURN new; END $$;
CREATE TRIGGER rename BEFORE UPDATE ON e FOR EACH ROW EXECUTE FUNCTION rename();
SELECT state, gaps FROM privacy_scan.unique_checks;
CALL privacy_scan.add_unique_check('e');
SELECT state, gaps, columns FROM privacy_scan.unique_checks;
UPDATE e SET v = 77 WHERE id = 'm1';
UPDATE e SET v = 76 WHERE id = 'm1';
DROP TRIGGER rename ON e;
SET session_replication_role = replica;
INSERT INTO e VALUES ('m1', '2025-02-09');
RESET session_replication_role;

-- Whoever may not read the columns is not shown the key; what is looked at needs no right.
CREATE ROLE ps_unique_writer;
GRANT USAGE ON SCHEMA ps_unique TO ps_unique_writer;
GRANT INSERT ON e TO ps_unique_writer;
SET ROLE ps_unique_writer;
INSERT INTO e VALUES ('once', '2025-02-05');
INSERT INTO e VALUES ('theirs', '2025-02-05');
RESET ROLE;
GRANT SELECT (id) ON e TO ps_unique_writer;
SET ROLE ps_unique_writer;
INSERT INTO e VALUES ('once', '2025-02-05');
RESET ROLE;
ALTER TABLE e ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON e TO ps_unique_writer USING (id LIKE 'their%') WITH CHECK (true);
SET ROLE ps_unique_writer;
INSERT INTO e VALUES ('once', '2025-02-05');
SELECT count(*) FROM privacy_scan.unique_checks;
CALL privacy_scan.add_unique_check('e');
RESET ROLE;
ALTER TABLE e DISABLE ROW LEVEL SECURITY;

-- Partitions come and go; whoever attaches one with rows is not held up, and it shows.
CREATE TABLE e_4 PARTITION OF e FOR VALUES FROM ('2025-04-01') TO ('2025-05-01');
INSERT INTO e VALUES ('april', '2025-04-05');
INSERT INTO e VALUES ('april', '2025-01-05');
ALTER TABLE e DETACH PARTITION e_4;
INSERT INTO e_4 VALUES ('april', '2025-04-06');
INSERT INTO e VALUES ('april', '2025-01-05');
ALTER TABLE e ATTACH PARTITION e_4 FOR VALUES FROM ('2025-04-01') TO ('2025-05-01');
SELECT * FROM privacy_scan.find_duplicates('e');
TRUNCATE e_4;
-- Renamed, it goes on.
ALTER TABLE e RENAME id TO "Id";
INSERT INTO e VALUES ('once', '2025-02-05');
ALTER TABLE e RENAME "Id" TO id;
-- Switched off, by hand; on one partition.
ALTER TABLE e DISABLE TRIGGER privacy_scan_unique_id;
SELECT state, gaps FROM privacy_scan.unique_checks;
ALTER TABLE e ENABLE TRIGGER privacy_scan_unique_id;
ALTER TABLE e_2 DISABLE TRIGGER privacy_scan_unique_id;
SELECT state, gaps FROM privacy_scan.unique_checks;
SELECT privacy_scan.drop_unique_check('e', 'v'), privacy_scan.drop_unique_check('e', 'id'), privacy_scan.drop_unique_check('e');
SELECT count(*) FROM pg_trigger WHERE tgfoid = 'privacy_scan.check_unique()'::regprocedure;

-- Several columns in the order of the index or another; NULL equals nothing; case where the column has it so.
CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE f (a int, b text COLLATE nocase, at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE f_1 PARTITION OF f FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
CREATE TABLE f_2 PARTITION OF f FOR VALUES FROM ('2025-02-01') TO ('2025-03-01');
CALL privacy_scan.add_unique_check('f', 'a', 'b');
CREATE INDEX ON f (b COLLATE "C", a);
CREATE INDEX ON f (a, (b || ''), b);
CREATE INDEX ON f (b, a) WHERE a > 0;
CALL privacy_scan.add_unique_check('f', 'a', 'b');
CREATE INDEX f_key ON f (b, a DESC, at);
CALL privacy_scan.add_unique_check('f', 'a', 'b');
INSERT INTO f VALUES (1, 'x', '2025-01-01'), (1, 'y', '2025-02-01'), (2, 'x', '2025-02-01'), (NULL, 'x', '2025-01-01'), (NULL, 'x', '2025-02-01'), (1, NULL, '2025-01-01'), (1, NULL, '2025-02-01');
INSERT INTO f VALUES (1, 'X', '2025-02-02');
INSERT INTO f VALUES (2, NULL, '2025-01-02');
UPDATE f SET b = 'X' WHERE a = 2 AND b IS NULL;
UPDATE f SET b = 'Y' WHERE a = 1 AND b = 'y';
SELECT columns, state FROM privacy_scan.unique_checks;
-- The index went.
DROP INDEX f_key;
INSERT INTO f VALUES (5, 'x', '2025-01-01');
SELECT state, gaps FROM privacy_scan.unique_checks;
SELECT status, substring(detail FROM '\d+ unique.*') AS detail, next_step FROM privacy_scan.health() WHERE component = 'partition sets';
SELECT privacy_scan.drop_unique_check('f', 'b', 'a');

-- Errors.
CALL privacy_scan.add_unique_check('f');
CALL privacy_scan.add_unique_check('f', 'a', 'at');
CALL privacy_scan.add_unique_check('f', 'c');
CALL privacy_scan.add_unique_check('f', 'a', 'a');
CALL privacy_scan.add_unique_check('f', NULL);
CALL privacy_scan.add_unique_check('e_1', 'id');
CALL privacy_scan.add_unique_check(NULL);
BEGIN;
CALL privacy_scan.add_unique_check('e', 'id');
ROLLBACK;
SELECT privacy_scan.find_duplicates('e', most => 0);
SELECT privacy_scan.find_duplicates('e_1');
CREATE FOREIGN DATA WRAPPER ps_unique_nowhere;
CREATE SERVER ps_unique_nowhere FOREIGN DATA WRAPPER ps_unique_nowhere;
CREATE INDEX ON f (a);
CREATE FOREIGN TABLE f_far PARTITION OF f DEFAULT SERVER ps_unique_nowhere;
CALL privacy_scan.add_unique_check('f', 'a');
CREATE TRIGGER wrong BEFORE INSERT ON e FOR EACH ROW EXECUTE FUNCTION privacy_scan.check_unique();
INSERT INTO e VALUES ('wrong', '2025-01-01');
DROP TRIGGER wrong ON e;
-- What has no partitions can have one, too.
CREATE TABLE plain (a int, b int);
CREATE INDEX ON plain (a);
CREATE TRIGGER plain AFTER INSERT OR UPDATE OF a ON plain FOR EACH ROW EXECUTE FUNCTION privacy_scan.check_unique();
INSERT INTO plain VALUES (1), (2), (1);

DROP FOREIGN DATA WRAPPER ps_unique_nowhere CASCADE;
DROP SCHEMA ps_unique CASCADE;
DROP ROLE ps_unique_writer;
