// See split_steps.hpp.
#include "pg/postgres.hpp"

#include "split/split_steps.hpp"

#include "partition/partition_create.hpp"
#include "pg/clock.hpp"
#include "pg/compat.hpp"
#include "pg/ident.hpp"
#include "pg/lock.hpp"
#include "pg/relation.hpp"
#include "pg/snapshot.hpp"
#include "settings/settings.hpp"
#include "split/split_apply.hpp"
#include "split/split_copy.hpp"
#include "split/split_pieces.hpp"
#include "split/split_switch.hpp"

extern "C" {
#include <access/transam.h>
#include <access/xact.h>
#include <storage/bufmgr.h>
#include <utils/lsyscache.h>
#include <utils/snapmgr.h>
#include <utils/timestamp.h>
}

namespace privacy_scan::split
{

namespace
{

constexpr std::int64_t batch_blocks = 1024; // 8 MB of rows a transaction
constexpr std::int64_t batch_changes = 5000;
constexpr std::int64_t few_changes = 20; // may be left to the switch

// Red. The oldest transaction that is going on.
TransactionId oldest_running()
{
    return GetActiveSnapshot()->xmin;
}

// True where every transaction that began before the capture has ended.
bool are_writers_gone(const State &state)
{
    const pg::SnapshotScope snapshot;
    const auto first = static_cast<TransactionId>(state.first_xid);
    return pg::guarded([=] { return !TransactionIdPrecedes(oldest_running(), first); });
}

// True where every snapshot, also one of a standby that says what it needs, shows the copied rows.
bool are_readers_gone(const State &state)
{
    const pg::RelationScope partition(state.relid, AccessShareLock);
    const auto last = static_cast<TransactionId>(state.last_xid);
    return pg::guarded([&] { return TransactionIdFollows(pg::compat::oldest_xmin(partition.get()), last); });
}

std::int64_t blocks_of(Oid relid)
{
    const pg::RelationScope partition(relid, AccessShareLock);
    return pg::guarded([&] { return static_cast<std::int64_t>(RelationGetNumberOfBlocks(partition.get())); });
}

StepRow row_of(const State &state, const char *outcome, std::int64_t done, std::int64_t total)
{
    return {to_string(state.phase), outcome, {}, done, total, 0, true, false, 0};
}

StepRow waiting(const State &state, const std::string &message)
{
    StepRow row = row_of(state, "waiting", 0, 0);
    row.message = message;
    row.is_waiting = true;
    return row;
}

StepRow wait_for_writers(State &state)
{
    if (!are_writers_gone(state))
        return waiting(state, "transactions that began before the split did have not ended");
    StepRow row = row_of(state, "done now", 0, 0);
    state.phase = Phase::copy;
    state.blocks = blocks_of(state.relid);
    return row;
}

StepRow copy(const Source &source, State &state)
{
    const std::int64_t count = std::min(batch_blocks, state.blocks - state.copied_blocks);
    if (count > 0) {
        pg::OwnerScope owner(source.table.owner);
        state.copied_rows += copy_blocks(source.set, state, state.copied_blocks, count);
        state.last_xid = pg::guarded([] { return U64FromFullTransactionId(GetTopFullTransactionId()); });
    }
    state.copied_blocks += count;
    StepRow row = row_of(state, "under way", state.copied_blocks, state.blocks);
    row.bytes = count * BLCKSZ;
    if (state.copied_blocks < state.blocks)
        return row;
    state.phase = Phase::build_indexes;
    row.state = "done now";
    row.message = std::to_string(state.copied_rows) + " rows";
    return row;
}

StepRow build_indexes(pg::Spi &spi, const Source &source, State &state)
{
    const std::string indexes = indexes_of(spi, state.parent);
    if (indexes != state.indexes) {
        state.indexes = indexes;
        for (Piece &piece : state.pieces)
            piece.is_indexed = false;
    }
    index_pieces(spi, source, state);
    std::int64_t done = 0;
    for (const Piece &piece : state.pieces)
        done += piece.is_indexed;
    const auto total = static_cast<std::int64_t>(state.pieces.size());
    StepRow row = row_of(state, done < total ? "under way" : "done now", done, total);
    if (done == total)
        state.phase = Phase::catch_up;
    return row;
}

std::int64_t apply(const Source &source, State &state)
{
    pg::OwnerScope owner(source.table.owner);
    const std::int64_t count = apply_changes(source.set, state, batch_changes);
    state.applied += count;
    return count;
}

StepRow catch_up(const Source &source, State &state)
{
    const std::int64_t count = apply(source, state);
    StepRow row = row_of(state, count < batch_changes ? "done now" : "under way", state.applied, 0);
    if (count < batch_changes)
        state.phase = Phase::wait_for_readers;
    return row;
}

// Changes are applied meanwhile, so that the switch finds few.
StepRow wait_for_readers(const Source &source, State &state)
{
    apply(source, state);
    if (!are_readers_gone(state))
        return waiting(state, "transactions that began before the copying ended have not ended");
    StepRow row = row_of(state, "done now", 0, 0);
    state.phase = Phase::switch_over;
    return row;
}

StepRow switch_over(pg::Spi &spi, const Source &source, State &state)
{
    bool has_many;
    {
        pg::OwnerScope owner(source.table.owner);
        has_many = count_changes(state, few_changes + 1) > few_changes;
    }
    if (has_many && apply(source, state) > few_changes) {
        StepRow row = row_of(state, "under way", 0, 0);
        row.message = "changes applied before";
        return row;
    }
    const Switched switched = switch_pieces(spi, source, state);
    state.applied += switched.applied;
    store_switch(spi, state.relid, switched.lock_held_ms, switched.wait.tries);
    const auto total = static_cast<std::int64_t>(state.pieces.size());
    StepRow row = row_of(state, "done now", total, total);
    char text[128];
    snprintf(text, sizeof text, "strong locks held for %.1f ms", switched.lock_held_ms);
    row.message = text;
    state.phase = Phase::tidy;
    return row;
}

std::string leftover_of(const State &state)
{
    return pg::qualified_name(state.relid) + " is a copy that nobody reads: drop it when you like";
}

// Of the partition, while it is one; of the set alone, afterwards.
Source source_after(pg::Spi &spi, const State &state)
{
    const pg::OwnedTable table = pg::require_owner(state.relid);
    partition::PartitionSet set(pg::require_owner(state.parent),
                                partition::require_policy(spi, state.parent));
    return {table, pg::relation_name(state.relid), pg::qualified_name(state.relid), std::move(set), {}, 0, 0};
}

StepRow finish(pg::Spi &spi, State &state)
{
    if (state.phase == Phase::tidy) {
        tidy(spi, source_after(spi, state), state);
        StepRow row = row_of(state, "done now", 0, 0);
        state.phase = Phase::done;
        row.message = leftover_of(state);
        row.more = false;
        return row;
    }
    StepRow row = row_of(state, "done", 0, 0);
    row.message = leftover_of(state);
    row.more = false;
    return row;
}

StepRow next_step(pg::Spi &spi, State &state)
{
    if (state.phase >= Phase::tidy)
        return finish(spi, state);
    const Source source = read_source(spi, state.relid);
    require_intact(spi, source, state);
    switch (state.phase) {
    case Phase::wait_for_writers:
        return wait_for_writers(state);
    case Phase::copy:
        return copy(source, state);
    case Phase::build_indexes:
        return build_indexes(spi, source, state);
    case Phase::catch_up:
        return catch_up(source, state);
    case Phase::wait_for_readers:
        return wait_for_readers(source, state);
    default:
        return switch_over(spi, source, state);
    }
}

// One runner at a time; vacuum, which would clean away what is being read, waits likewise.
void lock_source(const State &state)
{
    pg::LockWait wait;
    pg::lock_in_tries(pg::require_owner(state.relid), ShareUpdateExclusiveLock, wait);
}

} // namespace

StepRow begin(pg::Spi &spi, const Source &source)
{
    const TimestampTz begun = GetCurrentTimestamp();
    pg::LockWait wait;
    pg::lock_in_tries(source.table, ShareUpdateExclusiveLock, wait);
    const std::vector<Refusal> refusals = find_refusals(spi, source);
    if (!refusals.empty())
        pg::fail(ERRCODE_FEATURE_NOT_SUPPORTED,
                 "cannot split partition \"" + source.relname + "\": " + refusals.front().message,
                 refusals.front().detail, refusals.front().hint);
    const std::vector<partition::Cell> cells = cells_of(spi, source);
    if (cells.size() < 2)
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE,
                 "there is nothing to split in partition \"" + source.relname + "\"",
                 "Its rows lie within one cell of the set's grid.",
                 "The width of the cells is that of the policy: see privacy_scan.partition_policies.");
    const State state = prepare(spi, source, cells);
    StepRow row{"begin", "done now", std::to_string(cells.size()) + " pieces", 0, 0, 0, true, false, 0};
    row.ms = pg::ms_since(begun);
    return row;
}

StepRow advance(pg::Spi &spi, Oid relid)
{
    const TimestampTz begun = GetCurrentTimestamp();
    State state = require_state(spi, relid);
    lock_source(state);
    state = require_state(spi, relid); // as whoever had the lock before left it
    std::optional<StepRow> row;
    const Phase phase = state.phase;
    try {
        row = next_step(spi, state);
    } catch (const pg::Error &error) {
        // Too much has changed for the switch: one step back. Nothing was done under its locks.
        if (phase != Phase::switch_over || error.sqlstate != ERRCODE_OBJECT_IN_USE)
            throw;
        state.phase = Phase::build_indexes;
        row = waiting(state, error.message);
    }
    store_state(spi, state);
    row->ms = pg::ms_since(begun);
    return *row;
}

void cancel(pg::Spi &spi, Oid relid)
{
    State state = require_state(spi, relid);
    lock_source(state);
    state = require_state(spi, relid);
    if (state.phase >= Phase::tidy)
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 "partition \"" + pg::relation_name(relid) + "\" has been split already", {},
                 "After the switch there is nothing to cancel.");
    drop_all(spi, pg::require_owner(relid).owner, state);
    delete_state(spi, relid);
}

} // namespace privacy_scan::split
