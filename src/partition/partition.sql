-- partition: partition sets.
CREATE TABLE privacy_scan.partition_policies (
    relation          regclass PRIMARY KEY,
    every             interval,
    step              bigint,
    premake           integer  NOT NULL,
    time_zone         text     NOT NULL,
    default_partition boolean  NOT NULL,
    key_kind          text,
    CHECK (num_nonnulls(every, step) = 1)
);
COMMENT ON TABLE privacy_scan.partition_policies IS
    'The policies of managed partition sets, one row a relation. Read privacy_scan.partition_sets instead; written by manage_partitions(), set_partitions() and unmanage_partitions() alone.';
-- The policy of a relation that was dropped would come back as a bare OID, which may be another's by then.
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.partition_policies',
    'WHERE relation::oid IN (SELECT oid FROM pg_catalog.pg_class)');

CREATE TYPE privacy_scan.partition_action AS (
    relation     regclass,
    partition    text,
    lower_bound  text,
    upper_bound  text,
    action       text,
    rows         bigint,
    milliseconds double precision,
    lock_wait_ms double precision,
    blocked_by   text,
    sqlstate     text,
    message      text
);
COMMENT ON TYPE privacy_scan.partition_action IS
    'What was done to one partition: action, bounds, rows moved, time taken, time lost waiting for locks and the backends that held them; for a failure, SQLSTATE and message.';

CREATE FUNCTION privacy_scan.manage_partitions(
    relation regclass, key name, every interval, premake integer DEFAULT 4, time_zone text DEFAULT 'UTC',
    default_partition boolean DEFAULT true, start timestamptz DEFAULT NULL, key_kind text DEFAULT NULL)
RETURNS SETOF privacy_scan.partition_action
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_manage_partitions';
COMMENT ON FUNCTION privacy_scan.manage_partitions(regclass, name, interval, integer, text, boolean, timestamptz, text) IS
    'Registers a table partitioned by range over a timestamp, timestamptz, date or, with key_kind, an id that carries time, and creates the partitions that are missing from start (or now) to premake intervals ahead.';
REVOKE EXECUTE ON FUNCTION privacy_scan.manage_partitions(regclass, name, interval, integer, text, boolean, timestamptz, text) FROM PUBLIC;

-- For plain literals: without this, PostgreSQL could not choose between interval and step. It prefers text only
-- where every literal may be one, hence start too.
CREATE FUNCTION privacy_scan.manage_partitions(
    relation regclass, key name, every text, premake integer DEFAULT 4, time_zone text DEFAULT 'UTC',
    default_partition boolean DEFAULT true, start text DEFAULT NULL, key_kind text DEFAULT NULL)
RETURNS SETOF privacy_scan.partition_action
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'SELECT * FROM privacy_scan.manage_partitions($1, $2, $3::interval, $4, $5, $6, $7::timestamptz, $8)';
COMMENT ON FUNCTION privacy_scan.manage_partitions(regclass, name, text, integer, text, boolean, text, text) IS
    'Registers a table partitioned by range over a time key or an id that carries time: interval and start given as text, such as ''1 month''.';
REVOKE EXECUTE ON FUNCTION privacy_scan.manage_partitions(regclass, name, text, integer, text, boolean, text, text) FROM PUBLIC;

CREATE FUNCTION privacy_scan.manage_partitions(
    relation regclass, key name, step bigint, premake integer DEFAULT 4,
    default_partition boolean DEFAULT true, start bigint DEFAULT NULL)
RETURNS SETOF privacy_scan.partition_action
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_manage_partitions_by_step';
COMMENT ON FUNCTION privacy_scan.manage_partitions(regclass, name, bigint, integer, boolean, bigint) IS
    'Registers a table partitioned by range over a bigint or integer, and creates the partitions that are missing from start (or the largest key) to premake steps ahead.';
REVOKE EXECUTE ON FUNCTION privacy_scan.manage_partitions(regclass, name, bigint, integer, boolean, bigint) FROM PUBLIC;

CREATE FUNCTION privacy_scan.unmanage_partitions(relation regclass)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_unmanage_partitions';
COMMENT ON FUNCTION privacy_scan.unmanage_partitions(regclass) IS
    'Forgets the policy of a partition set; its partitions stay as they are. True where there was a policy.';
REVOKE EXECUTE ON FUNCTION privacy_scan.unmanage_partitions(regclass) FROM PUBLIC;

CREATE FUNCTION privacy_scan.set_partitions(
    relation regclass, premake integer DEFAULT NULL, every interval DEFAULT NULL, step bigint DEFAULT NULL,
    default_partition boolean DEFAULT NULL)
RETURNS SETOF privacy_scan.partition_action
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_set_partitions';
COMMENT ON FUNCTION privacy_scan.set_partitions(regclass, integer, interval, bigint, boolean) IS
    'Changes the policy of a live partition set, what is NULL staying as it is, and creates what is missing; new bounds start where the old ones end.';
REVOKE EXECUTE ON FUNCTION privacy_scan.set_partitions(regclass, integer, interval, bigint, boolean) FROM PUBLIC;

CREATE FUNCTION privacy_scan.maintain_partitions(
    relation regclass DEFAULT NULL, at timestamptz DEFAULT now())
RETURNS SETOF privacy_scan.partition_action
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_maintain_partitions';
COMMENT ON FUNCTION privacy_scan.maintain_partitions(regclass, timestamptz) IS
    'Creates partitions ahead of the clock and drains DEFAULT, for one partition set or all of the caller''s: one row an action, a failing set being a row too; no row where nothing is to do.';
REVOKE EXECUTE ON FUNCTION privacy_scan.maintain_partitions(regclass, timestamptz) FROM PUBLIC;

CREATE PROCEDURE privacy_scan.run_maintenance(relation regclass DEFAULT NULL, at timestamptz DEFAULT now())
LANGUAGE c
AS 'MODULE_PATHNAME', 'ps_run_maintenance';
COMMENT ON PROCEDURE privacy_scan.run_maintenance(regclass, timestamptz) IS
    'Maintains one partition set or all of the caller''s, committing each; NOTICEs say what was done, a WARNING what failed.';
REVOKE EXECUTE ON PROCEDURE privacy_scan.run_maintenance(regclass, timestamptz) FROM PUBLIC;

CREATE FUNCTION privacy_scan.ensure_partitions(relation regclass, "from" timestamptz, "to" timestamptz)
RETURNS SETOF privacy_scan.partition_action
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_ensure_partitions';
COMMENT ON FUNCTION privacy_scan.ensure_partitions(regclass, timestamptz, timestamptz) IS
    'Creates the partitions of a range of time, for a backfill; refuses more than privacy_scan.partition_max_created.';
REVOKE EXECUTE ON FUNCTION privacy_scan.ensure_partitions(regclass, timestamptz, timestamptz) FROM PUBLIC;

CREATE FUNCTION privacy_scan.ensure_partitions(relation regclass, "from" text, "to" text)
RETURNS SETOF privacy_scan.partition_action
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'SELECT * FROM privacy_scan.ensure_partitions($1, $2::timestamptz, $3::timestamptz)';
COMMENT ON FUNCTION privacy_scan.ensure_partitions(regclass, text, text) IS
    'Creates the partitions of a range of time given as text, such as ''2025-01-01''.';
REVOKE EXECUTE ON FUNCTION privacy_scan.ensure_partitions(regclass, text, text) FROM PUBLIC;

CREATE FUNCTION privacy_scan.ensure_partitions(relation regclass, "from" bigint, "to" bigint)
RETURNS SETOF privacy_scan.partition_action
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_ensure_partitions_by_step';
COMMENT ON FUNCTION privacy_scan.ensure_partitions(regclass, bigint, bigint) IS
    'Creates the partitions of a range of integer keys, for a backfill; refuses more than privacy_scan.partition_max_created.';
REVOKE EXECUTE ON FUNCTION privacy_scan.ensure_partitions(regclass, bigint, bigint) FROM PUBLIC;

CREATE FUNCTION privacy_scan.drain_default(relation regclass, batch_rows integer DEFAULT 10000)
RETURNS SETOF privacy_scan.partition_action
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_drain_default';
COMMENT ON FUNCTION privacy_scan.drain_default(regclass, integer) IS
    'Moves up to batch_rows rows of the DEFAULT partition into partitions of their own, each row being visible exactly once to every snapshot; reports what stays and why.';
REVOKE EXECUTE ON FUNCTION privacy_scan.drain_default(regclass, integer) FROM PUBLIC;

CREATE PROCEDURE privacy_scan.run_drain(relation regclass, batch_rows integer DEFAULT 10000)
LANGUAGE c
AS 'MODULE_PATHNAME', 'ps_run_drain';
COMMENT ON PROCEDURE privacy_scan.run_drain(regclass, integer) IS
    'Drains the DEFAULT partition batch by batch, committing each.';
REVOKE EXECUTE ON PROCEDURE privacy_scan.run_drain(regclass, integer) FROM PUBLIC;

CREATE PROCEDURE privacy_scan.add_time_checks(
    relation regclass, "column" name, grace interval DEFAULT '7 days', slack interval DEFAULT '1 day')
LANGUAGE c
AS 'MODULE_PATHNAME', 'ps_add_time_checks';
COMMENT ON PROCEDURE privacy_scan.add_time_checks(regclass, name, interval, interval) IS
    'Gives closed partitions a CHECK on a time column, so that queries by it are pruned: its window with slack on both sides. From then on a row of theirs with another time is refused.';
REVOKE EXECUTE ON PROCEDURE privacy_scan.add_time_checks(regclass, name, interval, interval) FROM PUBLIC;

CREATE FUNCTION privacy_scan.drop_time_checks(relation regclass)
RETURNS integer
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_drop_time_checks';
COMMENT ON FUNCTION privacy_scan.drop_time_checks(regclass) IS
    'Drops the CHECKs that add_time_checks() made; returns their number.';
REVOKE EXECUTE ON FUNCTION privacy_scan.drop_time_checks(regclass) FROM PUBLIC;

CREATE FUNCTION privacy_scan.partition_bounds(relation regclass)
RETURNS TABLE (
    partition regclass, lower_bound text, upper_bound text, lower_at timestamptz, upper_at timestamptz, state text)
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'ps_partition_bounds';
COMMENT ON FUNCTION privacy_scan.partition_bounds(regclass) IS
    'The partitions of a managed relation with their bounds, as the view partitions shows them.';

CREATE FUNCTION privacy_scan.count_default_rows(relation regclass)
RETURNS bigint
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'ps_count_default_rows';
COMMENT ON FUNCTION privacy_scan.count_default_rows(regclass) IS
    'The number of rows in the DEFAULT partition of a relation, counted; NULL where it has none.';

CREATE FUNCTION privacy_scan.key_instant(kind text, id text)
RETURNS timestamptz
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'ps_key_instant';
COMMENT ON FUNCTION privacy_scan.key_instant(text, text) IS
    'When an id that carries time was made; NULL for what is no id of that kind. Kinds: uuidv7, ulid, ulid_lower, cuid, ksuid, objectid, snowflake(epoch,shift).';

CREATE FUNCTION privacy_scan.key_at(kind text, instant timestamptz)
RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'ps_key_at';
COMMENT ON FUNCTION privacy_scan.key_at(text, timestamptz) IS
    'The smallest id of a kind from an instant on, as partition bounds have it: every id made before sorts below.';

CREATE FUNCTION privacy_scan.detect_key_kind(relation regclass, "column" name, sample_rows integer DEFAULT 1000)
RETURNS TABLE (key_kind text, share double precision, oldest timestamptz, newest timestamptz)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_detect_key_kind';
COMMENT ON FUNCTION privacy_scan.detect_key_kind(regclass, name, integer) IS
    'Which kinds of ids a sample of a column looks like, the likeliest first: the share that fits, being neither before 2000 nor in the future, with its oldest and newest time. Reads with the rights of the caller.';

CREATE VIEW privacy_scan.partitions WITH (security_barrier) AS
SELECT s.relation AS parent, b.partition, b.lower_bound, b.upper_bound, b.lower_at, b.upper_at, b.state,
       nullif(c.reltuples, -1)::bigint AS rows, pg_total_relation_size(b.partition) AS bytes
FROM (SELECT p.relation
      FROM privacy_scan.partition_policies p JOIN pg_class r ON r.oid = p.relation
      WHERE pg_has_role(r.relowner, 'USAGE') OR has_table_privilege(r.oid, 'SELECT')) s,
     LATERAL privacy_scan.partition_bounds(s.relation) b
     JOIN pg_class c ON c.oid = b.partition;
COMMENT ON VIEW privacy_scan.partitions IS
    'Every partition of the managed relations that the reader owns or may read: bounds, state (past, current, future, default; attached for integer keys), estimated rows, bytes with TOAST and indexes.';
GRANT SELECT ON privacy_scan.partitions TO PUBLIC;

CREATE VIEW privacy_scan.partition_sets WITH (security_barrier) AS
SELECT p.relation, k.attname::text AS key_column, p.key_kind, p.every::text AS every, p.step, p.premake, p.time_zone, p.default_partition,
       b.partitions, b.days_ahead, privacy_scan.count_default_rows(p.relation) AS default_rows
FROM privacy_scan.partition_policies p
JOIN pg_class r ON r.oid = p.relation
     AND (pg_has_role(r.relowner, 'USAGE') OR has_table_privilege(r.oid, 'SELECT'))
JOIN pg_partitioned_table t ON t.partrelid = r.oid
JOIN pg_attribute k ON k.attrelid = r.oid AND k.attnum = t.partattrs[0],
     LATERAL (SELECT count(*) AS partitions,
                     (extract(epoch FROM max(upper_at) - now()) / 86400)::double precision AS days_ahead
              FROM privacy_scan.partition_bounds(p.relation)) b;
COMMENT ON VIEW privacy_scan.partition_sets IS
    'The managed relations that the reader owns or may read: policy, number of partitions, days that are covered ahead of now, rows counted in DEFAULT.';
GRANT SELECT ON privacy_scan.partition_sets TO PUBLIC;

