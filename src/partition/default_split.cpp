// See default_split.hpp. All red but for the entry: it works on PostgreSQL's own heap rewriting.
#include "pg/postgres.hpp"

#include "partition/default_split.hpp"

#include "pg/compat.hpp"
#include "pg/ident.hpp"
#include "pg/relation.hpp"

extern "C" {
#include <access/heapam.h>
#include <access/htup_details.h>
#include <access/multixact.h>
#include <access/rewriteheap.h>
#include <access/table.h>
#include <access/tableam.h>
#include <access/tupconvert.h>
#include <access/xact.h>
#include <catalog/indexing.h>
#include <catalog/pg_am_d.h>
#include <commands/cluster.h>
#include <commands/tablecmds.h>
#include <executor/tuptable.h>
#include <storage/bufmgr.h>
#include <storage/lmgr.h>
#include <storage/predicate.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/snapmgr.h>
#include <utils/syscache.h>
}

namespace privacy_scan::partition
{

namespace
{

// One file that row versions are written to: a target's, or the new one of DEFAULT.
struct Output {
    Cell bounds;
    Oid relid;
    Relation rel;
    RewriteState state;
    TupleConversionMap *map; // null where the columns line up
    std::int64_t rows;
};

struct Split {
    Relation source;
    AttrNumber key_number;
    const KeyAxis *key;
    TransactionId oldest_xmin;
    TransactionId freeze_xid;
    MultiXactId multi_cutoff;
    Output *outputs; // the targets, ordered, and last the new file of DEFAULT
    int targets;
};

void check_source(Relation source)
{
    if (source->rd_rel->relkind != RELKIND_RELATION || source->rd_rel->relam != HEAP_TABLE_AM_OID)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("cannot drain DEFAULT partition \"%s\"", RelationGetRelationName(source)),
                        errdetail("It is not a plain table of the heap access method."),
                        errhint("Detach it and insert its rows into the relation.")));
    CheckTableNotInUse(source, "drain_default");
}

void open_output(Split *split, Output *output)
{
    output->rel = table_open(output->relid, AccessExclusiveLock);
    output->state = begin_heap_rewrite(split->source, output->rel, split->oldest_xmin, split->freeze_xid,
                                       split->multi_cutoff);
    output->map = convert_tuples_by_name(RelationGetDescr(split->source), RelationGetDescr(output->rel));
}

// What this transaction has read of DEFAULT counts as read of the target, too.
void open_target(Split *split, Output *target)
{
    open_output(split, target);
    pg::compat::admit_older_rows(target->rel);
    PredicateLockRelation(target->rel, GetActiveSnapshot());
}

Output *output_for(Split *split, HeapTuple tuple)
{
    bool is_null = false;
    Datum value = heap_getattr(tuple, split->key_number, RelationGetDescr(split->source), &is_null);
    Output *rest = &split->outputs[split->targets];
    if (is_null)
        return rest;
    std::int64_t at = split->key->axis_of(value);
    int low = 0, high = split->targets;
    while (low < high) { // the first target that ends after the value
        int middle = (low + high) / 2;
        if (split->outputs[middle].bounds.upper <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low < split->targets && split->outputs[low].bounds.lower <= at ? &split->outputs[low] : rest;
}

// A fresh tuple for the output: columns by name, dropped ones null, missing ones filled in.
HeapTuple reform(Split *split, Output *output, HeapTuple tuple)
{
    if (output->map)
        return execute_attr_map_tuple(tuple, output->map);
    TupleDesc desc = RelationGetDescr(split->source);
    Datum *values = static_cast<Datum *>(palloc(sizeof(Datum) * desc->natts));
    bool *nulls = static_cast<bool *>(palloc(sizeof(bool) * desc->natts));
    heap_deform_tuple(tuple, desc, values, nulls);
    for (int i = 0; i < desc->natts; ++i)
        if (TupleDescAttr(desc, i)->attisdropped)
            nulls[i] = true;
    return heap_form_tuple(RelationGetDescr(output->rel), values, nulls);
}

// True where somebody may still see this version. Nobody else has written to the table since we hold
// ACCESS EXCLUSIVE on it, so what is in progress is our own.
bool is_needed(Split *split, HeapTuple tuple, Buffer buffer, bool *live)
{
    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    HTSV_Result result = HeapTupleSatisfiesVacuum(tuple, split->oldest_xmin, buffer);
    LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
    *live = result == HEAPTUPLE_LIVE || result == HEAPTUPLE_INSERT_IN_PROGRESS;
    return result != HEAPTUPLE_DEAD;
}

void forget_predecessor(Split *split, HeapTuple dead)
{
    for (int i = 0; i <= split->targets; ++i)
        (void)rewrite_heap_dead_tuple(split->outputs[i].state, dead);
}

void copy_versions(Split *split)
{
    MemoryContext per_tuple =
        AllocSetContextCreate(CurrentMemoryContext, "split of DEFAULT", ALLOCSET_DEFAULT_SIZES);
    TupleTableSlot *slot = table_slot_create(split->source, nullptr);
    TableScanDesc scan = table_beginscan(split->source, SnapshotAny, 0, nullptr);
    while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
        CHECK_FOR_INTERRUPTS();
        MemoryContext outer = MemoryContextSwitchTo(per_tuple);
        HeapTuple tuple = ExecFetchSlotHeapTuple(slot, false, nullptr);
        Buffer buffer = reinterpret_cast<BufferHeapTupleTableSlot *>(slot)->buffer;
        bool live = false;
        if (is_needed(split, tuple, buffer, &live)) {
            Output *output = output_for(split, tuple);
            rewrite_heap_tuple(output->state, tuple, reform(split, output, tuple));
            output->rows += live;
        } else {
            forget_predecessor(split, tuple);
        }
        MemoryContextSwitchTo(outer);
        MemoryContextReset(per_tuple);
    }
    table_endscan(scan);
    ExecDropSingleTupleTableSlot(slot);
    MemoryContextDelete(per_tuple);
}

void finish(Split *split, Oid source, char persistence)
{
    for (int i = 0; i <= split->targets; ++i) {
        end_heap_rewrite(split->outputs[i].state);
        table_close(split->outputs[i].rel, NoLock);
        if (i < split->targets) // made by this transaction, younger than the versions that it now holds
            pg::set_frozen_horizon(split->outputs[i].relid, {split->freeze_xid, split->multi_cutoff});
    }
    TransferPredicateLocksToHeapRelation(split->source);
    table_close(split->source, NoLock);
    CommandCounterIncrement();
    finish_heap_swap(source, split->outputs[split->targets].relid, false, false, false, true,
                     split->freeze_xid, split->multi_cutoff, persistence);
    CommandCounterIncrement();
}

void run(Split *split, Oid source, const char *key_name)
{
    split->source = table_open(source, AccessExclusiveLock);
    check_source(split->source);
    Form_pg_class form = split->source->rd_rel;
    char persistence = form->relpersistence;
    if (OidIsValid(form->reltoastrelid)) // so that no vacuum takes values that recently dead rows still need
        LockRelationOid(form->reltoastrelid, AccessExclusiveLock);
    split->key_number = get_attnum(source, key_name);
    split->oldest_xmin = pg::compat::oldest_xmin(split->source);
    split->freeze_xid = form->relfrozenxid; // nothing is frozen that wasn't: the horizons stay DEFAULT's own
    split->multi_cutoff = form->relminmxid;
    split->outputs[split->targets].relid =
        pg::compat::make_transient_heap(source, form->reltablespace, form->relam, persistence);
    for (int i = 0; i < split->targets; ++i)
        open_target(split, &split->outputs[i]);
    open_output(split, &split->outputs[split->targets]);
    copy_versions(split);
    finish(split, source, persistence);
}

} // namespace

void split_default(const PartitionSet &set, Oid default_partition, std::vector<SplitTarget> &targets)
{
    std::vector<Output> outputs(targets.size() + 1);
    for (std::size_t i = 0; i < targets.size(); ++i) {
        outputs[i].bounds = targets[i].bounds;
        outputs[i].relid = targets[i].relid;
    }
    Split split{};
    split.key = &set.key();
    split.outputs = outputs.data();
    split.targets = static_cast<int>(targets.size());
    const char *key_name = set.policy().key.c_str();
    pg::guarded([&] { run(&split, default_partition, key_name); });
    for (std::size_t i = 0; i < targets.size(); ++i)
        targets[i].rows = outputs[i].rows;
}

} // namespace privacy_scan::partition
