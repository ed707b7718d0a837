-- split: adjacent partitions of a set become others of the same stretch, while their rows are read and written: one
-- becomes one for each cell of the grid (a split), many become one (a merge).
CREATE TABLE privacy_scan.split_states (
    partition     regclass PRIMARY KEY,
    parent        regclass    NOT NULL,
    changes       regclass    NOT NULL,
    first_xid     bigint      NOT NULL,
    last_xid      bigint,
    copied_rows   bigint      NOT NULL DEFAULT 0,
    applied       bigint      NOT NULL DEFAULT 0,
    indexes       text,
    phase         text        NOT NULL,
    waiting       text,
    in_background boolean     NOT NULL,
    drops_sources boolean     NOT NULL,
    started_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    switched_at   timestamptz,
    lock_held_ms  double precision,
    lock_tries    integer,
    last_error    text,
    last_error_at timestamptz
);
COMMENT ON TABLE privacy_scan.split_states IS
    'The splits and merges under way and done, one row each, known by its first partition. Read privacy_scan.splits instead; written by what splits, merges and cancels alone. Not dumped: none outlives its database.';

CREATE TABLE privacy_scan.split_sources (
    partition     regclass NOT NULL REFERENCES privacy_scan.split_states ON DELETE CASCADE,
    source        regclass PRIMARY KEY,
    lower         bigint   NOT NULL,
    upper         bigint   NOT NULL,
    file_node     oid      NOT NULL,
    blocks        bigint   NOT NULL DEFAULT 0,
    copied_blocks bigint   NOT NULL DEFAULT 0
);
CREATE INDEX split_sources_partition ON privacy_scan.split_sources (partition);
COMMENT ON TABLE privacy_scan.split_sources IS
    'The partitions that become others, with their bounds on the axis of the key (time keys: microseconds since 2000-01-01 UTC), and how far each is copied.';

CREATE TABLE privacy_scan.split_pieces (
    partition  regclass NOT NULL REFERENCES privacy_scan.split_states ON DELETE CASCADE,
    piece      regclass PRIMARY KEY,
    lower      bigint   NOT NULL,
    upper      bigint   NOT NULL,
    is_indexed boolean  NOT NULL DEFAULT false
);
CREATE INDEX split_pieces_partition ON privacy_scan.split_pieces (partition);
COMMENT ON TABLE privacy_scan.split_pieces IS
    'The tables that they become, with their bounds likewise.';
CREATE TABLE privacy_scan.split_requests (
    parent        regclass    PRIMARY KEY,
    drops_sources boolean     NOT NULL,
    requested_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE privacy_scan.split_requests IS
    'The sets whose job is to bring all partitions to the grid of the policy; written by reshape_partitions(), and gone once all fit.';
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.split_requests', 'WHERE parent::oid IN (SELECT oid FROM pg_catalog.pg_class)');
-- No row of the others is dumped: the axis of the bounds, the transaction IDs and the files are those of this database.
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.split_states', 'WHERE false');
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.split_sources', 'WHERE false');
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.split_pieces', 'WHERE false');

CREATE FUNCTION privacy_scan.capture_change() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_capture_change';
COMMENT ON FUNCTION privacy_scan.capture_change() IS
    'Trigger of a partition that is being split: keeps the keys of rows that change. Made and dropped by the split.';

CREATE TYPE privacy_scan.split_line AS (
    kind    text,
    piece   text,
    lower   text,
    upper   text,
    message text,
    detail  text,
    hint    text
);
COMMENT ON TYPE privacy_scan.split_line IS
    'A line of a plan: kind (piece, note, refusal), for a piece its name and bounds; message, detail and hint.';

CREATE TYPE privacy_scan.split_step AS (
    step         text,
    state        text,
    done         bigint,
    total        bigint,
    milliseconds double precision,
    message      text
);
COMMENT ON TYPE privacy_scan.split_step IS
    'What a call did: the step, its state (done now, under way, waiting, done), how far it is, the time taken now, what is to be known of it.';

CREATE FUNCTION privacy_scan.plan_split(partition regclass)
RETURNS SETOF privacy_scan.split_line
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_plan_split';
COMMENT ON FUNCTION privacy_scan.plan_split(regclass) IS
    'What split_partition() would do, changing nothing: the pieces with their bounds, the disk that it needs, and every reason why not.';
REVOKE EXECUTE ON FUNCTION privacy_scan.plan_split(regclass) FROM PUBLIC;

CREATE FUNCTION privacy_scan.plan_merge(partitions regclass[])
RETURNS SETOF privacy_scan.split_line
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_plan_merge';
COMMENT ON FUNCTION privacy_scan.plan_merge(regclass[]) IS
    'What merge_partitions() would do, changing nothing: the piece with its bounds, the disk that it needs, and every reason why not.';
REVOKE EXECUTE ON FUNCTION privacy_scan.plan_merge(regclass[]) FROM PUBLIC;

CREATE FUNCTION privacy_scan.split_partition(partition regclass, background boolean DEFAULT false, drop_sources boolean DEFAULT false)
RETURNS SETOF privacy_scan.split_step
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_split_partition';
COMMENT ON FUNCTION privacy_scan.split_partition(regclass, boolean, boolean) IS
    'Splits a partition into those of its set''s grid: begins at the first call, does the next step at each. background: leaves all steps but the first to the set''s job. drop_sources: drops the old partition in the end. CALL privacy_scan.run_split() goes on to the end.';
REVOKE EXECUTE ON FUNCTION privacy_scan.split_partition(regclass, boolean, boolean) FROM PUBLIC;

CREATE FUNCTION privacy_scan.merge_partitions(partitions regclass[], background boolean DEFAULT false, drop_sources boolean DEFAULT false)
RETURNS SETOF privacy_scan.split_step
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_merge_partitions';
COMMENT ON FUNCTION privacy_scan.merge_partitions(regclass[], boolean, boolean) IS
    'Merges adjacent partitions of a set into one: begins at the first call, does the next step at each. background and drop_sources as in split_partition(). CALL privacy_scan.run_merge() goes on to the end.';
REVOKE EXECUTE ON FUNCTION privacy_scan.merge_partitions(regclass[], boolean, boolean) FROM PUBLIC;

CREATE PROCEDURE privacy_scan.run_split(partition regclass, drop_sources boolean DEFAULT false)
LANGUAGE c
AS 'MODULE_PATHNAME', 'ps_run_split';
COMMENT ON PROCEDURE privacy_scan.run_split(regclass, boolean) IS
    'Splits a partition, a transaction for each step; begins a split or goes on with one. Rests between batches so that privacy_scan.split_rate is kept.';
REVOKE EXECUTE ON PROCEDURE privacy_scan.run_split(regclass, boolean) FROM PUBLIC;

CREATE PROCEDURE privacy_scan.run_merge(partitions regclass[], drop_sources boolean DEFAULT false)
LANGUAGE c
AS 'MODULE_PATHNAME', 'ps_run_merge';
COMMENT ON PROCEDURE privacy_scan.run_merge(regclass[], boolean) IS
    'Merges adjacent partitions into one, a transaction for each step; begins a merge or goes on with one. Rests between batches so that privacy_scan.split_rate is kept.';
REVOKE EXECUTE ON PROCEDURE privacy_scan.run_merge(regclass[], boolean) FROM PUBLIC;

CREATE FUNCTION privacy_scan.plan_reshape(relation regclass)
RETURNS TABLE (step bigint, sources regclass[], lower text, upper text)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_plan_reshape';
COMMENT ON FUNCTION privacy_scan.plan_reshape(regclass) IS
    'What reshape_partitions() would do, changing nothing: a row for each partition to be made, with its bounds and the partitions that it and the others of its step are made of.';
REVOKE EXECUTE ON FUNCTION privacy_scan.plan_reshape(regclass) FROM PUBLIC;

CREATE FUNCTION privacy_scan.reshape_partitions(relation regclass, drop_sources boolean DEFAULT false)
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_reshape_partitions';
COMMENT ON FUNCTION privacy_scan.reshape_partitions(regclass, boolean) IS
    'Has the set''s job split and merge existing partitions until all fit the grid of the policy, after a change of its interval. Returns the number of stretches that don''t fit now.';
REVOKE EXECUTE ON FUNCTION privacy_scan.reshape_partitions(regclass, boolean) FROM PUBLIC;

CREATE FUNCTION privacy_scan.cancel_reshape(relation regclass)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_cancel_reshape';
COMMENT ON FUNCTION privacy_scan.cancel_reshape(regclass) IS
    'Takes back what reshape_partitions() asked for; a split or merge that has begun goes on. False where nothing was asked for.';
REVOKE EXECUTE ON FUNCTION privacy_scan.cancel_reshape(regclass) FROM PUBLIC;

CREATE FUNCTION privacy_scan.cancel_split(partition regclass)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_cancel_split';
COMMENT ON FUNCTION privacy_scan.cancel_split(regclass) IS
    'Ends a split, or a merge that the partition takes part in, before its switch: triggers, copies and notes are dropped, and the partitions are as they were.';
REVOKE EXECUTE ON FUNCTION privacy_scan.cancel_split(regclass) FROM PUBLIC;

CREATE VIEW privacy_scan.splits WITH (security_barrier) AS
SELECT s.partition, s.parent, o.sources, (SELECT count(*) FROM privacy_scan.split_pieces p WHERE p.partition = s.partition) AS pieces,
       s.phase AS step, o.done, o.total, s.copied_rows, s.applied,
       CASE WHEN s.phase = 'copy' THEN s.copied_rows / nullif(extract(epoch FROM clock_timestamp() - s.started_at), 0) END AS rows_per_second,
       s.in_background, s.waiting, s.started_at AS since, s.switched_at, s.lock_held_ms, s.lock_tries, s.last_error, s.last_error_at
FROM privacy_scan.split_states s
-- The owner of what is left of the set, or else of what was made.
JOIN LATERAL (SELECT (array_agg(c.relowner ORDER BY m.place))[1] AS owner, bool_or(m.place > 1) AS is_made
              FROM (SELECT s.parent::oid, 1 UNION ALL SELECT s.changes, 2
                    UNION ALL SELECT p.piece, 3 FROM privacy_scan.split_pieces p WHERE p.partition = s.partition) m (relid, place)
              JOIN pg_class c ON c.oid = m.relid) r ON pg_has_role(r.owner, 'USAGE'),
LATERAL (SELECT count(*) AS sources, sum(b.copied_blocks)::bigint AS done, sum(b.blocks)::bigint AS total, bool_or(c.oid IS NOT NULL) AS is_there
         FROM privacy_scan.split_sources b LEFT JOIN pg_class c ON c.oid = b.source WHERE b.partition = s.partition) o
WHERE o.is_there OR s.phase <> 'done' AND r.is_made;
COMMENT ON VIEW privacy_scan.splits IS
    'The splits and merges of the reader''s own sets: the first source and how many, pieces, next step, blocks copied and of all, changes applied since, whom it waits for, last error, time that the switch held its strong locks. After the switch the sources are copies that nobody reads: drop them when you like.';
GRANT SELECT ON privacy_scan.splits TO PUBLIC;
