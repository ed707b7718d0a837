-- index: an index on a table or a whole partition set, online and resumable.
CREATE PROCEDURE privacy_scan.run_index(
    relation regclass, columns text[], is_unique boolean DEFAULT false, method text DEFAULT 'btree')
LANGUAGE c
AS 'MODULE_PATHNAME', 'ps_run_index';
COMMENT ON PROCEDURE privacy_scan.run_index(regclass, text[], boolean, text) IS
    'Builds an index on a table or a whole partition set while reads and writes go on, leaf by leaf; goes on where an earlier run was interrupted, and does nothing where the index is there. A NOTICE per step.';
REVOKE EXECUTE ON PROCEDURE privacy_scan.run_index(regclass, text[], boolean, text) FROM PUBLIC;
