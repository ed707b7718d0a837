// A numeric's bytes as a scaled integer, for the many that fit into 64 bits. Pure.
#pragma once

#include <cstdint>

namespace privacy_scan::json
{

// mantissa / 10^scale, scale being the number of decimals that are shown.
struct Decimal {
    std::int64_t mantissa;
    std::uint32_t scale;
};

enum class NumericForm : std::uint8_t {
    small, // it is in the Decimal
    large, // a sound numeric that doesn't fit
    damaged
};

// bytes, size: PostgreSQL's numeric with its varlena header, as jsonb holds it, at any address. Format as in
// src/backend/utils/adt/numeric.c of PostgreSQL 9.1 and later: digits of base 10000 behind a header of one or
// two 16-bit words.
NumericForm read_decimal(const std::uint8_t *bytes, std::uint32_t size, Decimal &out);

// The value as a whole number, without an error: false where it has a fraction.
bool to_integer(const Decimal &decimal, std::int64_t &out);

// The nearest double; false where plain arithmetic would not give the nearest.
bool to_double(const Decimal &decimal, double &out);

// Writes it as numeric_out does; returns the length. Room for 48 characters.
std::uint32_t write_decimal(const Decimal &decimal, char *to);

} // namespace privacy_scan::json
