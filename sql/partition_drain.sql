-- Rows that landed in DEFAULT get partitions of their own: all of them, once, without a trigger or a foreign key noticing.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ps_drain;
SET search_path = ps_drain;
SET timezone = 'UTC';
SET datestyle = 'ISO';

-- A table with a history: dropped columns, one added later with a default (kept in the catalog, not in the rows), a generated one, large values.
CREATE TABLE t (
    gone  int,
    id    bigint NOT NULL,
    at    timestamp(3) NOT NULL,
    doc   text,
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE INDEX t_at ON t (at);
CREATE INDEX t_doc ON t (md5(doc)) WHERE id % 2 = 0;
CREATE TABLE t_rest PARTITION OF t FOR VALUES FROM ('2020-06-01') TO ('2200-01-01');
CREATE TABLE t_other (at timestamp(3) NOT NULL, doc text, spare int, id bigint NOT NULL, gone int);
ALTER TABLE t_other DROP COLUMN spare;
ALTER TABLE t ATTACH PARTITION t_other DEFAULT;
ALTER TABLE t ALTER doc SET STORAGE EXTERNAL;
INSERT INTO t SELECT 1, n, timestamp '2020-01-01' + n * interval '1 hour', CASE WHEN n % 100 = 0 THEN repeat('large ' || n, 2000) ELSE 'small ' || n END
FROM generate_series(0, 2999) n;
ALTER TABLE t DROP COLUMN gone;
ALTER TABLE t ADD COLUMN later int NOT NULL DEFAULT 42;
ALTER TABLE t ADD COLUMN twice bigint GENERATED ALWAYS AS (id * 2) STORED;
ALTER TABLE t ADD COLUMN last_one text DEFAULT 'end';
-- Versions that are dead, updated, and rolled back.
UPDATE t SET doc = doc || '!' WHERE id BETWEEN 10 AND 20;
DELETE FROM t WHERE id BETWEEN 2900 AND 2999;
BEGIN; INSERT INTO t (id, at) VALUES (-1, '2020-01-05'); UPDATE t SET doc = 'undone' WHERE id = 30; ROLLBACK;
-- Far off: stay, and are reported.
INSERT INTO t (id, at, doc) VALUES (5001, 'infinity', repeat('x', 9000)), (5002, '-infinity', 'x'), (5003, '0044-03-15 BC', 'x'), (5004, '1500-01-01', 'x'),
    (5005, '9999-12-31 23:00', 'x'), (5006, '294276-12-31', 'x');

-- A table that refers to it, and triggers that would tell.
CREATE TABLE child (t_id bigint, t_at timestamp(3), FOREIGN KEY (t_id, t_at) REFERENCES t ON DELETE CASCADE ON UPDATE CASCADE);
INSERT INTO child SELECT id, at FROM t WHERE id % 10 = 0;
CREATE TABLE log (what text);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO ps_drain.log VALUES (TG_OP || ' ' || TG_LEVEL); RETURN coalesce(NEW, OLD); END $$;
CREATE TRIGGER a BEFORE INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER b AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER c AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON t FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE CONSTRAINT TRIGGER d AFTER INSERT OR UPDATE OR DELETE ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tell();
ALTER TABLE t ENABLE ALWAYS TRIGGER a;

CREATE VIEW sums AS SELECT count(*) AS rows, md5(string_agg(t::text, ',' ORDER BY id)) AS digest FROM t;
CREATE TEMPORARY TABLE before AS SELECT * FROM sums;
SELECT rows FROM before;

SELECT partition, lower_bound, action, rows, sqlstate FROM privacy_scan.manage_partitions('t', 'at', '1 month', premake => 0);
SELECT s = b AS unchanged FROM sums s, before b;
SELECT tableoid::regclass AS partition, count(*), min(at), max(at) FROM t GROUP BY 1 ORDER BY 3;
SELECT count(*) AS fired FROM log;
SELECT count(*) AS children, count(*) FILTER (WHERE EXISTS (SELECT FROM t WHERE (id, at) = (t_id, t_at))) AS with_parent FROM child;
-- Nothing more to move.
SELECT partition, action, rows FROM privacy_scan.drain_default('t');
SELECT default_rows FROM privacy_scan.partition_sets WHERE relation = 't'::regclass;
-- Indexes agree with the rows; keys and foreign keys still hold.
SET enable_seqscan = off; SET enable_bitmapscan = off;
SELECT count(*) FROM t WHERE at >= '2020-01-01' AND at < '2020-06-01';
SELECT count(*) FROM t WHERE md5(doc) = md5('small 14!') AND id % 2 = 0;
RESET enable_seqscan; RESET enable_bitmapscan;
INSERT INTO t (id, at) VALUES (14, '2020-01-01 14:00');
INSERT INTO child VALUES (14, '2020-01-01 15:00');
ALTER TABLE t DISABLE TRIGGER a, DISABLE TRIGGER b, DISABLE TRIGGER c, DISABLE TRIGGER d;
DELETE FROM t WHERE id = 100;
SELECT count(*) FROM child WHERE t_id = 100;

-- Damage would show here.
CREATE FUNCTION damage() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE found bigint := 0; n bigint; r record;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'amcheck') THEN RETURN 0; END IF;
  CREATE EXTENSION IF NOT EXISTS amcheck SCHEMA ps_drain;
  FOR r IN SELECT inhrelid::regclass AS rel FROM pg_inherits i JOIN pg_class c ON c.oid = inhrelid
           WHERE c.relkind = 'r' AND c.relnamespace = 'ps_drain'::regnamespace LOOP
    IF current_setting('server_version_num')::int >= 140000 THEN
      EXECUTE format('SELECT count(*) FROM ps_drain.verify_heapam(%L, check_toast => true)', r.rel) INTO n;
      found := found + n;
    END IF;
    PERFORM ps_drain.bt_index_check(indexrelid, true) FROM pg_index WHERE indrelid = r.rel;
  END LOOP;
  RETURN found;
END $$;
SELECT damage();
VACUUM FREEZE t;
SELECT damage();
SELECT sums.rows = before.rows - 1 AS all_there FROM sums, before;

-- batch_rows: whole cells up to that many rows; a larger cell stays and says what it takes.
CREATE TABLE b (id integer NOT NULL, v text) PARTITION BY RANGE (id);
SELECT count(*) FROM privacy_scan.manage_partitions('b', 'id', 100, premake => 0);
INSERT INTO b SELECT n FROM generate_series(1000, 1249) n;
INSERT INTO b SELECT n FROM generate_series(1300, 1309) n;
SELECT partition, lower_bound, upper_bound, action, rows, message FROM privacy_scan.drain_default('b', 99);
SELECT partition, action, rows FROM privacy_scan.drain_default('b', 100);
SELECT partition, action, rows FROM privacy_scan.drain_default('b', 100);
SELECT partition, action, rows FROM privacy_scan.drain_default('b', 1);
SELECT partition, action, rows FROM privacy_scan.drain_default('b', 50);
SELECT partition, action, rows FROM privacy_scan.drain_default('b', 2147483647);
SELECT count(*), sum(id), count(*) FILTER (WHERE tableoid = 'b_default'::regclass) AS left FROM b;

-- The window: rows further from the clock than privacy_scan.partition_max_ahead cells stay.
SET privacy_scan.partition_max_ahead = 2;
INSERT INTO b VALUES (1599), (1600), (-2147483648);
SELECT partition, action, rows FROM privacy_scan.drain_default('b');
SELECT partition, action, rows FROM privacy_scan.drain_default('b');
RESET privacy_scan.partition_max_ahead;
-- maintain_partitions() drains, too; ensure_partitions() leaves a cell that DEFAULT has rows of to draining.
INSERT INTO b VALUES (3000);
SELECT partition, action, rows FROM privacy_scan.ensure_partitions('b', 2900, 3200);
SELECT partition, action, rows FROM privacy_scan.maintain_partitions('b');

-- Rows of the very transaction that drains: inserted, updated, deleted, rolled back to a savepoint.
BEGIN;
INSERT INTO b VALUES (5000, 'kept'), (5001, 'deleted'), (5002, 'updated');
SAVEPOINT s; INSERT INTO b VALUES (5003, 'undone'); ROLLBACK TO s;
DELETE FROM b WHERE id = 5001;
UPDATE b SET v = 'new' WHERE id = 5002;
SELECT partition, action, rows FROM privacy_scan.drain_default('b');
SELECT tableoid::regclass, id, v FROM b WHERE id >= 5000 ORDER BY 2;
UPDATE b SET v = v || '+' WHERE id = 5000;
COMMIT;
SELECT tableoid::regclass, id, v FROM b WHERE id >= 5000 ORDER BY 2;
-- Undone, all is as it was.
INSERT INTO b VALUES (7000);
BEGIN; SELECT partition, action, rows FROM privacy_scan.drain_default('b'); ROLLBACK;
SELECT tableoid::regclass, id FROM b WHERE id = 7000;
BEGIN; SAVEPOINT s; SELECT count(*) FROM privacy_scan.drain_default('b'); ROLLBACK TO s; SELECT count(*) FROM privacy_scan.drain_default('b'); COMMIT;
SELECT tableoid::regclass, id FROM b WHERE id = 7000;
-- A cursor that reads DEFAULT stands in the way, clearly.
INSERT INTO b VALUES (7500);
BEGIN; DECLARE c CURSOR FOR SELECT * FROM b; FETCH 1 FROM c; SELECT 1 FROM privacy_scan.drain_default('b'); ROLLBACK;
-- The procedure commits each batch.
INSERT INTO b SELECT n FROM generate_series(8000, 8399) n;
CALL privacy_scan.run_drain('b', 100);
SELECT tableoid::regclass, count(*) FROM b WHERE id >= 7000 GROUP BY 1 ORDER BY 1;

-- A row of a deferred constraint's transaction; a foreign key from the table; one to itself.
CREATE TABLE ref (id int PRIMARY KEY);
INSERT INTO ref VALUES (1);
CREATE TABLE f (id int NOT NULL PRIMARY KEY, ref int REFERENCES ref DEFERRABLE INITIALLY DEFERRED, self int REFERENCES f) PARTITION BY RANGE (id);
SELECT count(*) FROM privacy_scan.manage_partitions('f', 'id', 10, premake => 0);
BEGIN;
INSERT INTO f VALUES (100, 1, NULL), (101, 1, 100), (250, 1, 101);
SELECT partition, action, rows FROM privacy_scan.drain_default('f');
COMMIT;
BEGIN;
INSERT INTO f VALUES (300, 7, NULL);
SELECT 1 FROM privacy_scan.drain_default('f');
ROLLBACK;
\set VERBOSITY sqlstate
DELETE FROM f WHERE id = 100;
\set VERBOSITY terse
SELECT tableoid::regclass, * FROM f ORDER BY id;

-- A DEFAULT partition that isn't a plain table.
CREATE TABLE p (id int NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE p_default PARTITION OF p DEFAULT PARTITION BY LIST (id);
CREATE TABLE p_default_1 PARTITION OF p_default DEFAULT;
INSERT INTO p VALUES (55);
SELECT partition, action FROM privacy_scan.manage_partitions('p', 'id', 10, premake => 0);
SELECT partition, action, rows, message FROM privacy_scan.drain_default('p');

DROP SCHEMA ps_drain CASCADE;
