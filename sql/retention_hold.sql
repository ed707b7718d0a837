-- Legal holds: what is held is taken by no way of retention, until it is released.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
DELETE FROM privacy_scan.hold_ledger;
ALTER SEQUENCE privacy_scan.hold_ledger_id_seq RESTART;
CREATE ROLE regress_hold_owner;
CREATE ROLE regress_hold_other;
CREATE SCHEMA ret_hold AUTHORIZATION regress_hold_owner;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA privacy_scan TO regress_hold_owner, regress_hold_other;
GRANT USAGE ON SCHEMA ret_hold TO regress_hold_other;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_hold_owner', current_database()); END $$;
SET search_path = ret_hold;
SET privacy_scan.retention_whole_rows = 2;
SET ROLE regress_hold_owner;
CREATE TYPE site AS ENUM ('a.example', 'b.example', 'it''s "c", d');
CREATE TABLE "Scan" (id text PRIMARY KEY, site site, status text, "createdAt" timestamp(3) NOT NULL);
CREATE TABLE "Evidence" (id text, "scanId" text NOT NULL REFERENCES "Scan" ON DELETE CASCADE, "createdAt" timestamp(3) NOT NULL, PRIMARY KEY (id, "createdAt"))
  PARTITION BY RANGE ("createdAt");
CREATE INDEX ON "Evidence" ("scanId");
CREATE TABLE "Evidence_1" PARTITION OF "Evidence" FOR VALUES FROM ('2023-01-01') TO ('2023-02-01');
CREATE TABLE "Evidence_2" PARTITION OF "Evidence" FOR VALUES FROM ('2023-02-01') TO ('2023-03-01');
CREATE TABLE "Evidence_3" PARTITION OF "Evidence" FOR VALUES FROM ('2023-03-01') TO ('2023-04-01');
CREATE TABLE "Evidence_4" PARTITION OF "Evidence" FOR VALUES FROM ('2023-04-01') TO ('2100-01-01');
INSERT INTO "Scan" SELECT 's' || i, CASE WHEN i % 2 = 0 THEN 'a.example' ELSE 'b.example' END::site, 'done', timestamp '2023-01-20' + i * interval '5 days' FROM generate_series(1, 12) i;
INSERT INTO "Evidence" SELECT s.id || '-' || n, s.id, s."createdAt" FROM "Scan" s, generate_series(1, 3) n;
INSERT INTO "Scan" VALUES ('today', 'a.example', 'done', '2024-06-30');
INSERT INTO "Evidence" VALUES ('today-1', 'today', '2024-06-30');
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'createdAt', $$status = 'done'$$) IS NOT NULL AS set;
CREATE VIEW live AS SELECT string_agg(s.id || ':' || (SELECT count(*) FROM "Evidence" e WHERE e."scanId" = s.id), ' ' ORDER BY "createdAt") AS live FROM "Scan" s;
CREATE FUNCTION plan() RETURNS TABLE (relation regclass, action text, rows bigint, reason text) LANGUAGE sql AS $$
  SELECT relation, action, rows, regexp_replace(reason, 'hold \d+', 'hold n') FROM privacy_scan.plan_retention('ret_hold."Scan"', '2024-07-01 00:00+00') $$;
RESET client_min_messages;

-- By ids: quotes, commas and what looks like SQL are but characters. By a condition, with an end.
SELECT privacy_scan.hold('"Scan"', ARRAY['s3', 's7', 'it''s, "x" {y}', ''') OR true --'], 'case 7 of Ms. O''Neill') AS case7 \gset
SELECT privacy_scan.hold('"Scan"'::regclass, $$site = 'it''s "c", d' OR id = 's12'$$, 'audit', now() + interval '1 hour') AS audit \gset
SELECT root, condition, reason, until > now() AS ends, held_by, released_by, in_force FROM privacy_scan.holds WHERE root = '"Scan"'::regclass ORDER BY id;

-- The plan shows what is kept and why; a partition with a held row goes row by row.
SELECT * FROM plan();
SET client_min_messages = warning;
CALL privacy_scan.run_retention('"Scan"', '2024-07-01 00:00+00', confirm => true);
TABLE live;
SELECT count(*) AS archived, count(*) FILTER (WHERE id IN ('s3', 's7', 's12')) AS held FROM ret_hold_archive."Scan_archive";
SELECT count(*) AS archived, count(*) FILTER (WHERE "scanId" IN ('s3', 's7', 's12')) AS held FROM ret_hold_archive."Evidence_archive";
SELECT leaf FROM privacy_scan.archives WHERE root LIKE '%ret_hold%' AND leaf IS NOT NULL ORDER BY 1;
-- Nor does any other way take them.
SELECT privacy_scan.cleanup_old_scans(30);
SELECT relation, action, rows FROM privacy_scan.apply_retention('"Scan"', now(), dry_run => false);
TABLE live;

-- Released: it goes. What has ended can't be ended again; a second hold on the same row still holds.
SELECT privacy_scan.hold('"Scan"', ARRAY['s7'], 'case 8') AS case8 \gset
SELECT privacy_scan.release_hold(:case7);
SELECT privacy_scan.release_hold(:case7);
SELECT reason, released_by, released_at IS NOT NULL AS released, in_force FROM privacy_scan.holds WHERE root = '"Scan"'::regclass ORDER BY id;
CALL privacy_scan.run_retention('"Scan"', '2024-07-01 00:00+00');
TABLE live;
-- The end of a hold comes by itself.
RESET ROLE;
UPDATE privacy_scan.hold_ledger SET until = now() - interval '1 second' WHERE id = :audit;
SET ROLE regress_hold_owner;
CALL privacy_scan.run_retention('"Scan"', '2024-07-01 00:00+00');
TABLE live;

-- A condition that is NULL holds nothing; one that can no longer be read stops retention instead of letting go.
SELECT privacy_scan.hold('"Scan"'::regclass, 'NULL::boolean', 'nothing') AS nothing \gset
SELECT rows, reason LIKE 'hold % nothing' AS is_hold FROM plan() WHERE action = 'keep' AND reason LIKE '%nothing';
SELECT privacy_scan.release_hold(:case8), privacy_scan.release_hold(:nothing);
SELECT privacy_scan.hold('"Scan"'::regclass, $$site = 'b.example'$$, 'column') AS broken \gset
ALTER TABLE "Scan" RENAME site TO place;
CALL privacy_scan.run_retention('"Scan"', '2024-07-01 00:00+00');
TABLE live;
ALTER TABLE "Scan" RENAME place TO site;

SELECT privacy_scan.release_hold(:broken);

-- A hold on a relative: what of the root it keeps isn't known, so that nothing goes.
INSERT INTO "Scan" VALUES ('s1', 'a.example', 'done', '2023-01-25');
INSERT INTO "Evidence" VALUES ('s1-1', 's1', '2023-02-25');
SELECT privacy_scan.hold('"Evidence"'::regclass, $$id = 's1-1'$$, 'a child') AS child \gset
SELECT * FROM plan();
\set VERBOSITY default
CALL privacy_scan.run_retention('"Scan"', '2024-07-01 00:00+00');
\set VERBOSITY terse
SELECT privacy_scan.hold('"Scan"', ARRAY['s1'], 'its root') > 0 AS held, privacy_scan.release_hold(:child);
SELECT privacy_scan.set_retention('"Evidence"', '1 year', 'createdAt') IS NOT NULL AS set;
CALL privacy_scan.run_retention('"Evidence"', '2024-07-01 00:00+00');
CALL privacy_scan.run_retention('"Scan"', '2024-07-01 00:00+00');
TABLE live;

-- Nor what it keeps of a row that has two parents: it would go with the other.
CREATE TABLE shop (id int PRIMARY KEY);
CREATE TABLE customer (id int PRIMARY KEY, at timestamp(3));
CREATE TABLE purchase (id int, customer int REFERENCES customer ON DELETE CASCADE, shop int REFERENCES shop ON DELETE CASCADE);
INSERT INTO shop VALUES (7), (8);
INSERT INTO customer VALUES (1, '2023-01-01'), (2, '2023-01-01');
INSERT INTO purchase VALUES (1, 1, 7), (2, 2, 8);
SELECT privacy_scan.set_retention('customer', '1 year', 'at') IS NOT NULL AS set;
SELECT privacy_scan.hold('shop', ARRAY['7'], 'a shop') AS shop \gset
CALL privacy_scan.run_retention('customer', '2024-07-01 00:00+00');
SELECT relation, place, rows FROM privacy_scan.erase('customer', 'id = 1', 'request', dry_run => false);
SELECT privacy_scan.release_hold(:shop);
CALL privacy_scan.run_retention('customer', '2024-07-01 00:00+00');
SELECT (SELECT count(*) FROM customer) AS customers, (SELECT count(*) FROM purchase) AS purchases;

-- What is refused.
SELECT privacy_scan.hold('"Scan"'::regclass, 'id = ''s1'' OR random() > 0.5', 'volatile');
SELECT privacy_scan.hold('"Scan"'::regclass, 'id', 'no condition');
SELECT privacy_scan.hold('"Scan"', ARRAY['s1'], ' ');
SELECT privacy_scan.hold('"Scan"', ARRAY['s1'], NULL);
SELECT privacy_scan.hold('"Scan"', ARRAY['s1', NULL], 'case');
SELECT privacy_scan.hold('"Scan"', ARRAY[]::text[], 'case');
SELECT privacy_scan.hold('"Scan"', ARRAY['s1'], 'case', now() - interval '1 day');
CREATE TABLE two (a int, b int, PRIMARY KEY (a, b));
SELECT privacy_scan.hold('two', ARRAY['1'], 'case');
CREATE TABLE numbered (id int, at timestamp, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
SELECT privacy_scan.hold('numbered', ARRAY['1', '22'], 'case') > 0 AS held;
SELECT condition FROM privacy_scan.holds WHERE root = 'numbered'::regclass;
SELECT privacy_scan.hold('numbered', ARRAY['one'], 'case');
SELECT privacy_scan.release_hold(-1);
RESET ROLE;
SET ROLE regress_hold_other;
SELECT privacy_scan.hold('ret_hold."Scan"', ARRAY['s1'], 'not mine');
SELECT privacy_scan.release_hold(:case8);
SELECT count(*) FROM privacy_scan.holds;
RESET ROLE;

SELECT has_function_privilege('public', f::regprocedure, 'execute') AS for_everybody
FROM unnest(ARRAY['privacy_scan.hold(regclass,text,text,timestamptz)', 'privacy_scan.hold(regclass,text[],text,timestamptz)', 'privacy_scan.release_hold(bigint)']) f;
DROP SCHEMA ret_hold, ret_hold_archive CASCADE;
DELETE FROM privacy_scan.retention_rules;
DELETE FROM privacy_scan.hold_ledger;
DELETE FROM privacy_scan.archive_ledger WHERE root_name LIKE '%ret_hold%';
REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA privacy_scan FROM regress_hold_owner, regress_hold_other;
DO $$ BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM regress_hold_owner', current_database()); END $$;
DROP ROLE regress_hold_owner, regress_hold_other;
