// See number.hpp. Small numbers, nearly all there are, are taken from their digits; others go through
// PostgreSQL's own functions, after a look that none of them will refuse.
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "json/number.hpp"

#include "json/call_site.hpp"
#include "json/json_text.hpp"
#include "json/rfc3339.hpp"

extern "C" {
#include <utils/builtins.h>
#include <utils/numeric.h>
}

namespace privacy_scan::json
{

namespace
{

bool compares(PGFunction comparison, Datum a, Datum b)
{
    return DatumGetBool(DirectFunctionCall2(comparison, a, b));
}

bool large_to_int(Datum number, std::int64_t &out)
{
    const Datum least = DirectFunctionCall1(int8_numeric, Int64GetDatum(PG_INT64_MIN));
    const Datum most = DirectFunctionCall1(int8_numeric, Int64GetDatum(PG_INT64_MAX));
    const Datum whole = DirectFunctionCall2(numeric_trunc, number, Int32GetDatum(0));
    if (!compares(numeric_eq, number, whole) || compares(numeric_lt, number, least) ||
        compares(numeric_gt, number, most))
        return false;
    out = DatumGetInt64(DirectFunctionCall1(numeric_int8, number));
    return true;
}

bool large_to_float8(Datum number, double &out)
{
    char *written = DatumGetCString(DirectFunctionCall1(numeric_out, number));
    out = std::strtod(written, nullptr);
    const bool is_zero = std::strspn(written, "-0.") == std::strlen(written);
    pfree(written);
    return std::isfinite(out) && (out != 0 || is_zero);
}

} // namespace

bool to_int(ByteSource &source, const Value &value, std::int64_t &out)
{
    Decimal small;
    struct varlena *large;
    if (value.kind != Kind::number)
        return false;
    if (read_number(source, value, small, large))
        return to_integer(small, out);
    return large_to_int(PointerGetDatum(large), out);
}

Datum make_numeric(ByteSource &source, const Value &number)
{
    Decimal small;
    struct varlena *large;
    if (!read_number(source, number, small, large))
        return PointerGetDatum(large);
    auto *copy = static_cast<struct varlena *>(palloc(number.length));
    memcpy(copy, read_sound(source, number.offset, number.length), number.length);
    return PointerGetDatum(copy);
}

bool to_float8(ByteSource &source, const Value &value, double &out)
{
    Decimal small;
    struct varlena *large;
    if (value.kind != Kind::number)
        return false;
    if (!read_number(source, value, small, large))
        return large_to_float8(PointerGetDatum(large), out);
    if (!to_double(small, out)) {
        char digits[48];
        digits[write_decimal(small, digits)] = '\0';
        out = std::strtod(digits, nullptr);
    }
    return true;
}

bool to_instant(ByteSource &source, const Value &value, std::int64_t &out)
{
    if (value.kind != Kind::string)
        return false;
    const std::uint8_t *bytes = read_sound(source, value.offset, value.length);
    return read_rfc3339(reinterpret_cast<const char *>(bytes), value.length, out);
}

} // namespace privacy_scan::json
