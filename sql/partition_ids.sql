-- Partition sets over ids that carry time: bounds, names, premake, DEFAULT, foreign ids, and what stays possible.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ps_ids;
SET search_path = ps_ids;
SET timezone = 'UTC';
SET datestyle = 'ISO';

-- Ids as their generators write them, made of a time and a number.
CREATE FUNCTION cuid(at timestamptz, n int) RETURNS text LANGUAGE sql AS
$$ SELECT privacy_scan.key_at('cuid', at) || lpad(n::text, 16, '0') $$;

-- The partitions that a plan reads, whatever the way.
CREATE FUNCTION touched(query text) RETURNS TABLE (partition text) LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
    partition := substring(line FROM 'on ("?[a-zA-Z]+_[a-z0-9_]+"?)');
    IF partition IS NOT NULL AND partition !~ 'pkey' THEN RETURN NEXT; END IF;
  END LOOP;
END $$;

SELECT privacy_scan.key_at('cuid', '2025-01-01 00:00+00'), privacy_scan.key_instant('cuid', 'cm5d4ruo00000abcdabcdabcd');
SELECT k AS kind, privacy_scan.key_at(k, '2025-01-01 00:00:00.0005+00') FROM unnest('{uuidv7,ulid,ulid_lower,cuid,ksuid,objectid,"snowflake(1288834974657,22)"}'::text[]) k;
SELECT privacy_scan.key_instant('uuidv7', '017f22e2-79b0-7cc3-98c4-dc0c0c07398f'), privacy_scan.key_instant('snowflake(1288834974657,22)', '1541815603606036480'),
       privacy_scan.key_instant('cuid', 'admin') IS NULL AS none, privacy_scan.key_instant('snowflake(1288834974657,22)', '99999999999999999999') IS NULL AS none;
SELECT privacy_scan.key_instant('cuid2', 'x');
SELECT privacy_scan.key_at('cuid', '2059-05-25 17:38:28+00');

-- A root by id, its children by the root's id: the same bounds, months of the ids' times.
CREATE TABLE "Scan" (id text COLLATE "C" PRIMARY KEY, status text, "createdAt" timestamp(3) NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE "Evidence" (id text NOT NULL, "scanId" text COLLATE "C" NOT NULL REFERENCES "Scan" ON DELETE CASCADE, title text,
    PRIMARY KEY ("scanId", id)) PARTITION BY RANGE ("scanId");
CREATE TABLE scan_rest PARTITION OF "Scan" FOR VALUES FROM (privacy_scan.key_at('cuid', '2025-06-01 00:00+00')) TO (MAXVALUE);
CREATE TABLE evidence_rest PARTITION OF "Evidence" FOR VALUES FROM (privacy_scan.key_at('cuid', '2025-06-01 00:00+00')) TO (MAXVALUE);
-- The wide first partition of a table that was adopted.
CREATE TABLE scan_old PARTITION OF "Scan" FOR VALUES FROM (MINVALUE) TO ('cm4501bc0');
SELECT privacy_scan.key_instant('cuid', 'cm4501bc00000000000000000');
SELECT partition, lower_bound, upper_bound, action
FROM privacy_scan.manage_partitions('"Scan"', 'id', '1 month', start => '2025-01-10 00:00+00', key_kind => 'cuid');
SELECT partition, lower_bound, upper_bound, action
FROM privacy_scan.manage_partitions('"Evidence"', 'scanId', '1 month', start => '2025-01-10', key_kind => 'cuid');
SELECT partition, lower_bound, upper_bound, lower_at, upper_at, state FROM privacy_scan.partitions
WHERE parent = '"Scan"'::regclass ORDER BY lower_at NULLS FIRST, 1;
SELECT count(*) AS aligned FROM privacy_scan.partitions s JOIN privacy_scan.partitions e USING (lower_bound, upper_bound)
WHERE s.parent = '"Scan"'::regclass AND e.parent = '"Evidence"'::regclass;
SELECT relation, key_column, key_kind, every, step, partitions, default_rows FROM privacy_scan.partition_sets
WHERE relation IN ('"Scan"'::regclass, '"Evidence"'::regclass) ORDER BY 2;
SELECT * FROM privacy_scan.maintain_partitions('"Scan"');
-- Ahead of a clock.
SELECT partition, lower_bound, upper_bound, action FROM privacy_scan.maintain_partitions('"Scan"', '2024-12-15 00:00+00');

-- What an application does.
INSERT INTO "Scan" SELECT cuid(d, n), 'done', d FROM generate_series(1, 300) n, LATERAL (SELECT timestamp '2025-01-01' + n * interval '12 hours') t (d);
INSERT INTO "Evidence" SELECT cuid("createdAt", 1000), id, status FROM "Scan";
INSERT INTO "Scan" VALUES (cuid('2025-02-01', 62), 'again', '2025-02-01') ON CONFLICT (id) DO UPDATE SET status = excluded.status RETURNING tableoid::regclass, status;
INSERT INTO "Scan" VALUES (cuid('2025-02-01', 62), 'again', '2030-02-01');
INSERT INTO "Evidence" VALUES ('e', cuid('2025-02-01', 63), 'no such scan');
CREATE TABLE note (scan text REFERENCES "Scan");
INSERT INTO note VALUES (cuid('2025-02-01', 62));
SELECT DISTINCT * FROM touched($$SELECT * FROM "Scan" WHERE id = 'cm5d4ruo00000abcdabcdabcd'$$);
PREPARE by_id (text) AS SELECT count(*) FROM "Evidence" WHERE "scanId" = $1;
SELECT DISTINCT * FROM touched($$EXECUTE by_id ('cm5d4ruo00000abcdabcdabcd')$$);
SELECT tableoid::regclass AS partition, count(*), min("createdAt"), max("createdAt") FROM "Scan" GROUP BY 1 ORDER BY 3;
DELETE FROM note;

-- Ids of no generator: each is where it sorts; what fits nothing stays in DEFAULT, is counted, and is no reason for a partition.
CREATE TABLE hostile (id text COLLATE "C" PRIMARY KEY, at timestamptz) PARTITION BY RANGE (id);
CREATE TABLE hostile_rest PARTITION OF hostile FOR VALUES FROM (privacy_scan.key_at('cuid', '2025-06-01 00:00+00')) TO (privacy_scan.key_at('cuid', '2050-01-01 00:00+00'));
CREATE TABLE hostile_default PARTITION OF hostile DEFAULT;
INSERT INTO hostile SELECT cuid(d, n), d FROM generate_series(1, 90) n, LATERAL (SELECT timestamptz '2025-01-01 00:00+00' + n * interval '1 day') t (d);
INSERT INTO hostile VALUES (''), ('admin'), ('zzz'), ('C'), ('cold-start'), ('cm'), (E'c\u00e9\u00e9'), (repeat('c', 1000)), ('cm5'), ('cm5d4ruo'), ('cm5d4ruo0'), ('cm5d4ruo0!'), ('cm5d4ruo0zzzz'),
    ('c1000000000000abcdabcdabcd'), ('cuid2: tz4a98xxat96iws9zmbrgj3a'), ('c00000000000000000000000a'), ('czzzzzzzzzzzzzzzzzzzzzzzz');
CREATE VIEW sums AS SELECT count(*) AS rows, md5(string_agg(t::text, ',' ORDER BY id)) AS digest FROM hostile t;
CREATE TEMPORARY TABLE before AS SELECT * FROM sums;
SELECT partition, lower_bound, upper_bound, action, rows, sqlstate, message FROM privacy_scan.manage_partitions('hostile', 'id', '1 month', premake => 0, key_kind => 'cuid');
SELECT s = b AS unchanged FROM sums s, before b;
SELECT tableoid::regclass AS partition, count(*), count(*) FILTER (WHERE privacy_scan.key_instant('cuid', id) IS NULL) AS unfit, min(left(id, 12)), max(left(id, 12)) FROM hostile GROUP BY 1 ORDER BY min(id);
SELECT partition, action, rows FROM privacy_scan.drain_default('hostile');
SELECT key_kind, default_rows FROM privacy_scan.partition_sets WHERE relation = 'hostile'::regclass;
-- A backfill, and a range that the kind doesn't reach.
SELECT partition, lower_bound, action FROM privacy_scan.ensure_partitions('hostile', '2024-11-01', '2025-01-01');
SELECT 1 FROM privacy_scan.ensure_partitions('hostile', '2059-05-01', '2059-06-01');
SELECT 1 FROM privacy_scan.ensure_partitions('hostile', '1960-05-01', '1960-06-01');
SELECT 1 FROM privacy_scan.set_partitions('hostile', step => 5);

-- Each kind and each type.
CREATE TABLE u (id uuid PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE u_rest PARTITION OF u FOR VALUES FROM ('0198b4a6-0000-0000-0000-000000000000') TO (MAXVALUE);
SELECT count(*), min(lower_bound) FROM privacy_scan.manage_partitions('u', 'id', '1 week', start => '2025-01-06', premake => 0, key_kind => 'uuidv7');
CREATE FUNCTION each(type text, kind text, OUT lower_bound text, OUT upper_bound text, OUT lower_at timestamptz, OUT back text) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE TABLE k (id %s PRIMARY KEY) PARTITION BY RANGE (id)', type);
  EXECUTE format('CREATE TABLE k_rest PARTITION OF k FOR VALUES FROM (%L) TO (MAXVALUE)', privacy_scan.key_at(kind, '2025-03-01 00:00+00') ||
    CASE WHEN type = 'uuid' THEN '-0000-0000-000000000000' ELSE '' END);
  PERFORM privacy_scan.manage_partitions('ps_ids.k', 'id', '1 month', start => '2025-01-06', premake => 0, default_partition => false, key_kind => kind);
  RETURN QUERY SELECT b.lower_bound, b.upper_bound, b.lower_at, pg_get_expr(c.relpartbound, c.oid)
    FROM privacy_scan.partition_bounds('ps_ids.k') b JOIN pg_class c ON c.oid = b.partition ORDER BY 3 LIMIT 1;
  DROP TABLE k;
END $$;
SELECT type, kind, e.* FROM (VALUES ('uuid', 'uuidv7'), ('text COLLATE "C"', 'uuidv7'), ('varchar(26) COLLATE "C"', 'ulid'), ('text COLLATE "C"', 'ulid_lower'), ('text COLLATE "POSIX"', 'cuid'),
  ('text COLLATE "C"', 'ksuid'), ('text COLLATE "C"', 'objectid'), ('bigint', 'snowflake(1288834974657,22)'), ('bigint', 'snowflake(1420070400000, 22)')) v (type, kind), LATERAL each(type, kind) e;
-- Bounds with zeros added, as people write them, are the same bounds.
CREATE TABLE padded (id text COLLATE "C" PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE padded_old PARTITION OF padded FOR VALUES FROM (MINVALUE) TO ('01JFJGN5000000000000000000');
CREATE TABLE padded_rest PARTITION OF padded FOR VALUES FROM ('01JM0BFT800000000000000000') TO (MAXVALUE);
SELECT partition, lower_bound, upper_bound FROM privacy_scan.manage_partitions('padded', 'id', '1 month', start => '2025-01-01', premake => 0, key_kind => 'ulid');

-- Collations. Those that sort lower-case letters and digits as bytes will do for lower-case ids.
CREATE FUNCTION try(type text, kind text, key text DEFAULT 'id') RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text;
BEGIN
  EXECUTE format('CREATE TABLE k (id %s NOT NULL) PARTITION BY RANGE (%s)', type, key);
  PERFORM privacy_scan.manage_partitions('ps_ids.k', 'id', '1 month', key_kind => kind);
  DROP TABLE k;
  RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
  RETURN sqlstate || ': ' || coalesce(nullif(detail, ''), sqlerrm);
END $$;
SELECT c AS collation, k AS kind, try(format('text COLLATE %I', c), k) FROM unnest('{en-x-icu,und-x-icu,de-x-icu,cs-x-icu,da-x-icu}'::text[]) c, unnest('{cuid,objectid,ulid,ksuid}'::text[]) k;
CREATE COLLATION numeric_order (provider = icu, locale = 'en-u-kn-true');
SELECT try('text COLLATE ps_ids.numeric_order', 'cuid') AS numeric_order;
SELECT try('text COLLATE "en-x-icu"', 'cuid', 'id COLLATE "C"');
-- In such a collation what is no id of the kind sorts otherwise than its bytes do, and goes where it sorts all the same.
CREATE TABLE icu (id text COLLATE "en-x-icu" PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE icu_rest PARTITION OF icu FOR VALUES FROM (privacy_scan.key_at('cuid', '2025-06-01 00:00+00')) TO (MAXVALUE);
CREATE TABLE icu_default PARTITION OF icu DEFAULT;
INSERT INTO icu SELECT cuid(timestamptz '2025-01-01 00:00+00' + n * interval '1 day', n) FROM generate_series(1, 90) n;
INSERT INTO icu VALUES ('CM5D4RUO0'), ('Cm5z'), ('cM6ZZZ'), ('CM7'), ('_cm6'), (E'c\u00e9'), ('Admin'), ('');
SELECT partition, lower_bound, action, rows FROM privacy_scan.manage_partitions('icu', 'id', '1 month', premake => 0, key_kind => 'cuid');
SELECT tableoid::regclass AS partition, count(*), count(*) FILTER (WHERE privacy_scan.key_instant('cuid', id) IS NULL) AS unfit FROM icu GROUP BY 1 ORDER BY 1;

-- Refused.
SELECT try('text COLLATE "C"', 'cuid2'), try('uuid', 'cuid'), try('timestamptz', 'cuid'), try('integer', 'snowflake(1288834974657,22)'), try('char(24) COLLATE "C"', 'objectid');
CREATE TABLE foreign_bounds (id text COLLATE "C" NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE foreign_bounds_1 PARTITION OF foreign_bounds FOR VALUES FROM ('a') TO ('cm5d4ruo0x');
\set VERBOSITY default
SELECT 1 FROM privacy_scan.manage_partitions('foreign_bounds', 'id', '1 month', key_kind => 'cuid');
\set VERBOSITY terse
DROP TABLE foreign_bounds_1;
CREATE TABLE foreign_rest PARTITION OF foreign_bounds FOR VALUES FROM (privacy_scan.key_at('cuid', '2025-01-01')) TO (MAXVALUE);
SELECT count(*) FROM privacy_scan.manage_partitions('foreign_bounds', 'id', '1 month', default_partition => false, key_kind => 'cuid');
CREATE TABLE foreign_bounds_1 PARTITION OF foreign_bounds FOR VALUES FROM ('a') TO ('b');
SELECT action, sqlstate, message FROM privacy_scan.maintain_partitions('foreign_bounds');
SELECT partition, lower_bound, upper_bound, lower_at FROM privacy_scan.partitions WHERE parent = 'foreign_bounds'::regclass ORDER BY 1;

-- CHECKs on a time column, for who asks: queries by that time are pruned, too.
-- A row that was back-dated before: the CHECK admits what is there.
UPDATE "Scan" SET "createdAt" = '2024-06-01' WHERE id = cuid('2025-03-05 00:00', 126);
SELECT count(*) FROM touched($$SELECT * FROM "Scan" WHERE "createdAt" >= '2025-04-10' AND "createdAt" < '2025-04-20'$$);
CALL privacy_scan.add_time_checks('"Scan"', 'createdAt');
SELECT conrelid::regclass AS partition, convalidated, pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'privacy_scan_time_check' ORDER BY conrelid::regclass::text COLLATE "C";
SELECT * FROM touched($$SELECT * FROM "Scan" WHERE "createdAt" >= '2025-04-10' AND "createdAt" < '2025-04-20'$$) ORDER BY 1;
SELECT * FROM touched($$SELECT * FROM "Scan" WHERE "createdAt" >= '2024-06-01' AND "createdAt" < '2024-06-02'$$) ORDER BY 1;
-- Again: nothing to do. What it refuses, and what not.
CALL privacy_scan.add_time_checks('"Scan"', 'createdAt');
INSERT INTO "Scan" VALUES (cuid('2025-02-03', 77), 'clocks differ', '2025-01-31 12:00');
INSERT INTO "Scan" VALUES (cuid('2025-02-03', 78), 'back-dated', '2024-01-31 12:00');
UPDATE "Scan" SET "createdAt" = now() WHERE id = cuid('2025-02-03', 77);
SELECT privacy_scan.drop_time_checks('"Scan"'), privacy_scan.drop_time_checks('"Scan"');
UPDATE "Scan" SET "createdAt" = now() WHERE id = cuid('2025-02-03', 77);
-- One that was left half-way is gone on with; one that its rows contradict by now goes.
ALTER TABLE "Scan_2025_04" ADD CONSTRAINT privacy_scan_time_check CHECK ("createdAt" >= '2025-03-31' AND "createdAt" < '2025-05-02') NOT VALID;
ALTER TABLE "Scan_2025_02" ADD CONSTRAINT privacy_scan_time_check CHECK ("createdAt" >= '2025-01-31' AND "createdAt" < '2025-03-02') NOT VALID;
CALL privacy_scan.add_time_checks('"Scan"', 'createdAt');
SELECT conrelid::regclass AS partition, convalidated FROM pg_constraint WHERE conname = 'privacy_scan_time_check' ORDER BY conrelid::regclass::text COLLATE "C";
SELECT privacy_scan.drop_time_checks('"Scan"');
-- Nothing is closed before its grace period; an infinity is left alone; other columns and relations are refused.
CALL privacy_scan.add_time_checks('"Scan"', 'createdAt', grace => '1000 years');
UPDATE "Scan" SET "createdAt" = 'infinity' WHERE id = cuid('2025-02-03', 77);
CALL privacy_scan.add_time_checks('"Scan"', 'createdAt');
SELECT privacy_scan.drop_time_checks('"Scan"');
CALL privacy_scan.add_time_checks('"Scan"', 'status');
CALL privacy_scan.add_time_checks('"Scan"', 'nothing');
CALL privacy_scan.add_time_checks('"Scan"', 'createdAt', slack => '-1 day');
CALL privacy_scan.add_time_checks('sums', 'digest');
BEGIN; CALL privacy_scan.add_time_checks('"Scan"', 'createdAt'); ROLLBACK;

-- Which kind it is.
CREATE TABLE sample (cuid text, ulid text, uuid uuid, uuid4 uuid, words text, flake bigint, small bigint, at date);
INSERT INTO sample SELECT cuid(d, n), privacy_scan.key_at('ulid', d) || lpad(n::text, 16, '0'), (privacy_scan.key_at('uuidv7', d) || '-7000-8000-' || lpad(n::text, 12, '0'))::uuid,
  gen_random_uuid(), 'word ' || n, privacy_scan.key_at('snowflake(1420070400000,22)', d)::bigint, n
FROM generate_series(1, 300) n, LATERAL (SELECT timestamptz '2025-01-01 00:00+00' + n * interval '12 hours') t (d);
UPDATE sample SET cuid = 'seed-' || small WHERE small <= 3;
SELECT 'cuid' AS c, d.* FROM privacy_scan.detect_key_kind('sample', 'cuid') d UNION ALL
SELECT 'ulid', d.* FROM privacy_scan.detect_key_kind('sample', 'ulid') d UNION ALL
SELECT 'uuid', d.* FROM privacy_scan.detect_key_kind('sample', 'uuid') d UNION ALL
SELECT 'uuid4', d.* FROM privacy_scan.detect_key_kind('sample', 'uuid4') d UNION ALL
SELECT 'words', d.* FROM privacy_scan.detect_key_kind('sample', 'words') d UNION ALL
SELECT 'flake', d.* FROM privacy_scan.detect_key_kind('sample', 'flake') d UNION ALL
SELECT 'small', d.* FROM privacy_scan.detect_key_kind('sample', 'small') d UNION ALL
SELECT 'at', d.* FROM privacy_scan.detect_key_kind('sample', 'at') d;
SELECT key_kind, share FROM privacy_scan.detect_key_kind('"Scan"', 'id', 100);
SELECT * FROM privacy_scan.detect_key_kind('sample', 'nothing');
SELECT * FROM privacy_scan.detect_key_kind('sums', 'digest');
SELECT * FROM privacy_scan.detect_key_kind('sample', 'cuid', 0);

\set VERBOSITY terse
DROP SCHEMA ps_ids CASCADE;
