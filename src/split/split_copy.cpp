// See split_copy.hpp. All red but for the entry.
#include "pg/postgres.hpp"

#include "split/split_copy.hpp"

#include "pg/clock.hpp"
#include "pg/compat.hpp"
#include "pg/memory.hpp"
#include "pg/snapshot.hpp"
#include "settings/settings.hpp"
#include "split/split_plan.hpp"

extern "C" {
#include <access/heapam.h>
#include <access/htup_details.h>
#include <access/table.h>
#include <access/tableam.h>
#include <access/tupconvert.h>
#include <access/xact.h>
#include <access/xlog.h>
#include <executor/tuptable.h>
#include <miscadmin.h>
#include <storage/latch.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/snapmgr.h>
#include <utils/timestamp.h>
}

namespace privacy_scan::split
{

namespace
{

constexpr int most_held = 128;      // rows per write
constexpr BlockNumber breath = 128; // blocks, 1 MB

struct Target {
    Relation rel;
    TupleConversionMap *map; // null where the columns line up
    BulkInsertState bulk;
    TupleTableSlot *slots[most_held];
    int held;
};

struct Copy {
    Relation source;
    AttrNumber key_number;
    const partition::KeyAxis *key;
    TransactionId first_xid;
    const Piece *pieces;
    Target **targets; // null until they get a row
    std::size_t count;
    CommandId command;
    MemoryContext scratch;
    std::int64_t rows;
    std::int64_t kb_per_second; // 0: as fast as can be
    TimestampTz begun;
};

void flush(Copy *copy, Target *target)
{
    if (target->held == 0)
        return;
    MemoryContext outer = MemoryContextSwitchTo(copy->scratch);
    table_multi_insert(target->rel, target->slots, target->held, copy->command,
                       TABLE_INSERT_SKIP_FSM | HEAP_INSERT_NO_LOGICAL, target->bulk);
    MemoryContextSwitchTo(outer);
    MemoryContextReset(copy->scratch);
    for (int i = 0; i < target->held; ++i)
        ExecClearTuple(target->slots[i]);
    copy->rows += target->held;
    target->held = 0;
}

Target *open_target(Copy *copy, Oid relid)
{
    auto *target = static_cast<Target *>(palloc0(sizeof(Target)));
    target->rel = table_open(relid, RowExclusiveLock);
    target->map = convert_tuples_by_name(RelationGetDescr(copy->source), RelationGetDescr(target->rel));
    target->bulk = GetBulkInsertState();
    return target;
}

void add_row(Copy *copy, TupleTableSlot *row)
{
    bool is_null = false;
    const Datum key = slot_getattr(row, copy->key_number, &is_null);
    const std::size_t number = part_at(copy->pieces, copy->count, copy->key->axis_of(key));
    Target *target = copy->targets[number];
    if (!target)
        target = copy->targets[number] = open_target(copy, copy->pieces[number].relid);
    TupleTableSlot *slot = target->slots[target->held];
    if (!slot)
        slot = target->slots[target->held] =
            MakeSingleTupleTableSlot(RelationGetDescr(target->rel), &TTSOpsHeapTuple);
    if (target->map) {
        execute_attr_map_slot(target->map->attrMap, row, slot);
        ExecMaterializeSlot(slot);
    } else {
        ExecCopySlot(slot, row);
    }
    if (++target->held == most_held)
        flush(copy, target);
}

// Written by a transaction whose changes are captured.
bool is_captured(const Copy *copy, TupleTableSlot *row)
{
    HeapTupleHeader header = ExecFetchSlotHeapTuple(row, false, nullptr)->t_data;
    return !HeapTupleHeaderXminFrozen(header) &&
           TransactionIdFollowsOrEquals(HeapTupleHeaderGetRawXmin(header), copy->first_xid);
}

void finish(Copy *copy)
{
    for (std::size_t i = 0; i < copy->count; ++i) {
        Target *target = copy->targets[i];
        if (!target)
            continue;
        flush(copy, target);
        for (TupleTableSlot *slot : target->slots)
            if (slot)
                ExecDropSingleTupleTableSlot(slot);
        FreeBulkInsertState(target->bulk);
        table_finish_bulk_insert(target->rel, 0);
        table_close(target->rel, NoLock);
    }
}

// Who commits beside us flushes what we have logged, too, and waits for it: little at a time. Then rests as
// long as the rate asks for, so that others have disk and processor in between.
void breathe(const Copy *copy, BlockNumber blocks)
{
    if (!XLogRecPtrIsInvalid(XactLastRecEnd)) // the end of a record: where the next one goes may lie behind a page's header
        XLogFlush(XactLastRecEnd);
    const double elapsed = pg::ms_since(copy->begun);
    const double ms = rest_ms(static_cast<std::int64_t>(blocks) * BLCKSZ, elapsed, copy->kb_per_second);
    if (ms < 1)
        return;
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, static_cast<long>(ms),
                    PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
}

void run(Copy *copy, Oid source, BlockNumber first, BlockNumber count)
{
    copy->source = table_open(source, ShareUpdateExclusiveLock);
    copy->command = GetCurrentCommandId(true);
    copy->scratch = AllocSetContextCreate(CurrentMemoryContext, "split copy", ALLOCSET_DEFAULT_SIZES);
    TupleTableSlot *row = table_slot_create(copy->source, nullptr);
    TableScanDesc scan = table_beginscan_strat(copy->source, GetActiveSnapshot(), 0, nullptr, true, false);
    heap_setscanlimits(scan, first, count);
    BlockNumber next = first + breath;
    while (table_scan_getnextslot(scan, ForwardScanDirection, row)) {
        CHECK_FOR_INTERRUPTS();
        const BlockNumber block = ItemPointerGetBlockNumber(&row->tts_tid);
        if (copy->kb_per_second > 0 && block >= next) {
            breathe(copy, block - first);
            next = block + breath;
        }
        if (!is_captured(copy, row))
            add_row(copy, row);
    }
    table_endscan(scan);
    ExecDropSingleTupleTableSlot(row);
    finish(copy);
    table_close(copy->source, NoLock);
}

} // namespace

std::int64_t copy_blocks(const partition::PartitionSet &set, const State &state, Oid source,
                         std::int64_t first, std::int64_t count)
{
    Copy copy{};
    copy.key = &set.key();
    copy.kb_per_second = settings::split_rate_kb();
    copy.begun = GetCurrentTimestamp();
    copy.first_xid = static_cast<TransactionId>(state.first_xid);
    copy.pieces = state.pieces.data();
    copy.count = state.pieces.size();
    std::vector<Target *> targets(state.pieces.size(), nullptr);
    copy.targets = targets.data();
    const char *key_name = set.policy().key.c_str();
    const pg::MemoryScope memory("split copy of blocks");
    const pg::SnapshotScope snapshot;
    pg::guarded([&] {
        copy.key_number = get_attnum(source, key_name);
        run(&copy, source, static_cast<BlockNumber>(first), static_cast<BlockNumber>(count));
    });
    return copy.rows;
}

} // namespace privacy_scan::split
