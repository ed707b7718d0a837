-- A plain table becomes a partition set over ids that carry time: the primary key, and foreign keys to the table, stay.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ps_adopt_id;
SET search_path = ps_adopt_id;
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE FUNCTION cuid(at timestamptz, n int) RETURNS text LANGUAGE sql AS
$$ SELECT privacy_scan.key_at('cuid', at) || lpad(n::text, 16, '0') $$;

CREATE TABLE "Scan" (id text COLLATE "C" PRIMARY KEY, status text, "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE "Evidence" (id text COLLATE "C" PRIMARY KEY, title text,
    "scanId" text COLLATE "C" NOT NULL REFERENCES "Scan" ON UPDATE CASCADE ON DELETE CASCADE, "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE note (id int PRIMARY KEY, scan text REFERENCES "Scan" MATCH FULL ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED,
    other text CONSTRAINT "other's" REFERENCES "Scan");
COMMENT ON CONSTRAINT "other's" ON note IS 'it''s other';
INSERT INTO "Scan" SELECT cuid(d, n), 'done', d FROM generate_series(1, 300) n, LATERAL (SELECT now() AT TIME ZONE 'UTC' - n * interval '12 hours') t (d);
INSERT INTO "Evidence" SELECT cuid("createdAt", row_number() OVER (ORDER BY id)::int), 'x', id, "createdAt" FROM "Scan";
INSERT INTO note SELECT row_number() OVER (ORDER BY id), id, id FROM "Scan" LIMIT 10;

CREATE VIEW keys AS SELECT c.oid, c.conrelid::regclass AS relation, c.conname, c.convalidated AS valid, pg_get_constraintdef(c.oid) AS definition, obj_description(c.oid) AS comment
FROM pg_constraint c WHERE c.contype = 'f' AND c.conparentid = 0 AND c.connamespace = 'ps_adopt_id'::regnamespace ORDER BY conname;
CREATE TABLE before AS SELECT * FROM keys;
CREATE VIEW changed AS (SELECT '-' AS side, relation, conname, valid, definition, comment FROM before EXCEPT SELECT '-', relation, conname, valid, definition, comment FROM keys)
    UNION ALL (SELECT '+', relation, conname, valid, definition, comment FROM keys EXCEPT SELECT '+', relation, conname, valid, definition, comment FROM before);

-- The plan says which key, and why.
SELECT kind, step, action, regexp_replace(sql, 'c[mn][0-9a-z]{6}0|20\d\d_\d\d', '#', 'g') AS sql, lock, message, regexp_replace(detail, 'c[mn][0-9a-z]{6}0', '#') AS detail, hint FROM privacy_scan.plan_adoption('"Scan"');
SELECT message, detail FROM privacy_scan.plan_adoption('"Scan"', 'createdAt') WHERE kind IN ('key', 'refusal');
SELECT message, detail FROM privacy_scan.plan_adoption('"Evidence"', 'scanId') WHERE kind IN ('key', 'change');
-- Ids that do not fit: below the bound they stay where they are, behind it is no place for them.
INSERT INTO "Scan" (id, status) VALUES ('admin', 'seed'), ('zoe', 'seed');
SELECT message, regexp_replace(detail, 'c[mn][0-9a-z]{6}0', '#') AS detail, regexp_replace(hint, 'c[mn][0-9a-z]{6}0', '#') AS hint FROM privacy_scan.plan_adoption('"Scan"') WHERE kind = 'refusal';
SELECT privacy_scan.adopt_table('"Scan"');
DELETE FROM "Scan" WHERE id = 'zoe';

-- Step by step. Between the switch and the validation, nothing that the foreign keys forbid goes through.
SELECT step, action, state FROM privacy_scan.adopt_table('"Scan"', 'id', '1 month', premake => 2);
INSERT INTO "Scan" (id) VALUES ('zoe');
SELECT step, action, state FROM privacy_scan.adopt_table('"Scan"');
SELECT step, action, state FROM privacy_scan.adopt_table('"Scan"');
SELECT relation, state, step, done, total FROM privacy_scan.adoptions;
SELECT status, next_step FROM privacy_scan.health() WHERE component = 'adoptions';
SELECT side, relation, conname, valid, definition, comment FROM changed ORDER BY conname, side DESC;
INSERT INTO "Evidence" (id, "scanId") VALUES ('orphan', 'none');
\set VERBOSITY sqlstate
DELETE FROM "Scan" WHERE id = (SELECT other FROM note LIMIT 1);
\set VERBOSITY terse
BEGIN;
INSERT INTO note VALUES (100, 'later');
INSERT INTO "Scan" VALUES ('later');
COMMIT;
BEGIN;
INSERT INTO note VALUES (101, 'never');
COMMIT;
SELECT step, action, state FROM privacy_scan.adopt_table('"Scan"');
SELECT relation, state, step, done, total FROM privacy_scan.adoptions;
-- The rest in one go.
CALL privacy_scan.run_adoption('"Scan"');
SELECT step, action, state, sql FROM privacy_scan.adopt_table('"Scan"');
SELECT relation, state, step, done, total FROM privacy_scan.adoptions;
SELECT * FROM changed;
SELECT relation, key_column, key_kind, every, partitions, default_rows FROM privacy_scan.partition_sets WHERE relation = '"Scan"'::regclass;
\d "Scan"

-- What the application does goes on.
INSERT INTO "Scan" VALUES (cuid(now(), 1), 'new') ON CONFLICT (id) DO NOTHING;
INSERT INTO "Scan" VALUES (cuid(now() + interval '40 days', 2), 'new'), (cuid(now() + interval '1 year', 3), 'new');
INSERT INTO "Scan" SELECT id, 'again' FROM "Scan" WHERE status = 'new' OR id = 'admin' ON CONFLICT (id) DO UPDATE SET status = excluded.status;
\set VERBOSITY sqlstate
INSERT INTO "Scan" SELECT * FROM "Scan" WHERE id = 'admin';
\set VERBOSITY terse
SELECT status, count(*), count(DISTINCT tableoid) FROM "Scan" GROUP BY 1 ORDER BY 1;
CREATE FUNCTION partitions_read(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
    RETURN (SELECT count(*) FROM regexp_matches(plan::text, '"Relation Name"', 'g'));
END $$;
SELECT partitions_read($$SELECT * FROM "Scan" WHERE id = cuid(now(), 1)$$), partitions_read('SELECT * FROM "Scan"') AS of;
SELECT count(*) FROM "Scan" s WHERE EXISTS (SELECT FROM "Evidence" WHERE "scanId" = s.id);
DELETE FROM "Scan" WHERE id = (SELECT max("scanId") FROM "Evidence");
SELECT count(*) FROM "Evidence";
UPDATE "Scan" SET id = 'zed' WHERE id = (SELECT max("scanId") FROM "Evidence");
SELECT "scanId" FROM "Evidence" WHERE "scanId" > 'd';
-- An id that doesn't fit is in DEFAULT, and counted.
SELECT action, rows FROM privacy_scan.maintain_partitions('"Scan"') ORDER BY 1;
SELECT default_rows FROM privacy_scan.partition_sets WHERE relation = '"Scan"'::regclass;
DELETE FROM "Scan" WHERE id = 'zed';

-- Queries by the time: a CHECK on each partition that is closed, here in half a year.
SELECT partitions_read(format('SELECT * FROM "Scan" WHERE "createdAt" > %L', now() + interval '1 year')) AS before;
SET privacy_scan.clock_offset = 15552000;
CALL privacy_scan.add_time_checks('"Scan"', 'createdAt', slack => '40 days');
RESET privacy_scan.clock_offset;
SELECT regexp_replace(conrelid::regclass::text, '20\d\d_\d\d', '#') AS partition, convalidated, count(*) FROM pg_constraint WHERE conname = 'privacy_scan_time_check' GROUP BY 1, 2 ORDER BY 1;
SELECT partitions_read(format('SELECT * FROM "Scan" WHERE "createdAt" > %L', now() + interval '1 year')) AS after;

-- Its children by their scan, with the same bounds.
SELECT sql AS build FROM privacy_scan.adopt_table('"Evidence"', 'scanId', premake => 2) WHERE state = 'yours' \gset
:build;
CALL privacy_scan.run_adoption('"Evidence"');
SELECT count(*) AS aligned FROM privacy_scan.partitions s JOIN privacy_scan.partitions e USING (lower_bound, upper_bound)
WHERE s.parent = '"Scan"'::regclass AND e.parent = '"Evidence"'::regclass;
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = '"Evidence"'::regclass AND conparentid = 0 ORDER BY 1;
DELETE FROM "Scan" WHERE id = (SELECT max("scanId") FROM "Evidence");
SELECT count(*) FROM "Evidence";
INSERT INTO "Evidence" (id, "scanId") VALUES ('orphan', 'none');

-- And back, the children first.
SELECT privacy_scan.undo_adoption('"Scan"');
SELECT sql AS build FROM privacy_scan.undo_adoption('"Evidence"') WHERE state = 'yours' \gset
:build;
SELECT step, action, state FROM privacy_scan.undo_adoption('"Evidence"');
SELECT step, action, state, sql FROM privacy_scan.undo_adoption('"Scan"');
INSERT INTO "Evidence" (id, "scanId") VALUES ('orphan', 'none');
ALTER TABLE note VALIDATE CONSTRAINT note_scan_fkey, VALIDATE CONSTRAINT "other's";
ALTER TABLE "Evidence" VALIDATE CONSTRAINT "Evidence_scanId_fkey";
SELECT * FROM changed;
SELECT relkind, count(*) FROM pg_class WHERE relnamespace = 'ps_adopt_id'::regnamespace AND relname ~ 'Scan|Evidence' GROUP BY 1 ORDER BY 1;
SELECT status, count(*) FROM "Scan" GROUP BY 1 ORDER BY 1;
DELETE FROM privacy_scan.adoption_states WHERE relation::oid NOT IN (SELECT oid FROM pg_class);

-- Each kind and type.
CREATE PROCEDURE adopt(relation regclass) LANGUAGE plpgsql AS $$
BEGIN
    WHILE EXISTS (SELECT FROM privacy_scan.adopt_table(relation, 'id') WHERE state = 'done now') LOOP END LOOP;
END $$;
CREATE TABLE v7 (id uuid PRIMARY KEY);
INSERT INTO v7 SELECT (privacy_scan.key_at('uuidv7', now() - n * interval '1 day') || '-7000-8000-' || lpad(n::text, 12, '0'))::uuid FROM generate_series(1, 20) n;
CREATE TABLE ulid (id varchar(26) COLLATE "C" PRIMARY KEY);
INSERT INTO ulid SELECT privacy_scan.key_at('ulid', now() - n * interval '1 day') || lpad(n::text, 16, '0') FROM generate_series(1, 20) n;
CREATE TABLE ksuid (id text COLLATE "C" PRIMARY KEY);
INSERT INTO ksuid SELECT left(privacy_scan.key_at('ksuid', now() - n * interval '1 day'), 22) || lpad(n::text, 5, 'z') FROM generate_series(1, 20) n;
CREATE TABLE objectid (id varchar COLLATE "C" PRIMARY KEY);
INSERT INTO objectid SELECT privacy_scan.key_at('objectid', now() - n * interval '1 day') || lpad(n::text, 16, '0') FROM generate_series(1, 20) n;
CREATE TABLE snowflake (id bigint PRIMARY KEY);
INSERT INTO snowflake SELECT privacy_scan.key_at('snowflake(1420070400000,22)', now() - n * interval '1 day')::bigint + n FROM generate_series(1, 20) n;
SELECT r AS relation, (SELECT detail FROM privacy_scan.plan_adoption(r) WHERE kind = 'key') FROM unnest('{v7,ulid,ksuid,objectid,snowflake}'::regclass[]) r;
CALL adopt('v7');
SELECT count(*) AS done FROM privacy_scan.adopt_table('v7', 'id', key_kind => 'uuidv7');
SELECT count(*) AS steps FROM privacy_scan.adopt_table('snowflake', 'id', key_kind => 'snowflake(1420070400000, 22)');
SELECT privacy_scan.adopt_table('snowflake', 'id', key_kind => 'snowflake(1288834974657,22)');
CALL adopt('ulid');
CALL adopt('ksuid');
CALL adopt('objectid');
CALL adopt('snowflake');
SELECT s.relation, s.key_kind, count(*) FILTER (WHERE p.upper_at - date_trunc('month', p.upper_at) = '0') AS bounds, bool_or(p.state = 'current' AND p.partition::text ~ 'until') AS wide
FROM privacy_scan.partition_sets s JOIN privacy_scan.partitions p ON p.parent = s.relation WHERE s.relation::text ~ '^(v7|ulid|ksuid|objectid|snowflake)$' GROUP BY 1, 2 ORDER BY 2;

-- Reasons why not.
CREATE FUNCTION reasons(relation text, key name DEFAULT NULL, kind text DEFAULT NULL, OUT message text, OUT detail text, OUT hint text) RETURNS SETOF record LANGUAGE sql
AS $$ SELECT message, detail, hint FROM privacy_scan.plan_adoption(relation::regclass, key, key_kind => kind) WHERE kind = 'refusal' ORDER BY message $$;
SELECT privacy_scan.plan_adoption('"Scan"', key_kind => 'cuid');
SELECT privacy_scan.plan_adoption('"Scan"', 'id', key_kind => 'cuid2');
SELECT message, detail FROM privacy_scan.plan_adoption('"Scan"', 'id', key_kind => 'ulid_lower') WHERE kind = 'key';
SELECT privacy_scan.plan_adoption('"Scan"', 'createdAt', key_kind => 'cuid');
\set VERBOSITY default
SELECT privacy_scan.plan_adoption('"Scan"', 'status');
CREATE TABLE mixed (id text PRIMARY KEY, at timestamptz);
INSERT INTO mixed SELECT CASE WHEN n > 2 THEN cuid(now(), n) ELSE 'a' || n END FROM generate_series(1, 10) n;
SELECT privacy_scan.plan_adoption('mixed', 'id');
\set VERBOSITY terse
SELECT message, detail FROM privacy_scan.plan_adoption('mixed') WHERE kind = 'key';
CREATE TABLE danish (id text COLLATE "da-x-icu" PRIMARY KEY, at date);
INSERT INTO danish VALUES (cuid(now(), 1));
SELECT * FROM reasons('danish', 'id');
SELECT message FROM privacy_scan.plan_adoption('danish') WHERE kind = 'key';
CREATE ROLE ps_adopt_id_other;
CREATE ROLE ps_adopt_id_owner;
GRANT ALL ON SCHEMA ps_adopt_id TO ps_adopt_id_other, ps_adopt_id_owner;
CREATE TABLE refused (id text COLLATE "C" PRIMARY KEY, parent text COLLATE "C" REFERENCES refused);
INSERT INTO refused VALUES (cuid(now(), 1));
CREATE TABLE parted (r text COLLATE "C" REFERENCES refused) PARTITION BY LIST (r);
CREATE TABLE unproven (r text COLLATE "C");
ALTER TABLE unproven ADD CONSTRAINT unproven FOREIGN KEY (r) REFERENCES refused NOT VALID;
CREATE TABLE disabled (r text COLLATE "C" REFERENCES refused);
ALTER TABLE disabled DISABLE TRIGGER ALL;
CREATE TABLE others (r text COLLATE "C" REFERENCES refused);
ALTER TABLE others OWNER TO ps_adopt_id_other;
SELECT * FROM reasons('refused');
ALTER TABLE refused OWNER TO ps_adopt_id_owner;
GRANT USAGE ON SCHEMA privacy_scan TO ps_adopt_id_owner;
GRANT EXECUTE ON FUNCTION privacy_scan.plan_adoption TO ps_adopt_id_owner;
SET ROLE ps_adopt_id_owner;
SELECT message FROM reasons('refused') WHERE message ~ 'belongs';
RESET ROLE;
GRANT REFERENCES ON refused TO ps_adopt_id_other;
SELECT message FROM reasons('refused') WHERE message ~ 'belongs';
-- With the right to it, the other's foreign key is made anew in the other's name.
DROP TABLE parted, unproven, disabled;
ALTER TABLE refused DROP COLUMN parent;
CALL adopt('refused');
SELECT relation, valid, definition FROM keys WHERE relation = 'others'::regclass;

SET client_min_messages = error;
SELECT count(privacy_scan.unmanage_partitions(relation)) FROM privacy_scan.partition_sets WHERE relation::text ~ '^(v7|ulid|ksuid|objectid|snowflake|refused)$';
DROP SCHEMA ps_adopt_id CASCADE;
DELETE FROM privacy_scan.adoption_states WHERE relation::oid NOT IN (SELECT oid FROM pg_class);
REVOKE ALL ON SCHEMA privacy_scan FROM ps_adopt_id_owner;
REVOKE EXECUTE ON FUNCTION privacy_scan.plan_adoption FROM ps_adopt_id_owner;
DROP ROLE ps_adopt_id_other, ps_adopt_id_owner;
