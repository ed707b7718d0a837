-- The json room as the catalog shows it: shapes, volatility, costs, comments, who may call it.
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
SET LOCAL search_path = public, pg_catalog;
SELECT plan(19);

CREATE TEMPORARY VIEW routines AS
SELECT p.* FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'privacy_scan'
WHERE p.proname LIKE 'json\_%';

SELECT set_eq('SELECT oid::regprocedure::text FROM routines', (SELECT array_agg(signature) FROM (
    SELECT 'privacy_scan.' || name || '(jsonb,' || argument || ')' AS signature
    FROM unnest(ARRAY['json_text', 'json_int', 'json_numeric', 'json_float8', 'json_bool', 'json_timestamptz',
                      'json_array_length', 'json_has', 'json_type']) name, unnest(ARRAY['text', 'text[]']) argument
    UNION ALL VALUES ('privacy_scan.json_fields(jsonb,text[])'), ('privacy_scan.json_populate(anyelement,jsonb)'),
                     ('privacy_scan.json_profile(regclass,name,integer)')) s),
  'the functions are the ones that were reviewed');
SELECT is_empty($$SELECT proname FROM routines WHERE proname <> 'json_profile' AND (provolatile <> 'i' OR proparallel <> 's')$$,
  'what reads a document is IMMUTABLE and PARALLEL SAFE');
SELECT set_eq($$SELECT proname FROM routines WHERE NOT proisstrict$$, ARRAY['json_populate', 'json_profile']::name[],
  'STRICT, but for the base of json_populate() and the arguments that json_profile() refuses');
SELECT is_empty($$SELECT proname FROM routines WHERE proname <> 'json_profile' AND procost NOT BETWEEN 10 AND 20$$, 'dearer than an operator');
SELECT is_empty($$SELECT proname FROM routines WHERE provariadic <> (CASE WHEN oid::regprocedure::text ~ 'text\[\]' THEN 'text'::regtype ELSE 0 END)$$,
  'a path, or keys, are VARIADIC');
SELECT is_empty($$SELECT proname FROM routines WHERE obj_description(oid, 'pg_proc') IS NULL$$, 'each has a comment');
SELECT function_returns('privacy_scan', 'json_text', ARRAY['jsonb', 'text'], 'text', 'json_text() returns text');
SELECT function_returns('privacy_scan', 'json_int', ARRAY['jsonb', 'text'], 'bigint', 'json_int() returns bigint');
SELECT function_returns('privacy_scan', 'json_numeric', ARRAY['jsonb', 'text'], 'numeric', 'json_numeric() returns numeric');
SELECT function_returns('privacy_scan', 'json_float8', ARRAY['jsonb', 'text'], 'double precision', 'json_float8() returns double precision');
SELECT function_returns('privacy_scan', 'json_bool', ARRAY['jsonb', 'text'], 'boolean', 'json_bool() returns boolean');
SELECT function_returns('privacy_scan', 'json_timestamptz', ARRAY['jsonb', 'text'], 'timestamp with time zone', 'json_timestamptz() returns timestamptz');
SELECT function_returns('privacy_scan', 'json_array_length', ARRAY['jsonb', 'text'], 'integer', 'json_array_length() returns integer');
SELECT function_returns('privacy_scan', 'json_has', ARRAY['jsonb', 'text'], 'boolean', 'json_has() returns boolean');
SELECT function_returns('privacy_scan', 'json_type', ARRAY['jsonb', 'text'], 'text', 'json_type() returns text');
SELECT function_returns('privacy_scan', 'json_fields', ARRAY['jsonb', 'text[]'], 'text[]', 'json_fields() returns text[]');
SELECT function_returns('privacy_scan', 'json_populate', ARRAY['anyelement', 'jsonb'], 'anyelement', 'json_populate() returns what it was given');

-- Everybody may call them; json_profile() asks for SELECT on the relation.
CREATE TABLE public.json_of_somebody (doc jsonb);
INSERT INTO public.json_of_somebody VALUES ('{"a": 1}');
CREATE ROLE privacy_scan_nobody;
SET LOCAL ROLE privacy_scan_nobody;
SELECT is(privacy_scan.json_int('{"a": 1}', 'a'), 1::bigint, 'a role without any right reads a document');
SELECT throws_ok($$SELECT * FROM privacy_scan.json_profile('public.json_of_somebody', 'doc')$$, '42501', NULL,
  'but not what is in the column of somebody else');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
