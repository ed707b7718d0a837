-- plpgsql: a table that is rewritten and dropped in the function that reads it, loops that catch errors, procedures that commit.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ps_json_plpgsql;
SET search_path = ps_json_plpgsql;
CREATE FUNCTION fill(relation regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO %s SELECT n, jsonb_build_object(''a'', (SELECT string_agg(md5(n || ''/'' || i), '''') FROM generate_series(1, 300) i), ''z'', n) FROM generate_series(1, 20) n', relation);
END $$;

-- ALTER TYPE, TRUNCATE and DROP between uses, all in one call.
CREATE TABLE t (n int, doc jsonb);
CREATE FUNCTION hazards() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    d jsonb;
    sums bigint[];
BEGIN
    PERFORM fill('t');
    sums := sums || (SELECT sum(privacy_scan.json_int(doc, 'z'))::bigint FROM t);
    SELECT doc INTO d FROM t WHERE n = 7;
    sums := sums || privacy_scan.json_int(d, 'z');
    ALTER TABLE t ALTER n TYPE bigint;
    sums := sums || (SELECT sum(privacy_scan.json_int(doc, 'z'))::bigint FROM t);
    TRUNCATE t;
    PERFORM fill('t');
    sums := sums || (SELECT sum(privacy_scan.json_int(doc, 'z'))::bigint FROM t);
    DROP TABLE t;
    RETURN sums;
END $$;
SELECT hazards();
CREATE TABLE t (n int, doc jsonb);
SELECT fill('t');

-- A loop over the table, whose body reads it, too, and catches errors.
CREATE FUNCTION nested() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    r record;
    total bigint := 0;
BEGIN
    FOR r IN SELECT doc, privacy_scan.json_int(doc, 'z') AS z FROM t LOOP
        BEGIN
            total := total + r.z + (SELECT privacy_scan.json_int(doc, 'z') FROM t WHERE n = r.z);
            PERFORM 1 / (r.z - 3);
        EXCEPTION WHEN division_by_zero THEN
            total := total + privacy_scan.json_int(r.doc, 'z');
        END;
    END LOOP;
    RETURN total;
END $$;
SELECT nested();

-- COMMIT and ROLLBACK of a procedure between uses, with the table rewritten in between.
CREATE PROCEDURE steps(INOUT sums bigint[]) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 3 LOOP
        sums := sums || (SELECT sum(privacy_scan.json_int(doc, 'z'))::bigint FROM t);
        COMMIT;
        ALTER TABLE t ALTER n TYPE numeric;
        ALTER TABLE t ALTER n TYPE int;
        sums := sums || (SELECT sum(privacy_scan.json_int(doc, 'z'))::bigint FROM t);
        DELETE FROM t;
        sums := sums || (SELECT count(privacy_scan.json_int(doc, 'z')) FROM t);
        ROLLBACK;
    END LOOP;
END $$;
CALL steps('{}');
DROP SCHEMA ps_json_plpgsql CASCADE;
