// Copies for which a call of memcpy would cost more than they do, or whose two sides overlap. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace privacy_scan::json
{

// Loads all before it stores, so that the two may overlap.
template <typename Block> inline void copy_block(std::uint8_t *to, const std::uint8_t *from)
{
    Block block;
    std::memcpy(&block, from, sizeof block);
    std::memcpy(to, &block, sizeof block);
}

struct Block16 {
    std::uint64_t low, high;
};

// Of short values, most of them.
inline void copy_short(std::uint8_t *to, const std::uint8_t *from, std::size_t length)
{
    if (length > 32) {
        std::memcpy(to, from, length);
    } else if (length >= 16) {
        copy_block<Block16>(to, from);
        copy_block<Block16>(to + length - 16, from + length - 16);
    } else if (length >= 8) {
        copy_block<std::uint64_t>(to, from);
        copy_block<std::uint64_t>(to + length - 8, from + length - 8);
    } else if (length >= 4) {
        copy_block<std::uint32_t>(to, from);
        copy_block<std::uint32_t>(to + length - 4, from + length - 4);
    } else {
        for (std::size_t i = 0; i < length; ++i)
            to[i] = from[i];
    }
}

constexpr std::size_t match_overrun = 47;

// Writes `length` bytes at `to` that repeat those `distance` bytes before; up to match_overrun more may be
// scribbled on: most matches are short, and three blocks cost less than a mispredicted branch.
inline void copy_match(std::uint8_t *to, std::size_t distance, std::size_t length)
{
    std::uint8_t *const end = to + length;
    const std::uint8_t *from = to - distance;
    if (distance >= 16) {
        copy_block<Block16>(to, from);
        copy_block<Block16>(to + 16, from + 16);
        copy_block<Block16>(to + 32, from + 32);
        for (std::size_t done = 48; done < length; done += 16)
            copy_block<Block16>(to + done, from + done);
        return;
    }
    // A pattern shorter than a block. What is written doubles what can be taken at once.
    while (distance < 8) {
        copy_block<std::uint64_t>(to, from);
        to += distance;
        distance *= 2;
        if (to >= end)
            return;
    }
    from = to - distance;
    do {
        copy_block<std::uint64_t>(to, from);
        to += 8;
        from += 8;
    } while (to < end);
}

} // namespace privacy_scan::json
