-- Each reason why not: said by the plan, and raised by adopt_table(), which then has changed nothing.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ps_refuse;
SET search_path = ps_refuse;
CREATE ROLE ps_refuse_owner;
CREATE ROLE ps_refuse_other;
GRANT ALL ON SCHEMA ps_refuse TO ps_refuse_owner, ps_refuse_other;
GRANT USAGE ON SCHEMA privacy_scan TO ps_refuse_owner;
GRANT EXECUTE ON FUNCTION privacy_scan.plan_adoption, privacy_scan.adopt_table TO ps_refuse_owner;

CREATE TABLE t (id int PRIMARY KEY, other int, at timestamptz NOT NULL DEFAULT now(), made date);
CREATE FUNCTION reasons(relation text DEFAULT 'ps_refuse.t', OUT message text, OUT detail text, OUT hint text) RETURNS SETOF record LANGUAGE sql
AS $$ SELECT message, detail, hint FROM privacy_scan.plan_adoption(relation::regclass) WHERE kind = 'refusal' ORDER BY message $$;
SELECT * FROM reasons();
SELECT message, detail FROM privacy_scan.plan_adoption('t') WHERE kind = 'key';
SELECT message, detail FROM privacy_scan.plan_adoption('t', 'made') WHERE kind = 'key';

-- Not a key; not a table; not a width.
SELECT privacy_scan.plan_adoption('t', 'nowhere');
SELECT privacy_scan.plan_adoption('t', 'other');
SELECT privacy_scan.plan_adoption('t', every => '1 month 1 day');
SELECT privacy_scan.plan_adoption('t', 'made', every => '1 hour');
SELECT privacy_scan.plan_adoption('t', premake => -1);
SELECT privacy_scan.plan_adoption('t', time_zone => 'Mars');
SELECT privacy_scan.plan_adoption(NULL);
CREATE TABLE no_time (id int);
SELECT privacy_scan.plan_adoption('no_time');
CREATE VIEW a_view AS SELECT 1 AS one;
SELECT privacy_scan.plan_adoption('a_view');
DROP VIEW a_view;
CREATE TABLE parted (at timestamp NOT NULL) PARTITION BY RANGE (at);
SELECT privacy_scan.plan_adoption('parted');
CREATE TABLE part PARTITION OF parted DEFAULT;
SELECT message, hint FROM reasons('part');
CREATE UNLOGGED TABLE unlogged (at timestamp);
SELECT * FROM reasons('unlogged');
CREATE TABLE child () INHERITS (no_time);
ALTER TABLE child ADD at timestamp;
SELECT * FROM reasons('child');
CREATE TYPE typ AS (at timestamp);
CREATE TABLE typed OF typ;
SELECT * FROM reasons('typed');
SELECT privacy_scan.adopt_table('t', 'at', '1 day', premake => 3, time_zone => 'UTC', default_partition => NULL) IS NOT NULL AS line;
SELECT privacy_scan.adopt_table('t', every => '1 week');
SELECT privacy_scan.cancel_adoption('t');
SELECT privacy_scan.cancel_adoption('t');
CALL privacy_scan.run_adoption('t');

-- Constraints and indexes.
CREATE TABLE refers (t int REFERENCES t);
SELECT * FROM reasons();
SELECT privacy_scan.adopt_table('t');
DROP TABLE refers;
ALTER TABLE t ADD UNIQUE (other);
CREATE UNIQUE INDEX other_expression ON t ((other + 1), at);
SELECT * FROM reasons();
ALTER TABLE t DROP CONSTRAINT t_other_key;
DROP INDEX other_expression;
ALTER TABLE t ADD CONSTRAINT apart EXCLUDE USING btree (other WITH =);
SELECT * FROM reasons();
ALTER TABLE t DROP CONSTRAINT apart;
ALTER TABLE t ADD CONSTRAINT later CHECK (other > 0) NOT VALID, ADD CONSTRAINT alone CHECK (other < 9) NO INHERIT;
SELECT * FROM reasons();
ALTER TABLE t DROP CONSTRAINT later, DROP CONSTRAINT alone;
INSERT INTO t VALUES (1, 1), (2, 1);
CREATE UNIQUE INDEX CONCURRENTLY broken ON t (other, (id * 0));
SELECT message FROM reasons() WHERE message LIKE '%invalid%';
DROP INDEX broken;

-- What follows the OID.
CREATE MATERIALIZED VIEW kept AS SELECT count(*) FROM t;
CREATE FUNCTION of_row(t) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TABLE holds (rows t[]);
CREATE TABLE notes (about regclass DEFAULT 't'::regclass);
CREATE RULE also AS ON INSERT TO t DO ALSO SELECT 1;
CREATE TABLE guarded (id int);
CREATE POLICY by_t ON guarded USING (EXISTS (SELECT FROM t WHERE t.id = guarded.id));
SELECT * FROM reasons();
-- Several reasons: the first is raised, the others are counted.
\set VERBOSITY default
SELECT privacy_scan.adopt_table('t');
\set VERBOSITY terse
DROP MATERIALIZED VIEW kept;
DROP FUNCTION of_row;
DROP TABLE holds, guarded, notes;
DROP RULE also ON t;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER fresh AFTER INSERT ON t REFERENCING NEW TABLE AS new FOR EACH ROW EXECUTE FUNCTION nothing();
SELECT * FROM reasons();
DROP TRIGGER fresh ON t;

-- Publications, labels, retention.
SET client_min_messages = error; -- whatever wal_level is
CREATE PUBLICATION ps_refuse_by_leaf FOR TABLE t;
SET client_min_messages = warning;
SELECT * FROM reasons();
ALTER PUBLICATION ps_refuse_by_leaf SET (publish_via_partition_root = true);
SELECT * FROM reasons();
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO ps_refuse_other', current_database()); END $$;
ALTER PUBLICATION ps_refuse_by_leaf OWNER TO ps_refuse_other;
SELECT * FROM reasons();
DROP PUBLICATION ps_refuse_by_leaf;
DO $$ BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM ps_refuse_other', current_database()); END $$;
SET allow_system_table_mods = on;
INSERT INTO pg_seclabel VALUES ('t'::regclass, 'pg_class'::regclass, 0, 'house', 'secret');
SELECT * FROM reasons();
DELETE FROM pg_seclabel WHERE provider = 'house';
INSERT INTO pg_subscription_rel VALUES (0, 't'::regclass, 'r', NULL);
SELECT * FROM reasons();
DELETE FROM pg_subscription_rel WHERE srrelid = 't'::regclass;
RESET allow_system_table_mods;
SELECT privacy_scan.set_retention('t', '30 days', 'at') IS NOT NULL AS policy;
SELECT * FROM reasons();
SELECT privacy_scan.drop_retention('t');
INSERT INTO t VALUES (100, 3);
SELECT privacy_scan.hold('t', 'id = 100', 'a case') AS hold \gset
SELECT * FROM reasons();
SELECT privacy_scan.release_hold(:hold);

-- What is not the owner's to change.
SELECT * FROM reasons('pg_authid') WHERE message ~ 'system';
ALTER EXTENSION plpgsql ADD TABLE t;
SELECT * FROM reasons();
ALTER EXTENSION plpgsql DROP TABLE t;

-- Others' objects and tables.
ALTER TABLE t OWNER TO ps_refuse_owner;
GRANT SELECT ON t TO ps_refuse_other;
CREATE VIEW of_other AS SELECT count(*) FROM t;
ALTER VIEW of_other OWNER TO ps_refuse_other;
SET ROLE ps_refuse_owner;
SELECT message, detail, hint FROM privacy_scan.plan_adoption('t') WHERE kind = 'refusal';
SELECT privacy_scan.adopt_table('t');
SELECT privacy_scan.plan_adoption('no_time');
CALL privacy_scan.run_adoption('t');
RESET ROLE;
SELECT * FROM reasons();
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT privacy_scan.adopt_table('t');
ROLLBACK;
BEGIN READ ONLY;
SELECT privacy_scan.adopt_table('t');
ROLLBACK;
SELECT count(*) FROM privacy_scan.adoptions;
SET client_min_messages = error;
DROP SCHEMA ps_refuse CASCADE;
REVOKE ALL ON SCHEMA privacy_scan FROM ps_refuse_owner;
REVOKE EXECUTE ON FUNCTION privacy_scan.plan_adoption, privacy_scan.adopt_table FROM ps_refuse_owner;
DROP ROLE ps_refuse_owner, ps_refuse_other;
