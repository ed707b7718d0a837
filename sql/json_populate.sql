-- Rows from documents: as jsonb_populate_record where the document fits, NULL where it does not, never an error
-- because of what a document holds.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA json_populate;
SET search_path = json_populate, pg_catalog;
\set VERBOSITY terse

CREATE TYPE colour AS ENUM ('red', 'green');
CREATE TYPE pair AS (x int, y text);
CREATE TYPE everything AS (s text, v varchar(3), c char(4), i2 smallint, i4 int, i8 bigint, n numeric(5,2), n0 numeric, f4 real, f8 double precision,
  b boolean, tz timestamptz(3), ts timestamp, d date, u uuid, e colour, ta text[], ia int[], p pair, pa pair[], js json, jb jsonb);

CREATE TABLE fitting (doc jsonb);
INSERT INTO fitting VALUES
  ('{"s": "x", "v": "abc  ", "c": "ab", "i2": 5, "i4": "66", "i8": 9223372036854775807, "n": 123.456, "n0": "1e5", "f4": 0.1, "f8": 1e-5, "b": "yes",
     "tz": "2026-11-24T10:00:00.1239Z", "ts": "2026-11-24 10:00:00.5", "d": "2026-11-24", "u": "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}", "e": "green",
     "ta": ["a", null, 1, {"k": [1]}], "ia": [1, "2"], "p": {"x": 1, "y": [1]}, "pa": [{"x": 1}, null], "js": {"a": [1, "b"]}, "jb": {"a": [1, {}]}}'),
  ('{"s": {"a": 1}, "i4": null, "jb": null, "js": "text", "n0": 12345678901234567890123.45, "f8": "Infinity", "f4": "NaN", "b": 1, "ta": []}'),
  ('{"jb": "text", "s": true, "n0": "NaN", "i8": "-9223372036854775808", "other": 1}'), ('{"jb": 12.50}'), ('{"jb": [1, 2]}'), ('{}');
SELECT count(*) AS documents, count(*) FILTER (WHERE privacy_scan.json_populate(NULL::everything, doc)::text
  IS DISTINCT FROM jsonb_populate_record(NULL::everything, doc)::text) AS differences FROM fitting;

-- What does not fit is NULL, all the rest is there.
SELECT privacy_scan.json_populate(NULL::everything, '{"s": "kept", "v": "abcd", "c": "abcde", "i2": 70000, "i4": "x", "i8": 1.5, "n": 1234.5, "n0": "x",
  "f4": 1e40, "f8": 1e400, "b": "perhaps", "tz": "2026-11-24", "ts": "now", "d": "today", "u": "12", "e": "blue", "ta": "x", "ia": [1, "x"], "p": 5,
  "pa": [1]}');
SELECT privacy_scan.json_populate(NULL::everything, '[1]'), privacy_scan.json_populate(NULL::everything, '"text"') \gset
SELECT :'json_populate' AS no_object;

-- A base keeps what the document does not name.
SELECT privacy_scan.json_populate(ROW(1, 'old')::pair, '{"y": "new"}') AS new_y, privacy_scan.json_populate(ROW(1, 'old')::pair, '{"x": null}') AS no_x,
  privacy_scan.json_populate(ROW(1, 'old')::pair, NULL) AS base, privacy_scan.json_populate(NULL::pair, NULL) AS nothing,
  privacy_scan.json_populate(ROW(1, 'old'::text), '{"f1": 2}') AS record;
SELECT (privacy_scan.json_populate(NULL::pair, doc)).* FROM (VALUES ('{"x": 1, "y": "a"}'::jsonb), ('{"x": 2}')) v(doc) ORDER BY x;

-- A table's row type, with a column that was dropped.
CREATE TABLE evidence (a int, gone text, "camelCase" text);
ALTER TABLE evidence DROP COLUMN gone;
SELECT privacy_scan.json_populate(NULL::evidence, '{"a": 1, "gone": "x", "camelCase": "y"}');

CREATE TYPE with_inet AS (address inet);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE with_domain AS (p positive);
SELECT privacy_scan.json_populate(NULL::with_inet, '{}');
SELECT privacy_scan.json_populate(NULL::with_domain, '{}');
SELECT privacy_scan.json_populate(5, '{"a": 1}');
SELECT privacy_scan.json_populate(NULL::record, '{"a": 1}');

DROP SCHEMA json_populate CASCADE;
