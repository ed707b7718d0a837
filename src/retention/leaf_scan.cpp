// See leaf_scan.hpp.
#include "retention/leaf_scan.hpp"

extern "C" {
#include <access/tableam.h>
#include <executor/tuptable.h>
#include <utils/datum.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/snapmgr.h>
}

namespace privacy_scan::retention
{

namespace
{

struct LeafScan {
    const RowShape *shape; // null: no digest
    int column; // from 0
    bool by_value;
    std::int16_t length;
    Digest last; // rows of one root lie together
    RootValues *roots;
};

Digest digest_of_value(const LeafScan &scan, Datum value)
{
    if (scan.by_value)
        return hash_of_bytes(&value, sizeof value);
    const char *bytes = DatumGetPointer(value);
    if (scan.length >= 0)
        return hash_of_bytes(bytes, static_cast<std::size_t>(scan.length));
    return hash_of_bytes(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
}

void note_root(LeafScan *scan, Datum value)
{
    const bool packed = scan->length == -1;
    const Datum plain = packed ? PointerGetDatum(PG_DETOAST_DATUM_PACKED(value)) : value;
    const Digest digest = digest_of_value(*scan, plain);
    RootValues *roots = scan->roots;
    bool found = digest == scan->last;
    if (!found)
        hash_search(roots->seen, &digest, HASH_ENTER, &found);
    if (!found) {
        roots->values = accumArrayResult(roots->values, plain, false, roots->values->element_type,
                                         roots->values->mcontext);
        ++roots->count;
    }
    scan->last = digest;
}

void add_rows(Relation leaf, LeafScan *scan, RowTotal *total)
{
    TupleTableSlot *slot = table_slot_create(leaf, nullptr);
    TableScanDesc rows = table_beginscan(leaf, GetActiveSnapshot(), 0, nullptr);
    MemoryContext each = AllocSetContextCreate(CurrentMemoryContext, "row of a leaf", ALLOCSET_DEFAULT_SIZES);
    MemoryContext outer = MemoryContextSwitchTo(each);
    while (table_scan_getnextslot(rows, ForwardScanDirection, slot)) {
        CHECK_FOR_INTERRUPTS();
        if (scan->shape) {
            slot_getallattrs(slot);
            add_row(total, scan->shape, slot->tts_values, slot->tts_isnull);
        } else {
            slot_getsomeattrs(slot, scan->column + 1);
            ++total->rows;
        }
        if (scan->roots && slot->tts_isnull[scan->column])
            ++scan->roots->missing;
        else if (scan->roots)
            note_root(scan, slot->tts_values[scan->column]);
        MemoryContextReset(each);
    }
    MemoryContextSwitchTo(outer);
    MemoryContextDelete(each);
    table_endscan(rows);
    ExecDropSingleTupleTableSlot(slot);
}

} // namespace

RootValues make_root_values(Oid type)
{
    HASHCTL control{};
    control.keysize = sizeof(Digest);
    control.entrysize = sizeof(Digest);
    control.hcxt = CurrentMemoryContext;
    return {hash_create("roots of a leaf", 1024, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT),
            initArrayResult(type, CurrentMemoryContext, true), 0, 0};
}

RowTotal scan_leaf(Relation leaf, const ScanFor &what)
{
    LeafScan scan{what.digest ? make_row_shape(RelationGetDescr(leaf)) : nullptr, what.column - 1, false, 0, {}, what.roots};
    if (what.roots) {
        Form_pg_attribute about = TupleDescAttr(RelationGetDescr(leaf), what.column - 1);
        scan.by_value = about->attbyval;
        scan.length = about->attlen;
    }
    RowTotal total{};
    add_rows(leaf, &scan, &total);
    return total;
}

Datum array_of(const RootValues *roots)
{
    return makeArrayResult(roots->values, CurrentMemoryContext);
}

} // namespace privacy_scan::retention
