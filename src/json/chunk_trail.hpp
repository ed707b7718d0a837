// Values that were written one after the other lie so in their TOAST relation. Who reads them in that order
// finds the chunks of the next one where those of the last one end, on one page in place of the index's and
// that one. Where they are not there the index is asked. Red.
#pragma once

#include "json/toast_chunks.hpp"

extern "C" {
#include <utils/rel.h>
#include <utils/snapshot.h>
}

namespace privacy_scan::json
{

// What is known of a TOAST relation whose values are read. It is locked all the time, so that it only grows.
// Zero it.
struct ChunkTrail {
    BlockNumber blocks;  // that it has at least
    ExternalValue value; // read last; none where its OID is invalid
    std::int32_t chunk;  // of it,
    std::uint32_t slot;  // and where that is: a page has room for so many chunks
    std::int32_t misses; // in a row; negative: for so many values nothing is tried
};

// Copies those of the chunks [first, last] that lie where they are expected to the value's bytes. Returns the
// first that doesn't.
std::int32_t follow_trail(ChunkTrail &trail, Relation toast, Snapshot snapshot, const ExternalValue &value,
                          std::int32_t first, std::int32_t last, std::uint8_t *stored);

// The chunk was read from there.
void note_chunk(ChunkTrail &trail, const ExternalValue &value, std::int32_t chunk, const ItemPointerData &at);

} // namespace privacy_scan::json
