-- adopt: a live plain table becomes a partition set.
CREATE TABLE privacy_scan.adoption_states (
    relation          regclass PRIMARY KEY,
    key_number        smallint    NOT NULL,
    every             interval    NOT NULL,
    premake           integer     NOT NULL,
    time_zone         text        NOT NULL,
    default_partition boolean     NOT NULL,
    key_kind          text,
    unique_id         boolean     NOT NULL DEFAULT false,
    cutover           timestamptz NOT NULL,
    parent            regclass,
    key_added         boolean     NOT NULL DEFAULT false,
    started_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    switched_at       timestamptz,
    lock_held_ms      double precision,
    lock_tries        integer,
    last_error        text,
    last_error_at     timestamptz,
    CHECK (num_nonnulls(parent, switched_at, lock_held_ms, lock_tries) IN (0, 4))
);
COMMENT ON TABLE privacy_scan.adoption_states IS
    'The adoptions under way and done, one row a table; parent: what has its name since the switch. Read privacy_scan.adoptions instead; written by adopt_table(), run_adoption() and cancel_adoption() alone.';
-- Which steps are done is read from the catalog, which a dump brings along; a bare OID could come to mean another table.
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.adoption_states',
    'WHERE relation::oid IN (SELECT oid FROM pg_catalog.pg_class)');

CREATE TYPE privacy_scan.adoption_line AS (
    kind       text,
    step       integer,
    action     text,
    sql        text,
    lock       text,
    seconds    double precision,
    message    text,
    detail     text,
    hint       text
);
COMMENT ON TYPE privacy_scan.adoption_line IS
    'A line of a plan: kind (key, step, change, refusal), for a step its number, action, SQL, lock and expected seconds; message, detail and hint.';

CREATE TYPE privacy_scan.adoption_step AS (
    step         integer,
    action       text,
    state        text,
    sql          text,
    milliseconds double precision,
    message      text
);
COMMENT ON TYPE privacy_scan.adoption_step IS
    'A step of an adoption: state (done, done now, yours, next, waiting), SQL, time taken now, and what is to be known of it.';

CREATE FUNCTION privacy_scan.plan_adoption(
    relation regclass, key name DEFAULT NULL, every interval DEFAULT '1 month', premake integer DEFAULT 4,
    time_zone text DEFAULT 'UTC', default_partition boolean DEFAULT true, key_kind text DEFAULT NULL, unique_id boolean DEFAULT false)
RETURNS SETOF privacy_scan.adoption_line
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_plan_adoption';
COMMENT ON FUNCTION privacy_scan.plan_adoption(regclass, name, interval, integer, text, boolean, text, boolean) IS
    'What adopt_table() would do, changing nothing: the key and why, each step with SQL, lock and expected time, what changes for the application, and every reason why not.';
REVOKE EXECUTE ON FUNCTION privacy_scan.plan_adoption(regclass, name, interval, integer, text, boolean, text, boolean) FROM PUBLIC;

CREATE FUNCTION privacy_scan.adopt_table(
    relation regclass, key name DEFAULT NULL, every interval DEFAULT NULL, premake integer DEFAULT NULL,
    time_zone text DEFAULT NULL, default_partition boolean DEFAULT NULL, key_kind text DEFAULT NULL, unique_id boolean DEFAULT NULL)
RETURNS SETOF privacy_scan.adoption_step
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_adopt_table';
COMMENT ON FUNCTION privacy_scan.adopt_table(regclass, name, interval, integer, text, boolean, text, boolean) IS
    'Makes a live table a partition set without copying: registers the adoption at the first call, does its next step at each, and returns all steps. Statements that must run by themselves are returned for the caller.';
REVOKE EXECUTE ON FUNCTION privacy_scan.adopt_table(regclass, name, interval, integer, text, boolean, text, boolean) FROM PUBLIC;

CREATE PROCEDURE privacy_scan.run_adoption(relation regclass)
LANGUAGE c
AS 'MODULE_PATHNAME', 'ps_run_adoption';
COMMENT ON PROCEDURE privacy_scan.run_adoption(regclass) IS
    'Goes on with an adoption as far as it can, a transaction for each step, the index being built by a process of its own; NOTICEs say what was done, and, where no worker slot is free, which statement is the caller''s.';
REVOKE EXECUTE ON PROCEDURE privacy_scan.run_adoption(regclass) FROM PUBLIC;

CREATE FUNCTION privacy_scan.cancel_adoption(relation regclass)
RETURNS SETOF privacy_scan.adoption_step
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_cancel_adoption';
COMMENT ON FUNCTION privacy_scan.cancel_adoption(regclass) IS
    'Ends an adoption before its switch: what was prepared on the table is dropped, which is then as it was.';
REVOKE EXECUTE ON FUNCTION privacy_scan.cancel_adoption(regclass) FROM PUBLIC;

CREATE FUNCTION privacy_scan.undo_adoption(relation regclass, max_rows bigint DEFAULT 10000)
RETURNS SETOF privacy_scan.adoption_step
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_undo_adoption';
COMMENT ON FUNCTION privacy_scan.undo_adoption(regclass, bigint) IS
    'Makes an adopted set a plain table again, while at most max_rows rows lie beyond its first partition, which are moved under lock. The index of the old primary key is returned for the caller to build.';
REVOKE EXECUTE ON FUNCTION privacy_scan.undo_adoption(regclass, bigint) FROM PUBLIC;

CREATE FUNCTION privacy_scan.adoption_progress(relation regclass)
RETURNS TABLE (step text, done integer, total integer)
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'ps_adoption_progress';
COMMENT ON FUNCTION privacy_scan.adoption_progress(regclass) IS
    'The next step of an adoption, the number of steps done and of all, as the view adoptions shows them.';

CREATE VIEW privacy_scan.adoptions WITH (security_barrier) AS
SELECT coalesce(s.parent, s.relation) AS relation, CASE WHEN s.parent IS NULL THEN 'preparing' WHEN p.step <> '' THEN 'validating' ELSE 'adopted' END AS state,
       p.step, p.done, p.total, b.rate, s.started_at AS since, s.switched_at, s.cutover, s.last_error, s.last_error_at,
       s.lock_held_ms, s.lock_tries
FROM privacy_scan.adoption_states s
JOIN pg_class r ON r.oid = coalesce(s.parent, s.relation) AND pg_has_role(r.relowner, 'USAGE'),
     LATERAL privacy_scan.adoption_progress(r.oid::regclass) p
LEFT JOIN LATERAL (
    SELECT max(i.blocks_done * current_setting('block_size')::double precision
               / extract(epoch FROM greatest(clock_timestamp() - a.query_start, interval '1 ms'))::double precision) / 1e6 AS rate
    FROM pg_stat_progress_create_index i JOIN pg_stat_activity a USING (pid)
    WHERE i.relid = s.relation AND i.blocks_done > 0) b ON true;
COMMENT ON VIEW privacy_scan.adoptions IS
    'The adoptions of the reader''s own tables: next step, steps done and of all, rate (while an index is built: MB of the table a second), last error, bound of the first partition, time that the switch held its strong lock.';
GRANT SELECT ON privacy_scan.adoptions TO PUBLIC;
