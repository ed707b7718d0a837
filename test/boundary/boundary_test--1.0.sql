\echo Use "CREATE EXTENSION boundary_test" to load this file. \quit

CREATE FUNCTION boundary.raise(kind text, depth integer) RETURNS integer
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bt_raise';
CREATE FUNCTION boundary.live() RETURNS integer
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bt_live';
CREATE FUNCTION boundary.context_bytes() RETURNS bigint
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bt_context_bytes';
CREATE FUNCTION boundary.top_bytes() RETURNS bigint
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bt_top_bytes';
CREATE FUNCTION boundary.resident_bytes() RETURNS bigint
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bt_resident_bytes';
CREATE FUNCTION boundary.starved() RETURNS integer
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bt_starved';
CREATE FUNCTION boundary.swallow(kind text, times integer DEFAULT 1) RETURNS text
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bt_swallow';
CREATE FUNCTION boundary.scope(scope text, relation regclass, kind text, times integer DEFAULT 1) RETURNS text
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bt_scope';
CREATE FUNCTION boundary.escape(scope text, relation regclass, kind text) RETURNS text
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bt_escape';
CREATE FUNCTION boundary.caught_error(scope text, relation regclass, kind text) RETURNS text
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bt_caught_error';
CREATE FUNCTION boundary.as_owner(relation regclass, OUT moment text, OUT state text) RETURNS SETOF record
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bt_as_owner';
CREATE FUNCTION boundary.rows(kind text) RETURNS text
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bt_rows';
CREATE FUNCTION boundary.writes(relation regclass, kind text) RETURNS text
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bt_writes';
CREATE PROCEDURE boundary.commit_as(relation regclass)
  LANGUAGE c AS 'MODULE_PATHNAME', 'bt_commit_as';
CREATE FUNCTION boundary.columns(count integer, OUT a text, OUT b text) RETURNS SETOF record
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bt_columns';
CREATE FUNCTION boundary.relation_of(relid oid) RETURNS text
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bt_relation_of';
CREATE FUNCTION boundary.with_lock(relation regclass) RETURNS text
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'bt_with_lock';

-- The report of a failing call as a handler sees it. A long message is cut.
CREATE FUNCTION boundary.report(
  call text, OUT code text, OUT message text, OUT detail text, OUT hint text, OUT context text)
LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE call;
  message := 'no error';
EXCEPTION WHEN OTHERS OR query_canceled THEN
  GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
    detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
  message := left(message, 60);
END $$;
