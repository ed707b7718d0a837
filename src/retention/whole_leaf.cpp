// See whole_leaf.hpp.
#include "pg/postgres.hpp"

#include "retention/whole_leaf.hpp"

#include "pg/failpoint.hpp"
#include "pg/guc.hpp"
#include "pg/lock.hpp"
#include "pg/memory.hpp"
#include "pg/relation.hpp"
#include "pg/snapshot.hpp"
#include "retention/archive_total.hpp"
#include "retention/archive_writer.hpp"
#include "retention/family_window.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <utils/lsyscache.h>
#include <utils/timestamp.h>
}

namespace privacy_scan::retention
{

namespace
{

const Link::Column &pair_of(const Work &work, const Window &window)
{
    return work.family.members[window.leaves.front().member].links.front().columns.front();
}

AttrNumber column_of(const Work &work, const Leaf &leaf)
{
    const char *name = work.family.members[leaf.member].links.front().columns.front().child.c_str();
    const Oid relid = leaf.table.relid;
    return pg::guarded([=] { return get_attnum(relid, name); });
}

// Reads what the rows of the window's leaves refer to, as of now.
std::vector<CheckedLeaf> check_leaves(const Work &work, const Window &window, bool is_counted, RootValues &roots)
{
    std::vector<CheckedLeaf> leaves = lock_leaves(window);
    for (CheckedLeaf &checked : leaves)
        remember_pages(checked);
    for (CheckedLeaf &checked : leaves) {
        const RowTotal total = read_table(checked.leaf->table.relid, {is_counted, &roots, column_of(work, *checked.leaf)});
        checked.rows = total.rows;
        checked.stays = total.rows == 0; // the ledger says nothing of what is empty
        if (is_counted)
            checked.total = total;
    }
    return leaves;
}

// The roots that go, locked, and the values that refer to others.
struct Roots {
    Picked picked;
    pg::Rows others; // their number, an array
};

Roots pick_roots(pg::Spi &spi, const Work &work, const Window &window, const RootValues &roots)
{
    const Member &member = work.family.members[window.leaves.front().member];
    const Oid element = roots.values->element_type;
    const pg::Param values = pg::guarded([&] {
        return pg::Param{get_array_type(element), array_of(&roots), false};
    });
    Picked picked(spi.run(work.sql.pick_referenced(member),
                          {pg::datum_param(work.cutoff.type, work.cutoff.value), values}),
                  work.sql.columns());
    std::vector<pg::Param> params = picked.params;
    params.push_back(values);
    pg::Rows others = spi.run(work.sql.unpicked(member), params);
    const std::int64_t left = others.int8(0, 1);
    if (picked.count == 0 || left > most_that_stay)
        by_rows(std::to_string(left) + " of its roots stay, or are in use");
    return {std::move(picked), std::move(others)};
}

// Few rows that stay, of the other roots or of none, are moved out of the way. They are looked for in the rows: an index whose order isn't
// right any more was read whole, and told of them, but wouldn't find them.
void make_refuges(pg::Spi &spi, const Work &work, const std::vector<ArchiveTable> &archives, const pg::Rows &others,
                  std::vector<CheckedLeaf> &leaves)
{
    pg::GucScope settings;
    for (const char *way : {"enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan"})
        settings.set(way, "off");
    settings.set("enable_seqscan", "on");
    for (CheckedLeaf &checked : leaves) {
        const Staying staying{work.sql.refers_to_others(work.family.members[checked.leaf->member]),
                              {pg::datum_param(others.type(2), others.datum(0, 2))}};
        const std::int64_t stay =
            spi.run("SELECT count(*) FROM ONLY " + checked.leaf->name + " AS t WHERE " + staying.condition, staying.params)
                .int8(0, 1);
        if (stay == 0)
            continue;
        const Verdict verdict = judge(spi, work, {{*checked.leaf}}, {{checked.rows, checked.rows - stay}});
        if (!verdict.goes)
            by_rows(std::to_string(stay) + " rows of " + checked.leaf->name + " stay" +
                    (verdict.why.empty() ? "" : ", " + verdict.why));
        if (!checked.total)
            read_total(checked);
        checked.refuge = make_refuge(spi, work, *checked.leaf, archives[checked.leaf->member].columns, staying);
    }
}

// How many roots one transaction takes at most, locking each.
std::int64_t most_roots()
{
    return 10 * static_cast<std::int64_t>(settings::retention_batch_rows());
}

void add_whole(const Work &work, const std::vector<ArchiveTable> &archives,
               const std::vector<CheckedLeaf> &leaves, const std::vector<std::string> &names, Batch &batch)
{
    for (std::size_t i = 0; i < leaves.size(); ++i) {
        if (names[i].empty())
            continue; // it stays
        const CheckedLeaf &checked = leaves[i];
        const std::size_t member = checked.leaf->member;
        RowTotal going = checked.total.value_or(RowTotal{checked.rows, 0, {}});
        if (checked.refuge)
            going = going - checked.refuge->total;
        batch.moved.push_back({work.family.members[member].table.relid,
                               archives[member].name,
                               going.rows,
                               going.bytes,
                               going.digest,
                               0,
                               {},
                               names[i],
                               checked.leaf->bounds,
                               {},
                               checked.total.has_value()});
        batch.rows += going.rows;
    }
}

// The leaves, looked through, with the roots that they refer to moved, and what else belongs to them.
std::vector<CheckedLeaf> move_roots(pg::Spi &spi, const Work &work, const std::vector<ArchiveTable> &archives,
                                    const Window &window, bool is_counted, Batch &batch)
{
    const Oid type = pg::guarded([&] {
        const Oid relid = window.leaves.front().table.relid;
        return get_atttype(relid, get_attnum(relid, pair_of(work, window).child.c_str()));
    });
    RootValues roots = pg::guarded([=] { return make_root_values(type); });
    std::vector<CheckedLeaf> leaves = check_leaves(work, window, is_counted, roots);
    if (roots.count > most_roots())
        by_rows("it has too many roots for one transaction");
    if (roots.count == 0)
        by_rows("it has no rows");
    ToSpare spared;
    for (const Leaf &leaf : window.leaves)
        spared.leaves.push_back(leaf.name);
    const Roots found = pick_roots(spi, work, window, roots);
    PS_FAILPOINT("whole.picked");
    if (found.others.int8(0, 1) > 0 || roots.missing > 0)
        make_refuges(spi, work, archives, found.others, leaves);
    move_picked(spi, work, archives, found.picked, spared, batch);
    return leaves;
}

Batch move_once(pg::Spi &spi, const Work &work, const std::vector<ArchiveTable> &archives,
                const Window &window, bool is_counted, double &locked_ms)
{
    Batch batch;
    {
        pg::OwnerScope owner(work.family.root().table.owner);
        spi.run("SET LOCAL work_mem = '64MB'"); // ends with the scope
        if (!work.policy.discards() && !ArchiveWriter::can_write(archives.front().written()))
            by_rows("the root's archive has rules for its rows");
        pg::wait_for_older_snapshots(settings::lock_timeout_ms()); // in vain here, in vain later
        const std::vector<CheckedLeaf> leaves = window.has_root()
                                                    ? check_family(spi, work, archives, window, is_counted, batch)
                                                    : move_roots(spi, work, archives, window, is_counted, batch);
        PS_FAILPOINT("whole.moved");
        pg::wait_for_older_snapshots(settings::lock_timeout_ms());
        add_whole(work, archives, leaves, hand_over(spi, work, archives, leaves, locked_ms), batch);
    }
    batch.last = false;
    PS_FAILPOINT("whole.handed_over");
    write_ledger(spi, work, batch);
    PS_FAILPOINT("whole.noted");
    return batch;
}

// What was chosen may have been detached, or another table's archive changed, since.
void require_still_so(pg::Spi &spi, const Work &work, const std::vector<ArchiveTable> &archives,
                      const Window &window)
{
    pg::OwnerScope owner(work.family.root().table.owner);
    if (has_user_triggers(spi, work, archives))
        by_rows("a trigger or rule of the family or its archives would be passed by");
    for (const Leaf &leaf : window.leaves) {
        const Member &member = work.family.members[leaf.member];
        const std::string obstacle = obstacle_in_archive(
            spi, member, work.policy.keeps_leaves() ? archives[leaf.member].relid : InvalidOid);
        if (!obstacle.empty())
            by_rows(obstacle);
        if (!window.has_root() &&
            std::find(member.leaves.begin(), member.leaves.end(), leaf.name) == member.leaves.end())
            by_rows("it is no partition any more");
    }
}

constexpr int most_attempts = 2; // each reads the leaves or their indexes

} // namespace

std::optional<std::string> move_window(pg::Spi &spi, Work &work, const Window &window, bool count_first,
                                       Batch &batch, double &locked_ms)
{
    const bool is_counted = count_first || work.policy.discards(); // what is dropped nobody counts afterwards
    pg::require_read_committed("retention");
    for (int attempt = 1;; ++attempt) {
        pg::MemoryScope memory("window of run_retention");
        auto failure = pg::try_in_subtransaction([&] {
            const std::vector<ArchiveTable> archives = prepare_with_locks(spi, work);
            require_still_so(spi, work, archives, window);
            batch = move_once(spi, work, archives, window, is_counted, locked_ms);
        });
        if (!failure)
            return std::nullopt;
        if (failure->sqlstate == "XX001")
            pg::raise(*failure);
        if (!is_busy(*failure) || attempt == most_attempts)
            return failure->message;
    }
}

} // namespace privacy_scan::retention
