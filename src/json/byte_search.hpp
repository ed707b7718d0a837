// The first byte that is special, eight at a time. Pure.
#pragma once

#include <cstdint>
#include <cstring>

namespace privacy_scan::json
{

constexpr std::uint64_t each_byte(unsigned char byte)
{
    return 0x0101010101010101u * byte;
}

// Not zero if and only if a byte of the word is zero.
constexpr std::uint64_t has_zero(std::uint64_t word)
{
    return (word - each_byte(1)) & ~word & each_byte(0x80);
}

constexpr std::uint64_t has_byte(std::uint64_t word, unsigned char byte)
{
    return has_zero(word ^ each_byte(byte));
}

// Not zero if and only if a byte of the word is less than that, which is 128 at most.
constexpr std::uint64_t has_less(std::uint64_t word, unsigned char byte)
{
    return (word - each_byte(byte)) & ~word & each_byte(0x80);
}

// The first byte in [from, end) that `in_byte` holds of, or the end. in_word: not zero if and only if it holds of a byte of
// the word.
template <typename InWord, typename InByte>
inline const char *first_special(const char *from, const char *end, InWord in_word, InByte in_byte)
{
    for (; end - from >= 8; from += 8) {
        std::uint64_t word;
        std::memcpy(&word, from, sizeof word);
        if (in_word(word))
            break;
    }
    while (from < end && !in_byte(*from))
        ++from;
    return from;
}

} // namespace privacy_scan::json
