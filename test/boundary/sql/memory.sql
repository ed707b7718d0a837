-- 100,000 failures hold no memory: not in PostgreSQL's contexts, not in the process. The bounds
-- would catch a leak of 40 bytes a call (10 in PostgreSQL's contexts); a first round warms caches up.
CREATE TABLE owned(id int);
CREATE TABLE memory_before(contexts bigint, top bigint, resident bigint);
CREATE PROCEDURE remember() LANGUAGE sql AS $$
  DELETE FROM memory_before;
  INSERT INTO memory_before SELECT boundary.context_bytes(), boundary.top_bytes(), boundary.resident_bytes() $$;
-- What grew, in MB, beyond the bound; NULL where nothing did.
CREATE FUNCTION grown() RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(format('%s: %s MB', what, round(bytes / 1e6, 1)), ', ')
  FROM memory_before,
    LATERAL (VALUES ('contexts', boundary.context_bytes() - contexts, 1e6), ('top', boundary.top_bytes() - top, 1e6),
      ('process', boundary.resident_bytes() - resident, 4e6)) g(what, bytes, bound)
  WHERE bytes > bound $$;

-- Each in a transaction of its own, caught by plpgsql.
CREATE PROCEDURE fail_and_commit(times int) LANGUAGE plpgsql AS $$
DECLARE
  kinds text[] := ARRAY['ereport', 'error', 'bad_alloc', 'exception', 'foreign'];
BEGIN
  FOR i IN 1 .. times LOOP
    BEGIN
      PERFORM boundary.raise(kinds[1 + i % 5], 3);
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
    COMMIT;
  END LOOP;
END $$;
CALL fail_and_commit(5000);
CALL remember();
CALL fail_and_commit(100000);
SELECT grown(), boundary.live();

-- All in one transaction, in subtransactions; measured inside it and after it.
DO $$
DECLARE
  kinds text[] := ARRAY['ereport', 'error', 'bad_alloc', 'sql', 'foreign'];
BEGIN
  FOR i IN 1 .. 105000 LOOP
    IF i = 5000 THEN
      CALL remember();
    END IF;
    BEGIN
      PERFORM boundary.raise(kinds[1 + i % 5], 3);
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
  END LOOP;
  RAISE NOTICE 'grown: %', grown();
END $$;
SELECT grown(), boundary.live();

-- All in one call of ours, which catches them itself, and with each scope open at the failure.
CREATE FUNCTION swallow_many(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text;
BEGIN
  EXECUTE format('SELECT %s', replace(call, 'N', '2000'));
  CALL remember();
  EXECUTE format('SELECT %s', replace(call, 'N', '30000')) INTO result;
  RETURN result || ', grown: ' || coalesce(grown(), 'nothing');
END $$;
SELECT swallow_many('boundary.swallow(''ereport'', N)');
SELECT swallow_many('boundary.swallow(''error'', N)');
SELECT scope, swallow_many(format('boundary.scope(%L, ''owned'', ''ereport'', N)', scope))
FROM unnest(ARRAY['owner', 'guc', 'memory', 'relation', 'snapshot', 'subtransaction']) WITH ORDINALITY AS s(scope, n)
ORDER BY n;
SELECT boundary.live();

DROP FUNCTION swallow_many(text), grown();
DROP PROCEDURE fail_and_commit(int), remember();
DROP TABLE owned, memory_before;
