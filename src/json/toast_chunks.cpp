// See toast_chunks.hpp. A relation is opened for each value and closed after it: one that stayed open would
// be in the way of the transaction's own TRUNCATE or DROP. Only the locks stay.
#include "json/toast_chunks.hpp"

#include "pg/compat.hpp"

extern "C" {
#include <access/detoast.h>
#include <access/genam.h>
#include <access/heaptoast.h>
#include <access/table.h>
#include <access/tableam.h>
#include <access/toast_internals.h>
#include <access/xact.h>
#include <catalog/pg_am_d.h>
#include <storage/lmgr.h>
#include <utils/fmgroids.h>
}

namespace privacy_scan::json
{

namespace
{

[[noreturn]] void report_missing(const ExternalValue &value, std::int32_t chunk)
{
    ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                    errmsg("chunk number %d of toast value %u is missing or damaged", chunk, value.value),
                    errdetail("It is read from the relation with OID %u.", value.relation)));
    pg_unreachable();
}

// The index to read by. Its lock stays.
Oid lock_index(Relation toast)
{
    Relation *indexes;
    int count;
    const int valid = toast_open_indexes(toast, AccessShareLock, &indexes, &count);
    const Oid index = RelationGetRelid(indexes[valid]);
    LockRelationOid(index, AccessShareLock);
    toast_close_indexes(indexes, count, AccessShareLock);
    return index;
}

// Where locks are held already; or they are taken now. Null in a subtransaction, which might give them back
// before the transaction ends, and for a kind of table that isn't read here.
Oid held_index(ToastRelations &relations, Oid relation)
{
    for (std::uint32_t i = 0; i < relations.count; ++i)
        if (relations.held[i].relation == relation)
            return relations.held[i].index;
    if (relations.count == ToastRelations::most || GetCurrentTransactionNestLevel() > 1)
        return InvalidOid;
    Relation toast = table_open(relation, AccessShareLock);
    const Oid index = toast->rd_rel->relam == HEAP_TABLE_AM_OID ? lock_index(toast) : InvalidOid;
    table_close(toast, OidIsValid(index) ? NoLock : AccessShareLock);
    if (OidIsValid(index))
        relations.held[relations.count++] = {relation, index};
    return index;
}

// In PostgreSQL's own way.
void fetch_slice(const ExternalValue &value, std::uint32_t from, std::uint32_t until, std::uint8_t *stored)
{
    Relation toast = table_open(value.relation, AccessShareLock);
    // The slice is written behind the header of a varlena that there isn't.
    auto *slice = reinterpret_cast<struct varlena *>(stored + from - VARHDRSZ);
    table_relation_fetch_toast_slice(toast, value.value, static_cast<int32>(value.stored_size),
                                     static_cast<int32>(from), static_cast<int32>(until - from), slice);
    table_close(toast, AccessShareLock);
}

struct Chunk {
    std::int32_t number;
    const char *bytes;
    std::uint32_t size;
};

Chunk chunk_of(HeapTuple tuple, TupleDesc desc)
{
    bool is_null;
    const std::int32_t number = DatumGetInt32(fastgetattr(tuple, 2, desc, &is_null));
    const auto *data =
        reinterpret_cast<const struct varlena *>(DatumGetPointer(fastgetattr(tuple, 3, desc, &is_null)));
    if (VARATT_IS_EXTENDED(data) && !VARATT_IS_SHORT(data))
        return {number, nullptr, 0};
    return {number, VARDATA_ANY(data), static_cast<std::uint32_t>(VARSIZE_ANY_EXHDR(data))};
}

int make_keys(ScanKeyData *keys, const ExternalValue &value, std::int32_t first, std::int32_t last)
{
    ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(value.value));
    if (first == last) {
        ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(first));
        return 2;
    }
    ScanKeyInit(&keys[1], 2, BTGreaterEqualStrategyNumber, F_INT4GE, Int32GetDatum(first));
    ScanKeyInit(&keys[2], 2, BTLessEqualStrategyNumber, F_INT4LE, Int32GetDatum(last));
    return 3;
}

// Reads the chunks [first, last] by the index; the locks are held.
void scan_chunks(const ExternalValue &value, Oid index_oid, std::int32_t first, std::int32_t last,
                 std::uint8_t *stored)
{
    Relation toast = table_open(value.relation, NoLock);
    Relation index = index_open(index_oid, NoLock);
    ScanKeyData keys[3];
    SnapshotData storage;
    const int count = make_keys(keys, value, first, last);
    SysScanDesc scan =
        systable_beginscan_ordered(toast, index, pg::compat::toast_snapshot(storage), count, keys);
    const std::uint32_t chunk_most = chunk_size();
    std::int32_t expected = first;
    while (HeapTuple tuple = systable_getnext_ordered(scan, ForwardScanDirection)) {
        const Chunk chunk = chunk_of(tuple, RelationGetDescr(toast));
        const std::uint32_t begin = static_cast<std::uint32_t>(expected) * chunk_most;
        if (chunk.number != expected || expected > last || !chunk.bytes ||
            chunk.size != std::min(chunk_most, value.stored_size - begin))
            report_missing(value, expected);
        memcpy(stored + begin, chunk.bytes, chunk.size);
        ++expected;
    }
    if (expected <= last)
        report_missing(value, expected);
    systable_endscan_ordered(scan);
    index_close(index, NoLock);
    table_close(toast, NoLock);
}

} // namespace

ExternalValue external_value(const struct varlena *datum)
{
    struct varatt_external pointer;
    VARATT_EXTERNAL_GET_POINTER(pointer, datum);
    const std::uint32_t stored = pg::compat::external_size(pointer);
    const auto raw = static_cast<std::uint32_t>(pointer.va_rawsize - VARHDRSZ);
    return {pointer.va_toastrelid, pointer.va_valueid, raw, stored, stored < raw};
}

std::uint32_t chunk_size()
{
    return TOAST_MAX_CHUNK_SIZE;
}

void fetch_chunks(ToastRelations &relations, const ExternalValue &value, std::uint32_t from,
                  std::uint32_t until, std::uint8_t *stored)
{
    CHECK_FOR_INTERRUPTS();
    const Oid index = held_index(relations, value.relation);
    if (OidIsValid(index))
        scan_chunks(value, index, static_cast<std::int32_t>(from / chunk_size()),
                    static_cast<std::int32_t>((until - 1) / chunk_size()), stored);
    else
        fetch_slice(value, from, until, stored);
}

} // namespace privacy_scan::json
