-- A partition that holds many cells of its set's grid becomes one for each. Concurrency and crashes: test/t.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE SCHEMA split_test;
SET search_path = split_test, public;
CREATE TABLE "Scan" (id int PRIMARY KEY);
INSERT INTO "Scan" SELECT generate_series(1, 10);
CREATE TABLE "Evidence" (id int, "scanId" int REFERENCES "Scan" ON DELETE CASCADE, "createdAt" timestamp(3) NOT NULL,
    dropped int, n int DEFAULT 7, details jsonb, twice int GENERATED ALWAYS AS (id * 2) STORED, PRIMARY KEY ("createdAt", id))
    PARTITION BY RANGE ("createdAt");
CREATE INDEX ON "Evidence" ("scanId") WHERE n > 3;
CREATE TABLE "Evidence_wide" PARTITION OF "Evidence" FOR VALUES FROM (MINVALUE) TO ('2024-05-01');
ALTER TABLE "Evidence" DROP COLUMN dropped;
INSERT INTO "Evidence" (id, "scanId", "createdAt", n, details)
    SELECT n, 1 + n % 10, timestamp '2024-01-20' + n * interval '1 day', n, jsonb_build_object('n', repeat('x', n)) FROM generate_series(0, 99) n;
CREATE POLICY early ON "Evidence" TO pg_monitor, pg_read_all_data USING (n IS NOT NULL);
ALTER TABLE "Evidence" ADD COLUMN added text DEFAULT 'later', ADD COLUMN "otherId" int REFERENCES "Scan" ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;
DO $$ BEGIN PERFORM privacy_scan.manage_partitions('"Evidence"', 'createdAt', interval '1 month'); END $$;

-- Reasons why not.
SELECT * FROM privacy_scan.plan_split('"Scan"');
SELECT * FROM privacy_scan.plan_split(NULL);
SELECT * FROM privacy_scan.split_partition('"Evidence_default"');
CREATE TRIGGER own AFTER INSERT ON "Evidence_wide" FOR EACH STATEMENT EXECUTE FUNCTION privacy_scan.capture_change();
SELECT * FROM privacy_scan.split_partition('"Evidence_wide"');
DROP TRIGGER own ON "Evidence_wide";
CREATE TABLE child (at timestamp(3), id int, FOREIGN KEY (at, id) REFERENCES "Evidence_wide");
ALTER TABLE "Evidence" ADD COLUMN before timestamp(3), ADD COLUMN "beforeId" int, ADD CONSTRAINT itself FOREIGN KEY (before, "beforeId") REFERENCES "Evidence";
SELECT message, detail, hint FROM privacy_scan.plan_split('"Evidence_wide"') WHERE kind = 'refusal';
DROP TABLE child;
ALTER TABLE "Evidence" DROP COLUMN before, DROP COLUMN "beforeId";
SELECT * FROM privacy_scan.cancel_split('"Evidence_wide"');
BEGIN;
CALL privacy_scan.run_split('"Evidence_wide"');
ROLLBACK;
CREATE ROLE split_other;
GRANT USAGE ON SCHEMA split_test TO split_other;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA privacy_scan TO split_other;
SET ROLE split_other;
SELECT * FROM privacy_scan.split_partition('"Evidence_wide"');
RESET ROLE;

-- A disk that has too little room.
SET privacy_scan.split_disk_reserve = '1000 TB';
SELECT message, regexp_replace(detail, '\d+ MB', 'n MB', 'g') AS detail, hint FROM privacy_scan.plan_split('"Evidence_wide"') WHERE kind = 'refusal';
\set VERBOSITY sqlstate
SELECT * FROM privacy_scan.split_partition('"Evidence_wide"');
\set VERBOSITY default
RESET privacy_scan.split_disk_reserve;

-- The plan.
SELECT kind, lower, upper, message FROM privacy_scan.plan_split('"Evidence_wide"') WHERE kind <> 'note';

-- Cancelled, it is as it was.
CREATE VIEW relations AS SELECT relname FROM pg_class WHERE relnamespace = 'split_test'::regnamespace AND relkind = 'r' AND relname ~ '_wide|_2024|_changes|_twin';
SELECT step, state, message FROM privacy_scan.split_partition('"Evidence_wide"');
SELECT relname FROM relations ORDER BY 1;
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = '"Evidence_wide"'::regclass AND NOT tgisinternal;
SELECT privacy_scan.cancel_split('"Evidence_wide"');
SELECT relname FROM relations ORDER BY 1;
SELECT count(*) FROM pg_trigger WHERE tgrelid = '"Evidence_wide"'::regclass AND NOT tgisinternal;

-- What it rests on has changed: what the next step says, or '' where it goes on.
SELECT step, state FROM privacy_scan.split_partition('"Evidence_wide"');
CREATE FUNCTION after(ddl text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    said text;
BEGIN
    EXECUTE ddl;
    PERFORM privacy_scan.split_partition('"Evidence_wide"');
    RAISE SQLSTATE 'XX001';
EXCEPTION
    WHEN SQLSTATE 'XX001' THEN RETURN '';
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS said = PG_EXCEPTION_DETAIL;
        RETURN SQLSTATE || ' ' || said;
END $$;
CREATE TABLE ddl (n int GENERATED ALWAYS AS IDENTITY, statement text);
INSERT INTO ddl (statement) VALUES
    ('ALTER TABLE "Evidence" ADD COLUMN more int'),
    ('ALTER TABLE "Evidence" DROP COLUMN added'),
    ('ALTER TABLE "Evidence" RENAME COLUMN added TO named'),
    ('ALTER TABLE "Evidence" ALTER added TYPE varchar(40)'),
    ('ALTER TABLE "Evidence" ALTER n SET NOT NULL'),
    ('ALTER TABLE "Evidence" ADD CHECK (id >= 0) NOT VALID'),
    ('ALTER TABLE "Evidence" ALTER n SET DEFAULT 8'),
    ('ALTER TABLE "Evidence" ALTER n DROP DEFAULT'),
    ('ALTER TABLE "Evidence" ALTER twice DROP EXPRESSION'),
    ('ALTER TABLE "Evidence" ALTER details SET STORAGE EXTERNAL'),
    ('ALTER TABLE "Evidence" ALTER n SET STATISTICS 500'),
    ('ALTER TABLE "Evidence" REPLICA IDENTITY FULL'),
    ('GRANT SELECT (n) ON "Evidence" TO split_other'),
    ('GRANT DELETE ON "Evidence" TO split_other'),
    ('CREATE POLICY late ON "Evidence" USING (n > 0)'),
    ('ALTER POLICY early ON "Evidence" USING (n > 1)'),
    ('DROP POLICY early ON "Evidence"'),
    ('ALTER TABLE "Evidence" ENABLE ROW LEVEL SECURITY'),
    ('ALTER TABLE "Evidence" OWNER TO split_other'),
    ('CREATE TRIGGER late AFTER INSERT ON "Evidence" FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()'),
    ('CREATE TRIGGER late AFTER INSERT ON "Evidence_wide" FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()'),
    ('CREATE TABLE child (at timestamp(3), id int, FOREIGN KEY (at, id) REFERENCES "Evidence_wide")'),
    ('TRUNCATE "Evidence"'),
    ('ALTER TABLE "Evidence_wide" DISABLE TRIGGER privacy_scan_split');
SELECT statement, after(statement) FROM ddl ORDER BY n;

-- Its source is dropped meanwhile: what was made stays to be seen, and goes with the next split, of whatever it is.
CREATE VIEW leftovers AS SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^lost' AND relnamespace = 'split_test'::regnamespace;
CREATE TABLE lost (id bigint PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE lost_wide PARTITION OF lost FOR VALUES FROM (MINVALUE) TO (300);
INSERT INTO lost SELECT generate_series(0, 299);
DO $$ BEGIN PERFORM privacy_scan.manage_partitions('lost', 'id', 100::bigint, premake => 0); END $$;
SELECT step FROM privacy_scan.split_partition('lost_wide');
BEGIN;
DROP TABLE lost_wide;
SELECT step, pieces FROM privacy_scan.splits WHERE parent = 'lost'::regclass;
DROP TABLE lost;
SELECT step, pieces FROM privacy_scan.splits ORDER BY pieces;
SELECT relname ~ '_changes' AS changes, count(*) FROM leftovers GROUP BY 1 ORDER BY 1;
SELECT privacy_scan.cancel_split('"Evidence_wide"');
SELECT step FROM privacy_scan.split_partition('"Evidence_wide"');
SELECT partition, step FROM privacy_scan.splits;
SELECT * FROM leftovers;
ROLLBACK;
-- Or taken out of the set, which is dropped, and given to somebody else.
BEGIN;
ALTER TABLE lost DETACH PARTITION lost_wide;
DROP TABLE lost;
ALTER TABLE lost_wide OWNER TO split_other;
SELECT step, state, message FROM privacy_scan.split_partition('lost_wide');
SELECT * FROM leftovers;
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'lost_wide'::regclass;
ROLLBACK;
SELECT privacy_scan.cancel_split('lost_wide');
SELECT relname FROM leftovers ORDER BY 1;
DO $$ BEGIN PERFORM privacy_scan.unmanage_partitions('lost'); END $$;
DROP TABLE lost;

-- Step by step. Writers before the copy, after it, and after the indexes; an index that came meanwhile; the notes
-- of two changes of one key.
-- Others may have transactions under way, so that a step has to wait.
CREATE PROCEDURE until(wanted text) LANGUAGE plpgsql AS $$
BEGIN
    WHILE (SELECT s.step FROM privacy_scan.splits s) <> wanted LOOP
        PERFORM privacy_scan.split_partition('"Evidence_wide"');
        COMMIT;
    END LOOP;
END $$;
UPDATE "Evidence" SET n = 1000 WHERE id = 1;
CALL until('copy');
-- Others have filled the disk.
SET privacy_scan.split_disk_reserve = '1000 TB';
\set VERBOSITY sqlstate
SELECT * FROM privacy_scan.split_partition('"Evidence_wide"');
\set VERBOSITY default
RESET privacy_scan.split_disk_reserve;
CALL until('build indexes');
SELECT step, done = total AS whole, copied_rows FROM privacy_scan.splits;
-- A piece is as old as the oldest rows that it takes in.
SELECT bool_and(age(p.relfrozenxid) >= age(s.relfrozenxid) AND mxid_age(p.relminmxid) >= mxid_age(s.relminmxid)) AS old
    FROM privacy_scan.split_pieces x JOIN pg_class p ON p.oid = x.piece, pg_class s WHERE s.oid = '"Evidence_wide"'::regclass;
UPDATE "Evidence" SET n = 2000 WHERE id = 2;
UPDATE "Evidence" SET n = 2001 WHERE id = 2;
DELETE FROM "Evidence" WHERE id = 3;
UPDATE "Evidence" SET "createdAt" = "createdAt" + interval '1 month' WHERE id = 4;
INSERT INTO "Evidence" (id, "scanId", "createdAt") VALUES (500, 1, '2020-02-29'), (501, 1, '2024-04-30');
DELETE FROM "Scan" WHERE id = 5;
SET session_replication_role = replica;
UPDATE "Evidence" SET n = 6000 WHERE id = 6;
RESET session_replication_role;
BEGIN;
UPDATE "Evidence" SET n = 0;
ROLLBACK;
CREATE INDEX ON "Evidence" (lower(added));
CALL until('catch up');
-- What the caller himself has changed cannot be brought over yet.
BEGIN;
INSERT INTO "Evidence" (id, "scanId", "createdAt") VALUES (502, 1, '2024-04-29');
SELECT * FROM privacy_scan.split_partition('"Evidence_wide"');
ROLLBACK;
CALL until('wait for readers');
CALL until('switch');
BEGIN;
SAVEPOINT one;
UPDATE "Evidence" SET n = 2003 WHERE id = 2;
RELEASE one;
SELECT * FROM privacy_scan.split_partition('"Evidence_wide"');
ROLLBACK;
-- DEFAULT is not looked through for each piece.
INSERT INTO "Evidence" (id, "scanId", "createdAt") VALUES (900, 1, '2090-01-01');
BEGIN;
SELECT pg_stat_get_xact_numscans('"Evidence_default"'::regclass) AS before \gset
SELECT step, state FROM privacy_scan.split_partition('"Evidence_wide"');
SELECT pg_stat_get_xact_numscans('"Evidence_default"'::regclass) - :before AS scans;
ROLLBACK;
UPDATE "Evidence" SET n = 2002 WHERE id = 2;
CREATE INDEX ON "Evidence" (n);
CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY HASH (id);
CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 1, REMAINDER 0);
-- What somebody does in the last moment, the pieces have, too.
ALTER TABLE "Evidence" ALTER n SET DEFAULT 8, ALTER added DROP DEFAULT, ALTER details SET STORAGE EXTERNAL, ALTER added SET STATISTICS 50;
ALTER TABLE "Evidence" ADD CONSTRAINT late FOREIGN KEY ("otherId") REFERENCES parted, REPLICA IDENTITY FULL;
CREATE TRIGGER late BEFORE UPDATE ON "Evidence" FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE TABLE expected_rows AS SELECT * FROM "Evidence";
-- What would have been refused at the beginning still is.
BEGIN;
ALTER TABLE "Evidence" ADD FOREIGN KEY (id, "createdAt") REFERENCES "Evidence" (id, "createdAt");
SELECT * FROM privacy_scan.split_partition('"Evidence_wide"');
ROLLBACK;
CALL privacy_scan.run_split('"Evidence_wide"');
SELECT step, done = total AS copied, copied_rows, applied, pieces, last_error FROM privacy_scan.splits;
SELECT tableoid::regclass, count(*), min("createdAt"), max("createdAt") FROM "Evidence" GROUP BY 1 ORDER BY 3;
(TABLE "Evidence" EXCEPT TABLE expected_rows) UNION ALL (TABLE expected_rows EXCEPT TABLE "Evidence");
\d "Evidence_2024_02"
SELECT count(*) AS tables, attname, attstorage, pg_get_expr(adbin, adrelid) AS default, coalesce(attstattarget, -1) AS target, count(tgname) AS triggers, count(*) FILTER (WHERE relreplident = 'f') AS full
    FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid LEFT JOIN pg_attrdef ON adrelid = c.oid AND adnum = attnum
    LEFT JOIN pg_trigger ON tgrelid = c.oid AND tgname = 'late' WHERE relname ~ '^Evidence_2024_0[1-4]$' AND attname IN ('n', 'added', 'details') GROUP BY 2, 3, 4, 5 ORDER BY 2;
-- Foreign keys are those that PostgreSQL gives to a partition (whose number grows by the month).
SELECT count(*) = (SELECT count(*) FROM pg_inherits WHERE inhparent = '"Evidence"'::regclass) AS every, "like" FROM (SELECT concat_ws(' ', pg_get_constraintdef(k.oid), convalidated, conislocal, coninhcount, connoinherit, conparentid <> 0,
        (SELECT string_agg(concat_ws(' ', tgfoid::regproc, tgenabled, tgdeferrable, tginitdeferred, tgparentid <> 0, tgconstrindid::regclass), ', ' ORDER BY tgfoid) FROM pg_trigger WHERE tgconstraint = k.oid),
        (SELECT string_agg(concat_ws(' ', deptype, refclassid::regclass, attname, refobjid = conrelid), ', ' ORDER BY deptype, refclassid, attname, refobjid = conrelid) FROM pg_depend LEFT JOIN pg_attribute ON refobjsubid > 0 AND attrelid = refobjid AND attnum = refobjsubid
         WHERE classid = 'pg_constraint'::regclass AND objid = k.oid)) AS "like"
    FROM pg_constraint k JOIN pg_inherits ON inhrelid = conrelid WHERE inhparent = '"Evidence"'::regclass AND contype = 'f') k GROUP BY 2 ORDER BY 2;
EXPLAIN (COSTS OFF) SELECT * FROM "Evidence" WHERE "createdAt" = '2024-03-03' AND id = 9;
SELECT * FROM privacy_scan.split_partition('"Evidence_wide"') \gset
\echo :step :state
SELECT privacy_scan.cancel_split('"Evidence_wide"');
SELECT * FROM privacy_scan.split_partition('"Evidence_2024_02"');
-- A wish that comes after the end.
BEGIN;
SELECT step, state, message FROM privacy_scan.split_partition('"Evidence_wide"', drop_sources => true);
SELECT to_regclass('"Evidence_wide"');
ROLLBACK;
DROP TABLE "Evidence_wide";
SELECT count(*) FROM privacy_scan.splits;

-- Of a whole number key, up to MAXVALUE; the pieces come to another volume.
SET allow_in_place_tablespaces = true;
CREATE TABLESPACE split_elsewhere LOCATION '';
CREATE TABLE numbers (id bigint PRIMARY KEY, payload text) PARTITION BY RANGE (id);
CREATE TABLE numbers_wide PARTITION OF numbers FOR VALUES FROM (MINVALUE) TO (MAXVALUE);
INSERT INTO numbers SELECT n, n FROM generate_series(-150, 250, 10) n;
DO $$ BEGIN PERFORM privacy_scan.manage_partitions('numbers', 'id', 100::bigint, premake => 0); END $$;
ALTER TABLE numbers SET TABLESPACE split_elsewhere;
CALL privacy_scan.run_split('numbers_wide');
SELECT relname, reltablespace = (SELECT oid FROM pg_tablespace WHERE spcname = 'split_elsewhere') AS elsewhere FROM pg_class WHERE relname ~ '^numbers_[0-9w]' AND relkind = 'r' ORDER BY 1;
SELECT tableoid::regclass, count(*), min(id), max(id) FROM numbers GROUP BY 1 ORDER BY 3;
SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relispartition AND relkind = 'r' AND relname LIKE 'numbers%' ORDER BY 1;

-- Blocks at the end that vacuum cuts off between two batches: where nobody keeps it from that.
CREATE TABLE cut (id bigint PRIMARY KEY, pad text) PARTITION BY RANGE (id);
CREATE TABLE cut_wide PARTITION OF cut FOR VALUES FROM (MINVALUE) TO (2000) WITH (autovacuum_enabled = off);
ALTER TABLE cut_wide ALTER pad SET STORAGE PLAIN;
INSERT INTO cut SELECT n, repeat('x', 5000) FROM generate_series(0, 1299) n;
DO $$ BEGIN PERFORM privacy_scan.manage_partitions('cut', 'id', 1000::bigint, premake => 0); END $$;
DO $$
BEGIN
    WHILE coalesce((SELECT done FROM privacy_scan.splits WHERE partition = 'cut_wide'::regclass), 0) = 0 LOOP
        PERFORM privacy_scan.split_partition('cut_wide');
        COMMIT;
    END LOOP;
END $$;
SELECT step, done, total FROM privacy_scan.splits WHERE partition = 'cut_wide'::regclass;
DELETE FROM cut WHERE id >= 800;
VACUUM cut_wide;
INSERT INTO cut VALUES (1500, 'anew');
CALL privacy_scan.run_split('cut_wide');
SELECT tableoid::regclass, count(*), sum(id) FROM cut GROUP BY 1 ORDER BY 1;

DROP SCHEMA split_test CASCADE;
DROP TABLESPACE split_elsewhere;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA privacy_scan FROM split_other;
DROP ROLE split_other;
