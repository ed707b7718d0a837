-- worker: who runs the jobs by itself.
CREATE FUNCTION privacy_scan.list_workers()
RETURNS TABLE (
    kind text, pid integer, database text, state text, last_start timestamptz, last_tick timestamptz, next_start timestamptz,
    detail text)
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'ps_list_workers';
COMMENT ON FUNCTION privacy_scan.list_workers() IS
    'The launcher and the databases that it visits, as the view workers shows them.';

CREATE VIEW privacy_scan.workers AS SELECT * FROM privacy_scan.list_workers();
COMMENT ON VIEW privacy_scan.workers IS
    'The launcher, with its last tick, and each database that it visits: state (idle, starting, running), last and next visit, and what was found there, such as that pg_cron runs the jobs. No row: the library is not preloaded.';
GRANT SELECT ON privacy_scan.workers TO PUBLIC;

