-- json_populate() against jsonb_populate_record() where a document fits; where that one fails, ours gives NULL.
-- Prints a line for each type.
SET client_min_messages = warning;
SET TimeZone = 'UTC';
CREATE SCHEMA populate;
SET search_path = populate, public;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy', '12');
CREATE TYPE pair AS (a int, b text);
CREATE TABLE candidates (value jsonb);
INSERT INTO candidates
SELECT to_jsonb(t) FROM unnest(ARRAY['', ' ', '0', '1', '-1', '+7', ' 12 ', '12', '1.5', '1e3', '1_000', '0x10', 'NaN', 'nan', 'Infinity', '-inf', '+inf',
    '32767', '32768', '-32768', '2147483647', '2147483648', '9223372036854775807', '9223372036854775808', '-9223372036854775809',
    'true', 'TRUE', 't', 'f', 'yes', 'no', 'on', 'of', 'off', 'o', 'y', 'n', 'truee', ' true ', '00', 'sad', 'SAD', 'happy ', 'ok',
    'a1a2a3a4-b5b6-4788-99aa-bbccddeeff00', '{a1a2a3a4b5b6478899aabbccddeeff00}', 'A1A2A3A4B5B6478899AABBCCDDEEFF00', 'a1a2-a3a4b5b6478899aabbccddeeff00',
    'a1a2a3a4-b5b6-4788-99aa-bbccddeeff0', 'abc', 'abcde', 'abcdef', 'abcde   ', 'ééééé', 'éééééé', '12345678.99', '99999999.994', '99999999.995',
    '1e400', '1e-400', '3.5e38', '1e-46', '.5', '5.', '.', '-', '1e', '1e+', E'\t5\n', E'\u00a05', '--1', '1 2',
    '2026-11-24', '2026-02-29', '2026-11-24T10:00:00', '2026-11-24T10:00:00+02:00', '2026-11-24T10:00:00.9999999Z', '2026-11-24 23:59:60']) t
UNION ALL
SELECT n::jsonb FROM unnest(ARRAY['0', '-0', '1', '1.0', '1.5', '2.5', '-1', '32767', '32768', '-32769', '2147483647', '2147483648', '-2147483649', '1e3', '1E-1',
    '9223372036854775807', '9223372036854775808', '12345678.99', '99999999.994', '99999999.995', '-99999999.995', '100000000', '0.001', '0.004', '0.005',
    '3.4028235e38', '3.5e38', '1e-46', '1e-45', '1e400', '1e-400', '16777217', '0.1', 'true', 'false', 'null',
    '[]', '[1]', '[1, null, 2]', '["1", "x"]', '[true]', '{}', '{"a": 1}', '{"a": 1, "b": "x"}', '{"b": null}', '{"a": null, "c": 1}']) n;

-- What jsonb_populate_record gives; failed where it raises.
CREATE FUNCTION built_in(one_of text, value jsonb, OUT result text, OUT failed boolean) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SELECT (jsonb_populate_record(NULL::%I, jsonb_build_object(''f'', $1))).f::text', one_of) INTO result USING value;
    failed := false;
EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
    failed := true;
END $$;
CREATE FUNCTION ours(one_of text, value jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE format('SELECT (privacy_scan.json_populate(NULL::%I, jsonb_build_object(''f'', $1))).f::text', one_of) INTO result USING value;
    RETURN result;
END $$;

CREATE FUNCTION verdicts() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    type text;
    compared bigint;
    bad jsonb;
BEGIN
    FOREACH type IN ARRAY ARRAY['text', 'varchar', 'varchar(5)', 'char(5)', 'int2', 'int4', 'int8', 'numeric', 'numeric(10,2)', 'float4', 'float8',
                                'bool', 'uuid', 'mood', 'json', 'jsonb', 'int[]', 'text[]', 'pair', 'date', 'timestamp', 'timestamp(2)', 'timestamptz'] LOOP
        EXECUTE format('CREATE TYPE %I AS (f %s)', 'one ' || type, type);
        SELECT count(*), jsonb_agg(jsonb_build_array(value, b.result, o.result)) FILTER (WHERE o.result IS DISTINCT FROM b.result)
        INTO compared, bad
        FROM candidates, built_in('one ' || type, value) b, LATERAL (SELECT ours('one ' || type, value) AS result) o
        -- Ours take no text for an array or a row, no hexadecimal float, and no timestamptz without its offset (that one
        -- means another instant in another time zone).
        WHERE CASE WHEN type ~ '\[\]|pair' THEN NOT b.failed AND jsonb_typeof(value) <> 'string'
                   WHEN type = 'timestamptz' THEN value #>> '{}' ~ '(Z|[+-][0-9]{2}:[0-9]{2}|inf.*)$'
                   WHEN type ~ 'float' THEN value <> '"0x10"'
                   ELSE true END;
        RETURN NEXT format('%s - json_populate() of %s: %s values, %s differences', CASE WHEN bad IS NULL AND compared > 0 THEN 'ok' ELSE 'not ok' END,
                           type, compared, coalesce(jsonb_array_length(bad), 0));
        IF bad IS NOT NULL THEN
            RETURN NEXT '# value, built-in, ours: ' || bad::text;
        END IF;
    END LOOP;
END $$;
SELECT verdicts();
