-- unique: columns that stay unique in a partition set though its key is not among them.
CREATE FUNCTION privacy_scan.check_unique() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_check_unique';
COMMENT ON FUNCTION privacy_scan.check_unique() IS
    'Behind add_unique_check(): refuses a row whose columns another row of the partition set has; waits for whoever is about to make, or to end, such a one.';

CREATE PROCEDURE privacy_scan.add_unique_check(relation regclass, VARIADIC columns name[] DEFAULT '{}')
LANGUAGE c
AS 'MODULE_PATHNAME', 'ps_add_unique_check';
COMMENT ON PROCEDURE privacy_scan.add_unique_check(regclass, name[]) IS
    'Keeps columns (default: those of the primary key without the partition key) unique in a whole partition set: from its first transaction on for what is written, after its second for all rows; where values come twice it undoes itself.';
REVOKE EXECUTE ON PROCEDURE privacy_scan.add_unique_check(regclass, name[]) FROM PUBLIC;

CREATE FUNCTION privacy_scan.drop_unique_check(relation regclass, VARIADIC columns name[] DEFAULT '{}') RETURNS integer
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_drop_unique_check';
COMMENT ON FUNCTION privacy_scan.drop_unique_check(regclass, name[]) IS
    'Ends the unique check of the columns, or all of the relation where none are named; returns how many there were.';
REVOKE EXECUTE ON FUNCTION privacy_scan.drop_unique_check(regclass, name[]) FROM PUBLIC;

CREATE FUNCTION privacy_scan.find_duplicates(relation regclass, columns name[] DEFAULT NULL, most integer DEFAULT 100)
RETURNS TABLE (key jsonb, rows bigint, partitions text)
LANGUAGE c STABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_find_duplicates';
COMMENT ON FUNCTION privacy_scan.find_duplicates(regclass, name[], integer) IS
    'Values of the columns (default: those of the primary key without the partition key) that several rows of a partition set have, how many, and the partitions they are in. Reads the whole set.';
REVOKE EXECUTE ON FUNCTION privacy_scan.find_duplicates(regclass, name[], integer) FROM PUBLIC;

CREATE VIEW privacy_scan.unique_checks WITH (security_barrier) AS
SELECT t.tgrelid::regclass AS relation, k.columns, t.tgname AS name,
       CASE WHEN t.tgenabled IN ('D', 'R') THEN 'disabled' WHEN l.gaps <> '{}' THEN 'gaps' ELSE 'kept' END AS state,
       l.partitions, l.gaps
FROM pg_trigger t JOIN pg_class r ON r.oid = t.tgrelid AND pg_has_role(r.relowner, 'USAGE'),
     LATERAL (
    SELECT array_agg(a.attname ORDER BY u.place) AS columns, array_agg(a.attname ORDER BY a.attname) AS sorted,
           EXISTS (SELECT FROM pg_trigger b WHERE b.tgrelid IN (SELECT relid FROM pg_partition_tree(t.tgrelid)) AND b.tgtype & 19 = 19) AS may_change -- BEFORE UPDATE .. FOR EACH ROW
    FROM unnest(t.tgattr::int2[]) WITH ORDINALITY AS u (number, place)
    JOIN pg_attribute a ON a.attrelid = t.tgrelid AND a.attnum = u.number) k,
     LATERAL (
    SELECT count(*) FILTER (WHERE p.isleaf) AS partitions,
           coalesce(array_agg(p.relid::regclass::text ORDER BY p.relid) FILTER (WHERE NOT EXISTS (
               SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
               WHERE i.indrelid = p.relid AND m.amname = 'btree' AND i.indisvalid AND i.indisready AND i.indpred IS NULL
                 AND k.sorted = (
                   SELECT array_agg(a.attname ORDER BY a.attname)
                   FROM unnest((i.indkey::int2[])[0:cardinality(k.sorted) - 1]) WITH ORDINALITY AS u (number, place)
                   JOIN pg_attribute a ON a.attrelid = p.relid AND a.attnum = u.number
                    AND a.attcollation = i.indcollation[u.place::integer - 1]
                   JOIN pg_opclass o ON o.oid = i.indclass[u.place::integer - 1] AND o.opcdefault
                   WHERE u.place <= i.indnkeyatts))
             OR NOT EXISTS (
               SELECT FROM pg_trigger c WHERE c.tgrelid = p.relid AND c.tgname = t.tgname AND c.tgfoid = t.tgfoid
                 AND (c.tgenabled IN ('O', 'A') OR p.level = 0))
             OR p.level = 0 AND k.may_change AND NOT EXISTS (
               SELECT FROM pg_trigger c WHERE c.tgrelid = p.relid AND c.tgfoid = t.tgfoid AND c.tgenabled IN ('O', 'A')
                 AND c.tgargs = convert_to(t.tgname::text, getdatabaseencoding()) || '\x00'::bytea)), '{}') AS gaps
    FROM pg_partition_tree(t.tgrelid) p WHERE p.isleaf OR p.level = 0) l
WHERE t.tgfoid = 'privacy_scan.check_unique()'::regprocedure AND t.tgparentid = 0 AND k.columns IS NOT NULL;
COMMENT ON VIEW privacy_scan.unique_checks IS
    'The unique checks of the reader''s own partition sets: columns, trigger, state (kept, disabled, gaps), how many partitions it looks into, and those in which it has no index or does not run.';
GRANT SELECT ON privacy_scan.unique_checks TO PUBLIC;
