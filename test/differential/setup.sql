-- What the workers share: results, differences, and built-in casts that give NULL where they would fail.
CREATE EXTENSION privacy_scan;
CREATE TABLE results (form text, "group" text, documents bigint, pairs bigint);
CREATE TABLE differences (seed bigint, form text, "group" text, document int, key text, path text[], what text);
CREATE TABLE wrong_forms (seed bigint, form text, what text);

CREATE FUNCTION float8_or_null(written text) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN written::float8;
EXCEPTION WHEN numeric_value_out_of_range THEN
    RETURN NULL;
END $$;

CREATE FUNCTION instant_or_null(written text) RETURNS timestamptz LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN written::timestamptz;
EXCEPTION WHEN datetime_field_overflow OR invalid_datetime_format OR invalid_time_zone_displacement_value THEN
    RETURN NULL;
END $$;

-- What the typed functions have to give, by built-in means alone.
CREATE FUNCTION whole_of(value jsonb) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_typeof(value) = 'number' THEN
        CASE WHEN value::numeric = trunc(value::numeric)
              AND value::numeric BETWEEN -9223372036854775808 AND 9223372036854775807 THEN value::numeric::bigint END END $$;
CREATE FUNCTION number_of(value jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_typeof(value) = 'number' THEN value::numeric::text END $$;
CREATE FUNCTION float_of(value jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_typeof(value) = 'number' THEN
        CASE WHEN value::numeric = 0 OR abs(value::numeric) BETWEEN 1e-300 AND 1e300 THEN value::text::float8::text
             ELSE float8_or_null(value::text)::text END END $$;
CREATE FUNCTION truth_of(value jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_typeof(value) = 'boolean' THEN value::boolean END $$;
CREATE FUNCTION instant_of(value jsonb) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_typeof(value) = 'string'
         AND value #>> '{}' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]([01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}([.][0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$'
         THEN instant_or_null(value #>> '{}') END $$;
CREATE FUNCTION length_of(value jsonb) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_typeof(value) = 'array' THEN jsonb_array_length(value) END $$;

-- Columns that every value fits; what fits others is in populate.sql.
CREATE TYPE fields AS (domain text, "0" jsonb, x jsonb, "a b" text, score text, "policyText" text, cookies jsonb, "é" text, k1 json);

-- Takes the documents of a form, in a relation, and says which columns of ours differ from what is expected. key and
-- path are SQL: columns of the expected pair, or constants.
CREATE FUNCTION comparison(key text, path text) RETURNS text LANGUAGE sql AS $$
    SELECT format('array_remove(ARRAY[%s], NULL)', string_agg(
        format('CASE WHEN privacy_scan.%s(d.doc, %s)%s IS DISTINCT FROM e.%s THEN %L END',
               f.name, CASE by WHEN 'key' THEN key ELSE 'VARIADIC ' || path END, f.compared_as, f.name || '_by_' || by, f.name || '(' || by || ')'), ', '))
        || format(' || CASE WHEN privacy_scan.json_fields(d.doc, VARIADIC (%s)[1:8]) IS DISTINCT FROM e.json_fields THEN ARRAY[%L] ELSE %L END', path, 'json_fields', '{}')
    FROM (VALUES ('json_text', ''), ('json_int', ''), ('json_numeric', '::text'), ('json_float8', '::text'), ('json_bool', ''),
                 ('json_timestamptz', ''), ('json_array_length', ''), ('json_has', ''), ('json_type', '')) f(name, compared_as),
         unnest(ARRAY['key', 'path']) by
$$;

-- The forms in which a document is stored. All but two need a tuple that is too large: a filler beside it sees to it.
CREATE TABLE forms (form text, storage text, compression text, is_external boolean, filler text, least int, most int);
INSERT INTO forms VALUES
    ('short header', 'EXTERNAL', NULL, false, '', 0, 130),
    ('plain', 'PLAIN', NULL, false, '', 0, 7900),
    ('inline pglz', 'MAIN', 'pglz', false, repeat('x', 2100), 40, 1000000000),
    ('inline lz4', 'MAIN', 'lz4', false, repeat('x', 2100), 40, 1000000000),
    ('external raw', 'EXTERNAL', NULL, true, repeat('x', 2100), 40, 1000000000),
    ('external pglz', 'EXTENDED', 'pglz', true, repeat('x', 2100), 40, 1000000000),
    ('external lz4', 'EXTENDED', 'lz4', true, repeat('x', 2100), 40, 1000000000);

-- Stores the documents in a form, drops those that did not take it, and proves that the others did.
CREATE FUNCTION store(f forms, seed bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    toast regclass;
    wrong bigint;
    values_outside bigint;
    documents bigint;
BEGIN
    DROP TABLE IF EXISTS stored;
    CREATE UNLOGGED TABLE stored (id int, doc jsonb, filler text);
    ALTER TABLE stored ALTER filler SET STORAGE PLAIN;
    EXECUTE format('ALTER TABLE stored ALTER doc SET STORAGE %s', f.storage);
    IF f.compression IS NOT NULL THEN
        EXECUTE format('ALTER TABLE stored ALTER doc SET COMPRESSION %s', f.compression);
    END IF;
    INSERT INTO stored SELECT id, CASE WHEN f.form <> 'plain' THEN body::jsonb END, f.filler || ''
    FROM documents WHERE size BETWEEN f.least AND f.most;
    -- INSERT shortens the header of a small one whatever the column says; UPDATE asks the column.
    IF f.form = 'plain' THEN
        UPDATE stored s SET doc = d.body::jsonb FROM documents d WHERE d.id = s.id;
    END IF;
    -- The compressed forms: what could not be compressed enough, or stands in the other place.
    DELETE FROM stored WHERE pg_column_compression(doc) IS DISTINCT FROM f.compression
        OR f.is_external AND pg_column_size(doc) <= 40
        OR NOT f.is_external AND f.compression IS NOT NULL AND pg_column_size(doc) > 5700;

    SELECT reltoastrelid::regclass INTO toast FROM pg_class WHERE oid = 'stored'::regclass;
    values_outside := 0;
    IF toast <> 0 THEN
        EXECUTE format('SELECT count(DISTINCT chunk_id) FROM %s', toast) INTO values_outside;
    END IF;
    -- Sizes are taken before the join, which would copy the documents.
    SELECT count(*), count(*) FILTER (WHERE s.compression IS DISTINCT FROM f.compression OR
        CASE f.form WHEN 'short header' THEN s.size <> d.size - 3 OR s.size > 127
                    WHEN 'plain' THEN s.size <> d.size
                    WHEN 'external raw' THEN s.size <> d.size - 4
                    ELSE s.size >= d.size END)
    INTO documents, wrong
    FROM (SELECT id, pg_column_size(doc) AS size, pg_column_compression(doc) AS compression FROM stored OFFSET 0) s
    JOIN documents d USING (id);
    IF wrong > 0 OR documents = 0 OR values_outside <> (CASE WHEN f.is_external THEN documents ELSE 0 END) THEN
        INSERT INTO wrong_forms VALUES (seed, f.form, format('%s documents, %s of another form, %s in the TOAST relation',
                                                            documents, wrong, values_outside));
    END IF;
END $$;
