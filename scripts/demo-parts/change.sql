-- The application changes a row of some month; to what it was, for that it be found unaltered in the end.
\set n random(1, 1000)
UPDATE "Evidence" SET severity = severity WHERE id = (SELECT id FROM demo.sample WHERE n = :n);
