-- Plans that are written down, and carried out as they were shown, or refused with what has changed.
\set VERBOSITY default
SET client_min_messages = warning;
SET TimeZone = 'UTC';
DROP EXTENSION IF EXISTS privacy_scan;
CREATE EXTENSION privacy_scan;
CREATE ROLE regress_rp_her;
CREATE SCHEMA rp;
SET search_path = rp;
SET privacy_scan.retention_whole_rows = 10;
SET privacy_scan.retention_keep_partitions = 1;
CREATE TABLE "Scan" (id text PRIMARY KEY, status text, at timestamp NOT NULL, meta text);
CREATE TABLE "Evidence" (id int, scan text REFERENCES "Scan" ON DELETE CASCADE, at timestamp NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE "Note" (scan text REFERENCES "Scan" ON DELETE CASCADE, body text);
CREATE INDEX ON "Evidence" (scan);
CREATE PROCEDURE fill() LANGUAGE plpgsql SET search_path = rp AS $$
BEGIN
  TRUNCATE "Scan" CASCADE;
  CREATE TABLE IF NOT EXISTS "Evidence_1" PARTITION OF "Evidence" FOR VALUES FROM ('2020-01-01') TO ('2020-02-01');
  CREATE TABLE IF NOT EXISTS "Evidence_2" PARTITION OF "Evidence" FOR VALUES FROM ('2020-02-01') TO ('2020-03-01');
  CREATE TABLE IF NOT EXISTS "Evidence_3" PARTITION OF "Evidence" FOR VALUES FROM ('2020-03-01') TO ('2099-01-01');
  INSERT INTO "Scan" SELECT 's' || n, 'done', timestamp '2020-01-01' + n * interval '2 days' FROM generate_series(0, 29) n;
  UPDATE "Scan" SET status = 'running' WHERE id = 's20';
  INSERT INTO "Scan" SELECT 'new' || n, 'done', timestamp '2021-05-20' FROM generate_series(1, 100) n;
  INSERT INTO "Evidence" SELECT 100 * k + n, 's' || n, timestamp '2020-01-01' + n * interval '2 days' FROM generate_series(0, 29) n, generate_series(1, 10) k;
  INSERT INTO "Evidence" SELECT n, 'new' || n, timestamp '2021-05-20' FROM generate_series(1, 100) n;
  INSERT INTO "Note" SELECT id, 'note' FROM "Scan" WHERE id ~ 's[0-9]';
END $$;
CALL fill();
VACUUM "Evidence";
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'at', $$status = 'done'$$) IS NOT NULL AS set;

-- A plan is what plan_retention() shows.
SELECT privacy_scan.make_plan('"Scan"', '2021-06-01 00:00+00') AS plan \gset
SELECT id, root, at, cutoff, valid_until - made_at BETWEEN '23:59:59' AND '24:00:01' AS a_day, state, rows, policy, holds FROM privacy_scan.retention_plans;
SELECT relation, action, target, rows, key_from, key_to, reason FROM privacy_scan.plan_actions WHERE plan = :plan ORDER BY place;
SELECT count(*) AS differ FROM (SELECT relation::regclass::text, action, target, rows, bytes, key_from, key_to, reason FROM privacy_scan.plan_actions
  EXCEPT SELECT relation::text, action, target, rows, bytes, key_from, key_to, reason FROM privacy_scan.plan_retention('"Scan"', '2021-06-01 00:00+00')) d;

-- What has changed, each for itself. What doesn't matter doesn't.
UPDATE "Scan" SET meta = 'touched' WHERE id = 's1';
INSERT INTO "Scan" VALUES ('newer', 'done', '2021-05-21');
INSERT INTO "Evidence" VALUES (0, 'newer', '2021-05-21');
UPDATE "Scan" SET status = 'running' WHERE id = 's25';
CALL privacy_scan.apply_plan(:plan);
UPDATE "Scan" SET status = 'done' WHERE id IN ('s25', 's20');
CALL privacy_scan.apply_plan(:plan);
UPDATE "Scan" SET status = 'running' WHERE id = 's24';
CALL privacy_scan.apply_plan(:plan);
UPDATE "Scan" SET status = CASE id WHEN 's20' THEN 'running' ELSE 'done' END;
INSERT INTO "Note" VALUES ('s3', 'one more');
CALL privacy_scan.apply_plan(:plan);
DELETE FROM "Note" WHERE body = 'one more';
ALTER TABLE "Note" ADD COLUMN extra int;
CALL privacy_scan.apply_plan(:plan);
ALTER TABLE "Note" DROP COLUMN extra;
CREATE TABLE "Tag" (scan text REFERENCES "Scan" ON DELETE CASCADE);
CALL privacy_scan.apply_plan(:plan);
DROP TABLE "Tag";
BEGIN;
ALTER TABLE "Evidence" DETACH PARTITION "Evidence_1";
COMMIT;
CALL privacy_scan.apply_plan(:plan);
ALTER TABLE "Evidence" ATTACH PARTITION "Evidence_1" FOR VALUES FROM ('2020-01-01') TO ('2020-02-01');
SELECT privacy_scan.hold('"Scan"', ARRAY['new1'], 'case 1') AS hold \gset
CALL privacy_scan.apply_plan(:plan);
SELECT privacy_scan.release_hold(:hold);
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'at', $$status = 'done'$$, archive => 'detach') IS NOT NULL AS set;
CALL privacy_scan.apply_plan(:plan);
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'at', $$status = 'done'$$) IS NOT NULL AS set;
SELECT state, detail FROM privacy_scan.retention_plans;
SELECT count(*) AS archived FROM privacy_scan.archives;

-- A guard stops it, and does not use it up; then it goes, by its own cutoff; once.
\set VERBOSITY terse
INSERT INTO "Scan" SELECT 'old' || n, 'running', '2020-01-01' FROM generate_series(1, 10) n;
DELETE FROM "Scan" WHERE id ~ 'new[2-9]|new1.';
CALL privacy_scan.apply_plan(:plan);
SELECT state, detail FROM privacy_scan.retention_plans;
CALL privacy_scan.apply_plan(:plan, confirm => true);
CALL privacy_scan.apply_plan(:plan);
SELECT state, applied_by = current_user AS mine, ended_at >= applied_at AS ended, detail FROM privacy_scan.retention_plans;
SELECT relation, sum(rows) FROM privacy_scan.archives GROUP BY 1 ORDER BY 1;
SELECT relation, sum(rows) FROM privacy_scan.plan_actions WHERE plan = :plan AND action <> 'keep' GROUP BY 1 ORDER BY 1;
SELECT count(*) AS archived, (SELECT count(*) FROM privacy_scan.check_archives()) AS damaged FROM privacy_scan.archives;

-- Changed while it is carried out: the step that would do anything else is undone, what was committed stays.
CREATE PROCEDURE again() LANGUAGE plpgsql SET search_path = rp AS $$
BEGIN
  DROP SCHEMA IF EXISTS rp_archive CASCADE;
  DELETE FROM privacy_scan.archive_ledger; DELETE FROM privacy_scan.archive_checks;
  CALL fill();
END $$;
CALL again();
SET privacy_scan.retention_whole_rows = 0;
SET privacy_scan.retention_batch_rows = 60;
SELECT privacy_scan.make_plan('"Scan"', '2021-06-01 00:00+00') AS plan \gset
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO rp."Note" SELECT 's29', 'meddled' WHERE old.id = 's2';
  RETURN NULL;
END $$;
CREATE TRIGGER meddle AFTER DELETE ON "Scan" FOR EACH ROW EXECUTE FUNCTION meddle();
\set VERBOSITY default
CALL privacy_scan.apply_plan(:plan);
\set VERBOSITY terse
SELECT state, detail FROM privacy_scan.retention_plans WHERE id = :plan;
CALL privacy_scan.apply_plan(:plan);
SELECT relation, sum(rows) > 0 AS some FROM privacy_scan.archives GROUP BY 1 ORDER BY 1;
SELECT count(*) AS meddled FROM "Note" WHERE body = 'meddled';
SELECT count(*) AS orphans FROM (SELECT scan FROM "Evidence" UNION ALL SELECT scan FROM "Note") c WHERE NOT EXISTS (SELECT FROM "Scan" s WHERE s.id = c.scan);
DROP TRIGGER meddle ON "Scan";
-- Less is found than was planned.
CALL again();
SELECT privacy_scan.make_plan('"Scan"', '2021-06-01 00:00+00') AS plan \gset
CREATE OR REPLACE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE rp."Scan" SET status = 'running' WHERE id = 's29' AND old.id = 's2';
  RETURN NULL;
END $$;
CREATE TRIGGER meddle AFTER DELETE ON "Scan" FOR EACH ROW EXECUTE FUNCTION meddle();
CALL privacy_scan.apply_plan(:plan);
SELECT state, detail FROM privacy_scan.retention_plans WHERE id = :plan;
DROP TRIGGER meddle ON "Scan";
RESET privacy_scan.retention_batch_rows;
SET privacy_scan.retention_whole_rows = 10;

-- Discarded, by a plan; a cap on runs is none on a plan.
CALL again();
VACUUM "Evidence";
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'at', $$status = 'done'$$, archive => 'discard', confirm => true) IS NOT NULL AS set;
SELECT privacy_scan.make_plan('"Scan"', '2021-06-01 00:00+00', '1 hour') AS plan \gset
SET privacy_scan.retention_run_rows = 1;
CALL privacy_scan.apply_plan(:plan, confirm => true);
SELECT action, sum(rows) FROM privacy_scan.archives GROUP BY 1;
SELECT action, sum(rows) FROM privacy_scan.plan_actions WHERE plan = :plan GROUP BY 1 ORDER BY 1;

-- The first run of a policy that would take most of a larger root asks, too, where no partition goes whole.
RESET privacy_scan.retention_run_rows;
CREATE TABLE "Flat" (id int PRIMARY KEY, at timestamp NOT NULL);
INSERT INTO "Flat" SELECT n, timestamp '2020-01-01' FROM generate_series(1, 1000) n;
INSERT INTO "Flat" SELECT n, timestamp '2021-05-31' FROM generate_series(1001, 1999) n;
SELECT privacy_scan.set_retention('"Flat"', '1 year', 'at') IS NOT NULL AS set;
CALL privacy_scan.run_retention('"Flat"', '2021-06-01 00:00+00');
CALL privacy_scan.run_job('retention rp."Flat"', '2021-06-01 00:00+00');
INSERT INTO "Flat" VALUES (2000, '2021-05-31');
CALL privacy_scan.run_retention('"Flat"', '2021-06-01 00:00+00');
DELETE FROM "Flat" WHERE id > 1001;
UPDATE "Flat" SET at = '2020-01-01';
CALL privacy_scan.run_retention('"Flat"', '2021-06-01 00:00+00');
-- A clock that runs ahead is noticed there, too, unless that is switched off.
INSERT INTO "Flat" SELECT n, timestamp '2021-03-01' FROM generate_series(3001, 4000) n;
CALL privacy_scan.run_retention('"Flat"', '2022-06-01 00:00+00', confirm => true);
SET privacy_scan.retention_quiet_days = 0;
CALL privacy_scan.run_retention('"Flat"', '2022-06-01 00:00+00', confirm => true);
RESET privacy_scan.retention_quiet_days;
INSERT INTO "Flat" SELECT n, timestamp '2021-03-01' FROM generate_series(3001, 3999) n;
CALL privacy_scan.run_retention('"Flat"', '2022-06-01 00:00+00', confirm => true);
INSERT INTO "Flat" SELECT n, timestamp '2021-03-01' FROM generate_series(3001, 4000) n;
CALL privacy_scan.run_retention('"Flat"', '2022-06-01 00:00+00', force => true, confirm => true);
-- The first run of one that takes more than before asks; the same set once more is none.
INSERT INTO "Flat" VALUES (9999, '2021-05-31');
INSERT INTO "Flat" SELECT n, timestamp '2021-03-01' FROM generate_series(3001, 4000) n;
SELECT privacy_scan.set_retention('"Flat"', '60 days', 'at') IS NOT NULL AS set;
CALL privacy_scan.run_retention('"Flat"', '2021-06-01 00:00+00');
SELECT privacy_scan.set_retention('"Flat"', '1 year', 'at') IS NOT NULL AS set;
CALL privacy_scan.run_retention('"Flat"', '2021-06-01 00:00+00');
SELECT privacy_scan.set_retention('"Flat"', '60 days', 'at') IS NOT NULL AS set;
CALL privacy_scan.run_retention('"Flat"', '2021-06-01 00:00+00', confirm => true);
INSERT INTO "Flat" SELECT n, timestamp '2021-03-01' FROM generate_series(3001, 4000) n;
SELECT privacy_scan.set_retention('"Flat"', '60 days', 'at') IS NOT NULL AS set;
CALL privacy_scan.run_retention('"Flat"', '2021-06-01 00:00+00');
SELECT count(*) FROM "Flat";
SELECT rows FROM privacy_scan.archives WHERE relation ~ 'Flat' ORDER BY id;

-- What changes between the comparison and the run: another policy stops it, and what the plan says is kept stays.
CREATE TABLE "Late" (id int, at timestamp NOT NULL);
INSERT INTO "Late" SELECT n, timestamp '2020-01-01' FROM generate_series(1, 10) n;
SELECT privacy_scan.set_retention('"Late"', '1 year', 'at', archive => 'detach') IS NOT NULL AS set;
SELECT privacy_scan.make_plan('"Late"', '2021-06-01 00:00+00') AS plan \gset
CREATE FUNCTION meanwhile() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF TG_ARGV[0] = 'policy' THEN UPDATE privacy_scan.retention_rules SET keep = '1 day' WHERE root = 'rp."Late"'::regclass;
  ELSE UPDATE privacy_scan.hold_ledger SET released_at = now() WHERE root = 'rp."Late"'::regclass; END IF; RETURN NULL; END $$;
CREATE TRIGGER meanwhile AFTER UPDATE ON privacy_scan.plan_ledger FOR EACH ROW WHEN (NEW.state = 'applying') EXECUTE FUNCTION meanwhile('policy');
CALL privacy_scan.apply_plan(:plan, confirm => true);
DROP TRIGGER meanwhile ON privacy_scan.plan_ledger;
SELECT count(*) AS rows, (SELECT state FROM privacy_scan.retention_plans WHERE id = :plan) AS state FROM "Late";
SELECT privacy_scan.set_retention('"Late"', '1 year', 'at', archive => 'detach', grace => '1 day') IS NOT NULL AS set;
CALL privacy_scan.run_retention('"Late"', '2021-06-01 00:00+00', confirm => true);
UPDATE privacy_scan.detached_tables SET detached_at = '2020-01-01';
SELECT privacy_scan.hold('"Late"', 'id = 1', 'case 1') IS NOT NULL AS held;
SELECT privacy_scan.make_plan('"Late"', '2021-06-01 00:00+00') AS plan \gset
SELECT action, rows FROM privacy_scan.plan_actions WHERE plan = :plan ORDER BY 1, 2;
CREATE TRIGGER meanwhile AFTER UPDATE ON privacy_scan.plan_ledger FOR EACH ROW WHEN (NEW.state = 'applying') EXECUTE FUNCTION meanwhile('hold');
CALL privacy_scan.apply_plan(:plan, confirm => true);
DROP TRIGGER meanwhile ON privacy_scan.plan_ledger;
SELECT count(*) AS standing FROM privacy_scan.detached_leaves;
DROP TABLE "Late";

-- Whose it is, how long, and what is refused.
SELECT privacy_scan.make_plan('"Scan"', now() + interval '1 day');
SELECT privacy_scan.make_plan('"Scan"', 'infinity');
SELECT privacy_scan.make_plan('"Scan"', valid => '-1 day');
SELECT privacy_scan.make_plan('"Scan"', valid => NULL);
SELECT privacy_scan.make_plan('"Note"');
CALL privacy_scan.apply_plan(12345);
CALL privacy_scan.apply_plan(NULL);
SELECT privacy_scan.make_plan('"Scan"', '2021-06-01 00:00+00') AS plan \gset
BEGIN;
CALL privacy_scan.apply_plan(:plan);
ROLLBACK;
UPDATE privacy_scan.plan_ledger SET valid_until = now() - interval '1 second' WHERE id = :plan;
SELECT state FROM privacy_scan.retention_plans WHERE id = :plan;
CALL privacy_scan.apply_plan(:plan);
SELECT privacy_scan.make_plan('"Scan"', '2021-06-01 00:00+00') AS plan \gset
GRANT USAGE ON SCHEMA privacy_scan, rp TO regress_rp_her;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA privacy_scan TO regress_rp_her;
SET ROLE regress_rp_her;
SELECT privacy_scan.make_plan('"Scan"');
CALL privacy_scan.apply_plan(:plan);
SELECT (SELECT count(*) FROM privacy_scan.retention_plans) + (SELECT count(*) FROM privacy_scan.plan_actions) AS seen;
RESET ROLE;
-- Those that are long over go.
UPDATE privacy_scan.plan_ledger SET valid_until = now() - interval '31 days';
SELECT privacy_scan.make_plan('"Scan"', '2021-06-01 00:00+00') AS plan \gset
SELECT count(*) AS plans, (SELECT count(DISTINCT plan) FROM privacy_scan.plan_actions) AS with_actions FROM privacy_scan.retention_plans;
REVOKE ALL ON ALL ROUTINES IN SCHEMA privacy_scan FROM regress_rp_her;
DROP SCHEMA rp CASCADE;
DROP SCHEMA IF EXISTS rp_archive CASCADE;
DROP EXTENSION privacy_scan;
CREATE EXTENSION privacy_scan;
DROP ROLE regress_rp_her;
