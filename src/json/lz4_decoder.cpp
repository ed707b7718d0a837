// See decoder.hpp. A sequence is a token, literals, and a match of 4 bytes or more at a distance of up to
// 65535; the last sequence has literals only. Long stretches of a source that is all there are left to
// liblz4, which goes on behind what is decoded.
#include "json/decoder.hpp"

#include "json/copy.hpp"

#include <lz4.h>

#include <algorithm>
#include <cstring>

namespace privacy_scan::json
{

namespace
{

constexpr std::uint32_t least_match = 4;
constexpr std::uint32_t longest = 15; // in a token: more follows

static_assert(decoder_slack >= match_overrun + 17, "copies are made by 16 and 32 bytes");

class Sequences
{
  public:
    explicit Sequences(Decoding &state)
        : state_(state), in_(state.source + state.source_done), in_end_(state.source + state.source_ready),
          out_(state.output + state.output_done), out_end_(state.output + state.output_size)
    {
    }
    // Saves where it is, between two sequences or among a sequence's literals.
    void save()
    {
        state_.source_done = static_cast<std::uint32_t>(in_ - state_.source);
        state_.output_done = static_cast<std::uint32_t>(out_ - state_.output);
    }

    bool done(std::uint32_t wanted) const { return out_ >= state_.output + wanted; }
    Decoded finish();
    void run_fast(std::uint32_t wanted);
    Decoded run(std::uint32_t wanted);

  private:
    std::size_t in_left() const { return static_cast<std::size_t>(in_end_ - in_); }
    std::size_t out_left() const { return static_cast<std::size_t>(out_end_ - out_); }
    bool is_whole() const { return state_.source_ready == state_.source_size; }
    Decoded short_of_source() const { return is_whole() ? Decoded::damaged : Decoded::needs_more; }

    Decoded begin();
    Decoded literals();
    Decoded match();

    Decoding &state_;
    const std::uint8_t *in_, *in_end_;
    std::uint8_t *out_, *out_end_;
};

inline std::size_t load_distance(const std::uint8_t *in)
{
    return static_cast<std::size_t>(in[0] | in[1] << 8);
}

// Adds the bytes behind a length of 15 in a token. False where they reach beyond `end` or add up beyond
// reason.
inline bool add_length(const std::uint8_t *&in, const std::uint8_t *end, std::size_t most,
                       std::size_t &length)
{
    std::uint8_t more = 255;
    while (more == 255) {
        if (in == end || length > most)
            return false;
        more = *in++;
        length += more;
    }
    return true;
}

// Whole sequences, as long as neither side's end is near. One that cannot be right is left to the careful
// way. Everything in locals: a byte that is stored might be a member, as far as the compiler knows.
void Sequences::run_fast(std::uint32_t wanted)
{
    const std::uint8_t *in = in_, *const in_end = in_end_;
    std::uint8_t *out = out_, *const base = state_.output, *const out_wanted = base + wanted;
    std::uint8_t *const out_end = out_end_;
    while (out < out_wanted && in_end - in >= static_cast<std::ptrdiff_t>(1 + longest + 2 + 16)) {
        const std::uint8_t *const sequence = in;
        const std::uint32_t token = *in++;
        std::size_t length = token >> 4;
        std::uint8_t *at = out;
        if (length < longest) {
            copy_block<Block16>(at, in);
        } else {
            if (!add_length(in, in_end, static_cast<std::size_t>(out_end - at), length) ||
                length + 2 + 16 > static_cast<std::size_t>(in_end - in) ||
                length > static_cast<std::size_t>(out_end - at)) {
                in = sequence;
                break;
            }
            for (std::size_t i = 0; i < length; i += 16)
                copy_block<Block16>(at + i, in + i);
        }
        at += length;
        in += length;
        const std::size_t distance = load_distance(in);
        in += 2;
        length = token & 15;
        const bool is_sound =
            (length < longest || add_length(in, in_end, static_cast<std::size_t>(out_end - out), length)) &&
            distance - 1 < static_cast<std::size_t>(at - base) && at + length + least_match <= out_end;
        if (!is_sound) {
            in = sequence;
            break;
        }
        copy_match(at, distance, length + least_match);
        out = at + length + least_match;
    }
    in_ = in;
    out_ = out;
}

// Reads a token and the number of its literals.
Decoded Sequences::begin()
{
    if (in_ == in_end_)
        return short_of_source();
    const std::uint8_t *in = in_;
    const std::uint32_t token = *in++;
    std::size_t count = token >> 4;
    if (count == longest && !add_length(in, in_end_, out_left(), count))
        return count > out_left() ? Decoded::damaged : short_of_source();
    if (count > out_left())
        return Decoded::damaged;
    in_ = in;
    state_.token = token + 1;
    state_.literals = static_cast<std::uint32_t>(count);
    return Decoded::enough;
}

// Copies as many of the literals as are there.
Decoded Sequences::literals()
{
    const std::size_t count = std::min<std::size_t>(state_.literals, in_left());
    std::memcpy(out_, in_, count);
    in_ += count;
    out_ += count;
    state_.literals -= static_cast<std::uint32_t>(count);
    return state_.literals == 0 ? Decoded::enough : short_of_source();
}

// Copies the match of the sequence that was begun, and ends it.
Decoded Sequences::match()
{
    if (in_left() < 2)
        return short_of_source();
    const std::uint8_t *in = in_ + 2;
    const std::size_t distance = load_distance(in_);
    std::size_t length = (state_.token - 1) & 15;
    if (length == longest && !add_length(in, in_end_, out_left(), length))
        return length > out_left() ? Decoded::damaged : short_of_source();
    length += least_match;
    if (distance - 1 >= static_cast<std::size_t>(out_ - state_.output) || length > out_left())
        return Decoded::damaged;
    copy_match(out_, distance, length);
    out_ += length;
    in_ = in;
    state_.token = 0;
    return Decoded::enough;
}

// The rest of a sequence that was begun.
Decoded Sequences::finish()
{
    if (state_.token == 0)
        return Decoded::enough;
    const Decoded decoded = literals();
    return decoded == Decoded::enough && out_ < out_end_ ? match() : decoded;
}

Decoded Sequences::run(std::uint32_t wanted)
{
    while (!done(wanted)) {
        if (state_.token == 0) {
            run_fast(wanted);
            if (done(wanted))
                break;
            if (const Decoded decoded = begin(); decoded != Decoded::enough)
                return decoded;
        }
        const Decoded copied = literals();
        if (done(wanted))
            break;
        if (copied != Decoded::enough)
            return copied;
        if (const Decoded decoded = match(); decoded != Decoded::enough)
            return decoded;
    }
    return Decoded::enough;
}

// liblz4 is quicker over long stretches. It takes what is decoded for its dictionary.
constexpr std::uint32_t long_stretch = 512;

Decoded run_library(Decoding &state, std::uint32_t wanted)
{
    const std::uint32_t done = state.output_done;
    const auto *source = reinterpret_cast<const char *>(state.source + state.source_done);
    const int source_left = static_cast<int>(state.source_size - state.source_done);
    auto *output = reinterpret_cast<char *>(state.output + done);
    const char *dictionary = reinterpret_cast<const char *>(state.output);
    const int room = static_cast<int>(state.output_size - done);
    const int got =
        LZ4_decompress_safe_usingDict(source, output, source_left, room, dictionary, static_cast<int>(done));
    if (got < 0 || done + static_cast<std::uint32_t>(got) < wanted)
        return Decoded::damaged;
    state.source_done = state.source_size;
    state.output_done = done + static_cast<std::uint32_t>(got);
    return Decoded::enough;
}

} // namespace

Decoded decode_lz4(Decoding &state, std::uint32_t wanted)
{
    if (state.output_done >= wanted)
        return Decoded::enough;
    Sequences sequences(state);
    const bool is_whole = state.source_ready == state.source_size;
    const std::uint32_t left = wanted - state.output_done;
    const bool is_long = left > long_stretch && left > (state.output_size - state.output_done) / 2;
    const Decoded decoded = is_whole && is_long ? sequences.finish() : sequences.run(wanted);
    sequences.save();
    if (decoded != Decoded::enough || state.output_done >= wanted)
        return decoded;
    return run_library(state, wanted);
}

} // namespace privacy_scan::json
