-- archive_file: archive tables as compressed CSV files, proven equal, and the way back.
CREATE VIEW privacy_scan.archive_files WITH (security_barrier) AS
SELECT f.id, f.exported_at, f.target AS archive, f.leaf, f.file, f.manifest, f.rows, f.digest, f.file_bytes, f.sha256,
       f.encoding, f.confirmed_at, f.confirmed_by, f.removed_at, f.recalled_at, f.state, f.since AS state_since, f.checked_at, f.detail
FROM privacy_scan.archive_file_ledger f
JOIN privacy_scan.archives a ON a.id = f.id;
COMMENT ON VIEW privacy_scan.archive_files IS
    'The archive files of archives that the reader may see: names in privacy_scan.archive_directory, rows and their digest, size and SHA-256; when it was confirmed, when the table went, when it came back; state as verify_archive() found it last.';
GRANT SELECT ON privacy_scan.archive_files TO PUBLIC;

CREATE FUNCTION privacy_scan.export_archive(id bigint)
RETURNS TABLE (file text, rows bigint, file_bytes bigint, digest text, sha256 text)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_export_archive';
COMMENT ON FUNCTION privacy_scan.export_archive(bigint) IS
    'Writes the partition, or window of batches, that a row of privacy_scan.archives is about into a compressed CSV file with a manifest, reads the file back and compares its rows with the table and the ledger. The table stays.';
REVOKE EXECUTE ON FUNCTION privacy_scan.export_archive(bigint) FROM PUBLIC;

CREATE FUNCTION privacy_scan.confirm_archive(id bigint, sha256 text DEFAULT NULL)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_confirm_archive';
COMMENT ON FUNCTION privacy_scan.confirm_archive(bigint, text) IS
    'Says that the file of an archive has been copied away; with the SHA-256 of the copy, compares it. From then on export_archives() may remove the table. False where it was confirmed already.';
REVOKE EXECUTE ON FUNCTION privacy_scan.confirm_archive(bigint, text) FROM PUBLIC;

CREATE PROCEDURE privacy_scan.export_archives(root regclass DEFAULT NULL)
LANGUAGE c
AS 'MODULE_PATHNAME', 'ps_export_archives';
COMMENT ON PROCEDURE privacy_scan.export_archives(regclass) IS
    'For one root, or all of the caller''s, whose policy makes files: exports what has no file yet, then removes the tables whose files are proven and, unless the policy says otherwise, confirmed; a transaction each.';
REVOKE EXECUTE ON PROCEDURE privacy_scan.export_archives(regclass) FROM PUBLIC;

CREATE FUNCTION privacy_scan.verify_archive(id bigint DEFAULT NULL)
RETURNS TABLE (archive text, leaf text, rows bigint, found_rows bigint, state text, detail text, file text)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_verify_archive';
COMMENT ON FUNCTION privacy_scan.verify_archive(bigint) IS
    'Reads an archive, that of a row of privacy_scan.archives or all of the caller''s, tables and files, and compares rows and digest with the ledger, files with their SHA-256: ok, DIFFERENT, MISSING, UNREADABLE, or changing where batches kept coming.';
REVOKE EXECUTE ON FUNCTION privacy_scan.verify_archive(bigint) FROM PUBLIC;

CREATE FUNCTION privacy_scan.check_archives()
RETURNS TABLE (archive text, leaf text, rows bigint, found_rows bigint, state text, detail text, file text)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT * FROM privacy_scan.verify_archive() v WHERE v.state <> 'ok' $$;
COMMENT ON FUNCTION privacy_scan.check_archives() IS
    'verify_archive() of all of the caller''s archives: those that are not ok. No row: all are.';
REVOKE EXECUTE ON FUNCTION privacy_scan.check_archives() FROM PUBLIC;

CREATE FUNCTION privacy_scan.restore_file(id bigint, "into" regclass DEFAULT NULL, condition text DEFAULT NULL)
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_restore_file';
COMMENT ON FUNCTION privacy_scan.restore_file(bigint, regclass, text) IS
    'Brings the rows of an archive file back: into a relation of the caller''s, columns by name, all or those that meet a condition, or, without one, as a table of the archive again, from which restore_archive() takes families; compares the digest of what was inserted; returns their number.';
REVOKE EXECUTE ON FUNCTION privacy_scan.restore_file(bigint, regclass, text) FROM PUBLIC;

CREATE FUNCTION privacy_scan.restore_archive(id bigint, "into" regclass DEFAULT NULL, roots text[] DEFAULT NULL, key_from text DEFAULT NULL,
    key_to text DEFAULT NULL)
RETURNS SETOF privacy_scan.retention_action
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_restore_archive_entry';
COMMENT ON FUNCTION privacy_scan.restore_archive(bigint, regclass, text[], text, text) IS
    'Brings back what a row of privacy_scan.archives is about: the families of its roots into the live relations, whole partitions without copying where there is room; into its archive, a file as the table that it was, a detached partition to stay; or copies of its rows into a table of the caller''s. All of them, or those of roots with these ids, or keys in this range; digests compared.';
REVOKE EXECUTE ON FUNCTION privacy_scan.restore_archive(bigint, regclass, text[], text, text) FROM PUBLIC;

CREATE TABLE privacy_scan.archive_drill_log (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    drilled_at   timestamptz      NOT NULL DEFAULT clock_timestamp(),
    archive      bigint           NOT NULL,
    target       text             NOT NULL,
    leaf         text             NOT NULL,
    place        text             NOT NULL,
    rows         bigint           NOT NULL,
    found_rows   bigint,
    state        text             NOT NULL,
    detail       text,
    milliseconds double precision NOT NULL
);
CREATE INDEX archive_drill_log_of_archive ON privacy_scan.archive_drill_log (target, leaf, id);
COMMENT ON TABLE privacy_scan.archive_drill_log IS
    'How restore drills went, one row each. Read privacy_scan.archive_drills instead. archive: the first row of the ledger about the table.';
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.archive_drill_log', '');
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.archive_drill_log_id_seq', '');

CREATE VIEW privacy_scan.archive_drills WITH (security_barrier) AS
SELECT d.id, d.drilled_at, d.archive AS archive_id, d.target AS archive, nullif(d.leaf, '') AS leaf, d.place, d.rows, d.found_rows,
       d.state, d.detail, d.milliseconds
FROM privacy_scan.archive_drill_log d
JOIN privacy_scan.archives a ON a.id = d.archive;
COMMENT ON VIEW privacy_scan.archive_drills IS
    'How restore drills of archives that the reader may see went: archive_id as in privacy_scan.archives; place: where the rows were taken from, table or file; rows by the ledger and those that came back, state as verify_archive() says it, time taken.';
GRANT SELECT ON privacy_scan.archive_drills TO PUBLIC;

CREATE FUNCTION privacy_scan.drill_archive(id bigint)
RETURNS TABLE (archive text, leaf text, place text, rows bigint, found_rows bigint, state text, detail text, milliseconds double precision)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_drill_archive';
COMMENT ON FUNCTION privacy_scan.drill_archive(bigint) IS
    'Brings an archive back into a scratch table, from its file where there is one, compares rows and digest with the ledger, drops the scratch table, and notes the outcome in privacy_scan.archive_drills: ok, DIFFERENT, MISSING, UNREADABLE, or changing where batches kept coming.';
REVOKE EXECUTE ON FUNCTION privacy_scan.drill_archive(bigint) FROM PUBLIC;
