// Reads parts of a value that is stored out of line, chunk by chunk. Red.
#pragma once

#include "pg/postgres.hpp"

namespace privacy_scan::json
{

// What a TOAST pointer says.
struct ExternalValue {
    Oid relation; // the TOAST relation
    Oid value;
    std::uint32_t raw_size;    // of the document, without a varlena header
    std::uint32_t stored_size; // of all chunks together
    bool is_compressed;        // then the first word of what is stored is as in a compressed varlena

    bool operator==(const ExternalValue &other) const
    {
        return value == other.value && relation == other.relation && raw_size == other.raw_size &&
               stored_size == other.stored_size;
    }
};

// Of a datum that is VARATT_IS_EXTERNAL_ONDISK.
ExternalValue external_value(const struct varlena *datum);

// Bytes of what is stored in a chunk; the last one may be shorter.
std::uint32_t chunk_size();

// Copies the bytes [from, until) of what is stored to the same place of a buffer of stored_size bytes. Both
// ends lie between two chunks, or at the value's end. The TOAST relation and its index are opened under
// AccessShareLock, as for every read of the value; while a query runs whose context is `query` they stay
// open. Error: XX001 data_corrupted where chunks are missing.
void fetch_chunks(MemoryContext query, const ExternalValue &value, std::uint32_t from, std::uint32_t until,
                  std::uint8_t *stored);

} // namespace privacy_scan::json
