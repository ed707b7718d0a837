// Typed values without a way through text, and without an error: what doesn't fit is none. Red.
#pragma once

#include "json/walker.hpp"
#include "pg/postgres.hpp"

namespace privacy_scan::json
{

// Of a number without a fraction, within bigint.
bool to_int(ByteSource &source, const Value &value, std::int64_t &out);

// Of any number: a numeric.
Datum make_numeric(ByteSource &source, const Value &number);

// Of a number within the range of double precision.
bool to_float8(ByteSource &source, const Value &value, double &out);

// Of a string as RFC 3339 has it: microseconds since 2000-01-01 UTC.
bool to_instant(ByteSource &source, const Value &value, std::int64_t &out);

} // namespace privacy_scan::json
