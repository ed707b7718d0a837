-- archive_file: archive tables as compressed CSV files, proven equal, and the way back.
CREATE TABLE privacy_scan.archive_file_ledger (
    id          bigint PRIMARY KEY,
    exported_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    target      text   NOT NULL,
    leaf        text   NOT NULL,
    file        text   NOT NULL,
    manifest    text   NOT NULL,
    rows        bigint NOT NULL,
    digest      text   NOT NULL,
    file_bytes  bigint NOT NULL,
    sha256      text   NOT NULL,
    encoding    text   NOT NULL
);
COMMENT ON TABLE privacy_scan.archive_file_ledger IS
    'The archive files, one row an exported partition; id as in privacy_scan.archives. Read privacy_scan.archive_files instead.';
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.archive_file_ledger', '');

CREATE VIEW privacy_scan.archive_files WITH (security_barrier) AS
SELECT f.id, f.exported_at, f.target AS archive, f.leaf, f.file, f.manifest, f.rows, f.digest, f.file_bytes, f.sha256,
       f.encoding
FROM privacy_scan.archive_file_ledger f
JOIN privacy_scan.archives a ON a.id = f.id;
COMMENT ON VIEW privacy_scan.archive_files IS
    'The archive files of archives that the reader may see: names in privacy_scan.archive_directory, rows and their digest, size and SHA-256.';
GRANT SELECT ON privacy_scan.archive_files TO PUBLIC;

CREATE FUNCTION privacy_scan.export_archive(id bigint)
RETURNS TABLE (file text, rows bigint, file_bytes bigint, digest text, sha256 text)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_export_archive';
COMMENT ON FUNCTION privacy_scan.export_archive(bigint) IS
    'Writes the partition that a row of privacy_scan.archives is about into a compressed CSV file with a manifest, reads the file back and compares its rows with the table and the ledger. The table stays.';
REVOKE EXECUTE ON FUNCTION privacy_scan.export_archive(bigint) FROM PUBLIC;

CREATE FUNCTION privacy_scan.verify_file(id bigint)
RETURNS TABLE (file text, state text, detail text)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_verify_file';
COMMENT ON FUNCTION privacy_scan.verify_file(bigint) IS
    'Reads an archive file and compares it with the ledger: ok, DIFFERENT, MISSING or UNREADABLE.';
REVOKE EXECUTE ON FUNCTION privacy_scan.verify_file(bigint) FROM PUBLIC;

CREATE FUNCTION privacy_scan.restore_file(id bigint, "into" regclass)
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_restore_file';
COMMENT ON FUNCTION privacy_scan.restore_file(bigint, regclass) IS
    'Inserts the rows of an archive file into a relation of the caller''s, columns by name, and compares the digest of what was inserted; returns their number.';
REVOKE EXECUTE ON FUNCTION privacy_scan.restore_file(bigint, regclass) FROM PUBLIC;
