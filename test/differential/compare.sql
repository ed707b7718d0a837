-- After load.sql: what is right, then what ours say.
UPDATE documents SET size = pg_column_size(body::jsonb);
CREATE UNLOGGED TABLE expected AS
SELECT p.id, p.constant, p.key, p.path,
    d.doc ->> p.key AS json_text_by_key,
    whole_of(k.value) AS json_int_by_key, number_of(k.value) AS json_numeric_by_key, float_of(k.value) AS json_float8_by_key,
    truth_of(k.value) AS json_bool_by_key, instant_of(k.value) AS json_timestamptz_by_key,
    length_of(k.value) AS json_array_length_by_key,
    jsonb_typeof(d.doc) = 'object' AND d.doc ? p.key AS json_has_by_key, jsonb_typeof(k.value) AS json_type_by_key,
    d.doc #>> p.path AS json_text_by_path,
    whole_of(v.value) AS json_int_by_path, number_of(v.value) AS json_numeric_by_path, float_of(v.value) AS json_float8_by_path,
    truth_of(v.value) AS json_bool_by_path, instant_of(v.value) AS json_timestamptz_by_path,
    length_of(v.value) AS json_array_length_by_path,
    v.value IS NOT NULL AS json_has_by_path, jsonb_typeof(v.value) AS json_type_by_path,
    ARRAY(SELECT d.doc ->> one.key FROM unnest(p.path[1:8]) WITH ORDINALITY one(key, n) ORDER BY n) AS json_fields
FROM pairs p
JOIN (SELECT id, body::jsonb AS doc FROM documents OFFSET 0) d USING (id),
LATERAL (SELECT d.doc -> p.key AS value OFFSET 0) k, LATERAL (SELECT d.doc #> p.path AS value OFFSET 0) v;
CREATE INDEX ON expected (id, constant);
CREATE UNLOGGED TABLE expected_rows AS
SELECT id, CASE WHEN jsonb_typeof(doc) = 'object' THEN jsonb_populate_record(NULL::fields, doc)
           ELSE ROW(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::fields END AS row_expected
FROM (SELECT id, body::jsonb AS doc FROM documents OFFSET 0) d;
ANALYZE documents, expected, expected_rows;

-- Documents come straight from the scan: what holds or sorts them would store them in another form.
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_material = off;
DO $$
DECLARE
    f forms;
    c record;
    this_seed bigint := current_setting('differential.seed');
BEGIN
    FOR f IN SELECT * FROM forms LOOP
        PERFORM store(f, this_seed);
        ANALYZE stored;
        -- A path that changes from row to row.
        EXECUTE format('INSERT INTO differences SELECT %s, %L, g."group", r.id, r.key, r.path, unnest(r.what)
            FROM (SELECT e.id, e.key, e.path, %s AS what FROM stored d JOIN expected e USING (id) WHERE e.constant IS NULL OFFSET 0) r
            JOIN documents g USING (id)', this_seed, f.form, comparison('e.key', 'e.path'));
        -- Constants: a call site sees all documents in turn.
        FOR c IN SELECT DISTINCT constant, key, path FROM pairs WHERE constant IS NOT NULL LOOP
            EXECUTE format('INSERT INTO differences SELECT %s, %L, g."group", r.id, r.key, r.path, unnest(r.what)
                FROM (SELECT e.id, e.key, e.path, %s AS what FROM stored d JOIN expected e USING (id) WHERE e.constant = %s OFFSET 0) r
                JOIN documents g USING (id)', this_seed, f.form, comparison(quote_literal(c.key), quote_literal(c.path) || '::text[]'), c.constant);
        END LOOP;
        INSERT INTO differences SELECT this_seed, f.form, g."group", g.id, NULL, NULL, 'json_populate'
        FROM stored s JOIN expected_rows e USING (id) JOIN documents g USING (id)
        WHERE privacy_scan.json_populate(NULL::fields, s.doc)::text IS DISTINCT FROM e.row_expected::text;
        INSERT INTO results SELECT f.form, g."group", count(DISTINCT g.id), count(*)
        FROM stored s JOIN documents g USING (id) JOIN pairs p USING (id) GROUP BY g."group";
    END LOOP;
END $$;
