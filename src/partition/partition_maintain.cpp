// See partition_maintain.hpp.
#include "pg/postgres.hpp"

#include "partition/partition_maintain.hpp"

extern "C" {
#include <storage/lockdefs.h>
#include <utils/lsyscache.h>
}

namespace privacy_scan::partition
{

pg::OwnedTable lock_for_change(Oid relid, Actions &actions)
{
    const pg::OwnedTable table = pg::require_owner(relid);
    pg::lock_in_tries(table, ShareUpdateExclusiveLock, actions.wait());
    refresh_layout(relid);
    return table;
}

static PartitionSet set_of(pg::Spi &spi, const pg::OwnedTable &table)
{
    key_column(table.relid); // what is wrong with the relation is said before that it isn't managed
    return PartitionSet(table, require_policy(spi, table.relid));
}

PartitionSet managed_set(pg::Spi &spi, Oid relid, Actions &actions)
{
    return set_of(spi, lock_for_change(relid, actions));
}

bool look_at(pg::Spi &spi, Oid relid, Actions &actions, const std::function<bool(const PartitionSet &)> &look)
{
    pg::Subtransaction scope;
    const pg::OwnedTable table = pg::require_owner(relid);
    pg::lock_in_tries(table, AccessShareLock, actions.wait());
    const bool seen = look(set_of(spi, table));
    scope.rollback();
    return seen;
}

namespace
{

// What a set needs at an instant.
struct Need {
    std::int64_t clock;
    std::vector<Cell> ahead;  // of the clock's cell
    std::vector<Cell> behind; // the clock's own cell, then what an outage left out
    bool default_partition;   // is missing
    bool draining;            // DEFAULT has blocks
};

Need need_of(pg::Spi &spi, const PartitionSet &set, Instant at, std::optional<std::int64_t> start)
{
    const Layout layout = set.layout();
    const Grid &grid = set.grid();
    Need need{clock_of(spi, set, layout, at), {}, {}, false, false};
    const std::int64_t next = step_cells(grid, need.clock, 1);
    const std::int32_t premake = set.policy().premake;
    const std::int64_t end = step_cells(grid, need.clock, premake + 1);
    const std::int64_t current = step_cells(grid, need.clock, 0);
    auto add = [&](std::vector<Cell> &ranges, const Cell &range) {
        if (range.lower < range.upper &&
            !missing_pieces(grid, layout.taken, range.lower, range.upper, 1).empty())
            ranges.push_back(range);
    };
    add(need.ahead, {next, end});
    if (start && *start > need.clock)
        add(need.ahead, {std::max(*start, end), step_cells(grid, *start, premake + 1)});
    if (start) {
        add(need.behind, {std::min(*start, current), next});
    } else {
        add(need.behind, {current, next});
        add(need.behind, {resume_point(layout.taken, need.clock), current});
    }
    need.default_partition = set.policy().default_partition && !OidIsValid(layout.default_partition);
    need.draining = OidIsValid(layout.default_partition) && !has_no_blocks(layout.default_partition);
    return need;
}

bool is_nothing(const Need &need)
{
    return need.ahead.empty() && need.behind.empty() && !need.default_partition && !need.draining;
}

// One part of maintain().
bool attempt(const PartitionSet &set, OnFailure on_failure, Actions &actions,
             const std::function<void()> &body)
{
    if (on_failure == OnFailure::raise) {
        body();
        return true;
    }
    auto failure = actions.attempt(body);
    if (failure)
        actions.add_failure(set.table().relid, *failure);
    return !failure;
}

void attach_or_drop(pg::Spi &spi, const PartitionSet &set, const PartitionBatch &batch, int parent_mode,
                    OnFailure on_failure, Actions &actions)
{
    auto attach = [&] { attach_batch(spi, set, batch, parent_mode, actions); };
    if (!batch.made.empty() && !attempt(set, on_failure, actions, attach))
        drop_batch(spi, set, batch);
}

bool is_gone(pg::Spi &spi, Oid relid)
{
    return !pg::guarded([=] { return get_rel_relkind(relid) != '\0'; }) || !find_policy(spi, relid);
}

} // namespace

void maintain(pg::Spi &spi, const PartitionSet &set, Instant at, std::optional<std::int64_t> start,
              OnFailure on_failure, Actions &actions)
{
    const Need need = need_of(spi, set, at, start);
    const PartitionBatch behind = make_missing(spi, set, need.behind, WithDefault::no);
    const PartitionBatch ahead =
        make_missing(spi, set, need.ahead, need.default_partition ? WithDefault::yes : WithDefault::no);
    if (need.draining)
        attempt(set, on_failure, actions, [&] { drain(spi, set, need.clock, default_batch, actions); });
    // Rows arrive up to the clock. A writer whose row is on its way to DEFAULT when its partition is attached
    // gets an error; so the writers wait here, on the parent, where there is a DEFAULT.
    const bool has_default = OidIsValid(set.layout().default_partition);
    attach_or_drop(spi, set, behind, has_default ? AccessExclusiveLock : ShareUpdateExclusiveLock, on_failure,
                   actions);
    attach_or_drop(spi, set, ahead, ShareUpdateExclusiveLock, on_failure, actions);
}

void maintain_one(pg::Spi &spi, Oid relid, Instant at, Actions &actions)
{
    auto failure = actions.attempt([&] {
        auto is_idle = [&](const PartitionSet &set) {
            return is_nothing(need_of(spi, set, at, std::nullopt));
        };
        if (look_at(spi, relid, actions, is_idle))
            return;
        const PartitionSet set = managed_set(spi, relid, actions);
        maintain(spi, set, at, std::nullopt, OnFailure::report, actions);
    });
    if (failure && !is_gone(spi, relid))
        actions.add_failure(relid, *failure);
}

} // namespace privacy_scan::partition
