-- Wherever an expression may stand: generated columns, indexes, constraints, partitions, parallel and prepared
-- plans, PL, triggers, domains, composite fields. The documents are large enough to be stored out of line.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA json_contexts;
SET search_path = json_contexts, pg_catalog;
\set VERBOSITY terse

CREATE FUNCTION make(n int) RETURNS jsonb LANGUAGE sql IMMUTABLE AS
$$ SELECT jsonb_build_object('domain', 'd' || n % 7, 'score', n, 'filler', (SELECT string_agg(md5((n * i)::text), ' ') FROM generate_series(1, 200) i), 'zlast', 'z' || n) $$;

-- A stored generated column, a check, indexes.
CREATE TABLE evidence (id int PRIMARY KEY, details jsonb CHECK (privacy_scan.json_has(details, 'domain')),
  domain text GENERATED ALWAYS AS (privacy_scan.json_text(details, 'domain')) STORED,
  score bigint GENERATED ALWAYS AS (privacy_scan.json_int(details, 'score')) STORED);
INSERT INTO evidence (id, details) SELECT n, make(n) FROM generate_series(1, 200) n;
INSERT INTO evidence (id, details) VALUES (0, '{"domain": "untrusted", "score": "no number"}');
SELECT count(*) AS rows, count(domain) AS domains, count(score) AS scores, sum(score) AS sum FROM evidence;
INSERT INTO evidence (id, details) VALUES (-1, '{"no": "domain"}');
CREATE INDEX evidence_zlast ON evidence (privacy_scan.json_text(details, 'zlast'));
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM evidence WHERE privacy_scan.json_text(details, 'zlast') = 'z77';
SELECT id FROM evidence WHERE privacy_scan.json_text(details, 'zlast') = 'z77';
RESET enable_seqscan;
UPDATE evidence SET details = make(1077) WHERE id = 77;
SELECT id, domain, score FROM evidence WHERE privacy_scan.json_text(details, 'zlast') = 'z1077';

-- Partitions, each with a TOAST relation of its own; one without compression.
CREATE TABLE parted (id int, details jsonb) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF parted FOR VALUES FROM (0) TO (50);
CREATE TABLE p2 PARTITION OF parted FOR VALUES FROM (50) TO (100);
CREATE TABLE p3 PARTITION OF parted FOR VALUES FROM (100) TO (150);
ALTER TABLE p2 ALTER details SET STORAGE EXTERNAL;
INSERT INTO parted SELECT n, make(n) FROM generate_series(0, 149) n;
SELECT count(*) AS rows, count(DISTINCT privacy_scan.json_text(details, 'domain')) AS domains,
  count(*) FILTER (WHERE privacy_scan.json_text(details, 'zlast') IS DISTINCT FROM details ->> 'zlast') AS differences FROM parted;

-- Parallel workers.
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 2;
SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT count(privacy_scan.json_text(details, 'zlast')) FROM evidence;
SELECT count(privacy_scan.json_text(details, 'zlast')) FROM evidence;
RESET ALL;
SET search_path = json_contexts, pg_catalog;
SET client_min_messages = warning;

-- Prepared: plans for each value and for all, a path that changes from call to call and from row to row.
PREPARE by_key(text) AS SELECT count(privacy_scan.json_text(details, $1)) FROM evidence;
SET plan_cache_mode = force_generic_plan;
EXECUTE by_key('domain'); EXECUTE by_key('zlast'); EXECUTE by_key('nope');
SET plan_cache_mode = force_custom_plan;
EXECUTE by_key('domain'); EXECUTE by_key('nope');
RESET plan_cache_mode;
SELECT count(*) AS differences FROM evidence, LATERAL (SELECT CASE WHEN id % 3 = 0 THEN '{domain}'::text[] WHEN id % 3 = 1 THEN '{zlast}' ELSE '{a,b}' END AS path) p
WHERE privacy_scan.json_text(details, VARIADIC path) IS DISTINCT FROM details #>> path
   OR privacy_scan.json_text(details, path[1]) IS DISTINCT FROM details ->> path[1];

-- PL functions: variables that hold a stored document, loops, a query within a query.
CREATE FUNCTION domain_of(document jsonb) RETURNS text LANGUAGE plpgsql AS
$$ DECLARE copy jsonb := document; BEGIN RETURN privacy_scan.json_text(copy, 'domain') || privacy_scan.json_text((SELECT details FROM evidence WHERE id = 5), 'domain'); END $$;
SELECT domain_of(details), privacy_scan.json_text(details, 'domain') FROM evidence WHERE id IN (1, 2, 0) ORDER BY id;
CREATE PROCEDURE commits() LANGUAGE plpgsql AS
$$ DECLARE document jsonb; before text; BEGIN
  FOR n IN 1..3 LOOP
    SELECT details INTO document FROM evidence WHERE id = n;
    before := privacy_scan.json_text(document, 'zlast');
    COMMIT;
    RAISE WARNING '% %', before, privacy_scan.json_text(document, 'domain');
  END LOOP;
END $$;
CALL commits();

-- Triggers: the rows before and after.
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE WARNING '% -> %', privacy_scan.json_text(OLD.details, 'domain'), privacy_scan.json_text(NEW.details, 'domain'); RETURN NEW; END $$;
CREATE TRIGGER note BEFORE UPDATE ON evidence FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER note_after AFTER UPDATE ON evidence FOR EACH ROW WHEN (privacy_scan.json_text(NEW.details, 'domain') = 'changed') EXECUTE FUNCTION note();
UPDATE evidence SET details = details || '{"domain": "changed"}' WHERE id = 3;

-- Domains over jsonb, fields of composites, values in memory.
CREATE DOMAIN document AS jsonb CHECK (privacy_scan.json_has(VALUE, 'domain'));
SELECT privacy_scan.json_text('{"domain": "x"}'::document, 'domain');
SELECT '{}'::document;
CREATE TYPE holder AS (id int, held jsonb);
CREATE TABLE holders AS SELECT ROW(id, details)::holder AS h FROM evidence;
SELECT count(*) AS differences FROM holders WHERE privacy_scan.json_text((h).held, 'zlast') IS DISTINCT FROM (h).held ->> 'zlast';
SELECT count(*) AS differences FROM (SELECT details || '{"more": 1}' AS d FROM evidence) v WHERE privacy_scan.json_int(d, 'more') IS DISTINCT FROM 1;

-- Two documents of a row in turn, a row joined with another, and more columns than are kept at a time.
SELECT count(*) AS differences FROM evidence a JOIN evidence b ON b.id = a.id + 1
WHERE privacy_scan.json_text(a.details, 'zlast') || privacy_scan.json_text(b.details, 'zlast') || privacy_scan.json_text(a.details, 'domain')
  IS DISTINCT FROM (a.details ->> 'zlast') || (b.details ->> 'zlast') || (a.details ->> 'domain');
CREATE TABLE wide AS SELECT id, details AS d1, make(id + 1) AS d2, make(id + 2) AS d3, make(id + 3) AS d4, make(id + 4) AS d5, make(id + 5) AS d6 FROM evidence WHERE id < 50;
SELECT count(*) AS differences FROM wide WHERE
  concat(privacy_scan.json_text(d1, 'zlast'), privacy_scan.json_text(d2, 'zlast'), privacy_scan.json_text(d3, 'zlast'), privacy_scan.json_text(d4, 'zlast'),
         privacy_scan.json_text(d5, 'zlast'), privacy_scan.json_text(d6, 'zlast'), privacy_scan.json_text(d1, 'domain'), privacy_scan.json_text(d6, 'domain'))
  IS DISTINCT FROM concat(d1 ->> 'zlast', d2 ->> 'zlast', d3 ->> 'zlast', d4 ->> 'zlast', d5 ->> 'zlast', d6 ->> 'zlast', d1 ->> 'domain', d6 ->> 'domain');

DROP SCHEMA json_contexts CASCADE;
