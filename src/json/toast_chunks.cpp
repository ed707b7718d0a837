// See toast_chunks.hpp.
#include "json/toast_chunks.hpp"

#include "pg/compat.hpp"

extern "C" {
#include <access/detoast.h>
#include <access/heaptoast.h>
#include <access/table.h>
#include <access/tableam.h>
}

namespace privacy_scan::json
{

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

void fetch_chunks(const ExternalValue &value, std::uint32_t from, std::uint32_t until, std::uint8_t *stored)
{
    CHECK_FOR_INTERRUPTS();
    Relation toast = table_open(value.relation, AccessShareLock);
    // The slice is written behind the header of a varlena that there isn't.
    auto *slice = reinterpret_cast<struct varlena *>(stored + from - VARHDRSZ);
    table_relation_fetch_toast_slice(toast, value.value, static_cast<int32>(value.stored_size),
                                     static_cast<int32>(from), static_cast<int32>(until - from), slice);
    table_close(toast, AccessShareLock);
}

} // namespace privacy_scan::json
