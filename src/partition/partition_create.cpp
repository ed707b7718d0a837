// See partition_create.hpp.
#include "pg/postgres.hpp"

#include "partition/partition_create.hpp"

#include "pg/clock.hpp"
#include "pg/compat.hpp"
#include "pg/ident.hpp"
#include "pg/strong_lock.hpp"
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
    return spi
        .run("SELECT EXISTS (SELECT FROM " + pg::qualified_name(default_partition) + " WHERE " + key +
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

void lock_for_attach(const PartitionSet &set, const Blueprint &blueprint, int parent_mode,
                     Oid default_partition, pg::LockWait &wait, const std::function<void()> &check,
                     const std::function<void()> &prepare)
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
    auto failure = pg::try_with_locks(relids, wait, [&] {
        if (prepare)
            prepare();
        for (const auto &lock : locks) {
            const auto [relid, mode] = std::pair(lock.first, lock.second);
            pg::guarded([relid = relid, mode = mode] {
                pg::note_lock(mode);
                LockRelationOid(relid, mode);
            });
        }
        if (check)
            check();
    });
    if (failure)
        pg::raise(*failure);
}

namespace
{

Made make_table(pg::Spi &spi, const PartitionSet &set, const Blueprint &blueprint,
                const std::optional<Cell> &bounds)
{
    const TimestampTz begun = GetCurrentTimestamp();
    const std::string suffix = bounds ? set.grid().suffix(bounds->lower) : "_default";
    const std::string name = new_partition_name(set.table().relid, suffix);
    const Oid relid = create_table(spi, set.table().relid, blueprint, name, WithIndexes::yes);
    return {relid, pg::qualified_name(relid), bounds, pg::ms_since(begun)};
}

// A piece of which DEFAULT holds rows is left to draining.
std::vector<std::optional<Cell>> wanted(pg::Spi &spi, const PartitionSet &set, const Layout &layout,
                                        const std::vector<Cell> &ranges)
{
    std::vector<std::optional<Cell>> bounds;
    const auto most = static_cast<std::size_t>(settings::partition_max_created());
    for (const Cell &range : ranges)
        for (const Cell &piece :
             missing_pieces(set.grid(), layout.taken, range.lower, range.upper, most - bounds.size()))
            if (!default_holds(spi, set, layout.default_partition, piece))
                bounds.push_back(piece);
    return bounds;
}

// True where the draining, or a row that came to DEFAULT meanwhile, was faster.
bool is_overtaken(pg::Spi &spi, const PartitionSet &set, const Layout &layout, const Made &table)
{
    return table.bounds && (overlaps(layout.taken, *table.bounds) ||
                            default_holds(spi, set, layout.default_partition, *table.bounds));
}

} // namespace

PartitionBatch make_missing(pg::Spi &spi, const PartitionSet &set, const std::vector<Cell> &ranges,
                            WithDefault with_default)
{
    const Layout layout = set.layout();
    pg::OwnerScope owner(set.table().owner);
    std::vector<std::optional<Cell>> bounds = wanted(spi, set, layout, ranges);
    if (with_default == WithDefault::yes && set.policy().default_partition &&
        !OidIsValid(layout.default_partition))
        bounds.push_back(std::nullopt);
    PartitionBatch batch;
    if (bounds.empty())
        return batch;
    batch.blueprint = read_blueprint(spi, set, layout);
    for (const std::optional<Cell> &piece : bounds)
        batch.made.push_back(make_table(spi, set, batch.blueprint, piece));
    return batch;
}

void attach_batch(pg::Spi &spi, const PartitionSet &set, const PartitionBatch &batch, int parent_mode,
                  Actions &actions)
{
    if (batch.made.empty())
        return;
    pg::OwnerScope owner(set.table().owner);
    const Layout layout = set.layout();
    lock_for_attach(set, batch.blueprint, parent_mode, layout.default_partition, actions.wait());
    for (const Made &table : batch.made) {
        if (is_overtaken(spi, set, layout, table)) {
            spi.run("DROP TABLE " + table.name);
            continue;
        }
        const TimestampTz begun = GetCurrentTimestamp();
        attach_table(spi, set, batch.blueprint, table.relid, table.bounds);
        actions.add(set, {table.name, table.bounds, "created", 0, table.ms + pg::ms_since(begun), {}});
    }
}

void drop_batch(pg::Spi &spi, const PartitionSet &set, const PartitionBatch &batch)
{
    pg::OwnerScope owner(set.table().owner);
    for (const Made &table : batch.made)
        spi.run("DROP TABLE " + table.name);
}

} // namespace privacy_scan::partition
