-- An index built online: on tables and partition sets, what counts as being there already, and what is refused.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE ROLE ps_index_keeper;
CREATE ROLE ps_index_other;
CREATE SCHEMA ps_index;
GRANT ALL ON SCHEMA ps_index TO ps_index_keeper, ps_index_other;
SET search_path = ps_index;
\set show 'SELECT indexrelid::regclass AS index, indrelid::regclass AS relation, indisvalid, inhparent::regclass AS attached_to, regexp_replace(pg_get_indexdef(indexrelid), ''^CREATE (.*)INDEX .* USING'', ''\\1'') AS definition FROM pg_index JOIN pg_class c ON c.oid = indexrelid LEFT JOIN pg_inherits ON inhrelid = indexrelid WHERE relnamespace = ''ps_index''::regnamespace ORDER BY indrelid, c.oid'

-- Names of all kinds; rows that were inserted before and after.
CREATE TABLE "Evid""ence 1" ("scan'Id" text, "select" int, details jsonb, "eine Spalte mit einem langen Namen, nicht ganz zu halten" int);
INSERT INTO "Evid""ence 1" SELECT n::text, n, jsonb_build_object('n', n) FROM generate_series(1, 100) n;
CALL privacy_scan.run_index('"Evid""ence 1"', '{"scan''Id", select}', is_unique => true);
CALL privacy_scan.run_index('"Evid""ence 1"', '{details}', method => 'gin');
CALL privacy_scan.run_index('"Evid""ence 1"', ARRAY['eine Spalte mit einem langen Namen, nicht ganz zu halten', 'select']);
:show;
DROP TABLE "Evid""ence 1";

-- What is not the same index, and then what is: whoever made it, whatever its name.
CREATE TABLE t (a int, b text COLLATE "C", c int);
CREATE INDEX t_desc ON t (a DESC);
CREATE INDEX t_nulls ON t (a NULLS FIRST);
CREATE INDEX t_some ON t (a) WHERE a > 0;
CREATE INDEX t_expr ON t ((a + 0));
CREATE INDEX t_more ON t (a) INCLUDE (c);
CREATE INDEX t_two ON t (a, c);
CREATE INDEX t_hash ON t USING hash (a);
CREATE UNIQUE INDEX t_unique ON t (a);
CREATE INDEX t_a_idx ON t (c);
CALL privacy_scan.run_index('t', '{a}');
SELECT indexrelid::regclass, indisvalid, pg_get_indexdef(indexrelid) FROM pg_index WHERE indexrelid = 't_a_idx1'::regclass;
CREATE INDEX t_b_pattern ON t (b text_pattern_ops);
CREATE INDEX t_b_collation ON t (b COLLATE "POSIX");
CALL privacy_scan.run_index('t', '{b}');
SELECT pg_get_indexdef('t_b_idx'::regclass);
SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass;
ALTER INDEX t_a_idx1 RENAME TO mine;
ALTER TABLE t ADD PRIMARY KEY (c);
CALL privacy_scan.run_index('t', '{a}');
CALL privacy_scan.run_index('t', '{b}');
CALL privacy_scan.run_index('t', '{c}', is_unique => true);
CALL privacy_scan.run_index('t', '{a}', is_unique => true);
SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass;

-- A partition set of two levels, some of it there already: of a leaf, and of the parent by itself.
CREATE TABLE p (a int, b int) PARTITION BY RANGE (a);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE p2 (b int, spare int, a int) PARTITION BY LIST (b);
ALTER TABLE p2 DROP COLUMN spare;
CREATE TABLE p21 PARTITION OF p2 FOR VALUES IN (1);
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20);
CREATE INDEX mine_too ON p1 (b, a);
CREATE INDEX whole ON ONLY p (b, a);
DROP TABLE t;
CALL privacy_scan.run_index('p', '{b,a}');
CREATE TABLE p3 PARTITION OF p DEFAULT;
:show;
-- A leaf, and a part of the tree, each by itself.
CALL privacy_scan.run_index('p1', '{a}');
CALL privacy_scan.run_index('p2', '{a}');
-- Their indexes are taken, with all below them, for the whole.
CALL privacy_scan.run_index('p', '{a}');
SELECT relid, parentrelid, level FROM pg_partition_tree('p_a_idx') ORDER BY relid::text;
SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = indexrelid WHERE relnamespace = 'ps_index'::regnamespace AND NOT indisvalid;

-- A parent's index that cannot become valid: said, not claimed.
CREATE TABLE q (a int) PARTITION BY RANGE (a);
CREATE TABLE q1 PARTITION OF q FOR VALUES FROM (0) TO (10);
CREATE INDEX stuck ON ONLY q (a);
DROP TABLE q1;
CALL privacy_scan.run_index('q', '{a}');

-- Refused: arguments.
CALL privacy_scan.run_index(NULL, '{a}');
CALL privacy_scan.run_index('p', NULL);
CALL privacy_scan.run_index('p', '{a,NULL}');
CALL privacy_scan.run_index('p', '{a}', NULL);
CALL privacy_scan.run_index('p', '{a}', method => NULL);
CALL privacy_scan.run_index('p', '{}');
CALL privacy_scan.run_index('p', '{A}');
CALL privacy_scan.run_index('p', '{ctid}');
CALL privacy_scan.run_index('p', '{a,b,a}');
CALL privacy_scan.run_index('p', '{a); DROP TABLE p; --}');
CALL privacy_scan.run_index('p', '{b}', method => 'btree (b); DROP TABLE p; --');
CALL privacy_scan.run_index('p', '{b}', is_unique => true);
CALL privacy_scan.run_index('p', '{a}', method => 'gin');
CALL privacy_scan.run_index(0, '{a}');
-- A name of old, by which PostgreSQL makes another.
CREATE TABLE shapes (a box);
CALL privacy_scan.run_index('shapes', '{a}', method => 'rtree');
CALL privacy_scan.run_index('shapes', '{a}', method => 'gist');
SELECT count(*) FROM pg_index WHERE indrelid = 'shapes'::regclass;
-- Kinds of relations.
CREATE VIEW v AS SELECT 1 AS a;
CREATE MATERIALIZED VIEW m AS SELECT 1 AS a;
CREATE TEMPORARY TABLE temp (a int);
CREATE FOREIGN DATA WRAPPER ps_index_fdw;
CREATE SERVER ps_index_server FOREIGN DATA WRAPPER ps_index_fdw;
CREATE FOREIGN TABLE q2 PARTITION OF q FOR VALUES FROM (10) TO (20) SERVER ps_index_server;
CALL privacy_scan.run_index('v', '{a}');
CALL privacy_scan.run_index('m', '{a}');
CALL privacy_scan.run_index('temp', '{a}');
CALL privacy_scan.run_index('q', '{a}');
CALL privacy_scan.run_index('stuck', '{a}');
CALL privacy_scan.run_index('pg_catalog.pg_class', '{relname}');
-- Transactions.
BEGIN; CALL privacy_scan.run_index('p', '{a}'); ROLLBACK;
DO $$ BEGIN PERFORM 1; CALL privacy_scan.run_index('p', '{a}'); END $$;
SET default_transaction_read_only = on; CALL privacy_scan.run_index('p', '{a}'); RESET default_transaction_read_only;
SET default_transaction_isolation = 'repeatable read'; CALL privacy_scan.run_index('p', '{a}'); RESET default_transaction_isolation;
-- Rights.
SET ROLE ps_index_keeper;
CALL privacy_scan.run_index('p', '{a}');
RESET ROLE;
GRANT USAGE ON SCHEMA privacy_scan TO ps_index_keeper;
GRANT EXECUTE ON PROCEDURE privacy_scan.run_index(regclass, text[], boolean, text) TO ps_index_keeper;
SET ROLE ps_index_keeper;
CALL privacy_scan.run_index('p', '{a}');
CREATE TABLE o (a int) PARTITION BY RANGE (a);
CREATE TABLE o1 PARTITION OF o DEFAULT;
RESET ROLE;
ALTER TABLE o1 OWNER TO ps_index_other;
SET ROLE ps_index_keeper;
CALL privacy_scan.run_index('o', '{a}');
RESET ROLE;
CALL privacy_scan.run_index('o', '{a}');
ALTER TABLE o1 OWNER TO ps_index_keeper;
SET ROLE ps_index_keeper;
CALL privacy_scan.run_index('o', '{a}');
RESET ROLE;
SELECT c.relname, pg_get_userbyid(relowner) AS owner, indisvalid FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE indrelid IN ('o'::regclass, 'o1'::regclass) ORDER BY 1;

SET client_min_messages = error;
DROP SCHEMA ps_index CASCADE;
DROP FOREIGN DATA WRAPPER ps_index_fdw CASCADE;
REVOKE ALL ON SCHEMA privacy_scan FROM ps_index_keeper;
REVOKE ALL ON PROCEDURE privacy_scan.run_index(regclass, text[], boolean, text) FROM ps_index_keeper;
DROP ROLE ps_index_keeper, ps_index_other;
