// See samples.hpp.
#include "pg/postgres.hpp"

#include "monitor/samples.hpp"

#include "partition/partition_maintain.hpp"
#include "pg/ident.hpp"
#include "settings/settings.hpp"

namespace privacy_scan::monitor
{

Oid samples_table()
{
    return pg::own_relation("metric_samples");
}

namespace
{

partition::Policy first_policy(Oid table)
{
    partition::Policy policy;
    policy.relid = table;
    policy.every = partition::IntervalFields{1, 0, 0};
    policy.premake = 1;
    policy.default_partition = false;
    return policy;
}

// Are the months of the instant and of the one after it there?
bool is_covered(pg::Spi &spi, Oid table, std::int64_t at)
{
    return spi
        .run("SELECT count(DISTINCT m) = 2 FROM privacy_scan.partition_bounds($1),"
             " unnest(ARRAY[$2, $2 + interval '1 month']) m WHERE m >= lower_at AND m < upper_at",
             {pg::regclass_param(table), pg::timestamptz_param(at)})
        .boolean(0, 1);
}

void make_partitions(pg::Spi &spi, Oid table, std::int64_t at)
{
    partition::Actions actions; // its rows are of no interest: a failure is raised
    if (!partition::find_policy(spi, table)) {
        partition::lock_for_change(table, actions);
        if (!partition::find_policy(spi, table))
            partition::insert_policy(spi, first_policy(table));
    }
    if (is_covered(spi, table, at))
        return;
    const partition::PartitionSet set = partition::managed_set(spi, table, actions);
    partition::maintain(spi, set, at, std::nullopt, partition::OnFailure::raise, actions);
}

// One sample of a relation at an instant, found by both.
void make_indexes(pg::Spi &spi, Oid table)
{
    pg::Rows rows = spi.run("SELECT partition::oid FROM privacy_scan.partition_bounds($1)"
                            " WHERE NOT EXISTS (SELECT FROM pg_index WHERE indrelid = partition)",
                            {pg::regclass_param(table)});
    for (std::size_t row = 0; row < rows.size(); ++row) {
        const pg::OwnedTable partition = pg::require_owner(rows.oid(row, 1));
        pg::OwnerScope owner(partition.owner);
        spi.run("CREATE UNIQUE INDEX ON " + pg::qualified_name(partition.relid) +
                " (relation_id, sampled_at)");
    }
}

std::vector<Oid> expired_partitions(pg::Spi &spi, Oid table, std::int64_t at)
{
    pg::Rows rows = spi.run(
        "SELECT partition::oid FROM privacy_scan.partition_bounds($1) WHERE upper_at <= "
        "least($2, (SELECT max(sampled_at) FROM privacy_scan.metric_samples)) - $3 * interval '1 day'",
        {pg::regclass_param(table), pg::timestamptz_param(at),
         pg::int4_param(settings::monitor_sample_days())});
    std::vector<Oid> relids;
    for (std::size_t row = 0; row < rows.size(); ++row)
        relids.push_back(rows.oid(row, 1));
    return relids;
}

} // namespace

std::int64_t maintain_samples(pg::Spi &spi, std::int64_t at)
{
    pg::CatalogScope scope;
    const Oid table = samples_table();
    make_partitions(spi, table, at);
    make_indexes(spi, table);
    const std::vector<Oid> expired = expired_partitions(spi, table, at);
    if (expired.empty())
        return 0;
    pg::LockWait wait;
    const pg::OwnedTable owned = pg::require_owner(table);
    auto failure = pg::try_with_locks({table}, wait, [&] {
        pg::lock_owned(owned, AccessExclusiveLock);
        pg::OwnerScope owner(owned.owner);
        for (Oid partition : expired)
            spi.run("DROP TABLE " + pg::qualified_name(partition));
    });
    if (failure)
        pg::raise(*failure);
    return static_cast<std::int64_t>(expired.size());
}

void add_relation_sample(pg::Spi &spi, Oid relid, const Measure &measure, std::int64_t at)
{
    pg::CatalogScope scope;
    spi.run("INSERT INTO privacy_scan.metric_samples (sampled_at, relation_id, bytes, rows, inserted)"
            " SELECT $1, id, $2, $3, inserted FROM privacy_scan.metric_relations WHERE relation = $4"
            " ON CONFLICT DO NOTHING",
            {pg::timestamptz_param(at), pg::int8_param(measure.bytes), pg::int8_param(measure.rows),
             pg::regclass_param(relid)});
}

void add_database_sample(pg::Spi &spi, std::int64_t at)
{
    pg::CatalogScope scope;
    spi.run("INSERT INTO privacy_scan.metric_samples (sampled_at, relation_id, bytes, connections, active,"
            " idle_in_transaction, max_connections, oldest_xmin_age)"
            " SELECT $1, 0, pg_database_size(current_database()), count(*), count(*) FILTER (WHERE state = "
            "'active'), count(*) FILTER (WHERE state LIKE 'idle in transaction%'),"
            " current_setting('max_connections')::integer,"
            " (SELECT max(age(x)) FROM (SELECT backend_xmin FROM pg_stat_activity UNION ALL"
            "  SELECT backend_xid FROM pg_stat_activity UNION ALL SELECT transaction FROM pg_prepared_xacts"
            "  UNION ALL SELECT xmin FROM pg_replication_slots"
            "  UNION ALL SELECT catalog_xmin FROM pg_replication_slots) AS held(x))"
            " FROM pg_stat_activity WHERE backend_type = 'client backend' ON CONFLICT DO NOTHING",
            {pg::timestamptz_param(at)});
}

} // namespace privacy_scan::monitor
