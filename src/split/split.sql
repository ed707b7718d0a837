-- split: a partition that holds many cells of its set's grid becomes one partition for each, while its rows are
-- read and written.
CREATE TABLE privacy_scan.split_states (
    partition     regclass PRIMARY KEY,
    parent        regclass    NOT NULL,
    changes       regclass    NOT NULL,
    file_node     oid         NOT NULL,
    first_xid     bigint      NOT NULL,
    last_xid      bigint,
    blocks        bigint      NOT NULL,
    copied_blocks bigint      NOT NULL DEFAULT 0,
    copied_rows   bigint      NOT NULL DEFAULT 0,
    applied       bigint      NOT NULL DEFAULT 0,
    indexes       text,
    phase         text        NOT NULL,
    started_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    switched_at   timestamptz,
    lock_held_ms  double precision,
    lock_tries    integer,
    last_error    text,
    last_error_at timestamptz
);
COMMENT ON TABLE privacy_scan.split_states IS
    'The splits under way and done, one row a partition. Read privacy_scan.splits instead; written by split_partition(), run_split() and cancel_split() alone. Not dumped: a split does not outlive its database.';

CREATE TABLE privacy_scan.split_pieces (
    partition  regclass NOT NULL REFERENCES privacy_scan.split_states ON DELETE CASCADE,
    piece      regclass PRIMARY KEY,
    lower      bigint   NOT NULL,
    upper      bigint   NOT NULL,
    is_indexed boolean  NOT NULL DEFAULT false
);
CREATE INDEX split_pieces_partition ON privacy_scan.split_pieces (partition);
COMMENT ON TABLE privacy_scan.split_pieces IS
    'The tables that a partition is split into, with their bounds on the axis of the key (time keys: microseconds since 2000-01-01 UTC).';

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

CREATE FUNCTION privacy_scan.split_partition(partition regclass)
RETURNS SETOF privacy_scan.split_step
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_split_partition';
COMMENT ON FUNCTION privacy_scan.split_partition(regclass) IS
    'Splits a partition into those of its set''s grid: begins at the first call, does the next step at each. CALL privacy_scan.run_split() goes on to the end.';
REVOKE EXECUTE ON FUNCTION privacy_scan.split_partition(regclass) FROM PUBLIC;

CREATE PROCEDURE privacy_scan.run_split(partition regclass)
LANGUAGE c
AS 'MODULE_PATHNAME', 'ps_run_split';
COMMENT ON PROCEDURE privacy_scan.run_split(regclass) IS
    'Splits a partition, a transaction for each step; begins a split or goes on with one. Rests between batches so that privacy_scan.split_rate is kept.';
REVOKE EXECUTE ON PROCEDURE privacy_scan.run_split(regclass) FROM PUBLIC;

CREATE FUNCTION privacy_scan.cancel_split(partition regclass)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_cancel_split';
COMMENT ON FUNCTION privacy_scan.cancel_split(regclass) IS
    'Ends a split before its switch: trigger, copies and notes are dropped, and the partition is as it was.';
REVOKE EXECUTE ON FUNCTION privacy_scan.cancel_split(regclass) FROM PUBLIC;

CREATE VIEW privacy_scan.splits WITH (security_barrier) AS
SELECT s.partition, s.parent, s.phase AS step, s.copied_blocks AS done, s.blocks AS total, s.copied_rows, s.applied,
       CASE WHEN s.phase = 'copy' THEN s.copied_rows / nullif(extract(epoch FROM clock_timestamp() - s.started_at), 0) END AS rows_per_second,
       (SELECT count(*) FROM privacy_scan.split_pieces p WHERE p.partition = s.partition) AS pieces,
       s.started_at AS since, s.switched_at, s.lock_held_ms, s.lock_tries, s.last_error, s.last_error_at
FROM privacy_scan.split_states s
JOIN pg_class r ON r.oid = s.partition AND pg_has_role(r.relowner, 'USAGE');
COMMENT ON VIEW privacy_scan.splits IS
    'The splits of the reader''s own partitions: next step, blocks copied and of all, changes applied since, last error, time that the switch held its strong locks. After the switch the partition is a copy that nobody reads: drop it when you like.';
GRANT SELECT ON privacy_scan.splits TO PUBLIC;
