-- Every loaded row must be found exactly once, live or archived, with every column as it was, but for the erased ones,
-- which must be nowhere; and nothing may be found that was not loaded.  The last column says so, the demo ends with an
-- error otherwise.
CREATE VIEW demo.archived AS
SELECT 'Scan' AS relation, id, hashtextextended(ROW(id, "normalizedInput", status, "createdAt", "finishedAt", meta)::text, 0) AS hash FROM public_archive."Scan_archive"
UNION ALL
SELECT 'Evidence', id, hashtextextended(ROW(id, "scanId", kind, severity, title, details, "createdAt")::text, 0) AS hash FROM public_archive."Evidence_archive"
UNION ALL
SELECT 'Issue', id, hashtextextended(ROW(id, "scanId", title, severity, "references", "createdAt")::text, 0) AS hash FROM public_archive."Issue_archive";

SET work_mem = '256MB';
CREATE UNLOGGED TABLE demo.found AS
SELECT *, 'live' AS place FROM demo.live
UNION ALL
SELECT *, 'archived' FROM demo.archived;
ANALYZE demo.found;

CREATE TABLE demo.proof AS
SELECT relation,
       count(loaded) AS loaded,
       count(*) FILTER (WHERE live = 1) AS live,
       count(*) FILTER (WHERE archived = 1) AS archived,
       count(*) FILTER (WHERE erased AND live + archived = 0) AS erased,
       count(*) FILTER (WHERE NOT erased AND live + archived = 0) AS lost,
       count(*) FILTER (WHERE live + archived > CASE WHEN erased THEN 0 ELSE 1 END) AS doubled,
       count(*) FILTER (WHERE found IS DISTINCT FROM loaded AND live + archived = 1) AS altered
FROM (SELECT relation, id, max(l.hash) AS loaded, max(f.hash) AS found, bool_or(e.id IS NOT NULL) AS erased,
             count(*) FILTER (WHERE f.place = 'live') AS live, count(*) FILTER (WHERE f.place = 'archived') AS archived
      FROM demo.loaded l FULL JOIN demo.found f USING (relation, id) LEFT JOIN demo.erased e USING (relation, id)
      GROUP BY relation, id) AS row_by_row
GROUP BY relation;

SELECT *, CASE WHEN loaded = live + archived + erased AND lost + doubled + altered = 0 THEN 'proven' ELSE 'NOT PROVEN' END AS result
FROM demo.proof ORDER BY loaded DESC;
