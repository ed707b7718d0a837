// See partition_create.hpp.
#include "pg/postgres.hpp"

#include "partition/partition_create.hpp"

#include "pg/compat.hpp"
#include "pg/ident.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <access/table.h>
#include <storage/bufmgr.h>
#include <storage/lmgr.h>
#include <utils/timestamp.h>
}

namespace privacy_scan::partition
{

namespace
{

// Red.
bool block_count_is_zero(Oid relid)
{
    Relation rel = table_open(relid, AccessShareLock);
    bool empty = rel->rd_rel->relkind == RELKIND_RELATION && RelationGetNumberOfBlocks(rel) == 0;
    table_close(rel, AccessShareLock);
    return empty;
}

} // namespace

double ms_since(std::int64_t begun) { return static_cast<double>(GetCurrentTimestamp() - begun) / 1000.0; }

bool has_no_blocks(Oid relid)
{
    return pg::guarded([=] { return block_count_is_zero(relid); });
}

bool default_holds(pg::Spi &spi, const PartitionSet &set, Oid default_partition, const Cell &piece)
{
    if (!OidIsValid(default_partition) || has_no_blocks(default_partition))
        return false;
    const std::string key = pg::quote(set.policy().key);
    const KeyAxis &axis = set.key();
    return spi.run("SELECT EXISTS (SELECT FROM " + pg::qualified_name(default_partition) + " WHERE " + key +
                       " >= $1 AND " + key + " < $2)",
                   {pg::datum_param(axis.type(), axis.value_of(piece.lower)),
                    pg::datum_param(axis.type(), axis.value_of(piece.upper))})
        .boolean(0, 1);
}

std::int64_t clock_of(pg::Spi &spi, const PartitionSet &set, const Layout &layout, Instant at)
{
    if (set.key().is_temporal())
        return set.key().axis_of_instant(at);
    const std::string key = pg::quote(set.policy().key);
    pg::OwnerScope owner(set.table().owner);
    for (std::size_t i = layout.taken.size(); i-- > 0;) {
        pg::Rows rows = spi.run("SELECT max(" + key + ") FROM " + pg::qualified_name(layout.partitions[i]));
        if (!rows.is_null(0, 1))
            return set.key().axis_of(rows.datum(0, 1));
    }
    if (layout.taken.empty() || layout.taken.front().lower == axis_min)
        return 0;
    return layout.taken.front().lower;
}

pg::LockWait lock_for_attach(const PartitionSet &set, const Blueprint &blueprint, int parent_mode,
                             Oid default_partition)
{
    std::vector<std::pair<Oid, int>> locks;
    for (Oid relid : blueprint.related)
        locks.emplace_back(relid, ShareRowExclusiveLock);
    locks.emplace_back(set.table().relid, parent_mode);
    if (OidIsValid(default_partition))
        locks.emplace_back(default_partition, AccessExclusiveLock);
    std::vector<Oid> relids;
    for (const auto &lock : locks)
        relids.push_back(lock.first);
    pg::LockWait wait;
    auto failure = pg::try_with_locks(relids, wait, [&] {
        for (const auto &lock : locks) {
            const auto [relid, mode] = std::pair(lock.first, lock.second);
            pg::guarded([relid = relid, mode = mode] { LockRelationOid(relid, mode); });
        }
    });
    if (failure)
        pg::raise(*failure);
    return wait;
}

namespace
{

struct Made {
    Oid relid;
    std::string name;
    std::optional<Cell> bounds; // empty: the DEFAULT partition
    double ms;
};

Made make_table(pg::Spi &spi, const PartitionSet &set, const Blueprint &blueprint, const std::optional<Cell> &bounds)
{
    const TimestampTz begun = GetCurrentTimestamp();
    const std::string suffix = bounds ? set.grid().suffix(bounds->lower) : "_default";
    const std::string name = new_partition_name(set.table().relid, suffix);
    const Oid relid = create_table(spi, set, blueprint, name, WithIndexes::yes);
    return {relid, pg::qualified_name(relid), bounds, ms_since(begun)};
}

// Attaches all at once, so that the strong locks are held for the attaching alone.
pg::LockWait attach_all(pg::Spi &spi, const PartitionSet &set, const Blueprint &blueprint, const Layout &layout,
                        std::vector<Made> &made)
{
    const pg::LockWait wait = lock_for_attach(set, blueprint, ShareUpdateExclusiveLock, layout.default_partition);
    for (Made &table : made) {
        const TimestampTz begun = GetCurrentTimestamp();
        attach_table(spi, set, blueprint, table.relid, table.bounds);
        table.ms += ms_since(begun);
    }
    return wait;
}

// What create_missing() is about to make, read under the lock that keeps others from making it too.
std::vector<std::optional<Cell>> wanted(pg::Spi &spi, const PartitionSet &set, const Layout &layout, std::int64_t from,
                                        std::int64_t to)
{
    std::vector<std::optional<Cell>> bounds;
    const auto most = static_cast<std::size_t>(settings::partition_max_created());
    for (const Cell &piece : missing_pieces(set.grid(), layout.taken, from, to, most))
        if (!default_holds(spi, set, layout.default_partition, piece))
            bounds.push_back(piece);
    if (set.policy().default_partition && !OidIsValid(layout.default_partition))
        bounds.push_back(std::nullopt);
    return bounds;
}

} // namespace

std::size_t create_missing(pg::Spi &spi, const PartitionSet &set, std::int64_t from, std::int64_t to,
                           Actions &actions)
{
    const pg::OwnedTable &table = set.table();
    pg::LockWait wait;
    if (auto failure =
            pg::try_with_locks({table.relid}, wait, [&] { pg::lock_owned(table, ShareUpdateExclusiveLock); }))
        pg::raise(*failure);
    const Layout layout = set.layout();
    pg::OwnerScope owner(table.owner);
    const std::vector<std::optional<Cell>> bounds = wanted(spi, set, layout, from, to);
    if (bounds.empty())
        return 0;
    const Blueprint blueprint = read_blueprint(spi, set, layout);
    std::vector<Made> made;
    for (const std::optional<Cell> &piece : bounds)
        made.push_back(make_table(spi, set, blueprint, piece));
    const pg::LockWait attach_wait = attach_all(spi, set, blueprint, layout, made);
    wait.waited_ms += attach_wait.waited_ms;
    wait.blocked_by = attach_wait.blocked_by.empty() ? wait.blocked_by : attach_wait.blocked_by;
    for (const Made &partition : made) {
        Action action{partition.name, partition.bounds, "created", 0, partition.ms, wait, {}};
        actions.add(set, action);
        wait = {};
    }
    return made.size();
}

} // namespace privacy_scan::partition
