-- Large, deep and awkward: values at the edges of TOAST chunks, characters across them, a million keys, long paths,
-- little stack.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA json_limits;
SET search_path = json_limits, pg_catalog;
\set VERBOSITY terse

-- The value's end moves over a chunk's edge (1996 bytes), in every form of storage; characters of 1 to 4 bytes.
CREATE TABLE plain (n int, c text, doc jsonb);
CREATE FUNCTION text_of(length int, c text) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT left(string_agg(c || substr(md5(i::text), 1, 3), ''), length) FROM generate_series(1, length / 4 + 1) i $$;
INSERT INTO plain SELECT n, c, jsonb_build_object('a', text_of(n, c), 'b', 'behind', 'zz', text_of(3000, c))
FROM unnest(ARRAY[1, 2, 3]) chunk, generate_series(1996 * chunk - 40, 1996 * chunk - 20) n, unnest(ARRAY['x', 'é', '€', '😀']) c;
CREATE TABLE raw (LIKE plain); ALTER TABLE raw ALTER doc SET STORAGE EXTERNAL;
CREATE TABLE packed (LIKE plain); ALTER TABLE packed ALTER doc SET STORAGE EXTENDED;
INSERT INTO raw SELECT * FROM plain;
INSERT INTO packed SELECT * FROM plain;
SELECT 'raw' AS form, count(*), count(*) FILTER (WHERE privacy_scan.json_fields(doc, 'a', 'b', 'zz') IS DISTINCT FROM ARRAY[doc ->> 'a', doc ->> 'b', doc ->> 'zz']) AS differences FROM raw
UNION ALL SELECT 'packed', count(*), count(*) FILTER (WHERE privacy_scan.json_fields(doc, 'a', 'b', 'zz') IS DISTINCT FROM ARRAY[doc ->> 'a', doc ->> 'b', doc ->> 'zz']) FROM packed;
SELECT 'raw' AS form, count(*) FILTER (WHERE privacy_scan.json_text(doc, 'b') IS DISTINCT FROM 'behind') AS differences FROM raw
UNION ALL SELECT 'packed', count(*) FILTER (WHERE privacy_scan.json_text(doc, 'b') IS DISTINCT FROM 'behind') FROM packed;

-- A million keys; an array of a million elements.
CREATE TABLE many AS SELECT (SELECT jsonb_object_agg('key' || n, n) FROM generate_series(1, 1000000) n) AS doc;
SELECT privacy_scan.json_int(doc, 'key1'), privacy_scan.json_int(doc, 'key500000'), privacy_scan.json_int(doc, 'key1000000'), privacy_scan.json_text(doc, 'key0'), privacy_scan.json_text(doc, 'other') FROM many;
TRUNCATE many;
INSERT INTO many SELECT jsonb_agg(n) FROM generate_series(1, 1000000) n;
SELECT privacy_scan.json_array_length(doc, VARIADIC '{}'::text[]), privacy_scan.json_text(doc, VARIADIC '{0}'::text[]), privacy_scan.json_text(doc, VARIADIC '{-1}'::text[]),
  privacy_scan.json_text(doc, VARIADIC '{700000}'::text[]), privacy_scan.json_text(doc, VARIADIC '{1000000}'::text[]) FROM many;
DROP TABLE many;

-- A path of ten thousand steps, through arrays and through objects; a container as deep as text, on little stack.
CREATE TABLE deep AS SELECT (repeat('[', 6000) || '"bottom"' || repeat(']', 6000))::jsonb AS arrays, (repeat('{"a":', 6000) || '1' || repeat('}', 6000))::jsonb AS objects;
SET max_stack_depth = '100kB';
SELECT privacy_scan.json_text(arrays, VARIADIC array_fill('0'::text, ARRAY[6000])), privacy_scan.json_int(objects, VARIADIC array_fill('a'::text, ARRAY[6000])),
  privacy_scan.json_text(arrays, VARIADIC array_fill('0'::text, ARRAY[10000])), length(privacy_scan.json_text(objects, 'a')),
  privacy_scan.json_text(objects, 'a') = objects ->> 'a' AS same FROM deep;
RESET max_stack_depth;

-- A key as long as a document; the longest value.
SELECT length(privacy_scan.json_text(jsonb_build_object(repeat('k', 100000), repeat('v', 200000)), repeat('k', 100000)));
SELECT length(privacy_scan.json_text(jsonb_build_object('v', repeat('0123456789', 5000000)), 'v'));

DROP SCHEMA json_limits CASCADE;
