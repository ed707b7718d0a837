// See emptied.hpp.
#include "pg/postgres.hpp"

#include "retention/emptied.hpp"

#include "partition/partition_create.hpp"
#include "pg/ident.hpp"
#include "pg/lock.hpp"
#include "pg/subxact.hpp"

extern "C" {
#include <catalog/partition.h>
#include <utils/lsyscache.h>
}

namespace privacy_scan::retention
{

// An integer key knows no time. What an older partition of a set is left with stays on its own.
void EmptiedRun::find_in(pg::Spi &spi, const Member &member)
{
    const std::optional<partition::Policy> policy = partition::find_policy(spi, member.table.relid);
    if (!policy)
        return;
    const partition::PartitionSet set(member.table, *policy);
    if (!set.key().is_temporal())
        return;
    pg::OwnerScope owner(member.table.owner);
    const std::int64_t end = set.key().axis_of_instant(work_.cutoff.instant);
    const partition::Layout layout = set.layout();
    for (std::size_t i = 0; i < layout.taken.size() && layout.taken[i].upper <= end; ++i)
        if (partition::has_no_blocks(layout.partitions[i]))
            partitions_.push_back({member.table, pg::require_owner(layout.partitions[i])});
}

void EmptiedRun::find(pg::Spi &spi)
{
    for (const Member &member : work_.family.members)
        if (!member.has_children && !member.has_spared)
            find_in(spi, member);
    std::reverse(partitions_.begin(), partitions_.end());
}

// False where it is not to be dropped any more.
bool EmptiedRun::drop(pg::Spi &spi, const Emptied &emptied) const
{
    const Oid parent = emptied.set.relid, relid = emptied.table.relid;
    pg::lock_owned(emptied.set, AccessExclusiveLock);
    pg::lock_owned(emptied.table, AccessExclusiveLock);
    const bool is_emptied = partition::has_no_blocks(relid) && pg::guarded([=] {
        return get_rel_relispartition(relid) && get_partition_parent(relid, false) == parent;
    });
    if (is_emptied)
        spi.run("DROP TABLE " + pg::qualified_name(relid));
    return is_emptied;
}

void EmptiedRun::step(pg::Spi &spi, std::vector<std::string> &news)
{
    if (!std::exchange(is_found_, true)) {
        if (const auto failure = pg::try_in_subtransaction([&] { find(spi); }))
            news.push_back(work_.family.root().name + ": empty partitions stay: " + failure->message);
        return;
    }
    const Emptied emptied = partitions_.back();
    partitions_.pop_back();
    const std::string name = pg::qualified_name(emptied.table.relid);
    pg::OwnerScope owner(emptied.set.owner);
    pg::GucScope settings;
    pg::ask_briefly(settings);
    bool is_dropped = false;
    pg::LockWait wait;
    const auto failure = pg::try_with_locks({emptied.set.relid, emptied.table.relid}, wait,
                                            [&] { is_dropped = drop(spi, emptied); });
    if (failure)
        news.push_back(name + " is empty and stays: " + failure->message);
    else if (is_dropped)
        dropped_.push_back(name);
    if (partitions_.empty() && !dropped_.empty())
        news.push_back(work_.family.root().name + ": " + std::to_string(dropped_.size()) +
                       " empty partitions dropped, " + dropped_.front() + " to " + dropped_.back());
}

} // namespace privacy_scan::retention
