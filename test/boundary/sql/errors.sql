-- Every way to fail becomes one clean SQL error, with SQLSTATE, detail and hint; every destructor has run; the
-- session goes on.
SET client_min_messages = warning;
CREATE EXTENSION boundary_test;
RESET client_min_messages;

SELECT kind, r.*, boundary.live()
FROM unnest(ARRAY['none', 'ereport', 'ereport in two guards', 'cancel', 'error', 'bare error',
    'error through a guard', 'bad_alloc', 'length_error', 'exception', 'long exception', 'foreign',
    'sql', 'sql missing', 'no such kind']) WITH ORDINALITY AS k(kind, n),
  LATERAL (SELECT code, message, detail, hint
           FROM boundary.report(format('SELECT boundary.raise(%L, 5)', kind))) r
ORDER BY n;

-- The context is that of the error, through one door and through several, each line once.
SELECT kind, r.context
FROM unnest(ARRAY['ereport', 'error', 'error through a guard', 'sql', 'sql door', 'sql doors']) WITH ORDINALITY AS k(kind, n),
  LATERAL boundary.report(format('SELECT boundary.raise(%L, 5)', kind)) r
ORDER BY n;
SELECT code, message, detail, hint FROM boundary.report('SELECT boundary.raise(''sql doors'', 5)');

-- Without a handler around, at the top of a session.
SELECT boundary.raise('ereport', 2);
SELECT boundary.raise('error', 2);
SELECT boundary.raise('bad_alloc', 2);
SELECT boundary.raise('exception', 2);
SELECT boundary.raise('foreign', 2);
SELECT boundary.raise('cancel', 2);
SELECT boundary.live();

-- In a transaction block and through savepoints.
BEGIN;
SAVEPOINT a;
SELECT boundary.raise('foreign', 2);
SELECT 1;
ROLLBACK TO a;
SELECT boundary.raise('sql', 2);
ROLLBACK TO a;
SELECT boundary.raise('none', 2);
COMMIT;

-- A row of another width than declared.
SELECT * FROM boundary.columns(2);
SELECT * FROM boundary.columns(1);
SELECT * FROM boundary.columns(3);
SELECT boundary.columns(2);

-- Memory that runs out while an error is copied: 53200, and no callback of a frame that is gone.
SELECT boundary.starved(), boundary.live();
SELECT boundary.raise('none', 2);
