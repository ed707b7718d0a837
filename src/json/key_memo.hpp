// The short way to a key: a call site remembers the words of the object in which it looked for its key last.
// Where the next object's keys have the same lengths, its key is where it was, or nowhere; one look at the
// key's bytes decides. Any doubt is left to the long way (walker.hpp). Pure, and inline: on small documents
// this is what a call costs.
#pragma once

#include "json/jsonb_layout.hpp"
#include "json/walker.hpp"

namespace privacy_scan::json
{

// Of one key, and no other. Trivial: zero it.
struct KeyMemo {
    static constexpr std::uint32_t most_keys = 48; // objects with more are searched by halves
    std::uint32_t count;                           // of the object's keys; 0: nothing is remembered
    std::uint32_t first, last;                     // its keys of the right length: [first, last)
    std::uint32_t offset;                          // of the first of them, in the object's data
    std::uint32_t keys_length;                     // of all its keys
    std::uint32_t index;                           // of the key itself, as far as it was there
    std::int32_t misses;              // in a row; negative: for so many calls it is not even tried
    std::uint32_t entries[most_keys]; // the words of its keys
};

// unsure: damage, too, is for the long way to find.
enum class Recall : std::uint8_t { yes, no, unsure };

inline bool same_words(const std::uint8_t *words, const std::uint32_t *others, std::uint32_t count)
{
    std::uint64_t difference = 0;
    std::uint32_t i = 0;
    for (; i + 2 <= count; i += 2) {
        std::uint64_t a, b;
        std::memcpy(&a, words + std::size_t{i} * 4, 8);
        std::memcpy(&b, others + i, 8);
        difference |= a ^ b;
    }
    if (i < count)
        difference |= load_word(words + std::size_t{i} * 4) ^ others[i];
    return difference == 0;
}

// Keys are short: a call of memcmp would cost more than the comparison.
inline bool same_bytes(const std::uint8_t *a, const char *b, std::uint32_t length)
{
    std::uint64_t difference = 0;
    if (length >= 8) {
        std::uint64_t x, y;
        for (std::uint32_t i = 0; i + 8 < length; i += 8) {
            std::memcpy(&x, a + i, 8);
            std::memcpy(&y, b + i, 8);
            difference |= x ^ y;
        }
        std::memcpy(&x, a + length - 8, 8);
        std::memcpy(&y, b + length - 8, 8);
        return (difference | (x ^ y)) == 0;
    }
    if (length >= 4) {
        std::uint32_t x, y, u, v;
        std::memcpy(&x, a, 4);
        std::memcpy(&y, b, 4);
        std::memcpy(&u, a + length - 4, 4);
        std::memcpy(&v, b + length - 4, 4);
        return ((x ^ y) | (u ^ v)) == 0;
    }
    for (std::uint32_t i = 0; i < length; ++i)
        difference |= static_cast<std::uint64_t>(a[i] ^ static_cast<std::uint8_t>(b[i]));
    return difference == 0;
}

// Where a value begins in its object's data, from the words of the values before it; they start behind the
// keys.
inline std::uint64_t begin_of_value(const std::uint8_t *value_entries, std::uint32_t index,
                                    std::uint32_t keys_length)
{
    std::uint64_t begin = 0;
    while (index > 0) {
        const std::uint32_t entry = load_word(value_entries + std::size_t{--index} * 4);
        begin += entry & entry_size_mask;
        if (entry & entry_has_end)
            return begin;
    }
    return begin + keys_length;
}

// A container's kind and number of children, from its header. False where it cannot be one of that length.
inline bool recall_container(ByteSource &source, Value &value)
{
    const std::uint8_t *bytes = value.length >= 4 ? read(source, value.offset, 4) : nullptr;
    if (!bytes)
        return false;
    const std::uint32_t header = load_word(bytes), flags = header & ~count_mask;
    value.count = header & count_mask;
    value.kind = flags == object_flag ? Kind::object : Kind::array;
    const std::uint32_t words = flags == object_flag ? 2 * value.count : value.count;
    return (flags == object_flag || flags == array_flag) && words <= value.length / 4 - 1;
}

// The child of this entry, at [begin, ...) of the data at data_offset.
inline bool recall_value(ByteSource &source, std::uint32_t entry, std::uint64_t begin,
                         std::uint32_t data_offset, std::uint32_t data_size, Value &value)
{
    static constexpr Kind kinds[] = {Kind::string, Kind::number, Kind::boolean, Kind::boolean,
                                     Kind::null,   Kind::array,  Kind::null,    Kind::null};
    const std::uint32_t type = entry & entry_type_mask;
    const std::uint64_t size = entry & entry_size_mask;
    const std::uint64_t end = entry & entry_has_end ? size : begin + size;
    if (type == entry_number || type == entry_container)
        begin = (begin + 3) & ~std::uint64_t{3};
    if (begin > end || end > data_size || type > entry_container)
        return false;
    value.kind = kinds[type >> 28];
    value.truth = type == entry_true;
    value.offset = data_offset + static_cast<std::uint32_t>(begin);
    value.length = static_cast<std::uint32_t>(end - begin);
    value.count = 0;
    return type != entry_container || recall_container(source, value);
}

// The value of a key in the object at [offset, offset + length) of a document. All that is read is checked to
// lie within the object. Always inlined: a call of it costs a lookup in the row some 4 %.
__attribute__((always_inline)) inline Recall recall_key(ByteSource &source, std::uint32_t offset,
                                                        std::uint32_t length, const Step &step, KeyMemo &memo,
                                                        Value &value)
{
    const std::uint32_t words = 1 + 2 * memo.count;
    if (memo.count == 0 || length / 4 < words || memo.keys_length > length - words * 4)
        return Recall::unsure;
    const std::uint8_t *const object = read(source, offset, words * 4 + memo.keys_length);
    if (!object || load_word(object) != (object_flag | memo.count) ||
        !same_words(object + 4, memo.entries, memo.count))
        return Recall::unsure;
    memo.misses = 0;
    if (memo.first == memo.last)
        return Recall::no;
    // Keys of one length follow each other; all of them end within keys_length.
    const std::uint32_t key = memo.offset + (memo.index - memo.first) * step.length;
    if (!same_bytes(object + words * 4 + key, step.key, step.length))
        return memo.last - memo.first == 1 ? Recall::no : Recall::unsure;
    const std::uint8_t *const value_entries = object + 4 + std::size_t{memo.count} * 4;
    const std::uint32_t entry = load_word(value_entries + std::size_t{memo.index} * 4);
    const std::uint64_t begin = begin_of_value(value_entries, memo.index, memo.keys_length);
    const std::uint32_t data_size = length - words * 4;
    return recall_value(source, entry, begin, offset + words * 4, data_size, value) ? Recall::yes
                                                                                    : Recall::unsure;
}

} // namespace privacy_scan::json
