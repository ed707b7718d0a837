// The clock that jobs, schedules, guards and the launcher's heartbeat go by. History goes by the server's
// own.
#pragma once

#include "pg/postgres.hpp"

namespace privacy_scan::pg
{

// The server's time and privacy_scan.clock_offset, as a timestamptz.
std::int64_t now();

// Milliseconds on the server's clock since a GetCurrentTimestamp().
double ms_since(std::int64_t begun);

} // namespace privacy_scan::pg
