-- The way back: archives checked against the ledger, families restored from batches and whole partitions.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE ROLE regress_back_owner;
CREATE ROLE regress_back_other;
CREATE SCHEMA ret_back AUTHORIZATION regress_back_owner;
GRANT USAGE ON SCHEMA ret_back TO regress_back_other;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA privacy_scan TO regress_back_owner, regress_back_other;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_back_owner', current_database()); END $$;
SET search_path = ret_back;
SET privacy_scan.retention_whole_rows = 2;
SET privacy_scan.retention_keep_partitions = 1;
SET ROLE regress_back_owner;
-- Three generations; an identity that is always generated, a generated column, a domain, an enum, values of many sizes.
CREATE TYPE kind AS ENUM ('tracker', 'cookie');
CREATE DOMAIN score AS int CHECK (VALUE >= 0);
CREATE TABLE "Scan" (id text PRIMARY KEY, n bigint GENERATED ALWAYS AS IDENTITY, meta jsonb, bytes bytea, "createdAt" timestamp(3) NOT NULL);
CREATE TABLE "Evidence" (id text, "scanId" text NOT NULL REFERENCES "Scan" ON DELETE CASCADE, kind kind, score score, twice int GENERATED ALWAYS AS (score * 2) STORED,
  "createdAt" timestamp(3) NOT NULL, PRIMARY KEY (id, "createdAt"));
CREATE TABLE "Issue" (id int, "scanId" text NOT NULL REFERENCES "Scan" ON DELETE CASCADE, title text, "createdAt" timestamp(3) NOT NULL, PRIMARY KEY (id, "createdAt"))
  PARTITION BY RANGE ("createdAt");
CREATE TABLE "Issue_1" PARTITION OF "Issue" FOR VALUES FROM ('2023-01-01') TO ('2023-02-01');
CREATE TABLE "Issue_2" PARTITION OF "Issue" FOR VALUES FROM ('2023-02-01') TO ('2023-03-01');
CREATE TABLE "Issue_3" PARTITION OF "Issue" FOR VALUES FROM ('2023-03-01') TO ('2100-01-01');
CREATE TABLE "Issue_default" PARTITION OF "Issue" DEFAULT;
CREATE TABLE "Note" (id int PRIMARY KEY, evidence text, at timestamp(3), FOREIGN KEY (evidence, at) REFERENCES "Evidence" (id, "createdAt"));
CREATE INDEX ON "Issue" ("scanId");
CREATE PROCEDURE fill() LANGUAGE sql SET search_path = ret_back AS $$
  INSERT INTO "Scan" (id, meta, bytes, "createdAt") SELECT 's' || i, jsonb_build_object('n', i, 'x', repeat('x', i * 100)), decode(md5(i::text), 'hex'), timestamp '2023-01-05' + i * interval '8 days' FROM generate_series(0, 6) i;
  INSERT INTO "Evidence" (id, "scanId", kind, score, "createdAt") SELECT s.id || '-' || k, s.id, CASE WHEN k = 1 THEN 'tracker' ELSE 'cookie' END::kind, nullif(k, 2), "createdAt" FROM "Scan" s, generate_series(1, 2) k;
  INSERT INTO "Issue" SELECT (row_number() OVER (ORDER BY s.id))::int, s.id, s.id || ' issue', "createdAt" FROM "Scan" s, generate_series(1, 2) k;
  INSERT INTO "Note" SELECT (row_number() OVER (ORDER BY e.id))::int, e.id, e."createdAt" FROM "Evidence" e;
  INSERT INTO "Scan" (id, "createdAt") VALUES ('new', '2024-02-29');
  INSERT INTO "Issue" VALUES (100, 'new', 'newest', '2024-02-29');
$$;
CALL fill();
CREATE VIEW live AS SELECT count(*) AS rows, md5(string_agg(t, ',' ORDER BY t)) AS all_rows FROM (
  SELECT 'Scan ' || s::text AS t FROM "Scan" s UNION ALL SELECT 'Evidence ' || e::text FROM "Evidence" e UNION ALL SELECT 'Issue ' || i::text FROM "Issue" i UNION ALL SELECT 'Note ' || n::text FROM "Note" n) x;
SELECT rows AS made, all_rows FROM live \gset
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'createdAt') IS NOT NULL AS set;
CALL privacy_scan.run_retention('"Scan"', '2024-03-01 00:00+00', confirm => true);
SELECT relation, rows, leaf FROM privacy_scan.archives WHERE root LIKE '%ret_back%' ORDER BY leaf NULLS FIRST, relation, rows;

-- As it was.
SELECT archive, leaf, rows, found_rows, state, detail FROM privacy_scan.verify_archive();
SELECT count(*) FROM privacy_scan.check_archives();
SELECT DISTINCT state, state_since <= checked_at AS since FROM privacy_scan.archives WHERE root LIKE '%ret_back%';

-- A family comes back, from batches and from a partition that went whole; the archives still add up.
SELECT relation, action, target, rows, bytes > 0 AS bytes, lock, key_from, key_to, reason FROM privacy_scan.restore_archive('"Scan"', ARRAY['s1', 's2', 'nobody']);
SELECT s.id, n, twice, i.title, count(o.id) AS notes FROM "Scan" s JOIN "Evidence" e ON e."scanId" = s.id JOIN "Issue" i ON i."scanId" = s.id LEFT JOIN "Note" o ON o.evidence = e.id
  WHERE s.id IN ('s1', 's2') GROUP BY 1, 2, 3, 4 ORDER BY 1, 3, 4;
SELECT tableoid::regclass, count(*) FROM "Issue" GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM privacy_scan.check_archives();
SELECT relation, action, rows, leaf FROM privacy_scan.archives WHERE root LIKE '%ret_back%' AND action = 'restore' ORDER BY id;
-- Nothing twice: what has come back isn't in the archive any more.
SELECT sum(rows) FROM privacy_scan.restore_archive('"Scan"', ARRAY['s1', 's2']);
-- All of the rest by a condition: everything is as it was before.
SELECT relation, rows FROM privacy_scan.restore_archive('"Scan"'::regclass, $$meta ? 'n' AND "createdAt" < '2030-01-01'$$);
SELECT rows = :made AND all_rows = :'all_rows' AS same FROM live;
SELECT archive, leaf, rows, found_rows, state FROM privacy_scan.verify_archive();
-- They have expired still: what is held stays, the others go again.
SELECT privacy_scan.hold('"Scan"', ARRAY['s2'], 'case') > 0 AS held;
CALL privacy_scan.run_retention('"Scan"', '2024-03-01 00:00+00');
SELECT id FROM "Scan" ORDER BY 1;
SELECT privacy_scan.release_hold(max(id)) FROM privacy_scan.holds;
CALL privacy_scan.run_retention('"Scan"', '2024-03-01 00:00+00');
SELECT count(*) FROM privacy_scan.check_archives();

-- What stands in the way, with nothing changed.
\pset format unaligned
SELECT rows AS before, all_rows AS before_rows FROM live \gset
-- A row of that id has come since.
INSERT INTO "Scan" (id, "createdAt") VALUES ('s1', now());
SELECT * FROM privacy_scan.restore_archive('"Scan"', ARRAY['s0', 's1']);
-- All that is in the way is named, of each relation and each unique index.
INSERT INTO "Scan" (id, "createdAt") SELECT 's' || i, now() FROM generate_series(0, 7) i WHERE i <> 2 ON CONFLICT DO NOTHING;
CREATE UNIQUE INDEX once ON "Evidence" ("createdAt", kind) INCLUDE (score);
INSERT INTO "Evidence" (id, "scanId", kind, "createdAt") SELECT 'new', 'new', 'cookie', '2023-01-05 00:00';
SELECT count(*) AS others FROM "Scan" \gset
\set VERBOSITY default
SELECT * FROM privacy_scan.restore_archive('"Scan"', ARRAY['s0', 's1', 's3', 's4', 's5', 's6']);
\set VERBOSITY terse
SELECT count(*) = :others AS untouched FROM "Scan";
DROP INDEX once;
DELETE FROM "Evidence" WHERE id = 'new';
DELETE FROM "Scan" WHERE id LIKE 's%' AND "createdAt" > '2024-12-31';
-- A column has another name now, a trigger changes rows.
ALTER TABLE "Scan" RENAME bytes TO octets;
SELECT * FROM privacy_scan.restore_archive('"Scan"', ARRAY['s0']);
ALTER TABLE "Scan" RENAME octets TO bytes;
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.score := 7; RETURN NEW; END $$;
CREATE TRIGGER meddle BEFORE INSERT ON "Evidence" FOR EACH ROW EXECUTE FUNCTION meddle();
SELECT * FROM privacy_scan.restore_archive('"Scan"', ARRAY['s0']);
DROP TRIGGER meddle ON "Evidence";
-- A relation that has no place for the rows: ensure_partitions() makes one.
ALTER TABLE "Issue" DETACH PARTITION "Issue_default";
SELECT * FROM privacy_scan.restore_archive('"Scan"', ARRAY['s0']);
ALTER TABLE "Issue" ATTACH PARTITION "Issue_default" DEFAULT;
-- A rule of the live relations that the archived rows don't meet.
ALTER TABLE "Scan" ADD CONSTRAINT recent CHECK ("createdAt" > '2024-01-01');
SELECT * FROM privacy_scan.restore_archive('"Scan"', ARRAY['s0']);
ALTER TABLE "Scan" DROP CONSTRAINT recent;
SELECT * FROM privacy_scan.restore_archive('"Scan"', ARRAY[NULL]);
SELECT * FROM privacy_scan.restore_archive('"Scan"', NULL::text[]);
SELECT * FROM privacy_scan.restore_archive('"Scan"'::regclass, 'id');
SELECT * FROM privacy_scan.restore_archive('"Evidence"', ARRAY['s0-1']);
SELECT rows = :before AND all_rows = :'before_rows' AS unchanged FROM live;
SELECT count(*) FROM privacy_scan.check_archives();
RESET ROLE;
SET ROLE regress_back_other;
SELECT * FROM privacy_scan.restore_archive('ret_back."Scan"', ARRAY['s0']);
SELECT count(*) FROM privacy_scan.verify_archive();
RESET ROLE;
SELECT min(id) AS one FROM privacy_scan.archive_ledger WHERE root_name LIKE '%ret_back%' \gset
SET ROLE regress_back_other;
SELECT * FROM privacy_scan.verify_archive(:one);
RESET ROLE;
SET ROLE regress_back_owner;
SELECT * FROM privacy_scan.verify_archive(-1);

-- Damage: a row less, a row more, another value, a relation gone, one that can't be read.
BEGIN;
DELETE FROM ret_back_archive."Note_archive" WHERE id = 1;
INSERT INTO ret_back_archive."Scan_archive" SELECT * FROM ret_back_archive."Scan_archive" WHERE id = 's0';
UPDATE ret_back_archive."Evidence_archive" SET score = score + 1 WHERE id = 's0-1';
ALTER TABLE ret_back_archive."Issue_1" RENAME TO elsewhere;
SELECT archive, leaf, rows, found_rows, state, regexp_replace(detail, '[0-9a-f]{32}', 'DIGEST', 'g') AS detail FROM privacy_scan.check_archives();
SELECT DISTINCT relation, leaf, state FROM privacy_scan.archives WHERE root LIKE '%ret_back%' AND state <> 'ok' ORDER BY 1, 2;
ROLLBACK;
SELECT count(*) FROM privacy_scan.check_archives();
RESET ROLE;
BEGIN;
ALTER TABLE ret_back_archive."Note_archive" OWNER TO regress_back_other;
SET LOCAL ROLE regress_back_owner;
SELECT archive, state, detail FROM privacy_scan.check_archives();
ROLLBACK;

-- An archive in the schema of what it archives: there a partition cannot come back as it is, under its own name it would be both.
CREATE TABLE near (id int PRIMARY KEY, at date);
CREATE TABLE far (id int, near int REFERENCES near ON DELETE CASCADE, at date) PARTITION BY RANGE (at);
CREATE TABLE far_1 PARTITION OF far FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE far_2 PARTITION OF far FOR VALUES FROM ('2024-01-01') TO ('2100-01-01');
CREATE TABLE far_rest PARTITION OF far DEFAULT;
INSERT INTO near SELECT i, date '2023-01-01' + 300 * (i % 3) FROM generate_series(1, 6) i;
INSERT INTO far SELECT k, id, at FROM near, generate_series(1, 3) k;
VACUUM far;
SELECT privacy_scan.set_retention('near', '1 year', 'at', archive_schema => 'ret_back') IS NOT NULL AS set;
CALL privacy_scan.run_retention('near', '2024-12-01 00:00+00', confirm => true);
SELECT relation, leaf, rows FROM privacy_scan.archives WHERE root LIKE '%near%' ORDER BY id;
SELECT relation, rows FROM privacy_scan.restore_archive('near', 'true');
SELECT tableoid::regclass, count(*) FROM far GROUP BY 1 ORDER BY 1;
SELECT tableoid::regclass, count(*) FROM far_archive GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM privacy_scan.check_archives() WHERE archive LIKE '%ret_back%';

DROP SCHEMA ret_back, ret_back_archive CASCADE;
DELETE FROM privacy_scan.retention_rules;
DELETE FROM privacy_scan.hold_ledger;
DELETE FROM privacy_scan.archive_ledger WHERE root_name LIKE '%ret_back%';
DELETE FROM privacy_scan.archive_checks WHERE target LIKE '%ret_back%';
REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA privacy_scan FROM regress_back_owner, regress_back_other;
DO $$ BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM regress_back_owner', current_database()); END $$;
DROP ROLE regress_back_owner, regress_back_other;
