// The bytes of one jsonb document as far as somebody has asked for them: a value in memory is there at once,
// a compressed or external one is decoded and fetched up to what is read. Pure.
#pragma once

#include <cstdint>

namespace privacy_scan::json
{

// A document without its varlena header; offset 0 is the root container's header. Standard layout, trivial.
struct ByteSource {
    const std::uint8_t *bytes; // stays where it is while the document is read
    std::uint32_t ready;       // [0, ready) can be read
    std::uint32_t size;        // of the whole document
    // Makes [offset, offset + length) readable, which lies within the size but not within `ready`. False
    // where the stored bytes are damaged. May ereport.
    bool (*fetch)(ByteSource *source, std::uint32_t offset, std::uint32_t length);
};

// The one way to a document's bytes: length of them from offset, or null where they are not all there.
inline const std::uint8_t *read(ByteSource &source, std::uint32_t offset, std::uint32_t length)
{
    if (__builtin_expect(offset <= source.ready && length <= source.ready - offset, 1))
        return source.bytes + offset;
    if (offset > source.size || length > source.size - offset || !source.fetch(&source, offset, length))
        return nullptr;
    return source.bytes + offset;
}

} // namespace privacy_scan::json
