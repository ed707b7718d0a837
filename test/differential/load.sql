-- One batch: the documents and pairs of DIR are loaded, what is right is computed from documents in memory by the
-- built-in operators, and ours are asked about the same documents in each form. Run by a worker in a schema of its own.
\set ON_ERROR_STOP on
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

