-- The right to erasure: families go from live relations and table archives; what is held refuses; ledgers and rights.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE ROLE regress_erase_owner;
CREATE ROLE regress_erase_other;
CREATE SCHEMA era AUTHORIZATION regress_erase_owner;
GRANT USAGE ON SCHEMA era TO regress_erase_other;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA privacy_scan TO regress_erase_owner, regress_erase_other;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_erase_owner', current_database()); END $$;
SET search_path = era;
SET privacy_scan.retention_whole_rows = 2;
SET privacy_scan.retention_keep_partitions = 1;
SET ROLE regress_erase_owner;
-- Four generations, a key of two columns, two ways to one row, a reference that is cleared, a generated column.
CREATE TABLE "Scan" (id text PRIMARY KEY, input text, at timestamp(3) NOT NULL);
CREATE TABLE "Evidence" (id int, "scanId" text NOT NULL REFERENCES "Scan" ON DELETE CASCADE, at timestamp(3) NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE "Evidence_1" PARTITION OF "Evidence" FOR VALUES FROM ('2023-01-01') TO ('2023-02-01');
CREATE TABLE "Evidence_2" PARTITION OF "Evidence" FOR VALUES FROM ('2023-02-01') TO ('2023-03-01');
CREATE TABLE "Evidence_3" PARTITION OF "Evidence" FOR VALUES FROM ('2023-03-01') TO ('2099-01-01');
CREATE TABLE "Issue" (id int, "scanId" text NOT NULL REFERENCES "Scan" ON DELETE CASCADE, n int, title text, upper text GENERATED ALWAYS AS (upper(title)) STORED, PRIMARY KEY (id, n));
CREATE TABLE "Note" (id int PRIMARY KEY, issue int, n int, "scanId" text REFERENCES "Scan", FOREIGN KEY (issue, n) REFERENCES "Issue" ON DELETE CASCADE);
CREATE TABLE "Mark" (note int NOT NULL REFERENCES "Note", body text);
CREATE TABLE "Report" (id int PRIMARY KEY, issue int, n int, FOREIGN KEY (issue, n) REFERENCES "Issue" ON DELETE SET NULL);
CREATE INDEX ON "Evidence" ("scanId");
INSERT INTO "Scan" SELECT 's' || i, 'site ' || i % 3, timestamp '2023-01-02' + i * interval '5 days' FROM generate_series(0, 9) i;
INSERT INTO "Scan" SELECT 'new' || i, 'site ' || i % 3, '2024-02-02' FROM generate_series(0, 3) i;
INSERT INTO "Evidence" SELECT row_number() OVER (ORDER BY s.id, k), s.id, at FROM "Scan" s, generate_series(1, 3) k;
INSERT INTO "Issue" SELECT row_number() OVER (ORDER BY s.id, k), s.id, k, s.id || '/' || k FROM "Scan" s, generate_series(1, 2) k;
INSERT INTO "Note" SELECT i.id, i.id, n, CASE WHEN n = 1 THEN "scanId" END FROM "Issue" i;
INSERT INTO "Note" SELECT 100 + row_number() OVER (ORDER BY id), NULL, NULL, id FROM "Scan";
INSERT INTO "Mark" SELECT id, 'mark ' || id FROM "Note";
INSERT INTO "Report" SELECT row_number() OVER (ORDER BY id), id, n FROM "Issue" WHERE "scanId" LIKE 'new%';
CREATE VIEW held_rows AS SELECT m, count(*) AS rows, md5(string_agg(r, ',' ORDER BY r)) AS all_rows FROM (
  SELECT 1 AS m, s::text AS r FROM privacy_scan.archived_rows(NULL::"Scan") s UNION ALL SELECT 2, e::text FROM privacy_scan.archived_rows(NULL::"Evidence") e
  UNION ALL SELECT 3, i::text FROM privacy_scan.archived_rows(NULL::"Issue") i UNION ALL SELECT 4, n::text FROM privacy_scan.archived_rows(NULL::"Note") n
  UNION ALL SELECT 5, k::text FROM privacy_scan.archived_rows(NULL::"Mark") k UNION ALL SELECT 6, r::text FROM "Report" r) x GROUP BY m;
-- Without a policy, live rows alone.
SELECT place, relation, archive, rows, action, detail FROM privacy_scan.erase('"Scan"', ARRAY['new3'], 'request 1');
SELECT count(*) FROM "Scan" WHERE id = 'new3';
SELECT place, relation, archive, rows, action, detail ~ '^entered as erasure \d+$' AS entered FROM privacy_scan.erase('"Scan"', ARRAY['new3'], 'request 1', false);
SELECT (SELECT count(*) FROM "Scan" WHERE id = 'new3') AS scans, (SELECT count(*) FROM "Evidence" WHERE "scanId" = 'new3') AS evidence,
  (SELECT count(*) FROM "Mark" m WHERE NOT EXISTS (SELECT FROM "Note" n WHERE n.id = m.note)) AS orphans, (SELECT count(*) FROM "Report" WHERE issue IS NULL) AS cleared;

-- Live, in batches' archives, and in partitions that went whole.
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'at') IS NOT NULL AS set;
CALL privacy_scan.run_retention('"Scan"', '2024-03-01 00:00+00', confirm => true);
SELECT relation, leaf IS NOT NULL AS whole, sum(rows) FROM privacy_scan.archives WHERE root LIKE '%era%Scan%' GROUP BY 1, 2 ORDER BY 1, 2;
-- A dry run says what the erasure then does, and changes nothing.
SELECT md5(string_agg(h::text, ',' ORDER BY m)) AS before FROM held_rows h \gset
CREATE TEMP TABLE planned AS SELECT * FROM privacy_scan.erase('"Scan"', $$input = 'site 1'$$, 'request 2');
SELECT md5(string_agg(h::text, ',' ORDER BY m)) = :'before' AS unchanged FROM held_rows h;
SELECT count(*) FROM privacy_scan.archives WHERE root LIKE '%era%' AND action = 'erase';
CREATE TEMP TABLE done AS SELECT * FROM privacy_scan.erase('"Scan"', $$input = 'site 1'$$, 'request 2', dry_run => false);
SELECT place, relation, archive, rows FROM done;
SELECT count(*) FROM (SELECT place, relation, archive, file, rows, bytes FROM planned EXCEPT SELECT place, relation, archive, file, rows, bytes FROM done) d;
SELECT m, rows FROM held_rows ORDER BY m;
SELECT count(*) FROM privacy_scan.archived_rows(NULL::"Scan") WHERE input = 'site 1';
SELECT count(*) FROM privacy_scan.archived_rows(NULL::"Evidence") e WHERE NOT EXISTS (SELECT FROM privacy_scan.archived_rows(NULL::"Scan") s WHERE s.id = e."scanId");
SELECT count(*) FROM privacy_scan.archived_rows(NULL::"Mark") m WHERE NOT EXISTS (SELECT FROM privacy_scan.archived_rows(NULL::"Note") n WHERE n.id = m.note);
SELECT DISTINCT state FROM privacy_scan.verify_archive() WHERE archive LIKE '%era_archive%';
SELECT id > 0 AS id, root, roots, relation, place, rows, reason, erased_by, cardinality(ids_sha256) AS ids,
  encode(sha256('s1'), 'hex') = ANY (ids_sha256) AS s1, encode(sha256('s2'), 'hex') = ANY (ids_sha256) AS s2 FROM privacy_scan.erasures WHERE reason = 'request 2' ORDER BY relation, place;
-- Nothing twice, and nothing is entered where there was nothing.
SELECT sum(rows) FROM privacy_scan.erase('"Scan"', $$input = 'site 1'$$, 'request 3', false);
SELECT count(*) FROM privacy_scan.erasures WHERE reason = 'request 3';
-- What is left comes back, and the next retention takes it again.
CREATE TABLE "Evidence_back" PARTITION OF "Evidence" FOR VALUES FROM ('2023-01-01') TO ('2023-03-01');
SELECT relation, rows FROM privacy_scan.restore_archive('"Scan"', ARRAY['s2', 's1']);
CALL privacy_scan.run_retention('"Scan"', '2024-03-01 00:00+00', confirm => true);
SELECT count(*) FROM privacy_scan.check_archives() WHERE archive LIKE '%era_archive%';

-- Held rows refuse, live and archived ones alike, by whichever hold.
SELECT privacy_scan.hold('"Scan"', ARRAY['s2', 'new2'], 'court') IS NOT NULL AS held, privacy_scan.hold('"Scan"', $$id = 's5'$$, 'second') IS NOT NULL AS held;
\set VERBOSITY default
DO $$ BEGIN PERFORM privacy_scan.erase('"Scan"', $c$input = 'site 2'$c$, 'request 4', false);
  EXCEPTION WHEN object_not_in_prerequisite_state THEN DECLARE d text; h text; BEGIN GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
  RAISE WARNING '% | % | %', sqlerrm, regexp_replace(d, 'old \d+', 'old N', 'g'), h; END; END $$;
\set VERBOSITY terse
SELECT count(*) FROM privacy_scan.erase('"Scan"', ARRAY['s2'], 'request 4');
SELECT count(*) FROM privacy_scan.archived_rows(NULL::"Scan") WHERE input = 'site 2';
SELECT sum(rows) > 0 AS others FROM privacy_scan.erase('"Scan"', ARRAY['s3'], 'request 5', false);
SELECT count(privacy_scan.release_hold(id)) FROM privacy_scan.holds WHERE root = '"Scan"'::regclass;
SELECT sum(rows) > 0 AS freed FROM privacy_scan.erase('"Scan"', ARRAY['s2'], 'request 6', false);

-- Archives of a former policy, a column that an archive hasn't got, a policy that was dropped.
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'at', archive_schema => 'era_other') IS NOT NULL AS set;
INSERT INTO "Scan" VALUES ('late', 'x', '2023-02-20');
INSERT INTO "Evidence" VALUES (1000, 'late', '2023-03-20');
SELECT relation, rows FROM privacy_scan.apply_retention('"Scan"', '2024-03-01 00:00+00', dry_run => false);
SELECT privacy_scan.drop_retention('"Scan"');
SELECT place, relation, archive, rows FROM privacy_scan.erase('"Scan"', ARRAY['s5', 'late', 'new2'], 'request 7', false) ORDER BY relation::text, place, archive;
SELECT count(*) FROM privacy_scan.check_archives() WHERE archive LIKE '%era_%';

-- By ids that carry time: no range of the ledger names one that was erased.
CREATE TABLE u (id uuid PRIMARY KEY, body text);
INSERT INTO u SELECT (privacy_scan.key_at('uuidv7', '2023-01-01 00:00+00'::timestamptz + i * interval '1 day') || '-7000-8000-00000000000' || i)::uuid, i FROM generate_series(1, 3) i;
SELECT privacy_scan.set_retention('u', '1 year', 'id', key_kind => 'uuidv7') IS NOT NULL AS set;
SELECT rows, key_from, key_to FROM privacy_scan.apply_retention('u', '2024-03-01 00:00+00', dry_run => false);
SELECT place, rows FROM privacy_scan.erase('u', $$body <> '2'$$, 'request 10', false);
SELECT action, rows, key_from, key_to FROM privacy_scan.archives WHERE relation = '"era"."u"' ORDER BY id;
SELECT count(*) FROM privacy_scan.check_archives() WHERE archive LIKE '%era_%';

-- Nothing of it after a rollback.
BEGIN;
SELECT sum(rows) > 0 AS erased FROM privacy_scan.erase('"Scan"', 'true', 'request 8', false);
SELECT count(*) FROM privacy_scan.archived_rows(NULL::"Scan");
ROLLBACK;
SELECT count(*) > 0 AS there FROM privacy_scan.archived_rows(NULL::"Scan");
SELECT count(*) FROM privacy_scan.check_archives() WHERE archive LIKE '%era_%';

-- Refused, with nothing changed.
SELECT count(*) AS remaining FROM privacy_scan.archived_rows(NULL::"Scan") \gset
SELECT * FROM privacy_scan.erase('"Scan"', 'true', '  ', false);
SELECT * FROM privacy_scan.erase('"Scan"', 'true', NULL, false);
SELECT * FROM privacy_scan.erase('"Scan"', NULL::text, 'x', false);
SELECT * FROM privacy_scan.erase('"Scan"', 'true', 'x', NULL);
SELECT * FROM privacy_scan.erase('"Scan"', ARRAY[]::text[], 'x', false);
SELECT * FROM privacy_scan.erase('"Scan"', 'nowhere = 1', 'x', false);
SELECT * FROM privacy_scan.erase('"Scan"', 'random() < 2', 'x', false);
SELECT * FROM privacy_scan.erase('"Evidence_3"', 'true', 'x', false);
SELECT * FROM privacy_scan.erase('held_rows', 'true', 'x', false);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM privacy_scan.erase('"Scan"', 'true', 'x', false);
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM privacy_scan.erase('"Scan"', 'true', 'x', false);
ROLLBACK;
-- A trigger that suppresses deletes: nothing is cascaded away uncounted.
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER keep BEFORE DELETE ON "Evidence_3" FOR EACH ROW EXECUTE FUNCTION keep();
SELECT * FROM privacy_scan.erase('"Scan"', ARRAY['new0'], 'x', false);
DROP TRIGGER keep ON "Evidence_3";
CREATE TRIGGER keep BEFORE DELETE ON "Scan" FOR EACH ROW EXECUTE FUNCTION keep();
SELECT * FROM privacy_scan.erase('"Scan"', ARRAY['new0'], 'x', false);
DROP TRIGGER keep ON "Scan";
-- In an archive, and one that puts a new version of the root in the place of what was picked.
CREATE TRIGGER keep BEFORE DELETE ON era_archive."Scan_archive" FOR EACH ROW EXECUTE FUNCTION keep();
SELECT * FROM privacy_scan.erase('"Scan"', ARRAY['s6'], 'x', false);
DROP TRIGGER keep ON era_archive."Scan_archive";
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE era."Scan" SET input = input || '.' WHERE id = OLD."scanId"; RETURN NULL; END $$;
CREATE TRIGGER touch AFTER DELETE ON "Evidence_3" FOR EACH ROW EXECUTE FUNCTION touch();
SELECT * FROM privacy_scan.erase('"Scan"', ARRAY['new0'], 'x', false);
DROP TRIGGER touch ON "Evidence_3";
-- A key that was renamed in the live relation alone.
ALTER TABLE "Evidence" RENAME "scanId" TO scan;
SELECT * FROM privacy_scan.erase('"Scan"', ARRAY['s6'], 'x', false);
ALTER TABLE "Evidence" RENAME scan TO "scanId";
SELECT count(*) = :remaining AS same FROM privacy_scan.archived_rows(NULL::"Scan");
-- For the owner alone, of the archives, too.
RESET ROLE;
SET ROLE regress_erase_other;
SELECT * FROM privacy_scan.erase('era."Scan"', 'true', 'x', false);
SELECT count(*) FROM privacy_scan.erasures WHERE root LIKE '%era%';
RESET ROLE;
ALTER TABLE era_archive."Evidence_archive" OWNER TO regress_erase_other;
SET ROLE regress_erase_owner;
SELECT * FROM privacy_scan.erase('"Scan"', 'true', 'x', false);
RESET ROLE;
ALTER TABLE era_archive."Evidence_archive" OWNER TO regress_erase_owner;
SET ROLE regress_erase_owner;
-- A root without a primary key has no ids to hash; whoever is a superuser erases as the owner.
CREATE TABLE plain (a int, b text);
INSERT INTO plain VALUES (1, 'x'), (2, 'y');
RESET ROLE;
SELECT place, relation, rows FROM privacy_scan.erase('plain', 'a = 1', 'request 9', false);
SELECT roots, relation, rows, ids_sha256, erased_by = session_user AS me FROM privacy_scan.erasures WHERE reason = 'request 9';

-- Ids of a type that has a length, without which it is one of one character, or bit.
SET ROLE regress_erase_owner;
CREATE TABLE code (id char(3) PRIMARY KEY);
CREATE TABLE bits (id bit(3) PRIMARY KEY);
INSERT INTO code VALUES ('abc'), ('a');
INSERT INTO bits VALUES ('101'), ('110');
SELECT privacy_scan.hold('code', ARRAY['abc'], 'court') AS held \gset
SELECT place, rows FROM privacy_scan.erase('code', ARRAY['a'], 'request 12', false);
SELECT place, rows FROM privacy_scan.erase('code', ARRAY['abc'], 'request 12', false);
SELECT place, rows FROM privacy_scan.erase('bits', ARRAY['110'], 'request 12', false);
SELECT id::text FROM code UNION ALL SELECT id::text FROM bits;
SELECT privacy_scan.release_hold(:held) IS NOT NULL AS released;

-- By a root above that of the policy: what stands alone is reached; so are plans, and copies that splits left are named.
SET ROLE regress_erase_owner;
CREATE TABLE "Customer" (id text PRIMARY KEY);
CREATE TABLE "Visit" (id text PRIMARY KEY, customer text NOT NULL REFERENCES "Customer" ON DELETE CASCADE, at timestamp(3) NOT NULL);
CREATE TABLE "Trace" (visit text NOT NULL REFERENCES "Visit" ON DELETE CASCADE, at timestamp(3) NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE "Trace_1" PARTITION OF "Trace" FOR VALUES FROM ('2023-01-01') TO ('2023-02-01');
CREATE TABLE "Trace_2" PARTITION OF "Trace" FOR VALUES FROM ('2023-02-01') TO ('2099-01-01');
CREATE INDEX ON "Trace" (visit);
INSERT INTO "Customer" VALUES ('c0'), ('c1');
INSERT INTO "Visit" SELECT 'v' || i, 'c' || i % 2, timestamp '2023-01-02' + i * interval '1 day' FROM generate_series(0, 9) i;
INSERT INTO "Visit" SELECT 'n' || i, 'c' || i % 2, '2024-02-02' FROM generate_series(0, 9) i;
INSERT INTO "Trace" SELECT id, at FROM "Visit", generate_series(1, 3);
SELECT privacy_scan.set_retention('"Visit"', '1 year', 'at', archive => 'detach') IS NOT NULL AS set;
SELECT privacy_scan.make_plan('"Visit"', '2024-03-01 00:00+00') AS plan \gset
CALL privacy_scan.apply_plan(:plan, confirm => true);
SELECT privacy_scan.make_plan('"Visit"', '2024-03-01 00:00+00') > 0 AS another;
SELECT (SELECT count(*) FROM era_archive."Trace_1") AS standing, (SELECT count(*) FROM pg_inherits WHERE inhrelid = 'era_archive."Trace_1"'::regclass) AS parents;
RESET ROLE;
CREATE TABLE "Trace_copy" (LIKE "Trace");
INSERT INTO privacy_scan.split_states (partition, parent, changes, first_xid, phase, in_background, drops_sources) VALUES ('"Trace_2"', '"Trace"', '"Trace_copy"', 3, 'done', false, false);
INSERT INTO privacy_scan.split_sources (partition, source, lower, upper, file_node) VALUES ('"Trace_2"', '"Trace_copy"', 0, 1, 0);
SET ROLE regress_erase_owner;
SELECT place, relation, rows FROM privacy_scan.erase('"Customer"', ARRAY['c1'], 'request 11', false) ORDER BY relation::text, place, rows;
SELECT (SELECT count(*) FROM era_archive."Trace_1") AS standing, (SELECT count(*) FROM pg_inherits WHERE inhrelid = 'era_archive."Trace_1"'::regclass) AS parents,
  (SELECT count(*) FROM privacy_scan.check_archives() WHERE archive LIKE '%era_%') AS damaged;
SELECT state, count(key_from) AS keys FROM privacy_scan.retention_plans p JOIN privacy_scan.plan_actions a ON a.plan = p.id WHERE p.root ~ 'Visit' GROUP BY 1;
RESET ROLE;
DELETE FROM privacy_scan.split_states;

DELETE FROM privacy_scan.plan_ledger;
DELETE FROM privacy_scan.detached_tables WHERE target LIKE '%era_%';
DELETE FROM privacy_scan.archive_windows WHERE target LIKE '%era_%';
DROP TABLE planned, done;
DROP SCHEMA era, era_archive, era_other CASCADE;
DELETE FROM privacy_scan.retention_rules;
DELETE FROM privacy_scan.hold_ledger;
DELETE FROM privacy_scan.archive_ledger WHERE root_name LIKE '%era%';
DELETE FROM privacy_scan.archive_checks WHERE target LIKE '%era_%';
DELETE FROM privacy_scan.erasure_counts;
DELETE FROM privacy_scan.erasure_ledger;
DO $$ BEGIN EXECUTE format('REVOKE ALL ON DATABASE %I FROM regress_erase_owner', current_database()); END $$;
DROP OWNED BY regress_erase_owner, regress_erase_other;
DROP ROLE regress_erase_owner, regress_erase_other;
