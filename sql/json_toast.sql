-- Where chunks of a TOAST relation end, and what may happen to it between two calls of a session.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ps_json_toast;
SET search_path = ps_json_toast;

-- A value that ends up to four bytes before and behind the edge of the first, second and third chunk (1996 bytes each), of one
-- byte characters and of such that take two and four bytes, in all forms; the key behind it, too.
CREATE TABLE short_header (n int, doc jsonb);
CREATE TABLE plain (n int, doc jsonb, filler text);
CREATE TABLE inline_pglz (n int, doc jsonb COMPRESSION pglz, filler text);
CREATE TABLE inline_lz4 (n int, doc jsonb COMPRESSION lz4, filler text);
CREATE TABLE external_raw (n int, doc jsonb, filler text);
CREATE TABLE external_pglz (n int, doc jsonb COMPRESSION pglz, filler text);
CREATE TABLE external_lz4 (n int, doc jsonb COMPRESSION lz4, filler text);
ALTER TABLE plain ALTER doc SET STORAGE PLAIN;
ALTER TABLE inline_pglz ALTER doc SET STORAGE MAIN, ALTER filler SET STORAGE PLAIN;
ALTER TABLE inline_lz4 ALTER doc SET STORAGE MAIN, ALTER filler SET STORAGE PLAIN;
ALTER TABLE external_raw ALTER doc SET STORAGE EXTERNAL, ALTER filler SET STORAGE PLAIN;
ALTER TABLE external_pglz ALTER filler SET STORAGE PLAIN;
ALTER TABLE external_lz4 ALTER filler SET STORAGE PLAIN;
-- The text stands 20 bytes behind the beginning of the document; keys are in the order of their lengths.
CREATE TABLE made AS
SELECT row_number() OVER () AS n, jsonb_build_object('a', left(repeat(c, 6100 / octet_length(c)), (1996 * edge + off - 20) / octet_length(c)), 'zz', off, 'zzz', c || c) AS doc
FROM unnest(ARRAY['x', 'é', U&'\+01F600']) c, generate_series(0, 3) edge, generate_series(-40, 40) off WHERE edge > 0;
INSERT INTO short_header SELECT n, jsonb_build_object('a', left(doc ->> 'a', 20), 'zz', doc -> 'zz', 'zzz', doc -> 'zzz') FROM made;
INSERT INTO plain SELECT n, doc || '{}' FROM made;
INSERT INTO inline_pglz SELECT n, doc || '{}', repeat('x', 2100) FROM made;
INSERT INTO inline_lz4 SELECT n, doc || '{}', repeat('x', 2100) FROM made;
INSERT INTO external_raw SELECT n, doc || '{}', repeat('x', 2100) FROM made;
INSERT INTO external_pglz SELECT n, doc || '{}', repeat('x', 2100) FROM made;
INSERT INTO external_lz4 SELECT n, doc || '{}', repeat('x', 2100) FROM made;
CREATE FUNCTION chunks(relation regclass, OUT result bigint) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SELECT count(DISTINCT chunk_id) FROM %s', (SELECT reltoastrelid::regclass FROM pg_class WHERE oid = relation)) INTO result;
END $$;
CREATE VIEW compared AS
SELECT form, count(*) AS rows, count(*) FILTER (WHERE privacy_scan.json_text(doc, 'a') IS DISTINCT FROM doc ->> 'a' OR privacy_scan.json_int(doc, 'zz') IS DISTINCT FROM (doc ->> 'zz')::int
    OR privacy_scan.json_text(doc, VARIADIC '{zzz}'::text[]) IS DISTINCT FROM doc ->> 'zzz' OR privacy_scan.json_has(doc, 'zzzz') OR privacy_scan.json_text(doc, VARIADIC '{}'::text[]) <> doc::text) AS wrong,
    array_agg(DISTINCT pg_column_compression(doc)) AS compression
FROM (SELECT 'short header' AS form, doc FROM short_header UNION ALL SELECT 'plain', doc FROM plain UNION ALL SELECT 'inline pglz', doc FROM inline_pglz
    UNION ALL SELECT 'inline lz4', doc FROM inline_lz4 UNION ALL SELECT 'external raw', doc FROM external_raw UNION ALL SELECT 'external pglz', doc FROM external_pglz
    UNION ALL SELECT 'external lz4', doc FROM external_lz4) s GROUP BY form;
SELECT * FROM compared ORDER BY form;
SELECT chunks('inline_pglz') AS inline_pglz, chunks('inline_lz4') AS inline_lz4, chunks('external_raw') AS raw, chunks('external_pglz') AS pglz, chunks('external_lz4') AS lz4;
-- Incompressible ones: compressed values of several chunks.
CREATE TABLE noise (n int, doc jsonb COMPRESSION lz4);
INSERT INTO noise SELECT n, jsonb_build_object('a', string_agg(md5(n || 'x' || i), ''), 'b', repeat('b', 500), 'zz', n) FROM generate_series(1, 40) n, generate_series(1, 20 * n) i GROUP BY n;
CREATE VIEW noise_wrong AS SELECT count(*) FILTER (WHERE privacy_scan.json_int(doc, 'zz') IS DISTINCT FROM n OR privacy_scan.json_text(doc, 'a') IS DISTINCT FROM doc ->> 'a') AS wrong FROM noise;
TABLE noise_wrong;

-- The TOAST relation and its index are rewritten between calls.
SELECT reltoastrelid::regclass AS toast FROM pg_class WHERE oid = 'noise'::regclass \gset
VACUUM FULL noise;
TABLE noise_wrong;
REINDEX TABLE :toast;
TABLE noise_wrong;
REINDEX TABLE CONCURRENTLY :toast;
TABLE noise_wrong;
ALTER TABLE external_raw ADD PRIMARY KEY (n);
CLUSTER external_raw USING external_raw_pkey;
ALTER TABLE noise SET UNLOGGED;
TABLE noise_wrong;
SELECT * FROM compared WHERE form ~ 'external' ORDER BY form;
-- In prepared statements, too.
PREPARE q AS SELECT sum(privacy_scan.json_int(doc, 'zz')) FROM noise;
EXECUTE q;
VACUUM FULL noise;
EXECUTE q;
DROP SCHEMA ps_json_toast CASCADE;
