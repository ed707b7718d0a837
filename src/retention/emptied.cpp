// See emptied.hpp.
#include "pg/postgres.hpp"

#include "retention/emptied.hpp"

#include "partition/partition_create.hpp"
#include "pg/compat.hpp"
#include "pg/ident.hpp"
#include "pg/lock.hpp"
#include "pg/subxact.hpp"

extern "C" {
#include <catalog/pg_class_d.h>
#include <utils/lsyscache.h>
}

namespace privacy_scan::retention
{

namespace
{

bool is_empty(pg::Spi &spi, Oid relid)
{
    return pg::guarded([=] { return get_rel_relkind(relid); }) == RELKIND_RELATION &&
           spi.run("SELECT FROM ONLY " + pg::qualified_name(relid) + " LIMIT 1").empty();
}

// An integer key knows no time.
void find_in(pg::Spi &spi, const Work &work, const Member &member, std::vector<Emptied> &found)
{
    const std::optional<partition::Policy> policy = partition::find_policy(spi, member.table.relid);
    if (!policy)
        return;
    const partition::PartitionSet set(member.table, *policy);
    if (!set.key().is_temporal())
        return;
    pg::OwnerScope owner(member.table.owner);
    const std::int64_t end = set.key().axis_of_instant(work.cutoff.instant);
    const partition::Layout layout = set.layout();
    for (std::size_t i = 0; i < layout.taken.size() && layout.taken[i].upper <= end; ++i) {
        const Oid relid = layout.partitions[i];
        if (is_empty(spi, relid))
            found.push_back({member.table, pg::require_owner(relid), !partition::has_no_blocks(relid)});
    }
}

} // namespace

std::vector<Emptied> find_emptied(pg::Spi &spi, const Work &work)
{
    std::vector<Emptied> found;
    for (const Member &member : work.family.members)
        if (!member.has_children && !member.has_spared)
            find_in(spi, work, member, found);
    return found;
}

void EmptiedRun::find(pg::Spi &spi)
{
    for (const Emptied &emptied : find_emptied(spi, work_)) {
        if (emptied.has_pages)
            with_pages_.push_back(emptied.table.relid);
        else
            partitions_.push_back(emptied);
    }
    std::reverse(partitions_.begin(), partitions_.end());
}

// False where it is not to be dropped any more.
bool EmptiedRun::drop(pg::Spi &spi, const Emptied &emptied) const
{
    const Oid parent = emptied.set.relid, relid = emptied.table.relid;
    pg::lock_owned(emptied.set, AccessExclusiveLock);
    pg::lock_owned(emptied.table, AccessExclusiveLock);
    const bool is_emptied = partition::has_no_blocks(relid) && pg::guarded([=] {
        return get_rel_relispartition(relid) && pg::compat::partition_parent(relid) == parent;
    });
    if (is_emptied)
        spi.run("DROP TABLE " + pg::qualified_name(relid));
    return is_emptied;
}

std::string EmptiedRun::dropped_in_words() const
{
    if (dropped_.size() == 1)
        return "empty partition " + dropped_.front() + " dropped";
    return std::to_string(dropped_.size()) + " empty partitions dropped, " + dropped_.front() + " to " +
           dropped_.back();
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
    if (is_dropped) {
        dropped_.push_back(name);
        pg::guarded([text = name.c_str()] {
            ereport(LOG, (errmsg("retention dropped empty partition %s", text)));
        });
    }
    if (partitions_.empty() && !dropped_.empty())
        news.push_back(work_.family.root().name + ": " + dropped_in_words());
}

} // namespace privacy_scan::retention
