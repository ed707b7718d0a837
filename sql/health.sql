-- health(): one row a component, of what is the reader's own.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ps_health;
SET search_path = ps_health;
CREATE ROLE regress_health_owner;
GRANT CREATE, USAGE ON SCHEMA ps_health TO regress_health_owner;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA privacy_scan TO regress_health_owner;
SET ROLE regress_health_owner;

-- Nothing yet: what to do first.
SELECT component, status, next_step FROM privacy_scan.health() WHERE component IN ('partition sets', 'retention');
SELECT status, detail ~ '^library [0-9.]+, SQL [0-9.]+$' AS versions, next_step FROM privacy_scan.health() WHERE component = 'version';

CREATE TABLE event (id int, at timestamptz NOT NULL) PARTITION BY RANGE (at);
SELECT count(*) > 0 AS made FROM privacy_scan.manage_partitions('event', 'at', '1 month');
SELECT status, regexp_replace(detail, '[0-9]+ days', 'N days') AS detail, next_step
FROM privacy_scan.health() WHERE component = 'partition sets';

-- A stray is worth attention, and maintenance cures it.
INSERT INTO event VALUES (1, now() - interval '3 years');
SELECT status, regexp_replace(detail, '[0-9]+ days', 'N days') AS detail, next_step
FROM privacy_scan.health() WHERE component = 'partition sets';
SELECT action, rows FROM privacy_scan.maintain_partitions('event');
SELECT status FROM privacy_scan.health() WHERE component = 'partition sets';

-- Retention, before and after a run.
CREATE TABLE scan (id int PRIMARY KEY, at timestamptz NOT NULL);
INSERT INTO scan VALUES (1, now() - interval '2 years'), (2, now());
SELECT privacy_scan.set_retention('scan', '365 days', 'at') IS NOT NULL AS set;
SELECT status, detail FROM privacy_scan.health() WHERE component = 'retention';
RESET ROLE;
CREATE SCHEMA ps_health_archive AUTHORIZATION regress_health_owner;
SET ROLE regress_health_owner;
SELECT sum(rows) FROM privacy_scan.apply_retention('scan', dry_run => false);
SELECT status, regexp_replace(detail, 'at .*', 'at T') AS detail FROM privacy_scan.health() WHERE component = 'retention';


-- Somebody else's functions, first on the caller's search_path, count for nothing.
CREATE FUNCTION ps_health.to_char(timestamptz, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'called'; END $$;
SET search_path = ps_health, pg_catalog;
SELECT pg_catalog.count(*) FROM privacy_scan.health();

RESET ROLE;
DROP SCHEMA ps_health, ps_health_archive CASCADE;
REVOKE ALL ON ALL ROUTINES IN SCHEMA privacy_scan FROM regress_health_owner;
DROP ROLE regress_health_owner;
