-- Two fields of the documents, with the built-in operator and with ours: time and buffers of the whole query, each
-- run three times in turn, of which the fastest counts. Ends with an error if the two don't answer alike.
CREATE FUNCTION demo.measure(query text, OUT ms numeric, OUT buffers bigint) LANGUAGE plpgsql AS $$
DECLARE
  plan json;
BEGIN
  EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ' || query INTO plan;
  ms := round((plan -> 0 ->> 'Execution Time')::numeric, 1);
  buffers := (plan -> 0 -> 'Plan' ->> 'Shared Hit Blocks')::bigint + (plan -> 0 -> 'Plan' ->> 'Shared Read Blocks')::bigint;
END $$;

-- The documents are found through an index, so that what is measured is how they are read.
SET client_min_messages = error;
CREATE INDEX demo_documents ON "Evidence" (kind) WHERE kind IN ('policy', 'recording');
SET max_parallel_workers_per_gather = 0;
SET enable_seqscan = off;

CREATE TEMP TABLE queries AS
SELECT kind, way, format('SELECT %s AS domain, max(%s) FROM "Evidence" WHERE kind = %L GROUP BY 1', domain, score, kind) AS query
FROM unnest(ARRAY['policy', 'recording']) AS kind,
     (VALUES ('built-in', $$details ->> 'domain'$$, $$(details ->> 'score')::bigint$$),
             ('ours', $$privacy_scan.json_text(details, 'domain')$$, $$privacy_scan.json_int(details, 'score')$$)) AS w(way, domain, score);

CREATE TEMP TABLE differences (rows bigint);
SELECT format('INSERT INTO differences SELECT count(*) FROM ((%s) EXCEPT (%s)) AS d', a.query, b.query)
FROM queries AS a JOIN queries AS b ON a.kind = b.kind AND a.way <> b.way \gexec
DO $$ BEGIN ASSERT (SELECT sum(rows) = 0 FROM differences), 'json_text and json_int answer differently'; END $$;

CREATE TEMP TABLE runs AS
SELECT q.kind, q.way, m.* FROM generate_series(1, 3) AS run, queries AS q, LATERAL demo.measure(q.query) AS m;

SELECT kind, documents, kilobytes AS kb, a.ms AS "ms ->>", b.ms AS "ms ours", round(a.ms / b.ms, 1) AS ratio,
       a.buffers AS "buffers ->>", b.buffers AS "buffers ours"
FROM (SELECT kind, count(*) AS documents FROM "Evidence" WHERE kind IN ('policy', 'recording') GROUP BY kind) AS d
JOIN LATERAL (SELECT round(avg(octet_length(details::text)) / 1000) AS kilobytes
              FROM (SELECT details FROM "Evidence" AS e WHERE e.kind = d.kind LIMIT 500) AS first) AS s ON true
JOIN (SELECT kind, min(ms) AS ms, min(buffers) AS buffers FROM runs WHERE way = 'built-in' GROUP BY kind) AS a USING (kind)
JOIN (SELECT kind, min(ms) AS ms, min(buffers) AS buffers FROM runs WHERE way = 'ours' GROUP BY kind) AS b USING (kind)
ORDER BY kind;

DROP INDEX demo_documents;
DROP FUNCTION demo.measure;
