-- What is inside a column: paths and shares, never a value; the caller's rights; errors.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA json_profile;
SET search_path = json_profile, pg_catalog;
\set VERBOSITY terse

CREATE TABLE evidence (id int, details jsonb, plain text, site text);
INSERT INTO evidence SELECT n, jsonb_build_object('url', 'https://secret-' || n, 'score', n % 10, 'page', jsonb_build_object('a b', NULL),
    'tags', jsonb_build_array('x', n % 3), 'by_site', jsonb_build_object('secret-' || n % 200, n)) || CASE WHEN n % 4 = 0 THEN '{"rare": true}' ELSE '{}' END::jsonb,
    'x', CASE WHEN n % 2 = 0 THEN 'even' ELSE 'odd' END
  FROM generate_series(1, 1000) n;
INSERT INTO evidence VALUES (0, NULL, '', '');
SELECT path, depth, present, types, distinct_values, width_max, sampled_rows FROM privacy_scan.json_profile('evidence', 'details')
WHERE path !~ 'url|by_site\.';
SELECT path, present, types, distinct_values BETWEEN 700 AND 1000 AS about_1000 FROM privacy_scan.json_profile('evidence', 'details') WHERE path ~ 'url|by_site\.';
SELECT count(*) AS secrets FROM privacy_scan.json_profile('evidence', 'details') p WHERE p::text ~ 'secret';
SELECT sampled_rows FROM privacy_scan.json_profile('evidence', 'details', 10) LIMIT 1;

-- Everything that holds rows.
CREATE VIEW view AS SELECT details AS d FROM evidence;
CREATE TABLE parted (LIKE evidence) PARTITION BY LIST (site);
CREATE TABLE part PARTITION OF parted FOR VALUES IN ('even');
INSERT INTO parted SELECT * FROM evidence WHERE site = 'even';
ANALYZE parted, evidence;
SELECT 'view' AS relation, count(*) FROM privacy_scan.json_profile('view', 'd')
UNION ALL SELECT 'parted', count(*) FROM privacy_scan.json_profile('parted', 'details')
UNION ALL SELECT 'sampled', sign(count(*)) FROM privacy_scan.json_profile('evidence', 'details', 100);
CREATE TABLE empty (d jsonb);
SELECT * FROM privacy_scan.json_profile('empty', 'd');

-- As the caller: no right, no row; and no more than row-level security shows.
CREATE ROLE regress_json_reader;
GRANT USAGE ON SCHEMA json_profile TO regress_json_reader;
SET ROLE regress_json_reader;
SELECT * FROM privacy_scan.json_profile('json_profile.evidence', 'details');
RESET ROLE;
GRANT SELECT (site) ON evidence TO regress_json_reader;
SET ROLE regress_json_reader;
SELECT * FROM privacy_scan.json_profile('json_profile.evidence', 'details');
RESET ROLE;
GRANT SELECT (details) ON evidence TO regress_json_reader;
SET ROLE regress_json_reader;
SELECT count(*) > 0 AS profiled FROM privacy_scan.json_profile('json_profile.evidence', 'details');
RESET ROLE;
GRANT SELECT ON evidence TO regress_json_reader;
ALTER TABLE evidence ENABLE ROW LEVEL SECURITY;
CREATE POLICY even ON evidence TO regress_json_reader USING (site = 'even');
SET ROLE regress_json_reader;
SELECT DISTINCT sampled_rows FROM privacy_scan.json_profile('json_profile.evidence', 'details');
RESET ROLE;

\set VERBOSITY default
SELECT * FROM privacy_scan.json_profile('evidence', 'nope');
SELECT * FROM privacy_scan.json_profile('evidence', 'plain');
CREATE TABLE as_text (d json);
SELECT * FROM privacy_scan.json_profile('as_text', 'd');
SELECT * FROM privacy_scan.json_profile('evidence', 'details', 0);
SELECT * FROM privacy_scan.json_profile('evidence', NULL);
SELECT * FROM privacy_scan.json_profile(NULL, 'details');
\set VERBOSITY terse
SELECT * FROM privacy_scan.json_profile(4294967295, 'details');
CREATE SEQUENCE seq;
SELECT * FROM privacy_scan.json_profile('seq', 'details');

DROP SCHEMA json_profile CASCADE;
DROP ROLE regress_json_reader;
