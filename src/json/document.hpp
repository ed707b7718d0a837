// A jsonb datum as bytes to walk through, whichever way it is stored. What is compressed or external is
// decoded and fetched as far as it is read, into buffers of this backend's that keep the documents read last:
// another look at the same one, from wherever in the query, goes on where the last one stopped. Red.
#pragma once

#include "json/byte_source.hpp"
#include "json/next_row.hpp"
#include "pg/postgres.hpp"

namespace privacy_scan::json
{

// What a call site knows of the documents it reads. Zero it but for its query.
struct DocumentSite {
    MemoryContext query; // fn_mcxt of the call
    std::uint32_t place; // 1 + where its last document is kept; 0: nowhere yet
    NextRow next;
};

// See open_document(); for everything but a plain datum in memory.
ByteSource *open_stored(const struct varlena *datum, DocumentSite &site, ByteSource &plain);

// The bytes of a document. They stay where they are until the next call of open_document() in this backend,
// so that nothing that might read another document may be called before they are done with. `plain` is the
// caller's, for a datum that needs no decoding. Errors: XX001 data_corrupted.
inline ByteSource *open_document(Datum datum, DocumentSite &site, ByteSource &plain)
{
    const auto *value = reinterpret_cast<const struct varlena *>(DatumGetPointer(datum));
    expect_next_row(value, site.next);
    if (!VARATT_IS_EXTENDED(value)) {
        plain.bytes = reinterpret_cast<const std::uint8_t *>(VARDATA(value));
        plain.size = plain.ready = VARSIZE(value) - VARHDRSZ;
        return &plain;
    }
    if (VARATT_IS_SHORT(value) && !VARATT_IS_EXTERNAL(value)) {
        plain.bytes = reinterpret_cast<const std::uint8_t *>(VARDATA_SHORT(value));
        plain.size = plain.ready = VARSIZE_SHORT(value) - VARHDRSZ_SHORT;
        return &plain;
    }
    return open_stored(value, site, plain);
}

// Of a document, or its stored form, in which something cannot be right.
[[noreturn]] void report_damage();

} // namespace privacy_scan::json
