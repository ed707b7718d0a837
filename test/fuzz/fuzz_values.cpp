// Numerics and texts of any bytes: read without a step beyond them, and what is read can be written again.
#include "json/decimal.hpp"
#include "json/field_text.hpp"
#include "json/rfc3339.hpp"

#include "fuzz.hpp"

#include <cmath>
#include <cstring>

using namespace privacy_scan::json;
using fuzz::check;

namespace
{

void read_number(const std::uint8_t *bytes, std::uint32_t size)
{
    Decimal decimal;
    if (read_decimal(bytes, size, decimal) != NumericForm::small)
        return;
    char text[48];
    const std::uint32_t length = write_decimal(decimal, text);
    check(length > 0 && length < sizeof text);
    text[length] = '\0';
    check(is_decimal_text(reinterpret_cast<const std::uint8_t *>(text), length));
    double nearest, parsed;
    check(read_float(reinterpret_cast<const std::uint8_t *>(text), length, parsed));
    if (to_double(decimal, nearest))
        check(nearest == parsed);
    std::int64_t whole, read;
    if (to_integer(decimal, whole) && decimal.scale == 0)
        check(read_whole(reinterpret_cast<const std::uint8_t *>(text), length, read) && read == whole);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    const std::unique_ptr<std::uint8_t[]> exact(new std::uint8_t[size]);
    std::copy(data, data + size, exact.get());
    const auto *text = reinterpret_cast<const char *>(exact.get());
    const auto length = static_cast<std::uint32_t>(size);
    std::int64_t instant, local = 0, whole;
    double number;
    std::uint8_t uuid[16];
    if (read_rfc3339(text, length, instant)) {
        check(length >= 20 && read_local_time(text, length, local));
        check(std::abs(instant - local) < std::int64_t{16} * 3600 * 1000000);
    }
    if (read_whole(exact.get(), size, whole) && size < 18) // within 2^53
        check(read_float(exact.get(), size, number) && number == static_cast<double>(whole));
    (void)read_uuid(exact.get(), size, uuid);
    read_number(exact.get(), length);
    // The same bytes with a header that fits.
    if (size >= 4 && size < 1000) {
        const std::uint32_t header = length << 2;
        std::memcpy(exact.get(), &header, 4);
        read_number(exact.get(), length);
    }
    return 0;
}
