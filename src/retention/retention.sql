-- retention: families, policies, archives and their ledger.
CREATE TYPE privacy_scan.row_set AS (rows bigint, bytes bigint, digest text);
COMMENT ON TYPE privacy_scan.row_set IS
    'A set of rows: their number, logical bytes and order-independent 128-bit digest.';

CREATE FUNCTION privacy_scan.row_digest_add(internal, record) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'ps_row_digest_add';
COMMENT ON FUNCTION privacy_scan.row_digest_add(internal, record) IS 'Transition of row_digest().';
CREATE FUNCTION privacy_scan.row_digest_result(internal) RETURNS privacy_scan.row_set
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'ps_row_digest_result';
COMMENT ON FUNCTION privacy_scan.row_digest_result(internal) IS 'Result of row_digest().';
CREATE FUNCTION privacy_scan.row_digest_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'ps_row_digest_combine';
COMMENT ON FUNCTION privacy_scan.row_digest_combine(internal, internal) IS 'Adds two states of row_digest().';
CREATE FUNCTION privacy_scan.row_digest_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ps_row_digest_serialize';
COMMENT ON FUNCTION privacy_scan.row_digest_serialize(internal) IS 'A state of row_digest() as bytes.';
CREATE FUNCTION privacy_scan.row_digest_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ps_row_digest_deserialize';
COMMENT ON FUNCTION privacy_scan.row_digest_deserialize(bytea, internal) IS 'A state of row_digest() from bytes.';

CREATE AGGREGATE privacy_scan.row_digest(record) (
    SFUNC = privacy_scan.row_digest_add, STYPE = internal,
    FINALFUNC = privacy_scan.row_digest_result, COMBINEFUNC = privacy_scan.row_digest_combine,
    SERIALFUNC = privacy_scan.row_digest_serialize, DESERIALFUNC = privacy_scan.row_digest_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE privacy_scan.row_digest(record) IS
    'Number, logical bytes and order-independent 128-bit digest of whole rows: SELECT (privacy_scan.row_digest(t.*)).* FROM t. Columns count by name; one that is NULL adds nothing. Finds loss and damage; no protection against forgery.';

CREATE TABLE privacy_scan.retention_rules (
    root           regclass PRIMARY KEY,
    key_column     text     NOT NULL,
    keep           interval NOT NULL,
    condition      text,
    archive_schema text,
    key_kind       text,
    archive        text     NOT NULL DEFAULT 'table' CHECK (archive IN ('table', 'file', 'detach', 'discard')),
    remove_after   text     CHECK (remove_after IN ('exported', 'confirmed')),
    grace          interval,
    set_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((archive = 'detach') = (grace IS NOT NULL))
);
COMMENT ON TABLE privacy_scan.retention_rules IS
    'The retention policies, one row a root. Read privacy_scan.retention_policies instead; written by set_retention() and drop_retention() alone. condition: SQL over the alias t, names resolved. set_at: since when it takes what it takes.';
-- A policy whose root was dropped is not dumped: as a bare OID it could come to rule another table.
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.retention_rules',
    'WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = root)');

CREATE TABLE privacy_scan.archive_ledger (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    archived_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    root        regclass    NOT NULL,
    relation    regclass    NOT NULL,
    root_name   text        NOT NULL,
    source      text        NOT NULL,
    target      text        NOT NULL,
    rows        bigint,
    bytes       bigint,
    digest      text,
    key_from    text        NOT NULL,
    key_to      text        NOT NULL,
    cutoff      timestamptz NOT NULL,
    leaf        text        NOT NULL DEFAULT '',
    action      text        NOT NULL DEFAULT 'archive' CHECK (action IN ('archive', 'restore', 'erase', 'drop', 'discard')),
    bounds      text        NOT NULL DEFAULT '',
    key         text        NOT NULL DEFAULT '',
    CHECK (num_nulls(rows, bytes, digest) = CASE WHEN rows IS NULL AND action = 'archive' AND leaf <> '' THEN 3 ELSE 0 END)
);
COMMENT ON TABLE privacy_scan.archive_ledger IS
    'What was archived, restored, erased, dropped at the end of a grace period, or discarded (without target), one row a relation and batch, written in the transaction that moved the rows. Without rows, bytes and digest: a partition that went whole and was not counted yet. What was erased has no range of keys. key: the column, with its type, that the range is of. Read privacy_scan.archives instead.';
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.archive_ledger', '');
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.archive_ledger_id_seq', '');

CREATE TYPE privacy_scan.retention_action AS (
    relation     regclass,
    action       text,
    target       text,
    rows         bigint,
    bytes        bigint,
    lock         text,
    key_from     text,
    key_to       text,
    reason       text,
    milliseconds double precision
);
COMMENT ON TYPE privacy_scan.retention_action IS
    'What a run does, or would do, to one relation: action (archive, archive whole, detach, discard, discard whole, drop, keep, restore, standby), archive, rows, bytes, lock, range of the root''s keys, reason, time taken.';

CREATE FUNCTION privacy_scan.set_retention(
    root regclass, keep interval, key name, condition text DEFAULT NULL, archive text DEFAULT 'table',
    archive_schema name DEFAULT NULL, key_kind text DEFAULT NULL, remove_after text DEFAULT NULL, grace interval DEFAULT NULL,
    confirm boolean DEFAULT false)
RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_set_retention';
COMMENT ON FUNCTION privacy_scan.set_retention(regclass, interval, name, text, text, name, text, text, interval, boolean) IS
    'Sets the retention policy of a root: rows whose key is older than keep, in UTC, and that meet the condition go into archive tables with all that refers to them; with archive => ''file'' the tables become files, and are removed once the files are confirmed, or (remove_after => ''exported'') proven; with ''detach'' what went is dropped when a grace period (30 days) has ended; with ''discard'', which needs confirm => true, nothing is kept. Returns the policy in words.';
REVOKE EXECUTE ON FUNCTION privacy_scan.set_retention(regclass, interval, name, text, text, name, text, text, interval, boolean) FROM PUBLIC;

CREATE FUNCTION privacy_scan.drop_retention(root regclass)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_drop_retention';
COMMENT ON FUNCTION privacy_scan.drop_retention(regclass) IS
    'Forgets a retention policy; archives and ledger stay. True where there was a policy.';
REVOKE EXECUTE ON FUNCTION privacy_scan.drop_retention(regclass) FROM PUBLIC;

CREATE FUNCTION privacy_scan.plan_retention(root regclass, at timestamptz DEFAULT now())
RETURNS SETOF privacy_scan.retention_action
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_plan_retention';
COMMENT ON FUNCTION privacy_scan.plan_retention(regclass, timestamptz) IS
    'What apply_retention() and run_retention() would do at that instant, one row a relation; changes nothing.';
REVOKE EXECUTE ON FUNCTION privacy_scan.plan_retention(regclass, timestamptz) FROM PUBLIC;

CREATE FUNCTION privacy_scan.apply_retention(
    root regclass, at timestamptz DEFAULT now(), max_rows bigint DEFAULT NULL, dry_run boolean DEFAULT true)
RETURNS SETOF privacy_scan.retention_action
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_apply_retention';
COMMENT ON FUNCTION privacy_scan.apply_retention(regclass, timestamptz, bigint, boolean) IS
    'Archives one batch of expired families, up to max_rows rows, in the caller''s transaction; with dry_run, the default, only shows the plan.';
REVOKE EXECUTE ON FUNCTION privacy_scan.apply_retention(regclass, timestamptz, bigint, boolean) FROM PUBLIC;

CREATE PROCEDURE privacy_scan.run_retention(
    root regclass DEFAULT NULL, at timestamptz DEFAULT now(), max_rows bigint DEFAULT NULL, force boolean DEFAULT false,
    confirm boolean DEFAULT false)
LANGUAGE c
AS 'MODULE_PATHNAME', 'ps_run_retention';
COMMENT ON PROCEDURE privacy_scan.run_retention(regclass, timestamptz, bigint, boolean, boolean) IS
    'Archives all that has expired, of one root or of all the caller''s: whole partitions first, then batches, committing each; then ANALYZEs what changed, and counts what went whole. force and confirm let it pass its guards.';
REVOKE EXECUTE ON PROCEDURE privacy_scan.run_retention(regclass, timestamptz, bigint, boolean, boolean) FROM PUBLIC;

CREATE FUNCTION privacy_scan.cleanup_old_scans(retention_days integer DEFAULT 365)
RETURNS integer
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_cleanup_old_scans';
COMMENT ON FUNCTION privacy_scan.cleanup_old_scans(integer) IS
    'For a store with "Scan" on the search_path: archives the finished scans older than so many days, with all their evidence and issues; returns the number of scans.';
REVOKE EXECUTE ON FUNCTION privacy_scan.cleanup_old_scans(integer) FROM PUBLIC;

CREATE VIEW privacy_scan.retention_policies WITH (security_barrier) AS
SELECT p.root, p.key_column AS key, p.keep::text AS keep, p.condition, p.archive, p.archive_schema, p.key_kind, p.remove_after, p.grace::text AS grace
FROM privacy_scan.retention_rules p
JOIN pg_class r ON r.oid = p.root
     AND (pg_has_role(r.relowner, 'USAGE') OR has_table_privilege(r.oid, 'SELECT'));
COMMENT ON VIEW privacy_scan.retention_policies IS
    'The retention policies of roots that the reader owns or may read.';
GRANT SELECT ON privacy_scan.retention_policies TO PUBLIC;
