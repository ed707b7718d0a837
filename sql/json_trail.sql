-- Values stored out of line are looked for where those read before end, and by the index where they are not there: the
-- same values come of it in whatever order they were written and are read, and what lies in order costs few pages.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ps_json_trail;
SET search_path = ps_json_trail, privacy_scan;

CREATE TABLE doc (n int, d jsonb);
ALTER TABLE doc ALTER d SET STORAGE EXTERNAL;
CREATE FUNCTION document(n int) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_build_object('a', n, 'pad', repeat(chr(97 + n % 26), 2000 + n * 7919 % 30000), 'zzzz', -n)
$$;
-- Rows whose fields, read from the beginning or the end, are not their own.
CREATE FUNCTION wrong(ordering text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  found bigint;
BEGIN
  EXECUTE format('SELECT count(*) FILTER (WHERE a IS DISTINCT FROM n OR z IS DISTINCT FROM -n) FROM (SELECT n, json_int(d, ''a'') AS a, json_int(d, ''zzzz'') AS z FROM
    (SELECT n, d FROM doc ORDER BY %s OFFSET 0) o OFFSET 0) s', ordering) INTO found;
  RETURN found;
END $$;
CREATE VIEW wrongs AS SELECT o, wrong(o) FROM unnest(ARRAY['n', 'n DESC', 'md5(n::text)', 'n % 2, n', 'ctid']) o;
-- Pages that the query touches, for each row.
CREATE FUNCTION pages(query text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
  plan jsonb;
BEGIN
  EXECUTE query;
  EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT json) ' || query INTO plan;
  RETURN (((plan -> 0 -> 'Plan' ->> 'Shared Hit Blocks')::int + (plan -> 0 -> 'Plan' ->> 'Shared Read Blocks')::int)
    / (SELECT count(*) FROM doc)::numeric);
END $$;

INSERT INTO doc SELECT n, document(n) FROM generate_series(1, 400) n;
TABLE wrongs;
SELECT pages('SELECT count(json_int(d, ''a'')) FROM doc') < 1.5 AS in_order,
       pages('SELECT count(json_int(d, ''a'')) FROM (SELECT d FROM doc ORDER BY md5(n::text) OFFSET 0) o') > 2.5 AS at_random;

-- Others write between them, change and remove values, and fail.
UPDATE doc SET d = document(n) WHERE n % 3 = 0;
DELETE FROM doc WHERE n % 7 = 0;
BEGIN;
INSERT INTO doc SELECT n, document(n) FROM generate_series(401, 500) n;
ROLLBACK;
INSERT INTO doc SELECT n, document(n) FROM generate_series(501, 600) n;
TABLE wrongs;
VACUUM doc;
INSERT INTO doc SELECT n, document(n) FROM generate_series(601, 900) n;
TABLE wrongs;

-- Small ones, many on a page; and those of two tables in turn.
DELETE FROM doc WHERE n > 300;
INSERT INTO doc SELECT n, jsonb_build_object('a', n, 'pad', repeat('x', 2000 + n % 300), 'zzzz', -n) FROM generate_series(1001, 1400) n;
TABLE wrongs;
CREATE TABLE other AS SELECT n, d FROM doc ORDER BY n DESC;
SELECT count(*) FILTER (WHERE json_int(doc.d, 'zzzz') IS DISTINCT FROM -n OR json_int(other.d, 'zzzz') IS DISTINCT FROM -n) AS wrong FROM doc JOIN other USING (n);
DROP SCHEMA ps_json_trail CASCADE;
