// See split_apply.hpp. All red but for the entries.
#include "pg/postgres.hpp"

#include "split/split_apply.hpp"

#include "pg/compat.hpp"
#include "pg/memory.hpp"
#include "pg/row_stamp.hpp"
#include "pg/snapshot.hpp"
#include "pg/subxact.hpp"
#include "split/split_plan.hpp"

#include <cstring>

extern "C" {
#include <access/genam.h>
#include <access/heapam.h>
#include <access/htup_details.h>
#include <access/relscan.h>
#include <access/table.h>
#include <access/tableam.h>
#include <access/transam.h>
#include <access/tupconvert.h>
#include <access/xact.h>
#include <executor/executor.h>
#include <storage/bufmgr.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/snapmgr.h>
}

namespace privacy_scan::split
{

namespace
{

// A relation whose rows are found by their primary key.
struct Keyed {
    Relation rel;
    Oid index;
    int columns;
    ScanKeyData keys[INDEX_MAX_KEYS]; // without their values
};

struct Target {
    Keyed keyed;
    TupleConversionMap **maps; // from the rows of each source; null where the columns line up
    EState *executor;
    ResultRelInfo *result;
    TupleTableSlot *slot;
};

struct Apply {
    Snapshot snapshot;
    TransactionId oldest_xmin; // what was deleted before nobody sees any more
    Relation changes;
    const Origin *origins;
    Keyed *sources; // beside them
    std::size_t source_count;
    const Piece *pieces;
    Target **targets; // beside them; null until they are needed
    std::size_t count;
    const partition::KeyAxis *key;
    int key_column; // of the partition key within the primary key
};

// One key, found in the table of changes.
struct Change {
    HeapTuple tuple;
    Datum *values;
    bool is_repeated; // an earlier one is of the same key
};

Keyed open_keyed(Oid relid, LOCKMODE lockmode)
{
    Keyed keyed{};
    keyed.rel = table_open(relid, lockmode);
    RelationGetIndexList(keyed.rel); // fills rd_pkindex
    keyed.index = keyed.rel->rd_pkindex;
    if (!OidIsValid(keyed.index))
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("relation \"%s\" has no primary key", RelationGetRelationName(keyed.rel)),
                        errhint("End the split with privacy_scan.cancel_split() and begin again.")));
    Relation index = index_open(keyed.index, AccessShareLock);
    keyed.columns = IndexRelationGetNumberOfKeyAttributes(index);
    for (int i = 0; i < keyed.columns; ++i) {
        const Oid type = index->rd_opcintype[i];
        const Oid equals = get_opfamily_member(index->rd_opfamily[i], type, type, BTEqualStrategyNumber);
        ScanKeyEntryInitialize(&keyed.keys[i], 0, index->rd_index->indkey.values[i], BTEqualStrategyNumber,
                               InvalidOid, index->rd_indcollation[i], get_opcode(equals), Datum(0));
    }
    index_close(index, NoLock);
    return keyed;
}

// All versions of the rows of one key, whoever sees them.
SysScanDesc begin_versions(const Keyed *keyed, const Datum *values)
{
    ScanKeyData keys[INDEX_MAX_KEYS];
    for (int i = 0; i < keyed->columns; ++i) {
        keys[i] = keyed->keys[i];
        keys[i].sk_argument = values[i];
    }
    return systable_beginscan(keyed->rel, keyed->index, true, SnapshotAny, keyed->columns, keys);
}

// A copy whose header doesn't change while we look at it.
HeapTuple next_version(SysScanDesc scan)
{
    HeapTuple tuple = systable_getnext(scan);
    if (!HeapTupleIsValid(tuple))
        return nullptr;
    Buffer buffer = reinterpret_cast<BufferHeapTupleTableSlot *>(scan->slot)->buffer;
    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    HeapTuple copy = heap_copytuple(tuple);
    LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
    return copy;
}

bool is_committed(const Apply *apply, TransactionId xid)
{
    return !XidInMVCCSnapshot(xid, apply->snapshot) && TransactionIdDidCommit(xid);
}

// True where a snapshot may show the version, ours or an older one; with what it is stamped.
bool is_needed(const Apply *apply, HeapTupleHeader header, pg::Stamp *stamp)
{
    *stamp = {InvalidTransactionId, InvalidTransactionId};
    if (!HeapTupleHeaderXminFrozen(header)) {
        const TransactionId made = HeapTupleHeaderGetRawXmin(header);
        if (HeapTupleHeaderXminInvalid(header) || !is_committed(apply, made))
            return false;
        if (!TransactionIdPrecedes(made, apply->oldest_xmin))
            stamp->made = made;
    }
    if ((header->t_infomask & HEAP_XMAX_INVALID) || HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask))
        return true;
    const TransactionId deleted = HeapTupleHeaderGetUpdateXid(header);
    if (!TransactionIdIsValid(deleted) || !is_committed(apply, deleted))
        return true;
    stamp->deleted = deleted;
    return !TransactionIdPrecedes(deleted, apply->oldest_xmin);
}

Target *open_target(Apply *apply, Oid relid)
{
    auto *target = static_cast<Target *>(palloc0(sizeof(Target)));
    target->keyed = open_keyed(relid, RowExclusiveLock);
    target->maps =
        static_cast<TupleConversionMap **>(palloc0(sizeof(TupleConversionMap *) * apply->source_count));
    for (std::size_t i = 0; i < apply->source_count; ++i)
        target->maps[i] = convert_tuples_by_name(RelationGetDescr(apply->sources[i].rel),
                                                 RelationGetDescr(target->keyed.rel));
    target->executor = CreateExecutorState();
    target->result = makeNode(ResultRelInfo);
    InitResultRelInfo(target->result, target->keyed.rel, 1, nullptr, 0);
    ExecOpenIndices(target->result, false);
    target->slot = MakeSingleTupleTableSlot(RelationGetDescr(target->keyed.rel), &TTSOpsHeapTuple);
    return target;
}

void close_target(Target *target)
{
    ExecDropSingleTupleTableSlot(target->slot);
    ExecCloseIndices(target->result);
    FreeExecutorState(target->executor);
    table_close(target->keyed.rel, NoLock);
}

std::int64_t place_of(const Apply *apply, const Change *change)
{
    return apply->key->axis_of(change->values[apply->key_column]);
}

// The only source that can hold the key: the primary key contains the partition key.
std::size_t source_of(const Apply *apply, const Change *change)
{
    return part_at(apply->origins, apply->source_count, place_of(apply, change));
}

Target *target_of(Apply *apply, const Change *change)
{
    const std::size_t number = part_at(apply->pieces, apply->count, place_of(apply, change));
    if (!apply->targets[number])
        apply->targets[number] = open_target(apply, apply->pieces[number].relid);
    return apply->targets[number];
}

void withdraw_key(Apply *apply, const Change *change)
{
    Target *target = target_of(apply, change);
    SysScanDesc scan = begin_versions(&target->keyed, change->values);
    while (HeapTuple version = next_version(scan))
        if (!HeapTupleHeaderXminInvalid(version->t_data))
            pg::withdraw_version(target->keyed.rel, &version->t_self);
    systable_endscan(scan);
}

void insert_version(Target *target, std::size_t source, HeapTuple version, pg::Stamp stamp)
{
    TupleConversionMap *map = target->maps[source];
    HeapTuple tuple = map ? execute_attr_map_tuple(version, map) : heap_copytuple(version);
    tuple->t_tableOid = RelationGetRelid(target->keyed.rel);
    heap_insert(target->keyed.rel, tuple, GetCurrentCommandId(true), HEAP_INSERT_NO_LOGICAL, nullptr);
    ExecStoreHeapTuple(tuple, target->slot, false);
    target->slot->tts_tid = tuple->t_self;
    target->slot->tts_tableOid = tuple->t_tableOid;
    pg::compat::insert_index_entries(target->result, target->slot, target->executor);
    ResetPerTupleExprContext(target->executor);
    // Last: a version that counts without an entry in each index would never be found again.
    pg::stamp_version(target->keyed.rel, &tuple->t_self, stamp);
    ExecClearTuple(target->slot);
}

// Deleted versions first: the one that lives must find no other of its key.
void renew_key(Apply *apply, const Change *change)
{
    withdraw_key(apply, change); // keys may be equal whose bytes are not
    Target *target = target_of(apply, change);
    const std::size_t source = source_of(apply, change);
    apply->oldest_xmin = pg::compat::oldest_xmin(apply->sources[source].rel); // as late as can be
    for (const bool is_deleted : {true, false}) {
        SysScanDesc scan = begin_versions(&apply->sources[source], change->values);
        while (HeapTuple version = next_version(scan)) {
            pg::Stamp stamp;
            if (is_needed(apply, version->t_data, &stamp) &&
                TransactionIdIsValid(stamp.deleted) == is_deleted)
                insert_version(target, source, version, stamp);
        }
        systable_endscan(scan);
    }
}

int compare_keys(const void *left, const void *right)
{
    HeapTuple a = static_cast<const Change *>(left)->tuple, b = static_cast<const Change *>(right)->tuple;
    if (a->t_len != b->t_len)
        return a->t_len < b->t_len ? -1 : 1;
    const std::size_t head = a->t_data->t_hoff;
    return std::memcmp(reinterpret_cast<char *>(a->t_data) + head, reinterpret_cast<char *>(b->t_data) + head,
                       a->t_len - head);
}

// Rows that change all the time have many notes, and are brought up to date once.
void mark_repeated(Change *changes, int count)
{
    qsort(changes, static_cast<std::size_t>(count), sizeof(Change), compare_keys);
    for (int i = 0; i < count; ++i)
        changes[i].is_repeated = i > 0 && compare_keys(&changes[i - 1], &changes[i]) == 0;
}

// What the caller's own transaction has changed is not committed yet, so that no version of it would be
// brought over, and the note of it would be gone.
void require_not_own(const Apply *apply, const Change *change)
{
    if (!TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmin(change->tuple->t_data)))
        return;
    Relation source = apply->sources[source_of(apply, change)].rel;
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("this transaction has itself changed rows of partition \"%s\"",
                           RelationGetRelationName(source)),
                    errhint("Commit first, then let the split or merge take its next step.")));
}

// Copies of the keys, in the current memory context.
int read_changes(Apply *apply, Change *changes, std::int64_t most)
{
    TupleDesc desc = RelationGetDescr(apply->changes);
    TupleTableSlot *slot = table_slot_create(apply->changes, nullptr);
    TableScanDesc scan = table_beginscan(apply->changes, apply->snapshot, 0, nullptr);
    int count = 0;
    while (count < most && table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
        Change *change = &changes[count++];
        change->tuple = ExecCopySlotHeapTuple(slot);
        auto *nulls = static_cast<bool *>(palloc(sizeof(bool) * static_cast<std::size_t>(desc->natts)));
        change->values = static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<std::size_t>(desc->natts)));
        heap_deform_tuple(change->tuple, desc, change->values, nulls);
        require_not_own(apply, change);
    }
    table_endscan(scan);
    ExecDropSingleTupleTableSlot(slot);
    mark_repeated(changes, count);
    return count;
}

using Action = void (*)(Apply *, const Change *);

void for_each(Apply *apply, const Change *changes, int count, Action action)
{
    for (int i = 0; i < count; ++i) {
        CHECK_FOR_INTERRUPTS();
        if (!changes[i].is_repeated)
            action(apply, &changes[i]);
    }
}

void forget(Apply *apply, const Change *changes, int count)
{
    for (int i = 0; i < count; ++i)
        simple_heap_delete(apply->changes, &changes[i].tuple->t_self);
}

// All copies of all keys go before the first comes again: a value that is unique may have gone from one row
// to another.
int run(Apply *apply, const State *state, std::int64_t most, const char *key_name)
{
    apply->snapshot = GetActiveSnapshot();
    apply->changes = table_open(state->changes, RowExclusiveLock);
    for (std::size_t i = 0; i < apply->source_count; ++i)
        apply->sources[i] = open_keyed(apply->origins[i].relid, ShareUpdateExclusiveLock);
    const Keyed *first = &apply->sources[0];
    const AttrNumber key_number = get_attnum(RelationGetRelid(first->rel), key_name);
    for (int i = 0; i < first->columns; ++i)
        if (first->keys[i].sk_attno == key_number)
            apply->key_column = i;
    auto *changes = static_cast<Change *>(
        MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Change) * static_cast<std::size_t>(most)));
    const int count = read_changes(apply, changes, most);
    for_each(apply, changes, count, withdraw_key);
    CommandCounterIncrement();
    for_each(apply, changes, count, renew_key);
    forget(apply, changes, count);
    for (std::size_t i = 0; i < apply->count; ++i)
        if (apply->targets[i])
            close_target(apply->targets[i]);
    for (std::size_t i = 0; i < apply->source_count; ++i)
        table_close(apply->sources[i].rel, NoLock);
    table_close(apply->changes, NoLock);
    return count;
}

int count_rows(Oid relid, std::int64_t most)
{
    Relation rel = table_open(relid, AccessShareLock);
    TupleTableSlot *slot = table_slot_create(rel, nullptr);
    TableScanDesc scan = table_beginscan(rel, GetActiveSnapshot(), 0, nullptr);
    int count = 0;
    while (count < most && table_scan_getnextslot(scan, ForwardScanDirection, slot))
        ++count;
    table_endscan(scan);
    ExecDropSingleTupleTableSlot(slot);
    table_close(rel, NoLock);
    return count;
}

} // namespace

std::int64_t count_changes(const State &state, std::int64_t most)
{
    const pg::SnapshotScope snapshot;
    return pg::guarded([&] { return count_rows(state.changes, most); });
}

namespace
{

std::int64_t apply_once(const partition::PartitionSet &set, const State &state, std::int64_t most)
{
    Apply apply{};
    apply.key = &set.key();
    apply.pieces = state.pieces.data();
    apply.count = state.pieces.size();
    apply.origins = state.sources.data();
    apply.source_count = state.sources.size();
    std::vector<Keyed> sources(state.sources.size());
    apply.sources = sources.data();
    std::vector<Target *> targets(state.pieces.size(), nullptr);
    apply.targets = targets.data();
    const char *key_name = set.policy().key.c_str();
    const pg::MemoryScope memory("split changes");
    const pg::SnapshotScope snapshot;
    return pg::guarded([&] { return run(&apply, &state, most, key_name); });
}

} // namespace

// A version that only an older snapshot of somebody else's shows can go while it is being copied, where that
// snapshot has gone a moment ago: then its parts in TOAST are missing. The next look finds that nobody needs
// it any more.
std::int64_t apply_changes(const partition::PartitionSet &set, const State &state, std::int64_t most)
{
    constexpr int most_attempts = 5;
    for (int attempt = 1;; ++attempt) {
        std::int64_t count = 0;
        const auto failure = pg::try_in_subtransaction([&] { count = apply_once(set, state, most); });
        if (!failure)
            return count;
        if (failure->error.sqlstate != ERRCODE_DATA_CORRUPTED || attempt == most_attempts)
            pg::raise(*failure);
    }
}

} // namespace privacy_scan::split
