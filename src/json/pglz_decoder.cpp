// See decoder.hpp. A group is a control byte and eight items: a literal byte where its bit is 0, otherwise a
// match of 3 to 273 bytes at a distance of up to 4095.
#include "json/decoder.hpp"

#include "json/copy.hpp"

#include <cstring>

namespace privacy_scan::json
{

namespace
{

constexpr std::uint32_t largest_group = 1 + 8 * 3;
constexpr std::uint32_t overread = 8; // literals are copied by eights
constexpr std::uint32_t largest_output = 8 * 273;

static_assert(decoder_slack >= largest_output + match_overrun, "a group may end behind the output");

struct Match {
    std::uint32_t length, distance, tag_size;
};

// third: the byte behind the first two, which counts only where the match is a long one.
inline Match read_match(const std::uint8_t *tag, std::uint32_t third)
{
    Match match{(tag[0] & 0x0Fu) + 3, (tag[0] & 0xF0u) << 4 | tag[1], 2};
    const std::uint32_t is_long = match.length == 18; // every fourth or so: a branch would be mispredicted
    match.length += third & (0u - is_long);
    match.tag_size += is_long;
    return match;
}

// Whole groups, as long as neither side's end is near. One that cannot be right is left to decode_group().
void decode_groups(Decoding &state, std::uint32_t wanted)
{
    const std::uint8_t *in = state.source + state.source_done;
    const std::uint8_t *const in_end = state.source + state.source_ready;
    std::uint8_t *out = state.output + state.output_done;
    std::uint8_t *const out_wanted = state.output + wanted;
    std::uint8_t *const out_end = state.output + state.output_size;
    bool sound = true;
    while (out < out_wanted && in_end - in >= static_cast<std::ptrdiff_t>(largest_group + overread)) {
        const std::uint8_t *const group = in;
        std::uint8_t *const group_out = out;
        std::uint32_t control = *in++ | 0x100u; // the bit behind the eighth ends the group
        if (control == 0x100u && out_end - out >= 8) {
            std::memcpy(out, in, 8);
            out += 8;
            in += 8;
            continue;
        }
        do {
            const auto literals = static_cast<std::uint32_t>(__builtin_ctz(control));
            std::memcpy(out, in, 8);
            out += literals;
            in += literals;
            control >>= literals;
            if (control == 1)
                break;
            const Match match = read_match(in, in[2]);
            in += match.tag_size;
            if (match.distance == 0 || match.distance > static_cast<std::size_t>(out - state.output)) {
                sound = false;
                break;
            }
            copy_match(out, match.distance, match.length);
            out += match.length;
            control >>= 1;
        } while (control != 1);
        if (!sound || out > out_end) {
            in = group;
            out = group_out;
            break;
        }
    }
    state.source_done = static_cast<std::uint32_t>(in - state.source);
    state.output_done = static_cast<std::uint32_t>(out - state.output);
}

// One group byte by byte, as PostgreSQL's decoder takes it: a match that is too long ends with the output.
bool decode_group(Decoding &state)
{
    const std::uint8_t *in = state.source + state.source_done;
    const std::uint8_t *const in_end = state.source + state.source_size;
    std::uint8_t *out = state.output + state.output_done;
    std::uint8_t *const out_end = state.output + state.output_size;
    std::uint32_t control = *in++;
    for (int item = 0; item < 8 && in < in_end && out < out_end; ++item, control >>= 1) {
        if (!(control & 1)) {
            *out++ = *in++;
            continue;
        }
        const bool is_long = (in[0] & 0x0F) == 0x0F;
        if (in_end - in < 2 + is_long)
            return false;
        const Match match = read_match(in, is_long ? in[2] : 0);
        in += match.tag_size;
        if (match.distance == 0 || match.distance > static_cast<std::size_t>(out - state.output))
            return false;
        for (std::uint32_t i = 0; i < match.length && out < out_end; ++i, ++out)
            *out = out[-static_cast<std::ptrdiff_t>(match.distance)];
    }
    state.source_done = static_cast<std::uint32_t>(in - state.source);
    state.output_done = static_cast<std::uint32_t>(out - state.output);
    return true;
}

} // namespace

Decoded decode_pglz(Decoding &state, std::uint32_t wanted)
{
    if (state.output_done < wanted)
        decode_groups(state, wanted);
    while (state.output_done < wanted) {
        const std::uint32_t left = state.source_ready - state.source_done;
        if (state.source_ready < state.source_size && left < largest_group)
            return Decoded::needs_more;
        if (left == 0 || !decode_group(state))
            return Decoded::damaged;
    }
    const bool is_whole = state.output_done == state.output_size && state.source_ready == state.source_size;
    return is_whole && state.source_done != state.source_size ? Decoded::damaged : Decoded::enough;
}

} // namespace privacy_scan::json
