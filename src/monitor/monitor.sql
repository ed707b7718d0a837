-- monitor: statistics of partitioned parents, samples, growth.
CREATE TABLE privacy_scan.metric_relations (
    id          integer  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    relation    regclass NOT NULL UNIQUE,
    root_id     integer,
    inserted    bigint   NOT NULL DEFAULT 0,
    changes     bigint,
    analyzed_at timestamptz
);
COMMENT ON TABLE privacy_scan.metric_relations IS
    'The relations that run_statistics() watches: root of their family, rows inserted since the first sample, rows changed since the last ANALYZE (NULL: not known). Read privacy_scan.growth instead.';
-- Samples name a relation by this id: those of one that was dropped belong to nobody in a restored database,
-- where its OID may be another's.
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.metric_relations',
    'WHERE relation::oid IN (SELECT oid FROM pg_catalog.pg_class)');
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.metric_relations_id_seq', '');

CREATE TABLE privacy_scan.metric_leaves (
    leaf     oid    PRIMARY KEY,
    root     oid    NOT NULL,
    inserted bigint NOT NULL,
    changed  bigint NOT NULL,
    rows     bigint NOT NULL
);
CREATE INDEX metric_leaves_root ON privacy_scan.metric_leaves (root);
COMMENT ON TABLE privacy_scan.metric_leaves IS
    'The counters of each leaf as run_statistics() last saw them. Not dumped: they count within this cluster.';
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.metric_leaves', 'WHERE false');

-- A partition set of our own partition room, from the first run on; its partitions are no members of the
-- extension, so that pg_dump takes them along, and they go when this goes. It has no key and no index: a restore
-- attaches the partitions first, would get them from here, and fail at those of the dump. Each partition has its own.
CREATE TABLE privacy_scan.metric_samples (
    sampled_at          timestamptz NOT NULL,
    relation_id         integer     NOT NULL,
    bytes               bigint      NOT NULL,
    rows                bigint,
    inserted            bigint,
    connections         integer,
    active              integer,
    idle_in_transaction integer,
    max_connections     integer,
    oldest_xmin_age     bigint
) PARTITION BY RANGE (sampled_at);
COMMENT ON TABLE privacy_scan.metric_samples IS
    'The samples of run_statistics(), one row a relation and run; relation_id 0 is the database. Read privacy_scan.relation_samples and privacy_scan.database_samples instead.';
SELECT pg_catalog.pg_extension_config_dump('privacy_scan.metric_samples', '');

CREATE TYPE privacy_scan.statistics_action AS (
    relation     regclass,
    action       text,
    rows         bigint,
    bytes        bigint,
    changes      bigint,
    milliseconds double precision,
    lock_wait_ms double precision,
    blocked_by   text,
    sqlstate     text,
    message      text
);
COMMENT ON TYPE privacy_scan.statistics_action IS
    'What run_statistics() did with one relation: action (analyzed, sampled, dropped, failed, standby), estimated rows, bytes, rows changed since the last ANALYZE, time taken, time lost waiting for locks and who held them; for a failure SQLSTATE and message.';

CREATE FUNCTION privacy_scan.collect_statistics(relation regclass DEFAULT NULL, at timestamptz DEFAULT now())
RETURNS SETOF privacy_scan.statistics_action
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ps_collect_statistics';
COMMENT ON FUNCTION privacy_scan.collect_statistics(regclass, timestamptz) IS
    'Analyses partitioned parents whose leaves changed enough and takes a sample, for one relation or for all that the caller entrusted to the extension, in the caller''s transaction.';
REVOKE EXECUTE ON FUNCTION privacy_scan.collect_statistics(regclass, timestamptz) FROM PUBLIC;

CREATE PROCEDURE privacy_scan.run_statistics(relation regclass DEFAULT NULL, at timestamptz DEFAULT now())
LANGUAGE c
AS 'MODULE_PATHNAME', 'ps_run_statistics';
COMMENT ON PROCEDURE privacy_scan.run_statistics(regclass, timestamptz) IS
    'collect_statistics(), committing each relation; NOTICEs say what was analysed, a WARNING what failed.';
REVOKE EXECUTE ON PROCEDURE privacy_scan.run_statistics(regclass, timestamptz) FROM PUBLIC;

CREATE VIEW privacy_scan.relation_samples WITH (security_barrier) AS
SELECT s.sampled_at, m.relation, s.bytes, s.rows, s.inserted
FROM privacy_scan.metric_relations m
JOIN pg_class r ON r.oid = m.relation
     AND (pg_has_role(r.relowner, 'USAGE') OR has_table_privilege(r.oid, 'SELECT'))
JOIN privacy_scan.metric_samples s ON s.relation_id = m.id;
COMMENT ON VIEW privacy_scan.relation_samples IS
    'The samples of relations that the reader owns or may read: bytes with indexes and TOAST of all partitions, estimated rows, rows inserted since the first sample.';
GRANT SELECT ON privacy_scan.relation_samples TO PUBLIC;

CREATE VIEW privacy_scan.database_samples WITH (security_barrier) AS
SELECT s.sampled_at, s.bytes, s.connections, s.active, s.idle_in_transaction, s.max_connections, s.oldest_xmin_age
FROM privacy_scan.metric_samples s
WHERE s.relation_id = 0 AND pg_has_role('pg_read_all_stats', 'USAGE');
COMMENT ON VIEW privacy_scan.database_samples IS
    'The samples of the whole database, for members of pg_read_all_stats: bytes, client connections of the server by state, age in transactions of the oldest snapshot or slot.';
GRANT SELECT ON privacy_scan.database_samples TO PUBLIC;

-- Least squares over the last 30 days before a relation's newest sample. Where less is there than at the sample
-- before, something was removed: in the columns without net_ that stretch of time is left out, with what it
-- took, and the line goes on as if it had not been.
CREATE VIEW privacy_scan.growth WITH (security_barrier) AS
WITH recent AS (
    SELECT m.id, m.relation, m.root_id, s.sampled_at, s.bytes, s.rows, s.inserted,
           (extract(epoch FROM s.sampled_at - max(s.sampled_at) OVER w) / 86400)::double precision AS day,
           (extract(epoch FROM s.sampled_at - lag(s.sampled_at) OVER o) / 86400)::double precision AS days,
           s.bytes - lag(s.bytes) OVER o AS more_bytes, s.rows - lag(s.rows) OVER o AS more_rows,
           row_number() OVER (w ORDER BY s.sampled_at DESC) = 1 AS newest
    FROM privacy_scan.metric_relations m
    JOIN pg_class r ON r.oid = m.relation
         AND (pg_has_role(r.relowner, 'USAGE') OR has_table_privilege(r.oid, 'SELECT'))
    CROSS JOIN LATERAL (SELECT max(l.sampled_at) AS at FROM privacy_scan.metric_samples l WHERE l.relation_id = m.id) n
    JOIN privacy_scan.metric_samples s ON s.relation_id = m.id AND s.sampled_at >= n.at - interval '30 days'
    WINDOW w AS (PARTITION BY m.id), o AS (PARTITION BY m.id ORDER BY s.sampled_at)
), filled AS (
    SELECT *, coalesce(sum(more_bytes) FILTER (WHERE more_bytes >= 0) OVER o, 0)::double precision AS filled_bytes,
           coalesce(sum(days) FILTER (WHERE more_bytes >= 0) OVER o, 0) AS bytes_day,
           coalesce(sum(more_rows) FILTER (WHERE more_rows >= 0) OVER o, 0)::double precision AS filled_rows,
           coalesce(sum(days) FILTER (WHERE more_rows >= 0) OVER o, 0) AS rows_day
    FROM recent WINDOW o AS (PARTITION BY id ORDER BY sampled_at)
), line AS (
    SELECT id, relation, root_id, count(*) AS samples, min(sampled_at) AS first_at, max(sampled_at) AS last_at,
           max(bytes) FILTER (WHERE newest) AS bytes, max(rows) FILTER (WHERE newest) AS rows,
           count(*) >= 3 AND max(day) - min(day) >= 1 AS is_known,
           regr_slope(filled_bytes, bytes_day) AS bytes_per_day,
           regr_slope(filled_rows, rows_day) AS rows_per_day,
           regr_slope(bytes::double precision, day) AS net_bytes_per_day,
           regr_slope(rows::double precision, day) AS net_rows_per_day,
           regr_slope(inserted::double precision, day) AS inserted_per_day
    FROM filled GROUP BY id, relation, root_id
), known AS (
    SELECT id, relation, root_id, samples, first_at, last_at, bytes, rows,
           CASE WHEN is_known THEN bytes_per_day END AS bytes_per_day,
           CASE WHEN is_known THEN rows_per_day END AS rows_per_day,
           CASE WHEN is_known THEN net_bytes_per_day END AS net_bytes_per_day,
           CASE WHEN is_known THEN net_rows_per_day END AS net_rows_per_day,
           CASE WHEN is_known THEN inserted_per_day END AS inserted_per_day
    FROM line
)
SELECT k.relation, r.relation AS root, k.samples, k.first_at, k.last_at, k.bytes, k.rows,
       k.bytes_per_day, k.bytes_per_day * 7 AS bytes_per_week, k.bytes_per_day * 30 AS bytes_per_month,
       k.rows_per_day, k.rows_per_day * 7 AS rows_per_week, k.rows_per_day * 30 AS rows_per_month,
       k.net_bytes_per_day, k.net_rows_per_day, k.inserted_per_day,
       k.rows / nullif(r.rows, 0)::double precision AS rows_per_root,
       k.inserted_per_day / nullif(r.inserted_per_day, 0) AS inserted_per_root
FROM known k LEFT JOIN known r ON r.id = k.root_id;
COMMENT ON VIEW privacy_scan.growth IS
    'How fast the relations that the reader owns or may read grow, by least squares over the last 30 days of samples: bytes and rows with removals left out, and net_ with them; rows inserted per day (of a root of scans: scans per day); rows per row of the family''s root (evidence per scan). NULL before there are 3 samples over a day.';
GRANT SELECT ON privacy_scan.growth TO PUBLIC;

CREATE FUNCTION privacy_scan.forecast_growth(relation regclass, bytes bigint, net boolean DEFAULT false)
RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN g.bytes >= $2 THEN g.last_at
                WHEN g.rate > 0 AND ($2 - g.bytes) / g.rate < 36525 THEN g.last_at + ($2 - g.bytes) / g.rate * interval '1 day' END
    FROM (SELECT bytes, last_at, CASE WHEN $3 THEN net_bytes_per_day ELSE bytes_per_day END AS rate
          FROM privacy_scan.growth WHERE relation = $1) g
$$;
COMMENT ON FUNCTION privacy_scan.forecast_growth(regclass, bigint, boolean) IS
    'When a relation reaches a size at the rate in growth, or at the net rate, with removals going on; NULL where the rate isn''t known, where it doesn''t grow, or not within a hundred years.';
