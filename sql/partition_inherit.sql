-- What a new partition takes after its parent. doc/partitions.md has the table; each of its lines is here.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE ROLE regress_ps_owner;
CREATE ROLE regress_ps_reader;
CREATE ROLE "regress_ps ""odd""";
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE regress_ps_space LOCATION '';
GRANT CREATE ON TABLESPACE regress_ps_space TO regress_ps_owner;
CREATE SCHEMA ps_inherit AUTHORIZATION regress_ps_owner;
GRANT USAGE ON SCHEMA ps_inherit TO PUBLIC;
SET search_path = ps_inherit;
SET ROLE regress_ps_owner;

CREATE TABLE place (id int PRIMARY KEY);
INSERT INTO place VALUES (1), (2);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := 'touched'; RETURN NEW; END $$;
CREATE TABLE t (
    id      bigint NOT NULL,
    "At ""x""" timestamp(3) NOT NULL,
    gone    int,
    place   int DEFAULT 1 REFERENCES place,
    doc     jsonb COMPRESSION lz4,
    note    text COLLATE "C" CHECK (note <> 'bad'),
    twice   bigint GENERATED ALWAYS AS (id * 2) STORED,
    numbered bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (id, "At ""x"""),
    CONSTRAINT both_of CHECK (id > 0 OR place > 0)
) PARTITION BY RANGE ("At ""x""") TABLESPACE regress_ps_space;
ALTER TABLE t DROP COLUMN gone;
ALTER TABLE t ALTER note SET STORAGE EXTERNAL, ALTER note SET STATISTICS 77,
              ALTER doc SET (n_distinct = -0.5, n_distinct_inherited = 100);
CREATE UNIQUE INDEX t_unique ON t ("At ""x""", id) INCLUDE (place) WITH (fillfactor = 70);
CREATE INDEX t_expression ON t (lower(note) text_pattern_ops DESC NULLS LAST) WHERE place IS NOT NULL;
CREATE STATISTICS t_stat (ndistinct, dependencies) ON id, place FROM t;
ALTER STATISTICS t_stat SET STATISTICS 55;
CREATE STATISTICS t_stat_2 (mcv) ON (id % 7), note FROM t;
COMMENT ON TABLE t IS 'the table';
COMMENT ON COLUMN t.note IS 'a note';
CREATE TRIGGER t_before BEFORE INSERT OR UPDATE ON t FOR EACH ROW WHEN (NEW.note = 'x') EXECUTE FUNCTION touch();
CREATE TRIGGER t_statement AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION touch();
ALTER TABLE t ENABLE ALWAYS TRIGGER t_before;
CREATE TABLE child (t_id bigint, t_at timestamp(3), FOREIGN KEY (t_id, t_at) REFERENCES t ON DELETE CASCADE);
-- The newest partition gives what a partitioned table can't have: storage parameters.
CREATE TABLE t_rest PARTITION OF t FOR VALUES FROM ('2020-03-01') TO (MAXVALUE)
    WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, toast.autovacuum_enabled = off);

-- Privileges, those of columns too, and nothing that ALTER DEFAULT PRIVILEGES says.
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC, "regress_ps ""odd""";
ALTER DEFAULT PRIVILEGES IN SCHEMA ps_inherit GRANT TRUNCATE ON TABLES TO regress_ps_reader;
ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM regress_ps_owner;
GRANT SELECT ON t TO regress_ps_reader WITH GRANT OPTION;
GRANT UPDATE ("At ""x""", note) ON t TO regress_ps_reader;
GRANT INSERT (id) ON t TO "regress_ps ""odd""" WITH GRANT OPTION;
GRANT REFERENCES ON t TO PUBLIC;

-- Row-level security: a policy with a subquery that refers to the row, one for a single command and role.
CREATE TABLE seen (place int, who name);
INSERT INTO seen VALUES (1, 'regress_ps_reader');
GRANT SELECT ON seen TO PUBLIC;
CREATE POLICY by_place ON t TO regress_ps_reader USING (EXISTS (SELECT FROM seen s WHERE s.place = t.place AND s.who = current_user));
CREATE POLICY "Odd one" ON t AS RESTRICTIVE FOR UPDATE USING (note IS DISTINCT FROM 'locked') WITH CHECK (id > 0);
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
ALTER TABLE t FORCE ROW LEVEL SECURITY;
ALTER TABLE t REPLICA IDENTITY USING INDEX t_unique;
RESET ROLE;

SELECT partition, action FROM privacy_scan.manage_partitions('t', E'At "x"', '1 month', start => '2020-02-01 00:00');

-- Columns: order, type, collation, storage, compression, NOT NULL, defaults, statistics target, options.
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS type, a.attcollation::regcollation AS collation, a.attstorage AS storage,
       a.attcompression AS compression, a.attnotnull AS not_null, CASE WHEN c.relkind = 'p' THEN a.attidentity END AS identity, a.attgenerated AS generated,
       pg_get_expr(d.adbin, d.adrelid) AS "default", coalesce(a.attstattarget, -1) AS target, 
       (SELECT string_agg(o, ' ') FROM unnest(a.attoptions) o WHERE o LIKE 'n_distinct%') AS options, col_description(c.oid, a.attnum) AS comment
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.oid IN ('t'::regclass, 't_2020_02'::regclass) ORDER BY a.attname COLLATE "C", c.relname;
-- Constraints, all of them inherited.
SELECT conname, contype, pg_get_constraintdef(oid) AS definition, conislocal, coninhcount
FROM pg_constraint WHERE conrelid = 't_2020_02'::regclass ORDER BY 1, 3;
-- Indexes, each attached to its parent's.
SELECT i.relname, p.relname AS parent, i.reloptions, s.spcname, x.indisunique, x.indisprimary, x.indisreplident
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid LEFT JOIN pg_inherits h ON h.inhrelid = i.oid LEFT JOIN pg_class p ON p.oid = h.inhparent
LEFT JOIN pg_tablespace s ON s.oid = i.reltablespace
WHERE x.indrelid = 't_2020_02'::regclass ORDER BY 2;
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 't_2020_02'::regclass ORDER BY 1;
-- Owner, privileges, persistence, tablespace, storage parameters, flags, replica identity.
SELECT relname, pg_get_userbyid(relowner) AS owner, relpersistence, (SELECT spcname FROM pg_tablespace s WHERE s.oid = reltablespace) AS space,
       reloptions, (SELECT t.reloptions FROM pg_class t WHERE t.oid = c.reltoastrelid) AS toast_options,
       relrowsecurity, relforcerowsecurity, relreplident, obj_description(oid, 'pg_class') AS comment
FROM pg_class c WHERE oid IN ('t'::regclass, 't_2020_02'::regclass, 't_default'::regclass) ORDER BY 1;
CREATE VIEW rights AS
SELECT c.relname, coalesce(a.attname, '') AS attname, e.grantee::regrole::text AS grantee, e.privilege_type, e.is_grantable
FROM pg_class c LEFT JOIN LATERAL (SELECT NULL::name AS attname, c.relacl AS acl UNION ALL
     SELECT attname, attacl FROM pg_attribute WHERE attrelid = c.oid AND NOT attisdropped) a ON true, aclexplode(a.acl) e;
SELECT * FROM rights WHERE relname = 't_2020_02' AND grantee <> 'regress_ps_owner' ORDER BY 2, 3, 4;
SELECT (SELECT array_agg(r ORDER BY r::text) FROM (SELECT attname, grantee, privilege_type, is_grantable FROM rights WHERE relname = 't') r)
     = (SELECT array_agg(r ORDER BY r::text) FROM (SELECT attname, grantee, privilege_type, is_grantable FROM rights WHERE relname = p) r) AS same_rights
FROM unnest('{t_2020_02,t_default}'::text[]) p;
-- Extended statistics with their target; triggers; policies.
SELECT pg_get_statisticsobjdef(oid), coalesce(stxstattarget, -1) AS stxstattarget FROM pg_statistic_ext WHERE stxrelid = 't_2020_02'::regclass ORDER BY 1;
SELECT tgname, tgenabled, tgparentid <> 0 AS cloned, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 't_2020_02'::regclass AND NOT tgisinternal;
SELECT policyname, permissive, roles, cmd, qual, with_check FROM pg_policies WHERE tablename = 't_2020_02' ORDER BY 1;
SELECT (SELECT array_agg((policyname, permissive, roles, cmd, replace(qual, 't_2020_02.', 't.'), with_check) ORDER BY policyname)
        FROM pg_policies WHERE tablename = 't_2020_02')
     = (SELECT array_agg((policyname, permissive, roles, cmd, qual, with_check) ORDER BY policyname)
        FROM pg_policies WHERE tablename = 't') AS same_policies;

-- The effect: rows through the parent and directly. The owner is under FORCE ROW LEVEL SECURITY.
INSERT INTO t (id, "At ""x""", place, note) VALUES (1, '2020-02-02', 1, 'x'), (2, '2020-02-02', 2, 'y');
SET ROLE regress_ps_reader;
SELECT id, place, note, twice, numbered FROM t;
SELECT id, place, note FROM t_2020_02;
INSERT INTO t_2020_02 (id) VALUES (3);
RESET ROLE;
SET ROLE regress_ps_owner;
SELECT count(*) FROM t_2020_02;
RESET ROLE;
INSERT INTO t (id, "At ""x""", place) VALUES (3, '2020-02-02', 99);
INSERT INTO t (id, "At ""x""", note) VALUES (3, '2020-02-02', 'bad');
INSERT INTO child VALUES (1, '2020-02-02'), (1, '2020-02-03');
INSERT INTO child VALUES (1, '2020-02-02');
DELETE FROM t WHERE id = 1;
SELECT count(*) FROM child;

-- Maintenance as the owner, who sees no row of the table: DEFAULT is drained all the same.
INSERT INTO t (id, "At ""x""", note) VALUES (9, '2019-12-24', 'x');
GRANT USAGE ON SCHEMA privacy_scan TO regress_ps_owner;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA privacy_scan TO regress_ps_owner;
SET ROLE regress_ps_owner;
SELECT partition, action, rows FROM privacy_scan.drain_default('t');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION privacy_scan.drain_default(regclass, integer) FROM regress_ps_owner;
SELECT tableoid::regclass, id, note FROM t WHERE id = 9;
SELECT count(*) AS policies FROM pg_policies WHERE tablename = 't_2019_12';

-- Replica identity FULL and NOTHING; unlogged; another access method is PostgreSQL's own affair.
CREATE UNLOGGED TABLE u (at date NOT NULL) PARTITION BY RANGE (at);
ALTER TABLE u REPLICA IDENTITY FULL;
CREATE UNLOGGED TABLE u_rest PARTITION OF u FOR VALUES FROM ('2020-03-01') TO (MAXVALUE);
SELECT count(*) FROM privacy_scan.manage_partitions('u', 'at', '1 month', start => '2020-02-01 00:00');
CREATE TABLE n (at date NOT NULL) PARTITION BY RANGE (at);
ALTER TABLE n REPLICA IDENTITY NOTHING;
CREATE TABLE n_rest PARTITION OF n FOR VALUES FROM ('2020-03-01') TO (MAXVALUE);
SELECT count(*) FROM privacy_scan.manage_partitions('n', 'at', '1 month', start => '2020-02-01 00:00');
SELECT c.relname, c.relpersistence = p.relpersistence AS as_parent, c.relreplident
FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid JOIN pg_class p ON p.oid = i.inhparent
WHERE c.oid IN ('u_2020_02'::regclass, 'n_2020_02'::regclass) ORDER BY 1;

-- What isn't inherited: comments on the table, rules, statement triggers, identity, targets of index expressions.
SELECT count(*) FROM pg_trigger WHERE tgrelid = 't_2020_02'::regclass AND tgname = 't_statement';

RESET search_path;
DROP SCHEMA ps_inherit CASCADE;
DROP TABLESPACE regress_ps_space;
DROP OWNED BY regress_ps_owner, regress_ps_reader, "regress_ps ""odd""";
DROP ROLE regress_ps_owner, regress_ps_reader, "regress_ps ""odd""";
