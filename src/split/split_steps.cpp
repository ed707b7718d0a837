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
#include "split/split_disk.hpp"
#include "split/split_pieces.hpp"
#include "split/split_switch.hpp"

extern "C" {
#include <access/transam.h>
#include <access/xact.h>
#include <miscadmin.h>
#include <storage/bufmgr.h>
#include <storage/latch.h>
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

StepRow waiting(State &state, const std::string &message)
{
    StepRow row = row_of(state, "waiting", 0, 0);
    row.message = state.waiting = message;
    row.is_waiting = true;
    return row;
}

// Who has a transaction that is older than the one given, or (snapshots) needs what that one has left.
std::string holders(pg::Spi &spi, std::uint64_t xid, bool with_snapshots)
{
    pg::CatalogPath path;
    pg::Rows rows = spi.run(
        "WITH old AS (SELECT 'pid ' || pid || coalesce(', transaction ' || backend_xid, '') AS who,"
        "  age(backend_xid) AS xid, CASE WHEN datid IS NULL OR datname = current_database() THEN "
        "age(backend_xmin)"
        "  END AS xmin FROM pg_catalog.pg_stat_activity WHERE pid <> pg_backend_pid()"
        " UNION ALL SELECT 'prepared transaction ' || quote_literal(gid), age(transaction), age(transaction)"
        "  FROM pg_catalog.pg_prepared_xacts"
        " UNION ALL SELECT 'replication slot ' || quote_ident(slot_name), NULL, age(xmin)"
        "  FROM pg_catalog.pg_replication_slots WHERE xmin IS NOT NULL)"
        " SELECT string_agg(who, '; ' ORDER BY who) FROM old"
        " WHERE xid > age($1::text::xid) OR $2 AND greatest(xid, xmin) >= age($1::text::xid)",
        {pg::text_param(std::to_string(static_cast<TransactionId>(xid))), pg::bool_param(with_snapshots)});
    return rows.text(0, 1);
}

StepRow wait_for_writers(pg::Spi &spi, State &state)
{
    if (!are_writers_gone(state))
        return waiting(state, "for transactions that began before the capture of changes: " +
                                  holders(spi, state.first_xid, false));
    StepRow row = row_of(state, "done now", 0, 0);
    state.phase = Phase::copy;
    for (Origin &source : state.sources)
        source.blocks = blocks_of(source.relid);
    return row;
}

// Vacuum may have cut off empty blocks at the end; what lies there anew is captured. Not while a step has its
// lock.
void forget_cut_blocks(Origin &source)
{
    source.blocks = std::min(source.blocks, blocks_of(source.relid));
    source.copied_blocks = std::min(source.copied_blocks, source.blocks);
}

// Of one source after the other, up to a batch. Returns the number of blocks.
std::int64_t copy_batch(const Stretch &stretch, State &state)
{
    std::int64_t left = batch_blocks;
    pg::OwnerScope owner(stretch.owner());
    for (Origin &source : state.sources) {
        forget_cut_blocks(source);
        const std::int64_t count = std::min(left, source.blocks - source.copied_blocks);
        if (count <= 0)
            continue;
        state.copied_rows += copy_blocks(stretch.set, state, source.relid, source.copied_blocks, count);
        source.copied_blocks += count;
        left -= count;
    }
    if (left < batch_blocks)
        state.last_xid = pg::guarded([] { return U64FromFullTransactionId(GetTopFullTransactionId()); });
    return batch_blocks - left;
}

StepRow copy(pg::Spi &spi, const Stretch &stretch, State &state)
{
    require_disk(spi, stretch);
    const std::int64_t count = copy_batch(stretch, state);
    std::int64_t done = 0, total = 0;
    for (const Origin &source : state.sources) {
        done += source.copied_blocks;
        total += source.blocks;
    }
    StepRow row = row_of(state, "under way", done, total);
    row.bytes = count * BLCKSZ;
    if (done < total)
        return row;
    state.phase = Phase::build_indexes;
    row.state = "done now";
    row.message = std::to_string(state.copied_rows) + " rows";
    return row;
}

StepRow build_indexes(pg::Spi &spi, const Stretch &stretch, State &state)
{
    require_disk(spi, stretch);
    const std::string indexes = indexes_of(spi, state.parent);
    if (indexes != state.indexes) {
        state.indexes = indexes;
        for (Piece &piece : state.pieces)
            piece.is_indexed = false;
    }
    index_pieces(spi, stretch.set, state);
    std::int64_t done = 0;
    for (const Piece &piece : state.pieces)
        done += piece.is_indexed;
    const auto total = static_cast<std::int64_t>(state.pieces.size());
    StepRow row = row_of(state, done < total ? "under way" : "done now", done, total);
    if (done == total)
        state.phase = Phase::catch_up;
    return row;
}

std::int64_t apply(const Stretch &stretch, State &state)
{
    pg::OwnerScope owner(stretch.owner());
    const std::int64_t count = apply_changes(stretch.set, state, batch_changes);
    state.applied += count;
    return count;
}

StepRow catch_up(const Stretch &stretch, State &state)
{
    const std::int64_t count = apply(stretch, state);
    StepRow row = row_of(state, count < batch_changes ? "done now" : "under way", state.applied, 0);
    if (count < batch_changes)
        state.phase = Phase::wait_for_readers;
    return row;
}

// Changes are applied meanwhile, so that the switch finds few.
StepRow wait_for_readers(pg::Spi &spi, const Stretch &stretch, State &state)
{
    apply(stretch, state);
    if (!are_readers_gone(state))
        return waiting(state, "for transactions that began before the copying ended: " +
                                  holders(spi, state.last_xid, true));
    StepRow row = row_of(state, "done now", 0, 0);
    state.phase = Phase::switch_over;
    return row;
}

StepRow switch_over(pg::Spi &spi, const Stretch &stretch, State &state)
{
    bool has_many;
    {
        pg::OwnerScope owner(stretch.owner());
        has_many = count_changes(state, few_changes + 1) > few_changes;
    }
    if (has_many && apply(stretch, state) > few_changes) {
        StepRow row = row_of(state, "under way", 0, 0);
        row.message = "changes applied before";
        return row;
    }
    const Switched switched = switch_pieces(spi, stretch, state);
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

// What the sources have become, where they are still there.
std::string leftover_of(const State &state)
{
    std::string names;
    for (const Origin &source : state.sources)
        if (pg::guarded([&] { return get_rel_relkind(source.relid) != '\0'; }))
            names += (names.empty() ? "" : ", ") + pg::qualified_name(source.relid);
    if (names.empty())
        return "the sources were dropped";
    return names + (state.is_split() ? " is a copy" : " are copies") + " that nobody reads: drop " +
           (state.is_split() ? "it" : "them") + " when you like";
}

StepRow finish(pg::Spi &spi, State &state)
{
    StepRow row = row_of(state, state.phase == Phase::tidy ? "done now" : "done", 0, 0);
    if (state.phase == Phase::tidy)
        tidy(spi, state);
    state.phase = Phase::done;
    row.message = leftover_of(state);
    row.more = false;
    return row;
}

// The source that somebody, such as retention, has taken out of the set meanwhile; InvalidOid where none is.
Oid lost_source(pg::Spi &spi, const State &state)
{
    pg::CatalogPath path;
    for (const Origin &source : state.sources)
        if (spi.run("SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = $1 AND inhparent = $2",
                    {pg::oid_param(source.relid), pg::oid_param(state.parent)})
                .empty())
            return source.relid;
    return InvalidOid;
}

std::string name_or(Oid relid, const char *otherwise)
{
    return pg::guarded([=] { return get_rel_relkind(relid) != '\0'; }) ? pg::qualified_name(relid)
                                                                       : std::string(otherwise);
}

// Drops what was made, and forgets it: the rest is as it was.
StepRow abandon(pg::Spi &spi, const State &state, Oid lost)
{
    StepRow row = row_of(state, "ended", 0, 0);
    row.message = name_or(lost, "one of them") + " is no partition of " + name_or(state.parent, "its set") +
                  " any more";
    row.more = false;
    drop_all(spi, state);
    delete_state(spi, state.relid);
    return row;
}

StepRow next_step(pg::Spi &spi, State &state)
{
    if (state.phase >= Phase::tidy)
        return finish(spi, state);
    if (const Oid lost = lost_source(spi, state); OidIsValid(lost))
        return abandon(spi, state, lost);
    require_intact(spi, state);
    const Stretch stretch = read_stretch(spi, state.relids());
    switch (state.phase) {
    case Phase::wait_for_writers:
        return wait_for_writers(spi, state);
    case Phase::copy:
        return copy(spi, stretch, state);
    case Phase::build_indexes:
        return build_indexes(spi, stretch, state);
    case Phase::catch_up:
        return catch_up(stretch, state);
    case Phase::wait_for_readers:
        return wait_for_readers(spi, stretch, state);
    default:
        return switch_over(spi, stretch, state);
    }
}

// One runner at a time; vacuum, which would clean away what is being read, waits likewise, and an autovacuum
// that is at it gives way. What is gone needs no lock: the state's row is locked by whoever writes it.
void lock_sources(const std::vector<Oid> &relids)
{
    std::vector<pg::OwnedTable> tables;
    for (const Oid relid : relids)
        if (pg::guarded([=] { return get_rel_relkind(relid) != '\0'; }))
            tables.push_back(pg::require_owner(relid));
    if (tables.empty())
        return;
    pg::OwnerScope owner(tables.front().owner);
    pg::GucScope settings;
    pg::ask_patiently(settings);
    pg::LockWait wait;
    for (const pg::OwnedTable &table : tables)
        pg::lock_in_tries(table, ShareUpdateExclusiveLock, wait);
}

// Read again under the lock: as whoever had it before left it.
State lock_state(pg::Spi &spi, Oid relid)
{
    lock_sources(require_state(spi, relid).relids());
    return require_state(spi, relid);
}

} // namespace

StepRow begin(pg::Spi &spi, const Stretch &stretch, const std::vector<partition::Cell> &cells, Wishes wishes)
{
    const TimestampTz begun = GetCurrentTimestamp();
    lock_sources(stretch.relids());
    const std::vector<Refusal> refusals = find_refusals(spi, stretch);
    if (!refusals.empty())
        pg::fail(ERRCODE_FEATURE_NOT_SUPPORTED,
                 std::string("cannot ") + (stretch.sources.size() == 1 ? "split " : "merge ") +
                     stretch.in_words() + ": " + refusals.front().message,
                 refusals.front().detail, refusals.front().hint);
    if (const std::optional<Refusal> refusal = refuse_many(stretch, cells))
        pg::fail(ERRCODE_PROGRAM_LIMIT_EXCEEDED, refusal->message, refusal->detail, refusal->hint);
    require_disk(spi, stretch);
    clear_orphans(spi);
    State state = prepare(spi, stretch, cells);
    state.in_background = wishes.in_background;
    state.drops_sources = wishes.drops_sources;
    insert_state(spi, state);
    StepRow row{"begin", "done now", {}, 0, 0, 0, true, false, 0};
    row.message = (state.is_split() ? "" : std::to_string(state.sources.size()) + " sources, ") +
                  std::to_string(cells.size()) + (cells.size() == 1 ? " piece" : " pieces");
    row.ms = pg::ms_since(begun);
    return row;
}

StepRow advance(pg::Spi &spi, Oid relid)
{
    const TimestampTz begun = GetCurrentTimestamp();
    State state = lock_state(spi, relid);
    std::optional<StepRow> row;
    const Phase phase = state.phase;
    state.waiting.clear();
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

void wish(pg::Spi &spi, Oid relid, Wishes wishes)
{
    State state = lock_state(spi, relid);
    state.in_background = wishes.in_background;
    if (wishes.drops_sources && !state.drops_sources && state.phase == Phase::done)
        state.phase = Phase::tidy; // once more
    state.drops_sources = state.drops_sources || wishes.drops_sources;
    store_state(spi, state);
}

void rest(double ms)
{
    if (ms < 1)
        return;
    pg::guarded([=] {
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, static_cast<long>(ms),
                        PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    });
}

void cancel(pg::Spi &spi, Oid relid)
{
    const State state = lock_state(spi, relid);
    if (state.phase >= Phase::tidy)
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 "partition \"" + pg::relation_name(relid) + "\" has been " +
                     (state.is_split() ? "split" : "merged") + " already",
                 {}, "After the switch there is nothing to cancel.");
    drop_all(spi, state);
    delete_state(spi, state.relid);
}

} // namespace privacy_scan::split
