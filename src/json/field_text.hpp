// What PostgreSQL's types read from strings, for those whose reading depends on no setting. Pure.
#pragma once

#include <cstddef>
#include <cstdint>

namespace privacy_scan::json
{

struct Stretch {
    const char *begin;
    std::size_t length;
};

// Without the white space around it, as C's isspace has it.
Stretch trim(const char *text, std::size_t length);

// Decimal digits with a sign at most, within 64 bits.
bool read_whole(const std::uint8_t *text, std::size_t length, std::int64_t &out);

// Is it what numeric reads, within sizes that numeric can hold? Digits, a point, an exponent; NaN.
bool is_decimal_text(const std::uint8_t *text, std::size_t length);

// 1 for infinity, -1 for -infinity, otherwise 0. Numbers may be written inf and +infinity, too.
int read_infinity(const std::uint8_t *text, std::size_t length, bool is_number);

// What double precision reads; false where it would overflow, or underflow to zero.
bool read_float(const std::uint8_t *text, std::size_t length, double &out);

// 32 hexadecimal digits, a hyphen after any group of four, braces around all: into 16 bytes.
bool read_uuid(const std::uint8_t *text, std::size_t length, std::uint8_t *out);

} // namespace privacy_scan::json
