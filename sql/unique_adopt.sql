-- A table that is adopted with unique_id: the old primary key's columns stay unique, while rows are drained, split, merged, archived
-- and restored, until the adoption is undone.
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE SCHEMA ps_unid;
SET search_path = ps_unid;
CREATE TABLE "Scan" (id text PRIMARY KEY, "createdAt" timestamp(3) NOT NULL);
CREATE TABLE "Evidence" (id text PRIMARY KEY, "scanId" text REFERENCES "Scan" ON DELETE CASCADE, n int DEFAULT 0, "createdAt" timestamp(3) NOT NULL DEFAULT now());
CREATE INDEX ON "Evidence" ("scanId");
INSERT INTO "Scan" SELECT 's' || n, now() - n * interval '12 days' FROM generate_series(0, 40) n;
INSERT INTO "Evidence" (id, "scanId", "createdAt") SELECT 'e' || n, 's' || n / 10, now() - n * interval '29 hours' FROM generate_series(0, 400) n;
CREATE TABLE no_id (id int, "createdAt" timestamp(3) NOT NULL);
CREATE TABLE pair (id int, "createdAt" timestamp(3), PRIMARY KEY (id, "createdAt"));
-- Rows in every part of it; each id is asked for in another month.
CREATE FUNCTION refused() RETURNS TABLE (ids bigint, refused bigint) LANGUAGE plpgsql SET search_path = ps_unid AS $$
DECLARE r record;
BEGIN
  ids := 0; refused := 0;
  FOR r IN SELECT id FROM "Evidence" ORDER BY md5(id) LIMIT 30 LOOP
    ids := ids + 1;
    BEGIN
      INSERT INTO "Evidence" (id, "createdAt") VALUES (r.id, now() - random() * interval '400 days');
      RAISE EXCEPTION 'let through: %', r.id;
    EXCEPTION WHEN unique_violation THEN refused := refused + 1;
    END;
  END LOOP;
  RETURN NEXT;
END $$;

SELECT kind, message, detail, hint FROM privacy_scan.plan_adoption('"Evidence"', 'createdAt', unique_id => true) WHERE kind IN ('change', 'refusal');
SELECT message FROM privacy_scan.plan_adoption('"Evidence"', 'createdAt') WHERE kind = 'change';
SELECT message, detail, hint FROM privacy_scan.plan_adoption('no_id', unique_id => true) WHERE kind = 'refusal';
SELECT message, detail, hint FROM privacy_scan.plan_adoption('pair', unique_id => true) WHERE kind = 'refusal';
SELECT message FROM privacy_scan.plan_adoption('"Scan"', 'id', key_kind => 'cuid', unique_id => true) WHERE message ~ 'unique';
SELECT privacy_scan.adopt_table('no_id', unique_id => true);
SELECT count(*) FROM privacy_scan.adopt_table('"Evidence"', 'createdAt', '1 month', premake => 2, unique_id => true);
SELECT privacy_scan.adopt_table('"Evidence"', unique_id => false);
CALL privacy_scan.run_adoption('"Evidence"');
SELECT relation, columns, name, state, partitions, gaps FROM privacy_scan.unique_checks;
SELECT indexrelid::regclass, pg_get_indexdef(indexrelid) ~ 'UNIQUE .*\(id, "createdAt"\)' AS widened FROM pg_index WHERE indrelid = '"Evidence"'::regclass AND indisprimary;
SELECT * FROM refused();

-- New partitions; rows drained; a partition split, and merged again.
INSERT INTO "Evidence" (id, "scanId", "createdAt") SELECT 'd' || n, 's0', now() + interval '100 days' FROM generate_series(1, 20) n;
SELECT action, rows FROM privacy_scan.maintain_partitions('"Evidence"');
SELECT count(*) > 0 AS moved FROM "Evidence" WHERE id LIKE 'd%' AND tableoid::regclass::text !~ 'default';
SELECT state FROM privacy_scan.unique_checks;
INSERT INTO "Evidence" (id) VALUES ('d7');
SELECT partition AS wide FROM privacy_scan.partition_bounds('"Evidence"') ORDER BY upper_at LIMIT 1 \gset
CALL privacy_scan.run_split(:'wide', drop_sources => true);
SELECT partitions > 15 AS split, state FROM privacy_scan.unique_checks;
SELECT * FROM refused();
SELECT array_agg(partition) AS months FROM privacy_scan.partition_bounds('"Evidence"') WHERE upper_at < now() - interval '200 days' \gset
CALL privacy_scan.run_merge(:'months', drop_sources => true);
SELECT partitions < 15 AS merged, state FROM privacy_scan.unique_checks;
SELECT * FROM refused();
SELECT count(*) FROM "Evidence";
SELECT * FROM privacy_scan.find_duplicates('"Evidence"');

-- Retention sees no trigger of a user's in it. What was archived comes back, but not beside another row of its id.
SET privacy_scan.retention_quiet_days = 0;
SELECT privacy_scan.set_retention('"Scan"', '200 days', 'createdAt') IS NOT NULL AS set;
SELECT count(*) AS triggers FROM privacy_scan.plan_retention('"Scan"') WHERE reason ~ 'trigger';
CALL privacy_scan.run_retention('"Scan"', confirm => true);
SELECT count(*) < 200 AS gone FROM "Evidence";
INSERT INTO "Evidence" (id) VALUES ('e300');
SELECT privacy_scan.restore_archive('"Scan"', ARRAY['s30']);
DELETE FROM "Evidence" WHERE id = 'e300';
SELECT relation, rows FROM privacy_scan.restore_archive('"Scan"', ARRAY['s30']);
INSERT INTO "Evidence" (id) VALUES ('e300');

-- Undone, it is the primary key's business again; other triggers stay.
CREATE TABLE t (id int PRIMARY KEY, at timestamp(3) NOT NULL);
INSERT INTO t SELECT n, now() - n * interval '1 day' FROM generate_series(1, 10) n;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER nothing AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE TRIGGER may_change BEFORE UPDATE ON t FOR EACH ROW WHEN (false) EXECUTE FUNCTION nothing();
SELECT count(*) FROM privacy_scan.adopt_table('t', 'at', unique_id => true);
CALL privacy_scan.run_adoption('t');
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 't'::regclass AND NOT tgisinternal ORDER BY 1;
SELECT state FROM privacy_scan.unique_checks WHERE relation = 't'::regclass;
INSERT INTO t VALUES (1, now() + interval '2 months');
INSERT INTO t VALUES (11, now() + interval '2 months');
SELECT sql AS build FROM privacy_scan.undo_adoption('t') WHERE state = 'yours' \gset
:build;
SELECT action, state FROM privacy_scan.undo_adoption('t');
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 't'::regclass AND NOT tgisinternal ORDER BY 1;
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'p';
INSERT INTO t VALUES (1, now() + interval '2 months');
SELECT count(*), relkind FROM t, pg_class WHERE pg_class.oid = 't'::regclass GROUP BY 2;

SET client_min_messages = error;
DROP SCHEMA ps_unid, ps_unid_archive CASCADE;
DELETE FROM privacy_scan.retention_rules;
DELETE FROM privacy_scan.archive_ledger WHERE root_name LIKE '%ps_unid%';
DELETE FROM privacy_scan.adoption_states;
