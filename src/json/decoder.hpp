// Decodes PostgreSQL's two compressions piece by piece: from as much of the source as is there, up to as much
// of the output as is wanted, going on where the last call ended. Never reads outside of the source nor
// writes outside of the output and its slack, whatever the source holds. Pure.
//
// Formats: pglz as in src/common/pg_lzcompress.c of PostgreSQL; the LZ4 block format, Yann Collet.
#pragma once

#include <cstddef>
#include <cstdint>

namespace privacy_scan::json
{

enum class Decoded : std::uint8_t {
    enough,     // what was wanted is decoded
    needs_more, // the source has to go on first
    damaged     // no compressor wrote this
};

// Behind the output there must be this many bytes that may be scribbled on.
constexpr std::size_t decoder_slack = 2304;

// One document being decoded. Trivial: zero it and set the first five members.
struct Decoding {
    const std::uint8_t *source;
    std::uint32_t source_ready; // [0, source_ready) can be read; grows between calls
    std::uint32_t source_size;  // of the whole source
    std::uint8_t *output;       // with decoder_slack behind output_size
    std::uint32_t output_size;  // of the whole output
    std::uint32_t source_done;  // where to go on: in the source
    std::uint32_t output_done;  // and in the output: [0, output_done) is decoded
    std::uint32_t literals;     // lz4: what a sequence that was begun has still to copy of its literals,
    std::uint32_t token;        // and 1 + its token; 0 where none was begun
};

// Goes on until [0, wanted) is decoded, or a little further. wanted: at most output_size.
Decoded decode_pglz(Decoding &state, std::uint32_t wanted);
Decoded decode_lz4(Decoding &state, std::uint32_t wanted);

} // namespace privacy_scan::json
