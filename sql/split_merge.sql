-- Adjacent partitions become one, and what a changed interval asks for is done in the background. Concurrency and crashes: test/t.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE SCHEMA merge_test;
SET search_path = merge_test, public;
CREATE TABLE "Scan" (id int PRIMARY KEY);
INSERT INTO "Scan" SELECT generate_series(1, 10);
-- Partitions whose columns lie otherwise than the parent's.
CREATE TABLE "Evidence" (id int, "scanId" int REFERENCES "Scan" ON DELETE CASCADE, dropped int, "createdAt" timestamp(3) NOT NULL, n int,
    details text, PRIMARY KEY (id, "createdAt")) PARTITION BY RANGE ("createdAt");
CREATE INDEX ON "Evidence" ("scanId");
CREATE TABLE first (details text, "createdAt" timestamp(3) NOT NULL, n int, dropped int, gone int, "scanId" int, id int NOT NULL);
ALTER TABLE first DROP COLUMN gone;
ALTER TABLE "Evidence" ATTACH PARTITION first FOR VALUES FROM ('2024-02-01') TO ('2024-02-10');
CREATE TABLE second PARTITION OF "Evidence" FOR VALUES FROM ('2024-02-10') TO ('2024-02-20');
ALTER TABLE "Evidence" DROP COLUMN dropped;
CREATE TABLE third PARTITION OF "Evidence" FOR VALUES FROM ('2024-02-20') TO ('2024-03-01');
CREATE TABLE fourth PARTITION OF "Evidence" FOR VALUES FROM ('2024-03-01') TO ('2024-03-10');
CREATE TABLE far PARTITION OF "Evidence" FOR VALUES FROM ('2024-06-01') TO ('2100-01-01');
DO $$ BEGIN PERFORM privacy_scan.manage_partitions('"Evidence"', 'createdAt', interval '1 day', premake => 0); END $$;
INSERT INTO "Evidence" SELECT n, 1 + n % 10, timestamp '2024-02-01' + n * interval '9 hours', n, repeat(md5(n::text), n) FROM generate_series(0, 99) n;

-- Reasons why not.
SELECT * FROM privacy_scan.plan_merge('{first}');
SELECT * FROM privacy_scan.merge_partitions(NULL);
SELECT * FROM privacy_scan.merge_partitions('{first,NULL}');
SELECT * FROM privacy_scan.merge_partitions('{first,third}');
SELECT * FROM privacy_scan.merge_partitions('{first,first,second}');
SELECT * FROM privacy_scan.merge_partitions(ARRAY['first', '"Scan"']::regclass[]);
SELECT * FROM privacy_scan.merge_partitions(ARRAY['second', '"Evidence_default"']::regclass[]);
SELECT * FROM privacy_scan.merge_partitions(array_fill('first'::regclass, ARRAY[65]));
CREATE TABLE other (at date NOT NULL, PRIMARY KEY (at)) PARTITION BY RANGE (at);
CREATE TABLE other_1 PARTITION OF other FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
SELECT * FROM privacy_scan.merge_partitions('{first,other_1}');
SELECT * FROM privacy_scan.plan_split('other_1');
CREATE TABLE early (at timestamptz PRIMARY KEY) PARTITION BY RANGE (at);
CREATE TABLE early_1 PARTITION OF early FOR VALUES FROM (MINVALUE) TO ('2100-01-01');
DO $$ BEGIN PERFORM privacy_scan.manage_partitions('early', 'at', interval '1 month', premake => 0); END $$;
SELECT * FROM privacy_scan.split_partition('early_1');
INSERT INTO early VALUES ('-infinity'), ('2024-01-01');
SELECT * FROM privacy_scan.split_partition('early_1');
SELECT kind, message, detail FROM privacy_scan.plan_split('early_1') WHERE kind = 'refusal';
CREATE TRIGGER own AFTER INSERT ON third FOR EACH STATEMENT EXECUTE FUNCTION privacy_scan.capture_change();
SELECT * FROM privacy_scan.merge_partitions('{first,second,third}');
DROP TRIGGER own ON third;
SELECT kind, lower, upper, message FROM privacy_scan.plan_merge('{third,first,second}');

-- Cancelled by any of them, all are as they were.
SELECT step, state, message FROM privacy_scan.merge_partitions('{third,first,second}');
SELECT * FROM privacy_scan.merge_partitions('{first,second}');
SELECT * FROM privacy_scan.split_partition('second');
SELECT privacy_scan.cancel_split('third');
SELECT count(*) FROM pg_trigger WHERE tgname = 'privacy_scan_split';
SELECT count(*) FROM pg_class WHERE relnamespace = 'merge_test'::regnamespace AND relname ~ '_2024_02$|_changes$';

-- Step by step, with changes after the copy: also rows that go from one source to another, and out and in.
CREATE PROCEDURE until(wanted text) LANGUAGE plpgsql AS $$
BEGIN
    WHILE (SELECT s.step FROM privacy_scan.splits s) <> wanted LOOP
        PERFORM privacy_scan.merge_partitions('{first,second,third}');
        COMMIT;
    END LOOP;
END $$;
SELECT step FROM privacy_scan.merge_partitions('{first,second,third}');
CALL until('build indexes');
SELECT sources, pieces, done = total AS whole, copied_rows FROM privacy_scan.splits;
UPDATE "Evidence" SET "createdAt" = "createdAt" + interval '9 days' WHERE id IN (1, 2, 3);
UPDATE "Evidence" SET "createdAt" = timestamp '2024-06-02' WHERE id = 4;
UPDATE "Evidence" SET "createdAt" = timestamp '2024-02-25' WHERE id = 99;
UPDATE "Evidence" SET n = -n WHERE id IN (10, 30, 60);
DELETE FROM "Evidence" WHERE id IN (11, 31, 61);
DELETE FROM "Scan" WHERE id = 9;
INSERT INTO "Evidence" VALUES (11, 2, '2024-02-11', 0, 'anew'), (500, 1, '2024-02-01', 1, repeat('x', 5000)), (501, 1, '2024-02-29 23:59', 1, NULL);
CREATE TABLE expected_rows AS SELECT * FROM "Evidence";
CALL privacy_scan.run_merge('{third,second,first}');
SELECT step, applied > 10 AS applied, last_error FROM privacy_scan.splits;
(TABLE "Evidence" EXCEPT TABLE expected_rows) UNION ALL (TABLE expected_rows EXCEPT TABLE "Evidence");
SELECT tableoid::regclass, count(*), min("createdAt"), max("createdAt") FROM "Evidence" GROUP BY 1 ORDER BY 3;
\d "Evidence_2024_02"
SELECT conrelid::regclass, contype FROM pg_constraint WHERE conrelid IN ('first'::regclass, 'second'::regclass, 'third'::regclass) ORDER BY 1, 2;
SELECT count(*) FROM pg_trigger WHERE tgname = 'privacy_scan_split';
SELECT privacy_scan.cancel_split('second');
DROP TABLE first, second, third;
SELECT count(*) FROM privacy_scan.splits;

-- In the background: the job does it and comes to rest. Retention may take a part of it, or all, meanwhile.
CREATE TABLE log (id bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), note text) PARTITION BY RANGE (id);
CREATE TABLE log_wide PARTITION OF log FOR VALUES FROM (MINVALUE) TO (1000);
DO $$ BEGIN PERFORM privacy_scan.manage_partitions('log', 'id', 100::bigint, premake => 0, start => 1000); END $$;
INSERT INTO log SELECT n, now(), 'note ' || n FROM generate_series(650, 1049) n;
SET privacy_scan.partition_max_created = 3;
SELECT * FROM privacy_scan.split_partition('log_wide');
RESET privacy_scan.partition_max_created;
SELECT step, state, message FROM privacy_scan.split_partition('log_wide', background => true);
SELECT step, state, message FROM privacy_scan.split_partition('log_wide', background => true);
SELECT job, schedule, state FROM privacy_scan.jobs WHERE object = 'log'::regclass ORDER BY job;
-- Where others have transactions under way it takes more than one run.
CREATE PROCEDURE finish(name text) LANGUAGE plpgsql AS $$
BEGIN
    WHILE EXISTS (SELECT FROM privacy_scan.jobs WHERE job = 'splits merge_test.' || name AND state <> 'done') LOOP
        CALL privacy_scan.run_job('splits ' || name);
    END LOOP;
END $$;
-- A rest that would outlast the job's slice ends it: at 1 kB a second there is one of some seconds after the copy, and no index yet.
SET privacy_scan.split_rate = 1;
SET privacy_scan.split_slice = '1s';
CALL privacy_scan.run_job('splits log');
SELECT step IN ('wait for writers', 'copy', 'build indexes') AS has_ended FROM privacy_scan.splits;
RESET privacy_scan.split_slice;
RESET privacy_scan.split_rate;
CALL finish('log');
SELECT state, last_outcome, message FROM privacy_scan.jobs WHERE job = 'splits merge_test.log';
SELECT outcome, sum(rows) AS rows, sum(partitions) AS partitions FROM privacy_scan.job_runs WHERE job = 'splits merge_test.log' GROUP BY 1;
SELECT partition, step, in_background, waiting FROM privacy_scan.splits;
SELECT tableoid::regclass, count(*) FROM log GROUP BY 1 ORDER BY min(id);
CALL privacy_scan.run_job('splits "Evidence"');
-- What it cannot go on with is a failure that says so, until it is cancelled.
DROP TABLE log_wide;
SELECT step, message FROM privacy_scan.merge_partitions(ARRAY(SELECT inhrelid FROM pg_inherits JOIN pg_class ON oid = inhrelid
    WHERE inhparent = 'log'::regclass AND relname ~ '00$' ORDER BY 1 DESC)::regclass[], background => true, drop_sources => true);
TRUNCATE log_800;
CALL privacy_scan.run_job('splits log');
SELECT state, sqlstate, message FROM privacy_scan.jobs WHERE job = 'splits merge_test.log';
SELECT partition, sources, step, last_error FROM privacy_scan.splits;
SELECT privacy_scan.cancel_split('log_900');
SELECT count(*) FROM privacy_scan.jobs WHERE job = 'splits merge_test.log';
-- A source that is taken out of the set ends it.
SELECT step, message FROM privacy_scan.merge_partitions('{log_600,log_700}', background => true);
BEGIN;
ALTER TABLE log DETACH PARTITION log_600;
SELECT step, state, message FROM privacy_scan.merge_partitions('{log_600,log_700}');
ROLLBACK;
CALL finish('log');
SELECT partition, step FROM privacy_scan.splits;
CREATE TABLE root (id int PRIMARY KEY, at timestamp(3));
CREATE TABLE child (id int, root int REFERENCES root ON DELETE CASCADE, at timestamp(3) NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE INDEX ON child (root);
CREATE TABLE later PARTITION OF child FOR VALUES FROM ('2024-06-01') TO ('2100-01-01');
DO $$ BEGIN PERFORM privacy_scan.manage_partitions('child', 'at', interval '1 month', premake => 0, start => '2024-01-01 00:00+00'); END $$;
INSERT INTO root SELECT n, timestamp '2024-01-01' + n * interval '1 day' FROM generate_series(0, 150) n;
INSERT INTO child SELECT n, n, timestamp '2024-01-01' + n * interval '1 day' FROM generate_series(0, 150) n;
SET privacy_scan.retention_whole_rows = 10;
SELECT privacy_scan.set_retention('root', '1 year', 'at') IS NOT NULL AS set;
SELECT step, message FROM privacy_scan.merge_partitions('{child_2024_01,child_2024_02}', background => true);
VACUUM child;
CALL privacy_scan.run_retention('root', '2025-02-15 00:00+00', force => true);
SELECT leaf, rows FROM privacy_scan.archives WHERE leaf ~ 'child' ORDER BY leaf;
CALL finish('child');
SELECT count(*) FROM privacy_scan.jobs WHERE job = 'splits merge_test.child';
SELECT count(*) FROM pg_trigger WHERE tgname = 'privacy_scan_split';
SELECT relname FROM pg_class WHERE relnamespace = 'merge_test'::regnamespace AND relname ~ 'changes$|_q1$';
SELECT count(*), min(at) FROM child;

-- Another interval: what exists is brought to it, merged, split or both.
SELECT * FROM privacy_scan.plan_reshape('"Scan"');
SELECT privacy_scan.reshape_partitions('log');
SELECT privacy_scan.cancel_reshape('log');
CREATE TABLE grid (id bigint PRIMARY KEY, note text) PARTITION BY RANGE (id);
DO $$ BEGIN PERFORM privacy_scan.manage_partitions('grid', 'id', 40::bigint, premake => 0, start => 0); END $$;
INSERT INTO grid SELECT n, n FROM generate_series(0, 399) n;
DO $$ BEGIN PERFORM privacy_scan.ensure_partitions('grid', 0, 400); PERFORM privacy_scan.drain_default('grid'); END $$;
SELECT tableoid::regclass, count(*) FROM grid GROUP BY 1 ORDER BY min(id);
DO $$ BEGIN PERFORM privacy_scan.set_partitions('grid', step => 100); END $$;
-- Foreign keys to the set hold all the time, of plain and of partitioned relations.
CREATE TABLE plain (id int PRIMARY KEY, grid bigint REFERENCES grid ON DELETE CASCADE);
CREATE TABLE parted (id int, grid bigint REFERENCES grid DEFERRABLE INITIALLY DEFERRED, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (200);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (200) TO (1000);
INSERT INTO plain SELECT n, n FROM generate_series(0, 399, 2) n;
INSERT INTO parted SELECT n, n FROM generate_series(1, 399, 2) n;
SELECT step, lower, upper, sources FROM privacy_scan.plan_reshape('grid');
SELECT privacy_scan.reshape_partitions('grid', drop_sources => true);
SELECT state FROM privacy_scan.jobs WHERE job = 'splits merge_test.grid';
CALL finish('grid');
SELECT tableoid::regclass, count(*), min(id) FROM grid GROUP BY 1 ORDER BY 3;
SELECT count(*) FROM privacy_scan.plan_reshape('grid');
SELECT conrelid::regclass, confrelid::regclass, convalidated FROM pg_constraint WHERE contype = 'f' AND connamespace = 'merge_test'::regnamespace
    AND conrelid IN ('plain'::regclass, 'parted'::regclass) AND confrelid <> 'grid_default'::regclass ORDER BY conrelid, confrelid::regclass::text;
DELETE FROM grid WHERE id = 150;
SELECT count(*) FROM plain;
DELETE FROM grid WHERE id = 151;
INSERT INTO plain VALUES (1000, 150);
INSERT INTO parted VALUES (202, 202), (0, 0);
DROP TABLE plain, parted;
SELECT privacy_scan.reshape_partitions('grid');
SELECT state, last_outcome FROM privacy_scan.jobs WHERE job = 'splits merge_test.grid';
SELECT relname FROM pg_class WHERE relnamespace = 'merge_test'::regnamespace AND relname ~ '^grid' AND relkind = 'r' ORDER BY 1;

SET client_min_messages = error;
DROP SCHEMA merge_test CASCADE;
DROP SCHEMA IF EXISTS merge_test_archive CASCADE;
DELETE FROM privacy_scan.archive_ledger;
