-- Statistics, as autovacuum would have made them by and by; small samples, for the time's sake.
SET default_statistics_target = 20;
ANALYZE "Scan", "Evidence", "Issue";

-- What was loaded, one line a row: the hash covers every column as text.  Unlogged and in a schema of
-- its own, so that it is in none of the figures.  What the application writes meanwhile hangs on a scan
-- of its own, which never expires, and is counted apart.
CREATE SCHEMA demo;
INSERT INTO "Scan" (id, "normalizedInput", status) VALUES ('probe', 'https://probe.example/', 'running');

CREATE VIEW demo.live AS
SELECT 'Scan' AS relation, id, hashtextextended(ROW(id, "normalizedInput", status, "createdAt", "finishedAt", meta)::text, 0) AS hash FROM "Scan" WHERE id <> 'probe'
UNION ALL
SELECT 'Evidence', id, hashtextextended(ROW(id, "scanId", kind, severity, title, details, "createdAt")::text, 0) AS hash FROM "Evidence" WHERE "scanId" <> 'probe'
UNION ALL
SELECT 'Issue', id, hashtextextended(ROW(id, "scanId", title, severity, "references", "createdAt")::text, 0) AS hash FROM "Issue" WHERE "scanId" <> 'probe';

CREATE UNLOGGED TABLE demo.loaded AS SELECT * FROM demo.live;
ANALYZE demo.loaded;

-- Rows of all 24 months that the application changes and reads.
CREATE TABLE demo.sample AS
SELECT row_number() OVER ()::integer AS n, id, "scanId" FROM "Evidence" TABLESAMPLE SYSTEM (20) LIMIT 1000;
ALTER TABLE demo.sample ADD PRIMARY KEY (n);
ANALYZE demo.sample;
