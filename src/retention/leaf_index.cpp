// See leaf_index.hpp.
#include "retention/leaf_index.hpp"

#include "pg/compat.hpp"

extern "C" {
#include <access/genam.h>
#include <access/htup_details.h>
#include <access/tableam.h>
#include <access/visibilitymap.h>
#include <catalog/pg_am_d.h>
#include <catalog/pg_index.h>
#include <executor/tuptable.h>
#include <storage/bufmgr.h>
#include <utils/memutils.h>
#include <utils/snapmgr.h>
}

namespace privacy_scan::retention
{

namespace
{

// indcheckxmin: in a broken HOT chain it has one entry for versions with different keys. The keys of names are of another type than
// the column, cstring.
bool has_all_rows(Relation leaf, Relation index, AttrNumber column)
{
    const FormData_pg_index *about = index->rd_index;
    return index->rd_rel->relam == BTREE_AM_OID && about->indisvalid && about->indisready && about->indislive &&
           !about->indcheckxmin && about->indkey.values[0] == column &&
           heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, nullptr) &&
           TupleDescAttr(RelationGetDescr(index), 0)->atttypid ==
               TupleDescAttr(RelationGetDescr(leaf), column - 1)->atttypid;
}

// each: a context for what lasts no longer. The scan's own calls stay out of it: it keeps memory that it gets on its way.
void note_entry(RootValues *roots, IndexScanDesc entries, MemoryContext each)
{
    bool is_null;
    const Datum value = index_getattr(entries->xs_itup, 1, entries->xs_itupdesc, &is_null);
    MemoryContext outer = MemoryContextSwitchTo(each);
    note_root(roots, TupleDescAttr(entries->xs_itupdesc, 0), value, is_null);
    MemoryContextSwitchTo(outer);
    MemoryContextReset(each);
}

std::int64_t add_entries(Relation leaf, IndexScanDesc entries, RootValues *roots)
{
    std::int64_t rows = 0;
    Buffer map = InvalidBuffer;
    TupleTableSlot *slot = table_slot_create(leaf, nullptr);
    MemoryContext each = AllocSetContextCreate(CurrentMemoryContext, "entry of an index", ALLOCSET_DEFAULT_SIZES);
    while (ItemPointer place = index_getnext_tid(entries, ForwardScanDirection)) {
        CHECK_FOR_INTERRUPTS();
        if (!VM_ALL_VISIBLE(leaf, ItemPointerGetBlockNumber(place), &map) && !index_fetch_heap(entries, slot))
            continue;
        ++rows;
        note_entry(roots, entries, each);
    }
    MemoryContextDelete(each);
    ExecDropSingleTupleTableSlot(slot);
    if (BufferIsValid(map))
        ReleaseBuffer(map);
    return rows;
}

} // namespace

Oid index_on(Relation leaf, AttrNumber column)
{
    Oid smallest = InvalidOid;
    BlockNumber blocks = RelationGetNumberOfBlocks(leaf);
    List *indexes = RelationGetIndexList(leaf);
    ListCell *cell;
    foreach (cell, indexes) {
        Relation index = index_open(lfirst_oid(cell), AccessShareLock);
        if (has_all_rows(leaf, index, column) && RelationGetNumberOfBlocks(index) < blocks) {
            smallest = lfirst_oid(cell);
            blocks = RelationGetNumberOfBlocks(index);
        }
        index_close(index, NoLock);
    }
    list_free(indexes);
    return smallest;
}

std::int64_t read_index(Relation leaf, Oid index, RootValues *roots)
{
    Relation relation = index_open(index, AccessShareLock);
    IndexScanDesc entries = pg::compat::begin_index_scan(leaf, relation, GetActiveSnapshot(), 0);
    entries->xs_want_itup = true;
    index_rescan(entries, nullptr, 0, nullptr, 0);
    const std::int64_t rows = add_entries(leaf, entries, roots);
    index_endscan(entries);
    index_close(relation, NoLock);
    return rows;
}

} // namespace privacy_scan::retention
