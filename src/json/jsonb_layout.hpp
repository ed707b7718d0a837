// The layout of jsonb on disk, as PostgreSQL 9.4 and later write it: a container is a header word, a word per
// child (JEntry; an object's keys in their order, then its values), then the children's bytes. Pure.
#pragma once

#include <cstdint>
#include <cstring>

namespace privacy_scan::json
{

constexpr std::uint32_t count_mask = 0x0FFFFFFF;
constexpr std::uint32_t scalar_flag =
    0x10000000; // with array_flag: an array of one, standing for its element
constexpr std::uint32_t object_flag = 0x20000000;
constexpr std::uint32_t array_flag = 0x40000000;

constexpr std::uint32_t entry_size_mask = 0x0FFFFFFF; // the child's length, or where it ends
constexpr std::uint32_t entry_type_mask = 0x70000000;
constexpr std::uint32_t entry_has_end = 0x80000000; // it is where it ends, from the first child on

constexpr std::uint32_t entry_string = 0x00000000;
constexpr std::uint32_t entry_number = 0x10000000;
constexpr std::uint32_t entry_false = 0x20000000;
constexpr std::uint32_t entry_true = 0x30000000;
constexpr std::uint32_t entry_null = 0x40000000;
constexpr std::uint32_t entry_container = 0x50000000;

// A document of a short varlena lies at any address.
inline std::uint32_t load_word(const std::uint8_t *bytes)
{
    std::uint32_t word;
    std::memcpy(&word, bytes, sizeof word);
    return word;
}

// Is this a varlena of that size, header included, neither short nor compressed nor external?
inline bool is_plain_varlena(const std::uint8_t *bytes, std::uint32_t size)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return load_word(bytes) == size << 2;
#else
    return load_word(bytes) == size;
#endif
}

// Numbers and containers begin at the next multiple of four within their container's data.
constexpr std::uint32_t align_word(std::uint32_t offset)
{
    return (offset + 3) & ~std::uint32_t{3};
}

} // namespace privacy_scan::json
