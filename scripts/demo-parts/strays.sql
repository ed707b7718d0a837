-- Evidence whose month has no partition: of a scanner whose clock is half a year ahead; and three rows whose ids
-- carry no time.  They count as loaded.
WITH scans AS (
    SELECT id, row_number() OVER () AS n FROM "Scan" WHERE status = 'done' ORDER BY "createdAt" DESC LIMIT 243
), strays AS (
    INSERT INTO "Evidence" (id, "scanId", kind, title, details, "createdAt")
    SELECT CASE WHEN n <= 3 THEN 'import-' || n ELSE privacy_scan.key_at('cuid', at) || substr(md5(n::text), 1, 16) END,
           id, 'tracker', 'Stray', '{}', at AT TIME ZONE 'UTC'
    FROM scans, LATERAL (SELECT now() + interval '180 days' + n * interval '3 hours' AS at) AS clock
    RETURNING *
)
INSERT INTO demo.loaded
SELECT 'Evidence', id, hashtextextended(ROW(id, "scanId", kind, severity, title, details, "createdAt")::text, 0) FROM strays;
