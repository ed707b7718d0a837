-- Partitions that rows have left one by one: dropped once they have no page any more, where nothing is expected there.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
RESET client_min_messages;
CREATE SCHEMA ps_emptied;
SET search_path = ps_emptied, public;
SET privacy_scan.retention_whole_rows = 0;
SET privacy_scan.retention_quiet_days = 0;
CREATE TABLE scan (id int PRIMARY KEY, at timestamptz NOT NULL);
CREATE TABLE event (id int, scan_id int NOT NULL REFERENCES scan, at timestamptz NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE event_2020_01 PARTITION OF event FOR VALUES FROM ('2020-01-01 UTC') TO ('2020-02-01 UTC');
CREATE TABLE event_2020_02 PARTITION OF event FOR VALUES FROM ('2020-02-01 UTC') TO ('2020-03-01 UTC');
CREATE TABLE event_2020_03 PARTITION OF event FOR VALUES FROM ('2020-03-01 UTC') TO ('2020-04-01 UTC');
CREATE TABLE event_2020_04 PARTITION OF event FOR VALUES FROM ('2020-04-01 UTC') TO ('2020-05-01 UTC');
SELECT count(*) > 0 AS created FROM privacy_scan.manage_partitions('event', 'at', '1 month');
SELECT privacy_scan.set_retention('scan', '1 year', 'at') IS NOT NULL AS set;
-- A late one of the third month belongs to a scan that is young.
INSERT INTO scan VALUES (1, '2020-01-10 UTC'), (2, now());
INSERT INTO event VALUES (1, 1, '2020-01-10 UTC'), (2, 2, '2020-03-10 UTC');
CREATE VIEW of_april AS SELECT * FROM event_2020_04;
CREATE FUNCTION old_partitions() RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 'event'::regclass AND relname ~ '2020' $$;

-- The first month still has the page that its row was on; the fourth is looked at by a view.
SELECT relation, lock, reason FROM privacy_scan.plan_retention('scan') WHERE action = 'drop' AND relation::text ~ '2020_0[1-4]';
SET client_min_messages = warning; -- manage_partitions() has closed the gap up to today
CALL privacy_scan.run_retention('scan');
RESET client_min_messages;
SELECT old_partitions();
CALL privacy_scan.run_retention('scan');
DROP VIEW of_april;
TRUNCATE event_2020_01;
CALL privacy_scan.run_retention('scan');
SELECT old_partitions();
-- Those of what is coming stay, though they are as empty.
SELECT count(*) > 3 AS ahead FROM pg_inherits WHERE inhparent = 'event'::regclass;

-- What comes late all the same finds its partition again.
INSERT INTO event VALUES (3, 2, '2020-01-20 UTC');
SELECT partition, action, rows FROM privacy_scan.maintain_partitions('event');
CALL privacy_scan.run_retention('scan');
SELECT tableoid::regclass, id FROM event ORDER BY id;

-- Nothing of a set that is not managed, and nothing by a key that knows no time.
CREATE TABLE mark (scan_id int NOT NULL REFERENCES scan, at timestamptz NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE mark_2020 PARTITION OF mark FOR VALUES FROM ('2020-01-01 UTC') TO ('2021-01-01 UTC');
CREATE TABLE step (id bigint NOT NULL, scan_id int NOT NULL REFERENCES scan) PARTITION BY RANGE (id);
SELECT count(*) > 0 AS created FROM privacy_scan.manage_partitions('step', 'id', 100);
CALL privacy_scan.run_retention('scan');
SELECT to_regclass('mark_2020') IS NOT NULL AS kept, count(*) > 0 AS steps FROM pg_inherits WHERE inhparent = 'step'::regclass;

SET client_min_messages = warning;
DROP SCHEMA ps_emptied, ps_emptied_archive CASCADE;
