-- erase: the right to erasure, across live rows, table archives and files.
CREATE TABLE privacy_scan.erasure_ledger (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    root       regclass    NOT NULL,
    root_name  text        NOT NULL,
    erased_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    erased_by  text        NOT NULL,
    reason     text        NOT NULL,
    roots      bigint      NOT NULL,
    ids_sha256 text[]      NOT NULL
);
COMMENT ON TABLE privacy_scan.erasure_ledger IS
    'The erasures, one row a call of erase() that found something; never the content. Read privacy_scan.erasures instead. ids_sha256: of the roots'' ids as text.';
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.erasure_ledger', '');
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.erasure_ledger_id_seq', '');

CREATE TABLE privacy_scan.erasure_counts (
    erasure  bigint NOT NULL,
    relation text   NOT NULL,
    place    text   NOT NULL CHECK (place IN ('live', 'table archive', 'file')),
    rows     bigint NOT NULL,
    bytes    bigint NOT NULL,
    PRIMARY KEY (erasure, relation, place)
);
COMMENT ON TABLE privacy_scan.erasure_counts IS
    'How many rows an erasure took from which relation, by the kind of place where they lay. Read privacy_scan.erasures instead.';
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.erasure_counts', '');

CREATE VIEW privacy_scan.erasures WITH (security_barrier) AS
SELECT e.id, e.erased_at, e.root_name AS root, e.roots, c.relation, c.place, c.rows, c.bytes, e.reason, e.erased_by, e.ids_sha256
FROM privacy_scan.erasure_ledger e
JOIN privacy_scan.erasure_counts c ON c.erasure = e.id
LEFT JOIN pg_class r ON r.oid = e.root
WHERE pg_has_role(coalesce(r.relowner, 10::oid), 'USAGE') OR has_table_privilege(r.oid, 'SELECT');
COMMENT ON VIEW privacy_scan.erasures IS
    'What was erased, one row an erasure, relation and kind of place (live, table archive, file), for roots that the reader owns or may read: how many rows, when, why, by whom, and the SHA-256 of each root''s id, by which a request can be answered later: encode(sha256(''the id''), ''hex'') = ANY (ids_sha256).';
GRANT SELECT ON privacy_scan.erasures TO PUBLIC;

CREATE VIEW privacy_scan.erasure_missing_files WITH (security_barrier) AS
SELECT DISTINCT e.id AS erasure, e.erased_at AS passed_over_at, e.root_name AS root, m.target AS archive, m.leaf, m.file, m.erased_at
FROM privacy_scan.erasure_missing m
JOIN privacy_scan.erasure_ledger e ON e.id = m.erasure
LEFT JOIN pg_class r ON r.oid = e.root
WHERE pg_has_role(coalesce(r.relowner, 10::oid), 'USAGE') OR has_table_privilege(r.oid, 'SELECT');
COMMENT ON VIEW privacy_scan.erasure_missing_files IS
    'Archive files that erasures passed over since they were missing or damaged, for roots that the reader owns or may read; erased_at: when one had come back whole and an erasure had taken what was to go; NULL: it is not restored before.';
GRANT SELECT ON privacy_scan.erasure_missing_files TO PUBLIC;

CREATE FUNCTION privacy_scan.erase(root regclass, condition text, reason text, dry_run boolean DEFAULT true,
    missing_files text DEFAULT 'refuse')
RETURNS TABLE (place text, relation regclass, archive text, file text, rows bigint, bytes bigint, action text, detail text)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_erase';
COMMENT ON FUNCTION privacy_scan.erase(regclass, text, text, boolean, text) IS
    'Erases the families whose root meets the condition from the live relations, table archives and files, children before parents, in the caller''s transaction; with dry_run, the default, shows what would go. Refuses what is held, and, unless missing_files is ''skip'', where a file is missing or damaged. One row a relation and place.';
REVOKE EXECUTE ON FUNCTION privacy_scan.erase(regclass, text, text, boolean, text) FROM PUBLIC;

CREATE FUNCTION privacy_scan.erase(root regclass, ids text[], reason text, dry_run boolean DEFAULT true,
    missing_files text DEFAULT 'refuse')
RETURNS TABLE (place text, relation regclass, archive text, file text, rows bigint, bytes bigint, action text, detail text)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_erase_ids';
COMMENT ON FUNCTION privacy_scan.erase(regclass, text[], text, boolean, text) IS
    'Erases the families of the roots with these ids from the live relations, table archives and files, children before parents, in the caller''s transaction; with dry_run, the default, shows what would go. Refuses what is held, and, unless missing_files is ''skip'', where a file is missing or damaged. One row a relation and place.';
REVOKE EXECUTE ON FUNCTION privacy_scan.erase(regclass, text[], text, boolean, text) FROM PUBLIC;
