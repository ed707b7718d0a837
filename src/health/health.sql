-- health: what is active and what to do next.
CREATE FUNCTION privacy_scan.health(
    OUT component text, OUT status text, OUT detail text, OUT next_step text)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'ps_health';
COMMENT ON FUNCTION privacy_scan.health() IS
    'What is active, which versions of library and SQL are installed, and what to do next: one row a component.';

