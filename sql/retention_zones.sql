-- The cutoff is reckoned in UTC, whatever the session's zone: timestamp keys hold UTC, months are UTC's.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ps_zones;
SET search_path = ps_zones;
CREATE TABLE plain (at timestamp(3));
CREATE TABLE zoned (at timestamptz);
CREATE TABLE days (at date);
INSERT INTO plain SELECT timestamp '2024-02-29' + n * interval '1 hour' - interval '36 hours' FROM generate_series(0, 72) n;
INSERT INTO zoned SELECT at AT TIME ZONE 'UTC' FROM plain;
INSERT INTO days SELECT DISTINCT at::date FROM plain;
SELECT count(privacy_scan.set_retention(t, '1 month', 'at')) FROM unnest('{plain,zoned,days}'::regclass[]) t;
-- A month before 31 March, 00:30 UTC, is 29 February, 00:30 UTC: strictly before it.
CREATE TEMP TABLE seen AS SELECT current_setting('TimeZone') AS zone, relation, rows, key_to FROM privacy_scan.plan_retention('plain') LIMIT 0;
CREATE PROCEDURE look() LANGUAGE plpgsql AS $$
DECLARE
  zone text;
BEGIN
  FOREACH zone IN ARRAY ARRAY['UTC', 'America/St_Johns', 'Australia/Lord_Howe', 'Pacific/Apia', 'Antarctica/Troll', 'Asia/Kathmandu',
    'Europe/Dublin', 'America/Sao_Paulo', 'Pacific/Kiritimati', 'Etc/GMT+12'] LOOP
    PERFORM set_config('TimeZone', zone, true);
    INSERT INTO pg_temp.seen SELECT zone, relation, rows, key_to
    FROM unnest('{plain,zoned,days}'::regclass[]) t, privacy_scan.plan_retention(t, timestamptz '2024-03-31 00:30:00+00');
  END LOOP;
END $$;
CALL look();
SELECT relation, rows, key_to, count(*) AS zones FROM seen GROUP BY 1, 2, 3 ORDER BY relation::text;
-- So does a run.
SET TimeZone = 'Pacific/Kiritimati';
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = 'iso_8601';
SELECT relation, rows, key_from, key_to FROM privacy_scan.apply_retention('plain', '2024-03-31 00:30:00+00', dry_run => false);
SELECT min(at) FROM plain;
RESET TimeZone;
RESET DateStyle;
RESET IntervalStyle;
SELECT keep FROM privacy_scan.retention_policies WHERE root = 'plain'::regclass;
SELECT count(privacy_scan.drop_retention(t)) FROM unnest('{plain,zoned,days}'::regclass[]) t;
DROP SCHEMA ps_zones, ps_zones_archive CASCADE;
DELETE FROM privacy_scan.archive_ledger WHERE root_name LIKE '"ps_zones".%';
