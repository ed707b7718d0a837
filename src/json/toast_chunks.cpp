// See toast_chunks.hpp. Opening a TOAST relation, its index and a scan of it costs as much as reading a
// chunk.
#include "json/toast_chunks.hpp"

#include "json/chunk_trail.hpp"
#include "pg/compat.hpp"
#include "pg/executor_run.hpp"

extern "C" {
#include <access/detoast.h>
#include <access/genam.h>
#include <access/heaptoast.h>
#include <access/relscan.h>
#include <access/table.h>
#include <access/tableam.h>
#include <access/toast_internals.h>
#include <catalog/pg_am_d.h>
#include <executor/tuptable.h>
#include <utils/fmgroids.h>
}

namespace privacy_scan::json
{

namespace
{

// A TOAST relation that is open while a query runs. Between two values the scan holds no page.
struct OpenToast {
    Oid oid;
    Relation relation;
    Relation *indexes;
    int index_count;
    SnapshotData snapshot;
    IndexScanDesc scan;
    TupleTableSlot *row;
    ChunkTrail trail;
};

// Of one run; more partitions than these take turns.
struct OpenToasts {
    static constexpr std::uint32_t most = 8;
    OpenToast open[most];
    std::uint32_t count, next;
};

[[noreturn]] void report_missing(const ExternalValue &value, std::int32_t chunk)
{
    ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                    errmsg("chunk number %d of toast value %u is missing or damaged", chunk, value.value),
                    errdetail("It is read from the relation with OID %u.", value.relation)));
    pg_unreachable();
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
    const char *bytes; // null where it is none
    std::uint32_t size;
};

Chunk chunk_of(TupleTableSlot *row)
{
    slot_getsomeattrs(row, 3);
    const auto *data = reinterpret_cast<const struct varlena *>(DatumGetPointer(row->tts_values[2]));
    const std::int32_t number = DatumGetInt32(row->tts_values[1]);
    if (row->tts_isnull[1] || row->tts_isnull[2] || (VARATT_IS_EXTENDED(data) && !VARATT_IS_SHORT(data)))
        return {number, nullptr, 0};
    return {number, VARDATA_ANY(data), static_cast<std::uint32_t>(VARSIZE_ANY_EXHDR(data))};
}

constexpr int key_count = 3;

void make_keys(ScanKeyData (&keys)[key_count], const ExternalValue &value, std::int32_t first,
               std::int32_t last)
{
    ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(value.value));
    ScanKeyInit(&keys[1], 2, BTGreaterEqualStrategyNumber, F_INT4GE, Int32GetDatum(first));
    ScanKeyInit(&keys[2], 2, BTLessEqualStrategyNumber, F_INT4LE, Int32GetDatum(last));
}

// Reads the chunks [first, last].
void scan_chunks(OpenToast &toast, const ExternalValue &value, std::int32_t first, std::int32_t last,
                 std::uint8_t *stored)
{
    std::int32_t expected =
        follow_trail(toast.trail, toast.relation, toast.scan->xs_snapshot, value, first, last, stored);
    if (expected > last)
        return;
    ScanKeyData keys[key_count];
    make_keys(keys, value, expected, last);
    const std::uint32_t chunk_most = chunk_size();
    index_rescan(toast.scan, keys, key_count, nullptr, 0);
    while (expected <= last && index_getnext_slot(toast.scan, ForwardScanDirection, toast.row)) {
        const Chunk chunk = chunk_of(toast.row);
        const std::uint32_t begin = static_cast<std::uint32_t>(expected) * chunk_most;
        if (chunk.number != expected || !chunk.bytes ||
            chunk.size != std::min(chunk_most, value.stored_size - begin))
            report_missing(value, expected);
        memcpy(stored + begin, chunk.bytes, chunk.size);
        note_chunk(toast.trail, value, expected++, toast.row->tts_tid);
        CHECK_FOR_INTERRUPTS();
    }
    if (expected <= last)
        report_missing(value, expected);
    ExecClearTuple(toast.row);
    index_rescan(toast.scan, nullptr, key_count, nullptr, 0);
}

// --- what stays open ------------------------------------------------------------------------------

void close_toast(OpenToast &toast)
{
    ExecDropSingleTupleTableSlot(toast.row);
    index_endscan(toast.scan);
    toast_close_indexes(toast.indexes, toast.index_count, AccessShareLock);
    table_close(toast.relation, AccessShareLock);
    toast.oid = InvalidOid;
}

void close_toasts(void *kept)
{
    auto *toasts = static_cast<OpenToasts *>(kept);
    for (std::uint32_t i = 0; i < toasts->count; ++i)
        if (OidIsValid(toasts->open[i].oid))
            close_toast(toasts->open[i]);
}

// Left closed where it is no heap.
void open_toast(OpenToast &toast, Oid oid)
{
    toast.relation = table_open(oid, AccessShareLock);
    if (toast.relation->rd_rel->relam != HEAP_TABLE_AM_OID) {
        table_close(toast.relation, AccessShareLock);
        return;
    }
    const int valid = toast_open_indexes(toast.relation, AccessShareLock, &toast.indexes, &toast.index_count);
    Snapshot snapshot = pg::compat::toast_snapshot(toast.snapshot);
    toast.scan = pg::compat::begin_index_scan(toast.relation, toast.indexes[valid], snapshot, key_count);
    toast.row = table_slot_create(toast.relation, nullptr);
    toast.trail = {};
    toast.oid = oid;
}

OpenToast *find_toast(OpenToasts &toasts, Oid oid)
{
    for (std::uint32_t i = 0; i < toasts.count; ++i)
        if (toasts.open[i].oid == oid)
            return &toasts.open[i];
    OpenToast &toast = toasts.open[toasts.next];
    if (toasts.count < OpenToasts::most)
        ++toasts.count;
    else if (OidIsValid(toast.oid))
        close_toast(toast);
    toasts.next = (toasts.next + 1) % OpenToasts::most;
    open_toast(toast, oid);
    return OidIsValid(toast.oid) ? &toast : nullptr;
}

// Null outside of a run, and for a kind of table that isn't read here.
OpenToast *kept_toast(MemoryContext query, Oid oid)
{
    pg::ExecutorRun *run = pg::executor_run(query);
    if (!run)
        return nullptr;
    MemoryContext outer = MemoryContextSwitchTo(run->context);
    if (!run->kept) {
        run->kept = palloc0(sizeof(OpenToasts));
        run->close = close_toasts;
    }
    OpenToast *toast = find_toast(*static_cast<OpenToasts *>(run->kept), oid);
    MemoryContextSwitchTo(outer);
    return toast;
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

void fetch_chunks(MemoryContext query, const ExternalValue &value, std::uint32_t from, std::uint32_t until,
                  std::uint8_t *stored)
{
    CHECK_FOR_INTERRUPTS();
    if (OpenToast *toast = kept_toast(query, value.relation))
        scan_chunks(*toast, value, static_cast<std::int32_t>(from / chunk_size()),
                    static_cast<std::int32_t>((until - 1) / chunk_size()), stored);
    else
        fetch_slice(value, from, until, stored);
}

} // namespace privacy_scan::json
