-- A batch: documents and pairs come in, in a schema of the worker's own. compare.sql goes on.
SET client_min_messages = warning;
SET work_mem = '128MB';
SET TimeZone = 'UTC';
SET synchronous_commit = off;
SET max_parallel_workers_per_gather = 0;
CREATE SCHEMA IF NOT EXISTS :worker;
SET search_path = :worker, public;

DROP TABLE IF EXISTS documents, pairs, expected, expected_rows;
CREATE UNLOGGED TABLE documents (id int, "group" text, body text, size int);
CREATE UNLOGGED TABLE pairs (id int, constant int, key text, path text[]);
