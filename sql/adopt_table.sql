-- A plain table becomes a partition set, step by step; stopped, resumed, cancelled; with DDL of others between.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ps_adopt;
SET search_path = ps_adopt;
SET timezone = 'UTC';
SET datestyle = 'ISO';

CREATE TABLE "Scan" (id text PRIMARY KEY);
CREATE TABLE "Evidence" (
    id          text PRIMARY KEY,
    "scanId"    text NOT NULL REFERENCES "Scan" ON DELETE CASCADE,
    details     jsonb,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX "Evidence_scanId_idx" ON "Evidence" ("scanId");
INSERT INTO "Scan" SELECT 's' || n FROM generate_series(1, 10) n;
INSERT INTO "Evidence" SELECT 'e' || n, 's' || 1 + n % 10, '{}', now() - n * interval '1 day' FROM generate_series(1, 1000) n;

-- What the catalog says of a table, names of numbers of objects included.
CREATE FUNCTION catalog(relation text) RETURNS TABLE (what text) LANGUAGE sql AS $$
    SELECT to_jsonb(c)::text FROM (SELECT relname, relnamespace, reltype, relowner, relkind, relpersistence, relacl, reloptions, relhastriggers, relhasrules, relchecks, relreplident, relfilenode FROM pg_class WHERE oid = relation::regclass OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = relation::regclass)) c
    UNION ALL SELECT (to_jsonb(a) - 'attstattarget')::text FROM pg_attribute a WHERE attrelid = relation::regclass
    UNION ALL SELECT to_jsonb(c)::text FROM pg_constraint c WHERE conrelid = relation::regclass
    UNION ALL SELECT to_jsonb(i)::text FROM pg_index i WHERE indrelid = relation::regclass
    UNION ALL SELECT to_jsonb(t)::text FROM pg_trigger t WHERE tgrelid = relation::regclass
    UNION ALL SELECT to_jsonb(d)::text FROM pg_depend d WHERE refobjid = relation::regclass OR objid = relation::regclass $$;
CREATE TABLE before AS SELECT * FROM catalog('"Evidence"');
CREATE VIEW changed AS (SELECT '-' AS side, what FROM before EXCEPT SELECT '-', what FROM catalog('"Evidence"'))
    UNION ALL (SELECT '+', what FROM catalog('"Evidence"') EXCEPT SELECT '+', what FROM before);

-- The plan changes nothing.
SELECT step, action, regexp_replace(sql, '\d\d\d\d[-_]\d\d(-01 00:00:00)?|n_\d+', '#', 'g') AS sql, lock, seconds < 1 AS quick, message FROM privacy_scan.plan_adoption('"Evidence"') WHERE kind = 'step';
SELECT count(*) FROM changed;
SELECT count(*) FROM privacy_scan.adoptions;

-- The first call registers, and says what is the operator's.
SELECT step, action, state, message FROM privacy_scan.adopt_table('"Evidence"', every => '1 month');
SELECT relation, state, step, done, total, cutover > now() + interval '23 hours' AS ahead, lock_held_ms FROM privacy_scan.adoptions;
-- Again and again: nothing more, until it is done.
SELECT step, action, state FROM privacy_scan.adopt_table('"Evidence"');
SELECT count(*) FROM changed;
-- Inside a function or a transaction it cannot be run; an index that an interruption left invalid is dropped.
SELECT sql AS build FROM privacy_scan.adopt_table('"Evidence"') WHERE state = 'yours' \gset
:build;
UPDATE pg_index SET indisvalid = false WHERE indexrelid = (SELECT oid FROM pg_class WHERE relname LIKE 'privacy\_scan\_adoption%');
SELECT step, action, state FROM privacy_scan.adopt_table('"Evidence"');
SELECT count(*) FROM changed;
-- So is one of our name over other columns.
SELECT format('CREATE UNIQUE INDEX %I ON "Evidence" ("createdAt", id)', 'privacy_scan_adoption_' || '"Evidence"'::regclass::oid) AS other \gset
:other;
SELECT step, action, state FROM privacy_scan.adopt_table('"Evidence"');
:build;
-- One step a call.
SELECT step, action, state, milliseconds >= 0 AS timed FROM privacy_scan.adopt_table('"Evidence"');
INSERT INTO "Evidence" VALUES ('far', 's1', '{}', now() + interval '70 days');
SELECT step, action, state, milliseconds >= 0 AS timed FROM privacy_scan.adopt_table('"Evidence"', every => '1 month');
SELECT relation, state, step, done, total FROM privacy_scan.adoptions;
-- Cancelled: exactly as before.
SELECT step, action, state FROM privacy_scan.cancel_adoption('"Evidence"');
SELECT * FROM changed;
SELECT count(*) FROM privacy_scan.adoptions;
INSERT INTO "Evidence" VALUES ('far', 's1', '{}', now() + interval '70 days');
DELETE FROM "Evidence" WHERE id = 'far';

-- From the start to the end, with others' DDL between.
SELECT sql AS build FROM privacy_scan.adopt_table('"Evidence"', premake => 2) WHERE state = 'yours' \gset
ALTER TABLE "Evidence" ADD COLUMN added int DEFAULT 7, DROP COLUMN details;
:build;
CALL privacy_scan.run_adoption('"Evidence"');
SELECT relation, state, lock_held_ms BETWEEN 0 AND 2000 AS short, lock_tries FROM privacy_scan.adoptions;
\d "Evidence"
SELECT regexp_replace(relname, '_20\d\d_\d\d', '_#') AS name, relkind, count(*) FROM pg_class WHERE relnamespace = 'ps_adopt'::regnamespace AND relname LIKE 'Evidence%' GROUP BY 1, 2 ORDER BY 1;
SELECT count(*), sum(added), count(DISTINCT tableoid) FROM "Evidence";
INSERT INTO "Evidence" (id, "scanId", "createdAt") VALUES ('now', 's1', now()), ('next', 's1', now() + interval '2 months'), ('year', 's1', now() + interval '1 year');
SELECT count(*), sum(added), count(DISTINCT tableoid) FROM "Evidence";
\set VERBOSITY sqlstate
INSERT INTO "Evidence" (id, "scanId") VALUES ('no', 'no scan');
\set VERBOSITY terse
DELETE FROM "Scan" WHERE id = 's1';
SELECT count(*) FROM "Evidence";
SELECT action, rows FROM privacy_scan.maintain_partitions('"Evidence"');
-- Calls that come too late.
SELECT * FROM privacy_scan.adopt_table('"Evidence"');
CALL privacy_scan.run_adoption('"Evidence"');
SELECT * FROM privacy_scan.cancel_adoption('"Evidence"');
SELECT * FROM privacy_scan.plan_adoption('"Evidence"');

-- A bound that has come near is moved before anything is refused.
CREATE TABLE slow (id int PRIMARY KEY, at timestamptz NOT NULL);
INSERT INTO slow VALUES (1, now());
SELECT sql AS build FROM privacy_scan.adopt_table('slow', every => '1 day') WHERE state = 'yours' \gset
:build;
SELECT action, state FROM privacy_scan.adopt_table('slow');
UPDATE privacy_scan.adoption_states SET cutover = date_trunc('day', now()) WHERE relation = 'slow'::regclass;
SELECT action, state FROM privacy_scan.adopt_table('slow');
SELECT cutover > now() + interval '23 hours' AS ahead FROM privacy_scan.adoptions WHERE relation = 'slow'::regclass;
CALL privacy_scan.run_adoption('slow');
SELECT state FROM privacy_scan.adoptions WHERE relation = 'slow'::regclass;

-- A key that is dropped half-way: the view says so, and cancelling clears up.
CREATE TABLE lost (id int PRIMARY KEY, at timestamptz NOT NULL);
SELECT sql AS build FROM privacy_scan.adopt_table('lost') WHERE state = 'yours' \gset
:build;
SELECT action, state FROM privacy_scan.adopt_table('lost');
ALTER TABLE lost DROP COLUMN at;
SELECT relation, state, step FROM privacy_scan.adoptions WHERE relation = 'lost'::regclass;
SELECT action, state FROM privacy_scan.adopt_table('lost');
SELECT action, state FROM privacy_scan.cancel_adoption('lost');
DROP TABLE lost;

-- Rows that the first partition cannot hold.
CREATE TABLE odd (at timestamp);
INSERT INTO odd VALUES (NULL), (now() + interval '1 year'), (now());
SELECT action, state FROM privacy_scan.adopt_table('odd');
CALL privacy_scan.run_adoption('odd');
SELECT state, step, done, total, regexp_replace(last_error, '20\d\d-\d\d-\d\d', '#', 'g') AS last_error FROM privacy_scan.adoptions WHERE relation = 'odd'::regclass;
DELETE FROM odd WHERE at IS NULL;
CALL privacy_scan.run_adoption('odd');
DELETE FROM odd WHERE at > now();
CALL privacy_scan.run_adoption('odd');
SELECT state, step, last_error FROM privacy_scan.adoptions WHERE relation = 'odd'::regclass;
SELECT count(*), bool_and(tableoid::regclass::text LIKE 'odd_until_%') AS in_first FROM odd;

-- Other keys, widths and shapes.
CREATE TABLE by_date (day date NOT NULL, n int NOT NULL, PRIMARY KEY (n, day));
SELECT action, state FROM privacy_scan.adopt_table('by_date', every => '1 week', premake => 0, default_partition => false);
CALL privacy_scan.run_adoption('by_date');
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'by_date'::regclass;
CREATE TABLE by_hour (a timestamptz, b timestamptz NOT NULL DEFAULT now());
SELECT action, state FROM privacy_scan.adopt_table('by_hour', every => '6 hours', time_zone => 'Europe/Berlin');
CALL privacy_scan.run_adoption('by_hour');
SELECT relation, key_column, every, time_zone, default_partition, days_ahead > 0 AS ahead FROM privacy_scan.partition_sets WHERE relation IN ('by_date'::regclass, 'by_hour'::regclass) ORDER BY 1;
SELECT * FROM privacy_scan.maintain_partitions('by_hour');
-- A replica identity that was the primary key's index, by name.
CREATE TABLE identified (id int PRIMARY KEY, at timestamp NOT NULL);
ALTER TABLE identified REPLICA IDENTITY USING INDEX identified_pkey;
SELECT sql AS build FROM privacy_scan.adopt_table('identified', default_partition => false, premake => 1) WHERE state = 'yours' \gset
:build;
CALL privacy_scan.run_adoption('identified');
SELECT DISTINCT c.relkind, c.relreplident, (SELECT indisprimary FROM pg_index WHERE indrelid = c.oid AND indisreplident) FROM pg_class c WHERE relname LIKE 'identified%' AND relkind IN ('r', 'p') ORDER BY 1;

SELECT health.status FROM privacy_scan.health() WHERE component = 'adoptions';
SET client_min_messages = error;
SELECT count(privacy_scan.unmanage_partitions(relation)) FROM privacy_scan.partition_sets WHERE relation::text ~ 'Evidence|slow|odd|by_|identified';
DROP SCHEMA ps_adopt CASCADE;
SELECT count(*) FROM privacy_scan.adoptions;
DELETE FROM privacy_scan.adoption_states WHERE relation::oid NOT IN (SELECT oid FROM pg_class);
