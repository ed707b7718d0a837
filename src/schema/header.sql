\echo Use "CREATE EXTENSION privacy_scan" to load this file. \quit

-- Assembled from the rooms' .sql files by the Makefile. Every object is named with its schema and created
-- plainly: an object of that name that is there already is an error, never adopted.
SET LOCAL search_path = pg_catalog, pg_temp;

