-- The application reads the evidence of a scan.
\set n random(1, 1000)
SELECT id, title FROM "Evidence" WHERE "scanId" = (SELECT "scanId" FROM demo.sample WHERE n = :n);
