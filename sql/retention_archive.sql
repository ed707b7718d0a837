-- The archive: columns by name, columns that come and go, identity and generated columns, names, who may read it.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA "Ps ""arch";
SET search_path = "Ps ""arch";
CREATE DOMAIN positive AS int NOT NULL CHECK (VALUE > 0);
CREATE TYPE pair AS (x int, y text);
CREATE TYPE mood AS ENUM ('done', 'sad');
CREATE TABLE "a'b ""c" (gone text, id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, gone2 int, "at" timestamp NOT NULL, p positive, q pair, m mood,
  twice int GENERATED ALWAYS AS (p * 2) STORED, "select" text COLLATE "C" DEFAULT 'x' NOT NULL CHECK ("select" <> 'y'), arr int[], u uuid, c "char", nm name, f float4, b bytea, ts tsvector, r int4range);
ALTER TABLE "a'b ""c" DROP COLUMN gone, DROP COLUMN gone2;
INSERT INTO "a'b ""c" ("at", p, q, m, "select", arr, u, c, nm, f, b, ts, r) SELECT timestamp '2020-01-01' + n * interval '1 day', n, ROW(n, 'y' || n)::pair, 'done', 's' || n, ARRAY[n, NULL], md5(n::text)::uuid, 'c', 'name',
  1.5 * n, decode(md5(n::text), 'hex'), to_tsvector('a b'), int4range(n, n + 5) FROM generate_series(1, 6) n;
CREATE TABLE before AS SELECT to_jsonb(t) - 'extra' AS r FROM "a'b ""c" t;
-- The default privileges of the owner give nobody a look at the archive.
CREATE ROLE regress_ps_reader;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC, regress_ps_reader;
SELECT privacy_scan.set_retention('"a''b ""c"', '1 day', 'at', $$m = 'done'$$);
SELECT target, rows FROM privacy_scan.apply_retention('"a''b ""c"', '2020-01-05 00:00+00', dry_run => false);
ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM PUBLIC, regress_ps_reader;
SELECT relname, relowner::regrole = current_user::regrole AS own, (SELECT count(*) FROM aclexplode(relacl) a WHERE a.grantee <> relowner) AS others FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'Ps "arch_archive') AND relkind = 'r';
SELECT attname, format_type(atttypid, atttypmod), attnotnull, atthasdef, attidentity = '' AS no_identity, attgenerated = '' AS plain FROM pg_attribute
WHERE attrelid = '"Ps ""arch_archive"."a''b ""c_archive"'::regclass AND attnum > 0 ORDER BY attnum;
-- A column added is followed; one dropped stays; the archive's own order doesn't matter.
ALTER TABLE "a'b ""c" ADD COLUMN extra numeric(10, 2) DEFAULT 7, DROP COLUMN b;
SELECT target, rows FROM privacy_scan.apply_retention('"a''b ""c"', '2020-01-07 00:00+00', dry_run => false);
SELECT id, extra, b IS NULL AS b, (q).y, twice, arr FROM "Ps ""arch_archive"."a'b ""c_archive" ORDER BY id;
SELECT r - 'b' FROM before EXCEPT SELECT to_jsonb(t) - 'b' - 'extra' FROM (SELECT * FROM "a'b ""c" LIMIT 0) t
EXCEPT SELECT to_jsonb(t) - 'b' - 'extra' FROM "Ps ""arch_archive"."a'b ""c_archive" t EXCEPT SELECT to_jsonb(t) - 'b' - 'extra' FROM "a'b ""c" t;
-- One that changed its type is a clear error, and nothing moves.
ALTER TABLE "a'b ""c" ALTER COLUMN extra TYPE numeric(12, 2);
SELECT target, rows FROM privacy_scan.apply_retention('"a''b ""c"', '2020-01-08 00:00+00', dry_run => false);
ALTER TABLE "Ps ""arch_archive"."a'b ""c_archive" ALTER COLUMN extra TYPE numeric(12, 2);
-- An archive with rules of its own: written by INSERT, checked alike.
CREATE UNIQUE INDEX ON "Ps ""arch_archive"."a'b ""c_archive" (id);
SELECT target, rows FROM privacy_scan.apply_retention('"a''b ""c"', '2020-01-08 00:00+00', dry_run => false);
SELECT count(*) FROM "Ps ""arch_archive"."a'b ""c_archive";
-- One that does not take the rows as they are: nothing is lost, the batch is rolled back.
CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW."select" := 'spoilt'; RETURN NEW; END $$;
CREATE TRIGGER spoil BEFORE INSERT ON "Ps ""arch_archive"."a'b ""c_archive" FOR EACH ROW EXECUTE FUNCTION spoil();
\set VERBOSITY sqlstate
SELECT target, rows FROM privacy_scan.apply_retention('"a''b ""c"', '2021-01-01 00:00+00', dry_run => false);
CREATE OR REPLACE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
SELECT target, rows FROM privacy_scan.apply_retention('"a''b ""c"', '2021-01-01 00:00+00', dry_run => false);
\set VERBOSITY terse
SELECT count(*) FROM "a'b ""c";
DROP FUNCTION spoil CASCADE;
-- So is a source whose trigger keeps rows back.
CREATE FUNCTION keep_back() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TABLE child (id int REFERENCES "a'b ""c" ON DELETE CASCADE);
INSERT INTO child SELECT id FROM "a'b ""c";
CREATE TRIGGER keep_back BEFORE DELETE ON child FOR EACH ROW EXECUTE FUNCTION keep_back();
SELECT target, rows FROM privacy_scan.apply_retention('"a''b ""c"', '2021-01-01 00:00+00', dry_run => false);
DROP TABLE child;
\set VERBOSITY default
-- What stands in the way under the archive's name.
ALTER TABLE "Ps ""arch_archive"."a'b ""c_archive" RENAME TO aside;
CREATE VIEW "Ps ""arch_archive"."a'b ""c_archive" AS SELECT 1 AS one;
SELECT target, rows FROM privacy_scan.apply_retention('"a''b ""c"', '2021-01-01 00:00+00', dry_run => false);
DROP VIEW "Ps ""arch_archive"."a'b ""c_archive";
CREATE TABLE "Ps ""arch_archive"."a'b ""c_archive" (id int);
ALTER TABLE "Ps ""arch_archive"."a'b ""c_archive" OWNER TO regress_ps_reader;
SELECT target, rows FROM privacy_scan.apply_retention('"a''b ""c"', '2021-01-01 00:00+00', dry_run => false);
DROP TABLE "Ps ""arch_archive"."a'b ""c_archive";
ALTER TABLE "Ps ""arch_archive".aside RENAME TO "a'b ""c_archive";
-- A partitioned archive, made by the owner.
CREATE TABLE wide (id int PRIMARY KEY, at date);
CREATE SCHEMA ps_arch_shelf;
CREATE TABLE ps_arch_shelf.wide_archive (at date, id int) PARTITION BY RANGE (at);
CREATE TABLE ps_arch_shelf.wide_2020 PARTITION OF ps_arch_shelf.wide_archive FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
INSERT INTO wide VALUES (1, '2020-02-02'), (2, '2020-03-03');
SELECT privacy_scan.set_retention('wide', '1 day', 'at', archive_schema => 'ps_arch_shelf');
SELECT target, rows FROM privacy_scan.apply_retention('wide', '2021-01-01 00:00+00', dry_run => false);
SELECT * FROM ps_arch_shelf.wide_2020 ORDER BY id;
-- Two sources do not share one.
CREATE SCHEMA ps_arch_twin;
CREATE TABLE ps_arch_twin.wide (id int PRIMARY KEY, at date);
SELECT privacy_scan.set_retention('ps_arch_twin.wide', '1 day', 'at', archive_schema => 'ps_arch_shelf');
SELECT target, rows FROM privacy_scan.apply_retention('ps_arch_twin.wide', '2021-01-01 00:00+00', dry_run => false);
-- Names at the limit: cut by bytes, with a hash, and different for different tables.
CREATE TABLE ééééééééééééééééééééééééééééé1 (at date);
CREATE TABLE ééééééééééééééééééééééééééééé2 (at date);
SELECT privacy_scan.set_retention('ééééééééééééééééééééééééééééé1', '1 day', 'at', archive_schema => 'ps_arch_shelf');
SELECT privacy_scan.set_retention('ééééééééééééééééééééééééééééé2', '1 day', 'at', archive_schema => 'ps_arch_shelf');
INSERT INTO ééééééééééééééééééééééééééééé1 VALUES ('2020-01-01');
INSERT INTO ééééééééééééééééééééééééééééé2 VALUES ('2020-01-01');
SELECT octet_length(target) <= 63 + 4 + length('ps_arch_shelf.') AS fits, rows FROM privacy_scan.apply_retention('ééééééééééééééééééééééééééééé1', '2021-01-01 00:00+00', dry_run => false);
SELECT rows FROM privacy_scan.apply_retention('ééééééééééééééééééééééééééééé2', '2021-01-01 00:00+00', dry_run => false);
SELECT count(*) FROM pg_class WHERE relnamespace = 'ps_arch_shelf'::regnamespace AND relname LIKE 'é%';
-- 1,600 columns.
DO $$ BEGIN EXECUTE (SELECT format('CREATE TABLE many (at date, %s)', string_agg('c' || i || ' int', ', ')) FROM generate_series(1, 1599) i); END $$;
INSERT INTO many (at, c1, c1599) VALUES ('2020-01-01', 1, 2);
SELECT privacy_scan.set_retention('many', '1 day', 'at', archive_schema => 'ps_arch_shelf');
SELECT target, rows FROM privacy_scan.apply_retention('many', '2021-01-01 00:00+00', dry_run => false);
SELECT at, c1, c2, c1599 FROM ps_arch_shelf.many_archive;
-- No right to make the schema: the line to run. The role owns its table and nothing else.
\set VERBOSITY terse
GRANT CREATE, USAGE ON SCHEMA "Ps ""arch" TO regress_ps_reader;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA privacy_scan TO regress_ps_reader;
SET ROLE regress_ps_reader;
CREATE TABLE poor (id int, at date);
INSERT INTO poor VALUES (1, '2020-01-01');
SELECT privacy_scan.set_retention('poor', '1 day', 'at', archive_schema => 'ps_arch_poor');
SELECT target, rows FROM privacy_scan.apply_retention('poor', '2021-01-01 00:00+00', dry_run => false);
-- In a schema of somebody else's, who could drop it, neither.
SELECT privacy_scan.set_retention('poor', '1 day', 'at', archive_schema => 'ps_arch_held');
RESET ROLE;
CREATE ROLE regress_ps_holder;
CREATE SCHEMA ps_arch_held AUTHORIZATION regress_ps_holder;
GRANT ALL ON SCHEMA ps_arch_held TO PUBLIC;
SET ROLE regress_ps_reader;
SELECT target, rows FROM privacy_scan.apply_retention('poor', '2021-01-01 00:00+00', dry_run => false);
SELECT count(*) FROM poor;
RESET ROLE;
-- The ledger and the policies are shown to those who own or may read the relation.
SET ROLE regress_ps_reader;
SELECT count(*) FROM privacy_scan.archives WHERE root LIKE '"Ps %';
SELECT root FROM privacy_scan.retention_policies WHERE archive_schema LIKE 'ps_arch%' OR root::text LIKE '%a''b%';
RESET ROLE;
SELECT count(privacy_scan.drop_retention(root)) FROM privacy_scan.retention_policies WHERE archive_schema LIKE 'ps_arch%' OR root::text LIKE '%a''b%';
DROP SCHEMA "Ps ""arch", "Ps ""arch_archive", ps_arch_shelf, ps_arch_twin, ps_arch_held CASCADE;
DROP OWNED BY regress_ps_reader;
DROP ROLE regress_ps_reader, regress_ps_holder;
DELETE FROM privacy_scan.archive_ledger WHERE root_name LIKE '"Ps ""arch".%' OR root_name LIKE '"ps_arch%';
