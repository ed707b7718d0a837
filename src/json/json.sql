-- json: one field of a document at the price of that field.
-- A call is dearer than an operator on a number: cheaper conditions are to be tried first. 10 is about what one
-- costs on a document in the row; on one that is fetched the planner cannot know.

CREATE FUNCTION privacy_scan.json_text(doc jsonb, key text) RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'ps_json_text';
COMMENT ON FUNCTION privacy_scan.json_text(jsonb, text) IS
    'The value of a key as text, as doc ->> key gives it, read without the rest of the document.';

CREATE FUNCTION privacy_scan.json_text(doc jsonb, VARIADIC path text[]) RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'ps_json_text_path';
COMMENT ON FUNCTION privacy_scan.json_text(jsonb, text[]) IS
    'The value at a path as text, as doc #>> path gives it, read without the rest of the document.';

CREATE FUNCTION privacy_scan.json_int(doc jsonb, key text) RETURNS bigint
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'ps_json_int';
COMMENT ON FUNCTION privacy_scan.json_int(jsonb, text) IS
    'The whole number at a key; NULL where there is none or bigint cannot hold it. Never an error.';

CREATE FUNCTION privacy_scan.json_int(doc jsonb, VARIADIC path text[]) RETURNS bigint
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'ps_json_int_path';
COMMENT ON FUNCTION privacy_scan.json_int(jsonb, text[]) IS
    'The whole number at a path; NULL where there is none or bigint cannot hold it. Never an error.';

CREATE FUNCTION privacy_scan.json_numeric(doc jsonb, key text) RETURNS numeric
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'ps_json_numeric';
COMMENT ON FUNCTION privacy_scan.json_numeric(jsonb, text) IS
    'The number at a key; NULL where there is none. Never an error.';

CREATE FUNCTION privacy_scan.json_numeric(doc jsonb, VARIADIC path text[]) RETURNS numeric
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'ps_json_numeric_path';
COMMENT ON FUNCTION privacy_scan.json_numeric(jsonb, text[]) IS
    'The number at a path; NULL where there is none. Never an error.';

CREATE FUNCTION privacy_scan.json_float8(doc jsonb, key text) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'ps_json_float8';
COMMENT ON FUNCTION privacy_scan.json_float8(jsonb, text) IS
    'The number at a key as double precision; NULL where there is none or it is out of range. Never an error.';

CREATE FUNCTION privacy_scan.json_float8(doc jsonb, VARIADIC path text[]) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'ps_json_float8_path';
COMMENT ON FUNCTION privacy_scan.json_float8(jsonb, text[]) IS
    'The number at a path as double precision; NULL where there is none or it is out of range. Never an error.';

CREATE FUNCTION privacy_scan.json_bool(doc jsonb, key text) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'ps_json_bool';
COMMENT ON FUNCTION privacy_scan.json_bool(jsonb, text) IS
    'True or false at a key; NULL where it is anything else. Never an error.';

CREATE FUNCTION privacy_scan.json_bool(doc jsonb, VARIADIC path text[]) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'ps_json_bool_path';
COMMENT ON FUNCTION privacy_scan.json_bool(jsonb, text[]) IS
    'True or false at a path; NULL where it is anything else. Never an error.';

CREATE FUNCTION privacy_scan.json_timestamptz(doc jsonb, key text) RETURNS timestamptz
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'ps_json_timestamptz';
COMMENT ON FUNCTION privacy_scan.json_timestamptz(jsonb, text) IS
    'The instant at a key, a string as RFC 3339 has it, with its offset; NULL where it is anything else. Never an error.';

CREATE FUNCTION privacy_scan.json_timestamptz(doc jsonb, VARIADIC path text[]) RETURNS timestamptz
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'ps_json_timestamptz_path';
COMMENT ON FUNCTION privacy_scan.json_timestamptz(jsonb, text[]) IS
    'The instant at a path, a string as RFC 3339 has it, with its offset; NULL where it is anything else. Never an error.';

CREATE FUNCTION privacy_scan.json_array_length(doc jsonb, key text) RETURNS integer
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'ps_json_array_length';
COMMENT ON FUNCTION privacy_scan.json_array_length(jsonb, text) IS
    'The number of elements of the array at a key; NULL where it is no array. Never an error.';

CREATE FUNCTION privacy_scan.json_array_length(doc jsonb, VARIADIC path text[]) RETURNS integer
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'ps_json_array_length_path';
COMMENT ON FUNCTION privacy_scan.json_array_length(jsonb, text[]) IS
    'The number of elements of the array at a path; NULL where it is no array. Never an error.';

CREATE FUNCTION privacy_scan.json_has(doc jsonb, key text) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'ps_json_has';
COMMENT ON FUNCTION privacy_scan.json_has(jsonb, text) IS
    'Is there such a key in the document, be its value null?';

CREATE FUNCTION privacy_scan.json_has(doc jsonb, VARIADIC path text[]) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'ps_json_has_path';
COMMENT ON FUNCTION privacy_scan.json_has(jsonb, text[]) IS
    'Is there a value at the path, be it null?';

CREATE FUNCTION privacy_scan.json_type(doc jsonb, key text) RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'ps_json_type';
COMMENT ON FUNCTION privacy_scan.json_type(jsonb, text) IS
    'The type of the value at a key, as jsonb_typeof names it; NULL where there is none.';

CREATE FUNCTION privacy_scan.json_type(doc jsonb, VARIADIC path text[]) RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'ps_json_type_path';
COMMENT ON FUNCTION privacy_scan.json_type(jsonb, text[]) IS
    'The type of the value at a path, as jsonb_typeof names it; NULL where there is none.';

CREATE FUNCTION privacy_scan.json_fields(doc jsonb, VARIADIC keys text[]) RETURNS text[]
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 20 AS 'MODULE_PATHNAME', 'ps_json_fields';
COMMENT ON FUNCTION privacy_scan.json_fields(jsonb, text[]) IS
    'The values of several keys as text, each as doc ->> key gives it, in the order of the keys and in one pass.';

CREATE FUNCTION privacy_scan.json_populate(base anyelement, doc jsonb) RETURNS anyelement
LANGUAGE c IMMUTABLE PARALLEL SAFE COST 20 AS 'MODULE_PATHNAME', 'ps_json_populate';
COMMENT ON FUNCTION privacy_scan.json_populate(anyelement, jsonb) IS
    'A row of a composite type from a document, in one pass: as jsonb_populate_record where the document fits, NULL in a field where it does not.';

CREATE FUNCTION privacy_scan.json_profile(
    relation regclass, "column" name, sample_rows integer DEFAULT 10000,
    OUT path text, OUT depth integer, OUT present double precision, OUT types jsonb, OUT distinct_values bigint,
    OUT width_avg double precision, OUT width_max integer, OUT sampled_rows bigint)
RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'ps_json_profile';
COMMENT ON FUNCTION privacy_scan.json_profile(regclass, name, integer) IS
    'What a sample of a jsonb column holds: a row for each path (as jsonpath writes it) with the share of documents that have it, the types there, an estimate of its distinct values in the sample, widths in bytes; never a value. Reads as the caller.';
