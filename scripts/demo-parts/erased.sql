-- The ids that an erasure of the families of a site is to take, for the proof.
SELECT format('"normalizedInput" = %L', :'site') AS condition \gset
SELECT format('"scanId" = ANY (%L)', array_agg(id)) AS children FROM privacy_scan.archived_rows(NULL::"Scan", :'condition') \gset
CREATE TABLE demo.erased AS
SELECT 'Scan' AS relation, id FROM privacy_scan.archived_rows(NULL::"Scan", :'condition')
UNION ALL
SELECT 'Evidence', id FROM privacy_scan.archived_rows(NULL::"Evidence", :'children')
UNION ALL
SELECT 'Issue', id FROM privacy_scan.archived_rows(NULL::"Issue", :'children');
