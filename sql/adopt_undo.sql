-- The way back: the set becomes the plain table that it was, with the rows that came meanwhile.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ps_undo;
SET search_path = ps_undo;
SET timezone = 'UTC';
CREATE ROLE ps_undo_reader;
CREATE TABLE scan (id int PRIMARY KEY);
INSERT INTO scan SELECT generate_series(1, 10);
CREATE TABLE log (what text);
CREATE TABLE t (
    id   bigint GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 5),
    n    serial,
    scan int NOT NULL REFERENCES scan ON DELETE CASCADE,
    two  int GENERATED ALWAYS AS (scan * 2) STORED,
    at   timestamp(3) NOT NULL DEFAULT now(),
    PRIMARY KEY (id)
);
CREATE INDEX t_scan ON t (scan);
CREATE STATISTICS t_stats ON scan, at FROM t;
COMMENT ON TABLE t IS 'the table''s';
COMMENT ON CONSTRAINT t_pkey ON t IS 'the key''s';
COMMENT ON INDEX t_scan IS 'the index''s';
ALTER TABLE t REPLICA IDENTITY USING INDEX t_pkey;
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO ps_undo.log VALUES (TG_OP); RETURN NEW; END $$;
CREATE TRIGGER each BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tell();
ALTER TABLE t ENABLE ALWAYS TRIGGER each;
GRANT SELECT ON t TO ps_undo_reader;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY reader ON t TO ps_undo_reader USING (scan > 0);
SET client_min_messages = error; -- whatever wal_level is
CREATE PUBLICATION ps_undo_changes FOR TABLE t WITH (publish_via_partition_root = true);
SET client_min_messages = warning;
CREATE VIEW counted AS SELECT count(*) AS rows FROM t;
INSERT INTO t (scan, at) SELECT 1 + n % 10, now() - n * interval '1 day' FROM generate_series(1, 50) n;

CREATE VIEW pg_temp.catalog AS
SELECT 'column' AS kind, concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), attnotnull, pg_get_expr(d.adbin, d.adrelid), attidentity::text, attgenerated::text, pg_get_serial_sequence('ps_undo.t', a.attname)) AS what
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum WHERE c.oid = to_regclass('ps_undo.t')
UNION ALL SELECT 'constraint', concat_ws(' ', conname, pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint')) FROM pg_constraint WHERE conrelid = to_regclass('ps_undo.t')
UNION ALL SELECT 'index', concat_ws(' ', pg_get_indexdef(indexrelid), indisreplident, obj_description(indexrelid, 'pg_class')) FROM pg_index WHERE indrelid = to_regclass('ps_undo.t')
UNION ALL SELECT 'trigger', concat_ws(' ', pg_get_triggerdef(oid), tgenabled::text) FROM pg_trigger WHERE tgrelid = to_regclass('ps_undo.t') AND NOT tgisinternal
UNION ALL SELECT 'policy', concat_ws(' ', polname, pg_get_expr(polqual, polrelid), polroles::regrole[]::text) FROM pg_policy WHERE polrelid = to_regclass('ps_undo.t')
UNION ALL SELECT 'statistics', pg_get_statisticsobjdef(oid) FROM pg_statistic_ext WHERE stxrelid = to_regclass('ps_undo.t')
UNION ALL SELECT 'table', concat_ws(' ', relname, relkind, relpersistence, relowner::regrole = current_user::regrole, relacl::text <> '', relrowsecurity, relreplident::text, obj_description(oid, 'pg_class')) FROM pg_class WHERE oid = to_regclass('ps_undo.t')
UNION ALL SELECT 'publication', pubname FROM pg_publication_tables WHERE schemaname = 'ps_undo' AND tablename = 't'
UNION ALL SELECT 'relation', concat_ws(' ', relname, relkind) FROM pg_class WHERE relnamespace = 'ps_undo'::regnamespace;
CREATE TEMPORARY TABLE before AS SELECT * FROM pg_temp.catalog;

-- Too early.
SELECT privacy_scan.undo_adoption('t');
SELECT sql AS build FROM privacy_scan.adopt_table('t') WHERE state = 'yours' \gset
SELECT privacy_scan.undo_adoption('t');
:build;
CALL privacy_scan.run_adoption('t');
INSERT INTO t (scan, at) SELECT n, now() + interval '2 months' FROM generate_series(1, 5) n;
INSERT INTO t (scan, at) VALUES (6, now());
TRUNCATE log;

-- Too many rows; something in the way.
SELECT privacy_scan.undo_adoption('t', -1);
SELECT privacy_scan.undo_adoption('t', 4);
SELECT step, action, state FROM privacy_scan.undo_adoption('t', 5);
SELECT sql AS build FROM privacy_scan.undo_adoption('t') WHERE state = 'yours' \gset
:build;
-- One that an interruption left invalid is dropped.
UPDATE pg_index SET indisvalid = false WHERE indexrelid = (SELECT oid FROM pg_class WHERE relname LIKE 'privacy\_scan\_adoption%');
SELECT step, action, state FROM privacy_scan.undo_adoption('t');
:build;
GRANT INSERT ON t TO ps_undo_reader;
SELECT step, action, state FROM privacy_scan.undo_adoption('t');
REVOKE INSERT ON t FROM ps_undo_reader;
CREATE MATERIALIZED VIEW kept AS SELECT count(*) FROM t;
SELECT step, action, state FROM privacy_scan.undo_adoption('t');
DROP MATERIALIZED VIEW kept;
-- The same id twice, which the set did not notice.
INSERT INTO t (id, scan, at) OVERRIDING SYSTEM VALUE SELECT min(id), 1, now() + interval '3 months' FROM t;
\set VERBOSITY sqlstate
SELECT step, action, state FROM privacy_scan.undo_adoption('t');
\set VERBOSITY terse
DELETE FROM t WHERE at > now() + interval '80 days';
TRUNCATE log;

-- And back.
SELECT step, action, state FROM privacy_scan.undo_adoption('t');
(SELECT '-' AS side, kind, what FROM before EXCEPT SELECT '-', kind, what FROM pg_temp.catalog)
UNION ALL (SELECT '+', kind, what FROM pg_temp.catalog EXCEPT SELECT '+', kind, what FROM before) ORDER BY 2, 1 DESC, 3;
SELECT count(*), count(DISTINCT id), count(DISTINCT n), max(id) FROM t;
SELECT count(*) AS fired FROM log;
INSERT INTO t (scan) VALUES (1), (2) RETURNING id;
SELECT count(*) AS fired FROM log;
SELECT rows FROM counted;
INSERT INTO t (scan, at) VALUES (3, now() + interval '1 year') ON CONFLICT (id) DO NOTHING;
DELETE FROM scan WHERE id = 1;
SELECT count(*) FROM t;
SELECT count(*) FROM privacy_scan.adoptions;
SELECT count(*) FROM privacy_scan.partition_policies WHERE relation = to_regclass('t');
SELECT privacy_scan.undo_adoption('t');
-- Once more there, and back.
SELECT sql AS build FROM privacy_scan.adopt_table('t') WHERE state = 'yours' \gset
:build;
DELETE FROM t WHERE at > now() + interval '20 days';
CALL privacy_scan.run_adoption('t');
SELECT sql AS build FROM privacy_scan.undo_adoption('t') WHERE state = 'yours' \gset
:build;
SELECT step, action, state FROM privacy_scan.undo_adoption('t');
(SELECT '-' AS side, kind, what FROM before EXCEPT SELECT '-', kind, what FROM pg_temp.catalog)
UNION ALL (SELECT '+', kind, what FROM pg_temp.catalog EXCEPT SELECT '+', kind, what FROM before) ORDER BY 2, 1 DESC, 3;
SET client_min_messages = error;
DROP SCHEMA ps_undo CASCADE;
DROP PUBLICATION ps_undo_changes;
DROP ROLE ps_undo_reader;
