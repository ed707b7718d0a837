-- What the json functions give and refuse: each against the operator it stands for, each type's table of what it
-- accepts.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA json_values;
SET search_path = json_values, pg_catalog;
\set VERBOSITY terse

CREATE TABLE documents (n int PRIMARY KEY, doc jsonb);
INSERT INTO documents VALUES
  (1, '{"a": 1, "b": {"c": [10, {"d": "deep"}, null]}, "": "empty key", "list": [], "é": "ü", "t": true, "f": false, "n": null}'),
  (2, '[1, "two", {"a": 3}, null]'), (3, '"text"'), (4, '12.50'), (5, 'null'), (6, '{}'), (7, '[]'), (8, 'true'), (9, NULL);

-- Keys: as ->>.
SELECT n, key, doc ->> key AS value, privacy_scan.json_type(doc, key) AS type
FROM documents, unnest(ARRAY['a', 'b', '', 'list', 'é', 't', 'f', 'n', 'nope', '0']) key
WHERE doc ->> key IS NOT NULL OR doc ? key ORDER BY n, key COLLATE "C";
SELECT count(*) AS differences FROM documents, unnest(ARRAY['a', 'b', '', 'list', 'é', 't', 'f', 'n', 'nope', '0', 'text', NULL]) key
WHERE privacy_scan.json_text(doc, key) IS DISTINCT FROM doc ->> key
   OR privacy_scan.json_has(doc, key) IS DISTINCT FROM CASE WHEN key IS NOT NULL THEN jsonb_typeof(doc) = 'object' AND doc ? key END
   OR privacy_scan.json_type(doc, key) IS DISTINCT FROM CASE jsonb_typeof(doc) WHEN 'object' THEN jsonb_typeof(doc -> key) END;

-- Paths: as #>>, indexes from both ends, whatever PostgreSQL takes for an index.
CREATE TABLE paths (path text[]);
INSERT INTO paths VALUES ('{}'), ('{a}'), ('{b,c}'), ('{b,c,0}'), ('{b,c,-1}'), ('{b,c,-2,d}'), ('{b,c,1,d}'), ('{b,c,3}'), ('{b,c,-4}'),
  ('{0}'), ('{-1}'), ('{2,a}'), ('{" 1"}'), ('{+1}'), ('{1x}'), ('{0x0}'), ('{99999999999}'), ('{-2147483648}'), ('{""}'), ('{a,b}'), ('{NULL}'),
  ('{b,NULL}'), ('{n}'), ('{n,x}'), (NULL), ('{{b},{c}}');
SELECT count(*) AS pairs, count(*) FILTER (WHERE doc #>> path IS NOT NULL) AS values,
  count(*) FILTER (WHERE privacy_scan.json_text(doc, VARIADIC path) IS DISTINCT FROM doc #>> path) AS differences,
  count(*) FILTER (WHERE privacy_scan.json_has(doc, VARIADIC path) IS DISTINCT FROM
    CASE WHEN doc IS NULL OR path IS NULL THEN NULL ELSE doc #> path IS NOT NULL END) AS differences_of_has,
  count(*) FILTER (WHERE privacy_scan.json_type(doc, VARIADIC path) IS DISTINCT FROM jsonb_typeof(doc #> path)) AS differences_of_type
FROM documents, paths;
SELECT privacy_scan.json_text(doc, 'b', 'c', '1', 'd'), privacy_scan.json_text(doc, 'a'), privacy_scan.json_text(doc, VARIADIC ARRAY['a']) FROM documents WHERE n = 1;

-- Several keys at once.
SELECT n, privacy_scan.json_fields(doc, 'a', 'nope', 'b', NULL, 'a') FROM documents ORDER BY n;
SELECT privacy_scan.json_fields('{"a": 1}', VARIADIC '{}'::text[]), privacy_scan.json_fields('{"a": 1}', VARIADIC NULL::text[]);

-- What the typed ones accept.
CREATE TABLE literals (literal text);
INSERT INTO literals VALUES ('10'), ('-7'), ('10.0'), ('1e3'), ('2.5'), ('-0.0'), ('9223372036854775807'), ('-9223372036854775808'),
  ('9223372036854775808'), ('1e400'), ('1e-400'), ('1.7976931348623157e308'), ('0.1'), ('12345678901234567890.123456789'), ('"10"'), ('"text"'),
  ('true'), ('false'), ('null'), ('[1]'), ('{"a": 1}'), ('"2026-11-24T10:00:00.123Z"'), ('"2026-11-24 10:00:00+01:00"'),
  ('"2026-11-24T10:00:00"'), ('"2026-11-24"'), ('"now"'), ('"2026-02-30T10:00:00Z"');
SET TimeZone = 'Asia/Tokyo';
SELECT literal, privacy_scan.json_int(doc, 'v') AS int, left(privacy_scan.json_numeric(doc, 'v')::text, 32) AS numeric,
  privacy_scan.json_float8(doc, 'v') AS float8, privacy_scan.json_bool(doc, 'v') AS bool,
  privacy_scan.json_timestamptz(doc, 'v') AT TIME ZONE 'UTC' AS timestamptz, privacy_scan.json_array_length(doc, 'v') AS length
FROM literals, jsonb_build_object('v', literal::jsonb) doc ORDER BY literal COLLATE "C";
RESET TimeZone;
SELECT count(*) AS differences FROM literals, jsonb_build_object('v', literal::jsonb) doc
WHERE privacy_scan.json_numeric(doc, 'v') IS DISTINCT FROM CASE jsonb_typeof(doc -> 'v') WHEN 'number' THEN (doc ->> 'v')::numeric END
   OR privacy_scan.json_numeric(doc, 'v')::text IS DISTINCT FROM CASE jsonb_typeof(doc -> 'v') WHEN 'number' THEN doc ->> 'v' END
   OR privacy_scan.json_int(doc, VARIADIC '{v}'::text[]) IS DISTINCT FROM privacy_scan.json_int(doc, 'v')
   OR privacy_scan.json_float8(doc, VARIADIC '{v}'::text[]) IS DISTINCT FROM privacy_scan.json_float8(doc, 'v')
   OR privacy_scan.json_bool(doc, VARIADIC '{v}'::text[]) IS DISTINCT FROM privacy_scan.json_bool(doc, 'v')
   OR privacy_scan.json_timestamptz(doc, VARIADIC '{v}'::text[]) IS DISTINCT FROM privacy_scan.json_timestamptz(doc, 'v');
SELECT privacy_scan.json_array_length(doc, VARIADIC ARRAY[]::text[]) AS root_length FROM documents ORDER BY n;

-- Escapes are gone by the time a document is stored; what jsonb refuses never comes here.
SELECT bool_and(privacy_scan.json_text(doc, 'k') IS NOT DISTINCT FROM doc ->> 'k' AND privacy_scan.json_has(doc, 'k')) AS same
FROM unnest(ARRAY['{"k": "\ud83d\ude00"}', '{"\u006b": "\u00e9\t\"\\"}', '{"k": ""}', '{"k": "\uffff\u2028"}']::jsonb[]) doc;
SELECT privacy_scan.json_text('{"k": "\u0000"}', 'k');
SELECT privacy_scan.json_text('{"k": "\ud83d"}', 'k');

DROP SCHEMA json_values CASCADE;
