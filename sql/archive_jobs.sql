-- Jobs that look after archives: verification of a sample, and restore drills; what they find is seen.
\set VERBOSITY terse
SET client_min_messages = warning;
SET TimeZone = 'UTC';
DROP EXTENSION IF EXISTS privacy_scan;
CREATE EXTENSION privacy_scan;
CREATE ROLE regress_aj_her;
CREATE SCHEMA aj;
CREATE SCHEMA aj_archive AUTHORIZATION regress_aj_her;
GRANT USAGE ON SCHEMA aj TO regress_aj_her;
SET search_path = aj;
SET privacy_scan.retention_whole_rows = 10;
SET privacy_scan.retention_keep_partitions = 1;
CREATE TABLE "Scan" (id int PRIMARY KEY, at timestamp NOT NULL);
CREATE TABLE "Evidence" (id int, scan int REFERENCES "Scan" ON DELETE CASCADE, at timestamp NOT NULL, body text) PARTITION BY RANGE (at);
CREATE INDEX ON "Evidence" (scan);
CREATE TABLE "Evidence_1" PARTITION OF "Evidence" FOR VALUES FROM ('2020-01-01') TO ('2020-02-01');
CREATE TABLE "Evidence_2" PARTITION OF "Evidence" FOR VALUES FROM ('2020-02-01') TO ('2099-01-01');
INSERT INTO "Scan" SELECT n, timestamp '2020-01-01' + n * interval '1 day' FROM generate_series(0, 19) n;
INSERT INTO "Scan" SELECT n, now() - interval '1 day' FROM generate_series(100, 200) n;
INSERT INTO "Evidence" SELECT n, n / 10, timestamp '2020-01-01' + n / 10 * interval '1 day', repeat('x', n) FROM generate_series(0, 199) n;
INSERT INTO "Evidence" SELECT n, n, now() - interval '1 day' FROM generate_series(100, 200) n;
ALTER TABLE "Scan" OWNER TO regress_aj_her;
ALTER TABLE "Evidence" OWNER TO regress_aj_her;
ALTER TABLE "Evidence_1" OWNER TO regress_aj_her;
ALTER TABLE "Evidence_2" OWNER TO regress_aj_her;
VACUUM "Evidence";
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'at') IS NOT NULL AS set;
SELECT job FROM privacy_scan.jobs ORDER BY job;
CALL privacy_scan.run_retention('"Scan"', confirm => true);
-- They are there once something was archived, and are the extension's owner's.
SELECT job, schedule, state, owner = current_user AS mine FROM privacy_scan.jobs WHERE kind IN ('verification', 'drill') ORDER BY job;
SELECT id, archive, leaf, rows, state FROM privacy_scan.archives ORDER BY id;

-- A sample at a time, those that nobody looked at for longest.
SET privacy_scan.archive_sample = 1;
CALL privacy_scan.run_job('verification privacy_scan.archive_ledger');
CALL privacy_scan.run_job('verification privacy_scan.archive_ledger');
SELECT id, state, checked_at IS NOT NULL AS checked FROM privacy_scan.archives ORDER BY id;
SELECT outcome, rows FROM privacy_scan.job_runs WHERE kind = 'verification' ORDER BY id;
RESET privacy_scan.archive_sample;

-- Drills: one a run, in turn; nothing stays of the scratch table, which the owner made.
CREATE TABLE seen (who text, what text, kind "char");
GRANT INSERT ON seen TO PUBLIC;
CREATE FUNCTION see() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO aj.seen SELECT current_user, object_identity, relpersistence FROM pg_event_trigger_ddl_commands() JOIN pg_class c ON c.oid = objid WHERE command_tag = 'CREATE TABLE';
END $$;
CREATE EVENT TRIGGER regress_aj_see ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION see();
CALL privacy_scan.run_job('drill privacy_scan.archive_ledger');
CALL privacy_scan.run_job('drill privacy_scan.archive_ledger');
DROP EVENT TRIGGER regress_aj_see;
SELECT * FROM seen;
SELECT id, archive_id, leaf, place, rows, found_rows, state, detail, milliseconds > 0 AS took FROM privacy_scan.archive_drills ORDER BY id;
SELECT relname FROM pg_class WHERE relname ~ 'drill' AND relnamespace = 'aj_archive'::regnamespace;
SELECT job, last_outcome, failures FROM privacy_scan.jobs WHERE kind IN ('verification', 'drill') ORDER BY job;
-- What is larger than the limit has no turn.
SET privacy_scan.archive_drill_size = '1kB';
CALL privacy_scan.run_job('drill privacy_scan.archive_ledger');
SELECT archive_id, rows, state FROM privacy_scan.archive_drills ORDER BY id DESC LIMIT 1;
RESET privacy_scan.archive_drill_size;

-- Damage makes the jobs fail until it is mended, and is seen everywhere.
SELECT min(id) FILTER (WHERE leaf IS NOT NULL) AS leaf, min(id) FILTER (WHERE relation LIKE '%Scan%') AS scans FROM privacy_scan.archives \gset
UPDATE aj_archive."Evidence_1" SET body = body || 'y' WHERE id = 7;
ALTER TABLE aj_archive."Scan_archive" RENAME TO elsewhere;
SET privacy_scan.archive_sample = 1;
CALL privacy_scan.run_job('verification privacy_scan.archive_ledger');
CALL privacy_scan.run_job('verification privacy_scan.archive_ledger');
SELECT state, last_outcome, failures, sqlstate, message FROM privacy_scan.jobs WHERE kind = 'verification';
SELECT id, state, state_since <= checked_at AS since FROM privacy_scan.archives ORDER BY id;
SELECT status, next_step FROM privacy_scan.health() WHERE component IN ('retention', 'jobs');
SELECT archive, leaf, place, rows, found_rows, state, left(detail, 45) AS detail FROM privacy_scan.drill_archive(:leaf);
SELECT state, detail FROM privacy_scan.drill_archive(:scans);
CALL privacy_scan.run_job('drill privacy_scan.archive_ledger');
SELECT state, last_outcome, sqlstate, message FROM privacy_scan.jobs WHERE kind = 'drill';
UPDATE aj_archive."Evidence_1" SET body = repeat('x', 7) WHERE id = 7;
ALTER TABLE aj_archive.elsewhere RENAME TO "Scan_archive";
CALL privacy_scan.run_job('verification privacy_scan.archive_ledger');
CALL privacy_scan.run_job('drill privacy_scan.archive_ledger');
SELECT job, state IN ('idle', 'due') AS fine, last_outcome, failures FROM privacy_scan.jobs WHERE kind IN ('verification', 'drill') ORDER BY job;
SELECT status, next_step FROM privacy_scan.health() WHERE component = 'retention';

-- A drill is the archive's owner's right, and tells of nobody else's archives.
GRANT USAGE ON SCHEMA privacy_scan TO regress_aj_her;
GRANT EXECUTE ON FUNCTION privacy_scan.drill_archive(bigint) TO regress_aj_her;
SET ROLE regress_aj_her;
SELECT state FROM privacy_scan.drill_archive(:leaf);
SELECT count(*) > 0 AS seen FROM privacy_scan.archive_drills;
SELECT count(*) AS jobs FROM privacy_scan.jobs WHERE kind IN ('verification', 'drill');
RESET ROLE;
CREATE ROLE regress_aj_stranger;
GRANT USAGE ON SCHEMA privacy_scan TO regress_aj_stranger;
GRANT EXECUTE ON FUNCTION privacy_scan.drill_archive(bigint) TO regress_aj_stranger;
SET ROLE regress_aj_stranger;
SELECT state FROM privacy_scan.drill_archive(:leaf);
SELECT count(*) AS seen FROM privacy_scan.archive_drills;
RESET ROLE;
SELECT privacy_scan.drill_archive(NULL);
SELECT privacy_scan.drill_archive(12345);
SELECT privacy_scan.pause_job('drill privacy_scan.archive_checks');

-- They stay when the policy goes; with the ledger they go, too.
SELECT privacy_scan.drop_retention('"Scan"') AS dropped;
SELECT job FROM privacy_scan.jobs ORDER BY job;
DROP SCHEMA aj, aj_archive CASCADE;
DROP EXTENSION privacy_scan;
CREATE EXTENSION privacy_scan;
SELECT count(*) AS jobs FROM privacy_scan.jobs;
DROP ROLE regress_aj_her, regress_aj_stranger;
