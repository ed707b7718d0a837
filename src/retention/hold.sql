-- retention: legal holds.
CREATE TABLE privacy_scan.hold_ledger (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    root        regclass    NOT NULL,
    condition   text        NOT NULL,
    reason      text        NOT NULL,
    until       timestamptz,
    held_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    held_by     text        NOT NULL,
    released_at timestamptz,
    released_by text
);
COMMENT ON TABLE privacy_scan.hold_ledger IS
    'Every hold that there ever was on a root that exists, one row each. Read privacy_scan.holds instead; written by hold() and release_hold() alone. condition: SQL over the alias t, names resolved.';
CREATE INDEX hold_ledger_in_force ON privacy_scan.hold_ledger (root) WHERE released_at IS NULL;
-- The hold of a root that was dropped would come back as a bare OID, which may be another's by then.
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.hold_ledger',
    'WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = root)');
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.hold_ledger_id_seq', '');

CREATE FUNCTION privacy_scan.hold(root regclass, condition text, reason text, until timestamptz DEFAULT NULL)
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_hold';
COMMENT ON FUNCTION privacy_scan.hold(regclass, text, text, timestamptz) IS
    'Keeps the rows of a root that meet the condition, with all that refers to them, from every retention until the hold is released or until has passed; returns its id in privacy_scan.holds.';
REVOKE EXECUTE ON FUNCTION privacy_scan.hold(regclass, text, text, timestamptz) FROM PUBLIC;

CREATE FUNCTION privacy_scan.hold(root regclass, ids text[], reason text, until timestamptz DEFAULT NULL)
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_hold_ids';
COMMENT ON FUNCTION privacy_scan.hold(regclass, text[], text, timestamptz) IS
    'Keeps the rows of a root with these ids, with all that refers to them, from every retention until the hold is released or until has passed; returns its id in privacy_scan.holds.';
REVOKE EXECUTE ON FUNCTION privacy_scan.hold(regclass, text[], text, timestamptz) FROM PUBLIC;

CREATE FUNCTION privacy_scan.release_hold(hold bigint)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_release_hold';
COMMENT ON FUNCTION privacy_scan.release_hold(bigint) IS
    'Ends a hold: the next retention takes what has expired meanwhile. False where it had ended.';
REVOKE EXECUTE ON FUNCTION privacy_scan.release_hold(bigint) FROM PUBLIC;

CREATE VIEW privacy_scan.holds WITH (security_barrier) AS
SELECT h.id, h.root, h.condition, h.reason, h.until, h.held_at, h.held_by, h.released_at, h.released_by,
       h.released_at IS NULL AND (h.until IS NULL OR h.until > now()) AS in_force
FROM privacy_scan.hold_ledger h
JOIN pg_class r ON r.oid = h.root
     AND (pg_has_role(r.relowner, 'USAGE') OR has_table_privilege(r.oid, 'SELECT'));
COMMENT ON VIEW privacy_scan.holds IS
    'The holds on roots that the reader owns or may read, past ones too: what they hold, why, until when, by whom, and whether they are in force.';
GRANT SELECT ON privacy_scan.holds TO PUBLIC;
