// An instant as RFC 3339 writes it. Pure.
#pragma once

#include <cstdint>

namespace privacy_scan::json
{

// Microseconds since 2000-01-01 UTC of a text such as 2026-11-24T10:00:00.123Z or ...+01:00; false where it
// isn't one. The offset must be there. T and Z may be small, a blank may stand for the T; second 60 is the
// first of the next minute; what is beyond microseconds is rounded. Year 0000 and offsets from 16:00 on,
// which timestamptz doesn't take, are none.
bool read_rfc3339(const char *text, std::uint32_t length, std::int64_t &microseconds);

// The same without an offset, or with one that is passed over; the time may be missing: microseconds since
// 2000-01-01 00:00 of that clock.
bool read_local_time(const char *text, std::uint32_t length, std::int64_t &microseconds);

} // namespace privacy_scan::json
