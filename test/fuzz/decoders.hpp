// Both decoders' fuzzers: a source that comes in pieces, wanted in steps, against a decoder that takes it
// whole.
#pragma once

#include "json/decoder.hpp"

#include "fuzz.hpp"

#include <optional>

namespace fuzz
{

using Bytes = std::vector<std::uint8_t>;
using Decode = privacy_scan::json::Decoded (*)(privacy_scan::json::Decoding &, std::uint32_t);

// What a reference decoder makes of the source: the output, or nothing where it refuses.
using Reference = std::optional<Bytes> (*)(const Bytes &source, std::uint32_t output_size);

// Where the reference accepts the source, ours must be complete and the same; where it refuses, so must ours,
// if the two are to refuse alike.
inline void compare(Decode decode, Reference reference, bool refuses_alike, const Bytes &encoded,
                    std::uint32_t output_size, Input &input)
{
    using namespace privacy_scan::json;
    const std::unique_ptr<std::uint8_t[]> source(new std::uint8_t[encoded.size()]);
    const std::unique_ptr<std::uint8_t[]> output(new std::uint8_t[output_size + decoder_slack]);
    std::copy(encoded.begin(), encoded.end(), source.get());
    Decoding state{};
    state.source = source.get();
    state.source_size = static_cast<std::uint32_t>(encoded.size());
    state.source_ready = input.number(3) == 0 ? 0 : state.source_size;
    state.output = output.get();
    state.output_size = output_size;
    const auto piece = static_cast<std::uint32_t>(1 + input.large(input.number(2) ? 40 : 3000));
    const auto step = static_cast<std::uint32_t>(1 + input.large(input.number(2) ? 100 : 100000));
    std::uint32_t wanted = 0;
    Decoded decoded = Decoded::enough;
    while (wanted < output_size && decoded != Decoded::damaged) {
        wanted = std::min(output_size, wanted + step);
        while ((decoded = decode(state, wanted)) == Decoded::needs_more) {
            check(state.source_ready < state.source_size);
            state.source_ready = std::min(state.source_size, state.source_ready + piece);
        }
        check(state.output_done <= output_size && state.source_done <= state.source_ready);
        check(decoded == Decoded::damaged || state.output_done >= wanted);
    }
    if (decoded != Decoded::damaged) { // what is left of the source must be looked at, too
        state.source_ready = state.source_size;
        decoded = decode(state, output_size);
    }
    const std::optional<Bytes> expected = reference(encoded, output_size);
    if (!expected) {
        check(!refuses_alike || decoded == Decoded::damaged);
        return;
    }
    check(decoded == Decoded::enough && state.output_done == output_size);
    check(std::equal(expected->begin(), expected->end(), output.get()));
}

} // namespace fuzz
