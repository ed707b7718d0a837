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

CREATE VIEW privacy_scan.archives WITH (security_barrier) AS
SELECT a.id, a.archived_at, a.root_name AS root, a.source AS relation, a.target AS archive, a.rows, a.bytes, a.digest,
       a.key_from, a.key_to, a.cutoff, nullif(a.leaf, '') AS leaf, a.action, c.state, c.since AS state_since, c.checked_at
FROM privacy_scan.archive_ledger a
LEFT JOIN privacy_scan.archive_checks c ON c.target = a.target AND c.leaf = a.leaf
LEFT JOIN pg_class r ON r.oid = a.relation
WHERE pg_has_role(coalesce(r.relowner, 10::oid), 'USAGE') OR has_table_privilege(r.oid, 'SELECT');
COMMENT ON VIEW privacy_scan.archives IS
    'The ledger: what was archived, or restored, when, one row a relation and batch: rows, logical bytes, range of the root''s keys, digest at the source, which was equal to that of what was inserted; leaf: the partition that went whole, as it is called in the archive; state: what verify_archive() found last, since when, and when it looked.';
GRANT SELECT ON privacy_scan.archives TO PUBLIC;

CREATE FUNCTION privacy_scan.verify_archive(id bigint DEFAULT NULL)
RETURNS TABLE (archive text, leaf text, rows bigint, found_rows bigint, state text, detail text)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_verify_archive';
COMMENT ON FUNCTION privacy_scan.verify_archive(bigint) IS
    'Reads an archive, that of a row of privacy_scan.archives or all of the caller''s, and compares rows and digest with the ledger: ok, DIFFERENT, MISSING, UNREADABLE, or changing where batches kept coming.';
REVOKE EXECUTE ON FUNCTION privacy_scan.verify_archive(bigint) FROM PUBLIC;

CREATE FUNCTION privacy_scan.check_archives()
RETURNS TABLE (archive text, leaf text, rows bigint, found_rows bigint, state text, detail text)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT * FROM privacy_scan.verify_archive() v WHERE v.state <> 'ok' $$;
COMMENT ON FUNCTION privacy_scan.check_archives() IS
    'verify_archive() of all of the caller''s archives: those that are not ok. No row: all are.';
REVOKE EXECUTE ON FUNCTION privacy_scan.check_archives() FROM PUBLIC;

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
