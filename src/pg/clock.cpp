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

} // namespace privacy_scan::pg
