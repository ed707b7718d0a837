// See measure.hpp.
#include "pg/postgres.hpp"

#include "monitor/measure.hpp"

#include "monitor/analyze_plan.hpp"

namespace privacy_scan::monitor
{

namespace
{

// Makes sure that the relation and the partitioned ones below it are known, and takes the turn.
void take_turn(pg::Spi &spi, const Watched &watched)
{
    spi.run("INSERT INTO privacy_scan.metric_relations (relation)"
            " SELECT $1 UNION SELECT relid FROM pg_catalog.pg_partition_tree($1) WHERE NOT isleaf"
            " ON CONFLICT DO NOTHING",
            {pg::regclass_param(watched.relid)});
    spi.run("SELECT FROM privacy_scan.metric_relations WHERE relation = $1 FOR UPDATE",
            {pg::regclass_param(watched.relid)});
    if (!OidIsValid(watched.root))
        return;
    spi.run("INSERT INTO privacy_scan.metric_relations (relation) VALUES ($1) ON CONFLICT DO NOTHING",
            {pg::regclass_param(watched.root)});
    spi.run("UPDATE privacy_scan.metric_relations m SET root_id = r.id FROM privacy_scan.metric_relations r"
            " WHERE m.relation = $1 AND r.relation = $2 AND m.root_id IS DISTINCT FROM r.id",
            {pg::regclass_param(watched.relid), pg::regclass_param(watched.root)});
}

// The counters of a leaf only ever grow, whatever autovacuum does to it, until they are reset or lost in a
// crash. Then nobody knows what changed, and the parents are due. What no counter shows (TRUNCATE, a
// partition attached or gone) shows in the number of rows. Rows: the live ones by the counters; where these
// were lost since the leaf was last vacuumed or analysed, as the planner has it: by density and size.
constexpr const char *measure_sql = R"sql(
WITH leaf AS MATERIALIZED (
    SELECT c.oid, pg_total_relation_size(c.oid) AS bytes,
           pg_stat_get_tuples_inserted(c.oid) AS inserted,
           pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid)
               + pg_stat_get_tuples_deleted(c.oid) AS changed,
           CASE WHEN c.reltuples > 0 AND c.relpages > 0 AND num_nonnulls(
                    pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid),
                    pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)) = 0
                THEN (c.reltuples::float8 / c.relpages * (pg_relation_size(c.oid)
                      / current_setting('block_size')::bigint))::bigint
                ELSE pg_stat_get_live_tuples(c.oid) END AS rows,
           (SELECT o.option_value::float8 FROM pg_options_to_table(c.reloptions) o
            WHERE o.option_name = 'autovacuum_analyze_threshold') AS threshold,
           (SELECT o.option_value::float8 FROM pg_options_to_table(c.reloptions) o
            WHERE o.option_name = 'autovacuum_analyze_scale_factor') AS factor
    FROM pg_class c
    WHERE c.oid IN (SELECT relid FROM pg_partition_tree($1) WHERE isleaf UNION ALL SELECT $1)
      AND c.relkind <> 'p'
), delta AS MATERIALIZED (
    SELECT l.*, coalesce(l.changed < m.changed, false) AS is_reset,
           CASE WHEN l.inserted >= m.inserted THEN l.inserted - m.inserted ELSE l.inserted END AS more_inserted,
           greatest(l.changed - coalesce(m.changed, 0), abs(l.rows - coalesce(m.rows, 0))) AS more_changed
    FROM leaf l LEFT JOIN privacy_scan.metric_leaves m ON m.leaf = l.oid
), stored AS (
    INSERT INTO privacy_scan.metric_leaves AS m (leaf, root, inserted, changed, rows)
    SELECT oid, $1, inserted, changed, rows FROM delta ORDER BY oid
    ON CONFLICT (leaf) DO UPDATE SET root = excluded.root, inserted = excluded.inserted,
        changed = excluded.changed, rows = excluded.rows
    WHERE (m.root, m.inserted, m.changed, m.rows)
        IS DISTINCT FROM (excluded.root, excluded.inserted, excluded.changed, excluded.rows)
), gone AS (
    DELETE FROM privacy_scan.metric_leaves WHERE root = $1 AND leaf NOT IN (SELECT oid FROM leaf)
    RETURNING rows
), tree AS (
    SELECT p.relid, p.level, d.* FROM pg_partition_tree($1) p
    JOIN LATERAL pg_partition_tree(p.relid) l ON l.isleaf JOIN delta d ON d.oid = l.relid WHERE NOT p.isleaf
    UNION ALL SELECT $1, 0, d.* FROM delta d WHERE d.oid = $1
), total AS (
    SELECT m.id, m.relation, t.level, sum(t.bytes)::bigint AS bytes, sum(t.rows)::bigint AS rows,
           sum(t.more_inserted)::bigint AS more_inserted, bool_or(t.is_reset) AS is_reset,
           sum(t.more_changed)::bigint
               + CASE t.level WHEN 0 THEN (SELECT coalesce(sum(rows), 0)::bigint FROM gone) ELSE 0 END AS more_changed,
           coalesce(max(t.threshold), current_setting('autovacuum_analyze_threshold')::float8) AS base_threshold,
           sum(t.rows * coalesce(t.factor, current_setting('autovacuum_analyze_scale_factor')::float8)) AS part_of_rows
    FROM tree t JOIN privacy_scan.metric_relations m ON m.relation = t.relid GROUP BY m.id, t.level
), changed AS (
    UPDATE privacy_scan.metric_relations m SET inserted = m.inserted + t.more_inserted,
        changes = CASE WHEN t.is_reset THEN NULL
                       WHEN pg_stat_get_last_analyze_time(m.relation) > m.analyzed_at THEN t.more_changed
                       ELSE m.changes + t.more_changed END,
        analyzed_at = greatest(m.analyzed_at, pg_stat_get_last_analyze_time(m.relation))
    FROM total t WHERE m.id = t.id RETURNING m.id, m.changes
)
SELECT t.relation::oid, t.bytes, t.rows, c.changes, r.relkind = 'p', t.base_threshold, t.part_of_rows
FROM total t JOIN changed c ON c.id = t.id JOIN pg_class r ON r.oid = t.relation ORDER BY t.level, t.id
)sql";

// Of a row of that statement.
TreeCounts counts_of(const pg::Rows &rows, std::size_t row)
{
    TreeCounts counts;
    counts.is_partitioned = rows.boolean(row, 5);
    if (!rows.is_null(row, 4))
        counts.changes = rows.int8(row, 4);
    counts.rows = rows.int8(row, 3);
    counts.base_threshold = rows.float8(row, 6);
    counts.part_of_rows = rows.float8(row, 7);
    return counts;
}

} // namespace

Measure measure(pg::Spi &spi, const Watched &watched)
{
    const pg::OwnedTable table = pg::require_owner(watched.relid);
    pg::OwnerScope limits(table.owner); // for its lock_timeout, also on the locks of the tree
    pg::CatalogScope scope;
    take_turn(spi, watched);
    pg::Rows rows = spi.run(measure_sql, {pg::regclass_param(watched.relid)});
    Measure result{0, 0, {}, std::nullopt};
    for (std::size_t row = 0; row < rows.size(); ++row) {
        const TreeCounts counts = counts_of(rows, row);
        if (is_analyze_due(counts))
            result.due.push_back(rows.oid(row, 1));
        if (rows.oid(row, 1) != watched.relid)
            continue;
        result.bytes = rows.int8(row, 2);
        result.rows = counts.rows;
        result.changes = counts.changes;
    }
    return result;
}

void set_analyzed(pg::Spi &spi, Oid relid)
{
    pg::CatalogScope scope;
    spi.run("UPDATE privacy_scan.metric_relations SET changes = 0, analyzed_at = clock_timestamp()"
            " WHERE relation = $1",
            {pg::regclass_param(relid)});
}

} // namespace privacy_scan::monitor
