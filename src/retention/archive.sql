-- retention: what the archives hold, whether it is still as it was, and the way back.
CREATE TABLE privacy_scan.archive_checks (
    target     text        NOT NULL,
    leaf       text        NOT NULL,
    state      text        NOT NULL,
    since      timestamptz NOT NULL,
    checked_at timestamptz NOT NULL,
    detail     text,
    PRIMARY KEY (target, leaf)
);
COMMENT ON TABLE privacy_scan.archive_checks IS
    'What verify_archive() found last, one row an archive table or partition. Read privacy_scan.archives instead.';
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.archive_checks', '');

CREATE TABLE privacy_scan.archive_windows (
    id        bigint GENERATED ALWAYS AS IDENTITY,
    target    text        NOT NULL,
    leaf      text        PRIMARY KEY,
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at timestamptz
);
COMMENT ON TABLE privacy_scan.archive_windows IS
    'The tables that take the rows of batches until they go on as files, one row each; at most one an archive is open.';
CREATE UNIQUE INDEX archive_windows_open ON privacy_scan.archive_windows (target) WHERE closed_at IS NULL;
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.archive_windows', '');
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.archive_windows_id_seq', '');

CREATE TABLE privacy_scan.archive_file_ledger (
    target       text        NOT NULL,
    leaf         text        NOT NULL,
    id           bigint      NOT NULL,
    exported_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    file         text        NOT NULL,
    manifest     text        NOT NULL,
    rows         bigint      NOT NULL,
    digest       text        NOT NULL,
    file_bytes   bigint      NOT NULL,
    sha256       text        NOT NULL,
    encoding     text        NOT NULL,
    confirmed_at timestamptz,
    confirmed_by text,
    removed_at   timestamptz,
    recalled_at  timestamptz,
    state        text        NOT NULL,
    since        timestamptz NOT NULL DEFAULT clock_timestamp(),
    checked_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    detail       text,
    PRIMARY KEY (target, leaf)
);
COMMENT ON TABLE privacy_scan.archive_file_ledger IS
    'The archive files, one row a table of an archive that was exported. Read privacy_scan.archive_files instead. removed_at: when the table went; recalled_at: when restore_file() brought it back.';
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.archive_file_ledger', '');

CREATE TABLE privacy_scan.detached_tables (
    target      text        NOT NULL,
    leaf        text        NOT NULL,
    root        regclass    NOT NULL,
    detached_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    dropped_at  timestamptz,
    PRIMARY KEY (target, leaf)
);
COMMENT ON TABLE privacy_scan.detached_tables IS
    'The tables of policies that detach, partitions that went whole and those that took the rows of batches, one row each. Read privacy_scan.detached_leaves instead. detached_at: when the last rows came; dropped_at: when the grace period had ended.';
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.detached_tables',
    'WHERE root::oid IN (SELECT oid FROM pg_catalog.pg_class)');

CREATE TABLE privacy_scan.archive_file_trash (
    file  text        PRIMARY KEY,
    xact  text        NOT NULL DEFAULT pg_current_xact_id()::text,
    since timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE privacy_scan.archive_file_trash IS
    'Files that an erasure replaced and removes once it has committed; a row that stays was left by a crash, and the next call removes its file.';
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.archive_file_trash', '');

CREATE TABLE privacy_scan.erasure_missing (
    erasure   bigint NOT NULL,
    target    text   NOT NULL,
    leaf      text   NOT NULL,
    file      text   NOT NULL,
    key       text   NOT NULL,
    hashes    text[] NOT NULL,
    erased_at timestamptz,
    PRIMARY KEY (erasure, target, leaf, key)
);
CREATE INDEX erasure_missing_of_archive ON privacy_scan.erasure_missing (target, leaf) WHERE erased_at IS NULL;
COMMENT ON TABLE privacy_scan.erasure_missing IS
    'Archive files that erasures passed over since they were missing, and by which rows of them are known that must go: SHA-256 of values of the column key, as text. Read privacy_scan.erasure_missing_files instead. erased_at: when a file that came back had lost them.';
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.erasure_missing', '');

CREATE VIEW privacy_scan.archives WITH (security_barrier) AS
SELECT a.id, a.archived_at, a.root_name AS root, a.source AS relation, nullif(a.target, '') AS archive, a.rows, a.bytes, a.digest,
       a.key_from, a.key_to, a.cutoff, nullif(a.leaf, '') AS leaf, a.action,
       CASE WHEN f.removed_at IS NOT NULL THEN f.state WHEN a.rows IS NULL THEN coalesce(c.state, 'unproven') ELSE c.state END AS state,
       CASE WHEN f.removed_at IS NOT NULL THEN f.since WHEN a.rows IS NULL THEN coalesce(c.since, a.archived_at) ELSE c.since END AS state_since,
       CASE WHEN f.removed_at IS NULL THEN c.checked_at ELSE f.checked_at END AS checked_at,
       f.file, CASE WHEN a.action = 'discard' THEN 'none' WHEN f.removed_at IS NOT NULL THEN 'file' WHEN d.dropped_at IS NOT NULL THEN 'none'
            WHEN d.leaf IS NOT NULL THEN 'detached' WHEN f.file IS NOT NULL THEN 'table and file' ELSE 'table' END AS place
FROM privacy_scan.archive_ledger a
LEFT JOIN privacy_scan.archive_checks c ON c.target = a.target AND c.leaf = a.leaf
LEFT JOIN privacy_scan.archive_file_ledger f ON f.target = a.target AND f.leaf = a.leaf
LEFT JOIN privacy_scan.detached_tables d ON d.target = a.target AND d.leaf = a.leaf
LEFT JOIN pg_class r ON r.oid = a.relation
WHERE pg_has_role(coalesce(r.relowner, 10::oid), 'USAGE') OR has_table_privilege(r.oid, 'SELECT');
COMMENT ON VIEW privacy_scan.archives IS
    'The ledger: what was archived, restored, erased, dropped or discarded (action), when, one row a relation and batch: rows, logical bytes, range of the root''s keys, digest at the source, which was equal to that of what was inserted; leaf: the partition that went whole, as it is called in the archive, counted there; state: what verify_archive() found last, since when, and when it looked, or unproven: a partition that went whole, whose rows were not counted yet (rows, bytes and digest are NULL); file: its file, place: table, file, or both; detached, until its grace period has ended; none.';
GRANT SELECT ON privacy_scan.archives TO PUBLIC;

CREATE VIEW privacy_scan.archive_balances WITH (security_barrier) AS
SELECT a.target, a.leaf, min(a.id) AS id, min(a.source) AS source, bool_or(a.relation = a.root) AS is_root,
       CASE WHEN bool_and(a.rows IS NOT NULL) THEN sum(CASE a.action WHEN 'archive' THEN a.rows ELSE -a.rows END)::bigint END AS rows,
       CASE WHEN bool_and(a.rows IS NOT NULL) THEN sum(CASE a.action WHEN 'archive' THEN a.bytes ELSE -a.bytes END)::bigint END AS bytes
FROM privacy_scan.archive_ledger a WHERE a.action <> 'discard' GROUP BY a.target, a.leaf;
COMMENT ON VIEW privacy_scan.archive_balances IS
    'What each archive, or table of one, should hold by the ledger: what came, less what was restored, erased or dropped; NULL: a part was not counted yet. For the extension''s own use.';

CREATE VIEW privacy_scan.detached_leaves WITH (security_barrier) AS
SELECT min(a.id) AS id, (array_agg(a.root ORDER BY a.id DESC))[1] AS root, (array_agg(a.relation ORDER BY a.id DESC))[1] AS relation,
       a.archive, a.leaf, b.rows,
       d.detached_at, (d.detached_at AT TIME ZONE 'UTC' + p.grace) AT TIME ZONE 'UTC' AS drop_after
FROM privacy_scan.archives a
JOIN privacy_scan.detached_tables d ON d.target = a.archive AND d.leaf = a.leaf AND d.dropped_at IS NULL
JOIN privacy_scan.archive_balances b ON b.target = d.target AND b.leaf = d.leaf
LEFT JOIN privacy_scan.retention_rules p ON p.root = d.root
GROUP BY a.archive, a.leaf, b.rows, d.detached_at, p.grace;
COMMENT ON VIEW privacy_scan.detached_leaves IS
    'What policies that detach have left standing: partitions that went whole, and the tables with the rows of batches; drop_after: from when on a run of retention drops it, NULL where the policy is gone or does not detach any more.';
GRANT SELECT ON privacy_scan.detached_leaves TO PUBLIC;

CREATE FUNCTION privacy_scan.restore_archive(root regclass, ids text[])
RETURNS SETOF privacy_scan.retention_action
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_restore_archive_ids';
COMMENT ON FUNCTION privacy_scan.restore_archive(regclass, text[]) IS
    'Moves the archived families of these roots back into the live relations, parents first, digests compared, in the caller''s transaction; one row a relation.';
REVOKE EXECUTE ON FUNCTION privacy_scan.restore_archive(regclass, text[]) FROM PUBLIC;

CREATE FUNCTION privacy_scan.restore_archive(root regclass, condition text)
RETURNS SETOF privacy_scan.retention_action
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_restore_archive';
COMMENT ON FUNCTION privacy_scan.restore_archive(regclass, text) IS
    'Moves the archived families whose root meets the condition back into the live relations, parents first, digests compared, in the caller''s transaction; one row a relation.';
REVOKE EXECUTE ON FUNCTION privacy_scan.restore_archive(regclass, text) FROM PUBLIC;

CREATE FUNCTION privacy_scan.archived_rows(base anyelement, condition text DEFAULT NULL)
RETURNS SETOF anyelement
LANGUAGE c STABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_archived_rows';
COMMENT ON FUNCTION privacy_scan.archived_rows(anyelement, text) IS
    'Live rows and those of table archives as one, each once, with the caller''s rights: SELECT * FROM privacy_scan.archived_rows(NULL::"Evidence", ''"scanId" = $$x$$''). Archives in files are not read; a NOTICE counts them.';
REVOKE EXECUTE ON FUNCTION privacy_scan.archived_rows(anyelement, text) FROM PUBLIC;

CREATE FUNCTION privacy_scan.archived_rows_query(relation regclass, condition text DEFAULT NULL)
RETURNS text
LANGUAGE c STABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_archived_rows_query';
COMMENT ON FUNCTION privacy_scan.archived_rows_query(regclass, text) IS
    'The query that archived_rows() runs at this moment, for EXPLAIN or a view of yours.';
REVOKE EXECUTE ON FUNCTION privacy_scan.archived_rows_query(regclass, text) FROM PUBLIC;
