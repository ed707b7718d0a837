// See leaf_scan.hpp.
#include "retention/leaf_scan.hpp"

#include "retention/leaf_index.hpp"

extern "C" {
#include <access/tableam.h>
#include <executor/tuptable.h>
#include <utils/memutils.h>
#include <utils/snapmgr.h>
}

namespace privacy_scan::retention
{

namespace
{

void add_row_of(const ScanFor *what, const RowShape *shape, TupleTableSlot *slot, RowTotal *total)
{
    const int column = what->column - 1;
    if (shape) {
        slot_getallattrs(slot);
        add_row(total, shape, slot->tts_values, slot->tts_isnull);
    } else {
        slot_getsomeattrs(slot, what->column);
        ++total->rows;
    }
    if (what->roots)
        note_root(what->roots, TupleDescAttr(slot->tts_tupleDescriptor, column), slot->tts_values[column],
                  slot->tts_isnull[column]);
}

void add_rows(Relation leaf, const ScanFor *what, RowTotal *total)
{
    const RowShape *shape = what->digest ? make_row_shape(RelationGetDescr(leaf)) : nullptr;
    TupleTableSlot *slot = table_slot_create(leaf, nullptr);
    TableScanDesc rows = table_beginscan(leaf, GetActiveSnapshot(), 0, nullptr);
    MemoryContext each = AllocSetContextCreate(CurrentMemoryContext, "row of a leaf", ALLOCSET_DEFAULT_SIZES);
    MemoryContext outer = MemoryContextSwitchTo(each);
    while (table_scan_getnextslot(rows, ForwardScanDirection, slot)) {
        CHECK_FOR_INTERRUPTS();
        add_row_of(what, shape, slot, total);
        MemoryContextReset(each);
    }
    MemoryContextSwitchTo(outer);
    MemoryContextDelete(each);
    table_endscan(rows);
    ExecDropSingleTupleTableSlot(slot);
}

} // namespace

RowTotal scan_leaf(Relation leaf, const ScanFor &what)
{
    RowTotal total{};
    const Oid index = what.digest ? InvalidOid : index_on(leaf, what.column);
    if (OidIsValid(index))
        total.rows = read_index(leaf, index, what.roots);
    else
        add_rows(leaf, &what, &total);
    return total;
}

} // namespace privacy_scan::retention
