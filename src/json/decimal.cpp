// See decimal.hpp.
#include "json/decimal.hpp"

#include "json/jsonb_layout.hpp"

namespace privacy_scan::json
{

namespace
{

constexpr std::uint32_t base = 10000, base_digits = 4;
constexpr std::uint32_t header_size = 4; // of the varlena
constexpr std::uint32_t most_scale = 18;

// clang-format off
constexpr std::int64_t powers[] = {
    1LL, 10LL, 100LL, 1000LL, 10000LL, 100000LL, 1000000LL, 10000000LL, 100000000LL, 1000000000LL,
    10000000000LL, 100000000000LL, 1000000000000LL, 10000000000000LL, 100000000000000LL,
    1000000000000000LL, 10000000000000000LL, 100000000000000000LL, 1000000000000000000LL};
// clang-format on

struct Header {
    bool is_negative, is_special;
    std::int32_t weight; // of the first digit, in powers of the base
    std::uint32_t scale;
    const std::uint8_t *digits;
    std::uint32_t count;
};

inline std::uint32_t load_half(const std::uint8_t *bytes)
{
    std::uint16_t half;
    std::memcpy(&half, bytes, sizeof half);
    return half;
}

// Flags in the upper bits of the first word.
bool read_header(const std::uint8_t *bytes, std::uint32_t size, Header &out)
{
    if (size < header_size + 2 || (size & 1) || !is_plain_varlena(bytes, size))
        return false;
    const std::uint32_t word = load_half(bytes + header_size);
    out.is_special = (word & 0xC000) == 0xC000;
    if (word & 0x8000) { // short: sign, scale and weight in one word
        out.is_negative = word & 0x2000;
        out.scale = (word & 0x1F80) >> 7;
        out.weight = static_cast<std::int32_t>(word & 0x3F) - (word & 0x40 ? 0x40 : 0);
        out.digits = bytes + header_size + 2;
    } else {
        if (size < header_size + 4)
            return false;
        out.is_negative = word & 0x4000;
        out.scale = word & 0x3FFF;
        out.weight = static_cast<std::int16_t>(load_half(bytes + header_size + 2));
        out.digits = bytes + header_size + 4;
    }
    out.count = static_cast<std::uint32_t>(bytes + size - out.digits) / 2;
    return true;
}

} // namespace

NumericForm read_decimal(const std::uint8_t *bytes, std::uint32_t size, Decimal &out)
{
    Header header;
    if (!read_header(bytes, size, header))
        return NumericForm::damaged;
    const std::int32_t fraction_groups =
        static_cast<std::int32_t>((header.scale + base_digits - 1) / base_digits);
    if (header.is_special || header.scale > most_scale || header.weight > 4 ||
        header.weight + 1 + fraction_groups > 5)
        return NumericForm::large;
    // All groups from the first digit's to the last that the scale reaches into.
    std::int64_t value = 0;
    const std::int32_t groups = header.weight + 1 + fraction_groups;
    for (std::int32_t i = 0; i < groups; ++i) {
        const std::uint32_t digit = static_cast<std::uint32_t>(i) < header.count
                                        ? load_half(header.digits + 2 * static_cast<std::size_t>(i))
                                        : 0;
        if (__builtin_mul_overflow(value, std::int64_t{base}, &value) ||
            __builtin_add_overflow(value, std::int64_t{digit}, &value))
            return NumericForm::large;
    }
    const std::uint32_t behind = static_cast<std::uint32_t>(fraction_groups) * base_digits - header.scale;
    if (static_cast<std::int64_t>(header.count) > groups)
        return NumericForm::large;
    if (behind != 0) {
        if (value % powers[behind] != 0)
            return NumericForm::large;
        value /= powers[behind];
    }
    out = {header.is_negative ? -value : value, header.scale};
    return NumericForm::small;
}

bool to_integer(const Decimal &decimal, std::int64_t &out)
{
    out = decimal.mantissa;
    if (decimal.scale == 0)
        return true;
    out /= powers[decimal.scale];
    return decimal.mantissa % powers[decimal.scale] == 0;
}

// Both sides exact, so that the one division rounds once.
bool to_double(const Decimal &decimal, double &out)
{
    constexpr std::int64_t exact = std::int64_t{1} << 53;
    if (decimal.mantissa > exact || decimal.mantissa < -exact)
        return false;
    out = static_cast<double>(decimal.mantissa) / static_cast<double>(powers[decimal.scale]);
    return true;
}

std::uint32_t write_decimal(const Decimal &decimal, char *to)
{
    char reversed[32];
    std::uint32_t count = 0, length = 0;
    const auto bits = static_cast<std::uint64_t>(decimal.mantissa);
    std::uint64_t left = decimal.mantissa < 0 ? 0 - bits : bits;
    do {
        reversed[count++] = static_cast<char>('0' + left % 10);
        left /= 10;
        if (count == decimal.scale)
            reversed[count++] = '.';
    } while (left != 0 || count <= decimal.scale + (decimal.scale ? 1 : 0));
    if (decimal.mantissa < 0)
        to[length++] = '-';
    while (count > 0)
        to[length++] = reversed[--count];
    return length;
}

} // namespace privacy_scan::json
