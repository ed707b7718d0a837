-- An error caught by rolling back a subtransaction leaves the server's state as it was before.
CREATE TABLE written(value text);
CREATE FUNCTION values_written() RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(value, ', ') FROM written $$;

SELECT kind, boundary.swallow(kind)
FROM unnest(ARRAY['none', 'ereport', 'ereport in two guards', 'error', 'error through a guard', 'sql', 'sql door',
    'sql doors', 'sql missing']) WITH ORDINALITY AS k(kind, n)
ORDER BY n;

-- What is no error of ours flies on, to the handler whose subtransaction is still its own: the block's work
-- is gone, what was before it stays, and the transaction commits.
DO $$
DECLARE
  kind text;
BEGIN
  FOREACH kind IN ARRAY ARRAY['cancel', 'bad_alloc', 'exception', 'foreign'] LOOP
    INSERT INTO written VALUES ('before ' || kind);
    BEGIN
      INSERT INTO written VALUES ('in the block ' || kind);
      PERFORM boundary.swallow(kind);
    EXCEPTION WHEN OTHERS OR query_canceled THEN
      RAISE NOTICE '% %', SQLSTATE, SQLERRM;
    END;
  END LOOP;
END $$;
SELECT values_written(), boundary.live();
SELECT pg_current_xact_id_if_assigned() IS NULL AS transaction_is_over;
TRUNCATE written;

-- The same inside a savepoint, and two deep.
BEGIN;
INSERT INTO written VALUES ('outside');
SAVEPOINT a;
INSERT INTO written VALUES ('inside');
SELECT boundary.swallow('foreign');
ROLLBACK TO a;
SELECT values_written();
SELECT boundary.scope('subtransaction', 'written', kind)
FROM unnest(ARRAY['none', 'ereport', 'error']) kind;
SELECT boundary.scope('open subtransaction', 'written', 'none');
SELECT boundary.scope('subtransaction', 'written', 'bad_alloc');
ROLLBACK TO a;
COMMIT;
SELECT values_written();
TRUNCATE written;

-- Work before and after stays, work inside is gone, through one SPI connection.
SELECT kind, boundary.writes('written', kind) FROM unnest(ARRAY['ereport', 'error', 'sql doors']) kind;
SELECT values_written();
TRUNCATE written;
SELECT boundary.writes('written', 'cancel');
SELECT values_written() IS NULL AS empty;

-- Rows taken before a failure are still readable after it, and the connection is usable.
SELECT kind, boundary.rows(kind) FROM unnest(ARRAY['none', 'ereport', 'error', 'sql', 'sql doors']) kind;
SELECT boundary.rows('foreign');
SELECT boundary.rows('cancel');

-- Locks taken inside are given back.
BEGIN;
SELECT boundary.scope('relation', 'written', 'error');
SELECT mode FROM pg_locks WHERE relation = 'written'::regclass AND pid = pg_backend_pid();
SELECT boundary.scope('relation', 'written', 'none');
SELECT mode FROM pg_locks WHERE relation = 'written'::regclass AND pid = pg_backend_pid();
COMMIT;

DROP FUNCTION values_written();
DROP TABLE written;
