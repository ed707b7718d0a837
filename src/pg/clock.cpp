// See clock.hpp.
#include "pg/clock.hpp"

#include "settings/settings.hpp"

extern "C" {
#include <utils/timestamp.h>
}

namespace privacy_scan::pg
{

std::int64_t now()
{
    return GetCurrentTimestamp() + settings::clock_offset_s() * USECS_PER_SEC;
}

double ms_since(std::int64_t begun)
{
    return static_cast<double>(GetCurrentTimestamp() - begun) / 1000.0;
}

} // namespace privacy_scan::pg
