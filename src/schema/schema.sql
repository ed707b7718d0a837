-- schema: the extension's own schema.
CREATE SCHEMA privacy_scan;
COMMENT ON SCHEMA privacy_scan IS 'privacy_scan: partitions, family retention, archives. See privacy_scan.health().';
GRANT USAGE ON SCHEMA privacy_scan TO PUBLIC;

