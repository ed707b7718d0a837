-- Hands the two relations that grow to privacy_scan: months, from the first of the history to four ahead.
CREATE EXTENSION privacy_scan;

SELECT m.relation, count(*) FILTER (WHERE m.sqlstate IS NULL) AS partitions,
       min(m.lower_bound) AS "from", max(m.upper_bound) AS "to", round(sum(m.milliseconds)::numeric) AS ms
FROM (VALUES ('"Evidence"'::regclass), ('"Issue"')) AS r(relation),
     LATERAL privacy_scan.manage_partitions(r.relation, 'createdAt', '1 month', start => :'first_month'::timestamptz) AS m
GROUP BY m.relation;
