-- The archive: what it is made like, how it follows its source, what is refused; and digests, which tell loss.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ret_archive;
CREATE ROLE regress_ret_owner;
CREATE ROLE regress_ret_other;
GRANT ALL ON SCHEMA ret_archive TO regress_ret_owner, regress_ret_other;
SET search_path = ret_archive;

-- Every kind of column, in the same shape, with nothing that could refuse or change a row; nobody else has rights in it.
ALTER DEFAULT PRIVILEGES FOR ROLE regress_ret_owner GRANT ALL ON TABLES TO PUBLIC, regress_ret_other;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_ret_owner GRANT USAGE ON SCHEMAS TO PUBLIC;
CREATE DOMAIN short AS varchar(20) CHECK (length(VALUE) > 0);
CREATE TYPE pair AS (a int, b text);
CREATE TYPE mood AS ENUM ('good', 'bad');
SET ROLE regress_ret_owner;
CREATE TABLE thing (
  gone1 int, id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamp(3) DEFAULT now() NOT NULL, d short NOT NULL, p pair, ps pair[], m mood, a int[] DEFAULT '{1}',
  a2 text[][], r tstzrange, n numeric, n2 numeric(10, 3), f4 float4, f8 float8, b bytea, j json, jb jsonb, t text, c char(7),
  vc varchar(9), u uuid, i inet, x xml, bit bit(3), vb varbit, iv interval, ti time, tz timetz, mo money, o oid, na name, ch "char", bo bool, ts tsvector, pt point, co text COLLATE "C",
  gone2 text, g int GENERATED ALWAYS AS (i2 * 2) STORED, i2 smallint CHECK (i2 < 100), UNIQUE (u));
ALTER TABLE thing DROP gone1, DROP gone2, ALTER t SET STORAGE EXTERNAL;
COMMENT ON COLUMN thing.j IS 'as it came';
GRANT SELECT ON thing TO regress_ret_other;
INSERT INTO thing (at, d, p, ps, m, a, a2, r, n, n2, f4, f8, b, j, jb, t, c, vc, u, i, bit, vb, iv, ti, tz, mo, o, na, ch, bo, ts, pt, co, i2)
SELECT timestamp '2023-01-01 12:34:56.789' + k * interval '1 hour', 'd' || k, (k, 'p')::pair, ARRAY[(k, NULL)::pair, NULL], 'bad', ARRAY[k, NULL], '{{a,b},{c,NULL}}',
  tstzrange('2020-01-01', NULL), ('1e' || k)::numeric + 0.100, k, 'NaN', '-0', decode(md5(k::text), 'hex'), '{"b": 1,  "a": [1e400]}', '{"b": 1, "a": 2}',
  repeat('é', k), 'c', 'v', md5(k::text)::uuid, '10.0.0.0/8', '101', '1', '1 mon 1 day 1 us', '24:00', '12:00+03', '1.50', k, 'n', 'x', k % 2 = 0, 'a:1 b:2', '(1,2)', 'co', k
FROM generate_series(1, 5) k;
INSERT INTO thing (at, d) VALUES ('2023-01-01', 'nulls');
-- Documents that are compressed, and that lie out of line.
INSERT INTO thing (at, d, jb, t, b, ps, a2)
SELECT '2023-02-01', 'long', jsonb_build_object('k', repeat('x', 100000), 'r', (SELECT string_agg(md5((i * k)::text), '') FROM generate_series(1, 500) i)),
  (SELECT string_agg(md5((i * k)::text), '') FROM generate_series(1, 400) i), decode(repeat(md5(k::text), 300), 'hex'),
  array_fill((1, repeat('y', 3000))::pair, ARRAY[5]), array_fill(repeat(md5(k::text), 100), ARRAY[2, 2]) FROM generate_series(1, 3) k;
CREATE TABLE before AS SELECT * FROM thing;
RESET ROLE;
SELECT privacy_scan.set_retention('thing', '1 year', 'at') IS NOT NULL AS set;
SELECT (privacy_scan.row_digest(thing.*)).* FROM thing \gset source_
SELECT action, target, rows, bytes = :source_bytes AS same_bytes FROM privacy_scan.apply_retention('thing', '2025-01-01', NULL, false);
SELECT count(*) AS live FROM thing;
SELECT count(*) AS wrong FROM ((SELECT x::text FROM before x EXCEPT ALL SELECT x::text FROM ret_archive_archive.thing_archive x) UNION ALL
  (SELECT x::text FROM ret_archive_archive.thing_archive x EXCEPT ALL SELECT x::text FROM before x)) d;
SELECT (d.row_digest).rows, (d.row_digest).bytes = :source_bytes AS same_bytes, (d.row_digest).digest = :'source_digest' AS same_digest
FROM (SELECT privacy_scan.row_digest(a.*) FROM ret_archive_archive.thing_archive a) d;
SELECT rows, bytes = :source_bytes AS same_bytes, digest = :'source_digest' AS same_digest, length(digest) FROM privacy_scan.archives
WHERE relation = '"ret_archive"."thing"';
-- Columns in the source but not so in the archive, and back; what else could get in a row's way.
SELECT s.attname AS source, a.attname AS archive, a.attnotnull, a.atthasdef, a.attidentity, a.attgenerated
FROM (SELECT * FROM pg_attribute WHERE attrelid = 'thing'::regclass AND attnum > 0 AND NOT attisdropped) s
FULL JOIN (SELECT * FROM pg_attribute WHERE attrelid = 'ret_archive_archive.thing_archive'::regclass AND attnum > 0 AND NOT attisdropped) a
  ON (a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attstorage) = (s.attname, s.atttypid, s.atttypmod, s.attcollation, s.attstorage)
WHERE s.attname IS NULL OR a.attname IS NULL OR a.attnotnull OR a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '' ORDER BY 1, 2;
SELECT relkind, relowner::regrole, relpersistence, relchecks, relhasindex, relhastriggers, relhasrules, relrowsecurity,
  (SELECT array_agg(DISTINCT grantee::regrole) FROM aclexplode(relacl)) AS granted_to, nspowner::regrole AS schema_owner
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid = 'ret_archive_archive.thing_archive'::regclass;
SELECT col_description('ret_archive_archive.thing_archive'::regclass, attnum) FROM pg_attribute
WHERE attrelid = 'ret_archive_archive.thing_archive'::regclass AND attname = 'j';
SET ROLE regress_ret_other;
SELECT count(*) FROM ret_archive_archive.thing_archive;
RESET ROLE;
-- And back by hand.
INSERT INTO thing OVERRIDING SYSTEM VALUE
SELECT id, at, d, p, ps, m, a, a2, r, n, n2, f4, f8, b, j, jb, t, c, vc, u, i, x, bit, vb, iv, ti, tz, mo, o, na, ch, bo, ts, pt, co FROM ret_archive_archive.thing_archive;
ALTER TABLE thing DROP g, DROP i2;
SELECT count(*) FROM thing;
DROP TABLE thing, ret_archive_archive.thing_archive, before;

-- It follows new columns, whatever they are; old rows have NULL there. Dropped ones stay with what they held.
SET ROLE regress_ret_owner;
CREATE TABLE t (id int PRIMARY KEY, at timestamptz, a text, b text);
INSERT INTO t VALUES (1, '2023-01-01 00:00+00', 'a', 'b');
RESET ROLE;
SELECT privacy_scan.set_retention('t', '1 year', 'at') IS NOT NULL AS set;
SELECT rows FROM privacy_scan.apply_retention('t', '2025-01-01', NULL, false);
SET ROLE regress_ret_owner;
ALTER TABLE t DROP a, ADD "new ""c" text COLLATE "C" NOT NULL DEFAULT 'x', ADD g int GENERATED ALWAYS AS (id * 2) STORED, ADD i int GENERATED ALWAYS AS IDENTITY,
  ADD d ret_archive.short DEFAULT 'd', ADD n numeric(5, 1) DEFAULT 1, ADD p ret_archive.pair;
INSERT INTO t (id, at, b) VALUES (2, '2023-01-01 00:00+00', 'b2');
RESET ROLE;
SELECT rows FROM privacy_scan.apply_retention('t', '2025-01-01', NULL, false);
SELECT * FROM ret_archive_archive.t_archive ORDER BY id;
SELECT attname, format_type(atttypid, atttypmod), attcollation::regcollation, attnotnull, atthasdef FROM pg_attribute
WHERE attrelid = 'ret_archive_archive.t_archive'::regclass AND attnum > 0 ORDER BY attnum;
-- A dropped column that comes back continues.
ALTER TABLE t ADD a text;
INSERT INTO t (id, at, a) VALUES (3, '2023-01-01 00:00+00', 'again');
SELECT rows FROM privacy_scan.apply_retention('t', '2025-01-01', NULL, false);
SELECT id, a FROM ret_archive_archive.t_archive ORDER BY id;
-- The sum of the batches' digests is the digest of the archive, though its columns changed on the way.
CREATE FUNCTION add_digests(a text, b text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  n numeric := 0;
  digits text := '';
  x text;
BEGIN
  FOREACH x IN ARRAY ARRAY[a, b] LOOP
    n := n + (SELECT sum(('x' || lpad(substr(x, 1 + 4 * i, 4), 8, '0'))::bit(32)::int * 65536::numeric ^ (7 - i)) FROM generate_series(0, 7) i);
  END LOOP;
  n := mod(n, 65536::numeric ^ 8);
  FOR i IN 1..8 LOOP
    digits := lpad(to_hex(mod(n, 65536)::int), 4, '0') || digits;
    n := div(n, 65536);
  END LOOP;
  RETURN digits;
END $$;
CREATE AGGREGATE sum_digest(text) (SFUNC = add_digests, STYPE = text, INITCOND = '00000000000000000000000000000000');
SELECT count(*) AS batches, sum(rows) AS rows, sum_digest(digest) = (SELECT (privacy_scan.row_digest(t)).digest FROM ret_archive_archive.t_archive t) AS equal
FROM privacy_scan.archives WHERE relation = '"ret_archive"."t"';
-- One byte changed in the archive, or one row less, is seen.
BEGIN;
UPDATE ret_archive_archive.t_archive SET b = 'B2' WHERE id = 2;
SELECT sum_digest(digest) = (SELECT (privacy_scan.row_digest(t)).digest FROM ret_archive_archive.t_archive t) AS equal FROM privacy_scan.archives WHERE relation = '"ret_archive"."t"';
ROLLBACK;
BEGIN;
DELETE FROM ret_archive_archive.t_archive WHERE id = 2;
SELECT sum_digest(digest) = (SELECT (privacy_scan.row_digest(t)).digest FROM ret_archive_archive.t_archive t) AS equal FROM privacy_scan.archives WHERE relation = '"ret_archive"."t"';
ROLLBACK;

-- What stays in place when a run is refused.
CREATE FUNCTION refused(name regclass, OUT code text, OUT message text, OUT live bigint, OUT archived bigint, OUT ledger bigint) LANGUAGE plpgsql AS $$
BEGIN
  BEGIN
    PERFORM privacy_scan.apply_retention(name, '2025-01-01', NULL, false);
    code := 'none';
  EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
    message := regexp_replace(message, '[0-9a-f]{32}', '<digest>', 'g');
  END;
  EXECUTE format('SELECT count(*) FROM %s', name) INTO live;
  IF to_regclass(format('ret_archive_archive.%s_archive', name)) IS NOT NULL THEN
    EXECUTE format('SELECT count(*) FROM ret_archive_archive.%s_archive', name) INTO archived;
  END IF;
  SELECT count(*) INTO ledger FROM privacy_scan.archives a WHERE a.relation = format('"ret_archive"."%s"', name);
END $$;
-- A changed type.
INSERT INTO t (id, at) VALUES (4, '2023-01-01 00:00+00');
ALTER TABLE t ALTER b TYPE varchar(50);
SELECT * FROM refused('t');
ALTER TABLE ret_archive_archive.t_archive ALTER b TYPE varchar(40);
SELECT * FROM refused('t');
ALTER TABLE ret_archive_archive.t_archive ALTER b TYPE varchar(50);
SELECT * FROM refused('t');
-- Triggers and rules on the archive.
INSERT INTO t (id, at, b) VALUES (5, '2023-01-01 00:00+00', 'b'), (6, '2023-01-01 00:00+00', 'b');
CREATE FUNCTION alters() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.b := 'altered'; RETURN NEW; END$$;
CREATE FUNCTION drops() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN CASE WHEN NEW.id <> 6 THEN NEW END; END$$;
CREATE TRIGGER x BEFORE INSERT ON ret_archive_archive.t_archive FOR EACH ROW EXECUTE FUNCTION alters();
SELECT * FROM refused('t');
DROP TRIGGER x ON ret_archive_archive.t_archive;
CREATE TRIGGER x BEFORE INSERT ON ret_archive_archive.t_archive FOR EACH ROW EXECUTE FUNCTION drops();
SELECT * FROM refused('t');
DROP TRIGGER x ON ret_archive_archive.t_archive;
CREATE RULE x AS ON INSERT TO ret_archive_archive.t_archive DO INSTEAD NOTHING;
SELECT * FROM refused('t');
DROP RULE x ON ret_archive_archive.t_archive;
CREATE RULE x AS ON INSERT TO ret_archive_archive.t_archive WHERE NEW.id = 5 DO INSTEAD NOTHING;
SELECT * FROM refused('t');
DROP RULE x ON ret_archive_archive.t_archive;
-- Constraints of its own.
ALTER TABLE ret_archive_archive.t_archive ADD CONSTRAINT x CHECK (id <> 5) NOT VALID;
SELECT * FROM refused('t');
ALTER TABLE ret_archive_archive.t_archive DROP CONSTRAINT x, ADD mine int DEFAULT 7, ADD PRIMARY KEY (id);
SELECT * FROM refused('t');
SELECT id, mine FROM ret_archive_archive.t_archive WHERE id >= 5 ORDER BY id;
INSERT INTO t (id, at, b) VALUES (5, '2023-01-01 00:00+00', 'again');
SELECT * FROM refused('t');
DELETE FROM t;
-- Something else under the archive's name.
INSERT INTO t (id, at) VALUES (7, '2023-01-01 00:00+00');
ALTER TABLE ret_archive_archive.t_archive OWNER TO regress_ret_other;
SELECT * FROM refused('t');
ALTER TABLE ret_archive_archive.t_archive RENAME TO t_before;
CREATE VIEW ret_archive_archive.t_archive AS SELECT * FROM t;
SELECT * FROM refused('t');
DROP VIEW ret_archive_archive.t_archive;
CREATE MATERIALIZED VIEW ret_archive_archive.t_archive AS SELECT * FROM t;
SELECT * FROM refused('t');
DROP MATERIALIZED VIEW ret_archive_archive.t_archive;
-- The archive as the owner's own partition set.
SET ROLE regress_ret_owner;
CREATE TABLE ret_archive_archive.t_archive (LIKE t) PARTITION BY RANGE (at);
CREATE TABLE ret_archive_archive.t_archive_2023 PARTITION OF ret_archive_archive.t_archive FOR VALUES FROM ('2022-01-01') TO ('2024-01-02');
RESET ROLE;
SELECT * FROM refused('t');
SELECT reltuples FROM pg_class WHERE oid = 'ret_archive_archive.t_archive'::regclass;

-- Another schema, given or the source's own; and one that cannot be made or used.
INSERT INTO t (id, at) VALUES (8, '2023-01-01 00:00+00'), (9, '2023-01-02 00:00+00');
SELECT privacy_scan.set_retention('t', '1 year', 'at', 'id = 8', archive_schema => 'ret_archive');
SELECT target, rows FROM privacy_scan.apply_retention('t', '2025-01-01', NULL, false);
SELECT privacy_scan.set_retention('t', '1 year', 'at', archive_schema => 'ret archive"2');
SELECT target, rows FROM privacy_scan.apply_retention('t', '2025-01-01', NULL, false);
SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'ret archive"2';
INSERT INTO t (id, at) VALUES (10, '2023-01-01 00:00+00');
SELECT privacy_scan.set_retention('t', '1 year', 'at', archive_schema => 'pg_ret');
SELECT privacy_scan.set_retention('t', '1 year', 'at', archive_schema => 'pg_temp');
SELECT privacy_scan.set_retention('t', '1 year', 'at', archive_schema => 'pg_catalog');
CREATE SCHEMA ret_archive_other AUTHORIZATION regress_ret_other;
SELECT privacy_scan.set_retention('t', '1 year', 'at', archive_schema => 'ret_archive_other') IS NOT NULL AS set;
SELECT * FROM refused('t');
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA privacy_scan TO regress_ret_owner;
SET ROLE regress_ret_owner;
SELECT privacy_scan.set_retention('t', '1 year', 'at', archive_schema => 'ret_archive_none') IS NOT NULL AS set;
\set VERBOSITY default
SELECT * FROM privacy_scan.apply_retention('t', '2025-01-01', NULL, false);
\set VERBOSITY terse
RESET ROLE;
SELECT count(*) FROM t;

-- Digests: independent of order, of how a value is stored and of columns that are NULL; not of names.
CREATE TABLE d (a int, b text);
INSERT INTO d SELECT i, repeat(md5(i::text), i % 200) FROM generate_series(1, 5000) i;
SELECT count(DISTINCT x) AS different FROM (
  SELECT privacy_scan.row_digest(d) AS x FROM d UNION ALL
  SELECT privacy_scan.row_digest(s) FROM (SELECT * FROM d ORDER BY b DESC, a) s UNION ALL
  SELECT privacy_scan.row_digest(s) FROM (SELECT b, a FROM d) s UNION ALL
  SELECT privacy_scan.row_digest(s) FROM (SELECT NULL::jsonb AS c, b, NULL::int AS aa, a FROM d) s) y;
SELECT count(DISTINCT x) AS different FROM (
  SELECT privacy_scan.row_digest(d) AS x FROM d UNION ALL
  SELECT privacy_scan.row_digest(s) FROM (SELECT a AS b, b AS a FROM d) s UNION ALL
  SELECT privacy_scan.row_digest(s) FROM (SELECT a, b || '' AS b FROM d WHERE a > 1) s UNION ALL
  SELECT privacy_scan.row_digest(s) FROM (SELECT a, CASE WHEN a = 77 THEN b || ' ' ELSE b END AS b FROM d) s UNION ALL
  SELECT privacy_scan.row_digest(s) FROM (SELECT a, CASE WHEN a = 200 THEN NULL ELSE b END AS b FROM d) s UNION ALL
  SELECT privacy_scan.row_digest(s) FROM (SELECT * FROM d UNION ALL SELECT * FROM d) s) y;
SELECT privacy_scan.row_digest(d) FROM d WHERE false;
SELECT privacy_scan.row_digest(NULL::d);
SELECT privacy_scan.row_digest(r) FROM (VALUES (NULL::int, NULL::text)) r(a, b);
SELECT (privacy_scan.row_digest(r)).digest = (SELECT (privacy_scan.row_digest(q)).digest FROM (VALUES (NULL::int)) q(z)) AS null_rows_are_alike FROM (VALUES (NULL::int, NULL::text)) r(a, b);
SELECT (privacy_scan.row_digest(r)).rows FROM (VALUES (NULL::d), (ROW(1, 'x')::d), (NULL)) v(r);
SELECT (privacy_scan.row_digest(r)).* FROM (VALUES (1, 'x')) r(a, b);
SELECT a % 2 AS half, (privacy_scan.row_digest(d)).rows FROM d GROUP BY 1 ORDER BY 1;
SELECT max((x).rows) FROM (SELECT privacy_scan.row_digest(d) OVER (ORDER BY a) AS x FROM d) w;
-- In parallel, too.
SELECT privacy_scan.row_digest(d) AS serial FROM d \gset
ALTER TABLE d SET (parallel_workers = 3);
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 3;
EXPLAIN (COSTS off) SELECT privacy_scan.row_digest(d) FROM d;
SELECT privacy_scan.row_digest(d) = :'serial'::privacy_scan.row_set AS equal FROM d;
-- Its parts are of no use by themselves.
SELECT privacy_scan.row_digest(1);

SET client_min_messages = error;
DELETE FROM privacy_scan.archive_ledger;
DELETE FROM privacy_scan.retention_rules;
DROP SCHEMA ret_archive, ret_archive_archive, "ret archive""2", ret_archive_other CASCADE;
DROP OWNED BY regress_ret_owner, regress_ret_other;
DROP ROLE regress_ret_owner, regress_ret_other;
